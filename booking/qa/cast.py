"""Who plays in the scenarios, and the steps that they take: the portal's own operations.

Every practice of the scenarios has a service «individual», an office «centro» and a clinician
«ines», unless a scenario says otherwise.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from booking import availability, gateway, operations
from booking.availability import STAFF_MAY_WAIVE, Wish, plan
from booking.gateway import Actor
from booking.models import Access, Account, Appointment, Client, Clinician, Modality, Relation
from booking.operations.people import self_of

NOW = datetime(2027, 3, 1, 15, 0, tzinfo=UTC)  # Monday, 9 a. m. in Mexico City.
LAST_WEEK = NOW - timedelta(days=7)

MARIA = ("María de los Ángeles Núñez Echeverría", "maria@example.com")
BRUNO = ("Bruno Ibáñez Muñoz", "bruno@example.com")
CARMEN = ("María del Carmen Güemes Ordóñez", "carmen@example.com")
ITZIAR = ("Itzíar Peñaloza Íñiguez", "itziar@example.com")
ROSA = ("Rosa Ibáñez Luna", "rosa@example.com")


def at(day: int, hour: int, minute: int = 0, *, month: int = 3) -> datetime:
    """A moment of 2027 by the practice's own clock."""
    return datetime(2027, month, day, hour, minute, tzinfo=plan().zone(None)).astimezone(UTC)


def client(name: str, email: str, *, known: bool = True) -> Account:
    """Somebody with an account, whom the practice knows unless said otherwise."""
    account = Account.create(email=email, name=name, created_at=LAST_WEEK, consented_at=LAST_WEEK)
    own = record(name, email, known=known)
    Access.create(account=account, client=own, relation=Relation.SELF.value)
    return account


def record(name: str, email: str, *, known: bool = True) -> Client:
    """Somebody whom the practice has written down; an account they have not."""
    return Client.create(
        name=name, email=email, created_at=LAST_WEEK, known_since=LAST_WEEK if known else None
    )


def child(account: Account, name: str, born: date) -> Client:
    """A child in the account holder's care."""
    return operations.add_minor(account, name=name, birth_date=born, now=LAST_WEEK)


def couple(account: Account, partner: str) -> Client:
    """The account holder and a partner."""
    return operations.add_partner(account, name=partner, now=LAST_WEEK)


def decider(clinician_id: int) -> Actor:
    """Who decides about a clinician's requests."""
    return gateway.staff(Account.get(Account.clinician == clinician_id))


def ask(
    account: Account,
    starts_at: datetime,
    *,
    service: str = "individual",
    office: str | None = "centro",
    clinician: str = "ines",
    person: Client | None = None,
    replaces: Appointment | None = None,
    now: datetime = NOW,
) -> Appointment:
    """A client asks for a time; without an office, by video."""
    the, who = plan(), person or self_of(account)
    place = None if office is None else the.location_by_key(office)
    wanted, whom = the.service_by_key(service), the.clinician_by_key(clinician)
    assert wanted is not None
    assert whom is not None
    wish = Wish(
        service_id=wanted.id,
        modality=Modality.VIDEO if place is None else Modality.IN_PERSON,
        location_id=None if place is None else place.id,
        clinician_ids=(whom.id,),
    )
    return operations.ask(
        wish,
        starts_at,
        client=who,
        account=account,
        now=now,
        replaces=None if replaces is None else replaces.id,
    )


def accept(asked: Appointment, *, now: datetime = NOW) -> Appointment:
    """The clinician says yes, too long ago for taking it back."""
    return operations.accept(
        asked.id,
        version=asked.version,
        actor=decider(asked.clinician_id),
        now=now - timedelta(minutes=1),
    )


def deny(
    asked: Appointment, offers: Iterable[datetime] = (), *, note: str = "", now: datetime = NOW
) -> Appointment:
    """The clinician says no, too long ago for taking it back, and offers other times."""
    wish, then = availability.wish_of(asked), now - timedelta(minutes=1)
    slots = [availability.slot(wish, start, now=then, waived=STAFF_MAY_WAIVE) for start in offers]
    return operations.deny(
        asked.id,
        version=asked.version,
        actor=decider(asked.clinician_id),
        offers=tuple(slots),
        note=note,
        now=then,
    )


def confirmed(
    account: Account,
    starts_at: datetime,
    *,
    service: str = "individual",
    office: str | None = "centro",
    person: Client | None = None,
    now: datetime = NOW,
) -> Appointment:
    """A session that was asked for an hour ago, and accepted."""
    asked = ask(
        account,
        starts_at,
        service=service,
        office=office,
        person=person,
        now=now - timedelta(hours=1),
    )
    return accept(asked, now=now)


def block_mornings(clinician: str, days: int, *, first: datetime) -> None:
    """Nothing is left of a clinician's mornings for so many days."""
    whom = Clinician.get(Clinician.key == clinician)
    for day in range(days):
        start = first + timedelta(days=day)
        operations.block_time(
            whom.id,
            start,
            start + timedelta(hours=7),
            reason="",
            actor=decider(whom.id),
            now=NOW,
        )
