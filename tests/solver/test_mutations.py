"""The tests are worth something: a small mistake in a copy of the solver turns them red."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from solver import constraints, objective
from solver.candidates import RULES

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Mutation:
    """One place in the source, what stands there instead, and whose task it is to notice."""

    module: str
    old: str
    new: str
    noticed_by: str
    """Names of tests, as `pytest -k` takes them."""
    file: str = "test_model"

    def __str__(self) -> str:
        return f"{self.module}: {self.old.strip()[:40]} → {self.new.strip()[:40]}"


RULE = "test_each_rule_allows"
ORACLE = "oracle"
SUBSETS = "test_the_model_finds_what_trying_every_subset_finds or held or promised or travel"
CHECKED = "test_the_checker_finds_nothing_wrong_in_random_worlds"

WITHOUT_A_RULE = [
    Mutation(
        "candidates",
        f"    Rule.{rule.name}: {forbid.__name__},\n",
        f"    Rule.{rule.name}: lambda scene, span: (),\n",
        RULE,
        "test_candidates",
    )
    for rule, forbid in RULES.items()
]
WITHOUT_A_CONSTRAINT = [
    Mutation(
        "constraints",
        f"    {rule.__name__},\n",
        "",
        f"{CHECKED} or at_once or airing or daily_maximum",
    )
    for rule in constraints.ALL
]
WITHOUT_A_TERM = [
    Mutation("objective", f"    {term.__name__},\n", "", f"{CHECKED} or test_each_inconvenience")
    for term in objective.TERMS
]
OFF_BY_ONE = [
    Mutation("candidates", "b - scene.duration + 1)", "b - scene.duration)", RULE,
             "test_candidates"),
    Mutation("candidates", "yield a - scene.duration + 1, b", "yield a - scene.duration, b", RULE,
             "test_candidates"),
    Mutation("candidates", "+ scene.clinician.min_notice", "+ scene.clinician.min_notice + 1", RULE,
             "test_candidates"),
    Mutation("candidates", "horizon_days + 1) * DAY", "horizon_days) * DAY", RULE,
             "test_candidates"),
    Mutation("candidates", "sessions >= most", "sessions > most", RULE, "test_candidates"),
    Mutation("candidates", "scene.duration - 1\n", "scene.duration\n", RULE, "test_candidates"),
    Mutation("candidates", "busy.start - room.turnover - duration + 1",
             "busy.start - room.turnover - duration + 2", RULE, "test_candidates"),
    Mutation("candidates", "yield start, start + 1", "yield start + 1, start + 2", RULE,
             "test_candidates"),
    Mutation("constraints", "then.start - first.end < pause", "then.start - first.end <= pause",
             "test_a_clinician_keeps"),
    Mutation("constraints", "candidates[m].start < candidates[n].end",
             "candidates[m].start <= candidates[n].end", "test_a_client_is_not_promised"),
    Mutation("objective", "(0 < view.gap_before(start) < view.shortest)",
             "(0 < view.gap_before(start) <= view.shortest)", "test_a_gap_too_short"),
]  # fmt: skip
WRONG_IDEAS = [
    Mutation("candidates", "[(stop - go, ready + come) for",
             "[(stop - max(go, come), ready + max(go, come)) for",
             "test_the_way_from_another_office", "test_candidates"),
    Mutation("constraints", "way = first.view.problem.travel.get((", "way = 0 and dict().get((",
             "test_a_clinician_can_travel"),
    Mutation("single", "candidate.cost <= cost", "candidate.cost < cost - 5",
             "test_pruning or every_subset"),
    Mutation("single", "    return Choice(tuple(chosen), proven=False)\n",
             "    return Choice(tuple(chosen), proven=True)\n", "cut_off"),
    Mutation("model", "minimize(finer * (sum(points)", "minimize(finer * (sum(points[:1])",
             SUBSETS),
    Mutation("objective", "if len(crowd.members) > crowd.free and crowd.points",
             "if len(crowd.members) > crowd.free + 1 and crowd.points", "every_subset or checker"),
    Mutation("explain", "precisely = at_least[exactly] & ~at_least[exactly + 1]",
             "precisely = at_least[exactly]", f"{ORACLE} or pair or three", "test_explain"),
    Mutation("explain", "if more and g in candidates", "if g in candidates", ORACLE,
             "test_explain"),
]  # fmt: skip

BEST = "test_no_plan_is_cheaper"
FULL_WEEK = "test_a_full_week_is_proven"
BOUND = "test_no_plan_with_a_column"
RANKS = "test_further_ranks or alternatives or judged_by_the_checker"


def _joint(module: str, old: str, new: str, noticed_by: str) -> Mutation:
    return Mutation(module, old, new, noticed_by, "test_batch")


IN_JOINT_PLANS = [
    _joint("columns", "yield lane + begin - shift, lane + finish - shift",
           "yield lane + begin - shift, lane + finish", "test_travel_does_not_part"),
    _joint("columns", "shift = earlier if here == come else 0", "shift = 0",
           "test_a_clinician_has_time"),
    _joint("columns", "if here == come else 0", "if here == leave else 0",
           "test_a_clinician_has_time"),
    _joint("columns", "1 - 2 * shortest[who]", "-100_000", "test_no_pair_slips"),
    _joint("columns", "    yield lane + begin, lane + finish\n", "",
           "test_a_clinician_treats_one"),
    _joint("columns", "start - view.service.buffer_before, end", "start, end",
           "test_a_clinician_treats_one"),
    _joint("columns", '    yield ("room", fit.room.id), start, end + fit.room.turnover\n', "",
           "test_a_room_is_aired"),
    _joint("columns", "start, end + fit.room.turnover", "start, end", "test_a_room_is_aired"),
    _joint("columns", "if requests[client] > 1:", "if requests[client] > 9:",
           "test_no_client_is_in_two"),
    _joint("columns", "    if most is not None:\n", "    if False:\n", "daily_maximum"),
    _joint("columns", "most - view.sessions_by_day[day]", "most", "daily_maximum"),
    _joint("columns", '        yield ("swap", swap.ref), nought, nought + 1\n', "",
           "test_one_session_is_not_sent_to_two_rooms"),
    _joint("packing", "ahead - over < most", "ahead - over <= most", RANKS),
    _joint("packing", "minlength=len(rows.most)) > rows.most",
           "minlength=len(rows.most)) > rows.most + 1", "test_a_clinician_treats or daily_maximum"),
    _joint("relaxation", "int(cheapest.sum()) - paid", "int(cheapest.sum())", BOUND),
    _joint("relaxation", "excess=cost - cheapest[", "excess=cost + self.scale - cheapest[", BOUND),
    _joint("batch", "bound.columns_within(within)",
           "np.sort(np.argsort(instance.points)[:each])", FULL_WEEK),
    _joint("batch", "unplaced = weight * (1 + worst)", "unplaced = weight * 0 + 1 + worst",
           "test_whoever_weighs_more"),
    _joint("batch", "        taken = taken.and_by(columns[chosen].stays())\n", "", RANKS),
    _joint("batch", "(some.cell != columns.cell[own])\n        & (", "(",
           "test_further_ranks or judged_by_the_checker"),
]  # fmt: skip
IN_ROOMS = [
    Mutation("rooms", old, new, noticed_by, "test_rooms")
    for old, new, noticed_by in (
        ("stay.end <= ranges[n][1]", "stay.start <= ranges[n][1]", "stays or assignment"),
        ("not office.is_open(room, stay) or any(", "any(", "stays or assignment"),
        ("stay.end + turnover)", "stay.end)", "assignment or stays or aired"),
        ("row.end + turnover > stay.start", "row.end > stay.start", "assignment or aired"),
        ("range(1, MOST_SWAPS + 1)", "range(MOST_SWAPS, MOST_SWAPS + 1)", "fewest"),
    )
]  # fmt: skip
EVERY = (
    *WITHOUT_A_RULE,
    *WITHOUT_A_CONSTRAINT,
    *WITHOUT_A_TERM,
    *OFF_BY_ONE,
    *WRONG_IDEAS,
    *IN_JOINT_PLANS,
    *IN_ROOMS,
)
FAST = [OFF_BY_ONE[4]]
REST = [each for each in EVERY if each not in FAST]


@pytest.fixture
def copy(tmp_path):
    """The solver and its tests, to be spoilt."""
    shutil.copytree(ROOT / "solver", tmp_path / "solver")
    shutil.copytree(ROOT / "bench", tmp_path / "bench")
    shutil.copytree(ROOT / "tests" / "solver", tmp_path / "tests" / "solver")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def is_green(copy: Path, file: str, names: str) -> bool:
    run = subprocess.run(
        [
            sys.executable, "-B", "-m", "pytest", "-q", "-x", "-n", "0",
            "-p", "no:cacheprovider", f"tests/solver/{file}.py", "-k", names,
        ],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert run.returncode in (0, 1), run.stdout + run.stderr
    return run.returncode == 0


def spoil(copy: Path, mutation: Mutation) -> None:
    module = copy / "solver" / f"{mutation.module}.py"
    source = module.read_text()
    assert mutation.old in source
    module.write_text(source.replace(mutation.old, mutation.new))


def all_green(copy: Path, mutations: list[Mutation]) -> bool:
    files = {each.file for each in mutations}
    return all(
        is_green(
            copy,
            file,
            " or ".join(sorted({each.noticed_by for each in mutations if each.file == file})),
        )
        for file in sorted(files)
    )


def test_a_copy_is_green(copy):
    assert all_green(copy, FAST[:1])


@pytest.mark.long
def test_a_copy_is_green_for_the_others_too(copy):
    assert all_green(copy, [*FAST, *REST])


@pytest.mark.parametrize("mutation", FAST, ids=str)
def test_a_mistake_is_noticed(copy, mutation):
    spoil(copy, mutation)
    assert not is_green(copy, mutation.file, mutation.noticed_by)


@pytest.mark.long
@pytest.mark.parametrize("mutation", REST, ids=str)
def test_every_mistake_is_noticed(copy, mutation):
    spoil(copy, mutation)
    assert not is_green(copy, mutation.file, mutation.noticed_by)
