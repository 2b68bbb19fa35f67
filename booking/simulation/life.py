"""Everybody does whatever they like, in any order; the book and the model are told the same.

Every step rolls a dice: a seeded one in the simulator, hypothesis's own in the state machine.
Forms are sent again, with their one-time keys, after a reply was lost or the server has died.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from email.message import EmailMessage
from random import Random
from typing import Any, TypeVar

import solver
from booking import (
    alternatives,
    availability,
    gateway,
    history,
    invariants,
    outbox,
    planner,
    practice_file,
)
from booking.availability import STAFF_MAY_WAIVE, NotFree, Slot, Wish
from booking.clock import SettableClock
from booking.db import tuples
from booking.gateway import Actor, ChangedMeanwhile, Key, NotYours
from booking.lifecycle import Event, IllegalTransition
from booking.mailer import RefusedForGood
from booking.models import (
    Access,
    Account,
    Appointment,
    BlockedTime,
    Client,
    Delivery,
    History,
    Modality,
    OfferedSlot,
    OfferState,
    OutboxMessage,
    Relation,
    Replan,
    ReplanRow,
)
from booking.occupancy import SlotTaken
from booking.operations import (
    accept,
    add_minor,
    add_partner,
    approve,
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
    erasing,
    pin_room,
    report_absence,
    take_offer,
    take_offer_for_client,
    unblock_time,
    undo,
)
from booking.operations.deciding import OffersOverlap, TooLateToUndo
from booking.operations.erasing import StillOpen
from booking.operations.replanning import (
    AlreadyPlanned,
    AlreadyReported,
    Missing,
    TooManySessions,
)
from booking.operations.requesting import (
    AlreadyMoving,
    NotAllowed,
    NotForThisClient,
    OfferGone,
    TooManyPending,
)
from booking.queries import person
from booking.replanning import Allowed, options_of
from booking.settings import Settings
from booking.simulation.crashes import Crashed, statements
from booking.simulation.model import DONE, OPEN, Answers, Model, session_of
from booking.simulation.rules import Blocked, Place, Session, Setup, Visit, Who, minutes

# What an operation may answer instead of doing it; anything else is a defect.
REFUSALS = (
    AlreadyMoving,
    AlreadyPlanned,
    AlreadyReported,
    ChangedMeanwhile,
    IllegalTransition,
    NotAllowed,
    NotForThisClient,
    NotFree,
    NotYours,
    OfferGone,
    OffersOverlap,
    SlotTaken,
    StillOpen,
    TooLateToUndo,
    TooManyPending,
    TooManySessions,
)
CRASHES = 0.1  # How often the server dies in the middle of an operation,
MOST_STATEMENTS = 45  # at one of so many statements,
LOST_REPLIES = 0.1  # and how often only the answer is lost, or a button is tapped twice.
NAMES = ("Alba", "Berta", "Ciro", "Delia", "Elías", "Flor", "Gael", "Hilda", "Iván", "Julia")
BY_RELATION = (Relation.SELF.value, Relation.GUARDIAN.value, Relation.PARTNER.value)

Row = TypeVar("Row")


class Disagreement(Exception):
    """The book does not say what the model says, or breaks an invariant."""


class NothingToDo(Exception):
    """The step needs somebody or something in some state, and there is none."""


class Post:
    """A mail server with bad days: it refuses, hangs up, or hangs up once it has the mail."""

    def __init__(self) -> None:
        self.dice = Random(0)  # noqa: S311 - nothing here is secret.
        self.down = False
        self.taken: Counter[str] = Counter()

    def send(self, message: EmailMessage) -> None:
        luck = self.dice.random()
        if self.down or luck < 0.1:
            raise OSError("no answer")
        if luck < 0.13:
            raise RefusedForGood("no such mailbox")
        self.taken[str(message["Message-ID"]).strip("<>").partition("@")[0]] += 1
        if luck < 0.18:
            raise OSError("the line broke before the answer")


class Life:
    """A practice, its people, a clock, and the steps that anybody may take at any time."""

    def __init__(
        self, dice: Random, settings: Settings, *, now: datetime, days_ahead: tuple[int, ...]
    ) -> None:
        self.dice, self.settings, self.now = dice, settings, now
        self.days_ahead = days_ahead
        self.post = Post()
        self.told: list[str] = []
        self.counted: Counter[str] = Counter()
        self.model = Model(Setup.read())
        self.erased: set[int] = set()  # Clients of whom nothing more is heard.
        self.excused: set[int] = set()  # Sessions that changed hours left outside them.
        self._keys = 0
        self.accounts: list[Account] = []
        self.clients: list[Client] = []
        staff = Account.select().where(Account.clinician.is_null(False) | Account.manager)
        self.staff = list(staff.order_by(Account.id))

    # Who there is.

    def populate(self, people: int) -> None:
        """Accounts; some look after a child, some come as a couple, some are new."""
        for number in range(people):
            self.new_account(f"{NAMES[number % len(NAMES)]} {number}", known=number % 4 != 3)
        for account in self.accounts[::3]:
            self._meet(add_partner(account, name="Quien viene también", now=self.now), account)
        for account in self.accounts[1::3]:
            child = add_minor(account, name="Luz", birth_date=date(2018, 1, 2), now=self.now)
            self._meet(child, account)

    def new_account(self, name: str, *, known: bool) -> None:
        email = f"p{len(self.model.people)}@example.com"
        account = Account.create(
            email=email, name=name, created_at=self.now, consented_at=self.now
        )  # fmt: skip
        client = Client.create(
            name=name, email=email, created_at=self.now, known_since=self.now if known else None
        )
        Access.create(account=account, client=client, relation=Relation.SELF.value)
        self.accounts.append(account)
        self._meet(client, account)

    def _meet(self, client: Client, account: Account) -> None:
        self.clients.append(client)
        self.model.meet(client, [account.id])

    # One step at a time.

    def step(self, step: Callable[["Life"], None]) -> None:
        """Take it, then see that the book and the model agree."""
        step(self)
        self.compare()

    def do(
        self, name: str, answers: Answers, operation: Callable[[Key | None], Row], why: Any = None
    ) -> Row | None:
        """Ask the book for something, over a bad line; what it did, or None when it refused.

        Raises:
            Disagreement: the answer is none of `answers`.
        """
        key = self._key()
        if self.dice.random() < CRASHES:
            self._crash(lambda: operation(key))
        row, answer = self._answer(operation, key)
        if self.dice.random() < LOST_REPLIES:
            self.counted["respuestas perdidas"] += 1
            again, same = self._answer(operation, key)
            if same != answer or getattr(again, "id", None) != getattr(row, "id", None):
                raise Disagreement(f"{name}: {answer}, and once more: {same}")
        self.told.append(f"{self.now:%m-%d %H:%M:%S} {name}: {answer}")
        self.counted[f"{name}: {answer}"] += 1
        if answer not in answers:
            raise Disagreement(f"{name}: {answer} instead of {sorted(answers)} {why or ''}")
        return row

    def _key(self) -> Key:
        self._keys += 1
        return Key(f"life-{self._keys}", "the same form")

    def _answer(
        self, operation: Callable[[Key | None], Row], key: Key
    ) -> tuple[Row | None, str]:  # fmt: skip
        try:
            return operation(key), DONE
        except REFUSALS as refused:
            return None, type(refused).__name__

    def _crash(self, work: Callable[[], object]) -> bool:
        """Begin something and die at it, perhaps; whether it came to that."""
        try:
            with statements(most=self.dice.randrange(MOST_STATEMENTS)):
                work()
        except Crashed:
            self.counted["caídas"] += 1
            self.told.append("  (crash)")
            return True
        except REFUSALS:
            pass
        return False

    # Who, what and when, by the dice.

    def one_of(self, rows: Iterable[Row]) -> Row:
        found = list(rows)
        if not found:
            raise NothingToDo
        return self.dice.choice(found)

    def client_of(self, account: Account) -> Client:
        """As the row is now: whoever was new yesterday may be known by now."""
        own = (c.id for c in self.clients if (account.id, c.id) in self.model.access)
        return Client.get_by_id(self.one_of(own))

    def start(self, wish: Wish) -> datetime:
        """Mostly within hours, often beside somebody else, so that it matters what touches what."""
        beside = [
            s
            for v in list(self.model.visits.values())[-40:]
            for s in v.taken
            if s.clinician in wish.clinician_ids
        ]
        if not beside or self.dice.random() < 0.6:
            return self._start_in_hours(wish)
        other, service = self.dice.choice(beside), self.model.setup.services[wish.service_id]
        gap = minutes(self.dice.choice((0, 0, 5, 10, 15, 15, 30, 45, 60)))
        if self.dice.random() < 0.5:
            return other.ends_at + gap
        return other.starts_at - gap - self.dice.choice((0, 1)) * minutes(service.minutes)

    def _start_in_hours(self, wish: Wish) -> datetime:
        zone = self.model.setup.zone(wish.location_id)
        day = self.now.astimezone(zone).date() + timedelta(days=self.dice.choice(self.days_ahead))
        seats = {wish.location_id} if wish.location_id else {
            row.location_id for row in self.model.setup.hours if row.video
        }  # fmt: skip
        stretches = [
            stretch
            for clinician in wish.clinician_ids
            for seat in sorted(seats, key=str)
            for stretch in self.model.setup.open_stretches(clinician, seat, wish.modality, day)
        ]
        step = minutes(self.model.setup.practice.grid_minutes)
        if not stretches:
            return self.model.setup.wall(day, 60 * self.dice.randrange(8, 20), wish.location_id)
        opens, closes = self.dice.choice(stretches)
        start: datetime = opens + self.dice.randrange(-1, max(1, (closes - opens) // step)) * step
        return start + minutes(5) if self.dice.random() < 0.05 else start

    def wish(self, client: Client, visit: Visit | None = None) -> Wish:
        setup = self.model.setup
        fitting = [s for s in setup.services.values() if self.model.suits(s, client.id)]
        service = (
            setup.services[visit.service]
            if visit
            else self.one_of(fitting if self.dice.random() < 0.95 else setup.services.values())
        )
        ways = sorted(
            {
                (row.clinician_id, row.location_id, True)
                for row in setup.hours
                if row.in_person and row.location_id and service.in_person
            }
            | {(row.clinician_id, 0, False) for row in setup.hours if row.video and service.video}
        )
        clinician, location, in_person = self.one_of(
            way for way in ways if (way[0], service.id) in setup.offers
        )
        alike = {c for c, *where in ways if where == [location, in_person]}
        able = sorted(c for c in alike if (c, service.id) in setup.offers)
        return Wish(
            service_id=service.id,
            modality=Modality.IN_PERSON if in_person else Modality.VIDEO,
            location_id=location or None,
            clinician_ids=tuple(able) if self.dice.random() < 0.2 else (clinician,),
            person_ids=client.person_ids,
            chain=visit.chain if visit else None,
        )

    def visit_in(self, *states: str) -> Visit:
        """A recent one: what is long over has no story left."""
        visits = [v for v in self.model.visits.values() if v.client not in self.erased]
        found = [v for v in visits if v.state in states]
        return self.one_of(found[-30:])

    def staff_for(self, visit: Visit) -> tuple[Actor, Who]:
        """Whose it is, or once in a while somebody else."""
        own = [a for a in self.staff if a.clinician_id == visit.session.clinician]
        return self._as_staff(self.dice.choice(self._or_else(own, self.staff)))

    def somebody_of_staff(self) -> tuple[Actor, Who]:
        return self._as_staff(self.one_of(self.staff))

    def _as_staff(self, account: Account) -> tuple[Actor, Who]:
        clinician = None if account.manager else account.clinician_id
        return gateway.staff(account), Who(staff=True, clinician=clinician)

    def account_for(self, visit: Visit) -> Account:
        own = [a for a in self.accounts if (a.id, visit.client) in self.model.access]
        return self.dice.choice(self._or_else(own, self.accounts))

    def _or_else(self, own: list[Account], everybody: list[Account]) -> list[Account]:
        return own if own and self.dice.random() < 0.93 else everybody

    def version_of(self, visit: Visit) -> int:
        """What somebody has on their screen: as it is, or once in a while as it was."""
        return visit.version - (visit.version > 1 and self.dice.random() < 0.05)

    def slots_for(self, visit: Visit) -> tuple[Slot, ...]:
        """What a clinician ticks: times that they looked for, or what the solver proposes."""
        if visit.state == "requested" and self.dice.random() < 0.3:
            return self._proposed(visit)
        wish = self.model.wish_of(visit, visit.session)
        search = Wish(
            service_id=wish.service_id,
            modality=Modality(wish.modality),
            location_id=wish.location_id,
            clinician_ids=wish.clinician_ids,
            person_ids=wish.person_ids,
            chain=wish.chain,
        )
        found = []
        for _ in range(self.dice.randrange(4)):
            start = self.start(search)
            free = self.model.free_at(search, start, now=self.now, staff=True)
            try:
                found.append(availability.slot(search, start, now=self.now, waived=STAFF_MAY_WAIVE))
            except NotFree:
                self.agree(not free, f"{start} is free, says the model")
            else:
                self.agree(bool(free), f"{start} is not free, says the model")
        return tuple(found)

    def _proposed(self, visit: Visit) -> tuple[Slot, ...]:
        """I12: what the solver proposes is free."""
        row = Appointment.get_by_id(visit.id)
        problem = alternatives.problem_for(
            availability.plan(), row, alternatives.Search(), now=self.now
        )
        slots = [alternatives.slot_from(found) for found in solver.greedy(problem).proposals]
        for slot in slots:
            wish = self.model.wish_of(visit, session_of(slot))
            free = self.model.free_at(wish, slot.starts_at, now=self.now, staff=True)
            self.agree(bool(free), f"the solver proposes {slot}, which is not free")
        return tuple(slots[: self.dice.randrange(1, 4)])

    # What clients do.

    def ask(self) -> None:
        account = self.dice.choice(self.accounts)
        client = self.client_of(account if self.dice.random() < 0.98 else self.accounts[0])
        self._ask(self.wish(client), client, account, None)

    def ask_to_move(self) -> None:
        old = self.visit_in("confirmed", "confirmed", "requested")
        client = Client.get_by_id(old.client)
        self._ask(self.wish(client, old), client, self.account_for(old), old)

    def _ask(self, wish: Wish, client: Client, account: Account, old: Visit | None) -> None:
        start = self.start(wish)
        told: dict[str, Any] = {"client": client.id, "account": account.id, "now": self.now}
        row = self.do(
            "pedir" if old is None else "pedir otra hora",
            self.model.ask_answers(wish, start, old=old, **told),
            lambda key: ask(
                wish, start, client=client, account=account, now=self.now, key=key,
                replaces=old.id if old else None,
            ),
            why=(start, self.model.why_not(wish, start, now=self.now, staff=False)),
        )  # fmt: skip
        if row is not None:
            places = self.model.free_at(wish, start, now=self.now, staff=False)
            self.model.asked(self._born(row, wish, places, start), now=self.now)

    def _born(self, row: Appointment, wish: Wish, places: set[Place], start: datetime) -> Visit:
        service = self.model.setup.services[wish.service_id]
        return Visit(
            id=row.id,
            chain=row.id if wish.chain is None else wish.chain,
            replaces=row.replaces_id,
            account=row.account_id,
            client=row.client_id,
            service=service.id,
            session=self._session(row, wish, places, start),
            before=minutes(service.buffer_before),
            after=minutes(service.buffer_after),
            state=row.state,
            asked_at=self.now,
        )

    def _session(self, row: Any, wish: Any, places: set[Place], start: datetime) -> Session:
        """What the book chose, if that is one of the things that it could choose."""
        session = session_of(row)
        service = self.model.setup.services[wish.service_id]
        in_person = wish.modality == "in_person"
        suited = self.model.setup.suited_rooms(service.id, wish.location_id)
        self.agree(
            (session.clinician, session.seat) in places
            and (session.starts_at, session.ends_at) == (start, start + minutes(service.minutes))
            and (session.modality, session.location) == (wish.modality, wish.location_id)
            and (session.room in suited if in_person else session.room is None),
            f"{session} is not what was asked for",
        )
        return session

    def take(self) -> None:
        visit = self.visit_in("offered", "confirmed")
        rows = OfferedSlot.select().where(OfferedSlot.appointment == visit.id)
        offer = self.one_of(rows.order_by(OfferedSlot.id))
        staff = self.dice.random() < 0.2
        account = self.account_for(visit)
        actor, who = self.staff_for(visit)
        if not staff:
            who = Who(staff=False, account=account.id)
        row = self.do(
            "elegir",
            self.model.take_answers(visit, offer.id, who, now=self.now),
            lambda key: (
                take_offer_for_client(visit.id, offer.id, actor=actor, now=self.now, key=key)
                if staff
                else take_offer(visit.id, offer.id, account=account, now=self.now, key=key)
            ),
        )
        if row is not None:
            session = visit.offers[offer.id]
            wish = self.model.wish_of(visit, session)
            places = self.model.free_at(wish, session.starts_at, now=self.now, staff=True)
            taken = self._session(row, wish, places, session.starts_at)
            self.model.taken(visit, taken, now=self.now)

    def decline(self) -> None:
        visit = self.visit_in("offered", "offered", "requested")
        account = self.account_for(visit)
        row = self.do(
            "ninguno me sirve",
            self.model.decline_answers(visit, Who(staff=False, account=account.id)),
            lambda key: decline_offers(visit.id, account=account, wish={}, now=self.now, key=key),
        )
        if row is not None:
            self.model.declined(visit, now=self.now)

    def cancel(self) -> None:
        visit = self.visit_in(*OPEN, "denied")
        account = self.account_for(visit)
        row = self.do(
            "cancelar",
            self.model.cancel_answers(visit, Who(staff=False, account=account.id), now=self.now),
            lambda key: cancel(visit.id, account=account, now=self.now, key=key),
        )
        if row is not None:
            self.model.cancelled(visit)

    def erase(self) -> None:
        """Somebody wants to be forgotten, and somebody new comes in their place."""
        account = self.account_for(self.visit_in(*OPEN, "denied", "expired", "cancelled_by_client"))
        who = person.by_email(account.email)
        assert who is not None
        theirs = {client for holder, client in self.model.access if holder == account.id}

        def forget(_key: Key | None) -> Account:
            erasing.erase(who, now=self.now)
            return account

        if self.do("borrar", self.model.erase_answers(theirs, now=self.now), forget) is None:
            return
        self.agree(not history.violations(), "the history is no longer the one that was written")
        self.erased |= theirs
        self.accounts.remove(account)
        self.clients = [client for client in self.clients if client.id not in theirs]
        self.new_account("Alguien nuevo", known=False)

    # What staff do.

    def accept(self) -> None:
        self._accept(self.visit_in("requested", "requested", "requested", "expired"))

    def _accept(self, visit: Visit) -> bool:
        (actor, who), version = self.staff_for(visit), self.version_of(visit)
        wish = self.model.wish_of(visit, visit.session)
        start = visit.session.starts_at
        row = self.do(
            "aceptar",
            self.model.accept_answers(visit, version, who, now=self.now),
            lambda key: accept(visit.id, version=version, actor=actor, now=self.now, key=key),
            why=self.model.why_not(wish, start, now=self.now, staff=True),
        )
        if row is not None:
            places = self.model.free_at(wish, start, now=self.now, staff=True)
            session = self._session(row, wish, places, start)
            self.model.accepted(visit, session, now=self.now)
        return row is not None

    def deny(self) -> None:
        self._deny(self.visit_in("requested", "requested", "denied"))

    def _deny(self, visit: Visit) -> bool:
        slots, version = self.slots_for(visit), self.version_of(visit)
        actor, who = self.staff_for(visit)
        row = self.do(
            "ofrecer" if slots else "denegar",
            self.model.deny_answers(visit, version, who, slots, now=self.now),
            lambda key: deny(
                visit.id, version=version, actor=actor, offers=slots, now=self.now, key=key
            ),
        )
        if row is not None:
            self.model.denied(visit, self._held(visit, slots), now=self.now)
        return row is not None

    def _held(self, visit: Visit, slots: Iterable[Slot]) -> dict[int, Session]:
        """The rows of what is held now: each of the slots, once."""
        rows = OfferedSlot.select().where(
            OfferedSlot.appointment == visit.id, OfferedSlot.state == OfferState.HELD
        )
        held = {row.id: session_of(row) for row in rows.order_by(OfferedSlot.id)}
        asked = sorted((s.starts_at, s.clinician_id) for s in slots)
        self.agree(
            sorted((s.starts_at, s.clinician) for s in held.values()) == asked,
            f"{held} is held instead of {asked}",
        )
        return held

    def decide_and_undo(self) -> None:
        """Time for somebody else to come between a decision and its being taken back."""
        visit = self.visit_in("requested")
        if not (self._accept if self.dice.random() < 0.5 else self._deny)(visit):
            return
        self.compare()
        for _ in range(self.dice.randrange(3)):
            with unless_idle():
                self.step(self.dice.choice((Life.ask, Life.cancel, Life.book, Life.ask_to_move)))
        self._undo(visit)

    def undo(self) -> None:
        self._undo(self.visit_in("confirmed", "denied", "offered"))

    def _undo(self, visit: Visit) -> None:
        actor, who = self.staff_for(visit)
        row = self.do(
            "deshacer",
            self.model.undo_answers(visit, who, now=self.now),
            lambda key: undo(visit.id, actor=actor, now=self.now, key=key),
        )
        if row is not None:
            self.model.undone(visit, now=self.now)

    def displace(self) -> None:
        visit = self.visit_in("confirmed", "confirmed", "cancelled_by_practice", "offered")
        slots, version = self.slots_for(visit), self.version_of(visit)
        actor, who = self.staff_for(visit)
        row = self.do(
            "desplazar",
            self.model.displace_answers(visit, version, who, slots, now=self.now),
            lambda key: displace(
                visit.id, version=version, actor=actor, offers=slots, now=self.now, key=key
            ),
        )
        if row is not None:
            self.model.displaced(visit, self._held(visit, slots), now=self.now)

    def book(self) -> None:
        self._book(Client.get_by_id(self.dice.choice(self.clients).id), None)

    def move(self) -> None:
        old = self.visit_in("confirmed", "confirmed", "requested")
        self._book(Client.get_by_id(old.client), old)

    def _book(self, client: Client, old: Visit | None) -> None:
        wish = self.wish(client, old)
        start = self.start(wish)
        actor, who = self.somebody_of_staff() if old is None else self.staff_for(old)
        if old is None and not who.manager and self.dice.random() < 0.7:
            wish = self._own(wish, who)
        places = self.model.free_at(wish, start, now=self.now, staff=True)
        answers = self.model.book_answers(wish, start, who, now=self.now, old=old)
        row = self.do(
            "agendar" if old is None else "mover",
            answers,
            lambda key: book(
                wish, start, client=client, actor=actor, now=self.now, key=key,
                replaces=old.id if old else None,
            ),
            why=(start, self.model.why_not(wish, start, now=self.now, staff=True)),
        )  # fmt: skip
        if row is not None:
            self.model.booked(self._born(row, wish, places, start), old, now=self.now)

    def _own(self, wish: Wish, who: Who) -> Wish:
        if who.clinician is None or (who.clinician, wish.service_id) not in self.model.setup.offers:
            raise NothingToDo
        return Wish(
            service_id=wish.service_id,
            modality=wish.modality,
            location_id=wish.location_id,
            clinician_ids=(who.clinician,),
            person_ids=wish.person_ids,
            chain=wish.chain,
        )

    def cancel_for_client(self) -> None:
        visit = self.visit_in(*OPEN, "confirmed", "expired")
        (actor, who), version = self.staff_for(visit), self.version_of(visit)
        row = self.do(
            "cancelar por el consultorio",
            self.model.cancel_for_client_answers(visit, version, who),
            lambda key: cancel_for_client(
                visit.id, version=version, actor=actor, now=self.now, key=key
            ),
        )
        if row is not None:
            self.model.cancelled_for_client(visit)

    def close(self) -> None:
        begun = [
            v
            for v in self.model.visits.values()
            if v.state == "confirmed" and v.session.starts_at <= self.now
        ]
        visit = self.one_of(begun) if self.dice.random() < 0.9 else self.visit_in("confirmed")
        actor, who = self.staff_for(visit)
        event = self.dice.choice((Event.ATTEND, Event.MISS))
        row = self.do(
            "cerrar",
            self.model.close_answers(visit, who, now=self.now),
            lambda key: close(visit.id, event=event, actor=actor, now=self.now, key=key),
        )
        if row is not None:
            visit.move("attended" if event is Event.ATTEND else "no_show")

    def pin(self) -> None:
        visit = self.visit_in("requested", "confirmed")
        actor, who = self.staff_for(visit)
        pinned = self.dice.random() < 0.5
        row = self.do(
            "fijar sala",
            {DONE} if self.model.sees(who, visit) else {"NotYours"},
            lambda key: pin_room(visit.id, pinned=pinned, actor=actor, now=self.now, key=key),
        )
        if row is not None:
            visit.pinned = pinned

    def block(self) -> None:
        actor, who = self.somebody_of_staff()
        clinician = self.dice.choice(sorted(self.model.setup.clinicians))
        if not who.manager and self.dice.random() < 0.8:
            clinician = who.clinician or clinician
        start = self._hour_ahead()
        if self.dice.random() < 0.4:
            asked = self.visit_in("requested").session
            clinician, start = asked.clinician, asked.starts_at
        end = start + timedelta(hours=self.dice.choice((1, 1, 4)))
        row = self.do(
            "bloquear",
            self.model.block_answers(who, clinician),
            lambda key: block_time(
                clinician, start, end, reason="", actor=actor, now=self.now, key=key
            ),
        )
        if row is not None:
            self._blocked(row)

    def _hour_ahead(self) -> datetime:
        return self.now.replace(minute=0, second=0) + timedelta(
            days=self.dice.choice(self.days_ahead), hours=self.dice.randrange(-6, 7)
        )

    def _blocked(self, row: BlockedTime) -> None:
        self.model.blocked[row.id] = Blocked(
            clinician=row.clinician_id,
            room=row.room_id,
            location=row.location_id,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
        )

    def unblock(self) -> None:
        blocked = self.one_of(sorted(self.model.blocked))
        actor, who = self.somebody_of_staff()
        row = self.do(
            "desbloquear",
            self.model.block_answers(who, self.model.blocked[blocked].clinician),
            lambda key: unblock_time(blocked, actor=actor, now=self.now, key=key),
        )
        if row is not None:
            del self.model.blocked[blocked]

    # A sick day, a closed room or office, and the joint plan for it.

    def report_absence(self) -> None:
        actor, who = self.somebody_of_staff()
        missing, start = self._missing(who), self._hour_ahead()
        if self.dice.random() < 0.6:
            visit = self.visit_in("confirmed", "confirmed", "requested")
            start, (actor, who) = visit.session.starts_at, self.staff_for(visit)
            missing = self._missing(who, visit.session)
        end = start + timedelta(hours=self.dice.choice((2, 5, 10)))
        block = Blocked(
            clinician=missing.clinician_id,
            room=missing.room_id,
            location=missing.location_id,
            starts_at=start,
            ends_at=end,
        )
        planned = {id_ for (id_,) in tuples(Replan.select(Replan.blocked))}
        row = self.do(
            "avisar ausencia",
            self.model.report_answers(who, block, planned),
            lambda key: report_absence(
                missing, start, end, reason="", allowed=Allowed(options=2), actor=actor,
                now=self.now, key=key,
            ),
        )  # fmt: skip
        if row is not None:
            self._blocked(row)
            self.compare()
            self._carry_out(row, actor)

    def _missing(self, who: Who, session: Session | None = None) -> Missing:
        """Who or what; with a session, somebody or something that it needs."""
        setup, luck = self.model.setup, self.dice.random()
        if who.clinician is not None:
            return Missing(clinician_id=who.clinician)
        if session is not None:
            if session.room is not None and luck < 0.5:
                return Missing(room_id=session.room)
            return Missing(clinician_id=session.clinician)
        if luck < 0.4:
            return Missing(clinician_id=self.dice.choice(sorted(setup.clinicians)))
        if luck < 0.8:
            return Missing(room_id=self.one_of(sorted(setup.rooms)))
        return Missing(location_id=self.one_of(sorted(setup.locations)))

    def _carry_out(self, blocked: BlockedTime, actor: Actor) -> None:
        """Work the plan out at once, and approve most of it."""
        replan = Replan.get_or_none(Replan.blocked == blocked)
        if replan is None:
            return
        planner.run(SettableClock(self.now), deadline_seconds=0)
        replan = Replan.get_by_id(replan.id)
        chosen = [
            row
            for row in ReplanRow.select().where(ReplanRow.replan == replan).order_by(ReplanRow.id)
            if self.dice.random() < 0.9
        ]
        seen = self._last_change()
        key = self._key()

        def go() -> object:
            ids = [row.id for row in chosen]
            return approve(replan.id, ids, run=replan.run, actor=actor, now=self.now, key=key)

        if self.dice.random() < 4 * CRASHES and self._crash(go):
            seen = self._follow(seen, chosen)
            self.compare()
        left = go()
        self._follow(seen, chosen)
        assert isinstance(left, list)
        self.counted["plan conjunto: movidas"] += len(chosen) - len(left)
        self.counted["plan conjunto: no se pudo"] += len(left)
        self.told.append(f"  plan: {len(chosen) - len(left)} of {len(chosen)}")

    def _last_change(self) -> int:
        last = History.select(History.id).order_by(History.id.desc()).first()
        return last.id if last else 0

    def _follow(self, seen: int, chosen: list[ReplanRow]) -> int:
        """Tell the model which sessions were moved, in the order in which it happened."""
        options = {row.appointment_id: options_of(row) for row in chosen}
        anyone = Who(staff=True)
        for change in History.select().where(History.id > seen).order_by(History.id):
            visit = self.model.visits[change.appointment_id]
            slots = [option.slot for option in options[visit.id]]
            denied = change.event == Event.OFFER
            judge = self.model.deny_answers if denied else self.model.displace_answers
            answers = judge(visit, visit.version, anyone, slots, now=self.now)
            self.agree(DONE in answers, f"the plan moved {visit}, which may only {answers}")
            apply = self.model.denied if denied else self.model.displaced
            apply(visit, self._held(visit, slots), now=self.now)
            seen = change.id
        return seen

    # What the practice's set-up, time and the worker do.

    def change_hours(self) -> None:
        """Somebody stops earlier or later, or there is a holiday more; what is booked stays."""
        shown = practice_file.show()
        closings = list(re.finditer(r'cierra = "(1[2-9]|2[01]):', shown))
        if closings and self.dice.random() < 0.8:
            one = self.dice.choice(closings)
            hour = int(one[1]) + self.dice.choice((-1, 1))
            shown = f'{shown[: one.start()]}cierra = "{hour}:{shown[one.end() :]}'
        else:
            day = self.now.date() + timedelta(days=self.dice.choice(self.days_ahead))
            if day in self.model.setup.holidays:
                raise NothingToDo
            shown += f'\n[[feriados]]\nfecha = {day}\nnombre = "Día de descanso"\n'
        practice_file.load(shown, now=self.now)
        self.model.setup = Setup.read()
        self.excused |= {row[0] for row in invariants.confirmed_outside_hours()}
        self.told.append("  hours changed")
        self.counted["horarios cambiados"] += 1

    def let_time_pass(self) -> None:
        seconds = self.dice.choice((20, 20, 300, 300, 3_600, 5 * 3_600, 17 * 3_600))
        self.sleep(timedelta(seconds=seconds))

    def sleep(self, step: timedelta) -> None:
        """The clock goes on; now and then the worker is not there for a while."""
        self.now += step
        if self.dice.random() < 0.85:
            self.run_deadlines()

    def run_deadlines(self) -> None:
        if self.dice.random() < 2 * CRASHES:
            self._crash(lambda: deadlines.run(now=self.now))
        deadlines.run(now=self.now)
        self.model.worker_ran(now=self.now)
        self.told.append(f"{self.now:%m-%d %H:%M:%S} worker")

    def send_mail(self) -> None:
        self.post.dice = self.dice
        if self.dice.random() < 0.1:
            self.post.down = not self.post.down
        before = sum(self.post.taken.values())

        def drain() -> object:
            return outbox.drain(SettableClock(self.now), self.post, self.settings)

        if not (self.dice.random() < 2 * CRASHES and self._crash(drain)):
            drain()
        sent = sum(self.post.taken.values()) - before
        self.counted["correos"] += sent
        self.told.append(f"  mail: {sent}")

    # What has to hold after every step.

    def agree(self, fact: bool, otherwise: str) -> None:
        if not fact:
            raise Disagreement(otherwise)

    def compare(self) -> None:
        """The book's rows are what the model says, no less and no more.

        Raises:
            Disagreement: they are not.
        """
        self._compare_rooms()
        self._same("appointments", self._appointments(), self._visits())
        self._same("offers", self._offers(), self._holds())
        owed = OutboxMessage.select(OutboxMessage.appointment, OutboxMessage.kind).where(
            OutboxMessage.appointment.is_null(False)
        )
        self._same("messages", Counter(tuples(owed)), +self.model.owed)
        known = Client.select(Client.id).where(Client.known_since.is_null(False))
        ours = {c.id for c in self.clients}
        self._same("known clients", {i for (i,) in tuples(known)} & ours, self.model.known & ours)

    def _same(self, what: str, book: Any, model: Any) -> None:
        if book == model:
            return
        if isinstance(book, dict):
            ids = {i for i in {*book, *model} if book.get(i) != model.get(i)}
            book, model = {i: book.get(i) for i in ids}, {i: model.get(i) for i in ids}
        raise Disagreement(f"{what}: the book has {book}, the model {model}")

    def _appointments(self) -> dict[int, tuple[Any, ...]]:
        a = Appointment
        rows = tuples(
            a.select(
                a.id, a.state, a.version, a.chain, a.replaces, a.clinician, a.clinician_location,
                a.starts_at, a.ends_at, a.answer_by, a.halfway_at, a.remind_at, a.displaced_at,
                a.room_pinned,
            )
        )  # fmt: skip
        return {id_: tuple(rest) for id_, *rest in rows}

    def _visits(self) -> dict[int, tuple[Any, ...]]:
        return {
            v.id: (
                v.state, v.version, v.chain, v.replaces, v.session.clinician, v.session.seat,
                v.session.starts_at, v.session.ends_at, v.answer_by, v.halfway_at, v.remind_at,
                v.displaced_at, v.pinned,
            )
            for v in self.model.visits.values()
        }  # fmt: skip

    def _offers(self) -> dict[int, tuple[Any, ...]]:
        rows = OfferedSlot.select(
            OfferedSlot.id, OfferedSlot.appointment, OfferedSlot.starts_at, OfferedSlot.held_until
        ).where(OfferedSlot.state == OfferState.HELD)
        return {id_: tuple(rest) for id_, *rest in tuples(rows)}

    def _holds(self) -> dict[int, tuple[Any, ...]]:
        return {
            id_: (visit.id, s.starts_at, s.held_until)
            for visit in self.model.visits.values()
            for id_, s in visit.offers.items()
        }

    def _compare_rooms(self) -> None:
        """Rooms change without a word, but only those of sessions that may change theirs."""
        held = OfferedSlot.state == OfferState.HELD
        offers = dict(tuples(OfferedSlot.select(OfferedSlot.id, OfferedSlot.room).where(held)))
        rooms = dict(
            tuples(
                Appointment.select(Appointment.id, Appointment.room).where(
                    Appointment.state.in_(OPEN)
                )
            )
        )
        for visit in self.model.visits.values():
            self._see_room(visit, visit.session, rooms.get(visit.id, visit.session.room))
            for id_, session in visit.offers.items():
                self._see_room(visit, session, offers.get(id_, session.room))

    def _see_room(self, visit: Visit, session: Session, room: int | None) -> None:
        if room == session.room:
            return
        closed = any(
            b.room == session.room and b.meets(session.starts_at, session.ends_at)
            for b in self.model.blocked.values()
        )
        self.agree(
            room in self.model.setup.suited_rooms(visit.service, session.seat)
            and (closed or self.model.may_change_room(visit, session, self.now)),
            f"{visit} was sent from {session} to room {room}",
        )
        session.room = room

    def check(self) -> None:
        """The invariants, of the rows alone; and that no mail is said to be sent that was not.

        Raises:
            Disagreement: one of them does not hold.
        """
        found = invariants.violations()
        outside = [
            row for row in found.pop("confirmed_outside_hours", []) if row[0] not in self.excused
        ]
        if outside:
            found["confirmed_outside_hours"] = outside
        self.agree(not found, f"invariants: {found}")
        sent = tuples(
            OutboxMessage.select(OutboxMessage.message_id).where(
                OutboxMessage.state == Delivery.SENT
            )
        )
        lost = [id_ for (id_,) in sent if not self.post.taken[id_]]
        self.agree(not lost, f"said to be sent, and never was: {lost}")


@contextmanager
def unless_idle() -> Any:
    """A step that finds nobody in the state that it needs is none."""
    try:
        yield
    except NothingToDo:
        return


# The first ones lead to states in which the others have something to do.
STEPS: tuple[Callable[[Life], None], ...] = (
    *[Life.ask] * 7,
    *[Life.accept] * 4,
    *[Life.ask_to_move] * 3,
    *[Life.deny] * 3,
    *[Life.take] * 3,
    *[Life.decide_and_undo] * 2,
    *[Life.displace] * 2,
    *[Life.let_time_pass] * 3,
    *[Life.send_mail] * 2,
    *[Life.book] * 2,
    *[Life.close] * 2,
    Life.block,
    Life.cancel,
    Life.cancel_for_client,
    Life.decline,
    Life.move,
    Life.pin,
    Life.unblock,
    Life.undo,
    Life.report_absence,
)
