"""«La misma que la última vez»: what was asked for last, again in two steps."""

import html
import re
from urllib.parse import urlencode

import pytest

from bench.server import counted
from booking import gateway
from booking.models import Access, Appointment, Clinician, Location, Practice, Service
from booking.operations import deny
from tests.builders import NOW, at, confirmed_session, own_client, request
from tests.web.test_flow import heading, key_of
from tests.web.test_fuzz import fields_of

TITLE = "La misma que la última vez"
PERSON = "/citas/nueva/persona"


@pytest.fixture
def phone(visitor, ana):
    return visitor(ana)


def offered(phone) -> list[str]:
    """The times at which the same can be had."""
    return re.findall(r'name="hora" value="([^"]+)">', phone.get("/citas").text)


def is_offered(phone) -> bool:
    answer = phone.get("/citas")
    assert answer.status_code == 200
    return TITLE in answer.text


def change(model, *where, **columns) -> None:
    """Set the practice up otherwise."""
    model.update(**columns).where(*where).execute()
    Practice.update(revision=Practice.revision + 1).execute()


def test_it_is_sent_in_two_steps(phone, ana):
    request(ana, at(4, 10))
    page = phone.get("/citas")
    assert TITLE in page.text
    search = fields_of(page.text)[PERSON]
    url = f"{PERSON}?{urlencode(search)}"
    chosen = phone.get(url)
    assert heading(chosen) == "¿Para quién es la cita?"
    persona = own_client(ana).id
    assert re.search(f'value="{persona}" checked', chosen.text)
    sent = phone.post(url, data={"llave": key_of(chosen), "persona": persona})
    assert heading(phone.get(sent.location)) == "Solicitud enviada"
    first, again = Appointment.select().order_by(Appointment.id)
    same = ("service_id", "clinician_id", "location_id", "modality", "client_id")
    assert [getattr(first, name) for name in same] == [getattr(again, name) for name in same]


def test_it_offers_three_days_at_the_hour_nearest_to_the_last(phone, ana):
    request(ana, at(10, 12))
    days = [time[:10] for time in offered(phone)]
    assert len(set(days)) == 3
    assert {time[10:] for time in offered(phone)} == {"T18:00Z"}
    assert min(days) > NOW.date().isoformat()


def test_the_time_that_was_denied_is_not_offered_again(phone, ana, ines):
    denied = request(ana, at(4, 10))
    deny(denied.id, version=1, actor=gateway.staff(ines), now=NOW)
    assert f"{at(4, 10):%Y-%m-%dT%H:%MZ}" not in offered(phone)
    assert len(offered(phone)) == 3


def test_another_time_can_be_looked_for(phone, ana):
    request(ana, at(4, 10))
    link = re.search(r'href="([^"]+)">Ver más horarios', phone.get("/citas").text)
    times = phone.get(html.unescape(link[1]))
    assert heading(times) == "Elija la fecha y hora que desee"
    assert "Consultorio Centro" in times.text


def test_there_is_none_before_the_first(phone):
    assert not is_offered(phone)


def test_the_last_of_somebody_else_is_nobodys(phone, ana, bruno):
    request(bruno, at(4, 10))
    assert not is_offered(phone)


def test_whoever_waits_for_three_answers_is_not_tempted(phone, ana):
    for day in (4, 5, 9):
        request(ana, at(day, 10))
    assert not is_offered(phone)


@pytest.mark.parametrize(
    ("model", "key", "columns"),
    [
        (Service, "individual", {"online": False}),
        (Service, "individual", {"active": False}),
        (Service, "individual", {"audience": "new"}),
        (Clinician, "ines", {"active": False}),
        (Location, "centro", {"active": False}),
    ],
)
def test_what_is_offered_no_more_is_not_offered_again(phone, ana, model, key, columns):
    request(ana, at(4, 10))
    change(model, model.key == key, **columns)
    assert not is_offered(phone)


def test_a_person_one_acts_for_no_more_is_not_offered_again(phone, ana):
    request(ana, at(4, 10))
    Access.delete().where(Access.account == ana).execute()
    assert not is_offered(phone)


def test_more_appointments_ask_for_no_more_queries(phone, ana, ines):
    def queries() -> int:
        with counted() as statements:
            assert is_offered(phone)
        return len(statements)

    confirmed_session(ana, ines, at(4, 10))
    phone.get("/citas")
    few = queries()
    for day in (5, 8, 9, 10, 11, 12):
        confirmed_session(ana, ines, at(day, 10))
    assert queries() == few


def test_where_one_service_is_offered_asking_begins_past_it(phone):
    change(Service, Service.key != "individual", online=False)
    start = re.search(r'<a class="button" href="([^"]+)">Solicitar cita', phone.get("/citas").text)
    assert heading(phone.get(html.unescape(start[1]))) == "Elija la ubicación de su consultorio"


def test_no_choice_leads_to_a_redirect(phone, ana, ines):
    """Each step that is passed is passed by the link itself: a redirect is another round trip."""

    def followed(path: str) -> None:
        page = phone.get(path)
        assert page.status_code == 200, path
        lists = "".join(re.findall(r'<ul class="choices">.*?</ul>', page.text, re.S))
        for link in re.findall(r'href="([^"]+)"', lists):
            followed(html.unescape(link))

    followed("/citas/nueva/servicio")
    confirmed_session(ana, ines, at(4, 10))  # From now on her clinician is known.
    followed("/citas/nueva/servicio")
