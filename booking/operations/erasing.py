"""Forgetting a person: at once by name, and later all that has no more use."""

from datetime import datetime, timedelta

from peewee import Cast, Expression

from booking.availability import plan
from booking.db import transaction
from booking.lifecycle import OPEN, State
from booking.models import (
    Access,
    Account,
    AccountEvent,
    Appointment,
    Client,
    ClientKind,
    ClientRead,
    Delivery,
    Factor,
    KnownDevice,
    OneTimeKey,
    OutboxMessage,
    Relation,
    SignIn,
    WebSession,
    Withdrawn,
    folded,
)
from booking.queries.person import Person, as_now, mail_elsewhere, mail_since

NOBODY = "Persona borrada"
NOWHERE = "@borrado.invalid"  # RFC 2606.


class StillOpen(Exception):
    """The person has appointments that are still to be decided or to come."""

    def __init__(self, appointments: list[Appointment]) -> None:
        super().__init__([row.id for row in appointments])
        self.appointments = appointments


def erase(known: Person, *, now: datetime) -> None:
    """Take the person out of every row that names them; the book and its history stay whole.

    An account of the staff goes on working, also for a child who has another guardian: only what
    it was as a client is erased.

    Raises:
        StillOpen: with what has to be cancelled first.
    """
    with transaction():
        person = as_now(known)
        going = [*person.own, *person.minors, *_only_partners(person)]
        pending = still_open([*going, *person.couples], now=now)
        if pending:
            raise StillOpen(pending)
        for client in going:
            _erase_client(client, now)
        for couple in person.couples:
            _rename_couple(couple, now)
        _forget_mail(person)
        if person.account is not None:
            _forget_mail_elsewhere(person.account, going)
        if person.account is not None:
            _close_account(person.account, [*going, *person.couples], now)


def still_open(clients: list[Client], *, now: datetime) -> list[Appointment]:
    """The appointments of these clients that somebody still counts on."""
    rows = Appointment.select().where(
        Appointment.client.in_([client.id for client in clients]), Appointment.state.in_(list(OPEN))
    )
    return [
        row
        for row in rows.order_by(Appointment.starts_at)
        if row.status is not State.CONFIRMED or row.ends_at > now
    ]


def _only_partners(person: Person) -> list[Client]:
    """The other members of couples, where only this person ever spoke of them."""
    ids = {m for couple in person.couples for m in couple.person_ids}
    ids -= {client.id for client in person.own}
    known = {access.client_id for access in Access.select().where(Access.client.in_(list(ids)))} | {
        row.client_id for row in Appointment.select().where(Appointment.client.in_(list(ids)))
    }
    rows = Client.select().where(Client.id.in_(list(ids - known)), Client.email == "")
    return list(rows.where(Client.phone == ""))


def _erase_client(client: Client, now: datetime) -> None:
    name = f"{NOBODY} {client.id}"
    Client.update(
        name=name,
        folded=folded(name),
        email=_nowhere(client) if client.email else "",
        phone="",
        birth_date=None,
        erased_at=now,
    ).where(Client.id == client.id).execute()
    Appointment.update(note="", wish={}).where(Appointment.client == client.id).execute()


def _rename_couple(couple: Client, now: datetime) -> None:
    """A couple comes no more; its name keeps what is left of its members' names."""
    names = {c.id: c.name for c in Client.select().where(Client.id.in_(couple.person_ids))}
    name = " y ".join(names[id_] for id_ in couple.person_ids)
    Client.update(
        name=name,
        folded=folded(name),
        email="",
        phone="",
        erased_at=now,
    ).where(Client.id == couple.id).execute()
    Appointment.update(note="", wish={}).where(Appointment.client == couple.id).execute()


def _forget_mail(person: Person) -> None:
    """Addresses, and what servers said about them; what has not left does not leave."""
    account = person.account
    nowhere = _nowhere(account or (person.own[0] if person.own else person.proofs[0]))
    staff = account is not None and account.staff
    kept = {account.email} if account is not None and staff else set()
    since = mail_since(person)
    # Not those of an account that had the address before.
    proofs = (
        SignIn.account.is_null()
        | (SignIn.account == account)
        | (SignIn.changes_email & SignIn.used_at.is_null())
    )
    for email in person.emails:
        theirs = (OutboxMessage.recipient == email) & (OutboxMessage.audience == "client") & since
        if email in kept:
            # Codes to sign in are the staff's own.
            theirs &= OutboxMessage.appointment.is_null(False)
        _unaddress(theirs, nowhere)
        if email not in kept:
            SignIn.update(email=nowhere, registration=None, next_path="").where(
                SignIn.email == email, proofs
            ).execute()


def _forget_mail_elsewhere(account: Account, clients: list[Client]) -> None:
    """Addresses that the account had before, or asked to have."""
    _unaddress(mail_elsewhere(account, clients), _nowhere(account))
    SignIn.update(email=_nowhere(account), registration=None, next_path="").where(
        SignIn.account == account, SignIn.email != account.email
    ).execute()


def _unaddress(messages: Expression, nowhere: str) -> None:
    """Nobody knows any more to whom they went; what waits does not go."""
    OutboxMessage.update(state=Delivery.DEAD.value).where(
        messages, OutboxMessage.state == Delivery.WAITING
    ).execute()
    OutboxMessage.update(recipient=nowhere, error=Withdrawn.PERSON_ERASED.value).where(
        messages
    ).execute()


def _close_account(account: Account, erased: list[Client], now: datetime) -> None:
    theirs = Access.account == account
    if account.staff:
        Access.delete().where(theirs, Access.client.in_([row.id for row in erased])).execute()
        return
    Access.delete().where(theirs, Access.relation == Relation.GUARDIAN).execute()
    for kept in (WebSession, KnownDevice, Factor):
        kept.delete().where(kept.account == account).execute()
    Account.update(
        email=_nowhere(account),
        name=f"{NOBODY} {account.id}",
        phone="",
        zone="",
        disabled_at=now,
        mail_consented_at=None,
    ).where(Account.id == account.id).execute()


def _nowhere(row: Account | Client | SignIn) -> str:
    """An address that leads nowhere, and is no other row's."""
    return f"{type(row).__name__.lower()}-{row.id}{NOWHERE}"


def forget_registrations(*, now: datetime) -> int:
    """Forget what people told who did not prove their address in time; how many they were."""
    late = SignIn.registration.is_null(False) & (SignIn.expires_at <= now)
    if not SignIn.select().where(late).exists():
        return 0
    with transaction():
        forgotten: int = SignIn.update(registration=None).where(late).execute()
    return forgotten


def purge(*, now: datetime) -> int:
    """Delete what is older than the practice keeps and has no more use; how many rows."""
    days = plan().practice.retention_days
    if days is None:
        return 0
    before = now - timedelta(days=days)
    with transaction():
        old = SignIn.select(SignIn.id).where(SignIn.expires_at < before)
        about_entering = OutboxMessage.sign_in.in_(old) & OutboxMessage.appointment.is_null()
        news = OutboxMessage.sign_in.is_null() & (OutboxMessage.created_at < before)
        about_entering |= news & OutboxMessage.appointment.is_null()
        deleted = OutboxMessage.delete().where(about_entering).execute()
        OutboxMessage.update(sign_in=None).where(OutboxMessage.sign_in.in_(old)).execute()
        deleted += sum(
            query.execute()
            for query in (
                SignIn.delete().where(SignIn.expires_at < before),
                WebSession.delete().where(WebSession.expires_at < before),
                KnownDevice.delete().where(KnownDevice.expires_at < before),
                AccountEvent.delete().where(AccountEvent.at < before),
                OneTimeKey.delete().where(OneTimeKey.used_at < before),
                ClientRead.delete().where(ClientRead.at < before),
            )
        )
        deleted += (
            Appointment.update(note="", wish={})
            .where(
                Appointment.ends_at < before,
                Appointment.state.not_in(list(OPEN)),
                (Appointment.note != "") | _wished(),
            )
            .execute()
        )
    return int(deleted)


def _wished() -> Expression:
    """Which appointments have something noted of what would suit."""
    return Cast(Appointment.wish, "TEXT") != "{}"


def count_erased() -> int:
    """How many rows are of people who were erased."""
    closed = Account.select().where(Account.email.endswith(NOWHERE))
    forgotten = SignIn.select().where(SignIn.email.endswith(NOWHERE))
    clients = Client.select().where(Client.erased_at.is_null(False))
    return int(clients.count() + closed.count() + forgotten.count())


def is_erasable(client: Client) -> bool:
    """A couple is two people, who are erased one by one; nobody is erased twice."""
    return client.kind != ClientKind.COUPLE and client.erased_at is None
