"""«Citas»: what a client asked for, what became of it, and what can be done now."""

from typing import Any
from urllib.parse import quote_plus

from flask import Blueprint, Response, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

from booking import gateway, policy
from booking.availability import NotFree, plan
from booking.calendar_file import Method, calendar_file
from booking.language import stop
from booking.lifecycle import State
from booking.models import Appointment
from booking.occupancy import SlotTaken
from booking.operations import cancel as cancel_appointment
from booking.operations import decline_offers, take_offer
from booking.operations.requesting import NotAllowed, OfferGone, open_successor
from booking.policy import Verdict
from booking.queries import portal as queries
from booking.web import words
from booking.web.access import OWN_APPOINTMENT, OWN_OFFER, account, account_or_none, for_client, of
from booking.web.errors import problem
from booking.web.forms import Form, argument, key
from booking.web.fragments import render, see_other
from booking.web.language import say
from booking.web.new_appointment import repeat, start_url
from booking.web.urls import now, settings

bp = Blueprint("appointments", __name__, url_prefix="/citas")


@bp.app_context_processor
def _words() -> dict[str, object]:
    return {
        "zone_of": lambda row: queries.zone(row, account_or_none()),
        "status": lambda a: words.client_status(a, over=a.ends_at <= g.now),
        "tone": lambda a: words.TONE.get(a.status, "quiet"),
        "map_url": map_url,
        "State": State,
        "Verdict": Verdict,
        "clinician_word": lambda: words.clinician_word(plan().practice),
    }


def map_url(query: str) -> str:
    """A link that phones open in their map app."""
    return f"https://www.google.com/maps/search/?api=1&query={quote_plus(query)}"


@bp.get("")
@for_client
def index() -> ResponseReturnValue:
    who = account()
    people = queries.people(who)
    if who.staff and not people:
        return redirect(url_for("requests.inbox"), 303)
    page = argument("pasadas", int)
    if page is not None:
        rows, more = queries.past(who, page=max(1, min(page, 10_000)), now=now())
        return render("appointments/past.html", rows=rows, page=max(1, page), more=more)
    return render(
        "appointments/index.html",
        found=queries.appointments(who, now=now()),
        start=start_url(plan(), people),
        repeat=repeat(plan(), people),
    )


@bp.get("/<int:appointment_id>")
@for_client
@of(OWN_APPOINTMENT)
def show(appointment_id: int) -> ResponseReturnValue:
    return _page(appointment_id)


def _page(appointment_id: int, *, status: int = 200, alert: str = "") -> Response:
    """The page of one appointment; `alert` says why what was just tried did not happen."""
    row = queries.appointment(account(), appointment_id)
    practice = plan().practice
    successor = open_successor(row)
    return render(
        "appointments/show.html",
        status=status,
        alert=alert,
        appointment=row,
        offers=queries.offers(row, now=now()) if row.status is State.OFFERED else [],
        history=queries.history(row),
        history_words=words.CLIENT_HISTORY,
        before=queries.before(row),
        successor=successor,
        may_cancel=policy.may_cancel(practice, row, now=now()),
        may_reschedule=policy.may_reschedule(practice, row, now=now()),
        again=url_for("new_appointment.slot", **again(row)),
    )


def again(row: Appointment) -> dict[str, Any]:
    """The draft of a new request like this one."""
    the = plan()
    old = row.replaces
    moving = old is not None and (
        policy.may_reschedule(the.practice, old, now=now()) is Verdict.ALLOWED
    )
    return ({"cambia": str(row.replaces_id)} if moving else {}) | {
        "servicio": the.services[row.service_id].key,
        "consultorio": "video" if row.location_id is None else the.locations[row.location_id].key,
        "profesional": the.clinicians[row.clinician_id].key,
        "para": str(row.client_id),
    }


@bp.get("/<int:appointment_id>/enviada")
@for_client
@of(OWN_APPOINTMENT)
def sent(appointment_id: int) -> ResponseReturnValue:
    row = queries.appointment(account(), appointment_id)
    if row.status is not State.REQUESTED:
        return redirect(url_for("appointments.show", appointment_id=row.id), 303)
    return render("appointments/sent.html", appointment=row, before=queries.before(row))


@bp.get("/<int:appointment_id>/cita.ics")
@for_client
@of(OWN_APPOINTMENT)
def ics(appointment_id: int) -> ResponseReturnValue:
    row = queries.appointment(account(), appointment_id)
    if row.status not in (State.REQUESTED, State.CONFIRMED) or (
        row.replaces_id is not None and row.status is State.REQUESTED
    ):
        return problem(
            410,
            title=_("Esta cita no tiene archivo de calendario"),
            advice=_("Solo lo tienen las citas confirmadas y las solicitudes pendientes."),
        )
    file = calendar_file(
        row, plan().practice, say(), method=Method.PUBLISH, host=settings().host_name, now=now()
    )
    return Response(
        file,
        mimetype="text/calendar",
        headers={"Content-Disposition": "attachment; filename=cita.ics"},
    )


@bp.route("/<int:appointment_id>/cancelar", methods=["GET", "POST"])
@for_client
@of(OWN_APPOINTMENT)
def cancel(appointment_id: int) -> ResponseReturnValue:
    row = queries.appointment(account(), appointment_id)
    if request.method == "POST":
        try:
            cancel_appointment(row.id, account=account(), now=now(), key=key())
        except NotAllowed:
            row = queries.appointment(account(), appointment_id)
            return _cancel_page(row, status=409)
        return see_other(url_for("appointments.show", appointment_id=row.id))
    return _cancel_page(row)


def _cancel_page(row: Appointment, *, status: int = 200) -> Response:
    verdict = policy.may_cancel(plan().practice, row, now=now())
    if verdict is Verdict.NOT_OPEN:
        return _page(row.id, status=status, alert=_("Esta cita ya no se puede cancelar."))
    return render(
        "appointments/cancel.html",
        status=status,
        appointment=row,
        verdict=verdict,
        notice=plan().practice.cancel_notice_minutes,
        successor=open_successor(row),
    )


@bp.get("/<int:appointment_id>/reprogramar")
@for_client
@of(OWN_APPOINTMENT)
def reschedule(appointment_id: int) -> ResponseReturnValue:
    """Leads to the time page, or says why it cannot be done here."""
    row = queries.appointment(account(), appointment_id)
    if row.status is State.OFFERED:
        return redirect(url_for("appointments.show", appointment_id=row.id), 303)
    if row.status is not State.CONFIRMED:
        return redirect(url_for("new_appointment.slot", **again(row)), 303)
    successor = open_successor(row)
    if successor is not None:
        return redirect(url_for("appointments.show", appointment_id=successor.id), 303)
    practice = plan().practice
    verdict = policy.may_reschedule(practice, row, now=now())
    if verdict is Verdict.ALLOWED:
        draft = again(row) | {"cambia": str(row.id)}
        return redirect(url_for("new_appointment.slot", **draft), 303)
    if verdict is Verdict.NOT_OPEN:
        return redirect(url_for("new_appointment.slot", **again(row)), 303)
    notice = practice.move_notice_minutes
    return render(
        "appointments/reschedule.html",
        appointment=row,
        verdict=verdict,
        notice=practice.cancel_notice_minutes if notice is None else notice,
    )


@bp.post("/<int:appointment_id>/elegir")
@for_client
@of(OWN_APPOINTMENT, OWN_OFFER)
def choose(appointment_id: int) -> ResponseReturnValue:
    """One tap on an offered slot confirms it: the clinician has already said yes."""
    offer_id = request.form.get("horario", "")
    row = queries.appointment(account(), appointment_id)
    try:
        if not offer_id.isascii() or not offer_id.isdigit() or len(offer_id) > 15:
            raise OfferGone
        take_offer(row.id, int(offer_id), account=account(), now=now(), key=key())
    except (OfferGone, NotFree, SlotTaken, gateway.NotYours):
        row = queries.appointment(account(), appointment_id)
        if row.status is State.CONFIRMED:
            when = say().short_moment(row.starts_at, queries.zone(row, account()))
            alert = stop(_("Su cita ya quedó confirmada para el %(when)s.", when=when))
        else:
            alert = _(
                "Ese horario ya no está disponible: terminó el plazo en que se lo guardábamos,"
                " o el consultorio tuvo que retirarlo."
            )
        return _page(row.id, status=409, alert=alert)
    return see_other(url_for("appointments.show", appointment_id=row.id))


@bp.route("/<int:appointment_id>/ninguno", methods=["GET", "POST"])
@for_client
@of(OWN_APPOINTMENT)
def decline(appointment_id: int) -> ResponseReturnValue:
    """Asks once, since it frees the slots; what would suit goes to the clinician's next search."""
    row = queries.appointment(account(), appointment_id)
    if gateway.answer_to(key()) is not None:
        return see_other(url_for("appointments.show", appointment_id=row.id))
    if row.status is not State.OFFERED:
        return _page(row.id, status=409, alert=_("Estos horarios ya no se le están guardando."))
    form = Form()
    if request.method == "POST":
        wish = _read_wish(form, request.form)
        if not form.errors:
            decline_offers(row.id, account=account(), wish=wish, now=now(), key=key())
            return see_other(url_for("appointments.show", appointment_id=row.id))
    return render(
        "appointments/decline.html",
        status=422 if form.errors else 200,
        appointment=row,
        form=form,
        chosen=request.form,
        offers=queries.offers(row, now=now()),
        weekdays=list(range(7)),
    )


DAYPARTS = ("morning", "afternoon", "evening")


def _read_wish(form: Form, sent: MultiDict[str, str]) -> dict[str, object]:
    return {
        "text": form.text("texto", most=500, multiline=True),
        "weekdays": sorted({int(d) for d in sent.getlist("dia") if d in set("0123456")}),
        "dayparts": [part for part in DAYPARTS if part in sent.getlist("parte")],
    }
