"""A list of free times as pages show it: days, the parts of a day, and what each button says."""

from datetime import UTC, date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from flask_babel import gettext as _

from booking.availability import DAYPARTS
from booking.web.language import say

SENT = "%Y-%m-%dT%H:%MZ"


def sent(moment: datetime) -> str:
    """A time as an address or a form has it, in UTC."""
    return moment.strftime(SENT)


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
    words = (_("Por la mañana"), _("Por la tarde"), _("Por la noche"))
    headings = dict(zip(DAYPARTS, words, strict=True))
    return [
        Day(
            speech.short_day(day),
            speech.ngettext("%(n)s horario", "%(n)s horarios", len(times)),
            [
                (heading, [(sent(time), speech.clock(time, zone)) for time in found])
                for part, heading in headings.items()
                if (found := [time for time, minute in local if part.start <= minute < part.end])
            ],
        )
        for day, times in days
        if (local := [(time, _minute(time.astimezone(zone))) for time in times])
    ]


def _minute(local: datetime) -> int:
    return 60 * local.hour + local.minute
