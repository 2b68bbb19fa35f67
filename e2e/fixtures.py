"""What a test with a browser may ask for; each is a row of docs/qa.md."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Protocol

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    expect,
)

from e2e import network as networks
from e2e.browser import PATIENCE, SCREENS, launch_options
from e2e.looking import Lookout, read_all
from e2e.mail import Mailbox
from e2e.site import Refused, Scene, Site, local_site

FIRST = "vacio"
SHOWN, LOOKED_AT = "pages shown", "pages looked at"
FAILED = pytest.StashKey[bool]()  # Whether the test has failed so far.
EXPECTED = (
    "Failed to load resource",  # Each refused form (422, 409, 410); that is our answer.
    "htmx:sendAbort",  # A second tap abandoned the first,
    "htmx:afterRequest",  # whose end is told, too; what fails otherwise has a name of its own.
)
BROKEN = ("htmx:sendError",)  # On a network that breaks, that is no defect.
# What is swapped in brings its heading, or another place to go on from, and the focus goes there.
FOCUS = """addEventListener("htmx:afterSettle", ({target}) => {
  const place = target.querySelector("[autofocus]")
  if (place && place != document.activeElement)
    console.error(`el foco no está en «${place.innerText}», en ${location.pathname}`)
})"""
expect.set_options(timeout=PATIENCE)


class Complaints(list[str]):
    """What the pages of a test complained about, but for what is expected of them."""

    expected: tuple[str, ...] = EXPECTED


class SignIn(Protocol):
    """A device on which somebody signed in before, at their first page."""

    def __call__(self, who: str = "", *, factor_shown: bool = True) -> Page: ...


@contextmanager
def one_sentence() -> Iterator[None]:
    """What the portal refuses fails the test with its sentence, and without a traceback."""
    try:
        yield
    except Refused as refused:
        raise pytest.fail.Exception(str(refused), pytrace=False) from None


# The portal.


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One for all tests of this process: our own, or the one that `--base-url` names."""
    with one_sentence():
        if pytestconfig.getoption("--base-url"):
            yield deployed(pytestconfig)
        else:
            with local_site(tmp_path_factory.mktemp("portal")) as found:
                yield found


def deployed(config: pytest.Config) -> Site:
    """The portal that `--base-url` names.

    Raises:
        Refused: it cannot be used like this.
    """
    url, key = config.getoption("--base-url"), config.getoption("--qa-key")
    if not str(url).startswith(("http://", "https://")):
        raise Refused(f"--base-url debe ser una dirección, como https://qa.ejemplo.mx, no «{url}».")
    if not key:
        raise Refused(f"Falta la llave de {url}: --qa-key o APP_QA_KEY.")
    if getattr(config.option, "numprocesses", None) not in (None, 0, 1):
        raise Refused("Un portal desplegado tiene un solo libro y un solo reloj: quite -n.")
    return Site(url, key)


@pytest.fixture(scope="session")
def base_url(server: Site) -> str:
    """Where `page.goto("/citas")` leads."""
    return server.url


@pytest.fixture
def site(
    server: Site,
    lookout: Lookout,
    devices: list[BrowserContext],
    complaints: Complaints,
    request: pytest.FixtureRequest,
) -> Iterator[Site]:
    """The portal as the scenario «vacio» has it.

    After the test its book must be sound, and so must be every page that anybody was shown. Until
    that is known the devices stay open, since of a test that fails something is kept.
    """
    server.said()
    with one_sentence():
        server.load(FIRST)
        server.pages()
    yield server
    assert server.violations() == {}
    shown = server.pages()
    callspec = getattr(request.node, "callspec", None)
    scripts = callspec is None or callspec.params.get("javascript", True)
    looked_at = lookout.look(shown, scenario=server.scene.name, javascript=scripts)
    # Not by `record_property`, which a report in JUnit's form does not take.
    request.node.user_properties += [(SHOWN, len(shown)), (LOOKED_AT, len(looked_at))]
    wrong = dict.fromkeys(  # In their order, each once.
        f"{page.endpoint} ({page.status}) {page.path}: {problem}"
        for page, problems in [*read_all(shown), *looked_at]
        for problem in problems
    )
    if wrong:
        pytest.fail("\n".join(["Páginas que no están en regla:", *wrong]), pytrace=False)
    if not complaints and FAILED not in request.node.stash:
        for context in devices:
            let_go(context, request.config)


def let_go(context: BrowserContext, config: pytest.Config) -> None:
    """Make no picture and no trace where nothing failed: they would be thrown away."""
    if config.getoption("--screenshot") == "only-on-failure":
        for page in context.pages:
            page.close()
    if config.getoption("--tracing") == "retain-on-failure":
        context.tracing.stop()
        context.tracing.start()  # What closes the context stops one.


@pytest.fixture(scope="session")
def lookout(
    browser: Browser,
    server: Site,
    pytestconfig: pytest.Config,
    tmp_path_factory: pytest.TempPathFactory,
) -> Lookout:
    """Looks at every kind of page that the tests come to, once a run."""
    base = tmp_path_factory.getbasetemp()
    seen = (base.parent if hasattr(pytestconfig, "workerinput") else base) / "seen"
    seen.mkdir(exist_ok=True)
    return Lookout(browser, server, seen)


@pytest.fixture
def scenario(site: Site, clock: "Clock") -> Callable[[str], Scene]:
    """`scenario("pendiente")`: the whole book as the scenario has it, and who is in it."""

    def load(name: str) -> Scene:
        with one_sentence():
            site.load(name)
        clock.show()
        return site.scene

    return load


class Clock:
    """One clock for server, worker, planner, solver and every open page; it stands still."""

    def __init__(self, site: Site) -> None:
        self._site, self._contexts = site, list[BrowserContext]()

    def now(self) -> datetime:
        return self._site.now()

    def set(self, moment: datetime) -> None:
        """Move it there, and let the worker do what that makes due."""
        self._site.set_clock(moment)
        self._site.work()
        self.show()

    def advance(self, step: timedelta) -> None:
        self.set(self.now() + step)

    def show(self) -> None:
        """Let every open page read the portal's time; its timers run on."""
        moment = self.now()
        for context in self._contexts:
            context.clock.set_fixed_time(moment)

    def govern(self, context: BrowserContext) -> None:
        """From now on the pages of this context read this clock."""
        self._contexts.append(context)
        context.clock.set_fixed_time(self.now())


@pytest.fixture
def clock(site: Site) -> Clock:
    """The one clock."""
    return Clock(site)


@pytest.fixture
def mailbox(site: Site) -> Mailbox:
    """All mail, taken apart; to look into it lets the worker do its round."""
    return Mailbox(site)


# Devices.


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, object]) -> dict[str, object]:
    return launch_options(os.environ.get("CHROMIUM")) | browser_type_launch_args


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, object]) -> dict[str, object]:
    return {"locale": "es-MX", "timezone_id": "America/Mexico_City"} | browser_context_args


@pytest.fixture
def screen(request: pytest.FixtureRequest) -> str:
    """What the portal is looked at on: a key of SCREENS."""
    return str(request.param)


@pytest.fixture
def javascript(request: pytest.FixtureRequest) -> bool:
    """Whether pages may run scripts."""
    return bool(request.param)


@pytest.fixture
def complaints() -> Complaints:
    return Complaints()


@pytest.fixture
def devices(new_context: Callable[..., BrowserContext]) -> list[BrowserContext]:
    """Those that the test has used so far; they are closed after everything else."""
    return []


@pytest.fixture
def new_page(
    request: pytest.FixtureRequest,
    new_context: Callable[..., BrowserContext],
    devices: list[BrowserContext],
    site: Site,
    clock: Clock,
    complaints: Complaints,
    screen: str,
    javascript: bool,
) -> Iterator[Callable[[], Page]]:
    """Another device with nothing in it; what its console complains about fails the test."""
    tracing = request.config.getoption("--tracing")

    def open_one() -> Page:
        context = new_context(java_script_enabled=javascript, **SCREENS[screen])
        devices.append(context)
        context.on("close", lambda closed: devices.remove(closed))
        if tracing == "retain-on-failure":
            # Without its film, which is a quarter of the work and shows what the snapshots show.
            context.tracing.stop()
            context.tracing.start(title=request.node.name, snapshots=True, sources=True)
        context.set_default_timeout(PATIENCE)
        if javascript:
            clock.govern(context)
            context.add_init_script(FOCUS)
        context.on("page", lambda tab: listen(tab, complaints, site.url))
        return context.new_page()

    yield open_one
    if complaints:
        pytest.fail("\n".join(["Las páginas se quejaron:", *complaints]), pytrace=False)


def listen(page: Page, complaints: Complaints, portal: str) -> None:
    """Collect what must not happen.

    That is a defect, something the policy bars, a fault of the server, or a word to anybody else.
    """

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(complaints.expected):
            complaints.append(message.text)

    def look(response: Response) -> None:
        if response.status >= 500 and not response.from_service_worker:  # «No hay conexión».
            complaints.append(f"{response.status} {response.request.method} {response.url}")

    def watch(asked: Request) -> None:
        if not asked.url.startswith((f"{portal}/", "data:", "blob:", "about:")):
            complaints.append(f"pide algo a otro sitio: {asked.url}")

    page.on("console", note)
    page.on("request", watch)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("response", look)


@pytest.fixture
def page(new_page: Callable[[], Page]) -> Page:
    """The first device."""
    return new_page()


@pytest.fixture
def as_client(new_page: Callable[[], Page], site: Site) -> SignIn:
    """`as_client()`: the scenario's first client; or whoever is named, by name or address."""
    return _signer(new_page, site, lambda: site.scene.client.email)


@pytest.fixture
def as_clinician(new_page: Callable[[], Page], site: Site) -> SignIn:
    """`as_clinician()`: the practice's first."""
    return _signer(new_page, site, lambda: site.scene.clinician.email)


@pytest.fixture
def as_manager(new_page: Callable[[], Page], site: Site) -> SignIn:
    """`as_manager()`: whoever runs the practice."""
    return _signer(new_page, site, lambda: site.scene.manager.email)


def _signer(new_page: Callable[[], Page], site: Site, usual: Callable[[], str]) -> SignIn:
    def enter(who: str = "", *, factor_shown: bool = True) -> Page:
        page = new_page()
        with one_sentence():
            site.sign_in(page.context, who or usual(), factor_shown=factor_shown)
        page.goto("/")
        return page

    return enter


@pytest.fixture
def network(complaints: Complaints) -> Callable[[Page, str], None]:
    """`network(page, "slow3g")`: from now on that page is on that network."""

    def put(page: Page, name: str) -> None:
        if name not in networks.PROFILES:
            known = ", ".join(networks.PROFILES)
            pytest.fail(f"No hay ninguna red «{name}». Las que hay: {known}.", pytrace=False)
        profile = networks.PROFILES[name]
        if profile.offline or profile.loses_reply:
            complaints.expected += BROKEN
        networks.put_on(page, profile)

    return put
