"""Queries are written faster than peewee writes them, some of them once, and mean the same."""

import apsw
import pytest
from peewee import JOIN, Context, ModelSelect, Value, fn

from booking.db import database, prepared
from booking.models import (
    ALL,
    Access,
    Account,
    Appointment,
    Client,
    OfferedSlot,
    Relation,
    Room,
)
from tests.builders import NOW
from tests.conftest import make_account

Earlier = Appointment.alias()
MINE = Access.select(Access.client).where(Access.account == 1)
QUERIES = {
    "everything": [model.select() for model in ALL],
    "some columns": Room.select(Room.id, Room.turnover_minutes).order_by(Room.position.desc()),
    "a join": Appointment.select(Appointment, Client).join(Client, JOIN.LEFT_OUTER),
    "a table twice": Appointment.select(Appointment, Earlier.state)
    .join(Earlier, on=(Earlier.id == Appointment.replaces))
    .where(Earlier.starts_at > NOW),
    "a subquery": Appointment.select().where(Appointment.client.in_(MINE)),
    "one inside of it": Client.select().where(
        fn.EXISTS(Appointment.select().where(Appointment.client == Client.id))
    ),
    "groups": Client.select(fn.MAX(Client.id)).group_by(Client.kind).having(Client.id.is_null()),
    "a new row": Client.insert(name="Ana", created_at=NOW),
    "new rows": Room.insert_many([{"key": "a", "features": ["x"]}, {"key": "b", "features": []}]),
    "a change": OfferedSlot.update(room=None, rank=OfferedSlot.rank + 1).where(
        OfferedSlot.id == 1, OfferedSlot.held_until <= NOW
    ),
    "an end": OfferedSlot.delete().where(OfferedSlot.appointment.in_([1, 2])),
}


@pytest.mark.parametrize("what", QUERIES)
def test_a_query_reads_as_peewee_writes_it(db, what):
    queries = QUERIES[what] if isinstance(QUERIES[what], list) else [QUERIES[what]]
    for query in queries:
        ours = database.obj.get_sql_context()
        peewees = Context(**database.obj.get_context_options())
        assert type(ours) is not Context
        assert repr(ours.sql(query).query()) == repr(peewees.sql(query).query())


def _of(account: object, relation: object) -> "ModelSelect[Access]":
    """With a value of its own between the two that change."""
    return (
        Access.select(Access, Client)
        .join(Client)
        .where(Access.account == account, Client.name != "Nadie", Access.relation == relation)
    )


@prepared
def prepared_of(account: Value, relation: Value) -> "ModelSelect[Access]":
    return _of(account, relation)


def rows(found: list[Access]) -> list[object]:
    return [(row.__data__, row.client.__data__, row.dirty_fields) for row in found]


def test_a_prepared_query_answers_for_each_value_what_the_query_does(db):
    nobody = Account(id=0)
    ana, bruno = make_account("Ana", "ana@example.com"), make_account("Bruno", "b@example.com")
    for account in (nobody, ana, bruno, nobody, ana):
        for relation in (Relation.SELF, Relation.GUARDIAN):
            asked = rows(list(_of(account, relation)))
            assert rows(prepared_of(account.id, relation)) == asked
            assert bool(asked) == (account is not nobody and relation is Relation.SELF)


@pytest.mark.sqlite
def test_a_statement_is_planned_once_whatever_is_bound_to_it(db):
    """SQLite would rather plan it for each value, which takes longer than the answer."""
    planned = []

    def asked(*what: object) -> int:
        """SQLite asks whether a statement may do what it does each time that it plans it."""
        planned.append(what)
        return apsw.SQLITE_OK

    connection = database.connection()
    connection.authorizer = asked
    try:
        prepared_of(0, Relation.SELF.value)
        assert planned
        planned.clear()
        prepared_of(1, Relation.SELF.value)
    finally:
        connection.authorizer = None
    assert planned == []
