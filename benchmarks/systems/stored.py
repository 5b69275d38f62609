"""The package itself with the matrix stored: what `Auto` chooses against."""

from functools import partial
from importlib import import_module

from benchmarks.problems import PLAIN
from benchmarks.systems.base import Losses, System, square

SYSTEM = System(
    "stored",
    "info-nce-kit, Dense()",
    __name__,
    dict.fromkeys(PLAIN, square(6)),
    ("info-nce-kit",),
    remark="for small batches only",
)


def losses() -> Losses:
    """Those whose small batches are measured."""
    package, engines = import_module("info_nce"), import_module("info_nce.engines")
    return {name: partial(getattr(package, name), engine=engines.Dense()) for name in PLAIN}
