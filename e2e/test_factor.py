"""A clinician's first day with the second factor, and the day on which the telephone is lost."""

from datetime import timedelta

import pyotp
import pytest
from playwright.sync_api import Page

from e2e.fixtures import Clock
from e2e.mail import Mailbox
from e2e.pages.portal import PortalPage
from e2e.pages.second_factor import SecondFactorPage
from e2e.site import Site

pytestmark = pytest.mark.e2e


def test_a_clinician_activates_uses_and_loses_the_telephone(
    page: Page, site: Site, clock: Clock, mailbox: Mailbox
) -> None:
    ines = site.scene.clinician.email
    portal = PortalPage(page)
    factor = SecondFactorPage(page)

    def code() -> str:
        clock.advance(timedelta(seconds=30))  # Each code is good once.
        return app.at(clock.now())

    portal.sign_in(ines, mailbox)
    portal.expect_title("Active la verificación en dos pasos")
    factor.expect_nothing_wider_than_the_screen()
    app = pyotp.TOTP(factor.key())
    factor.type_code("000000", "Activar")
    factor.expect_wrong("Intentos que le quedan: 4.")
    factor.type_code(code(), "Activar")
    portal.expect_title("Guarde sus códigos de recuperación")
    factor.expect_nothing_wider_than_the_screen()
    kept = factor.codes()
    factor.keep_codes()
    portal.expect_title("Solicitudes")
    portal.page.goto("/cuenta")
    portal.expect_title("Mis datos")
    factor.expect_nothing_wider_than_the_screen()
    factor.sign_out()

    portal.sign_in(ines, mailbox)
    portal.expect_title("Escriba el código de su aplicación")
    factor.type_code(code(), "Continuar")
    portal.expect_title("Solicitudes")
    factor.sign_out()

    portal.sign_in(ines, mailbox)
    factor.do_without_the_telephone(kept[7].lower())
    portal.expect_title("Solicitudes")
    factor.sign_out()

    portal.sign_in(ines, mailbox)
    factor.do_without_the_telephone(kept[7])
    factor.expect_wrong("o ya se usó")
