"""A request that cannot be accepted → the solver's problem; its proposals → slots to offer."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import solver
from booking import solving
from booking.availability import (
    DAYPARTS,
    ONE_DAY,
    STAFF_MAY_WAIVE,
    Plan,
    Slot,
    facts,
    instant,
    minutes,
    plan,
    request_for,
    room_for,
    room_swaps,
    wall,
    wish_of,
)
from booking.db import tuples
from booking.logs import trace
from booking.models import Appointment, Modality, OfferedSlot
from solver import candidates
from solver.candidates import Place
from solver.problem import NO_SUCH_ROOM

log = logging.getLogger(__name__)

PROPOSALS = 5
# What a client asked for in words outweighs being near the time that did not work.
WISHED = solver.Weights(weekday_not_preferred=400, daypart_not_preferred=400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How a clinician widens or narrows the search; the default is as the client asked."""

    other_offices: bool = False
    video: bool = False
    other_clinicians: bool = False
    since: date | None = None
    until: date | None = None
    not_before: int | None = None  # Local minutes after midnight.
    not_after: int | None = None


@dataclass(frozen=True, slots=True)
class Alternative:
    """A slot that could be offered, with its rank, price in points, and reasons as keys."""

    slot: Slot
    rank: int
    cost: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternatives:
    """What the solver found; not `proven` means quick proposals, better ones may exist."""

    found: tuple[Alternative, ...] = ()
    proven: bool = True
    problem: solver.Problem | None = None
    """The facts that it saw; None: no room could ever hold the session, or the search failed."""
    input_hash: str = ""
    """Names these facts, to tell afterwards on what a decision rested."""
    explanation: solver.Explanation | None = None
    """Why there are none; the search that found none has told already."""
    failed: bool = False
    """There may be slots, but the search for them went wrong, which is in the log."""


def propose(appointment: Appointment, search: Search, *, now: datetime) -> Alternatives:
    """Up to five slots for a request that cannot have the one it asked for, best first."""
    the = plan()
    try:
        problem = problem_for(the, appointment, search, now=now)
    except solver.InvalidProblem as invalid:
        if invalid.code == NO_SUCH_ROOM:
            return Alternatives()
        log.error("no search for appointment %s\n%s", appointment.id, trace(invalid))
        return Alternatives(failed=True)
    result = sound(problem, (look(problem) for look in (solving.propose, solver.greedy)))
    if result is None:
        return Alternatives(failed=True)
    return Alternatives(
        found=tuple(
            Alternative(slot_from(found), found.rank, found.cost, tuple(found.reasons))
            for found in result.proposals
        ),
        proven=result.proven,
        problem=problem,
        input_hash=result.input_hash,
        explanation=next((unplaced.explanation for unplaced in result.unplaced), None),
    )


def sound(problem: solver.Problem, results: Iterable[solver.Result]) -> solver.Result | None:
    """The first that the checker finds nothing wrong with: a wrong promise is worse than none."""
    for result in results:
        wrong = solver.check(problem, result)
        if not wrong:
            return result
        log.error("proposals that do not hold: %s", wrong)
    return None


def still_free(problem: solver.Problem, slot: Slot) -> Slot | None:
    """The slot, with a room, if it can be had wherever the search now looks; None if it cannot."""
    (asked,) = problem.requests
    request = replace(
        asked,
        allowed_modalities=frozenset(solver.Modality),
        allowed_clinicians=None,
        allowed_locations=None,
        earliest=None,
        latest=None,
        minutes_of_day=None,
    )
    place = Place(
        str(slot.clinician_id),
        _key(slot.clinician_location_id),
        solver.Modality(slot.modality),
    )
    start = minutes(slot.starts_at)
    if set(candidates.broken_rules(problem, request, place, start)) - STAFF_MAY_WAIVE:
        return None
    room, swaps = room_for(problem, request, place, start)
    return replace(slot, room_id=room, swaps=swaps)


def problem_for(
    the: Plan, appointment: Appointment, search: Search, *, now: datetime
) -> solver.Problem:
    """The facts between notice and horizon, with this one request."""
    service = the.services[appointment.service_id]
    asked = minutes(appointment.asked_starts_at)
    wish = wish_of(appointment)
    modalities = {solver.Modality(appointment.modality)}
    if search.video and service.video:
        modalities.add(solver.Modality.TELEHEALTH)
    if search.other_offices and service.in_person:
        modalities.add(solver.Modality.IN_PERSON)
    zone = the.zone(appointment.location_id)
    last = now + timedelta(days=max(map(the.horizon, the.clinicians.values())) + 1)
    clinicians = [appointment.clinician_id]
    if search.other_clinicians:
        clinicians += [
            c.id
            for c in the.clinicians.values()
            if c.active and c.id != appointment.clinician_id and (c.id, service.id) in the.offers
        ]
    bare = facts(
        the,
        since=now,
        until=last,
        now=now,
        policy=solver.Policy(
            now=minutes(now),
            k=PROPOSALS,
            grid_minutes=the.practice.grid_minutes,
            dayparts=DAYPARTS,
            weights=WISHED if appointment.wish else solver.Weights(),
        ),
    )
    request = replace(
        request_for(the, wish, bare),
        id=str(appointment.id),
        asked_start=asked,
        asked_clinician=str(appointment.clinician_id),
        asked_location=_key(appointment.location_id),
        asked_room=_key(appointment.room_id),
        asked_modality=solver.Modality(appointment.modality),
        allowed_modalities=frozenset(modalities),
        allowed_clinicians=tuple(map(str, clinicians)),
        allowed_locations=(
            None
            if search.other_offices
            else frozenset(filter(None, [_key(appointment.location_id)]))
        ),
        preferred_weekdays=frozenset(appointment.wish.get("weekdays", ())),
        preferred_dayparts=frozenset(appointment.wish.get("dayparts", ())),
        refused_starts=frozenset(
            minutes(start)
            for (start,) in tuples(
                OfferedSlot.select(OfferedSlot.starts_at).where(
                    OfferedSlot.appointment == appointment
                )
            )
        ),
        earliest=None if search.since is None else minutes(wall(search.since, 0, zone)),
        latest=None if search.until is None else minutes(wall(search.until, 0, zone) + ONE_DAY),
        minutes_of_day=_minutes_of_day(search),
    )
    return solver.validate(replace(bare, requests=(request,)))


def _minutes_of_day(search: Search) -> tuple[int, int] | None:
    if search.not_before is None and search.not_after is None:
        return None
    latest = 24 * 60 if search.not_after is None else search.not_after + 1  # Half-open.
    return search.not_before or 0, latest


def slot_from(found: solver.Proposal) -> Slot:
    """A proposal in our own terms."""
    return Slot(
        starts_at=instant(found.start),
        ends_at=instant(found.end),
        clinician_id=int(found.clinician),
        location_id=_id(found.location) if found.modality is solver.Modality.IN_PERSON else None,
        clinician_location_id=_id(found.location),
        room_id=_id(found.room),
        modality=Modality(found.modality.value),
        swaps=room_swaps(found.swaps),
    )


def _key(id_: int | None) -> str | None:
    return None if id_ is None else str(id_)


def _id(key: str | None) -> int | None:
    return None if key is None else int(key)
