"""pytorch-metric-learning: it compares every positive pair with every negative pair."""

from collections.abc import Callable
from importlib import import_module

import torch
from torch import Tensor

from benchmarks.homes import HOMES
from benchmarks.systems.base import Losses, System, cubic, square

SYSTEM = System(
    "metric-learning",
    "pytorch-metric-learning",
    __name__,
    {"NTXent": cubic(18), "SupCon": square(14.5)},
    ("pytorch-metric-learning",),
    HOMES["same-torch"],
    "`NTXentLoss`, `SupConLoss`",
)


def losses() -> Losses:
    """Views are rows of one label."""
    library = import_module("pytorch_metric_learning.losses")

    def nt_xent(temperature: float) -> Callable[[Tensor, Tensor], Tensor]:
        loss = library.NTXentLoss(temperature)
        return lambda view1, view2: loss(torch.cat([view1, view2]), torch.arange(len(view1)).repeat(2))

    return {"NTXent": nt_xent, "SupCon": library.SupConLoss}
