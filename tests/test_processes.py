"""The portal in several processes, each a real one, on one book."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest

from booking.models import Attempt
from booking.operations.limits import LIMITS, Limited
from booking.proof.processes import Child, free_port
from booking.proof.stage import FLASK

ROOT = Path(__file__).parents[1]


@pytest.fixture
def serving(db, settings):
    """The port of a portal in two processes, and the process that looks after them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    told = replace(settings, base_url=f"http://127.0.0.1:{port}")
    command = ("-m", "flask", "--app", "app", "serve", "--workers", "2", "--port", str(port))
    with subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=told.environment_of_children(),
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        pids = []
        assert server.stderr is not None
        for line in server.stderr:
            if "Booting worker" in line:
                pids.append(int(line.rpartition(" ")[2]))
            if len(pids) == 2:
                break
        yield port, server, pids
        server.terminate()
        server.stderr.read()


@pytest.mark.parametrize("workers", [(), ("--workers", "1")], ids=["alone", "workers"])
def test_behind_a_proxy_limits_are_the_visitors_and_cannot_be_dodged(db, settings, workers):
    """What the visitor made up stands to the left of what the proxy saw (RFC 7239, 5.2)."""
    settings = replace(settings, trusted_proxies=1)
    port, most = free_port(), LIMITS[Limited.NETWORK].most
    command = (sys.executable, "-m", "flask", "--app", "app", "serve", "--port", str(port))
    server = Child((*command, *workers), settings, settings.data_dir / "serve.log")

    def ask_from(address: str, number: int) -> int:
        headers = {"X-Forwarded-For": address, "Sec-Fetch-Site": "same-origin"}
        form = urlencode({"correo": f"n{number}@example.com"})
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("POST", "/entrar", form, headers)
        status = connection.getresponse().status
        connection.close()
        return status

    try:
        server.wait_for(port)
        asked = {ask_from(f"8.8.{n}.8, 200.57.3.9", n) for n in range(2)}
        assert asked == {303}
        first, second = Attempt.select().where(Attempt.kind == Limited.NETWORK).dicts()
        assert first["subject"] == second["subject"]
        del second["id"]
        Attempt.insert_many([second] * (most - 2)).execute()
        assert ask_from("8.8.8.8, 200.57.3.9", most) == 429
        assert ask_from("200.57.3.9, 200.57.3.10", most) == 303
    finally:
        server.end()


@pytest.fixture
def alone(db, settings, tmp_path):
    """The port of a portal in one process."""
    port = free_port()
    told = replace(settings, base_url=f"http://127.0.0.1:{port}")
    child = Child((*FLASK, "serve", "--port", str(port)), told, tmp_path / "portal.log")
    child.wait_for(port)
    yield port
    child.end()


# What no application gets to see.
NO_HTTP = {
    "no request line": b"<script>alert(1)</script>\r\n\r\n",
    "a huge header": b"GET / HTTP/1.1\r\nX: " + b"x" * 300_000 + b"\r\n\r\n",
    "half a header": b"GET / HTTP/1.1\r\nHost: a\r\nscript\r\n\r\n",
    "an odd encoding": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: script\r\n\r\n",
    "a negative length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
}
OF_A_REFUSAL = (
    "content-security-policy: default-src 'none'",
    "x-content-type-options: nosniff",
    "referrer-policy: same-origin",
    "cache-control: no-store",
)


def said_to(port: int, raw: bytes) -> str:
    """All that the server answers before it hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        with suppress(ConnectionError):  # It need not listen to the end.
            connection.sendall(raw)
        heard = b""
        with suppress(ConnectionError):
            while more := connection.recv(65_536):
                heard += more
    return heard.decode()


def odd(answer: str) -> list[str]:
    """What is wrong with a server's own refusal."""
    head, _, body = answer.lower().partition("\r\n\r\n")
    missing = [line for line in OF_A_REFUSAL if line not in head]
    banners = [name for name in ("server:", "via:", "gunicorn", "waitress") if name in head + body]
    page = [] if "no pudimos leer" in body and "script" not in body else ["the page"]
    status = [] if re.match(r"http/1\.[01] (?:4\d\d|501) ", head) else [head[:40]]
    return missing + banners + page + status


CALM: dict[str, list[str]] = {what: [] for what in NO_HTTP}


def test_what_is_no_http_is_refused_calmly_by_many_processes(serving):
    port, _server, _pids = serving
    assert {what: odd(said_to(port, raw)) for what, raw in NO_HTTP.items()} == CALM


def test_what_is_no_http_is_refused_calmly_by_one_process(alone):
    assert {what: odd(said_to(alone, raw)) for what, raw in NO_HTTP.items()} == CALM
    assert "Server" not in get(alone, "/")[1]


def get(port: int, path: str) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, dict(answer.getheaders()), body


def test_pages_are_served_while_processes_die_and_until_the_portal_is_told_to_end(serving):
    port, server, pids = serving
    status, headers, body = get(port, "/")
    assert (status, "Consultorio Alameda" in body) == (200, True)
    assert "gunicorn" not in str(headers)
    os.kill(pids[0], signal.SIGKILL)
    assert [get(port, "/healthz")[0] for _ in range(20)] == [200] * 20
    assert any("Booting worker" in line for line in server.stderr)  # Another took its place.
    server.terminate()
    server.stderr.read()
    assert server.wait(timeout=30) == 0
