"""Locks on open files, between processes: closing the file, or dying, lets go of them."""

import queue
import threading

try:
    import fcntl

    def lock_now(file: int, *, shared: bool = False) -> bool:
        """Take the lock, if nobody has it (or, to share it, nobody has it alone)."""
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def lock(file: int, *, seconds: float) -> bool:
        """Take the lock in turn, unless the others need longer than so many seconds."""
        return lock_now(file) or _queue(file, seconds)

    def _queue(file: int, seconds: float) -> bool:
        """Wait in the kernel, which is fair but knows no time limit: so a thread waits there.

        When the time is over the caller closes the file, and a lock that comes too late with it.
        """
        outcome: queue.SimpleQueue[OSError | None] = queue.SimpleQueue()

        def wait() -> None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                outcome.put(None)
            except OSError as error:
                outcome.put(error)

        threading.Thread(target=wait, daemon=True).start()
        try:
            failed = outcome.get(timeout=seconds)
        except queue.Empty:
            return False
        if failed:
            raise failed
        return True

except ImportError:
    # Not POSIX: one server process there. Its threads have a lock of their own, and its port
    # keeps a second server off.

    def lock_now(file: int, *, shared: bool = False) -> bool:
        del file, shared
        return True

    def lock(file: int, *, seconds: float) -> bool:
        del file, seconds
        return True
