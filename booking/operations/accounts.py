"""Closing an account and opening it again, by whoever runs the installation; or all doors."""

from datetime import datetime

from peewee import Expression

from booking import links, notifications
from booking.db import transaction, tuples
from booking.models import (
    Account,
    AccountEventKind,
    Delivery,
    KnownDevice,
    OutboxMessage,
    SignIn,
    WebSession,
)
from booking.notifications import Kind
from booking.operations import changing_email, second_factor, signing_in


class NoSuchAccount(Exception):
    """Nobody signs in with this address."""


class FromPracticeFile(Exception):
    """The address of whoever works here is what the practice's file says."""


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
            _end_links(SignIn.account == account, now=now)
            second_factor.note(account, AccountEventKind.DISABLED, by=None, now=now)
    return changed


def enable(account: Account, *, now: datetime) -> bool:
    """They may sign in again, with a new mail; False when they might already."""
    with transaction():
        changed = _set(account, disabled_at=None)
        if changed:
            second_factor.note(account, AccountEventKind.ENABLED, by=None, now=now)
    return changed


def change_email(account: Account, email: str, *, now: datetime) -> None:
    """For a client who cannot open the old mailbox any more; both addresses are told.

    Raises:
        FromPracticeFile: they are staff.
        AddressTaken: another account has it.
    """
    if account.staff:
        raise FromPracticeFile
    with transaction():
        changing_email.move(account, email, by=None, now=now)
        moved = Account.get_by_id(account.id)
        notifications.owe_about_account(Kind.EMAIL_ASSIGNED, moved, now=now)


def close_restored_doors(*, now: datetime) -> None:
    """What opened the book when it was copied opens its copy to nobody: it may be closed since."""
    with transaction():
        WebSession.update(ended_at=now).where(WebSession.ended_at.is_null()).execute()
        KnownDevice.delete().execute()
        _end_links(SignIn.used_at.is_null(), now=now)


def _end_links(which: Expression, *, now: datetime) -> None:
    """What was mailed opens nothing any more, even if it has not gone yet for all we know.

    Links of messages that wait go out under another name.
    """
    waiting = [
        id_
        for (id_,) in tuples(
            OutboxMessage.select(OutboxMessage.sign_in)
            .join(SignIn)
            .where(
                which,
                OutboxMessage.state == Delivery.WAITING,
                OutboxMessage.appointment.is_null(False),
            )
        )
    ]
    SignIn.update(expires_at=now).where(
        which, SignIn.used_at.is_null(), SignIn.expires_at > now, SignIn.id.not_in(waiting)
    ).execute()
    for id_ in waiting:
        SignIn.update(nonce=links.new_nonce()).where(SignIn.id == id_).execute()


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
