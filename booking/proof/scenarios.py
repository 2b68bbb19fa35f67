"""All of them, in the order in which they are played; mail is last, as it stops the server."""

from collections.abc import Callable

from booking.proof.faults import kill, mail
from booking.proof.outcome import Outcome, Size
from booking.proof.races import accept_race, last_slot
from booking.proof.stage import Stage

Scenario = Callable[[Stage, Size], Outcome]

ALL: dict[str, Scenario] = {
    scenario.__name__: scenario for scenario in (last_slot, accept_race, kill, mail)
}


def steps(name: str, size: Size) -> int:
    """About how often a scenario says that it got on, for a progress bar."""
    return {
        "last_slot": 5 * size.crowd,
        "accept_race": 4 * size.accepts + 20 * size.pairs,
        "kill": 2 * size.submits,
        "mail": size.mails // 2 + size.mail_kills,
    }[name]
