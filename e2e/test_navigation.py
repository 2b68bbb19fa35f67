"""Going back, another language, a quick thumb: what is shown is what was asked for."""

import re

import pytest
from playwright.sync_api import Route, expect

from e2e.fixtures import SignIn
from e2e.pages.appointments import AppointmentsPage
from e2e.pages.new_appointment import NewAppointmentPage
from e2e.pages.times import TimesPage
from e2e.site import Site

pytestmark = pytest.mark.e2e


@pytest.mark.main
def test_another_language_leads_to_the_same_step(as_client: SignIn) -> None:
    client = AppointmentsPage(as_client())
    client.start_request()
    flow = NewAppointmentPage(client.page)
    flow.choose_service("Sesión individual")
    flow.expect_step("Elija la ubicación de su consultorio")
    there = client.page.url
    client.page.get_by_role("button", name="English").click()
    expect(client.page.get_by_role("heading", level=1)).to_have_text("Choose your office location")
    expect(client.page).to_have_url(there)


@pytest.mark.main
def test_going_back_shows_what_the_page_is_by_now(scenario, as_client: SignIn) -> None:
    """The form of what was declined is not there any more, and its page says so."""
    scenario("ofertas-vigentes")
    client = AppointmentsPage(as_client())
    client.open_card("Denegada: elija otro horario")
    client.decline_offers("Por la tarde")
    client.expect_status("Denegada")
    client.page.go_back()
    expect(client.page).to_have_url(re.compile("/ninguno$"))
    client.expect_alert("Estos horarios ya no se le están guardando.")


@pytest.mark.parametrize("javascript", [True], ids=["with-javascript"])
def test_a_second_tap_abandons_the_page_of_the_first(as_clinician: SignIn, site: Site) -> None:
    phone = as_clinician()
    phone.goto("/agenda")
    slow: list[Route] = []
    phone.route("**/agenda/horas?dia=2027-03-04*", lambda route: slow.append(route))  # No answer.
    with phone.expect_request("**/agenda/horas?dia=2027-03-04*"):
        phone.get_by_role("link", name="Qué se ofrece el jueves, 4 de marzo").click()
    with phone.expect_event("requestfailed") as abandoned:
        phone.get_by_role("link", name="Qué se ofrece el viernes, 5 de marzo").click()
    assert abandoned.value.url == slow[0].request.url
    TimesPage(phone).expect_day("viernes, 5 de marzo")
    expect(phone).to_have_url(f"{site.url}/agenda/horas?dia=2027-03-05")
