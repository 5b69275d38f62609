"""Choose an engine from the size of the problem, and be able to say why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from info_nce.engines.base import Engine, Formula, Reduction, Statistics, Totals
from info_nce.engines.dense import Dense
from info_nce.engines.tiled import Tiled
from info_nce.precision import compute_dtype
from info_nce.scores import ScoreMatrix

__all__ = ["Auto"]

_DENSE_BYTES = 16 << 20
"""Up to here the matrix is no burden (autograd keeps about four of it), and one tile would hold it anyway."""


@dataclass(frozen=True)
class Auto(Engine):
    """Dense while the matrix is small or being compiled, tiled beyond. Values and gradients are the same."""

    def tiles(self, matrix: ScoreMatrix) -> Iterator[tuple[slice, slice]]:
        """The chosen engine's tiles."""
        return self.choose(matrix.shape[0], matrix.row_cost, matrix.query.dtype)[0].tiles(matrix)

    def choose(self, rows: int, columns: int, dtype: torch.dtype = torch.float32) -> tuple[Engine, str]:
        """Pick the engine for a matrix of this size.

        Returns:
            the engine, and the reason in words.
        """
        size = rows * columns * compute_dtype(dtype).itemsize
        text = f"the matrix of {rows:,} x {columns:,} takes {size / 2**20:,.1f} MiB"
        if torch.compiler.is_compiling():
            return Dense(), f"{text}; being compiled, and only the dense path compiles without a graph break"
        if size <= _DENSE_BYTES:
            return Dense(), f"{text}, at most {_DENSE_BYTES >> 20} MiB"
        return Tiled(), f"{text}, more than {_DENSE_BYTES >> 20} MiB"

    def _totals(
        self, matrices: Sequence[ScoreMatrix], statistics: Statistics, directions: tuple[int, ...]
    ) -> tuple[Totals, ...]:
        widest = max([matrix.row_cost for matrix in matrices])
        engine, _ = self.choose(matrices[0].shape[0], widest, matrices[0].query.dtype)
        return engine._totals(matrices, statistics, directions)  # noqa: SLF001 - engines are one family

    def loss(
        self,
        matrices: Sequence[ScoreMatrix],
        statistics: Statistics,
        formula: Formula,
        given: Mapping[str, Tensor],
        reduction: Reduction,
        *,
        symmetric: bool = False,
    ) -> Tensor:
        """Leave it to the chosen engine."""
        widest = max([matrix.row_cost for matrix in matrices])
        engine, _ = self.choose(matrices[0].shape[0], widest, matrices[0].query.dtype)
        return engine.loss(matrices, statistics, formula, given, reduction, symmetric=symmetric)

    def explain(self, rows: int, columns: int, dtype: torch.dtype = torch.float32) -> str:
        """Say in one line which engine a matrix of this size gets, and why."""
        engine, reason = self.choose(rows, columns, dtype)
        return f"{engine!r}: {reason}. Local to this process, whatever process group is up."
