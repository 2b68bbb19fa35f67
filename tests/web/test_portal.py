"""The door: proofs by mail, sessions that really end, and nothing told to strangers."""

import html
import re
from datetime import timedelta

import pytest

from booking import links
from booking.models import (
    Access,
    Account,
    Attempt,
    Client,
    OutboxMessage,
    Practice,
    SignIn,
    WebSession,
)
from booking.notifications import Kind
from booking.operations.limits import LIMITS, Limited
from booking.operations.signing_in import MOST_TRIES
from booking.simulation.crashes import statements
from booking.web.portal import safe_path
from tests.builders import NOW
from tests.web.test_flow import heading, key_of

SECRET = "test-" * 10
NEW = {
    "nombre": "Sofía Núñez",
    "correo": "Sofia@Example.com",
    "telefono": "+52 55 1234 5678",
    "para": "adulto",
    "acepto": "1",
}


def ask_for_mail(browser, email="ana@example.com", **query):
    return browser.post("/entrar", data={"correo": email}, query_string=query)


def current_code() -> str:
    return links.code(SECRET, SignIn.select().order_by(SignIn.id.desc()).get().nonce)


def current_link() -> str:
    return "/entrar/" + links.token(SECRET, SignIn.select().order_by(SignIn.id.desc()).get().nonce)


def test_the_code_signs_in_and_works_once(visitor, ana, deliver):
    browser = visitor()
    assert ask_for_mail(browser).location == "/entrar/codigo"
    sent = deliver().sent[-1]
    assert current_code() in sent["Subject"]
    entered = browser.post("/entrar/codigo", data={"codigo": f" {current_code()} "})
    assert entered.location == "/citas"
    assert heading(browser.get("/citas")) == "Citas"
    assert SignIn.get().used_at is not None


def test_the_code_is_for_the_browser_that_asked(visitor, ana):
    asking, other = visitor(), visitor()
    ask_for_mail(asking)
    with asking.session_transaction() as mine, other.session_transaction() as theirs:
        theirs["proof"] = mine["proof"]
    stolen = other.post("/entrar/codigo", data={"codigo": current_code()})
    assert stolen.status_code == 410
    assert WebSession.select().count() == 0


def test_after_five_wrong_codes_the_right_one_is_too_late(visitor, ana):
    browser = visitor()
    ask_for_mail(browser)
    right = current_code()
    wrong = "000000" if right != "000000" else "111111"
    for left in range(MOST_TRIES - 1, 0, -1):
        answer = browser.post("/entrar/codigo", data={"codigo": wrong})
        assert answer.status_code == 422
        assert f"Intentos que le quedan: {left}." in answer.text
    assert browser.post("/entrar/codigo", data={"codigo": wrong}).status_code == 410
    assert browser.post("/entrar/codigo", data={"codigo": right}).status_code == 410


def test_opening_the_link_any_number_of_times_changes_nothing(visitor, ana):
    ask_for_mail(visitor())
    scanner = visitor()
    for _ in range(3):
        assert "Entrar al portal" in scanner.get(current_link()).text
    assert SignIn.get().used_at is None
    phone = visitor()
    assert phone.post(current_link()).location == "/citas"
    dead = visitor().post(current_link())
    assert dead.status_code == 410
    assert heading(dead) == "Este enlace ya no sirve"
    assert "Enviarme otro correo" in dead.text


def test_a_link_that_is_too_old_says_so(visitor, ana, clock):
    ask_for_mail(visitor())
    clock.advance(timedelta(minutes=20))
    assert visitor().get(current_link()).status_code == 410
    assert visitor().post(current_link()).status_code == 410


@pytest.mark.parametrize("token", ["x", "a.b", "%00", "AAAA." + "B" * 300, "ñ"])
def test_a_link_that_is_not_ours_is_dead(visitor, token):
    assert visitor().get(f"/entrar/{token}").status_code == 410


def test_known_and_unknown_addresses_look_the_same(visitor, ana):
    known, unknown = visitor(), visitor()
    pages = []
    for browser, email in ((known, "ana@example.com"), (unknown, "nadie@example.com")):
        assert ask_for_mail(browser, email).status_code == 303
        page = browser.get("/entrar/codigo").text.replace(email, "")
        pages.append(re.sub(r'value="[^"]*"', "", page))
    assert pages[0] == pages[1]


def test_known_and_unknown_addresses_make_the_same_work(visitor, ana):
    """ASVS 6.3.8: who waits for the answer cannot tell from the time that it takes."""
    work = []
    visitor().get("/entrar")  # The practice is read once.
    for email in ("ana@example.com", "nadie@example.com"):
        with statements() as asked:
            assert ask_for_mail(visitor(), email).status_code == 303
        work.append(asked)
    assert work[0] == work[1]
    assert any("INSERT" in sql and "outbox_message" in sql for sql in work[0])


def test_an_unknown_address_is_told_that_it_has_no_account(visitor, deliver):
    ask_for_mail(visitor(), "nadie@example.com")
    (mail,) = deliver().sent
    assert (mail["To"], mail["Subject"]) == (
        "nadie@example.com",
        "No hay una cuenta con este correo",
    )
    text = mail.get_body(("plain",)).get_content()
    assert "/registro" in text
    assert "/entrar" not in text
    assert current_code() not in text


def test_one_form_sends_one_mail_however_often_it_is_tapped(visitor, ana):
    browser = visitor()
    form = {"correo": "ana@example.com", "llave": key_of(browser.get("/entrar"))}
    assert browser.post("/entrar", data=form).location == "/entrar/codigo"
    assert browser.post("/entrar", data=form).location == "/entrar/codigo"
    assert OutboxMessage.select().count() == 1


def test_whoever_registers_is_told_that_a_mail_was_sent(visitor, app):
    page = visitor().post("/registro", data=NEW, follow_redirects=True)
    assert "Enviamos un correo con un código" in page.text
    unknown = ask_for_mail(browser := visitor(), "nadie@example.com")
    assert unknown.status_code == 303
    assert "¿Nunca ha entrado a este portal?" in browser.get("/entrar/codigo").text


def test_an_address_gets_a_few_mails_an_hour(visitor, ana, clock):
    for _ in range(LIMITS[Limited.MAIL].most):
        assert ask_for_mail(visitor()).status_code == 303
    refused = ask_for_mail(visitor())
    assert refused.status_code == 429
    assert "Ya le enviamos varios correos" in refused.text
    assert refused.headers["Retry-After"] == "3600"
    assert ask_for_mail(visitor(), "otra@example.com").status_code == 303
    clock.advance(timedelta(hours=1))
    assert ask_for_mail(visitor()).status_code == 303


def ask_from(address, visitor, number):
    return ask_for_mail(there(address, visitor), f"n{number}@example.com")


def there(address, visitor):
    browser = visitor()
    browser.environ_base["REMOTE_ADDR"] = address
    return browser


def test_a_stranger_elsewhere_keeps_nobody_from_their_mail(visitor, ana):
    """ASVS 6.3.1: nor does the code that somebody has already stop working."""
    own = there("200.57.3.10", visitor)
    ask_for_mail(own)
    code = current_code()
    asked = [
        ask_for_mail(there(f"200.57.{n // 5}.9", visitor)).status_code
        for n in range(LIMITS[Limited.ADDRESS].most)
    ]
    assert asked[:5] == [303] * 5
    assert asked[-1] == 429
    assert own.post("/entrar/codigo", data={"codigo": code}).location == "/citas"


def test_a_stranger_of_one_network_uses_up_no_more_than_its_own_share(visitor, ana):
    most = LIMITS[Limited.MAIL].most
    asked = [ask_for_mail(there("200.57.3.9", visitor)).status_code for _ in range(most + 1)]
    assert asked == [303] * most + [429]
    assert ask_for_mail(there("200.57.3.10", visitor)).status_code == 303


def test_after_a_days_wrong_codes_only_the_link_opens(visitor, ana, clock):
    """ASVS 6.3.1: five mails an hour with five tries each would be guessing without end."""
    tries = 0
    while tries < LIMITS[Limited.CODE].most:
        browser = visitor()
        ask_for_mail(browser)
        wrong = "000000" if current_code() != "000000" else "111111"
        for _ in range(MOST_TRIES):
            assert browser.post("/entrar/codigo", data={"codigo": wrong}).status_code in (422, 410)
            tries += 1
        clock.advance(timedelta(minutes=15))
    asking = visitor()
    ask_for_mail(asking)
    refused = asking.post("/entrar/codigo", data={"codigo": current_code()})
    assert refused.status_code == 429
    assert heading(refused) == "Use el enlace del correo"
    assert int(refused.headers["Retry-After"]) > 3600 * 20
    assert visitor().post(current_link()).location == "/citas"
    clock.advance(timedelta(days=1))
    ask_for_mail(asking)
    assert asking.post("/entrar/codigo", data={"codigo": current_code()}).location == "/citas"


def test_a_mail_whose_code_is_dead_is_not_sent(visitor, ana, clock, deliver):
    ask_for_mail(visitor())
    clock.advance(timedelta(minutes=20))
    assert deliver().sent == []
    assert OutboxMessage.get().error == "el código venció antes de que saliera"


@pytest.mark.parametrize(
    ("address", "neighbour", "stranger"),
    [
        ("200.57.3.9", "200.57.3.9", "200.57.3.10"),
        ("2806:2f0:1:2::7", "2806:2f0:1:2:ffff::9", "2806:2f0:1:3::7"),
        ("::ffff:200.57.3.9", "200.57.3.9:51111", "::ffff:200.57.3.10"),  # As some proxies say it.
        ("[2806:2f0:1:2::7]:443", "2806:2f0:1:2::8", "[2806:2f0:1:3::7]:443"),
    ],
)
def test_a_network_gets_so_many_mails_an_hour(visitor, clock, address, neighbour, stranger):
    """ASVS 2.4.1: whoever tries one address after another is one network all the time."""
    assert ask_from(address, visitor, 1).status_code == 303
    [once] = Attempt.select().where(Attempt.kind == Limited.NETWORK).dicts()
    del once["id"]
    Attempt.insert_many([once] * (LIMITS[Limited.NETWORK].most - 2)).execute()
    assert ask_from(address, visitor, 2).status_code == 303
    assert ask_from(neighbour, visitor, 3).status_code == 429
    assert ask_from(stranger, visitor, 3).status_code == 303
    clock.advance(timedelta(hours=1))
    assert ask_from(neighbour, visitor, 3).status_code == 303


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.7", "::ffff:10.0.0.7", "fd00::7", "", "unix:"]
)
def test_a_proxy_that_nobody_spoke_of_is_not_taken_for_one_busy_visitor(visitor, address):
    assert ask_from(address, visitor, 1).status_code == 303
    assert Attempt.select().where(Attempt.kind == Limited.MAIL).count() == 1
    assert Attempt.select().where(Attempt.kind == Limited.NETWORK).count() == 0


@pytest.mark.parametrize(
    "email", ["", "ana", "ana@", "@example.com", "ana@example", "a b@example.com", "ñ@example.com",
              "ana@example.com\nBcc: x@y.mx", "a" * 300 + "@example.com", "<ana@example.com>"]
)  # fmt: skip
def test_what_is_no_address_is_told_beside_the_field(visitor, email):
    answer = ask_for_mail(visitor(), email)
    assert answer.status_code == 422
    assert 'id="correo-error"' in answer.text
    assert SignIn.select().count() == 0


def test_somebody_new_registers_with_the_same_proof(visitor, deliver):
    browser = visitor()
    assert browser.post("/registro", data=NEW).location == "/entrar/codigo"
    assert Account.select().where(Account.email == "sofia@example.com").count() == 0
    browser.post("/entrar/codigo", data={"codigo": current_code()})
    account = Account.get(Account.email == "sofia@example.com")
    assert (account.name, account.consented_at) == ("Sofía Núñez", NOW)
    assert Client.select().join(Access).where(Access.account == account).get().known_since is None


def test_a_record_of_the_practice_becomes_the_new_accounts(visitor, app):
    Client.create(
        name="Sofía N. de la O", email="sofia@example.com", created_at=NOW, known_since=NOW
    )
    browser = visitor()
    page = browser.post("/registro", data=NEW, follow_redirects=True)
    assert "de la O" not in page.text  # Nothing is told before the proof.
    browser.post("/entrar/codigo", data={"codigo": current_code()})
    account = Account.get(Account.email == "sofia@example.com")
    own = Client.select().join(Access).where(Access.account == account)
    assert [c.name for c in own] == ["Sofía N. de la O"]


def test_registering_again_is_just_signing_in(visitor, ana):
    browser = visitor()
    answer = browser.post("/registro", data=NEW | {"correo": "ana@example.com", "nombre": "Otra"})
    assert answer.location == "/entrar/codigo"
    browser.post("/entrar/codigo", data={"codigo": current_code()})
    assert Account.get(Account.email == "ana@example.com").name == "Ana Ruiz Peña"


def test_whoever_asks_for_a_child_names_the_child(visitor, app):
    browser = visitor()
    missing = browser.post("/registro", data=NEW | {"para": "menor"})
    assert missing.status_code == 422
    assert "Escriba el nombre del menor." in missing.text
    child = {"para": "menor", "nombre_menor": "Tomás", "nacimiento": "2019-05-20"}
    browser.post("/registro", data=NEW | child)
    browser.post("/entrar/codigo", data={"codigo": current_code()})
    assert Client.get(Client.kind == "minor").name == "Tomás"


@pytest.mark.parametrize("field", ["nombre", "correo", "telefono", "para", "acepto"])
def test_each_missing_field_is_named_and_the_others_are_kept(visitor, app, field):
    answer = visitor().post("/registro", data={k: v for k, v in NEW.items() if k != field})
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    if field != "nombre":
        assert "Sofía Núñez" in answer.text


def test_where_one_wanted_to_go_survives_the_mail(visitor, ana):
    wanted = "/citas/nueva/horario?servicio=individual&consultorio=centro"
    ask_for_mail(visitor(), sig=wanted)
    assert visitor().post(current_link()).location == wanted


@pytest.mark.parametrize(
    ("path", "safe"),
    [
        ("/citas", True),
        ("/citas?a=1#b", True),
        ("", False),
        ("//evil.com", False),
        ("/\\evil.com", False),
        ("https:evil.com", False),
        ("https://evil.com", False),
        ("/\tevil", False),
        ("/citas\n", False),
        ("javascript:alert(1)", False),
        ("citas", False),
        ("/" + "a" * 600, False),
    ],
)
def test_only_paths_of_this_site_are_followed(path, safe):
    assert bool(safe_path(path)) is safe


def test_signing_out_ends_the_session_whatever_the_cookie_says(visitor, ana):
    browser = visitor(ana)
    stolen = browser.get_cookie("citas").value
    page = browser.get("/citas")
    browser.post("/salir", data={"llave": key_of(page)})
    thief = visitor()
    thief.set_cookie("citas", stolen)
    assert thief.get("/citas").status_code == 303


def test_a_session_ends_by_itself(visitor, ana, clock):
    browser = visitor(ana)
    clock.advance(timedelta(days=91))
    assert browser.get("/citas").status_code == 303


def test_a_disabled_account_is_out_at_once(visitor, ana):
    browser = visitor(ana)
    Account.update(disabled_at=NOW).where(Account.id == ana.id).execute()
    assert browser.get("/citas").status_code == 303
    ask_for_mail(visitor())
    assert [m.kind for m in OutboxMessage.select()] == [Kind.SIGN_IN_UNKNOWN]


def test_the_language_is_chosen_and_remembered(visitor, ana):
    browser = visitor(ana)
    assert '<html lang="es">' in browser.get("/citas").text
    back = browser.post("/idioma", data={"idioma": "en", "volver": "/citas"})
    assert back.location == "/citas"
    assert '<html lang="en">' in browser.get("/citas").text
    assert Account.get_by_id(ana.id).language == "en"
    for bad in ("xx", "", "../../etc", "en_US.UTF-8@€"):
        assert browser.post("/idioma", data={"idioma": bad}).status_code == 303
    assert '<html lang="en">' in browser.get("/citas").text


def test_the_guides_four_labels_stand_in_both_languages(visitor, ana, confirmed):
    door = html.unescape(visitor().get("/").text)
    assert 'Cliente existente <small lang="en">I’m an Existing Client</small>' in door
    assert 'Nuevo cliente <small lang="en">I’m a New Client</small>' in door
    listed = html.unescape(visitor(ana).get("/citas").text)
    assert 'Citas <small lang="en">Appointments</small>' in listed
    assert 'Cancelar sesión <small lang="en">Cancel Session</small>' in listed


def test_what_is_wrong_is_listed_in_the_order_of_the_page_and_said_in_the_title(visitor):
    answer = visitor().post("/registro", data={"correo": "nadie", "para": "menor"})
    listed = re.findall(r'<li><a href="#(\w+)">', answer.text)
    assert listed == ["nombre", "correo", "telefono", "nombre_menor", "nacimiento", "acepto"]
    assert "<title>Error: Nuevo cliente" in answer.text
    assert "<title>Nuevo cliente" in visitor().get("/registro").text


def test_whoever_agrees_can_read_the_privacy_notice_if_there_is_one(visitor):
    assert "Aviso de privacidad" not in visitor().get("/registro").text
    address = "https://ejemplo.mx/privacidad?a=1&b=2"
    Practice.update(privacy_url=address, revision=Practice.revision + 1).execute()
    page = visitor().get("/registro").text
    assert f'<a href="{html.escape(address)}" rel="noopener">Aviso de privacidad</a>' in page
