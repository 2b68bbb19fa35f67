"""In which language a page speaks: Spanish until the reader chooses otherwise."""

from babel.support import NullTranslations
from flask import Flask, g, session
from flask_babel import Babel, Domain
from markupsafe import Markup

from booking.availability import plan
from booking.language import DEFAULT, LANGUAGES, Speech, speech_of, stop
from booking.web.access import account_or_none


class _Words(Domain):  # type: ignore[misc]
    """The catalogue of this request's speech, so that pages and letters say the same."""

    def get_translations(self) -> NullTranslations:
        return say().catalogue


class _Babel(Babel):  # type: ignore[misc]
    domain_instance = _Words()  # One for good: Flask-Babel's own reads its files at each request.


def init_app(app: Flask) -> None:
    _Babel(app, locale_selector=lambda: say().code)
    # Straight: pages say dozens of things, and each would pass through four functions more.
    app.jinja_env.globals.update({"_": _said, "ngettext": _counted})
    app.jinja_env.filters["stop"] = stop
    app.context_processor(lambda: {"say": say(), "languages": LANGUAGES})


def _said(text: str, /, **values: object) -> Markup:
    return Markup(say().catalogue.gettext(text)) % values  # noqa: S704 - ours; values are escaped.


def _counted(one: str, many: str, count: int, /, **values: object) -> Markup:
    return Markup(say().catalogue.ngettext(one, many, count)) % values  # noqa: S704


def say() -> Speech:
    """How this request's pages speak."""
    found: Speech | None = g.get("speech")
    if found is None:
        account = account_or_none()
        chosen = session.get("lang") or (account.language if account else DEFAULT)
        found = speech_of(plan().practice, chosen if chosen in LANGUAGES else DEFAULT)
        g.speech = found
    return found
