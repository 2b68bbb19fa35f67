"""Sends what is owed: claims a row under a lease, renders, hands to the mailer, records.

Sent at least once: a worker that dies between sending and recording leaves a row that is sent
again with the same Message-ID. Whoever takes longer than its lease may find that another worker has
claimed the row, and then records nothing. What fails is tried again for three days, then given up
visibly.
"""

import logging
import random
import socket
from collections.abc import Callable
from datetime import datetime, timedelta

from peewee import Expression

from booking.clock import Clock
from booking.db import transaction, tuples
from booking.letters import compose
from booking.mailer import Mailer, RefusedForGood
from booking.models import Delivery, OutboxMessage, Withdrawn
from booking.notifications import still_true
from booking.settings import Settings

LEASE = timedelta(minutes=5)
NO_LEASE = 2 * LEASE  # Nobody takes one that long: it is from before the clock was put back.
GIVE_UP_AFTER = timedelta(days=3)
MOST_AT_ONCE = 50

AWAY = (ConnectionError, TimeoutError, socket.gaierror)

log = logging.getLogger(__name__)


class _ServerAway(Exception):
    """There is nobody who could take any message."""


def drain(
    clock: Clock,
    mailer: Mailer,
    settings: Settings,
    told_to_stop: Callable[[], bool] = lambda: False,
) -> int:
    """Send everything that is due, a batch at most, until told to stop; how many were sent.

    The clock is read for each message anew: a slow server may take longer for a batch than a lease.
    """
    now = clock.now()
    due = (
        OutboxMessage.select(OutboxMessage.id)
        .where(_due(now), _unclaimed(now))
        .order_by(OutboxMessage.due_at, OutboxMessage.id)
        .limit(MOST_AT_ONCE)
    )
    sent = 0
    for (id_,) in tuples(due):
        if told_to_stop():
            break
        try:
            sent += _send(id_, clock, mailer, settings)
        except _ServerAway:  # It would be away for the others, too, one timeout after another.
            break
    return sent


def _send(id_: int, clock: Clock, mailer: Mailer, settings: Settings) -> bool:
    now = clock.now()
    message = _claim(id_, now)
    if message is None:
        return False
    if not still_true(message, now=now):
        about_code = message.appointment_id is None
        why = Withdrawn.CODE_EXPIRED if about_code else Withdrawn.APPOINTMENT_CHANGED
        _record(message, state=Delivery.DEAD, error=why.value)
        return False
    try:
        mailer.send(compose(message, settings, now=now))
    except RefusedForGood as refused:
        _record(message, state=Delivery.DEAD, error=str(refused))
        return False
    except Exception as error:  # Whatever happened to one message, the others still go out.
        log.warning("message %s was not sent: %s", message.id, type(error).__name__)
        _postpone(message, error, clock.now())
        if isinstance(error, AWAY):
            raise _ServerAway from error
        return False
    _record(message, state=Delivery.SENT, sent_at=clock.now())
    return True


def _due(now: datetime) -> Expression:
    return (OutboxMessage.state == Delivery.WAITING) & (OutboxMessage.due_at <= now)


def _unclaimed(now: datetime) -> Expression:
    until = OutboxMessage.claimed_until
    return until.is_null() | (until <= now) | (until > now + NO_LEASE)


def _claim(id_: int, now: datetime) -> OutboxMessage | None:
    with transaction():
        claimed = (
            OutboxMessage.update(claimed_until=now + LEASE, attempts=OutboxMessage.attempts + 1)
            .where(OutboxMessage.id == id_, _due(now), _unclaimed(now))
            .execute()
        )
        return OutboxMessage.get_by_id(id_) if claimed else None


def _postpone(message: OutboxMessage, error: Exception, now: datetime) -> None:
    if now - message.created_at >= GIVE_UP_AFTER:
        _record(message, state=Delivery.DEAD, error=repr(error))
        return
    minutes = min(60, 2 ** (message.attempts - 1)) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter, no secret.
    _record(
        message,
        state=Delivery.WAITING,
        error=repr(error),
        due_at=now + timedelta(minutes=minutes),
        claimed_until=None,
    )


def _record(message: OutboxMessage, *, state: Delivery, **columns: object) -> None:
    with transaction():
        OutboxMessage.update(state=state.value, **columns).where(_ours(message)).execute()


def _ours(message: OutboxMessage) -> Expression:
    """The row, unless it was closed meanwhile or another worker claimed it after us."""
    return (
        (OutboxMessage.id == message.id)
        & (OutboxMessage.state == Delivery.WAITING)
        & (OutboxMessage.attempts == message.attempts)
    )
