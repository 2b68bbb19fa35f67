"""Languages, regions and zones from outside: never an error, and never past our own lists."""

import pytest

from booking.language import speech
from booking.models import Account

HOSTILE = [
    "", "xx", "EN", "en_US", "en-US", "es_XX", "zz_ZZ@evil", "../../etc/passwd", "en\0",
    "en\r\nX: y", "x" * 10_000, "é", "\u202een", "{{ 7*7 }}", "C", "root", "und", "en;q=NaN",
    "[]", "-1",
]  # fmt: skip
ZONES_OUTSIDE = [
    "UTC", "Nowhere/City", "../../../etc/passwd", "/etc/localtime", "America/Mexico_City\0",
    "america/mexico_city", "America/", "localtime", "posixrules", "tzdata.zi", "x" * 10_000,
    "Etc/GMT+99", "\ud800", ".", "..",
]  # fmt: skip


@pytest.mark.parametrize("language", HOSTILE)
def test_an_unknown_language_is_spanish(visitor, ana, app, language):
    assert speech(language).code == "es"
    assert speech("es", region=language).code == "es"
    browser = visitor(ana)
    browser.post("/idioma", data={"idioma": language})
    assert Account.get_by_id(ana.id).language == "es"
    with browser.session_transaction() as cookie:
        assert "lang" not in cookie
        cookie["lang"] = language  # As an older version may have left it.
    Account.update(language=language[:10].replace("\0", "")).execute()
    named = {"lang": language, "locale": language, "idioma": language, "tz": language}
    accepted = language.encode("latin-1", "ignore").decode("latin-1").replace("\r\n", " ")
    for path in ("/citas", "/cuenta", "/nada"):
        answer = browser.get(path, query_string=named, headers={"Accept-Language": accepted})
        assert answer.status_code in (200, 404)
        assert '<html lang="es">' in answer.text


@pytest.mark.parametrize("zone", ZONES_OUTSIDE)
def test_a_zone_is_one_of_the_list(visitor, ana, zone):
    browser = visitor(ana)
    sent = {"telefono": "", "zona": zone.encode("utf-8", "replace").decode()}
    answer = browser.post("/cuenta", data=sent)
    assert answer.status_code == 422
    assert "Elija una zona de la lista." in answer.text
    assert Account.get_by_id(ana.id).zone not in (zone, sent["zona"])
    assert browser.get("/citas", query_string={"tz": sent["zona"]}).status_code == 200
