"""Hostile values in every part of every request: a page that says no, never a failure of ours.

Forms are found by rendering pages, so that a new form is fuzzed without being named here.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from itertools import islice
from urllib.parse import quote, urlencode, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from booking.db import database
from booking.web.security import CSP
from tests.web.cast import Cast
from tests.web.test_matrix import METHODS, about, address

SCRIPT = "<script>alert(1)</script>"
HOSTILE = [
    "",
    "NaN",
    "inf",
    "-1",
    "0",
    str(2**63),
    str(-(2**63) - 1),
    "9" * 5_000,
    "1e400",
    "\0",
    "a\0b",
    "٣٤٥",
    "²",
    "x" * 10_240,
    "x" * 102_400,
    "{{ 7*7 }}{% include 'x' %}${7*7}",
    SCRIPT,
    '"><img src=x onerror=alert(1)>',
    "' OR 1=1 --",
    "a\r\nSet-Cookie: evil=1\r\n\r\n<p>",
    "\u202eevil\u2066\u200b",
    "\ud800",
    "../../../../etc/passwd",
    "=cmd|' /C calc'!A0",
    "9999-12-31",
    "0000-00-00",
    "2027-02-30",
    "9999-12-31T23:59Z",
    "0001-01-01T00:00Z",
    "24:00",
    "99999999-1-1-in_person",
    "999999999-999999999-999999999-telehealth",
    "[]",
    '{"a": 1}',
    "//evil.example",
    "/\\evil.example",
    "😀" * 300,
]
# What a server on the way would not pass on anyway; WSGI holds Latin-1 without control characters.
HEADERS = {
    "Accept-Language": ["", "*", "x" * 500, "es-419;q=NaN", "zz_ZZ@evil", "en;q=1;q=2,,,;"],
    "Accept-Encoding": ["", "br;q=NaN", "*;q=0", "x" * 500],
    "Host": ["evil.example", "localhost:99999", "localhost:x", "a b", "[::1", "\xff", ""],
    "Origin": ["null", "http://[", "https://evil.example", "http://localhost:99999", "\xff"],
    "Sec-Fetch-Site": ["", "cross-site", "none", "x" * 500],
    "Referer": ["http://[", "javascript:alert(1)", "\xff"],
    "HX-Request": ["true", "x"],
    "HX-Target": ["", "step", "slots", "../x", "x" * 500, SCRIPT],
    "HX-Current-URL": ["http://[", "", "/", "x", "http://localhost", "%zz", "\xff"],
    "HX-Prompt": [SCRIPT],
    "HX-Boosted": ["x"],
    "HX-History-Restore-Request": ["x"],
    "Cookie": ["citas=x", "citas=" + "x" * 5_000, "citas=eyJ9.x.y; navegador=\xff", "=;;=", "\xff"],
    "Range": ["bytes=0-", "bytes=9-1", "bytes=x", "x" * 500],
    "If-None-Match": ["*", '"x', "W/", "x" * 500],
    "If-Modified-Since": ["x", "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 99 Foo 9999 99:99:99 GMT"],
    "If-Range": ["x"],
    "Content-Type": [
        "",
        "x",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "application/json",
        "application/x-www-form-urlencoded; charset=zz",
    ],
    "Content-Length": ["-1", "x", "0", str(2**63)],
    "X-Forwarded-Host": ["evil.example"],
    "X-HTTP-Method-Override": ["DELETE"],
}


@dataclass(slots=True, kw_only=True)
class Knock:
    """One hostile request."""

    who: str
    method: str
    path: str
    query: str = ""
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        said = (self.path, self.query, self.body, self.headers)
        return f"{self.method} {' '.join(str(each)[:200] for each in said)} as {self.who}"


FORM = "application/x-www-form-urlencoded"


def encoded(pairs: list[tuple[str, str]]) -> str:
    return urlencode(pairs, errors="surrogatepass")


def faults(browser: FlaskClient, knock: Knock) -> list[str]:
    """What is wrong with the answer; whatever it changed is undone."""
    headers = {"Content-Type": FORM} | knock.headers if knock.body else knock.headers
    with database.atomic() as everything:
        answer = browser.open(
            knock.path,
            method=knock.method,
            query_string=knock.query,
            data=knock.body or None,
            headers=headers,
        )
        everything.rollback()
    plain = answer.mimetype == "text/html" and "Content-Encoding" not in answer.headers
    text = answer.text if plain else ""
    found = [
        (answer.status_code >= 500, answer.status),
        ("Traceback" in text, "a traceback"),
        (SCRIPT in text or "<img src=x" in text, "a reflected script"),
        ("Set-Cookie: evil" in str(answer.headers) or "evil=1" in answer.headers, "a header"),
        (urlsplit(answer.location or "").netloc not in ("", "localhost"), "a way out"),
        (answer.headers.get("X-Content-Type-Options") != "nosniff", "no nosniff"),
        ("Content-Security-Policy" not in answer.headers, "no policy"),
        (
            answer.status_code >= 400 and answer.headers["Content-Security-Policy"] != CSP,
            "a weaker policy",
        ),
    ]
    return [f"{knock}: {what}" for is_so, what in found if is_so]


def own_path(app: Flask, cast: Cast, rule: Rule, who: str) -> str:
    """The rule's path about something of one's own, where there is such a thing."""
    thing = about(app, rule)
    if thing is None:
        return rule.rule
    objects = cast.objects[thing.kind]
    return address(rule, next((o for o in objects if who in o.ties), objects[0]))


def rules(app: Flask) -> list[Rule]:
    return list(app.url_map.iter_rules())


def fields_of(text: str) -> dict[str, dict[str, str]]:
    """Every form of a page: where it goes, and what it would say as it stands."""
    forms: dict[str, dict[str, str]] = {}
    for form in re.findall(r"<form\b.*?</form>", text, re.DOTALL):
        target = re.search(r'\baction="([^"]*)"', form)
        said: dict[str, str] = {}
        for tag in re.findall(r"<(?:input|select|textarea|button)\b[^>]*>", form):
            name, value = re.search(r'\bname="([^"]+)"', tag), re.search(r'\bvalue="([^"]*)"', tag)
            if name:
                said.setdefault(unescape(name[1]), unescape(value[1]) if value else "")
        if target:
            forms.setdefault(unescape(target[1]), {}).update(said)
    return forms


def pages(app: Flask, cast: Cast, who: str, of_a_kind: int) -> Iterator[tuple[str, TestResponse]]:
    """All that somebody can come to by following links and searching, with its address.

    Of pages that differ in a number or a value alone, such as the weeks of an agenda, only some.
    """
    waiting = [
        own_path(app, cast, rule, who) for rule in rules(app) if "GET" in (rule.methods or ())
    ]
    seen: dict[str, int] = {}
    while waiting:
        path = waiting.pop()
        kind = re.sub(r"\d+", "#", path.split("?")[0]) + "?" + "&".join(parameters(path))
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] > of_a_kind:
            continue
        answer = cast.people[who].get(path)
        yield path, answer
        if answer.status_code in (302, 303):
            waiting.append(answer.location)
        elif answer.mimetype == "text/html":
            links = re.findall(r'<a\b[^>]*href="(/[^"#]*)', answer.text)
            searches = fields_of(answer.text).items()
            waiting += [unescape(link) for link in links]
            waiting += [f"{to}?{urlencode(said)}" for to, said in searches if "llave" not in said]


def forms(app: Flask, cast: Cast, who: str, of_a_kind: int) -> dict[str, dict[str, str]]:
    """The forms on all pages that somebody can open, by the address that they go to."""
    found: dict[str, dict[str, str]] = {}
    for _path, answer in pages(app, cast, who, of_a_kind):
        if answer.mimetype == "text/html":
            for target, said in fields_of(answer.text).items():
                found.setdefault(target, {}).update(said)
    return found


def parameters(path: str) -> list[str]:
    return sorted(re.findall(r"[?&](\w+)=", path))


def knocks(app: Flask, cast: Cast, who: str, of_a_kind: int) -> Iterator[Knock]:
    """Every hostile request of somebody."""
    targets = forms(app, cast, who, of_a_kind)
    names = sorted({name for said in targets.values() for name in said} | QUERY)
    in_paths = [quote(value.encode("utf-8", "surrogatepass"), safe="") for value in HOSTILE]
    queries = [encoded([(name, value[:2_000]) for name in names]) for value in HOSTILE]
    for rule in rules(app):
        path = own_path(app, cast, rule, who)
        for name in rule.arguments:
            before, _, after = re.sub(rf"<[^>]*?{name}>", "\0", rule.rule).partition("\0")
            before, after = (re.sub(r"<[^>]*>", "1", part) for part in (before, after))
            for raw in in_paths:
                for method in ("GET", "POST"):
                    yield Knock(who=who, method=method, path=before + raw + after)
        for query in queries:
            for method in ("GET", "POST"):
                yield Knock(who=who, method=method, path=path, query=query, body=b"x=1")
        for method in METHODS:
            for header, values in HEADERS.items():
                for value in values:
                    yield Knock(who=who, method=method, path=path, headers={header: value})
        yield from odd_bodies(who, path)
    for target, said in targets.items():
        path, _, query = target.partition("?")
        for value in HOSTILE:
            for name in said:
                body = encoded([*(said | {name: value}).items()])
                yield Knock(who=who, method="POST", path=path, query=query, body=body.encode())
        for name in parameters(target):
            for value in HOSTILE:
                hostile = re.sub(rf"\b{name}=[^&]*", "", query)
                hostile += "&" + encoded([(name, value)])
                for method in ("GET", "POST"):
                    yield Knock(
                        who=who,
                        method=method,
                        path=path,
                        query=hostile,
                        body=encoded([*said.items()]).encode() if method == "POST" else b"",
                    )


# Read by pages that nothing may lead to in this world.
QUERY = {
    "sig",
    "volver",
    "desde",
    "pasadas",
    "semana",
    "dia",
    "hora",
    "para",
    "cambia",
    "solicitud",
}


def odd_bodies(who: str, path: str) -> Iterator[Knock]:
    """Bodies that are no forms, or far too much of one."""
    multipart = "multipart/form-data; boundary=b"
    part = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\nx\r\n'
    for kind, body in (
        (FORM, b"&".join(b"a%d=1" % n for n in range(3_000))),
        (FORM, b"%ff%fe=%80&correo=%c3%28&llave=%00"),
        (FORM, b"&&==&;&a"),
        (FORM, b"correo[]=a&correo[]=b&correo=a&correo=b"),
        ("application/json", b'{"correo": ["a"]}'),
        ("application/json", b"\xff"),
        (multipart, b"nothing"),
        (multipart, part % b"correo"),
        (multipart, part % b"\xff" + b"--b--"),
        (multipart, b"".join(part % b"x" for _ in range(700)) + b"--b--"),
        (multipart, b'--b\r\nContent-Disposition: form-data; name="correo"; filename="x"\r\n\r\nx'),
        ("text/xml", b"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>"),
    ):
        yield Knock(who=who, method="POST", path=path, body=body, headers={"Content-Type": kind})


WHO = ["anonymous", "holder", "clinician", "manager"]
FEW, MANY = 2, 6  # Pages of a kind; a few show every form that many do.
SHARES = 8  # Of all requests of somebody, for as many processes as there are.


def test_a_share_of_all_hostile_requests_gets_an_answer(app, cast):
    """Another share each time the list changes; the long test below takes them all."""
    chance = random.Random(4)
    found = []
    for who in WHO:
        everything = list(knocks(app, cast, who, FEW))
        for knock in chance.sample(everything, 60):
            found += faults(cast.people[who], knock)
    assert found == []


@pytest.mark.long
@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("who", WHO)
def test_no_hostile_request_gets_past_a_page(app, cast, who, share):
    mine = islice(knocks(app, cast, who, MANY), share, None, SHARES)
    assert [fault for knock in mine for fault in faults(cast.people[who], knock)] == []


@pytest.mark.parametrize("name", ["x" * 10_240, "/etc/passwd", "//evil.example", "../app.py", ""])
def test_a_file_is_looked_up_among_ours_only(visitor, name):
    answer = visitor().get(f"/static/1/{name}", follow_redirects=True)  # Of doubled slashes.
    assert answer.status_code == 404


def test_staff_who_are_nobodys_client_have_no_couple(app, cast):
    path = "/citas/nueva/persona/pareja?servicio=pareja&consultorio=centro&profesional=ines"
    sent = {"nombre": "Julia Vega"}
    answer = cast.people["clinician"].post(f"{path}&hora=2027-03-02T15:00Z", data=sent)
    assert answer.status_code == 404


def test_forms_are_found_by_looking(app, cast):
    found = forms(app, cast, "holder", FEW)
    assert any("/persona" in target and "persona" in said for target, said in found.items())
    assert any(target.endswith("/cancelar") for target in found)
    assert any("hacer" in said for said in forms(app, cast, "clinician", FEW).values())
