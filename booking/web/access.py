"""Who may see what: each view declares its audience, and the account behind a cookie is a row."""

from collections.abc import Callable
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


class For(StrEnum):
    """Whom a view answers."""

    PUBLIC = "public"
    HALF_IN = "half_in"  # Whoever has proved an address; the second factor may still be due.
    CLIENT = "client"  # Anybody signed in; rows are scoped to the account.
    STAFF = "staff"  # Clinicians and managers; to all others there is no such page.
    DEMO = "demo"  # Anybody, but registered in the demo only.


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
for_demo = _declare(For.DEMO)


def dangerous(view: View) -> View:
    """Declare that staff must have shown their second factor just now."""
    view.dangerous = True  # type: ignore[attr-defined]
    return view


def init_app(app: Flask) -> None:
    app.extensions["login_manager"] = app.login_manager  # type: ignore[attr-defined]
    app.login_manager.session_protection = None  # type: ignore[attr-defined] # Phones change address.
    app.before_request(_guard)
    app.context_processor(lambda: {"account": account_or_none()})
    app.jinja_env.globals["return_path"] = return_path


def refuse_undeclared_views(app: Flask) -> None:
    """No view without an audience: forgetting it stops the server, not a visitor."""
    app.view_functions.pop("static", None)
    undeclared = [
        name for name, view in app.view_functions.items() if not hasattr(view, "audience")
    ]
    if undeclared:
        raise LookupError(f"views without an audience: {undeclared}")


def load_user(token: str) -> User | None:
    session = signing_in.session_of(token, now=g.now)
    return None if session is None else User(session, token)


def _guard() -> ResponseReturnValue | None:
    view = current_app.view_functions.get(request.endpoint or "")
    audience = getattr(view, "audience", For.PUBLIC)  # No view: the 404 is anybody's.
    if audience in (For.PUBLIC, For.DEMO):
        return None
    if not current_user.is_authenticated:
        return redirect(url_for("portal.sign_in", sig=return_path()), 303)
    if audience is For.HALF_IN:
        return None
    if current_user.session.pending:
        return redirect(url_for("second_factor.show", sig=return_path()), 303)
    if audience is For.STAFF and not account().staff:
        abort(404)
    if getattr(view, "dangerous", False) and _must_show_factor():
        return redirect(url_for("second_factor.show", sig=return_path()), 303)
    return None


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
    if not current_user or not current_user.is_authenticated or session().pending:
        return None
    return account()


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
