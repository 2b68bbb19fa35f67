"""«Qué se ofrece»: a day of the agenda, time by time."""

import re

from playwright.sync_api import Page, expect


class TimesPage:
    """Which times clients are offered, and why one is not."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def open_from_week(self, day: str) -> None:
        """From the agenda: the link under a day, «viernes, 5 de marzo»."""
        self.page.goto("/agenda")
        self.page.get_by_role("link", name=f"Qué se ofrece el {day}").click()
        self.expect_day(day)

    def expect_day(self, day: str) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_have_text(f"Qué se ofrece el {day}")

    def choose_service(self, name: str) -> None:
        self.page.get_by_label("Servicio").select_option(label=name)
        self.page.get_by_role("button", name="Ver", exact=True).click()

    def tap(self, time: str) -> None:
        self.page.get_by_role("link", name=re.compile(f"^{re.escape(time)} ")).click()
        expect(self.page.get_by_role("status").get_by_role("heading")).to_have_text(time)

    def expect_offered(self, time: str, *, offered: bool) -> None:
        words = "✓ se ofrece" if offered else "no se ofrece"
        expect(self.page.get_by_role("link", name=f"{time} {words}", exact=True)).to_be_visible()

    def expect_told(self, *words: str) -> None:
        for text in words:
            expect(self.page.get_by_role("status")).to_contain_text(text)
