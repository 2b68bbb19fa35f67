"""In which language a page speaks: Spanish until the reader chooses otherwise."""

from contextvars import ContextVar

from babel.support import NullTranslations
from flask import Flask, session
from flask_babel import Babel, Domain

from booking.availability import plan
from booking.language import DEFAULT, LANGUAGES, Speech, speech_of, stop
from booking.web.access import account_or_none

_speech: ContextVar[Speech | None] = ContextVar("speech", default=None)  # Of this request.


class _Words(Domain):  # type: ignore[misc]
    """The catalogue of this request's speech, so that pages and letters say the same."""

    def get_translations(self) -> NullTranslations:
        return say().catalogue


class _Babel(Babel):  # type: ignore[misc]
    domain_instance = _Words()  # One for good: Flask-Babel's own reads its files at each request.


def init_app(app: Flask) -> None:
    _Babel(app, locale_selector=lambda: say().code)
    # Straight, for templates: Flask-Babel would look for the request's catalogue at each text.
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: say().catalogue.gettext(text),
        lambda one, many, n: say().catalogue.ngettext(one, many, n),
        newstyle=True,
    )
    app.jinja_env.globals["_"] = app.jinja_env.globals["gettext"]  # Not by a function in between.
    app.jinja_env.filters["stop"] = stop
    app.context_processor(lambda: {"say": say(), "languages": LANGUAGES})
    app.teardown_request(_forget)


def say() -> Speech:
    """How this request's pages speak; asked for each of their texts."""
    found = _speech.get()
    if found is None:
        account = account_or_none()
        chosen = session.get("lang") or (account.language if account else DEFAULT)
        found = speech_of(plan().practice, chosen if chosen in LANGUAGES else DEFAULT)
        _speech.set(found)
    return found


def _forget(_error: BaseException | None) -> None:
    _speech.set(None)
