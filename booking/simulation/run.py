"""Days and weeks of a practice from one seed: the same seed tells the same story, to the letter."""

import hashlib
import logging
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from booking import db, practice_file
from booking.models import Practice
from booking.settings import Settings
from booking.simulation.life import STEPS, Life, unless_idle

BEGINNING = datetime(2027, 3, 1, 14, 0, tzinfo=UTC)  # A Monday morning in America.
DAYS_AHEAD = (1, 1, 2, 2, 3, 4, 5, 7, 8, 14, 45, 70)
PEOPLE = 12
NIGHT = timedelta(hours=13)

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What is to be lived through."""

    seed: int
    days: int = 365
    steps: int = 20
    """A day, between morning and evening."""
    until_step: int | None = None


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What happened, and what was wrong, if anything was."""

    story: Story
    steps: int = 0
    counted: Counter[str] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)
    wrong: str = ""

    @property
    def fingerprint(self) -> str:
        """Of all that was told: two runs that agree in it are the same run."""
        return hashlib.sha256("\n".join(self.told).encode()).hexdigest()[:16]


def simulate(story: Story, practice: str, settings: Settings, *, progress: Progress) -> Outcome:
    """Live through a story in a book of its own, which is thrown away; `practice` is a file's text.

    The database handle of this process points at that book until it is over.
    """
    # What backs off by a random time is ours to repeat, too.
    random.seed(story.seed)
    with _quietly(), tempfile.TemporaryDirectory() as folder, _another_book(Path(folder), settings):
        db.migrate()
        practice_file.load(practice, now=BEGINNING)
        dice = random.Random(story.seed)  # noqa: S311 - nothing here is secret.
        life = Life(
            dice, replace(settings, data_dir=Path(folder)), now=BEGINNING, days_ahead=DAYS_AHEAD
        )
        return _live(life, story, progress)


def _live(life: Life, story: Story, progress: Progress) -> Outcome:
    outcome = Outcome(story=story, counted=life.counted, told=life.told)
    try:
        life.populate(PEOPLE)
        for day in range(story.days):
            progress(day, story.days)
            for _ in range(story.steps):
                if outcome.steps == story.until_step:
                    return outcome
                outcome.steps += 1
                with unless_idle():
                    life.step(_choose(life))
            _evening(life)
    except Exception as error:  # Whatever it is, it is what the simulation is for.
        outcome.wrong = f"{type(error).__name__}: {error}"
    return outcome


def _choose(life: Life) -> Callable[[Life], None]:
    """What is done next; a manager changes hours about once a week."""
    return Life.change_hours if life.dice.random() < 0.007 else life.dice.choice(STEPS)


def _evening(life: Life) -> None:
    """The invariants, of all rows; then it is the next morning, and now and then somebody is new.

    Raises:
        Disagreement: something is not as it should be.
    """
    life.check()
    life.told.append(f"evening of {life.now:%Y-%m-%d}")
    life.now = (life.now + NIGHT).replace(hour=BEGINNING.hour, minute=0, second=0)
    life.run_deadlines()
    with unless_idle():
        life.step(Life.send_mail)
    if life.dice.random() < 0.3:
        life.new_account("Alguien nuevo", known=False)


@contextmanager
def _another_book(folder: Path, settings: Settings) -> Any:
    usual = db.database.obj
    if usual is not None:
        usual.close()
    handle: Any = db.connect(
        replace(settings, data_dir=folder, database_url=f"sqlite:///{folder / 'simulacion.db'}")
    )
    handle.pragma("synchronous", "off", permanent=True)  # It need not survive a power cut.
    try:
        yield
    finally:
        handle.close()
        db.database.initialize(usual)


@contextmanager
def _quietly() -> Any:
    """Mail that fails is what is wanted here, and is counted."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def practice_of(root: Path) -> str:
    """The practice of the user's own settings when there is one, else the demonstration's."""
    if db.database.table_exists("practice") and Practice.get_or_none() is not None:
        return practice_file.show()
    return (root / "demo" / "consultorio.toml").read_text()
