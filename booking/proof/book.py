"""The throw-away book: of the same kind as the operator's, with their set-up and nobody in it."""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import psycopg

from booking import db, practice_file
from booking.models import Clinician, Practice
from booking.settings import Environment, Settings

HORIZON_DAYS = 365
PENDING = 50


class NoBook(Exception):
    """There is no place for a throw-away book; the text says what to do about it."""


@contextmanager
def throwaway(
    settings: Settings, practice: str, *, port: int, smtp_url: str, now: datetime
) -> Iterator[Settings]:
    """A book of its own beside the operator's, gone with the block; models point at it meanwhile.

    Raises:
        NoBook: the database's role may not create one.
    """
    with (
        tempfile.TemporaryDirectory(prefix="citaclara-", ignore_cleanup_errors=True) as folder,
        _database(settings, Path(folder)) as url,
    ):
        copy = replace(
            settings,
            environment=Environment.DEMO,  # Plain http, as on loopback it has to be.
            data_dir=Path(folder),
            database_url=url,
            secret_key=secrets.token_urlsafe(48),
            base_url=f"http://127.0.0.1:{port}",
            smtp_url=smtp_url,
            mail_from="citas@example.com",
            qa_key=None,  # Several processes, and a clock that runs.
        )
        try:
            db.connect(copy)
            db.migrate()
            practice_file.load(practice, now=now)
            _make_room()
            yield copy
        finally:
            _disconnect()
            db.connect(settings)


def _make_room() -> None:
    """A crowd needs more times than two months have, and one person asks more than once."""
    with db.transaction():
        Practice.update(horizon_days=HORIZON_DAYS, max_pending=PENDING).execute()
        Clinician.update(horizon_days=None).execute()


def _disconnect() -> None:
    db.database.close()
    close_all = getattr(db.database.obj, "close_all", None)
    if close_all is not None:
        close_all()


@contextmanager
def _database(settings: Settings, folder: Path) -> Iterator[str]:
    if not settings.on_postgresql:
        yield f"sqlite:///{folder / 'citas.db'}"
        return
    name = f"citaclara_prueba_{secrets.token_hex(4)}"
    with psycopg.connect(settings.database_url, autocommit=True) as own:
        try:
            own.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
        except psycopg.errors.InsufficientPrivilege:
            raise NoBook(
                "Para probar hace falta una base de datos aparte, y este usuario de PostgreSQL no"
                " puede crearla. Dele permiso con: ALTER ROLE … CREATEDB"
            ) from None
    try:
        yield _beside(settings.database_url, name)
    finally:
        with psycopg.connect(settings.database_url, autocommit=True) as own:
            own.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _beside(url: str, name: str) -> str:
    """The address of another database of the same server."""
    address, mark, options = url.partition("?")
    host = address.removeprefix("postgresql://").partition("/")[0]
    return f"postgresql://{host}/{name}{mark}{options}"
