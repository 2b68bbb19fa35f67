"""Rows of the book → facts for the solver: what clients see, and what a booking must pass.

The list of free times, the check when somebody asks or accepts, and the solver's proposals all
come from `solver.candidates`, so they cannot disagree.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from booking.db import database, tuples
from booking.lifecycle import HOLDS_ITS_TIME, State
from booking.models import (
    Appointment,
    BlockedTime,
    Client,
    Clinician,
    ClinicianService,
    Holiday,
    Hours,
    Location,
    Modality,
    OfferedSlot,
    OfferState,
    Practice,
    Room,
    Service,
    Travel,
)
from solver import candidates
from solver import problem as solver
from solver.candidates import Place, Rule
from solver.local_time import Zone
from solver.proposal import Swap

__all__ = ["NotFree", "Plan", "Rule", "Slot", "Wish", "plan"]

ONE_DAY = timedelta(days=1)
# «Por la mañana / Por la tarde / Por la noche»: what people are shown, wish for, and are offered.
DAYPARTS = (
    solver.Daypart("morning", 0, 12 * 60),
    solver.Daypart("afternoon", 12 * 60, 19 * 60),
    solver.Daypart("evening", 19 * 60, 24 * 60),
)
# When a clinician decides, or staff book, only these rules are waived: notice, horizon and grid
# bind clients who ask, not a promise that the practice itself makes.
STAFF_MAY_WAIVE = frozenset({Rule.NOTICE, Rule.HORIZON, Rule.GRID})


class NotFree(Exception):
    """The time cannot be had; `rules` says why, from the nearest miss."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        super().__init__(*rules)
        self.rules = tuple(rules)


@dataclass(frozen=True, slots=True)
class RoomSwap:
    """A session, or a slot held for a client, that goes to another room at its own time."""

    appointment_id: int
    offer_id: int | None
    """Of the held slot; None: the appointment itself."""
    room_id: int


@dataclass(frozen=True, slots=True)
class Slot:
    """One session's time and place, with the room it would get."""

    starts_at: datetime
    ends_at: datetime
    clinician_id: int
    location_id: int | None
    clinician_location_id: int | None
    room_id: int | None
    modality: Modality
    swaps: tuple[RoomSwap, ...] = ()  # What makes the room free.


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody looks for, before a time is chosen."""

    service_id: int
    modality: Modality
    location_id: int | None  # None: by video, or (for staff's searches) anywhere.
    clinician_ids: tuple[int, ...]
    person_ids: tuple[int, ...] = ()
    chain: int | None = None  # The chain that this continues: its own time is no obstacle.


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The practice as it is set up, read once for each revision of it."""

    practice: Practice
    locations: dict[int, Location]
    rooms: dict[int, Room]
    services: dict[int, Service]
    clinicians: dict[int, Clinician]
    offers: frozenset[tuple[int, int]]  # (clinician, service)
    hours: dict[int, tuple[Hours, ...]]
    holidays: dict[date, str]
    travel: dict[tuple[str, str], int]
    _blocks: dict[tuple[int, date], tuple[solver.Block, ...]] = field(default_factory=dict)
    _suited: dict[tuple[int, int], tuple[str, ...]] = field(default_factory=dict)
    _beside: dict[tuple[int, int, str], tuple[str, ...]] = field(default_factory=dict)
    _known: dict[int, dict[int, solver.Room]] = field(default_factory=dict)
    _offering: dict[tuple[int, int | None], list[Clinician]] = field(default_factory=dict)
    _starts: dict[tuple[int, int, int | None, str, int], tuple[int, ...]] = field(
        default_factory=dict
    )

    def zone(self, location_id: int | None) -> ZoneInfo:
        """The zone that an office's hours, or the practice's, are in."""
        found = self.locations.get(location_id or 0)
        return ZoneInfo(found.zone if found else self.practice.zone)

    def service_by_key(self, key: str) -> Service | None:
        return next((s for s in self.services.values() if s.active and s.key == key), None)

    def location_by_key(self, key: str) -> Location | None:
        return next((x for x in self.locations.values() if x.active and x.key == key), None)

    def clinician_by_key(self, key: str) -> Clinician | None:
        return next((c for c in self.clinicians.values() if c.active and c.key == key), None)

    def offered_at(self, service: Service, location_id: int | None) -> list[Clinician]:
        """Who offers `service` at an office (by video: `None`), in the practice's order."""
        key = (service.id, location_id)
        if key not in self._offering:
            self._offering[key] = self._offered_at(service, location_id)
        return self._offering[key]

    def _offered_at(self, service: Service, location_id: int | None) -> list[Clinician]:
        if location_id is not None and not self.rooms_for(service.id, location_id):
            return []
        return [
            clinician
            for clinician in sorted(self.clinicians.values(), key=lambda c: (c.position, c.id))
            if clinician.active
            and (clinician.id, service.id) in self.offers
            and any(
                hours.opens is not None
                and (
                    (service.video and hours.video)
                    if location_id is None
                    else (
                        service.in_person and hours.in_person and hours.location_id == location_id
                    )
                )
                for hours in self.hours.get(clinician.id, ())
            )
        ]

    def rooms_for(self, service_id: int, location_id: int) -> tuple[str, ...]:
        """Rooms of an office in which a service can take place, the plainest first."""
        key = (service_id, location_id)
        if key not in self._suited:
            service = self.services[service_id]
            self._suited[key] = tuple(
                str(room.id)
                for room in sorted(self.rooms.values(), key=lambda room: len(room.features))
                if room.active
                and room.location_id == location_id
                and set(service.room_features) <= set(room.features)
                and room.seats >= service.seats
            )
        return self._suited[key]

    def rooms_beside(self, service_id: int, location_id: int, room: str) -> tuple[str, ...]:
        """Where else a session could be that has a room there."""
        key = (service_id, location_id, room)
        if key not in self._beside:
            rooms = self.rooms_for(service_id, location_id)
            self._beside[key] = tuple(other for other in rooms if other != room)
        return self._beside[key]

    def rooms_at(self, location_id: int) -> dict[int, solver.Room]:
        """All rooms of an office in the solver's terms, but for when they are open."""
        if location_id not in self._known:
            self._known[location_id] = {
                room.id: solver_room(room)
                for room in self.rooms.values()
                if room.location_id == location_id
            }
        return self._known[location_id]

    def notice(self, clinician: Clinician) -> int:
        """The minimum notice in minutes; never so short that nobody could answer in time."""
        own = clinician.notice_minutes
        asked = self.practice.notice_minutes if own is None else own
        return max(asked, self.practice.answer_margin_minutes + 1)

    def horizon(self, clinician: Clinician) -> int:
        own = clinician.horizon_days
        return self.practice.horizon_days if own is None else own

    def blocks(self, clinician_id: int, day: date) -> tuple[solver.Block, ...]:
        """The clinician's working hours that begin on a day, as instants."""
        key = (clinician_id, day)
        if key not in self._blocks:
            self._blocks[key] = tuple(self._expand(clinician_id, day))
        return self._blocks[key]

    def starts(
        self, clinician_id: int, week: int, location_id: int | None, modality: Modality, length: int
    ) -> tuple[int, ...]:
        """Round times at which so many minutes fit into hours at a place that begin in a week.

        Weeks are sevens of days since the year 1. Stretches of hours that touch are one.
        """
        key = (clinician_id, week, location_id, modality.value, length)
        if key not in self._starts:
            place = None if location_id is None else str(location_id)
            windows = [
                [
                    (block.window.start, block.window.end)
                    for block in self.blocks(clinician_id, date.fromordinal(7 * week + n))
                    if block.location == place and solver.Modality(modality) in block.modalities
                ]
                for n in range(7 + 3)  # Hours and sessions last no more than a day each.
            ]
            whole = candidates.merged(itertools.chain.from_iterable(windows))
            fitting = (
                (max(a, start), min(b, end - length + 1))
                for a, b in itertools.chain.from_iterable(windows[:7])
                for start, end in whole
            )
            self._starts[key] = tuple(
                Zone(self.zone(location_id).key).grid(
                    candidates.merged(pair for pair in fitting if pair[0] < pair[1]),
                    self.practice.grid_minutes,
                )
            )
        return self._starts[key]

    def way(self, here: int | None, there: int | None) -> int:
        """The minutes from one office to another; nobody travels to or from video."""
        return self.travel.get((str(here), str(there)), 0) if here and there else 0

    def _expand(self, clinician_id: int, day: date) -> Iterable[solver.Block]:
        rows = self.hours.get(clinician_id, ())
        exceptions = [row for row in rows if row.day == day]
        if day in self.holidays and not exceptions:
            return
        for row in exceptions or [r for r in rows if r.day is None and r.weekday == day.weekday()]:
            if row.opens is None or row.closes is None:
                continue
            zone = self.zone(row.location_id)
            modalities = {
                solver.Modality(value)
                for value, allowed in (
                    (Modality.IN_PERSON, row.in_person and row.location_id is not None),
                    (Modality.VIDEO, row.video),
                )
                if allowed
            }
            start, end = wall(day, row.opens, zone), wall(day, row.closes, zone)
            if start < end:  # A stretch inside the hour that a clock change skips is none.
                yield solver.Block(
                    solver.Window(minutes(start), minutes(end)),
                    None if row.location_id is None else str(row.location_id),
                    frozenset(modalities),
                )


_plans: dict[tuple[str, int], Plan] = {}
_page: ContextVar[list[Plan] | None] = ContextVar("page", default=None)


def begin_page(known: Plan | None = None) -> None:
    """From now on, and until the page ends or something is written, the set-up is read once."""
    _page.set([known] if known else [])


def end_page() -> None:
    """The set-up is read afresh each time again: what is written must pass it as it is now."""
    _page.set(None)


def plan() -> Plan:
    """The practice's set-up; one query when nothing changed since the last time."""
    seen = _page.get()
    if seen:
        return seen[0]
    found = _current()
    if seen is not None:
        seen.append(found)
    return found


def remembered() -> Plan:
    """The set-up as it was read last, for when it cannot be; a nameless one if it never was."""
    for (book, _), found in list(_plans.items()):
        if book == str(database.obj.database):
            return found
    nameless = Practice(name="Citaclara", sender_name="", phone="", email="", zone="UTC")
    return Plan(
        practice=nameless, locations={}, rooms={}, services={}, clinicians={}, offers=frozenset(),
        hours={}, holidays={}, travel={},
    )  # fmt: skip


def forget() -> None:
    """Another book takes this one's place: what was read of its practice is no longer true."""
    end_page()
    _plans.clear()


def _current() -> Plan:
    row = database.execute_sql("SELECT revision FROM practice").fetchone()
    key = (str(database.obj.database), row[0] if row else 0)
    found = _plans.get(key)
    if found is None:
        found = _read(Practice.get())
        _plans.clear()  # Another thread may do the same at this moment: ours is in hand.
        _plans[key] = found
    return found


def _read(practice: Practice) -> Plan:
    hours: defaultdict[int, list[Hours]] = defaultdict(list)
    for row in Hours.select().order_by(Hours.id):
        hours[row.clinician_id].append(row)
    return Plan(
        practice=practice,
        locations={row.id: row for row in Location.select().order_by(Location.position)},
        rooms={row.id: row for row in Room.select().order_by(Room.position, Room.id)},
        services={row.id: row for row in Service.select().order_by(Service.position)},
        clinicians={row.id: row for row in Clinician.select().order_by(Clinician.position)},
        offers=frozenset((row.clinician_id, row.service_id) for row in ClinicianService.select()),
        hours={clinician: tuple(rows) for clinician, rows in hours.items()},
        holidays={row.day: row.name for row in Holiday.select()},
        travel=solver.closed_ways(
            {(str(row.origin_id), str(row.destination_id)): row.minutes for row in Travel.select()}
        ),
    )


def minutes(instant: datetime) -> int:
    """The solver's unit: whole UTC minutes since the epoch."""
    return int(instant.timestamp()) // 60


def instant(minute: int) -> datetime:
    """The other way round."""
    return datetime.fromtimestamp(minute * 60, UTC)


def wall(day: date, minute_of_day: int, zone: ZoneInfo) -> datetime:
    """A wall-clock time as an instant; one that a clock change skips moves forward with it."""
    at = datetime.combine(day + timedelta(days=minute_of_day // 1440), time(), zone)
    at = at.replace(hour=minute_of_day % 1440 // 60, minute=minute_of_day % 60)
    return at.astimezone(UTC)


def facts(
    the: Plan,
    *,
    since: datetime,
    until: datetime,
    now: datetime,
    requests: tuple[solver.Request, ...] = (),
    policy: solver.Policy | None = None,
) -> solver.Problem:
    """The practice between two instants, as the solver sees it: hours, absences and what is taken.

    Three queries, whatever the span; rows of a day before and after come along, for sessions
    across midnight and for travel.
    """
    first, last = since - ONE_DAY, until + ONE_DAY
    absences, outages = _blocked(first, last)
    days = [first.date() + timedelta(days=n) for n in range((last - first).days + 2)]
    always = (solver.Window(minutes(first), minutes(last)),)
    problem = solver.Problem(
        zone=the.practice.zone,
        policy=policy or solver.Policy(now=minutes(now), grid_minutes=the.practice.grid_minutes),
        services=tuple(_service(row) for row in the.services.values()),
        locations=tuple(solver.Location(str(row.id), row.zone) for row in the.locations.values()),
        travel=the.travel,
        rooms=tuple(
            replace(solver_room(row), windows=always if row.active else ())
            for row in the.rooms.values()
        ),
        clinicians=tuple(
            solver.Clinician(
                id=str(row.id),
                services=frozenset(str(s) for c, s in the.offers if c == row.id),
                blocks=tuple(
                    block for day in days if row.active for block in the.blocks(row.id, day)
                ),  # Whoever left has no hours, but may still have sessions.
                absences=tuple(absences[row.id]),
                max_sessions_day=row.max_sessions_day,
                min_notice=the.notice(row),
                horizon_days=the.horizon(row),
            )
            for row in the.clinicians.values()
        ),
        busy=_busy(the, first, last, now),
        requests=requests,
        outages=tuple(outages),
    )
    return solver.validate(problem)


def _blocked(
    first: datetime, last: datetime
) -> tuple[dict[int, list[solver.Window]], list[solver.Outage]]:
    """When clinicians are away, by clinician, and when rooms and offices are closed."""
    absences: defaultdict[int, list[solver.Window]] = defaultdict(list)
    outages: list[solver.Outage] = []
    for clinician, room, location, start, end in tuples(
        BlockedTime.select(
            BlockedTime.clinician,
            BlockedTime.room,
            BlockedTime.location,
            BlockedTime.starts_at,
            BlockedTime.ends_at,
        )
        .where(
            BlockedTime.starts_at < last,
            BlockedTime.ends_at > first,
            BlockedTime.removed_at.is_null(),
        )
        .order_by(BlockedTime.id)
    ):
        window = solver.Window(minutes(start), minutes(end))
        if clinician is not None:
            absences[clinician].append(window)
        elif room is not None:
            outages.append(solver.Outage(window=window, room=str(room)))
        else:
            outages.append(solver.Outage(window=window, location=str(location)))
    return absences, outages


def solver_room(row: Room) -> solver.Room:
    """A room in the solver's terms, but for when it is open."""
    return solver.Room(
        id=str(row.id),
        location=str(row.location_id),
        features=frozenset(row.features),
        seats=row.seats,
        turnover=row.turnover_minutes,
    )


def _service(row: Service) -> solver.Service:
    return solver.Service(
        id=str(row.id),
        duration=row.minutes,
        buffer_before=row.buffer_before,
        buffer_after=row.buffer_after,
        room_features=frozenset(row.room_features),
        modalities=frozenset(
            modality
            for modality, allowed in (
                (solver.Modality.IN_PERSON, row.in_person),
                (solver.Modality.TELEHEALTH, row.video),
            )
            if allowed
        ),
    )


KINDS = {
    State.CONFIRMED.value: solver.BusyKind.CONFIRMED,
    State.REQUESTED.value: solver.BusyKind.PENDING,
}


def busy_ref(chain: int, appointment_id: int, offer_id: int | None = None) -> str:
    """What the solver calls a row: by its chain, then the appointment, then the slot on offer."""
    return f"{chain}:{appointment_id}:{offer_id or ''}"


def _busy(the: Plan, first: datetime, last: datetime, now: datetime) -> tuple[solver.Busy, ...]:
    """What is taken.

    Sessions may change rooms among themselves, unless a room is pinned, or they begin so soon
    that somebody may already be on the way to a door.
    """
    soon = now + timedelta(minutes=the.practice.answer_margin_minutes)
    session = (
        Appointment.id,
        Appointment.chain,
        Appointment.service,
        Appointment.room_pinned,
        Appointment.state,
        Appointment.buffer_before,
        Appointment.buffer_after,
        Client.id,
        Client.first_member,
        Client.second_member,
    )

    def columns(source: type[Appointment] | type[OfferedSlot]) -> tuple[object, ...]:
        return (
            source.id,
            source.starts_at,
            source.ends_at,
            source.clinician,
            source.clinician_location,
            source.room,
        )

    appointments = (
        Appointment.select(*columns(Appointment), *session)
        .join(Client)
        .where(
            Appointment.starts_at.between(first, last), Appointment.state.in_(list(HOLDS_ITS_TIME))
        )
        .order_by(Appointment.id)  # The same book is the same problem, whatever holds it.
    )
    offers = (
        OfferedSlot.select(*columns(OfferedSlot), *session)
        .join(Appointment)
        .join(Client)
        .where(OfferedSlot.starts_at.between(first, last), OfferedSlot.state == OfferState.HELD)
        .order_by(OfferedSlot.id)
    )
    rows = [("a", row) for row in tuples(appointments)] + [("o", row) for row in tuples(offers)]
    busy = []
    for letter, (
        id_,
        start,
        end,
        clinician,
        place,
        room,
        appointment,
        chain,
        service,
        pinned,
        state,
        before,
        after,
        *who,
    ) in rows:
        client, first_member, second_member = who
        others: tuple[str, ...] = ()
        if room is not None and place is not None and not pinned and start > soon:
            others = the.rooms_beside(service, place, str(room))
        busy.append(
            solver.Busy(
                ref=busy_ref(chain, appointment, id_ if letter == "o" else None),
                kind=KINDS[state] if letter == "a" else solver.BusyKind.HELD,
                start=minutes(start),
                end=minutes(end),
                clinician=str(clinician),
                clients=(
                    (str(client),)
                    if first_member is None
                    else (str(first_member), str(second_member))
                ),
                room=None if room is None else str(room),
                location=None if place is None else str(place),
                buffer_before=before,
                buffer_after=after,
                other_rooms=others,
            )
        )
    busy.sort(key=lambda b: (b.start, b.ref))
    return tuple(busy)


def request_for(the: Plan, wish: Wish, problem: solver.Problem) -> solver.Request:
    """A wish in the solver's terms."""
    service = the.services[wish.service_id]
    mine = f"{wish.chain}:"
    return solver.Request(
        id="wish",
        service=str(wish.service_id),
        clients=tuple(str(person) for person in wish.person_ids),
        seats=service.seats,
        allowed_modalities=frozenset({solver.Modality(wish.modality)}),
        allowed_clinicians=tuple(str(c) for c in wish.clinician_ids),
        allowed_locations=None if wish.location_id is None else frozenset({str(wish.location_id)}),
        ignore_refs=frozenset(b.ref for b in problem.busy if b.ref.startswith(mine)),
    )


def judge(
    problem: solver.Problem,
    request: solver.Request,
    start: int,
    *,
    waived: frozenset[Rule] = frozenset(),
) -> tuple[list[Place], tuple[Rule, ...]]:
    """The word on a start: where it can be had, or else what forbids it where it comes nearest.

    A booking is judged by it, and so is the clinician's question why a time is not offered.
    """
    free: list[Place] = []
    misses: list[tuple[Rule, ...]] = []
    for place in candidates.places(problem, request):
        broken = candidates.broken_rules(problem, request, place, start)
        misses.append(tuple(rule for rule in broken if rule not in waived))
        if not misses[-1]:
            free.append(place)
    return free, min(misses, key=len, default=(Rule.HOURS,))


def judged_day(
    wishes: Iterable[Wish], day: date, *, zone: ZoneInfo, at: datetime | None, now: datetime
) -> dict[datetime, list[tuple[Rule, ...]]]:
    """Each grid time within hours of a day, and `at`, with what forbids it, wish by wish."""
    the, wishes = plan(), list(wishes)
    opens, closes = wall(day, 0, zone), wall(day, 24 * 60, zone)
    problem = facts(the, since=opens, until=closes, now=now)
    requests = [request_for(the, wish, problem) for wish in wishes]
    grid = Zone(zone.key).grid([(minutes(opens), minutes(closes))], the.practice.grid_minutes)
    hours = [
        block.window for wish in wishes for c in wish.clinician_ids for block in the.blocks(c, day)
    ]
    starts = {start for start in grid if any(w.start <= start < w.end for w in hours)}
    if at is not None:
        starts.add(minutes(at))
    return {
        instant(start): [judge(problem, request, start)[1] for request in requests]
        for start in sorted(starts)
    }


def slot(
    wish: Wish,
    starts_at: datetime,
    *,
    now: datetime,
    waived: frozenset[Rule] = frozenset(),
    keep_room: int | None = None,
) -> Slot:
    """The session that `wish` gets at a time: with the least busy clinician who can, then by id.

    The room is `keep_room` when it is free, else the one that wastes least.

    Raises:
        NotFree: nobody can then; `rules` are those of whoever comes nearest.
    """
    the = plan()
    service = the.services[wish.service_id]
    ends_at = starts_at + timedelta(minutes=service.minutes)
    week = timedelta(days=4)
    problem = facts(the, since=starts_at - week, until=ends_at + week, now=now)
    request = request_for(the, wish, problem)
    start = minutes(starts_at)
    free, rules = judge(problem, request, start, waived=waived)
    if not free:
        raise NotFree(rules)
    load: defaultdict[str | None, int] = defaultdict(int)
    for row in problem.busy:
        load[row.clinician] += 1
    place = min(free, key=lambda p: (load[p.clinician], int(p.clinician)))
    room, swaps = room_for(problem, request, place, start, keep_room)
    sits = None if place.location is None else int(place.location)
    return Slot(
        starts_at=starts_at,
        ends_at=ends_at,
        clinician_id=int(place.clinician),
        location_id=sits if wish.modality is Modality.IN_PERSON else None,
        clinician_location_id=sits,
        room_id=room,
        modality=wish.modality,
        swaps=swaps,
    )


def room_for(
    problem: solver.Problem,
    request: solver.Request,
    place: Place,
    start: int,
    keep_room: int | None = None,
) -> tuple[int | None, tuple[RoomSwap, ...]]:
    """The room that a session gets at a place where it is free, and who has to leave it."""
    if str(keep_room) in candidates.free_rooms(problem, request, place, start):
        return keep_room, ()
    found = candidates.room_for(problem, request, place, start)
    return (None, ()) if found is None else (int(found[0]), room_swaps(found[1]))


def room_swaps(swaps: Iterable[Swap]) -> tuple[RoomSwap, ...]:
    """The solver's swaps in the book's terms."""
    return tuple(RoomSwap(*named, int(swap.room)) for swap in swaps if (named := _named(swap.ref)))


def with_swaps(rows: Iterable[solver.Busy], swaps: Iterable[RoomSwap]) -> tuple[solver.Busy, ...]:
    """What is taken once these have changed rooms; they do not change again."""
    moved = {(swap.appointment_id, swap.offer_id): str(swap.room_id) for swap in swaps}
    found = []
    for row in rows:
        named = _named(row.ref)
        if named in moved:
            row = replace(row, room=moved[named], other_rooms=())
        found.append(row)
    return tuple(found)


def _named(ref: str) -> tuple[int, int | None] | None:
    """The appointment, and the slot on offer, of a row of the book."""
    _, appointment, *offer = ref.split(":")
    return (int(appointment), int(offer[0]) if offer[0] else None) if offer else None


def wish_of(appointment: Appointment) -> Wish:
    """The wish that an appointment was, for looking at its time again."""
    return Wish(
        service_id=appointment.service_id,
        modality=Modality(appointment.modality),
        location_id=appointment.location_id,
        clinician_ids=(appointment.clinician_id,),
        person_ids=appointment.client.person_ids,
        chain=appointment.chain,
    )
