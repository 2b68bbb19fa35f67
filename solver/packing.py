"""Which columns go together: what is taken, who excludes whom, and what no plan can beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from solver.columns import Bools, Columns, Ints, Lanes, Stays


@dataclass(frozen=True, slots=True)
class Taken:
    """What chosen columns leave to others."""

    lanes: Lanes
    begin: Ints
    end: Ints

    @staticmethod
    def by(columns: Columns) -> Taken:
        stays = columns.stays()
        used = stays.begin < stays.end
        lanes = columns.sessions.lanes
        return Taken(lanes, np.sort(stays.begin[used]), np.sort(stays.end[used]))

    def and_by(self, stays: Stays) -> Taken:
        used = stays.begin < stays.end
        begin, end = np.sort(stays.begin[used]), np.sort(stays.end[used])
        return Taken(
            self.lanes,
            np.insert(self.begin, np.searchsorted(self.begin, begin), begin),
            np.insert(self.end, np.searchsorted(self.end, end), end),
        )

    def at(self, moments: Ints) -> Ints:
        """How many are there."""
        come = np.searchsorted(self.begin, moments, side="right")
        gone = np.searchsorted(self.end, moments, side="right")
        return come - gone

    def leaves(self, stays: Stays) -> Bools:
        """Which of these still fit."""
        ahead = np.searchsorted(self.begin, stays.end)
        over = np.searchsorted(self.end, stays.begin, side="right")
        most = self.lanes.most_at(stays.begin)
        free: Bools = ((ahead - over < most) | (stays.begin == stays.end)).all(axis=0)
        return free


@dataclass(frozen=True, slots=True)
class Rows:
    """At each of these moments of some lane, no more than `most` of the members."""

    moments: Ints
    most: Ints
    row: Ints
    """With `column`: the pairs of a row and its member, by row."""
    column: Ints

    def members(self) -> list[Ints]:
        edges = np.searchsorted(self.row, np.arange(len(self.most) + 1)).tolist()
        return [self.column[a:b] for a, b in pairwise(edges)]


def rows_among(columns: Columns, taken: Taken) -> Rows:
    """Whoever is somewhere at one moment: the largest such sets, of more than one request."""
    stays = columns.stays()
    used = stays.begin < stays.end
    column = np.nonzero(used)[1]
    begin, end = stays.begin[used], stays.end[used]
    moments = np.unique(begin)
    if len(moments):
        # What begins before anybody leaves joins those who are there already.
        leaving = np.searchsorted(np.sort(end), np.append(moments, end.max()), side="right")
        moments = moments[np.diff(leaving) > 0]
    first, last = np.searchsorted(moments, begin), np.searchsorted(moments, end)
    count = last - first
    row = np.repeat(first - np.cumsum(count) + count, count) + np.arange(count.sum())
    column = np.repeat(column, count)
    most = columns.sessions.lanes.most_at(moments) - taken.at(moments)
    return _worth_saying(columns, Rows(moments, most, row, column))


def _worth_saying(columns: Columns, rows: Rows) -> Rows:
    """Without those that so few requests cannot break."""
    requests = int(columns.request[-1]) + 1 if len(columns) else 1
    pairs = np.unique(rows.row * requests + columns.request[rows.column])
    kept = np.bincount(pairs // requests, minlength=len(rows.most)) > rows.most
    renamed = np.cumsum(kept) - 1
    chosen = kept[rows.row]
    row, column = renamed[rows.row[chosen]], rows.column[chosen]
    order = np.argsort(row, kind="stable")
    return Rows(rows.moments[kept], rows.most[kept], row[order], column[order])


def first_fit(columns: Columns, taken: Taken, order: Sequence[int], requests: int) -> list[int]:
    """Each in turn takes the cheapest column that still fits."""
    bounds, chosen = columns.bounds(requests).tolist(), []
    for n in order:
        # Most often one of the first will do.
        for a, b in pairwise((0, 64, 1024, len(columns))):
            some = np.arange(min(bounds[n] + a, bounds[n + 1]), min(bounds[n] + b, bounds[n + 1]))
            stays = columns[some].stays()
            fits = taken.leaves(stays).nonzero()[0]
            if len(fits):
                chosen.append(int(some[fits[0]]))
                taken = taken.and_by(stays[fits[:1]])
                break
    return sorted(chosen)
