"""«Agenda»: the week as it stands, one appointment of it, and time that is kept free."""

import html
import random
import re
from datetime import timedelta

import pytest

from booking import gateway
from booking.availability import NotFree
from booking.lifecycle import State
from booking.models import (
    Appointment,
    BlockedTime,
    Clinician,
    Hours,
    OutboxMessage,
    Practice,
    Service,
    Withdrawn,
)
from booking.operations import block_time, deny
from tests.builders import NOW, at, confirmed_session, own_client, request
from tests.conftest import make_account
from tests.web.test_requests import deny_form, fields

MARCH_8 = "/agenda?semana=2027-03-10"  # Any day of the week will do.
BLOCK = "/agenda/bloquear"


@pytest.fixture
def clinician(visitor, ines):
    return visitor(ines)


def state(row: Appointment) -> State:
    return Appointment.get_by_id(row.id).status


def block(browser, **sent: str):
    return browser.post(BLOCK, data=fields(browser.get(BLOCK), BLOCK) | sent)


def test_the_week_shows_hours_sessions_requests_and_holds(clinician, ana, bruno, ines):
    session = confirmed_session(bruno, ines, at(8, 12))
    asked = request(ana, at(9, 10))
    clinician.post(f"/solicitudes/{asked.id}/denegar", data=deny_form(clinician, asked))
    waiting = request(ana, at(11, 9))
    page = clinician.get(MARCH_8).text
    assert "Semana del lunes, 8 de marzo" in page
    assert "Consulta: Consultorio Norte" in page
    assert f'href="/agenda/citas/{session.id}">Bruno Díaz Muñoz' in page
    assert f'Solicitud: <a href="/solicitudes/{waiting.id}">Ana Ruiz Peña' in page
    assert f'Horario ofrecido a <a href="/solicitudes/{asked.id}">Ana Ruiz Peña' in page
    assert "+5 min antes / +10 min después" in page
    assert "Sesión individual&nbsp;· Sala 1" in page
    assert page.count("<h2>") == 7


def test_a_row_says_video_only_of_a_service_that_could_be_without(clinician, ana):
    request(ana, at(8, 12), location=None)
    row = "<p>Sesión individual{}</p>"
    assert row.format("&nbsp;· videollamada") in clinician.get(MARCH_8).text
    Service.update(in_person=False).where(Service.key == "individual").execute()
    assert row.format("") in clinician.get(MARCH_8).text


def test_the_week_names_holidays_and_says_why_a_day_is_different(clinician, ines):
    Hours.create(clinician=ines.clinician_id, day="2027-03-17", reason="Congreso")
    page = clinician.get("/agenda?semana=2027-03-15").text
    assert "Natalicio de Benito Juárez" in page
    assert "Congreso" in page
    assert page.count("Sin consulta") == 4


@pytest.mark.parametrize("week", ["9999-12-31", "0001-01-01", "ayer", "", "2027-02-30"])
def test_a_week_that_is_none_is_this_week(clinician, week):
    page = clinician.get(f"/agenda?semana={week}")
    assert page.status_code == 200
    assert "Semana del lunes, 1 de marzo" in page.text


def test_this_week_begins_with_today_and_keeps_the_days_before_folded(visitor, ines, clock):
    def folded(url: str) -> list[str]:
        above, fold, _rest = visitor(ines).get(url).text.partition("</details>")
        return re.findall(r"<h2>([^,<]+)", above) if fold else []

    assert folded("/agenda") == []  # It is Monday.
    clock.set(at(4, 10))
    assert folded("/agenda") == ["lunes", "martes", "miércoles"]
    assert folded(MARCH_8) == folded("/agenda?semana=2027-02-22") == []


def test_a_week_costs_few_queries_however_full_it_is(clinician, ana, bruno, ines, caplog):
    def count() -> int:
        caplog.clear()
        with caplog.at_level("DEBUG", logger="peewee"):
            clinician.get(MARCH_8)
        return sum('FROM "practice"' not in str(r.args or r.msg) for r in caplog.records)

    confirmed_session(bruno, ines, at(8, 12))
    few = count()
    for day in (9, 10, 11, 12):
        confirmed_session(ana, ines, at(day, 10))
    assert count() == few <= 8


def test_a_manager_looks_at_anybodys_week_and_a_clinician_only_at_their_own(visitor, manager, ines):
    assert "Óscar Núñez Villaseñor" in visitor(manager).get("/agenda?profesional=oscar").text
    own = visitor(ines).get(f"{MARCH_8}&profesional=oscar").text
    assert "Consultorio Norte" in own
    assert "Óscar" not in own


def test_blocked_time_is_kept_free_and_lists_what_stays(clinician, bruno, ines):
    session = confirmed_session(bruno, ines, at(8, 12))
    answer = block(clinician, dia="2027-03-08", desde="11:00", hasta="14:00", motivo="Dentista")
    assert answer.status_code == 303
    page = clinician.get(answer.location).text
    assert "Sigue en pie 1 cita o solicitud" in page
    assert f"/agenda/citas/{session.id}" in page
    assert "Dentista" in clinician.get(MARCH_8).text
    assert state(session) is State.CONFIRMED


def test_several_whole_days_are_blocked_on_each_of_them(clinician):
    assert block(clinician, dia="2027-03-08", hasta_dia="2027-03-10", todo="1").status_code == 303
    assert clinician.get(MARCH_8).text.count("Todo el día") == 3


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"dia": "2027-03-08", "desde": "14:00", "hasta": "09:00"}, "posterior al comienzo"),
        ({"dia": "2027-03-08", "desde": "10:00", "hasta": "10:00"}, "posterior al comienzo"),
        ({"dia": "2027-03-08", "hasta_dia": "2027-03-07", "todo": "1"}, "posterior al comienzo"),
        ({"dia": "2027-02-01", "desde": "10:00", "hasta": "11:00"}, "Ese horario ya pasó."),
        ({"dia": "9999-12-31", "todo": "1"}, "demasiado lejos"),
        ({"dia": "2027-03-08", "hasta_dia": "2029-03-08", "todo": "1"}, "un año como máximo"),
        ({"dia": "2027-02-30", "desde": "10:00", "hasta": "11:00"}, "Esa fecha no existe"),
        ({"dia": "2027-03-08", "desde": "", "hasta": ""}, "Escriba desde qué hora."),
        ({"dia": "", "desde": "10:00", "hasta": "11:00"}, "Elija el día."),
    ],
)
def test_time_that_makes_no_sense_is_not_blocked_and_what_was_typed_stays(clinician, sent, told):
    answer = block(clinician, motivo="Dentista", **sent)
    assert answer.status_code == 422
    assert told in answer.text
    assert 'value="Dentista"' in answer.text
    assert BlockedTime.select().count() == 0


def test_a_block_can_be_taken_away_by_whoever_owns_the_time(clinician, visitor, oscar, manager):
    url = block(clinician, dia="2027-03-08", todo="1").location
    form = fields(clinician.get(url), f"{url}/quitar")
    stranger = visitor(oscar)
    assert stranger.get(url).status_code == 404
    assert stranger.post(f"{url}/quitar").status_code == 404
    assert visitor(manager).get(url).status_code == 200
    answer = clinician.post(f"{url}/quitar", data=form)
    assert answer.status_code == 303
    assert "Bloqueado" not in clinician.get(answer.location, follow_redirects=True).text


def test_a_manager_blocks_for_the_one_they_choose(visitor, manager, oscar):
    block(visitor(manager), profesional="oscar", dia="2027-03-08", todo="1")
    assert BlockedTime.get().clinician_id == oscar.clinician_id


def test_a_clinician_cannot_block_a_colleagues_time(clinician, ines):
    block(clinician, profesional="oscar", dia="2027-03-08", todo="1")
    assert BlockedTime.get().clinician_id == ines.clinician_id


def test_staff_cancel_for_a_client_who_telephones(clinician, ana, ines, deliver):
    session = confirmed_session(ana, ines, at(8, 12))
    url = f"/agenda/citas/{session.id}/cancelar"
    form = fields(clinician.get(url), url)
    first, again = (clinician.post(url, data=form) for _ in range(2))
    assert (first.status_code, again.status_code) == (303, 303)
    page = clinician.get(first.location).text
    assert "Cancelada por el consultorio" in page
    assert "Inés Peña Ordóñez" in page[page.index("Qué ha pasado") :]
    assert [m["Subject"] for m in deliver().sent if "cancelada" in m["Subject"]]


def test_what_changed_meanwhile_is_not_cancelled(clinician, ana, ines, clock):
    asked = request(ana, at(8, 12))
    url = f"/agenda/citas/{asked.id}/cancelar"
    form = fields(clinician.get(url), url)
    deny(asked.id, version=1, actor=gateway.staff(ines), now=clock.now())
    answer = clinician.post(url, data=form)
    assert answer.status_code == 409
    assert "Denegada" in answer.text


def test_a_session_is_closed_only_after_it_began(visitor, ana, ines, clock):
    session = confirmed_session(ana, ines, at(8, 12))
    url = f"/agenda/citas/{session.id}"
    early = visitor(ines)
    assert "Marcar que no asistió" not in early.get(url).text
    assert early.post(f"{url}/no-asistio").status_code == 409
    clock.set(at(8, 12) + timedelta(minutes=20))
    browser = visitor(ines)
    form = fields(browser.get(url), f"{url}/no-asistio")
    assert browser.post(f"{url}/no-asistio", data=form).status_code == 303
    assert "No asistió" in browser.get(url).text
    assert state(session) is State.NO_SHOW
    assert browser.post(f"{url}/realizada").status_code == 409


def test_another_clinicians_appointment_does_not_exist(visitor, oscar, ana, ines):
    session = confirmed_session(ana, ines, at(8, 12))
    browser, url = visitor(oscar), f"/agenda/citas/{session.id}"
    for path in ("", "/cancelar", "/mover"):
        assert browser.get(url + path).status_code == 404
    for path in ("/cancelar", "/realizada", "/no-asistio"):
        assert browser.post(url + path, data={"version": "2"}).status_code == 404
    assert state(session) is State.CONFIRMED


def test_moving_leads_to_the_clients_times(clinician, ana, ines):
    session = confirmed_session(ana, ines, at(8, 12))
    answer = clinician.get(f"/agenda/citas/{session.id}/mover")
    assert answer.status_code == 303
    assert answer.location.startswith(f"/clientes/{own_client(ana).id}/cita/horario?")
    assert f"cambia={session.id}" in answer.location


def test_to_clients_there_is_no_agenda(visitor, ana):
    browser = visitor(ana)
    for url in ("/agenda", BLOCK, "/agenda/citas/1", "/agenda/bloqueos/1"):
        assert browser.get(url).status_code == 404


def test_a_room_can_be_pinned_and_let_go_again(clinician, confirmed, visitor, oscar):
    address = f"/agenda/citas/{confirmed.id}"
    action = f"{address}/sala"

    def pinned() -> bool:
        return Appointment.get_by_id(confirmed.id).room_pinned

    form = fields(clinician.get(address), action)
    assert clinician.post(action, data=form | {"fija": "1"}).status_code == 303
    assert pinned()
    page = clinician.get(address)
    assert "Sala fija: la sesión se queda en Sala 1." in page.text
    assert clinician.post(action, data=fields(page, action)).status_code == 303
    assert not pinned()
    assert visitor(oscar).post(action, data=form | {"fija": "1"}).status_code == 404
    assert not pinned()


TIMES = "/agenda/horas?dia=2027-03-{:02}&servicio=individual&hora={}"


def told(page) -> dict[str, str]:
    """What the page says about the chosen time, way by way."""
    facts = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page.text)
    plain = {way: html.unescape(re.sub("<[^>]+>", "", said)) for way, said in facts}
    return {way: said.replace("\xa0", " ") for way, said in plain.items()}


def grid(page) -> dict[str, bool]:
    """The times that the page lists, and whether each is offered."""
    links = re.findall(r"&amp;hora=(\d\d:\d\d)[^>]*>[^<]*<small>(.*?)</small>", page.text)
    return {time: said == "✓ se ofrece" for time, said in links}


def test_a_days_times_say_which_are_offered(clinician, bruno, ines):
    confirmed_session(bruno, ines, at(5, 10))
    page = clinician.get("/agenda/horas?dia=2027-03-05&servicio=individual")
    shown = grid(page)
    assert "Qué se ofrece el viernes, 5 de marzo" in page.text
    assert [time for time, offered in shown.items() if offered] == [
        *("11:15", "11:30", "11:45", "12:00", "12:15", "12:30", "12:45", "13:00")
    ]
    assert (min(shown), max(shown), len(shown)) == ("09:00", "13:45", 20)
    assert told(page) == {}


@pytest.mark.parametrize(
    ("day", "time", "why"),
    [
        (5, "12:00", "✓ Se ofrece a los clientes."),
        (5, "10:15", "No se ofrece. Choca con otra cita (10:00 a. m. – 10:50 a. m.)."),
        (5, "11:00", "No quedan los minutos que hacen falta antes o después de otra cita (10:00"),
        (5, "13:30", "No se ofrece. A esa hora no hay consulta en ese lugar."),
        (8, "10:00", "No se ofrece. Ese horario está bloqueado en la agenda."),
        (9, "10:00", "Choca con otra solicitud (10:00 a. m. – 10:50 a. m.)."),
        (1, "13:00", "No se ofrece. Esa hora ya pasó o falta muy poco."),
        (5, "12:10", "No es una de las horas de inicio que se muestran a los clientes."),
        (10, "11:00", "No se ofrece. Ese día ya tiene todas las sesiones que admite."),
    ],
)
def test_the_chosen_time_says_why_it_is_offered_or_not(clinician, ana, bruno, ines, day, time, why):
    confirmed_session(bruno, ines, at(5, 10))
    request(ana, at(9, 10))
    for hour in (9, 13):
        confirmed_session(bruno, ines, at(10, hour))
    Clinician.update(max_sessions_day=2).where(Clinician.id == ines.clinician_id).execute()
    Practice.update(revision=Practice.revision + 1).execute()
    start, end = at(8, 9), at(8, 11)
    block_time(ines.clinician_id, start, end, reason="", actor=gateway.staff(ines), now=NOW)
    assert why in told(clinician.get(TIMES.format(day, time)))["Consultorio Centro"]


def test_each_way_has_its_own_reasons(clinician, ana):
    said = told(clinician.get(TIMES.format(4, "16:00")))
    assert list(said) == ["Consultorio Centro", "Consultorio Norte", "Por videollamada"]
    assert "no hay consulta" in said["Consultorio Centro"]
    assert said["Consultorio Norte"] == "✓ Se ofrece a los clientes."
    assert "no hay consulta" in said["Por videollamada"]


def test_when_only_the_room_is_missing_video_is_offered(visitor, oscar, ana, bruno, clinician):
    # Children need the only room with toys; Óscar's client sits in it, Inés's in the other one.
    request(ana, at(8, 10), clinician="oscar")
    Service.update(room_features=["sala_de_juegos"]).where(Service.key == "individual").execute()
    Practice.update(revision=Practice.revision + 1).execute()
    Appointment.update(room=2).execute()
    said = told(clinician.get(TIMES.format(8, "10:00")))
    assert said["Consultorio Centro"] == (
        "No se ofrece. A esa hora no hay sala libre con esas características."
    )
    assert said["Por videollamada"] == "✓ Se ofrece a los clientes."


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.long) for n in (1, 2, 3))])
def test_page_list_and_booking_never_disagree(clinician, visitor, ana, ines, seed):
    dice = random.Random(seed)
    for number in range(14):
        starts_at = at(
            dice.choice([1, 2, 3, 4, 5, 9]), dice.randrange(8, 15), dice.choice([0, 15, 30, 50])
        )
        place = dice.choice(["centro", "norte", None])
        client = make_account(f"Cliente {number}", f"c{number}@example.com")
        time = f"{starts_at - timedelta(hours=6):%H:%M}"
        said = told(clinician.get(TIMES.format(starts_at.day, time)))
        way = {"centro": "Consultorio Centro", "norte": "Consultorio Norte"}.get(
            place or "", "Por videollamada"
        )
        offered = said[way].startswith("✓")
        listed = visitor(ana).get(
            "/citas/nueva/horario?servicio=individual&profesional=ines"
            f"&consultorio={place or 'video'}&desde={starts_at:%Y-%m-%d}"
        )
        assert (f'value="{starts_at:%Y-%m-%dT%H:%MZ}"' in listed.text) is offered
        try:
            request(client, starts_at, location=place)
        except NotFree:
            assert not offered
        else:
            assert offered


def test_a_requests_own_time_is_no_obstacle_and_its_clients_agenda_is(clinician, ana, bruno, oscar):
    asked = request(ana, at(8, 10))
    url = f"/agenda/horas?solicitud={asked.id}&dia=2027-03-08&hora=10:00"
    page = clinician.get(url)
    assert told(page)["Consultorio Centro"].startswith("✓")
    assert "Ana Ruiz Peña" in page.text
    other = request(ana, at(10, 10), clinician="oscar")
    said = told(clinician.get(url.replace("03-08", "03-10")))
    assert "El cliente ya tiene otra cita a esa hora." in said["Consultorio Centro"]
    assert other.clinician_id != asked.clinician_id


@pytest.mark.parametrize(
    "query",
    [
        "dia=9999-12-31&hora=10:00",
        "dia=ayer&hora=25:00",
        "hora=10:00:00.5",
        "hora=%00",
        "servicio=nada&hora=03:00",
        "profesional=oscar&servicio=infantil&hora=10:00",
        "dia=2027-03-06&hora=10:00",
        "solicitud=x",
        f"solicitud={10**30}",
    ],
)
def test_times_that_make_no_sense_are_still_a_page(clinician, query):
    assert clinician.get(f"/agenda/horas?{query}").status_code == 200


def test_the_times_page_shows_nothing_of_others(visitor, clinician, oscar, ana):
    asked = request(ana, at(8, 10))
    stranger = visitor(oscar)
    for number in (asked.id, 10**9):
        assert stranger.get(f"/agenda/horas?solicitud={number}").status_code == 404
    other = stranger.get("/agenda/horas?dia=2027-03-08&profesional=ines&hora=10:00").text
    assert "Inés" not in other
    assert "Ana" not in other
    assert visitor(ana).get("/agenda/horas").status_code == 404


def test_a_clinician_whom_nobody_can_ask_online_reads_so(clinician):
    Service.update(online=False).execute()
    Practice.update(revision=Practice.revision + 1).execute()
    page = clinician.get(TIMES.format(8, "10:00")).text
    assert "No hay servicios que los clientes puedan pedir por el portal." in page


def test_each_day_of_the_week_and_a_requests_day_lead_to_its_times(clinician, ana):
    asked = request(ana, at(8, 10))
    assert (
        len(re.findall(r'href="/agenda/horas\?dia=2027-03-\d\d"', clinician.get(MARCH_8).text)) == 7
    )
    shown = clinician.get(f"/solicitudes/{asked.id}").text
    assert f'href="/agenda/horas?dia=2027-03-08&amp;solicitud={asked.id}"' in shown


def test_a_days_times_cost_few_queries_however_full_the_day_is(clinician, ana, bruno, ines, caplog):
    def count() -> int:
        caplog.clear()
        with caplog.at_level("DEBUG", logger="peewee"):
            clinician.get(TIMES.format(8, "10:00"))
        return len(caplog.records)

    count()  # The practice's set-up is read once.
    few = count()
    for hour in (9, 11, 13):
        confirmed_session(bruno, ines, at(8, hour))
    assert count() == few <= 12


@pytest.mark.parametrize(
    ("error", "why"),
    [
        ("550 5.1.1 no such user", "la dirección no existe. Llame a Ana Ruiz Peña."),
        ("TimeoutError()", "el servidor de correo no lo aceptó. Llame a Ana Ruiz Peña."),
    ],
)
def test_a_mail_that_reached_nobody_is_told_where_the_appointment_is(
    clinician, confirmed, error, why
):
    page = f"/agenda/citas/{confirmed.id}"
    for withdrawn in Withdrawn:
        OutboxMessage.update(state="dead", error=withdrawn.value).execute()
        assert "No pudimos entregar" not in clinician.get(page).text
        assert "no pudimos entregar" not in clinician.get("/solicitudes").text
    OutboxMessage.update(error=error).where(OutboxMessage.audience == "client").execute()
    for told in (page, f"/solicitudes/{confirmed.id}"):
        assert f"No pudimos entregar el correo a ana@example.com: {why}" in clinician.get(told).text
    inbox = clinician.get("/solicitudes").text
    assert "Hay 1 cita con correos que no pudimos entregar" in inbox
    assert f'href="{page}"' in inbox
