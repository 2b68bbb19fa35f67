"""The operator's commands: `flask practice · account · worker · db · demo · serve · doctor …`."""

import copy
import errno
import functools
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import waitress
from flask import Flask, current_app
from flask.cli import AppGroup, with_appcontext
from waitress.channel import HTTPChannel

from booking import db, demo, fingerprint, levels, planner, practice_file, solving, tenancy, worker
from booking.cli import processes, prove
from booking.cli.account import account
from booking.cli.backup import back_up, restore
from booking.cli.doctor import doctor
from booking.cli.faults import calm
from booking.cli.history import history
from booking.cli.person import person
from booking.cli.refusals import Refusal
from booking.cli.simulate import simulate
from booking.clock import Clock, SettableClock
from booking.doctor import unready
from booking.mailer import FolderMailer, Mailer
from booking.models import Appointment, Practice
from booking.practice_file import PracticeFileError
from booking.qa import book as qa_book
from booking.settings import Settings

THREADS = 8
KEEP_ALIVE_SECONDS = 300
HOST = "127.0.0.1"
WHY_NOT_THERE = {
    errno.EADDRINUSE: "El puerto {port} está ocupado",
    errno.EACCES: "Este usuario no puede usar el puerto {port} (hasta el 1023 son del sistema)",
}

practice = AppGroup("practice", help="Read and print the practice's set-up.")
database = AppGroup("db", help="The database's structure.")
demonstration = AppGroup("demo", help="A practice to try things on.")


def init_app(app: Flask) -> None:
    for command in (practice, account, database, demonstration, serve, work, history, person):
        app.cli.add_command(calm(_on_a_known_book(command)))
    # They only look, or work on a book of their own; what a copy holds, `restore` looks at first.
    for command in (doctor, back_up, restore, simulate, prove.prove):
        app.cli.add_command(calm(command))


def _on_a_known_book(command: click.Command) -> click.Command:
    """The same command, or all of a group, but never on what a newer version has changed."""
    careful = copy.copy(command)
    if isinstance(careful, click.Group):
        careful.commands = {n: _on_a_known_book(each) for n, each in careful.commands.items()}
    elif careful.callback is not None:
        careful.callback = _refusing_newer(careful.callback)
    return careful


def _refusing_newer(callback: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(callback)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            levels.refuse_newer()
        except levels.DatabaseIsNewer as newer:
            raise click.ClickException(
                "La base de datos es de una versión más nueva del portal"
                f" ({', '.join(newer.unknown)}). Actualice el portal; con esta versión no se toca."
            ) from newer
        return callback(*args, **kwargs)

    return run


def _pieces() -> tuple[Clock, Mailer, Settings]:
    found = current_app.extensions
    return found["clock"], found["mailer"], found["settings"]


@practice.command("load")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def load_practice(file: Path) -> None:
    """Create or update the practice from FILE; tells what changed, or everything that is wrong."""
    clock, _, _ = _pieces()
    db.migrate()
    try:
        changes = practice_file.load(file, now=clock.now())
    except PracticeFileError as error:
        raise click.ClickException(str(error)) from error
    for change in changes:
        click.echo(change)
    if not changes:
        click.echo("Sin cambios.")


@practice.command("show")
def show_practice() -> None:
    """Print the practice as a file that `load` reads."""
    _need_practice()
    click.echo(practice_file.show())


@database.command("upgrade")
def upgrade() -> None:
    """Apply the migrations that this database has not had."""
    for name in db.migrate():
        click.echo(name)


@demonstration.command("fill")
@click.option("--weeks", default=8, show_default=True, type=click.IntRange(1, 52))
@click.option("--seed", default=1, show_default=True)
def fill(weeks: int, seed: int) -> None:
    """Fill an empty book with realistic clients and about 60 % of the hours taken."""
    clock, _, settings = _pieces()
    _only_in_the_demo(settings)
    _need_practice()
    try:
        click.echo(demo.fill(weeks=weeks, seed=seed, now=clock.now()))
    except demo.BookNotEmpty as error:
        raise click.ClickException(str(error)) from error


@demonstration.command("run")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
def run_demo(port: int) -> None:
    """Prepare the demo practice if need be, say where to click, and serve portal and worker."""
    clock, _, settings = _pieces()
    _only_in_the_demo(settings)
    _refuse_address(HOST, port)
    db.migrate()
    if Practice.get_or_none() is None:
        practice_file.load(
            Path(current_app.root_path) / "demo" / "consultorio.toml", now=clock.now()
        )
    if not Appointment.select().exists():
        demo.fill(weeks=8, seed=1, now=clock.now())
    client, clinician = demo.people()
    click.echo(f"\n  Portal:        {settings.base_url}/")
    click.echo(f"  Como cliente:  {settings.base_url}/demo/cliente      ({client.name})")
    click.echo(f"  Como médico:   {settings.base_url}/demo/profesional  ({clinician.name})")
    click.echo(f"  Correos:       {settings.base_url}/buzon\n")
    click.echo("  Ctrl+C para terminar.\n")
    _serve(port)


@click.command("serve")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--host", default=HOST, show_default=True)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="Processes that only serve pages; mail and deadlines are then for `flask worker`.",
)
@with_appcontext
def serve(port: int, host: str, workers: int | None) -> None:
    """Serve the portal: in one process with the worker beside it, or in several without it."""
    clock, mailer, settings = _pieces()
    if settings.qa and workers is not None:
        raise click.ClickException(
            "Con APP_QA=1 el reloj vive en un solo proceso: quite --workers."
        )
    _refuse_address(host, port)
    if settings.qa:
        assert isinstance(clock, SettableClock)
        assert isinstance(mailer, FolderMailer)
        db.migrate()
        if Practice.get_or_none() is None:
            qa_book.open_at(qa_book.FIRST, clock, mailer, settings)
    else:
        _need_practice()
    _serve(port, host, workers)


@click.command("worker")
@with_appcontext
def work() -> None:
    """The worker as its own process."""
    clock, mailer, settings = _pieces()
    if settings.qa:
        raise click.ClickException(
            "Con APP_QA=1 no hay trabajador aparte: cada ronda se pide al servidor."
        )
    _need_practice()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):  # What is under way is finished first.
        signal.signal(number, lambda *_: stop.set())
    try:
        with tenancy.at_work(settings):
            planner.start(clock, stop)
            worker.loop(clock, mailer, settings, stop)
    except tenancy.AlreadyServed as other:
        raise click.ClickException(
            f"Se está restaurando {other.path}. Inicie flask worker cuando termine."
        ) from other


def _only_in_the_demo(settings: Settings) -> None:
    """Invented people have no place in a practice's book."""
    if not settings.demo:
        raise click.ClickException("Solo con APP_ENV=demo.")


def _need_practice() -> None:
    """A current database with a practice in it, or a sentence that says how to get one."""
    db.migrate()
    lacking = unready()
    if lacking:
        raise click.ClickException(lacking)


def _refuse_address(host: str, port: int) -> None:
    """Say at once, and in words, that nobody could listen there."""
    try:
        ((family, kind, _, _, address), *_others) = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        why = WHY_NOT_THERE.get(error.errno or 0, "«{host}» no es una dirección de esta máquina")
        raise click.ClickException(
            f"{why.format(host=host, port=port)}. Elija otra cosa con --port o con --host."
        ) from error


def _serve(port: int, host: str = HOST, workers: int | None = None) -> None:
    _, _, settings = _pieces()
    try:
        with tenancy.sole_server(settings):
            if fingerprint.remember(settings):
                click.echo(
                    "Aviso: APP_SECRET_KEY no es la de la última vez. Todos tendrán que entrar de"
                    " nuevo, y los enlaces de los correos anteriores ya no abren.",
                    err=True,
                )
            if workers is None:
                _serve_alone(port, host)
            else:
                processes.serve(
                    f"{host}:{port}", workers, threads=THREADS, keep_alive=KEEP_ALIVE_SECONDS
                )
    except tenancy.AlreadyServed as other:
        raise click.ClickException(
            f"Otro servidor ya trabaja con {other.path}. Deténgalo antes. Para usar más procesos en"
            " esta máquina: serve --workers. Para usar varias máquinas: PostgreSQL"
            " (APP_DATABASE_URL)."
        ) from other


def _serve_alone(port: int, host: str) -> None:
    solving.warm_up()
    clock, mailer, settings = _pieces()
    stop = threading.Event()
    if not settings.qa:  # There, nothing happens by itself.
        worker.start(clock, mailer, settings, stop)
        planner.start(clock, stop)
    HTTPChannel.error_task_class = Refusal
    try:
        waitress.serve(
            current_app._get_current_object(),  # type: ignore[attr-defined] # The application itself.
            host=host,
            port=port,
            threads=THREADS,
            channel_timeout=KEEP_ALIVE_SECONDS,
            ident=None,
            clear_untrusted_proxy_headers=False,  # The application knows how many to trust.
        )
    finally:
        stop.set()
        solving.close()
