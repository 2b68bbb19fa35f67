"""The words of docs/glosario.md are kept, and every text is there in every language."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_file
from babel.messages.pofile import read_po

from booking.language import CATALOGUES, speech
from booking.models import Practice

ROOT = Path(__file__).parents[2]
GLOSSARY = (ROOT / "docs/glosario.md").read_text()
PLACEHOLDER = re.compile(r"%\(\w+\)s")

# Texts that may say a word which elsewhere is avoided, and why.
ALLOWED = {
    "Bloqueado": "the office's own agenda, read by staff",
    "Horario bloqueado": "the office's own agenda, read by staff",
    "Ese horario está bloqueado en la agenda.": "the office's own agenda, read by staff",
    "no deja huecos inservibles": "the office's own agenda, read by staff",
}


def catalogue(path: str) -> Catalog:
    with (CATALOGUES / path).open("rb") as file:
        return read_po(file)


def forms(text: str | tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """One text, or the singular and the plural."""
    return (text,) if isinstance(text, str) else tuple(text)


TEMPLATE = [forms(message.id) for message in catalogue("messages.pot") if message.id]
ENGLISH = {forms(m.id): m for m in catalogue("en/LC_MESSAGES/messages.po") if m.id}
SPAIN = {forms(m.id): m for m in catalogue("es_ES/LC_MESSAGES/messages.po") if m.id}


def table(first: str) -> list[list[str]]:
    """The rows of the glossary's table whose first column is called so."""
    lines = GLOSSARY[GLOSSARY.index(f"| {first} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def quoted(cell: str) -> list[str]:
    return re.findall("«(.+?)»", cell)


AVOIDED = sorted(word for row in table("Concepto") for word in quoted(row[2]))
VARIANTS = [quoted(row[3]) for row in table("Concepto") if row[3]]
LABELS = [tuple(row) for row in table("En español")]


def says(text: str, word: str) -> bool:
    """Whether a text contains a word or phrase, as such and not inside another one."""
    words = PLACEHOLDER.sub("", text)
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", words, re.IGNORECASE) is not None


def test_the_glossary_is_read():
    assert {"reserva", "cerrar sesión", "vencida"} <= set(AVOIDED)
    assert ["celular", "móvil"] in VARIANTS
    assert len(LABELS) == 4


@pytest.mark.parametrize("word", AVOIDED)
def test_avoided_words_are_not_said(word):
    every = {text for texts in TEMPLATE for text in texts} - set(ALLOWED)
    assert [text for text in every if says(text, word)] == []


def test_every_exception_is_still_needed():
    every = {text for texts in TEMPLATE for text in texts}
    assert [t for t in ALLOWED if t not in every or not any(says(t, w) for w in AVOIDED)] == []


@pytest.mark.parametrize(("here", "there"), VARIANTS)
def test_spain_has_its_own_words(here, there):
    for texts in TEMPLATE:
        for index, text in enumerate(texts):
            if says(text, here):
                said = forms(SPAIN[texts].string)[index]
                assert not says(said, here), text
                assert says(said, there), text


def marked() -> Iterator[tuple[str, ...]]:
    """Whatever the code and the templates say through a catalogue."""
    keywords = DEFAULT_KEYWORDS | {"_l": None}
    files = [(path, "python") for path in (ROOT / "booking").rglob("*.py")]
    files += [(path, "jinja2") for path in (ROOT / "templates").rglob("*.*")]
    for path, method in files:
        for _line, message, *_rest in extract_from_file(method, path, keywords):
            yield forms(message)


def test_the_template_has_every_text_and_no_other():
    found = set(marked())
    assert found - set(TEMPLATE) == set(), "python3 dev.py i18n"
    assert set(TEMPLATE) - found == set(), "python3 dev.py i18n"


def test_english_is_complete():
    assert [texts for texts in TEMPLATE if texts not in ENGLISH] == []
    assert [texts for texts, m in ENGLISH.items() if not all(forms(m.string))] == []


@pytest.mark.parametrize("translated", [ENGLISH, SPAIN], ids=["en", "es_ES"])
def test_translations_keep_their_placeholders_and_are_not_guesses(translated):
    assert set(translated) == set(TEMPLATE)
    for texts, message in translated.items():
        assert not message.fuzzy, texts
        assert len(forms(message.string)) == len(texts)
        for text, said in zip(texts, forms(message.string), strict=True):
            assert not said or kept(said) == kept(text), texts


def kept(text: str) -> list[str]:
    return sorted(PLACEHOLDER.findall(text))


@pytest.mark.parametrize(("spanish", "english"), LABELS)
def test_the_guides_labels_are_the_guides_in_both_languages(spanish, english):
    assert ENGLISH[(spanish,)].string == english


def test_what_spain_says_alike_is_said_as_everywhere(visitor):
    alike = "Solicite, cancele o reprograme sus citas en línea."
    assert not SPAIN[(alike,)].string
    assert speech("es", "es_ES").gettext(alike) == alike
    Practice.update(region="es_ES", revision=Practice.revision + 1).execute()
    page = visitor().get("/").text
    assert alike in page
    assert "entrado alguna vez en este portal" in page
