"""What a training of the survey is made of, and what each part is drawn from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import info_nce
from info_nce.losses import Face

__all__ = ["CHOICES", "LOSSES", "PAIRED", "TOWERS", "VIEWS", "Training"]

LOSSES: Mapping[str, type[Face]] = {
    face.__name__: face
    for face in (
        info_nce.InfoNCE,
        info_nce.SymmetricInfoNCE,
        info_nce.NTXent,
        info_nce.SigLIP,
        info_nce.DCL,
        info_nce.DCLW,
        info_nce.HardNegativeInfoNCE,
        info_nce.DebiasedInfoNCE,
        info_nce.MoCo,
        info_nce.CLIPLoss,
        info_nce.RetrievalInfoNCE,
        info_nce.RobustInfoNCE,
        info_nce.SupCon,
    )
}
PAIRED = tuple(name for name in LOSSES if name != "SupCon")
"""Those that compare row i of one side with row i of the other, and not labels."""
TOWERS = ("InfoNCE", "SymmetricInfoNCE", "CLIPLoss", "SigLIP", "RetrievalInfoNCE", "RobustInfoNCE")
"""Those whose sides may come from two encoders."""
VIEWS = ("NTXent", "DCL", "DCLW", "DebiasedInfoNCE", "HardNegativeInfoNCE")
"""Those whose sides cannot: each view is the other's query and its key."""


@dataclass(frozen=True, slots=True)
class Training:
    """One training.

    Args:
        seed: of the survey.
        fault: what is wrong with it, by name.
        place: among the trainings of this seed and fault.
        numbers: seed of the initial weights, the batches and the views.
        source: of the items.
        loss: by name.
        temperature: of the loss, at the start.
        learnable: whether the temperature is learned.
        dot_product: whether embeddings are compared by inner products, instead of by their cosines.
        batch: items in a batch.
        features: of an embedding.
        encoder: which kind.
        encoders: 2: each side has its own.
        queue: keys that MoCo has.
        two_views: whether a loss of labels gets two views of each item.
        own_labels: whether a loss of labels is told which item a row shows, and not of which class it is.
        steps: of AdamW, before the batch that is looked at.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        held_out: whether the batch that is looked at shows other items.
        ids: whether `diagnose` is told which item each row shows.
    """

    seed: int
    fault: str
    place: int
    numbers: int
    source: str
    loss: str
    temperature: float
    learnable: bool
    dot_product: bool
    batch: int
    features: int
    encoder: str
    encoders: int
    queue: int
    two_views: bool
    own_labels: bool
    steps: int
    learning_rate: float
    weight_decay: float
    held_out: bool
    ids: bool


CHOICES: Mapping[str, tuple[Any, ...]] = {
    "loss": (*LOSSES, "NTXent", "InfoNCE"),
    "temperature": (0.05, 0.07, 0.1, 0.2, 0.5),
    "learnable": (True,) * 7 + (False,) * 3,
    "dot_product": (False,),
    "batch": (32, 64, 128, 256, 256, 512) * 16 + (1024, 2048) * 3,  # large ones take most of the time
    "features": (8, 16, 32, 64, 128, 256, 512),
    "encoder": ("two layers", "batch norm", "batch norm", "three layers", "linear"),
    "encoders": (1, 1, 1, 2, 2),
    "queue": (512, 4096),
    "two_views": (False, True),
    "own_labels": (False,),
    "steps": (0, 40, 300, 300),
    "learning_rate": (1e-3,),
    "weight_decay": (1e-4,),
    "held_out": (False, True),
    "ids": (True,) * 2 + (False,) * 3,
}
"""Each part is drawn from these with equal chances, unless a fault has its own; the source is drawn of what fits."""
