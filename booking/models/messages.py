"""What we owe people in writing, and the one-time keys that make retries safe."""

from enum import StrEnum
from typing import TYPE_CHECKING

from peewee import CharField, ForeignKeyField, IntegerField, JSONField, TextField

from booking.db import BaseModel, UtcDateTimeField
from booking.models.appointments import Appointment
from booking.models.people import SignIn


class Delivery(StrEnum):
    """What became of a message."""

    WAITING = "waiting"
    SENT = "sent"
    DEAD = "dead"  # `error` says why.


class Withdrawn(StrEnum):
    """Why a message is dead that nobody failed to deliver: it was not to arrive any more."""

    UNDONE = "deshecho"
    APPOINTMENT_CHANGED = "la cita cambió antes de que saliera"
    CODE_EXPIRED = "el código venció antes de que saliera"
    ADDRESS_CHANGED = "la dirección cambió"
    PERSON_ERASED = "persona borrada"


class OutboxMessage(BaseModel):
    """A message owed to one recipient, written in the transaction that owes it.

    It is rendered when it is sent. `due_at` lies in the future while a decision can still
    be undone; `claimed_until` is the lease of the worker that is sending it, and `attempts` rises
    with every claim, so that whoever comes back after its lease ran out writes nothing.
    """

    kind = CharField(max_length=40)  # A folder of templates/email/.
    audience = CharField(max_length=10)  # client or clinician.
    recipient = CharField()
    language = CharField(max_length=10)
    appointment = ForeignKeyField(Appointment, null=True, backref="messages")
    version = IntegerField(default=0)
    sign_in = ForeignKeyField(SignIn, null=True)
    context = JSONField(default=dict)
    message_id = CharField(unique=True)
    state = CharField(default=Delivery.WAITING.value, max_length=8)
    created_at = UtcDateTimeField()
    due_at = UtcDateTimeField()
    claimed_until = UtcDateTimeField(null=True)
    attempts = IntegerField(default=0)
    error = TextField(default="")
    sent_at = UtcDateTimeField(null=True)

    class Meta:
        indexes = (
            (("state", "due_at"), False),
            (("appointment", "version", "kind", "recipient"), True),
        )

    if TYPE_CHECKING:
        appointment_id: int | None
        sign_in_id: int | None


class OneTimeKey(BaseModel):
    """A form that was used: a second tap, or a retry after a lost reply, gets the first answer."""

    value = CharField(unique=True, max_length=100)
    fingerprint = CharField(
        max_length=64
    )  # Of what was sent: the same key with another body is refused.
    answer = IntegerField()  # Id of the row that the operation returned.
    used_at = UtcDateTimeField(index=True)
