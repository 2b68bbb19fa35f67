"""How often is too often: every use is a row, so that all processes count together."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from booking import links
from booking.models import Attempt


class Limited(StrEnum):
    """What is limited."""

    FACTOR = "factor"  # Codes of the second factor, by account.
    MAIL = "mail"  # Mails with a code, by the address that they go to,
    NETWORK = "network"  # and by the network that asks for them.
    REQUEST = "request"  # Requests of appointments, by account.


@dataclass(frozen=True, slots=True)
class Limit:
    """So many within so long; whoever has had them waits until the oldest is that old."""

    most: int
    within: timedelta


LIMITS = {
    Limited.FACTOR: Limit(5, timedelta(minutes=15)),
    Limited.MAIL: Limit(5, timedelta(hours=1)),
    # A town's telephones may share one address of their operator (RFC 6888).
    Limited.NETWORK: Limit(60, timedelta(hours=1)),
    Limited.REQUEST: Limit(20, timedelta(hours=1)),
}
KEPT = max(limit.within for limit in LIMITS.values())


class TooOften(Exception):
    """The limit of a kind is reached; `wait` is how long until the next try counts."""

    def __init__(self, kind: Limited, wait: timedelta) -> None:
        super().__init__(kind, wait)
        self.kind, self.wait = kind, wait

    @property
    def seconds(self) -> int:
        return max(1, int(self.wait.total_seconds()))


def spend_mail(email: str, network: str, *, now: datetime) -> None:
    """Count a mail with a code, by its address and, if one is told, by the network that asks.

    Raises:
        TooOften: more than the hour's share of either.
    """
    spend(Limited.MAIL, email, now=now)
    if network:
        spend(Limited.NETWORK, network, now=now)


def spend(kind: Limited, subject: object, *, now: datetime) -> int:
    """Count one use, in the caller's transaction, and forget the old ones; how many are left.

    Raises:
        TooOften: there were none left; nothing is counted then.
    """
    limit = LIMITS[kind]
    name = links.hashed(f"{kind}:{subject}")
    recent = list(
        Attempt.select()
        .where(Attempt.kind == kind, Attempt.subject == name, Attempt.at > now - limit.within)
        .order_by(Attempt.at.desc(), Attempt.id.desc())
        .limit(limit.most)
    )
    if len(recent) == limit.most:
        raise TooOften(kind, recent[-1].at + limit.within - now)
    Attempt.delete().where(Attempt.at <= now - KEPT).execute()
    Attempt.create(kind=kind.value, subject=name, at=now)
    return limit.most - len(recent) - 1
