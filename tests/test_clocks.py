"""A clock that jumps a day, an hour that comes twice or not at all, a day that few years have."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from booking import availability, gateway, links, outbox, planner, practice_file
from booking.availability import Wish
from booking.clock import SettableClock
from booking.free_times import free_days
from booking.gateway import Key
from booking.lifecycle import State
from booking.mailer import MemoryMailer
from booking.models import (
    Account,
    Appointment,
    Delivery,
    OfferedSlot,
    OutboxMessage,
    Replan,
    SignIn,
)
from booking.notifications import Kind
from booking.operations import accept, ask, deadlines, deny, report_absence, signing_in, take_offer
from booking.operations.limits import LIMITS, Limited, TooOften
from booking.operations.people import is_minor
from booking.operations.replanning import Missing
from booking.operations.signing_in import Browser, DeadLink
from booking.replanning import Allowed
from booking.simulation.model import Model
from booking.simulation.rules import Setup
from tests.builders import NOW, THURSDAY_AT_TEN, at, own_client, request, wish
from tests.conftest import PRACTICE

DAY = timedelta(days=1)
SECRET = "secret-" * 6
JUMPS = pytest.mark.parametrize("jump", [-DAY, DAY], ids=["a day back", "a day on"])


pytestmark = pytest.mark.usefixtures("book_in_order")


@pytest.fixture
def ines(db) -> gateway.Actor:
    return gateway.staff(Account.get(Account.email == "ines@alameda.example"))


# The clock jumps.


def sign_in(account: Account) -> SignIn:
    return signing_in.ask_for_mail(account.email, browser="b", next_path="", language="es", now=NOW)


def prove(proof: SignIn, now: datetime) -> signing_in.SignedIn:
    token = links.token(SECRET, proof.nonce)
    return signing_in.prove_by_link(token, browser=Browser(), secret_key=SECRET, now=now)


@JUMPS
def test_a_used_link_stays_used_whatever_the_clock_says(ana, jump):
    proof = sign_in(ana)
    prove(proof, NOW)
    with pytest.raises(DeadLink):
        prove(proof, NOW + jump)


def test_a_link_outlives_a_clock_that_went_back_but_not_one_that_went_on(ana):
    with pytest.raises(DeadLink):
        prove(sign_in(ana), NOW + DAY)
    assert prove(sign_in(ana), NOW - DAY).session.account == ana


def test_tries_that_a_clock_dated_later_keep_nobody_out(ana):
    for _ in range(LIMITS[Limited.MAIL].most):
        signing_in.ask_for_mail(
            ana.email, browser="b", next_path="", language="es", now=NOW + 30 * DAY
        )
    for _ in range(LIMITS[Limited.MAIL].most):
        sign_in(ana)
    with pytest.raises(TooOften) as refused:
        sign_in(ana)
    assert refused.value.wait == LIMITS[Limited.MAIL].within


@JUMPS
def test_who_signed_out_stays_signed_out(ana, jump):
    token = signing_in.open_session(ana, Browser(), now=NOW).token
    session = signing_in.session_of(token, now=NOW + jump)
    assert session is not None
    signing_in.sign_out(session, now=NOW)
    assert signing_in.session_of(token, now=NOW + jump) is None


def test_staff_are_signed_out_by_a_clock_that_went_on(ines):
    token = signing_in.open_session(ines.account, Browser(), now=NOW, one_tap=True).token
    assert signing_in.session_of(token, now=NOW + DAY) is None


@JUMPS
def test_a_form_that_was_sent_is_not_sent_again_by_a_clock(ana, jump):
    client, key = own_client(ana), Key("one", "form")
    first, again = (
        ask(wish(client=client), at(8, 10), client=client, account=ana, now=now, key=key)
        for now in (NOW, NOW + jump)
    )
    assert first == again
    assert Appointment.select().count() == 1


def test_what_expired_stays_expired_when_the_clock_goes_back(ana):
    asked = request(ana)
    late = asked.answer_by
    deadlines.run(now=late)
    for now in (late - DAY, late, late + DAY):
        deadlines.run(now=now)
        assert Appointment.get_by_id(asked.id).status is State.EXPIRED
    assert kinds(asked).count(Kind.REQUEST_EXPIRED) == 1


def kinds(appointment: Appointment) -> list[str]:
    rows = OutboxMessage.select().where(OutboxMessage.appointment == appointment)
    return [row.kind for row in rows]


def test_a_request_waits_on_while_the_clock_is_behind(ana, ines):
    asked = request(ana)
    assert deadlines.run(now=NOW - DAY) == 0
    accepted = accept(asked.id, version=1, actor=ines, now=NOW - DAY)
    assert accepted.status is State.CONFIRMED


def test_a_slot_is_held_through_a_clock_that_went_back_and_freed_by_one_that_went_on(ana, ines):
    asked = request(ana)
    slot = availability.slot(wish(client=own_client(ana)), at(8, 10), now=NOW)
    deny(asked.id, version=1, actor=ines, offers=(slot,), now=NOW)
    [offer] = OfferedSlot.select()
    deadlines.run(now=NOW - DAY)
    assert OfferedSlot.get().state == "held"
    deadlines.run(now=offer.held_until)
    assert OfferedSlot.get().state == "freed"
    assert Appointment.get_by_id(asked.id).status is State.DENIED


def test_an_offer_that_was_taken_is_not_taken_back(ana, ines):
    asked = request(ana)
    slot = availability.slot(wish(client=own_client(ana)), at(8, 10), now=NOW)
    deny(asked.id, version=1, actor=ines, offers=(slot,), now=NOW)
    take_offer(asked.id, OfferedSlot.get().id, account=ana, now=NOW)
    for now in (NOW - DAY, NOW + 3 * DAY):
        deadlines.run(now=now)
        assert Appointment.get_by_id(asked.id).status is State.CONFIRMED


def test_nobody_is_reminded_twice_by_a_clock_that_went_back(ana, ines):
    session = accept(request(ana).id, version=1, actor=ines, now=NOW)
    for now in (THURSDAY_AT_TEN - DAY, THURSDAY_AT_TEN - 2 * DAY, THURSDAY_AT_TEN - DAY):
        deadlines.run(now=now)
    assert kinds(session).count(Kind.SESSION_REMINDED) == 1


@JUMPS
def test_mail_whose_worker_died_is_sent_once_the_lease_is_over_by_the_clock(ana, settings, jump):
    request(ana)
    claimed = outbox._claim(OutboxMessage.select().first().id, NOW)
    assert claimed is not None
    mailer = MemoryMailer()
    outbox.drain(SettableClock(NOW + jump), mailer, settings)
    outbox.drain(SettableClock(NOW + outbox.LEASE), mailer, settings)
    assert [row.state for row in OutboxMessage.select()] == [Delivery.SENT] * 2
    assert len(mailer.sent) == 2


@JUMPS
def test_a_plan_whose_worker_died_is_worked_out_once_the_lease_is_over(ana, ines, jump):
    accept(request(ana).id, version=1, actor=ines, now=NOW)
    report_absence(
        Missing(clinician_id=1), at(4, 9), at(4, 14), reason="", allowed=Allowed(), actor=ines,
        now=NOW,
    )  # fmt: skip
    first = planner.claim(now=NOW)
    assert first is not None
    assert (planner.claim(now=NOW + jump) is not None) is (jump > timedelta())
    again = planner.claim(now=NOW + DAY + planner.LEASE)
    assert again is not None
    assert Replan.get().run > first.run


# Clock changes and the leap day, in a zone that has them.

MADRID = ZoneInfo("Europe/Madrid")
AROUND_THE_CLOCK = {
    "America/Mexico_City": MADRID.key,
    'dias = ["lunes", "martes", "miércoles", "jueves", "viernes"]': (
        'dias = ["lunes", "martes", "miércoles", "jueves", "viernes", "domingo"]'
    ),
    'abre = "09:00"\ncierra = "14:00"': 'abre = "00:00"\ncierra = "05:00"',
}
DAYS = {
    "no two o'clock": date(2027, 3, 28),
    "two o'clock twice": date(2027, 10, 31),
    "leap day": date(2028, 2, 29),
}


@pytest.fixture(params=list(DAYS.values()), ids=list(DAYS))
def day(db, request) -> date:
    """A day with something odd about it, on which Inés works in the small hours."""
    text = PRACTICE.read_text()
    for usual, odd in AROUND_THE_CLOCK.items():
        assert usual in text
        text = text.replace(usual, odd)
    practice_file.load(text, now=NOW)
    return request.param


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=MADRID).astimezone(UTC)


def listed(search: Wish, day: date, now: datetime) -> set[datetime]:
    days, _ = free_days(search, since=day, zone=MADRID, now=now, most_days=1)
    return {start for found, starts in days if found == day for start in starts}


def test_the_list_of_a_day_is_what_the_model_says(ana, day):
    """Each instant that the wall clock calls a round time, the hour that comes twice once."""
    now, client = midnight(day) - 3 * DAY, own_client(ana)
    search = wish(client=client)
    model = Model(Setup.read())
    model.meet(client, [ana.id])
    quarters = (midnight(day) + timedelta(minutes=15 * n) for n in range(25 * 4))
    moments = [m for m in quarters if m.astimezone(MADRID).date() == day]
    free = {m for m in moments if model.free_at(search, m, now=now, staff=False)}
    assert listed(search, day, now) == {m for m in free if not m.astimezone(MADRID).fold}
    assert len(free) > 12


def test_a_session_of_an_odd_day_is_asked_for_accepted_reminded_of_and_held(ana, ines, day):
    now = midnight(day) - 3 * DAY
    for start in sorted(listed(wish(client=own_client(ana)), day, now))[::6]:
        session = accept(request(ana, start, now=now).id, version=1, actor=ines, now=now)
        assert session.ends_at - session.starts_at == timedelta(minutes=50)
        assert session.remind_at == start - DAY
        deadlines.run(now=start - DAY)
        assert kinds(session).count(Kind.SESSION_REMINDED) == 1


@JUMPS
def test_a_day_is_a_day_for_whoever_was_born_on_a_leap_day(jump):
    birthday = date(2030, 3, 1)  # Eighteen on the day after 28 February, in a year without a 29th.
    assert is_minor(date(2012, 2, 29), birthday + jump) is (jump < timedelta())
