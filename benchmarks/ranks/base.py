"""What is asked of a library here: its losses, as a rank of several calls them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["BIAS", "TEMPERATURE", "Made", "Place", "Variant", "learned"]

TEMPERATURE, BIAS = 0.2, -1.0

Made = tuple[Callable[[Tensor, Tensor], Tensor], Sequence[Tensor]]
"""A loss of queries and keys, and the parameters inside it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a loss is called.

    Args:
        rank: of this process.
        sizes: how many rows each rank has.
    """

    rank: int
    sizes: tuple[int, ...]

    @property
    def world_size(self) -> int:
        """How many ranks there are."""
        return len(self.sizes)

    @property
    def rows(self) -> slice:
        """Which rows of the whole batch are here."""
        before = sum(self.sizes[: self.rank])
        return slice(before, before + self.sizes[self.rank])


@dataclass(frozen=True, slots=True)
class Variant:
    """A loss with its settings.

    Args:
        title: its name and settings, as one writes them.
        loss: what it computes on one rank, by the package's name.
        make: makes it for a place.
        number: its scale is declared as a number; a tensor in that place is what a user would try.
    """

    title: str
    loss: str
    make: Callable[[Place], Made]
    number: bool = False


def learned(start: float = -math.log(TEMPERATURE)) -> nn.Parameter:
    """Make a parameter for a loss that has none of its own: by default the logarithm of the logit scale."""
    return nn.Parameter(torch.tensor(start))
