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
from booking.models import OutboxMessage
from booking.operations import deciding


def without_the_check() -> None:
    """Nobody's time is taken, as far as the gateway can see."""
    availability._busy = lambda *_facts: ()


def without_the_lock() -> None:
    """Writers do not queue; on SQLite their transactions begin as readers'."""
    db._Sqlite.queue = lambda _handle: nullcontext()  # type: ignore[method-assign,assignment,return-value]
    for handle in (db._Sqlite, db._Postgresql):
        handle.writing = lambda handle: handle.atomic()  # type: ignore[method-assign]


def without_the_lock_and_the_check() -> None:
    without_the_lock()
    without_the_check()


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


GUARDS: dict[str, Callable[[], Any]] = {
    "check": without_the_check,
    "lock": without_the_lock,
    "lock and check": without_the_lock_and_the_check,
    "key": without_the_key,
    "lease": without_the_lease,
    "second look": without_the_second_look,
}

if __name__ == "__main__":
    _, guard, *arguments = sys.argv
    GUARDS[guard]()
    sys.argv = ["flask", "--app", "app", *arguments]
    main()
