"""Which migrations a database has had, compared with those that this code knows; only reads."""

from collections.abc import Iterable
from dataclasses import dataclass

from playhouse.migrations import Runner

from booking.db import MIGRATIONS, database


@dataclass(frozen=True, slots=True)
class Level:
    """`missing` have not been applied yet; `unknown` are of a newer version of the portal."""

    missing: tuple[str, ...]
    unknown: tuple[str, ...]


class DatabaseIsNewer(Exception):
    """A newer version of the portal has changed this database: this one must not touch it."""

    def __init__(self, unknown: tuple[str, ...]) -> None:
        super().__init__(", ".join(unknown))
        self.unknown = unknown


def level() -> Level:
    """Of the database that the portal works on."""
    return level_of(Runner(database.obj, str(MIGRATIONS)).applied())


def level_of(applied: Iterable[str]) -> Level:
    """Of any database, by the names in its log."""
    had, known = set(applied), {path.stem for path in MIGRATIONS.glob("[0-9]*.py")}
    return Level(missing=tuple(sorted(known - had)), unknown=tuple(sorted(had - known)))


def refuse_newer() -> None:
    """Let nobody work on a database whose meaning they do not know.

    Raises:
        DatabaseIsNewer: the portal was updated, and this is the version before.
    """
    unknown = level().unknown
    if unknown:
        raise DatabaseIsNewer(unknown)
