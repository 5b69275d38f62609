"""How hard does a loss push on each candidate?"""

import torch
from jaxtyping import Float
from torch import Tensor

from info_nce import contrast
from info_nce.assemble import given_logits
from info_nce.objectives import Objective
from info_nce.pairing import Listed

__all__ = ["pushes", "shares"]


def pushes(logits: Float[Tensor, "n k"], objective: Objective) -> Float[Tensor, "n k"]:
    """The derivative of each query's loss by the logits of its candidates, of which the first is its positive."""
    leaf = logits.detach().clone().requires_grad_()
    first = Listed(torch.arange(logits.shape[1]).expand(logits.shape) == 0)
    loss = contrast(given_logits(leaf, first), objective, reduction="sum")
    return torch.autograd.grad(loss, leaf)[0]


def shares(push: Float[Tensor, "n k"]) -> Float[Tensor, "n j"]:
    """How is what pushes a query divided among its negatives? Each row adds up to 1."""
    return push[:, 1:] / push[:, 1:].sum(1, keepdim=True)
