"""The demonstration's book keeps every rule that a real one has to keep."""

from collections import Counter
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from booking import availability, demo, occupancy, practice_file
from booking.db import connect, database, migrate, transaction
from booking.lifecycle import BIRTHS, LEGAL, Event, State
from booking.models import (
    ALL,
    Access,
    Account,
    Appointment,
    Client,
    Clinician,
    History,
    Location,
    Occupancy,
    OfferedSlot,
    Room,
    Service,
)
from solver import candidates
from solver.problem import Modality
from tests.builders import NOW

MEXICO = ZoneInfo("America/Mexico_City")
PRACTICE = Path(__file__).parent.parent / "demo" / "consultorio.toml"
TIGHT = PRACTICE.read_text("utf-8")
for old, new in (  # A practice in which every rule pinches somewhere.
    ("max_sesiones_dia = 7", "max_sesiones_dia = 2"),
    ("minutos_entre_sesiones = 10", "minutos_entre_sesiones = 180"),
    ("minutos = 25\n\n", "minutos = 300\n\n"),
    ("minutos = 30\n\n", "minutos = 300\n\n"),
    ('clientes = "existentes"', 'clientes = "existentes"\nen_linea = false'),
):
    assert old in TIGHT
    TIGHT = TIGHT.replace(old, new)


@pytest.fixture(scope="module")
def demonstration(books, tmp_path_factory):
    """The demonstration's practice with an empty book, to be copied."""
    settings = books.new(tmp_path_factory.mktemp("empty"))
    handle = connect(settings)
    migrate()
    practice_file.load(PRACTICE, now=NOW)
    books.close(handle)
    return settings


@pytest.fixture(scope="module")
def full(books, demonstration, tmp_path_factory):
    """The same with a full one, and what filled it."""
    settings = books.copy(demonstration, tmp_path_factory.mktemp("full"))
    handle = connect(settings)
    filled = demo.fill(weeks=2, seed=1, now=NOW)
    books.close(handle)
    return settings, filled


@pytest.fixture
def empty(books, demonstration, tmp_path):
    yield from _copy(books, demonstration, tmp_path)


@pytest.fixture
def filled(books, full, tmp_path):
    settings, filled = full
    for _ in _copy(books, settings, tmp_path):
        yield filled


def _copy(books, template, folder):
    settings = books.copy(template, folder)
    handle = connect(settings)
    yield
    books.close(handle)
    books.drop(settings)


def _count(sql):
    return database.execute_sql(sql).fetchone()[0]


def test_no_clinician_room_or_client_is_in_two_places_at_once(filled):
    assert filled.appointments == Appointment.select().count()
    assert not _count(
        "SELECT count(*) FROM occupancy a JOIN occupancy b ON a.resource = b.resource"
        " AND a.resource_id = b.resource_id AND a.chain <> b.chain"
        " AND a.busy_from < b.busy_until AND b.busy_from < a.busy_until"
    )
    # The past occupies nothing any more, so its sessions are compared themselves.
    assert not _count(
        "SELECT count(*) FROM appointment a JOIN appointment b ON a.id < b.id"
        " AND (a.clinician_id = b.clinician_id OR a.room_id = b.room_id)"
        " AND a.state IN ('attended', 'no_show') AND b.state IN ('attended', 'no_show')"
        " AND a.starts_at < b.ends_at AND b.starts_at < a.ends_at"
    )


@pytest.mark.usefixtures("filled")
def test_the_rows_of_occupancy_are_those_that_an_operation_would_write():
    def rows():
        fields = (
            Occupancy.resource,
            Occupancy.resource_id,
            Occupancy.busy_from,
            Occupancy.busy_until,
        )
        return sorted(Occupancy.select(Occupancy.chain, *fields).tuples())

    before = rows()
    with transaction():
        for appointment in Appointment.select():
            assert appointment.chain == appointment.id
            occupancy.rewrite([appointment.chain])
    assert len(before) > 300
    assert rows() == before


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize("practice", [PRACTICE, TIGHT], ids=["demo", "tight"])
def test_every_session_keeps_hours_holidays_buffers_rooms_travel_and_the_day_s_limit(practice):
    """Judged by the rules that clients' requests are judged by, as if each were asked for anew."""
    practice_file.load(practice, now=NOW)
    demo.fill(weeks=2, seed=1, now=NOW)
    the = availability.plan()
    problem = availability.facts(
        the, since=NOW - timedelta(days=1), until=NOW + timedelta(days=30), now=NOW
    )
    held = [State.CONFIRMED, State.REQUESTED]
    sessions = [
        *Appointment.select().where(Appointment.state.in_(held)),
        *OfferedSlot.select(),
    ]
    assert len(sessions) > 100
    waived = {candidates.Rule.NOTICE}  # Tomorrow's were asked for days ago.
    for session in sessions:
        appointment = getattr(session, "appointment", session)
        request = availability.request_for(the, availability.wish_of(appointment), problem)
        place = candidates.Place(
            str(session.clinician_id),
            None if session.clinician_location_id is None else str(session.clinician_location_id),
            Modality(session.modality),
        )
        start = availability.minutes(session.starts_at)
        assert set(candidates.broken_rules(problem, request, place, start)) <= waived
        if session.room_id is not None:
            assert str(session.room_id) in candidates.free_rooms(problem, request, place, start)


@pytest.mark.usefixtures("empty")
def test_nobody_works_on_a_holiday_or_a_day_off():
    demo.fill(weeks=4, seed=1, now=NOW)
    sofia = Clinician.get(Clinician.key == "sofia-ibanez").id
    taken = [
        (row.clinician_id, row.starts_at.astimezone(MEXICO).date()) for row in Appointment.select()
    ]
    days = {day for _, day in taken}
    assert date(2027, 3, 16) in days
    assert date(2027, 3, 15) not in days
    assert not [d for who, d in taken if who == sofia and d.isocalendar().week in (12, 13)]


@pytest.mark.parametrize(("weeks", "seed"), [(1, 1), (2, 1), (2, 7), (4, 3)])
@pytest.mark.usefixtures("empty")
def test_the_book_is_about_sixty_per_cent_full(weeks, seed):
    filled = demo.fill(weeks=weeks, seed=seed, now=NOW)
    assert 50 <= filled.occupancy_percent <= 70
    # Counted again, from the rows.
    the, days = availability.plan(), [NOW.date() + timedelta(days=n) for n in range(7 * weeks)]
    clinicians = [c.id for c in Clinician.select()]
    blocks = [block for c in clinicians for day in days for block in the.blocks(c, day)]
    working = sum(block.window.end - block.window.start for block in blocks)
    last = int(NOW.timestamp()) + 7 * weeks * 86400
    busy = _count(
        "SELECT sum(busy_until - busy_from) / 60 FROM occupancy"
        f" WHERE resource = 'clinician' AND busy_from < {last}"
    )
    assert abs(100 * busy / working - filled.occupancy_percent) < 5


@pytest.mark.usefixtures("filled")
def test_histories_are_complete_and_legal():
    for appointment in Appointment.select():
        rows = list(History.select().where(History.appointment == appointment).order_by(History.id))
        assert [row.version for row in rows] == list(range(1, appointment.version + 1))
        assert rows[0].before == ""
        assert BIRTHS[Event(rows[0].event)] == rows[0].after
        for earlier, row in pairwise(rows):
            assert row.before == earlier.after
            assert LEGAL[State(row.before), Event(row.event)] == row.after
            assert row.at >= earlier.at
        assert rows[-1].after == appointment.state
        assert rows[0].at == appointment.asked_at
        assert all(row.account_id for row in rows)
        assert all(row.at <= NOW for row in rows)
        assert appointment.asked_at < appointment.starts_at


@pytest.mark.usefixtures("filled")
def test_there_is_something_in_every_state_that_a_visitor_looks_for():
    states = Counter(appointment.status for appointment in Appointment.select())
    assert {
        State.ATTENDED,
        State.NO_SHOW,
        State.CANCELLED_BY_CLIENT,
        State.CONFIRMED,
        State.REQUESTED,
        State.DENIED,
        State.OFFERED,
    } <= states.keys()
    assert not [
        a
        for a in Appointment.select()
        if a.ends_at <= NOW and a.status in (State.CONFIRMED, State.REQUESTED)
    ]


@pytest.mark.usefixtures("filled")
def test_every_clinician_has_an_inbox_of_requests_of_different_ages():
    for clinician in Clinician.select():
        pending = list(
            Appointment.select().where(
                Appointment.clinician == clinician, Appointment.state == State.REQUESTED
            )
        )
        assert len({request.asked_at for request in pending}) >= 4
        for request in pending:
            assert request.answer_by is not None
            assert NOW < request.answer_by < request.starts_at
            assert request.halfway_at is None or NOW < request.halfway_at < request.answer_by


@pytest.mark.usefixtures("filled")
def test_some_clients_come_every_week_at_the_same_hour():
    hours = Counter(
        (a.client_id, a.starts_at.weekday(), a.starts_at.time())
        for a in Appointment.select()
        if a.status in (State.CONFIRMED, State.ATTENDED)
    )
    assert sum(times >= 3 for times in hours.values()) > 20


@pytest.mark.usefixtures("empty")
def test_services_meet_the_clients_they_are_meant_for():
    practice_file.load(TIGHT, now=NOW)
    demo.fill(weeks=2, seed=1, now=NOW)
    rows = Appointment.select(Appointment, Client, Service).join(Client).switch().join(Service)
    for appointment in rows:
        assert appointment.client.kind in appointment.service.client_kinds
        if appointment.service.audience == "existing":
            assert appointment.client.known_since is not None
        if not appointment.service.online:
            assert History.get(History.appointment == appointment).event == Event.BOOK


@pytest.mark.usefixtures("filled")
def test_people_are_realistic_and_reachable_only_inside_the_demonstration():
    accounts = [a for a in Account.select() if not a.staff]
    assert all(a.email.endswith(("@example.com", "@example.org")) for a in accounts)
    assert {client.kind for client in Client.select()} == {"adult", "minor", "couple"}
    for client in Client.select():
        relations = sorted(a.relation for a in Access.select().where(Access.client == client))
        expected = {"adult": ["self"], "minor": ["guardian"], "couple": ["partner", "partner"]}
        assert relations == expected[client.kind]
        assert (client.first_member_id is not None) == (client.kind == "couple")
    letters = "".join(client.name for client in Client.select())
    assert set("ñáéíó") <= set(letters)


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize("now", [NOW, *(NOW - timedelta(days=n, hours=n) for n in (53, 62, 99))])
def test_ana_has_one_appointment_of_each_sort_with_the_first_clinician(now):
    """Also around the clinician's holidays at the turn of the year."""
    demo.fill(weeks=1, seed=1, now=now)
    account = Account.get(Account.email == demo.CLIENT_EMAIL)
    ana = Client.get(Client.email == demo.CLIENT_EMAIL)
    names = {a.client.name: a.relation for a in Access.select().where(Access.account == account)}
    assert names == {
        "Ana Ruiz Peña": "self",
        "Tomás Solís Ruiz": "guardian",
        "Ana Ruiz Peña y Diego Solís Mora": "partner",
    }
    hers = {a.status: a for a in Appointment.select().where(Appointment.account == account)}
    assert sorted(hers) == ["attended", "confirmed", "offered", "requested"]
    assert {a.client_id for a in hers.values()} == {ana.id}
    assert {a.clinician.key for a in hers.values()} == {"laura-nunez"}
    assert hers[State.ATTENDED].starts_at < now < hers[State.CONFIRMED].starts_at
    offers = list(OfferedSlot.select().where(OfferedSlot.appointment == hers[State.OFFERED]))
    assert [offer.rank for offer in offers] == [1, 2, 3]
    assert all(offer.held_until > now and offer.state == "held" for offer in offers)
    assert hers[State.OFFERED].answer_by == max(offer.held_until for offer in offers)
    assert hers[State.OFFERED].halfway_at is not None


@pytest.fixture
def book(books, tmp_path):
    """What a seed writes, all of it, into a fresh database each time."""

    def write(seed, name):
        settings = books.new(tmp_path / name)
        handle = connect(settings)
        migrate()
        practice_file.load(PRACTICE, now=NOW)
        demo.fill(weeks=1, seed=seed, now=NOW)
        rows = [[*model.select().order_by(model.id).tuples()] for model in ALL]
        books.close(handle)
        books.drop(settings)
        return rows

    return write


def test_the_same_seed_gives_the_same_book_and_another_seed_another(book):
    first = book(1, "first")
    assert book(1, "again") == first
    assert book(2, "other") != first


@pytest.mark.usefixtures("filled")
def test_a_book_with_appointments_is_left_alone():
    before = Client.select().count()
    with pytest.raises(demo.BookNotEmpty, match="ya tiene"):
        demo.fill(weeks=1, seed=2, now=NOW)
    assert Client.select().count() == before


@pytest.mark.usefixtures("filled")
def test_two_people_of_the_demonstration_can_be_signed_in_as():
    client, clinician = demo.people()
    assert (client.email, clinician.name) == (demo.CLIENT_EMAIL, "Laura Núñez Cárdenas")
    Account.update(email="otra@example.org").where(Account.id == client.id).execute()
    assert demo.people() == (client, clinician)
    assert clinician.clinician_id == Clinician.get(Clinician.key == "laura-nunez").id


def test_what_was_filled_reads_as_a_sentence():
    filled = demo.Filled(clients=3, appointments=10, occupancy_percent=61)
    assert str(filled) == "3 clientes, 10 citas, 61 % de ocupación."


def test_without_a_practice_there_is_nothing_to_fill(books, tmp_path):
    settings = books.new(tmp_path)
    handle = connect(settings)
    migrate()
    with pytest.raises(demo.NoPractice, match="cargue primero"):
        demo.fill(weeks=1, seed=1, now=NOW)
    books.close(handle)
    books.drop(settings)


def test_rooms_suit_the_sessions_in_them(filled):
    assert filled.clients == Client.select().count()
    for appointment in Appointment.select().where(Appointment.room.is_null(False)):
        room, service = Room.get_by_id(appointment.room_id), appointment.service
        assert set(service.room_features) <= set(room.features)
        assert service.seats <= room.seats
        assert room.location_id == appointment.location_id == appointment.clinician_location_id
    assert Location.select().count() == 3
