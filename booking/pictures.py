"""A clinician's day as a small drawing: what the solver saw around a slot, in units of width."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from zoneinfo import ZoneInfo

import solver
from booking.availability import Plan, Slot, instant, minutes, wall
from booking.models import Location, Service

WIDTH = 288  # What is left beside the margins of a narrow phone, so that one unit is a pixel there.
MOST_LABELS = 5
LABEL_HOURS = (1, 2, 3, 4, 6)


class Mark(StrEnum):
    """What a stretch of the day is."""

    HOURS = "hours"
    SESSION = "session"
    PENDING = "pending"  # A request that waits, or a slot that is offered to somebody.
    BLOCKED = "blocked"
    MARGIN = "margin"  # Minutes before or after a session.
    TRAVEL = "travel"
    SLOT = "slot"


@dataclass(frozen=True, slots=True)
class Stretch:
    mark: Mark
    starts_at: datetime
    ends_at: datetime
    location: Location | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One day of one clinician, from the first whole hour to the last."""

    day: date
    zone: ZoneInfo
    opens_at: datetime
    closes_at: datetime
    stretches: tuple[Stretch, ...]

    def bars(self, mark: str) -> list[tuple[int, int]]:
        """Where the stretches of one sort begin, and how wide they are."""
        edges = [
            (self._x(stretch.starts_at), self._x(stretch.ends_at))
            for stretch in self.stretches
            if stretch.mark == mark
        ]
        return [(left, right - left) for left, right in edges if left < right]

    def labels(self) -> list[tuple[int, datetime]]:
        """Hours to write under the drawing, each with its place; few enough to be read."""
        span = round((self.closes_at - self.opens_at).total_seconds() / 3600)
        step = next((h for h in LABEL_HOURS if span <= h * MOST_LABELS), 12)
        first = self.opens_at.astimezone(self.zone).hour
        hours = range(-(-first // step) * step, first + span + 1, step)
        marks = (wall(self.day, hour * 60, self.zone) for hour in hours)
        return [(self._x(at), at) for at in marks if self.opens_at <= at <= self.closes_at]

    def told(self) -> list[Stretch]:
        """What the drawing shows, for those who cannot see it, in order of time."""
        said = [s for s in self.stretches if s.mark is not Mark.MARGIN]
        order = list(Mark)
        return sorted(said, key=lambda s: (s.starts_at, order.index(s.mark)))

    def _x(self, at: datetime) -> int:
        at = min(max(at, self.opens_at), self.closes_at)
        return round(WIDTH * ((at - self.opens_at) / (self.closes_at - self.opens_at)))


MARKS = {
    solver.BusyKind.CONFIRMED: Mark.SESSION,
    solver.BusyKind.EXTERNAL: Mark.BLOCKED,
    solver.BusyKind.PENDING: Mark.PENDING,
    solver.BusyKind.HELD: Mark.PENDING,
}


def picture(
    the: Plan,
    problem: solver.Problem,
    slot: Slot,
    service: Service,
    *,
    ignore_refs: frozenset[str] = frozenset(),
) -> Picture:
    """The day around a slot, as `problem` has it; no query, so that a page can draw many."""
    zone = the.zone(slot.clinician_location_id)
    day = slot.starts_at.astimezone(zone).date()
    proposed = solver.Busy(
        ref="slot",
        kind=solver.BusyKind.HELD,
        start=minutes(slot.starts_at),
        end=minutes(slot.ends_at),
        location=None if slot.clinician_location_id is None else str(slot.clinician_location_id),
        buffer_before=service.buffer_before,
        buffer_after=service.buffer_after,
    )
    taken = [*_taken(problem, slot.clinician_id, day, zone, ignore_refs), proposed]
    taken.sort(key=lambda busy: busy.start)
    hours = list(_hours(the, slot.clinician_id, day))
    sessions = list(_sessions(the, taken))
    opens_at, closes_at = _whole_hours([*hours, *sessions], zone)
    return Picture(
        day=day,
        zone=zone,
        opens_at=opens_at,
        closes_at=closes_at,
        stretches=(
            *hours,
            *sessions,
            *_margins(taken),
            *_travels(problem, taken),
            *_absences(problem, slot.clinician_id, opens_at, closes_at),
        ),
    )


def _whole_hours(stretches: list[Stretch], zone: ZoneInfo) -> tuple[datetime, datetime]:
    """From the hour in which the first begins to that in which the last ends."""
    first = min(stretch.starts_at for stretch in stretches)
    last = max(stretch.ends_at for stretch in stretches)
    opens_at = first - timedelta(minutes=first.astimezone(zone).minute)
    hours = -(-(last - opens_at) // timedelta(hours=1))
    return opens_at, opens_at + timedelta(hours=hours)


def _taken(
    problem: solver.Problem,
    clinician_id: int,
    day: date,
    zone: ZoneInfo,
    ignore_refs: frozenset[str],
) -> list[solver.Busy]:
    first, last = (minutes(wall(day, minute, zone)) for minute in (0, 24 * 60))
    begin = bisect_left(problem.busy, first, key=lambda busy: busy.start)
    end = bisect_left(problem.busy, last, key=lambda busy: busy.start)
    return [
        busy
        for busy in problem.busy[begin:end]
        if busy.clinician == str(clinician_id) and busy.ref not in ignore_refs
    ]


def _hours(the: Plan, clinician_id: int, day: date) -> Iterator[Stretch]:
    for block in the.blocks(clinician_id, day):
        yield _stretch(the, Mark.HOURS, block.window.start, block.window.end, block.location)


def _sessions(the: Plan, taken: list[solver.Busy]) -> Iterator[Stretch]:
    for busy in taken:
        mark = Mark.SLOT if busy.clinician is None else MARKS[busy.kind]
        yield _stretch(the, mark, busy.start, busy.end, busy.location)


def _margins(taken: list[solver.Busy]) -> Iterator[Stretch]:
    for busy in taken:
        if busy.buffer_before:
            yield _span(Mark.MARGIN, busy.start - busy.buffer_before, busy.start)
        if busy.buffer_after:
            yield _span(Mark.MARGIN, busy.end, busy.end + busy.buffer_after)


def _travels(problem: solver.Problem, taken: list[solver.Busy]) -> Iterator[Stretch]:
    for left, right in pairwise(taken):
        way = problem.travel.get((left.location or "", right.location or ""), 0)
        if way and left.location != right.location:
            ready = left.end + left.buffer_after
            yield _span(Mark.TRAVEL, ready, ready + way)


def _absences(
    problem: solver.Problem, clinician_id: int, opens_at: datetime, closes_at: datetime
) -> Iterator[Stretch]:
    first, last = minutes(opens_at), minutes(closes_at)
    for clinician in problem.clinicians:
        for away in clinician.absences if clinician.id == str(clinician_id) else ():
            if away.start < last and first < away.end:
                yield _span(Mark.BLOCKED, max(first, away.start), min(last, away.end))


def _stretch(the: Plan, mark: Mark, start: int, end: int, location: str | None) -> Stretch:
    place = None if location is None else the.locations[int(location)]
    return Stretch(mark, instant(start), instant(end), place)


def _span(mark: Mark, start: int, end: int) -> Stretch:
    return Stretch(mark, instant(start), instant(end))
