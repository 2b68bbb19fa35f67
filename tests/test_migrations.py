"""Migrations make exactly the tables that the models describe, with their guards, once."""

import ast
import shutil
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from peewee import IntegrityError, SqliteDatabase
from playhouse.migrations import Runner
from playhouse.schema_diff import diff_models

from booking import db as database
from booking import demo, history, practice_file
from booking.models import (
    ALL,
    Account,
    Client,
    History,
    Holiday,
    Occupancy,
    Practice,
    Service,
    SignIn,
)
from tests.builders import NOW
from tests.conftest import PRACTICE

ROOT = Path(__file__).parents[1]
GUARDS = {
    "sqlite": {
        "occupancy_no_overlap_insert",
        "occupancy_no_overlap_update",
        "history_is_never_updated",
        "history_is_never_deleted",
    },
    "postgresql": {
        "occupancy_overlap_clinician",
        "occupancy_overlap_room",
        "occupancy_overlap_client",
        "history_is_never_updated",
        "history_is_never_deleted",
    },
}
GUARDS_OF = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": """
        SELECT tgname FROM pg_trigger WHERE NOT tgisinternal
        UNION SELECT conname FROM pg_constraint WHERE contype = 'x'
    """,
}
SHAPE_OF = {
    "sqlite": """
        SELECT m.name, c.name, c.type, c."notnull" FROM sqlite_master AS m
        JOIN pragma_table_info(m.name) AS c
        WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' ORDER BY 1, 2
    """,
    "postgresql": """
        SELECT table_name, column_name, data_type, character_maximum_length, is_nullable
        FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2
    """,
}
CHECK_OF = {
    "sqlite": "SELECT sql FROM sqlite_master WHERE name = '{}'",
    "postgresql": """
        SELECT pg_get_constraintdef(oid) FROM pg_constraint
        WHERE contype = 'c' AND conrelid = '{}'::regclass
    """,
}


@pytest.fixture
def empty(books, tmp_path):
    settings = books.new(tmp_path)
    handle = database.connect(settings)
    yield handle
    books.close(handle)
    books.drop(settings)


def kind(handle) -> str:
    return "sqlite" if isinstance(handle, SqliteDatabase) else "postgresql"


def differences(handle) -> list[object]:
    """Between the tables and the models; the guards' own indexes are in no model."""
    found = diff_models(handle, ALL)
    return [
        each
        for kind_of_difference in found
        for each in kind_of_difference
        if getattr(each, "name", None) not in GUARDS[kind(handle)]
    ]


def guards(handle) -> set[str]:
    return {name.lower() for (name,) in handle.execute_sql(GUARDS_OF[kind(handle)])}


def shape(handle) -> list[tuple[str, ...]]:
    """Every table with its columns: name, type, whether it may be empty."""
    return [tuple(map(str, row)) for row in handle.execute_sql(SHAPE_OF[kind(handle)])]


def checks(handle, table: str) -> str:
    ((sql,),) = handle.execute_sql(CHECK_OF[kind(handle)].format(table))
    return str(sql).partition("CHECK")[2].replace("(", "").replace(")", "").strip()


def test_an_empty_database_becomes_what_the_models_describe(empty):
    assert len(diff_models(empty, ALL).create_tables) == len(ALL)
    assert database.migrate() == sorted(p.stem for p in (ROOT / "migrations").glob("0*.py"))
    assert not differences(empty)


def test_columns_have_the_types_that_the_models_would_give_them(books, tmp_path, empty):
    """The comparison above knows no types, no NOT NULL and no checks."""
    database.migrate()
    migrated = shape(empty)
    guarded = {table: checks(empty, table) for table in ("occupancy", "blocked_time")}
    books.close(empty)
    other = books.new(tmp_path / "other")
    handle = database.connect(other)
    handle.create_tables(ALL)
    described = shape(handle)
    assert [row for row in migrated if row[0] != "schema_migration"] == described
    assert all(guarded.values())
    assert {table: checks(handle, table) for table in guarded} == guarded
    books.close(handle)
    books.drop(other)


def test_a_table_that_is_missing_would_be_noticed(empty):
    database.migrate()
    empty.execute_sql("ALTER TABLE holiday ADD COLUMN colour TEXT")
    empty.execute_sql("DROP INDEX history_appointment_id_version")
    difference = diff_models(empty, ALL)
    assert difference.drop_columns
    assert difference.add_indexes


def test_the_guards_are_there(empty):
    database.migrate()
    assert guards(empty) >= GUARDS[kind(empty)]


def test_migrating_twice_changes_nothing(empty):
    database.migrate()
    before = shape(empty), guards(empty)
    assert database.migrate() == []
    assert (shape(empty), guards(empty)) == before


def upgrade(handle, tmp_path, *, until: str) -> None:
    """Apply the first migrations only, as an earlier version of the portal did."""
    first = tmp_path / "first"
    first.mkdir()
    for path in (ROOT / "migrations").glob("0*.py"):
        if path.name[:4] <= until:
            shutil.copy(path, first)
    Runner(handle, str(first)).up()


def test_time_that_was_blocked_before_rooms_could_be_stays_blocked(tmp_path, empty):
    upgrade(empty, tmp_path, until="0002")
    empty.execute_sql(
        "INSERT INTO clinician VALUES (7, 'i', 'I', '', 'i@x', NULL, NULL, NULL, 0, TRUE)"
    )
    empty.execute_sql("INSERT INTO blocked_time VALUES (3, 7, 10, 20, 'Dentista', 5, NULL)")
    database.migrate()
    if kind(empty) == "postgresql":
        ((following,),) = empty.execute_sql("SELECT nextval('blocked_time_id_seq')")
        assert following == 4
    columns = "id, clinician_id, room_id, location_id, starts_at, ends_at, reason, removed_at"
    kept = empty.execute_sql(f"SELECT {columns} FROM blocked_time").fetchall()
    assert [tuple(row) for row in kept] == [(3, 7, None, None, 10, 20, "Dentista", None)]
    for both in ("(8, NULL, NULL, NULL, 1, 2, '', 5, NULL)", "(8, 7, 1, NULL, 1, 2, '', 5, NULL)"):
        with pytest.raises(IntegrityError):
            empty.execute_sql(f"INSERT INTO blocked_time VALUES {both}")


SINCE_REPLANS = (
    "client_read", "account_event", "attempt", "known_device", "recovery_code", "factor",
    "web_session.cleared_at", "web_session.proved_at", "web_session.device", "history.digest",
    "practice.mail_level", "practice.retention_days", "account.mail_consented_at",
    "client.erased_at", "client.folded", "sign_in.changes_email",
    "practice.privacy_url",
)  # fmt: skip


def test_a_full_book_of_an_earlier_version_loses_nothing_and_is_chained(books, tmp_path, empty):
    database.migrate()
    practice_file.load(PRACTICE, now=NOW)
    demo.fill(weeks=1, seed=1, now=NOW)
    for n in range(3):
        SignIn.create(email="a@x.mx", nonce=f"n{n}", browser="", created_at=NOW, expires_at=NOW)
    full = rows()
    assert len(full["History"]) > 100
    for index in ("client_folded", "appointment_state_starts_at", "blocked_time_ends_at"):
        empty.execute_sql(f"DROP INDEX {index}")
    for added in SINCE_REPLANS:
        table, _, column = added.partition(".")
        empty.execute_sql(
            f"ALTER TABLE {table} DROP COLUMN {column}" if column else f"DROP TABLE {table}"
        )
    empty.execute_sql("DELETE FROM schema_migration WHERE name > '0004'")
    assert shape(empty) == shape_at(books, tmp_path, "0003")
    database.database.initialize(empty)
    later = [
        "0004_factors",
        "0005_privacy",
        "0006_email_changes",
        "0007_faster_reads",
        "0008_privacy_notice",
    ]
    assert database.migrate() == later
    assert rows() == full  # Also the digests, which the migration had to find by itself.
    assert history.violations() == []
    assert not differences(empty)
    with pytest.raises(IntegrityError):
        History.update(actor="system").execute()


def rows() -> dict[str, list[object]]:
    return {model.__name__: list(model.select().order_by(model.id).tuples()) for model in ALL}


def shape_at(books, tmp_path, level: str) -> list[tuple[str, ...]]:
    settings = books.new(tmp_path / level)
    handle = database.connect(settings)
    upgrade(handle, tmp_path, until=level)
    found = shape(handle)
    books.close(handle)
    books.drop(settings)
    return found


def test_a_migration_that_fails_leaves_nothing_half_done(tmp_path, empty):
    folder = tmp_path / "migrations"
    shutil.copytree(ROOT / "migrations", folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "0099_broken.py").write_text(
        "def up(migrator, db):\n"
        "    db.execute_sql('CREATE TABLE half (id INTEGER)')\n"
        "    db.execute_sql('CREATE NONSENSE')\n"
    )
    with pytest.raises(Exception, match="NONSENSE"):
        Runner(empty, str(folder)).up()
    assert "half" not in empty.get_tables()
    assert not differences(empty)


def test_migrations_stand_alone():
    """What they import from us would change under them."""
    for path in sorted((ROOT / "migrations").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or "."]
            assert not [n for n in names if n.split(".")[0] in {"booking", "solver", "."}], path


# Fields: what goes in comes out.


@pytest.mark.parametrize(
    "moment",
    [
        NOW,
        NOW.astimezone(timezone(timedelta(hours=-6))),
        datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime(2199, 12, 31, 23, 59, tzinfo=UTC),
    ],
    ids=["utc", "elsewhere", "before-1970", "far"],
)
def test_an_instant_comes_back_as_the_same_instant_in_utc(db, moment):
    row = Account.create(email="x@example.com", name="X", created_at=moment)
    found = Account.get_by_id(row.id).created_at
    assert (found, found.tzinfo) == (moment, UTC)
    assert row in Account.select().where(Account.created_at == moment)
    ((raw,),) = database.database.execute_sql(f"SELECT created_at FROM account WHERE id = {row.id}")
    assert raw == int(moment.timestamp())


def test_a_time_without_a_zone_is_refused(db):
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(ValueError, match="without a zone"):
        Account.create(email="x@example.com", name="X", created_at=naive)
    with pytest.raises(ValueError, match="without a zone"):
        list(Account.select().where(Account.created_at < naive))


def test_a_day_comes_back_as_a_day_and_sorts_as_one(db):
    Holiday.delete().execute()
    days = [date(2027, 12, 25), date(2027, 1, 6), date(2027, 2, 28)]
    for day in days:
        Holiday.create(day=day, name="Fiesta")
    assert [row.day for row in Holiday.select().order_by(Holiday.day)] == sorted(days)
    assert Holiday.get(Holiday.day == date(2027, 1, 6)).day == date(2027, 1, 6)
    assert [row.day for row in Holiday.select().where(Holiday.day > date(2027, 2, 1))] != days


@pytest.mark.parametrize("features", [[], ["sala_de_juegos", "¿qué?"], [1, 2.5, None, {"a": True}]])
def test_json_comes_back_as_it_was(db, features):
    service = Service.get()
    Service.update(room_features=features).where(Service.id == service.id).execute()
    assert Service.get_by_id(service.id).room_features == features


def test_what_may_be_missing_comes_back_missing(db):
    client = Client.create(name="X", created_at=NOW)
    found = Client.get_by_id(client.id)
    assert (found.birth_date, found.known_since, found.clinician_id) == (None, None, None)


def test_yes_and_no_come_back_as_such(db):
    service = Service.get()
    Service.update(video=False, online=True).where(Service.id == service.id).execute()
    found = Service.get_by_id(service.id)
    assert (found.video, found.online) == (False, True)


def test_a_stale_row_undoes_nothing_when_it_is_saved(db):
    stale = Practice.get()
    Practice.update(phone="+52 55 0000 0000").execute()
    stale.name = "Otro nombre"
    stale.save()
    assert (Practice.get().phone, Practice.get().name) == ("+52 55 0000 0000", "Otro nombre")


def test_rows_that_belong_to_nothing_are_refused(db):
    with pytest.raises(IntegrityError):
        History.create(
            appointment=10**6, version=1, event="ask", before="", after="requested",
            actor="client", at=NOW, starts_at=NOW,
        )  # fmt: skip


def test_time_that_ends_before_it_begins_is_refused(db):
    with pytest.raises(IntegrityError):
        Occupancy.create(
            resource="room", resource_id=1, chain=1, busy_from=NOW,
            busy_until=NOW - timedelta(seconds=1),
        )  # fmt: skip


@pytest.mark.sqlite
def test_what_was_acknowledged_survives_a_power_cut(db):
    def pragma(name: str) -> object:
        return database.database.execute_sql(f"PRAGMA {name}").fetchone()[0]

    assert pragma("journal_mode") == "wal"
    assert pragma("synchronous") == 2  # FULL.
    assert pragma("foreign_keys") == 1
