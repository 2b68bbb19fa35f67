"""A mail server on loopback, as much of SMTP as a client that has mail to leave needs.

aiosmtpd does more than this and stays a tool for tests: an operator's installation should not
carry a mail server for one command.
"""

import socketserver
import threading
from collections.abc import Callable
from contextlib import suppress
from email import message_from_bytes, policy

LONGEST_LINE = 10_000


class PostOffice:
    """Keeps the Message-ID of all that it took; it can be closed and opened on the same port."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.taken: list[str] = []
        self.on_taken: Callable[[int], None] = lambda _count: None  # Before the sender is told.
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def open(self) -> None:
        self._server = _Server(("127.0.0.1", self.port), _Conversation)
        self._server.office = self
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def take(self, content: bytes) -> None:
        name = str(message_from_bytes(content, policy=policy.default)["Message-ID"])
        self.taken.append(name.strip("<>").partition("@")[0])
        self.on_taken(len(self.taken))


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    office: PostOffice


class _Conversation(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        with suppress(OSError):  # The sender was killed in the middle of a word.
            self._talk()

    def _talk(self) -> None:
        self._say("220 prueba")
        while line := self.rfile.readline(LONGEST_LINE):
            verb = line[:4].upper()
            if verb == b"DATA":
                self._say("354 adelante")
                self.server.office.take(self._content())
                self._say("250 recibido")
            elif verb == b"QUIT":
                self._say("221 adios")
                return
            else:
                self._say("250 bien")

    def _content(self) -> bytes:
        lines = []
        while (line := self.rfile.readline(LONGEST_LINE)) not in (b".\r\n", b""):
            lines.append(line)
        if not line:
            raise ConnectionError  # Cut short: what came is not a message.
        return b"".join(lines)

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())
