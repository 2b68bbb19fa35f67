"""What a phone may keep it does not fetch twice; what is somebody's it does not keep."""

import pytest

from booking.web.urls import static

NOBODYS = ["/sw.js", "/manifest.webmanifest", "/sin-conexion"]


@pytest.mark.parametrize("path", NOBODYS)
@pytest.mark.parametrize("accepted", ["br", "gzip", "identity"])
def test_what_is_nobodys_is_asked_for_anew_and_not_sent_again(visitor, ana, path, accepted):
    browser = visitor(ana)
    first = browser.get(path, headers={"Accept-Encoding": accepted})
    assert first.headers["Cache-Control"] == "no-cache"
    told = {"Accept-Encoding": accepted, "If-None-Match": first.headers["ETag"]}
    again = browser.get(path, headers=told)
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]


@pytest.mark.parametrize("path", ["/manifest.webmanifest", "/sin-conexion"])
def test_another_language_is_another_page(visitor, path):
    browser = visitor()
    spanish = browser.get(path)
    assert "Cookie" in spanish.vary
    browser.post("/idioma", data={"idioma": "en"})
    english = browser.get(path, headers={"If-None-Match": spanish.headers["ETag"]})
    assert english.status_code == 200
    assert english.data != spanish.data


def test_a_file_is_everybodys_and_for_good(app, visitor, ana):
    with app.test_request_context():
        address = static("citas.css")
    browser = visitor(ana)
    file = browser.get(address)
    assert "immutable" in file.headers["Cache-Control"]
    assert {*file.vary} == {"Accept-Encoding"}
    assert "Set-Cookie" not in file.headers
    again = browser.get(address, headers={"If-None-Match": file.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("path", ["/citas", "/cuenta", "/citas/guardadas", "/citas/nueva/servicio"])
def test_what_is_somebodys_is_kept_nowhere(visitor, ana, path):
    answer = visitor(ana).get(path, headers={"If-None-Match": "*"})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers
    assert "Cookie" in answer.vary


def test_a_page_and_its_fragment_are_two_things_to_a_cache(visitor, ana):
    answer = visitor(ana).get("/citas")
    assert {"HX-Request", "HX-Target", "Accept-Encoding"} <= {*answer.vary}
