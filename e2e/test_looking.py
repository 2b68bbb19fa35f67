"""What looks at every page of every test, seen to find what it is for, and once."""

from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from e2e.checks import too_heavy
from e2e.looking import Lookout, layers, read_all
from e2e.reading import read
from e2e.site import Shown, Site
from e2e.test_checks import GOOD

pytestmark = pytest.mark.e2e

WHOLE = GOOD.replace("<h1>Citas</h1>", '<section id="step"><h1>Citas</h1></section>')
PAGE = Shown(endpoint="appointments.index", status=200, path="/citas", session=1, html=WHOLE)
STEP = Shown(endpoint="requests.deny", status=200, path="/solicitudes/1/denegar", session=1,
             html='<title>Denegar</title><section id="step"><h1>Denegar</h1>'
                  '<p id="preview"></p></section>')  # fmt: skip
PART = replace(STEP, path=f"{STEP.path}?hacer=ver", html='<p id="preview">Una cita</p>')
SMALL = '<button class="link" style="min-height: 0">Pequeño</button>'


@pytest.fixture
def lookout(browser: Browser, server: Site, tmp_path: Path) -> Lookout:
    return Lookout(browser, server, tmp_path)


def found(
    lookout: Lookout, *shown: Shown, scenario: str = "vacio", javascript: bool = True
) -> list[list[str]]:
    return [
        problems
        for _, problems in lookout.look(list(shown), scenario=scenario, javascript=javascript)
    ]


def saying(page: Shown, words: str) -> Shown:
    return replace(page, html=page.html.replace("Pida una cita en", words))


def test_what_is_new_is_looked_at_and_what_was_seen_is_not(lookout: Lookout) -> None:
    other = replace(PAGE, html=PAGE.html.replace("</p>", " más.</p><p>Otra cosa.</p>"))
    assert found(lookout, PAGE, other, PAGE) == [[]]
    with_alert = replace(PAGE, html=PAGE.html.replace("<h1>", '<p role="alert">No.</p><h1>'))
    assert found(lookout, with_alert, replace(PAGE, status=409)) == [[], []]
    assert found(lookout, PAGE, PAGE, scenario="nombres-largos") == [[]]


def test_what_was_seen_with_shorter_words_is_looked_at_with_longer_ones(lookout: Lookout) -> None:
    assert found(lookout, PAGE, saying(PAGE, "Pida una hora en")) == [[]]
    (wrong,) = found(lookout, saying(PAGE, "Otorrinolaringología" * 3))
    assert any("a 320 px: p sobresale" in problem for problem in wrong)
    assert found(lookout, saying(PAGE, "Pediatría" * 6), saying(PAGE, "Otorrino" * 7)) == []
    assert found(lookout, *[saying(PAGE, "Pida una cita " * 9)] * 2) == [[]]


def test_what_is_wrong_with_what_was_swapped_in_is_found(lookout: Lookout) -> None:
    small = replace(PART, html=f'<p id="preview">{SMALL}</p>')
    assert found(lookout, PAGE, STEP, PART) == [[], [], []]
    (wrong,) = found(lookout, PAGE, STEP, small)
    assert any("control pequeño: button «Pequeño»" in problem for problem in wrong)


def test_what_only_those_without_scripts_see_is_looked_at_for_them(lookout: Lookout) -> None:
    page = replace(PAGE, html=PAGE.html.replace("<h1>", f"<noscript>{SMALL}</noscript><h1>"))
    assert found(lookout, page, javascript=True) == [[]]
    assert found(lookout, page, javascript=False) != [[]]


def test_everything_is_read_each_time_in_the_language_of_its_page() -> None:
    english = replace(PART, html='<p id="preview">Send the request</p>')
    headless = replace(STEP, html='<section id="step"><p class="lead">Denegar</p></section>')
    told = [problems for _, problems in read_all([PAGE, STEP, PART, english, english, headless])]
    wrong = ["inglés en una página en español: «Send the request»"]
    assert told[:5] == [[], [], [], wrong, wrong]
    assert told[5] == ["no tiene título", "0 h1, y no 1: []"]
    abroad = replace(PAGE, html=PAGE.html.replace('lang="es"', 'lang="en"'))
    assert [problems for _, problems in read_all([abroad, STEP, english])] == [[], [], []]


def test_two_browsers_are_not_taken_for_one() -> None:
    other = replace(PAGE, session=2, html="<!doctype html>")
    assert layers([PAGE, other, STEP, PART], 3) == [PAGE, STEP, PART]
    with pytest.raises(LookupError, match="nothing to swap"):
        layers([other, STEP], 1)


def test_a_page_is_of_the_same_parts_whatever_it_says() -> None:
    several = replace(PAGE, html=PAGE.html.replace("</main>", "<p><a href='/z'>Más</a></p></main>"))
    assert read(several.html).parts == read(PAGE.html).parts
    lined = read(PAGE.html.replace("<h1>", "<hr><h1>")).parts
    assert read(PAGE.html).parts.keys() < lined.keys()
    assert read(saying(PAGE, "Otorrinolaringología, en").html).parts["main.. > p.."] == (21, 39)


def test_pages_and_fragments_have_a_budget_each() -> None:
    many = "".join(f"<p>{n**9:x}</p>" for n in range(140))  # Between 800 and 2,000 bytes.
    assert too_heavy(replace(PAGE, html=f"<!doctype html>{many}")) == ""
    assert too_heavy(replace(PAGE, html=many)).startswith("bytes del fragmento: ")
    assert too_heavy(replace(PAGE, html=many, endpoint="agenda.week")) == ""
