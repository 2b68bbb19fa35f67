"""Dates and times as people write them."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from booking.language import ZONES, speech

MEXICO, MADRID = ZoneInfo("America/Mexico_City"), ZoneInfo("Europe/Madrid")
NBSP = "\u00a0"


@pytest.mark.parametrize(
    ("language", "region", "zone", "expected"),
    [
        ("es", "es_419", MEXICO, "martes, 9 de marzo de 2027, a las 10:00 a. m."),
        ("es", "es_ES", MADRID, "martes, 9 de marzo de 2027, a las 17:00"),
        ("en", "es_419", MEXICO, "Tuesday, March 9, 2027, at 10:00 AM"),
        ("tlh", "es_419", MEXICO, "martes, 9 de marzo de 2027, a las 10:00 a. m."),
    ],
)
def test_a_moment_is_written_out(language, region, zone, expected):
    moment = datetime(2027, 3, 9, 16, 0, tzinfo=UTC)
    assert speech(language, region).moment(moment, zone).replace(NBSP, " ") == expected


@pytest.mark.parametrize(
    ("hour", "words"), [(1, "a la 1:30 a. m."), (13, "a la 1:30 p. m."), (2, "a las 2:30 a. m.")]
)
def test_one_o_clock_is_singular(hour, words):
    moment = datetime(2027, 3, 9, hour, 30, tzinfo=MEXICO)
    assert speech("es").moment(moment, MEXICO).replace(NBSP, " ").endswith(words)


def test_no_narrow_spaces_reach_old_phones():
    said = speech("es").clock(datetime(2027, 3, 9, 16, 0, tzinfo=UTC), MEXICO)
    assert said == f"10:00{NBSP}a.{NBSP}m."


def test_a_sentence_that_ends_with_a_time_has_one_full_stop():
    say = speech("es")
    time = say.clock(datetime(2027, 3, 9, 16, 0, tzinfo=UTC), MEXICO)
    assert say.gettext("Antes de las %(time)s.", time=time).endswith(f"10:00{NBSP}a.{NBSP}m.")


def test_a_day_needs_no_zone():
    assert speech("es").day(date(2028, 2, 29)) == "martes, 29 de febrero de 2028"


def test_a_zone_keeps_its_name_all_year():
    assert speech("es").zone_name(ZoneInfo("America/New_York")) == "hora de Nueva York"
    assert speech("es").zone_name(ZoneInfo("America/Managua")) == "hora de Managua"
    assert all(ZoneInfo(name) for name in ZONES)


def test_time_left_is_told_in_one_unit():
    now = datetime(2027, 3, 9, tzinfo=UTC)
    assert speech("es").time_left(now, now + timedelta(hours=30)) == "30 horas"
    assert speech("es").time_left(now, now + timedelta(days=2, hours=20)) == "3 días"


@pytest.mark.parametrize(
    ("minutes", "told"),
    [(0, "0 min"), (50, "50 min"), (60, "1 h"), (330, "5 h 30 min"), (1505, "25 h 5 min")],
)
def test_minutes_above_an_hour_are_told_as_hours(minutes, told):
    assert speech("es").duration(minutes).replace(NBSP, " ") == told


def test_a_practice_that_has_patients_says_so_but_for_the_guides_words():
    patients = speech("es", client_word="paciente")
    assert patients.gettext("Clientes") == "Pacientes"
    assert patients.gettext("Nota para el cliente (opcional)") == "Nota para el paciente (opcional)"
    assert patients.gettext("Portal de clientes") == "Portal de clientes"
    assert patients.gettext("Nuevo cliente") == "Nuevo cliente"
    english = speech("en", client_word="paciente")
    assert "patient" in english.gettext("Nota para el cliente (opcional)")
