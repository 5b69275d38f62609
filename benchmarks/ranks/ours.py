"""The package itself: each rank passes its own rows."""

from collections.abc import Sequence
from functools import partial
from importlib import import_module

from benchmarks.ranks.base import BIAS, TEMPERATURE, Made, Place, Variant
from benchmarks.systems.ours import SYSTEM

__all__ = ["LIBRARY", "SYSTEM", "variants"]

LIBRARY = "info_nce"
_LOSSES = {
    "Gathered": ("SymmetricInfoNCE", "InfoNCE", "NTXent", "DCL", "DCLW", "SigLIP"),
    "TwoSided": ("SymmetricInfoNCE", "NTXent"),
    "Ring": ("SymmetricInfoNCE", "NTXent"),
}


def variants() -> Sequence[Variant]:
    """Symmetric InfoNCE and NT-Xent over every engine of several ranks, and other losses over the first."""
    engines = import_module(f"{LIBRARY}.engines")
    made = {name: getattr(engines, name) for name in _LOSSES}
    return [
        Variant(f"`{loss}(engine={name}(), learnable=True)`", loss, partial(_loss, name=loss, engine=made[name]))
        for name, losses in _LOSSES.items()
        for loss in losses
    ]


def _loss(place: Place, name: str, engine: type) -> Made:  # noqa: ARG001 - the process group knows the place
    bias = {"bias": BIAS} if name == "SigLIP" else {}
    loss = getattr(import_module(LIBRARY), name)(temperature=TEMPERATURE, learnable=True, engine=engine(), **bias)
    return loss, list(loss.parameters())
