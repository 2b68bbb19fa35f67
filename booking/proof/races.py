"""Many people at once: one of them wins, the others hear of it, nothing doubles."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from booking import availability, db, gateway, practice_file
from booking.lifecycle import Event, State
from booking.models import Account, Appointment, History, OfferedSlot, Replan
from booking.operations import ask, block_time, deadlines, deny, report_absence, stop
from booking.operations.replanning import Missing
from booking.proof import tally
from booking.proof.outcome import Finding, Outcome, Size
from booking.proof.stage import Person, Stage
from booking.proof.tally import Results
from booking.proof.times import Opening
from booking.proof.visitors import Answer, at_once, in_turn
from booking.replanning import Allowed


def last_slot(stage: Stage, size: Size) -> Outcome:
    """Everybody asks for the same time; again with the same keys; then each for their own."""
    stage.serve()
    crowd = stage.crowd(size.crowd)
    sends = tally.sends(crowd, tally.forms(stage, crowd, stage.openings(1) * len(crowd)))
    openings = stage.openings(len(crowd))
    some = crowd[: len(openings)]
    others = tally.sends(some, tally.forms(stage, some, openings))
    first = at_once(sends)
    again = in_turn(sends, at_a_time=size.at_a_time)
    apart = in_turn(others, at_a_time=size.at_a_time)
    stage.advance(2 * len(crowd) + len(apart))
    return Outcome(
        name="last_slot",
        promise=f"{len(crowd)} piden el mismo horario a la vez; uno lo obtiene",
        findings=(
            *tally.race("el mismo horario", first),
            *tally.race("las mismas llaves otra vez", again),
            Finding("respuestas que cambiaron al repetir", 0, _changed(first, again)),
            Finding("horarios distintos: aceptadas", len(some), tally.done(apart)),
            Finding("horarios distintos: otras respuestas", 0, len(apart) - tally.done(apart)),
            Finding("citas en la agenda", 1 + len(some), tally.kept(crowd)),
            stage.violations(),
        ),
        notes=tuple((tally.others(first) + tally.others(again) + tally.others(apart))[:5]),
    )


def _changed(first: Results, again: Results) -> int:
    return sum(
        not isinstance(before, Answer)
        or not isinstance(after, Answer)
        or (before.status, before.location) != (after.status, after.location)
        for before, after in zip(first, again, strict=True)
    )


def accept_race(stage: Stage, size: Size) -> Outcome:
    """Many accept one request; others withdraw it, let it lapse, or take its time or room away."""
    stage.serve()
    many = _accept_at_once(stage, size.accepts)
    rivals = {
        "retirar": _withdrawing,
        "vencer": _lapsing,
        "bloquear": _blocking,
        "cerrar la sala": _closing,
        "cambiar el horario": _changing_hours,
    }
    findings = [*tally.race("aceptar una solicitud", many)]
    for name, rival in rivals.items():
        untrue = sum(_against(stage, rival) for _ in range(size.pairs))
        findings.append(Finding(f"aceptar contra {name}: parejas con dos verdades", 0, untrue))
    late = {
        "en tiempo ya bloqueado": _blocking,
        "en una sala ya cerrada": _closing,
        "fuera del horario nuevo": _changing_hours,
    }
    for where, rival in late.items():
        untrue = sum(_accept_after(stage, rival) for _ in range(min(3, size.pairs)))
        findings.append(Finding(f"aceptadas {where}", 0, untrue))
    findings += tally.race("elegir un horario ofrecido", _take_at_once(stage, size.accepts))
    return Outcome(
        name="accept_race",
        promise=f"{size.accepts} aceptan la misma solicitud; uno decide",
        findings=(*findings, stage.violations()),
        notes=tuple(tally.others(many)[:5]),
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that waits, and how to say yes to it."""

    row: Appointment
    opening: Opening
    person: Person
    accept: Callable[[], Answer]


def _request(stage: Stage) -> _Asked:
    """One of the crowd asks; the clinician has the request on the screen."""
    (opening,) = stage.openings(1)
    person = stage.newcomer()
    row = ask(
        opening.wish(person.client),
        opening.starts_at,
        client=person.client,
        account=person.account,
        now=stage.clock.now(),
    )
    return _Asked(row, opening, person, _acceptance(stage, row, opening))


def _acceptance(stage: Stage, row: Appointment, opening: Opening) -> Callable[[], Answer]:
    _, browser = stage.decider(opening)
    form = browser.form(
        f"/solicitudes/{row.id}", action=f"/solicitudes/{row.id}/aceptar", version=str(row.version)
    )
    stage.advance(1)
    return partial(browser.send, form)


def _accept_at_once(stage: Stage, size: int) -> Results:
    asked = _request(stage)
    more = [_acceptance(stage, asked.row, asked.opening) for _ in range(size - 1)]
    return at_once([asked.accept, *more])


def _against(stage: Stage, rival: Callable[[Stage, _Asked], Callable[[], object]]) -> bool:
    """Whether an acceptance and its rival left the book with more than one story."""
    asked = _request(stage)
    with _same_hours_afterwards(stage):
        accepted, other = at_once([asked.accept, rival(stage, asked)])
    stage.advance(2)
    events = [
        Event(row.event)
        for row in History.select()
        .where(History.appointment == asked.row.id)
        .order_by(History.version)
    ][1:]
    state = Appointment.get_by_id(asked.row.id).status
    if not isinstance(accepted, Answer) or not (accepted.done or accepted.refused):
        return True
    if accepted.done is not (Event.ACCEPT in events):
        return True
    ended = isinstance(other, Answer) and other.done
    stories = {
        (): State.REQUESTED,
        (Event.ACCEPT,): State.CONFIRMED,
        (Event.CANCEL,): State.CANCELLED_BY_CLIENT,
        (Event.ACCEPT, Event.CANCEL): State.CANCELLED_BY_CLIENT,
        (Event.EXPIRE,): State.EXPIRED,
    }
    return stories.get(tuple(events)) is not state or (ended is not (Event.CANCEL in events))


def _withdrawing(_stage: Stage, asked: _Asked) -> Callable[[], Answer]:
    browser = asked.person.browser
    return partial(browser.send, browser.form(f"/citas/{asked.row.id}/cancelar"))


def _lapsing(stage: Stage, asked: _Asked) -> Callable[[], int]:
    """The worker of a server whose clock is some seconds ahead; nothing else is due by then."""
    soon = stage.clock.now() + timedelta(seconds=20)
    with db.transaction():
        Appointment.update(answer_by=soon).where(Appointment.id == asked.row.id).execute()
    return partial(deadlines.run, now=soon)


def _blocking(stage: Stage, asked: _Asked) -> Callable[[], object]:
    actor, _ = stage.decider(asked.opening)
    return partial(
        block_time,
        asked.row.clinician_id,
        asked.row.starts_at,
        asked.row.ends_at,
        reason="",
        actor=actor,
        now=stage.clock.now(),
    )


def _closing(stage: Stage, asked: _Asked) -> Callable[[], object]:
    """The room that the request has; a session by video has none, and loses its time instead."""
    manager = Account.get_or_none(Account.manager)
    if asked.row.room_id is None or manager is None:
        return _blocking(stage, asked)
    told: dict[str, Any] = {"actor": gateway.staff(manager), "now": stage.clock.now()}

    def close() -> None:
        missing, row = Missing(room_id=asked.row.room_id), asked.row
        closed = report_absence(
            missing, row.starts_at, row.ends_at, reason="", allowed=Allowed(), **told
        )
        plan = Replan.get_or_none(Replan.blocked == closed)
        if plan is not None:  # Looking for other times is not what this is about.
            stop(plan.id, **told)

    return close


def _changing_hours(stage: Stage, asked: _Asked) -> Callable[[], object]:
    """The practice is closed on the day of the request, from now on."""
    zone = availability.plan().zone(asked.row.location_id)
    day = asked.row.starts_at.astimezone(zone).date()
    closed = f'{practice_file.show()}\n[[feriados]]\nfecha = {day}\nnombre = "Cerrado"\n'
    return partial(practice_file.load, closed, now=stage.clock.now())


@contextmanager
def _same_hours_afterwards(stage: Stage) -> Iterator[None]:
    """Whoever changes them changes them for everybody else's openings, too."""
    before = practice_file.show()
    yield
    practice_file.load(before, now=stage.clock.now())


def _accept_after(stage: Stage, rival: Callable[[Stage, _Asked], Callable[[], object]]) -> bool:
    """Whether a request is accepted as it was although that cannot be any more."""
    asked = _request(stage)
    with _same_hours_afterwards(stage):
        rival(stage, asked)()
        answer = asked.accept()
    moved = Appointment.get_by_id(asked.row.id).room_id != asked.row.room_id
    # Without its room, a session may be had in another one.
    return answer.done and not moved


def _take_at_once(stage: Stage, size: int) -> Results:
    """A client taps on the same offered time on many devices."""
    asked = _request(stage)
    (opening,) = stage.openings(1)
    actor, _ = stage.decider(asked.opening)
    now = stage.clock.now()
    slot = availability.slot(opening.wish(asked.person.client), opening.starts_at, now=now)
    denied = deny(asked.row.id, version=1, actor=actor, offers=(slot,), now=now)
    page, offer = f"/citas/{denied.id}", OfferedSlot.get(OfferedSlot.appointment == denied)
    browser = asked.person.browser
    forms = [
        browser.form(page, action=f"{page}/elegir", horario=str(offer.id)) for _ in range(size)
    ]
    stage.advance(2 * size)
    return at_once([partial(browser.send, form) for form in forms])
