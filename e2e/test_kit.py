"""The kit itself: one clock, mail taken apart, bad networks, and one sentence for each misuse."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Error, Page

from booking.qa import scenarios
from e2e import fixtures
from e2e.fixtures import Clock, SignIn
from e2e.mail import Mailbox
from e2e.network import PROFILES
from e2e.pages.appointments import AppointmentsPage
from e2e.pages.new_appointment import NewAppointmentPage
from e2e.pages.portal import PortalPage
from e2e.site import ROOT, Refused, Scene, Site

pytestmark = pytest.mark.e2e

Network = Callable[[Page, str], None]
WITH_JAVASCRIPT = pytest.mark.parametrize(
    "javascript", [True], ids=["with-javascript"], indirect=True
)
WITHOUT_JAVASCRIPT = pytest.mark.parametrize(
    "javascript", [False], ids=["without-javascript"], indirect=True
)


# The clock.


@WITH_JAVASCRIPT
def test_an_open_page_reads_the_portals_clock(
    scenario: Callable[[str], Scene], as_client: SignIn, clock: Clock
) -> None:
    page = as_client()
    for move in (
        lambda: None,
        lambda: clock.advance(timedelta(days=40, seconds=3)),
        lambda: scenario("cambio-de-hora"),
    ):
        move()
        assert page.evaluate("Date.now()") == clock.now().timestamp() * 1000


@WITHOUT_JAVASCRIPT
def test_what_time_alone_does_is_done_when_the_clock_is_moved(
    scenario: Callable[[str], Scene], as_client: SignIn, clock: Clock
) -> None:
    scenario("ofertas-por-vencer")
    appointments = AppointmentsPage(as_client())
    appointments.expect_card("Denegada: elija otro horario")
    clock.advance(timedelta(hours=1))
    appointments.open()
    appointments.expect_card("Denegada")


# Mail.


def test_a_mail_is_taken_apart(scenario: Callable[[str], Scene], mailbox: Mailbox) -> None:
    maria = scenario("confirmada").client
    mail = mailbox.latest(maria.email, "Su cita está confirmada")
    assert mail.to == maria.email
    assert "jueves, 4 de marzo de 2027" in mail.words
    assert mail.html.startswith("<!doctype html>")
    assert mail.ics.startswith("BEGIN:VCALENDAR")
    assert mail.link in mail.links
    with pytest.raises(AssertionError, match="no trae código"):
        mail.code  # noqa: B018
    with pytest.raises(AssertionError, match=r"nada para .* con «Felicidades», sino \[\("):
        mailbox.latest(maria.email, "Felicidades")


# People.


@WITHOUT_JAVASCRIPT
def test_everybody_is_let_in_at_their_own_first_page(
    scenario: Callable[[str], Scene],
    as_client: SignIn,
    as_clinician: SignIn,
    as_manager: SignIn,
) -> None:
    _, bruno, _ = scenario("ausencia").clients
    for page, title in (
        (as_client(), "Citas"),
        (as_client(bruno.name), "Citas"),
        (as_clinician(), "Solicitudes"),
        (as_clinician(factor_shown=False), "Active la verificación en dos pasos"),
        (as_manager(), "Solicitudes"),
    ):
        PortalPage(page).expect_title(title)


# Networks.


@pytest.fixture
def flow(as_client: SignIn) -> NewAppointmentPage:
    """A request that only has to be sent."""
    found = NewAppointmentPage(as_client())
    AppointmentsPage(found.page).start_request()
    found.choose()
    return found


@WITHOUT_JAVASCRIPT
def test_a_reply_that_is_lost_is_lost_after_the_portal_has_done_it(
    flow: NewAppointmentPage, network: Network
) -> None:
    page = flow.page
    network(page, "lossy")
    with page.expect_event("framenavigated"):  # To the browser's own page.
        flow.send()
    appointments = AppointmentsPage(page)
    appointments.open()
    appointments.expect_card("Pendiente de confirmación", "10:00 a. m.")


@WITHOUT_JAVASCRIPT
def test_a_slow_network_is_slow_and_a_missing_one_is_missing(
    as_client: SignIn, network: Network
) -> None:
    page = as_client()
    arrived = "performance.getEntriesByType('navigation')[0].responseEnd"
    for name in ("2g", "slow3g"):
        network(page, name)
        page.goto("/citas")
        assert page.evaluate(arrived) >= PROFILES[name].round_trip_ms
    network(page, "offline")
    with pytest.raises(Error, match="ERR_INTERNET_DISCONNECTED"):
        page.goto("/citas")
    network(page, "normal")
    page.goto("/citas")


# How it is used from the command line, and misused.


USUAL = ("-q", "-p", "no:cacheprovider")


def python_says(*arguments: str, **environ: str) -> tuple[int, str]:
    """Run what somebody types who writes tests elsewhere; code, and what was printed."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("APP_", "PYTEST_"))}
    told = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=kept | environ, capture_output=True, text=True
    )
    return told.returncode, told.stdout + told.stderr


def pytest_says(site: Site, kept: Path, *arguments: str) -> tuple[int, str]:
    """Run tests against a portal that somebody else started: that of this process.

    What they keep goes elsewhere, since Playwright first deletes what is there from other tests.
    """
    usual = (*USUAL, "--base-url", site.url, "--output", str(kept))
    return python_says("-m", "pytest", *usual, *arguments, APP_QA_KEY=site.key)


FAILING = """
import pytest

@pytest.fixture
def tidied():
    yield
    assert False, "what I prepared is still there"

@pytest.fixture
def left_on_the_list(page):
    page.goto("/")
    yield
    assert False, "what I looked for is not here"

def test_unknown_scenario(scenario):
    scenario("pendientes")

def test_unknown_person(as_client):
    as_client("Nadie")

def test_nobody_in_charge(scenario, as_manager):
    scenario("nombres-largos")
    as_manager()

def test_unknown_network(network, page):
    network(page, "5g")

def test_a_page_that_complains(page):
    page.evaluate("console.error('a defect of ours')")

def test_a_page_in_order(page):
    page.goto("/")

def test_whose_fixture_fails_before_the_page_goes(left_on_the_list):
    pass

def test_whose_fixture_fails_after_the_page(tidied, page):
    page.goto("/")
"""


def test_a_test_that_fails_says_why_and_leaves_something_to_look_at(
    site: Site, tmp_path: Path
) -> None:
    mine, kept = tmp_path / "test_mine.py", tmp_path / "kept"
    mine.write_text(FAILING)
    code, said = pytest_says(
        site, kept, "-p", "e2e.plugin", "--strict-markers", "--javascript", "off", str(mine)
    )
    assert code == 1, said
    assert said.count("\nNo hay ningún escenario «pendientes». Los que hay: vacio, ") == 1
    assert "Las páginas se quejaron:\na defect of ours" in said
    assert "Nadie se llama «Nadie» en este escenario. Están: " in said
    assert "En «nombres-largos» nadie administra el consultorio." in said
    assert "No hay ninguna red «5g». Las que hay: normal, slow3g, 2g, offline, lossy." in said
    assert "Traceback" not in said
    assert "raise " not in said
    pictures, traces = sorted(kept.rglob("*.png")), sorted(kept.rglob("trace.zip"))
    assert (len(pictures), len(traces)) == (6, 6)  # The first failed before there was a page.
    for trace in traces:
        assert f"-m playwright show-trace {trace}" in said
    again = "python -m pytest -p e2e.plugin --base-url "
    again += f"{site.url} {os.path.relpath(mine, ROOT)}::test_"
    for name in ("unknown_person", "whose_fixture_fails_before", "whose_fixture_fails_after"):
        assert f"{again}{name}" in said.replace("'", "")


NOBODY = ["--base-url", "http://127.0.0.1:9"]
MISUSES = {
    "no address": (["--base-url", "nada"], {}, "debe ser una dirección"),
    "no key": (NOBODY, {}, "Falta la llave de http://127.0.0.1:9"),
    "no answer": ([*NOBODY, "--qa-key", "k"], {}, "http://127.0.0.1:9 no responde"),
    "in parallel": ([*NOBODY, "-n", "2"], {"APP_QA_KEY": "k"}, "quite -n"),
    "a wrong browser": ([], {"CHROMIUM": "/nada"}, "CHROMIUM dice «/nada»"),
    "no browser": (
        [],
        {"CHROMIUM": "", "PATH": "/nada", "HOME": "/nada"},
        "No hay ningún Chromium",
    ),
}


# One process for all of them: to load pytest and Playwright takes longer than to say no.
ONE_AFTER_THE_OTHER = """
import json, os, sys, pytest
before = dict(os.environ)
for arguments, environ in json.loads(sys.argv[1]):
    os.environ.clear()
    os.environ.update(before, **environ)
    print(f"code {pytest.main(arguments):d}", file=sys.stderr, flush=True)
"""


def test_what_cannot_work_is_said_in_one_sentence_before_anything_starts() -> None:
    asked = [
        ([*USUAL, *arguments, "e2e/test_guide.py"], environ)
        for arguments, environ, _ in MISUSES.values()
    ]
    _, said = python_says("-c", ONE_AFTER_THE_OTHER, json.dumps(asked))
    lines = [line for line in said.splitlines() if line.strip()]
    refused = f"code {pytest.ExitCode.USAGE_ERROR:d}"
    for name, (_, _, words) in MISUSES.items():
        line, code, *lines = lines
        assert line.startswith("ERROR: "), (name, line)
        assert words in line, name
        assert code == refused, name
    assert not lines


def test_the_same_journey_runs_against_a_portal_that_runs_elsewhere(
    site: Site, tmp_path: Path
) -> None:
    report = ("--junitxml", str(tmp_path / "report.xml"))
    journey = (
        *report,
        "--javascript",
        "off",
        "-k",
        "test_too_late_to_cancel_means",
        "e2e/test_guide.py",
    )
    code, said = pytest_says(site, tmp_path, *journey)
    assert code == 0, said
    assert "1 passed" in said
    assert site.now() == site.load("fuera-de-plazo").now
    with pytest.raises(Refused, match=r"no abre /qa/ con esa llave \(404\)"):
        Site(site.url, f"{site.key}x").now()


# The guide.

NOT_FOR_TESTS = {
    "server",
    "lookout",
    "devices",
    "base_url",
    "browser_type_launch_args",
    "browser_context_args",
}


def test_every_fixture_and_every_network_is_in_the_guide() -> None:
    guide = (ROOT / "docs" / "qa.md").read_text()
    told = {word for row in re.findall(r"^\| (`.*?`) \|", guide, re.M) for word in row.split("`")}
    own = {name for name, it in vars(fixtures).items() if type(it) is type(fixtures.site)}
    assert own - NOT_FOR_TESTS <= told
    assert set(PROFILES) <= told


def test_every_scenario_is_walked_through() -> None:
    journeys = "".join(path.read_text() for path in (ROOT / "e2e").glob("*.py"))
    assert [name for name in scenarios.ALL if f'"{name}"' not in journeys] == []


def test_every_journey_that_the_guide_names_is_there() -> None:
    guide = (ROOT / "docs" / "qa.md").read_text()
    table = guide[guide.index("## Qué recorrido prueba qué") :].split("\n## ")[0]
    cells = [row.split("|")[2] for row in table.splitlines() if row.startswith("| ")][1:]
    assert len(cells) > 20
    for each in (part for cell in cells for part in cell.split(";")):
        files, _, names = each.partition(":")
        for file in re.findall("`(.+?)`", files):
            tests = (ROOT / "e2e" / f"test_{file}.py").read_text()
            for name in filter(None, (n.strip(" …") for n in names.split(","))):
                assert f"def test_{name}" in tests, f"test_{file}.py has no {name}"
