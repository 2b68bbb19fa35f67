"""What questions and pages cost as the book grows: `python3 dev.py bench server [--quick]`.

Ten clinicians and ten rooms, two of them with toys, Monday to Friday from 9 to 17, starts each half
hour: 2,000 appointments are eight weeks to come, 20,000 and 200,000 have a past. The number of
queries is exact; times are compared within one run only, so the books take turns.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from flask import Flask
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder, run_wsgi_app

from app import create_app
from booking import (
    alternatives,
    availability,
    db,
    free_times,
    gateway,
    history,
    practice_file,
    solving,
)
from booking.availability import Wish, plan
from booking.clock import SettableClock
from booking.lifecycle import State
from booking.mailer import MemoryMailer
from booking.models import (
    Access,
    Account,
    Appointment,
    BlockedTime,
    Client,
    Modality,
    Occupancy,
    OfferedSlot,
    OfferState,
    Relation,
    Resource,
    folded,
)
from booking.models import History as Change
from booking.operations import signing_in
from booking.operations.signing_in import Browser
from booking.queries import portal, staff
from booking.settings import Environment, Settings

ROOT = Path(__file__).parent.parent
ZONE = ZoneInfo("America/Mexico_City")
NOW = datetime(2027, 3, 1, 8, 0, tzinfo=ZONE).astimezone(UTC)  # A Monday.
SIZES = (2_000, 20_000, 200_000)
QUICK = (2_000, 20_000)
CLINICIANS = 10
A_WEEK = 250  # Appointments.
SERVICES = {"individual": 50, "infantil": 45}
AFTER = 10

PRACTICE = (
    """
    [consultorio]
    nombre = "Consultorio de medida"
    remitente = "Consultorio de medida"
    telefono = "+52 55 5555 0100"
    correo = "citas@medida.example"
    zona = "America/Mexico_City"
    palabra_profesional = "profesional"
    cuadricula_minutos = 30

    [[ubicaciones]]
    clave = "centro"
    nombre = "Consultorio Centro"
    direccion = "Calle de la Palma 10, Centro, Ciudad de México"
    mapa = "Calle de la Palma 10, Ciudad de México"
    """
    + "".join(
        f"""
        [[ubicaciones.salas]]
        clave = "c{n}"
        nombre = "Sala {n}"
        caracteristicas = {'["sala_de_juegos"]' if n > 8 else "[]"}
        """
        for n in range(1, 11)
    )
    + "".join(
        f"""
        [[servicios]]
        clave = "{key}"
        nombre = "Sesión {key}"
        minutos = {minutes}
        minutos_despues = {AFTER}
        presencial = true
        video = true
        para = ["{who}"]
        sala = {room}
        """
        for (key, minutes), who, room in zip(
            SERVICES.items(), ("adulto", "menor"), ("[]", '["sala_de_juegos"]'), strict=True
        )
    )
    + "".join(
        f"""
        [[profesionales]]
        clave = "p{n}"
        nombre = "Profesional {n}"
        correo = "p{n}@medida.example"
        servicios = ["individual", "infantil"]

        [[profesionales.horario]]
        dias = ["lunes", "martes", "miércoles", "jueves", "viernes"]
        ubicacion = "centro"
        abre = "09:00"
        cierra = "17:00"
        presencial = true
        video = true
        """
        for n in range(1, CLINICIANS + 1)
    )
)


class Session(NamedTuple):
    """A session of the book that is made."""

    service: str
    clinician: int
    room: int
    start: int  # Seconds, as the book keeps them.

    @property
    def end(self) -> int:
        return self.start + 60 * SERVICES[self.service]


def calendar(size: int, chance: Random) -> Iterator[Session]:
    """Sessions that collide with no other, from eight weeks ahead on into the past."""
    the = plan()
    rooms = {s: [int(r) for r in the.rooms_for(_service(s), 1)] for s in SERVICES}
    monday = NOW.astimezone(ZONE).date() + timedelta(weeks=8)
    made = 0
    while made < size:
        monday -= timedelta(weeks=1)
        week = [
            session
            for n in range(5)
            for session in _sessions(monday + timedelta(days=n), rooms, chance)
        ]
        yield from week[: size - made]
        made += len(week)


def _sessions(day: date, rooms: dict[str, list[int]], chance: Random) -> Iterator[Session]:
    opens = int(datetime(day.year, day.month, day.day, 9, tzinfo=ZONE).timestamp())
    busy_until: dict[int, list[tuple[int, int]]] = {room: [] for room in rooms["individual"]}
    made = 0
    for clinician in chance.sample(range(1, CLINICIANS + 1), CLINICIANS):
        taken: list[int] = []
        for slot in chance.sample(range(15), 15):
            if len(taken) == A_WEEK // 5 // CLINICIANS:
                break
            if any(abs(slot - other) < 2 for other in taken):
                continue
            service = "infantil" if chance.random() < 0.15 else "individual"
            start = opens + slot * 1800
            end = start + 60 * SERVICES[service]
            room = next(
                (
                    room
                    for room in rooms[service]
                    if all(b <= start or end <= a for a, b in busy_until[room])
                ),
                None,
            )
            if room is not None:
                busy_until[room].append((start, end))
                taken.append(slot)
                made += 1
                yield Session(service, clinician, room, start)


def _service(key: str) -> int:
    found = plan().service_by_key(key)
    assert found is not None
    return int(found.id)


def fill(size: int) -> None:
    """The book: guards and hash chains hold, messages have been sent and cleared away."""
    chance = Random(size)
    made = int(NOW.timestamp()) - 900 * 7 * 86400
    now = int(NOW.timestamp())
    people = size // 10
    names = ("Ana Ruiz Peña", "Íñigo Núñez Ávila", "José María Ibáñez", "Zoë Muñoz Gil")
    accounts = [
        {"email": f"c{n}@medida.example", "name": f"{names[n % 4]} {n}", "created_at": made}
        for n in range(people)
    ]
    before = Account.select().count()
    _insert(Account, accounts)
    _insert(
        Client,
        [
            {
                "name": a["name"],
                "folded": folded(str(a["name"])),
                "email": a["email"],
                "phone": f"+52 55 {n:08}",
                "created_at": made,
                "known_since": made,
                "clinician_id": n % CLINICIANS + 1,
            }
            for n, a in enumerate(accounts)
        ],
    )
    _insert(
        Access,
        [
            {"account_id": before + n, "client_id": n, "relation": Relation.SELF.value}
            for n in range(1, people + 1)
        ],
    )
    rows: list[dict[str, Any]] = []
    offers: list[dict[str, Any]] = []
    changes: list[dict[str, Any]] = []
    taken: list[dict[str, Any]] = []
    services = {key: _service(key) for key in SERVICES}
    in_turn = chance.sample(range(1, people + 1), people)
    for id_, session in enumerate(calendar(size, chance), 1):
        client = in_turn[id_ % people]
        state = _state(session.start > now, chance)
        place = {
            "clinician_id": session.clinician,
            "location_id": 1,
            "clinician_location_id": 1,
            "room_id": session.room,
            "modality": Modality.IN_PERSON.value,
            "starts_at": session.start,
            "ends_at": session.end,
        }
        asked = min(session.start - 9 * 86400, now - 3600)
        rows.append(
            place
            | {
                "chain": id_,
                "account_id": before + client,
                "client_id": client,
                "service_id": services[session.service],
                "asked_starts_at": session.start,
                "buffer_before": 0,
                "buffer_after": AFTER,
                "state": state.value,
                "asked_at": asked,
                "wish": "{}",
                "answer_by": now + 86400 if state in (State.REQUESTED, State.OFFERED) else None,
            }
        )
        change = {
            "appointment_id": id_, "version": 1, "event": "ask", "before": "",
            "after": state.value, "actor": "client", "account_id": before + client,
            "at": asked, "starts_at": session.start, "detail": {},
        }  # fmt: skip
        changes.append(change | {"digest": history.digest("", change), "detail": "{}"})
        if state is State.OFFERED:
            offers.append(
                place
                | {
                    "appointment_id": id_,
                    "rank": 1,
                    "held_until": now + 86400,
                    "state": OfferState.HELD.value,
                }
            )
        if state in (State.REQUESTED, State.CONFIRMED, State.OFFERED):
            for resource, which, end in (
                (Resource.CLINICIAN, session.clinician, session.end + 60 * AFTER),
                (Resource.ROOM, session.room, session.end),
                (Resource.CLIENT, client, session.end),
            ):
                taken.append(
                    {
                        "resource": resource.value,
                        "resource_id": which,
                        "chain": id_,
                        "busy_from": session.start,
                        "busy_until": end,
                    }
                )
    _insert(Appointment, rows)
    _insert(OfferedSlot, offers)
    _insert(Change, changes)
    _insert(Occupancy, sorted(taken, key=lambda row: row["busy_from"]))
    _insert(
        BlockedTime,
        [
            {
                "clinician_id": n % CLINICIANS + 1,
                "starts_at": now + (n * 3 + 1) * 86400,
                "ends_at": now + (n * 3 + 1) * 86400 + 3 * 3600,
                "created_at": made,
            }
            for n in range(-size // 500, 20)
        ],
    )
    db.database.execute_sql("ANALYZE")


def _state(ahead: bool, chance: Random) -> State:
    dice = chance.random()
    if ahead:
        return State.CONFIRMED if dice < 0.9 else State.REQUESTED if dice < 0.98 else State.OFFERED
    return (
        State.ATTENDED if dice < 0.8
        else State.CONFIRMED if dice < 0.9  # Nobody noted who came.
        else State.DENIED if dice < 0.95
        else State.CANCELLED_BY_CLIENT
    )  # fmt: skip


def _insert(model: Any, rows: list[dict[str, Any]]) -> None:
    """With the columns' defaults, as `insert_many` would, but for thousands of rows a blink."""
    if not rows:
        return
    fields = [f for f in model._meta.sorted_fields if f.name != "id"]
    defaults = {
        f.column_name: f.db_value(f.default() if callable(f.default) else f.default)
        for f in fields
        if f.default is not None
    }
    names = [f.column_name for f in fields]
    sql = (
        f"INSERT INTO {model._meta.table_name} ({', '.join(names)})"
        f" VALUES ({', '.join('?' * len(names))})"
    )
    with db.transaction():
        db.database.connection().cursor().executemany(
            sql, ([(defaults | row).get(name) for name in names] for row in rows)
        )


@contextmanager
def counted() -> Iterator[list[str]]:
    """Every statement that is executed in the block."""
    statements: list[str] = []
    handle = db.database.obj
    real = handle.execute_sql

    def execute(sql: str, *arguments: object, **options: object) -> object:
        statements.append(sql)
        return real(sql, *arguments, **options)

    handle.execute_sql = execute
    try:
        yield statements
    finally:
        del handle.execute_sql


class Book:
    """A book of one size, and what is asked of it."""

    def __init__(self, size: int, folder: str, app: Flask | None, *, solver: bool) -> None:
        self.settings = Settings(
            environment=Environment.DEMO,
            data_dir=Path(folder),
            database_url=f"sqlite:///{folder}/{size}.db",
            secret_key="bench-" * 8,
            base_url="http://localhost",
        )
        self.app = app or create_app(self.settings, clock=SettableClock(NOW), mailer=MemoryMailer())
        self.open()
        db.migrate()
        practice_file.load(PRACTICE, now=NOW)
        started = time.perf_counter()
        fill(size)
        print(f"{size:>8} appointments in {time.perf_counter() - started:.0f} s", file=sys.stderr)
        self.asks = {**_questions(), **self._pages(solver=solver)}

    def open(self) -> None:
        db.connect(self.settings)

    def close(self) -> None:
        db.database.close()

    def _pages(self, *, solver: bool) -> dict[str, Callable[[], object]]:
        account = (
            Account.select()
            .join(Access)
            .join(Client)
            .join(Appointment)
            .where(Appointment.starts_at > NOW, Appointment.state == State.CONFIRMED)
            .order_by(Appointment.id)
            .first()
        )
        clinician = Account.get(Account.email == "p1@medida.example")
        pending = (
            Appointment.select()
            .where(Appointment.state == State.REQUESTED, Appointment.clinician == 1)
            .order_by(Appointment.starts_at)
            .first()
        )
        own = Appointment.select().where(Appointment.account == account).first()
        slot = "/citas/nueva/horario?servicio=individual&consultorio=centro&profesional="
        request = f"/solicitudes/{pending.id}"
        client, staff = self._signed_in(account), self._signed_in(clinician)
        pages = {
            "page: day and time, one clinician": self._page(slot + "p1", client),
            "page: day and time, any of 10": self._page(slot + "cualquiera", client),
            "page: the client's list": self._page("/citas", client),
            "page: one appointment": self._page(f"/citas/{own.id}", client),
            "page: past appointments": self._page("/citas?pasadas=1", client),
            "page: service": self._page("/citas/nueva/servicio", client),
            "page: the clinician's inbox": self._page("/solicitudes", staff),
            "page: one request": self._page(request, staff),
            "page: the week": self._page("/agenda", staff),
            "page: what is offered on a day": self._page("/agenda/horas?hora=10:00", staff),
            "page: clients": self._page("/clientes", staff),
            "page: clients, searched": self._page("/clientes?q=nunez", staff),
        }
        if not solver:
            return pages
        return pages | {
            "page: the denial, five proposals": self._page(f"{request}/denegar", staff),
            "fragment: a tap on «por videollamada»": self._page(
                f"{request}/denegar?visto=1&mejores=&hacer=buscar&video=1", staff,
                {"HX-Request": "true", "HX-Target": "search"},
            ),
            "denial → proposals, warm": lambda: alternatives.propose(
                pending, alternatives.Search(), now=NOW
            ),
        }  # fmt: skip

    def _signed_in(self, account: Account) -> str:
        browser = self.app.test_client()
        token = signing_in.open_session(account, Browser(), now=NOW, one_tap=True).token
        with browser.session_transaction() as cookie:
            cookie["_user_id"] = token
        found = browser.get_cookie("citas")
        assert found is not None
        return f"citas={found.value}"

    def _page(
        self, path: str, cookie: str, headers: dict[str, str] | None = None
    ) -> Callable[[], object]:
        """The request as a server hands it over: what a test's browser costs is not counted."""
        sent = {"Cookie": cookie, "Accept-Encoding": "br, gzip", **(headers or {})}
        environ = EnvironBuilder(path, headers=Headers(sent)).get_environ()

        def ask() -> bytes:
            answer, status, _ = run_wsgi_app(self.app.wsgi_app, environ | {"wsgi.input": BytesIO()})
            assert status.startswith("200"), (path, status)
            return b"".join(answer)

        return ask


def _questions() -> dict[str, Callable[[], object]]:
    """Whom they are for is not asked: people are checked when they have chosen."""
    the = plan()

    def free(
        clinicians: int, days: int, *, service: str = "individual", video: bool = False
    ) -> Callable[[], object]:
        wish = Wish(
            service_id=_service(service),
            modality=Modality.VIDEO if video else Modality.IN_PERSON,
            location_id=None if video else 1,
            clinician_ids=tuple(the.clinicians)[:clinicians],
        )
        since = availability.wall(NOW.astimezone(ZONE).date() + timedelta(days=7), 0, ZONE)
        until = since + timedelta(days=days)
        return lambda: free_times.free_starts(wish, since=since, until=until, now=NOW)

    account = Account.select().join(Access).order_by(Account.id).first()
    actor = gateway.staff(Account.get(Account.email == "p1@medida.example"))
    return {
        "a day, one clinician": free(1, 1),
        "a month, one clinician": free(1, 31),
        "a month, one clinician, by video": free(1, 31, video=True),
        "a month, any of 10": free(CLINICIANS, 31),
        "a month, any of 10, two rooms that suit": free(CLINICIANS, 31, service="infantil"),
        "the client's list": lambda: portal.appointments(account, now=NOW),
        "the clinician's inbox": lambda: staff.pending(actor, clinician=None, now=NOW),
    }


class Cost(NamedTuple):
    """What one ask costs; milliseconds, but for the queries."""

    queries: int
    p50: float
    p95: float
    cpu: float


def measure(books: dict[int, Book], rounds: int, times: int) -> dict[str, dict[int, Cost]]:
    seen: dict[tuple[str, int], list[tuple[float, float]]] = {}
    queries: dict[tuple[str, int], int] = {}
    for _ in range(rounds):
        for size, book in books.items():
            book.open()
            for name, ask in book.asks.items():
                ask()
                with counted() as statements:
                    ask()
                queries[name, size] = len(statements)
                for _ in range(times):
                    wall, cpu = time.perf_counter(), time.process_time()
                    ask()
                    seen.setdefault((name, size), []).append(
                        (time.perf_counter() - wall, time.process_time() - cpu)
                    )
            book.close()
    return {
        name: {
            size: Cost(
                queries[name, size],
                *(round(1000 * value, 2) for value in _summary(seen[name, size])),
            )
            for size in books
        }
        for name in next(iter(books.values())).asks
    }


def _summary(times: list[tuple[float, float]]) -> tuple[float, float, float]:
    walls, cpus = zip(*times, strict=True)
    return statistics.median(walls), sorted(walls)[int(0.95 * len(walls))], statistics.median(cpus)


def a_million_sums() -> float:
    """What the machine is worth at this moment: milliseconds for a loop of plain Python."""
    started, total = time.process_time(), 0
    for n in range(1_000_000):
        total += n * n
    return 1000 * (time.process_time() - started)


def main() -> None:
    quick = "--quick" in sys.argv[1:]
    sizes = QUICK if quick else SIZES
    with tempfile.TemporaryDirectory() as folder:
        if not quick:
            solving.warm_up()
        books: dict[int, Book] = {}
        for size in sizes:
            first = next(iter(books.values()), None)
            books[size] = Book(size, folder, first.app if first else None, solver=not quick)
            books[size].close()
        report = measure(books, *((2, 8) if quick else (5, 20)))
        solving.close()
    print(f"{'milliseconds':<40}" + "".join(f"{size:>20,} q  p50  p95  cpu" for size in sizes))
    for name, costs in report.items():
        cells = [f"{c.queries:>12}{c.p50:>8}{c.p95:>8}{c.cpu:>8}" for c in costs.values()]
        growth = costs[sizes[-1]].cpu / costs[sizes[0]].cpu
        print(f"{name:<40}" + "".join(cells) + f"{growth:>8.2f} ×")
    for name in ("page: day and time, one clinician", "page: day and time, any of 10"):
        print(f"{name}: {1000 / report[name][sizes[-1]].cpu:.0f} requests a second and core")
    print(f"a million sums in Python: {a_million_sums():.0f} ms")
    told = {name: {size: c._asdict() for size, c in row.items()} for name, row in report.items()}
    (ROOT / "bench" / "server.json").write_text(json.dumps(told, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
