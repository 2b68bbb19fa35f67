"""«Solicitudes» as a clinician uses it: the inbox, accepting, denying with other times, undoing."""

import re
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from werkzeug.test import TestResponse

import solver
from booking import alternatives, gateway, solving
from booking.alternatives import Search
from booking.availability import plan
from booking.free_times import count_free
from booking.lifecycle import State
from booking.models import (
    Appointment,
    Clinician,
    History,
    OfferedSlot,
    OutboxMessage,
    Practice,
    Room,
)
from booking.operations import ask, block_time, cancel, decline_offers, take_offer
from booking.web.words import times_open
from tests.builders import NOW, at, confirmed_session, own_client, request, wish
from tests.conftest import add_minor

ACCEPT, DENY, UNDO = (
    "/solicitudes/{}/aceptar",
    "/solicitudes/{}/denegar",
    "/solicitudes/{}/deshacer",
)


@pytest.fixture
def clinician(visitor, ines):
    return visitor(ines)


def fields(page: TestResponse, action: str) -> dict[str, list[str]]:
    """What the form with this action would send if its main button were pressed now."""
    found = re.search(rf'<form [^>]*action="{re.escape(action)}".*?</form>', page.text, re.DOTALL)
    assert found is not None, page.text
    sent: dict[str, list[str]] = {}
    for tag in re.findall(r"<input [^>]*>", found[0]):
        kind = re.search(r'type="(\w+)"', tag)
        name, value = re.search(r'name="(\w+)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and value and (kind is None or kind[1] != "checkbox" or " checked" in tag):
            sent.setdefault(name[1], []).append(value[1])
    for name, value in re.findall(r'<textarea [^>]*name="(\w+)"[^>]*>([^<]*)<', found[0]):
        sent[name] = [value]
    return sent


def accept(browser, asked: Appointment) -> TestResponse:
    action = ACCEPT.format(asked.id)
    return browser.post(action, data=fields(browser.get(f"/solicitudes/{asked.id}"), action))


def deny_form(browser, asked: Appointment) -> dict[str, list[str]]:
    action = DENY.format(asked.id)
    return fields(browser.get(action), action)


def state(asked: Appointment) -> State:
    return Appointment.get_by_id(asked.id).status


def block(staff, start: datetime, end: datetime, now: datetime) -> None:
    block_time(staff.clinician_id, start, end, reason="", actor=gateway.staff(staff), now=now)


def test_the_inbox_counts_requests_and_shows_the_oldest_first(clinician, ana, bruno, clock):
    request(bruno, at(5, 12), now=clock.now())
    clock.advance(timedelta(hours=2))
    request(ana, at(4, 10), now=clock.now())
    page = clinician.get("/solicitudes").text
    assert '<h1 tabindex="-1" autofocus>Solicitudes (2)</h1>' in page
    assert page.index("Bruno Díaz Muñoz") < page.index("Ana Ruiz Peña")
    assert "Para responder: 3 días" in page


def test_an_empty_inbox_says_so(clinician):
    assert "No hay solicitudes por responder" in clinician.get("/solicitudes").text


def test_a_request_shows_who_when_and_the_day_around_it(clinician, ana, bruno, ines, clock):
    confirmed_session(bruno, ines, at(4, 12))
    asked = request(ana, at(4, 10))
    block(ines, at(4, 13), at(4, 14), clock.now())
    page = clinician.get(f"/solicitudes/{asked.id}").text
    agenda = page[page.index("Agenda del jueves, 4 de marzo") :]
    told = ["Consulta: Consultorio Centro", "Esta solicitud", "Bruno", "Bloqueado", "Norte"]
    assert [agenda.index(words) for words in told] == sorted(agenda.index(w) for w in told)
    assert "+10 min después" in agenda
    assert "Sesión individual, 50 minutos" in page


def test_one_tap_accepts_and_the_result_stands_there(clinician, ana, bruno):
    asked, other = request(ana, at(4, 10)), request(bruno, at(5, 10))
    answer = accept(clinician, asked)
    assert (answer.status_code, answer.location) == (303, f"/solicitudes/{asked.id}")
    page = clinician.get(answer.location).text
    assert "Aceptada para el jueves, 4 de marzo, a las 10:00" in page
    assert "Deshacer" in page
    assert f'href="/solicitudes/{other.id}">Siguiente solicitud' in page
    assert page.index("Deshacer") < page.index("<dl")
    assert '<div class="bar">' not in page


def test_after_the_last_request_there_is_no_next_one(clinician, ana):
    page = clinician.get(accept(clinician, request(ana)).location).text
    assert "No hay más solicitudes." in page


def test_a_second_tap_on_accept_shows_the_same_result(clinician, ana):
    asked = request(ana)
    action = ACCEPT.format(asked.id)
    form = fields(clinician.get(f"/solicitudes/{asked.id}"), action)
    first, second = (clinician.post(action, data=form) for _ in range(2))
    assert (first.status_code, first.location) == (second.status_code, second.location)
    assert Appointment.get_by_id(asked.id).version == 2


def test_a_request_that_was_withdrawn_is_not_accepted_and_the_page_says_why(clinician, ana, clock):
    asked = request(ana)
    form = fields(clinician.get(f"/solicitudes/{asked.id}"), ACCEPT.format(asked.id))
    cancel(asked.id, account=ana, now=clock.now())
    answer = clinician.post(ACCEPT.format(asked.id), data=form)
    assert answer.status_code == 409
    assert "El cliente retiró la solicitud." in answer.text
    assert state(asked) is State.CANCELLED_BY_CLIENT


def test_a_request_whose_time_is_over_is_not_accepted(visitor, ines, ana, clock):
    asked = request(ana, at(11, 10))
    clock.advance(timedelta(hours=71))
    browser = visitor(ines)
    form = fields(browser.get(f"/solicitudes/{asked.id}"), ACCEPT.format(asked.id))
    clock.advance(timedelta(hours=2))
    answer = browser.post(ACCEPT.format(asked.id), data=form)
    assert answer.status_code == 409
    assert "Terminó el plazo para responder" in answer.text
    assert '<div class="bar">' not in answer.text


def test_a_request_that_somebody_else_decided_says_what_they_decided(
    clinician, visitor, manager, ana
):
    asked = request(ana)
    form = fields(clinician.get(f"/solicitudes/{asked.id}"), ACCEPT.format(asked.id))
    accept(visitor(manager), asked)
    answer = clinician.post(ACCEPT.format(asked.id), data=form)
    assert answer.status_code == 409
    assert "La solicitud ya fue aceptada." in answer.text


def test_what_cannot_be_accepted_any_more_is_answered_with_alternatives(
    clinician, ana, ines, clock
):
    asked = request(ana, at(4, 10))
    block(ines, at(4, 9), at(4, 11), clock.now())
    answer = accept(clinician, asked)
    assert answer.status_code == 409
    assert "Ya no se puede aceptar. Ese horario está bloqueado en la agenda." in answer.text
    assert "Denegar y ofrecer 3 horarios" in answer.text
    assert state(asked) is State.REQUESTED


def test_the_deny_page_ticks_the_best_three_and_previews_the_mail(clinician, ana):
    asked = request(ana)
    page = clinician.get(DENY.format(asked.id)).text
    assert page.count('name="horario"') == 5
    assert page.count('name="horario" value') == 5
    assert len(re.findall(r'name="horario"[^>]* checked', page)) == 3
    assert "Elija otro horario para su cita" in page
    assert "Le ofrecemos 3 horarios" in page
    assert "Denegar y ofrecer 3 horarios" in page


def test_proposals_that_may_not_be_the_best_say_so(clinician, ana):
    asked = request(ana)
    with solving._child._turn:  # The solver is busy for longer than a page can wait.
        page = clinician.get(DENY.format(asked.id)).text
    assert "Propuestas rápidas; puede haber mejores." in page
    assert "Denegar y ofrecer 3 horarios" in page


def test_a_search_that_fails_says_so_and_offers_nothing(clinician, ana, caplog):
    asked = request(ana)
    Practice.update(grid_minutes=7, revision=Practice.revision + 1).execute()
    page = clinician.get(DENY.format(asked.id))
    assert page.status_code == 200
    assert "La búsqueda de horarios falló" in page.text
    assert "No hay horarios libres" not in page.text
    assert "Denegar sin ofrecer horarios" in page.text
    assert "no search for appointment" in caplog.text


def test_proposals_that_do_not_hold_are_never_shown(ana):
    asked = request(ana)
    problem = alternatives.problem_for(plan(), asked, Search(), now=NOW)
    good = solver.greedy(problem)
    first = good.proposals[0]
    wrong = replace(good, proposals=(replace(first, start=first.start + 1), *good.proposals[1:]))
    assert alternatives.sound(problem, [wrong, good]) is good
    assert alternatives.sound(problem, [wrong, wrong]) is None


def test_a_solver_that_was_killed_costs_no_page(clinician, ana):
    asked = request(ana)
    clinician.get(DENY.format(asked.id))
    assert solving._child._process is not None
    solving._child._process.kill()
    page = clinician.get(DENY.format(asked.id))
    assert page.status_code == 200
    assert page.text.count('name="horario"') == 5


@pytest.mark.parametrize(
    ("count", "after", "told"),
    [
        (0, State.DENIED, "Denegada, sin otros horarios"),
        (1, State.OFFERED, "Denegada, con 1 horario ofrecido hasta el"),
        (3, State.OFFERED, "Denegada, con 3 horarios ofrecidos hasta el"),
    ],
)
def test_denying_offers_what_is_ticked(clinician, ana, count, after, told):
    asked = request(ana)
    form = deny_form(clinician, asked)
    form |= {"horario": form["horario"][:count], "promesa": [str(count)], "nota": ["Lo siento."]}
    answer = clinician.post(DENY.format(asked.id), data=form)
    assert (answer.status_code, answer.location) == (303, f"/solicitudes/{asked.id}")
    page = clinician.get(answer.location).text
    assert told in page
    assert "Lo siento." in page
    assert "Deshacer" in page
    assert state(asked) is after
    assert OfferedSlot.select().where(OfferedSlot.appointment == asked).count() == count


def test_a_second_tap_on_deny_shows_the_same_result(clinician, ana):
    asked = request(ana)
    form = deny_form(clinician, asked)
    first, second = (clinician.post(DENY.format(asked.id), data=form) for _ in range(2))
    assert (first.status_code, first.location) == (second.status_code, second.location)
    assert OfferedSlot.select().count() == 3


def test_nothing_is_sent_while_the_button_promises_something_else(clinician, ana):
    asked = request(ana)
    form = deny_form(clinician, asked)
    form |= {"horario": form["horario"][:1], "nota": ["Con gusto"]}
    answer = clinician.post(DENY.format(asked.id), data=form)
    assert answer.status_code == 200
    assert "Denegar y ofrecer 1 horario<" in answer.text
    assert "Con gusto" in answer.text
    assert state(asked) is State.REQUESTED
    again = clinician.post(DENY.format(asked.id), data=fields(answer, DENY.format(asked.id)))
    assert again.status_code == 303
    assert OfferedSlot.select().count() == 1


def test_a_tick_refreshes_only_the_preview(clinician, ana):
    asked = request(ana)
    ticked = deny_form(clinician, asked)["horario"][:2]
    part = clinician.get(
        DENY.format(asked.id),
        query_string={"horario": ticked, "visto": "1"},
        headers={"HX-Request": "true", "HX-Target": "preview"},
    )
    assert part.text.lstrip().startswith('<div id="preview"')
    assert "Denegar y ofrecer 2 horarios" in part.text


def test_a_narrower_search_keeps_the_note_and_keeps_to_the_hours(clinician, ana):
    asked = request(ana)
    form = deny_form(clinician, asked)
    form |= {"hacer": ["buscar"], "no_antes": ["12:00"], "nota": ["Con gusto"], "horario": []}
    page = clinician.post(DENY.format(asked.id), data=form)
    assert page.status_code == 200
    assert "Con gusto" in page.text
    hours = re.findall(r"<strong>[^<]* a las? (\d+):\d+\xa0([ap])", page.text)
    assert hours
    assert all(half == "p" for _, half in hours)


def test_a_search_among_other_clinicians_says_who(clinician, ana, ines, clock):
    asked = request(ana, at(10, 10))
    block(ines, at(1, 0), at(31, 0), clock.now())
    form = deny_form(clinician, asked) | {"hacer": ["buscar"], "otro_profesional": ["1"]}
    page = clinician.post(DENY.format(asked.id), data=form).text
    assert "Óscar Núñez Villaseñor" in page
    assert "otro profesional" in page


def search(browser, asked: Appointment, **query: object) -> TestResponse:
    """What htmx asks for when a control of the search changes."""
    return browser.get(
        DENY.format(asked.id),
        query_string={"visto": "1", "hacer": "buscar"} | query,
        headers={"HX-Request": "true", "HX-Target": "search"},
    )


def ticked(page: TestResponse) -> set[str]:
    return set(re.findall(r'name="horario" value="([^"]+)" checked', page.text))


def test_each_proposal_says_its_room_and_shows_its_day(clinician, ana, bruno, ines):
    for day in (2, 3, 8, 9, 10, 11):
        confirmed_session(bruno, ines, at(day, 13))
    asked = request(ana)
    page = clinician.get(DENY.format(asked.id)).text
    proposals = re.findall(r'<div class="proposal">.*?</div>', page, re.DOTALL)
    assert len(proposals) == 5
    assert all("· Consultorio Centro · Sala 1" in proposal for proposal in proposals)
    day = re.search(r'<svg class="day"[^>]* role="img" aria-label="([^"]+cita[^"]+)"', page)
    assert day is not None
    said = day[1].replace("\xa0", " ")
    assert "consulta (Consultorio Centro), 9:00 a. m. – 2:00 p. m.;" in said
    assert "cita, 1:00 p. m. – 1:50 p. m." in said
    assert "este horario, " in said


def test_the_deny_page_costs_the_same_queries_however_full_the_book_is(
    clinician, ana, bruno, ines, caplog
):
    asked = request(ana)

    def count() -> int:
        caplog.clear()
        with caplog.at_level("DEBUG", logger="peewee"):
            assert clinician.get(DENY.format(asked.id)).status_code == 200
        return sum(record.name == "peewee" for record in caplog.records)

    count()  # That staff see a client is noted once a day.
    few = count()
    for day in (5, 8, 9, 10, 11, 12):
        confirmed_session(bruno, ines, at(day, 10))
    assert count() == few <= 12


def test_a_changed_control_refreshes_only_the_search_and_its_preview(clinician, ana):
    part = search(clinician, request(ana), video="1", no_antes="12:00")
    assert part.text.lstrip().startswith('<div id="search"')
    assert 'id="preview"' in part.text
    assert "<details open>" in part.text
    assert 'id="video" name="video" value="1" checked' in part.text
    assert 'id="note" hx-preserve' in part.text
    assert "Denegar y ofrecer 3 horarios" in part.text


def test_what_is_wrong_in_a_control_stands_beside_it_also_in_the_part(clinician, ana):
    part = search(clinician, request(ana), desde="2027-03-10", hasta="2027-03-05")
    error = part.text.index("La última fecha no puede ser anterior a la primera ni a hoy.")
    assert error < part.text.index('id="hasta" name="hasta" type="date" value="2027-03-05"')
    assert 'name="horario"' in part.text


def test_ticks_that_nobody_touched_give_way_to_the_best_of_the_new_search(clinician, ana):
    asked = request(ana)
    first = deny_form(clinician, asked)
    part = search(
        clinician,
        asked,
        horario=first["horario"],
        mejores=first["mejores"],
        desde="2027-03-22",
    )
    assert len(ticked(part)) == 3
    assert not ticked(part) & set(first["horario"])


def test_ticks_of_ones_own_outlive_another_search(clinician, ana):
    asked = request(ana)
    first = deny_form(clinician, asked)
    own = first["horario"][:1]
    part = search(clinician, asked, horario=own, mejores=first["mejores"], desde="2027-03-22")
    assert ticked(part) == set(own)
    assert part.text.count('name="horario"') == 6
    assert part.text.count("marcado antes de buscar de nuevo") == 1
    assert "Denegar y ofrecer 1 horario<" in part.text


def test_a_tick_is_kept_only_while_it_can_be_had(clinician, ana, ines, clock):
    asked = request(ana)
    first = deny_form(clinician, asked)
    block(ines, at(1, 0), at(31, 0), clock.now())
    part = search(clinician, asked, horario=first["horario"][:1], mejores=first["mejores"])
    assert not ticked(part)


def test_what_is_offered_to_others_is_not_proposed(clinician, ana, bruno):
    asked = request(ana)
    form = deny_form(clinician, asked)
    assert clinician.post(DENY.format(asked.id), data=form).status_code == 303
    other = request(bruno, at(12, 12))
    proposed = set(re.findall(r'name="horario" value="([^"]+)"', search(clinician, other).text))
    assert len(proposed) == 5
    assert not proposed & set(form["horario"])


def test_a_denial_remembers_on_what_its_proposals_rested(clinician, ana):
    asked = request(ana)
    form = deny_form(clinician, asked)
    clinician.post(DENY.format(asked.id), data=form)
    kept = History.get(History.appointment == asked, History.event == "offer").detail["input_hash"]
    assert [kept] == form["calculo"]
    assert re.fullmatch("[0-9a-f]{64}", kept)


@pytest.mark.parametrize("forged", ["", "x" * 64, "0" * 65, "<b>"])
def test_only_a_hash_is_remembered_as_such(clinician, ana, forged):
    asked = request(ana)
    form = deny_form(clinician, asked) | {"calculo": [forged]}
    assert clinician.post(DENY.format(asked.id), data=form).status_code == 303
    decision = History.get(History.appointment == asked, History.event == "offer")
    assert decision.detail["input_hash"] == ""


def taps(page: TestResponse) -> dict[str, str]:
    """What an explanation suggests to tap, and what each tap sends."""
    found = re.findall(
        r'<button [^>]*name="hacer" value="([^"]+)"[^>]*hx-get[^>]*>([^<]+)<', page.text
    )
    return {said: value for value, said in found}


def without_ines(ines, now: datetime, *, opens: int = 0, closes: int = 24) -> None:
    for day in range(62):
        start = at(1, 0) + timedelta(days=day)
        block(ines, start + timedelta(hours=opens), start + timedelta(hours=closes), now)


def test_where_nothing_is_free_each_count_is_a_tap_that_keeps_the_rest(clinician, ana, ines, clock):
    asked = request(ana)
    without_ines(ines, clock.now(), closes=15)
    action = DENY.format(asked.id)
    page = clinician.get(action)
    assert 'name="horario"' not in page.text
    assert "Por qué no hay horarios" in page.text
    assert "Inés Peña Ordóñez no atiende en una parte de esas fechas." in page.text
    assert "Denegar sin ofrecer horarios" in page.text
    found = taps(page)
    told = {re.sub(r"\d+", "N", said): value for said, value in found.items()}
    assert told == {
        "En Consultorio Norte hay N horarios": "otro_consultorio",
        "Con otro profesional hay N horarios": "otro_profesional",
    }
    sent = fields(page, action) | {"nota": ["Con gusto"], "hacer": ["otro_consultorio"]}
    after = clinician.post(action, data=sent)
    assert 'id="otro_consultorio" name="otro_consultorio" value="1" checked' in after.text
    assert "Consultorio Norte" in after.text
    assert "Con gusto" in after.text
    assert "Denegar y ofrecer 3 horarios" in after.text


def test_a_count_is_how_many_times_the_tap_opens(clinician, ana, ines, clock):
    asked = request(ana)
    without_ines(ines, clock.now(), closes=15)
    found = taps(clinician.get(DENY.format(asked.id)))
    for clinician_key, place, said in (
        ("ines", "norte", "En Consultorio Norte hay {} horarios"),
        ("oscar", "centro", "Con otro profesional hay {} horarios"),
    ):
        other = wish(clinician=clinician_key, location=place, client=own_client(ana))
        zone, today = plan().zone(None), clock.now().date()
        (count,) = count_free([(other, today)], zone=zone, now=clock.now())
        assert said.format(count) in found


def test_a_tap_takes_away_what_was_narrowed(clinician, ana):
    asked = request(ana)
    narrow = {"no_antes": "05:00", "no_despues": "06:00", "desde": "2027-03-02"}
    page = search(clinician, asked, **narrow)
    (said,) = [said for said in taps(page) if said.startswith("A otras horas del día hay")]
    part = search(clinician, asked, **narrow | {"hacer": taps(page)[said]})
    assert len(ticked(part)) == 3
    assert 'name="no_antes" type="time" value=""' in part.text
    assert 'name="desde" type="date" value="2027-03-02"' in part.text
    assert '<legend tabindex="-1" autofocus>' in part.text


def test_taps_that_widen_in_two_ways_say_so_in_one_sentence(app):
    ways = ["si busca más días", "a otras horas del día"]
    with app.test_request_context():
        assert times_open(1, ways[:1]) == "Si busca más días hay 1 horario"
        assert times_open(48, ways) == "Si busca más días y a otras horas del día, hay 48 horarios"
        three = times_open(2, [*ways, "por videollamada"])
    assert three.startswith("Si busca más días, a otras horas del día y por videollamada, hay 2 ")


def test_a_day_too_short_for_five_says_so_and_offers_more_days(clinician, ana):
    asked = request(ana)
    page = search(clinician, asked, desde="2027-03-09", hasta="2027-03-09")
    assert 0 < page.text.count('name="horario"') < 5
    assert "Por qué no hay más" in page.text
    assert {" ".join(said.split()[:3]) for said in taps(page)} == {
        "Si busca más",
        "En Consultorio Norte",
    }


def test_what_no_tap_can_change_is_said(clinician, ana, bruno, ines, clock):
    Clinician.update(max_sessions_day=1).where(Clinician.id == ines.clinician_id).execute()
    Practice.update(revision=Practice.revision + 1).execute()
    confirmed_session(bruno, ines, at(9, 10))
    asked = request(ana, at(11, 10))
    page = search(clinician, asked, desde="2027-03-09", hasta="2027-03-09")
    assert 'name="horario"' not in page.text
    assert "Inés Peña Ordóñez ya tiene todas sus sesiones en algunos de esos días." in page.text


def test_a_lack_of_rooms_names_the_office_and_the_part_of_the_day(clinician, ana, ines):
    asked = request(ana)
    Room.update(active=False).where(Room.key == "c1").execute()
    Room.update(active=False).where(Room.key == "c2").execute()
    Practice.update(revision=Practice.revision + 1).execute()
    page = clinician.get(DENY.format(asked.id))
    assert "Sin sala libre en Consultorio Centro por las mañanas y por las tardes." in page.text
    (video,) = [value for said, value in taps(page).items() if said.startswith("Por videollamada")]
    after = search(clinician, asked, hacer=video)
    assert after.text.count("</strong> · Videollamada") == 5


def test_a_proposal_that_takes_a_swap_of_rooms_says_so(clinician, ana, bruno):
    """Óscar's session is in the room with toys, and a child needs that room."""
    child = add_minor(ana, "Luz Ruiz")
    moved = request(bruno, at(10, 9, 30), clinician="oscar")
    Appointment.update(room=Room.get(Room.key == "c2")).where(Appointment.id == moved.id).execute()
    asked = ask(
        wish(service="infantil", client=child), at(11, 10), client=child, account=ana, now=NOW
    )
    narrow = {"desde": "2027-03-10", "hasta": "2027-03-10", "no_despues": "10:00"}
    page = search(clinician, asked, **narrow).text
    assert "Sala 2" in page
    assert "otra sesión cambia de sala" in page


def test_five_proposals_need_no_explanation(clinician, ana):
    page = clinician.get(DENY.format(request(ana).id)).text
    assert "Por qué no hay" not in page


@pytest.mark.parametrize("tap", ["nada", "video+nada", "+++", "x" * 5000, "buscar+horas"])
def test_a_tap_on_nothing_is_still_a_page(clinician, ana, tap):
    assert clinician.post(DENY.format(request(ana).id), data={"hacer": tap}).status_code == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("desde", "9999-12-31"),
        ("hasta", "2020-01-01"),
        ("desde", "mañana"),
        ("no_antes", "99:99"),
        ("no_despues", "\x00"),
    ],
)
def test_a_search_that_makes_no_sense_is_still_a_page(clinician, ana, name, value):
    asked = request(ana)
    answer = clinician.post(DENY.format(asked.id), data={"hacer": "buscar", name: value})
    assert answer.status_code == 200
    assert 'name="horario"' in answer.text


@pytest.mark.parametrize(
    "forged",
    [
        "x",
        "1-1-1-in_person",
        "30071040-99-1-in_person",
        "30071040-1-99-in_person",
        "999999999-1-1-in_person",
        "30071040-1-1-by_pigeon",
        "٣٠٠٧١٠٤٠-1-1-in_person",
        "30071040-1-1-in_person\n",
    ],
)
def test_a_slot_that_nobody_proposed_is_refused(clinician, ana, forged):
    asked = request(ana)
    form = {"version": "1", "visto": "1", "horario": forged, "promesa": "1"}
    answer = clinician.post(DENY.format(asked.id), data=form)
    assert answer.status_code == 422
    assert "Uno de los horarios no es válido" in answer.text
    assert state(asked) is State.REQUESTED


def test_a_note_that_is_too_long_is_refused_and_kept(clinician, ana):
    asked = request(ana)
    form = deny_form(clinician, asked) | {"nota": ["a" * 501]}
    answer = clinician.post(DENY.format(asked.id), data=form)
    assert answer.status_code == 422
    assert "a" * 501 in answer.text


def test_a_slot_that_went_meanwhile_is_not_offered(clinician, ana, ines, clock):
    asked = request(ana)
    form = deny_form(clinician, asked)
    block(ines, at(1, 0), at(31, 0), clock.now())
    answer = clinician.post(DENY.format(asked.id), data=form)
    assert answer.status_code == 409
    assert "ya no está libre" in answer.text
    assert not set(form["horario"]) & set(
        re.findall(r'name="horario" value="([^"]+)"', answer.text)
    )
    assert state(asked) is State.REQUESTED


def test_two_slots_at_once_are_not_offered(clinician, ana):
    asked = request(ana)
    first = deny_form(clinician, asked)["horario"][0]
    start, rest = first.split("-", 1)
    form = deny_form(clinician, asked)
    form |= {"horario": [first, f"{int(start) + 15}-{rest}"], "promesa": ["2"]}
    answer = clinician.post(DENY.format(asked.id), data=form)
    assert answer.status_code == 422
    assert "se superponen" in answer.text


def test_a_decision_can_be_undone_for_thirty_seconds(clinician, ana, clock, deliver):
    asked = request(ana)
    deliver().sent.clear()
    result = clinician.get(accept(clinician, asked).location)
    clock.advance(timedelta(seconds=29))
    answer = clinician.post(UNDO.format(asked.id), data=fields(result, UNDO.format(asked.id)))
    assert answer.status_code == 303
    assert state(asked) is State.REQUESTED
    assert "Aceptar" in clinician.get(answer.location).text
    clock.advance(timedelta(minutes=1))
    assert deliver().sent == []


def test_after_thirty_seconds_there_is_no_undoing(clinician, ana, clock):
    asked = request(ana)
    result = clinician.get(accept(clinician, asked).location)
    clock.advance(timedelta(seconds=31))
    answer = clinician.post(UNDO.format(asked.id), data=fields(result, UNDO.format(asked.id)))
    assert answer.status_code == 409
    assert "Ya no se puede deshacer" in answer.text
    assert state(asked) is State.CONFIRMED
    assert "Deshacer</button>" not in clinician.get(f"/solicitudes/{asked.id}").text


def test_offers_can_be_undone_too(clinician, ana):
    asked = request(ana)
    answer = clinician.post(DENY.format(asked.id), data=deny_form(clinician, asked))
    undo = fields(clinician.get(answer.location), UNDO.format(asked.id))
    assert clinician.post(UNDO.format(asked.id), data=undo).status_code == 303
    assert state(asked) is State.REQUESTED
    assert OfferedSlot.select().count() == 0


def test_other_times_are_offered_when_none_suited(clinician, ana, clock):
    asked = request(ana)
    clinician.post(DENY.format(asked.id), data=deny_form(clinician, asked))
    wish = {"text": "Solo los martes", "weekdays": [1], "dayparts": ["morning"]}
    decline_offers(asked.id, account=ana, wish=wish, now=clock.now())
    page = clinician.get(f"/solicitudes/{asked.id}").text
    assert "Ofrecer otros horarios" in page
    assert "Solo los martes" in page
    again = clinician.get(DENY.format(asked.id))
    assert "Ofrecer 3 horarios" in again.text
    assert "como lo pidió el cliente" in again.text
    none = fields(again, DENY.format(asked.id)) | {"horario": [], "promesa": ["0"]}
    assert clinician.post(DENY.format(asked.id), data=none).status_code == 422
    sent = clinician.post(DENY.format(asked.id), data=fields(again, DENY.format(asked.id)))
    assert sent.status_code == 303
    assert state(asked) is State.OFFERED


def test_the_client_may_be_faster_than_the_second_offer(clinician, ana, clock):
    asked = request(ana)
    form = deny_form(clinician, asked)
    clinician.post(DENY.format(asked.id), data=form)
    offer = OfferedSlot.select().first()
    take_offer(asked.id, offer.id, account=ana, now=clock.now())
    late = clinician.post(DENY.format(asked.id), data=form | {"llave": ["x"]})
    assert late.status_code == 409
    assert "ya fue aceptada" in late.text


def test_another_clinicians_request_does_not_exist(visitor, oscar, ana):
    asked = request(ana)
    browser = visitor(oscar)
    for url in (f"/solicitudes/{asked.id}", DENY.format(asked.id)):
        assert browser.get(url).status_code == 404
    for action in (ACCEPT, DENY, UNDO):
        assert browser.post(action.format(asked.id), data={"version": "1"}).status_code == 404
    assert "Ana" not in browser.get("/solicitudes").text
    assert state(asked) is State.REQUESTED


@pytest.mark.parametrize("number", [0, 10**9, 10**30])
def test_a_request_that_does_not_exist_is_no_page(clinician, number):
    assert clinician.get(f"/solicitudes/{number}").status_code == 404
    assert clinician.post(ACCEPT.format(number), data={"version": "1"}).status_code == 404


def test_to_clients_there_are_no_such_pages(visitor, ana):
    asked = request(ana)
    browser = visitor(ana)
    for url in ("/solicitudes", f"/solicitudes/{asked.id}", DENY.format(asked.id)):
        assert browser.get(url).status_code == 404
    assert browser.post(ACCEPT.format(asked.id), data={"version": "1"}).status_code == 404


def test_a_manager_sees_all_requests_and_can_choose_whose(visitor, manager, ana, bruno):
    request(ana, at(3, 10))
    request(bruno, at(3, 10), clinician="oscar")
    browser = visitor(manager)
    everybody, oscars = browser.get("/solicitudes"), browser.get("/solicitudes?profesional=oscar")
    assert "Solicitudes (2)" in everybody.text
    assert "Solicitudes (1)" in oscars.text
    assert "Ana" not in oscars.text


def test_a_room_or_colleague_that_left_does_not_break_the_search(clinician, ana, bruno, ines):
    confirmed_session(bruno, ines, at(4, 12))
    request(bruno, at(3, 10), clinician="oscar")
    asked = request(ana)
    Room.update(active=False).where(Room.key == "c1").execute()
    Clinician.update(active=False).where(Clinician.key == "oscar").execute()
    Practice.update(revision=Practice.revision + 1).execute()
    assert 'name="horario"' in clinician.get(DENY.format(asked.id)).text


@pytest.mark.parametrize("data", [{}, {"version": "x"}, {"version": "9" * 30}, {"horario": "1"}])
def test_no_form_is_so_odd_that_it_breaks_the_portal(clinician, ana, data):
    asked = request(ana)
    for action in (ACCEPT, DENY, UNDO):
        assert clinician.post(action.format(asked.id), data=data).status_code in (200, 409, 422)
    assert state(asked) is State.REQUESTED
    assert OutboxMessage.select().where(OutboxMessage.version > 1).count() == 0


def test_a_proposal_says_who_would_change_rooms(clinician, ana, bruno, ines):
    """Óscar's session sits in the room with toys, which the child that Inés denies needs."""
    child = add_minor(ana, "Luz Ruiz")
    asked = ask(
        wish(service="infantil", client=child), at(11, 10), client=child, account=ana, now=NOW
    )
    moved = request(bruno, at(10, 9, 30), clinician="oscar")
    Appointment.update(room=Room.get(Room.key == "c2")).where(Appointment.id == moved.id).execute()
    with gateway.change(gateway.SYSTEM, now=NOW) as tx:
        tx.touch(moved)
    search = "?desde=2027-03-10&hasta=2027-03-10&no_antes=10:00&no_despues=10:00"
    page = clinician.get(DENY.format(asked.id) + search)
    when = "miércoles, 10 de marzo, a las 9:30\u00a0a.\u00a0m."
    assert f"La sesión del {when} pasa de Sala 2 a Sala 1." in page.text
    form = fields(page, DENY.format(asked.id))
    assert clinician.post(DENY.format(asked.id), data=form).status_code == 303
    assert Appointment.get_by_id(moved.id).room.key == "c1"
    assert OfferedSlot.get().room.key == "c2"
