"""A portal in QA mode, moved and asked through /qa/: one of our own, or one that runs elsewhere."""

import base64
import json
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPSConnection
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext

from booking.settings import Environment, Settings

ROOT = Path(__file__).parent.parent
TIMEOUT_SECONDS = 150  # The longest that a round can last: a plan that is hard to find.
START_SECONDS = 180  # The machine may be slow.


class Refused(Exception):
    """The portal says no, or nothing; the text is one sentence for whoever runs the tests."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the book."""

    name: str
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Who and what is in the book at a scenario's beginning; the first of each is the usual one."""

    name: str
    now: datetime
    clients: tuple[Person, ...]
    clinicians: tuple[Person, ...]
    managers: tuple[Person, ...]
    appointments: tuple[int, ...]

    @property
    def client(self) -> Person:
        return self.clients[0]

    @property
    def clinician(self) -> Person:
        return self.clinicians[0]

    @property
    def manager(self) -> Person:
        """Raises `Refused` where nobody runs the practice."""
        if not self.managers:
            raise Refused(f"En «{self.name}» nadie administra el consultorio.")
        return self.managers[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What somebody was shown: a whole page, or what was swapped into the one before."""

    endpoint: str
    status: int
    path: str
    session: int  # 0: nobody's.
    html: str

    @property
    def whole(self) -> bool:
        return self.html.lstrip().lower().startswith("<!doctype")

    @property
    def step(self) -> bool:
        """Whether what the address stands for is in it, and not a part of that alone."""
        return self.whole or 'id="step"' in self.html


class Site:
    """The running portal, with the hands to move its time, its book and its mail."""

    def __init__(self, url: str, key: str, *, log: Path | None = None) -> None:
        self.url = url.rstrip("/")
        self.key, self._log, self._read = key, log, 0
        self.scene: Scene

    def load(self, name: str) -> Scene:
        """Put the whole book where a scenario begins, and the clock with it."""
        told = self._ask("escenario", nombre=name)
        self.scene = Scene(
            name=told["nombre"],
            now=datetime.fromisoformat(told["ahora"]),
            clients=_people(told["clientes"]),
            clinicians=_people(told["profesionales"]),
            managers=_people(told["gestores"]),
            appointments=tuple(told["citas"]),
        )
        return self.scene

    def now(self) -> datetime:
        return datetime.fromisoformat(self._ask("reloj")["ahora"])

    def set_clock(self, moment: datetime) -> None:
        self._ask("reloj", ahora=moment.isoformat())

    def work(self) -> None:
        """Let the worker do what is due now: deadlines, then mail."""
        self._ask("ronda", ya=True)

    def plan(self) -> None:
        """Let the planner work out what is queued."""
        self._ask("planes", ya=True)

    def mails(self) -> list[EmailMessage]:
        """Everything that was sent, the oldest first."""
        read = (base64.b64decode(mail) for mail in self._ask("correos")["correos"])
        return [message_from_bytes(mail, policy=policy.default) for mail in read]

    def violations(self) -> dict[str, list[str]]:
        """What must never be true of a book, and is."""
        found: dict[str, list[str]] = self._ask("invariantes")["rotas"]
        return found

    def pages(self) -> list[Shown]:
        """What people were shown since this was asked last, the oldest first."""
        return [
            Shown(
                endpoint=each["punto"],
                status=each["estado"],
                path=each["direccion"],
                session=each["sesion"],
                html=each["html"],
            )
            for each in self._ask("paginas", ya=True)["paginas"]
        ]

    def sign_in(self, context: BrowserContext, who: str, *, factor_shown: bool = True) -> None:
        """Give a browser the cookie of somebody who signed in on it before."""
        _, headers = self._request("sesion", {"quien": who, "segundo_paso": factor_shown})
        for text in headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(text).items():
                context.add_cookies([{"name": name, "value": morsel.value, "url": self.url}])

    def said(self) -> str:
        """What our own server has printed since this was asked last."""
        if self._log is None:
            return ""
        with self._log.open(errors="replace") as file:
            file.seek(self._read)
            news = file.read()
            self._read = file.tell()
        return news

    def _ask(self, path: str, **body: object) -> dict[str, Any]:
        return self._request(path, body)[0]

    def _request(self, path: str, body: dict[str, object]) -> tuple[dict[str, Any], HTTPMessage]:
        """With a body, a POST.

        Raises:
            Refused: there is no portal, or none in QA mode with this key, or it says no.
        """
        url = urlsplit(self.url)
        connect = HTTPSConnection if url.scheme == "https" else HTTPConnection
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        try:
            with closing(connect(url.netloc, timeout=TIMEOUT_SECONDS)) as connection:
                method = "POST" if body else "GET"
                connection.request(
                    method, f"{url.path}/qa/{path}", json.dumps(body) if body else None, headers
                )
                answer = connection.getresponse()
                told = _json(answer.read())
        except (OSError, HTTPException) as error:
            raise Refused(f"{self.url} no responde ({type(error).__name__}).") from None
        if answer.status == 200 and told is not None:
            return told, answer.headers
        if told is not None:
            raise Refused(str(told.get("error", told)))
        raise Refused(
            f"{self.url} no abre /qa/ con esa llave ({answer.status}): o ese portal no corre con"
            " APP_QA=1, o su APP_QA_KEY es otra."
        )


def _json(content: bytes) -> dict[str, Any] | None:
    try:
        told = json.loads(content)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def _people(told: list[dict[str, str]]) -> tuple[Person, ...]:
    return tuple(Person(each["nombre"], each["correo"]) for each in told)


@contextmanager
def local_site(folder: Path) -> Iterator[Site]:
    """A portal of our own on a free port, with its data in `folder`; it ends with the block."""
    port, log = free_port(), folder / "servidor.log"
    settings = Settings(
        environment=Environment.DEMO,
        data_dir=folder,
        database_url=f"sqlite:///{folder / 'citas.db'}",
        secret_key=secrets.token_urlsafe(48),
        base_url=f"http://127.0.0.1:{port}",
        mail_from="citas@alameda.example",
        qa_key=secrets.token_urlsafe(24),
    )
    assert settings.qa_key is not None
    command = [sys.executable, "-m", "flask", "--app", "app", "serve", "--port", str(port)]
    with (
        log.open("w") as said,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=settings.environment_of_children(),
            stdout=said,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            wait_until_it_answers(port, process)
            yield Site(settings.base_url, settings.qa_key, log=log)
        finally:
            process.terminate()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_it_answers(port: int, process: "subprocess.Popen[Any]") -> None:
    """Return once the process listens there.

    Raises:
        Refused: it ended, or takes far too long.
    """
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise Refused(f"El servidor de pruebas no llegó a escuchar en el puerto {port}.")
