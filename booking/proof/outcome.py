"""What a scenario promised, and what it saw."""

from dataclasses import dataclass

FULL_SECONDS = 900  # For the figures that are promised.


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure; `most` says that less would do, too."""

    what: str
    promised: int
    seen: int
    most: bool = False

    @property
    def held(self) -> bool:
        return self.seen <= self.promised if self.most else self.seen == self.promised


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A promise with all its figures; it is kept when each of them is."""

    name: str
    promise: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def held(self) -> bool:
        return all(finding.held for finding in self.findings)

    @property
    def differences(self) -> list[str]:
        """The figures that are not as promised."""
        return [finding.what for finding in self.findings if not finding.held]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many of each thing: the full figures, or as many as fit the time there is."""

    crowd: int = 1000  # Who ask for the same time, and then each for another.
    at_a_time: int = 64
    accepts: int = 200
    pairs: int = 20  # Of people who are each other's rivals, for each kind of rivalry.
    submits: int = 1000
    kills: int = 40
    mails: int = 1000
    mail_kills: int = 50

    @classmethod
    def fitting(cls, seconds: int) -> "Size":
        """A minute on two cores holds about a fifteenth of everything."""
        share = seconds / FULL_SECONDS
        return cls(
            crowd=max(8, round(1000 * share)),
            accepts=max(4, round(200 * share)),
            pairs=max(1, round(20 * share)),
            submits=max(8, round(1000 * share)),
            kills=max(1, round(40 * share)),
            mails=max(8, round(1000 * share)),
            mail_kills=max(1, round(50 * share)),
        )
