"""pytorch-metric-learning: views are rows of one label, and labels are told apart over all ranks."""

from collections.abc import Sequence
from functools import partial
from importlib import import_module

import torch

from benchmarks.ranks.base import Made, Place, Variant, learned
from benchmarks.systems.metric_learning import SYSTEM

__all__ = ["LIBRARY", "SYSTEM", "variants"]

LIBRARY = "pytorch_metric_learning.losses"


def variants() -> Sequence[Variant]:
    """NTXentLoss in the wrapper's two settings, the default first."""
    return [
        Variant(
            f"`DistributedLossWrapper(NTXentLoss(), efficient={efficient})`",
            "NTXent",
            partial(_loss, efficient=efficient),
            number=True,
        )
        for efficient in (False, True)
    ]


def _loss(place: Place, *, efficient: bool) -> Made:
    distributed = import_module("pytorch_metric_learning.utils.distributed")
    scale = learned()
    loss = distributed.DistributedLossWrapper(import_module(LIBRARY).NTXentLoss((-scale).exp()), efficient=efficient)
    label = torch.arange(place.rows.start, place.rows.stop).repeat(2)
    return lambda view1, view2: loss(torch.cat([view1, view2]), label), [scale]
