"""Alternatives for one request: few and different candidates, of which somebody chooses k."""

from __future__ import annotations

import json
import marshal
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, lru_cache
from hashlib import sha256
from heapq import heappop, heappush
from itertools import chain, islice, takewhile
from math import inf
from operator import attrgetter
from typing import Any

from solver.candidates import places
from solver.constraints import limits
from solver.explain import explain
from solver.objective import (
    DAY_TERMS,
    MINUTE_TERMS,
    PLACE_TERMS,
    Candidate,
    View,
    crowds,
    total,
)
from solver.problem import (
    DAY,
    Busy,
    BusyKind,
    Clinician,
    Policy,
    Problem,
    Request,
    Room,
    Window,
    busy_columns,
    validate,
)
from solver.proposal import Proposal, Result, Status, Unplaced
from solver.reasons import reasons


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of the candidates, by position, and what is known about it."""

    members: tuple[int, ...]
    proven: bool
    seconds: float = 0.0


Choose = Callable[[Policy, Sequence[Candidate]], Choice]


def greedy(problem: Problem) -> Result:
    """Proposals without a search: good, valid, and there even if the search is not."""
    return answer(problem, first_fit)


def answer(problem: Problem, choose: Choose) -> Result:
    """Each request alone, in order, while the proposals of those before it are held."""
    given, problem = problem, validate(problem)
    outcomes: list[Outcome] = []
    unplaced: list[Unplaced] = []
    for request in problem.requests:
        if outcomes:
            problem = holding(problem, outcomes[-1].proposals)
        outcomes.append(_alone(problem, request, choose))
        if not outcomes[-1].proposals:
            unplaced += [
                Unplaced(request.id, why) for why in explain(replace(problem, requests=(request,)))
            ]
    proposals = tuple(chain.from_iterable(outcome.proposals for outcome in outcomes))
    objective = sum(outcome.objective for outcome in outcomes)
    bound = sum(outcome.bound for outcome in outcomes)
    proven = all(outcome.proven for outcome in outcomes)
    enough = all(len(outcome.proposals) == problem.policy.k for outcome in outcomes)
    return Result(
        status=(
            Status.NONE
            if not proposals
            else Status.PARTIAL
            if not enough
            else Status.OPTIMAL
            if proven
            else Status.FEASIBLE
        ),
        proposals=proposals,
        objective=objective,
        bound=bound,
        gap=objective - bound,
        proven=proven,
        unplaced=tuple(unplaced),
        considered=sum(outcome.considered for outcome in outcomes),
        less_diverse=any(outcome.less_diverse for outcome in outcomes),
        seed=problem.policy.seed,
        input_hash=fingerprint(given),
        timings={"search": sum(outcome.seconds for outcome in outcomes)},
    )


def first_fit(policy: Policy, candidates: Sequence[Candidate]) -> Choice:
    """Again and again whatever adds least to the cost and still fits."""
    bounds, crowded = limits(candidates), crowds(policy, candidates)
    room = [limit.most for limit in bounds]
    free = [crowd.free for crowd in crowded]
    bounds_of = _by_member(limit.members for limit in bounds)
    crowds_of = _by_member(crowd.members for crowd in crowded)

    def added(n: int) -> int:
        too_many = (crowded[m].points for m in crowds_of[n] if free[m] <= 0)
        return candidates[n].cost + sum(too_many)

    chosen: list[int] = []
    left = list(range(len(candidates)))
    while len(chosen) < policy.k:
        left = [n for n in left if n not in chosen and all(room[m] > 0 for m in bounds_of[n])]
        if not left:
            break
        best = min(left, key=added)
        chosen.append(best)
        for m in bounds_of[best]:
            room[m] -= 1
        for m in crowds_of[best]:
            free[m] -= 1
    return Choice(tuple(chosen), proven=False)


def _by_member(groups: Iterable[tuple[int, ...]]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for m, members in enumerate(groups):
        for n in members:
            found[n].append(m)
    return found


def fingerprint(problem: Problem) -> str:
    """The same for the same facts, in every process."""
    facts = {each.name: getattr(problem, each.name) for each in fields(Problem) if each.compare}
    facts["travel"] = sorted(problem.travel.items())
    del facts["busy"]
    digest = sha256(json.dumps(facts, default=_plain, check_circular=False).encode())
    # By far the most. What the second version of marshal writes depends on nothing but the value.
    busy = {**busy_columns(problem)}
    busy["kind"] = [kind._value_ for kind in busy["kind"]]
    hours = [
        *(_hours(block.window for block in clinician.blocks) for clinician in problem.clinicians),
        *(_hours(clinician.absences) for clinician in problem.clinicians),
        *(_hours(room.windows) for room in problem.rooms),
    ]
    blocks = [block for clinician in problem.clinicians for block in clinician.blocks]
    where = [block.location for block in blocks]
    how = [_joined(block.modalities) for block in blocks]
    digest.update(marshal.dumps([*busy.values(), hours, where, how], 2))
    return digest.hexdigest()


def _hours(windows: Iterable[Window]) -> list[int]:
    return [edge for window in windows for edge in (window.start, window.end)]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request."""

    proposals: tuple[Proposal, ...]
    objective: int
    bound: int
    proven: bool
    considered: int
    less_diverse: bool
    seconds: float


def _alone(problem: Problem, request: Request, choose: Choose) -> Outcome:
    policy = problem.policy
    views = [View(problem, request, place) for place in places(problem, request)]
    options = _options(views)
    pool: list[Candidate] = []
    seconds = 0.0
    # One candidate for each cell; when these do not suffice or cannot be held together, more.
    for layers in range(1, policy.k + 1):
        known, pool = len(pool), _shortlist(policy, _cheapest_first(views, options, layers))
        if len(pool) == known:
            break
        choice = choose(policy, pool)
        seconds += choice.seconds
        if len(choice.members) == policy.k:
            break
    if not pool:
        return Outcome((), 0, 0, True, len(options), False, seconds)
    chosen = sorted(pool[n] for n in choice.members)
    objective = total(policy, chosen)
    return Outcome(
        proposals=tuple(as_proposal(rank, candidate) for rank, candidate in enumerate(chosen, 1)),
        objective=objective,
        bound=objective if choice.proven else sum(one.cost for one in pool[: len(chosen)]),
        proven=choice.proven,
        considered=len(options),
        less_diverse=len({candidate.cell for candidate in chosen}) < len(chosen),
        seconds=seconds,
    )


Option = tuple[int, int, int, tuple[int, int]]
"""A feasible start that costs at least so much: (points, start, position of its view, cell)."""


def _options(views: Sequence[View]) -> list[Option]:
    options: list[Option] = []
    for n, view in enumerate(views):
        everywhere = sum(term(view) for term in PLACE_TERMS)
        days: dict[int, int] = {}
        minutes: dict[int, tuple[int, int]] = {}
        starts = view.free_starts((view.hours[0][0], view.hours[-1][1]))
        for start in starts:
            day, minute = divmod(view.zone.local(start), DAY)
            if day not in days:
                days[day] = everywhere + sum(term(view, day) for term in DAY_TERMS)
            if minute not in minutes:
                points = sum(term(view, minute) for term in MINUTE_TERMS)
                minutes[minute] = points, view.part(minute)
            points, part = minutes[minute]
            options.append((days[day] + points, start, n, (day, part)))
    options.sort()
    return options


def _cheapest_first(
    views: Sequence[View], options: Iterable[Option], layers: int
) -> Iterator[Candidate]:
    """From each cell its cheapest candidates, none within a session's length of another.

    Only options that may yet be among them are weighed in full.
    """
    taken: dict[tuple[int, int], list[int]] = defaultdict(list)
    weighed: list[Candidate] = []

    def wanted(cell: tuple[int, int], start: int) -> bool:
        apart = views[0].duration
        others = taken[cell]
        return len(others) < layers and all(abs(start - other) >= apart for other in others)

    def certain(bound: float) -> Iterator[Candidate]:
        while weighed and weighed[0].cost < bound:
            candidate = heappop(weighed)
            if wanted(candidate.cell, candidate.start):
                taken[candidate.cell].append(candidate.start)
                yield candidate

    for bound, start, n, cell in options:
        yield from certain(bound)
        if wanted(cell, start):
            heappush(weighed, views[n].candidate(start))
    yield from certain(inf)


def _shortlist(policy: Policy, stream: Iterator[Candidate]) -> list[Candidate]:
    """Drop who cannot be chosen: with the k−1 cheapest it costs more than an answer we have."""
    pool: list[Candidate] = []
    while more := list(islice(stream, 4 * policy.k)):
        pool += more
        fit = first_fit(policy, pool).members
        if len(fit) == policy.k:
            cheapest = sum(candidate.cost for candidate in pool[: policy.k - 1])
            spare = total(policy, [pool[n] for n in fit]) - cheapest
            return _up_to(spare, chain(pool, stream))
    return pool


def _up_to(cost: int, stream: Iterable[Candidate]) -> list[Candidate]:
    return list(takewhile(lambda candidate: candidate.cost <= cost, stream))


def as_proposal(rank: int, candidate: Candidate) -> Proposal:
    place = candidate.place
    return Proposal(
        request=candidate.view.request.id,
        rank=rank,
        start=candidate.start,
        end=candidate.end,
        clinician=place.clinician,
        location=place.location,
        room=candidate.room or None,
        modality=place.modality,
        cost=candidate.cost,
        breakdown=candidate.breakdown,
        reasons=reasons(candidate),
        swaps=candidate.swaps,
    )


def holding(problem: Problem, proposals: Sequence[Proposal]) -> Problem:
    """The same world once the proposals are held: who made room for them stays where they went."""
    moved = {swap.ref: swap.room for proposal in proposals for swap in proposal.swaps}
    standing = (
        replace(row, room=moved[row.ref], other_rooms=()) if row.ref in moved else row
        for row in problem.busy
    )
    return replace(problem, busy=(*standing, *_held(problem, proposals)))


def _held(problem: Problem, proposals: Iterable[Proposal]) -> Iterator[Busy]:
    requests = {request.id: request for request in problem.requests}
    services = {service.id: service for service in problem.services}
    for proposal in proposals:
        request = requests[proposal.request]
        service = services[request.service]
        yield Busy(
            ref=f"proposal {proposal.rank} of {request.id}",
            kind=BusyKind.HELD,
            start=proposal.start,
            end=proposal.end,
            clinician=proposal.clinician,
            clients=request.clients,
            room=proposal.room,
            location=proposal.location,
            buffer_before=service.buffer_before,
            buffer_after=service.buffer_after,
        )


def _plain(value: Any) -> object:
    """What JSON does not know."""
    kind: Any = type(value)
    return _sorted(value) if kind is frozenset else _facts(kind)(value)


@lru_cache(maxsize=256)
def _sorted(values: frozenset[Any]) -> list[Any]:
    return sorted(values)


@lru_cache(maxsize=256)
def _joined(values: frozenset[str]) -> str:
    return ",".join(sorted(values))


@cache
def _facts(kind: Any) -> Callable[[object], tuple[object, ...]]:
    by_itself = {Clinician: {"blocks", "absences"}, Room: {"windows"}}.get(kind, ())
    return attrgetter(*(each.name for each in fields(kind) if each.name not in by_itself))
