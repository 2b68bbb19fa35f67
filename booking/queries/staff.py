"""What the clinicians' and managers' pages read."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from peewee import Expression, ModelSelect, Value, fn

from booking import gateway
from booking.availability import ONE_DAY, Plan, RoomSwap, Wish, instant, plan, wall
from booking.gateway import Actor, NotYours, Role
from booking.lifecycle import OPEN, State
from booking.models import (
    Access,
    Account,
    Appointment,
    BlockedTime,
    Client,
    Clinician,
    Delivery,
    Factor,
    History,
    Location,
    Modality,
    OfferedSlot,
    OfferState,
    OutboxMessage,
    Replan,
    Room,
    Service,
    Withdrawn,
    folded,
)
from booking.replanning import within

MOST_ROWS = 100
MOST_CLIENTS = 50


def clinicians(the: Plan, actor: Actor) -> list[Clinician]:
    """Whose agendas the actor may see: their own first, a manager all of them."""
    own = actor.account.clinician_id if actor.account else None
    return sorted(
        (
            c
            for c in the.clinicians.values()
            if c.id == own or (c.active and actor.role is Role.MANAGER)
        ),
        key=lambda c: (c.id != own, c.position, c.id),
    )


def _joined() -> "ModelSelect[Appointment]":
    rows: ModelSelect[Appointment] = (
        Appointment.select(Appointment, Client, Service, Clinician, Location, Room, Account)
        .join(Client)
        .switch(Appointment)
        .join(Service)
        .switch(Appointment)
        .join(Clinician)
        .switch(Appointment)
        .join(Location, "LEFT OUTER JOIN", on=Appointment.location)
        .switch(Appointment)
        .join(Room, "LEFT OUTER JOIN")
        .switch(Appointment)
        .join(Account, "LEFT OUTER JOIN")
    )
    return rows


def appointment(actor: Actor, appointment_id: int) -> Appointment:
    """One appointment in this actor's scope.

    Raises:
        NotYours: no such row, or another clinician's.
    """
    found = _joined().where(Appointment.id == appointment_id, gateway.scope(actor)).first()
    if found is None:
        raise NotYours
    row: Appointment = found
    return row


def pending(
    actor: Actor, *, clinician: Clinician | None, now: datetime
) -> tuple[list[Appointment], int]:
    """Requests that wait for an answer, the oldest first, and how many there are in all."""
    rows = _pending(actor, now)
    if clinician is not None:
        rows = rows.where(Appointment.clinician == clinician)
    found = list(rows.limit(MOST_ROWS))
    return found, len(found) if len(found) < MOST_ROWS else rows.count()


def next_pending(actor: Actor, *, now: datetime) -> Appointment | None:
    """The request that has waited longest."""
    found: Appointment | None = _pending(actor, now).first()
    return found


def _pending(actor: Actor, now: datetime) -> "ModelSelect[Appointment]":
    return (
        _joined()
        .where(
            gateway.scope(actor), Appointment.state == State.REQUESTED, Appointment.answer_by > now
        )
        .order_by(Appointment.asked_at, Appointment.id)
    )


def history(appointment: Appointment) -> list[History]:
    """What happened to the appointment and who did it, oldest first."""
    return list(
        History.select(History, Account)
        .join(Account, "LEFT OUTER JOIN")
        .where(History.appointment == appointment)
        .order_by(History.version)
    )


def undelivered(appointment: Appointment) -> list[OutboxMessage]:
    """The messages about an appointment that reached nobody: the last one for each address."""
    rows = (
        OutboxMessage.select()
        .where(
            OutboxMessage.appointment == appointment,
            OutboxMessage.state == Delivery.DEAD,
            OutboxMessage.error.not_in(list(Withdrawn)),
        )
        .order_by(OutboxMessage.id)
    )
    return list({row.recipient: row for row in rows}.values())


def unreached(actor: Actor, *, now: datetime) -> list[Appointment]:
    """Open appointments still to come of which somebody did not hear; the next ones first."""
    dead = OutboxMessage.select(OutboxMessage.appointment).where(
        OutboxMessage.appointment.is_null(False),
        OutboxMessage.state == Delivery.DEAD,
        OutboxMessage.error.not_in(list(Withdrawn)),
    )
    return list(
        _joined()
        .where(
            gateway.scope(actor),
            Appointment.state.in_(OPEN),
            Appointment.starts_at > now,
            Appointment.id.in_(dead),
        )
        .order_by(Appointment.starts_at, Appointment.id)
        .limit(MOST_ROWS)
    )


@dataclass(frozen=True, slots=True)
class RoomChange:
    """A session that goes, or went, from one room to another at its own time."""

    starts_at: datetime
    zone: ZoneInfo
    before: Room
    after: Room


def room_changes(swaps: Iterable[RoomSwap]) -> dict[RoomSwap, RoomChange]:
    """What the swaps that a slot needs mean for the sessions that make room; two queries.

    Whoever is not there any more makes no room.
    """
    the, swaps = plan(), list(swaps)
    whole = [swap.appointment_id for swap in swaps if swap.offer_id is None]
    rows: dict[tuple[int, int | None], Appointment | OfferedSlot] = {
        (row.id, None): row for row in Appointment.select().where(Appointment.id.in_(whole))
    }
    held = [swap.offer_id for swap in swaps if swap.offer_id is not None]
    for slot in OfferedSlot.select().where(OfferedSlot.id.in_(held)):
        rows[slot.appointment_id, slot.id] = slot
    return {
        swap: RoomChange(
            row.starts_at,
            the.zone(row.clinician_location_id),
            before,
            the.rooms[swap.room_id],
        )
        for swap in swaps
        if (row := rows.get((swap.appointment_id, swap.offer_id)))
        and (before := the.rooms.get(row.room_id or 0))
    }


def past_room_changes(change: History) -> list[RoomChange]:
    """Who changed rooms so that this could happen."""
    the = plan()
    return [
        RoomChange(
            datetime.fromtimestamp(moved["starts_at"], UTC),
            the.zone(the.rooms[moved["to"]].location_id),
            the.rooms[moved["from"]],
            the.rooms[moved["to"]],
        )
        for moved in change.detail.get("rooms", [])
    ]


class Takes(StrEnum):
    """What takes, or makes, a clinician's time."""

    HOURS = "hours"  # Working hours: what the rest lies in.
    SESSION = "session"
    REQUEST = "request"
    HOLD = "hold"  # A slot that is offered, and kept for one client.
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of an agenda; minutes before and after are the clinician's own."""

    takes: Takes
    starts_at: datetime
    ends_at: datetime
    zone: ZoneInfo
    location: Location | None = None
    room: Room | None = None
    video: bool = False
    appointment: Appointment | None = None
    blocked: BlockedTime | None = None
    before: int = 0
    after: int = 0
    all_day: bool = False

    def meets(self, start: datetime, end: datetime) -> bool:
        """Whether it lies, minutes before and after included, on some of the stretch."""
        return self.starts_at - timedelta(minutes=self.before) < end and start < (
            self.ends_at + timedelta(minutes=self.after)
        )


@dataclass(frozen=True, slots=True)
class Day:
    """A clinician's day: `remark` names the holiday, or says why it is not as every week."""

    day: date
    remark: str
    items: list[Item]


def agenda(clinician_id: int, first: date, days: int = 1) -> list[Day]:
    """A clinician's days, each in order of time; three queries, however many days."""
    the = plan()
    wanted = [first + timedelta(days=n) for n in range(days)]
    home = the.zone(None)
    since, until = wall(first, 0, home) - ONE_DAY, wall(wanted[-1], 0, home) + 2 * ONE_DAY
    taken = [
        *_sessions(
            the,
            (Appointment.clinician == clinician_id) & Appointment.starts_at.between(since, until),
        ),
        *_holds(
            the,
            (OfferedSlot.clinician == clinician_id) & OfferedSlot.starts_at.between(since, until),
        ),
    ]
    blocked = _blocked(clinician_id, since, until)
    order = list(Takes)
    return [
        Day(
            day,
            the.holidays.get(day, "") or _why_different(the, clinician_id, day),
            sorted(
                [
                    *_hours(the, clinician_id, day),
                    *(i for i in taken if i.starts_at.astimezone(i.zone).date() == day),
                    *_blocked_on(day, blocked, home),
                ],
                key=lambda item: (item.starts_at, order.index(item.takes)),
            ),
        )
        for day in wanted
    ]


def _hours(the: Plan, clinician_id: int, day: date) -> Iterator[Item]:
    for block in the.blocks(clinician_id, day):
        place = None if block.location is None else the.locations[int(block.location)]
        yield Item(
            takes=Takes.HOURS,
            starts_at=instant(block.window.start),
            ends_at=instant(block.window.end),
            zone=the.zone(place.id if place else None),
            location=place,
            video=any(modality.value == Modality.VIDEO for modality in block.modalities),
        )


def _why_different(the: Plan, clinician_id: int, day: date) -> str:
    hours = the.hours.get(clinician_id, ())
    return next((row.reason for row in hours if row.day == day and row.reason), "")


def _sessions(the: Plan, which: Expression) -> Iterator[Item]:
    shown = [State.REQUESTED, State.CONFIRMED, State.ATTENDED, State.NO_SHOW]
    for row in _joined().where(which, Appointment.state.in_(shown)):
        yield _item(
            the, Takes.REQUEST if row.status is State.REQUESTED else Takes.SESSION, row, row
        )


def _holds(the: Plan, which: Expression) -> Iterator[Item]:
    for slot in (
        OfferedSlot.select(OfferedSlot, Appointment, Client, Service)
        .join(Appointment)
        .join(Client)
        .switch(Appointment)
        .join(Service)
        .where(which, OfferedSlot.state == OfferState.HELD)
    ):
        yield _item(the, Takes.HOLD, slot, slot.appointment)


def _item(
    the: Plan, takes: Takes, slot: Appointment | OfferedSlot, appointment: Appointment
) -> Item:
    return Item(
        takes=takes,
        starts_at=slot.starts_at,
        ends_at=slot.ends_at,
        zone=the.zone(slot.clinician_location_id),
        location=the.locations.get(slot.clinician_location_id or 0),
        room=the.rooms.get(slot.room_id or 0),
        video=slot.modality == Modality.VIDEO,
        appointment=appointment,
        before=appointment.buffer_before,
        after=appointment.buffer_after,
    )


def _blocked(clinician_id: int, since: datetime, until: datetime) -> list[BlockedTime]:
    return list(
        BlockedTime.select(BlockedTime, Location)
        .join(Location, "LEFT OUTER JOIN")
        .where(
            (BlockedTime.clinician == clinician_id) | BlockedTime.location.is_null(False),
            BlockedTime.starts_at < until,
            BlockedTime.ends_at > since,
            BlockedTime.removed_at.is_null(),
        )
    )


def _blocked_on(day: date, rows: list[BlockedTime], zone: ZoneInfo) -> Iterator[Item]:
    """What of the blocked times falls on a day: one of several days is on each of them."""
    opens, closes = wall(day, 0, zone), wall(day, 24 * 60, zone)
    for row in rows:
        start, end = max(row.starts_at, opens), min(row.ends_at, closes)
        if start < end:
            yield Item(
                takes=Takes.BLOCKED,
                starts_at=start,
                ends_at=end,
                zone=zone,
                location=row.location,
                blocked=row,
                all_day=(start, end) == (opens, closes),
            )


def zone_on(the: Plan, clinician_id: int, day: date) -> ZoneInfo:
    """The zone of the office where a clinician's day begins; without one, the practice's."""
    return next((item.zone for item in _hours(the, clinician_id, day)), the.zone(None))


def obstacles(wish: Wish, starts_at: datetime) -> list[Item]:
    """What the clinician does on the day of a time that cannot be had, nearest to it first."""
    the = plan()
    day = starts_at.astimezone(the.zone(wish.location_id)).date()
    items = [item for c in wish.clinician_ids for item in agenda(c, day)[0].items]
    return nearest(items, wish, starts_at)


def nearest(items: list[Item], wish: Wish, starts_at: datetime) -> list[Item]:
    """What of a day can be in the way of a wish, nearest to a time first."""
    found = [
        item
        for item in items
        if item.takes in (Takes.SESSION, Takes.REQUEST, Takes.HOLD)
        and item.appointment is not None
        and item.appointment.chain != wish.chain
    ]
    return sorted(found, key=lambda item: abs(item.starts_at - starts_at))


def is_closed(wish: Wish, starts_at: datetime) -> bool:
    """Whether the office of a wish is closed for some of the time, whoever would come."""
    ends_at = starts_at + timedelta(minutes=plan().services[wish.service_id].minutes)
    found: bool = (
        wish.location_id is not None
        and BlockedTime.select()
        .where(
            BlockedTime.location == wish.location_id,
            BlockedTime.starts_at < ends_at,
            BlockedTime.ends_at > starts_at,
            BlockedTime.removed_at.is_null(),
        )
        .exists()
    )
    return found


def blocked_time(actor: Actor, blocked_id: int) -> BlockedTime:
    """One blocked time in this actor's scope.

    Raises:
        NotYours: no such row, or another clinician's.
    """
    row = BlockedTime.get_or_none(BlockedTime.id == blocked_id)
    if row is None or (
        actor.role is not Role.MANAGER
        and (
            actor.account is None
            or row.clinician_id is None
            or row.clinician_id != actor.account.clinician_id
        )
    ):
        raise NotYours
    found: BlockedTime = row
    return found


def booked_within(blocked: BlockedTime) -> list[Item]:
    """What was there before the time was blocked, and stays until somebody moves it."""
    the = plan()
    found = [
        *_sessions(the, within(blocked, Appointment)),
        *_holds(the, within(blocked, OfferedSlot)),
    ]
    return sorted(found, key=lambda item: item.starts_at)


def holds_within(blocked: BlockedTime) -> list[Item]:
    """Slots kept for clients who cannot have them any more."""
    return sorted(_holds(plan(), within(blocked, OfferedSlot)), key=lambda item: item.starts_at)


def plan_of(blocked: BlockedTime) -> int | None:
    """The joint plan for what is booked in a blocked time, if there is one."""
    found = Replan.get_or_none(Replan.blocked == blocked)
    return None if found is None else int(found.id)


def _clients(actor: Actor) -> "ModelSelect[Client]":
    """A clinician's own, by record or by an appointment; the rest are a manager's to know.

    Whoever registered online and asked nobody for anything has told nobody here: docs/adr/0026.
    """
    rows = Client.select()
    if actor.role is Role.MANAGER:
        return rows
    mine = actor.account.clinician_id if actor.account else None
    seen = Appointment.select(Appointment.id).where(
        Appointment.client == Client.id, Appointment.clinician == mine
    )
    return rows.where((Client.clinician == mine) | fn.EXISTS(seen))


def clients(actor: Actor, text: str) -> tuple[list[Client], bool]:
    """Clients whose name, e-mail or telephone has `text` in it, and whether there are more."""
    rows = _clients(actor).where(Client.erased_at.is_null(), _has(folded(text).split()))
    found = list(rows.order_by(Client.folded, Client.id).limit(MOST_CLIENTS + 1))
    return found[:MOST_CLIENTS], len(found) > MOST_CLIENTS


def _has(words: list[str]) -> Any:
    named: Any = Value(True)
    for word in words:
        named &= Client.folded.contains(word) | Client.email.contains(word)
    number = "".join(c for c in "".join(words) if c.isdigit())
    if len(number) < 4 or any(c.isalpha() for word in words for c in word):
        return named
    phone: Any = Client.phone
    for sign in "+-.() ":
        phone = fn.REPLACE(phone, sign, "")
    return named | phone.contains(number)


def client(actor: Actor, client_id: int) -> Client:
    """One client in this actor's scope.

    Raises:
        NotYours: no such row, or only another clinician's.
    """
    found = _clients(actor).where(Client.id == client_id).first()
    if found is None:
        raise NotYours
    row: Client = found
    return row


def knows(actor: Actor, email: str) -> bool:
    """Whether a client with this address is one whom the actor may know of."""
    found: bool = (
        actor.role is Role.MANAGER or _clients(actor).where(Client.email == email).exists()
    )
    return found


def contacts(client: Client) -> list[Account]:
    """The accounts that act for a client."""
    return list(Account.select().join(Access).where(Access.client == client).order_by(Account.id))


def appointments_of(
    actor: Actor, client: Client, *, now: datetime
) -> tuple[list[Appointment], list[Appointment]]:
    """A client's appointments in the actor's scope: open ones by date, others latest first."""
    rows = _joined().where(Appointment.client == client, gateway.scope(actor))
    found = list(rows.order_by(Appointment.starts_at.desc(), Appointment.id).limit(MOST_ROWS))
    upcoming = [a for a in found if a.status in OPEN and (a.ends_at > now or a.answer_by)]
    return upcoming[::-1], [a for a in found if a not in upcoming and a.status is not State.MOVED]


def team() -> list[tuple[Account, Factor | None]]:
    """The practice's own accounts, each with its second factor."""
    factors = {factor.account_id: factor for factor in Factor.select()}
    staff = (
        Account.select()
        .where(Account.manager | Account.clinician.is_null(False), Account.disabled_at.is_null())
        .order_by(Account.name, Account.id)
    )
    return [(account, factors.get(account.id)) for account in staff]
