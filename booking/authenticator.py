"""What an authenticator app shows (RFC 6238), and recovery codes: derived, never stored."""

import base64
import hashlib
import hmac
from datetime import datetime

import pyotp

STEP_SECONDS = 30
STEPS_OF_GRACE = 1  # A telephone's clock may be half a minute off.
RECOVERY_CODES = 10
LOOK_ALIKE = str.maketrans("018", "OIB")  # Base32 has none of these digits.


def secret(secret_key: str, nonce: str) -> str:
    """The key that the app is given: 160 bits in base32."""
    digest = hmac.digest(secret_key.encode(), b"totp:" + nonce.encode(), hashlib.sha256)
    return base64.b32encode(digest[:20]).decode()


def address(secret_key: str, nonce: str, *, holder: str, practice: str) -> str:
    """What the QR code says; a tap on it opens an app on the same telephone."""
    return pyotp.TOTP(secret(secret_key, nonce)).provisioning_uri(name=holder, issuer_name=practice)


def code_at(secret_key: str, nonce: str, step: int) -> str:
    """The six digits of one half minute."""
    return pyotp.TOTP(secret(secret_key, nonce)).generate_otp(step)


def step_of(now: datetime) -> int:
    """The half minute that `now` is in, counted from the epoch."""
    return int(now.timestamp()) // STEP_SECONDS


def matching_step(
    secret_key: str, nonce: str, code: str, *, after: int, now: datetime
) -> int | None:
    """The half minute that `code` is good for, of those after the last one used."""
    current = step_of(now)
    found = None
    for step in range(current - STEPS_OF_GRACE, current + STEPS_OF_GRACE + 1):
        right = hmac.compare_digest(code_at(secret_key, nonce, step).encode(), code.encode())
        if right and step > after:
            found = step
    return found


def recovery_code(secret_key: str, nonce: str, number: int) -> str:
    """Sixty bits in three groups of four letters and digits."""
    said = f"recovery:{nonce}:{number}".encode()
    digest = hmac.digest(secret_key.encode(), said, hashlib.sha256)
    letters = base64.b32encode(digest[:8]).decode()[:12]
    return "-".join(letters[at : at + 4] for at in range(0, 12, 4))


def matching_number(
    secret_key: str, nonce: str, code: str, *, unused: frozenset[int]
) -> int | None:
    """Which of the unused recovery codes was typed, however its groups were written."""
    letters = code.upper().translate(LOOK_ALIKE)
    typed = "".join(c for c in letters if c.isascii() and c.isalnum()).encode()
    found = None
    for number in range(RECOVERY_CODES):
        right = recovery_code(secret_key, nonce, number).replace("-", "").encode()
        if hmac.compare_digest(right, typed) and number in unused:
            found = number
    return found
