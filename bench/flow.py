"""What a booking costs a phone, step by step: `python3 dev.py bench flow`.

Walks from the page of the sign-in link to «enviada» over real connections, as a phone without a
script and as one with it, and then books once more; ends with 1 when a budget is passed. It starts
a portal of its own on the demo practice; `python -m bench.flow --base-url URL` asks a demo that
runs elsewhere.

Exact are requests, bodies and the headers as they come (HTTP/1.1). What the wire carries is counted
from them as a front server sends it: TLS 1.3, then HTTP/2, whose headers are packed. A round trip
is an answer that has to be waited for: two open a connection, one is the request's. The style is
waited for, the script is not. Times are those of an idle server: trips, and bytes down.
"""

import argparse
import json
import re
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from html import unescape
from http.client import HTTPConnection, HTTPSConnection
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode, urljoin, urlsplit

import brotli
import waitress
from hpack import Encoder

from app import create_app
from bench.budgets import AGAIN, AGAIN_WITH_SCRIPT, WITH_SCRIPT, WITHOUT_SCRIPT, Cost, passed
from booking import db, demo, practice_file, worker
from booking.clock import SettableClock
from booking.mailer import FolderMailer
from booking.settings import Environment, Settings

ROOT = Path(__file__).parent.parent
NOW = datetime(2027, 3, 1, 15, 0, tzinfo=UTC)
BROWSER = {
    "Accept": "text/html,application/xhtml+xml,*/*;q=0.8",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "es-MX,es;q=0.9",
    "Sec-Fetch-Site": "same-origin",
}
OPENING_TRIPS = 2  # TCP and TLS 1.3.
OPENING_BYTES = 2_400 + 77  # What TLS sends with a usual certificate; HTTP/2's settings.
RECORD, RECORD_BYTES = 16_384, 22
FRAME_BYTES = 9
NETWORKS = {"Slow 3G": (0.4, 400_000), "2G": (0.8, 250_000)}  # Seconds of a trip, bits a second.
PATIENCE_SECONDS = 60  # For the mail of a portal that runs elsewhere.


@dataclass(slots=True)
class Row:
    """What a step cost, or several."""

    step: str
    requests: int = 0
    trips: int = 0
    body: int = 0
    headers: int = 0
    wire: int = 0

    def seconds(self, network: str) -> float:
        trip, speed = NETWORKS[network]
        return self.trips * trip + self.wire * 8 / speed


COUNTED = ("requests", "trips", "body", "headers", "wire")


def total(name: str, rows: list[Row]) -> Row:
    return Row(name, *(sum(getattr(row, what) for row in rows) for what in COUNTED))


@dataclass(slots=True)
class Page:
    """What is on the screen: where it came from, and what a person can do there."""

    url: str
    text: str

    @property
    def title(self) -> str:
        found = re.search(r"<h1[^>]*>(.*?)</h1>", self.text, re.DOTALL)
        return re.sub(r"<[^>]*>", "", unescape(found[1])) if found else ""

    @property
    def main(self) -> str:
        return self.text.split("<main")[-1].split("</main>")[0]

    @property
    def forms(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Where each form leads, and what it says with the first of its buttons and choices."""
        for form in re.findall(r"<form\b.*?</form>", self.main, re.DOTALL):
            said: dict[str, str] = {}
            for tag in re.findall(r"<(?:input|button)\b[^>]*>", form):
                name, value = re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)
                if name and value:
                    said.setdefault(name[1], unescape(value[1]))
            (action,) = re.findall(r'action="([^"]*)"', form)
            yield urljoin(self.url, unescape(action)), said

    @property
    def links(self) -> list[str]:
        """What there is to choose, or else where a booking begins."""
        lists = "".join(re.findall(r'<ul class="choices">.*?</ul>', self.main, re.DOTALL))
        found = re.findall(r'href="([^"]+)"', lists)
        found += re.findall(r'href="(/citas/nueva[^"]*)"', self.main)
        return [urljoin(self.url, unescape(link)) for link in found]


@dataclass(slots=True)
class Phone:
    """Asks as a browser does, keeps what it may keep, and counts what comes back."""

    base: str
    script: bool
    rows: list[Row] = field(init=False)
    unawaited: Row = field(init=False)  # What a script brings; nothing waits for it.
    _cookies: SimpleCookie = field(default_factory=SimpleCookie)
    _kept: set[str] = field(default_factory=set)
    _shown: str = ""  # The address of the page that a script drives.
    _connection: HTTPConnection = field(init=False)
    _packer: Encoder = field(init=False)
    _row: Row = field(init=False)
    _second: int = 0

    def __post_init__(self) -> None:
        self.connect()

    def connect(self) -> None:
        """A new visit: whatever was kept stays, but the connection is another."""
        told = urlsplit(self.base)
        kind = HTTPSConnection if told.scheme == "https" else HTTPConnection
        self._connection, self._packer = kind(told.netloc, timeout=60), Encoder()
        self._shown = ""
        self.rows, self.unawaited = [], Row("the script's")
        self._row = Row("", trips=OPENING_TRIPS, wire=OPENING_BYTES)

    def open(self, url: str, sent: dict[str, str] | None = None) -> Page:
        """One step: the page, what it redirects to, and the files that it needs and has not."""
        row, self._row = self._row, Row("")
        asked = dict.fromkeys(["HX-Request", "HX-Boosted"], "true")
        asked |= {"HX-Target": "step", "HX-Current-URL": self._shown}
        extra = asked if self._shown else {}
        body = urlencode(sent) if sent is not None else None
        while True:
            status, location, text = self._ask(url, row, body, extra)
            row.trips += 1
            url, body = urljoin(url, location), None
            if status not in (302, 303):
                break
        if status != 200:
            raise SystemExit(f"{url}: {status}")
        page = Page(url, text)
        row.step = page.title
        row.trips += self._fetch(re.findall(r'rel="stylesheet" href="([^"]+)"', text), row)
        self._run_script(page)
        self.rows.append(row)
        return page

    def _run_script(self, page: Page) -> None:
        """Bring the script and what it asks for; from now on, links bring fragments."""
        scripts = re.findall(r'<script src="([^"]+)"', page.text)
        if not self.script or not (scripts or self._shown):
            return
        self._shown = page.url
        manifests = re.findall(r'rel="manifest" href="([^"]+)"', page.text)
        first = self._fetch(scripts, self.unawaited)
        self._fetch(manifests, self.unawaited)
        if scripts and not first and self._fetch(["/sw.js"], self.unawaited):
            self._fetch(["/sin-conexion"], self.unawaited)

    def _fetch(self, files: list[str], row: Row) -> int:
        """The files that are not kept yet; how many round trips they took together."""
        missing = [file for file in files if file not in self._kept]
        for file in missing:
            self._ask(urljoin(self.base, file), row, None, {})
        self._kept.update(missing)
        return int(bool(missing))

    def _ask(
        self, url: str, row: Row, body: str | None, extra: dict[str, str]
    ) -> tuple[int, str, str]:
        headers = BROWSER | extra
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{m.key}={m.value}" for m in self._cookies.values())
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        told = urlsplit(url)
        path = told.path + (f"?{told.query}" if told.query else "")
        self._connection.request("GET" if body is None else "POST", path, body, headers)
        answer = self._connection.getresponse()
        data, given = answer.read(), answer.getheaders()
        for name, value in given:
            if name.lower() == "set-cookie":
                self._cookies.load(value)
        row.requests += 1
        row.body += len(data)
        row.headers += len(f"HTTP/1.1 {answer.status} {answer.reason}\r\n\r\n")
        row.headers += sum(len(f"{name}: {value}\r\n") for name, value in given)
        # The steps of a person are seconds apart: no two answers have the same date.
        self._second = (self._second + 7) % 60
        packed = self._packer.encode(
            [(":status", str(answer.status))]
            + [
                (name.lower(), f"{value[:-6]}{self._second:02} GMT" if name == "Date" else value)
                for name, value in given
            ]
        )
        frames = len(packed) + len(data) + FRAME_BYTES * (1 + -(-len(data) // RECORD))
        row.wire += frames + RECORD_BYTES * -(-frames // RECORD)
        if answer.headers.get("Content-Encoding") == "br":
            data = brotli.decompress(data)
        # Where the page is, if not where it was asked for.
        location = answer.headers.get("Location") or answer.headers.get("HX-Push-Url") or ""
        return answer.status, location, data.decode("utf-8", "replace")


def book(phone: Phone, url: str, *, shortcut: bool) -> list[Row]:
    """Whatever the page asks, the first answer that it offers, until the request is sent.

    With `shortcut`, a time that «Citas» offers is taken; without it, every step of the guide is.
    What was booked is withdrawn, so that a portal is left as it was found; that is not counted.
    """
    page = phone.open(url)
    while not page.url.endswith("/enviada"):
        times = [form for form in page.forms if "hora" in form[1]]
        posts = [form for form in page.forms if "llave" in form[1]]
        if times and (shortcut or not page.url.endswith("/citas")):
            to, said = times[0]
            page = phone.open(f"{to}?{urlencode(said)}")
        elif posts:
            page = phone.open(*posts[0])
        elif page.links:
            page = phone.open(page.links[0])
        else:
            raise SystemExit(f"{page.url}: «{page.title}» leads nowhere")
    rows = [row for row in (*phone.rows, phone.unawaited) if row.requests]
    asking = phone.open(page.url.replace("/enviada", "/cancelar"))
    phone.open(*next(asking.forms))
    return rows


@contextmanager
def portal() -> Iterator[tuple[str, Callable[[], object]]]:
    """A portal of our own on loopback, as `flask serve` runs it, and a round of its worker."""
    with tempfile.TemporaryDirectory() as folder:
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{listening.getsockname()[1]}"
        settings = Settings(
            environment=Environment.DEMO,
            data_dir=Path(folder),
            database_url=f"sqlite:///{folder}/citas.db",
            secret_key="bench-" * 8,
            base_url=base,
        )
        clock, mailer = SettableClock(NOW), FolderMailer(Path(folder) / "buzon")
        app = create_app(settings, clock=clock, mailer=mailer)
        db.migrate()
        practice_file.load(ROOT / "demo" / "consultorio.toml", now=NOW)
        demo.fill(weeks=8, seed=1, now=NOW)
        server = waitress.create_server(app, sockets=[listening], ident=None)
        # It ends with the process: closed before, its threads would meet sockets that are gone.
        threading.Thread(target=server.run, daemon=True).start()
        yield base, lambda: worker.tick(clock, mailer, settings)
        db.database.obj.close()


def mailed_link(base: str, deliver: Callable[[], object]) -> str:
    """The sign-in link of the demo's client, from the mailbox that a demo shows."""
    asking = Phone(base, script=False)
    before = asking.open(f"{base}/buzon").text
    (to, said) = next(iter(asking.open(f"{base}/entrar").forms))
    asking.open(to, said | {"correo": demo.CLIENT_EMAIL})
    for _ in range(PATIENCE_SECONDS):
        deliver()
        box = asking.open(f"{base}/buzon")
        if box.text != before:
            newest = re.findall(r'href="(/buzon/\d+)"', box.text)[0]
            mail = asking.open(urljoin(base, newest)).text
            return str(re.findall(r"https?://[^\s<\"&]+/entrar/[^\s<\"&]+", mail)[0])
    raise SystemExit(f"{base}: no mail within {PATIENCE_SECONDS} seconds")


def show(name: str, rows: list[Row]) -> None:
    print(f"\n{name:<36}{'requests':>9}{'trips':>6}{'body':>8}{'headers':>8}{'wire':>8}", end="")
    print("".join(f"{network + ' s':>11}" for network in NETWORKS))
    for row in [*rows, total("all", rows)]:
        counted = f"{row.requests:>9}{row.trips:>6}{row.body:>8,}{row.headers:>8,}{row.wire:>8,}"
        seconds = "".join(f"{row.seconds(network):>11.1f}" for network in NETWORKS)
        print(f"{row.step[:35]:<36}{counted}{seconds if row.trips else ''}")


def over(name: str, limit: Cost, rows: list[Row]) -> list[str]:
    """Each budget of a booking that was passed, with the three heaviest steps."""
    whole, found = total(name, rows), []
    for what, most in limit._asdict().items():
        steps = sorted(rows, key=lambda row: -getattr(row, what))[:3]
        parts = [(row.step, getattr(row, what)) for row in steps]
        found.append(passed(f"{name}, {what}", most, getattr(whole, what), parts))
    return [each for each in found if each]


def walk(base: str, link: Callable[[], str]) -> list[str]:
    """Book as each phone does, twice; print what it cost, and tell which budgets were passed."""
    report, faults = {}, []
    for name, script, limit, again in (
        ("without script", False, WITHOUT_SCRIPT, AGAIN),
        ("with script", True, WITH_SCRIPT, AGAIN_WITH_SCRIPT),
    ):
        phone = Phone(base, script)
        visits = {name: (book(phone, link(), shortcut=False), limit)}
        phone.connect()
        visits[f"{name}, once more"] = (book(phone, f"{base}/citas", shortcut=True), again)
        for visit, (rows, most) in visits.items():
            show(visit, rows)
            faults += over(visit, most, rows)
            report[visit] = [asdict(row) for row in rows]
    (ROOT / "bench" / "flow.json").write_text(json.dumps(report, indent=1, ensure_ascii=False))
    return faults


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.flow")
    parser.add_argument("--base-url", help="a demo that runs elsewhere")
    chosen = parser.parse_args()
    if chosen.base_url:
        base = chosen.base_url.rstrip("/")
        faults = walk(base, lambda: mailed_link(base, lambda: time.sleep(1)))
    else:
        with portal() as (base, deliver):
            faults = walk(base, lambda: mailed_link(base, deliver))
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
