"""The operator's commands, as they are typed."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import click
import pytest
from flask import Flask

from app import create_app
from booking import backup, cli, fingerprint, practice_file, tenancy
from booking.db import database, migrate
from booking.mailer import FolderMailer
from booking.models import Account, Appointment, Practice, Service
from booking.settings import Environment
from booking.tenancy import AlreadyServed
from tests.books import settings_in
from tests.builders import NOW
from tests.conftest import PRACTICE
from tests.test_doctor import newer_migration

ROOT = Path(__file__).parents[1]


@pytest.fixture
def flask(app):
    """Run one command: its output and exit code."""
    return lambda *arguments: app.test_cli_runner().invoke(args=[str(a) for a in arguments])


def test_loading_twice_changes_nothing(flask):
    again = flask("practice", "load", PRACTICE)
    assert (again.exit_code, again.output) == (0, "Sin cambios.\n")


def test_loading_tells_what_changed(flask, tmp_path):
    changed = tmp_path / "c.toml"
    changed.write_text(PRACTICE.read_text().replace("minutos = 80", "minutos = 90"))
    told = flask("practice", "load", changed)
    assert told.exit_code == 0
    assert "80" in told.output
    assert "90" in told.output
    assert Service.get(Service.key == "pareja").minutes == 90


def test_mistakes_name_file_key_and_what_was_expected_and_load_nothing(flask, tmp_path):
    broken = tmp_path / "roto.toml"
    broken.write_text(
        PRACTICE.read_text()
        .replace('ubicacion = "norte"', 'ubicacion = "nort"')
        .replace("minutos = 80", "minutos = -1")
    )
    told = flask("practice", "load", broken)
    assert told.exit_code != 0
    assert "roto.toml" in told.output
    assert "profesionales[0].horario[1].ubicacion" in told.output
    assert "servicios[2].minutos" in told.output
    assert "Traceback" not in told.output
    assert Service.get(Service.key == "pareja").minutes == 80


def test_what_is_shown_loads_again_without_a_change(flask, tmp_path):
    shown = tmp_path / "mostrado.toml"
    shown.write_text(flask("practice", "show").output)
    assert flask("practice", "load", shown).output == "Sin cambios.\n"


def test_a_full_book_is_not_filled_again(flask, tmp_path):
    demo = Path(__file__).parent.parent / "demo" / "consultorio.toml"
    assert flask("practice", "load", demo).exit_code == 0
    filled = flask("demo", "fill", "--weeks", "1", "--seed", "3")
    assert filled.exit_code == 0, filled.output
    count = Appointment.select().count()
    assert count > 50
    again = flask("demo", "fill", "--weeks", "1")
    assert again.exit_code != 0
    assert f"{count} citas" in again.output


def test_upgrading_a_current_database_does_nothing(flask):
    assert flask("db", "upgrade").output == ""
    assert Practice.select().count() == 1


def test_a_port_that_is_taken_is_told(flask):
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        told = flask("serve", "--port", other.getsockname()[1])
    assert told.exit_code != 0
    assert "está ocupado" in told.output


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (("--host", "192.0.2.9"), "192.0.2.9"),
        (("--host", "no.such.host.invalid"), "no.such.host.invalid"),
    ],
)
def test_an_address_of_no_card_of_ours_is_told(flask, where, words):
    told = flask("serve", "--port", free_port(), *where)
    assert told.exit_code == 1, told.exception
    assert f"«{words}» no es una dirección de esta máquina" in told.output


@pytest.mark.sqlite
def test_a_file_by_another_name_is_the_same_file(flask, settings, tmp_path):
    other = tmp_path / "otro"
    other.symlink_to(settings.data_dir, target_is_directory=True)
    link = replace(settings, database_url=f"sqlite:///{other / 'citas.db'}")
    with tenancy.sole_server(link):
        told = flask("serve", "--port", free_port())
    assert told.exit_code == 1
    assert "Otro servidor" in told.output


@pytest.mark.sqlite
def test_what_is_kept_is_its_owners_alone(tmp_path):
    settings = settings_in(tmp_path / "datos")
    before = os.umask(0o022)
    create_app(settings)
    migrate()
    practice_file.load(PRACTICE, now=NOW)
    os.umask(before)
    with tenancy.sole_server(settings):
        fingerprint.remember(settings)
        backup.make(settings, backup.place(settings, "hoy"))
        FolderMailer(settings.data_dir / "buzon").send(EmailMessage())
        there = [settings.data_dir, *settings.data_dir.iterdir()]
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in there}
    database.close()
    assert {"citas.db", "citas.db-wal", "citas.db.lock", "citas.db.server"} < set(modes)
    folders = {"datos", "respaldos", "buzon"}
    assert modes == {name: 0o700 if name in folders else 0o600 for name in modes}


@pytest.mark.sqlite
def test_two_servers_on_one_file_are_refused(flask, settings):
    """The lock is the file's: whoever holds it is another process, or as good as one."""
    with tenancy.sole_server(settings):
        told = flask("serve", "--port", free_port())
    assert told.exit_code == 1
    assert "Otro servidor ya trabaja con" in told.output
    assert str(settings.sqlite_path) in told.output


@pytest.mark.sqlite
def test_a_server_that_was_killed_does_not_stand_in_the_way(settings, db):
    code = (
        "import sys; from pathlib import Path; from booking import tenancy;"
        "from booking.settings import Environment, Settings;"
        "here = Settings(environment=Environment.DEMO, data_dir=Path(), secret_key='',"
        " database_url=sys.argv[1], base_url='');"
        "lock = tenancy.sole_server(here); lock.__enter__();"
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, settings.database_url], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as other:  # fmt: skip
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        with pytest.raises(AlreadyServed), tenancy.sole_server(settings):
            pass
        other.kill()
        other.wait()
    with tenancy.sole_server(settings):
        assert Practice.select().count() == 1


# They only look, or work on a book of their own: tests/test_doctor.py, tests/test_backup.py.
HARMLESS = ("doctor", "backup", "restore", "simulate", "prove")


def commands_of(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    """Every command, each as it is typed, with something for each of its arguments."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands_of(command, *path, name)
        elif name not in HARMLESS:
            needed = [p for p in command.params if isinstance(p, click.Argument) and p.required]
            files = (isinstance(p.type, click.Path) for p in needed)
            typed = [str(PRACTICE) if is_file else "ana@example.com" for is_file in files]
            yes = ["--yes"] if any("--yes" in p.opts for p in command.params) else []
            yield (*path, name, *typed, *yes)


def all_commands() -> list[tuple[str, ...]]:
    application = Flask(__name__)
    cli.init_app(application)
    return list(commands_of(application.cli))


@pytest.mark.parametrize("command", all_commands(), ids=" ".join)
def test_no_command_touches_a_database_of_a_newer_version(flask, ana, command):
    newer_migration()
    told = flask(*command)
    assert told.exit_code == 1
    assert "versión más nueva" in told.output
    assert "9999_future" in told.output
    assert Account.get_by_id(ana.id).email == ana.email


@pytest.mark.parametrize(
    "command", [("demo", "fill"), ("demo", "run", "--port", "1")], ids=" ".join
)
def test_no_book_but_the_demos_is_filled_with_invented_people(flask, app, command):
    app.extensions["settings"] = replace(
        app.extensions["settings"], environment=Environment.PRODUCTION
    )
    told = flask(*command)
    assert told.exit_code == 1
    assert "Solo con APP_ENV=demo." in told.output
    assert Account.select().where(~Account.manager, Account.clinician.is_null()).count() == 0


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def without_turns(settings):
    """As on a disk that is read-only: nobody can be the one who writes."""
    lock = settings.sqlite_path.with_name("citas.db.lock")
    lock.unlink(missing_ok=True)
    lock.mkdir()
    return lock


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "command",
    [
        "serve --port {port}",
        "worker",
        "db upgrade",
        "history verify",
        "practice show",
        "person export ana@example.com",
        "account disable ines@alameda.example",
        "prove --seconds 10",
    ],
)
def test_a_book_that_cannot_be_written_is_told_in_a_sentence(flask, without_turns, command):
    told = flask(*command.format(port=free_port()).split())
    assert told.exit_code == 1, told.exception
    assert isinstance(told.exception, SystemExit)
    assert f"no se puede leer o escribir: {without_turns}" in told.output
    assert "flask --app app doctor" in told.output


@pytest.mark.sqlite
def test_what_the_system_refuses_is_told_with_its_file(flask, settings):
    settings.sqlite_path.with_name("citas.db.server").mkdir()
    told = flask("serve", "--port", free_port())
    assert told.exit_code == 1
    assert "El sistema no lo permite" in told.output
    assert "citas.db.server" in told.output


@pytest.mark.sqlite
def test_the_doctor_tries_whether_the_book_can_be_written(flask, without_turns):
    told = flask("doctor")
    assert told.exit_code == 1
    assert "✗ escritura" in told.output
    without_turns.rmdir()
    assert "✓ escritura" in flask("doctor").output


def test_a_copy_of_a_book_that_lacks_everything_is_refused_in_a_sentence(flask, books, settings):
    Practice.delete().execute()
    assert "practice load" in flask("backup").output
    empty = flask_of(books, settings)
    for more in ((), (settings.data_dir / "copia.db",)):
        told = empty("backup", *more)
        assert told.exit_code == 1, told.exception
        assert "db upgrade" in told.output
    database.close()


def flask_of(books, settings):
    """The commands of an installation whose book has no tables yet."""
    folder = settings.data_dir / "otra"
    folder.mkdir()
    runner = create_app(books.new(folder)).test_cli_runner()
    return lambda *arguments: runner.invoke(args=[str(a) for a in arguments])
