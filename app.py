"""Puts the pieces together; decides nothing."""

from datetime import timedelta

from flask import Flask
from flask_login import LoginManager
from htmx_flask import Htmx
from werkzeug.middleware.proxy_fix import ProxyFix

from booking import cli, db
from booking.clock import Clock, SettableClock, SystemClock
from booking.mailer import FolderMailer, Mailer, SmtpMailer
from booking.qa.cast import NOW
from booking.settings import InvalidSettings, Settings
from booking.web import (
    access,
    compression,
    errors,
    forms,
    fragments,
    language,
    reads,
    security,
    urls,
)
from booking.web.account import bp as account
from booking.web.agenda import bp as agenda
from booking.web.appointments import bp as appointments
from booking.web.clients import bp as clients
from booking.web.demo import bp as demo
from booking.web.new_appointment import bp as new_appointment
from booking.web.new_email import bp as new_email
from booking.web.phone import bp as phone
from booking.web.portal import bp as portal
from booking.web.qa import bp as qa
from booking.web.replans import bp as replans
from booking.web.requests import bp as requests
from booking.web.second_factor import bp as second_factor


def create_app(
    settings: Settings | None = None,
    *,
    clock: Clock | None = None,
    mailer: Mailer | None = None,
) -> Flask:
    """The portal as a WSGI application; settings that must not run end it with a reason."""
    try:
        settings = settings or Settings.from_env()
        settings.make_data_dir()
    except InvalidSettings as invalid:
        raise SystemExit(str(invalid)) from None
    app = Flask(__name__, static_folder=None)  # Ours have their digest in the address.
    app.ensure_sync = lambda func: func  # type: ignore[method-assign] # None of ours is async.
    app.config.update(
        SECRET_KEY=settings.secret_key,
        MAX_CONTENT_LENGTH=64 * 1024,
        MAX_FORM_PARTS=600,  # A plan has up to 500 rows to tick.
        SESSION_COOKIE_NAME=settings.cookie_name("citas"),
        SESSION_COOKIE_SECURE=settings.secure,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,
        REMEMBER_COOKIE_NAME="",  # flask-login's own, which nobody can send: sessions are rows.
        PERMANENT_SESSION_LIFETIME=timedelta(days=90),
    )
    if settings.trusted_proxies:  # Only who is asking; names and schemes come from the settings.
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=settings.trusted_proxies, x_proto=0, x_host=0
        )
    app.extensions["settings"] = settings
    app.extensions["clock"] = clock or (SettableClock(NOW) if settings.qa else SystemClock())
    app.extensions["mailer"] = mailer or (
        SmtpMailer(settings.smtp_url)
        if settings.smtp_url
        else FolderMailer(settings.data_dir / "buzon")
    )
    db.connect(settings)
    Htmx(app)
    LoginManager(app, add_context_processor=False).user_loader(access.load_user)
    # What they do to an answer, they do in the opposite order: it is compressed in the end.
    for module in (
        compression, urls, language, security, access, forms, fragments, errors, reads
    ):  # fmt: skip
        module.init_app(app)
    for blueprint in (
        portal,
        second_factor,
        account,
        new_email,
        appointments,
        new_appointment,
        requests,
        agenda,
        replans,
        clients,
        phone,
        *([demo] if settings.demo else []),
        *([qa] if settings.qa else []),
    ):
        app.register_blueprint(blueprint)
    access.refuse_undeclared_views(app)
    cli.init_app(app)
    return app
