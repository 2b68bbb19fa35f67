"""Somebody's data: handed over whole, erased from every table, and looked at on the record."""

import json
import logging
from datetime import timedelta
from email.message import EmailMessage

import apsw
import pytest
from peewee import OperationalError

from booking import db as database
from booking import gateway, history, invariants, links, outbox, worker
from booking.clock import SettableClock
from booking.mailer import FolderMailer, MemoryMailer
from booking.models import (
    ALL,
    Access,
    Account,
    Appointment,
    Client,
    ClientKind,
    ClientRead,
    Delivery,
    OutboxMessage,
    Practice,
    Relation,
    SignIn,
    WebSession,
)
from booking.notifications import Kind
from booking.operations import (
    add_minor,
    add_partner,
    ask,
    cancel,
    changing_email,
    deny,
    erasing,
    signing_in,
)
from booking.operations.erasing import StillOpen
from booking.operations.signing_in import Browser, Registration
from booking.queries import person as queries
from booking.settings import Settings
from booking.web import access
from tests.builders import NOW, at, confirmed_session, own_client, request, wish
from tests.conftest import make_account
from tests.test_worker import Rounds, nothing

NAME, EMAIL, PHONE = "Quetzalli Xochitl", "quetzalli@example.com", "+52 55 9876 5432"
NOTE = "Prefiere hablar del colibrí"
TRACES = ("Quetzalli", "quetzalli", "9876 5432", "colibrí", "Itzel")


def dump() -> str:
    """Every value of every table, as text."""
    return "\n".join(repr(list(model.select().tuples())) for model in ALL)


def traces() -> list[str]:
    text = dump()
    return [trace for trace in TRACES if trace in text]


@pytest.fixture
def quetzalli(app, ines, settings) -> Account:
    """A client with a past: a child, an asked-for mail, a denied request with a note."""
    account = make_account(NAME, EMAIL, phone=PHONE)
    Client.update(phone=PHONE).where(Client.email == EMAIL).execute()
    born = NOW.date().replace(year=2020)
    add_minor(account, name="Itzel Xochitl", birth_date=born, now=NOW)
    signing_in.ask_for_mail(EMAIL, browser="b", next_path="/citas", language="es", now=NOW)
    asked = request(account)
    deny(asked.id, version=1, actor=gateway.staff(ines), note=NOTE, now=NOW)
    signing_in.open_session(account, Browser(), now=NOW)
    return account


def person(email: str = EMAIL) -> queries.Person:
    found = queries.by_email(email)
    assert found is not None
    return found


def test_the_export_has_all_of_a_person_and_nothing_of_another(quetzalli, ana, ines):
    confirmed_session(ana, ines, at(4, 12))
    text = json.dumps(queries.export(person(), now=NOW), ensure_ascii=False)
    for theirs in (NAME, EMAIL, PHONE, NOTE, "Itzel", "Consultorio Centro"):
        assert theirs in text
    for other in (ana.name, ana.email):
        assert other not in text


def test_a_couples_export_does_not_name_the_other_one(quetzalli):
    add_partner(quetzalli, name="Bartolomé", now=NOW)
    text = json.dumps(queries.export(person(), now=NOW), ensure_ascii=False)
    assert '"couple"' in text
    assert "Bartolomé" not in text


def test_a_client_downloads_their_own_data(quetzalli, visitor):
    answer = visitor(quetzalli).get("/cuenta/mis-datos.json")
    assert answer.mimetype == "application/json"
    assert "attachment" in answer.headers["Content-Disposition"]
    assert answer.get_json()["cuenta"]["correo"] == EMAIL


def test_nothing_is_left_of_an_erased_person_and_the_book_is_whole(quetzalli):
    assert set(traces()) == set(TRACES)
    erasing.erase(person(), now=NOW)
    assert traces() == []
    assert history.verify().broken == []
    assert invariants.violations() == {}
    assert WebSession.select().where(WebSession.account == quetzalli).count() == 0
    assert queries.by_email(EMAIL) is None


def registering(settings: Settings) -> SignIn:
    """Somebody new tells us of a child; the proof is still to come."""
    told = Registration(NAME, EMAIL, PHONE, True, "Itzel Xochitl", "2020-03-01")
    return signing_in.ask_for_mail(
        EMAIL, browser="b", next_path="", language="es", now=NOW, registration=told
    )


def test_a_proof_that_was_used_keeps_nothing_of_what_was_told(db, settings):
    proof = registering(settings)
    token = links.token(settings.secret_key, proof.nonce)
    signing_in.prove_by_link(token, browser=Browser(), secret_key=settings.secret_key, now=NOW)
    assert SignIn.get_by_id(proof.id).registration is None
    erasing.erase(person(), now=NOW)
    assert [trace for trace in ("Itzel", "2020-03-01", EMAIL, NAME) if trace in dump()] == []


def test_what_was_told_and_not_proven_is_forgotten_with_the_proof(app, clock, mailer, settings):
    proof = registering(settings)
    worker.loop(clock, mailer, settings, Rounds())
    assert SignIn.get_by_id(proof.id).registration is not None
    clock.advance(proof.expires_at - NOW)
    worker.loop(clock, mailer, settings, Rounds())
    assert SignIn.select().where(SignIn.registration.is_null(False)).count() == 0
    assert "Itzel" not in dump()


@pytest.mark.sqlite
def test_nor_is_it_in_a_corner_of_the_file_a_day_later(app, clock, mailer, settings):
    registering(settings)
    clock.advance(timedelta(hours=1))

    def a_day_later() -> None:
        assert "Itzel" in written(settings)
        clock.advance(worker.PURGE_PAUSE)

    worker.loop(clock, mailer, settings, Rounds(nothing, a_day_later, nothing))
    assert "Itzel" not in written(settings)


def test_whoever_has_not_proven_their_address_is_exported_and_erased_by_it(app, settings):
    registering(settings)
    flask = app.test_cli_runner()
    assert "Itzel Xochitl" in flask.invoke(args=["person", "export", EMAIL]).output
    done = flask.invoke(args=["person", "erase", EMAIL, "--yes"])
    assert done.exit_code == 0, done.output
    assert "los hechos a mano con flask backup, hasta que usted los borre" in done.output
    assert [trace for trace in ("Itzel", PHONE, EMAIL, NAME) if trace in dump()] == []
    assert flask.invoke(args=["person", "erase", EMAIL, "--yes"]).exit_code == 1


def test_a_child_added_while_the_guardian_is_being_erased_goes_too(quetzalli):
    found = person()
    add_minor(quetzalli, name="Segunda Xochitl", birth_date=NOW.date(), now=NOW)
    erasing.erase(found, now=NOW)
    assert "Segunda" not in dump()


@pytest.mark.parametrize("left", [{"note": NOTE, "wish": {}}, {"note": "", "wish": {"text": NOTE}}])
def test_whatever_was_noted_of_an_appointment_is_purged_by_itself(quetzalli, left):
    Appointment.update(**left).execute()
    Practice.update(retention_days=30, revision=Practice.revision + 1).execute()
    later = at(31, 10).replace(year=2029)
    assert erasing.purge(now=later) > 0
    assert {(row.note, str(row.wish)) for row in Appointment.select()} == {("", "{}")}
    assert erasing.purge(now=later) == 0


def written(settings: Settings) -> list[str]:
    """What the book's files say about the person, in whichever corner of a page."""
    files = settings.data_dir.glob("citas.db*")
    text = b"".join(path.read_bytes() for path in files)
    return [trace for trace in TRACES if trace.encode() in text]


@pytest.mark.sqlite
def test_no_byte_of_the_file_is_about_an_erased_person_once_the_worker_was_there(
    quetzalli, clock, mailer, settings
):
    erasing.erase(person(), now=NOW)
    assert set(written(settings)) == set(TRACES)  # In the log of changes, and in free pages.
    worker.loop(clock, mailer, settings, Rounds())
    assert written(settings) == []


@pytest.mark.sqlite
def test_a_worker_that_starts_again_does_not_write_the_file_anew(
    quetzalli, clock, mailer, settings
):
    erasing.erase(person(), now=NOW)
    worker.loop(clock, mailer, settings, Rounds())
    before = rewritten()
    worker.loop(clock, mailer, settings, Rounds())
    assert rewritten() == before
    database.unmark()
    worker.loop(clock, mailer, settings, Rounds())
    assert rewritten() > before


def rewritten() -> int:
    """SQLite counts here what makes everybody read the file anew; nothing else does in a worker."""
    return int(database.database.execute_sql("PRAGMA schema_version").fetchone()[0])


@pytest.mark.sqlite
def test_a_file_that_somebody_is_reading_is_scrubbed_later(quetzalli, clock, mailer, settings):
    erasing.erase(person(), now=NOW)
    reader = apsw.Connection(str(settings.sqlite_path))
    reader.execute("BEGIN; SELECT * FROM client").fetchall()
    database.database.execute_sql("PRAGMA busy_timeout = 1")

    def a_minute_later() -> None:
        assert written(settings)
        reader.close()
        clock.advance(worker.LOOK_PAUSE)

    worker.loop(clock, mailer, settings, Rounds(a_minute_later))
    assert written(settings) == []


def changed_to(account: Account, email: str, settings: Settings) -> None:
    session = signing_in.open_session(account, Browser(), now=NOW).session
    proof = changing_email.ask(session, email, language="es", now=NOW)
    code = links.code(settings.secret_key, proof.nonce)
    changing_email.confirm_by_code(session, code, secret_key=settings.secret_key, now=NOW)


def test_addresses_that_a_person_had_or_asked_for_go_too(quetzalli, settings, clock, mailer):
    registration = {"name": NAME, "phone": PHONE}  # When there was no account yet.
    SignIn.create(
        email=EMAIL, registration=registration, nonce="n", browser="", created_at=NOW,
        expires_at=NOW,
    )  # fmt: skip
    worker.tick(clock, mailer, settings)
    changed_to(quetzalli, "otra@example.org", settings)
    session = signing_in.open_session(quetzalli, Browser(), now=NOW).session
    changing_email.ask(session, "quetzalli@example.net", language="es", now=NOW)
    export = json.dumps(queries.export(person("otra@example.org"), now=NOW))
    assert EMAIL in export
    erasing.erase(person("otra@example.org"), now=NOW)
    assert traces() == []
    assert "otra@example.org" not in dump()
    assert invariants.violations() == {}


def test_whoever_has_the_address_now_keeps_it_when_the_first_is_erased(
    quetzalli, settings, clock, mailer
):
    worker.tick(clock, mailer, settings)
    changed_to(quetzalli, "otra@example.org", settings)
    second = make_account("Segunda Persona", EMAIL)
    signing_in.ask_for_mail(EMAIL, browser="b", next_path="", language="es", now=NOW)
    request(second)
    theirs = [m.id for m in OutboxMessage.select().where(OutboxMessage.recipient == EMAIL)]
    to_either = OutboxMessage.recipient.in_([EMAIL, "otra@example.org"])
    both = OutboxMessage.select().where(to_either).count()
    export = queries.export(person("otra@example.org"), now=NOW)
    erasing.erase(person("otra@example.org"), now=NOW)
    kept = [m.id for m in OutboxMessage.select().where(OutboxMessage.recipient == EMAIL)]
    assert len(kept) == 2
    assert set(kept) < set(theirs)
    assert len(export["mensajes"]) == both - len(kept)
    assert [s.account for s in SignIn.select().where(SignIn.email == EMAIL)] == [second, second]


def test_what_the_first_was_told_stays_theirs_when_another_has_the_address(
    quetzalli, settings, clock, mailer
):
    worker.tick(clock, mailer, settings)
    changed_to(quetzalli, "otra@example.org", settings)
    first = [m.id for m in OutboxMessage.select().where(OutboxMessage.recipient == EMAIL)]
    assert len(first) > 2
    second = make_account("Segunda Persona", EMAIL)
    signing_in.ask_for_mail(EMAIL, browser="b", next_path="", language="es", now=NOW)
    export = queries.export(person(), now=NOW)
    assert [m["tipo"] for m in export["mensajes"]] == [Kind.SIGN_IN_REQUESTED]
    erasing.erase(person(), now=NOW)
    kept = [m.id for m in OutboxMessage.select().where(OutboxMessage.recipient == EMAIL)]
    assert kept == first
    assert {s.account for s in SignIn.select().where(SignIn.email == EMAIL)} == {quetzalli}
    assert Account.get_by_id(second.id).email != EMAIL


def test_an_erased_person_can_come_back_as_somebody_new(quetzalli, settings):
    proof = signing_in.ask_for_mail(EMAIL, browser="b", next_path="", language="es", now=NOW)
    erasing.erase(person(), now=NOW)
    assert SignIn.get_by_id(proof.id).email != EMAIL
    again = make_account(NAME, EMAIL)
    assert again.id != quetzalli.id


def test_what_is_on_its_way_meanwhile_stays_closed(quetzalli, settings):
    class Late:
        """The person is erased while it sends; then the server complains of the address."""

        def send(self, message) -> None:
            erasing.erase(person(), now=NOW)
            assert message["To"] == EMAIL
            raise ConnectionError(EMAIL)

    outbox.drain(SettableClock(NOW), Late(), settings)
    (tried,) = OutboxMessage.select().where(OutboxMessage.attempts > 0)
    assert tried.state == Delivery.DEAD
    assert traces() == []


@pytest.mark.parametrize("way", ["command", "page"])
def test_what_is_in_the_folder_of_mails_goes_too(
    quetzalli, settings, tmp_path, app, visitor, manager, way
):
    mailer = FolderMailer(tmp_path / "buzon")
    app.extensions["mailer"] = mailer
    outbox.drain(SettableClock(NOW), mailer, settings)
    assert any(EMAIL in str(mail["To"]) for _, mail in mailer.messages())
    if way == "command":
        done = app.test_cli_runner().invoke(args=["person", "erase", EMAIL, "--yes"])
        assert done.exit_code == 0, done.output
    else:
        page = f"/clientes/{own_client(quetzalli).id}/borrar"
        assert visitor(manager).post(page, data={"nombre": NAME}).status_code == 303
    assert not any(EMAIL in str(mail["To"]) for _, mail in mailer.messages())
    assert mailer.messages()  # The clinician's stay.


def test_nobody_with_open_appointments_is_erased(quetzalli, ines):
    session = confirmed_session(quetzalli, ines, at(11, 10))
    with pytest.raises(StillOpen) as refused:
        erasing.erase(person(), now=NOW)
    assert refused.value.appointments == [session]
    assert traces()
    cancel(session.id, account=quetzalli, now=NOW)
    erasing.erase(person(), now=NOW)
    assert traces() == []


def test_a_couple_loses_the_erased_ones_name_and_keeps_the_others(quetzalli, ana):
    couple = add_partner(quetzalli, name="Bartolomé", now=NOW)
    other = own_client(ana)
    Client.update(second_member=other, name=f"{NAME} y {ana.name}").where(
        Client.id == couple.id
    ).execute()
    erasing.erase(person(), now=NOW)
    assert traces() == []
    assert Client.get_by_id(couple.id).name.endswith(f" y {ana.name}")
    assert Client.get_by_id(other.id).name == ana.name


def test_a_partner_of_whom_nobody_else_spoke_goes_too(quetzalli):
    add_partner(quetzalli, name="Bartolomé", now=NOW)
    erasing.erase(person(), now=NOW)
    assert "Bartolomé" not in dump()


def test_a_minor_with_another_guardian_stays(quetzalli, ana):
    minor = Client.get(Client.kind == ClientKind.MINOR)
    Access.create(account=ana, client=minor, relation=Relation.GUARDIAN.value)
    erasing.erase(person(), now=NOW)
    assert Client.get_by_id(minor.id).name == "Itzel Xochitl"
    assert [a.account_id for a in Access.select().where(Access.client == minor)] == [ana.id]


def test_staff_who_are_clients_too_go_on_working(quetzalli):
    Account.update(manager=True).where(Account.id == quetzalli.id).execute()
    erasing.erase(person(), now=NOW)
    account = Account.get_by_id(quetzalli.id)
    assert (account.email, account.disabled_at) == (EMAIL, None)
    assert Client.select().where(Client.name == NAME).count() == 0


def test_old_leftovers_are_purged_at_the_practices_date(quetzalli, settings):
    changed_to(quetzalli, "otra@example.org", settings)
    Practice.update(retention_days=30, revision=Practice.revision + 1).execute()
    assert erasing.purge(now=NOW) == 0
    assert erasing.purge(now=at(31, 10).replace(year=2029)) > 0
    assert (SignIn.select().count(), WebSession.select().count()) == (0, 0)
    assert "colibrí" not in dump()
    assert OutboxMessage.select().where(OutboxMessage.kind == Kind.EMAIL_CHANGED).count() == 0
    assert history.verify().broken == []


def test_the_manager_erases_by_typing_the_name(quetzalli, visitor, manager, ines):
    url = f"/clientes/{own_client(quetzalli).id}/borrar"
    browser = visitor(manager)
    assert "Quién vio estos datos" in browser.get(url).text
    assert browser.post(url, data={"nombre": "Otra persona"}).status_code == 422
    assert traces()
    assert visitor(ines).post(url, data={"nombre": NAME}).status_code == 404
    assert browser.post(url, data={"nombre": NAME.lower()}).status_code == 303
    assert traces() == []
    assert browser.get(url).status_code == 404
    assert "se borraron" in browser.get(url.removesuffix("/borrar")).text


def test_the_manager_is_told_what_is_still_open(quetzalli, visitor, manager, ines):
    confirmed_session(quetzalli, ines, at(11, 10))
    url = f"/clientes/{own_client(quetzalli).id}/borrar"
    answer = visitor(manager).post(url, data={"nombre": NAME})
    assert answer.status_code == 409
    assert "11 de marzo" in answer.text


@pytest.mark.parametrize("staff", [False, True])
def test_what_a_guardian_asked_for_stays_in_order_when_they_are_erased(quetzalli, ana, ines, staff):
    guardian = ines if staff else quetzalli
    child = add_minor(guardian, name="Luz", birth_date=NOW.date().replace(year=2019), now=NOW)
    Access.create(account=ana, client=child, relation=Relation.GUARDIAN.value)
    asked = ask(
        wish(service="infantil", client=child), at(10, 10), client=child, account=guardian, now=NOW
    )
    cancel(asked.id, account=guardian, now=NOW)
    erasing.erase(person(guardian.email), now=NOW)
    assert Client.get_by_id(child.id).name == "Luz"
    assert invariants.violations() == {}


def test_what_staff_look_at_is_noted_once_a_day(quetzalli, visitor, ines, app):
    client = own_client(quetzalli)
    browser = visitor(ines)
    for _ in range(3):
        browser.get(f"/clientes/{client.id}")
    visitor(quetzalli).get("/citas")
    assert [(r.account_id, r.client_id, r.page) for r in ClientRead.select()] == [
        (ines.id, client.id, "clients.show")
    ]
    told = app.test_cli_runner().invoke(args=["person", "reads", EMAIL])
    assert ines.name in told.output


def test_logs_carry_no_name_no_address_and_no_token(quetzalli, visitor, caplog, deliver):
    caplog.set_level(logging.DEBUG)
    browser = visitor(quetzalli)
    browser.get("/citas?sig=/citas/secreto")
    browser.post("/cuenta", data={"telefono": "colibrí", "zona": ""})
    browser.get("/entrar/enlacesecreto")
    deliver()
    Practice.delete().execute()  # Now no page can work.
    assert visitor().get("/entrar/enlacesecreto").status_code == 500
    text = "\n".join(logging.Formatter().format(record) for record in caplog.records)
    assert not [t for t in (*TRACES, "secreto") if t in text]


@pytest.mark.parametrize("failure", [RuntimeError, OperationalError])
def test_a_failure_is_logged_by_where_it_was_and_never_by_its_words(
    app, visitor, caplog, monkeypatch, failure
):
    """A database quotes the row that it refused, and an error may have another one behind it."""

    def broken(token: str) -> str:
        try:
            raise ValueError(f"Key (email)=({EMAIL}) already exists")
        except ValueError as first:
            raise failure(NAME + token) from first

    monkeypatch.setitem(app.view_functions, "portal.link", access.public(broken))
    assert visitor().get("/entrar/secreto?sig=secreto").status_code in (500, 503)
    text = "\n".join(logging.Formatter().format(record) for record in caplog.records)
    assert "ValueError" in text
    assert failure.__name__ in text
    assert "/entrar/<token>" in text
    assert ("in broken" in text) == (failure is RuntimeError)
    assert not [t for t in (*TRACES, "secreto") if t in text]


def test_a_worker_that_fails_names_nobody(app, clock, settings, caplog):
    class Broken(MemoryMailer):
        def send(self, message: EmailMessage) -> None:
            raise OSError(f"550 {message['To']}")

    make_account(NAME, EMAIL)
    signing_in.ask_for_mail(EMAIL, browser="b", next_path="", language="es", now=NOW)
    worker.tick(clock, Broken(), settings)
    assert "OSError" in caplog.text
    assert EMAIL not in caplog.text
