"""Choose an engine from the size of the problem, and be able to say why."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from info_nce.engines.base import Engine, Lines, Problem, Statistics, Totals
from info_nce.engines.dense import Dense
from info_nce.engines.tiled import Tiled, check_memory
from info_nce.precision import compute_dtype
from info_nce.scores import ScoreMatrix

__all__ = ["Auto"]

_DENSE_BYTES = 1 << 20
"""Up to here, 512 x 512 in float32, what a tile spares costs more than storing the matrix (`benchmarks`)."""


@dataclass(frozen=True, repr=False)
class Auto(Engine):
    """Dense while the matrix is small, tiled beyond. Values and gradients are the same.

    Args:
        memory: bytes that a tile may take, see `Tiled`.
    """

    memory: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no tile can fit in."""
        check_memory(self.memory)

    def tiles(self, matrix: ScoreMatrix) -> Iterator[tuple[slice, slice]]:
        """The chosen engine's tiles."""
        return self._chosen([matrix]).tiles(matrix)

    def choose(self, rows: int, columns: int, dtype: torch.dtype = torch.float32) -> tuple[Engine, str]:
        """Pick the engine for a matrix of this size.

        Returns:
            the engine, and the reason in words.
        """
        size = _bytes(rows, columns, dtype)
        text = f"the matrix of {rows:,} x {columns:,} takes {size / 2**20:,.1f} MiB"
        if size <= _DENSE_BYTES:
            return Dense(), f"{text}, at most {_DENSE_BYTES >> 20} MiB"
        return Tiled(memory=self.memory), f"{text}, more than {_DENSE_BYTES >> 20} MiB"

    def _chosen(self, matrices: Sequence[ScoreMatrix]) -> Engine:
        query = matrices[0].query
        columns = max([matrix.row_cost for matrix in matrices])
        if _bytes(len(query), columns, query.dtype) <= _DENSE_BYTES:
            return Dense()
        if query.device.type == "meta":  # there are no numbers that a tile could look at
            return Dense()
        modules = [matrix.similarity for matrix in matrices if matrix.similarity is not None]
        if modules and torch.compiler.is_compiling():  # a module cannot be part of an operator, but be compiled itself
            return Dense()
        return Tiled(memory=self.memory)

    def totals_along(
        self, matrices: Sequence[ScoreMatrix], statistics: Statistics, directions: tuple[int, ...]
    ) -> tuple[Totals, ...]:
        """Leave it to the chosen engine."""
        return self._chosen(matrices).totals_along(matrices, statistics, directions)

    def loss(self, problem: Problem) -> Tensor:
        """Leave it to the chosen engine."""
        return self._chosen(problem.matrices).loss(problem)

    def pulled(
        self, matrix: ScoreMatrix, statistics: Statistics, lines: Mapping[int, Lines], wanted: Collection[str]
    ) -> Totals:
        """Leave it to the chosen engine."""
        return self._chosen([matrix]).pulled(matrix, statistics, lines, wanted)

    def hardest(self, matrix: ScoreMatrix, count: int) -> tuple[Tensor, Tensor]:
        """Leave it to the chosen engine."""
        return self._chosen([matrix]).hardest(matrix, count)

    def explain(self, rows: int, columns: int, dtype: torch.dtype = torch.float32) -> str:
        """Say in one line which engine a matrix of this size gets, and why."""
        engine, reason = self.choose(rows, columns, dtype)
        how = "" if isinstance(engine, Dense) else f"; {engine.explain(rows, columns, dtype).split(': ', 1)[1]}"
        return f"{engine!r}: {reason}{how}. Local to this process, whatever process group is up."


def _bytes(rows: int, columns: int, dtype: torch.dtype) -> int:
    return rows * columns * compute_dtype(dtype).itemsize
