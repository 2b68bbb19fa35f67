"""The same from a shell: JSON in, JSON out, and an exit status that can be trusted."""

import json
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from functools import cache
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import solver
from solver import document
from solver.__main__ import HELP, main
from solver.problem import InvalidProblem, Outage, Problem, Weights
from solver.proposal import Result
from tests.solver.worlds import (
    at,
    busy,
    random_worlds,
    request,
    room,
    window,
    with_policy,
    world,
)

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


def test_an_explanation_says_what_would_open_a_start():
    full = changed("requests.0.minutes_of_day", [0, 60])
    run = shell("explain", text=full)
    assert (run.returncode, run.stderr) == (0, "")
    (explanation,) = json.loads(run.stdout)
    assert (explanation["request"], explanation["starts"]) == ("r1", 0)
    assert explanation["relaxations"][0] == {
        "groups": ["time_of_day"],
        "starts": 29,
        "counts": [
            {"location": None, "modality": "telehealth", "daypart": "morning", "starts": 12},
            {"location": None, "modality": "telehealth", "daypart": "afternoon", "starts": 16},
            {"location": None, "modality": "telehealth", "daypart": "evening", "starts": 1},
        ],
    }


def changed(path: str, value: object) -> str:
    facts = json.loads(EXAMPLE)
    *keys, last = (int(key) if key.isdigit() else key for key in path.split("."))
    inside = facts
    for key in keys:
        inside = inside[key]
    inside[last] = value
    return json.dumps(facts)


def two_offices() -> str:
    """The clinician of the example is at two of them at once."""
    facts = json.loads(EXAMPLE)
    facts["locations"] = [{"id": "centro"}, {"id": "norte"}]
    (block, *_) = facts["clinicians"][0]["blocks"]
    facts["clinicians"][0]["blocks"] = [{**block, "location": each} for each in ("centro", "norte")]
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
    ("E09", "$.requests[0].weight", changed("requests.0.weight", 10_001)),
    ("E10", "$.policy.weights.days", changed("policy.weights", {"days": 1})),
    ("E10", f"$.{WINDOW}".replace(".0", "[0]"), changed(WINDOW, ["2027-03-02T15:00Z"])),
    (
        "E03",
        f"$.{WINDOW}".replace(".0", "[0]"),
        changed(WINDOW, ["2027-03-02T15:00Z", "2027-03-02T14:00Z"]),
    ),
    ("E10", "$.busy[0].kind", changed("busy.0.kind", "maybe")),
    ("E10", "$.travel.a", changed("travel", {"a": 1})),
    ("E01", "$.clinicians[0].services", changed("clinicians.0.services", ["yoga"])),
    ("E01", "$.busy[0].clinician", changed("busy.0.clinician", "nobody")),
    ("E01", "$.requests[0].asked_room", changed("requests.0.asked_room", "none")),
    ("E01", "$.zone", changed("zone", "Europe/Atlantis")),
    ("E01", "$.zone", changed("zone", "\ud800")),
    ("E03", "$.busy[0].start", changed("busy.0.start", "0001-01-01T00:00+14:00")),
    ("E03", "$.busy[0].end", changed("busy.0.end", "9999-12-31T23:59-14:00")),
    ("E03", "$.requests[0].minutes_of_day", changed("requests.0.minutes_of_day", [900, 600])),
    ("E09", "$.policy.weights.day_moved", changed("policy.weights", {"day_moved": 10**30})),
    ("E09", "$.requests[0].weight", changed("requests.0.weight", 10**30)),
    ("E02", "$.services[0].duration", changed("services.0.duration", 10**300)),
    ("E10", "$", changed("services.0.duration", "DIGITS").replace('"DIGITS"', "9" * 5000)),
    ("E10", "$.zone", changed("zone", "NEST").replace('"NEST"', "[" * 900 + "]" * 900)),
    ("E04", "$.clinicians[0].blocks[1]", two_offices()),
    ("E05", "$.requests[0].service", changed("services.0.modalities", ["in_person"])),
    ("E12", "$.requests", changed("requests", [json.loads(EXAMPLE)["requests"][0]] * 10_000)),
    ("E12", "$.requests", changed("requests", [json.loads(EXAMPLE)["requests"][0]] * 501)),
]


@pytest.mark.parametrize("seconds", [10**400, float("inf"), float("nan"), True, "1"])
def test_a_result_with_numbers_that_are_none_is_refused(seconds, tmp_path, capsys):
    result = document.write(solver.greedy(document.read(Problem, json.loads(EXAMPLE))))
    problem, answer = tmp_path / "problem.json", tmp_path / "result.json"
    problem.write_text(EXAMPLE)
    answer.write_text(json.dumps(result | {"timings": {"search": seconds}}))
    assert main(["check", str(problem), str(answer)]) == 2
    assert capsys.readouterr().err.startswith("E10 $.timings.search: ")


def type_in(monkeypatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(text.encode())))


@pytest.mark.parametrize(("code", "path", "text"), INVALID)
@pytest.mark.parametrize("verb", ["propose", "replan", "explain"])
def test_an_invalid_document_is_refused_with_code_and_path(
    verb, code, path, text, capsys, monkeypatch
):
    type_in(monkeypatch, text)
    assert main([verb]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"{code} {path}: ")


def test_the_shell_sees_the_exit_status_too():
    run = shell("propose", text="{}")
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == "E10 $.zone: is missing\n"


PAST = changed("requests.0.asked_start", "2027-03-01T14:59Z")
WARNING = "E06 $.requests[0].asked_start: is in the past\n"


@pytest.mark.parametrize("verb", ["propose", "explain"])
def test_a_time_that_is_past_is_told_and_solved_all_the_same(verb, capsys, monkeypatch):
    type_in(monkeypatch, PAST)
    assert main([verb]) == 0
    assert capsys.readouterr().err == WARNING
    type_in(monkeypatch, changed("requests.0.asked_start", "2027-03-01T15:00Z"))
    assert main([verb]) == 0
    assert capsys.readouterr().err == ""


def test_the_check_tells_of_a_time_that_is_past(tmp_path, capsys):
    problem, answer = tmp_path / "problem.json", tmp_path / "result.json"
    problem.write_text(PAST)
    result = solver.greedy(document.read(Problem, json.loads(PAST)))
    answer.write_text(json.dumps(document.write(result)))
    assert main(["check", str(problem), str(answer)]) == 0
    assert capsys.readouterr() == ("", WARNING)


# Never a traceback, whatever the JSON.

GARBAGE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["", "ana", "r1", "p1", "2027-03-02T16:00Z", "2199-12-31T23:59Z", "UTC"]),
    # Each time afresh: what is put in may be spoilt in its turn.
    st.sampled_from(["[]", "{}", "[[]]", "[null]", '{"": null}', '["2027-03-02T16:00Z"]']).map(
        json.loads
    ),
    st.sampled_from([-1, 0, 1, 1440, 1441, 2**31, 2**63, 10**40]),
)


def spots(inside: object) -> list[tuple[object, object]]:
    """Every container of a document, with each of its keys."""
    keys = inside.keys() if isinstance(inside, dict) else range(len(inside))  # type: ignore[arg-type]
    here = [(inside, key) for key in keys]
    below = [inside[key] for key in keys]  # type: ignore[index]
    return here + [spot for each in below if isinstance(each, dict | list) for spot in spots(each)]


def spoil(data, facts):
    for _ in range(data.draw(st.integers(1, 3))):
        inside, key = data.draw(st.sampled_from(spots(facts)))
        what = data.draw(st.sampled_from(["replace", "drop", "double"]))
        if what == "replace":
            inside[key] = data.draw(GARBAGE)
        elif what == "drop":
            del inside[key]
        elif isinstance(inside, list):
            inside.append(inside[key])
        else:
            inside[data.draw(st.text(max_size=3))] = inside[key]
        if not spots(facts):
            break
    return facts


FULL = document.write(
    world(
        rooms=(room(turnover=5),),
        busy=(busy("2027-03-02 09:00", "2027-03-02 10:00", clients=("p9",), room="c1"),),
        travel={("centro", "norte"): 20},
        outages=(Outage(window=window("2027-03-02 11:00", "2027-03-02 12:00"), room="c1"),),
        requests=(request(asked_start=at("2027-03-02 09:00"), asked_clinician="ana"),),
    )
)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_spoilt_problem_is_solved_or_refused(data):
    facts = spoil(data, json.loads(json.dumps(FULL)))
    with TemporaryDirectory() as folder:
        problem, answer = Path(folder) / "problem.json", Path(folder) / "result.json"
        problem.write_text(json.dumps(facts))
        answer.write_text(json.dumps(document.write(solver.greedy(document.read(Problem, FULL)))))
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()) as told:
            status = main(["check", str(problem), str(answer)])
        assert status in (0, 1, 2)
        assert (status == 2) is bool(re.match(r"E(?!06)\d\d \$", told.getvalue()))
    try:
        valid = document.read(Problem, facts)
        solver.greedy(valid)
        solver.explain(valid)
    except InvalidProblem as fault:
        assert fault.path.startswith("$")  # noqa: PT017


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_spoilt_result_is_right_wrong_or_refused(data):
    result = document.write(solver.greedy(document.read(Problem, FULL)))
    with TemporaryDirectory() as folder:
        problem, answer = Path(folder) / "problem.json", Path(folder) / "result.json"
        problem.write_text(json.dumps(FULL))
        answer.write_text(json.dumps(spoil(data, json.loads(json.dumps(result)))))
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            assert main(["check", str(problem), str(answer)]) in (0, 1, 2)


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
