"""The list of free times says the same as the judge of one time, and costs as many queries."""

import random
from collections.abc import Callable
from datetime import date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from booking import availability, free_times, practice_file
from booking.availability import Wish, instant, minutes, plan
from booking.free_times import count_free, free_days, free_starts
from booking.lifecycle import HOLDS_ITS_TIME, State
from booking.models import (
    Appointment,
    BlockedTime,
    Client,
    ClientKind,
    Clinician,
    Modality,
    OfferedSlot,
    OfferState,
    Room,
)
from solver import candidates
from solver.problem import Window
from tests.builders import NOW, at, own_client, wish
from tests.conftest import PRACTICE, make_account

# Two weeks in which the clocks change at Tijuana, but not in Mexico City; one is a holiday.
MONDAY, WEEKS = at(8, 0), timedelta(days=14)
CHANGES = (
    ('nombre = "Sala 1"', 'nombre = "Sala 1"\nminutos_entre_sesiones = 25'),
    ('nombre = "Sala 2"', 'nombre = "Sala 2"\nminutos_entre_sesiones = 20'),
    ("max_sesiones_dia = 6", "max_sesiones_dia = 3\nhorizonte_dias = 11"),
    (
        'nombre = "Sala Norte"',
        'nombre = "Sala Norte"\ncaracteristicas = ["sala_de_juegos"]\nminutos_entre_sesiones = 20',
    ),
)
NORTE = '[[ubicaciones]]\nclave = "norte"'
THIRD_ROOM = """
[[ubicaciones.salas]]
clave = "c3"
nombre = "Sala 3"

"""
NIGHTS = """
[[profesionales.horario]]
dias = ["sábado", "domingo"]
ubicacion = "centro"
abre = "20:00"
cierra = "26:00"
presencial = true
video = true

[[profesionales.horario]]
dias = ["lunes", "miércoles", "viernes"]
ubicacion = "centro"
abre = "13:00"
cierra = "18:00"
presencial = true
"""


def crowd(dice: random.Random) -> list[Client]:
    """Some who come alone, and two of them as a couple."""
    people = [own_client(make_account(f"P{n}", f"p{n}@example.com")) for n in range(4)]
    couple = Client.create(
        kind=ClientKind.COUPLE.value,
        name="P0 y P1",
        created_at=NOW,
        first_member=people[0],
        second_member=people[1],
    )
    return [*people, couple]


def practice(dice: random.Random) -> None:
    text = PRACTICE.read_text()
    for old, new in dice.sample(CHANGES, dice.randrange(1, 5)):
        assert old in text
        text = text.replace(old, new, 1)
    if dice.random() < 0.5:
        text = text.replace(NORTE, THIRD_ROOM + NORTE, 1)
    if dice.random() < 0.5:
        text = text.replace("\n[[feriados]]", NIGHTS + "\n[[feriados]]", 1)
    zone = dice.choice(("America/Mexico_City", "America/Tijuana"))
    grid = dice.choice((15, 20, 30))
    text = text.replace('"America/Mexico_City"', f'"{zone}"\ncuadricula_minutos = {grid}', 1)
    practice_file.load(text, now=NOW)


def full_book(dice: random.Random) -> None:
    """Anything in between, as it may stand after years of changed hours, rooms and services."""
    practice(dice)
    people, the = crowd(dice), plan()
    for n in range(dice.randrange(20, 110)):
        row = a_session(dice, people, chain=n // 2 if dice.random() < 0.2 else 1000 + n)
        if row.status is State.OFFERED:
            for rank in (1, 2):
                an_offer(dice, row, rank)
    for _ in range(dice.randrange(8)):
        start = a_time(dice)
        whose = dice.choice(
            (
                {"clinician": dice.choice([*the.clinicians])},
                {"room": dice.choice([*the.rooms])},
                {"location": dice.choice([*the.locations])},
            )
        )
        BlockedTime.create(
            **whose,
            starts_at=start,
            ends_at=start + timedelta(minutes=dice.randrange(5, 400)),
            created_at=NOW,
            removed_at=NOW if dice.random() < 0.2 else None,
        )


def crowded_morning(dice: random.Random) -> datetime:
    """One after the other in every room, some of them on the way already; how late it is then."""
    text = PRACTICE.read_text().replace(NORTE, THIRD_ROOM + NORTE, 1)
    text = text.replace("palabra_profesional", "anticipacion_horas = 0\npalabra_profesional", 1)
    practice_file.load(text, now=NOW)
    people, (ines, oscar) = crowd(dice), Clinician.select().order_by(Clinician.position)
    now, chain = at(dice.randrange(8, 13), 8), 0
    for room in Room.select().order_by(Room.id):
        start = now + timedelta(minutes=dice.randrange(0, 60, 5))
        while start < now + timedelta(hours=6):
            length = timedelta(minutes=dice.choice((25, 45, 50, 80)))
            place = {
                "clinician": dice.choice((ines, oscar, oscar, oscar, oscar, oscar)),
                "location": room.location_id,
                "clinician_location": room.location_id,
                "room": room,
                "modality": Modality.IN_PERSON.value,
                "starts_at": start,
                "ends_at": start + length,
            }
            a_session(dice, people, chain=1000 + chain, place=place)
            start += length + timedelta(minutes=dice.choice((0, 10, 25, 60)))
            chain += 1
    return now


def a_time(dice: random.Random) -> datetime:
    day = MONDAY + timedelta(days=dice.randrange(-2, 15))
    return day + timedelta(hours=dice.randrange(8, 15), minutes=dice.choice((0, 0, 5, 15, 30, 45)))


def a_place(dice: random.Random) -> dict[str, object]:
    room = dice.choice([*Room.select().order_by(Room.id)])
    video = dice.random() < 0.2
    at_home = video and dice.random() < 0.5
    start = a_time(dice)
    return {
        "clinician": dice.choice([*Clinician.select().order_by(Clinician.id)]),
        "location": None if video else room.location_id,
        "clinician_location": None if at_home else room.location_id,
        "room": None if video else room,
        "modality": (Modality.VIDEO if video else Modality.IN_PERSON).value,
        "starts_at": start,
        "ends_at": start + timedelta(minutes=dice.choice((25, 45, 50, 50, 80))),
    }


def a_session(
    dice: random.Random,
    people: list[Client],
    *,
    chain: int,
    place: dict[str, object] | None = None,
) -> Appointment:
    services = [s.id for s in plan().services.values() if s.in_person]
    place = place or a_place(dice)
    return Appointment.create(
        **place,
        chain=chain,
        client=dice.choice(people),
        service=dice.choice(services),
        room_pinned=dice.random() < 0.15,
        asked_starts_at=place["starts_at"],
        buffer_before=dice.choice((0, 5)),
        buffer_after=dice.choice((0, 10)),
        state=dice.choice([*State, *[State.CONFIRMED] * 12, *[State.REQUESTED] * 4]).value,
        asked_at=NOW,
    )


def an_offer(dice: random.Random, row: Appointment, rank: int) -> None:
    OfferedSlot.create(
        **a_place(dice),
        appointment=row,
        rank=rank,
        held_until=NOW + timedelta(days=2),
        state=dice.choice((OfferState.HELD, OfferState.HELD, OfferState.FREED)).value,
    )


def a_now(dice: random.Random) -> datetime:
    """Before the two weeks or in them, as often as not at a round time."""
    minutes = dice.choice((0, 0, 30, dice.randrange(60)))
    return NOW + timedelta(days=dice.randrange(12), hours=dice.randrange(9), minutes=minutes)


def wishes(dice: random.Random) -> list[Wish]:
    """Some that continue a session as it is, and some about anything."""
    the, people = plan(), [*Client.select().order_by(Client.id)]
    held = Appointment.state.in_(list(HOLDS_ITS_TIME))
    rows = dice.sample([*Appointment.select().where(held).order_by(Appointment.id)], 3)
    same = [availability.wish_of(row) for row in rows]
    return [wish(service=dice.choice(("individual", "infantil"))), *same] + [
        Wish(
            service_id=dice.choice([*the.services]),
            modality=dice.choice((Modality.IN_PERSON, Modality.IN_PERSON, Modality.VIDEO)),
            location_id=dice.choice((None, *the.locations, *the.locations)),
            clinician_ids=tuple(dice.sample([*the.clinicians], dice.randrange(1, 3))),
            person_ids=dice.choice(((), dice.choice(people).person_ids)),
            chain=dice.choice((None, dice.randrange(20), 1000 + dice.randrange(40))),
        )
        for _ in range(3)
    ]


def everybodys_wishes() -> list[Wish]:
    """That of somebody new, and of each who has a session that of another time for it."""
    held = Appointment.state.in_(list(HOLDS_ITS_TIME))
    return [wish(), *map(availability.wish_of, Appointment.select().where(held))]


def judged_free(wish: Wish, since: datetime, until: datetime, now: datetime) -> list[datetime]:
    """Every time of a stretch, one after the other, before the judge who sees a booking."""
    the = plan()
    problem = availability.facts(the, since=since, until=until, now=now)
    request = availability.request_for(the, wish, problem)
    return [
        instant(start)
        for start in range(minutes(since), minutes(until), 5)
        if availability.judge(problem, request, start)[0]
    ]


SEEDS = [*range(3), *(pytest.param(n, marks=pytest.mark.long) for n in range(3, 40))]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_list_and_the_judge_agree_on_every_time(db, seed):
    dice = random.Random(seed)
    full_book(dice)
    now = NOW + timedelta(
        days=dice.randrange(8), minutes=dice.randrange(700), seconds=dice.randrange(60)
    )
    for search in wishes(dice):
        since = MONDAY + timedelta(days=dice.randrange(12))
        until = since + timedelta(days=2)
        assert free_starts(search, since=since, until=until, now=now) == judged_free(
            search, since, until, now
        )


def by_the_rules(search: Wish, now: datetime) -> list[datetime]:
    """Every time of two weeks that the solver's rules leave."""
    the, until = plan(), MONDAY + WEEKS
    problem = availability.facts(the, since=MONDAY, until=until, now=now)
    request = availability.request_for(the, search, problem)
    span = Window(minutes(MONDAY), minutes(until))
    return sorted(
        {
            instant(start)
            for place in candidates.places(problem, request)
            for start in candidates.free_starts(problem, request, place, span)
        }
    )


@pytest.mark.parametrize("seed", [*range(100, 108), *SEEDS[3:]])
def test_the_list_and_the_rules_agree_on_two_weeks(db, seed):
    """The rules' own arithmetic is held to the judge's by the solver's tests."""
    dice = random.Random(seed)
    full_book(dice)
    now, listed = a_now(dice), 0
    for search in wishes(dice):
        found = free_starts(search, since=MONDAY, until=MONDAY + WEEKS, now=now)
        assert found == by_the_rules(search, now)
        listed += len(found)
    assert listed


@pytest.mark.parametrize("seed", [18, 47, *SEEDS[3:]])
def test_the_list_and_the_rules_agree_on_a_crowded_morning(db, seed):
    now = crowded_morning(random.Random(seed))
    for search in everybodys_wishes():
        found = free_starts(search, since=MONDAY, until=MONDAY + WEEKS, now=now)
        assert found == by_the_rules(search, now)


@pytest.mark.parametrize("seed", [*range(200, 203), *SEEDS[3:]])
def test_the_days_of_all_pages_are_the_list(db, seed):
    dice = random.Random(seed)
    full_book(dice)
    now, zone = a_now(dice), ZoneInfo(dice.choice(("America/Tijuana", "Europe/Madrid")))
    today = now.astimezone(zone).date()
    for search in wishes(dice):
        pages, since = [], today
        while since is not None:
            days, since = free_days(search, since=since, zone=zone, now=now, most_days=3)
            assert len(days) == 3 or since is None
            pages += days
        start = availability.wall(today, 0, zone)
        listed = free_starts(search, since=start, until=now + 12 * WEEKS, now=now)
        assert pages == [
            (day, list(times))
            for day, times in groupby(listed, lambda time: time.astimezone(zone).date())
        ]


# The comparison is worth something: each of these mistakes is seen in one of its books.
MISTAKES = [
    (108, "sessions >= clinician.max_sessions_day", "sessions > clinician.max_sessions_day"),
    (103, "            if crowded:\n", "            if False:\n"),
    (100, 'f"{sessions} UNION ALL {offers}"', "sessions"),
]
MORE_MISTAKES = [
    (108, "[clinician.id] if row[7] != wish.chain]", "[clinician.id]]"),
    (104, "far = hop * (MOST_SWAPS + 1)", "far = 0"),
    (100, "place is None or pinned or start", "place is None or start"),
    (101, "f\"'{OfferState.HELD}'\"", "f\"'{OfferState.FREED}'\""),
    (104, "row[1] < end + rooms[row[6]]", "row[1] < end"),
    (105, "start < row[2] + rooms[row[6]]", "start < row[2]"),
    (118, "                    and row[7] != own\n", ""),
    (102, "first - self._longest)", "first)"),
    (106, "length - 1 + the.way(place, there)", "length - 1"),
    (107, "service.buffer_before + the.way(there, place)", "service.buffer_before"),
    (111, "self._now + the.notice(clinician)", "self._now + the.notice(clinician) + 1"),
    (111, "the.horizon(clinician) + 1)", "the.horizon(clinician))"),
    (102, "len(taken) < len(rooms)", "len(taken) <= len(rooms)"),
]
# Those about who can leave a room, and for whom, on a morning when that is what counts.
CROWDED_MISTAKES = [
    (47, " or start <= self._soon", ""),
    (47, "frozenset(_ref(row) for row in near if row[7] == wish.chain)", "frozenset()"),
]


def spoil(right: str, wrong: str) -> Callable[..., list[datetime]]:
    """`free_starts` of a module with a mistake in it."""
    source = Path(free_times.__file__).read_text()
    assert source.count(right) == 1
    spoilt: dict[str, Any] = {"__name__": "spoilt"}
    exec(source.replace(right, wrong), spoilt)
    found: Callable[..., list[datetime]] = spoilt["free_starts"]
    return found


@pytest.mark.parametrize(
    ("seed", "right", "wrong"),
    [*MISTAKES, *(pytest.param(*each, marks=pytest.mark.long) for each in MORE_MISTAKES)],
)
def test_a_mistake_in_the_list_is_seen(db, seed, right, wrong):
    spoilt_starts = spoil(right, wrong)
    dice = random.Random(seed)
    full_book(dice)
    stretch = {"since": MONDAY, "until": MONDAY + WEEKS, "now": a_now(dice)}
    assert any(
        spoilt_starts(search, **stretch) != by_the_rules(search, stretch["now"])
        for search in wishes(dice)
    )


@pytest.mark.parametrize(("seed", "right", "wrong"), CROWDED_MISTAKES)
def test_a_mistake_about_who_can_leave_is_seen(db, seed, right, wrong):
    spoilt_starts = spoil(right, wrong)
    now = crowded_morning(random.Random(seed))
    stretch = {"since": MONDAY, "until": MONDAY + WEEKS, "now": now}
    assert any(
        spoilt_starts(search, **stretch) != by_the_rules(search, now)
        for search in everybodys_wishes()
    )


def test_random_books_have_times_that_only_a_swap_opens(db):
    """A comparison in which no room is ever made free would prove little."""
    full_book(random.Random(105))
    searches = [wish(), wish(location=None), wish(service="infantil")]
    stretch = {"since": MONDAY, "until": MONDAY + WEEKS, "now": NOW}
    before = [len(free_starts(search, **stretch)) for search in searches]
    Appointment.update(room_pinned=True).execute()
    after = [len(free_starts(search, **stretch)) for search in searches]
    assert sum(before) > sum(after)


def test_searches_of_one_client_are_counted_as_they_are_listed(db):
    dice = random.Random(11)
    full_book(dice)
    client = own_client(make_account("Ana", "ana@example.com"))
    zone = ZoneInfo("America/Mexico_City")
    searches = [
        (wish(client=client, location=place, clinician=who), date(2027, 3, day))
        for place, who, day in (("centro", "ines", 1), (None, "ines", 9), ("centro", "oscar", 3))
    ]
    far = NOW + timedelta(days=70)
    listed = [
        len(
            free_starts(
                search,
                since=max(NOW, availability.wall(day, 0, zone)),
                until=far,
                now=NOW,
            )
        )
        for search, day in searches
    ]
    assert count_free(searches, zone=zone, now=NOW) == listed
    assert all(listed)
