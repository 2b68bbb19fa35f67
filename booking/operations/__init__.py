"""Every verb of the domain: one function, one transaction each."""

from booking.operations.agenda import (
    block_time,
    book,
    cancel_for_client,
    close,
    pin_room,
    unblock_time,
)
from booking.operations.deciding import accept, deny, displace, undo
from booking.operations.people import (
    add_client,
    add_minor,
    add_partner,
    agree_to_full_mails,
    set_language,
    update_account,
)
from booking.operations.replanning import (
    adjust,
    approve,
    plan_for,
    report_absence,
    search_again,
    stop,
)
from booking.operations.requesting import (
    ask,
    cancel,
    decline_offers,
    take_offer,
    take_offer_for_client,
)

__all__ = [
    "accept",
    "add_client",
    "add_minor",
    "add_partner",
    "adjust",
    "agree_to_full_mails",
    "approve",
    "ask",
    "block_time",
    "book",
    "cancel",
    "cancel_for_client",
    "close",
    "decline_offers",
    "deny",
    "displace",
    "pin_room",
    "plan_for",
    "report_absence",
    "search_again",
    "set_language",
    "stop",
    "take_offer",
    "take_offer_for_client",
    "unblock_time",
    "undo",
    "update_account",
]
