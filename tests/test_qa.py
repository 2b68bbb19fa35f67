"""The scenarios: each, on both databases, is a sound book that holds what its name says."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from booking import availability, free_times, invariants
from booking.availability import NotFree, Rule, plan
from booking.lifecycle import State
from booking.mailer import FolderMailer
from booking.models import (
    Access,
    Account,
    Appointment,
    BlockedTime,
    Client,
    ClientKind,
    History,
    Modality,
    OfferedSlot,
    Room,
    WebSession,
)
from booking.operations import signing_in
from booking.operations.signing_in import Browser, session_of
from booking.policy import Verdict, may_cancel, may_reschedule
from booking.qa import book, scenarios
from booking.qa.book import Nobody, NoSuchScenario, Scene
from booking.qa.cast import NOW, at
from tests.builders import wish

S = State
STATES = {
    "vacio": [],
    "dos-clientes": [],
    "conocida-sin-cuenta": [],
    "minima": [],
    "varios-profesionales": [],
    "pendiente": [S.REQUESTED],
    "confirmada": [S.CONFIRMED],
    "ofertas-vigentes": [S.OFFERED],
    "ofertas-por-vencer": [S.OFFERED],
    "denegada": [S.DENIED],
    "cancelada": [S.CANCELLED_BY_CLIENT],
    "reprogramacion-pendiente": [S.CONFIRMED, S.REQUESTED],
    "realizada": [S.ATTENDED],
    "fuera-de-plazo": [S.CONFIRMED],
    "solo-por-telefono": [S.CONFIRMED],
    "videollamada": [S.CONFIRMED],
    "menor-y-pareja": [S.CONFIRMED] * 2,
    "nombres-largos": [S.CONFIRMED, S.REQUESTED],
    "bandeja-llena": [S.REQUESTED] * 12,
    "ausencia": [S.CONFIRMED] * 3,
    "agenda-llena": [S.REQUESTED],
    "sala-unica": [S.CONFIRMED],
    "cambio-de-sala": [S.CANCELLED_BY_CLIENT, S.REQUESTED],
    "cambio-de-hora": [S.CONFIRMED] * 2,
}


@pytest.fixture
def mailbox(settings) -> FolderMailer:
    return FolderMailer(settings.data_dir / "buzon")


@pytest.fixture
def opened(db, clock, mailbox, settings) -> Callable[[str], Scene]:
    """Begin a scenario in place of the test practice."""
    return lambda name: book.open_at(name, clock, mailbox, settings)


@pytest.mark.parametrize("name", scenarios.ALL)
def test_a_scenario_is_a_sound_book_that_holds_what_its_name_says(name, opened, clock, mailbox):
    scene = opened(name)
    assert invariants.violations() == {}
    assert clock.now() == scene.now == scenarios.ALL[name].now
    assert scene.clients
    assert scene.clinicians
    rows = list(Appointment.select().order_by(Appointment.id))
    assert scene.appointments == tuple(row.id for row in rows)
    if name != "demostracion":
        assert [row.status for row in rows] == STATES[name]
        assert scene.clients[0].name.startswith("María de los Ángeles")
    HOLDS.get(name, lambda scene, mailbox: None)(scene, mailbox)


def test_every_scenario_is_in_the_guide_for_qa():
    guide = (Path(__file__).parents[1] / "docs" / "qa.md").read_text()
    for each in scenarios.ALL.values():
        assert f"| `{each.name}` | {each.shows} |" in guide


# What a state alone does not say.


def the_appointment() -> Appointment:
    return Appointment.select().order_by(Appointment.id).get()


def subjects(mailbox: FolderMailer, to: Account) -> list[str]:
    return [str(mail["Subject"]) for _, mail in mailbox.messages() if mail["To"] == to.email]


def a_record_without_account(scene, _mailbox):
    rosa = Client.get(Client.name == "Rosa Ibáñez Luna")
    assert rosa.known_since
    assert not Access.select().where(Access.client == rosa).exists()


def one_of_everything(scene, _mailbox):
    the = plan()
    assert len(the.clinicians) == len(the.locations) == len(the.services) == len(the.rooms) == 1


def several_to_choose_from(scene, _mailbox):
    service = plan().service_by_key("individual")
    roma = plan().location_by_key("roma")
    assert len(plan().offered_at(service, roma.id)) > 2


def three_held_offers_and_their_mail(scene, mailbox):
    assert [o.held_until > scene.now for o in OfferedSlot.select()] == [True] * 3
    assert any("Elija otro horario" in said for said in subjects(mailbox, scene.clients[0]))


def offers_that_end_within_the_hour(scene, mailbox):
    three_held_offers_and_their_mail(scene, mailbox)
    left = {offer.held_until - scene.now for offer in OfferedSlot.select()}
    assert max(left) <= timedelta(hours=1)
    assert len(subjects(mailbox, scene.clients[0])) > 2  # The reminder, too, went out.


def a_note_and_no_offer(scene, _mailbox):
    assert the_appointment().note
    assert not OfferedSlot.select().exists()


def a_move(scene, _mailbox):
    first, second = Appointment.select().order_by(Appointment.id)
    assert second.replaces_id == first.id


def too_late_to_cancel(scene, _mailbox):
    verdict = may_cancel(plan().practice, the_appointment(), now=scene.now)
    assert verdict is Verdict.TOO_LATE


def never_by_the_portal(scene, _mailbox):
    for rule in (may_cancel, may_reschedule):
        verdict = rule(plan().practice, the_appointment(), now=scene.now)
        assert verdict is Verdict.CALL_THE_PRACTICE


def a_session_by_video(scene, _mailbox):
    assert the_appointment().modality == Modality.VIDEO


def a_child_and_a_couple(scene, _mailbox):
    kinds = [a.client.kind for a in Appointment.select().order_by(Appointment.id)]
    assert kinds == [ClientKind.MINOR, ClientKind.COUPLE]


def names_that_fill_a_line(scene, _mailbox):
    long = [plan().practice.name, scene.clients[0].name, scene.clinicians[0].name]
    long += [service.name for service in plan().services.values()]
    assert min(map(len, long)) > 60


def nothing_left_but_elsewhere(scene, _mailbox):
    zone, day = plan().zone(None), NOW.date()
    for office, some in (("centro", False), ("norte", True)):
        (free,) = free_times.count_free([(wish(location=office), day)], zone=zone, now=NOW)
        assert bool(free) is some


def three_to_move(scene, _mailbox):
    assert {a.starts_at for a in Appointment.select()} == {at(4, hour) for hour in (9, 11, 13)}


def a_room_that_two_want(scene, _mailbox):
    assert Room.select().count() == 1
    with pytest.raises(NotFree) as refused:
        availability.slot(wish(clinician="oscar"), at(4, 10), now=NOW)
    assert refused.value.rules == (Rule.ROOM,)


def a_room_that_somebody_can_leave(scene, _mailbox):
    slot = availability.slot(wish(service="infantil"), at(10, 9, 45), now=NOW)
    assert [swap.appointment_id for swap in slot.swaps] == [scene.appointments[1]]


def the_same_hour_at_two_distances_from_utc(scene, _mailbox):
    zone = plan().zone(None)
    before, after = (
        a.starts_at.astimezone(zone) for a in Appointment.select().order_by(Appointment.id)
    )
    assert before.hour == after.hour
    assert after.utcoffset() - before.utcoffset() == timedelta(hours=1)


def a_demonstration(scene, _mailbox):
    assert len(scene.appointments) > 100


HOLDS = {
    "conocida-sin-cuenta": a_record_without_account,
    "minima": one_of_everything,
    "varios-profesionales": several_to_choose_from,
    "ofertas-vigentes": three_held_offers_and_their_mail,
    "ofertas-por-vencer": offers_that_end_within_the_hour,
    "denegada": a_note_and_no_offer,
    "reprogramacion-pendiente": a_move,
    "fuera-de-plazo": too_late_to_cancel,
    "solo-por-telefono": never_by_the_portal,
    "videollamada": a_session_by_video,
    "menor-y-pareja": a_child_and_a_couple,
    "nombres-largos": names_that_fill_a_line,
    "agenda-llena": nothing_left_but_elsewhere,
    "ausencia": three_to_move,
    "sala-unica": a_room_that_two_want,
    "cambio-de-sala": a_room_that_somebody_can_leave,
    "cambio-de-hora": the_same_hour_at_two_distances_from_utc,
    "demostracion": a_demonstration,
}


# Opening one.


def test_nothing_is_left_of_the_book_before(opened, clock, mailbox):
    scene = opened("ofertas-vigentes")
    held = signing_in.open_session(scene.clients[0], Browser(), now=NOW)
    clock.advance(timedelta(days=3))
    scene = opened("minima")
    assert session_of(held.token, now=clock.now()) is None
    assert not WebSession.select().exists()
    assert not History.select().exists()
    assert not BlockedTime.select().exists()
    assert mailbox.messages() == []
    assert clock.now() == NOW
    assert plan().practice.name == "Consultorio Ceiba"
    assert [account.email for account in scene.clinicians] == ["ines@ceiba.example"]


def test_history_is_guarded_again_afterwards(opened):
    opened("pendiente")
    with pytest.raises(Exception, match="append-only"):
        History.delete().execute()


def test_an_unknown_scenario_is_answered_with_those_that_exist(opened):
    opened("pendiente")
    with pytest.raises(NoSuchScenario, match=r"«nada».*vacio, .*pendiente"):
        opened("nada")
    assert Appointment.select().count() == 1


def test_people_are_let_in_by_address_or_by_name(opened):
    scene = opened("vacio")
    maria = scene.clients[0]
    for who in (maria.email.upper(), maria.name):
        entered = book.sign_in(who, factor_shown=True, now=NOW)
        assert session_of(entered.token, now=NOW).account == maria
    with pytest.raises(Nobody, match=r"«Nadie».*maria@example\.com"):
        book.sign_in("Nadie", factor_shown=True, now=NOW)


def test_staff_are_let_in_wholly_or_halfway(opened):
    email = opened("vacio").clinicians[0].email
    whole = book.sign_in(email, factor_shown=True, now=NOW).token
    half = book.sign_in(email, factor_shown=False, now=NOW).token
    assert session_of(whole, now=NOW).proved_at == NOW
    assert session_of(half, now=NOW).pending
