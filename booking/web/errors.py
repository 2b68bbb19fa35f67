"""What went wrong, in the reader's language, and what to do now; never a traceback."""

import errno
import logging
from datetime import timedelta
from typing import Any

import apsw
from flask import Flask, Response, current_app, g, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from peewee import DatabaseError, InterfaceError, OperationalError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from booking import availability, levels
from booking.gateway import ChangedMeanwhile, KeyReused, NotYours
from booking.levels import DatabaseIsNewer
from booking.lifecycle import IllegalTransition
from booking.logs import kinds, trace
from booking.operations.limits import Limited, TooOften
from booking.operations.second_factor import SessionGone
from booking.web.access import NotSignedIn, return_path
from booking.web.fragments import render, see_other
from booking.web.urls import now

log = logging.getLogger(__name__)

RETRY_SECONDS = 5
LOOK_AGAIN = timedelta(seconds=5)  # Whether somebody updated the database under us.
DISK_FAULTS = {
    errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENOSPC, errno.EROFS,
}  # fmt: skip
SECRET_WORDS = ("codigo", "clave", "secret", "totp")  # In names of fields that no page repeats.
REFUSED = {400, 404, 410, 413, 429}  # Not ours, not there or not theirs, over, too much.
FREE_TEXT = {"nota", "texto"}  # What people write in their own words stays in sight.
WRITTEN = FREE_TEXT | {"motivo", "nombre", "telefono", "correo"}  # And this is typed, not chosen.
MOST_SHOWN = 256 * 1024  # Of a form that is too long; even that is not shown of a longer one.

LAST_RESORT = (
    '<!doctype html><html lang="es"><title>Algo falló</title><h1>Algo falló de nuestro lado</h1>'
    "<p>Inténtelo de nuevo en un momento o llame a su consultorio.</p></html>"
)


def init_app(app: Flask) -> None:
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(NotSignedIn, _at_the_door)
    app.register_error_handler(NotYours, lambda _error: problem(404))
    app.register_error_handler(ChangedMeanwhile, lambda _error: problem(409))
    app.register_error_handler(IllegalTransition, lambda _error: problem(409))
    app.register_error_handler(KeyReused, lambda _error: problem(422))
    app.register_error_handler(TooOften, _too_often)
    # The door leads on whoever a first tap let in already.
    app.register_error_handler(SessionGone, lambda _error: see_other(url_for("portal.index")))
    app.register_error_handler(OverflowError, lambda _error: problem(404))  # No row has such an id.
    for fault in (OperationalError, InterfaceError, apsw.Error, DatabaseIsNewer):
        app.register_error_handler(fault, _unavailable)
    app.register_error_handler(DatabaseError, _database)
    app.register_error_handler(OSError, _system)
    app.register_error_handler(Exception, _unexpected)
    app.before_request(_refuse_newer_database)
    app.after_request(_note_refusal)


def _note_refusal(response: Response) -> Response:
    """One line about what was refused: by which rule and to which account, and no name or path."""
    lost = response.status_code == 404 and request.url_rule is None  # A mistyped address.
    if response.status_code in REFUSED and not lost:
        account = getattr(g.get("_login_user"), "account", None)
        log.warning(
            "refused with %s: %s, account %s",
            response.status_code,
            request.url_rule,
            account and account.id,
        )
    return response


def problem(
    status: int, *, title: str | None = None, advice: str | None = None, **retry: Any
) -> Response:
    """A page that says what happened and what to do."""
    known_title, known_advice = _words(status)
    return render(
        "errors/problem.html",
        status=status,
        title=title or known_title,
        advice=advice or known_advice,
        **retry,
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
            _("El portal no está disponible en este momento"),
            _(
                "No se perdió nada, y lo que escribió sigue aquí. Espere unos segundos y vuelva a"
                " intentarlo."
            ),
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
    if isinstance(error, RequestEntityTooLarge):
        return _too_long()
    response = problem(error.code or 500)
    if error.code == 405:
        response.headers["Allow"] = ", ".join(getattr(error, "valid_methods", None) or ["GET"])
    return response


def _too_long() -> Response:
    """What was typed comes back to be made shorter, unless it is longer than any page."""
    request.max_content_length = MOST_SHOWN
    return problem(413, **_retry())


def _sent() -> list[tuple[str, str]]:
    """The fields of a form; of one that is too long even to be shown, none."""
    try:
        return list(request.form.items(multi=True)) if request.method == "POST" else []
    except RequestEntityTooLarge:
        return []


def _at_the_door(error: NotSignedIn) -> Response:
    """Signing in comes first; the way there loses what was written, so that is shown once more."""
    written = [value for name, value in _sent() if name in WRITTEN and value.strip()]
    if not written:
        return see_other(error.door)
    return problem(
        401,
        title=_("Por seguridad, vuelva a entrar"),
        advice=_("No se guardó lo que escribió. Cópielo antes de iniciar sesión."),
        written=written,
        door=error.door,
    )


def _too_often(error: TooOften) -> Response:
    minutes = -(-error.seconds // 60)
    wait = ngettext(
        "Por seguridad, espere %(n)s minuto e inténtelo de nuevo.",
        "Por seguridad, espere %(n)s minutos e inténtelo de nuevo.",
        minutes,
        n=minutes,
    )
    if error.kind in (Limited.MAIL, Limited.ADDRESS):
        found = _("Busque el más reciente, también en el correo no deseado.")
        response = problem(429, title=_("Ya le enviamos varios correos"), advice=f"{found} {wait}")
    elif error.kind is Limited.CODE:
        response = problem(
            429,
            title=_("Use el enlace del correo"),
            advice=_(
                "Por seguridad, hoy el código ya no sirve con esta dirección. El enlace del mismo"
                " correo sí: ábralo y toque el botón."
            ),
        )
    elif error.kind is Limited.APP:
        response = problem(
            429,
            title=_("Use un código de recuperación"),
            advice=_(
                "Por seguridad, hoy ya no sirven los códigos de la aplicación. Use uno de sus"
                " códigos de recuperación, o pida a quien administra el consultorio que quite la"
                " verificación en dos pasos."
            ),
        )
    else:
        response = problem(429, advice=wait, **_retry())
    response.headers["Retry-After"] = str(error.seconds)
    return response


def _refuse_newer_database() -> None:
    """Do nothing with tables whose meaning has changed since this process began."""
    seen = current_app.extensions.setdefault("level_seen", now())  # Starting, it looked.
    if not timedelta() <= now() - seen < LOOK_AGAIN:
        levels.refuse_newer()
        current_app.extensions["level_seen"] = now()


def _database(error: DatabaseError) -> Response:
    """A damaged file is everybody's trouble; a refused row is a defect of ours."""
    return _unavailable(error) if type(error) is DatabaseError else _unexpected(error)


def _system(error: OSError) -> Response:
    """The database has files of its own beside it, and those meet the disk without its help."""
    return _unavailable(error) if error.errno in DISK_FAULTS else _unexpected(error)


def _unavailable(error: Exception) -> Response:
    """The database does not answer: a page that asks it nothing and loses nothing typed."""
    log.error("%s %s: %s", request.method, request.url_rule, kinds(error))
    availability.begin_page(availability.remembered())
    if "_login_user" not in g:  # Nobody knows who it is, and asking would fail again.
        g._login_user = current_app.login_manager.anonymous_user()  # type: ignore[attr-defined]
    response = problem(503, **_retry())
    response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


def _retry() -> dict[str, Any]:
    """How to try again: the same form with the same one-time key, or a link."""
    fields = _sent()
    if not fields or any(word in name for name, _ in fields for word in SECRET_WORDS):
        return {"again": return_path()}
    return {
        "again": request.full_path.rstrip("?"),
        "typed": [
            (name, value, name in FREE_TEXT or "\n" in value or len(value) > 100)
            for name, value in fields
        ],
    }


def _unexpected(error: Exception) -> Response:
    # The rule and not the path, which may end in a link's token.
    log.error("%s %s\n%s", request.method, request.url_rule, trace(error))
    try:
        return problem(500)
    except Exception as again:  # What broke the page may break the page that says so.
        log.error("the page about a failure failed, too\n%s", trace(again))
        return Response(LAST_RESORT, 500)
