"""How the embeddings of held-out pictures lie in their space: what can be said without labels."""

import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from info_nce.diagnostics import effective_rank, uniformity
from info_nce.evaluation.results import Geometry

# All pairs of this many pictures are enough for three digits.
MOST_PICTURES = 2048


def evenly(count: int, most: int) -> Tensor:
    """Choose at most `most` of `count` rows, spread over all of them."""
    return torch.arange(count) if count <= most else torch.arange(most) * count // most


def geometry(h: Float[Tensor, "n d"], z: Float[Tensor, "n e"], metrics: Sequence[Mapping[str, float]]) -> Geometry:
    """Measure the embeddings of held-out pictures.

    Args:
        h: the encoder's output.
        z: its projection, in which the loss compares.
        metrics: of the run; the alignment of two views is known from training alone.
    """
    chosen = evenly(len(z), MOST_PICTURES)
    alignment = metrics[-1]["alignment"] if metrics else math.nan
    return Geometry(alignment, uniformity(z[chosen]).item(), effective_rank(h[chosen]).item(), h.shape[1])
