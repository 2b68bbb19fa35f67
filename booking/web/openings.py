"""Why a search brings so little, and what would open more: an explanation as taps and sentences."""

from collections.abc import Iterator
from dataclasses import dataclass

from flask_babel import gettext as _
from flask_babel import ngettext

import solver
from booking.availability import DAYPARTS, Plan
from booking.models import Appointment, Location
from booking.web import words
from solver import Count, Explanation, Group, Relaxation

MOST_TAPS = 6


@dataclass(frozen=True, slots=True)
class Tap:
    """A button that widens the search: what it says, and what it changes in the controls."""

    words: str
    relaxes: str


@dataclass(frozen=True, slots=True)
class Openings:
    taps: list[Tap]
    sentences: list[str]


def openings(the: Plan, row: Appointment, explanation: Explanation) -> Openings:
    """What the clinician can change with one tap, and what stands in the way besides."""
    taps = [
        tap
        for relaxation in explanation.relaxations
        for tap in _taps(the, row, explanation, relaxation)
    ]
    return Openings(taps[:MOST_TAPS], list(_sentences(the, row, explanation)))


RELAXES = {
    Group.LOCATION: "otro_consultorio",
    Group.MODALITY: "video",
    Group.CLINICIAN: "otro_profesional",
    Group.DATES: "fechas",
    Group.TIME_OF_DAY: "horas",
}


def _taps(
    the: Plan, row: Appointment, explanation: Explanation, relaxation: Relaxation
) -> Iterator[Tap]:
    """One for each office that opens; one for what is the same everywhere."""
    groups = set(relaxation.groups)
    if not groups <= RELAXES.keys():
        return
    if row.location_id is None:  # To go to an office instead is one control, not two.
        groups -= {Group.MODALITY} if Group.LOCATION in groups else set()
    relaxes = "+".join(RELAXES[group] for group in Group if group in groups)
    how = [str(words.INSTEAD[group]) for group in Group if group in groups - {Group.LOCATION}]
    if Group.LOCATION not in groups:
        more = relaxation.starts - explanation.starts
        if more:  # Else only the same times, in another way.
            yield Tap(words.times_open(more, how), relaxes)
        return
    for place, starts in _by_office(the, relaxation).items():
        if place.id != row.location_id:
            yield Tap(words.times_open(starts, [words.in_place(place), *how]), relaxes)


def _by_office(the: Plan, relaxation: Relaxation) -> dict[Location, int]:
    found: dict[Location, int] = {}
    for count in _in_person(relaxation):
        place = the.locations[int(count.location or 0)]
        found[place] = found.get(place, 0) + count.starts
    return found


def _in_person(relaxation: Relaxation) -> list[Count]:
    return [c for c in relaxation.counts if c.modality is solver.Modality.IN_PERSON]


def _sentences(the: Plan, row: Appointment, explanation: Explanation) -> Iterator[str]:
    """What no control can change, in the order in which people would think of it."""
    alone = {r.groups[0]: r for r in explanation.relaxations if len(r.groups) == 1}
    name = the.clinicians[row.clinician_id].name
    if Group.ROOM in alone:
        yield from _without_room(the, alone[Group.ROOM])
    if Group.MAX_DAY in alone:
        yield _("%(name)s ya tiene todas sus sesiones en algunos de esos días.", name=name)
    if Group.HELD in alone:
        count = alone[Group.HELD].starts - explanation.starts
        yield ngettext(
            "%(n)s horario se guarda para otros clientes.",
            "%(n)s horarios se guardan para otros clientes.",
            count,
            n=count,
        )
    if Group.CLIENT in alone:
        yield _("El cliente ya tiene otra cita en algunos de esos horarios.")
    if Group.REFUSED in alone:
        yield _("Lo que pidió el cliente, y lo que ya se le ofreció, no se propone otra vez.")
    if Group.ABSENCE in alone:
        yield _("%(name)s no atiende en una parte de esas fechas.", name=name)
    if Group.AGENDA in alone:
        yield _("Las citas confirmadas de %(name)s ocupan lo demás.", name=name)


def _without_room(the: Plan, relaxation: Relaxation) -> Iterator[str]:
    """«Sin sala libre en Centro por las mañanas.»"""
    parts: dict[Location, set[str]] = {}
    for count in _in_person(relaxation):
        parts.setdefault(the.locations[int(count.location or 0)], set()).add(count.daypart)
    for place, names in parts.items():
        told = [str(words.OFTEN[part.name]) for part in DAYPARTS if part.name in names]
        when = words.together(told)
        yield _("Sin sala libre en %(place)s %(when)s.", place=place.name, when=when)
