"""«Cambiar mi correo», in the words a client reads."""

from playwright.sync_api import Page, expect

from e2e.mail import Mailbox
from e2e.pages.portal import PortalPage


class NewEmailPage:
    """From «Mis datos» to a new address."""

    def __init__(self, page: Page) -> None:
        self.page, self.portal = page, PortalPage(page)

    def open(self) -> None:
        """By the links that a client taps."""
        self.page.get_by_role("link", name="Mis datos", exact=True).click()
        self.page.get_by_role("link", name="Cambiar mi correo").click()

    def enter_again(self, email: str, mailbox: Mailbox) -> None:
        """What is asked of whoever signed in a while ago: the address is filled in."""
        expect(self.page.get_by_text("entre otra vez con el que tiene ahora")).to_be_visible()
        expect(self.page.get_by_label("Correo electrónico")).to_have_value(email)
        self.page.get_by_role("button", name="Enviarme el correo").click()
        self.portal.expect_title("Revise su correo")
        self.portal.type_code(mailbox.code(email))

    def ask_for(self, email: str) -> None:
        self.portal.expect_title("Cambiar mi correo")
        self.page.get_by_label("Correo electrónico nuevo").fill(email)
        self.page.get_by_role("button", name="Enviarme el correo").click()
        self.portal.expect_title("Revise su correo nuevo")

    def type_code(self, code: str) -> None:
        self.page.get_by_label("Código de 6 dígitos").fill(code)
        self.page.get_by_role("button", name="Cambiar mi correo").click()

    def open_link(self, link: str) -> None:
        self.page.goto(link)
        self.portal.expect_title("Confirme su correo nuevo")
        self.page.get_by_role("button", name="Sí, usar este correo").click()

    def expect_changed(self, email: str) -> None:
        self.portal.expect_title("Mis datos")
        expect(self.page.get_by_role("status")).to_contain_text(f"desde ahora entra con {email}")
