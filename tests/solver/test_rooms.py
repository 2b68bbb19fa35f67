"""Rooms are swapped when that makes a time fit, and only then; nobody is moved in time."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import solver
from solver.candidates import Rule, free_starts, room_for
from solver.problem import Busy, BusyKind, Modality, Outage, Window
from solver.proposal import Reason, Swap
from solver.rooms import MOST_SWAPS
from tests.solver.worlds import (
    CENTRO,
    HERE,
    MORNING,
    NORTE,
    TUESDAY,
    at,
    busy,
    request,
    room,
    session,
    wall,
    window,
    world,
)

COUCH = frozenset({"couch"})
TEN = at("2027-03-02 10:00")
IN_PERSON = request(allowed_modalities=frozenset({Modality.IN_PERSON}))


def taken(start: str, end: str, where: str, *others: str, **changes):
    """Somebody else's session in a room, which may go to others."""
    facts = {"ref": where, "clinician": None, "room": where, "other_rooms": others} | changes
    return busy(f"2027-03-02 {start}", f"2027-03-02 {end}", **facts)


def couch_world(*rows, rooms=(), **changes):
    """Only «c1» has the couch that the session needs; «c2» would do for whoever is there."""
    return world(
        services=(session(room_features=COUCH),),
        rooms=rooms or (room(features=COUCH), room(id="c2")),
        busy=rows,
        requests=(IN_PERSON,),
        **changes,
    )


def found(problem, start: int = TEN):
    return room_for(problem, problem.requests[0], HERE, start)


def free(problem) -> list[str]:
    return wall(free_starts(problem, problem.requests[0], HERE, TUESDAY))


ROW = taken("10:00", "11:00", "c1", "c2")
OPENS_LATE = room(window("2027-03-02 10:01", "2027-03-02 12:00"), id="c2")


def test_whoever_does_not_need_the_couch_goes_to_the_other_room():
    problem = couch_world(ROW)
    assert found(problem) == ("c1", (Swap("c1", "c2"),))
    assert free(problem) == ["09:00", "10:00", "11:00"]


def test_without_need_nobody_is_moved():
    problem = couch_world(
        ROW, rooms=(room(features=COUCH), room(id="c2"), room(id="c0", features=COUCH))
    )
    assert found(problem) == ("c0", ())


STUCK = {
    "pinned": couch_world(replace(ROW, other_rooms=())),
    "the other room is taken": couch_world(ROW, taken("10:59", "12:00", "c2")),
    "the other room is closed": couch_world(
        ROW,
        rooms=(room(features=COUCH), OPENS_LATE),
    ),
    "the other room is out of order": couch_world(
        ROW, outages=(Outage(window=window("2027-03-02 10:59", "2027-03-02 11:30"), room="c2"),)
    ),
    "the other room must be aired": couch_world(
        ROW,
        taken("11:10", "12:00", "c2"),
        rooms=(room(features=COUCH), room(id="c2", turnover=11)),
    ),
    "the own chain's old time is there": couch_world(ROW, taken("10:30", "11:30", "c2", ref="old")),
}
STUCK["the own chain's old time is there"] = replace(
    STUCK["the own chain's old time is there"],
    requests=(replace(IN_PERSON, ignore_refs=frozenset({"old"})),),
)


@pytest.mark.parametrize("why", STUCK)
def test_a_session_that_cannot_go_elsewhere_stays(why):
    assert found(STUCK[why]) is None
    assert "10:00" not in free(STUCK[why])


def test_the_other_room_may_be_needed_again_as_soon_as_it_is_aired():
    aired = couch_world(
        ROW,
        taken("11:10", "12:00", "c2"),
        rooms=(room(features=COUCH), room(id="c2", turnover=10)),
    )
    assert found(aired) == ("c1", (Swap("c1", "c2"),))


def test_a_chain_of_swaps_is_found_when_one_is_not_enough():
    """Whoever leaves the couch can only go to «c2», from where somebody can only go to «c3»."""
    problem = couch_world(
        ROW,
        taken("09:30", "10:30", "c2", "c3"),
        rooms=(room(features=COUCH), room(id="c2"), room(id="c3")),
    )
    assert found(problem) == ("c1", (Swap("c1", "c2"), Swap("c2", "c3")))


def test_the_fewest_sessions_are_moved_even_if_the_room_is_dearer():
    rooms = (room(features=COUCH), room(id="c2", features=COUCH | {"toys"}), room(id="c3"))
    problem = couch_world(
        taken("10:00", "10:30", "c1", "c3"),
        taken("10:30", "11:00", "c1", "c3", ref="later"),
        taken("10:00", "11:00", "c2", "c3"),
        rooms=rooms,
    )
    assert found(problem) == ("c2", (Swap("c2", "c3"),))


def test_the_own_chain_s_old_time_does_not_fill_the_office():
    """Moved by half of its length within its room, since who comes next there can go elsewhere."""
    wish = replace(IN_PERSON, ignore_refs=frozenset({"old"}))
    rows = (
        taken("09:30", "10:30", "c1", ref="old"),
        taken("10:30", "11:30", "c1", "c2"),
        taken("09:00", "10:15", "c2"),
    )
    problem = replace(couch_world(*rows), requests=(wish,))
    assert found(problem) == ("c1", (Swap("c1", "c2"),))


def test_full_is_full():
    problem = couch_world(ROW, taken("10:30", "11:30", "c2", "c1"))
    assert found(problem) is None
    assert free(problem) == ["09:00", "11:00"]


def test_a_swap_costs_a_little_and_is_told():
    wish = replace(IN_PERSON, earliest=TEN, latest=TEN + 1)
    problem = replace(couch_world(ROW), requests=(wish,))
    [proposal] = solver.propose(problem).proposals
    assert proposal.swaps == (Swap("c1", "c2"),)
    assert Reason.SWAPS_ROOMS in proposal.reasons
    assert dict(proposal.breakdown)["swapped_sessions"] == 4
    assert solver.check(problem, solver.propose(problem)) == []


def test_one_swap_serves_one_proposal():
    """From 9:00 on each of the three times needs that the same session goes to «c2»."""
    problem = couch_world(
        taken("09:00", "12:00", "c1", "c2"), policy=replace(world().policy, k=3, grid_minutes=60)
    )
    result = solver.propose(problem)
    assert len(result.proposals) == 1
    assert solver.check(problem, result) == []


def test_the_next_request_finds_the_rooms_as_the_one_before_left_them():
    two = (
        replace(IN_PERSON, earliest=TEN, latest=TEN + 1),
        replace(IN_PERSON, id="r2", clients=("p2",)),
    )
    problem = replace(couch_world(ROW), requests=two)
    result = solver.propose(problem)
    assert [each.request for each in result.proposals if each.swaps] == ["r1"]
    assert solver.check(problem, result) == []


BAD_SWAPS = [
    (Swap("c1", "c1"),),
    (Swap("nobody", "c2"),),
    (),
    (Swap("c1", "c2"), Swap("c2", "c1")),
]


@pytest.mark.parametrize("swaps", BAD_SWAPS)
def test_the_checker_sees_swaps_that_cannot_be(swaps):
    wish = replace(IN_PERSON, earliest=TEN, latest=TEN + 1)
    problem = replace(couch_world(ROW, taken("12:00", "13:00", "c2")), requests=(wish,))
    good = solver.greedy(problem)
    bad = replace(good, proposals=(replace(good.proposals[0], swaps=swaps),))
    assert {each.rule for each in solver.check(problem, bad)} & {"swaps", "room"}


@pytest.mark.parametrize(
    "changes",
    [
        {"busy": (ROW, taken("10:59", "12:00", "c2"))},
        {"busy": (replace(ROW, other_rooms=()),)},
        {"outages": (Outage(window=MORNING, room="c2"),)},
        {
            "rooms": (
                room(features=COUCH),
                room(window("2027-03-02 10:01", "2027-03-02 12:00"), id="c2"),
            )
        },
        {"rooms": (room(features=COUCH), room(id="c2", location=NORTE))},
    ],
)
def test_the_checker_sees_that_the_world_changed_under_a_swap(changes):
    wish = replace(IN_PERSON, earliest=TEN, latest=TEN + 1)
    problem = replace(couch_world(ROW), requests=(wish,))
    good = solver.greedy(problem)
    assert "swaps" in {each.rule for each in solver.check(replace(problem, **changes), good)}


def assignable(problem, wish, start: int) -> bool:
    """Whether any assignment of rooms at Centro holds the new session, by trying them all."""
    service = problem.services[0]
    end = start + service.duration
    rooms = {each.id: each for each in problem.rooms if each.location == CENTRO}
    rows = [row for row in problem.busy if row.room in rooms]
    for spots in product(
        [
            r.id
            for r in rooms.values()
            if service.room_features <= r.features and wish.seats <= r.seats
        ],
        *([row.room, *row.other_rooms] for row in rows),
    ):
        moved = [row for row, spot in zip(rows, spots[1:], strict=True) if spot != row.room]
        if any(row.ref in wish.ignore_refs for row in moved):
            continue
        stays = [("new", start, end, spots[0])]
        stays += [
            (row.ref, row.start, row.end, spot) for row, spot in zip(rows, spots[1:], strict=True)
        ]
        if len(moved) <= MOST_SWAPS and all(
            _stands(problem, wish, rooms, stay, stays)
            for stay in stays
            if stay[0] == "new" or stay[0] in {row.ref for row in moved}
        ):
            return True
    return False


def _stands(problem, wish, rooms, stay, stays) -> bool:
    ref, start, end, spot = stay
    room = rooms[spot]
    if not all(
        any(w.start <= minute < w.end for w in room.windows)
        and not any(
            out.room == spot and out.window.start <= minute < out.window.end
            for out in problem.outages
        )
        for minute in range(start, end)
    ):
        return False
    return not any(
        there == spot
        and other != ref
        and not (ref == "new" and other in wish.ignore_refs)
        and not (other == "new" and ref in wish.ignore_refs)
        and max(a - end, start - b) < room.turnover
        for other, a, b, there in stays
    )


@st.composite
def crowded_offices(draw):
    """Three rooms in a short morning, most of the time taken, with some who could go elsewhere."""
    five = lambda low, high: draw(st.integers(low, high)) * 5  # noqa: E731
    start = at("2027-03-02 09:00")
    ids = ("c1", "c2", "c3")
    rooms = tuple(
        room(
            window("2027-03-02 08:00", "2027-03-02 13:00")
            if draw(st.booleans())
            else Window(start + five(0, 6), start + five(20, 36)),
            id=name,
            turnover=five(0, 2),
            features=COUCH if name == "c1" else draw(st.sampled_from((COUCH, frozenset()))),
        )
        for name in ids
    )
    rows = []
    for n in range(draw(st.integers(2, 5))):
        where = draw(st.sampled_from(ids))
        begins = start + five(0, 26)
        rows.append(
            Busy(
                ref=f"b{n}",
                kind=BusyKind.CONFIRMED,
                start=begins,
                end=begins + five(4, 12),
                room=where,
                location=CENTRO,
                other_rooms=tuple(
                    other for other in ids if other != where and draw(st.integers(0, 3))
                ),
            )
        )
    outages = [Outage(window=Window(start + 60, start + 75), room=draw(st.sampled_from(ids)))]
    own = draw(st.sets(st.just("b0"))) | draw(st.sets(st.just("b1")))
    return world(
        services=(session(duration=30, room_features=COUCH),),
        rooms=rooms,
        busy=tuple(rows),
        outages=tuple(outages[: draw(st.integers(0, 1))]),
        policy=replace(world().policy, grid_minutes=5),
        requests=(replace(IN_PERSON, ignore_refs=frozenset(own)),),
    )


@settings(max_examples=300, deadline=None)
@given(crowded_offices())
def test_a_room_is_found_exactly_when_some_assignment_exists(problem):
    wish = problem.requests[0]
    starts = range(MORNING.start, MORNING.end - 30, 15)
    expected = [start for start in starts if assignable(problem, wish, start)]
    assert [start for start in starts if found(problem, start) is not None] == expected
    listed = free_starts(problem, wish, HERE, MORNING)
    assert [start for start in listed if start in starts] == expected


@settings(max_examples=150, deadline=None)
@given(crowded_offices())
def test_pieces_of_time_are_cut_where_the_answer_changes(problem):
    """Off the grid, too: minute by minute the list says what a single look says."""
    wish = problem.requests[0]
    every = frozenset({Rule.GRID})
    listed = free_starts(problem, wish, HERE, MORNING, ignore=every)
    assert listed == [
        start
        for start in range(MORNING.start, MORNING.end - 29)
        if found(problem, start) is not None
    ]
