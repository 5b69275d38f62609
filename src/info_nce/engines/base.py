"""How totals are computed: the problem is a score matrix, the way to solve it is an engine."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from info_nce.checks import ArgumentError, fail
from info_nce.scores import COLUMNS, ROWS, ScoreMatrix
from info_nce.statistics import Statistic

__all__ = ["Engine", "Statistics", "Totals", "check_engine", "merged"]

Statistics = Mapping[str, Statistic]
Totals = dict[str, Tensor]


def check_engine(engine: object) -> None:
    """Refuse what is no engine; None stands for `Auto()`."""
    if engine is not None and not isinstance(engine, Engine):
        fail(
            ArgumentError,
            "engine must be an Engine.",
            got=f"engine={engine!r}",
            expected="Auto(), Dense() or Tiled()",
            hint="from info_nce.engines import Tiled; engine=Tiled()",
        )


class Engine(ABC):
    """Computes statistics of score matrices. Law: every engine gives the totals and gradients that `Dense` gives."""

    @abstractmethod
    def tiles(self, matrix: ScoreMatrix) -> Iterator[tuple[slice, slice]]:
        """In which parts to compute the matrix, row by row of tiles."""

    @abstractmethod
    def _totals(
        self, matrices: Sequence[ScoreMatrix], statistics: Statistics, directions: tuple[int, ...]
    ) -> tuple[Totals, ...]: ...

    def totals(self, matrices: Sequence[ScoreMatrix], statistics: Statistics) -> Totals:
        """The statistics of each query over its candidates in all matrices together: {name: (N)}."""
        return self._totals(matrices, statistics, (ROWS,))[0]

    def totals_both(self, matrix: ScoreMatrix, statistics: Statistics) -> tuple[Totals, Totals]:
        """The statistics of each query over the keys, and of each key over the queries, in one sweep."""
        rows, columns = self._totals([matrix], statistics, (ROWS, COLUMNS))
        return rows, columns

    def hardest(self, matrix: ScoreMatrix, count: int) -> tuple[Tensor, Tensor]:
        """The `count` negatives of each query with the largest logits: (values, columns), each (N, at most count).

        Where a query has fewer negatives, the values left over are -inf.
        """
        with torch.no_grad():
            chunks: dict[int, tuple[Tensor, Tensor]] = {}
            for rows, columns in self.tiles(matrix):
                values = matrix.tile(rows, columns).of("negatives", ROWS, float("-inf"))
                index = torch.arange(columns.start, columns.stop, device=values.device).expand_as(values)
                if rows.start in chunks:
                    before = chunks[rows.start]
                    values, index = torch.cat([before[0], values], 1), torch.cat([before[1], index], 1)
                top, where = values.topk(min(count, values.shape[1]), dim=1)
                chunks[rows.start] = top, index.gather(1, where)
            return torch.cat([v for v, _ in chunks.values()]), torch.cat([i for _, i in chunks.values()])

    def explain(self, rows: int, columns: int, dtype: torch.dtype = torch.float32) -> str:  # noqa: ARG002 - for Auto
        """Say in one line what this engine would do with a matrix of this size, and why."""
        return f"{self!r}: chosen by the caller"


def merged(statistics: Statistics, one: Totals, other: Totals) -> Totals:
    """The totals over two parts."""
    return {name: statistic.merge(one[name], other[name]) for name, statistic in statistics.items()}
