"""Works out the joint plans that are queued: claims one under a lease, searches, stores its rows.

It has a thread of its own beside the worker, so that mail never waits for a plan. Who dies at it
leaves a lease that runs out; whoever claims the plan then starts afresh.
"""

import logging
import threading
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

import solver
from booking import replanning, solving
from booking.clock import Clock
from booking.db import connected, database, transaction
from booking.logs import trace
from booking.models import BlockedTime, Replan, ReplanRow, ReplanState
from booking.replanning import Task, found_in, told

LEASE = timedelta(seconds=20)  # Whoever lives renews it every second.
PAUSE_SECONDS = 1.0

log = logging.getLogger(__name__)


class _NotOurs(Exception):
    """Somebody stopped the plan, or another worker has it."""


def run(clock: Clock, *, deadline_seconds: float = solving.REPLAN_SECONDS) -> bool:
    """Work out the plan that has waited longest; whether there was one."""
    replan = claim(now=clock.now())
    if replan is None:
        return False
    try:
        _work_out(replan, clock, deadline_seconds)
    except _NotOurs:
        log.info("plan %s was stopped", replan.id)
    except solver.InvalidProblem as error:
        _close(replan, ReplanState.FAILED, now=clock.now(), failure=error.code)
    except Exception as error:  # Else, whoever claims it next would meet the same, for ever.
        log.error("plan %s failed\n%s", replan.id, trace(error))
        _close(replan, ReplanState.FAILED, now=clock.now(), failure="error")
    return True


def claim(*, now: datetime) -> Replan | None:
    """The plan that has waited longest, for us alone while the lease lasts."""
    free = (Replan.state == ReplanState.QUEUED) | (
        (Replan.state == ReplanState.RUNNING) & (Replan.claimed_until <= now)
    )
    with transaction():
        found = (
            Replan.select(Replan, BlockedTime)
            .join(BlockedTime)
            .where(free)
            .order_by(Replan.created_at, Replan.id)
            .first()
        )
        if found is None:
            return None
        claimed = (
            Replan.update(
                state=ReplanState.RUNNING.value,
                run=found.run + 1,
                claimed_until=now + LEASE,
                progress={},
            )
            .where(Replan.id == found.id, Replan.run == found.run, free)
            .execute()
        )
    found.run += 1
    return found if claimed else None


def _work_out(replan: Replan, clock: Clock, deadline_seconds: float) -> None:
    task = replanning.task_for(replan, now=clock.now())

    def report(progress: solver.Progress | None) -> None:
        news = {} if progress is None else {"progress": asdict(progress)}
        _update(replan, claimed_until=clock.now() + LEASE, **news)

    report(solver.Progress(stage="candidates", requests=len(task.rows), placed=0))
    result, quick = _search(task.problem, report, deadline_seconds)
    with transaction():
        _guarded(
            replan,
            state=ReplanState.READY.value,
            finished_at=clock.now(),
            quick=quick,
            proven=result.proven,
            objective=result.objective,
            bound=result.bound,
            gap_minutes=result.totals
            and [result.totals.gap_minutes_before, result.totals.gap_minutes_after],
            input_hash=result.input_hash,
        )
        _store(task, result)


def _search(
    problem: solver.Problem,
    report: solving.Report,
    deadline_seconds: float,
) -> tuple[solver.Result, bool]:
    """The best plan there is; a quick one, and True, when the search died, was late or wrong."""
    if problem.requests:
        result = solving.replan(problem, report, deadline_seconds=deadline_seconds)
        wrong = result and solver.check(problem, result)
        if result is not None and not wrong:
            return result, False
        log.error("no joint plan, so there is a quick one: %s", wrong or "the search was cut short")
        report(None)
    return _quick(problem), bool(problem.requests)


def _quick(problem: solver.Problem) -> solver.Result:
    """One after another without a search; rather one slot for each than several for a few."""
    result = solver.greedy(problem)
    if result.unplaced:
        problem = replace(problem, policy=replace(problem.policy, k=1))
        result = solver.greedy(problem)
    if wrong := solver.check(problem, result):  # A wrong promise is worse than none.
        raise ValueError(wrong)
    return result


def _store(task: Task, result: solver.Result) -> None:
    """What was found for each session, and for which version of it."""
    found = found_in(result)
    why = {unplaced.request: unplaced.explanation for unplaced in result.unplaced}
    for name, row in task.rows.items():
        options = found.get(name, [])
        _keep(row, [option.written() for option in options], told(why.get(name)))
    for row, option in task.staying:
        _keep(row, [option.written()], None)


def _keep(row: ReplanRow, options: list[dict[str, Any]], explanation: object) -> None:
    ReplanRow.update(
        options=options, explanation=explanation, version=row.appointment.version, refusal=[]
    ).where(ReplanRow.id == row.id).execute()


def _close(replan: Replan, state: ReplanState, *, now: datetime, failure: str) -> None:
    try:
        _update(replan, state=state.value, finished_at=now, failure=failure)
    except _NotOurs:
        log.info("plan %s was stopped", replan.id)


def _update(replan: Replan, **columns: object) -> None:
    with transaction():
        _guarded(replan, **columns)


def _guarded(replan: Replan, **columns: object) -> None:
    """Write to the plan while it is ours.

    Raises:
        _NotOurs: it was stopped, or our lease ran out and another worker has it.
    """
    ours = Replan.update(**columns).where(
        Replan.id == replan.id, Replan.run == replan.run, Replan.state == ReplanState.RUNNING
    )
    if not ours.execute():
        raise _NotOurs


def loop(clock: Clock, stop: threading.Event) -> None:
    """Plan after plan until `stop` is set."""
    while not stop.is_set():
        try:
            with connected():
                found = run(clock)
            if found:
                continue
        except Exception as error:  # The planner outlives a locked or full disk.
            log.error("planner: this round failed\n%s", trace(error))
        stop.wait(PAUSE_SECONDS)
    database.close()


def start(clock: Clock, stop: threading.Event) -> None:
    """Run the loop beside the server, or beside the worker, until `stop` is set."""
    threading.Thread(target=loop, args=(clock, stop), name="planner", daemon=True).start()
