"""«Verificación en dos pasos», on the telephone of somebody who attends."""

from playwright.sync_api import Page, expect


class SecondFactorPage:
    """What stands between the mail's code and the portal."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def key(self) -> str:
        """The key that is typed where no camera can read the picture."""
        expect(self.page.get_by_alt_text("Código QR")).to_be_visible()
        return self.page.locator("code").inner_text().replace(" ", "")

    def type_code(self, code: str, button: str) -> None:
        self.page.get_by_label("Código de 6 dígitos").fill(code)
        self.page.get_by_role("button", name=button, exact=True).click()

    def codes(self) -> list[str]:
        """The ten codes for paper."""
        expect(self.page.locator("code")).to_have_count(10)
        return self.page.locator("code").all_inner_texts()

    def keep_codes(self) -> None:
        self.page.get_by_role("button", name="Ya los guardé").click()

    def do_without_the_telephone(self, code: str) -> None:
        self.page.get_by_role("link", name="No tengo mi teléfono").click()
        self.page.get_by_label("Código de recuperación").fill(code)
        self.page.get_by_role("button", name="Continuar").click()

    def expect_wrong(self, words: str) -> None:
        expect(self.page.get_by_role("alert")).to_contain_text(words)

    def expect_nothing_wider_than_the_screen(self) -> None:
        wide = self.page.evaluate(
            "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        )
        assert not wide

    def sign_out(self) -> None:
        self.page.get_by_role("button", name="Salir", exact=True).click()
        expect(self.page.get_by_role("heading", level=1)).to_have_text("Portal de clientes")
