"""The portal's door: signing in and registering."""

from playwright.sync_api import Page, expect

from e2e.mail import Mailbox


class PortalPage:
    """«Portal de clientes», in the guide's words."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def open(self) -> None:
        self.page.goto("/")
        self.expect_title("Portal de clientes")

    def expect_title(self, title: str) -> None:
        """The page that a reader sees: heading and window title agree."""
        expect(self.page.get_by_role("heading", level=1)).to_have_text(title)
        expect(self.page).to_have_title(f"{title} · Consultorio Alameda")

    def choose_existing_client(self) -> None:
        self.page.get_by_role("link", name="Cliente existente I’m an Existing Client").click()
        self.expect_title("Iniciar sesión")

    def choose_new_client(self) -> None:
        self.page.get_by_role("link", name="Nuevo cliente I’m a New Client").click()
        self.expect_title("Nuevo cliente")

    def ask_for_mail(self, email: str) -> None:
        self.page.get_by_label("Correo electrónico").fill(email)
        self.page.get_by_role("button", name="Enviarme el correo").click()
        self.expect_title("Revise su correo")

    def type_code(self, code: str) -> None:
        self.page.get_by_label("Código de 6 dígitos").fill(code)
        self.page.get_by_role("button", name="Iniciar sesión").click()

    def open_link(self, link: str) -> None:
        """What a person does with a mail: open its link, and press the button there."""
        self.page.goto(link)
        enter = self.page.get_by_role("button", name="Entrar al portal")
        if enter.is_visible():
            enter.click()

    def expect_wrong(self, words: str) -> None:
        expect(self.page.get_by_role("alert")).to_contain_text(words)

    def ask_for_another_mail(self, email: str) -> None:
        """From the page of a dead link."""
        self.page.get_by_label("Correo electrónico").fill(email)
        self.page.get_by_role("button", name="Enviarme otro correo").click()
        self.expect_title("Revise su correo")

    def sign_out(self) -> None:
        self.page.get_by_role("button", name="Salir", exact=True).click()
        self.expect_title("Portal de clientes")

    def speak(self, language: str) -> None:
        """«English», «Español»: at the foot of every page."""
        self.page.get_by_role("button", name=language).click()

    def sign_in(self, email: str, mailbox: Mailbox) -> None:
        """The guide's first step, whole: choose, ask for the mail, type its code."""
        self.open()
        self.choose_existing_client()
        self.ask_for_mail(email)
        self.type_code(mailbox.code(email))

    def register(
        self, *, name: str, email: str, phone: str, child: tuple[str, str] | None = None
    ) -> None:
        """For oneself, or for a child: name, and date of birth."""
        self.page.get_by_label("Nombre y apellidos", exact=True).fill(name)
        self.page.get_by_label("Correo electrónico").fill(email)
        self.page.get_by_label("Teléfono celular").fill(phone)
        if child is None:
            self.page.get_by_label("Para mí, o para mí y mi pareja").check()
        else:
            self.page.get_by_label("Para un menor a mi cargo").check()
            self.page.get_by_label("Nombre y apellidos del menor").fill(child[0])
            self.page.get_by_label("Fecha de nacimiento del menor").fill(child[1])
        self.page.get_by_label("Acepto que").check()
        self.page.get_by_role("button", name="Registrarme").click()
        self.expect_title("Revise su correo")
