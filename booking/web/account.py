"""«Mis datos»: the telephone, the zone for video sessions, the second factor, open sessions."""

from zoneinfo import ZoneInfo

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from booking.availability import plan
from booking.language import ZONES
from booking.models import MailLevel
from booking.operations import agree_to_full_mails, second_factor, signing_in, update_account
from booking.queries import person, staff
from booking.web import devices
from booking.web.access import (
    MEMBER,
    OWN_SESSION,
    account,
    dangerous,
    for_client,
    for_manager,
    of,
    session,
)
from booking.web.forms import Form
from booking.web.fragments import as_download, render, see_other
from booking.web.language import say
from booking.web.urls import now

bp = Blueprint("account", __name__)


@bp.route("/cuenta", methods=["GET", "POST"])
@for_client
def show() -> ResponseReturnValue:
    form = Form()
    if request.method == "POST":
        phone = form.phone("telefono", optional=True)
        zone = form.choice(
            "zona",
            {name: name for name, _words in _zones()},
            required=_("Elija una zona de la lista."),
        )
        if not form.errors and zone is not None:
            update_account(account(), phone=phone, zone=zone)
            if _full_mails():
                agree_to_full_mails(account(), agreed=form.checked("correos"), now=now())
            return see_other(url_for("account.show", guardado=1))
    return render(
        "account/show.html",
        status=422 if form.errors else 200,
        form=form,
        zones=_zones(),
        saved="guardado" in request.args,
        moved="correo" in request.args,
        full_mails=_full_mails(),
        factor=second_factor.of(account()) if account().staff else None,
        sessions=signing_in.open_sessions(account(), now=now()),
        this=session(),
        device=devices.words,
        zone=plan().zone(None),
    )


@bp.post("/cuenta/sesiones")
@for_client
@of(OWN_SESSION)
def close_session() -> ResponseReturnValue:
    """End one of one's own sessions, or all but this."""
    if "otras" in request.form:
        signing_in.sign_out_everywhere(account(), now=now(), but=session())
    else:
        chosen = Form().get("sesion")
        for own in signing_in.open_sessions(account(), now=now()):
            if str(own.id) == chosen:
                signing_in.sign_out(own, now=now())
    return see_other(url_for("account.show", guardado=1))


@bp.route("/cuenta/equipo", methods=["GET", "POST"])
@for_manager
@dangerous
@of(MEMBER)
def team() -> ResponseReturnValue:
    """Whose second factor is active; a manager removes that of whoever lost the telephone."""
    if request.method == "POST":
        chosen = Form().get("cuenta")
        found = next((a for a, _factor in staff.team() if str(a.id) == chosen), None)
        if found is None or found == account():
            return see_other(url_for("account.team"))
        second_factor.remove(found, by=account(), now=now())
        return see_other(url_for("account.team", guardado=1))
    return render(
        "account/team.html",
        team=staff.team(),
        saved="guardado" in request.args,
        zone=plan().zone(None),
    )


@bp.get("/cuenta/mis-datos.json")
@for_client
@dangerous
def export() -> ResponseReturnValue:
    """«Descargar mis datos»: all that is kept about the holder."""
    found = person.by_email(account().email)
    assert found is not None
    return as_download(person.export(found, now=now()))


def _full_mails() -> bool:
    """Whether the practice writes more to whoever agrees to it."""
    return plan().practice.mail_level == MailLevel.FULL


def _zones() -> list[tuple[str, str]]:
    """The practice's own zone first (as no choice), then those that have a name in words."""
    own = plan().practice.zone
    named = {name: say().zone_name(ZoneInfo(name)) for name in ZONES if name != own}
    chosen = account().zone
    if chosen and chosen != own:
        named.setdefault(chosen, say().zone_name(ZoneInfo(chosen)))
    return [("", say().zone_name(ZoneInfo(own))), *sorted(named.items(), key=lambda z: z[1])]
