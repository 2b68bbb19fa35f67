"""The guide «Cómo solicitar citas», retold step by step in its own words."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from e2e.fixtures import Clock, SignIn
from e2e.mail import Mailbox
from e2e.pages.appointments import AppointmentsPage
from e2e.pages.new_appointment import NewAppointmentPage
from e2e.pages.portal import PortalPage
from e2e.pages.staff import StaffPage
from e2e.site import Scene, Site

pytestmark = pytest.mark.e2e

UNDO = timedelta(seconds=31)  # So long a mail about a decision waits, and a second more.
ON_BOTH = pytest.mark.parametrize("screen", ["phone", "desktop"], indirect=True)


@pytest.fixture
def client(as_client: SignIn) -> Page:
    """The client's phone, on which she signed in before."""
    return as_client()


@pytest.fixture
def flow(client: Page) -> NewAppointmentPage:
    return NewAppointmentPage(client)


@pytest.fixture
def appointments(client: Page) -> AppointmentsPage:
    return AppointmentsPage(client)


@pytest.fixture
def clinician(as_clinician: SignIn) -> StaffPage:
    return StaffPage(as_clinician())


def ask(flow: NewAppointmentPage, appointments: AppointmentsPage) -> None:
    """Steps 2 to 7, from the list to «Solicitud enviada»."""
    appointments.open()
    appointments.start_request()
    flow.choose()
    flow.send()
    flow.expect_step("Solicitud enviada")


@pytest.mark.main
@ON_BOTH
def test_the_guide_from_its_first_line_to_its_last(
    portal: PortalPage, as_clinician: SignIn, site: Site, clock: Clock, mailbox: Mailbox
) -> None:
    page, maria, ines = portal.page, site.scene.client, site.scene.clinician
    appointments, flow = AppointmentsPage(page), NewAppointmentPage(page)
    # 1. Vaya al Portal de clientes de su médico y haga clic en Cliente existente.
    portal.open()
    portal.choose_existing_client()
    portal.ask_for_mail(maria.email)
    portal.type_code(mailbox.code(maria.email))
    # 2. Acceda a la pestaña Citas (puede estar ya seleccionada por defecto).
    appointments.expect_title("Citas")
    appointments.expect_tab_selected()
    appointments.start_request()
    # 3. Seleccione su servicio.
    flow.choose_service("Sesión individual")
    # 4. Elija la ubicación de su consultorio.
    flow.expect_chosen("Sesión individual")
    flow.choose_office("Consultorio Centro")
    flow.choose_clinician(ines.name)
    # 5. Haga clic en la fecha y hora que desee.
    flow.expect_chosen("Sesión individual", "Consultorio Centro", ines.name)
    flow.choose_moment("jueves, 4 de marzo", "10:00 a. m.")
    # 6. Seleccione para quién es la cita.
    flow.expect_chosen("jueves, 4 de marzo de 2027, a las 10:00 a. m.", "Consultorio Centro")
    flow.choose_person(maria.name)
    flow.send()
    # 7. Su solicitud de cita ha sido enviada a su médico; mapa y calendario.
    flow.expect_step("Solicitud enviada")
    expect(
        page.get_by_text("Su solicitud de cita ha sido enviada a su médico.", exact=True)
    ).to_be_visible()
    expect(page.get_by_text("su médico necesita aceptarla")).to_be_visible()
    expect(page.get_by_role("link", name="Ver mapa")).to_have_attribute(
        "href",
        "https://www.google.com/maps/search/?api=1&query=Calle+de+la+Palma+10%2C+Ciudad+de+M%C3%A9xico",
    )
    with page.expect_download() as download:
        page.get_by_role("link", name="Añadir al calendario").click()
    assert "Por confirmar" in download.value.path().read_text()
    appointments.open()
    appointments.expect_card("Pendiente de confirmación", "10:00 a. m.")
    # 8. Si su solicitud es aceptada, recibirá un correo electrónico confirmando la sesión.
    assert mailbox.to(ines.email, "Nueva solicitud")
    clinician = StaffPage(as_clinician())
    clinician.open_first_request()
    clinician.accept()
    clock.advance(UNDO)
    mail = mailbox.latest(maria.email, "Su cita está confirmada")
    assert "jueves, 4 de marzo de 2027" in mail.words
    assert list(mail.files) == ["cita.ics"]
    appointments.open()
    appointments.expect_card("Confirmada", "10:00 a. m.")
    # Ver y cancelar solicitudes.
    appointments.cancel_session("Confirmada")
    appointments.confirm_cancelling()
    appointments.expect_status("Cancelada")
    appointments.open()
    appointments.expect_card("Cancelada", "10:00 a. m.")
    assert mailbox.to(maria.email, "Su cita fue cancelada")
    assert mailbox.to(ines.email, "Una cita fue cancelada")


@pytest.mark.main
def test_a_denial_with_offers_is_confirmed_with_one_tap(
    flow: NewAppointmentPage,
    appointments: AppointmentsPage,
    clinician: StaffPage,
    site: Site,
    clock: Clock,
    mailbox: Mailbox,
) -> None:
    # 9. Si no puede verlo en ese momento, recibirá un enlace para reprogramar.
    ask(flow, appointments)
    clinician.open_first_request()
    clinician.deny(offering=3)
    clock.advance(UNDO)
    link = mailbox.link(site.scene.client.email, "Elija otro horario")
    appointments.open()
    appointments.expect_card("Denegada: elija otro horario")
    PortalPage(appointments.page).open_link(link)
    appointments.expect_title("Su médico le ofrece estos horarios")
    expect(appointments.offered()).to_have_count(3)
    words = appointments.take_first_offer()
    day = " ".join(words.removeprefix("Sí, confirmar el ").split()).split(", a la")[0]
    assert day in mailbox.latest(site.scene.client.email, "Su cita está confirmada").words
    appointments.open()
    appointments.expect_card("Confirmada")


def test_the_link_to_reschedule_works_in_a_browser_that_never_signed_in(
    scenario: Callable[[str], Scene], new_page: Callable[[], Page], mailbox: Mailbox
) -> None:
    scene = scenario("denegada")
    link = mailbox.link(scene.client.email, "Elija otro horario")
    mail_app = PortalPage(new_page())
    mail_app.open_link(link)
    opened = AppointmentsPage(mail_app.page)
    opened.expect_status("Denegada")
    mail_app.page.get_by_role("link", name="Reprogramar").click()
    again = NewAppointmentPage(mail_app.page)
    again.expect_step("Elija la fecha y hora que desee")
    again.expect_chosen("Sesión individual", "Consultorio Centro", scene.clinician.name)
    # The link is good once: elsewhere it says so, and how to go on.
    other = PortalPage(new_page())
    other.page.goto(link)
    other.expect_title("Este enlace ya no sirve")


def test_none_of_the_offers_suits(
    scenario: Callable[[str], Scene], as_client: SignIn, as_clinician: SignIn, mailbox: Mailbox
) -> None:
    scene = scenario("ofertas-vigentes")
    appointments = AppointmentsPage(as_client())
    appointments.open_card("Denegada: elija otro horario")
    appointments.decline_offers("Después de las 6 de la tarde.")
    appointments.expect_status("Denegada")
    assert mailbox.to(scene.clinician.email, "Ninguno de los horarios")
    clinician = as_clinician()
    clinician.goto(f"/solicitudes/{scene.appointments[0]}")
    expect(clinician.get_by_text("Después de las 6 de la tarde.")).to_be_visible()


def test_too_late_to_cancel_means_a_telephone_call(
    scenario: Callable[[str], Scene], as_client: SignIn
) -> None:
    scenario("fuera-de-plazo")
    appointments = AppointmentsPage(as_client())
    appointments.cancel_session("Confirmada")
    appointments.expect_to_be_told_to_call()
    appointments.keep()
    appointments.expect_status("Su cita está confirmada")


def test_a_reminder_comes_a_day_before(
    scenario: Callable[[str], Scene], clock: Clock, mailbox: Mailbox
) -> None:
    maria = scenario("confirmada").client
    clock.advance(timedelta(days=2))
    assert mailbox.to(maria.email, "Recordatorio de su cita") == []
    clock.advance(timedelta(hours=2))
    assert mailbox.to(maria.email, "Recordatorio de su cita")


def test_rescheduling_keeps_the_old_time_until_the_new_one_is_confirmed(
    scenario: Callable[[str], Scene], as_client: SignIn, as_clinician: SignIn, clock: Clock
) -> None:
    scenario("confirmada")
    appointments = AppointmentsPage(as_client())
    flow = NewAppointmentPage(appointments.page)
    # 10:00 → 10:30 with the same clinician overlaps with itself, and must work.
    appointments.reschedule("Confirmada")
    flow.choose_moment("jueves, 4 de marzo", "10:30 a. m.")
    flow.send()
    flow.expect_step("Solicitud enviada")
    appointments.open()
    appointments.expect_card("Confirmada", "10:00 a. m.")
    appointments.expect_card("Pendiente de confirmación", "10:30 a. m.")
    clinician = StaffPage(as_clinician())
    clinician.open_first_request()
    clinician.accept()
    clock.advance(UNDO)
    appointments.open()
    appointments.expect_card("Confirmada", "10:30 a. m.")
    expect(appointments.card("Confirmada", "10:00 a. m.")).to_have_count(0)
    appointments.open_card("Confirmada", "10:30 a. m.")
    expect(
        appointments.page.get_by_text("Antes: jueves, 4 de marzo, a las 10:00 a. m.")
    ).to_be_visible()


@pytest.mark.main
def test_a_slot_that_was_taken_meanwhile_costs_nothing_else(
    scenario: Callable[[str], Scene], as_client: SignIn
) -> None:
    maria, bruno = scenario("dos-clientes").clients
    page, other = as_client(maria.email), as_client(bruno.email)
    flow = NewAppointmentPage(page)
    AppointmentsPage(page).start_request()
    flow.choose()
    # Somebody else is faster.
    ask(NewAppointmentPage(other), AppointmentsPage(other))
    flow.send()
    flow.expect_step("Elija la fecha y hora que desee")
    expect(page.get_by_role("alert")).to_contain_text("Lo demás que eligió sigue aquí")
    flow.expect_chosen("Sesión individual", "Consultorio Centro", "Inés Peña Ordóñez")
    flow.expect_no_time("jueves, 4 de marzo", "10:00 a. m.")
    flow.choose_moment("jueves, 4 de marzo", "11:15 a. m.")
    flow.send()
    flow.expect_step("Solicitud enviada")


@pytest.mark.main
def test_a_new_client_whom_nobody_knows(portal: PortalPage, mailbox: Mailbox) -> None:
    portal.open()
    portal.choose_new_client()
    portal.register(name="Sofía Nuñez Ávila", email="sofia@example.com", phone="+52 55 1234 5678")
    portal.type_code(mailbox.code("sofia@example.com"))
    appointments, flow = AppointmentsPage(portal.page), NewAppointmentPage(portal.page)
    appointments.expect_title("Citas")
    appointments.start_request()
    flow.choose_service("Primera visita")  # Only for those who have never come.
    flow.expect_chosen("Primera visita")


def test_a_new_client_of_the_portal_whom_the_practice_knows(
    scenario: Callable[[str], Scene], portal: PortalPage, mailbox: Mailbox
) -> None:
    scenario("conocida-sin-cuenta")
    portal.open()
    portal.choose_new_client()
    portal.register(name="Rosa I.", email="rosa@example.com", phone="55 1234 5678")
    portal.open_link(mailbox.link("rosa@example.com"))
    appointments = AppointmentsPage(portal.page)
    appointments.expect_title("Citas")
    appointments.start_request()
    expect(appointments.page.get_by_role("link", name="Sesión individual")).to_be_visible()
    expect(appointments.page.get_by_role("link", name="Primera visita")).to_have_count(0)


def test_a_child_is_added_on_the_way(
    flow: NewAppointmentPage, appointments: AppointmentsPage
) -> None:
    appointments.start_request()
    flow.choose_service("Sesión infantil")
    flow.choose_moment("jueves, 4 de marzo", "9:00 a. m.")
    flow.add_child("Tomás Ruiz Vega", "2019-05-20")
    flow.choose_person("Tomás Ruiz Vega")
    flow.expect_chosen("jueves, 4 de marzo de 2027, a las 9:00 a. m.")
    flow.send()
    flow.expect_step("Solicitud enviada")
    flow.expect_chosen("Tomás Ruiz Vega")
