"""Short ways to a state of the book, through the operations that lead there."""

from datetime import UTC, datetime

from booking import gateway
from booking.availability import Wish, plan
from booking.models import Access, Account, Appointment, Client, Modality
from booking.operations import accept, ask

NOW = datetime(2027, 3, 1, 15, 0, tzinfo=UTC)  # Monday, 9 a. m. in Mexico City.


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of March 2027 by the office's clock (UTC-6, no daylight saving)."""
    return datetime(2027, 3, day, hour + 6, minute, tzinfo=UTC)


THURSDAY_AT_TEN = at(4, 10)


def own_client(account: Account) -> Client:
    return Client.select().join(Access).where(Access.account == account).order_by(Client.id).get()


def wish(
    *,
    service: str = "individual",
    location: str | None = "centro",
    clinician: str = "ines",
    client: Client | None = None,
    chain: int | None = None,
) -> Wish:
    """What a client looks for; `location=None` is by video."""
    the = plan()
    office = None if location is None else the.location_by_key(location)
    found_service, found_clinician = the.service_by_key(service), the.clinician_by_key(clinician)
    assert found_service is not None
    assert found_clinician is not None
    return Wish(
        service_id=found_service.id,
        modality=Modality.VIDEO if office is None else Modality.IN_PERSON,
        location_id=office.id if office else None,
        clinician_ids=(found_clinician.id,),
        person_ids=client.person_ids if client else (),
        chain=chain,
    )


def request(
    account: Account,
    starts_at: datetime = THURSDAY_AT_TEN,
    *,
    now: datetime = NOW,
    **changes: object,
) -> Appointment:
    """A pending request of the account's holder."""
    client = own_client(account)
    replaces = changes.pop("replaces", None)
    return ask(
        wish(client=client, **changes),  # type: ignore[arg-type]
        starts_at,
        client=client,
        account=account,
        now=now,
        replaces=replaces,  # type: ignore[arg-type]
    )


def confirmed_session(
    account: Account, staff: Account, starts_at: datetime = THURSDAY_AT_TEN, *, now: datetime = NOW
) -> Appointment:
    """A request that was accepted."""
    asked = request(account, starts_at, now=now)
    return accept(asked.id, version=asked.version, actor=gateway.staff(staff), now=now)
