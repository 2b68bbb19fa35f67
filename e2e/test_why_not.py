"""Why is a time not offered? The clinician asks the agenda; the client, an empty search."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from e2e.fixtures import SignIn
from e2e.pages.appointments import AppointmentsPage
from e2e.pages.new_appointment import NewAppointmentPage
from e2e.pages.staff import StaffPage
from e2e.pages.times import TimesPage
from e2e.site import Scene

pytestmark = pytest.mark.e2e


def test_the_clinician_taps_a_time_and_reads_why_it_is_not_offered(
    scenario: Callable[[str], Scene], as_clinician: SignIn
) -> None:
    scenario("pendiente")
    phone = as_clinician()
    times = TimesPage(phone)
    times.open_from_week("viernes, 5 de marzo")
    times.choose_service("Sesión individual")
    times.expect_offered("10:30 a. m.", offered=False)
    times.tap("10:30 a. m.")
    times.expect_told("Consultorio Centro", "Choca con otra solicitud (10:00 a. m. – 10:50 a. m.)")
    times.expect_told("Por videollamada")
    times.expect_offered("12:00 p. m.", offered=True)
    times.tap("12:00 p. m.")
    times.expect_told("✓ Se ofrece a los clientes.")
    phone.get_by_role("link", name="Día siguiente").click()
    times.expect_day("sábado, 6 de marzo")
    expect(phone.get_by_text("Sin consulta")).to_be_visible()


def test_the_only_room_is_not_offered_twice(
    scenario: Callable[[str], Scene], as_clinician: SignIn
) -> None:
    _, oscar = scenario("sala-unica").clinicians
    times = TimesPage(as_clinician(oscar.email))
    times.open_from_week("jueves, 4 de marzo")
    times.tap("10:00 a. m.")
    times.expect_told("no hay sala libre")
    times.expect_offered("11:00 a. m.", offered=True)


@pytest.mark.parametrize("screen", ["phone"], indirect=True)
@pytest.mark.long
def test_the_selectors_of_a_manager_lie_beside_or_below_each_other_on_a_narrow_phone(
    as_manager: SignIn,
) -> None:
    phone = as_manager()
    phone.goto("/agenda/horas?dia=2027-03-05")
    first, second = (
        phone.get_by_label(label).bounding_box() for label in ("Profesional", "Servicio")
    )
    assert first
    assert second
    beside = first["x"] + first["width"] <= second["x"]
    assert beside or first["y"] + first["height"] <= second["y"]
    assert second["x"] + second["width"] <= 360


@pytest.mark.long
def test_from_a_request_its_own_time_is_seen_as_its_client_would_get_it(
    scenario: Callable[[str], Scene], as_clinician: SignIn
) -> None:
    client = scenario("pendiente").client
    phone = as_clinician()
    clinician = StaffPage(phone)
    clinician.open_first_request()
    phone.get_by_role("link", name="Qué se ofrece ese día, y por qué").click()
    times = TimesPage(phone)
    times.expect_day("viernes, 5 de marzo")
    times.tap("10:00 a. m.")
    times.expect_told("✓ Se ofrece a los clientes.")
    phone.get_by_role("link", name="Volver a la solicitud").click()
    expect(phone.get_by_role("heading", level=1)).to_have_text(f"Solicitud de {client.name}")


def test_a_client_whose_search_is_empty_reads_what_to_change(
    scenario: Callable[[str], Scene], as_client: SignIn
) -> None:
    scenario("agenda-llena")
    page = as_client()
    AppointmentsPage(page).start_request()
    flow = NewAppointmentPage(page)
    flow.choose_service("Sesión individual")
    flow.choose_office("Consultorio Centro")
    flow.expect_nothing_free()
    flow.change_search("En Consultorio Norte hay")
    flow.expect_chosen("Sesión individual", "Consultorio Norte", "Inés Peña Ordóñez")
    flow.choose_moment("jueves, 4 de marzo", "5:00 p. m.")
    flow.expect_step("¿Para quién es la cita?")
