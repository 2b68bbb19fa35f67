"""The check that all browser tests rest on, shown what it is for."""

import pytest
from playwright.sync_api import Browser, Route

from e2e.fixtures import Complaints, SignIn, listen
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

ICON = '<link rel="icon" href="data:,">'  # Or the browser asks for one.
ELSEWHERE = "pide algo a otro sitio: https://evil.example/"


def complaints_about(browser: Browser, site: Site, content: str) -> list[str]:
    """What the browser tests would fail with if this were part of a page."""

    def with_it(route: Route) -> None:
        real = route.fetch(url=f"{site.url}/entrar")
        policy = {"content-security-policy": real.headers["content-security-policy"]}
        page = f"<!doctype html><title>x</title>{ICON}<h1>x</h1>{content}"
        route.fulfill(headers=policy | {"content-type": "text/html"}, body=page)

    complaints = Complaints()
    with browser.new_context(base_url=site.url) as context:
        page = context.new_page()
        page.route("**/prueba", with_it)
        listen(page, complaints, site.url)
        page.goto("/prueba")
        page.evaluate("document.title")  # All that the page had to say is told by now.
    return complaints


@pytest.mark.parametrize("what", BARRED)
def test_what_the_policy_bars_fails_a_browser_test(browser: Browser, site: Site, what: str) -> None:
    complaints = complaints_about(browser, site, BARRED[what])
    said = [each for each in complaints if not each.startswith(ELSEWHERE)]
    assert said
    assert all("Content Security Policy" in each for each in said)


def test_what_it_allows_does_not(browser: Browser, site: Site) -> None:
    assert complaints_about(browser, site, '<p class="x">x</p><img alt="" src="data:,">') == []


def test_a_script_that_complains_or_fails_does(browser: Browser, site: Site) -> None:
    complaints = Complaints()
    with browser.new_context(base_url=site.url) as context:
        page = context.new_page()
        listen(page, complaints, site.url)
        page.goto("/")
        page.evaluate("console.error('a defect of ours')")
        with page.expect_event("pageerror"):
            page.evaluate("setTimeout(() => { throw new Error('and another') })")
    assert complaints == ["a defect of ours", "and another"]


def test_a_word_to_anybody_else_does(browser: Browser, site: Site) -> None:
    complaints = Complaints()
    with browser.new_context(base_url=site.url) as context:
        page = context.new_page()
        body = f'{ICON}<img alt="" src="http://evil.example">'
        html = {"content_type": "text/html", "body": body}
        page.route("**/entrar", lambda route: route.fulfill(**html))
        page.route("http://evil.example/", lambda route: route.fulfill(body="x"))
        listen(page, complaints, site.url)
        page.goto("/entrar")
    assert complaints == ["pide algo a otro sitio: http://evil.example/"]


@pytest.mark.parametrize("javascript", [True], indirect=True)
def test_the_focus_that_stays_behind_does(as_client: SignIn, complaints: Complaints) -> None:
    page = as_client()
    page.evaluate("HTMLElement.prototype.focus = () => {}")
    with page.expect_console_message():
        page.get_by_role("link", name="Solicitar cita").click()
    assert complaints == ["el foco no está en «Seleccione su servicio», en /citas/nueva/servicio"]
    complaints.clear()


def test_a_fault_of_the_server_does(browser: Browser, site: Site) -> None:
    complaints = Complaints()
    with browser.new_context(base_url=site.url) as context:
        page = context.new_page()
        page.route("**/entrar", lambda route: route.fulfill(status=503, body=ICON))
        listen(page, complaints, site.url)
        page.goto("/entrar")
    assert complaints == [f"503 GET {site.url}/entrar"]
