"""Who may see what: each view declares its audience, and the account behind a cookie is a row."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

from flask import Flask, abort, current_app, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import UserMixin, current_user, login_user, logout_user

from booking import gateway
from booking.gateway import Actor
from booking.models import Account
from booking.operations import signing_in
from booking.operations.signing_in import SignedIn

View = TypeVar("View", bound=Callable[..., Any])


class For(StrEnum):
    """Whom a view answers."""

    PUBLIC = "public"
    CLIENT = "client"  # Anybody signed in; rows are scoped to the account.
    STAFF = "staff"  # Clinicians and managers; to all others there is no such page.
    DEMO = "demo"  # Anybody, but registered in the demo only.


class User(UserMixin):  # type: ignore[misc]
    """An account, signed in on a device; the cookie names the session, not the account."""

    def __init__(self, account: Account, token: str) -> None:
        self.account, self.token = account, token

    def get_id(self) -> str:
        return self.token


def _declare(audience: For) -> Callable[[View], View]:
    def wrap(view: View) -> View:
        view.audience = audience  # type: ignore[attr-defined]
        return view

    return wrap


public = _declare(For.PUBLIC)
for_client = _declare(For.CLIENT)
for_staff = _declare(For.STAFF)
for_demo = _declare(For.DEMO)


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
    account = signing_in.account_of_session(token, now=g.now)
    return None if account is None else User(account, token)


def _guard() -> ResponseReturnValue | None:
    view = current_app.view_functions.get(request.endpoint or "")
    audience = getattr(view, "audience", For.PUBLIC)  # No view: the 404 is anybody's.
    if audience in (For.PUBLIC, For.DEMO):
        return None
    if not current_user.is_authenticated:
        return redirect(url_for("portal.sign_in", sig=return_path()), 303)
    if audience is For.STAFF and not account().staff:
        abort(404)
    return None


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


def account_or_none() -> Account | None:
    return account() if current_user and current_user.is_authenticated else None


def staff_actor() -> Actor:
    """The signed-in account as staff."""
    return gateway.staff(account())


def enter(signed_in: SignedIn) -> None:
    """Give this browser the session's cookie."""
    from flask import session

    session.permanent = True
    login_user(User(signed_in.account, signed_in.token), force=True)


def leave(*, everywhere: bool = False) -> None:
    """End the session behind this browser's cookie."""
    signing_in.sign_out(current_user.token, now=g.now, everywhere=everywhere)
    logout_user()
