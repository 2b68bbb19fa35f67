"""Where else could this session be: free times and ranked alternatives, from plain facts.

Pure: plain data in, plain data out. Only `propose` needs OR-Tools, and imports it when called.
"""

from solver.checker import Violation, check
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
from solver.proposal import Proposal, Reason, Result, Status, Unplaced
from solver.single import greedy

__all__ = [
    "Block",
    "Busy",
    "BusyKind",
    "Clinician",
    "Daypart",
    "InvalidProblem",
    "Location",
    "Modality",
    "Outage",
    "Policy",
    "Problem",
    "Proposal",
    "Reason",
    "Request",
    "Result",
    "Room",
    "Service",
    "Status",
    "Unplaced",
    "Violation",
    "Weights",
    "Window",
    "check",
    "greedy",
    "propose",
    "validate",
]


def propose(problem: Problem) -> Result:
    """The best alternatives for each request alone, in order; earlier proposals are held."""
    from solver import model  # OR-Tools takes most of a second, which no web page should wait for.

    return model.propose(problem)
