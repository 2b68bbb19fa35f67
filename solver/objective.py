"""What an alternative costs: one small function for each inconvenience, in points of `Weights`.

A term's arguments say what it depends on, so that each is asked no more often than needed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from solver.candidates import Place, Scene
from solver.local_time import week, weekday
from solver.problem import DAY, Modality, Policy, Weights
from solver.proposal import Swap
from solver.rooms import Fit


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """A feasible session; sorting is the order in which the solver prefers them."""

    cost: int
    start: int
    clinician: str
    modality: Modality
    room: str
    location: str
    day: int
    part: int
    view: View = field(compare=False, repr=False)
    breakdown: tuple[tuple[str, int], ...] = field(compare=False, repr=False)
    swaps: tuple[Swap, ...] = field(compare=False, default=())

    @property
    def end(self) -> int:
        return self.start + self.view.duration

    @property
    def place(self) -> Place:
        return self.view.place

    @property
    def stays(self) -> list[tuple[str, int, int]]:
        """Which rooms it takes, from when until when: its own, and those it sends others to."""
        if not self.room:
            return []
        rows = self.view.tables.rows
        return [
            (self.room, self.start, self.end),
            *((swap.room, rows[swap.ref].start, rows[swap.ref].end) for swap in self.swaps),
        ]

    @property
    def cell(self) -> tuple[int, int]:
        """Two candidates of one local date and part of the day are much the same to a client."""
        return self.day, self.part


class View(Scene):
    """A scene seen by someone who weighs it."""

    @cached_property
    def weights(self) -> Weights:
        return self.problem.policy.weights

    @cached_property
    def asked(self) -> int | None:
        """What was asked for, in local minutes there."""
        start = self.request.asked_start
        zone = self.tables.zone(self.request.asked_location)
        return None if start is None else zone.local(start)

    @cached_property
    def shortest(self) -> int:
        """A gap below this is lost: no service fits into it."""
        return min(service.duration for service in self.problem.services)

    @cached_property
    def ready(self) -> list[int]:
        """When the clinician can begin to be busy here again."""
        return sorted(
            [a for a, _ in self.hours]
            + [b for _, b in self.absences]
            + [ready for _, ready in self.neighbours]
        )

    @cached_property
    def stops(self) -> list[int]:
        """When the clinician must have ceased to be busy here."""
        return sorted(
            [b for _, b in self.hours]
            + [a for a, _ in self.absences]
            + [stop for stop, _ in self.neighbours]
        )

    def gap_before(self, start: int) -> int:
        """Idle minutes since the neighbour or the beginning of the block, after buffers."""
        since = self.ready[bisect_right(self.ready, start) - 1]
        return max(0, start - self.service.buffer_before - since)

    def gap_after(self, start: int) -> int:
        end = start + self.duration
        until = self.stops[bisect_left(self.stops, end)]
        return max(0, until - end - self.service.buffer_after)

    @cached_property
    def load(self) -> Counter[int]:
        """This clinician's sessions in each local week."""
        load: Counter[int] = Counter()
        for day, sessions in self.sessions_by_day.items():
            load[week(day)] += sessions
        return load

    @cached_property
    def load_of_all(self) -> Counter[int]:
        """All clinicians' sessions in each local week."""
        return self.tables.sessions_by_week(self.request.ignore_refs)

    @cached_property
    def dayparts(self) -> list[int]:
        return [part.start for part in self.problem.policy.dayparts]

    def part(self, minute: int) -> int:
        return bisect_right(self.dayparts, minute) - 1

    def candidate(self, start: int) -> Candidate:
        """A feasible start with its cost."""
        day, minute = divmod(self.zone.local(start), DAY)
        fit = self.room_for(start)
        breakdown = (
            *((term.__name__, term(self)) for term in PLACE_TERMS),
            *((term.__name__, term(self, day)) for term in DAY_TERMS),
            *((term.__name__, term(self, minute)) for term in MINUTE_TERMS),
            *((term.__name__, term(self, start)) for term in START_TERMS),
            *((term.__name__, term(self, fit)) for term in ROOM_TERMS),
        )
        return Candidate(
            cost=sum(points for _, points in breakdown),
            start=start,
            clinician=self.place.clinician,
            modality=self.place.modality,
            room=fit.room.id if fit else "",
            location=self.place.location or "",
            day=day,
            part=self.part(minute),
            view=self,
            breakdown=breakdown,
            swaps=fit.swaps if fit else (),
        )


def other_clinician(view: View) -> int:
    """Trust is with a person."""
    other = view.request.asked_clinician not in (None, view.place.clinician)
    return view.weights.other_clinician * other


def other_modality(view: View) -> int:
    other = view.request.asked_modality not in (None, view.place.modality)
    return view.weights.other_modality * other


def other_location(view: View) -> int:
    """Another way to go; whoever meets by video goes nowhere."""
    asked, place = view.request.asked_location, view.place
    other = place.modality is Modality.IN_PERSON and asked not in (None, place.location)
    return view.weights.other_location * other


def days_moved(view: View, day: int) -> int:
    if view.asked is None:
        return 0
    moved = abs(day - view.asked // DAY)
    return view.weights.day_moved * min(moved, view.weights.days_moved_at_most)


def weekday_not_preferred(view: View, day: int) -> int:
    wished = view.request.preferred_weekdays
    return view.weights.weekday_not_preferred * bool(wished and weekday(day) not in wished)


def empty_day(view: View, day: int) -> int:
    """Somebody would come to work for a single session."""
    return view.weights.empty_day * (not view.sessions_by_day[day])


def busier_than_mean(view: View, day: int) -> int:
    """Substitutes should not be always the same; the mean is rounded down."""
    if view.request.asked_clinician in (None, view.place.clinician):
        return 0
    mine, all_of_us = view.load[week(day)], view.load_of_all[week(day)]
    return view.weights.busier_than_mean * max(0, mine - all_of_us // len(view.problem.clinicians))


def quarters_moved(view: View, minute: int) -> int:
    if view.asked is None:
        return 0
    moved = abs(minute - view.asked % DAY) // 15
    return view.weights.quarter_moved * min(moved, view.weights.quarters_moved_at_most)


def daypart_not_preferred(view: View, minute: int) -> int:
    wished = view.request.preferred_dayparts
    part = view.problem.policy.dayparts[view.part(minute)].name
    return view.weights.daypart_not_preferred * bool(wished and part not in wished)


def loose_gap_before(view: View, start: int) -> int:
    return view.weights.loose_gap * (0 < view.gap_before(start) < view.shortest)


def loose_gap_after(view: View, start: int) -> int:
    return view.weights.loose_gap * (0 < view.gap_after(start) < view.shortest)


def no_neighbour(view: View, start: int) -> int:
    """A session in the middle of free time cuts it in two."""
    return view.weights.no_neighbour * bool(view.gap_before(start) and view.gap_after(start))


def other_room(view: View, fit: Fit | None) -> int:
    return view.room_points(fit.room)[0] if fit else 0


def surplus_features(view: View, fit: Fit | None) -> int:
    """Leave the room with the hoist to those who need it."""
    return view.room_points(fit.room)[1] if fit else 0


def swapped_sessions(view: View, fit: Fit | None) -> int:
    """Somebody's colleagues find another number on their door."""
    return view.weights.swapped_session * len(fit.swaps) if fit else 0


PLACE_TERMS: tuple[Callable[[View], int], ...] = (
    other_clinician,
    other_modality,
    other_location,
)
DAY_TERMS: tuple[Callable[[View, int], int], ...] = (
    days_moved,
    weekday_not_preferred,
    empty_day,
    busier_than_mean,
)
MINUTE_TERMS: tuple[Callable[[View, int], int], ...] = (
    quarters_moved,
    daypart_not_preferred,
)
START_TERMS: tuple[Callable[[View, int], int], ...] = (
    loose_gap_before,
    loose_gap_after,
    no_neighbour,
)
ROOM_TERMS: tuple[Callable[[View, Fit | None], int], ...] = (
    other_room,
    surplus_features,
    swapped_sessions,
)
TERMS = (*PLACE_TERMS, *DAY_TERMS, *MINUTE_TERMS, *START_TERMS, *ROOM_TERMS)


@dataclass(frozen=True, slots=True)
class Crowd:
    """Candidates of which each chosen one above `free` costs `points`."""

    members: tuple[int, ...]
    free: int
    points: int


def repeated_days(policy: Policy, candidates: Sequence[Candidate]) -> list[Crowd]:
    """Whoever cannot on Tuesday needs something other than five Tuesdays."""
    days = _grouped(candidate.day for candidate in candidates)
    return [Crowd(members, 1, policy.weights.repeated_day) for members in days]


def repeated_dayparts(policy: Policy, candidates: Sequence[Candidate]) -> list[Crowd]:
    fair = -(-policy.k // len(policy.dayparts))
    parts = _grouped(candidate.part for candidate in candidates)
    return [Crowd(members, fair, policy.weights.repeated_daypart) for members in parts]


CROWDING = (repeated_days, repeated_dayparts)


def crowds(policy: Policy, candidates: Sequence[Candidate]) -> list[Crowd]:
    found = (crowd for term in CROWDING for crowd in term(policy, candidates))
    return [crowd for crowd in found if len(crowd.members) > crowd.free and crowd.points]


def total(policy: Policy, chosen: Sequence[Candidate]) -> int:
    """What it costs to propose these together."""
    return sum(candidate.cost for candidate in chosen) + sum(
        crowd.points * (len(crowd.members) - crowd.free) for crowd in crowds(policy, chosen)
    )


def _grouped(keys: Iterable[int]) -> list[tuple[int, ...]]:
    groups: dict[int, list[int]] = defaultdict(list)
    for n, key in enumerate(keys):
        groups[key].append(n)
    return [tuple(members) for members in groups.values()]
