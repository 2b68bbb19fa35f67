"""A clinician cannot come: one form, one plan, one tap for each client."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from booking import invariants
from booking.models import Account
from e2e.conftest import make_client
from e2e.pages.appointments import AppointmentsPage
from e2e.pages.portal import PortalPage
from e2e.pages.replans import ReplanPage
from e2e.pages.staff import StaffPage
from e2e.site import Site, text_of
from tests.builders import at, confirmed_session

pytestmark = pytest.mark.e2e

INES = "ines@alameda.example"
PEOPLE = ("Ana Ruiz Peña", "Bruno Díaz Muñoz", "Carla Gómez Ibarra")
MOVED = "Elija otro horario para su cita"


@pytest.fixture
def emails(site: Site) -> list[str]:
    """Three clients with a session of Inés each, on Thursday."""
    staff = Account.get(Account.email == INES)
    found = []
    for name, hour in zip(PEOPLE, (9, 11, 13), strict=True):
        email = make_client(name, f"{name.split()[0].lower()}@example.com")
        confirmed_session(Account.get(Account.email == email), staff, at(4, hour))
        found.append(email)
    site.pass_time(timedelta(seconds=31))
    return found


@pytest.fixture
def plan(open_phone: Callable[[], Page], site: Site) -> ReplanPage:
    phone = open_phone()
    StaffPage(phone, site).come_back(INES)
    return ReplanPage(phone)


def test_a_sick_day_from_the_first_tap_to_the_last_answer(
    plan: ReplanPage,
    open_phone: Callable[[], Page],
    site: Site,
    emails: list[str],
) -> None:
    ana, bruno, carla = emails
    plan.report_day("2027-03-04")
    plan.expect_searching(*PEOPLE)
    site.plan()
    plan.expect_ready()
    plan.expect_button("Aprobar 3 y avisar a los clientes")
    # One session is handled by telephone, and the rest searched anew.
    plan.adjust(PEOPLE[2], "Dejar fuera")
    plan.expect_told("Fuera del plan")
    plan.search_again()
    site.plan()
    plan.expect_ready()
    plan.approve("Aprobar 2 y avisar a los clientes")
    plan.expect_told(r"Esperan la respuesta del cliente \(2\)")
    # The mails arrive, and say neither what nor with whom.
    site.work()
    for email in (ana, bruno):
        mail = text_of(site.mailbox.latest(email, MOVED))
        assert "tuvo que mover su cita" in mail
        assert "individual" not in mail
        assert "Inés" not in mail
    assert not [m for m in site.mailbox.messages if m["To"] == carla and MOVED in m["Subject"]]
    # One client takes a time with one tap, from the mail's own link.
    first = AppointmentsPage(open_phone())
    PortalPage(first.page, site).open_link(site.mailbox.link(ana, MOVED))
    expect(first.page.get_by_text("tuvo que mover su cita del")).to_be_visible()
    first.take_first_offer()
    # For the other one none suits.
    second = AppointmentsPage(open_phone())
    PortalPage(second.page, site).open_link(site.mailbox.link(bruno, MOVED))
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
    site.work()
    assert invariants.violations() == {}


def test_the_number_on_the_button_is_what_will_be_sent(
    plan: ReplanPage, site: Site, emails: list[str], javascript: bool
) -> None:
    plan.report_day("2027-03-04")
    site.plan()
    plan.expect_ready()
    plan.untick(PEOPLE[1])
    if not javascript:  # The first tap shows what will be sent, the second one sends it.
        plan.approve("Aprobar 3 y avisar a los clientes")
        plan.expect_told("Revise antes de aprobar")
    plan.approve("Aprobar 2 y avisar a los clientes")
    plan.expect_told(r"Esperan la respuesta del cliente \(2\)")
    plan.expect_button("Aprobar 1 y avisar al cliente")


def test_a_search_can_be_stopped(plan: ReplanPage, emails: list[str]) -> None:
    plan.report_day("2027-03-04")
    plan.page.get_by_role("button", name="Detener").click()
    plan.expect_told("La búsqueda se detuvo.")
