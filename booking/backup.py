"""Copies of the book: taken while it is in use, checked before they count, rotated, put back."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

import apsw
from peewee import PeeweeException

from booking import locks, private, spanish, tenancy
from booking.db import database, is_damage, transaction
from booking.levels import Level, level_of
from booking.logs import InOurWords
from booking.models import ALL, Account, Appointment, Practice
from booking.settings import Settings

AFTER_HOUR = 3  # By the practice's clock; whoever is asleep then makes the copy on waking up.
DAYS, WEEKS, MONTHS = 7, 4, 12
NIGHTLY = re.compile(r"citas-(\d{4}-\d\d-\d\d)\.(db|dump)")
DATED = re.compile(r"citas-(\d{4}-\d\d-\d\d)(-\d{6})?\.(db|dump)")  # By hand, too.
LOCK_SECONDS = 60  # What a migration may hold up a copy for.
TOOL_SECONDS = 900  # A book of 200,000 appointments takes 9; the worker waits meanwhile.
LEVEL_ROW = re.compile(r"\t(\d{4}_\w+)\t")


class BackupError(InOurWords):
    """It cannot be done; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a copy holds."""

    is_sqlite: bool
    level: Level
    appointments: int


def folder(settings: Settings) -> Path:
    """Where the nightly copies are."""
    return settings.data_dir / "respaldos"


def place(settings: Settings, stamp: str) -> Path:
    """Where a copy goes that is called by its time."""
    suffix = "db" if settings.sqlite_path else "dump"
    return folder(settings) / f"citas-{stamp}.{suffix}"


def makes_copies(settings: Settings) -> bool:
    """Whether this machine is one that makes them: SQLite's only one, or one that has workers."""
    return bool(settings.sqlite_path) or _turn(settings).exists()


def _turn(settings: Settings) -> Path:
    """Whose lock the worker has that makes tonight's copy; there once a worker looked."""
    return folder(settings) / ".turno"


def make(settings: Settings, target: Path) -> Path:
    """A consistent copy of the book at this moment, readable by its owner alone.

    It has its name only once it is complete, on disk, and found sound.

    Raises:
        BackupError: the name is taken, or what was written is not sound.
    """
    if target.exists():
        raise BackupError(f"{target} ya existe. Elija otro nombre.")
    private.folder(target.parent)
    number, name = tempfile.mkstemp(dir=target.parent, prefix=".citas-", suffix=".parcial")
    os.close(number)
    unfinished = Path(name)
    try:
        if settings.sqlite_path:
            database.execute_sql("VACUUM INTO ?", (name,))
        else:
            patience = f"--lock-wait-timeout={LOCK_SECONDS}s"
            _run("pg_dump", settings, "--format=custom", patience, f"--file={name}")
        contents_of(unfinished)
        _reach_the_disk(unfinished)
        unfinished.replace(target)
        _reach_the_disk(target.parent)
    finally:
        unfinished.unlink(missing_ok=True)
    return target


def nightly(settings: Settings, *, now: datetime) -> Path | None:
    """Today's copy if it is time and there is none yet; of two workers one makes it."""
    local = now.astimezone(ZoneInfo(Practice.get().zone))
    target = place(settings, f"{local:%Y-%m-%d}")
    if local.hour < AFTER_HOUR or target.exists():
        return None
    private.folder(target.parent)
    with private.file(_turn(settings)).open("a") as turn:
        if not locks.lock_now(turn.fileno()) or target.exists():
            return None
        for left in target.parent.glob(".citas-*.parcial"):  # By a worker that died at it.
            left.unlink()
        make(settings, target)
        _rotate(target.parent)
    return target


def copies(settings: Settings) -> dict[date, Path]:
    """The nightly copies by their day."""
    found: dict[date, Path] = {}
    for path in folder(settings).glob("citas-*"):
        named = NIGHTLY.fullmatch(path.name)
        if named:
            found[date.fromisoformat(named[1])] = path
    return found


def newest(settings: Settings) -> tuple[date, Path] | None:
    """The last copy in the folder, whoever made it, and of which day it is."""
    found = [
        (named[0], date.fromisoformat(named[1]), path)
        for path in folder(settings).glob("citas-*")
        if (named := DATED.fullmatch(path.name))
    ]
    return max(found)[1:] if found else None


def kept(days: Iterable[date]) -> set[date]:
    """Of which days a copy stays: the last ones, and the last of each week and each month."""
    latest = sorted(days, reverse=True)
    weeks: dict[object, date] = {}
    months: dict[object, date] = {}
    for day in latest:
        weeks.setdefault(day.isocalendar()[:2], day)
        months.setdefault((day.year, day.month), day)
    return {*latest[:DAYS], *list(weeks.values())[:WEEKS], *list(months.values())[:MONTHS]}


def _rotate(where: Path) -> None:
    found = {path: NIGHTLY.fullmatch(path.name) for path in where.glob("citas-*")}
    days = {path: date.fromisoformat(named[1]) for path, named in found.items() if named}
    for path in days.keys() - {path for path, day in days.items() if day in kept(days.values())}:
        path.unlink()


def contents_of(file: Path) -> Contents:
    """What a copy holds, once it is found to be whole and ours.

    Raises:
        BackupError: it is not.
    """
    with file.open("rb") as opened:
        beginning = opened.read(16)
    if beginning.startswith(b"PGDMP"):
        return _contents_of_dump(file)
    if beginning != b"SQLite format 3\0":
        raise BackupError(f"{file} no es un respaldo de Citaclara.")
    try:
        return _contents_of_sqlite(file)
    except apsw.Error as error:
        raise BackupError(f"{file} está dañado: {error}") from error


def _contents_of_sqlite(file: Path) -> Contents:
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    with apsw.Connection(f"{file.resolve().as_uri()}?immutable=1", flags=flags) as copy:
        found = str(_value(copy, "PRAGMA integrity_check"))
        if found != "ok":
            raise BackupError(f"{file} está dañado: {found.splitlines()[0]}")
        tables = "SELECT COUNT(*) FROM sqlite_master WHERE name IN ('schema_migration', 'history')"
        if _value(copy, tables) != 2:
            raise BackupError(f"{file} no es un respaldo de Citaclara.")
        level = level_of(str(name) for (name,) in copy.execute("SELECT name FROM schema_migration"))
        appointments = int(str(_value(copy, "SELECT COUNT(*) FROM appointment")))
    copy.close()
    return Contents(True, level, appointments)


def _value(connection: apsw.Connection, sql: str) -> Any:
    (value,) = next(connection.execute(sql))
    return value


def _contents_of_dump(file: Path) -> Contents:
    """PostgreSQL's own tool reads it through; a part of it that is broken ends that."""
    log = _run("pg_restore", None, "--data-only", "--table=schema_migration", "--file=-", str(file))
    rows = _run("pg_restore", None, "--data-only", "--table=appointment", "--file=-", str(file))
    _run("pg_restore", None, f"--file={os.devnull}", str(file))
    names = LEVEL_ROW.findall(log)
    if not names:
        raise BackupError(f"{file} no es un respaldo de Citaclara.")
    _, *copied = rows.split("FROM stdin;\n")  # Once for each schema that has such a table.
    return Contents(
        False, level_of(names), sum(each.partition("\\.\n")[0].count("\n") for each in copied)
    )


def restore(file: Path, settings: Settings) -> Contents:
    """Put a copy in the place of an empty book; never over one that somebody works with.

    Raises:
        BackupError: the copy is of no use, or there is a live book.
        AlreadyServed: a server or a worker has the book open.
    """
    contents = contents_of(file)
    if contents.level.unknown:
        raise BackupError(
            f"{file} es de una versión más nueva del portal ({', '.join(contents.level.unknown)})."
            " Actualice primero el portal."
        )
    path = settings.sqlite_path
    if contents.is_sqlite is not bool(path):
        raise BackupError(f"{file} es de otra clase de base de datos que APP_DATABASE_URL.")
    with tenancy.at_work(settings, alone=True):
        if path:
            _refuse_live_book(path)
            database.close()
            _put_in_place(file, path)
        else:
            with transaction():
                _refuse_live_book(path)
                _drop_empty_book()
            _run("pg_restore", settings, "--no-owner", "--single-transaction", str(file))
    return contents


def _drop_empty_book() -> None:
    """PostgreSQL's tool would drop what the copy knows, and an older one does not know all.

    A restoring that fails after it leaves an empty database, which is as good a place as before.
    """
    tables = ", ".join(f'"{model._meta.table_name}"' for model in ALL)
    database.execute_sql(f"DROP TABLE IF EXISTS {tables}, schema_migration CASCADE")
    database.execute_sql("DROP FUNCTION IF EXISTS history_is_append_only()")


def _refuse_live_book(path: Path | None) -> None:
    wal = Path(f"{path}-wal")
    if path and not path.exists():
        if wal.exists() and wal.stat().st_size:
            raise BackupError(
                f"{wal} guarda los últimos cambios del libro apartado: muévalo con él."
            )
        return
    how = (
        f"Para apartarlo: mv {path} {path}.antes, y lo mismo con {path}-wal y {path}-shm si"
        " existen."
        if path
        else "Cree una base de datos vacía y apunte APP_DATABASE_URL a ella."
    )
    how = f"Detenga el portal y sus trabajadores. {how} Después repita esto."
    try:
        tables = database.get_tables()
        counts = [
            model.select().count() if table in tables else 0
            for model, table in ((Appointment, "appointment"), (Account, "account"))
        ]
    except (PeeweeException, apsw.Error) as error:
        if not is_damage(error):
            raise
        raise BackupError(f"El libro que hay aquí está dañado ({error}). {how}") from error
    if any(counts):
        raise BackupError(
            f"Aquí hay un libro en uso ({spanish.counted(counts[0], 'cita', 'citas')},"
            f" {spanish.counted(counts[1], 'cuenta', 'cuentas')}) y no se sobrescribe. {how}"
        )


def _put_in_place(file: Path, path: Path) -> None:
    for left in path.parent.glob(".citas-*.parcial"):  # By a restoring that was killed.
        left.unlink()
    number, name = tempfile.mkstemp(dir=path.parent, prefix=".citas-", suffix=".parcial")
    os.close(number)
    unfinished = Path(name)
    try:
        shutil.copyfile(file, unfinished)
        contents_of(unfinished)
        _reach_the_disk(unfinished)
        for rest in ("-wal", "-shm"):  # Of the empty book; they would be read into the new one.
            Path(f"{path}{rest}").unlink(missing_ok=True)
        unfinished.replace(path)
        _reach_the_disk(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def _reach_the_disk(path: Path) -> None:
    """A name and what it names survive a power cut only when both are told to."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def trouble_with_tools() -> str:
    """Why no copy of this PostgreSQL could be made here, whatever the disk; empty if one could."""
    server = database.connection().info.server_version // 10_000
    try:
        said = re.search(r"\) (\d+)", _run("pg_dump", None, "--version"))
        _run("pg_restore", None, "--version")
    except BackupError as error:
        return str(error)
    if said and int(said[1]) < server:
        return (
            f"pg_dump es de PostgreSQL {said[1]} y no puede copiar de un servidor {server}"
            f" (en Debian: apt install postgresql-client-{server}, de apt.postgresql.org)."
        )
    return ""


def _run(tool: str, settings: Settings | None, *arguments: str) -> str:
    """One of PostgreSQL's tools; the password goes by the environment, which others cannot read."""
    program = shutil.which(tool)
    if program is None:
        raise BackupError(
            f"Falta {tool}, que viene con los programas de cliente de PostgreSQL"
            " (en Debian: apt install postgresql-client)."
        )
    environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
    if settings is not None:
        url = urlsplit(settings.database_url)
        environment |= settings.environment_of_postgresql()
        if url.password:
            environment["PGPASSWORD"] = unquote(url.password)
        address = url.netloc.rpartition("@")[2]
        who = f"{url.username}@" if url.username else ""
        arguments = (f"--dbname={url._replace(netloc=who + address).geturl()}", *arguments)
    try:
        done = subprocess.run(
            [program, *arguments], env=environment, capture_output=True, text=True, check=False,
            timeout=TOOL_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired as slow:
        minutes = spanish.counted(TOOL_SECONDS // 60, "minuto", "minutos")
        raise BackupError(f"{tool} no terminó en {minutes}.") from slow
    if done.returncode:
        raise BackupError(f"{tool}: {done.stderr.strip()}")
    return done.stdout
