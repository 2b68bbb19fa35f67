"""What is proposed: held together, different, cheapest, and the same every time."""

import subprocess
import sys
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ortools.sat.python import cp_model

import solver
from solver import constraints, model
from solver.candidates import places
from solver.objective import Candidate, View, total
from solver.problem import Block, BusyKind, Modality, Weights
from solver.proposal import Reason, Status, Swap
from solver.single import _cheapest_first, _options, first_fit
from tests.solver.worlds import (
    CENTRO,
    MORNING,
    NORTE,
    VIDEO,
    ana,
    at,
    busy,
    random_worlds,
    request,
    room,
    session,
    video_world,
    wall,
    window,
    with_policy,
    world,
)


def candidate(problem, start: str, place=VIDEO) -> Candidate:
    return View(problem, problem.requests[0], place).candidate(at(f"2027-03-02 {start}"))


def together(rule, *candidates) -> bool:
    """Would this rule alone let all of them be held?"""
    return all(limit.most >= len(limit.members) for limit in rule(candidates))


DAY = window("2027-03-02 08:00", "2027-03-02 20:00")


def test_a_client_is_not_promised_two_sessions_at_once():
    problem = video_world(DAY)
    rule = constraints.hold_each_client_once
    assert together(rule, candidate(problem, "09:00"), candidate(problem, "09:50")) is False
    assert together(rule, candidate(problem, "10:00"), candidate(problem, "09:00"))


def test_a_clinician_keeps_buffers_between_proposals():
    problem = replace(video_world(DAY), services=(session(buffer_before=5, buffer_after=10),))
    rule = constraints.hold_each_clinician_once
    assert together(rule, candidate(problem, "10:15"), candidate(problem, "09:00"))
    assert not together(rule, candidate(problem, "10:14"), candidate(problem, "09:00"))


def test_a_clinician_can_travel_between_proposals():
    blocks = (
        Block(window("2027-03-02 09:00", "2027-03-02 11:00"), CENTRO),
        Block(window("2027-03-02 11:00", "2027-03-02 14:00"), NORTE),
    )
    problem = world(
        clinicians=(ana(blocks=blocks),),
        rooms=(room(), room(id="n1", location=NORTE)),
        travel={(CENTRO, NORTE): 30, (NORTE, CENTRO): 90},
    )
    here, there = (place for place in places(problem, request()) if place.modality == "in_person")
    rule = constraints.hold_each_clinician_once
    first = candidate(problem, "10:00", here)
    assert together(rule, candidate(problem, "11:30", there), first)
    assert not together(rule, candidate(problem, "11:29", there), first)


def test_a_room_is_aired_between_proposals_and_two_clinicians_may_not_share_it():
    problem = world(rooms=(room(turnover=15),), clinicians=(ana(), ana(id="luis")))
    mine, other = (p for p in places(problem, request()) if p.modality == "in_person")
    rule = constraints.hold_each_room_once
    first = candidate(problem, "09:00", mine)
    assert together(rule, first, candidate(problem, "10:15", other))
    assert not together(rule, first, candidate(problem, "10:14", other))


def test_proposals_count_towards_the_daily_maximum():
    problem = replace(video_world(DAY), clinicians=(ana(blocks=(Block(DAY),), max_sessions_day=2),))
    rule = constraints.keep_to_the_daily_maximum
    two = candidate(problem, "09:00"), candidate(problem, "12:00")
    assert together(rule, *two)
    assert not together(rule, *two, candidate(problem, "15:00"))


def test_a_session_is_not_sent_to_two_rooms_at_once():
    """For the proposal at nine to one, for that at eleven to another: no other rule minds."""
    row = busy("2027-03-02 08:00", "2027-03-02 12:00", clinician=None, room="c1")
    problem = world(busy=(row,), rooms=(room(), room(id="c2"), room(id="c3")))
    place = places(problem, request())[0]
    nine, eleven = (candidate(problem, hour, place) for hour in ("09:00", "11:00"))
    to_c2, to_c3 = (Swap(row.ref, name) for name in ("c2", "c3"))
    both = [replace(nine, room="c1", swaps=(to_c2,)), replace(eleven, room="c1", swaps=(to_c3,))]
    assert constraints.limits(both) == [constraints.Limit((0, 1), 1)]
    assert constraints.limits([both[0], replace(eleven, room="c1")]) == []


@pytest.mark.parametrize("rule", constraints.ALL)
def test_every_constraint_binds_in_some_world(rule):
    """Without it the model would promise too much."""
    couch = frozenset({"couch"})
    in_the_way = busy(
        "2027-03-02 08:00", "2027-03-02 12:00", clinician=None, room="c1", other_rooms=("c2",)
    )
    problem = world(
        rooms=(room(turnover=15, features=couch), room(id="c2")),
        services=(session(buffer_after=10, room_features=couch),),
        clinicians=(ana(max_sessions_day=1),),
        busy=(in_the_way,),
    )
    place = places(problem, request())[0]
    assert not together(
        rule, candidate(problem, "09:00", place), candidate(problem, "09:30", place)
    )


def test_the_cheapest_of_each_day_and_part_of_the_day_is_proposed():
    days = [window(f"2027-03-0{day} 09:00", f"2027-03-0{day} 18:00") for day in (2, 3, 4)]
    wish = request(asked_start=at("2027-03-03 10:00"), asked_clinician="ana")
    problem = replace(video_world(*days), requests=(wish,))
    result = solver.propose(problem)
    assert result.status is Status.OPTIMAL
    assert len(result.proposals) == 5
    assert not result.less_diverse
    assert result.bound == result.objective
    assert solver.check(problem, result) == []


def test_with_a_single_free_morning_proposals_share_it_at_a_session_s_distance():
    result = solver.propose(with_policy(world(), k=3, grid_minutes=15))
    assert result.less_diverse
    starts = sorted(proposal.start for proposal in result.proposals)
    assert all(b - a >= 60 for a, b in pairwise(starts))
    assert len(starts) == 3


def test_proposals_of_neighbouring_cells_do_not_overlap_even_when_each_cell_prefers_it():
    """11:45 and 12:00 are the cheapest of their cells, but cannot both be held."""
    day = window("2027-03-02 11:00", "2027-03-02 14:00")
    wish = request(asked_start=at("2027-03-09 11:50"))
    problem = with_policy(replace(video_world(day), requests=(wish,)), k=2)
    result = solver.propose(problem)
    assert result.status is Status.OPTIMAL
    one, other = sorted(proposal.start for proposal in result.proposals)
    assert other - one >= 60
    assert solver.check(problem, result) == []


def test_two_clinicians_are_not_proposed_to_one_client_at_once():
    late = Block(window("2027-03-02 11:30", "2027-03-02 12:30"))
    noon = Block(window("2027-03-02 12:00", "2027-03-02 13:00"))
    problem = with_policy(
        world(clinicians=(ana(blocks=(late,)), ana(id="luis", blocks=(noon,))), rooms=()),
        grid_minutes=30,
        k=2,
    )
    for solve in (solver.greedy, solver.propose):
        assert len(solve(problem).proposals) == 1


def test_two_clinicians_are_not_proposed_a_room_that_needs_airing_between_them():
    """At 10:00 the room that Ana leaves at 10:00 is not ready, so Luis comes at 11:00."""
    early, late = window("2027-03-02 09:00", "2027-03-02 10:00"), MORNING
    problem = with_policy(
        world(rooms=(room(turnover=15),), clinicians=(ana(early), ana(late, id="luis"))),
        k=3,
    )
    only_in_person = request(allowed_modalities=frozenset({Modality.IN_PERSON}))
    problem = replace(problem, requests=(only_in_person,))
    result = solver.propose(problem)
    assert wall(sorted(each.start for each in result.proposals)) == ["09:00", "11:00"]
    assert solver.check(problem, result) == []


def test_fewer_than_wished_is_partial_and_nothing_is_none():
    assert solver.propose(with_policy(world(), k=5)).status is Status.PARTIAL
    nothing = solver.propose(world(clinicians=(ana(blocks=()),)))
    assert nothing.status is Status.NONE
    assert [each.request for each in nothing.unplaced] == ["r1"]
    assert nothing.proven


def test_a_session_can_be_moved_by_half_of_its_length():
    old = busy("2027-03-02 10:00", "2027-03-02 11:00", ref="old", clients=("p1",), room="c1")
    wish = request(
        asked_start=old.start, ignore_refs=frozenset({"old"}), earliest=old.start, latest=old.end
    )
    problem = with_policy(world(busy=(old,), requests=(wish,)), grid_minutes=30, k=1)
    assert wall(each.start for each in solver.propose(problem).proposals) == ["10:30"]


def test_two_requests_are_never_offered_the_same_time():
    wishes = (request(), request(id="r2", clients=("p2",)))
    problem = with_policy(world(requests=wishes), k=2)
    result = solver.propose(problem)
    assert [each.request for each in result.proposals] == ["r1", "r1", "r2"]
    assert len({each.start for each in result.proposals}) == 3
    assert solver.check(problem, result) == []


def test_greedy_is_valid_and_never_better():
    days = [window(f"2027-03-0{day} 09:00", f"2027-03-0{day} 18:00") for day in (2, 3, 4)]
    problem = video_world(*days)
    best, quick = solver.propose(problem), solver.greedy(problem)
    assert best.objective <= quick.objective
    assert not quick.proven
    assert quick.status is Status.FEASIBLE
    assert solver.check(problem, quick) == []


def test_a_search_that_is_cut_off_still_answers(monkeypatch):
    monkeypatch.setattr(cp_model.CpSolver, "solve", lambda *_: cp_model.UNKNOWN)
    problem = with_policy(world(), k=2)
    result = solver.propose(problem)
    assert (result.proven, result.status) == (False, Status.FEASIBLE)
    assert solver.check(problem, result) == []


@settings(max_examples=60, deadline=None)
@given(random_worlds(requests=2))
def test_the_checker_finds_nothing_wrong_in_random_worlds(problem):
    for solve in (solver.propose, solver.greedy):
        result = solve(problem)
        assert solver.check(problem, result) == []
    assert solver.propose(problem).proven


def best_of_all_subsets(policy, candidates) -> tuple[int, int]:
    """(how many, at what cost), by trying every subset."""
    for size in range(min(policy.k, len(candidates)), -1, -1):
        costs = [
            total(policy, some)
            for some in combinations(candidates, size)
            if all(together(rule, *some) for rule in constraints.ALL)
        ]
        if costs:
            return size, min(costs)
    raise AssertionError


@settings(max_examples=40, deadline=None)
@given(random_worlds())
def test_the_model_finds_what_trying_every_subset_finds(problem):
    wish, policy = problem.requests[0], problem.policy
    problem = solver.validate(problem)
    candidates = []
    for place in places(problem, wish):
        view = View(problem, wish, place)
        starts = view.free_starts((view.hours[0][0], view.hours[-1][1]))
        candidates += [view.candidate(start) for start in starts]
    candidates = sorted(candidates)[:: max(1, len(candidates) // 12)][:14]
    if not candidates:
        return
    choice = model.cheapest(policy, candidates)
    chosen = [candidates[n] for n in choice.members]
    assert choice.proven
    assert (len(chosen), total(policy, chosen)) == best_of_all_subsets(policy, candidates)


@settings(max_examples=30, deadline=None)
@given(random_worlds())
def test_pruning_loses_nothing(problem):
    """The same cost as choosing among the cheapest of every cell, by trying every subset."""
    wish, policy = problem.requests[0], problem.policy
    problem = solver.validate(problem)
    cells: dict[tuple[int, int], Candidate] = {}
    for place in places(problem, wish):
        view = View(problem, wish, place)
        for start in view.free_starts((view.hours[0][0], view.hours[-1][1])):
            one = view.candidate(start)
            cells[one.cell] = min(one, cells.get(one.cell, one))
    size, cost = best_of_all_subsets(policy, sorted(cells.values()))
    result = solver.propose(problem)
    if size == policy.k:
        assert (len(result.proposals), result.objective) == (size, cost)
        assert not result.less_diverse
    else:
        assert len(result.proposals) >= size


def branch_and_bound(policy, candidates) -> int:
    """The least cost of k together; who is sorted by cost is cut off early."""
    costs, best = [each.cost for each in candidates], 1 << 60

    def search(n: int, chosen: list[Candidate]) -> None:
        nonlocal best
        missing = policy.k - len(chosen)
        if not missing:
            best = min(best, total(policy, chosen))
            return
        cheapest = sum(each.cost for each in chosen) + sum(costs[n : n + missing])
        if n + missing > len(costs) or cheapest >= best:
            return
        if all(together(rule, *chosen, candidates[n]) for rule in constraints.ALL):
            search(n + 1, [*chosen, candidates[n]])
        search(n + 1, chosen)

    search(0, [])
    return best


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_branch_and_bound_finds_nothing_cheaper_among_more_cells_than_subsets_can_be_tried(data):
    days = [window(f"2027-03-{day:02} 10:00", f"2027-03-{day:02} 19:00") for day in range(2, 12)]
    wish = request(
        asked_start=at(f"2027-03-{data.draw(st.integers(1, 12)):02} 11:45"),
        preferred_weekdays=frozenset(data.draw(st.sets(st.integers(0, 6)))),
        preferred_dayparts=frozenset(data.draw(st.sets(st.sampled_from(("morning", "evening"))))),
    )
    problem = replace(video_world(*days), requests=(wish,))
    problem = with_policy(problem, k=data.draw(st.integers(2, 5)))
    view = View(problem, wish, VIDEO)
    starts = view.free_starts((view.hours[0][0], view.hours[-1][1]))
    cells: dict[tuple[int, int], Candidate] = {}
    for one in map(view.candidate, starts):
        cells[one.cell] = min(one, cells.get(one.cell, one))
    candidates = sorted(cells.values())
    assert len(candidates) > 22
    choice = model.cheapest(problem.policy, candidates)
    assert choice.proven
    cost = total(problem.policy, [candidates[n] for n in choice.members])
    assert cost == branch_and_bound(problem.policy, candidates)
    assert solver.propose(problem).objective == cost


def by_intervals(problem) -> int | None:
    """The textbook's model for one session by video: a start that moves, rows that do not."""
    cp, [wish], [service] = cp_model.CpModel(), problem.requests, problem.services
    [clinician] = problem.clinicians
    first = problem.policy.now
    starts = [minute for minute in range(first, first + 3 * 1440) if minute % 60 == 0]
    which = cp.new_int_var(0, len(starts) - 1, "")
    start, cost = cp.new_int_var(starts[0], starts[-1], ""), cp.new_int_var(0, 1000, "")
    days = [abs(each // 1440 - wish.asked_start // 1440) for each in starts]
    quarters = [abs(each % 1440 - wish.asked_start % 1440) // 15 for each in starts]
    cp.add_element(which, starts, start)
    points = [10 * d + min(24, q) for d, q in zip(days, quarters, strict=True)]
    cp.add_element(which, points, cost)
    hours = [[b.window.start, b.window.end - service.duration] for b in clinician.blocks]
    cp.add_linear_expression_in_domain(start, cp_model.Domain.from_intervals(hours))
    before, after = service.buffer_before, service.buffer_after
    session_ = cp.new_fixed_size_interval_var(start - before, before + service.duration + after, "")
    theirs = cp.new_fixed_size_interval_var(start, service.duration, "")
    for row in problem.busy:
        taken = row.buffer_before + row.end - row.start + row.buffer_after
        cp.add_no_overlap(
            [session_, cp.new_fixed_size_interval_var(row.start - row.buffer_before, taken, "")]
            if row.clinician
            else [theirs, cp.new_fixed_size_interval_var(row.start, row.end - row.start, "")]
        )
    cp.minimize(cost)
    search = cp_model.CpSolver()
    search.parameters.num_workers = 1
    if search.solve(cp) == cp_model.INFEASIBLE:
        return None
    return round(search.objective_value)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_the_textbook_s_model_comes_to_the_same(data):
    def instant() -> int:
        return at("2027-03-02 00:00", "UTC") + data.draw(st.integers(0, 2 * 1440 // 30)) * 30

    rows = []
    for n in range(data.draw(st.integers(0, 8))):
        begin, both = instant(), data.draw(st.sampled_from(({}, {"clinician": None})))
        who = {"clients": ("p1",)} if both else {}
        end = begin + data.draw(st.sampled_from((20, 50, 240)))
        row = busy("2027-03-02 00:00", "2027-03-02 01:00", ref=f"b{n}", location=None)
        rows.append(replace(row, start=begin, end=end, buffer_after=5, **both, **who))
    days = [window(f"2027-03-0{day} 09:00", f"2027-03-0{day} 15:00", "UTC") for day in (2, 3)]
    weights = dict.fromkeys(Weights.__dataclass_fields__, 0) | {"day_moved": 10, "quarter_moved": 1}
    weights |= {"days_moved_at_most": 30, "quarters_moved_at_most": 24}
    now = at("2027-03-02 00:00", "UTC")
    problem = replace(
        video_world(*days, zone="UTC", now=now, grid_minutes=60, k=1, weights=Weights(**weights)),
        services=(session(buffer_before=10, buffer_after=5, duration=50),),
        busy=tuple(rows),
        requests=(request(asked_start=instant() + 15),),
    )
    result = solver.propose(problem)
    assert (result.objective if result.proposals else None) == by_intervals(problem)


BLIND = Weights(loose_gap=0, no_neighbour=0, empty_day=0, busier_than_mean=0)
"""What is left does not look at what else there is on the day."""


def cheapest_single(problem) -> int:
    result = solver.propose(with_policy(problem, k=1))
    return result.objective if result.proposals else 1 << 60


@settings(max_examples=25, deadline=None)
@given(random_worlds(), random_worlds())
def test_one_row_more_opens_no_start_and_lowers_no_cost(problem, other):
    """The cost only where it does not depend on rows: one beside the session may close a gap."""
    problem = with_policy(solver.validate(problem), weights=BLIND)
    for row in other.busy[:1]:
        shift = problem.policy.now - other.policy.now
        more = replace(row, ref="more", start=row.start + shift, end=row.end + shift)
        fuller = replace(problem, busy=(*problem.busy, more))
        wish = problem.requests[0]
        for place in places(problem, wish):
            then, now = (View(each, wish, place) for each in (problem, fuller))
            span = then.hours[0][0], then.hours[-1][1]
            assert {*now.free_starts(span)} <= {*then.free_starts(span)}
        assert cheapest_single(fuller) >= cheapest_single(problem)


WIDER: tuple[dict[str, Any], ...] = (
    {"allowed_clinicians": None},
    {"allowed_locations": None},
    {"allowed_modalities": frozenset(Modality)},
    {"refused_starts": frozenset()},
    {"earliest": None, "latest": None},
    {"minutes_of_day": None},
)


@settings(max_examples=15, deadline=None)
@given(random_worlds())
def test_whoever_asks_for_less_never_gets_something_worse(problem):
    for wider in WIDER:
        relaxed = replace(problem, requests=(replace(problem.requests[0], **wider),))
        assert cheapest_single(relaxed) <= cheapest_single(problem)


def test_a_day_later_without_a_loose_gap_comes_before_today_with_one():
    """Today is cheaper at first sight; the gap of a quarter of an hour shows only on weighing."""
    today = window("2027-03-02 08:45", "2027-03-02 10:00")
    tomorrow = window("2027-03-03 09:00", "2027-03-03 10:00")
    wish = request(asked_start=at("2027-03-02 10:00"))
    problem = replace(video_world(today, tomorrow, grid_minutes=60), requests=(wish,))
    views = [View(problem, wish, VIDEO)]
    stream = list(_cheapest_first(views, _options(views), 1))
    assert [one.cost for one in stream] == [10 + 4 + 8, 15 + 4 + 8]


@settings(max_examples=30, deadline=None)
@given(random_worlds())
def test_candidates_come_cheapest_first_and_are_the_cheapest_of_their_cells(problem):
    problem = solver.validate(problem)
    wish = problem.requests[0]
    views = [View(problem, wish, place) for place in places(problem, wish)]
    every = sorted(
        view.candidate(start)
        for view in views
        for start in view.free_starts((view.hours[0][0], view.hours[-1][1]))
    )
    stream = list(_cheapest_first(views, _options(views), 1))
    assert stream == sorted({one.cell: one for one in reversed(every)}.values())


@settings(max_examples=20, deadline=None)
@given(random_worlds())
def test_more_to_do_never_makes_the_answer_larger(problem):
    fuller = solver.propose(problem)
    lighter = solver.propose(
        replace(problem, busy=tuple(b for b in problem.busy if b.clinician is None))
    )
    assert len(fuller.proposals) <= len(lighter.proposals)


def shifted(value, minutes: int):
    """The same world, some time later."""
    moved = {"start", "end", "now", "asked_start", "earliest", "latest", "waiting_since"}
    if isinstance(value, tuple):
        return tuple(shifted(each, minutes) for each in value)
    changes: dict[str, Any] = {}
    for name in getattr(value, "__dataclass_fields__", ()):
        fact = getattr(value, name)
        if name == "refused_starts":
            changes[name] = frozenset(each + minutes for each in fact)
        elif name in moved and isinstance(fact, int):
            changes[name] = fact + minutes
        elif name not in ("derived", "weights", "dayparts", "minutes_of_day"):
            new = shifted(fact, minutes)
            if new is not fact:
                changes[name] = new
    return replace(value, **changes) if changes else value


@settings(max_examples=20, deadline=None)
@given(random_worlds())
def test_a_week_later_the_answer_is_a_week_later(problem):
    problem = replace(
        problem,
        zone="UTC",
        locations=(*problem.locations[:1], replace(problem.locations[1], zone=None)),
    )
    week = 7 * 24 * 60
    now, then = solver.propose(problem), solver.propose(shifted(problem, week))
    assert [each.start + week for each in now.proposals] == [each.start for each in then.proposals]
    assert now.objective == then.objective


@settings(max_examples=12, deadline=None)
@given(random_worlds(requests=2))
def test_a_week_later_plans_and_explanations_are_a_week_later(problem):
    problem = replace(
        problem,
        zone="UTC",
        locations=(*problem.locations[:1], replace(problem.locations[1], zone=None)),
    )
    week = 7 * 24 * 60
    later = shifted(problem, week)
    now, then = solver.replan(problem), solver.replan(later)
    assert [each.start + week for each in now.proposals] == [each.start for each in then.proposals]
    assert (now.objective, now.unplaced) == (then.objective, then.unplaced)
    assert solver.explain(problem) == solver.explain(later)


@pytest.mark.parametrize(
    ("zone", "night", "sessions"),
    [
        ("Europe/Madrid", ("2027-03-28 00:00", "2027-03-28 05:00"), 4),
        ("Europe/Madrid", ("2027-10-31 00:00", "2027-10-31 05:00"), 5),
        ("America/Tijuana", ("2027-03-14 00:00", "2027-03-14 05:00"), 4),
        ("America/Tijuana", ("2027-11-07 00:00", "2027-11-07 05:00"), 5),
        ("America/Santiago", ("2027-09-04 22:00", "2027-09-05 04:00"), 5),
        ("America/Santiago", ("2027-04-03 22:00", "2027-04-04 04:00"), 6),
        ("Europe/Madrid", ("2028-02-28 23:00", "2028-03-01 01:00"), 26),
    ],
)
def test_a_joint_plan_has_as_many_hours_as_the_night(zone, night, sessions):
    """One more asks than there are; an hour that comes twice is offered the first time only."""
    problem = video_world(window(*night, zone), zone=zone, grid_minutes=60, k=1)
    wishes = tuple(request(id=f"r{n}", clients=(f"p{n}",)) for n in range(sessions + 1))
    problem = replace(problem, requests=wishes)
    result = solver.replan(problem)
    assert len(result.proposals) == sessions
    assert result.proven
    assert solver.check(problem, result) == []


SCRIPT = """
import solver
from tests.solver.test_model import busy_week
result = solver.propose(busy_week())
print(result.input_hash, *result.proposals, result.objective)
"""


def busy_week():
    days = [window(f"2027-03-0{day} 09:00", f"2027-03-0{day} 18:00") for day in (2, 3, 4, 5)]
    names = [f"c{n}" for n in range(4)]
    features = frozenset({"couch", "toys", "ramp", "sink"})
    return world(
        policy=replace(world().policy, grid_minutes=15),
        rooms=tuple(room(*days, id=name, features=features) for name in names),
        clinicians=tuple(ana(*days, id=name) for name in names),
        busy=tuple(
            busy(f"2027-03-0{2 + n} 10:00", f"2027-03-0{2 + n} 11:00", clinician=name, ref=name)
            for n, name in enumerate(names)
        ),
        requests=(
            request(
                asked_start=at("2027-03-03 10:00"),
                asked_clinician="c1",
                preferred_dayparts=frozenset({"morning", "evening"}),
                refused_starts=frozenset({at("2027-03-03 12:00"), at("2027-03-04 12:00")}),
            ),
        ),
    )


def python(script: str, seed: str = "0") -> str:
    run = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
    )
    return run.stdout


def test_two_processes_give_the_same_answer():
    assert python(SCRIPT, "1") == python(SCRIPT, "2") != ""


def test_the_hash_is_of_the_facts():
    problem = world()
    assert solver.greedy(problem).input_hash == solver.greedy(replace(problem)).input_hash
    for other in (
        with_policy(problem, seed=2),
        replace(problem, travel={(CENTRO, NORTE): 1}),
        replace(problem, requests=(request(seats=2),)),
    ):
        assert solver.greedy(other).input_hash != solver.greedy(problem).input_hash


def test_importing_the_solver_does_not_import_or_tools():
    script = "import solver, sys; from solver import candidates; print('ortools' in sys.modules)"
    assert python(script) == "False\n"


def test_reasons_compare_to_what_was_asked_for():
    wish = request(
        asked_start=at("2027-02-23 11:00"),
        asked_clinician="ana",
        asked_location=CENTRO,
        asked_modality=Modality.IN_PERSON,
        preferred_weekdays=frozenset({1}),
    )
    neighbour = busy("2027-03-02 09:00", "2027-03-02 10:00", BusyKind.EXTERNAL)
    problem = with_policy(world(busy=(neighbour,), requests=(wish,)), k=1)
    [proposal] = solver.propose(problem).proposals
    assert wall([proposal.start]) == ["11:00"]
    assert set(proposal.reasons) == {
        Reason.SAME_WEEKDAY,
        Reason.SAME_TIME,
        Reason.SAME_DAYPART,
        Reason.HONOURS_WISH,
        Reason.SAME_CLINICIAN,
        Reason.SAME_OFFICE,
        Reason.IN_PERSON,
        Reason.NO_LOOSE_GAP,
    }


def test_a_substitute_by_video_says_so_and_where_she_sits():
    wish = request(asked_clinician="luis", asked_location=NORTE, asked_modality=Modality.IN_PERSON)
    problem = world(rooms=(), requests=(wish,), clinicians=(ana(), ana(id="luis", blocks=())))
    proposal = solver.propose(problem).proposals[0]
    assert (proposal.location, proposal.room) == (CENTRO, None)
    assert {Reason.OTHER_CLINICIAN, Reason.VIDEO} < set(proposal.reasons)
    assert Reason.OTHER_OFFICE not in proposal.reasons


TERM_WORLDS = [
    ("other_clinician", {"asked_clinician": "luis"}, 60),
    ("other_modality", {"asked_modality": Modality.TELEHEALTH}, 40),
    ("other_location", {"asked_location": NORTE}, 25),
    ("days_moved", {"asked_start": at("2027-03-04 10:00")}, 20),
    ("days_moved", {"asked_start": at("2027-09-04 10:00")}, 300),
    ("quarters_moved", {"asked_start": at("2027-03-04 11:29")}, 5),
    ("quarters_moved", {"asked_start": at("2027-03-04 19:00")}, 24),
    ("weekday_not_preferred", {"preferred_weekdays": frozenset({0})}, 30),
    ("weekday_not_preferred", {"preferred_weekdays": frozenset({1})}, 0),
    ("daypart_not_preferred", {"preferred_dayparts": frozenset({"evening"})}, 20),
    ("daypart_not_preferred", {"preferred_dayparts": frozenset({"morning"})}, 0),
    ("other_room", {"asked_room": "c9"}, 5),
    ("surplus_features", {}, 2),
    ("empty_day", {}, 8),
    ("no_neighbour", {}, 3),
]


@pytest.mark.parametrize(("term", "changes", "points"), TERM_WORLDS)
def test_each_inconvenience_costs_what_the_weights_say(term, changes, points):
    problem = world(
        rooms=(room(features=frozenset({"couch"})),),
        requests=(request(**changes),),
        clinicians=(ana(), ana(id="luis")),
    )
    free = places(problem, problem.requests[0])[0]
    breakdown = dict(candidate(problem, "10:00", free).breakdown)
    assert breakdown[term] == points
    weightless = Weights(**dict.fromkeys(Weights.__dataclass_fields__, 0))
    light = with_policy(problem, weights=weightless)
    assert candidate(light, "10:00", free).cost == 0


@pytest.mark.parametrize(
    ("start", "before", "after"),
    [("09:00", 0, 0), ("09:15", 15, 0), ("10:45", 0, 15), ("11:00", 0, 0), ("10:00", 0, 0)],
)
def test_a_gap_too_short_for_any_service_is_a_loss(start, before, after):
    problem = with_policy(world(), grid_minutes=15)
    breakdown = dict(candidate(problem, start, places(problem, request())[0]).breakdown)
    assert (breakdown["loose_gap_before"], breakdown["loose_gap_after"]) == (before, after)


def test_gaps_are_measured_after_buffers_travel_and_absences():
    problem = world(
        services=(session(buffer_before=10),),
        travel={(NORTE, CENTRO): 20},
        busy=(busy("2027-03-02 08:00", "2027-03-02 09:00", location=NORTE, buffer_after=5),),
        clinicians=(ana(absences=(window("2027-03-02 11:30", "2027-03-02 12:00"),)),),
    )
    view = View(solver.validate(problem), problem.requests[0], places(problem, request())[0])
    assert view.gap_before(at("2027-03-02 10:00")) == 60 - 5 - 20 - 10
    assert view.gap_after(at("2027-03-02 10:00")) == 30


def test_a_substitute_busier_than_the_mean_costs_a_point_for_each_session_above():
    rows = tuple(
        busy(f"2027-03-0{day} 17:00", f"2027-03-0{day} 18:00", ref=str(day)) for day in (1, 3, 4, 5)
    )
    wish = request(asked_clinician="luis")
    problem = world(clinicians=(ana(), ana(id="luis")), busy=rows, requests=(wish,))
    place = next(each for each in places(problem, wish) if each.clinician == "ana")
    assert dict(candidate(problem, "10:00", place).breakdown)["busier_than_mean"] == 4 - 4 // 2


def test_first_fit_spreads_before_it_repeats_a_day():
    days = [window(f"2027-03-0{day} 09:00", f"2027-03-0{day} 18:00") for day in (2, 3)]
    problem = with_policy(video_world(*days), k=2)
    view = View(problem, problem.requests[0], VIDEO)
    one, same_day = (view.candidate(at(f"2027-03-02 {hour}:00")) for hour in ("09", "13"))
    next_day = view.candidate(at("2027-03-03 09:15"))
    candidates = [one, same_day, next_day]
    assert first_fit(problem.policy, candidates).members == (0, 2)
