"""The captured mail, read as a person would: its words, links, code and calendar file."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage

from e2e.site import Site

URL = re.compile(r"https?://[^\s<>]+")
PROOF = re.compile(r"/(?:entrar|cuenta/correo)/")
CODE = re.compile(r"^\s+(\d{6})\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One message, taken apart."""

    to: str
    subject: str
    text: str  # What a reader without HTML sees.
    html: str
    files: dict[str, str]  # By name.

    @property
    def words(self) -> str:
        """The text in one line, so that what is looked for may be broken anywhere."""
        return " ".join(self.text.split())

    @property
    def links(self) -> list[str]:
        return URL.findall(self.text)

    @property
    def link(self) -> str:
        """The one that proves the address, and leads on."""
        proving = [link for link in self.links if PROOF.search(link)]
        assert proving, f"«{self.subject}» no trae ningún enlace para entrar: {self.links}"
        return proving[-1]

    @property
    def code(self) -> str:
        found = CODE.findall(self.text)
        assert found, f"«{self.subject}» no trae código"
        return str(found[-1])

    @property
    def ics(self) -> str:
        """The calendar file."""
        assert "cita.ics" in self.files, f"«{self.subject}» no trae archivo de calendario"
        return self.files["cita.ics"]


class Mailbox:
    """Everybody's mail. To look into it lets the worker send what is due, so nobody waits."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def __iter__(self) -> Iterator[Mail]:
        self._site.work()
        return iter([_read(message) for message in self._site.mails()])

    def to(self, email: str, subject: str = "") -> list[Mail]:
        """What was written to an address under a subject with some words, the oldest first."""
        return [mail for mail in self if mail.to == email and subject in mail.subject]

    def latest(self, to: str, subject: str = "") -> Mail:
        """The newest of these; there must be one."""
        every = list(self)
        found = [mail for mail in every if mail.to == to and subject in mail.subject]
        assert found, f"nada para {to} con «{subject}», sino {[(m.to, m.subject) for m in every]}"
        return found[-1]

    def code(self, to: str) -> str:
        """The newest code for signing in."""
        return self.latest(to, "código").code

    def link(self, to: str, subject: str = "") -> str:
        """The link of the newest such message."""
        return self.latest(to, subject).link


def _read(message: EmailMessage) -> Mail:
    return Mail(
        to=str(message["To"]),
        subject=str(message["Subject"]),
        text=_body(message, "plain"),
        html=_body(message, "html"),
        files={str(part.get_filename()): _file(part) for part in message.iter_attachments()},
    )


def _body(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    return "" if body is None else str(body.get_content())


def _file(part: EmailMessage) -> str:
    content = part.get_content()
    return content.decode() if isinstance(content, bytes) else str(content)
