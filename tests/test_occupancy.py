"""Two chains never occupy one resource at once: the database itself refuses it."""

from datetime import UTC, datetime, timedelta

import pytest
from peewee import IntegrityError

from booking import occupancy
from booking.db import transaction
from booking.models import History, Occupancy, Resource

NINE = datetime(2027, 3, 10, 15, 0, tzinfo=UTC)


def hour(n: int) -> datetime:
    return NINE + timedelta(hours=n)


def occupy(chain: int, start: datetime, end: datetime, resource_id: int = 1) -> None:
    Occupancy.create(
        resource=Resource.ROOM.value,
        resource_id=resource_id,
        chain=chain,
        busy_from=start,
        busy_until=end,
    )


@pytest.mark.parametrize(
    ("start", "end"),
    [(0.5, 1.5), (0, 1), (-0.5, 0.5), (0.25, 0.75), (-1, 2)],
    ids=["later", "same", "earlier", "inside", "around"],
)
def test_the_database_refuses_every_way_of_overlapping(db, start, end):
    occupy(1, hour(0), hour(1))
    with pytest.raises(IntegrityError, match=occupancy.OVERLAP):
        occupy(2, hour(start), hour(end))


@pytest.mark.parametrize(("start", "end"), [(1, 2), (-1, 0)], ids=["after", "before"])
def test_neighbours_may_touch(db, start, end):
    occupy(1, hour(0), hour(1))
    occupy(2, hour(start), hour(end))
    assert Occupancy.select().count() == 2


def test_another_resource_is_no_conflict(db):
    occupy(1, hour(0), hour(1))
    occupy(2, hour(0), hour(1), resource_id=2)
    assert Occupancy.select().count() == 2


def test_an_update_is_guarded_like_an_insert(db):
    occupy(1, hour(0), hour(1))
    occupy(2, hour(1), hour(2))
    with pytest.raises(IntegrityError, match=occupancy.OVERLAP), transaction():
        Occupancy.update(busy_from=hour(0.5)).where(Occupancy.chain == 2).execute()


def test_no_stretch_is_longer_than_the_search_for_overlaps_looks_back(db):
    with pytest.raises(IntegrityError):
        occupy(1, hour(0), hour(25))
    occupy(1, hour(0), hour(24))
    with pytest.raises(IntegrityError, match=occupancy.OVERLAP):
        occupy(2, hour(23.5), hour(24.5))


def test_a_union_merges_what_overlaps_and_keeps_what_touches():
    a, b, c, d = hour(0), hour(1), hour(2), hour(3)
    assert occupancy.union([(b, c), (a, hour(1.5))]) == [(a, c)]
    assert occupancy.union([(a, b), (b, c), (c, d)]) == [(a, b), (b, c), (c, d)]
    assert occupancy.union([(a, d), (b, c)]) == [(a, d)]


def test_history_is_never_rewritten(confirmed):
    with pytest.raises(IntegrityError, match="append-only"):
        History.update(event="deny").execute()
    with pytest.raises(IntegrityError, match="append-only"):
        History.delete().execute()
