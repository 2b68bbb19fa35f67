"""How often is too often: every use is a row, so that all processes count together."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from booking import links
from booking.models import Attempt


class Limited(StrEnum):
    """What is limited."""

    CODE = "code"  # Wrong codes of a mail, by its address: then only its link opens.
    FACTOR = "factor"  # Codes of the second factor, by account,
    APP = "app"  # and wrong ones of its app: then only what is on paper opens.
    MAIL = "mail"  # Mails with a code, by the address that they go to and the network that asks,
    ADDRESS = "address"  # by the address, whoever asks,
    NETWORK = "network"  # and by the network, whoever they are for.
    PEOPLE = "people"  # People whom an account adds.
    REQUEST = "request"  # Requests of appointments, by account.


@dataclass(frozen=True, slots=True)
class Limit:
    """So many within so long; whoever has had them waits until the oldest is that old."""

    most: int
    within: timedelta


LIMITS = {
    # In a year of trying, one guess of a hundred and forty is right (NIST SP 800-63B, 3.2.2).
    Limited.CODE: Limit(20, timedelta(days=1)),
    Limited.APP: Limit(20, timedelta(days=1)),
    Limited.FACTOR: Limit(5, timedelta(minutes=15)),
    Limited.MAIL: Limit(5, timedelta(hours=1)),
    # More than one stranger can use up, so that nobody shuts somebody else out.
    Limited.ADDRESS: Limit(20, timedelta(hours=1)),
    # A town's telephones may share one address of their operator (RFC 6888).
    Limited.NETWORK: Limit(60, timedelta(hours=1)),
    Limited.PEOPLE: Limit(6, timedelta(hours=1)),
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
    """Count a mail with a code, by its address and by the network that asks, if one is told.

    Raises:
        TooOften: more than the hour's share of either, or of the two together.
    """
    spend(Limited.MAIL, f"{email} {network}", now=now)
    spend(Limited.ADDRESS, email, now=now)
    if network:
        spend(Limited.NETWORK, network, now=now)


def left(kind: Limited, subject: object, *, now: datetime) -> int:
    """How many uses are left, one at least.

    What is dated later than now is from before the clock was put back, and counts when its time
    comes.

    Raises:
        TooOften: there are none.
    """
    limit = LIMITS[kind]
    recent = list(
        Attempt.select()
        .where(
            Attempt.kind == kind,
            Attempt.subject == _name(kind, subject),
            Attempt.at > now - limit.within,
            Attempt.at <= now,
        )
        .order_by(Attempt.at.desc(), Attempt.id.desc())
        .limit(limit.most)
    )
    if len(recent) == limit.most:
        raise TooOften(kind, recent[-1].at + limit.within - now)
    return limit.most - len(recent)


def spend(kind: Limited, subject: object, *, now: datetime) -> int:
    """Count one use, in the caller's transaction, and forget the old ones; how many are left.

    Raises:
        TooOften: there were none left; nothing is counted then.
    """
    before = left(kind, subject, now=now)
    Attempt.delete().where(Attempt.at <= now - KEPT).execute()
    Attempt.create(kind=kind.value, subject=_name(kind, subject), at=now)
    return before - 1


def _name(kind: Limited, subject: object) -> str:
    return links.hashed(f"{kind}:{subject}")
