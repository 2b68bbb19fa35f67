"""Problems and results as JSON documents; the dataclasses say what such a document holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from math import isfinite
from reprlib import repr as shortened
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from solver.problem import (
    BAD_WINDOW,
    LAST_INSTANT,
    Busy,
    InvalidProblem,
    Policy,
    Problem,
    Request,
    Window,
)
from solver.proposal import Explanation, Proposal, Result

MALFORMED = "E10"
MOST = 10**12
"""Of numbers that need not be whole; seconds and suchlike are far below."""

INSTANTS = {
    Busy: {"start", "end"},
    Policy: {"now"},
    Proposal: {"start", "end"},
    Request: {"asked_start", "refused_starts", "earliest", "latest", "waiting_since"},
    Window: {"start", "end"},
}
"""Where a whole number is a moment; everywhere else it is an amount."""

_T = TypeVar("_T", Problem, Result)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read(kind: type[_T], document: object) -> _T:
    """A problem or a result, or `InvalidProblem` with the path to what is not as described."""
    value: _T = _read(kind, document, "$")
    return value


def write(value: Problem | Result | tuple[Explanation, ...]) -> Any:
    return _written(value)


def _read(kind: Any, value: object, path: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if type(None) in inner:
        return None if value is None else _read(inner[0], value, path)
    if kind is Window:
        return Window(*(_instant(each, path) for each in _list(value, path, length=2)))
    if is_dataclass(kind):
        return _read_object(kind, _object(value, path), path)
    if origin is frozenset or (origin is tuple and inner[1:] == (...,)):
        if get_origin(inner[0]) is tuple:  # Pairs of a name and an amount are an object.
            inner = (str, get_args(inner[0])[1])
            named = _object(value, path).items()
            return tuple((key, _read(inner[1], each, f"{path}.{key}")) for key, each in named)
        each = enumerate(_list(value, path))
        return origin(_read(inner[0], item, f"{path}[{n}]") for n, item in each)
    if origin is tuple:
        pair = zip(inner, _list(value, path, length=len(inner)), strict=True)
        return tuple(_read(part, item, path) for part, item in pair)
    if origin is Mapping and get_origin(inner[0]) is tuple:
        return {
            (here, there): _read(inner[1], each, f"{path}.{here}.{there}")
            for here, row in _object(value, path).items()
            for there, each in _object(row, f"{path}.{here}").items()
        }
    if origin is Mapping:
        return {
            key: _read(inner[1], each, f"{path}.{key}")
            for key, each in _object(value, path).items()
        }
    if issubclass(kind, StrEnum):
        if value not in list(kind):
            raise _malformed(path, f"one of {', '.join(kind)}", value)
        return kind(value)
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        if abs(value) <= MOST and isfinite(value):
            return value
        raise _malformed(path, f"a number of at most {MOST}", value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _malformed(path, {int: "a whole number", str: "a text"}.get(kind, kind), value)
    return value


def _read_object(kind: Any, document: Mapping[str, object], path: str) -> Any:
    known = _fields(kind)
    for name in document:
        if name not in known:
            raise _malformed(f"{path}.{name}", "nothing of this name", document[name])
    values = {}
    for name, (hint, required) in known.items():
        at = f"{path}.{name}"
        if name in document:
            value = document[name]
            if name in INSTANTS.get(kind, ()):
                value = _instants(value, at)
            values[name] = _read(hint, value, at)
        elif required:
            raise InvalidProblem(MALFORMED, at, "is missing")
    return kind(**values)


@cache
def _fields(kind: Any) -> dict[str, tuple[Any, bool]]:
    """Name → type, and whether it must be there."""
    hints = get_type_hints(kind)
    return {
        field.name: (hints[field.name], field.default is field.default_factory is MISSING)
        for field in fields(kind)
        if field.init
    }


def _instants(value: object, path: str) -> object:
    if isinstance(value, list):
        return [_instant(each, f"{path}[{n}]") for n, each in enumerate(value)]
    return None if value is None else _instant(value, path)


def _instant(value: object, path: str) -> int:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or moment.second or moment.microsecond:
        raise _malformed(path, "a time to the minute with its zone", value)
    instant = (moment - _EPOCH) // timedelta(minutes=1)
    if not 0 <= instant <= LAST_INSTANT:
        raise InvalidProblem(BAD_WINDOW, path, "before 1970 or after 2199")
    return instant


def _list(value: object, path: str, *, length: int | None = None) -> list[object]:
    if not isinstance(value, list) or length not in (None, len(value)):
        raise _malformed(path, f"a list of {length}" if length else "a list", value)
    return value


def _object(value: object, path: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _malformed(path, "an object", value)
    return value


def _malformed(path: str, wanted: object, value: object) -> InvalidProblem:
    return InvalidProblem(MALFORMED, path, f"wants {wanted}, not {shortened(value)}")


def _written(value: Any) -> Any:
    kind: Any = type(value)
    if isinstance(value, Window):
        return [_moment(value.start), _moment(value.end)]
    if is_dataclass(value):
        moments = INSTANTS.get(kind, set())
        return {
            name: (_moments if name in moments else _written)(getattr(value, name))
            for name in _fields(kind)
        }
    if isinstance(value, Mapping):
        nested: dict[str, Any] = {}
        for key, each in value.items():
            if isinstance(key, tuple):
                nested.setdefault(key[0], {})[key[1]] = each
            else:
                nested[key] = each
        return nested
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        if value and all(isinstance(each, tuple) for each in value):
            return dict(value)
        return [_written(each) for each in value]
    return value


def _moments(value: Any) -> Any:
    if isinstance(value, frozenset):
        return [_moment(each) for each in sorted(value)]
    return None if value is None else _moment(value)


def _moment(instant: int) -> str:
    return f"{_EPOCH + timedelta(minutes=instant):%Y-%m-%dT%H:%MZ}"
