"""Our own commands with one guard taken out: `python -m tests.proof.broken GUARD serve …`.

What a scenario says of such a server shows whether it would notice.
"""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from flask.cli import main

from booking import availability, db, gateway, outbox
from booking.availability import Rule
from booking.gateway import Change
from booking.lifecycle import Event, State, next_state
from booking.models import Appointment, OutboxMessage
from booking.operations import deciding


def without_the_check() -> None:
    """Nobody's time is taken, as far as the gateway can see."""
    availability._busy = lambda *_facts: ()


def without_the_lock() -> None:
    """Writers do not queue; on SQLite their transactions begin as readers'."""
    db._Sqlite.queue = lambda _handle: nullcontext()  # type: ignore[method-assign,assignment,return-value]
    for handle in (db._Sqlite, db._Postgresql):
        handle.writing = lambda handle: handle.atomic()  # type: ignore[method-assign]


def without_the_key() -> None:
    """Every form is a new one."""
    gateway.answer_to = lambda key: None
    gateway.remember = lambda key, row, *, now: None


def without_the_lease() -> None:
    """A worker sends what it saw waiting, whoever else may be sending it."""

    def claim(id_: int, _now: object) -> OutboxMessage:
        OutboxMessage.update(attempts=OutboxMessage.attempts + 1).where(
            OutboxMessage.id == id_
        ).execute()
        return OutboxMessage.get_by_id(id_)

    outbox._claim = claim  # type: ignore[assignment]


def without_the_second_look() -> None:
    """What was free when it was asked for is taken to be free when it is accepted."""
    deciding.STAFF_MAY_WAIVE = frozenset(Rule)  # type: ignore[attr-defined]


def without_the_comparison() -> None:
    """A decision is made whatever became of the request since it was on the screen."""
    load = gateway.Change.appointment

    def appointment(tx: Change, appointment_id: int, *, version: int | None = None) -> Appointment:
        return load(tx, appointment_id)

    gateway.Change.appointment = appointment  # type: ignore[method-assign,assignment]
    gateway.next_state = lambda state, event: (  # type: ignore[attr-defined]
        State.CONFIRMED if event is Event.ACCEPT else next_state(state, event)
    )
    deciding._still_open = lambda appointment, now: None


GUARDS: dict[str, Callable[[], Any]] = {
    "check": without_the_check,
    "lock": without_the_lock,
    "key": without_the_key,
    "lease": without_the_lease,
    "second look": without_the_second_look,
    "comparison": without_the_comparison,
}

if __name__ == "__main__":
    _, guard, *arguments = sys.argv
    GUARDS[guard]()
    sys.argv = ["flask", "--app", "app", *arguments]
    main()
