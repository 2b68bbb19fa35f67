"""What a practice offers: services, places, people and hours. Written by `practice_file` only."""

from enum import StrEnum
from typing import TYPE_CHECKING

from peewee import (
    BooleanField,
    CharField,
    Check,
    ForeignKeyField,
    IntegerField,
    JSONField,
    TextField,
)

from booking.db import BaseModel, LocalDateField, UtcDateTimeField


class Audience(StrEnum):
    """Which clients a service is open to."""

    EVERYONE = "everyone"
    NEW = "new"
    EXISTING = "existing"


class MailLevel(StrEnum):
    """How much a mail may tell whoever reads it."""

    MINIMAL = "minimal"  # That there is news, and a link.
    STANDARD = "standard"  # Also when, where and which practice.
    FULL = "full"  # Also the service and the clinician, to clients who have agreed to it.


class Practice(BaseModel):
    """The one row that describes the installation; durations are whole minutes."""

    name = CharField()
    sender_name = CharField()  # Shown as the sender of mails; may say less than `name`.
    phone = CharField(max_length=40)
    email = CharField()
    zone = CharField(max_length=64)
    region = CharField(default="es_419", max_length=10)  # How dates and times are written.
    clinician_word = CharField(default="médico", max_length=40)
    client_word = CharField(default="cliente", max_length=40)
    english_labels = BooleanField(default=True)
    grid_minutes = IntegerField(default=15)
    notice_minutes = IntegerField(default=24 * 60)
    horizon_days = IntegerField(default=60)
    cancel_notice_minutes = IntegerField(null=True)  # None: by telephone only.
    move_notice_minutes = IntegerField(null=True)  # None: as cancelling.
    max_pending = IntegerField(default=3)
    request_minutes = IntegerField(default=72 * 60)
    offer_minutes = IntegerField(default=48 * 60)
    answer_margin_minutes = IntegerField(default=2 * 60)  # Answered at the latest so long before.
    reminder_minutes = IntegerField(null=True, default=24 * 60)  # None: no reminder.
    undo_seconds = IntegerField(default=30)
    mail_level = CharField(default=MailLevel.STANDARD.value, max_length=10)
    privacy_url = CharField(default="", max_length=500)  # Of its privacy notice.
    retention_days = IntegerField(null=True)  # None: nothing is deleted by itself.
    revision = IntegerField(default=1)  # Raised with every change, so that caches notice.


class Location(BaseModel):
    """An office with an address; video has none and is no row here."""

    key = CharField(unique=True, max_length=40)
    name = CharField()
    address = CharField(max_length=500)
    map_query = CharField(max_length=500)  # What a map app is asked for.
    directions = TextField(default="")
    zone = CharField(max_length=64)
    position = IntegerField(default=0)
    active = BooleanField(default=True)


class Travel(BaseModel):
    """Minutes that a clinician needs from one office to another."""

    origin = ForeignKeyField(Location, backref="+")
    destination = ForeignKeyField(Location, backref="+")
    minutes = IntegerField()

    if TYPE_CHECKING:
        origin_id: int
        destination_id: int


class Room(BaseModel):
    """A place in an office for one session at a time."""

    key = CharField(unique=True, max_length=40)
    location = ForeignKeyField(Location, backref="rooms")
    name = CharField()
    features = JSONField(default=list)
    seats = IntegerField(default=2)
    turnover_minutes = IntegerField(default=0)
    position = IntegerField(default=0)
    active = BooleanField(default=True)

    if TYPE_CHECKING:
        location_id: int


class Service(BaseModel):
    """Something a client can ask for, with the time it takes."""

    key = CharField(unique=True, max_length=40)
    name = CharField()
    description = TextField(default="")
    minutes = IntegerField()
    buffer_before = IntegerField(default=0)
    buffer_after = IntegerField(default=0)
    room_features = JSONField(default=list)
    seats = IntegerField(default=2)
    in_person = BooleanField(default=True)
    video = BooleanField(default=False)
    online = BooleanField(default=True)  # False: only staff can book it.
    audience = CharField(default=Audience.EVERYONE.value, max_length=10)
    client_kinds = JSONField(default=list)  # Values of ClientKind.
    position = IntegerField(default=0)
    active = BooleanField(default=True)


class Clinician(BaseModel):
    """A professional who decides about the requests made to them."""

    key = CharField(unique=True, max_length=40)
    name = CharField()
    title = CharField(default="", max_length=120)
    email = CharField()
    max_sessions_day = IntegerField(null=True)
    notice_minutes = IntegerField(null=True)  # None: the practice's.
    horizon_days = IntegerField(null=True)  # None: the practice's.
    position = IntegerField(default=0)
    active = BooleanField(default=True)


class ClinicianService(BaseModel):
    """A clinician offers a service."""

    clinician = ForeignKeyField(Clinician, backref="offers")
    service = ForeignKeyField(Service, backref="offered_by")

    class Meta:
        indexes = ((("clinician", "service"), True),)

    if TYPE_CHECKING:
        clinician_id: int
        service_id: int


class Hours(BaseModel):
    """A stretch of work at one place: weekly (`weekday`), or on one `day` instead of the week's.

    Minutes are wall time after local midnight; `closes` may pass 1440 when the stretch ends
    after midnight. A `day` with no `opens` is a day off.
    """

    clinician = ForeignKeyField(Clinician, backref="hours")
    location = ForeignKeyField(Location, null=True)  # None: at home, by video only.
    weekday = IntegerField(null=True)  # 0 is Monday.
    day = LocalDateField(null=True)
    opens = IntegerField(null=True)
    closes = IntegerField(null=True)
    in_person = BooleanField(default=True)
    video = BooleanField(default=False)
    reason = CharField(default="", max_length=200)

    if TYPE_CHECKING:
        clinician_id: int
        location_id: int | None


class Holiday(BaseModel):
    """A day on which nobody works."""

    day = LocalDateField(unique=True)
    name = CharField()


class BlockedTime(BaseModel):
    """Time in which a clinician, a room or a whole office is not to be had.

    It is removed by setting `removed_at`.
    """

    clinician = ForeignKeyField(Clinician, null=True, backref="blocked")
    room = ForeignKeyField(Room, null=True, backref="+")
    location = ForeignKeyField(Location, null=True, backref="+")
    starts_at = UtcDateTimeField()
    ends_at = UtcDateTimeField()
    reason = CharField(default="", max_length=200)
    created_at = UtcDateTimeField()
    removed_at = UtcDateTimeField(null=True)

    class Meta:
        indexes = (
            (("clinician", "starts_at"), False),
            (("ends_at",), False),
        )
        constraints = [
            Check(
                "CASE WHEN clinician_id IS NULL THEN 0 ELSE 1 END"
                " + CASE WHEN room_id IS NULL THEN 0 ELSE 1 END"
                " + CASE WHEN location_id IS NULL THEN 0 ELSE 1 END = 1"
            ),
        ]

    if TYPE_CHECKING:
        clinician_id: int | None
        room_id: int | None
        location_id: int | None
