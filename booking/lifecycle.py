"""The states of an appointment and the events that lead from one to the next; nothing else."""

from enum import StrEnum


class State(StrEnum):
    """Where an appointment stands, from wish to end."""

    REQUESTED = "requested"
    OFFERED = "offered"
    CONFIRMED = "confirmed"
    DENIED = "denied"
    CANCELLED_BY_CLIENT = "cancelled_by_client"
    CANCELLED_BY_PRACTICE = "cancelled_by_practice"
    LATE_CANCELLED = "late_cancelled"
    EXPIRED = "expired"
    MOVED = "moved"
    ATTENDED = "attended"
    NO_SHOW = "no_show"


class Event(StrEnum):
    """What can happen to an appointment."""

    ASK = "ask"  # A client asks: the appointment begins.
    BOOK = "book"  # Staff books for a client who telephoned: it begins confirmed.
    ACCEPT = "accept"
    DENY = "deny"
    OFFER = "offer"  # Denied, with other slots on offer.
    TAKE = "take"
    DECLINE = "decline"  # «Ninguno de estos horarios me sirve.»
    LAPSE = "lapse"  # None of the offered slots was chosen in time.
    EXPIRE = "expire"
    CANCEL = "cancel"
    LATE_CANCEL = "late_cancel"
    CANCEL_BY_PRACTICE = "cancel_by_practice"
    DISPLACE = "displace"  # The practice has to move a session and offers other slots.
    GIVE_UP = "give_up"  # None of the slots suits for a session that the practice had to move.
    RUN_OUT = "run_out"  # None of those was chosen in time.
    REPLACE = "replace"  # Another appointment took this one's place.
    UNDO = "undo"  # «Deshacer», right after a decision.
    ATTEND = "attend"
    MISS = "miss"


class IllegalTransition(Exception):
    """This event cannot happen to an appointment in this state."""


BIRTHS = {Event.ASK: State.REQUESTED, Event.BOOK: State.CONFIRMED}

LEGAL: dict[tuple[State, Event], State] = {
    (State.REQUESTED, Event.ACCEPT): State.CONFIRMED,
    (State.REQUESTED, Event.DENY): State.DENIED,
    (State.REQUESTED, Event.OFFER): State.OFFERED,
    (State.REQUESTED, Event.EXPIRE): State.EXPIRED,
    (State.REQUESTED, Event.CANCEL): State.CANCELLED_BY_CLIENT,
    (State.REQUESTED, Event.CANCEL_BY_PRACTICE): State.CANCELLED_BY_PRACTICE,
    (State.OFFERED, Event.TAKE): State.CONFIRMED,
    (State.OFFERED, Event.DECLINE): State.DENIED,
    (State.OFFERED, Event.LAPSE): State.DENIED,
    (State.OFFERED, Event.CANCEL): State.CANCELLED_BY_CLIENT,
    (State.OFFERED, Event.CANCEL_BY_PRACTICE): State.CANCELLED_BY_PRACTICE,
    (State.OFFERED, Event.GIVE_UP): State.CANCELLED_BY_PRACTICE,
    (State.OFFERED, Event.RUN_OUT): State.CANCELLED_BY_PRACTICE,
    (State.OFFERED, Event.UNDO): State.REQUESTED,
    (State.DENIED, Event.UNDO): State.REQUESTED,
    (State.DENIED, Event.OFFER): State.OFFERED,  # None of the first slots suited: others may.
    (State.CONFIRMED, Event.UNDO): State.REQUESTED,
    (State.CONFIRMED, Event.CANCEL): State.CANCELLED_BY_CLIENT,
    (State.CONFIRMED, Event.LATE_CANCEL): State.LATE_CANCELLED,
    (State.CONFIRMED, Event.CANCEL_BY_PRACTICE): State.CANCELLED_BY_PRACTICE,
    (State.CONFIRMED, Event.DISPLACE): State.OFFERED,
    (State.CANCELLED_BY_PRACTICE, Event.DISPLACE): State.OFFERED,  # The practice still owes a time.
    (State.CONFIRMED, Event.REPLACE): State.MOVED,
    (State.CONFIRMED, Event.ATTEND): State.ATTENDED,
    (State.CONFIRMED, Event.MISS): State.NO_SHOW,
    (State.MOVED, Event.UNDO): State.CONFIRMED,
}

HOLDS_ITS_TIME = frozenset({State.REQUESTED, State.CONFIRMED})
OPEN = frozenset({State.REQUESTED, State.OFFERED, State.CONFIRMED})


def next_state(state: State, event: Event) -> State:
    """Where `event` leads from `state`.

    Raises:
        IllegalTransition: it leads nowhere.
    """
    try:
        return LEGAL[state, event]
    except KeyError:
        raise IllegalTransition(f"{event} in {state}") from None
