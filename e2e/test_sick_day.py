"""A clinician cannot come: one form, one plan, one tap for each client."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from e2e.fixtures import SignIn
from e2e.mail import Mailbox
from e2e.pages.appointments import AppointmentsPage
from e2e.pages.portal import PortalPage
from e2e.pages.replans import ReplanPage
from e2e.site import Person, Scene, Site

pytestmark = pytest.mark.e2e

MOVED = "Elija otro horario para su cita"


@pytest.fixture
def clients(scenario: Callable[[str], Scene]) -> tuple[Person, ...]:
    """Three clients with a session of Inés each, on Thursday."""
    return scenario("ausencia").clients


@pytest.fixture
def plan(clients: tuple[Person, ...], as_clinician: SignIn) -> ReplanPage:
    return ReplanPage(as_clinician())


def test_a_sick_day_from_the_first_tap_to_the_last_answer(
    plan: ReplanPage,
    new_page: Callable[[], Page],
    site: Site,
    mailbox: Mailbox,
    clients: tuple[Person, ...],
) -> None:
    maria, bruno, carmen = clients
    plan.report_day("2027-03-04")
    plan.expect_searching(*(client.name for client in clients))
    site.plan()
    plan.expect_ready()
    plan.expect_button("Aprobar 3 y avisar a los clientes")
    # One session is handled by telephone, and the rest searched anew.
    plan.adjust(carmen.name, "Dejar fuera")
    plan.expect_told("Fuera del plan")
    plan.search_again()
    site.plan()
    plan.expect_ready()
    plan.approve("Aprobar 2 y avisar a los clientes")
    plan.expect_told(r"Esperan la respuesta del cliente \(2\)")
    # The mails arrive, and say neither what nor with whom.
    for client in (maria, bruno):
        mail = mailbox.latest(client.email, MOVED).text
        assert "tuvo que mover su cita" in mail
        assert "individual" not in mail
        assert "Inés" not in mail
    assert not mailbox.to(carmen.email, MOVED)
    # One client takes a time with one tap, from the mail's own link.
    first = AppointmentsPage(new_page())
    PortalPage(first.page).open_link(mailbox.link(maria.email, MOVED))
    expect(first.page.get_by_text("tuvo que mover su cita del")).to_be_visible()
    first.take_first_offer()
    # For the other one none suits.
    second = AppointmentsPage(new_page())
    PortalPage(second.page).open_link(mailbox.link(bruno.email, MOVED))
    second.open()
    second.open_card("Su consultorio movió esta cita: elija otro horario")
    second.decline_offers("Solo los martes.")
    second.expect_status("Cancelada")
    # The plan tells both, and the session is back in the list.
    plan.page.reload()
    plan.expect_told(r"Ya tienen otro horario \(1\)")
    plan.expect_told("Solo los martes")
    plan.search_again()
    site.plan()
    plan.expect_ready()
    plan.approve("Aprobar 1 y avisar al cliente")
    plan.expect_told(r"Esperan la respuesta del cliente \(1\)")


@pytest.mark.long
def test_the_number_on_the_button_is_what_will_be_sent(
    plan: ReplanPage, site: Site, clients: tuple[Person, ...], javascript: bool
) -> None:
    plan.report_day("2027-03-04")
    site.plan()
    plan.expect_ready()
    plan.untick(clients[1].name)
    if not javascript:  # The first tap shows what will be sent, the second one sends it.
        plan.approve("Aprobar 3 y avisar a los clientes")
        plan.expect_told("Revise antes de aprobar")
    plan.approve("Aprobar 2 y avisar a los clientes")
    plan.expect_told(r"Esperan la respuesta del cliente \(2\)")
    plan.expect_button("Aprobar 1 y avisar al cliente")


@pytest.mark.long
def test_a_search_can_be_stopped(plan: ReplanPage) -> None:
    plan.report_day("2027-03-04")
    plan.page.get_by_role("button", name="Detener").click()
    plan.expect_told("La búsqueda se detuvo.")
