"""What a clinician would want to know about a proposal, as keys."""

from __future__ import annotations

from solver.local_time import weekday
from solver.objective import Candidate
from solver.problem import DAY, Modality
from solver.proposal import Reason

CLOSE_DAYS = 3


def reasons(candidate: Candidate) -> tuple[Reason, ...]:
    """Facts about the session itself and about how it compares to what was asked for."""
    view = candidate.view
    facts = {**_compared(candidate), **_wished(candidate), **_surroundings(candidate)}
    in_person = candidate.modality is Modality.IN_PERSON
    request = view.request
    asked_clinician, asked_location = request.asked_clinician, request.asked_location
    facts |= {
        Reason.SAME_CLINICIAN: candidate.clinician == asked_clinician,
        Reason.OTHER_CLINICIAN: asked_clinician not in (None, candidate.clinician),
        Reason.SAME_OFFICE: in_person and candidate.location == asked_location,
        Reason.OTHER_OFFICE: in_person and asked_location not in (None, candidate.location),
        Reason.SAME_ROOM: in_person and candidate.room == request.asked_room,
        Reason.VIDEO: not in_person,
        Reason.IN_PERSON: in_person,
        Reason.SWAPS_ROOMS: bool(candidate.swaps),
    }
    return tuple(reason for reason in Reason if facts.get(reason))


def _compared(candidate: Candidate) -> dict[Reason, bool]:
    view = candidate.view
    if view.asked is None:
        return {}
    day, minute = divmod(view.asked, DAY)
    return {
        Reason.SAME_DAY: candidate.day == day,
        Reason.SAME_WEEKDAY: weekday(candidate.day) == weekday(day),
        Reason.SAME_TIME: view.zone.local(candidate.start) % DAY == minute,
        Reason.SAME_DAYPART: candidate.part == view.part(minute),
        Reason.CLOSE_IN_TIME: abs(candidate.day - day) <= CLOSE_DAYS,
    }


def _wished(candidate: Candidate) -> dict[Reason, bool]:
    request, parts = candidate.view.request, candidate.view.problem.policy.dayparts
    days, times = request.preferred_weekdays, request.preferred_dayparts
    honoured = (not days or weekday(candidate.day) in days) and (
        not times or parts[candidate.part].name in times
    )
    return {Reason.HONOURS_WISH: bool(days or times) and honoured}


def _surroundings(candidate: Candidate) -> dict[Reason, bool]:
    view, start = candidate.view, candidate.start
    before, after = view.gap_before(start), view.gap_after(start)
    begin, finish = start - view.service.buffer_before, candidate.end + view.service.buffer_after
    return {
        Reason.TOUCHES_NEIGHBOUR: any(
            begin == ready or finish == stop for stop, ready in view.neighbours
        ),
        Reason.NO_LOOSE_GAP: not any(0 < gap < view.shortest for gap in (before, after)),
    }
