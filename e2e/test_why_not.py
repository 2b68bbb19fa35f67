"""Why is a time not offered? The clinician asks the agenda; the client, an empty search."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from booking import gateway
from booking.models import Account
from booking.operations import block_time
from e2e.pages.appointments import AppointmentsPage
from e2e.pages.new_appointment import NewAppointmentPage
from e2e.pages.portal import PortalPage
from e2e.pages.staff import StaffPage
from e2e.pages.times import TimesPage
from e2e.site import NOW, Site
from tests.builders import at, request

pytestmark = pytest.mark.e2e

INES = "ines@alameda.example"


def test_the_clinician_taps_a_time_and_reads_why_it_is_not_offered(
    open_phone: Callable[[], Page], site: Site, ana: str
) -> None:
    request(Account.get(Account.email == ana), at(5, 10))
    phone = open_phone()
    StaffPage(phone, site).come_back(INES)
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


def test_the_selectors_of_a_manager_lie_beside_or_below_each_other_on_a_narrow_phone(
    open_phone: Callable[[], Page], site: Site
) -> None:
    phone = open_phone()
    phone.set_viewport_size({"width": 360, "height": 740})
    StaffPage(phone, site).come_back("gestion@alameda.example")
    phone.goto("/agenda/horas?dia=2027-03-05")
    first, second = (
        phone.get_by_label(label).bounding_box() for label in ("Profesional", "Servicio")
    )
    assert first
    assert second
    beside = first["x"] + first["width"] <= second["x"]
    assert beside or first["y"] + first["height"] <= second["y"]
    assert second["x"] + second["width"] <= 360


def test_from_a_request_its_own_time_is_seen_as_its_client_would_get_it(
    open_phone: Callable[[], Page], site: Site, ana: str
) -> None:
    request(Account.get(Account.email == ana), at(5, 10))
    phone = open_phone()
    clinician = StaffPage(phone, site)
    clinician.come_back(INES)
    clinician.open_first_request()
    phone.get_by_role("link", name="Qué se ofrece ese día, y por qué").click()
    times = TimesPage(phone)
    times.expect_day("viernes, 5 de marzo")
    times.tap("10:00 a. m.")
    times.expect_told("✓ Se ofrece a los clientes.")
    phone.get_by_role("link", name="Volver a la solicitud").click()
    expect(phone.get_by_role("heading", level=1)).to_have_text("Solicitud de Ana Ruiz Peña")


def test_a_client_whose_search_is_empty_reads_what_to_change(
    portal: PortalPage, page: Page, ana: str
) -> None:
    staff = Account.get(Account.email == INES)
    assert staff.clinician_id is not None
    for day in range(62):
        start = at(1, 8) + timedelta(days=day)
        block_time(
            staff.clinician_id,
            start,
            start + timedelta(hours=7),
            reason="",
            actor=gateway.staff(staff),
            now=NOW,
        )
    portal.come_back(ana)
    AppointmentsPage(page).start_request()
    flow = NewAppointmentPage(page)
    flow.choose_service("Sesión individual")
    flow.choose_office("Consultorio Centro")
    flow.choose_clinician("Inés Peña Ordóñez")
    flow.expect_nothing_free()
    flow.change_search("En Consultorio Norte hay")
    flow.expect_chosen("Sesión individual", "Consultorio Norte", "Inés Peña Ordóñez")
    flow.choose_moment("jueves, 4 de marzo", "5:00 p. m.")
    flow.expect_step("¿Para quién es la cita?")
