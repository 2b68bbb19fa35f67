"""Which times are free: what `availability` judges one by one, said of thousands of starts at once.

Rows stay tuples of numbers, and a start is a place in a sorted list, from which each stretch that
is taken strikes some out. Rooms that would have to be swapped are searched for only where nothing
else is in the way: docs/adr/0024.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from heapq import merge
from itertools import chain, compress, groupby
from operator import itemgetter, sub
from zoneinfo import ZoneInfo

from booking.availability import ONE_DAY, Plan, Wish, instant, minutes, plan, wall
from booking.db import database
from booking.lifecycle import HOLDS_ITS_TIME
from booking.models import Clinician, Modality, OfferState
from solver.candidates import gaps
from solver.local_time import Zone
from solver.problem import DAY
from solver.rooms import MOST_SWAPS, Office, Sitting

SPARE = 3  # Days with working hours that are read besides those of a page, as some may be full.
EVER = 1 << 60

Range = tuple[int, int]
Row = tuple[int, int, int, int, int, int | None, int | None, int, int, bool, bool]
"""Clinician, start, end, minutes before and after, office, room, chain, service, whether the room
is pinned, and whether the wish is for somebody who is there."""

START, END = itemgetter(1), itemgetter(2)

BLOCKED = """
    SELECT clinician_id, room_id, location_id, starts_at / 60, ends_at / 60 FROM blocked_time
    WHERE ends_at > {first} AND starts_at < {last} AND removed_at IS NULL
"""
TAKEN = """
    SELECT {row}.clinician_id, {row}.starts_at / 60, {row}.ends_at / 60, a.buffer_before,
        a.buffer_after, {row}.clinician_location_id, {row}.room_id, a.chain, a.service_id,
        a.room_pinned, a.client_id IN ({theirs})
    FROM {tables}
    WHERE {row}.state IN ({states}) AND {row}.starts_at BETWEEN {first} AND {last}
        AND (+{row}.location_id IN ({offices}) OR +{row}.clinician_id IN ({clinicians})
            OR +a.client_id IN ({theirs}))
"""
"""The signs keep SQLite from an index that holds whatever a clinician ever did."""
THEIRS = """
    SELECT id FROM client
    WHERE id IN ({people}) OR first_member_id IN ({people}) OR second_member_id IN ({people})
"""
SESSIONS = {
    "row": "a",
    "tables": "appointment AS a",
    "states": ", ".join(f"'{state}'" for state in sorted(HOLDS_ITS_TIME)),
}
OFFERS = {
    "row": "o",
    "tables": "offered_slot AS o JOIN appointment AS a ON a.id = o.appointment_id",
    "states": f"'{OfferState.HELD}'",
}


def free_days(
    wish: Wish, *, since: date, zone: ZoneInfo, now: datetime, most_days: int = 10
) -> tuple[list[tuple[date, list[datetime]]], date | None]:
    """The next days that have free times, with those times, and where to go on looking.

    Days are those of `zone`. The second value is None when the horizon is reached.
    """
    the = plan()
    today = now.astimezone(zone).date()
    last = today + timedelta(days=_horizon(the, wish.clinician_ids) + 1)  # It is the office's days.
    day = max(since, today)
    found: defaultdict[date, list[datetime]] = defaultdict(list)
    while day <= last:
        stop = min(_after_some_days(the, wish, day, most_days + SPARE), last + ONE_DAY)
        for start in _free_starts(the, wish, wall(day, 0, zone), wall(stop, 0, zone), now):
            on = start.astimezone(zone).date()
            if len(found) == most_days and on not in found:
                return list(found.items()), on
            found[on].append(start)
        day = stop
    return list(found.items()), None


def _horizon(the: Plan, clinician_ids: Iterable[int]) -> int:
    """How many days ahead the last of them can be asked for."""
    return max((the.horizon(the.clinicians[c]) for c in clinician_ids), default=0)


def _after_some_days(the: Plan, wish: Wish, day: date, count: int) -> date:
    """Where a stretch ends that begins on `day` and has so many days with working hours in it."""
    working, stop = 0, day
    while working < count and stop < day + 4 * count * ONE_DAY:
        working += any(the.blocks(c, stop) for c in wish.clinician_ids)
        stop += ONE_DAY
    return stop


def free_starts(wish: Wish, *, since: datetime, until: datetime, now: datetime) -> list[datetime]:
    """Every free time between two instants; three queries, whatever the span."""
    return list(_free_starts(plan(), wish, since, until, now))


def _free_starts(
    the: Plan, wish: Wish, since: datetime, until: datetime, now: datetime
) -> Iterator[datetime]:
    span = minutes(since), minutes(until)
    return map(instant, _Book(the, [wish], span, now).free(wish, span))


def count_free(searches: list[tuple[Wish, date]], *, zone: ZoneInfo, now: datetime) -> list[int]:
    """How many times `free_days` would list for each wish of one client from its day on.

    Three queries in all.
    """
    the = plan()
    wishes = [wish for wish, _ in searches]
    farthest = max((_horizon(the, wish.clinician_ids) for wish in wishes), default=0)
    until = wall(now.astimezone(zone).date() + timedelta(days=farthest + 2), 0, zone)
    whole = minutes(now), minutes(until)
    book = _Book(the, wishes, whole, now)
    return [
        sum(1 for _ in book.free(wish, (max(whole[0], minutes(wall(day, 0, zone))), whole[1])))
        for wish, day in searches
    ]


class _Book:
    """What is taken in a span, and the day before and after, of whatever some wishes touch."""

    def __init__(self, the: Plan, wishes: list[Wish], span: Range, now: datetime) -> None:
        self._the, self._now = the, minutes(now)
        self._soon = minutes(now) + the.practice.answer_margin_minutes
        self._span = span[0] - DAY, span[1] + DAY
        self._zones = {id_: Zone(row.zone) for id_, row in the.locations.items()}
        self._home = Zone(the.practice.zone)
        self._gone: defaultdict[int, list[Range]] = defaultdict(list)
        self._closed_rooms: defaultdict[int, list[Range]] = defaultdict(list)
        self._closed_offices: defaultdict[int | None, list[Range]] = defaultdict(list)
        self._of_clinician: defaultdict[int, list[Row]] = defaultdict(list)
        self._read(wishes)

    def _read(self, wishes: list[Wish]) -> None:
        first, last = (60 * minute for minute in self._span)
        for clinician, room, office, start, end in database.execute_sql(
            BLOCKED.format(first=first, last=last)
        ):
            if clinician is not None:
                self._gone[clinician].append((start, end))
            elif room is not None:
                self._closed_rooms[room].append((start, end))
            else:
                self._closed_offices[office].append((start, end))
        people = {wish.person_ids for wish in wishes} or {()}
        ((*persons,),) = people  # Of one client.
        offices = {
            place
            for wish in wishes
            if wish.modality is Modality.IN_PERSON
            for _, place in self._places(wish)
        }
        span = {
            "first": first,
            "last": last,
            "clinicians": _listed(c for wish in wishes for c in wish.clinician_ids),
            "offices": _listed(offices),
            "theirs": THEIRS.format(people=_listed(persons)) if persons else "0",
        }
        sessions, offers = (TAKEN.format(**span, **kind) for kind in (SESSIONS, OFFERS))
        self._rows = sorted(database.execute_sql(f"{sessions} UNION ALL {offers}"), key=START)
        for row in self._rows:
            self._of_clinician[row[0]].append(row)
        self._theirs = [row for row in self._rows if row[10]] if persons else []
        self._begin = [*map(START, self._rows)]
        self._longest = max(map(sub, map(END, self._rows), self._begin), default=0)

    def _near(self, first: int, last: int) -> list[Row]:
        """Whatever is taken between two instants, and some of what is over."""
        begin = self._begin
        return self._rows[bisect_left(begin, first - self._longest) : bisect_left(begin, last)]

    def _places(self, wish: Wish) -> Iterator[tuple[Clinician, int | None]]:
        """Who could give it where: by video from any office, or from home."""
        the, service = self._the, self._the.services[wish.service_id]
        video = wish.modality is Modality.VIDEO
        for clinician in map(the.clinicians.__getitem__, dict.fromkeys(wish.clinician_ids)):
            if (
                clinician.active
                and (clinician.id, service.id) in the.offers
                and (service.video if video else service.in_person)
            ):
                for place in {row.location_id for row in the.hours.get(clinician.id, ())}:
                    if video or (place is not None and wish.location_id in (None, place)):
                        yield clinician, place

    def free(self, wish: Wish, span: Range) -> Iterator[int]:
        """The starts within a span at which the wish can be had, in order.

        Rooms are looked for when a day's first start is asked for.
        """
        found: defaultdict[int | None, set[int]] = defaultdict(set)
        for clinician, place in self._places(wish):
            known = found[None if wish.modality is Modality.VIDEO else place]
            known.update(self._between_sessions(wish, clinician, place, span, known))
        in_order = (
            sorted(starts) if place is None else self._with_room(wish, place, sorted(starts))
            for place, starts in found.items()
        )
        return (start for start, _ in groupby(merge(*in_order)))

    def _between_sessions(
        self, wish: Wish, clinician: Clinician, place: int | None, span: Range, known: set[int]
    ) -> Iterable[int]:
        """When else a clinician could do it at a place, whatever the rooms there."""
        the, service = self._the, self._the.services[wish.service_id]
        span = max(span[0], self._now + the.notice(clinician)), span[1]
        starts = [s for s in self._in_hours(wish, clinician, place, span) if s not in known]
        if not starts or clinician.max_sessions_day == 0:
            return ()
        zone, length = self._zone(place), service.minutes
        beyond = (zone.local(self._now) // DAY + the.horizon(clinician) + 1) * DAY
        taken = [
            *zone.instants(beyond, EVER, span),
            *(
                (a - length + 1, b)
                for a, b in (*self._gone[clinician.id], *self._closed_offices[place])
            ),
            *((row[1] - length + 1, row[2]) for row in self._theirs if row[7] != wish.chain),
        ]
        rows = [row for row in self._of_clinician[clinician.id] if row[7] != wish.chain]
        offices = {row[5] for row in rows}
        go = {there: service.buffer_after + length - 1 + the.way(place, there) for there in offices}
        come = {there: service.buffer_before + the.way(there, place) for there in offices}
        taken += [(row[1] - row[3] - go[row[5]], row[2] + row[4] + come[row[5]]) for row in rows]
        if clinician.max_sessions_day is not None:
            days: Counter[int] = Counter()
            for there in offices:
                days += self._zone(there).days(row[1] for row in rows if row[5] == there)
            for day, sessions in days.items():
                if sessions >= clinician.max_sessions_day:
                    taken += zone.instants(day * DAY, (day + 1) * DAY, span)
        return compress(starts, _outside(starts, taken))

    def _in_hours(
        self, wish: Wish, clinician: Clinician, place: int | None, span: Range
    ) -> list[int]:
        first, last = (instant(minute).toordinal() // 7 for minute in self._span)
        length = self._the.services[wish.service_id].minutes
        weeks = (
            self._the.starts(clinician.id, week, place, wish.modality, length)
            for week in range(first, last + 1)
        )
        starts = sorted(chain.from_iterable(weeks))
        return starts[bisect_left(starts, span[0]) : bisect_left(starts, span[1])]

    def _zone(self, place: int | None) -> Zone:
        return self._home if place is None else self._zones[place]

    def _with_room(self, wish: Wish, place: int, starts: list[int]) -> Iterator[int]:
        """Those at which a room that suits is free, or can be made free, day by day."""
        length = self._the.services[wish.service_id].minutes
        suited = map(int, self._the.rooms_for(wish.service_id, place))
        rooms = {room: self._the.rooms[room].turnover_minutes for room in suited}
        closed = [(room, *stretch) for room in rooms for stretch in self._closed_rooms[room]]
        own, pause = wish.chain, max(rooms.values(), default=0)
        for _, day in groupby(starts, lambda start: start // DAY):
            free: list[int] = []
            crowded: list[int] = []
            for start in day:
                end = start + length
                taken = {
                    row[6]
                    for row in self._near(start - pause, end + pause)
                    if row[6] in rooms
                    and row[1] < end + rooms[row[6]]
                    and start < row[2] + rooms[row[6]]
                    and row[7] != own
                }
                taken.update(room for room, a, b in closed if a < end and start < b)
                (free if len(taken) < len(rooms) else crowded).append(start)
            if crowded:
                free += self._with_swaps(wish, place, crowded)
            yield from sorted(free)

    def _with_swaps(self, wish: Wish, place: int, day: list[int]) -> Iterator[int]:
        """Those of a day for which others can go to other rooms."""
        length = self._the.services[wish.service_id].minutes
        suited = sorted(self._the.rooms_for(wish.service_id, place))
        rooms = self._the.rooms_at(place)
        open_ = {
            str(id_): [*gaps(sorted(self._closed_rooms[id_]), self._span)]
            if self._the.rooms[id_].active
            else []
            for id_ in rooms
        }
        # As far as those can be who leave for one who leaves, and so on.
        hop = max((room.turnover for room in rooms.values()), default=0) + self._longest
        far = hop * (MOST_SWAPS + 1)
        near = [r for r in self._near(day[0] - far, day[-1] + length + far) if r[6] in rooms]
        office = Office([*rooms.values()], map(self._sitting, near), open_)
        own = frozenset(_ref(row) for row in near if row[7] == wish.chain)
        for start in day:
            if office.make_room(start, start + length, suited, own) is not None:
                yield start

    def _sitting(self, row: Row) -> Sitting:
        """Whoever may be on the way already stays where they are."""
        _, start, end, _, _, place, room, _, service, pinned, _ = row
        stays = place is None or pinned or start <= self._soon
        others = () if place is None or stays else self._the.rooms_beside(service, place, str(room))
        return Sitting(start, end, _ref(row), str(room), others)


def _outside(starts: list[int], taken: Iterable[Range]) -> bytearray:
    """Which of the sorted starts are in none of the stretches."""
    free = bytearray(b"\1") * len(starts)
    for start, end in taken:
        first = bisect_left(starts, start)
        last = bisect_left(starts, end, first)
        if first < last:
            free[first:last] = bytes(last - first)
    return free


def _ref(row: Row) -> str:
    """What no other row in the same room has."""
    return f"{row[7]}:{row[6]}:{row[1]}"


def _listed(numbers: Iterable[int | None]) -> str:
    """For SQL's `IN`, which PostgreSQL does not know of nothing; 0 is no row's."""
    return ", ".join(map(str, {*numbers})) or "0"
