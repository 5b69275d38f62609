"""The package itself, with its default engine."""

from functools import partial
from importlib import import_module

from benchmarks.problems import LOSSES
from benchmarks.systems.base import Losses, System, linear

SYSTEM = System("ours", "info-nce-kit", __name__, dict.fromkeys(LOSSES, linear(6)), ("info-nce-kit",))


def losses() -> Losses:
    """Every loss."""
    package = import_module("info_nce")
    named = {name: getattr(package, name) for name in LOSSES if hasattr(package, name)}
    return {
        **named,
        "SigLIP": partial(package.SigLIP, learnable=False),
        "InfoNCE with margin": partial(package.InfoNCE, margin=0.1),
    }
