"""What messages say: one function for each kind; one text and one HTML template for all.

Mails carry practice, time and place, and not the service, a reason, a note or who a person sees:
an e-mail from a therapist can tell too much already. A practice can have them tell less (only
that there is news) or more (service and clinician, to clients who have agreed to it).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from booking import links, notifications
from booking.availability import plan
from booking.calendar_file import Method, Party, calendar_file
from booking.language import Speech, one_line, speech_of
from booking.lifecycle import State
from booking.models import (
    Account,
    Appointment,
    MailLevel,
    OfferedSlot,
    OfferState,
    OutboxMessage,
    Practice,
)
from booking.notifications import Kind
from booking.settings import Settings

TEMPLATES = Path(__file__).parent.parent / "templates" / "email"


@dataclass(frozen=True, slots=True)
class Letter:
    """One message in words: what a reader sees, whatever the format."""

    subject: str
    paragraphs: list[str]
    facts: list[tuple[str, str]]
    button: str = ""  # Empty: no link.
    code: str = ""
    calendar: Method | None = None


@dataclass(frozen=True, slots=True)
class About:
    """What a letter may tell: an appointment in the recipient's words, zone and language."""

    say: Speech
    practice: Practice
    appointment: Appointment
    zone: ZoneInfo
    offers: int = 0
    held_until: datetime | None = None  # When the appointment does not say it yet.
    invited: bool = False  # Whether the session stood in people's calendars.

    @property
    def when(self) -> str:
        return self.say.moment(self.appointment.starts_at, self.zone)

    @property
    def place(self) -> str:
        location = self.appointment.location
        if location is None:
            return self.say.gettext("Videollamada")
        return f"{location.name}, {location.address}"

    @property
    def facts(self) -> list[tuple[str, str]]:
        return self.told(self.say.gettext("Fecha y hora"), self.when)

    @property
    def wished(self) -> list[tuple[str, str]]:
        """The facts of a wish that did not come true, which must not read like an appointment."""
        asked = self.say.moment(self.appointment.asked_starts_at, self.zone)
        return self.told(self.say.gettext("Horario que pidió"), asked)

    def told(self, label: str, moment: str) -> list[tuple[str, str]]:
        zone = self.say.zone_name(self.zone)
        return [(label, f"{moment} ({zone})"), (self.say.gettext("Lugar"), self.place)]

    @property
    def answer_by(self) -> str:
        until = self.held_until or self.appointment.answer_by
        return self.say.moment(until, self.zone) if until else ""

    @property
    def old_stands(self) -> str:
        """When a denied or lapsed wish was to move a session that still stands."""
        old = self.appointment.replaces
        if old is None or old.state != State.CONFIRMED:
            return ""
        return self.say.gettext(
            "Su cita del %(when)s, sigue en pie.", when=self.say.moment(old.starts_at, self.zone)
        )


def request_received(a: About) -> Letter:
    _ = a.say.gettext
    return Letter(
        _("Recibimos su solicitud"),
        [
            _("Recibimos su solicitud de cita. Todavía no es una cita confirmada."),
            _("Le responderemos por correo antes del %(when)s.", when=a.answer_by),
        ],
        a.facts,
        _("Ver mi solicitud"),
    )


def request_expired(a: About) -> Letter:
    _ = a.say.gettext
    return Letter(
        _("No pudimos responder a tiempo"),
        [
            _(
                "Lo sentimos: nadie respondió a tiempo a su solicitud de cita, así que ya no está"
                " pendiente."
            ),
            a.old_stands,
            _("Puede pedir otro horario. Conservamos lo demás que eligió."),
        ],
        a.wished,
        _("Solicitar otro horario"),
    )


def request_accepted(a: About) -> Letter:
    _ = a.say.gettext
    return Letter(
        _("Su cita está confirmada"),
        [_("Su solicitud fue aceptada y su cita está confirmada.")],
        a.facts,
        _("Ver mi cita"),
        calendar=Method.REQUEST,
    )


def request_denied(a: About) -> Letter:
    _ = a.say.gettext
    return Letter(
        _("Elija otro horario para su cita"),
        [
            _("No es posible atenderle en el horario que pidió."),
            a.old_stands,
            _(
                "Con este enlace para reprogramar puede volver al portal y pedir otro horario;"
                " conservamos lo demás que eligió."
            ),
        ],
        a.wished,
        _("Reprogramar"),
    )


def slots_offered(a: About) -> Letter:
    _ = a.say.gettext
    return Letter(
        _("Elija otro horario para su cita"),
        [
            _("No es posible atenderle en el horario que pidió."),
            *_held_for_you(a),
            a.old_stands,
        ],
        a.wished,
        _("Reprogramar"),
    )


def _held_for_you(a: About) -> list[str]:
    return [
        a.say.ngettext(
            "Le ofrecemos %(n)s horario, que ya está guardado para usted. Con un toque queda"
            " confirmado.",
            "Le ofrecemos %(n)s horarios, que ya están guardados para usted. Con un toque, el"
            " que elija queda confirmado.",
            a.offers,
        ),
        a.say.ngettext(
            "Se lo guardamos hasta el %(when)s.",
            "Se los guardamos hasta el %(when)s.",
            a.offers,
            when=a.answer_by,
        ),
    ]


def session_displaced(a: About) -> Letter:
    _ = a.say.gettext
    return Letter(
        _("Elija otro horario para su cita"),
        [
            _("Lo sentimos: el consultorio tuvo que mover su cita, que ya no será a esta hora."),
            *_held_for_you(a),
        ],
        a.told(_("Horario que tenía"), a.when),
        _("Reprogramar"),
    )


def offer_reminded(a: About) -> Letter:
    _ = a.say.gettext
    return Letter(
        _("Todavía puede elegir otro horario"),
        [
            _("Le seguimos guardando los horarios que le ofrecimos."),
            _("Elija uno antes del %(when)s; después quedarán libres.", when=a.answer_by),
        ],
        [],
        _("Ver los horarios"),
    )


def offer_lapsed(a: About) -> Letter:
    _ = a.say.gettext
    return Letter(
        _("Los horarios que le ofrecimos quedaron libres"),
        [
            _("Terminó el plazo para elegir uno de los horarios que le guardábamos."),
            a.old_stands,
            _(
                "Con este enlace para reprogramar puede pedir otro; conservamos lo demás que"
                " eligió."
            ),
        ],
        [],
        _("Reprogramar"),
    )


def offer_taken(a: About) -> Letter:
    _ = a.say.gettext
    return Letter(
        _("Su cita está confirmada"),
        [_("Usted eligió uno de los horarios ofrecidos y su cita está confirmada.")],
        a.facts,
        _("Ver mi cita"),
        calendar=Method.REQUEST,
    )


def appointment_booked(a: About) -> Letter:
    _ = a.say.gettext
    return Letter(
        _("Su cita está confirmada"),
        [_("El consultorio registró esta cita para usted.")],
        a.facts,
        _("Ver mi cita"),
        calendar=Method.REQUEST,
    )


def appointment_moved(a: About) -> Letter:
    _ = a.say.gettext
    old = a.appointment.replaces
    before = [] if old is None else [(_("Antes"), a.say.moment(old.starts_at, a.zone))]
    return Letter(
        _("Su cita tiene otro horario"),
        [_("El consultorio cambió su cita al siguiente horario.")],
        a.facts + before,
        _("Ver mi cita"),
        calendar=Method.REQUEST,
    )


def appointment_cancelled(a: About) -> Letter:
    _ = a.say.gettext
    if a.appointment.displaced_at is not None:
        why = _(
            "El consultorio tuvo que mover esta cita y no quedó elegido otro horario. Le buscaremos"
            " otro; también puede pedirlo en el portal."
        )
    elif a.appointment.status is State.CANCELLED_BY_PRACTICE:
        why = _("El consultorio canceló esta cita. Puede pedir otra en el portal.")
    else:
        why = _("Usted canceló esta cita. Puede pedir otra cuando quiera.")
    return Letter(
        _("Su cita fue cancelada"),
        [why, a.old_stands],
        a.facts,
        _("Ir a mis citas"),
        calendar=Method.CANCEL if a.invited else None,
    )


def session_reminded(a: About) -> Letter:
    _ = a.say.gettext
    return Letter(
        _("Recordatorio de su cita"),
        [_("Le recordamos su próxima cita.")],
        a.facts,
        _("Ver mi cita"),
    )


def staff_request_received(a: About) -> Letter:
    _ = a.say.gettext
    return Letter(
        _("Nueva solicitud de cita"),
        [_("Tiene una solicitud nueva. Respóndala antes del %(when)s.", when=a.answer_by)],
        a.facts,
        _("Ver la solicitud"),
    )


def staff_request_waiting(a: About) -> Letter:
    _ = a.say.gettext
    return Letter(
        _("Una solicitud de cita espera su respuesta"),
        [_("Ya pasó la mitad del plazo. Responda antes del %(when)s.", when=a.answer_by)],
        a.facts,
        _("Ver la solicitud"),
    )


def staff_request_expired(a: About) -> Letter:
    _ = a.say.gettext
    return Letter(
        _("Una solicitud de cita quedó sin respuesta"),
        [_("Terminó el plazo. Avisamos al cliente y el horario quedó libre.")],
        a.wished,
        _("Ver la solicitud"),
    )


def staff_offer_taken(a: About) -> Letter:
    _ = a.say.gettext
    return Letter(
        _("Eligieron uno de los horarios que ofreció"),
        [_("La cita está confirmada.")],
        a.facts,
        _("Ver la cita"),
        calendar=Method.REQUEST,
    )


def staff_offer_declined(a: About) -> Letter:
    _ = a.say.gettext
    return Letter(
        _("Ninguno de los horarios que ofreció fue elegido"),
        [
            _(
                "Los horarios quedaron libres. En el portal puede ver qué le serviría al cliente y"
                " ofrecerle otros."
            )
        ],
        [],
        _("Ver la solicitud"),
    )


def staff_appointment_cancelled(a: About) -> Letter:
    _ = a.say.gettext
    return Letter(
        _("Una cita fue cancelada"),
        [_("El cliente canceló esta cita en el portal. El horario quedó libre.")],
        a.facts,
        _("Ver la cita"),
    )


WITH_CODE = frozenset({Kind.SIGN_IN_REQUESTED, Kind.EMAIL_CHANGE_REQUESTED})

LETTERS: dict[Kind, Callable[[About], Letter]] = {
    kind: globals()[kind.value] for kind in Kind if kind not in WITH_CODE and not kind.about_account
}


def factor_set(say: Speech) -> Letter:
    _ = say.gettext
    return Letter(
        _("Activó la verificación en dos pasos"),
        [
            _(
                "Desde ahora, para entrar al portal del consultorio se pide también un código de su"
                " aplicación."
            ),
            _("Si no fue usted, avise hoy mismo a quien administra el portal."),
        ],
        [],
    )


def factor_removed(say: Speech) -> Letter:
    _ = say.gettext
    return Letter(
        _("Se quitó su verificación en dos pasos"),
        [
            _(
                "El consultorio quitó la aplicación con la que usted confirmaba su entrada. La"
                " próxima vez que entre en cualquiera de sus dispositivos, active otra."
            ),
            _("Si no lo pidió, avise hoy mismo a quien administra el portal."),
        ],
        [],
    )


def recovery_used(say: Speech) -> Letter:
    _ = say.gettext
    return Letter(
        _("Se usó uno de sus códigos de recuperación"),
        [
            _("Alguien entró con un código de recuperación suyo, que ya no sirve más."),
            _("Si no fue usted, avise hoy mismo a quien administra el portal."),
        ],
        [],
    )


def sign_in_unknown(say: Speech) -> Letter:
    _ = say.gettext
    return Letter(
        _("No hay una cuenta con este correo"),
        [
            _("Alguien, quizá usted, quiso entrar al portal con este correo."),
            _("Si ya es cliente, quizá se registró con otro: pruebe con ese. Si no, regístrese."),
            _("Si usted no pidió entrar, no haga nada."),
        ],
        [],
        _("Registrarme"),
    )


def email_taken(say: Speech) -> Letter:
    _ = say.gettext
    return Letter(
        _("Este correo ya tiene una cuenta"),
        [
            _("Alguien, quizá usted, quiso usar este correo para otra cuenta del portal."),
            _("Ya hay una cuenta con este correo: con él puede entrar a esa."),
            _("Si usted no lo pidió, no haga nada: nada cambió en su cuenta."),
        ],
        [],
        _("Entrar al portal"),
    )


def email_changed(say: Speech) -> Letter:
    _ = say.gettext
    return Letter(
        _("Cambió el correo de su cuenta"),
        [
            _(
                "Su cuenta del portal tiene ahora otro correo: con este ya no se entra, y aquí ya"
                " no le escribiremos."
            ),
            _("Si no fue usted, llame hoy mismo a su consultorio."),
        ],
        [],
    )


def email_assigned(say: Speech) -> Letter:
    _ = say.gettext
    return Letter(
        _("Este es ahora el correo de su cuenta"),
        [
            _("El consultorio cambió el correo de su cuenta del portal."),
            _("Desde ahora entra con este, y aquí le escribiremos."),
            _("Si no lo pidió, llame hoy mismo a su consultorio."),
        ],
        [],
    )


ACCOUNT_LETTERS: dict[Kind, Callable[[Speech], Letter]] = {
    kind: globals()[kind.value] for kind in Kind if kind.about_account
}


def at_level(letter: Letter, level: MailLevel, a: About) -> Letter:
    """The letter with no more in it than `level` lets a mail tell, and no less."""
    _ = a.say.gettext
    if level is MailLevel.MINIMAL:
        return Letter(
            _("Hay novedades para usted"),
            [_("Hay algo nuevo para usted. Ábralo para leerlo.")],
            [],
            _("Ver las novedades"),
        )
    if level is MailLevel.FULL and letter.facts:
        more = [
            (_("Servicio"), a.appointment.service.name),
            (_("Con"), a.appointment.clinician.name),
        ]
        return replace(letter, facts=letter.facts + more)
    return letter


def level_for(practice: Practice, account: Account | None, *, for_staff: bool) -> MailLevel:
    """How much a mail to somebody may tell: everything only to a client who agreed to it."""
    level = MailLevel(practice.mail_level)
    agreed = account is not None and account.mail_consented_at is not None and not for_staff
    return MailLevel.STANDARD if level is MailLevel.FULL and not agreed else level


def sign_in_requested(say: Speech, code: str) -> Letter:
    _ = say.gettext
    return Letter(
        _("Su código para entrar: %(code)s", code=code),
        [
            _("Escriba este código en la página donde lo pidió:"),
            _(
                "O entre directamente con este enlace. Ambos sirven una sola vez y por pocos"
                " minutos."
            ),
            _("Si usted no pidió entrar, no haga nada."),
        ],
        [],
        _("Entrar al portal"),
        code=code,
    )


def email_change_requested(say: Speech, code: str) -> Letter:
    _ = say.gettext
    return Letter(
        _("Su código para usar este correo: %(code)s", code=code),
        [
            _("Escriba este código en la página donde lo pidió:"),
            _(
                "O toque este enlace en el mismo navegador. Ambos sirven una sola vez y por pocos"
                " minutos."
            ),
            _("Si usted no lo pidió, no haga nada: alguien escribió su correo por error."),
        ],
        [],
        _("Usar este correo"),
        code=code,
    )


CODE_LETTERS: dict[Kind, Callable[[Speech, str], Letter]] = {
    kind: globals()[kind.value] for kind in WITH_CODE
}


def preview(
    kind: Kind, appointment: Appointment, offers: int, held_until: datetime | None, *, say: Speech
) -> tuple[str, list[str]]:
    """Subject and paragraphs of a denial before it is owed, with so many slots on offer."""
    the = plan()
    zone = the.zone(appointment.location_id)
    about = About(say, the.practice, appointment, zone, offers, held_until)
    level = level_for(the.practice, appointment.account, for_staff=False)
    letter = at_level(LETTERS[kind](about), level, about)
    return letter.subject, [p for p in letter.paragraphs if p]


def compose(message: OutboxMessage, settings: Settings, *, now: datetime) -> EmailMessage:
    """The message as it leaves the house, with links of this installation."""
    practice = plan().practice
    say = speech_of(practice, message.language)
    kind = Kind(message.kind)
    appointment: Appointment | None = message.appointment
    level = level_for(
        practice,
        appointment.account if appointment is not None else None,
        for_staff=message.audience == "clinician",
    )
    if kind.about_account:
        letter = ACCOUNT_LETTERS[kind](say)
    elif appointment is None:
        code = links.code(settings.secret_key, message.sign_in.nonce) if message.sign_in else ""
        letter = CODE_LETTERS[kind](say, code)
    else:
        notifications.recall(message, appointment)
        about = _about(appointment, message, say, practice)
        letter = at_level(LETTERS[kind](about), level, about)
    named = level is not MailLevel.MINIMAL
    sender = practice.sender_name if named else ""
    mail = EmailMessage()
    mail["Subject"] = one_line(letter.subject)
    mail["From"] = Address(display_name=one_line(sender), addr_spec=settings.mail_from)
    mail["To"] = message.recipient
    mail["Date"] = format_datetime(now)
    host = settings.host_name
    mail["Message-ID"] = f"<{message.message_id}@{f'[{host}]' if ':' in host else host}>"
    mail["Auto-Submitted"] = "auto-generated"
    told = {
        "letter": letter,
        "paragraphs": [p for p in letter.paragraphs if p],
        "practice": practice if named else None,
        "url": _url(message, settings) if letter.button else "",
        "language": say.code[:2],
        "phone_label": say.gettext("Teléfono"),
    }
    mail.set_content(_templates().get_template("letter.txt").render(told), cte="quoted-printable")
    mail.add_alternative(
        _templates().get_template("letter.html").render(told),
        subtype="html",
        cte="quoted-printable",
    )
    if letter.calendar is not None and appointment is not None:
        _attach_calendar(mail, letter.calendar, appointment, message, say, settings, now)
    return mail


def _about(
    appointment: Appointment, message: OutboxMessage, say: Speech, practice: Practice
) -> About:
    account: Account | None = appointment.account
    video = appointment.location_id is None
    own_zone = account.zone if account and video and message.audience == "client" else ""
    zone = ZoneInfo(own_zone) if own_zone else plan().zone(appointment.location_id)
    offers = (
        OfferedSlot.select()
        .where(OfferedSlot.appointment == appointment, OfferedSlot.state == OfferState.HELD)
        .count()
        if message.kind in (Kind.SLOTS_OFFERED, Kind.SESSION_DISPLACED)
        else 0
    )
    invited = bool(message.context.get("invited"))
    return About(say, practice, appointment, zone, offers, invited=invited)


def _url(message: OutboxMessage, settings: Settings) -> str:
    if message.kind == Kind.SIGN_IN_UNKNOWN:
        return f"{settings.base_url}/registro"
    if message.kind == Kind.EMAIL_TAKEN:
        return f"{settings.base_url}/entrar"
    if message.sign_in is not None:
        token = links.token(settings.secret_key, message.sign_in.nonce)
        door = "cuenta/correo" if message.sign_in.changes_email else "entrar"
        return f"{settings.base_url}/{door}/{token}"
    if message.audience == "client":
        return ""  # Booked by telephone: there is no account that could enter.
    return f"{settings.base_url}/solicitudes/{message.appointment_id}"


def _attach_calendar(
    mail: EmailMessage,
    method: Method,
    appointment: Appointment,
    message: OutboxMessage,
    say: Speech,
    settings: Settings,
    now: datetime,
) -> None:
    file = calendar_file(
        appointment,
        plan().practice,
        say,
        method=method,
        host=settings.host_name,
        now=now,
        # A name would tell whom the session is for: a child, a couple, a clinician.
        attendee=Party(message.recipient, message.recipient),
    )
    mail.add_attachment(
        file,
        maintype="text",
        subtype="calendar",
        filename="cita.ics",
        params={"method": method.value, "charset": "utf-8"},
    )


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
