"""`flask simulate`: a seed is a story that can be told again, and a missing guard ends it."""

import pytest

from booking import gateway
from booking.models import Appointment

pytestmark = pytest.mark.sqlite  # A simulated practice has a book of its own.

SHORT = ("--days", "2", "--steps", "12")


@pytest.fixture
def simulate(app):
    """Run the command: its output and exit code."""
    return lambda *arguments: app.test_cli_runner().invoke(args=["simulate", *arguments])


def test_the_same_seed_tells_the_same_story_to_the_letter(simulate):
    first, again = (simulate("--seed", "7", *SHORT, "--log") for _ in range(2))
    assert first.exit_code == 0, first.output
    assert first.output == again.output
    assert "Semilla 7 (huella " in first.output
    assert "24 pasos. Se cumplen todas las garantías." in first.output
    other = simulate("--seed", "8", *SHORT, "--log")
    assert other.output != first.output


def test_the_own_book_is_not_touched_but_its_practice_is_played(simulate, ana):
    before = Appointment.select().count()
    played = simulate("--seed", "1", *SHORT)
    assert played.exit_code == 0, played.output
    assert Appointment.select().count() == before
    assert ana.email == type(ana).get_by_id(ana.id).email


def test_a_guard_that_is_missing_is_found_and_the_story_can_be_seen_again(simulate, monkeypatch):
    monkeypatch.setattr(gateway, "answer_to", lambda key: None)
    monkeypatch.setattr(gateway, "remember", lambda key, row, *, now: None)
    found = simulate("--seed", "1", "--seeds", "10", *SHORT)
    assert found.exit_code == 1
    assert "Falla en el paso" in found.output
    command = found.output.strip().splitlines()[-1].partition("simulate ")[2]
    again = simulate(*command.split())
    assert again.exit_code == 1
    failure = next(line for line in found.output.splitlines() if line.startswith("Falla"))
    assert failure in again.output


def test_a_story_can_be_stopped_at_a_step(simulate):
    stopped = simulate("--seed", "1", *SHORT, "--until-step", "5")
    assert stopped.exit_code == 0
    assert " 5 pasos." in stopped.output


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--days", "0"), "--days"),
        (("--steps", "muchos"), "--steps"),
        (("--seed", "-1"), "--seed"),
        (("--until-step", "0"), "--until-step"),
    ],
)
def test_an_option_that_makes_no_sense_is_named(simulate, arguments, named):
    told = simulate(*arguments)
    assert told.exit_code == 2
    assert named in told.output
    assert "Traceback" not in told.output


@pytest.mark.long
def test_a_year_of_a_practice_breaks_nothing(simulate):
    year = simulate("--seed", "42", "--days", "365", "--steps", "8")
    assert year.exit_code == 0, year.output
