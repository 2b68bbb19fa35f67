"""The joint plan in the background: claimed once, searched in a child, checked, stored, stopped."""

import os
import threading
import time
from dataclasses import replace
from datetime import date, timedelta

import pytest

import solver
from booking import availability, gateway, planner, replanning, solving
from booking.clock import SettableClock
from booking.gateway import Actor
from booking.lifecycle import State
from booking.models import (
    Account,
    Appointment,
    OfferedSlot,
    Practice,
    Replan,
    ReplanRow,
    ReplanState,
    Room,
)
from booking.operations import (
    add_partner,
    adjust,
    approve,
    block_time,
    book,
    cancel,
    decline_offers,
    report_absence,
    search_again,
    stop,
    take_offer,
)
from booking.operations.replanning import Adjustment, Missing
from booking.queries import replans as queries
from booking.replanning import Allowed, Standing, options_of
from tests.builders import NOW, at, own_client, request, wish
from tests.conftest import add_minor, make_account
from tests.test_operations import accepted, fresh
from tests.test_races import at_once

pytestmark = pytest.mark.usefixtures("book_in_order")


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(NOW)


@pytest.fixture
def ines(db) -> Actor:
    return gateway.staff(Account.get(Account.email == "ines@alameda.example"))


@pytest.fixture
def manager(db) -> Actor:
    return gateway.staff(Account.get(Account.manager))


def people(count: int, letter: str = "p") -> list[Account]:
    return [make_account(f"{letter}{n}", f"{letter}{n}@example.com") for n in range(count)]


def sick(actor, day: int = 4, **allowed) -> Replan:
    """Inés is not there for a whole day."""
    blocked = report_absence(
        Missing(clinician_id=wish().clinician_ids[0]), at(day, 0), at(day + 1, 0),
        reason="", allowed=Allowed(**allowed), actor=actor, now=NOW,
    )  # fmt: skip
    return Replan.get(Replan.blocked == blocked)


@pytest.fixture
def thursday(ines) -> list[Appointment]:
    """Three sessions of Inés on one day."""
    hours = (9, 0), (10, 15), (11, 30)
    return [
        accepted(request(account, at(4, *hour)), ines)
        for account, hour in zip(people(3), hours, strict=True)
    ]


def rows_of(plan: Replan) -> list[ReplanRow]:
    return list(ReplanRow.select().where(ReplanRow.replan == plan).order_by(ReplanRow.id))


def again(plan: Replan) -> Replan:
    return Replan.get_by_id(plan.id)


def quickly(clock: SettableClock) -> None:
    """A plan of quick proposals, for what is done with a plan, whoever has worked it out."""
    assert planner.run(clock, deadline_seconds=0)


def test_a_queued_plan_is_searched_and_every_session_gets_slots(thursday, ines, clock):
    plan = sick(ines)
    assert planner.run(clock)
    assert again(plan).state == ReplanState.READY
    assert len(again(plan).input_hash) == 64
    for row, session in zip(rows_of(plan), thursday, strict=True):
        assert 1 <= len(row.options) <= 3
        assert row.version == fresh(session).version
        assert all(option.slot.starts_at.day != 4 for option in options_of(row))
    assert not planner.run(clock)


def test_the_slots_of_all_can_be_held_together(thursday, ines, clock):
    plan = sick(ines)
    planner.run(clock)
    ids = [row.id for row in rows_of(plan)]
    assert approve(plan.id, ids, run=1, actor=ines, now=NOW) == []
    assert OfferedSlot.select().count() == sum(len(row.options) for row in rows_of(plan))


def test_two_workers_never_have_the_same_plan(thursday, ines):
    sick(ines)
    first = planner.claim(now=NOW)
    assert first is not None
    assert planner.claim(now=NOW + planner.LEASE - timedelta(seconds=1)) is None


def test_workers_that_claim_at_the_same_moment_get_a_plan_each(thursday, ines):
    sick(ines)
    results = at_once(*[lambda: planner.claim(now=NOW)] * 6)
    assert [result for result in results if result is not None] == [Replan.get()]


class UntilIdle(threading.Event):
    """A stop that comes when there is nothing left to do."""

    def wait(self, timeout: float | None = None) -> bool:
        self.set()
        return super().wait(timeout)


def test_the_loop_works_out_what_is_queued_until_it_is_stopped(thursday, ines, clock):
    plan = sick(ines)
    planner.loop(clock, UntilIdle())
    assert again(plan).state == ReplanState.READY


def test_a_plan_whose_worker_died_is_started_afresh_by_the_next(thursday, ines, clock):
    plan = sick(ines)
    dead = planner.claim(now=NOW)
    clock.advance(planner.LEASE)
    assert planner.run(clock)
    assert (again(plan).state, again(plan).run) == (ReplanState.READY, 2)
    with pytest.raises(planner._NotOurs):  # Nor can the dead one come back and write.
        planner._update(dead, quick=True)
    assert not again(plan).quick


def test_a_stopped_plan_is_not_stored(thursday, ines, clock):
    plan = sick(ines)
    claimed = planner.claim(now=NOW)
    stop(plan.id, actor=ines, now=NOW)
    with pytest.raises(planner._NotOurs):
        planner._work_out(claimed, clock, 60)
    assert again(plan).state == ReplanState.CANCELLED
    assert all(row.options == [] for row in rows_of(plan))


def test_a_search_that_is_too_slow_leaves_quick_proposals_marked_as_such(thursday, ines, clock):
    plan = sick(ines)
    planner.run(clock, deadline_seconds=0.000_001)
    assert (again(plan).state, again(plan).quick) == (ReplanState.READY, True)
    assert all(row.options for row in rows_of(plan))


class Deadly(str):
    """A zone's name that kills whatever process it is sent to."""

    def __reduce__(self) -> tuple[object, ...]:
        return os._exit, (1,)


def test_a_search_that_dies_is_noticed_at_once_and_quick_proposals_take_its_place(thursday, ines):
    task = replanning.task_for(sick(ines), now=NOW)
    problem = replace(task.problem, zone=Deadly(task.problem.zone))
    began = time.monotonic()
    result, quick = planner._search(problem, lambda _news: None, 60)
    assert time.monotonic() - began < 30
    assert quick
    assert len({proposal.request for proposal in result.proposals}) == 3
    assert solver.check(task.problem, result) == []


def test_what_the_reporter_raises_ends_the_child(thursday, ines):
    task = replanning.task_for(sick(ines), now=NOW)

    def refuse(_news) -> None:
        raise planner._NotOurs

    with pytest.raises(planner._NotOurs):
        solving.replan(task.problem, refuse, deadline_seconds=60)


def test_the_checker_refuses_a_plan_with_a_slot_in_the_absence(thursday, ines):
    """It stands between the search and the table, and knows what the clinician's day is."""
    task = replanning.task_for(sick(ines), now=NOW)
    result = solver.greedy(task.problem)
    first = result.proposals[0]
    inside = availability.minutes(at(4, 12))
    moved = replace(first, start=inside, end=inside + first.end - first.start)
    wrong = replace(result, proposals=(moved, *result.proposals[1:]))
    assert "absence" in {violation.rule for violation in solver.check(task.problem, wrong)}


def test_a_pinned_session_keeps_its_slots_and_an_excluded_one_stays(thursday, ines, clock):
    plan = sick(ines)
    planner.run(clock)
    first, second, third = rows_of(plan)
    kept = first.options
    adjust(plan.id, first.id, Adjustment.PIN, actor=ines, now=NOW)
    adjust(plan.id, second.id, Adjustment.EXCLUDE, actor=ines, now=NOW)
    problem = replanning.task_for(again(plan), now=NOW).problem
    assert [request.id for request in problem.requests] == [str(third.id)]
    pinned, excluded, searched = (fresh(session) for session in thursday)
    assert {row.start for row in problem.busy if row.ref.startswith(f"{pinned.chain}:")} == {
        option["start"] for option in kept
    }
    busy = {row.ref for row in problem.busy}
    assert availability.busy_ref(excluded.chain, excluded.id) in busy
    assert availability.busy_ref(searched.chain, searched.id) not in busy
    search_again(plan.id, run=1, allowed=Allowed(options=1), actor=ines, now=NOW)
    planner.run(clock)
    first, second, third = rows_of(plan)
    assert first.options == kept
    assert len(third.options) == 1
    held = {option["start"] for option in kept}
    assert third.options[0]["start"] not in held


def test_what_the_client_refused_is_not_offered_again_and_their_wish_counts(thursday, ines, clock):
    plan = sick(ines)
    planner.run(clock)
    row = rows_of(plan)[0]
    refused = {option["start"] for option in row.options}
    approve(plan.id, [row.id], run=1, actor=ines, now=NOW)
    decline_offers(
        row.appointment_id, account=row.appointment.account, wish={"weekdays": [2]}, now=NOW
    )  # fmt: skip
    search_again(plan.id, run=1, allowed=Allowed(), actor=ines, now=NOW)
    planner.run(clock)
    row = rows_of(plan)[0]
    assert row.options
    assert not refused & {option["start"] for option in row.options}
    assert {option.slot.starts_at.weekday() for option in options_of(row)} == {2}
    assert approve(plan.id, [row.id], run=2, actor=ines, now=NOW) == []


def test_whoever_asks_anew_is_owed_no_other_session(thursday, ines, clock):
    """Nor are those who do so before they refuse what they were offered, or whom staff told no."""
    waiting = request(make_account("Otra", "otra@example.com"), at(4, 13))
    plan = sick(ines)
    search_again_with_all(plan, ines, clock)
    ids = [row.id for row in rows_of(plan)]
    assert approve(plan.id, ids, run=again(plan).run, actor=ines, now=NOW) == []
    for n, row in enumerate((*thursday[:2], waiting)):
        if n:
            request(row.account, at(18, 9 + 2 * n))
        decline_offers(row.id, account=row.account, wish={}, now=NOW)
    search_again_with_all(plan, ines, clock)
    stale = rows_of(plan)
    asked = request(thursday[0].account, at(18, 9))
    standings = {
        line.row.appointment_id: line.standing for line in queries.lines(again(plan), now=NOW)
    }
    assert [standings[row.id] for row in (*thursday[:2], waiting)] == [Standing.ANEW] * 3
    left = approve(plan.id, [row.id for row in stale], run=again(plan).run, actor=ines, now=NOW)
    assert {fresh(row).status for row in (*thursday[:2], waiting)} == {
        State.CANCELLED_BY_PRACTICE, State.DENIED,
    }  # fmt: skip
    assert len(left) == 3
    cancel(asked.id, account=asked.account, now=NOW)
    [line] = [line for line in queries.lines(again(plan), now=NOW) if line.to_approve]
    assert approve(plan.id, [line.row.id], run=again(plan).run, actor=ines, now=NOW) == []


def search_again_with_all(plan: Replan, actor: Actor, clock: SettableClock) -> None:
    if again(plan).state == ReplanState.QUEUED:
        quickly(clock)
    search_again(plan.id, run=again(plan).run, allowed=Allowed(), actor=actor, now=NOW)
    quickly(clock)


def test_what_changed_meanwhile_stays_in_the_list_and_the_others_go(thursday, ines, clock):
    plan = sick(ines)
    quickly(clock)
    first, second, third = rows_of(plan)
    cancel(thursday[0].id, account=thursday[0].account, now=NOW)
    taken = options_of(second)[0].slot
    request(make_account("Otra", "otra@example.com"), taken.starts_at)
    left = approve(plan.id, [first.id, second.id, third.id], run=1, actor=ines, now=NOW)
    assert [row.id for row in left] == [first.id, second.id]
    assert ReplanRow.get_by_id(first.id).refusal == ["changed"]
    assert "agenda_held" in ReplanRow.get_by_id(second.id).refusal
    assert ReplanRow.get_by_id(third.id).refusal == []


def test_two_who_approve_the_same_at_once_leave_no_row_that_says_it_failed(
    thursday, ines, manager, clock
):
    plan = sick(ines)
    quickly(clock)
    ids = [row.id for row in rows_of(plan)]

    def press(actor):
        return lambda: approve(plan.id, ids, run=1, actor=actor, now=NOW)

    assert at_once(press(ines), press(manager)) == [[], []]
    assert press(manager)() == []
    assert [row.refusal for row in rows_of(plan)] == [[], [], []]
    assert all(row.approved_at for row in rows_of(plan))


def test_sessions_of_a_closed_room_go_next_door_and_nobody_is_told(thursday, manager, clock):
    session = thursday[0]
    room = Room.get_by_id(session.room_id)
    blocked = report_absence(
        Missing(room_id=room.id), at(4, 0), at(5, 0), reason="", allowed=Allowed(),
        actor=manager, now=NOW,
    )  # fmt: skip
    plan = Replan.get(Replan.blocked == blocked)
    quickly(clock)
    assert all(replanning.keeps_its_time(row) for row in rows_of(plan))
    told = session.messages.count()
    assert approve(plan.id, [r.id for r in rows_of(plan)], run=1, actor=manager, now=NOW) == []
    assert fresh(session).room_id not in (room.id, None)
    assert (fresh(session).starts_at, session.messages.count()) == (session.starts_at, told)


def test_a_closed_room_s_session_goes_where_another_makes_room_for_it(ines, manager, clock):
    """The child needs toys: those of «c3», whose session with Óscar is as well off in «c1»."""
    office = Room.get(Room.key == "c2").location
    toys = Room.create(
        key="c3", location=office, name="Sala 3", features=["sala_de_juegos"], position=9
    )
    Practice.update(revision=Practice.revision + 1).execute()
    ana, bruno = people(2)
    child = add_minor(ana, "Luz")
    session = book(
        wish(service="infantil", client=child), at(10, 10), client=child, actor=ines, now=NOW
    )
    other = request(bruno, at(10, 10), clinician="oscar")
    Appointment.update(room=toys).where(Appointment.id == other.id).execute()
    with gateway.change(gateway.SYSTEM, now=NOW) as tx:
        tx.touch(other)
    blocked = report_absence(
        Missing(room_id=session.room_id), at(10, 0), at(11, 0), reason="", allowed=Allowed(),
        actor=manager, now=NOW,
    )  # fmt: skip
    plan = Replan.get(Replan.blocked == blocked)
    planner.run(clock)
    [row] = rows_of(plan)
    assert replanning.keeps_its_time(row)
    assert [swap.appointment_id for swap in options_of(row)[0].slot.swaps] == [other.id]
    assert approve(plan.id, [row.id], run=1, actor=manager, now=NOW) == []
    assert (fresh(session).room.key, fresh(other).room.key) == ("c3", "c1")


def test_a_quick_plan_gives_one_slot_to_each_rather_than_several_to_a_few(thursday, ines):
    """On Friday there is room for four sessions: three for one client would be too many."""
    block_time(thursday[0].clinician_id, at(1, 0), at(4, 0), reason="", actor=ines, now=NOW)
    plan = sick(ines, options=3, until=date(2027, 3, 5))
    result = planner._quick(replanning.task_for(plan, now=NOW).problem)
    assert result.unplaced == ()
    assert len({proposal.request for proposal in result.proposals}) == 3


def test_a_colleague_can_have_the_same_time_if_the_plan_may_ask_one(ines, clock):
    """Whoever takes it has chosen, though it is the same Wednesday at ten: Óscar is there, too."""
    [ana] = people(1)
    session = accepted(request(ana, at(10, 10)), ines)
    for first, last in ((at(2, 0), at(10, 0)), (at(11, 0), at(31, 0) + timedelta(days=60))):
        block_time(session.clinician_id, first, last, reason="", actor=ines, now=NOW)
    plan = sick(ines, 10, other_clinicians=True)
    planner.run(clock)
    [row] = rows_of(plan)
    first = options_of(row)[0].slot
    oscar = Account.get(Account.email == "oscar@alameda.example").clinician_id
    assert (first.starts_at, first.clinician_id) == (session.starts_at, oscar)
    assert not replanning.keeps_its_time(row)
    assert approve(plan.id, [row.id], run=1, actor=ines, now=NOW) == []
    offer = OfferedSlot.get(OfferedSlot.starts_at == session.starts_at)
    take_offer(session.id, offer.id, account=ana, now=NOW)
    [line] = queries.lines(again(plan), now=NOW)
    assert line.standing is Standing.CHOSEN


def test_travel_couples_features_and_the_daily_maximum_are_respected(ines, manager, clock):
    """A day with everything in it through the whole path, judged by the checker and the rows."""
    one, two, three, four = people(4)
    couple, minor = add_partner(one, name="Carlos", now=NOW), add_minor(two, "Luz")
    for client, service, place, hour in (
        (couple, "pareja", "centro", (9, 0)),
        (minor, "infantil", "centro", (10, 45)),
        (own_client(three), "individual", "centro", (12, 0)),
        (own_client(four), "individual", "norte", (16, 0)),
    ):
        book(
            wish(service=service, location=place, client=client), at(4, *hour),
            client=client, actor=ines, now=NOW,
        )  # fmt: skip
    plan = sick(ines, other_offices=True, video=True, options=2)
    task = replanning.task_for(plan, now=NOW)
    assert solver.check(task.problem, solver.replan(task.problem)) == []
    planner.run(clock)
    assert all(row.options for row in rows_of(plan))
    assert approve(plan.id, [r.id for r in rows_of(plan)], run=1, actor=ines, now=NOW) == []
    rooms = {room.id: room.key for room in Room.select()}
    for offer in OfferedSlot.select():
        if offer.appointment.service.key in ("pareja", "infantil"):
            assert rooms[offer.room_id] == "c2"


def test_a_plan_that_cannot_be_searched_says_why(thursday, ines, clock):
    plan = sick(ines)
    Room.update(seats=0).execute()
    Practice.update(revision=Practice.revision + 1).execute()
    planner.run(clock)
    assert (again(plan).state, again(plan).failure) == (ReplanState.FAILED, "E05")


def test_the_plan_costs_few_queries_however_many_sessions_it_has(thursday, ines, caplog):
    plan = sick(ines)

    def count() -> int:
        caplog.clear()
        with caplog.at_level("DEBUG", logger="peewee"):
            replanning.task_for(plan, now=NOW)
        return len(caplog.records)

    few = count()
    for n, account in enumerate(people(3, "q")):
        row = accepted(request(account, at(9 + n, 9)), ines)
        ReplanRow.create(
            replan=plan, appointment=row, version=row.version, starts_at=row.starts_at
        )  # fmt: skip
    plan = again(plan)
    assert count() == few
