"""An appointment as a calendar file (RFC 5545), mailed as RFC 5546 says or downloaded.

One UID for each chain, so that a moved session moves in people's calendars; SEQUENCE rises with
every change of the chain. Nothing in it tells what the session is about.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from icalendar import Calendar, Event, vCalAddress, vText

from booking.language import Speech, one_line
from booking.lifecycle import State
from booking.models import Appointment, History, Location, Practice


class Method(StrEnum):
    """PUBLISH for a download; REQUEST and CANCEL only in mail."""

    PUBLISH = "PUBLISH"
    REQUEST = "REQUEST"
    CANCEL = "CANCEL"


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody named in an invitation."""

    name: str
    email: str


def calendar_file(
    appointment: Appointment,
    practice: Practice,
    say: Speech,
    *,
    method: Method,
    host: str,
    now: datetime,
    attendee: Party | None = None,
) -> bytes:
    """The appointment's session as an `.ics`, in UTC."""
    event = Event()
    event.add("uid", f"{appointment.chain}@{host}")
    event.add("sequence", _sequence(appointment.chain))
    event.add("dtstamp", now)
    event.add("dtstart", appointment.starts_at)
    event.add("dtend", appointment.ends_at)
    event.add("summary", one_line(_title(appointment, practice, say)))
    location: Location | None = appointment.location
    place = (
        say.gettext("Videollamada") if location is None else f"{location.name}, {location.address}"
    )
    event.add("location", one_line(place))
    cancelled = method is Method.CANCEL
    confirmed = appointment.status is State.CONFIRMED
    event.add("status", "CANCELLED" if cancelled else "CONFIRMED" if confirmed else "TENTATIVE")
    if method is not Method.PUBLISH and attendee is not None:
        event.add("organizer", _address(Party(practice.sender_name, practice.email)))
        guest = _address(attendee)
        guest.params["RSVP"] = vText("FALSE")
        guest.params["PARTSTAT"] = vText("ACCEPTED")
        event.add("attendee", guest)
    calendar = Calendar()
    calendar.add("prodid", "-//Citaclara//ES")
    calendar.add("version", "2.0")
    calendar.add("method", method.value)
    calendar.add_component(event)
    return bytes(calendar.to_ical())


def _title(appointment: Appointment, practice: Practice, say: Speech) -> str:
    if appointment.status is State.REQUESTED:
        return say.gettext("Por confirmar: cita en %(practice)s", practice=practice.sender_name)
    return say.gettext("Cita en %(practice)s", practice=practice.sender_name)


def _sequence(chain: int) -> int:
    changes: int = History.select().join(Appointment).where(Appointment.chain == chain).count()
    return changes


def _address(party: Party) -> vCalAddress:
    address = vCalAddress(f"mailto:{party.email}")
    address.params["CN"] = vText(one_line(party.name))
    return address
