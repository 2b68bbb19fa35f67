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


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A session that could be held, and what it costs in points."""

    request: str
    rank: int
    start: int
    end: int
    clinician: str
    location: str | None
    """Where the client goes; None: nowhere, it is a video session."""
    clinician_location: str | None
    """Where the clinician sits, which matters for travel."""
    room: str | None
    modality: Modality
    cost: int
    breakdown: tuple[tuple[str, int], ...]
    """(term, points) for every term, also for those without points."""
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A request without any proposal."""

    request: str


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
    timings: Mapping[str, float] = field(default_factory=dict, compare=False)
    """Seconds spent searching, as the search tells; the rest is the caller's to measure."""
