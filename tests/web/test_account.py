"""«Mis datos»: what a client can set about themselves."""

import pytest

from booking.models import Account, AccountEvent, WebSession
from tests.web.test_flow import key_of
from tests.web.test_portal import ask_for_mail, current_code, current_link

URL, SESSIONS = "/cuenta", "/cuenta/sesiones"


def save(browser, **fields):
    return browser.post(URL, data={"llave": key_of(browser.get(URL)), **fields})


def test_the_zone_of_video_sessions_is_the_readers(visitor, ana):
    phone = visitor(ana)
    assert save(phone, telefono="+34 600 123 456", zona="Europe/Madrid").status_code == 303
    saved = Account.get_by_id(ana.id)
    assert (saved.phone, saved.zone) == ("+34 600 123 456", "Europe/Madrid")
    video = phone.get("/citas/nueva/horario?servicio=individual&consultorio=video&profesional=ines")
    assert "Horarios en hora peninsular de España" in video.text
    assert "El consultorio está en otra zona: hora de la Ciudad de México" in video.text
    assert "4:00" in video.text  # Nine in the morning there is four in the afternoon here.
    office = phone.get(
        "/citas/nueva/horario?servicio=individual&consultorio=centro&profesional=ines"
    )
    assert "Horarios en hora de la Ciudad de México" in office.text


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"zona": "Marte/Olimpo"}, "Elija una zona de la lista."),
        ({"zona": "../../etc/passwd"}, "Elija una zona de la lista."),
        ({"telefono": "abc", "zona": ""}, "solo números"),
    ],
)
def test_what_makes_no_sense_is_told_beside_the_field(visitor, ana, fields, message):
    answer = save(visitor(ana), **fields)
    assert answer.status_code == 422
    assert message in answer.text
    assert Account.get_by_id(ana.id).zone == ""


def test_whom_to_call_for_erasing_is_told_to_clients_only(visitor, ana, ines, manager):
    told = ["llame a su consultorio" in visitor(who).get(URL).text for who in (ana, ines, manager)]
    assert told == [True, False, False]


def test_leaving_on_every_device_ends_every_session(visitor, ana):
    here, there = visitor(ana), visitor(ana)
    here.post("/salir", data={"llave": key_of(here.get(URL)), "todos": "1"})
    assert there.get("/citas").status_code == 303


def test_open_sessions_are_listed_and_closed_one_by_one(visitor, ana, clock):
    """ASVS 7.5.2: one's own, by the words of the device, and nobody else's."""
    here, there = visitor(ana), visitor(ana)
    WebSession.update(device="Chrome·Android").where(WebSession.id == 2).execute()
    page = here.get(URL)
    assert "Chrome en Android" in page.text
    assert "Navegador desconocido" in page.text
    assert here.post(SESSIONS, data={"sesion": "2"}).status_code == 303
    assert there.get("/citas").status_code == 303
    assert here.get("/citas").status_code == 200
    assert "Chrome en Android" not in here.get(URL).text


def test_nobody_closes_somebody_elses_session(visitor, ana, bruno):
    victim, other = visitor(ana), visitor(bruno)
    for session in (WebSession.get(WebSession.account == ana).id, "x", "", "9" * 30, "-1"):
        assert other.post(SESSIONS, data={"sesion": session}).status_code == 303
    assert victim.get("/citas").status_code == 200


def test_all_other_sessions_are_closed_at_once(visitor, ana, bruno):
    """ASVS 7.4.3"""
    here, others, brunos = visitor(ana), [visitor(ana), visitor(ana)], visitor(bruno)
    here.post(SESSIONS, data={"otras": "1"})
    assert here.get("/citas").status_code == 200
    assert [other.get("/citas").status_code for other in others] == [303, 303]
    assert brunos.get("/citas").status_code == 200


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
         "Chrome/120.0.0.0 Mobile Safari/537.36", "Chrome en Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 "
         "(KHTML, like Gecko) Version/17.1 Mobile/15E148 Safari/604.1", "Safari en iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
         "Chrome/120.0.0.0 Safari/537.36 Edg/120.0.0.0", "Edge en Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0",
         "Firefox en Linux"),
        ("curl/8.0", "Navegador desconocido"),
        ("<script>Chrome", "Chrome"),
    ],
)  # fmt: skip
def test_a_device_is_named_by_program_and_system_and_no_more(visitor, ana, agent, words):
    browser = visitor()
    browser.environ_base["HTTP_USER_AGENT"] = agent
    ask_for_mail(browser)
    browser.post("/entrar/codigo", data={"codigo": current_code()})
    assert f"<strong>{words}</strong>" in browser.get(URL).text
    assert "Mozilla" not in WebSession.get().device


def test_a_disabled_account_is_out_on_every_device_and_stays_out(app, visitor, ana, deliver):
    """ASVS 7.4.2, 7.4.5: by the operator's command, links in the mail included."""
    browsers = [visitor(ana), visitor(ana)]
    ask_for_mail(visitor())
    run = app.test_cli_runner().invoke
    assert "ya no puede entrar" in run(args=["account", "disable", " Ana@Example.com"]).output
    assert run(args=["account", "disable", ana.email]).output == "Sin cambios.\n"
    assert [b.get("/citas").status_code for b in browsers] == [303, 303]
    assert visitor().post(current_link()).status_code == 410
    assert "puede entrar de nuevo" in run(args=["account", "enable", ana.email]).output
    assert [b.get("/citas").status_code for b in browsers] == [303, 303]
    assert visitor().post(current_link()).status_code == 410  # What was mailed before stays shut.
    ask_for_mail(visitor())
    assert visitor().post(current_link()).location == "/citas"
    assert [e.event for e in AccountEvent.select().order_by(AccountEvent.id)] == [
        "disabled",
        "enabled",
    ]
