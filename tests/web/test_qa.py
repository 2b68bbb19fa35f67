"""QA mode over HTTP: what the key opens, what it refuses, and that there is nothing without it."""

import base64
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import create_app
from booking.clock import SystemClock
from booking.mailer import FolderMailer
from booking.models import Account, Appointment, Replan
from booking.operations import report_absence
from booking.operations.replanning import Missing
from booking.qa import scenarios
from booking.qa.cast import at, decider
from booking.replanning import Allowed
from booking.settings import InvalidSettings, Settings
from booking.web.access import For, audience_of
from booking.web.qa import Door
from tests.books import settings_in
from tests.builders import NOW
from tests.web.test_matrix import anonymised
from tests.web.test_security import PRODUCTION

KEY = "una-llave-de-dieciseis-o-mas"
DEMO = {"APP_ENV": "demo", "APP_QA": "1", "APP_QA_KEY": KEY}
ROOT = Path(__file__).parents[2]


@pytest.fixture
def settings(settings) -> Settings:
    return replace(settings, qa_key=KEY)


@pytest.fixture
def mailer(settings) -> FolderMailer:
    return FolderMailer(settings.data_dir / "buzon")


@pytest.fixture
def phone(app) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def qa(phone) -> Callable[..., TestResponse]:
    """Ask as QA's tests do: with the key, and JSON if there is something to say."""

    def ask(path: str, **body: object) -> TestResponse:
        return phone.open(
            f"/qa/{path}",
            method="POST" if body else "GET",
            json=body or None,
            headers={"Authorization": f"Bearer {KEY}"},
        )

    return ask


# The key.


def doors(app) -> list[tuple[str, str]]:
    return [
        (rule.rule, method)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/qa/")
        for method in ("GET", "POST", "PUT", "OPTIONS")
    ]


def test_every_view_of_it_declares_that_it_wants_the_key(app):
    views = {rule.endpoint: rule.rule for rule in app.url_map.iter_rules()}
    wanting = {name for name in views if audience_of(app, name) is For.QA}
    assert wanting == {name for name, path in views.items() if path.startswith("/qa/")}
    assert len(wanting) >= 8


@pytest.mark.parametrize("shown", [None, "", "Bearer", f"Bearer {KEY}x", KEY, "Bearer ñ"])
def test_without_the_key_there_is_no_such_page(app, phone, shown):
    headers = {"Sec-Fetch-Site": "same-origin"}
    if shown is not None:
        headers["Authorization"] = shown
    unknown = phone.get("/qa/nada", headers=headers)
    for path, method in doors(app):
        answer = phone.open(path, method=method, headers=headers)
        assert answer.status_code == 404
        assert anonymised(answer.text) == anonymised(unknown.text)


def test_with_another_key_in_place_of_ours_nothing_opens(app, settings):
    app.extensions["settings"] = replace(settings, qa_key=None)
    answer = app.test_client().get("/qa/reloj", headers={"Authorization": "Bearer None"})
    assert answer.status_code == 404


# The clock.


def test_the_clock_stands_still_until_it_is_moved(qa, clock):
    assert qa("reloj").json == {"ahora": "2027-03-01T15:00:00+00:00"}
    assert qa("reloj", avanzar_segundos=90).json == {"ahora": "2027-03-01T15:01:30+00:00"}
    assert clock.now() == NOW + timedelta(seconds=90)
    qa("reloj", ahora="2027-03-05T09:00:00-06:00")
    assert clock.now() == datetime(2027, 3, 5, 15, tzinfo=UTC)


WRONG_TIMES = [
    {"ahora": "mañana"},
    {"ahora": "2027-03-01T15:00:00"},
    {"ahora": "9999-12-31T23:59:59+00:00"},
    {"ahora": 5},
    {"avanzar_segundos": "1"},
    {"avanzar_segundos": True},
    {"avanzar_segundos": 10**12},
    {"otra": 1},
]


@pytest.mark.parametrize("body", WRONG_TIMES, ids=str)
def test_a_wrong_time_is_refused_with_a_sentence_and_moves_nothing(qa, clock, body):
    answer = qa("reloj", **body)
    assert answer.status_code == 400
    assert answer.json["error"].endswith(".")
    assert clock.now() == NOW


@pytest.mark.parametrize("path", ["reloj", "escenario", "sesion"])
@pytest.mark.parametrize("sent", [b"", b"[]", b"{", b"\xff", b'"texto"'])
def test_a_body_that_is_no_object_is_refused_with_a_sentence(phone, path, sent):
    answer = phone.post(
        f"/qa/{path}", data=sent, content_type="application/json",
        headers={"Authorization": f"Bearer {KEY}"},
    )  # fmt: skip
    assert (answer.status_code, answer.json["error"]) == (400, "El cuerpo debe ser un objeto JSON.")


# Scenarios, people, rounds, mails.


def test_a_scenario_replaces_the_book_and_tells_who_is_in_it(qa, clock):
    clock.advance(timedelta(days=4))
    told = qa("escenario", nombre="pendiente").json
    assert told["clientes"] == [
        {"nombre": "María de los Ángeles Núñez Echeverría", "correo": "maria@example.com"}
    ]
    assert told["profesionales"][0]["correo"] == "ines@alameda.example"
    assert told["gestores"][0]["correo"] == "gestion@alameda.example"
    assert told["citas"] == [a.id for a in Appointment.select()]
    assert told["ahora"] == qa("reloj").json["ahora"]


def test_scenarios_are_listed_with_what_they_show(qa):
    assert qa("escenario").json["escenarios"] == {
        name: each.shows for name, each in scenarios.ALL.items()
    }


def test_an_unknown_scenario_is_answered_with_the_names_of_all(qa):
    answer = qa("escenario", nombre="pendientes")
    assert answer.status_code == 404
    assert answer.json["error"].startswith("No hay ningún escenario «pendientes». Los que hay: vac")
    assert qa("escenario", nombre="pendi\x00").status_code == 400
    assert qa("escenario", nombre=1).json["error"] == "Falta «nombre», un texto."


def test_somebody_is_signed_in_and_sees_what_is_theirs(qa, phone):
    qa("escenario", nombre="pendiente")
    answer = qa("sesion", quien="María de los Ángeles Núñez Echeverría")
    assert answer.json == {"quien": "maria@example.com"}
    assert "Pendiente de confirmación" in phone.get("/citas").text
    qa("escenario", nombre="vacio")
    assert phone.get("/citas").status_code == 303


def test_staff_are_signed_in_with_the_second_factor_shown_or_not(qa, phone):
    qa("escenario", nombre="pendiente")
    qa("sesion", quien="ines@alameda.example", segundo_paso=False)
    assert phone.get("/solicitudes").location.startswith("/segundo-paso")
    qa("sesion", quien="ines@alameda.example")
    assert "María de los Ángeles" in phone.get("/solicitudes").text
    assert qa("sesion", quien="ines@alameda.example", segundo_paso="no").status_code == 400


def test_nobody_is_signed_in_who_is_not_in_the_book(qa):
    answer = qa("sesion", quien="Ana")
    assert answer.status_code == 404
    assert answer.json["error"].startswith("Nadie se llama «Ana» en este escenario.")


def test_the_demonstrations_people_are_not_in_a_scenario(qa, phone):
    qa("escenario", nombre="vacio")
    assert phone.get("/demo/cliente").status_code == 404
    qa("escenario", nombre="demostracion")
    assert phone.get("/demo/cliente").status_code == 200


def test_a_round_does_what_is_due_and_the_mails_are_told_whole(qa):
    qa("escenario", nombre="ofertas-vigentes")
    before = len(qa("correos").json["correos"])
    qa("reloj", avanzar_segundos=3 * 24 * 3600)
    assert qa("ronda", x=1).json["hecho"] > 0
    sent = [base64.b64decode(mail) for mail in qa("correos").json["correos"]]
    last = message_from_bytes(sent[-1])
    assert len(sent) > before
    assert last["To"] in ("maria@example.com", "ines@alameda.example")
    assert Appointment.get().state == "denied"  # Nobody took one of the offered times.


def test_plans_are_worked_out_when_asked(qa):
    qa("escenario", nombre="ausencia")
    clinician = Account.get(Account.email == "ines@alameda.example").clinician_id
    report_absence(
        Missing(clinician_id=clinician), at(4, 7), at(4, 20), reason="", allowed=Allowed(),
        actor=decider(clinician), now=NOW,
    )  # fmt: skip
    assert qa("planes", x=1).json == {"hecho": 1}
    assert Replan.get().state == "ready"


def test_what_people_were_shown_is_told_once(qa, phone):
    qa("escenario", nombre="pendiente")
    qa("paginas", x=1)
    qa("sesion", quien="maria@example.com")
    browser = {"Sec-Fetch-Site": "same-origin"}
    phone.get("/", headers=browser)  # Leads to «Citas» and is no page itself.
    phone.get("/citas?pasadas=1", headers=browser)
    phone.get("/citas", headers=browser | {"HX-Request": "true", "HX-Target": "step"})
    phone.get("/nada", headers=browser)
    phone.get("/citas/1/cita.ics", headers=browser)
    past, upcoming, missing = qa("paginas", x=1).json["paginas"]
    assert past["html"].startswith("<!doctype html>")
    assert (past["punto"], past["direccion"]) == ("appointments.index", "/citas?pasadas=1")
    assert upcoming["html"].startswith("<title>Citas")
    assert upcoming["sesion"] == past["sesion"] != 0
    assert (missing["punto"], missing["estado"]) == ("", 404)
    assert qa("paginas", x=1).json["paginas"] == []


def test_what_is_broken_in_the_book_is_told(qa):
    qa("escenario", nombre="confirmada")
    assert qa("invariantes").json == {"rotas": {}}
    Appointment.update(room=None).execute()
    assert qa("invariantes").json["rotas"]


def test_the_book_is_replaced_only_while_nobody_looks_at_it():
    door, seen, trying = Door(), [], threading.Event()

    def replace_it() -> None:
        trying.set()
        with door.closed():
            seen.append("replaced")

    door.enter()
    other = threading.Thread(target=replace_it)
    other.start()
    trying.wait()
    other.join(0.05)
    seen.append("looked")
    door.leave()
    other.join()
    assert seen == ["looked", "replaced"]


# Where it is refused.


def test_without_qa_mode_there_is_nothing_of_it(app, settings):
    plain = create_app(replace(settings, qa_key=None))
    assert not [rule for rule in plain.url_map.iter_rules() if rule.rule.startswith("/qa")]
    answer = plain.test_client().get("/qa/reloj", headers={"Authorization": f"Bearer {KEY}"})
    assert answer.status_code == 404
    assert isinstance(plain.extensions["clock"], SystemClock)


def test_in_qa_mode_the_clock_stands_still_and_mail_is_kept(app, settings):
    made = create_app(settings)
    assert made.extensions["clock"].now() == NOW
    assert isinstance(made.extensions["mailer"], FolderMailer)


def test_the_settings_of_a_portal_in_qa_mode():
    assert Settings.from_env(DEMO).qa_key == KEY
    for off in ({}, {"APP_QA": ""}, {"APP_QA": "0"}):
        assert Settings.from_env({"APP_ENV": "demo", "APP_QA_KEY": KEY} | off).qa_key is None
    children = Settings.from_env(DEMO).environment_of_children()
    assert (children["APP_QA"], children["APP_QA_KEY"]) == ("1", KEY)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"APP_ENV": "production"}, "APP_QA=1 deja mover el reloj"),
        ({"APP_QA_KEY": ""}, "APP_QA_KEY debe tener 16 caracteres o más"),
        ({"APP_QA_KEY": "k" * 15}, "APP_QA_KEY debe tener 16 caracteres o más"),
        ({"APP_QA_KEY": "ñ" * 16}, "sin acentos"),
        ({"APP_QA": "sí"}, "APP_QA debe ser 0 o 1"),
        ({"APP_SMTP_URL": "smtp://localhost"}, "quite APP_SMTP_URL"),
    ],
)
def test_what_qa_mode_must_not_open_is_refused(changed, words):
    with pytest.raises(InvalidSettings, match=words):
        Settings.from_env(DEMO | changed)


def test_production_does_not_start_with_it(tmp_path):
    told = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "app", "serve"],
        cwd=ROOT,
        env=settings_in(tmp_path).environment_of_children()
        | PRODUCTION
        | DEMO
        | {"APP_ENV": "production"},
        capture_output=True,
        text=True,
    )
    assert told.returncode == 1
    assert told.stderr.splitlines()[-1].startswith("APP_QA=1 deja mover el reloj")
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize("command", ["serve --workers 2", "worker"])
def test_one_clock_means_one_process(app, command):
    told = app.test_cli_runner().invoke(args=command.split())
    assert told.exit_code == 1
    assert told.output.startswith("Error: Con APP_QA=1")
