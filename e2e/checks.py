"""What every page must be, whoever comes to it and by whichever way."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import axe_playwright_python
from babel.messages.pofile import read_po
from playwright.sync_api import Page, ViewportSize

from bench.budgets import compressed, judge, limit
from e2e.reading import read
from e2e.site import Shown

ROOT = Path(__file__).parent.parent
NARROW: ViewportSize = {"width": 320, "height": 640}  # WCAG 2.2, 1.4.10 «Reflow».
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
ADDRESS = re.compile(r"\S+@\S+")  # Speaks no language.
SMALLEST_TARGET = 44  # CSS pixels; WCAG 2.2, 2.5.5.

RUN_AXE = """async tags => {
  const found = await axe.run(document, {runOnly: tags, resultTypes: ["violations"]})
  const where = rule => rule.nodes.slice(0, 3).map(node => node.target).join(", ")
  return found.violations.map(rule => `${rule.id}: ${rule.help} — ${where(rule)}`)
}"""

# What sticks out to the right, a word of it too, and text that its own box cuts off.
TOO_WIDE = """() => {
  const room = document.documentElement.clientWidth
  const wide = document.documentElement.scrollWidth - room
  const name = e => e.tagName.toLowerCase() + (e.className ? "." + e.className : "")
  const all = [...document.body.querySelectorAll("*")].filter(e => e.checkVisibility())
  const out = wide > 0 ? all.filter(e => e.getBoundingClientRect().right > room + 1
    || e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 1) : []
  const cut = all.filter(e => getComputedStyle(e).overflowX == "hidden"
    && e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 1)
  return [...out.slice(-3).map(e => `${name(e)} sobresale (${wide} px)`),
    ...cut.slice(0, 3).map(e => `${name(e)} sale cortado: ${e.innerText.slice(0, 30)}`)]
}"""

# Links inside a sentence are exempt (2.5.5 «Inline»). Of a box to tick, its label is the target; of
# a link that is spread over its card, the card is.
TOO_SMALL = """least => {
  const targetOf = e => {
    if (["checkbox", "radio"].includes(e.type)) return e.labels[0] || e
    const over = getComputedStyle(e, "::after")
    if (over.position != "absolute" || over.inset != "0px") return e
    for (e = e.parentElement; getComputedStyle(e).position == "static";) e = e.parentElement
    return e
  }
  return [...document.querySelectorAll(
  "a[href], button, input:not([type=hidden]), select, textarea, summary")]
  .filter(e => e.checkVisibility({visibilityProperty: true}))
  .map(e => [e, targetOf(e)])
  .filter(([e, box]) => {
    const r = box.getBoundingClientRect()
    const words = e.parentElement.innerText.trim(), own = e.innerText.trim()
    const inline = e.tagName == "A" && getComputedStyle(e).display == "inline"
      && words.length > own.length + 1
    return !inline && (Math.round(r.height) < least || Math.round(r.width) < least)
  })
  .map(([e, box]) => { const r = box.getBoundingClientRect()
    return `${e.tagName.toLowerCase()} «${(e.innerText || e.name || e.id).slice(0, 30)}» mide `
      + `${Math.round(r.width)} × ${Math.round(r.height)}` })
}"""


def in_text(shown: Shown, language: str) -> Iterator[str]:
    """What can be told of a page without showing it, or of what is swapped into one."""
    reading = read(shown.html)
    if shown.step and not reading.title:
        yield "no tiene título"
    if len(reading.headings) != shown.step:
        yield f"{len(reading.headings)} h1, y no {int(shown.step)}: {reading.headings}"
    if reading.waited_for:
        yield "un script al que la página espera"
    if language.startswith("es"):
        yield from (
            f"inglés en una página en español: «{text.strip()[:60]}»"
            for text in reading.said
            if not english().isdisjoint(words(ADDRESS.sub("", text)))
        )
    yield from filter(None, [too_heavy(shown)])


def on_screen(page: Page) -> list[str]:
    """What is wrong with the page that is open; its size and type are as before afterwards."""
    return [*_accessibility(page), *_room(page)]


def too_heavy(shown: Shown) -> str:
    """Which budget a page or a fragment passes as it leaves for the phone; nothing if none."""
    page, fragment = limit(shown.endpoint, shown.status)
    what, most = ("de la página", page) if shown.whole else ("del fragmento", fragment)
    return judge(f"bytes {what}", most, compressed(shown.html), shown.html)


def _accessibility(page: Page) -> Iterator[str]:
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    yield from page.evaluate(RUN_AXE, AXE_TAGS)


def _room(page: Page) -> Iterator[str]:
    """On the narrowest screen, and with text of twice its size (1.4.4 «Resize text»)."""
    before = page.viewport_size
    assert before is not None
    page.set_viewport_size(NARROW)
    yield from (f"a 320 px: {what}" for what in page.evaluate(TOO_WIDE))
    yield from (f"control pequeño: {what}" for what in page.evaluate(TOO_SMALL, SMALLEST_TARGET))
    page.set_viewport_size(before)
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    yield from (f"con letra al 200 %: {what}" for what in page.evaluate(TOO_WIDE))
    page.evaluate("document.documentElement.style.fontSize = ''")


def words(text: str) -> Iterator[str]:
    yield from re.findall(r"[^\W\d_]{2,}", text.lower())


@cache
def english() -> frozenset[str]:
    """Words of the English catalogue that no Spanish text has."""
    with (ROOT / "translations" / "en" / "LC_MESSAGES" / "messages.po").open("rb") as file:
        catalogue = [message for message in read_po(file) if message.id]
    spanish = {word for message in catalogue for word in words(_whole(message.id))}
    return frozenset(w for m in catalogue for w in words(_whole(m.string)) if w not in spanish)


def _whole(text: str | Sequence[str] | None) -> str:
    """A text with its plural."""
    return text if isinstance(text, str) else " ".join(text or ())
