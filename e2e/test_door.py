"""Coming in, going out, and all that can be wrong with a mail; the language of the pages."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from e2e.fixtures import Clock, SignIn
from e2e.mail import Mailbox
from e2e.pages.appointments import AppointmentsPage
from e2e.pages.portal import PortalPage
from e2e.site import Scene, Site

pytestmark = pytest.mark.e2e

Load = Callable[[str], Scene]


def test_a_wrong_code_costs_an_attempt_and_the_right_one_still_enters(
    portal: PortalPage, site: Site, mailbox: Mailbox
) -> None:
    maria = site.scene.client.email
    portal.open()
    portal.choose_existing_client()
    portal.ask_for_mail(maria)
    code = mailbox.code(maria)
    portal.type_code("000000" if code != "000000" else "111111")
    portal.expect_wrong("Ese no es el código.")
    portal.expect_wrong("Intentos que le quedan: 4.")
    portal.type_code(f"{code[:3]} {code[3:]}")
    portal.expect_title("Citas")


def test_a_link_that_is_too_old_says_so_and_a_new_mail_enters(
    portal: PortalPage, site: Site, clock: Clock, mailbox: Mailbox
) -> None:
    maria = site.scene.client.email
    portal.open()
    portal.choose_existing_client()
    portal.ask_for_mail(maria)
    link = mailbox.latest(maria, "código").link
    clock.advance(timedelta(hours=1))
    portal.page.goto(link)
    portal.expect_title("Este enlace ya no sirve")
    portal.ask_for_another_mail(maria)
    portal.open_link(mailbox.latest(maria, "código").link)
    portal.expect_title("Citas")


@pytest.mark.long
def test_a_link_that_lost_its_end_says_so(portal: PortalPage) -> None:
    portal.page.goto("/entrar/medio-enlace")
    portal.expect_title("Este enlace ya no sirve")


def test_an_address_that_nobody_has_is_told_by_mail_alone(
    portal: PortalPage, mailbox: Mailbox
) -> None:
    portal.open()
    portal.choose_existing_client()
    portal.ask_for_mail("nadie@example.com")
    mail = mailbox.latest("nadie@example.com", "No hay una cuenta")
    portal.page.goto(mail.links[0])
    portal.expect_title("Nuevo cliente")


@pytest.mark.long
def test_a_mothers_first_visit_is_for_her_child(portal: PortalPage, mailbox: Mailbox) -> None:
    portal.open()
    portal.choose_new_client()
    portal.page.get_by_role("button", name="Registrarme").click()
    for words in (
        "Escriba su nombre y apellidos.",
        "Escriba su correo electrónico.",
        "Diga si la atención es para usted o para un menor a su cargo.",
        "Para registrarse, acepte el uso de sus datos.",
    ):
        portal.expect_wrong(words)
    portal.register(
        name="Sofía Núñez Ávila",
        email="sofia@example.com",
        phone="+52 55 1234 5678",
        child=("Tomás Núñez Ávila", "2019-05-20"),
    )
    portal.type_code(mailbox.code("sofia@example.com"))
    portal.expect_title("Citas")


def test_the_page_that_was_wanted_comes_after_signing_in(
    scenario: Load, portal: PortalPage, mailbox: Mailbox
) -> None:
    scene = scenario("confirmada")
    portal.page.goto(f"/citas/{scene.appointments[0]}")
    portal.expect_title("Iniciar sesión")
    portal.ask_for_mail(scene.client.email)
    portal.type_code(mailbox.code(scene.client.email))
    portal.expect_title("Su cita está confirmada")


def test_an_address_that_leads_nowhere(scenario: Load, as_client: SignIn) -> None:
    scenario("confirmada")
    portal = PortalPage(as_client())
    portal.page.goto("/citas/999999")
    portal.expect_title("Esta página no existe")
    portal.page.goto("/citas/999999/cancelar")
    portal.expect_title("Esta página no existe")


@pytest.mark.long
def test_whoever_leaves_everywhere_has_to_sign_in_on_every_device(as_client: SignIn) -> None:
    here, there = PortalPage(as_client()), PortalPage(as_client())
    here.page.get_by_role("link", name="Mis datos", exact=True).click()
    here.expect_title("Mis datos")
    expect(here.page.get_by_text("Es este dispositivo.")).to_be_visible()
    here.page.get_by_role("button", name="Salir de todos los dispositivos").click()
    here.expect_title("Portal de clientes")
    there.page.get_by_role("link", name="Solicitar cita").click()
    there.expect_title("Iniciar sesión")
    expect(there.page.get_by_text("Por seguridad, vuelva a entrar.")).to_be_visible()


def test_the_language_is_chosen_once_and_kept(
    scenario: Load, as_client: SignIn, new_page: Callable[[], Page], mailbox: Mailbox
) -> None:
    maria = scenario("confirmada").client
    portal = PortalPage(as_client())
    portal.speak("English")
    appointments = AppointmentsPage(portal.page)
    appointments.expect_title("Appointments")
    appointments.expect_card("Confirmed")
    portal.page.get_by_role("link", name="Request appointment").click()
    appointments.expect_title("Select your service")
    # On another device the portal begins in Spanish, and then knows her.
    other = PortalPage(new_page())
    other.sign_in(maria.email, mailbox)
    other.expect_title("Appointments")
    other.speak("Español")
    other.expect_title("Citas")
