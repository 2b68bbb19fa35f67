"""Somebody who does not wait for answers comes to where they tapped last."""

import threading
from collections.abc import Callable

import pytest
from flask import request
from playwright.sync_api import Page, expect

from e2e.pages.staff import StaffPage
from e2e.site import Site

pytestmark = pytest.mark.e2e


@pytest.fixture
def overtaken(site: Site) -> threading.Event:
    """Searches for clients are answered once this is set."""
    event = threading.Event()

    def hold() -> None:
        if request.path == "/clientes" and "q" in request.args:
            event.wait(30)

    site.app.before_request_funcs[None].append(hold)
    return event


@pytest.mark.parametrize("javascript", [True])  # Without it, browsers see to this themselves.
def test_a_slow_search_does_not_come_between(
    open_phone: Callable[[], Page], site: Site, ana: str, overtaken: threading.Event
) -> None:
    staff = StaffPage(open_phone(), site)
    staff.come_back("gestion@alameda.example")
    staff.page.goto("/clientes")
    for tapped in (
        staff.page.get_by_role("button", name="Buscar"),
        staff.page.get_by_role("link", name="Ana Ruiz Peña"),
    ):
        tapped.click(no_wait_after=True)
    overtaken.set()
    expect(staff.page.get_by_role("heading", level=1)).to_have_text("Ana Ruiz Peña")
    expect(staff.page.get_by_role("link", name="Dar una cita")).to_be_visible()
