"""What every page must be, whoever comes to it and by whichever way."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import axe_playwright_python
from babel.messages.pofile import read_po
from playwright.sync_api import Page, ViewportSize

from bench.budgets import compressed, judge, limit
from e2e.site import Shown

ROOT = Path(__file__).parent.parent
NARROW: ViewportSize = {"width": 320, "height": 640}  # WCAG 2.2, 1.4.10 «Reflow».
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
SMALLEST_TARGET = 44  # CSS pixels; WCAG 2.2, 2.5.5.

RUN_AXE = """async tags => {
  const found = await axe.run(document, {runOnly: tags, resultTypes: ["violations"]})
  const where = rule => rule.nodes.slice(0, 3).map(node => node.target).join(", ")
  return found.violations.map(rule => `${rule.id}: ${rule.help} — ${where(rule)}`)
}"""

FRAME = """() => ({
  language: document.documentElement.lang,
  title: document.title,
  headings: [...document.querySelectorAll("h1")].map(h => h.innerText),
  scripts: [...document.querySelectorAll("script:not([defer]):not([async])")].length,
})"""

# What sticks out to the right, and text that its own box cuts off.
TOO_WIDE = """() => {
  const room = document.documentElement.clientWidth
  const wide = document.documentElement.scrollWidth - room
  const name = e => e.tagName.toLowerCase() + (e.className ? "." + e.className : "")
  const all = [...document.body.querySelectorAll("*")].filter(e => e.checkVisibility())
  const out = wide > 0 ? all.filter(e => e.getBoundingClientRect().right > room + 1) : []
  const cut = all.filter(e => getComputedStyle(e).overflowX == "hidden"
    && e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 1)
  return [...out.slice(-3).map(e => `${name(e)} sticks out (${wide} px)`),
    ...cut.slice(0, 3).map(e => `${name(e)} is cut off: ${e.innerText.slice(0, 30)}`)]
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
    return `${e.tagName.toLowerCase()} «${(e.innerText || e.name || e.id).slice(0, 30)}» is `
      + `${Math.round(r.width)} × ${Math.round(r.height)}` })
}"""

WORDS = """() => {
  const copy = document.documentElement.cloneNode(true), texts = []
  const other = "[lang=en], noscript:not(:has(*)), script, style, svg, code, input, textarea"
  copy.querySelectorAll(other).forEach(e => e.remove())
  for (const walk = document.createTreeWalker(copy, NodeFilter.SHOW_TEXT); walk.nextNode();)
    texts.push(walk.currentNode.data)
  return texts.join(" ")
}"""


def problems(page: Page) -> list[str]:
    """All that is wrong with the page that is open; its size and type are as before afterwards."""
    return [*_frame(page), *_accessibility(page), *_room(page), *_words(page)]


def too_heavy(shown: Shown) -> str:
    """Which budget a page or a fragment passes as it leaves for the phone; nothing if none."""
    page, fragment = limit(shown.endpoint, shown.status)
    what, most = ("page", page) if shown.whole else ("fragment", fragment)
    return judge(what, most, compressed(shown.html), shown.html)


def _frame(page: Page) -> Iterator[str]:
    frame = page.evaluate(FRAME)
    if not frame["title"].strip():
        yield "no title"
    if len(frame["headings"]) != 1:
        yield f"{len(frame['headings'])} main headings: {frame['headings']}"
    if frame["scripts"]:
        yield "a script that the page waits for"


def _accessibility(page: Page) -> Iterator[str]:
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    yield from page.evaluate(RUN_AXE, AXE_TAGS)


def _room(page: Page) -> Iterator[str]:
    """On the narrowest screen, and with text of twice its size (1.4.4 «Resize text»)."""
    before = page.viewport_size
    assert before is not None
    page.set_viewport_size(NARROW)
    yield from (f"at 320 px: {what}" for what in page.evaluate(TOO_WIDE))
    yield from (f"target too small: {what}" for what in page.evaluate(TOO_SMALL, SMALLEST_TARGET))
    page.set_viewport_size(before)
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    yield from (f"at 200 %: {what}" for what in page.evaluate(TOO_WIDE))
    page.evaluate("document.documentElement.style.fontSize = ''")


def _words(page: Page) -> Iterator[str]:
    if not page.evaluate("document.documentElement.lang").startswith("es"):
        return
    text = re.sub(r"\S+@\S+", "", page.evaluate(WORDS))  # An address speaks no language.
    for word in sorted(set(words(text)) & english()):
        place = re.search(rf".{{0,20}}\b{word}\b.{{0,20}}", text, re.IGNORECASE)
        yield f"English on a Spanish page: «{place[0].strip() if place else word}»"


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
