"""Noting that one of the staff saw a client's data: the one row that a GET may write."""

from datetime import datetime

from booking.db import transaction
from booking.models import Account, Appointment, ClientRead

PATIENCE_SECONDS = 1.0  # The page is ready: its reader does not wait for those who write.


def note_read(
    account: Account, page: str, *, now: datetime, client_id: int = 0, appointment_id: int = 0
) -> None:
    """Note it once a day for each account, client and kind of page."""
    if appointment_id:
        found = Appointment.get_or_none(Appointment.id == appointment_id)
        client_id = found.client_id if found else 0
    if not client_id:
        return
    row = {"account": account.id, "client": client_id, "page": page, "day": now.date()}
    if ClientRead.get_or_none(**row) is not None:
        return
    with transaction(seconds=PATIENCE_SECONDS):
        ClientRead.insert(**row, at=now).on_conflict_ignore().execute()
