"""People, staff and time do whatever they like in any order, and no invariant ever breaks."""

import random
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TypeVar

import pytest

from booking import availability, gateway, invariants, practice_file
from booking.availability import STAFF_MAY_WAIVE, NotFree, Slot, Wish
from booking.gateway import Actor, ChangedMeanwhile, NotYours
from booking.lifecycle import Event, IllegalTransition, State
from booking.models import (
    Access,
    Account,
    Appointment,
    BlockedTime,
    Client,
    History,
    Occupancy,
    OfferedSlot,
    OfferState,
    OneTimeKey,
    OutboxMessage,
    SignIn,
)
from booking.occupancy import SlotTaken
from booking.operations import (
    accept,
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
    displace,
    take_offer,
    unblock_time,
    undo,
)
from booking.operations.deciding import OffersOverlap, TooLateToUndo
from booking.operations.requesting import (
    AlreadyMoving,
    NotAllowed,
    NotForThisClient,
    OfferGone,
    TooManyPending,
)
from tests.builders import NOW, THURSDAY_AT_TEN, at, own_client, request, wish
from tests.conftest import PRACTICE, add_minor, make_account

STEPS = 40
SEEDS = [
    *range(12),
    *[pytest.param(seed, marks=pytest.mark.long) for seed in range(12, 200)],
]

# What an operation may answer instead of doing it; anything else is a defect.
REFUSALS = (
    AlreadyMoving,
    ChangedMeanwhile,
    IllegalTransition,
    NotAllowed,
    NotForThisClient,
    NotFree,
    NotYours,
    OfferGone,
    OffersOverlap,
    SlotTaken,
    TooLateToUndo,
    TooManyPending,
)

AHEAD = (1, 2, 2, 3, 3, 4)
SERVICE = {"adult": "individual", "minor": "infantil", "couple": "pareja"}


Row = TypeVar("Row")


class NothingToDo(Exception):
    """The step needs a row in some state, and there is none."""


def clinician_of(actor: Actor) -> int:
    assert actor.account is not None
    assert actor.account.clinician_id is not None
    return actor.account.clinician_id


class Life:
    """A practice, its people, a clock, and the steps that anybody may take at any time."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.now = NOW
        self.told: list[str] = []
        self.accounts = [make_account(f"P{n}", f"p{n}@example.com") for n in range(5)]
        self.accounts.append(make_account("Nora", "nora@example.com", known=False))
        self.couple = add_partner(self.accounts[0], name="Carlos", now=NOW)
        add_minor(self.accounts[1], "Luz")
        staff = Account.select().where(Account.clinician.is_null(False)).order_by(Account.id)
        self.staff = [gateway.staff(account) for account in staff]

    def walk(self, steps: int) -> None:
        done = 0
        while done < steps:
            step = self.dice.choice(STEPS_OF_LIFE)
            try:
                step(self)
                self.told.append(step.__name__)
            except NothingToDo:
                continue
            except REFUSALS as refused:
                self.told.append(f"{step.__name__}: {type(refused).__name__}")
            done += 1

    # Who, what and when, by the dice.

    def somebody(self) -> tuple[Account, Client]:
        account = self.dice.choice(self.accounts)
        access = list(Access.select().where(Access.account == account).order_by(Access.id))
        return account, self.dice.choice(access).client

    def start(self) -> datetime:
        """Few days and few hours, so that people get in each other's way all the time."""
        hour, minute = self.dice.choice((9, 10, 11, 12, 13, 16)), self.dice.choice((0, 15))
        return at(1, hour, minute) + timedelta(days=(self.now - NOW).days + self.dice.choice(AHEAD))

    def wish(self, client: Client, chain: int | None = None) -> Wish:
        service = SERVICE[client.kind]
        if client.known_since is None and self.dice.random() < 0.3:
            service = "primera-visita"
        alone = service == "individual"
        return wish(
            service=service,
            location=self.dice.choice(("centro", "centro", "centro", "norte", None))
            if alone
            else "centro",
            clinician=self.dice.choice(("ines", "ines", "oscar")) if alone else "ines",
            client=client,
            chain=chain,
        )

    def any_of(self, *states: State) -> Appointment:
        rows = Appointment.select().where(Appointment.state.in_(states)).order_by(Appointment.id)
        return self.one_of(rows)

    def any_offer(self) -> OfferedSlot:
        held = OfferedSlot.select().where(OfferedSlot.state == OfferState.HELD)
        return self.one_of(held)

    def one_of(self, rows: Iterable[Row]) -> Row:
        found = list(rows)
        if not found:
            raise NothingToDo
        return self.dice.choice(found)

    def clinician_of(self, appointment: Appointment) -> Actor:
        """Whose it is, or once in a while somebody else."""
        own = [a for a in self.staff if clinician_of(a) == appointment.clinician_id]
        return self.dice.choice(own * 9 + self.staff)

    def account_of(self, appointment: Appointment) -> Account:
        access = Access.select().where(Access.client == appointment.client_id)
        return self.dice.choice([row.account for row in access] * 9 + self.accounts)

    def slots_for(self, appointment: Appointment) -> tuple[Slot, ...]:
        search = availability.wish_of(appointment)
        found = []
        for _ in range(self.dice.randrange(4)):
            try:
                found.append(
                    availability.slot(search, self.start(), now=self.now, waived=STAFF_MAY_WAIVE)
                )
            except NotFree:
                continue
        return tuple(found)

    # What people and time do.

    def ask(self) -> None:
        account, client = self.somebody()
        ask(self.wish(client), self.start(), client=client, account=account, now=self.now)

    def ask_to_move(self) -> None:
        old = self.any_of(State.CONFIRMED)
        ask(
            self.wish(old.client, old.chain), self.start(), client=old.client,
            account=self.account_of(old), now=self.now, replaces=old.id,
        )  # fmt: skip

    def accept(self) -> None:
        row = self.any_of(State.REQUESTED)
        accept(row.id, version=row.version, actor=self.clinician_of(row), now=self.now)

    def deny(self) -> None:
        row = self.any_of(State.REQUESTED, State.REQUESTED, State.DENIED)
        deny(
            row.id, version=row.version, actor=self.clinician_of(row),
            offers=self.slots_for(row), now=self.now,
        )  # fmt: skip

    def displace(self) -> None:
        row = self.any_of(State.CONFIRMED, State.CONFIRMED, State.CANCELLED_BY_PRACTICE)
        displace(
            row.id, version=row.version, actor=self.clinician_of(row),
            offers=self.slots_for(row), now=self.now,
        )  # fmt: skip

    def take(self) -> None:
        offer = self.any_offer()
        account = self.account_of(offer.appointment)
        take_offer(offer.appointment_id, offer.id, account=account, now=self.now)

    def decline(self) -> None:
        row = self.any_of(State.OFFERED)
        decline_offers(row.id, account=self.account_of(row), wish={}, now=self.now)

    def cancel(self) -> None:
        row = self.any_of(State.REQUESTED, State.OFFERED, State.CONFIRMED)
        cancel(row.id, account=self.account_of(row), now=self.now)

    def undo(self) -> None:
        row = self.any_of(State.CONFIRMED, State.DENIED, State.OFFERED)
        undo(row.id, actor=self.clinician_of(row), now=self.now)

    def decide_and_undo(self) -> None:
        """Time for somebody else to come between a decision and its being taken back."""
        row = self.any_of(State.REQUESTED)
        actor = self.clinician_of(row)
        if self.dice.random() < 0.5:
            accept(row.id, version=row.version, actor=actor, now=self.now)
        else:
            deny(row.id, version=row.version, actor=actor, offers=self.slots_for(row), now=self.now)
        self.walk(2)
        undo(row.id, actor=actor, now=self.now)

    def book(self) -> None:
        _, client = self.somebody()
        actor = self.dice.choice(self.staff)
        book(self.wish(client), self.start(), client=client, actor=actor, now=self.now)

    def move(self) -> None:
        old = self.any_of(State.CONFIRMED)
        book(
            self.wish(old.client, old.chain), self.start(), client=old.client,
            actor=self.clinician_of(old), now=self.now, replaces=old.id,
        )  # fmt: skip

    def cancel_for_client(self) -> None:
        row = self.any_of(State.REQUESTED, State.OFFERED, State.CONFIRMED)
        cancel_for_client(
            row.id, version=row.version, actor=self.clinician_of(row), now=self.now
        )  # fmt: skip

    def close(self) -> None:
        row = self.any_of(State.CONFIRMED)
        if row.starts_at > self.now and self.dice.random() < 0.9:
            raise NothingToDo
        event = self.dice.choice((Event.ATTEND, Event.MISS))
        close(row.id, event=event, actor=self.clinician_of(row), now=self.now)

    def block(self) -> None:
        actor, start = self.dice.choice(self.staff), self.start()
        block_time(
            clinician_of(actor), start, start + timedelta(hours=1), reason="",
            actor=actor, now=self.now,
        )  # fmt: skip

    def unblock(self) -> None:
        row = self.one_of(BlockedTime.select())
        unblock_time(row.id, actor=self.dice.choice(self.staff), now=self.now)

    def let_time_pass(self) -> None:
        self.sleep(
            self.dice.choice(
                (
                    timedelta(seconds=20),
                    timedelta(minutes=5),
                    timedelta(hours=5),
                    timedelta(hours=17),
                )
            )
        )

    def sleep(self, step: timedelta) -> None:
        self.now += step
        deadlines.run(now=self.now)


# The first ones lead to states in which the others have something to do.
STEPS_OF_LIFE: tuple[Callable[[Life], None], ...] = (
    *[Life.ask] * 6,
    *[Life.accept] * 3,
    *[Life.ask_to_move] * 3,
    *[Life.deny] * 3,
    *[Life.take] * 2,
    *[Life.decide_and_undo] * 2,
    *[Life.displace] * 2,
    *[Life.let_time_pass] * 2,
    Life.block,
    Life.book,
    Life.cancel,
    Life.cancel_for_client,
    *[Life.close] * 2,
    Life.decline,
    Life.move,
    Life.unblock,
    Life.undo,
)


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_no_invariant_breaks(db, seed):
    life = Life(seed)
    life.walk(STEPS)
    assert invariants.violations() == {}, life.told
    life.sleep(timedelta(days=3))
    assert invariants.violations() == {}, life.told
    pending = Appointment.select().where(
        Appointment.state.in_([State.REQUESTED, State.OFFERED])
    )  # fmt: skip
    assert pending.count() == 0, life.told


WITHOUT_A_VERB = {Event.DISPLACE, Event.LATE_CANCEL}  # The lifecycle knows them already.


@pytest.mark.long
def test_the_walks_reach_everything_that_can_happen(db):
    """A walk that is refused all the time proves nothing."""
    life = Life(3)
    missing = set(Event)
    for _ in range(30):
        life.walk(STEPS)
        life.sleep(timedelta(days=2))
        missing -= {Event(row.event) for row in History.select()}
        if missing == WITHOUT_A_VERB:
            break
    assert missing == WITHOUT_A_VERB
    assert sum(":" not in step for step in life.told) > len(life.told) / 3


# An invariant that cannot be broken is none: each is broken once on purpose.


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


def test_a_book_in_order_has_no_violations(session, other):
    assert own_client(Account.get(Account.email == "bruno@example.com")).id == other.client_id
    assert broken() == set()
