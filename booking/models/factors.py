"""The second factor of staff, and what is counted or written down about an account's safety."""

from enum import StrEnum
from typing import TYPE_CHECKING

from peewee import BigIntegerField, CharField, ForeignKeyField, IntegerField

from booking.db import BaseModel, UtcDateTimeField
from booking.models.people import Account


class Factor(BaseModel):
    """An authenticator app that makes the same codes as we do.

    Neither its secret nor the recovery codes are stored: both are derived from `nonce` with the
    server's secret.
    """

    account = ForeignKeyField(Account, unique=True, on_delete="CASCADE")
    nonce = CharField(unique=True, max_length=64)
    last_step = BigIntegerField(default=0)  # Of the last code that was used: each is good once.
    created_at = UtcDateTimeField()
    codes_kept_at = UtcDateTimeField(null=True)  # From then on nobody sees them again.

    if TYPE_CHECKING:
        account_id: int


class RecoveryCode(BaseModel):
    """One of the codes that do without the app, by its number; good once."""

    factor = ForeignKeyField(Factor, on_delete="CASCADE")
    number = IntegerField()
    used_at = UtcDateTimeField(null=True)

    class Meta:
        indexes = ((("factor", "number"), True),)


class KnownDevice(BaseModel):
    """A browser in which an account's second factor is not asked for again for some weeks."""

    account = ForeignKeyField(Account, on_delete="CASCADE")
    token_hash = CharField(unique=True, max_length=64)
    created_at = UtcDateTimeField()
    expires_at = UtcDateTimeField()


class Attempt(BaseModel):
    """One use of something that is limited; the limits are in `operations.limits`."""

    kind = CharField(max_length=20)
    subject = CharField(max_length=64)
    at = UtcDateTimeField(index=True)

    class Meta:
        indexes = ((("kind", "subject", "at"), False),)


class AccountEventKind(StrEnum):
    """What is written down about an account."""

    FACTOR_SET = "factor_set"
    FACTOR_REMOVED = "factor_removed"
    RECOVERY_USED = "recovery_used"
    DISABLED = "disabled"
    ENABLED = "enabled"
    EMAIL_CHANGED = "email_changed"


class AccountEvent(BaseModel):
    """Something happened to how an account is kept safe; `by` nobody: the operator, by command."""

    account = ForeignKeyField(Account, on_delete="CASCADE")
    event = CharField(max_length=20)
    by = ForeignKeyField(Account, null=True, on_delete="SET NULL", backref="+")
    at = UtcDateTimeField()
