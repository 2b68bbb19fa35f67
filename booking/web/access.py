"""Who may see what: a view declares its audience and what it is about; sessions are rows."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

import flask
from flask import Flask, abort, current_app, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import UserMixin, current_user, login_user, logout_user

from booking import gateway
from booking.gateway import Actor
from booking.models import Account, WebSession
from booking.operations import second_factor, signing_in
from booking.operations.signing_in import SignedIn

View = TypeVar("View", bound=Callable[..., Any])
QA = "/qa/"


class NotSignedIn(Exception):
    """The page is for whoever is signed in; `door` leads back to it."""

    def __init__(self, door: str) -> None:
        super().__init__(door)
        self.door = door


class For(StrEnum):
    """Whom a view answers."""

    PUBLIC = "public"
    HALF_IN = "half_in"  # Staff who proved an address; the second factor may still be due.
    CLIENT = "client"  # Anybody signed in; rows are scoped to the account.
    STAFF = "staff"  # Clinicians and managers; to all others there is no such page.
    MANAGER = "manager"  # Not even to other staff is there such a page.
    DEMO = "demo"  # Anybody, but registered in the demo only.
    QA = "qa"  # Whoever shows the key; registered in QA mode only.


class Tie(StrEnum):
    """How somebody can be tied to a thing; whoever has none of the ties finds no such thing."""

    HOLDER = "holder"  # It is about the account's holder,
    GUARDIAN = "guardian"  # about a child in their care,
    PARTNER = "partner"  # or about the couple that they are half of.
    CLINICIAN = "clinician"  # It is the clinician's own session, client or time.
    MANAGER = "manager"  # Everything in the practice.
    BEARER = "bearer"  # Whoever knows its name.


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """What a parameter of a path, query or form names, and who may touch it.

    `refused` is the answer to everybody else, and to those who name what does not exist; a view
    that can do without what its query names leaves it out instead.
    """

    kind: str
    parameter: str
    open_to: frozenset[Tie]
    refused: int = 404

    def named(self, parameter: str) -> "Thing":
        """The same under the name that it has in a query or a form."""
        return replace(self, parameter=parameter)


FAMILY = frozenset({Tie.HOLDER, Tie.GUARDIAN, Tie.PARTNER})
CARE = frozenset({Tie.CLINICIAN, Tie.MANAGER})
ANYBODY = frozenset({Tie.BEARER})

OWN_APPOINTMENT = Thing(kind="appointment", parameter="appointment_id", open_to=FAMILY)
OWN_OFFER = Thing(kind="offer", parameter="horario", open_to=FAMILY, refused=409)
OWN_PERSON = Thing(kind="client", parameter="persona", open_to=FAMILY, refused=422)
APPOINTMENT = Thing(kind="appointment", parameter="appointment_id", open_to=CARE)
OFFER = Thing(kind="offer", parameter="horario", open_to=CARE, refused=409)
CLIENT = Thing(kind="client", parameter="client_id", open_to=CARE)
RECORD = Thing(kind="record", parameter="client_id", open_to=frozenset({Tie.MANAGER}))
AGENDA = Thing(kind="clinician", parameter="profesional", open_to=CARE)
BLOCKED_TIME = Thing(kind="blocked", parameter="blocked_id", open_to=CARE)
REPLAN = Thing(kind="replan", parameter="replan_id", open_to=CARE)
# Two lists that say by themselves what there is.
OWN_SESSION = Thing(
    kind="session", parameter="sesion", open_to=frozenset({Tie.HOLDER}), refused=303
)
MEMBER = Thing(kind="account", parameter="cuenta", open_to=frozenset({Tie.MANAGER}), refused=303)
REPLAN_ROW = Thing(kind="replan_row", parameter="fila", open_to=CARE, refused=422)
# Of a mail to an address that the account is to have.
NEW_EMAIL_LINK = Thing(
    kind="email_link", parameter="token", open_to=frozenset({Tie.HOLDER}), refused=410
)
# Whoever is signed in with the address goes straight on, even when the link is dead.
SIGN_IN_LINK = Thing(kind="link", parameter="token", open_to=ANYBODY | {Tie.HOLDER}, refused=410)
FILE = Thing(kind="file", parameter="filename", open_to=ANYBODY)
MAIL = Thing(kind="mail", parameter="number", open_to=ANYBODY)
PERSONA = Thing(kind="persona", parameter="who", open_to=ANYBODY)


class User(UserMixin):  # type: ignore[misc]
    """An account, signed in on a device; the cookie names the session, not the account."""

    def __init__(self, session: WebSession, token: str) -> None:
        self.session, self.token = session, token
        self.account: Account = session.account

    def get_id(self) -> str:
        return self.token


def _declare(audience: For) -> Callable[[View], View]:
    def wrap(view: View) -> View:
        view.audience = audience  # type: ignore[attr-defined]
        return view

    return wrap


public = _declare(For.PUBLIC)
for_half_in = _declare(For.HALF_IN)
for_client = _declare(For.CLIENT)
for_staff = _declare(For.STAFF)
for_manager = _declare(For.MANAGER)
for_demo = _declare(For.DEMO)
for_qa = _declare(For.QA)


def of(*things: Thing) -> Callable[[View], View]:
    """Declare what a view is about: every path parameter, and what its query or form names."""

    def wrap(view: View) -> View:
        view.things = things  # type: ignore[attr-defined]
        return view

    return wrap


def dangerous(view: View) -> View:
    """Declare that staff must have shown their second factor just now."""
    view.dangerous = True  # type: ignore[attr-defined]
    return view


def newly_in(view: View) -> View:
    """Declare that clients must have signed in just now."""
    view.newly_in = True  # type: ignore[attr-defined]
    return view


def init_app(app: Flask) -> None:
    app.extensions["login_manager"] = app.login_manager  # type: ignore[attr-defined]
    app.login_manager.session_protection = None  # type: ignore[attr-defined] # Phones change address.
    app.before_request(_guard)
    app.context_processor(lambda: {"account": account_or_none()})
    app.jinja_env.globals["return_path"] = return_path


def refuse_undeclared_views(app: Flask) -> None:
    """No view without a policy: forgetting it stops the server, not a visitor."""
    undeclared = [
        name for name, view in app.view_functions.items() if not hasattr(view, "audience")
    ]
    if undeclared:
        raise LookupError(f"views without an audience: {undeclared}")
    nobodys = [
        f"{rule.endpoint}: {name}"
        for rule in app.url_map.iter_rules()
        for name in rule.arguments - {thing.parameter for thing in things_of(app, rule.endpoint)}
    ]
    if nobodys:
        raise LookupError(f"path parameters that @of does not declare: {sorted(nobodys)}")


def audience_of(app: Flask, endpoint: str) -> For:
    """Whom a view declares to answer."""
    found: For = app.view_functions[endpoint].audience  # type: ignore[union-attr]
    return found


def things_of(app: Flask, endpoint: str) -> tuple[Thing, ...]:
    """What a view declares to be about."""
    found: tuple[Thing, ...] = getattr(app.view_functions[endpoint], "things", ())
    return found


def load_user(token: str) -> User | None:
    session = signing_in.session_of(token, now=g.now)
    return None if session is None else User(session, token)


def _guard() -> ResponseReturnValue | None:
    if request.path.startswith(QA) and not shows_qa_key():
        abort(404)  # Whatever the method: without the key there is nothing here.
    view = current_app.view_functions.get(request.endpoint or "")
    audience = getattr(view, "audience", For.PUBLIC)  # No view: the 404 is anybody's.
    if audience in (For.PUBLIC, For.DEMO, For.QA):
        return None
    user = _user()
    if user is None:
        raise NotSignedIn(url_for("portal.sign_in", sig=return_path()))
    if audience in (For.HALF_IN, For.STAFF, For.MANAGER) and not user.account.staff:
        abort(404)
    if audience is For.MANAGER and not user.account.manager:
        abort(404)
    if audience is For.HALF_IN:
        return None
    if user.session.pending:
        return redirect(url_for("second_factor.show", sig=return_path()), 303)
    if getattr(view, "dangerous", False) and _must_show_factor():
        return redirect(url_for("second_factor.show", sig=return_path()), 303)
    if getattr(view, "newly_in", False) and not account().staff and not is_newly_in():
        return redirect(url_for("portal.sign_in", sig=return_path()), 303)
    return None


def shows_qa_key() -> bool:
    """Whether the key of QA mode comes along, in a header that no foreign page can send."""
    key = current_app.extensions["settings"].qa_key
    shown = request.headers.get("Authorization", "")
    return key is not None and hmac.compare_digest(shown.encode(), f"Bearer {key}".encode())


def is_newly_in() -> bool:
    """Whether this browser's session began just now."""
    return signing_in.is_recent(session(), now=g.now)


def _must_show_factor() -> bool:
    """Whether staff have a factor (in the demo they may do without) and have not just shown it."""
    if not account().staff or second_factor.is_fresh(session(), now=g.now):
        return False
    return second_factor.of(account()) is not None


def return_path() -> str:
    """Where to come back to after signing in: this page, or the one whose form this was."""
    methods = request.url_rule.methods if request.url_rule else None
    if request.method == "GET" or "GET" in (methods or ()):
        return request.full_path.rstrip("?")
    return request.path.rpartition("/")[0]


def account() -> Account:
    """The account that is signed in."""
    found: Account = current_user.account
    return found


def session() -> WebSession:
    """The session behind this browser's cookie."""
    found: WebSession = current_user.session
    return found


def account_or_none() -> Account | None:
    """The account, if somebody is signed in and all the way in."""
    user = _user()
    return None if user is None or user.session.pending else user.account


def _user() -> User | None:
    """Whoever is signed in, if a browser asks at all; each look at `current_user` costs."""
    found = current_user._get_current_object()
    return found if found and found.is_authenticated else None


def staff_actor() -> Actor:
    """The signed-in account as staff."""
    return gateway.staff(account())


def enter(signed_in: SignedIn) -> None:
    """Give this browser the session's cookie."""
    flask.session.permanent = True
    login_user(User(signed_in.session, signed_in.token), force=True)


def leave(*, everywhere: bool = False) -> None:
    """End the session behind this browser's cookie, or all of the account's."""
    if everywhere:
        signing_in.sign_out_everywhere(account(), now=g.now)
    else:
        signing_in.sign_out(session(), now=g.now)
    logout_user()
