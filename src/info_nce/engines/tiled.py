"""The matrix is never stored: totals merge tile by tile, and each tile is computed again for its gradient."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from info_nce.checks import ArgumentError, fail
from info_nce.engines.base import Engine, Statistics, Totals
from info_nce.engines.dense import Dense
from info_nce.precision import without_autocast
from info_nce.scores import ROWS, ScoreMatrix

__all__ = ["Tiled"]

_TILE_NUMBERS = 1 << 22
"""16 MiB of float32: large enough for the product, and a few of them still fit beside any encoder."""
_MIN_ROWS = 64
"""Thinner chunks starve the matrix product; beyond that the tile is cut in columns."""


@dataclass(frozen=True)
class Tiled(Engine):
    """Exact value and gradients in memory that grows with N + M, not with N x M.

    Args:
        rows: queries per tile; None chooses from the memory that a tile may take.
        columns: candidates per tile; None takes all of them while 64 rows of them fit.

    A gradient of a gradient (`create_graph=True`) is computed densely.
    """

    rows: int | None = None
    columns: int | None = None

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

    def tiles(self, matrix: ScoreMatrix) -> Iterator[tuple[slice, slice]]:
        """Row chunks, each cut in columns where a thin chunk would still be too wide."""
        height, width = matrix.shape
        cost = max(1, matrix.row_cost // max(1, width))
        columns = self.columns or max(1, min(width, _TILE_NUMBERS // (_MIN_ROWS * cost)))
        rows = self.rows or max(1, _TILE_NUMBERS // (cost * columns))
        rows = -(-rows // matrix.row_unit) * matrix.row_unit
        for top in range(0, height, rows):
            for left in range(0, width, columns):
                yield slice(top, min(top + rows, height)), slice(left, min(left + columns, width))

    def _totals(
        self, matrices: Sequence[ScoreMatrix], statistics: Statistics, directions: tuple[int, ...]
    ) -> tuple[Totals, ...]:
        tensors = [operand.tensor for matrix in matrices for operand in matrix.operands().values()]
        flat: tuple[Tensor, ...] = _Totals.apply(  # type: ignore[no-untyped-call]
            self, _detached(matrices), statistics, directions, *tensors
        )
        return _named(flat, statistics, directions)


def _detached(matrices: Sequence[ScoreMatrix]) -> list[ScoreMatrix]:
    """The same matrices without history, so that keeping them keeps no graph alive."""
    return _rebuilt(matrices, [o.tensor.detach() for matrix in matrices for o in matrix.operands().values()])


def _rebuilt(matrices: Sequence[ScoreMatrix], tensors: Sequence[Tensor]) -> list[ScoreMatrix]:
    supply = iter(tensors)
    return [matrix.with_tensors({name: next(supply) for name in matrix.operands()}) for matrix in matrices]


def _named(flat: Sequence[Tensor], statistics: Statistics, directions: tuple[int, ...]) -> tuple[Totals, ...]:
    supply = iter(flat)
    return tuple({name: next(supply) for name in statistics} for _ in directions)


class _Totals(torch.autograd.Function):
    """One sweep forward; backward, one more, in which each tile's cells get their share of the totals' gradients."""

    @staticmethod
    def forward(
        ctx: Any,
        engine: Tiled,
        matrices: list[ScoreMatrix],
        statistics: Statistics,
        directions: tuple[int, ...],
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        totals = _sweep(engine, matrices, statistics, directions)
        flat = [total[name] for total in totals for name in statistics]
        ctx.engine, ctx.matrices, ctx.statistics, ctx.directions = engine, matrices, statistics, directions
        fixed = [t for t, s in zip(flat, [*statistics.values()] * len(directions), strict=True) if not s.differentiable]
        ctx.mark_non_differentiable(*fixed)
        ctx.save_for_backward(*tensors, *flat)
        return tuple(flat)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors
        tensors, flat = saved[: -len(gradients)], saved[-len(gradients) :]
        needed = ctx.needs_input_grad[4:]
        again = torch.is_grad_enabled()
        backward = _backward_again if again else _backward
        # each operand on its own, even where one tensor plays several parts or is made from another
        parts = [tensor.view_as(tensor) for tensor in tensors] if again else tensors
        with without_autocast(tensors[0].device.type):  # a caller may run backward inside of it
            found = backward(ctx, _rebuilt(ctx.matrices, parts), flat, gradients, needed)
        return (None, None, None, None, *found)


def _sweep(
    engine: Tiled, matrices: list[ScoreMatrix], statistics: Statistics, directions: tuple[int, ...]
) -> tuple[Totals, ...]:
    """Visit every tile once and merge its totals into those of its lines.

    The totals are allocated once and filled in place: a small tensor kept from each tile would sit in the middle of the
    memory that the tile leaves behind, and the next tile would need new memory.
    """
    query = matrices[0].query
    totals = tuple(
        {name: query.new_full((matrices[0].shape[1 - dim],), s.identity) for name, s in statistics.items()}
        for dim in directions
    )
    for matrix in matrices:
        for rows, columns in engine.tiles(matrix):
            tile = matrix.tile(rows, columns)
            for dim, total in zip(directions, totals, strict=True):
                part = rows if dim == ROWS else columns
                for name, statistic in statistics.items():
                    total[name][part] = statistic.merge(total[name][part], statistic.of(tile, dim))
    return totals


def _backward(
    ctx: Any, matrices: list[ScoreMatrix], flat: Sequence[Tensor], gradients: Sequence[Tensor], needed: Sequence[bool]
) -> list[Tensor | None]:
    totals = _named(flat, ctx.statistics, ctx.directions)
    slopes = _named(gradients, ctx.statistics, ctx.directions)
    found: list[Tensor | None] = []
    flags = iter(needed)
    for matrix in matrices:
        operands = matrix.operands()
        wanted = [name for name in operands if next(flags)]
        sums = {name: torch.zeros_like(operands[name].tensor) for name in wanted}
        for rows, columns in ctx.engine.tiles(matrix) if wanted else ():
            pieces = {name: operand.take(rows, columns).detach() for name, operand in operands.items()}
            leaves = [pieces[name].requires_grad_() for name in wanted]
            with torch.enable_grad():
                tile = matrix.tile(rows, columns, pieces)
            force = torch.zeros_like(tile.logits)
            for dim, total, slope in zip(ctx.directions, totals, slopes, strict=True):
                part = rows if dim == ROWS else columns
                for name, statistic in ctx.statistics.items():
                    if statistic.differentiable:
                        share = statistic.pull(tile, dim, total[name][part])
                        force.addcmul_(share.detach(), slope[name][part].unsqueeze(dim))
            for name, piece in zip(wanted, torch.autograd.grad(tile.logits, leaves, force), strict=True):
                operands[name].give(sums[name], rows, columns, piece)
        found += [sums.get(name) for name in operands]
    return found


def _backward_again(
    ctx: Any, matrices: list[ScoreMatrix], _: Sequence[Tensor], gradients: Sequence[Tensor], needed: Sequence[bool]
) -> list[Tensor | None]:
    """Form gradients that can be differentiated again: recompute the totals densely, with history."""
    tensors = [operand.tensor for matrix in matrices for operand in matrix.operands().values()]
    wanted = [tensor for tensor, need in zip(tensors, needed, strict=True) if need]
    outputs: list[Tensor] = []
    slopes: list[Tensor] = []
    totals = Dense()._totals(matrices, ctx.statistics, ctx.directions)  # noqa: SLF001 - engines are one family
    for total, slope in zip(totals, _named(gradients, ctx.statistics, ctx.directions), strict=True):
        for name, statistic in ctx.statistics.items():
            if statistic.differentiable and total[name].requires_grad:
                outputs.append(total[name])
                slopes.append(slope[name])
    supply = iter(torch.autograd.grad(outputs, wanted, slopes, create_graph=True, allow_unused=True))
    return [next(supply) if need else None for need in needed]
