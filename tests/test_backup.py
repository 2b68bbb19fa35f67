"""Copies are whole, rotated, and put back only where nothing is overwritten."""

import stat
import subprocess
from dataclasses import replace
from datetime import date, timedelta

import pytest

from app import create_app
from booking import backup, locks, tenancy
from booking.backup import BackupError, kept
from booking.clock import SettableClock
from booking.db import database, migrate
from booking.models import Appointment, KnownDevice, OutboxMessage, SignIn, WebSession
from booking.operations import signing_in
from booking.operations.signing_in import Browser
from booking.proof.processes import ROOT
from booking.proof.stage import FLASK
from tests.books import settings_in
from tests.builders import NOW, at, request
from tests.conftest import make_account
from tests.test_doctor import newer_migration

pytestmark = pytest.mark.sqlite


@pytest.fixture
def flask(app):
    return lambda *arguments: app.test_cli_runner().invoke(args=[str(a) for a in arguments])


@pytest.fixture
def elsewhere(tmp_path):
    """An installation without a book."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return settings_in(folder)


def test_a_copy_is_for_its_owners_eyes_and_leaves_nothing_beside_it(db, settings, tmp_path):
    made = backup.make(settings, tmp_path / "copias" / "una.db")
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert [path.name for path in made.parent.iterdir()] == ["una.db"]


def test_a_copy_that_cannot_be_made_leaves_nothing(db, settings, tmp_path):
    made = backup.make(settings, tmp_path / "copias" / "una.db")
    with pytest.raises(BackupError, match="ya existe"):
        backup.make(settings, made)
    database.execute_sql("BEGIN")  # Within a transaction SQLite refuses.
    with pytest.raises(Exception, match="within a transaction"):
        backup.make(settings, tmp_path / "copias" / "otra.db")
    database.execute_sql("ROLLBACK")
    assert [path.name for path in made.parent.iterdir()] == ["una.db"]


def test_postgresqls_tool_is_asked_for_by_name(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    there = replace(settings, database_url="postgresql://citas:clave@localhost/citas")
    with pytest.raises(BackupError, match="Falta pg_dump"):
        backup.make(there, tmp_path / "copia.dump")


def test_postgresqls_password_is_not_among_the_arguments(settings, tmp_path, monkeypatch):
    tool = tmp_path / "pg_dump"
    tool.write_text('#!/bin/sh\necho "$PGPASSWORD|$*" >&2\nexit 1\n')
    tool.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    url = "postgresql://citas:cl%40ve@db.example:5433/citas?sslmode=require"
    there = replace(settings, database_url=url)
    with pytest.raises(BackupError) as told:
        backup.make(there, tmp_path / "copia.dump")
    password, _, arguments = str(told.value).partition("|")
    assert password == "pg_dump: cl@ve"
    assert "cl%40ve" not in arguments
    assert "--dbname=postgresql://citas@db.example:5433/citas?sslmode=require" in arguments


def test_postgresqls_tool_is_not_waited_for_without_end(settings, tmp_path, monkeypatch):
    tool = tmp_path / "pg_dump"
    tool.write_text("#!/bin/sh\nexec /bin/sleep 20\n")
    tool.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(backup, "TOOL_SECONDS", 0.2)
    there = replace(settings, database_url="postgresql://localhost/citas")
    with pytest.raises(BackupError, match="pg_dump no terminó en"):
        backup.make(there, tmp_path / "copia.dump")
    assert not list(tmp_path.glob(".citas-*"))


# Every night.


def test_every_night_has_one_copy_from_three_oclock_on(db, settings):
    assert backup.nightly(settings, now=at(2, 2, 59)) is None
    made = backup.nightly(settings, now=at(2, 3))
    assert made
    assert made.name == "citas-2027-03-02.db"
    assert backup.nightly(settings, now=at(2, 17)) is None
    assert backup.nightly(settings, now=at(3, 9))
    assert set(backup.copies(settings)) == {date(2027, 3, 2), date(2027, 3, 3)}


def test_of_two_workers_one_makes_the_copy(db, settings):
    backup.folder(settings).mkdir()
    with (backup.folder(settings) / ".turno").open("a") as other:
        assert locks.lock_now(other.fileno())
        assert backup.nightly(settings, now=at(2, 3)) is None
    assert backup.nightly(settings, now=at(2, 3))


def test_what_a_worker_left_that_died_at_it_is_cleared_away(db, settings):
    backup.folder(settings).mkdir()
    left = backup.folder(settings) / ".citas-abc.parcial"
    left.write_text("half")
    backup.nightly(settings, now=at(2, 3))
    assert not left.exists()


def test_copies_are_kept_by_day_week_and_month_and_no_others(db, settings):
    backup.folder(settings).mkdir()
    ours = backup.folder(settings) / "citas-2020-01-01-1200.db"  # Made by hand: not ours to remove.
    ours.touch()
    for n in range(1, 100):
        (backup.folder(settings) / f"citas-{date(2027, 3, 2) - timedelta(days=n)}.db").touch()
    backup.nightly(settings, now=at(2, 3))
    days = set(backup.copies(settings))
    daily = {date(2027, 3, 2) - timedelta(days=n) for n in range(7)}
    weekly = {date(2027, 3, 2), date(2027, 2, 28), date(2027, 2, 21), date(2027, 2, 14)}
    monthly = {date(2027, 2, 28), date(2027, 1, 31), date(2026, 12, 31), date(2026, 11, 30)}
    assert days == daily | weekly | monthly
    assert ours.exists()


def test_a_year_of_nights_keeps_some_of_every_age():
    """Night after night, as it happens: what is needed later is never removed before."""
    days: set[date] = set()
    for n in range(800):
        days = kept(days | {date(2025, 1, 1) + timedelta(days=n)})
    assert len(days) <= 7 + 4 + 12
    assert min(days) == date(2026, 4, 30)


# Put back.


def test_restoring_tells_what_was_done_and_examines_it(flask, settings, elsewhere, confirmed):
    made = flask("backup", settings.data_dir / "copia.db")
    assert made.exit_code == 0, made.output
    assert "1 cita" in made.output
    database.close()
    other = create_app(elsewhere, clock=SettableClock(NOW)).test_cli_runner()
    told = other.invoke(args=["restore", str(settings.data_dir / "copia.db")])
    assert told.exit_code == 0, told.output
    assert "1 cita" in told.output
    assert Appointment.get().id == confirmed.id


def test_what_was_open_when_a_copy_was_made_is_closed_in_it(flask, settings, elsewhere, confirmed):
    account = confirmed.account
    signing_in.open_session(account, Browser(), now=NOW)
    KnownDevice.create(account=account, token_hash="x", created_at=NOW, expires_at=at(30, 9))
    proof = signing_in.ask_for_mail(
        account.email, browser="b", next_path="", language="es", now=NOW
    )
    links_before = {row.id: row.nonce for row in SignIn.select()}
    made = backup.make(settings, settings.data_dir / "copia.db")
    database.close()
    other = create_app(elsewhere, clock=SettableClock(NOW)).test_cli_runner()
    told = other.invoke(args=["restore", str(made)])
    assert told.exit_code == 0, told.output
    assert "flask account disable" in told.output
    assert WebSession.select().where(WebSession.ended_at.is_null()).count() == 0
    assert KnownDevice.select().count() == 0
    assert not signing_in.is_alive(SignIn.get_by_id(proof.id), now=NOW)
    waiting = [m.sign_in for m in OutboxMessage.select() if m.appointment_id and m.sign_in_id]
    assert waiting
    assert all(signing_in.is_alive(row, now=NOW) for row in waiting)
    assert all(row.nonce != links_before[row.id] for row in waiting)


def test_what_a_restoring_left_that_was_killed_is_cleared_away(db, settings, elsewhere):
    made = backup.make(settings, settings.data_dir / "copia.db")
    left = elsewhere.data_dir / ".citas-abc.parcial"
    left.write_text("half")
    backup.restore(made, elsewhere)
    assert not left.exists()


def test_a_copy_without_a_practice_is_put_back_and_what_it_lacks_is_told(elsewhere, tmp_path):
    empty = settings_in(tmp_path / "empty")
    create_app(empty)
    migrate()
    made = backup.make(empty, tmp_path / "copia.db")
    database.close()
    other = create_app(elsewhere, clock=SettableClock(NOW)).test_cli_runner()
    told = other.invoke(args=["restore", str(made)])
    assert told.exit_code == 0, told.output
    assert "practice load" in told.output


def test_a_copy_that_breaks_a_promise_is_told(flask, settings, elsewhere, confirmed):
    database.execute_sql("DELETE FROM occupancy")
    made = backup.make(settings, settings.data_dir / "copia.db")
    database.close()
    other = create_app(elsewhere, clock=SettableClock(NOW)).test_cli_runner()
    told = other.invoke(args=["restore", str(made)])
    assert told.exit_code == 1
    assert "I1–I3" in told.output


def test_a_live_book_is_not_overwritten(flask, settings, confirmed):
    made = backup.make(settings, settings.data_dir / "copia.db")
    told = flask("restore", made)
    assert told.exit_code == 1
    assert "1 cita" in told.output
    assert f"mv {settings.sqlite_path}" in told.output
    assert Appointment.select().count() == 1


@pytest.mark.parametrize("page", [0, 1], ids=["no database", "malformed"])
def test_a_damaged_book_is_told_how_to_make_way(flask, settings, db, page):
    made = backup.make(settings, settings.data_dir / "copia.db")
    database.close()
    size = settings.sqlite_path.stat().st_size
    with settings.sqlite_path.open("r+b") as damaged:
        damaged.seek(4096 * page)
        damaged.write(b"\xff" * (size - 4096 * page))
    examined = flask("doctor")
    assert examined.exit_code == 2
    assert "flask --app app restore" in examined.output
    assert "escribir" not in examined.output
    told = flask("restore", made)
    assert told.exit_code == 1
    assert "está dañado" in told.output
    assert f"mv {settings.sqlite_path}" in told.output
    database.close()
    settings.sqlite_path.rename(f"{settings.sqlite_path}.antes")
    assert flask("restore", made).exit_code == 0


@pytest.mark.parametrize("works", [tenancy.sole_server, tenancy.at_work], ids=["server", "worker"])
def test_a_book_is_not_restored_beside_who_has_the_one_before_open(
    flask, settings, db, tmp_path, works
):
    """Moved away it is still theirs: a worker would go on sending from it."""
    made = backup.make(settings, settings.data_dir / "copia.db")
    with works(settings):
        aside = tmp_path / "antes"
        aside.mkdir()
        for path in settings.data_dir.glob("citas.db*"):
            path.rename(aside / path.name)
        database.close()
        told = flask("restore", made)
        assert told.exit_code == 1
        assert "Un servidor o un flask worker trabaja" in told.output
        assert not settings.sqlite_path.exists()
    assert flask("restore", made).exit_code == 0


def test_workers_share_a_book_but_begin_at_none_that_is_being_restored(settings, db):
    with tenancy.at_work(settings), tenancy.at_work(settings):
        pass
    with tenancy.at_work(settings, alone=True):
        begun = subprocess.run(
            [*FLASK, "worker"], cwd=ROOT, env=settings.environment_of_children(), timeout=60,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert begun.returncode == 1
    assert "Se está restaurando" in begun.stderr


def test_changes_that_were_left_beside_a_moved_book_are_not_lost(db, settings, elsewhere):
    made = backup.make(settings, settings.data_dir / "copia.db")
    wal = elsewhere.data_dir / "citas.db-wal"
    wal.write_bytes(b"changes")
    with pytest.raises(BackupError, match="últimos cambios"):
        backup.restore(made, elsewhere)
    assert wal.read_bytes() == b"changes"


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0", b"hola" * 2000], ids=repr)
def test_what_is_no_copy_is_refused(elsewhere, tmp_path, content):
    file = tmp_path / "x.db"
    file.write_bytes(content[:40] + bytes(4000) if content else b"")
    with pytest.raises(BackupError):
        backup.restore(file, elsewhere)
    assert not (elsewhere.data_dir / "citas.db").exists()


def test_a_copy_that_is_cut_off_is_refused(db, settings, elsewhere):
    made = backup.make(settings, settings.data_dir / "copia.db")
    made.write_bytes(made.read_bytes()[:-8192])
    with pytest.raises(BackupError, match="dañado"):
        backup.restore(made, elsewhere)


def test_a_copy_of_a_newer_version_is_refused(db, settings, elsewhere):
    newer_migration()
    made = backup.make(settings, settings.data_dir / "copia.db")
    with pytest.raises(BackupError, match="más nueva"):
        backup.restore(made, elsewhere)


def test_a_copy_of_the_other_sort_of_database_is_refused(db, settings, elsewhere):
    made = backup.make(settings, settings.data_dir / "copia.db")
    there = replace(elsewhere, database_url="postgresql://localhost/citas")
    with pytest.raises(BackupError, match="otra clase"):
        backup.restore(made, there)
    assert request(make_account("Ana", "ana@example.com")).id
