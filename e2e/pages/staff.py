"""What a clinician does about requests."""

from playwright.sync_api import Page, expect

from e2e.pages.portal import PortalPage
from e2e.site import Site


class StaffPage:
    """«Solicitudes», on the clinician's own phone."""

    def __init__(self, page: Page, site: Site) -> None:
        self.page, self.site = page, site

    def sign_in(self, email: str) -> None:
        PortalPage(self.page, self.site).sign_in(email)
        expect(self.page.get_by_role("heading", level=1)).to_contain_text("Solicitudes")

    def open_first_request(self) -> None:
        self.page.goto("/solicitudes")
        self.page.get_by_role("main").locator("a[href*='/solicitudes/']").first.click()

    def accept(self) -> None:
        self.page.get_by_role("button", name="Aceptar").click()
        expect(self.page.get_by_text("Aceptada").first).to_be_visible()

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
