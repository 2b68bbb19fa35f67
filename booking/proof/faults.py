"""Things that die in the middle of something: nothing acknowledged is lost, nothing doubles."""

import http.client
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from booking import db
from booking.models import Delivery, OutboxMessage
from booking.operations import ask
from booking.proof import tally
from booking.proof.outcome import Finding, Outcome, Size
from booking.proof.stage import Person, Stage
from booking.proof.tally import Results
from booking.proof.visitors import Answer, Form, in_turn

SEED = 4
LOST_ANSWERS = 0.2
TRIES = 600
PAUSE = 0.1
MAIL_WITHIN = 0.5  # Seconds for each mail, on top of what starting the workers takes.
START_SECONDS = 60  # A busy machine takes its time.
WORKERS = 2


def kill(stage: Stage, size: Size) -> Outcome:
    """The server is killed again and again while people submit, and retry until they are told."""
    stage.serve()
    openings = stage.openings(size.submits)
    crowd = stage.crowd(len(openings))
    before = tally.kept(crowd)
    fire = _Fire(stage, size.kills, len(crowd))
    told = fire.submit(crowd, tally.forms(stage, crowd, openings))
    stage.serve()
    owners = {row.id: row.account_id for row in tally.appointments_of(crowd)}
    lost = sum(
        isinstance(answer, Answer) and owners.get(_appointment(answer)) != person.account.id
        for person, answer in zip(crowd, told, strict=True)
    )
    return Outcome(
        name="kill",
        promise=f"{len(crowd)} envíos mientras se mata el servidor {size.kills} veces",
        findings=(
            Finding("veces que se mató el servidor", size.kills, fire.kills),
            Finding("clientes que al final tuvieron su cita", len(crowd), tally.done(told)),
            Finding("confirmadas al cliente y perdidas", 0, lost),
            Finding("citas de más o de menos", 0, abs(len(owners) - before - len(crowd))),
            stage.violations(),
        ),
        notes=tuple(tally.others(told)[:5]),
    )


def _appointment(answer: Answer) -> int:
    """The appointment that an answer leads to: `/citas/17/enviada`."""
    return next((int(part) for part in answer.location.split("/") if part.isdigit()), 0)


class _Fire:
    """Kills the server each time that another share of the people has been answered."""

    def __init__(self, stage: Stage, kills: int, people: int) -> None:
        self.kills = 0
        self._stage, self._most, self._people = stage, kills, people
        self._answered = 0
        self._lock = threading.Lock()
        self._pause = threading.Event()

    def submit(self, crowd: Sequence[Person], forms: Sequence[Form]) -> Results:
        jobs = [
            partial(self._insist, person, form, random.Random(SEED + n))  # noqa: S311 - no secret.
            for n, (person, form) in enumerate(zip(crowd, forms, strict=True))
        ]
        return in_turn(jobs, at_a_time=tally.BROWSERS)

    def _insist(self, person: Person, form: Form, chance: random.Random) -> Answer:
        """Send the same form until there is an answer; some are given up before they come."""
        for _ in range(TRIES):
            try:
                if chance.random() < LOST_ANSWERS:
                    person.browser.send_and_hang_up(form)
                    continue
                answer = person.browser.send(form)
            except (OSError, http.client.HTTPException):
                self._pause.wait(PAUSE)  # The server is dead, or not yet back.
                continue
            if answer.status != 503:
                self._count()
                return answer
            self._pause.wait(PAUSE)
        raise TimeoutError("nobody answered")

    def _count(self) -> None:
        self._stage.advance(1)
        with self._lock:
            self._answered += 1
            due = self._answered * (self._most + 1) >= (self.kills + 1) * self._people
            if due and self.kills < self._most:
                self.kills += 1
                self._stage.kill_server()
                self._stage.serve()


def mail(stage: Stage, size: Size) -> Outcome:
    """The mail server is away for an hour; when it is back, the workers are killed mid-send."""
    stage.end_server()
    post = _Post(stage, _owe(stage, size.mails))
    stage.work(1)
    # A round that finds nobody there tries the oldest message only, whoever's it is.
    attempted = OutboxMessage.select().where(OutboxMessage.attempts > 0)
    post.wait_until(OutboxMessage.attempts > 0, or_else=attempted.exists)
    tried = attempted.exists()
    stage.kill_workers()
    post.let_an_hour_pass()
    stage.post_office.open()
    kills = _send_under_fire(stage, post, size.mail_kills)
    letters = Counter(id_ for id_ in stage.post_office.taken if id_ in post.ids)
    sent = post.count(OutboxMessage.state == Delivery.SENT)
    return Outcome(
        name="mail",
        promise=f"{len(post.ids)} correos, una hora sin servidor de correo, {kills} muertes",
        findings=(
            Finding("se intentó sin servidor de correo", 1, int(tried)),
            Finding("veces que se mató a los trabajadores", size.mail_kills, kills),
            Finding("anotados como enviados", len(post.ids), sent),
            Finding("recibidos, por Message-ID", len(post.ids), len(letters)),
            Finding(
                "repetidos, con el mismo Message-ID",
                kills * WORKERS,
                letters.total() - len(letters),
                most=True,
            ),
            stage.violations(),
        ),
    )


def _owe(stage: Stage, most: int) -> list[str]:
    """Let people ask, each of which owes two messages; the names of all of these."""
    openings = stage.openings(-(-most // 2))
    asked = [
        ask(
            opening.wish(person.client),
            opening.starts_at,
            client=person.client,
            account=person.account,
            now=stage.clock.now(),
        )
        for person, opening in zip(stage.crowd(len(openings)), openings, strict=True)
    ]
    stage.advance(len(asked))
    rows = OutboxMessage.select().where(OutboxMessage.appointment.in_(asked))
    return [row.message_id for row in rows]


def _send_under_fire(stage: Stage, post: "_Post", most: int) -> int:
    """Kill the workers when a letter was taken and they have not been told; start others."""
    share = max(1, len(post.ids) // (most + 1))
    kills = 0
    lock = threading.Lock()

    def taken(count: int) -> None:
        nonlocal kills
        with lock:
            if kills < most and count >= (kills + 1) * share:
                stage.kill_workers()
                stage.advance(1)
                kills += 1

    stage.post_office.on_taken = taken
    for _ in range(most + 1):
        stage.work(WORKERS)
        seen = kills
        post.wait_until(OutboxMessage.state != Delivery.WAITING, or_else=lambda: kills > seen)  # noqa: B023
        post.let_an_hour_pass()
    stage.kill_workers()
    return kills


class _Post:
    """The messages of this scenario, as the book has them."""

    def __init__(self, stage: Stage, ids: list[str]) -> None:
        self.ids = frozenset(ids)
        self._pause = threading.Event()
        self._tries = round((START_SECONDS + MAIL_WITHIN * len(ids)) / PAUSE)
        self._stage = stage

    def count(self, condition: Any) -> int:
        return OutboxMessage.select().where(self._mine, condition).count()

    @property
    def _mine(self) -> Any:
        return OutboxMessage.message_id.in_(list(self.ids))

    def wait_until(self, condition: Any, *, or_else: Callable[[], bool] = lambda: False) -> int:
        """Return how many of them are so once all are, something else happened, or time is up."""
        for _ in range(self._tries):
            self._stage.deadline.check()
            if or_else() or self.count(condition) == len(self.ids):
                break
            self._pause.wait(PAUSE)
        return self.count(condition)

    def let_an_hour_pass(self) -> None:
        """What waits for another try, or is in the lease of a worker that died, becomes due."""
        with db.transaction():
            OutboxMessage.update(due_at=self._stage.clock.now(), claimed_until=None).where(
                self._mine, OutboxMessage.state == Delivery.WAITING
            ).execute()
