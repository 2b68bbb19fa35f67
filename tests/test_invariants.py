"""An invariant that cannot be broken is none: each is broken once on purpose, and noticed."""

from datetime import timedelta

import pytest

from booking import gateway, invariants, practice_file
from booking.lifecycle import State
from booking.models import (
    Access,
    Account,
    Appointment,
    Client,
    History,
    Occupancy,
    OfferedSlot,
    OneTimeKey,
    OutboxMessage,
    Room,
    SignIn,
)
from booking.operations import (
    accept,
    add_partner,
)
from tests.builders import NOW, THURSDAY_AT_TEN, at, own_client, request
from tests.conftest import PRACTICE, make_account


@pytest.fixture
def session(db) -> Appointment:
    ana = make_account("Ana Ruiz Peña", "ana@example.com")
    ines = gateway.staff(Account.get(Account.email == "ines@alameda.example"))
    return accept(request(ana).id, version=1, actor=ines, now=NOW)


@pytest.fixture
def other(session) -> Appointment:
    """Another chain's request, an hour and a quarter later, in the other room."""
    return request(make_account("Bruno", "bruno@example.com"), at(4, 11, 15))


def set_columns(row: Appointment, **columns: object) -> None:
    Appointment.update(**columns).where(Appointment.id == row.id).execute()


def broken() -> set[str]:
    return set(invariants.violations())


def test_a_clinician_in_two_sessions_is_noticed(session, other):
    set_columns(other, room=None, starts_at=at(4, 11, 4))
    assert "clinician_in_two_sessions" in broken()


def test_a_room_in_two_sessions_is_noticed(session, other):
    set_columns(other, clinician=2, room=session.room_id, starts_at=at(4, 10, 49))
    assert "room_in_two_sessions" in broken()


def test_a_room_between_two_sessions_needs_its_minutes_and_no_more(session, other):
    """Minutes that were changed afterwards double nobody's session: they are told apart."""
    ends_at = at(4, 10, 50) + timedelta(minutes=50)
    set_columns(other, clinician=2, room=session.room_id, starts_at=at(4, 10, 50), ends_at=ends_at)
    assert not {"room_in_two_sessions", "room_without_its_turnover"} & broken()
    Room.update(turnover_minutes=10).execute()
    assert "room_without_its_turnover" in broken()
    assert "room_in_two_sessions" not in broken()


def test_a_client_in_two_sessions_is_noticed(session, other):
    set_columns(other, clinician=2, room=None, client=session.client_id, starts_at=at(4, 10, 49))
    assert "client_in_two_sessions" in broken()


def test_one_of_a_couple_in_two_sessions_is_noticed(session, other):
    account = Account.get(Account.email == "ana@example.com")
    couple = add_partner(account, name="Carlos", now=NOW)
    set_columns(other, clinician=2, room=None, client=couple.id, starts_at=at(4, 10, 49))
    assert "client_in_two_sessions" in broken()


def test_a_session_that_the_guard_does_not_know_is_noticed(session):
    Occupancy.delete().where(Occupancy.resource == "room").execute()
    assert broken() == {"guard_that_looks_elsewhere"}


def test_time_that_is_kept_for_nothing_is_noticed(session):
    Occupancy.update(busy_until=at(4, 12)).where(Occupancy.resource == "client").execute()
    assert broken() == {"time_kept_for_nobody"}


def test_a_change_without_history_is_noticed(session):
    set_columns(session, version=3)
    assert broken() == {"history_with_gaps"}


def test_a_state_that_history_does_not_tell_is_noticed(session):
    set_columns(session, state=State.ATTENDED.value)
    assert "history_with_gaps" in broken()


def test_an_impossible_path_is_noticed(session):
    set_columns(session, version=3, state=State.EXPIRED.value)
    History.create(
        appointment=session, version=3, event="expire", before="confirmed", after="expired",
        actor="system", at=NOW, starts_at=session.starts_at,
    )  # fmt: skip
    assert "illegal_paths" in broken()


def test_a_message_that_is_not_owed_is_noticed(session):
    OutboxMessage.delete().where(OutboxMessage.version == 2).execute()
    assert broken() == {"messages_not_as_owed"}


@pytest.mark.parametrize("minutes", [-61, 240, 24 * 60 * 2], ids=["before", "after", "weekend"])
def test_a_session_outside_hours_is_noticed(session, minutes):
    by = timedelta(minutes=minutes)
    set_columns(session, starts_at=session.starts_at + by, ends_at=session.ends_at + by)
    assert "confirmed_outside_hours" in broken()


def test_a_session_on_a_holiday_is_noticed(session):
    text = PRACTICE.read_text() + '\n[[feriados]]\nfecha = 2027-03-04\nnombre = "Elecciones"\n'
    practice_file.load(text, now=NOW)
    assert broken() == {"confirmed_outside_hours"}


def test_a_session_that_is_too_short_is_noticed(session):
    set_columns(session, ends_at=THURSDAY_AT_TEN + timedelta(minutes=45))
    assert "sessions_of_another_length" in broken()


def test_two_sessions_of_one_chain_are_noticed(session, other):
    set_columns(other, chain=session.chain, state=State.CONFIRMED.value)
    assert "chains_in_two_places" in broken()


def test_a_slot_that_is_held_for_nobody_is_noticed(session):
    OfferedSlot.create(
        appointment=session, rank=1, clinician=1, modality="in_person", starts_at=at(9, 9),
        ends_at=at(9, 10), held_until=at(5, 9),
    )  # fmt: skip
    assert "holds_of_nobody" in broken()


def test_time_before_a_session_that_nobody_needs_is_noticed(session):
    Occupancy.update(busy_from=at(4, 9)).where(Occupancy.resource == "room").execute()
    assert "time_kept_for_nobody" in broken()


def test_a_key_that_leads_nowhere_is_noticed(session):
    OneTimeKey.create(value="k", fingerprint="f", answer=10**6, used_at=NOW)
    assert broken() == {"keys_that_answer_nothing"}


@pytest.mark.parametrize(
    "columns",
    [{"state": "dead"}, {"state": "sent"}, {"state": "lost"}, {"sent_at": NOW}],
    ids=["dead-without-a-reason", "sent-at-no-time", "unknown", "sent-but-waiting"],
)
def test_a_message_that_ended_nowhere_is_noticed(session, columns):
    OutboxMessage.update(**columns).where(OutboxMessage.version == 1).execute()
    assert broken() == {"messages_without_an_end"}


def test_a_sign_in_after_its_time_is_noticed(session):
    SignIn.create(
        email="ana@example.com", nonce="n", browser="", created_at=NOW, expires_at=NOW, used_at=NOW
    )
    assert broken() == {"sign_ins_used_too_late"}


def test_a_wish_for_somebody_elses_client_is_noticed(session, other):
    set_columns(other, account=session.account_id)
    assert broken() == {"wishes_of_others"}


def test_a_change_by_somebody_without_access_is_noticed(session):
    Access.delete().where(Access.client == session.client_id).execute()
    assert broken() == {"wishes_of_others"}


def test_a_slot_that_is_held_outside_hours_is_noticed(session):
    OfferedSlot.create(
        appointment=session, rank=1, clinician=1, modality="in_person", starts_at=at(7, 9),
        ends_at=at(7, 10), held_until=at(5, 9),
    )  # fmt: skip
    assert "held_outside_hours" in broken()


def test_three_at_once_are_three_overlaps_and_neighbours_none(db):
    """The walk along the time forgets nobody who is still there, and nobody else's."""
    taken = """
        SELECT 1 AS who, 1 AS chain, 0 AS busy_from, 90 AS busy_until
        UNION ALL SELECT 1, 2, 10, 20 UNION ALL SELECT 1, 3, 15, 30 UNION ALL SELECT 1, 1, 80, 95
        UNION ALL SELECT 1, 4, 95, 99 UNION ALL SELECT 2, 5, 0, 99
    """
    assert invariants.overlaps(taken) == [(1, 1, 2, 0, 10), (1, 1, 3, 0, 15), (1, 2, 3, 10, 15)]


def test_a_client_whom_no_search_finds_is_noticed(session):
    Client.update(name="Ana Ruiz Núñez").where(Client.id == session.client_id).execute()
    assert broken() == {"clients_that_no_search_finds"}


def test_a_book_in_order_has_no_violations(session, other):
    assert own_client(Account.get(Account.email == "bruno@example.com")).id == other.client_id
    assert broken() == set()
