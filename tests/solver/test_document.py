"""The same from a shell: JSON in, JSON out, and an exit status that can be trusted."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings

import solver
from solver import document
from solver.__main__ import HELP, main
from solver.problem import InvalidProblem, Problem, Weights
from solver.proposal import Result
from tests.solver.worlds import random_worlds, request, with_policy, world

EXAMPLE = re.search(r"END\n(.*)END", HELP, re.DOTALL)[1]  # type: ignore[index]


@cache
def shell(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "solver", *arguments],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_example_of_the_help_runs(tmp_path):
    assert EXAMPLE in shell("--help").stdout
    solved = shell("propose", text=EXAMPLE)
    assert (solved.returncode, solved.stderr) == (0, "")
    result = json.loads(solved.stdout)
    assert result["status"] == "optimal"
    assert result["proposals"][0]["start"] == "2027-03-03T16:00Z"
    problem, answer = tmp_path / "problem.json", tmp_path / "result.json"
    problem.write_text(EXAMPLE)
    answer.write_text(solved.stdout)
    assert main(["check", str(problem), str(answer)]) == 0


def test_the_help_s_joint_plan_runs_and_is_judged(tmp_path):
    solved = shell("replan", text=EXAMPLE)
    assert (solved.returncode, solved.stderr) == (0, "")
    plan = json.loads(solved.stdout)
    assert plan["totals"]["days_moved"] == 1
    problem, answer = tmp_path / "problem.json", tmp_path / "plan.json"
    problem.write_text(EXAMPLE)
    answer.write_text(solved.stdout)
    assert main(["check", str(problem), str(answer)]) == 0
    answer.write_text(json.dumps(plan | {"totals": plan["totals"] | {"days_moved": 2}}))
    assert main(["check", str(problem), str(answer)]) == 1


def test_the_check_says_what_is_wrong_line_by_line(tmp_path, capsys):
    result = solver.greedy(document.read(Problem, json.loads(EXAMPLE)))
    wrong = replace(result, proposals=result.proposals[:1])
    problem, answer = tmp_path / "problem.json", tmp_path / "result.json"
    problem.write_text(EXAMPLE)
    answer.write_text(json.dumps(document.write(wrong)))
    assert main(["check", str(problem), str(answer)]) == 1
    assert "objective" in capsys.readouterr().out
    assert main(["check", str(problem), str(tmp_path / "none.json")]) == 2


def changed(path: str, value: object) -> str:
    facts = json.loads(EXAMPLE)
    *keys, last = (int(key) if key.isdigit() else key for key in path.split("."))
    inside = facts
    for key in keys:
        inside = inside[key]
    inside[last] = value
    return json.dumps(facts)


WINDOW = "clinicians.0.blocks.0.window"
INVALID = [
    ("E10", "$", "{"),
    ("E10", "$", "[" * 100_000),
    ("E10", "$", "[]"),
    ("E10", "$.policy", '{"zone": "UTC"}'),
    ("E01", "$.requests[0].service", changed("requests.0.service", "yoga")),
    ("E10", "$.requests[0].clients", changed("requests.0.clients", "p1")),
    ("E10", "$.requests[0].client", changed("requests.0.client", "p1")),
    ("E10", "$.requests[0].asked_start", changed("requests.0.asked_start", "2027-03-02T16:00")),
    ("E10", "$.requests[0].asked_start", changed("requests.0.asked_start", "tomorrow")),
    ("E10", "$.requests[0].asked_start", changed("requests.0.asked_start", 1)),
    ("E10", "$.policy.now", changed("policy.now", "2027-03-01T15:00:01Z")),
    ("E10", "$.policy.k", changed("policy.k", True)),
    ("E10", "$.policy.k", changed("policy.k", 2.5)),
    ("E10", "$.policy.weights.day_moved", changed("policy.weights", {"day_moved": float("nan")})),
    ("E09", "$.policy.weights.day_moved", changed("policy.weights", {"day_moved": -1})),
    ("E09", "$.policy.weights.day_moved", changed("policy.weights", {"day_moved": 10_001})),
    ("E09", "$.requests[0].weight", changed("requests.0.weight", 101)),
    ("E10", "$.policy.weights.days", changed("policy.weights", {"days": 1})),
    ("E10", f"$.{WINDOW}".replace(".0", "[0]"), changed(WINDOW, ["2027-03-02T15:00Z"])),
    (
        "E03",
        f"$.{WINDOW}".replace(".0", "[0]"),
        changed(WINDOW, ["2027-03-02T15:00Z", "2027-03-02T14:00Z"]),
    ),
    ("E10", "$.busy[0].kind", changed("busy.0.kind", "maybe")),
    ("E10", "$.travel.a", changed("travel", {"a": 1})),
    ("E12", "$.requests", changed("requests", [json.loads(EXAMPLE)["requests"][0]] * 501)),
]


@pytest.mark.parametrize("command", ["propose", "replan"])
@pytest.mark.parametrize(("code", "path", "text"), INVALID)
def test_an_invalid_document_is_refused_with_code_and_path(
    code, path, text, command, capsys, monkeypatch
):
    class Stdin:
        class buffer:
            read = staticmethod(text.encode)

    monkeypatch.setattr(sys, "stdin", Stdin)
    assert main([command]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"{code} {path}: ")


def test_the_shell_sees_the_exit_status_too():
    run = shell("propose", text="{}")
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == "E10 $.zone: is missing\n"


def test_times_may_come_in_any_zone():
    facts = document.read(Problem, json.loads(changed("policy.now", "2027-03-01T09:00-06:00")))
    assert facts == document.read(Problem, json.loads(EXAMPLE))


@settings(max_examples=40, deadline=None)
@given(random_worlds(requests=2))
def test_problems_and_results_survive_the_journey(problem):
    text = json.dumps(document.write(problem))
    assert document.read(Problem, json.loads(text)) == problem
    result = solver.greedy(problem)
    assert document.read(Result, json.loads(json.dumps(document.write(result)))) == result


def test_every_weight_can_be_given_by_name():
    heavy = with_policy(world(), weights=Weights(**dict.fromkeys(Weights.__dataclass_fields__, 7)))
    assert document.read(Problem, document.write(heavy)) == heavy


def test_a_request_without_clients_is_not_solved():
    with pytest.raises(InvalidProblem):
        solver.greedy(world(requests=(request(clients=()),)))
