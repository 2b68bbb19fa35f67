"""A drawn day shows what the solver saw: hours, sessions, the minutes around them, the slot."""

from datetime import UTC, date, datetime

import pytest

from booking import availability, gateway
from booking.availability import Slot, facts, plan
from booking.models import Location, Modality
from booking.operations import block_time
from booking.pictures import WIDTH, Mark, Picture, picture
from tests.builders import NOW, at, confirmed_session, request, wish


def drawn(starts_at: datetime, location: str = "centro") -> Picture:
    """Inés's day around a slot of fifty minutes, with 5 minutes before and 10 after."""
    the = plan()
    slot = availability.slot(wish(location=location), starts_at, now=NOW)
    problem = facts(the, since=NOW, until=at(31, 0), now=NOW)
    return picture(the, problem, slot, the.services[wish().service_id])


def told(day: Picture) -> list[tuple[str, str]]:
    zone = plan().zone(None)
    return [
        (stretch.mark.value, f"{stretch.starts_at.astimezone(zone):%H:%M}")
        for stretch in day.told()
    ]


def test_the_day_is_told_in_order_of_time(ana, bruno, ines):
    confirmed_session(bruno, ines, at(4, 9))
    request(ana, at(4, 13))
    block_time(
        ines.clinician_id, at(4, 16), at(4, 17), reason="", actor=gateway.staff(ines), now=NOW
    )
    assert told(drawn(at(4, 11))) == [
        ("hours", "09:00"),
        ("session", "09:00"),
        ("slot", "11:00"),
        ("pending", "13:00"),
        ("hours", "16:00"),
        ("blocked", "16:00"),
    ]


def test_what_is_another_days_or_a_colleagues_is_not_drawn(bruno, ines, oscar):
    confirmed_session(bruno, ines, at(11, 9))
    request(bruno, at(3, 10), clinician="oscar")
    assert told(drawn(at(4, 11))) == [("hours", "09:00"), ("slot", "11:00"), ("hours", "16:00")]
    assert told(drawn(at(3, 11))) == [("hours", "09:00"), ("slot", "11:00")]


def test_the_way_between_offices_is_drawn_where_it_is_gone(ana, ines):
    confirmed_session(ana, ines, at(4, 13))
    assert ("travel", "14:00") in told(drawn(at(4, 16), location="norte"))
    assert not [mark for mark, _ in told(drawn(at(4, 11))) if mark == "travel"]


def test_the_drawing_spans_the_hours_and_keeps_to_its_width(ana, ines):
    confirmed_session(ana, ines, at(3, 13))
    day = drawn(at(3, 9))
    assert (day.opens_at, day.closes_at) == (at(3, 9), at(3, 14))
    hour = WIDTH / 5
    assert day.bars("hours") == [(0, WIDTH)]
    assert day.bars("slot") == [(0, round(hour * 50 / 60))]
    assert day.bars("session") == [(round(hour * 4), round(hour * (4 + 50 / 60)) - round(hour * 4))]
    # The five minutes before nine are outside; the ten after fifty to ten are not.
    assert [x for x, _ in day.bars("margin")] == [
        round(hour * 50 / 60),
        round(hour * 235 / 60),
        round(hour * 290 / 60),
    ]


@pytest.mark.parametrize(
    ("day", "location", "hours"),
    [(3, "centro", [9, 10, 11, 12, 13, 14]), (4, "centro", [9, 12, 15, 18])],
)
def test_few_whole_hours_are_written_under_it(app, day, location, hours):
    shown = drawn(at(day, 9), location)
    assert [at.astimezone(shown.zone).hour for _, at in shown.labels()] == hours
    assert all(0 <= x <= WIDTH for x, _ in shown.labels())


def test_a_day_on_which_clocks_change_has_the_hours_it_has(app):
    centro = Location.get(Location.key == "centro")
    Location.update(zone="America/Tijuana").where(Location.id == centro.id).execute()
    the = availability._read(plan().practice)
    starts_at = datetime(2027, 3, 14, 12, 30, tzinfo=UTC)  # Half past five, three hours after.
    slot = Slot(
        starts_at=starts_at,
        ends_at=starts_at.replace(hour=13, minute=20),
        clinician_id=wish().clinician_ids[0],
        location_id=centro.id,
        clinician_location_id=centro.id,
        room_id=None,
        modality=Modality.IN_PERSON,
    )
    problem = facts(the, since=NOW, until=at(31, 0), now=NOW)
    day = picture(the, problem, slot, the.services[wish().service_id])
    assert day.day == date(2027, 3, 14)
    assert [at.astimezone(day.zone).hour for _, at in day.labels()] == [5, 6, 7]
    assert day.bars(Mark.SLOT) == [(72, 120)]
