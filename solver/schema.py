"""JSON Schemas of the documents, made from the dataclasses, so that the two cannot drift."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from solver.document import INSTANTS
from solver.problem import (
    DAY,
    FARTHEST,
    HEAVIEST,
    MOST_PROPOSALS,
    MOST_REQUESTS,
    Busy,
    Clinician,
    Policy,
    Problem,
    Request,
    Room,
    Service,
    Weights,
    Window,
)
from solver.proposal import Explanation, Result

DOCUMENTS: Mapping[str, Any] = {
    "problem": Problem,
    "result": Result,
    "explanation": tuple[Explanation, ...],
}

LIMITS: Mapping[tuple[type, str], dict[str, int]] = {
    (Service, "duration"): {"minimum": 1, "maximum": DAY},
    (Service, "buffer_before"): {"minimum": 0, "maximum": DAY},
    (Service, "buffer_after"): {"minimum": 0, "maximum": DAY},
    (Room, "seats"): {"minimum": 0},
    (Room, "turnover"): {"minimum": 0, "maximum": DAY},
    (Clinician, "max_sessions_day"): {"minimum": 0},
    (Clinician, "min_notice"): {"minimum": 0, "maximum": FARTHEST * DAY},
    (Clinician, "horizon_days"): {"minimum": 0, "maximum": FARTHEST},
    (Busy, "buffer_before"): {"minimum": 0, "maximum": DAY},
    (Busy, "buffer_after"): {"minimum": 0, "maximum": DAY},
    (Request, "clients"): {"minItems": 1, "maxItems": 2},
    (Request, "seats"): {"minimum": 0},
    (Request, "weight"): {"minimum": 1, "maximum": HEAVIEST},
    (Request, "allowed_modalities"): {"minItems": 1},
    (Policy, "k"): {"minimum": 1, "maximum": MOST_PROPOSALS},
    (Policy, "grid_minutes"): {"minimum": 1, "maximum": 60},
    (Policy, "seed"): {"minimum": 0, "maximum": 2**31 - 1},
    (Policy, "deterministic_time"): {"exclusiveMinimum": 0, "maximum": 60},
    (Policy, "batch_deterministic_time"): {"exclusiveMinimum": 0, "maximum": 60},
    (Problem, "requests"): {"maxItems": MOST_REQUESTS},
    **{(Weights, each.name): {"minimum": 0, "maximum": HEAVIEST} for each in fields(Weights)},
}
"""What `validate` asks of single values; what it asks of several together, no schema can say."""

INSTANT = {
    "type": "string",
    "format": "date-time",
    "description": "A time to the minute with its zone, such as 2027-03-01T15:00Z.",
}


def schema(name: str) -> dict[str, Any]:
    """The schema of one of the documents."""
    definitions: dict[str, Any] = {}
    root = _described(DOCUMENTS[name], definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name,
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def _described(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin, inner = get_origin(kind), get_args(kind)
    if NoneType in inner:
        return {"anyOf": [_described(inner[0], definitions), {"type": "null"}]}
    if origin in (frozenset, tuple) and (origin is frozenset or inner[1:] == (...,)):
        if get_origin(inner[0]) is tuple:
            return _named(get_args(inner[0])[1], definitions)
        return {"type": "array", "items": _described(inner[0], definitions)}
    if origin is tuple:
        return _pair([_described(each, definitions) for each in inner])
    if origin is Mapping:
        named = _named(inner[1], definitions)
        pairs = get_origin(inner[0]) is tuple
        return {"type": "object", "additionalProperties": named} if pairs else named
    if is_dataclass(kind) or issubclass(kind, StrEnum):
        return _reference(kind, definitions)
    return {"type": {int: "integer", float: "number", str: "string", bool: "boolean"}[kind]}


def _named(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": _described(kind, definitions)}


def _pair(parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "array", "prefixItems": parts, "items": False, "minItems": len(parts)}


def _reference(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if kind.__name__ not in definitions:
        definitions[kind.__name__] = {}  # It is being written; nothing contains itself.
        if kind is Window:
            definition = _pair([INSTANT, INSTANT])
        elif is_dataclass(kind):
            definition = _object(kind, definitions)
        else:
            definition = {"enum": [each.value for each in kind]}
        about = inspect.getdoc(kind) if "__doc__" in vars(kind) else None
        written = about and not about.startswith(f"{kind.__name__}(")  # Else a dataclass wrote it.
        definitions[kind.__name__] = {"description": about, **definition} if written else definition
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _object(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    hints, texts = get_type_hints(kind), _texts(kind)
    mine = [each for each in fields(kind) if each.init]
    return {
        "type": "object",
        "properties": {
            each.name: _property(kind, each.name, hints[each.name], definitions)
            | ({"description": texts[each.name]} if each.name in texts else {})
            | ({"default": each.default} if isinstance(each.default, int | float | None) else {})
            for each in mine
        },
        "required": [each.name for each in mine if each.default is each.default_factory is MISSING],
        "additionalProperties": False,
    }


def _property(kind: Any, name: str, hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    limits = LIMITS.get((kind, name), {})
    if name not in INSTANTS.get(kind, ()):
        described = _described(hint, definitions)
        if "anyOf" in described:  # The limits are those of a number, and not of null.
            described["anyOf"][0] |= limits
            return described
        return described | limits
    if get_origin(hint) is frozenset:
        return {"type": "array", "items": INSTANT}
    return {"anyOf": [INSTANT, {"type": "null"}]} if NoneType in get_args(hint) else INSTANT


def _texts(kind: Any) -> dict[str, str]:
    """What the source says about each field: the text below it, or the comment beside it."""
    source = inspect.getsource(kind)
    (definition,) = ast.parse(source).body
    lines, texts, name = source.splitlines(), {}, ""
    for part in definition.body:  # type: ignore[attr-defined]
        match part:
            case ast.AnnAssign(target=ast.Name(id=name)):
                _, beside, comment = lines[part.lineno - 1].partition("  # ")
                if beside:
                    texts[name] = comment
            case ast.Expr(value=ast.Constant(value=str(text))) if name:
                texts[name] = text
    return texts
