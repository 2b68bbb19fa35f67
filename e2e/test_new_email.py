"""A client changes the address: by the code, by the link, and after a long time away."""

from datetime import timedelta

import pytest
from playwright.sync_api import Page

from e2e.fixtures import Clock, SignIn
from e2e.mail import Mailbox
from e2e.pages.new_email import NewEmailPage
from e2e.pages.portal import PortalPage
from e2e.site import Site

pytestmark = pytest.mark.e2e
NEW, NEWER = "maria@example.org", "maria.nunez@example.net"


@pytest.fixture
def client(as_client: SignIn) -> Page:
    """The client's phone, on which she signed in before."""
    return as_client()


def test_a_client_changes_the_address_twice(
    client: Page, site: Site, clock: Clock, mailbox: Mailbox
) -> None:
    maria, portal, changing = site.scene.client.email, PortalPage(client), NewEmailPage(client)
    clock.advance(timedelta(days=3))
    changing.open()
    changing.enter_again(maria, mailbox)
    changing.ask_for(NEW)
    changing.type_code(mailbox.code(NEW))
    changing.expect_changed(NEW)
    changing.open()
    changing.ask_for(NEWER)
    changing.open_link(mailbox.link(NEWER))
    changing.expect_changed(NEWER)
    for former in (maria, NEW):
        assert "llame hoy mismo" in mailbox.latest(former, "Cambió el correo").words
    portal.page.get_by_role("button", name="Salir", exact=True).click()
    portal.expect_title("Portal de clientes")
    portal.sign_in(NEWER, mailbox)
    portal.expect_title("Citas")


def test_after_leaving_the_back_button_leads_to_the_door(client: Page) -> None:
    """ASVS 14.3.1: no page is kept, so there is nothing to clear."""
    portal = PortalPage(client)
    NewEmailPage(client).open()
    client.get_by_role("button", name="Salir", exact=True).click()
    portal.expect_title("Portal de clientes")
    client.go_back()
    portal.expect_title("Iniciar sesión")
