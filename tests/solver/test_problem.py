"""Contradictory facts are refused with a code and a place, before anything is solved."""

from dataclasses import replace
from typing import Any

import pytest

import solver
from solver.problem import (
    Block,
    Busy,
    BusyKind,
    Daypart,
    InvalidProblem,
    Location,
    Modality,
    Outage,
    Weights,
    Window,
    validate,
)
from tests.solver.worlds import (
    CENTRO,
    MORNING,
    NORTE,
    TUESDAY,
    ana,
    busy,
    request,
    room,
    session,
    window,
    with_policy,
    world,
)

NAN: Any = float("nan")
BACKWARDS = Window(MORNING.end, MORNING.start)
IN_PERSON = frozenset({Modality.IN_PERSON})

TEN_TO_ELEVEN = "2027-03-02 10:00", "2027-03-02 11:00"


def wish(**changes):
    return world(requests=(request(**changes),))


def clinician(**changes):
    return world(clinicians=(ana(**changes),))


def taken(**changes):
    return world(busy=(busy(*TEN_TO_ELEVEN, **changes),))


INVALID = [
    ("E01", "$.zone", world(zone="Europe/Lisbonne")),
    ("E01", "$.zone", world(zone="../etc/passwd")),
    ("E01", "$.locations[0].zone", world(locations=(Location(CENTRO, "Mars"), Location(NORTE)))),
    ("E01", "$.requests[0].service", wish(service="yoga")),
    ("E01", "$.requests[0].asked_clinician", wish(asked_clinician="x")),
    ("E01", "$.requests[0].allowed_clinicians", wish(allowed_clinicians=("x",))),
    ("E01", "$.requests[0].asked_location", wish(asked_location="x")),
    ("E01", "$.requests[0].allowed_locations", wish(allowed_locations=frozenset("x"))),
    ("E01", "$.requests[0].asked_room", wish(asked_room="x")),
    ("E01", "$.requests[0].preferred_dayparts", wish(preferred_dayparts=frozenset("x"))),
    ("E01", "$.rooms[0].location", world(rooms=(room(location="x"),))),
    ("E01", "$.clinicians[0].services", clinician(services=frozenset("x"))),
    ("E01", "$.clinicians[0].blocks[0].location", clinician(blocks=(Block(MORNING, "x"),))),
    ("E01", "$.busy[0].clinician", taken(clinician="x")),
    ("E01", "$.busy[0].room", taken(room="x")),
    ("E01", "$.busy[0].location", taken(location="x")),
    ("E01", "$.outages[0].room", world(outages=(Outage(window=MORNING, room="x"),))),
    ("E01", "$.travel.centro.x", world(travel={(CENTRO, "x"): 1})),
    ("E02", "$.services[0].duration", world(services=(session(duration=0),))),
    ("E02", "$.services[0].buffer_after", world(services=(session(buffer_after=-1),))),
    ("E02", "$.busy[0].buffer_before", taken(buffer_before=-1)),
    ("E02", "$.rooms[0].turnover", world(rooms=(room(turnover=-1),))),
    ("E02", "$.travel.centro.norte", world(travel={(CENTRO, NORTE): -1})),
    ("E02", "$.travel.centro.centro", world(travel={(CENTRO, CENTRO): 1})),
    ("E03", "$.rooms[0].windows[1]", world(rooms=(room(TUESDAY, BACKWARDS),))),
    ("E03", "$.clinicians[0].blocks[0].window", clinician(blocks=(Block(BACKWARDS, CENTRO),))),
    ("E03", "$.clinicians[0].absences[0]", clinician(absences=(BACKWARDS,))),
    ("E03", "$.busy[0]", world(busy=(Busy(ref="b", kind=BusyKind.HELD, start=9, end=9),))),
    ("E03", "$.outages[0].window", world(outages=(Outage(window=BACKWARDS),))),
    ("E03", "$.requests[0].earliest", wish(earliest=9, latest=9)),
    ("E03", "$.requests[0].minutes_of_day", wish(minutes_of_day=(600, 540))),
    ("E03", "$.requests[0].asked_start", wish(asked_start=10**12)),
    (
        "E04",
        "$.clinicians[0].blocks[1]",
        clinician(blocks=(Block(TUESDAY, CENTRO), Block(MORNING, NORTE))),
    ),
    (
        "E04",
        "$.clinicians[0].blocks[1]",
        clinician(blocks=(Block(TUESDAY, CENTRO), Block(MORNING))),
    ),
    ("E05", "$.requests[0].service", world(rooms=(), services=(session(modalities=IN_PERSON),))),
    ("E05", "$.requests[0].service", wish(seats=9, allowed_modalities=IN_PERSON)),
    (
        "E05",
        "$.requests[0].service",
        world(services=(session(modalities=IN_PERSON, room_features=frozenset({"couch"})),)),
    ),
    ("E09", "$.policy.weights.day_moved", with_policy(world(), weights=Weights(day_moved=-1))),
    (
        "E09",
        "$.policy.weights.day_moved",
        with_policy(world(), weights=Weights(day_moved=NAN)),
    ),
    ("E09", "$.policy.k", with_policy(world(), k=0)),
    ("E09", "$.policy.grid_minutes", with_policy(world(), grid_minutes=7)),
    ("E09", "$.policy.seed", with_policy(world(), seed=-1)),
    ("E09", "$.policy.deterministic_time", with_policy(world(), deterministic_time=float("nan"))),
    ("E09", "$.policy.dayparts", with_policy(world(), dayparts=(Daypart("day", 0, 1439),))),
    ("E09", "$.policy.dayparts", with_policy(world(), dayparts=())),
    ("E09", "$.services[0].modalities", world(services=(session(modalities=frozenset()),))),
    ("E09", "$.rooms[0].seats", world(rooms=(room(seats=-1),))),
    ("E09", "$.clinicians[0].max_sessions_day", clinician(max_sessions_day=-1)),
    ("E09", "$.clinicians[0].max_sessions_day", clinician(max_sessions_day=10**30)),
    ("E09", "$.clinicians[0].min_notice", clinician(min_notice=-1)),
    ("E09", "$.clinicians[0].horizon_days", clinician(horizon_days=-1)),
    ("E09", "$.requests[0].clients", wish(clients=())),
    ("E09", "$.requests[0].clients", wish(clients=("p1", "p1"))),
    ("E09", "$.requests[0].seats", wish(seats=-1)),
    ("E09", "$.requests[0].weight", wish(weight=0)),
    ("E09", "$.requests[0].preferred_weekdays", wish(preferred_weekdays=frozenset({7}))),
    ("E09", "$.requests[0].allowed_modalities", wish(allowed_modalities=frozenset())),
    ("E11", "$.rooms[1].id", world(rooms=(room(), room()))),
    (
        "E11",
        "$.busy[1].ref",
        world(busy=(Busy(ref="b", kind=BusyKind.HELD, start=8, end=9, other_rooms=("c1",)),) * 2),
    ),
    ("E12", "$.requests", world(requests=tuple(request(id=str(n)) for n in range(501)))),
]


@pytest.mark.parametrize(("code", "path", "problem"), INVALID)
def test_a_contradiction_is_named_and_found(code, path, problem):
    with pytest.raises(InvalidProblem) as caught:
        solver.greedy(problem)
    assert (caught.value.code, caught.value.path) == (code, path)
    assert len(caught.value.message.split()) >= 2  # A sentence, not just the value.


def test_neighbouring_worlds_are_valid():
    validate(world())
    validate(world(requests=tuple(request(id=str(n)) for n in range(500))))
    validate(world(rooms=()))  # Video would do.
    afternoon = window("2027-03-02 12:00", "2027-03-02 13:00")
    validate(world(clinicians=(ana(blocks=(Block(MORNING, CENTRO), Block(afternoon, NORTE))),)))
    validate(world(clinicians=(ana(blocks=(Block(TUESDAY, CENTRO), Block(MORNING, CENTRO))),)))


def test_the_shortest_way_may_lead_through_a_third_place_and_back_the_same_way():
    places = tuple(Location(name) for name in "abcd")
    travel = {("a", "b"): 10, ("b", "c"): 10, ("a", "c"): 50, ("c", "a"): 5}
    closed = validate(world(locations=(*world().locations, *places), travel=travel)).travel
    assert closed["a", "c"] == 20
    assert closed["c", "a"] == 5
    assert closed["b", "a"] == 10
    assert ("a", "d") not in closed


def test_a_problem_is_a_value():
    problem = world()
    assert replace(problem) == problem
    solver.greedy(problem)
    assert replace(problem) == problem
    assert not replace(problem).derived
