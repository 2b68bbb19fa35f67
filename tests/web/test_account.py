"""«Mis datos»: what a client can set about themselves."""

import pytest

from booking.models import Account
from tests.web.test_flow import key_of

URL = "/cuenta"


def save(browser, **fields):
    return browser.post(URL, data={"llave": key_of(browser.get(URL)), **fields})


def test_the_zone_of_video_sessions_is_the_readers(visitor, ana):
    phone = visitor(ana)
    assert save(phone, telefono="+34 600 123 456", zona="Europe/Madrid").status_code == 303
    saved = Account.get_by_id(ana.id)
    assert (saved.phone, saved.zone) == ("+34 600 123 456", "Europe/Madrid")
    video = phone.get("/citas/nueva/horario?servicio=individual&consultorio=video&profesional=ines")
    assert "Horarios en hora peninsular de España" in video.text
    assert "El consultorio está en otra zona: hora de la Ciudad de México" in video.text
    assert "4:00" in video.text  # Nine in the morning there is four in the afternoon here.
    office = phone.get(
        "/citas/nueva/horario?servicio=individual&consultorio=centro&profesional=ines"
    )
    assert "Horarios en hora de la Ciudad de México" in office.text


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"zona": "Marte/Olimpo"}, "Elija una zona de la lista."),
        ({"zona": "../../etc/passwd"}, "Elija una zona de la lista."),
        ({"telefono": "abc", "zona": ""}, "solo números"),
    ],
)
def test_what_makes_no_sense_is_told_beside_the_field(visitor, ana, fields, message):
    answer = save(visitor(ana), **fields)
    assert answer.status_code == 422
    assert message in answer.text
    assert Account.get_by_id(ana.id).zone == ""


def test_leaving_on_every_device_ends_every_session(visitor, ana):
    here, there = visitor(ana), visitor(ana)
    here.post("/salir", data={"llave": key_of(here.get(URL)), "todos": "1"})
    assert there.get("/citas").status_code == 303
