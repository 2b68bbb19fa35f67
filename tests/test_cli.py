"""The operator's commands, as they are typed."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import pytest
from flask import Flask

from booking import cli, tenancy
from booking.models import Account, Appointment, Practice, Service
from booking.settings import Environment
from booking.tenancy import AlreadyServed
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
