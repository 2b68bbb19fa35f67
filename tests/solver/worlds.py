"""Small worlds for the solver's tests, and random ones."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from solver.candidates import Place
from solver.problem import (
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

MADRID = "Europe/Madrid"
CENTRO, NORTE = "centro", "norte"
HERE = Place("ana", CENTRO, Modality.IN_PERSON)
VIDEO = Place("ana", None, Modality.TELEHEALTH)


def at(text: str, zone: str = MADRID, fold: int = 0) -> int:
    """«2027-03-02 10:00» on the wall there, as a UTC minute."""
    there = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int(there.timestamp()) // 60


def wall(instants, zone: str = MADRID) -> list[str]:
    """The other way round, without the date."""
    return [f"{datetime.fromtimestamp(each * 60, ZoneInfo(zone)):%H:%M}" for each in instants]


def window(start: str, end: str, zone: str = MADRID) -> Window:
    return Window(at(start, zone), at(end, zone))


TUESDAY = window("2027-03-02 00:00", "2027-03-03 00:00")
MORNING = window("2027-03-02 09:00", "2027-03-02 12:00")


def busy(start: str, end: str, kind: BusyKind = BusyKind.CONFIRMED, **changes) -> Busy:
    facts = {"ref": "b1", "clinician": "ana", "location": CENTRO} | changes
    return Busy(start=at(start), end=at(end), kind=kind, **facts)


def session(**changes) -> Service:
    return Service(id="individual", **{"duration": 60} | changes)


def ana(*windows: Window, **changes) -> Clinician:
    facts = {
        "id": "ana",
        "services": frozenset({"individual"}),
        "blocks": tuple(Block(each, CENTRO) for each in windows or (MORNING,)),
    }
    return Clinician(**facts | changes)


def room(*windows: Window, **changes) -> Room:
    facts = {"id": "c1", "location": CENTRO, "windows": windows or (TUESDAY,)}
    return Room(**facts | changes)


def request(**changes) -> Request:
    return Request(**{"id": "r1", "service": "individual", "clients": ("p1",)} | changes)


def world(**changes) -> Problem:
    """Ana works at Centro on Tuesday morning, in a room of her own; «now» is Monday."""
    facts: dict[str, Any] = {
        "zone": MADRID,
        "policy": Policy(now=at("2027-03-01 08:00"), grid_minutes=60),
        "services": (session(),),
        "locations": (Location(CENTRO), Location(NORTE)),
        "rooms": (room(),),
        "clinicians": (ana(),),
        "requests": (request(),),
    }
    return Problem(**facts | changes)


def with_policy(problem: Problem, **changes) -> Problem:
    return replace(problem, policy=replace(problem.policy, **changes))


def video_world(*windows: Window, zone: str = MADRID, now: int = 0, **policy) -> Problem:
    """Nobody goes anywhere: only the clock matters."""
    blocks = tuple(Block(each) for each in windows)
    return world(
        zone=zone,
        policy=Policy(**{"now": now or windows[0].start - 24 * 60} | policy),
        rooms=(),
        clinicians=(ana(blocks=blocks),),
    )


def pinned(problem: Problem) -> Problem:
    """The same world in which nobody changes rooms, for oracles that do not think of it."""
    return replace(problem, busy=tuple(replace(row, other_rooms=()) for row in problem.busy))


ZONES = ("Europe/Madrid", "America/Santiago", "America/Tijuana", "America/Mexico_City")
DAYS = ("2027-03-27", "2027-10-30", "2027-04-03", "2027-09-04", "2028-02-28", "2027-06-01")


@st.composite
def random_worlds(draw, requests: int = 1):
    """Two clinicians, two places, three rooms and three days, with anything in between."""
    zone = draw(st.sampled_from(ZONES))
    base = at(f"{draw(st.sampled_from(DAYS))} 00:00", zone)
    number = lambda low, high: draw(st.integers(low, high))  # noqa: E731

    def some(values):
        return frozenset(draw(st.sets(st.sampled_from(values), max_size=len(values))))

    def stretch(longest):
        start = base + number(0, 280) * 15 + draw(st.sampled_from((0, 0, 0, 7)))
        return Window(start, start + number(1, longest) * 5)

    locations = (Location(CENTRO), Location(NORTE, draw(st.sampled_from((None, "UTC")))))
    places = (CENTRO, NORTE, None)
    services = (
        Service(
            id="individual",
            duration=draw(st.sampled_from((30, 45, 50, 90))),
            buffer_before=number(0, 2) * 5,
            buffer_after=number(0, 2) * 5,
            room_features=frozenset(draw(st.sets(st.just("couch"), max_size=1))),
        ),
        Service(id="short", duration=draw(st.sampled_from((20, 40)))),
    )
    rooms = tuple(
        Room(
            id=f"c{n}",
            location=(CENTRO, CENTRO, NORTE)[n],
            features=some(("couch", "toys")),
            seats=number(1, 3),
            turnover=number(0, 2) * 5,
            windows=tuple(stretch(300) for _ in range(number(1, 3))),
        )
        for n in range(3)
    )
    clinicians = []
    for name in ("ana", "luis"):
        blocks: list[Block] = []
        for _ in range(number(1, 4)):
            block = Block(
                stretch(150),
                draw(st.sampled_from(places)),
                frozenset(draw(st.sets(st.sampled_from(Modality), min_size=1))),
            )
            if all(
                block.location == other.location
                or block.window.end <= other.window.start
                or other.window.end <= block.window.start
                for other in blocks
            ):
                blocks.append(block)
        clinicians.append(
            Clinician(
                id=name,
                services=frozenset({"individual"}),
                blocks=tuple(blocks),
                absences=tuple(stretch(20) for _ in range(number(0, 1))),
                max_sessions_day=draw(st.sampled_from((None, None, 1, 2, 4))),
                min_notice=draw(st.sampled_from((0, 600))),
                horizon_days=draw(st.sampled_from((2, 3, 60))),
            )
        )
    taken = []
    for n in range(number(0, 6)):
        span = stretch(16)
        taken.append(
            Busy(
                ref=f"b{n}",
                kind=draw(st.sampled_from(BusyKind)),
                start=span.start,
                end=span.end,
                clinician=draw(st.sampled_from(("ana", "luis", None))),
                clients=tuple(sorted(some(("p1", "p2")))),
                room=draw(st.sampled_from(("c0", "c1", None))),
                location=draw(st.sampled_from(places)),
                buffer_before=number(0, 2) * 5,
                buffer_after=number(0, 2) * 5,
                other_rooms=draw(st.sampled_from(((), ("c0",), ("c1",), ("c1", "c0")))),
            )
        )
    gone = (("clinician", "ana"), ("room", "c0"), ("location", CENTRO))
    outages = tuple(
        Outage(window=stretch(60), **dict([draw(st.sampled_from(gone))]))
        for _ in range(number(0, 1))
    )
    asked = tuple(
        Request(
            id=f"r{n}",
            service="individual",
            clients=draw(st.sampled_from((("p1",), ("p1", "p2"), ("p3",)))),
            seats=number(1, 2),
            asked_start=draw(st.sampled_from((None, base + 600, base + 1845))),
            asked_clinician=draw(st.sampled_from((None, "ana"))),
            asked_location=draw(st.sampled_from(places)),
            asked_room=draw(st.sampled_from((None, "c0"))),
            asked_modality=draw(st.sampled_from((None, *Modality))),
            allowed_clinicians=draw(st.sampled_from((None, ("luis", "ana"), ("ana",)))),
            allowed_locations=draw(st.sampled_from((None, None, frozenset({NORTE})))),
            preferred_weekdays=some((0, 1, 6)),
            preferred_dayparts=some(("morning", "evening")),
            refused_starts=frozenset({base + 660}),
            earliest=draw(st.sampled_from((None, base + 500))),
            latest=draw(st.sampled_from((None, base + 3000))),
            minutes_of_day=draw(st.sampled_from((None, (0, 840), (555, 1440)))),
            ignore_refs=frozenset(draw(st.sets(st.just("b0")))),
            may_repeat_asked=draw(st.booleans()),
        )
        for n in range(requests)
    )
    return Problem(
        zone=zone,
        policy=Policy(
            now=base - number(0, 10) * 60 + 3,
            k=number(1, 5),
            grid_minutes=draw(st.sampled_from((15, 30, 60))),
        ),
        services=services,
        locations=locations,
        travel=draw(st.sampled_from(({}, {(CENTRO, NORTE): 25, (NORTE, CENTRO): 40}))),
        rooms=rooms,
        clinicians=tuple(clinicians),
        busy=tuple(taken),
        requests=asked,
        outages=outages,
    )
