"""What a check looks at, and what it finds."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from info_nce.diagnostics.batch import BatchDiagnostics
from info_nce.losses import Face
from info_nce.similarity import Cosine, unit

__all__ = ["Check", "Examined", "Finding", "Severity"]

_PLAIN = 2
Severity = Literal["error", "warning", "note"]
"""Nothing can be learned so; less is learned than could be; worth knowing."""


@dataclass(frozen=True)
class Finding:
    """What is wrong with a training?

    Args:
        name: of the fault, always the same words.
        severity: "error", nothing can be learned so; "warning", less than could be; "note", worth knowing.
        what: was seen, with its numbers.
        advice: what to try.
    """

    name: str
    severity: Severity
    what: str
    advice: str

    def __str__(self) -> str:
        """In two lines."""
        return f"{self.severity}: {self.name}. {self.what}\n  try  {self.advice}"


@dataclass(frozen=True)
class Examined:
    """A batch, and what its loss made of it.

    Args:
        batch: how the loss comes about.
        inputs: the embeddings, in the order in which the loss lists them.
        tracked: which of them had a gradient to hand on to an encoder.
        slopes: the gradient of the loss by each of them; None where the loss takes none.
        loss: what the criterion gave back.
        parameters: of the criterion, by name.
        faces: the losses.
        labels: of a loss that was given some, one for each row.
        ids: which item each row shows, if somebody said so.
        told: whether the loss was told, too.
        start: whether nothing has been learned yet.
    """

    batch: BatchDiagnostics
    inputs: tuple[Float[Tensor, "n *h d"], ...]
    tracked: tuple[bool, ...]
    slopes: tuple[Float[Tensor, "n *h d"] | None, ...]
    loss: Float[Tensor, "..."]
    parameters: Mapping[str, Tensor]
    faces: tuple[Face, ...]
    labels: Int[Tensor, " n"] | None = None
    ids: Int[Tensor, " n"] | None = None
    told: bool = False
    start: bool = False

    @cached_property
    def sides(self) -> tuple[Float[Tensor, "n d"], ...]:
        """Those inputs that have one embedding for each item, and no list or sequence of them."""
        return tuple(side for side in self.inputs if side.dim() == _PLAIN)

    @cached_property
    def directions(self) -> tuple[Tensor, ...]:
        """The sides at unit length, in double precision on the CPU."""
        return tuple(unit(side.cpu().double()) for side in self.sides)

    @cached_property
    def temperature(self) -> float:
        """Of the loss, the mean where each query has one; NaN without any."""
        found = [torch.as_tensor(face.temperature).detach().double().mean() for face in self.faces]
        return float(found[0]) if found else math.nan

    @property
    def cosine(self) -> bool:
        """Whether the loss compares by cosine."""
        return bool(self.faces) and all(isinstance(face.similarity, Cosine) for face in self.faces)


Check = Callable[[Examined], Iterator[Finding]]
"""Looks for one fault."""
