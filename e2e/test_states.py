"""Every state of an appointment: what its client reads, can do about it, and what that leads to."""

from collections.abc import Callable, Iterable
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from e2e.fixtures import Clock, SignIn
from e2e.mail import Mailbox
from e2e.pages.appointments import AppointmentsPage
from e2e.pages.new_appointment import NewAppointmentPage
from e2e.pages.portal import PortalPage
from e2e.pages.staff import StaffPage
from e2e.site import Scene

pytestmark = pytest.mark.e2e

Load = Callable[[str], Scene]
CANCEL = "Cancelar sesión Cancel Session"
CARDS = {
    "pendiente": ("Pendiente de confirmación", CANCEL),
    "ofertas-vigentes": ("Denegada: elija otro horario", "Elegir otro horario", CANCEL),
    "confirmada": ("Confirmada", "Reprogramar", CANCEL),
    "denegada": ("Denegada", "Reprogramar"),
    "cancelada": ("Cancelada", "Reprogramar"),
}


@pytest.mark.parametrize("name", CARDS)
def test_a_card_says_how_it_stands_and_what_can_be_done(
    name: str, scenario: Load, as_client: SignIn
) -> None:
    scenario(name)
    AppointmentsPage(as_client()).expect_actions(*CARDS[name])


def test_a_request_is_withdrawn(scenario: Load, as_client: SignIn, mailbox: Mailbox) -> None:
    clinician = scenario("pendiente").clinician
    appointments = AppointmentsPage(as_client())
    appointments.cancel_session("Pendiente de confirmación")
    expect(appointments.page.get_by_text("La solicitud se retirará ahora")).to_be_visible()
    appointments.confirm_cancelling()
    appointments.expect_status("Cancelada")
    assert mailbox.to(clinician.email, "Una cita fue cancelada")


def test_offers_are_cancelled(scenario: Load, as_client: SignIn) -> None:
    scenario("ofertas-vigentes")
    appointments = AppointmentsPage(as_client())
    appointments.cancel_session("Denegada: elija otro horario")
    appointments.confirm_cancelling()
    appointments.expect_status("Cancelada")
    expect(appointments.offered()).to_have_count(0)


def test_whom_no_offer_suits_may_ask_for_another_time(scenario: Load, as_client: SignIn) -> None:
    scenario("ofertas-vigentes")
    appointments = AppointmentsPage(as_client())
    appointments.open_card("Denegada: elija otro horario")
    appointments.ask_again("Solicitar otro horario")
    flow = NewAppointmentPage(appointments.page)
    flow.expect_chosen("Sesión individual", "Consultorio Centro", "Inés Peña Ordóñez")
    flow.choose_moment("jueves, 11 de marzo", "10:00 a. m.")
    flow.send()
    flow.expect_step("Solicitud enviada")


def test_offers_that_were_not_taken_in_time_are_gone(
    scenario: Load, as_client: SignIn, clock: Clock
) -> None:
    scenario("ofertas-por-vencer")
    appointments = AppointmentsPage(as_client())
    appointments.open_card("Denegada: elija otro horario")
    appointments.expect_title("Su médico le ofrece estos horarios")
    clock.advance(timedelta(hours=1))
    appointments.offered().first.click()
    appointments.expect_alert("Ese horario ya no está disponible")
    appointments.expect_status("Denegada")
    appointments.ask_again()


def test_a_request_that_nobody_answered_is_made_again(
    scenario: Load, as_client: SignIn, clock: Clock
) -> None:
    scenario("pendiente")
    appointments = AppointmentsPage(as_client())
    clock.advance(timedelta(hours=73))
    appointments.open()
    appointments.expect_actions("Sin respuesta a tiempo", "Reprogramar")
    appointments.open_card("Sin respuesta a tiempo")
    expect(appointments.page.get_by_text("nadie respondió a tiempo")).to_be_visible()
    appointments.ask_again()
    NewAppointmentPage(appointments.page).expect_chosen("Sesión individual", "Consultorio Centro")


def test_whoever_cancels_a_session_withdraws_the_wish_to_move_it(
    scenario: Load, as_client: SignIn
) -> None:
    scenario("reprogramacion-pendiente")
    appointments = AppointmentsPage(as_client())
    appointments.expect_actions("Confirmada", CANCEL)  # Not a second wish to move it.
    appointments.expect_actions("Pendiente de confirmación", CANCEL)
    appointments.open_card("Confirmada")
    expect(appointments.page.get_by_text("Usted pidió cambiarla al viernes")).to_be_visible()
    appointments.open()
    appointments.cancel_session("Confirmada")
    expect(appointments.page.get_by_text("También se retirará su solicitud")).to_be_visible()
    appointments.confirm_cancelling()
    appointments.expect_status("Cancelada")
    appointments.open()
    expect(appointments.card("Cancelada")).to_have_count(2)


def test_a_denied_move_leaves_the_session_where_it_was(
    scenario: Load, as_client: SignIn, as_clinician: SignIn, clock: Clock, mailbox: Mailbox
) -> None:
    maria = scenario("reprogramacion-pendiente").client
    clinician = StaffPage(as_clinician())
    clinician.open_first_request()
    expect(clinician.page.get_by_text("El cliente quiere cambiar su cita")).to_be_visible()
    clinician.deny(offering=0)
    clock.advance(timedelta(seconds=31))
    assert "sigue en pie" in mailbox.latest(maria.email, "Elija otro horario").words
    appointments = AppointmentsPage(as_client())
    appointments.expect_actions("Confirmada", "Reprogramar", CANCEL)
    appointments.open_card("Denegada")
    expect(appointments.page.get_by_text("Su cita anterior sigue en pie.")).to_be_visible()


def test_a_moved_session_says_where_it_went(
    scenario: Load, as_client: SignIn, as_clinician: SignIn
) -> None:
    old, _ = scenario("reprogramacion-pendiente").appointments
    clinician = StaffPage(as_clinician())
    clinician.open_first_request()
    clinician.accept()
    appointments = AppointmentsPage(as_client())
    appointments.page.goto(f"/citas/{old}")
    appointments.expect_status("Reprogramada")
    expect(appointments.page.get_by_text("Esta cita pasó a otro horario.")).to_be_visible()


def test_a_session_that_was_is_asked_for_again(scenario: Load, as_client: SignIn) -> None:
    scenario("realizada")
    appointments = AppointmentsPage(as_client())
    appointments.open_past()
    appointments.open_card("Realizada")
    appointments.ask_again("Solicitar otra cita igual")
    # Her own clinician is chosen already, and can be changed.
    flow = NewAppointmentPage(appointments.page)
    flow.expect_chosen("Sesión individual", "Consultorio Centro", "Inés Peña Ordóñez")
    flow.change("de profesional")
    flow.choose_clinician("Óscar Núñez Villaseñor")
    flow.expect_chosen("Óscar Núñez Villaseñor")


def test_whether_somebody_came_is_the_practices_business(
    scenario: Load, as_client: SignIn, as_clinician: SignIn, clock: Clock
) -> None:
    (session,) = scenario("confirmada").appointments
    clock.advance(timedelta(days=3, hours=2))
    clinician = StaffPage(as_clinician())
    clinician.open_session(session)
    clinician.page.get_by_role("button", name="Marcar que no asistió").click()
    expect(clinician.page.get_by_text("No asistió").first).to_be_visible()
    appointments = AppointmentsPage(as_client())
    appointments.open_past()
    appointments.open_card("Terminada")
    expect(appointments.page.get_by_text("No asistió")).to_have_count(0)


def test_a_session_that_the_practice_cancels(
    scenario: Load, as_client: SignIn, as_clinician: SignIn, mailbox: Mailbox
) -> None:
    scene = scenario("confirmada")
    clinician = StaffPage(as_clinician())
    clinician.open_session(scene.appointments[0])
    clinician.page.get_by_role("link", name="Cancelar", exact=True).click()
    clinician.expect_title("Cancelar en nombre del cliente")
    clinician.page.get_by_role("button", name="Sí, cancelar").click()
    expect(clinician.page.get_by_text("Cancelada por el consultorio").first).to_be_visible()
    mail = mailbox.latest(scene.client.email, "Su cita fue cancelada")
    assert "El consultorio canceló esta cita." in mail.words
    AppointmentsPage(as_client()).expect_actions("Cancelada", "Reprogramar")


def test_too_late_to_reschedule_means_a_telephone_call(scenario: Load, as_client: SignIn) -> None:
    scenario("fuera-de-plazo")
    appointments = AppointmentsPage(as_client())
    appointments.reschedule("Confirmada")
    appointments.expect_title("Reprogramar")
    expect(
        appointments.page.get_by_text("Llame a su consultorio para reprogramar.")
    ).to_be_visible()


def test_a_practice_that_cancels_nothing_online_is_called(
    scenario: Load, as_client: SignIn
) -> None:
    scenario("solo-por-telefono")
    appointments = AppointmentsPage(as_client())
    appointments.cancel_session("Confirmada")
    expect(
        appointments.page.get_by_text("Este consultorio no cancela citas por el portal.")
    ).to_be_visible()
    appointments.expect_to_be_told_to_call()
    appointments.keep()
    appointments.expect_status("Su cita está confirmada")
    appointments.open()
    appointments.reschedule("Confirmada")
    expect(
        appointments.page.get_by_text("Llame a su consultorio para reprogramar.")
    ).to_be_visible()


def by_night(names: Iterable[str], *, but: int) -> list[object]:
    """All names, those after the first few in the long run alone."""
    long = pytest.mark.long
    return [
        name if number < but else pytest.param(name, marks=long)
        for number, name in enumerate(names)
    ]


# Each message's link, followed by whoever got it: scenario, hours later, subject, what it shows.
LETTERS = {
    "received": ("pendiente", 0, "Recibimos su solicitud", "Pendiente de confirmación"),
    "expired": ("pendiente", 73, "No pudimos responder a tiempo", "Sin respuesta a tiempo"),
    "accepted": ("confirmada", 0, "Su cita está confirmada", "Confirmada"),
    "reminder": ("confirmada", 50, "Recordatorio de su cita", "Confirmada"),
    "offers": ("ofertas-vigentes", 0, "Elija otro horario", "Denegada: elija otro horario"),
    "offers again": (
        "ofertas-vigentes", 25, "Todavía puede elegir otro horario", "Denegada: elija otro horario"
    ),
    "offers lapsed": ("ofertas-vigentes", 49, "quedaron libres", "Denegada"),
    "cancelled": ("cancelada", 0, "Su cita fue cancelada", "Cancelada"),
}  # fmt: skip


@pytest.mark.parametrize("letter", by_night(LETTERS, but=3))
def test_a_mails_link_shows_its_client_how_it_stands(
    letter: str, scenario: Load, portal: PortalPage, clock: Clock, mailbox: Mailbox
) -> None:
    name, hours, subject, status = LETTERS[letter]
    maria = scenario(name).client
    clock.advance(timedelta(hours=hours))
    portal.open_link(mailbox.link(maria.email, subject))
    AppointmentsPage(portal.page).expect_status(status)


STAFF_LETTERS = {
    "received": ("pendiente", 0, "Nueva solicitud", "Solicitud de "),
    "waiting": ("pendiente", 37, "espera su respuesta", "Solicitud de "),
    "expired": ("pendiente", 73, "quedó sin respuesta", "Sin respuesta a tiempo"),
    "lapsed": ("ofertas-vigentes", 49, "Ninguno de los horarios", "El cliente no eligió a tiempo"),
    "cancelled": ("cancelada", 0, "Una cita fue cancelada", "Cancelada por el cliente"),
}


@pytest.mark.parametrize("letter", by_night(STAFF_LETTERS, but=1))
def test_a_mails_link_shows_the_clinician_what_it_is_about(
    letter: str, scenario: Load, as_clinician: SignIn, clock: Clock, mailbox: Mailbox
) -> None:
    name, hours, subject, title = STAFF_LETTERS[letter]
    ines = scenario(name).clinician
    clock.advance(timedelta(hours=hours))
    clinician = StaffPage(as_clinician())
    clinician.page.goto(mailbox.latest(ines.email, subject).links[0])
    clinician.expect_title(title)
