"""lightly: it asks the process group who and where it is."""

from collections.abc import Sequence
from functools import partial
from importlib import import_module

from benchmarks.ranks.base import Made, Place, Variant, learned
from benchmarks.systems.lightly import SYSTEM

__all__ = ["LIBRARY", "SYSTEM", "variants"]

LIBRARY = "lightly.loss"


def variants() -> Sequence[Variant]:
    """Those that gather two views."""
    names = {"NTXentLoss": "NTXent", "DCLLoss": "DCL", "DCLWLoss": "DCLW"}
    return [
        Variant(f"`{name}(gather_distributed=True)`", loss, partial(_loss, name=name), number=True)
        for name, loss in names.items()
    ]


def _loss(place: Place, name: str) -> Made:  # noqa: ARG001 - the process group knows the place
    scale = learned()
    return getattr(import_module(LIBRARY), name)((-scale).exp(), gather_distributed=True), [scale]
