"""Every rule × method × identity × own, foreign or missing thing answers as its view declares."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from booking import gateway
from booking.db import database
from booking.models import Appointment, BlockedTime, Client
from booking.operations import agenda, replanning
from booking.queries import staff as queries
from booking.web.access import For, Thing, audience_of, things_of
from tests.web.cast import HALF_IN, SHUT_OUT, STAFF, Cast, Object

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
WITHOUT_THINGS = Object({})
LET_IN = {
    For.HALF_IN: (*STAFF, HALF_IN),
    For.STAFF: (*STAFF, HALF_IN),
    For.MANAGER: ("manager",),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One rule asked with one method, by somebody, about something."""

    rule: Rule
    method: str
    who: str
    thing: Object

    def __str__(self) -> str:
        return f"{self.method} {self.rule.rule} {dict(self.thing.values)} as {self.who}"


def cells(app: Flask, cast: Cast) -> Iterator[Cell]:
    for rule in app.url_map.iter_rules():
        thing = about(app, rule)
        for method in METHODS:
            # Where no view runs, it does not matter whose thing it would have been.
            dispatched = method in (rule.methods or ()) and method != "OPTIONS"
            objects = cast.objects[thing.kind] if thing else [WITHOUT_THINGS]
            for who in cast.people:
                for each in objects if dispatched else objects[:1]:
                    yield Cell(rule, method, who, each)


def about(app: Flask, rule: Rule) -> Thing | None:
    """The thing that the rule's path names."""
    things = things_of(app, rule.endpoint)
    return next((thing for thing in things if thing.parameter in rule.arguments), None)


def refusal(app: Flask, cell: Cell) -> int | None:
    """The status with which the declaration says that a cell is refused; None: it is not."""
    audience = audience_of(app, cell.rule.endpoint)
    if cell.method not in (cell.rule.methods or ()):
        return 405
    if audience not in (For.PUBLIC, For.DEMO) and cell.who in SHUT_OUT:
        return 303
    if audience in LET_IN and cell.who not in LET_IN[audience]:
        return 404
    if audience in (For.CLIENT, For.STAFF) and cell.who == HALF_IN:
        return 303
    thing = about(app, cell.rule)
    if cell.method == "OPTIONS" or thing is None:
        return None
    return None if cell.thing.ties.get(cell.who) in thing.open_to else thing.refused


def address(rule: Rule, thing: Object) -> str:
    """The path of a rule that names a thing."""
    return re.sub(r"<[^>]*?(\w+)>", lambda name: str(thing.values[name[1]]), rule.rule)


def ask(browser: FlaskClient, cell: Cell) -> TestResponse:
    """The cell's answer; whatever it changed is undone."""
    with database.atomic() as everything:
        answer = browser.open(address(cell.rule, cell.thing), method=cell.method)
        everything.rollback()
    return answer


ALLOWED = {200, 302, 303, 409, 410, 422}


def judged(cell: Cell, answer: TestResponse, refused: int | None) -> str:
    """What is wrong with an answer, or nothing."""
    door = "/segundo-paso?sig=" if cell.who == HALF_IN else "/entrar?sig="
    to_the_door = (answer.location or "").startswith(door)
    if refused is None:
        right = answer.status_code in ALLOWED and not to_the_door
    elif refused == 303:
        right = answer.status_code == 303 and to_the_door
    else:
        right = answer.status_code == refused
    return "" if right else f"{cell}: {answer.status}, not {refused or 'allowed'}"


def anonymised(text: str) -> str:
    """An answer without what differs each time, or repeats the address that was asked for."""
    text = re.sub(r'name="llave" value="[^"]+"', "", text)
    return re.sub(r'name="volver" value="[^"]*"', "", text)


def wrong(app: Flask, cast: Cast, chosen: Iterator[Cell]) -> list[str]:
    """Every cell that does not answer as declared, and every foreign one that differs."""
    found: list[str] = []
    missing: dict[tuple[str, ...], list[tuple[Cell, str]]] = {}
    foreign: dict[tuple[str, ...], list[tuple[Cell, str]]] = {}
    for cell in chosen:
        refused, answer = refusal(app, cell), ask(cast.people[cell.who], cell)
        found.append(judged(cell, answer, refused))
        if refused is not None and about(app, cell.rule) and cell.who not in (HALF_IN, *SHUT_OUT):
            group = missing if not cell.thing.exists else foreign
            key = (cell.rule.rule, cell.method, cell.who)
            group.setdefault(key, []).append((cell, anonymised(answer.text)))
    for asked, answers in foreign.items():
        for cell, text in answers:
            if asked in missing and text != missing[asked][0][1]:
                found.append(f"{cell}: not what a missing one gets")
    return [each for each in found if each]


def essential(app: Flask, cast: Cast) -> Iterator[Cell]:
    """The cells in which something can be wrong that no other shows: one own thing is enough."""
    seen = set()
    for cell in cells(app, cast):
        if cell.method not in ("GET", "POST") or cell.method not in (cell.rule.methods or ()):
            if cell.who == ("manager" if cell.method == "HEAD" else "anonymous"):
                yield cell
            continue
        refused = refusal(app, cell)
        staff_only = audience_of(app, cell.rule.endpoint) is For.STAFF
        whose = cell.thing if refused == 404 and (cell.who in STAFF or not staff_only) else None
        key = (cell.rule.rule, cell.method, cell.who if refused else "let in", id(whose))
        if key not in seen:
            seen.add(key)
            yield cell


def test_every_cell_that_matters_is_as_declared(app, cast):
    assert wrong(app, cast, essential(app, cast)) == []


@pytest.mark.long
def test_every_cell_is_as_declared(app, cast):
    everything = list(cells(app, cast))
    assert len(everything) > 5_000
    assert wrong(app, cast, iter(everything)) == []


def named_elsewhere(app: Flask) -> Iterator[tuple[Rule, Thing]]:
    """What queries and forms name, by the rule that reads it."""
    for rule in app.url_map.iter_rules():
        for thing in things_of(app, rule.endpoint):
            if thing.parameter not in rule.arguments:
                yield rule, thing


# What a form says besides, so that the view gets as far as the thing that it names.
BESIDES = {
    "servicio": "individual",
    "consultorio": "centro",
    "hora": "2027-03-08T16:00Z",
    "hacer": "exclude",
    "promesa": "1",
    "busqueda": "1",
}


@pytest.mark.parametrize("who", ["holder", "clinician"])
def test_what_a_query_or_a_form_names_is_nobodys_unless_it_is_ones_own(app, cast, who):
    """Somebody else's gets the answer of one that does not exist."""
    asked = 0
    for rule, thing in named_elsewhere(app):
        if audience_of(app, rule.endpoint) is not (For.CLIENT if who == "holder" else For.STAFF):
            continue
        own = about(app, rule)
        path = next(o for o in cast.objects[own.kind] if who in o.ties) if own else WITHOUT_THINGS
        for method in sorted({"GET", "POST"} & (rule.methods or set())):
            strangers = [o for o in cast.objects[thing.kind] if o.exists and who not in o.ties]
            *foreign, missing = [
                _told(cast.people[who], rule, method, path, {thing.parameter: str(value)})
                for value in [*(_name(o) for o in strangers), _name(cast.objects[thing.kind][-1])]
            ]
            assert foreign, thing
            assert [each for each in foreign if each != missing] == [], (rule, method, thing)
            asked += len(foreign)
    assert asked > 10


def _name(thing: Object) -> object:
    """What stands for a thing in a form: the first of its values."""
    return next(iter(thing.values.values()))


def _told(
    browser: FlaskClient, rule: Rule, method: str, path: Object, named: dict[str, str]
) -> tuple[int, str]:
    with database.atomic() as everything:
        answer = browser.open(
            address(rule, path),
            method=method,
            query_string=BESIDES | named,
            data=BESIDES | named if method == "POST" else None,
        )
        everything.rollback()
    ((parameter, name),) = named.items()
    said = re.sub(rf"\b{parameter}={re.escape(name)}\b", "", anonymised(answer.text))
    return answer.status_code, said


def test_a_gateway_without_scope_turns_the_matrix_red(app, cast, monkeypatch):
    monkeypatch.setattr(gateway, "scope", lambda actor: Appointment.id > 0)
    found = wrong(app, cast, (c for c in essential(app, cast) if c.rule.endpoint in OF_SESSIONS))
    assert {cell.split()[1] for cell in found} >= {
        rule.rule for rule in app.url_map.iter_rules() if rule.endpoint in OF_SESSIONS
    }


OF_SESSIONS = {"appointments.show", "appointments.cancel", "agenda.room", "requests.accept"}


LEAKS = [
    (queries, "_clients", lambda actor: Client.select(), "clients.show"),
    (queries, "blocked_time", lambda actor, id_: BlockedTime.get_by_id(id_), "agenda.blocked"),
    (agenda, "own_time", lambda actor, id_: None, "agenda.unblock"),
    (replanning, "own_time", lambda actor, id_: None, "replans.show"),
]


def test_a_query_without_scope_turns_the_matrix_red(app, cast, monkeypatch):
    every = list(essential(app, cast))
    for module, name, leak, endpoint in LEAKS:
        chosen = [c for c in every if c.rule.endpoint == endpoint and c.thing.exists]
        assert wrong(app, cast, iter(chosen)) == []
        with monkeypatch.context() as broken:
            broken.setattr(module, name, leak)
            assert wrong(app, cast, iter(chosen)), name
