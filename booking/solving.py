"""Runs the solver in child processes with a deadline, so that a page always gets an answer.

OR-Tools takes most of a second and some 80 MB to import: a warm child pays for that once. When it
is slow, dies or is killed, the greedy proposals take its place, marked as unproven. A joint plan
gets a child of its own, so that no denial waits behind it.
"""

import atexit
import contextlib
import gc
import logging
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO

import solver

DEADLINE_SECONDS = 2.5
REPLAN_SECONDS = 120.0
BEAT_SECONDS = 1.0
ROOT = Path(__file__).parent.parent
READY = "ready"
GONE = "gone"

Report = Callable[[solver.Progress | None], None]

log = logging.getLogger(__name__)


class _Child:
    """The process that has OR-Tools loaded; started when first needed, replaced when lost."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: queue.Queue[object] = queue.Queue()
        self._importing = False

    def ask(self, problem: solver.Problem, deadline_seconds: float) -> solver.Result | None:
        """The child's answer, or None when there is none in time."""
        if not self._turn.acquire(timeout=deadline_seconds):
            return None
        try:
            if self._process is None or self._process.poll() is not None:
                self._start()
            if self._importing:
                self._answers.get(timeout=deadline_seconds)
                self._importing = False
            assert self._process is not None
            assert self._process.stdin is not None
            # A copy goes over, without the tables derived on this side.
            pickle.dump(replace(problem), self._process.stdin, pickle.HIGHEST_PROTOCOL)
            self._process.stdin.flush()
            answer = self._answers.get(timeout=deadline_seconds)
            if isinstance(answer, solver.Result):
                return answer
            log.error("solver: %s", answer)
        except (OSError, queue.Empty) as error:
            log.warning("solver: no answer (%s)", type(error).__name__)
            if not self._importing:  # It will be there for the next one.
                self._stop()
        finally:
            self._turn.release()
        return None

    def _start(self) -> None:
        self._stop()
        self._process, self._answers = _spawn("propose")
        self._importing = True

    def _stop(self) -> None:
        if self._process is not None:
            _end(self._process)
        self._process = None

    def warm_up(self) -> None:
        """Start importing now, and do not wait for it."""
        with self._turn:
            if self._process is None:
                self._start()

    def close(self) -> None:
        with self._turn:
            self._stop()


_child = _Child()
atexit.register(_child.close)
warm_up = _child.warm_up
close = _child.close


def propose(
    problem: solver.Problem, *, deadline_seconds: float = DEADLINE_SECONDS
) -> solver.Result:
    """The proven best proposals, or the greedy ones when the child cannot say in time."""
    return _child.ask(problem, deadline_seconds) or solver.greedy(problem)


def replan(
    problem: solver.Problem,
    report: Report,
    *,
    deadline_seconds: float = REPLAN_SECONDS,
) -> solver.Result | None:
    """A joint plan, or None when the child dies or is too slow.

    `report` hears how far the search is, and None every second without news; what it raises ends
    the search.
    """
    end = time.monotonic() + deadline_seconds
    process, answers = _spawn("replan")
    try:
        while (left := end - time.monotonic()) > 0:
            try:
                answer = answers.get(timeout=min(BEAT_SECONDS, left))
            except queue.Empty:
                answer = None
            if isinstance(answer, solver.Result):
                return answer
            if answer not in (None, READY) and not isinstance(answer, solver.Progress):
                log.error("solver: %s", answer)
                return None
            report(answer if isinstance(answer, solver.Progress) else None)
            if answer == READY:
                assert process.stdin is not None
                pickle.dump(replace(problem), process.stdin, pickle.HIGHEST_PROTOCOL)
                process.stdin.flush()
        log.warning("solver: no joint plan in %s seconds", deadline_seconds)
    except OSError as error:
        log.warning("solver: no joint plan (%s)", type(error).__name__)
    finally:
        _end(process)
    return None


def _spawn(task: str) -> tuple[subprocess.Popen[bytes], "queue.Queue[object]"]:
    """A child that answers `propose` or `replan`, and what it says."""
    process = subprocess.Popen(
        [sys.executable, "-m", "booking.solving", task],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    answers: queue.Queue[object] = queue.Queue()
    threading.Thread(target=_listen, args=(process.stdout, answers), daemon=True).start()
    return process, answers


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            assert pipe is not None
            pipe.close()


def _listen(pipe: IO[bytes], answers: "queue.Queue[object]") -> None:
    with contextlib.suppress(EOFError, OSError, ValueError, pickle.UnpicklingError):
        while True:
            # The other end is our own child, started by us with our own code.
            answers.put(pickle.load(pipe))  # noqa: S301
    answers.put(GONE)


def serve(task: str) -> None:
    """The child's life: answer until the other end closes, or one joint plan."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # Whatever a library prints must not mix with the answers.
    from solver import model  # noqa: F401 - warming up is what this process is for.

    gc.freeze()  # What was imported stays: the collector need not go through it at each answer.

    def answer(value: object) -> None:
        pickle.dump(value, answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()

    with contextlib.suppress(EOFError, KeyboardInterrupt, BrokenPipeError):
        answer(READY)
        while True:
            problem = pickle.load(sys.stdin.buffer)  # noqa: S301
            try:
                answer(
                    solver.propose(problem)
                    if task == "propose"
                    else solver.replan(problem, report=answer)
                )
            except Exception as error:  # The parent has proposals of its own; it logs this.
                answer(repr(error))


if __name__ == "__main__":
    serve(sys.argv[1])
