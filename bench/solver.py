"""The solver's figures on seeded practices: `python3 dev.py bench solver`.

    python -m bench.solver [--quick] [--save]      the table; --save keeps it in docs/, with a plot
    python -m bench.solver write M sick_day 50 1   one of its problems as a JSON document

Times are the processor's, so that what else the machine does counts less; compare them within one
run, or as multiples of t0, the median of the smallest model for CP-SAT in the same run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from statistics import mean, median, quantiles
from time import process_time
from typing import NamedTuple

from ortools.sat.python import cp_model

import solver
from bench import practices
from solver import document
from solver.problem import Problem
from solver.proposal import Progress

ROOT = Path(__file__).parent.parent
LIMITS = {"M": (20, 40), "L": (40, 65), "XL": (100, 150)}
"""Of a single request, for the median and for 95 of 100, in milliseconds."""


class Bar(NamedTuple):
    """What is asked for, what was measured, and whether that is enough."""

    name: str
    target: str
    measured: str
    missed: str
    """By how much; empty if it is reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One joint plan."""

    size: str
    kind: str
    requests: int
    seed: int
    k: int
    seconds: float
    greedy_seconds: float
    objective: int
    greedy: int
    gap: float
    """In percent."""
    proven: bool
    unplaced: int
    violations: int


@cache
def practice(size: str, seed: int) -> Problem:
    return practices.practice(practices.SIZES[size], seed)


def batch(size: str, kind: str, requests: int, seed: int, k: int = 1) -> Problem:
    problem = practices.BATCHES[kind](practice(size, seed), requests, seed)
    return replace(problem, policy=replace(problem.policy, k=k))


def joint(size: str, kind: str, requests: int, seed: int, k: int = 1) -> Run:
    problem = batch(size, kind, requests, seed, k)
    heard: list[tuple[float, Progress]] = []
    began = process_time()
    result = solver.replan(problem, lambda progress: heard.append((process_time(), progress)))
    seconds = process_time() - began
    candidates, greedy = heard[0], heard[1]
    return Run(
        size=size,
        kind=kind,
        requests=len(problem.requests),
        seed=seed,
        k=k,
        seconds=seconds,
        greedy_seconds=greedy[0] - candidates[0],
        objective=result.objective,
        greedy=greedy[1].objective or 0,
        gap=100 * result.gap / max(1, result.objective),
        proven=result.proven,
        unplaced=len(result.unplaced),
        violations=len(solver.check(problem, result)),
    )


def trivial() -> float:
    """Seconds of a model with one variable."""

    def once() -> float:
        model = cp_model.CpModel()
        model.maximize(model.new_bool_var(""))
        search = cp_model.CpSolver()
        search.parameters.num_workers = 1
        began = process_time()
        search.solve(model)
        return process_time() - began

    return median(once() for _ in range(50))


def singles(t0: float, sizes: Sequence[str], times: int) -> Iterator[Bar]:
    for size in sizes:
        p50, p95 = LIMITS[size]
        seconds = list(_asked_alone(size, times, solver.propose))
        yield _of_times(f"deny → 5, {size}", seconds, p50, p95, t0)
    yield _of_times("explanation, L", list(_asked_alone("L", times, solver.explain)), 20, 40, t0)


def _asked_alone(size: str, times: int, solve: Callable[[Problem], object]) -> Iterator[float]:
    whole = practice(size, 1)
    solve(practices.single(whole, 0))
    for seed in range(1, times + 1):
        problem = practices.single(whole, seed)
        began = process_time()
        solve(problem)
        yield process_time() - began


def _of_times(name: str, seconds: list[float], p50: int, p95: int, t0: float) -> Bar:
    middle, late = 1000 * median(seconds), 1000 * quantiles(seconds, n=20)[-1]
    over = [
        f"{what} by {found - limit:.0f} ms"
        for what, found, limit in (("p50", middle, p50), ("p95", late, p95))
        if found > limit
    ]
    measured = f"{middle:.0f} ({middle / 1000 / t0:.0f} t0) / {late:.0f} ms"
    return Bar(name, f"p50 ≤ {p50} ms, p95 ≤ {p95} ms", measured, ", ".join(over))


def plans(runs: Sequence[Run]) -> Iterator[Bar]:
    """Every row of joint plans: how long at most, and how far from the best at most."""
    for size, requests, seconds, gap, k in (
        ("M", 20, 0.5, 0.0, 1),
        ("M", 50, 1.0, 0.0, 1),
        ("L", 50, 2.0, 0.0, 1),
        ("M", 100, 3.0, 0.1, 1),
        ("M", 200, 20.0, 0.5, 1),
        ("L", 200, 20.0, 0.5, 1),
        ("M", 20, 1.0, 0.0, 5),
        ("M", 50, 7.0, 0.0, 5),
    ):
        of_row = [run for run in runs if (run.size, run.k) == (size, k)]
        of_row = [run for run in of_row if 0.9 * requests <= run.requests <= requests]
        if of_row:
            yield _of_plans(f"N={requests} {size}, k={k}", of_row, seconds, gap)


def _of_plans(name: str, runs: Sequence[Run], seconds: float, gap: float) -> Bar:
    slowest, widest = max(run.seconds for run in runs), max(run.gap for run in runs)
    proven, broken = sum(run.proven for run in runs), sum(run.violations for run in runs)
    over = []
    if slowest > seconds:
        over.append(f"{slowest - seconds:.1f} s")
    if widest > gap:
        over.append(f"{widest - gap:.2f} %")
    if broken:
        over.append(f"{broken} violations")
    return Bar(
        name,
        f"≤ {seconds} s, " + (f"gap ≤ {gap} %" if gap else "proven"),
        f"{median(run.seconds for run in runs):.2f}, at most {slowest:.2f} s; "
        f"{proven} of {len(runs)} proven, gap {widest:.2f} %, {broken} violations",
        ", ".join(over),
    )


def against_greedy(runs: Sequence[Run]) -> Iterator[Bar]:
    fifty = [run for run in runs if (run.requests, run.k) == (50, 1)]
    for kind in practices.BATCHES:
        saved = [100 * (1 - run.objective / run.greedy) for run in fifty if run.kind == kind]
        if saved:
            short = 8 - mean(saved)
            yield Bar(
                f"cost below greedy, N=50, {kind}",
                "mean ≥ 8 %, never worse",
                f"mean {mean(saved):.1f} %, from {min(saved):.1f} to {max(saved):.1f} %",
                f"{short:.1f} %" if short > 0 else "",
            )
    large = [1000 * run.greedy_seconds for run in runs if run.requests > 150]
    if large:
        over = max(large) - 150
        measured = f"{median(large):.0f}, at most {max(large):.0f} ms"
        yield Bar("greedy plan, N=200", "≤ 150 ms", measured, f"{over:.0f} ms" if over > 0 else "")


def memory(size: str, requests: int, limit: int) -> Bar:
    """Of a process that does nothing else."""
    answer = json.loads(_elsewhere("memory", size, "sick_day", str(requests), "1"))
    over = answer - limit
    missed = f"{over} MB" if over > 0 else ""
    return Bar(f"memory, N={requests} {size}", f"≤ {limit} MB", f"{answer} MB", missed)


def determinism() -> Bar:
    answers = {
        _elsewhere("answer", "M", "sick_day", "50", "1", hash_seed=seed) for seed in ("1", "2", "3")
    }
    different = "" if len(answers) == 1 else f"{len(answers)} answers"
    return Bar("three processes, three hash seeds", "one answer", different or "one", different)


def _elsewhere(*arguments: str, hash_seed: str = "0") -> str:
    return subprocess.run(
        [sys.executable, "-m", "bench.solver", *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PYTHONHASHSEED": hash_seed},
    ).stdout


def peak(problem: Problem) -> int:
    """Megabytes; what `getrusage` tells of a child is at least what its parent had."""
    solver.replan(problem)
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def answer(problem: Problem) -> object:
    document_ = document.write(solver.replan(problem))
    return document_ | {"timings": {}}


def plot(runs: Sequence[Run], file: Path) -> None:
    from matplotlib.figure import Figure  # Would spoil what is measured of memory.

    figure = Figure(figsize=(7, 5), layout="constrained")
    above, below = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    for size, marker in (("M", "o"), ("L", "s")):
        mine = [run for run in runs if run.size == size and run.k == 1]
        for axes, value in ((above, "seconds"), (below, "gap")):
            across = [run.requests for run in mine]
            axes.scatter(across, [getattr(run, value) for run in mine], marker=marker, label=size)
    above.set(title="Joint plans: time until proof", ylabel="seconds", yscale="log")
    below.set(xlabel="requests placed together", ylabel="gap, %", ylim=(-0.05, 0.55))
    above.legend(title="practice")
    for axes in (above, below):
        axes.grid(alpha=0.3)
    figure.savefig(file, dpi=110, metadata={"Software": None})


def show(bars: Sequence[Bar]) -> str:
    lines = ["| Bar | Target | Measured | |", "|---|---|---|---|"]
    for bar in bars:
        verdict = f"missed: {bar.missed}" if bar.missed else "reached"
        lines.append(f"| {bar.name} | {bar.target} | {bar.measured} | {verdict} |")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    if arguments and arguments[0] in ONE:
        what, size, kind, requests, seed = arguments
        problem = batch(size, kind, int(requests), int(seed), k=5 if what == "write" else 1)
        print(json.dumps(ONE[what](problem)))
        return 0
    parser = argparse.ArgumentParser(
        "python -m bench.solver", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--save", action="store_true")
    asked = parser.parse_args(arguments)
    bars, runs, t0 = measure(quick=asked.quick)
    print(f"t0 = {1000 * t0:.2f} ms\n\n{show(bars)}")
    if asked.save:
        facts = {"t0": t0, "bars": [bar._asdict() for bar in bars], "runs": [*map(asdict, runs)]}
        (ROOT / "docs" / "solver.json").write_text(json.dumps(facts, indent=1) + "\n")
        plot(runs, ROOT / "docs" / "img" / "solver.png")
    return 0


def measure(*, quick: bool) -> tuple[list[Bar], list[Run], float]:
    t0 = trivial()
    bars = list(singles(t0, ("M", "L") if quick else ("M", "L", "XL"), 20 if quick else 60))
    seeds = range(1, 2 if quick else 3)
    asked = [(size, n, seed, 1) for size in "ML" for n in (20, 50, 100, 200) for seed in seeds]
    asked += [("M", n, seed, 5) for n in (20, 50) for seed in seeds]
    runs = [
        joint(size, kind, n, seed, k) for size, n, seed, k in asked for kind in practices.BATCHES
    ]
    bars += [*plans(runs), *against_greedy(runs), memory("M", 50, 150), memory("M", 200, 250)]
    return [*bars, determinism()], runs, t0


ONE: dict[str, Callable[[Problem], object]] = {
    "write": document.write,
    "memory": peak,
    "answer": answer,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
