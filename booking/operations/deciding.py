"""What a clinician decides about a request: accept, deny with or without offers, take it back."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from booking import availability, gateway, notifications, policy
from booking.availability import STAFF_MAY_WAIVE, Slot, Wish, plan
from booking.gateway import Actor, Change, ChangedMeanwhile, Key, once
from booking.lifecycle import Event, State
from booking.models import Appointment, Client, History, Modality, OfferedSlot
from booking.notifications import Kind
from booking.operations.requesting import NOTHING_PENDING, confirm, has_rival, slot_columns
from booking.replanning import asked_anew


class TooLateToUndo(Exception):
    """The message is on its way, or the client has already answered."""


class OffersOverlap(Exception):
    """Two of the ticked slots are at the same time."""


@once(Appointment)
def accept(
    appointment_id: int, *, version: int, actor: Actor, now: datetime, key: Key | None = None
) -> Appointment:
    """The clinician says yes; everything is checked again in the transaction that writes it.

    Raises:
        ChangedMeanwhile: withdrawn, expired or decided by somebody else.
        NotFree: hours, rooms or the agenda have changed since it was asked for.
    """
    with gateway.change(actor, now=now, key=key) as tx:
        appointment = tx.appointment(appointment_id, version=version)
        _still_open(appointment, now)
        slot = tx.claim(
            availability.wish_of(appointment),
            appointment.starts_at,
            waived=STAFF_MAY_WAIVE,
            keep_room=appointment.room_id,
        )
        confirm(tx, appointment, Event.ACCEPT, slot, decided_at=now)
        _owe_after_undo(Kind.REQUEST_ACCEPTED, appointment, now)
        return tx.answer(appointment)


def _still_open(appointment: Appointment, now: datetime) -> None:
    if appointment.answer_by is not None and appointment.answer_by <= now:
        raise ChangedMeanwhile(appointment.id)
    if appointment.status is not State.REQUESTED:
        raise ChangedMeanwhile(appointment.id)


def _owe_after_undo(kind: Kind, appointment: Appointment, now: datetime) -> None:
    notifications.owe(
        kind, appointment, now=now, due_at=now + timedelta(seconds=plan().practice.undo_seconds)
    )


@once(Appointment)
def deny(
    appointment_id: int,
    *,
    version: int,
    actor: Actor,
    offers: tuple[Slot, ...] = (),
    note: str = "",
    input_hash: str = "",
    now: datetime,
    key: Key | None = None,
) -> Appointment:
    """The clinician says no; the client is told, and may have `offers`, which are held for them.

    `input_hash` names the facts that the clinician's proposals rested on.

    Raises:
        ChangedMeanwhile: the request is no longer what the clinician saw.
        NotFree: one of the ticked slots went meanwhile.
        OffersOverlap: two of them are at the same time.
    """
    with gateway.change(actor, now=now, key=key) as tx:
        appointment = tx.appointment(appointment_id, version=version)
        if appointment.status is not State.DENIED:
            _still_open(appointment, now)
        elif has_rival(appointment):  # Else, denied already: other slots may be offered.
            raise ChangedMeanwhile(appointment.id)
        asked_until = int(appointment.answer_by.timestamp()) if appointment.answer_by else 0
        answer_by = hold(tx, appointment, offers)
        tx.apply(
            appointment,
            Event.OFFER if offers else Event.DENY,
            detail={"answer_by": asked_until, "offers": len(offers), "input_hash": input_hash},
            decided_at=now,
            note=note,
            **NOTHING_PENDING | _until(answer_by, now),
        )
        _owe_after_undo(Kind.SLOTS_OFFERED if offers else Kind.REQUEST_DENIED, appointment, now)
        return tx.answer(appointment)


@once(Appointment)
def displace(
    appointment_id: int,
    *,
    version: int,
    actor: Actor,
    offers: tuple[Slot, ...],
    now: datetime,
    key: Key | None = None,
) -> Appointment:
    """The practice cannot hold a session: its time is freed, and the client chooses another one.

    Raises:
        ChangedMeanwhile: it is not the session that was seen, the client is moving it already, or
            has asked for another one since it was off.
        NotFree: one of the slots went meanwhile.
        OffersOverlap: two of them are at the same time.
    """
    with gateway.change(actor, now=now, key=key) as tx:
        appointment = tx.appointment(appointment_id, version=version)
        stands = appointment.status is State.CONFIRMED and appointment.starts_at > now
        since = None if appointment.status is State.OFFERED else appointment.displaced_at
        if not (stands or since) or not offers or has_rival(appointment):
            raise ChangedMeanwhile(appointment_id)
        if since and asked_anew([(appointment, since)]):
            raise ChangedMeanwhile(appointment_id)
        answer_by = hold(tx, appointment, offers)
        tx.apply(
            appointment,
            Event.DISPLACE,
            detail={"offers": len(offers)},
            decided_at=now,
            **NOTHING_PENDING | _until(answer_by, now) | {"displaced_at": now},
        )
        notifications.owe(Kind.SESSION_DISPLACED, appointment, now=now)
        return tx.answer(appointment)


def _until(answer_by: datetime | None, now: datetime) -> dict[str, datetime]:
    """The columns that say until when there is something to take."""
    if answer_by is None:
        return {}
    return {"answer_by": answer_by, "halfway_at": policy.halfway(now, answer_by)}


def hold(tx: Change, appointment: Appointment, offers: Iterable[Slot]) -> datetime | None:
    """Hold slots for a client, in order of time; until when the last of them is kept.

    Each is held before the next is looked at: whoever changes rooms for one must not get into
    the room of another.

    Raises:
        NotFree: one of them cannot be had (any more).
        OffersOverlap: two of them are at the same time.
    """
    practice, answer_by = plan().practice, None
    margin = timedelta(minutes=appointment.buffer_before + appointment.buffer_after)
    before: Slot | None = None
    for rank, offer in enumerate(sorted(offers, key=lambda slot: slot.starts_at), start=1):
        if before is not None and offer.starts_at < before.ends_at + (
            margin if offer.clinician_id == before.clinician_id else timedelta()
        ):
            raise OffersOverlap
        wish = Wish(
            service_id=appointment.service_id,
            modality=Modality(offer.modality),
            location_id=offer.location_id,
            clinician_ids=(offer.clinician_id,),
            person_ids=appointment.client.person_ids,
            chain=appointment.chain,
        )
        before = tx.claim(wish, offer.starts_at, waived=STAFF_MAY_WAIVE, keep_room=offer.room_id)
        until = policy.offer_held_until(practice, before.starts_at, now=tx.now)
        if until <= tx.now:
            raise availability.NotFree([availability.Rule.NOTICE])
        answer_by = max(until, answer_by or until)
        OfferedSlot.create(
            appointment=appointment, rank=rank, held_until=until, **slot_columns(before)
        )
    return answer_by


def may_undo(appointment: Appointment, *, now: datetime) -> bool:
    """Whether «Deshacer» is still offered: some seconds after a decision about a request."""
    until = policy.undoable_until(plan().practice, appointment)
    return until is not None and now < until and _decision(appointment) is not None


def _decision(appointment: Appointment) -> History | None:
    """The last change, if it was a decision about a pending request."""
    return History.get_or_none(
        History.appointment == appointment,
        History.version == appointment.version,
        History.before == State.REQUESTED,
        History.event.in_([Event.ACCEPT, Event.DENY, Event.OFFER]),
    )


@once(Appointment)
def undo(
    appointment_id: int, *, actor: Actor, now: datetime, key: Key | None = None
) -> Appointment:
    """«Deshacer»: the request is pending again, as if nothing had been decided.

    Raises:
        TooLateToUndo: the time is over, the message left, or the client was faster.
        SlotTaken: the freed time went to somebody else.
    """
    with gateway.change(actor, now=now, key=key) as tx:
        appointment = tx.appointment(appointment_id)
        decision = _decision(appointment)
        if decision is None or not may_undo(appointment, now=now) or has_rival(appointment):
            raise TooLateToUndo
        if not notifications.withdraw(appointment, version=appointment.version):
            raise TooLateToUndo
        OfferedSlot.delete().where(OfferedSlot.appointment == appointment).execute()
        if decision.detail.get("new_client") and not _has_other_sessions(appointment):
            Client.update(known_since=None).where(Client.id == appointment.client_id).execute()
        answer_by = datetime.fromtimestamp(decision.detail["answer_by"], UTC)
        halfway_at = policy.halfway(appointment.asked_at, answer_by)
        tx.apply(
            appointment,
            Event.UNDO,
            decided_at=None,
            note="",
            answer_by=answer_by,
            halfway_at=halfway_at if halfway_at > decision.at else None,  # Reminded before.
            remind_at=None,
        )
        replaced = Appointment.get_or_none(
            Appointment.id == appointment.replaces_id, Appointment.state == State.MOVED
        )
        if replaced is not None:
            remind_at = policy.reminder_at(plan().practice, replaced.starts_at, now=now)
            tx.apply(replaced, Event.UNDO, remind_at=remind_at)
        return tx.answer(appointment)


def _has_other_sessions(appointment: Appointment) -> bool:
    """Whether something else than this decision makes its client known to the practice."""
    found: bool = (
        Appointment.select()
        .where(
            Appointment.client == appointment.client_id,
            Appointment.id != appointment.id,
            Appointment.state.in_([State.CONFIRMED, State.ATTENDED, State.NO_SHOW]),
        )
        .exists()
    )
    return found
