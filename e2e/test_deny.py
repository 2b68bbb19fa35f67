"""A denial in the clinician's hand: see each proposed day, search otherwise, offer what suits."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from e2e.fixtures import SignIn
from e2e.pages.appointments import AppointmentsPage
from e2e.pages.deny import DenyPage
from e2e.pages.staff import StaffPage
from e2e.site import Scene

pytestmark = pytest.mark.e2e


def open_denial(as_clinician: SignIn, javascript: bool) -> DenyPage:
    """The deny page of the request, open on the clinician's phone."""
    clinician = StaffPage(as_clinician())
    clinician.open_first_request()
    found = DenyPage(clinician.page, javascript=javascript)
    found.open()
    return found


@pytest.fixture
def deny(scenario: Callable[[str], Scene], as_clinician: SignIn, javascript: bool) -> DenyPage:
    scenario("pendiente")
    return open_denial(as_clinician, javascript)


def test_every_proposal_shows_its_day_and_nothing_leaves_the_screen(deny: DenyPage) -> None:
    expect(deny.proposals()).to_have_count(5)
    expect(deny.days()).to_have_count(5)
    expect(deny.days().first).to_have_attribute("aria-label", re.compile("este horario"))
    deny.expect_nothing_wider_than_the_screen()


def test_a_wider_search_keeps_the_note_and_ones_own_ticks(
    deny: DenyPage, as_client: SignIn
) -> None:
    deny.tick_only(1)
    chosen = deny.ticked()
    deny.write_note("Con gusto le veo otro día.")
    deny.widen("También por videollamada")
    deny.expect_focus_on("También por videollamada")
    deny.narrow("No antes de las", "12:00")
    deny.search()
    assert deny.ticked() == chosen
    deny.expect_note("Con gusto le veo otro día.")
    deny.send("Denegar y ofrecer 1 horario")
    client = AppointmentsPage(as_client())
    client.open_card("Denegada: elija otro horario")
    expect(client.offered()).to_have_count(1)
    expect(client.page.get_by_text("Con gusto le veo otro día.")).to_be_visible()


@pytest.mark.long
def test_a_narrower_search_proposes_only_what_fits(deny: DenyPage) -> None:
    deny.narrow("Desde el día", "2027-03-22")
    deny.search()
    expect(deny.proposals()).to_have_count(5)
    expect(deny.proposals().first).to_have_accessible_name(
        re.compile("(2[2-9]|3[01]) de marzo|abril")
    )
    deny.send("Denegar y ofrecer 3 horarios")


def test_where_nothing_is_free_a_tap_on_a_count_finds_it(
    scenario: Callable[[str], Scene], as_clinician: SignIn, javascript: bool
) -> None:
    scenario("agenda-llena")
    deny = open_denial(as_clinician, javascript)
    expect(deny.proposals()).to_have_count(0)
    deny.write_note("Nos vemos en Norte.")
    deny.tap("En Consultorio Norte hay")
    expect(deny.control("También en otro consultorio")).to_be_checked()
    expect(deny.proposals().first).to_have_accessible_name(re.compile("Consultorio Norte"))
    deny.expect_note("Nos vemos en Norte.")
    deny.send("Denegar y ofrecer 3 horarios")


@pytest.mark.long
def test_what_is_wrong_in_a_control_is_said_beside_it(deny: DenyPage) -> None:
    deny.narrow("No antes de las", "12:00")
    deny.narrow("No después de las", "10:00")
    deny.search()
    expect(deny.control("No después de las")).to_have_accessible_description(
        "La última hora no puede ser anterior a la primera."
    )
    expect(deny.control("No después de las")).to_have_value("10:00")
