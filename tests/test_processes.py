"""The portal in several processes, each a real one, on one book."""

import http.client
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

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
