"""A page always gets proposals: from the child process, or quick ones without it."""

import os
import signal

import pytest

import solver
from booking import solving
from solver import Block, Clinician, Modality, Policy, Problem, Request, Service, Window

DAY = 24 * 60
MONDAY = 29_000_160  # A midnight in UTC.


def problem() -> Problem:
    hours = tuple(
        Block(Window(MONDAY + n * DAY + 9 * 60, MONDAY + n * DAY + 17 * 60), None)
        for n in range(1, 20)
    )
    return Problem(
        zone="UTC",
        policy=Policy(now=MONDAY),
        services=(Service(id="s", duration=50, modalities=frozenset({Modality.TELEHEALTH})),),
        clinicians=(Clinician(id="c", services=frozenset({"s"}), blocks=hours),),
        requests=(
            Request(
                id="r",
                service="s",
                asked_start=MONDAY + DAY + 600,
                asked_clinician="c",
                clients=("p",),
            ),
        ),
    )


@pytest.fixture
def child():
    yield solving._child
    solving.close()


def test_the_child_proves_what_it_proposes(child):
    found = solving.propose(problem(), deadline_seconds=30)
    assert found.proven
    assert found == solver.propose(problem())


def test_a_slow_child_is_replaced_by_quick_proposals_that_hold(child):
    found = solving.propose(problem(), deadline_seconds=0.000_001)
    assert not found.proven
    assert len(found.proposals) == 5
    assert solver.check(problem(), found) == []


def test_a_killed_child_costs_no_page_its_proposals(child):
    assert solving.propose(problem(), deadline_seconds=30).proven
    os.kill(child._process.pid, signal.SIGKILL)
    child._process.wait()
    assert len(solving.propose(problem(), deadline_seconds=30).proposals) == 5
    assert solving.propose(problem(), deadline_seconds=30).proven
