"""A joint plan for the sessions that an absence, or a closed place, leaves without their time."""

from enum import StrEnum
from typing import TYPE_CHECKING

from peewee import BooleanField, CharField, ForeignKeyField, IntegerField, JSONField

from booking.db import BaseModel, UtcDateTimeField
from booking.models.appointments import Appointment
from booking.models.people import Account
from booking.models.practice import BlockedTime


class ReplanState(StrEnum):
    """How far a plan has come."""

    QUEUED = "queued"
    RUNNING = "running"  # Until `claimed_until`; after that anybody may start it afresh.
    READY = "ready"
    CANCELLED = "cancelled"
    FAILED = "failed"  # `failure` says why.


class Replan(BaseModel):
    """Where the sessions within a blocked time could go instead, all of them together.

    `run` rises with every search: a worker whose lease ran out, and a page that shows an older
    plan, are recognised by it.
    """

    blocked = ForeignKeyField(BlockedTime, unique=True, backref="replans")
    account = ForeignKeyField(Account)  # Who asked.
    allowed = JSONField()  # How far the search may go: `replanning.Allowed`.
    state = CharField(default=ReplanState.QUEUED.value, max_length=10)
    run = IntegerField(default=0)
    claimed_until = UtcDateTimeField(null=True)
    progress = JSONField(default=dict)  # Of the solver, as it was told last.
    quick = BooleanField(default=False)  # Proposals without a search: better ones may exist.
    proven = BooleanField(default=False)
    objective = IntegerField(null=True)
    bound = IntegerField(null=True)  # No plan costs less.
    gap_minutes = JSONField(null=True)  # The clinicians' idle minutes, before and after.
    input_hash = CharField(default="", max_length=64)
    failure = CharField(default="", max_length=10)
    created_at = UtcDateTimeField()
    finished_at = UtcDateTimeField(null=True)

    class Meta:
        indexes = ((("state", "claimed_until"), False),)

    if TYPE_CHECKING:
        blocked_id: int
        account_id: int


class ReplanRow(BaseModel):
    """One session of a plan: where it was, where it could go, and what was decided about it."""

    replan = ForeignKeyField(Replan, on_delete="CASCADE", backref="rows")
    appointment = ForeignKeyField(Appointment, backref="+")
    version = IntegerField()  # Of the appointment, when its options were found.
    starts_at = UtcDateTimeField()  # Where it was; the appointment itself moves on.
    pinned = BooleanField(default=False)  # Its options stay as they are in the next search.
    excluded = BooleanField(default=False)  # It stays where it is.
    other_clinicians = BooleanField(default=False)  # Allowed for this one.
    options = JSONField(default=list)  # Ranked slots.
    explanation = JSONField(null=True)  # Why there are none.
    refusal = JSONField(default=list)  # Why approving it failed: rules.
    approved_at = UtcDateTimeField(null=True)

    class Meta:
        indexes = ((("replan", "appointment"), True),)

    if TYPE_CHECKING:
        replan_id: int
        appointment_id: int
