"""The second factor of staff: activating it, showing it, doing without a lost telephone."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from peewee import Expression

from booking import authenticator, links, notifications
from booking.db import transaction
from booking.models import (
    Account,
    AccountEvent,
    AccountEventKind,
    Factor,
    KnownDevice,
    RecoveryCode,
    WebSession,
)
from booking.notifications import Kind
from booking.operations import limits, signing_in
from booking.operations.limits import Limited
from booking.operations.signing_in import STAFF_SESSION, SignedIn

REMEMBERED = timedelta(days=30)
FRESH = timedelta(minutes=10)  # For so long a dangerous act does not ask for another code.


class WrongFactor(Exception):
    """Not a code of this account's, or one that was used; `left` tries remain."""

    def __init__(self, left: int) -> None:
        super().__init__(left)
        self.left = left


class SessionGone(Exception):
    """The session ended, or a first tap on the same button has let it in already."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """The session's new cookie, and the device's when it is to be remembered."""

    signed_in: SignedIn
    device: str = ""


def of(account: Account) -> Factor | None:
    """The account's factor, once it is active."""
    found: Factor | None = Factor.get_or_none(Factor.account == account)
    return found


def proposed(session: WebSession) -> str:
    """The nonce of the factor that this session would activate; the same on every look at it."""
    return links.hashed(f"factor:{session.token_hash}")


def activate(session: WebSession, code: str, *, secret_key: str, now: datetime) -> Cleared:
    """The app shows the right code: from now on it is asked for, and an older app is not.

    Raises:
        WrongFactor: the app was set up with something else, or its clock is wrong.
        TooOften: too many wrong codes.
        SessionGone: there is nothing to let in any more, or an app to show first.
    """
    account, nonce = session.account, proposed(session)
    with transaction():
        left = _try(session, now=now)
        if session.cleared_at is None and of(account) is not None:
            raise SessionGone  # Another session was faster: its app is the one to show.
        step = authenticator.matching_step(secret_key, nonce, code, after=0, now=now)
        if step is not None:
            _forget(account)
            factor = Factor.create(account=account, nonce=nonce, last_step=step, created_at=now)
            RecoveryCode.insert_many(
                [
                    {"factor": factor.id, "number": number}
                    for number in range(authenticator.RECOVERY_CODES)
                ]
            ).execute()
            note(account, AccountEventKind.FACTOR_SET, by=account, now=now)
            notifications.owe_about_account(Kind.FACTOR_SET, account, now=now)
            return _clear(session, now=now)
    raise WrongFactor(left)


def show_code(
    session: WebSession, code: str, *, remember: bool, secret_key: str, now: datetime
) -> Cleared:
    """The code that the app shows just now; each is good once.

    Raises:
        WrongFactor: not that, or used.
        TooOften: too many wrong codes; after a day's share only those on paper open.
        SessionGone: there is nothing to let in any more.
    """
    with transaction():
        left = _try(session, now=now)
        limits.left(Limited.APP, session.account_id, now=now)
        factor = Factor.get(Factor.account == session.account_id)
        step = authenticator.matching_step(
            secret_key, factor.nonce, code, after=factor.last_step, now=now
        )
        if step is not None:
            Factor.update(last_step=step).where(Factor.id == factor.id).execute()
            return _clear(session, now=now, remember=remember)
        limits.spend(Limited.APP, session.account_id, now=now)
    raise WrongFactor(left)


def show_recovery_code(
    session: WebSession, code: str, *, secret_key: str, now: datetime
) -> Cleared:
    """One of the codes on paper, instead of the app; its owner is told.

    Raises:
        WrongFactor: not one of them, or used.
        TooOften: too many wrong codes.
        SessionGone: there is nothing to let in any more.
    """
    with transaction():
        left = _try(session, now=now)
        factor = Factor.get(Factor.account == session.account_id)
        unused = RecoveryCode.select().where(
            RecoveryCode.factor == factor, RecoveryCode.used_at.is_null()
        )
        number = authenticator.matching_number(
            secret_key, factor.nonce, code, unused=frozenset(code.number for code in unused)
        )
        if number is not None:
            RecoveryCode.update(used_at=now).where(
                RecoveryCode.factor == factor, RecoveryCode.number == number
            ).execute()
            note(session.account, AccountEventKind.RECOVERY_USED, by=session.account, now=now)
            notifications.owe_about_account(Kind.RECOVERY_USED, session.account, now=now)
            return _clear(session, now=now)
    raise WrongFactor(left)


def codes_to_keep(factor: Factor, *, secret_key: str) -> list[str]:
    """The recovery codes, until their owner says that they are kept; then never again."""
    if factor.codes_kept_at is not None:
        return []
    return [
        authenticator.recovery_code(secret_key, factor.nonce, number)
        for number in range(authenticator.RECOVERY_CODES)
    ]


def keep_codes(account: Account, *, now: datetime) -> None:
    """The owner has the codes on paper."""
    with transaction():
        Factor.update(codes_kept_at=now).where(
            Factor.account == account, Factor.codes_kept_at.is_null()
        ).execute()


def remove(account: Account, *, by: Account | None, now: datetime) -> bool:
    """Without its telephone an account begins anew: whoever is signed in as it is out at once."""
    with transaction():
        if not _forget(account):
            return False
        signing_in.end_all(account, now=now)
        note(account, AccountEventKind.FACTOR_REMOVED, by=by, now=now)
        notifications.owe_about_account(Kind.FACTOR_REMOVED, account, now=now)
    return True


def is_fresh(session: WebSession, *, now: datetime) -> bool:
    """Whether the factor was shown here so recently that a dangerous act may go on."""
    return session.proved_at is not None and now - session.proved_at < FRESH


def note(account: Account, event: AccountEventKind, *, by: Account | None, now: datetime) -> None:
    """Write down what happened to the account, in the transaction in which it happens."""
    AccountEvent.create(account=account, event=event.value, by=by, at=now)


def _try(session: WebSession, *, now: datetime) -> int:
    """Count a try, if the session still is as it was read; how many are left."""
    if not WebSession.select().where(_same(session, now)).exists():
        raise SessionGone
    return limits.spend(Limited.FACTOR, session.account_id, now=now)


def _same(session: WebSession, now: datetime) -> Expression:
    return (
        (WebSession.token_hash == session.token_hash)
        & WebSession.ended_at.is_null()
        & (WebSession.expires_at > now)
    )


def _forget(account: Account) -> int:
    KnownDevice.delete().where(KnownDevice.account == account).execute()
    removed: int = Factor.delete().where(Factor.account == account).execute()
    return removed


def _clear(session: WebSession, *, now: datetime, remember: bool = False) -> Cleared:
    """Let the session in, under a token that nobody can have seen before."""
    token = secrets.token_urlsafe(32)
    expires_at = now + STAFF_SESSION if session.cleared_at is None else session.expires_at
    WebSession.update(
        token_hash=links.hashed(token),
        cleared_at=session.cleared_at or now,
        proved_at=now,
        expires_at=expires_at,
    ).where(_same(session, now)).execute()
    device = secrets.token_urlsafe(32) if remember else ""
    if remember:
        KnownDevice.create(
            account=session.account,
            token_hash=links.hashed(device),
            created_at=now,
            expires_at=now + REMEMBERED,
        )
    return Cleared(SignedIn(session, token), device)
