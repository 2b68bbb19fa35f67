"""What a page may weigh and a booking may cost: the one table that tests and benches hold us to.

Bytes are those of a body in Brotli, as it leaves for the phone.
"""

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import NamedTuple

import brotli

FIRST_LOAD = 14_000  # A page with all that using it needs: one flight of a new connection.


class Limit(NamedTuple):
    """The most that a view's page and its fragment (the step alone) may weigh."""

    page: int = 2_000
    fragment: int = 800


USUAL = Limit()
LIMITS = {
    # Ten days with all their times.
    "new_appointment.slot": Limit(4_000, 3_300),
    "clients.time": Limit(4_000, 3_300),
    "agenda.times": Limit(4_000, 3_300),
    "new_appointment.person 409": Limit(4_000, 3_300),  # Once more, since one was taken.
    # A session with the times to choose from, or with its day, and all that has happened.
    "appointments.show": Limit(2_000, 1_200),
    "requests.show": Limit(2_000, 1_100),
    # What the longest names of people and places come to; 700 with usual ones.
    "new_appointment.person": Limit(2_000, 950),
    "agenda.appointment": Limit(2_000, 950),
    # Long forms, each opened once in a while.
    "portal.register": Limit(2_000, 1_200),
    "account.show": Limit(2_000, 1_300),
    # What staff read: a week, or all that a decision needs with the days drawn.
    "agenda.week": Limit(4_000, 3_300),
    "replans.absence": Limit(2_000, 1_300),
    "replans.show": Limit(8_000, 7_300),
    "replans.approve": Limit(8_000, 7_300),  # The same, to be looked over first.
    "requests.deny": Limit(4_000, 3_300),
    "requests.accept 409": Limit(4_000, 3_300),  # The denial, since it cannot be accepted.
    "second_factor.activate": Limit(3_000, 2_000),  # The secret as a picture, too.
}


def limit(endpoint: str, status: int = 200) -> Limit:
    """What an answer of a view may weigh; one that refuses may show something else."""
    return LIMITS.get(f"{endpoint} {status}", LIMITS.get(endpoint, USUAL))


class Cost(NamedTuple):
    """The most that a booking may cost a phone, from the page of the sign-in link to «enviada»."""

    requests: int
    trips: int
    body: int
    wire: int  # What comes down with headers and TLS.


# The style is among them; of the trips, 10 is what we aim at (docs/measurements.md).
WITHOUT_SCRIPT = Cost(requests=10, trips=12, body=12_000, wire=15_000)
WITH_SCRIPT = Cost(requests=11, trips=11, body=28_000, wire=32_000)
AGAIN = Cost(requests=4, trips=6, body=6_000, wire=9_000)  # The same, by «La misma…».
AGAIN_WITH_SCRIPT = AGAIN._replace(requests=5, trips=5)  # Now the worker comes, with its page.


def passed(name: str, most: int, figure: int, parts: list[tuple[str, int]]) -> str:
    """What is wrong with a figure, and its three largest parts; nothing within the limit."""
    if figure <= most:
        return ""
    largest = ", ".join(f"{part} {weight:,}" for part, weight in parts[:3])
    return f"{name}: {figure:,}, más de {most:,}; lo que más pesa: {largest}"


def judge(name: str, most: int, figure: int, text: str) -> str:
    """The same of a page, by its text; finding its parts takes long."""
    return passed(name, most, figure, heaviest(text)) if figure > most else ""


def heaviest(text: str) -> list[tuple[str, int]]:
    """Elements of a page, by how much lighter it is without each."""
    whole = compressed(text)
    parts = [
        (part.name, whole - compressed(text[: part.start] + text[part.end :]))
        for part in _parts(text)
    ]
    return sorted(parts, key=lambda part: -part[1])


def compressed(text: str) -> int:
    """The weight of a page as the portal sends it."""
    return len(brotli.compress(text.encode(), quality=5))


class Part(NamedTuple):
    """An element, from where to where."""

    name: str
    start: int
    end: int


OPENED = {"html", "head", "body", "main", "section"}  # Looked into: what counts is what they hold.
EMPTY = {"meta", "link", "input", "br", "hr", "img", "path", "wbr"}


def _parts(text: str) -> Iterator[Part]:
    finder = _Finder(text)
    finder.feed(text)
    finder.close()
    yield from finder.found


class _Finder(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[Part] = []
        self._lines = [0]
        for line in text.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))
        self._inside: list[str] = []  # Elements open within the part that is being read.
        self._name, self._start = "", 0

    def _at(self) -> int:
        line, column = self.getpos()
        return self._lines[line - 1] + column

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self._inside:
            if tag in OPENED:
                return
            given = dict(attrs)
            mark = f"#{given['id']}" if given.get("id") else f".{given.get('class') or ''}"
            self._name, self._start = (tag + mark).rstrip("."), self._at()
        if tag not in EMPTY:
            self._inside.append(tag)
        elif not self._inside:
            self._end(self._at() + len(self.get_starttag_text() or ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in self._inside:
            while self._inside.pop() != tag:
                pass
            if not self._inside:
                self._end(self._at() + len(f"</{tag}>"))

    def _end(self, end: int) -> None:
        self.found.append(Part(self._name, self._start, end))
