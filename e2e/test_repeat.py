"""A client who comes each week asks for the same again, in two steps."""

import pytest
from playwright.sync_api import Page

from e2e.fixtures import SignIn
from e2e.pages.appointments import AppointmentsPage
from e2e.pages.new_appointment import NewAppointmentPage
from e2e.test_guide import ask

pytestmark = pytest.mark.e2e


@pytest.fixture
def client(as_client: SignIn) -> Page:
    """The client's phone, on which she signed in before."""
    return as_client()


def test_a_client_asks_for_the_same_as_last_time(client: Page) -> None:
    appointments, flow = AppointmentsPage(client), NewAppointmentPage(client)
    ask(flow, appointments)
    appointments.open()
    when = appointments.repeat_last()
    flow.expect_step("¿Para quién es la cita?")
    flow.expect_chosen("Sesión individual", "Consultorio Centro", "Inés Peña Ordóñez")
    flow.expect_chosen(when.partition(", a las")[0])
    flow.send()
    flow.expect_step("Solicitud enviada")
    appointments.open()
    appointments.expect_card("Pendiente de confirmación", "jueves, 4 de marzo")
    appointments.expect_card("Pendiente de confirmación", when.partition(", a las")[0])
