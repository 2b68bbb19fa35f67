"""Adding the people whom an account may ask for, and the records that staff keep."""

from datetime import date, datetime

from booking import gateway
from booking.db import transaction
from booking.gateway import Actor, Key, NotYours, once
from booking.models import Access, Account, Client, ClientKind, Relation
from booking.operations import limits
from booking.operations.limits import Limited

MOST_PEOPLE = 12  # Whom an account may ask for, besides its holder.


class AlreadyKnown(Exception):
    """There is a client, or an account, with this e-mail address."""


class TooManyPeople(Exception):
    """The account asks for as many people as it may; the practice adds more."""


@once(Client)
def add_minor(
    account: Account,
    *,
    name: str,
    birth_date: date,
    now: datetime,
    key: Key | None = None,
) -> Client:
    """A child in the account holder's care.

    Raises:
        TooManyPeople: the account asks for so many already.
        TooOften: many of them were added just now.
    """
    with gateway.change(gateway.client(account), now=now, key=key) as tx:
        _count_one_more(account, now)
        minor = Client.create(
            kind=ClientKind.MINOR.value, name=name, birth_date=birth_date, created_at=now
        )
        Access.create(account=account, client=minor, relation=Relation.GUARDIAN.value)
        return tx.answer(minor)


@once(Client)
def add_partner(account: Account, *, name: str, now: datetime, key: Key | None = None) -> Client:
    """The account holder and their partner, who come together as a couple.

    Raises:
        TooManyPeople: the account asks for so many already.
        TooOften: many of them were added just now.
    """
    with gateway.change(gateway.client(account), now=now, key=key) as tx:
        _count_one_more(account, now)
        own = self_of(account)
        partner = Client.create(name=name, created_at=now)
        couple = Client.create(
            kind=ClientKind.COUPLE.value,
            name=f"{own.name} y {name}",
            first_member=own,
            second_member=partner,
            known_since=own.known_since,
            clinician=own.clinician_id,
            created_at=now,
        )
        Access.create(account=account, client=couple, relation=Relation.PARTNER.value)
        return tx.answer(couple)


def _count_one_more(account: Account, now: datetime) -> None:
    others = Access.select().where(Access.account == account, Access.relation != Relation.SELF)
    if others.count() >= MOST_PEOPLE:
        raise TooManyPeople
    limits.spend(Limited.PEOPLE, account.id, now=now)


def self_of(account: Account) -> Client:
    """The account holder as a client.

    Raises:
        NotYours: they are staff, and nobody's client.
    """
    found: Client | None = (
        Client.select()
        .join(Access)
        .where(Access.account == account, Access.relation == Relation.SELF)
        .order_by(Client.id)
        .first()
    )
    if found is None:
        raise NotYours
    return found


@once(Client)
def add_client(
    *,
    name: str,
    email: str,
    phone: str,
    actor: Actor,
    now: datetime,
    key: Key | None = None,
) -> Client:
    """A record that staff make of somebody who telephones; known to the practice from now on.

    Raises:
        AlreadyKnown: somebody has this address already; two records would split their book.
    """
    with gateway.change(actor, now=now, key=key) as tx:
        if email and _somebody_has(email.lower()):
            raise AlreadyKnown
        return tx.answer(
            Client.create(
                name=name,
                email=email.lower(),
                phone=phone,
                known_since=now,
                created_at=now,
                clinician=actor.account.clinician_id if actor.account else None,
            )
        )


def _somebody_has(email: str) -> bool:
    return (
        Client.select().where(Client.email == email, Client.kind == ClientKind.ADULT).exists()
        or Account.select().join(Access).where(Account.email == email).exists()
    )


def is_minor(birth_date: date, today: date) -> bool:
    """Born in the past, and not yet eighteen."""
    age = (
        today.year
        - birth_date.year
        - ((today.month, today.day) < (birth_date.month, birth_date.day))
    )
    return birth_date <= today and age < 18


def update_account(account: Account, *, phone: str, zone: str) -> None:
    """The telephone, and the zone in which the holder reads the times of video sessions."""
    with transaction():
        Account.update(phone=phone, zone=zone).where(Account.id == account.id).execute()


def agree_to_full_mails(account: Account, *, agreed: bool, now: datetime) -> None:
    """Note since when the holder accepts mails that name service and clinician, or that not."""
    since = (account.mail_consented_at or now) if agreed else None
    with transaction():
        Account.update(mail_consented_at=since).where(Account.id == account.id).execute()


def set_language(account: Account, language: str) -> None:
    """The language for pages and mails."""
    with transaction():
        Account.update(language=language).where(Account.id == account.id).execute()
