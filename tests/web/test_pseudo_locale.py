"""No text that people read goes past the catalogue: a made-up language marks all that it knows.

What is left unmarked on a page can only come from the book.
"""

import re

import pytest
from babel import Locale
from babel.support import NullTranslations

from booking.db import tuples
from booking.language import LANGUAGES, Speech
from booking.models import ALL
from booking.web import language
from e2e.reading import Reading
from tests.web.test_fuzz import FEW, MANY, pages

MARKED = re.compile("⟦[^⟦⟧]*⟧")
WORD = re.compile(r"[^\W\d_]{2,}")


class Marked(NullTranslations):
    """Says everything as it is written, between marks."""

    def gettext(self, message: str) -> str:
        return f"⟦{message}⟧"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return f"⟦{msgid1 if n == 1 else msgid2}⟧"

    ugettext, ungettext = gettext, ngettext


def unmarked(page: str) -> set[str]:
    """The words on a page that no catalogue has."""
    text = "\n".join(Reading(page).said)
    while MARKED.search(text):
        text = MARKED.sub(" ", text)
    return {word.lower() for word in WORD.findall(text)}


def book() -> set[str]:
    """Every word of every row."""
    rows = (row for model in ALL for row in tuples(model.select()))
    return {word.lower() for row in rows for word in WORD.findall(" ".join(map(str, row)))}


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> None:
    speech = Speech("es", Locale.parse("es_419"), Marked())
    monkeypatch.setattr(language, "speech_of", lambda practice, code: speech)


def test_what_is_said_past_the_catalogue_would_be_seen():
    assert unmarked("<p title='⟦Citas⟧'>⟦Antes: ⟦lunes⟧⟧ Ana <small lang='en'>Send</small>") == {
        "ana"
    }
    assert unmarked("<p aria-label='Cerrar'>⟦Citas⟧</p>") == {"cerrar"}


@pytest.mark.parametrize("who", ["anonymous", "holder", "manager"])
@pytest.mark.parametrize("of_a_kind", [FEW, pytest.param(MANY, marks=pytest.mark.long)])
def test_every_text_of_every_page_comes_from_the_catalogue(app, cast, marked, who, of_a_kind):
    known = book() | {name.lower() for name in LANGUAGES.values()}
    left = {
        path: words
        for path, answer in pages(app, cast, who, of_a_kind)
        if answer.mimetype == "text/html"
        and "Location" not in answer.headers
        and not path.startswith("/buzon")  # Mails that were written before.
        if (words := unmarked(answer.text) - known)
    }
    assert left == {}
