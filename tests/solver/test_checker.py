"""The checker sees every way in which an answer can be wrong."""

from dataclasses import replace

import pytest

import solver
from solver.problem import Block, BusyKind, Modality, Outage
from solver.proposal import Unplaced
from tests.solver.worlds import (
    CENTRO,
    MORNING,
    NORTE,
    ana,
    at,
    busy,
    request,
    room,
    session,
    video_world,
    window,
    with_policy,
    world,
)


def rules(problem, result) -> set[str]:
    return {violation.rule for violation in solver.check(problem, result)}


WISH = request(asked_start=at("2027-03-02 09:00"), asked_room="c1")
PROBLEM = with_policy(
    world(requests=(WISH,), rooms=(room(turnover=5),), services=(session(duration=45),)), k=1
)
RESULT = solver.greedy(PROBLEM)  # One proposal, from 10:00 to 10:45.


def tampered(**changes):
    return replace(RESULT, proposals=(replace(RESULT.proposals[0], **changes),))


def test_a_good_answer_is_good():
    assert solver.check(PROBLEM, RESULT) == []


LATER = {"start": at("2027-03-02 10:15"), "end": at("2027-03-02 11:00")}
LIES = [
    ("request", {"request": "r9"}),
    ("length", {"end": RESULT.proposals[0].end + 1}),
    ("hours", {"start": at("2027-03-02 12:00"), "end": at("2027-03-02 12:45")}),
    ("refused", {"start": at("2027-03-02 09:00"), "end": at("2027-03-02 09:45")}),
    ("grid", LATER),
    ("notice", {"start": at("2027-02-02 10:00"), "end": at("2027-02-02 10:45")}),
    ("qualified", {"clinician": "nobody"}),
    ("room", {"room": None}),
    ("room", {"room": "c9"}),
    ("hours", {"location": NORTE}),
    ("room", {"location": NORTE}),
    ("room", {"modality": Modality.TELEHEALTH}),
    ("breakdown", {"cost": RESULT.proposals[0].cost + 1}),
    ("breakdown", {"breakdown": ()}),
    ("ranks", {"rank": 2}),
]


@pytest.mark.parametrize(("rule", "changes"), LIES)
def test_a_lie_about_a_proposal_is_seen(rule, changes):
    assert rule in rules(PROBLEM, tampered(**changes))


def near(**changes):
    """A row that leaves four minutes, where somebody needs five."""
    return busy("2027-03-02 10:49", "2027-03-02 11:40", **changes)


CHANGED_WORLDS = [
    ("qualified", {"clinicians": (ana(services=frozenset()),)}),
    ("qualified", {"services": (session(duration=45, modalities=frozenset()),)}),
    ("qualified", {"requests": (replace(WISH, allowed_modalities=frozenset()),)}),
    ("qualified", {"requests": (replace(WISH, allowed_clinicians=()),)}),
    ("qualified", {"requests": (replace(WISH, allowed_locations=frozenset()),)}),
    ("hours", {"clinicians": (ana(window("2027-03-02 10:00", "2027-03-02 10:44")),)}),
    ("hours", {"clinicians": (ana(blocks=(Block(MORNING, CENTRO, frozenset()),)),)}),
    ("absence", {"clinicians": (ana(absences=(window("2027-03-02 10:44", "2027-03-02 11:00"),)),)}),
    ("absence", {"outages": (Outage(window=MORNING, clinician="ana"),)}),
    ("absence", {"outages": (Outage(window=MORNING, location=CENTRO),)}),
    ("horizon", {"clinicians": (ana(horizon_days=0),)}),
    ("agenda", {"services": (session(duration=45, buffer_after=5),), "busy": (near(),)}),
    ("agenda", {"busy": (near(kind=BusyKind.HELD, buffer_before=5),)}),
    ("agenda", {"travel": {(NORTE, CENTRO): 5}, "busy": (near(location=NORTE),)}),
    ("daily_maximum", {"clinicians": (ana(max_sessions_day=1),), "busy": (near(),)}),
    ("room", {"busy": (near(clinician=None, room="c1"),)}),
    ("room", {"outages": (Outage(window=MORNING, room="c1"),)}),
    ("room", {"rooms": (room(window("2027-03-02 10:01", "2027-03-02 11:00")),)}),
    ("room", {"rooms": (room(seats=0),)}),
    ("room", {"services": (session(duration=45, room_features=frozenset({"couch"})),)}),
    ("client", {"busy": (busy("2027-03-02 10:44", "2027-03-02 11:00", clients=("p1",)),)}),
    ("dates", {"requests": (replace(WISH, earliest=at("2027-03-02 10:01")),)}),
    ("dates", {"requests": (replace(WISH, latest=at("2027-03-02 10:00")),)}),
    ("time_of_day", {"requests": (replace(WISH, minutes_of_day=(0, 600)),)}),
    ("refused", {"requests": (replace(WISH, refused_starts=frozenset([at("2027-03-02 10:00")])),)}),
]


@pytest.mark.parametrize(("rule", "changes"), CHANGED_WORLDS)
def test_a_world_that_changed_meanwhile_is_seen(rule, changes):
    assert rule in rules(replace(PROBLEM, **changes), RESULT)


def test_proposals_that_cannot_be_held_together_are_seen():
    both = replace(RESULT.proposals[0], rank=2, start=at("2027-03-02 10:30"))
    result = replace(RESULT, proposals=(RESULT.proposals[0], both))
    assert {"agenda", "room", "client", "ranks", "cells"} <= rules(PROBLEM, result)


def test_an_hour_that_the_clocks_repeat_counts_once():
    night = window("2027-10-31 00:00", "2027-10-31 05:00")
    problem = video_world(night, k=1, grid_minutes=60)
    good = solver.greedy(problem)
    again = at("2027-10-31 02:00", fold=1)
    late = replace(good.proposals[0], start=again, end=again + 60)
    assert "grid" in rules(problem, replace(good, proposals=(late,)))


def test_a_wrong_sum_is_seen():
    assert rules(PROBLEM, replace(RESULT, objective=RESULT.objective + 1, bound=0)) == {
        "objective",
        "bound",
    }


BOTH_ASK = replace(
    PROBLEM,
    policy=replace(PROBLEM.policy, k=2),
    requests=(WISH, replace(WISH, id="r2", clients=("p2",), weight=3)),
    clinicians=(ana(max_sessions_day=4),),
)
JOINT = solver.replan(BOTH_ASK)  # From 10:00 and from 11:00, and nothing more.
TOTALS = JOINT.totals
assert TOTALS is not None


def joint(n: int, **changes):
    proposals = list(JOINT.proposals)
    proposals[n] = replace(proposals[n], **changes)
    return replace(JOINT, proposals=tuple(proposals))


def test_a_good_joint_plan_is_good():
    assert len(JOINT.proposals) == 2
    assert JOINT.totals is not None
    assert solver.check(BOTH_ASK, JOINT) == []


def test_two_requests_in_one_place_are_seen():
    one = JOINT.proposals[0]
    same = joint(1, start=one.start, end=one.end)
    assert {"agenda", "room"} <= rules(BOTH_ASK, same)
    assert "client" not in rules(BOTH_ASK, same)
    clients = replace(
        BOTH_ASK, requests=(WISH, replace(BOTH_ASK.requests[1], clients=("p2", "p1")))
    )
    assert "client" in rules(clients, same)


def test_a_joint_plan_counts_all_proposals_of_a_day():
    once = replace(BOTH_ASK, clinicians=(ana(max_sessions_day=1),))
    assert rules(once, JOINT) == {"daily_maximum"}


def test_a_joint_plan_does_not_cost_what_it_holds_itself():
    """Each finds the day empty; one after the other, the second would not."""
    sequential = replace(JOINT, totals=None)
    assert rules(BOTH_ASK, sequential) >= {"breakdown"}


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("objective", {"objective": JOINT.objective + 1, "gap": 1}),
        ("bound", {"bound": JOINT.objective + 1, "gap": -1}),
        ("unplaced", {"unplaced": (Unplaced("r1"),)}),
        ("unplaced", {"proposals": JOINT.proposals[:1]}),
        ("totals", {"totals": replace(TOTALS, days_moved=1)}),
        ("totals", {"totals": replace(TOTALS, clinician_changes=1)}),
        ("totals", {"totals": replace(TOTALS, location_changes=1)}),
        ("totals", {"totals": replace(TOTALS, gap_minutes_before=1)}),
        ("totals", {"totals": replace(TOTALS, gap_minutes_after=0)}),
    ],
)
def test_a_lie_about_a_joint_plan_is_seen(rule, changes):
    assert rule in rules(BOTH_ASK, replace(JOINT, **changes))


def test_hours_that_never_end_are_judged_like_any():
    """Idle time is measured from edge to edge: centuries, minute by minute, would take minutes."""
    centuries = window("1971-01-01 00:00", "2199-01-01 00:00")
    problem = with_policy(world(clinicians=(ana(centuries),), rooms=(room(centuries),)), k=1)
    result = solver.greedy(problem)
    assert len(result.proposals) == 1
    assert solver.check(problem, result) == []
