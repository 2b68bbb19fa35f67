"""The second factor of staff: never skipped, each code once, and no lock-out without a way back.

The numbers are those of OWASP ASVS 5.0.0; SECURITY.md has the table.
"""

import html
import re
from dataclasses import replace
from datetime import timedelta

import pyotp
import pytest

from booking import authenticator, links
from booking import db as database
from booking.models import (
    Account,
    AccountEvent,
    Attempt,
    Factor,
    KnownDevice,
    OutboxMessage,
    RecoveryCode,
    SignIn,
    WebSession,
)
from booking.operations import limits, second_factor, signing_in
from booking.operations.limits import LIMITS, Limited
from booking.operations.second_factor import SessionGone
from booking.operations.signing_in import Browser
from booking.settings import Environment, Settings
from booking.web.access import For
from tests.builders import NOW, own_client
from tests.conftest import make_account
from tests.web.test_flow import heading, key_of

SHOW, ACTIVATE, CODES = "/segundo-paso", "/segundo-paso/activar", "/segundo-paso/codigos"
RECOVER, TEAM = "/segundo-paso/recuperacion", "/cuenta/equipo"


@pytest.fixture
def app(books, settings, clock, mailer, portals):
    """The portal as in production, where no second factor is waived."""
    production = replace(settings, environment=Environment.PRODUCTION)
    yield portals.serving(production, clock, mailer)
    books.close(database.database.obj)


@pytest.fixture
def enter(visitor, settings):
    """Prove an address by its mail, in a new browser or in a given one."""

    def run(account, browser=None, next_path=""):
        browser = browser or visitor()
        browser.post("/entrar", data={"correo": account.email}, query_string={"sig": next_path})
        nonce = SignIn.select().order_by(SignIn.id.desc()).get().nonce
        answer = browser.post(
            "/entrar/codigo", data={"codigo": links.code(settings.secret_key, nonce)}
        )
        assert answer.location != "/entrar"
        return browser

    return run


def app_on_phone(page) -> pyotp.TOTP:
    """What an authenticator app makes of the page's key."""
    return pyotp.TOTP(re.findall(r"<code>([A-Z2-7 ]+)</code>", page.text)[0].replace(" ", ""))


@pytest.fixture
def activated(enter, ines, clock):
    """Inés's browser and her app, once she has activated it and kept the codes."""
    browser = enter(ines)
    phone = app_on_phone(browser.get(ACTIVATE))
    browser.post(ACTIVATE, data={"codigo": phone.at(clock.now())})
    codes = re.findall(r"<code>([A-Z2-7-]+)</code>", browser.get(CODES).text)
    browser.post(CODES)
    clock.advance(timedelta(minutes=1))
    return browser, phone, codes


def test_staff_activate_their_factor_when_they_first_enter(enter, ines, clock, deliver):
    browser = enter(ines, next_path="/agenda")
    sent_on = browser.get("/agenda")
    assert sent_on.location == "/segundo-paso?sig=/agenda"
    page = browser.get(sent_on.location, follow_redirects=True)
    assert heading(page) == "Active la verificación en dos pasos"
    assert 'src="data:image/svg+xml' in page.text
    assert "otpauth://totp/" in html.unescape(page.text)
    wrong = browser.post(page.request.path, data={"codigo": "000000"})
    assert wrong.status_code == 422
    assert app_on_phone(wrong).secret == app_on_phone(page).secret
    passed = browser.post(
        f"{ACTIVATE}?sig=/agenda", data={"codigo": app_on_phone(page).at(clock.now())}
    )
    assert passed.location == f"{CODES}?sig=/agenda"
    shown = browser.get(passed.location)
    assert len(re.findall(r"<code>[A-Z2-7]{4}-[A-Z2-7]{4}-[A-Z2-7]{4}</code>", shown.text)) == 10
    assert browser.post(passed.location).location == "/agenda"
    assert browser.get("/agenda").status_code == 200
    assert "Activó la verificación en dos pasos" in [m["Subject"] for m in deliver().sent]
    assert [e.event for e in AccountEvent.select()] == ["factor_set"]


def test_of_two_who_are_half_in_the_faster_one_activates(ines, settings):
    """Each of their pages said that there was no app yet."""
    faster, slower = (signing_in.open_session(ines, Browser(), now=NOW).session for _ in "ab")
    app = second_factor.activate(
        faster, code_of(faster, settings), secret_key=settings.secret_key, now=NOW
    )
    assert app.signed_in.session.account == ines
    nonce = Factor.get().nonce
    with pytest.raises(SessionGone):
        second_factor.activate(
            slower, code_of(slower, settings), secret_key=settings.secret_key, now=NOW
        )
    assert Factor.get().nonce == nonce
    assert WebSession.get_by_id(slower.id).cleared_at is None


def code_of(session: WebSession, settings: Settings) -> str:
    """What the app shows that this session's page sets up."""
    nonce = second_factor.proposed(session)
    return authenticator.code_at(settings.secret_key, nonce, authenticator.step_of(NOW))


def test_codes_are_shown_until_they_are_kept_and_never_again(activated):
    browser, _phone, codes = activated
    assert len(codes) == 10
    assert browser.get(CODES).status_code == 303


def audience(app, rule) -> For | None:
    return getattr(app.view_functions.get(rule.endpoint), "audience", None)


def test_half_in_is_nowhere(app, enter, ines):
    """ASVS 6.3.4, 8.3.1: no page and no form answers before the second factor is shown."""
    browser = enter(ines)
    signed = [
        (rule, method)
        for rule in app.url_map.iter_rules()
        if audience(app, rule) in (For.CLIENT, For.STAFF)
        for method in rule.methods & {"GET", "POST"}
    ]
    assert len(signed) > 50
    for rule, method in signed:
        url = re.sub(r"<[^>]*int:[^>]*>", "1", rule.rule)
        answer = browser.open(re.sub(r"<[^>]+>", "x", url), method=method)
        assert answer.status_code == 303, rule
        assert answer.location.startswith("/segundo-paso?"), rule
    assert "<nav" not in browser.get("/entrar").text
    assert WebSession.get().pending


def test_the_code_of_the_app_lets_in_once(activated, enter, ines, clock):
    """ASVS 6.5.1: a time-based code is good once, also in another browser."""
    _browser, phone, _codes = activated
    code = phone.at(clock.now())
    first, second = enter(ines), enter(ines)
    assert first.post(SHOW, data={"codigo": f"{code[:3]} {code[3:]}"}).location == "/"
    assert first.get("/solicitudes").status_code == 200
    again = second.post(SHOW, data={"codigo": code})
    assert again.status_code == 422
    assert "o ya se usó" in again.text
    assert second.get("/solicitudes").status_code == 303


@pytest.mark.parametrize(("seconds", "good"), [(-60, False), (-30, True), (30, True), (60, False)])
def test_a_telephones_clock_may_be_half_a_minute_off(activated, enter, ines, clock, seconds, good):
    """ASVS 6.5.5: a code lives for its half minute, and one on either side of it."""
    _browser, phone, _codes = activated
    clock.advance(timedelta(minutes=5))
    answer = enter(ines).post(
        SHOW, data={"codigo": phone.at(clock.now() + timedelta(seconds=seconds))}
    )
    assert answer.status_code == (303 if good else 422)


def test_an_older_code_is_refused_after_a_newer_one(activated, enter, ines, clock):
    _browser, phone, _codes = activated
    earlier = phone.at(clock.now())
    later = phone.at(clock.now() + timedelta(seconds=30))
    assert enter(ines).post(SHOW, data={"codigo": later}).status_code == 303
    assert enter(ines).post(SHOW, data={"codigo": earlier}).status_code == 422


def test_five_wrong_codes_close_the_door_for_a_quarter_of_an_hour(activated, enter, ines, clock):
    """ASVS 6.3.1: counted by account, whatever the browser, and the right code is too late."""
    _browser, phone, codes = activated
    clock.advance(timedelta(minutes=20))
    browsers = [enter(ines), enter(ines)]
    tries = [(SHOW, "12345"), (RECOVER, "AAAA-BBBB-CCCC"), (SHOW, ""), (RECOVER, codes[0][:-1])]
    for left, (page, typed) in zip((4, 3, 2, 1), tries, strict=True):
        wrong = browsers[left % 2].post(page, data={"codigo": typed})
        assert wrong.status_code == 422
        assert f"Intentos que le quedan: {left}." in wrong.text
        clock.advance(timedelta(minutes=1))
    assert "Espere 15 minutos" in browsers[0].post(SHOW, data={"codigo": "12345"}).text
    for page, right in ((SHOW, phone.at(clock.now())), (RECOVER, codes[0])):
        refused = browsers[1].post(page, data={"codigo": right})
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "660"
        assert "espere 11 minutos" in refused.text
    clock.advance(timedelta(minutes=11))
    assert browsers[1].post(SHOW, data={"codigo": phone.at(clock.now())}).status_code == 303


def test_old_tries_are_forgotten_by_the_next_one(activated, enter, ines, clock):
    browser = enter(ines)
    for _ in range(3):
        browser.post(SHOW, data={"codigo": "12345"})
    # The app was activated; each mail and each wrong code counts twice, for the day as well.
    assert Attempt.select().count() == 1 + 2 * 2 + 3 * 2
    clock.advance(limits.KEPT)
    enter(ines)
    assert Attempt.select().count() == 2


def test_after_a_days_wrong_codes_only_those_on_paper_open(activated, enter, ines, clock):
    """ASVS 6.3.1: five in a quarter of an hour would be guessing without end."""
    _browser, phone, codes = activated
    for _ in range(LIMITS[Limited.APP].most // 5):
        clock.advance(timedelta(minutes=15))
        browser = enter(ines)
        for _ in range(5):
            assert browser.post(SHOW, data={"codigo": "12345"}).status_code == 422
    clock.advance(timedelta(minutes=15))
    browser = enter(ines)
    refused = browser.post(SHOW, data={"codigo": phone.at(clock.now())})
    assert refused.status_code == 429
    assert heading(refused) == "Use un código de recuperación"
    assert browser.post(RECOVER, data={"codigo": codes[0]}).location == "/"
    clock.advance(timedelta(days=1))
    assert enter(ines).post(SHOW, data={"codigo": phone.at(clock.now())}).status_code == 303


def test_a_recovery_code_does_without_the_telephone_once(activated, enter, ines, deliver):
    """ASVS 6.5.1, 6.5.4: sixty bits, good once, and its owner is told."""
    _browser, _phone, codes = activated
    spoken = codes[3].replace("-", " ").lower().replace("o", "0").replace("i", "1")
    assert enter(ines).post(RECOVER, data={"codigo": spoken}).location == "/"
    assert "Se usó uno de sus códigos" in deliver().sent[-1]["Subject"]
    assert enter(ines).post(RECOVER, data={"codigo": codes[3]}).status_code == 422
    assert RecoveryCode.select().where(RecoveryCode.used_at.is_null()).count() == 9


def test_nothing_in_the_database_makes_a_code(activated, settings):
    """ASVS 6.5.2, 13.3.1: neither secret nor recovery codes are stored."""
    _browser, phone, codes = activated
    nonce = Factor.get().nonce
    assert authenticator.secret(settings.secret_key, nonce) == phone.secret
    assert authenticator.secret("another-key" * 4, nonce) != phone.secret
    stored = {
        str(value)
        for model in (Factor, RecoveryCode, WebSession, KnownDevice, OutboxMessage)
        for row in model.select().tuples()
        for value in row
    }
    assert not any(secret in text for secret in (phone.secret, *codes) for text in stored)


def test_the_code_changes_the_sessions_token(activated, enter, ines, clock):
    """ASVS 7.2.4: who saw the token of a half session has nothing once it is let in."""
    _browser, phone, _codes = activated
    browser = enter(ines)
    before = browser.get_cookie("citas").value
    browser.post(SHOW, data={"codigo": phone.at(clock.now())})
    assert browser.get("/solicitudes").status_code == 200
    browser.set_cookie("citas", before)
    assert browser.get("/solicitudes").location.startswith("/entrar")


def test_a_second_tap_on_the_button_is_no_wrong_code(activated, enter, ines, clock):
    _browser, phone, _codes = activated
    browser = enter(ines)
    stale = WebSession.select().order_by(WebSession.id.desc()).get()
    code = phone.at(clock.now())
    browser.post(SHOW, data={"codigo": code})
    with pytest.raises(second_factor.SessionGone):
        second_factor.show_code(stale, code, remember=False, secret_key="", now=clock.now())


def test_a_device_is_remembered_for_thirty_days(activated, enter, ines, clock):
    _browser, phone, _codes = activated
    browser = enter(ines)
    browser.post(SHOW, data={"codigo": phone.at(clock.now()), "recordar": "1"})
    browser.post("/salir", data={"llave": key_of(browser.get("/cuenta"))})
    assert enter(ines, browser).get("/solicitudes").status_code == 200
    assert enter(ines).get("/solicitudes").status_code == 303  # Another device.
    clock.advance(timedelta(days=30))
    assert enter(ines, browser).get("/solicitudes").status_code == 303


def test_a_remembered_device_is_one_accounts(activated, enter, ines, oscar, clock):
    _browser, phone, _codes = activated
    browser = enter(ines)
    browser.post(SHOW, data={"codigo": phone.at(clock.now()), "recordar": "1"})
    browser.post("/salir")
    assert enter(oscar, browser).get("/solicitudes").location.startswith("/segundo-paso")


def test_leaving_everywhere_forgets_the_devices(activated, enter, ines, clock):
    _browser, phone, _codes = activated
    browser = enter(ines)
    browser.post(SHOW, data={"codigo": phone.at(clock.now()), "recordar": "1"})
    browser.post("/salir", data={"todos": "1"})
    assert KnownDevice.select().count() == 0
    assert enter(ines, browser).get("/solicitudes").status_code == 303


def test_another_telephone_needs_the_old_ones_code(activated, clock):
    """ASVS 7.5.1: whoever finds an open session cannot put their own telephone in its place."""
    browser, phone, codes = activated
    clock.advance(timedelta(minutes=10))
    asked = browser.get(ACTIVATE)
    assert asked.location == f"{SHOW}?sig={ACTIVATE}"
    assert browser.post(ACTIVATE, data={"codigo": "123456"}).location == asked.location
    assert "es delicado" in browser.get(asked.location).text
    assert browser.post(asked.location, data={"codigo": phone.at(clock.now())}).location == ACTIVATE
    other = app_on_phone(browser.get(ACTIVATE))
    assert other.secret != phone.secret
    clock.advance(timedelta(seconds=60))
    assert browser.post(ACTIVATE, data={"codigo": other.at(clock.now())}).location == CODES
    fresh = re.findall(r"<code>([A-Z2-7-]+)</code>", browser.get(CODES).text)
    assert not set(fresh) & set(codes)
    assert Factor.select().count() == 1


def test_removing_a_factor_ends_the_sessions_and_tells_its_owner(activated, ines, clock, deliver):
    browser, _phone, _codes = activated
    assert second_factor.remove(ines, by=None, now=clock.now())
    assert browser.get("/solicitudes").location.startswith("/entrar")
    assert "Se quitó su verificación" in deliver().sent[-1]["Subject"]
    assert not second_factor.remove(ines, by=None, now=clock.now())


def test_a_manager_removes_the_factor_of_whoever_lost_the_telephone(
    activated, enter, ines, manager, clock, deliver
):
    """ASVS 6.4.4, 7.5.3: with their own code shown just now, and written down."""
    browser, _phone, _codes = activated
    boss = enter(manager)
    phone = app_on_phone(boss.get(ACTIVATE))
    boss.post(ACTIVATE, data={"codigo": phone.at(clock.now())})
    clock.advance(timedelta(minutes=10))
    assert boss.post(TEAM, data={"cuenta": ines.id}).location == f"{SHOW}?sig={TEAM}"
    boss.post(SHOW, data={"codigo": phone.at(clock.now())})
    assert "Inés" in boss.get(TEAM).text
    assert boss.post(TEAM, data={"cuenta": ines.id}).status_code == 303
    assert browser.get("/solicitudes").location.startswith("/entrar")
    assert "Se quitó su verificación" in deliver().sent[-1]["Subject"]
    removed = AccountEvent.get(AccountEvent.event == "factor_removed")
    assert (removed.account, removed.by) == (ines, manager)
    for nobody in (manager.id, 999, "x", ""):
        assert boss.post(TEAM, data={"cuenta": nobody}).location == TEAM


def test_a_persons_data_ask_for_a_code_shown_just_now(activated, enter, manager, clock):
    """ASVS 7.5.3: neither one's own as a file, nor a client's, nor erasing them, goes without."""
    client = own_client(make_account("Ana Ruiz Peña", "ana@example.com"))
    record = f"/clientes/{client.id}"
    ines, _phone, _codes = activated
    boss = enter(manager)
    phone = app_on_phone(boss.get(ACTIVATE))
    boss.post(ACTIVATE, data={"codigo": phone.at(clock.now())})
    mine, theirs, erase = "/cuenta/mis-datos.json", f"{record}/datos.json", f"{record}/borrar"
    pages = [(ines, mine), (boss, theirs), (boss, erase)]
    assert [browser.get(page).status_code for browser, page in pages] == [200] * 3
    clock.advance(timedelta(minutes=10))
    for browser, page in pages:
        assert browser.get(page).location == f"{SHOW}?sig={page}"
    assert boss.post(erase, data={"nombre": client.name}).location == f"{SHOW}?sig={erase}"
    assert own_client(Account.get(Account.email == "ana@example.com")).name == "Ana Ruiz Peña"


def test_only_managers_see_the_team(activated):
    browser, _phone, _codes = activated
    assert browser.get(TEAM).status_code == 404
    assert browser.post(TEAM, data={"cuenta": "1"}).status_code == 404


def test_the_operator_removes_a_factor_by_command(app, activated, ines):
    browser, _phone, _codes = activated
    run = app.test_cli_runner().invoke
    assert "Quitada." in run(args=["account", "reset-factor", ines.email]).output
    assert browser.get("/solicitudes").location.startswith("/entrar")
    again = run(args=["account", "reset-factor", ines.email])
    assert (again.exit_code, "no tiene la verificación activa" in again.output) == (1, True)
    assert run(args=["account", "reset-factor", "nadie@example.com"]).exit_code == 1


def test_clients_have_no_second_factor(enter, ana):
    browser = enter(ana)
    assert browser.get("/citas").status_code == 200
    for page in (SHOW, ACTIVATE, RECOVER, CODES):
        assert browser.get(page).status_code == 404


def test_half_a_session_ends_soon_and_a_whole_one_after_twelve_hours(activated, enter, ines, clock):
    """ASVS 7.3.2: staff's sessions last half a day, those without the factor half an hour."""
    _browser, phone, _codes = activated
    half, whole = enter(ines), enter(ines)
    whole.post(SHOW, data={"codigo": phone.at(clock.now())})
    clock.advance(timedelta(minutes=30))
    assert half.get("/solicitudes").location.startswith("/entrar")
    clock.advance(timedelta(hours=11, minutes=29))
    assert whole.get("/solicitudes").status_code == 200
    clock.advance(timedelta(minutes=1))
    assert whole.get("/solicitudes").location.startswith("/entrar")
