"""Headers on every answer, and the check that a form was sent from our own pages."""

from urllib.parse import urlsplit

from flask import Flask, Response, abort, g, request

from booking.web import forms
from booking.web.urls import settings

CSP = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "manifest-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)


def init_app(app: Flask) -> None:
    app.before_request(_refuse_foreign_forms)
    app.after_request(_headers)


def _refuse_foreign_forms() -> None:
    """`Sec-Fetch-Site`, else `Origin`; browsers too old for both show the form's signed key."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        ours = site == "same-origin"
    elif origin is not None:
        ours = urlsplit(origin).netloc == request.host
    else:
        ours = forms.key_is_ours()
    if not ours:
        abort(400)


def _headers(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", CSP)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    # Who may frame us is said by `frame-ancestors`, so `X-Frame-Options` has nothing to add.
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=(), payment=()"
    if settings().secure:
        response.headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    g.pop("speech", None)
    return response
