"""Choosing with CP-SAT: the only place that imports it and knows its parameters."""

from __future__ import annotations

from collections.abc import Sequence

from ortools.sat.python import cp_model

from solver.constraints import limits
from solver.objective import Candidate, crowds
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

    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = policy.seed
    solver.parameters.max_deterministic_time = policy.deterministic_time
    status = solver.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return first_fit(policy, candidates)
    return Choice(
        members=tuple(n for n, variable in enumerate(chosen) if solver.boolean_value(variable)),
        proven=status == cp_model.OPTIMAL,
        seconds=solver.wall_time,
    )
