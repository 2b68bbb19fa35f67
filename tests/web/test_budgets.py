"""No page and no fragment weighs more than its budget."""

import re
from collections.abc import Callable, Iterator
from string import ascii_uppercase

import brotli
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from bench.budgets import FIRST_LOAD, LIMITS, Limit, heaviest, judge, limit
from booking.web.urls import static
from tests.builders import at, request
from tests.web.cast import Cast
from tests.web.test_fuzz import MANY, own_path, pages, rules

BROTLI = {"Accept-Encoding": "br"}
FRAGMENT = BROTLI | {"HX-Request": "true", "HX-Target": "step"}
DRAFT = "servicio=individual&consultorio=centro&profesional=ines"
ANOTHER = "/citas/nueva/{}?" + DRAFT
STEPS = [ANOTHER.format(step) for step in ("servicio", "consultorio", "profesional", "horario")]
STEPS.append(ANOTHER.format("persona") + "&hora=2027-03-12T16:00Z")


def endpoint(app: Flask, path: str) -> str:
    found: str = app.url_map.bind("localhost").match(path.split("?")[0])[0]
    return found


def text(answer: TestResponse) -> str:
    packed = answer.headers.get("Content-Encoding") == "br"
    return (bytes(brotli.decompress(answer.data)) if packed else answer.data).decode()


def stylesheets(app: Flask, page: str) -> int:
    """What the files weigh without which a page cannot be used."""
    names = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page)
    browser = app.test_client()
    return sum(len(browser.get(name, headers=BROTLI).data) for name in names)


def too_heavy(app: Flask, browser: FlaskClient, path: str, most: Limit) -> Iterator[str]:
    """Each budget that an address passes, as a page and as a fragment."""
    page = browser.get(path, headers=BROTLI)
    if page.mimetype != "text/html" or page.status_code in (302, 303):
        return
    yield judge(f"{path} página", most.page, len(page.data), text(page))
    part = browser.get(path, headers=FRAGMENT)
    if "HX-Retarget" not in part.headers:
        yield judge(f"{path} fragmento", most.fragment, len(part.data), text(part))
    needed = len(page.data) + stylesheets(app, text(page))
    yield judge(f"{path} primera carga", FIRST_LOAD, needed, text(page))


def judged(app: Flask, browser: FlaskClient, paths: Iterator[str]) -> list[str]:
    return [
        fault
        for path in paths
        for fault in too_heavy(app, browser, path, limit(endpoint(app, path)))
        if fault
    ]


def opened(app: Flask, cast: Cast, who: str) -> Iterator[str]:
    """One page of each view."""
    for rule in rules(app):
        if "GET" in (rule.methods or ()) and rule.endpoint not in ("hashed_file", "portal.link"):
            yield own_path(app, cast, rule, who)


@pytest.mark.parametrize("who", ["anonymous", "holder", "manager"])
def test_every_page_is_within_its_budget(app, cast, who):
    assert judged(app, cast.people[who], opened(app, cast, who)) == []


def test_every_step_of_a_booking_is_within_its_budget(app, cast):
    assert judged(app, cast.people["holder"], iter(STEPS)) == []


def test_a_denial_with_its_drawn_proposals_is_within_its_budget(
    app: Flask, visitor: Callable[..., FlaskClient], ana, ines
):
    path = f"/solicitudes/{request(ana, at(4, 10)).id}/denegar"
    browser = visitor(ines)
    assert "<svg" in text(browser.get(path, headers=BROTLI))
    assert judged(app, browser, iter([path])) == []


@pytest.mark.long
@pytest.mark.parametrize("who", ["anonymous", "holder", "guardian", "clinician", "manager"])
def test_whatever_links_lead_to_is_within_its_budget(app, cast, who):
    paths = [path for path, answer in pages(app, cast, who, MANY) if answer.status_code == 200]
    assert judged(app, cast.people[who], iter(paths)) == []


def test_a_budget_is_for_a_view_that_there_is(app):
    assert {name.split()[0] for name in LIMITS} <= set(app.view_functions)


PAGE = (
    '<!doctype html><html><head><title>Citas</title></head><body><main><section id="step">'
    "<h1>Citas</h1><div id='a'>0</div><p class='hint'>Uno<br>dos</p></section></main>"
    '<footer class="foot"><a href="/">Salir del portal</a></footer></body></html>'
)


def test_what_passes_a_budget_is_named_with_its_three_largest_parts():
    heavy = PAGE.replace("Uno", ascii_uppercase * 2 + "0123456789 y otras cosas")
    (largest, weight), *_others = heaviest(heavy)
    assert largest == "p.hint"
    assert weight > 30
    said = judge("/citas página", 100, 240, heavy)
    assert re.fullmatch(
        r"/citas página: 240, más de 100; lo que más pesa: p\.hint \d+, footer\.foot \d+, \S+ \d+",
        said,
    )
    assert judge("/citas página", 240, 240, heavy) == ""


def test_a_stylesheet_counts_as_part_of_the_first_load(app, visitor):
    with app.test_request_context():
        file = visitor().get(static("citas.css"), headers=BROTLI)
    assert stylesheets(app, text(visitor().get("/", headers=BROTLI))) == len(file.data)
