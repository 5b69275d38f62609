"""torch's own chunked cross-entropy of a linear layer, with the keys as the layer's weight."""

from functools import partial
from importlib import import_module

import torch
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.systems.base import Losses, System, linear

SYSTEM = System(
    "torch-chunked",
    "F.linear_cross_entropy",
    __name__,
    {"InfoNCE": linear(8), "SymmetricInfoNCE": linear(12)},
    remark="with `LinearCrossEntropyOptions()`; both directions are two calls; it cannot leave out the diagonal",
)


def losses() -> Losses:
    """Both directions are one loss twice."""
    return {"InfoNCE": partial(partial, _one), "SymmetricInfoNCE": partial(partial, _both)}


def _one(temperature: float, query: Tensor, key: Tensor) -> Tensor:
    return _chunked(normalize(query, dim=1) / temperature, normalize(key, dim=1))


def _both(temperature: float, query: Tensor, key: Tensor) -> Tensor:
    query, key = normalize(query, dim=1), normalize(key, dim=1)
    return (_chunked(query / temperature, key) + _chunked(key / temperature, query)) / 2


def _chunked(query: Tensor, key: Tensor) -> Tensor:
    # found by name: older releases of torch do not have it
    function = import_module("torch.nn.functional").linear_cross_entropy
    options = import_module("torch.nn").LinearCrossEntropyOptions()
    loss: Tensor = function(query, key, torch.arange(len(query)), options=options)
    return loss
