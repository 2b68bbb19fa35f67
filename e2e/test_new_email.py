"""A client changes the address: by the code, by the link, and after a long time away."""

from datetime import timedelta

import pytest

from e2e.pages.new_email import NewEmailPage
from e2e.pages.portal import PortalPage
from e2e.site import Site, text_of

pytestmark = pytest.mark.e2e
NEW, NEWER = "ana@example.org", "ana.ruiz@example.net"


def test_a_client_changes_the_address_twice(portal: PortalPage, site: Site, ana: str) -> None:
    changing = NewEmailPage(portal.page, site)
    portal.come_back(ana)
    site.pass_time(timedelta(days=3))
    changing.open()
    changing.enter_again(ana)
    changing.ask_for(NEW)
    changing.type_code(site.mailbox.code(NEW))
    changing.expect_changed(NEW)
    changing.open()
    changing.ask_for(NEWER)
    changing.open_link(site.mailbox.link(NEWER))
    changing.expect_changed(NEWER)
    site.work()
    for former in (ana, NEW):
        assert "llame hoy mismo" in text_of(site.mailbox.latest(former, "Cambió el correo"))
    portal.page.get_by_role("button", name="Salir", exact=True).click()
    portal.expect_title("Portal de clientes")
    portal.sign_in(NEWER)
    portal.expect_title("Citas")


def test_after_leaving_the_back_button_leads_to_the_door(
    portal: PortalPage, site: Site, ana: str
) -> None:
    """ASVS 14.3.1: no page is kept, so there is nothing to clear."""
    portal.come_back(ana)
    NewEmailPage(portal.page, site).open()
    portal.page.get_by_role("button", name="Salir", exact=True).click()
    portal.expect_title("Portal de clientes")
    portal.page.go_back()
    portal.expect_title("Iniciar sesión")
