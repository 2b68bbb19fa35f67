"""An appointment from wish to end, what it occupies, what was offered, and what happened to it."""

from enum import StrEnum
from typing import TYPE_CHECKING

from peewee import (
    BigIntegerField,
    BooleanField,
    CharField,
    Check,
    ForeignKeyField,
    IntegerField,
    JSONField,
    TextField,
)

from booking.db import BaseModel, UtcDateTimeField
from booking.lifecycle import State
from booking.models.people import Account, Client
from booking.models.practice import Clinician, Location, Room, Service


class Modality(StrEnum):
    """How client and clinician meet."""

    IN_PERSON = "in_person"
    VIDEO = "telehealth"  # The solver's word, so that values pass through as they are.


class Appointment(BaseModel):
    """A client's wish for one slot, from asking to its end.

    `chain` is the id of the first appointment of a series in which each replaced the one
    before; the members of a chain never conflict with each other. Minutes before and after
    are those of the service when it was asked for.
    """

    chain = BigIntegerField(default=0, index=True)
    replaces = ForeignKeyField("self", null=True, backref="replacements")
    account = ForeignKeyField(Account, null=True)  # Who asked; None when staff booked.
    client = ForeignKeyField(Client, backref="appointments")
    service = ForeignKeyField(Service)
    clinician = ForeignKeyField(Clinician)
    location = ForeignKeyField(Location, null=True)  # Where the client goes; None: by video.
    clinician_location = ForeignKeyField(Location, null=True, backref="+")  # The clinician's.
    room = ForeignKeyField(Room, null=True)
    room_pinned = BooleanField(default=False)
    modality = CharField(max_length=12)
    starts_at = UtcDateTimeField()
    ends_at = UtcDateTimeField()
    asked_starts_at = UtcDateTimeField()  # Stays when an offered slot moves `starts_at`.
    buffer_before = IntegerField()
    buffer_after = IntegerField()
    state = CharField(max_length=24)
    version = IntegerField(default=1)
    asked_at = UtcDateTimeField()
    decided_at = UtcDateTimeField(null=True)
    answer_by = UtcDateTimeField(null=True)  # A pending request's or an offer's end.
    halfway_at = UtcDateTimeField(null=True)  # When whoever has to answer is reminded; None: done.
    remind_at = UtcDateTimeField(null=True)  # When the client is reminded; None: done or off.
    displaced_at = UtcDateTimeField(null=True)  # Since when the practice owes another time for it.
    note = TextField(default="")  # The clinician's words with a denial; shown on the portal only.
    wish = JSONField(default=dict)  # What would suit: "text", "weekdays" (0 is Monday), "dayparts".

    class Meta:
        indexes = (
            (("clinician", "starts_at"), False),
            (("client", "starts_at"), False),
            (("state", "starts_at"), False),
            (("state", "answer_by"), False),
            (("state", "halfway_at"), False),
            (("state", "remind_at"), False),
        )

    if TYPE_CHECKING:
        replaces_id: int | None
        account_id: int | None
        client_id: int
        service_id: int
        clinician_id: int
        location_id: int | None
        clinician_location_id: int | None
        room_id: int | None

    @property
    def status(self) -> State:
        return State(self.state)


class OfferState(StrEnum):
    """What became of an offered slot."""

    HELD = "held"
    TAKEN = "taken"
    FREED = "freed"


class OfferedSlot(BaseModel):
    """A slot that a clinician offers instead of the one asked for, held for this client alone."""

    appointment = ForeignKeyField(Appointment, backref="offers")
    rank = IntegerField()
    clinician = ForeignKeyField(Clinician)
    location = ForeignKeyField(Location, null=True)
    clinician_location = ForeignKeyField(Location, null=True, backref="+")
    room = ForeignKeyField(Room, null=True)
    modality = CharField(max_length=12)
    starts_at = UtcDateTimeField()
    ends_at = UtcDateTimeField()
    held_until = UtcDateTimeField()
    state = CharField(default=OfferState.HELD.value, max_length=8)

    class Meta:
        indexes = (
            (("clinician", "starts_at"), False),
            (("state", "held_until"), False),
        )

    if TYPE_CHECKING:
        appointment_id: int
        clinician_id: int
        location_id: int | None
        clinician_location_id: int | None
        room_id: int | None


class Resource(StrEnum):
    """What can be in one place at a time."""

    CLINICIAN = "clinician"
    ROOM = "room"
    CLIENT = "client"


MAX_BUSY_SECONDS = 24 * 60 * 60


class Occupancy(BaseModel):
    """A stretch in which one chain occupies one resource; triggers refuse overlaps of chains.

    Rows of one chain and resource are disjoint: the union of all that its open appointments
    and held offers need, buffers (clinician) and turnover (room) included.
    """

    resource = CharField(max_length=10)
    resource_id = BigIntegerField()
    chain = BigIntegerField(index=True)
    busy_from = UtcDateTimeField()
    busy_until = UtcDateTimeField()

    class Meta:
        indexes = ((("resource", "resource_id", "busy_from"), False),)
        constraints = [
            # Bounded, so that looking for an overlap never reads a resource's whole past.
            Check(f"busy_until > busy_from AND busy_until - busy_from <= {MAX_BUSY_SECONDS}"),
        ]


class History(BaseModel):
    """One committed change of one appointment: who, what, when, why. Append-only."""

    appointment = ForeignKeyField(Appointment, backref="history")
    version = IntegerField()
    event = CharField(max_length=24)
    before = CharField(max_length=24)  # Empty at the beginning.
    after = CharField(max_length=24)
    actor = CharField(max_length=12)  # client, clinician, manager or system.
    account = ForeignKeyField(Account, null=True)
    at = UtcDateTimeField()
    starts_at = UtcDateTimeField()  # The slot after the change.
    detail = JSONField(default=dict)
    digest = CharField(default="", max_length=64)  # Chains the rows: see `booking.history`.

    class Meta:
        indexes = ((("appointment", "version"), True),)

    if TYPE_CHECKING:
        appointment_id: int
        account_id: int | None
