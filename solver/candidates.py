"""Feasible starts, by exact arithmetic on sorted intervals.

Each rule names the starts that it forbids. What clients see, what is checked when they ask and
what is proposed come from the same rules, so they cannot disagree.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import pairwise

from solver.local_time import Zone
from solver.problem import (
    DAY,
    Busy,
    BusyKind,
    Modality,
    Problem,
    Request,
    Room,
    Window,
    busy_columns,
)
from solver.proposal import Swap
from solver.rooms import Fit, Office, Sitting

Range = tuple[int, int]
Ranges = Iterable[Range]
Agenda = Mapping[tuple[bool, str | None], list[Range]]
"""When clinicians stop and are ready again, buffers included, by what may yet be dropped, where."""
Where = tuple[str | None, Modality]
ALWAYS: Range = (-(1 << 60), 1 << 60)


class Rule(StrEnum):
    QUALIFIED = "qualified"
    HOURS = "hours"
    ABSENCE = "absence"
    NOTICE = "notice"
    HORIZON = "horizon"
    AGENDA_CONFIRMED = "agenda_confirmed"
    AGENDA_HELD = "agenda_held"
    MAX_DAY = "max_day"
    ROOM = "room"
    CLIENT = "client"
    REFUSED = "refused"
    DATES = "dates"
    TIME_OF_DAY = "time_of_day"
    GRID = "grid"


@dataclass(frozen=True, slots=True)
class Place:
    """With whom, where and how; at no location, both sides meet by video from anywhere."""

    clinician: str
    location: str | None
    modality: Modality


def places(problem: Problem, request: Request) -> list[Place]:
    """Where the request may go: clinicians as preferred, locations as listed, remote last."""
    tables = _tables(problem)
    order = {location.id: n for n, location in enumerate(problem.locations)}
    names = request.allowed_clinicians
    found: list[Place] = []
    for name in dict.fromkeys(tables.clinicians if names is None else names):
        kinds = {(block.location, block.modalities) for block in tables.clinicians[name].blocks}
        here = {Place(name, at, modality) for at, modalities in kinds for modality in modalities}
        found += sorted(
            (place for place in here if not _unqualified(problem, request, place)),
            key=lambda place: (order.get(place.location or "", len(order)), place.modality),
        )
    return found


def opening_hours(problem: Problem, service: str) -> dict[Where, list[Range]]:
    """When somebody who offers the service works somewhere in some way that it can be held."""
    tables = _tables(problem)
    windows: dict[Where, set[Range]] = defaultdict(set)
    for clinician in problem.clinicians:
        if service in clinician.services:
            for where, hours in tables.hours(clinician.id).items():
                windows[where].update(hours)
    order = {location.id: n for n, location in enumerate(problem.locations)}
    possible = (
        (location, modality)
        for location, modality in windows
        if modality in tables.services[service].modalities
        and (location is not None or modality is Modality.TELEHEALTH)
    )
    in_order = sorted(possible, key=lambda at: (order.get(at[0] or "", len(order)), at[1]))
    return {where: merged(windows[where]) for where in in_order}


def free_starts(
    problem: Problem,
    request: Request,
    place: Place,
    span: Window,
    *,
    ignore: frozenset[Rule] = frozenset(),
) -> list[int]:
    """Every start within the span that no rule forbids, but for those to ignore."""
    scene = Scene(problem, request, place)
    return scene.free_starts((span.start, span.end), ignore)


def broken_rules(problem: Problem, request: Request, place: Place, start: int) -> tuple[Rule, ...]:
    """Why this start, whichever it be, would not do; nothing when it would."""
    scene, minute = Scene(problem, request, place), (start, start + 1)
    return tuple(
        rule
        for rule, forbidden in RULES.items()
        if any(a <= start < b for a, b in forbidden(scene, minute))
    )


def free_rooms(problem: Problem, request: Request, place: Place, start: int) -> tuple[str, ...]:
    """Rooms that could hold the session, the cheapest first; none are needed for video."""
    return tuple(room.id for room in Scene(problem, request, place).free_rooms(start))


def room_for(
    problem: Problem, request: Request, place: Place, start: int
) -> tuple[str, tuple[Swap, ...]] | None:
    """The room that a session gets, and the sessions that go elsewhere for it."""
    fit = Scene(problem, request, place).room_for(start)
    return None if fit is None else (fit.room.id, fit.swaps)


class Scene:
    """One request at one place, with the facts that rules and costs ask for."""

    def __init__(self, problem: Problem, request: Request, place: Place) -> None:
        tables = _tables(problem)
        self.problem, self.request, self.place = problem, request, place
        self.service = tables.services[request.service]
        self.duration = self.service.duration
        self.clinician = tables.clinicians[place.clinician]
        self.zone = tables.zone(place.location)
        self.tables = tables

    @cached_property
    def neighbours(self) -> list[Range]:
        """With buffers and travel: when what comes before must be over, what follows may begin."""
        return [*self.beside(held=False, before=0, after=0), *self.beside(True, 0, 0)]

    def beside(self, held: bool, before: int, after: int) -> list[Range]:
        """Widened by so much, what the clinician already does, but for the request's own chain."""
        tables, place = self.tables, self.place
        agenda = tables.agenda(place.clinician, self.request.ignore_refs)
        found: list[Range] = []
        for (may_go, there), stays in agenda.items():
            if may_go is held:
                go = after + tables.way(place.location, there)
                come = before + tables.way(there, place.location)
                found += [(stop - go, ready + come) for stop, ready in stays]
        return found

    @cached_property
    def hours(self) -> list[Range]:
        """The clinician's blocks at this place, merged."""
        place = self.place
        return self.tables.hours(place.clinician).get((place.location, place.modality), [])

    @cached_property
    def absences(self) -> list[Range]:
        """When the clinician, or the office, is not there."""
        gone = [(window.start, window.end) for window in self.clinician.absences]
        gone += [
            (outage.window.start, outage.window.end)
            for outage in self.problem.outages
            if outage.clinician == self.clinician.id
            or (outage.location is not None and outage.location == self.place.location)
        ]
        return gone

    @cached_property
    def sessions_by_day(self) -> Counter[int]:
        """The clinician's sessions by local date of their start."""
        return self.tables.sessions_by_day(self.place.clinician, self.request.ignore_refs)

    @cached_property
    def rooms(self) -> list[tuple[Room, list[int]]]:
        """Rooms that suit the session, the cheapest first, each with its starts, flat."""
        request, service = self.request, self.service
        suited = [
            room
            for room in self.tables.rooms_at.get(self.place.location or "", [])
            if service.room_features <= room.features and request.seats <= room.seats
        ]

        suited.sort(key=lambda room: (sum(self.room_points(room)), len(room.features)))
        return [
            (room, self.tables.room_starts(room, self.duration, request.ignore_refs))
            for room in suited
        ]

    @cached_property
    def without_room(self) -> list[Range]:
        """Starts at which no suitable room is free, nor can be made free."""
        rooms = frozenset(room.id for room, _ in self.rooms)
        return self.tables.without_room(
            self.place.location or "", rooms, self.duration, self.request.ignore_refs
        )

    def room_points(self, room: Room) -> tuple[int, int]:
        """What it costs that it is not the room asked for, and that it has more than it takes."""
        weights = self.problem.policy.weights
        return (
            weights.other_room * (self.request.asked_room not in (None, room.id)),
            weights.surplus_feature * len(room.features - self.service.room_features),
        )

    def free_starts(self, span: Range, ignore: frozenset[Rule] = frozenset()) -> list[int]:
        forbidden = sorted(
            pair
            for rule, forbid in RULES.items()
            if rule is not Rule.GRID and rule not in ignore  # The grid has too many gaps to sort.
            for pair in forbid(self, span)
        )
        left = gaps(forbidden, span)
        if Rule.GRID in ignore:
            return [start for a, b in left for start in range(a, b)]
        return list(self.zone.grid(left, self.problem.policy.grid_minutes))

    def free_rooms(self, start: int) -> Iterator[Room]:
        if self.place.modality is Modality.IN_PERSON:
            yield from (room for room, flat in self.rooms if bisect_right(flat, start) % 2)

    def room_for(self, start: int) -> Fit | None:
        """The cheapest free room, else one that swaps make free; none are needed for video."""
        if self.place.modality is not Modality.IN_PERSON:
            return None
        for room in self.free_rooms(start):
            return Fit(room)
        return self.tables.office(self.place.location or "").make_room(
            start,
            start + self.duration,
            [room.id for room, _ in self.rooms],
            self.request.ignore_refs,
        )


def unqualified(scene: Scene, _: Range) -> Ranges:
    """C01: the clinician offers the service in this way, and the request allows both."""
    if _unqualified(scene.problem, scene.request, scene.place):
        yield ALWAYS


def outside_hours(scene: Scene, _: Range) -> Ranges:
    """C02: the session, not its buffers, lies within one block."""
    starts = ((a, b - scene.duration + 1) for a, b in scene.hours if b - a >= scene.duration)
    return gaps(starts, ALWAYS)


def absent(scene: Scene, _: Range) -> Ranges:
    """C03: nobody is treated by somebody who is away, nor where nobody can be."""
    for a, b in scene.absences:
        yield a - scene.duration + 1, b


def too_soon(scene: Scene, _: Range) -> Ranges:
    """C04: the clinician's minimum notice."""
    yield ALWAYS[0], scene.problem.policy.now + scene.clinician.min_notice


def too_far(scene: Scene, span: Range) -> Ranges:
    """C05: the clinician's horizon, in local days."""
    today = scene.zone.local(scene.problem.policy.now) // DAY
    beyond = (today + scene.clinician.horizon_days + 1) * DAY
    return scene.zone.instants(beyond, ALWAYS[1], span)


def beside_confirmed(scene: Scene, _: Range) -> Ranges:
    """C06: buffers of both sides, and the way between, before and after what stands."""
    return _beside(scene, held=False)


def beside_held(scene: Scene, _: Range) -> Ranges:
    """C07: the same for what may yet come to stand."""
    return _beside(scene, held=True)


def on_full_days(scene: Scene, span: Range) -> Ranges:
    """C08: no more sessions a day than the clinician wants."""
    most = scene.clinician.max_sessions_day
    if most == 0:
        yield ALWAYS
    elif most is not None:
        for day, sessions in scene.sessions_by_day.items():
            if sessions >= most:
                yield from scene.zone.instants(day * DAY, (day + 1) * DAY, span)


def without_room(scene: Scene, _: Range) -> Ranges:
    """C09: a session in person needs a room that suits it and is, or can be made, free."""
    return scene.without_room if scene.place.modality is Modality.IN_PERSON else ()


def client_elsewhere(scene: Scene, _: Range) -> Ranges:
    """C10: no client is in two sessions at once."""
    for client in scene.request.clients:
        for busy in scene.tables.busy_of_client(client):
            if busy.ref not in scene.request.ignore_refs:
                yield busy.start - scene.duration + 1, busy.end


def refused(scene: Scene, _: Range) -> Ranges:
    """C11: what was asked for, or refused, is not proposed again."""
    request = scene.request
    asked = set() if request.may_repeat_asked else {request.asked_start}
    for start in request.refused_starts | asked:
        if start is not None:
            yield start, start + 1


def outside_dates(scene: Scene, _: Range) -> Ranges:
    """The dates to which somebody narrowed the search."""
    if scene.request.earliest is not None:
        yield ALWAYS[0], scene.request.earliest
    if scene.request.latest is not None:
        yield scene.request.latest, ALWAYS[1]


def outside_time_of_day(scene: Scene, span: Range) -> Ranges:
    """The part of each day to which somebody narrowed the search."""
    if scene.request.minutes_of_day is not None:
        first, last = scene.request.minutes_of_day
        for day in range(
            scene.zone.local(span[0]) // DAY - 1, scene.zone.local(span[1]) // DAY + 2
        ):
            yield from scene.zone.instants(day * DAY, day * DAY + first, span)
            yield from scene.zone.instants(day * DAY + last, (day + 1) * DAY, span)


def off_grid(scene: Scene, span: Range) -> Ranges:
    """C12: starts are round times of the local clock."""
    round_times = scene.zone.grid([span], scene.problem.policy.grid_minutes)
    return gaps(((start, start + 1) for start in round_times), span)


RULES: Mapping[Rule, Callable[[Scene, Range], Ranges]] = {
    Rule.QUALIFIED: unqualified,
    Rule.HOURS: outside_hours,
    Rule.ABSENCE: absent,
    Rule.NOTICE: too_soon,
    Rule.HORIZON: too_far,
    Rule.AGENDA_CONFIRMED: beside_confirmed,
    Rule.AGENDA_HELD: beside_held,
    Rule.MAX_DAY: on_full_days,
    Rule.ROOM: without_room,
    Rule.CLIENT: client_elsewhere,
    Rule.REFUSED: refused,
    Rule.DATES: outside_dates,
    Rule.TIME_OF_DAY: outside_time_of_day,
    Rule.GRID: off_grid,
}


class _Tables:
    """The problem's rows by whom they concern."""

    def __init__(self, problem: Problem) -> None:
        self.services = {service.id: service for service in problem.services}
        self.clinicians = {clinician.id: clinician for clinician in problem.clinicians}
        self.rooms = {room.id: room for room in problem.rooms}
        self.rooms_at: dict[str, list[Room]] = defaultdict(list)
        for room in problem.rooms:
            self.rooms_at[room.location].append(room)
        self.busy_of_clinician: dict[str, list[Busy]] = defaultdict(list)
        self.busy_of_room: dict[str, list[Busy]] = defaultdict(list)
        self._busy_of_client: dict[str, list[Busy]] = {}
        self._clients = {client for request in problem.requests for client in request.clients}
        self._busy, self._columns = problem.busy, busy_columns(problem)
        for busy, clinician in zip(problem.busy, self._columns["clinician"], strict=True):
            if clinician is not None:
                self.busy_of_clinician[clinician].append(busy)
        for busy, room_of in zip(problem.busy, self._columns["room"], strict=True):
            if room_of is not None:
                self.busy_of_room[room_of].append(busy)
        self.room_closed: dict[str, list[Range]] = defaultdict(list)
        for outage in problem.outages:
            if outage.room is not None:
                self.room_closed[outage.room].append((outage.window.start, outage.window.end))
        home = Zone(problem.zone)
        self._zones = {at.id: Zone(at.zone) if at.zone else home for at in problem.locations}
        self._home = home
        self._travel = problem.travel
        self._hours: dict[str, Mapping[Where, list[Range]]] = {}
        self._room_starts: dict[tuple[str, int, frozenset[str]], list[int]] = {}
        self._without_room: dict[tuple[frozenset[str], int, frozenset[str]], list[Range]] = {}
        self._offices: dict[str, Office] = {}
        self._agendas: dict[tuple[str, frozenset[str]], Agenda] = {}
        self._sessions_by_day: dict[tuple[str, frozenset[str]], Counter[int]] = {}
        self._sessions_by_week: dict[frozenset[str], Counter[int]] = {}

    @cached_property
    def rows(self) -> dict[str, Busy]:
        return {busy.ref: busy for busy in self._busy}

    def busy_of_client(self, client: str) -> list[Busy]:
        """Looked for once for the clients of all requests: hardly any row is one of theirs."""
        found = self._busy_of_client
        if client not in found:
            wanted = {client, *self._clients}.difference(found)
            found.update((each, []) for each in wanted)
            for busy, clients in zip(self._busy, self._columns["clients"], strict=True):
                if not wanted.isdisjoint(clients):
                    for each in wanted.intersection(clients):
                        found[each].append(busy)
        return found[client]

    def zone(self, location: str | None) -> Zone:
        return self._home if location is None else self._zones[location]

    def hours(self, clinician: str) -> Mapping[Where, list[Range]]:
        """The clinician's blocks at each place, merged."""
        if clinician not in self._hours:
            alike: dict[tuple[str | None, frozenset[Modality]], list[Range]] = defaultdict(list)
            for block in self.clinicians[clinician].blocks:
                window = block.window
                alike[block.location, block.modalities].append((window.start, window.end))
            hours: dict[Where, list[Range]] = {}
            for (location, modalities), windows in alike.items():
                one = merged(windows)
                for modality in modalities:
                    where = location, modality
                    hours[where] = merged([*hours[where], *one]) if where in hours else one
            self._hours[clinician] = hours
        return self._hours[clinician]

    def room_starts(self, room: Room, duration: int, ignore_refs: frozenset[str]) -> list[int]:
        """When a session may start in the room: sorted instants that open and close by turns."""
        key = room.id, duration, ignore_refs
        if key not in self._room_starts:
            windows = merged((window.start, window.end) for window in room.windows)
            open_ = ((a, b - duration + 1) for a, b in windows if b - a >= duration)
            forbidden = [
                *gaps(open_, ALWAYS),
                *((a - duration + 1, b) for a, b in self.room_closed.get(room.id, [])),
                *(
                    (busy.start - room.turnover - duration + 1, busy.end + room.turnover)
                    for busy in self.busy_of_room.get(room.id, [])
                    if busy.ref not in ignore_refs
                ),
            ]
            self._room_starts[key] = [
                edge for gap in gaps(sorted(forbidden), ALWAYS) for edge in gap
            ]
        return self._room_starts[key]

    def without_room(
        self, location: str, rooms: frozenset[str], duration: int, ignore_refs: frozenset[str]
    ) -> list[Range]:
        key = rooms, duration, ignore_refs
        if key not in self._without_room:
            starts = [
                self.room_starts(room, duration, ignore_refs)
                for name, room in self.rooms.items()
                if name in rooms
            ]
            free = (pair for flat in starts for pair in zip(flat[::2], flat[1::2], strict=True))
            taken = gaps(merged(free), ALWAYS)
            self._without_room[key] = (
                [
                    piece
                    for span in taken
                    for piece in _lasting(
                        self.office(location), span, duration, sorted(rooms), ignore_refs
                    )
                ]
                if self._flexible(location)
                else list(taken)
            )
        return self._without_room[key]

    def _flexible(self, location: str) -> bool:
        """Whether anybody could go to another room, which is all that an office is asked about."""
        rooms = self.rooms_at.get(location, [])
        rows = (row for room in rooms for row in self.busy_of_room.get(room.id, []))
        return any(row.other_rooms for row in rows)

    def office(self, location: str) -> Office:
        if location not in self._offices:
            rooms = self.rooms_at.get(location, [])
            self._offices[location] = Office(
                rooms,
                (
                    Sitting(row.start, row.end, row.ref, room.id, row.other_rooms)
                    for room in rooms
                    for row in self.busy_of_room.get(room.id, [])
                ),
                {
                    room.id: [
                        piece
                        for a, b in merged((window.start, window.end) for window in room.windows)
                        for piece in gaps(sorted(self.room_closed.get(room.id, [])), (a, b))
                    ]
                    for room in rooms
                },
            )
        return self._offices[location]

    def agenda(self, clinician: str, ignore_refs: frozenset[str]) -> Agenda:
        """What is not a session is nowhere."""
        key = clinician, ignore_refs
        if key not in self._agendas:
            found: dict[tuple[bool, str | None], list[Range]] = defaultdict(list)
            for busy in self.busy_of_clinician.get(clinician, []):
                if busy.ref not in ignore_refs:
                    kind = busy.kind
                    held = kind is BusyKind.PENDING or kind is BusyKind.HELD
                    there = None if kind is BusyKind.EXTERNAL else busy.location
                    stop, ready = busy.start - busy.buffer_before, busy.end + busy.buffer_after
                    found[held, there].append((stop, ready))
            self._agendas[key] = found
        return self._agendas[key]

    def way(self, here: str | None, there: str | None) -> int:
        """Nobody travels to or from a place that is unknown."""
        return self._travel.get((here, there), 0) if here and there and here != there else 0

    def sessions_by_day(self, clinician: str, ignore_refs: frozenset[str]) -> Counter[int]:
        key = clinician, ignore_refs
        if key not in self._sessions_by_day:
            starts: dict[str | None, list[int]] = defaultdict(list)
            for busy in self.busy_of_clinician.get(clinician, []):
                if busy.kind is not BusyKind.EXTERNAL and busy.ref not in ignore_refs:
                    starts[busy.location].append(busy.start)
            found: Counter[int] = Counter()
            for location, instants in starts.items():
                found += self.zone(location).days(instants)
            self._sessions_by_day[key] = found
        return self._sessions_by_day[key]

    def sessions_by_week(self, ignore_refs: frozenset[str]) -> Counter[int]:
        """The sessions of all clinicians by local week of their start."""
        if ignore_refs not in self._sessions_by_week:
            rows = (
                self._columns[name] for name in ("clinician", "kind", "ref", "location", "start")
            )
            starts: dict[str | None, list[int]] = defaultdict(list)
            for clinician, kind, ref, location, start in zip(*rows, strict=True):
                session = clinician is not None and kind is not BusyKind.EXTERNAL
                if session and ref not in ignore_refs:
                    starts[location].append(start)
            found: Counter[int] = Counter()
            for location, instants in starts.items():
                found += self.zone(location).weeks(instants)
            self._sessions_by_week[ignore_refs] = found
        return self._sessions_by_week[ignore_refs]


def _tables(problem: Problem) -> _Tables:
    if "candidates" not in problem.derived:
        problem.derived["candidates"] = _Tables(problem)
    tables: _Tables = problem.derived["candidates"]
    return tables


def _unqualified(problem: Problem, request: Request, place: Place) -> bool:
    tables = _tables(problem)
    service = tables.services[request.service]
    in_person = place.modality is Modality.IN_PERSON
    where, who = request.allowed_locations, request.allowed_clinicians
    return (
        request.service not in tables.clinicians[place.clinician].services
        or place.modality not in service.modalities & request.allowed_modalities
        or (who is not None and place.clinician not in who)
        or (in_person and place.location is None)
        or (in_person and where is not None and place.location not in where)
    )


def _beside(scene: Scene, *, held: bool) -> Ranges:
    before = scene.service.buffer_before
    after = scene.service.buffer_after + scene.duration - 1
    place, refs = scene.place, scene.request.ignore_refs
    key = "beside", place.clinician, place.location, refs, held, before, after
    derived = scene.problem.derived
    if key not in derived:  # By video it is the same as in person.
        derived[key] = scene.beside(held, before, after)
    found: list[Range] = derived[key]
    return found


def _lasting(
    office: Office, span: Range, duration: int, rooms: list[str], ignore_refs: frozenset[str]
) -> Iterator[Range]:
    """What of a span without a free room no swap repairs."""
    points = [*office.changes(span, duration), span[1]]
    for start, end in pairwise(points):
        if office.make_room(start, start + duration, rooms, ignore_refs) is None:
            yield start, end


def merged(pairs: Ranges) -> list[Range]:
    """Sorted, and one where they touch or overlap."""
    in_order = sorted(pairs)
    if not in_order:
        return []
    found: list[Range] = []
    start, end = in_order[0]
    for a, b in in_order:
        if a > end:
            found.append((start, end))
            start, end = a, b
        elif b > end:
            end = b
    found.append((start, end))
    return found


def gaps(pairs: Ranges, span: Range) -> Iterator[Range]:
    """What sorted ranges, none of them empty, leave of the span."""
    start, end = span
    for a, b in pairs:
        if a >= end:
            break
        if a > start:
            yield start, a
        if b > start:
            start = b
    if start < end:
        yield start, end
