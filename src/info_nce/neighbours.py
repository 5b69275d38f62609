"""Who is nearest to whom: exact search by cosine, in chunks, so that no queries x keys matrix is ever held."""

# N queries, M keys, D features, K nearest, C rows of a chunk

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from info_nce.similarity import unit

__all__ = ["nearest", "similarities"]

CELLS = 1 << 24
"""The most similarities held at once: 16 Mi float32 numbers are 64 MiB."""
# Of these keys a copy is held, to bring them to unit length; the others may stay on the disk.
_KEYS = 1 << 14


def similarities(
    query: Float[Tensor, "n d"], key: Float[Tensor, "m d"], *, cells: int = CELLS
) -> Iterator[tuple[slice, Float[Tensor, "c m"]]]:
    """How alike is each query to each key? A chunk of queries at a time, and which queries they are.

    Args:
        query: one row per query.
        key: one row per key.
        cells: how many similarities are held at once; changes the memory and not the result.

    Returns:
        Cosines of some queries with all keys, chunk after chunk. A zero vector has similarity 0 to everything.

    Example:
        >>> [rows for rows, _ in similarities(torch.eye(3), torch.eye(3), cells=6)]
        [slice(0, 2, None), slice(2, 3, None)]
    """
    keys = unit(key).mT
    rows = max(1, cells // max(1, len(key)))
    for start in range(0, len(query), rows):
        chunk = query[start : start + rows]
        yield slice(start, start + len(chunk)), unit(chunk) @ keys


def nearest(
    query: Float[Tensor, "n d"], key: Float[Tensor, "m d"], k: int, *, cells: int = CELLS
) -> tuple[Float[Tensor, "n k"], Int64[Tensor, "n k"]]:
    """Which keys point most nearly in the direction of each query?

    Exact: every key is compared. A zero vector has similarity 0 to everything.

    Args:
        query: one row per query.
        key: what is searched, of any precision; it may be mapped from a file and larger than the memory.
        k: how many to find; where there are fewer keys, all of them come back.
        cells: how many similarities are held at once; changes the memory and not the result.

    Returns:
        Cosine similarities, best first, and the rows of `key` that they belong to. 1 = the same direction,
        0 = unrelated, -1 = opposite.

    Example:
        >>> similarity, index = nearest(torch.tensor([[2.0, 0.1]]), torch.eye(2), k=1)
        >>> index.tolist()
        [[0]]
    """
    k = min(k, len(key))
    best = query.new_empty(len(query), 0), query.new_empty(len(query), 0, dtype=torch.int64)
    if k == 0 or len(query) == 0:
        return query.new_empty(len(query), k), query.new_empty(len(query), k, dtype=torch.int64)
    queries = unit(query)
    wide = min(len(key), _KEYS, cells)
    for start in range(0, len(key), wide):
        keys = unit(key[start : start + wide].to(query.dtype)).mT
        found = [
            (chunk @ keys).topk(min(k, keys.shape[1]), dim=1) for chunk in torch.split(queries, max(1, cells // wide))
        ]
        similarity = torch.cat([best[0], torch.cat([values for values, _ in found])], dim=1)
        index = torch.cat([best[1], torch.cat([places for _, places in found]) + start], dim=1)
        kept, order = similarity.topk(min(k, similarity.shape[1]), dim=1)
        best = kept, index.gather(1, order)
    return best
