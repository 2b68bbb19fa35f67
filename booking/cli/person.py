"""`flask person`: what is kept about somebody, who looked at it, and forgetting it."""

import json

import click
from flask import current_app
from flask.cli import AppGroup

from booking import db
from booking.mailer import FolderMailer
from booking.operations import erasing
from booking.queries import person as queries
from booking.queries.person import Person

person = AppGroup("person", help="The data of one person.")


def _find(email: str) -> Person:
    db.migrate()
    found = queries.by_email(email)
    if found is None:
        raise click.ClickException("No hay ninguna persona con ese correo.")
    return found


@person.command("export")
@click.argument("email")
def export(email: str) -> None:
    """Print, as JSON, all that is kept about whoever has this address."""
    found = queries.export(_find(email), now=current_app.extensions["clock"].now())
    click.echo(json.dumps(found, ensure_ascii=False, indent=2))


@person.command("reads")
@click.argument("email")
def reads(email: str) -> None:
    """Print who of the staff saw this person's data, and when."""
    for row in queries.reads(_find(email).clients):
        click.echo(f"{row.at:%Y-%m-%d %H:%M} UTC  {row.account.name}  {row.page}")


@person.command("erase")
@click.argument("email")
@click.confirmation_option(prompt="Esto no se puede deshacer. ¿Borrar los datos?")
def erase(email: str) -> None:
    """Erase whoever has this address: names, addresses, telephones, notes."""
    found = _find(email)
    try:
        erasing.erase(found, now=current_app.extensions["clock"].now())
    except erasing.StillOpen as pending:
        ids = ", ".join(str(row.id) for row in pending.appointments)
        raise click.ClickException(f"Tiene citas abiertas; cancélelas antes: {ids}.") from pending
    mailer = current_app.extensions["mailer"]
    if isinstance(mailer, FolderMailer):
        mailer.forget(found.emails)
    click.echo(
        "Datos borrados. Los respaldos anteriores todavía los tienen: los de cada noche, hasta un"
        " año; los hechos a mano con flask backup, hasta que usted los borre. Si restaura alguno,"
        " borre otra vez a esta persona."
    )
