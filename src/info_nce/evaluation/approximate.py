"""Search that looks at a part of an index only, through faiss: some of the nearest are missed, in exchange for time."""

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from info_nce.errors import SettingError
from info_nce.evaluation.index import Index
from info_nce.recipes.files import write_safely

# As many vectors for each cell are what k-means needs to place it, by faiss's own measure.
_PER_CELL = 39
# Of the cells, this share is looked at for a query.
_LOOKED_AT = 1 / 16
_ROWS = 1 << 16


def approximate_nearest(
    path: Path, index: Index, query: Float[Tensor, "n d"], k: int
) -> tuple[Float[Tensor, "n k"], Int64[Tensor, "n k"]]:
    """Who is nearest, among the vectors in the cells around each query?

    The cells are made at the first search, which takes as long as many exact ones, and kept beside the index.

    Args:
        path: of the index.
        index: what was loaded from it.
        query: one row per query.
        k: how many to find.

    Returns:
        Cosine similarities, best first, and the rows that they belong to, as `nearest` gives them; -1 and the
        similarity -inf where the cells hold fewer.

    Raises:
        SettingError: faiss is not installed.
        RunError: the cells cannot be written.

    Source:
        Jégou, Douze, Schmid 2011, "Product quantization for nearest neighbor search", section IV (the inverted file).
        Differs from the paper: the vectors themselves are compared, not their residuals' codes.
    """
    faiss = _faiss()
    file = path.with_name(f"{path.name}.{index.digest[:12]}.faiss")
    # It is mapped, not read: a file that somebody cut short would be found out too late.
    if file.is_file() and file.stat().st_size > 4 * index.vectors.numel():
        cells = faiss.read_index(str(file), faiss.IO_FLAG_MMAP)
    else:
        cells = _cells(faiss, index)
        write_safely(file, faiss.serialize_index(cells).tobytes())
    cells.nprobe = max(1, round(_LOOKED_AT * cells.nlist))
    similarity, rows = cells.search(functional.normalize(query.float(), dim=1).numpy(), min(k, len(index)))
    similarity[rows < 0] = -np.inf
    return torch.from_numpy(similarity), torch.from_numpy(rows)


def _cells(faiss: Any, index: Index) -> Any:
    width, count = index.vectors.shape[1], len(index)
    lists = max(1, min(round(math.sqrt(count)), count // _PER_CELL))
    cells = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, lists, faiss.METRIC_INNER_PRODUCT)
    chosen = torch.randperm(count, generator=torch.Generator().manual_seed(0))[: 4 * _PER_CELL * lists].sort().values
    cells.train(functional.normalize(index.vectors[chosen].float(), dim=1).numpy())
    for start in range(0, count, _ROWS):
        cells.add(functional.normalize(index.vectors[start : start + _ROWS].float(), dim=1).numpy())
    return cells


def _faiss() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its SWIG wrapper, which no one here can mend
            import faiss  # noqa: PLC0415 (optional)
    except ImportError as error:
        raise SettingError(
            "an approximate search needs faiss.",
            got=error,
            expected="faiss, or an exact search, which takes a second for a million vectors",
            advice="pip install faiss-cpu, or leave out --approximate",
        ) from error
    return faiss
