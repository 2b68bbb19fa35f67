"""What looks at every page of every test, seen to find what it is for, and once."""

from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from e2e.checks import too_heavy
from e2e.looking import Lookout, layers, parts
from e2e.site import Shown, Site
from e2e.test_checks import GOOD

pytestmark = pytest.mark.e2e

WHOLE = GOOD.replace("<h1>Citas</h1>", '<section id="step"><h1>Citas</h1></section>')
PAGE = Shown(endpoint="appointments.index", status=200, path="/citas", session=1, html=WHOLE)
STEP = Shown(endpoint="requests.deny", status=200, path="/solicitudes/1/denegar", session=1,
             html='<title>Denegar</title><section id="step"><h1>Denegar</h1>'
                  '<p id="preview"></p></section>')  # fmt: skip
PART = replace(STEP, path=f"{STEP.path}?hacer=ver", html='<p id="preview">Send the request</p>')
NOSCRIPT = "<noscript><p>Send the request</p></noscript><h1>"


@pytest.fixture
def lookout(browser: Browser, site: Site, tmp_path: Path) -> Lookout:
    return Lookout(browser, site, tmp_path)


def found(
    lookout: Lookout, *shown: Shown, scenario: str = "vacio", javascript: bool = True
) -> list[list[str]]:
    return [
        problems
        for _, problems in lookout.look(list(shown), scenario=scenario, javascript=javascript)
    ]


def test_what_is_new_is_looked_at_and_what_was_seen_is_not(lookout: Lookout) -> None:
    longer = replace(PAGE, html=PAGE.html.replace("</p>", " más.</p><p>Otra cosa.</p>"))
    assert found(lookout, PAGE, longer, PAGE) == [[]]
    with_alert = replace(PAGE, html=PAGE.html.replace("<h1>", '<p role="alert">No.</p><h1>'))
    assert found(lookout, with_alert, replace(PAGE, status=409)) == [[], []]
    assert found(lookout, PAGE, PAGE, scenario="nombres-largos") == [[]]


def test_what_is_wrong_with_a_page_is_found(lookout: Lookout) -> None:
    refused = replace(PAGE, status=422, html=PAGE.html.replace("<title>Citas</title>", ""))
    assert "no title" in found(lookout, refused)[0]


def test_what_is_wrong_with_what_was_swapped_in_is_found(lookout: Lookout) -> None:
    page, step, part = found(lookout, PAGE, STEP, PART)
    assert (page, step) == ([], [])
    assert any("«Denegar Send the request" in problem for problem in part)
    headless = replace(STEP, html='<section id="step"><p class="lead">Denegar</p></section>')
    assert "0 main headings: []" in found(lookout, PAGE, headless)[0]


def test_what_only_those_without_scripts_read_is_looked_at_for_them(lookout: Lookout) -> None:
    page = replace(PAGE, html=PAGE.html.replace("<h1>", NOSCRIPT))
    assert found(lookout, page, javascript=True) == [[]]
    assert found(lookout, page, javascript=False) != [[]]


def test_two_browsers_are_not_taken_for_one() -> None:
    other = replace(PAGE, session=2, html="<!doctype html>")
    assert layers([PAGE, other, STEP, PART], 3) == [PAGE, STEP, PART]
    with pytest.raises(LookupError, match="nothing to swap"):
        layers([other, STEP], 1)


def test_a_page_is_of_the_same_parts_whatever_it_says() -> None:
    several = replace(PAGE, html=PAGE.html.replace("</main>", "<p><a href='/z'>Más</a></p></main>"))
    assert parts(several) == parts(PAGE)
    assert parts(PAGE) < parts(replace(PAGE, html=PAGE.html.replace("<h1>", "<hr><h1>")))


def test_pages_and_fragments_have_a_budget_each() -> None:
    many = "".join(f"<p>{n**9:x}</p>" for n in range(140))  # Between 800 and 2,000 bytes.
    assert too_heavy(replace(PAGE, html=f"<!doctype html>{many}")) == ""
    assert too_heavy(replace(PAGE, html=many)).startswith("fragment: ")
    assert too_heavy(replace(PAGE, html=many, endpoint="agenda.week")) == ""
