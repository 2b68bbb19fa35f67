"""Seeded practices of every size, and what goes wrong in them, as problems for the solver."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from random import Random
from zoneinfo import ZoneInfo

from solver.problem import (
    BOTH,
    DAY,
    Block,
    Busy,
    BusyKind,
    Clinician,
    Location,
    Modality,
    Outage,
    Policy,
    Problem,
    Request,
    Room,
    Service,
    Window,
)

ZONE = "America/Mexico_City"
MONDAY = datetime(2027, 3, 1, tzinfo=ZoneInfo(ZONE))
NEAR_DAYS = 14
FULL_NEAR, FULL_FAR = 0.9, 0.5
ALLOWED = 4
"""Clinicians whom a client would accept, the asked one among them."""

SERVICES = (
    Service(id="individual", duration=50, buffer_before=5, buffer_after=5),
    Service(id="couple", duration=80, buffer_after=10),
    Service(id="child", duration=45, buffer_after=10, room_features=frozenset({"toys"})),
)
SEATS = {"individual": 2, "couple": 3, "child": 2}


@dataclass(frozen=True, slots=True)
class Size:
    clinicians: int
    offices: int
    rooms: int
    weeks: int


SIZES = {
    "S": Size(clinicians=1, offices=1, rooms=2, weeks=8),
    "M": Size(clinicians=10, offices=3, rooms=8, weeks=8),
    "L": Size(clinicians=50, offices=5, rooms=40, weeks=8),
    "XL": Size(clinicians=500, offices=20, rooms=300, weeks=4),
}


def practice(size: Size, seed: int) -> Problem:
    """A practice with its calendar: 90 % full tomorrow, ever emptier, 50 % on the last day."""
    chance = Random(seed)
    locations = tuple(Location(f"office{n:02}") for n in range(size.offices))
    travel = {
        (here.id, there.id): chance.randrange(15, 50, 5)
        for here in locations
        for there in locations
        if here.id < there.id
    }
    problem = Problem(
        zone=ZONE,
        policy=Policy(now=_minute(MONDAY) + 7 * 60),
        services=SERVICES,
        locations=locations,
        travel=travel,
        rooms=tuple(_room(n, size, chance) for n in range(size.rooms)),
        clinicians=tuple(_clinician(n, size, chance) for n in range(size.clinicians)),
    )
    return replace(problem, busy=tuple(_calendar(problem, chance)))


def single(problem: Problem, seed: int) -> Problem:
    """One client's session that cannot be: what the clinician denies."""
    return replace(problem, requests=tuple(_burst(problem, 1, Random(seed))))


def sick_day(problem: Problem, requests: int, seed: int) -> Problem:
    """Clinicians fall ill, day after day, until so many sessions have to move."""
    chance = Random(seed)
    first = _minute(MONDAY) + DAY
    ill = list(problem.clinicians)
    chance.shuffle(ill)
    outages: list[Outage] = []
    hit: list[Busy] = []
    for clinician in ill:
        for day in range(3):
            gone = Window(first + day * DAY, first + (day + 1) * DAY)
            outages.append(Outage(window=gone, clinician=clinician.id))
            hit += (
                busy
                for busy in problem.busy
                if busy.clinician == clinician.id and gone.start <= busy.start < gone.end
            )
            if len(hit) >= requests:
                return _displaced(problem, hit[:requests], outages, chance)
    return _displaced(problem, hit, outages, chance)


def closed_room(problem: Problem, requests: int, seed: int) -> Problem:
    """Rooms cannot be used from tomorrow on, until so many sessions have to move."""
    chance = Random(seed)
    first = _minute(MONDAY) + DAY
    closed = list(problem.rooms)
    chance.shuffle(closed)
    outages: list[Outage] = []
    hit: list[Busy] = []
    for room in closed:
        rows = [busy for busy in problem.busy if busy.room == room.id and busy.start >= first]
        rows = rows[: min(30, requests - len(hit))]
        if rows:
            hit += rows
            gone = Window(first, rows[-1].end)
            outages.append(Outage(window=gone, room=room.id))
        if len(hit) >= requests:
            break
    return _displaced(problem, hit, outages, chance)


def denials(problem: Problem, requests: int, seed: int) -> Problem:
    """Many clients ask at once for times that are taken."""
    return replace(problem, requests=tuple(_burst(problem, requests, Random(seed))))


BATCHES = {"sick_day": sick_day, "closed_room": closed_room, "denials": denials}


def _room(n: int, size: Size, chance: Random) -> Room:
    days = [MONDAY + timedelta(days=day) for day in range(7 * size.weeks)]
    return Room(
        id=f"room{n:03}",
        location=f"office{n % size.offices:02}",
        features=frozenset({"toys"} if n % 3 == 0 else ())
        | frozenset({"lift"} if chance.random() < 0.5 else ()),
        seats=2 + n % 2 + (n % size.offices == n),
        turnover=5,
        windows=tuple(_window(day, 8, 20) for day in days if day.weekday() < 5),
    )


def _clinician(n: int, size: Size, chance: Random) -> Clinician:
    home = f"office{n % size.offices:02}"
    other = f"office{(n + 1) % size.offices:02}"
    elsewhere = chance.sample(range(5), 2) if size.offices > 1 and n % 3 == 1 else []
    remote = {4} if n % 4 == 2 else set()
    blocks = []
    for day in (MONDAY + timedelta(days=day) for day in range(7 * size.weeks)):
        weekday = day.weekday()
        if weekday > 4:
            continue
        late = other if weekday in elsewhere else home
        if weekday in remote:
            video = frozenset({Modality.TELEHEALTH})
            blocks.append(Block(_window(day, 9, 17), None, video))
        else:
            blocks.append(Block(_window(day, 9, 13), home))
            blocks.append(Block(_window(day, 14, 18), late))
    return Clinician(
        id=f"clinician{n:03}",
        services=frozenset({"individual", ("couple", "child")[n % 2]}),
        blocks=tuple(blocks),
        max_sessions_day=8,
        min_notice=2 * 60,
        horizon_days=7 * size.weeks,
    )


def _calendar(problem: Problem, chance: Random) -> Iterator[Busy]:
    """Sessions as they have been booked: valid together, and as full as the practice is."""
    taken: dict[str, list[Busy]] = defaultdict(list)
    travel = dict(problem.travel) | {(b, a): time for (a, b), time in problem.travel.items()}
    first = _minute(MONDAY)
    days = max(clinician.horizon_days for clinician in problem.clinicians)
    ref = 0
    for clinician in problem.clinicians:
        sessions: dict[int, int] = defaultdict(int)
        before: Busy | None = None
        for block in clinician.blocks:
            day = (block.window.start - first) // DAY
            full = FULL_NEAR - (FULL_NEAR - FULL_FAR) * day / days
            start = block.window.start
            while True:
                service = _service(problem, clinician, chance)
                start = max(start, _ready(before, block, service, travel))
                start += -(start - first) % 15
                if start + service.duration > block.window.end or sessions[day] >= 8:
                    break
                if chance.random() < full:
                    ref += 1
                    before = _session(problem, clinician, block, service, start, ref, taken, chance)
                    sessions[day] += 1
                    yield before
                start += service.duration + service.buffer_before + service.buffer_after


def _service(problem: Problem, clinician: Clinician, chance: Random) -> Service:
    offered = [service for service in problem.services if service.id in clinician.services]
    return chance.choices(offered, weights=[3, 1])[0]


def _ready(
    before: Busy | None, block: Block, service: Service, travel: dict[tuple[str, str], int]
) -> int:
    if before is None:
        return block.window.start
    way = travel.get((before.location or "", block.location or ""), 0)
    return before.end + before.buffer_after + way + service.buffer_before


def _session(
    problem: Problem,
    clinician: Clinician,
    block: Block,
    service: Service,
    start: int,
    ref: int,
    taken: dict[str, list[Busy]],
    chance: Random,
) -> Busy:
    """In person, mostly, if a room is free."""
    end = start + service.duration
    free = (
        room
        for room in problem.rooms
        if room.location == block.location
        and service.room_features <= room.features
        and SEATS[service.id] <= room.seats
        and all(
            start - busy.end >= room.turnover or busy.start - end >= room.turnover
            for busy in taken[room.id]
        )
    )
    in_person = Modality.IN_PERSON in block.modalities and chance.random() < 0.75
    room = next(free, None) if in_person else None
    busy = Busy(
        ref=f"a{ref}",
        kind=BusyKind.CONFIRMED,
        start=start,
        end=end,
        clinician=clinician.id,
        clients=(f"{clinician.id} client{ref % 40}",),
        room=room.id if room else None,
        location=block.location,
        buffer_before=service.buffer_before,
        buffer_after=service.buffer_after,
    )
    if room:
        taken[room.id].append(busy)
    return busy


def _displaced(
    problem: Problem, hit: Sequence[Busy], outages: Iterable[Outage], chance: Random
) -> Problem:
    gone = {busy.ref for busy in hit}
    return replace(
        problem,
        busy=tuple(busy for busy in problem.busy if busy.ref not in gone),
        outages=tuple(outages),
        requests=tuple(_request(problem, busy, f"r{n}", chance) for n, busy in enumerate(hit)),
    )


def _burst(problem: Problem, requests: int, chance: Random) -> Iterator[Request]:
    """What they ask for is what somebody else has, within two weeks."""
    soon = [busy for busy in problem.busy if busy.start < problem.policy.now + NEAR_DAYS * DAY]
    many = (chance.choice(soon) for _ in iter(int, 1))
    for n, busy in enumerate(islice(many, requests)):
        yield replace(_request(problem, busy, f"r{n}", chance), clients=(f"new client{n}",))


def _request(problem: Problem, busy: Busy, id: str, chance: Random) -> Request:
    """Who had this session would take another, within reason."""
    duration = busy.end - busy.start
    service = next(each for each in problem.services if each.duration == duration)
    others = [
        clinician.id
        for clinician in problem.clinicians
        if service.id in clinician.services and clinician.id != busy.clinician
    ]
    assert busy.clinician is not None
    substitutes = chance.sample(others, min(ALLOWED - 1, len(others)))
    asked = Modality.IN_PERSON if busy.room else Modality.TELEHEALTH
    picky = chance.random() < 0.4
    return Request(
        id=id,
        service=service.id,
        clients=busy.clients,
        seats=SEATS[service.id],
        asked_start=busy.start,
        asked_clinician=busy.clinician,
        asked_location=busy.location,
        asked_room=busy.room,
        asked_modality=asked,
        allowed_modalities=frozenset({asked}) if picky else BOTH,
        allowed_clinicians=(busy.clinician, *substitutes),
        preferred_weekdays=frozenset(chance.sample(range(5), 2) if chance.random() < 0.3 else ()),
        preferred_dayparts=frozenset(
            {chance.choice(("morning", "evening"))} if chance.random() < 0.6 else ()
        ),
        weight=chance.choice((1, 1, 1, 2)),
    )


def _window(day: datetime, start: int, end: int) -> Window:
    return Window(_minute(day) + start * 60, _minute(day) + end * 60)


def _minute(moment: datetime) -> int:
    return int(moment.timestamp()) // 60
