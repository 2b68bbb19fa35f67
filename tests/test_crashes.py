"""A server that dies at any statement of any verb leaves all of it or nothing, and a retry ends it.

Dying after a statement is dying before the next one; after the last, it is a lost reply.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from types import CodeType
from typing import Any

import pytest
from peewee import IntegrityError

from booking import (
    availability,
    db,
    gateway,
    history,
    invariants,
    links,
    operations,
    outbox,
    planner,
)
from booking.availability import Slot
from booking.clock import SettableClock
from booking.gateway import Key
from booking.lifecycle import Event, State
from booking.mailer import MemoryMailer
from booking.models import (
    ALL,
    Account,
    Appointment,
    BlockedTime,
    Client,
    Delivery,
    History,
    OfferedSlot,
    OutboxMessage,
    Practice,
    Replan,
    ReplanRow,
    SignIn,
    WebSession,
)
from booking.operations import (
    accept,
    add_client,
    add_minor,
    add_partner,
    adjust,
    agree_to_full_mails,
    approve,
    ask,
    block_time,
    book,
    cancel,
    cancel_for_client,
    changing_email,
    close,
    deadlines,
    decline_offers,
    deny,
    displace,
    erasing,
    pin_room,
    plan_for,
    report_absence,
    search_again,
    set_language,
    signing_in,
    stop,
    take_offer,
    take_offer_for_client,
    unblock_time,
    undo,
    update_account,
)
from booking.operations.replanning import Adjustment, Missing, change_room
from booking.operations.signing_in import Browser, Registration
from booking.queries import person
from booking.replanning import Allowed
from booking.simulation.crashes import Crashed, statements
from tests.builders import NOW, at, own_client, request, wish
from tests.conftest import make_account

LATER = NOW + timedelta(seconds=10)
SECRET = "secret-" * 6
KEY = Key("the-form", "what it says")


@dataclass
class Book:
    """People, and short ways to something that a verb can be tried on."""

    ana: Account
    bruno: Account
    ines: gateway.Actor
    manager: gateway.Actor
    settings: Any

    def asked(self) -> Appointment:
        return request(self.ana)

    def confirmed(self) -> Appointment:
        return accept(self.asked().id, version=1, actor=self.ines, now=NOW)

    def slots(self, client: Client) -> tuple[Slot, ...]:
        search = wish(client=client)
        return tuple(availability.slot(search, at(day, 12), now=NOW) for day in (8, 9))

    def offered(self) -> Appointment:
        slots, row = self.slots(own_client(self.ana)), self.asked()
        return deny(row.id, version=1, actor=self.ines, offers=slots, now=NOW)

    def moving(self) -> Appointment:
        """A request to move a session."""
        return request(self.ana, at(8, 11), replaces=self.confirmed().id)

    def planned(self, *, ready: bool = True) -> Replan:
        self.confirmed()
        self.absent(None)
        if ready:
            planner.run(SettableClock(NOW), deadline_seconds=0)
        return Replan.get()

    def absent(self, key: Key | None) -> BlockedTime:
        return report_absence(
            Missing(clinician_id=1), at(4, 9), at(4, 14), reason="", allowed=Allowed(),
            actor=self.ines, now=NOW, key=key,
        )  # fmt: skip

    def sign_in(self, *, new: bool = False) -> SignIn:
        told = Registration("Dora Sanz", "dora@example.com", "", True) if new else None
        return signing_in.ask_for_mail(
            "dora@example.com" if new else self.ana.email,
            browser="b", next_path="", language="es", now=NOW, registration=told,
        )  # fmt: skip


@pytest.fixture
def book_(db, settings) -> Book:
    return Book(
        make_account("Ana Ruiz Peña", "ana@example.com", known=False),
        make_account("Bruno Díaz Muñoz", "bruno@example.com"),
        gateway.staff(Account.get(Account.email == "ines@alameda.example")),
        gateway.staff(Account.get(Account.manager)),
        settings,
    )


Work = Callable[[Key | None], object]
Prepare = Callable[[Book], Work]


def asks(b: Book) -> Work:
    client = own_client(b.ana)
    return lambda key: ask(
        wish(client=client), at(4, 10), client=client, account=b.ana, now=NOW, key=key
    )


def accepts(b: Book) -> Work:
    row = b.moving()
    return lambda key: accept(row.id, version=row.version, actor=b.ines, now=NOW, key=key)


def denies(b: Book) -> Work:
    slots, row = b.slots(own_client(b.ana)), b.asked()
    return lambda key: deny(row.id, version=1, actor=b.ines, offers=slots, now=NOW, key=key)


def displaces(b: Book) -> Work:
    slots, row = b.slots(own_client(b.ana)), b.confirmed()
    return lambda key: displace(
        row.id, version=row.version, actor=b.ines, offers=slots, now=NOW, key=key
    )


def undoes(b: Book) -> Work:
    row = b.moving()
    accept(row.id, version=row.version, actor=b.ines, now=NOW)
    return lambda key: undo(row.id, actor=b.ines, now=LATER, key=key)


def takes(b: Book) -> Work:
    row, offer = b.offered(), OfferedSlot.select().first()
    return lambda key: take_offer(row.id, offer.id, account=b.ana, now=LATER, key=key)


def takes_for_client(b: Book) -> Work:
    row, offer = b.offered(), OfferedSlot.select().first()
    return lambda key: take_offer_for_client(row.id, offer.id, actor=b.ines, now=LATER, key=key)


def declines(b: Book) -> Work:
    row = b.offered()
    return lambda key: decline_offers(row.id, account=b.ana, wish={}, now=LATER, key=key)


def cancels(b: Book) -> Work:
    row = b.moving().replaces
    return lambda key: cancel(row.id, account=b.ana, now=NOW, key=key)


def cancels_for_client(b: Book) -> Work:
    row = b.moving().replaces
    return lambda key: cancel_for_client(
        row.id, version=row.version, actor=b.ines, now=NOW, key=key
    )


def books(b: Book) -> Work:
    client = own_client(b.bruno)
    return lambda key: book(
        wish(client=client), at(4, 10), client=client, actor=b.ines, now=NOW, key=key
    )


def moves(b: Book) -> Work:
    old = b.moving().replaces
    client = own_client(b.ana)
    return lambda key: book(
        wish(client=client), at(9, 10), client=client, actor=b.ines, now=NOW, key=key,
        replaces=old.id,
    )  # fmt: skip


def closes(b: Book) -> Work:
    row = b.confirmed()
    return lambda key: close(row.id, event=Event.ATTEND, actor=b.ines, now=at(4, 11), key=key)


def pins(b: Book) -> Work:
    row = b.confirmed()
    return lambda key: pin_room(row.id, pinned=True, actor=b.ines, now=NOW, key=key)


def changes_room(b: Book) -> Work:
    row = b.confirmed()
    report_absence(
        Missing(room_id=row.room_id), at(4, 9), at(4, 14), reason="", allowed=Allowed(),
        actor=b.manager, now=NOW,
    )  # fmt: skip
    return lambda key: change_room(row.id, version=row.version, actor=b.ines, now=NOW, key=key)


def blocks(b: Book) -> Work:
    return lambda key: block_time(1, at(4, 9), at(4, 10), reason="", actor=b.ines, now=NOW, key=key)


def unblocks(b: Book) -> Work:
    row = block_time(1, at(4, 9), at(4, 10), reason="", actor=b.ines, now=NOW)
    return lambda key: unblock_time(row.id, actor=b.ines, now=NOW, key=key)


def reports_absence(b: Book) -> Work:
    b.confirmed()
    return b.absent


def plans(b: Book) -> Work:
    b.confirmed()
    row = block_time(1, at(4, 9), at(4, 14), reason="", actor=b.ines, now=NOW)
    return lambda key: plan_for(row.id, allowed=Allowed(), actor=b.ines, now=NOW, key=key)


def searches_again(b: Book) -> Work:
    plan = b.planned()
    return lambda key: search_again(
        plan.id, run=plan.run, allowed=Allowed(), actor=b.ines, now=NOW, key=key
    )


def stops(b: Book) -> Work:
    plan = b.planned(ready=False)
    return lambda key: stop(plan.id, actor=b.ines, now=NOW, key=key)


def adjusts(b: Book) -> Work:
    plan, row = b.planned(), ReplanRow.get()
    return lambda key: adjust(plan.id, row.id, Adjustment.PIN, actor=b.ines, now=NOW, key=key)


def adds_minor(b: Book) -> Work:
    born = NOW.date().replace(year=2019)
    return lambda key: add_minor(b.ana, name="Luz", birth_date=born, now=NOW, key=key)


def adds_partner(b: Book) -> Work:
    return lambda key: add_partner(b.ana, name="Carlos", now=NOW, key=key)


def adds_client(b: Book) -> Work:
    return lambda key: add_client(
        name="Eva Gil", email="eva@example.com", phone="", actor=b.ines, now=NOW, key=key
    )


def asks_for_mail(b: Book) -> Work:
    return lambda key: signing_in.ask_for_mail(
        b.ana.email, browser="b", next_path="", language="es", now=NOW, key=key
    )


def asks_for_new_address(b: Book) -> Work:
    session = signing_in.open_session(b.ana, Browser(), now=NOW).session
    return lambda key: changing_email.ask(
        session, "ana@example.org", language="es", now=NOW, key=key
    )


def changes_email(b: Book) -> Work:
    """Ana, with a mail that waits, a code that was asked for, and another open session."""
    b.asked()
    b.sign_in()
    here, _there = (signing_in.open_session(b.ana, Browser(), now=NOW).session for _ in range(2))
    proof = changing_email.ask(here, "ana@example.org", language="es", now=NOW)
    code = links.code(SECRET, proof.nonce)
    return lambda key: changing_email.confirm_by_code(
        here, code, secret_key=SECRET, now=LATER, key=key
    )


def erases(b: Book) -> Work:
    """Ana, with a child, a partner, a denied request with a note, and a mail to sign in."""
    child = add_minor(b.ana, name="Luz", birth_date=NOW.date().replace(year=2019), now=NOW)
    add_partner(b.ana, name="Carlos", now=NOW)
    deny(b.asked().id, version=1, actor=b.ines, note="Nota", now=NOW)
    b.sign_in()
    signing_in.open_session(b.ana, Browser(), now=NOW)
    who = person.by_email(b.ana.email)
    assert who is not None
    assert who.minors == (child,)
    return lambda key: erasing.erase(who, now=LATER)


def purges(b: Book) -> Work:
    deny(b.asked().id, version=1, actor=b.ines, note="Nota", now=NOW)
    b.sign_in()
    signing_in.open_session(b.ana, Browser(), now=NOW)
    Practice.update(retention_days=30, revision=Practice.revision + 1).execute()

    def work(key: Key | None) -> None:
        erasing.purge(now=NOW + timedelta(days=365))

    return work


ONCE: dict[str, Prepare] = {
    prepare.__name__: prepare
    for prepare in (
        asks, accepts, denies, displaces, undoes, takes, takes_for_client, declines, cancels,
        cancels_for_client, books, moves, closes, pins, changes_room, blocks, unblocks,
        reports_absence, plans, searches_again, stops, adjusts, adds_minor, adds_partner,
        adds_client, asks_for_mail, asks_for_new_address, changes_email, erases, purges,
    )
}  # fmt: skip
IN_SHORT = (
    "asks", "accepts", "denies", "undoes", "takes", "cancels", "moves", "reports_absence",
    "changes_email", "erases", "purges",
)  # fmt: skip
RANDOM = {"nonce", "message_id", "token_hash"}  # Names that are made up anew each time.


def dump() -> dict[str, Any]:
    """All rows of all tables, but for what nobody could say beforehand."""
    return {
        model.__name__: sorted(
            model.select(*[f for f in model._meta.sorted_fields if f.name not in RANDOM]).tuples(),
            key=repr,
        )
        for model in ALL
    }


def dies_everywhere(work: Work, *, every: int = 1) -> None:
    """Die at each statement in turn: nothing may be there; then finish, and tap the button again.

    Since nothing of it is there, each attempt is also the retry of the one before it.
    """
    before, allowed = dump(), 0
    while True:
        try:
            with statements(most=allowed) as asked:
                answer = work(KEY)
            break
        except Crashed:
            left = dump()
        assert left == before, f"something is left of the first {allowed} statements"
        allowed += every
    after = dump()
    assert after != before
    assert allowed >= len(asked) > 3
    assert work(KEY) == answer  # The first reply was lost.
    assert dump() == after
    assert invariants.violations() == {}
    assert history.violations() == []


@pytest.mark.parametrize("verb", IN_SHORT)
def test_a_verb_is_done_wholly_or_not_at_all(book_, verb):
    dies_everywhere(ONCE[verb](book_), every=3)


@pytest.mark.long
@pytest.mark.parametrize("verb", ONCE)
def test_every_verb_is_done_wholly_or_not_at_all_whichever_statement_is_the_last(book_, verb):
    dies_everywhere(ONCE[verb](book_))


def test_no_verb_is_left_out():
    # These have tests of their own below.
    alone = {"agree_to_full_mails", "approve", "set_language", "update_account"}
    assert set(operations.__all__) - alone <= {
        name for verb in ONCE.values() for name in uses(verb)
    }


def uses(prepare: Prepare) -> set[str]:
    """The names in a function, in what it returns, and in how an absence is reported."""
    inside = [code for code in prepare.__code__.co_consts if isinstance(code, CodeType)]
    codes = (prepare.__code__, Book.absent.__code__, *inside)
    return {name for code in codes for name in code.co_names}


def test_a_verb_without_its_transaction_is_noticed(book_, monkeypatch):
    work = asks(book_)
    monkeypatch.setattr(gateway, "transaction", contextlib.nullcontext)
    with pytest.raises(AssertionError, match="something is left"):
        dies_everywhere(work, every=3)


@pytest.mark.sqlite
def test_the_last_word_of_the_database_may_be_no(book_):
    """A full disk, or whatever else, can still refuse the COMMIT itself."""
    work, before = asks(book_), dump()
    connection = db.database.connection()
    connection.set_commit_hook(lambda: True)
    with pytest.raises(IntegrityError):
        work(KEY)
    connection.set_commit_hook(None)
    assert dump() == before
    work(KEY)


# Work of several transactions: each of them wholly or not at all, and what is left is done later.


def finish(work: Callable[[], object], *, every: int) -> int:
    """Die later and later until it comes to an end; how often it died."""
    deaths = 0
    while True:
        try:
            with statements(most=every * deaths):
                work()
        except Crashed:
            assert invariants.violations() == {}
            deaths += 1
        else:
            assert invariants.violations() == {}
            return deaths


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.long)])
def test_deadlines_are_met_once_whenever_the_worker_dies(book_, every):
    asked, held = request(book_.bruno, at(8, 9)), book_.offered()
    late = NOW + timedelta(days=3)
    assert finish(lambda: deadlines.run(now=late), every=every) > 3
    states = [Appointment.get_by_id(row.id).status for row in (asked, held)]
    assert states == [State.EXPIRED, State.DENIED]
    assert deadlines.run(now=late) == 0


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.long)])
def test_mail_is_sent_at_least_once_and_again_only_under_its_old_name(book_, every):
    book_.asked()
    mailer, now = MemoryMailer(), NOW

    def drain() -> None:
        nonlocal now
        now += outbox.LEASE  # Whoever died kept its message for so long.
        outbox.drain(SettableClock(now), mailer, book_.settings)

    assert finish(drain, every=every) > 3
    assert all(row.state == Delivery.SENT for row in OutboxMessage.select())
    names = {mail["Message-ID"] for mail in mailer.sent}
    assert len(names) == OutboxMessage.select().count() < len(mailer.sent)


@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.long)])
def test_a_plan_is_carried_out_once_however_often_its_approval_dies(book_, every):
    accept(request(book_.bruno, at(4, 12)).id, version=1, actor=book_.ines, now=NOW)
    plan = book_.planned()
    ids = [row.id for row in ReplanRow.select()]
    assert len(ids) == 2

    def carry_out() -> None:
        left = approve(plan.id, ids, run=plan.run, actor=book_.ines, now=NOW, key=KEY)
        assert left == []

    assert finish(carry_out, every=every) > 3
    displaced = History.select().where(History.event == Event.DISPLACE)
    assert [row.appointment_id for row in displaced.order_by(History.appointment)] == [1, 2]


@pytest.mark.parametrize("by", ["code", "link"])
@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.long)])
def test_a_sign_in_is_used_up_only_when_somebody_is_signed_in(book_, by, every):
    sign_in = book_.sign_in(new=True)
    code, token = links.code(SECRET, sign_in.nonce), links.token(SECRET, sign_in.nonce)
    told: dict[str, Any] = {"secret_key": SECRET, "now": LATER}

    browser = Browser(cookie="b")

    def prove() -> object:
        if by == "code":
            return signing_in.prove_by_code(sign_in.id, code, browser=browser, **told)
        return signing_in.prove_by_link(token, browser=browser, **told)

    before, deaths = dump(), 0
    while WebSession.select().count() == 0:
        try:
            with statements(most=every * deaths):
                prove()
        except Crashed:
            assert dump() == before
            deaths += 1
    assert deaths > 2
    with pytest.raises(signing_in.DeadLink):
        prove()


@pytest.mark.parametrize(
    "change",
    [
        lambda account: agree_to_full_mails(account, agreed=True, now=NOW),
        lambda account: set_language(account, "en"),
        lambda account: update_account(account, phone="55 5555 0101", zone="Europe/Madrid"),
    ],
    ids=["agree_to_full_mails", "set_language", "update_account"],
)
def test_an_account_is_changed_or_not(book_, change):
    before = dump()
    with pytest.raises(Crashed), statements(most=2):
        change(book_.ana)
    assert dump() == before
    change(book_.ana)
    assert dump() != before
