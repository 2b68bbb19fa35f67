"""The door: the portal's first page, signing in, registering, leaving, and the language."""

import secrets
from datetime import timedelta
from urllib.parse import urlsplit

from flask import Blueprint, Response, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from booking.db import database
from booking.language import LANGUAGES
from booking.models import SignIn
from booking.operations import set_language, signing_in
from booking.operations.people import is_minor
from booking.operations.signing_in import (
    DeadLink,
    Registration,
    SignedIn,
    WrongCode,
)
from booking.web import access, devices
from booking.web.access import (
    SIGN_IN_LINK,
    account_or_none,
    of,
    public,
)
from booking.web.forms import Form, key
from booking.web.fragments import render, see_other
from booking.web.language import say
from booking.web.urls import now, settings

bp = Blueprint("portal", __name__)


@bp.get("/")
@public
def index() -> ResponseReturnValue:
    if current_user.is_authenticated:
        return redirect(_home())
    return render("portal/index.html", next_path=_next_path())


@bp.get("/healthz")
@public
def healthz() -> ResponseReturnValue:
    """200 once the database answers."""
    database.execute_sql("SELECT 1")
    return Response("ok\n", mimetype="text/plain")


@bp.route("/entrar", methods=["GET", "POST"])
@public
def sign_in() -> ResponseReturnValue:
    form = Form()
    if request.method == "POST":
        email = form.email("correo")
        if not form.errors:
            return _send_proof(email)
    return render(
        "portal/sign_in.html",
        status=422 if form.errors else 200,
        form=form,
        next_path=_next_path(),
        ended="_user_id" in session,
        changing=_next_path().startswith(url_for("new_email.address")),
    )


@bp.route("/registro", methods=["GET", "POST"])
@public
def register() -> ResponseReturnValue:
    form = Form()
    if request.method == "POST":
        registration = _read_registration(form)
        if not form.errors:
            return _send_proof(registration.email, registration)
    return render(
        "portal/register.html",
        status=422 if form.errors else 200,
        form=form,
        next_path=_next_path(),
    )


def _read_registration(form: Form) -> Registration:
    """In the order of the page, in which what is wrong is listed."""
    name = form.text("nombre", required=_("Escriba su nombre y apellidos."))
    email, phone = form.email("correo"), form.phone("telefono")
    who = form.choice(
        "para",
        {"adulto": "", "menor": "menor"},
        required=_("Diga si la atención es para usted o para un menor a su cargo."),
    )
    minor_name, born = "", None
    if who == "menor":
        minor_name = form.text("nombre_menor", required=_("Escriba el nombre del menor."))
        born = form.day("nacimiento", required=_("Escriba la fecha de nacimiento del menor."))
        if born is not None and not is_minor(born, now().date()):
            form.refuse("nacimiento", _("Con esa fecha no es menor de edad. Revise el año."))
    if not form.checked("acepto"):
        form.refuse("acepto", _("Para registrarse, acepte el uso de sus datos."))
    return Registration(
        name=name,
        email=email,
        phone=phone,
        consented=form.checked("acepto"),
        minor_name=minor_name,
        minor_birth_date=born.isoformat() if born else "",
    )


def _send_proof(email: str, registration: Registration | None = None) -> Response:
    browser = devices.kept(devices.ASKED) or secrets.token_urlsafe(18)
    sign_in = signing_in.ask_for_mail(
        email,
        browser=browser,
        network=devices.network(),
        next_path=_next_path(),
        language=say().code[:2],
        now=now(),
        registration=registration,
        key=key(),
    )
    session["proof"] = sign_in.id
    session["registering"] = registration is not None
    response = see_other(url_for("portal.code"))
    devices.keep(response, devices.ASKED, browser, lasting=timedelta(days=1))
    return response


@bp.route("/entrar/codigo", methods=["GET", "POST"])
@public
def code() -> ResponseReturnValue:
    """The page after the mail was sent: where the code is typed."""
    sign_in = SignIn.get_or_none(SignIn.id == session.get("proof", 0))
    if sign_in is None:
        return redirect(url_for("portal.sign_in"), 303)
    form = Form()
    if request.method == "POST":
        digits = form.digits("codigo")
        try:
            return _enter(
                signing_in.prove_by_code(
                    sign_in.id,
                    digits,
                    browser=devices.browser(cookie=devices.kept(devices.ASKED)),
                    secret_key=settings().secret_key,
                    now=now(),
                )
            )
        except WrongCode as wrong:
            if not wrong.left:
                return _dead_link()
            form.refuse_code(wrong.left)
        except DeadLink:
            return _dead_link()
    return render(
        "portal/code.html",
        status=422 if form.errors else 200,
        form=form,
        email=sign_in.email,
        registering=session.get("registering", False),
    )


@bp.route("/entrar/<token>", methods=["GET", "POST"])
@public
@of(SIGN_IN_LINK)
def link(token: str) -> ResponseReturnValue:
    """The link of a mail: opening it shows a button, since mail scanners open links, too."""
    sign_in = signing_in.find(token, secret_key=settings().secret_key)
    if sign_in is None:
        return _dead_link()
    if _leads_straight_on(sign_in):
        return redirect(safe_path(sign_in.next_path) or _home(), 303)
    if request.method == "POST":
        try:
            return _enter(
                signing_in.prove_by_link(
                    token, browser=devices.browser(), secret_key=settings().secret_key, now=now()
                )
            )
        except DeadLink:
            return _dead_link()
    if not signing_in.is_alive(sign_in, now=now()):
        return _dead_link(sign_in)
    return render("portal/link.html", email=sign_in.email)


def _leads_straight_on(sign_in: SignIn) -> bool:
    """Whoever is in already needs no button, unless they asked to enter anew and a while ago."""
    account = account_or_none()
    if account is None or (account.email != sign_in.email and account.id != sign_in.account_id):
        return False
    asked_for = bool(sign_in.browser) and signing_in.is_alive(sign_in, now=now())
    return access.is_newly_in() or not asked_for


def _dead_link(sign_in: SignIn | None = None) -> Response:
    next_path = safe_path(sign_in.next_path) if sign_in else ""
    return render("portal/dead_link.html", status=410, next_path=next_path, form=Form())


def _enter(signed_in: SignedIn) -> Response:
    session.pop("proof", None)
    session.pop("registering", None)
    if current_user.is_authenticated:  # A browser has one session.
        access.leave()
    access.enter(signed_in)
    return see_other(safe_path(signed_in.next_path) or _home())


def _home() -> str:
    staff = current_user.is_authenticated and access.account().staff
    return url_for("requests.inbox" if staff else "appointments.index")


@bp.post("/salir")
@public
def sign_out() -> ResponseReturnValue:
    if current_user.is_authenticated:
        access.leave(everywhere="todos" in request.form)
    response = see_other(url_for("portal.index"))
    # What was kept for the time without a network; not cookies, by which a device is remembered.
    response.headers["Clear-Site-Data"] = '"storage"'
    return response


@bp.post("/idioma")
@public
def language() -> ResponseReturnValue:
    chosen = request.form.get("idioma", "")
    if chosen in LANGUAGES:
        session["lang"] = chosen
        account = account_or_none()
        if account is not None:
            set_language(account, chosen)
    return see_other(safe_path(request.form.get("volver", "")) or url_for("portal.index"))


def _next_path() -> str:
    return safe_path(request.values.get("sig", ""))


def safe_path(path: str) -> str:
    """`path` if it leads to a page of this portal, else nothing.

    Browsers read `\\` as `/` and skip control characters, so only plain paths pass.
    """
    if not path.startswith("/") or path.startswith("//") or len(path) > 500:
        return ""
    if "\\" in path or any(ord(c) < 33 or ord(c) > 126 for c in path):
        return ""
    parts = urlsplit(path)
    return "" if parts.scheme or parts.netloc else path
