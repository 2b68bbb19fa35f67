"""The hard rules and the costs again, as plainly as can be: the specification.

Minute by minute and row by row, with nothing shared with the modules that it judges.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo

from solver.problem import (
    Block,
    Busy,
    BusyKind,
    Clinician,
    Modality,
    Problem,
    Request,
    Room,
    Service,
    Window,
)
from solver.proposal import Proposal, Result, Swap, Totals


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that a proposal breaks; rank 0 means all proposals of the request together."""

    rule: str
    request: str
    rank: int
    detail: str


def check(problem: Problem, result: Result) -> list[Violation]:
    """Everything that is wrong with the result; nothing, if it is as good as it says."""
    known = {request.id for request in problem.requests}
    found = [
        Violation("request", proposal.request, proposal.rank, "unknown")
        for proposal in result.proposals
        if proposal.request not in known
    ]
    found += _joint(problem, result) if result.totals else _one_by_one(problem, result)
    placed = {proposal.request for proposal in result.proposals}
    if [each.request for each in result.unplaced] != [
        request.id for request in problem.requests if request.id not in placed
    ]:
        found.append(Violation("unplaced", "", 0, "not those without proposals"))
    if result.bound > result.objective or result.gap != result.objective - result.bound:
        found.append(Violation("bound", "", 0, f"{result.bound}, gap {result.gap}"))
    return found


def _one_by_one(problem: Problem, result: Result) -> Iterator[Violation]:
    """Whoever comes later finds what is proposed to those before."""
    objective, clean = 0, True
    for request in problem.requests:
        mine = [proposal for proposal in result.proposals if proposal.request == request.id]
        held = Held(_as_busy(problem, request, mine), _swaps(mine))
        faults = list(_of_request(problem, Calendar(problem), held, request, mine, result))
        yield from faults
        clean = clean and not faults
        objective += sum(proposal.cost for proposal in mine)
        objective += _crowding(problem, mine) if clean else 0
        problem = replace(problem, busy=(*held.swapped(problem.busy), *held.rows))
    # After other faults the sum means nothing.
    if clean and objective != result.objective:
        yield Violation("objective", "", 0, f"{result.objective} is {objective}")


def _joint(problem: Problem, result: Result) -> Iterator[Violation]:
    """All at once: costs know only what stands, rules also everything else that is proposed."""
    calendar, objective = Calendar(problem), 0
    by_request = {
        request.id: [each for each in result.proposals if each.request == request.id]
        for request in problem.requests
    }
    rows = [
        row
        for request in problem.requests
        for row in _as_busy(problem, request, by_request[request.id])
    ]
    held, first = Held(rows, _swaps(result.proposals)), []
    for request in problem.requests:
        mine = by_request[request.id]
        yield from _of_request(problem, calendar, held, request, mine, result)
        for proposal in mine[:1]:
            objective += request.weight * proposal.cost
            first.append((request, proposal))
    if objective != result.objective:
        yield Violation("objective", "", 0, f"{result.objective} is {objective}")
    expected = _totals(problem, calendar, first)
    if expected != result.totals:
        yield Violation("totals", "", 0, f"{result.totals} is {expected}")


def _of_request(
    problem: Problem,
    calendar: Calendar,
    held: Held,
    request: Request,
    mine: list[Proposal],
    result: Result,
) -> Iterator[Violation]:
    for proposal in mine:
        case = Case(problem, calendar, held, request, proposal)
        for look in EACH:
            try:
                faults = list(look(case))
            except KeyError as unknown:
                faults = [f"there is no {unknown}"]
            for fault in faults:
                yield Violation(look.__name__, request.id, proposal.rank, fault)
    for together in ALL_OF_ONE:
        for fault in together(problem, request, mine, result):
            yield Violation(together.__name__, request.id, 0, fault)


class Calendar:
    """What stands, by whom it concerns: nobody leafs through all of it for every rule."""

    def __init__(self, problem: Problem) -> None:
        self.of: dict[tuple[str, str | None], list[Busy]] = defaultdict(list)
        for busy in problem.busy:
            self.of["clinician", busy.clinician].append(busy)
            self.of["room", busy.room].append(busy)
            for client in busy.clients:
                self.of["client", client].append(busy)
        self._problem = problem
        self._weeks: dict[str, list[Busy]] = {}

    def concerning(self, request: Request, proposal: Proposal) -> list[Busy]:
        rows = list(self.of["clinician", proposal.clinician])
        rows += self.of["room", proposal.room] if proposal.room else []
        for client in request.clients:
            rows += self.of["client", client]
        return list({id(row): row for row in rows}.values())

    def week(self, monday: str) -> list[Busy]:
        """Sessions of everybody."""
        if not self._weeks:
            self._weeks = defaultdict(list)
            for busy in self._problem.busy:
                if busy.kind != BusyKind.EXTERNAL:
                    self._weeks[_monday(self._problem, busy)].append(busy)
        return self._weeks.get(monday, [])


@dataclass(frozen=True, slots=True)
class Held:
    """What is proposed at once: the sessions, and who makes room for them."""

    rows: list[Busy]
    swaps: list[Swap]

    def swapped(self, standing: Iterable[Busy]) -> Iterable[Busy]:
        """The rows once everybody has gone where the swaps say."""
        moved = {swap.ref: swap.room for swap in self.swaps}
        if not moved:
            return standing
        return [
            replace(row, room=moved[row.ref], other_rooms=()) if row.ref in moved else row
            for row in standing
        ]


class Case:
    """One proposal, and what it refers to."""

    def __init__(
        self,
        problem: Problem,
        calendar: Calendar,
        held: Held,
        request: Request,
        proposal: Proposal,
    ) -> None:
        self.problem, self.request, self.proposal = problem, request, proposal
        self.calendar, self.held = calendar, held

    @property
    def service(self) -> Service:
        return _one(self.problem.services, self.request.service)

    @property
    def clinician(self) -> Clinician:
        return _one(self.problem.clinicians, self.proposal.clinician)

    @property
    def room(self) -> Room | None:
        return _one(self.problem.rooms, self.proposal.room) if self.proposal.room else None

    @property
    def minutes(self) -> range:
        return range(self.proposal.start, self.proposal.end)

    @property
    def local(self) -> datetime:
        return _local(self.problem, self.proposal.location, self.proposal.start)

    @property
    def others(self) -> list[Busy]:
        """What stands once all swaps are made, and the other proposals, which may come to stand."""
        own = _name(self.proposal)
        rest = [row for row in self.held.rows if row.ref != own]
        return [*self.held.swapped(self.standing), *rest]

    @property
    def standing(self) -> list[Busy]:
        chain = self.request.ignore_refs
        rows = self.calendar.concerning(self.request, self.proposal)
        return [busy for busy in rows if busy.ref not in chain]

    @property
    def blocks(self) -> list[Block]:
        """The clinician's, as far as they could matter: nothing reaches over three days."""
        reach = 3 * 24 * 60
        return [
            block
            for block in self.clinician.blocks
            if block.window.start < self.proposal.end + reach
            and block.window.end > self.proposal.start - reach
        ]


def length(case: Case) -> Iterator[str]:
    if len(case.minutes) != case.service.duration:
        yield f"{len(case.minutes)} minutes"


def qualified(case: Case) -> Iterator[str]:
    request, proposal = case.request, case.proposal
    if request.service not in case.clinician.services:
        yield f"{proposal.clinician} does not offer {request.service}"
    if proposal.modality not in case.service.modalities:
        yield f"not offered as {proposal.modality}"
    if proposal.modality not in request.allowed_modalities:
        yield f"{proposal.modality} is not allowed"
    who = request.allowed_clinicians
    if who is not None and proposal.clinician not in who:
        yield f"{proposal.clinician} is not allowed"
    where, video = request.allowed_locations, proposal.modality == Modality.TELEHEALTH
    if where is not None and not video and proposal.location not in where:
        yield f"{proposal.location} is not allowed"


def hours(case: Case) -> Iterator[str]:
    proposal, blocks = case.proposal, case.blocks
    for minute in case.minutes:
        if not any(
            block.window.start <= minute < block.window.end
            and block.location == proposal.location
            and proposal.modality in block.modalities
            for block in blocks
        ):
            yield f"minute {minute} is outside working hours"
            return


def absence(case: Case) -> Iterator[str]:
    windows = list(case.clinician.absences)
    for outage in case.problem.outages:
        if outage.clinician == case.proposal.clinician:
            windows.append(outage.window)
        if outage.location and outage.location == case.proposal.location:
            windows.append(outage.window)
    for window in windows:
        if _overlap(window, case.proposal):
            yield f"away from minute {window.start} to {window.end}"


def notice(case: Case) -> Iterator[str]:
    if case.proposal.start - case.problem.policy.now < case.clinician.min_notice:
        yield "too soon"


def horizon(case: Case) -> Iterator[str]:
    now = _local(case.problem, case.proposal.location, case.problem.policy.now)
    if (case.local.date() - now.date()).days > case.clinician.horizon_days:
        yield "too far ahead"


def agenda(case: Case) -> Iterator[str]:
    proposal, service = case.proposal, case.service
    for busy in case.others:
        if busy.clinician != proposal.clinician:
            continue
        there, here = busy.location, proposal.location
        if busy.kind == BusyKind.EXTERNAL:
            there = here
        come, go = _minutes(case.problem, there, here), _minutes(case.problem, here, there)
        after = proposal.start - busy.end >= busy.buffer_after + come + service.buffer_before
        before = busy.start - proposal.end >= service.buffer_after + go + busy.buffer_before
        if not after and not before:
            yield f"collides with {busy.ref}"


def daily_maximum(case: Case) -> Iterator[str]:
    most = case.clinician.max_sessions_day
    if most is not None and 1 + _sessions_that_day(case, case.others) > most:
        yield f"more than {most} on {case.local.date()}"


def room(case: Case) -> Iterator[str]:
    proposal, room = case.proposal, case.room
    if proposal.modality == Modality.TELEHEALTH:
        if room is not None:
            yield "video needs no room"
        return
    if room is None or proposal.location is None:
        yield "in person needs a room"
        return
    if room.location != proposal.location:
        yield f"{room.id} is at {room.location}"
    if case.service.room_features - room.features or case.request.seats > room.seats:
        yield f"{room.id} does not suit"
    windows = [window for window in room.windows if _overlap(window, proposal)]
    for minute in case.minutes:
        if not any(window.start <= minute < window.end for window in windows):
            yield f"{room.id} is closed at minute {minute}"
            break
    for outage in case.problem.outages:
        if outage.room == room.id and _overlap(outage.window, proposal):
            yield f"{room.id} is out of order"
    for busy in case.others:
        apart = max(busy.start - proposal.end, proposal.start - busy.end)
        if busy.room == room.id and apart < room.turnover:
            yield f"{room.id} is taken by {busy.ref}"


def swaps(case: Case) -> Iterator[str]:
    """Only sessions that may, each once, to where they fit at their own time."""
    problem = case.problem
    for swap in case.proposal.swaps:
        before = next((busy for busy in problem.busy if busy.ref == swap.ref), None)
        if before is None or before.room is None or swap.room not in before.other_rooms:
            yield f"{swap.ref} may not go to {swap.room}"
            continue
        if swap.ref in case.request.ignore_refs:
            yield f"{swap.ref} is not to be moved"
        if sum(swap.ref == each.ref for each in case.held.swaps) > 1:
            yield f"{swap.ref} goes to two rooms"
        room, old = _one(problem.rooms, swap.room), _one(problem.rooms, before.room)
        if room.location != old.location:
            yield f"{swap.room} is at {room.location}"
        minute = before.start
        while after := [w.end for w in room.windows if w.start <= minute < w.end]:
            minute = max(after)
        if minute < before.end:
            yield f"{room.id} is closed at minute {minute}"
        for outage in problem.outages:
            if outage.room == room.id and _overlap(outage.window, before):
                yield f"{room.id} is out of order"
        for busy in [*case.held.swapped(problem.busy), *case.held.rows]:
            apart = max(busy.start - before.end, before.start - busy.end)
            if busy.ref != swap.ref and busy.room == room.id and apart < room.turnover:
                yield f"{swap.ref} meets {busy.ref} in {room.id}"


def client(case: Case) -> Iterator[str]:
    for busy in case.others:
        if set(busy.clients) & set(case.request.clients) and _overlap(busy, case.proposal):
            yield f"client has {busy.ref}"


def refused(case: Case) -> Iterator[str]:
    request, start = case.request, case.proposal.start
    if start == request.asked_start and not request.may_repeat_asked:
        yield "was asked for"
    if start in request.refused_starts:
        yield "was refused"


def dates(case: Case) -> Iterator[str]:
    request, start = case.request, case.proposal.start
    if request.earliest is not None and start < request.earliest:
        yield "too early"
    if request.latest is not None and start >= request.latest:
        yield "too late"


def time_of_day(case: Case) -> Iterator[str]:
    if case.request.minutes_of_day is not None:
        first, last = case.request.minutes_of_day
        if not first <= _minute(case.local) < last:
            yield f"not at {case.local:%H:%M}"


def grid(case: Case) -> Iterator[str]:
    if _minute(case.local) % case.problem.policy.grid_minutes:
        yield f"{case.local:%H:%M} is not a round time"
    if case.local.fold:
        yield f"{case.local:%H:%M} has been once already"


def breakdown(case: Case) -> Iterator[str]:
    expected, given = _costs(case), dict(case.proposal.breakdown)
    for term in sorted(expected.keys() | given.keys()):
        if expected.get(term) != given.get(term):
            yield f"{term}: {given.get(term)} is {expected.get(term)}"
    if sum(given.values()) != case.proposal.cost:
        yield f"{case.proposal.cost} is {sum(given.values())}"


EACH: tuple[Callable[[Case], Iterator[str]], ...] = (
    length,
    qualified,
    hours,
    absence,
    notice,
    horizon,
    agenda,
    daily_maximum,
    room,
    swaps,
    client,
    refused,
    dates,
    time_of_day,
    grid,
    breakdown,
)


def ranks(problem: Problem, _: Request, mine: list[Proposal], __: Result) -> Iterator[str]:
    if [proposal.rank for proposal in mine] != list(range(1, len(mine) + 1)):
        yield "are not 1, 2, 3 …"
    if [proposal.cost for proposal in mine] != sorted(proposal.cost for proposal in mine):
        yield "are not in the order of cost"
    if len(mine) > problem.policy.k:
        yield f"more than {problem.policy.k} proposals"


def cells(problem: Problem, _: Request, mine: list[Proposal], result: Result) -> Iterator[str]:
    if len(set(_cells(problem, mine))) < len(mine) and not result.less_diverse:
        yield "two share a day and part of the day"


ALL_OF_ONE = (ranks, cells)


def _swaps(proposals: Iterable[Proposal]) -> list[Swap]:
    return [swap for proposal in proposals for swap in proposal.swaps]


def _overlap(one: Window | Busy, other: Proposal | Busy) -> bool:
    return one.start < other.end and other.start < one.end


def _costs(case: Case) -> dict[str, int]:
    problem, request, proposal, service = case.problem, case.request, case.proposal, case.service
    weights, local = problem.policy.weights, case.local
    asked = None
    if request.asked_start is not None:
        asked = _local(problem, request.asked_location, request.asked_start)
    days = abs((local.date() - asked.date()).days) if asked else 0
    quarters = abs(_minute(local) - _minute(asked)) // 15 if asked else 0
    video = proposal.modality == Modality.TELEHEALTH
    before, after = _idle(case)
    shortest = min(each.duration for each in problem.services)
    room = case.room

    other_clinician = request.asked_clinician not in (None, proposal.clinician)
    own, mean = _load(case) if other_clinician else (0, 0)
    return {
        "days_moved": weights.day_moved * min(days, weights.days_moved_at_most),
        "quarters_moved": weights.quarter_moved * min(quarters, weights.quarters_moved_at_most),
        "weekday_not_preferred": weights.weekday_not_preferred
        if request.preferred_weekdays and local.weekday() not in request.preferred_weekdays
        else 0,
        "daypart_not_preferred": weights.daypart_not_preferred
        if request.preferred_dayparts and _part(problem, local) not in request.preferred_dayparts
        else 0,
        "loose_gap_before": weights.loose_gap if 0 < before < shortest else 0,
        "loose_gap_after": weights.loose_gap if 0 < after < shortest else 0,
        "no_neighbour": weights.no_neighbour if before > 0 and after > 0 else 0,
        "empty_day": 0 if _sessions_that_day(case, case.standing) else weights.empty_day,
        "other_clinician": weights.other_clinician if other_clinician else 0,
        "other_modality": weights.other_modality
        if request.asked_modality not in (None, proposal.modality)
        else 0,
        "other_location": weights.other_location
        if not video and request.asked_location not in (None, proposal.location)
        else 0,
        "other_room": weights.other_room
        if room and request.asked_room not in (None, room.id)
        else 0,
        "surplus_features": weights.surplus_feature * len(room.features - service.room_features)
        if room
        else 0,
        "swapped_sessions": weights.swapped_session * len(proposal.swaps),
        "busier_than_mean": weights.busier_than_mean * max(0, own - mean),
    }


def _load(case: Case) -> tuple[int, int]:
    """Sessions of the clinician that week, and of clinicians on average."""
    week = (case.local.date() - timedelta(days=case.local.weekday())).isoformat()
    whose = [
        busy.clinician
        for busy in case.calendar.week(week)
        if busy.clinician is not None and busy.ref not in case.request.ignore_refs
    ]
    return whose.count(case.proposal.clinician), len(whose) // len(case.problem.clinicians)


def _idle(case: Case) -> tuple[int, int]:
    """Minutes until somebody or something stops the clinician, to both sides, after buffers."""
    proposal, service, here = case.proposal, case.service, case.proposal.location
    begin, finish = proposal.start - service.buffer_before, proposal.end + service.buffer_after
    working = [
        block.window
        for block in case.blocks
        if block.location == here and proposal.modality in block.modalities
    ]
    away = list(case.clinician.absences)
    away += [
        outage.window
        for outage in case.problem.outages
        if outage.clinician == proposal.clinician or (outage.location and outage.location == here)
    ]

    first, last = proposal.start, proposal.end
    while earlier := [w.start for w in working if w.start < first <= w.end]:
        first = min(earlier)
    while later := [w.end for w in working if w.start <= last < w.end]:
        last = max(later)
    for window in away:
        if window.start < proposal.start:
            first = max(first, min(window.end, proposal.start))
        if window.end > proposal.end:
            last = min(last, max(window.start, proposal.end))
    for busy in case.standing:
        if busy.clinician == proposal.clinician:
            there = here if busy.kind == BusyKind.EXTERNAL else busy.location
            if busy.end <= proposal.start:
                back = busy.end + busy.buffer_after + _minutes(case.problem, there, here)
                first = max(first, back)
            else:
                leave = busy.start - busy.buffer_before - _minutes(case.problem, here, there)
                last = min(last, leave)
    return max(0, begin - first), max(0, last - finish)


def _crowding(problem: Problem, mine: list[Proposal]) -> int:
    policy, cells = problem.policy, _cells(problem, mine)
    fair = (policy.k + len(policy.dayparts) - 1) // len(policy.dayparts)
    points = 0
    for day in {day for day, _ in cells}:
        points += policy.weights.repeated_day * (sum(each == day for each, _ in cells) - 1)
    for part in {part for _, part in cells}:
        above = sum(each == part for _, each in cells) - fair
        points += policy.weights.repeated_daypart * max(0, above)
    return points


def _cells(problem: Problem, mine: list[Proposal]) -> list[tuple[date, str]]:
    locals_ = [_local(problem, each.location, each.start) for each in mine]
    return [(local.date(), _part(problem, local)) for local in locals_]


def _sessions_that_day(case: Case, rows: list[Busy]) -> int:
    return sum(
        busy.clinician == case.proposal.clinician
        and busy.kind != BusyKind.EXTERNAL
        and abs(busy.start - case.proposal.start) < 3 * 24 * 60
        and _local(case.problem, busy.location, busy.start).date() == case.local.date()
        for busy in rows
    )


def _as_busy(problem: Problem, request: Request, proposals: list[Proposal]) -> list[Busy]:
    service = _one(problem.services, request.service)
    return [
        Busy(
            ref=_name(proposal),
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
        for proposal in proposals
    ]


def _name(proposal: Proposal) -> str:
    return f"proposal {proposal.rank} of {proposal.request}"


def _local(problem: Problem, location: str | None, instant: int) -> datetime:
    zone = next((each.zone for each in problem.locations if each.id == location), None)
    utc = datetime.fromtimestamp(instant * 60, UTC)
    return utc.astimezone(ZoneInfo(zone or problem.zone))


def _monday(problem: Problem, busy: Busy) -> str:
    day = _local(problem, busy.location, busy.start).date()
    return (day - timedelta(days=day.weekday())).isoformat()


def _minute(local: datetime) -> int:
    return local.hour * 60 + local.minute


def _part(problem: Problem, local: datetime) -> str:
    parts = problem.policy.dayparts
    return next(part.name for part in parts if part.start <= _minute(local) < part.end)


def _minutes(problem: Problem, here: str | None, there: str | None) -> int:
    """The shortest of all ways, found by walking on until nothing is new."""
    if here is None or there is None or here == there:
        return 0
    reached = {here: 0}
    roads = dict(problem.travel)
    roads |= {(b, a): time for (a, b), time in roads.items() if (b, a) not in roads}
    changed = True
    while changed:
        changed = False
        for (a, b), time in roads.items():
            if a in reached and reached[a] + time < reached.get(b, 10**9):
                reached[b] = reached[a] + time
                changed = True
    return reached.get(there, 0)


def _totals(problem: Problem, calendar: Calendar, first: list[tuple[Request, Proposal]]) -> Totals:
    days_moved = clinician_changes = location_changes = 0
    added: dict[tuple[str, date], list[Busy]] = defaultdict(list)
    for request, proposal in first:
        date_ = _local(problem, proposal.location, proposal.start).date()
        added[proposal.clinician, date_] += _as_busy(problem, request, [proposal])
        if request.asked_start is not None:
            asked = _local(problem, request.asked_location, request.asked_start)
            days_moved += abs((date_ - asked.date()).days)
        if request.asked_clinician and request.asked_clinician != proposal.clinician:
            clinician_changes += 1
        if proposal.modality == Modality.IN_PERSON and request.asked_location:
            location_changes += request.asked_location != proposal.location
    before = after = 0
    for (clinician, date_), rows in added.items():
        standing = [
            busy
            for busy in calendar.of["clinician", clinician]
            if _local(problem, busy.location, busy.start).date() == date_
        ]
        before += _idle_between(standing)
        after += _idle_between(standing + rows)
    return Totals(
        days_moved=days_moved,
        clinician_changes=clinician_changes,
        location_changes=location_changes,
        gap_minutes_before=before,
        gap_minutes_after=after,
    )


def _idle_between(rows: list[Busy]) -> int:
    """Minutes, from the first row's to the last one's, that are in none of them."""
    idle, until = 0, None
    for busy in sorted(rows, key=lambda row: row.start - row.buffer_before):
        begin, finish = busy.start - busy.buffer_before, busy.end + busy.buffer_after
        if until is not None and begin > until:
            idle += begin - until
        until = finish if until is None else max(until, finish)
    return idle


class _Named(Protocol):
    @property
    def id(self) -> str: ...


_T = TypeVar("_T", bound=_Named)


def _one(things: tuple[_T, ...], id: str) -> _T:
    for thing in things:
        if thing.id == id:
            return thing
    raise KeyError(id)
