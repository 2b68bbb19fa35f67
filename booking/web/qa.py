"""What QA's tests need of a portal, as JSON behind a key: clock, rounds, mails, whole books."""

import base64
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, current_app, g, jsonify, request
from flask.typing import ResponseReturnValue

from booking import invariants, planner, worker
from booking.clock import SettableClock
from booking.mailer import FolderMailer
from booking.models import Account
from booking.qa import book, scenarios
from booking.qa.book import Nobody, NoSuchScenario, Scene
from booking.web import access
from booking.web.access import for_qa
from booking.web.urls import now, settings

bp = Blueprint("qa", __name__, url_prefix=access.QA)
FIRST_YEAR, LAST_YEAR = 2000, 2100
MOST_SECONDS = 10 * 366 * 24 * 3600
MOST_PAGES = 1000  # Whoever never asks for them must not fill the memory.


class WrongBody(Exception):
    """What was sent makes no sense; the text says what would."""


class Door:
    """Everybody passes, but for the moment in which the book behind it is replaced."""

    def __init__(self) -> None:
        self._changed, self._inside = threading.Condition(), 0

    def enter(self) -> None:
        with self._changed:
            self._inside += 1

    def leave(self) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Wait until nobody is inside, and let nobody in meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: self._inside == 0)
            yield


_door = Door()
_shown: deque[dict[str, Any]] = deque(maxlen=MOST_PAGES)


@bp.before_app_request
def _enter() -> None:
    if request.endpoint != "qa.scenario":
        _door.enter()
        g.inside = True


@bp.teardown_app_request
def _leave(_error: BaseException | None) -> None:
    if g.pop("inside", False):
        _door.leave()


@bp.after_app_request
def _note_page(response: Response) -> Response:
    """Keep what people are shown, as pages or to be swapped into one, until that is asked for."""
    if response.mimetype == "text/html" and not 300 <= response.status_code < 400:
        _shown.append(
            {
                "punto": request.endpoint or "",
                "estado": response.status_code,
                "direccion": request.full_path.rstrip("?"),
                "sesion": getattr(getattr(g.get("_login_user"), "session", None), "id", 0),
                "html": response.get_data(as_text=True),
            }
        )
    return response


@bp.errorhandler(WrongBody)
def _wrong(error: Exception) -> ResponseReturnValue:
    return jsonify(error=str(error)), 400


@bp.errorhandler(NoSuchScenario)
@bp.errorhandler(Nobody)
def _missing(error: Exception) -> ResponseReturnValue:
    return jsonify(error=str(error)), 404


@bp.route("/reloj", methods=["GET", "POST"])
@for_qa
def clock() -> Response:
    """The one clock of server, worker, planner and solver; it stands still until it is moved."""
    if request.method == "POST":
        _clock().set(_wanted_time(_body()))
    return jsonify(ahora=_clock().now().isoformat())


def _wanted_time(body: dict[str, Any]) -> datetime:
    step, moment = body.get("avanzar_segundos"), body.get("ahora")
    if type(step) is int and abs(step) <= MOST_SECONDS:
        wanted = _clock().now() + timedelta(seconds=step)
    else:
        try:
            wanted = datetime.fromisoformat(str(moment))
        except ValueError:
            raise WrongBody(
                "Diga «ahora» como 2027-03-01T15:00:00+00:00, o «avanzar_segundos» con un entero."
            ) from None
        if wanted.tzinfo is None:
            raise WrongBody("A la hora de «ahora» le falta la zona, como +00:00.")
    if not FIRST_YEAR <= wanted.year < LAST_YEAR:
        raise WrongBody(f"El reloj va del año {FIRST_YEAR} al {LAST_YEAR - 1}.")
    return wanted.replace(microsecond=0)


@bp.post("/ronda")
@for_qa
def work() -> Response:
    """One round of the worker: what is due, then the mail that is owed."""
    return jsonify(hecho=worker.tick(_clock(), _mailer(), settings()))


@bp.post("/planes")
@for_qa
def plan() -> Response:
    """Work out every joint plan that is queued."""
    done = 0
    while planner.run(_clock()):
        done += 1
    return jsonify(hecho=done)


@bp.get("/correos")
@for_qa
def mails() -> Response:
    """Every mail that was sent, whole, the oldest first."""
    sent = reversed(_mailer().messages(most=None))
    return jsonify(correos=[base64.b64encode(mail.as_bytes()).decode() for _, mail in sent])


@bp.post("/paginas")
@for_qa
def pages() -> Response:
    """Every page that somebody was shown since this was asked last, the oldest first."""
    global _shown
    shown, _shown = _shown, deque(maxlen=MOST_PAGES)
    return jsonify(paginas=list(shown))


@bp.route("/escenario", methods=["GET", "POST"])
@for_qa
def scenario() -> Response:
    """Which scenarios there are, or the book as one of them has it, in place of all that was."""
    if request.method == "GET":
        return jsonify(escenarios={each.name: each.shows for each in scenarios.ALL.values()})
    name = _text(_body(), "nombre")
    with _door.closed():
        return jsonify(_told(book.open_at(name, _clock(), _mailer(), settings())))


def _told(scene: Scene) -> dict[str, Any]:
    return {
        "nombre": scene.name,
        "ahora": scene.now.isoformat(),
        "clientes": _people(scene.clients),
        "profesionales": _people(scene.clinicians),
        "gestores": _people(scene.managers),
        "citas": scene.appointments,
    }


def _people(accounts: Iterable[Account]) -> list[dict[str, str]]:
    return [{"nombre": account.name, "correo": account.email} for account in accounts]


@bp.post("/sesion")
@for_qa
def session() -> Response:
    """The cookie of somebody who signed in; of staff, with the second factor shown or not."""
    body = _body()
    shown = body.get("segundo_paso", True)
    if type(shown) is not bool:
        raise WrongBody("«segundo_paso» debe ser true o false.")
    access.enter(book.sign_in(_text(body, "quien"), factor_shown=shown, now=now()))
    return jsonify(quien=access.account().email)


@bp.get("/invariantes")
@for_qa
def violations() -> Response:
    """What must never be true of a book, and is."""
    found = invariants.violations()
    return jsonify(rotas={name: [str(row) for row in rows] for name, rows in found.items()})


def _body() -> dict[str, Any]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise WrongBody("El cuerpo debe ser un objeto JSON.")
    return body


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.isprintable():
        raise WrongBody(f"Falta «{name}», un texto.")
    return value


def _clock() -> SettableClock:
    found: SettableClock = current_app.extensions["clock"]
    return found


def _mailer() -> FolderMailer:
    found: FolderMailer = current_app.extensions["mailer"]
    return found
