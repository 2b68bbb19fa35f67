"""Puts a whole book where a scenario begins, and lets people in without a mail."""

from dataclasses import dataclass
from datetime import datetime

from peewee import PostgresqlDatabase

from booking import availability, practice_file, worker
from booking.clock import SettableClock
from booking.db import database, transaction, tuples
from booking.mailer import FolderMailer
from booking.models import ALL, Access, Account, Appointment, Clinician, WebSession
from booking.operations import signing_in
from booking.operations.signing_in import Browser, SignedIn
from booking.qa import scenarios
from booking.settings import Settings

FIRST = "vacio"
GUARD = "history_is_never_deleted"


class NoSuchScenario(Exception):
    """Nobody has written a scenario of that name; the text says which there are."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"No hay ningún escenario «{name}». Los que hay: {', '.join(scenarios.ALL)}."
        )


class Nobody(Exception):
    """The book has no account of that name or address; the text says whose it has."""

    def __init__(self, who: str) -> None:
        known = ", ".join(account.email for account in Account.select().order_by(Account.id))
        super().__init__(f"Nadie se llama «{who}» en este escenario. Están: {known}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a test needs to know of the book that it finds; the first of each is the usual one."""

    name: str
    now: datetime
    clients: tuple[Account, ...]
    clinicians: tuple[Account, ...]
    managers: tuple[Account, ...]
    appointments: tuple[int, ...]


def open_at(name: str, clock: SettableClock, mailer: FolderMailer, settings: Settings) -> Scene:
    """Begin a scenario: what was in the book is gone, sessions and mails with it.

    Nobody else may be at work meanwhile.

    Raises:
        NoSuchScenario: there is none of that name.
    """
    found = scenarios.ALL.get(name)
    if found is None:
        raise NoSuchScenario(name)
    _clear()
    mailer.empty()
    clock.set(found.now)
    practice_file.load(found.practice, now=found.now)
    found.play()
    while worker.tick(clock, mailer, settings):
        pass
    return _scene(found)


def _clear() -> None:
    availability.forget()
    with transaction():
        restore = _lift_guard()
        for model in reversed(ALL):
            model.delete().execute()
        database.execute_sql(restore)


def _lift_guard() -> str:
    """What happened to appointments is there to stay, but for this; what guards it again."""
    if isinstance(database.obj, PostgresqlDatabase):
        database.execute_sql(f"ALTER TABLE history DISABLE TRIGGER {GUARD}")
        return f"ALTER TABLE history ENABLE TRIGGER {GUARD}"
    (made,) = database.execute_sql(
        "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?", (GUARD,)
    ).fetchone()
    database.execute_sql(f"DROP TRIGGER {GUARD}")
    return str(made)


def _scene(scenario: scenarios.Scenario) -> Scene:
    by_id = Account.select().order_by(Account.id)
    ids = tuples(Appointment.select(Appointment.id).order_by(Appointment.id))
    return Scene(
        name=scenario.name,
        now=scenario.now,
        clients=tuple(by_id.where(Account.id.in_(Access.select(Access.account)))),
        clinicians=tuple(
            Account.select().join(Clinician).where(Clinician.active).order_by(Clinician.position)
        ),
        managers=tuple(by_id.where(Account.manager)),
        appointments=tuple(id_ for (id_,) in ids),
    )


def sign_in(who: str, *, factor_shown: bool, now: datetime) -> SignedIn:
    """A session of somebody, by name or address; of staff with the second factor shown or not.

    Raises:
        Nobody: there is no such account.
    """
    account = (
        Account.select()
        .where((Account.email == who.lower()) | (Account.name == who))
        .order_by(Account.id)
        .first()
    )
    if account is None:
        raise Nobody(who)
    signed_in = signing_in.open_session(account, Browser(), now=now, one_tap=factor_shown)
    if account.staff and factor_shown:
        WebSession.update(proved_at=now).where(WebSession.id == signed_in.session.id).execute()
    return signed_in
