"""The history's hash chain: each row's digest covers the row before it, appointment by appointment.

It covers ids, words of ours and times, and no name, address or note, so that erasing a person
breaks nothing. What it proves, and against whom, is in docs/adr/0018.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from booking.db import database
from booking.models import History

CHAINED = (
    "appointment_id", "version", "event", "before", "after", "actor", "account_id", "at",
    "starts_at", "detail",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Broken:
    """The first row of an appointment's chain that is not what was written."""

    appointment_id: int
    version: int
    why: str  # altered, missing or shortened.


@dataclass(frozen=True, slots=True)
class Verified:
    """What a pass over the chains found, and one fingerprint of all of them."""

    rows: int
    broken: list[Broken]
    fingerprint: str  # Kept elsewhere, it shows a history that was rewritten as a whole.


def digest(before: str, row: Mapping[str, Any]) -> str:
    """The digest of a row (its columns as they are stored) after one whose digest is `before`."""
    said = json.dumps([before, *(row[name] for name in CHAINED)], sort_keys=True,
                      separators=(",", ":"))  # fmt: skip
    return hashlib.sha256(said.encode()).hexdigest()


def chained(before: str, row: Mapping[str, Any]) -> str:
    """The digest of a row that is about to be written, as the gateway describes it."""
    stored = {name: _stored(row[name.removesuffix("_id")]) for name in CHAINED}
    return digest(before, stored)


def last_digest(appointment_id: int, version: int) -> str:
    """The digest that a new `version` continues; empty at the beginning."""
    found = (
        History.select(History.digest)
        .where(History.appointment == appointment_id, History.version == version - 1)
        .first()
    )
    return "" if found is None else str(found.digest)


def verify(appointment_id: int | None = None) -> Verified:
    """Follow every chain, or one, from its beginning to the version that its appointment has."""
    rows, broken, all_of_it = 0, [], hashlib.sha256()
    for _, chain in groupby(_rows(appointment_id), itemgetter("id")):
        links = list(chain)
        wrong = _first_wrong(links)
        rows += sum(link["version"] is not None for link in links)
        if wrong is not None:
            broken.append(wrong)
        all_of_it.update(f"{links[-1]['id']}:{links[-1]['digest']}\n".encode())
    return Verified(rows, broken, all_of_it.hexdigest())


def violations() -> list[tuple[Any, ...]]:
    """The breaks as rows, in the shape that `invariants` gives."""
    return [(b.appointment_id, b.version, b.why) for b in verify().broken]


def _first_wrong(links: list[dict[str, Any]]) -> Broken | None:
    """Where an appointment's chain first differs from what was written."""
    before, expected = "", 1
    for link in links:
        if link["version"] != expected:
            # The appointment's own version says how long its chain has to be.
            return Broken(link["id"], expected, "missing")
        if link["digest"] != digest(before, link):
            return Broken(link["id"], expected, "altered")
        before, expected = link["digest"], expected + 1
    if expected - 1 != links[-1]["reached"]:
        return Broken(links[-1]["id"], expected, "shortened")
    return None


def _rows(appointment_id: int | None) -> Iterator[dict[str, Any]]:
    """The chains' rows in order, streamed, and a row of nothing for an appointment without any."""
    # The driver's cursor, and not a query's list of models: a big book need not fit in memory.
    names = ", ".join(f"h.{name}" for name in CHAINED)
    where = "" if appointment_id is None else f"WHERE a.id = {int(appointment_id)}"
    cursor = database.execute_sql(
        f"SELECT a.id, a.version, h.digest, {names} FROM appointment AS a"  # noqa: S608 - a number.
        f" LEFT JOIN history AS h ON h.appointment_id = a.id {where} ORDER BY a.id, h.version"
    )
    for id_, reached, sealed, *columns in cursor:
        row = dict(zip(CHAINED, columns, strict=True))
        if isinstance(row["detail"], str):
            row["detail"] = json.loads(row["detail"])
        yield row | {"id": id_, "reached": reached, "digest": sealed or ""}


def _stored(value: Any) -> Any:
    """A value as the database keeps it: instants as seconds, rows as their ids."""
    if isinstance(value, datetime):
        return int(value.timestamp())
    return value.id if hasattr(value, "id") else value
