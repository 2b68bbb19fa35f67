"""The book against a model of it that shares no code: what is free is given, what is taken is not.

hypothesis chooses who does what, and where book and model disagree it looks for a shorter story.
"""

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, strategies
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from peewee import IntegrityError, SqliteDatabase

from booking import availability, db, gateway, outbox, practice_file
from booking.availability import Rule
from booking.clock import SettableClock
from booking.lifecycle import Event
from booking.models import Appointment, Delivery, History, OutboxMessage
from booking.operations import deadlines, deciding
from booking.settings import Settings
from booking.simulation.life import STEPS, Disagreement, Life, unless_idle
from solver import candidates
from tests.books import Books
from tests.builders import NOW
from tests.conftest import PRACTICE

DAYS_AHEAD = (1, 2, 2, 3)
PEOPLE = 6
DICE = strategies.randoms(use_true_random=False)

NewLife = Callable[[random.Random], Life]


# A way between offices that can be too long, and a room that takes a while to be ready again.
TIGHT = {
    'abre = "16:00"': 'abre = "14:15"',
    "asientos = 4": "asientos = 4\nminutos_entre_sesiones = 10",
}


@pytest.fixture(scope="module")
def tight(books: Books, prepared: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = books.copy(prepared, tmp_path_factory.mktemp("tight"))
    handle = db.connect(settings)
    text = PRACTICE.read_text()
    for usual, tighter in TIGHT.items():
        assert usual in text
        text = text.replace(usual, tighter)
    practice_file.load(text, now=NOW)
    books.close(handle)
    return settings


@pytest.fixture
def new_life(books: Books, tight: Settings, tmp_path: Path) -> Iterator[NewLife]:
    """A practice with nothing booked yet, as often as it is asked for."""
    numbers = itertools.count()
    open_books: list[Settings] = []

    def close() -> None:
        for book in open_books:
            books.close(db.database.obj)
            books.drop(book)
        open_books.clear()

    def begin(dice: random.Random) -> Life:
        close()
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        settings = books.copy(tight, folder)
        open_books.append(settings)
        handle = db.connect(settings)
        if isinstance(handle, SqliteDatabase):  # These books need not survive a power cut.
            handle.pragma("synchronous", "off", permanent=True)
        life = Life(dice, settings, now=NOW, days_ahead=DAYS_AHEAD)
        life.populate(PEOPLE)
        return life

    yield begin
    close()


class Practice(RuleBasedStateMachine):
    """Anybody does anything, over a bad line, on a server that dies now and then."""

    new_life: NewLife

    @initialize(dice=DICE)
    def open(self, dice: random.Random) -> None:
        self.life = type(self).new_life(dice)

    @rule(step=strategies.sampled_from(STEPS), dice=DICE)
    def somebody_does_something(self, step: Callable[[Life], None], dice: random.Random) -> None:
        self.life.dice = dice
        with unless_idle():
            self.life.step(step)
        self.life.check()


@pytest.mark.parametrize(
    ("runs", "steps"), [(6, 20), pytest.param(500, 40, marks=pytest.mark.long)]
)
def test_the_book_does_what_the_model_says(new_life, runs, steps):
    machine = type("Machine", (Practice,), {"new_life": staticmethod(new_life)})
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(
            max_examples=runs,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def walk(life: Life, length: int, steps: tuple[Callable[[Life], None], ...] = STEPS) -> None:
    """The same without hypothesis, for a seed."""
    for _ in range(length):
        with unless_idle():
            life.step(life.dice.choice(steps))
    life.check()


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.long) for n in range(1, 100))]
)
def test_nothing_waits_for_ever(new_life, seed):
    life = new_life(random.Random(seed))
    walk(life, 60)
    life.now += timedelta(days=5)
    life.run_deadlines()
    life.compare()
    life.check()
    states = {row.state for row in Appointment.select()}
    assert not states & {"requested", "offered"}
    life.post.down = False
    for _ in range(24):
        outbox.drain(SettableClock(life.now), life.post, life.settings)
        life.now += timedelta(hours=1)
    assert {row.state for row in OutboxMessage.select()} <= {Delivery.SENT, Delivery.DEAD}
    assert all(row.error for row in OutboxMessage.select() if row.state == Delivery.DEAD)
    life.check()


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.long) for n in range(1, 20))]
)
def test_people_are_forgotten_while_everything_goes_on(new_life, seed):
    life = new_life(random.Random(seed))
    for _ in range(3):
        walk(life, 30, (*STEPS, *[Life.erase] * 3))
        life.sleep(timedelta(days=1))
    assert life.counted["borrar: done"] + life.counted["borrar: StillOpen"]


@pytest.mark.long
def test_the_walks_reach_everything_that_can_happen(new_life):
    """A walk that is refused all the time proves nothing."""
    life = new_life(random.Random(3))
    missing = set(Event)
    for _ in range(40):
        walk(life, 40)
        life.sleep(timedelta(days=1))
        missing -= {Event(row.event) for row in History.select()}
    assert missing == {Event.LATE_CANCEL}  # The lifecycle knows it; no verb does it.
    done = sum(count for told, count in life.counted.items() if told.endswith(": done"))
    refused = sum(count for told, count in life.counted.items() if ": " in told) - done
    assert done > refused / 2


# Guards, each of them removed once: the model has to notice. Nowhere else is our code patched.


def a_minute_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A `<=` for a `<`: a session may not begin when the one before it ends."""
    beside = candidates.Scene.beside

    def wider(self, held, before, after):
        return [(a - 1, b + 1) for a, b in beside(self, held, before, after)]

    monkeypatch.setattr(candidates.Scene, "beside", wider)


def no_minutes_after(monkeypatch: pytest.MonkeyPatch) -> None:
    service = availability._service
    monkeypatch.setattr(availability, "_service", lambda row: replace(service(row), buffer_after=0))


def keys_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "answer_to", lambda key: None)
    monkeypatch.setattr(gateway, "remember", lambda key, row, *, now: None)


def accepting_checks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "STAFF_MAY_WAIVE", frozenset(Rule))


def reminders_are_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "_once", lambda appointment, due: None)


def clients_may_be_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(candidates.RULES, Rule.CLIENT, lambda scene, span: ())


def rooms_are_endless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(candidates.RULES, Rule.ROOM, lambda scene, span: ())


def nobody_travels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates._Tables, "way", lambda self, here, there: 0)


def anybody_may_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "scope", lambda actor: Appointment.id > 0)


BOOKING = (Life.ask, Life.book)
MISSING: dict[Callable[[pytest.MonkeyPatch], None], tuple[Callable[[Life], None], ...]] = {
    a_minute_more: BOOKING,
    no_minutes_after: BOOKING,
    clients_may_be_anywhere: BOOKING,
    rooms_are_endless: BOOKING,
    nobody_travels: BOOKING,
    accepting_checks_nothing: (Life.ask, Life.block, Life.accept),
    keys_are_forgotten: STEPS,
    anybody_may_decide: STEPS,
    reminders_are_repeated: (Life.ask, Life.accept, Life.let_time_pass),
}
SELDOM = (no_minutes_after, nobody_travels)  # It takes some walks until they matter.


@pytest.mark.parametrize(
    "mutate",
    [
        pytest.param(mutate, marks=pytest.mark.long if mutate in SELDOM else ())
        for mutate in MISSING
    ],
)
def test_a_guard_that_is_missing_is_noticed(new_life, monkeypatch, mutate):
    mutate(monkeypatch)
    with pytest.raises((Disagreement, IntegrityError)):
        walks(new_life, MISSING[mutate])


@pytest.mark.long
@pytest.mark.parametrize("steps", set(MISSING.values()))
def test_with_its_guards_the_same_walks_find_nothing(new_life, steps):
    walks(new_life, steps)


def walks(new_life: NewLife, steps: tuple[Callable[[Life], None], ...]) -> None:
    for seed in range(12):
        walk(new_life(random.Random(seed)), 40, steps)
