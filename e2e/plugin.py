"""The kit for QA as a pytest plugin: `-p e2e.plugin`; docs/qa.md says what it gives.

Here is what has to do with the command line and the report; what tests ask for is in `fixtures`.
"""

import os
import shlex
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e import browser, fixtures
from e2e.site import Refused

# What is kept of a test that fails, unless the command line says otherwise.
KEPT = {"tracing": "retain-on-failure", "screenshot": "only-on-failure"}
ENCODERS = tuple(
    Path(caches, "ms-playwright").expanduser()
    for caches in ("~/.cache", "~/Library/Caches", "~/AppData/Local")
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("qa", "Citaclara: pruebas con navegador (docs/qa.md)")
    group.addoption(
        "--qa-key",
        default=os.environ.get("APP_QA_KEY"),
        help="la llave del portal de --base-url (o APP_QA_KEY)",
    )
    group.addoption(
        "--screen",
        action="append",
        choices=list(browser.SCREENS),
        help="en qué pantalla se mira; se puede repetir (si falta: phone)",
    )
    group.addoption(
        "--javascript",
        choices=list(fixtures.JAVASCRIPT),
        default="both",
        help="con JavaScript, sin él, o cada prueba de las dos maneras",
    )


def pytest_configure(config: pytest.Config) -> None:
    # Registered now, so that what is called as in pytest-playwright takes its place.
    config.pluginmanager.register(fixtures, "qa-fixtures")
    config.pluginmanager.register(Failures(), "qa-failures")
    asked = config.invocation_params.args
    wanted = KEPT | ({"video": "retain-on-failure"} if has_encoder() else {})
    for name, value in wanted.items():
        if not any(str(argument).startswith(f"--{name}") for argument in asked):
            setattr(config.option, name, value)


def has_encoder() -> bool:
    """Whether Playwright's own encoder, without which there is no video, is installed."""
    return any(any(folder.glob("ffmpeg*")) for folder in ENCODERS)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Say what is missing before anything starts, in one sentence."""
    config = session.config
    if hasattr(config, "workerinput") or config.option.collectonly:
        return  # The process that started this one has looked.
    try:
        if not config.option.browser:
            found = browser.find()
            if found:
                os.environ["CHROMIUM"] = found  # For the processes to come.
        if config.getoption("--base-url"):
            fixtures.deployed(config).now()
    except Refused as refused:
        raise pytest.UsageError(str(refused)) from None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    option = metafunc.config.option
    vary(metafunc, "screen", {name: name for name in option.screen or ["phone"]})
    vary(metafunc, "javascript", fixtures.JAVASCRIPT[option.javascript])


def vary(metafunc: pytest.Metafunc, name: str, values: dict[str, object]) -> None:
    """Run a test once for each value, unless it chooses its own with `parametrize`."""
    marks = metafunc.definition.iter_markers("parametrize")
    own = any(name in str(mark.args[0]).replace(",", " ").split() for mark in marks)
    if name in metafunc.fixturenames and not own:
        metafunc.parametrize(name, list(values.values()), ids=list(values), indirect=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show with a failure what our server said meanwhile."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    site = getattr(item, "funcargs", {}).get("site")
    if site is not None and report.failed:
        said = site.said()
        if said:
            report.sections.append(("El servidor dijo", said))


class Failures:
    """How each test that failed is looked at and run again."""

    def __init__(self) -> None:
        self._failed: list[str] = []
        self._kept: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and report.nodeid not in self._failed:
            self._failed.append(report.nodeid)
        for name, path in report.user_properties:
            if name.startswith("playwright_"):
                self._kept[report.nodeid].append((name.removeprefix("playwright_"), str(path)))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._failed:
            return
        terminalreporter.section("Para mirar y repetir lo que falló")
        for test in self._failed:
            terminalreporter.line(f"python -m pytest {shlex.quote(test)}")
            for kind, path in self._kept[test]:
                tool = "playwright show-trace " if kind == "trace" else ""
                terminalreporter.line(f"  {tool}{shlex.quote(path)}")
