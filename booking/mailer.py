"""How mail leaves the house: by SMTP, into a folder (the demo), or into a list (tests)."""

import re
import smtplib
import ssl
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from booking import private

TIMEOUT_SECONDS = 20


class Mailer(Protocol):
    """Something that takes a message, or raises."""

    def send(self, message: EmailMessage) -> None: ...


class RefusedForGood(Exception):
    """The server says that this message will never be taken, so trying again is no use."""


class RefusesUs(Exception):
    """The server takes nothing from this installation as it is set up; that can be put right."""


# RFC 3463: an address that is none, and what a server says of whoever sends instead.
NO_SUCH_ADDRESS = re.compile(r"5\.1\.(0|1|2|3|6|10)\b")
NOT_FROM_US = re.compile(r"5\.7\.\d+|5\.1\.[78]\b")
WITHOUT_RIGHT = (530, 534, 535, 538)


def no_such_address(reason: str) -> bool:
    """Whether what a server said, as the outbox noted it, is that nobody has the address."""
    return NO_SUCH_ADDRESS.search(reason) is not None


class SmtpMailer:
    """`smtp://[user:password@]host[:port][?starttls=1]`, or `smtps://…` for TLS from the start."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)

    def send(self, message: EmailMessage) -> None:
        try:
            self._send(message)
        except smtplib.SMTPNotSupportedError as error:
            raise RefusesUs(f"no sabe lo que pide APP_SMTP_URL: {error}") from error
        except smtplib.SMTPRecipientsRefused as error:
            ((code, words),) = set(error.recipients.values())
            _judge(code, words, error)
            raise
        except smtplib.SMTPResponseException as error:
            _judge(error.smtp_code, error.smtp_error, error)
            raise

    def _send(self, message: EmailMessage) -> None:
        url = self._url
        host = url.hostname or "localhost"
        connect: smtplib.SMTP
        if url.scheme == "smtps":
            connect = smtplib.SMTP_SSL(
                host, url.port or 465, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context()
            )
        else:
            connect = smtplib.SMTP(host, url.port or 25, timeout=TIMEOUT_SECONDS)
        with connect as server:
            if url.query == "starttls=1":
                server.starttls(context=ssl.create_default_context())
            if url.username:
                server.login(unquote(url.username), unquote(url.password or ""))
            server.send_message(message)


def _judge(code: int, words: bytes | str, error: smtplib.SMTPException) -> None:
    """Whether a refusal is about the address, or about us; whatever else may be over soon."""
    said = words.decode("ascii", "replace") if isinstance(words, bytes) else words
    told = f"{code} {said}"
    if 500 <= code < 600 and NO_SUCH_ADDRESS.match(said):
        raise RefusedForGood(told) from error
    if code in WITHOUT_RIGHT or (500 <= code < 600 and NOT_FROM_US.match(said)):
        raise RefusesUs(told) from error


class FolderMailer:
    """One `.eml` file for each message: the demo's captured mailbox."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def send(self, message: EmailMessage) -> None:
        private.folder(self.folder)
        number = 1 + max((int(f.stem) for f in self.folder.glob("*.eml")), default=0)
        (self.folder / f"{number:06d}.eml").write_bytes(message.as_bytes())

    def messages(self, most: int | None = 50) -> list[tuple[int, EmailMessage]]:
        """The latest messages with their numbers, newest first; None: all of them."""
        files = sorted(self.folder.glob("*.eml"), reverse=True)[:most]
        return [(int(file.stem), _read(file)) for file in files]

    def forget(self, addresses: frozenset[str]) -> None:
        """Delete what was written to these addresses."""
        for file in self.folder.glob("*.eml"):
            if str(_read(file)["To"]) in addresses:
                file.unlink()

    def empty(self) -> None:
        for file in self.folder.glob("*.eml"):
            file.unlink()

    def message(self, number: int) -> EmailMessage | None:
        file = self.folder / f"{number:06d}.eml"
        return _read(file) if file.exists() else None


class MemoryMailer:
    """Keeps what it was given."""

    def __init__(self) -> None:
        self.sent: list[EmailMessage] = []

    def send(self, message: EmailMessage) -> None:
        self.sent.append(message)


def _read(file: Path) -> EmailMessage:
    message = BytesParser(EmailMessage, policy=policy.default).parsebytes(file.read_bytes())
    assert isinstance(message, EmailMessage)
    return message
