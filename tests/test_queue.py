"""The one queue of writers: nobody waits in it for ever, and nobody who gave up blocks it."""

import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
from peewee import OperationalError

from booking import db
from booking.db import database, transaction
from booking.models import Practice

HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def impatient(books, settings, monkeypatch):
    """The test's book, for writers who wait a tenth of a second."""
    monkeypatch.setattr(db, "QUEUE_SECONDS", 0.1)
    if settings.on_postgresql:
        settings = replace(
            settings, database_url=f"{settings.database_url}&options=-c%20lock_timeout%3D100"
        )
    handle = db.connect(settings)
    yield settings
    books.close(handle)


@contextmanager
def another_thread_writing():
    writing, done = threading.Event(), threading.Event()

    def write() -> None:
        with transaction():
            writing.set()
            done.wait(timeout=30)
        database.close()

    thread = threading.Thread(target=write)
    thread.start()
    writing.wait(timeout=30)
    yield
    done.set()
    thread.join(timeout=30)


def rename(name: str) -> None:
    with transaction():
        Practice.update(name=name).execute()


@pytest.mark.usefixtures("impatient")
def test_whoever_has_waited_long_enough_is_told_so_and_may_come_again():
    with another_thread_writing(), pytest.raises(OperationalError):
        rename("En vano")
    rename("A su tiempo")
    assert Practice.get().name == "A su tiempo"


@contextmanager
def process_writing(settings):
    lock = settings.data_dir / "citas.db.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, lock],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        yield
        holder.stdin.close()


@pytest.mark.sqlite
def test_a_process_that_keeps_the_queue_is_not_waited_for_either(impatient):
    with process_writing(impatient), pytest.raises(OperationalError, match="too long"):
        rename("En vano")
    rename("A su tiempo")  # The turn that came too late was let go of.
    assert Practice.get().name == "A su tiempo"


@pytest.mark.sqlite
def test_the_wait_for_threads_and_that_for_processes_are_one(impatient, monkeypatch):
    """Whoever stands behind a thread that waits in vain does not wait in vain once more."""
    monkeypatch.setattr(db, "QUEUE_SECONDS", 1.0)

    def wait_in_vain() -> None:
        with pytest.raises(OperationalError, match="too long"):
            rename("En vano")
        database.close()

    with process_writing(impatient):
        first = threading.Thread(target=wait_in_vain)
        first.start()
        while not db.database.obj._threads.locked():
            first.join(timeout=0.01)
        began = time.monotonic()
        with pytest.raises(OperationalError):
            rename("También en vano")
        assert time.monotonic() - began < 1.5
        first.join(timeout=30)


@pytest.mark.sqlite
def test_a_turn_that_cannot_be_had_is_a_book_that_cannot_be_written(impatient):
    lock = impatient.data_dir / "citas.db.lock"
    lock.unlink(missing_ok=True)
    lock.mkdir()
    with pytest.raises(OperationalError, match=r"citas\.db\.lock"):
        rename("En vano")
    lock.rmdir()
    rename("A su tiempo")
    assert Practice.get().name == "A su tiempo"


def test_a_child_process_does_not_touch_what_its_parent_has_open(db):
    assert Practice.get()  # Connected.
    child = os.fork()
    if child == 0:
        os._exit(0 if database.is_closed() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert Practice.get().name
