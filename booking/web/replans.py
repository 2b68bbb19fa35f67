"""«Ausencia imprevista»: one form blocks the time and plans for all it hits; then approve."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from booking import operations
from booking.availability import Plan, Rule, plan, wall
from booking.gateway import ChangedMeanwhile
from booking.language import stop as stop_once
from booking.models import BlockedTime, Replan, ReplanState
from booking.operations.replanning import (
    AT_WORK,
    CHANGED,
    Adjustment,
    AlreadyPlanned,
    AlreadyReported,
    Missing,
    NothingToMove,
    TooManySessions,
    yours,
)
from booking.queries import replans as queries
from booking.queries import staff
from booking.queries.replans import Line
from booking.replanning import MOST_OPTIONS, Allowed, Standing, allowed_by
from booking.web import words
from booking.web.access import AGENDA, BLOCKED_TIME, REPLAN, REPLAN_ROW, for_staff, of, staff_actor
from booking.web.agenda import Span, is_far, judge_span, read_hours, staff_words
from booking.web.errors import problem
from booking.web.forms import Form, argument, key
from booking.web.fragments import render, see_other
from booking.web.language import say
from booking.web.urls import now
from solver import Group

bp = Blueprint("replans", __name__, url_prefix="/agenda")
bp.context_processor(staff_words)


@bp.context_processor
def _plan_words() -> dict[str, object]:
    """How plans are told: what a slot refers to, and what keys mean."""
    the = plan()
    return {
        "place_of": lambda slot: the.locations.get(slot.location_id or 0),
        "room_of": lambda slot: the.rooms.get(slot.room_id or 0),
        "clinician_of": lambda slot: the.clinicians[slot.clinician_id],
        "zone_at": lambda slot: the.zone(slot.clinician_location_id or slot.location_id),
        "name_of": lambda blocked: _name(the, blocked),
        "when": _when,
        "day": _day,
        "moment": _moment,
        "reasons": words.reasons,
        "why": _why,
        "refused": _refused,
        "Standing": Standing,
        "Adjustment": Adjustment,
        "ReplanState": ReplanState,
        "most_options": MOST_OPTIONS,
    }


LONGEST = timedelta(days=62)
MOST_OPENED = 3
STAGES = {
    "candidates": _l("Buscando los horarios posibles"),
    "greedy": _l("Armando un primer plan"),
    "relaxation": _l("Calculando hasta dónde se puede mejorar"),
    "fixing": _l("Mejorando el plan"),
    "alternatives": _l("Buscando más horarios para cada cliente"),
    "done": _l("Terminando"),
}
FAILURES = {
    "E05": _l("Una de las citas necesita una sala que el consultorio ya no tiene."),
    "E12": _l("Son demasiadas citas para un solo plan. Divida el periodo."),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """Somebody or something that may be missing, as one of the form's options."""

    value: str
    name: str
    missing: Missing


def _choices(the: Plan) -> dict[str, list[Choice]]:
    """Whom the reader may report missing, by what they are; managers choose among all."""
    actor = staff_actor()
    people = [
        Choice(c.key, c.name, Missing(clinician_id=c.id)) for c in staff.clinicians(the, actor)
    ]
    if actor.account is None or not actor.account.manager:
        return {_("Profesionales"): people}
    offices = [
        Choice(f"consultorio:{x.key}", x.name, Missing(location_id=x.id))
        for x in the.locations.values()
        if x.active
    ]
    rooms = [
        Choice(
            f"sala:{room.key}",
            f"{the.locations[room.location_id].name}, {room.name}",
            Missing(room_id=room.id),
        )
        for room in the.rooms.values()
        if room.active
    ]
    return {_("Profesionales"): people, _("Consultorios"): offices, _("Salas"): rooms}


@bp.route("/ausencia", methods=["GET", "POST"])
@for_staff
@of(AGENDA.named("quien"))
def absence() -> ResponseReturnValue:
    """Who is not there and when: one tap blocks the time and looks for other times for all."""
    the, form = plan(), Form()
    choices = _choices(the)
    flat = {choice.value: choice for group in choices.values() for choice in group}
    chosen = flat.get(request.form.get("quien") or request.args.get("quien", ""))
    if chosen is None and (request.method != "POST" or "quien" not in request.form):
        chosen = next(iter(flat.values()), None)
    earlier = around = None
    if request.method == "POST":
        try:
            return _report(form, chosen)
        except AlreadyPlanned as planned:
            earlier = planned.replan_id
            form.refuse("dia", _("Ya hay un plan para ese periodo."))
        except AlreadyReported as reported:
            around = reported.blocked_id
            form.refuse("dia", _("Esa ausencia ya está registrada."))
        except TooManySessions:
            form.refuse("dia", str(FAILURES["E12"]))
        except _Refused:
            pass
    return render(
        "replans/absence.html",
        status=422 if form.errors else 200,
        form=form,
        choices=choices,
        chosen=chosen,
        earlier=earlier,
        around=around,
        today=now().astimezone(the.zone(None)).date(),
        current=[(_span(the, row), row, plan_id) for row, plan_id in _current()],
    )


class _Refused(Exception):
    """The form says what is wrong."""


def _report(form: Form, chosen: Choice | None) -> Response:
    if chosen is None:
        form.refuse("quien", _("Elija quién o qué falta."))
        raise _Refused
    span = _read_span(form, chosen.missing)
    allowed = _read_allowed(form)
    reason = form.text("motivo", most=200)
    if form.errors or span is None:
        raise _Refused
    blocked = operations.report_absence(
        chosen.missing,
        *span,
        reason=reason,
        allowed=allowed,
        actor=staff_actor(),
        now=now(),
        key=key(),
    )
    plan_id = staff.plan_of(blocked)
    if plan_id is None:
        return see_other(url_for("agenda.blocked", blocked_id=blocked.id))
    return see_other(url_for("replans.show", replan_id=plan_id))


def _read_span(form: Form, missing: Missing) -> tuple[datetime, datetime] | None:
    """From when until when, in the zone of the place."""
    the = plan()
    today = now().astimezone(the.zone(None)).date()
    when = form.choice(
        "cuando",
        {name: name for name in ("hoy", "dia", "dias", "horas")},
        required=_("Elija cuándo."),
    )
    if when is None:
        return None
    first = today if when == "hoy" else form.day("dia", required=_("Elija el día."))
    last = form.day("hasta_dia", required=_("Elija el último día.")) if when == "dias" else first
    opens, closes = read_hours(form) if when == "horas" else (0, 24 * 60)
    if form.errors or first is None or last is None or is_far(form, first, last):
        return None
    zone = _zone(the, missing, first)
    start, end = wall(first, opens, zone), wall(last, closes, zone)
    if when == "hoy":
        start = now().replace(second=0, microsecond=0)
    judge_span(
        form,
        start,
        end,
        ends="hasta_dia" if when == "dias" else "hasta",
        longest=LONGEST,
        too_long=_(
            "Elija dos meses como máximo. Para más tiempo, bloquee el horario en la agenda."
        ),
    )
    return start, end


def _zone(the: Plan, missing: Missing, day: date) -> ZoneInfo:
    if missing.clinician_id is not None:
        return staff.zone_on(the, missing.clinician_id, day)
    room = the.rooms.get(missing.room_id or 0)
    return the.zone(room.location_id if room else missing.location_id)


def _read_allowed(form: Form) -> Allowed:
    options = form.choice(
        "horarios",
        {str(n): n for n in range(1, MOST_OPTIONS + 1)},
        required=_("Elija cuántos horarios ofrecer a cada cliente."),
    )
    until = form.day("buscar_hasta", required="") if form.get("buscar_hasta") else None
    if until is not None and until < now().astimezone(plan().zone(None)).date():
        form.refuse("buscar_hasta", _("Esa fecha ya pasó."))
    return Allowed(
        options=options or 1,
        video=form.checked("video"),
        other_offices=form.checked("otro_consultorio"),
        other_clinicians=form.checked("otro_profesional"),
        until=until,
    )


def _current() -> list[tuple[BlockedTime, int | None]]:
    return queries.current(staff_actor(), now=now())


def _span(the: Plan, blocked: BlockedTime) -> Span:
    room = the.rooms.get(blocked.room_id or 0)
    zone = the.zone(room.location_id if room else blocked.location_id)
    return Span(blocked.starts_at, blocked.ends_at, zone)


def _when(span: Span) -> str:
    """From when until when, without the hours when the days are whole."""
    first, last = (at.astimezone(span.zone) for at in (span.starts_at, span.ends_at))
    if not last.hour and not last.minute:
        final = last.date() - timedelta(days=1)
        if not first.hour and not first.minute:
            if first.date() == final:
                return _("El %(day)s, todo el día.", day=_day(final))
            return _(
                "Del %(first)s, al %(last)s: días enteros.",
                first=_day(first.date()),
                last=_day(final),
            )
        if first.date() == final:
            since = _moment(span.starts_at, span.zone)
            return stop_once(_("Desde el %(since)s, hasta que acabe el día.", since=since))
    return stop_once(
        _(
            "Del %(start)s al %(end)s.",
            start=_moment(span.starts_at, span.zone),
            end=_moment(span.ends_at, span.zone),
        )
    )


def _day(day: date) -> str:
    """Written with its year, unless it is this one."""
    this_year = now().astimezone(plan().zone(None)).year
    return say().short_day(day) if day.year == this_year else say().day(day)


def _moment(when: datetime, zone: ZoneInfo) -> str:
    """The same with the time."""
    same_year = when.astimezone(zone).year == now().astimezone(zone).year
    return say().short_moment(when, zone) if same_year else say().moment(when, zone)


def _name(the: Plan, blocked: BlockedTime) -> str:
    """Who or what is missing."""
    if blocked.clinician_id is not None:
        return the.clinicians[blocked.clinician_id].name
    if blocked.room_id is not None:
        room = the.rooms[blocked.room_id]
        return f"{the.locations[room.location_id].name}, {room.name}"
    return the.locations[blocked.location_id or 0].name


@bp.post("/bloqueos/<int:blocked_id>/plan")
@for_staff
@of(BLOCKED_TIME)
def begin(blocked_id: int) -> ResponseReturnValue:
    """«Buscar otros horarios para todas», from time that was blocked before."""
    try:
        replan = operations.plan_for(
            blocked_id, allowed=Allowed(), actor=staff_actor(), now=now(), key=key()
        )
    except NothingToMove:
        return problem(409, title=_("Ninguna cita de ese periodo necesita otro horario"))
    except TooManySessions:
        return problem(422, title=str(FAILURES["E12"]))
    return see_other(url_for("replans.show", replan_id=replan.id))


@bp.get("/planes/<int:replan_id>")
@for_staff
@of(REPLAN)
def show(replan_id: int) -> ResponseReturnValue:
    return _page(replan_id)


def _page(
    replan_id: int, *, status: int = 200, alert: str = "", form: Form | None = None
) -> Response:
    """A plan as it stands: the search, what it found, and what became of what was approved."""
    replan, the = yours(staff_actor(), replan_id), plan()
    at_work = replan.state in AT_WORK
    found = queries.lines(replan, now=now())
    ticked = _ticked(found)
    moves = staff.room_changes(swap for line in found for swap in line.swaps)
    stage = replan.progress.get("stage", "candidates")
    return render(
        "replans/show.html",
        parts=("progress", "approval") if at_work else ("approval",),
        status=status,
        alert=alert,
        form=form or Form(),
        told=argument("avisados", int),
        replan=replan,
        at_work=at_work,
        stage=STAGES.get(stage),
        step=[*STAGES, stage].index(stage) + 1,
        steps=len(STAGES),
        failure=FAILURES.get(replan.failure),
        gap_percent=_gap_percent(replan),
        name=_name(the, replan.blocked),
        span=_span(the, replan.blocked),
        allowed=allowed_by(replan),
        lines=found,
        ticked={line.row.id for line in ticked},
        promised=sum(not line.stays for line in ticked),
        housed=sum(line.stays for line in ticked),
        totals=queries.totals(the, found),
        holds=staff.holds_within(replan.blocked),
        moves_of=lambda line: [moves[swap] for swap in line.swaps if swap in moves],
    )


def _ticked(found: list[Line]) -> list[Line]:
    """What is ticked: all that can be approved at first, afterwards what the reader left so."""
    sent = request.form if request.method == "POST" else request.args
    able = [line for line in found if line.to_approve]
    if "visto" not in sent:
        return [line for line in able if not line.row.refusal]
    wanted = {*sent.getlist("fila")}
    return [line for line in able if str(line.row.id) in wanted]


def _gap_percent(replan: Replan) -> int | None:
    """By how much a better plan could cost less at most; None when nothing is known."""
    at_work = replan.state in AT_WORK
    objective = replan.progress.get("objective") if at_work else replan.objective
    bound = replan.progress.get("bound") if at_work else replan.bound
    return -(-100 * (objective - bound) // objective) if objective and bound is not None else None


def _why(line: Line) -> str:
    """Why a session has no other time, and what would open one."""
    explanation = line.row.explanation
    if explanation is None:
        return _("No encontramos otro horario con lo que permitió.")
    opened = [
        (each["starts"], [str(words.RELAXED[Group(name)]) for name in each["groups"]])
        for each in explanation["relaxations"]
        if all(Group(name) in words.RELAXED for name in each["groups"])
    ]
    if not opened:
        return _("No hay ningún otro horario posible.")
    first, *others = opened[:MOST_OPENED]
    told = "; ".join([words.times_open(*first), *(words.also_open(*each) for each in others)])
    return _("Con lo que permitió no hay horario. %(opened)s.", opened=told)


def _refused(names: list[str]) -> str:
    """Why approving failed, in words."""
    if CHANGED in names:
        return _("La cita cambió mientras tanto. Busque de nuevo.")
    told = [
        str(words.STAFF_NOT_FREE[rule]) for rule in map(Rule, names) if rule in words.STAFF_NOT_FREE
    ]
    return " ".join(told) or _("Otra cita ocupó uno de esos horarios. Busque de nuevo.")


@bp.post("/planes/<int:replan_id>/detener")
@for_staff
@of(REPLAN)
def stop(replan_id: int) -> ResponseReturnValue:
    operations.stop(replan_id, actor=staff_actor(), now=now(), key=key())
    return see_other(url_for("replans.show", replan_id=replan_id))


@bp.post("/planes/<int:replan_id>/buscar")
@for_staff
@of(REPLAN)
def search(replan_id: int) -> ResponseReturnValue:
    """«Buscar de nuevo», with what was pinned, left out or allowed meanwhile."""
    form = Form()
    allowed = _read_allowed(form)
    if form.errors:
        return _page(replan_id, status=422, form=form)
    try:
        operations.search_again(
            replan_id, run=_run(), allowed=allowed, actor=staff_actor(), now=now(), key=key()
        )
    except ChangedMeanwhile:
        return _page(replan_id, status=409, alert=_changed())
    except TooManySessions:
        return _page(replan_id, status=422, alert=str(FAILURES["E12"]))
    return see_other(url_for("replans.show", replan_id=replan_id))


@bp.post("/planes/<int:replan_id>/ajustar")
@for_staff
@of(REPLAN, REPLAN_ROW)
def adjust(replan_id: int) -> ResponseReturnValue:
    """Pin, leave out or widen one session of the plan."""
    form = Form()
    adjustment = form.choice(
        "hacer", {a.value: a for a in Adjustment}, required=_("Elija un ajuste.")
    )
    row_id = _number(request.form.get("fila", ""))
    if adjustment is None or row_id is None:
        return _page(replan_id, status=422, alert=_("Ese ajuste no es válido. Elija de la lista."))
    try:
        operations.adjust(replan_id, row_id, adjustment, actor=staff_actor(), now=now(), key=key())
    except ChangedMeanwhile:
        return _page(replan_id, status=409, alert=_changed())
    return see_other(url_for("replans.show", replan_id=replan_id, _anchor=f"fila-{row_id}"))


@bp.post("/planes/<int:replan_id>/aprobar")
@for_staff
@of(REPLAN, REPLAN_ROW)
def approve(replan_id: int) -> ResponseReturnValue:
    """Move all that is ticked; what cannot be moved stays in the list and says why."""
    rows = [_number(text) for text in dict.fromkeys(request.form.getlist("fila"))]
    found = queries.lines(yours(staff_actor(), replan_id), now=now())
    wanted = [line.row.id for line in found if line.row.id in rows]
    if len(wanted) < len(rows):
        return _page(replan_id, status=422, alert=_("Una de las citas no es de este plan."))
    if not wanted:
        return _page(replan_id, status=422, alert=_("Marque al menos una cita."))
    if request.form.get("promesa") != str(len(wanted)):
        return _page(replan_id, alert=_("Revise antes de aprobar: así queda con lo que marcó."))
    try:
        left = operations.approve(
            replan_id, wanted, run=_run(), actor=staff_actor(), now=now(), key=key()
        )
    except ChangedMeanwhile:
        return _page(replan_id, status=409, alert=_changed())
    if len(left) == len(wanted):
        return _page(
            replan_id, status=409, alert=_("Ninguna de las citas que marcó se pudo mover.")
        )
    moved = {*wanted} - {row.id for row in left}
    told = {
        line.appointment.client_id
        for line in found
        if line.row.id in moved and line.reachable and not line.stays
    }
    return see_other(url_for("replans.show", replan_id=replan_id, avisados=len(told) or None))


def _changed() -> str:
    return _("El plan cambió mientras usted lo veía. Así está ahora:")


def _run() -> int:
    """The search whose result the form showed; garbage is none's."""
    found = _number(request.form.get("busqueda", ""))
    return -1 if found is None else found


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
