"""An account moves to another e-mail address, once its holder has proven that one."""

from datetime import datetime, timedelta

from peewee import Expression

from booking import gateway, links, notifications
from booking.db import transaction
from booking.gateway import Key
from booking.models import (
    Access,
    Account,
    AccountEventKind,
    Appointment,
    Client,
    Delivery,
    OutboxMessage,
    Relation,
    SignIn,
    WebSession,
    Withdrawn,
)
from booking.notifications import Kind
from booking.operations import second_factor, signing_in
from booking.operations.signing_in import CLIENT_MINUTES, DeadLink, WrongCode


class AddressTaken(Exception):
    """Another account has the address."""


def ask(
    session: WebSession,
    email: str,
    *,
    language: str,
    now: datetime,
    network: str = "",
    key: Key | None = None,
) -> SignIn:
    """Begin a proof of the address that the session's account is to have.

    Nothing to be seen here tells whether another account has it: that one's owner gets a mail
    without a code.

    Raises:
        TooOften: more than the hour's share for this address or this network.
    """
    proof = SignIn(
        email=email,
        account=session.account_id,
        changes_email=True,
        browser=session.token_hash,
        created_at=now,
        expires_at=now + timedelta(minutes=CLIENT_MINUTES),
    )
    with transaction():
        kind = Kind.EMAIL_TAKEN if _is_taken(email) else Kind.EMAIL_CHANGE_REQUESTED
        return signing_in.begin(proof, kind, language=language, network=network, key=key)


def asked_in(session: WebSession) -> SignIn | None:
    """The newest proof that was begun in this session."""
    found: SignIn | None = (
        SignIn.select()
        .where(_is_for(session.account_id), SignIn.browser == session.token_hash)
        .order_by(SignIn.id.desc())
        .first()
    )
    return found


def find(token: str, *, account: Account, secret_key: str) -> SignIn | None:
    """The proof that a link leads to, if it is this account's; looking changes nothing."""
    nonce = links.nonce_of(secret_key, token)
    if nonce is None:
        return None
    return SignIn.get_or_none(SignIn.nonce == nonce, _is_for(account.id))


def confirm_by_code(
    session: WebSession, code: str, *, secret_key: str, now: datetime, key: Key | None = None
) -> None:
    """The code, typed into the session that asked for it.

    Raises:
        WrongCode: with the tries left.
        DeadLink: used, too old, or tried too often.
        TooOften: only the link opens today.
        AddressTaken: another account was faster.
    """
    with transaction():
        if gateway.answer_to(key) is not None:
            return
        sign_in = asked_in(session)
        if sign_in is None:
            raise DeadLink
        left = signing_in.try_code(sign_in, code, secret_key=secret_key, now=now)
        if left is None:
            _confirm(sign_in, session, now, key)
            return
    raise WrongCode(left)


def confirm_by_link(
    session: WebSession, token: str, *, secret_key: str, now: datetime, key: Key | None = None
) -> None:
    """The link, in any session of the account: in a stranger's hands it is worth nothing.

    Raises:
        DeadLink: used, too old, or not this account's.
        AddressTaken: another account was faster.
    """
    with transaction():
        if gateway.answer_to(key) is not None:
            return
        sign_in = find(token, account=session.account, secret_key=secret_key)
        if sign_in is None:
            raise DeadLink
        _confirm(sign_in, session, now, key)


def _confirm(sign_in: SignIn, session: WebSession, now: datetime, key: Key | None) -> None:
    signing_in.use_up(sign_in, now=now)
    account = Account.get_by_id(session.account_id)  # As it is now: the session was read before.
    move(account, sign_in.email, by=account, but=session, now=now)
    gateway.remember(key, sign_in, now=now)


def move(
    account: Account,
    email: str,
    *,
    by: Account | None,
    now: datetime,
    but: WebSession | None = None,
) -> None:
    """The address, with what goes there, in the caller's transaction; the old one is told.

    What it was sent opens nothing any more, and all sessions end, or all but one.

    Raises:
        AddressTaken: another account has it.
    """
    if _is_taken(email):
        raise AddressTaken
    notifications.owe_about_account(Kind.EMAIL_CHANGED, account, now=now)
    _redirect_mail(account, email)
    _close_proofs(account, now)
    for record in signing_in.unclaimed_records(email):
        Access.create(account=account, client=record, relation=Relation.SELF.value)
    own = Access.select(Access.client).where(
        Access.account == account, Access.relation == Relation.SELF
    )
    Client.update(email=email).where(Client.id.in_(own), Client.email == account.email).execute()
    Account.update(email=email).where(Account.id == account.id).execute()
    signing_in.end_all(account, now=now, but=but)
    second_factor.note(account, AccountEventKind.EMAIL_CHANGED, by=by, now=now)


def _redirect_mail(account: Account, email: str) -> None:
    """What waits goes to the new address, with another link: a copy may be on its way already."""
    mine = Appointment.select(Appointment.id).where(gateway.scope(gateway.client(account)))
    for message in OutboxMessage.select().where(
        OutboxMessage.recipient == account.email,
        OutboxMessage.audience == "client",
        OutboxMessage.state == Delivery.WAITING,
        OutboxMessage.appointment.in_(mine),
    ):
        OutboxMessage.update(recipient=email).where(OutboxMessage.id == message.id).execute()
        SignIn.update(email=email, nonce=links.new_nonce()).where(
            SignIn.id == message.sign_in_id
        ).execute()


def _close_proofs(account: Account, now: datetime) -> None:
    """Codes and links of the old address, and of others that it might have become."""
    SignIn.update(account=account).where(
        SignIn.email == account.email, SignIn.account.is_null()
    ).execute()
    theirs = (SignIn.account == account) & ((SignIn.email == account.email) | SignIn.changes_email)
    alive = SignIn.used_at.is_null() & (SignIn.expires_at > now)
    closed = SignIn.select(SignIn.id).where(theirs, alive)
    OutboxMessage.update(state=Delivery.DEAD.value, error=Withdrawn.ADDRESS_CHANGED.value).where(
        OutboxMessage.sign_in.in_(closed), OutboxMessage.state == Delivery.WAITING
    ).execute()
    SignIn.update(expires_at=now).where(theirs, alive).execute()


def _is_taken(email: str) -> bool:
    taken: bool = Account.select().where(Account.email == email).exists()
    return taken


def _is_for(account_id: int) -> Expression:
    return (SignIn.account == account_id) & SignIn.changes_email
