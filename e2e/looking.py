"""Every page that the tests come to is read, and every kind of page is looked at, by `checks`.

A test says nothing about it. When it ends, the portal tells what it showed meanwhile: pages, also
those that answer a form, and what htmx swapped into them. All of that is read. What has something
in it that nobody has looked at in this run, or nothing as long, is put together again as it stood
in the browser, and looked at.

Each takes the place of the one before it in the same document, as htmx does it: scripts, ours and
those of the checks, are read once and stay warm, since that was two thirds of the work.
"""

from collections.abc import Iterator
from hashlib import sha256
from math import log2
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser

from e2e.browser import PATIENCE, SCREENS
from e2e.checks import in_text, on_screen
from e2e.reading import read
from e2e.site import Shown, Site

NOSCRIPT = "<noscript>"
REFRESH = 'http-equiv="refresh"'  # What is looked at must stay.

# Parsed as it is read where scripts run, or where they do not.
OPEN = """html => {
  const root = document.documentElement
  const own = new DOMParser().parseFromString(html, "text/html").documentElement.attributes
  for (const {name} of [...root.attributes]) root.removeAttribute(name)
  for (const {name, value} of own) root.setAttribute(name, value)
  root.innerHTML = html
}"""

# A step comes with the title of its page; a part stands for what is called as it is.
SWAP = """html => {
  const box = document.createElement("template")
  box.innerHTML = html
  const title = box.content.querySelector("title"), root = box.content.querySelector("[id]")
  if (title) document.title = title.textContent
  document.getElementById(root.id).replaceWith(root)
}"""

# Styles are there, and what scripts do with a page that htmx has swapped in is done.
SETTLE = """async javascript => {
  const styles = [...document.querySelectorAll("link[rel=stylesheet]")]
  await Promise.all(styles.filter(style => !style.sheet).map(style =>
    new Promise((done, fail) => Object.assign(style, {onload: done, onerror: fail}))))
  if (!javascript || !document.querySelector("script[src]")) return
  htmx.process(document.body)
  htmx.trigger(document.body, "htmx:afterSettle")
}"""
OFFERED = """!window.htmx || !("caches" in window) || !document.querySelector("#keep[hidden]")"""


def layers(all_shown: list[Shown], index: int) -> list[Shown]:
    """The page as it stood: a whole one, the step swapped into it, the part swapped into that."""
    last = all_shown[index]
    if last.whole:
        return [last]
    for before in reversed(range(index)):
        under = all_shown[before]
        fits = under.whole if last.step else under.step and _place(under) == _place(last)
        if fits and under.session == last.session:
            return [*layers(all_shown, before), last]
    raise LookupError(f"nothing to swap {last.path} into")


def _place(shown: Shown) -> str:
    return urlsplit(shown.path).path


def growth(length: int) -> int:
    """How long a text is, in steps of √2: what is one step longer is looked at again."""
    return round(2 * log2(max(length, 1)))


def read_all(all_shown: list[Shown]) -> Iterator[tuple[Shown, list[str]]]:
    """Everything that was shown, and what is wrong with its text."""
    for index, shown in enumerate(all_shown):
        whole, *_ = layers(all_shown, index)
        yield shown, list(in_text(shown, read(whole.html).language))


class Lookout:
    """Looks at pages on a device of its own, on which nobody does anything."""

    def __init__(self, browser: Browser, site: Site, seen: Path) -> None:
        context = browser.new_context(
            locale="es-MX",
            service_workers="block",
            **SCREENS["phone"],  # type: ignore[arg-type]
        )
        self._page, self._site, self._seen = context.new_page(), site, seen
        self._engine = context.new_cdp_session(self._page)
        self._warm = False  # Whether the document has our script.
        # What scripts ask for is never answered, so that the page stays as it is.
        asking = [{"resourceType": "XHR"}, {"resourceType": "Fetch"}]
        self._engine.send("Fetch.enable", {"patterns": asking})

    def look(
        self, all_shown: list[Shown], *, scenario: str, javascript: bool
    ) -> list[tuple[Shown, list[str]]]:
        """What was shown and is new in this scenario, and what is wrong with how it looks."""
        found = []
        for index, shown in enumerate(all_shown):
            scripts = javascript or NOSCRIPT not in shown.html  # Where that makes a difference.
            if self._is_new(shown, f"{scenario} {scripts}"):
                self._open(layers(all_shown, index), scripts)
                found.append((shown, on_screen(self._page)))
        return found

    def _is_new(self, shown: Shown, where: str) -> bool:
        """Whether its kind of page never had one of its parts, or none with such long words."""
        kind = f"{where} {shown.endpoint} {shown.status} {shown.whole}"
        claimed = [
            self._claim(f"{kind} {part} {what}", growth(length))
            for part, lengths in read(shown.html).parts.items()
            for what, length in lengths._asdict().items()
        ]
        return any(claimed)

    def _claim(self, part: str, steps: int) -> bool:
        """Whether nobody, in any process, has looked at it as long as this; now it is known."""
        for step in range(steps, -1, -1):
            try:
                name = sha256(f"{part} {step}".encode()).hexdigest()
                (self._seen / name).touch(exist_ok=False)
            except FileExistsError:
                return step < steps
        return True

    def _open(self, composed: list[Shown], javascript: bool) -> None:
        whole, *swapped = composed
        # As it is read where scripts run or do not; the checks are scripts, too.
        self._engine.send("Emulation.setScriptExecutionDisabled", {"value": not javascript})
        html = whole.html.replace(REFRESH, "")
        if self._warm:
            self._page.evaluate(OPEN, html)
        else:
            self._visit(whole.path, html)
        self._engine.send("Emulation.setScriptExecutionDisabled", {"value": False})
        for each in swapped:
            self._page.evaluate(SWAP, each.html)
        self._page.evaluate(SETTLE, javascript)
        if javascript:
            self._page.wait_for_function(OFFERED, timeout=PATIENCE)

    def _visit(self, path: str, html: str) -> None:
        """The first page, or the first with our script, in a document of its own."""
        answer = {"body": html, "content_type": "text/html; charset=utf-8"}
        self._page.route("**/*", lambda route: route.fulfill(**answer), times=1)
        self._page.goto(f"{self._site.url}{path}")
        self._warm = self._page.evaluate("'htmx' in window")
