"""Many requests at once: nothing collides, nothing is cheaper, and whoever fits has a place."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ortools.sat.python import cp_model

import solver
from bench import practices
from solver import batch
from solver import columns as columns_module
from solver.candidates import Place, free_rooms, places
from solver.columns import enumerate_columns
from solver.objective import ROOM_TERMS, View
from solver.problem import DAY, Block, Modality, Problem, Room
from solver.proposal import Group, Result, Status, Swap
from solver.relaxation import relax
from solver.rooms import Fit
from tests.solver.worlds import (
    CENTRO,
    NORTE,
    ana,
    at,
    busy,
    pinned,
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

SPAN = ("2027-03-02 09:00", "2027-03-02 11:15")
SHORTER = ("2027-03-02 09:00", "2027-03-02 11:14")


def asking(problem: Problem, *changes: Any) -> Problem:
    """As many requests as there are changes, each of its own client, in a plan without spares."""
    requests = tuple(
        request(**{"id": f"r{n}", "clients": (f"p{n}",)} | each) for n, each in enumerate(changes)
    )
    return with_policy(replace(problem, requests=requests), k=1, grid_minutes=1)


def placed(problem: Problem) -> list[str]:
    """The times that a joint plan finds, once it has been checked."""
    result = solver.replan(problem)
    assert result.totals is not None
    assert result.proven
    assert solver.check(problem, result) == []
    return wall(sorted(proposal.start for proposal in result.proposals))


def test_a_clinician_treats_one_at_a_time_with_the_buffers_between():
    services = (session(buffer_before=5, buffer_after=10),)
    problem = asking(replace(video_world(window(*SPAN)), services=services), {}, {})
    assert placed(problem) == ["09:00", "10:15"]
    shorter = replace(problem, clinicians=(ana(blocks=(Block(window(*SHORTER)),)),))
    assert len(placed(shorter)) == 1


def two_offices(*blocks: tuple[str, str, str], travel: dict[tuple[str, str], int]) -> Problem:
    return world(
        clinicians=(
            ana(
                blocks=tuple(
                    Block(window(f"2027-03-02 {start}", f"2027-03-02 {end}"), location)
                    for start, end, location in blocks
                )
            ),
        ),
        rooms=(room(), room(id="n1", location=NORTE)),
        travel=travel,
    )


IN_PERSON = {"allowed_modalities": frozenset({Modality.IN_PERSON})}
THERE = ("10:30", "11:30", NORTE)


@pytest.mark.parametrize(("minutes", "sessions"), [(30, 2), (31, 1)])
def test_a_clinician_has_time_to_travel(minutes, sessions):
    travel = {(CENTRO, NORTE): minutes, (NORTE, CENTRO): 180}
    problem = two_offices(("09:00", "10:00", CENTRO), THERE, travel=travel)
    assert len(placed(asking(problem, IN_PERSON, IN_PERSON))) == sessions


def test_travel_does_not_part_neighbours_of_one_office():
    blocks = ("09:00", "11:00", CENTRO), ("11:30", "13:30", NORTE)
    problem = two_offices(*blocks, travel={(CENTRO, NORTE): 30})
    assert placed(asking(problem, *[IN_PERSON] * 4)) == ["09:00", "10:00", "11:30", "12:30"]


@pytest.mark.parametrize(
    ("start", "end"),
    [("09:30", "10:00"), ("10:15", "10:45"), ("10:30", "11:00"), ("11:15", "11:45")],
)
def test_no_pair_slips_through_a_way_longer_than_the_sessions(start, end):
    """Seen only at its start and its end, a way of two hours has a hole between 10:00 and 10:30."""
    blocks = ("09:00", "09:30", CENTRO), (start, end, NORTE)
    problem = two_offices(*blocks, travel={(CENTRO, NORTE): 120})
    problem = replace(problem, services=(session(duration=30),))
    assert len(placed(asking(problem, IN_PERSON, IN_PERSON))) == 1


def test_a_room_is_aired_before_somebody_else_has_it():
    both = ana(window(*SPAN)), ana(window(*SPAN), id="luis")
    problem = world(rooms=(room(window(*SPAN), turnover=15),), clinicians=both)
    assert placed(asking(problem, IN_PERSON, IN_PERSON)) == ["09:00", "10:15"]
    shorter = replace(problem, rooms=(room(window(*SHORTER), turnover=15),))
    assert len(placed(asking(shorter, IN_PERSON, IN_PERSON))) == 1


HOUR = window("2027-03-02 09:00", "2027-03-02 10:00")


@pytest.mark.parametrize(
    ("clients", "sessions"),
    [((("p1",), ("p2",)), 2), ((("p1",), ("p1",)), 1), ((("p1", "p2"), ("p3", "p2")), 1)],
)
def test_no_client_is_in_two_sessions_at_once(clients, sessions):
    two = tuple(ana(id=name, blocks=(Block(HOUR),)) for name in ("ana", "luis"))
    problem = replace(video_world(HOUR), clinicians=two)
    assert len(placed(asking(problem, *({"clients": each} for each in clients)))) == sessions


@pytest.mark.parametrize(("most", "rows", "sessions"), [(3, 0, 3), (2, 0, 2), (2, 1, 1), (1, 1, 0)])
def test_the_plan_keeps_to_the_daily_maximum(most, rows, sessions):
    standing = busy("2027-03-02 16:00", "2027-03-02 17:00")
    problem = world(clinicians=(ana(max_sessions_day=most),), busy=(standing,) * rows)
    assert len(placed(asking(problem, {}, {}, {}))) == sessions


def test_whoever_weighs_more_has_the_place_and_the_others_are_named():
    problem = asking(video_world(HOUR), {"weight": 1}, {"weight": 3}, {"weight": 2})
    result = solver.replan(problem)
    assert [proposal.request for proposal in result.proposals] == ["r1"]
    assert [each.request for each in result.unplaced] == ["r0", "r2"]
    assert (result.status, result.proven) == (Status.PARTIAL, True)
    assert result.objective == result.bound == 3 * result.proposals[0].cost


def test_of_two_that_are_alike_the_quick_plan_serves_first_who_waits_longer():
    late, early = ({"waiting_since": at(f"2027-03-01 0{hour}:00")} for hour in (7, 6))
    problem = asking(video_world(window("2027-03-02 09:00", "2027-03-02 10:00")), late, early)
    assert batch._urgency(problem) == [1, 0]


def test_two_light_requests_outweigh_a_heavy_one():
    """Greedy would give the room in the middle to the heavy one and send both others away."""
    middle = {"earliest": at("2027-03-02 09:30"), "latest": at("2027-03-02 09:31"), "weight": 3}
    problem = asking(
        video_world(window("2027-03-02 09:00", "2027-03-02 11:00")),
        {"weight": 2},
        middle,
        {"weight": 2},
    )
    assert placed(problem) == ["09:00", "10:00"]


def test_nobody_to_place_and_nowhere_to_go_are_answers_too():
    nobody = solver.replan(replace(world(), requests=()))
    assert (nobody.status, nobody.objective, nobody.proven) == (Status.NONE, 0, True)
    nowhere = solver.replan(asking(world(clinicians=(ana(blocks=()),)), {}, {}))
    assert (nowhere.status, len(nowhere.unplaced)) == (Status.NONE, 2)


def test_further_ranks_are_held_beside_everybody_s_first():
    days = [window(f"2027-03-0{day} 09:00", f"2027-03-0{day} 18:00") for day in (2, 3, 4)]
    wish = {"asked_start": at("2027-03-03 10:00"), "asked_clinician": "ana"}
    problem = with_policy(asking(video_world(*days), wish, wish, wish), k=4)
    result = solver.replan(problem)
    assert Counter(proposal.request for proposal in result.proposals) == dict.fromkeys(
        ("r0", "r1", "r2"), 4
    )
    for one, other in combinations(result.proposals, 2):
        assert one.end <= other.start or other.end <= one.start
    assert solver.check(problem, result) == []
    assert result.objective == sum(each.cost for each in result.proposals if each.rank == 1)


def test_alternatives_count_towards_the_daily_maximum():
    """Six sessions in two days, of which each has three at most: no rank takes one too many."""
    days = [window(f"2027-03-0{day} 09:00", f"2027-03-0{day} 18:00") for day in (2, 3)]
    blocks = tuple(map(Block, days))
    problem = replace(video_world(*days), clinicians=(ana(blocks=blocks, max_sessions_day=3),))
    wish = {"asked_start": at("2027-03-02 10:00")}
    result = solver.replan(with_policy(asking(problem, wish, wish), k=3))
    assert result.totals is not None  # Or else the checker found it out.
    assert len(result.proposals) == 6


def test_a_client_s_alternatives_do_not_overlap_though_they_are_with_different_people():
    """11:30 and 12:00 are in different parts of the day, and overlap."""
    early, late = (
        ana(id=name, blocks=(Block(window(f"2027-03-02 {start}", f"2027-03-02 {end}")),))
        for name, start, end in (("ana", "11:30", "12:30"), ("luis", "12:00", "13:00"))
    )
    problem = replace(video_world(window(*SPAN)), clinicians=(early, late))
    result = solver.replan(with_policy(problem, k=2))
    assert result.totals is not None  # Or else the checker found it out.
    assert len(result.proposals) == 1


def test_totals_count_what_people_would_notice():
    """From Tuesday 10:00 with Luis at Norte to Wednesday with Ana at Centro, beside two rows."""
    day = window("2027-03-03 09:00", "2027-03-03 14:00")
    wish = {
        "asked_start": at("2027-03-02 10:00"),
        "asked_clinician": "luis",
        "asked_location": NORTE,
        "allowed_clinicians": ("ana",),
        "earliest": at("2027-03-03 10:30"),
        "latest": at("2027-03-03 10:31"),
    } | IN_PERSON
    rows = (
        busy("2027-03-03 09:00", "2027-03-03 10:00", buffer_after=5),
        busy("2027-03-03 13:00", "2027-03-03 14:00", ref="b2"),
    )
    problem = world(
        clinicians=(ana(day), ana(id="luis")),
        busy=rows,
        rooms=(room(day),),
        services=(session(buffer_after=10),),
    )
    result = solver.replan(asking(problem, wish))
    assert result.totals == solver.Totals(
        days_moved=1,
        clinician_changes=1,
        location_changes=1,
        gap_minutes_before=175,
        gap_minutes_after=175 - 70,
    )


COUCH = frozenset({"couch"})


def swapped(*rows, requests: int = 2, **changes):
    """Only «c1» has the couch that all need; who is there may go to «c2»."""
    problem = world(
        services=(session(room_features=COUCH),),
        rooms=(room(features=COUCH), room(id="c2")),
        clinicians=(ana(), ana(id="luis")),
        busy=rows,
        **changes,
    )
    problem = asking(problem, *[IN_PERSON] * requests)
    result = solver.replan(problem)
    assert solver.check(problem, result) == []
    assert result.totals is not None
    return result


IN_THE_WAY = busy(
    "2027-03-02 09:00", "2027-03-02 10:00", clinician=None, room="c1", other_rooms=("c2",)
)


def test_a_plan_sends_whoever_is_in_the_way_to_another_room():
    late = busy("2027-03-02 10:00", "2027-03-02 12:00", clinician=None, room="c1", ref="late")
    result = swapped(IN_THE_WAY, late, requests=1)
    assert [each.swaps for each in result.proposals] == [(Swap("b1", "c2"),)]
    assert result.proven


def test_one_session_makes_room_for_one_only():
    """From 9:00 to 12:00 somebody is in «c1», who can leave it once, for one of three."""
    row = replace(IN_THE_WAY, end=at("2027-03-02 12:00"))
    result = swapped(row, requests=3)
    assert len({each.request for each in result.proposals}) == 1
    assert len(result.unplaced) == 2


def test_two_sessions_are_not_sent_to_one_room():
    problem = world(
        services=(session(room_features=COUCH),),
        rooms=(room(features=COUCH), room(id="c2"), room(id="c3", features=COUCH)),
        clinicians=(ana(), ana(id="luis")),
        busy=(
            IN_THE_WAY,
            replace(IN_THE_WAY, ref="b2", room="c3"),
            busy("2027-03-02 10:00", "2027-03-02 12:00", clinician=None, room="c1", ref="x"),
            busy("2027-03-02 10:00", "2027-03-02 12:00", clinician=None, room="c3", ref="y"),
        ),
    )
    result = solver.replan(asking(problem, IN_PERSON, IN_PERSON))
    assert [each.swaps for each in result.proposals] == [(Swap("b1", "c2"),)]
    assert [each.request for each in result.unplaced] == ["r1"]
    assert result.proven


def test_one_session_is_not_sent_to_two_rooms():
    """For the couch «b1» would go to «c3»; for the toys «b2» would push it into «c2»."""
    day = window("2027-03-02 09:00", "2027-03-02 14:00")
    toys = frozenset({"toys"})
    problem = world(
        services=(session(room_features=COUCH), replace(session(room_features=toys), id="play")),
        rooms=(room(features=COUCH), room(id="c2", features=toys), room(id="c3")),
        clinicians=tuple(
            ana(day, id=name, services=frozenset({service}))
            for name, service in (("ana", "individual"), ("luis", "play"))
        ),
        busy=(
            busy(
                "2027-03-02 09:00",
                "2027-03-02 12:00",
                clinician=None,
                room="c1",
                other_rooms=("c2", "c3"),
            ),
            busy(
                "2027-03-02 11:30",
                "2027-03-02 12:30",
                clinician=None,
                room="c2",
                other_rooms=("c1",),
                ref="b2",
            ),
        ),
    )
    nine, noon = (at(f"2027-03-02 {hour}:00") for hour in ("09", "12"))
    couch = IN_PERSON | {"earliest": nine, "latest": nine + 1}
    play = IN_PERSON | {"service": "play", "earliest": noon, "latest": noon + 1}
    for alone in (couch, play):
        assert len(placed(asking(problem, alone))) == 1
    assert len(placed(asking(problem, couch, play))) == 1


def test_whoever_is_left_out_hears_what_would_have_to_give():
    row = replace(IN_THE_WAY, end=at("2027-03-02 12:00"), other_rooms=())
    [left] = swapped(row, requests=1).unplaced
    assert left.explanation is not None
    assert (Group.ROOM,) in [each.groups for each in left.explanation.relaxations]


# What else finds the best plan, more slowly.


def small(problem: Problem, weights: tuple[int, ...] = (2, 1, 3)) -> Problem:
    """Every row concerns everybody, and there are few enough starts to try all."""
    requests = tuple(
        replace(each, ignore_refs=frozenset(), weight=weights[n])
        for n, each in enumerate(problem.requests)
    )
    problem = with_policy(replace(problem, requests=requests), k=1, grid_minutes=60)
    return solver.validate(pinned(problem))


Option = tuple[int, View, int, Room | None]
"""Points, where, when and in which room."""


def options(problem: Problem, number: int) -> list[Option]:
    """What could be chosen for one request, as the rules for a single one tell."""
    asked, found = problem.requests[number], []
    rooms = {each.id: each for each in problem.rooms}
    for place in places(problem, asked):
        view = View(problem, asked, place)
        for start in view.free_starts((view.hours[0][0], view.hours[-1][1])):
            cost = view.candidate(start)
            fixed = cost.cost - sum(dict(cost.breakdown)[term.__name__] for term in ROOM_TERMS)
            in_person = place.modality is Modality.IN_PERSON
            names = free_rooms(problem, asked, place, start) if in_person else ("",)
            for name in names:
                one = rooms.get(name)
                fit = Fit(one) if one else None
                points = fixed + sum(term(view, fit) for term in ROOM_TERMS)
                found.append((asked.weight * points, view, start, one))
    return sorted(found, key=lambda option: option[0])


def collide(one: Option, other: Option) -> bool:
    """Two requests' sessions, minute by minute apart."""
    (_, here, start, a_room), (_, there, begin, b_room) = sorted((one, other), key=lambda o: o[2])
    end = start + here.duration
    clinician = here.place.clinician == there.place.clinician and begin - end < (
        here.service.buffer_after
        + here.problem.travel.get((here.place.location or "", there.place.location or ""), 0)
        + there.service.buffer_before
    )
    shared_room = a_room and a_room == b_room and begin - end < a_room.turnover
    clients = set(here.request.clients) & set(there.request.clients) and begin < end
    return bool(clinician or shared_room or clients)


def full(chosen: list[Option]) -> bool:
    days = Counter(
        (view.place.clinician, view.zone.local(start) // DAY) for _, view, start, _ in chosen
    )
    return any(
        view.clinician.max_sessions_day is not None
        and days[view.place.clinician, view.zone.local(start) // DAY]
        + view.sessions_by_day[view.zone.local(start) // DAY]
        > view.clinician.max_sessions_day
        for _, view, start, _ in chosen
    )


def best(
    problem: Problem,
    choices: list[list[Option]],
    chosen: list[Option] = [],  # noqa: B006
) -> tuple[int, int]:
    """Least weight unplaced, then least points, by trying everything in turn."""
    if not choices:
        return 0, sum(option[0] for option in chosen)
    weight = problem.requests[len(problem.requests) - len(choices)].weight
    without, points = best(problem, choices[1:], chosen)
    outcomes = [(without + weight, points)]
    for option in choices[0]:
        together = [*chosen, option]
        if not any(collide(option, other) for other in chosen) and not full(together):
            outcomes.append(best(problem, choices[1:], together))
            if outcomes[-1][0] == 0 and len(choices) == 1:
                break  # The others cost more.
    return min(outcomes)


def left_out(problem: Problem, result: Result) -> int:
    """The weight of all requests without a place."""
    weights = {each.id: each.weight for each in problem.requests}
    return sum(weights[each.request] for each in result.unplaced)


@settings(max_examples=40, deadline=None)
@given(random_worlds(requests=3), st.sampled_from((1, batch.COLUMNS_EACH)))
def test_no_plan_is_cheaper_and_none_leaves_less_unplaced(problem, each):
    """However little the search begins with."""
    problem = small(problem)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "COLUMNS_EACH", each)
        result = solver.replan(problem)
    assert result.proven
    assert (left_out(problem, result), result.objective) == best(
        problem, [options(problem, n) for n in range(len(problem.requests))]
    )


@settings(max_examples=15, deadline=None)
@given(random_worlds(requests=2))
def test_no_plan_with_a_column_costs_less_than_the_bound_says(problem):
    """What the search leaves aside could not have been of use."""
    problem = small(problem)
    instance = batch._instance(problem, enumerate_columns(problem))
    bound = relax(instance, [], 1 << 60, lambda _: None, lambda: False)
    columns, choices = instance.columns, [options(problem, n) for n in range(2)]
    for n in range(0, len(columns), 7):
        one = columns.candidate(n)
        number = int(columns.request[n])
        mine = next(
            option
            for option in choices[number]
            if option[1].place == one.place
            and option[2] == one.start
            and (option[3].id if option[3] else "") == one.room
        )
        left, points = best(problem, [[mine] if m == number else choices[m] for m in range(2)])
        if left == 0:
            assert bound.least <= points
            assert bound.parts + int(bound.excess[n]) <= points * bound.scale


@settings(max_examples=20, deadline=None)
@given(random_worlds(requests=3), st.integers(1, 9))
def test_what_is_left_out_for_want_of_memory_counts_in_the_bound(problem, each):
    problem = small(problem)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns_module, "MOST_COLUMNS", 3 * each)
        result = solver.replan(problem)
    whole = solver.replan(problem)
    assert result.totals is not None
    left, least = left_out(problem, result), left_out(problem, whole)
    assert left >= least
    if result.proven:  # Of plans that cost the same either may be found, and tell why another way.
        assert (left, result.objective) == (least, whole.objective)
    elif left == least:
        assert result.bound <= whole.objective <= result.objective


def by_intervals(problem: Problem) -> tuple[int, int]:
    """The textbook's model: optional intervals that do not overlap; there are no ways to go."""
    cp = cp_model.CpModel()
    lanes: dict[object, list[cp_model.IntervalVar]] = {}
    costs, unplaced = [], []
    for number, asked in enumerate(problem.requests):
        groups: dict[tuple[Place, Room | None], list[Option]] = {}
        for option in options(problem, number):
            groups.setdefault((option[1].place, option[3]), []).append(option)
        present = []
        for (place, one), group in groups.items():
            here, which = cp.new_bool_var(""), cp.new_int_var(0, len(group) - 1, "")
            starts = [option[2] for option in group]
            start = cp.new_int_var(min(starts), max(starts), "")
            cp.add_element(which, starts, start)
            points = cp.new_int_var(0, max(option[0] for option in group), "")
            cp.add_element(which, [option[0] for option in group], points)
            paid = cp.new_int_var(0, max(option[0] for option in group), "")
            cp.add(paid >= points).only_enforce_if(here)
            costs.append(paid)
            present.append(here)
            view = group[0][1]
            before, after = view.service.buffer_before, view.service.buffer_after

            def lane(key, begin, size, here=here):
                interval = cp.new_optional_fixed_size_interval_var(begin, size, here, "")
                lanes.setdefault(key, []).append(interval)

            lane(place.clinician, start - before, before + view.duration + after)
            if one is not None:
                lane(("room", one.id), start, view.duration + one.turnover)
            for client in asked.clients:
                lane(("client", client), start, view.duration)
        absent = cp.new_bool_var("")
        cp.add_exactly_one([*present, absent])
        unplaced.append(asked.weight * absent)
    for intervals in lanes.values():
        cp.add_no_overlap(intervals)
    cp.minimize(1_000_000 * sum(unplaced) + sum(costs))
    search = cp_model.CpSolver()
    search.parameters.num_workers = 1
    assert search.solve(cp) == cp_model.OPTIMAL
    return divmod(round(search.objective_value), 1_000_000)


@settings(max_examples=15, deadline=None)
@given(random_worlds(requests=4))
def test_another_formulation_comes_to_the_same(problem):
    unlimited = tuple(replace(each, max_sessions_day=None) for each in problem.clinicians)
    problem = small(replace(problem, travel={}, clinicians=unlimited), weights=(1, 1, 1, 1))
    result = solver.replan(problem)
    assert (len(result.unplaced), result.objective) == by_intervals(problem)


@settings(max_examples=30, deadline=None)
@given(random_worlds(requests=3))
def test_whatever_the_world_the_checker_has_nothing_to_say(problem):
    seen = []
    result = solver.replan(problem, seen.append)
    assert result.totals is not None
    assert result.proven
    assert solver.check(problem, result) == []
    greedy = next(each for each in seen if each.stage == "greedy")
    placed = len(problem.requests) - len(result.unplaced)
    assert (-placed, result.objective) <= (-greedy.placed, greedy.objective)


# A practice, in which the search has something to do.


def sick_days(requests: int = 30) -> Problem:
    problem = practices.practice(practices.SIZES["M"], seed=2)
    return with_policy(practices.sick_day(problem, requests, seed=2), k=2)


def test_the_caller_hears_how_far_it_is():
    problem, seen = sick_days(), []
    result = solver.replan(problem, seen.append)
    stages = list(dict.fromkeys(each.stage for each in seen))
    assert stages == ["candidates", "greedy", "relaxation", "fixing", "alternatives", "done"]
    bounds = [each.bound for each in seen if each.bound is not None]
    plans = [each.objective for each in seen if each.objective is not None]
    assert bounds == sorted(bounds)
    assert plans == sorted(plans, reverse=True)
    assert (seen[-1].placed, seen[-1].objective) == (30, result.objective)
    assert result.objective == bounds[-1] < plans[0]


def test_a_caller_who_has_heard_enough_can_leave():
    class Enough(Exception):
        pass

    def report(progress):
        if progress.stage == "relaxation":
            raise Enough

    with pytest.raises(Enough):
        solver.replan(sick_days(), report)


def test_a_search_cut_off_by_the_clock_says_so_and_is_valid(monkeypatch):
    monkeypatch.setattr(batch, "LONGEST_SECONDS", 0.0)
    problem = sick_days()
    result = solver.replan(problem)
    assert (result.status, result.proven) == (Status.FEASIBLE, False)
    assert 0 < result.bound < result.objective
    assert result.totals is not None
    assert solver.check(problem, result) == []


def test_a_search_without_time_for_a_stage_says_so_and_is_valid():
    problem = with_policy(contended(), batch_deterministic_time=1e-6)
    result = solver.replan(problem)
    assert not result.proven
    assert result.bound <= solver.replan(contended()).objective <= result.objective
    assert result.totals is not None
    assert solver.check(problem, result) == []


def test_a_full_week_is_proven_however_little_the_search_begins_with(monkeypatch):
    best = solver.replan(contended())
    monkeypatch.setattr(batch, "COLUMNS_EACH", 1)
    narrow = solver.replan(contended())
    assert best.proven
    assert narrow.proven
    assert (len(narrow.unplaced), narrow.objective) == (len(best.unplaced), best.objective)


def contended() -> Problem:
    """Forty clients of one clinician, whose days are nearly full."""
    problem = practices.practice(practices.SIZES["S"], seed=3)
    return with_policy(practices.denials(problem, 40, seed=3), k=1)


SCRIPT = """
import json, solver
from bench import practices
from solver import document
problem = practices.practice(practices.SIZES["M"], seed=4)
answer = document.write(solver.replan(practices.closed_room(problem, 10, seed=4)))
answer.pop("timings")
print(json.dumps(answer))
"""


def test_two_processes_give_the_same_plan():
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            stdout=subprocess.PIPE,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        )
        for seed in ("1", "2")
    ]
    plans = [run.communicate()[0] for run in runs]
    assert plans[0] == plans[1] != b""


@pytest.mark.long
@pytest.mark.parametrize("kind", practices.BATCHES)
@pytest.mark.parametrize(("size", "requests"), [("M", 50), ("M", 100), ("L", 50), ("L", 200)])
def test_seeded_practices_are_put_right(size, kind, requests):
    practice = practices.practice(practices.SIZES[size], seed=7)
    problem = practices.BATCHES[kind](practice, requests, 7)
    result = solver.replan(problem)
    assert (result.status, result.gap) == (Status.OPTIMAL, 0)
    assert solver.check(problem, result) == []


def test_columns_cost_what_candidates_do():
    columns = enumerate_columns(solver.validate(sick_days(5)))
    some = np.arange(0, len(columns), 211)
    assert [columns.candidate(n).cost for n in some] == columns.cost[some].tolist()
