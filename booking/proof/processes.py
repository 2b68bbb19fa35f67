"""The portal and its worker as child processes, which are ended, or killed, by their group."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from booking.settings import Settings

ROOT = Path(__file__).parents[2]
STARTS_WITHIN = 60
ENDS_WITHIN = 15
GLANCE = 0.05


class DidNotStart(Exception):
    """A child process ended, or said nothing; the text is the end of what it wrote."""


class Child:
    """One command of ours in a process group of its own."""

    def __init__(self, command: Sequence[str], settings: Settings, log: Path) -> None:
        self._log = log
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=settings.environment_of_children(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """As a power cut would: nothing is finished, nothing is said."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def end(self) -> None:
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # Gone already, and all it had started.
            os.killpg(self._process.pid, number)

    def wait_for(self, port: int) -> None:
        """Return once the child listens there.

        Raises:
            DidNotStart: it ended, or it took too long.
        """
        pause = threading.Event()
        for _ in range(round(STARTS_WITHIN / GLANCE)):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            if not self.running:
                break
            pause.wait(GLANCE)
        raise DidNotStart(self._log.read_text()[-2000:])


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
