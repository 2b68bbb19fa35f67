"""Which message is owed for which event; the outbox row is written in the same transaction."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import uuid4

from booking.lifecycle import State
from booking.links import new_nonce
from booking.models import Account, Appointment, Delivery, OutboxMessage, SignIn, Withdrawn

LINK_DAYS = 7


class Kind(StrEnum):
    """Every message; each has a function of the same name in `letters`."""

    SIGN_IN_REQUESTED = "sign_in_requested"
    SIGN_IN_UNKNOWN = "sign_in_unknown"
    REQUEST_RECEIVED = "request_received"
    REQUEST_EXPIRED = "request_expired"
    REQUEST_ACCEPTED = "request_accepted"
    REQUEST_DENIED = "request_denied"
    SLOTS_OFFERED = "slots_offered"
    OFFER_REMINDED = "offer_reminded"
    OFFER_LAPSED = "offer_lapsed"
    OFFER_TAKEN = "offer_taken"
    APPOINTMENT_BOOKED = "appointment_booked"
    APPOINTMENT_MOVED = "appointment_moved"
    APPOINTMENT_CANCELLED = "appointment_cancelled"
    SESSION_REMINDED = "session_reminded"
    SESSION_DISPLACED = "session_displaced"
    FACTOR_SET = "factor_set"
    FACTOR_REMOVED = "factor_removed"
    RECOVERY_USED = "recovery_used"
    EMAIL_CHANGE_REQUESTED = "email_change_requested"
    EMAIL_TAKEN = "email_taken"
    EMAIL_CHANGED = "email_changed"
    EMAIL_ASSIGNED = "email_assigned"
    STAFF_REQUEST_RECEIVED = "staff_request_received"
    STAFF_REQUEST_WAITING = "staff_request_waiting"
    STAFF_REQUEST_EXPIRED = "staff_request_expired"
    STAFF_OFFER_TAKEN = "staff_offer_taken"
    STAFF_OFFER_DECLINED = "staff_offer_declined"
    STAFF_APPOINTMENT_CANCELLED = "staff_appointment_cancelled"

    @property
    def about_account(self) -> bool:
        """Not about an appointment, but about how somebody signs in."""
        return self in _ABOUT_ACCOUNT

    @property
    def for_staff(self) -> bool:
        return self.value.startswith("staff_")


_ABOUT_ACCOUNT = frozenset(
    {
        Kind.SIGN_IN_UNKNOWN,
        Kind.FACTOR_SET,
        Kind.FACTOR_REMOVED,
        Kind.RECOVERY_USED,
        Kind.EMAIL_TAKEN,
        Kind.EMAIL_CHANGED,
        Kind.EMAIL_ASSIGNED,
    }
)

# What a message announces must hold when it leaves: the seconds in which a decision can be
# undone, or a mail server that was down for an hour, may have made it old news, and an invitation
# after a cancellation would put the session back into people's calendars. Kinds that are not here
# tell what happened, and stay true.
_CHOOSING = frozenset({State.OFFERED})
_STANDS = frozenset({State.CONFIRMED, State.ATTENDED, State.NO_SHOW})
TRUE_IN = {
    Kind.REQUEST_ACCEPTED: _STANDS,
    Kind.REQUEST_DENIED: frozenset({State.DENIED}),
    Kind.SLOTS_OFFERED: _CHOOSING,
    Kind.SESSION_DISPLACED: _CHOOSING,
    Kind.OFFER_REMINDED: _CHOOSING,
    Kind.OFFER_LAPSED: frozenset({State.DENIED}),
    Kind.OFFER_TAKEN: _STANDS,
    Kind.APPOINTMENT_BOOKED: _STANDS,
    Kind.APPOINTMENT_MOVED: _STANDS,
    Kind.SESSION_REMINDED: frozenset({State.CONFIRMED}),
    Kind.STAFF_REQUEST_WAITING: frozenset({State.REQUESTED}),
}


def still_true(message: OutboxMessage, *, now: datetime) -> bool:
    """Whether the appointment is still where the message says it is, and its code still opens."""
    appointment: Appointment | None = message.appointment
    if appointment is not None:
        return appointment.status in TRUE_IN.get(Kind(message.kind), State)
    proof: SignIn | None = message.sign_in
    return proof is None or Kind(message.kind).about_account or now < proof.expires_at


def owe(
    kind: Kind,
    appointment: Appointment,
    *,
    now: datetime,
    due_at: datetime | None = None,
    **context: object,
) -> None:
    """Owe one message about an appointment to its client or to its clinician.

    A client whom nobody can write to (booked by telephone, no address) is owed nothing.
    """
    if kind.for_staff:
        recipient, account = appointment.clinician.email, _staff_account(appointment)
    else:
        account = appointment.account
        recipient = account.email if account is not None else appointment.client.email
    if not recipient:
        return
    OutboxMessage.create(
        kind=kind.value,
        audience="clinician" if kind.for_staff else "client",
        recipient=recipient,
        language=account.language if account is not None else "es",
        appointment=appointment,
        version=appointment.version,
        sign_in=None if kind.for_staff or account is None else _link(appointment, account, now),
        context=context | _facts(appointment),
        message_id=_message_id(),
        created_at=now,
        due_at=due_at or now,
    )


def _facts(appointment: Appointment) -> dict[str, object]:
    """What a mail must tell as it was when it was owed, however long the mail server is down."""
    return {
        "starts_at": int(appointment.starts_at.timestamp()),
        "answer_by": appointment.answer_by and int(appointment.answer_by.timestamp()),
        "location": appointment.location_id,
    }


def recall(message: OutboxMessage, appointment: Appointment) -> None:
    """Give the appointment in hand (never the row) the facts of when the message was owed."""
    told = message.context
    appointment.starts_at = datetime.fromtimestamp(told["starts_at"], UTC)
    appointment.answer_by = told["answer_by"] and datetime.fromtimestamp(told["answer_by"], UTC)
    appointment.location = told["location"]


def owe_sign_in(sign_in: SignIn, kind: Kind, *, language: str, now: datetime) -> None:
    """Owe the answer to a proof that was begun: code and link, if the address may have them."""
    OutboxMessage.create(
        kind=kind.value,
        audience="client",
        recipient=sign_in.email,
        language=language,
        sign_in=sign_in,
        message_id=_message_id(),
        created_at=now,
        due_at=now,
    )


def owe_about_account(kind: Kind, account: Account, *, now: datetime) -> None:
    """Owe somebody the news that how they sign in has changed; it carries no link to tap."""
    OutboxMessage.create(
        kind=kind.value,
        audience="clinician" if account.staff else "client",
        recipient=account.email,
        language=account.language,
        context={"account": account.id},  # Whose news it is, when they have another address.
        message_id=_message_id(),
        created_at=now,
        due_at=now,
    )


def withdraw(appointment: Appointment, *, version: int) -> bool:
    """Take back what is owed for a version and not yet on its way; False when it is too late."""
    owed = OutboxMessage.select().where(
        OutboxMessage.appointment == appointment, OutboxMessage.version == version
    )
    total: int = owed.count()
    withdrawn: int = (
        OutboxMessage.update(state=Delivery.DEAD.value, error=Withdrawn.UNDONE.value)
        .where(
            OutboxMessage.appointment == appointment,
            OutboxMessage.version == version,
            OutboxMessage.state == Delivery.WAITING,
            OutboxMessage.claimed_until.is_null(),
        )
        .execute()
    )
    return withdrawn == total


def _staff_account(appointment: Appointment) -> Account | None:
    return Account.get_or_none(Account.clinician == appointment.clinician_id)


def _link(appointment: Appointment, account: Account, now: datetime) -> SignIn:
    """A link that opens this appointment in whichever browser the mail is read."""
    return SignIn.create(
        email=account.email,
        account=account,
        nonce=new_nonce(),
        browser="",
        next_path=f"/citas/{appointment.id}",
        created_at=now,
        expires_at=max(
            now + timedelta(days=LINK_DAYS), appointment.answer_by or now, appointment.starts_at
        ),
    )


def _message_id() -> str:
    return uuid4().hex
