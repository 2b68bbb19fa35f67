"""«Mis datos»: the telephone, the zone for video sessions, and leaving on every device."""

from zoneinfo import ZoneInfo

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from booking.availability import plan
from booking.language import ZONES
from booking.models import MailLevel
from booking.operations import agree_to_full_mails, update_account
from booking.queries import person
from booking.web.access import account, for_client
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
        full_mails=_full_mails(),
    )


@bp.get("/cuenta/mis-datos.json")
@for_client
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
