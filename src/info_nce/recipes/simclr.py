"""SimCLR: two views of each picture, and every view looks for the other one among all views of the batch.

The two views and how the result is judged, beside raw pixels and an untrained encoder, are in `pictures`, which other
recipes on pictures share.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from info_nce import DCL, DCLW, DebiasedInfoNCE, HardNegativeInfoNCE, NTXent
from info_nce.engines import Gathered, Tiled
from info_nce.recipes.pictures import PictureRecipe

LOSSES = {
    "nt_xent": NTXent,
    "dcl": DCL,
    "dclw": DCLW,
    "debiased": DebiasedInfoNCE,
    "hard_negatives": HardNegativeInfoNCE,
}


@dataclass(frozen=True, kw_only=True)
class SimCLR(PictureRecipe):
    """Train an encoder without labels: views of one picture attract, views of different pictures repel.

    Chen, Kornblith, Norouzi, Hinton 2020, arXiv:2002.05709, algorithm 1. Differs from the paper: AdamW in place of
    LARS, and a small encoder, for minutes on a CPU.

    Args:
        steps: updates of the weights.
        batch_size: pictures per step, of all processes together; each view is told apart from
            2 x batch_size - 2 others.
        temperature: smaller compares harder; 0.1 is SimCLR's for ImageNet.
        loss: NT-Xent, or another one that compares a batch with itself: decoupled (arXiv:2110.06848), debiased
            (arXiv:2007.00224), or with hard negatives weighing more (arXiv:2010.04592).
    """

    name = "simclr"
    paper = "arXiv:2002.05709"

    steps: int = 1200
    loss: Literal["nt_xent", "dcl", "dclw", "debiased", "hard_negatives"] = "nt_xent"

    def model(self, about: Mapping[str, Any]) -> nn.Module:
        """An encoder, and a projection head that only the loss sees."""
        return self.pictures_model(about)

    def criterion(self, about: Mapping[str, Any]) -> nn.Module:  # noqa: ARG002 (others need it)
        """NT-Xent over the views of all processes."""
        # Tiled: the loss of the whole batch without the matrix of all pairs, so that only the encoder limits the batch.
        # Gathered: the whole batch is that of all processes; of one, it is the batch of that.
        return LOSSES[self.loss](self.temperature, engine=Gathered(Tiled()))

    def candidates(self, batch_size: int) -> int:
        """Every view but itself."""
        return 2 * batch_size - 1
