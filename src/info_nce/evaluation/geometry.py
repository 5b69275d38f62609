"""How embeddings lie in their space: what can be said without labels and without neighbours."""

import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from info_nce.evaluation.results import Geometry

# All pairs of this many pictures are enough for three digits.
MOST_PICTURES = 2048


def evenly(count: int, most: int) -> Tensor:
    """Choose at most `most` of `count` rows, spread over all of them."""
    return torch.arange(count) if count <= most else torch.arange(most) * count // most


def uniformity(embeddings: Float[Tensor, "n e"]) -> float:
    """How evenly do the embeddings fill the sphere?

    Returns:
        Log of the mean Gaussian kernel exp(-2 |x - y|^2) of all pairs: 0 = all in one point, near -4 = evenly spread;
        NaN for fewer than two embeddings.

    Source:
        Wang and Isola 2020, arXiv:2005.10242, section 4.1.2, with t = 2.
    """
    if len(embeddings) < 2:
        return math.nan
    return float(functional.pdist(functional.normalize(embeddings, dim=1)).square().mul(-2).exp().mean().log())


def effective_rank(embeddings: Float[Tensor, "n d"]) -> float:
    """How many directions do the embeddings really use?

    Returns:
        Exponential of the entropy of the singular values, divided by their sum, of the centred embeddings: 1 = all on a
        line, d = every direction alike; NaN where all embeddings are one point.

    Source:
        Roy and Vetterli 2007, "The Effective Rank: A Measure of Effective Dimensionality". Differs from the paper: the
        mean is taken off first, which after a ReLU would be counted as the largest direction.
    """
    if len(embeddings) < 2:
        return math.nan
    strengths = torch.linalg.svdvals(embeddings.double() - embeddings.double().mean(0))
    shares = strengths / strengths.sum()
    return float(torch.special.entr(shares).sum().exp())


def geometry(h: Float[Tensor, "n d"], z: Float[Tensor, "n e"], metrics: Sequence[Mapping[str, float]]) -> Geometry:
    """Measure the embeddings of held-out pictures.

    Args:
        h: the encoder's output.
        z: its projection, in which the loss compares.
        metrics: of the run; the alignment of two views is known from training alone.
    """
    chosen = evenly(len(z), MOST_PICTURES)
    alignment = metrics[-1]["alignment"] if metrics else math.nan
    return Geometry(alignment, uniformity(z[chosen]), effective_rank(h[chosen]), h.shape[1])
