"""Every message: what it says in Spanish, and must not say, when it leaves, that it arrives."""

import smtplib
import socket
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from aiosmtpd.controller import Controller
from icalendar import Calendar

from booking import doctor, gateway, outbox
from booking.letters import ACCOUNT_LETTERS, LETTERS, WITH_CODE
from booking.mailer import FolderMailer, MemoryMailer, RefusedForGood, RefusesUs, SmtpMailer
from booking.models import (
    Account,
    Client,
    Clinician,
    Delivery,
    Location,
    MailLevel,
    OfferedSlot,
    OutboxMessage,
    Practice,
    Service,
)
from booking.notifications import Kind
from booking.operations import (
    accept,
    add_client,
    agree_to_full_mails,
    book,
    cancel,
    cancel_for_client,
    decline_offers,
    deny,
    displace,
    take_offer,
    undo,
)
from tests.builders import at, own_client, request, wish

UNDO = timedelta(seconds=31)
SECRETS = ("individual", "Inés", "Peña Ordóñez", "Psic", "congreso")
SUBJECTS = {
    Kind.SIGN_IN_REQUESTED: "Su código para entrar",
    Kind.SIGN_IN_UNKNOWN: "No hay una cuenta con este correo",
    Kind.REQUEST_RECEIVED: "Recibimos su solicitud",
    Kind.REQUEST_EXPIRED: "No pudimos responder a tiempo",
    Kind.REQUEST_ACCEPTED: "Su cita está confirmada",
    Kind.REQUEST_DENIED: "Elija otro horario para su cita",
    Kind.SLOTS_OFFERED: "Elija otro horario para su cita",
    Kind.OFFER_REMINDED: "Todavía puede elegir otro horario",
    Kind.OFFER_LAPSED: "Los horarios que le ofrecimos quedaron libres",
    Kind.OFFER_TAKEN: "Su cita está confirmada",
    Kind.APPOINTMENT_BOOKED: "Su cita está confirmada",
    Kind.APPOINTMENT_MOVED: "Su cita tiene otro horario",
    Kind.APPOINTMENT_CANCELLED: "Su cita fue cancelada",
    Kind.SESSION_REMINDED: "Recordatorio de su cita",
    Kind.SESSION_DISPLACED: "Elija otro horario para su cita",
    Kind.FACTOR_SET: "Activó la verificación en dos pasos",
    Kind.FACTOR_REMOVED: "Se quitó su verificación en dos pasos",
    Kind.RECOVERY_USED: "Se usó uno de sus códigos de recuperación",
    Kind.EMAIL_CHANGE_REQUESTED: "Su código para usar este correo",
    Kind.EMAIL_TAKEN: "Este correo ya tiene una cuenta",
    Kind.EMAIL_CHANGED: "Cambió el correo de su cuenta",
    Kind.EMAIL_ASSIGNED: "Este es ahora el correo de su cuenta",
    Kind.STAFF_REQUEST_RECEIVED: "Nueva solicitud de cita",
    Kind.STAFF_REQUEST_WAITING: "Una solicitud de cita espera su respuesta",
    Kind.STAFF_REQUEST_EXPIRED: "Una solicitud de cita quedó sin respuesta",
    Kind.STAFF_OFFER_TAKEN: "Eligieron uno de los horarios que ofreció",
    Kind.STAFF_OFFER_DECLINED: "Ninguno de los horarios que ofreció fue elegido",
    Kind.STAFF_APPOINTMENT_CANCELLED: "Una cita fue cancelada",
}


class Book:
    """The whole life of appointments, told step by step to a clock and a worker."""

    def __init__(self, clock, deliver, ana: Account, ines: Account) -> None:
        self.clock, self.deliver, self.ana = clock, deliver, ana
        self.staff = gateway.staff(ines)
        self.seen = 0

    @property
    def now(self):
        return self.clock.now()

    def sent(self) -> list[tuple[str, str]]:
        return [(m["To"], m["Subject"]) for m in self.deliver().sent]

    def later(self, step: timedelta) -> list[tuple[str, str]]:
        """What goes out when time has passed, and had not gone out before."""
        self.clock.advance(step)
        news = self.sent()[self.seen :]
        self.seen += len(news)
        return news

    def offer(self, appointment, *starts):
        from booking.availability import slot, wish_of

        offers = tuple(slot(wish_of(appointment), start, now=self.now) for start in starts)
        return deny(
            appointment.id, version=appointment.version, actor=self.staff, offers=offers,
            note="Estoy en un congreso.", now=self.now,
        )  # fmt: skip

    def move(self, session, *starts):
        from booking.availability import slot, wish_of

        offers = tuple(slot(wish_of(session), start, now=self.now) for start in starts)
        return displace(
            session.id, version=session.version, actor=self.staff, offers=offers, now=self.now
        )  # fmt: skip


@pytest.fixture
def life(clock, deliver, ana, ines) -> Book:
    return Book(clock, deliver, ana, ines)


ANA, INES = "ana@example.com", "ines@alameda.example"


def test_every_kind_has_a_letter_and_an_expected_subject():
    assert set(SUBJECTS) == set(Kind)
    assert set(LETTERS) | set(ACCOUNT_LETTERS) | WITH_CODE == set(Kind)


def test_a_request_is_told_to_both(life):
    request(life.ana)
    assert life.sent() == [(ANA, "Recibimos su solicitud"), (INES, "Nueva solicitud de cita")]


def test_accepting_waits_until_it_cannot_be_undone(life):
    asked = request(life.ana)
    life.later(timedelta())
    accept(asked.id, version=1, actor=life.staff, now=life.now)
    assert life.later(timedelta(seconds=29)) == []
    assert life.later(timedelta(seconds=1)) == [(ANA, "Su cita está confirmada")]


def test_what_is_undone_is_never_told(life):
    asked = request(life.ana)
    life.later(timedelta())
    accept(asked.id, version=1, actor=life.staff, now=life.now)
    undo(asked.id, actor=life.staff, now=life.now)
    assert life.later(UNDO) == []
    assert OutboxMessage.get(OutboxMessage.kind == Kind.REQUEST_ACCEPTED).error == "deshecho"


def test_a_request_that_nobody_answers_reminds_and_then_expires(life):
    request(life.ana, at(12, 10))
    life.later(timedelta())
    assert life.later(timedelta(hours=36)) == [(INES, "Una solicitud de cita espera su respuesta")]
    assert life.later(timedelta(hours=1)) == []
    assert life.later(timedelta(hours=35)) == [
        (ANA, "No pudimos responder a tiempo"),
        (INES, "Una solicitud de cita quedó sin respuesta"),
    ]
    assert life.later(timedelta(hours=100)) == []


def test_offers_remind_and_then_lapse(life):
    life.offer(request(life.ana), at(10, 10), at(11, 10))
    assert (ANA, "Elija otro horario para su cita") in life.later(UNDO)
    assert life.later(timedelta(hours=24)) == [(ANA, "Todavía puede elegir otro horario")]
    assert life.later(timedelta(hours=24)) == [
        (ANA, "Los horarios que le ofrecimos quedaron libres"),
        (INES, "Ninguno de los horarios que ofreció fue elegido"),
    ]


def test_taking_and_declining_offers_are_told(life):
    offered = life.offer(request(life.ana), at(10, 10))
    life.later(UNDO)
    take_offer(offered.id, OfferedSlot.get().id, account=life.ana, now=life.now)
    assert life.later(timedelta()) == [
        (ANA, "Su cita está confirmada"), (INES, "Eligieron uno de los horarios que ofreció")
    ]  # fmt: skip
    other = life.offer(request(life.ana, at(12, 9)), at(12, 11))
    life.later(UNDO)
    decline_offers(other.id, account=life.ana, wish={}, now=life.now)
    assert life.later(timedelta()) == [(INES, "Ninguno de los horarios que ofreció fue elegido")]


def test_a_session_is_remembered_the_day_before(life):
    asked = request(life.ana)
    accept(asked.id, version=1, actor=life.staff, now=life.now)
    life.later(UNDO)
    life.clock.set(at(3, 9, 59))
    assert life.later(timedelta()) == []
    assert life.later(timedelta(minutes=1)) == [(ANA, "Recordatorio de su cita")]
    assert life.later(timedelta(hours=5)) == []


def test_cancelling_is_told_by_either_side(life):
    asked = request(life.ana)
    cancel(asked.id, account=life.ana, now=life.now)
    assert life.sent()[2:] == [(ANA, "Su cita fue cancelada"), (INES, "Una cita fue cancelada")]
    other = request(life.ana)
    cancel_for_client(other.id, version=1, actor=life.staff, now=life.now)
    assert life.sent()[-1] == (ANA, "Su cita fue cancelada")


def test_a_client_without_an_address_is_written_nothing(life, app):
    client = add_client(name="Don Ramón", email="", phone="555", actor=life.staff, now=life.now)
    book(wish(client=client), at(4, 10), client=client, actor=life.staff, now=life.now)
    assert life.sent() == []


def test_a_session_that_must_move_is_told_at_once_and_taken_back_only_when_it_is_lost(life):
    session = accept(request(life.ana).id, version=1, actor=life.staff, now=life.now)
    life.later(UNDO)
    life.move(session, at(9, 10), at(10, 10))
    assert life.later(timedelta()) == [(ANA, "Elija otro horario para su cita")]
    mail = life.deliver().sent[-1]
    text = mail.get_body(("plain",)).get_content()
    assert "tuvo que mover su cita" in text
    assert "Le ofrecemos 2 horarios" in text
    assert "jueves, 4 de marzo" in text
    assert "/entrar/" in text
    assert [part for part in mail.walk() if part.get_content_type() == "text/calendar"] == []
    assert life.later(timedelta(hours=24)) == [(ANA, "Todavía puede elegir otro horario")]
    assert life.later(timedelta(hours=24)) == [
        (ANA, "Su cita fue cancelada"),
        (INES, "Ninguno de los horarios que ofreció fue elegido"),
    ]
    lost = life.deliver().sent[-2]
    assert "Le buscaremos otro" in lost.get_body(("plain",)).get_content()
    (file,) = [part for part in lost.walk() if part.get_content_type() == "text/calendar"]
    assert file.get_param("method") == "CANCEL"


def every_message(life) -> list[EmailMessage]:
    """One of each kind that time and people can bring about here."""
    moved = request(life.ana)
    accept(moved.id, version=1, actor=life.staff, now=life.now)
    life.later(UNDO)
    again = request(life.ana, at(4, 12), replaces=moved.id, chain=moved.chain)
    offered = life.offer(again, at(11, 10), at(12, 10))
    life.later(timedelta(hours=24))
    take_offer(offered.id, OfferedSlot.select().first().id, account=life.ana, now=life.now)
    client = own_client(life.ana)
    book(wish(client=client, chain=moved.chain), at(12, 12), client=client, actor=life.staff,
         now=life.now, replaces=offered.id)  # fmt: skip
    denied = request(life.ana, at(9, 9), now=life.now)
    deny(denied.id, version=1, actor=life.staff, now=life.now, note="Estoy en un congreso.")
    request(life.ana, at(9, 11), now=life.now)
    held = accept(request(life.ana, at(10, 9), now=life.now).id, version=1, actor=life.staff,
                  now=life.now)  # fmt: skip
    life.move(held, at(16, 9))
    life.later(timedelta(days=4))
    life.clock.set(at(11, 12))
    return list(life.deliver().sent)


def test_mails_tell_neither_service_nor_clinician_nor_note(life):
    for mail in every_message(life):
        for part in mail.walk():
            if not part.is_multipart():
                text = part.get_content() if part.get_content_maintype() == "text" else ""
                found = [secret for secret in SECRETS if secret in str(text)]
                assert not found, (mail["Subject"], found)
        assert not any(secret in mail["Subject"] for secret in SECRETS)


def test_mails_are_small_and_have_text_and_html(life):
    mails = every_message(life)
    assert len({m["Subject"] for m in mails}) >= 10
    for mail in mails:
        assert len(mail.as_bytes()) < 10_000, mail["Subject"]
        text, page = mail.get_body(("plain",)), mail.get_body(("html",))
        assert "Consultorio Alameda" in text.get_content()
        assert "+52 55 5555 0100" in page.get_content()
        assert mail["Message-ID"].endswith("@localhost>")


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        ("https://citas.niño.mx", "citas.xn--nio-8ma.mx"),
        ("https://citas.ejemplo.mx:8443", "citas.ejemplo.mx"),
        ("http://[::1]:8000", "[::1]"),
    ],
)
def test_mail_leaves_whatever_the_portal_is_called(life, settings, base_url, host):
    asked = request(life.ana)
    accept(asked.id, version=1, actor=life.staff, now=life.now)
    life.clock.advance(UNDO)
    mailer = MemoryMailer()
    outbox.drain(life.clock, mailer, replace(settings, base_url=base_url))
    assert len(mailer.sent) == OutboxMessage.select().count()
    assert {str(m["Message-ID"]).partition("@")[2] for m in mailer.sent} == {f"{host}>"}
    (file,) = [part.get_content() for m in mailer.sent for part in m.iter_attachments()]
    event = Calendar.from_ical(file).walk("VEVENT")[0]
    assert event["UID"] == f"{asked.chain}@{host.strip('[]')}"


def test_a_confirmation_invites_and_a_cancellation_takes_back(life):
    asked = request(life.ana)
    accept(asked.id, version=1, actor=life.staff, now=life.now)
    life.later(UNDO)
    cancel(asked.id, account=life.ana, now=life.now)
    mails = [m for m in life.deliver().sent if m["To"] == ANA]
    files = [part.get_content() for m in mails for part in m.iter_attachments()]
    calendars = [Calendar.from_ical(f) for f in files]
    assert [c["METHOD"] for c in calendars] == ["REQUEST", "CANCEL"]
    first, last = (c.walk("VEVENT")[0] for c in calendars)
    assert first["UID"] == last["UID"]
    assert first["SEQUENCE"] < last["SEQUENCE"]
    assert last["STATUS"] == "CANCELLED"
    assert first["ATTENDEE"].params["RSVP"] == "FALSE"


def test_withdrawing_a_move_takes_nothing_from_peoples_calendars(life):
    asked = request(life.ana)
    accept(asked.id, version=1, actor=life.staff, now=life.now)
    life.later(UNDO)
    wanted = request(life.ana, at(4, 10, 30), replaces=asked.id, chain=asked.chain)
    cancel(wanted.id, account=life.ana, now=life.now)
    mail = [m for m in life.deliver().sent if m["Subject"] == "Su cita fue cancelada"][-1]
    assert list(mail.iter_attachments()) == []
    assert "sigue en pie" in mail.get_body(("plain",)).get_content()


def test_a_late_mail_tells_what_was_true_when_it_was_owed(life):
    asked = request(life.ana)
    cancel(asked.id, account=life.ana, now=life.now)  # Before any mail has left.
    received = next(m for m in life.deliver().sent if m["Subject"] == "Recibimos su solicitud")
    text = " ".join(received.get_body(("plain",)).get_content().split())
    assert "antes del jueves, 4 de marzo de 2027, a las 8:00" in text


def test_a_client_without_an_account_gets_no_door_that_is_shut(life):
    client = add_client(
        name="Don Ramón", email="ramon@example.com", phone="", actor=life.staff, now=life.now
    )
    book(wish(client=client), at(4, 10), client=client, actor=life.staff, now=life.now)
    life.sent()
    mail = life.deliver().sent[-1]
    assert mail["To"] == "ramon@example.com"
    assert "http" not in mail.get_body(("plain",)).get_content()


def test_names_cannot_smuggle_headers(life):
    Practice.update(sender_name='Alameda", <x@evil.mx>', revision=Practice.revision + 1).execute()
    request(life.ana)
    life.sent()
    mail = life.deliver().sent[0]
    assert mail["From"].addresses[0].addr_spec == "citas@localhost"


class Refusing:
    """A mail server that is down, or refuses for good."""

    def __init__(self, error: Exception) -> None:
        self.error, self.tried = error, 0

    def send(self, message: EmailMessage) -> None:
        self.tried += 1
        raise self.error


def test_a_server_that_is_down_is_tried_again_later_and_nothing_is_lost(life, settings):
    request(life.ana)
    down = Refusing(OSError("refused"))
    assert outbox.drain(life.clock, down, settings) == 0
    assert down.tried == 2
    assert outbox.drain(life.clock, down, settings) == 0
    assert down.tried == 2  # Not before a while.
    life.clock.advance(timedelta(minutes=2))
    assert len(life.sent()) == 2
    assert OutboxMessage.select().where(OutboxMessage.state == Delivery.SENT).count() == 2


def test_what_is_refused_for_good_is_given_up_visibly(life, settings):
    request(life.ana)
    outbox.drain(life.clock, Refusing(RefusedForGood("550 no such user")), settings)
    dead = list(OutboxMessage.select())
    assert {m.state for m in dead} == {Delivery.DEAD}
    assert "550" in dead[0].error


def test_after_three_days_a_message_is_given_up(life, settings):
    request(life.ana)
    life.clock.advance(timedelta(days=3))
    outbox.drain(life.clock, Refusing(OSError("refused")), settings)
    assert OutboxMessage.get().state == Delivery.DEAD


def test_what_another_worker_could_not_send_waits_its_time(life, settings):
    request(life.ana)
    other = Refusing(OSError("refused"))

    class Nosy(MemoryMailer):
        """While it sends, the other worker has a round."""

        def send(self, message: EmailMessage) -> None:
            super().send(message)
            outbox.drain(life.clock, other, settings)

    nosy = Nosy()
    outbox.drain(life.clock, nosy, settings)
    assert (len(nosy.sent), other.tried) == (1, 1)


# Only an address that is none is beyond help; who may send, and from where, can be put right.
ANSWERS = {
    "nadie": ("550 5.1.1 no such user", RefusedForGood),
    "dominio": ("553 5.1.2 bad domain", RefusedForGood),
    "relay": ("554 5.7.1 relay access denied", RefusesUs),
    "remitente": ("550 5.1.8 bad sender", RefusesUs),
    "entrar": ("530 authentication required", RefusesUs),
    "nadie-se-sabe": ("550 not now", smtplib.SMTPRecipientsRefused),
    "lleno": ("552 5.2.2 mailbox full", smtplib.SMTPRecipientsRefused),
    "luego": ("450 4.2.1 try later", smtplib.SMTPRecipientsRefused),
}


def test_a_server_that_refuses_us_is_tried_again_and_the_doctor_says_so(life, settings):
    request(life.ana)
    outbox.drain(life.clock, Refusing(RefusesUs("554 5.7.1 relay denied")), settings)
    assert {row.state for row in OutboxMessage.select()} == {Delivery.WAITING}
    found = next(f for f in doctor.examine(settings, now=life.now) if f.check == "correo")
    assert found.verdict is doctor.Verdict.WRONG
    assert "5.7.1 relay denied" in found.words
    assert "APP_SMTP_URL" in found.words
    life.clock.advance(timedelta(minutes=2))
    assert len(life.sent()) == 2


def test_a_real_server_takes_the_mail():
    taken: list[bytes] = []

    class Sink:
        async def handle_DATA(self, _server, _session, envelope):
            taken.append(envelope.content)
            return "250 OK"

        async def handle_RCPT(self, _server, _session, envelope, address, _options):
            name = address.partition("@")[0]
            if name in ANSWERS:
                return ANSWERS[name][0]
            envelope.rcpt_tos.append(address)
            return "250 OK"

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Controller(Sink(), hostname="127.0.0.1", port=port)
    server.start()
    try:
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = "a@example.com", "b@example.com", "Cita"
        mail.set_content("ñandú")
        for plain in ("", "?starttls=0"):
            SmtpMailer(f"smtp://127.0.0.1:{port}{plain}").send(mail)
        assert [b"Cita" in content for content in taken] == [True, True]
        for name, (said, meaning) in ANSWERS.items():
            mail.replace_header("To", f"{name}@example.com")
            with pytest.raises(meaning) as refused:
                SmtpMailer(f"smtp://127.0.0.1:{port}").send(mail)
            assert refused.type is meaning, said
        with pytest.raises(RefusesUs, match="APP_SMTP_URL"):
            SmtpMailer(f"smtp://127.0.0.1:{port}?starttls=1").send(mail)
        with pytest.raises(RefusesUs):
            SmtpMailer(f"smtp://citas:clave@127.0.0.1:{port}").send(mail)
    finally:
        server.stop()


def test_the_demos_mailbox_keeps_everything(tmp_path):
    mailer = FolderMailer(tmp_path / "buzon")
    for subject in ("uno", "dos"):
        mail = EmailMessage()
        mail["To"], mail["Subject"] = "a@example.com", subject
        mail.set_content("¿Qué tal?")
        mailer.send(mail)
    assert [(n, str(m["Subject"])) for n, m in mailer.messages()] == [(2, "dos"), (1, "uno")]
    assert mailer.message(1)["Subject"] == "uno"
    assert mailer.message(3) is None


# How much a mail tells: three levels, whatever things are called.

NAMES = {
    "practice": "Zafiro Élite", "sender": "Remitente Ñuble", "phone": "+52 55 7777 0001",
    "place": "Lugar Ópalo", "address": "Calle Ámbar 77", "service": "Servicio Índigo",
    "clinician": "Doctora Úrsula", "client": "Persona Güell",
}  # fmt: skip
ALWAYS_SECRET = ("congreso", NAMES["client"])
NEEDS_FULL = (NAMES["service"], NAMES["clinician"])
NEEDS_STANDARD = (
    *(NAMES[name] for name in ("sender", "phone", "place", "address")),
    "marzo", "March", "de 2027", ", 2027", "10:00", "DTSTART",
)  # fmt: skip


def rename_everything(level: MailLevel, language: str) -> None:
    Practice.update(
        name=NAMES["practice"], sender_name=NAMES["sender"], phone=NAMES["phone"],
        mail_level=level.value, revision=Practice.revision + 1,
    ).execute()  # fmt: skip
    Location.update(name=NAMES["place"], address=NAMES["address"]).execute()
    Service.update(name=NAMES["service"]).execute()
    Clinician.update(name=NAMES["clinician"]).execute()
    Client.update(name=NAMES["client"]).execute()
    Account.update(language=language).execute()


def told(mail: EmailMessage) -> str:
    """All that a reader of the mail can see, decoded: headers, both bodies, the calendar file."""
    parts = [f"{name}: {value}" for name, value in mail.items() if name != "Date"]
    for part in mail.walk():
        if part.is_multipart():
            continue
        content = part.get_content()
        text = content.decode() if isinstance(content, bytes) else content
        parts += [text, text.replace("\r\n ", ""), str(part.items())]
    return "\n".join(parts)


@pytest.mark.parametrize("language", ["es", pytest.param("en", marks=pytest.mark.long)])
@pytest.mark.parametrize("level", MailLevel)
@pytest.mark.parametrize("agreed", [False, True])
def test_no_mail_tells_more_than_its_level(life, level, language, agreed):
    rename_everything(level, language)
    if agreed:
        agree_to_full_mails(life.ana, agreed=True, now=life.now)
    life.ana = Account.get_by_id(life.ana.id)
    mails = every_message(life)
    assert {m.kind for m in OutboxMessage.select().where(OutboxMessage.sent_at.is_null(False))} >= {
        Kind.REQUEST_ACCEPTED, Kind.APPOINTMENT_MOVED, Kind.SLOTS_OFFERED,
        Kind.STAFF_REQUEST_RECEIVED,
    }  # fmt: skip
    texts = [told(mail) for mail in mails]
    for mail, text in zip(mails, texts, strict=True):
        full = level is MailLevel.FULL and agreed and mail["To"] == ANA
        hidden = (*ALWAYS_SECRET, NAMES["practice"])  # Mails are signed by their sender.
        hidden += () if full else NEEDS_FULL
        hidden += NEEDS_STANDARD if level is MailLevel.MINIMAL else ()
        assert not [secret for secret in hidden if secret in text], mail["Subject"]
    everything = "\n".join(texts)
    assert (NAMES["place"] in everything) is (level is not MailLevel.MINIMAL)
    assert (NAMES["service"] in everything) is (level is MailLevel.FULL and agreed)


@pytest.mark.parametrize("language", ["es", "en"])
def test_the_least_mail_still_leads_to_what_is_new(life, language):
    rename_everything(MailLevel.MINIMAL, language)
    life.ana = Account.get_by_id(life.ana.id)
    request(life.ana)
    life.sent()
    ours, theirs = life.deliver().sent
    assert "http://localhost/entrar/" in told(ours)
    assert "http://localhost/solicitudes/" in told(theirs)
    assert ours["Subject"] == theirs["Subject"]


# What names and addresses could smuggle in.

HOSTILE = [
    "Eva\r\nBcc: x@evil.mx", 'Eva" <x@evil.mx>, "', "Eva\x0b\x85\u2028Bcc: y", "=HYPERLINK(1)",
    pytest.param("Eva\x00Bcc: z", marks=pytest.mark.sqlite),  # PostgreSQL keeps no NUL.
    "@SUM(1)", "+1", "-1", "\tEva", "E;v,a\\n:x", "Ñandú " * 40,
]  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE)
def test_names_begin_no_header_and_no_calendar_line(life, hostile):
    Practice.update(sender_name=hostile, name=hostile, revision=Practice.revision + 1).execute()
    Location.update(name=hostile, address=hostile).execute()
    Client.update(name=hostile).execute()
    asked = request(life.ana)
    accept(asked.id, version=1, actor=life.staff, now=life.now)
    life.later(UNDO)
    mail = next(m for m in life.deliver().sent if m["Subject"] == "Su cita está confirmada")
    again = message_from_bytes(mail.as_bytes(), policy=policy.default)
    assert again.keys() == mail.keys()
    assert "Bcc" not in again
    assert [a.addr_spec for a in again["From"].addresses] == ["citas@localhost"]
    assert [a.addr_spec for a in again["To"].addresses] == [ANA]
    (file,) = [p for p in again.walk() if p.get_content_type() == "text/calendar"]
    raw = file.get_payload(decode=True)
    assert all(len(line) <= 75 for line in raw.split(b"\r\n"))
    event = Calendar.from_ical(raw).walk("VEVENT")[0]
    assert {str(name) for name in event} == {
        "UID", "SEQUENCE", "DTSTAMP", "DTSTART", "DTEND", "SUMMARY", "LOCATION", "STATUS",
        "ORGANIZER", "ATTENDEE",
    }  # fmt: skip
    assert event["ATTENDEE"] == f"mailto:{ANA}"
