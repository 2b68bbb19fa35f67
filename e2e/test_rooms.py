"""Two sessions change rooms so that a third one fits: shown to the staff, unnoticed by clients."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from e2e.fixtures import Clock, SignIn
from e2e.mail import Mailbox
from e2e.pages.staff import StaffPage
from e2e.site import Scene

pytestmark = pytest.mark.e2e


def test_a_room_is_made_free_for_a_child_and_nobody_is_moved_in_time(
    scenario: Callable[[str], Scene],
    as_manager: SignIn,
    as_client: SignIn,
    clock: Clock,
    mailbox: Mailbox,
) -> None:
    mother, bruno, _ = scenario("cambio-de-sala").clients
    told = len(list(mailbox))
    staff = StaffPage(as_manager())
    child = "Ximena Itzel Zúñiga Núñez"
    staff.give_an_appointment(child, service="Sesión infantil", place="Consultorio Centro")
    staff.choose_other_time("2027-03-10", "10:00")
    title = staff.page.get_by_role("heading", level=1)
    expect(title).to_have_text("Confirmar la cita")
    moved = staff.page.get_by_text(
        "La sesión del miércoles, 10 de marzo, a las 9:30 a. m. pasa de Sala 2 a Sala 1."
    )
    expect(moved).to_be_visible()
    staff.page.get_by_role("button", name="Dar esta cita").click()
    expect(title).to_have_text(f"Cita de {child}")
    expect(moved).to_be_visible()
    clock.advance(timedelta(minutes=1))
    assert {mail.to for mail in list(mailbox)[told:]} == {mother.email}  # Bruno chose no room.
    his = as_client(bruno.email)
    his.get_by_role("article").get_by_role("heading").get_by_role("link").click()
    expect(his.get_by_text("9:30 a. m.").first).to_be_visible()
    expect(his.get_by_text("Sala")).to_have_count(0)
