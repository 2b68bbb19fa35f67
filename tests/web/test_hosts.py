"""The portal answers by its own name only, and repeats no other: in no link, mail or invitation."""

import re
from dataclasses import replace
from datetime import timedelta
from email.message import Message

import pytest

from booking import worker
from booking.clock import SettableClock
from booking.mailer import FolderMailer
from booking.settings import Environment
from tests.books import settings_in
from tests.builders import NOW
from tests.web.cast import CLIENTS, STAFF, Cast, gather
from tests.web.test_flow import heading
from tests.web.test_fuzz import own_path, pages, rules

EVIL = "evil.example"
# Whatever some proxy or framework takes for the name that a person typed.
FORWARDED = {
    "X-Forwarded-Host": EVIL,
    "X-Forwarded-Server": EVIL,
    "X-Host": EVIL,
    "X-Original-Host": EVIL,
    "X-Forwarded-Proto": "evil",
    "X-Forwarded-Prefix": f"//{EVIL}",
    "X-Forwarded-Port": "6666",
    "X-Original-URL": f"//{EVIL}/",
    "X-Rewrite-URL": f"//{EVIL}/",
    "X-Script-Name": f"//{EVIL}",
    "Forwarded": f"for=1.2.3.4;host={EVIL};proto=evil",
}
FOREIGN = [
    EVIL,
    f"localhost.{EVIL}",
    f"{EVIL}:80",
    f"localhost@{EVIL}",
    f"{EVIL}#localhost",
    f"localhost, {EVIL}",
    f"localhost:80@{EVIL}",
    f"localhost/{EVIL}",
    f"{EVIL}\\localhost",
    "localhost:99999",
    "10.0.0.1",
    "[::1",
]


@pytest.fixture
def mailer(tmp_path) -> FolderMailer:
    return FolderMailer(tmp_path / "buzon")


@pytest.fixture
def cast(app, clock, visitor) -> Cast:
    return gather(app, clock, visitor)


@pytest.mark.parametrize(
    ("base_url", "host", "ours"),
    [
        ("https://citas.example", "citas.example", True),
        ("https://citas.example", "CITAS.example:443", True),
        ("https://Citas.Example:8443", "citas.example:8443", True),
        ("https://citas.peña.mx", "citas.xn--pea-8ma.mx", True),
        ("http://mi-equipo.local:8000", "mi-equipo.local:8000", True),
        ("http://192.168.1.20:8000", "192.168.1.20:8000", True),
        ("http://[fd00::5]:8000", "[fd00::5]:8000", True),
        ("https://citas.example", "127.0.0.1:8000", True),  # Probes, and proxies that say no name.
        ("https://citas.example", "[::1]:8000", True),
        ("https://citas.example", "localhost", True),
        ("https://citas.example", "", False),
        ("https://citas.example", "citas.example.evil.example", False),
        ("https://citas.example", "evil-citas.example", False),
        ("https://citas.example", "example", False),
        ("https://citas.example", "[::1", False),
        ("https://citas.example", "xn--citas-", False),
        ("http://192.168.1.20:8000", "192.168.1.21:8000", False),
    ],
)
def test_the_portal_has_the_name_that_people_type_and_the_machines_own(
    tmp_path, base_url, host, ours
):
    for environment in Environment:
        named = replace(settings_in(tmp_path), base_url=base_url, environment=environment)
        assert named.answers_to(host) is ours


def told(answer) -> str:
    return answer.text + str(answer.headers)


@pytest.mark.parametrize("host", FOREIGN)
def test_by_another_name_there_is_no_portal(visitor, host):
    browser = visitor()
    for path in ("/", "/entrar", "/nada", "//static/x"):
        answer = browser.get(path, headers={"Host": host} | FORWARDED)
        assert answer.status_code == 400, path
        assert heading(answer) == "Esa no es la dirección del portal"
        assert "Ábralo en http://localhost" in answer.text
        assert EVIL not in told(answer)


def test_a_probe_asks_by_any_name(visitor):
    answer = visitor().get("/healthz", headers={"Host": "10.1.2.3:8000"})
    assert (answer.status_code, answer.text) == (200, "ok\n")


def test_no_page_at_all_answers_by_another_name(app, cast):
    for rule in rules(app):
        if rule.endpoint != "portal.healthz":
            path = own_path(app, cast, rule, "manager")
            for method in sorted((rule.methods or set()) - {"OPTIONS"}):
                answer = cast.people["manager"].open(path, method=method, headers={"Host": EVIL})
                assert answer.status_code == 400, path
                assert EVIL not in told(answer), path


def test_a_name_that_a_proxy_claims_is_in_no_answer(app, cast):
    for rule in rules(app):
        path = own_path(app, cast, rule, "manager")
        answer = cast.people["manager"].get(path, headers=FORWARDED)
        assert answer.status_code != 400, path
        assert "evil" not in told(answer), path
        assert not re.match(r"\w+:|//", answer.location or ""), path


@pytest.mark.long
@pytest.mark.parametrize("who", sorted({*CLIENTS, *STAFF, "anonymous"}))
def test_nor_is_it_in_any_page_that_links_lead_to(app, cast, who):
    for name, value in FORWARDED.items():
        cast.people[who].environ_base["HTTP_" + name.upper().replace("-", "_")] = value
    seen = 0
    for path, answer in pages(app, cast, who):
        assert "evil" not in told(answer), path
        seen += 1
    assert seen > 20


def test_mails_and_invitations_lead_to_the_portal_however_it_was_asked(app, cast, mailer):
    (session,) = cast.objects["appointment"][0].values.values()
    for who, path, form in (
        ("anonymous", "/entrar", {"correo": "gloria@example.com"}),
        ("holder", f"/citas/{session}/cancelar", {"version": "2"}),
    ):
        answer = cast.people[who].post(path, data=form, headers=FORWARDED)
        assert answer.status_code == 303
        assert not re.match(r"\w+:|//", answer.location)
    worker.tick(SettableClock(NOW + timedelta(hours=1)), mailer, app.extensions["settings"])
    mails = [mail for _number, mail in mailer.messages()]
    texts = [part.get_content() for mail in mails for part in mail.walk() if is_text(part)]
    assert not [mail for mail in mails if EVIL in mail.as_string()]
    links = [link for text in texts for link in re.findall(r"https?://[^\s\"<>]+", text)]
    assert [link for link in links if link.startswith("http://localhost/entrar/")]
    assert not [link for link in links if not link.startswith("http://localhost/")]
    names = [name for text in texts for name in re.findall(r"^UID:\S+@(\S+)", text, re.MULTILINE)]
    assert set(names) == {"localhost"}


def is_text(part: Message) -> bool:
    return part.get_content_maintype() == "text"
