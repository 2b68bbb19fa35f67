"""«Clientes»: finding one, and giving an appointment to somebody who telephoned."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import wraps
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, abort, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from booking import availability, free_times, operations
from booking.availability import STAFF_MAY_WAIVE, NotFree, Plan, Rule, Slot, Wish, plan, wall
from booking.gateway import ChangedMeanwhile
from booking.lifecycle import IllegalTransition, State
from booking.mailer import FolderMailer
from booking.models import (
    Appointment,
    Client,
    Clinician,
    Location,
    Modality,
    Service,
    folded,
)
from booking.occupancy import SlotTaken
from booking.operations import erasing
from booking.operations.people import AlreadyKnown
from booking.queries import person as persons
from booking.queries import staff as queries
from booking.queries.person import Person
from booking.web.access import (
    AGENDA,
    APPOINTMENT,
    CLIENT,
    RECORD,
    account,
    dangerous,
    for_staff,
    of,
    staff_actor,
)
from booking.web.agenda import appointment_page, staff_words, why_not
from booking.web.forms import Form, argument, key
from booking.web.fragments import as_download, render, see_other
from booking.web.new_appointment import VIDEO, places_for
from booking.web.times import own_time, received, sent, shown, without
from booking.web.urls import now

bp = Blueprint("clients", __name__, url_prefix="/clientes")
bp.context_processor(staff_words)

FARTHEST = timedelta(days=2 * 366)


@bp.get("")
@for_staff
def index() -> ResponseReturnValue:
    text = " ".join((argument("q", str) or "").split())[:80]
    found, more = queries.clients(staff_actor(), text)
    return render("clients/index.html", text=text, found=found, more=more)


@bp.route("/nuevo", methods=["GET", "POST"])
@for_staff
def new() -> ResponseReturnValue:
    form = Form()
    if request.method == "POST":
        name = form.text("nombre", required=_("Escriba el nombre y los apellidos."))
        phone = form.phone("telefono", optional=True)
        email = form.email("correo", optional=True)
        if not phone and not email:
            form.refuse("telefono", _("Escriba un teléfono o un correo electrónico."))
        if not form.errors:
            try:
                added = operations.add_client(
                    name=name, email=email, phone=phone, actor=staff_actor(), now=now(), key=key()
                )
                return see_other(url_for("clients.show", client_id=added.id))
            except AlreadyKnown:
                form.refuse("correo", _why_not_added(email))
    return render(
        "clients/new.html",
        status=422 if form.errors else 200,
        form=form,
        name=argument("nombre", str) or "",
    )


def _why_not_added(email: str) -> str:
    """Who comes to a colleague is told to nobody, so there is no word of a client here."""
    if queries.knows(staff_actor(), email):
        return _("Ya hay un cliente con ese correo. Búsquelo en «Clientes».")
    return _("No se puede añadir con ese correo. Pida ayuda a quien administra el consultorio.")


@bp.get("/<int:client_id>")
@for_staff
@of(CLIENT)
def show(client_id: int) -> ResponseReturnValue:
    client = queries.client(staff_actor(), client_id)
    upcoming, past = queries.appointments_of(staff_actor(), client, now=now())
    return render(
        "clients/show.html",
        client=client,
        clinician=plan().clinicians.get(client.clinician_id or 0),
        contacts=queries.contacts(client),
        upcoming=upcoming,
        past=past,
        erasable=account().manager and erasing.is_erasable(client),
    )


@bp.get("/<int:client_id>/datos.json")
@for_staff
@dangerous
@of(RECORD)
def export(client_id: int) -> ResponseReturnValue:
    """A person's data as a file, for the manager to hand over."""
    return as_download(persons.export(_person(client_id), now=now()))


@bp.route("/<int:client_id>/borrar", methods=["GET", "POST"])
@for_staff
@dangerous
@of(RECORD)
def erase(client_id: int) -> ResponseReturnValue:
    person, form, pending = _person(client_id), Form(), []
    if request.method == "POST":
        typed = form.text("nombre", required=_("Escriba el nombre completo."))
        if not form.errors and folded(typed) != folded(person.name):
            form.refuse("nombre", _("No es el mismo nombre. Escríbalo como se muestra arriba."))
        if not form.errors:
            try:
                erasing.erase(person, now=now())
                mailer = current_app.extensions["mailer"]
                if isinstance(mailer, FolderMailer):
                    mailer.forget(person.emails)
                return see_other(url_for("clients.show", client_id=client_id))
            except erasing.StillOpen as found:
                pending = found.appointments
    return render(
        "clients/erase.html",
        status=409 if pending else 422 if form.errors else 200,
        person=person,
        pending=pending,
        form=form,
        reads=persons.reads(person.clients),
        client_id=client_id,
    )


def _person(client_id: int) -> Person:
    """Whom a record is about, for managers; nobody is erased twice, and a couple not as one."""
    client = queries.client(staff_actor(), client_id)
    if not account().manager or not erasing.is_erasable(client):
        abort(404)
    return persons.of_client(client)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What staff have chosen so far for a client, as the URL says."""

    client: Client
    service: Service | None = None
    location: Location | None = None
    video: bool = False
    clinician: Clinician | None = None
    starts_at: datetime | None = None
    replaces: Appointment | None = None

    @property
    def placed(self) -> bool:
        return self.clinician is not None

    @property
    def location_id(self) -> int | None:
        return self.location.id if self.location else None

    def query(self) -> dict[str, Any]:
        """The draft as query arguments."""
        found = {
            "servicio": self.service and self.service.key,
            "consultorio": VIDEO if self.video else self.location and self.location.key,
            "profesional": self.clinician and self.clinician.key,
            "hora": self.starts_at and sent(self.starts_at),
            "cambia": self.replaces and str(self.replaces.id),
        }
        return {name: value for name, value in found.items() if value}

    def url(self, step: str, **changes: object) -> str:
        """The address of a step with some choices made or, with None, unmade."""
        return url_for(f"clients.{step}", client_id=self.client.id, **(self.query() | changes))

    @property
    def wish(self) -> Wish:
        """The draft as a search for times."""
        assert self.service is not None
        assert self.clinician is not None
        return Wish(
            service_id=self.service.id,
            modality=Modality.VIDEO if self.video else Modality.IN_PERSON,
            location_id=self.location_id,
            clinician_ids=(self.clinician.id,),
            person_ids=self.client.person_ids,
            chain=self.replaces.chain if self.replaces else None,
        )


def read_draft(the: Plan, client: Client) -> Draft:
    """The draft of this request; a combination that nobody offers loses its later choices."""
    draft = Draft(client=client)
    replaced = argument("cambia", int)
    if replaced is not None:
        old = queries.appointment(staff_actor(), replaced)
        draft = replace(draft, replaces=old if old.client_id == client.id else None)
    service = the.service_by_key(request.args.get("servicio", ""))
    if service is None or service not in services_for(the):
        return draft
    draft = replace(draft, service=service)
    place, person = request.args.get("consultorio", ""), request.args.get("profesional", "")
    for location, clinician in places_and_people(the, service):
        if clinician.key == person and place == (location.key if location else VIDEO):
            return replace(
                draft,
                location=location,
                video=location is None,
                clinician=clinician,
                starts_at=argument("hora", _instant),
            )
    return draft


def _instant(text: str) -> datetime:
    at = received(text)
    if abs(at - now()) > FARTHEST:
        raise ValueError(text)
    return at


def services_for(the: Plan) -> list[Service]:
    """What the reader can book, also what clients cannot ask for online."""
    return [s for s in the.services.values() if s.active and places_and_people(the, s)]


def places_and_people(the: Plan, service: Service) -> list[tuple[Location | None, Clinician]]:
    """Where (by video: None) and with whom the reader can book a service."""
    allowed = {clinician.id for clinician in queries.clinicians(the, staff_actor())}
    return [
        (location, clinician)
        for location in places_for(the, service)
        for clinician in the.offered_at(service, location.id if location else None)
        if clinician.id in allowed
    ]


View = Callable[[Draft], ResponseReturnValue]


def step(view: View) -> Callable[[int], ResponseReturnValue]:
    """A step of the flow: it gets the draft, or the reader is sent to the first gap in it."""

    @for_staff
    @of(CLIENT, APPOINTMENT.named("cambia"), AGENDA)
    @wraps(view)
    def run(client_id: int) -> ResponseReturnValue:
        client = queries.client(staff_actor(), client_id)
        if client.erased_at is not None:
            abort(404)
        draft = read_draft(plan(), client)
        old, gap = draft.replaces, first_gap(draft)
        if request.method != "POST" and old is not None and old.status is not State.CONFIRMED:
            return redirect(url_for("agenda.appointment", appointment_id=old.id), 303)
        if STEPS.index(gap) < STEPS.index(view.__name__):
            return redirect(draft.url(gap), 303)
        return view(draft)

    return run


STEPS = ["service", "place", "time", "confirm"]


def first_gap(draft: Draft) -> str:
    """The first step that still has to be taken."""
    if draft.service is None:
        return "service"
    if not draft.placed:
        return "place"
    return "time" if draft.starts_at is None else "confirm"


@bp.get("/<int:client_id>/cita")
@step
def service(draft: Draft) -> ResponseReturnValue:
    meant_for = sorted(
        services_for(plan()),
        key=lambda s: bool(s.client_kinds) and draft.client.kind not in s.client_kinds,
    )
    choices = [(s, draft.url("place", servicio=s.key, hora=None)) for s in meant_for]
    return render("clients/service.html", draft=draft, choices=choices)


@bp.get("/<int:client_id>/cita/lugar")
@step
def place(draft: Draft) -> ResponseReturnValue:
    assert draft.service is not None
    choices = [
        (
            location,
            clinician,
            draft.url(
                "time",
                consultorio=location.key if location else VIDEO,
                profesional=clinician.key,
                hora=None,
            ),
        )
        for location, clinician in places_and_people(plan(), draft.service)
    ]
    if len(choices) == 1 and not draft.placed:
        return redirect(choices[0][2], 303)
    return render("clients/place.html", draft=draft, choices=choices)


@step
def time(draft: Draft) -> ResponseReturnValue:
    """Free times to choose from, and a form for any other."""
    if request.method != "POST":
        return _time_page(draft, Form())
    form = Form()
    starts_at = _read_moment(form, zone_of(draft))
    if starts_at is not None:
        try:
            _check(draft.wish, starts_at)
        except NotFree as taken:
            form.refuse("a_las", why_not(taken, draft.wish, starts_at))
    if form.errors or starts_at is None:
        return _time_page(draft, form, status=422)
    return see_other(replace(draft, starts_at=starts_at).url("confirm"))


bp.add_url_rule("/<int:client_id>/cita/horario", "time", time, methods=["GET", "POST"])


def zone_of(draft: Draft) -> ZoneInfo:
    """Where the client goes; by video, the practice's."""
    return plan().zone(draft.location_id)


def _read_moment(form: Form, zone: ZoneInfo) -> datetime | None:
    day = form.day("dia", required=_("Elija el día."))
    minute = form.minute("a_las", required=_("Escriba la hora."))
    if day is None or minute is None:
        return None
    if abs(day - now().date()) > FARTHEST:
        form.refuse("dia", _("Esa fecha está demasiado lejos. Revise el año."))
        return None
    return wall(day, minute, zone)


def _check(wish: Wish, starts_at: datetime) -> Slot:
    """Say early what `book` will say in any case."""
    if starts_at <= now():
        raise NotFree([Rule.NOTICE])
    return availability.slot(wish, starts_at, now=now(), waived=STAFF_MAY_WAIVE)


def _time_page(draft: Draft, form: Form, *, status: int = 200, alert: str = "") -> Response:
    zone = zone_of(draft)
    today = now().astimezone(zone).date()
    since = argument("desde", date.fromisoformat) or today
    since = since if abs(since - today) <= FARTHEST else today
    days, later = free_times.free_days(draft.wish, since=since, zone=zone, now=now())
    days = without(days, own_time(draft.replaces, draft.location_id, draft.clinician))
    return render(
        "clients/time.html",
        status=status,
        alert=alert,
        draft=draft,
        form=form,
        zone=zone,
        days=shown(days, zone),
        later=later,
        since=since if since > today else None,
        elsewhere=[] if days else _elsewhere(draft, since),
    )


def _elsewhere(draft: Draft, since: date) -> list[tuple[Draft, int]]:
    """When the list is empty: the same clinician elsewhere, or others there, if that helps."""
    assert draft.service is not None
    others = [
        replace(draft, location=place, video=place is None, clinician=clinician, starts_at=None)
        for place, clinician in places_and_people(plan(), draft.service)
        if (place == draft.location) != (clinician == draft.clinician)
    ]
    wishes = [(other.wish, since) for other in others]
    counts = free_times.count_free(wishes, zone=zone_of(draft), now=now())
    return [(other, count) for other, count in zip(others, counts, strict=True) if count]


@step
def confirm(draft: Draft) -> ResponseReturnValue:
    assert draft.starts_at is not None
    try:
        if request.method != "POST":
            slot = _check(draft.wish, draft.starts_at)
            moves = queries.room_changes(slot.swaps).values()
            return render("clients/confirm.html", draft=draft, zone=zone_of(draft), moves=moves)
        booked = operations.book(
            draft.wish,
            draft.starts_at,
            client=draft.client,
            actor=staff_actor(),
            replaces=draft.replaces.id if draft.replaces else None,
            now=now(),
            key=key(),
        )
    except (NotFree, SlotTaken) as taken:
        why = why_not(taken, draft.wish, draft.starts_at)
        return _time_page(replace(draft, starts_at=None), Form(), status=409, alert=why)
    except (ChangedMeanwhile, IllegalTransition):
        assert draft.replaces is not None
        alert = _("La cita cambió mientras usted la veía. Así quedó:")
        return appointment_page(draft.replaces.id, status=409, alert=alert)
    return see_other(url_for("agenda.appointment", appointment_id=booked.id))


bp.add_url_rule("/<int:client_id>/cita/confirmar", "confirm", confirm, methods=["GET", "POST"])
