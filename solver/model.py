"""Choosing with CP-SAT, bounding with GLOP: all that imports OR-Tools and knows its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

import numpy as np
from ortools.linear_solver import linear_solver_pb2, pywraplp

from solver.columns import Ints
from solver.constraints import limits
from solver.lean import cp_model
from solver.objective import Candidate, crowds
from solver.packing import Rows
from solver.problem import Policy, Problem
from solver.proposal import Result
from solver.single import Choice, answer, first_fit


def propose(problem: Problem) -> Result:
    return answer(problem, cheapest)


def cheapest(policy: Policy, candidates: Sequence[Candidate]) -> Choice:
    """As many as fit up to k, then those that cost least, then the earlier in the list."""
    model = cp_model.CpModel()
    chosen = [model.new_bool_var(f"chosen_{n}") for n in range(len(candidates))]
    model.add(sum(chosen) <= policy.k)
    for limit in limits(candidates):
        model.add(sum(chosen[n] for n in limit.members) <= limit.most)

    points = [candidate.cost * chosen[n] for n, candidate in enumerate(candidates)]
    worst = policy.k * max(candidate.cost for candidate in candidates)
    for crowd in crowds(policy, candidates):
        most = min(policy.k, len(crowd.members)) - crowd.free
        if most > 0:
            above = model.new_int_var(0, most, "above")
            model.add(above >= sum(chosen[n] for n in crowd.members) - crowd.free)
            points.append(crowd.points * above)
            worst += crowd.points * most
    order = sum(n * chosen[n] for n in range(len(candidates)))
    finer = policy.k * len(candidates)
    model.minimize(finer * (sum(points) - (worst + 1) * sum(chosen)) + order)

    solver = _solver(policy, policy.deterministic_time)
    status = solver.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return first_fit(policy, candidates)
    return Choice(
        members=tuple(n for n, variable in enumerate(chosen) if solver.boolean_value(variable)),
        proven=status == cp_model.OPTIMAL,
        seconds=solver.wall_time,
    )


def relax(points: Ints, request: Ints, unplaced: Ints, rows: Rows) -> tuple[float, list[float]]:
    """Requests may be divided among columns: the least cost then, and what each row is worth."""
    asked = linear_solver_pb2.MPModelRequest()
    asked.solver_type = linear_solver_pb2.MPModelRequest.GLOP_LINEAR_PROGRAMMING
    for cost in (*points.tolist(), *unplaced.tolist()):
        asked.model.variable.add(lower_bound=0, objective_coefficient=cost)
    for members, most in zip(rows.members(), rows.most.tolist(), strict=True):
        asked.model.constraint.add(
            upper_bound=most, var_index=members.tolist(), coefficient=[1] * len(members)
        )
    edges = np.searchsorted(request, np.arange(len(unplaced) + 1)).tolist()
    for n, (first, last) in enumerate(pairwise(edges)):
        asked.model.constraint.add(
            lower_bound=1,
            upper_bound=1,
            var_index=[*range(first, last), len(points) + n],
            coefficient=[1] * (last - first + 1),
        )
    answer = linear_solver_pb2.MPSolutionResponse()
    pywraplp.Solver.SolveWithProto(asked, answer)
    if answer.status != linear_solver_pb2.MPSOLVER_OPTIMAL:
        return 0.0, [0.0] * len(rows.most)  # Costs without prices are a bound, too.
    return answer.objective_value, [-price for price in answer.dual_value[: len(rows.most)]]


@dataclass(frozen=True, slots=True)
class Selection:
    """Columns by position, and what no other selection of these columns can beat."""

    members: list[int]
    bound: int
    proven: bool


def select(
    policy: Policy, points: Ints, request: Ints, unplaced: Ints, rows: Rows, known: Sequence[int]
) -> Selection:
    """At most one column for each request; `known` is a selection to do better than."""
    model = cp_model.CpModel()
    chosen = [model.new_bool_var("") for _ in range(len(points))]
    without = [model.new_bool_var("") for _ in range(len(unplaced))]
    edges = np.searchsorted(request, np.arange(len(unplaced) + 1)).tolist()
    for variable, (first, last) in zip(without, pairwise(edges), strict=True):
        model.add_exactly_one([*chosen[first:last], variable])
    for members, most in zip(rows.members(), rows.most.tolist(), strict=True):
        if most == 1:
            model.add_at_most_one([chosen[n] for n in members.tolist()])
        else:
            model.add(sum(chosen[n] for n in members.tolist()) <= most)
    costs = [*points.tolist(), *unplaced.tolist()]
    model.minimize(cp_model.LinearExpr.weighted_sum([*chosen, *without], costs))
    placed, of_known = set(request[list(known)].tolist()), set(known)
    for n, variable in enumerate(chosen):
        model.add_hint(variable, n in of_known)
    for n, variable in enumerate(without):
        model.add_hint(variable, n not in placed)

    solver = _solver(policy, policy.batch_deterministic_time)
    status = solver.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return Selection(list(known), 0, proven=False)
    return Selection(
        members=[n for n, variable in enumerate(chosen) if solver.boolean_value(variable)],
        bound=ceil(solver.best_objective_bound - 1e-6),
        proven=status == cp_model.OPTIMAL,
    )


def _solver(policy: Policy, deterministic_time: float) -> cp_model.CpSolver:
    """One worker, a fixed seed and no wall clock: the same answer every time."""
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = policy.seed
    solver.parameters.max_deterministic_time = deterministic_time
    return solver
