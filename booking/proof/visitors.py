"""People with browsers: each has a cookie, opens forms as anybody does, and sends them."""

import http.client
import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlencode

from booking.db import database
from booking.proof.deadline import Deadline

T = TypeVar("T")

PATIENCE_SECONDS = 120
TITLE = re.compile(r"<title>([^<]*)")
KEY = re.compile(r'name="llave" value="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Answer:
    """What a browser got."""

    status: int
    location: str
    text: str

    @property
    def title(self) -> str:
        """What the page calls itself."""
        found = TITLE.search(self.text)
        return found[1] if found else self.text[:60]

    @property
    def done(self) -> bool:
        """What was asked for was done, and here is where to see it."""
        return self.status == 303

    @property
    def refused(self) -> bool:
        """Somebody was faster, and the page says so."""
        return self.status == 409 and 'role="alert"' in self.text


@dataclass(frozen=True, slots=True)
class Form:
    """A form as its page showed it, with the key that makes sending it twice harmless."""

    path: str
    fields: dict[str, str]


class NoForm(Exception):
    """The page that should show a form shows something else."""


class Visitor:
    """One browser, signed in."""

    def __init__(self, port: int, cookie: str, deadline: Deadline) -> None:
        self._port, self._deadline = port, deadline
        self._headers = {"Cookie": f"citas={cookie}", "Sec-Fetch-Site": "same-origin"}

    def form(self, page: str, *, action: str = "", **fields: str) -> Form:
        """Open a page, and fill in its form (which posts to `action`, or to its own address).

        Raises:
            NoForm: there is none.
        """
        answer = self._ask("GET", page)
        key = KEY.search(answer.text)
        if answer.status != 200 or key is None:
            raise NoForm(f"{page}: {answer.status} {answer.location}")
        return Form(action or page, fields | {"llave": key[1]})

    def send(self, form: Form) -> Answer:
        return self._ask("POST", form.path, urlencode(form.fields))

    def send_and_hang_up(self, form: Form) -> None:
        """Send it without waiting for what the portal has to say."""
        connection = self._connection()
        try:
            self._put(connection, "POST", form.path, urlencode(form.fields))
        finally:
            connection.close()

    def _ask(self, method: str, path: str, body: str = "") -> Answer:
        connection = self._connection()
        try:
            self._put(connection, method, path, body)
            response = connection.getresponse()
            text = response.read().decode()
            return Answer(response.status, response.headers.get("Location", ""), text)
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        self._deadline.check()
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_SECONDS)

    def _put(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: str
    ) -> None:
        kind = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        connection.request(method, path, body or None, self._headers | kind)


def at_once(jobs: Sequence[Callable[[], T]]) -> list[T | Exception]:
    """What each job answered, or raised; all begin at the same moment."""
    results: list[T | Exception] = [TimeoutError()] * len(jobs)
    start = threading.Barrier(len(jobs))

    def run(n: int) -> None:
        try:
            start.wait(timeout=PATIENCE_SECONDS)
            results[n] = jobs[n]()
        except Exception as error:
            results[n] = error
        finally:
            database.close()

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=2 * PATIENCE_SECONDS)
    return results


def in_turn(jobs: Sequence[Callable[[], T]], *, at_a_time: int) -> list[T | Exception]:
    """The same, with no more than `at_a_time` of them under way."""

    def run(job: Callable[[], T]) -> T | Exception:
        try:
            return job()
        except Exception as error:
            return error

    with ThreadPoolExecutor(at_a_time) as pool:
        return list(pool.map(run, jobs))
