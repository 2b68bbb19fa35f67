"""Why there is no alternative, and what would open one: counting starts, rule by rule.

All starts of the practice are the bits of one whole number, so that asking which of them break
exactly two rules takes a handful of operations, however many they are.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import (
    Callable,
    Container,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    Set,
)
from functools import cache, reduce
from itertools import chain, combinations
from operator import and_, or_

from solver.candidates import RULES, Place, Range, Ranges, Rule, Scene, opening_hours
from solver.local_time import Zone
from solver.problem import DAY, Daypart, Modality, Problem, Request, validate
from solver.proposal import Count, Explanation, Group, Relaxation

Where = tuple[str | None, Modality]
Starts = int
"""A set of starts: bit n stands for the n-th of the universe."""
Groups = tuple[Group, ...]
Opened = Mapping[Groups, Mapping[Where, Starts]]
"""Where what opens when just these groups give way."""


def explain(problem: Problem) -> tuple[Explanation, ...]:
    """For each request by itself: how many starts there are, and how many without each rule."""
    problem = validate(problem)
    return tuple(_explanation(Universe(problem, request)) for request in problem.requests)


def _explanation(universe: Universe) -> Explanation:
    free = universe.opened(0, frozenset()).get((), {})
    singles = _additions(universe.opened(1, frozenset(Group)), free)
    idle = frozenset(Group).difference(*singles)
    pairs = _additions(universe.opened(2, idle), free)
    return Explanation(
        request=universe.request.id,
        universe=universe.within_reach().bit_count(),
        starts=_all(free).bit_count(),
        relaxations=tuple(
            universe.relaxation(groups, found[groups])
            for found, size in ((singles, 1), (pairs, 2))
            for groups in combinations(Group, size)
            if groups in found
        ),
    )


def _additions(opened: Opened, free: Mapping[Where, Starts]) -> Opened:
    """Together with what is free anyway, but only if it is more than that."""
    return {
        groups: {where: free.get(where, 0) | here.get(where, 0) for where in {**free, **here}}
        for groups, here in opened.items()
        if any(starts & ~free.get(where, 0) for where, starts in here.items())
    }


def _all(starts: Mapping[Where, Starts]) -> Starts:
    return reduce(or_, starts.values(), 0)


class Line:
    """Instants in order, of which sets are whole numbers: bit n stands for the n-th."""

    def __init__(self, instants: Iterable[int]) -> None:
        self.instants = sorted(instants)

    def within(self, ranges: Ranges) -> Starts:
        found, start, end = 0, 0, 0
        for a, b in ranges:
            if start <= a <= end:  # Sessions in a row forbid a start together.
                end = max(end, b)
            else:
                found |= self._between(start, end)
                start, end = a, b
        return found | self._between(start, end)

    def _between(self, start: int, end: int) -> Starts:
        first = bisect_left(self.instants, start)
        return (1 << bisect_left(self.instants, end, first)) - (1 << first)

    def among(self, chosen: Container[int]) -> Starts:
        return int("0" + "".join("01"[each in chosen] for each in reversed(self.instants)), 2)

    @property
    def span(self) -> Range:
        return (self.instants[0], self.instants[-1] + 1) if self.instants else (0, 1)


class Universe:
    """Whenever the practice could hold the session from now on, and what is against it."""

    def __init__(self, problem: Problem, request: Request) -> None:
        self.problem, self.request = problem, request
        hours = opening_hours(problem, request.service)
        self._scenes = [
            Scene(problem, request, Place(clinician.id, *where))
            for clinician in problem.clinicians
            if request.service in clinician.services
            for where in hours
        ]
        self._places = [
            frozenset(group for group, forbids in PLACES.items() if forbids(request, scene.place))
            for scene in self._scenes
        ]
        self._zones = {_where(scene): scene.zone for scene in self._scenes}
        windows = {where: self._first_to_last_start(hours[where]) for where in self._zones}
        grid = problem.policy.grid_minutes
        round_times: dict[Zone, set[int]] = defaultdict(set)
        for where, zone in self._zones.items():
            round_times[zone].update(zone.grid(windows[where], grid))
        self._line = Line(set[int]().union(*round_times.values()))
        self._opening = {
            where: self._line.within(windows[where]) & self._line.among(round_times[zone])
            for where, zone in self._zones.items()
        }
        self._parts = {
            zone: {part.name: self._during(part, zone) for part in problem.policy.dayparts}
            for zone in round_times
        }
        self._known: dict[tuple[Group, Hashable], Starts] = {}

    def _first_to_last_start(self, hours: Ranges) -> list[Range]:
        now, duration = self.problem.policy.now, self._scenes[0].duration
        clipped = ((max(a, now), b - duration + 1) for a, b in hours)
        return [(a, b) for a, b in clipped if a < b]

    def within_reach(self) -> Starts:
        """Between somebody's notice and horizon."""
        found = 0
        for scene in self._scenes:
            beyond = self._broken(scene, Group.NOTICE) | self._broken(scene, Group.HORIZON)
            found |= self._opening[_where(scene)] & ~beyond
        return found

    def opened(self, give_way: int, candidates: Set[Group]) -> Opened:
        """Starts with just so many groups against them, all of them candidates to give way."""
        found: dict[Groups, dict[Where, Starts]] = defaultdict(lambda: defaultdict(int))
        for scene, place in zip(self._scenes, self._places, strict=True):
            where = _where(scene)
            more = give_way - len(place)
            if more < 0 or not place <= candidates:
                continue
            starts = self._opening[where]
            if not more:  # The more have been found, the fewer are left to look at.
                starts &= ~found[_in_order(place)][where]
            breakable = [g for g in RULE_OF if more and g in candidates]
            for groups, some in self._breaking(scene, starts, more, breakable):
                found[_in_order(place.union(groups))][where] |= some
        return found

    def _breaking(
        self, scene: Scene, starts: Starts, exactly: int, breakable: Sequence[Group]
    ) -> Iterator[tuple[Groups, Starts]]:
        """Which of the starts break so many of these groups, and nothing else."""
        for group in RULE_OF:
            if group not in breakable:
                starts &= ~self._broken(scene, group)
                if not starts:
                    return
        broken = {group: starts & self._broken(scene, group) for group in breakable}
        at_least = [starts, *[0] * (exactly + 1)]
        for some in broken.values():
            for n in range(exactly, -1, -1):
                at_least[n + 1] |= at_least[n] & some
        precisely = at_least[exactly] & ~at_least[exactly + 1]
        for groups in combinations(breakable, exactly):
            if some := reduce(and_, (broken[group] for group in groups), precisely):
                yield groups, some

    def _broken(self, scene: Scene, group: Group) -> Starts:
        rule, depends_on = RULE_OF[group]
        key = group, depends_on(scene)
        if key not in self._known:
            self._known[key] = self._line.within(RULES[rule](scene, self._line.span))
        return self._known[key]

    def relaxation(self, groups: Groups, opened: Mapping[Where, Starts]) -> Relaxation:
        counts = (
            Count(*where, part, (starts & during).bit_count())
            for where, zone in self._zones.items()
            if (starts := opened.get(where))
            for part, during in self._parts[zone].items()
        )
        return Relaxation(
            groups=groups,
            starts=_all(opened).bit_count(),
            counts=tuple(count for count in counts if count.starts),
        )

    def _during(self, part: Daypart, zone: Zone) -> Starts:
        span = self._line.span
        days = range(zone.local(span[0]) // DAY, zone.local(span[1]) // DAY + 1)
        found = (zone.instants(day * DAY + part.start, day * DAY + part.end, span) for day in days)
        return self._line.within(chain.from_iterable(found))


def _where(scene: Scene) -> Where:
    return scene.place.location, scene.place.modality


@cache
def _in_order(groups: frozenset[Group]) -> Groups:
    return tuple(group for group in Group if group in groups)


def _other_clinician(request: Request, place: Place) -> bool:
    names = request.allowed_clinicians
    return names is not None and place.clinician not in names


def _other_location(request: Request, place: Place) -> bool:
    where, in_person = request.allowed_locations, place.modality is Modality.IN_PERSON
    return in_person and where is not None and place.location not in where


def _other_modality(request: Request, place: Place) -> bool:
    return place.modality not in request.allowed_modalities


PLACES: Mapping[Group, Callable[[Request, Place], bool]] = {
    Group.CLINICIAN: _other_clinician,
    Group.LOCATION: _other_location,
    Group.MODALITY: _other_modality,
}
"""What forbids a place whatever the start, and would open it by giving way."""

RULE_OF: Mapping[Group, tuple[Rule, Callable[[Scene], Hashable]]] = {
    Group.HOURS: (Rule.HOURS, lambda scene: (*scene.hours,)),
    Group.NOTICE: (Rule.NOTICE, lambda scene: scene.clinician.min_notice),
    Group.HORIZON: (Rule.HORIZON, lambda scene: (scene.zone, scene.clinician.horizon_days)),
    Group.CLIENT: (Rule.CLIENT, lambda _: ()),
    Group.REFUSED: (Rule.REFUSED, lambda _: ()),
    Group.DATES: (Rule.DATES, lambda _: ()),
    Group.TIME_OF_DAY: (Rule.TIME_OF_DAY, lambda scene: scene.zone),
    Group.ROOM: (Rule.ROOM, _where),
    Group.ABSENCE: (Rule.ABSENCE, lambda scene: (scene.clinician.id, scene.place.location)),
    Group.MAX_DAY: (Rule.MAX_DAY, lambda scene: (scene.clinician.id, scene.zone)),
    Group.AGENDA: (Rule.AGENDA_CONFIRMED, lambda scene: (scene.clinician.id, scene.place.location)),
    Group.HELD: (Rule.AGENDA_HELD, lambda scene: (scene.clinician.id, scene.place.location)),
}
"""The rule behind each other group, and on what of a scene it depends; cheap ones first."""
