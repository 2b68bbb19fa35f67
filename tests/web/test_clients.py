"""«Clientes»: finding somebody who telephones, and giving them an appointment."""

import re
from datetime import datetime

import pytest
from werkzeug.test import TestResponse

from booking import gateway
from booking.lifecycle import State
from booking.models import Appointment, Client, Modality, Practice, Room
from booking.operations import add_client, block_time
from booking.queries.staff import MOST_CLIENTS
from tests.builders import NOW, at, confirmed_session, own_client, request
from tests.conftest import add_minor
from tests.web.test_requests import fields


@pytest.fixture
def clinician(visitor, ines):
    return visitor(ines)


@pytest.fixture
def ana(ana, ines):
    """She is Inés's own."""
    Client.update(clinician=ines.clinician_id).where(Client.id == own_client(ana).id).execute()
    return ana


def draft(client: Client, step: str, starts_at: datetime | None = None, **more: object) -> str:
    hour = f"&hora={starts_at:%Y-%m-%dT%H:%MZ}" if starts_at else ""
    rest = "".join(f"&{name}={value}" for name, value in more.items())
    where = "consultorio=centro&profesional=ines"
    if "servicio" not in more:
        where = f"servicio=individual&{where}"
    return f"/clientes/{client.id}/cita/{step}?{where}{hour}{rest}"


def confirmation(
    browser, client: Client, starts_at: datetime, **more: object
) -> tuple[str, dict[str, list[str]]]:
    """Where the last step's form goes, and what it sends."""
    page = browser.get(draft(client, "confirmar", starts_at, **more))
    action = page.text.split('<div class="bar">')[1].split('action="')[1].split('"')[0]
    return action.replace("&amp;", "&"), fields(page, action)


def book(browser, client: Client, starts_at: datetime, **more: object) -> TestResponse:
    url, form = confirmation(browser, client, starts_at, **more)
    return browser.post(url, data=form)


def other_time(browser, client: Client, day: str, hour: str) -> TestResponse:
    return browser.post(draft(client, "horario"), data={"dia": day, "a_las": hour})


@pytest.mark.parametrize("asked", ["pena", "PEÑA ana", "ana@exam", "5555-0199", "+52 55 5555"])
def test_a_client_is_found_without_accents_by_address_or_by_telephone(clinician, ana, asked):
    Client.update(phone="+52 55 5555 0199").where(Client.id == own_client(ana).id).execute()
    page = clinician.get("/clientes", query_string={"q": asked}).text
    assert "Ana Ruiz Peña" in page


@pytest.mark.parametrize("asked", ["zzz", "%", "' OR 1=1 --", "ana" * 60])
@pytest.mark.usefixtures("ana")
def test_whoever_is_not_there_is_not_found(clinician, asked):
    found = clinician.get("/clientes", query_string={"q": asked})
    assert found.status_code == 200
    assert "Ana Ruiz Peña" not in found.text


def test_a_list_that_is_not_whole_says_how_to_find_the_rest(clinician, ines):
    for number in range(MOST_CLIENTS + 1):
        email = f"s{number}@example.com"
        add_client(name="Íñigo Sáenz", email=email, phone="", actor=gateway.staff(ines), now=NOW)
    assert "Hay más: escriba parte del nombre para encontrarlos." in clinician.get("/clientes").text
    assert "Hay más: escriba otra parte del nombre." in clinician.get("/clientes?q=saenz").text
    assert "Hay más" not in clinician.get("/clientes?q=s50@").text


def test_a_clinician_sees_whoever_has_asked_for_them_and_nobody_else(visitor, oscar, manager, ana):
    browser, client = visitor(oscar), own_client(ana)
    assert "Ana" not in browser.get("/clientes").text
    assert browser.get(f"/clientes/{client.id}").status_code == 404
    assert browser.get(draft(client, "confirmar", at(8, 10))).status_code == 404
    assert "Ana" in visitor(manager).get("/clientes").text
    request(ana, at(3, 10), clinician="oscar")
    assert "Ana" in browser.get("/clientes").text
    assert browser.get(f"/clientes/{client.id}").status_code == 200


def test_whoever_only_registered_is_known_to_managers_alone(visitor, clinician, manager, bruno):
    client = own_client(bruno)
    assert "Bruno" not in clinician.get("/clientes").text
    assert clinician.get(f"/clientes/{client.id}").status_code == 404
    assert "Bruno" in visitor(manager).get("/clientes").text


def test_a_client_of_a_clinicians_own_is_seen_before_any_appointment(
    clinician, visitor, oscar, ines
):
    client = add_client(
        name="Íñigo Sáenz", email="", phone="55 5555 0123", actor=gateway.staff(ines), now=NOW
    )
    assert clinician.get(f"/clientes/{client.id}").status_code == 200
    assert visitor(oscar).get(f"/clientes/{client.id}").status_code == 404


def test_a_new_client_is_written_down_and_given_an_appointment(clinician, deliver):
    form = fields(clinician.get("/clientes/nuevo"), "/clientes/nuevo")
    form |= {"nombre": "Íñigo Sáenz", "telefono": "55 5555 0123", "correo": "Inigo@Example.com"}
    answer = clinician.post("/clientes/nuevo", data=form)
    assert answer.status_code == 303
    page = clinician.get(answer.location).text
    assert 'href="tel:5555550123"' in page
    assert "Dar una cita" in page
    client = Client.get(Client.email == "inigo@example.com")
    booked = book(clinician, client, at(2, 9, 5))  # Tomorrow, off the grid: staff may.
    assert booked.status_code == 303
    assert "Confirmada" in clinician.get(booked.location).text
    sent = deliver().sent
    assert [m["To"] for m in sent] == ["inigo@example.com"]


@pytest.mark.parametrize(
    "sent",
    [
        {"nombre": "", "telefono": "55 5555 0123"},
        {"nombre": "Íñigo", "telefono": "", "correo": ""},
        {"nombre": "Íñigo", "correo": "sin arroba"},
        {"nombre": "Íñigo", "telefono": "no tiene"},
        {"nombre": "a" * 200, "telefono": "55 5555 0123"},
        {},
    ],
)
def test_a_record_that_nobody_could_use_is_not_made(clinician, sent):
    answer = clinician.post("/clientes/nuevo", data=sent)
    assert answer.status_code == 422
    assert sent.get("nombre", "") in answer.text
    assert Client.select().count() == 0


def test_a_clinician_is_led_from_the_service_to_the_hour(clinician, ana):
    client = own_client(ana)
    services = clinician.get(f"/clientes/{client.id}/cita").text
    assert "Sesión individual" in services
    places = clinician.get(f"/clientes/{client.id}/cita/lugar?servicio=individual").text
    assert "Consultorio Norte" in places
    assert "Videollamada" in places
    assert "Óscar" not in places
    assert 'name="hora"' in clinician.get(draft(client, "horario")).text
    gap = clinician.get(f"/clientes/{client.id}/cita/confirmar?servicio=individual")
    assert gap.location == f"/clientes/{client.id}/cita/lugar?servicio=individual"


def test_a_manager_chooses_with_whom(visitor, manager, ana):
    client = own_client(ana)
    browser = visitor(manager)
    places = browser.get(f"/clientes/{client.id}/cita/lugar?servicio=individual").text
    assert "Inés Peña Ordóñez" in places
    assert "Óscar Núñez Villaseñor" in places
    booked = book(browser, client, at(8, 10))
    assert booked.status_code == 303
    page = browser.get(booked.location).text
    assert "Cita registrada por el consultorio" in page
    assert "Lucía Gestora" in page


def test_a_second_tap_books_no_second_appointment(clinician, ana):
    url, form = confirmation(clinician, own_client(ana), at(8, 10))
    answers = [clinician.post(url, data=form) for _ in range(2)]
    assert [a.status_code for a in answers] == [303, 303]
    assert Appointment.select().count() == 1


def test_a_time_that_is_not_on_the_list_can_be_written(clinician, ana):
    answer = other_time(clinician, own_client(ana), "2027-03-02", "10:07")
    assert answer.status_code == 303
    assert "a las 10:07" in clinician.get(answer.location).text


def test_an_impossible_time_is_explained(clinician, ana, bruno, ines):
    client = own_client(ana)
    confirmed_session(bruno, ines, at(8, 10))
    block_time(
        ines.clinician_id, at(10, 9), at(10, 14), reason="", actor=gateway.staff(ines), now=NOW
    )
    for day, hour, told in (
        ("2027-03-08", "10:30", "Choca con otra cita (10:00\xa0a.\xa0m. – 10:50\xa0a.\xa0m.)."),
        ("2027-03-08", "10:55", "No quedan los minutos que hacen falta"),
        ("2027-03-08", "20:00", "A esa hora no hay consulta en ese lugar."),
        ("2027-03-10", "10:00", "Ese horario está bloqueado en la agenda."),
        ("2027-03-01", "08:00", "Esa hora ya pasó"),
        ("2027-03-15", "10:00", "A esa hora no hay consulta en ese lugar."),
        ("9999-12-31", "10:00", "demasiado lejos"),
        ("", "", "Elija el día."),
    ):
        answer = other_time(clinician, client, day, hour)
        assert answer.status_code == 422, day
        assert told in answer.text, answer.text
        assert f'value="{day}"' in answer.text


def test_a_client_is_not_booked_twice_at_once(visitor, manager, ana):
    request(ana, at(8, 10), clinician="oscar")
    answer = other_time(visitor(manager), own_client(ana), "2027-03-08", "10:00")
    assert answer.status_code == 422
    assert "El cliente ya tiene otra cita a esa hora." in answer.text


def test_a_time_without_a_room_is_explained(visitor, manager, bruno):
    child = Client.create(kind="minor", name="Leo", created_at=NOW, known_since=NOW)
    request(bruno, at(8, 10), clinician="oscar")  # In room 1, so that room 2 is left.
    browser = visitor(manager)
    url = f"/clientes/{child.id}/cita/horario?servicio=infantil&consultorio=centro&profesional=ines"
    assert browser.post(url, data={"dia": "2027-03-08", "a_las": "10:00"}).status_code == 303
    Appointment.update(room=2, room_pinned=True).execute()
    answer = browser.post(url, data={"dia": "2027-03-08", "a_las": "10:00"})
    assert answer.status_code == 422
    assert "A esa hora no hay sala libre con esas características." in answer.text


def test_what_was_taken_between_choosing_and_confirming_is_explained(clinician, ana, bruno, ines):
    url = draft(own_client(ana), "confirmar", at(8, 10))
    confirmed_session(bruno, ines, at(8, 10))
    answer = clinician.post(url, data={})
    assert answer.status_code == 409
    assert "Choca con otra cita" in answer.text
    assert 'name="hora"' in answer.text


def test_a_session_is_moved_within_itself(clinician, ana, ines, deliver):
    session = confirmed_session(ana, ines, at(8, 10))
    url = clinician.get(f"/agenda/citas/{session.id}/mover").location
    assert "Ahora: lunes, 8 de marzo, a las 10:00" in clinician.get(url).text
    deliver().sent.clear()
    booked = book(clinician, own_client(ana), at(8, 10, 30), cambia=session.id)
    assert booked.status_code == 303
    page = clinician.get(booked.location).text
    assert "Antes: lunes, 8 de marzo, a las 10:00" in page
    assert Appointment.get_by_id(session.id).status is State.MOVED
    assert len(deliver().sent) == 1


def test_a_session_that_ended_meanwhile_is_not_moved(clinician, ana, ines):
    session = confirmed_session(ana, ines, at(8, 10))
    url = draft(own_client(ana), "confirmar", at(9, 10), cambia=session.id)
    cancel = f"/agenda/citas/{session.id}/cancelar"
    clinician.post(cancel, data=fields(clinician.get(cancel), cancel))
    assert clinician.post(url, data={}).status_code == 409
    assert clinician.get(url).location == f"/agenda/citas/{session.id}"
    assert Appointment.select().count() == 1


def test_another_clinicians_session_is_not_moved(visitor, oscar, ana, ines):
    session = confirmed_session(ana, ines, at(8, 10))
    client = own_client(ana)
    url = (
        f"/clientes/{client.id}/cita/confirmar?servicio=individual&consultorio=centro"
        f"&profesional=oscar&hora=2027-03-08T18:00Z&cambia={session.id}"
    )
    assert visitor(oscar).post(url).status_code == 404
    assert Appointment.get_by_id(session.id).status is State.CONFIRMED


@pytest.mark.parametrize(
    "query",
    [
        "hora=garbage",
        "hora=9999-01-01T00:00Z",
        "cambia=999999999999999999999999",
        "desde=0001-01-01",
        "desde=9999-12-31",
        "profesional=oscar",
        "servicio=\x00",
    ],
)
def test_an_odd_address_is_still_a_page(clinician, ana, query):
    for step in ("horario", "confirmar"):
        name = query.split("=")[0]
        rest = {"servicio": "individual", "consultorio": "centro", "profesional": "ines"}
        rest.pop(name, None)
        address = f"/clientes/{own_client(ana).id}/cita/{step}?{query}"
        assert clinician.get(address).status_code < 500
        for key, value in rest.items():
            address += f"&{key}={value}"
        assert clinician.get(address).status_code in (200, 303, 404)


def test_a_video_session_is_booked_without_a_room(clinician, ana):
    url = (
        f"/clientes/{own_client(ana).id}/cita/confirmar?servicio=individual&consultorio=video"
        "&profesional=ines&hora=2027-03-08T16:00Z"
    )
    booked = clinician.post(url, data={})
    assert booked.status_code == 303
    row = Appointment.get()
    assert (row.modality, row.room_id) == (Modality.VIDEO, None)
    assert "Videollamada" in clinician.get(booked.location).text


def test_a_clients_page_shows_what_is_to_come_and_what_was(clinician, ana, ines):
    coming = confirmed_session(ana, ines, at(8, 10))
    cancel = f"/agenda/citas/{coming.id}/cancelar"
    other = confirmed_session(ana, ines, at(9, 10))
    clinician.post(cancel, data=fields(clinician.get(cancel), cancel))
    page = clinician.get(f"/clientes/{own_client(ana).id}").text
    upcoming, past = page.split("Anteriores")
    assert f"/agenda/citas/{other.id}" in upcoming
    assert f"/agenda/citas/{coming.id}" in past


def test_to_clients_there_are_no_clients(visitor, ana):
    browser = visitor(ana)
    client = own_client(ana)
    for url in ("/clientes", "/clientes/nuevo", f"/clientes/{client.id}", draft(client, "horario")):
        assert browser.get(url).status_code == 404


def test_a_record_made_by_staff_belongs_to_the_clinician_who_made_it(ines):
    added = add_client(
        name="Íñigo", email="", phone="5555550123", actor=gateway.staff(ines), now=NOW
    )
    assert added.clinician_id == ines.clinician_id


def test_nobody_is_written_down_twice(clinician, ana):
    answer = clinician.post(
        "/clientes/nuevo", data={"nombre": "Ana R.", "correo": "Ana@example.com"}
    )
    assert answer.status_code == 422
    assert "Ya hay un cliente con ese correo." in answer.text
    assert Client.select().count() == 1


def test_who_comes_to_a_colleague_is_not_told(clinician, visitor, manager, bruno):
    known = {"nombre": "Bruno D.", "correo": "bruno@example.com"}
    answer = clinician.post("/clientes/nuevo", data=known)
    assert answer.status_code == 422
    assert "No se puede añadir con ese correo. Pida ayuda" in answer.text
    assert "Ya hay un cliente" not in answer.text
    assert "Ya hay un cliente" in visitor(manager).post("/clientes/nuevo", data=known).text
    assert Client.select().where(Client.email == "bruno@example.com").count() == 1


def test_a_swap_of_rooms_is_shown_before_it_is_made_and_told_afterwards(
    visitor, manager, ana, bruno, oscar
):
    """Óscar's session is in the room with toys, and a child needs that room."""
    child = add_minor(ana, "Luz Ruiz")
    moved = request(bruno, at(10, 9, 30), clinician="oscar")
    Appointment.update(room=Room.get(Room.key == "c2")).where(Appointment.id == moved.id).execute()
    with gateway.change(gateway.SYSTEM, now=NOW) as tx:
        tx.touch(moved)
    browser = visitor(manager)
    words = (
        "La sesión del miércoles, 10 de marzo, a las 9:30\u00a0a.\u00a0m. pasa de Sala 2 a Sala 1."
    )
    page = browser.get(draft(child, "confirmar", at(10, 10), servicio="infantil"))
    assert words in page.text
    assert Appointment.get_by_id(moved.id).room.key == "c2"
    booked = book(browser, child, at(10, 10), servicio="infantil")
    assert booked.status_code == 303
    assert Appointment.get_by_id(moved.id).room.key == "c1"
    assert words in browser.get(booked.location).text


def test_an_empty_list_counts_what_other_places_and_colleagues_have(
    clinician, visitor, manager, ana, ines
):
    for day in range(1, 32):
        block_time(
            ines.clinician_id,
            at(day, 8),
            at(day, 15),
            reason="",
            actor=gateway.staff(ines),
            now=NOW,
        )
    own, url = own_client(ana), draft(own_client(ana), "horario", desde="2027-03-01")
    Practice.update(horizon_days=14, revision=Practice.revision + 1).execute()
    for browser, colleague in ((clinician, False), (visitor(manager), True)):
        page = browser.get(url).text
        assert "No hay horarios libres en la lista." in page
        suggested = page.split('<ul class="choices">')[1].split("</ul>")[0]
        norte = "consultorio=norte&amp;profesional=ines"
        assert f'href="/clientes/{own.id}/cita/horario?servicio=individual&amp;{norte}' in suggested
        assert re.search(r"Consultorio Norte · Inés Peña Ordóñez <[^>]+>\d+ horarios", suggested)
        assert ("Óscar" in suggested) is colleague
