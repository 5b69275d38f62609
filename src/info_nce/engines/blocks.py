"""Work on a tile's cells a few rows at a time, so that what one step writes is still in the cache for the next."""

from collections.abc import Iterator

from torch import Tensor

__all__ = ["blocks"]

_CACHED = 1 << 18
"""1 MiB of float32: half of what a core of a current server keeps in its second cache."""


def blocks(cells: Tensor) -> Iterator[slice]:
    """Cut the rows of a tile; on anything but a CPU, where each step costs a launch, into one."""
    rows, columns = cells.shape
    step = max(1, _CACHED // max(1, columns)) if cells.device.type == "cpu" else max(1, rows)
    for top in range(0, rows, step):
        yield slice(top, min(top + step, rows))
