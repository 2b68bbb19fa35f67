"""No parameter sends people elsewhere, and nothing passes for a link of ours but one."""

import re
from urllib.parse import parse_qs, quote, urljoin, urlsplit

import pytest

from booking import links
from booking.mailer import FolderMailer
from booking.models import Attempt, SignIn, WebSession
from booking.web.portal import safe_path
from tests.conftest import make_account
from tests.web.cast import HALF_IN, gather
from tests.web.test_flow import key_of

HERE = "https://citas.example/entrar"
OUT = [
    "https://evil.example",
    "https:evil.example",
    "https:/evil.example",
    "HTTPS://evil.example",
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/\t/evil.example",
    "\t//evil.example",
    "/\n/evil.example",
    "/\r\n/evil.example",
    "/citas\r\nSet-Cookie: evil=1",
    " //evil.example",
    "\x00//evil.example",
    "\x0b//evil.example",
    "/\u2044evil.example",
    "／／evil.example",
    "/／evil.example",
    "/\u3000/evil.example",
    "/\u202e/evil.example",
    "javascript:alert(1)",
    "java\tscript:alert(1)",
    "data:text/html,evil",
    "vbscript:evil",
    "evil.example",
    "@evil.example",
    ".evil.example",
    "?evil",
    "#evil",
    "/" + "x" * 600,
]
# Odd, and still of this site.
IN = ["/%09/evil.example", "/%2f/evil.example", "/%5cevil.example", "/..//evil.example", "/@evil"]


def opened(path: str) -> str:
    """The host that a browser goes to: it drops control characters and takes `\\` for `/`."""
    read = re.sub(r"[\t\r\n]", "", path.strip("".join(map(chr, range(33))))).replace("\\", "/")
    read = re.sub(r"^(https?):/*", r"\1://", re.sub(r"^/{2,}", "//", read), flags=re.IGNORECASE)
    return urlsplit(urljoin(HERE, read)).netloc


def test_the_hostile_paths_would_lead_away():
    assert sum(opened(path) != "citas.example" for path in OUT) > 15
    assert [opened(path) for path in IN] == ["citas.example"] * len(IN)


@pytest.mark.parametrize("path", OUT)
def test_no_parameter_leads_out(visitor, path):
    assert safe_path(path) == ""
    browser = visitor()
    for door in ("/", "/entrar", "/registro"):
        page = browser.get(door, query_string={"sig": path}).text
        assert not re.findall(r'(?:href|action)="[^"]*sig=', page), door
    answer = browser.post("/idioma", data={"idioma": "es", "volver": path})
    assert answer.location == "/"
    browser.post("/entrar", data={"correo": "ana@example.com"}, query_string={"sig": path})
    assert SignIn.get().next_path == ""


@pytest.mark.parametrize("path", IN)
def test_what_is_odd_and_ours_is_followed_as_it_stands(visitor, path):
    answer = visitor().post("/idioma", data={"idioma": "es", "volver": path})
    assert answer.location == path
    assert opened(answer.location) == "citas.example"


@pytest.fixture
def mailer(tmp_path) -> FolderMailer:
    return FolderMailer(tmp_path / "buzon")


def test_the_second_step_leads_nowhere_else(app, clock, visitor):
    cast = gather(app, clock, visitor)
    for path in OUT:
        for door in ("", "/recuperacion", "/activar", "/codigos"):
            for method in ("GET", "POST"):
                address = f"/segundo-paso{door}?sig={quote(path)}"
                Attempt.delete().execute()  # So many wrong codes are refused, whatever follows.
                answer = cast.people[HALF_IN].open(address, method=method)
                led = [
                    answer.location or "/",
                    *re.findall(r'(?:href|action)="([^"]*)', answer.text),
                ]
                # A page that asks for the code again names itself, with what it was asked for.
                named = [sig for to in led for sig in parse_qs(urlsplit(to).query).get("sig", ())]
                assert {opened(to) for to in named} <= {"citas.example"}, address
                assert not [to for to in named if not to.startswith("/segundo-paso")], address


def test_a_path_that_came_into_the_book_another_way_is_not_followed_either(visitor, app, ana):
    browser = visitor(ana)
    browser.post("/entrar", data={"correo": ana.email})
    link = links.token(app.extensions["settings"].secret_key, SignIn.get().nonce)
    for path in OUT:
        if "\0" in path or len(path) > 500:
            continue  # No row holds them.
        SignIn.update(next_path=path).execute()
        assert browser.get(f"/entrar/{link}").location == "/citas"


def test_only_a_whole_link_of_ours_opens(app, visitor, ana):
    """Cut, doubled, of another kind, of another person, of another key."""
    bruno = make_account("Bruno Díaz Muñoz", "bruno@example.com")
    browser, secret = visitor(), app.extensions["settings"].secret_key
    key = key_of(browser.get("/entrar"))
    for email in (ana.email, bruno.email):
        browser.post("/entrar", data={"correo": email})
    mine, other = (links.token(secret, row.nonce) for row in SignIn.select().order_by(SignIn.id))
    nonce, _, signature = mine.rpartition(".")
    forged = [
        mine[:-2], mine[1:], nonce, f".{signature}", f"{nonce}.", mine + mine, f"{mine}.{mine}",
        f"{mine}.{signature}", mine.swapcase(), f"{mine}%00", f"{mine}%20", f"%0a{mine}",
        f"{other.rpartition('.')[0]}.{signature}", links.token(secret + "x", nonce), key,
        links.code(secret, nonce), browser.get_cookie("citas").value, links.hashed(nonce),
        f"{nonce}%2e{signature[:-4]}AAAA", "%ff" + mine, "１" + mine,
    ]  # fmt: skip
    thief = visitor()
    for token in forged:
        for method in ("GET", "POST"):
            answer = thief.open(f"/entrar/{token}", method=method)
            assert answer.status_code == 410, token
    assert WebSession.select().count() == 0
    assert thief.get("/citas").status_code == 303
    assert thief.post(f"/entrar/{mine}").location == "/citas"
