"""Every journey runs twice: with JavaScript and without it, on a phone-sized screen."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, ViewportSize, expect

from booking.models import Access, Account, Client, Relation
from e2e.browser import launch_options
from e2e.pages.portal import PortalPage
from e2e.site import NOW, Site, running

PATIENCE = 20_000  # Milliseconds: the machine may be busy with other things.
expect.set_options(timeout=PATIENCE)
PRACTICE = Path(__file__).parent.parent / "tests" / "practice.toml"
EXPECTED = (
    "Failed to load resource",  # Each refused form (422, 409, 410); that is our answer.
    "htmx:sendError",  # Without a network the page says so itself.
    "htmx:sendAbort",  # A second tap abandoned the first,
    "htmx:afterRequest",  # whose end is told, too; what fails otherwise has a name of its own.
)
PHONE: ViewportSize = {"width": 360, "height": 640}


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, object]:
    return launch_options(os.environ.get("CHROMIUM"))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A fresh portal with the test practice, on a Monday at nine."""
    with running(tmp_path, PRACTICE) as found:
        yield found


@pytest.fixture(params=["with-javascript", "without-javascript"])
def javascript(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "with-javascript")


@pytest.fixture
def open_phone(browser: Browser, site: Site, javascript: bool) -> Iterator[Callable[[], Page]]:
    """Another phone with nothing in it; what its console complains about fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_one() -> Page:
        context = browser.new_context(
            viewport=PHONE,
            is_mobile=True,
            has_touch=True,
            locale="es-MX",
            timezone_id="America/Mexico_City",
            java_script_enabled=javascript,
            base_url=site.url,
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        listen(page, complaints)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert complaints == []


def listen(page: Page, complaints: list[str]) -> None:
    """Collect what a page's console complains about: a defect, or something the policy bars."""

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(EXPECTED):
            complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))


@pytest.fixture
def page(open_phone: Callable[[], Page]) -> Page:
    """The client's phone."""
    return open_phone()


@pytest.fixture
def portal(page: Page, site: Site) -> PortalPage:
    return PortalPage(page, site)


@pytest.fixture
def ana(site: Site) -> str:
    """The address of a client who has an account and whom the practice knows."""
    return make_client("Ana Ruiz Peña", "ana@example.com")


def make_client(name: str, email: str) -> str:
    account = Account.create(email=email, name=name, created_at=NOW, consented_at=NOW)
    client = Client.create(name=name, email=email, created_at=NOW, known_since=NOW)
    Access.create(account=account, client=client, relation=Relation.SELF.value)
    return email
