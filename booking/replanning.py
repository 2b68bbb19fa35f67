"""Sessions that lose their time → one problem for the solver; its joint plan → slots to offer."""

from collections.abc import Container, Iterable
from dataclasses import astuple, dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from peewee import Expression

import solver
from booking.alternatives import WISHED, slot_from
from booking.availability import (
    DAYPARTS,
    ONE_DAY,
    STAFF_MAY_WAIVE,
    Plan,
    RoomSwap,
    Slot,
    busy_ref,
    facts,
    instant,
    minutes,
    plan,
    request_for,
    room_for,
    wall,
    wish_of,
    with_swaps,
)
from booking.db import tuples
from booking.lifecycle import OPEN, State
from booking.models import (
    Appointment,
    BlockedTime,
    Client,
    Modality,
    OfferedSlot,
    Replan,
    ReplanRow,
)
from solver import candidates
from solver.candidates import Place

MOST_OPTIONS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """How far from what was booked a plan may go, and how many slots each client gets."""

    options: int = 3
    video: bool = False
    other_offices: bool = False
    other_clinicians: bool = False
    until: date | None = None

    def written(self) -> dict[str, Any]:
        """As the plan's row keeps it."""
        return {
            "options": self.options,
            "video": self.video,
            "other_offices": self.other_offices,
            "other_clinicians": self.other_clinicians,
            "until": self.until and self.until.isoformat(),
        }


def allowed_by(replan: Replan) -> Allowed:
    """What the plan's row says about how far it may go."""
    kept = dict(replan.allowed)
    until = kept.pop("until")
    return Allowed(until=until and date.fromisoformat(until), **kept)


@dataclass(frozen=True, slots=True)
class Option:
    """A slot that a session of the plan could have, with its price and reasons as keys."""

    slot: Slot
    cost: int
    reasons: tuple[str, ...]
    only_room: bool = False  # Nothing else changes, which is the practice's business alone.

    def written(self) -> dict[str, Any]:
        """As the row of the session keeps it."""
        return {
            "start": minutes(self.slot.starts_at),
            "end": minutes(self.slot.ends_at),
            "clinician": self.slot.clinician_id,
            "location": self.slot.location_id,
            "clinician_location": self.slot.clinician_location_id,
            "room": self.slot.room_id,
            "modality": self.slot.modality.value,
            "swaps": [astuple(swap) for swap in self.slot.swaps],
            "cost": self.cost,
            "reasons": list(self.reasons),
            "only_room": self.only_room,
        }


def options_of(row: ReplanRow) -> list[Option]:
    """The slots found for a session, the best first."""
    return [
        Option(
            Slot(
                starts_at=instant(kept["start"]),
                ends_at=instant(kept["end"]),
                clinician_id=kept["clinician"],
                location_id=kept["location"],
                clinician_location_id=kept["clinician_location"],
                room_id=kept["room"],
                modality=Modality(kept["modality"]),
                swaps=tuple(RoomSwap(*each) for each in kept["swaps"]),
            ),
            kept["cost"],
            tuple(kept["reasons"]),
            kept["only_room"],
        )
        for kept in row.options
    ]


def is_current(row: ReplanRow) -> bool:
    """Whether its options were found for the session as it is now."""
    return bool(row.version == row.appointment.version)


def keeps_its_time(row: ReplanRow) -> bool:
    """Whether only its room changes."""
    return bool(row.options) and bool(row.options[0]["only_room"])


def within(blocked: BlockedTime, source: type[Appointment] | type[OfferedSlot]) -> Expression:
    """The condition that a session, or a slot on offer, cannot be held because of `blocked`."""
    during = (source.starts_at < blocked.ends_at) & (source.ends_at > blocked.starts_at)
    if blocked.clinician_id is not None:
        return during & (source.clinician == blocked.clinician_id)
    if blocked.room_id is not None:
        return during & (source.room == blocked.room_id)
    return during & (source.location == blocked.location_id)


def is_within(blocked: BlockedTime, appointment: Appointment) -> bool:
    """The same of one appointment, as it is now."""
    during = appointment.starts_at < blocked.ends_at and appointment.ends_at > blocked.starts_at
    if blocked.clinician_id is not None:
        return during and appointment.clinician_id == blocked.clinician_id
    if blocked.room_id is not None:
        return during and appointment.room_id == blocked.room_id
    return during and appointment.location_id == blocked.location_id


def hit(blocked: BlockedTime, *, now: datetime) -> list[Appointment]:
    """The sessions to come, and the requests that wait, which cannot be held at their time."""
    return list(
        Appointment.select(Appointment, Client)
        .join(Client)
        .where(
            within(blocked, Appointment),
            Appointment.starts_at > now,
            (Appointment.state == State.CONFIRMED)
            | ((Appointment.state == State.REQUESTED) & (Appointment.answer_by > now)),
        )
        .order_by(Appointment.starts_at, Appointment.id)
    )


class Standing(StrEnum):
    """What has become of a session of a plan."""

    OPEN = "open"  # It needs another time, or another room.
    MOVING = "moving"  # Its client has asked for another time already.
    ANEW = "anew"  # Its client, to whom one was owed, has another session or asked for one.
    WAITING = "waiting"  # Its client has slots to choose from.
    CHOSEN = "chosen"  # Its client took one.
    HOUSED = "housed"  # Same time, another room.
    GONE = "gone"  # Cancelled, attended, answered in another way.


def standing(
    row: ReplanRow,
    blocked: BlockedTime,
    *,
    moving: Container[int],
    anew: Container[int],
    now: datetime,
) -> Standing:
    """Where a row is now; `moving` are the sessions that undecided requests would replace.

    `anew` are those that were owed, and for which the clients have others by now.
    """
    appointment: Appointment = row.appointment
    state, same_time = appointment.status, appointment.starts_at == row.starts_at
    if state is State.OFFERED:
        return Standing.WAITING
    moved = row.approved_at is not None and not keeps_its_time(row)
    stands = state in (State.CONFIRMED, State.REQUESTED) and appointment.starts_at > now
    if stands and same_time and (not moved or is_within(blocked, appointment)):
        if blocked.removed_at is not None:
            return Standing.GONE  # It can be held after all.
        if appointment.id in moving:
            return Standing.MOVING
        return Standing.OPEN if is_within(blocked, appointment) else Standing.HOUSED
    if appointment.id in anew:
        return Standing.ANEW
    if appointment.displaced_at is not None:
        return Standing.OPEN
    if state is State.DENIED and row.approved_at is not None:
        return Standing.OPEN  # None of the slots suited; the client is still to get one.
    if state in (State.CONFIRMED, State.ATTENDED, State.NO_SHOW) and (moved or not same_time):
        return Standing.CHOSEN
    return Standing.GONE


def moving_among(appointments: list[Appointment]) -> dict[int, int]:
    """Which of these sessions an undecided request would replace, and which request."""
    rows = Appointment.select(Appointment.replaces, Appointment.id).where(
        Appointment.replaces.in_([appointment.id for appointment in appointments]),
        Appointment.state.in_([State.REQUESTED, State.OFFERED]),
    )
    return dict(tuples(rows))


def owed(rows: Iterable[ReplanRow]) -> list[tuple[Appointment, datetime]]:
    """The sessions that lost their time and got no other one, each since when."""
    found: list[tuple[Appointment, datetime]] = []
    for row in rows:
        appointment: Appointment = row.appointment
        if appointment.status is State.CANCELLED_BY_PRACTICE and appointment.displaced_at:
            found.append((appointment, appointment.displaced_at))
        elif appointment.status is State.DENIED and row.approved_at is not None:
            found.append((appointment, row.approved_at))
    return found


def asked_anew(owed: Iterable[tuple[Appointment, datetime]]) -> set[int]:
    """Which of these sessions need no other time, since the client asked for one by themselves.

    A session counts once, so two that are owed need two.
    """
    left = list(owed)
    first = Appointment.alias()
    newer = (
        Appointment.select(Appointment.chain, Appointment.client, first.service, first.asked_at)
        .join(first, on=(first.id == Appointment.chain))
        .where(
            Appointment.client.in_([appointment.client_id for appointment, _ in left]),
            Appointment.chain.not_in([appointment.chain for appointment, _ in left]),
            Appointment.state.in_([*OPEN, State.ATTENDED, State.NO_SHOW]),
        )
        .distinct()
        .order_by(Appointment.chain)
    )
    found: set[int] = set()
    for _, client_id, service_id, asked_at in tuples(newer):
        for appointment, since in left:
            same = (appointment.client_id, appointment.service_id) == (client_id, service_id)
            if same and asked_at >= since and appointment.id not in found:
                found.add(appointment.id)
                break
    return found


def open_rows(replan: Replan, *, now: datetime) -> list[ReplanRow]:
    """The sessions of a plan that still need another time, in their order."""
    rows = list(
        ReplanRow.select(ReplanRow, Appointment, Client)
        .join(Appointment)
        .join(Client)
        .where(ReplanRow.replan == replan)
        .order_by(ReplanRow.starts_at, ReplanRow.id)
    )
    moving, anew = moving_among([row.appointment for row in rows]), asked_anew(owed(rows))
    return [
        row
        for row in rows
        if standing(row, replan.blocked, moving=moving, anew=anew, now=now) is Standing.OPEN
    ]


@dataclass(frozen=True, slots=True)
class Task:
    """A plan as the solver gets it; its requests are called as the rows' ids."""

    problem: solver.Problem
    rows: dict[str, ReplanRow]
    staying: list[tuple[ReplanRow, Option]]  # The same time in another room needs no search.


def task_for(replan: Replan, *, now: datetime) -> Task:
    """All open sessions of the plan together; pinned ones keep their slots, excluded ones stay."""
    the, allowed = plan(), allowed_by(replan)
    rows = [row for row in open_rows(replan, now=now) if not row.excluded]
    last = now + timedelta(days=the.practice.horizon_days + 1)
    if allowed.until is not None:
        last = min(last, wall(allowed.until, 0, the.zone(None)) + ONE_DAY)
    bare = facts(
        the,
        since=now,
        until=max(last, replan.blocked.ends_at),
        now=now,
        policy=solver.Policy(
            now=minutes(now),
            k=allowed.options,
            grid_minutes=the.practice.grid_minutes,
            dayparts=DAYPARTS,
            weights=WISHED,
        ),
    )
    leaving = {busy_ref(row.appointment.chain, row.appointment_id) for row in rows}
    bare = replace(bare, busy=tuple(busy for busy in bare.busy if busy.ref not in leaving))
    pinned = [row for row in rows if row.pinned and is_current(row)]
    for row in pinned:
        bare = _holding(bare, row, [option.slot for option in options_of(row)])
    searched = [row for row in rows if row not in pinned]
    staying: list[tuple[ReplanRow, Option]] = []
    if replan.blocked.room_id is not None:
        bare, staying = _staying(the, bare, searched)
    kept = {row.id for row, _ in staying}
    searched = [row for row in searched if row.id not in kept]
    refused = _refused(searched)
    requests = tuple(
        replace(
            _request(the, row, bare, allowed),
            refused_starts=frozenset(refused.get(row.appointment_id, ())),
            may_repeat_asked=True,  # With a colleague, or by video, it may be as good as before.
            earliest=minutes(now),
            latest=minutes(max(last, now + ONE_DAY)),
        )
        for row in searched
    )
    problem = solver.validate(replace(bare, requests=requests))
    return Task(problem, {str(row.id): row for row in searched}, staying)


def _holding(problem: solver.Problem, row: ReplanRow, slots: list[Slot]) -> solver.Problem:
    """The same with these slots taken for the row's session, and the rooms as they then are."""
    busy = with_swaps(problem.busy, (swap for slot in slots for swap in slot.swaps))
    return replace(problem, busy=(*busy, *(_busy(row, slot) for slot in slots)))


def _busy(row: ReplanRow, slot: Slot) -> solver.Busy:
    appointment: Appointment = row.appointment
    return solver.Busy(
        ref=f"{appointment.chain}:held at {minutes(slot.starts_at)}",
        kind=solver.BusyKind.HELD,
        start=minutes(slot.starts_at),
        end=minutes(slot.ends_at),
        clinician=str(slot.clinician_id),
        clients=tuple(str(person) for person in appointment.client.person_ids),
        room=None if slot.room_id is None else str(slot.room_id),
        location=None if slot.clinician_location_id is None else str(slot.clinician_location_id),
        buffer_before=appointment.buffer_before,
        buffer_after=appointment.buffer_after,
    )


def _staying(
    the: Plan, problem: solver.Problem, rows: list[ReplanRow]
) -> tuple[solver.Problem, list[tuple[ReplanRow, Option]]]:
    """Sessions of a closed room that another room can have at the same time, one after another."""
    staying: list[tuple[ReplanRow, Option]] = []
    for row in rows:
        appointment: Appointment = row.appointment
        request = request_for(the, wish_of(appointment), problem)
        place = Place(
            str(appointment.clinician_id),
            str(appointment.clinician_location_id),
            solver.Modality(appointment.modality),
        )
        start = minutes(row.starts_at)
        broken = {*candidates.broken_rules(problem, request, place, start)} - STAFF_MAY_WAIVE
        if appointment.starts_at != row.starts_at or broken:
            continue
        room, swaps = room_for(problem, request, place, start)
        slot = Slot(
            starts_at=appointment.starts_at,
            ends_at=appointment.ends_at,
            clinician_id=appointment.clinician_id,
            location_id=appointment.location_id,
            clinician_location_id=appointment.clinician_location_id,
            room_id=room,
            modality=Modality(appointment.modality),
            swaps=swaps,
        )
        staying.append((row, Option(slot, 0, (), only_room=True)))
        problem = _holding(problem, row, [slot])
    return problem, staying


def _refused(rows: list[ReplanRow]) -> dict[int, list[int]]:
    """What each client was offered before and did not take."""
    found: dict[int, list[int]] = {}
    for appointment_id, start in tuples(
        OfferedSlot.select(OfferedSlot.appointment, OfferedSlot.starts_at).where(
            OfferedSlot.appointment.in_([row.appointment_id for row in rows])
        )
    ):
        found.setdefault(appointment_id, []).append(minutes(start))
    return found


def _request(
    the: Plan, row: ReplanRow, problem: solver.Problem, allowed: Allowed
) -> solver.Request:
    """One session of the plan: what it was, and what else would do."""
    appointment: Appointment = row.appointment
    service = the.services[appointment.service_id]
    modalities = {solver.Modality(appointment.modality)}
    if allowed.video and service.video:
        modalities.add(solver.Modality.TELEHEALTH)
    clinicians = [appointment.clinician_id]
    if allowed.other_clinicians or row.other_clinicians:
        clinicians += [
            c.id
            for c in the.clinicians.values()
            if c.active and c.id != appointment.clinician_id and (c.id, service.id) in the.offers
        ]
    office = None if appointment.location_id is None else str(appointment.location_id)
    return replace(
        request_for(the, wish_of(appointment), problem),
        id=str(row.id),
        asked_start=minutes(row.starts_at),
        asked_clinician=str(appointment.clinician_id),
        asked_location=office,
        asked_room=None if appointment.room_id is None else str(appointment.room_id),
        asked_modality=solver.Modality(appointment.modality),
        allowed_modalities=frozenset(modalities),
        allowed_clinicians=tuple(map(str, clinicians)),
        allowed_locations=None if allowed.other_offices else frozenset(filter(None, [office])),
        preferred_weekdays=frozenset(appointment.wish.get("weekdays", ())),
        preferred_dayparts=frozenset(appointment.wish.get("dayparts", ())),
    )


def found_in(result: solver.Result) -> dict[str, list[Option]]:
    """The options of each request, the best first."""
    found: dict[str, list[Option]] = {}
    for proposal in sorted(result.proposals, key=lambda proposal: proposal.rank):
        option = Option(slot_from(proposal), proposal.cost, tuple(proposal.reasons))
        found.setdefault(proposal.request, []).append(option)
    return found


def told(explanation: solver.Explanation | None) -> dict[str, Any] | None:
    """An explanation as the row of the session keeps it."""
    if explanation is None:
        return None
    return {
        "starts": explanation.starts,
        "relaxations": [
            {"groups": [group.value for group in each.groups], "starts": each.starts}
            for each in explanation.relaxations
        ],
    }
