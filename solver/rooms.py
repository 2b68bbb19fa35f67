"""Who could go to another room of the office, at their own time, so that a session fits.

The new session takes a room; whoever is in its way goes to another one, where somebody may be in
the way again, and so on, each session once. What is found moves the fewest sessions.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from solver.problem import Room
from solver.proposal import Swap

MOST_SWAPS = 4  # Nobody would want to hear of more for one appointment.
MOST_TRIES = 2_000  # A search that is not over by then finds nothing, and the time is not offered.

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Fit:
    """A room for a session, and who makes it free."""

    room: Room
    swaps: tuple[Swap, ...] = ()


class Sitting(NamedTuple):
    """A session that stands in a room, and could as well be in others."""

    start: int
    end: int
    ref: str
    room: str
    other_rooms: tuple[str, ...]


class Stay(NamedTuple):
    """A session that needs one of some rooms from `start` to `end`."""

    ref: str | None
    """None: the new one."""
    start: int
    end: int
    rooms: Sequence[str]


class Way(NamedTuple):
    """A room in which a session could be once these have left it."""

    room: str
    rows: tuple[Sitting, ...]


class Office:
    """The rooms of one location, when they are open, and what stands in them."""

    def __init__(
        self, rooms: Sequence[Room], rows: Iterable[Sitting], open_: Mapping[str, list[Range]]
    ) -> None:
        self._rooms = {room.id: room for room in rooms}
        self._open = open_
        self._rows: dict[str, list[Sitting]] = {room.id: [] for room in rooms}
        for row in sorted(rows):
            self._rows[row.room].append(row)
        self._starts = {room: [row.start for row in rows] for room, rows in self._rows.items()}
        every = [row for rows in self._rows.values() for row in rows]
        self._longest = max((row.end - row.start for row in every), default=0)
        self.flexible = any(row.other_rooms for row in every)
        self._full: dict[frozenset[str], list[int]] = {}
        self._ways: dict[tuple[str, frozenset[str]], tuple[Way, ...]] = {}
        self._fewest: dict[tuple[str, frozenset[str]], int] = {}
        self._instead: dict[tuple[str, int, int], list[Sitting] | None] = {}

    def make_room(
        self, start: int, end: int, rooms: Sequence[str], ignore_refs: frozenset[str]
    ) -> Fit | None:
        """The first of `rooms` that can be made free with the fewest swaps, if there is one.

        Rows to ignore are no obstacle for the new session; for those that move they are.
        """
        if not self.flexible or self._too_many(start, end, ignore_refs):
            return None
        search = _Search(self, ignore_refs, Stay(None, start, end, rooms))
        for most in range(search.least(), MOST_SWAPS + 1):
            placed = search.place(most)
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
        for room in self._rooms:
            for row in self._between(room, span[0], span[1] + duration, max(turnovers)):
                for turnover in turnovers:
                    points.update((row.start - turnover - duration + 1, row.end + turnover))
        yield from sorted(point for point in points if span[0] <= point < span[1])

    def fewest(self, row: Sitting, ignore_refs: frozenset[str]) -> int:
        """How many have to leave for a session, at least, wherever it goes instead."""
        key = row.ref, ignore_refs
        if key not in self._fewest:
            self._fewest[key] = MOST_SWAPS
            for way in self._ways_of(_stay(row), ignore_refs):
                self._fewest[key] = min(self._fewest[key], len(way.rows))
                if not way.rows:
                    break
        return self._fewest[key]

    def ways(self, stay: Stay, ignore_refs: frozenset[str]) -> Iterable[Way]:
        """Where it could be if whoever is in the way left, and all of those can."""
        if stay.ref is None:
            return self._ways_of(stay, ignore_refs)
        key = stay.ref, ignore_refs
        if key not in self._ways:
            self._ways[key] = tuple(self._ways_of(stay, ignore_refs))
        return self._ways[key]

    def _ways_of(self, stay: Stay, ignore_refs: frozenset[str]) -> Iterator[Way]:
        for room in stay.rooms:
            rows = self._in_the_way(room, stay, ignore_refs)
            if rows is None:
                continue
            for row in rows:
                if not row.other_rooms or row.ref in ignore_refs:
                    break
            else:
                yield Way(room, tuple(rows))

    def _in_the_way(
        self, room: str, stay: Stay, ignore_refs: frozenset[str]
    ) -> list[Sitting] | None:
        """Whom a session would find in the room; None: the room is closed."""
        if stay.ref is None:
            rows = self._found(room, stay)
            return rows and [row for row in rows if row.ref not in ignore_refs]
        key = room, stay.start, stay.end  # Most sessions begin and end together with others.
        if key not in self._instead:
            self._instead[key] = self._found(room, stay)
        return self._instead[key]

    def _found(self, room: str, stay: Stay) -> list[Sitting] | None:
        if not self._is_open(room, stay):
            return None
        return self._between(room, stay.start, stay.end, self._rooms[room].turnover)

    def _is_open(self, room: str, stay: Stay) -> bool:
        ranges = self._open[room]
        n = bisect_right(ranges, (stay.start, 1 << 60)) - 1
        return n >= 0 and stay.end <= ranges[n][1]

    def _between(self, room: str, start: int, end: int, turnover: int) -> list[Sitting]:
        """Rows of the room that leave it too late for `start`, and need it too early for `end`."""
        starts = self._starts[room]
        first = bisect_left(starts, start - turnover - self._longest)
        last = bisect_left(starts, end + turnover, first)
        return [row for row in self._rows[room][first:last] if row.end + turnover > start]

    def apart(self, room: str, one: Stay, other: Stay) -> bool:
        turnover = self._rooms[room].turnover
        return one.end + turnover <= other.start or other.end + turnover <= one.start

    def _too_many(self, start: int, end: int, ignore_refs: frozenset[str]) -> bool:
        """At some moment there is a session in every room: no swap makes room for one more."""
        if ignore_refs not in self._full:
            self._full[ignore_refs] = self._full_stretches(ignore_refs)
        edges = self._full[ignore_refs]
        return bisect_right(edges, start) % 2 == 1 or bisect_left(edges, end) > bisect_right(
            edges, start
        )

    def _full_stretches(self, ignore_refs: frozenset[str]) -> list[int]:
        """When every room has somebody in it: instants at which that begins and ends by turns."""
        changes: list[tuple[int, int]] = []
        for rows in self._rows.values():
            reach = 0
            for row in rows:
                if row.end > reach and row.ref not in ignore_refs:
                    changes += [(max(row.start, reach), 1), (row.end, -1)]
                    reach = row.end
        taken, every, edges = 0, len(self._rooms), []
        for instant, change in sorted(changes):  # Whoever leaves goes before whoever comes.
            if every in (taken, taken + change):
                edges.append(instant)
            taken += change
        return edges


Placed = tuple[tuple[Stay, str], ...]


class _Search:
    """Depth first, the rooms that the fewest have to leave before the others."""

    def __init__(self, office: Office, ignore_refs: frozenset[str], new: Stay) -> None:
        self._office, self._ignore_refs, self._new = office, ignore_refs, new
        self._tries = 0
        self._first: list[tuple[int, int, Way]] = []
        for n, way in enumerate(office.ways(new, ignore_refs)):
            # Of those who leave for the new session nobody has made way for the others yet.
            least = len(way.rows) + max(
                (office.fewest(row, ignore_refs) for row in way.rows), default=0
            )
            self._first.append((least, n, way))
            if least <= 1:
                break  # Nothing after it is better.
        self._first.sort()

    def least(self) -> int:
        """With fewer swaps there is nothing to find."""
        return self._first[0][0] if self._first else MOST_SWAPS + 1

    def place(self, most: int) -> Placed | None:
        """The new session in a room, and everybody else in theirs, with `most` moved."""
        for least, _, way in self._first:
            if least <= most:
                found = self._put(self._new, way, list(way.rows), (), (), most)
                if found is not None:
                    return found
        return None

    def _put(
        self,
        stay: Stay,
        way: Way,
        moved: list[Sitting],
        waiting: tuple[Stay, ...],
        placed: Placed,
        most: int,
    ) -> Placed | None:
        """`stay` in this room, and then all who wait, and whoever leaves for it, in others."""
        self._tries += 1
        placed, waiting = (*placed, (stay, way.room)), (*waiting, *map(_stay, moved))
        if not waiting or self._tries > MOST_TRIES:
            return None if waiting else placed
        (stay, *rest), most = waiting, most - len(moved)
        leaving = {one.ref for one in waiting} | {one.ref for one, _ in placed}
        ways = []
        for n, way in enumerate(self._office.ways(stay, self._ignore_refs)):
            moved = [row for row in way.rows if row.ref not in leaving]
            if len(moved) <= most and all(
                self._office.apart(there, stay, other)
                for other, there in placed
                if there == way.room
            ):
                ways.append((len(moved), n, way, moved))
        for _, _, way, moved in sorted(ways):
            found = self._put(stay, way, moved, tuple(rest), placed, most)
            if found is not None:
                return found
        return None


def _stay(row: Sitting) -> Stay:
    return Stay(row.ref, row.start, row.end, row.other_rooms)
