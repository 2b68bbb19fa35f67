"""The practice's rules about time, as pure questions; the answers are verdicts, not sentences."""

from datetime import datetime, timedelta
from enum import StrEnum

from booking.lifecycle import State
from booking.models import Appointment, Practice


class Verdict(StrEnum):
    """May the client do this now, online?"""

    ALLOWED = "allowed"
    TOO_LATE = "too_late"
    CALL_THE_PRACTICE = "call_the_practice"
    NOT_OPEN = "not_open"  # Nothing to cancel or move any more.


def may_cancel(practice: Practice, appointment: Appointment, *, now: datetime) -> Verdict:
    """Pending wishes can always be withdrawn; a confirmed session within the practice's notice."""
    return _within(practice.cancel_notice_minutes, appointment, now=now)


def may_reschedule(practice: Practice, appointment: Appointment, *, now: datetime) -> Verdict:
    """As cancelling, unless the practice says otherwise; only what is confirmed is moved."""
    if appointment.status is not State.CONFIRMED:
        return Verdict.NOT_OPEN
    notice = practice.move_notice_minutes
    return _within(
        practice.cancel_notice_minutes if notice is None else notice, appointment, now=now
    )


def _within(notice: int | None, appointment: Appointment, *, now: datetime) -> Verdict:
    if appointment.status in (State.REQUESTED, State.OFFERED):
        return Verdict.ALLOWED
    if appointment.status is not State.CONFIRMED or appointment.ends_at <= now:
        return Verdict.NOT_OPEN
    if notice is None:
        return Verdict.CALL_THE_PRACTICE
    if appointment.starts_at - now < timedelta(minutes=notice):
        return Verdict.TOO_LATE
    return Verdict.ALLOWED


def request_answer_by(practice: Practice, starts_at: datetime, *, now: datetime) -> datetime:
    """Until when a clinician can answer: some days after asking, some hours before the session."""
    return min(
        now + timedelta(minutes=practice.request_minutes),
        starts_at - timedelta(minutes=practice.answer_margin_minutes),
    )


def offer_held_until(practice: Practice, starts_at: datetime, *, now: datetime) -> datetime:
    """Until when an offered slot is kept for the client."""
    return min(
        now + timedelta(minutes=practice.offer_minutes),
        starts_at - timedelta(minutes=practice.answer_margin_minutes),
    )


def halfway(now: datetime, end: datetime) -> datetime:
    """When to remind whoever has until `end`."""
    return now + (end - now) / 2


def reminder_at(practice: Practice, starts_at: datetime, *, now: datetime) -> datetime | None:
    """When to remind the client of a session; None when that moment has passed or is not wanted."""
    if practice.reminder_minutes is None:
        return None
    moment = starts_at - timedelta(minutes=practice.reminder_minutes)
    return moment if moment > now else None


def undoable_until(practice: Practice, appointment: Appointment) -> datetime | None:
    """Until when the clinician can take the last decision back."""
    if appointment.decided_at is None:
        return None
    return appointment.decided_at + timedelta(seconds=practice.undo_seconds)
