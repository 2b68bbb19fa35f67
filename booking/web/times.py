"""A list of free times as pages show it: days, the parts of a day, and what each button says."""

from datetime import UTC, date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from booking.availability import DAYPARTS
from booking.web.language import say

SENT = "%Y-%m-%dT%H:%MZ"


def sent(moment: datetime) -> str:
    """A time as an address or a form has it, in UTC."""
    return f"{moment.isoformat()[:16]}Z"  # Ten times as fast as `strftime`, for each of a list.


def received(text: str) -> datetime:
    """The time that `sent` wrote.

    Raises:
        ValueError: it wrote no such text.
    """
    return datetime.strptime(text, SENT).replace(tzinfo=UTC)


class Day(NamedTuple):
    """A day of a list, all in words; a time is what its button sends and what it says."""

    name: str
    times: str
    parts: list[tuple[str, list[tuple[str, str]]]]


def shown(days: list[tuple[date, list[datetime]]], zone: ZoneInfo) -> list[Day]:
    """The days of a list by a clock of `zone`, under «Por la mañana» and so on."""
    speech = say()
    words = (
        speech.gettext("Por la mañana"),
        speech.gettext("Por la tarde"),
        speech.gettext("Por la noche"),
    )
    headings = dict(zip(DAYPARTS, words, strict=True))
    return [
        Day(
            speech.short_day(day),
            speech.ngettext("%(n)s horario", "%(n)s horarios", len(times)),
            [
                (heading, found)
                for part, heading in headings.items()
                if (
                    found := [
                        (sent(time), speech.clock(there, zone))
                        for time, there in local
                        if part.start <= 60 * there.hour + there.minute < part.end
                    ]
                )
            ],
        )
        for day, times in days
        if (local := [(time, time.astimezone(zone)) for time in times])
    ]
