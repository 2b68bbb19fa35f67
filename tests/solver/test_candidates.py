"""Each rule in the smallest world that it allows and the smallest that it forbids; clocks."""

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solver.candidates import (
    RULES,
    Place,
    Rule,
    broken_rules,
    free_rooms,
    free_starts,
    places,
)
from solver.problem import (
    Block,
    Busy,
    BusyKind,
    Location,
    Modality,
    Outage,
    Problem,
    Request,
    Window,
)
from tests.solver.worlds import (
    CENTRO,
    HERE,
    MORNING,
    NORTE,
    TUESDAY,
    VIDEO,
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

TEN = at("2027-03-02 10:00")


def free(problem: Problem, place: Place = HERE, span: Window = TUESDAY, **changes) -> list[str]:
    zone = next((each.zone for each in problem.locations if each.id == place.location), None)
    wish = replace(problem.requests[0], **changes)
    return wall(free_starts(problem, wish, place, span), zone or problem.zone)


def broken(problem: Problem, start: int = TEN, place: Place = HERE) -> tuple[Rule, ...]:
    return broken_rules(problem, problem.requests[0], place, start)


def test_a_free_morning_is_offered_up_to_the_last_session_that_fits():
    assert free(world()) == ["09:00", "10:00", "11:00"]


ALLOWED_AND_FORBIDDEN = {
    Rule.QUALIFIED: (
        world(),
        world(clinicians=(ana(services=frozenset()),)),
    ),
    Rule.HOURS: (
        world(clinicians=(ana(window("2027-03-02 10:00", "2027-03-02 11:00")),)),
        world(clinicians=(ana(window("2027-03-02 10:00", "2027-03-02 10:59")),)),
    ),
    Rule.ABSENCE: (
        world(clinicians=(ana(absences=(window("2027-03-02 11:00", "2027-03-02 12:00"),)),)),
        world(clinicians=(ana(absences=(window("2027-03-02 10:59", "2027-03-02 12:00"),)),)),
    ),
    Rule.NOTICE: (
        world(clinicians=(ana(min_notice=26 * 60),)),
        world(clinicians=(ana(min_notice=26 * 60 + 1),)),
    ),
    Rule.HORIZON: (
        world(clinicians=(ana(horizon_days=1),)),
        world(clinicians=(ana(horizon_days=0),)),
    ),
    Rule.AGENDA_CONFIRMED: (
        world(busy=(busy("2027-03-02 09:00", "2027-03-02 10:00"),)),
        world(busy=(busy("2027-03-02 09:00", "2027-03-02 10:01"),)),
    ),
    Rule.AGENDA_HELD: (
        world(busy=(busy("2027-03-02 11:00", "2027-03-02 12:00", BusyKind.HELD),)),
        world(busy=(busy("2027-03-02 10:59", "2027-03-02 12:00", BusyKind.PENDING),)),
    ),
    Rule.MAX_DAY: (
        world(
            clinicians=(ana(max_sessions_day=2),),
            busy=(busy("2027-03-02 16:00", "2027-03-02 17:00"),),
        ),
        world(
            clinicians=(ana(max_sessions_day=1),),
            busy=(busy("2027-03-02 16:00", "2027-03-02 17:00"),),
        ),
    ),
    Rule.ROOM: (
        world(busy=(busy("2027-03-02 11:00", "2027-03-02 12:00", clinician=None, room="c1"),)),
        world(busy=(busy("2027-03-02 10:59", "2027-03-02 12:00", clinician=None, room="c1"),)),
    ),
    Rule.CLIENT: (
        world(
            busy=(busy("2027-03-02 11:00", "2027-03-02 12:00", clinician=None, clients=("p1",)),)
        ),
        world(
            busy=(busy("2027-03-02 10:59", "2027-03-02 12:00", clinician=None, clients=("p1",)),)
        ),
    ),
    Rule.REFUSED: (
        world(requests=(request(asked_start=TEN + 60),)),
        world(requests=(request(asked_start=TEN),)),
    ),
    Rule.DATES: (
        world(requests=(request(earliest=TEN, latest=TEN + 1),)),
        world(requests=(request(earliest=TEN + 1),)),
    ),
    Rule.TIME_OF_DAY: (
        world(requests=(request(minutes_of_day=(600, 601)),)),
        world(requests=(request(minutes_of_day=(601, 720)),)),
    ),
    Rule.GRID: (
        with_policy(world(), grid_minutes=20),
        with_policy(world(zone="Asia/Kathmandu"), grid_minutes=20),
    ),
}


@pytest.mark.parametrize("rule", Rule)
def test_each_rule_allows_one_world_and_forbids_its_neighbour(rule):
    allowed, forbidden = ALLOWED_AND_FORBIDDEN[rule]
    minute = Window(TEN, TEN + 1)
    assert broken(allowed) == ()
    assert free_starts(allowed, allowed.requests[0], HERE, minute) == [TEN]
    assert broken(forbidden) == (rule,)
    assert free_starts(forbidden, forbidden.requests[0], HERE, minute) == []
    relaxed = free_starts(forbidden, forbidden.requests[0], HERE, minute, ignore=frozenset({rule}))
    assert relaxed == [TEN]


def test_the_table_of_rules_is_complete():
    assert tuple(RULES) == tuple(Rule)


@pytest.mark.parametrize(
    "changes",
    [
        {"allowed_modalities": frozenset({Modality.TELEHEALTH})},
        {"allowed_clinicians": ("luis",)},
        {"allowed_locations": frozenset({NORTE})},
        {"seats": 3},
        {"earliest": TEN + 1},
        {"latest": TEN},
        {"refused_starts": frozenset({TEN})},
    ],
)
def test_what_the_request_does_not_allow_is_not_free(changes):
    assert "10:00" in free(world())
    assert "10:00" not in free(world(), **changes)


def test_the_asked_start_may_be_had_again_where_only_the_place_went():
    asked = request(asked_start=TEN)
    assert "10:00" not in free(world(requests=(asked,)))
    again = replace(asked, may_repeat_asked=True)
    assert "10:00" in free(world(requests=(again,)))
    refused = replace(again, refused_starts=frozenset({TEN}))
    assert "10:00" not in free(world(requests=(refused,)))


@pytest.mark.parametrize(
    "outage",
    [{"clinician": "ana"}, {"room": "c1"}, {"location": CENTRO}],
)
def test_an_outage_ends_where_it_ends(outage):
    gone = Outage(window=window("2027-03-02 08:00", "2027-03-02 10:00"), **outage)
    assert free(world(outages=(gone,))) == ["10:00", "11:00"]


def test_buffers_add_up_between_neighbours():
    service = session(duration=50, buffer_before=10, buffer_after=10)
    problem = with_policy(world(services=(service,)), grid_minutes=10)
    taken = busy("2027-03-02 10:00", "2027-03-02 10:50", buffer_before=10, buffer_after=10)
    # 10 after hers and 10 before mine: nothing from 08:40 until 11:10.
    assert free(replace(problem, busy=(taken,))) == ["11:10"]
    assert free(replace(problem, busy=(replace(taken, buffer_after=0),))) == ["11:00", "11:10"]


def test_buffers_may_leave_working_hours():
    problem = world(services=(session(buffer_before=30, buffer_after=30),))
    assert free(problem) == ["09:00", "10:00", "11:00"]


def test_the_way_from_another_office_counts_in_its_own_direction():
    travel = {(NORTE, CENTRO): 30, (CENTRO, NORTE): 60}
    early = busy("2027-03-02 08:00", "2027-03-02 09:00", location=NORTE)
    late = busy("2027-03-02 11:30", "2027-03-02 12:30", location=NORTE)
    problem = with_policy(world(travel=travel), grid_minutes=30)
    assert free(replace(problem, busy=(early,)))[0] == "09:30"
    assert free(replace(problem, busy=(late,)))[-1] == "09:30"


@pytest.mark.parametrize(
    "changes", [{"location": None}, {"location": CENTRO}, {"kind": BusyKind.EXTERNAL}]
)
def test_nobody_travels_to_what_is_here_unknown_or_not_a_session(changes):
    early = replace(busy("2027-03-02 08:00", "2027-03-02 09:00", location=NORTE), **changes)
    assert (
        free(world(travel={(NORTE, CENTRO): 30, (CENTRO, NORTE): 30}, busy=(early,)))[0] == "09:00"
    )


def test_the_own_chain_never_conflicts():
    taken = busy("2027-03-02 10:00", "2027-03-02 11:00", ref="old", clients=("p1",), room="c1")
    problem = world(busy=(taken,), clinicians=(ana(max_sessions_day=1),))
    assert free(problem) == []
    assert free(problem, ignore_refs=frozenset({"old"})) == ["09:00", "10:00", "11:00"]


def test_one_room_after_another_fills_the_morning():
    early = room(window("2027-03-02 09:00", "2027-03-02 10:00"), id="c1")
    late = room(window("2027-03-02 11:00", "2027-03-02 12:00"), id="c2")
    assert free(world(rooms=(early, late))) == ["09:00", "11:00"]


def test_turnover_counts_before_and_after():
    taken = busy("2027-03-02 10:00", "2027-03-02 11:00", clinician=None, room="c1")
    assert free(world(busy=(taken,))) == ["09:00", "11:00"]
    assert free(world(busy=(taken,), rooms=(room(turnover=1),))) == []


def test_rooms_come_with_the_fewest_surplus_features_first():
    rooms = (
        room(id="both", features=frozenset({"couch", "toys"})),
        room(id="toys", features=frozenset({"toys"})),
        room(id="small", seats=0),
        room(id="elsewhere", location=NORTE),
        room(id="plain"),
        room(id="also plain"),
    )
    problem = world(rooms=rooms)
    wish = problem.requests[0]
    assert free_rooms(problem, wish, HERE, TEN) == ("plain", "also plain", "toys", "both")
    asked = replace(wish, asked_room="toys")
    assert free_rooms(problem, asked, HERE, TEN)[0] == "toys"


def test_video_from_an_office_needs_no_room_but_the_way():
    taken = busy("2027-03-02 08:00", "2027-03-02 09:00", location=NORTE)
    problem = world(rooms=(), busy=(taken,), travel={(NORTE, CENTRO): 60})
    office = Place("ana", CENTRO, Modality.TELEHEALTH)
    assert free(problem, office) == ["10:00", "11:00"]
    assert free_rooms(problem, problem.requests[0], office, TEN) == ()


def test_blocks_that_touch_are_one_and_modalities_are_kept_apart():
    first = Block(window("2027-03-02 09:00", "2027-03-02 10:30"), CENTRO)
    second = Block(
        window("2027-03-02 10:30", "2027-03-02 12:00"), CENTRO, frozenset({Modality.TELEHEALTH})
    )
    problem = world(clinicians=(ana(blocks=(first, second)),))
    assert free(problem) == ["09:00"]
    assert free(problem, Place("ana", CENTRO, Modality.TELEHEALTH)) == ["09:00", "10:00", "11:00"]


def test_places_keep_the_preferred_clinician_then_the_order_of_locations():
    blocks = tuple(Block(MORNING, location) for location in (None, NORTE, CENTRO))
    problem = world(clinicians=(ana(blocks=blocks), ana(id="luis")))
    wish = replace(problem.requests[0], allowed_clinicians=("luis", "ana"))
    assert [
        (each.clinician, each.location, each.modality.value) for each in places(problem, wish)
    ] == [
        ("luis", CENTRO, "in_person"),
        ("luis", CENTRO, "telehealth"),
        ("ana", CENTRO, "in_person"),
        ("ana", CENTRO, "telehealth"),
        ("ana", NORTE, "in_person"),
        ("ana", NORTE, "telehealth"),
        ("ana", None, "telehealth"),
    ]
    here = replace(wish, allowed_locations=frozenset(), allowed_clinicians=None)
    assert {each.modality for each in places(problem, here)} == {Modality.TELEHEALTH}


def test_a_start_in_the_past_or_at_night_has_its_reasons():
    past = at("2027-02-27 03:10")
    assert broken(world(), past) == (Rule.HOURS, Rule.NOTICE, Rule.ROOM, Rule.GRID)


# Clocks.


def test_in_madrid_the_hour_that_spring_skips_is_not_offered():
    night = window("2027-03-28 00:00", "2027-03-28 05:00")
    assert free(video_world(night), VIDEO, night)[::4] == ["00:00", "01:00", "03:00", "04:00"]
    assert len(free(video_world(night), VIDEO, night)) == 3 * 4 + 1


def test_in_madrid_the_hour_that_autumn_repeats_is_offered_once():
    night = window("2027-10-31 00:00", "2027-10-31 05:00")
    problem = video_world(night, grid_minutes=60)
    assert free(problem, VIDEO, night) == ["00:00", "01:00", "02:00", "03:00", "04:00"]
    starts = free_starts(problem, problem.requests[0], VIDEO, night)
    assert starts[3] - starts[2] == 120
    again = at("2027-10-31 02:00", fold=1)
    assert broken(problem, again, VIDEO) == (Rule.GRID,)


def test_in_santiago_a_day_may_begin_at_one():
    night = window("2027-09-04 22:00", "2027-09-05 04:00", "America/Santiago")
    problem = video_world(night, zone="America/Santiago", grid_minutes=30)
    assert free(problem, VIDEO, night)[:6] == ["22:00", "22:30", "23:00", "23:30", "01:00", "01:30"]


def test_in_tijuana_the_grid_follows_the_wall_on_both_sides_of_the_change():
    week = window("2027-03-13 12:00", "2027-03-15 12:00", "America/Tijuana")
    problem = video_world(week, zone="America/Tijuana", grid_minutes=60)
    times = free(problem, VIDEO, week)
    assert set(times) == {f"{hour:02}:00" for hour in range(24)}
    assert times.count("02:00") == 1  # The other one does not exist.


def test_a_zone_off_the_hour_has_its_own_grid():
    day = window("2027-03-02 09:00", "2027-03-02 12:00", "Asia/Kathmandu")
    problem = video_world(day, zone="Asia/Kathmandu", grid_minutes=60)
    assert free(problem, VIDEO, day) == ["09:00", "10:00", "11:00"]


def test_each_office_keeps_its_own_clock():
    canarias = Location(CENTRO, "Atlantic/Canary")
    problem = with_policy(world(locations=(canarias, Location(NORTE))), grid_minutes=60)
    assert free(problem) == ["08:00", "09:00", "10:00"]
    narrow = replace(problem.requests[0], minutes_of_day=(540, 541))
    assert free_starts(problem, narrow, HERE, TUESDAY) == [at("2027-03-02 10:00")]


def test_a_session_may_cross_midnight_and_counts_where_it_starts():
    night = window("2027-03-02 22:00", "2027-03-03 02:00")
    late = Busy(
        ref="b", kind=BusyKind.CONFIRMED, start=night.start, end=night.start + 60, clinician="ana"
    )
    problem = replace(
        video_world(night, grid_minutes=30),
        busy=(late,),
        clinicians=(ana(blocks=(Block(night),), max_sessions_day=1),),
    )
    assert free(problem, VIDEO, night) == ["00:00", "00:30", "01:00"]
    roomy = replace(problem, clinicians=(ana(blocks=(Block(night),), max_sessions_day=2),))
    assert free(roomy, VIDEO, night)[:2] == ["23:00", "23:30"]


def test_the_twenty_ninth_of_february_is_a_day():
    day = window("2028-02-29 09:00", "2028-02-29 11:00")
    problem = video_world(day, now=at("2028-02-28 08:00"), grid_minutes=60)
    soon = replace(problem, clinicians=(replace(problem.clinicians[0], horizon_days=1),))
    assert free(soon, VIDEO, day) == ["09:00", "10:00"]
    assert not free(with_policy(soon, now=at("2028-02-27 08:00")), VIDEO, day)


def test_the_horizon_ends_at_local_midnight():
    night = window("2027-03-02 20:00", "2027-03-03 04:00")
    problem = video_world(night, now=at("2027-03-01 23:59"), grid_minutes=60)
    soon = replace(problem, clinicians=(replace(problem.clinicians[0], horizon_days=1),))
    assert free(soon, VIDEO, night) == ["20:00", "21:00", "22:00", "23:00"]


# The oracle: minute by minute, with the rules spelled out once more.


def oracle(problem: Problem, wish: Request, place: Place, start: int) -> bool:
    service = next(each for each in problem.services if each.id == wish.service)
    clinician = next(each for each in problem.clinicians if each.id == place.clinician)
    zones = {each.id: each.zone or problem.zone for each in problem.locations}

    def local(instant: int, location: str | None) -> datetime:
        zone = ZoneInfo(zones.get(location or "", problem.zone))
        return datetime.fromtimestamp(instant * 60, UTC).astimezone(zone)

    here = local(start, place.location)
    in_person = place.modality is Modality.IN_PERSON
    session = set(range(start, start + service.duration))
    rows = [each for each in problem.busy if each.ref not in wish.ignore_refs]

    def meets(window: Window | Busy) -> bool:
        return any(window.start <= minute < window.end for minute in session)

    def within(windows: list[Window]) -> bool:
        return all(any(w.start <= minute < w.end for w in windows) for minute in session)

    if clinician.id not in (wish.allowed_clinicians or [each.id for each in problem.clinicians]):
        return False
    if in_person and (
        place.location is None or place.location not in (wish.allowed_locations or zones)
    ):
        return False
    if not within(
        [
            block.window
            for block in clinician.blocks
            if block.location == place.location and place.modality in block.modalities
        ]
    ):
        return False
    gone = [*clinician.absences]
    gone += [each.window for each in problem.outages if each.clinician == clinician.id]
    gone += [
        each.window for each in problem.outages if each.location and each.location == place.location
    ]
    if any(meets(each) for each in gone) or start < problem.policy.now + clinician.min_notice:
        return False
    today = local(problem.policy.now, place.location).date()
    if (here.date() - today).days > clinician.horizon_days:
        return False
    sessions = 0
    for row in rows:
        if row.clinician == clinician.id:
            come = go = 0
            if row.kind is not BusyKind.EXTERNAL and row.location and place.location:
                come = problem.travel.get((row.location, place.location), 0)
                go = problem.travel.get((place.location, row.location), 0)
            if (
                row.start - row.buffer_before - go < start + service.duration + service.buffer_after
                and start - service.buffer_before < row.end + row.buffer_after + come
            ):
                return False
            if row.kind is not BusyKind.EXTERNAL:
                sessions += local(row.start, row.location).date() == here.date()
        if set(row.clients) & set(wish.clients) and meets(row):
            return False
    if clinician.max_sessions_day is not None and sessions >= clinician.max_sessions_day:
        return False
    if in_person and not any(
        room.location == place.location
        and service.room_features <= room.features
        and wish.seats <= room.seats
        and within([*room.windows])
        and not any(each.room == room.id and meets(each.window) for each in problem.outages)
        and all(
            row.end + room.turnover <= start
            or start + service.duration + room.turnover <= row.start
            for row in rows
            if row.room == room.id
        )
        for room in problem.rooms
    ):
        return False
    minute = here.hour * 60 + here.minute
    first, last = wish.minutes_of_day or (0, 1440)
    return (
        (wish.may_repeat_asked or start != wish.asked_start)
        and start not in wish.refused_starts
        and start >= (wish.earliest or 0)
        and start < (wish.latest or 10**9)
        and first <= minute < last
        and minute % problem.policy.grid_minutes == 0
        and here.fold == 0
    )


@settings(max_examples=40, deadline=None)
@given(random_worlds())
def test_free_starts_are_those_that_a_minute_by_minute_oracle_finds(problem):
    problem = pinned(problem)
    wish = problem.requests[0]
    base = min(block.window.start for each in problem.clinicians for block in each.blocks)
    span = Window(base - 30, base + 2000)
    for place in places(problem, wish):
        starts = free_starts(problem, wish, place, span)
        expected = [
            start
            for start in range(span.start, span.end)
            if start % 5 == 0 and oracle(problem, wish, place, start)
        ]
        assert starts == expected
        free_ones = set(starts)
        for start in range(span.start, span.end, 13):
            assert (broken_rules(problem, wish, place, start) == ()) is (start in free_ones)


@settings(max_examples=40, deadline=None)
@given(random_worlds(), st.data())
def test_a_rule_less_is_never_a_start_less(problem, data):
    wish = problem.requests[0]
    span = Window(problem.policy.now, problem.policy.now + 5 * 1440)
    rules = data.draw(st.sets(st.sampled_from(Rule)))
    for place in places(problem, wish):
        all_of_them = free_starts(problem, wish, place, span)
        relaxed = free_starts(problem, wish, place, span, ignore=frozenset(rules))
        assert set(all_of_them) <= set(relaxed)
        assert all(
            set(broken_rules(problem, wish, place, start)) <= rules for start in relaxed[::37]
        )


@settings(max_examples=40, deadline=None)
@given(random_worlds())
def test_more_to_do_is_never_more_free_time(problem):
    wish = problem.requests[0]
    lighter = replace(problem, busy=problem.busy[1:])
    span = Window(problem.policy.now, problem.policy.now + 5 * 1440)
    for place in places(problem, wish):
        assert set(free_starts(problem, wish, place, span)) <= set(
            free_starts(lighter, wish, place, span)
        )
