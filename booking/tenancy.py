"""Who works on a SQLite file: one server, any number of workers, or somebody who restores it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from booking import locks, private
from booking.settings import Settings


class AlreadyServed(Exception):
    """Somebody works on this file who must not do so beside us."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.path = path


@contextmanager
def sole_server(settings: Settings) -> Iterator[None]:
    """Keep other servers off this file; processes forked meanwhile keep them off, too.

    Raises:
        AlreadyServed: there is one.
    """
    path = settings.sqlite_path
    if path is None:
        yield
        return
    private.folder(path.parent)
    with private.file(Path(f"{path}.server")).open("a") as file:
        if not locks.lock_now(file.fileno()):
            raise AlreadyServed(path)
        with at_work(settings):
            yield


@contextmanager
def at_work(settings: Settings, *, alone: bool = False) -> Iterator[None]:
    """Have this file open for long, as servers and workers do; `alone`, to put another there.

    The lock is on the folder: a file that is moved away takes those of its name along.

    Raises:
        AlreadyServed: it is being restored or, alone, a server or a worker has it open.
    """
    path = settings.sqlite_path
    if path is None or os.name == "nt":  # There nobody opens a folder, nor locks it.
        yield
        return
    folder = os.open(private.folder(path.parent), os.O_RDONLY)
    try:
        if not locks.lock_now(folder, shared=not alone):
            raise AlreadyServed(path)
        yield
    finally:
        os.close(folder)
