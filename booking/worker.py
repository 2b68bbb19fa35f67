"""The loop that does what is due and sends what is owed: a thread of the server, or a process."""

import logging
import threading

from booking import outbox
from booking.clock import Clock
from booking.db import connected, database
from booking.mailer import Mailer
from booking.operations import deadlines
from booking.settings import Settings

PAUSE_SECONDS = 2.0

log = logging.getLogger(__name__)


def tick(clock: Clock, mailer: Mailer, settings: Settings) -> int:
    """One round: deadlines first, since they owe messages; how much was done."""
    done = 0
    try:
        done = deadlines.run(now=clock.now())
    except Exception:  # What one appointment meets must not hold up everybody's mail.
        log.exception("worker: the deadlines failed")
    return done + outbox.drain(mailer, settings, now=clock.now())


def loop(clock: Clock, mailer: Mailer, settings: Settings, stop: threading.Event) -> None:
    """Rounds until `stop` is set; what fails in one is tried again in the next."""
    while not stop.is_set():
        try:
            with connected():
                tick(clock, mailer, settings)
        except Exception:  # The worker outlives whatever one round meets: a locked or full disk.
            log.exception("worker: this round failed")
        stop.wait(PAUSE_SECONDS)
    database.close()


def start(clock: Clock, mailer: Mailer, settings: Settings) -> threading.Event:
    """Run the loop beside the server; setting the event ends it."""
    stop = threading.Event()
    threading.Thread(
        target=loop, args=(clock, mailer, settings, stop), name="worker", daemon=True
    ).start()
    return stop
