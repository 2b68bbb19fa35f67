"""`flask backup` and `flask restore`: a copy of the book, and the book from a copy."""

import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from flask import current_app
from flask.cli import with_appcontext

from booking import backup, db, doctor, spanish, tenancy
from booking.backup import BackupError, Contents
from booking.doctor import Verdict
from booking.levels import DatabaseIsNewer
from booking.models import Practice
from booking.operations import accounts
from booking.settings import Settings

PATH = click.Path(dir_okay=False, path_type=Path)


@click.command("backup")
@click.argument("file", type=PATH, required=False)
@with_appcontext
def back_up(file: Path | None) -> None:
    """Copy the book into FILE while it is in use (or into the folder of copies)."""
    settings: Settings = current_app.extensions["settings"]
    lacking = doctor.unready()
    if lacking:
        raise click.ClickException(lacking)
    try:
        made = backup.make(settings, file or _by_the_time(settings))
        contents = backup.contents_of(made)
    except BackupError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{made}: {_holds(contents)}. Contiene datos personales: guárdelo bien.")


def _holds(contents: Contents) -> str:
    return spanish.counted(contents.appointments, "cita", "citas")


def _by_the_time(settings: Settings) -> Path:
    now = current_app.extensions["clock"].now().astimezone(ZoneInfo(Practice.get().zone))
    return backup.place(settings, f"{now:%Y-%m-%d-%H%M%S}")


@click.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@with_appcontext
def restore(file: Path) -> None:
    """Put the copy FILE in the place of an empty book, and examine it. Overwrites no live one."""
    settings: Settings = current_app.extensions["settings"]
    try:
        contents = backup.restore(file, settings)
        db.migrate()
        accounts.close_restored_doors(now=current_app.extensions["clock"].now())
    except tenancy.AlreadyServed as other:
        raise click.ClickException(
            f"Un servidor o un flask worker trabaja todavía con {other.path}, o con lo que estaba"
            " ahí. Detenga todos los de esa carpeta y repita."
        ) from other
    except (BackupError, DatabaseIsNewer) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Restaurado de {file}: {_holds(contents)}.")
    click.echo(
        "Todos entran de nuevo: se cerraron las sesiones, los dispositivos y los enlaces del"
        " respaldo. Las cuentas que se cerraron y las personas que se borraron después de la copia"
        " vuelven a estar: ciérrelas y bórrelas otra vez (flask account disable, flask person"
        " erase). Los correos que esperaban al hacerla salen al iniciar, quizá por segunda vez."
    )
    lacking = doctor.unready()
    if lacking:
        click.echo(f"No hay nada que examinar: {lacking}")
        return
    broken = [each for each in doctor.promises() if each.verdict is Verdict.WRONG]
    for finding in broken:
        click.echo(f"✗ {finding.check} {finding.words}: {'; '.join(finding.rows)}", err=True)
    if broken:
        click.echo("El respaldo no cumple lo anterior.", err=True)
        sys.exit(1)
    click.echo("Cumple todo lo que se revisa. Ya puede iniciar el portal: flask --app app serve")
