"""Every way to place every request, as arrays: what a joint plan chooses from.

A column is one request in one session; a session is a start at one place in one room, and all the
requests for which it would do share it. What a session needs for itself lies on lanes: a lane is a
stretch of one long axis of whole numbers, so that all of them are searched at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from solver.candidates import RULES, Place, Rule, places
from solver.objective import (
    DAY_TERMS,
    MINUTE_TERMS,
    PLACE_TERMS,
    ROOM_TERMS,
    START_TERMS,
    Candidate,
    View,
)
from solver.problem import DAY, Problem, Request
from solver.rooms import Fit

Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

MOST_COLUMNS = 3_000_000
"""Of all requests together: what fits into memory."""
LIMITLESS = 1 << 60
OWN_RULES = frozenset({Rule.CLIENT, Rule.REFUSED, Rule.DATES, Rule.TIME_OF_DAY})
"""Those that depend on more of a request than its service, seats and chain."""


@dataclass(slots=True)
class Lanes:
    """What can be used by so many at a time, and where on the axis each lies."""

    length: int
    most: list[int] = field(default_factory=lambda: [0])  # Nothing lies on the first.
    known: dict[tuple[object, ...], int] = field(default_factory=dict)

    def of(self, *key: object, most: int = 1) -> int:
        """Where the lane begins on the axis; one that is new comes after all others."""
        if key not in self.known:
            self.known[key] = len(self.most)
            self.most.append(most)
        lane = self.known[key]
        self.most[lane] = min(self.most[lane], most)
        return lane * self.length

    def most_at(self, moments: Ints) -> Ints:
        return np.array(self.most, np.int64)[moments // self.length]


@dataclass(frozen=True, slots=True)
class Stays:
    """What is used from when until when: rows of axis positions, a column for each session."""

    begin: Ints
    end: Ints

    def __getitem__(self, chosen: Ints | Bools) -> Stays:
        return Stays(self.begin[:, chosen], self.end[:, chosen])

    def with_rows(self, begin: Ints, end: Ints) -> Stays:
        return Stays(np.vstack([self.begin, begin]), np.vstack([self.end, end]))


@dataclass(frozen=True, slots=True)
class Columns:
    """Sorted by request and, within each, by preference: cost, then start, then place and room."""

    sessions: Sessions
    request: Ints
    session: Ints
    cost: Ints
    beyond: Ints
    """Of each request: nothing that was left out costs less."""
    dearest: Ints
    """Of each request: nothing at all costs more."""

    def __len__(self) -> int:
        return len(self.cost)

    def __getitem__(self, chosen: Ints | Bools | slice) -> Columns:
        return replace(
            self,
            request=self.request[chosen],
            session=self.session[chosen],
            cost=self.cost[chosen],
        )

    @property
    def start(self) -> Ints:
        return self.sessions.start[self.session]

    @property
    def end(self) -> Ints:
        return self.sessions.end[self.session]

    @property
    def cell(self) -> Ints:
        return self.sessions.cell[self.session]

    def bounds(self, requests: int) -> Ints:
        """Where the columns of each request begin, and where the last end."""
        return np.searchsorted(self.request, np.arange(requests + 1))

    def stays(self) -> Stays:
        """On the lanes of the sessions, and on those of clients with more than one request."""
        begin = np.zeros((self.sessions.client_lanes.shape[1], len(self)), np.int64)
        end = begin.copy()
        for row, lane in enumerate(self.sessions.client_lanes.T):
            shared = (lane[self.request] > 0).nonzero()[0]
            begin[row, shared], end[row, shared] = self._of_client(lane, shared)
        return self.sessions.stays[self.session].with_rows(begin, end)

    def of_clients(self) -> Iterator[tuple[Ints, Ints, Ints]]:
        """Only the latter: some columns, and their beginnings and ends."""
        for lane in self.sessions.client_lanes.T:
            shared = (lane[self.request] > 0).nonzero()[0]
            yield shared, *self._of_client(lane, shared)

    def _of_client(self, lane: Ints, shared: Ints) -> tuple[Ints, Ints]:
        offset = lane[self.request[shared]] - self.sessions.origin
        return offset + self.start[shared], offset + self.end[shared]

    def candidate(self, n: int) -> Candidate:
        """The column in full, with its score."""
        view, fit = self.sessions.seen(int(self.request[n]), int(self.session[n]))
        return _in_room(view.candidate(int(self.start[n])), fit)


@dataclass(frozen=True, slots=True)
class Sessions:
    """All starts at all places in all rooms, without what they mean to a request."""

    problem: Problem
    lanes: Lanes
    origin: int
    """Where on each lane the first instant of all is."""
    start: Ints
    end: Ints
    cell: Ints
    stays: Stays
    setting: Ints
    fits: tuple[Fit | None, ...]
    fit: Ints
    places: tuple[Place, ...]
    client_lanes: Ints
    """For each request where its clients' lanes begin; 0 for a client of no other request."""

    def seen(self, request: int, session: int) -> tuple[View, Fit | None]:
        place = self.places[self.setting[session]]
        view = View(self.problem, self.problem.requests[request], place)
        return view, self.fits[self.fit[session]]


def enumerate_columns(problem: Problem) -> Columns:
    """Everything that nothing forbids, each with its cost."""
    return _Enumeration(problem).columns()


@dataclass(slots=True)
class _Setting:
    """One kind of session at one place: its starts, and which rooms are free when."""

    view: View
    starts: Ints
    days: list[int]
    day_of: Ints
    minutes: list[int]
    minute_of: Ints
    points: Ints
    fits: list[tuple[Fit | None, Ints, int]]
    """Each with the positions of its starts, and the number of its first session."""


class _Part(NamedTuple):
    """Of one request."""

    session: Ints
    cost: Ints
    beyond: int
    dearest: int


def _cheapest(most: int, session: Ints, cost: Ints) -> _Part:
    order = np.argsort(cost, kind="stable")
    kept = order[:most]
    beyond = int(cost[order[most]]) if len(cost) > most else LIMITLESS
    return _Part(session[kept], cost[kept], beyond, int(cost.max(initial=0)))


class _Enumeration:
    """Settings are many times fewer than columns, so what is slow is asked once for each."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.settings: dict[tuple[object, ...], _Setting] = {}
        self.sessions = 0

    def columns(self) -> Columns:
        problem = self.problem
        most = MOST_COLUMNS // max(1, len(problem.requests))
        parts = [_cheapest(most, *self._of_request(each)) for each in problem.requests]
        request = np.repeat(np.arange(len(parts)), [len(part.cost) for part in parts])
        cost = _joined([part.cost for part in parts])
        used, session = np.unique(_joined([part.session for part in parts]), return_inverse=True)
        sessions = _sessions(problem, list(self.settings.values()), used)
        order = np.lexsort((sessions.start[session], cost, request))
        return Columns(
            sessions=sessions,
            request=request[order],
            session=session[order],
            cost=cost[order],
            beyond=_array([part.beyond for part in parts]),
            dearest=_array([part.dearest for part in parts]),
        )

    def _of_request(self, request: Request) -> tuple[Ints, Ints]:
        """Sessions that would do, and what each costs."""
        sessions, costs = [_NONE], [_NONE]
        days: dict[tuple[str, int], int] = {}
        minutes: dict[int, int] = {}
        for place in places(self.problem, request):
            view = View(self.problem, request, place)
            setting = self._setting(view)
            if not len(setting.starts):
                continue
            points = setting.points + sum(term(view) for term in PLACE_TERMS)
            points += _of_days(view, setting, days) + _of_minutes(view, setting, minutes)
            free = _free(view, setting.starts)
            for fit, positions, first in setting.fits:
                chosen = free[positions].nonzero()[0]
                sessions.append(first + chosen)
                of_room = sum(term(view, fit) for term in ROOM_TERMS)
                costs.append(points[positions[chosen]] + of_room)
        return np.concatenate(sessions), np.concatenate(costs)

    def _setting(self, view: View) -> _Setting:
        request = view.request
        key = view.place, request.service, request.seats, request.ignore_refs
        if key not in self.settings:
            self.settings[key] = self._new_setting(view)
        return self.settings[key]

    def _new_setting(self, view: View) -> _Setting:
        span = view.hours[0][0], view.hours[-1][1]
        starts = _array(view.free_starts(span, OWN_RULES))
        local = _array(view.zone.local(start) for start in starts.tolist())
        days, day_of = np.unique(local // DAY, return_inverse=True)
        minutes, minute_of = np.unique(local % DAY, return_inverse=True)
        points = _array(sum(term(view, start) for term in START_TERMS) for start in starts.tolist())
        fits = []
        for fit, positions in _fits(view, starts):
            fits.append((fit, positions, self.sessions))
            self.sessions += len(positions)
        return _Setting(
            view, starts, days.tolist(), day_of, minutes.tolist(), minute_of, points, fits
        )


_NONE = np.zeros(0, np.int64)


def _array(numbers: Iterator[int] | list[int]) -> Ints:
    return np.fromiter(numbers, np.int64)


def _fits(view: View, starts: Ints) -> Iterator[tuple[Fit | None, Ints]]:
    """Each room that would do, with the positions of the starts at which it is free.

    Where none is, the swaps that make one free.
    """
    if view.place.modality == "telehealth":
        yield None, np.arange(len(starts))
        return
    taken = np.ones(len(starts), np.bool_)
    for room, flat in sorted(view.rooms, key=lambda each: each[0].id):
        free = np.searchsorted(_array(flat), starts, side="right") % 2 == 1
        taken &= ~free
        yield Fit(room), free.nonzero()[0]
    repaired: dict[Fit, list[int]] = {}
    for n in taken.nonzero()[0].tolist():
        fit = view.room_for(int(starts[n]))
        assert fit is not None  # Or it would not be a start.
        repaired.setdefault(fit, []).append(n)
    for fit, positions in repaired.items():
        yield fit, np.array(positions, np.int64)


def _room_stays(
    view: View, fit: Fit | None, start: Ints, end: Ints, origin: int
) -> Iterator[tuple[tuple[str, str], Ints, Ints]]:
    """What is taken on behalf of sessions, from when until when nobody else may have it.

    The room; and for each session that makes it free the room where it goes, and the right to
    move it.
    """
    if fit is None:
        return
    yield ("room", fit.room.id), start, end + fit.room.turnover
    nought = np.zeros_like(start)
    for swap in fit.swaps:
        row, room = view.tables.rows[swap.ref], view.tables.rooms[swap.room]
        first, last = row.start - origin, row.end + room.turnover - origin
        yield ("room", swap.room), nought + first, nought + last
        yield ("swap", swap.ref), nought, nought + 1


def _free(view: View, starts: Ints) -> Bools:
    """What the request's own rules leave."""
    free = np.ones(len(starts), np.bool_)
    span = int(starts[0]), int(starts[-1]) + 1
    for rule in sorted(OWN_RULES):
        for a, b in RULES[rule](view, span):
            first, last = np.searchsorted(starts, (a, b))
            free[first:last] = False
    return free


def _of_days(view: View, setting: _Setting, known: dict[tuple[str, int], int]) -> Ints:
    """A clinician's day costs a request the same wherever they are."""
    who = view.place.clinician
    for day in setting.days:
        if (who, day) not in known:
            known[who, day] = sum(term(view, day) for term in DAY_TERMS)
    return _array([known[who, day] for day in setting.days])[setting.day_of]


def _of_minutes(view: View, setting: _Setting, known: dict[int, int]) -> Ints:
    """A time of day costs a request the same with whomever it is."""
    for minute in setting.minutes:
        if minute not in known:
            known[minute] = sum(term(view, minute) for term in MINUTE_TERMS)
    return _array([known[minute] for minute in setting.minutes])[setting.minute_of]


def _in_room(candidate: Candidate, fit: Fit | None) -> Candidate:
    view = candidate.view
    of_room = {term.__name__: term(view, fit) for term in ROOM_TERMS}
    breakdown = tuple((name, of_room.get(name, points)) for name, points in candidate.breakdown)
    return replace(
        candidate,
        room=fit.room.id if fit else "",
        cost=sum(points for _, points in breakdown),
        breakdown=breakdown,
        swaps=fit.swaps if fit else (),
    )


def _sessions(problem: Problem, settings: list[_Setting], used: Ints) -> Sessions:
    """Only those that are used, in the order of their numbers."""
    settings = [_only(used, setting) for setting in settings]
    found = [
        (n, setting, fit, positions)
        for n, setting in enumerate(settings)
        for fit, positions, _ in setting.fits
    ]
    position = {fit: n for n, fit in enumerate(dict.fromkeys(fit for _, _, fit, _ in found))}
    counts = [len(positions) for *_, positions in found]
    start = _joined([setting.starts[positions] for _, setting, _, positions in found])
    end = start + np.repeat(_array([setting.view.duration for _, setting, *_ in found]), counts)
    parts = len(problem.policy.dayparts)
    cells = [_cells(setting, parts)[positions] for _, setting, _, positions in found]
    # Buffers, turnover and ways to either side are each at most a day.
    margin = 3 * DAY
    first, last = (int(start.min()), int(end.max())) if len(start) else (0, 0)
    lanes = Lanes(length=last - first + 2 * margin)
    origin = first - margin
    return Sessions(
        problem=problem,
        lanes=lanes,
        origin=origin,
        start=start,
        end=end,
        cell=_joined(cells),
        stays=_stays(problem, lanes, origin, settings),
        setting=np.repeat(_array([n for n, *_ in found]), counts),
        fits=tuple(position),
        fit=np.repeat(_array([position[fit] for _, _, fit, _ in found]), counts),
        places=tuple(setting.view.place for setting in settings),
        client_lanes=_client_lanes(problem, lanes),
    )


def _only(used: Ints, setting: _Setting) -> _Setting:
    def kept(positions: Ints, first: int) -> Ints:
        a, b = np.searchsorted(used, (first, first + len(positions)))
        return positions[used[a:b] - first]

    return replace(
        setting,
        fits=[(fit, kept(positions, first), 0) for fit, positions, first in setting.fits],
    )


def _joined(parts: list[Ints]) -> Ints:
    return np.concatenate([_NONE, *parts])


def _cells(setting: _Setting, parts: int) -> Ints:
    part_of = _array([setting.view.part(minute) for minute in setting.minutes])
    days = np.array(setting.days, np.int64)
    return days[setting.day_of] * parts + part_of[setting.minute_of]


def _client_lanes(problem: Problem, lanes: Lanes) -> Ints:
    """Nobody is in two sessions at once; within a request that goes without saying."""
    requests: dict[str, int] = {}
    for request in problem.requests:
        for client in request.clients:
            requests[client] = requests.get(client, 0) + 1
    most = max((len(request.clients) for request in problem.requests), default=0)
    found = np.zeros((len(problem.requests), most), np.int64)
    for n, request in enumerate(problem.requests):
        for m, client in enumerate(request.clients):
            if requests[client] > 1:
                found[n, m] = lanes.of("client", client)
    return found


def _stays(problem: Problem, lanes: Lanes, origin: int, settings: list[_Setting]) -> Stays:
    """For each session its stays, in as many rows as the one with most of them needs."""
    travels = _travels(problem, settings)
    begins: list[list[Ints]] = []
    ends: list[list[Ints]] = []
    for setting in settings:
        for fit, positions, _ in setting.fits:
            rows = list(_rows(setting, fit, positions, lanes, origin, travels))
            begins.append([begin for begin, _ in rows])
            ends.append([end for _, end in rows])
    height = max(map(len, begins), default=0)
    return Stays(_stacked(begins, height), _stacked(ends, height))


def _stacked(parts: list[list[Ints]], height: int) -> Ints:
    if not parts:
        return np.zeros((height, 0), np.int64)
    return np.hstack(
        [np.vstack([*rows, *[np.zeros_like(rows[0])] * (height - len(rows))]) for rows in parts]
    )


Shift: TypeAlias = tuple[str, str, int]
"""From one location to another, counted so many minutes earlier there."""


def _rows(
    setting: _Setting,
    fit: Fit | None,
    positions: Ints,
    lanes: Lanes,
    origin: int,
    travels: dict[str, list[Shift]],
) -> Iterator[tuple[Ints, Ints]]:
    view, here = setting.view, setting.view.place.location
    who, start = view.place.clinician, setting.starts[positions] - origin
    end = start + view.duration
    begin, finish = start - view.service.buffer_before, end + view.service.buffer_after
    lane = lanes.of("clinician", who)
    yield lane + begin, lane + finish
    for key, first, last in _room_stays(view, fit, start, end, origin):
        lane = lanes.of(*key)
        yield lane + first, lane + last
    most = view.clinician.max_sessions_day
    if most is not None:
        days = [
            lanes.of("day", who, day, most=max(0, most - view.sessions_by_day[day]))
            for day in setting.days
        ]
        day_lanes = _array(days)[setting.day_of[positions]]
        yield day_lanes, day_lanes + 1
    for leave, come, earlier in travels.get(who, ()):
        if here in (leave, come):
            lane = lanes.of("travel", who, leave, come, earlier)
            shift = earlier if here == come else 0
            yield lane + begin - shift, lane + finish - shift


def _travels(problem: Problem, settings: list[_Setting]) -> dict[str, list[Shift]]:
    """Who goes between which locations.

    Whoever is there at a moment cannot be elsewhere until the way is done: seen so many minutes
    earlier, sessions there overlap those here. A way much longer than the sessions needs more than
    one look, at moments so close to each other that no pair slips through.
    """
    where: dict[str, dict[str, None]] = {}
    shortest: dict[str, int] = {}
    for setting in settings:
        view, place = setting.view, setting.view.place
        if place.location is not None:
            where.setdefault(place.clinician, {})[place.location] = None
        length = view.service.buffer_before + view.duration + view.service.buffer_after
        known = shortest.get(place.clinician, length)
        shortest[place.clinician] = min(length, known)
    return {
        who: [
            (here, there, earlier)
            for here in sorted(locations)
            for there in sorted(locations)
            for earlier in range(problem.travel.get((here, there), 0), 0, 1 - 2 * shortest[who])
            if here != there
        ]
        for who, locations in where.items()
    }
