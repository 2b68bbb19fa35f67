"""«Denegar la solicitud»: proposals to tick, controls to search otherwise, the mail to send."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Locator, Page, expect


class DenyPage:
    """What a clinician does on the page where a request is denied."""

    def __init__(self, page: Page, *, javascript: bool) -> None:
        self.page, self.javascript = page, javascript

    def open(self) -> None:
        self.page.get_by_role("link", name="Denegar").click()
        expect(self.page.get_by_role("heading", level=1)).to_have_text("Denegar la solicitud")

    def proposals(self) -> Locator:
        return self.page.get_by_role("group", name="Horarios para ofrecerle").get_by_role(
            "checkbox"
        )

    def days(self) -> Locator:
        return self.page.get_by_role("img")

    def ticked(self) -> list[str]:
        """The values of what is ticked."""
        boxes = self.proposals().all()
        return [str(box.get_attribute("value")) for box in boxes if box.is_checked()]

    def tick_only(self, number: int) -> None:
        """Leave only the proposal with this number (from 0) ticked."""
        for index, box in enumerate(self.proposals().all()):
            box.set_checked(index == number)

    def tap(self, words: str) -> None:
        """A count of the explanation: «En Consultorio Norte hay 3 horarios»."""
        self.page.get_by_role("button", name=words).click()
        expect(self.proposals().first).to_be_visible()

    def write_note(self, text: str) -> None:
        self.page.get_by_label("Nota para el cliente (opcional)").fill(text)

    def expect_note(self, text: str) -> None:
        expect(self.page.get_by_label("Nota para el cliente (opcional)")).to_have_value(text)

    def control(self, label: str) -> Locator:
        self._unfold()
        return self.page.get_by_label(label)

    def _unfold(self) -> None:
        if not self.page.get_by_label("Desde el día").is_visible():
            self.page.get_by_text("Ampliar o limitar la búsqueda").click()

    @contextmanager
    def _searching(self) -> Iterator[None]:
        """With scripts, a changed control searches by itself: wait until it has."""
        if not self.javascript:
            yield
            return
        with self.page.expect_response(re.compile("hacer=buscar")) as answer:
            yield
        assert "nota=" not in answer.value.url  # What is told to a client stands in no log.
        expect(self.page.get_by_text("Buscando…")).to_be_hidden()

    def widen(self, label: str) -> None:
        with self._searching():
            self.control(label).check()

    def narrow(self, label: str, value: str) -> None:
        with self._searching():
            self.control(label).fill(value)

    def expect_focus_on(self, label: str) -> None:
        """Where a script searches, whoever works with the keyboard goes on where they were."""
        if self.javascript:
            expect(self.control(label)).to_be_focused()

    def search(self) -> None:
        """Where no script does it as controls change, the button does."""
        if not self.javascript:
            self.page.get_by_role("button", name="Buscar de nuevo").click()
        expect(self.page.get_by_label("Desde el día")).to_be_visible()
        expect(self.page.get_by_text("Buscando…")).to_be_hidden()

    def send(self, words: str) -> None:
        self.page.get_by_role("button", name=words, exact=True).click()
        expect(self.page.get_by_role("heading", level=1)).to_have_text(re.compile("^Denegada"))

    def expect_nothing_wider_than_the_screen(self) -> None:
        root = "document.documentElement"
        assert self.page.evaluate(f"{root}.scrollWidth <= {root}.clientWidth")
