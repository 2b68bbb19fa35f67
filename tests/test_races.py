"""Many people at once, on one real file: one of them wins, the others hear of it, nothing doubles.

Every thread has its own connection, and all of them start together.
"""

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from peewee import SqliteDatabase

from booking import availability, gateway, invariants, links, occupancy, outbox, practice_file
from booking.availability import NotFree
from booking.clock import SettableClock
from booking.db import database, transaction
from booking.gateway import Actor, ChangedMeanwhile, Key
from booking.lifecycle import State
from booking.mailer import MemoryMailer
from booking.models import (
    Account,
    Appointment,
    Client,
    History,
    Modality,
    Occupancy,
    OutboxMessage,
    Practice,
)
from booking.notifications import Kind
from booking.occupancy import SlotTaken
from booking.operations import (
    accept,
    ask,
    block_time,
    book,
    cancel,
    cancel_for_client,
    changing_email,
    deadlines,
    deny,
    report_absence,
    signing_in,
    take_offer,
    undo,
)
from booking.operations.replanning import Missing
from booking.operations.requesting import NotAllowed, OfferGone
from booking.operations.signing_in import Browser
from booking.replanning import Allowed
from tests.builders import NOW, THURSDAY_AT_TEN, at, own_client, request, wish
from tests.conftest import PRACTICE, add_minor, make_account

ROOT = Path(__file__).parents[1]
Job = Callable[[], Any]


pytestmark = pytest.mark.usefixtures("book_in_order")


@pytest.fixture
def ines(db) -> Actor:
    return gateway.staff(Account.get(Account.email == "ines@alameda.example"))


@pytest.fixture
def crowd(db) -> list[Account]:
    with transaction():
        return [make_account(f"Persona {n}", f"persona{n}@example.com") for n in range(40)]


def at_once(*jobs: Job) -> list[Any]:
    """What each job answered, or the exception that it raised; all begin at the same moment."""
    results: list[Any] = [None] * len(jobs)
    start = threading.Barrier(len(jobs))

    def run(n: int) -> None:
        try:
            Practice.get()  # The thread's own connection is open before the race begins.
            start.wait(timeout=30)
            results[n] = jobs[n]()
        except Exception as error:
            results[n] = error
        finally:
            database.close()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return results


def kinds(results: list[Any]) -> Counter[str]:
    return Counter(type(result).__name__ for result in results)


def asking(account: Account, start: datetime = THURSDAY_AT_TEN, key: Key | None = None) -> Job:
    client = own_client(account)
    search = wish(client=client)
    return lambda: ask(search, start, client=client, account=account, now=NOW, key=key)


def state(appointment: Appointment) -> State:
    return Appointment.get_by_id(appointment.id).status


def test_many_ask_for_what_one_swap_of_rooms_opens_and_one_gets_it(crowd):
    """Óscar's session leaves the room with toys once, for one child."""
    first, other, *parents = crowd
    leaves = request(first, at(10, 9))
    moved = request(other, at(10, 9, 30), clinician="oscar")
    cancel(leaves.id, account=first, now=NOW)

    def asking_for_a_child(account: Account) -> Job:
        child = add_minor(account, "Luz")
        search = wish(service="infantil", client=child)
        return lambda: ask(search, at(10, 10), client=child, account=account, now=NOW)

    results = at_once(*[asking_for_a_child(parent) for parent in parents[:12]])
    assert kinds(results) == {"Appointment": 1, "NotFree": 11}
    assert Appointment.get_by_id(moved.id).room.key == "c1"


def changing_to(account: Account, email: str) -> Job:
    """Confirm the address, whose mail was asked for before the race, in a session of one's own."""
    secret, session = "secret-" * 6, signing_in.open_session(account, Browser(), now=NOW).session
    proof = changing_email.ask(session, email, language="es", now=NOW)
    code = links.code(secret, proof.nonce)
    return lambda: changing_email.confirm_by_code(session, code, secret_key=secret, now=NOW)


def test_one_of_many_gets_an_address_that_they_all_can_prove(crowd):
    results = at_once(*[changing_to(account, "todos@example.org") for account in crowd[:5]])
    assert kinds(results) == {"NoneType": 1, "AddressTaken": 4}
    assert Account.select().where(Account.email == "todos@example.org").count() == 1


def test_an_account_moves_to_one_of_the_addresses_that_it_asked_for(ana):
    results = at_once(*[changing_to(ana, f"ana{n}@example.org") for n in range(5)])
    assert kinds(results) == {"NoneType": 1, "DeadLink": 4}


def test_forty_people_ask_for_the_last_slot_and_one_gets_it(crowd):
    results = at_once(*(asking(account) for account in crowd))
    assert kinds(results) == {"Appointment": 1, "NotFree": 39}
    assert Appointment.select().count() == 1


def test_forty_people_ask_for_forty_slots_and_all_get_theirs(crowd):
    starts = [
        at(day, hour, minute)
        for day in (3, 4, 5, 8, 9, 10, 11, 12, 16, 17)
        for hour, minute in ((9, 0), (10, 15), (11, 30), (12, 45))
    ]
    jobs = [asking(account, start) for account, start in zip(crowd, starts, strict=True)]
    assert kinds(at_once(*jobs)) == {"Appointment": 40}


def test_a_form_that_is_sent_twenty_times_at_once_asks_once(ana):
    results = at_once(*(asking(ana, key=Key("one", "body")) for _ in range(20)))
    assert {result.id for result in results} == {Appointment.get().id}
    assert OutboxMessage.select().count() == 2


def test_of_twenty_who_accept_one_does(ana, ines):
    asked = request(ana)

    def accepting() -> Appointment:
        return accept(asked.id, version=1, actor=ines, now=NOW)

    results = at_once(*[accepting] * 20)
    assert kinds(results) == {"Appointment": 1, "ChangedMeanwhile": 19}
    assert Appointment.get_by_id(asked.id).version == 2


def test_twenty_taps_on_accept_show_the_same_answer(ana, ines):
    asked = request(ana)

    def accepting() -> Appointment:
        return accept(asked.id, version=1, actor=ines, now=NOW, key=Key("tap", "accept"))

    results = at_once(*[accepting] * 20)
    assert {(r.id, r.status) for r in results} == {(asked.id, State.CONFIRMED)}
    assert History.select().count() == 2


@pytest.mark.parametrize("turn", range(6))
def test_accepting_and_withdrawing_end_in_one_truth(ana, ines, turn):
    """A session that was accepted first can still be cancelled; the other way round, it is gone."""
    asked = request(ana)
    jobs: list[Job] = [
        lambda: accept(asked.id, version=1, actor=ines, now=NOW),
        lambda: cancel(asked.id, account=ana, now=NOW),
    ]
    accepted, cancelled = at_once(*jobs) if turn % 2 else at_once(*jobs[::-1])[::-1]
    assert isinstance(cancelled, Appointment)
    assert isinstance(accepted, Appointment | ChangedMeanwhile)
    assert state(asked) is State.CANCELLED_BY_CLIENT
    assert Occupancy.select().count() == 0


@pytest.mark.parametrize("turn", range(6))
def test_accepting_and_blocking_time_agree_on_who_was_first(ana, ines, turn):
    asked = request(ana)
    jobs: list[Job] = [
        lambda: accept(asked.id, version=1, actor=ines, now=NOW),
        lambda: block_time(asked.clinician_id, at(4, 9), at(4, 12), reason="", actor=ines, now=NOW),
    ]
    accepted, blocked = at_once(*jobs) if turn % 2 else at_once(*jobs[::-1])[::-1]
    assert not isinstance(blocked, Exception)
    was_accepted(asked, accepted)


def was_accepted(asked: Appointment, accepted: object) -> bool:
    """The book agrees with the answer; the only reason for a no is that the time is not free."""
    if isinstance(accepted, Exception):
        assert isinstance(accepted, NotFree)
        assert state(asked) is State.REQUESTED
        return False
    assert state(asked) is State.CONFIRMED
    return True


def change_hours() -> None:
    """The practice is closed on that Thursday, from now on."""
    closed = '\n[[feriados]]\nfecha = 2027-03-04\nnombre = "Elecciones"\n'
    practice_file.load(PRACTICE.read_text() + closed, now=NOW)


@pytest.mark.parametrize("turn", range(4))
def test_accepting_and_changing_the_hours_agree_on_who_was_first(ana, ines, turn):
    asked = request(ana)
    jobs: list[Job] = [lambda: accept(asked.id, version=1, actor=ines, now=NOW), change_hours]
    accepted, changed = at_once(*jobs) if turn % 2 else at_once(*jobs[::-1])[::-1]
    assert changed is None
    if was_accepted(asked, accepted):
        assert invariants.confirmed_outside_hours() == [(asked.id, asked.starts_at)]
        cancel_for_client(asked.id, version=2, actor=ines, now=NOW)


@pytest.mark.parametrize("turn", range(4))
def test_accepting_and_closing_the_only_room_agree_on_who_was_first(ana, ines, turn):
    asked = request(ana, at(4, 17), location="norte")
    manager = gateway.staff(Account.get(Account.manager))
    jobs: list[Job] = [
        lambda: accept(asked.id, version=1, actor=ines, now=NOW),
        lambda: report_absence(
            Missing(room_id=asked.room_id), at(4, 16), at(4, 17, 30), reason="", allowed=Allowed(),
            actor=manager, now=NOW,
        ),
    ]  # fmt: skip
    accepted, closed = at_once(*jobs) if turn % 2 else at_once(*jobs[::-1])[::-1]
    assert not isinstance(closed, Exception)
    was_accepted(asked, accepted)


def test_a_decision_is_made_once_whoever_makes_it(ana, ines):
    asked = request(ana)
    late = asked.answer_by
    assert late is not None
    results = at_once(
        lambda: accept(asked.id, version=1, actor=ines, now=late - timedelta(seconds=1)),
        lambda: deny(asked.id, version=1, actor=ines, now=late - timedelta(seconds=1)),
        lambda: deadlines.run(now=late),
    )
    done = [r for r in results if not isinstance(r, Exception) and r != 0]
    assert len(done) == 1
    assert {type(r) for r in results if isinstance(r, Exception)} <= {ChangedMeanwhile}
    assert Appointment.get_by_id(asked.id).version == 2


def test_an_offer_is_taken_once_or_lapses(ana, ines):
    asked = request(ana)
    slot = availability.slot(availability.wish_of(asked), at(10, 10), now=NOW)
    offered = deny(asked.id, version=1, actor=ines, offers=(slot,), now=NOW)
    offer, last = offered.offers.get(), offered.answer_by
    assert last is not None

    def taking() -> Appointment:
        return take_offer(asked.id, offer.id, account=ana, now=last - timedelta(seconds=1))

    results = at_once(*[taking] * 9, lambda: deadlines.run(now=last))
    won = [r for r in results if isinstance(r, Appointment)]
    assert len(won) == (1 if state(asked) is State.CONFIRMED else 0)
    assert {type(r) for r in results if isinstance(r, Exception)} <= {OfferGone}


def test_taking_back_and_asking_for_the_freed_time_never_both_succeed(ana, crowd, ines):
    asked = request(ana)
    deny(asked.id, version=1, actor=ines, now=NOW)
    taken_back, other = at_once(
        lambda: undo(asked.id, actor=ines, now=NOW), asking(crowd[0])
    )  # fmt: skip
    assert kinds([taken_back, other]) in (
        {"Appointment": 1, "NotFree": 1},
        {"Appointment": 1, "SlotTaken": 1},
    )


def test_a_session_moved_by_both_sides_is_moved_once(ana, ines):
    session = accept(request(ana).id, version=1, actor=ines, now=NOW)
    client = own_client(ana)
    again = wish(client=client, chain=session.chain)
    asked, booked = at_once(
        lambda: ask(
            again, at(5, 10), client=client, account=ana, now=NOW, replaces=session.id
        ),
        lambda: book(again, at(5, 12), client=client, actor=ines, now=NOW, replaces=session.id),
    )  # fmt: skip
    assert isinstance(booked, Appointment)
    assert isinstance(asked, Appointment | NotAllowed)
    assert state(session) is State.MOVED
    confirmed = Appointment.select().where(Appointment.state == State.CONFIRMED)
    assert [row.id for row in confirmed] == [booked.id]


def test_workers_that_remind_at_the_same_moment_remind_once(crowd):
    for account, day in zip(crowd, (9, 10, 11, 12, 16), strict=False):
        request(account, at(day, 10))
    halfway = NOW + timedelta(hours=36)
    for _ in range(3):
        Appointment.update(halfway_at=halfway).execute()
        OutboxMessage.delete().where(OutboxMessage.kind == Kind.STAFF_REQUEST_WAITING).execute()
        results = at_once(*[lambda: deadlines.run(now=halfway)] * 4)
        assert sum(results) == 5
    waiting = OutboxMessage.select().where(OutboxMessage.kind == Kind.STAFF_REQUEST_WAITING)
    assert waiting.count() == 5


def test_workers_that_send_at_the_same_moment_send_each_message_once(crowd, settings):
    for account, day in zip(crowd, (9, 10, 11, 12, 16), strict=False):
        request(account, at(day, 10))
    mailer = MemoryMailer()
    results = at_once(*[lambda: outbox.drain(SettableClock(NOW), mailer, settings)] * 4)
    assert sum(results) == 10
    assert len({mail["Message-ID"] for mail in mailer.sent}) == len(mailer.sent) == 10


# Two servers' processes on one file.

CONTENDER = """
import json
import sys
from pathlib import Path
from booking import db
from tests import test_races
from tests.books import settings_in

db.connect(settings_in(Path(sys.argv[1]), sys.argv[3]))
jobs = [test_races.asking(account) for account in test_races.accounts(sys.argv[2])]
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps(test_races.kinds(test_races.at_once(*jobs))), flush=True)
"""


def accounts(emails: str) -> list[Account]:
    return [Account.get(Account.email == email) for email in emails.split(",")]


def test_two_processes_ask_for_one_slot_and_one_person_gets_it(crowd, settings):
    halves = (crowd[:20], crowd[20:])
    processes = [
        subprocess.Popen(
            [
                *(sys.executable, "-c", CONTENDER, settings.data_dir),
                *(",".join(a.email for a in half), settings.database_url),
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for half in halves
    ]
    total: Counter[str] = Counter()
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        out, _ = process.communicate(timeout=60)
        total.update(json.loads(out))
    assert total == {"Appointment": 1, "NotFree": 39}


# The guard behind the gateway.


def write_past_the_gateway(client: Client, chain: int, **columns: Any) -> Appointment:
    """A confirmed session at ten on Thursday, written as if nobody had checked anything."""
    search = wish()
    row = {
        "chain": chain,
        "client": client,
        "service": search.service_id,
        "clinician": search.clinician_ids[0],
        "location": search.location_id,
        "clinician_location": search.location_id,
        "room": None,
        "modality": Modality.IN_PERSON.value,
        "starts_at": THURSDAY_AT_TEN,
        "ends_at": THURSDAY_AT_TEN + timedelta(minutes=50),
        "asked_starts_at": THURSDAY_AT_TEN,
        "buffer_before": 5,
        "buffer_after": 10,
        "state": State.CONFIRMED.value,
        "asked_at": NOW,
    }
    return Appointment.create(**row | columns)


OTHERS: dict[str, dict[str, Any]] = {
    "clinician": {"room": None},
    "room": {"clinician": 2},
    "client": {"clinician": 2, "room": None},
}


def collide(first: Appointment, other: Client, resource: str) -> Appointment:
    """A second session that shares only `resource` with the first."""
    client = first.client if resource == "client" else other
    row = write_past_the_gateway(
        client, chain=10**6, **{"room": first.room_id} | OTHERS[resource]
    )  # fmt: skip
    occupancy.rewrite([row.chain])
    return row


@pytest.mark.parametrize("resource", OTHERS)
def test_the_database_refuses_what_the_gateway_overlooks(ana, crowd, resource):
    first = request(ana)
    with pytest.raises(SlotTaken), transaction():
        collide(first, own_client(crowd[0]), resource)
    assert Appointment.select().count() == 1


CHECKS = {
    "clinician": invariants.clinician_in_two_sessions,
    "room": invariants.room_in_two_sessions,
    "client": invariants.client_in_two_sessions,
}


def drop_guards(resource: str) -> None:
    if isinstance(database.obj, SqliteDatabase):
        database.execute_sql("DROP TRIGGER occupancy_no_overlap_insert")
    else:
        database.execute_sql(f"ALTER TABLE occupancy DROP CONSTRAINT occupancy_overlap_{resource}")


@pytest.mark.parametrize("resource", OTHERS)
def test_without_its_guard_the_database_would_take_it(ana, crowd, resource):
    first = request(ana)
    with database.atomic() as undone:
        drop_guards(resource)
        collide(first, own_client(crowd[0]), resource)
        assert CHECKS[resource]() != []
        undone.rollback()


def test_the_guard_looks_at_minutes_before_and_after_too(ana, crowd):
    request(ana)
    later = THURSDAY_AT_TEN + timedelta(minutes=64)
    times = {"starts_at": later, "ends_at": later + timedelta(minutes=50)}
    with pytest.raises(SlotTaken):
        past_the_check(own_client(crowd[0]), 10**6, **times)()


def test_the_guard_alone_stands_between_forty_people_and_one_slot(crowd):
    jobs = [past_the_check(own_client(account), n) for n, account in enumerate(crowd, start=1)]
    results = at_once(*jobs)
    assert kinds(results) == {"Appointment": 1, "SlotTaken": 39}
    assert invariants.clinician_in_two_sessions() == []
    Occupancy.delete().execute()  # What was written past the gateway has no history to check.
    Appointment.delete().execute()


def past_the_check(client: Client, chain: int, **columns: Any) -> Job:
    def write() -> Appointment:
        with transaction():
            row = write_past_the_gateway(client, chain, **columns)
            occupancy.rewrite([chain])
        return row

    return write
