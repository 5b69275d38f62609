"""The tensors of a problem: the same in every process."""

import torch
from torch import Tensor

from benchmarks.problems import Problem

__all__ = ["inputs_of"]

_SEED = 20
_NOISE = 1.5  # the cosine of a pair is then about 0.3: at no temperature of the benchmark is the loss zero
_SAME_LABEL = 8


def inputs_of(problem: Problem, dtype: torch.dtype | None = None) -> tuple[Tensor, ...]:
    """Make the inputs; those that a model would have produced want a gradient.

    Args:
        problem: what they are for.
        dtype: in which precision they are drawn; the problem's by default.
    """
    generator = torch.Generator().manual_seed(_SEED)
    dtype = dtype or getattr(torch, problem.dtype)

    def noise(rows: int) -> Tensor:
        return torch.randn(rows, problem.width, generator=generator, dtype=dtype)

    def near(centres: Tensor) -> Tensor:
        return noise(len(centres)).mul_(_NOISE).add_(centres).requires_grad_()

    kind = problem.kind.inputs
    if kind == "labels":
        labels = torch.arange(problem.rows) % max(1, problem.rows // _SAME_LABEL)
        return near(noise(int(labels.max()) + 1)[labels]), labels
    centres = noise(problem.rows // 2 if kind == "views" else problem.rows)
    one, other = near(centres), near(centres)
    if kind == "queue":
        return one, other.detach(), noise(problem.rows)
    return one, other
