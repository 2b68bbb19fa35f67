"""The check that all browser tests rest on, shown what it is for."""

import pytest
from playwright.sync_api import Browser, Route

from e2e.fixtures import Complaints, listen
from e2e.site import Site

pytestmark = pytest.mark.e2e

BARRED = {
    "an inline script": "<script>document.title = 'x'</script>",
    "an inline style": '<p style="color: red">x</p>',
    "a style sheet in the page": "<style>p { color: red }</style>",
    "a handler": '<img src="data:," onerror="document.title = 1">',
    "a picture from elsewhere": '<img src="https://evil.example/x.png">',
    "a frame": '<iframe src="/"></iframe>',
}


def complaints_about(browser: Browser, site: Site, content: str) -> list[str]:
    """What the browser tests would fail with if this were part of a page."""

    def with_it(route: Route) -> None:
        real = route.fetch(url=f"{site.url}/entrar")
        policy = {"content-security-policy": real.headers["content-security-policy"]}
        page = f'<!doctype html><title>x</title><link rel="icon" href="data:,"><h1>x</h1>{content}'
        route.fulfill(headers=policy | {"content-type": "text/html"}, body=page)

    complaints = Complaints()
    with browser.new_context(base_url=site.url) as context:
        page = context.new_page()
        page.route("**/prueba", with_it)
        listen(page, complaints)
        page.goto("/prueba")
        page.evaluate("document.title")  # All that the page had to say is told by now.
    return complaints


@pytest.mark.parametrize("what", BARRED)
def test_what_the_policy_bars_fails_a_browser_test(browser: Browser, site: Site, what: str) -> None:
    complaints = complaints_about(browser, site, BARRED[what])
    assert complaints
    assert all("Content Security Policy" in said for said in complaints)


def test_what_it_allows_does_not(browser: Browser, site: Site) -> None:
    assert complaints_about(browser, site, '<p class="x">x</p><img alt="" src="data:,">') == []


def test_a_script_that_complains_or_fails_does(browser: Browser, site: Site) -> None:
    complaints = Complaints()
    with browser.new_context(base_url=site.url) as context:
        page = context.new_page()
        listen(page, complaints)
        page.goto("/")
        page.evaluate("console.error('a defect of ours')")
        with page.expect_event("pageerror"):
            page.evaluate("setTimeout(() => { throw new Error('and another') })")
    assert complaints == ["a defect of ours", "and another"]


def test_a_fault_of_the_server_does(browser: Browser, site: Site) -> None:
    complaints = Complaints()
    with browser.new_context(base_url=site.url) as context:
        page = context.new_page()
        page.route("**/entrar", lambda route: route.fulfill(status=503, body="x"))
        listen(page, complaints)
        page.goto("/entrar")
    assert complaints == [f"503 GET {site.url}/entrar"]
