"""What time alone does: requests expire, offers lapse, people are reminded. Run by the worker."""

import logging
from collections.abc import Callable
from datetime import datetime

import apsw
from peewee import InterfaceError, OperationalError

from booking import gateway, notifications
from booking.db import UtcDateTimeField, tuples
from booking.gateway import SYSTEM, Change, ChangedMeanwhile
from booking.lifecycle import Event, State
from booking.logs import trace
from booking.models import Appointment, OfferedSlot, OfferState
from booking.notifications import Kind
from booking.operations.requesting import NOTHING_PENDING, free_offers, lose

MOST_AT_ONCE = 200

Step = Callable[[Change, Appointment], None]

log = logging.getLogger(__name__)


def run(*, now: datetime) -> int:
    """Do all that is due; how many appointments it concerned."""
    return sum(
        _each(due, step, now)
        for due, step in (
            (Appointment.state.in_([State.REQUESTED]) & (Appointment.answer_by <= now), _expire),
            (Appointment.state.in_([State.OFFERED]) & (Appointment.answer_by <= now), _lapse),
            (
                Appointment.state.in_([State.REQUESTED, State.OFFERED])
                & (Appointment.halfway_at <= now),
                _remind_to_answer,
            ),
            (
                Appointment.state.in_([State.CONFIRMED]) & (Appointment.remind_at <= now),
                _remind_of_session,
            ),
        )
    ) + _free_old_offers(now)


def _each(due: object, step: Step, now: datetime) -> int:
    rows = Appointment.select(Appointment.id, Appointment.version).where(due).limit(MOST_AT_ONCE)
    return sum(_do(step, id_, now, version=version) for id_, version in tuples(rows))


def _do(step: Step, appointment_id: int, now: datetime, *, version: int | None = None) -> bool:
    """One step for one appointment; what it meets is its own, and the next one's turn comes."""
    try:
        with gateway.change(SYSTEM, now=now) as tx:
            step(tx, tx.appointment(appointment_id, version=version))
    except ChangedMeanwhile:
        return False  # A person, or another worker, was faster.
    except (OperationalError, InterfaceError, apsw.Error):
        raise  # The database, or the disk under it, is everybody's.
    except Exception as error:
        log.error("the deadline of appointment %s failed\n%s", appointment_id, trace(error))
        return False
    return True


def _expire(tx: Change, appointment: Appointment) -> None:
    tx.apply(appointment, Event.EXPIRE, **NOTHING_PENDING)
    notifications.owe(Kind.REQUEST_EXPIRED, appointment, now=tx.now)
    notifications.owe(Kind.STAFF_REQUEST_EXPIRED, appointment, now=tx.now)


def _lapse(tx: Change, appointment: Appointment) -> None:
    if appointment.displaced_at is not None:
        lose(tx, appointment, Event.RUN_OUT)
        return
    free_offers(appointment)
    tx.apply(appointment, Event.LAPSE, **NOTHING_PENDING)
    notifications.owe(Kind.OFFER_LAPSED, appointment, now=tx.now)
    notifications.owe(Kind.STAFF_OFFER_DECLINED, appointment, now=tx.now)


def _remind_to_answer(tx: Change, appointment: Appointment) -> None:
    """Half of the time is over: the clinician, or the client who has offers, hears of it once."""
    kind = (
        Kind.STAFF_REQUEST_WAITING if appointment.status is State.REQUESTED else Kind.OFFER_REMINDED
    )
    _once(appointment, Appointment.halfway_at)
    notifications.owe(kind, appointment, now=tx.now)


def _remind_of_session(tx: Change, appointment: Appointment) -> None:
    _once(appointment, Appointment.remind_at)
    notifications.owe(Kind.SESSION_REMINDED, appointment, now=tx.now)


def _once(appointment: Appointment, due: UtcDateTimeField[datetime | None]) -> None:
    """Note that a reminder is owed; it changes no version, so this tells two workers apart."""
    noted = (
        Appointment.update({due: None})
        .where(Appointment.id == appointment.id, due.is_null(False))
        .execute()
    )
    if not noted:
        raise ChangedMeanwhile(appointment.id)


def _free_old_offers(now: datetime) -> int:
    """Slots whose own time to be chosen is over, while others of the same offer are still held."""
    rows = (
        OfferedSlot.select(OfferedSlot.appointment)
        .where(OfferedSlot.state == OfferState.HELD, OfferedSlot.held_until <= now)
        .distinct()
        .limit(MOST_AT_ONCE)
    )
    return sum(_do(_free_late, id_, now) for (id_,) in tuples(rows))


def _free_late(tx: Change, appointment: Appointment) -> None:
    OfferedSlot.update(state=OfferState.FREED.value).where(
        OfferedSlot.appointment == appointment,
        OfferedSlot.state == OfferState.HELD,
        OfferedSlot.held_until <= tx.now,
    ).execute()
    tx.touch(appointment)
