"""Two sessions change rooms so that a third one fits: shown to the staff, unnoticed by clients."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from booking.models import Account, Appointment
from booking.operations import cancel
from e2e.conftest import make_client
from e2e.pages.portal import PortalPage
from e2e.pages.staff import StaffPage
from e2e.site import NOW, Site
from tests.builders import at, request
from tests.conftest import add_minor

pytestmark = pytest.mark.e2e


@pytest.fixture
def oscars(site: Site) -> Appointment:
    """Bruno's session with Óscar, in the room with toys, since the other was taken at first."""
    bruno, carla = (
        Account.get(Account.email == make_client(name, email))
        for name, email in (
            ("Bruno Díaz", "bruno@example.com"),
            ("Carla Soto", "carla@example.com"),
        )
    )
    first = request(carla, at(10, 9))
    asked = request(bruno, at(10, 9, 30), clinician="oscar")
    cancel(first.id, account=carla, now=NOW)
    site.work()
    return asked


def test_a_room_is_made_free_for_a_child_and_nobody_is_moved_in_time(
    oscars: Appointment, open_phone: Callable[[], Page], site: Site, ana: str
) -> None:
    staff = StaffPage(open_phone(), site)
    staff.come_back("gestion@alameda.example")
    add_minor(Account.get(Account.email == ana), "Luz Ruiz Peña")
    told = len(site.mailbox.messages)
    staff.give_an_appointment(
        "Luz Ruiz Peña", service="Sesión infantil", place="Consultorio Centro"
    )
    staff.choose_other_time("2027-03-10", "10:00")
    title = staff.page.get_by_role("heading", level=1)
    expect(title).to_have_text("Confirmar la cita")
    moved = staff.page.get_by_text(
        "La sesión del miércoles, 10 de marzo, a las 9:30 a. m. pasa de Sala 2 a Sala 1."
    )
    expect(moved).to_be_visible()
    staff.page.get_by_role("button", name="Dar esta cita").click()
    expect(title).to_have_text("Cita de Luz Ruiz Peña")
    expect(moved).to_be_visible()
    site.pass_time(timedelta(minutes=1))
    assert {m["To"] for m in site.mailbox.messages[told:]} == {ana}  # Bruno chose no room.
    his = PortalPage(open_phone(), site)
    his.come_back("bruno@example.com")
    his.page.goto(f"/citas/{oscars.id}")
    expect(his.page.get_by_text("9:30 a. m.").first).to_be_visible()
    expect(his.page.get_by_text("Sala")).to_have_count(0)
