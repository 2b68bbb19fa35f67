"""The words and formats of a reader's language, for pages and messages alike.

Message ids are Spanish, so `es` needs no catalogue; `es_ES` holds what Spain says differently.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from gettext import NullTranslations
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_datetime, format_timedelta
from babel.support import Translations

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
        return self._format(when, self.gettext("EEEE, d 'de' MMMM 'de' y"), zone)

    def short_day(self, when: datetime | date, zone: ZoneInfo | None = None) -> str:
        """«lunes, 9 de marzo»: where the year is plain from what stands around."""
        return self._format(when, self.gettext("EEEE, d 'de' MMMM"), zone)

    def clock(self, when: datetime, zone: ZoneInfo) -> str:
        """«10:00 a. m.»; with 24 hours where the region writes so."""
        return self._format(when, self.gettext("h:mm a"), zone)

    def moment(self, when: datetime, zone: ZoneInfo) -> str:
        """«lunes, 9 de marzo de 2026, a las 10:00 a. m.»."""
        return self._at(self.day(when, zone), when, zone)

    def short_moment(self, when: datetime, zone: ZoneInfo) -> str:
        """«lunes, 9 de marzo, a las 10:00 a. m.»."""
        return self._at(self.short_day(when, zone), when, zone)

    def time_left(self, now: datetime, end: datetime) -> str:
        """«2 días», «5 horas»: how long somebody still has."""
        return format_timedelta(end - now, threshold=2, locale=self.locale)

    def zone_name(self, zone: ZoneInfo) -> str:
        """«hora de la Ciudad de México»: the zone in people's words, the same all year."""
        return self.gettext(ZONES.get(zone.key, "")) or self.gettext(
            "hora de %(city)s", city=zone.key.rsplit("/", 1)[-1].replace("_", " ")
        )

    def _at(self, day: str, when: datetime, zone: ZoneInfo) -> str:
        hour = when.astimezone(zone).hour
        if hour == 1 or (hour == 13 and self.code != "es_ES"):  # «a la 1:00 p. m.»
            return self.gettext("%(day)s, a la %(time)s", day=day, time=self.clock(when, zone))
        return self.gettext("%(day)s, a las %(time)s", day=day, time=self.clock(when, zone))

    def _format(self, when: datetime | date, pattern: str, zone: ZoneInfo | None) -> str:
        if isinstance(when, datetime):
            if zone is not None:
                when = when.astimezone(zone)
        else:
            when = datetime(when.year, when.month, when.day)  # noqa: DTZ001 - a day has no zone.
        text: str = format_datetime(when, pattern, locale=self.locale)
        # Babel writes «a.m.», or parts it with narrow spaces that old phones show as boxes.
        return HALF_DAY.sub("\u00a0\\1.\u00a0m.", text).replace("\u202f", "\u00a0")


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
def speech(language: str, region: str = "es_419") -> Speech:
    """How to speak to somebody; an unknown language gets Spanish, never an error."""
    if language == "en":
        return Speech("en", Locale("en", "US"), _catalogue("en"))
    if region == "es_ES":
        return Speech("es_ES", Locale("es", "ES"), _catalogue("es_ES"))
    return Speech("es", Locale("es", "419"), NullTranslations())


def _catalogue(code: str) -> NullTranslations:
    return Translations.load(CATALOGUES, [code])
