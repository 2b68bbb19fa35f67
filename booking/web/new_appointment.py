"""The guide's steps 3 to 7: service, office, day and time, for whom. The draft lives in the URL."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import wraps
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from booking import availability, free_times
from booking.availability import NotFree, Plan, Rule, Wish, plan
from booking.models import (
    Account,
    Appointment,
    Client,
    ClientKind,
    Clinician,
    Location,
    Modality,
    Service,
)
from booking.occupancy import SlotTaken
from booking.operations import add_minor, add_partner, ask
from booking.operations.people import MOST_PEOPLE, TooManyPeople, is_minor
from booking.operations.requesting import (
    AlreadyMoving,
    NotAllowed,
    NotForThisClient,
    TooManyPending,
    pending_count,
    suits,
)
from booking.queries import portal as queries
from booking.web import words
from booking.web.access import OWN_APPOINTMENT, OWN_PERSON, account, for_client, of
from booking.web.errors import problem
from booking.web.forms import Form, argument, key
from booking.web.fragments import render, see_other
from booking.web.times import own_time, received, sent, shown, without
from booking.web.urls import now
from solver import Group

bp = Blueprint("new_appointment", __name__, url_prefix="/citas/nueva")
bp.add_app_template_filter(sent)

ANYBODY = "cualquiera"
VIDEO = "video"
REPEAT_DAYS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What has been chosen so far, as the URL says; what is unknown there counts as not chosen."""

    service: Service | None = None
    location: Location | None = None
    video: bool = False
    clinician: Clinician | None = None
    anybody: bool = False
    starts_at: datetime | None = None
    client: Client | None = None
    replaces: Appointment | None = None

    @property
    def placed(self) -> bool:
        return self.video or self.location is not None

    @property
    def location_id(self) -> int | None:
        return self.location.id if self.location else None

    def query(self) -> dict[str, Any]:
        """The draft as query arguments."""
        found = {
            "servicio": self.service and self.service.key,
            "consultorio": VIDEO if self.video else self.location and self.location.key,
            "profesional": ANYBODY if self.anybody else self.clinician and self.clinician.key,
            "hora": self.starts_at and sent(self.starts_at),
            "para": self.client and str(self.client.id),
            "cambia": self.replaces and str(self.replaces.id),
        }
        return {name: value for name, value in found.items() if value}

    def url(self, step: str, **changes: object) -> str:
        """The address of a step with some choices made or, with None, unmade."""
        return url_for(f"new_appointment.{step}", **(self.query() | changes))


def read_draft(the: Plan, who: Account) -> Draft:
    """The draft of this request; a combination that nobody offers loses its later choices."""
    draft = Draft()
    replaced = argument("cambia", int)
    if replaced is not None:
        draft = replace(draft, replaces=queries.appointment(who, replaced))
    client_id = argument("para", int)
    people = {client.id: client for client in queries.people(who)}
    if client_id in people:
        draft = replace(draft, client=people[client_id])
    service = the.service_by_key(request.args.get("servicio", ""))
    if (
        service is None
        or not service.online
        or service not in services_for(the, list(people.values()), moves=draft.replaces)
    ):
        return draft
    draft = replace(draft, service=service)
    place = request.args.get("consultorio", "")
    if place == VIDEO and the.offered_at(service, None):
        draft = replace(draft, video=True)
    else:
        location = the.location_by_key(place)
        if location is None or not the.offered_at(service, location.id):
            return draft
        draft = replace(draft, location=location)
    chosen = request.args.get("profesional", "")
    offering = the.offered_at(service, draft.location_id)
    if chosen == ANYBODY:
        draft = replace(draft, anybody=True)
    else:
        clinician = the.clinician_by_key(chosen)
        if clinician is not None and clinician.id in {c.id for c in offering}:
            draft = replace(draft, clinician=clinician)
        elif len(offering) == 1:
            draft = replace(draft, clinician=offering[0])
        else:
            own = queries.own_clinician(who)
            draft = replace(draft, clinician=next((c for c in offering if c.id == own), None))
    return replace(draft, starts_at=argument("hora", _instant))


def _instant(text: str) -> datetime:
    found = received(text)
    if not 2000 <= found.year < 2200:  # Nobody's agenda; arithmetic on it would overflow.
        raise ValueError(text)
    return found


def services_for(
    the: Plan, people: list[Client], *, moves: Appointment | None = None
) -> list[Service]:
    """What this account can ask for online, for somebody it acts for or could add.

    The service of the session that it `moves` is always among them.
    """
    kinds = {client.kind for client in people}
    return [
        service
        for service in the.services.values()
        if service.active
        and service.online
        and places_for(the, service)
        and (
            any(suits(service, client, moves=moves) for client in people)
            or any(
                _could_be_added(service, kind, people) for kind in ClientKind if kind not in kinds
            )
        )
    ]


def _could_be_added(service: Service, kind: ClientKind, people: list[Client]) -> bool:
    """A child or a couple that the account has not told us about yet may want this service."""
    known = people[0].known_since if people and kind is ClientKind.COUPLE else None
    return kind is not ClientKind.ADULT and suits(
        service, Client(kind=kind.value, known_since=known)
    )


def places_for(the: Plan, service: Service) -> list[Location | None]:
    """Where the service is offered: offices in the practice's order, then video (`None`)."""
    offices: list[Location | None] = [
        location
        for location in sorted(the.locations.values(), key=lambda x: (x.position, x.id))
        if location.active and the.offered_at(service, location.id)
    ]
    return offices + ([None] if the.offered_at(service, None) else [])


View = Callable[[Draft], ResponseReturnValue]


def step(view: View) -> Callable[[], ResponseReturnValue]:
    """A step of the flow: it gets the draft, or the reader is sent to the first gap in it."""

    @for_client
    @of(OWN_APPOINTMENT.named("cambia"), OWN_PERSON.named("para"), OWN_PERSON)
    @wraps(view)
    def run() -> ResponseReturnValue:
        draft = read_draft(plan(), account())
        gap = first_gap(draft)
        own = STEPS.index(view.__name__) if view.__name__ in STEPS else len(STEPS) - 1
        if STEPS.index(gap) < own:
            return redirect(draft.url(gap), 303)
        return view(draft)

    return run


STEPS = ["service", "location", "clinician", "slot", "person"]


def first_gap(draft: Draft) -> str:
    """The first step that still has to be taken."""
    if draft.service is None:
        return "service"
    if not draft.placed:
        return "location"
    if draft.clinician is None and not draft.anybody:
        return "clinician"
    if draft.starts_at is None:
        return "slot"
    return "person"


def start_url(the: Plan, people: list[Client]) -> str:
    """Where «Solicitar cita» leads: past the services, when there is only one."""
    services = services_for(the, people)
    if len(services) == 1:
        return past_service(the, Draft(service=services[0]), queries.own_clinician(account()))
    return url_for("new_appointment.service")


def past_service(the: Plan, draft: Draft, own: int | None) -> str:
    """Where the choice of a service leads: past the places, when there is only one."""
    assert draft.service is not None
    places = places_for(the, draft.service)
    if draft.placed and draft.location in places:
        return past_place(the, draft, own)
    draft = replace(draft, location=None, video=False)
    if len(places) > 1:
        return draft.url("location")
    return past_place(the, replace(draft, location=places[0], video=places[0] is None), own)


def past_place(the: Plan, draft: Draft, own: int | None) -> str:
    """Where the choice of a place leads: past the clinicians, when it is known who it will be."""
    assert draft.service is not None
    offering = the.offered_at(draft.service, draft.location_id)
    known = draft.anybody or draft.clinician in offering or own in {c.id for c in offering}
    return draft.url("slot" if known or len(offering) == 1 else "clinician")


@dataclass(frozen=True, slots=True)
class Repeat:
    """What was asked for last, and when it can be had again."""

    draft: Draft
    times: list[datetime]
    zone: ZoneInfo


def repeat(the: Plan, people: list[Client]) -> Repeat | None:
    """«La misma que la última vez»; nothing when it can no longer be asked for like that."""
    last = queries.last(account())
    if last is None or pending_count(account()) >= the.practice.max_pending:
        return None
    service, clinician = the.services[last.service_id], the.clinicians[last.clinician_id]
    client = next((client for client in people if client.id == last.client_id), None)
    place = the.locations[last.location_id] if last.location_id else None
    if (
        client is None
        or not (service.active and service.online and suits(service, client))
        or place not in places_for(the, service)
    ):
        return None
    draft = Draft(
        service=service, location=place, video=place is None, clinician=clinician, client=client
    )
    zone = queries.zone_at(last.location_id, account())
    today = now().astimezone(zone).date()
    days, _later = free_times.free_days(
        wish_of(the, draft), since=today, zone=zone, now=now(), most_days=REPEAT_DAYS
    )
    usual = last.starts_at.astimezone(zone)
    # Not the very time that was asked for: if it is free, it was denied or given up.
    free = ([time for time in times if time != last.starts_at] for _day, times in days)
    return Repeat(draft, [nearest(usual, times, zone) for times in free if times], zone)


def nearest(usual: datetime, times: list[datetime], zone: ZoneInfo) -> datetime:
    """The time of a day that is nearest to the usual hour."""

    def apart(moment: datetime) -> int:
        local = moment.astimezone(zone)
        return abs(60 * (local.hour - usual.hour) + local.minute - usual.minute)

    return min(times, key=apart)


@bp.get("")
@for_client
def start() -> ResponseReturnValue:
    return redirect(url_for("new_appointment.service"), 303)


@bp.get("/servicio")
@step
def service(draft: Draft) -> ResponseReturnValue:
    the, who = plan(), account()
    people = queries.people(who)
    services = services_for(the, people, moves=draft.replaces)
    pending, own = pending_count(who), queries.own_clinician(who)
    if len(services) == 1 and draft.service is None:
        return redirect(past_service(the, replace(draft, service=services[0]), own), 303)
    others = [
        s for s in services if not any(suits(s, person, moves=draft.replaces) for person in people)
    ]
    return render(
        "new_appointment/service.html",
        draft=draft,
        choices=[
            (s, past_service(the, replace(draft, service=s), own), s in others)
            for s in sorted(services, key=others.__contains__)
        ],
        pending=pending,
        left=the.practice.max_pending - pending,
    )


@bp.get("/consultorio")
@step
def location(draft: Draft) -> ResponseReturnValue:
    the = plan()
    assert draft.service is not None
    own = queries.own_clinician(account())
    choices = [
        (place, past_place(the, replace(draft, location=place, video=place is None), own))
        for place in places_for(the, draft.service)
    ]
    return render(
        "new_appointment/location.html", draft=draft, choices=choices, **_only(the, draft)
    )


@bp.get("/profesional")
@step
def clinician(draft: Draft) -> ResponseReturnValue:
    the = plan()
    assert draft.service is not None
    offering = the.offered_at(draft.service, draft.location_id)
    return render(
        "new_appointment/clinician.html",
        draft=draft,
        choices=[(c, draft.url("slot", profesional=c.key)) for c in offering],
        anybody=draft.url("slot", profesional=ANYBODY),
        **_only(the, draft),
    )


def _only(the: Plan, draft: Draft) -> dict[str, Any]:
    """Which of the choices made were the only ones."""
    if draft.service is None:
        return {}
    online = [service for service in the.services.values() if service.active and service.online]
    return {
        "only_service": len(online) == 1 or draft.replaces is not None,
        "only_place": len(places_for(the, draft.service)) == 1,
        "only_clinician": draft.placed
        and len(the.offered_at(draft.service, draft.location_id)) == 1,
    }


@bp.get("/horario")
@step
def slot(draft: Draft) -> ResponseReturnValue:
    if draft.starts_at is None:
        return _slot_page(draft)
    why = why_not(draft)  # A time chosen before another place or service was: does it still do?
    if why is None:
        return redirect(draft.url("person"), 303)
    return _slot_page(replace(draft, starts_at=None), alert=_("%(why)s Elija otra hora.", why=why))


def why_not(draft: Draft) -> str | None:
    """What speaks against the chosen time, in words; None when it can be had."""
    assert draft.starts_at is not None
    if draft.starts_at == own_time(draft.replaces, draft.location_id, draft.clinician):
        return _("Es la hora que ya tiene.")
    try:
        availability.slot(wish_of(plan(), draft), draft.starts_at, now=now())
    except NotFree as taken:
        return _why_taken(taken.rules, draft.starts_at)
    return None


def _why_taken(rules: tuple[Rule, ...], starts_at: datetime) -> str:
    """In words, whichever way it came to be; whoever goes back has perhaps asked for it before."""
    return words.not_free(rules, own=queries.holds(account(), starts_at))


def _slot_page(draft: Draft, *, status: int = 200, alert: str = "") -> Response:
    the = plan()
    zone = queries.zone_at(draft.location_id, account())
    asked = argument("desde", date.fromisoformat)
    since = asked or now().astimezone(zone).date()
    days, later = free_times.free_days(wish_of(the, draft), since=since, zone=zone, now=now())
    days = without(days, own_time(draft.replaces, draft.location_id, draft.clinician))
    return render(
        "new_appointment/slot.html",
        status=status,
        alert=alert,
        draft=draft,
        zone=zone,
        practice_zone=the.zone(None),
        days=shown(days, zone),
        first=days[0][1][0] if days else None,
        later=later,
        since=asked,
        elsewhere=[] if days else _elsewhere(the, draft, since, zone),
        **_only(the, draft),
    )


def wish_of(the: Plan, draft: Draft) -> Wish:
    """The draft as a search for times."""
    assert draft.service is not None
    offering = the.offered_at(draft.service, draft.location_id)
    clinicians = [c.id for c in offering] if draft.clinician is None else [draft.clinician.id]
    return Wish(
        service_id=draft.service.id,
        modality=Modality.VIDEO if draft.video else Modality.IN_PERSON,
        location_id=draft.location_id,
        clinician_ids=tuple(clinicians),
        person_ids=draft.client.person_ids if draft.client else (),
        chain=draft.replaces.chain if draft.replaces else None,
    )


def _elsewhere(the: Plan, draft: Draft, since: date, zone: ZoneInfo) -> list[tuple[str, str]]:
    """What to change when a search is empty: how many times that brings, and where it leads."""
    today = now().astimezone(zone).date()
    searches = [(other, since) for other in _other_searches(the, draft)]
    if since > today:
        searches.insert(0, (draft, today))
    wishes = [(wish_of(the, other), day) for other, day in searches]
    counts = free_times.count_free(wishes, zone=zone, now=now())
    found: dict[object, tuple[str, str]] = {}
    for (other, day), count in zip(searches, counts, strict=True):
        if count:  # One way to each place is enough: with the same clinician, if that helps.
            said = words.times_open(count, _changes(draft, other, earlier=day < since))
            url = other.url("slot", hora=None, desde=day.isoformat() if day > today else None)
            found.setdefault((day, other.location), (said, url))
    return list(found.values())


def _changes(draft: Draft, other: Draft, *, earlier: bool) -> list[str]:
    """In what one search differs from another, as a client would say it."""
    said = [str(words.EARLIER)] if earlier else []
    if other.video and not draft.video:
        said.append(str(words.INSTEAD[Group.MODALITY]))
    elif other.location is not None and other.location != draft.location:
        said.append(words.in_place(other.location))
    if other.anybody and not draft.anybody:
        said.append(str(words.INSTEAD[Group.CLINICIAN]))
    return said


def _other_searches(the: Plan, draft: Draft) -> list[Draft]:
    """The same wish with anybody, at each other office or by video, and there with anybody."""
    assert draft.service is not None
    found = []
    for place in [draft.location, *places_for(the, draft.service)]:
        offering = the.offered_at(draft.service, place.id if place else None)
        there = replace(draft, location=place, video=place is None, starts_at=None)
        if draft.anybody or draft.clinician in offering:
            found.append(there)
        if not draft.anybody and set(offering) - {draft.clinician}:
            found.append(replace(there, clinician=None, anybody=True))
    return [other for other in found if other.query() != draft.query()]


@step
def person(draft: Draft) -> ResponseReturnValue:
    form = Form()
    people = _eligible(draft)
    if request.method == "POST":
        chosen = form.choice(
            "persona",
            {str(client.id): client for client in people},
            required=_("Diga para quién es la cita."),
        )
        if chosen is not None:
            return _send(replace(draft, client=chosen))
    elif why_not(draft) is not None:
        return redirect(draft.url("slot"), 303)
    return _person_page(draft, form, people, status=422 if form.errors else 200)


# GET shows everything chosen, POST sends the request: the same address for both.
bp.add_url_rule("/persona", "person", person, methods=["GET", "POST"])


def _eligible(draft: Draft) -> list[Client]:
    """Whom the account may ask this service for."""
    assert draft.service is not None
    people = [c for c in queries.people(account()) if suits(draft.service, c, moves=draft.replaces)]
    if draft.replaces is not None:
        people = [c for c in people if c.id == draft.replaces.client_id]
    return people


def _person_page(
    draft: Draft, form: Form, people: list[Client], *, status: int = 200, alert: str = ""
) -> Response:
    the = plan()
    assert draft.service is not None
    kinds = draft.service.client_kinds or [kind.value for kind in ClientKind]
    known = {client.kind for client in queries.people(account())}
    return render(
        "new_appointment/person.html",
        status=status,
        alert=alert,
        draft=draft,
        form=form,
        people=people,
        chosen=draft.client or (people[0] if len(people) == 1 else None),
        kind_words=words.KIND,
        may_add_minor=draft.replaces is None
        and _could_be_added(draft.service, ClientKind.MINOR, [])
        and ClientKind.MINOR.value in kinds,
        may_add_partner=draft.replaces is None
        and ClientKind.COUPLE.value in kinds
        and ClientKind.COUPLE.value not in known,
        zone=queries.zone_at(draft.location_id, account()),
        **_only(the, draft),
    )


def _send(draft: Draft) -> ResponseReturnValue:
    assert draft.starts_at is not None
    assert draft.client is not None
    try:
        appointment = ask(
            wish_of(plan(), draft),
            draft.starts_at,
            client=draft.client,
            account=account(),
            replaces=draft.replaces.id if draft.replaces else None,
            now=now(),
            key=key(),
        )
    except (NotFree, SlotTaken) as taken:
        rules = taken.rules if isinstance(taken, NotFree) else ()
        return _slot_page(
            replace(draft, starts_at=None),
            status=409,
            alert=_(
                "%(why)s Lo demás que eligió sigue aquí: elija otra hora.",
                why=_why_taken(rules, draft.starts_at),
            ),
        )
    except TooManyPending as many:
        return problem(
            409,
            title=_("Ya tiene el máximo de solicitudes sin respuesta: %(most)s", most=many.most),
            advice=_(
                "Espere la respuesta de alguna o cancélela desde sus citas; después podrá"
                " enviar esta."
            ),
        )
    except NotForThisClient:
        return _person_page(
            draft,
            Form(),
            _eligible(draft),
            status=409,
            alert=_("Ese servicio no es para esa persona."),
        )
    except (NotAllowed, AlreadyMoving):
        assert draft.replaces is not None
        return redirect(url_for("appointments.reschedule", appointment_id=draft.replaces.id), 303)
    return see_other(url_for("appointments.sent", appointment_id=appointment.id))


@step
def minor(draft: Draft) -> ResponseReturnValue:
    """Adding a child in the account holder's care, then back to «¿Para quién es la cita?»."""
    form = Form()
    if request.method == "POST":
        name = form.text("nombre", required=_("Escriba el nombre y los apellidos del menor."))
        born = form.day("nacimiento", required=_("Escriba la fecha de nacimiento."))
        if born is not None and not is_minor(born, now().date()):
            form.refuse("nacimiento", _("Con esa fecha no es menor de edad. Revise el año."))
        if not form.errors and born is not None:
            try:
                added = add_minor(account(), name=name, birth_date=born, now=now(), key=key())
                return see_other(draft.url("person", para=added.id))
            except TooManyPeople:
                form.refuse("nombre", _too_many_people())
    return render(
        "new_appointment/minor.html", status=422 if form.errors else 200, draft=draft, form=form
    )


@step
def partner(draft: Draft) -> ResponseReturnValue:
    """Adding the partner with whom the account holder comes as a couple."""
    form = Form()
    if request.method == "POST":
        name = form.text("nombre", required=_("Escriba el nombre y los apellidos de su pareja."))
        if not form.errors:
            try:
                added = add_partner(account(), name=name, now=now(), key=key())
                return see_other(draft.url("person", para=added.id))
            except TooManyPeople:
                form.refuse("nombre", _too_many_people())
    return render(
        "new_appointment/partner.html", status=422 if form.errors else 200, draft=draft, form=form
    )


def _too_many_people() -> str:
    return _(
        "Su cuenta ya tiene %(n)s personas. Para añadir a otra, llame a su consultorio.",
        n=MOST_PEOPLE,
    )


bp.add_url_rule("/persona/menor", "minor", minor, methods=["GET", "POST"])
bp.add_url_rule("/persona/pareja", "partner", partner, methods=["GET", "POST"])
