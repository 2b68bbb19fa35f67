"""A phone without a network: what it says, what it may remember, and what it forgets."""

import pytest
from playwright.sync_api import Page, expect

from e2e.pages.appointments import AppointmentsPage
from e2e.site import Site

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parametrize("javascript", [True], indirect=True),  # A worker is a script.
]

KEEP = "Guardar en este dispositivo la fecha y el lugar de mis citas"
REGISTERED = "navigator.serviceWorker.getRegistrations().then(all => all.length)"
READY = "navigator.serviceWorker.ready.then(() => true)"


@pytest.fixture
def kept(scenario, as_client) -> Page:
    """A client’s phone with a session that it may remember."""
    scenario("confirmada")
    page = as_client()
    open_with_worker(page)
    page.get_by_label(KEEP).check()
    expect(page.get_by_label(KEEP)).to_be_enabled()
    return page


def open_with_worker(page: Page) -> None:
    """«Citas», once the worker is there: a page that began to load before is not under it."""
    page.goto("/citas")
    page.wait_for_function(READY)
    page.goto("/citas")


def without_network(page: Page, path: str = "/citas") -> None:
    page.context.set_offline(True)
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_have_text("No hay conexión")


def test_the_worker_comes_with_the_second_page_and_not_with_the_first(
    site: Site, scenario, new_context, javascript: bool
) -> None:
    """With the browser's own clock: on a set one, pages do not know what they brought along."""
    scenario("confirmada")
    context = new_context(java_script_enabled=javascript)
    site.sign_in(context, site.scene.client.email)
    page = context.new_page()
    page.goto(f"{site.url}/citas", wait_until="networkidle")
    assert page.evaluate(REGISTERED) == 0
    page.reload()
    page.wait_for_function(READY)


def test_whoever_asks_to_keep_something_has_it_without_a_network_at_once(
    scenario, as_client
) -> None:
    scenario("confirmada")
    page = as_client()
    page.get_by_label(KEEP).check()
    page.wait_for_function(READY)
    without_network(page)
    expect(page.get_by_role("listitem")).to_have_count(1)


def test_whoever_chose_so_reads_when_and_where_without_a_network(kept: Page) -> None:
    without_network(kept)
    expect(kept.get_by_role("listitem")).to_have_count(1)
    expect(kept.get_by_role("listitem")).to_contain_text(
        "jueves, 4 de marzo de 2027, a las 10:00 a. m."
    )
    expect(kept.get_by_text("pueden haber cambiado")).to_be_visible()
    kept.context.set_offline(False)
    kept.get_by_role("link", name="Volver a intentar").click()
    AppointmentsPage(kept).expect_title("Citas")


def test_what_was_cancelled_here_is_not_told_without_a_network(kept: Page) -> None:
    kept.get_by_role("link", name="Cancelar sesión").click()
    with kept.expect_response("**/citas/guardadas"):
        kept.get_by_role("button", name="Sí, cancelar").click()
    AppointmentsPage(kept).expect_status("Cancelada")
    without_network(kept)
    expect(kept.get_by_role("listitem")).to_have_count(0)


def test_leaving_without_a_network_says_so_and_forgets(kept: Page) -> None:
    kept.context.set_offline(True)
    kept.get_by_role("button", name="Salir").click()
    expect(kept.get_by_role("heading", level=1)).to_have_text("No hay conexión")
    assert not kept.evaluate("caches.has('mine')")
    kept.context.set_offline(False)
    kept.get_by_role("link", name="Volver a intentar").click()
    AppointmentsPage(kept).expect_title("Citas")


def test_nothing_is_remembered_unasked(scenario, as_client) -> None:
    scenario("confirmada")
    page = as_client()
    open_with_worker(page)
    without_network(page)
    expect(page.get_by_role("listitem")).to_have_count(0)
    expect(page.get_by_text("Sus próximas citas")).to_be_hidden()


def test_who_changes_their_mind_is_forgotten(kept: Page) -> None:
    kept.reload()
    expect(kept.get_by_label(KEEP)).to_be_checked()
    kept.get_by_label(KEEP).uncheck()
    expect(kept.get_by_label(KEEP)).to_be_enabled()
    without_network(kept)
    expect(kept.get_by_role("listitem")).to_have_count(0)


def test_leaving_the_portal_takes_all_along(kept: Page) -> None:
    kept.get_by_role("button", name="Salir").click()
    expect(kept.get_by_role("heading", level=1)).to_have_text("Portal de clientes")
    assert kept.evaluate("caches.keys()") == []
    assert kept.evaluate(REGISTERED) == 0


def test_whoever_is_sent_to_the_door_is_forgotten(kept: Page) -> None:
    kept.context.clear_cookies()
    kept.goto("/citas")
    expect(kept.get_by_role("heading", level=1)).to_have_text("Iniciar sesión")
    assert not kept.evaluate("caches.has('mine')")


def test_a_tap_without_a_network_says_so_and_loses_nothing(kept: Page, network) -> None:
    network(kept, "offline")
    kept.get_by_role("link", name="Solicitar cita").click()
    expect(kept.get_by_role("alert")).to_contain_text("No hay conexión")
    with kept.expect_event("requestfailed"):  # Before there is a network for it again.
        kept.get_by_role("link", name="Solicitar cita").click()
    expect(kept.get_by_role("alert")).to_have_count(1)
    AppointmentsPage(kept).expect_title("Citas")
    network(kept, "normal")
    kept.get_by_role("link", name="Solicitar cita").click()
    AppointmentsPage(kept).expect_title("Seleccione su servicio")
