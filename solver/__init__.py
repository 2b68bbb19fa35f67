"""Where else could this session be: free times and ranked alternatives, from plain facts.

Pure: plain data in, plain data out. Only `propose` and `replan` need OR-Tools, and import it when
called.
"""

from collections.abc import Callable

from solver.checker import Violation, check
from solver.explain import explain
from solver.problem import (
    Block,
    Busy,
    BusyKind,
    Clinician,
    Daypart,
    InvalidProblem,
    Location,
    Modality,
    Outage,
    Policy,
    Problem,
    Request,
    Room,
    Service,
    Weights,
    Window,
    validate,
)
from solver.proposal import (
    Count,
    Explanation,
    Group,
    Progress,
    Proposal,
    Reason,
    Relaxation,
    Result,
    Status,
    Swap,
    Totals,
    Unplaced,
)
from solver.single import greedy

__all__ = [
    "Block",
    "Busy",
    "BusyKind",
    "Clinician",
    "Count",
    "Daypart",
    "Explanation",
    "Group",
    "InvalidProblem",
    "Location",
    "Modality",
    "Outage",
    "Policy",
    "Problem",
    "Progress",
    "Proposal",
    "Reason",
    "Relaxation",
    "Request",
    "Result",
    "Room",
    "Service",
    "Status",
    "Swap",
    "Totals",
    "Unplaced",
    "Violation",
    "Weights",
    "Window",
    "check",
    "explain",
    "greedy",
    "propose",
    "replan",
    "validate",
]


def propose(problem: Problem) -> Result:
    """The best alternatives for each request alone, in order; earlier proposals are held."""
    from solver import model  # OR-Tools takes most of a second, which no web page should wait for.

    return model.propose(problem)


def replan(problem: Problem, report: Callable[[Progress], None] = lambda _: None) -> Result:
    """All requests together, each with up to k ranks; `report` hears how far the search is."""
    from solver import batch

    return batch.replan(problem, report)
