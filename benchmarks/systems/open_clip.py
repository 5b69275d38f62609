"""open_clip's losses of images and texts; its caller brings the features to unit length."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.homes import HOMES
from benchmarks.systems.base import Losses, System, square

SYSTEM = System(
    "open_clip",
    "open_clip",
    __name__,
    {"SymmetricInfoNCE": square(4.2), "SigLIP": square(5.1)},
    ("open_clip_torch",),
    HOMES["vision"],
    "`ClipLoss`, `SigLipLoss`",
)
_BIAS = -10.0


def losses() -> Losses:
    """ClipLoss and SigLipLoss."""
    library = import_module("open_clip.loss")

    def loss(kind: Callable[[], Any], temperature: float, **settings: float) -> Callable[[Tensor, Tensor], Tensor]:
        made = kind()
        return lambda query, key: made(normalize(query, dim=1), normalize(key, dim=1), 1 / temperature, **settings)

    return {
        "SymmetricInfoNCE": partial(loss, library.ClipLoss),
        "SigLIP": partial(loss, library.SigLipLoss, logit_bias=_BIAS),
    }
