"""The list, the page of one appointment, and what can be done there."""

import html
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from icalendar import Calendar

from booking import gateway
from booking.lifecycle import State
from booking.models import Appointment, OfferedSlot, OfferState, Practice
from booking.operations import accept, deny
from booking.operations.requesting import open_successor
from tests.builders import NOW, at, confirmed_session, request
from tests.conftest import make_account
from tests.web.test_flow import heading, key_of

OWN = "2027-03-04T16:00Z"
TUESDAY = "&hora=2027-03-09T16:00Z"
ACTIONS = ("", "/enviada", "/cita.ics", "/cancelar", "/reprogramar", "/ninguno")


@pytest.fixture
def phone(visitor, ana):
    return visitor(ana)


@pytest.fixture
def offered(ana, ines):
    """Ana's request, denied with two slots on offer."""
    asked = request(ana)
    return deny(
        asked.id,
        version=asked.version,
        actor=gateway.staff(ines),
        offers=tuple(_slot(asked, start) for start in (at(5, 10), at(8, 11))),
        note="Ese día estoy en un congreso.",
        now=at(1, 9),
    )


def _slot(asked: Appointment, start):
    from booking.availability import slot, wish_of

    return slot(wish_of(asked), start, now=at(1, 9))


def press(browser, url, action=None, **fields):
    """Open a page and send its form."""
    page = browser.get(url)
    return browser.post(action or url, data={"llave": key_of(page), **fields})


def fresh(appointment: Appointment) -> Appointment:
    return Appointment.get_by_id(appointment.id)


def cards(page) -> list[str]:
    return re.findall(r'<p class="status[^>]*>(.*?)</p>', page.text)


def test_the_list_tells_each_status_in_words(phone, ana, ines, offered):
    confirmed_session(ana, ines, at(9, 10))
    request(ana, at(10, 10))
    listed = cards(phone.get("/citas"))
    assert listed == ["Denegada: elija otro horario", "Confirmada", "Pendiente de confirmación"]


def test_an_empty_list_says_what_to_do(phone):
    page = phone.get("/citas")
    assert "No tiene citas próximas" in page.text
    assert "Solicitar cita" in page.text


@pytest.mark.parametrize("action", ACTIONS)
def test_what_is_somebody_elses_does_not_exist(visitor, bruno, confirmed, action):
    answer = visitor(bruno).get(f"/citas/{confirmed.id}{action}")
    assert answer.status_code == 404
    assert heading(answer) == "Esta página no existe"


@pytest.mark.parametrize("verb", ["cancelar", "ninguno", "elegir"])
def test_nobody_changes_what_is_somebody_elses(visitor, bruno, confirmed, verb):
    answer = visitor(bruno).post(f"/citas/{confirmed.id}/{verb}", data={"horario": "1"})
    assert answer.status_code == 404
    assert fresh(confirmed).status is State.CONFIRMED


def test_cancelling_asks_once_and_shows_in_the_list(phone, confirmed):
    url = f"/citas/{confirmed.id}/cancelar"
    assert "No, conservar la cita" in phone.get(url).text
    assert fresh(confirmed).status is State.CONFIRMED  # A GET changes nothing.
    assert press(phone, url).status_code == 303
    assert cards(phone.get("/citas")) == ["Cancelada"]


def test_cancelling_twice_ends_the_same(phone, confirmed):
    url = f"/citas/{confirmed.id}/cancelar"
    form = {"llave": key_of(phone.get(url))}
    assert phone.post(url, data=form).location == phone.post(url, data=form).location
    again = phone.post(url)
    assert again.status_code == 409
    assert "ya no se puede cancelar" in again.text


def test_too_late_leads_to_the_telephone(phone, confirmed, clock):
    clock.set(at(3, 10, 1))
    url = f"/citas/{confirmed.id}/cancelar"
    page = phone.get(url)
    assert "Llame a su consultorio para cancelar." in page.text
    assert 'href="tel:+525555550100"' in page.text
    assert "24 horas de anticipación" in page.text
    assert phone.post(url).status_code == 409
    assert fresh(confirmed).status is State.CONFIRMED


def test_a_practice_without_online_cancelling_says_so(phone, confirmed):
    Practice.update(cancel_notice_minutes=None, revision=Practice.revision + 1).execute()
    page = phone.get(f"/citas/{confirmed.id}/cancelar")
    assert "Este consultorio no cancela citas por el portal." in page.text


def test_rescheduling_too_late_leads_to_the_telephone(phone, confirmed, clock):
    clock.set(at(3, 10, 1))
    page = phone.get(f"/citas/{confirmed.id}/reprogramar")
    assert "Llame a su consultorio para reprogramar." in page.text


def test_rescheduling_keeps_the_old_until_the_new_is_confirmed(phone, ana, ines, confirmed):
    start = phone.get(f"/citas/{confirmed.id}/reprogramar")
    assert f"cambia={confirmed.id}" in start.location
    wanted = request(ana, at(4, 10, 30), replaces=confirmed.id, chain=confirmed.chain)
    assert fresh(confirmed).status is State.CONFIRMED
    page = phone.get("/citas")
    assert "Esta cita sigue en pie" in page.text
    accept(wanted.id, version=1, actor=gateway.staff(ines), now=at(1, 10))
    assert fresh(confirmed).status is State.MOVED
    assert cards(phone.get("/citas")) == ["Confirmada"]


def test_rescheduling_does_not_offer_the_time_that_there_is(phone, ines, visitor, confirmed):
    page = phone.get(f"/citas/{confirmed.id}/reprogramar", follow_redirects=True)
    assert OWN not in page.text
    assert "2027-03-04T16:15Z" in page.text
    elsewhere = page.request.full_path.replace("consultorio=centro", "consultorio=video")
    assert OWN in phone.get(elsewhere).text
    chosen = f"{page.request.full_path}&hora={OWN}"
    assert "Es la hora que ya tiene. Elija otra hora." in phone.get(chosen).text
    page = visitor(ines).get(f"/agenda/citas/{confirmed.id}/mover", follow_redirects=True)
    assert OWN not in page.text
    assert "2027-03-04T16:15Z" in page.text


def test_a_first_visit_is_moved_online_by_a_client_who_is_known_by_then(visitor, clock, ines):
    new = make_account("Nora Gil", "nora@example.com", known=False)
    first = request(new, service="primera-visita")
    accept(first.id, version=1, actor=gateway.staff(ines), now=NOW)
    phone = visitor(new)
    start = phone.get(f"/citas/{first.id}/reprogramar").location
    confirm = start.replace("/horario", "/persona") + TUESDAY
    assert press(phone, confirm, persona=first.client_id).status_code == 303
    assert Appointment.get(Appointment.replaces == first.id).status is State.REQUESTED


def test_cancelling_the_old_withdraws_the_request_to_move_it(phone, ana, confirmed):
    wanted = request(ana, at(4, 10, 30), replaces=confirmed.id, chain=confirmed.chain)
    assert "También se retirará" in phone.get(f"/citas/{confirmed.id}/cancelar").text
    press(phone, f"/citas/{confirmed.id}/cancelar")
    assert fresh(wanted).status is State.CANCELLED_BY_CLIENT
    assert open_successor(confirmed) is None


def test_one_tap_on_an_offer_confirms_it_and_frees_the_others(phone, offered):
    page = phone.get(f"/citas/{offered.id}")
    assert heading(page) == "Su médico le ofrece estos horarios"
    assert "Ese día estoy en un congreso." in page.text
    first, second = OfferedSlot.select().order_by(OfferedSlot.starts_at)
    answer = press(phone, f"/citas/{offered.id}", f"/citas/{offered.id}/elegir", horario=second.id)
    assert answer.status_code == 303
    assert (fresh(offered).status, fresh(offered).starts_at) == (State.CONFIRMED, at(8, 11))
    assert OfferedSlot.get_by_id(first.id).state == OfferState.FREED


def test_another_offer_in_a_second_tab_is_told_what_was_chosen_in_the_first(phone, offered):
    one, other = OfferedSlot.select().order_by(OfferedSlot.rank)
    press(phone, f"/citas/{offered.id}", f"/citas/{offered.id}/elegir", horario=one.id)
    answer = phone.post(f"/citas/{offered.id}/elegir", data={"horario": other.id})
    assert answer.status_code == 409
    told = "Su cita ya quedó confirmada para el viernes, 5 de marzo, a las 10:00 a. m.<"
    assert told in html.unescape(answer.text).replace("\N{NO-BREAK SPACE}", " ")
    assert fresh(offered).starts_at == one.starts_at


@pytest.mark.parametrize("offer", ["", "0", "999", "uno", "-1", "9" * 40, "²"])
def test_an_offer_that_does_not_exist_changes_nothing(phone, offered, offer):
    answer = phone.post(f"/citas/{offered.id}/elegir", data={"horario": offer})
    assert answer.status_code == 409
    assert fresh(offered).status is State.OFFERED


def test_an_offer_whose_time_is_over_cannot_be_taken(phone, offered, clock):
    clock.advance(timedelta(days=3))
    offer = OfferedSlot.select().first()
    answer = phone.post(f"/citas/{offered.id}/elegir", data={"horario": offer.id})
    assert answer.status_code == 409
    assert "ya no está disponible" in answer.text


def test_the_way_is_shown_while_there_is_somewhere_to_go(phone, offered, confirmed):
    way = "Ver mapa"
    assert all(way in phone.get(f"/citas/{row.id}").text for row in (offered, confirmed))
    press(phone, f"/citas/{offered.id}/ninguno")
    press(phone, f"/citas/{confirmed.id}/cancelar")
    assert not any(way in phone.get(f"/citas/{row.id}").text for row in (offered, confirmed))


def test_declining_asks_once_and_keeps_the_wish(phone, offered):
    url = f"/citas/{offered.id}/ninguno"
    assert (
        press(
            phone, url, texto="Solo por la tarde", dia=["1", "3", "x"], parte=["evening", "hack"]
        ).status_code
        == 303
    )
    denied = fresh(offered)
    assert denied.status is State.DENIED
    assert denied.wish == {"text": "Solo por la tarde", "weekdays": [1, 3], "dayparts": ["evening"]}
    assert phone.get(url).status_code == 409


def test_who_declined_reads_that_it_is_known(phone, ana, ines, offered):
    known = "ya sabe que los horarios que le ofreció no le sirven"
    press(phone, f"/citas/{offered.id}/ninguno", dia="4", parte="morning")
    assert known in phone.get(f"/citas/{offered.id}").text
    asked = request(ana, at(9, 12))
    deny(asked.id, version=asked.version, actor=gateway.staff(ines), now=NOW)
    assert known not in phone.get(f"/citas/{asked.id}").text


def test_a_long_wish_is_refused_and_kept(phone, offered):
    answer = press(phone, f"/citas/{offered.id}/ninguno", texto="a" * 501, dia="2")
    assert answer.status_code == 422
    assert "a" * 501 in answer.text
    assert re.search(r'value="2" checked', answer.text)


def test_a_denied_wish_offers_to_ask_anew_with_everything_kept(phone, ana, ines):
    asked = request(ana)
    deny(asked.id, version=1, actor=gateway.staff(ines), now=at(1, 9))
    page = phone.get(f"/citas/{asked.id}")
    assert "Su médico no puede a esa hora." in page.text
    link = html.unescape(re.search(r'href="(/citas/nueva/horario[^"]+)"', page.text)[1])
    for kept in ("servicio=individual", "consultorio=centro", "profesional=ines", "para="):
        assert kept in link
    assert heading(phone.get(link)) == "Elija la fecha y hora que desee"


def test_the_calendar_file_tells_time_and_place_and_nothing_else(phone, confirmed):
    file = phone.get(f"/citas/{confirmed.id}/cita.ics")
    assert file.mimetype == "text/calendar"
    event = Calendar.from_ical(file.data).walk("VEVENT")[0]
    assert event.decoded("dtstart") == at(4, 10)
    assert "Calle de la Palma" in event["location"]
    assert event["summary"] == "Cita en Consultorio Alameda"
    for secret in ("individual", "Inés", "Psic"):
        assert secret not in file.text


def test_a_pending_reschedule_has_no_calendar_file(phone, ana, confirmed):
    wanted = request(ana, at(4, 10, 30), replaces=confirmed.id, chain=confirmed.chain)
    assert phone.get(f"/citas/{wanted.id}/cita.ics").status_code == 410


def test_asking_again_after_a_denied_move_still_replaces_the_session(phone, ana, ines, confirmed):
    wanted = request(ana, at(4, 10, 30), replaces=confirmed.id, chain=confirmed.chain)
    deny(wanted.id, version=1, actor=gateway.staff(ines), now=at(1, 9))
    again = phone.get(f"/citas/{wanted.id}/reprogramar")
    assert f"cambia={confirmed.id}" in again.location


def test_declining_twice_with_one_form_ends_the_same(phone, offered):
    url = f"/citas/{offered.id}/ninguno"
    form = {"llave": key_of(phone.get(url)), "texto": "Por la tarde"}
    first, second = phone.post(url, data=form), phone.post(url, data=form)
    assert first.status_code == second.status_code == 303
    assert first.location == second.location


def test_a_calendar_file_has_one_name_wherever_the_portal_listens(phone, confirmed, settings):
    event = Calendar.from_ical(phone.get(f"/citas/{confirmed.id}/cita.ics").data).walk("VEVENT")[0]
    assert event["UID"] == f"{confirmed.chain}@localhost"
    assert replace(settings, base_url="http://localhost:8123").host_name == "localhost"


def test_past_sessions_have_their_own_page(phone, confirmed, clock):
    clock.set(at(20, 9))
    assert "Ver citas pasadas" in phone.get("/citas").text
    assert cards(phone.get("/citas?pasadas=1")) == ["Terminada"]
    for page in ("0", "-5", "99999999999999999999", "abc"):
        assert phone.get(f"/citas?pasadas={page}").status_code == 200


def test_history_is_told_in_the_clients_words(phone, confirmed):
    page = phone.get(f"/citas/{confirmed.id}")
    assert "Usted envió la solicitud" in page.text
    assert "Su solicitud fue aceptada" in page.text
