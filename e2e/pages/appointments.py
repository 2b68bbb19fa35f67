"""The «Citas» tab and the page of one appointment."""

import re

from playwright.sync_api import Locator, Page, expect


class AppointmentsPage:
    """What a client sees of their appointments, and does about them."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def open(self) -> None:
        self.page.goto("/citas")
        self.expect_title("Citas")

    def expect_title(self, title: str) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_have_text(title)

    def expect_tab_selected(self) -> None:
        """«Puede estar ya seleccionada por defecto»."""
        tab = self.page.get_by_role("link", name="Citas Appointments")
        expect(tab).to_have_attribute("aria-current", "page")

    def start_request(self, *, first_step: str = "Seleccione su servicio") -> None:
        self.page.get_by_role("link", name="Solicitar cita").click()
        self.expect_title(first_step)

    def card(self, status: str, when: str = "") -> Locator:
        """The card with a status in words and, when given, a date or time."""
        return (
            self.page.get_by_role("article")
            .filter(has=self.page.get_by_text(status, exact=True))
            .filter(has_text=when)
        )

    def expect_card(self, status: str, when: str = "") -> None:
        expect(self.card(status, when)).to_have_count(1)

    def expect_actions(self, status: str, *names: str) -> None:
        """What can be done from the card, in that order."""
        actions = self.card(status).get_by_role("paragraph").get_by_role("link")
        expect(actions).to_have_text(list(names))

    def open_past(self) -> None:
        self.page.get_by_role("link", name="Ver citas pasadas").click()
        self.expect_title("Citas pasadas")

    def open_card(self, status: str, when: str = "") -> None:
        self.card(status, when).get_by_role("heading").get_by_role("link").click()

    def cancel_session(self, status: str, when: str = "") -> None:
        """Down to the page that asks, or says whom to call."""
        self.card(status, when).get_by_role("link", name="Cancelar sesión Cancel Session").click()
        self.expect_title("Cancelar sesión Cancel Session")

    def confirm_cancelling(self) -> None:
        self.page.get_by_role("button", name="Sí, cancelar").click()

    def keep(self) -> None:
        self.page.get_by_role("link", name="No, conservar la cita").click()

    def reschedule(self, status: str, when: str = "") -> None:
        self.card(status, when).get_by_role("link", name="Reprogramar").click()

    def expect_to_be_told_to_call(self) -> None:
        expect(self.page.get_by_text("Llame a su consultorio para cancelar.")).to_be_visible()
        expect(self.page.get_by_role("link", name=re.compile("^Llamar al"))).to_have_attribute(
            "href", "tel:+525555550100"
        )

    def ask_again(self, words: str = "Reprogramar") -> None:
        """From the page of an appointment that came to nothing, to the times for another one."""
        self.page.get_by_role("link", name=words).click()
        self.expect_title("Elija la fecha y hora que desee")

    def expect_alert(self, words: str) -> None:
        expect(self.page.get_by_role("alert")).to_contain_text(words)

    def expect_status(self, status: str) -> None:
        expect(self.page.get_by_text(status, exact=True)).to_be_visible()

    def offered(self) -> Locator:
        return self.page.get_by_role("button", name=re.compile("^Sí, confirmar el"))

    def take_first_offer(self) -> str:
        """One tap; what the tapped button said."""
        first = self.offered().first
        words = first.inner_text()
        first.click()
        self.expect_title("Su cita está confirmada")
        return words

    def decline_offers(self, wish: str) -> None:
        self.page.get_by_role("link", name="Ninguno de estos horarios me sirve").click()
        self.page.get_by_label("Por la tarde").check()
        self.page.get_by_label("Algo más, si quiere").fill(wish)
        self.page.get_by_role("button", name="Sí, ninguno me sirve").click()

    def repeat_last(self) -> str:
        """«La misma que la última vez», at the first time that it offers; what the button said."""
        again = self.page.get_by_role("region", name="La misma que la última vez")
        first = again.get_by_role("button").first
        words = first.inner_text()
        first.click()
        return words
