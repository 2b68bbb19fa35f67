"""Local days and minutes of instants, without asking the time zone for each of them."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from solver.problem import DAY

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_QUARTER = 91 * DAY


class Piece(NamedTuple):
    """Instants between two changes of the clocks."""

    start: int
    end: int
    offset: int
    fresh: int
    """The first instant whose local time the piece before did not already have."""


class Zone:
    """A time zone as pieces of constant offset."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._piece = Piece(0, 0, 0, 0)

    def at(self, instant: int) -> Piece:
        """The piece that holds the instant, which most often is the one asked for before."""
        piece = self._piece  # One read: another thread may be asking, too.
        if not piece.start <= instant < piece.end:
            pieces = _pieces(self.name, instant // _QUARTER)
            self._piece = piece = next(each for each in pieces if instant < each.end)
        return piece

    def pieces(self, start: int, end: int) -> Iterator[Piece]:
        """All instants from `start` to `end`, cut where the clocks change."""
        while start < end:
            piece = self.at(start)
            last = min(piece.end, end)
            yield Piece(start, last, piece.offset, max(piece.fresh, start))
            start = last

    def local(self, instant: int) -> int:
        """Minutes since 1970 on the clock on the wall: `divmod` by DAY tells day and minute."""
        return instant + self.at(instant).offset

    def grid(self, windows: Iterable[tuple[int, int]], step: int) -> Iterator[int]:
        """Instants in sorted windows whose local minute of the day is a multiple of `step`.

        Of an hour that the clocks repeat only the first; an hour that they skip has no instants.
        """
        for start, end in windows:
            while start < end:
                piece = self.at(start)
                first, last = max(start, piece.fresh), min(end, piece.end)
                yield from range(first + -(first + piece.offset) % step, last, step)
                start = last

    def days(self, instants: Iterable[int]) -> Counter[int]:
        """How many of the instants are in each local day."""
        return self._periods(instants, DAY, 0)

    def weeks(self, instants: Iterable[int]) -> Counter[int]:
        """How many of the instants are in each local week."""
        return self._periods(instants, 7 * DAY, 3 * DAY)  # 1970 began on a Thursday.

    def _periods(self, instants: Iterable[int], length: int, shift: int) -> Counter[int]:
        in_order, found, n = sorted(instants), Counter[int](), 0
        while n < len(in_order):
            piece = self.at(in_order[n])
            to_local = piece.offset + shift
            period = (in_order[n] + to_local) // length
            end = min(piece.end, (period + 1) * length - to_local)
            first, n = n, bisect_left(in_order, end, n)
            found[period] += n - first
        return found

    def instants(self, start: int, end: int, span: tuple[int, int]) -> Iterator[tuple[int, int]]:
        """When, within the span, the wall shows local minutes from `start` up to `end`."""
        for piece in self.pieces(*span):
            a, b = max(piece.start, start - piece.offset), min(piece.end, end - piece.offset)
            if a < b:
                yield a, b


def weekday(day: int) -> int:
    """Monday is 0, as in `datetime`."""
    return (day + 3) % 7  # 1970 began on a Thursday.


def week(day: int) -> int:
    return (day + 3) // 7


@lru_cache(maxsize=1024)
def _pieces(name: str, quarter: int) -> tuple[Piece, ...]:
    zone = ZoneInfo(name)

    def offset(instant: int) -> int:
        there = (_EPOCH + timedelta(minutes=instant)).astimezone(zone).replace(tzinfo=UTC)
        return (there - _EPOCH) // timedelta(minutes=1) - instant

    first, last = quarter * _QUARTER, (quarter + 1) * _QUARTER
    # The day before belongs to it: what it repeats may reach into this quarter.
    changes = [(first - DAY, offset(first - DAY), first - DAY)]
    for before in range(first - DAY, last, DAY):
        old, new = offset(before), offset(before + DAY)
        if old != new:
            low, high = before, before + DAY
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle) == old else (low, middle)
            changes.append((high, new, high + max(0, old - new)))
    ends = [start for start, _, _ in changes[1:]] + [last]
    return tuple(
        Piece(max(start, first), end, offset, fresh)
        for (start, offset, fresh), end in zip(changes, ends, strict=True)
        if end > first
    )
