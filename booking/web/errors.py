"""What went wrong, in the reader's language, and what to do now; never a traceback."""

import logging

from flask import Flask, Response, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from peewee import OperationalError
from werkzeug.exceptions import HTTPException

from booking.gateway import ChangedMeanwhile, KeyReused, NotYours
from booking.lifecycle import IllegalTransition
from booking.operations.limits import TooOften
from booking.operations.second_factor import SessionGone
from booking.web.fragments import render, see_other

log = logging.getLogger(__name__)

LAST_RESORT = (
    '<!doctype html><html lang="es"><title>Algo falló</title><h1>Algo falló de nuestro lado</h1>'
    "<p>Inténtelo de nuevo en un momento o llame a su consultorio.</p></html>"
)


def init_app(app: Flask) -> None:
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(NotYours, lambda _error: problem(404))
    app.register_error_handler(ChangedMeanwhile, lambda _error: problem(409))
    app.register_error_handler(IllegalTransition, lambda _error: problem(409))
    app.register_error_handler(KeyReused, lambda _error: problem(422))
    app.register_error_handler(TooOften, _too_often)
    # The door leads on whoever a first tap let in already.
    app.register_error_handler(SessionGone, lambda _error: see_other(url_for("portal.index")))
    app.register_error_handler(OverflowError, lambda _error: problem(404))  # No row has such an id.
    app.register_error_handler(OperationalError, _busy)
    app.register_error_handler(Exception, _unexpected)


def problem(status: int, *, title: str | None = None, advice: str | None = None) -> Response:
    """A page that says what happened and what to do."""
    known_title, known_advice = _words(status)
    return render(
        "errors/problem.html",
        status=status,
        title=title or known_title,
        advice=advice or known_advice,
    )


def _words(status: int) -> tuple[str, str]:
    words = {
        400: (
            _("No pudimos leer lo que envió su navegador"),
            _("Vuelva a la página anterior e inténtelo otra vez."),
        ),
        404: (
            _("Esta página no existe"),
            _("Quizá el enlace esté incompleto o la página sea de otra persona."),
        ),
        405: (
            _("Esta dirección no se abre así"),
            _("Vuelva al portal y siga desde allí."),
        ),
        409: (
            _("Esto cambió mientras usted lo veía"),
            _(
                "Alguien fue más rápido, o el plazo terminó. Vuelva a abrir la página para ver cómo"
                " quedó."
            ),
        ),
        413: (_("Lo que envió es demasiado largo"), _("Escriba un texto más corto.")),
        422: (
            _("Este formulario ya se había enviado con otros datos"),
            _("Vuelva a abrir la página y revise cómo quedó antes de enviarlo de nuevo."),
        ),
        429: (_("Demasiados intentos"), _("Espere unos minutos e inténtelo de nuevo.")),
        503: (
            _("El portal está ocupado"),
            _("No se perdió nada. Espere unos segundos y vuelva a intentarlo."),
        ),
    }
    return words.get(
        status,
        (
            _("Algo falló en el portal"),
            _("El error quedó anotado. Inténtelo de nuevo en un momento o llame al consultorio."),
        ),
    )


def _http(error: HTTPException) -> Response:
    if error.code is not None and error.code < 400:
        return error.get_response()  # type: ignore[return-value] # A redirect (added slash).
    response = problem(error.code or 500)
    if error.code == 405:
        response.headers["Allow"] = ", ".join(getattr(error, "valid_methods", None) or ["GET"])
    return response


def _too_often(error: TooOften) -> Response:
    minutes = -(-error.seconds // 60)
    response = problem(
        429,
        advice=ngettext(
            "Por seguridad, espere %(n)s minuto e inténtelo de nuevo.",
            "Por seguridad, espere %(n)s minutos e inténtelo de nuevo.",
            minutes,
            n=minutes,
        ),
    )
    response.headers["Retry-After"] = str(error.seconds)
    return response


def _busy(error: OperationalError) -> Response:
    log.warning("database: %s", error)
    response = problem(503)
    response.headers["Retry-After"] = "5"
    return response


def _unexpected(error: Exception) -> Response:
    log.exception("%s %s", request.method, request.path, exc_info=error)
    try:
        return problem(500)
    except Exception:  # What broke the page may break the page that says so.
        log.exception("the page about a failure failed, too")
        return Response(LAST_RESORT, 500)
