"""Headers on every answer, forms of our own pages only, and audiences declared on every view."""

import gzip
import logging
from email.headerregistry import Address

import brotli
import pytest
from flask import Flask

from app import create_app
from booking.db import database
from booking.mailer import MemoryMailer
from booking.settings import DEVELOPMENT_SECRET, Environment, InvalidSettings, Settings
from booking.web import access
from booking.web.security import CSP
from tests.books import settings_in
from tests.web.test_portal import ask_for_mail

PRODUCTION = {
    "APP_SECRET_KEY": "k" * 40,
    "APP_BASE_URL": "https://citas.example",
    "APP_SMTP_URL": "smtp://localhost",
    "APP_MAIL_FROM": "citas@citas.example",
}


@pytest.mark.parametrize("path", ["/", "/citas", "/entrar", "/nada", "/healthz", "/static/x/y.css"])
def test_every_answer_carries_the_policy(visitor, path):
    answer = visitor().get(path)
    assert answer.headers["Content-Security-Policy"] == CSP
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"


def test_files_are_kept_for_good_and_pages_never(visitor, app):
    with app.test_request_context():
        from booking.web.urls import static

        address = static("citas.css")
    file = visitor().get(address, headers={"Accept-Encoding": "br"})
    assert "immutable" in file.headers["Cache-Control"]
    assert file.headers["Content-Encoding"] == "br"
    zipped = visitor().get(address, headers={"Accept-Encoding": "gzip"})
    assert zipped.headers["Content-Encoding"] == "gzip"
    plain = visitor().get(address, headers={"Accept-Encoding": "identity"})
    assert gzip.decompress(zipped.data) == brotli.decompress(file.data) == plain.data
    assert visitor().get("/entrar").headers["Cache-Control"] == "no-store"
    assert visitor().get(address.replace("citas.css", "../app.py")).status_code == 404
    wrong = address.rsplit("/", 2)[0] + "/0000000000/citas.css"
    assert visitor().get(wrong).status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "cross-site"}, 400),
        ({"Sec-Fetch-Site": "same-site"}, 400),
        ({"Sec-Fetch-Site": "none"}, 400),
        ({"Origin": "http://localhost"}, 303),
        ({"Origin": "https://evil.example"}, 400),
        ({"Origin": "null"}, 400),
        ({}, 400),
    ],
)
def test_a_form_must_come_from_our_own_pages(app, headers, status):
    answer = app.test_client().post("/idioma", data={"idioma": "en"}, headers=headers)
    assert answer.status_code == status


def test_a_browser_too_old_for_such_headers_shows_the_forms_key(app):
    from tests.web.test_flow import key_of

    browser = app.test_client()
    key = key_of(browser.get("/entrar"))
    assert browser.post("/idioma", data={"idioma": "en", "llave": key}).status_code == 303
    assert browser.post("/idioma", data={"idioma": "en", "llave": key + "x"}).status_code == 400


def test_every_view_declares_its_audience(app):
    assert all(hasattr(view, "audience") for view in app.view_functions.values())


def test_a_view_without_an_audience_stops_the_server():
    forgetful = Flask(__name__, static_folder=None)
    forgetful.add_url_rule("/x", "x", lambda: "x")
    with pytest.raises(LookupError, match="x"):
        access.refuse_undeclared_views(forgetful)


def test_a_view_about_something_undeclared_stops_the_server():
    @access.for_staff
    def careless(client_id: int) -> str:
        return str(client_id)

    new = Flask(__name__, static_folder=None)
    new.add_url_rule("/clientes/<int:client_id>/notas", "notes", careless)
    with pytest.raises(LookupError, match="notes: client_id"):
        access.refuse_undeclared_views(new)
    access.of(access.CLIENT)(careless)
    access.refuse_undeclared_views(new)
    assert access.things_of(new, "notes") == (access.CLIENT,)


@pytest.mark.parametrize("path", ["/solicitudes", "/agenda", "/clientes"])
def test_staff_pages_do_not_exist_for_clients(visitor, ana, path):
    assert visitor(ana).get(path).status_code == 404
    assert visitor().get(path).status_code == 303


def test_what_was_refused_is_noted_once_and_names_nobody(visitor, ana, bruno, confirmed, caplog):
    """ASVS 16.3.2: foreign forms and names, foreign things, staff's pages, dead links, limits."""
    caplog.set_level(logging.INFO)
    browser, stranger = visitor(bruno), visitor()
    browser.get(f"/citas/{confirmed.id}?sig=/secreto")
    browser.get("/solicitudes")
    browser.post("/idioma", data={"idioma": "en"}, headers={"Sec-Fetch-Site": "cross-site"})
    stranger.get("/entrar/secreto")
    stranger.get("/entrar", headers={"Host": "evil.example"})
    for _ in range(6):
        ask_for_mail(stranger, ana.email)
    browser.get("/nada/secreto")  # No such page: nobody was kept from anything.
    browser.get("/citas")
    assert [record.getMessage() for record in caplog.records] == [
        f"refused with 404: /citas/<int:appointment_id>, account {bruno.id}",
        f"refused with 404: /solicitudes, account {bruno.id}",
        f"refused with 400: /idioma, account {bruno.id}",
        "refused with 410: /entrar/<token>, account None",
        "refused with 400: /entrar, account None",
        "refused with 429: /entrar, account None",
    ]


def test_the_demos_doors_do_not_exist_in_production(books, settings):
    settings = Settings.from_env(PRODUCTION | {"APP_DATABASE_URL": settings.database_url})
    browser = create_app(settings, mailer=MemoryMailer()).test_client()
    for path in ("/buzon", "/buzon/1", "/demo/cliente", "/demo/profesional"):
        assert browser.get(path, base_url=settings.base_url).status_code == 404
    assert browser.get("/", base_url="https://evil.example").status_code == 400
    assert browser.get("/healthz", base_url="http://127.0.0.1:8000").status_code == 200
    refused = browser.get("/", base_url="https://evil.example")
    too_long = browser.post("/entrar", data={"x": "x" * 70_000}, base_url=settings.base_url)
    assert [refused.status_code, too_long.status_code] == [400, 413]
    for answer in (refused, too_long):
        assert answer.headers["Content-Security-Policy"] == CSP
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "camera=()" in answer.headers["Permissions-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
    answer = browser.get("/", base_url=settings.base_url)
    assert "max-age" in answer.headers["Strict-Transport-Security"]
    books.close(database.obj)


@pytest.mark.parametrize(
    "change",
    [
        {"APP_SECRET_KEY": DEVELOPMENT_SECRET},
        {"APP_SECRET_KEY": "short"},
        {"APP_SECRET_KEY": ""},
        {"APP_BASE_URL": "http://citas.example"},
        {"APP_SMTP_URL": ""},
        {"APP_MAIL_FROM": ""},
        {"APP_ENV": "staging"},
        {"APP_BASE_URL": "https://"},
        {"APP_SMTP_URL": "smtp://correo:abc"},
        {"APP_SMTP_URL": "http://correo"},
        {"APP_SMTP_URL": "smtp://correo?starttls=true"},
        {"APP_MAIL_FROM": "citas"},
        {"APP_MAIL_FROM": "@"},
        {"APP_MAIL_FROM": "a b@c.d"},
        {"APP_MAIL_FROM": "a..b@c.d"},
        {"APP_MAIL_FROM": "Consultorio <citas@ejemplo.mx>"},
        {"APP_BASE_URL": "https://[::1"},
        {"APP_BASE_URL": "https://a.b:abc"},
        {"APP_BASE_URL": "https://a.b/portal"},
        {"APP_BASE_URL": "https://a.b?x=1"},
        {"APP_BASE_URL": "https://ana@a.b"},
        {"APP_BASE_URL": f"https://{'ñ' * 63}.mx"},
        {"APP_DATA_DIR": ""},
        {"APP_DATABASE_URL": "sqlite:///"},
        {"APP_DATABASE_URL": "sqlite:////tmp"},
        {"APP_DATABASE_URL": "postgresql://a/b?foo=bar"},
        {"APP_DATABASE_URL": "postgresql://a:50%@h/b"},
        {"APP_DATABASE_URL": "mysql:///citas"},
        {"APP_TRUSTED_PROXIES": "todos"},
        {"APP_TRUSTED_PROXIES": "-1"},
    ],
)
def test_production_refuses_what_is_only_for_the_demo(change):
    with pytest.raises(InvalidSettings):
        Settings.from_env(PRODUCTION | change)
    assert Settings.from_env(PRODUCTION).environment is Environment.PRODUCTION


def test_settings_that_cannot_work_end_the_start_with_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    settings = settings_in(tmp_path / "file" / "data")
    with pytest.raises(SystemExit, match="APP_DATA_DIR: no se puede crear"):
        create_app(settings)
    secret = PRODUCTION | {"APP_DATABASE_URL": "postgresql://citas:cl4v3%@h/b"}
    with pytest.raises(InvalidSettings) as told:
        Settings.from_env(secret)
    assert "cl4v3" not in str(told.value)


@pytest.mark.parametrize("sender", ["citas@localhost", "c.i+t@ejemplo.mx", "o'h@a-b.example"])
def test_a_sender_that_is_accepted_can_send(sender):
    assert Address(addr_spec=Settings.from_env(PRODUCTION | {"APP_MAIL_FROM": sender}).mail_from)


def test_the_session_cookie_is_out_of_reach_for_scripts(visitor, ana, tmp_path):
    cookie = visitor(ana).get_cookie("citas")
    assert cookie.http_only
    assert cookie.same_site == "Lax"
    assert settings_in(tmp_path).secure is False  # Plain http on a LAN works in the demo.


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
def test_unknown_methods_get_a_page(visitor, ana, method):
    answer = visitor(ana).open("/citas", method=method)
    assert answer.status_code == 405
    assert "Vuelva al portal" in answer.text


def test_what_is_far_too_long_gets_a_page(visitor):
    answer = visitor().post("/entrar", data={"correo": "a" * 200_000})
    assert answer.status_code == 413
    assert "demasiado largo" in answer.text
