"""A query that peewee writes once answers as one that it writes each time."""

from peewee import ModelSelect, Value

from booking.db import prepared
from booking.models import Access, Account, Client, Relation
from tests.conftest import make_account


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
