"""A throw-away book with real servers, and the invented people who use them."""

import importlib.util
import itertools
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from booking import gateway, invariants
from booking.clock import Clock
from booking.db import transaction
from booking.gateway import Actor
from booking.models import Access, Account, Client, Relation
from booking.operations import signing_in
from booking.operations.signing_in import Browser
from booking.proof import book, times
from booking.proof.deadline import Deadline
from booking.proof.outcome import Finding
from booking.proof.post_office import PostOffice
from booking.proof.processes import Child, free_port
from booking.proof.times import Opening
from booking.proof.visitors import Visitor
from booking.settings import Settings

FLASK = (sys.executable, "-m", "flask", "--app", "app")
PROCESSES = 4

# From a secret and a session's token to the cookie that a browser would hold.
Signer = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Person:
    """One of the crowd: an account, whom its appointments are for, and a browser."""

    account: Account
    client: Client
    browser: Visitor


class Stage:
    """Where a scenario plays; it starts and ends the processes that the scenario asks for."""

    def __init__(
        self,
        settings: Settings,
        *,
        port: int,
        post_office: PostOffice,
        clock: Clock,
        signer: Signer,
        command: Sequence[str] = FLASK,
        processes: int = PROCESSES,
        advance: Callable[[int], None] = lambda _steps: None,
        deadline: Deadline,
    ) -> None:
        self.settings, self.port, self.clock = settings, port, clock
        self.post_office, self.advance, self.deadline = post_office, advance, deadline
        self._signer, self._command, self._processes = signer, command, processes
        self._service = times.service_of_the_crowd()
        self._openings = times.openings(self._service, now=clock.now())
        self._people: list[Person] = []
        self._server: Child | None = None
        self._workers: list[Child] = []
        self._numbers = itertools.count(1)

    def openings(self, most: int) -> list[Opening]:
        """So many times that nobody has asked for yet, or as many as the practice still has."""
        return list(itertools.islice(self._openings, most))

    def crowd(self, size: int) -> list[Person]:
        """So many clients, signed in."""
        with transaction():
            while len(self._people) < size:
                self._people.append(self._person())
        return self._people[:size]

    def newcomer(self) -> Person:
        """Somebody who asks for the first time: an accepted session makes a client known."""
        with transaction():
            return self._person()

    def _person(self) -> Person:
        now, number = self.clock.now(), next(self._numbers)
        name, email = f"Persona {number}", f"persona{number}@example.com"
        known = now if times.is_for_known_clients(self._service) else None
        account = Account.create(email=email, name=name, created_at=now, consented_at=now)
        client = Client.create(name=name, email=email, created_at=now, known_since=known)
        Access.create(account=account, client=client, relation=Relation.SELF.value)
        return Person(account, client, self._browser_of(account))

    def decider(self, opening: Opening) -> tuple[Actor, Visitor]:
        """The clinician of a time, who decides about requests for it."""
        account = Account.get(Account.clinician == opening.clinician)
        with transaction():
            return gateway.staff(account), self._browser_of(account)

    def _browser_of(self, account: Account) -> Visitor:
        # A throw-away book has no second factors to show.
        token = signing_in.open_session(
            account, Browser(), now=self.clock.now(), one_tap=True
        ).token
        return Visitor(self.port, self._signer(self.settings.secret_key, token), self.deadline)

    def serve(self) -> None:
        """Start the portal unless it runs, in several processes where the system can."""
        if self._server is not None and self._server.running:
            return
        several = importlib.util.find_spec("gunicorn") is not None
        workers = ("--workers", str(self._processes)) if several else ()
        self._server = self._start("serve", "--port", str(self.port), *workers)
        self._server.wait_for(self.port)

    def kill_server(self) -> None:
        if self._server is not None:
            self._server.kill()

    def end_server(self) -> None:
        if self._server is not None:
            self._server.end()

    def work(self, processes: int) -> None:
        """Start the workers that are not running."""
        self._workers = [child for child in self._workers if child.running]
        while len(self._workers) < processes:
            self._workers.append(self._start("worker"))

    def kill_workers(self) -> None:
        for child in self._workers:
            child.kill()

    def close(self) -> None:
        for child in (self._server, *self._workers):
            if child is not None:
                child.kill()
        self.post_office.close()

    def _start(self, *arguments: str) -> Child:
        log = self.settings.data_dir / f"proceso{next(self._numbers)}.log"
        return Child((*self._command, *arguments), self.settings, log)

    def violations(self) -> Finding:
        """How many of the invariants do not hold."""
        return Finding("invariantes rotas", 0, len(invariants.violations()))


@contextmanager
def staged(
    settings: Settings,
    practice: str,
    *,
    clock: Clock,
    signer: Signer,
    command: Sequence[str] = FLASK,
    processes: int = PROCESSES,
    advance: Callable[[int], None] = lambda _steps: None,
    seconds: float = math.inf,
) -> Iterator[Stage]:
    """A stage beside the operator's book, of which it only takes the address and the set-up.

    Raises:
        NoBook, NothingToAskFor: it cannot be had.
    """
    port, post_office = free_port(), PostOffice(free_port())
    with book.throwaway(
        settings, practice, port=port, smtp_url=post_office.url, now=clock.now()
    ) as copy:
        stage = Stage(
            copy,
            port=port,
            post_office=post_office,
            clock=clock,
            signer=signer,
            command=command,
            processes=processes,
            advance=advance,
            deadline=Deadline(seconds),
        )
        try:
            yield stage
        finally:
            stage.close()
