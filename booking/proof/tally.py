"""Counting what a crowd was told, and preparing what it sends."""

from collections.abc import Callable, Sequence
from functools import partial

from booking.models import Appointment
from booking.proof.outcome import Finding
from booking.proof.stage import Person, Stage
from booking.proof.times import Opening
from booking.proof.visitors import Answer, Form, in_turn

BROWSERS = 16  # That open their forms at a time, before a race.

Results = Sequence[Answer | Exception]


def done(results: Results) -> int:
    return sum(isinstance(result, Answer) and result.done for result in results)


def refused(results: Results) -> int:
    return sum(isinstance(result, Answer) and result.refused for result in results)


def others(results: Results) -> list[str]:
    """What was neither done nor refused, in a few words each."""
    return [
        f"{result.status} {result.title}" if isinstance(result, Answer) else repr(result)
        for result in results
        if not (isinstance(result, Answer) and (result.done or result.refused))
    ]


def race(what: str, results: Results) -> tuple[Finding, ...]:
    """One winner, and everybody else hears of it."""
    return (
        Finding(f"{what}: aceptadas", 1, done(results)),
        Finding(f"{what}: rechazadas con 409", len(results) - 1, refused(results)),
        Finding(f"{what}: otras respuestas", 0, len(others(results))),
    )


def forms(stage: Stage, people: Sequence[Person], openings: Sequence[Opening]) -> list[Form]:
    """The forms that people have on their screens before they all tap at once."""
    jobs = [
        partial(person.browser.form, opening.page, persona=str(person.client.id))
        for person, opening in zip(people, openings, strict=True)
    ]
    forms = in_turn(jobs, at_a_time=BROWSERS)
    stage.advance(len(forms))
    for form in forms:
        if isinstance(form, Exception):
            raise form
    return [form for form in forms if isinstance(form, Form)]


def sends(people: Sequence[Person], forms: Sequence[Form]) -> list[Callable[[], Answer]]:
    return [partial(person.browser.send, form) for person, form in zip(people, forms, strict=True)]


def kept(crowd: Sequence[Person]) -> int:
    return len(appointments_of(crowd))


def appointments_of(crowd: Sequence[Person]) -> list[Appointment]:
    """What the book holds for them."""
    accounts = [person.account.id for person in crowd]
    return list(Appointment.select().where(Appointment.account.in_(accounts)))
