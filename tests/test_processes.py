"""The portal in several processes, each a real one, on one book."""

import http.client
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest

from booking.operations.limits import LIMITS, Limited
from booking.proof.processes import Child, free_port

ROOT = Path(__file__).parents[1]


@pytest.fixture
def serving(db, settings):
    """The port of a portal in two processes, and the process that looks after them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {
        "APP_ENV": "demo",
        "APP_DATA_DIR": str(settings.data_dir),
        "APP_DATABASE_URL": settings.database_url,
        "APP_SECRET_KEY": settings.secret_key,
        "APP_BASE_URL": f"http://127.0.0.1:{port}",
    }
    command = ("-m", "flask", "--app", "app", "serve", "--workers", "2", "--port", str(port))
    server = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True
    )
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
    server.wait(timeout=30)


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
        asked = {ask_from(f"8.8.{n}.8, 200.57.3.9", n) for n in range(most)}
        assert asked == {303}
        assert ask_from("8.8.8.8, 200.57.3.9", most) == 429
        assert ask_from("200.57.3.9, 200.57.3.10", most) == 303
    finally:
        server.end()


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
