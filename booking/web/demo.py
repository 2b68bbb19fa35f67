"""The demo's own pages: one-tap sign-in, and the mailbox into which all mail goes."""

from email.message import EmailMessage

from flask import Blueprint, Response, abort, current_app, request, url_for
from flask.typing import ResponseReturnValue
from peewee import DoesNotExist

from booking import demo
from booking.mailer import FolderMailer
from booking.operations import signing_in
from booking.web import access, devices
from booking.web.access import FILE, MAIL, PERSONA, for_demo, of
from booking.web.fragments import render, see_other
from booking.web.urls import now

bp = Blueprint("demo", __name__)


@bp.route("/demo/<any(cliente, profesional):who>", methods=["GET", "POST"])
@for_demo
@of(PERSONA)
def enter(who: str) -> ResponseReturnValue:
    """One tap signs in as somebody of the demo practice."""
    try:
        client, clinician = demo.people()
    except DoesNotExist:
        abort(404)  # This book was not filled for a demonstration.
    account = client if who == "cliente" else clinician
    if request.method == "POST":
        access.enter(signing_in.open_session(account, devices.browser(), now=now(), one_tap=True))
        return see_other(url_for("portal.index"))
    return render("demo/enter.html", who=account)


@bp.get("/buzon")
@for_demo
def mailbox() -> ResponseReturnValue:
    return render("demo/mailbox.html", messages=_mailer().messages())


@bp.get("/buzon/<int:number>")
@for_demo
@of(MAIL)
def message(number: int) -> ResponseReturnValue:
    found = _message(number)
    text = found.get_body(("plain",))
    return render(
        "demo/message.html",
        number=number,
        message=found,
        text=text.get_content() if text else "",
        attachments=[part.get_filename() for part in found.iter_attachments()],
    )


@bp.get("/buzon/<int:number>/html")
@for_demo
@of(MAIL)
def html(number: int) -> ResponseReturnValue:
    """The mail as a mail program shows it; its own style is allowed here, and nothing else."""
    body = _message(number).get_body(("html",))
    if body is None:
        abort(404)
    return Response(
        body.get_content(),
        headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"},
    )


@bp.get("/buzon/<int:number>/<path:filename>")
@for_demo
@of(MAIL, FILE)
def attachment(number: int, filename: str) -> ResponseReturnValue:
    for part in _message(number).iter_attachments():
        if part.get_filename() == filename:
            content = part.get_content()
            return Response(
                content if isinstance(content, bytes) else str(content),
                mimetype=part.get_content_type(),
                headers={"Content-Disposition": "attachment"},
            )
    return abort(404)


def _mailer() -> FolderMailer:
    mailer = current_app.extensions["mailer"]
    if not isinstance(mailer, FolderMailer):
        abort(404)  # Mail goes to a real server.
    return mailer


def _message(number: int) -> EmailMessage:
    found = _mailer().message(number)
    if found is None:
        abort(404)
    return found
