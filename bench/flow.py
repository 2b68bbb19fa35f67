"""Bytes, requests and round trips of each guide step: `python3 dev.py bench flow`.

Compressed bytes as they leave the server (headers included, TLS not), with a phone's habits: the
stylesheet and the script are fetched once. A round trip is one request that has to wait for the one
before; a POST that redirects is two.
"""

import json
import re
import tempfile
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import brotli
from werkzeug.test import TestResponse

from app import create_app
from booking import db, demo, practice_file
from booking.clock import SettableClock
from booking.mailer import MemoryMailer
from booking.operations import signing_in
from booking.operations.signing_in import Browser
from booking.settings import Environment, Settings

ROOT = Path(__file__).parent.parent
HEADERS = {"Accept-Encoding": "br, gzip", "Sec-Fetch-Site": "same-origin"}


class Row(NamedTuple):
    """What one step cost; `raw` is the size of its page before compression."""

    step: str
    requests: int
    trips: int
    bytes: int
    raw: int


class Phone:
    """Asks as a browser does and counts what comes back."""

    def __init__(self, folder: Path, *, htmx: bool) -> None:
        now = datetime(2027, 3, 1, 15, 0, tzinfo=UTC)
        settings = Settings(
            environment=Environment.DEMO,
            data_dir=folder,
            database_url=f"sqlite:///{folder / 'citas.db'}",
            secret_key="bench-" * 8,
            base_url="http://localhost",
        )
        self.app = create_app(settings, clock=SettableClock(now), mailer=MemoryMailer())
        db.migrate()
        practice_file.load(ROOT / "demo" / "consultorio.toml", now=now)
        demo.fill(weeks=8, seed=1, now=now)
        self.browser = self.app.test_client()
        self.htmx = {"HX-Request": "true", "HX-Target": "step"} if htmx else {}
        self.rows: list[Row] = []
        self.cached: set[str] = set()
        signed_in = signing_in.open_session(demo.people()[0], Browser(), now=now)
        with self.browser.session_transaction() as cookie:
            cookie["_user_id"] = signed_in.token

    def step(self, name: str, url: str, *, data: dict[str, str] | None = None) -> str:
        """One step: the page, what it redirects to, and the files that it needs and has not."""
        requests = trips = size = 0
        method = "GET" if data is None else "POST"
        headers = HEADERS | (self.htmx if self.rows else {})
        while True:
            answer = self.browser.open(url, method=method, data=data, headers=headers)
            requests, trips, size = requests + 1, trips + 1, size + weight(answer)
            if answer.status_code != 303:
                break
            url, method, data = str(answer.location), "GET", None
        text = body(answer)
        files = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', text)) - self.cached
        for file in sorted(files):
            size += weight(self.browser.get(file, headers=HEADERS))
        self.cached |= files
        self.rows.append(Row(name, requests + len(files), trips + bool(files), size, len(text)))
        return text


def body(answer: TestResponse) -> str:
    data = answer.data
    if answer.headers.get("Content-Encoding") == "br":
        data = brotli.decompress(data)
    return bytes(data).decode()


def weight(answer: TestResponse) -> int:
    """Body and headers, as sent."""
    return len(answer.data) + sum(len(k) + len(v) + 4 for k, v in answer.headers.items()) + 17


def links(page: str, pattern: str) -> list[str]:
    return [unescape(link) for link in re.findall(rf'href="({pattern}[^"]*)"', page)]


def fields(page: str, names: str) -> dict[str, str]:
    """The values of the page's own form, by name; of several, the last."""
    return dict(re.findall(rf'name="({names})" value="([^"]+)"', page.split("<main")[-1]))


def flow(phone: Phone) -> None:
    """The guide's steps 2 to 7."""
    phone.step("2 citas", "/citas")
    page = phone.step("3 servicio", "/citas/nueva/servicio")
    page = phone.step("4 consultorio", links(page, r"/citas/nueva/[a-z]+\?servicio=individual")[0])
    page = phone.step("5 horario", links(page, r"/citas/nueva/horario\?[^\"]*consultorio=")[0])
    draft = fields(page, "servicio|consultorio|profesional|hora")
    url = "/citas/nueva/persona?" + urlencode(draft)
    page = phone.step("6 persona", url)
    phone.step("7 enviada", url, data=fields(page, "llave|persona"))


def show(name: str, rows: list[Row]) -> None:
    print(f"\n{name:<16}{'requests':>9}{'trips':>7}{'bytes':>8}{'raw':>8}")
    total = Row("total", *(sum(getattr(r, f) for r in rows) for f in Row._fields[1:]))
    for row in [*rows, total]:
        print(f"{row.step:<16}{row.requests:>9}{row.trips:>7}{row.bytes:>8}{row.raw:>8}")


def main() -> None:
    report = {}
    for name, htmx in (("pages", False), ("fragments", True)):
        with tempfile.TemporaryDirectory() as folder:
            phone = Phone(Path(folder), htmx=htmx)
            flow(phone)
            show(name, phone.rows)
            report[name] = [row._asdict() for row in phone.rows]
            db.database.obj.close()
    (ROOT / "bench" / "flow.json").write_text(json.dumps(report, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
