"""The loop that does what is due and sends what is owed: a thread of the server, or a process."""

import logging
import threading

from booking import outbox
from booking.clock import Clock
from booking.db import database
from booking.mailer import Mailer
from booking.operations import deadlines, erasing
from booking.settings import Settings

PAUSE_SECONDS = 2.0
ROUNDS_BETWEEN_PURGES = 1800  # About an hour.

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
    rounds = 0
    while not stop.is_set():
        try:
            database.connect(reuse_if_open=True)
            if rounds % ROUNDS_BETWEEN_PURGES == 0:
                erasing.purge(now=clock.now())
            rounds += 1
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
