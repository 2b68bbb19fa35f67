"""Reading forms: the one-time key, and fields that are checked and kept as they were typed."""

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Callable
from datetime import date
from typing import TypeVar

from flask import Flask, request
from flask_babel import gettext as _
from flask_login import current_user
from itsdangerous import BadSignature, HMACAlgorithm, Signer
from markupsafe import Markup

from booking.gateway import Key
from booking.operations.signing_in import is_address
from booking.web.urls import settings

KEY_FIELD = "llave"
PHONE = re.compile(r"\+?[\d\s().-]{7,25}")

T = TypeVar("T")


def init_app(app: Flask) -> None:
    app.jinja_env.globals["form_key"] = form_key


def form_key() -> Markup:
    """The hidden field that makes a form safe to send twice, and provably ours."""
    value = _signer().sign(secrets.token_urlsafe(9)).decode()
    return Markup('<input type="hidden" name="%s" value="%s">') % (KEY_FIELD, value)


def key_is_ours() -> bool:
    """Whether the form carries a key that we signed for this session."""
    try:
        _signer().unsign(request.form.get(KEY_FIELD, ""))
    except BadSignature:
        return False
    return True


def key() -> Key | None:
    """This form's one-time key; a form without a valid one is simply not repeatable."""
    if not key_is_ours():
        return None
    said = [request.full_path, *sorted(f"{k}={v}" for k, v in request.form.items(multi=True))]
    fingerprint = hashlib.sha256("\0".join(said).encode("utf-8", "surrogatepass")).hexdigest()
    return Key(request.form[KEY_FIELD], fingerprint)


class _HalfHmac(HMACAlgorithm):
    """HMAC-SHA-256-128 (RFC 4868): a key is on every page, and half of it is as hard to guess."""

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        return super().get_signature(key, value)[:16]


def _signer() -> Signer:
    return Signer(
        settings().secret_key,
        salt=f"form:{getattr(current_user, 'token', 'anonymous')}",
        digest_method=hashlib.sha256,
        algorithm=_HalfHmac(hashlib.sha256),
    )


class Form:
    """What was typed, what is wrong with it, and what it means.

    Each `read` method returns the value, or a harmless one after noting what is wrong; a view
    looks at `errors` once and shows the same form again with everything that was typed.
    """

    def __init__(self) -> None:
        self.typed = {name: _clean(value) for name, value in request.form.items()}
        self.errors: dict[str, str] = {}

    def refuse(self, name: str, message: str) -> None:
        self.errors.setdefault(name, message)

    def text(
        self, name: str, *, required: str | None = None, most: int = 120, multiline: bool = False
    ) -> str:
        """A line (or several) of text; `required` is what to say when it is empty."""
        value = self.typed.get(name, "").strip()
        if not multiline:
            value = " ".join(value.split())
        if required is not None and not value:
            self.refuse(name, required)
        elif len(value) > most:
            self.refuse(name, _("Escriba %(most)s caracteres como máximo.", most=most))
        return value

    def email(self, name: str, *, optional: bool = False) -> str:
        value = self.text(name, most=254).lower()
        if not value and optional:
            return ""
        if not value:
            self.refuse(name, _("Escriba su correo electrónico."))
        elif not is_address(value):
            self.refuse(
                name, _("Escriba un correo electrónico completo, por ejemplo ana@example.com.")
            )
        return value

    def digits(self, name: str) -> str:
        """The digits of a code, however they are set apart."""
        return "".join(c for c in self.get(name) if c.isdigit() and c.isascii())

    def refuse_code(self, left: int) -> None:
        """The code of a mail was not the right one."""
        self.refuse(
            "codigo",
            _(
                "Ese no es el código. Revise el correo más reciente y escríbalo"
                " de nuevo. Intentos que le quedan: %(left)s.",
                left=left,
            ),
        )

    def phone(self, name: str, *, optional: bool = False) -> str:
        value = self.text(name, most=40)
        if not value and optional:
            return ""
        if not PHONE.fullmatch(value):
            self.refuse(name, _("Escriba el teléfono con código de país o de área, solo números."))
        return value

    def day(self, name: str, *, required: str) -> date | None:
        """A date as `<input type=date>` sends it."""
        value = self.text(name, required=required, most=20)
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.refuse(name, _("Esa fecha no existe. Revise el día, el mes y el año."))
            return None

    def minute(self, name: str, *, required: str) -> int | None:
        """A time of day as `<input type=time>` sends it, in minutes after midnight."""
        value = self.text(name, required=required, most=8)
        found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)(:00)?", value)
        if found is None:
            self.refuse(name, _("Esa hora no existe. Escríbala así: 09:30."))
            return None
        return int(found[1]) * 60 + int(found[2])

    def choice(self, name: str, options: dict[str, T], *, required: str) -> T | None:
        """One of the offered values."""
        value = self.typed.get(name, "")
        if value not in options:
            self.refuse(name, required)
            return None
        return options[value]

    def checked(self, name: str) -> bool:
        return bool(self.typed.get(name))

    def get(self, name: str, otherwise: str = "") -> str:
        """What was typed, for showing it again."""
        return self.typed.get(name, otherwise)


def _clean(value: str) -> str:
    """Without control and direction marks, lone surrogates, or other ways of writing one letter."""
    value = unicodedata.normalize("NFC", value.encode("utf-8", "ignore").decode())
    return "".join(c for c in value if c in "\n\t" or unicodedata.category(c) not in UNWANTED)


UNWANTED = {"Cc", "Cf", "Cs", "Co", "Cn"}


def argument(name: str, read: Callable[[str], T]) -> T | None:
    """A query argument as `read` understands it; what it cannot read counts as absent."""
    value = request.args.get(name)
    if value is None:
        return None
    try:
        return read(_clean(value))
    except (ValueError, OverflowError):
        return None
