"""lightly's losses of two views."""

from importlib import import_module

from benchmarks.homes import HOMES
from benchmarks.systems.base import Losses, System, square

SYSTEM = System(
    "lightly",
    "lightly",
    __name__,
    {"NTXent": square(4.7), "DCL": square(4), "DCLW": square(5.2)},
    ("lightly",),
    HOMES["vision"],
    "`NTXentLoss`, `DCLLoss`, `DCLWLoss`",
)


def losses() -> Losses:
    """Each by its own name."""
    library = import_module("lightly.loss")
    return {"NTXent": library.NTXentLoss, "DCL": library.DCLLoss, "DCLW": library.DCLWLoss}
