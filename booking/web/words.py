"""What states, policies and changes are called on screen: keys → words, in one place."""

from collections.abc import Iterable

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from booking.availability import Rule
from booking.lifecycle import Event, State
from booking.models import Appointment, ClientKind, Location, Practice
from booking.pictures import Mark
from booking.queries.staff import Takes
from solver import Group, Reason

STATUS = {
    State.REQUESTED: _l("Pendiente de confirmación"),
    State.OFFERED: _l("Denegada: elija otro horario"),
    State.CONFIRMED: _l("Confirmada"),
    State.DENIED: _l("Denegada"),
    State.CANCELLED_BY_CLIENT: _l("Cancelada"),
    State.CANCELLED_BY_PRACTICE: _l("Cancelada"),
    State.LATE_CANCELLED: _l("Cancelada"),
    State.EXPIRED: _l("Sin respuesta a tiempo"),
    State.MOVED: _l("Reprogramada"),
    State.ATTENDED: _l("Realizada"),
    State.NO_SHOW: _l("No asistió"),
}

STAFF_STATUS = STATUS | {
    State.OFFERED: _l("Denegada, con horarios ofrecidos"),
    State.LATE_CANCELLED: _l("Cancelada fuera de plazo"),
    State.CANCELLED_BY_CLIENT: _l("Cancelada por el cliente"),
    State.CANCELLED_BY_PRACTICE: _l("Cancelada por el consultorio"),
}

# What colours the status; the words carry the meaning, the tone only helps.
TONE = {
    State.REQUESTED: "waiting",
    State.OFFERED: "action",
    State.CONFIRMED: "good",
    State.ATTENDED: "good",
}

KIND = {
    ClientKind.ADULT: _l("Persona adulta"),
    ClientKind.MINOR: _l("Menor a su cargo"),
    ClientKind.COUPLE: _l("Pareja"),
}

CLIENT_HISTORY = {
    Event.ASK: _l("Usted envió la solicitud"),
    Event.BOOK: _l("El consultorio registró la cita para usted"),
    Event.ACCEPT: _l("Su solicitud fue aceptada"),
    Event.DENY: _l("Su solicitud fue denegada"),
    Event.OFFER: _l("Su solicitud fue denegada y le ofrecieron otros horarios"),
    Event.TAKE: _l("Usted eligió uno de los horarios ofrecidos"),
    Event.DECLINE: _l("Usted indicó que ninguno de los horarios le servía"),
    Event.LAPSE: _l("Terminó el plazo para elegir uno de los horarios"),
    Event.EXPIRE: _l("No hubo respuesta a tiempo"),
    Event.CANCEL: _l("Usted canceló"),
    Event.LATE_CANCEL: _l("Se canceló fuera de plazo"),
    Event.CANCEL_BY_PRACTICE: _l("El consultorio canceló"),
    Event.DISPLACE: _l("El consultorio tuvo que mover la cita"),
    Event.GIVE_UP: _l("Usted indicó que ninguno de los horarios le servía"),
    Event.RUN_OUT: _l("Terminó el plazo para elegir uno de los horarios"),
    Event.REPLACE: _l("La cita pasó a otro horario"),
    Event.UNDO: _l("La decisión anterior se retiró"),
    Event.ATTEND: _l("La cita se realizó"),
    Event.MISS: _l("La cita terminó"),
}

# Why a time cannot be had, for the client who asks for it.
NOT_FREE = {
    Rule.QUALIFIED: _l("Ese servicio ya no se ofrece así."),
    Rule.HOURS: _l("A esa hora no hay consulta."),
    Rule.ABSENCE: _l("A esa hora no hay consulta."),
    Rule.NOTICE: _l("Falta muy poco para ese horario: ya no se puede pedir por el portal."),
    Rule.HORIZON: _l("Esa fecha todavía no se puede pedir."),
    Rule.CLIENT: _l("Esa persona ya tiene una cita a esa hora."),
    Rule.GRID: _l("Ese horario no existe."),
}

STAFF_KIND = KIND | {ClientKind.MINOR: _l("Menor de edad")}

# What happened, as staff say it; the page adds who did it.
STAFF_HISTORY = {
    Event.ASK: _l("Solicitud enviada"),
    Event.BOOK: _l("Cita registrada por el consultorio"),
    Event.ACCEPT: _l("Aceptada"),
    Event.DENY: _l("Denegada, sin otros horarios"),
    Event.OFFER: _l("Denegada, con otros horarios"),
    Event.TAKE: _l("Quedó elegido uno de los horarios"),
    Event.DECLINE: _l("Al cliente no le sirvió ninguno de los horarios"),
    Event.LAPSE: _l("El cliente no eligió a tiempo"),
    Event.EXPIRE: _l("Sin respuesta a tiempo"),
    Event.CANCEL: _l("Cancelada por el cliente"),
    Event.LATE_CANCEL: _l("Cancelada fuera de plazo"),
    Event.CANCEL_BY_PRACTICE: _l("Cancelada por el consultorio"),
    Event.DISPLACE: _l("El consultorio tuvo que moverla"),
    Event.GIVE_UP: _l("Al cliente no le sirvió ninguno de los horarios"),
    Event.RUN_OUT: _l("El cliente no eligió a tiempo"),
    Event.REPLACE: _l("Pasó a otro horario"),
    Event.UNDO: _l("Decisión deshecha"),
    Event.ATTEND: _l("Realizada"),
    Event.MISS: _l("No asistió"),
}

# Why a request cannot be answered any more, by what it has become.
HAPPENED = {
    State.REQUESTED: _l("La solicitud cambió mientras usted la veía. Revísela antes de responder."),
    State.OFFERED: _l("La solicitud ya fue denegada, y el cliente tiene otros horarios."),
    State.CONFIRMED: _l("La solicitud ya fue aceptada."),
    State.DENIED: _l("La solicitud ya fue denegada."),
    State.CANCELLED_BY_CLIENT: _l("El cliente retiró la solicitud."),
    State.CANCELLED_BY_PRACTICE: _l("El consultorio canceló la solicitud."),
    State.EXPIRED: _l("Terminó el plazo para responder y la solicitud ya no está pendiente."),
    State.MOVED: _l("La cita pasó a otro horario."),
}

# What speaks for a time that the solver proposes; some keys say nothing that needs a word.
REASONS = {
    Reason.SAME_DAY: _l("mismo día"),
    Reason.SAME_WEEKDAY: _l("mismo día de la semana"),
    Reason.SAME_TIME: _l("misma hora"),
    Reason.SAME_DAYPART: _l("misma parte del día"),
    Reason.CLOSE_IN_TIME: _l("a pocos días"),
    Reason.HONOURS_WISH: _l("como lo pidió el cliente"),
    Reason.OTHER_CLINICIAN: _l("otro profesional"),
    Reason.OTHER_OFFICE: _l("otro consultorio"),
    Reason.TOUCHES_NEIGHBOUR: _l("junto a otra sesión"),
    Reason.NO_LOOSE_GAP: _l("no deja huecos inservibles"),
    Reason.SWAPS_ROOMS: _l("otra sesión cambia de sala"),
}

# Why a time cannot be had, for staff; what it collides with is said apart.
STAFF_NOT_FREE = {
    Rule.QUALIFIED: _l("Ese servicio no se ofrece así."),
    Rule.HOURS: _l("A esa hora no hay consulta en ese lugar."),
    Rule.ABSENCE: _l("Ese horario está bloqueado en la agenda."),
    Rule.NOTICE: _l("Esa hora ya pasó o falta muy poco."),
    Rule.HORIZON: _l("Los clientes todavía no pueden pedir esa fecha."),
    Rule.GRID: _l("No es una de las horas de inicio que se muestran a los clientes."),
    Rule.MAX_DAY: _l("Ese día ya tiene todas las sesiones que admite."),
    Rule.ROOM: _l("A esa hora no hay sala libre con esas características."),
    Rule.CLIENT: _l("El cliente ya tiene otra cita a esa hora."),
}

# What is in the way, after «Choca con».
TAKES = {
    Takes.SESSION: _l("otra cita"),
    Takes.REQUEST: _l("otra solicitud"),
    Takes.HOLD: _l("un horario que se guarda para otro cliente"),
}

# What a drawn day consists of.
MARKS = {
    Mark.HOURS: _l("consulta"),
    Mark.SESSION: _l("cita"),
    Mark.PENDING: _l("solicitud u horario ofrecido"),
    Mark.BLOCKED: _l("no disponible"),
    Mark.MARGIN: _l("minutos antes y después"),
    Mark.TRAVEL: _l("traslado"),
    Mark.SLOT: _l("este horario"),
}

# How else a search could be, before «hay 3 horarios».
INSTEAD = {
    Group.MODALITY: _l("por videollamada"),
    Group.CLINICIAN: _l("con otro profesional"),
    Group.DATES: _l("si busca más días"),
    Group.TIME_OF_DAY: _l("a otras horas del día"),
}
# What would open times for a session of a plan, of which not all is anybody's to change.
RELAXED = INSTEAD | {
    Group.LOCATION: _l("en otro consultorio"),
    Group.DATES: _l("en otras fechas"),
    Group.HORIZON: _l("más adelante"),
    Group.ROOM: _l("con otra sala"),
    Group.HELD: _l("entre los que se guardan para otros clientes"),
    Group.MAX_DAY: _l("con más sesiones por día"),
    Group.NOTICE: _l("con menos anticipación"),
}
EARLIER = _l("antes de esa fecha")
OFTEN = {
    "morning": _l("por las mañanas"),
    "afternoon": _l("por las tardes"),
    "evening": _l("por las noches"),
}


def reasons(keys: Iterable[str]) -> str:
    """«mismo día de la semana · misma hora»; the same day says the weekday, too."""
    known = [Reason(key) for key in keys]
    implied = {
        Reason.SAME_DAY: {Reason.SAME_WEEKDAY, Reason.CLOSE_IN_TIME},
        Reason.SAME_TIME: {Reason.SAME_DAYPART},
    }
    said = set().union(*(implied.get(reason, set()) for reason in known))
    return " · ".join(str(REASONS[r]) for r in known if r in REASONS and r not in said)


def in_place(place: Location) -> str:
    return _("en %(place)s", place=place.name)


def together(things: list[str]) -> str:
    """«si busca más días, a otras horas del día y por videollamada»."""
    *others, last = things
    return _(" y ").join([", ".join(others), last]) if others else last


def also_open(count: int, how: list[str]) -> str:
    """The same after another: «por videollamada, 12»."""
    return _("%(how)s, %(n)s", how=together(how), n=count)


def times_open(count: int, how: list[str]) -> str:
    """«En Consultorio Norte y con otro profesional, hay 3 horarios»."""
    told = together(how) + ("," if len(how) > 1 else "")
    return ngettext(
        "%(how)s hay %(n)s horario",
        "%(how)s hay %(n)s horarios",
        count,
        n=count,
        how=told[:1].upper() + told[1:],
    )


def not_free(rules: tuple[Rule, ...], *, own: bool) -> str:
    """One sentence about why a time cannot be had; whether whoever asks has it already."""
    for rule in rules:
        if rule in NOT_FREE:
            return str(NOT_FREE[rule])
    if own:
        return _("Usted ya pidió ese horario: lo verá en sus citas.")
    return _("Alguien pidió ese horario antes que usted.")


def client_status(appointment: Appointment, *, over: bool) -> str:
    """The status in the client's words; whether somebody came is the practice's business."""
    if over and appointment.status in (State.CONFIRMED, State.NO_SHOW):
        return _("Terminada")
    if appointment.status is State.OFFERED and appointment.displaced_at is not None:
        return _("Su consultorio movió esta cita: elija otro horario")
    return str(STATUS[appointment.status])


def staff_status(appointment: Appointment) -> str:
    """The status as staff say it."""
    if appointment.displaced_at is not None:
        if appointment.status is State.OFFERED:
            return _("Por mover, con horarios ofrecidos")
        return _("Por mover, todavía sin otro horario")
    return str(STAFF_STATUS[appointment.status])


def clinician_word(practice: Practice) -> str:
    """What the practice calls those who attend: «médico», «profesional», …"""
    words = {"médico": _("médico"), "profesional": _("profesional")}
    return words.get(practice.clinician_word, practice.clinician_word)
