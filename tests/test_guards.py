"""Each guard taken out once, and the promise that it keeps seen to break.

In one process and in a moment; over HTTP, with real servers, in tests/proof. What else a missing
guard would change for people is in tests/test_model.py.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage

import pytest
from peewee import IntegrityError, SqliteDatabase

from booking import gateway, invariants, outbox
from booking.availability import NotFree
from booking.clock import SettableClock
from booking.db import database, transaction
from booking.gateway import Actor, ChangedMeanwhile, Key, NotYours
from booking.mailer import MemoryMailer
from booking.models import (
    Account,
    Appointment,
    BlockedTime,
    Client,
    Delivery,
    History,
    OutboxMessage,
)
from booking.occupancy import SlotTaken
from booking.operations import accept, ask, block_time, cancel, deny, erasing, report_absence
from booking.operations.replanning import Missing
from booking.queries import person
from booking.replanning import Allowed
from booking.settings import Settings
from booking.simulation.crashes import Crashed, statements
from tests.builders import NOW, THURSDAY_AT_TEN, at, own_client, request, wish
from tests.conftest import make_account
from tests.proof import broken
from tests.proof.broken import Put
from tests.test_races import OTHERS, asking, at_once, change_hours, collide, drop_guards, kinds

BROKEN = (AssertionError, pytest.fail.Exception, NotFree)


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part."""

    ana: Account
    bruno: Account
    ines: Actor
    manager: Actor
    settings: Settings


@pytest.fixture
def cast(db, settings) -> Cast:
    return Cast(
        make_account("Ana Ruiz Peña", "ana@example.com"),
        make_account("Bruno Díaz Muñoz", "bruno@example.com"),
        gateway.staff(Account.get(Account.email == "ines@alameda.example")),
        gateway.staff(Account.get(Account.manager)),
        settings,
    )


# What is promised.


def one_of_many_gets_a_time(cast: Cast) -> None:
    with transaction():
        crowd = [make_account(f"Persona {n}", f"persona{n}@example.com") for n in range(16)]
    results = at_once(*(asking(account) for account in crowd))
    assert kinds(results) == {"Appointment": 1, "NotFree": 15}


def what_is_taken_is_not_asked_for(cast: Cast) -> None:
    request(cast.ana)
    with pytest.raises(NotFree):
        request(cast.bruno)


def what_bypasses_the_gateway_is_refused(cast: Cast) -> None:
    first = request(cast.ana)
    for resource in OTHERS:
        with pytest.raises(SlotTaken), transaction():
            collide(first, own_client(cast.bruno), resource)


def history_stays_as_it_was_written(cast: Cast) -> None:
    request(cast.ana)
    with pytest.raises(IntegrityError), transaction():
        History.update(actor="system").execute()
    with pytest.raises(IntegrityError), transaction():
        History.delete().execute()


def a_change_has_one_row_of_history(cast: Cast) -> None:
    asked = request(cast.ana)
    with pytest.raises(IntegrityError), transaction():
        History.create(
            appointment=asked, version=1, event="ask", before="", after="requested",
            actor="client", at=NOW, starts_at=NOW,
        )  # fmt: skip


def a_form_sent_again_does_nothing_new(cast: Cast) -> None:
    client = own_client(cast.ana)
    ids = [
        ask(
            wish(client=client), start, client=client, account=cast.ana, now=NOW,
            key=Key("form", "body"),
        ).id
        for start in (THURSDAY_AT_TEN, THURSDAY_AT_TEN)
    ]  # fmt: skip
    assert ids == [ids[0]] * 2


def a_key_leads_to_one_answer(cast: Cast) -> None:
    """When two processes have looked at the same moment and found nothing."""
    gateway.remember(Key("form", "body"), cast.ana, now=NOW)
    with pytest.raises(IntegrityError), transaction():
        gateway.remember(Key("form", "body"), cast.bruno, now=NOW)


class Slow(MemoryMailer):
    """Takes its time for each message; while it takes the last one, another worker has a round."""

    def __init__(self, cast: Cast, *, time: timedelta) -> None:
        super().__init__()
        self.clock, self.other = SettableClock(NOW), MemoryMailer()
        self._settings, self._time = cast.settings, time

    def drain(self) -> None:
        outbox.drain(self.clock, self, self._settings)

    def send(self, message: EmailMessage) -> None:
        self.clock.advance(self._time)
        super().send(message)
        if len(self.sent) == OutboxMessage.select().count():
            outbox.drain(self.clock, self.other, self._settings)


def a_message_that_is_being_sent_is_left_alone(cast: Cast) -> None:
    """However long the messages before it took, as long as it takes less than a lease itself."""
    request(cast.ana)
    slow = Slow(cast, time=outbox.LEASE * 4 / 5)
    slow.drain()
    assert len(slow.sent) == OutboxMessage.select().count() == 2
    assert slow.other.sent == []


def what_was_sent_stays_sent(cast: Cast) -> None:
    """Whatever a worker says of it whose lease ran out."""
    request(cast.ana)

    class Failing(Slow):
        def send(self, message: EmailMessage) -> None:
            super().send(message)
            if self.other.sent:
                raise TimeoutError

    failing = Failing(cast, time=outbox.LEASE)
    failing.drain()
    assert len(failing.other.sent) == 1
    assert {row.state for row in OutboxMessage.select()} == {Delivery.SENT}
    assert invariants.violations() == {}


def what_was_blocked_is_not_accepted(cast: Cast) -> None:
    asked = request(cast.ana)
    block_time(asked.clinician_id, at(4, 9), at(4, 12), reason="", actor=cast.ines, now=NOW)
    with pytest.raises(NotFree):
        accept(asked.id, version=1, actor=cast.ines, now=NOW)


def what_lies_outside_new_hours_is_not_accepted(cast: Cast) -> None:
    asked = request(cast.ana)
    change_hours()
    with pytest.raises(NotFree):
        accept(asked.id, version=1, actor=cast.ines, now=NOW)


def a_closed_room_is_not_given(cast: Cast) -> None:
    asked = request(cast.ana, at(4, 17), location="norte")  # It has no other room.
    missing = Missing(room_id=asked.room_id)
    report_absence(
        missing, at(4, 16), at(4, 17, 30), reason="", allowed=Allowed(), actor=cast.manager, now=NOW
    )
    with pytest.raises(NotFree):
        accept(asked.id, version=1, actor=cast.ines, now=NOW)


def what_changed_since_is_not_decided(cast: Cast) -> None:
    asked = request(cast.ana)
    cancel(asked.id, account=cast.ana, now=NOW)
    with pytest.raises(ChangedMeanwhile):
        accept(asked.id, version=1, actor=cast.ines, now=NOW)


def nobody_touches_what_is_somebody_elses(cast: Cast) -> None:
    asked = request(cast.ana)
    with pytest.raises(NotYours):
        cancel(asked.id, account=cast.bruno, now=NOW)


def all_of_it_or_nothing(cast: Cast) -> None:
    asked = request(cast.ana)
    with pytest.raises(Crashed), statements(most=12):
        deny(asked.id, version=1, actor=cast.ines, now=NOW)
    assert invariants.violations() == {}
    assert Appointment.get_by_id(asked.id).version == 1


def a_person_is_erased_wholly_or_not_at_all(cast: Cast) -> None:
    who = person.by_email(cast.ana.email)
    assert who is not None
    with pytest.raises(Crashed), statements(most=12):
        erasing.erase(who, now=NOW)
    assert Client.get_by_id(who.own[0].id).erased_at is None


def time_is_blocked_for_one_thing(cast: Cast) -> None:
    columns = {"starts_at": at(4, 9), "ends_at": at(4, 10), "created_at": NOW}
    with pytest.raises(IntegrityError), transaction():
        BlockedTime.create(clinician=1, room=1, **columns)


# What keeps it.


def without_the_databases_guards(_put: Put) -> None:
    """Triggers on SQLite, EXCLUDE constraints on PostgreSQL."""
    on_sqlite = isinstance(database.obj, SqliteDatabase)
    for resource in ["all of them"] if on_sqlite else OTHERS:
        drop_guards(resource)


def without_check_and_guards(put: Put) -> None:
    broken.without_the_check(put)
    without_the_databases_guards(put)


def without_the_histories_triggers(_put: Put) -> None:
    table = "" if isinstance(database.obj, SqliteDatabase) else " ON history"
    for past in ("updated", "deleted"):
        database.execute_sql(f"DROP TRIGGER history_is_never_{past}{table}")


def without_the_index(name: str) -> Callable[[Put], None]:
    return lambda _put: database.execute_sql(f"DROP INDEX {name}")


def without_the_constraint(_put: Put) -> None:
    if isinstance(database.obj, SqliteDatabase):
        database.execute_sql("PRAGMA ignore_check_constraints = 1")
    else:
        database.execute_sql("ALTER TABLE blocked_time DROP CONSTRAINT blocked_time_check")


def without_the_transaction(put: Put) -> None:
    for module in (gateway, erasing):
        put(module, "transaction", nullcontext)


GUARDS: tuple[tuple[Callable[[Put], None], Callable[[Cast], None]], ...] = (
    (without_the_databases_guards, what_bypasses_the_gateway_is_refused),
    (without_the_histories_triggers, history_stays_as_it_was_written),
    (without_the_index("history_appointment_id_version"), a_change_has_one_row_of_history),
    (without_the_index("onetimekey_value"), a_key_leads_to_one_answer),
    (without_the_constraint, time_is_blocked_for_one_thing),
    (without_the_transaction, all_of_it_or_nothing),
    (without_the_transaction, a_person_is_erased_wholly_or_not_at_all),
    (without_check_and_guards, what_is_taken_is_not_asked_for),
    (broken.without_the_lock, one_of_many_gets_a_time),
    (broken.without_the_key, a_form_sent_again_does_nothing_new),
    (broken.without_the_lease, a_message_that_is_being_sent_is_left_alone),
    (broken.without_another_look_at_the_clock, a_message_that_is_being_sent_is_left_alone),
    (broken.without_the_fence, what_was_sent_stays_sent),
    (broken.without_the_second_look, what_was_blocked_is_not_accepted),
    (broken.without_the_second_look, what_lies_outside_new_hours_is_not_accepted),
    (broken.without_the_second_look, a_closed_room_is_not_given),
    (broken.without_the_comparison, what_changed_since_is_not_decided),
    (broken.without_the_owner, nobody_touches_what_is_somebody_elses),
)
NAMES = [promise.__name__ for _, promise in GUARDS]


@pytest.mark.parametrize("promise", [promise for _, promise in GUARDS], ids=NAMES)
def test_a_promise_is_kept(cast, promise):
    promise(cast)


@pytest.mark.parametrize(("remove", "promise"), GUARDS, ids=NAMES)
def test_without_its_guard_a_promise_is_seen_to_break(cast, monkeypatch, remove, promise):
    remove(monkeypatch.setattr)
    with pytest.raises(BROKEN):
        promise(cast)
