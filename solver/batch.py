"""Joint re-placement of many requests: a sick day, a closed room, a burst of denials.

Every way to place a request is a column. A greedy plan comes first; the linear relaxation tells
what no plan can beat, and which columns a better plan could have at all; among those CP-SAT looks
for it, wider and wider, until the plan is proven or the time is up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf
from time import perf_counter

import numpy as np

from solver import model
from solver.checker import check
from solver.columns import LIMITLESS, Bools, Columns, Ints, enumerate_columns
from solver.explain import explain
from solver.packing import Taken, first_fit, rows_among
from solver.problem import OUT_OF_RANGE, InvalidProblem, Problem, Request, validate
from solver.proposal import Progress, Proposal, Result, Status, Unplaced
from solver.relaxation import Bound, Instance, relax
from solver.single import as_proposal, fingerprint, greedy, holding
from solver.totals import totals

COLUMNS_EACH = 25
"""For each request, on average, in the first stage of the search; in each further one …"""
WIDER = 3
"""… so many times more."""
MOST_COLUMNS = 150_000
"""CP-SAT could not sift more in a stage's time."""
MOST_EXPLAINED = 50
"""Whoever has more requests without a place has another problem."""
MOST_POINTS = 1 << 60
"""Of all requests together, so that no sum leaves 64 bits."""
LONGEST_SECONDS = 30.0
"""Of each rank's search. The clock only cuts stages off, and only then may answers differ."""

log = logging.getLogger(__name__)


def replan(problem: Problem, report: Callable[[Progress], None]) -> Result:
    """The cheapest of the plans that leave least unplaced, and what else can be held beside it."""
    began = perf_counter()
    given, problem = problem, validate(problem)

    def tell(stage: str, instance: Instance, plan: Plan) -> None:
        objective, bound = _of_placed(instance, plan)
        report(
            Progress(
                stage=stage,
                requests=len(problem.requests),
                placed=len(plan.chosen),
                objective=objective,
                bound=bound,
            )
        )

    instance = _instance(problem, enumerate_columns(problem))
    report(Progress(stage="candidates", requests=len(problem.requests), placed=0))
    plan = _search(problem, instance, tell)
    ranks = [plan.chosen, *_alternatives(problem, instance, plan, tell)]
    result = _result(problem, instance, plan, _by_request(problem, instance.columns, ranks))
    if violations := check(problem, result):
        log.error("a joint plan breaks rules, so there is a simple one: %s", violations[:5])
        result = greedy(given)
    tell("done", instance, plan)
    seconds = perf_counter() - began
    return replace(result, input_hash=fingerprint(given), timings={"search": seconds})


@dataclass(frozen=True, slots=True)
class Plan:
    """Columns by position; points include those for whoever is left out."""

    chosen: Sequence[int]
    points: int
    least: int
    """No plan has fewer."""

    @property
    def proven(self) -> bool:
        return self.least >= self.points


Tell = Callable[[str, Instance, Plan], None]


def _instance(problem: Problem, columns: Columns, taken: Taken | None = None) -> Instance:
    """To leave out one more is worse than anything that could be gained by it."""
    weight = np.array([request.weight for request in problem.requests], np.int64)
    points = columns.cost * weight[columns.request]
    worst = sum(
        request.weight * int(most)
        for request, most in zip(problem.requests, columns.dearest, strict=True)
    )
    if sum(request.weight for request in problem.requests) * (1 + worst) > MOST_POINTS:
        raise InvalidProblem(OUT_OF_RANGE, "$.requests", "weights too large to add up")
    unplaced = weight * (1 + worst)
    return Instance(
        columns=columns,
        taken=taken or Taken.by(columns[:0]),
        points=points,
        unplaced=unplaced,
        beyond=np.where(columns.beyond < LIMITLESS, weight * columns.beyond, LIMITLESS),
    )


def _of_placed(instance: Instance, plan: Plan) -> tuple[int, int]:
    """Points of the sessions, and a bound for all plans that leave as much weight unplaced."""
    points = int(instance.points[plan.chosen].sum())
    return points, min(points, max(0, plan.least - (plan.points - points)))


def _search(problem: Problem, instance: Instance, tell: Tell) -> Plan:
    """One column for each request, as far as there are any."""
    deadline = perf_counter() + LONGEST_SECONDS

    def late() -> bool:
        return perf_counter() > deadline

    chosen = first_fit(instance.columns, instance.taken, _urgency(problem), len(problem.requests))
    plan = Plan(chosen, instance.total(chosen), 0)
    tell("greedy", instance, plan)

    def hear(bound: Bound) -> None:
        tell("relaxation", instance, replace(plan, least=bound.least))

    bound = relax(instance, chosen, plan.points, hear, late)
    plan = replace(plan, least=bound.least)
    for improved in _stages(problem, instance, plan, bound, late):
        plan = improved
        tell("fixing", instance, plan)
    return plan


def _urgency(problem: Problem) -> list[int]:
    """In which order a person would place them."""

    def key(n: int) -> tuple[int, float, float, int]:
        request = problem.requests[n]
        asked, since = (
            inf if instant is None else instant
            for instant in (request.asked_start, request.waiting_since)
        )
        return -request.weight, asked, since, n

    return sorted(range(len(problem.requests)), key=key)


def _stages(
    problem: Problem, instance: Instance, plan: Plan, bound: Bound, late: Callable[[], bool]
) -> Iterator[Plan]:
    """What a plan of so many points could be made of; each stage allows for more of them."""
    each = COLUMNS_EACH
    while not plan.proven and not late():
        within = min(plan.points - 1, bound.points_of(each * len(problem.requests)))
        each *= WIDER
        if within < plan.least and within < plan.points - 1:
            continue  # It has been ruled out already.
        active = np.union1d(bound.columns_within(within), np.array(plan.chosen, np.int64))
        if len(active) > MOST_COLUMNS:
            return
        found = _select(problem, instance, active, plan)
        chosen = active[found.members].tolist()
        least = max(plan.least, min(found.bound, within + 1, bound.least_outside))
        everything = within == plan.points - 1
        plan = Plan(chosen, instance.total(chosen), least)
        yield plan
        if everything or not found.proven:
            return


def _select(problem: Problem, instance: Instance, active: Ints, plan: Plan) -> model.Selection:
    columns = instance.columns[active]
    return model.select(
        problem.policy,
        instance.points[active],
        columns.request,
        instance.unplaced,
        rows_among(columns, instance.taken),
        np.searchsorted(active, plan.chosen).tolist(),
    )


def _alternatives(
    problem: Problem, instance: Instance, plan: Plan, tell: Tell
) -> Iterator[Sequence[int]]:
    """Rank after rank: again one for each request, beside everything that is held so far."""
    columns, chosen = instance.columns, np.array(plan.chosen, np.int64)
    left = np.arange(len(columns))
    taken = instance.taken

    def still(*_: object) -> None:
        tell("alternatives", instance, plan)

    for _ in range(1, problem.policy.k):
        taken = taken.and_by(columns[chosen].stays())
        left = left[_beside(columns, left, chosen, taken)]
        if not len(left):
            return
        rank = _search(problem, _instance(problem, columns[left], taken), still)
        chosen = left[rank.chosen]
        yield chosen.tolist()


def _beside(columns: Columns, left: Ints, chosen: Ints, taken: Taken) -> Bools:
    """Which can still be held, at another time of another day or part of the day."""
    some = columns[left]
    held = np.full(len(columns.sessions.client_lanes), -1)
    held[columns.request[chosen]] = chosen
    own = held[some.request]
    other = (own < 0) | (
        (some.cell != columns.cell[own])
        & ((some.start >= columns.end[own]) | (some.end <= columns.start[own]))
    )
    fits: Bools = other & taken.leaves(some.stays())
    return fits


def _by_request(
    problem: Problem, columns: Columns, ranks: Iterable[Sequence[int]]
) -> list[tuple[Proposal, ...]]:
    """In the order of cost: all can be held at once, so any could be the first."""
    held: list[list[int]] = [[] for _ in problem.requests]
    for chosen in ranks:
        for m in chosen:
            held[columns.request[m]].append(m)
    found = []
    for mine in held:
        candidates = sorted(map(columns.candidate, mine))
        found.append(tuple(as_proposal(*ranked) for ranked in enumerate(candidates, 1)))
    return found


def _result(
    problem: Problem, instance: Instance, plan: Plan, chosen: Sequence[tuple[Proposal, ...]]
) -> Result:
    first = [mine[0] for mine in chosen if mine]
    weights = {request.id: request.weight for request in problem.requests}
    objective = sum(weights[proposal.request] * proposal.cost for proposal in first)
    without = [request for request, mine in zip(problem.requests, chosen, strict=True) if not mine]
    _, bound = _of_placed(instance, plan)
    return Result(
        status=(
            Status.NONE
            if not first
            else Status.PARTIAL
            if without
            else Status.OPTIMAL
            if plan.proven
            else Status.FEASIBLE
        ),
        proposals=tuple(proposal for mine in chosen for proposal in mine),
        objective=objective,
        bound=bound,
        gap=objective - bound,
        proven=plan.proven,
        unplaced=_explained(problem, chosen, without),
        considered=len(instance.columns),
        less_diverse=False,
        seed=problem.policy.seed,
        input_hash="",
        totals=totals(problem, first),
    )


def _explained(
    problem: Problem, chosen: Sequence[tuple[Proposal, ...]], without: Sequence[Request]
) -> tuple[Unplaced, ...]:
    """What would have to give for those left out, while everything proposed to others is held."""
    held = holding(problem, [proposal for mine in chosen for proposal in mine])
    told = explain(replace(held, requests=tuple(without[:MOST_EXPLAINED])))
    later = [Unplaced(request.id) for request in without[MOST_EXPLAINED:]]
    return (*(Unplaced(each.request, each) for each in told), *later)
