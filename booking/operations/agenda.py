"""What staff do for clients who telephone, and with their own time: book, move, cancel, block."""

from dataclasses import replace
from datetime import datetime

from booking import availability, gateway, notifications, policy
from booking.availability import STAFF_MAY_WAIVE, Wish, plan
from booking.gateway import Actor, Key, NotYours, Role, once
from booking.lifecycle import Event, State
from booking.models import Access, Account, Appointment, BlockedTime, Client, Relation
from booking.notifications import Kind
from booking.operations.requesting import (
    NOTHING_PENDING,
    free_offers,
    open_successor,
    session_columns,
)


@once(Appointment)
def book(
    wish: Wish,
    starts_at: datetime,
    *,
    client: Client,
    actor: Actor,
    now: datetime,
    key: Key | None = None,
    replaces: int | None = None,
) -> Appointment:
    """Book for a client who telephoned, confirmed at once; with `replaces`, move a session there.

    Notice, horizon and grid are for clients who ask; hours, rooms and the agenda bind staff too.

    Raises:
        NotFree: it cannot be had; the rules say why.
    """
    with gateway.change(actor, now=now, key=key) as tx:
        if starts_at <= now:
            raise availability.NotFree([availability.Rule.NOTICE])
        old = None if replaces is None else tx.appointment(replaces)
        the = plan()
        wish = replace(wish, person_ids=client.person_ids, chain=old.chain if old else None)
        slot = tx.claim(wish, starts_at, waived=STAFF_MAY_WAIVE)
        _own_time(actor, slot.clinician_id)
        if old is not None:
            successor = open_successor(old)
            if successor is not None:
                free_offers(successor)
                tx.apply(successor, Event.CANCEL_BY_PRACTICE, **NOTHING_PENDING)
            tx.apply(old, Event.REPLACE, **NOTHING_PENDING)
        appointment = tx.begin(
            Event.BOOK,
            chain=old.chain if old else None,
            replaces=old,
            account=old.account if old else account_of(client),
            client=client,
            remind_at=policy.reminder_at(the.practice, starts_at, now=now),
            **session_columns(the.services[wish.service_id], slot),
        )
        if client.known_since is None:
            Client.update(known_since=now).where(Client.id == client.id).execute()
        notifications.owe(
            Kind.APPOINTMENT_MOVED if old else Kind.APPOINTMENT_BOOKED, appointment, now=now
        )
        return tx.answer(appointment)


def account_of(client: Client) -> Account | None:
    """Who is written to about a client: themselves, or who looks after them."""
    order = {Relation.SELF.value: 0, Relation.GUARDIAN.value: 1, Relation.PARTNER.value: 2}
    found = list(Access.select(Access, Account).join(Account).where(Access.client == client))
    return min(found, key=lambda a: (order[a.relation], a.id)).account if found else None


@once(Appointment)
def cancel_for_client(
    appointment_id: int, *, version: int, actor: Actor, now: datetime, key: Key | None = None
) -> Appointment:
    """Staff cancel a session or a request, whatever the policy for clients says."""
    with gateway.change(actor, now=now, key=key) as tx:
        appointment = tx.appointment(appointment_id, version=version)
        invited = appointment.status is State.CONFIRMED
        for open_one in filter(None, [open_successor(appointment), appointment]):
            free_offers(open_one)
            tx.apply(open_one, Event.CANCEL_BY_PRACTICE, **NOTHING_PENDING)
        notifications.owe(Kind.APPOINTMENT_CANCELLED, appointment, now=now, invited=invited)
        return tx.answer(appointment)


@once(Appointment)
def pin_room(
    appointment_id: int, *, pinned: bool, actor: Actor, now: datetime, key: Key | None = None
) -> Appointment:
    """Keep a session in its room whatever others need, or let it change rooms again."""
    with gateway.change(actor, now=now, key=key) as tx:
        appointment = tx.appointment(appointment_id)
        Appointment.update(room_pinned=pinned).where(Appointment.id == appointment_id).execute()
        return tx.answer(appointment)


@once(Appointment)
def close(
    appointment_id: int,
    *,
    event: Event,
    actor: Actor,
    now: datetime,
    key: Key | None = None,
) -> Appointment:
    """Note that a session took place, or that nobody came; not before it has begun."""
    with gateway.change(actor, now=now, key=key) as tx:
        appointment = tx.appointment(appointment_id)
        if appointment.status is not State.CONFIRMED or appointment.starts_at > now:
            raise gateway.ChangedMeanwhile(appointment_id)
        tx.apply(appointment, event, **NOTHING_PENDING)
        return tx.answer(appointment)


@once(BlockedTime)
def block_time(
    clinician_id: int,
    starts_at: datetime,
    ends_at: datetime,
    *,
    reason: str,
    actor: Actor,
    now: datetime,
    key: Key | None = None,
) -> BlockedTime:
    """Keep time free of new appointments; what is booked in it stays, and the page lists it."""
    with gateway.change(actor, now=now, key=key) as tx:
        _own_time(actor, clinician_id)
        return tx.answer(
            BlockedTime.create(
                clinician=clinician_id,
                starts_at=starts_at,
                ends_at=ends_at,
                reason=reason,
                created_at=now,
            )
        )


@once(BlockedTime)
def unblock_time(
    blocked_id: int, *, actor: Actor, now: datetime, key: Key | None = None
) -> BlockedTime:
    """Give blocked time back."""
    with gateway.change(actor, now=now, key=key) as tx:
        blocked = BlockedTime.get_or_none(BlockedTime.id == blocked_id)
        if blocked is None:
            raise NotYours
        _own_time(actor, blocked.clinician_id)
        BlockedTime.update(removed_at=now).where(
            BlockedTime.id == blocked_id, BlockedTime.removed_at.is_null()
        ).execute()
        return tx.answer(blocked)


def _own_time(actor: Actor, clinician_id: int) -> None:
    if actor.role is Role.MANAGER:
        return
    if actor.account is None or actor.account.clinician_id != clinician_id:
        raise NotYours
