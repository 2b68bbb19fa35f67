"""What a failure may leave in a log: what and where it was, never with whose data.

An exception's own words may hold any: a database quotes the row that it refused.
"""

import traceback


class InOurWords(Exception):
    """An error whose text we wrote, for the operator: safe in a log, and it says what to do."""


def kinds(error: BaseException) -> str:
    """What led to `error`, and what it is, by their types."""
    before = error.__cause__ or error.__context__
    return f"{kinds(before)} → {type(error).__name__}" if before else type(error).__name__


def trace(error: BaseException) -> str:
    """The way to `error` and to what led to it, by types and lines of code."""
    before = error.__cause__ or error.__context__
    way = [*traceback.format_tb(error.__traceback__), f"{type(error).__name__}{_said(error)}"]
    return "\n".join([*([trace(before)] if before else []), *way])


def _said(error: BaseException) -> str:
    """The words of `error`, where they cannot be about anybody: ours, and the system's."""
    if isinstance(error, InOurWords):
        return f": {error}"
    return f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
