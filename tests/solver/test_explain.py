"""What would have to give, in smallest worlds and against the checker, minute by minute."""

from collections import defaultdict
from dataclasses import replace
from itertools import combinations, product
from typing import Any

import pytest
from hypothesis import given, settings

from solver import checker, explain
from solver.checker import Case
from solver.problem import (
    Block,
    BusyKind,
    InvalidProblem,
    Modality,
    Outage,
    Problem,
    Request,
    validate,
)
from solver.proposal import Count, Explanation, Group, Proposal, Relaxation
from tests.solver.worlds import (
    CENTRO,
    MADRID,
    MORNING,
    NORTE,
    TUESDAY,
    ana,
    at,
    busy,
    pinned,
    random_worlds,
    request,
    room,
    session,
    video_world,
    window,
    world,
)

TEN = at("2027-03-02 10:00")
IN_PERSON = frozenset({Modality.IN_PERSON})
NINE_TO_TEN = window("2027-03-02 09:00", "2027-03-02 10:00")


def explained(problem: Problem) -> Explanation:
    (explanation,) = explain(problem)
    return explanation


def only_in_person(**changes) -> Problem:
    """The small world, without video."""
    return world(**{"services": (session(modalities=IN_PERSON),)} | changes)


def opened(problem: Problem) -> dict[tuple[Group, ...], int]:
    return {each.groups: each.starts for each in explained(problem).relaxations}


def test_where_everything_is_free_nothing_needs_to_give():
    assert explained(only_in_person()) == Explanation("r1", universe=3, starts=3, relaxations=())


ALL_DAY = busy("2027-03-02 08:00", "2027-03-02 13:00")
FULL = {
    Group.HOURS: {
        "clinicians": (
            ana(window("2027-03-02 09:00", "2027-03-02 09:30")),
            ana(id="luis"),
        ),
        "requests": (request(allowed_clinicians=("ana",)),),
    },
    Group.ABSENCE: {"outages": (Outage(window=MORNING, location=CENTRO),)},
    Group.NOTICE: {"clinicians": (ana(min_notice=3 * 1440),)},
    Group.HORIZON: {"clinicians": (ana(horizon_days=0),)},
    Group.AGENDA: {"busy": (ALL_DAY,)},
    Group.HELD: {"busy": (replace(ALL_DAY, kind=BusyKind.HELD),)},
    Group.MAX_DAY: {"clinicians": (ana(max_sessions_day=0),)},
    Group.ROOM: {"busy": (replace(ALL_DAY, clinician=None, room="c1"),)},
    Group.CLIENT: {"busy": (replace(ALL_DAY, clinician=None, clients=("p1",)),)},
    Group.REFUSED: {
        "requests": (request(asked_start=TEN, refused_starts=frozenset({TEN - 60, TEN + 60})),)
    },
    Group.DATES: {"requests": (request(earliest=TUESDAY.end),)},
    Group.TIME_OF_DAY: {"requests": (request(minutes_of_day=(13 * 60, 14 * 60)),)},
    Group.CLINICIAN: {
        "clinicians": (ana(), ana(id="luis", blocks=())),
        "requests": (request(allowed_clinicians=("luis",)),),
    },
    Group.LOCATION: {"requests": (request(allowed_locations=frozenset({NORTE})),)},
    Group.MODALITY: {
        "services": (session(),),
        "clinicians": (ana(blocks=(Block(MORNING, CENTRO, IN_PERSON),)),),
        "requests": (request(allowed_modalities=frozenset({Modality.TELEHEALTH})),),
    },
}


@pytest.mark.parametrize("group", Group)
def test_each_group_opens_what_only_it_closes(group):
    problem = only_in_person(**FULL[group])
    three = Count(CENTRO, Modality.IN_PERSON, "morning", 3)
    explanation = explained(problem)
    assert explanation.starts == 0
    assert Relaxation((group,), 3, (three,)) in explanation.relaxations


def test_what_nothing_closes_is_not_told():
    problem = only_in_person(**FULL[Group.AGENDA])
    assert opened(problem) == {(Group.AGENDA,): 3}


def test_a_pair_is_told_only_where_neither_half_opens_anything():
    both = {**FULL[Group.ROOM], **FULL[Group.DATES]}
    assert opened(only_in_person(**both)) == {(Group.ROOM, Group.DATES): 3}
    early = busy("2027-03-02 09:00", "2027-03-02 10:00", clinician=None, room="c1")
    assert opened(only_in_person(**both | {"busy": (early,)})) == {(Group.DATES,): 2}


def test_three_that_would_have_to_give_together_are_not_told():
    three = {**FULL[Group.ROOM], **FULL[Group.DATES], **FULL[Group.NOTICE]}
    assert explained(only_in_person(**three)).relaxations == ()


def test_counts_are_told_for_each_place_way_and_part_of_the_day():
    norte = room(window("2027-03-02 09:00", "2027-03-02 15:00"), id="n1", location=NORTE)
    day = window("2027-03-02 10:00", "2027-03-02 14:00")
    problem = world(
        busy=(replace(ALL_DAY, clinician=None, room="c1"),),
        rooms=(room(), norte, replace(norte, id="n2")),
        clinicians=(ana(), ana(id="luis", blocks=(Block(day, NORTE),))),
        requests=(request(allowed_locations=frozenset({CENTRO}), allowed_modalities=IN_PERSON),),
    )
    found = {each.groups: each for each in explained(problem).relaxations}
    assert found[Group.LOCATION,] == Relaxation(
        (Group.LOCATION,),
        4,
        (
            Count(NORTE, Modality.IN_PERSON, "morning", 2),
            Count(NORTE, Modality.IN_PERSON, "afternoon", 2),
        ),
    )
    assert found[Group.MODALITY,].starts == 5  # 10:00 and 11:00 are at both.
    assert [(each.location, each.starts) for each in found[Group.MODALITY,].counts] == [
        (CENTRO, 3),
        (NORTE, 2),
        (NORTE, 2),
    ]


def test_what_is_free_anyway_is_counted_with_what_opens():
    problem = only_in_person(busy=(busy("2027-03-02 09:00", "2027-03-02 11:00"),))
    assert explained(problem).starts == 1
    assert opened(problem) == {(Group.AGENDA,): 3}


def test_what_no_practice_could_do_stays_closed():
    remote = ana(blocks=(Block(MORNING, None, IN_PERSON),))
    assert explained(only_in_person(clinicians=(remote,))) == Explanation("r1", 0, 0, ())
    unable = only_in_person(clinicians=(ana(services=frozenset()),))
    assert explained(unable) == Explanation("r1", 0, 0, ())


def test_a_session_that_no_room_could_hold_is_no_problem_to_explain():
    with pytest.raises(InvalidProblem, match=r"E05 \$\.requests\[0\]\.service"):
        explain(only_in_person(rooms=(room(seats=0),)))


def test_each_request_is_explained_by_itself():
    problem = only_in_person(requests=(request(), request(id="r2", minutes_of_day=(0, 60))))
    assert [(each.request, each.starts) for each in explain(problem)] == [("r1", 3), ("r2", 0)]


@pytest.mark.parametrize(
    ("zone", "night", "starts"),
    [
        (MADRID, ("2027-03-28 00:00", "2027-03-28 05:00"), 12),
        (MADRID, ("2027-10-31 00:00", "2027-10-31 05:00"), 16),
        ("America/Tijuana", ("2027-03-14 00:00", "2027-03-14 05:00"), 12),
        ("America/Tijuana", ("2027-11-07 00:00", "2027-11-07 05:00"), 16),
        ("America/Santiago", ("2027-09-04 22:00", "2027-09-05 04:00"), 16),
        ("America/Santiago", ("2027-04-03 22:00", "2027-04-04 04:00"), 20),
        (MADRID, ("2028-02-28 23:00", "2028-03-01 01:00"), 100),
    ],
)
def test_a_day_on_which_the_clocks_change_has_the_starts_it_has(zone, night, starts):
    problem = video_world(window(*night, zone), zone=zone)
    closed = replace(problem, requests=(request(earliest=problem.policy.now + 3 * 1440),))
    assert explained(problem).starts == explained(problem).universe
    assert opened(closed) == {(Group.DATES,): explained(problem).universe}
    assert explained(problem).universe == starts + 1


# The oracle: each start asked of the checker, rule by rule.

JUDGES = {
    Group.HOURS: checker.hours,
    Group.ABSENCE: checker.absence,
    Group.NOTICE: checker.notice,
    Group.HORIZON: checker.horizon,
    Group.AGENDA: checker.agenda,
    Group.HELD: checker.agenda,
    Group.MAX_DAY: checker.daily_maximum,
    Group.CLIENT: checker.client,
    Group.REFUSED: checker.refused,
    Group.DATES: checker.dates,
    Group.TIME_OF_DAY: checker.time_of_day,
}
OF_KIND = {
    Group.AGENDA: (BusyKind.CONFIRMED, BusyKind.EXTERNAL),
    Group.HELD: (BusyKind.PENDING, BusyKind.HELD),
}
NARROWING: dict[Group, dict[str, Any]] = {
    Group.CLINICIAN: {"allowed_clinicians": None},
    Group.LOCATION: {"allowed_locations": None},
    Group.MODALITY: {"allowed_modalities": frozenset(Modality)},
}


def session_at(start: int, end: int, clinician: str, location: str | None, modality: Modality):
    return Proposal(
        request="r0",
        rank=1,
        start=start,
        end=end,
        clinician=clinician,
        location=location,
        room=None,
        modality=modality,
        cost=0,
        breakdown=(),
        reasons=(),
    )


def broken_groups(problem: Problem, wish: Request, proposal: Proposal) -> set[Group]:
    def faults(judge, problem=problem, wish=wish, proposal=proposal) -> bool:
        return any(judge(Case(problem, wish, proposal, [proposal])))

    found = set()
    for group, judge in JUDGES.items():
        kinds = OF_KIND.get(group, tuple(BusyKind))
        rows = tuple(each for each in problem.busy if each.kind in kinds)
        if faults(judge, problem=replace(problem, busy=rows)):
            found.add(group)
    rooms = [replace(proposal, room=each.id) for each in problem.rooms]
    if proposal.modality is Modality.IN_PERSON and all(
        faults(checker.room, proposal=each) for each in rooms
    ):
        found.add(Group.ROOM)
    anything = {name: value for each in NARROWING.values() for name, value in each.items()}
    for group, wider in NARROWING.items():
        kept = {name: getattr(wish, name) for name in wider}
        if faults(checker.qualified, wish=replace(wish, **anything | kept)):
            found.add(group)
    return found


def oracle(problem: Problem) -> Explanation:
    wish = problem.requests[0]
    service = next(each for each in problem.services if each.id == wish.service)
    staff = [each for each in problem.clinicians if wish.service in each.services]
    locations = [*(each.id for each in problem.locations), None]
    ways = [
        (location, modality)
        for location, modality in product(locations, Modality)
        if modality in service.modalities
        and (location is not None or modality is Modality.TELEHEALTH)
    ]
    against: dict[tuple[int, str | None, Modality], list[set[Group]]] = defaultdict(list)
    blocks = [block for each in staff for block in each.blocks]
    for location, modality in ways:
        open_ = {
            minute
            for block in blocks
            if block.location == location and modality in block.modalities
            for minute in range(block.window.start, block.window.end)
        }
        for start in sorted(each for each in open_ if each >= problem.policy.now):
            if not open_.issuperset(range(start, start + service.duration)):
                continue
            for clinician in staff:
                proposal = session_at(
                    start, start + service.duration, clinician.id, location, modality
                )
                if not any(checker.grid(Case(problem, wish, proposal, [proposal]))):
                    groups = broken_groups(problem, wish, proposal)
                    against[start, location, modality].append(groups)

    def satisfying(groups: set[Group]) -> set[tuple[int, str | None, Modality]]:
        return {at for at, all_of_them in against.items() if any(g <= groups for g in all_of_them)}

    def relaxation(groups: tuple[Group, ...]) -> Relaxation:
        found = satisfying(set(groups))
        counts = []
        for (location, modality), part in product(ways, problem.policy.dayparts):
            starts = sum(
                checker._part(problem, checker._local(problem, location, each[0])) == part.name
                for each in found
                if each[1:] == (location, modality)
            )
            if starts:
                counts.append(Count(location, modality, part.name, starts))
        return Relaxation(groups, len({start for start, _, _ in found}), tuple(counts))

    free = satisfying(set())
    opening = {g for g in Group if satisfying({g}) != free}
    singles = [(g,) for g in Group if g in opening]
    pairs = [
        pair
        for pair in combinations(Group, 2)
        if not opening & {*pair} and satisfying({*pair}) != free
    ]
    reach = {Group.NOTICE, Group.HORIZON}
    return Explanation(
        request=wish.id,
        universe=len({at[0] for at, each in against.items() if any(not reach & g for g in each)}),
        starts=len({start for start, _, _ in free}),
        relaxations=tuple(relaxation(groups) for groups in [*singles, *pairs]),
    )


@settings(max_examples=25, deadline=None)
@given(random_worlds())
def test_the_counts_are_those_of_a_minute_by_minute_oracle(problem):
    problem = validate(pinned(problem))
    assert explained(problem) == oracle(problem)
