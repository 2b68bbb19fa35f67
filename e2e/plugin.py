"""The kit for QA as a pytest plugin: `-p e2e.plugin`; docs/qa.md says what it gives.

Here is what has to do with the command line and the report; what tests ask for is in `fixtures`.
"""

import os
import shlex
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from e2e import browser, fixtures
from e2e.fixtures import FAILED, LOOKED_AT, SHOWN
from e2e.site import Refused

USUAL_SCREENS = ("phone", "desktop")
JAVASCRIPT = {"on": ("with-javascript", True), "off": ("without-javascript", False)}
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
        help="en qué pantalla se mira; se puede repetir (si falta: phone, y de noche desktop)",
    )
    group.addoption(
        "--javascript",
        choices=("on", "off", "both"),
        help="con JavaScript, sin él, o cada prueba de las dos maneras (si falta: on, y lo"
        " principal y todo lo de noche, de las dos)",
    )


def pytest_configure(config: pytest.Config) -> None:
    # Registered now, so that what is called as in pytest-playwright takes its place.
    config.pluginmanager.register(fixtures, "qa-fixtures")
    config.addinivalue_line("markers", "main: runs each time without scripts, too")
    config.addinivalue_line("markers", "long: left to `-m ''`")
    config.pluginmanager.register(Failures(), "qa-failures")
    config.pluginmanager.register(Pages(), "qa-pages")
    asked = config.invocation_params.args
    if not any(str(argument).startswith("-m") for argument in asked):
        config.option.markexpr = "not long"  # In a folder, too, whose settings do not say so.
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
    """Run each test on every screen, with and without scripts.

    What the command line does not ask for is left to the long run; but the main journeys are made
    without scripts each time.
    """
    option = metafunc.config.option
    screens = {name: name for name in option.screen or USUAL_SCREENS}
    vary(metafunc, "screen", screens, short=len(screens) if option.screen else 1)
    scripts = {
        words: value
        for name, (words, value) in JAVASCRIPT.items()
        if option.javascript in (None, "both", name)
    }
    main = metafunc.definition.get_closest_marker("main")
    vary(metafunc, "javascript", scripts, short=len(scripts) if option.javascript or main else 1)
    if "site" in metafunc.fixturenames:
        # Made before what a test prepares, so that its devices are there until that is torn down.
        metafunc.fixturenames.remove("site")
        metafunc.fixturenames.insert(0, "site")


def vary(metafunc: pytest.Metafunc, name: str, values: Mapping[str, object], *, short: int) -> None:
    """Run a test once for each value, unless it chooses its own; only so many in the short run."""
    marks = metafunc.definition.iter_markers("parametrize")
    own = any(name in str(mark.args[0]).replace(",", " ").split() for mark in marks)
    if name in metafunc.fixturenames and not own:
        params = [
            pytest.param(value, id=words, marks=[pytest.mark.long] if number >= short else [])
            for number, (words, value) in enumerate(values.items())
        ]
        metafunc.parametrize(name, params, indirect=True)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(request: pytest.FixtureRequest) -> Iterator[None]:
    """Note at once what fails after a fixture's `yield`: its report comes when all is torn down."""
    add = request.addfinalizer

    def add_watched(finalizer: Callable[[], object]) -> None:
        add(lambda: watched(request.node, finalizer))

    request.addfinalizer = add_watched  # type: ignore[method-assign]
    return (yield)


def watched(node: pytest.Item, finalizer: Callable[[], object]) -> None:
    try:
        finalizer()
    except BaseException:
        node.stash[FAILED] = True
        raise


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Note a failure for what comes after it, and show with it what our server said meanwhile."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if not report.failed:
        return
    item.stash[FAILED] = True
    site = getattr(item, "funcargs", {}).get("site")
    if site is not None:
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
        config = terminalreporter.config
        asked = list(map(str, config.invocation_params.args))
        python = os.path.relpath(sys.executable, config.invocation_params.dir)
        python = sys.executable if python.startswith(os.pardir) else python
        again = [python, "-m", "pytest", *(["-p", "e2e.plugin"] if "e2e.plugin" in asked else [])]
        base_url = config.getoption("--base-url")
        again += ["--base-url", base_url] if base_url else []
        again += [] if config.option.markexpr else ["-m", ""]
        for test in self._failed:
            path, *name = test.split("::")
            there = os.path.relpath(config.rootpath / path, config.invocation_params.dir)
            terminalreporter.line(shlex.join([*again, "::".join([there, *name])]))
            for kind, path in self._kept[test]:
                tool = [python, "-m", "playwright", "show-trace"] if kind == "trace" else []
                terminalreporter.line(f"  {shlex.join([*tool, path])}")


class Pages:
    """How many pages the tests came to, and how many kinds of them were looked at."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            told = dict(report.user_properties)
            self._counts.update({name: told.get(name, 0) for name in (SHOWN, LOOKED_AT)})

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._counts[SHOWN]:
            terminalreporter.line(
                f"{self._counts[SHOWN]} páginas vistas; {self._counts[LOOKED_AT]}, con algo nuevo,"
                " examinadas."
            )
