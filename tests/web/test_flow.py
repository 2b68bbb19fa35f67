"""The guide's steps as a browser without JavaScript, and as htmx, see them."""

import html
import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from booking import gateway
from booking.models import Appointment, Client, OneTimeKey, WebSession
from booking.operations import add_partner, ask, block_time
from booking.operations.limits import LIMITS, Limited
from booking.operations.people import MOST_PEOPLE
from tests.builders import NOW, at, own_client, request, wish
from tests.conftest import add_minor

SLOT = "/citas/nueva/horario?servicio=individual&consultorio=centro&profesional=ines"
TEN = "2027-03-04T16:00Z"
PERSON = f"/citas/nueva/persona?servicio=individual&consultorio=centro&profesional=ines&hora={TEN}"


def heading(response) -> str:
    return html.unescape(re.findall(r"<h1[^>]*>(.*?)</h1>", response.text, re.S)[0]).strip()


def key_of(response) -> str:
    return str(re.findall(r'name="llave" value="([^"]+)"', response.text.split("<main")[-1])[0])


def send(browser, url=PERSON, **fields):
    """Fill the form of a page as a person does."""
    page = browser.get(url)
    return browser.post(url, data={"llave": key_of(page), **fields})


def send_late(browser, url=PERSON, **fields):
    """The same, from a page that has stood open while the world went on."""
    page = browser.get("/cuenta")
    return browser.post(url, data={"llave": key_of(page), **fields})


@pytest.fixture
def phone(visitor, ana):
    return visitor(ana)


def test_a_request_holds_its_slot_and_shows_what_happens_next(phone, ana):
    sent = send(phone, persona=own_client(ana).id)
    assert sent.status_code == 303
    page = phone.get(sent.location)
    assert heading(page) == "Solicitud enviada"
    assert Appointment.get().starts_at == at(4, 10)
    assert "10:00" not in phone.get(SLOT).text.split("jueves, 4 de marzo")[1].split("<details")[0]


@pytest.mark.parametrize(
    ("url", "gap"),
    [
        ("/citas/nueva/horario", "servicio"),
        ("/citas/nueva/persona?hora=" + TEN, "servicio"),
        ("/citas/nueva/horario?servicio=individual", "consultorio"),
        ("/citas/nueva/horario?servicio=individual&consultorio=centro", "profesional"),
        ("/citas/nueva/persona?servicio=individual&consultorio=centro&profesional=ines", "horario"),
        ("/citas/nueva/horario?servicio=infantil&consultorio=norte", "consultorio"),
        (PERSON.replace(TEN, "mañana"), "horario"),
        (PERSON.replace(TEN, "2027-02-30T16:00Z"), "horario"),
        (PERSON.replace(TEN, "9999-12-31T23:59Z"), "horario"),
        (PERSON.replace(TEN, "1970-01-01T00:00Z"), "horario"),
        (PERSON.replace("individual", "' OR 1=1 --"), "servicio"),
        (PERSON.replace("centro", "x" * 5000), "consultorio"),
    ],
)
def test_what_is_missing_or_makes_no_sense_leads_to_the_first_gap(phone, url, gap):
    answer = phone.get(url)
    assert answer.status_code == 303
    assert urlsplit(answer.location).path == f"/citas/nueva/{gap}"


def test_changing_one_choice_keeps_the_others(phone):
    page = phone.get(PERSON)
    for step in ("servicio", "consultorio", "profesional", "horario"):
        link = re.search(rf'href="(/citas/nueva/{step}\?[^"]+)"', page.text)[1]
        kept = parse_qs(urlsplit(html.unescape(link)).query)
        assert kept["servicio"] == ["individual"]
        assert kept["profesional"] == ["ines"]


def test_the_second_tap_shows_the_first_ones_result(phone, ana):
    key = key_of(phone.get(PERSON))
    form = {"llave": key, "persona": own_client(ana).id}
    first, second = phone.post(PERSON, data=form), phone.post(PERSON, data=form)
    assert first.status_code == second.status_code == 303
    assert first.location == second.location
    assert Appointment.select().count() == 1


def test_changing_the_office_keeps_the_time_when_it_is_free_there_too(phone):
    office = phone.get(PERSON.replace("persona?", "consultorio?"))
    links = [html.unescape(u) for u in re.findall(r'<li><a href="([^"]+)"', office.text)]
    centro, norte, video = links
    assert urlsplit(phone.get(centro).location).path == "/citas/nueva/persona"
    assert urlsplit(phone.get(video).location).path == "/citas/nueva/persona"
    elsewhere = phone.get(norte)  # In the morning she is not there.
    assert heading(elsewhere) == "Elija la fecha y hora que desee"
    assert "A esa hora no hay consulta. Elija otra hora." in elsewhere.text


def test_the_same_key_for_another_time_is_refused(phone, ana):
    key = key_of(phone.get(PERSON))
    form = {"llave": key, "persona": own_client(ana).id}
    phone.post(PERSON, data=form)
    other = phone.post(PERSON.replace("T16:00", "T17:15"), data=form)
    assert other.status_code == 422
    assert Appointment.select().count() == 1


def test_a_used_key_with_other_words_is_refused(phone, ana):
    key = key_of(phone.get(PERSON))
    phone.post(PERSON, data={"llave": key, "persona": own_client(ana).id})
    other = phone.post(
        PERSON.replace("T16:00", "T17:15"),
        data={"llave": key, "persona": own_client(ana).id, "x": "1"},
    )
    assert other.status_code == 422
    assert Appointment.select().count() == 1


def test_whoever_goes_back_reads_that_the_time_is_already_theirs(phone, ana):
    own = "Usted ya pidió ese horario: lo verá en sus citas."
    send(phone, persona=own_client(ana).id)
    back = phone.get(PERSON)
    assert back.status_code == 303
    assert own in phone.get(back.location).text
    again = send_late(phone, persona=own_client(ana).id)
    assert again.status_code == 409
    assert "Esa persona ya tiene una cita a esa hora." in again.text


def test_a_slot_that_was_taken_meanwhile_is_told_with_fresh_times(phone, ana, bruno):
    request(bruno, at(4, 10))
    late = send_late(phone, persona=own_client(ana).id)
    assert late.status_code == 409
    assert heading(late) == "Elija la fecha y hora que desee"
    assert "Lo demás que eligió sigue aquí" in late.text
    assert "Inés Peña Ordóñez" in late.text
    assert late.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "hour",
    ["2027-03-04T16:07Z", "2027-02-01T16:00Z", "2027-03-02T14:00Z", "2027-03-15T16:00Z",
     "2028-03-04T16:00Z", "2027-03-06T16:00Z"],
    ids=["off the grid", "past", "too soon", "holiday", "beyond the horizon", "saturday"],
)  # fmt: skip
def test_a_time_that_is_not_offered_cannot_be_asked_for(phone, ana, hour):
    url = PERSON.replace(TEN, hour)
    answer = send_late(phone, url, persona=own_client(ana).id)
    assert answer.status_code == 409
    assert Appointment.select().count() == 0
    told = phone.get(url, follow_redirects=True)  # Looking at it leads to times that are free.
    assert heading(told) == "Elija la fecha y hora que desee"
    assert "Elija otra hora." in told.text


@pytest.mark.parametrize("person", ["", "999999", "-1", "uno", "1 OR 1=1", "²", "\x00"])
def test_nobody_or_somebody_unknown_is_refused_beside_the_field(phone, person):
    answer = send(phone, persona=person)
    assert answer.status_code == 422
    assert "Diga para quién es la cita." in answer.text


def test_another_accounts_person_cannot_be_asked_for(phone, bruno):
    answer = send(phone, persona=own_client(bruno).id)
    assert answer.status_code == 422
    assert Appointment.select().count() == 0


def test_at_most_three_answers_are_waited_for(phone, ana):
    for hour in (10, 11, 12):
        request(ana, at(5, hour, 15 * (hour - 10)))
    closed = phone.get("/citas/nueva/servicio").text
    assert "que es el máximo" in closed
    assert "Sesión individual" not in closed
    answer = send(phone, persona=own_client(ana).id)
    assert answer.status_code == 409
    assert heading(answer) == "Ya tiene el máximo de solicitudes sin respuesta: 3"


def test_one_person_cannot_be_in_two_places(phone, ana):
    client = own_client(ana)
    ask(wish(clinician="oscar", client=client), at(8, 10), client=client, account=ana, now=at(1, 9))
    answer = send(phone, PERSON.replace(TEN, "2027-03-08T16:00Z"), persona=client.id)
    assert answer.status_code == 409
    assert "ya tiene una cita a esa hora" in answer.text


def test_a_childs_service_is_for_children(phone, ana):
    url = PERSON.replace("individual", "infantil")
    assert "Este servicio es para otra persona" in phone.get(url).text
    minor = url.replace("persona?", "persona/menor?")
    added = send(phone, minor, nombre="  Tomás\tRuiz ", nacimiento="2019-05-20")
    assert added.status_code == 303
    assert Client.get(Client.kind == "minor").name == "Tomás Ruiz"
    page = phone.get(added.location)
    assert "Tomás Ruiz" in page.text
    assert "Ana Ruiz Peña" not in page.text.split("<form")[1]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"nombre": "", "nacimiento": "2019-05-20"},
            "Escriba el nombre y los apellidos del menor.",
        ),
        ({"nombre": "T" * 300, "nacimiento": "2019-05-20"}, "120 caracteres"),
        ({"nombre": "Tomás", "nacimiento": "2019-02-30"}, "Esa fecha no existe."),
        ({"nombre": "Tomás", "nacimiento": "1980-02-10"}, "no es menor de edad"),
        ({"nombre": "Tomás", "nacimiento": "2030-02-10"}, "no es menor de edad"),
        ({"nombre": "Tomás", "nacimiento": ""}, "Escriba la fecha de nacimiento."),
    ],
)
def test_a_childs_data_is_checked_and_kept(phone, fields, message):
    url = PERSON.replace("individual", "infantil").replace("persona?", "persona/menor?")
    answer = send(phone, url, **fields)
    assert answer.status_code == 422
    assert message in html.unescape(answer.text)
    if fields["nombre"]:
        assert fields["nombre"] in answer.text
    assert "2027-03-04T16" in html.unescape(answer.text)  # The draft is kept.


def test_whoever_asks_for_many_people_is_sent_to_the_practice(phone, ana):
    for n in range(MOST_PEOPLE):
        add_minor(ana, f"Luz {n}")
    for service, who in (("infantil", "menor"), ("pareja", "pareja")):
        url = PERSON.replace("individual", service).replace("persona?", f"persona/{who}?")
        answer = send(phone, url, nombre="Otra Persona", nacimiento="2019-05-20")
        assert answer.status_code == 422
        assert "Su cuenta ya tiene 12 personas." in answer.text
        assert "Otra Persona" in answer.text


def test_what_was_typed_too_often_waits_on_the_page(phone):
    url = PERSON.replace("individual", "infantil").replace("persona?", "persona/menor?")
    for n in range(LIMITS[Limited.PEOPLE].most):
        assert send(phone, url, nombre=f"Luz {n}", nacimiento="2019-05-20").status_code == 303
    answer = send(phone, url, nombre="Otra Persona", nacimiento="2019-05-20")
    assert answer.status_code == 429
    assert 'value="Otra Persona"' in answer.text


def test_a_couple_needs_both_to_be_free(phone, ana, bruno):
    couple_url = PERSON.replace("individual", "pareja").replace("persona?", "persona/pareja?")
    added = send(phone, couple_url, nombre="Luis Vega")
    couple = Client.get(Client.kind == "couple")
    assert couple.name == "Ana Ruiz Peña y Luis Vega"
    own = own_client(ana)
    ask(wish(clinician="oscar", client=own), at(8, 10), client=own, account=ana, now=at(1, 9))
    url = PERSON.replace("individual", "pareja").replace(TEN, "2027-03-08T15:30Z")
    assert send(phone, url, persona=couple.id).status_code == 409
    assert added.status_code == 303


def test_htmx_gets_the_step_alone(phone):
    asked = {"HX-Request": "true", "HX-Target": "step"}
    fragment = phone.get(SLOT, headers=asked)
    assert fragment.text.lstrip().startswith("<title>Elija la fecha y hora que desee")
    assert "<html" not in fragment.text
    assert {"HX-Request", "HX-Target", "Cookie"} <= set(fragment.vary)


def test_an_unknown_part_gets_the_step(phone):
    answer = phone.get(SLOT, headers={"HX-Request": "true", "HX-Target": "../secrets"})
    assert answer.headers["HX-Retarget"] == "#step"
    assert '<section id="step"' in answer.text


def test_htmx_without_a_session_gets_the_whole_sign_in_page(visitor):
    answer = visitor().get(
        SLOT, headers={"HX-Request": "true", "HX-Target": "step"}, follow_redirects=True
    )
    assert answer.headers["HX-Retarget"] == "body"
    assert "<!doctype html>" in answer.text


def test_a_step_of_another_menu_entry_brings_its_own_tabs(phone):
    asked = {"HX-Request": "true", "HX-Target": "step", "HX-Current-URL": "http://localhost/cuenta"}
    answer = phone.get("/citas", headers=asked)
    assert answer.headers["HX-Retarget"] == "body"
    assert "aria-current" in answer.text


def test_a_form_whose_session_ended_leads_back_to_its_page(visitor, ana, confirmed):
    answer = visitor().post(f"/citas/{confirmed.id}/elegir", data={"horario": "1"})
    assert parse_qs(urlsplit(answer.location).query)["sig"] == [f"/citas/{confirmed.id}"]
    gone = visitor(ana)
    WebSession.update(ended_at=NOW).execute()
    page = gone.get(f"/citas/{confirmed.id}", follow_redirects=True)
    assert "Por seguridad, vuelva a entrar. Seguirá donde estaba." in page.text


def test_a_refused_form_does_not_change_the_address(phone):
    page = phone.get(PERSON)
    answer = phone.post(
        PERSON, data={"llave": key_of(page)}, headers={"HX-Request": "true", "HX-Target": "step"}
    )
    assert answer.status_code == 422
    assert answer.headers["HX-Push-Url"] == "false"


BOOSTED = {"HX-Request": "true", "HX-Boosted": "true", "HX-Target": "step"}


def test_htmx_gets_the_page_that_a_form_leads_to_and_its_address(phone, ana):
    said = {"llave": key_of(phone.get(PERSON)), "persona": own_client(ana).id}
    answer = phone.post(PERSON, data=said, headers=BOOSTED)
    asked = Appointment.get()
    assert answer.status_code == 200
    assert answer.headers["HX-Push-Url"] == f"/citas/{asked.id}/enviada"
    assert heading(answer) == "Solicitud enviada"
    assert "<html" not in answer.text
    again = phone.post(PERSON, data=said, headers=BOOSTED)
    assert (again.headers["HX-Push-Url"], again.text) == (
        answer.headers["HX-Push-Url"],
        answer.text,
    )
    assert phone.post(PERSON, data=said).location == f"/citas/{asked.id}/enviada"


def test_htmx_gets_the_step_that_is_missing_and_its_address(phone):
    answer = phone.get("/citas/nueva/horario?servicio=individual", headers=BOOSTED)
    assert answer.headers["HX-Push-Url"] == "/citas/nueva/consultorio?servicio=individual"
    assert heading(answer) == "Elija la ubicación de su consultorio"


def test_htmx_gets_the_door_where_a_session_ended(visitor):
    answer = visitor().post(PERSON, data={"persona": "1"}, headers=BOOSTED)
    assert answer.headers["HX-Push-Url"].startswith("/entrar?sig=/citas/nueva/persona")
    assert answer.headers["HX-Retarget"] == "body"


def test_what_gives_the_browser_a_cookie_sends_it_on_by_itself(visitor):
    answer = visitor().post("/entrar", data={"correo": "ana@example.com"}, headers=BOOSTED)
    assert (answer.status_code, answer.location) == (303, "/entrar/codigo")
    assert answer.headers["Set-Cookie"]


def test_a_draft_survives_signing_in(visitor):
    answer = visitor().get(PERSON)
    assert answer.status_code == 303
    assert parse_qs(urlsplit(answer.location).query)["sig"] == [PERSON]


def test_asking_writes_its_key_in_the_same_transaction(phone, ana, bruno):
    request(bruno, at(4, 10))
    send_late(phone, persona=own_client(ana).id)
    assert OneTimeKey.select().count() == 0


STEPS = (
    "servicio",
    "consultorio",
    "profesional",
    "horario",
    "persona",
    "persona/menor",
    "persona/pareja",
)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "hour",
    ["2199-12-31T23:45Z", "2000-01-01T00:00Z", "2027-03-14T08:30Z", f"{TEN}&cambia=9" + "9" * 30,
     f"{TEN}&para=-9223372036854775809", f"{TEN}&cambia=%00", f"{TEN}&desde=0001-01-01", "%ff%fe"],
)  # fmt: skip
def test_no_address_is_so_odd_that_it_breaks_the_portal(phone, step, hour):
    url = f"/citas/nueva/{step}?servicio=individual&consultorio=centro&profesional=ines&hora={hour}"
    assert phone.get(url).status_code < 500
    assert phone.post(url, data={"persona": "1"}).status_code < 500


def elsewhere(page) -> dict[str, str]:
    """What an empty search suggests, and where each leads."""
    choices = re.search(r'<ul class="choices">(.*?)</ul>', page.text, re.S)
    links = re.findall(r'href="([^"]+)">([^<]+)</a>', choices[1]) if choices else []
    return {said: html.unescape(url) for url, said in links}


def listed(browser, url: str) -> int:
    """How many times a search lists, on all its pages."""
    count = 0
    while True:
        page = browser.get(url)
        count += len(set(re.findall(r'name="hora" value="([^"]+)">\d', page.text)))
        later = re.search(r'href="([^"]+)">Ver días posteriores', page.text)
        if later is None:
            return count
        url = html.unescape(later[1])


def mornings_off(ines) -> None:
    """In sixty days Inés is at Centro on no morning."""
    for day in range(61):
        start = at(1, 8) + timedelta(days=day)
        block_time(
            ines.clinician_id,
            start,
            start + timedelta(hours=7),
            reason="",
            actor=gateway.staff(ines),
            now=NOW,
        )


def test_an_empty_search_counts_what_would_help(phone, ines):
    mornings_off(ines)
    page = phone.get(SLOT)
    assert "No quedan horarios libres aquí en los próximos 60 días." in page.text
    found = elsewhere(page)
    told = [re.sub(r"\d+", "N", said) for said in found]
    assert told == [
        "Con otro profesional hay N horarios",
        "En Consultorio Norte hay N horarios",
    ]
    for said, url in found.items():
        assert listed(phone, url) == int(re.search(r"\d+", said)[0])
        kept = parse_qs(urlsplit(url).query)
        assert kept["servicio"] == ["individual"]


def test_what_would_not_help_is_not_suggested(phone, ines, oscar):
    mornings_off(ines)
    for clinician in (ines, oscar):
        block_time(
            clinician.clinician_id,
            at(1, 0),
            at(1, 0) + timedelta(days=80),
            reason="",
            actor=gateway.staff(clinician),
            now=NOW,
        )
    page = phone.get(SLOT)
    assert elsewhere(page) == {}
    assert "buscar de otra manera" not in page.text
    assert "Llamar al" in page.text


def test_an_empty_search_from_a_date_counts_what_is_before_it(phone, ines):
    start = at(8, 0)
    block_time(
        ines.clinician_id,
        start,
        start + timedelta(days=80),
        reason="",
        actor=gateway.staff(ines),
        now=NOW,
    )
    found = elsewhere(phone.get(SLOT + "&desde=2027-03-08"))
    (said,) = [said for said in found if said.startswith("Antes de esa fecha hay")]
    assert "desde" not in found[said]
    assert listed(phone, found[said]) == int(re.search(r"\d+", said)[0])
    (other,) = [url for said, url in found.items() if said.startswith("Con otro profesional")]
    assert "desde=2027-03-08" in other


def test_an_empty_search_costs_few_queries_however_full_the_book_is(phone, ana, ines, caplog):
    def count() -> int:
        caplog.clear()
        with caplog.at_level("DEBUG", logger="peewee"):
            phone.get(SLOT)
        return len(caplog.records)

    session = request(ana, at(4, 17), location="norte")
    mornings_off(ines)
    count()  # The practice's set-up is read once.
    few = count()
    for day in (9, 11):
        request(ana, at(day, 17), location="norte")
    assert count() == few <= 16
    assert session.location_id


def test_what_is_for_somebody_who_would_have_to_be_added_comes_last_and_says_so(phone, ana):
    add_partner(ana, name="Luis Díaz", now=NOW)
    page = phone.get("/citas/nueva/servicio").text
    listed = re.findall(r"<strong>([^<]+)</strong>(.*?)</a>", page.split("<ul class=", 1)[1], re.S)
    assert [(name, "Para otra persona" in rest) for name, rest in listed] == [
        ("Sesión individual", False),
        ("Sesión de pareja", False),
        ("Sesión infantil", True),  # Which the practice lists before.
    ]
