"""The guide's flow «Solicitar una sesión»."""

from playwright.sync_api import Page, expect


class NewAppointmentPage:
    """Service, office, day and time, for whom, sent: the words a client reads."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def expect_step(self, title: str) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_have_text(title)

    def choose_service(self, name: str) -> None:
        self.page.get_by_role("link", name=name).click()

    def choose_office(self, name: str) -> None:
        self.expect_step("Elija la ubicación de su consultorio")
        self.page.get_by_role("link", name=name).click()

    def choose_clinician(self, name: str) -> None:
        self.expect_step("¿Con quién quiere la cita?")
        self.page.get_by_role("link", name=name).click()

    def choose_moment(self, day: str, time: str) -> None:
        """Click the date, then the time: «martes, 2 de marzo», «10:00 a. m.»."""
        self.expect_step("Elija la fecha y hora que desee")
        group = self.page.get_by_role("group").filter(
            has=self.page.get_by_role("heading", name=day)
        )
        if group.get_attribute("open") is None:
            group.get_by_role("heading", name=day).click()
        group.get_by_role("button", name=time, exact=True).click()

    def choose_first_free(self) -> str:
        """The time on top; what it says."""
        self.expect_step("Elija la fecha y hora que desee")
        first = self.page.get_by_role("paragraph").filter(has_text="Primer horario libre")
        words = first.get_by_role("button").inner_text()
        first.get_by_role("button").click()
        return words

    def expect_day(self, day: str, *, listed: bool = True) -> None:
        expect(self.page.get_by_role("heading", name=day)).to_have_count(int(listed))

    def expect_no_time(self, day: str, time: str) -> None:
        self.expect_step("Elija la fecha y hora que desee")
        group = self.page.get_by_role("group").filter(
            has=self.page.get_by_role("heading", name=day)
        )
        expect(
            group.get_by_role("button", name=time, exact=True, include_hidden=True)
        ).to_have_count(0)

    def expect_nothing_free(self) -> None:
        self.expect_step("Elija la fecha y hora que desee")
        expect(self.page.get_by_text("No quedan horarios libres aquí")).to_be_visible()

    def change_search(self, words: str) -> None:
        """Follow what an empty search suggests: «En Consultorio Norte hay 3 horarios»."""
        self.page.get_by_role("link", name=words).click()

    def choose_person(self, name: str) -> None:
        self.expect_step("¿Para quién es la cita?")
        self.page.get_by_label(name).check()

    def add_child(self, name: str, born: str) -> None:
        self.page.get_by_role("link", name="Añadir a un menor a mi cargo").click()
        self.page.get_by_label("Nombre y apellidos").fill(name)
        self.page.get_by_label("Fecha de nacimiento").fill(born)
        self.page.get_by_role("button", name="Añadir y seguir").click()

    def add_partner(self, name: str) -> None:
        self.page.get_by_role("link", name="Añadir a mi pareja").click()
        self.page.get_by_label("Nombre y apellidos de su pareja").fill(name)
        self.page.get_by_role("button", name="Añadir y seguir").click()

    def change(self, what: str) -> None:
        """Back to an earlier choice: «el lugar», «de profesional»."""
        self.page.get_by_role("link", name=f"Cambiar {what}").click()

    def choose(
        self,
        service: str = "Sesión individual",
        office: str = "Consultorio Centro",
        clinician: str | None = "Inés Peña Ordóñez",
        day: str = "jueves, 4 de marzo",
        time: str = "10:00 a. m.",
    ) -> None:
        """Everything up to the question for whom it is; no clinician where there is only one."""
        self.choose_service(service)
        self.choose_office(office)
        if clinician is not None:
            self.choose_clinician(clinician)
        self.choose_moment(day, time)
        self.expect_step("¿Para quién es la cita?")

    def expect_chosen(self, *words: str) -> None:
        """What was chosen stays in sight, each with a way to change it."""
        for text in words:
            expect(self.page.get_by_role("definition").filter(has_text=text).first).to_be_visible()

    def send(self) -> None:
        self.page.get_by_role("button", name="Enviar solicitud").click()
