"""A sick day, a closed room or office: block the time, plan for all it hits, move them at once."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from peewee import Expression, ForeignKeyField

import solver.problem
from booking import availability, gateway, replanning
from booking.availability import STAFF_MAY_WAIVE, Rule
from booking.gateway import Actor, ChangedMeanwhile, Key, NotYours, once
from booking.lifecycle import HOLDS_ITS_TIME, IllegalTransition, State
from booking.models import Appointment, BlockedTime, Client, Replan, ReplanRow, ReplanState
from booking.occupancy import SlotTaken
from booking.operations.agenda import own_time
from booking.operations.deciding import OffersOverlap, deny, displace
from booking.replanning import Allowed, asked_anew, is_current, keeps_its_time, options_of, owed

CHANGED = "changed"  # What a row's refusal says when the session is not what it was.
AT_WORK = (ReplanState.QUEUED, ReplanState.RUNNING)


class AlreadyPlanned(Exception):
    """There is a plan for some of that time; its id leads there."""

    def __init__(self, replan_id: int) -> None:
        super().__init__(replan_id)
        self.replan_id = replan_id


class AlreadyReported(Exception):
    """All of that time is blocked already; the id leads to where it is."""

    def __init__(self, blocked_id: int) -> None:
        super().__init__(blocked_id)
        self.blocked_id = blocked_id


class NothingToMove(Exception):
    """No session has to leave that time."""


class TooManySessions(Exception):
    """More sessions are hit than one plan can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Who or what is suddenly not there: one of the three."""

    clinician_id: int | None = None
    room_id: int | None = None
    location_id: int | None = None


@once(BlockedTime)
def report_absence(
    missing: Missing,
    starts_at: datetime,
    ends_at: datetime,
    *,
    reason: str,
    allowed: Allowed,
    actor: Actor,
    now: datetime,
    key: Key | None = None,
) -> BlockedTime:
    """Nobody can ask for that time from now on, and a plan is queued for what was booked in it.

    Raises:
        AlreadyPlanned: some of that time has a plan.
        AlreadyReported: it is all blocked.
        TooManySessions: divide the time.
    """
    with gateway.change(actor, now=now, key=key) as tx:
        own_time(actor, missing.clinician_id)
        earlier = _plan_within(missing, starts_at, ends_at)
        if earlier is not None:
            raise AlreadyPlanned(earlier.id)
        around = BlockedTime.get_or_none(
            _blocks(missing), BlockedTime.starts_at <= starts_at, BlockedTime.ends_at >= ends_at
        )
        if around is not None:
            raise AlreadyReported(around.id)
        blocked = BlockedTime.create(
            clinician=missing.clinician_id,
            room=missing.room_id,
            location=missing.location_id,
            starts_at=starts_at,
            ends_at=ends_at,
            reason=reason,
            created_at=now,
        )
        if replanning.hit(blocked, now=now):
            _queue(blocked, allowed, actor, now)
        return tx.answer(blocked)


@once(Replan)
def plan_for(
    blocked_id: int, *, allowed: Allowed, actor: Actor, now: datetime, key: Key | None = None
) -> Replan:
    """Queue a plan for what is booked in time that was blocked before; there is one at most.

    Raises:
        NothingToMove: a plan would have no session.
        TooManySessions: it would have more than it can hold.
    """
    with gateway.change(actor, now=now, key=key) as tx:
        blocked = BlockedTime.get_or_none(
            BlockedTime.id == blocked_id, BlockedTime.removed_at.is_null()
        )
        if blocked is None:
            raise NotYours
        own_time(actor, blocked.clinician_id)
        earlier = Replan.get_or_none(Replan.blocked == blocked)
        if earlier is None and not replanning.hit(blocked, now=now):
            raise NothingToMove
        return tx.answer(earlier or _queue(blocked, allowed, actor, now))


def _blocks(missing: Missing) -> Expression:
    """The condition that a blocked time still counts, and is about the same person or place."""
    return (
        BlockedTime.removed_at.is_null()
        & _is(BlockedTime.clinician, missing.clinician_id)
        & _is(BlockedTime.room, missing.room_id)
        & _is(BlockedTime.location, missing.location_id)
    )


def _is(column: ForeignKeyField, id_: int | None) -> Expression:
    return column.is_null() if id_ is None else column == id_


def _plan_within(missing: Missing, starts_at: datetime, ends_at: datetime) -> Replan | None:
    found: Replan | None = (
        Replan.select()
        .join(BlockedTime)
        .where(
            _blocks(missing),
            BlockedTime.starts_at < ends_at,
            BlockedTime.ends_at > starts_at,
        )
        .first()
    )
    return found


def _queue(blocked: BlockedTime, allowed: Allowed, actor: Actor, now: datetime) -> Replan:
    replan = Replan.create(
        blocked=blocked, account=actor.account, allowed=allowed.written(), created_at=now
    )
    _list(replan, now)
    return replan


def _list(replan: Replan, now: datetime) -> None:
    """Every session that is hit gets its row, if it has none yet."""
    listed = {row.appointment_id for row in ReplanRow.select().where(ReplanRow.replan == replan)}
    found = [a for a in replanning.hit(replan.blocked, now=now) if a.id not in listed]
    if len(listed) + len(found) > solver.problem.MOST_REQUESTS:
        raise TooManySessions
    for appointment in found:
        ReplanRow.create(
            replan=replan,
            appointment=appointment,
            version=appointment.version,
            starts_at=appointment.starts_at,
        )


@once(Replan)
def search_again(
    replan_id: int,
    *,
    run: int,
    allowed: Allowed,
    actor: Actor,
    now: datetime,
    key: Key | None = None,
) -> Replan:
    """Queue the plan once more, as its rows were adjusted; `run` is the search that was seen.

    Raises:
        ChangedMeanwhile: it is being searched, or was meanwhile.
    """
    with gateway.change(actor, now=now, key=key) as tx:
        replan = yours(actor, replan_id)
        if replan.state in AT_WORK or replan.run != run:
            raise ChangedMeanwhile(replan_id)
        Replan.update(
            state=ReplanState.QUEUED.value,
            allowed=allowed.written(),
            progress={},
            failure="",
            finished_at=None,
        ).where(Replan.id == replan_id).execute()
        _list(replan, now)
        return tx.answer(replan)


@once(Replan)
def stop(replan_id: int, *, actor: Actor, now: datetime, key: Key | None = None) -> Replan:
    """«Detener»: whoever works on the plan notices within a second or two, and stops."""
    with gateway.change(actor, now=now, key=key) as tx:
        replan = yours(actor, replan_id)
        Replan.update(state=ReplanState.CANCELLED.value, finished_at=now).where(
            Replan.id == replan_id, Replan.state.in_(AT_WORK)
        ).execute()
        return tx.answer(replan)


class Adjustment(StrEnum):
    """What somebody changes about one session of a plan, for the next search."""

    PIN = "fijar"
    UNPIN = "soltar"
    EXCLUDE = "dejar-fuera"
    INCLUDE = "incluir"
    ANY_CLINICIAN = "otro-profesional"
    OWN_CLINICIAN = "mismo-profesional"


_COLUMNS: dict[Adjustment, dict[str, bool]] = {
    Adjustment.PIN: {"pinned": True, "excluded": False},
    Adjustment.UNPIN: {"pinned": False},
    Adjustment.EXCLUDE: {"excluded": True, "pinned": False},
    Adjustment.INCLUDE: {"excluded": False},
    Adjustment.ANY_CLINICIAN: {"other_clinicians": True, "pinned": False},
    Adjustment.OWN_CLINICIAN: {"other_clinicians": False},
}


@once(ReplanRow)
def adjust(
    replan_id: int,
    row_id: int,
    adjustment: Adjustment,
    *,
    actor: Actor,
    now: datetime,
    key: Key | None = None,
) -> ReplanRow:
    """Pin, leave out, or widen one session; the next search honours it.

    Raises:
        ChangedMeanwhile: a search is under way.
    """
    with gateway.change(actor, now=now, key=key) as tx:
        replan = yours(actor, replan_id)
        row = ReplanRow.get_or_none(ReplanRow.id == row_id, ReplanRow.replan == replan)
        if row is None:
            raise NotYours
        nothing_to_pin = not row.options or not is_current(row)
        if replan.state in AT_WORK or (adjustment is Adjustment.PIN and nothing_to_pin):
            raise ChangedMeanwhile(replan_id)
        ReplanRow.update(**_COLUMNS[adjustment]).where(ReplanRow.id == row_id).execute()
        return tx.answer(row)


def yours(actor: Actor, replan_id: int) -> Replan:
    """The plan, if it is this actor's.

    Raises:
        NotYours: no such plan, or another clinician's.
    """
    replan = (
        Replan.select(Replan, BlockedTime).join(BlockedTime).where(Replan.id == replan_id).first()
    )
    if replan is None:
        raise NotYours
    own_time(actor, replan.blocked.clinician_id)
    found: Replan = replan
    return found


def approve(
    replan_id: int,
    row_ids: list[int],
    *,
    run: int,
    actor: Actor,
    now: datetime,
    key: Key | None = None,
) -> list[ReplanRow]:
    """Move the sessions of these rows, each in a transaction of its own; which could not be moved.

    One may go where another one still is, so those that fail are tried again while others go.

    Raises:
        ChangedMeanwhile: the plan was searched anew since it was seen.
    """
    replan = yours(actor, replan_id)
    stale = replan.run != run or replan.blocked.removed_at is not None
    if stale or replan.state in AT_WORK:
        raise ChangedMeanwhile(replan_id)
    left = list(
        ReplanRow.select(ReplanRow, Appointment, Client)
        .join(Appointment)
        .join(Client)
        .where(ReplanRow.replan == replan, ReplanRow.id.in_(row_ids))
        .order_by(ReplanRow.starts_at, ReplanRow.id)
    )
    tried = len(left) + 1
    while left and len(left) < tried:
        tried = len(left)
        left = [row for row in left if not _move(row, actor, now, key)]
    return left


def _move(row: ReplanRow, actor: Actor, now: datetime, key: Key | None) -> bool:
    """Whether it could be done; the row keeps why not."""
    own_key = None if key is None else Key(f"{key.value}.{row.id}", key.fingerprint)
    refusal: list[str] = []
    try:
        _do(row, actor, now, own_key)
    except availability.NotFree as taken:
        refusal = [rule.value for rule in taken.rules]
    except (SlotTaken, OffersOverlap):
        refusal = [Rule.AGENDA_HELD.value]
    except (ChangedMeanwhile, IllegalTransition):
        refusal = [CHANGED]
    with gateway.change(actor, now=now):
        if refusal and Appointment.get_by_id(row.appointment_id).status is State.OFFERED:
            return True  # Somebody else approved it a moment before.
        ReplanRow.update(
            refusal=refusal, approved_at=ReplanRow.approved_at if refusal else now
        ).where(ReplanRow.id == row.id).execute()
    return not refusal


def _do(row: ReplanRow, actor: Actor, now: datetime, key: Key | None) -> None:
    slots = tuple(option.slot for option in options_of(row))
    if not slots or asked_anew(owed([row])):
        raise ChangedMeanwhile(row.appointment_id)
    if keeps_its_time(row):
        change_room(row.appointment_id, version=row.version, actor=actor, now=now, key=key)
        return
    pending = row.appointment.status in (State.REQUESTED, State.DENIED)
    move = deny if pending else displace
    move(row.appointment_id, version=row.version, actor=actor, offers=slots, now=now, key=key)


@once(Appointment)
def change_room(
    appointment_id: int, *, version: int, actor: Actor, now: datetime, key: Key | None = None
) -> Appointment:
    """Another room for a session at its own time; nobody chose the room, so nobody is told.

    Raises:
        NotFree: no other room is free then.
    """
    with gateway.change(actor, now=now, key=key) as tx:
        appointment = tx.appointment(appointment_id, version=version)
        if appointment.status not in HOLDS_ITS_TIME:
            raise ChangedMeanwhile(appointment_id)
        slot = tx.claim(
            availability.wish_of(appointment),
            appointment.starts_at,
            waived=STAFF_MAY_WAIVE,
        )
        Appointment.update(room=slot.room_id).where(
            Appointment.id == appointment_id, Appointment.version == version
        ).execute()
        tx.touch(appointment)
        return tx.answer(appointment)
