"""The practice again in plain Python, as its rules say it should be: what an answer is judged by.

It shares no code with `availability`, `solver`, `occupancy`, `lifecycle`, `policy` or the
operations. It reads the practice's set-up once; of the book it learns only what it cannot know:
ids, which of several rooms or clinicians that would do were chosen, and when somebody wrote.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from booking.models import (
    Client,
    Clinician,
    ClinicianService,
    Holiday,
    Hours,
    Location,
    Practice,
    Room,
    Service,
    Travel,
)

MOST_SWAPS = 4  # As ADR 10 has it.
NOTHING = timedelta()

Place = tuple[int, int | None]
"""With whom, and where the clinician sits."""


def minutes(number: int) -> timedelta:
    return timedelta(minutes=number)


def whole_seconds(moment: datetime) -> datetime:
    """As it is kept."""
    return moment.replace(microsecond=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """The rows that describe the practice."""

    practice: Practice
    locations: dict[int, Location]
    rooms: dict[int, Room]
    services: dict[int, Service]
    clinicians: dict[int, Clinician]
    offers: frozenset[tuple[int, int]]
    hours: tuple[Hours, ...]
    holidays: frozenset[date]
    travel: dict[tuple[int, int], int]

    @classmethod
    def read(cls) -> "Setup":
        return cls(
            practice=Practice.get(),
            locations={row.id: row for row in Location.select().order_by(Location.id)},
            rooms={row.id: row for row in Room.select().order_by(Room.id)},
            services={row.id: row for row in Service.select().order_by(Service.id)},
            clinicians={row.id: row for row in Clinician.select().order_by(Clinician.id)},
            offers=frozenset((row.clinician_id, row.service_id) for row in ClinicianService),
            hours=tuple(Hours.select().order_by(Hours.id)),
            holidays=frozenset(row.day for row in Holiday.select()),
            travel={(row.origin_id, row.destination_id): row.minutes for row in Travel.select()},
        )

    def zone(self, location: int | None) -> ZoneInfo:
        return ZoneInfo(self.locations[location].zone if location else self.practice.zone)

    def suited_rooms(self, service: int, location: int | None) -> list[int]:
        """Rooms of an office in which a service can be held."""
        wants = self.services[service]
        return [
            room.id
            for room in self.rooms.values()
            if room.active
            and room.location_id == location
            and set(wants.room_features) <= set(room.features)
            and room.seats >= wants.seats
        ]

    def open_stretches(
        self, clinician: int, place: int | None, modality: str, day: date
    ) -> Iterator[tuple[datetime, datetime]]:
        """When somebody works at a place in some way on a day, by the wall clock there."""
        own = [row for row in self.hours if row.clinician_id == clinician]
        special = [row for row in own if row.day == day]
        usual = [row for row in own if row.day is None and row.weekday == day.weekday()]
        for row in special or ([] if day in self.holidays else usual):
            if row.opens is None or row.closes is None or row.location_id != place:
                continue
            if row.video if modality == "telehealth" else row.in_person and place is not None:
                yield self.wall(day, row.opens, place), self.wall(day, row.closes, place)

    def wall(self, day: date, minute: int, place: int | None) -> datetime:
        days, rest = divmod(minute, 24 * 60)
        shown = datetime.combine(day + timedelta(days=days), time(rest // 60, rest % 60))
        return shown.replace(tzinfo=self.zone(place)).astimezone(UTC)


@dataclass(slots=True, kw_only=True)
class Blocked:
    """Somebody or something is not there."""

    clinician: int | None
    room: int | None
    location: int | None
    starts_at: datetime
    ends_at: datetime

    def meets(self, start: datetime, end: datetime) -> bool:
        return self.starts_at < end and start < self.ends_at


@dataclass(slots=True, kw_only=True)
class Session:
    """Time with somebody somewhere: an appointment's own, or a slot held for it."""

    clinician: int
    location: int | None
    seat: int | None
    room: int | None
    modality: str
    starts_at: datetime
    ends_at: datetime
    held_until: datetime | None = None


@dataclass(slots=True)
class Decision:
    """What «Deshacer» would take back."""

    version: int
    answer_by: datetime
    at: datetime
    new_client: bool = False


@dataclass(slots=True, kw_only=True)
class Visit:
    """One appointment."""

    id: int
    chain: int
    replaces: int | None
    account: int | None
    client: int
    service: int
    session: Session
    before: timedelta
    after: timedelta
    state: str
    asked_at: datetime
    version: int = 1
    pinned: bool = False
    answer_by: datetime | None = None
    halfway_at: datetime | None = None
    remind_at: datetime | None = None
    displaced_at: datetime | None = None
    decided_at: datetime | None = None
    decision: Decision | None = None
    reminded: int = 0  # At which version somebody was reminded of it last.
    offers: dict[int, Session] = field(default_factory=dict)  # Those that are held.

    def move(self, state: str) -> None:
        """To another state, in which nothing is pending yet."""
        self.state, self.version = state, self.version + 1
        self.answer_by = self.halfway_at = self.remind_at = self.displaced_at = None

    def wait(self, until: datetime, now: datetime) -> None:
        """For an answer, with a reminder when half of the time is over."""
        self.answer_by = until
        self.halfway_at = whole_seconds(now + (until - now) / 2)

    @property
    def taken(self) -> list[Session]:
        """The time that is kept for it."""
        if self.state in ("requested", "confirmed"):
            return [self.session]
        return list(self.offers.values()) if self.state == "offered" else []


@dataclass(frozen=True, slots=True)
class Who:
    """On whose behalf something is done; a manager is staff without a clinician of their own."""

    staff: bool
    clinician: int | None = None
    account: int | None = None

    @property
    def manager(self) -> bool:
        return self.staff and self.clinician is None


@dataclass
class Rules:
    """What is taken by whom, and what is free."""

    setup: Setup
    visits: dict[int, Visit] = field(default_factory=dict)
    blocked: dict[int, Blocked] = field(default_factory=dict)
    kinds: dict[int, str] = field(default_factory=dict)
    people: dict[int, frozenset[int]] = field(default_factory=dict)
    reachable: set[int] = field(default_factory=set)  # Clients with an address of their own.
    known: set[int] = field(default_factory=set)
    access: set[tuple[int, int]] = field(default_factory=set)  # (account, client)

    # Who there is.

    def meet(self, client: Client, accounts: Iterable[int]) -> None:
        self.kinds[client.id] = client.kind
        self.people[client.id] = frozenset(client.person_ids)
        if client.email:
            self.reachable.add(client.id)
        if client.known_since is not None:
            self.known.add(client.id)
        self.access |= {(account, client.id) for account in accounts}

    def suits(self, service: Service, client: int) -> bool:
        if service.client_kinds and self.kinds[client] not in service.client_kinds:
            return False
        known = client in self.known
        return {"new": not known, "existing": known}.get(service.audience, True)

    def sees(self, who: Who, visit: Visit) -> bool:
        if not who.staff:
            return (who.account, visit.client) in self.access
        return who.manager or who.clinician == visit.session.clinician

    # Whether a time is free.

    def free_at(self, wish: Any, start: datetime, *, now: datetime, staff: bool) -> set[Place]:
        """Where a wish can be had at a time."""
        return {
            place
            for place in self._places(wish)
            if next(self.misses(wish, place, start, now=now, staff=staff), None) is None
        }

    def why_not(
        self, wish: Any, start: datetime, *, now: datetime, staff: bool
    ) -> dict[Place, list[str]]:
        """For whoever reads that the book and the model disagree."""
        return {
            place: list(self.misses(wish, place, start, now=now, staff=staff))
            for place in self._places(wish)
        }

    def _places(self, wish: Any) -> set[Place]:
        if wish.modality == "in_person":
            return {(clinician, wish.location_id) for clinician in wish.clinician_ids}
        return {
            (row.clinician_id, row.location_id)
            for row in self.setup.hours
            if row.video and row.clinician_id in wish.clinician_ids
        }

    def misses(
        self, wish: Any, place: Place, start: datetime, *, now: datetime, staff: bool
    ) -> Iterator[str]:
        """Every rule that says no."""
        clinician, seat = place
        service = self.setup.services[wish.service_id]
        end = start + minutes(service.minutes)
        if not self._offered(service, wish, clinician):
            yield "does not offer it"
        if not self._in_hours(wish, place, start, end):
            yield "outside hours"
        if any(
            block.meets(start, end)
            and (block.clinician == clinician or (seat is not None and block.location == seat))
            for block in self.blocked.values()
        ):
            yield "away"
        if not staff:
            yield from self._too_soon_or_far(clinician, seat, start, now)
        others = [(v, s) for v, s in self._sessions() if v.chain != wish.chain]
        yield from self._agenda(service, place, start, end, others)
        if any(
            self.people[v.client] & set(wish.person_ids) and s.starts_at < end and start < s.ends_at
            for v, s in others
        ):
            yield "client elsewhere"
        if wish.modality == "in_person" and self.room_swaps(wish, start, end, now) is None:
            yield "no room"

    def _offered(self, service: Service, wish: Any, clinician: int) -> bool:
        way = service.in_person if wish.modality == "in_person" else service.video
        return bool(
            way
            and (clinician, service.id) in self.setup.offers
            and self.setup.clinicians[clinician].active
        )

    def _in_hours(self, wish: Any, place: Place, start: datetime, end: datetime) -> bool:
        """Stretches that touch are one."""
        day = start.astimezone(self.setup.zone(place[1])).date()
        reached = start
        for opens, closes in sorted(
            stretch
            for days in (-1, 0, 1)
            for stretch in self.setup.open_stretches(
                place[0], place[1], wish.modality, day + timedelta(days=days)
            )
        ):
            if opens <= reached < closes:
                reached = closes
        return reached >= end

    def _too_soon_or_far(
        self, clinician: int, seat: int | None, start: datetime, now: datetime
    ) -> Iterator[str]:
        practice, own = self.setup.practice, self.setup.clinicians[clinician]
        notice = practice.notice_minutes if own.notice_minutes is None else own.notice_minutes
        notice = max(notice, practice.answer_margin_minutes + 1)
        horizon = practice.horizon_days if own.horizon_days is None else own.horizon_days
        zone = self.setup.zone(seat)
        there, today = start.astimezone(zone), now.astimezone(zone).date()
        if start < now.replace(second=0, microsecond=0) + minutes(notice):
            yield "too soon"
        if (there.date() - today).days > horizon:
            yield "too far"
        if (there.hour * 60 + there.minute) % practice.grid_minutes or there.second:
            yield "off the grid"

    def _agenda(
        self,
        service: Service,
        place: Place,
        start: datetime,
        end: datetime,
        others: list[tuple[Visit, Session]],
    ) -> Iterator[str]:
        clinician, seat = place
        busy_from = start - minutes(service.buffer_before)
        busy_until = end + minutes(service.buffer_after)
        own = [(v, s) for v, s in others if s.clinician == clinician]
        if any(
            busy_from < s.ends_at + v.after + self._way(s.seat, seat)
            and s.starts_at - v.before < busy_until + self._way(seat, s.seat)
            for v, s in own
        ):
            yield "clinician busy"
        most = self.setup.clinicians[clinician].max_sessions_day
        day = start.astimezone(self.setup.zone(seat)).date()
        that_day = sum(
            s.starts_at.astimezone(self.setup.zone(s.seat)).date() == day for _, s in own
        )
        if most is not None and that_day >= most:
            yield "day full"

    def _way(self, here: int | None, there: int | None) -> timedelta:
        if here is None or there is None or here == there:
            return NOTHING
        return minutes(self.setup.travel.get((here, there), 0))

    def _sessions(self) -> Iterator[tuple[Visit, Session]]:
        for visit in self.visits.values():
            for session in visit.taken:
                yield visit, session

    # Whether there is a room, or one can be made free.

    def room_swaps(self, wish: Any, start: datetime, end: datetime, now: datetime) -> int | None:
        """How many sessions have to go to other rooms so that one is free; None: no way.

        Assignments of rooms are tried breadth first: whoever stands in a room at the same time
        as another, and has not moved yet, goes to each of its other rooms in turn.
        """
        sessions = self._in_rooms(wish.location_id, start, end)
        movable = [self._other_rooms(visit, s, now, wish.chain) for visit, s in sessions]
        spans = [(s.starts_at, s.ends_at) for _, s in sessions] + [(start, end)]
        chains = [visit.chain for visit, _ in sessions] + [wish.chain]
        new, own = len(sessions), wish.chain
        edge = [
            ((*(s.room for _, s in sessions), room), frozenset({new}))
            for room in self.setup.suited_rooms(wish.service_id, wish.location_id)
            if self._room_open(room, start, end)
        ]
        for swaps in range(MOST_SWAPS + 1):
            following = []
            for rooms, moved in edge:
                clash = self._clash(rooms, moved, spans, [chain == own for chain in chains])
                if clash is None:
                    return swaps
                if clash in moved:
                    continue
                following += [
                    ((*rooms[:clash], room, *rooms[clash + 1 :]), moved | {clash})
                    for room in movable[clash]
                    if self._room_open(room, *spans[clash])
                ]
            edge = list(dict.fromkeys(following))
        return None

    def _clash(
        self,
        rooms: tuple[int | None, ...],
        moved: frozenset[int],
        spans: list[tuple[datetime, datetime]],
        own: list[bool],
    ) -> int | None:
        """A session that has to move for one that did; one that moved already is a dead end."""
        new, found = len(rooms) - 1, None
        for one in moved:
            turnover = minutes(self.setup.rooms[rooms[one] or 0].turnover_minutes)
            for other, room in enumerate(rooms):
                if other == one or room != rooms[one] or (one == new and own[other]):
                    continue
                a, b = spans[one], spans[other]
                if a[0] < b[1] + turnover and b[0] < a[1] + turnover:
                    if other in moved:
                        return other
                    found = other
        return found

    def _in_rooms(
        self, location: int | None, start: datetime, end: datetime
    ) -> list[tuple[Visit, Session]]:
        """Sessions of an office that may have to do with a stretch, through others in between."""
        room_ids = {r.id for r in self.setup.rooms.values() if r.location_id == location}
        rest = [(v, s) for v, s in self._sessions() if s.room in room_ids]
        margin = minutes(max((self.setup.rooms[r].turnover_minutes for r in room_ids), default=0))
        near: list[tuple[Visit, Session]] = []
        spans = [(start, end)]
        while spans:
            opens, closes = spans.pop()
            hit = [
                (v, s)
                for v, s in rest
                if s.starts_at < closes + margin and opens < s.ends_at + margin
            ]
            rest = [pair for pair in rest if not any(pair[1] is s for _, s in hit)]
            near += hit
            spans += [(s.starts_at, s.ends_at) for _, s in hit]
        return near

    def _other_rooms(
        self, visit: Visit, session: Session, now: datetime, chain: int | None
    ) -> list[int]:
        """Where a session could go; not when it is pinned, soon, or of the chain that asks."""
        if visit.chain == chain or not self.may_change_room(visit, session, now):
            return []
        suited = self.setup.suited_rooms(visit.service, session.seat)
        return [room for room in suited if room != session.room]

    def may_change_room(self, visit: Visit, session: Session, now: datetime) -> bool:
        soon = now + minutes(self.setup.practice.answer_margin_minutes)
        return not visit.pinned and session.starts_at > soon

    def _room_open(self, room: int, start: datetime, end: datetime) -> bool:
        return not any(b.room == room and b.meets(start, end) for b in self.blocked.values())
