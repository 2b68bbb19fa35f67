"""Who signs in (accounts), whom an appointment is for (clients), and how people prove it."""

import unicodedata
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from peewee import BooleanField, CharField, ForeignKeyField, IntegerField, JSONField

from booking.db import BaseModel, LocalDateField, UtcDateTimeField
from booking.models.practice import Clinician


class ClientKind(StrEnum):
    """Whom an appointment can be for."""

    ADULT = "adult"
    MINOR = "minor"
    COUPLE = "couple"


class Relation(StrEnum):
    """Why an account may act for a client."""

    SELF = "self"
    GUARDIAN = "guardian"
    PARTNER = "partner"


class Account(BaseModel):
    """Somebody who signs in: a client, a clinician (`clinician` is set), a manager, or several."""

    email = CharField(unique=True)  # Lower case.
    name = CharField()
    phone = CharField(default="", max_length=40)
    language = CharField(default="es", max_length=10)
    zone = CharField(default="", max_length=64)  # For video sessions; empty: the practice's.
    clinician = ForeignKeyField(Clinician, null=True)
    manager = BooleanField(default=False)
    created_at = UtcDateTimeField()
    consented_at = UtcDateTimeField(null=True)
    disabled_at = UtcDateTimeField(null=True)
    mail_consented_at = UtcDateTimeField(null=True)  # To mails that name service and clinician.

    if TYPE_CHECKING:
        clinician_id: int | None

    @property
    def staff(self) -> bool:
        return self.clinician_id is not None or self.manager


MOST_FOLDED = 255  # One letter may become eighteen.


def folded(text: str) -> str:
    """As people type in a hurry: without accents and capitals."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in letters if not unicodedata.combining(c))[:MOST_FOLDED]


class Client(BaseModel):
    """A person, or two who come together, known to the practice or not yet.

    A couple has two members, who are adults of their own: a member's other appointments
    keep the couple from being booked at that time.
    """

    kind = CharField(default=ClientKind.ADULT.value, max_length=10)
    name = CharField()
    folded = CharField(default="", max_length=MOST_FOLDED, index=True)  # The name, to look for.
    email = CharField(default="", index=True)  # As the practice's staff recorded it; lower case.
    phone = CharField(default="", max_length=40)
    birth_date = LocalDateField(null=True)
    clinician = ForeignKeyField(Clinician, null=True)  # Their own; preselected in the flow.
    first_member = ForeignKeyField("self", null=True, backref="+")
    second_member = ForeignKeyField("self", null=True, backref="+")
    known_since = UtcDateTimeField(null=True)  # None: new to the practice.
    created_at = UtcDateTimeField()
    erased_at = UtcDateTimeField(null=True)  # Since when the row names nobody.

    if TYPE_CHECKING:
        clinician_id: int | None
        first_member_id: int | None
        second_member_id: int | None

    def save(self, *args: Any, **kwargs: Any) -> Any:
        """No database folds every letter, so the name is folded here."""
        if any(field.name == "name" for field in self.dirty_fields):
            self.folded = folded(self.name)
        return super().save(*args, **kwargs)

    @property
    def person_ids(self) -> tuple[int, ...]:
        """The people who have to be free for this client to come."""
        if self.first_member_id is not None and self.second_member_id is not None:
            return self.first_member_id, self.second_member_id
        return (self.id,)


class Access(BaseModel):
    """An account may act for a client."""

    account = ForeignKeyField(Account, on_delete="CASCADE")
    client = ForeignKeyField(Client, on_delete="CASCADE")
    relation = CharField(max_length=10)

    class Meta:
        indexes = ((("account", "client"), True),)

    if TYPE_CHECKING:
        account_id: int
        client_id: int


class ClientRead(BaseModel):
    """An account of the staff saw a client's data on a kind of page, on a day: one row each."""

    account = ForeignKeyField(Account)
    client = ForeignKeyField(Client)
    page = CharField(max_length=40)  # The endpoint.
    day = LocalDateField()
    at = UtcDateTimeField()  # The first time that day.

    class Meta:
        indexes = ((("client", "account", "page", "day"), True),)

    if TYPE_CHECKING:
        account_id: int
        client_id: int


class SignIn(BaseModel):
    """One proof of an e-mail address: a code and a link in one message, good once.

    Neither is stored: both are derived from `nonce` with the server's secret.
    """

    email = CharField(index=True)
    account = ForeignKeyField(Account, null=True)
    changes_email = BooleanField(default=False)  # `email` is to be the account's: no way in.
    registration = JSONField(null=True)  # What a new client told us; used when they prove it.
    nonce = CharField(unique=True, max_length=32)
    browser = CharField(max_length=64)  # Hash of its cookie: only that browser may use the code.
    next_path = CharField(default="", max_length=500)
    tries = IntegerField(default=0)
    created_at = UtcDateTimeField()
    expires_at = UtcDateTimeField()
    used_at = UtcDateTimeField(null=True)

    if TYPE_CHECKING:
        account_id: int | None


class WebSession(BaseModel):
    """Somebody is signed in on a device; ending the row ends it, whatever the cookie says.

    Staff are half in until `cleared_at`: their address is proven, their second factor is not.
    """

    token_hash = CharField(unique=True, max_length=64)
    account = ForeignKeyField(Account, on_delete="CASCADE")
    device = CharField(default="", max_length=40)  # «Chrome·Android»; no more is kept.
    created_at = UtcDateTimeField()
    expires_at = UtcDateTimeField()
    ended_at = UtcDateTimeField(null=True)
    cleared_at = UtcDateTimeField(null=True)
    proved_at = UtcDateTimeField(null=True)  # When the second factor was last shown here.

    if TYPE_CHECKING:
        account_id: int

    @property
    def pending(self) -> bool:
        """Whether the second factor is still to be shown before anything else."""
        return bool(self.account.staff) and self.cleared_at is None
