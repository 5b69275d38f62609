"""The reference: the whole matrix at once, differentiated by autograd."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from info_nce.engines.base import Engine, Statistics, Totals, sweep
from info_nce.scores import ScoreMatrix

__all__ = ["Dense"]


@dataclass(frozen=True)
class Dense(Engine):
    """Stores the N x M matrix. Simple, differentiable any number of times, compiled without a graph break."""

    def tiles(self, matrix: ScoreMatrix) -> Iterator[tuple[slice, slice]]:
        """One tile: all of it."""
        rows, columns = matrix.shape
        yield slice(0, rows), slice(0, columns)

    def _totals(
        self, matrices: Sequence[ScoreMatrix], statistics: Statistics, directions: tuple[int, ...]
    ) -> tuple[Totals, ...]:
        return sweep(self, matrices, statistics, directions)
