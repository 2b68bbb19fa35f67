"""`flask account`: what the operator does for somebody who cannot, or must not, enter."""

from datetime import datetime

import click
from flask import current_app
from flask.cli import AppGroup

from booking.models import Account
from booking.operations import accounts, second_factor
from booking.operations.changing_email import AddressTaken
from booking.operations.signing_in import is_address

account = AppGroup("account", help="Who may sign in, and with what.")


@account.command("reset-factor")
@click.argument("email")
def reset_factor(email: str) -> None:
    """Remove the second factor of EMAIL, who activates another one on entering."""
    found = _account(email)
    if not second_factor.remove(found, by=None, now=_now()):
        raise click.ClickException(f"{found.email} no tiene la verificación activa.")
    click.echo(f"Quitada. Se cerraron las sesiones de {found.email} y se le avisará por correo.")


@account.command("disable")
@click.argument("email")
def disable(email: str) -> None:
    """Close the sessions of EMAIL and let nobody in with that address."""
    found = _account(email)
    changed = accounts.disable(found, now=_now())
    click.echo(f"{found.email} ya no puede entrar." if changed else "Sin cambios.")


@account.command("enable")
@click.argument("email")
def enable(email: str) -> None:
    """Let EMAIL sign in again."""
    found = _account(email)
    changed = accounts.enable(found, now=_now())
    click.echo(f"{found.email} puede entrar de nuevo." if changed else "Sin cambios.")


@account.command("change-email")
@click.argument("old")
@click.argument("new")
def change_email(old: str, new: str) -> None:
    """Move the client who signs in with OLD to NEW, when OLD cannot be opened any more.

    Make sure of who is asking: whoever reads NEW can enter from then on.
    """
    found, email = _account(old), new.strip().lower()
    if not is_address(email):
        raise click.ClickException(f"{new} no es un correo electrónico completo.")
    try:
        accounts.change_email(found, email, now=_now())
    except accounts.FromPracticeFile:
        raise click.ClickException(
            f"La dirección {found.email} es de quien atiende: cámbiela en el archivo del"
            " consultorio."
        ) from None
    except AddressTaken:
        raise click.ClickException(f"Ya hay una cuenta con la dirección {email}.") from None
    click.echo(f"Ahora entra con {email}. Se cerraron sus sesiones y se avisará a las dos.")


def _account(email: str) -> Account:
    try:
        return accounts.by_email(email)
    except accounts.NoSuchAccount:
        raise click.ClickException(f"Nadie entra con la dirección {email}.") from None


def _now() -> datetime:
    now: datetime = current_app.extensions["clock"].now()
    return now
