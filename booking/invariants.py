"""What must never be true of a book, asked of its rows alone; each answer is a list of violations.

None of these trusts the code that is meant to keep them: not the occupancy table, not the
solver's candidates, not the gateway.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from booking.db import database, tuples
from booking.lifecycle import BIRTHS, LEGAL, Event, State
from booking.models import (
    Appointment,
    Holiday,
    Hours,
    Location,
    Modality,
    OutboxMessage,
    Practice,
    Service,
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
SELECT clinician_id, chain,
       starts_at - 60 * buffer_before AS busy_from, ends_at + 60 * buffer_after AS busy_until
FROM session
"""

OF_ROOM = """
SELECT room_id, chain, starts_at AS busy_from, ends_at + 60 * turnover_minutes AS busy_until
FROM session JOIN room ON room.id = room_id
"""

OF_CLIENT = """
SELECT COALESCE(first_member_id, client.id), chain, starts_at AS busy_from, ends_at AS busy_until
FROM session JOIN client ON client.id = client_id
UNION ALL
SELECT second_member_id, chain, starts_at, ends_at
FROM session JOIN client ON client.id = client_id WHERE second_member_id IS NOT NULL
"""

OVERLAPS = """
, taken (who, chain, busy_from, busy_until) AS ({taken})
SELECT a.who, a.chain, b.chain, a.busy_from, b.busy_from
FROM taken AS a JOIN taken AS b ON a.who = b.who AND a.chain < b.chain
WHERE a.busy_from < b.busy_until AND b.busy_from < a.busy_until
"""


def clinician_in_two_sessions() -> list[Violation]:
    """I1: no clinician has two chains at once, minutes before and after included."""
    return rows(ACTIVE + OVERLAPS.format(taken=OF_CLINICIAN))


def room_in_two_sessions() -> list[Violation]:
    """I2: no room has two chains at once, turnover included."""
    return rows(ACTIVE + OVERLAPS.format(taken=OF_ROOM))


def client_in_two_sessions() -> list[Violation]:
    """I3: nobody is in two chains at once, alone or as one of a couple."""
    return rows(ACTIVE + OVERLAPS.format(taken=OF_CLIENT))


def guard_that_looks_elsewhere() -> list[Violation]:
    """The occupancy that the triggers guard is no less and no more than what is active.

    Turnover may have changed since a room was taken, so only the sessions count there.
    """
    at_most = """
        , taken (resource, who, chain, busy_from, busy_until) AS (
            SELECT 'clinician', * FROM ({clinician}) UNION ALL
            SELECT 'room', room_id, chain, starts_at, ends_at FROM session WHERE room_id > 0
            UNION ALL SELECT 'client', * FROM ({client})
        )
        SELECT 'unguarded', t.* FROM taken AS t WHERE NOT EXISTS (
            SELECT 1 FROM occupancy AS o
            WHERE o.resource = t.resource AND o.resource_id = t.who AND o.chain = t.chain
              AND o.busy_from <= t.busy_from AND o.busy_until >= t.busy_until)
        UNION ALL
        SELECT 'left behind', o.resource, o.resource_id, o.chain, o.busy_from, o.busy_until
        FROM occupancy AS o WHERE NOT EXISTS (
            SELECT 1 FROM taken AS t
            WHERE o.resource = t.resource AND o.resource_id = t.who AND o.chain = t.chain
              AND o.busy_from = t.busy_from)
        OR o.resource <> 'room' AND NOT EXISTS (
            SELECT 1 FROM taken AS t
            WHERE o.resource = t.resource AND o.resource_id = t.who AND o.chain = t.chain
              AND o.busy_until = t.busy_until)
    """
    return rows(ACTIVE + at_most.format(clinician=OF_CLINICIAN, client=OF_CLIENT))


def history_with_gaps() -> list[Violation]:
    """I4: one row for each version, from 1 on, and the last one is where the appointment is."""
    return rows(
        """
        SELECT a.id, a.version, a.state, COUNT(h.id), MIN(h.version), MAX(h.version)
        FROM appointment AS a LEFT JOIN history AS h ON h.appointment_id = a.id
        GROUP BY a.id, a.version, a.state
        HAVING COUNT(h.id) <> a.version OR MIN(h.version) <> 1 OR MAX(h.version) <> a.version
            OR a.state <> (
                SELECT after FROM history WHERE appointment_id = a.id ORDER BY version DESC LIMIT 1)
        """
    )


def illegal_paths() -> list[Violation]:
    """I4: each change begins where the one before it ended, and the lifecycle knows it."""
    wrong: list[Violation] = []
    where: dict[int, str] = {}
    for id_, version, event, before, after in rows(
        "SELECT appointment_id, version, event, before, after FROM history ORDER BY 1, 2"
    ):
        legal = (
            LEGAL.get((State(before), Event(event))) if before else BIRTHS.get(Event(event))
        ) == after
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
    owed: dict[tuple[int, int], list[Kind]] = {}
    for id_, version, kind in tuples(
        OutboxMessage.select(
            OutboxMessage.appointment, OutboxMessage.version, OutboxMessage.kind
        ).where(OutboxMessage.appointment.is_null(False))
    ):
        if kind not in REMINDERS:
            owed.setdefault((id_, version), []).append(Kind(kind))
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
            for kinds in OWED[Event(event)]
        ]
        if sorted(found) not in possible:
            wrong.append((id_, version, event, found))
    return wrong + [(*unknown, kinds) for unknown, kinds in owed.items()]


def confirmed_outside_hours() -> list[Violation]:
    """I8: a confirmed session lies in its clinician's hours at that place, on no holiday.

    By the wall clock, read from the rows: not as `availability` does it.
    """
    home = ZoneInfo(Practice.get().zone)
    zones = {row.id: ZoneInfo(row.zone) for row in Location.select()}
    holidays = {row.day for row in Holiday.select()}
    wrong: list[Violation] = []
    for row in Appointment.select().where(Appointment.state == State.CONFIRMED):
        zone = zones.get(row.clinician_location_id or 0, home)
        day = row.starts_at.astimezone(zone).date()
        if not any(
            opens <= row.starts_at and row.ends_at <= closes
            for start in (day - timedelta(days=1), day)  # Hours may end after midnight.
            for opens, closes in _hours(row, start, zone, holidays)
        ):
            wrong.append((row.id, row.starts_at.astimezone(zone)))
    return wrong


def _hours(
    row: Appointment, day: date, zone: ZoneInfo, holidays: set[date]
) -> list[tuple[datetime, datetime]]:
    own = list(Hours.select().where(Hours.clinician == row.clinician_id))
    special = [hours for hours in own if hours.day == day]
    usual = [hours for hours in own if hours.day is None and hours.weekday == day.weekday()]
    return [
        (_moment(day, hours.opens, zone), _moment(day, hours.closes, zone))
        for hours in special or ([] if day in holidays else usual)
        if hours.opens is not None
        and hours.closes is not None
        and hours.location_id == row.clinician_location_id
        and (hours.video if row.modality == Modality.VIDEO else hours.in_person)
    ]


def _moment(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    days, rest = divmod(minutes, 24 * 60)
    return datetime.combine(
        day + timedelta(days=days), time(rest // 60, rest % 60), zone
    ).astimezone(UTC)


def sessions_of_another_length() -> list[Violation]:
    """I8: what is confirmed lasts as long as its service (in books whose services never change)."""
    return [
        (row.id, row.ends_at - row.starts_at)
        for row in Appointment.select(Appointment, Service).join(Service)
        if row.ends_at - row.starts_at != timedelta(minutes=row.service.minutes)
    ]


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
    """A slot is held for an appointment that waits for the client's choice, or not at all."""
    return rows(
        """
        SELECT o.id, o.state, a.state FROM offered_slot AS o
        JOIN appointment AS a ON a.id = o.appointment_id
        WHERE o.state = 'held' AND a.state <> 'offered'
        """
    )


def times_owed_to_nobody() -> list[Violation]:
    """Only a session that had to move is owed another time, until it has one or is given up."""
    return rows(
        """
        SELECT id, state, displaced_at FROM appointment
        WHERE displaced_at IS NOT NULL AND state NOT IN ('offered', 'cancelled_by_practice')
        """
    )


def rows(sql: str) -> list[Violation]:
    return [tuple(row) for row in database.execute_sql(sql).fetchall()]


ALL: tuple[Callable[[], list[Violation]], ...] = (
    clinician_in_two_sessions,
    room_in_two_sessions,
    client_in_two_sessions,
    guard_that_looks_elsewhere,
    history_with_gaps,
    illegal_paths,
    messages_not_as_owed,
    confirmed_outside_hours,
    sessions_of_another_length,
    chains_in_two_places,
    holds_of_nobody,
    times_owed_to_nobody,
)


def violations() -> dict[str, list[Violation]]:
    """Every invariant that does not hold, with the rows that break it."""
    return {check.__name__: found for check in ALL if (found := check())}
