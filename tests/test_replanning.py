"""A session that the practice has to move, and everything that can become of it."""

from datetime import timedelta

import pytest

from booking import gateway
from booking.availability import NotFree, Rule
from booking.gateway import Actor, ChangedMeanwhile, Key
from booking.lifecycle import State
from booking.models import (
    Account,
    Appointment,
    BlockedTime,
    OfferedSlot,
    OfferState,
    Replan,
    Resource,
    Room,
)
from booking.operations import (
    approve,
    block_time,
    cancel,
    cancel_for_client,
    deadlines,
    decline_offers,
    displace,
    plan_for,
    report_absence,
    stop,
    take_offer,
    take_offer_for_client,
)
from booking.operations.replanning import AlreadyPlanned, Missing
from booking.operations.requesting import OfferGone
from booking.replanning import Allowed
from tests.builders import NOW, THURSDAY_AT_TEN, at, request
from tests.test_operations import (
    accepted,
    after,
    fresh,
    offers_for,
    owed,
    refused,
    state,
    story,
    taken,
)

pytestmark = pytest.mark.usefixtures("book_in_order")


@pytest.fixture
def ines(db) -> Actor:
    return gateway.staff(Account.get(Account.email == "ines@alameda.example"))


@pytest.fixture
def manager(db) -> Actor:
    return gateway.staff(Account.get(Account.manager))


@pytest.fixture
def session(ana, ines) -> Appointment:
    return accepted(request(ana), ines)


def moved(session, actor, *starts, now=NOW):
    row = displace(
        session.id, version=fresh(session).version, actor=actor,
        offers=offers_for(session, *starts), now=now,
    )  # fmt: skip
    return row, list(OfferedSlot.select().where(OfferedSlot.appointment == row))


def test_a_displaced_session_frees_its_time_and_holds_what_is_offered(session, ines, bruno):
    row, held = moved(session, ines, at(5, 10), at(8, 10))
    assert (row.status, row.displaced_at) == (State.OFFERED, NOW)
    assert owed(row) == {"session_displaced"}
    assert story(row)[-1] == ("displace", "clinician")
    assert {offer.held_until for offer in held} == {NOW + timedelta(hours=48)}
    busy = [start for start, _ in taken(Resource.CLINICIAN, session.clinician_id)]
    assert busy == [after(at(5, 10), -5), after(at(8, 10), -5)]
    request(bruno, THURSDAY_AT_TEN)  # Somebody else can have the old time.


def test_one_tap_confirms_and_nothing_is_owed_any_more(session, ines, ana):
    row, (first, _) = moved(session, ines, at(5, 10), at(8, 10))
    take_offer(row.id, first.id, account=ana, now=NOW)
    assert (state(row), fresh(row).starts_at) == (State.CONFIRMED, at(5, 10))
    assert fresh(row).displaced_at is None


def test_none_suits_cancels_and_the_practice_still_owes_a_time(session, ines, ana):
    row, _ = moved(session, ines, at(5, 10))
    decline_offers(row.id, account=ana, wish={"text": "tarde", "weekdays": [1]}, now=NOW)
    assert state(row) is State.CANCELLED_BY_PRACTICE
    assert story(row)[-1] == ("give_up", "client")
    assert owed(row) == {"appointment_cancelled", "staff_offer_declined"}
    assert fresh(row).displaced_at == NOW
    again, _ = moved(session, ines, at(9, 10))
    assert (state(again), story(again)[-1][0]) == (State.OFFERED, "displace")


def test_none_chosen_in_time_cancels_too(session, ines):
    row, _ = moved(session, ines, at(5, 10))
    deadlines.run(now=NOW + timedelta(hours=49))
    assert state(row) is State.CANCELLED_BY_PRACTICE
    assert story(row)[-1] == ("run_out", "system")
    assert "appointment_cancelled" in owed(row)


def test_what_staff_cancel_for_good_is_not_offered_again(session, ines):
    row, _ = moved(session, ines, at(5, 10))
    cancel_for_client(row.id, version=fresh(row).version, actor=ines, now=NOW)
    with refused(ChangedMeanwhile):
        moved(session, ines, at(8, 10))


def test_a_displaced_session_that_the_client_cancels_leaves_their_calendar(session, ines, ana):
    row, _ = moved(session, ines, at(5, 10))
    cancel(row.id, account=ana, now=NOW)
    (told,) = [m for m in row.messages if m.kind == "appointment_cancelled"]
    assert told.context["invited"] is True


def test_a_session_that_the_client_is_moving_already_is_left_alone(session, ines, ana):
    request(ana, at(5, 12), chain=session.chain, replaces=session.id)
    with refused(ChangedMeanwhile):
        moved(session, ines, at(8, 10))


def test_what_was_seen_earlier_is_not_displaced(session, ines):
    with refused(ChangedMeanwhile):
        displace(
            session.id, version=1, actor=ines, offers=offers_for(session, at(5, 10)), now=NOW
        )  # fmt: skip


def test_a_slot_that_went_meanwhile_is_not_offered(session, ines, bruno):
    offers = offers_for(session, at(5, 10))
    request(bruno, at(5, 10))
    with refused(NotFree):
        displace(
            session.id, version=fresh(session).version, actor=ines, offers=offers, now=NOW
        )  # fmt: skip


def test_the_same_tap_twice_moves_once(session, ines):
    key = Key("k", "f")
    offers, version = offers_for(session, at(5, 10)), fresh(session).version
    for _ in range(2):
        displace(session.id, version=version, actor=ines, offers=offers, now=NOW, key=key)
    assert [event for event, _ in story(session)].count("displace") == 1


# Rooms and offices that are closed.


def missing_room(key: str) -> Missing:
    return Missing(room_id=Room.get(Room.key == key).id)


def report(missing: Missing, actor, start=None, end=None, **columns) -> BlockedTime:
    return report_absence(
        missing, start or at(4, 0), end or at(5, 0), reason="", allowed=Allowed(**columns),
        actor=actor, now=NOW,
    )  # fmt: skip


def test_an_absence_blocks_the_time_and_queues_one_plan_for_what_it_hits(session, ines, bruno):
    waiting = request(bruno, at(4, 12))
    blocked = report(Missing(clinician_id=session.clinician_id), ines)
    plan = Replan.get(Replan.blocked == blocked)
    assert [row.appointment_id for row in plan.rows] == [session.id, waiting.id]
    with refused(NotFree, Rule.ABSENCE):
        request(bruno, at(4, 16), location="norte")


def test_an_absence_that_hits_nothing_only_blocks(ines, session):
    report(Missing(clinician_id=session.clinician_id), ines, at(5, 0), at(6, 0))
    assert BlockedTime.select().count() == 1
    assert Replan.select().count() == 0


def test_a_span_has_one_plan(session, ines):
    who = Missing(clinician_id=session.clinician_id)
    report(who, ines)
    with refused(AlreadyPlanned):
        report(who, ines, at(4, 9), at(5, 9))


def test_time_blocked_before_gets_its_plan_once(session, ines):
    blocked = block_time(
        session.clinician_id, at(4, 0), at(5, 0), reason="", actor=ines, now=NOW
    )  # fmt: skip
    first, again = (plan_for(blocked.id, allowed=Allowed(), actor=ines, now=NOW) for _ in range(2))
    assert first.id == again.id


def test_a_closed_room_takes_no_session_while_another_does(manager, ana):
    report(missing_room("c1"), manager)
    asked = request(ana)
    assert Room.get_by_id(asked.room_id).key == "c2"


def test_a_closed_office_takes_none_and_video_from_home_is_not_hit(manager, ana, session):
    blocked = report(Missing(location_id=session.location_id), manager)
    assert [row.appointment_id for row in Replan.get(Replan.blocked == blocked).rows] == [
        session.id
    ]
    with refused(NotFree, Rule.ABSENCE):
        request(ana, at(4, 12))


def test_a_plan_that_is_searched_cannot_be_approved_and_stopping_it_ends_that(session, ines):
    blocked = report(Missing(clinician_id=session.clinician_id), ines)
    plan = Replan.get(Replan.blocked == blocked)
    with refused(ChangedMeanwhile):
        approve(plan.id, [], run=plan.run, actor=ines, now=NOW)
    stop(plan.id, actor=ines, now=NOW)
    assert approve(plan.id, [], run=plan.run, actor=ines, now=NOW) == []


def test_freed_offers_are_all_freed(session, ines, ana):
    row, _ = moved(session, ines, at(5, 10), at(8, 10))
    decline_offers(row.id, account=ana, wish={}, now=NOW)
    assert not OfferedSlot.select().where(OfferedSlot.state == OfferState.HELD).exists()


def test_staff_take_a_slot_for_a_client_who_telephones(session, ines, bruno):
    row, (first, _) = moved(session, ines, at(5, 10), at(8, 10))
    taken_one = take_offer_for_client(row.id, first.id, actor=ines, now=NOW)
    assert (taken_one.status, story(row)[-1]) == (State.CONFIRMED, ("take", "clinician"))
    with refused(OfferGone):
        take_offer_for_client(row.id, first.id, actor=ines, now=NOW)
