"""Who could go to another room of the office, at their own time, so that a session fits.

The new session takes a room; whoever is in its way goes to another one, where somebody may be in
the way again, and so on, each session once. What is found moves the fewest sessions.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from solver.problem import Busy, Room
from solver.proposal import Swap

MOST_SWAPS = 4  # Nobody would want to hear of more for one appointment.
MOST_TRIES = 2_000  # A search that is not over by then finds nothing, and the time is not offered.

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Fit:
    """A room for a session, and who makes it free."""

    room: Room
    swaps: tuple[Swap, ...] = ()


@dataclass(frozen=True, slots=True)
class Stay:
    """A session that needs one of some rooms from `start` to `end`."""

    ref: str | None
    """None: the new one."""
    start: int
    end: int
    rooms: Sequence[str]


class Office:
    """The rooms of one location, when they are open, and what stands in them."""

    def __init__(
        self, rooms: Sequence[Room], rows: Iterable[Busy], open_: Mapping[str, list[Range]]
    ) -> None:
        self._rooms = {room.id: room for room in rooms}
        self._open = open_
        self._rows: dict[str, list[Busy]] = {room.id: [] for room in rooms}
        for row in sorted(rows, key=lambda row: (row.start, row.ref)):
            if row.room in self._rows:
                self._rows[row.room].append(row)
        self._starts = {room: [row.start for row in rows] for room, rows in self._rows.items()}
        every = [row for rows in self._rows.values() for row in rows]
        self._longest = max((row.end - row.start for row in every), default=0)
        self.flexible = any(row.other_rooms for row in every)

    def make_room(
        self, start: int, end: int, rooms: Sequence[str], ignore_refs: frozenset[str]
    ) -> Fit | None:
        """The first of `rooms` that can be made free with the fewest swaps, if there is one.

        Rows to ignore are no obstacle for the new session; for those that move they are.
        """
        if not self.flexible or self._too_many(start, end, ignore_refs):
            return None
        search = _Search(self, ignore_refs)
        for most in range(1, MOST_SWAPS + 1):
            placed = search.place((Stay(None, start, end, rooms),), (), most)
            if placed is not None:
                (_, room), *moved = placed
                swaps = sorted(Swap(stay.ref or "", where) for stay, where in moved)
                return Fit(self._rooms[room], tuple(swaps))
        return None

    def changes(self, span: Range, duration: int) -> Iterator[int]:
        """Starts from which on another answer is possible, so that one of each piece tells all."""
        turnovers = {room.turnover for room in self._rooms.values()}
        points = {span[0]}
        for ranges in self._open.values():
            points.update(point for a, b in ranges for point in (a, b - duration + 1))
        for row in self._near(span[0], span[1] + duration, max(turnovers, default=0)):
            for turnover in turnovers:
                points.update((row.start - turnover - duration + 1, row.end + turnover))
        yield from sorted(point for point in points if span[0] <= point < span[1])

    def is_open(self, room: str, stay: Stay) -> bool:
        ranges = self._open[room]
        n = bisect_right(ranges, (stay.start, 1 << 60)) - 1
        return n >= 0 and stay.end <= ranges[n][1]

    def in_the_way(self, room: str, stay: Stay) -> Iterator[Busy]:
        """Rows of the room that leave it too late, or need it too early."""
        turnover, starts = self._rooms[room].turnover, self._starts[room]
        first = bisect_left(starts, stay.start - turnover - self._longest)
        last = bisect_left(starts, stay.end + turnover)
        for row in self._rows[room][first:last]:
            if row.end + turnover > stay.start:
                yield row

    def apart(self, room: str, one: Stay, other: Stay) -> bool:
        turnover = self._rooms[room].turnover
        return one.end + turnover <= other.start or other.end + turnover <= one.start

    def _near(self, start: int, end: int, turnover: int) -> Iterator[Busy]:
        for room, rows in self._rows.items():
            first = bisect_left(self._starts[room], start - turnover - self._longest)
            yield from rows[first : bisect_left(self._starts[room], end + turnover)]

    def _too_many(self, start: int, end: int, ignore_refs: frozenset[str]) -> bool:
        """At some moment there is a session in every room: no swap makes room for one more."""
        rows = [
            row
            for row in self._near(start, end, 0)
            if row.end > start and row.start < end and row.ref not in ignore_refs
        ]
        moments = {start, *(row.start for row in rows if row.start > start)}
        return any(
            len({row.room for row in rows if row.start <= moment < row.end}) == len(self._rooms)
            for moment in moments
        )


Placed = tuple[tuple[Stay, str], ...]


class _Search:
    """Depth first, the rooms in the order in which they are wanted."""

    def __init__(self, office: Office, ignore_refs: frozenset[str]) -> None:
        self._office, self._ignore_refs = office, ignore_refs
        self._tries = 0

    def place(self, waiting: tuple[Stay, ...], placed: Placed, most: int) -> Placed | None:
        """All of `waiting` in rooms, with at most `most` more sessions moved."""
        if not waiting:
            return placed
        stay, *rest = waiting
        leaving = {one.ref for one in waiting} | {one.ref for one, _ in placed}
        for room in stay.rooms:
            self._tries += 1
            if self._tries > MOST_TRIES:
                return None
            moved = self._evicted(stay, room, leaving, placed)
            if moved is None or len(moved) > most:
                continue
            found = self.place((*rest, *moved), (*placed, (stay, room)), most - len(moved))
            if found is not None:
                return found
        return None

    def _evicted(
        self, stay: Stay, room: str, leaving: set[str | None], placed: Placed
    ) -> list[Stay] | None:
        """Who would have to leave the room; None when somebody cannot."""
        office = self._office
        if not office.is_open(room, stay) or any(
            there == room and not office.apart(room, stay, other) for other, there in placed
        ):
            return None
        moved = []
        for row in office.in_the_way(room, stay):
            own = row.ref in self._ignore_refs
            if row.ref in leaving or (own and stay.ref is None):
                continue
            if own or not row.other_rooms:
                return None
            moved.append(Stay(row.ref, row.start, row.end, row.other_rooms))
        return moved
