"""What the report measures beyond the evaluation: a map, who is near whom, and how well classes keep apart."""

import math

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from info_nce.errors import needs_extra

with needs_extra("train"):
    from sklearn.manifold import TSNE
    from sklearn.metrics import roc_auc_score
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

# Fewer pictures have no neighbourhoods to keep.
_FEWEST_FOR_TSNE = 30
_PERPLEXITY = 30.0
# Room for half a picture at each edge of the map.
_MARGIN = 0.03


def places_on_a_map(embeddings: Float[Tensor, "n d"]) -> tuple[Float[NDArray[np.float64], "n 2"], str]:
    """Where do embeddings lie on a flat map that keeps neighbours together?

    Returns:
        Places between 0 and 1 in both directions, the same at every call; and the method's name: t-SNE, or PCA for a
        handful of pictures and for embeddings that lie on a line. On a t-SNE map, distances between far groups mean
        nothing.

    Source:
        van der Maaten and Hinton 2008, "Visualizing Data using t-SNE".
    """
    points = functional.normalize(embeddings, dim=1).double().numpy()
    spread = points - points.mean(0)
    few = len(points) < _FEWEST_FOR_TSNE or np.linalg.matrix_rank(spread) < 2
    with threadpool_limits(1):
        if few:
            left, strengths, _ = np.linalg.svd(spread, full_matrices=False)
            flat = np.zeros((len(points), 2))
            flat[:, : len(strengths)] = (left * strengths)[:, :2]
        else:
            perplexity = min(_PERPLEXITY, (len(points) - 1) / 3)
            flat = TSNE(perplexity=perplexity, init="pca", random_state=0, n_jobs=1).fit_transform(points)
    low, high = flat.min(0), flat.max(0)
    span = np.where(high > low, high - low, 1)
    return _MARGIN + (1 - 2 * _MARGIN) * (flat - low) / span, "PCA" if few else "t-SNE"


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
