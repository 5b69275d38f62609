"""What the report measures beyond the evaluation: how well classes keep apart, and of whom to show something."""

import math

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from info_nce.errors import needs_extra

with needs_extra("train"):
    from sklearn.metrics import roc_auc_score


def same_class_wins(similarity: Float[Tensor, "n n"], labels: Int64[Tensor, " n"]) -> float:
    """How often is a pair of one class more similar than a pair of two classes?

    Returns:
        The share of all comparisons of such pairs (area under the ROC curve): 1 = always, 0.5 = as by chance. It
        depends on the order of the similarities alone, so features of different scales compare fairly. NaN where there
        are no pairs of one kind.
    """
    same: Bool[Tensor, "n n"] = labels[:, None] == labels[None]
    upper = torch.ones_like(same).triu(1)
    pairs = same[upper]
    if pairs.all() or not pairs.any():
        return math.nan
    return float(roc_auc_score(pairs.numpy(), similarity[upper].numpy()))


def some_of_each(labels: Int64[Tensor, " n"], most: int, seed: int = 0) -> Int64[Tensor, " k"]:
    """Draw at most `most` rows by chance, as many of each class as there are of the others, in the order of classes."""
    chance = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=chance)
    kinds = torch.unique(labels)
    each = max(1, most // max(1, len(kinds)))
    drawn = torch.cat([order[:0], *(order[labels[order] == kind][:each] for kind in kinds)])
    return drawn[torch.randperm(len(drawn), generator=chance)[:most].sort().values]
