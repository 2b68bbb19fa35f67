"""Is everything in order? Every invariant asked of the live book, and what the book stands on.

Only reads, and reads the book as it was at one moment, so that nobody's change shows by half.
"""

import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import apsw
from peewee import PeeweeException, PostgresqlDatabase, fn

from booking import (
    backup,
    fingerprint,
    history,
    invariants,
    levels,
    outbox,
    private,
    spanish,
)
from booking.db import database, is_damage, transaction, tuples
from booking.invariants import Violation
from booking.levels import Level
from booking.lifecycle import State
from booking.mailer import RefusesUs
from booking.models import (
    Appointment,
    Delivery,
    History,
    OneTimeKey,
    OutboxMessage,
    Practice,
    SignIn,
    Withdrawn,
)
from booking.settings import DEVELOPMENT_SECRET, Settings

SQLITE_FROM, POSTGRESQL_FROM = (3, 51, 3), 140000  # Before, WAL resets could lose a commit.
LATE = timedelta(minutes=15)  # What is due is done every few seconds.
SKEW = timedelta(minutes=2)  # Two machines never agree wholly.
MEGABYTE = 1024 * 1024
DISK_LEAST, DISK_ENOUGH = 200 * MEGABYTE, 1024 * MEGABYTE
SHOWN = 5
NEWS_DAYS = 30  # Until a message that reached nobody is no news any more.
NIGHTS = 2  # Without a copy, before that is wrong.
ADDRESS = re.compile(r"[^\s<>'\"@]+@[^\s<>'\"@]+")
TRIGGERS = {
    "occupancy_no_overlap_insert",
    "occupancy_no_overlap_update",
    "history_is_never_updated",
    "history_is_never_deleted",
}


class Verdict(StrEnum):
    """How a check ended."""

    FINE = "bien"
    REMARK = "aviso"
    WRONG = "mal"
    UNSEEN = "no se ve"  # Rows cannot show it; the words name what does.


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    check: str
    verdict: Verdict
    words: str
    rows: tuple[str, ...] = ()


class CannotRun(Exception):
    """There is no book that could be examined; the text says why."""


@dataclass(frozen=True, slots=True)
class Promise:
    """An invariant in words, what its rows are called, and how bad it is when there are some."""

    name: str
    words: str
    find: Callable[[], list[Violation]]
    labels: tuple[str, ...]
    otherwise: Verdict = Verdict.WRONG


OVERLAP = ("cadena", "cadena")
PROMISES = (
    Promise(
        "I1",
        "Nadie del equipo tiene dos sesiones a la vez",
        invariants.clinician_in_two_sessions,
        ("profesional", *OVERLAP),
    ),
    Promise(
        "I2",
        "Ninguna sala tiene dos sesiones a la vez",
        invariants.room_in_two_sessions,
        ("sala", *OVERLAP),
    ),
    Promise(
        "I2",
        "Entre dos sesiones una sala tiene sus minutos (si no, cambiaron después)",
        invariants.room_without_its_turnover,
        ("sala", *OVERLAP),
        Verdict.REMARK,
    ),
    Promise(
        "I3",
        "Ninguna persona está en dos sesiones a la vez",
        invariants.client_in_two_sessions,
        ("cliente", *OVERLAP),
    ),
    Promise(
        "I1–I3",
        "La guarda de la base de datos conoce todo lo ocupado",
        invariants.guard_that_looks_elsewhere,
        ("recurso", "número", "cadena"),
    ),
    Promise(
        "I4",
        "Cada cambio tiene su renglón de historia, sin huecos",
        invariants.history_with_gaps,
        ("cita", "versión", "estado"),
    ),
    Promise(
        "I4",
        "Cada cambio es uno que puede ocurrir",
        invariants.illegal_paths,
        ("cita", "versión", "suceso"),
    ),
    Promise(
        "I4",
        "Cada cambio tiene sus mensajes, una sola vez",
        invariants.messages_not_as_owed,
        ("cita", "versión", "suceso"),
    ),
    Promise(
        "I4",
        "La historia es la que se anotó (los detalles: flask history verify)",
        history.violations,
        ("cita", "versión"),
    ),
    Promise(
        "I6",
        "Lo que respondió cada formulario usado sigue ahí",
        invariants.keys_that_answer_nothing,
        ("llave", "respuesta"),
    ),
    Promise(
        "I7",
        "Cada mensaje terminado dice cuándo salió o por qué no",
        invariants.messages_without_an_end,
        ("mensaje", "clase", "estado"),
    ),
    Promise(
        "I8",
        "Toda cita confirmada está dentro de horario (si no, está por reubicar)",
        invariants.confirmed_outside_hours,
        ("cita", "hora"),
        Verdict.REMARK,
    ),
    Promise(
        "I8",
        "Toda cita dura lo que hoy dura su servicio",
        invariants.sessions_of_another_length,
        ("cita", "segundos"),
        Verdict.REMARK,
    ),
    Promise(
        "I9",
        "Nadie entró con un código o un enlace vencido",
        invariants.sign_ins_used_too_late,
        ("acceso",),
    ),
    Promise(
        "I10",
        "Cada cadena tiene una sola cita y un solo cambio en espera",
        invariants.chains_in_two_places,
        ("cadena", "citas", "solicitudes"),
    ),
    Promise(
        "I10",
        "Solo se debe otra hora a quien la perdió",
        invariants.times_owed_to_nobody,
        ("cita", "estado"),
    ),
    Promise(
        "I11",
        "Nadie pidió ni cambió lo de otra persona",
        invariants.wishes_of_others,
        ("cita", "cuenta"),
    ),
    Promise(
        "I12",
        "Lo guardado para alguien está dentro de horario (si no, el horario cambió)",
        invariants.held_outside_hours,
        ("oferta", "hora"),
        Verdict.REMARK,
    ),
    Promise(
        "I13",
        "Nada está ocupado por nadie",
        invariants.time_kept_for_nobody,
        ("recurso", "número", "cadena"),
    ),
    Promise(
        "I13",
        "Nada está guardado para quien ya no elige",
        invariants.holds_of_nobody,
        ("oferta", "oferta está", "cita está"),
    ),
    Promise(
        "I13",
        "A cada cliente se le encuentra por su nombre",
        invariants.clients_that_no_search_finds,
        ("cliente",),
    ),
)

UNSEEN = (
    ("I5", "Que lo confirmado resista un corte a media escritura: flask prove"),
    ("I6", "Que repetir un formulario dé la misma respuesta: flask prove"),
    ("I9", "Que un enlace valga una sola vez y que abrir páginas no cambie nada: dev.py test"),
    ("I11", "Que nadie lea lo ajeno: dev.py test"),
    ("I13", "Que no se rechace lo que está libre: flask simulate"),
)


def examine(settings: Settings, *, now: datetime) -> list[Finding]:
    """The whole report.

    Raises:
        CannotRun: there is no database, it cannot be read, or it lacks tables.
    """
    path = settings.sqlite_path
    if path and not path.is_file():
        raise CannotRun(f"No hay base de datos en {path}. Créela con: flask --app app db upgrade")
    try:
        writable = _writable()  # Before the snapshot, in which nobody can.
        with snapshot():
            level = levels.level()
            lacking = unready()
            if lacking:
                raise CannotRun(lacking)
            return [
                *writable,
                *promises(),
                *(Finding(name, Verdict.UNSEEN, words) for name, words in UNSEEN),
                *_foundations(level),
                *_daily_work(now),
                *_surroundings(settings, now),
            ]
    except (PeeweeException, apsw.Error) as error:
        if is_damage(error):
            raise CannotRun(
                f"La base de datos está dañada: {error}. Ponga en su lugar un respaldo de"
                f" {backup.folder(settings)}, que dice cómo apartarla: flask --app app restore"
                " ARCHIVO"
            ) from error
        beside = f" (SQLite también tiene que poder escribir en {path.parent})" if path else ""
        raise CannotRun(f"La base de datos no se puede leer: {error}{beside}") from error


def promises() -> list[Finding]:
    """The invariants alone, of whichever book is connected."""
    return [_kept(promise) for promise in PROMISES]


def unready() -> str:
    """What the book lacks before anything can be said of it, and how it gets that."""
    level = levels.level()
    if level.missing:
        return (
            f"Faltan migraciones ({', '.join(level.missing)}). Aplíquelas con: flask --app app db"
            " upgrade"
        )
    if Practice.get_or_none() is None:
        return "Todavía no hay un consultorio. Cárguelo con: flask --app app practice load ARCHIVO"
    return ""


def _writable() -> list[Finding]:
    """Whether a change could begin now; none does."""
    try:
        with transaction():
            refused = _pragma("transaction_read_only", ask="SHOW") if _on_postgresql() else "off"
        wrong = "" if refused == "off" else "el servidor solo deja leer"
    except (PeeweeException, apsw.Error) as error:
        wrong = str(error).strip()
    return [
        _line(
            "escritura",
            "El libro se puede escribir",
            f"El libro no se puede escribir: {wrong}" if wrong else "",
        )
    ]


def _on_postgresql() -> bool:
    return isinstance(database.obj, PostgresqlDatabase)


@contextmanager
def snapshot() -> Iterator[None]:
    """The book as it is at this moment, and no way to change it."""
    if _on_postgresql():
        with database.atomic():
            database.execute_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield
        return
    database.execute_sql("PRAGMA query_only = 1")
    try:
        with database.atomic("DEFERRED"):
            yield
    finally:
        database.execute_sql("PRAGMA query_only = 0")


def _kept(promise: Promise) -> Finding:
    found = promise.find()
    if not found:
        return Finding(promise.name, Verdict.FINE, promise.words)
    rows = [
        ", ".join(f"{label} {value}" for label, value in zip(promise.labels, row, strict=False))
        for row in found[:SHOWN]
    ]
    if len(found) > SHOWN:
        rows.append(f"y {len(found) - SHOWN} más")
    return Finding(promise.name, promise.otherwise, promise.words, tuple(rows))


def _line(check: str, words: str, wrong: str = "", *, bad: Verdict = Verdict.WRONG) -> Finding:
    """Fine, unless `wrong` says what is not."""
    return Finding(check, bad if wrong else Verdict.FINE, wrong or words)


# What the book stands on.


def _foundations(level: Level) -> Iterator[Finding]:
    yield _line(
        "migraciones",
        "La base de datos y el portal son de la misma versión",
        f"La base de datos es de una versión más nueva del portal ({', '.join(level.unknown)}):"
        " actualice el portal"
        if level.unknown
        else "",
    )
    yield from _postgresql() if _on_postgresql() else _sqlite()


def _sqlite() -> Iterator[Finding]:
    version = database.obj.server_version
    said = ".".join(map(str, version))
    yield _line(
        "versión",
        f"SQLite {said}",
        f"SQLite {said}: hace falta 3.51.3 o posterior" if version < SQLITE_FROM else "",
    )
    names = _names("SELECT lower(name) FROM sqlite_master WHERE type = 'trigger'")
    yield _guards(TRIGGERS - names)
    sure = (_pragma("journal_mode"), _pragma("synchronous")) == ("wal", "2")
    yield _durable("" if sure else "no se escribe con journal_mode=WAL y synchronous=FULL")


def _postgresql() -> Iterator[Finding]:
    ((number,),) = database.execute_sql("SHOW server_version_num").fetchall()
    yield _line(
        "versión",
        f"PostgreSQL {int(number) // 10000}",
        f"PostgreSQL {int(number) // 10000}: hace falta 14 o posterior"
        if int(number) < POSTGRESQL_FROM
        else "",
    )
    names = _names("SELECT tgname FROM pg_trigger WHERE tgenabled <> 'D'")
    excluded = _names(
        "SELECT conname FROM pg_constraint"
        " WHERE contype = 'x' AND conrelid = 'occupancy'::regclass AND convalidated"
    )
    wanted = {f"occupancy_overlap_{kind}" for kind in ("clinician", "room", "client")}
    keepers = {name for name in TRIGGERS if name.startswith("history")}
    yield _guards((wanted - excluded) | (keepers - names))
    loose = [name for name in ("fsync", "synchronous_commit") if _pragma(name, ask="SHOW") == "off"]
    yield _durable(f"está apagado {' y '.join(loose)}" if loose else "")


def _names(sql: str) -> set[str]:
    return {str(row[0]) for row in database.execute_sql(sql).fetchall()}


def _pragma(name: str, *, ask: str = "PRAGMA") -> str:
    return str(database.execute_sql(f"{ask} {name}").fetchone()[0])


def _guards(missing: set[str]) -> Finding:
    return _line(
        "guardas",
        "La base de datos impide traslapes y cambios a la historia",
        f"Faltan en la base de datos: {', '.join(sorted(missing))}" if missing else "",
    )


def _durable(loose: str) -> Finding:
    return _line(
        "I5",
        "Lo confirmado llega al disco antes de responder",
        f"Lo confirmado puede perderse en un corte: {loose}" if loose else "",
    )


# The day's work.


def _daily_work(now: datetime) -> Iterator[Finding]:
    yield _unsent(now)
    yield _given_up(now)
    leases = OutboxMessage.select(OutboxMessage.id).where(
        OutboxMessage.state == Delivery.WAITING,
        OutboxMessage.claimed_until > now + outbox.NO_LEASE,
    )
    stuck = tuple(f"mensaje {id_}" for (id_,) in tuples(leases.limit(SHOWN)))
    yield Finding(
        "I7",
        Verdict.WRONG if stuck else Verdict.FINE,
        "Ningún mensaje está apartado más tiempo del que tarda en salir",
        stuck,
    )
    waiting = Appointment.state.in_([State.REQUESTED, State.OFFERED])
    overdue = Appointment.select().where(waiting, Appointment.answer_by < now - LATE).count()
    yield _line(
        "plazos",
        "Los plazos se atienden a tiempo",
        f"{spanish.counted(overdue, 'plazo vencido', 'plazos vencidos')} sin atender:"
        " ¿está en marcha flask serve o flask worker?"
        if overdue
        else "",
    )
    yield _clock(now)


def _unsent(now: datetime) -> Finding:
    waiting = OutboxMessage.select().where(
        OutboxMessage.state == Delivery.WAITING, OutboxMessage.created_at < now - LATE,
        OutboxMessage.due_at < now + timedelta(hours=2),
    ).order_by(OutboxMessage.created_at)  # fmt: skip
    refused = OutboxMessage.get_or_none(
        OutboxMessage.state == Delivery.WAITING, OutboxMessage.error.startswith(RefusesUs.__name__)
    )
    if refused is not None:
        return _line(
            "correo",
            "",
            "El servidor de correo no acepta lo que envía el portal; revise APP_SMTP_URL y"
            f" APP_MAIL_FROM: {_no_address(refused.error)}",
        )
    oldest = waiting.first()
    if oldest is None:
        return _line("correo", "Ningún mensaje espera más de 15 minutos")
    minutes = int((now - oldest.created_at).total_seconds()) // 60
    why = f": {_no_address(oldest.error)}" if oldest.error else ""
    return Finding(
        "correo",
        Verdict.WRONG,
        f"{spanish.counted(waiting.count(), 'mensaje', 'mensajes')} sin salir; el más antiguo, hace"
        f" {spanish.counted(minutes, 'minuto', 'minutos')}{why}",
        tuple(f"mensaje {row.id}" for row in waiting.limit(SHOWN)),
    )


def _given_up(now: datetime) -> Finding:
    dead = OutboxMessage.select(OutboxMessage.id, OutboxMessage.error).where(
        OutboxMessage.state == Delivery.DEAD,
        OutboxMessage.error.not_in(list(Withdrawn)),
        OutboxMessage.created_at > now - timedelta(days=NEWS_DAYS),
    )
    reasons = Counter(_no_address(error) for _, error in tuples(dead))
    ids = ", ".join(str(id_) for id_, _ in tuples(dead.order_by(OutboxMessage.id.desc()))[:SHOWN])
    if not reasons:
        return _line("I7", f"Ningún mensaje quedó sin entregar en {NEWS_DAYS} días")
    return Finding(
        "I7",
        Verdict.REMARK,
        f"{spanish.counted(reasons.total(), 'mensaje sin entregar', 'mensajes sin entregar')}"
        f" en {NEWS_DAYS} días (los últimos: {ids})",
        tuple(f"{count}: {reason}" for reason, count in reasons.most_common(SHOWN)),
    )


def _no_address(reason: str) -> str:
    """A reason as it may be told: whose address it was is nobody's business here."""
    return ADDRESS.sub("…", reason)


def _clock(now: datetime) -> Finding:
    noted = (History.at, OutboxMessage.created_at, SignIn.created_at, OneTimeKey.used_at)
    latest = [tuples(column.model.select(fn.MAX(column)))[0][0] for column in noted]
    ahead = max((moment for moment in latest if moment), default=now) - now
    return _line(
        "reloj",
        "El reloj va por delante de todo lo anotado",
        f"El reloj va {spanish.span(ahead)} por detrás de lo último anotado: ¿se atrasó?"
        if ahead > SKEW
        else "",
    )


# What is around it.


def _surroundings(settings: Settings, now: datetime) -> Iterator[Finding]:
    yield _disk(settings)
    yield _private(settings)
    yield _secret(settings)
    changed = fingerprint.compare(settings)
    yield _line(
        "clave",
        "APP_SECRET_KEY es la del portal en marcha",
        "APP_SECRET_KEY no es la del portal en marcha: sesiones, códigos y enlaces enviados no"
        " valen con ella"
        if changed
        else "",
    )
    local = not settings.secure
    yield _line(
        "dirección",
        f"Los enlaces llevan a {settings.base_url}",
        f"Los enlaces llevan a {settings.base_url}, sin HTTPS" if local else "",
        bad=Verdict.REMARK if settings.demo else Verdict.WRONG,
    )
    unseen = settings.secure and not settings.trusted_proxies
    yield _line(
        "red",
        "Los límites cuentan por la dirección de red de quien pide",
        "Si delante hay un servidor que da HTTPS, diga APP_TRUSTED_PROXIES=1: sin eso no hay"
        " límites por dirección de red"
        if unseen
        else "",
        bad=Verdict.REMARK,
    )
    yield from _backup(settings, now)


def _disk(settings: Settings) -> Finding:
    place = next(p for p in (settings.data_dir, *settings.data_dir.parents) if p.exists())
    free = shutil.disk_usage(place).free
    words = f"{free // MEGABYTE} MB libres en {place}"
    path = settings.sqlite_path
    enough = max(DISK_ENOUGH, 3 * path.stat().st_size if path else 0)
    return _line(
        "disco",
        words,
        words if free < enough else "",
        bad=Verdict.WRONG if free < DISK_LEAST else Verdict.REMARK,
    )


def _private(settings: Settings) -> Finding:
    places = (settings.sqlite_path, settings.data_dir, backup.folder(settings))
    seen = [str(path) for path in places if path and private.is_open_to_others(path)]
    return _line(
        "permisos",
        "Solo su dueño puede leer lo que se guarda",
        f"Otros usuarios de la máquina pueden leer lo que se guarda: chmod go= {' '.join(seen)}"
        if seen
        else "",
        bad=Verdict.REMARK,
    )


def _secret(settings: Settings) -> Finding:
    secret = settings.secret_key
    weak = secret == DEVELOPMENT_SECRET or len(secret) < 32 or len(set(secret)) < 10
    return _line(
        "secreto",
        "APP_SECRET_KEY es larga y propia",
        "APP_SECRET_KEY es corta, repetitiva o la de la demostración" if weak else "",
        bad=Verdict.REMARK if settings.demo else Verdict.WRONG,
    )


def _backup(settings: Settings, now: datetime) -> Iterator[Finding]:
    # Where only pages are served nobody makes copies, and none that is missing is a fault.
    bad = Verdict.WRONG if backup.makes_copies(settings) else Verdict.REMARK
    if settings.on_postgresql:
        trouble = backup.trouble_with_tools()
        yield _line("I14", "pg_dump y pg_restore sirven para este servidor", trouble, bad=bad)
    newest = backup.newest(settings)
    if newest is None:
        yield _no_backup(settings, now)
        return
    day, path = newest
    try:
        contents = backup.contents_of(path)
    except (backup.BackupError, OSError) as error:
        yield _line("I14", "", f"El último respaldo no sirve: {error}", bad=bad)
        return
    age = (_day(now) - day).days
    held = spanish.counted(contents.appointments, "cita", "citas")
    words = f"El último respaldo es del {day}, con {held}, y se lee entero"
    late = bad if age > NIGHTS else Verdict.REMARK
    yield _line("I14", words, words if age > 1 else "", bad=late)


def _no_backup(settings: Settings, now: datetime) -> Finding:
    """A remark on a book's first nights; afterwards nobody has been making copies."""
    if not backup.makes_copies(settings):
        words = "Aquí no se hacen respaldos: mire flask doctor en una máquina con flask worker"
        return _line("I14", "", words, bad=Verdict.REMARK)
    words = f"Todavía no hay respaldos en {backup.folder(settings)}"
    began = tuples(History.select(fn.MIN(History.at)))[0][0]
    late = began is not None and (_day(now) - _day(began)).days > NIGHTS
    wrong = late and not settings.demo  # What is in the demo's book was made up.
    return _line("I14", "", words, bad=Verdict.WRONG if wrong else Verdict.REMARK)


def _day(moment: datetime) -> date:
    return moment.astimezone(ZoneInfo(Practice.get().zone)).date()


def worst(findings: list[Finding]) -> int:
    """The exit code: 1 when something is wrong."""
    return int(any(finding.verdict is Verdict.WRONG for finding in findings))
