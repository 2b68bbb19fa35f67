"""Our own code with one guard taken out; a command, too: `python -m tests.proof.broken GUARD …`.

What a scenario says of such a server, or a test of such a gateway, shows whether it would notice.
"""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from flask.cli import main

from booking import availability, db, gateway, outbox
from booking.availability import Rule
from booking.clock import SettableClock
from booking.gateway import Change
from booking.lifecycle import Event, State, next_state
from booking.models import Appointment, OutboxMessage
from booking.operations import deciding

Put = Callable[[Any, str, Any], None]
"""`setattr`, or one that is undone after the test."""


def without_the_check(put: Put) -> None:
    """Nobody's time is taken, as far as the gateway can see."""
    put(availability, "_busy", lambda *_facts: ())


def without_the_lock(put: Put) -> None:
    """Writers do not queue; on SQLite their transactions begin as readers'."""
    put(db._Sqlite, "queue", lambda _handle, _seconds=None: nullcontext())
    for handle in (db._Sqlite, db._Postgresql):
        put(handle, "writing", lambda handle, _seconds=None: handle.atomic())


def without_the_key(put: Put) -> None:
    """Every form is a new one."""
    put(gateway, "answer_to", lambda key: None)
    put(gateway, "remember", lambda key, row, *, now: None)


def without_the_lease(put: Put) -> None:
    """A worker sends what it saw waiting, whoever else may be sending it."""

    def claim(id_: int, _now: object) -> OutboxMessage:
        OutboxMessage.update(attempts=OutboxMessage.attempts + 1).where(
            OutboxMessage.id == id_
        ).execute()
        return OutboxMessage.get_by_id(id_)

    put(outbox, "_claim", claim)
    put(outbox, "_unclaimed", lambda _now: OutboxMessage.id > 0)


def without_another_look_at_the_clock(put: Put) -> None:
    """For a worker it stays the moment at which its round began, however long that takes."""
    drain = outbox.drain
    put(outbox, "drain", lambda clock, *rest: drain(SettableClock(clock.now()), *rest))


def without_the_fence(put: Put) -> None:
    """A worker says what became of a message whoever else sent it since."""
    put(outbox, "_ours", lambda message: OutboxMessage.id == message.id)


def without_the_second_look(put: Put) -> None:
    """What was free when it was asked for is taken to be free when it is accepted."""
    look = availability.room_for

    def room_for(
        problem: Any, request: Any, place: Any, start: int, keep_room: int | None = None
    ) -> Any:
        return (keep_room, ()) if keep_room else look(problem, request, place, start)

    put(deciding, "STAFF_MAY_WAIVE", frozenset(Rule))
    put(availability, "room_for", room_for)


def without_the_comparison(put: Put) -> None:
    """A decision is made whatever became of the request since it was on the screen."""
    load = gateway.Change.appointment

    def appointment(tx: Change, appointment_id: int, *, version: int | None = None) -> Appointment:
        return load(tx, appointment_id)

    def anything(state: State, event: Event) -> State:
        return State.CONFIRMED if event is Event.ACCEPT else next_state(state, event)

    put(gateway.Change, "appointment", appointment)
    put(gateway, "next_state", anything)
    put(deciding, "_still_open", lambda appointment, now: None)


def without_the_owner(put: Put) -> None:
    """Everybody acts for everybody."""
    put(gateway, "scope", lambda actor: Appointment.id > 0)


GUARDS: dict[str, Callable[[Put], None]] = {
    "check": without_the_check,
    "lock": without_the_lock,
    "key": without_the_key,
    "lease": without_the_lease,
    "second look": without_the_second_look,
    "comparison": without_the_comparison,
}

if __name__ == "__main__":
    _, guard, *arguments = sys.argv
    GUARDS[guard](setattr)
    sys.argv = ["flask", "--app", "app", *arguments]
    main()
