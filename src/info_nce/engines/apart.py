"""Statistics that need no sweep: counts, and sums of inner products, which are inner products with a sum."""

from collections.abc import Sequence

import torch
from torch import Tensor

from info_nce.engines.base import Statistics, Totals
from info_nce.pairing import Cells, Nowhere, Partner
from info_nce.scores import COLUMNS, ScoreMatrix
from info_nce.statistics import Count, Statistic, Sum

__all__ = ["apart"]


def apart(
    matrix: ScoreMatrix, statistics: Statistics, directions: Sequence[int]
) -> tuple[tuple[Totals, ...], dict[str, Statistic]]:
    """Compute what needs no sweep, with its history, in time and memory that grow with N + M.

    Returns:
        by direction, the totals found; and the statistics that are left.
    """
    if not matrix.product:
        return tuple({} for _ in directions), dict(statistics)
    found: tuple[Totals, ...] = tuple({} for _ in directions)
    left: dict[str, Statistic] = {}
    sides = [_Side(matrix, dim) for dim in directions]
    for name, statistic in statistics.items():
        totals = [side.total(statistic) for side in sides]
        for place, total in zip(found, totals, strict=True):
            if total is None:
                left[name] = statistic
            else:
                place[name] = total
    for place in found:
        for name in left:
            place.pop(name, None)
    return found, left


class _Side:
    """The matrix seen along one direction."""

    def __init__(self, matrix: ScoreMatrix, dim: int) -> None:
        self.query, self.key, self.offset = matrix.query, matrix.key, matrix.offset
        self.positives, self.out = matrix.positives, matrix.out
        self.suspects = matrix.suspects is not None
        if dim == COLUMNS:
            self.query, self.key = self.key, self.query
            self.positives, self.out = self.positives.T, self.out.T
        # an offset belongs to a column, whatever the direction
        self.known = self.offset is None or dim != COLUMNS

    def total(self, statistic: Statistic) -> Tensor | None:
        """The total of each line, or None if it takes a sweep."""
        if not self.known:
            return None
        if isinstance(statistic, Count):
            counted = self._sums(statistic.over, torch.ones_like(self.key[:, :1]))
            return None if counted is None else counted[:, 0]
        one = statistic.over == "positives" and isinstance(self.positives, Partner)  # then the sweep has it at hand
        if isinstance(statistic, Sum) and not one:
            return self._products(statistic)
        return None

    def _products(self, statistic: Sum) -> Tensor | None:
        key, query = self.key, self.query
        if statistic.over == "positives" and isinstance(self.positives, Nowhere):
            return query.new_zeros(len(query))
        if self.offset is not None:
            key = torch.cat([key, self.offset[:, None]], 1)
            query = torch.cat([query, torch.ones_like(query[:, :1])], 1)
        # of what many cells are left out, little may be left: the rounding of a large sum would show
        if statistic.over != "positives" and not isinstance(self.out, (Nowhere, Partner)):
            return None
        summed = self._sums(statistic.over, key)
        return None if summed is None else (query * summed).sum(-1)

    def _sums(self, role: str, values: Tensor) -> Tensor | None:
        """The sum of the values over the cells of a role."""
        if role == "positives":
            return _zero_or(self.positives, values, len(self.query))
        if self.suspects:
            return None
        unfit = self.out if role == "candidates" else self.out | self.positives
        less = _zero_or(unfit, values, len(self.query))
        return None if less is None else values.sum(0) - less


def _zero_or(cells: Cells, values: Tensor, rows: int) -> Tensor | None:
    return values.new_zeros(rows, values.shape[1]) if isinstance(cells, Nowhere) else cells.sums(values)
