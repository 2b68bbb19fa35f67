"""What a client does: ask, withdraw or cancel, take one of the offered slots, or none of them."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from booking import availability, gateway, notifications, policy
from booking.availability import STAFF_MAY_WAIVE, Slot, Wish, plan
from booking.gateway import Actor, Change, ChangedMeanwhile, Key, once
from booking.lifecycle import OPEN, Event, State
from booking.models import (
    Access,
    Account,
    Appointment,
    Audience,
    Client,
    Modality,
    OfferedSlot,
    OfferState,
    Service,
)
from booking.notifications import Kind
from booking.operations import limits
from booking.operations.limits import Limited
from booking.policy import Verdict


class TooManyPending(Exception):
    """The account already waits for as many answers as the practice allows."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.most = most


class NotForThisClient(Exception):
    """The service is meant for somebody else: children, couples, new or existing clients."""


class NotAllowed(Exception):
    """The practice's policy says no; `verdict` says which part of it."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict)
        self.verdict = verdict


class AlreadyMoving(Exception):
    """A request to move this appointment is open; its id leads there."""

    def __init__(self, appointment_id: int) -> None:
        super().__init__(appointment_id)
        self.appointment_id = appointment_id


class OfferGone(Exception):
    """The offered slot is no longer held: its time is over, or it was freed."""


def suits(service: Service, client: Client, *, moves: Appointment | None = None) -> bool:
    """Whether a service is meant for such a client, or is the one of theirs that is moved.

    Whoever moves a first visit is no new client any more.
    """
    if moves is not None and (moves.service_id, moves.client_id) == (service.id, client.id):
        return True
    if service.client_kinds and client.kind not in service.client_kinds:
        return False
    if service.audience == Audience.NEW:
        return client.known_since is None
    if service.audience == Audience.EXISTING:
        return client.known_since is not None
    return True


@once(Appointment)
def ask(
    wish: Wish,
    starts_at: datetime,
    *,
    client: Client,
    account: Account,
    now: datetime,
    key: Key | None = None,
    replaces: int | None = None,
) -> Appointment:
    """A client asks for a slot, which is held for them until somebody answers.

    Raises:
        NotFree: the slot cannot be had (any more).
        TooManyPending, NotForThisClient, NotAllowed, AlreadyMoving: it may not be asked for.
        TooOften: they asked again and again.
    """
    with gateway.change(gateway.client(account), now=now, key=key) as tx:
        practice = plan().practice
        service = plan().services[wish.service_id]
        old = None if replaces is None else _movable(tx, replaces)
        if not service.active or not service.online or not suits(service, client, moves=old):
            raise NotForThisClient
        if pending_count(account) >= practice.max_pending:
            raise TooManyPending(practice.max_pending)
        if not Access.select().where(Access.account == account, Access.client == client).exists():
            raise gateway.NotYours
        limits.spend(Limited.REQUEST, account.id, now=now)
        wish = replace(wish, person_ids=client.person_ids, chain=old.chain if old else None)
        slot = tx.claim(wish, starts_at)
        answer_by = policy.request_answer_by(practice, starts_at, now=now)
        if answer_by <= now:
            raise availability.NotFree([availability.Rule.NOTICE])
        appointment = tx.begin(
            Event.ASK,
            chain=old.chain if old else None,
            replaces=old,
            account=account,
            client=client,
            answer_by=answer_by,
            halfway_at=policy.halfway(now, answer_by),
            **session_columns(service, slot),
        )
        notifications.owe(Kind.REQUEST_RECEIVED, appointment, now=now)
        notifications.owe(Kind.STAFF_REQUEST_RECEIVED, appointment, now=now)
        return tx.answer(appointment)


def pending_count(account: Account) -> int:
    """How many answers the account waits for."""
    pending: int = (
        Appointment.select()
        .where(Appointment.account == account, Appointment.state == State.REQUESTED)
        .count()
    )
    return pending


def session_columns(service: Service, slot: Slot) -> dict[str, object]:
    """The columns that say what, when and where, with the service's times as they are now."""
    return {
        "service": service,
        "asked_starts_at": slot.starts_at,
        "buffer_before": service.buffer_before,
        "buffer_after": service.buffer_after,
        **slot_columns(slot),
    }


def slot_columns(slot: Slot) -> dict[str, object]:
    """The columns that an appointment and an offered slot share."""
    return {
        "clinician": slot.clinician_id,
        "location": slot.location_id,
        "clinician_location": slot.clinician_location_id,
        "room": slot.room_id,
        "modality": slot.modality.value,
        "starts_at": slot.starts_at,
        "ends_at": slot.ends_at,
    }


def _movable(tx: Change, appointment_id: int) -> Appointment:
    old = tx.appointment(appointment_id)
    verdict = policy.may_reschedule(plan().practice, old, now=tx.now)
    if verdict is not Verdict.ALLOWED:
        raise NotAllowed(verdict)
    successor = open_successor(old)
    if successor is not None:
        raise AlreadyMoving(successor.id)
    return old


def open_successor(appointment: Appointment) -> Appointment | None:
    """The request that would replace this appointment, while it is undecided."""
    return Appointment.get_or_none(
        Appointment.replaces == appointment,
        Appointment.state.in_([State.REQUESTED, State.OFFERED]),
    )


def has_rival(appointment: Appointment) -> bool:
    """Whether its chain went on without it: reopening it would make two sessions of one."""
    found: bool = (
        Appointment.select()
        .where(
            Appointment.chain == appointment.chain,
            Appointment.id.not_in([appointment.id, appointment.replaces_id or 0]),
            Appointment.state.in_(list(OPEN)),
        )
        .exists()
    )
    return found


@once(Appointment)
def cancel(
    appointment_id: int, *, account: Account, now: datetime, key: Key | None = None
) -> Appointment:
    """The client withdraws a request, or cancels a session within the practice's policy.

    A pending request to move the cancelled session goes with it.

    Raises:
        NotAllowed: too late, or only by telephone, or nothing to cancel.
    """
    with gateway.change(gateway.client(account), now=now, key=key) as tx:
        appointment = tx.appointment(appointment_id)
        verdict = policy.may_cancel(plan().practice, appointment, now=now)
        if verdict is not Verdict.ALLOWED:
            raise NotAllowed(verdict)
        successor = open_successor(appointment)
        if successor is not None:
            _end(tx, successor)
        invited = in_calendars(appointment)
        _end(tx, appointment)
        notifications.owe(Kind.APPOINTMENT_CANCELLED, appointment, now=now, invited=invited)
        notifications.owe(Kind.STAFF_APPOINTMENT_CANCELLED, appointment, now=now)
        return tx.answer(appointment)


def in_calendars(appointment: Appointment) -> bool:
    """Whether an invitation went out that nothing has taken back."""
    return appointment.status is State.CONFIRMED or appointment.displaced_at is not None


def _end(tx: Change, appointment: Appointment) -> None:
    free_offers(appointment)
    tx.apply(appointment, Event.CANCEL, **NOTHING_PENDING)


NOTHING_PENDING = {"answer_by": None, "halfway_at": None, "remind_at": None, "displaced_at": None}


def free_offers(appointment: Appointment, *, but: OfferedSlot | None = None) -> None:
    """Let go of the slots held for a client."""
    OfferedSlot.update(state=OfferState.FREED.value).where(
        OfferedSlot.appointment == appointment,
        OfferedSlot.state == OfferState.HELD,
        OfferedSlot.id != (but.id if but else 0),
    ).execute()


@once(Appointment)
def take_offer(
    appointment_id: int,
    offer_id: int,
    *,
    account: Account,
    now: datetime,
    key: Key | None = None,
) -> Appointment:
    """The client takes one of the offered slots: confirmed at once, since the clinician said yes.

    Raises:
        OfferGone: it is not held any more.
        NotFree: something else made the slot impossible (hours changed, time blocked).
    """
    return _take(appointment_id, offer_id, gateway.client(account), now, key)


@once(Appointment)
def take_offer_for_client(
    appointment_id: int,
    offer_id: int,
    *,
    actor: Actor,
    now: datetime,
    key: Key | None = None,
) -> Appointment:
    """The same for a client who telephones, or who has no account to take it with.

    Raises:
        OfferGone, NotFree: as above.
    """
    return _take(appointment_id, offer_id, actor, now, key)


def _take(
    appointment_id: int, offer_id: int, actor: Actor, now: datetime, key: Key | None
) -> Appointment:
    with gateway.change(actor, now=now, key=key) as tx:
        appointment = tx.appointment(appointment_id)
        offer = OfferedSlot.get_or_none(
            OfferedSlot.id == offer_id, OfferedSlot.appointment == appointment
        )
        if offer is None:
            raise gateway.NotYours
        if (
            appointment.status is not State.OFFERED
            or offer.state != OfferState.HELD
            or offer.held_until <= now
        ):
            raise OfferGone
        slot = tx.claim(
            Wish(
                service_id=appointment.service_id,
                modality=Modality(offer.modality),
                location_id=offer.location_id,
                clinician_ids=(offer.clinician_id,),
                person_ids=appointment.client.person_ids,
                chain=appointment.chain,
            ),
            offer.starts_at,
            waived=STAFF_MAY_WAIVE,
            keep_room=offer.room_id,
        )
        OfferedSlot.update(state=OfferState.TAKEN.value).where(OfferedSlot.id == offer.id).execute()
        free_offers(appointment, but=offer)
        confirm(tx, appointment, Event.TAKE, slot)
        notifications.owe(Kind.OFFER_TAKEN, appointment, now=now)
        notifications.owe(Kind.STAFF_OFFER_TAKEN, appointment, now=now)
        return tx.answer(appointment)


def confirm(
    tx: Change, appointment: Appointment, event: Event, slot: Slot, **columns: object
) -> None:
    """Make `appointment` the one confirmed session of its chain, at `slot`."""
    replaced = Appointment.get_or_none(
        Appointment.id == appointment.replaces_id, Appointment.state == State.CONFIRMED
    )
    if replaced is not None:
        tx.apply(replaced, Event.REPLACE, **NOTHING_PENDING)
    new_client = appointment.client.known_since is None
    if new_client:
        Client.update(known_since=tx.now).where(Client.id == appointment.client_id).execute()
    tx.apply(
        appointment,
        event,
        detail={
            "answer_by": int(appointment.answer_by.timestamp()) if appointment.answer_by else 0,
            "new_client": new_client,
        },
        **slot_columns(slot),
        **NOTHING_PENDING
        | {"remind_at": policy.reminder_at(plan().practice, slot.starts_at, now=tx.now)},
        **columns,
    )


@once(Appointment)
def decline_offers(
    appointment_id: int,
    *,
    account: Account,
    wish: dict[str, object],
    now: datetime,
    key: Key | None = None,
) -> Appointment:
    """«Ninguno de estos horarios me sirve»: the slots are freed; `wish` says what would suit."""
    with gateway.change(gateway.client(account), now=now, key=key) as tx:
        appointment = tx.appointment(appointment_id)
        if appointment.status is not State.OFFERED:
            raise ChangedMeanwhile(appointment_id)
        if appointment.displaced_at is not None:
            lose(tx, appointment, Event.GIVE_UP, wish=wish, decided_at=now)
            return tx.answer(appointment)
        free_offers(appointment)
        tx.apply(appointment, Event.DECLINE, wish=wish, decided_at=now, **NOTHING_PENDING)
        notifications.owe(Kind.STAFF_OFFER_DECLINED, appointment, now=now)
        return tx.answer(appointment)


def lose(tx: Change, appointment: Appointment, event: Event, **columns: Any) -> None:
    """A session that had to move got no other time: it is off, and the practice still owes one."""
    free_offers(appointment)
    owed_since = appointment.displaced_at
    tx.apply(appointment, event, **NOTHING_PENDING | {"displaced_at": owed_since} | columns)
    notifications.owe(Kind.APPOINTMENT_CANCELLED, appointment, now=tx.now, invited=True)
    notifications.owe(Kind.STAFF_OFFER_DECLINED, appointment, now=tx.now)
