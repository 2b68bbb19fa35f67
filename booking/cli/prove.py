"""`flask prove`: the promises of the portal, tried on this machine with this practice's set-up."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from flask.sessions import SecureCookieSessionInterface

from booking import db, practice_file
from booking.clock import SystemClock
from booking.models import Practice
from booking.proof import scenarios
from booking.proof.book import NoBook
from booking.proof.deadline import OutOfTime
from booking.proof.outcome import Outcome, Size
from booking.proof.processes import DidNotStart
from booking.proof.scenarios import Scenario
from booking.proof.stage import Stage, staged
from booking.proof.times import NothingToAskFor

TIMES = 2  # As long as was asked for, before nothing more is begun.


@click.command("prove")
@click.option("--seconds", default=60, show_default=True, type=click.IntRange(10, 3600))
@click.option("--only", type=click.Choice(list(scenarios.ALL)), multiple=True)
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
@with_appcontext
def prove(seconds: int, only: tuple[str, ...], as_json: bool) -> None:
    """Try on a throw-away book that nothing is lost or doubled; 1 if anything is not as promised.

    After twice --seconds nothing more is begun; 2 if something was left out for that.

    Races, kills and lost mail, with real servers on this machine only. Your book is not touched.
    """
    names = only or tuple(scenarios.ALL)
    try:
        outcomes = _play(names, seconds, quiet=as_json)
    except (NoBook, NothingToAskFor, DidNotStart) as error:
        raise click.ClickException(str(error)) from error
    click.echo(_json(outcomes) if as_json else _table(outcomes))
    left_out = [name for name in names if name not in {outcome.name for outcome in outcomes}]
    if left_out:
        click.echo(
            f"No alcanzó el tiempo para {', '.join(left_out)}: dé más con --seconds, o elija con"
            " --only.",
            err=True,
        )
    if not all(outcome.held for outcome in outcomes):
        raise click.exceptions.Exit(1)
    if left_out:
        raise click.exceptions.Exit(2)


def _play(names: tuple[str, ...], seconds: int, *, quiet: bool) -> list[Outcome]:
    """What was seen of each scenario that there was time for."""
    size = Size.fitting(seconds)
    total = sum(scenarios.steps(name, size) for name in names)
    hidden = quiet or not sys.stderr.isatty()
    with (
        click.progressbar(
            length=total,
            label="Probando",
            file=sys.stderr,
            hidden=hidden,
        ) as bar,
        staged(
            current_app.extensions["settings"],
            _practice(),
            clock=SystemClock(),  # That of the servers, which are processes of their own.
            signer=cookie,
            advance=bar.update,
            seconds=TIMES * seconds,
        ) as stage,
    ):
        played = (_in_time(stage, scenarios.ALL[name], size) for name in names)
        return [outcome for outcome in played if outcome is not None]


def _in_time(stage: Stage, scenario: Scenario, size: Size) -> Outcome | None:
    """What was seen of the whole of it; half of it says nothing."""
    try:
        stage.deadline.check()
        outcome = scenario(stage, size)
    except OutOfTime:
        return None
    return None if stage.deadline.missed else outcome


def _practice() -> str:
    """The set-up of this practice, or the demo's where there is none yet."""
    db.migrate()
    if Practice.get_or_none() is not None:
        return practice_file.show()
    return (Path(current_app.root_path) / "demo" / "consultorio.toml").read_text()


def cookie(secret_key: str, token: str) -> str:
    """What a browser would hold for a session, as a portal with this secret signs it."""
    portal = Flask("proof")
    portal.secret_key = secret_key
    serializer = SecureCookieSessionInterface().get_signing_serializer(portal)
    assert serializer is not None
    return str(serializer.dumps({"_user_id": token, "_fresh": True}))


def _table(outcomes: list[Outcome]) -> str:
    lines = []
    wide = 2 + max((len(each.what) for outcome in outcomes for each in outcome.findings), default=0)
    for outcome in outcomes:
        lines += ["", outcome.promise, f"  {'':<{wide}}{'promesa':>9}{'visto':>9}"]
        for finding in outcome.findings:
            promised = f"≤ {finding.promised}" if finding.most else str(finding.promised)
            verdict = "bien" if finding.held else "MAL"
            lines.append(f"  {finding.what:<{wide}}{promised:>9}{finding.seen:>9}  {verdict}")
        lines += [f"  · {note}" for note in outcome.notes]
    kept = sum(outcome.held for outcome in outcomes)
    return "\n".join([*lines, "", f"Se cumplen {kept} de {len(outcomes)} promesas."])


def _json(outcomes: list[Outcome]) -> str:
    found = [asdict(outcome) | {"held": outcome.held} for outcome in outcomes]
    return json.dumps(found, ensure_ascii=False, indent=2)
