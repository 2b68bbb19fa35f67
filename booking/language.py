"""The words and formats of a reader's language, for pages and messages alike.

Message ids are Spanish, so `es` needs no catalogue; `es_ES` holds what Spain says differently.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_datetime, format_timedelta
from babel.support import NullTranslations, Translations

from booking.models import Practice

CATALOGUES = Path(__file__).parent.parent / "translations"
LANGUAGES = {"es": "Español", "en": "English"}
DEFAULT = "es"
HALF_DAY = re.compile(r"\s([ap])\.\s?m\.")


@dataclass(frozen=True, slots=True)
class Speech:
    """One way of saying things: a catalogue and the locale that formats dates."""

    code: str  # es, es_ES or en
    locale: Locale
    catalogue: NullTranslations

    def gettext(self, text: str, **values: object) -> str:
        said = self.catalogue.gettext(text)
        return stop(said % values) if values else said

    def ngettext(self, one: str, many: str, count: int, **values: object) -> str:
        said = self.catalogue.ngettext(one, many, count)
        return stop(said % {"n": count, **values})

    def day(self, when: datetime | date, zone: ZoneInfo | None = None) -> str:
        """«lunes, 9 de marzo de 2026», in the given zone."""
        return self._date(when, self.gettext("EEEE, d 'de' MMMM 'de' y"), zone)

    def short_day(self, when: datetime | date, zone: ZoneInfo | None = None) -> str:
        """«lunes, 9 de marzo»: where the year is plain from what stands around."""
        return self._date(when, self.gettext("EEEE, d 'de' MMMM"), zone)

    def clock(self, when: datetime, zone: ZoneInfo) -> str:
        """«10:00 a. m.»; with 24 hours where the region writes so."""
        return self._time(when, self.gettext("h:mm a"), zone)

    def hour(self, when: datetime, zone: ZoneInfo) -> str:
        """«10 a. m.»: a whole hour, where there is little room."""
        return self._time(when, self.gettext("h a"), zone)

    def moment(self, when: datetime, zone: ZoneInfo) -> str:
        """«lunes, 9 de marzo de 2026, a las 10:00 a. m.»."""
        return self._at(self.day(when, zone), when, zone)

    def short_moment(self, when: datetime, zone: ZoneInfo) -> str:
        """«lunes, 9 de marzo, a las 10:00 a. m.»."""
        return self._at(self.short_day(when, zone), when, zone)

    def time_left(self, now: datetime, end: datetime) -> str:
        """«2 días», «5 horas»: how long somebody still has."""
        return format_timedelta(end - now, threshold=2, locale=self.locale)

    def duration(self, minutes: int) -> str:
        """«50 min», «5 h 30 min»: what minutes come to, in every language."""
        hours, rest = divmod(minutes, 60)
        told = [f"{hours}\xa0h"] if hours else []
        return " ".join([*told, f"{rest}\xa0min"] if rest or not hours else told)

    def zone_name(self, zone: ZoneInfo) -> str:
        """«hora de la Ciudad de México»: the zone in people's words, the same all year."""
        if zone.key in ZONES:
            return self.gettext(ZONES[zone.key])
        city = zone.key.rsplit("/", 1)[-1].replace("_", " ")
        return self.gettext("hora de %(city)s", city=city)

    def _at(self, day: str, when: datetime, zone: ZoneInfo) -> str:
        hour = when.astimezone(zone).hour
        if hour == 1 or (hour == 13 and self.code != "es_ES"):  # «a la 1:00 p. m.»
            return self.gettext("%(day)s, a la %(time)s", day=day, time=self.clock(when, zone))
        return self.gettext("%(day)s, a las %(time)s", day=day, time=self.clock(when, zone))

    def _date(self, when: datetime | date, pattern: str, zone: ZoneInfo | None) -> str:
        if isinstance(when, datetime):
            when = when.astimezone(zone).date() if zone else when.date()
        return _written(self.code, pattern, when.year, when.month, when.day)

    def _time(self, when: datetime, pattern: str, zone: ZoneInfo) -> str:
        there = when.astimezone(zone)
        return _written(self.code, pattern, 2000, 1, 1, there.hour, there.minute)


@lru_cache(maxsize=4096)  # Babel takes its time, and days and times of a page are not many.
def _written(code: str, pattern: str, *parts: int) -> str:
    when = datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001 - on the wall.
    text: str = format_datetime(when, pattern, locale=_locale(code))
    # Babel writes «a.m.», or parts it with narrow spaces that old phones show as boxes.
    return HALF_DAY.sub("\u00a0\\1.\u00a0m.", text).replace("\u202f", "\u00a0")


def one_line(text: str) -> str:
    """For a header or a calendar file: whatever a name holds, it begins no other line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def stop(sentence: str) -> str:
    """A sentence that ends with «a. m.» needs no second full stop."""
    return sentence.replace("\u00a0m..", "\u00a0m.")


def _(text: str) -> str:
    return text


ZONES = {
    "America/Mexico_City": _("hora de la Ciudad de México"),
    "America/Tijuana": _("hora de Tijuana"),
    "America/Cancun": _("hora de Cancún"),
    "America/Monterrey": _("hora de Monterrey"),
    "America/Hermosillo": _("hora de Hermosillo"),
    "America/New_York": _("hora de Nueva York"),
    "America/Chicago": _("hora de Chicago"),
    "America/Denver": _("hora de Denver"),
    "America/Los_Angeles": _("hora de Los Ángeles"),
    "America/Puerto_Rico": _("hora de Puerto Rico"),
    "America/Bogota": _("hora de Bogotá"),
    "America/Lima": _("hora de Lima"),
    "America/Santiago": _("hora de Santiago de Chile"),
    "America/Argentina/Buenos_Aires": _("hora de Buenos Aires"),
    "Europe/Madrid": _("hora peninsular de España"),
    "Atlantic/Canary": _("hora de Canarias"),
}


@cache
def speech(language: str, region: str = "es_419", client_word: str = "cliente") -> Speech:
    """How to speak to somebody; an unknown language gets Spanish, never an error."""
    code = "en" if language == "en" else "es_ES" if region == "es_ES" else "es"
    catalogue = _catalogue(code)
    return Speech(
        code, _locale(code), Renamed(catalogue) if client_word == "paciente" else catalogue
    )


def _locale(code: str) -> Locale:
    return Locale.parse({"en": "en_US", "es": "es_419"}.get(code, code))


def speech_of(practice: Practice, language: str) -> Speech:
    """How a practice speaks to somebody."""
    return speech(language, practice.region, practice.client_word)


def _catalogue(code: str) -> NullTranslations:
    """The translations of a language; Spanish as written needs none."""
    return NullTranslations() if code == "es" else Translations.load(CATALOGUES, [code])


class Renamed(NullTranslations):
    """A catalogue that says «paciente» where ours says «cliente», but for the guide's own words."""

    WORDS = re.compile(r"\b(c)lient(e?)(s?)\b", re.IGNORECASE)
    KEPT = frozenset({"Portal de clientes", "Cliente existente", "Nuevo cliente"})

    def __init__(self, ours: NullTranslations) -> None:
        super().__init__()
        self._ours = ours

    def gettext(self, message: str) -> str:
        said = self._ours.gettext(message)
        return said if message in self.KEPT else self._rename(said)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self._rename(self._ours.ngettext(msgid1, msgid2, n))

    ugettext, ungettext = gettext, ngettext

    def _rename(self, text: str) -> str:
        return self.WORDS.sub(self._patient, text)

    @staticmethod
    def _patient(found: re.Match[str]) -> str:
        word = "pacient" if found[2] else "patient"
        return (word.capitalize() if found[1].isupper() else word) + found[2] + found[3]
