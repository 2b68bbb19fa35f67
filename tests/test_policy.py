"""What a client may do online, and until when."""

from datetime import UTC, datetime, timedelta

import pytest

from booking import policy
from booking.lifecycle import State
from booking.models import Appointment, Practice
from booking.policy import Verdict

START = datetime(2027, 3, 10, 16, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def practice(**columns: object) -> Practice:
    return Practice(**{"cancel_notice_minutes": 24 * 60} | columns)


def appointment(state: State = State.CONFIRMED) -> Appointment:
    return Appointment(state=state.value, starts_at=START, ends_at=START + timedelta(minutes=50))


@pytest.mark.parametrize(
    ("now", "verdict"),
    [
        (START - DAY - timedelta(seconds=1), Verdict.ALLOWED),
        (START - DAY, Verdict.ALLOWED),  # Exactly 24 hours is 24 hours' notice.
        (START - DAY + timedelta(seconds=1), Verdict.TOO_LATE),
        (START + timedelta(minutes=20), Verdict.TOO_LATE),
        (START + timedelta(minutes=50), Verdict.NOT_OPEN),
    ],
)
def test_a_session_can_be_cancelled_until_the_practices_notice(now, verdict):
    assert policy.may_cancel(practice(), appointment(), now=now) is verdict


def test_without_online_cancelling_the_client_is_told_to_call():
    by_telephone = practice(cancel_notice_minutes=None)
    assert policy.may_cancel(by_telephone, appointment(), now=START - 9 * DAY) is (
        Verdict.CALL_THE_PRACTICE
    )


@pytest.mark.parametrize("state", [State.REQUESTED, State.OFFERED])
def test_a_wish_can_always_be_withdrawn(state):
    late = START - timedelta(minutes=5)
    by_telephone = practice(cancel_notice_minutes=None)
    assert policy.may_cancel(by_telephone, appointment(state), now=late) is Verdict.ALLOWED


def test_rescheduling_follows_cancelling_unless_it_has_its_own_notice():
    now = START - timedelta(hours=30)
    assert policy.may_reschedule(practice(), appointment(), now=now) is Verdict.ALLOWED
    stricter = practice(move_notice_minutes=48 * 60)
    assert policy.may_reschedule(stricter, appointment(), now=now) is Verdict.TOO_LATE


@pytest.mark.parametrize(
    ("ahead", "answer_in"),
    [(timedelta(days=20), timedelta(hours=72)), (timedelta(hours=30), timedelta(hours=28))],
)
def test_a_request_is_answered_within_three_days_and_two_hours_before(ahead, answer_in):
    now = START - ahead
    assert policy.request_answer_by(Practice(), START, now=now) == now + answer_in


def test_nobody_is_reminded_of_a_session_that_is_nearer_than_the_reminder():
    assert policy.reminder_at(Practice(), START, now=START - timedelta(hours=3)) is None
    assert policy.reminder_at(Practice(), START, now=START - 3 * DAY) == START - DAY
    assert policy.reminder_at(Practice(reminder_minutes=None), START, now=START - 3 * DAY) is None
