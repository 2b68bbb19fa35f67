"""The one way to write: lock, one-time key, scope, guarded change, history, commit."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ParamSpec, TypeVar

from peewee import Expression

from booking import availability, history, occupancy
from booking.availability import RoomSwap, Rule, Slot, Wish
from booking.db import BaseModel, transaction
from booking.lifecycle import BIRTHS, Event, next_state
from booking.models import Access, Account, Appointment, History, OfferedSlot, OneTimeKey

P = ParamSpec("P")
Row = TypeVar("Row", bound=BaseModel)


class Role(StrEnum):
    """In what capacity somebody acts."""

    CLIENT = "client"
    CLINICIAN = "clinician"
    MANAGER = "manager"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something: a person in one of their capacities, or the system itself."""

    role: Role
    account: Account | None = None


SYSTEM = Actor(Role.SYSTEM)


def client(account: Account) -> Actor:
    """The account as a client."""
    return Actor(Role.CLIENT, account)


def staff(account: Account) -> Actor:
    """The account as a clinician or manager."""
    return Actor(Role.MANAGER if account.manager else Role.CLINICIAN, account)


@dataclass(frozen=True, slots=True)
class Key:
    """A form's one-time key, and the fingerprint of what the form said."""

    value: str
    fingerprint: str


class ChangedMeanwhile(Exception):
    """Somebody else moved this appointment since it was read."""

    def __init__(self, appointment_id: int) -> None:
        super().__init__(appointment_id)
        self.appointment_id = appointment_id


class NotYours(Exception):
    """There is no such row, or it is not this actor's: the same answer for both."""


class KeyReused(Exception):
    """A one-time key came again with something else in the form."""


class _Repeated(Exception):
    def __init__(self, answer: int) -> None:
        self.answer = answer


class Change:
    """One transaction's view of the book: what an operation may do inside `change`."""

    def __init__(self, actor: Actor, key: Key | None, now: datetime) -> None:
        self.actor, self.now = actor, now
        self._key = key
        self._chains: set[int] = set()
        self._rooms: list[dict[str, int]] = []

    def appointment(self, appointment_id: int, *, version: int | None = None) -> Appointment:
        """The row as it is now, if it is this actor's and still at `version` (when given).

        Raises:
            NotYours: no such row in this actor's scope.
            ChangedMeanwhile: it has moved on since the actor read it.
        """
        found = Appointment.get_or_none(Appointment.id == appointment_id, scope(self.actor))
        if found is None:
            raise NotYours
        if version is not None and found.version != version:
            raise ChangedMeanwhile(appointment_id)
        return found

    def claim(
        self,
        wish: Wish,
        starts_at: datetime,
        *,
        waived: frozenset[Rule] = frozenset(),
        keep_room: int | None = None,
    ) -> Slot:
        """The session that `wish` gets at a time; whoever has to leave its room goes at once.

        Raises:
            NotFree: it cannot be had; `rules` say why.
        """
        slot = availability.slot(wish, starts_at, now=self.now, waived=waived, keep_room=keep_room)
        for swap in slot.swaps:
            self._swap(swap)
        return slot

    def _swap(self, swap: RoomSwap) -> None:
        row: Appointment | OfferedSlot = (
            Appointment.get_by_id(swap.appointment_id)
            if swap.offer_id is None
            else OfferedSlot.get_by_id(swap.offer_id)
        )
        self._rooms.append(
            {
                "appointment": swap.appointment_id,
                "starts_at": int(row.starts_at.timestamp()),
                "from": row.room_id or 0,
                "to": swap.room_id,
            }
        )
        kind = type(row)
        kind.update(room=swap.room_id).where(kind.id == row.id).execute()
        self.touch(Appointment.get_by_id(swap.appointment_id))

    def begin(self, event: Event, *, chain: int | None = None, **columns: Any) -> Appointment:
        """A new appointment; `chain` is the one it continues."""
        appointment = Appointment.create(
            state=BIRTHS[event].value, asked_at=self.now, chain=chain or 0, **columns
        )
        if chain is None:
            appointment.chain = appointment.id
            Appointment.update(chain=appointment.id).where(
                Appointment.id == appointment.id
            ).execute()
        self._record(appointment, event, before="", detail={})
        return appointment

    def apply(
        self,
        appointment: Appointment,
        event: Event,
        *,
        detail: dict[str, Any] | None = None,
        **columns: Any,
    ) -> None:
        """Move along the lifecycle and set `columns`, unless somebody moved this row first.

        Raises:
            IllegalTransition: this cannot happen in the appointment's state.
            ChangedMeanwhile: the row is no longer the one that was read.
        """
        before = appointment.state
        columns["state"] = next_state(appointment.status, event).value
        moved = (
            Appointment.update(version=appointment.version + 1, **columns)
            .where(Appointment.id == appointment.id, Appointment.version == appointment.version)
            .execute()
        )
        if not moved:
            raise ChangedMeanwhile(appointment.id)
        appointment.version += 1
        for name, value in columns.items():
            setattr(appointment, name, value)
        self._record(appointment, event, before=before, detail=detail or {})

    def answer(self, row: Row) -> Row:
        """What a repeat of this form will get; the last word of an operation that has a key."""
        remember(self._key, row, now=self.now)
        return row

    def touch(self, appointment: Appointment) -> None:
        """What `appointment` occupies has changed without a change of its state."""
        self._chains.add(appointment.chain)

    def settle(self) -> None:
        """Make the occupancy of every chain that changed true again; the database may refuse."""
        occupancy.rewrite(self._chains)

    def _record(
        self, appointment: Appointment, event: Event, *, before: str, detail: dict[str, Any]
    ) -> None:
        self._chains.add(appointment.chain)
        if self._rooms:  # Who went from which room to which, so that this could be.
            detail = detail | {"rooms": list(self._rooms)}
        row: dict[str, Any] = {
            "appointment": appointment,
            "version": appointment.version,
            "event": event.value,
            "before": before,
            "after": appointment.state,
            "actor": self.actor.role.value,
            "account": self.actor.account,
            "at": self.now,
            "starts_at": appointment.starts_at,
            "detail": detail,
        }
        earlier = history.last_digest(appointment.id, appointment.version)
        History.create(**row, digest=history.chained(earlier, row))


@contextmanager
def change(actor: Actor, *, now: datetime, key: Key | None = None) -> Iterator[Change]:
    """One transaction that changes the book: all of it is on disk afterwards, or none of it.

    Raises:
        SlotTaken: the time is another chain's.
        KeyReused: the key was used for something else.
    """
    with transaction():
        availability.end_page()
        answered = answer_to(key)
        if answered is not None:
            raise _Repeated(answered)
        tx = Change(actor, key, now)
        yield tx
        tx.settle()


def answer_to(key: Key | None) -> int | None:
    """The id of what this form led to, if it was used before.

    Raises:
        KeyReused: it said something else then.
    """
    seen = None if key is None else OneTimeKey.get_or_none(OneTimeKey.value == key.value)
    if key is None or seen is None:
        return None
    if seen.fingerprint != key.fingerprint:
        raise KeyReused
    return int(seen.answer)


def remember(key: Key | None, row: BaseModel, *, now: datetime) -> None:
    """Let a repeat of this form find what it led to; in the transaction that made it."""
    if key is not None:
        OneTimeKey.create(value=key.value, fingerprint=key.fingerprint, answer=row.id, used_at=now)


def once(model: type[Row]) -> Callable[[Callable[P, Row]], Callable[P, Row]]:
    """Make an operation safe to repeat: the same key gets the first row again, and no effect."""

    def wrap(operation: Callable[P, Row]) -> Callable[P, Row]:
        @functools.wraps(operation)
        def run(*args: P.args, **kwargs: P.kwargs) -> Row:
            try:
                return operation(*args, **kwargs)
            except _Repeated as seen:
                return model.get_by_id(seen.answer)

        return run

    return wrap


def scope(actor: Actor) -> Expression:
    """The condition that an appointment is this actor's to read and change."""
    account = actor.account
    if actor.role is Role.CLIENT:
        mine = Access.select(Access.client).where(Access.account == account)
        return Appointment.client.in_(mine)
    if actor.role is Role.CLINICIAN and account is not None:
        return Appointment.clinician == account.clinician_id
    return Appointment.id > 0  # Managers and the system.
