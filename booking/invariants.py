"""What must never be true of a book, asked of its rows alone; each answer is a list of violations.

None of these trusts the code that is meant to keep them: not the occupancy table, not the
solver's candidates, not the gateway.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from booking.db import database, tuples
from booking.lifecycle import BIRTHS, LEGAL, Event, State
from booking.models import (
    Appointment,
    BlockedTime,
    Client,
    Holiday,
    Hours,
    Location,
    Modality,
    OfferedSlot,
    OfferState,
    OneTimeKey,
    OutboxMessage,
    Practice,
    Replan,
    ReplanRow,
    Resource,
    SignIn,
    folded,
)
from booking.notifications import Kind

Violation = tuple[Any, ...]

# Everything that takes somebody's time: open appointments, and the slots held for a client.
ACTIVE = """
WITH session AS (
    SELECT chain, client_id, clinician_id, room_id, starts_at, ends_at,
           buffer_before, buffer_after
    FROM appointment WHERE state IN ('requested', 'confirmed')
    UNION ALL
    SELECT a.chain, a.client_id, o.clinician_id, o.room_id, o.starts_at, o.ends_at,
           a.buffer_before, a.buffer_after
    FROM offered_slot AS o JOIN appointment AS a ON a.id = o.appointment_id
    WHERE o.state = 'held'
)
"""

OF_CLINICIAN = """
SELECT clinician_id AS who, chain,
       starts_at - 60 * buffer_before AS busy_from, ends_at + 60 * buffer_after AS busy_until
FROM session
"""

OF_ROOM = """
SELECT room_id AS who, chain,
       starts_at AS busy_from, ends_at + 60 * turnover_minutes AS busy_until
FROM session JOIN room ON room.id = room_id
"""

# Turnover may have changed since a room was taken, so only the sessions count for the guard.
OF_ROOM_ALONE = """
SELECT room_id AS who, chain, starts_at AS busy_from, ends_at AS busy_until
FROM session WHERE room_id IS NOT NULL
"""

OF_CLIENT = """
SELECT COALESCE(first_member_id, client.id) AS who, chain,
       starts_at AS busy_from, ends_at AS busy_until
FROM session JOIN client ON client.id = client_id
UNION ALL
SELECT second_member_id, chain, starts_at, ends_at
FROM session JOIN client ON client.id = client_id WHERE second_member_id IS NOT NULL
"""

BY_TIME = "SELECT who, chain, busy_from, busy_until FROM ({taken}) AS taken ORDER BY 1, 3"

Stretch = tuple[int, int]


def clinician_in_two_sessions() -> list[Violation]:
    """I1: no clinician has two chains at once, minutes before and after included."""
    return overlaps(OF_CLINICIAN)


def room_in_two_sessions() -> list[Violation]:
    """I2: no room has two chains at once."""
    return overlaps(OF_ROOM_ALONE)


def room_without_its_turnover() -> list[Violation]:
    """I2: between two chains a room has its minutes, unless these were changed afterwards."""
    return overlaps(OF_ROOM)


def client_in_two_sessions() -> list[Violation]:
    """I3: nobody is in two chains at once, alone or as one of a couple."""
    return overlaps(OF_CLIENT)


def overlaps(taken: str) -> list[Violation]:
    """Who has two chains at once: one walk along the time, whatever the size of the book."""
    wrong: list[Violation] = []
    whose, open_ = None, list[Any]()
    for who, chain, start, end in rows(ACTIVE + BY_TIME.format(taken=taken)):
        open_ = [other for other in open_ if who == whose and other[2] > start]
        whose = who
        wrong += [(who, other[0], chain, other[1], start) for other in open_ if other[0] != chain]
        open_.append((chain, start, end))
    return wrong


def guard_that_looks_elsewhere() -> list[Violation]:
    """I1–I3: what the database's own guard compares is no less than what is active."""
    kept = _kept()
    return [
        (*key, start, end)
        for key, stretches in _taken().items()
        for start, end in stretches
        if not any(since <= start and end <= until for since, until in kept.get(key, ()))
    ]


def time_kept_for_nobody() -> list[Violation]:
    """I13: what the guard compares is no more than what is active, or free time is refused."""
    taken = _taken()
    wrong: list[Violation] = []
    for key, stretches in _kept().items():
        starts = {start for start, _ in taken.get(key, ())}
        ends = {end for _, end in taken.get(key, ())}
        wrong += [
            (*key, start, end)
            for start, end in stretches
            if start not in starts or (end not in ends and key[0] != Resource.ROOM)
        ]
    return wrong


def _taken() -> dict[tuple[str, int, int], list[Stretch]]:
    found: defaultdict[tuple[str, int, int], list[Stretch]] = defaultdict(list)
    for resource, taken in (
        (Resource.CLINICIAN, OF_CLINICIAN),
        (Resource.ROOM, OF_ROOM_ALONE),
        (Resource.CLIENT, OF_CLIENT),
    ):
        for who, chain, start, end in rows(f"{ACTIVE} {taken}"):
            found[resource.value, who, chain].append((start, end))
    return found


def _kept() -> dict[tuple[str, int, int], list[Stretch]]:
    found: defaultdict[tuple[str, int, int], list[Stretch]] = defaultdict(list)
    for resource, who, chain, start, end in rows(
        "SELECT resource, resource_id, chain, busy_from, busy_until FROM occupancy"
    ):
        found[resource, who, chain].append((start, end))
    return found


def history_with_gaps() -> list[Violation]:
    """I4: one row for each version, from 1 on, and the last one is where the appointment is."""
    return rows(
        """
        SELECT a.id, a.version, a.state, COUNT(h.id), MIN(h.version), MAX(h.version)
        FROM appointment AS a LEFT JOIN history AS h ON h.appointment_id = a.id
        GROUP BY a.id, a.version, a.state
        HAVING COUNT(h.id) <> a.version OR MIN(h.version) <> 1 OR MAX(h.version) <> a.version
            OR a.state <> (SELECT l.after FROM history AS l
                           WHERE l.appointment_id = a.id ORDER BY l.version DESC LIMIT 1)
        """
    )


def illegal_paths() -> list[Violation]:
    """I4: each change begins where the one before it ended, and the lifecycle knows it."""
    wrong: list[Violation] = []
    where: dict[int, str] = {}
    for id_, version, event, before, after in rows(
        "SELECT appointment_id, version, event, before, after FROM history ORDER BY 1, 2"
    ):
        legal = (LEGAL.get((before, event)) if before else BIRTHS.get(event)) == after
        if not legal or where.get(id_, "") != before:
            wrong.append((id_, version, event, before, after))
        where[id_] = after
    return wrong


OWED: dict[Event, tuple[set[Kind], ...]] = {
    Event.ASK: ({Kind.REQUEST_RECEIVED, Kind.STAFF_REQUEST_RECEIVED},),
    Event.BOOK: ({Kind.APPOINTMENT_BOOKED}, {Kind.APPOINTMENT_MOVED}),
    Event.ACCEPT: ({Kind.REQUEST_ACCEPTED},),
    Event.DENY: ({Kind.REQUEST_DENIED},),
    Event.OFFER: ({Kind.SLOTS_OFFERED},),
    Event.TAKE: ({Kind.OFFER_TAKEN, Kind.STAFF_OFFER_TAKEN},),
    Event.DECLINE: ({Kind.STAFF_OFFER_DECLINED},),
    Event.LAPSE: ({Kind.OFFER_LAPSED, Kind.STAFF_OFFER_DECLINED},),
    Event.EXPIRE: ({Kind.REQUEST_EXPIRED, Kind.STAFF_REQUEST_EXPIRED},),
    # A request to move a session goes with it, and the session's message says so.
    Event.CANCEL: ({Kind.APPOINTMENT_CANCELLED, Kind.STAFF_APPOINTMENT_CANCELLED}, set()),
    Event.LATE_CANCEL: ({Kind.APPOINTMENT_CANCELLED, Kind.STAFF_APPOINTMENT_CANCELLED},),
    Event.CANCEL_BY_PRACTICE: ({Kind.APPOINTMENT_CANCELLED}, set()),
    Event.DISPLACE: ({Kind.SESSION_DISPLACED},),
    Event.GIVE_UP: ({Kind.APPOINTMENT_CANCELLED, Kind.STAFF_OFFER_DECLINED},),
    Event.RUN_OUT: ({Kind.APPOINTMENT_CANCELLED, Kind.STAFF_OFFER_DECLINED},),
    Event.REPLACE: (set(),),
    Event.UNDO: (set(),),
    Event.ATTEND: (set(),),
    Event.MISS: (set(),),
}
REMINDERS = {Kind.STAFF_REQUEST_WAITING, Kind.OFFER_REMINDED, Kind.SESSION_REMINDED}


def messages_not_as_owed() -> list[Violation]:
    """I4: each change owes its messages, each of them once; reminders come on top."""
    owed: dict[tuple[int, int], list[str]] = {}
    for id_, version, kind in tuples(
        OutboxMessage.select(
            OutboxMessage.appointment, OutboxMessage.version, OutboxMessage.kind
        ).where(OutboxMessage.appointment.is_null(False))
    ):
        if kind not in REMINDERS:
            owed.setdefault((id_, version), []).append(kind)
    wrong: list[Violation] = []
    for id_, version, event, reachable in rows(
        """
        SELECT h.appointment_id, h.version, h.event, a.account_id IS NOT NULL OR c.email <> ''
        FROM history AS h JOIN appointment AS a ON a.id = h.appointment_id
        JOIN client AS c ON c.id = a.client_id
        """
    ):
        found = owed.pop((id_, version), [])
        possible = [
            sorted(kind for kind in kinds if reachable or kind.for_staff)
            for kinds in OWED.get(event, ())
        ]
        if sorted(found) not in possible:
            wrong.append((id_, version, event, found))
    return wrong + [(*unknown, kinds) for unknown, kinds in owed.items()]


def keys_that_answer_nothing() -> list[Violation]:
    """I6: what a used form led to is still there to be shown again.

    A key does not say which table its answer is of, so any will do.
    """
    query = OneTimeKey.select(OneTimeKey.id, OneTimeKey.answer)
    for model in (Appointment, BlockedTime, Client, Replan, ReplanRow, SignIn):
        query = query.where(OneTimeKey.answer.not_in(model.select(model.id)))
    return tuples(query)


def messages_without_an_end() -> list[Violation]:
    """I7: what was sent says when, and what was given up says why."""
    return rows(
        """
        SELECT id, kind, state FROM outbox_message
        WHERE state = 'sent' AND sent_at IS NULL OR state = 'dead' AND error = ''
           OR state <> 'sent' AND sent_at IS NOT NULL OR state NOT IN ('waiting', 'sent', 'dead')
        """
    )


def sign_ins_used_too_late() -> list[Violation]:
    """I9: nobody came in by a code or a link whose time was over."""
    return rows("SELECT id, used_at, expires_at FROM sign_in WHERE used_at >= expires_at")


def wishes_of_others() -> list[Violation]:
    """I11: who asked, and who changed something as a client, may act for that client.

    Or could, until one of the two was erased.
    """
    return rows(
        """
        SELECT did.id, did.account_id FROM (
            SELECT a.id, a.account_id, a.client_id FROM appointment AS a
            WHERE a.account_id IS NOT NULL
            UNION
            SELECT a.id, h.account_id, a.client_id FROM history AS h
            JOIN appointment AS a ON a.id = h.appointment_id WHERE h.actor = 'client'
        ) AS did
        WHERE NOT EXISTS (
            SELECT 1 FROM access AS x
            WHERE x.account_id = did.account_id AND x.client_id = did.client_id)
        AND NOT EXISTS (
            SELECT 1 FROM client AS c WHERE c.id = did.client_id AND c.erased_at IS NOT NULL)
        AND NOT EXISTS (
            SELECT 1 FROM account AS k WHERE k.id = did.account_id
            AND k.email = 'account-' || k.id || '@borrado.invalid')
        """
    )


def confirmed_outside_hours() -> list[Violation]:
    """I8: a confirmed session lies in its clinician's hours at that place, on no holiday.

    By the wall clock, read from the rows: not as `availability` does it. Hours that were changed
    afterwards show here, too.
    """
    return _outside_hours(Appointment.select().where(Appointment.state == State.CONFIRMED))


def held_outside_hours() -> list[Violation]:
    """I12: so does each slot that is held for a client."""
    return _outside_hours(OfferedSlot.select().where(OfferedSlot.state == OfferState.HELD))


def _outside_hours(sessions: Any) -> list[Violation]:
    home = ZoneInfo(Practice.get().zone)
    zones = {row.id: ZoneInfo(row.zone) for row in Location.select()}
    holidays = {row.day for row in Holiday.select()}
    hours: defaultdict[int, list[Hours]] = defaultdict(list)
    for own in Hours.select():
        hours[own.clinician_id].append(own)
    wrong: list[Violation] = []
    for row in sessions.namedtuples():
        zone = zones.get(row.clinician_location or 0, home)
        day = row.starts_at.astimezone(zone).date()
        if not any(
            opens <= row.starts_at and row.ends_at <= closes
            for start in (day, day - timedelta(days=1))  # Hours may end after midnight.
            for opens, closes in _hours(row, hours[row.clinician], start, zone, holidays)
        ):
            wrong.append((row.id, row.starts_at.astimezone(zone)))
    return wrong


def _hours(
    row: Any, own: list[Hours], day: date, zone: ZoneInfo, holidays: set[date]
) -> Iterator[tuple[datetime, datetime]]:
    special = [hours for hours in own if hours.day == day]
    usual = [hours for hours in own if hours.day is None and hours.weekday == day.weekday()]
    for hours in special or ([] if day in holidays else usual):
        if (
            hours.opens is not None
            and hours.closes is not None
            and hours.location_id == row.clinician_location
            and (hours.video if row.modality == Modality.VIDEO else hours.in_person)
        ):
            yield _moment(day, hours.opens, zone), _moment(day, hours.closes, zone)


def _moment(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    days, rest = divmod(minutes, 24 * 60)
    return datetime.combine(
        day + timedelta(days=days), time(rest // 60, rest % 60), zone
    ).astimezone(UTC)


def sessions_of_another_length() -> list[Violation]:
    """I8: what is confirmed lasts as long as its service (in books whose services never change)."""
    return rows(
        """
        SELECT a.id, a.ends_at - a.starts_at FROM appointment AS a
        JOIN service AS s ON s.id = a.service_id WHERE a.ends_at - a.starts_at <> 60 * s.minutes
        """
    )


def chains_in_two_places() -> list[Violation]:
    """I10: a chain has one session at most, and one undecided wish to move it at most."""
    return rows(
        """
        SELECT chain,
            COUNT(*) FILTER (WHERE state = 'confirmed') AS sessions,
            COUNT(*) FILTER (WHERE state IN ('requested', 'offered')) AS wishes
        FROM appointment GROUP BY chain
        HAVING COUNT(*) FILTER (WHERE state = 'confirmed') > 1
            OR COUNT(*) FILTER (WHERE state IN ('requested', 'offered')) > 1
        """
    )


def holds_of_nobody() -> list[Violation]:
    """I13: a slot is held for an appointment that waits for the client's choice, or not at all."""
    return rows(
        """
        SELECT o.id, o.state, a.state FROM offered_slot AS o
        JOIN appointment AS a ON a.id = o.appointment_id
        WHERE o.state = 'held' AND a.state <> 'offered'
        """
    )


def times_owed_to_nobody() -> list[Violation]:
    """I10: only a session that had to move is owed another time, until it has one or is lost."""
    return rows(
        """
        SELECT id, state, displaced_at FROM appointment
        WHERE displaced_at IS NOT NULL AND state NOT IN ('offered', 'cancelled_by_practice')
        """
    )


def clients_that_no_search_finds() -> list[Violation]:
    """I13: what a search for a client looks through is the name that the client has."""
    known = rows("SELECT id, name, folded FROM client ORDER BY id")
    return [(id_,) for id_, name, sought in known if sought != folded(name)]


def rows(sql: str) -> list[Violation]:
    return [tuple(row) for row in database.execute_sql(sql).fetchall()]


ALL: tuple[Callable[[], list[Violation]], ...] = (
    clinician_in_two_sessions,
    room_in_two_sessions,
    room_without_its_turnover,
    client_in_two_sessions,
    guard_that_looks_elsewhere,
    time_kept_for_nobody,
    history_with_gaps,
    illegal_paths,
    messages_not_as_owed,
    keys_that_answer_nothing,
    messages_without_an_end,
    sign_ins_used_too_late,
    wishes_of_others,
    confirmed_outside_hours,
    held_outside_hours,
    sessions_of_another_length,
    chains_in_two_places,
    holds_of_nobody,
    times_owed_to_nobody,
    clients_that_no_search_finds,
)


def violations() -> dict[str, list[Violation]]:
    """Every invariant that does not hold, with the rows that break it."""
    return {check.__name__: found for check in ALL if (found := check())}
