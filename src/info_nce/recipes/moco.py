"""MoCo: a query looks for the key of its other view among keys of past batches, which a slow encoder made.

The two views and how the result is judged are in `pictures`, which other recipes on pictures share.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from info_nce.recipes.momentum import Followed, Queued
from info_nce.recipes.pictures import PROJECTION, PictureRecipe


@dataclass(frozen=True, kw_only=True)
class MoCo(PictureRecipe):
    """Train an encoder without labels: a slowly moving copy makes keys, and those of past batches are the negatives.

    He et al. 2020, arXiv:1911.05722, with the projection head of its second version, arXiv:2003.04297. Differs from the
    paper: AdamW in place of SGD; a smaller queue and a faster copy, as 65,536 keys and a momentum of 0.999 need more
    data and steps than minutes on a CPU hold; no shuffling of batch norm between processes.

    Args:
        steps: updates of the weights; of which the time of simclr's holds more, as keys need no gradient.
        batch_size: pictures per step, of all processes together; the number of negatives does not depend on it.
        temperature: smaller compares harder; 0.07 in the paper, 0.2 in its second version.
        queue: how many keys of past batches serve as negatives; 65,536 in the paper.
        momentum: of the copy; 0.999 in the paper.
    """

    name = "moco"
    paper = "arXiv:1911.05722"
    ranges: ClassVar[dict[str, tuple[float, float]]] = PictureRecipe.ranges | {
        "queue": (1, 10**8),
        "momentum": (0, 1),
    }

    steps: int = 1700
    queue: int = 4096
    momentum: float = 0.99

    def model(self, about: Mapping[str, Any]) -> nn.Module:
        """An encoder with a projection head, and its slow copy."""
        model = self.pictures_model(about)
        return Followed(model.encoder, model.projector, self.momentum)

    def criterion(self, about: Mapping[str, Any]) -> nn.Module:  # noqa: ARG002 (others need it)
        """MoCo's, with its queue."""
        return Queued(PROJECTION, self.queue, self.temperature)

    def candidates(self, batch_size: int) -> int:  # noqa: ARG002 (it does not matter here)
        """Its own key, and those in the queue once that is full."""
        return 1 + self.queue
