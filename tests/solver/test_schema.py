"""The published schemas say what is read and written."""

import json
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings

import solver
from solver import document, schema
from solver.__main__ import main
from solver.problem import InvalidProblem, Problem
from tests.solver.test_document import EXAMPLE, FULL
from tests.solver.worlds import random_worlds

PUBLISHED = Path(schema.__file__).parent / "schemas"


@cache
def validator(name: str) -> Any:
    described = schema.schema(name)
    jsonschema.Draft202012Validator.check_schema(described)
    return jsonschema.Draft202012Validator(described)


@pytest.mark.parametrize("name", schema.DOCUMENTS)
def test_what_is_published_is_what_the_dataclasses_say(name, capsys):
    assert main(["schema", name]) == 0
    printed = capsys.readouterr().out
    published = (PUBLISHED / f"{name}.json").read_text()
    assert published == printed, f"python -m solver schema {name} > solver/schemas/{name}.json"


def test_the_example_of_the_help_is_as_described():
    assert validator("problem").is_valid(json.loads(EXAMPLE))


@settings(max_examples=8, deadline=None)
@given(random_worlds(requests=2))
def test_what_is_written_is_as_described(problem):
    validator("problem").validate(document.write(problem))
    validator("result").validate(document.write(solver.greedy(problem)))
    explanations = [document.write(each) for each in solver.explain(problem)]
    validator("explanation").validate(explanations)


WHERE: dict[str, tuple[Any, ...]] = {
    "Service": ("services", 0),
    "Room": ("rooms", 0),
    "Clinician": ("clinicians", 0),
    "Busy": ("busy", 0),
    "Request": ("requests", 0),
    "Policy": ("policy",),
    "Weights": ("policy", "weights"),
}
BEYOND = [
    (kind, name, limit, most + (1 if limit == "maximum" else -1))
    for (kind, name), limits in schema.LIMITS.items()
    for limit, most in limits.items()
    if limit in ("minimum", "maximum")
]


@pytest.mark.parametrize(("kind", "name", "limit", "value"), BEYOND)
def test_a_limit_is_the_same_in_the_schema_and_in_what_is_read(kind, name, limit, value):
    def refused(number: int) -> bool:
        facts = json.loads(json.dumps(FULL))
        inside = facts
        for key in WHERE[kind.__name__]:
            inside = inside[key]
        inside[name] = number
        try:
            solver.validate(document.read(Problem, facts))
        except InvalidProblem as fault:
            assert fault.path.endswith(f".{name}")  # noqa: PT017
            assert not validator("problem").is_valid(facts)
            return True
        assert validator("problem").is_valid(facts)
        return False

    assert refused(value)
    assert not refused(value + (-1 if limit == "maximum" else 1))


def test_every_field_can_be_found_in_the_schema():
    described = schema.schema("problem")["$defs"]
    for kind in (kind for kind, _ in schema.LIMITS):
        names = {each.name for each in fields(kind) if each.init}
        assert set(described[kind.__name__]["properties"]) == names


def test_what_the_source_says_about_a_field_is_in_the_schema():
    described = schema.schema("problem")["$defs"]
    assert described["Request"]["properties"]["earliest"]["description"] == (
        "No start before this instant."
    )
    assert described["Weights"]["properties"]["no_neighbour"]["description"] == (
        "idle time on both sides"
    )
