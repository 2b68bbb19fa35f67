"""A practice described in one TOML file → rows, and back again.

The tables below say what the file may hold: a key, its column, how its value is written. One
reader judges a file by them, one writer prints the practice by them, and what a load changes is
the difference between two documents: what the file says and what the database says.
"""

import json
import re
import tomllib
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from zoneinfo import available_timezones

from babel.localedata import exists as locale_exists

from booking.db import BaseModel, transaction
from booking.models import (
    Account,
    Audience,
    ClientKind,
    Clinician,
    ClinicianService,
    Holiday,
    Hours,
    Location,
    MailLevel,
    Practice,
    Room,
    Service,
    Travel,
)

Problem: TypeAlias = tuple[str, str]
Row: TypeAlias = dict[str, Any]

VIDEO = "video"
WEEKDAYS = ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo")
DAY = 24 * 60


class PracticeFileError(Exception):
    """The file has mistakes and nothing of it was loaded; `problems` are (key, message)."""

    def __init__(self, name: str, problems: Iterable[Problem]) -> None:
        self.name, self.problems = name, list(problems)
        super().__init__("\n".join(f"{name}: {key}: {what}" for key, what in self.problems))


@dataclass(frozen=True, slots=True)
class Change:
    """What a load changed, in the file's words; no `field`: a whole row came (`after`) or went."""

    kind: str
    key: str
    field: str
    before: Any
    after: Any

    def __str__(self) -> str:
        subject = ".".join(filter(None, (self.kind, self.key, self.field)))
        if self.field:
            return f"{subject}: {_said(self.before)} → {_said(self.after)}"
        sign, row = ("+", self.after) if self.before is None else ("-", self.before)
        return f"{sign} {subject}: {row}"


def load(source: Path | str, *, now: datetime) -> list[Change]:
    """Make the practice what a file (or its text) says; loading it again changes nothing.

    Raises:
        PracticeFileError: the file has mistakes; all of them are named, and nothing is loaded.
    """
    document = _document(source)
    with transaction():
        before = _current()
        changes = list(_differences(FILE, before, document))
        if changes:
            _write(document, now=now)
    return changes


def show() -> str:
    """The practice as a file that loads again without a change."""
    return "\n".join(_printed(FILE, _current())).strip() + "\n"


# How values are written.


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of value: what a person should write, how to read it, how to write it again."""

    expected: str
    read: Callable[[Any], Any]
    write: Callable[[Any], Any] = lambda value: value


def _need(condition: object) -> None:
    if not condition:
        raise ValueError


def _text(limit: int = 255, *, lines: bool = False) -> Kind:
    def read(value: Any) -> str:
        text = str.strip(value)
        _need((text or lines) and len(text) <= limit)
        _need(
            not any(unicodedata.category(c) == "Cc" and not (lines and c in "\n\t") for c in text)
        )
        return text

    return Kind(f"un texto de hasta {limit} letras" + (" en una línea" if not lines else ""), read)


def _matching(pattern: str, expected: str) -> Kind:
    def read(value: Any) -> str:
        _need(re.fullmatch(pattern, value))
        return str(value)

    return Kind(expected, read)


def _integer(low: int, high: int) -> Kind:
    def read(value: Any) -> int:
        _need(type(value) is int and low <= value <= high)
        return int(value)

    return Kind(f"un número entero de {low} a {high}", read)


def _hours(low: int = 0, high: int = 24 * 365) -> Kind:
    def read(value: Any) -> int:
        _need(type(value) in (int, float) and low <= value <= high)
        minutes: int = round(value * 60)
        return minutes

    def write(minutes: int) -> int | float:
        return minutes / 60 if minutes % 60 else minutes // 60

    return Kind(f"un número de horas de {low} a {high}", read, write)


def _one_of(values: Mapping[str, Any]) -> Kind:
    """Words of the file for values of the database; accents and capitals do not matter."""
    plain = {_plain(name): value for name, value in values.items()}
    names = {value: name for name, value in values.items()}
    return Kind(
        "uno de estos valores: " + ", ".join(values),
        lambda value: plain[_plain(value)],
        lambda value: names[value],
    )


def _list_of(kind: Kind, *, at_least: int = 0) -> Kind:
    def read(value: Any) -> list[Any]:
        _need(isinstance(value, list) and len(value) >= at_least)
        items = [kind.read(item) for item in value]
        _need(len(set(items)) == len(items))
        return sorted(items)

    least = f" con al menos {at_least}" if at_least else ""
    return Kind(
        f"una lista [ … ]{least}, sin repetir, donde cada elemento es {kind.expected}",
        read,
        lambda values: [kind.write(value) for value in values],
    )


def _clock(latest: int, expected: str) -> Kind:
    """Wall time as minutes after midnight; later than 24:00 is the next day's morning."""

    def read(value: Any) -> int:
        if isinstance(value, time):
            _need(value == value.replace(second=0, microsecond=0))
            return value.hour * 60 + value.minute
        found = re.fullmatch(r"(\d{1,2}):([0-5]\d)", value)
        _need(found)
        assert found is not None
        minutes = int(found[1]) * 60 + int(found[2])
        _need(minutes <= latest)
        return minutes

    return Kind(expected, read, lambda minutes: f"{minutes // 60:02}:{minutes % 60:02}")


def _read_day(value: Any) -> date:
    if isinstance(value, str):
        return date.fromisoformat(value)
    _need(type(value) is date)
    assert isinstance(value, date)
    return value


def _read_region(value: Any) -> str:
    _need(re.fullmatch(r"es_([A-Z]{2}|419)", value) and locale_exists(value))
    return str(value)


def _read_bool(value: Any) -> bool:
    _need(isinstance(value, bool))
    return bool(value)


def _read_grid(value: Any) -> int:
    _need(type(value) is int and value in (5, 10, 15, 20, 30, 60))
    return int(value)


def _read_zone(value: Any) -> str:
    _need(value in _zones())
    return str(value)


def _plain(word: str) -> str:
    letters = unicodedata.normalize("NFD", word.strip().casefold())
    return "".join(c for c in letters if not unicodedata.combining(c))


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


TEXT, LONG_TEXT = _text(), _text(2000, lines=True)
NAME_KEY = _matching(r"[\w-]{1,40}", "una clave corta, sin espacios (letras, números, «-» y «_»)")
PHONE = _matching(r"\+?[\d ().-]{7,40}", "un número de teléfono, por ejemplo +52 55 5555 0100")
_MAILBOX = _matching(
    r"[^@\s<>,;\"]{1,64}@([^@\s<>,;\".]+\.)+[^@\s<>,;\".]{2,}",
    "un correo electrónico, por ejemplo nombre@ejemplo.mx",
)
EMAIL = Kind(_MAILBOX.expected, lambda value: _MAILBOX.read(value).lower())
WEB_ADDRESS = _matching(
    r"https://[^\s\"<>]{4,490}",
    "una dirección de internet, por ejemplo https://ejemplo.mx/privacidad",
)
BOOLEAN = Kind("true (sí) o false (no)", _read_bool)
DATE = Kind("una fecha que exista, año-mes-día, por ejemplo 2027-03-01", _read_day)
OPENING = _clock(DAY - 1, 'una hora de 00:00 a 23:59, por ejemplo "09:00"')
CLOSING = _clock(36 * 60, 'una hora, por ejemplo "14:00" ("24:00" es medianoche)')
ZONE = Kind("una zona horaria, por ejemplo America/Mexico_City", _read_zone)
REGION = Kind("una región como es_419, es_MX o es_ES", _read_region)
GRID = Kind("uno de estos números: 5, 10, 15, 20, 30, 60", _read_grid)
MINUTES = _integer(0, 240)
DAYS = _integer(0, 730)
AUDIENCE = _one_of(
    {"todos": Audience.EVERYONE, "nuevos": Audience.NEW, "existentes": Audience.EXISTING}
)
CLIENT_KIND = _one_of(
    {"adulto": ClientKind.ADULT, "menor": ClientKind.MINOR, "pareja": ClientKind.COUPLE}
)
MAIL_LEVEL = _one_of(
    {"minimo": MailLevel.MINIMAL, "estandar": MailLevel.STANDARD, "completo": MailLevel.FULL}
)
WEEKDAY = _one_of({name: number for number, name in enumerate(WEEKDAYS)})


# What no single value shows; values that could not be read are missing from their row.


def _reserved_place(office: Row) -> Iterator[Problem]:
    if office.get("clave") == VIDEO:
        yield "clave", "«video» está reservada para las videollamadas; se esperaba otra clave"


def _no_way(travel: Row) -> Iterator[Problem]:
    if "desde" in travel and travel["desde"] == travel.get("hasta"):
        yield "hasta", "se esperaba otra ubicación que la de «desde»"


def _no_way_to_meet(service: Row) -> Iterator[Problem]:
    if service.get("presencial") is False and service.get("video") is False:
        yield "presencial", "ni presencial ni video; se esperaba al menos uno"


def _impossible_hours(row: Row) -> Iterator[Problem]:
    opens, closes = row.get("abre"), row.get("cierra")
    if opens is not None and closes is not None and closes <= opens:
        yield (
            "cierra",
            f"se esperaba una hora posterior a la de abrir, {OPENING.write(opens)};"
            f" dice {CLOSING.write(closes)}",
        )
    if row.get("ubicacion") == VIDEO:
        if row.get("presencial"):
            yield "presencial", "por video no se atiende en persona; se esperaba false"
        if row.get("video") is False:
            yield "video", "la ubicación es «video»; se esperaba true"
    elif row.get("presencial") is False and row.get("video", True) in (None, False):
        yield "presencial", "ni presencial ni video; se esperaba al menos uno"


def _impossible_exception(row: Row) -> Iterator[Problem]:
    yield from _impossible_hours(row)
    hours = ("abre", "cierra", "ubicacion")
    if any(row.get(key) is not None for key in hours):
        for key in hours:
            if row.get(key, ...) is None:
                yield key, "falta; un día con horario lleva abre, cierra y ubicacion"
    if row.get("hasta") and "fecha" in row and not 0 <= (row["hasta"] - row["fecha"]).days <= 366:
        yield "hasta", "se esperaba una fecha dentro del año que sigue a «fecha»"


def _overlapping_hours(clinician: Row) -> Iterator[Problem]:
    """Nobody works in two places at once; hours past midnight count against the next day's."""
    weekly, dated = [], []
    for where, row in _each(clinician.get("horario", []), "horario"):
        for day in row.get("dias", []):
            weekly += [(at, row, where, WEEKDAYS[day]) for at in (day, day + 7)]
    for where, row in _each(clinician.get("excepciones", []), "excepciones"):
        if {"fecha", "hasta"} <= row.keys():
            dated += [(day.toordinal(), row, where, str(day)) for day in _days(row)]
    told: set[frozenset[str]] = set()
    for days in (weekly, dated):
        stretches = sorted(
            (at * DAY + (row["abre"] or 0), at * DAY + (row["cierra"] or DAY), where, day)
            for at, row, where, day in days
            if {"abre", "cierra"} <= row.keys()
        )
        busy_until, first = 0, ""
        for start, end, second, day in stretches:
            if start < busy_until and frozenset((first, second)) not in told:
                told.add(frozenset((first, second)))
                yield second, f"se encima con {first} ({day}); se esperaban horas distintas"
            if end > busy_until:
                busy_until, first = end, second


# What the file may hold.

REQUIRED = object()


@dataclass(frozen=True, slots=True)
class Field:
    """One key: its column (none: derived), its sort of value, what holds when it is left out."""

    column: str
    kind: Kind
    default: Any = REQUIRED


@dataclass(frozen=True, slots=True)
class Many:
    """A list of tables; `by`: the keys that tell a row from the others (none: all of them).

    `check` says what is wrong with one row, by key.
    """

    table: "Table"
    by: tuple[str, ...] = ("clave",)
    check: "Callable[[Row], Iterator[Problem]]" = lambda _row: iter(())


Table: TypeAlias = "Mapping[str, Field | Many | Table]"

PRACTICE: Table = {
    "nombre": Field("name", TEXT),
    "remitente": Field("sender_name", TEXT, None),  # The practice's name.
    "telefono": Field("phone", PHONE),
    "correo": Field("email", EMAIL),
    "zona": Field("zone", ZONE),
    "region": Field("region", REGION, "es_419"),
    "palabra_profesional": Field("clinician_word", _text(40), "médico"),
    "palabra_cliente": Field("client_word", _text(40), "cliente"),
    "etiquetas_en_ingles": Field("english_labels", BOOLEAN, True),
    "contenido_correos": Field("mail_level", MAIL_LEVEL, MailLevel.STANDARD),
    "aviso_de_privacidad": Field("privacy_url", WEB_ADDRESS, ""),
    "conservar_dias": Field("retention_days", _integer(30, 36_500), None),
    "cuadricula_minutos": Field("grid_minutes", GRID, 15),
    "anticipacion_horas": Field("notice_minutes", _hours(), 24 * 60),
    "horizonte_dias": Field("horizon_days", DAYS, 60),
    "cancelacion": {
        "en_linea": Field("", BOOLEAN, False),
        "horas": Field("cancel_notice_minutes", _hours(), None),
    },
    "reprogramacion": {"horas": Field("move_notice_minutes", _hours(), None)},
    "solicitudes": {
        "pendientes_por_cuenta": Field("max_pending", _integer(1, 50), 3),
        "responder_en_horas": Field("request_minutes", _hours(1), 72 * 60),
        "guardar_ofertas_horas": Field("offer_minutes", _hours(1), 48 * 60),
        "margen_horas": Field("answer_margin_minutes", _hours(), 2 * 60),
        "deshacer_segundos": Field("undo_seconds", _integer(0, 600), 30),
    },
    "recordatorio": {
        "activo": Field("", BOOLEAN, True),
        "horas": Field("reminder_minutes", _hours(1), 24 * 60),
    },
}
ROOM: Table = {
    "clave": Field("key", NAME_KEY),
    "nombre": Field("name", TEXT),
    "caracteristicas": Field("features", _list_of(NAME_KEY), []),
    "asientos": Field("seats", _integer(1, 100), 2),
    "minutos_entre_sesiones": Field("turnover_minutes", MINUTES, 0),
}
LOCATION: Table = {
    "clave": Field("key", NAME_KEY),
    "nombre": Field("name", TEXT),
    "direccion": Field("address", _text(500)),
    "mapa": Field("map_query", _text(500), None),  # The address.
    "indicaciones": Field("directions", LONG_TEXT, ""),
    "zona": Field("zone", ZONE, None),  # The practice's.
    "salas": Many(ROOM),
}
TRAVEL: Table = {
    "desde": Field("", NAME_KEY),
    "hasta": Field("", NAME_KEY),
    "minutos": Field("minutes", _integer(0, DAY)),
}
SERVICE: Table = {
    "clave": Field("key", NAME_KEY),
    "nombre": Field("name", TEXT),
    "descripcion": Field("description", LONG_TEXT, ""),
    "minutos": Field("minutes", _integer(1, 480)),
    "minutos_antes": Field("buffer_before", MINUTES, 0),
    "minutos_despues": Field("buffer_after", MINUTES, 0),
    "presencial": Field("in_person", BOOLEAN, True),
    "video": Field("video", BOOLEAN, False),
    "en_linea": Field("online", BOOLEAN, True),
    "para": Field("client_kinds", _list_of(CLIENT_KIND, at_least=1)),
    "clientes": Field("audience", AUDIENCE, Audience.EVERYONE),
    "sala": Field("room_features", _list_of(NAME_KEY), []),
    "asientos": Field("seats", _integer(1, 100), 2),
}
WEEKLY: Table = {
    "dias": Field("", _list_of(WEEKDAY, at_least=1)),
    "ubicacion": Field("", NAME_KEY),
    "abre": Field("opens", OPENING),
    "cierra": Field("closes", CLOSING),
    "presencial": Field("in_person", BOOLEAN, None),  # Yes, unless the place is «video».
    "video": Field("video", BOOLEAN, None),  # No, unless the place is «video».
}
EXCEPTION: Table = {
    "fecha": Field("day", DATE),
    "hasta": Field("", DATE, None),
    "motivo": Field("reason", _text(200), ""),
    **{
        key: Field(part.column, part.kind, None)
        for key, part in WEEKLY.items()
        if isinstance(part, Field) and key != "dias"
    },
}
CLINICIAN: Table = {
    "clave": Field("key", NAME_KEY),
    "nombre": Field("name", TEXT),
    "titulo": Field("title", _text(120), ""),
    "correo": Field("email", EMAIL),
    "servicios": Field("", _list_of(NAME_KEY)),
    "max_sesiones_dia": Field("max_sessions_day", _integer(1, 50), None),
    "anticipacion_horas": Field("notice_minutes", _hours(), None),
    "horizonte_dias": Field("horizon_days", DAYS, None),
    "horario": Many(WEEKLY, by=(), check=_impossible_hours),
    "excepciones": Many(EXCEPTION, by=(), check=_impossible_exception),
}
HOLIDAY: Table = {"fecha": Field("day", DATE), "nombre": Field("name", TEXT)}
ACCOUNT: Table = {
    "correo": Field("email", EMAIL),
    "nombre": Field("name", TEXT),
    "gestor": Field("manager", BOOLEAN, True),
}
FILE: Table = {
    "consultorio": PRACTICE,
    "ubicaciones": Many(LOCATION, check=_reserved_place),
    "traslados": Many(TRAVEL, by=("desde", "hasta"), check=_no_way),
    "servicios": Many(SERVICE, check=_no_way_to_meet),
    "profesionales": Many(CLINICIAN, check=_overlapping_hours),
    "feriados": Many(HOLIDAY, by=("fecha",)),
    "cuentas": Many(ACCOUNT, by=("correo",)),
}


# Reading: TOML → a document that has passed every check.


def _document(source: Path | str) -> Row:
    name = source.name if isinstance(source, Path) else "(texto)"
    try:
        text = source.read_bytes().decode("utf-8-sig") if isinstance(source, Path) else source
        raw = tomllib.loads(text + "\n")
    except UnicodeDecodeError:
        raise PracticeFileError(name, [("archivo", "debe guardarse en UTF-8")]) from None
    except OSError as error:
        unreadable = ("archivo", f"no se puede leer: {error.strerror}")
        raise PracticeFileError(name, [unreadable]) from None
    except tomllib.TOMLDecodeError as error:
        raise PracticeFileError(name, [_syntax(str(error), text)]) from None
    problems: list[Problem] = []
    document = _read(FILE, raw, "", problems)
    for check in CHECKS:
        problems += check(document)
    if problems:
        raise PracticeFileError(name, problems)
    return _canonical(document)


SYNTAX = {
    "Cannot overwrite": "esta clave ya está escrita en la misma tabla",
    "Cannot declare": "esta tabla [ … ] ya está escrita",
    "Expected '='": "después de la clave se esperaba «=» (las claves van sin acentos ni espacios)",
    "Expected newline": "sobra algo después del valor; ¿le faltan comillas?",
    "Invalid date": "la fecha o la hora no existe",
    "Invalid value": "el valor no se entiende; los textos van entre comillas",
    "Unclosed array": "falta cerrar una lista con «]»",
    "Unclosed inline table": "falta cerrar una tabla con «}»",
    "Unterminated string": "faltan las comillas que cierran un texto",
    "Illegal character": "faltan las comillas que cierran un texto, o hay un carácter no permitido",
}


def _syntax(error: str, text: str) -> Problem:
    found = re.search(r"line (\d+)", error)
    line = int(found[1]) if found else text.count("\n") + 1
    said = next((said for start, said in SYNTAX.items() if error.startswith(start)), None)
    return f"línea {line}", f"no es TOML válido: {said or error}"


def _read(table: Table, raw: Any, path: str, problems: list[Problem]) -> Row:
    """The values that are as they should be; the others become problems and stay out."""
    if not isinstance(raw, dict):
        problems.append((path, f"se esperaba una tabla; dice {_said(raw)}"))
        return {}
    problems += (
        (_join(path, key), "clave desconocida" + _nearest(key, table))
        for key in raw
        if key not in table
    )
    row: Row = {}
    for key, part in table.items():
        where = _join(path, key)
        if isinstance(part, Many):
            row[key] = _read_many(part, raw.get(key, []), where, problems)
        elif not isinstance(part, Field):
            row[key] = _read(part, raw.get(key, {}), where, problems)
        elif key in raw:
            try:
                row[key] = part.kind.read(raw[key])
            except (ValueError, TypeError, KeyError, AttributeError):
                near = _nearest(raw[key], _zones(), 0.8) if part.kind is ZONE else ""
                said = f"se esperaba {part.kind.expected}; dice {_said(raw[key])}{near}"
                problems.append((where, said))
        elif part.default is REQUIRED:
            problems.append((where, f"falta; se esperaba {part.kind.expected}"))
        else:
            row[key] = part.default
    return row


def _read_many(many: Many, raw: Any, path: str, problems: list[Problem]) -> list[Row]:
    if not isinstance(raw, list):
        problems.append((path, f"se esperaba una lista de tablas: [[{_bare(path)}]]"))
        return []
    rows = []
    for n, item in enumerate(raw):
        row = _read(many.table, item, f"{path}[{n}]", problems)
        problems += ((f"{path}[{n}].{key}", what) for key, what in many.check(row))
        rows.append(row)
    return rows


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _bare(path: str) -> str:
    return re.sub(r"\[\d+\]", "", path)


def _nearest(word: Any, known: Iterable[str], cutoff: float = 0.6) -> str:
    near = get_close_matches(word, list(known), 1, cutoff) if isinstance(word, str) else []
    return f"; ¿quiso decir «{near[0]}»?" if near else ""


def _said(value: Any) -> str:
    """A value as a sentence shows it."""
    match value:
        case None | "" | []:
            return "(nada)"
        case bool():
            return str(value).lower()
        case str():
            return f"«{value}»"
        case dict():
            return "una tabla"
        case list():
            return ", ".join(map(_said, value))
    return str(value)


# What no single row shows.


def _each(rows: list[Row], path: str) -> Iterator[tuple[str, Row]]:
    for n, row in enumerate(rows):
        yield f"{path}[{n}]", row


def _contradicting_cancellation(document: Row) -> Iterator[Problem]:
    rule = document["consultorio"].get("cancelacion", {})
    if {"en_linea", "horas"} <= rule.keys() and rule["en_linea"] != (rule["horas"] is not None):
        missing = "falta; se esperaba con cuántas horas de anticipación se puede cancelar"
        needless = "sobra, o falta en_linea = true"
        yield "consultorio.cancelacion.horas", missing if rule["en_linea"] else needless


def _repeated_rows(document: Row) -> Iterator[Problem]:
    seen: dict[tuple[str, ...], str] = {}

    def look(rows: list[Row], path: str, *keys: str) -> Iterator[Problem]:
        for where, row in _each(rows, path):
            if all(key in row for key in keys):
                values = [str(row[key]) for key in keys]
                first = seen.setdefault((_bare(path), *keys, *values), where)
                if first != where:
                    yield f"{where}.{keys[-1]}", f"«{' → '.join(values)}» ya está en {first}"

    for name, part in FILE.items():
        if isinstance(part, Many):
            yield from look(document[name], name, *part.by)
    for where, office in _each(document["ubicaciones"], "ubicaciones"):
        yield from look(office.get("salas", []), f"{where}.salas", "clave")
    yield from look(document["profesionales"], "profesionales", "correo")


def _unknown_names(document: Row) -> Iterator[Problem]:
    def known(where: str, name: str | None, names: set[str], what: str) -> Iterator[Problem]:
        if name is not None and name not in names:
            yield where, f"no existe {what} «{name}»{_nearest(name, names)}"

    offices, services = _keys(document["ubicaciones"]), _keys(document["servicios"])
    for where, row in _each(document["traslados"], "traslados"):
        for end in ("desde", "hasta"):
            yield from known(f"{where}.{end}", row.get(end), offices, "la ubicación")
    for where, clinician in _each(document["profesionales"], "profesionales"):
        for name in clinician.get("servicios", []):
            yield from known(f"{where}.servicios", name, services, "el servicio")
        for part in ("horario", "excepciones"):
            for at, row in _each(clinician.get(part, []), f"{where}.{part}"):
                place = row.get("ubicacion")
                yield from known(f"{at}.ubicacion", place, offices | {VIDEO}, "la ubicación")


def _keys(rows: list[Row]) -> set[str]:
    return {row["clave"] for row in rows if "clave" in row}


def _unusable_services(document: Row) -> Iterator[Problem]:
    rooms = [
        (office.get("clave"), room)
        for office in document["ubicaciones"]
        for room in office.get("salas", [])
    ]
    known_features = {f for _, room in rooms for f in room.get("caracteristicas", [])}
    for where, service in _each(document["servicios"], "servicios"):
        offering = [
            c for c in document["profesionales"] if service.get("clave") in c.get("servicios", [])
        ]
        if "clave" in service and not offering:
            yield f"{where}.clave", "nadie lo ofrece; se esperaba en los servicios de alguien"
        if not (service.get("presencial") and {"sala", "asientos"} <= service.keys()):
            continue
        suited = {
            place
            for place, room in rooms
            if set(service["sala"]) <= set(room.get("caracteristicas", service["sala"]))
            and service["asientos"] <= room.get("asientos", service["asientos"])
        }
        offered_at = {
            row.get("ubicacion")
            for clinician in offering
            for row in clinician.get("horario", [])
            if row.get("presencial") is not False
        } & {office.get("clave") for office in document["ubicaciones"]}
        needs = ", ".join([f"{service['asientos']} asientos", *service["sala"]])
        if not suited:
            unknown = next((f for f in service["sala"] if f not in known_features), None)
            yield (
                f"{where}.sala",
                f"ninguna sala tiene lo que pide: {needs}{_nearest(unknown, known_features)}",
            )
        elif offered_at and not offered_at & suited:
            places = ", ".join(sorted(filter(None, offered_at)))
            yield f"{where}.sala", f"se ofrece en {places}, sin sala que tenga lo que pide: {needs}"


CHECKS: tuple[Callable[[Row], Iterator[Problem]], ...] = (
    _contradicting_cancellation,
    _repeated_rows,
    _unknown_names,
    _unusable_services,
)


# One form for what can be said in several ways, so that documents can be compared.


def _canonical(document: Row) -> Row:
    practice = document["consultorio"]
    practice["remitente"] = practice["remitente"] or practice["nombre"]
    if not practice["recordatorio"]["activo"]:
        practice["recordatorio"]["horas"] = None
    for office in document["ubicaciones"]:
        office["mapa"] = office["mapa"] or office["direccion"]
        office["zona"] = office["zona"] or practice["zona"]
    for clinician in document["profesionales"]:
        clinician |= _schedule(_stretches(clinician))
    document["traslados"] = _travel_rows(_directed(document["traslados"]))
    document["feriados"].sort(key=lambda row: row["fecha"])
    document["cuentas"] = sorted(
        (row for row in document["cuentas"] if row["gestor"]), key=lambda row: row["correo"]
    )
    return document


class Stretch(NamedTuple):
    """A row of `Hours`, with the office's key."""

    weekday: int | None
    day: date | None
    location: str | None
    opens: int | None
    closes: int | None
    in_person: bool
    video: bool
    reason: str


def _days(exception: Row) -> Iterator[date]:
    last = exception["hasta"] or exception["fecha"]
    for n in range((last - exception["fecha"]).days + 1):
        yield exception["fecha"] + timedelta(days=n)


def _stretches(clinician: Row) -> Iterator[Stretch]:
    """Rows of the file, one for each day."""

    def stretch(row: Row, weekday: int | None, day: date | None) -> Stretch:
        remote = row["ubicacion"] == VIDEO
        return Stretch(
            weekday,
            day,
            None if remote else row["ubicacion"],
            row["abre"],
            row["cierra"],
            not remote and row["presencial"] is not False,
            remote or bool(row["video"]),
            row.get("motivo", ""),
        )

    for row in clinician["horario"]:
        yield from (stretch(row, weekday, None) for weekday in row["dias"])
    for row in clinician["excepciones"]:
        yield from (stretch(row, None, day) for day in _days(row))


def _schedule(stretches: Iterable[Stretch]) -> Row:
    """The other way round: weekdays with equal hours together, and days off in a row."""
    weekdays: defaultdict[tuple[tuple[str, Any], ...], list[int]] = defaultdict(list)
    exceptions: list[Row] = []
    for it in sorted(stretches, key=lambda s: (s.day or date.min, s.weekday or 0, s.opens or 0)):
        off = it.opens is None
        hours = {
            "ubicacion": None if off else it.location or VIDEO,
            "abre": it.opens,
            "cierra": it.closes,
            "presencial": None if off or it.in_person or it.location is None else False,
            "video": True if it.video and it.location is not None else None,
        }
        if it.day is None:
            assert it.weekday is not None
            weekdays[tuple(hours.items())].append(it.weekday)
        elif off and exceptions and _continues(exceptions[-1], it):
            exceptions[-1]["hasta"] = it.day
        else:
            exceptions.append({"fecha": it.day, "hasta": None, "motivo": it.reason, **hours})
    return {
        "horario": [{"dias": days, **dict(hours)} for hours, days in weekdays.items()],
        "excepciones": exceptions,
    }


def _continues(last: Row, off: Stretch) -> bool:
    """Whether a day off belongs to the holidays that ended the day before."""
    assert off.day is not None
    return (
        (last["abre"], last["motivo"]) == (None, off.reason)
        and off.day - (last["hasta"] or last["fecha"]) == timedelta(days=1)
        and (off.day - last["fecha"]).days <= 366
    )


def _directed(rows: list[Row]) -> dict[tuple[str, str], int]:
    """Travel times both ways; the way back takes as long unless the file says otherwise."""
    there = {(row["desde"], row["hasta"]): row["minutos"] for row in rows}
    return {(b, a): minutes for (a, b), minutes in there.items()} | there


def _travel_rows(directed: Mapping[tuple[str, str], int]) -> list[Row]:
    return [
        {"desde": a, "hasta": b, "minutos": minutes}
        for (a, b), minutes in sorted(directed.items())
        if a < b or directed.get((b, a)) != minutes
    ]


# What the database says, and what that changes.


def _current() -> Row:
    """The practice as a document; an empty one before the first load."""
    practice = Practice.get_or_none()
    if practice is None:
        return {name: [] for name in FILE} | {"consultorio": {}}
    head = _row(PRACTICE, practice)
    head["cancelacion"]["en_linea"] = practice.cancel_notice_minutes is not None
    head["recordatorio"]["activo"] = practice.reminder_minutes is not None
    offices = {office.id: office.key for office in _active(Location)}
    rooms: defaultdict[int, list[Row]] = defaultdict(list)
    for room in _active(Room):
        rooms[room.location_id].append(_row(ROOM, room))
    services: defaultdict[int, list[str]] = defaultdict(list)
    offers = ClinicianService.select(ClinicianService, Service).join(Service)
    for offer in offers.order_by(ClinicianService.id):
        services[offer.clinician_id].append(offer.service.key)
    hours: defaultdict[int, list[Stretch]] = defaultdict(list)
    for row in Hours.select().order_by(Hours.id):
        columns = {name: getattr(row, name) for name in Stretch._fields}
        columns["location"] = offices.get(row.location_id or 0)
        hours[row.clinician_id].append(Stretch(**columns))
    return {
        "consultorio": head,
        "ubicaciones": [
            _row(LOCATION, office) | {"salas": rooms[office.id]} for office in _active(Location)
        ],
        "traslados": _travel_rows(
            {(offices[t.origin_id], offices[t.destination_id]): t.minutes for t in Travel.select()}
        ),
        "servicios": [_row(SERVICE, service) for service in _active(Service)],
        "profesionales": [
            _row(CLINICIAN, clinician)
            | {"servicios": sorted(services[clinician.id])}
            | _schedule(hours[clinician.id])
            for clinician in _active(Clinician)
        ],
        "feriados": [_row(HOLIDAY, row) for row in Holiday.select().order_by(Holiday.day)],
        "cuentas": [
            _row(ACCOUNT, row)
            for row in Account.select().where(Account.manager).order_by(Account.email)
        ],
    }


def _active(model: Any) -> Any:
    return model.select().where(model.active).order_by(model.position, model.id)


def _row(table: Table, row: BaseModel) -> Row:
    return {
        key: getattr(row, part.column) if isinstance(part, Field) else _row(part, row)
        for key, part in table.items()
        if not isinstance(part, Many) and not (isinstance(part, Field) and not part.column)
    }


def _columns(table: Table, row: Row) -> Row:
    """The other way round: columns and what goes into them."""
    columns: Row = {}
    for key, part in table.items():
        if isinstance(part, Field) and part.column:
            columns[part.column] = row[key]
        elif not isinstance(part, Field | Many):
            columns |= _columns(part, row[key])
    return columns


def _differences(
    table: Table, before: Row, after: Row, kind: str = "", key: str = "", prefix: str = ""
) -> Iterator[Change]:
    for name, part in table.items():
        if isinstance(part, Field):
            old, new = before.get(name), after.get(name)
            if old != new:
                yield Change(kind, key, prefix + name, _written(part, old), _written(part, new))
        elif isinstance(part, Many):
            yield from _row_differences(
                part, before.get(name, []), after.get(name, []), _join(kind, name), key
            )
        elif kind:
            yield from _differences(part, before[name], after[name], kind, key, f"{prefix}{name}.")
        elif before[name]:
            yield from _differences(part, before[name], after[name], name)
        else:
            yield Change(name, "", "", None, after[name]["nombre"])


def _row_differences(
    many: Many, before: list[Row], after: list[Row], kind: str, owner: str
) -> Iterator[Change]:
    def keyed(rows: list[Row]) -> dict[str, Row]:
        return {
            " → ".join(str(row[key]) for key in many.by) or _inline(many.table, row): row
            for row in rows
        }

    def gone_or_come(name: str, row: Row) -> tuple[str, str]:
        return (name, row.get("nombre", _inline(many.table, row))) if many.by else (owner, name)

    old, new = keyed(before), keyed(after)
    for name, row in old.items():
        if name not in new:
            key, said = gone_or_come(name, row)
            yield Change(kind, key, "", said, None)
    for name, row in new.items():
        if name not in old:
            key, said = gone_or_come(name, row)
            yield Change(kind, key, "", None, said)
        elif many.by:
            yield from _differences(many.table, old[name], row, kind, name)
    if many.by:
        stayed_before, stayed_after = [n for n in old if n in new], [n for n in new if n in old]
        if stayed_before != stayed_after:
            yield Change(kind, owner, "orden", stayed_before, stayed_after)


# Writing rows.


def _write(document: Row, *, now: datetime) -> None:
    """Rows that have a key stay, since appointments name them; the others are replaced."""
    head = document["consultorio"]
    practice = Practice.get_or_none()
    columns = _columns(PRACTICE, head)
    if practice is None:
        Practice.create(**columns)
    else:
        Practice.update(**columns, revision=Practice.revision + 1).execute()
    offices = _keep(Location, LOCATION, document["ubicaciones"])
    rooms = [
        room | {"location": offices[office["clave"]]}
        for office in document["ubicaciones"]
        for room in office["salas"]
    ]
    _keep(Room, ROOM, rooms, "location")
    services = _keep(Service, SERVICE, document["servicios"])
    clinicians = _keep(Clinician, CLINICIAN, document["profesionales"])
    _replace(
        Travel,
        (
            {"origin": offices[a], "destination": offices[b], "minutes": minutes}
            for (a, b), minutes in _directed(document["traslados"]).items()
        ),
    )
    _replace(
        ClinicianService,
        (
            {"clinician": clinicians[row["clave"]], "service": services[name]}
            for row in document["profesionales"]
            for name in row["servicios"]
        ),
    )
    _replace(
        Hours,
        (
            stretch._asdict()
            | {
                "clinician": clinicians[row["clave"]],
                "location": offices.get(stretch.location or ""),
            }
            for row in document["profesionales"]
            for stretch in _stretches(row)
        ),
    )
    _replace(Holiday, (_columns(HOLIDAY, row) for row in document["feriados"]))
    _write_accounts(document, clinicians, now=now)


def _keep(model: Any, table: Table, rows: list[Row], *more: str) -> dict[str, int]:
    """Update or create rows by key, in the file's order; ids by key."""
    ids: dict[str, int] = {}
    for position, row in enumerate(rows):
        columns = _columns(table, row) | {name: row[name] for name in more}
        columns |= {"position": position, "active": True}
        if not model.update(columns).where(model.key == row["clave"]).execute():
            model.create(**columns)
        ids[row["clave"]] = model.get(model.key == row["clave"]).id
    model.update(active=False).where(model.key.not_in(list(ids))).execute()
    return ids


def _replace(model: Any, rows: Iterable[Row]) -> None:
    model.delete().execute()
    found = list(rows)
    if found:
        model.insert_many(found).execute()


def _write_accounts(document: Row, clinicians: Mapping[str, int], *, now: datetime) -> None:
    """Roles belong to addresses: who left the file keeps an account without them."""
    Account.update(manager=False).where(Account.manager).execute()
    Account.update(clinician=None).where(Account.clinician.is_null(False)).execute()
    roles: defaultdict[str, Row] = defaultdict(dict)
    for row in document["profesionales"]:
        roles[row["correo"]] |= {"name": row["nombre"], "clinician": clinicians[row["clave"]]}
    for row in document["cuentas"]:
        roles[row["correo"]] |= {"name": row["nombre"], "manager": True}
    for email, columns in roles.items():
        if not Account.update(columns).where(Account.email == email).execute():
            Account.create(email=email, created_at=now, **columns)


# Printing.


def _printed(table: Table, row: Row, path: str = "") -> Iterator[str]:
    """A table's own keys first, then its tables, then its lists of tables: as TOML wants them."""
    for key, part in table.items():
        if isinstance(part, Field) and not _left_out(part, row.get(key)):
            yield f"{key} = {_toml(_written(part, row[key]))}"
        elif isinstance(part, Many) and not part.by and row[key]:
            yield f"{key} = ["
            yield from (f"  {_inline(part.table, item)}," for item in row[key])
            yield "]"
    for key, part in table.items():
        where = _join(path, key)
        if isinstance(part, Many) and part.by:
            for item in row[key]:
                yield from ("", f"[[{where}]]", *_printed(part.table, item, where))
        elif not isinstance(part, Field | Many):
            lines = list(_printed(part, row[key], where))
            yield from ("", f"[{where}]", *lines) if lines else ()


def _inline(table: Table, row: Row) -> str:
    parts = (
        f"{key} = {_toml(_written(part, row[key]))}"
        for key, part in table.items()
        if isinstance(part, Field) and not _left_out(part, row[key])
    )
    return f"{{ {', '.join(parts)} }}"


def _left_out(part: Field, value: Any) -> bool:
    return value is None or value == part.default


def _written(part: Field, value: Any) -> Any:
    return None if value is None else part.kind.write(value)


def _toml(value: Any) -> str:
    match value:
        case date():
            return value.isoformat()
        case list():
            return f"[{', '.join(map(_toml, value))}]"
    # JSON escapes what TOML does, but for one character that a text may hold.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
