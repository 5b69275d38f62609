"""What a check looks at, and what it finds."""

import math
from collections.abc import Callable, Iterator
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
        sides: the embeddings, in the order in which the loss was given them.
        tracked: which of them had a gradient to hand on to an encoder.
        slopes: the gradient of the loss by each of them; None where the loss takes none.
        faces: the losses.
        labels: of a loss that was given some, one for each row.
        ids: which item each row shows, if somebody said so.
        told: whether the loss was told, too.
        start: whether nothing has been learned yet.
    """

    batch: BatchDiagnostics
    sides: tuple[Float[Tensor, "n d"], ...]
    tracked: tuple[bool, ...]
    slopes: tuple[Float[Tensor, "n d"] | None, ...]
    faces: tuple[Face, ...]
    labels: Int[Tensor, " n"] | None = None
    ids: Int[Tensor, " n"] | None = None
    told: bool = False
    start: bool = False

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
