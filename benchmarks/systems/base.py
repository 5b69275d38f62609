"""What a system is: a library, or a formula in plain torch, that computes some of the losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.homes import OWN, Home

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Losses", "Need", "System", "cubic", "linear", "square"]

Losses = Mapping[str, Callable[[float], Callable[..., "Tensor"]]]
"""For each loss, what makes it at a temperature: a function of the tensors that `inputs_of` gives."""

Need = Callable[[int, int], float]
"""Bytes beyond inputs and gradients, of rows and width."""


@dataclass(frozen=True, slots=True)
class System:
    """A system, known without importing it.

    Args:
        name: in keys of results.
        title: for people.
        module: that has its `losses()`; imported in its own process alone.
        needs: the losses that it computes, each with the memory that it takes, for the guard; peaks were measured once
            and rounded up.
        distributions: whose versions are reported.
        home: the environment that it runs in.
        remark: what else a reader must know.
    """

    name: str
    title: str
    module: str
    needs: Mapping[str, Need]
    distributions: tuple[str, ...] = ()
    home: Home = OWN
    remark: str = ""


def square(matrices: float) -> Need:
    """Stores so many matrices of scores at once."""
    return lambda rows, _: matrices * rows * rows * 4


def cubic(bytes_each: float) -> Need:
    """Looks at every triple of rows."""
    return lambda rows, _: bytes_each * rows**3


def linear(tensors: float) -> Need:
    """Stores so many tensors of the size of its input, and tiles."""
    return lambda rows, width: tensors * rows * width * 4 + 300e6
