"""Times that a crowd can ask for without being in each other's way."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlencode

from booking import free_times
from booking.availability import Plan, Wish, plan
from booking.models import (
    Account,
    Audience,
    Client,
    ClientKind,
    Clinician,
    Location,
    Modality,
    Service,
)

PER_DAY = 2  # Sessions of one clinician in a day: no agenda is so small that these do not fit.
SLACK = timedelta(minutes=30)  # Between two sessions at one office, on top of all else.


class NothingToAskFor(Exception):
    """The practice offers nothing online to an adult."""

    def __init__(self) -> None:
        super().__init__("El consultorio no ofrece ningún servicio en línea para adultos.")


@dataclass(frozen=True, slots=True)
class Opening:
    """A session that can be had, in the terms of the portal's own address for it."""

    service: Service
    clinician: Clinician
    location: Location | None
    starts_at: datetime

    @property
    def page(self) -> str:
        """Where its form is."""
        return "/citas/nueva/persona?" + urlencode(
            {
                "servicio": self.service.key,
                "consultorio": self.location.key if self.location else "video",
                "profesional": self.clinician.key,
                "hora": self.starts_at.strftime("%Y-%m-%dT%H:%MZ"),
            }
        )

    def wish(self, client: Client) -> Wish:
        return _wish(self.service, self.clinician, self.location, client.person_ids)


def _wish(
    service: Service, clinician: Clinician, location: Location | None, people: tuple[int, ...] = ()
) -> Wish:
    return Wish(
        service_id=service.id,
        modality=Modality.VIDEO if location is None else Modality.IN_PERSON,
        location_id=location.id if location else None,
        clinician_ids=(clinician.id,),
        person_ids=people,
        chain=None,
    )


def service_of_the_crowd() -> Service:
    """What adults can ask for online.

    Raises:
        NothingToAskFor: nothing.
    """
    the = plan()
    for service in the.services.values():
        kinds = service.client_kinds or [ClientKind.ADULT.value]
        suits = service.active and service.online and ClientKind.ADULT.value in kinds
        if suits and any(_places(the, service)):
            return service
    raise NothingToAskFor


def is_for_known_clients(service: Service) -> bool:
    return service.audience != Audience.NEW.value


def _places(the: Plan, service: Service) -> Iterator[tuple[Clinician, Location | None]]:
    """Who offers it where, if somebody decides for them: a clinician without an account cannot."""
    deciding = {row.clinician_id for row in Account.select(Account.clinician)}
    for location in (*(x for x in the.locations.values() if x.active), None):
        for clinician in the.offered_at(service, location.id if location else None):
            if clinician.id in deciding:
                yield clinician, location


def openings(service: Service, *, now: datetime) -> Iterator[Opening]:
    """Times that can all be taken, in any order: one office a day for each clinician, apart.

    No two sessions are at one office at the same time, so that rooms never decide.
    """
    the = plan()
    days_of: defaultdict[int, dict[date, int | None]] = defaultdict(dict)
    taken: defaultdict[int | None, list[datetime]] = defaultdict(list)
    apart = _apart(the, service)
    for clinician, location in _places(the, service):
        where = location.id if location else None
        zone = the.zone(where)
        for day, times in _days(_wish(service, clinician, location), the, where, now):
            if days_of[clinician.id].setdefault(day, where) != where:
                continue
            crowd = taken[where if location else -clinician.id]
            most = min(PER_DAY, clinician.max_sessions_day or PER_DAY)
            for start in times:
                own = [t for t in crowd if t.astimezone(zone).date() == day]
                if most and all(abs(start - other) >= apart for other in own):
                    crowd.append(start)
                    most -= 1
                    yield Opening(service, clinician, location, start)


def _apart(the: Plan, service: Service) -> timedelta:
    turnover = max((room.turnover_minutes for room in the.rooms.values()), default=0)
    minutes = service.minutes + service.buffer_before + service.buffer_after + turnover
    return timedelta(minutes=minutes) + SLACK


def _days(
    wish: Wish, the: Plan, location_id: int | None, now: datetime
) -> Iterator[tuple[date, list[datetime]]]:
    zone = the.zone(location_id)
    since: date | None = now.astimezone(zone).date() + timedelta(days=3)  # Well past any notice.
    while since is not None:
        found, since = free_times.free_days(wish, since=since, zone=zone, now=now)
        yield from found
