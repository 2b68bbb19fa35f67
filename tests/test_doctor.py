"""`flask doctor` says what is wrong with a book and its surroundings, and changes neither."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from peewee import PeeweeException, PostgresqlDatabase

from app import create_app
from booking import backup, demo, doctor, fingerprint, history, invariants, occupancy, practice_file
from booking.clock import SettableClock
from booking.db import database, migrate
from booking.doctor import CannotRun, Finding, Verdict
from booking.models import (
    Appointment,
    History,
    Occupancy,
    OutboxMessage,
    Withdrawn,
)
from booking.operations import erasing, signing_in
from booking.queries import person
from booking.settings import Environment
from tests.books import settings_in
from tests.builders import NOW, at, request
from tests.conftest import PRACTICE
from tests.test_history import rewrite

DEMO = Path(__file__).parent.parent / "demo" / "consultorio.toml"


@pytest.fixture
def flask(app):
    return lambda *arguments: app.test_cli_runner().invoke(args=[str(a) for a in arguments])


@pytest.fixture
def look(settings, clock) -> Callable[[], list[Finding]]:
    return lambda: doctor.examine(settings, now=clock.now())


def not_fine(findings: list[Finding]) -> set[tuple[str, str]]:
    """Which lines are not as they are in every new test's book."""
    usual = {("secreto", "aviso"), ("dirección", "aviso"), ("I14", "aviso")}
    if isinstance(database.obj, PostgresqlDatabase):
        usual.add(("I5", "mal"))  # The tests' server trades that for speed, and it is noticed.
        usual.add(("I14", "mal"))  # This machine may have an older pg_dump, or none.
    odd = (Verdict.REMARK, Verdict.WRONG)
    return {(f.check, f.verdict.value) for f in findings if f.verdict in odd} - usual


def told(findings: list[Finding], check: str) -> str:
    return " ".join(f"{f.words} {f.rows}" for f in findings if f.check == check)


@pytest.mark.sqlite
def test_the_demonstrations_book_is_in_order(tmp_path):
    settings = settings_in(tmp_path)
    app = create_app(settings, clock=SettableClock(NOW))
    migrate()
    practice_file.load(DEMO, now=NOW)
    demo.fill(weeks=2, seed=1, now=NOW)
    examined = app.test_cli_runner().invoke(args=["doctor"])
    assert examined.exit_code == 0, examined.output
    assert "✗" not in examined.output
    assert invariants.violations() == {}
    database.close()


def test_a_book_in_order_is_told_line_by_line(flask, confirmed):
    examined = flask("doctor")
    lines = examined.output.splitlines()
    for check in [f"I{n}" for n in range(1, 15)]:
        assert any(line[2:].split()[0] == check for line in lines), check
    wrong = {line.split()[1] for line in lines if line.startswith("✗")}
    on_postgresql = isinstance(database.obj, PostgresqlDatabase)
    assert wrong - {"I14"} == ({"I5"} if on_postgresql else set())
    assert examined.exit_code == int(bool(wrong))


def test_what_rows_cannot_show_is_said_with_what_does(look, confirmed):
    unseen = {f.check: f.words for f in look() if f.verdict is Verdict.UNSEEN}
    assert set(unseen) == {"I5", "I6", "I9", "I11", "I13"}
    assert "flask prove" in unseen["I5"]


def test_a_program_can_read_it(flask, confirmed):
    Occupancy.delete().execute()
    examined = flask("doctor", "--json")
    assert examined.exit_code == 1
    wrong = next(each for each in json.loads(examined.output) if each["verdict"] == "mal")
    assert wrong["check"] == "I1–I3"
    assert f"cadena {confirmed.chain}" in wrong["rows"][0]


def test_every_invariant_has_its_line(look):
    asked = {promise.find for promise in doctor.PROMISES}
    assert asked == {*invariants.ALL, history.violations}


def test_a_history_that_was_rewritten_is_noticed(look, flask, confirmed):
    rewrite(f"UPDATE history SET at = at + 1 WHERE appointment_id = {confirmed.id} AND version = 2")
    wrong = {f.words: f.rows for f in look() if f.check == "I4" and f.verdict is Verdict.WRONG}
    assert list(wrong.values()) == [(f"cita {confirmed.id}, versión 2",)]
    assert "flask history verify" in next(iter(wrong))
    assert flask("doctor").exit_code == 1


def test_hours_that_changed_later_are_a_remark(look, confirmed, db):
    text = PRACTICE.read_text() + '\n[[feriados]]\nfecha = 2027-03-04\nnombre = "Elecciones"\n'
    practice_file.load(text, now=NOW)
    findings = look()
    assert not_fine(findings) == {("I8", "aviso")}
    assert f"cita {confirmed.id}" in told(findings, "I8")
    assert doctor.worst([each for each in findings if each.check == "I8"]) == 0


def test_minutes_between_sessions_that_grew_later_double_nothing(look, confirmed, ana):
    close = request(ana, at(4, 11, 15))
    Appointment.update(room=confirmed.room_id, clinician=2).where(
        Appointment.id == close.id
    ).execute()
    occupancy.rewrite([close.chain])
    more = PRACTICE.read_text().replace('clave = "c1"', 'clave = "c1"\nminutos_entre_sesiones = 30')
    practice_file.load(more, now=NOW)
    findings = {(f.check, f.verdict) for f in look() if f.check == "I2"}
    assert findings == {("I2", Verdict.FINE), ("I2", Verdict.REMARK)}


def test_many_violations_are_counted_and_few_are_shown(look, confirmed):
    for version in range(10, 20):
        History.create(
            appointment=confirmed, version=version, event="expire", before="x", after="y",
            actor="system", at=NOW, starts_at=NOW,
        )  # fmt: skip
    wrong = [f for f in look() if f.check == "I4" and "y 5 más" in f.rows]
    assert wrong
    assert len(wrong[0].rows) == 6


def test_it_changes_nothing_even_if_it_wanted_to(look, confirmed):
    with doctor.snapshot(), pytest.raises(PeeweeException, match=r"read-?only"):
        Occupancy.delete().execute()
    look()
    assert Occupancy.delete().execute() > 0  # Only meanwhile.


# What it stands on.


@pytest.mark.sqlite
@pytest.mark.parametrize("name", sorted(doctor.TRIGGERS))
def test_a_guard_that_is_gone_is_noticed(look, db, name):
    database.execute_sql(f"DROP TRIGGER {name}")
    findings = look()
    assert not_fine(findings) == {("guardas", "mal")}
    assert name in told(findings, "guardas")


@pytest.mark.sqlite
def test_writing_that_a_power_cut_may_lose_is_noticed(look, db):
    database.execute_sql("PRAGMA synchronous = OFF")
    assert not_fine(look()) == {("I5", "mal")}


def test_a_database_of_a_newer_version_is_noticed(look, db):
    newer_migration()
    findings = look()
    assert not_fine(findings) == {("migraciones", "mal")}
    assert "9999_future" in told(findings, "migraciones")


def newer_migration() -> None:
    database.execute_sql(
        "INSERT INTO schema_migration (name, applied) VALUES ('9999_future', '2030-01-01')"
    )


def test_a_database_without_all_tables_cannot_be_examined(flask, db):
    database.execute_sql("DELETE FROM schema_migration WHERE name = '0003_replans'")
    examined = flask("doctor")
    assert examined.exit_code == 2
    assert "db upgrade" in examined.output
    assert "0003" in json.loads(flask("doctor", "--json").output)["error"]


@pytest.mark.sqlite
def test_no_database_is_no_reason_to_make_one(tmp_path, settings):
    elsewhere = replace(settings, database_url=f"sqlite:///{tmp_path / 'none' / 'citas.db'}")
    with pytest.raises(CannotRun, match="No hay base de datos"):
        doctor.examine(elsewhere, now=NOW)
    assert not (tmp_path / "none").exists()


@pytest.mark.sqlite
def test_a_file_that_is_no_database_cannot_be_examined(tmp_path):
    (tmp_path / "citas.db").write_bytes(b"no es una base de datos" * 100)
    app = create_app(settings_in(tmp_path), clock=SettableClock(NOW))
    examined = app.test_cli_runner().invoke(args=["doctor"])
    assert examined.exit_code == 2
    assert "está dañada" in examined.output
    assert "flask --app app restore" in examined.output


@pytest.mark.sqlite
def test_a_folder_in_which_sqlite_cannot_write_is_told(flask, settings):
    (settings.data_dir / "citas.db-wal").mkdir()
    examined = flask("doctor")
    assert examined.exit_code == 2
    assert f"tiene que poder escribir en {settings.data_dir}" in examined.output
    assert "restore" not in examined.output


# The day's work.


def test_mail_that_does_not_leave_is_noticed_without_telling_addresses(look, clock, confirmed):
    why = "gaierror('no hay servidor para ana@example.com')"
    OutboxMessage.update(error=why, due_at=NOW + timedelta(hours=1)).execute()
    clock.advance(timedelta(minutes=40))
    findings = look()
    assert not_fine(findings) == {("correo", "mal")}
    assert "hace 40 minutos" in told(findings, "correo")
    assert "gaierror" in told(findings, "correo")
    assert "ana@" not in told(findings, "correo")


def test_mail_that_was_given_up_is_told_with_its_reasons(look, confirmed):
    OutboxMessage.update(state="dead", error="{'ana@example.com': (550, b'no')}").execute()
    findings = look()
    assert not_fine(findings) == {("I7", "aviso")}
    assert "550" in told(findings, "I7")
    assert "ana@" not in told(findings, "I7")


def test_mail_that_was_given_up_long_ago_is_no_news(look, confirmed):
    OutboxMessage.update(
        state="dead", error="TimeoutError()", created_at=NOW - timedelta(days=30)
    ).execute()
    assert not_fine(look()) == set()


@pytest.mark.parametrize("why", Withdrawn)
def test_mail_that_was_withdrawn_is_no_failure(look, confirmed, why):
    OutboxMessage.update(state="dead", error=why.value).execute()
    assert not_fine(look()) == set()


def test_what_an_erased_person_does_not_get_is_no_failure(look, ana):
    signing_in.ask_for_mail(ana.email, browser="b", next_path="", language="es", now=NOW)
    known = person.by_email(ana.email)
    assert known is not None
    erasing.erase(known, now=NOW)
    assert OutboxMessage.get().state == "dead"
    assert not_fine(look()) == set()


def test_a_lease_that_does_not_end_is_noticed(look, confirmed):
    OutboxMessage.update(claimed_until=NOW + timedelta(days=1)).execute()
    assert not_fine(look()) == {("I7", "mal")}


def test_deadlines_that_nobody_attends_to_are_noticed(look, clock, app, ana):
    asked = request(ana)
    OutboxMessage.update(state="sent", sent_at=NOW).execute()
    clock.set(asked.answer_by + timedelta(hours=1))
    findings = look()
    assert not_fine(findings) - {("I14", "mal")} == {("plazos", "mal")}
    assert "flask worker" in told(findings, "plazos")


def test_a_clock_that_went_back_is_noticed(look, clock, confirmed):
    clock.advance(-timedelta(hours=3))
    findings = look()
    assert not_fine(findings) == {("reloj", "mal")}
    assert "va 3 horas por detrás" in told(findings, "reloj")
    clock.advance(-timedelta(days=1, minutes=1))
    assert "va 1 día y 3 horas por detrás" in told(look(), "reloj")


# Its surroundings.


def test_a_weak_secret_and_an_open_address_are_remarks_in_the_demonstration_only(settings, db):
    findings = doctor.examine(settings, now=NOW)
    usual = {(f.check, f.verdict.value) for f in findings if f.check in ("secreto", "dirección")}
    assert usual == {("secreto", "aviso"), ("dirección", "aviso")}
    production = replace(settings, environment="production")
    assert not_fine(doctor.examine(production, now=NOW)) == {
        ("secreto", "mal"),
        ("dirección", "mal"),
    }
    proper = replace(
        production, secret_key="Zq8vXn2LrT5wYb7KdM4cJh9PgFs1AeUo", base_url="https://citas.example"
    )
    assert not_fine(doctor.examine(proper, now=NOW)) == {("red", "aviso")}
    proper = replace(proper, trusted_proxies=1)
    assert not_fine(doctor.examine(proper, now=NOW)) == set()


def test_another_key_than_the_servers_is_noticed(settings, look, db):
    assert fingerprint.remember(settings) is False
    assert not_fine(look()) == set()
    other = replace(settings, secret_key="other" * 10)
    assert not_fine(doctor.examine(other, now=NOW)) == {("clave", "mal")}
    assert fingerprint.remember(other) is True
    assert fingerprint.remember(other) is False
    file = settings.data_dir / "clave.huella"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "other" not in file.read_text()


@pytest.mark.sqlite
def test_a_book_that_everybody_on_the_machine_can_read_is_noticed(settings, look, db):
    settings.data_dir.chmod(0o755)
    settings.sqlite_path.chmod(0o600)
    settings.data_dir.parent.chmod(0o700)
    assert not_fine(look()) == set()
    settings.sqlite_path.chmod(0o644)
    findings = look()
    assert not_fine(findings) == {("permisos", "aviso")}
    assert f"chmod go= {settings.sqlite_path}" in told(findings, "permisos")
    settings.data_dir.chmod(0o700)
    assert not_fine(look()) == set()


@pytest.mark.sqlite
def test_the_newest_copy_is_looked_at(settings, look, clock, confirmed):
    clock.set(at(1, 4))
    made = backup.nightly(settings, now=clock.now())
    assert "con 1 cita," in told(look(), "I14")
    clock.set(at(4, 4))
    OutboxMessage.update(state="sent", sent_at=NOW).execute()
    assert ("I14", "mal") in {(f.check, f.verdict.value) for f in look()}
    clock.set(at(3, 4))
    assert ("I14", "aviso") in {(f.check, f.verdict.value) for f in look()}
    with made.open("r+b") as damaged:
        damaged.seek(4096)
        damaged.write(b"\xff" * 4096)
    findings = look()
    assert ("I14", "mal") in {(f.check, f.verdict.value) for f in findings}
    assert "dañado" in told(findings, "I14")
    assert Appointment.select().count() == 1


@pytest.mark.sqlite
def test_a_copy_made_by_hand_counts_as_well(flask, look, confirmed):
    assert "Todavía no hay respaldos" in told(look(), "I14")
    assert flask("backup").exit_code == 0
    assert "El último respaldo es del" in told(look(), "I14")


@pytest.mark.sqlite
def test_nights_without_any_copy_are_wrong_except_in_the_demonstration(settings, confirmed):
    def said(environment: Environment, days: int) -> list[Verdict]:
        book = replace(settings, environment=environment)
        found = doctor.examine(book, now=NOW + timedelta(days=days))
        return [f.verdict for f in found if f.check == "I14"]

    assert said(Environment.PRODUCTION, 2) == [Verdict.REMARK]
    assert said(Environment.PRODUCTION, 3) == [Verdict.WRONG]
    assert said(Environment.DEMO, 3) == [Verdict.REMARK]


def works_here(settings) -> None:
    """As after the first night of a worker on this machine."""
    backup.folder(settings).mkdir()
    (backup.folder(settings) / ".turno").touch()


@pytest.mark.postgresql
def test_no_copies_where_only_pages_are_served_are_no_fault(settings, confirmed):
    book = replace(settings, environment=Environment.PRODUCTION)

    def said() -> tuple[set[Verdict], str]:
        found = doctor.examine(book, now=NOW + timedelta(days=3))
        return {f.verdict for f in found if f.check == "I14"} - {Verdict.FINE}, told(found, "I14")

    verdicts, words = said()
    assert verdicts == {Verdict.REMARK}
    assert "Aquí no se hacen respaldos" in words
    works_here(settings)
    verdicts, words = said()
    assert Verdict.WRONG in verdicts
    assert "Todavía no hay respaldos" in words


@pytest.mark.postgresql
def test_a_worker_that_looks_for_the_nights_copy_leaves_word(db, settings, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not backup.makes_copies(settings)
    with pytest.raises(backup.BackupError):
        backup.nightly(settings, now=at(2, 4))
    assert backup.makes_copies(settings)


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("version", "words"), [("13.4", "es de PostgreSQL 13"), (None, "Falta pg_dump")]
)
def test_a_postgresql_that_cannot_be_copied_from_here_is_noticed(
    look, db, settings, tmp_path, monkeypatch, version, words
):
    for tool in ("pg_dump", "pg_restore") if version else ():
        program = tmp_path / tool
        program.write_text(f"#!/bin/sh\necho '{tool} (PostgreSQL) {version} (Debian)'\n")
        program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    works_here(settings)
    findings = look()
    assert any(f.check == "I14" and f.verdict is Verdict.WRONG for f in findings)
    assert words in told(findings, "I14")
