"""What the servers answer by themselves, to what is no HTTP or far too much of it.

No application sees such a request, so its headers and its calm page are given here once more.
"""

import socket

from waitress.task import ErrorTask

PAGE = (
    '<!doctype html><html lang="es"><meta charset="utf-8">'
    "<title>No pudimos leer lo que envió su navegador</title>"
    "<h1>No pudimos leer lo que envió su navegador</h1>"
    "<p>Vuelva a la página anterior e inténtelo otra vez, o abra el portal de nuevo.</p></html>"
).encode()
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Refusal(ErrorTask):  # type: ignore[misc] # waitress has no types.
    """Waitress's answer, without its name and without what it could not read."""

    def execute(self) -> None:
        self.status = f"{self.request.error.code} {self.request.error.reason}"
        self.response_headers.extend(HEADERS.items())
        self.set_close_on_finish()
        self.content_length = len(PAGE)
        self.write(PAGE)


def refuse(client: socket.socket, status: int, reason: str, _what: str) -> None:
    """The same from gunicorn, in the place of its `write_error`."""
    lines = [f"HTTP/1.1 {status} {reason}", "Connection: close", f"Content-Length: {len(PAGE)}"]
    lines += [f"{name}: {value}" for name, value in HEADERS.items()]
    client.sendall("\r\n".join([*lines, "", ""]).encode() + PAGE)
