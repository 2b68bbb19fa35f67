"""Every verb of the domain: what it does, what it refuses, and that a refusal leaves no trace."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from booking import availability, gateway, invariants, outbox, practice_file
from booking.availability import STAFF_MAY_WAIVE, NotFree, Rule, Slot, plan, slot
from booking.clock import SettableClock
from booking.db import tuples
from booking.free_times import free_days
from booking.gateway import SYSTEM, Actor, ChangedMeanwhile, Key, KeyReused, NotYours
from booking.lifecycle import Event, IllegalTransition, State
from booking.mailer import MemoryMailer
from booking.models import (
    ALL,
    Account,
    Appointment,
    BlockedTime,
    Delivery,
    History,
    Occupancy,
    OfferedSlot,
    OfferState,
    OneTimeKey,
    OutboxMessage,
    Practice,
    Relation,
    Resource,
    Room,
)
from booking.notifications import Kind
from booking.occupancy import SlotTaken
from booking.operations import (
    accept,
    add_client,
    add_minor,
    add_partner,
    ask,
    block_time,
    book,
    cancel,
    cancel_for_client,
    close,
    deadlines,
    decline_offers,
    deny,
    take_offer,
    unblock_time,
    undo,
)
from booking.operations.deciding import OffersOverlap, TooLateToUndo
from booking.operations.limits import LIMITS, Limited, TooOften
from booking.operations.people import MOST_PEOPLE, TooManyPeople
from booking.operations.requesting import (
    AlreadyMoving,
    NotAllowed,
    NotForThisClient,
    OfferGone,
    TooManyPending,
)
from booking.policy import Verdict
from tests.builders import NOW, THURSDAY_AT_TEN, at, own_client, request, wish
from tests.conftest import PRACTICE, make_account
from tests.conftest import add_minor as minor_of

SOON = NOW + timedelta(seconds=10)
UNDO = timedelta(seconds=30)


pytestmark = pytest.mark.usefixtures("book_in_order")


@pytest.fixture
def ines(db) -> Actor:
    return gateway.staff(Account.get(Account.email == "ines@alameda.example"))


@pytest.fixture
def oscar(db) -> Actor:
    return gateway.staff(Account.get(Account.email == "oscar@alameda.example"))


@pytest.fixture
def manager(db) -> Actor:
    return gateway.staff(Account.get(Account.manager))


# What a test looks at.


def everything() -> dict[str, list[Any]]:
    """Every row of every table."""
    return {model.__name__: sorted(tuples(model.select())) for model in ALL}


@contextmanager
def refused(error: type[Exception], *rules: Rule) -> Iterator[None]:
    """It is refused, for these rules when they are given, and not one row is different."""
    before = everything()
    with pytest.raises(error) as caught:
        yield
    assert everything() == before
    if rules:
        assert isinstance(caught.value, NotFree)
        assert caught.value.rules == rules


def fresh(appointment: Appointment) -> Appointment:
    return Appointment.get_by_id(appointment.id)


def offers() -> list[str]:
    """What became of the slots that were offered, the first choice first."""
    return [offer.state for offer in OfferedSlot.select().order_by(OfferedSlot.rank)]


def state(appointment: Appointment) -> State:
    return fresh(appointment).status


def story(appointment: Appointment) -> list[tuple[str, str]]:
    """What happened, and in what capacity somebody did it."""
    rows = History.select().where(History.appointment == appointment).order_by(History.version)
    return [(row.event, row.actor) for row in rows]


def owed(appointment: Appointment) -> set[str]:
    """The messages of the last change."""
    rows = OutboxMessage.select().where(
        OutboxMessage.appointment == appointment,
        OutboxMessage.version == fresh(appointment).version,
    )
    return {row.kind for row in rows if row.state == Delivery.WAITING}


def taken(resource: Resource, id_: int | None) -> list[tuple[datetime, datetime]]:
    rows = Occupancy.select().where(Occupancy.resource == resource, Occupancy.resource_id == id_)
    return sorted((row.busy_from, row.busy_until) for row in rows)


def clinician(key: str = "ines") -> int:
    found = plan().clinician_by_key(key)
    assert found is not None
    return int(found.id)


def after(moment: datetime, minutes: int) -> datetime:
    return moment + timedelta(minutes=minutes)


# What a test does.


def accepted(asked: Appointment, actor: Actor, *, now: datetime = NOW) -> Appointment:
    return accept(asked.id, version=fresh(asked).version, actor=actor, now=now)


def offers_for(asked: Appointment, *starts: datetime) -> tuple[Slot, ...]:
    return tuple(
        slot(availability.wish_of(asked), start, now=NOW, waived=STAFF_MAY_WAIVE)
        for start in starts
    )


def offered(
    asked: Appointment, actor: Actor, *starts: datetime, now: datetime = NOW
) -> tuple[Appointment, list[OfferedSlot]]:
    denied = deny(
        asked.id,
        version=fresh(asked).version,
        actor=actor,
        offers=offers_for(asked, *starts),
        now=now,
    )
    held = OfferedSlot.select().where(OfferedSlot.appointment == denied).order_by(OfferedSlot.rank)
    return denied, list(held)


def moved(account: Account, old: Appointment, start: datetime, **changes: Any) -> Appointment:
    """A request to move a session."""
    return request(account, start, replaces=old.id, chain=old.chain, **changes)


def reload(*changes: tuple[str, str], more: str = "") -> None:
    """Load the practice's file again, with a few words in it changed."""
    text = PRACTICE.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    practice_file.load(text + more, now=NOW)


def set_up_anew(model: Any, **columns: object) -> None:
    """Change every row of a table that the practice's file writes."""
    model.update(**columns).execute()
    Practice.update(revision=Practice.revision + 1).execute()


def block(actor: Actor, start: datetime, end: datetime, *, who: str = "ines") -> BlockedTime:
    return block_time(clinician(who), start, end, reason="", actor=actor, now=NOW)


def booked(
    account: Account, actor: Actor, start: datetime, *, now: datetime = NOW, **changes: Any
) -> Appointment:
    client = own_client(account)
    replaces = changes.pop("replaces", None)
    return book(
        wish(client=client, **changes),
        start,
        client=client,
        actor=actor,
        now=now,
        replaces=replaces,
    )


# Asking.


def test_asking_holds_the_slot_for_everybody_in_it(ana):
    asked = request(ana)
    end = after(THURSDAY_AT_TEN, 50)
    assert (asked.status, asked.ends_at, asked.chain) == (State.REQUESTED, end, asked.id)
    assert story(asked) == [("ask", "client")]
    assert owed(asked) == {Kind.REQUEST_RECEIVED, Kind.STAFF_REQUEST_RECEIVED}
    assert taken(Resource.CLINICIAN, clinician()) == [(after(THURSDAY_AT_TEN, -5), after(end, 10))]
    assert taken(Resource.ROOM, asked.room_id) == [(THURSDAY_AT_TEN, end)]
    assert taken(Resource.CLIENT, own_client(ana).id) == [(THURSDAY_AT_TEN, end)]


def test_a_request_is_answered_within_three_days_and_two_hours_before(ana, bruno):
    assert request(ana, at(12, 10)).answer_by == NOW + timedelta(hours=72)
    assert request(bruno, at(3, 10)).answer_by == at(3, 8)


@pytest.mark.parametrize(
    ("start", "rule"),
    [
        (at(3, 8, 45), Rule.HOURS),
        (at(4, 13, 15), Rule.HOURS),
        (at(6, 10), Rule.HOURS),
        (at(15, 10), Rule.HOURS),
        (at(1, 13), Rule.NOTICE),
        (at(4, 10, 5), Rule.GRID),
        (NOW + timedelta(days=64, hours=1), Rule.HORIZON),
    ],
    ids=["opens", "closes", "saturday", "holiday", "notice", "grid", "horizon"],
)
def test_a_time_outside_the_rules_cannot_be_asked_for(ana, start, rule):
    with refused(NotFree, rule):
        request(ana, start)


def test_the_first_and_the_last_start_of_a_day_can_be_asked_for(ana):
    request(ana, at(3, 9))
    request(ana, at(3, 13))


def test_nobody_asks_for_what_somebody_else_waits_for(ana, bruno):
    request(ana)
    with refused(NotFree, Rule.AGENDA_HELD):
        request(bruno)


def test_nobody_is_in_two_places_at_once(ana):
    request(ana, at(3, 10))
    with refused(NotFree, Rule.CLIENT):
        request(ana, at(3, 10), clinician="oscar")


def test_a_couple_is_not_free_while_one_of_them_is_not(ana):
    couple = add_partner(ana, name="Carlos", now=NOW)
    request(ana, at(3, 10), clinician="oscar")
    with refused(NotFree, Rule.CLIENT):
        ask(
            wish(service="pareja", client=couple), at(3, 9),
            client=couple, account=ana, now=NOW,
        )  # fmt: skip


def test_an_account_waits_for_three_answers_at_most(ana, ines):
    first, *_ = (request(ana, start) for start in (at(3, 9), at(4, 9), at(5, 9)))
    with refused(TooManyPending):
        request(ana, at(8, 9))
    accepted(first, ines)
    request(ana, at(8, 9))


def test_asking_and_withdrawing_again_and_again_is_slowed_down(ana):
    """ASVS 2.4.1: each request mails the clinician, who may not be flooded with them."""
    most = LIMITS[Limited.REQUEST].most
    for _ in range(most):
        cancel(request(ana, at(3, 9)).id, account=ana, now=NOW)
    with refused(TooOften):
        request(ana, at(3, 9))
    request(make_account("Nora", "nora@example.com"), at(3, 9))


def test_people_are_added_a_few_at_a_time_and_not_without_end(ana):
    most, hour = LIMITS[Limited.PEOPLE].most, LIMITS[Limited.PEOPLE].within
    born = NOW.date().replace(year=2020)
    for n in range(most):
        add_minor(ana, name=f"Luz {n}", birth_date=born, now=NOW)
    for again in (
        lambda: add_minor(ana, name="Sol", birth_date=born, now=NOW),
        lambda: add_partner(ana, name="Sol", now=NOW),
    ):
        with refused(TooOften):
            again()
    for n in range(most, MOST_PEOPLE):
        add_minor(ana, name=f"Luz {n}", birth_date=born, now=NOW + hour * (n // most))
    with refused(TooManyPeople):
        add_minor(ana, name="Sol", birth_date=born, now=NOW + 5 * hour)
    with refused(TooManyPeople):
        add_partner(ana, name="Sol", now=NOW + 5 * hour)


def test_a_service_is_for_whom_it_is_meant(ana):
    child = minor_of(ana, "Luz")
    with refused(NotForThisClient):
        request(ana, service="infantil")
    with refused(NotForThisClient):
        request(ana, service="primera-visita")
    with refused(NotForThisClient):
        ask(wish(client=child), THURSDAY_AT_TEN, client=child, account=ana, now=NOW)
    new = make_account("Nora", "nora@example.com", known=False)
    assert request(new, service="primera-visita").status is State.REQUESTED


def test_a_first_visit_can_be_moved_though_its_client_is_known_by_then(ines):
    new = make_account("Nora Gil", "nora@example.com", known=False)
    first = request(new, service="primera-visita")
    accept(first.id, version=1, actor=ines, now=NOW)
    moving = request(new, at(8, 10), service="primera-visita", replaces=first.id)
    assert moving.status is State.REQUESTED
    with refused(NotForThisClient):
        request(new, at(9, 10), service="primera-visita")


def test_a_session_without_a_room_is_not_to_be_had(ana, bruno):
    set_up_anew(Room, active=False)
    Room.update(active=True).where(Room.key == "c1").execute()
    request(ana, at(3, 10), clinician="oscar")
    with refused(NotFree, Rule.ROOM):
        request(bruno, at(3, 10))
    request(bruno, at(3, 11))


def test_whoever_asks_for_anybody_gets_the_least_busy(ana, bruno, ines):
    anybody = (clinician("ines"), clinician("oscar"))

    def ask_for_anybody(account: Account, start: datetime) -> Appointment:
        client = own_client(account)
        search = availability.Wish(
            service_id=wish().service_id,
            modality=wish().modality,
            location_id=wish().location_id,
            clinician_ids=anybody,
            person_ids=client.person_ids,
        )
        return ask(search, start, client=client, account=account, now=NOW)

    assert ask_for_anybody(ana, at(3, 9)).clinician_id == min(anybody)
    assert ask_for_anybody(bruno, at(3, 11)).clinician_id == max(anybody)
    assert ask_for_anybody(bruno, at(4, 11)).clinician_id == clinician("ines")


def test_a_time_shorter_before_than_an_answer_takes_is_neither_listed_nor_granted(ana):
    set_up_anew(Practice, notice_minutes=0)
    days, _ = free_days(wish(), since=NOW.date(), zone=ZoneInfo("UTC"), now=NOW)
    first = days[0][1][0]
    assert first > NOW + timedelta(hours=2)
    with refused(NotFree, Rule.NOTICE):
        request(ana, first - timedelta(minutes=15))
    request(ana, first)


# Accepting.


def test_accepting_confirms_and_writes_to_the_client_when_it_cannot_be_undone(ines):
    new = make_account("Nora", "nora@example.com", known=False)
    asked = request(new)
    before = taken(Resource.CLINICIAN, clinician())
    accepted(asked, ines, now=SOON)
    row = fresh(asked)
    assert (row.status, row.version, row.decided_at) == (State.CONFIRMED, 2, SOON)
    assert (row.answer_by, row.halfway_at, row.remind_at) == (None, None, at(3, 10))
    assert story(asked) == [("ask", "client"), ("accept", "clinician")]
    assert owed(asked) == {Kind.REQUEST_ACCEPTED}
    assert OutboxMessage.get(OutboxMessage.version == 2).due_at == SOON + UNDO
    assert taken(Resource.CLINICIAN, clinician()) == before
    assert own_client(new).known_since == SOON


def test_a_request_that_changed_since_it_was_read_is_not_accepted(ana, ines):
    asked = request(ana)
    offered(asked, ines, at(10, 10))
    undo(asked.id, actor=ines, now=NOW)
    assert state(asked) is State.REQUESTED
    with refused(ChangedMeanwhile):
        accept(asked.id, version=1, actor=ines, now=NOW)


@pytest.mark.parametrize("decide", [accept, deny])
def test_a_request_is_answered_until_its_time_is_over(ana, ines, decide):
    asked = request(ana)
    assert asked.answer_by is not None
    with refused(ChangedMeanwhile):
        decide(asked.id, version=1, actor=ines, now=asked.answer_by)
    decide(asked.id, version=1, actor=ines, now=asked.answer_by - timedelta(seconds=1))


@pytest.mark.parametrize("decide", [accept, deny, cancel_for_client])
def test_what_is_another_clinicians_does_not_exist(ana, oscar, decide):
    asked = request(ana)
    with refused(NotYours):
        decide(asked.id, version=1, actor=oscar, now=NOW)
    with refused(NotYours):
        decide(10**6, version=1, actor=oscar, now=NOW)


def test_a_manager_decides_about_anybodys_requests(ana, manager):
    asked = request(ana)
    accepted(asked, manager)
    assert story(asked)[-1] == ("accept", "manager")


def test_blocked_time_is_not_accepted_into(ana, ines):
    asked = request(ana)
    block(ines, at(4, 10, 49), at(4, 12))
    with refused(NotFree, Rule.ABSENCE):
        accepted(asked, ines)


def test_what_is_outside_hours_by_now_is_not_accepted(ana, ines):
    asked = request(ana)
    reload(('abre = "09:00"', 'abre = "10:15"'))
    with refused(NotFree, Rule.HOURS):
        accepted(asked, ines)


def test_what_is_on_a_new_holiday_is_not_accepted(ana, ines):
    asked = request(ana)
    reload(more='\n[[feriados]]\nfecha = 2027-03-04\nnombre = "Elecciones"\n')
    with refused(NotFree, Rule.HOURS):
        accepted(asked, ines)


def test_what_the_clinician_no_longer_offers_is_not_accepted(ana, ines):
    asked = request(ana)
    reload(('["individual", "infantil", "pareja"', '["infantil", "pareja"'))
    with refused(NotFree):
        accepted(asked, ines)


def test_a_room_that_closed_is_replaced_by_another(ana, ines):
    asked = request(ana)
    assert asked.room is not None
    set_up_anew(Room, active=False)
    Room.update(active=True).where(Room.key == "c2").execute()
    assert asked.room.key == "c1"
    accepted(asked, ines)
    other = fresh(asked).room
    assert other is not None
    assert other.key == "c2"
    assert taken(Resource.ROOM, asked.room_id) == []
    assert len(taken(Resource.ROOM, other.id)) == 1


def test_without_any_room_a_request_is_not_accepted(ana, ines):
    asked = request(ana)
    set_up_anew(Room, active=False)
    with refused(NotFree, Rule.ROOM):
        accepted(asked, ines)


def test_a_day_that_is_full_by_now_is_not_accepted_into(ana, bruno, ines):
    accepted(request(bruno, at(4, 12)), ines)
    asked = request(ana)
    reload(("max_sesiones_dia = 6", "max_sesiones_dia = 1"))
    with refused(NotFree, Rule.MAX_DAY):
        accepted(asked, ines)


def test_a_way_that_takes_longer_by_now_is_not_accepted(ana, bruno, ines):
    accepted(request(bruno, at(4, 13)), ines)
    asked = request(ana, at(4, 16), location="norte")
    reload(("minutos = 45", "minutos = 180"))
    with refused(NotFree, Rule.AGENDA_CONFIRMED):
        accepted(asked, ines)


def test_notice_and_grid_do_not_bind_the_clinician_who_accepts(ana, ines):
    asked = request(ana, at(3, 10, 15))
    reload(("[consultorio.cancelacion]", "cuadricula_minutos = 60\n\n[consultorio.cancelacion]"))
    accepted(asked, ines, now=at(3, 8))
    assert state(asked) is State.CONFIRMED


# Denying.


def test_denying_frees_the_time_and_keeps_the_note(ana, bruno, ines):
    asked = request(ana)
    deny(asked.id, version=1, actor=ines, note="Estoy en un congreso.", now=NOW)
    row = fresh(asked)
    assert (row.status, row.note, row.answer_by) == (State.DENIED, "Estoy en un congreso.", None)
    assert owed(asked) == {Kind.REQUEST_DENIED}
    assert Occupancy.select().count() == 0
    request(bruno)


def test_offered_slots_are_held_for_clinician_room_and_client(ana, bruno, ines):
    asked = request(ana)
    denied, held = offered(asked, ines, at(10, 10), at(8, 12))
    assert denied.status is State.OFFERED
    assert [(o.rank, o.starts_at) for o in held] == [(1, at(8, 12)), (2, at(10, 10))]
    assert denied.answer_by == NOW + timedelta(hours=48)
    assert owed(asked) == {Kind.SLOTS_OFFERED}
    request(bruno)  # The time first asked for is free again.
    with refused(NotFree, Rule.AGENDA_HELD):
        request(bruno, at(10, 10))
    with refused(NotFree, Rule.CLIENT):
        request(ana, at(10, 10), clinician="oscar")
    set_up_anew(Room, active=False)
    Room.update(active=True).where(Room.id == held[1].room_id).execute()
    with refused(NotFree, Rule.ROOM):
        request(bruno, at(10, 10), clinician="oscar")


def test_an_offer_is_held_until_two_hours_before_it_at_the_latest(ana, ines):
    denied, held = offered(request(ana), ines, at(3, 9), at(10, 10))
    assert [o.held_until for o in held] == [at(3, 7), NOW + timedelta(hours=48)]
    assert denied.answer_by == held[1].held_until


def test_slots_that_overlap_are_not_offered_together(ana, ines):
    asked = request(ana)
    for second in (at(10, 10), at(10, 10, 45), at(10, 11)):  # The last one: minutes between.
        with refused(OffersOverlap):
            offered(asked, ines, at(10, 10), second)
    offered(asked, ines, at(10, 10), at(10, 11, 5))


def test_a_slot_that_went_meanwhile_is_not_offered(ana, bruno, ines):
    asked = request(ana)
    slots = offers_for(asked, at(10, 10), at(11, 10))
    request(bruno, at(11, 10))
    with refused(NotFree, Rule.AGENDA_HELD):
        deny(asked.id, version=1, actor=ines, offers=slots, now=NOW)


def test_a_slot_that_begins_too_soon_to_be_chosen_is_not_offered(ana, ines):
    asked = request(ana)
    slots = offers_for(asked, at(1, 11))
    with refused(NotFree, Rule.NOTICE):
        deny(asked.id, version=1, actor=ines, offers=slots, now=NOW)


def test_two_clients_are_never_offered_the_same_slot(ana, bruno, ines):
    asked, other = request(ana), request(bruno, at(5, 10))
    slots = offers_for(other, at(10, 10))
    offered(asked, ines, at(10, 10))
    with refused(NotFree, Rule.AGENDA_HELD):
        deny(other.id, version=1, actor=ines, offers=slots, now=NOW)


# Taking, declining.


def test_taking_an_offer_confirms_it_and_frees_the_rest(ana, bruno, ines):
    asked = request(ana)
    _, held = offered(asked, ines, at(10, 10), at(11, 10))
    take_offer(asked.id, held[0].id, account=ana, now=SOON)
    row = fresh(asked)
    assert (row.status, row.starts_at) == (State.CONFIRMED, at(10, 10))
    assert (row.asked_starts_at, row.remind_at) == (THURSDAY_AT_TEN, at(9, 10))
    assert offers() == [
        OfferState.TAKEN,
        OfferState.FREED,
    ]
    assert story(asked)[-1] == ("take", "client")
    assert owed(asked) == {Kind.OFFER_TAKEN, Kind.STAFF_OFFER_TAKEN}
    request(bruno, at(11, 10))
    with refused(OfferGone):
        take_offer(asked.id, held[1].id, account=ana, now=SOON)


def test_an_offer_can_be_taken_until_its_time_is_over(ana, ines):
    asked = request(ana)
    _, (offer, _) = offered(asked, ines, at(3, 9), at(10, 10))
    with refused(OfferGone):
        take_offer(asked.id, offer.id, account=ana, now=offer.held_until)
    take_offer(asked.id, offer.id, account=ana, now=offer.held_until - timedelta(seconds=1))


def test_an_offer_that_hours_made_impossible_is_not_confirmed(ana, ines):
    asked = request(ana)
    _, (first, second) = offered(asked, ines, at(10, 9), at(11, 12))
    reload(('abre = "09:00"', 'abre = "11:00"'))
    with refused(NotFree, Rule.HOURS):
        take_offer(asked.id, first.id, account=ana, now=SOON)
    take_offer(asked.id, second.id, account=ana, now=SOON)


def test_an_offer_in_time_that_was_blocked_is_not_confirmed(ana, ines):
    asked = request(ana)
    _, (offer,) = offered(asked, ines, at(10, 9))
    block(ines, at(10, 9), at(10, 10))
    with refused(NotFree, Rule.ABSENCE):
        take_offer(asked.id, offer.id, account=ana, now=SOON)


def test_nobody_takes_or_declines_what_was_offered_to_others(ana, bruno, ines):
    asked, other = request(ana), request(bruno, at(5, 10))
    _, (offer,) = offered(asked, ines, at(10, 10))
    offered(other, ines, at(11, 10))
    with refused(NotYours):
        take_offer(asked.id, offer.id, account=bruno, now=SOON)
    with refused(NotYours):
        take_offer(other.id, offer.id, account=bruno, now=SOON)
    with refused(NotYours):
        decline_offers(asked.id, account=bruno, wish={}, now=SOON)
    with refused(NotYours):
        cancel(asked.id, account=bruno, now=SOON)


def test_declining_frees_the_slots_and_says_what_would_suit(ana, bruno, ines):
    asked = request(ana)
    offered(asked, ines, at(10, 10))
    decline_offers(asked.id, account=ana, wish={"text": "Los martes"}, now=SOON)
    assert (state(asked), fresh(asked).wish) == (State.DENIED, {"text": "Los martes"})
    assert owed(asked) == {Kind.STAFF_OFFER_DECLINED}
    request(bruno, at(10, 10))
    with refused(ChangedMeanwhile):
        decline_offers(asked.id, account=ana, wish={}, now=SOON)


def test_other_slots_are_offered_when_the_first_did_not_suit(ana, ines):
    asked = request(ana)
    offered(asked, ines, at(10, 10))
    decline_offers(asked.id, account=ana, wish={}, now=SOON)
    _, held = offered(asked, ines, at(11, 10))
    assert [o.state for o in held] == [OfferState.FREED, OfferState.HELD]
    take_offer(asked.id, held[1].id, account=ana, now=SOON)
    assert [event for event, _ in story(asked)] == ["ask", "offer", "decline", "offer", "take"]


def test_a_denied_request_is_not_denied_again(ana, ines):
    asked = request(ana)
    deny(asked.id, version=1, actor=ines, now=NOW)
    with refused(IllegalTransition):
        deny(asked.id, version=2, actor=ines, now=NOW)


# Taking back a decision.


def as_it_was(appointment: Appointment) -> dict[str, Any]:
    """The row, but for the number of its version."""
    return dict(fresh(appointment).__data__) | {"version": None}


def places_taken() -> list[tuple[Any, ...]]:
    columns = (Occupancy.resource, Occupancy.resource_id, Occupancy.busy_from, Occupancy.busy_until)
    return sorted(tuples(Occupancy.select(*columns)))


@pytest.mark.parametrize("decision", ["accept", "deny", "offer"])
def test_a_decision_taken_back_leaves_all_as_it_was(ines, decision):
    new = make_account("Nora", "nora@example.com", known=False)
    asked = request(new, now=NOW + timedelta(seconds=7))
    before, occupied = as_it_was(asked), places_taken()
    if decision == "accept":
        accepted(asked, ines, now=SOON)
    else:
        offered(asked, ines, *([at(10, 10)] if decision == "offer" else []), now=SOON)
    assert as_it_was(asked) != before
    undo(asked.id, actor=ines, now=SOON + UNDO - timedelta(seconds=1))
    assert as_it_was(asked) == before
    assert places_taken() == occupied
    assert own_client(new).known_since is None
    assert OfferedSlot.select().count() == 0
    withdrawn = OutboxMessage.get(OutboxMessage.version == 2)
    assert (withdrawn.state, withdrawn.error) == (Delivery.DEAD, "deshecho")
    assert story(asked)[-1] == ("undo", "clinician")


def test_after_thirty_seconds_nothing_is_taken_back(ana, ines):
    asked = request(ana)
    accepted(asked, ines)
    with refused(TooLateToUndo):
        undo(asked.id, actor=ines, now=NOW + UNDO)


def test_what_was_not_decided_cannot_be_taken_back(ana, ines, oscar):
    asked = request(ana)
    with refused(TooLateToUndo):
        undo(asked.id, actor=ines, now=NOW)
    accepted(asked, ines)
    with refused(NotYours):
        undo(asked.id, actor=oscar, now=NOW)
    undo(asked.id, actor=ines, now=NOW)
    with refused(TooLateToUndo):
        undo(asked.id, actor=ines, now=NOW)


def test_a_message_on_its_way_cannot_be_taken_back(ana, ines):
    asked = request(ana)
    accepted(asked, ines)
    OutboxMessage.update(claimed_until=at(1, 10)).where(OutboxMessage.version == 2).execute()
    with refused(TooLateToUndo):
        undo(asked.id, actor=ines, now=SOON)


@pytest.mark.parametrize("answer", ["take", "decline", "cancel"])
def test_what_the_client_answered_cannot_be_taken_back(ana, ines, answer):
    asked = request(ana)
    _, (offer,) = offered(asked, ines, at(10, 10))
    if answer == "take":
        take_offer(asked.id, offer.id, account=ana, now=SOON)
    elif answer == "decline":
        decline_offers(asked.id, account=ana, wish={}, now=SOON)
    else:
        cancel(asked.id, account=ana, now=SOON)
    with refused(TooLateToUndo):
        undo(asked.id, actor=ines, now=SOON)


def test_time_that_went_to_somebody_else_is_not_taken_back(ana, bruno, ines):
    asked = request(ana)
    offered(asked, ines, at(10, 10))
    request(bruno)
    with refused(SlotTaken):
        undo(asked.id, actor=ines, now=SOON)


def test_taking_back_one_decision_leaves_the_other_sessions_client_known(ines):
    new = make_account("Nora", "nora@example.com", known=False)
    first, second = request(new), request(new, at(5, 10))
    for asked in (first, second):
        accepted(asked, ines)  # In the same second.
    undo(second.id, actor=ines, now=SOON)
    assert own_client(new).known_since == NOW
    accepted(second, ines, now=SOON)
    undo(first.id, actor=ines, now=SOON)
    assert own_client(new).known_since == NOW


def test_taking_back_reminds_the_clinician_no_second_time(ana, ines):
    asked = request(ana, at(12, 10))
    halfway = NOW + timedelta(hours=36)
    deadlines.run(now=halfway)
    accepted(asked, ines, now=halfway + timedelta(hours=1))
    undo(asked.id, actor=ines, now=halfway + timedelta(hours=1))
    deadlines.run(now=NOW + timedelta(hours=71))
    reminders = OutboxMessage.select().where(OutboxMessage.kind == Kind.STAFF_REQUEST_WAITING)
    assert reminders.count() == 1


# Moving a session.


@pytest.fixture
def session(ana, ines) -> Appointment:
    """Ana's, on Thursday at ten."""
    return accepted(request(ana), ines)


def test_a_session_can_be_moved_by_half_its_length(ana, bruno, ines, session):
    asked = moved(ana, session, at(4, 10, 30))
    assert (asked.chain, asked.replaces_id) == (session.chain, session.id)
    assert (state(session), state(asked)) == (State.CONFIRMED, State.REQUESTED)
    both = [(at(4, 9, 55), at(4, 11, 30))]
    assert taken(Resource.CLINICIAN, clinician()) == both
    assert taken(Resource.CLIENT, own_client(ana).id) == [(at(4, 10), at(4, 11, 20))]
    with refused(NotFree):
        request(bruno, at(4, 9))
    accepted(asked, ines)
    assert (state(session), state(asked)) == (State.MOVED, State.CONFIRMED)
    assert story(session)[-1] == ("replace", "clinician")
    assert taken(Resource.CLINICIAN, clinician()) == [(at(4, 10, 25), at(4, 11, 30))]
    request(bruno, at(4, 9))


def test_a_move_that_is_denied_leaves_the_old_session(ana, ines, session):
    before = places_taken()
    asked = moved(ana, session, at(5, 10))
    deny(asked.id, version=1, actor=ines, now=NOW)
    assert (state(session), state(asked)) == (State.CONFIRMED, State.DENIED)
    assert places_taken() == before


def test_a_move_that_expires_leaves_the_old_session(ana, session):
    asked = moved(ana, session, at(5, 10))
    deadlines.run(now=at(4, 9))
    assert (state(session), state(asked)) == (State.CONFIRMED, State.EXPIRED)


def test_a_move_to_an_offered_slot_ends_the_old_session(ana, ines, session):
    asked = moved(ana, session, at(5, 10))
    _, (offer,) = offered(asked, ines, at(4, 10, 15))
    assert state(session) is State.CONFIRMED
    take_offer(asked.id, offer.id, account=ana, now=SOON)
    assert (state(session), state(asked)) == (State.MOVED, State.CONFIRMED)
    assert taken(Resource.CLINICIAN, clinician()) == [(at(4, 10, 10), at(4, 11, 15))]


def test_a_move_taken_back_restores_the_old_session(ana, ines, session):
    asked = moved(ana, session, at(4, 10, 30))
    old, new, occupied = as_it_was(session), as_it_was(asked), places_taken()
    accepted(asked, ines, now=SOON)
    undo(asked.id, actor=ines, now=SOON)
    assert (as_it_was(session), as_it_was(asked)) == (old, new)
    assert places_taken() == occupied


def test_a_move_is_not_taken_back_when_the_old_time_went_to_somebody_else(
    ana, bruno, ines, session
):
    asked = moved(ana, session, at(5, 10))
    accepted(asked, ines)
    request(bruno)
    with refused(SlotTaken):
        undo(asked.id, actor=ines, now=SOON)


def test_a_session_is_moved_by_one_request_at_a_time(ana, session):
    first = moved(ana, session, at(5, 10))
    with pytest.raises(AlreadyMoving) as caught:
        moved(ana, session, at(5, 11))
    assert caught.value.appointment_id == first.id


def test_a_denied_move_is_not_offered_again_beside_a_newer_one(ana, ines, session):
    first = moved(ana, session, at(5, 10))
    deny(first.id, version=1, actor=ines, now=NOW)
    slots = offers_for(first, at(8, 10))
    second = moved(ana, session, at(5, 11), now=NOW + UNDO)
    with refused(ChangedMeanwhile):
        deny(first.id, version=2, actor=ines, offers=slots, now=NOW + UNDO)
    accepted(second, ines, now=NOW + UNDO)
    with refused(ChangedMeanwhile):
        deny(first.id, version=2, actor=ines, offers=slots, now=NOW + UNDO)


@pytest.mark.parametrize("how", ["request", "booking"])
def test_a_denial_is_not_taken_back_once_the_session_moves_elsewhere(ana, ines, session, how):
    first = moved(ana, session, at(5, 10))
    deny(first.id, version=1, actor=ines, now=NOW)
    if how == "request":
        moved(ana, session, at(5, 11), now=SOON)
    else:
        booked(ana, ines, at(5, 11), now=SOON, replaces=session.id, chain=session.chain)
    with refused(TooLateToUndo):
        undo(first.id, actor=ines, now=SOON)


def test_an_acceptance_is_not_taken_back_once_the_client_moves_on(ana, ines, session):
    moved(ana, session, at(5, 11), now=SOON)
    with refused(TooLateToUndo):
        undo(session.id, actor=ines, now=SOON)


def test_cancelling_a_session_ends_the_wish_to_move_it(ana, ines, session):
    asked = moved(ana, session, at(5, 10))
    offered(asked, ines, at(8, 10))
    cancel(session.id, account=ana, now=SOON)
    assert (state(session), state(asked)) == (State.CANCELLED_BY_CLIENT,) * 2
    assert Occupancy.select().count() == 0
    assert owed(session) == {Kind.APPOINTMENT_CANCELLED, Kind.STAFF_APPOINTMENT_CANCELLED}


def test_withdrawing_a_move_leaves_the_old_session(ana, session):
    before = places_taken()
    asked = moved(ana, session, at(5, 10))
    cancel(asked.id, account=ana, now=SOON)
    assert (state(session), state(asked)) == (State.CONFIRMED, State.CANCELLED_BY_CLIENT)
    assert places_taken() == before


def test_clients_cancel_and_move_until_a_day_before(ana, session):
    late = at(3, 10) + timedelta(seconds=1)
    with pytest.raises(NotAllowed) as caught:
        cancel(session.id, account=ana, now=late)
    assert caught.value.verdict is Verdict.TOO_LATE
    with refused(NotAllowed):
        moved(ana, session, at(8, 10), now=late)
    cancel(session.id, account=ana, now=at(3, 10))


def test_a_pending_request_can_be_withdrawn_at_any_time(ana):
    asked = request(ana, at(3, 9))
    cancel(asked.id, account=ana, now=at(3, 8, 59))
    assert state(asked) is State.CANCELLED_BY_CLIENT
    assert Occupancy.select().count() == 0
    with refused(NotAllowed):
        cancel(asked.id, account=ana, now=at(3, 8, 59))


# What staff do.


def test_staff_book_what_clients_could_no_longer_ask_for(ana, ines):
    row = booked(ana, ines, at(1, 11, 7))
    assert (row.status, row.account_id) == (State.CONFIRMED, ana.id)
    assert story(row) == [("book", "clinician")]
    assert owed(row) == {Kind.APPOINTMENT_BOOKED}
    assert booked(ana, ines, NOW + timedelta(days=71)).status is State.CONFIRMED


@pytest.mark.parametrize(
    ("start", "rule"),
    [
        (at(2, 8, 59), Rule.HOURS),
        (at(2, 13, 11), Rule.HOURS),
        (at(15, 10), Rule.HOURS),
        (NOW, Rule.NOTICE),
        (at(3, 10, 30), Rule.AGENDA_HELD),
        (at(5, 10, 30), Rule.ABSENCE),
    ],
    ids=["opens", "closes", "holiday", "past", "agenda", "blocked"],
)
def test_hours_rooms_and_the_agenda_bind_staff_too(ana, bruno, ines, start, rule):
    request(bruno, at(3, 10))
    block(ines, at(5, 10), at(5, 11))
    with refused(NotFree, rule):
        booked(ana, ines, start)


def test_staff_need_a_room_too(ana, bruno, ines):
    set_up_anew(Room, active=False)
    Room.update(active=True).where(Room.key == "c1").execute()
    request(bruno, at(3, 10), clinician="oscar")
    with refused(NotFree, Rule.ROOM):
        booked(ana, ines, at(3, 10))


def test_clinicians_book_and_block_their_own_time_only(ana, ines, oscar, manager):
    with refused(NotYours):
        booked(ana, oscar, THURSDAY_AT_TEN)
    with refused(NotYours):
        block(oscar, at(4, 10), at(4, 11))
    theirs = block(manager, at(4, 10), at(4, 11))
    with refused(NotYours):
        unblock_time(theirs.id, actor=oscar, now=NOW)
    with refused(NotYours):
        unblock_time(10**6, actor=oscar, now=NOW)
    unblock_time(theirs.id, actor=ines, now=NOW)


def test_staff_move_a_session_and_the_clients_own_wish_to_move_it_ends(ana, ines, session):
    asked = moved(ana, session, at(5, 10))
    row = booked(ana, ines, at(4, 10, 20), replaces=session.id, chain=session.chain)
    states = [state(session), state(asked), state(row)]
    assert states == [State.MOVED, State.CANCELLED_BY_PRACTICE, State.CONFIRMED]
    assert owed(row) == {Kind.APPOINTMENT_MOVED}
    assert taken(Resource.CLINICIAN, clinician()) == [(at(4, 10, 15), at(4, 11, 20))]
    with refused(IllegalTransition):
        booked(ana, ines, at(9, 10), replaces=session.id, chain=session.chain)


def test_nobody_moves_another_clinicians_session(ana, oscar, session):
    with refused(NotYours):
        booked(
            ana, oscar, at(8, 10), clinician="oscar", replaces=session.id, chain=session.chain
        )  # fmt: skip


def test_staff_cancel_whatever_the_policy_for_clients_says(ana, ines, session):
    asked = moved(ana, session, at(5, 10))
    with refused(ChangedMeanwhile):
        cancel_for_client(session.id, version=1, actor=ines, now=at(4, 9))
    cancel_for_client(session.id, version=2, actor=ines, now=at(4, 9))
    assert (state(session), state(asked)) == (State.CANCELLED_BY_PRACTICE,) * 2
    assert Occupancy.select().count() == 0
    with refused(IllegalTransition):
        cancel_for_client(session.id, version=3, actor=ines, now=at(4, 9))


def test_a_session_is_closed_once_it_has_begun(session, ines):
    with refused(ChangedMeanwhile):
        close(session.id, event=Event.ATTEND, actor=ines, now=at(4, 9, 59))
    close(session.id, event=Event.ATTEND, actor=ines, now=at(4, 10))
    assert state(session) is State.ATTENDED
    with refused(ChangedMeanwhile):
        close(session.id, event=Event.MISS, actor=ines, now=at(4, 11))


def test_blocked_time_leaves_what_is_booked_and_takes_nothing_new(ana, bruno, ines, session):
    row = block(ines, at(4, 9), at(4, 12))
    assert state(session) is State.CONFIRMED
    with refused(NotFree, Rule.ABSENCE):
        request(bruno, at(4, 11, 45))
    request(bruno, at(4, 12, 30))
    unblock_time(row.id, actor=ines, now=SOON)
    assert BlockedTime.get_by_id(row.id).removed_at == SOON
    request(bruno, at(4, 11, 15))
    unblock_time(row.id, actor=ines, now=NOW + UNDO)  # Once more changes nothing.
    assert BlockedTime.get_by_id(row.id).removed_at == SOON


def test_a_client_without_an_account_can_be_booked(ines):
    client = add_client(name="Don Ramón", email="", phone="555", actor=ines, now=NOW)
    row = book(wish(client=client), at(4, 10), client=client, actor=ines, now=NOW)
    assert (row.account_id, state(row)) == (None, State.CONFIRMED)
    assert client.clinician_id == clinician()


def test_whoever_looks_after_a_client_is_written_to(ana, ines):
    child = minor_of(ana, "Luz")
    row = book(wish(service="infantil", client=child), at(4, 10), client=child, actor=ines, now=NOW)
    assert row.account_id == ana.id


# What time alone does.


def test_a_request_expires_at_its_time_and_not_before(ana, bruno):
    asked = request(ana)
    assert asked.answer_by is not None
    deadlines.run(now=asked.answer_by - timedelta(seconds=1))
    assert state(asked) is State.REQUESTED
    assert deadlines.run(now=asked.answer_by) == 1
    assert story(asked)[-1] == ("expire", "system")
    assert owed(asked) == {Kind.REQUEST_EXPIRED, Kind.STAFF_REQUEST_EXPIRED}
    assert Occupancy.select().count() == 0
    before = everything()
    assert deadlines.run(now=asked.answer_by) == 0
    assert everything() == before


def test_what_one_deadline_meets_holds_up_no_other(ana, bruno, caplog):
    first, second = request(ana), request(bruno, at(5, 10))
    late = at(4, 9)
    in_the_way = OutboxMessage.create(
        kind=Kind.REQUEST_EXPIRED.value, audience="client", recipient=ana.email, language="es",
        appointment=first, version=first.version + 1, message_id="x", created_at=NOW, due_at=NOW,
    )  # fmt: skip
    deadlines.run(now=late)
    assert [state(row) for row in (first, second)] == [State.REQUESTED, State.EXPIRED]
    assert f"the deadline of appointment {first.id} failed" in caplog.text
    assert ana.email not in caplog.text
    in_the_way.delete_instance()
    deadlines.run(now=late)
    assert state(first) is State.EXPIRED


def test_offers_that_nobody_chose_lapse(ana, bruno, ines):
    asked = request(ana)
    denied, _ = offered(asked, ines, at(10, 10))
    assert denied.answer_by is not None
    deadlines.run(now=denied.answer_by)
    assert state(asked) is State.DENIED
    assert story(asked)[-1] == ("lapse", "system")
    assert owed(asked) == {Kind.OFFER_LAPSED, Kind.STAFF_OFFER_DECLINED}
    request(bruno, at(10, 10), now=denied.answer_by)


def test_one_of_several_offers_can_lapse_alone(ana, bruno, ines):
    asked = request(ana)
    _, (first, second) = offered(asked, ines, at(3, 9), at(10, 10))
    assert deadlines.run(now=first.held_until) == 2  # The reminder, and the slot.
    assert state(asked) is State.OFFERED
    assert offers() == [
        OfferState.FREED,
        OfferState.HELD,
    ]
    booked(bruno, ines, at(3, 9), now=first.held_until)
    with refused(NotFree, Rule.AGENDA_HELD):
        booked(bruno, ines, at(10, 10), now=first.held_until)
    take_offer(asked.id, second.id, account=ana, now=first.held_until)


def test_each_reminder_is_owed_once(ana, bruno, ines):
    asked = request(ana, at(12, 10))
    offered(request(bruno, at(11, 10)), ines, at(9, 10))
    for hours in (24, 24.5, 36, 37):
        deadlines.run(now=NOW + timedelta(hours=hours))
    accepted(asked, ines, now=NOW + timedelta(hours=38))
    for _ in range(2):
        deadlines.run(now=at(11, 10))
    kinds = [row.kind for row in OutboxMessage.select() if Kind(row.kind) in invariants.REMINDERS]
    assert sorted(kinds) == sorted(invariants.REMINDERS)


def test_time_does_nothing_to_what_people_did_first(ana, ines):
    asked = request(ana)
    accepted(asked, ines)
    assert deadlines.run(now=at(3, 9, 59)) == 0
    assert state(asked) is State.CONFIRMED


def test_a_room_that_needs_more_time_between_sessions_keeps_no_request_from_ending(
    ana, bruno, ines
):
    """A longer turnover is for what is booked from now on, not for two neighbours that stand."""
    set_up_anew(Room, active=False)
    Room.update(active=True).where(Room.key == "c1").execute()
    first = accepted(request(ana, at(3, 9), clinician="oscar"), gateway.SYSTEM)
    accepted(request(bruno, at(3, 10)), ines)
    asked = moved(ana, first, at(8, 9), clinician="oscar")
    set_up_anew(Room, turnover_minutes=30)
    cancel(asked.id, account=ana, now=SOON)
    assert (state(first), state(asked)) == (State.CONFIRMED, State.CANCELLED_BY_CLIENT)
    with refused(NotFree, Rule.ROOM):
        request(bruno, at(3, 11), clinician="oscar")
    request(bruno, at(3, 11, 30), clinician="oscar")
    set_up_anew(Room, turnover_minutes=0)  # The two neighbours are none by the new rule.


# What is told, when things change faster than mail leaves.


def test_what_is_no_longer_true_is_not_told(ana, ines, settings):
    mailer = MemoryMailer()
    asked = request(ana)
    outbox.drain(SettableClock(NOW), mailer, settings)
    mailer.sent.clear()
    accepted(asked, ines)
    cancel_for_client(asked.id, version=2, actor=ines, now=SOON)
    for now in (SOON, NOW + UNDO):
        outbox.drain(SettableClock(now), mailer, settings)
    assert [mail["Subject"] for mail in mailer.sent] == ["Su cita fue cancelada"]
    late = OutboxMessage.get(OutboxMessage.kind == Kind.REQUEST_ACCEPTED)
    assert late.state == Delivery.DEAD
    assert late.error


def test_offers_taken_at_once_are_told_as_taken_only(ana, ines, settings):
    mailer = MemoryMailer()
    asked = request(ana)
    outbox.drain(SettableClock(NOW), mailer, settings)
    mailer.sent.clear()
    _, (offer,) = offered(asked, ines, at(10, 10))
    take_offer(asked.id, offer.id, account=ana, now=SOON)
    outbox.drain(SettableClock(NOW + UNDO), mailer, settings)
    told = [mail["Subject"] for mail in mailer.sent if mail["To"] == ana.email]
    assert told == ["Su cita está confirmada"]


# Neighbours, ways, clocks.


def test_minutes_after_one_session_and_before_the_next_add_up(ana, bruno, ines):
    booked(ana, ines, at(4, 10))
    for start in (at(4, 11, 4), at(4, 8, 56)):
        with refused(NotFree):
            booked(bruno, ines, start)
    booked(bruno, ines, at(4, 11, 5))


def test_minutes_before_and_after_may_lie_outside_hours(ana, bruno, ines):
    booked(ana, ines, at(4, 9))
    booked(bruno, ines, at(4, 13, 10))
    assert taken(Resource.CLINICIAN, clinician())[0][0] == at(4, 8, 55)
    assert taken(Resource.CLINICIAN, clinician())[1][1] == at(4, 14, 10)


def test_the_way_between_two_offices_takes_its_time(ana, bruno, ines):
    reload(("minutos = 45", "minutos = 180"))
    booked(ana, ines, at(4, 13))
    with refused(NotFree, Rule.AGENDA_CONFIRMED):
        booked(bruno, ines, at(4, 17, 4), location="norte")
    booked(bruno, ines, at(4, 17, 5), location="norte")
    with refused(NotFree, Rule.AGENDA_CONFIRMED):
        booked(bruno, ines, at(4, 13), clinician="ines")


def hours(zone: str, day: str, opens: str, closes: str) -> ZoneInfo:
    """The practice in another zone, where Óscar works on one day only."""
    reload(
        ("America/Mexico_City", zone),
        ('dias = ["lunes", "miércoles"]', f'dias = ["{day}"]'),
        ('abre = "09:00"\ncierra = "13:00"', f'abre = "{opens}"\ncierra = "{closes}"'),
    )
    return ZoneInfo(zone)


def local_starts(day: date, zone: ZoneInfo, *, now: datetime) -> list[str]:
    """The free times of one of Óscar's days, by the wall clock."""
    days, _ = free_days(wish(clinician="oscar"), since=day, zone=zone, now=now, most_days=1)
    assert [d for d, _ in days] == [day]
    return [start.astimezone(zone).strftime("%H:%M") for start in days[0][1]]


def quarters(first: str, last: str) -> list[str]:
    names = [f"{n // 60:02}:{n % 60:02}" for n in range(0, 24 * 60, 15)]
    return names[names.index(first) : names.index(last) + 1]


@pytest.mark.parametrize(
    ("zone", "day", "opens", "closes", "starts"),
    [
        (
            "Europe/Madrid", date(2027, 3, 28), "00:30", "05:00",
            [*quarters("00:30", "01:45"), *quarters("03:00", "04:00")],
        ),
        (
            "Europe/Madrid", date(2027, 10, 31), "01:30", "04:00",
            quarters("01:30", "03:00"),  # Of the repeated hour only the first.
        ),
        (
            "America/Santiago", date(2027, 4, 3), "22:00", "24:00",
            quarters("22:00", "23:45"),
        ),
        (
            "America/Santiago", date(2027, 9, 5), "00:00", "03:00",
            quarters("01:00", "02:00"),
        ),
    ],
    ids=["madrid-shorter", "madrid-longer", "santiago-longer", "santiago-shorter"],
)  # fmt: skip
def test_a_day_on_which_clocks_change_has_the_hours_it_has(
    ana, oscar, zone, day, opens, closes, starts
):
    weekday = practice_file.WEEKDAYS[day.weekday()]
    where = hours(zone, weekday, opens, closes)
    now = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=5)
    assert local_starts(day, where, now=now) == starts
    days, _ = free_days(wish(clinician="oscar"), since=day, zone=where, now=now, most_days=1)
    last = days[0][1][-1]
    row = booked(ana, oscar, last, now=now, clinician="oscar")
    assert row.ends_at - row.starts_at == timedelta(minutes=50)


def test_a_session_may_pass_midnight(ana, bruno, oscar):
    zone = hours("America/Santiago", "miércoles", "21:00", "26:00")
    late = datetime(2027, 3, 3, 23, 30, tzinfo=zone).astimezone(UTC)
    listed = local_starts(date(2027, 3, 3), zone, now=NOW)
    assert listed[-1] == "23:45"
    row = request(ana, late, clinician="oscar")
    accepted(row, oscar)
    busy = taken(Resource.CLINICIAN, clinician("oscar"))
    assert busy == [(after(late, -5), after(late, 60))]
    with refused(NotFree, Rule.AGENDA_CONFIRMED):
        booked(bruno, oscar, after(late, 64), clinician="oscar")
    booked(bruno, oscar, after(late, 65), clinician="oscar")


def test_sessions_a_day_are_counted_by_the_day_on_which_they_begin(ana, bruno, oscar):
    zone = hours("America/Santiago", "miércoles", "21:00", "26:00")
    reload(
        ("America/Mexico_City", "America/Santiago"),
        ('dias = ["lunes", "miércoles"]', 'dias = ["miércoles"]'),
        ('abre = "09:00"\ncierra = "13:00"', 'abre = "21:00"\ncierra = "26:00"'),
        ('servicios = ["individual"]', 'servicios = ["individual"]\nmax_sesiones_dia = 1'),
    )
    late = datetime(2027, 3, 3, 22, 0, tzinfo=zone).astimezone(UTC)
    booked(ana, oscar, late, clinician="oscar")
    with refused(NotFree, Rule.MAX_DAY):
        booked(bruno, oscar, after(late, 90), clinician="oscar")
    booked(bruno, oscar, after(late, 120), clinician="oscar")


# Once is enough.


@dataclass(frozen=True, slots=True)
class World:
    """Who takes part when a verb is tried."""

    ana: Account
    ines: Actor

    def session(self) -> Appointment:
        return accepted(request(self.ana), self.ines)


Call = Callable[[Key | None], Any]


def ready_to_ask(w: World) -> Call:
    client = own_client(w.ana)
    return lambda key: ask(
        wish(client=client), THURSDAY_AT_TEN, client=client, account=w.ana, now=NOW, key=key
    )


def ready_to_accept(w: World) -> Call:
    asked = request(w.ana)
    return lambda key: accept(asked.id, version=1, actor=w.ines, now=NOW, key=key)


def ready_to_deny(w: World) -> Call:
    asked = request(w.ana)
    return lambda key: deny(asked.id, version=1, actor=w.ines, now=NOW, key=key)


def ready_to_offer(w: World) -> Call:
    asked = request(w.ana)
    slots = offers_for(asked, at(10, 10))
    return lambda key: deny(
        asked.id, version=1, actor=w.ines, offers=slots, now=NOW, key=key
    )  # fmt: skip


def ready_to_undo(w: World) -> Call:
    row = w.session()
    return lambda key: undo(row.id, actor=w.ines, now=SOON, key=key)


def ready_to_take(w: World) -> Call:
    asked, (offer,) = offered(request(w.ana), w.ines, at(10, 10))
    return lambda key: take_offer(asked.id, offer.id, account=w.ana, now=SOON, key=key)


def ready_to_decline(w: World) -> Call:
    asked, _ = offered(request(w.ana), w.ines, at(10, 10))
    return lambda key: decline_offers(asked.id, account=w.ana, wish={}, now=SOON, key=key)


def ready_to_cancel(w: World) -> Call:
    row = w.session()
    return lambda key: cancel(row.id, account=w.ana, now=SOON, key=key)


def ready_to_cancel_for_client(w: World) -> Call:
    row = w.session()
    return lambda key: cancel_for_client(row.id, version=2, actor=w.ines, now=SOON, key=key)


def ready_to_close(w: World) -> Call:
    row = w.session()
    return lambda key: close(row.id, event=Event.MISS, actor=w.ines, now=at(4, 11), key=key)


def ready_to_book(w: World) -> Call:
    client = own_client(w.ana)
    return lambda key: book(
        wish(client=client), at(4, 10), client=client, actor=w.ines, now=NOW, key=key
    )


def ready_to_move(w: World) -> Call:
    client, row = own_client(w.ana), w.session()
    return lambda key: book(
        wish(client=client, chain=row.chain), at(5, 10), client=client, actor=w.ines, now=NOW,
        key=key, replaces=row.id,
    )  # fmt: skip


def ready_to_block(w: World) -> Call:
    return lambda key: block_time(
        clinician(), at(4, 10), at(4, 11), reason="", actor=w.ines, now=NOW, key=key
    )


def ready_to_unblock(w: World) -> Call:
    row = block(w.ines, at(4, 10), at(4, 11))
    return lambda key: unblock_time(row.id, actor=w.ines, now=NOW, key=key)


def ready_to_add_a_minor(w: World) -> Call:
    return lambda key: add_minor(
        w.ana, name="Luz", birth_date=date(2020, 1, 1), now=NOW, key=key
    )  # fmt: skip


def ready_to_add_a_partner(w: World) -> Call:
    return lambda key: add_partner(w.ana, name="Carlos", now=NOW, key=key)


def ready_to_add_a_client(w: World) -> Call:
    return lambda key: add_client(
        name="Rita", email="rita@example.com", phone="555", actor=w.ines, now=NOW, key=key
    )


VERBS = [
    ready_to_ask,
    ready_to_accept,
    ready_to_deny,
    ready_to_offer,
    ready_to_undo,
    ready_to_take,
    ready_to_decline,
    ready_to_cancel,
    ready_to_cancel_for_client,
    ready_to_close,
    ready_to_book,
    ready_to_move,
    ready_to_block,
    ready_to_unblock,
    ready_to_add_a_minor,
    ready_to_add_a_partner,
    ready_to_add_a_client,
]


@pytest.mark.parametrize("prepare", VERBS, ids=lambda prepare: prepare.__name__[9:])
def test_a_form_sent_twice_has_one_effect_and_one_answer(ana, ines, prepare):
    call = prepare(World(ana, ines))
    first = call(Key("one", "what it said"))
    done = everything()
    assert call(Key("one", "what it said")).id == first.id
    assert everything() == done
    with refused(KeyReused):
        call(Key("one", "something else"))


STATELESS = (ready_to_block, ready_to_unblock, *VERBS[-3:])  # Adding twice adds two.


@pytest.mark.parametrize(
    "prepare", [v for v in VERBS if v not in STATELESS], ids=lambda prepare: prepare.__name__[9:]
)
def test_a_verb_without_its_key_does_nothing_a_second_time(ana, ines, prepare):
    call = prepare(World(ana, ines))
    call(None)
    with refused(Exception):
        call(None)


def test_a_key_is_used_up_by_what_happened_and_not_by_a_refusal(ana, bruno, ines):
    asked = request(ana)
    row = block(ines, at(4, 10), at(4, 11))
    key = Key("one", "accept")
    with refused(NotFree):
        accept(asked.id, version=1, actor=ines, now=NOW, key=key)
    assert OneTimeKey.select().count() == 0
    unblock_time(row.id, actor=ines, now=NOW)
    assert accept(asked.id, version=1, actor=ines, now=NOW, key=key).status is State.CONFIRMED
    assert OneTimeKey.get().answer == asked.id


# People.


def test_a_child_and_a_couple_are_people_to_ask_for(ana):
    child = add_minor(ana, name="Luz", birth_date=date(2020, 1, 1), now=NOW)
    couple = add_partner(ana, name="Carlos", now=NOW)
    relations = {access.client_id: access.relation for access in ana.access_set}
    assert relations[child.id] == Relation.GUARDIAN
    assert relations[couple.id] == Relation.PARTNER
    assert couple.first_member_id == own_client(ana).id
    assert couple.known_since == own_client(ana).known_since


def test_the_system_may_change_any_row_and_clients_their_own(ana, bruno):
    asked = request(ana)
    with gateway.change(SYSTEM, now=NOW) as tx:
        assert tx.appointment(asked.id).id == asked.id
    with pytest.raises(NotYours), gateway.change(gateway.client(bruno), now=NOW) as tx:
        tx.appointment(asked.id)


def test_nobody_asks_for_somebody_elses_client(ana, bruno):
    with pytest.raises(NotYours):
        ask(wish(), at(4, 10), client=own_client(bruno), account=ana, now=NOW)


def test_the_people_who_have_to_be_free_are_the_clients_own(ana):
    client = own_client(ana)
    ask(wish(clinician="oscar"), at(8, 10), client=client, account=ana, now=NOW)
    with pytest.raises(NotFree) as refused:  # Although the wish does not say for whom it is.
        ask(wish(), at(8, 10), client=client, account=ana, now=NOW)
    assert refused.value.rules == (Rule.CLIENT,)
