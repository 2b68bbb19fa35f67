"""A portal for browser tests: real server, database and SMTP on loopback, and a stopped clock."""

import email
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage
from pathlib import Path

from aiosmtpd.controller import Controller
from flask import Flask
from waitress.server import create_server

from app import create_app
from booking import db, planner, practice_file, solving, worker
from booking.cli import prove
from booking.clock import SettableClock
from booking.models import Account
from booking.operations import signing_in
from booking.operations.signing_in import Browser
from booking.settings import Environment, Settings

NOW = datetime(2027, 3, 1, 15, 0, tzinfo=UTC)  # A Monday, 9 a. m. in Mexico City.
LINK = re.compile(r"http://\S+/(?:entrar|cuenta/correo)/\S+")
CODE = re.compile(r"^\s+(\d{6})\s*$", re.MULTILINE)


class Mailbox:
    """An SMTP server that keeps what it gets, and reads it as a person would."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self._smtp = Controller(self, hostname="127.0.0.1", port=free_port())
        self._smtp.start()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self._smtp.port}"

    async def handle_DATA(self, _server: object, _session: object, envelope: object) -> str:
        content = envelope.content  # type: ignore[attr-defined]
        message = email.message_from_bytes(content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        return "250 OK"

    def close(self) -> None:
        self._smtp.stop()

    def latest(self, to: str, subject: str = "") -> EmailMessage:
        """The newest message to an address whose subject contains some words."""
        found = [m for m in self.messages if m["To"] == to and subject in m["Subject"]]
        assert found, (
            f"no mail to {to} about «{subject}»: {[str(m['Subject']) for m in self.messages]}"
        )
        return found[-1]

    def link(self, to: str, subject: str = "") -> str:
        """The link in the newest such message."""
        return str(LINK.findall(text_of(self.latest(to, subject)))[-1])

    def code(self, to: str) -> str:
        return str(CODE.findall(text_of(self.latest(to, "código")))[-1])


def text_of(message: EmailMessage) -> str:
    """What a reader without HTML sees."""
    body = message.get_body(("plain",))
    assert body is not None
    content: str = body.get_content()
    return content


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Site:
    """The running portal, with the hands to move its time and read its mail."""

    url: str
    clock: SettableClock
    mailbox: Mailbox
    app: Flask
    settings: Settings

    def cookie(self, email: str) -> str:
        """What a browser holds once somebody has signed in."""
        account = Account.get(Account.email == email)
        session = signing_in.open_session(account, Browser(), now=self.clock.now(), one_tap=True)
        return prove.cookie(self.settings.secret_key, session.token)

    def work(self) -> None:
        """Let the worker do what is due now: deadlines, then mail."""
        worker.tick(self.clock, self.app.extensions["mailer"], self.settings)

    def plan(self) -> None:
        """Let the planner work out what is queued."""
        while planner.run(self.clock):
            pass

    def pass_time(self, step: timedelta) -> None:
        """Move the clock, and let the worker do what that makes due."""
        self.clock.advance(step)
        self.work()


@contextmanager
def running(
    folder: Path,
    practice: Path,
    *,
    now: datetime = NOW,
    prepare: Callable[[], object] = lambda: None,
    environment: Environment = Environment.DEMO,
) -> Iterator[Site]:
    """A portal of its own on a free port, with `practice` loaded; it ends with the block."""
    port = free_port()
    mailbox = Mailbox()
    settings = Settings(
        environment=environment,
        data_dir=folder,
        database_url=f"sqlite:///{folder / 'citas.db'}",
        secret_key="browser-" * 6,
        base_url=f"http://127.0.0.1:{port}",
        smtp_url=mailbox.url,
        mail_from="citas@alameda.example",
    )
    clock = SettableClock(now)
    app = create_app(settings, clock=clock)
    db.migrate()
    practice_file.load(practice, now=now)
    prepare()
    solving.warm_up()
    server = create_server(app, host="127.0.0.1", port=port, threads=4)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until_it_answers(port)
    try:
        yield Site(settings.base_url, clock, mailbox, app, settings)
    finally:
        server.close()
        thread.join(5)
        mailbox.close()
        db.database.obj.close()


def wait_until_it_answers(port: int) -> None:
    """Return once somebody listens there; the machine may be slow, so for up to half a minute."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise TimeoutError(f"nobody listens on {port}")
