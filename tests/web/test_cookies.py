"""Every cookie that the portal sets: its name and flags keep it ours, and over HTTPS alone."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pyotp
import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from booking import links
from booking.db import database
from booking.mailer import MemoryMailer
from booking.models import SignIn
from booking.settings import Environment
from tests.conftest import make_account

ALL = {"citas", "dispositivo", "navegador"}
ANA, INES = "ana@example.com", "ines@alameda.example"


@pytest.fixture(params=["https://citas.example", "http://localhost"])
def portal(request, books, settings, clock) -> Iterator[Flask]:
    """A portal that people open over HTTPS, and one on this machine; neither waives a factor."""
    told = replace(settings, base_url=request.param, environment=Environment.PRODUCTION)
    application = create_app(told, clock=clock, mailer=MemoryMailer())
    yield application
    books.close(database.obj)


class Browser:
    """What a person does, and every `Set-Cookie` that comes back."""

    def __init__(self, portal: Flask) -> None:
        self.settings = portal.extensions["settings"]
        self.client: FlaskClient = portal.test_client()
        self.client.environ_base["HTTP_SEC_FETCH_SITE"] = "same-origin"
        self.noted: list[str] = []

    def open(self, method: str, path: str, **form: str):
        url = self.settings.base_url
        answer = self.client.open(path, method=method, data=form or None, base_url=url)
        self.noted += answer.headers.getlist("Set-Cookie")
        return answer

    def sign_in(self, email: str) -> None:
        self.open("POST", "/entrar", correo=email)
        nonce = SignIn.select().order_by(SignIn.id.desc()).get().nonce
        code = links.code(self.settings.secret_key, nonce)
        assert self.open("POST", "/entrar/codigo", codigo=code).location != "/entrar"

    def read_key(self) -> pyotp.TOTP:
        page = self.open("GET", "/segundo-paso/activar")
        return pyotp.TOTP(re.findall(r"<code>([A-Z2-7 ]+)</code>", page.text)[0].replace(" ", ""))


def live(browser: Browser, clock) -> None:
    """All that gives a browser something to keep, or takes it away."""
    browser.open("POST", "/idioma", idioma="en")
    browser.sign_in(ANA)
    assert browser.open("GET", "/citas").status_code == 200
    # What flask-login would read, though we never set it, and clear without our flags.
    browser.client.set_cookie("remember_token", "x|y", domain="citas.example")
    browser.client.set_cookie("remember_token", "x|y")
    browser.open("POST", "/salir")
    assert browser.open("GET", "/citas").status_code == 303
    browser.sign_in(INES)
    phone = browser.read_key()
    browser.open("POST", "/segundo-paso/activar", codigo=phone.at(clock.now()))
    clock.advance(timedelta(minutes=1))
    shown = browser.open("POST", "/segundo-paso", codigo=phone.at(clock.now()), recordar="1")
    assert shown.status_code == 303
    assert browser.open("GET", "/agenda").status_code in (200, 303)
    browser.open("POST", "/salir", todos="1")


def test_every_cookie_is_ours_alone_and_works(portal, clock):
    make_account("Ana Ruiz Peña", ANA)
    browser = Browser(portal)
    live(browser, clock)
    prefix = "__Host-" if browser.settings.secure else ""
    assert {said.partition("=")[0] for said in browser.noted} == {prefix + name for name in ALL}
    for said in browser.noted:
        flags = {flag.strip().lower() for flag in said.split(";")[1:]}
        assert {"httponly", "samesite=lax", "path=/"} <= flags, said
        assert ("secure" in flags) is browser.settings.secure, said
        assert not [flag for flag in flags if flag.startswith("domain")], said


def test_a_device_that_is_remembered_needs_no_second_code(portal, clock):
    browser = Browser(portal)
    browser.sign_in(INES)
    phone = browser.read_key()
    browser.open("POST", "/segundo-paso/activar", codigo=phone.at(clock.now()))
    clock.advance(timedelta(minutes=1))
    browser.open("POST", "/segundo-paso", codigo=phone.at(clock.now()), recordar="1")
    browser.open("POST", "/segundo-paso/codigos")
    browser.open("POST", "/salir")
    browser.sign_in(INES)
    assert browser.open("GET", "/agenda").status_code == 200
