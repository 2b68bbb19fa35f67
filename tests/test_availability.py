"""The list of free times: what is in it, in what order, at what cost; that it keeps its word."""

import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from peewee import fn

from booking import availability, gateway, practice_file
from booking.availability import NotFree, Rule, Wish, instant, minutes, plan, remembered, slot
from booking.db import database, transaction
from booking.free_times import free_days, free_starts
from booking.gateway import Actor
from booking.lifecycle import State
from booking.models import (
    Account,
    Appointment,
    BlockedTime,
    Modality,
    OfferedSlot,
    OfferState,
    Practice,
    Room,
)
from booking.operations import accept, block_time
from booking.queries import portal, staff
from tests.builders import NOW, at, own_client, request, wish
from tests.conftest import PRACTICE, make_account

MEXICO = ZoneInfo("America/Mexico_City")
TODAY = date(2027, 3, 1)
Days = list[tuple[date, list[datetime]]]


@pytest.fixture
def ines(db) -> Actor:
    return gateway.staff(Account.get(Account.email == "ines@alameda.example"))


def free(search: Wish | None = None, *, since: date = TODAY, most: int = 10) -> Days:
    days, _ = free_days(search or wish(), since=since, zone=MEXICO, now=NOW, most_days=most)
    return days


def times(day: int, search: Wish | None = None) -> list[str]:
    """The free times of a day of March, by the office's clock."""
    found = dict(free(search, since=date(2027, 3, day), most=1))
    return [f"{t.astimezone(MEXICO):%H:%M}" for t in found.get(date(2027, 3, day), [])]


def everywhere(*clinicians: str, service: str = "individual") -> Wish:
    """A wish for anybody of several."""
    one = wish(service=service, clinician=clinicians[0])
    ids = [found.id for key in clinicians if (found := plan().clinician_by_key(key))]
    return Wish(
        service_id=one.service_id,
        modality=one.modality,
        location_id=one.location_id,
        clinician_ids=tuple(ids),
    )


def reload(*changes: tuple[str, str], more: str = "") -> None:
    text = PRACTICE.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    practice_file.load(text + more, now=NOW)


# Which days.


def test_ten_days_are_listed_and_then_where_to_go_on(db):
    days, later = free_days(wish(), since=TODAY, zone=MEXICO, now=NOW)
    assert len(days) == 10
    assert days[0][0] == date(2027, 3, 2)  # Notice ends on Tuesday at nine.
    assert later == date(2027, 3, 17)  # Monday the fifteenth is a holiday.
    assert date(2027, 3, 15) not in dict(days)
    following, _ = free_days(wish(), since=later, zone=MEXICO, now=NOW)
    assert following[0][0] == later


def test_page_by_page_every_free_day_is_listed_once(db):
    pages: list[date] = []
    later: date | None = TODAY
    while later is not None:
        days, later = free_days(wish(), since=later, zone=MEXICO, now=NOW)
        pages += [day for day, _ in days]
    assert pages == sorted(set(pages))
    assert pages == [day for day, _ in free(most=400)]


def test_the_list_ends_at_the_horizon(db):
    last = free(most=400)[-1][0]
    assert last == TODAY + timedelta(days=60)
    days, later = free_days(wish(), since=last, zone=MEXICO, now=NOW)
    assert ([day for day, _ in days], later) == ([last], None)
    assert free_days(wish(), since=last + timedelta(days=1), zone=MEXICO, now=NOW) == ([], None)


@pytest.mark.parametrize("hour", [0, 8, 16, 23])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_the_horizon_is_the_offices_wherever_the_reader_is(db, zone, hour):
    now = at(1, 0) + timedelta(hours=hour)

    def listed(zone: ZoneInfo) -> list[datetime]:
        days, _ = free_days(wish(), since=TODAY, zone=zone, now=now, most_days=400)
        return [start for _, starts in days for start in starts]

    assert listed(ZoneInfo(zone)) == listed(MEXICO)


def test_a_clinicians_own_horizon_and_notice_count(db):
    reload(("max_sesiones_dia = 6", "horizonte_dias = 3\nanticipacion_horas = 49"))
    assert [day for day, _ in free()] == [date(2027, 3, 3), date(2027, 3, 4)]
    assert times(3)[0] == "10:00"


def test_a_horizon_of_no_days_is_today(db):
    reload(("max_sesiones_dia = 6", "horizonte_dias = 0\nanticipacion_horas = 0"))
    assert [day for day, _ in free()] == [TODAY]


def test_a_past_day_begins_today_and_a_far_one_finds_nothing(db):
    assert free(since=date(2000, 1, 1)) == free()
    assert free(since=date(9999, 12, 31)) == []


def test_a_search_for_nobody_finds_nothing(db):
    search = wish()
    nobody = Wish(
        service_id=search.service_id,
        modality=search.modality,
        location_id=search.location_id,
        clinician_ids=(),
    )
    assert free(nobody) == []
    with pytest.raises(NotFree):
        slot(nobody, at(3, 10), now=NOW)


def test_an_exception_replaces_the_weeks_hours_and_outdoes_a_holiday(db):
    exception = """
    [[profesionales.excepciones]]
    fecha = 2027-03-{day}
    ubicacion = "centro"
    abre = "18:00"
    cierra = "19:00"
    presencial = true
    """
    off = '\n[[profesionales.excepciones]]\nfecha = 2027-03-05\nmotivo = "Congreso"\n'
    before = '[[profesionales]]\nclave = "oscar"'
    extra = exception.format(day="04") + exception.format(day="15") + off
    reload((before, extra + "\n" + before))
    assert times(4) == times(15) == ["18:00"]
    assert times(5) == []
    assert times(8)[0] == "09:00"


# Which times.


def test_what_is_taken_leaves_gaps_as_wide_as_it_needs(ana, ines):
    request(ana, at(3, 11))
    # From 9:00 to 9:50, ten minutes after, five before: until 10:55. The next from 12:05 on.
    assert times(3) == ["09:00", "09:15", "09:30", "09:45", *["12:15", "12:30", "12:45", "13:00"]]


def test_blocked_time_is_not_listed_and_given_back_it_is(ana, ines):
    block = block_time(1, at(3, 9), at(3, 13), reason="", actor=ines, now=NOW)
    assert times(3) == ["13:00"]
    BlockedTime.update(removed_at=NOW).where(BlockedTime.id == block.id).execute()
    assert times(3)[0] == "09:00"


def test_when_all_rooms_are_taken_nothing_is_free_there(ana, bruno):
    Room.update(active=False).where(Room.key == "c2").execute()
    Practice.update(revision=Practice.revision + 1).execute()
    request(ana, at(3, 10), clinician="oscar")
    assert "10:00" not in times(3)
    assert "10:45" not in times(3)
    assert {"09:00", "11:00"} <= set(times(3))
    assert "10:00" in times(3, wish(location=None))  # By video no room is needed.


def test_a_room_is_taken_that_has_what_the_service_needs(ana):
    assert slot(wish(), at(3, 10), now=NOW).room_id == Room.get(Room.key == "c1").id
    games = slot(wish(service="infantil"), at(3, 10), now=NOW)
    assert games.room_id == Room.get(Room.key == "c2").id


def test_a_sessions_own_time_is_no_obstacle_to_moving_it(ana, ines):
    asked = request(ana, at(3, 11))
    accept(asked.id, version=1, actor=ines, now=NOW)
    moving = wish(client=own_client(ana), chain=asked.chain)
    assert times(3, moving) == times(10)
    assert slot(moving, at(3, 11, 15), now=NOW).starts_at == at(3, 11, 15)
    with pytest.raises(NotFree):
        slot(wish(client=own_client(ana)), at(3, 11, 15), now=NOW)


def test_a_chain_is_not_mistaken_for_one_whose_number_begins_alike(ana, bruno):
    first = request(ana, at(3, 11))
    Appointment.update(chain=12).execute()
    assert "11:00" not in times(3, wish(chain=1))
    assert "11:00" in times(3, wish(chain=12))
    Appointment.update(chain=first.id).execute()


# With whom.


def test_anybody_means_the_times_of_all(db):
    both = set(times(3, everywhere("ines", "oscar")))
    assert both == set(times(3)) | set(times(3, wish(clinician="oscar")))


def test_the_least_busy_is_chosen_and_among_equals_the_first(ana, bruno):
    anybody = everywhere("oscar", "ines")
    first, second = sorted(anybody.clinician_ids)
    assert slot(anybody, at(3, 10), now=NOW).clinician_id == first
    request(ana, at(3, 12))
    assert slot(anybody, at(3, 10), now=NOW).clinician_id == second
    request(bruno, at(3, 12), clinician="oscar")
    assert slot(anybody, at(3, 10), now=NOW).clinician_id == first


def test_whoever_is_not_free_is_not_chosen(ana):
    request(ana, at(3, 10), clinician="oscar")
    request(ana, at(4, 10), clinician="ines")
    request(ana, at(5, 10), clinician="ines")
    anybody = everywhere("ines", "oscar")
    assert slot(anybody, at(3, 10), now=NOW).clinician_id == min(anybody.clinician_ids)


def test_a_refusal_tells_the_nearest_miss(ana):
    request(ana, at(3, 10))
    with pytest.raises(NotFree) as caught:
        slot(everywhere("ines", "oscar"), at(4, 8, 5), now=NOW)
    assert Rule.HOURS in caught.value.rules
    with pytest.raises(NotFree) as caught:
        slot(wish(), at(3, 10), now=NOW)
    assert caught.value.rules == (Rule.AGENDA_HELD,)


# The list keeps its word.


def a_busy_book(dice: random.Random) -> list[Account]:
    """Requests, sessions, offers and absences here and there."""
    crowd = [make_account(f"P{n}", f"p{n}@example.com") for n in range(12)]
    for account in crowd:
        start = at(dice.randrange(2, 12), dice.choice((9, 10, 11, 12)), dice.choice((0, 15, 45)))
        try:
            request(account, start, clinician=dice.choice(("ines", "oscar")))
        except NotFree:
            continue
    for row in Appointment.select().where(fn.MOD(Appointment.id, 3) == 0):
        Appointment.update(state=State.CONFIRMED).where(Appointment.id == row.id).execute()
    for day in (4, 9):
        BlockedTime.create(
            clinician=1, starts_at=at(day, 12), ends_at=at(day, 13), created_at=NOW
        )  # fmt: skip
    return crowd


@pytest.mark.parametrize("seed", range(3))
def test_every_listed_time_can_be_had_and_no_other(db, seed):
    dice = random.Random(seed)
    account = a_busy_book(dice)[0]
    client = own_client(account)
    for search in (
        wish(client=client),
        wish(client=client, location=None),
        wish(client=client, location="norte"),
        everywhere("ines", "oscar"),
    ):
        listed = {start for _, starts in free(search) for start in starts}
        assert listed
        for start in dice.sample(sorted(listed), 12):
            assert slot(search, start, now=NOW).starts_at == start
        grid = {
            instant(minutes(at(2, 7)) + 15 * n)
            for n in range(10 * 24 * 4)
            if instant(minutes(at(2, 7)) + 15 * n) < max(listed)
        }
        for start in dice.sample(sorted(grid - listed), 25):
            with pytest.raises(NotFree):
                slot(search, start, now=NOW)


def test_what_is_listed_can_be_asked_for(ana):
    for _, starts in free(most=3)[:3]:
        row = request(ana, starts[0])
        assert row.status is State.REQUESTED


# What it costs: as many queries for a long book as for a short one.


@contextmanager
def statements() -> Iterator[list[str]]:
    """The SQL that is executed meanwhile."""
    seen: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.name == "peewee":  # The pool of connections logs under it, too.
                assert isinstance(record.msg, tuple)
                seen.append(record.msg[0])

    logger, listener = logging.getLogger("peewee"), Listener()
    level = logger.level
    logger.addHandler(listener)
    logger.setLevel(logging.DEBUG)
    try:
        yield seen
    finally:
        logger.removeHandler(listener)
        logger.setLevel(level)


def fill(account: Account, count: int) -> None:
    """Sessions, requests and offers, a week of them to a day."""
    search, client = wish(), own_client(account)
    states = [State.CONFIRMED, State.REQUESTED, State.OFFERED, State.ATTENDED, State.DENIED]
    with transaction():
        for n in range(count):
            start = at(2, 9) + timedelta(days=n % 40 - 10, minutes=n)
            times = {"starts_at": start, "ends_at": start + timedelta(minutes=50)}
            where = {
                "clinician": search.clinician_ids[0],
                "location": search.location_id,
                "clinician_location": search.location_id,
                "room": 1,
                "modality": Modality.IN_PERSON.value,
            }
            row = Appointment.create(
                **times, **where, chain=n + 1, account=account, client=client,
                service=search.service_id, asked_starts_at=start, buffer_before=5,
                buffer_after=10, state=states[n % 5].value, asked_at=NOW,
                answer_by=NOW + timedelta(days=2),
            )  # fmt: skip
            if row.status is State.OFFERED:
                OfferedSlot.create(
                    **times, **where, appointment=row, rank=1, state=OfferState.HELD.value,
                    held_until=NOW + timedelta(days=2),
                )  # fmt: skip
            BlockedTime.create(
                clinician=1, starts_at=start, ends_at=start + timedelta(minutes=5), created_at=NOW
            )


def shown(rows: list[Appointment]) -> list[object]:
    """What a page says about each row."""
    return [
        (row.client.name, row.service.name, row.clinician.name, row.location and row.location.name)
        for row in rows
    ]


def a_span(days: int, *clinicians: str) -> Callable[[Account, Actor], object]:
    since = at(1, 0) + timedelta(days=14)
    search = {"since": since, "until": since + timedelta(days=days), "now": NOW}
    return lambda account, actor: free_starts(everywhere(*clinicians), **search)


def own_agenda(actor: Actor) -> int:
    assert actor.account is not None
    assert actor.account.clinician_id is not None
    return actor.account.clinician_id


READS: dict[str, tuple[int, Callable[[Account, Actor], object]]] = {
    "a day, one clinician": (3, a_span(1, "ines")),
    "a month, one clinician": (3, a_span(31, "ines")),
    "a month, any clinician": (3, a_span(31, "ines", "oscar")),
    "free_days": (3, lambda account, actor: free(since=date(2027, 4, 12), most=3)),
    "facts": (
        3,
        lambda account, actor: availability.facts(
            remembered(), since=NOW, until=NOW + timedelta(days=21), now=NOW
        ),
    ),
    "portal.appointments": (
        2,
        lambda account, actor: shown(portal.appointments(account, now=NOW).upcoming),
    ),
    "portal.past": (1, lambda account, actor: shown(portal.past(account, page=1, now=NOW)[0])),
    "staff.pending": (
        1,
        lambda account, actor: shown(staff.pending(actor, clinician=None, now=NOW)[0][:50]),
    ),
    "staff.agenda": (
        4,
        lambda account, actor: [
            (
                item.appointment and item.appointment.client.name,
                item.location and item.location.name,
            )
            for day in staff.agenda(own_agenda(actor), TODAY, 7)
            for item in day.items
        ],
    ),
    "staff.appointments_of": (
        2,
        lambda account, actor: shown(staff.appointments_of(actor, own_client(account), now=NOW)[0]),
    ),
    "staff.clients": (1, lambda account, actor: staff.clients(actor, "ana")),
}


@pytest.mark.parametrize("name", READS)
def test_a_long_book_costs_as_many_queries_as_a_short_one(ana, ines, name):
    queries, read = READS[name]
    plan()
    for already, count in ((0, 5), (5, 300)):
        Appointment.update(chain=0).execute()
        fill(ana, count - already)
        read(ana, ines)
        availability.begin_page()
        with statements() as seen:
            read(ana, ines)
        availability.end_page()
        # What outgrows a page is counted by one query more.
        assert len(seen) == queries


def test_the_counter_of_queries_counts(db):
    with statements() as seen:
        Practice.get()
        database.execute_sql("SELECT 1")
    assert len(seen) == 2


# Between the book's units and the solver's.


def test_minutes_and_instants_lead_back_to_each_other():
    assert instant(minutes(at(3, 10))) == at(3, 10)
    assert minutes(datetime(1970, 1, 1, tzinfo=UTC)) == 0


@pytest.mark.parametrize(
    ("day", "minute", "there"),
    [
        (date(2027, 3, 27), 150, "2027-03-27T02:30:00+01:00"),
        (date(2027, 3, 28), 150, "2027-03-28T03:30:00+02:00"),
        (date(2027, 10, 31), 150, "2027-10-31T02:30:00+02:00"),
        (date(2027, 3, 27), 24 * 60 + 30, "2027-03-28T00:30:00+01:00"),
    ],
    ids=["usual", "skipped", "repeated", "after-midnight"],
)
def test_a_wall_clock_time_is_one_instant(day, minute, there):
    madrid = ZoneInfo("Europe/Madrid")
    assert availability.wall(day, minute, madrid).astimezone(madrid).isoformat() == there
