"""Headers on every answer, and the check that a form was sent from our own pages."""

from flask import Flask, Response, abort, request
from flask_babel import gettext as _

from booking.web import access, forms
from booking.web.errors import problem
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
# Who may frame us is said by `frame-ancestors`, so `X-Frame-Options` has nothing to add.
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}


def init_app(app: Flask) -> None:
    app.before_request(_refuse_foreign_names)
    app.before_request(_refuse_foreign_forms)
    app.after_request(_headers)


def _refuse_foreign_names() -> Response | None:
    """Whoever asks for another site's pages is told where ours are; probes ask by any name."""
    if request.endpoint == "portal.healthz" or settings().answers_to(request.host):
        return None
    return problem(
        400,
        title=_("Esa no es la dirección del portal"),
        advice=_("Ábralo en %(address)s", address=settings().base_url),
    )


def _refuse_foreign_forms() -> None:
    """`Sec-Fetch-Site`, else `Origin`; browsers too old for both show the form's signed key.

    The origin is compared as text, scheme and all: what a stranger sends is not worth parsing.
    """
    if request.method in ("GET", "HEAD", "OPTIONS") or access.shows_qa_key():
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        ours = site == "same-origin"
    elif origin is not None:
        scheme = "https" if settings().secure else "http"
        ours = origin in (f"{scheme}://{request.host}", settings().base_url)
    else:
        ours = forms.key_is_ours()
    if not ours:
        abort(400)


def _headers(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", CSP)
    response.headers.extend(ALWAYS)
    if settings().secure:
        response.headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    return response
