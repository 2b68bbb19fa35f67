"""What can be chosen on the way to a request, what is passed over, and what cannot be had."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from e2e.fixtures import Clock, SignIn
from e2e.pages.appointments import AppointmentsPage
from e2e.pages.new_appointment import NewAppointmentPage
from e2e.pages.staff import StaffPage
from e2e.site import Scene

pytestmark = pytest.mark.e2e

Load = Callable[[str], Scene]


@pytest.fixture
def client(as_client: SignIn) -> Page:
    return as_client()


@pytest.fixture
def appointments(client: Page) -> AppointmentsPage:
    return AppointmentsPage(client)


@pytest.fixture
def flow(client: Page) -> NewAppointmentPage:
    return NewAppointmentPage(client)


@pytest.mark.main
def test_where_there_is_one_choice_it_is_made_and_shown(scenario: Load, as_client: SignIn) -> None:
    scenario("minima")
    flow = NewAppointmentPage(as_client())
    AppointmentsPage(flow.page).start_request(first_step="Elija la fecha y hora que desee")
    flow.expect_chosen(
        "Sesión individual · 50 minutos (única opción)",
        "Consultorio Ceiba (única opción)",
        "Inés Peña Ordóñez (única opción)",
    )
    flow.page.get_by_role("main").get_by_role("link", name="‹ Citas").click()
    AppointmentsPage(flow.page).start_request(first_step="Elija la fecha y hora que desee")
    moment = flow.choose_first_free()
    assert "martes, 2 de marzo" in moment
    flow.expect_step("¿Para quién es la cita?")
    flow.send()  # She is the only one, and ticked.
    flow.expect_step("Solicitud enviada")


def test_the_longest_names_have_room(
    scenario: Load, as_client: SignIn, as_clinician: SignIn
) -> None:
    """Each page of it is looked at: on 320 px, and with text of twice its size."""
    scenario("nombres-largos")
    client = AppointmentsPage(as_client())
    client.open_card("Confirmada")
    client.open()
    client.start_request(first_step="Elija la fecha y hora que desee")
    flow = NewAppointmentPage(client.page)
    flow.choose_first_free()
    flow.expect_step("¿Para quién es la cita?")
    staff = StaffPage(as_clinician())
    staff.open_first_request()
    staff.page.get_by_role("link", name="Denegar").click()
    staff.expect_title("Denegar la solicitud")
    for tab, link in (("Agenda", "María de los Ángeles"), ("Clientes", "Maximiliano")):
        staff.page.get_by_role("link", name=tab, exact=True).click()
        staff.page.get_by_role("main").get_by_role("link", name=link).first.click()
        staff.expect_title(link)


@pytest.mark.long
def test_whoever_does_not_mind_gets_somebody(scenario: Load, as_client: SignIn) -> None:
    scenario("varios-profesionales")
    flow = NewAppointmentPage(as_client())
    AppointmentsPage(flow.page).start_request()
    flow.choose_service("Sesión individual")
    flow.choose_office("Consultorio Roma")
    flow.choose_clinician("Cualquier profesional")
    flow.expect_chosen("Cualquier profesional")
    flow.choose_first_free()
    flow.send()
    flow.expect_step("Solicitud enviada")
    expect(flow.page.get_by_role("definition").filter(has_text="Cualquier")).to_have_count(0)


def test_a_session_by_video(appointments: AppointmentsPage, flow: NewAppointmentPage) -> None:
    appointments.start_request()
    flow.choose_service("Sesión individual")
    flow.choose_office("Videollamada")
    flow.expect_chosen("Videollamada", "Inés Peña Ordóñez (única opción)")
    flow.choose_moment("jueves, 4 de marzo", "10:00 a. m.")
    flow.send()
    flow.expect_step("Solicitud enviada")
    expect(flow.page.get_by_role("link", name="Ver mapa")).to_have_count(0)
    appointments.open()
    appointments.open_card("Pendiente de confirmación")
    flow.expect_chosen("Videollamada")


@pytest.mark.long
def test_a_confirmed_session_by_video(scenario: Load, as_client: SignIn) -> None:
    scenario("videollamada")
    appointments = AppointmentsPage(as_client())
    expect(appointments.card("Confirmada")).to_contain_text("Videollamada")
    appointments.open_card("Confirmada")
    expect(appointments.page.get_by_role("link", name="Añadir al calendario")).to_be_visible()
    expect(appointments.page.get_by_role("link", name="Ver mapa")).to_have_count(0)


def test_times_begin_after_the_notice_and_end_at_the_horizon(
    appointments: AppointmentsPage, flow: NewAppointmentPage
) -> None:
    appointments.start_request()
    flow.choose_service("Sesión infantil")
    flow.expect_day("lunes, 1 de marzo", listed=False)  # Today.
    flow.expect_day("martes, 2 de marzo")
    flow.expect_no_time("martes, 2 de marzo", "8:45 a. m.")
    later = flow.page.get_by_role("link", name="Ver días posteriores")
    for first in (
        "miércoles, 17 de marzo",
        "miércoles, 31 de marzo",
        "miércoles, 14 de abril",
        "miércoles, 28 de abril",
    ):
        later.click()
        flow.expect_day(first)
    flow.expect_day("viernes, 30 de abril")  # 60 days from today.
    expect(later).to_have_count(0)
    flow.page.get_by_role("link", name="Volver al principio").click()
    flow.expect_day("martes, 2 de marzo")


def test_a_time_that_came_too_near_while_it_was_looked_at(
    appointments: AppointmentsPage, flow: NewAppointmentPage, clock: Clock
) -> None:
    appointments.start_request()
    flow.choose(day="martes, 2 de marzo", time="9:00 a. m.")
    clock.advance(timedelta(minutes=1))
    flow.send()
    appointments.expect_title("Elija la fecha y hora que desee")
    appointments.expect_alert("Falta muy poco para ese horario")
    flow.expect_chosen("Sesión individual", "Consultorio Centro")


@pytest.mark.long
def test_an_earlier_choice_is_changed_and_the_later_ones_stay(
    appointments: AppointmentsPage, flow: NewAppointmentPage
) -> None:
    appointments.start_request()
    flow.choose(time="5:00 p. m.", office="Consultorio Norte", clinician=None)
    flow.change("el lugar")
    flow.choose_office("Consultorio Centro")  # At five there is nobody.
    appointments.expect_alert("A esa hora no hay consulta. Elija otra hora.")
    flow.expect_chosen("Consultorio Centro", "Inés Peña Ordóñez")


@pytest.mark.long
def test_more_requests_than_may_wait_at_once(
    appointments: AppointmentsPage, flow: NewAppointmentPage
) -> None:
    for day, clinician in (
        ("jueves, 4 de marzo", "Inés Peña Ordóñez"),
        ("viernes, 5 de marzo", None),  # She is known now, and not asked for again.
        ("lunes, 8 de marzo", None),
    ):
        appointments.start_request()
        flow.choose(day=day, clinician=clinician)
        flow.send()
        flow.expect_step("Solicitud enviada")
        appointments.open()
    appointments.start_request()
    appointments.expect_alert("Ya tiene 3 solicitudes sin respuesta")
    expect(flow.page.get_by_role("link", name="Sesión individual")).to_have_count(0)


def test_a_couple_comes_together(appointments: AppointmentsPage, flow: NewAppointmentPage) -> None:
    appointments.start_request()
    flow.choose_service("Sesión de pareja")
    flow.choose_moment("jueves, 4 de marzo", "10:00 a. m.")
    flow.add_partner("")
    appointments.expect_alert("Escriba el nombre y los apellidos de su pareja.")
    flow.page.get_by_label("Nombre y apellidos de su pareja").fill("José Ángel Zúñiga Güemes")
    flow.page.get_by_role("button", name="Añadir y seguir").click()
    flow.choose_person("José Ángel Zúñiga Güemes")
    flow.send()
    flow.expect_step("Solicitud enviada")
    flow.expect_chosen("María de los Ángeles Núñez Echeverría y José Ángel Zúñiga Güemes")


@pytest.mark.long
def test_a_child_who_is_grown_up_is_none(
    appointments: AppointmentsPage, flow: NewAppointmentPage
) -> None:
    appointments.start_request()
    flow.choose_service("Sesión infantil")
    flow.choose_moment("jueves, 4 de marzo", "9:00 a. m.")
    flow.add_child("Tomás Ruiz Vega", "2001-05-20")
    appointments.expect_alert("Con esa fecha no es menor de edad. Revise el año.")


@pytest.mark.long
def test_those_in_ones_care_are_known_by_name(scenario: Load, as_client: SignIn) -> None:
    scenario("menor-y-pareja")
    appointments = AppointmentsPage(as_client())
    appointments.expect_card("Confirmada", "Ximena Itzel Zúñiga Núñez")
    appointments.expect_card("Confirmada", "José Ángel Zúñiga Güemes")
    flow = NewAppointmentPage(appointments.page)
    appointments.start_request()
    flow.choose_service("Sesión infantil")
    # Her daughter, whose session it is, cannot be in two places.
    flow.choose_moment("viernes, 5 de marzo", "10:00 a. m.")
    flow.choose_person("Ximena Itzel Zúñiga Núñez")
    flow.send()
    flow.expect_chosen("Ximena Itzel Zúñiga Núñez")
