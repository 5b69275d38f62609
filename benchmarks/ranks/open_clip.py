"""open_clip: the settings are the user's, and so are unit length and the scale."""

from collections.abc import Sequence
from functools import partial
from importlib import import_module

from torch.nn.functional import normalize

from benchmarks.ranks.base import BIAS, Made, Place, Variant, learned
from benchmarks.systems.open_clip import SYSTEM

__all__ = ["LIBRARY", "SYSTEM", "variants"]

LIBRARY = "open_clip.loss"


def variants() -> Sequence[Variant]:
    """ClipLoss in its four settings, the default first, and SigLipLoss in its four."""
    both = (False, True)
    clip = [
        Variant(
            f"`ClipLoss(local_loss={local}, gather_with_grad={grad})`",
            "SymmetricInfoNCE",
            partial(_clip, local_loss=local, gather_with_grad=grad),
        )
        for local in both
        for grad in both
    ]
    sigmoid = [
        Variant(f'`SigLipLoss(dist_impl="{way}")`', "SigLIP", partial(_sigmoid, dist_impl=way))
        for way in ("bidir", "shift", "reduce", "gather")
    ]
    return [*clip, *sigmoid]


def _clip(place: Place, **settings: bool) -> Made:
    loss = import_module(LIBRARY).ClipLoss(rank=place.rank, world_size=place.world_size, **settings)
    scale = learned()
    return lambda query, key: loss(normalize(query, dim=1), normalize(key, dim=1), scale.exp()), [scale]


def _sigmoid(place: Place, **settings: str) -> Made:
    loss = import_module(LIBRARY).SigLipLoss(rank=place.rank, world_size=place.world_size, **settings)
    scale, bias = learned(), learned(BIAS)
    return lambda query, key: loss(normalize(query, dim=1), normalize(key, dim=1), scale.exp(), bias), [scale, bias]
