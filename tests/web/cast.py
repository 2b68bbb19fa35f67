"""A practice with one of everything, and everybody who may or may not touch it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from flask import Flask
from flask.testing import FlaskClient
from peewee import fn

from booking import demo, gateway, links, planner, worker
from booking.availability import Slot
from booking.clock import SettableClock
from booking.models import (
    Access,
    Account,
    Appointment,
    Client,
    Clinician,
    Location,
    Modality,
    OfferedSlot,
    Relation,
    ReplanRow,
    SignIn,
    WebSession,
)
from booking.operations import accept, add_partner, ask, deny, report_absence
from booking.operations.replanning import Missing
from booking.queries import staff as queries
from booking.replanning import Allowed
from booking.web.access import Tie
from booking.web.urls import static
from tests.builders import NOW, at, confirmed_session, own_client, request, wish
from tests.conftest import add_minor, make_account

NOBODYS = 999_999

CLIENTS = ("holder", "guardian", "partner", "other client")
STAFF = ("clinician", "other clinician", "manager")
HALF_IN = "half in"  # Inés, who has not shown her second factor.
# Their cookies look like somebody's, but they are nobody's any more.
SHUT_OUT = ("anonymous", "disabled", "ended session", "expired session")
EVERYBODY = dict.fromkeys([*CLIENTS, *STAFF, HALF_IN, *SHUT_OUT], Tie.BEARER)


@dataclass(frozen=True, slots=True)
class Object:
    """Something to touch: what stands for it in a path, and who is tied to it how."""

    values: Mapping[str, object]
    ties: Mapping[str, Tie] = field(default_factory=dict)
    exists: bool = True


@dataclass(frozen=True, slots=True)
class Cast:
    """Who there is, by name, and what there is, by kind."""

    people: Mapping[str, FlaskClient]
    objects: Mapping[str, list[Object]]


def gather(app: Flask, clock: SettableClock, visitor: Callable[..., FlaskClient]) -> Cast:
    """Put everything in its place."""
    accounts = _accounts()
    ines, oscar = accounts["clinician"], accounts["other clinician"]
    sessions = _sessions(accounts)
    objects = {
        "appointment": _appointments(sessions),
        "offer": _offers(sessions, ines, oscar),
        "client": _clients(sessions),
        # A couple has no record of its own: each of the two has one.
        "record": _clients({who: row for who, row in sessions.items() if who != "partner"}),
        "clinician": [
            Object({"profesional": _own(ines).key}, _care("clinician")),
            Object({"profesional": _own(oscar).key}, _care("other clinician")),
            Object({"profesional": "nadie"}, exists=False),
        ],
        "link": _links(app),
        "email_link": _email_links(app, accounts),
        "file": _file(app),
        "mail": _mail(app),
        "persona": [
            Object({"who": "cliente"}, EVERYBODY),
            Object({"who": "nadie"}, exists=False),
        ],
    }
    objects |= _absences(accounts, clock)
    browsers = _browsers(accounts, visitor)
    objects |= {"session": _web_sessions(accounts), "account": _members(accounts)}
    return Cast({who: _steadfast(app, browser) for who, browser in browsers.items()}, objects)


def _own(account: Account) -> Clinician:
    assert account.clinician is not None
    return account.clinician


def _accounts() -> dict[str, Account]:
    found = {
        "holder": make_account("Ana Ruiz Peña", demo.CLIENT_EMAIL),
        "guardian": make_account("Gloria Sanz Mora", "gloria@example.com"),
        "partner": make_account("Pablo Gil Soto", "pablo@example.com"),
        "other client": make_account("Bruno Díaz Muñoz", "bruno@example.com"),
        "disabled": make_account("Dora Baja Cruz", "dora@example.com"),
        "clinician": Account.get(Account.email == "ines@alameda.example"),
        "other clinician": Account.get(Account.email == "oscar@alameda.example"),
        "manager": Account.get(Account.manager),
    }
    # Whoever is shut out would be let in, were it not for that.
    ana = own_client(found["holder"])
    Access.create(account=found["disabled"], client=ana, relation=Relation.GUARDIAN.value)
    return found


def _sessions(accounts: dict[str, Account]) -> dict[str, Appointment]:
    """A session of each family with Inés, and one of somebody else with Óscar."""
    ines, oscar = accounts["clinician"], accounts["other clinician"]
    guardian, partner, bruno = (accounts[w] for w in ("guardian", "partner", "other client"))
    minor = add_minor(guardian, "Niña Sanz Mora")
    couple = add_partner(partner, name="Julia Vega Paz", now=NOW)
    sessions = {
        "holder": confirmed_session(accounts["holder"], ines, at(4, 10)),
        "guardian": _confirmed(guardian, minor, "infantil", at(5, 10), ines),
        "partner": _confirmed(partner, couple, "pareja", at(9, 10), ines),
        "other client": _confirmed(
            bruno, own_client(bruno), "individual", at(3, 10), oscar, clinician="oscar"
        ),
    }
    for who, session in sessions.items():
        own = oscar if who == "other client" else ines
        Client.update(clinician=own.clinician).where(Client.id == session.client_id).execute()
    return sessions


def _confirmed(
    account: Account,
    client: Client,
    service: str,
    starts_at: datetime,
    staff: Account,
    clinician: str = "ines",
) -> Appointment:
    search = wish(service=service, client=client, clinician=clinician)
    asked = ask(search, starts_at, client=client, account=account, now=NOW)
    return accept(asked.id, version=asked.version, actor=gateway.staff(staff), now=NOW)


def _ties(who: str) -> dict[str, Tie]:
    """Who is tied to what is about one of the cast."""
    clinician = "other clinician" if who == "other client" else "clinician"
    found = {clinician: Tie.CLINICIAN, "manager": Tie.MANAGER}
    return found | {who: Tie(who) if who in ("guardian", "partner") else Tie.HOLDER}


def _care(clinician: str) -> dict[str, Tie]:
    return {clinician: Tie.CLINICIAN, "manager": Tie.MANAGER}


def _appointments(sessions: dict[str, Appointment]) -> list[Object]:
    own = [Object({"appointment_id": row.id}, _ties(who)) for who, row in sessions.items()]
    return [*own, Object({"appointment_id": NOBODYS}, exists=False)]


def _clients(sessions: dict[str, Appointment]) -> list[Object]:
    own = [Object({"client_id": row.client_id}, _ties(who)) for who, row in sessions.items()]
    return [*own, Object({"client_id": NOBODYS}, exists=False)]


def _offers(sessions: dict[str, Appointment], ines: Account, oscar: Account) -> list[Object]:
    found = []
    for who, staff, day in (("holder", ines, 11), ("other client", oscar, 10)):
        account = sessions[who].account
        assert account is not None
        asked = request(account, at(day, 10), clinician=_own(staff).key)
        slot = Slot(
            starts_at=at(day, 12),
            ends_at=at(day, 12, 50),
            clinician_id=_own(staff).id,
            location_id=asked.location_id,
            clinician_location_id=asked.location_id,
            room_id=None,
            modality=Modality.IN_PERSON,
        )
        actor = gateway.staff(staff)
        deny(asked.id, version=asked.version, actor=actor, offers=(slot,), now=NOW)
        offer = OfferedSlot.get(OfferedSlot.appointment == asked)
        found.append(Object({"horario": offer.id, "appointment_id": asked.id}, _ties(who)))
    return [*found, Object({"horario": NOBODYS, "appointment_id": NOBODYS}, exists=False)]


def _links(app: Flask) -> list[Object]:
    """A link that lives, one whose time is over, one that was used, and one never sent."""
    found = []
    own = {"guardian": Tie.HOLDER}  # Signed in with the address that it was sent to.
    for minutes, used, ties in ((20, None, EVERYBODY), (-1, None, own), (20, NOW, own)):
        nonce = links.new_nonce()
        SignIn.create(
            email="gloria@example.com",
            nonce=nonce,
            browser="",
            created_at=NOW - timedelta(hours=1),
            expires_at=NOW + timedelta(minutes=minutes),
            used_at=used,
        )
        secret = app.extensions["settings"].secret_key
        found.append(Object({"token": links.token(secret, nonce)}, ties))
    return [*found, Object({"token": "nadie"}, exists=False)]


def _email_links(app: Flask, accounts: dict[str, Account]) -> list[Object]:
    """Two clients want another address: each one's link is for that account alone."""
    secret, found = app.extensions["settings"].secret_key, []
    for who in ("holder", "other client"):
        row = SignIn.create(
            email=f"nueva-{accounts[who].email}",
            account=accounts[who],
            changes_email=True,
            nonce=links.new_nonce(),
            browser="",
            created_at=NOW,
            expires_at=NOW + timedelta(minutes=20),
        )
        found.append(Object({"token": links.token(secret, row.nonce)}, {who: Tie.HOLDER}))
    return [*found, Object({"token": "nadie"}, exists=False)]


def _file(app: Flask) -> list[Object]:
    with app.test_request_context():
        _, _, digest, name = static("citas.css").split("/", 3)
    return [
        Object({"digest": digest, "filename": name}, EVERYBODY),
        Object({"digest": digest, "filename": "nada.css"}, exists=False),
    ]


def _mail(app: Flask) -> list[Object]:
    """A mail with a calendar file; the demo shows all mail to whoever opens it."""
    mailer = app.extensions["mailer"]
    # Mails about decisions wait until these can no longer be undone.
    worker.tick(SettableClock(NOW + timedelta(hours=1)), mailer, app.extensions["settings"])
    number = next(n for n, mail in mailer.messages() if [*mail.iter_attachments()])
    return [
        Object({"number": number, "filename": "cita.ics"}, EVERYBODY),
        Object({"number": NOBODYS, "filename": "cita.ics"}, exists=False),
    ]


def _absences(accounts: dict[str, Account], clock: SettableClock) -> dict[str, list[Object]]:
    """A planned absence of each clinician, and an office that is closed."""
    ines, oscar, manager = (accounts[w] for w in STAFF)
    office = Location.get(Location.key == "centro")
    blocked, plans, rows = [], [], []
    for staff, missing, day, ties in (
        (ines, Missing(clinician_id=ines.clinician_id), 4, _care("clinician")),
        (oscar, Missing(clinician_id=oscar.clinician_id), 3, _care("other clinician")),
        (manager, Missing(location_id=office.id), 5, {"manager": Tie.MANAGER}),
    ):
        row = report_absence(
            missing,
            at(day, 7),
            at(day, 17),
            reason="",
            allowed=Allowed(),
            actor=gateway.staff(staff),
            now=NOW,
        )
        planner.run(clock, deadline_seconds=0)
        plan_id = queries.plan_of(row)
        blocked.append(Object({"blocked_id": row.id}, ties))
        plans.append(Object({"replan_id": plan_id}, ties))
        line = ReplanRow.get(ReplanRow.replan == plan_id)
        rows.append(Object({"fila": line.id, "replan_id": plan_id}, ties))
    return {
        "blocked": [*blocked, Object({"blocked_id": NOBODYS}, exists=False)],
        "replan": [*plans, Object({"replan_id": NOBODYS}, exists=False)],
        "replan_row": [*rows, Object({"fila": NOBODYS, "replan_id": NOBODYS}, exists=False)],
    }


def _web_sessions(accounts: dict[str, Account]) -> list[Object]:
    """The sign-ins of everybody who is not shut out, each its holder's own."""
    own = {account.id: who for who, account in accounts.items() if who not in SHUT_OUT}
    rows = WebSession.select().where(WebSession.account.in_(list(own)))
    found = [Object({"sesion": row.id}, {own[row.account_id]: Tie.HOLDER}) for row in rows]
    return [*found, Object({"sesion": NOBODYS}, exists=False)]


def _members(accounts: dict[str, Account]) -> list[Object]:
    """The accounts of the staff, whose lost telephones are the manager's business."""
    found = [Object({"cuenta": accounts[who].id}, {"manager": Tie.MANAGER}) for who in STAFF]
    return [*found, Object({"cuenta": NOBODYS}, exists=False)]


def _browsers(
    accounts: dict[str, Account], visitor: Callable[..., FlaskClient]
) -> dict[str, FlaskClient]:
    """A browser for each of the cast; some of their cookies are worth nothing any more."""
    found = {who: visitor(account) for who, account in accounts.items()}
    Account.update(disabled_at=NOW).where(Account.id == accounts["disabled"].id).execute()
    for who, whose, column, then in (
        (HALF_IN, "clinician", WebSession.cleared_at, None),
        ("ended session", "holder", WebSession.ended_at, NOW),
        ("expired session", "holder", WebSession.expires_at, NOW),
    ):
        found[who] = visitor(accounts[whose])
        newest = WebSession.select(fn.MAX(WebSession.id)).scalar()
        WebSession.update({column: then}).where(WebSession.id == newest).execute()
    return found | {"anonymous": visitor()}


def _steadfast(app: Flask, browser: FlaskClient) -> FlaskClient:
    """The same browser, but no answer changes its cookies: nobody is signed out or in."""
    found = app.test_client(use_cookies=False)
    found.environ_base |= browser.environ_base
    cookie = browser.get_cookie("citas")
    if cookie is not None:
        found.environ_base["HTTP_COOKIE"] = f"citas={cookie.value}"
    return found
