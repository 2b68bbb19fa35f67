"""What a clinician does about requests."""

import re

from playwright.sync_api import Page, expect


class StaffPage:
    """«Solicitudes», on the clinician's own phone."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def open_first_request(self) -> None:
        self.page.goto("/solicitudes")
        self.page.get_by_role("main").locator("a[href*='/solicitudes/']").first.click()

    def accept(self) -> None:
        self.page.get_by_role("button", name="Aceptar").click()
        expect(self.page.get_by_text("Aceptada").first).to_be_visible()

    def expect_title(self, title: str) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_contain_text(title)

    def undo(self) -> None:
        self.page.get_by_role("button", name="Deshacer").click()

    def expect_alert(self, words: str) -> None:
        expect(self.page.get_by_role("alert")).to_contain_text(words)

    def open_session(self, appointment: int) -> None:
        """The page of an appointment in the agenda."""
        self.page.goto(f"/agenda/citas/{appointment}")
        self.expect_title("Cita de ")

    def deny(self, *, offering: int) -> None:
        """Deny with the best proposals ticked, as many as wanted."""
        self.page.get_by_role("link", name="Denegar").click()
        expect(self.page.get_by_role("heading", level=1)).to_have_text("Denegar la solicitud")
        boxes = self.page.get_by_role("checkbox", name="de marzo")
        for index in range(boxes.count()):
            boxes.nth(index).set_checked(index < offering)
        words = {
            0: "Denegar sin ofrecer horarios",
            1: "Denegar y ofrecer 1 horario",
        }.get(offering, f"Denegar y ofrecer {offering} horarios")
        update = self.page.get_by_role("button", name="Actualizar vista previa")
        if update.is_visible():  # Where no script keeps the preview up to date.
            update.click()
        self.page.get_by_role("button", name=words, exact=True).click()
        expect(self.page.get_by_text("Denegada").first).to_be_visible()

    def block_day(self, day: str) -> None:
        """Nobody can ask for any time of that day."""
        self.page.goto("/agenda/bloquear")
        self.page.get_by_label("Día", exact=True).fill(day)
        self.page.get_by_label("Todo el día").check()
        self.page.get_by_role("button", name="Bloquear horario").click()
        expect(self.page.get_by_role("heading", level=1)).not_to_have_text("Bloquear horario")

    def give_an_appointment(self, to: str, *, service: str, place: str) -> None:
        """For somebody who telephones, down to the question of when."""
        self.page.get_by_role("link", name="Clientes").click()
        self.page.get_by_label("Nombre, correo o teléfono").fill(to)
        self.page.get_by_role("button", name="Buscar").click()
        expect(self.page).to_have_url(re.compile(r"/clientes\?q="))  # Some are in sight before.
        self.page.get_by_role("link", name=to).click()
        self.page.get_by_role("link", name="Dar una cita").click()
        self.page.get_by_role("link", name=service).click()
        question = self.page.get_by_role("heading", level=1)
        expect(question).not_to_have_text("¿Qué servicio?")
        if question.inner_text() == "¿Dónde y con quién?":  # Passed where there is one choice.
            self.page.get_by_role("link", name=place).click()
        expect(question).to_have_text("¿A qué hora?")

    def choose_other_time(self, day: str, time: str) -> None:
        written = self.page.get_by_label("Día", exact=True)
        if not written.is_visible():
            self.page.get_by_text("Escribir otra hora").click()
        written.fill(day)
        self.page.get_by_label("Hora", exact=True).fill(time)
        self.page.get_by_role("button", name="Ver si se puede").click()
