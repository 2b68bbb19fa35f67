"""What no joint plan can beat: the linear relaxation, by column generation.

Prices on the rows take the place of the rules. Whatever the prices, each request's cheapest column
at those prices adds up to a bound for all plans; good prices come from the relaxation of a few
columns, which in turn shows which others it lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from solver import model
from solver.columns import LIMITLESS, Columns, Ints
from solver.packing import Rows, Taken, rows_among

CHEAPEST_FIRST = 40
MORE_EACH_ROUND = 12
ROUNDS = 200
CLOSE = 0.01
"""Points between the relaxation and the bound that no longer matter."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A joint search for one rank: at most one of its columns for each request."""

    columns: Columns
    taken: Taken
    points: Ints
    """Of each column, with its request's weight."""
    unplaced: Ints
    """Of each request that has none; more than any plan that places it could cost."""
    beyond: Ints
    """Of each request: no column that was left out has fewer points."""

    def total(self, chosen: Sequence[int]) -> int:
        without = np.delete(self.unplaced, self.columns.request[chosen])
        return int(self.points[chosen].sum() + without.sum())


@dataclass(frozen=True, slots=True)
class Bound:
    """In parts of a point, so that sums are exact; `scale` parts are a point."""

    scale: int
    parts: int
    """No plan costs less."""
    excess: Ints
    """A plan with this column costs at least so much more."""
    outside: int
    """And one with a column that was left out, so much."""

    @property
    def least(self) -> int:
        return -(-self.parts // self.scale)

    @property
    def least_outside(self) -> int:
        return -(-(self.parts + self.outside) // self.scale)

    def points_of(self, columns: int) -> int:
        """Of the best plans that so many columns suffice for."""
        if columns >= len(self.excess):
            return LIMITLESS
        return (self.parts + int(np.partition(self.excess, columns)[columns])) // self.scale

    def columns_within(self, points: int) -> Ints:
        """Those that a plan of no more than so many points could have."""
        return (self.parts + self.excess <= points * self.scale).nonzero()[0]


def relax(
    instance: Instance,
    start: Sequence[int],
    enough: int,
    hear: Callable[[Bound], None],
    late: Callable[[], bool],
) -> Bound:
    """The best bound that prices give, or the first to reach `enough`."""
    pricing = Pricing(instance)
    active = _first_columns(instance, start)
    best: Bound | None = None
    for _ in range(ROUNDS):
        columns = instance.columns[active]
        rows = rows_among(columns, instance.taken)
        points = instance.points[active]
        value, prices = model.relax(points, columns.request, instance.unplaced, rows)
        priced = pricing.bound(rows, prices)
        if best is None or priced.parts > best.parts:
            best = priced
            hear(best)
        more = _lacking(instance, priced.excess, active)
        close = value - best.parts / best.scale < CLOSE
        if best.least >= enough or close or not len(more) or late():
            break
        active = np.union1d(active, more)
    assert best is not None
    return best


def _first_columns(instance: Instance, start: Sequence[int]) -> Ints:
    bounds = instance.columns.bounds(len(instance.unplaced))
    rank = np.arange(len(instance.columns)) - bounds[instance.columns.request]
    return np.union1d((rank < CHEAPEST_FIRST).nonzero()[0], np.array(start, np.int64))


def _lacking(instance: Instance, excess: Ints, active: Ints) -> Ints:
    """Of each request, some columns that are better than all that take part."""
    found = []
    requests = instance.columns.request
    bounds = instance.columns.bounds(len(instance.unplaced)).tolist()
    now = np.searchsorted(requests[active], np.arange(len(bounds))).tolist()
    for n, (a, b) in enumerate(pairwise(bounds)):
        taking_part = excess[active[now[n] : now[n + 1]]]
        if len(taking_part):
            better = (excess[a:b] < taking_part.min()).nonzero()[0]
            if len(better) > MORE_EACH_ROUND:
                better = better[np.argsort(excess[a + better], kind="stable")[:MORE_EACH_ROUND]]
            found.append(a + better)
    return np.concatenate(found) if found else active[:0]


class Pricing:
    """Adds prices up along the lanes; many columns share a session."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        columns = instance.columns
        self.requests, self.first = np.unique(columns.request, return_index=True)
        self.used, self.session = np.unique(columns.session, return_inverse=True)
        self.stays = columns.sessions.stays[self.used]
        self.of_clients = list(columns.of_clients())
        # Sums must stay below 2^63.
        most = int(instance.unplaced.sum()) + int(instance.points.max(initial=0)) + 1
        self.scale = 1 << max(0, min(20, 60 - most.bit_length()))

    def bound(self, rows: Rows, prices: Sequence[float]) -> Bound:
        parts = np.maximum(0, np.rint(np.array(prices) * self.scale)).astype(np.int64)
        added = np.append(0, np.cumsum(parts))

        def until(edge: Ints) -> Ints:
            return added[np.searchsorted(rows.moments, edge)]

        def along(begin: Ints, end: Ints) -> Ints:
            return until(end) - until(begin)

        stays = self.stays
        paid = sum(map(along, stays.begin, stays.end), np.zeros(len(self.used), np.int64))
        cost = self.instance.points * self.scale + paid[self.session]
        for n, begin, end in self.of_clients:
            cost[n] += along(begin, end)
        return self._from(cost, int((parts * rows.most).sum()))

    def _from(self, cost: Ints, paid: int) -> Bound:
        """What the requests would choose on their own, but for what the rows let happen."""
        cheapest = self.instance.unplaced * self.scale
        left_out = self.instance.beyond < LIMITLESS
        outside = self.instance.beyond[left_out] * self.scale
        cheapest[left_out] = np.minimum(cheapest[left_out], outside)
        best = np.minimum.reduceat(cost, self.first) if len(cost) else cost
        cheapest[self.requests] = np.minimum(cheapest[self.requests], best)
        return Bound(
            scale=self.scale,
            parts=int(cheapest.sum()) - paid,
            excess=cost - cheapest[self.instance.columns.request],
            outside=int((outside - cheapest[left_out]).min(initial=LIMITLESS)),
        )
