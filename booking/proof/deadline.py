"""How long a proof may take: what there is no more time for is left out, and said to be."""

import time


class OutOfTime(Exception):
    """There is no time for the rest."""


class Deadline:
    """So many seconds from now; `missed` once anything was not done for want of time."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self.missed = False

    def check(self) -> None:
        """Let nothing begin that would end too late.

        Raises:
            OutOfTime: it is too late.
        """
        if time.monotonic() > self._until:
            self.missed = True
            raise OutOfTime
