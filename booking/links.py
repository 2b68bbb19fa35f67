"""Signed links and codes for messages: derived from a row's nonce, so that none is ever stored."""

import hashlib
import hmac
import secrets

from itsdangerous import BadSignature, Signer


def new_nonce() -> str:
    """A fresh random name for one proof."""
    return secrets.token_urlsafe(16)


def code(secret_key: str, nonce: str) -> str:
    """The six digits that belong to a nonce."""
    digest = hmac.digest(secret_key.encode(), b"code:" + nonce.encode(), hashlib.sha256)
    return f"{int.from_bytes(digest[:8], 'big') % 1_000_000:06d}"


def token(secret_key: str, nonce: str) -> str:
    """The last part of the link that belongs to a nonce."""
    return Signer(secret_key, salt="link", digest_method=hashlib.sha256).sign(nonce).decode()


def nonce_of(secret_key: str, token: str) -> str | None:
    """The nonce that a link names, if we signed it."""
    try:
        return Signer(secret_key, salt="link", digest_method=hashlib.sha256).unsign(token).decode()
    except BadSignature:
        return None


def hashed(value: str) -> str:
    """For finding a secret again without keeping it."""
    return hashlib.sha256(value.encode()).hexdigest()
