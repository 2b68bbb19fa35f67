"""What the clinician answers, takes back, or comes too late for."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from e2e.fixtures import Clock, SignIn
from e2e.mail import Mailbox
from e2e.pages.appointments import AppointmentsPage
from e2e.pages.deny import DenyPage
from e2e.pages.staff import StaffPage
from e2e.site import Scene

pytestmark = pytest.mark.e2e

Load = Callable[[str], Scene]
UNDO = timedelta(seconds=31)


@pytest.fixture
def scene(scenario: Load) -> Scene:
    """Somebody waits for an answer."""
    return scenario("pendiente")


@pytest.fixture
def clinician(scene: Scene, as_clinician: SignIn) -> StaffPage:
    """The request, open on the clinician's phone."""
    found = StaffPage(as_clinician())
    found.open_first_request()
    return found


def test_an_acceptance_is_taken_back(
    clinician: StaffPage, scene: Scene, clock: Clock, mailbox: Mailbox
) -> None:
    clinician.accept()
    expect(clinician.page.get_by_text("No hay más solicitudes.")).to_be_visible()
    clinician.undo()
    clinician.expect_title("Solicitud de ")
    clock.advance(UNDO)
    assert mailbox.to(scene.client.email, "Su cita está confirmada") == []


@pytest.mark.long
def test_what_a_mail_has_told_is_not_taken_back(clinician: StaffPage, clock: Clock) -> None:
    clinician.accept()
    clock.advance(UNDO)
    clinician.undo()
    clinician.expect_alert("Ya no se puede deshacer")
    clinician.expect_title("Aceptada para el ")


def test_a_denial_with_one_time(clinician: StaffPage, as_client: SignIn) -> None:
    clinician.deny(offering=1)
    client = AppointmentsPage(as_client())
    client.open_card("Denegada: elija otro horario")
    client.expect_title("Su médico le ofrece este horario")
    client.page.get_by_role("link", name="Este horario no me sirve").click()
    client.expect_title("Este horario no me sirve")
    client.page.get_by_role("link", name="No, volver a los horarios").click()
    client.take_first_offer()


def test_a_denial_without_any(clinician: StaffPage, as_client: SignIn) -> None:
    clinician.deny(offering=0)
    client = AppointmentsPage(as_client())
    client.expect_actions("Denegada", "Reprogramar")
    client.open_card("Denegada")
    expect(client.page.get_by_text("Su médico no puede a esa hora.")).to_be_visible()


@pytest.mark.long
def test_other_times_are_offered_when_none_suited(
    scenario: Load, as_client: SignIn, as_clinician: SignIn, javascript: bool
) -> None:
    (request,) = scenario("ofertas-vigentes").appointments
    client = AppointmentsPage(as_client())
    client.open_card("Denegada: elija otro horario")
    client.decline_offers("Los lunes no puedo.")
    clinician = StaffPage(as_clinician())
    clinician.page.goto(f"/solicitudes/{request}")
    expect(clinician.page.get_by_text("Los lunes no puedo.")).to_be_visible()
    clinician.page.get_by_role("link", name="Ofrecer otros horarios").click()
    again = DenyPage(clinician.page, javascript=javascript)
    expect(again.proposals().first).to_be_visible()
    clinician.page.get_by_role("button", name="Ofrecer 3 horarios").click()
    clinician.expect_title("Denegada, con 3 horarios ofrecidos")
    client.open()
    client.open_card("Denegada: elija otro horario")
    expect(client.offered()).to_have_count(3)


@pytest.mark.long
def test_a_request_that_somebody_else_answered_meanwhile(
    clinician: StaffPage, as_manager: SignIn
) -> None:
    other = StaffPage(as_manager())
    other.open_first_request()
    other.accept()
    clinician.page.get_by_role("button", name="Aceptar").click()
    clinician.expect_alert("La solicitud ya fue aceptada.")


def test_a_request_that_its_client_withdrew_meanwhile(
    clinician: StaffPage, as_client: SignIn
) -> None:
    client = AppointmentsPage(as_client())
    client.cancel_session("Pendiente de confirmación")
    client.confirm_cancelling()
    client.expect_status("Cancelada")
    clinician.page.get_by_role("button", name="Aceptar").click()
    clinician.expect_alert("El cliente retiró la solicitud.")


@pytest.mark.long
def test_a_time_that_was_blocked_meanwhile_leads_to_others(
    clinician: StaffPage, as_manager: SignIn, as_client: SignIn
) -> None:
    manager = StaffPage(as_manager())
    manager.block_day("2027-03-05")
    clinician.page.get_by_role("button", name="Aceptar").click()
    clinician.expect_title("Denegar la solicitud")
    clinician.expect_alert("Ya no se puede aceptar.")
    clinician.page.get_by_role("button", name="Denegar y ofrecer 3 horarios").click()
    clinician.expect_title("Denegada, con 3 horarios ofrecidos")
    client = AppointmentsPage(as_client())
    client.open_card("Denegada: elija otro horario")
    expect(client.offered()).to_have_count(3)


@pytest.mark.long
def test_one_request_after_the_other(scenario: Load, as_clinician: SignIn) -> None:
    scenario("bandeja-llena")
    clinician = StaffPage(as_clinician())
    clinician.expect_title("Solicitudes (12)")
    clinician.open_first_request()
    clinician.accept()
    clinician.page.get_by_role("link", name="Siguiente solicitud").click()
    clinician.expect_title("Solicitud de ")
    clinician.deny(offering=0)
    clinician.page.goto("/solicitudes")
    clinician.expect_title("Solicitudes (10)")


@pytest.mark.long
def test_a_session_is_moved_by_telephone(
    scenario: Load, as_clinician: SignIn, as_client: SignIn, mailbox: Mailbox
) -> None:
    scene = scenario("confirmada")
    clinician = StaffPage(as_clinician())
    clinician.open_session(scene.appointments[0])
    clinician.page.get_by_role("link", name="Cambiar de horario").click()
    clinician.choose_other_time("2027-03-05", "11:00")
    clinician.expect_title("Cambiar la cita")
    clinician.page.get_by_role("button", name="Cambiar la cita a esta hora").click()
    clinician.expect_title("Cita de ")
    assert mailbox.to(scene.client.email, "Su cita tiene otro horario")
    AppointmentsPage(as_client()).expect_card("Confirmada", "11:00 a. m.")


@pytest.mark.long
def test_a_session_is_kept_in_its_room_and_noted_as_held(
    scenario: Load, as_clinician: SignIn, clock: Clock
) -> None:
    (session,) = scenario("confirmada").appointments
    clinician = StaffPage(as_clinician())
    clinician.open_session(session)
    clinician.page.get_by_role("button", name="Fijar la sala").click()
    expect(clinician.page.get_by_text("Sala fija: la sesión se queda en Sala")).to_be_visible()
    clock.advance(timedelta(days=3, hours=2))
    clinician = StaffPage(as_clinician())
    clinician.open_session(session)
    clinician.page.get_by_role("button", name="Marcar como realizada").click()
    expect(clinician.page.get_by_text("Realizada").first).to_be_visible()


@pytest.mark.long
def test_the_phone_of_a_stranger_shows_nothing_of_it(
    scene: Scene, page: Page, as_client: SignIn
) -> None:
    (request,) = scene.appointments
    page.goto(f"/solicitudes/{request}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Iniciar sesión")
    client = as_client()
    client.goto(f"/solicitudes/{request}")
    expect(client.get_by_role("heading", level=1)).to_have_text("Esta página no existe")
