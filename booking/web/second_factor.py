"""«Verificación en dos pasos»: what staff do between their mail's code and the portal."""

from collections.abc import Callable

import segno
from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from booking import authenticator
from booking.availability import plan
from booking.models import Factor
from booking.operations import second_factor
from booking.operations.second_factor import Cleared, WrongFactor
from booking.web import access, devices
from booking.web.access import account, dangerous, for_half_in, for_staff, session
from booking.web.forms import Form
from booking.web.fragments import render, see_other
from booking.web.portal import safe_path
from booking.web.urls import now, settings

bp = Blueprint("second_factor", __name__)


@bp.route("/segundo-paso", methods=["GET", "POST"])
@for_half_in
def show() -> ResponseReturnValue:
    """The code of the app: after the mail's code, and again before what is dangerous."""
    if second_factor.of(account()) is None:
        return redirect(url_for("second_factor.activate", sig=_next_path() or None), 303)
    form = Form()
    if request.method == "POST":
        digits = form.digits("codigo")
        remember = form.checked("recordar")
        cleared = _try(
            form,
            lambda: second_factor.show_code(
                session(), digits, remember=remember, secret_key=settings().secret_key, now=now()
            ),
        )
        if cleared is not None:
            return _let_in(cleared, _next_path())
    return render(
        "second_factor/show.html",
        status=422 if form.errors else 200,
        form=form,
        next_path=_next_path(),
        pending=session().pending,
    )


@bp.route("/segundo-paso/recuperacion", methods=["GET", "POST"])
@for_half_in
def recover() -> ResponseReturnValue:
    """A code on paper, for whoever has lost the telephone."""
    if second_factor.of(account()) is None:
        return redirect(url_for("second_factor.activate", sig=_next_path() or None), 303)
    form = Form()
    if request.method == "POST":
        typed = form.text("codigo", required=_("Escriba uno de sus códigos de recuperación."))
        cleared = (
            None
            if form.errors
            else _try(
                form,
                lambda: second_factor.show_recovery_code(
                    session(), typed, secret_key=settings().secret_key, now=now()
                ),
            )
        )
        if cleared is not None:
            return _let_in(cleared, _next_path())
    return render(
        "second_factor/recover.html",
        status=422 if form.errors else 200,
        form=form,
        next_path=_next_path(),
        pending=session().pending,
    )


@bp.route("/segundo-paso/activar", methods=["GET", "POST"])
@for_half_in
def activate() -> ResponseReturnValue:
    """The QR code, and the proof that the app has read it; also how one changes telephones."""
    older = second_factor.of(account())
    if older is not None and not second_factor.is_fresh(session(), now=now()):
        return redirect(url_for("second_factor.show", sig=request.path), 303)
    form = Form()
    if request.method == "POST":
        digits = form.digits("codigo")
        cleared = _try(
            form,
            lambda: second_factor.activate(
                session(), digits, secret_key=settings().secret_key, now=now()
            ),
        )
        if cleared is not None:
            return _let_in(cleared, url_for("second_factor.codes", sig=_next_path() or None))
    nonce = second_factor.proposed(session())
    key = authenticator.secret(settings().secret_key, nonce)
    address = authenticator.address(
        settings().secret_key, nonce, holder=account().email, practice=plan().practice.name
    )
    return render(
        "second_factor/activate.html",
        status=422 if form.errors else 200,
        form=form,
        next_path=_next_path(),
        pending=session().pending,
        older=older,
        picture=segno.make(address, error="m", micro=False).svg_data_uri(scale=5, light="#fff"),
        address=address,
        key=" ".join(key[at : at + 4] for at in range(0, len(key), 4)),
    )


@bp.route("/segundo-paso/codigos", methods=["GET", "POST"])
@for_staff
@dangerous
def codes() -> ResponseReturnValue:
    """The recovery codes, until their owner says that they are kept."""
    onward = _next_path() or url_for("account.show")
    factor: Factor | None = second_factor.of(account())
    if factor is None:
        return redirect(url_for("second_factor.activate"), 303)
    if request.method == "POST":
        second_factor.keep_codes(account(), now=now())
        return see_other(onward)
    shown = second_factor.codes_to_keep(factor, secret_key=settings().secret_key)
    if not shown:
        return redirect(onward, 303)
    return render("second_factor/codes.html", codes=shown, next_path=_next_path())


def _try(form: Form, prove: Callable[[], Cleared]) -> Cleared | None:
    """Let `prove` judge what was typed; what is wrong with it stands beside the field."""
    try:
        return prove()
    except WrongFactor as wrong:
        form.refuse(
            "codigo",
            _(
                "Ese no es el código, o ya se usó. Espere a que la aplicación muestre el siguiente."
                " Intentos que le quedan: %(left)s.",
                left=wrong.left,
            )
            if wrong.left
            else _("Ese no es el código, o ya se usó. Espere 15 minutos para intentarlo otra vez."),
        )
    return None


def _let_in(cleared: Cleared, onward: str) -> Response:
    access.enter(cleared.signed_in)
    response = see_other(onward or url_for("portal.index"))
    if cleared.device:
        devices.remember(response, cleared.device)
    return response


def _next_path() -> str:
    return safe_path(request.args.get("sig", ""))
