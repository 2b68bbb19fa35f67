"""What lets a phone keep the portal at hand: the worker, the manifest, and what it may remember."""

import json

from flask import Blueprint, Response, jsonify, make_response, render_template
from flask_babel import gettext as _

from booking.availability import plan
from booking.lifecycle import State
from booking.models import Appointment
from booking.queries import portal as queries
from booking.web.access import account, for_client, public
from booking.web.language import say
from booking.web.urls import STATIC, now, revalidated, static

bp = Blueprint("phone", __name__)

SHELL = ("citas.css", "portal.js")
ICONS = {"icono-192.png": "192x192", "icono-512.png": "512x512"}
PAPER = "#f7f3ec"  # As in citas.css.


@bp.get("/sw.js")
@public
def worker() -> Response:
    """The service worker; another one as soon as a file that it keeps changes."""
    files = json.dumps([static(name) for name in SHELL])
    return revalidated(
        Response(
            f"const FILES = {files}\n{(STATIC / 'sw.js').read_text()}", mimetype="text/javascript"
        )
    )


@bp.get("/manifest.webmanifest")
@public
def manifest() -> Response:
    """What a phone shows when the portal is installed as an app."""
    name = plan().practice.name
    response = jsonify(
        name=name,
        short_name=name.split(" ")[0],
        lang=say().code[:2],
        start_url="/citas",
        display="standalone",
        background_color=PAPER,
        theme_color=PAPER,
        icons=[
            {"src": static(file), "sizes": size, "type": "image/png", "purpose": purpose}
            for file, size in ICONS.items()
            for purpose in ("any", "maskable")
        ],
    )
    response.mimetype = "application/manifest+json"
    return revalidated(response)


@bp.get("/sin-conexion")
@public
def offline() -> Response:
    """The page that the worker shows when there is no network; nobody's data is in it."""
    return revalidated(
        make_response(render_template("phone/offline.html", practice=plan().practice))
    )


@bp.get("/citas/guardadas")
@for_client
def kept() -> Response:
    """When and where the next sessions are, and nothing else: a lost phone may be read by others.

    A list of `when` and `place` in words and `until`, the end in milliseconds since 1970.
    """
    who, moment = account(), now()
    return jsonify(
        [
            {
                "when": say().moment(row.starts_at, queries.zone(row, who)),
                "place": _place(row),
                "until": int(row.ends_at.timestamp() * 1000),
            }
            for row in queries.appointments(who, now=moment).upcoming
            if row.status == State.CONFIRMED
        ]
    )


def _place(row: Appointment) -> str:
    where = row.location
    return f"{where.name}, {where.address}" if where else _("Videollamada")
