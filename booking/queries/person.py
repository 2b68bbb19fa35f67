"""All that is kept about one person, and who has looked at it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
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
    Proofs were asked for with an address of theirs when no account had it.
    """

    account: Account | None
    own: tuple[Client, ...]
    minors: tuple[Client, ...]
    couples: tuple[Client, ...]
    proofs: tuple[SignIn, ...] = ()

    @property
    def clients(self) -> tuple[Client, ...]:
        return self.own + self.minors + self.couples

    @property
    def name(self) -> str:
        return self.own[0].name if self.own else self.account.name if self.account else ""

    @property
    def emails(self) -> frozenset[str]:
        of_account = [self.account.email] if self.account else []
        told = [*(c.email for c in self.own), *(proof.email for proof in self.proofs)]
        return frozenset(email for email in (*of_account, *told) if email)


def by_email(email: str) -> Person | None:
    """Whoever signs in with this address, is known to the practice by it, or has tried to enter."""
    email = email.lower()
    account = Account.get_or_none(Account.email == email)
    own = list(Client.select().where(Client.email == email, Client.kind == ClientKind.ADULT))
    nobodys = SignIn.select().where(SignIn.email == email, SignIn.account.is_null())
    proofs = tuple(nobodys.order_by(SignIn.id))
    if account is None and not own and not proofs:
        return None
    return replace(_person(account, own), proofs=proofs)


def of_client(client: Client) -> Person:
    """The person that a record is about; a minor's is about the minor alone."""
    if client.kind == ClientKind.MINOR:
        return Person(None, (client,), (), ())
    return _person(_holder([client]), [client])


def as_now(person: Person) -> Person:
    """The same person, as the book has them at this moment."""
    ids = [client.id for client in person.own]
    own = list(Client.select().where(Client.id.in_(ids)).order_by(Client.id))
    if own and own[0].kind == ClientKind.MINOR:
        return of_client(own[0])
    account = Account.get_by_id(person.account.id) if person.account else _holder(own)
    return replace(_person(account, own), proofs=person.proofs)


def _holder(own: list[Client]) -> Account | None:
    """The account of whom these records are about."""
    found: Account | None = (
        Account.select()
        .join(Access)
        .where(Access.client.in_([client.id for client in own]), Access.relation == Relation.SELF)
        .first()
    )
    return found


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
        "intentos_de_entrar": [
            {"pedido": _iso(s.created_at), "usado": _iso(s.used_at), "datos": s.registration}
            for s in person.proofs
        ],
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
    here = OutboxMessage.recipient.in_(list(person.emails)) & mail_since(person)
    if person.account is None:
        return here
    return here | _had_elsewhere(person)


def mail_since(person: Person) -> Expression:
    """Which messages did not go to others who had the person's addresses before."""
    emails, mine = list(person.emails), person.account.id if person.account else None
    moved = OutboxMessage.select().where(
        OutboxMessage.kind == Kind.EMAIL_CHANGED, OutboxMessage.recipient.in_(emails)
    )
    held = SignIn.select().where(
        SignIn.email.in_(emails),
        SignIn.account.is_null(False),
        ~SignIn.changes_email | SignIn.used_at.is_null(False),
    )
    whose = {m.context.get("account") for m in moved} | {proof.account_id for proof in held}
    before = Account.select().where(Account.id.in_(list(whose)), Account.id != (mine or 0))
    theirs = [
        row.id
        for account in before
        for row in OutboxMessage.select(OutboxMessage.id).where(
            OutboxMessage.recipient.in_(emails), _had_elsewhere(_person(account, []))
        )
    ]
    return OutboxMessage.id.not_in(theirs)


def _had_elsewhere(person: Person) -> Expression:
    """What an account was told at addresses that were its own then.

    An address that was asked for and not proven is another's: so is what it was told.
    """
    assert person.account is not None
    unproven = SignIn.select(SignIn.id).where(
        SignIn.account == person.account, SignIn.changes_email, SignIn.used_at.is_null()
    )
    told = OutboxMessage.sign_in.is_null() | OutboxMessage.sign_in.not_in(unproven)
    return mail_elsewhere(person.account, person.clients) & told


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
