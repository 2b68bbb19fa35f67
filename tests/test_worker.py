"""The worker outlives what it meets, makes the night's copy, and knows when not to work."""

import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from booking import backup, worker
from booking.clock import SettableClock
from booking.models import OutboxMessage
from tests.builders import NOW
from tests.test_doctor import newer_migration

ROOT = Path(__file__).parents[1]


class Rounds(threading.Event):
    """Lets the loop go round so many times, with something happening between two rounds."""

    def __init__(self, *between) -> None:
        super().__init__()
        self.between = list(between)

    def wait(self, timeout=None) -> bool:
        if self.between:
            self.between.pop(0)()
        else:
            self.set()
        return True


def nothing() -> None:
    """One more round."""


@pytest.mark.sqlite
def test_the_night_has_one_copy_and_its_failure_stops_no_mail(
    app, clock, mailer, settings, confirmed, caplog
):
    backup.folder(settings).write_text("in the way")  # A file where the folder should be.
    clock.advance(timedelta(minutes=1))
    worker.loop(clock, mailer, settings, Rounds(nothing))
    assert len(mailer.sent) == OutboxMessage.select().count()
    assert caplog.text.count("tonight's copy failed") == 1  # Not every two seconds.
    assert "FileExistsError: File exists" in caplog.text
    backup.folder(settings).unlink()
    worker.loop(clock, mailer, settings, Rounds(nothing, nothing))
    assert len(backup.copies(settings)) == 1


@pytest.mark.postgresql
def test_the_log_says_what_is_missing_for_a_copy(
    app, clock, mailer, settings, caplog, tmp_path, monkeypatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    worker.loop(clock, mailer, settings, Rounds(nothing))
    assert "BackupError: Falta pg_dump" in caplog.text
    assert "apt install postgresql-client" in caplog.text


@pytest.mark.sqlite
def test_a_failed_copy_is_tried_again_an_hour_later(app, clock, mailer, settings):
    backup.folder(settings).write_text("in the way")

    def an_hour_later() -> None:
        backup.folder(settings).unlink()
        clock.advance(timedelta(hours=1))

    worker.loop(clock, mailer, settings, Rounds(an_hour_later))
    assert len(backup.copies(settings)) == 1


def test_a_clock_that_went_back_is_told(app, clock, mailer, settings, caplog):
    worker.loop(clock, mailer, settings, Rounds(lambda: clock.advance(-timedelta(hours=2))))
    assert "the clock went back by 2:00:00" in caplog.text


def test_nothing_is_sent_for_a_database_of_a_newer_version(
    app, clock, mailer, settings, confirmed, caplog
):
    newer_migration()
    clock.advance(timedelta(minutes=1))
    worker.loop(clock, mailer, settings, Rounds())
    assert mailer.sent == []
    assert "9999_future" in caplog.text


@pytest.mark.sqlite
def test_copies_and_level_are_looked_at_once_a_minute(app, clock, mailer, settings, caplog):
    seen: list[tuple[int, bool]] = []

    def lose_the_copy() -> None:
        for path in backup.copies(settings).values():
            path.unlink()

    def look() -> None:
        seen.append((len(backup.copies(settings)), "9999_future" in caplog.text))

    def a_minute_later() -> None:
        look()
        clock.advance(worker.LOOK_PAUSE)

    worker.loop(
        clock, mailer, settings,
        Rounds(lose_the_copy, a_minute_later, look, newer_migration, a_minute_later, look),
    )  # fmt: skip
    assert seen == [(0, False), (1, False), (1, False), (1, True)]


class Away:
    """A mail server that cannot be reached."""

    def __init__(self) -> None:
        self.asked = 0

    def send(self, message) -> None:
        self.asked += 1
        raise ConnectionRefusedError("nobody there")


def test_mail_waits_for_a_server_that_is_away_for_an_hour(app, mailer, settings, confirmed):
    clock, away = SettableClock(NOW + timedelta(minutes=1)), Away()
    waiting = OutboxMessage.select().where(OutboxMessage.state == "waiting")
    owed = waiting.count()
    half_an_hour = [lambda: clock.advance(timedelta(minutes=30))]
    worker.loop(clock, away, settings, Rounds(*half_an_hour * 2))
    assert (waiting.count(), away.asked > 0) == (owed, True)
    clock.advance(timedelta(hours=1))
    for _ in range(owed):
        worker.tick(clock, mailer, settings)
    assert (waiting.count(), len(mailer.sent)) == (0, owed)


def test_a_round_asks_a_server_that_is_away_once(app, clock, settings, confirmed):
    """Twenty seconds of silence for each message would hold up the deadlines."""
    clock.advance(timedelta(minutes=1))
    away = Away()
    assert OutboxMessage.select().count() > 1
    worker.tick(clock, away, settings)
    assert away.asked == 1


def test_a_worker_that_is_told_to_stop_finishes_the_mail_under_way(app, clock, settings, confirmed):
    stop = threading.Event()

    class Telling:
        """While it sends, somebody tells the worker to stop."""

        sent = 0

        def send(self, message) -> None:
            self.sent += 1
            stop.set()

    clock.advance(timedelta(minutes=1))
    due, telling = OutboxMessage.select().count(), Telling()
    assert due > 1
    worker.loop(clock, telling, settings, stop)
    sent = OutboxMessage.select().where(OutboxMessage.state == "sent")
    assert (telling.sent, sent.count()) == (1, 1)
    assert OutboxMessage.select().where(OutboxMessage.claimed_until.is_null(False)).count() <= 1


@pytest.mark.sqlite
def test_the_command_ends_by_itself_when_it_is_told_to(settings, db):
    with subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "app", "worker"], cwd=ROOT,
        env=settings.environment_of_children(), stderr=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        while not backup.copies(settings) and child.poll() is None:
            threading.Event().wait(0.1)
        child.terminate()
        assert child.wait(timeout=30) == 0
