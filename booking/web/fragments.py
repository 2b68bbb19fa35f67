"""One URL, three answers: the page, the step alone, or one part of it. Alone speaks htmx."""

import json
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

from flask import Flask, Response, make_response, redirect, render_template
from flask_login import current_user
from htmx_flask import request as htmx_request

from booking.availability import plan

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PAGE, FRAGMENT = "layouts/page.html", "layouts/fragment.html"


def init_app(app: Flask) -> None:
    app.jinja_env.globals["layout"] = PAGE  # For templates that are rendered without `render`.
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.after_request(_answer_for_htmx)
    app.wsgi_app = Onward(app.wsgi_app)  # type: ignore[method-assign]


class Onward:
    """Answers a link or a form that htmx sent with the page to which it leads.

    Asked for by the phone itself, that page is another round trip. Browsers without scripts need
    the redirect after a form, so that going back or anew does not send it again.
    """

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        if "HTTP_HX_BOOSTED" not in environ:
            return self._app(environ, start_response)
        onward = dict(environ)
        answer = Response.from_app(self._app, environ)
        # A cookie is for the browser to keep, and to show from then on.
        if answer.status_code not in (302, 303) or "Set-Cookie" in answer.headers:
            return answer(environ, start_response)
        answer.close()
        address = answer.headers["Location"]
        path, query = urlsplit(address)[2:4]
        onward |= {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "CONTENT_LENGTH": "0",
            "wsgi.input": BytesIO(),
        }
        page = Response.from_app(self._app, onward)
        if page.status_code // 100 != 3:
            page.headers.setdefault("HX-Push-Url", address)
        return page(onward, start_response)


def render(
    template: str, *, parts: tuple[str, ...] = (), status: int = 200, **context: object
) -> Response:
    """The template as what the browser is going to replace: everything, the step, or a part.

    A part `slots` of `requests/deny.html` is `requests/_slots.html` with the root id `slots`.
    """
    context["practice"] = plan().practice
    wanted = htmx_request.htmx.target if htmx_request.htmx else None
    if wanted in parts:
        folder = template.rpartition("/")[0]
        text = render_template(f"{folder}/_{wanted}.html", part=wanted, **context)
        return make_response(text, status)
    layout = FRAGMENT if wanted and current_user.is_authenticated and _same_tab() else PAGE
    response = make_response(render_template(template, layout=layout, **context), status)
    if layout is FRAGMENT and wanted != "step":
        response.headers["HX-Retarget"] = "#step"
        response.headers["HX-Reswap"] = "outerHTML show:window:top"
    elif layout is PAGE and wanted:
        response.headers["HX-Retarget"] = "body"
        response.headers["HX-Reswap"] = "innerHTML show:window:top"
    return response


def as_download(data: dict[str, Any]) -> Response:
    """Data as a file that people keep and other systems read."""
    response = make_response(json.dumps(data, ensure_ascii=False, indent=2))
    response.mimetype = "application/json"
    response.headers["Content-Disposition"] = 'attachment; filename="mis-datos.json"'
    return response


def see_other(location: str) -> Response:
    """After a form that did something: the page that shows what it did."""
    assert not urlsplit(location).netloc
    return make_response(redirect(location, 303))


def _same_tab() -> bool:
    """Whether the page in the browser is of the same menu entry, so that its tab stays right."""
    shown = urlsplit(htmx_request.htmx.current_url or "").path
    return not shown or shown.split("/")[1] == htmx_request.path.split("/")[1]


def _answer_for_htmx(response: Response) -> Response:
    if response.mimetype == "text/html":
        response.vary.update(["HX-Request", "HX-Target", "Cookie"])
        if htmx_request.htmx and response.status_code >= 400:
            response.headers["HX-Push-Url"] = "false"
    return response
