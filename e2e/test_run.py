"""`python3 dev.py run`, as a newcomer types it: it serves, says where to click, keeps the data."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from e2e.site import free_port, wait_until_it_answers

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parent.parent


@contextmanager
def running(data: Path) -> Iterator[tuple[int, str]]:
    """The port, and what was printed before serving."""
    port = free_port()
    command = [sys.executable, "dev.py", "run", "--port", str(port), "--data", str(data)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = []
        for line in process.stdout:
            printed.append(line)
            if "Ctrl+C" in line:
                break
        try:
            wait_until_it_answers(port, process)
            yield port, "".join(printed)
        finally:
            process.terminate()


def get(port: int, path: str) -> tuple[int, str]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_the_demo_serves_says_where_to_click_and_keeps_its_data(tmp_path: Path) -> None:
    with running(tmp_path) as (port, printed):
        links = re.findall(rf"http://127\.0\.0\.1:{port}(/\S*)", printed)
        assert links == ["/", "/demo/cliente", "/demo/profesional", "/buzon"]
        assert get(port, "/healthz") == (200, "ok\n")
        for link in links:
            assert get(port, link)[0] == 200
        assert "Entrar como Ana Ruiz Peña" in get(port, "/demo/cliente")[1]
    made = (tmp_path / "citas.db").stat().st_ino
    with running(tmp_path) as (port, _):
        assert get(port, "/healthz")[0] == 200
        assert (tmp_path / "citas.db").stat().st_ino == made
