"""A joint plan in people's terms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from solver.local_time import Zone
from solver.problem import DAY, Modality, Problem
from solver.proposal import Proposal, Totals

_Day = tuple[str, int]
"""A clinician's local date."""
_Stay = tuple[int, int]


def totals(problem: Problem, first: Sequence[Proposal]) -> Totals:
    """What the plan's first proposals change, and how its clinicians' days look before and after.

    Before means without the requests; idle is what lies between a day's first and last row.
    """
    requests = {request.id: request for request in problem.requests}
    asked = [(requests[proposal.request], proposal) for proposal in first]
    before, after = _idle_minutes(problem, first)
    return Totals(
        days_moved=sum(
            abs(
                _day(problem, proposal.location, proposal.start)
                - _day(problem, request.asked_location, request.asked_start)
            )
            for request, proposal in asked
            if request.asked_start is not None
        ),
        clinician_changes=sum(
            request.asked_clinician not in (None, proposal.clinician) for request, proposal in asked
        ),
        location_changes=sum(
            proposal.modality is Modality.IN_PERSON
            and request.asked_location not in (None, proposal.location)
            for request, proposal in asked
        ),
        gap_minutes_before=before,
        gap_minutes_after=after,
    )


def _idle_minutes(problem: Problem, first: Sequence[Proposal]) -> tuple[int, int]:
    services = {service.id: service for service in problem.services}
    service_of = {request.id: services[request.service] for request in problem.requests}
    added: dict[_Day, list[_Stay]] = defaultdict(list)
    for proposal in first:
        service = service_of[proposal.request]
        stay = proposal.start - service.buffer_before, proposal.end + service.buffer_after
        day = _day(problem, proposal.location, proposal.start)
        added[proposal.clinician, day].append(stay)
    standing: dict[_Day, list[_Stay]] = defaultdict(list)
    who = {clinician for clinician, _ in added}
    for busy in problem.busy:
        if busy.clinician in who:
            day = _day(problem, busy.location, busy.start)
            stay = busy.start - busy.buffer_before, busy.end + busy.buffer_after
            standing[busy.clinician, day].append(stay)
    before = sum(_idle(standing[day]) for day in added)
    after = sum(_idle(standing[day] + stays) for day, stays in added.items())
    return before, after


def _idle(stays: Iterable[_Stay]) -> int:
    idle, until = 0, None
    for start, end in sorted(stays):
        if until is not None:
            idle += max(0, start - until)
        until = end if until is None else max(until, end)
    return idle


def _day(problem: Problem, location: str | None, instant: int) -> int:
    zone = next((each.zone for each in problem.locations if each.id == location), None)
    return Zone(zone or problem.zone).local(instant) // DAY
