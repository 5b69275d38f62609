"""Choose an engine from the size of the problem, and be able to say why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from info_nce.engines.base import Engine, Formula, Reduction, Statistics, Totals
from info_nce.engines.dense import Dense
from info_nce.engines.tiled import Tiled, check_memory
from info_nce.precision import compute_dtype
from info_nce.scores import ScoreMatrix

__all__ = ["Auto"]

_DENSE_BYTES = 1 << 20
"""Up to here, 512 x 512 in float32, what a tile spares costs more than storing the matrix (`benchmarks`)."""


@dataclass(frozen=True)
class Auto(Engine):
    """Dense while the matrix is small or being compiled, tiled beyond. Values and gradients are the same.

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
        size = rows * columns * compute_dtype(dtype).itemsize
        text = f"the matrix of {rows:,} x {columns:,} takes {size / 2**20:,.1f} MiB"
        if torch.compiler.is_compiling():
            return Dense(), f"{text}; being compiled, and only the dense path compiles without a graph break"
        if size <= _DENSE_BYTES:
            return Dense(), f"{text}, at most {_DENSE_BYTES >> 20} MiB"
        return Tiled(memory=self.memory), f"{text}, more than {_DENSE_BYTES >> 20} MiB"

    def _chosen(self, matrices: Sequence[ScoreMatrix]) -> Engine:
        query = matrices[0].query
        if query.device.type == "meta":  # there are no numbers that a tile could look at
            return Dense()
        return self.choose(len(query), max([matrix.row_cost for matrix in matrices]), query.dtype)[0]

    def _totals(
        self, matrices: Sequence[ScoreMatrix], statistics: Statistics, directions: tuple[int, ...]
    ) -> tuple[Totals, ...]:
        engine = self._chosen(matrices)
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
        return self._chosen(matrices).loss(matrices, statistics, formula, given, reduction, symmetric=symmetric)

    def explain(self, rows: int, columns: int, dtype: torch.dtype = torch.float32) -> str:
        """Say in one line which engine a matrix of this size gets, and why."""
        engine, reason = self.choose(rows, columns, dtype)
        how = "" if isinstance(engine, Dense) else f"; {engine.explain(rows, columns, dtype).split(': ', 1)[1]}"
        return f"{engine!r}: {reason}{how}. Local to this process, whatever process group is up."
