"""The database handle, the base of every model, and the one queue of writers."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, TypeVar, overload

import apsw
from peewee import (
    SCOPE_VALUES,
    AutoField,
    BigIntegerField,
    CharField,
    Context,
    Database,
    DatabaseProxy,
    Field,
    Model,
    ModelSelect,
    OperationalError,
    Value,
)
from playhouse.apsw_ext import APSWDatabase
from playhouse.migrations import Runner
from playhouse.pool import PooledPostgresqlDatabase
from psycopg.conninfo import conninfo_to_dict

from booking import locks, private

if TYPE_CHECKING:
    from booking.settings import Settings

MIGRATIONS = Path(__file__).parent.parent / "migrations"
QUEUE_SECONDS = 10.0  # Whoever waits longer to write is told to come back.
BUSY_SECONDS = 5  # What a read may wait for while another program has SQLite's file.
UNMARKED = -1
WRITERS = 0x_C17A  # The advisory lock that PostgreSQL's writers queue for.

# What a connection that does not answer may cost; the database's URL may say otherwise.
PATIENCE = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,
    "options": f"-c lock_timeout={QUEUE_SECONDS}s -c idle_in_transaction_session_timeout=30s",
}

database = DatabaseProxy()


def connect(settings: "Settings") -> Database:
    """Point every model at the settings' database; SQLite's file is made on first use."""
    path = settings.sqlite_path
    handle = _postgresql(settings.database_url) if path is None else _sqlite(path)
    database.initialize(handle)
    return handle


class _Writer(Context):
    """Writes SQL as peewee does, but a column in one step where peewee takes a dozen.

    Otherwise half of the time of a query would go into naming the columns of its table.
    """

    def sql(self, obj: Any) -> Any:
        # An alias of a table has fields of its own, which write themselves.
        if isinstance(obj, Field) and type(obj).__sql__ is Field.__sql__:
            if self.state.scope == SCOPE_VALUES:
                return self.literal(f'"{obj.column_name}"')
            table = self.alias_manager[obj.model._meta.table]
            return self.literal(f'"{table}"."{obj.column_name}"')
        return super().sql(obj)  # type: ignore[no-untyped-call]


class _Sqlite(APSWDatabase):
    """SQLite by apsw, whose writers queue for a lock of their own.

    SQLite itself lets waiting writers poll, which starves some of them for seconds.
    """

    context_class = _Writer

    def __init__(self, path: Path) -> None:
        # WAL with `synchronous=FULL`: what was acknowledged survives a power cut.
        pragmas = {
            "journal_mode": "wal",
            "synchronous": "full",
            "foreign_keys": 1,
            "cache_size": -16_000,
        }
        super().__init__(str(path), timeout=BUSY_SECONDS, pragmas=pragmas)  # type: ignore[no-untyped-call]
        self._threads = threading.Lock()
        self._path, self._processes = path, Path(f"{path}.lock")

    def _connect(self) -> Any:
        with suppress(OSError):  # SQLite says better what is wrong with the place.
            private.file(self._path)  # What SQLite puts beside it is as private as the file is.
        connection = super()._connect()  # type: ignore[no-untyped-call]
        # Otherwise SQLite plans a statement anew for each value that is bound to it.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        # apsw alone refuses the datetimes that peewee's migration log writes.
        connection.convert_binding = lambda _cursor, _number, value: str(value)
        return connection

    @contextmanager
    def queue(self, seconds: float | None = None) -> Iterator[None]:
        """Be the only writer: of this process's threads, then of the processes."""
        until = _until(seconds)
        if not self._threads.acquire(timeout=_left(until)):
            raise OperationalError("the queue of writers does not move")
        try:
            with self._turn(_left(until)):
                yield
        finally:
            self._threads.release()

    def _turn(self, seconds: float) -> IO[str]:
        """The file whose lock makes us the only process that writes, until it is closed."""
        try:
            file = private.file(self._processes).open("w")
            if locks.lock(file.fileno(), seconds=seconds):
                return file
        except OSError as error:  # A disk that is read-only, say: the book cannot be written.
            raise OperationalError(f"{self._processes}: {error.strerror}") from error
        file.close()
        raise OperationalError("another process has been writing for too long")

    @contextmanager
    def writing(self, seconds: float | None = None) -> Iterator[None]:
        """A transaction begun IMMEDIATE: a deferred one fails when two readers upgrade."""
        until = _until(seconds)
        with self.queue(seconds):
            connection = self.connection()
            connection.set_busy_timeout(round(1000 * _left(until)))  # Programs that do not queue.
            try:
                with self.atomic("IMMEDIATE"):
                    yield
            finally:
                connection.set_busy_timeout(1000 * BUSY_SECONDS)


class _Postgresql(PooledPostgresqlDatabase):
    """PostgreSQL by psycopg, with the same queue of writers for all processes on all hosts.

    READ COMMITTED: whoever gets the lock reads what its last holder committed.
    """

    context_class = _Writer

    @contextmanager
    def queue(self) -> Iterator[None]:
        """Be the only migration; its own transactions come and go meanwhile."""
        self.execute_sql("SELECT pg_advisory_lock(%s)", (WRITERS,))
        try:
            yield
        finally:
            self.execute_sql("SELECT pg_advisory_unlock(%s)", (WRITERS,))

    @contextmanager
    def writing(self, seconds: float | None = None) -> Iterator[None]:
        with self.atomic():
            if seconds is not None:
                self.execute_sql(f"SET LOCAL lock_timeout = {round(1000 * seconds)}")
            self.execute_sql("SELECT pg_advisory_xact_lock(%s)", (WRITERS,))
            yield


Handle = _Sqlite | _Postgresql


def _until(seconds: float | None) -> float:
    """When a wait that begins now is over."""
    return time.monotonic() + (QUEUE_SECONDS if seconds is None else seconds)


def _left(until: float) -> float:
    return max(0.0, until - time.monotonic())


def _sqlite(path: Path) -> _Sqlite:
    private.folder(path.parent)
    return _Sqlite(path)


def _postgresql(url: str) -> _Postgresql:
    told = conninfo_to_dict(url)
    patience = {name: value for name, value in PATIENCE.items() if name not in told}
    # One connection a thread at most, so that the threads are the limit.
    return _Postgresql(url, max_connections=0, prefer_psycopg3=True, **patience)


def _handle() -> Handle:
    found: Handle = database.obj
    return found


def transaction(*, seconds: float | None = None) -> Any:
    """One write transaction, with no other writer beside it: `with transaction():`.

    Raises:
        OperationalError: the others did not finish within QUEUE_SECONDS (or `seconds`), or the
            book cannot be written.
    """
    return _handle().writing(seconds)


def migrate() -> list[str]:
    """Apply the migrations that this database has not had; two runners at once take turns."""
    with _handle().queue():
        applied: list[str] = Runner(database.obj, str(MIGRATIONS)).up()
    return applied


def scrub(mark: int) -> bool:
    """Write SQLite's file anew without what was deleted, and `mark` it with how much that was.

    False while somebody reads the old one. PostgreSQL tidies up by itself, in its own time:
    docs/adr/0018.
    """
    handle = _handle()
    if isinstance(handle, _Postgresql):
        return True
    with handle.queue():
        handle.execute_sql("VACUUM")
        # What was in the file until now went by way of the log of changes.
        busy, *_ = handle.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            handle.execute_sql(f"PRAGMA user_version = {mark}")
    return not busy


def mark() -> int:
    """What the file was last marked with; a new one, and PostgreSQL's, with 0."""
    handle = _handle()
    if isinstance(handle, _Postgresql):
        return 0
    (found,) = handle.execute_sql("PRAGMA user_version").fetchone()
    return int(found)


def unmark() -> None:
    """Something was deleted that nobody counts: the file is to be written anew."""
    handle = _handle()
    if not isinstance(handle, _Postgresql):
        with handle.queue():
            handle.execute_sql(f"PRAGMA user_version = {UNMARKED}")


@contextmanager
def connected() -> Iterator[None]:
    """A connection for one piece of work; PostgreSQL's goes back to the pool, which tests it.

    SQLite's stays with its thread: opening one costs more than a page.
    """
    database.connect(reuse_if_open=True)
    try:
        yield
    finally:
        release()


def release() -> None:
    """This thread's work is done, unless it is part of a transaction that goes on."""
    if isinstance(database.obj, _Postgresql) and not database.in_transaction():
        database.close()


def disconnect() -> None:
    """Close what this process has open (SQLite: this thread), while nobody else is at work."""
    if isinstance(database.obj, _Postgresql):
        database.obj.close_all()
    else:
        database.close()


def forget() -> None:
    """What a child process inherited is its parent's: not even closing it is ours to do."""
    if database.obj is not None:
        database.obj.dispose()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)


def is_damage(error: BaseException | None) -> bool:
    """Whether SQLite found that its file is not as it wrote it: only a copy helps then."""
    while error and not isinstance(error, apsw.CorruptError | apsw.NotADBError):
        error = error.__context__  # peewee wraps it, once or twice.
    return error is not None


def tuples(query: Any) -> list[tuple[Any, ...]]:
    """The rows of a query as plain tuples, for reads that need no objects."""
    return list(query.tuples())


class _Blank(int):
    """Which of a call's values goes here."""


_M = TypeVar("_M", bound=Model)


def prepared(query: "Callable[..., ModelSelect[_M]]") -> Callable[..., list[_M]]:
    """A query that page after page makes: peewee writes it once, which is the dearest part of it.

    What is decorated gets a blank for each value of a call; those are as the database keeps them.
    """
    makers: dict[str, Any] = {}

    @cache
    def written(_kind: str, blanks: int) -> tuple[Any, str, list[Any]]:
        once: Any = query(*(Value(_Blank(n), converter=False) for n in range(blanks)))
        return (once, *once.sql())

    def rows(*values: int | str) -> list[_M]:
        kind: str = database.obj.param  # Each kind of database has its own.
        once, sql, given = written(kind, len(values))
        cursor = database.execute_sql(
            sql, tuple(values[it] if isinstance(it, _Blank) else it for it in given)
        )
        found = []
        for row in cursor:
            if kind not in makers:
                maker = once._get_cursor_wrapper(cursor)
                maker.initialize()  # What its columns are, a cursor says while it has rows.
                maker.cursor = None
                makers[kind] = maker
            found.append(makers[kind].process_row(row))
        return found

    return rows


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
