"""From a sampler's choice to the model's arguments, dealt out to all processes."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from info_nce.errors import SettingError
from info_nce.recipes.base import Inputs, Recipe
from info_nce.samplers import BatchSampler

# Making inputs, augmentation above all, needs many times the memory of the items: a large batch is made in pieces.
AT_ONCE = 1024


class Batches:
    """The batches of a run, as one of its processes sees them.

    Args:
        order: which items a step takes.
        inputs: makes the model's arguments of them.
        candidates: how many keys each query is told apart from, in the whole batch.
        place: this process, and how many there are; their parts differ by one item at most.

    Raises:
        SettingError: there are more processes than items in a batch.
    """

    def __init__(self, order: BatchSampler, inputs: Inputs, candidates: int, place: tuple[int, int] = (0, 1)) -> None:
        self.order, self.inputs, self.candidates, self.place = order, inputs, candidates, place
        items = len(order.batch(0)) if len(order) else 0
        if items < place[1]:
            raise SettingError(
                "a batch is dealt out to all processes, and there are more of them than items in it.",
                got=f"{items} items for {place[1]} processes",
                expected="at least one item for each process",
                advice="a larger --batch-size, more data, or fewer processes",
            )

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return len(self.order)

    def __call__(self, step: int) -> tuple[Tensor, ...]:
        """The model's arguments at a step."""
        rank, processes = self.place
        chosen = self.order.batch(step).tensor_split(processes)[rank]
        pieces = [self.inputs(piece) for piece in torch.split(chosen, AT_ONCE)]
        return pieces[0] if len(pieces) == 1 else tuple(map(_joined, zip(*pieces, strict=True)))

    def before_step(self, step: int, modules: Mapping[str, nn.Module]) -> None:
        """Let inputs that depend on the model look at it."""
        if callable(look := getattr(self.inputs, "before_step", None)):
            look(step, modules)


def batches_of(recipe: Recipe[Any], part: Any, device: torch.device, place: tuple[int, int] = (0, 1)) -> Batches:
    """The batches of a part of the data, in the recipe's order.

    Args:
        recipe: with its settings.
        part: of the data.
        device: of the model's arguments.
        place: see `Batches`.
    """
    order = recipe.order(part)
    size = len(order.batch(0)) if len(order) else 0
    return Batches(order, recipe.inputs(part, device), recipe.candidates(size), place)


def _joined(pieces: Sequence[Tensor]) -> Tensor:
    """Rows of all pieces; texts that are padded to the longest of their piece are padded to the longest of all."""
    shape = [max(sizes) for sizes in zip(*(piece.shape[1:] for piece in pieces), strict=True)]
    padding = [
        [n for size, most in zip(piece.shape[:0:-1], shape[::-1], strict=True) for n in (0, most - size)]
        for piece in pieces
    ]
    return torch.cat([functional.pad(piece, pad) for piece, pad in zip(pieces, padding, strict=True)])
