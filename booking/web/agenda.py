"""«Agenda»: a clinician's week, one appointment of it, and time that is kept free."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from booking import availability, operations
from booking.availability import NotFree, Plan, Rule, Wish, plan, wall
from booking.gateway import ChangedMeanwhile
from booking.lifecycle import HOLDS_ITS_TIME, OPEN, Event, IllegalTransition, State
from booking.mailer import no_such_address
from booking.models import Appointment, Clinician, Modality, OfferedSlot, Service
from booking.occupancy import SlotTaken
from booking.operations.requesting import OfferGone, open_successor
from booking.queries import portal
from booking.queries import staff as queries
from booking.queries.staff import Item, Takes
from booking.web import words
from booking.web.access import AGENDA, APPOINTMENT, BLOCKED_TIME, OFFER, for_staff, of, staff_actor
from booking.web.forms import Form, argument, key
from booking.web.fragments import render, see_other
from booking.web.language import say
from booking.web.new_appointment import places_for
from booking.web.urls import now

bp = Blueprint("agenda", __name__, url_prefix="/agenda")

ONE_DAY, ONE_WEEK = timedelta(days=1), timedelta(days=7)
FARTHEST = timedelta(days=5 * 366)
LONGEST_BLOCK = timedelta(days=366)


def staff_words() -> dict[str, object]:
    """How staff's templates speak: times are those where the clinician sits."""
    the = plan()

    def zone_of(row: Appointment | OfferedSlot) -> ZoneInfo:
        return the.zone(row.clinician_location_id or row.location_id)

    return {
        "zone_of": zone_of,
        "home_zone": the.zone(None),
        "status": words.staff_status,
        "kind_words": words.STAFF_KIND,
        "history_words": words.STAFF_HISTORY,
        "past_room_changes": queries.past_room_changes,
        "mark_words": words.MARKS,
        "no_such_address": no_such_address,
        "Takes": Takes,
    }


bp.context_processor(staff_words)


def chosen_clinician(the: Plan, name: str = "") -> tuple[Clinician, list[Clinician]]:
    """Whose agenda is meant by a key, and who could be: the reader first, managers see all."""
    all_of_them = queries.clinicians(the, staff_actor())
    if not all_of_them:
        abort(404)
    return next((c for c in all_of_them if c.key == name), all_of_them[0]), all_of_them


def why_not(taken: NotFree | SlotTaken, wish: Wish, starts_at: datetime) -> str:
    """Why a time cannot be had, in words; and what is there already, with its time."""
    rules = taken.rules if isinstance(taken, NotFree) else (Rule.AGENDA_CONFIRMED,)
    collides = {Rule.AGENDA_CONFIRMED, Rule.AGENDA_HELD} & {*rules}
    near = queries.obstacles(wish, starts_at) if collides else []
    return " ".join(_told(rules, wish, starts_at, near)) or str(_("Ese horario no está libre."))


def _told(rules: tuple[Rule, ...], wish: Wish, starts_at: datetime, near: list[Item]) -> list[str]:
    """A sentence for each reason, with what the time collides with."""
    closed = Rule.ABSENCE in rules and queries.is_closed(wish, starts_at)
    told = [
        _collision(wish, starts_at, near)
        if rule in (Rule.AGENDA_CONFIRMED, Rule.AGENDA_HELD)
        else _("El consultorio está cerrado a esa hora.")
        if closed and rule is Rule.ABSENCE
        else str(words.STAFF_NOT_FREE[rule])
        for rule in rules
        if rule in words.STAFF_NOT_FREE or rule in (Rule.AGENDA_CONFIRMED, Rule.AGENDA_HELD)
    ]
    return list(dict.fromkeys(told))  # Confirmed and held sessions may both be in the way.


def _collision(wish: Wish, starts_at: datetime, near: list[Item]) -> str:
    service = plan().services[wish.service_id]
    ends_at = starts_at + timedelta(minutes=service.minutes)
    padded = (
        starts_at - timedelta(minutes=service.buffer_before),
        ends_at + timedelta(minutes=service.buffer_after),
    )
    for item in near:
        if item.starts_at < ends_at and starts_at < item.ends_at:
            return str(_("Choca con %(what)s (%(start)s – %(end)s).", **_span(item)))
    for item in near:
        if item.meets(*padded):
            return str(
                _(
                    "No quedan los minutos que hacen falta antes o después de %(what)s"
                    " (%(start)s – %(end)s).",
                    **_span(item),
                )
            )
    for item in near:
        if item.location is not None and item.location.id != wish.location_id:
            return str(
                _(
                    "No da tiempo de llegar: hay %(what)s en %(place)s (%(start)s – %(end)s).",
                    place=item.location.name,
                    **_span(item),
                )
            )
    return str(_("Otra cita ocupa ese horario."))


def _span(item: Item) -> dict[str, str]:
    return {
        "what": str(words.TAKES[item.takes]),
        "start": say().clock(item.starts_at, item.zone),
        "end": say().clock(item.ends_at, item.zone),
    }


@bp.get("")
@for_staff
@of(AGENDA)
def week() -> ResponseReturnValue:
    the = plan()
    clinician, all_of_them = chosen_clinician(the, request.args.get("profesional", ""))
    today = now().astimezone(the.zone(None)).date()
    first = _monday(_day("semana"))
    return render(
        "agenda/week.html",
        days=queries.agenda(clinician.id, first, 7),
        over=today.weekday() if first == _monday(today) else 0,  # A phone opens at today.
        clinician=clinician,
        clinicians=all_of_them,
        first=first,
        before=first - ONE_WEEK,
        after=first + ONE_WEEK,
        today=today,
    )


def _day(name: str) -> date:
    """The day that an argument names; one that is none, or too far, is today."""
    today = now().astimezone(plan().zone(None)).date()
    day = argument(name, date.fromisoformat) or today
    return day if abs(day - today) <= FARTHEST else today


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


@bp.get("/horas")
@for_staff
@of(AGENDA, APPOINTMENT.named("solicitud"))
def times() -> ResponseReturnValue:
    """A day's times: which of them clients are offered, and why the chosen one is not."""
    the, row = plan(), _asked()
    name = row.clinician.key if row else request.args.get("profesional", "")
    clinician, all_of_them = chosen_clinician(the, name)
    services = [row.service] if row else _online_services(the, clinician)
    service = next((s for s in services if s.key == request.args.get("servicio")), None)
    service = service or next(iter(services), None)
    day = _day("dia")
    zone = queries.zone_on(the, clinician.id, day)
    minute = argument("hora", _minute_of_day)
    chosen = None if minute is None else wall(day, minute, zone)
    ways = {} if service is None else _ways(the, clinician, service, row)
    judged = availability.judged_day(ways.values(), day, zone=zone, at=chosen, now=now())
    return render(
        "agenda/times.html",
        clinician=clinician,
        clinicians=all_of_them,
        services=services,
        service=service,
        row=row,
        day=day,
        zone=zone,
        chosen=chosen,
        reasons={} if chosen is None else _reasons(ways, judged[chosen], chosen, day),
        times=[(at, () in judged[at]) for at in judged],
        before=day - ONE_DAY,
        after=day + ONE_DAY,
        monday=_monday(day),
    )


def _asked() -> Appointment | None:
    """The request from whose page the reader comes, for its client's own agenda counts, too."""
    number = argument("solicitud", int)
    if number is None or not 0 < number < 2**63:
        return None
    return queries.appointment(staff_actor(), number)


def _minute_of_day(text: str) -> int:
    at = time.fromisoformat(text)
    return at.hour * 60 + at.minute


def _online_services(the: Plan, clinician: Clinician) -> list[Service]:
    """What clients can ask of a clinician by themselves."""
    return [
        service
        for service in the.services.values()
        if service.active and service.online and (clinician.id, service.id) in the.offers
    ]


def _ways(
    the: Plan, clinician: Clinician, service: Service, row: Appointment | None
) -> dict[str, Wish]:
    """How a client could look for a time with the clinician: at each office, and by video."""
    return {
        _("Por videollamada") if place is None else place.name: Wish(
            service_id=service.id,
            modality=Modality.VIDEO if place is None else Modality.IN_PERSON,
            location_id=None if place is None else place.id,
            clinician_ids=(clinician.id,),
            person_ids=row.client.person_ids if row else (),
            chain=row.chain if row else None,
        )
        for place in places_for(the, service)
        if clinician in the.offered_at(service, place.id if place else None)
    }


def _reasons(
    ways: dict[str, Wish], verdicts: list[tuple[Rule, ...]], starts_at: datetime, day: date
) -> dict[str, list[str]]:
    """Way by way, what speaks against a time; nothing where clients are offered it."""
    whose = {clinician_id for wish in ways.values() for clinician_id in wish.clinician_ids}
    items = [item for each in whose for item in queries.agenda(each, day)[0].items]
    return {
        way: _told(rules, wish, starts_at, queries.nearest(items, wish, starts_at))
        for (way, wish), rules in zip(ways.items(), verdicts, strict=True)
    }


@bp.get("/citas/<int:appointment_id>")
@for_staff
@of(APPOINTMENT)
def appointment(appointment_id: int) -> ResponseReturnValue:
    return appointment_page(appointment_id)


def appointment_page(appointment_id: int, *, status: int = 200, alert: str = "") -> Response:
    """One appointment, as staff see it; `alert` says why what was tried did not happen."""
    row = queries.appointment(staff_actor(), appointment_id)
    return render(
        "agenda/appointment.html",
        status=status,
        alert=alert,
        appointment=row,
        undelivered=queries.undelivered(row),
        history=queries.history(row),
        offers=portal.offers(row, now=now()) if row.status is State.OFFERED else [],
        before=portal.before(row),
        successor=open_successor(row),
        may_move=row.status is State.CONFIRMED and row.ends_at > now(),
        may_cancel=row.status in OPEN and (row.status is State.OFFERED or row.ends_at > now()),
        may_pin=row.room_id is not None and row.status in HOLDS_ITS_TIME and row.starts_at > now(),
        may_close=row.status is State.CONFIRMED and row.starts_at <= now(),
        week=_monday(row.starts_at.astimezone(plan().zone(row.clinician_location_id)).date()),
    )


@bp.route("/citas/<int:appointment_id>/cancelar", methods=["GET", "POST"])
@for_staff
@of(APPOINTMENT)
def cancel(appointment_id: int) -> ResponseReturnValue:
    row = queries.appointment(staff_actor(), appointment_id)
    if row.status is not State.OFFERED and row.ends_at <= now():
        return appointment_page(row.id, status=409, alert=_("Esta cita ya pasó."))
    if request.method != "POST":
        if row.status not in OPEN:
            return redirect(url_for("agenda.appointment", appointment_id=row.id), 303)
        return render("agenda/cancel.html", appointment=row, successor=open_successor(row))
    try:
        operations.cancel_for_client(
            row.id, version=version(), actor=staff_actor(), now=now(), key=key()
        )
    except (ChangedMeanwhile, IllegalTransition):
        return appointment_page(
            row.id, status=409, alert=_("La cita cambió mientras usted la veía. Así quedó:")
        )
    return see_other(url_for("agenda.appointment", appointment_id=row.id))


@bp.post("/citas/<int:appointment_id>/elegir")
@for_staff
@of(APPOINTMENT, OFFER)
def choose(appointment_id: int) -> ResponseReturnValue:
    """One of the offered slots, for a client who telephones."""
    offer = request.form.get("horario", "")
    try:
        if not offer.isascii() or not offer.isdigit() or len(offer) > 15:
            raise OfferGone
        operations.take_offer_for_client(
            appointment_id, int(offer), actor=staff_actor(), now=now(), key=key()
        )
    except (OfferGone, NotFree, SlotTaken):
        return appointment_page(
            appointment_id, status=409, alert=_("Ese horario ya no está disponible.")
        )
    return see_other(url_for("agenda.appointment", appointment_id=appointment_id))


def version() -> int:
    """The version of the row that the form showed; garbage is no row's."""
    text = request.form.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


@bp.get("/citas/<int:appointment_id>/mover")
@for_staff
@of(APPOINTMENT)
def move(appointment_id: int) -> ResponseReturnValue:
    """Leads to the page where staff choose another time."""
    row = queries.appointment(staff_actor(), appointment_id)
    if row.status is not State.CONFIRMED or row.ends_at <= now():
        return redirect(url_for("agenda.appointment", appointment_id=row.id), 303)
    the = plan()
    place = "video" if row.location_id is None else the.locations[row.location_id].key
    draft: dict[str, Any] = {
        "servicio": row.service.key,
        "consultorio": place,
        "profesional": row.clinician.key,
        "cambia": str(row.id),
    }
    return redirect(url_for("clients.time", client_id=row.client_id, **draft), 303)


@bp.post("/citas/<int:appointment_id>/sala")
@for_staff
@of(APPOINTMENT)
def room(appointment_id: int) -> ResponseReturnValue:
    """Keeps the session in its room, or lets it change again."""
    operations.pin_room(
        appointment_id,
        pinned=request.form.get("fija") == "1",
        actor=staff_actor(),
        now=now(),
        key=key(),
    )
    return see_other(url_for("agenda.appointment", appointment_id=appointment_id))


@bp.post("/citas/<int:appointment_id>/realizada")
@for_staff
@of(APPOINTMENT)
def attended(appointment_id: int) -> ResponseReturnValue:
    return _close(appointment_id, Event.ATTEND)


@bp.post("/citas/<int:appointment_id>/no-asistio")
@for_staff
@of(APPOINTMENT)
def missed(appointment_id: int) -> ResponseReturnValue:
    return _close(appointment_id, Event.MISS)


def _close(appointment_id: int, event: Event) -> Response:
    try:
        operations.close(appointment_id, event=event, actor=staff_actor(), now=now(), key=key())
    except ChangedMeanwhile:
        return appointment_page(
            appointment_id,
            status=409,
            alert=_("Solo se anota lo que pasó con una cita confirmada que ya empezó."),
        )
    return see_other(url_for("agenda.appointment", appointment_id=appointment_id))


@bp.route("/bloquear", methods=["GET", "POST"])
@for_staff
@of(AGENDA)
def block() -> ResponseReturnValue:
    """Time of one's own that nobody can ask for; what is booked in it stays."""
    the, form = plan(), Form()
    clinician, all_of_them = chosen_clinician(
        the, request.form.get("profesional") or request.args.get("profesional", "")
    )
    if request.method == "POST":
        span = _read_span(form, the, clinician)
        reason = form.text("motivo", most=200)
        if span is not None and not form.errors:
            blocked = operations.block_time(
                clinician.id, *span, reason=reason, actor=staff_actor(), now=now(), key=key()
            )
            return see_other(url_for("agenda.blocked", blocked_id=blocked.id))
    today = now().astimezone(the.zone(None)).date()
    return render(
        "agenda/block.html",
        status=422 if form.errors else 200,
        form=form,
        clinician=clinician,
        clinicians=all_of_them,
        day=argument("dia", date.fromisoformat) or today,
    )


def _read_span(form: Form, the: Plan, clinician: Clinician) -> tuple[datetime, datetime] | None:
    """From when until when, both in the zone of the office where the day begins."""
    first = form.day("dia", required=_("Elija el día."))
    last = form.day("hasta_dia", required="") if form.get("hasta_dia") else first
    opens, closes = (0, 24 * 60) if form.checked("todo") else read_hours(form)
    if form.errors or first is None or last is None or is_far(form, first, last):
        return None
    zone = queries.zone_on(the, clinician.id, first)
    start, end = wall(first, opens, zone), wall(last, closes, zone)
    too_long = _("Bloquee un año como máximo.")
    judge_span(form, start, end, ends="hasta", longest=LONGEST_BLOCK, too_long=too_long)
    return start, end


def read_hours(form: Form) -> tuple[int, int]:
    """From which minute of the day until which; what is missing is noted in the form."""
    opens = form.minute("desde", required=_("Escriba desde qué hora.")) or 0
    closes = form.minute("hasta", required=_("Escriba hasta qué hora.")) or 0
    return opens, closes


def is_far(form: Form, *days: date) -> bool:
    """Whether one of the days is so far away that the year must be wrong; the form says so."""
    today = now().astimezone(plan().zone(None)).date()
    far = any(abs(day - today) > FARTHEST for day in days)
    if far:
        form.refuse("dia", _("Esa fecha está demasiado lejos. Revise el año."))
    return far


def judge_span(
    form: Form, start: datetime, end: datetime, *, ends: str, longest: timedelta, too_long: str
) -> None:
    """Note in the form what keeps a stretch from being blocked; `ends` is the field of its end."""
    if end <= start:
        form.refuse(ends, _("El final debe ser posterior al comienzo."))
    elif end <= now():
        form.refuse("dia", _("Ese horario ya pasó."))
    elif end - start > longest:
        form.refuse("hasta_dia", too_long)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in the zone in which it is told."""

    starts_at: datetime
    ends_at: datetime
    zone: ZoneInfo


@bp.get("/bloqueos/<int:blocked_id>")
@for_staff
@of(BLOCKED_TIME)
def blocked(blocked_id: int) -> ResponseReturnValue:
    """One blocked time, with what was booked in it before and stays."""
    the, row = plan(), queries.blocked_time(staff_actor(), blocked_id)
    zone = the.zone(row.location_id)
    first = _monday(row.starts_at.astimezone(zone).date())
    clinician = the.clinicians.get(row.clinician_id or 0)
    who: dict[str, Any] = {"profesional": clinician.key} if clinician else {}
    week_url = url_for("agenda.week", semana=first.isoformat(), **who)
    if row.removed_at is not None:
        return redirect(week_url, 303)
    return render(
        "agenda/blocked.html",
        blocked=row,
        span=Span(row.starts_at, row.ends_at, zone),
        clinician=clinician,
        closed=the.rooms.get(row.room_id or 0) or the.locations.get(row.location_id or 0),
        plan_id=queries.plan_of(row),
        inside=queries.booked_within(row),
        week_url=week_url,
    )


@bp.post("/bloqueos/<int:blocked_id>/quitar")
@for_staff
@of(BLOCKED_TIME)
def unblock(blocked_id: int) -> ResponseReturnValue:
    operations.unblock_time(blocked_id, actor=staff_actor(), now=now(), key=key())
    return see_other(url_for("agenda.blocked", blocked_id=blocked_id))
