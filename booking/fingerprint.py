"""Notices that APP_SECRET_KEY is not the one that the portal ran with before."""

import hashlib
import hmac
from pathlib import Path

from booking import private
from booking.settings import Settings


def compare(settings: Settings) -> bool:
    """Whether another key was in use when the portal last started here."""
    file = _file(settings)
    return file.exists() and file.read_text() != _of(settings)


def remember(settings: Settings) -> bool:
    """Note the key, as the portal starts; whether it is another one than the last time."""
    changed = compare(settings)
    private.folder(settings.data_dir)
    private.file(_file(settings)).write_text(_of(settings))
    return changed


def _file(settings: Settings) -> Path:
    return settings.data_dir / "clave.huella"


def _of(settings: Settings) -> str:
    """Tells keys apart, and tells nothing about them."""
    return hmac.digest(
        settings.secret_key.encode(), b"citaclara: fingerprint", hashlib.sha256
    ).hex()
