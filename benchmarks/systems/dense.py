"""The formulas in a few lines of torch, the matrix stored: what one writes by hand. The truth in float64."""

from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from benchmarks.systems.base import Losses, System, square

SYSTEM = System(
    "dense",
    "dense, by hand",
    __name__,
    {"InfoNCE": square(3.1), "SymmetricInfoNCE": square(4.1), "NTXent": square(3.2)},
    remark="unit length, one product for all logits, `cross_entropy`; both directions share the logits",
)


def losses() -> Losses:
    """The three that have a place in every library."""
    return {name: partial(partial, formula) for name, formula in _FORMULAS.items()}


def _info_nce(temperature: float, query: Tensor, key: Tensor) -> Tensor:
    return cross_entropy(_logits(temperature, query, key), _diagonal(query))


def _symmetric(temperature: float, query: Tensor, key: Tensor) -> Tensor:
    logits, target = _logits(temperature, query, key), _diagonal(query)
    return (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2


def _nt_xent(temperature: float, view1: Tensor, view2: Tensor) -> Tensor:
    views = torch.cat([view1, view2])
    logits = _logits(temperature, views, views).fill_diagonal_(float("-inf"))
    return cross_entropy(logits, _diagonal(views).roll(len(view1)))


def _logits(temperature: float, query: Tensor, key: Tensor) -> Tensor:
    return normalize(query, dim=1) @ normalize(key, dim=1).T / temperature


def _diagonal(rows: Tensor) -> Tensor:
    return torch.arange(len(rows))


_FORMULAS = {"InfoNCE": _info_nce, "SymmetricInfoNCE": _symmetric, "NTXent": _nt_xent}
