"""What a request knows from the start: the time, the settings, and files by their hashed names."""

import hashlib
import json
import mimetypes
import re
from datetime import datetime
from functools import cache
from pathlib import Path

from flask import Flask, Response, abort, current_app, g, request, url_for
from flask.sessions import SecureCookieSessionInterface, SessionMixin

from booking import availability
from booking.clock import Clock
from booking.db import database, release
from booking.language import LANGUAGES, speech
from booking.settings import Settings
from booking.web.access import FILE, of, public
from booking.web.compression import compress, encoding

STATIC = Path(__file__).parent.parent.parent / "static"
FOREVER = "public, max-age=31536000, immutable"
HTMX, SCRIPT = "htmx-2.0.11.min.js", "portal.js"
IDLE = re.compile(rb"/\*.*?\*/|\s*([{};,])\s*|(?<=:) ", re.DOTALL)  # What a stylesheet can spare.


def _(text: str) -> str:
    return text


UNHEARD = _("No hay conexión. Lo que escribió sigue aquí: inténtelo otra vez cuando vuelva.")


class Sessions(SecureCookieSessionInterface):
    """What is public is the same for everybody: it neither depends on a cookie nor sets one."""

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if not response.cache_control.public:
            super().save_session(app, session, response)


def init_app(app: Flask) -> None:
    app.session_interface = Sessions()
    app.before_request(_begin)
    app.teardown_request(_end)
    app.add_url_rule("/static/<digest>/<path:filename>", "hashed_file", hashed_file)
    app.jinja_env.globals["static"] = static


def settings() -> Settings:
    """The running application's settings."""
    found: Settings = current_app.extensions["settings"]
    return found


def _begin() -> None:
    clock: Clock = current_app.extensions["clock"]
    g.now = clock.now()
    database.connect(reuse_if_open=True)
    availability.begin_page()


def _end(_error: BaseException | None) -> None:
    availability.end_page()
    release()


def now() -> datetime:
    """The instant at which this request came in."""
    instant: datetime = g.now
    return instant


@cache
def static(filename: str) -> str:
    """The address of a file; it changes with the file, so that browsers may keep it for good."""
    digest = hashlib.sha256(_content(filename)).hexdigest()[:10]
    return url_for("hashed_file", digest=digest, filename=filename)


@public
@of(FILE.named("digest"), FILE)
def hashed_file(digest: str, filename: str) -> Response:
    """A file of ours, compressed as well as can be, once."""
    if filename not in _files() or static(filename).split("/")[2] != digest:
        abort(404)
    chosen = encoding()
    response = Response(_packed(filename, chosen), mimetype=mimetypes.guess_type(filename)[0])
    if chosen:
        response.headers["Content-Encoding"] = chosen
    response.headers["Cache-Control"] = FOREVER
    response.headers["Vary"] = "Accept-Encoding"
    response.set_etag(digest, weak=True)  # Every encoding of it is the same file.
    response.make_conditional(request)
    return response


def revalidated(response: Response) -> Response:
    """An answer with nobody's data: kept, and asked for anew, without a body if it is the same."""
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag(weak=True)
    response.make_conditional(request)
    return response


@cache
def _files() -> frozenset[str]:
    """What there is: a name from outside is looked up here, never in the file system."""
    return frozenset(p.relative_to(STATIC).as_posix() for p in STATIC.rglob("*") if p.is_file())


@cache
def _packed(filename: str, encoding: str) -> bytes:
    return compress(_content(filename), encoding, ahead=True)


def _content(filename: str) -> bytes:
    """What is served under a name; our script has htmx before it, and its words."""
    content = (STATIC / filename).read_bytes()
    if filename == SCRIPT:
        said = {code: speech(code).gettext(UNHEARD) for code in LANGUAGES}
        words = f"const UNHEARD = {json.dumps(said, ensure_ascii=False)};"
        return b"\n".join([(STATIC / HTMX).read_bytes(), words.encode(), content])
    return IDLE.sub(rb"\1", content) if filename.endswith(".css") else content
