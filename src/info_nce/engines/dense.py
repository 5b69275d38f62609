"""The reference: the whole matrix at once, differentiated by autograd."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from info_nce.engines.base import Engine, Lines, Statistics, Totals, gradients, merged
from info_nce.engines.workers import pulled
from info_nce.scores import ScoreMatrix, Tile
from info_nce.statistics import Statistic

__all__ = ["Dense"]


@dataclass(frozen=True)
class Dense(Engine):
    """Stores the N x M matrix. Simple, differentiable any number of times, compiled without a graph break."""

    def tiles(self, matrix: ScoreMatrix) -> Iterator[tuple[slice, slice]]:
        """One tile: all of it."""
        rows, columns = matrix.shape
        yield slice(0, rows), slice(0, columns)

    def totals_along(
        self, matrices: Sequence[ScoreMatrix], statistics: Statistics, directions: tuple[int, ...]
    ) -> tuple[Totals, ...]:
        """Compute them from one tile per matrix."""
        tiles = [matrix.tile(*part) for matrix in matrices for part in self.tiles(matrix)]
        return tuple(
            reduce(
                lambda one, other: merged(statistics, one, other),
                ({name: _total(statistic, tile, dim) for name, statistic in statistics.items()} for tile in tiles),
            )
            for dim in directions
        )

    def pulled(
        self, matrix: ScoreMatrix, statistics: Statistics, lines: Mapping[int, Lines], wanted: Collection[str]
    ) -> Totals:
        """Of every cell at once."""
        leaves = {name: o.tensor.detach().requires_grad_(name in wanted) for name, o in matrix.operands().items()}
        (part,) = self.tiles(matrix)
        with torch.enable_grad():
            tile = matrix.with_tensors(leaves).tile(*part)
        with torch.no_grad():
            totals, slopes = [of.totals for of in lines.values()], [of.slopes for of in lines.values()]
            force = pulled(tile, statistics, tuple(lines), totals, slopes)
        return gradients([(tile.logits, force)], {name: leaves[name] for name in wanted})


def _total(statistic: Statistic, tile: Tile, dim: int) -> Tensor:
    one = tile.partners(dim) if statistic.over == "positives" and statistic.known_alone else None
    return statistic.of(tile, dim) if one is None else statistic.alone(one)
