"""What the pages of absences and joint plans read."""

from dataclasses import dataclass
from datetime import datetime

from booking.availability import Plan, RoomSwap
from booking.db import tuples
from booking.gateway import Actor, Role
from booking.models import (
    Account,
    Appointment,
    BlockedTime,
    Client,
    History,
    OfferedSlot,
    OfferState,
    Replan,
    ReplanRow,
    Service,
)
from booking.replanning import (
    Option,
    Standing,
    asked_anew,
    is_current,
    keeps_its_time,
    moving_among,
    options_of,
    owed,
    standing,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One session of a plan, with all that its line on the page tells."""

    row: ReplanRow
    standing: Standing
    options: list[Option]
    last_event: str
    held: int = 0  # Slots that its client can choose from now.
    moved_by: int | None = None  # The client's own request to move it.

    @property
    def appointment(self) -> Appointment:
        found: Appointment = self.row.appointment
        return found

    @property
    def to_approve(self) -> bool:
        """Whether approving it would do something."""
        return self._has_options and is_current(self.row)

    @property
    def outdated(self) -> bool:
        """Whether its options were found before something happened to it."""
        return self._has_options and not is_current(self.row)

    @property
    def _has_options(self) -> bool:
        return self.standing is Standing.OPEN and bool(self.options) and not self.row.excluded

    @property
    def stays(self) -> bool:
        """Whether only its room changes."""
        return keeps_its_time(self.row)

    @property
    def swaps(self) -> list[RoomSwap]:
        """Who has to change rooms for its slots, which are all held."""
        return [swap for option in self.options for swap in option.slot.swaps]

    @property
    def reachable(self) -> bool:
        """Whether a mail can reach its client."""
        account = self.appointment.account_id is not None
        return account or bool(self.appointment.client.email)


@dataclass(frozen=True, slots=True)
class Totals:
    """What the first choice of every session that is to be approved adds up to."""

    moved: int
    days: int
    clinicians: int
    offices: int
    videos: int


def lines(replan: Replan, *, now: datetime) -> list[Line]:
    """The plan's sessions in their order; five queries, however many they are."""
    rows = list(
        ReplanRow.select(ReplanRow, Appointment, Client, Service, Account)
        .join(Appointment)
        .join(Client)
        .switch(Appointment)
        .join(Service)
        .switch(Appointment)
        .join(Account, "LEFT OUTER JOIN")
        .where(ReplanRow.replan == replan)
        .order_by(ReplanRow.starts_at, ReplanRow.id)
    )
    ids = [row.appointment_id for row in rows]
    moving, anew = moving_among([row.appointment for row in rows]), asked_anew(owed(rows))
    events = dict(
        tuples(
            History.select(History.appointment, History.event)
            .join(Appointment)
            .where(Appointment.id.in_(ids), History.version == Appointment.version)
        )
    )
    held: dict[int, int] = {}
    for (appointment_id,) in tuples(
        OfferedSlot.select(OfferedSlot.appointment).where(
            OfferedSlot.appointment.in_(ids), OfferedSlot.state == OfferState.HELD
        )
    ):
        held[appointment_id] = held.get(appointment_id, 0) + 1
    return [
        Line(
            row=row,
            standing=standing(row, replan.blocked, moving=moving, anew=anew, now=now),
            options=options_of(row),
            last_event=events.get(row.appointment_id, ""),
            held=held.get(row.appointment_id, 0),
            moved_by=moving.get(row.appointment_id),
        )
        for row in rows
    ]


def totals(the: Plan, found: list[Line]) -> Totals:
    """Counted over what is to be approved and does not keep its time."""
    moved = days = clinicians = offices = videos = 0
    for line in found:
        if not line.to_approve or line.stays:
            continue
        slot, appointment = line.options[0].slot, line.appointment
        zone = the.zone(appointment.location_id)
        old, new = line.row.starts_at.astimezone(zone), slot.starts_at.astimezone(zone)
        moved += 1
        days += abs((new.date() - old.date()).days)
        clinicians += slot.clinician_id != appointment.clinician_id
        videos += slot.location_id is None and appointment.location_id is not None
        offices += slot.location_id not in (None, appointment.location_id)
    return Totals(moved, days, clinicians, offices, videos)


def current(actor: Actor, *, now: datetime) -> list[tuple[BlockedTime, int | None]]:
    """Absences and closures that are not over yet, each with its plan, in this actor's scope."""
    rows = (
        BlockedTime.select()
        .where(BlockedTime.removed_at.is_null(), BlockedTime.ends_at > now)
        .order_by(BlockedTime.starts_at, BlockedTime.id)
    )
    if actor.role is not Role.MANAGER:
        own = actor.account.clinician_id if actor.account else None
        rows = rows.where(BlockedTime.clinician == own)
    plans = dict(tuples(Replan.select(Replan.blocked, Replan.id).where(Replan.blocked.in_(rows))))
    return [(row, plans.get(row.id)) for row in rows]
