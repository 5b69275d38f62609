"""The matrix is never stored: totals merge tile by tile, and each tile is computed again for its gradient.

Where a tile holds all candidates of its queries, even that is saved: its totals are complete, so that the formula is
differentiated at once and the tile turned into its gradient.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from info_nce.checks import ArgumentError, fail
from info_nce.engines import operators
from info_nce.engines.apart import apart
from info_nce.engines.base import Engine, Lines, Problem, Statistics, Totals, gradients, merged
from info_nce.engines.blocks import Spot
from info_nce.engines.dense import Dense
from info_nce.engines.sweeps import Job, complete_loss, swept_gradients, swept_totals
from info_nce.precision import compute_dtype
from info_nce.scores import ROWS, ScoreMatrix

__all__ = ["Tiled"]

_TILE_BYTES = {"cpu": 16 << 20}
"""Large enough for the product, and a few of them still fit beside any encoder."""
_ELSEWHERE_BYTES = 256 << 20
"""A GPU has more units to keep busy: thin chunks made others three times slower than the whole matrix."""
_ROWS, _MIN_ROWS = 128, 64
"""Thinner chunks starve the matrix product; below the second, the tile is cut in columns, which costs a product."""
_WIDER = 2
"""So many times its memory may a tile take before it is made thinner than that."""


@dataclass(frozen=True, repr=False)
class Tiled(Engine):
    """Exact value and gradients in memory that grows with N + M, not with N x M.

    Args:
        rows: queries per tile; None chooses from the memory that a tile may take.
        columns: candidates per tile; None takes all of them while 64 rows of them fit.
        memory: bytes that a tile may take (twice as many, where 128 rows need them); None is 16 MiB on a CPU and
            256 MiB elsewhere. Some losses need a second tile for a while.

    A gradient of a gradient (`create_graph=True`) is computed densely.
    """

    rows: int | None = None
    columns: int | None = None
    memory: int | None = None

    def __post_init__(self) -> None:
        """Refuse sizes that no tile can have."""
        for name, size in (("rows", self.rows), ("columns", self.columns)):
            if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
                fail(
                    ArgumentError,
                    f"A tile needs at least one of its {name}.",
                    got=f"{name}={size!r}",
                    expected=f"{name} >= 1",
                    hint="leave it out, and a size is chosen",
                )
        check_memory(self.memory)

    def tiles(self, matrix: ScoreMatrix) -> Iterator[tuple[slice, slice]]:
        """Row chunks, each cut in columns where a thin chunk would still be too wide."""
        rows, columns = self._size([matrix])
        for spot in _spots(matrix, rows, columns, half=False):
            yield spot.rows, spot.columns

    def _size(self, matrices: Sequence[ScoreMatrix]) -> tuple[int, int]:
        """Rows and columns of a tile, where the tiles of these matrices are held side by side."""
        query = matrices[0].query
        width = max(matrix.shape[1] for matrix in matrices)
        cost = max(1, sum(matrix.row_cost for matrix in matrices) // max(1, width))
        unit = max(matrix.row_unit for matrix in matrices)
        rows, columns = self._shape(width, cost, query.dtype.itemsize, query.device.type)
        return -(-rows // unit) * unit, columns

    def _shape(self, width: int, cost: int, itemsize: int, device: str) -> tuple[int, int]:
        """Rows and columns of a tile over so many candidates, each of which takes so many numbers."""
        numbers = (self.memory or _TILE_BYTES.get(device, _ELSEWHERE_BYTES)) // itemsize
        columns = self.columns or max(1, min(width, _WIDER * numbers // (_MIN_ROWS * cost)))
        high, wide = numbers // (cost * columns), _WIDER * numbers // (cost * columns)
        rows = self.rows or max(1, high, min(_ROWS, wide))
        return rows, columns

    def explain(self, rows: int, columns: int, dtype: torch.dtype = torch.float32) -> str:
        """Say in one line how this engine would cut a matrix of this size."""
        height, width = self._shape(columns, 1, compute_dtype(dtype).itemsize, "cpu")
        passes = "gradient formed with the value" if width >= columns else "each tile computed again for the gradient"
        return f"{self!r}: tiles of {min(height, rows):,} x {width:,} on a CPU; {passes}"

    def _job(
        self, matrices: Sequence[ScoreMatrix], statistics: Statistics, directions: tuple[int, ...]
    ) -> tuple[tuple[Totals, ...], Job]:
        """What needs no sweep, and what is left to sweep."""
        known: tuple[Totals, ...] = tuple({} for _ in directions)
        left = []
        for matrix in matrices:
            found, rest = apart(matrix, statistics, directions)
            known = tuple(merged(statistics, one, other) for one, other in zip(known, found, strict=True))
            left.append(rest)
        swept = [(matrix, rest) for matrix, rest in zip(matrices, left, strict=True) if rest]
        # suspects differ by direction, which a half of the matrix cannot tell
        half = len(swept) == 1 and swept[0][0].mirrored and swept[0][0].suspects is None and directions == (ROWS,)
        rows, columns = self._size([matrix for matrix, _ in swept] or matrices)
        spots = [tuple(_spots(matrix, rows, columns, half=half)) for matrix, _ in swept]
        return known, Job(tuple(m for m, _ in swept), tuple(s for _, s in swept), directions, half, tuple(spots))

    def totals_along(
        self, matrices: Sequence[ScoreMatrix], statistics: Statistics, directions: tuple[int, ...]
    ) -> tuple[Totals, ...]:
        """Sweep over the tiles; what needs no sweep is worked out apart."""
        if torch.compiler.is_compiling():
            return operators.totals(self, matrices, statistics, directions)
        if not len(matrices[0].query):  # nothing to cut
            return Dense().totals_along(matrices, statistics, directions)
        return _merged_sides(statistics, *self._job(matrices, statistics, directions))

    def loss(self, problem: Problem) -> Tensor:
        """Apply the formula to each tile as soon as its totals are complete, where they ever are; else to all."""
        if torch.compiler.is_compiling():
            return operators.loss(self, problem)
        if not len(problem.matrices[0].query):
            return Dense().loss(problem)
        known, job = self._job(problem.matrices, problem.statistics, problem.directions)
        if problem.reduction == "none" or not job.complete or not job.differentiable():
            return problem.reduced(_merged_sides(problem.statistics, known, job))

        def priced(found: Sequence[Totals], known: Totals, given: Totals) -> tuple[Tensor, Tensor | None]:
            total = known
            for other in found:
                total = merged(problem.statistics, total, other)
            return problem.formula({**total, **given})

        return complete_loss(job, priced, known, problem.given, problem.reduction, problem.divisor)

    def pulled(
        self, matrix: ScoreMatrix, statistics: Statistics, lines: Mapping[int, Lines], wanted: Collection[str]
    ) -> Totals:
        """Sweep over the tiles; what needs no sweep is differentiated apart."""
        if not len(matrix.query):
            return Dense().pulled(matrix, statistics, lines, wanted)
        leaves = {name: o.tensor.detach().requires_grad_(name in wanted) for name, o in matrix.operands().items()}
        with torch.enable_grad():
            known, job = self._job([matrix.with_tensors(leaves)], statistics, tuple(lines))
        ends = [
            (total, of.slopes[name])
            for found, of in zip(known, lines.values(), strict=True)
            for name, total in found.items()
            if total.requires_grad
        ]
        unswept = gradients(ends, {name: leaves[name] for name in wanted})
        if not job.matrices:
            return unswept
        totals, slopes = tuple(of.totals for of in lines.values()), tuple(of.slopes for of in lines.values())
        swept = swept_gradients(job.detached(), totals, slopes, [set(wanted)])[0]
        return {name: swept[name] + unswept[name] if ends else swept[name] for name in wanted}

    def hardest(self, matrix: ScoreMatrix, count: int) -> tuple[Tensor, Tensor]:
        """The negatives with the largest logits, tile by tile."""
        if torch.compiler.is_compiling():
            return operators.hardest(self, matrix, count)
        return super().hardest(matrix, count)


def _merged_sides(statistics: Statistics, known: tuple[Totals, ...], job: Job) -> tuple[Totals, ...]:
    """What is known and what is swept, by direction."""
    return tuple(merged(statistics, one, other) for one, other in zip(known, swept_totals(job), strict=True))


def check_memory(memory: object) -> None:
    """Refuse what is no number of bytes."""
    if memory is not None and (not isinstance(memory, int) or isinstance(memory, bool) or memory < 1):
        fail(
            ArgumentError,
            "memory must be a number of bytes.",
            got=f"memory={memory!r}",
            expected="a whole number >= 1",
            hint="memory=64 << 20 for 64 MiB; leave it out, and it is chosen",
        )


def _spots(matrix: ScoreMatrix, rows: int, columns: int, *, half: bool) -> Iterator[Spot]:
    """The tiles of a matrix; of a mirrored one, those on and above the diagonal are enough."""
    height, width = matrix.shape
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        for left in range(top if half else 0, width, columns):
            right = min(left + columns, width)
            fresh = max(left, min(bottom, right)) if half else left
            yield Spot(slice(top, bottom), slice(left, right), slice(fresh, right))
