"""What the operator decides, read once from the environment; the only reader of `os.environ`."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from booking import private

WEB = ("http", "https")
ATOM = r"[\w!#$%&'*+/=?^`{|}~-]+"
MAIL_ADDRESS = re.compile(rf"{ATOM}(\.{ATOM})*@[A-Za-z0-9.-]*[A-Za-z0-9]", re.ASCII)
DEVELOPMENT_SECRET = "solo-para-demostracion-nunca-en-produccion"
SHORTEST_QA_KEY = 16


class Environment(StrEnum):
    """Where the portal runs: the demo shows sign-in links and captured mail, production never."""

    PRODUCTION = "production"
    DEMO = "demo"


class InvalidSettings(Exception):
    """The environment asks for something that must not or cannot run; the text says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that differs between two installations of the same code."""

    environment: Environment
    data_dir: Path
    database_url: str
    secret_key: str
    base_url: str
    smtp_url: str | None = None
    mail_from: str = "citas@localhost"
    trusted_proxies: int = 0  # How many of ours stand in front, each adding to X-Forwarded-For.
    qa_key: str | None = None  # In QA mode, what opens /qa/: the clock, all mail, any session.

    @property
    def demo(self) -> bool:
        return self.environment is Environment.DEMO

    @property
    def qa(self) -> bool:
        return self.qa_key is not None

    @property
    def secure(self) -> bool:
        """Whether people reach the portal over HTTPS (plain HTTP on a LAN works in the demo)."""
        return urlsplit(self.base_url).scheme == "https"

    @property
    def host_name(self) -> str:
        """As browsers, mails and calendars write it: no accents, no port."""
        return _written(urlsplit(self.base_url).hostname or "localhost")

    def answers_to(self, host: str) -> bool:
        """Whether a `Host` header names this portal: as people do, or as this machine does."""
        try:
            named = urlsplit(f"//{host}").hostname or ""
        except ValueError:  # Half an IPv6 address.
            return False
        return named in ("127.0.0.1", "localhost", "::1", self.host_name)

    def cookie_name(self, name: str) -> str:
        """With the prefix to which browsers hold a cookie: ours alone, over HTTPS alone."""
        return f"__Host-{name}" if self.secure else name

    @property
    def on_postgresql(self) -> bool:
        """Several hosts may serve one book; with SQLite it is one."""
        return self.database_url.startswith("postgresql://")

    @property
    def sqlite_path(self) -> Path | None:
        """The book's file, by the one name that all who work on it use; None on PostgreSQL."""
        if self.on_postgresql:
            return None
        return Path(self.database_url.removeprefix("sqlite:///")).resolve()

    def make_data_dir(self) -> None:
        """The folder for all that is kept on disk.

        Raises:
            InvalidSettings: it cannot be had.
        """
        try:
            private.folder(self.data_dir)
        except OSError as error:
            raise InvalidSettings(
                f"APP_DATA_DIR: no se puede crear {self.data_dir} ({error.strerror})."
            ) from None

    def environment_of_children(self) -> dict[str, str]:
        """What a child process needs so that `from_env` gives it the same settings."""
        told = {
            "APP_ENV": self.environment.value,
            "APP_DATA_DIR": str(self.data_dir),
            "APP_DATABASE_URL": self.database_url,
            "APP_SECRET_KEY": self.secret_key,
            "APP_BASE_URL": self.base_url,
            "APP_SMTP_URL": self.smtp_url,
            "APP_MAIL_FROM": self.mail_from,
            "APP_TRUSTED_PROXIES": str(self.trusted_proxies),
            "APP_QA": "1" if self.qa else "0",
            "APP_QA_KEY": self.qa_key,
        }
        inherited = {name: value for name, value in os.environ.items() if name not in told}
        return inherited | {name: value for name, value in told.items() if value is not None}

    def environment_of_postgresql(self) -> dict[str, str]:
        """What its programs are told beside the URL, such as `PGPASSWORD` or `PGSSLROOTCERT`."""
        return {name: value for name, value in os.environ.items() if name.startswith("PG")}

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read and judge the `APP_*` variables.

        Raises:
            InvalidSettings: one of them cannot work, or production lacks what it needs or is in QA.
        """
        try:
            environment = Environment(environ.get("APP_ENV", "production"))
        except ValueError:
            raise InvalidSettings("APP_ENV debe ser «production» o «demo».") from None
        if environ.get("APP_DATA_DIR") == "":
            raise InvalidSettings("APP_DATA_DIR está vacía: diga una carpeta, o quítela.")
        data_dir = Path(environ.get("APP_DATA_DIR", ".data")).resolve()
        settings = cls(
            environment=environment,
            data_dir=data_dir,
            database_url=environ.get("APP_DATABASE_URL", f"sqlite:///{data_dir / 'citas.db'}"),
            secret_key=environ.get("APP_SECRET_KEY", DEVELOPMENT_SECRET),
            base_url=environ.get("APP_BASE_URL", "http://127.0.0.1:8000").rstrip("/"),
            smtp_url=environ.get("APP_SMTP_URL"),
            mail_from=environ.get("APP_MAIL_FROM", "citas@localhost"),
            trusted_proxies=_count(environ.get("APP_TRUSTED_PROXIES", "0")),
            qa_key=environ.get("APP_QA_KEY", "") if _flag(environ, "APP_QA") else None,
        )
        settings._refuse_what_cannot_work()
        settings._refuse_what_qa_mode_must_not_open()
        if environment is Environment.PRODUCTION:
            settings._refuse_what_is_only_for_the_demo(environ)
        return settings

    def _refuse_what_cannot_work(self) -> None:
        self._refuse_no_database()
        if not _is_site(self.base_url):
            raise InvalidSettings(
                "APP_BASE_URL debe ser una dirección sin nada detrás del nombre, como"
                " https://citas.ejemplo.mx"
            )
        if self.smtp_url is not None and not _is_mail_server(self.smtp_url):
            raise InvalidSettings(
                "APP_SMTP_URL debe ser como smtp://correo.ejemplo.mx:587, con ?starttls=1 si hace"
                " falta."
            )
        if not MAIL_ADDRESS.fullmatch(self.mail_from):
            raise InvalidSettings(
                "APP_MAIL_FROM debe ser una dirección de correo sin nombre, como citas@ejemplo.mx;"
                " el nombre que se lee en los correos es el del consultorio."
            )

    def _refuse_no_database(self) -> None:
        if self.on_postgresql:
            try:
                conninfo_to_dict(self.database_url)
            except psycopg.Error:  # Its own words may quote the password.
                raise InvalidSettings(
                    "APP_DATABASE_URL no se entiende. Debe ser como"
                    " postgresql://usuario:clave@servidor/citas; tras «?» solo van parámetros de"
                    " PostgreSQL, y en la clave se escribe %40 por @, %3A por :, %2F por / y %25"
                    " por %."
                ) from None
            return
        if not self.database_url.startswith("sqlite:///"):
            raise InvalidSettings(
                "APP_DATABASE_URL debe empezar por sqlite:/// o por postgresql://."
            )
        path = self.sqlite_path
        if self.database_url == "sqlite:///" or (path and path.is_dir()):
            raise InvalidSettings(
                "APP_DATABASE_URL debe decir un archivo, como sqlite:////var/lib/citas.db"
            )

    def _refuse_what_qa_mode_must_not_open(self) -> None:
        if self.qa_key is None:
            return
        if not self.demo:
            raise InvalidSettings(
                "APP_QA=1 deja mover el reloj, leer los correos y entrar como cualquiera: solo se"
                " permite con APP_ENV=demo."
            )
        if len(self.qa_key) < SHORTEST_QA_KEY or not self.qa_key.isascii():
            raise InvalidSettings(
                f"Con APP_QA=1, APP_QA_KEY debe tener {SHORTEST_QA_KEY} caracteres o más, sin"
                " acentos."
            )
        if self.smtp_url is not None:
            raise InvalidSettings("Con APP_QA=1 ningún correo sale: quite APP_SMTP_URL.")

    def _refuse_what_is_only_for_the_demo(self, environ: Mapping[str, str]) -> None:
        missing = [
            name
            for name in ("APP_SECRET_KEY", "APP_BASE_URL", "APP_SMTP_URL", "APP_MAIL_FROM")
            if not environ.get(name)
        ]
        if missing:
            raise InvalidSettings(f"En producción faltan: {', '.join(missing)}.")
        if self.secret_key == DEVELOPMENT_SECRET or len(self.secret_key) < 32:
            raise InvalidSettings(
                "APP_SECRET_KEY debe ser propia y tener 32 caracteres o más, por ejemplo la salida"
                " de: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
            )
        if not self.secure:
            raise InvalidSettings("En producción APP_BASE_URL debe empezar por https://.")


def _written(name: str) -> str:
    return name.encode("idna").decode()


def _is_site(url: str) -> bool:
    """Whether it is a scheme, a name and perhaps a port: links are made by adding paths to it."""
    try:
        parts = urlsplit(url)
        named = _written(parts.hostname or "") and parts.port != 0 and "@" not in parts.netloc
    except ValueError:  # Half an IPv6 address, a port that is no number, a name that cannot be.
        return False
    return bool(named) and url == f"{parts.scheme}://{parts.netloc}" and parts.scheme in WEB


def _is_mail_server(url: str) -> bool:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("smtp", "smtps") and parts.query in (
            "",
            "starttls=0",
            "starttls=1",
        )
        return known and bool(parts.hostname) and parts.port != 0
    except ValueError:  # A port that is no number.
        return False


def _flag(environ: Mapping[str, str], name: str) -> bool:
    value = environ.get(name) or "0"
    if value not in ("0", "1"):
        raise InvalidSettings(f"{name} debe ser 0 o 1.")
    return value == "1"


def _count(text: str) -> int:
    if text not in ("0", "1", "2", "3"):
        raise InvalidSettings("APP_TRUSTED_PROXIES debe ser un número del 0 al 3.")
    return int(text)
