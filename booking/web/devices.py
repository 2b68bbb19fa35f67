"""What a browser tells about itself: no more than its owner needs to know it again in a list."""

import ipaddress
from datetime import timedelta
from urllib.parse import urlsplit

from flask import Response, request
from flask_babel import gettext as _

from booking.operations.second_factor import REMEMBERED
from booking.operations.signing_in import Browser
from booking.web.urls import settings

# The first that is in the user agent's text: most of them also name those further down.
BROWSERS = (
    ("Edg", "Edge"), ("OPR", "Opera"), ("SamsungBrowser", "Samsung"),
    ("Firefox", "Firefox"), ("FxiOS", "Firefox"), ("CriOS", "Chrome"), ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)  # fmt: skip
SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"),
    ("CrOS", "ChromeOS"), ("Macintosh", "Mac"), ("Linux", "Linux"),
)  # fmt: skip


# What a browser keeps for us beside the session: which one asked for a code by mail, and that its
# owner has shown the second factor on it.
ASKED, REMEMBERED_AS = "navegador", "dispositivo"


def browser(*, cookie: str = "") -> Browser:
    """The browser of this request."""
    return Browser(
        cookie=cookie,
        device=kept(REMEMBERED_AS),
        name=_name(request.user_agent.string),
        demo=settings().demo and not settings().qa,  # What QA looks at is as in production.
    )


def network() -> str:
    """Who shares a limit with this browser: its public address, of IPv6 the network (RFC 4941).

    Nobody behind an address that is not public: that is a proxy of ours or the practice's own.
    """
    try:
        address = _address(request.remote_addr or "")
    except ValueError:
        return ""
    if not address.is_global:
        return ""
    if address.version == 6:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _address(said: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """What a proxy calls it: some add the port, some write IPv4 as IPv6 (RFC 4291, 2.5.5.2).

    Raises:
        ValueError: it is no address.
    """
    try:
        address = ipaddress.ip_address(said)
    except ValueError:
        address = ipaddress.ip_address(urlsplit(f"//{said}").hostname or "")
    mapped = address.ipv4_mapped if address.version == 6 else None
    return mapped or address


def _name(user_agent: str) -> str:
    names = [
        next((name for mark, name in known if mark in user_agent), "")
        for known in (BROWSERS, SYSTEMS)
    ]
    return "·".join(names) if any(names) else ""


def words(name: str) -> str:
    """«Chrome en Android»."""
    program, _dot, system = name.partition("·")
    if program and system:
        return _("%(browser)s en %(system)s", browser=program, system=system)
    return program or system or _("Navegador desconocido")


def remember(response: Response, token: str) -> None:
    """Let this browser be known again, for as long as the second factor is remembered on it."""
    keep(response, REMEMBERED_AS, token, lasting=REMEMBERED)


def kept(name: str) -> str:
    """What this browser was given to keep, or nothing."""
    return request.cookies.get(settings().cookie_name(name), "")


def keep(response: Response, name: str, value: str, *, lasting: timedelta) -> None:
    """Give this browser something to keep, out of reach of scripts and other sites."""
    response.set_cookie(
        settings().cookie_name(name),
        value,
        max_age=lasting,
        httponly=True,
        samesite="Lax",
        secure=settings().secure,
    )
