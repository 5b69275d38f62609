"""info-nce-pytorch. It has our import name, so its process sees it in our place."""

from importlib import import_module

from benchmarks.homes import HOMES
from benchmarks.systems.base import Losses, System, square

SYSTEM = System(
    "info-nce-pytorch",
    "info-nce-pytorch",
    __name__,
    {"InfoNCE": square(3.1)},
    ("info-nce-pytorch",),
    HOMES["info-nce-pytorch"],
)


def losses() -> Losses:
    """It has one."""
    return {"InfoNCE": import_module("info_nce").InfoNCE}
