"""What a phone may keep: no more than time and place, of one's own sessions, while signed in."""

import json

import pytest

from tests.builders import at, confirmed_session, request
from tests.conftest import make_account

KEPT = "/citas/guardadas"


def test_only_time_and_place_of_confirmed_sessions_are_kept(visitor, ana, ines):
    confirmed_session(ana, ines, at(4, 10))
    request(ana, at(5, 10))
    (kept,) = visitor(ana).get(KEPT).json
    assert kept["until"] == int(at(4, 10, 50).timestamp() * 1000)
    assert kept["when"] == "jueves, 4 de marzo de 2027, a las 10:00\u00a0a.\u00a0m."
    assert set(kept) == {"when", "place", "until"}
    assert "Inés" not in json.dumps(kept, ensure_ascii=False)


def test_what_is_over_or_anothers_is_not_kept(visitor, ana, ines, clock):
    confirmed_session(ana, ines, at(4, 10))
    assert visitor(make_account("Nora", "nora@example.com")).get(KEPT).json == []
    clock.set(at(4, 11))
    assert visitor(ana).get(KEPT).json == []


def test_nobody_is_told_without_signing_in(visitor):
    assert visitor().get(KEPT).location.startswith("/entrar")


@pytest.mark.parametrize("language", ["es", "en"])
def test_the_page_without_a_network_is_in_the_readers_language_and_about_nobody(
    visitor, ana, language
):
    browser = visitor(ana)
    browser.post("/idioma", data={"idioma": language})
    page = browser.get("/sin-conexion")
    assert f'<html lang="{language}">' in page.text
    assert ana.name not in page.text
    assert "llave" not in page.text  # A key in a page that is kept would soon be a dead one.


def test_the_worker_keeps_the_files_of_today_and_is_asked_for_anew(visitor):
    answer = visitor().get("/sw.js")
    assert (answer.mimetype, answer.headers["Cache-Control"]) == ("text/javascript", "no-cache")
    files = json.loads(answer.text.partition("\n")[0].removeprefix("const FILES = "))
    assert len(files) == 2
    assert {visitor().get(file).status_code for file in files} == {200}


def test_the_portal_can_be_installed(visitor):
    manifest = visitor().get("/manifest.webmanifest")
    assert manifest.mimetype == "application/manifest+json"
    assert manifest.json["start_url"] == "/citas"
    icons = {icon["src"] for icon in manifest.json["icons"]}
    assert {visitor().get(icon).mimetype for icon in icons} == {"image/png"}


def test_leaving_clears_what_was_kept(visitor, ana):
    assert visitor(ana).post("/salir").headers["Clear-Site-Data"] == '"storage"'
