"""A process that dies between two statements: what is in the database then is all there will be."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playhouse.apsw_ext import APSWDatabase

from booking.db import database


class Crashed(BaseException):
    """The process is gone, so nobody on the way catches this but whoever started it."""


@contextmanager
def statements(*, most: int | None = None) -> Iterator[list[str]]:
    """What a piece of work asks of the database; with `most`, it dies before asking for more.

    Raises:
        Crashed: in the work, at the statement after the last one that it may have.
    """
    asked: list[str] = []

    def see(sql: str) -> None:
        if len(asked) == most:
            forget()  # What follows is the undoing, which a real death brings along, too.
            raise Crashed(sql)
        asked.append(sql)

    forget = _watch(see)
    try:
        yield asked
    except Crashed:
        database.close()  # A transaction that nobody ended goes with its connection.
        raise
    except BaseException:
        forget()
        raise
    forget()


def _watch(see: Callable[[str], None]) -> Callable[[], None]:
    """Show every statement to `see` before it is executed, until what is returned is called."""
    handle = database.obj
    if not isinstance(handle, APSWDatabase):
        return _watch_handle(handle, see)
    connection = handle.connection()

    def trace(_cursor: object, sql: str, _bindings: object) -> bool:
        see(sql)
        return True

    connection.exec_trace = trace
    return lambda: setattr(connection, "exec_trace", None)


def _watch_handle(handle: Any, see: Callable[[str], None]) -> Callable[[], None]:
    """The same for drivers without such a hook: at the two doors through which all SQL goes."""
    execute, commit = handle.execute_sql, handle.commit

    @functools.wraps(execute)
    def execute_sql(sql: str, *args: Any, **kwargs: Any) -> Any:
        see(sql)
        return execute(sql, *args, **kwargs)

    @functools.wraps(commit)
    def commit_now() -> Any:
        see("COMMIT")
        return commit()

    handle.execute_sql, handle.commit = execute_sql, commit_now

    def forget() -> None:
        handle.execute_sql, handle.commit = execute, commit

    return forget
