"""One server at a time on a SQLite file: a lock beside it, held for as long as the server lives."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from booking import locks, private
from booking.settings import Settings


class AlreadyServed(Exception):
    """Another server works on this file."""

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
        yield
