"""Closing an account and opening it again, by whoever runs the installation."""

from datetime import datetime

from booking.db import transaction
from booking.models import Account, AccountEventKind
from booking.operations import second_factor, signing_in


class NoSuchAccount(Exception):
    """Nobody signs in with this address."""


def by_email(email: str) -> Account:
    """The account with this address.

    Raises:
        NoSuchAccount: there is none.
    """
    found: Account | None = Account.get_or_none(Account.email == email.strip().lower())
    if found is None:
        raise NoSuchAccount
    return found


def disable(account: Account, *, now: datetime) -> bool:
    """Out at once on every device, and no mail lets them in; False when it was so already."""
    with transaction():
        changed = _set(account, disabled_at=now)
        if changed:
            signing_in.end_all(account, now=now)
            second_factor.note(account, AccountEventKind.DISABLED, by=None, now=now)
    return changed


def enable(account: Account, *, now: datetime) -> bool:
    """They may sign in again, with a new mail; False when they might already."""
    with transaction():
        changed = _set(account, disabled_at=None)
        if changed:
            second_factor.note(account, AccountEventKind.ENABLED, by=None, now=now)
    return changed


def _set(account: Account, *, disabled_at: datetime | None) -> bool:
    changed: int = (
        Account.update(disabled_at=disabled_at)
        .where(
            Account.id == account.id,
            Account.disabled_at.is_null() if disabled_at else Account.disabled_at.is_null(False),
        )
        .execute()
    )
    return bool(changed)
