"""Hard rules among proposals, one small function each: all of them can be held at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from solver.objective import Candidate


@dataclass(frozen=True, slots=True)
class Limit:
    """No more than `most` of the members may be chosen; members are positions in a list."""

    members: tuple[int, ...]
    most: int


def hold_each_client_once(candidates: Sequence[Candidate]) -> Iterator[Limit]:
    """Nobody chooses between two sessions at the same time: all are of one request."""
    for n, m in _pairs(candidates, lambda _: True):
        if candidates[m].start < candidates[n].end:
            yield Limit((n, m), 1)


def hold_each_clinician_once(candidates: Sequence[Candidate]) -> Iterator[Limit]:
    """Nobody treats two at once, nor without the buffers and the way between."""
    for n, m in _pairs(candidates, lambda candidate: candidate.clinician):
        first, then = candidates[n], candidates[m]
        way = first.view.problem.travel.get((first.location, then.location), 0)
        pause = first.view.service.buffer_after + way + then.view.service.buffer_before
        if then.start - first.end < pause:
            yield Limit((n, m), 1)


def hold_each_room_once(candidates: Sequence[Candidate]) -> Iterator[Limit]:
    """A room is aired before the next session; rooms that swaps give to others are taken, too."""
    stays: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for n, candidate in enumerate(candidates):
        for room, start, end in candidate.stays:
            stays[room].append((start, end, n))
    for room, taken in stays.items():
        for (_, end, n), (start, _, m) in combinations(sorted(taken), 2):
            if n != m and start - end < candidates[n].view.tables.rooms[room].turnover:
                yield Limit((min(n, m), max(n, m)), 1)


def swap_each_session_once(candidates: Sequence[Candidate]) -> Iterator[Limit]:
    """Whoever goes to another room for one proposal does not go elsewhere for the next."""
    moved: dict[str, list[int]] = defaultdict(list)
    for n, candidate in enumerate(candidates):
        for swap in candidate.swaps:
            moved[swap.ref].append(n)
    for members in moved.values():
        yield Limit(tuple(members), 1)


def keep_to_the_daily_maximum(candidates: Sequence[Candidate]) -> Iterator[Limit]:
    """What is held counts, as long as it is held."""
    days = _grouped(candidates, lambda candidate: (candidate.clinician, candidate.day))
    for members in days.values():
        view, day = candidates[members[0]].view, candidates[members[0]].day
        most = view.clinician.max_sessions_day
        if most is not None:
            yield Limit(tuple(members), most - view.sessions_by_day[day])


ALL: tuple[Callable[[Sequence[Candidate]], Iterator[Limit]], ...] = (
    hold_each_client_once,
    hold_each_clinician_once,
    hold_each_room_once,
    swap_each_session_once,
    keep_to_the_daily_maximum,
)


def limits(candidates: Sequence[Candidate]) -> list[Limit]:
    """All that bind, each once, in a defined order."""
    found = (limit for rule in ALL for limit in rule(candidates))
    return list(dict.fromkeys(limit for limit in found if limit.most < len(limit.members)))


def _grouped(
    candidates: Sequence[Candidate], key: Callable[[Candidate], Hashable]
) -> dict[Hashable, list[int]]:
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for n, candidate in enumerate(candidates):
        groups[key(candidate)].append(n)
    return groups


def _pairs(
    candidates: Sequence[Candidate], key: Callable[[Candidate], Hashable]
) -> Iterator[tuple[int, int]]:
    """Positions of two that share a key, and one that says something; the earlier first."""
    for shared, members in _grouped(candidates, key).items():
        if shared:
            yield from combinations(sorted(members, key=lambda n: candidates[n].start), 2)
