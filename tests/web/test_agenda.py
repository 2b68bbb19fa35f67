"""«Agenda»: the week as it stands, one appointment of it, and time that is kept free."""

from datetime import timedelta

import pytest

from booking import gateway
from booking.lifecycle import State
from booking.models import Appointment, BlockedTime, Hours
from booking.operations import deny
from tests.builders import at, confirmed_session, own_client, request
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
    assert "Sesión individual · Sala 1" in page
    assert page.count("<h2>") == 7


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
