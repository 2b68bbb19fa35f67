"""Networks as bad as our clients have them, on one page of Chromium; the numbers of our budgets."""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

from playwright.sync_api import CDPSession, Error, Page, Route

EVERYTHING = "**/*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A network, and the telephone that is usually on it."""

    says: str  # In Spanish, for docs/qa.md.
    kbit_s: float | None = None  # Both ways; None: as fast as it goes.
    round_trip_ms: int = 0
    cpu_slower: int = 1
    offline: bool = False
    loses_reply: bool = False


PROFILES = {
    "normal": Profile(says="sin límites"),
    "slow3g": Profile(
        says="3G lenta, en un teléfono 4 veces más lento",
        kbit_s=400,
        round_trip_ms=400,
        cpu_slower=4,
    ),
    "2g": Profile(
        says="2G, en un teléfono 6 veces más lento", kbit_s=250, round_trip_ms=800, cpu_slower=6
    ),
    "offline": Profile(says="sin red", offline=True),
    "lossy": Profile(
        says="el portal hace lo que se le envía, pero su respuesta se pierde; una vez",
        loses_reply=True,
    ),
}


_sessions: WeakKeyDictionary[Page, CDPSession] = WeakKeyDictionary()


def put_on(page: Page, profile: Profile) -> None:
    """From now on the page is on this network, whichever it was on before."""
    if page not in _sessions:  # A second one would speak against the first.
        _sessions[page] = page.context.new_cdp_session(page)
    session = _sessions[page]
    bytes_s = -1.0 if profile.kbit_s is None else profile.kbit_s * 1000 / 8
    session.send("Network.enable")
    session.send(
        "Network.emulateNetworkConditions",
        {
            "offline": profile.offline,
            "latency": profile.round_trip_ms,
            "downloadThroughput": bytes_s,
            "uploadThroughput": bytes_s,
        },
    )
    session.send("Emulation.setCPUThrottlingRate", {"rate": profile.cpu_slower})
    page.unroute(EVERYTHING, _lose_reply)
    if profile.loses_reply:
        page.route(EVERYTHING, _lose_reply)


def _lose_reply(route: Route) -> None:
    """The portal gets the form and answers, and the answer never arrives; then all is well."""
    if route.request.method != "POST":
        route.continue_()
        return
    route.fetch(max_redirects=0)
    route.abort("connectionreset")
    page = route.request.frame.page
    try:
        page.unroute(EVERYTHING, _lose_reply)
    except Error:  # The page went with its answer.
        return
