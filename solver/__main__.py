"""The solver from a shell: a problem comes in as JSON, an answer goes out."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

import solver
from solver import document
from solver.problem import InvalidProblem, Problem, asked_in_the_past
from solver.proposal import Result

HELP = """\
Where else could a session be? One session of 50 minutes, asked for on a day that is full:

cat > problem.json <<END
{"zone": "America/Mexico_City",
 "policy": {"now": "2027-03-01T15:00Z", "k": 2},
 "services": [{"id": "individual", "duration": 50}],
 "clinicians": [{"id": "ana", "services": ["individual"],
                 "blocks": [{"window": ["2027-03-02T15:00Z", "2027-03-02T23:00Z"]},
                            {"window": ["2027-03-03T15:00Z", "2027-03-03T23:00Z"]}]}],
 "busy": [{"ref": "congress", "kind": "external", "clinician": "ana",
           "start": "2027-03-02T15:00Z", "end": "2027-03-02T23:00Z"}],
 "requests": [{"id": "r1", "clients": ["p1"], "service": "individual",
               "asked_clinician": "ana", "asked_start": "2027-03-02T16:00Z"}]}
END
python -m solver propose < problem.json > result.json
python -m solver check problem.json result.json
python -m solver explain < problem.json

Exit status: 0 solved, even if there is nothing to propose; 1 the check found something;
2 the input is invalid: its error code and JSON path are on stderr, and nothing on stdout.
A time asked for that is past already (E06) is only told on stderr.
"""


def main(arguments: list[str]) -> int:
    parser = ArgumentParser(
        "python -m solver", description=HELP, formatter_class=RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("propose", help="alternatives for each request: stdin → stdout")
    commands.add_parser("explain", help="what would open a start for each request: stdin → stdout")
    check = commands.add_parser("check", help="one line for each rule that the result breaks")
    check.add_argument("problem", type=Path)
    check.add_argument("result", type=Path)
    asked = parser.parse_args(arguments)
    try:
        if asked.command == "propose":
            return _propose(sys.stdin.buffer.read())
        if asked.command == "explain":
            return _explain(sys.stdin.buffer.read())
        return _check(asked.problem.read_bytes(), asked.result.read_bytes())
    except (InvalidProblem, OSError) as fault:
        print(fault, file=sys.stderr)
        return 2


def _propose(problem: bytes) -> int:
    result = solver.propose(_problem(problem))
    print(json.dumps(document.write(result), indent=1))
    return 0


def _explain(problem: bytes) -> int:
    explanations = solver.explain(_problem(problem))
    print(json.dumps([document.write(each) for each in explanations], indent=1))
    return 0


def _check(problem: bytes, result: bytes) -> int:
    valid = solver.validate(_problem(problem))
    violations = solver.check(valid, document.read(Result, _json(result)))
    for each in violations:
        line = f"{each.request} {each.rank} {each.rule}: {each.detail}"
        print(line.encode(errors="backslashreplace").decode())  # Half a character has no bytes.
    return 1 if violations else 0


def _problem(text: bytes) -> Problem:
    problem = document.read(Problem, _json(text))
    for code, path, message in asked_in_the_past(problem):
        print(f"{code} {path}: {message}", file=sys.stderr)
    return problem


def _json(text: bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise InvalidProblem(document.MALFORMED, "$", f"not JSON: {fault}") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
