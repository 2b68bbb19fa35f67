"""The portal in several processes, by gunicorn; there is none on Windows."""

import click
from flask import Flask, current_app

from booking import db, solving
from booking.cli import refusals

try:
    import gunicorn.util
    from gunicorn.app.base import BaseApplication
    from gunicorn.http import wsgi
except ImportError:
    BaseApplication = object

GRACE_SECONDS = 10  # For pages on their way when the processes are told to end.


class _Portal(BaseApplication):  # type: ignore[misc] # gunicorn has no types.
    """Our application under gunicorn, set up by arguments only."""

    def __init__(self, app: Flask, **options: object) -> None:
        self._app, self._options = app, options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return self._app


def serve(bind: str, workers: int, *, threads: int, keep_alive: int) -> None:
    """Serve until told to end; a process that dies is replaced."""
    if BaseApplication is object:
        raise click.ClickException("En Windows, flask serve trabaja en un solo proceso.")
    wsgi.SERVER = ""  # What serves the portal is nobody's business.
    gunicorn.util.write_error = refusals.refuse
    db.disconnect()  # Each process opens its own.
    _Portal(
        current_app._get_current_object(),  # type: ignore[attr-defined] # The application itself.
        bind=bind,
        workers=workers,
        worker_class="gthread",
        threads=threads,
        keepalive=keep_alive,
        graceful_timeout=GRACE_SECONDS,
        control_socket_disable=True,
        post_fork=lambda _server, _worker: solving.warm_up(),
    ).run()
