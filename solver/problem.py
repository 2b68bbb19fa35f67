"""What the solver is asked: frozen facts; every instant is a whole UTC minute since 1970."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from itertools import chain, product
from operator import attrgetter
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

DAY = 24 * 60
MOST_REQUESTS = 500
MOST_PROPOSALS = 50
FARTHEST = 3660  # Days.
HEAVIEST = 10_000  # So that no sum of costs leaves 64 bits.
LAST_INSTANT = 121_000_000  # Into the year 2200: what lies beyond is a slip of the keyboard.


class Modality(StrEnum):
    IN_PERSON = "in_person"
    TELEHEALTH = "telehealth"


class BusyKind(StrEnum):
    CONFIRMED = "confirmed"
    PENDING = "pending"
    HELD = "held"
    EXTERNAL = "external"


BOTH = frozenset(Modality)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """The minutes from `start` up to, and without, `end`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    id: str
    duration: int
    buffer_before: int = 0
    buffer_after: int = 0
    room_features: frozenset[str] = frozenset()
    modalities: frozenset[Modality] = BOTH


@dataclass(frozen=True, slots=True)
class Location:
    id: str
    zone: str | None = None
    """None: the zone of the problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    id: str
    location: str
    features: frozenset[str] = frozenset()
    seats: int = 2
    turnover: int = 0
    windows: tuple[Window, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """Working hours at one place; holidays, overrides and recurrence are already expanded."""

    window: Window
    location: str | None = None
    """None: from anywhere, without travel. Video from an office keeps the office."""
    modalities: frozenset[Modality] = BOTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Clinician:
    id: str
    services: frozenset[str]
    blocks: tuple[Block, ...] = ()
    absences: tuple[Window, ...] = ()
    max_sessions_day: int | None = None
    min_notice: int = 0
    horizon_days: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """Time already taken from a clinician, a room and clients, or from any of them."""

    ref: str
    kind: BusyKind
    start: int
    end: int
    clinician: str | None = None
    clients: tuple[str, ...] = ()
    room: str | None = None
    location: str | None = None
    """Where the clinician is; None: remote or unknown, so nobody travels."""
    buffer_before: int = 0
    buffer_after: int = 0
    other_rooms: tuple[str, ...] = ()
    """Rooms of the same location that would do as well; none: the room is pinned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Who needs which session, what was asked for, and what else would do."""

    id: str
    service: str
    clients: tuple[str, ...] = ()
    seats: int = 1
    asked_start: int | None = None
    asked_clinician: str | None = None
    asked_location: str | None = None
    asked_room: str | None = None
    asked_modality: Modality | None = None
    allowed_modalities: frozenset[Modality] = BOTH
    allowed_clinicians: tuple[str, ...] | None = None
    """In order of preference; None: whoever offers the service."""
    allowed_locations: frozenset[str] | None = None
    """Where clients may have to go; None: anywhere. Video needs no permission of this kind."""
    preferred_weekdays: frozenset[int] = frozenset()
    """Monday is 0; none: no preference."""
    preferred_dayparts: frozenset[str] = frozenset()
    refused_starts: frozenset[int] = frozenset()
    may_repeat_asked: bool = False
    """The asked start would do again: not the time went, but who or where it was."""
    weight: int = 1
    waiting_since: int | None = None
    """Of two requests that are alike, the quick plan serves first who has waited longer."""
    earliest: int | None = None
    """No start before this instant."""
    latest: int | None = None
    """No start at or after this instant."""
    minutes_of_day: tuple[int, int] | None = None
    """Local starts from the first minute of the day up to, and without, the second."""
    ignore_refs: frozenset[str] = frozenset()
    """Busy rows of the request's own chain, which never conflict with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What each inconvenience costs, in points; nothing is ever negative."""

    day_moved: int = 10  # for each local day between asked and offered …
    days_moved_at_most: int = 30  # … as far as these days
    quarter_moved: int = 1  # for each quarter of an hour between the times of day …
    quarters_moved_at_most: int = 24  # … as far as these quarters
    weekday_not_preferred: int = 30
    daypart_not_preferred: int = 20
    loose_gap: int = 15  # idle time beside the session that no service fits into, on each side
    no_neighbour: int = 3  # idle time on both sides
    empty_day: int = 8  # the clinician's only session that day
    other_clinician: int = 60
    other_modality: int = 40
    other_location: int = 25
    other_room: int = 5
    surplus_feature: int = 2  # for each feature of the room that the service does not need
    swapped_session: int = 4  # for each session that goes to another room to make this one free
    busier_than_mean: int = 1  # for each session a substitute has that week above the mean
    repeated_day: int = 40  # for each proposal after the first of a day
    repeated_daypart: int = 15  # for each proposal above its fair share of a part of the day


@dataclass(frozen=True, slots=True)
class Daypart:
    """A named part of the local day, in minutes after midnight."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    now: int
    k: int = 5
    grid_minutes: int = 15
    dayparts: tuple[Daypart, ...] = (
        Daypart("morning", 0, 720),
        Daypart("afternoon", 720, 960),
        Daypart("evening", 960, DAY),
    )
    weights: Weights = Weights()
    seed: int = 1
    deterministic_time: float = 0.5
    """Of one request's search, in OR-Tools' units."""
    batch_deterministic_time: float = 5.0
    """Of each stage of a joint search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A clinician, a room or a whole location that is suddenly not there."""

    window: Window
    clinician: str | None = None
    room: str | None = None
    location: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    zone: str
    policy: Policy
    services: tuple[Service, ...] = ()
    locations: tuple[Location, ...] = ()
    travel: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Minutes (from, to); where one direction is missing it is like the other, where both, 0."""
    rooms: tuple[Room, ...] = ()
    clinicians: tuple[Clinician, ...] = ()
    busy: tuple[Busy, ...] = ()
    requests: tuple[Request, ...] = ()
    outages: tuple[Outage, ...] = ()
    derived: dict[object, Any] = field(init=False, repr=False, compare=False, default_factory=dict)
    """Tables that others derive from these facts: kept here, so that they go when the facts go."""


def busy_columns(problem: Problem) -> Mapping[str, list[Any]]:
    """The busy rows field by field: they are thousands, and all of them are looked at often."""
    if "busy" not in problem.derived:
        problem.derived["busy"] = {
            each.name: [*map(attrgetter(each.name), problem.busy)] for each in fields(Busy)
        }
    columns: Mapping[str, list[Any]] = problem.derived["busy"]
    return columns


class InvalidProblem(ValueError):
    """The facts contradict each other; `path` says where, in the terms of the JSON document."""

    def __init__(self, code: str, path: str, message: str) -> None:
        super().__init__(f"{code} {path}: {message}")
        self.code, self.path, self.message = code, path, message


UNKNOWN_ID = "E01"
BAD_DURATION = "E02"
BAD_WINDOW = "E03"
TWO_PLACES_AT_ONCE = "E04"
NO_SUCH_ROOM = "E05"
ASKED_IN_THE_PAST = "E06"
OUT_OF_RANGE = "E09"
DUPLICATE_ID = "E11"
TOO_MANY = "E12"


def validate(problem: Problem) -> Problem:
    """The same problem with its travel times closed, or `InvalidProblem`."""
    for check in CHECKS:
        for code, path, message in check(problem):
            raise InvalidProblem(code, path, message)
    if not problem.travel:
        return problem
    closed = replace(problem, travel=closed_ways(problem.travel))
    closed.derived["busy"] = busy_columns(problem)  # Of the same rows.
    return closed


Faults: TypeAlias = Iterator[tuple[str, str, str]]
Ids: TypeAlias = set[str | None]


def too_many(problem: Problem) -> Faults:
    if len(problem.requests) > MOST_REQUESTS:
        yield (
            TOO_MANY,
            "$.requests",
            f"there are {len(problem.requests)}, and no more than {MOST_REQUESTS} are taken",
        )


def ids_twice(problem: Problem) -> Faults:
    for name in ("services", "locations", "rooms", "clinicians", "requests"):
        yield from _twice(f"$.{name}", "id", [item.id for item in getattr(problem, name)])
    if any(busy_columns(problem)["other_rooms"]):  # Swaps speak of rows by their names.
        yield from _twice("$.busy", "ref", busy_columns(problem)["ref"])


def _twice(path: str, name: str, ids: list[str]) -> Faults:
    if len(set(ids)) < len(ids):
        seen = set()
        for i, id in enumerate(ids):
            if id in seen:
                yield DUPLICATE_ID, f"{path}[{i}].{name}", f"{id!r} is there already"
            seen.add(id)


def policy_out_of_range(problem: Problem) -> Faults:
    policy = problem.policy
    for weight in fields(Weights):
        value = getattr(policy.weights, weight.name)
        if not isinstance(value, int) or not 0 <= value <= HEAVIEST:
            path = f"$.policy.weights.{weight.name}"
            yield OUT_OF_RANGE, path, f"{value!r} is not a whole number from 0 to {HEAVIEST}"
    if not 1 <= policy.k <= MOST_PROPOSALS:
        yield OUT_OF_RANGE, "$.policy.k", f"{policy.k} is not from 1 to {MOST_PROPOSALS}"
    if not 1 <= policy.grid_minutes <= 60 or DAY % policy.grid_minutes:
        yield OUT_OF_RANGE, "$.policy.grid_minutes", "is not 1 to 60 minutes that divide the day"
    if not 0 <= policy.seed < 2**31:
        yield OUT_OF_RANGE, "$.policy.seed", f"{policy.seed} is not from 0 to 2147483647"
    for name in ("deterministic_time", "batch_deterministic_time"):
        if not 0 < getattr(policy, name) <= 60:
            yield OUT_OF_RANGE, f"$.policy.{name}", "is not above 0 and up to 60"
    edges = [0, *(edge for part in policy.dayparts for edge in (part.start, part.end)), DAY]
    whole = all(a == b for a, b in zip(edges[::2], edges[1::2], strict=True))
    if not whole or any(part.start >= part.end for part in policy.dayparts):
        yield OUT_OF_RANGE, "$.policy.dayparts", "the parts do not divide the day"


def unknown_zones(problem: Problem) -> Faults:
    places = [(f"$.locations[{i}].zone", at.zone) for i, at in enumerate(problem.locations)]
    for path, zone in [("$.zone", problem.zone), *places]:
        try:
            ZoneInfo(zone or problem.zone)
        except (ValueError, OSError, KeyError):
            yield UNKNOWN_ID, path, f"{zone!r} is no time zone"


def unknown_ids(problem: Problem) -> Faults:
    services: Ids = {service.id for service in problem.services}
    locations: Ids = {None, *(location.id for location in problem.locations)}
    rooms: Ids = {None, *(room.id for room in problem.rooms)}
    clinicians: Ids = {None, *(clinician.id for clinician in problem.clinicians)}
    dayparts: Ids = {part.name for part in problem.policy.dayparts}

    def of_row(path: str, row: Busy | Outage) -> Iterator[tuple[Ids, str, Iterable[str | None]]]:
        yield clinicians, f"{path}.clinician", (row.clinician,)
        yield rooms, f"{path}.room", (row.room,)
        yield locations, f"{path}.location", (row.location,)

    def used() -> Iterator[tuple[Ids, str, Iterable[str | None]]]:
        for here, there in problem.travel:
            yield locations, f"$.travel.{here}.{there}", (here, there)
        for i, room in enumerate(problem.rooms):
            yield locations, f"$.rooms[{i}].location", (room.location,)
        for i, clinician in enumerate(problem.clinicians):
            yield services, f"$.clinicians[{i}].services", sorted(clinician.services)
            if not locations.issuperset(map(attrgetter("location"), clinician.blocks)):
                for j, block in enumerate(clinician.blocks):
                    yield locations, f"$.clinicians[{i}].blocks[{j}].location", (block.location,)
        busy = busy_columns(problem)
        if not (  # There are thousands of them.
            clinicians.issuperset(busy["clinician"])
            and rooms.issuperset(busy["room"])
            and locations.issuperset(busy["location"])
            and rooms.issuperset(chain.from_iterable(busy["other_rooms"]))
        ):
            for i, row in enumerate(problem.busy):
                yield rooms, f"$.busy[{i}].other_rooms", row.other_rooms
                yield from of_row(f"$.busy[{i}]", row)
        for i, outage in enumerate(problem.outages):
            yield from of_row(f"$.outages[{i}]", outage)
        for i, request in enumerate(problem.requests):
            at = f"$.requests[{i}]"
            yield services, f"{at}.service", (request.service,)
            yield clinicians, f"{at}.asked_clinician", (request.asked_clinician,)
            yield clinicians, f"{at}.allowed_clinicians", request.allowed_clinicians or ()
            yield locations, f"{at}.asked_location", (request.asked_location,)
            yield locations, f"{at}.allowed_locations", sorted(request.allowed_locations or ())
            yield rooms, f"{at}.asked_room", (request.asked_room,)
            yield dayparts, f"{at}.preferred_dayparts", sorted(request.preferred_dayparts)

    for known, path, ids in used():
        for id in ids:
            if id not in known:
                yield UNKNOWN_ID, path, f"nothing is called {id!r}"


def bad_durations(problem: Problem) -> Faults:
    for i, service in enumerate(problem.services):
        if not 0 < service.duration <= DAY:
            yield BAD_DURATION, f"$.services[{i}].duration", _no_length(service.duration, 1)
    buffered: tuple[tuple[str, tuple[Service | Busy, ...]], ...] = (
        ("services", problem.services),
        ("busy", problem.busy),
    )
    for name, rows in buffered:
        for i, row in enumerate(rows):
            if 0 <= row.buffer_before <= DAY and 0 <= row.buffer_after <= DAY:
                continue  # There are thousands of them.
            for side in ("buffer_before", "buffer_after"):
                if not 0 <= getattr(row, side) <= DAY:
                    yield BAD_DURATION, f"$.{name}[{i}].{side}", _no_length(getattr(row, side))
    for i, room in enumerate(problem.rooms):
        if not 0 <= room.turnover <= DAY:
            yield BAD_DURATION, f"$.rooms[{i}].turnover", _no_length(room.turnover)
    for (here, there), minutes in problem.travel.items():
        if not 0 <= minutes <= DAY or (here == there and minutes):
            yield BAD_DURATION, f"$.travel.{here}.{there}", _no_length(minutes)


def _no_length(minutes: int, least: int = 0) -> str:
    return f"{minutes} is not from {least} to {DAY} minutes"


def bad_windows(problem: Problem) -> Faults:
    # Of windows and rows there are thousands: those that are sound do not need their path.
    def suspects() -> Iterator[tuple[str, int, int]]:
        for i, room in enumerate(problem.rooms):
            for j, window in enumerate(room.windows):
                if not 0 <= window.start < window.end <= LAST_INSTANT:
                    yield f"$.rooms[{i}].windows[{j}]", window.start, window.end
        for i, clinician in enumerate(problem.clinicians):
            for j, block in enumerate(clinician.blocks):
                window = block.window
                if not 0 <= window.start < window.end <= LAST_INSTANT:
                    at = f"$.clinicians[{i}].blocks[{j}].window"
                    yield at, window.start, window.end
            for j, window in enumerate(clinician.absences):
                yield f"$.clinicians[{i}].absences[{j}]", window.start, window.end
        for i, busy in enumerate(problem.busy):
            if not 0 <= busy.start < busy.end <= LAST_INSTANT:
                yield f"$.busy[{i}]", busy.start, busy.end
        for i, outage in enumerate(problem.outages):
            yield f"$.outages[{i}].window", outage.window.start, outage.window.end
        for i, request in enumerate(problem.requests):
            first = 0 if request.earliest is None else request.earliest
            last = LAST_INSTANT if request.latest is None else request.latest
            yield f"$.requests[{i}].earliest", first, last
            for name in ("asked_start", "waiting_since"):
                instant = getattr(request, name)
                if instant is not None:
                    yield f"$.requests[{i}].{name}", instant, instant + 1
        yield "$.policy.now", problem.policy.now, problem.policy.now + 1

    for path, start, end in suspects():
        if not 0 <= start < end <= LAST_INSTANT:
            yield BAD_WINDOW, path, f"minute {start} to {end} is no stretch of 1970 to 2199"
    for i, request in enumerate(problem.requests):
        first, last = request.minutes_of_day or (0, DAY)
        if not 0 <= first < last <= DAY:
            yield (
                BAD_WINDOW,
                f"$.requests[{i}].minutes_of_day",
                f"{first} to {last} is no part of a day",
            )


def two_places_at_once(problem: Problem) -> Faults:
    for i, clinician in enumerate(problem.clinicians):
        blocks = sorted(
            (block.window.start, block.window.end, block.location or "", j)
            for j, block in enumerate(clinician.blocks)
        )
        # Blocks of one place may overlap, so look back as far as the one that lasts longest.
        reach, place = 0, ""
        for start, end, location, j in blocks:
            if start < reach and location != place:
                yield (
                    TWO_PLACES_AT_ONCE,
                    f"$.clinicians[{i}].blocks[{j}]",
                    f"is at {location or 'no place'} while another is at {place or 'no place'}",
                )
            if end > reach:
                reach, place = end, location


def rows_out_of_range(problem: Problem) -> Faults:
    for i, service in enumerate(problem.services):
        if not service.modalities:
            yield OUT_OF_RANGE, f"$.services[{i}].modalities", "is empty"
    for i, room in enumerate(problem.rooms):
        if room.seats < 0:
            yield OUT_OF_RANGE, f"$.rooms[{i}].seats", f"{room.seats} is below 0"
    for i, clinician in enumerate(problem.clinicians):
        at = f"$.clinicians[{i}]"
        most = clinician.max_sessions_day
        if most is not None and not 0 <= most <= DAY:
            yield OUT_OF_RANGE, f"{at}.max_sessions_day", f"{most} is not from 0 to {DAY}"
        if not 0 <= clinician.min_notice <= FARTHEST * DAY:
            yield (
                OUT_OF_RANGE,
                f"{at}.min_notice",
                f"{clinician.min_notice} is not from 0 to {FARTHEST * DAY}",
            )
        if not 0 <= clinician.horizon_days <= FARTHEST:
            yield (
                OUT_OF_RANGE,
                f"{at}.horizon_days",
                f"{clinician.horizon_days} is not from 0 to {FARTHEST}",
            )
    for i, request in enumerate(problem.requests):
        at = f"$.requests[{i}]"
        if not 1 <= len(request.clients) <= 2 or len(set(request.clients)) < len(request.clients):
            yield OUT_OF_RANGE, f"{at}.clients", "are not one client, nor two"
        if request.seats < 0:
            yield OUT_OF_RANGE, f"{at}.seats", f"{request.seats} is below 0"
        if not 1 <= request.weight <= HEAVIEST:
            yield OUT_OF_RANGE, f"{at}.weight", f"{request.weight} is not from 1 to {HEAVIEST}"
        if not request.preferred_weekdays <= set(range(7)):
            yield OUT_OF_RANGE, f"{at}.preferred_weekdays", "are not from 0 to 6"
        if not request.allowed_modalities:
            yield OUT_OF_RANGE, f"{at}.allowed_modalities", "is empty"


def no_room_could_hold(problem: Problem) -> Faults:
    """Worth saying before solving; where video would do too, it is no fault."""
    services = {service.id: service for service in problem.services}
    for i, request in enumerate(problem.requests):
        service = services[request.service]
        if service.modalities & request.allowed_modalities == {Modality.IN_PERSON} and not any(
            service.room_features <= room.features and request.seats <= room.seats
            for room in problem.rooms
        ):
            yield NO_SUCH_ROOM, f"$.requests[{i}].service", f"no room has what {service.id!r} needs"


def asked_in_the_past(problem: Problem) -> Faults:
    """Worth a warning only: a session may have been denied when its time was over."""
    for i, request in enumerate(problem.requests):
        if request.asked_start is not None and request.asked_start < problem.policy.now:
            yield ASKED_IN_THE_PAST, f"$.requests[{i}].asked_start", "is in the past"


CHECKS = (
    too_many,
    ids_twice,
    policy_out_of_range,
    unknown_zones,
    unknown_ids,
    bad_durations,
    bad_windows,
    rows_out_of_range,
    two_places_at_once,
    no_room_could_hold,
)


def closed_ways(given: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    """The shortest way between any two places, if need be by a third (Floyd and Warshall)."""
    places = sorted({place for pair in given for place in pair})
    far = 10**9
    minutes = {
        (a, b): 0 if a == b else given.get((a, b), given.get((b, a), far))
        for a, b in product(places, repeat=2)
    }
    for via, a, b in product(places, repeat=3):
        minutes[a, b] = min(minutes[a, b], minutes[a, via] + minutes[via, b])
    return {pair: time for pair, time in minutes.items() if time < far}
