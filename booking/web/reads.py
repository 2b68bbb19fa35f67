"""Notes which of the staff saw whose data, after the page was made (docs/adr/0019)."""

import logging

from flask import Flask, Response, g, request

from booking.logs import trace
from booking.operations.reading import note_read
from booking.web.access import account_or_none

log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    app.after_request(_note)


def _note(response: Response) -> Response:
    """A page of one client, or of one appointment, that the staff were shown."""
    about = {
        name: value
        for name, value in (request.view_args or {}).items()
        if name in ("client_id", "appointment_id")
    }
    if not about or response.status_code >= 300 or request.method not in ("GET", "HEAD"):
        return response
    try:
        # Clients' own pages are told from the staff's by where they are.
        reader = None if request.blueprint == "appointments" else account_or_none()
        if reader is not None and reader.staff:
            note_read(reader, str(request.endpoint), now=g.now, **about)
    except Exception as error:  # No fault keeps anybody from reading what the next session is.
        log.warning("a read could not be noted\n%s", trace(error))
    return response
