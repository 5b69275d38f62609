"""What the nearest neighbours say: a vote of the most similar pictures whose class is known."""

# N queries, M keys, D features, K nearest, C classes

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from info_nce.neighbours import CELLS, nearest


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
