"""«Ausencia imprevista» and the plan that it leads to, on a clinician's phone."""

import re

from playwright.sync_api import Locator, Page, expect


class ReplanPage:
    """What staff do when somebody cannot come."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def report_day(self, day: str) -> None:
        """From the agenda to the plan's page, with one form."""
        self.page.goto("/agenda")
        self.page.get_by_role("link", name="Ausencia imprevista").click()
        expect(self.page.get_by_role("heading", level=1)).to_have_text("Ausencia imprevista")
        self.page.get_by_label("Un día entero").check()
        self.page.get_by_label("Día", exact=True).fill(day)
        self.page.get_by_role("button", name="Bloquear y buscar otros horarios").click()
        expect(self.page.get_by_role("heading", level=1)).to_contain_text("Plan para")

    def expect_searching(self, *names: str) -> None:
        """The sessions hit are listed at once, while the search goes on."""
        expect(self.page.get_by_role("status")).to_be_visible()
        expect(self.page.get_by_role("button", name="Detener")).to_be_visible()
        for name in names:
            expect(self.page.get_by_text(name)).to_be_visible()

    def expect_ready(self) -> None:
        """The page turns into the plan by itself: with a script, or by refreshing."""
        expect(self.page.get_by_role("heading", name="Para aprobar")).to_be_visible()

    def session(self, name: str) -> Locator:
        return self.page.get_by_role("article").filter(has_text=name)

    def adjust(self, name: str, words: str) -> None:
        self.session(name).get_by_text("Ajustar").click()
        self.session(name).get_by_role("button", name=words).click()

    def search_again(self) -> None:
        self.page.get_by_role("button", name="Buscar de nuevo").click()
        expect(self.page.get_by_role("button", name="Detener")).to_be_visible()

    def expect_button(self, words: str) -> None:
        expect(self.page.get_by_role("button", name=words)).to_be_visible()

    def untick(self, name: str) -> None:
        self.page.get_by_role("checkbox", name=name).uncheck()

    def approve(self, words: str) -> None:
        self.page.get_by_role("button", name=words).click()

    def expect_told(self, words: str) -> None:
        expect(self.page.get_by_text(re.compile(words)).first).to_be_visible()
