"""Who is nearest to whom: exact search by cosine, in chunks, so that no queries x keys matrix is ever held."""

# N queries, M keys, D features, K nearest, C classes

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

# The most similarities held at once: 16 Mi float32 numbers are 64 MiB.
CELLS = 1 << 24
# Of these keys a copy is held, to bring them to unit length; the others may stay on the disk.
_KEYS = 1 << 14


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
    best = query.new_empty(len(query), 0), torch.empty(len(query), 0, dtype=torch.int64)
    if k == 0 or len(query) == 0:
        return query.new_empty(len(query), k), torch.empty(len(query), k, dtype=torch.int64)
    queries = functional.normalize(query, dim=1)
    wide = min(len(key), _KEYS, cells)
    for start in range(0, len(key), wide):
        keys = functional.normalize(key[start : start + wide].to(query.dtype), dim=1).mT
        found = [
            (chunk @ keys).topk(min(k, keys.shape[1]), dim=1) for chunk in torch.split(queries, max(1, cells // wide))
        ]
        similarity = torch.cat([best[0], torch.cat([values for values, _ in found])], dim=1)
        index = torch.cat([best[1], torch.cat([places for _, places in found]) + start], dim=1)
        kept, order = similarity.topk(min(k, similarity.shape[1]), dim=1)
        best = kept, index.gather(1, order)
    return best


def vote(similarity: Float[Tensor, "n k"], neighbour_labels: Int64[Tensor, "n k"], classes: int) -> Int64[Tensor, " n"]:
    """Which class do most of the neighbours belong to?

    Args:
        similarity: of each neighbour to its query.
        neighbour_labels: the neighbours' classes.
        classes: how many there are.

    Returns:
        The class with the most neighbours; among classes with equally many, the one whose neighbours are more
        similar in sum.
    """
    counts = similarity.new_zeros(len(similarity), classes)
    sums = counts.clone()
    counts.scatter_add_(1, neighbour_labels, torch.ones_like(similarity))
    sums.scatter_add_(1, neighbour_labels, similarity)
    tied = counts == counts.amax(1, keepdim=True)
    return sums.masked_fill(~tied, -torch.inf).argmax(1)


def nearest_neighbour_classes(
    train: Float[Tensor, "m d"],
    train_labels: Int64[Tensor, " m"],
    test: Float[Tensor, "n d"],
    k: int,
    *,
    classes: int,
    cells: int = CELLS,
) -> Int64[Tensor, " n"]:
    """What would the k most similar training pictures call each test picture?

    Source:
        Wu et al. 2018, "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", arXiv:1805.01978,
        section 3.4. Differs from the paper: a plain majority vote in place of weights exp(similarity / temperature),
        which leaves no temperature to choose.
    """
    similarity, index = nearest(test, train, k, cells=cells)
    return vote(similarity, train_labels[index], classes)
