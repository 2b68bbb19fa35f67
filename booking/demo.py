"""A believable book for demonstrations and tests: the same people and appointments for a seed."""

import random
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from booking import history, occupancy, policy
from booking.availability import Plan, Slot, facts, instant, minutes, plan
from booking.db import transaction, tuples
from booking.gateway import Role
from booking.invariants import OWED
from booking.lifecycle import BIRTHS, HOLDS_ITS_TIME, Event, State, next_state
from booking.models import (
    Access,
    Account,
    Appointment,
    Audience,
    Client,
    ClientKind,
    Clinician,
    Delivery,
    History,
    Modality,
    Occupancy,
    OfferedSlot,
    OutboxMessage,
    Practice,
    Relation,
    Room,
    Service,
    folded,
)
from solver.problem import Block

DAY_MINUTES = 24 * 60
CLIENT_EMAIL = "ana.ruiz@example.com"
CLIENT_NAME = "Ana Ruiz Peña"
PAST_WEEKS = 2
TARGET = 0.6  # Of working time, minutes before and after included.
SERIES_SHARE = 0.5
LONGEST_WEEKLY_MINUTES = 80  # Longer sessions, such as assessments, are not held every week.
WAITING = (0.03, 0.1, 0.27, 0.42, 0.7)  # How much of the time to answer has passed.
IN_PERSON_SHARE = 0.85
BOOKED_BY_STAFF_SHARE = 0.12
CANCELLED_SHARE = 0.04
KEEPS_COMING_SHARE = 0.95
KNOWN_SHARE = 0.8
SOON_DAYS = 24  # Requests are about days not farther than this.
OFFERS = 3
NAMED_PEOPLE = 4  # Ana and her family come for nothing else than what `_ana` gives them.
TAKES_ITS_TIME = HOLDS_ITS_TIME | {State.ATTENDED, State.NO_SHOW}
PAST_ENDINGS = {Event.ATTEND: 86, Event.MISS: 6, Event.CANCEL: 5, Event.LATE_CANCEL: 3}
NOTES = (
    "A esa hora doy clase los jueves; con gusto le recibo cualquier otro día.",
    "Esa semana estoy en un congreso. Le ofrezco la siguiente.",
    "",
)

FIRST_NAMES = (
    "María José", "Guadalupe", "Ximena", "Fernanda", "Itzel", "Regina", "Valeria", "Mónica",
    "Rosa Elena", "Begoña", "Citlali", "Inés", "Luz María", "Paulina", "Renata", "Verónica",
    "José Luis", "Juan Carlos", "Santiago", "Emiliano", "Héctor", "Iñaki", "Rubén", "Óscar",
    "Ramón", "Tonatiuh", "Víctor Hugo", "Ángel", "Adrián", "Gerardo", "Ulises", "Martín",
)  # fmt: skip
CHILDREN = (
    "Mateo", "Leonardo", "Sebastián", "Nicolás", "Iker", "Damián", "Julián", "Andrés",
    "Camila", "Sofía", "Romina", "Emilia", "Natalia", "Luciana", "Ainhoa", "Victoria",
)  # fmt: skip
SURNAMES = (
    "Hernández", "García", "Martínez", "López", "González", "Pérez", "Rodríguez", "Sánchez",
    "Ramírez", "Cruz", "Flores", "Gómez", "Morales", "Vázquez", "Jiménez", "Reyes", "Díaz",
    "Torres", "Gutiérrez", "Mendoza", "Aguilar", "Ortiz", "Castillo", "Muñoz", "Núñez", "Ibarra",
    "Zamudio", "Escamilla", "Quiñones", "Peña", "Ordóñez", "Villaseñor", "Treviño", "Saldaña",
)  # fmt: skip


class BookNotEmpty(Exception):
    """There are appointments already: a demonstration is only filled into an empty book."""

    def __init__(self, appointments: int) -> None:
        super().__init__(
            f"La agenda ya tiene {appointments} citas; la demostración solo llena una agenda vacía."
        )


class NoPractice(Exception):
    """There is nobody to make appointments with."""

    def __init__(self) -> None:
        super().__init__("Falta el consultorio: cargue primero su archivo.")


@dataclass(frozen=True, slots=True)
class Filled:
    """What was written; the occupancy is that of the weeks to come."""

    clients: int
    appointments: int
    occupancy_percent: int

    def __str__(self) -> str:
        return (
            f"{self.clients} clientes, {self.appointments} citas,"
            f" {self.occupancy_percent} % de ocupación."
        )


def fill(*, weeks: int, seed: int, now: datetime) -> Filled:
    """Fill an empty book: two weeks behind, `weeks` ahead, and requests that wait for an answer.

    Raises:
        BookNotEmpty: there are appointments already.
        NoPractice: no practice was loaded.
    """
    with transaction():
        if existing := Appointment.select().count():
            raise BookNotEmpty(existing)
        if not (Practice.select().exists() and Clinician.select().where(Clinician.active).exists()):
            raise NoPractice
        filler = _Filler(plan(), random.Random(seed), weeks, now)  # noqa: S311 — nothing secret.
        filler.run()
        _write(filler.the, filler.people, filler.visits)
    return Filled(
        clients=len(filler.people),
        appointments=len(filler.visits),
        occupancy_percent=round(100 * filler.occupancy()),
    )


def people() -> tuple[Account, Account]:
    """Whom a visitor of the demonstration may be: Ana, and the practice's first clinician.

    Her address is one that visitors may change.
    """
    first = Clinician.select().where(Clinician.active).order_by(Clinician.position).get()
    clients = Account.select().where(Account.name == CLIENT_NAME).order_by(Account.id)
    return clients.get(), Account.get(Account.clinician == first)


@dataclass(slots=True, eq=False, kw_only=True)
class _Person:
    """Whom an appointment is for; a couple has members, a minor a guardian."""

    kind: ClientKind
    name: str
    clinician_id: int
    birth_date: date | None = None
    known_since: datetime | None = None
    created_at: datetime
    email: str = ""
    phone: str = ""
    guardian: "_Person | None" = None
    members: tuple["_Person", ...] = ()
    client_id: int = 0
    account_id: int = 0

    @property
    def asker(self) -> "_Person":
        """Who signs in on their behalf."""
        return self.guardian or (self.members[0] if self.members else self)


@dataclass(slots=True, kw_only=True)
class _Visit:
    """One appointment with all that happened to it."""

    who: _Person
    service: Service
    slot: Slot
    events: list[tuple[Event, datetime, Role]]
    columns: dict[str, Any] = field(default_factory=dict)
    offers: list[dict[str, Any]] = field(default_factory=list)

    @property
    def states(self) -> list[State]:
        """The state after each event: a path that the lifecycle allows, or an error."""
        states: list[State] = []
        for event, _, _ in self.events:
            states.append(next_state(states[-1], event) if states else BIRTHS[event])
        return states


class _Ledger:
    """What is taken, as the database's guard will see it, so that nothing is refused later."""

    def __init__(self, the: Plan, now: datetime) -> None:
        self.the = the
        self.travel = facts(the, since=now, until=now, now=now).travel  # The shortest ways.
        self.stretches: defaultdict[object, list[tuple[int, int, int | None]]] = defaultdict(list)
        self.sessions: Counter[tuple[int, date]] = Counter()
        self.minutes: Counter[tuple[int, date]] = Counter()  # Minutes before and after included.

    def slots(
        self,
        service: Service,
        clinician_id: int,
        days: Iterable[date],
        *,
        minute: int | None = None,
    ) -> Iterator[Slot]:
        """Free starts with a clinician in order of time; `minute`: only those at that wall time."""
        for day in days:
            for block in self.the.blocks(clinician_id, day):
                window, step = block.window, self.the.practice.grid_minutes
                opens = instant(window.start).astimezone(self.the.zone(_id(block.location)))
                opens_at = opens.hour * 60 + opens.minute
                first, last = window.start + -opens_at % step, window.end - service.minutes
                if minute is not None:
                    first = window.start + minute - opens_at
                    last = min(last, first)
                for start in range(max(first, window.start), last + 1, step):
                    for modality in _modalities(service, block):
                        slot = self.fits(service, clinician_id, day, block, modality, start)
                        if slot is not None:
                            yield slot

    def fits(
        self,
        service: Service,
        clinician_id: int,
        day: date,
        block: Block,
        modality: Modality,
        start: int,
    ) -> Slot | None:
        """The slot at `start`, if clinician and room are free.

        Clients are then free too: whoever is made up here stays with one clinician.
        """
        end, place = start + service.minutes, _id(block.location)
        most = self.the.clinicians[clinician_id].max_sessions_day
        if most is not None and self.sessions[clinician_id, day] >= most:
            return None
        begins, ends = start - service.buffer_before, end + service.buffer_after
        for busy_from, busy_until, there in self._around(clinician_id, start):
            come, go = self._travel(there, place), self._travel(place, there)
            if begins < busy_until + come and busy_from < ends + go:
                return None
        room_id = None
        if modality is Modality.IN_PERSON:
            room = next(
                (r for r in self._rooms(service, place) if self._room_free(r, start, end)), None
            )
            if room is None:
                return None
            room_id = room.id
        return Slot(
            starts_at=instant(start),
            ends_at=instant(end),
            clinician_id=clinician_id,
            location_id=place if modality is Modality.IN_PERSON else None,
            clinician_location_id=place,
            room_id=room_id,
            modality=modality,
        )

    def hold(self, service: Service, slot: Slot) -> None:
        """Take the slot: what `occupancy.needs` says, in minutes."""
        start, end = minutes(slot.starts_at), minutes(slot.ends_at)
        place = slot.clinician_location_id
        clinician = (start - service.buffer_before, end + service.buffer_after, place)
        self._take(slot.clinician_id, start, clinician)
        day = slot.starts_at.astimezone(self.the.zone(place)).date()
        self.sessions[slot.clinician_id, day] += 1
        self.minutes[slot.clinician_id, day] += clinician[1] - clinician[0]
        if slot.room_id is not None:
            room = self.the.rooms[slot.room_id]
            self._take(("room", room.id), start, (start, end + room.turnover_minutes, None))

    def _rooms(self, service: Service, place: int | None) -> list[Room]:
        suited = [
            room
            for room in self.the.rooms.values()
            if room.active
            and room.location_id == place
            and room.seats >= service.seats
            and set(service.room_features) <= set(room.features)
        ]
        return sorted(suited, key=lambda room: (len(room.features), room.seats, room.id))

    def _room_free(self, room: Room, start: int, end: int) -> bool:
        until = end + room.turnover_minutes
        return not any(
            a < until and start < b for a, b, _ in self._around(("room", room.id), start)
        )

    def _travel(self, origin: int | None, destination: int | None) -> int:
        return self.travel.get((str(origin), str(destination)), 0)

    def _take(self, resource: object, start: int, stretch: tuple[int, int, int | None]) -> None:
        self.stretches[resource, start // DAY_MINUTES].append(stretch)

    def _around(self, resource: object, start: int) -> Iterator[tuple[int, int, int | None]]:
        for day in range(start // DAY_MINUTES - 1, start // DAY_MINUTES + 2):
            yield from self.stretches.get((resource, day), ())


def _id(key: str | None) -> int | None:
    return None if key is None else int(key)


def _modalities(service: Service, block: Block) -> list[Modality]:
    allowed = {Modality(modality.value) for modality in block.modalities}
    return [
        modality
        for modality, offered in (
            (Modality.IN_PERSON, service.in_person),
            (Modality.VIDEO, service.video),
        )
        if offered and modality in allowed
    ]


class _Filler:
    """Makes people up, gives them appointments, and each appointment its story."""

    def __init__(self, the: Plan, rng: random.Random, weeks: int, now: datetime) -> None:
        self.the, self.rng, self.weeks, self.now = the, rng, weeks, now
        self.today = now.astimezone(the.zone(None)).date()
        self.ledger = _Ledger(the, now)
        self.people: list[_Person] = []
        self.visits: list[_Visit] = []
        active = sorted(the.clinicians.values(), key=lambda c: (c.position, c.id))
        self.services = {
            c.id: [s for s in the.services.values() if s.active and (c.id, s.id) in the.offers]
            for c in active
            if c.active
        }

    def run(self) -> None:
        """Requests first, so that the inbox is full of life however few weeks there are."""
        self._ana(next(iter(self.services)))
        for clinician_id in self.services:
            self._requests(clinician_id)
        for clinician_id in self.services:
            series = list(self._series(clinician_id))
            for week in range(-PAST_WEEKS, self.weeks):
                self._fill_week(clinician_id, self._days(7 * week, 7 * week + 7), series)

    def occupancy(self) -> float:
        """The share of working time that is taken in the weeks to come."""
        days = self._days(0, 7 * self.weeks)
        taken = sum(
            self.ledger.minutes[clinician, day] for clinician in self.services for day in days
        )
        return taken / max(1, sum(self._open(clinician, days) for clinician in self.services))

    def _open(self, clinician_id: int, days: list[date]) -> int:
        blocks = (block for day in days for block in self.the.blocks(clinician_id, day))
        return sum(block.window.end - block.window.start for block in blocks)

    def _days(self, first: int, last: int) -> list[date]:
        return [self.today + timedelta(days=n) for n in range(first, last)]

    def _soon(self, clinician_id: int) -> list[date]:
        """Days that a client may ask for now, and some days ago too."""
        horizon = self.the.horizon(self.the.clinicians[clinician_id])
        return self._days(4, max(5, min(horizon - 3, SOON_DAYS)))

    # Appointments.

    def _fill_week(
        self, clinician_id: int, days: list[date], series: list[tuple[int, int, Service, _Person]]
    ) -> None:
        """Those who come every week, then others until the week is as full as it should be."""
        for day in days:
            for weekday, minute, service, who in series:
                if weekday == day.weekday() and self.rng.random() < KEEPS_COMING_SHARE:
                    starts = self.ledger.slots(service, clinician_id, [day], minute=minute)
                    for slot in list(starts)[:1]:
                        self._visit(who, service, slot)
        target = TARGET * self._open(clinician_id, days)
        services = self.services[clinician_id]
        weights = [3 if s.audience == Audience.EVERYONE else 1 for s in services]
        for _ in range(60):
            if sum(self.ledger.minutes[clinician_id, day] for day in days) >= target:
                break
            (service,) = self.rng.choices(services, weights)
            free = list(self.ledger.slots(service, clinician_id, [self.rng.choice(days)]))
            if free:
                slot = self._one_of(free)
                self._visit(self._client_for(service, slot), service, slot)

    def _one_of(self, free: list[Slot]) -> Slot:
        """Mostly in person, mostly early in what is left of the day, so that gaps stay usable."""
        in_person = [slot for slot in free if slot.modality is Modality.IN_PERSON]
        if in_person and self.rng.random() < IN_PERSON_SHARE:
            free = in_person
        return free[0] if self.rng.random() < 0.6 else self.rng.choice(free)

    def _series(self, clinician_id: int) -> Iterator[tuple[int, int, Service, _Person]]:
        """Weekday, minute, service and client of those who come every week at the same hour."""
        weekly = [s for s in self.services[clinician_id] if self._is_weekly(s)]
        grid = self.the.practice.grid_minutes
        for row in self.the.hours.get(clinician_id, ()):
            if row.weekday is None or row.opens is None or row.closes is None:
                continue
            minute = -(-row.opens // grid) * grid
            while minute < row.closes:
                fitting = [
                    s
                    for s in weekly
                    if minute + s.minutes <= row.closes
                    and ((s.in_person and row.in_person) or (s.video and row.video))
                ]
                if not fitting:
                    break
                service = self.rng.choice(fitting)
                if self.rng.random() < SERIES_SHARE:
                    kind, since = self._kind_for(service), self._long_ago()
                    who = self._person(kind, clinician_id, known=since)
                    yield row.weekday, minute, service, who
                need = service.buffer_before + service.minutes + service.buffer_after
                minute += -(-need // grid) * grid

    def _is_weekly(self, service: Service) -> bool:
        open_to_all = service.audience == Audience.EVERYONE
        return open_to_all and service.online and service.minutes <= LONGEST_WEEKLY_MINUTES

    def _visit(self, who: _Person, service: Service, slot: Slot) -> None:
        """One session's story, as long as it is by now."""
        rng, now = self.rng, self.now
        past = slot.ends_at <= now
        asked = min(slot.starts_at, now) - timedelta(
            days=rng.randint(3, 12), minutes=rng.randint(0, 600)
        )
        by_staff = (
            not service.online
            or rng.random() < BOOKED_BY_STAFF_SHARE
            or slot.starts_at - asked > timedelta(days=self.the.practice.horizon_days)
        )
        decided = asked if by_staff else asked + timedelta(minutes=rng.randint(20, 1200))
        story = [(Event.BOOK, asked, Role.CLINICIAN)]
        if not by_staff:
            story = [(Event.ASK, asked, Role.CLIENT), (Event.ACCEPT, decided, Role.CLINICIAN)]
        ending = None
        if past:
            (ending,) = rng.choices(list(PAST_ENDINGS), list(PAST_ENDINGS.values()))
        elif rng.random() < CANCELLED_SHARE:
            ending = Event.CANCEL
        if ending in (Event.ATTEND, Event.MISS):
            story.append((ending, slot.ends_at, Role.CLINICIAN))
        elif ending is Event.CANCEL:
            latest = min(now, slot.starts_at - timedelta(hours=25))
            story.append((ending, decided + (latest - decided) * rng.random(), Role.CLIENT))
        elif ending is Event.LATE_CANCEL:
            hours = rng.randint(2, 20)
            story.append((ending, slot.starts_at - timedelta(hours=hours), Role.CLIENT))
        who.known_since = who.known_since or decided
        columns: dict[str, Any] = {"decided_at": None if by_staff else decided}
        if ending is None:
            columns["remind_at"] = policy.reminder_at(self.the.practice, slot.starts_at, now=now)
        self._add(who, service, slot, story, **columns)

    def _requests(self, clinician_id: int) -> None:
        """An inbox with life in it: some wait since this morning, some since the day before."""
        online = [s for s in self.services[clinician_id] if s.online]
        span = timedelta(minutes=self.the.practice.request_minutes)
        for share in (*WAITING, None, None):
            if not online:
                return
            service = self.rng.choice(online)
            days = self._soon(clinician_id)
            self.rng.shuffle(days)
            slot = next(self.ledger.slots(service, clinician_id, days), None)
            if slot is None:
                continue
            who = self._client_for(service, slot)
            if share is None:
                self._denied(who, service, slot)
            else:
                self._pending(who, service, slot, asked=self.now - span * share)

    def _pending(self, who: _Person, service: Service, slot: Slot, *, asked: datetime) -> None:
        answer_by = policy.request_answer_by(self.the.practice, slot.starts_at, now=asked)
        halfway = policy.halfway(asked, answer_by)
        self._add(
            who,
            service,
            slot,
            [(Event.ASK, asked, Role.CLIENT)],
            answer_by=answer_by,
            halfway_at=halfway if halfway > self.now else None,
        )

    def _denied(self, who: _Person, service: Service, slot: Slot) -> None:
        asked = self.now - timedelta(hours=self.rng.randint(30, 70))
        decided = asked + timedelta(hours=self.rng.randint(2, 24))
        story = [(Event.ASK, asked, Role.CLIENT), (Event.DENY, decided, Role.CLINICIAN)]
        note = self.rng.choice(NOTES)
        self._add(who, service, slot, story, decided_at=decided, note=note)

    def _offered(self, who: _Person, service: Service, slots: list[Slot]) -> None:
        """Denied, with the slots after the first on offer."""
        asked, decided = self.now - timedelta(hours=26), self.now - timedelta(hours=3)
        until = [
            policy.offer_held_until(self.the.practice, slot.starts_at, now=decided)
            for slot in slots
        ]
        story = [(Event.ASK, asked, Role.CLIENT), (Event.OFFER, decided, Role.CLINICIAN)]
        answer_by = max(until[1:])
        columns = {
            "answer_by": answer_by,
            "halfway_at": policy.halfway(decided, answer_by),
            "decided_at": decided,
            "note": NOTES[0],
        }
        self._add(who, service, slots[0], story, **columns)
        for rank, (slot, held_until) in enumerate(zip(slots[1:], until[1:], strict=True), start=1):
            self.ledger.hold(service, slot)
            self.visits[-1].offers.append(
                _session(slot)
                | {
                    "rank": rank,
                    "held_until": held_until,
                }
            )

    def _add(
        self,
        who: _Person,
        service: Service,
        slot: Slot,
        story: list[tuple[Event, datetime, Role]],
        **columns: Any,
    ) -> None:
        seconds = [(event, at.replace(second=0, microsecond=0), role) for event, at, role in story]
        visit = _Visit(who=who, service=service, slot=slot, events=seconds, columns=columns)
        self.visits.append(visit)
        if visit.states[-1] in TAKES_ITS_TIME:
            self.ledger.hold(service, slot)

    # People.

    def _ana(self, clinician_id: int) -> None:
        """The client of every demonstration: one past, one confirmed, one pending, one offered."""
        since = self.now - timedelta(days=400)
        ana, diego = (
            self._person(ClientKind.ADULT, clinician_id, known=since, name=name, email=email)
            for name, email in (
                (CLIENT_NAME, CLIENT_EMAIL),
                ("Diego Solís Mora", "diego.solis@example.com"),
            )
        )
        self._person(
            ClientKind.MINOR, clinician_id, known=since, name="Tomás Solís Ruiz", guardian=ana
        )
        self._person(ClientKind.COUPLE, clinician_id, known=since, members=(ana, diego))
        service = next(
            (
                s
                for s in self.services[clinician_id]
                if self._is_weekly(s) and ClientKind.ADULT in s.client_kinds
            ),
            None,
        )
        if service is None:
            return

        def free(days: list[date]) -> list[Slot]:
            return list(self.ledger.slots(service, clinician_id, days))

        soon = self._soon(clinician_id)
        for slot in free(self._days(-28, -3))[-1:]:
            asked, decided = (slot.starts_at - timedelta(hours=hours) for hours in (150, 146))
            story = [(Event.ASK, asked, Role.CLIENT), (Event.ACCEPT, decided, Role.CLINICIAN)]
            story.append((Event.ATTEND, slot.ends_at, Role.CLINICIAN))
            self._add(ana, service, slot, story, decided_at=decided)
        for slot in free(soon)[:1]:
            asked, decided = (self.now - timedelta(hours=hours) for hours in (80, 75))
            story = [(Event.ASK, asked, Role.CLIENT), (Event.ACCEPT, decided, Role.CLINICIAN)]
            remind_at = policy.reminder_at(self.the.practice, slot.starts_at, now=self.now)
            self._add(ana, service, slot, story, decided_at=decided, remind_at=remind_at)
        for slot in free(soon)[-1:]:
            self._pending(ana, service, slot, asked=self.now - timedelta(hours=5))
        slots = free(soon)
        at_one_place = {
            slot.starts_at.date(): slot
            for slot in slots
            if (slot.location_id, slot.modality) == (slots[0].location_id, slots[0].modality)
        }
        if len(at_one_place) > 1:
            self._offered(ana, service, list(at_one_place.values())[: 1 + OFFERS])

    def _client_for(self, service: Service, slot: Slot) -> _Person:
        """Somebody whom the service is meant for: known to the practice or new, as it asks."""
        kind = self._kind_for(service)
        if service.audience == Audience.NEW:
            return self._person(kind, slot.clinician_id)
        known = [
            person
            for person in self.people[NAMED_PEOPLE:]
            if (person.kind, person.clinician_id) == (kind, slot.clinician_id)
            and person.known_since
            and person.known_since < slot.starts_at - timedelta(days=14)
        ]
        if known and self.rng.random() < KNOWN_SHARE:
            return self.rng.choice(known)
        return self._person(kind, slot.clinician_id, known=self._long_ago())

    def _kind_for(self, service: Service) -> ClientKind:
        return ClientKind(self.rng.choice(service.client_kinds or list(ClientKind)))

    def _long_ago(self) -> datetime:
        return self.now - timedelta(days=self.rng.randint(30, 900))

    def _person(
        self,
        kind: ClientKind,
        clinician_id: int,
        *,
        known: datetime | None = None,
        name: str = "",
        email: str = "",
        guardian: _Person | None = None,
        members: tuple[_Person, ...] = (),
    ) -> _Person:
        rng, number = self.rng, len(self.people)
        age = rng.randint(6, 15) if kind is ClientKind.MINOR else rng.randint(28, 58)
        if kind is ClientKind.COUPLE:
            members = members or tuple(
                self._person(ClientKind.ADULT, clinician_id, known=known) for _ in range(2)
            )
            name = " y ".join(member.name for member in members)
        if kind is ClientKind.MINOR:
            guardian = guardian or self._person(ClientKind.ADULT, clinician_id, known=known)
            family = guardian.name.split()[-2]
            name = name or f"{rng.choice(CHILDREN)} {rng.choice(SURNAMES)} {family}"
        name = name or f"{rng.choice(FIRST_NAMES)} {rng.choice(SURNAMES)} {rng.choice(SURNAMES)}"
        person = _Person(
            kind=kind,
            name=name,
            clinician_id=clinician_id,
            known_since=known,
            created_at=known or self.now - timedelta(days=30),
            guardian=guardian,
            members=members,
        )
        if kind is not ClientKind.COUPLE:
            person.birth_date = self.today - timedelta(days=365 * age + rng.randint(0, 364))
        if kind is ClientKind.ADULT:
            host = ("example.com", "example.org")[number % 2]
            person.email = email or f"{_ascii(name)}.{number}@{host}"
            person.phone = f"+52 55 5555 {1000 + number:04}"
        self.people.append(person)
        return person


def _ascii(name: str) -> str:
    letters = unicodedata.normalize("NFD", name.lower()).encode("ascii", "ignore").decode()
    return ".".join(letters.split()[:2])


# Writing.


def _session(slot: Slot) -> dict[str, Any]:
    return {
        "clinician": slot.clinician_id,
        "location": slot.location_id,
        "clinician_location": slot.clinician_location_id,
        "room": slot.room_id,
        "modality": slot.modality.value,
        "starts_at": slot.starts_at,
        "ends_at": slot.ends_at,
    }


def _write(the: Plan, people: list[_Person], visits: list[_Visit]) -> None:
    _write_people(people)
    staff = {
        clinician: id_ for id_, clinician in tuples(Account.select(Account.id, Account.clinician))
    }
    ids = _insert(
        Appointment,
        [
            {
                "account": visit.who.asker.account_id,
                "client": visit.who.client_id,
                "service": visit.service.id,
                **_session(visit.slot),
                "asked_starts_at": visit.slot.starts_at,
                "buffer_before": visit.service.buffer_before,
                "buffer_after": visit.service.buffer_after,
                "state": visit.states[-1].value,
                "version": len(visit.events),
                "asked_at": visit.events[0][1],
                "decided_at": None,
                "answer_by": None,
                "halfway_at": None,
                "remind_at": None,
                "note": "",
                **visit.columns,
            }
            for visit in visits
        ],
    )
    Appointment.update(chain=Appointment.id).where(Appointment.chain == 0).execute()
    rows = list(zip(ids, visits, strict=True))
    _insert(History, [row for id_, visit in rows for row in _history(id_, visit, staff)])
    _insert(OutboxMessage, [row for id_, visit in rows for row in _letters(id_, visit, the)])
    offers = [offer | {"appointment": id_} for id_, visit in rows for offer in visit.offers]
    _insert(OfferedSlot, offers)
    turnovers = {room.id: room.turnover_minutes for room in the.rooms.values()}
    _insert(Occupancy, [row for id_, visit in rows for row in _occupied(id_, visit, turnovers)])


def _occupied(id_: int, visit: _Visit, turnovers: dict[int, int]) -> Iterator[dict[str, Any]]:
    """What `occupancy.rewrite` would write, without asking the database for each appointment."""
    first, second = (member.client_id for member in visit.who.members or (visit.who, visit.who))
    appointment = Appointment(
        client=Client(id=visit.who.client_id, first_member=first, second_member=second),
        buffer_before=visit.service.buffer_before,
        buffer_after=visit.service.buffer_after,
        **_session(visit.slot),
    )
    held: list[Appointment | OfferedSlot] = [OfferedSlot(**offer) for offer in visit.offers]
    if visit.states[-1] in HOLDS_ITS_TIME:
        held.append(appointment)
    stretches: defaultdict[tuple[str, int], list[occupancy.Stretch]] = defaultdict(list)
    for session in held:
        turnover = turnovers.get(session.room_id or 0, 0)
        for resource, stretch in occupancy.needs(appointment, session, turnover):
            stretches[resource].append(stretch)
    for (kind, resource_id), taken in stretches.items():
        for busy_from, busy_until in occupancy.union(taken):
            yield {
                "resource": kind,
                "resource_id": resource_id,
                "chain": id_,
                "busy_from": busy_from,
                "busy_until": busy_until,
            }


def _history(id_: int, visit: _Visit, staff: dict[int | None, int]) -> Iterator[dict[str, Any]]:
    before = sealed = ""
    for version, ((event, at, role), after) in enumerate(
        zip(visit.events, visit.states, strict=True), start=1
    ):
        client, clinician = visit.who.asker.account_id, staff.get(visit.slot.clinician_id)
        row: dict[str, Any] = {
            "appointment": id_,
            "version": version,
            "event": event.value,
            "before": before,
            "after": after.value,
            "actor": role.value,
            "account": client if role is Role.CLIENT else clinician,
            "at": at,
            "starts_at": visit.slot.starts_at,
            "detail": {},
        }
        sealed = history.chained(sealed, row)
        yield row | {"digest": sealed}
        before = after.value


def _letters(id_: int, visit: _Visit, the: Plan) -> Iterator[dict[str, Any]]:
    """What was owed for each change, as long sent: a real book has it, and is asked for it."""
    clinician = the.clinicians[visit.slot.clinician_id]
    for version, (event, at, _role) in enumerate(visit.events, start=1):
        for kind in sorted(OWED[event][0]):
            yield {
                "kind": kind.value,
                "audience": "clinician" if kind.for_staff else "client",
                "recipient": clinician.email if kind.for_staff else visit.who.asker.email,
                "language": "es",
                "appointment": id_,
                "version": version,
                "message_id": f"demo-{id_}-{version}-{kind}",
                "state": Delivery.SENT.value,
                "created_at": at,
                "due_at": at,
                "attempts": 1,
                "sent_at": at,
            }


def _write_people(people: list[_Person]) -> None:
    adults = [person for person in people if person.kind is ClientKind.ADULT]
    accounts = _insert(
        Account,
        [
            {
                "email": person.email,
                "name": person.name,
                "phone": person.phone,
                "created_at": person.created_at,
                "consented_at": person.created_at,
            }
            for person in adults
        ],
    )
    for person, id_ in zip(adults, accounts, strict=True):
        person.account_id = id_
    # Members come before their couple, so their ids are known when the couple is written.
    for couples in (False, True):
        some = [person for person in people if bool(person.members) is couples]
        clients = _insert(Client, [_client(person) for person in some])
        for person, id_ in zip(some, clients, strict=True):
            person.client_id = id_
    _insert(Access, [row for person in people for row in _access(person)])


def _client(person: _Person) -> dict[str, Any]:
    first, second = (
        (member.client_id for member in person.members) if person.members else (None,) * 2
    )
    return {
        "kind": person.kind.value,
        "name": person.name,
        "folded": folded(person.name),
        "email": person.email,
        "phone": person.phone,
        "birth_date": person.birth_date,
        "clinician": person.clinician_id,
        "first_member": first,
        "second_member": second,
        "known_since": person.known_since,
        "created_at": person.created_at,
    }


def _access(person: _Person) -> Iterator[dict[str, Any]]:
    for account, relation in (
        *((member, Relation.PARTNER) for member in person.members),
        (person.guardian, Relation.GUARDIAN),
        (person if person.account_id else None, Relation.SELF),
    ):
        if account is not None:
            yield {
                "account": account.account_id,
                "client": person.client_id,
                "relation": relation.value,
            }


def _insert(model: Any, rows: list[dict[str, Any]]) -> list[int]:
    """Insert many rows; their ids in the same order."""
    (last,) = tuples(model.select(model.id).order_by(model.id.desc()).limit(1)) or [(0,)]
    for n in range(0, len(rows), 400):
        model.insert_many(rows[n : n + 400]).execute()
    return [
        id_
        for (id_,) in tuples(model.select(model.id).where(model.id > last[0]).order_by(model.id))
    ]
