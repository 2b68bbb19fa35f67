"""dev.py runs on a machine that has Python and nothing else."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import dev

DEV = Path(dev.__file__)


def executable(path: Path, exit_code: int = 0) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\nexit {exit_code}\n")
    path.chmod(0o755)


def test_it_imports_the_standard_library_only():
    for node in ast.walk(ast.parse(DEV.read_text())):
        match node:
            case ast.Import(names=names):
                assert {name.name.partition(".")[0] for name in names} <= sys.stdlib_module_names
            case ast.ImportFrom(module=str(module)):
                assert module.partition(".")[0] in sys.stdlib_module_names


def test_alone_it_lists_its_verbs():
    answer = subprocess.run([sys.executable, DEV], capture_output=True, text=True, check=True)
    listed = [line.split()[0] for line in answer.stdout.splitlines() if line.startswith("  ")]
    assert listed == list(dev.VERBS)


def test_an_unknown_verb_is_refused(capsys):
    assert dev.main(["bailar"]) == 2
    assert "run" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("on_path", "asked_for", "found"),
    [
        ([], None, None),
        (["firefox"], None, None),
        (["chrome", "google-chrome", "chromium"], None, "chromium"),
        (["chromium", "chromium-headless-shell"], None, "chromium-headless-shell"),
        (["chrome", "google-chrome-stable"], None, "google-chrome-stable"),
        (["chromium", "mine"], "mine", "mine"),
    ],
)
def test_the_browser_asked_for_comes_first_and_then_the_best_known(
    tmp_path, on_path, asked_for, found
):
    for name in on_path:
        executable(tmp_path / name)
    environ = {"PATH": str(tmp_path)}
    if asked_for:
        environ["CHROMIUM"] = str(tmp_path / asked_for)
    assert dev.find_browser(environ) == (found and str(tmp_path / found))


def test_a_browser_that_does_not_start_is_passed_over(tmp_path):
    executable(tmp_path / "chromium", exit_code=1)
    executable(tmp_path / "chrome")
    assert dev.find_browser({"PATH": str(tmp_path)}) == str(tmp_path / "chrome")


def test_a_browser_asked_for_in_vain_is_not_replaced_by_another(tmp_path):
    executable(tmp_path / "chromium")
    with pytest.raises(dev.Trouble, match="CHROMIUM"):
        dev.find_browser({"PATH": str(tmp_path), "CHROMIUM": str(tmp_path / "none")})


def test_tests_that_never_began_are_no_success(tmp_path):
    with pytest.raises(dev.Trouble, match="no llegó a empezar"):
        dev.read_counts(tmp_path / "report.xml")


def test_asking_a_verb_for_help_runs_nothing(capsys):
    assert dev.main(["test", "--long", "--help"]) == 0
    assert capsys.readouterr().out.startswith("Uso: python3 dev.py test [--long]")


def test_what_a_process_compiled_the_next_one_need_not(monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    dev.keep_bytecode()
    told = [sys.executable, "-c", "import sys; sys.exit(sys.dont_write_bytecode)"]
    assert subprocess.run(told).returncode == 0
