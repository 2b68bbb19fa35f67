"""Forms of other sites: refused at every route that takes forms, and nothing changes."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from booking.db import database
from booking.mailer import FolderMailer
from tests.web.cast import Cast, gather
from tests.web.test_crawl import dump
from tests.web.test_flow import key_of
from tests.web.test_fuzz import own_path, rules

WHO = "manager"
SITES = ("same-origin", "same-site", "cross-site", "none", None)
OWN, NULL, FOREIGN = "http://localhost", "null", "https://evil.example"
ORIGINS = (OWN, FOREIGN, NULL, None)
KEYS = ("good", "missing", "of another session")


@pytest.fixture
def mailer(tmp_path) -> FolderMailer:
    return FolderMailer(tmp_path / "buzon")


@pytest.fixture
def cast(app, clock, visitor) -> Cast:
    return gather(app, clock, visitor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What a browser says about where a form comes from."""

    site: str | None
    origin: str | None
    key: str

    @property
    def ours(self) -> bool:
        """What the design says: the first of the three that the browser knows decides."""
        if self.site is not None:
            return self.site == "same-origin"
        if self.origin is not None:
            return self.origin == OWN
        return self.key == "good"


EVERY = [Sent(site=s, origin=o, key=k) for s, o, k in itertools.product(SITES, ORIGINS, KEYS)]
# One thing speaks against each of these, and all else for it.
BARELY_REFUSED = [
    Sent(site="cross-site", origin=OWN, key="good"),
    Sent(site=None, origin=FOREIGN, key="good"),
    Sent(site=None, origin=None, key="of another session"),
]


@pytest.fixture
def keys(cast) -> dict[str, dict[str, str]]:
    """The field that a form of ours holds, by whose form it is."""
    return {
        "good": {"llave": key_of(cast.people[WHO].get("/cuenta"))},
        "of another session": {"llave": key_of(cast.people["holder"].get("/cuenta"))},
        "missing": {},
    }


@pytest.fixture
def silent(app, cast) -> FlaskClient:
    """The manager's, which says nothing about a form unless it is told to."""
    told = cast.people[WHO]
    found = app.test_client(use_cookies=False)
    found.environ_base["HTTP_COOKIE"] = told.environ_base["HTTP_COOKIE"]
    return found


def taking_forms(app: Flask) -> list[Rule]:
    return [rule for rule in rules(app) if "POST" in (rule.methods or ())]


def let_in(
    browser: FlaskClient, path: str, cells: list[Sent], keys: dict[str, dict[str, str]]
) -> Iterator[Sent]:
    """The cells whose form was not refused; whatever it did is undone."""
    for sent in cells:
        headers = {"Sec-Fetch-Site": sent.site, "Origin": sent.origin}
        with database.atomic() as everything:
            answer = browser.post(
                path,
                data={"idioma": "en", **keys[sent.key]},
                headers={name: value for name, value in headers.items() if value is not None},
            )
            if answer.status_code != 400:
                everything.rollback()
                yield sent


def test_a_foreign_form_is_refused_everywhere_and_changes_nothing(app, cast, silent, keys):
    before, asked = dump(), 0
    for rule in taking_forms(app):
        path = own_path(app, cast, rule, WHO)
        assert list(let_in(silent, path, BARELY_REFUSED, keys)) == [], rule
        asked += 1
    assert asked > 30
    assert dump() == before


def test_the_first_thing_that_a_browser_knows_decides(silent, keys):
    assert list(let_in(silent, "/idioma", EVERY, keys)) == [sent for sent in EVERY if sent.ours]


@pytest.mark.long
def test_every_route_decides_alike(app, cast, silent, keys):
    for rule in taking_forms(app):
        path = own_path(app, cast, rule, WHO)
        found = list(let_in(silent, path, EVERY, keys))
        assert found == [sent for sent in EVERY if sent.ours], rule


@pytest.mark.parametrize(
    "origin",
    [
        "http://[",
        "http://localhost.evil.example",
        "http://localhost:81",
        "http://evil.example#localhost",
        "http://localhost@evil.example",
        "https://localhost",  # Whoever stands between could speak for it.
        "localhost",
        "//localhost",
        "",
    ],
)
def test_an_origin_that_only_looks_like_ours_is_refused(app, origin):
    answer = app.test_client().post("/idioma", data={"idioma": "en"}, headers={"Origin": origin})
    assert answer.status_code == 400


def test_behind_a_proxy_that_says_no_name_the_written_address_is_ours(app):
    browser = app.test_client()
    sent = {"Origin": "http://localhost", "Host": "127.0.0.1:8000"}
    assert browser.post("/idioma", data={"idioma": "en"}, headers=sent).status_code == 303
