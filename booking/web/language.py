"""In which language a page speaks: Spanish until the reader chooses otherwise."""

from flask import Flask, g, session
from flask_babel import gettext, ngettext

from booking.availability import plan
from booking.language import CATALOGUES, DEFAULT, LANGUAGES, Speech, speech, stop
from booking.web.access import account_or_none

__all__ = ["CATALOGUES", "gettext", "init_app", "locale", "ngettext", "say"]


def init_app(app: Flask) -> None:
    app.jinja_env.filters["stop"] = stop
    app.context_processor(lambda: {"say": say(), "languages": LANGUAGES})


def say() -> Speech:
    """How this request's pages speak."""
    if "speech" not in g:
        account = account_or_none()
        chosen = session.get("lang") or (account.language if account else DEFAULT)
        g.speech = speech(chosen if chosen in LANGUAGES else DEFAULT, plan().practice.region)
    found: Speech = g.speech
    return found


def locale() -> str:
    """The catalogue's code, for Flask-Babel."""
    return say().code
