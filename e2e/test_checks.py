"""The checks on every page, each seen to find what it is for; a page in order passes them all."""

import pytest

from e2e.browser import SCREENS
from e2e.checks import problems

pytestmark = pytest.mark.e2e

GOOD = """<!doctype html><html lang="es"><head><title>Citas</title>
<meta name="viewport" content="width=device-width">
<style>a.button, button { display: inline-block; min-height: 44px; min-width: 44px }</style></head>
<body><main><h1>Citas</h1><p>Pida una cita en <a href="/x">el portal</a> cuando quiera.</p>
<a class="button" href="/y">Solicitar cita</a></main></body></html>"""

BAD = {
    "no title": ("<title>Citas</title>", "<title> </title>"),
    "2 main headings": ("<h1>Citas</h1>", "<h1>Citas</h1><h1>Otra</h1>"),
    "a script that the page waits for": ("<title>", "<script src='/a.js'></script><title>"),
    "image-alt": ("<h1>", "<img src='/a.png'><h1>"),
    "color-contrast": ("<h1>", "<p style='color: #aaa; background: #fff'>Una cita</p><h1>"),
    "at 320 px: p sticks out": ("<h1>", "<p style='width: 30rem'>Una cita</p><h1>"),
    "at 200 %: p sticks out": ("<h1>", "<p style='width: 18rem'>Una cita</p><h1>"),
    "at 320 px: p is cut off": (
        "<h1>", "<p style='width: 4rem; overflow: hidden; white-space: nowrap'>Una cita</p><h1>"
    ),
    "target too small: button": ("<h1>", "<button style='all: unset'>Enviar</button><h1>"),
    "English on a Spanish page: «Send the request": ("<h1>", "<p>Send the request</p><h1>"),
}  # fmt: skip


@pytest.fixture(scope="module")
def open_page(browser):
    """Show some HTML, on one device for all, so that the checks are read once."""
    page = browser.new_page(**SCREENS["phone"])

    def show(html: str):
        page.set_content(html)
        return page

    yield show
    page.close()


def test_a_page_in_order_passes(open_page):
    assert problems(open_page(GOOD)) == []


@pytest.mark.parametrize("problem", BAD)
def test_what_is_wrong_is_found(open_page, problem):
    found = problems(open_page(GOOD.replace(*BAD[problem])))
    assert [text for text in found if problem in text], found


def test_the_four_labels_of_the_guide_may_be_english(open_page):
    label = "<p>Cliente existente <small lang='en'>I’m an Existing Client</small></p><h1>"
    assert problems(open_page(GOOD.replace("<h1>", label))) == []
