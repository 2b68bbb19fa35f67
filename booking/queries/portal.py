"""What the client's pages read."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from peewee import JOIN, ModelSelect, Value

from booking import gateway
from booking.availability import plan
from booking.db import prepared
from booking.gateway import NotYours
from booking.lifecycle import HOLDS_ITS_TIME, OPEN, State
from booking.models import (
    Access,
    Account,
    Appointment,
    Client,
    Clinician,
    History,
    Location,
    OfferedSlot,
    OfferState,
    Relation,
    Service,
)

PAST_ON_A_PAGE = 20

# Over, but shown among the upcoming until their date, so that people see what became of a wish.
RECENTLY_ENDED = frozenset(
    {
        State.DENIED,
        State.EXPIRED,
        State.CANCELLED_BY_CLIENT,
        State.CANCELLED_BY_PRACTICE,
        State.LATE_CANCELLED,
    }
)


@dataclass(frozen=True, slots=True)
class Appointments:
    """The «Citas» tab: what is to come, and whether there is a past to look at."""

    upcoming: list[Appointment]
    moving: frozenset[int]  # Ids of sessions that an undecided request would replace.
    has_past: bool


def appointments(account: Account, *, now: datetime) -> Appointments:
    """Upcoming requests and sessions: what waits for the client first, then by date."""
    upcoming = list(
        _appointments(account)
        .where(
            (Appointment.state.in_(list(OPEN)) & (Appointment.ends_at > now))
            | ((Appointment.state == State.OFFERED) & (Appointment.answer_by > now))
            | (Appointment.state.in_(list(RECENTLY_ENDED)) & (Appointment.starts_at > now))
        )
        .order_by(Appointment.state != State.OFFERED, Appointment.starts_at, Appointment.id)
        .limit(100)
    )
    moving = frozenset(
        a.replaces_id
        for a in upcoming
        if a.replaces_id is not None and a.status in (State.REQUESTED, State.OFFERED)
    )
    return Appointments(upcoming, moving, _past(account, now).exists())


def holds(account: Account, starts_at: datetime) -> bool:
    """Whether somebody that the account acts for has that time, or waits for it."""
    mine = _appointments(account)
    at_that_time = mine.where(
        Appointment.starts_at == starts_at, Appointment.state.in_(list(HOLDS_ITS_TIME))
    )
    return bool(at_that_time.exists())


def past(account: Account, *, page: int, now: datetime) -> tuple[list[Appointment], bool]:
    """Sessions that are over, latest first, and whether there are older ones."""
    rows = list(
        _past(account, now)
        .order_by(Appointment.starts_at.desc(), Appointment.id.desc())
        .limit(PAST_ON_A_PAGE + 1)
        .offset((page - 1) * PAST_ON_A_PAGE)
    )
    return rows[:PAST_ON_A_PAGE], len(rows) > PAST_ON_A_PAGE


def _past(account: Account, now: datetime) -> "ModelSelect[Appointment]":
    return _appointments(account).where(
        Appointment.ends_at <= now, Appointment.state.not_in([State.MOVED, State.OFFERED])
    )


def _appointments(account: Account) -> "ModelSelect[Appointment]":
    return _joined().where(gateway.scope(gateway.client(account)))


def _joined() -> "ModelSelect[Appointment]":
    return (
        Appointment.select(Appointment, Client, Service, Clinician, Location)
        .join(Client)
        .switch(Appointment)
        .join(Service)
        .switch(Appointment)
        .join(Clinician)
        .switch(Appointment)
        .join(Location, JOIN.LEFT_OUTER, on=Appointment.location)
    )


def appointment(account: Account, appointment_id: int) -> Appointment:
    """One appointment of this account.

    Raises:
        NotYours: no such row, or somebody else's.
    """
    found = _appointments(account).where(Appointment.id == appointment_id).first()
    if found is None:
        raise NotYours
    row: Appointment = found
    return row


def last(account: Account) -> Appointment | None:
    """What this account asked for last, whatever became of it."""
    found: Appointment | None = _appointments(account).order_by(Appointment.id.desc()).first()
    return found


def history(appointment: Appointment) -> list[History]:
    """What happened to the appointment, oldest first."""
    return list(
        History.select().where(History.appointment == appointment).order_by(History.version)
    )


def before(appointment: Appointment) -> Appointment | None:
    """What this appointment replaces, or would replace."""
    if appointment.replaces_id is None:
        return None
    return Appointment.get_by_id(appointment.replaces_id)


def offers(appointment: Appointment, *, now: datetime) -> list[OfferedSlot]:
    """The slots still held for the client, by date."""
    return list(
        OfferedSlot.select(OfferedSlot, Clinician, Location)
        .join(Clinician)
        .switch(OfferedSlot)
        .join(Location, JOIN.LEFT_OUTER, on=OfferedSlot.location)
        .where(
            OfferedSlot.appointment == appointment,
            OfferedSlot.state == OfferState.HELD,
            OfferedSlot.held_until > now,
        )
        .order_by(OfferedSlot.starts_at)
    )


def people(account: Account) -> list[Client]:
    """Whom the account may ask for: the holder first."""
    order = {Relation.SELF.value: 0, Relation.GUARDIAN.value: 1, Relation.PARTNER.value: 2}
    rows = _people(account.id)
    return [a.client for a in sorted(rows, key=lambda a: (order[a.relation], a.client_id))]


@prepared
def _people(account: Value) -> "ModelSelect[Access]":
    return Access.select(Access, Client).join(Client).where(Access.account == account)


def own_clinician(account: Account) -> int | None:
    """The clinician whom the account's people see: as recorded, else whom they saw last."""
    own = people(account)
    recorded = next((client.clinician_id for client in own if client.clinician_id), None)
    if recorded is not None or not own:
        return recorded
    last = (
        Appointment.select(Appointment.clinician)
        .where(Appointment.client.in_([c.id for c in own]))
        .order_by(Appointment.starts_at.desc())
        .first()
    )
    return None if last is None else last.clinician_id


def zone(appointment: Appointment | OfferedSlot, account: Account | None) -> ZoneInfo:
    """Where the reader is: at the office, or by video in their own zone."""
    return zone_at(appointment.location_id, account)


def zone_at(location_id: int | None, account: Account | None) -> ZoneInfo:
    """The zone in which a place's times are shown to an account; `None` is by video."""
    if location_id is None and account is not None and account.zone:
        return ZoneInfo(account.zone)
    return plan().zone(location_id)
