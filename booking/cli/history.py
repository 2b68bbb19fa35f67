"""`flask history`: whether what happened to each appointment is still what was written."""

import click
from flask.cli import AppGroup

from booking import db
from booking import history as chains
from booking.models import Appointment

WHY = {
    "altered": "este cambio, o uno anterior, no es el que se anotó",
    "missing": "falta este cambio",
    "shortened": "faltan los últimos cambios, desde este",
}

history = AppGroup("history", help="The append-only history of the appointments.")


@history.command("verify")
@click.argument("appointment", type=click.IntRange(1, 2**63 - 1), required=False)
def verify(appointment: int | None) -> None:
    """Follow the hash chain of APPOINTMENT, or of all; exit code 1 when one is broken."""
    db.migrate()
    if appointment is not None and Appointment.get_or_none(id=appointment) is None:
        raise click.ClickException(f"No hay ninguna cita {appointment}.")
    found = chains.verify(appointment)
    for broken in found.broken:
        click.echo(f"Cita {broken.appointment_id}, cambio {broken.version}: {WHY[broken.why]}.")
    click.echo(f"Cambios revisados: {found.rows}. Citas con daños: {len(found.broken)}.")
    click.echo(f"Huella: {found.fingerprint}")
    if found.broken:
        raise SystemExit(1)
