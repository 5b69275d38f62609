"""How exact is a gradient? Against float64, beside what rounding the inputs alone would cost."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from benchmarks.inputs import inputs_of
from benchmarks.problems import Problem
from benchmarks.systems import dense

__all__ = ["gradient_errors"]

_LOSS_SCALE = 4096.0
"""As a gradient scaler would: without it, float16 has no numbers small enough for the gradient of a mean."""

Loss = Callable[..., Tensor]


def gradient_errors(problem: Problem, loss: Loss) -> dict[str, float]:
    """Relative errors of the gradient, all inputs together.

    Args:
        problem: whose dtype the inputs are rounded to.
        loss: of the system that is looked at.

    Returns:
        error: of the system's gradient for rounded inputs; rounding: of float64's gradient for rounded inputs.
    """
    truth = dense.losses()[problem.loss](problem.temperature)
    exact = [tensor.detach() for tensor in inputs_of(problem, torch.float64)]
    rounded = [tensor.to(getattr(torch, problem.dtype)) for tensor in exact]
    goal = _gradient(truth, exact)
    return {
        "error": _distance(_gradient(loss, rounded), goal),
        "rounding": _distance(_gradient(truth, [tensor.double() for tensor in rounded]), goal),
    }


def _gradient(loss: Loss, tensors: Sequence[Tensor]) -> Tensor:
    leaves = [tensor.clone().requires_grad_() for tensor in tensors]
    value = loss(*leaves)
    (value.double() * _LOSS_SCALE).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return torch.cat([leaf.grad.double().flatten() for leaf in leaves if leaf.grad is not None]) / _LOSS_SCALE


def _distance(found: Tensor, goal: Tensor) -> float:
    return float((found - goal).norm() / goal.norm())
