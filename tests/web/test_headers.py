"""The same protections on every answer there is: pages, parts, files, redirects and refusals."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from peewee import OperationalError

from app import create_app
from booking.db import database
from booking.mailer import FolderMailer
from booking.web import access
from booking.web.security import CSP
from booking.web.urls import FOREVER, static
from tests.web.cast import gather
from tests.web.test_fuzz import own_path, rules

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
BANNERS = ("Server", "X-Powered-By", "Via", "X-AspNet-Version")
SAME = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(params=["http://localhost", "https://citas.example"])
def portal(request, books, settings, clock, tmp_path) -> Iterator[Flask]:
    """A portal with two pages that fail, as people open it on this machine and over HTTPS."""

    @access.public
    def broken() -> str:
        raise LookupError("a defect of ours")

    @access.public
    def away() -> str:
        raise OperationalError("the database does not answer")

    told, mailer = replace(settings, base_url=request.param), FolderMailer(tmp_path / "buzon")
    application = create_app(told, clock=clock, mailer=mailer)
    application.add_url_rule("/roto", view_func=broken)
    application.add_url_rule("/lejos", view_func=away)
    yield application
    books.close(database.obj)


def missing(answer, *, https: bool, csp: str = CSP, cache: str = "no-store") -> list[str]:
    """What an answer lacks, or should not say."""
    wanted = ALWAYS | {"Content-Security-Policy": csp, "Cache-Control": cache}
    found = [name for name, value in wanted.items() if answer.headers.get(name) != value]
    if ("Strict-Transport-Security" in answer.headers) is not https:
        found.append("Strict-Transport-Security")
    return found + [name for name in BANNERS if name in answer.headers]


ANSWERS = [
    (200, "GET", "/", {}),
    (200, "HEAD", "/entrar", {}),
    (200, "GET", "/healthz", {}),
    (200, "GET", "/buzon", {}),
    (200, "OPTIONS", "/entrar", {}),
    (303, "GET", "/citas", {}),
    (303, "POST", "/idioma", {"data": {"idioma": "en"}}),
    (308, "GET", "/entrar//codigo", {}),
    (400, "POST", "/idioma", {"headers": {"Sec-Fetch-Site": "cross-site"}}),
    (400, "GET", "/", {"headers": {"Host": "evil.example"}}),
    (404, "GET", "/nada", {}),
    (404, "GET", "/static/0/nada.css", {}),
    (405, "PUT", "/entrar", {}),
    (410, "GET", "/entrar/nadie", {}),
    (413, "POST", "/entrar", {"data": {"x": "x" * 70_000}}),
    (422, "POST", "/entrar", {"data": {"correo": "nadie"}}),
    (429, "POST", "/entrar", {"data": {"correo": "a@example.com"}}),
    (500, "GET", "/roto", {}),
    (503, "GET", "/lejos", {}),
]


def test_every_answer_has_every_header(portal):
    told = portal.extensions["settings"]
    browser = portal.test_client()
    for _ in range(5):  # As many mails as an address gets.
        browser.post("/entrar", data={"correo": "a@example.com"}, headers=SAME)
    for status, method, path, how in ANSWERS:
        asked = {"headers": SAME, "base_url": told.base_url} | how
        answer = browser.open(path, method=method, **asked)
        assert answer.status_code == status, (method, path)
        assert missing(answer, https=told.secure) == [], (method, path)


def test_files_have_them_too_and_are_kept(portal):
    told = portal.extensions["settings"]
    with portal.test_request_context():
        address = static("citas.css")
    answer = portal.test_client().get(address, base_url=told.base_url)
    assert answer.status_code == 200
    assert missing(answer, https=told.secure, cache=FOREVER) == []


@pytest.fixture
def mailer(tmp_path) -> FolderMailer:
    return FolderMailer(tmp_path / "buzon")


# In these there is nobody's data.
NOBODYS = {"hashed_file", "phone.worker", "phone.manifest", "phone.offline"}
# A mail brings its own style; nothing else is allowed in it.
WEAKER = {"demo.html": "default-src 'none'; style-src 'unsafe-inline'"}


@pytest.mark.long
def test_whatever_a_signed_in_person_opens_is_kept_nowhere(app, clock, visitor):
    """Pages, parts of pages, invitations and downloads, asked for again with what a cache has."""
    cast = gather(app, clock, visitor)
    again = {"If-None-Match": "*", "If-Modified-Since": "Thu, 01 Jan 2099 00:00:00 GMT"}
    part = {"HX-Request": "true", "HX-Target": "step"}
    for rule in rules(app):
        if rule.endpoint not in NOBODYS and "GET" in (rule.methods or ()):
            path = own_path(app, cast, rule, "manager")
            answer = cast.people["manager"].get(path, headers=again | part)
            csp = WEAKER.get(rule.endpoint, CSP) if answer.status_code == 200 else CSP
            assert answer.status_code != 304, path
            assert missing(answer, https=False, csp=csp) == [], path
