"""SQL statements and milliseconds of each page as the book grows: `python3 dev.py bench pages`.

The number of statements is exact and must not grow; times are only compared within one run.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from flask.testing import FlaskClient

from app import create_app
from booking import alternatives, db, demo, practice_file, solving
from booking.clock import SettableClock
from booking.mailer import MemoryMailer
from booking.models import Account, Appointment
from booking.operations import signing_in
from booking.operations.signing_in import Browser
from booking.settings import Environment, Settings

ROOT = Path(__file__).parent.parent
NOW = datetime(2027, 3, 1, 15, 0, tzinfo=UTC)
WEEK = 7 * 24 * 3600
SIZES = (200, 2_000, 20_000)
TIMES = 15
SLOT = "/citas/nueva/horario?servicio=individual&consultorio=roma&profesional="
# What a control of the denial sends when it is tapped.
TAP = "?visto=1&mejores=&hacer=buscar&video=1"
FRAGMENT = {"HX-Request": "true", "HX-Target": "search"}


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


def grow(size: int) -> None:
    """Copy the book into the past, ten weeks at a time, until it has `size` appointments."""
    connection = db.database.obj
    columns = [f.column_name for f in Appointment._meta.sorted_fields if f.name != "id"]
    shifted = {"starts_at", "ends_at", "asked_starts_at", "asked_at"}
    own = Appointment.select().count()
    copies = 0
    while Appointment.select().count() < size:
        copies += 1
        back = copies * 10 * WEEK
        select = ", ".join(
            f"{c} - {back}" if c in shifted else "'attended'" if c == "state" else c
            for c in columns
        )
        connection.execute_sql(
            f"INSERT INTO appointment ({', '.join(columns)}) SELECT {select} FROM appointment"
            f" WHERE id <= (SELECT min(id) FROM appointment) + {own} LIMIT ?",
            (size - Appointment.select().count(),),
        )


def shrink(size: int) -> None:
    """Leave the first `size` appointments of the demonstration."""
    extra = Appointment.select(Appointment.id).order_by(Appointment.id).offset(size)
    for table in ("offered_slot", "outbox_message"):
        db.database.execute_sql(
            f"DELETE FROM {table} WHERE appointment_id IN (SELECT id FROM appointment ORDER BY id"
            " LIMIT -1 OFFSET ?)",
            (size,),
        )
    db.database.execute_sql("DROP TRIGGER history_is_never_deleted")
    db.database.execute_sql(
        "DELETE FROM history WHERE appointment_id IN (SELECT id FROM appointment ORDER BY id"
        " LIMIT -1 OFFSET ?)",
        (size,),
    )
    Appointment.delete().where(Appointment.id.in_([a.id for a in extra])).execute()


def signed_in(app: object, account: Account) -> FlaskClient:
    browser: FlaskClient = app.test_client()  # type: ignore[attr-defined]
    token = signing_in.open_session(account, Browser(), now=NOW, one_tap=True).token
    with browser.session_transaction() as cookie:
        cookie["_user_id"] = token
    return browser


def measure(size: int) -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            environment=Environment.DEMO,
            data_dir=Path(folder),
            database_url=f"sqlite:///{folder}/citas.db",
            secret_key="bench-" * 8,
            base_url="http://localhost",
        )
        app = create_app(settings, clock=SettableClock(NOW), mailer=MemoryMailer())
        db.migrate()
        practice_file.load(ROOT / "demo" / "consultorio.toml", now=NOW)
        demo.fill(weeks=8, seed=1, now=NOW)
        (shrink if size < Appointment.select().count() else grow)(size)
        client, clinician = demo.people()
        pending = (
            Appointment.select()
            .where(
                Appointment.state == "requested", Appointment.clinician == clinician.clinician_id
            )
            .first()
        )
        own = Appointment.select().where(Appointment.account == client).first()
        pages = {
            "/citas": client,
            f"/citas/{own.id if own else 0}": client,
            "/citas?pasadas=1": client,
            "/citas/nueva/servicio": client,
            SLOT + "cualquiera": client,
            "/solicitudes": clinician,
            f"/solicitudes/{pending.id if pending else 0}": clinician,
            f"/solicitudes/{pending.id if pending else 0}/denegar": clinician,
            f"/solicitudes/{pending.id if pending else 0}/denegar{TAP}": clinician,
            "/agenda": clinician,
            "/agenda/horas?hora=10:00": clinician,
            "/clientes": clinician,
        }
        rows: list[dict[str, object]] = []
        for path, account in pages.items():
            browser = signed_in(app, account)
            headers = FRAGMENT if path.endswith(TAP) else {}
            browser.get(path, headers=headers)
            with counted() as statements:
                answer = browser.get(path, headers=headers)
            times = []
            for _ in range(TIMES):
                start = time.perf_counter()
                browser.get(path, headers=headers)
                times.append((time.perf_counter() - start) * 1000)
            name = "a tap on «video» → fragment" if headers else path[:40]
            rows.append(
                {"page": name, "status": answer.status_code, "statements": len(statements),
                 "ms": round(statistics.median(times), 1)}
            )  # fmt: skip
        if pending is not None:
            rows.append(denial(pending))
        db.database.obj.close()
        return rows


def denial(pending: Appointment) -> dict[str, object]:
    """From the decision to look for alternatives to having them, with the child process warm."""
    alternatives.propose(pending, alternatives.Search(), now=NOW)
    times = []
    for _ in range(TIMES):
        start = time.perf_counter()
        with counted() as statements:
            found = alternatives.propose(pending, alternatives.Search(), now=NOW)
        times.append((time.perf_counter() - start) * 1000)
    assert found.proven
    return {"page": "denial → proposals", "status": len(found.found),
            "statements": len(statements), "ms": round(statistics.median(times), 1)}  # fmt: skip


def main() -> None:
    solving.warm_up()
    report = {size: measure(size) for size in SIZES}
    solving.close()
    print(f"{'page':<42}" + "".join(f"{size:>9} sql{'':>4}ms" for size in SIZES))
    for row in report[SIZES[-1]]:
        cells = []
        for size in SIZES:
            same = [r for r in report[size] if r["page"] == row["page"]]
            cells.append(f"{same[0]['statements']:>13}{same[0]['ms']:>6}" if same else f"{'–':>19}")
        print(f"{row['page']:<42}" + "".join(cells))
    (ROOT / "bench" / "pages.json").write_text(json.dumps(report, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
