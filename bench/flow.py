"""Bytes, requests and round trips of each guide step: `python3 dev.py bench flow`.

Compressed bytes as they leave the server (headers included, TLS not), with a phone's habits: the
stylesheet and the script are fetched once. A round trip is one request that has to wait for the one
before; a POST that redirects is two.
"""

import json
import re
import tempfile
from html import unescape
from pathlib import Path

import brotli
from werkzeug.test import TestResponse

from app import create_app
from booking import db, demo, practice_file
from booking.clock import SettableClock
from booking.mailer import MemoryMailer
from booking.operations import signing_in
from booking.settings import Environment, Settings

ROOT = Path(__file__).parent.parent
HEADERS = {"Accept-Encoding": "br, gzip", "Sec-Fetch-Site": "same-origin"}
BUDGETS = {"page": 2_048, "days": 4_096, "flow": 12_288}


class Phone:
    """Asks as a browser does and counts what comes back."""

    def __init__(self, folder: Path, *, htmx: bool) -> None:
        from datetime import UTC, datetime

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
        self.rows: list[dict[str, object]] = []
        self.cached: set[str] = set()
        signed_in = signing_in.open_session(demo.people()[0], now=now)
        with self.browser.session_transaction() as cookie:
            cookie["_user_id"] = signed_in.token

    def step(self, name: str, url: str, *, data: dict[str, str] | None = None) -> TestResponse:
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
        self.rows.append(
            {"step": name, "requests": requests + len(files), "round_trips": trips + bool(files),
             "bytes": size, "raw": len(text)}
        )  # fmt: skip
        answer.text_body = text  # type: ignore[attr-defined]
        return answer


def body(answer: TestResponse) -> str:
    data = answer.data
    if answer.headers.get("Content-Encoding") == "br":
        data = brotli.decompress(data)
    return bytes(data).decode()


def weight(answer: TestResponse) -> int:
    """Body and headers, as sent."""
    return len(answer.data) + sum(len(k) + len(v) + 4 for k, v in answer.headers.items()) + 17


def links(answer: TestResponse, pattern: str) -> list[str]:
    found = re.findall(rf'href="({pattern}[^"]*)"', answer.text_body)  # type: ignore[attr-defined]
    return [unescape(link) for link in found]


def flow(phone: Phone) -> None:
    """The guide's steps 2 to 7."""
    phone.step("2 citas", "/citas")
    service = phone.step("3 servicio", "/citas/nueva/servicio")
    office = phone.step(
        "4 consultorio", links(service, r"/citas/nueva/[a-z]+\?servicio=individual")[0]
    )
    slot = phone.step("5 horario", links(office, r"/citas/nueva/horario\?[^\"]*consultorio=")[0])
    query = unescape(re.findall(r'name="hora" value="([^"]+)"', slot.text_body)[0])  # type: ignore[attr-defined]
    hidden = dict(
        re.findall(r'name="(servicio|consultorio|profesional)" value="([^"]+)"', slot.text_body)
    )  # type: ignore[attr-defined]
    url = f"/citas/nueva/persona?servicio={hidden['servicio']}&consultorio={hidden['consultorio']}&profesional={hidden['profesional']}&hora={query}"
    person = phone.step("6 persona", url)
    form = dict(
        re.findall(r'name="(llave|persona)" value="([^"]+)"', person.text_body.split("<main")[-1])
    )  # type: ignore[attr-defined]
    phone.step("7 enviada", url, data=form)


def main() -> None:
    report = {}
    for name, htmx in (("pages", False), ("fragments", True)):
        with tempfile.TemporaryDirectory() as folder:
            phone = Phone(Path(folder), htmx=htmx)
            flow(phone)
            report[name] = phone.rows
            print(f"\n{name:<16}{'requests':>9}{'trips':>7}{'bytes':>8}{'raw':>8}")
            for row in phone.rows:
                print(
                    f"{row['step']:<16}{row['requests']:>9}{row['round_trips']:>7}{row['bytes']:>8}{row['raw']:>8}"
                )
            total = sum(int(str(row["bytes"])) for row in phone.rows)
            print(
                f"{'total':<16}{sum(int(str(r['requests'])) for r in phone.rows):>9}{sum(int(str(r['round_trips'])) for r in phone.rows):>7}{total:>8}"
            )
            db.database.obj.close()
    (ROOT / "bench" / "flow.json").write_text(json.dumps(report, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
