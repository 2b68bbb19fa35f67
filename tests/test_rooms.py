"""Rooms are swapped in the transaction that needs it, and nobody but the staff hears of it."""

from datetime import date, timedelta

import pytest

from booking import availability, gateway
from booking.availability import NotFree, RoomSwap, Rule, Slot, plan
from booking.free_times import free_days
from booking.lifecycle import State
from booking.models import (
    Account,
    Appointment,
    Client,
    History,
    Modality,
    Occupancy,
    OfferedSlot,
    OutboxMessage,
    Resource,
    Room,
)
from booking.operations import accept, ask, book, cancel, deny, pin_room, take_offer
from tests.builders import NOW, at, request, wish
from tests.conftest import add_minor, make_account

HALF_PAST_NINE, TEN = at(10, 9, 30), at(10, 10)  # A Wednesday: both clinicians are at Centro.


pytestmark = pytest.mark.usefixtures("book_in_order")


@pytest.fixture
def child(ana) -> Client:
    return add_minor(ana, "Luz Ruiz")


@pytest.fixture
def ines(db) -> gateway.Actor:
    return gateway.staff(Account.get(Account.email == "ines@alameda.example"))


@pytest.fixture
def oscars(db) -> Appointment:
    """A session with Óscar in the only room with toys, since the plain one was taken at first."""
    bruno = make_account("Bruno Díaz Muñoz", "bruno@example.com")
    carla = make_account("Carla Soto Gil", "carla@example.com")
    first = request(carla, at(10, 9))
    asked = request(bruno, HALF_PAST_NINE, clinician="oscar")
    cancel(first.id, account=carla, now=NOW)
    assert room_of(asked) == "c2"
    return asked


def room_of(row: Appointment | OfferedSlot) -> str:
    found = type(row).get_by_id(row.id).room
    return "" if found is None else str(found.key)


def for_the_child(child: Client, **changes):
    """Needs the room with toys."""
    return wish(service="infantil", client=child, **changes)


def ask_for(child: Client, account: Account, starts_at=TEN, **changes) -> Appointment:
    return ask(for_the_child(child), starts_at, client=child, account=account, now=NOW, **changes)


def test_a_session_that_needs_no_toys_makes_room_for_a_child(oscars, child, ana):
    told = OutboxMessage.select().count()
    asked = ask_for(child, ana)
    assert (room_of(oscars), room_of(asked)) == ("c1", "c2")
    after = Appointment.get_by_id(oscars.id)
    assert (after.starts_at, after.version, after.status) == (
        HALF_PAST_NINE,
        oscars.version,
        State.REQUESTED,
    )
    assert OutboxMessage.select().count() == told + 2  # Ana's and Inés', as for any request.
    [born] = History.select().where(History.appointment == asked)
    rooms = {room.key: room.id for room in Room.select()}
    assert born.detail["rooms"] == [
        {
            "appointment": oscars.id,
            "starts_at": int(HALF_PAST_NINE.timestamp()),
            "from": rooms["c2"],
            "to": rooms["c1"],
        }
    ]


def test_the_list_shows_what_a_swap_opens_and_a_pinned_room_closes(oscars, child, ines):
    def listed() -> bool:
        days, _ = free_days(
            for_the_child(child),
            since=date(2027, 3, 10),
            zone=plan().zone(None),
            now=NOW,
            most_days=1,
        )
        return TEN in days[0][1]

    manager = gateway.staff(Account.get(Account.manager))
    assert listed()
    pin_room(oscars.id, pinned=True, actor=manager, now=NOW)
    assert not listed()
    pin_room(oscars.id, pinned=False, actor=manager, now=NOW)
    assert listed()


def test_a_pinned_room_is_kept(oscars, child, ana):
    manager = gateway.staff(Account.get(Account.manager))
    pin_room(oscars.id, pinned=True, actor=manager, now=NOW)
    with pytest.raises(NotFree) as refused:
        ask_for(child, ana)
    assert refused.value.rules == (Rule.ROOM,)
    assert room_of(oscars) == "c2"


def test_nobody_finds_another_door_on_the_way_to_a_session(oscars, child, ana):
    """Two hours before it begins, a session stays where it is."""
    late = HALF_PAST_NINE - timedelta(hours=2)
    accept(
        oscars.id,
        version=oscars.version,
        actor=gateway.staff(Account.get(Account.email == "oscar@alameda.example")),
        now=NOW,
    )
    manager = gateway.staff(Account.get(Account.manager))
    with pytest.raises(NotFree):
        book(for_the_child(child), TEN, client=child, actor=manager, now=late)
    booked = book(
        for_the_child(child), TEN, client=child, actor=manager, now=late - timedelta(seconds=1)
    )
    assert (room_of(oscars), room_of(booked)) == ("c1", "c2")


def test_two_sessions_change_places(oscars, child, ana, ines):
    """The database sees each room free before it is taken again, whatever the order."""
    first, second = Room.get(Room.key == "c1"), Room.get(Room.key == "c2")
    other = request(make_account("Dora", "dora@example.com"), HALF_PAST_NINE, clinician="ines")
    assert (room_of(oscars), room_of(other)) == ("c2", "c1")
    with gateway.change(gateway.SYSTEM, now=NOW) as tx:
        tx._swap(RoomSwap(oscars.id, None, first.id))
        tx._swap(RoomSwap(other.id, None, second.id))
    assert (room_of(oscars), room_of(other)) == ("c1", "c2")
    taken = Occupancy.select().where(Occupancy.resource == Resource.ROOM)
    assert {(row.chain, row.resource_id) for row in taken} == {
        (oscars.chain, first.id),
        (other.chain, second.id),
    }


def test_offers_are_held_with_the_swap_that_they_need(oscars, child, ana, ines):
    asked = ask_for(child, ana, at(11, 10))
    deny(asked.id, version=asked.version, actor=ines, offers=(slot(child, TEN),), now=NOW)
    [offer] = OfferedSlot.select()
    assert (room_of(oscars), room_of(offer)) == ("c1", "c2")
    take_offer(asked.id, offer.id, account=ana, now=NOW + timedelta(minutes=1))
    assert room_of(asked) == "c2"


def slot(child: Client, starts_at) -> Slot:
    return availability.slot(for_the_child(child), starts_at, now=NOW)


def test_a_held_slot_makes_room_like_any_session(oscars, child, ana, ines):
    """Óscar's client is offered another time, in the room with toys; then the child needs it."""
    staff = gateway.staff(Account.get(Account.email == "oscar@alameda.example"))
    toys = Room.get(Room.key == "c2")
    other = availability.slot(
        wish(clinician="oscar"), at(15 + 2, 10), now=NOW
    )  # Wednesday a week later.
    deny(oscars.id, version=oscars.version, actor=staff, offers=(other,), now=NOW)
    [offer] = OfferedSlot.select()
    OfferedSlot.update(room=toys).where(OfferedSlot.id == offer.id).execute()
    with gateway.change(gateway.SYSTEM, now=NOW) as tx:
        tx.touch(oscars)
    asked = ask_for(child, ana, at(17, 10))
    assert (room_of(offer), room_of(asked)) == ("c1", "c2")


def test_a_session_that_nothing_can_save_costs_no_swap(oscars, child, ana):
    """Dora's session in the other room leaves no way: nothing is written."""
    request(make_account("Dora", "dora@example.com"), at(10, 9), clinician="ines")
    with pytest.raises(NotFree):
        ask_for(child, ana, at(10, 9, 55))
    assert room_of(oscars) == "c2"


def test_the_solver_proposes_what_a_swap_opens(oscars, child):
    [swap] = slot(child, TEN).swaps
    assert swap == RoomSwap(oscars.id, None, Room.get(Room.key == "c1").id)
    assert Modality(slot(child, TEN).modality) is Modality.IN_PERSON
