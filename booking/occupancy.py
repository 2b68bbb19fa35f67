"""Who and which room is taken when: rewritten chain by chain, refused by the database on overlap.

What a session occupies: its clinician for [start - minutes before, end + minutes after), its
room for [start, end + turnover), each of its people for [start, end).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from peewee import IntegrityError

from booking.db import tuples
from booking.lifecycle import HOLDS_ITS_TIME, State
from booking.models import Appointment, Client, Occupancy, OfferedSlot, OfferState, Resource, Room

OVERLAP = "occupancy_overlap"

Stretch = tuple[datetime, datetime]


class SlotTaken(Exception):
    """Somebody else's time: another chain occupies the clinician, the room or a person."""


def rewrite(chains: Iterable[int]) -> None:
    """Make the rows of `chains` say what their open appointments and held offers need now.

    All old rows go before the first new one comes: two chains may have swapped rooms.

    Raises:
        SlotTaken: another chain has some of it already; nothing of the transaction may stay.
    """
    chains = sorted(chains)
    turnovers: dict[int, int] = dict(tuples(Room.select(Room.id, Room.turnover_minutes)))
    rows = [row for chain in chains for row in _rows(chain, turnovers)]
    Occupancy.delete().where(Occupancy.chain.in_(chains)).execute()
    try:
        if rows:
            Occupancy.insert_many(rows).execute()
    except IntegrityError as error:
        if OVERLAP in str(error):
            raise SlotTaken from error
        raise


def _rows(chain: int, turnovers: dict[int, int]) -> list[dict[str, object]]:
    appointments = (
        Appointment.select(Appointment, Client)
        .join(Client)
        .where(
            Appointment.chain == chain,
            Appointment.state.in_([*HOLDS_ITS_TIME, State.OFFERED]),
        )
    )
    rooms_held = _rooms_held(chain)
    stretches: defaultdict[tuple[str, int], list[Stretch]] = defaultdict(list)
    for appointment in appointments:
        for session in _sessions(appointment):
            for resource, stretch in needs(
                appointment, session, turnovers.get(session.room_id or 0, 0)
            ):
                start, end = stretch
                held_until = rooms_held.get((*resource, start))
                if held_until is not None and session.ends_at <= held_until:
                    end = min(end, held_until)
                stretches[resource].append((start, end))
    return [
        {
            "resource": resource,
            "resource_id": resource_id,
            "chain": chain,
            "busy_from": start,
            "busy_until": end,
        }
        for (resource, resource_id), taken in sorted(stretches.items())
        for start, end in union(taken)
    ]


def _rooms_held(chain: int) -> dict[tuple[str, int, datetime], datetime]:
    """Until when the chain has its rooms so far, by room and beginning.

    A turnover that became longer is for what comes next: a session that keeps its room keeps
    its time there, too, or of two neighbours none could ever be changed again.
    """
    rows = Occupancy.select().where(Occupancy.chain == chain, Occupancy.resource == Resource.ROOM)
    return {(Resource.ROOM, row.resource_id, row.busy_from): row.busy_until for row in rows}


def needs(
    appointment: Appointment, session: Appointment | OfferedSlot, turnover_minutes: int
) -> Iterator[tuple[tuple[str, int], Stretch]]:
    """What holding `session` (the appointment itself or a slot offered for it) occupies."""
    before = timedelta(minutes=appointment.buffer_before)
    after = timedelta(minutes=appointment.buffer_after)
    yield (
        (Resource.CLINICIAN, session.clinician_id),
        (session.starts_at - before, session.ends_at + after),
    )
    if session.room_id is not None:
        yield (
            (Resource.ROOM, session.room_id),
            (session.starts_at, session.ends_at + timedelta(minutes=turnover_minutes)),
        )
    for person in appointment.client.person_ids:
        yield (Resource.CLIENT, person), (session.starts_at, session.ends_at)


def union(stretches: Iterable[Stretch]) -> list[Stretch]:
    """The same time as disjoint stretches in order; those that only touch stay apart."""
    merged: list[Stretch] = []
    for start, end in sorted(stretches):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _sessions(appointment: Appointment) -> Iterator[Appointment | OfferedSlot]:
    if appointment.status in HOLDS_ITS_TIME:
        yield appointment
    else:
        yield from OfferedSlot.select().where(
            OfferedSlot.appointment == appointment, OfferedSlot.state == OfferState.HELD
        )
