"""The checks on every page, each seen to find what it is for; a page in order passes them all."""

import pytest

from e2e.browser import SCREENS
from e2e.checks import in_text, on_screen
from e2e.site import Shown

pytestmark = pytest.mark.e2e

GOOD = """<!doctype html><html lang="es"><head><title>Citas</title>
<meta name="viewport" content="width=device-width">
<style>a.button, button { display: inline-block; min-height: 44px; min-width: 44px }</style></head>
<body><main><h1>Citas</h1><p>Pida una cita en <a href="/x">el portal</a> cuando quiera.</p>
<a class="button" href="/y">Solicitar cita</a></main></body></html>"""

IN_TEXT = {
    "no tiene título": ("<title>Citas</title>", "<title> </title>"),
    "2 h1, y no 1: ['Citas', 'Otra']": ("<h1>Citas</h1>", "<h1>Citas</h1><h1>Otra</h1>"),
    "un script al que la página espera": ("<title>", "<script src='/a.js'></script><title>"),
    "inglés en una página en español: «Send the request»": ("<h1>", "<p>Send the request</p><h1>"),
    "inglés en una página en español: «Close»": ("<h1>", "<p aria-label='Close'>×</p><h1>"),
    "bytes de la página: ": ("<h1>", f"<p>{''.join(f'{n**9}' for n in range(500))}</p><h1>"),
}  # fmt: skip
ON_SCREEN = {
    "image-alt": ("<h1>", "<img src='/a.png'><h1>"),
    "color-contrast": ("<h1>", "<p style='color: #aaa; background: #fff'>Una cita</p><h1>"),
    "a 320 px: p sobresale": ("<h1>", "<p style='width: 30rem'>Una cita</p><h1>"),
    "a 320 px: dd sobresale": ("<h1>", f"<dl><dd>{'Otorrinolaringología' * 3}</dd></dl><h1>"),
    "con letra al 200 %: p sobresale": ("<h1>", "<p style='width: 18rem'>Una cita</p><h1>"),
    "a 320 px: p sale cortado": (
        "<h1>", "<p style='width: 4rem; overflow: hidden; white-space: nowrap'>Una cita</p><h1>"
    ),
    "control pequeño: button": ("<h1>", "<button style='all: unset'>Enviar</button><h1>"),
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


def shown(html: str, endpoint: str = "appointments.index") -> Shown:
    return Shown(endpoint=endpoint, status=200, path="/citas", session=1, html=html)


def test_a_page_in_order_passes(open_page):
    assert list(in_text(shown(GOOD), "es")) == []
    assert on_screen(open_page(GOOD)) == []


@pytest.mark.parametrize("problem", IN_TEXT)
def test_what_is_wrong_with_a_text_is_found(problem):
    (found,) = in_text(shown(GOOD.replace(*IN_TEXT[problem])), "es")
    assert found.startswith(problem)


@pytest.mark.parametrize("problem", ON_SCREEN)
def test_what_is_wrong_on_screen_is_found(open_page, problem):
    found = on_screen(open_page(GOOD.replace(*ON_SCREEN[problem])))
    assert [text for text in found if problem in text], found


def test_a_step_has_a_title_and_a_heading_and_a_part_of_it_has_neither():
    step, part = '<title>A</title><section id="step"><h1>A</h1></section>', "<p id='a'>Una cita</p>"
    assert list(in_text(shown(step), "es")) == []
    assert list(in_text(shown(part), "es")) == []
    assert len(list(in_text(shown(part.replace("'a'", '"step"')), "es"))) == 2
    assert list(in_text(shown("<h1>A</h1>"), "es")) == ["1 h1, y no 0: ['A']"]


def test_the_four_labels_of_the_guide_may_be_english_and_so_may_an_english_page():
    label = "<p>Cliente existente <small lang='en'>I’m an Existing Client</small></p><h1>"
    assert list(in_text(shown(GOOD.replace("<h1>", label)), "es")) == []
    assert list(in_text(shown(GOOD.replace("Citas", "Send the request")), "en")) == []
