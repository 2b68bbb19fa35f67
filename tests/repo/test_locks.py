"""The locks install the same bytes everywhere, and nothing is declared that nobody uses."""

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
FOLDERS = ("booking", "solver", "migrations", "tests", "e2e", "bench")
SOURCES = ("app.py", *(f"{folder}/**/*.py" for folder in FOLDERS))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME = PROJECT["project"]["dependencies"]
DEVELOPMENT = PROJECT["dependency-groups"]["dev"]

NEVER_IMPORTED = {
    "tzdata": "zoneinfo reads it where the system has no time zones",
    "import-linter": "a command",
    "mypy": "a command",
    "pytest-playwright": "a plugin: its fixtures are asked for by name",
    "pytest-xdist": "a plugin: pytest -n",
    "ruff": "a command",
    "types-peewee": "types for mypy",
    "uv": "a command",
}


def canonical(requirement: str) -> str:
    """The name alone, in the spelling that every index agrees on."""
    name = re.match(r"[\w.-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def requirements(lock: str) -> list[str]:
    """Each requirement with its hashes on one line, without the comments."""
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]


def versions(lock: str) -> dict[str, str]:
    pins = (re.match(r"(\S+)==(\S+)", line) for line in requirements(lock))
    return {canonical(pin[1]): pin[2] for pin in pins if pin}


def imported_packages() -> Iterator[str]:
    for path in (path for pattern in SOURCES for path in ROOT.glob(pattern)):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Import(names=names):
                    yield from (alias.name.partition(".")[0] for alias in names)
                case ast.ImportFrom(module=str(module)):
                    yield module.partition(".")[0]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place(lock):
    assert "://" not in (ROOT / lock).read_text()
    assert not [line for line in requirements(lock) if line.startswith(("-", "/", "."))]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_one_version_with_hashes(lock):
    for line in requirements(lock):
        requirement, *hashes = line.split(" --hash=")
        assert re.fullmatch(r"[\w.-]+==[\w.]+( ; .+)?", requirement.strip())
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each.strip()) for each in hashes)


def test_what_runs_is_what_was_tested():
    assert versions("requirements.lock").items() <= versions("requirements-dev.lock").items()


def test_every_declared_dependency_is_locked():
    assert {canonical(name) for name in RUNTIME} <= versions("requirements.lock").keys()
    assert {canonical(name) for name in DEVELOPMENT} <= versions("requirements-dev.lock").keys()


def test_every_declared_dependency_is_used():
    origins = packages_distributions()
    used = {
        canonical(distribution)
        for package in imported_packages()
        for distribution in origins.get(package, ())
    }
    declared = {canonical(name) for name in [*RUNTIME, *DEVELOPMENT]}
    assert declared - used == NEVER_IMPORTED.keys()
