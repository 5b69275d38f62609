"""How a matrix is cut: into parts, and the cells of a part into a few rows at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Spot", "blocks"]

_CACHED = 1 << 17
"""512 KiB of float32 for each thread: a few such operands fit in the second cache of a current server's core."""


@dataclass(frozen=True)
class Spot:
    """Where a part lies.

    `fresh` are the columns that count as columns, too: in a mirrored matrix, those that are not among the rows so far.
    """

    rows: slice
    columns: slice
    fresh: slice

    @property
    def stale(self) -> int:
        """How many of the columns are not fresh."""
        stale: int = self.fresh.start - self.columns.start
        return stale


def blocks(cells: Tensor) -> Iterator[slice]:
    """Cut the rows of a tile, so that what one step of work writes is still in the cache for the next.

    On anything but a CPU each step costs a launch: there, the tile stays whole.
    """
    rows, columns = cells.shape
    step = max(1, _CACHED * torch.get_num_threads() // max(1, columns)) if cells.device.type == "cpu" else max(1, rows)
    for top in range(0, rows, step):
        yield slice(top, min(top + step, rows))
