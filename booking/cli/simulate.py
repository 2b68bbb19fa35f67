"""`flask simulate`: a seeded practice in which everything goes wrong, and nothing may be lost."""

import sys
from collections import Counter
from pathlib import Path

import click
from flask import current_app
from flask.cli import with_appcontext

from booking import simulation
from booking.simulation import Outcome, Story

ANSWERS = {
    "done": "hechas",
    "AlreadyMoving": "ya se estaba cambiando",
    "AlreadyPlanned": "ya había un plan",
    "AlreadyReported": "ya estaba avisado",
    "ChangedMeanwhile": "había cambiado mientras tanto",
    "IllegalTransition": "ya no era posible",
    "NotAllowed": "fuera de plazo",
    "NotForThisClient": "servicio para otras personas",
    "NotFree": "no estaba libre",
    "NotYours": "de otra persona",
    "OfferGone": "el horario ya no estaba guardado",
    "OffersOverlap": "dos ofertas a la vez",
    "SlotTaken": "otra persona tenía ya ese tiempo",
    "TooLateToUndo": "tarde para deshacer",
    "TooManyPending": "demasiadas sin respuesta",
    "TooManySessions": "demasiadas sesiones para un plan",
}


@click.command("simulate")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0), help="La semilla.")
@click.option(
    "--days", default=365, show_default=True, type=click.IntRange(1, 3_650), help="Cuántos días."
)
@click.option(
    "--steps", default=20, show_default=True, type=click.IntRange(1, 1_000), help="Pasos por día."
)
@click.option("--until-step", type=click.IntRange(1), help="Detenerse después de este paso.")
@click.option(
    "--seeds", default=1, show_default=True, type=click.IntRange(1, 1_000_000),
    help="Cuántas semillas, desde --seed.",
)  # fmt: skip
@click.option("--log", "tell", is_flag=True, help="Contar todo lo que pasó.")
@with_appcontext
def simulate(
    seed: int, days: int, steps: int, until_step: int | None, seeds: int, tell: bool
) -> None:
    """Vive DAYS días de un consultorio en una agenda desechable y comprueba que nada se pierda.

    La misma semilla cuenta la misma historia.
    """
    practice = simulation.practice_of(Path(current_app.root_path))
    settings = current_app.extensions["settings"]
    counted: Counter[str] = Counter()
    taken = 0
    for number in range(seed, seed + seeds):
        story = Story(seed=number, days=days, steps=steps, until_step=until_step)
        outcome = simulation.simulate(story, practice, settings, progress=_progress)
        counted += outcome.counted
        taken += outcome.steps
        if tell:
            click.echo("\n".join(outcome.told))
        if outcome.wrong:
            _explain(outcome)
            sys.exit(1)
    click.echo(_table(counted))
    last = f" (huella {outcome.fingerprint})" if seeds == 1 else f" a {seed + seeds - 1}"
    click.echo(f"Semilla {seed}{last}: {taken} pasos. Se cumplen todas las garantías.")


def _progress(day: int, days: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r  día {day + 1} de {days}", nl=day + 1 == days, err=True)


def _explain(outcome: Outcome) -> None:
    """What went wrong, after what, and how to see it again."""
    story = outcome.story
    click.echo("Lo último que pasó:")
    for line in outcome.told[-12:]:
        click.echo(f"  {line}")
    click.echo(f"\nFalla en el paso {outcome.steps} de la semilla {story.seed}: {outcome.wrong}\n")
    click.echo(
        f"Para repetirlo: flask --app app simulate --seed {story.seed} --days {story.days}"
        f" --steps {story.steps} --until-step {outcome.steps} --log"
    )


def _table(counted: Counter[str]) -> str:
    """What was done or refused how often, and the rest that happened."""
    lines = []
    for event, count in sorted(counted.items()):
        verb, colon, answer = event.partition(": ")
        words = f"{verb}: {ANSWERS.get(answer, answer)}" if colon else verb
        lines.append(f"  {count:>8}  {words}")
    return "\n".join(lines)
