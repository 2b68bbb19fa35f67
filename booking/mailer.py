"""How mail leaves the house: by SMTP, into a folder (the demo), or into a list (tests)."""

import smtplib
import ssl
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from booking import private

TIMEOUT_SECONDS = 20


class Mailer(Protocol):
    """Something that takes a message, or raises."""

    def send(self, message: EmailMessage) -> None: ...


class RefusedForGood(Exception):
    """The server says that this message will never be taken, so trying again is no use."""


class SmtpMailer:
    """`smtp://[user:password@]host[:port][?starttls=1]`, or `smtps://…` for TLS from the start."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)

    def send(self, message: EmailMessage) -> None:
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
            if "starttls" in parse_qs(url.query):
                server.starttls(context=ssl.create_default_context())
            if url.username:
                server.login(unquote(url.username), unquote(url.password or ""))
            try:
                server.send_message(message)
            except smtplib.SMTPRecipientsRefused as refused:
                codes = [code for code, _ in refused.recipients.values()]
                if all(500 <= code < 600 for code in codes):
                    raise RefusedForGood(str(refused.recipients)) from refused
                raise


class FolderMailer:
    """One `.eml` file for each message: the demo's captured mailbox."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def send(self, message: EmailMessage) -> None:
        private.folder(self.folder)
        number = 1 + max((int(f.stem) for f in self.folder.glob("*.eml")), default=0)
        (self.folder / f"{number:06d}.eml").write_bytes(message.as_bytes())

    def messages(self, most: int = 50) -> list[tuple[int, EmailMessage]]:
        """The latest messages with their numbers, newest first."""
        files = sorted(self.folder.glob("*.eml"), reverse=True)[:most]
        return [(int(file.stem), _read(file)) for file in files]

    def forget(self, addresses: frozenset[str]) -> None:
        """Delete what was written to these addresses."""
        for file in self.folder.glob("*.eml"):
            if str(_read(file)["To"]) in addresses:
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
