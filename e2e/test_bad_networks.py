"""What a bad network and a quick thumb do: everything is done once, and nothing is lost."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Error, Page, expect

from e2e.fixtures import SignIn
from e2e.pages.appointments import AppointmentsPage
from e2e.pages.new_appointment import NewAppointmentPage
from e2e.pages.staff import StaffPage
from e2e.site import Scene

pytestmark = pytest.mark.e2e

Load = Callable[[str], Scene]
Network = Callable[[Page, str], None]
ONLY_WITH_SCRIPTS = pytest.mark.parametrize(
    "javascript", [True], ids=["with-javascript"], indirect=True
)


@pytest.fixture
def appointments(as_client: SignIn) -> AppointmentsPage:
    return AppointmentsPage(as_client())


@pytest.fixture
def flow(appointments: AppointmentsPage) -> NewAppointmentPage:
    """A request that only has to be sent."""
    appointments.start_request()
    found = NewAppointmentPage(appointments.page)
    found.choose()
    return found


def lose_reply(page: Page, network: Network, tap: Callable[[], None], *, javascript: bool) -> None:
    """The portal does it, and its answer never comes; without scripts the browser says so."""
    network(page, "lossy")
    with page.expect_event("requestfailed" if javascript else "framenavigated"):
        tap()


# The reply is dropped after the portal has done it. With scripts the page stays, and the same
# button is tapped again; without them the browser shows a page of its own, and one looks it up.


@pytest.mark.main
def test_a_request_is_sent_once(
    flow: NewAppointmentPage, appointments: AppointmentsPage, network: Network, javascript: bool
) -> None:
    lose_reply(flow.page, network, flow.send, javascript=javascript)
    if javascript:
        flow.send()
        flow.expect_step("Solicitud enviada")
    appointments.open()
    appointments.expect_card("Pendiente de confirmación", "10:00 a. m.")


def test_an_offer_is_taken_once(
    scenario: Load, as_client: SignIn, network: Network, javascript: bool
) -> None:
    scenario("ofertas-vigentes")
    client = AppointmentsPage(as_client())
    client.open_card("Denegada: elija otro horario")
    client.expect_title("Su médico le ofrece estos horarios")
    lose_reply(client.page, network, client.offered().first.click, javascript=javascript)
    if javascript:
        client.offered().first.click()
        client.expect_title("Su cita está confirmada")
    client.open()
    client.expect_card("Confirmada", "lunes, 8 de marzo")


@pytest.mark.long
def test_a_session_is_cancelled_once(
    scenario: Load, as_client: SignIn, network: Network, javascript: bool
) -> None:
    scenario("confirmada")
    client = AppointmentsPage(as_client())
    client.cancel_session("Confirmada")
    lose_reply(client.page, network, client.confirm_cancelling, javascript=javascript)
    if javascript:
        client.confirm_cancelling()
        client.expect_status("Cancelada")
    client.open()
    client.expect_card("Cancelada")


@pytest.mark.long
def test_a_request_is_accepted_once(
    scenario: Load, as_clinician: SignIn, network: Network, javascript: bool
) -> None:
    scenario("pendiente")
    clinician = StaffPage(as_clinician())
    clinician.open_first_request()
    accept = clinician.page.get_by_role("button", name="Aceptar")
    lose_reply(clinician.page, network, accept.click, javascript=javascript)
    if javascript:
        clinician.accept()
    clinician.page.goto("/solicitudes")
    expect(clinician.page.get_by_text("No hay solicitudes por responder.")).to_be_visible()


# No network between two steps.


@ONLY_WITH_SCRIPTS
def test_a_step_without_a_network_is_taken_when_it_is_back(
    flow: NewAppointmentPage, network: Network
) -> None:
    network(flow.page, "offline")
    flow.send()
    expect(flow.page.get_by_role("alert")).to_contain_text("No hay conexión")
    network(flow.page, "normal")
    flow.send()
    flow.expect_step("Solicitud enviada")


@pytest.mark.parametrize("javascript", [False], ids=["without-javascript"], indirect=True)
def test_without_scripts_the_address_brings_back_all_that_was_chosen(
    flow: NewAppointmentPage, network: Network
) -> None:
    chosen = flow.page.url
    network(flow.page, "offline")
    with pytest.raises(Error, match="ERR_INTERNET_DISCONNECTED"):
        flow.page.goto("/citas")
    network(flow.page, "normal")
    flow.page.goto(chosen)
    flow.expect_chosen("Sesión individual", "jueves, 4 de marzo de 2027, a las 10:00 a. m.")
    flow.send()
    flow.expect_step("Solicitud enviada")


# A quick thumb, the Back button, and two tabs.


def test_a_double_tap_asks_once(flow: NewAppointmentPage, appointments: AppointmentsPage) -> None:
    flow.page.get_by_role("button", name="Enviar solicitud").dblclick()
    flow.expect_step("Solicitud enviada")
    appointments.open()
    expect(appointments.page.get_by_role("article")).to_have_count(1)


def test_whoever_goes_back_and_sends_it_again_has_asked_once(
    flow: NewAppointmentPage, appointments: AppointmentsPage
) -> None:
    flow.send()
    flow.expect_step("Solicitud enviada")
    flow.page.go_back()
    appointments.expect_title("Elija la fecha y hora que desee")
    appointments.expect_alert("Usted ya pidió ese horario: lo verá en sus citas.")
    appointments.open()
    expect(appointments.page.get_by_role("article")).to_have_count(1)


def test_two_tabs_ask_for_two_times(flow: NewAppointmentPage) -> None:
    """The draft lives in the address, so one does not overwrite the other."""
    other = NewAppointmentPage(flow.page.context.new_page())
    other.page.goto("/citas/nueva/servicio")
    other.choose(day="viernes, 5 de marzo", time="11:15 a. m.")
    flow.send()
    flow.expect_step("Solicitud enviada")
    other.send()
    other.expect_step("Solicitud enviada")
    appointments = AppointmentsPage(other.page)
    appointments.open()
    appointments.expect_card("Pendiente de confirmación", "10:00 a. m.")
    appointments.expect_card("Pendiente de confirmación", "11:15 a. m.")


@pytest.mark.long
def test_what_was_cancelled_in_another_tab(scenario: Load, as_client: SignIn) -> None:
    scenario("confirmada")
    one = AppointmentsPage(as_client())
    two = AppointmentsPage(one.page.context.new_page())
    for tab in (one, two):
        tab.open()
        tab.cancel_session("Confirmada")
    one.confirm_cancelling()
    one.expect_status("Cancelada")
    two.confirm_cancelling()
    two.expect_alert("Esta cita ya no se puede cancelar.")
    two.expect_status("Cancelada")


# A slow one.


ON_SLOW_ONES = pytest.mark.parametrize(
    "slow", ["slow3g", pytest.param("2g", marks=pytest.mark.long)]
)


@ON_SLOW_ONES
def test_the_whole_flow_on_a_slow_network(as_client: SignIn, network: Network, slow: str) -> None:
    page = as_client()
    network(page, slow)
    appointments, flow = AppointmentsPage(page), NewAppointmentPage(page)
    appointments.start_request()
    flow.choose()
    flow.expect_chosen("Sesión individual", "jueves, 4 de marzo de 2027, a las 10:00 a. m.")
    flow.send()
    flow.expect_step("Solicitud enviada")
    appointments.open()
    appointments.expect_card("Pendiente de confirmación", "10:00 a. m.")


@ON_SLOW_ONES
def test_an_offer_is_taken_on_a_slow_network(
    scenario: Load, as_client: SignIn, network: Network, slow: str
) -> None:
    scenario("ofertas-vigentes")
    client = AppointmentsPage(as_client())
    network(client.page, slow)
    client.open_card("Denegada: elija otro horario")
    client.expect_title("Su médico le ofrece estos horarios")
    client.take_first_offer()
    client.open()
    client.expect_card("Confirmada", "lunes, 8 de marzo")


# What is somewhere else than before, though nobody scrolled there.
WATCH_MOVES = """() => {
  const moves = [], watch = new PerformanceObserver(list => note(list.getEntries()))
  const name = ({node, previousRect, currentRect}) =>
    `${node?.nodeName} from ${previousRect.y} to ${currentRect.y}`
  const note = entries => moves.push(...entries.flatMap(entry => entry.sources.map(name)))
  watch.observe({type: "layout-shift"})
  window.moves = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => {
    note(watch.takeRecords())
    done(moves)
  })))
}"""


@ONLY_WITH_SCRIPTS
def test_nothing_moves_when_a_late_answer_comes(flow: NewAppointmentPage) -> None:
    flow.page.evaluate(WATCH_MOVES)
    flow.send()  # From the foot of one page to the top of a shorter one.
    flow.expect_step("Solicitud enviada")
    assert flow.page.evaluate("moves()") == []
