"""The only module that reads the time; everybody else is told `now`."""

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Something that knows the present instant, in UTC and whole seconds."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's clock; the database keeps whole seconds, so this does too."""

    def now(self) -> datetime:
        return datetime.now(UTC).replace(microsecond=0)


class SettableClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, instant: datetime) -> None:
        self._instant = instant.astimezone(UTC)

    def now(self) -> datetime:
        return self._instant

    def set(self, instant: datetime) -> None:
        self._instant = instant.astimezone(UTC)

    def advance(self, step: timedelta) -> None:
        self._instant += step
