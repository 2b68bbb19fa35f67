"""«Cambiar mi correo»: the address with which a client signs in, proven by its own mail."""

from collections.abc import Callable

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from booking.operations import changing_email, signing_in
from booking.operations.changing_email import AddressTaken
from booking.operations.signing_in import DeadLink, WrongCode
from booking.web import devices
from booking.web.access import NEW_EMAIL_LINK, account, for_client, newly_in, of, session
from booking.web.errors import problem
from booking.web.forms import Form, key
from booking.web.fragments import render, see_other
from booking.web.language import say
from booking.web.urls import now, settings

bp = Blueprint("new_email", __name__)


@bp.route("/cuenta/correo", methods=["GET", "POST"])
@for_client
@newly_in
def address() -> ResponseReturnValue:
    """Which address it is to be; that of staff is what the practice's file says."""
    form = Form()
    if request.method == "POST" and not account().staff:
        email = form.email("correo")
        if email == account().email:
            form.refuse("correo", _("Ese ya es su correo. Escriba otro."))
        if not form.errors:
            changing_email.ask(
                session(),
                email,
                language=say().code[:2],
                network=devices.network(),
                now=now(),
                key=key(),
            )
            return see_other(url_for("new_email.code"))
    return render("new_email/address.html", status=422 if form.errors else 200, form=form)


@bp.route("/cuenta/correo/codigo", methods=["GET", "POST"])
@for_client
def code() -> ResponseReturnValue:
    """The page after the mail was sent: where the code is typed."""
    form = Form()
    if request.method == "POST":
        answer = _confirm(
            form,
            lambda: changing_email.confirm_by_code(
                session(),
                form.digits("codigo"),
                secret_key=settings().secret_key,
                now=now(),
                key=key(),
            ),
        )
        if answer is not None:
            return answer
    asked = changing_email.asked_in(session())
    if asked is None or not signing_in.is_alive(asked, now=now()):
        return redirect(url_for("new_email.address"), 303)
    return render(
        "new_email/code.html", status=422 if form.errors else 200, form=form, email=asked.email
    )


@bp.route("/cuenta/correo/<token>", methods=["GET", "POST"])
@for_client
@of(NEW_EMAIL_LINK)
def link(token: str) -> ResponseReturnValue:
    """The link of that mail, for whoever is signed in: a stranger's tap must move nobody's account.

    Opening it shows a button, since mail scanners open links, too.
    """
    if request.method == "POST":
        answer = _confirm(
            Form(),
            lambda: changing_email.confirm_by_link(
                session(), token, secret_key=settings().secret_key, now=now(), key=key()
            ),
        )
        assert answer is not None
        return answer
    found = changing_email.find(token, account=account(), secret_key=settings().secret_key)
    if found is None or not signing_in.is_alive(found, now=now()):
        return _dead()
    return render("new_email/link.html", email=found.email)


def _confirm(form: Form, prove: Callable[[], None]) -> Response | None:
    """Let `prove` move the address; nothing, when the code may be typed again."""
    try:
        prove()
    except WrongCode as wrong:
        if not wrong.left:
            return _dead()
        form.refuse_code(wrong.left)
        return None
    except DeadLink:
        return _dead()
    except AddressTaken:
        return problem(
            409,
            title=_("Ese correo ya tiene otra cuenta"),
            advice=_("Su correo sigue siendo el mismo. Elija otro o llame a su consultorio."),
            again=url_for("new_email.address"),
        )
    return see_other(url_for("account.show", correo=1))


def _dead() -> Response:
    return problem(
        410,
        title=_("Este código o enlace ya no sirve"),
        advice=_(
            "Ya se usó, pasó su plazo o está incompleto. Vea en «Mis datos» cuál es su correo."
        ),
        again=url_for("new_email.address"),
    )
