"""How people prove who they are: one mail with a code and a link, good once; sessions are rows."""

import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from peewee import Expression, ModelSelect, Value

from booking import gateway, links, notifications
from booking.db import prepared, transaction
from booking.gateway import Key
from booking.models import (
    Access,
    Account,
    Client,
    ClientKind,
    Factor,
    KnownDevice,
    Relation,
    SignIn,
    WebSession,
)
from booking.notifications import Kind
from booking.operations import limits
from booking.operations.limits import Limited

CLIENT_MINUTES, STAFF_MINUTES = 20, 10  # How long a code is good; mail to old phones is slow.
CLIENT_SESSION, STAFF_SESSION = timedelta(days=90), timedelta(hours=12)
HALF_IN = timedelta(minutes=30)  # Enough to install an app, when the second factor is still due.
MOST_TRIES = 5
RECENT = timedelta(minutes=30)  # For so long whoever signed in may change how they do.
ADDRESS = re.compile(r"[^@\s<>,;:\"()\[\]\\]+@[^@\s<>,;:\"()\[\]\\]+\.[^@\s<>,;:\"()\[\]\\.]{2,}")


class WrongCode(Exception):
    """Not the code we sent; `left` tries remain."""

    def __init__(self, left: int) -> None:
        super().__init__(left)
        self.left = left


class DeadLink(Exception):
    """Used, too old, withdrawn by too many tries, or never ours."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What a new client tells about themselves."""

    name: str
    email: str
    phone: str
    consented: bool
    minor_name: str = ""  # Whoever asks for a child says the child's name, too.
    minor_birth_date: str = ""  # ISO, or empty.


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """What a browser says of itself when somebody enters with it."""

    cookie: str = ""  # Told when the mail was asked for.
    device: str = ""  # Told when the second factor was to be remembered here.
    name: str = ""  # «Chrome·Android».
    demo: bool = False  # There staff may enter without a second factor, until they activate one.


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A fresh session: the cookie's token is told once and kept only as a hash."""

    session: WebSession
    token: str
    next_path: str = ""


def is_address(text: str) -> bool:
    """Whether somebody can sign in with this as an e-mail address."""
    return text.isascii() and ADDRESS.fullmatch(text) is not None


def ask_for_mail(
    email: str,
    *,
    browser: str,
    next_path: str,
    language: str,
    now: datetime,
    network: str = "",
    registration: Registration | None = None,
    key: Key | None = None,
) -> SignIn:
    """Begin a proof of `email`; the same to see and to do whether or not we know the address.

    An unknown one that does not register gets a mail without a code: its owner may have another.

    Raises:
        TooOften: more than the hour's share for this address or this network.
    """
    email = email.lower()
    account = Account.get_or_none(Account.email == email, Account.disabled_at.is_null())
    good_for = timedelta(
        minutes=STAFF_MINUTES if account is not None and account.staff else CLIENT_MINUTES
    )
    kind = Kind.SIGN_IN_REQUESTED if account or registration else Kind.SIGN_IN_UNKNOWN
    proof = SignIn(
        email=email,
        account=account,
        registration=_as_json(registration) if registration and account is None else None,
        browser=links.hashed(browser),
        next_path=next_path,
        created_at=now,
        expires_at=now + good_for,
    )
    with transaction():
        return begin(proof, kind, language=language, network=network, key=key)


def begin(proof: SignIn, kind: Kind, *, language: str, network: str, key: Key | None) -> SignIn:
    """Owe the mail of a proof, in the caller's transaction; of a repeated form, the first one's.

    Raises:
        TooOften: more than the hour's share for its address or this network.
    """
    answered = gateway.answer_to(key)
    if answered is not None:
        return SignIn.get_by_id(answered)
    now = proof.created_at
    limits.spend_mail(proof.email, network, now=now)
    proof.nonce = links.new_nonce()
    proof.save(force_insert=True)
    notifications.owe_sign_in(proof, kind, language=language, now=now)
    gateway.remember(key, proof, now=now)
    return proof


def _as_json(registration: Registration) -> dict[str, object]:
    return {name: getattr(registration, name) for name in registration.__slots__}


def prove_by_code(
    sign_in_id: int, code: str, *, browser: Browser, secret_key: str, now: datetime
) -> SignedIn:
    """The code, typed into the browser that asked for it.

    Raises:
        WrongCode: with the tries left.
        DeadLink: used, too old, tried too often, or asked for in another browser.
        TooOften: only the link opens today.
    """
    with transaction():
        sign_in = SignIn.get_or_none(
            SignIn.id == sign_in_id,
            SignIn.browser == links.hashed(browser.cookie),
            ~SignIn.changes_email,
        )
        if sign_in is None:
            raise DeadLink
        left = try_code(sign_in, code, secret_key=secret_key, now=now)
        if left is None:
            return _consume(sign_in, browser, now)
    raise WrongCode(left)


def try_code(sign_in: SignIn, code: str, *, secret_key: str, now: datetime) -> int | None:
    """None for the right code; else this try is counted, and so many are left.

    Raises:
        DeadLink: it was tried too often.
        TooOften: so many were wrong for the address that only the link opens today.
    """
    if sign_in.tries >= MOST_TRIES:
        raise DeadLink
    limits.left(Limited.CODE, sign_in.email, now=now)
    right = links.code(secret_key, sign_in.nonce)
    if hmac.compare_digest(right.encode(), code.encode()):
        return None
    limits.spend(Limited.CODE, sign_in.email, now=now)
    SignIn.update(tries=SignIn.tries + 1).where(SignIn.id == sign_in.id).execute()
    return MOST_TRIES - sign_in.tries - 1


def find(token: str, *, secret_key: str) -> SignIn | None:
    """The proof that a link leads to; looking changes nothing."""
    nonce = links.nonce_of(secret_key, token)
    if nonce is None:
        return None
    return SignIn.get_or_none(SignIn.nonce == nonce, ~SignIn.changes_email)


def is_alive(sign_in: SignIn, *, now: datetime) -> bool:
    """Whether the proof can still be used."""
    return sign_in.used_at is None and now < sign_in.expires_at


def prove_by_link(token: str, *, browser: Browser, secret_key: str, now: datetime) -> SignedIn:
    """The link, in whichever browser the mail was read.

    Raises:
        DeadLink: used, too old, or not ours.
    """
    with transaction():
        sign_in = find(token, secret_key=secret_key)
        if sign_in is None:
            raise DeadLink
        return _consume(sign_in, browser, now)


def use_up(sign_in: SignIn, *, now: datetime) -> None:
    """A proof is good once, in the transaction of what it is good for; nothing told is kept.

    Raises:
        DeadLink: used, or too old.
    """
    used = (
        SignIn.update(used_at=now, registration=None)
        .where(SignIn.id == sign_in.id, SignIn.used_at.is_null(), SignIn.expires_at > now)
        .execute()
    )
    if not used:
        raise DeadLink


def _consume(sign_in: SignIn, browser: Browser, now: datetime) -> SignedIn:
    use_up(sign_in, now=now)
    account = Account.get_or_none(Account.email == sign_in.email)
    if account is None and sign_in.registration is not None:
        account = _register(Registration(**sign_in.registration), now)
    if account is None or account.disabled_at is not None:
        raise DeadLink
    return open_session(account, browser, next_path=sign_in.next_path, now=now)


def open_session(
    account: Account,
    browser: Browser,
    *,
    now: datetime,
    next_path: str = "",
    one_tap: bool = False,
) -> SignedIn:
    """Sign somebody in on one device; staff half, unless no second factor is due there.

    It never is for one tap in the demo, where a visitor may have activated one.
    """
    token = secrets.token_urlsafe(32)
    cleared = account.staff and (one_tap or _needs_no_factor(account, browser, now))
    if account.staff:
        expires_at = now + (STAFF_SESSION if cleared else HALF_IN)
    else:
        expires_at = now + CLIENT_SESSION
    session = WebSession.create(
        token_hash=links.hashed(token),
        account=account,
        device=browser.name,
        created_at=now,
        expires_at=expires_at,
        cleared_at=now if cleared else None,
    )
    return SignedIn(session, token, next_path)


def _needs_no_factor(account: Account, browser: Browser, now: datetime) -> bool:
    if browser.demo and not Factor.select().where(Factor.account == account).exists():
        return True
    known: bool = (
        KnownDevice.select()
        .where(
            KnownDevice.account == account,
            KnownDevice.token_hash == links.hashed(browser.device),
            KnownDevice.expires_at > now,
        )
        .exists()
    )
    return known


def session_of(token: str, *, now: datetime) -> WebSession | None:
    """The session that this token opens, with its account, while it lasts."""
    return next(iter(_session(links.hashed(token), int(now.timestamp()))), None)


@prepared
def _session(token_hash: Value, now: Value) -> "ModelSelect[WebSession]":
    return (
        WebSession.select(WebSession, Account)
        .join(Account)
        .where(
            WebSession.token_hash == token_hash,
            WebSession.ended_at.is_null(),
            WebSession.expires_at > now,
            Account.disabled_at.is_null(),
        )
    )


def is_recent(session: WebSession, *, now: datetime) -> bool:
    """Whether somebody proved just now that the address is theirs."""
    return now - session.created_at < RECENT


def sign_out(session: WebSession, *, now: datetime) -> None:
    """End this session."""
    with transaction():
        _end(WebSession.id == session.id, now)


def sign_out_everywhere(account: Account, *, now: datetime, but: WebSession | None = None) -> None:
    """End all sessions of an account, or all but one, and forget the devices that it trusts."""
    with transaction():
        end_all(account, now=now, but=but)


def end_all(account: Account, *, now: datetime, but: WebSession | None = None) -> None:
    """The same, in the caller's transaction."""
    theirs = WebSession.account == account
    _end(theirs if but is None else theirs & (WebSession.id != but.id), now)
    KnownDevice.delete().where(KnownDevice.account == account).execute()


def open_sessions(account: Account, *, now: datetime) -> list[WebSession]:
    """Where an account is signed in, the newest first."""
    return list(
        WebSession.select()
        .where(
            WebSession.account == account,
            WebSession.ended_at.is_null(),
            WebSession.expires_at > now,
        )
        .order_by(WebSession.created_at.desc(), WebSession.id.desc())
    )


def _end(which: Expression, now: datetime) -> None:
    WebSession.update(ended_at=now).where(which, WebSession.ended_at.is_null()).execute()


def _register(registration: Registration, now: datetime) -> Account:
    """A new account; a record that the practice's staff made with this address becomes theirs."""
    account = Account.create(
        email=registration.email,
        name=registration.name,
        phone=registration.phone,
        created_at=now,
        consented_at=now if registration.consented else None,
    )
    own = unclaimed_records(registration.email) or [
        Client.create(
            name=registration.name,
            email=registration.email,
            phone=registration.phone,
            created_at=now,
        )
    ]
    for client in own:
        Access.create(account=account, client=client, relation=Relation.SELF.value)
    if registration.minor_name:
        minor = Client.create(
            kind=ClientKind.MINOR.value,
            name=registration.minor_name,
            birth_date=registration.minor_birth_date or None,
            created_at=now,
        )
        Access.create(account=account, client=minor, relation=Relation.GUARDIAN.value)
    return account


def unclaimed_records(email: str) -> list[Client]:
    """What the practice's staff noted of whoever has this address, and nobody signs in for yet."""
    taken = Access.select(Access.client).where(Access.relation == Relation.SELF)
    return list(
        Client.select().where(
            Client.email == email, Client.kind == ClientKind.ADULT, Client.id.not_in(taken)
        )
    )
