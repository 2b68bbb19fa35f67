"""Joint re-placement of many requests."""

from __future__ import annotations

from collections.abc import Callable

from solver.problem import Problem
from solver.proposal import Progress, Result
from solver.single import greedy

Report = Callable[[Progress], None]


def replan(problem: Problem, report: Report) -> Result:
    result = greedy(problem)
    placed = len(problem.requests) - len(result.unplaced)
    report(Progress(stage="done", requests=len(problem.requests), placed=placed))
    return result
