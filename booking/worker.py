"""The loop that does what is due and sends what is owed: a thread of the server, or a process."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from booking import backup, db, levels, outbox
from booking.clock import Clock
from booking.db import connected, database
from booking.logs import trace
from booking.mailer import Mailer
from booking.operations import deadlines, erasing
from booking.settings import Settings

PAUSE_SECONDS = 2.0
BACKUP_PAUSE = timedelta(hours=1)  # Until a copy that failed is tried again.
PURGE_PAUSE = timedelta(days=1)
LOOK_PAUSE = timedelta(minutes=1)  # At what seldom changes: the database's level, the copies.
SKEW = timedelta(seconds=30)

log = logging.getLogger(__name__)


def tick(
    clock: Clock,
    mailer: Mailer,
    settings: Settings,
    told_to_stop: Callable[[], bool] = lambda: False,
) -> int:
    """One round: deadlines first, since they owe messages; how much was done."""
    done = 0
    try:
        done = deadlines.run(now=clock.now())
    except Exception as error:  # What one appointment meets must not hold up everybody's mail.
        log.error("worker: the deadlines failed\n%s", trace(error))
    return done + outbox.drain(clock, mailer, settings, told_to_stop)


def loop(clock: Clock, mailer: Mailer, settings: Settings, stop: threading.Event) -> None:
    """Rounds until `stop` is set; what fails in one is tried again in the next."""
    look_from = copy_from = purge_from = last = clock.now()
    forgotten = 0
    while not stop.is_set():
        now = clock.now()
        if now < last - SKEW:
            log.warning("worker: the clock went back by %s; see flask doctor", last - now)
            look_from = copy_from = purge_from = now
        last = now
        try:
            with connected():
                if now >= look_from:
                    levels.refuse_newer()
                    forgotten += erasing.forget_registrations(now=now)
                    _scrub()
                    look_from = now + LOOK_PAUSE
                tick(clock, mailer, settings, stop.is_set)
                if now >= purge_from:
                    if erasing.purge(now=now) + forgotten:
                        db.unmark()
                    forgotten = 0
                    purge_from = now + PURGE_PAUSE
                if now >= copy_from:
                    copy_from = _copy(settings, now)
        except levels.DatabaseIsNewer as newer:
            log.error("worker: waiting, since a newer version changed the database (%s)", newer)
        except Exception as error:  # It outlives whatever one round meets: a locked or full disk.
            log.error("worker: this round failed\n%s", trace(error))
        stop.wait(PAUSE_SECONDS)
    database.close()


def _scrub() -> None:
    """Once somebody was erased, leave nothing of them in the file, which knows of how many."""
    erased = erasing.count_erased()
    try:
        if erased != db.mark():
            db.scrub(erased)
    except Exception as error:  # Mail does not wait for a disk that is too small for a second file.
        log.error("worker: what was erased is still in the file\n%s", trace(error))


def _copy(settings: Settings, now: datetime) -> datetime:
    """Make tonight's copy if it is due; when to look again."""
    try:
        made = backup.nightly(settings, now=now)
    except Exception as error:  # Mail does not wait for a disk that is too small for copies.
        log.error("worker: tonight's copy failed\n%s", trace(error))
        return now + BACKUP_PAUSE
    if made:
        log.info("worker: made %s", made)
    return now + LOOK_PAUSE


def start(clock: Clock, mailer: Mailer, settings: Settings, stop: threading.Event) -> None:
    """Run the loop beside the server until `stop` is set."""
    threading.Thread(
        target=loop, args=(clock, mailer, settings, stop), name="worker", daemon=True
    ).start()
