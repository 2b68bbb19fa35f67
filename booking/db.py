"""The database handle, the base of every model, and the one queue of writers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from peewee import AutoField, BigIntegerField, CharField, DatabaseProxy, Model, SqliteDatabase
from playhouse.apsw_ext import APSWDatabase
from playhouse.migrations import Runner

if TYPE_CHECKING:
    from booking.settings import Settings

MIGRATIONS = Path(__file__).parent.parent / "migrations"

database = DatabaseProxy()
_writers = threading.Lock()
_lock_file: Path | None = None


def connect(settings: "Settings") -> SqliteDatabase:
    """Point every model at the settings' database; the file is made on first use.

    WAL with `synchronous=FULL`: what was acknowledged survives a power cut.
    """
    global _lock_file
    path = settings.database_url.removeprefix("sqlite:///")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    _lock_file = Path(path + ".lock")
    handle = _Sqlite(
        path,
        timeout=5,
        pragmas={
            "journal_mode": "wal",
            "synchronous": "full",
            "foreign_keys": 1,
            "cache_size": -16_000,
        },
    )
    database.initialize(handle)
    return handle


class _Sqlite(APSWDatabase):
    """SQLite by apsw, which alone refuses the datetimes that peewee's migration log writes."""

    def _connect(self) -> Any:
        connection = super()._connect()  # type: ignore[no-untyped-call]
        connection.convert_binding = lambda _cursor, _number, value: str(value)
        return connection


def migrate() -> list[str]:
    """Apply the migrations that this database has not had; two runners at once take turns."""
    with writing():
        applied: list[str] = Runner(database.obj, str(MIGRATIONS)).up()
    return applied


@contextmanager
def writing() -> Iterator[None]:
    """Queue writers fairly: threads by a lock, processes by a lock on a file.

    SQLite itself lets waiting writers poll, which starves some of them for seconds.
    """
    with _writers:
        if _lock_file is None:
            yield
            return
        with _lock_file.open("w") as handle:
            _lock(handle)
            yield


try:
    import fcntl

    def _lock(handle: Any) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX)  # Closing the file lets go of it.

except ImportError:  # Not POSIX: one server process there, for which the thread lock is enough.

    def _lock(handle: Any) -> None:
        del handle


@contextmanager
def transaction() -> Iterator[None]:
    """One write transaction, begun IMMEDIATE: a deferred one fails when two readers upgrade."""
    with writing(), database.atomic("IMMEDIATE"):
        yield


def tuples(query: Any) -> list[tuple[Any, ...]]:
    """The rows of a query as plain tuples, for reads that need no objects."""
    return list(query.tuples())


class BaseModel(Model):
    """What all tables share; saves write only what changed, so a stale row undoes nothing."""

    id = AutoField()

    class Meta:
        database = database
        only_save_dirty = True
        legacy_table_names = False


_V = TypeVar("_V")

if TYPE_CHECKING:
    _Number = BigIntegerField
    _Text = CharField
else:

    class _Number(BigIntegerField):
        """peewee's fields are generic for the type checker only."""

        def __class_getitem__(cls, _value: object) -> type:
            return cls

    class _Text(CharField):
        def __class_getitem__(cls, _value: object) -> type:
            return cls


class UtcDateTimeField(_Number[_V]):
    """An aware instant, kept as whole seconds since the epoch: the same on every database."""

    if TYPE_CHECKING:

        @overload
        def __new__(
            cls, *args: Any, null: Literal[True], **kwargs: Any
        ) -> "UtcDateTimeField[datetime | None]": ...
        @overload
        def __new__(
            cls, *args: Any, null: Literal[False] = ..., **kwargs: Any
        ) -> "UtcDateTimeField[datetime]": ...
        def __new__(cls, *args: Any, **kwargs: Any) -> Any: ...

    def db_value(self, value: datetime | int | None) -> int | None:
        if isinstance(value, datetime):
            if value.tzinfo is None:
                raise ValueError(f"{self.name}: a time without a zone")
            return int(value.timestamp())
        return value

    def python_value(self, value: int | None) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(value, UTC)


class LocalDateField(_Text[_V]):
    """A calendar day of some zone, kept as ISO text: sortable, the same everywhere."""

    if TYPE_CHECKING:

        @overload
        def __new__(
            cls, *args: Any, null: Literal[True], **kwargs: Any
        ) -> "LocalDateField[date | None]": ...
        @overload
        def __new__(
            cls, *args: Any, null: Literal[False] = ..., **kwargs: Any
        ) -> "LocalDateField[date]": ...
        def __new__(cls, *args: Any, **kwargs: Any) -> Any: ...

    def db_value(self, value: date | str | None) -> str | None:
        return value.isoformat() if isinstance(value, date) else value

    def python_value(self, value: str | None) -> date | None:
        return None if value is None else date.fromisoformat(value)
