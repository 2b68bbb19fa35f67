"""«Ausencia imprevista» and the plan's page, as staff and clients see them without JavaScript."""

import re

import pytest

from booking import invariants, planner
from booking.lifecycle import State
from booking.models import (
    Account,
    Appointment,
    BlockedTime,
    Client,
    OfferedSlot,
    OutboxMessage,
    Replan,
    ReplanRow,
    ReplanState,
)
from booking.operations import cancel
from tests.builders import at, confirmed_session, request
from tests.conftest import make_account
from tests.web.test_flow import key_of
from tests.web.test_requests import fields

ABSENCE = "/agenda/ausencia"
THURSDAY = {"cuando": "dia", "dia": "2027-03-04"}


@pytest.fixture
def clinician(visitor, ines):
    return visitor(ines)


@pytest.fixture
def sessions(ana, bruno, ines) -> list[Appointment]:
    """Two on the Thursday on which Inés will not come."""
    return [confirmed_session(ana, ines, at(4, 10)), confirmed_session(bruno, ines, at(4, 12))]


def report(browser, **sent: str):
    typed = {"cuando": "hoy", "horarios": "3", "llave": key_of(browser.get(ABSENCE))}
    return browser.post(ABSENCE, data=typed | sent)


@pytest.fixture
def plan(clinician, sessions, clock) -> str:
    """The address of a plan that is ready."""
    url = str(report(clinician, **THURSDAY).location)
    assert planner.run(clock, deadline_seconds=0)
    return url


def press(browser, url: str, verb: str, **sent):
    """Press the button of the plan's form for this verb, as the page shows it now."""
    return browser.post(f"{url}/{verb}", data=fields(browser.get(url), f"{url}/{verb}") | sent)


def approve(browser, url: str, **sent):
    page = browser.get(url)
    ticked = re.findall(r'name="fila" value="(\d+)" checked', page.text)
    action = f"{url}/aprobar"
    return browser.post(action, data=fields(page, action) | {"fila": ticked} | sent)


def rows() -> list[ReplanRow]:
    return list(ReplanRow.select().order_by(ReplanRow.id))


def state(row: Appointment) -> State:
    return Appointment.get_by_id(row.id).status


def test_one_form_blocks_the_time_and_lists_what_it_hits_at_once(clinician, sessions):
    answer = report(clinician, motivo="Gripe", **THURSDAY)
    assert answer.status_code == 303
    page = clinician.get(answer.location).text
    assert "2 citas afectadas" in page
    assert "Ana Ruiz Peña" in page
    assert "En cola" in page
    assert '<noscript><meta http-equiv="refresh"' in page
    assert BlockedTime.get().reason == "Gripe"


def test_the_part_that_is_polled_becomes_the_page_when_the_plan_is_ready(
    clinician, sessions, clock
):
    url = report(clinician, **THURSDAY).location
    asked = {
        "HX-Request": "true",
        "HX-Target": "progress",
        "HX-Current-URL": f"http://localhost{url}",
    }
    part = clinician.get(url, headers=asked)
    assert part.text.lstrip().startswith('<div id="progress"')
    planner.run(clock, deadline_seconds=0)
    page = clinician.get(url, headers=asked)
    assert page.headers["HX-Retarget"] == "#step"
    assert "Para aprobar" in page.text


def test_approving_tells_the_clients_and_shows_that_they_have_to_answer(
    clinician, plan, sessions, deliver
):
    assert "Aprobar 2 y avisar a los clientes" in clinician.get(plan).text
    assert approve(clinician, plan).status_code == 303
    assert {state(row) for row in sessions} == {State.OFFERED}
    page = clinician.get(plan).text
    assert "Esperan la respuesta del cliente (2)" in page
    assert "3 horarios guardados hasta el" in page
    told = [m["To"] for m in deliver().sent if m["Subject"] == "Elija otro horario para su cita"]
    assert sorted(told) == ["ana@example.com", "bruno@example.com"]
    assert invariants.violations() == {}


def test_the_page_after_approving_says_how_many_clients_were_told(clinician, plan, sessions):
    Appointment.update(account=None).where(Appointment.id == sessions[1].id).execute()
    Client.update(email="").where(Client.id == sessions[1].client_id).execute()
    both = [str(row.id) for row in rows()]
    assert '<p class="note"' not in clinician.get(plan).text
    page = clinician.get(approve(clinician, plan, fila=both).location).text
    assert "Esperan la respuesta del cliente (2)" in page
    assert '<p class="note" role="status">1 cliente avisado.</p>' in page
    assert "3 clientes avisados." in clinician.get(f"{plan}?avisados=3").text
    for junk in ("0", "-1", "x", "9" * 5000):
        assert '<p class="note"' not in clinician.get(f"{plan}?avisados={junk}").text


def test_the_client_takes_one_with_one_tap_and_the_plan_says_so(
    clinician, plan, sessions, visitor, ana
):
    approve(clinician, plan)
    phone, url = visitor(ana), f"/citas/{sessions[0].id}"
    assert "Su consultorio movió esta cita: elija otro horario" in phone.get("/citas").text
    page = phone.get(url)
    assert "tuvo que mover su cita del jueves, 4 de marzo" in page.text
    assert "enegad" not in page.text.split("Qué ha pasado")[0]
    taken = phone.post(f"{url}/elegir", data=fields(page, f"{url}/elegir"))
    assert taken.status_code == 303
    assert "Eligió el" in clinician.get(plan).text
    assert state(sessions[0]) is State.CONFIRMED


def test_none_suits_puts_the_session_back_into_the_list_with_the_wish(
    clinician, plan, sessions, visitor, ana, clock
):
    approve(clinician, plan)
    phone, url = visitor(ana), f"/citas/{sessions[0].id}"
    form = fields(phone.get(f"{url}/ninguno"), f"{url}/ninguno") | {"texto": "Solo los martes"}
    assert "quedará cancelada" in phone.get(f"{url}/ninguno").text
    phone.post(f"{url}/ninguno", data=form)
    assert "Le buscaremos otro" in phone.get(url).text
    page = clinician.get(plan).text
    assert "Cambiaron desde la búsqueda" in page
    assert "Solo los martes" in page
    assert "Para aprobar" not in page  # What was refused is not offered a second time.
    assert "Fijar estos horarios" not in page
    form = {"llave": key_of(clinician.get(plan)), "fila": rows()[0].id, "hacer": "fijar"}
    assert clinician.post(f"{plan}/ajustar", data=form).status_code == 409
    press(clinician, plan, "buscar", horarios="3")
    planner.run(clock, deadline_seconds=0)
    page = clinician.get(plan).text
    assert "Solo los martes" in page
    assert "Aprobar 1 y avisar al cliente" in page
    assert approve(clinician, plan).status_code == 303
    assert state(sessions[0]) is State.OFFERED


def test_a_client_who_asks_anew_after_none_suited_is_listed_apart(
    clinician, plan, sessions, visitor, ana
):
    approve(clinician, plan)
    phone, url = visitor(ana), f"/citas/{sessions[0].id}/ninguno"
    phone.post(url, data=fields(phone.get(url), url))
    request(ana, at(18, 10))
    assert "El cliente ya pidió otra cita (1)" in clinician.get(plan).text


@pytest.mark.parametrize(
    ("opens", "told"),
    [
        ([], "No hay ningún otro horario posible."),
        ([(["agenda"], 5)], "No hay ningún otro horario posible."),
        ([(["location"], 1)], "En otro consultorio hay 1 horario."),
        (
            [(["location"], 48), (["modality"], 12), (["absence"], 9)],
            "En otro consultorio hay 48 horarios; por videollamada, 12.",
        ),
        (
            [(["dates", "clinician"], 2), (["max_day", "modality"], 1)],
            "En otras fechas y con otro profesional, hay 2 horarios;"
            " con más sesiones por día y por videollamada, 1.",
        ),
        ([(["room"], 3), (["held"], 1)], "Con otra sala hay 3 horarios; entre los que se guardan"),
    ],
)
def test_a_session_without_a_place_says_what_would_open_one(clinician, plan, opens, told):
    relaxations = [{"groups": groups, "starts": starts} for groups, starts in opens]
    ReplanRow.update(options=[], explanation={"relaxations": relaxations}).execute()
    begin = "" if told.startswith("No ") else "Con lo que permitió no hay horario. "
    assert f"<p>{begin}{told}" in clinician.get(plan).text


@pytest.mark.parametrize(
    ("objective", "bound", "told"),
    [(200, 190, "podría mejorar, como mucho, un 5 %"), (200, 200, ""), (200, 0, ""), (None, 0, "")],
)
def test_a_search_tells_how_much_better_its_plan_could_become(
    clinician, sessions, objective, bound, told
):
    url = report(clinician, **THURSDAY).location
    news = {"stage": "fixing", "requests": 2, "placed": 2, "objective": objective, "bound": bound}
    Replan.update(state=ReplanState.RUNNING.value, progress=news).execute()
    page = clinician.get(url).text
    assert "2 de 2 citas ya tienen otro horario." in page
    assert ("podría mejorar" in page, told in page) == (bool(told), True)


def test_a_plan_tells_the_free_time_between_sessions_without_it_and_with_it(clinician, plan):
    Replan.update(gap_minutes=[0, 110]).execute()
    page = clinician.get(plan).text.replace("\xa0", " ")
    assert "Tiempo libre entre citas</dt><dd>0 min sin estas citas, 1 h 50 min con ellas" in page


def test_the_button_says_how_many_before_anything_is_sent(clinician, plan, sessions):
    one = str(rows()[0].id)
    page = approve(clinician, plan, fila=[one])
    assert page.status_code == 200
    assert "Revise antes de aprobar" in page.text
    assert "Aprobar 1 y avisar al cliente" in page.text
    assert OutboxMessage.select().where(OutboxMessage.kind == "session_displaced").count() == 0
    assert approve(clinician, plan, fila=[one], promesa="1").status_code == 303
    assert [state(row) for row in sessions] == [State.OFFERED, State.CONFIRMED]


def test_the_number_on_the_button_follows_the_ticks(clinician, plan):
    part = clinician.get(
        f"{plan}?visto=1&fila={rows()[1].id}",
        headers={"HX-Request": "true", "HX-Target": "approval"},
    )
    assert part.text.lstrip().startswith('<div id="approval"')
    assert "Aprobar 1 y avisar al cliente" in part.text


def test_a_row_is_pinned_left_out_and_widened(clinician, plan, clock):
    first, second = rows()
    kept = first.options
    for row, what in ((first, "fijar"), (second, "dejar-fuera")):
        form = {"llave": key_of(clinician.get(plan)), "fila": row.id, "hacer": what}
        assert clinician.post(f"{plan}/ajustar", data=form).status_code == 303
    page = clinician.get(plan).text
    assert "Fijada" in page
    assert "Fuera del plan" in page
    press(clinician, plan, "buscar", horarios="1")
    planner.run(clock, deadline_seconds=0)
    assert rows()[0].options == kept
    assert "Aprobar 1 y avisar al cliente" in clinician.get(plan).text
    form = {"llave": key_of(clinician.get(plan)), "fila": first.id, "hacer": "otro-profesional"}
    clinician.post(f"{plan}/ajustar", data=form)
    assert rows()[0].other_clinicians


def test_what_became_impossible_stays_and_says_why_and_the_rest_goes(clinician, plan, sessions):
    page = clinician.get(plan)
    cancel(sessions[0].id, account=sessions[0].account, now=at(1, 9))
    form = fields(page, f"{plan}/aprobar") | {"fila": [str(row.id) for row in rows()]}
    assert clinician.post(f"{plan}/aprobar", data=form).status_code == 303
    assert state(sessions[1]) is State.OFFERED
    page = clinician.get(plan).text
    assert "Ya no necesitan otro horario (1)" in page
    assert "Cancelada por el cliente" in page


def test_neither_a_second_tap_nor_a_second_form_moves_anything_twice(clinician, plan):
    page = clinician.get(plan)
    ids = [str(row.id) for row in rows()]
    form = fields(page, f"{plan}/aprobar") | {"fila": ids}
    first, again = (clinician.post(f"{plan}/aprobar", data=form) for _ in range(2))
    assert (first.status_code, again.status_code) == (303, 303)
    other = form | {"llave": key_of(clinician.get(plan))}
    late = clinician.post(f"{plan}/aprobar", data=other)
    assert late.status_code == 303  # What it asks for is so already.
    assert "Esperan la respuesta del cliente (2)" in clinician.get(plan).text
    assert OutboxMessage.select().where(OutboxMessage.kind == "session_displaced").count() == 2


def test_a_tap_that_moves_nothing_says_so(clinician, plan, sessions):
    page = clinician.get(plan)
    cancel(sessions[0].id, account=sessions[0].account, now=at(1, 9))
    form = fields(page, f"{plan}/aprobar") | {"fila": str(rows()[0].id), "promesa": "1"}
    late = clinician.post(f"{plan}/aprobar", data=form)
    assert late.status_code == 409
    assert "Ninguna de las citas que marcó se pudo mover." in late.text


def test_a_plan_that_was_searched_anew_is_not_approved_as_it_was_seen(clinician, plan, clock):
    page = clinician.get(plan)
    press(clinician, plan, "buscar", horarios="2")
    planner.run(clock, deadline_seconds=0)
    form = fields(page, f"{plan}/aprobar") | {"fila": [str(row.id) for row in rows()]}
    late = clinician.post(f"{plan}/aprobar", data=form)
    assert late.status_code == 409
    assert "El plan cambió mientras usted lo veía" in late.text
    assert OfferedSlot.select().count() == 0


def test_a_search_is_stopped_and_begun_again(clinician, sessions, clock):
    url = report(clinician, **THURSDAY).location
    assert press(clinician, url, "detener").status_code == 303
    assert "La búsqueda se detuvo." in clinician.get(url).text
    assert not planner.run(clock, deadline_seconds=0)
    press(clinician, url, "buscar", horarios="3")
    assert Replan.get().state == ReplanState.QUEUED
    again = press(clinician, url, "detener")
    assert again.status_code == 303


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"cuando": "nunca"}, "Elija cuándo."),
        ({"cuando": "dia", "dia": ""}, "Elija el día."),
        ({"cuando": "dia", "dia": "2027-02-30"}, "Esa fecha no existe"),
        ({"cuando": "dia", "dia": "9999-12-31"}, "demasiado lejos"),
        ({"cuando": "dia", "dia": "2027-02-01"}, "Ese horario ya pasó."),
        ({"cuando": "dias", "dia": "2027-03-08", "hasta_dia": ""}, "Elija el último día."),
        (
            {"cuando": "dias", "dia": "2027-03-08", "hasta_dia": "2027-03-07"},
            "posterior al comienzo",
        ),
        ({"cuando": "dias", "dia": "2027-03-08", "hasta_dia": "2028-03-08"}, "dos meses"),
        ({"cuando": "horas", "dia": "2027-03-08", "desde": "", "hasta": ""}, "desde qué hora"),
        (
            {"cuando": "horas", "dia": "2027-03-08", "desde": "14:00", "hasta": "9:00"},
            "posterior al comienzo",
        ),
        ({"cuando": "hoy", "quien": "nadie"}, "Elija quién o qué falta."),
        ({"cuando": "hoy", "quien": "consultorio:luna"}, "Elija quién o qué falta."),
        ({"cuando": "hoy", "quien": "oscar"}, "Elija quién o qué falta."),
        ({"cuando": "hoy", "quien": "sala:c1"}, "Elija quién o qué falta."),
        ({"cuando": "hoy", "horarios": "99"}, "Elija cuántos horarios"),
        ({"cuando": "hoy", "buscar_hasta": "2020-01-01"}, "Esa fecha ya pasó."),
        ({"cuando": "hoy", "buscar_hasta": "x"}, "Esa fecha no existe"),
        ({"cuando": "hoy", "motivo": "x" * 300}, "200 caracteres"),
    ],
)
def test_what_makes_no_sense_is_refused_and_what_was_typed_stays(clinician, sent, told):
    answer = report(clinician, **{"motivo": "Gripe"} | sent)
    assert answer.status_code == 422
    assert told in answer.text
    assert sent.get("motivo", "Gripe") in answer.text
    assert BlockedTime.select().count() == 0


def test_a_date_in_another_year_is_written_with_its_year(clinician, sessions, clock):
    report(clinician, **THURSDAY)
    clock.set(at(1, 9).replace(year=2026, month=12, day=28))
    assert "El jueves, 4 de marzo de 2027, todo el día." in clinician.get(ABSENCE).text
    page = clinician.get(f"/agenda/planes/{Replan.get().id}").text
    assert "jueves, 4 de marzo de 2027, a las 10:00" in page
    clock.set(at(1, 9))
    assert "de 2027" not in clinician.get(ABSENCE).text


def test_nothing_hit_says_so_and_the_block_stays_until_it_is_taken_away(clinician):
    answer = report(clinician, **THURSDAY)
    page = clinician.get(answer.location).text
    assert "No hay citas en ese periodo. El bloqueo se mantiene" in page
    assert "Quitar el bloqueo" in page
    assert Replan.select().count() == 0


@pytest.mark.parametrize(
    "sent", [THURSDAY, {"cuando": "horas", "dia": "2027-03-04", "desde": "10:00", "hasta": "12:00"}]
)
def test_an_absence_is_reported_once(clinician, sent):
    first = report(clinician, **THURSDAY)
    answer = report(clinician, motivo="Gripe", **sent)
    assert answer.status_code == 422
    assert "Esa ausencia ya está registrada." in answer.text
    assert f'href="{first.location}"' in answer.text
    assert "Gripe" in answer.text
    assert BlockedTime.select().count() == 1
    longer = {"cuando": "dias", "dia": "2027-03-04", "hasta_dia": "2027-03-05"}
    assert report(clinician, **longer).status_code == 303


def test_time_in_which_nothing_is_booked_gets_no_plan(clinician):
    url = report(clinician, **THURSDAY).location
    answer = clinician.post(f"{url}/plan", data={"llave": key_of(clinician.get(url))})
    assert answer.status_code == 409
    assert "Ninguna cita de ese periodo necesita otro horario" in answer.text
    assert Replan.select().count() == 0


def test_a_plan_with_nothing_left_to_place_is_not_searched_again(clinician, plan):
    assert "Buscar de nuevo" in clinician.get(plan).text
    approve(clinician, plan)
    assert "Buscar de nuevo" not in clinician.get(plan).text


def test_a_second_plan_for_the_same_time_leads_to_the_first(clinician, plan):
    answer = report(clinician, **THURSDAY)
    assert answer.status_code == 422
    assert "Ya hay un plan para ese periodo." in answer.text
    assert f'href="{plan}"' in answer.text
    assert f'href="{plan}"' in clinician.get(ABSENCE).text


def test_the_same_tap_twice_reports_one_absence(clinician, sessions):
    form = {"llave": key_of(clinician.get(ABSENCE)), "horarios": "3"} | THURSDAY
    first, again = (clinician.post(ABSENCE, data=form) for _ in range(2))
    assert first.location == again.location
    assert BlockedTime.select().count() == 1


def test_time_blocked_before_gets_a_plan_from_its_page(clinician, sessions):
    block = "/agenda/bloquear"
    sent = {"dia": "2027-03-04", "todo": "1"}
    url = clinician.post(block, data=fields(clinician.get(block), block) | sent).location
    action = f"{url}/plan"
    answer = clinician.post(action, data=fields(clinician.get(url), action))
    assert answer.status_code == 303
    assert "2 citas afectadas" in clinician.get(answer.location).text
    assert "Ver el plan para moverlas" in clinician.get(url).text


def test_a_plan_is_its_clinicians_and_the_managers(clinician, plan, visitor, oscar, manager, ana):
    for stranger in (visitor(oscar), visitor(ana)):
        assert stranger.get(plan).status_code == 404
        for verb in ("detener", "buscar", "aprobar", "ajustar"):
            form = {"horarios": "1", "fila": "1", "hacer": "fijar", "promesa": "1"}
            assert stranger.post(f"{plan}/{verb}", data=form).status_code == 404
    assert visitor(manager).get(plan).status_code == 200
    assert clinician.get("/agenda/planes/999").status_code == 404


@pytest.mark.parametrize("junk", ["", "x", "-1", "9" * 40, "1; DROP TABLE", "\u0661", "nan"])
def test_garbage_in_the_plans_forms_is_refused_in_words(clinician, plan, junk):
    for verb, sent in (
        ("aprobar", {"fila": junk, "promesa": "1", "busqueda": "1"}),
        ("ajustar", {"fila": junk, "hacer": "fijar"}),
        ("ajustar", {"fila": rows()[0].id, "hacer": junk}),
        ("buscar", {"busqueda": junk, "horarios": "3"}),
        ("buscar", {"busqueda": "1", "horarios": junk}),
    ):
        answer = clinician.post(
            f"{plan}/{verb}", data={"llave": key_of(clinician.get(plan))} | sent
        )
        assert answer.status_code in (404, 409, 422), (verb, sent)
        assert 'role="alert"' in answer.text or "<h1" in answer.text


def test_a_manager_closes_a_room_and_an_office(visitor, manager, sessions, clock, ana):
    boss = visitor(manager)
    page = boss.get(ABSENCE).text
    assert '<optgroup label="Salas">' in page
    told = OutboxMessage.select().count()
    url = report(boss, quien="sala:c1", **THURSDAY).location
    planner.run(clock, deadline_seconds=0)
    page = boss.get(url).text
    assert "Misma hora, otra sala: Sala 2" in page
    assert "Cambiar 2 de sala" in page
    assert approve(boss, url).status_code == 303
    assert "Misma hora, otra sala (2)" in boss.get(url).text
    assert OutboxMessage.select().count() == told
    url = report(boss, quien="consultorio:centro", **THURSDAY, video="1").location
    planner.run(clock, deadline_seconds=0)
    assert "2 citas tienen otro horario" in boss.get(url).text
    assert "Cerrado: Consultorio Centro" in boss.get("/agenda?semana=2027-03-04").text


def test_a_closed_office_is_told_apart_from_a_clinician_who_is_away(visitor, manager):
    boss = visitor(manager)
    times = "/agenda/horas?profesional=ines&dia=2027-03-04&hora=10:00"
    report(boss, quien="consultorio:centro", **THURSDAY)
    assert "El consultorio está cerrado a esa hora." in boss.get(times).text
    report(boss, quien="ines", **THURSDAY | {"dia": "2027-03-05"})
    page = boss.get(times.replace("03-04", "03-05")).text
    assert "Ese horario está bloqueado en la agenda." in page
    assert "cerrado a esa hora" not in page


def test_pending_requests_are_denied_with_offers_and_a_move_under_way_is_listed_apart(
    clinician, ana, bruno, ines, clock
):
    session = confirmed_session(ana, ines, at(4, 10))
    moving = request(ana, at(5, 10), chain=session.chain, replaces=session.id)
    waiting = request(bruno, at(4, 12))
    url = report(clinician, **THURSDAY).location
    planner.run(clock, deadline_seconds=0)
    page = clinician.get(url).text
    assert "El cliente ya pidió cambiarla (1)" in page
    assert f"/solicitudes/{moving.id}" in page
    assert approve(clinician, url).status_code == 303
    assert state(waiting) is State.OFFERED
    assert state(session) is State.CONFIRMED
    kinds = {m.kind for m in OutboxMessage.select().where(OutboxMessage.appointment == waiting)}
    assert "slots_offered" in kinds


def test_whoever_is_offered_one_slot_reads_of_one(clinician, sessions, clock, visitor, ana):
    url = str(report(clinician, horarios="1", **THURSDAY).location)
    planner.run(clock, deadline_seconds=0)
    approve(clinician, url)
    phone, url = visitor(ana), f"/citas/{sessions[0].id}"
    page = phone.get(url).text
    assert "le ofrece este horario" in page.split("<h1")[1]
    assert "Este horario ya está guardado para usted." in page
    assert "stos horarios" not in page
    assert "<title>Este horario no me sirve" in phone.get(f"{url}/ninguno").text


def test_whoever_has_no_address_has_to_be_told_by_telephone(clinician, ana, ines, clock):
    session = confirmed_session(ana, ines, at(4, 10))
    Appointment.update(account=None).where(Appointment.id == session.id).execute()
    session.client.email = ""
    session.client.save()
    url = report(clinician, **THURSDAY).location
    planner.run(clock, deadline_seconds=0)
    assert "Sin correo: avísele por teléfono." in clinician.get(url).text


def test_the_page_costs_few_queries_however_many_sessions_it_has(clinician, plan, ines, caplog):
    def count() -> int:
        caplog.clear()
        with caplog.at_level("DEBUG", logger="peewee"):
            clinician.get(plan)
        return sum('FROM "practice"' not in str(r.args or r.msg) for r in caplog.records)

    few = count()
    for n in range(4):
        somebody: Account = make_account(f"P{n}", f"p{n}@example.com")
        row = confirmed_session(somebody, ines, at(8 + n, 10))
        ReplanRow.create(
            replan=Replan.get(), appointment=row, version=row.version, starts_at=row.starts_at,
            options=rows()[0].options,
        )  # fmt: skip
    assert count() == few <= 12


def test_staff_confirm_the_slot_that_a_client_without_account_chooses(clinician, plan, sessions):
    approve(clinician, plan)
    url = f"/agenda/citas/{sessions[0].id}"
    action = f"{url}/elegir"
    form = fields(clinician.get(url), action)
    for junk in ("", "x", "9" * 30, "0"):
        answer = clinician.post(action, data=form | {"horario": junk})
        assert answer.status_code in (404, 409)
    form = fields(clinician.get(url), action)
    assert clinician.post(action, data=form).status_code == 303
    assert state(sessions[0]) is State.CONFIRMED
    late = clinician.post(action, data=form | {"llave": key_of(clinician.get(url))})
    assert late.status_code == 409
    assert "ya no está disponible" in late.text


def test_a_block_that_was_taken_away_leaves_the_sessions_in_peace(clinician, plan, sessions):
    page = clinician.get(plan)
    url = f"/agenda/bloqueos/{BlockedTime.get().id}"
    clinician.post(f"{url}/quitar", data=fields(clinician.get(url), f"{url}/quitar"))
    assert "las citas que nadie movió siguen en pie" in clinician.get(plan).text
    form = fields(page, f"{plan}/aprobar") | {"fila": [str(row.id) for row in rows()]}
    assert clinician.post(f"{plan}/aprobar", data=form).status_code == 409
    assert {state(row) for row in sessions} == {State.CONFIRMED}
