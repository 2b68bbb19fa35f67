"""Looking changes nothing: whatever anybody can open leaves every row of every table as it was."""

import re
from html.parser import HTMLParser

import pytest

from booking.db import tuples
from booking.models import ALL
from booking.web.security import CSP
from tests.web.cast import CLIENTS, STAFF, Cast
from tests.web.test_fuzz import FEW, MANY, pages

# Tables to which looking may add, with the reason.
MAY_CHANGE = frozenset({"ClientRead"})  # Who read whose data (docs/adr/0019).


def dump() -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table."""
    return {
        model.__name__: tuples(model.select().order_by(model.id))
        for model in ALL
        if model.__name__ not in MAY_CHANGE
    }


class Inline(HTMLParser):
    """Collects what a page would need a weaker policy for."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "style" or (tag == "script" and "src" not in given):
            self.found.append(f"<{tag}>")
        self.found += [
            f"{name}={value}"
            for name, value in given.items()
            if name.startswith(("on", "hx-on", "data-hx-on"))
            or name in ("style", "srcdoc", "hx-vars")
            or re.match(r"\s*(?:javascript|js|vbscript):", value)
            or (name == "hx-trigger" and "[" in value)
        ]


def inline(page: str) -> list[str]:
    parser = Inline()
    parser.feed(page)
    return parser.found


def crawled(app, cast: Cast, who: str, of_a_kind: int) -> int:
    """Open, and ask for the head of, all that somebody can come to."""
    seen = 0
    for path, answer in pages(app, cast, who, of_a_kind):
        head = cast.people[who].head(path)
        assert head.status_code == answer.status_code, path
        assert head.data == b"", path
        if answer.headers["Content-Security-Policy"] == CSP:  # A mail has styles of its own.
            assert inline(answer.text) == [], path
        seen += 1
    return seen


def test_looking_changes_nothing(app, cast):
    before = dump()
    assert crawled(app, cast, "manager", FEW) > 20
    assert dump() == before


@pytest.mark.long
@pytest.mark.parametrize("who", sorted({*CLIENTS, *STAFF, "anonymous", "disabled"}))
def test_looking_changes_nothing_whoever_looks(app, cast, who):
    before = dump()
    assert crawled(app, cast, who, MANY) > 5
    assert dump() == before


@pytest.mark.parametrize(
    "text",
    [
        "<script>x</script>",
        "<style>x</style>",
        '<p style="x">',
        '<p onclick="x">',
        '<p hx-on:click="x">',
        '<p hx-on::after-request="x">',
        '<a href="javascript:x">',
        "<p hx-vals='js:{x: 1}'>",
        '<p hx-trigger="keyup[x]">',
    ],
)
def test_a_page_that_needs_a_weaker_policy_would_be_seen(text):
    assert inline(text)
    assert not inline(
        '<script src="/x.js"></script><p class="x" hx-trigger="keyup delay:1s">js</p>'
    )


def test_a_page_that_writes_would_be_seen(app, cast):
    before = dump()
    cast.people["holder"].post("/idioma", data={"idioma": "en"})
    assert dump() != before


@pytest.mark.parametrize("step", ["horario", "confirmar"])
def test_asking_for_a_pages_head_books_nothing(app, cast, step):
    """HEAD is not GET, and no form: whatever is not POST only looks."""
    before = dump()
    (client,) = cast.objects["client"][0].values.values()
    draft = "servicio=individual&consultorio=centro&profesional=ines&hora=2027-03-12T16:00Z"
    answer = cast.people["manager"].head(f"/clientes/{client}/cita/{step}?{draft}")
    assert answer.status_code == 200
    assert dump() == before
