"""«Cambiar mi correo»: proven at the new address, told to the old one, and no help to a thief."""

import re
from datetime import timedelta

import pytest

from booking import links
from booking.models import (
    Access,
    Account,
    AccountEvent,
    Client,
    Delivery,
    OutboxMessage,
    Practice,
    Relation,
    SignIn,
    WebSession,
)
from booking.notifications import Kind
from booking.operations.limits import LIMITS, Limited
from booking.operations.signing_in import MOST_TRIES, RECENT
from booking.simulation.crashes import statements
from tests.builders import NOW, own_client, request
from tests.conftest import make_account
from tests.web.test_flow import heading, key_of
from tests.web.test_portal import SECRET, ask_for_mail, current_code, current_link

URL, CODE = "/cuenta/correo", "/cuenta/correo/codigo"
OLD, NEW = "ana@example.com", "ana.nueva@example.org"


def ask(browser, email=NEW):
    return browser.post(URL, data={"correo": email})


def confirm(browser, code=None):
    return browser.post(CODE, data={"codigo": code or current_code()})


def link() -> str:
    newest = SignIn.select().where(SignIn.changes_email).order_by(SignIn.id.desc()).get()
    return f"{URL}/{links.token(SECRET, newest.nonce)}"


def told(mailer, to):
    return [mail for mail in mailer.sent if mail["To"] == to]


def text(mail) -> str:
    return mail.get_body(("plain",)).get_content()


def address_of(account) -> str:
    return Account.get_by_id(account.id).email


def test_the_code_moves_the_address_and_the_old_one_is_told(visitor, ana, deliver):
    browser = visitor(ana)
    assert URL in browser.get("/cuenta").text
    assert heading(browser.get(URL)) == "Cambiar mi correo"
    assert ask(browser, f" {NEW.upper()} ").location == CODE
    (mail,) = told(deliver(), NEW)
    assert mail["Subject"] == f"Su código para usar este correo: {current_code()}"
    assert link() in text(mail)
    assert NEW in browser.get(CODE).text
    assert address_of(ana) == OLD
    done = confirm(browser)
    assert (done.status_code, address_of(ana)) == (303, NEW)
    assert NEW in browser.get(done.location).text
    (news,) = told(deliver(), OLD)
    assert news["Subject"] == "Cambió el correo de su cuenta"
    assert "llame hoy mismo a su consultorio" in text(news)
    assert "+52 55 5555 0100" in text(news)
    assert "http" not in text(news)
    assert NEW not in text(news)
    assert [(e.event, e.by_id) for e in AccountEvent.select()] == [("email_changed", ana.id)]


def test_the_link_shows_a_button_that_moves_the_address(visitor, ana):
    browser = visitor(ana)
    ask(browser)
    for _ in range(2):
        page = browser.get(link())
        assert heading(page) == "Confirme su correo nuevo"
    assert address_of(ana) == OLD
    other_session = visitor(ana)
    assert other_session.post(link(), data={"llave": key_of(page)}).location == "/cuenta?correo=1"
    assert address_of(ana) == NEW
    assert browser.get("/cuenta").status_code == 303


def test_the_link_in_a_strangers_hands_moves_nothing(visitor, ana, bruno):
    """An address that was mistyped is somebody's, and their tap must not hand the account over."""
    ask(visitor(ana))
    address = link()
    token = address.rpartition("/")[2]
    for browser in (visitor(bruno), visitor()):
        for method in ("GET", "POST"):
            answer = browser.open(address, method=method)
            assert answer.status_code == (410 if browser.get_cookie("citas") else 303)
            assert browser.open(f"/entrar/{token}", method=method).status_code == 410
    assert address_of(ana) == OLD
    door = visitor().get(visitor().get(address).location)
    assert "entre otra vez con el que tiene ahora" in door.text


def test_the_code_is_for_the_session_that_asked(visitor, ana):
    ask(visitor(ana))
    assert confirm(visitor(ana)).status_code == 410
    assert address_of(ana) == OLD


def test_the_code_lets_nobody_in(visitor, ana, bruno):
    """Not even into an account that has the address, whatever cookies a browser makes up."""
    ask(asking := visitor(ana), bruno.email)
    with asking.session_transaction() as cookie:
        token = cookie["_user_id"]
    thief = visitor()
    thief.set_cookie("navegador", token)
    with thief.session_transaction() as cookie:
        cookie["proof"] = SignIn.get().id
    assert thief.post("/entrar/codigo", data={"codigo": current_code()}).status_code == 410
    assert thief.get("/citas").status_code == 303


def test_five_wrong_codes_are_enough(visitor, ana):
    browser = visitor(ana)
    ask(browser)
    right = current_code()
    wrong = "000000" if right != "000000" else "111111"
    for left in range(MOST_TRIES - 1, 0, -1):
        answer = confirm(browser, wrong)
        assert answer.status_code == 422
        assert f"Intentos que le quedan: {left}." in answer.text
    assert confirm(browser, wrong).status_code == 410
    assert confirm(browser, right).status_code == 410
    assert address_of(ana) == OLD


def test_a_code_that_is_too_old_moves_nothing(visitor, ana, clock):
    browser = visitor(ana)
    ask(browser)
    address = link()
    clock.advance(timedelta(minutes=20))
    assert browser.get(CODE).location == URL
    assert confirm(browser).status_code == 410
    assert browser.get(address).status_code == browser.post(address).status_code == 410
    assert address_of(ana) == OLD


def test_a_second_tap_gets_the_first_answer(visitor, ana):
    browser = visitor(ana)
    form = {"correo": NEW, "llave": key_of(browser.get(URL))}
    assert browser.post(URL, data=form).location == browser.post(URL, data=form).location == CODE
    assert OutboxMessage.select().count() == 1
    code = {"codigo": current_code(), "llave": key_of(browser.get(CODE))}
    first, second = browser.post(CODE, data=code), browser.post(CODE, data=code)
    assert first.location == second.location == "/cuenta?correo=1"
    assert AccountEvent.select().count() == 1


# Only whoever has just signed in.


def test_whoever_signed_in_a_while_ago_signs_in_again_and_goes_on(visitor, ana, clock):
    """ASVS 7.5.1"""
    browser = visitor(ana)
    clock.advance(RECENT)
    sent_on = browser.get(URL)
    assert sent_on.location == f"/entrar?sig={URL}"
    assert ask(browser).location == f"/entrar?sig={URL}"
    door = browser.get(sent_on.location)
    assert "entre otra vez con el que tiene ahora. Seguirá donde estaba." in door.text
    assert f'value="{OLD}"' in door.text
    ask_for_mail(browser, sig=URL)
    assert browser.post("/entrar/codigo", data={"codigo": current_code()}).location == URL
    assert ask(browser).location == CODE
    open_now = WebSession.select().where(WebSession.ended_at.is_null())
    assert [row.created_at for row in open_now] == [clock.now()]


def test_the_link_enters_anew_whoever_is_in_for_long(visitor, ana, clock):
    browser = visitor(ana)
    clock.advance(RECENT)
    ask_for_mail(browser, sig=URL)
    assert "Entrar al portal" in browser.get(current_link()).text
    assert browser.post(current_link()).location == URL
    assert browser.get(URL).status_code == 200
    assert browser.get(current_link()).location == URL


# Whose address it is.


def test_an_address_with_an_account_looks_like_any_other(visitor, ana, bruno, deliver):
    """ASVS 6.3.8: to see, to do, to try, and in what one may download."""
    pages, work, exports = [], [], []
    visitor(ana).get(URL)  # The practice is read once.
    for email in (bruno.email, NEW):
        browser = visitor(ana)
        with statements() as asked:
            answer = ask(browser, email)
        page = browser.get(answer.location).text + confirm(browser, "0").text
        pages.append(re.sub(r'value="[^"]*"', "", page.replace(email, "")))
        work.append(asked)
        found = browser.get("/cuenta/mis-datos.json").get_json()["mensajes"]
        exports.append([message["tipo"] for message in found])
    assert pages[0] == pages[1]
    assert work[0] == work[1]
    assert exports == [[], []]
    (mail,) = told(deliver(), bruno.email)
    assert mail["Subject"] == "Este correo ya tiene una cuenta"
    taken = SignIn.get(SignIn.email == bruno.email)
    assert links.code(SECRET, taken.nonce) not in text(mail)
    assert links.token(SECRET, taken.nonce) not in text(mail)
    assert ana.name not in text(mail)
    assert OLD not in text(mail)


def test_an_address_that_somebody_took_meanwhile_is_told(visitor, ana):
    browser = visitor(ana)
    ask(browser)
    make_account("Otra Ana", NEW)
    taken = confirm(browser)
    assert taken.status_code == 409
    assert "ya tiene otra cuenta" in heading(taken)
    assert browser.post(link()).status_code == 409
    assert address_of(ana) == OLD
    assert AccountEvent.select().count() == 0


@pytest.mark.parametrize("email", ["", "ana", "ñ@example.com", "ana@example.com\nBcc: x@y.mx"])
def test_what_is_no_address_is_told_beside_the_field_and_kept(visitor, ana, email):
    answer = ask(visitor(ana), email)
    assert answer.status_code == 422
    assert 'id="correo-error"' in answer.text
    assert SignIn.select().count() == 0


def test_ones_own_address_is_no_new_one(visitor, ana):
    answer = ask(visitor(ana), OLD.upper())
    assert answer.status_code == 422
    assert "Ese ya es su correo." in answer.text


def test_an_address_gets_a_few_mails_an_hour_whoever_asks(visitor, ana):
    for _ in range(LIMITS[Limited.MAIL].most):
        assert ask(visitor(ana)).status_code == 303
    assert ask(visitor(ana)).status_code == 429
    assert ask_for_mail(visitor(), NEW).status_code == 429
    assert ask(visitor(ana), "otra@example.org").status_code == 303


def test_staff_are_told_where_their_address_comes_from(visitor, ines, app):
    browser = visitor(ines)
    assert URL not in browser.get("/cuenta").text
    for page in (browser.get(URL), ask(browser)):
        assert "Viene del archivo del consultorio" in page.text
        assert '<input id="correo"' not in page.text
    assert SignIn.select().count() == 0
    refused = app.test_cli_runner().invoke(args=["account", "change-email", ines.email, NEW])
    assert refused.exit_code == 1
    assert "archivo del consultorio" in refused.output


# What moves with it, and what ends.


def test_every_other_session_ends_and_no_old_proof_opens_anything(visitor, ana, deliver):
    here, there = visitor(ana), visitor(ana)
    ask_for_mail(waiting := visitor())
    old_code, old_link = current_code(), current_link()
    request(ana)
    deliver()
    of_request = SignIn.get(SignIn.next_path.startswith("/citas/"))
    ask(here, "otra@example.org")
    other = link()
    ask(here)
    confirm(here)
    assert here.get("/citas").status_code == 200
    assert there.get("/citas").status_code == 303
    assert waiting.post("/entrar/codigo", data={"codigo": old_code}).status_code == 410
    sent = f"/entrar/{links.token(SECRET, of_request.nonce)}"
    assert [visitor().post(path).status_code for path in (old_link, sent)] == [410, 410]
    assert here.post(other).status_code == 410
    assert here.get(sent).location == of_request.next_path  # Whoever is in goes straight on.
    assert address_of(ana) == NEW


def test_one_enters_with_the_new_address_and_not_with_the_old(visitor, ana):
    browser = visitor(ana)
    ask(browser)
    confirm(browser)
    ask_for_mail(visitor(), OLD)
    assert OutboxMessage.select().order_by(OutboxMessage.id.desc()).get().kind == (
        Kind.SIGN_IN_UNKNOWN
    )
    ask_for_mail(fresh := visitor(), NEW)
    assert fresh.post("/entrar/codigo", data={"codigo": current_code()}).location == "/citas"


def test_mail_that_waits_goes_to_the_new_address_with_another_link(visitor, ana, deliver):
    asked = request(ana)
    before = SignIn.get(SignIn.next_path == f"/citas/{asked.id}")
    on_its_way = f"/entrar/{links.token(SECRET, before.nonce)}"
    browser = visitor(ana)
    ask_for_mail(visitor())
    ask(browser)
    confirm(browser)
    mailer = deliver()
    (received,) = [m for m in mailer.sent if m["Subject"] == "Recibimos su solicitud"]
    assert received["To"] == NEW
    opened = re.findall(r"http://localhost(/entrar/\S+)", text(received))[0]
    assert visitor().post(on_its_way).status_code == 410
    assert visitor().post(opened).location == f"/citas/{asked.id}"
    assert [m["Subject"] for m in told(mailer, OLD)] == ["Cambió el correo de su cuenta"]
    dead = OutboxMessage.get(OutboxMessage.state == Delivery.DEAD)
    assert (dead.kind, dead.error) == (Kind.SIGN_IN_REQUESTED, "la dirección cambió")


def test_the_holders_records_move_and_nobody_elses(visitor, ana, bruno):
    noted = Client.create(name="Ana R.", email=NEW, created_at=NOW, known_since=NOW)
    elsewhere = Client.create(name="Ana en otro correo", email="a@example.net", created_at=NOW)
    Access.create(account=ana, client=elsewhere, relation=Relation.SELF.value)
    browser = visitor(ana)
    ask(browser)
    confirm(browser)
    emails = {row.id: row.email for row in Client.select()}
    assert emails[own_client(ana).id] == emails[noted.id] == NEW
    assert emails[elsewhere.id] == "a@example.net"
    assert emails[own_client(bruno).id] == bruno.email
    theirs = Access.select().where(Access.account == ana, Access.client == noted)
    assert [row.relation for row in theirs] == [Relation.SELF]  # As when one registers.


def test_the_least_mail_does_not_tell_the_practices_number(visitor, ana, deliver):
    Practice.update(mail_level="minimal", revision=Practice.revision + 1).execute()
    browser = visitor(ana)
    ask(browser)
    confirm(browser)
    (news,) = told(deliver(), OLD)
    assert "llame hoy mismo a su consultorio" in text(news)
    assert "5555" not in text(news)


# By the operator.


def test_the_operator_moves_whoever_lost_the_mailbox(app, visitor, ana, bruno, deliver):
    browser = visitor(ana)
    run = app.test_cli_runner().invoke
    done = run(args=["account", "change-email", OLD, f" {NEW.upper()}"])
    assert (done.exit_code, address_of(ana)) == (0, NEW), done.output
    assert browser.get("/citas").status_code == 303
    mailer = deliver()
    assert [m["Subject"] for m in told(mailer, OLD)] == ["Cambió el correo de su cuenta"]
    (welcome,) = told(mailer, NEW)
    assert welcome["Subject"] == "Este es ahora el correo de su cuenta"
    assert [(e.event, e.by) for e in AccountEvent.select()] == [("email_changed", None)]
    for new, why in ((bruno.email, "Ya hay una cuenta"), ("ñ@x.mx", "no es un correo")):
        refused = run(args=["account", "change-email", NEW, new])
        assert refused.exit_code == 1
        assert why in refused.output
    assert run(args=["account", "change-email", OLD, NEW]).exit_code == 1
    assert address_of(ana) == NEW
