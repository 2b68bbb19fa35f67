"""Bodies as small as the browser can read them: pages quickly, files as well as can be.

Brotli comes first whatever a browser names first: on a page of a few kilobytes it beats zstd.
"""

import gzip

import brotli
from flask import Flask, Response, request

SMALLEST = 200  # Less than that only grows.
TEXT = {
    "application/json",
    "application/manifest+json",
    "text/calendar",
    "text/html",
    "text/javascript",
}


def init_app(app: Flask) -> None:
    app.after_request(_compress)


def encoding() -> str:
    """The best that the browser can read; Brotli it asks for over HTTPS only."""
    return next((each for each in ("br", "gzip") if request.accept_encodings[each]), "")


def compress(content: bytes, encoding: str, *, ahead: bool = False) -> bytes:
    """The content in an encoding; what is kept for good may take its time."""
    if encoding == "br":
        return bytes(brotli.compress(content, quality=11 if ahead else 5))
    if encoding == "gzip":
        return gzip.compress(content, 9 if ahead else 6, mtime=0)
    return content


def _compress(response: Response) -> Response:
    """Refusals and errors too: a page that says that a time is gone shows all the others."""
    if response.location:  # Werkzeug adds a page in English that no browser shows.
        response.set_data(b"")
        del response.headers["Content-Type"]
    if response.mimetype not in TEXT:
        return response
    response.vary.add("Accept-Encoding")
    content, chosen = response.get_data(), encoding()
    if chosen and len(content) >= SMALLEST and "Content-Encoding" not in response.headers:
        response.set_data(compress(content, chosen))
        response.headers["Content-Encoding"] = chosen
    return response
