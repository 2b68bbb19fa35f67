"""What comes back: proposals with their score and reasons, and how good the answer is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from solver.problem import Modality


class Status(StrEnum):
    OPTIMAL = "optimal"
    """As many proposals as wished, and no better ones exist."""
    FEASIBLE = "feasible"
    """As many as wished; better ones may exist."""
    PARTIAL = "partial"
    """Fewer than wished."""
    NONE = "none"


class Reason(StrEnum):
    """What speaks for a proposal, or is worth knowing about it; the words are the caller's."""

    SAME_DAY = "same_day"
    SAME_WEEKDAY = "same_weekday"
    SAME_TIME = "same_time"
    SAME_DAYPART = "same_daypart"
    CLOSE_IN_TIME = "close_in_time"
    HONOURS_WISH = "honours_wish"
    SAME_CLINICIAN = "same_clinician"
    OTHER_CLINICIAN = "other_clinician"
    SAME_OFFICE = "same_office"
    OTHER_OFFICE = "other_office"
    SAME_ROOM = "same_room"
    VIDEO = "video"
    IN_PERSON = "in_person"
    TOUCHES_NEIGHBOUR = "touches_neighbour"
    NO_LOOSE_GAP = "no_loose_gap"
    SWAPS_ROOMS = "swaps_rooms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A session that could be held, and what it costs in points."""

    request: str
    rank: int
    start: int
    end: int
    clinician: str
    location: str | None
    """Where the clinician is, and in person the client, too; None: anywhere, without travel."""
    room: str | None
    modality: Modality
    cost: int
    breakdown: tuple[tuple[str, int], ...]
    """(term, points) for every term, also for those without points."""
    reasons: tuple[Reason, ...]
    swaps: tuple[Swap, ...] = ()
    """What makes the room free; nobody is moved in time."""


@dataclass(frozen=True, slots=True, order=True)
class Swap:
    """A session that stands goes to another room of its office, at its own time."""

    ref: str
    """Of the busy row."""
    room: str
    """Where it goes."""


class Group(StrEnum):
    """Rules that could give together, as people would say it; each is what somebody can relax."""

    HOURS = "hours"
    ABSENCE = "absence"
    NOTICE = "notice"
    HORIZON = "horizon"
    AGENDA = "agenda"  # Confirmed sessions and outside appointments, with buffers and travel.
    HELD = "held"  # Requests that wait, and slots offered to others.
    MAX_DAY = "max_day"
    ROOM = "room"
    CLIENT = "client"
    REFUSED = "refused"
    DATES = "dates"  # `earliest` and `latest` of the request.
    TIME_OF_DAY = "time_of_day"  # `minutes_of_day` of the request.
    CLINICIAN = "clinician"  # `allowed_clinicians`.
    LOCATION = "location"  # `allowed_locations`.
    MODALITY = "modality"  # `allowed_modalities`.


@dataclass(frozen=True, slots=True)
class Count:
    """How many different starts there are at one place, in one way, in one part of the day."""

    location: str | None
    modality: Modality
    daypart: str
    starts: int


@dataclass(frozen=True, slots=True)
class Relaxation:
    """What opens when one group, or two together, gave way."""

    groups: tuple[Group, ...]
    starts: int
    """Different starts in all; the counts overlap where a start would do at two places."""
    counts: tuple[Count, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a request has no (more) proposals, by counting."""

    request: str
    universe: int
    """Grid starts within somebody's opening hours, between notice and horizon."""
    starts: int
    """Those that nothing forbids."""
    relaxations: tuple[Relaxation, ...]
    """Only those that open something: singles first, then pairs of which neither half does."""


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A request without any proposal."""

    request: str
    explanation: Explanation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a joint search has come."""

    stage: str
    """candidates, greedy, relaxation, fixing (as often as need be), alternatives, done."""
    requests: int
    placed: int
    objective: int | None = None
    """Points of the best plan so far."""
    bound: int | None = None
    """No plan costs less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """A joint plan in people's terms; minutes are the clinicians' idle ones on days it touches."""

    days_moved: int
    clinician_changes: int
    location_changes: int
    gap_minutes_before: int
    gap_minutes_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The answer to a problem; equal for equal problems."""

    status: Status
    proposals: tuple[Proposal, ...]
    """Request after request, in the order of the problem; the cheapest first."""
    objective: int
    bound: int
    """No answer costs less."""
    gap: int
    """objective − bound, in points."""
    proven: bool
    unplaced: tuple[Unplaced, ...]
    considered: int
    """Candidates, of all requests together."""
    less_diverse: bool
    """Some proposals share their day and part of the day."""
    seed: int
    input_hash: str
    totals: Totals | None = None
    """Of a joint plan only."""
    timings: Mapping[str, float] = field(default_factory=dict, compare=False)
    """Seconds spent searching, as the search tells; the rest is the caller's to measure."""
