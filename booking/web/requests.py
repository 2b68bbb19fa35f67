"""«Solicitudes»: what waits for an answer; accept, deny with other times to choose from, undo."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

import solver
from booking import alternatives, gateway, operations
from booking.alternatives import PROPOSALS, Alternatives, Search, still_free
from booking.availability import NotFree, RoomSwap, Slot, instant, minutes, plan, wish_of
from booking.gateway import ChangedMeanwhile
from booking.language import speech_of
from booking.letters import preview
from booking.lifecycle import IllegalTransition, State
from booking.models import Appointment, Modality
from booking.notifications import Kind
from booking.occupancy import SlotTaken
from booking.operations.deciding import OffersOverlap, TooLateToUndo, may_undo
from booking.pictures import Picture, picture
from booking.policy import offer_held_until, undoable_until
from booking.queries import portal
from booking.queries import staff as queries
from booking.web import words
from booking.web.access import AGENDA, APPOINTMENT, for_staff, of, staff_actor
from booking.web.agenda import staff_words, version, why_not
from booking.web.forms import Form, argument, key
from booking.web.fragments import render, see_other
from booking.web.language import say
from booking.web.openings import Openings, openings
from booking.web.urls import now

bp = Blueprint("requests", __name__, url_prefix="/solicitudes")
bp.context_processor(staff_words)

TICKED_AT_FIRST = 3
# What a tap on a count changes in the search's controls.
RELAXES = {
    "otro_consultorio": {"otro_consultorio": "1"},
    "video": {"video": "1"},
    "otro_profesional": {"otro_profesional": "1"},
    "fechas": {"desde": "", "hasta": ""},
    "horas": {"no_antes": "", "no_despues": ""},
}
DENIABLE = (State.REQUESTED, State.DENIED)


@bp.get("")
@for_staff
@of(AGENDA)
def inbox() -> ResponseReturnValue:
    actor = staff_actor()
    clinicians = queries.clinicians(plan(), actor)
    chosen = next((c for c in clinicians if c.key == request.args.get("profesional")), None)
    rows, count = queries.pending(actor, clinician=chosen, now=now())
    return render(
        "requests/inbox.html",
        rows=rows,
        count=count,
        clinicians=clinicians,
        chosen=chosen,
        unreached=queries.unreached(actor, now=now()),
    )


@bp.get("/<int:appointment_id>")
@for_staff
@of(APPOINTMENT)
def show(appointment_id: int) -> ResponseReturnValue:
    return _page(appointment_id)


def _page(appointment_id: int, *, status: int = 200, alert: str = "") -> Response:
    """A request with the day around it, or what was decided; `alert` says what did not happen."""
    row = queries.appointment(staff_actor(), appointment_id)
    pending = row.status is State.REQUESTED
    return render(
        "requests/show.html",
        status=status,
        alert=alert,
        appointment=row,
        pending=pending and not _is_late(row),
        undelivered=queries.undelivered(row),
        history=queries.history(row),
        before=portal.before(row),
        agenda=_day_around(row) if pending else None,
        offers=portal.offers(row, now=now()) if row.status is State.OFFERED else [],
        undoable_until=(undoable_until(plan().practice, row) if may_undo(row, now=now()) else None),
        following=None if pending else queries.next_pending(staff_actor(), now=now()),
    )


def _is_late(row: Appointment) -> bool:
    """Whether the time to answer is over, even if nobody has noted it yet."""
    pending = row.status is State.REQUESTED
    return pending and (row.answer_by is None or row.answer_by <= now())


def _day_around(row: Appointment) -> queries.Day:
    zone = plan().zone(row.clinician_location_id)
    return queries.agenda(row.clinician_id, row.starts_at.astimezone(zone).date())[0]


@bp.post("/<int:appointment_id>/aceptar")
@for_staff
@of(APPOINTMENT)
def accept(appointment_id: int) -> ResponseReturnValue:
    try:
        operations.accept(
            appointment_id, version=version(), actor=staff_actor(), now=now(), key=key()
        )
    except (ChangedMeanwhile, IllegalTransition):
        return _changed(appointment_id)
    except (NotFree, SlotTaken) as taken:
        row = queries.appointment(staff_actor(), appointment_id)
        why = why_not(taken, wish_of(row), row.starts_at)
        return _deny_page(
            Denial(row), status=409, alert=_("Ya no se puede aceptar. %(why)s", why=why)
        )
    return see_other(url_for("requests.show", appointment_id=appointment_id))


def _changed(appointment_id: int) -> Response:
    """Somebody, or the clock, was faster: the request as it is now, and what happened."""
    row = queries.appointment(staff_actor(), appointment_id)
    state = State.EXPIRED if _is_late(row) else row.status
    happened = words.HAPPENED.get(state, words.HAPPENED[State.REQUESTED])
    return _page(row.id, status=409, alert=str(happened))


@bp.post("/<int:appointment_id>/deshacer")
@for_staff
@of(APPOINTMENT)
def undo(appointment_id: int) -> ResponseReturnValue:
    try:
        operations.undo(appointment_id, actor=staff_actor(), now=now(), key=key())
    except (TooLateToUndo, ChangedMeanwhile, IllegalTransition):
        alert = _("Ya no se puede deshacer: el correo está en camino, o el cliente ya respondió.")
        return _page(appointment_id, status=409, alert=alert)
    except SlotTaken:
        alert = _("Ya no se puede deshacer: otra persona pidió el horario que quedó libre.")
        return _page(appointment_id, status=409, alert=alert)
    return see_other(url_for("requests.show", appointment_id=appointment_id))


@dataclass(frozen=True, slots=True)
class Option:
    """A slot to tick: the text that stands for it in the form, its day, and what speaks for it."""

    text: str
    slot: Slot
    picture: Picture
    reasons: tuple[str, ...]
    """None: it was ticked in an earlier search."""
    ticked: bool


class Denial:
    """The deny page as it was sent: where to look, what is ticked, how many the button promised.

    The search runs only when somebody asks for its result: the preview needs just the ticks.
    """

    def __init__(self, row: Appointment) -> None:
        self.row = row
        posted = request.method == "POST"
        sent = request.form if posted else request.args
        self.form = Form()
        if not posted:
            self.form.typed = {name: argument(name, str) or "" for name in sent}
        self._relax()
        self.search = _read_search(self.form)
        self.note = self.form.text("nota", most=500, multiline=True)
        self._sent = list(dict.fromkeys(sent.getlist("horario")))
        self.searching = self.form.get("hacer", "ver") != "ver"
        untouched = set(self._sent) == set(self.form.get("mejores").split())
        self._shown = "visto" in sent and not (self.searching and untouched)
        self._only_preview = self._shown and not posted and not self.searching

    def _relax(self) -> None:
        """Whoever taps «Por videollamada hay 12» has the control set for them."""
        for name in self.form.get("hacer").split("+"):
            for control, value in RELAXES.get(name, {}).items():
                self.form.typed[control] = value

    @cached_property
    def found(self) -> Alternatives:
        return alternatives.propose(self.row, self.search, now=now())

    @cached_property
    def best(self) -> list[str]:
        """What is ticked before anybody has ticked: the best, each on another day.

        A day on which the clinician turns out not to come must not cost all the ticks.
        """
        zone = plan().zone(self.row.location_id)
        first_of_day: dict[date, str] = {}
        for option in self.found.found:
            day = option.slot.starts_at.astimezone(zone).date()
            first_of_day.setdefault(day, written(option.slot))
        return list(first_of_day.values())[:TICKED_AT_FIRST]

    @cached_property
    def options(self) -> list[Option]:
        """The proposals, and what was ticked before another search, if it can still be had."""
        ticked = self._sent if self._shown else self.best
        proposed = {written(option.slot): option for option in self.found.found}
        return [
            Option(text, option.slot, self._picture(option.slot), option.reasons, text in ticked)
            for text, option in proposed.items()
        ] + [
            Option(text, slot, self._picture(slot), (), ticked=True)
            for text in ticked
            if text not in proposed
            for slot in self._kept(text)
        ]

    def _kept(self, text: str) -> list[Slot]:
        read, problem = slot_of(text, self.row), self.found.problem
        free = None if read is None or problem is None else still_free(problem, read)
        return [] if free is None else [free]

    def _picture(self, slot: Slot) -> Picture:
        assert self.found.problem is not None  # Or there would be no proposals.
        return picture(
            plan(),
            self.found.problem,
            slot,
            plan().services[self.row.service_id],
            ignore_refs=self.found.problem.requests[0].ignore_refs,
        )

    @cached_property
    def openings(self) -> Openings | None:
        """What would bring more, when there are fewer proposals than there could be."""
        problem = self.found.problem
        if problem is None or len(self.found.found) >= PROPOSALS:
            return None
        explanation = self.found.explanation or solver.explain(problem)[0]
        return openings(plan(), self.row, explanation)

    @property
    def tapped(self) -> bool:
        """Whether a tap on a count led here: the button is gone, so the focus must go on."""
        return self.searching and self.form.get("hacer") != "buscar"

    @cached_property
    def _moves(self) -> dict[RoomSwap, queries.RoomChange]:
        return queries.room_changes(swap for option in self.options for swap in option.slot.swaps)

    def moves_of(self, slot: Slot) -> list[queries.RoomChange]:
        """Who changes rooms if the slot is offered."""
        return [self._moves[swap] for swap in slot.swaps if swap in self._moves]

    @cached_property
    def ticked(self) -> list[Slot]:
        """The slots that the page will show as ticked."""
        if self._only_preview:
            read = [slot_of(text, self.row) for text in self._sent]
            return [slot for slot in read if slot is not None]
        return [option.slot for option in self.options if option.ticked]

    @property
    def count(self) -> int:
        return len(self.ticked)

    @property
    def held_until(self) -> datetime | None:
        """Until when the mail will say that the last of them is kept."""
        practice = plan().practice
        ends = [offer_held_until(practice, slot.starts_at, now=now()) for slot in self.ticked]
        return max(ends, default=None)

    @property
    def narrowed(self) -> bool:
        """Whether the search is another than the one with which the page begins."""
        return self.search != Search()

    @property
    def promised(self) -> bool:
        """Whether the button that was pressed told how many would be offered."""
        return self.form.get("promesa") == str(len(self._sent))

    @property
    def input_hash(self) -> str:
        """On what the proposals rested that the clinician saw; whatever else was sent is none."""
        said = self.form.get("calculo")
        return said if DIGEST.fullmatch(said) else ""

    def slots(self) -> tuple[Slot, ...]:
        """What is ticked, read strictly; notes in the form what cannot be."""
        read = [slot_of(text, self.row) for text in self._sent]
        slots = tuple(slot for slot in read if slot is not None)
        if len(slots) < len(read) or len(read) > PROPOSALS:
            self.form.refuse("horario", _("Uno de los horarios no es válido. Elija de la lista."))
        elif not slots and self.row.status is State.DENIED:
            self.form.refuse("horario", _("Marque al menos un horario para ofrecerlo."))
        return slots


def written(slot: Slot) -> str:
    """A slot as the value of its checkbox."""
    place = slot.clinician_location_id or 0
    return f"{minutes(slot.starts_at)}-{slot.clinician_id}-{place}-{slot.modality.value}"


DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
TOKEN = re.compile(r"(\d{1,9})-(\d{1,9})-(\d{1,9})-(in_person|telehealth)", re.ASCII)


def slot_of(text: str, row: Appointment) -> Slot | None:
    """The slot that a checkbox stands for, if there can be such a one; it may be taken by now."""
    the, found = plan(), TOKEN.fullmatch(text)
    if found is None:
        return None
    starts_at, clinician_id, place = instant(int(found[1])), int(found[2]), int(found[3])
    modality = Modality(found[4])
    in_person = modality is Modality.IN_PERSON
    last = now() + timedelta(days=the.practice.horizon_days + 2)
    clinician = the.clinicians.get(clinician_id)
    if (
        clinician is None
        or not clinician.active
        or (place not in the.locations if in_person else place and place not in the.locations)
        or not now() < starts_at <= last
    ):
        return None
    return Slot(
        starts_at=starts_at,
        ends_at=starts_at + timedelta(minutes=the.services[row.service_id].minutes),
        clinician_id=clinician_id,
        location_id=place if in_person else None,
        clinician_location_id=place or None,
        room_id=None,
        modality=modality,
    )


def _read_search(form: Form) -> Search:
    """How the clinician widened or narrowed the search; what is wrong in it does not narrow."""
    the = plan()
    today = now().astimezone(the.zone(None)).date()
    last = today + timedelta(days=the.practice.horizon_days)
    since, until = _read_day(form, "desde"), _read_day(form, "hasta")
    earliest, latest = _read_minute(form, "no_antes"), _read_minute(form, "no_despues")
    if since is not None and since > last:
        form.refuse("desde", _("Busque hasta el %(day)s.", day=say().short_day(last)))
        since = None
    if until is not None and until < max(today, since or today):
        form.refuse("hasta", _("La última fecha no puede ser anterior a la primera ni a hoy."))
        until = None
    if earliest is not None and latest is not None and latest < earliest:
        form.refuse("no_despues", _("La última hora no puede ser anterior a la primera."))
        latest = None
    return Search(
        other_offices=form.checked("otro_consultorio"),
        video=form.checked("video"),
        other_clinicians=form.checked("otro_profesional"),
        since=since,
        until=until if until is None else min(until, last),
        not_before=earliest,
        not_after=latest,
    )


def _read_day(form: Form, name: str) -> date | None:
    return form.day(name, required="") if form.get(name) else None


def _read_minute(form: Form, name: str) -> int | None:
    return form.minute(name, required="") if form.get(name) else None


@bp.route("/<int:appointment_id>/denegar", methods=["GET", "POST"])
@for_staff
@of(APPOINTMENT)
def deny(appointment_id: int) -> ResponseReturnValue:
    """One page: proposals to tick, a note, the mail that will go, and the button that sends it."""
    row = queries.appointment(staff_actor(), appointment_id)
    if gateway.answer_to(key()) is not None:
        return see_other(url_for("requests.show", appointment_id=row.id))
    denial = Denial(row)
    if request.method != "POST" or denial.form.get("hacer"):
        return _deny_page(denial)
    slots = denial.slots()
    if denial.form.errors:
        return _deny_page(denial, status=422)
    if not denial.promised:
        alert = _("Revise antes de enviar: así queda con los horarios que marcó.")
        return _deny_page(denial, alert=alert)
    return _send(denial, slots)


def _send(denial: Denial, slots: tuple[Slot, ...]) -> Response:
    try:
        row = operations.deny(
            denial.row.id,
            version=version(),
            actor=staff_actor(),
            offers=slots,
            note=denial.note,
            input_hash=denial.input_hash,
            now=now(),
            key=key(),
        )
    except (ChangedMeanwhile, IllegalTransition):
        return _changed(denial.row.id)
    except OffersOverlap:
        denial.form.refuse("horario", _("Dos de los horarios se superponen. Quite uno."))
        return _deny_page(denial, status=422)
    except (NotFree, SlotTaken):
        alert = _("Uno de los horarios que marcó ya no está libre. Estos lo están ahora:")
        return _deny_page(denial, status=409, alert=alert)
    return see_other(url_for("requests.show", appointment_id=row.id))


def _deny_page(denial: Denial, *, status: int = 200, alert: str = "") -> Response:
    row, the = denial.row, plan()
    if row.status not in DENIABLE or _is_late(row):
        return _changed(row.id)
    kind = Kind.SLOTS_OFFERED if denial.count else Kind.REQUEST_DENIED
    recipient = speech_of(the.practice, row.account.language if row.account else "es")
    subject, told = preview(kind, row, denial.count, denial.held_until, say=recipient)
    return render(
        "requests/deny.html",
        parts=("search", "preview"),
        status=status,
        alert=alert,
        appointment=row,
        denial=denial,
        form=denial.form,
        again=row.status is State.DENIED,
        subject=subject,
        paragraphs=told,
        place_of=lambda slot: the.locations.get(slot.location_id or 0),
        room_of=lambda slot: the.rooms.get(slot.room_id or 0),
        clinician_of=lambda slot: the.clinicians[slot.clinician_id],
        moves_of=denial.moves_of,
        reasons=words.reasons,
    )
