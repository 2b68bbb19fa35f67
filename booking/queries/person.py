"""All that is kept about one person, and who has looked at it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import Expression

from booking.models import (
    Access,
    Account,
    AccountEvent,
    Appointment,
    Client,
    ClientKind,
    ClientRead,
    History,
    OutboxMessage,
    Relation,
    SignIn,
    WebSession,
)
from booking.notifications import Kind


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whose data are kept: their account, their own record, and whom they stand for.

    A minor belongs to the person who is their only guardian; a couple to both of its members.
    """

    account: Account | None
    own: tuple[Client, ...]
    minors: tuple[Client, ...]
    couples: tuple[Client, ...]

    @property
    def clients(self) -> tuple[Client, ...]:
        return self.own + self.minors + self.couples

    @property
    def name(self) -> str:
        return self.own[0].name if self.own else self.account.name if self.account else ""

    @property
    def emails(self) -> frozenset[str]:
        of_account = [self.account.email] if self.account else []
        return frozenset(e for e in (*of_account, *(c.email for c in self.own)) if e)


def by_email(email: str) -> Person | None:
    """Whoever signs in with this address, or is known to the practice by it."""
    account = Account.get_or_none(Account.email == email.lower())
    own = list(
        Client.select().where(Client.email == email.lower(), Client.kind == ClientKind.ADULT)
    )
    if account is None and not own:
        return None
    return _person(account, own)


def of_client(client: Client) -> Person:
    """The person that a record is about; a minor's is about the minor alone."""
    if client.kind == ClientKind.MINOR:
        return Person(None, (client,), (), ())
    account = (
        Account.select()
        .join(Access)
        .where(Access.client == client, Access.relation == Relation.SELF)
        .first()
    )
    return _person(account, [client])


def _person(account: Account | None, own: list[Client]) -> Person:
    if account is not None:
        mine = Access.select(Access.client).where(
            Access.account == account, Access.relation == Relation.SELF
        )
        own = own + [c for c in Client.select().where(Client.id.in_(mine)) if c not in own]
    ids = [client.id for client in own]
    couples = Client.select().where(Client.first_member.in_(ids) | Client.second_member.in_(ids))
    return Person(
        account,
        tuple(own),
        tuple(_minors_of(account)) if account else (),
        tuple(couples.order_by(Client.id)),
    )


def _minors_of(account: Account) -> list[Client]:
    """The minors whose only guardian this is."""
    others = Access.select(Access.client).where(
        Access.account != account, Access.relation == Relation.GUARDIAN
    )
    return list(
        Client.select()
        .join(Access)
        .where(
            Access.account == account,
            Access.relation == Relation.GUARDIAN,
            Client.id.not_in(others),
        )
        .order_by(Client.id)
    )


def reads(clients: Iterable[Client]) -> list[ClientRead]:
    """Who of the staff saw these clients' data, latest first."""
    return list(
        ClientRead.select(ClientRead, Account)
        .join(Account)
        .where(ClientRead.client.in_([client.id for client in clients]))
        .order_by(ClientRead.at.desc(), ClientRead.id.desc())
    )


def mail_elsewhere(account: Account, clients: Iterable[Client]) -> Expression:
    """Which messages went to addresses that an account had before, or asked to have.

    Others may have those now, so whose a message is, is told by what it was about.
    """
    proofs = SignIn.select().where(SignIn.account == account, SignIn.email != account.email)
    news = [
        message
        for message in OutboxMessage.select().where(OutboxMessage.kind == Kind.EMAIL_CHANGED)
        if message.context.get("account") == account.id
    ]
    addresses = {proof.email for proof in proofs} | {message.recipient for message in news}
    booked = Appointment.select(Appointment.id).where(
        Appointment.client.in_([client.id for client in clients])
    )
    return (
        OutboxMessage.id.in_([message.id for message in news])
        | OutboxMessage.sign_in.in_([proof.id for proof in proofs])
        | (
            OutboxMessage.recipient.in_(list(addresses))
            & (OutboxMessage.recipient != account.email)
            & OutboxMessage.appointment.in_(booked)
        )
    )


def export(person: Person, *, now: datetime) -> dict[str, Any]:
    """All that is kept about a person and whom they stand for, and nothing about anybody else."""
    return {
        "generado": now.isoformat(),
        "cuenta": person.account and _account(person.account),
        "registros": [_client(client, person) for client in person.clients],
        "mensajes": [
            {"tipo": m.kind, "para": m.recipient, "estado": m.state, "fecha": _iso(m.created_at)}
            for m in OutboxMessage.select().where(_mail(person)).order_by(OutboxMessage.id)
        ],
        "consultas_del_personal": [
            {"persona": r.account.name, "pagina": r.page, "dia": r.day.isoformat()}
            for r in reads(person.clients)
        ],
    }


def _mail(person: Person) -> Expression:
    here = OutboxMessage.recipient.in_(list(person.emails))
    if person.account is None:
        return here
    # An address that was asked for and not proven is another's: so is what it was told.
    unproven = SignIn.select(SignIn.id).where(
        SignIn.account == person.account, SignIn.changes_email, SignIn.used_at.is_null()
    )
    elsewhere = mail_elsewhere(person.account, person.clients)
    told = OutboxMessage.sign_in.is_null() | OutboxMessage.sign_in.not_in(unproven)
    return here | (elsewhere & told)


def _account(account: Account) -> dict[str, Any]:
    return {
        "correo": account.email,
        "nombre": account.name,
        "telefono": account.phone,
        "idioma": account.language,
        "zona": account.zone,
        "creada": _iso(account.created_at),
        "consentimiento": _iso(account.consented_at),
        "consentimiento_correos_completos": _iso(account.mail_consented_at),
        "entradas": [
            {"pedida": _iso(s.created_at), "usada": _iso(s.used_at)}
            for s in SignIn.select()
            .where(SignIn.account == account, ~SignIn.changes_email)
            .order_by(SignIn.id)
        ],
        "cambios_de_correo": [
            {"a": s.email, "pedido": _iso(s.created_at), "hecho": _iso(s.used_at)}
            for s in SignIn.select()
            .where(SignIn.account == account, SignIn.changes_email)
            .order_by(SignIn.id)
        ],
        "sesiones": [
            {
                "desde": _iso(s.created_at),
                "hasta": _iso(s.ended_at or s.expires_at),
                "dispositivo": s.device,
            }
            for s in WebSession.select()
            .where(WebSession.account == account)
            .order_by(WebSession.id)
        ],
        "seguridad": [
            {"que": e.event, "cuando": _iso(e.at)}
            for e in AccountEvent.select()
            .where(AccountEvent.account == account)
            .order_by(AccountEvent.id)
        ],
    }


def _client(client: Client, person: Person) -> dict[str, Any]:
    # A couple's name is also the other one's.
    theirs = client.kind != ClientKind.COUPLE
    changes: dict[int, list[dict[str, Any]]] = {}
    for row in (
        History.select().join(Appointment).where(Appointment.client == client).order_by(History.id)
    ):
        changes.setdefault(row.appointment_id, []).append(
            {"que": row.event, "quien": row.actor, "cuando": _iso(row.at)}
        )
    return {
        "tipo": client.kind,
        "nombre": client.name if theirs else person.name,
        "correo": client.email,
        "telefono": client.phone,
        "nacimiento": client.birth_date and client.birth_date.isoformat(),
        "conocido_desde": _iso(client.known_since),
        "citas": [
            _appointment(row) | {"cambios": changes.get(row.id, [])}
            for row in Appointment.select()
            .where(Appointment.client == client)
            .order_by(Appointment.id)
        ],
    }


def _appointment(row: Appointment) -> dict[str, Any]:
    return {
        "empieza": _iso(row.starts_at),
        "termina": _iso(row.ends_at),
        "pedida_para": _iso(row.asked_starts_at),
        "servicio": row.service.name,
        "profesional": row.clinician.name,
        "lugar": row.location.name if row.location else None,
        "estado": row.state,
        "nota": row.note,
        "preferencias": row.wish,
    }


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
