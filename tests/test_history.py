"""The chain of each appointment's history, and every way of rewriting what happened."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from peewee import SqliteDatabase
from playhouse.migrations import Runner

from booking import db as database
from booking import gateway, history
from booking.models import Appointment, History
from booking.operations import accept, cancel, deny
from tests.books import settings_in
from tests.builders import NOW, at, confirmed_session, request

ROOT = Path(__file__).parents[1]


@pytest.fixture
def book(ana, bruno, ines) -> tuple[Appointment, Appointment]:
    """Ana's session, cancelled after it was confirmed, and Bruno's denied request."""
    session = confirmed_session(ana, ines)
    cancel(session.id, account=ana, now=NOW)
    denied = request(bruno, at(4, 12))
    deny(denied.id, version=1, actor=gateway.staff(ines), now=NOW)
    return session, denied


def rewrite(sql: str) -> None:
    """What somebody with the database in their hands does: the guards go first."""
    table = "" if isinstance(database.database.obj, SqliteDatabase) else " ON history"
    for past in ("updated", "deleted"):
        database.database.execute_sql(f"DROP TRIGGER IF EXISTS history_is_never_{past}{table}")
    database.database.execute_sql(sql)


def broken() -> list[tuple[int, int, str]]:
    return [(b.appointment_id, b.version, b.why) for b in history.verify().broken]


def test_what_the_gateway_writes_is_a_whole_chain(book):
    found = history.verify()
    assert (found.rows, found.broken) == (5, [])
    assert len({row.digest for row in History.select()}) == 5


@pytest.mark.parametrize(
    "column",
    ["event = 'undo'", "before = 'denied'", "after = 'denied'", "actor = 'system'", "at = at + 1",
     "starts_at = starts_at + 900", "account_id = NULL", "detail = '{\"offers\": 9}'",
     "digest = ''"],
)  # fmt: skip
def test_a_change_that_was_rewritten_is_found(book, column):
    session, _ = book
    rewrite(f"UPDATE history SET {column} WHERE appointment_id = {session.id} AND version = 1")
    assert broken() == [(session.id, 1, "altered")]


def test_a_change_taken_out_of_the_middle_is_found(book):
    session, _ = book
    rewrite(f"DELETE FROM history WHERE appointment_id = {session.id} AND version = 2")
    assert broken() == [(session.id, 2, "missing")]


def test_a_gap_that_was_closed_up_is_found(book):
    session, _ = book
    rewrite(f"DELETE FROM history WHERE appointment_id = {session.id} AND version = 2")
    rewrite(f"UPDATE history SET version = 2 WHERE appointment_id = {session.id} AND version = 3")
    rewrite(f"UPDATE appointment SET version = 2 WHERE id = {session.id}")
    assert broken() == [(session.id, 2, "altered")]


def test_a_last_change_that_was_taken_away_is_found(book):
    session, _ = book
    rewrite(f"DELETE FROM history WHERE appointment_id = {session.id} AND version = 3")
    assert broken() == [(session.id, 3, "shortened")]


def test_a_whole_history_that_was_taken_away_is_found(book):
    session, _ = book
    rewrite(f"DELETE FROM history WHERE appointment_id = {session.id}")
    assert broken() == [(session.id, 1, "missing")]


def test_two_changes_that_were_put_in_another_order_are_found(book):
    session, _ = book
    for old, new in ((2, 9), (3, 2), (9, 3)):
        rewrite(
            f"UPDATE history SET version = {new}"
            f" WHERE appointment_id = {session.id} AND version = {old}"
        )
    assert broken() == [(session.id, 2, "altered")]


@pytest.mark.sqlite  # PostgreSQL lets nobody break the keys between tables for a moment.
def test_changes_swapped_between_appointments_are_found(book):
    ours, theirs = book
    for old, new in ((ours.id, -1), (theirs.id, ours.id), (-1, theirs.id)):
        database.database.execute_sql("PRAGMA foreign_keys = OFF")
        rewrite(
            f"UPDATE history SET appointment_id = {new}"
            f" WHERE appointment_id = {old} AND version = 2"
        )
    assert broken() == [(ours.id, 2, "altered"), (theirs.id, 2, "altered")]


def test_a_history_rewritten_as_a_whole_has_another_fingerprint(book):
    """Whoever computes every digest anew is found only by what was written down elsewhere."""
    session, _ = book
    before = history.verify().fingerprint
    assert history.verify().fingerprint == before
    rewrite(f"UPDATE history SET at = at + 1 WHERE appointment_id = {session.id} AND version = 3")
    row = History.get(History.appointment == session, History.version == 3)
    columns = {name: getattr(row, name.removesuffix("_id")) for name in history.CHAINED}
    anew = history.chained(
        history.last_digest(session.id, 3),
        {name.removesuffix("_id"): value for name, value in columns.items()},
    )
    rewrite(f"UPDATE history SET digest = '{anew}' WHERE id = {row.id}")
    assert broken() == []
    assert history.verify().fingerprint != before


def test_one_appointment_can_be_looked_at_alone(book):
    ours, theirs = book
    rewrite(f"UPDATE history SET at = at + 1 WHERE appointment_id = {theirs.id} AND version = 1")
    assert history.verify(ours.id).broken == []
    assert len(history.verify(theirs.id).broken) == 1


def test_the_command_names_the_first_bad_change_and_fails(app, book):
    session, _ = book
    flask = app.test_cli_runner()
    good = flask.invoke(args=["history", "verify"])
    assert (good.exit_code, "Cambios revisados: 5" in good.output) == (0, True)
    rewrite(f"UPDATE history SET actor = 'system' WHERE appointment_id = {session.id}")
    bad = flask.invoke(args=["history", "verify"])
    assert bad.exit_code == 1
    assert f"Cita {session.id}, cambio 1:" in bad.output
    assert flask.invoke(args=["history", "verify", "0"]).exit_code == 2
    none = flask.invoke(args=["history", "verify", "999999"])
    assert (none.exit_code, "No hay ninguna cita 999999" in none.output) == (1, True)


def test_changes_from_before_there_was_a_chain_are_chained_by_the_migration(tmp_path):
    first, after = tmp_path / "first", settings_in(tmp_path)
    first.mkdir()
    for path in (ROOT / "migrations").glob("000[1-3]_*.py"):
        shutil.copy(path, first)
    handle = database.connect(after)
    Runner(handle, str(first)).up()
    handle.execute_sql("PRAGMA foreign_keys = OFF")
    handle.execute_sql(
        "INSERT INTO appointment (id, chain, client_id, service_id, clinician_id, modality,"
        " starts_at, ends_at, asked_starts_at, buffer_before, buffer_after, state, version,"
        " asked_at, room_pinned, note, wish) VALUES"
        " (7, 7, 1, 1, 1, 'telehealth', 9, 19, 9, 0, 0, 'confirmed', 2, 5, 0, '', '{}')"
    )
    for version, event, before, now in ((1, "ask", "", "requested"),
                                        (2, "accept", "requested", "confirmed")):  # fmt: skip
        handle.execute_sql(
            "INSERT INTO history (appointment_id, version, event, before, after, actor, account_id,"
            " at, starts_at, detail) VALUES"
            f" (7, {version}, '{event}', '{before}', '{now}', 'client', 1, 5, 9, '{{\"a\": 1}}')"
        )
    database.migrate()
    found = history.verify()
    assert (found.rows, found.broken) == (2, [])
    with pytest.raises(Exception, match="append-only"):
        handle.execute_sql("UPDATE history SET at = 6")
    handle.close()


def test_no_free_text_of_a_person_is_chained(book, ana, ines):
    """Else erasing them would have to break the chain."""
    asked = request(ana, at(11, 10), now=NOW + timedelta(minutes=1))
    deny(asked.id, version=1, actor=gateway.staff(ines), note="Xilófono", now=NOW)
    written = str(list(History.select().dicts()))
    for personal in ("Xilófono", ana.name, ana.email):
        assert personal not in written


def test_accepting_is_chained_to_asking(ana, ines):
    asked = request(ana)
    accept(asked.id, version=1, actor=gateway.staff(ines), now=NOW)
    first, second = History.select().order_by(History.version)
    assert history.last_digest(asked.id, 2) == first.digest
    assert second.digest != first.digest
