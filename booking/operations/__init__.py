"""Every verb of the domain: one function, one transaction each."""

from booking.operations.agenda import (
    block_time,
    book,
    cancel_for_client,
    close,
    pin_room,
    unblock_time,
)
from booking.operations.deciding import accept, deny, undo
from booking.operations.people import (
    add_client,
    add_minor,
    add_partner,
    set_language,
    update_account,
)
from booking.operations.requesting import ask, cancel, decline_offers, take_offer

__all__ = [
    "accept",
    "add_client",
    "add_minor",
    "add_partner",
    "ask",
    "block_time",
    "book",
    "cancel",
    "cancel_for_client",
    "close",
    "decline_offers",
    "deny",
    "pin_room",
    "set_language",
    "take_offer",
    "unblock_time",
    "undo",
    "update_account",
]
