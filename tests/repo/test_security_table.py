"""SECURITY.md promises: every test that its table names is there, and every number can exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = re.findall(r"^\| (\d+\.\d+\.\d+.*?) \|(.*)\|$", (ROOT / "SECURITY.md").read_text(), re.M)
TEST = re.compile(r"`((?:tests|e2e)/[\w/]+\.py)(?:::(\w+))?`")
# How many requirements each section of ASVS 5.0.0 has, by chapter.
SECTIONS = {
    1: (2, 10, 12, 3, 3), 2: (3, 3, 5, 2), 3: (1, 3, 5, 8, 8, 1, 5), 4: (5, 5, 2, 4),
    6: (3, 12, 8, 6, 8, 4, 2, 4), 7: (3, 4, 2, 5, 3, 2), 8: (4, 4, 3, 2),
    11: (4, 5, 5, 4, 2, 2, 2), 12: (5, 2, 5), 13: (4, 6, 4, 7), 14: (2, 8, 3),
    15: (5, 5, 7, 4), 16: (1, 5, 4, 3, 4),
}  # fmt: skip


def defined(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def broken(cells: str) -> list[str]:
    """The tests that a row names and nobody has written."""
    return [
        f"{path}::{name}"
        for path, name in TEST.findall(cells)
        if not (ROOT / path).is_file() or (name and name not in defined(path))
    ]


@pytest.mark.parametrize(("numbers", "cells"), ROWS, ids=[number for number, _ in ROWS])
def test_what_the_table_names_is_there(numbers, cells):
    assert not broken(cells)
    for chapter, section, number in re.findall(r"(\d+)\.(\d+)\.(\d+)", numbers):
        assert 1 <= int(number) <= SECTIONS[int(chapter)][int(section) - 1]


def test_a_row_that_names_nothing_would_be_seen():
    assert len(ROWS) > 50
    assert broken("`tests/repo/test_security_table.py::test_of_nothing`")
    assert broken("`tests/test_nowhere.py`")
