"""What the machine does not allow a command to do, told to the operator in one sentence."""

import copy
import errno
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import apsw
import click
from peewee import DatabaseError, InterfaceError, OperationalError

LOOK = "Mire qué pasa con: flask --app app doctor"


def calm(command: click.Command) -> click.Command:
    """The same command, or group of commands, which ends with a sentence where others trace."""
    same = copy.copy(command)
    same.invoke = partial(_invoke, command)  # type: ignore[method-assign]
    return same


def _invoke(command: click.Command, context: click.Context) -> Any:
    with _told():
        return command.invoke(context)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, apsw.Error) as error:
        raise click.ClickException(_book(error)) from error
    except DatabaseError as error:
        if type(error) is not DatabaseError:  # A row that was refused is a defect of ours.
            raise
        raise click.ClickException(_book(error)) from error
    except OSError as error:
        if error.errno in (None, errno.EPIPE):  # Whoever read our output has had enough.
            raise
        where = f"{error.filename}: " if error.filename else ""
        raise click.ClickException(
            f"El sistema no lo permite: {where}{error.strerror}. {LOOK}"
        ) from error


def _book(error: Exception) -> str:
    return f"El libro no se puede leer o escribir: {str(error).strip()}. {LOOK}"
