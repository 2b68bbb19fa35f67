"""What a page says and is made of, read from its text: no browser is needed for that."""

import re
from dataclasses import dataclass
from functools import lru_cache
from html.parser import HTMLParser
from typing import NamedTuple

EMPTY = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source"}
UNREAD = {"code", "script", "style"}
READ_OUT = ("alt", "aria-label", "placeholder", "title")
UNBROKEN = re.compile("[^ \t\r\n]+")  # The spaces of «10:00 a. m.» are others.


class Lengths(NamedTuple):
    """Of the longest word and the longest text that an element holds by itself."""

    word: int = 0
    text: int = 0


@dataclass(slots=True)
class _Element:
    """One that is open: what it is called with its classes, and in which other; its own text."""

    tag: str
    name: str = ""
    part: str = ""
    text: str = ""


class Reading(HTMLParser):
    """A page, or what was swapped into one."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.language = ""
        self.title = ""
        self.headings: list[str] = []
        self.waited_for = 0  # Scripts that run before anything is shown.
        self.said: list[str] = []  # What is read, or read out, in the language of the page.
        self.parts: dict[str, Lengths] = {}  # Each kind of element, with the one around it.
        self._open = [_Element("")]
        self._skipped: list[str] = []  # Elements that are open, from the first that is not read.
        self.feed(html.replace("<wbr>", ""))  # Where a word may break is not where it ends.
        self.close()
        while len(self._open) > 1:
            self._end()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "html":
            self.language = given.get("lang", "")
        foreign = tag != "html" and "lang" in given
        if tag not in EMPTY and (self._skipped or foreign or tag in UNREAD):
            self._skipped.append(tag)
        if not self._skipped:
            self.said += [given[name] for name in READ_OUT if name in given]
        self.waited_for += tag == "script" and not given.keys() & {"async", "defer"}
        classes = sorted(given.get("class", "").split())
        name = ".".join([tag, *classes, given.get("type", ""), given.get("role", "")])
        self._open.append(_Element(tag, name, f"{self._open[-1].name} > {name}"))
        if tag in EMPTY:
            self._end()

    def handle_data(self, data: str) -> None:
        self._open[-1].text += data
        if not self._skipped:
            self.said.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._skipped:
            while self._skipped.pop() != tag:
                pass
        if any(each.tag == tag for each in self._open):
            while self._end().tag != tag:
                pass  # HTML lets some end tags go without saying.

    def _end(self) -> _Element:
        ended = self._open.pop()
        words = UNBROKEN.findall(ended.text)
        text = " ".join(words)
        before = self.parts.get(ended.part, Lengths())
        self.parts[ended.part] = Lengths(
            max([before.word, *map(len, words)]), max(before.text, len(text))
        )
        if ended.tag == "title":
            self.title = text
        if ended.tag == "h1":
            self.headings.append(text)
        return ended


read = lru_cache(maxsize=256)(Reading)
