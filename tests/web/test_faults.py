"""When the database does not answer: a calm page, what was typed is kept, and nothing is half done.

Every fault is SQLite's own, brought about by a real limit, lock or damage.
"""

import re
import time
from contextlib import contextmanager
from datetime import timedelta
from html import unescape

import apsw
import pytest

from booking import db, invariants, outbox, worker
from booking.db import database, transaction, tuples
from booking.models import (
    Appointment,
    ClientRead,
    OneTimeKey,
    OutboxMessage,
    Practice,
    SignIn,
    WebSession,
)
from tests.builders import NOW, request
from tests.test_doctor import newer_migration
from tests.web.test_flow import key_of

pytestmark = pytest.mark.sqlite  # The faults are; how they are answered is not.


@contextmanager
def full_disk(_path):
    """No page more than there are."""
    pages = database.execute_sql("PRAGMA page_count").fetchone()[0]
    database.execute_sql(f"PRAGMA max_page_count = {pages}")
    yield
    database.execute_sql("PRAGMA max_page_count = 1000000000")


@contextmanager
def read_only(_path):
    database.execute_sql("PRAGMA query_only = 1")
    yield
    database.execute_sql("PRAGMA query_only = 0")


@contextmanager
def no_turn(path):
    """On a disk that is read-only the queue's own file is the first that cannot be had."""
    file = path.with_name("citas.db.lock")
    file.unlink(missing_ok=True)
    file.mkdir()
    yield
    file.rmdir()


@contextmanager
def locked(path):
    """Another program has the file for longer than we wait."""
    patience, db.QUEUE_SECONDS = db.QUEUE_SECONDS, 0.05
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()
    db.QUEUE_SECONDS = patience


WRITING = pytest.mark.parametrize("fault", [full_disk, read_only, no_turn, locked])


def fill_the_pages() -> None:
    """So that a few rows more need a new page."""
    with transaction():
        for n in range(200):
            SignIn.create(
                email=f"{n}@example.com", nonce=str(n), browser="", next_path="/x" * 200,
                created_at=NOW - timedelta(days=2), expires_at=NOW,
            )  # fmt: skip


def fields_of(text: str) -> list[tuple[str, str]]:
    """What the page's form would send again, in its order."""
    form = re.search(r'<form method="post" action=.*?</form>', text, re.DOTALL)
    assert form
    found = re.findall(
        r'<input type="hidden" name="(.*?)" value="(.*?)">'
        r'|<textarea id="[\w-]+" name="(.*?)" rows="3">\n(.*?)</textarea>',
        form[0],
        re.DOTALL,
    )
    return [(unescape(a or c), unescape(b or d)) for a, b, c, d in found]


def action_of(text: str) -> str:
    return unescape(re.findall(r'<form method="post" action="(.*?)"', text)[0])


@WRITING
def test_a_form_that_could_not_be_kept_is_sent_again_as_it_was(visitor, settings, ana, fault):
    fill_the_pages()
    browser = visitor()
    before = counts()
    said = [
        ("llave", key_of(browser.get("/entrar?sig=/citas"))),
        ("correo", "ana@example.com"),
        ("extra", "a & <b>"),
        ("extra", "2"),
    ]
    with fault(settings.sqlite_path):
        for n in range(60):  # A full disk is met when the last page is full.
            answer = browser.post("/entrar?sig=/citas", data=said_as_form(said))
            if answer.status_code == 503:
                break
            assert fault is full_disk
            said[0] = ("llave", key_of(browser.get("/entrar?sig=/citas")))
            said[1] = ("correo", f"ana{n}@example.com")
            before = counts()
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["Cache-Control"] == "no-store"
    assert "no está disponible en este momento" in answer.text
    assert Practice.get().phone in answer.text
    assert counts() == before
    assert sorted(fields_of(answer.text)) == sorted(said)
    again = browser.post(action_of(answer.text), data=said_as_form(fields_of(answer.text)))
    assert again.status_code == 303
    repeated = browser.post(action_of(answer.text), data=said_as_form(fields_of(answer.text)))
    assert repeated.status_code == 303
    assert SignIn.select().count() == before[0] + 1
    assert invariants.violations() == {}


def said_as_form(fields: list[tuple[str, str]]) -> dict[str, list[str]]:
    form: dict[str, list[str]] = {}
    for name, value in fields:
        form.setdefault(name, []).append(value)
    return form


def counts() -> tuple[int, int, int]:
    return (
        SignIn.select().count(),
        OutboxMessage.select().count(),
        OneTimeKey.select().count(),
    )


@WRITING
def test_a_decision_that_could_not_be_kept_leaves_nothing_half_done(
    visitor, settings, ana, ines, fault
):
    asked = request(ana)
    browser, tables = visitor(ines), (Appointment, OutboxMessage, OneTimeKey)
    fill_the_pages()
    before = [tuples(table.select()) for table in tables]
    address = f"/solicitudes/{asked.id}/aceptar"
    with fault(settings.sqlite_path):
        database.execute_sql("PRAGMA cache_size = 10")
        answer = browser.post(address, data={"version": "1", "nota": "x" * 4000})
        assert answer.status_code in (303, 503)
        if answer.status_code == 503:
            assert [tuples(table.select()) for table in tables] == before
    assert fault is full_disk or answer.status_code == 503
    assert invariants.violations() == {}


@pytest.mark.parametrize("fault", [read_only, no_turn, locked])
def test_the_staff_read_on_although_nobody_can_note_it(visitor, settings, ines, confirmed, fault):
    browser = visitor(ines)
    began = time.monotonic()
    with fault(settings.sqlite_path):
        shown = browser.get(f"/agenda/citas/{confirmed.id}")
    assert shown.status_code == 200
    assert time.monotonic() - began < 3  # Nobody waits for a whole turn to read.
    assert ClientRead.select().count() == 0
    browser.get(f"/agenda/citas/{confirmed.id}")
    assert ClientRead.select().count() == 1


def test_free_text_stays_in_sight(visitor, ana, settings):
    browser = visitor(ana)
    with read_only(None):
        answer = browser.post("/idioma", data={"idioma": "en", "nota": "Uno\n</textarea>dos"})
    assert answer.status_code == 503
    assert ("nota", "Uno\n</textarea>dos") in fields_of(answer.text)
    assert answer.text.count("<textarea") == 1


def test_a_code_is_never_repeated(visitor, ana, mailer):
    browser = visitor()
    key = key_of(browser.get("/entrar"))
    browser.post("/entrar", data={"correo": "ana@example.com", "llave": key})
    with read_only(None):
        answer = browser.post("/entrar/codigo", data={"codigo": "123456"})
    assert answer.status_code == 503
    assert "123456" not in answer.text
    assert 'href="/entrar/codigo"' in answer.text


def test_a_reader_of_english_is_told_in_english(visitor, ana):
    browser = visitor()
    browser.post("/idioma", data={"idioma": "en"})
    with read_only(None):
        answer = browser.post("/entrar", data={"correo": "ana@example.com"})
    assert answer.status_code == 503
    assert "not available" in answer.text


def test_htmx_swaps_the_whole_page(app, visitor, ana):
    browser = visitor(ana)
    with read_only(None):
        answer = browser.post(
            "/idioma", data={"idioma": "en"}, headers={"HX-Request": "true", "HX-Target": "step"}
        )
    assert answer.status_code == 503
    assert answer.headers["HX-Push-Url"] == "false"


@pytest.mark.parametrize("damage", ["gone", "no-database", "torn"])
@pytest.mark.parametrize("path", ["/", "/citas", "/healthz", "/entrar"])
def test_a_book_that_cannot_be_read_is_told_calmly(visitor, settings, ana, path, damage):
    """Not even the practice's name can be read, nor who is asking."""
    browser, file = visitor(ana), settings.sqlite_path
    browser.get("/citas")
    database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    if damage == "gone":
        file.unlink()
        file.mkdir()
    elif damage == "no-database":
        file.write_bytes(b"esto no es una base de datos" * 1000)
    else:
        size = file.stat().st_size
        with file.open("r+b") as torn:
            torn.seek(4096)
            torn.write(b"\xff" * (size - 4096))
    answer = browser.get(path)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert f'class="button" href="{path}"' in answer.text
    database.close()


def test_a_page_of_an_older_version_than_the_database_waits(visitor, clock, ana):
    browser = visitor(ana)
    assert browser.get("/citas").status_code == 200
    newer_migration()
    clock.advance(timedelta(seconds=6))
    answer = browser.post("/idioma", data={"idioma": "en"})
    assert answer.status_code == 503
    assert ("idioma", "en") in fields_of(answer.text)
    assert browser.get("/citas").status_code == 503
    database.execute_sql("DELETE FROM schema_migration WHERE name = '9999_future'")
    assert browser.get("/citas").status_code == 200


def test_after_another_key_people_sign_in_anew(app, visitor, ana, deliver, monkeypatch):
    """Cookies, links and codes of the old key are worth nothing, and nobody sees an error."""
    browser = visitor(ana)
    browser.post("/entrar", data={"correo": "ana@example.com"})
    assert browser.get("/citas").status_code == 200
    deliver()
    monkeypatch.setitem(app.config, "SECRET_KEY", "another" * 8)
    assert browser.get("/citas").headers["Location"].startswith("/entrar")
    assert browser.get("/entrar/abc.def").status_code == 410
    assert browser.get("/entrar").status_code == 200


def test_a_message_that_was_claimed_before_the_clock_went_back_still_leaves(
    app, clock, mailer, settings, confirmed
):
    OutboxMessage.update(claimed_until=NOW + timedelta(days=1)).execute()
    clock.advance(timedelta(minutes=1))  # The decision can no longer be undone.
    worker.tick(clock, mailer, settings)
    assert {state for (state,) in tuples(OutboxMessage.select(OutboxMessage.state))} == {"sent"}


def test_a_lease_of_a_machine_whose_clock_is_a_little_ahead_is_respected(
    app, clock, mailer, settings, confirmed
):
    OutboxMessage.update(claimed_until=NOW + outbox.LEASE + timedelta(minutes=4)).execute()
    worker.tick(clock, mailer, settings)
    assert mailer.sent == []


def signed_out(browser):
    WebSession.update(ended_at=NOW).execute()
    return browser


def test_what_was_written_when_the_session_had_ended_is_shown_once_more(visitor, ana, ines):
    asked = request(ana)
    answer = signed_out(visitor(ines)).post(
        f"/solicitudes/{asked.id}/denegar",
        data={"nota": "Uno\n</textarea>dos", "motivo": "Viaje", "version": "1"},
    )
    assert answer.status_code == 401
    assert "Por seguridad, vuelva a entrar" in answer.text
    assert "Uno\n&lt;/textarea&gt;dos" in answer.text
    assert ">\nViaje</textarea>" in answer.text
    assert f'href="/entrar?sig=/solicitudes/{asked.id}/denegar"' in answer.text


@pytest.mark.parametrize(
    "sent", [{}, {"nota": "  "}, {"version": "1"}, {"codigo": "123456"}], ids=str
)
def test_without_anything_written_the_door_is_next(visitor, ana, ines, sent):
    asked = request(ana)
    answer = signed_out(visitor(ines)).post(f"/solicitudes/{asked.id}/denegar", data=sent)
    assert answer.status_code == 303
    assert answer.location == f"/entrar?sig=/solicitudes/{asked.id}/denegar"


def test_what_is_too_long_comes_back_to_be_made_shorter(visitor, ana):
    answer = visitor(ana).post("/idioma", data={"idioma": "en", "nota": "ñ" * 12_000})
    assert answer.status_code == 413
    assert ("nota", "ñ" * 12_000) in fields_of(answer.text)
    assert "Volver a intentar" in answer.text


@pytest.mark.parametrize(
    "sent", [{"nota": "x" * 300_000}, {"codigo": "x" * 70_000}], ids=["long", "secret"]
)
def test_not_what_is_longer_than_a_page_nor_what_is_secret(visitor, ana, sent):
    answer = visitor(ana).post("/idioma", data=sent)
    assert answer.status_code == 413
    assert len(answer.text) < 10_000


PARTS = b"".join(
    b'--b\r\nContent-Disposition: form-data; name="nota"\r\n\r\nx\r\n' for _ in range(1_001)
)
UNREADABLE = [
    (b"nota=" + b"x" * 300_000, "application/x-www-form-urlencoded"),
    (PARTS + b"--b--", "multipart/form-data; boundary=b"),
]


@pytest.mark.parametrize(("body", "kind"), UNREADABLE, ids=["long", "many"])
def test_who_has_to_sign_in_first_is_told_so_whatever_they_sent(visitor, ana, ines, body, kind):
    asked = request(ana)
    browser = signed_out(visitor(ines))
    answer = browser.post(f"/solicitudes/{asked.id}/denegar", data=body, content_type=kind)
    assert answer.status_code == 303
    assert answer.location == f"/entrar?sig=/solicitudes/{asked.id}/denegar"


@pytest.mark.parametrize(("body", "kind"), UNREADABLE, ids=["long", "many"])
def test_a_book_that_cannot_be_had_is_told_calmly_whatever_was_sent(
    visitor, ana, settings, body, kind
):
    browser, file = visitor(ana), settings.sqlite_path
    database.close()
    file.unlink()
    file.mkdir()
    answer = browser.post("/idioma", data=body, content_type=kind)
    assert answer.status_code == 503
    database.close()
