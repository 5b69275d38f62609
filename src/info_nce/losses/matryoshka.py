"""Matryoshka: the same loss at several leading widths, so that a cut embedding still works."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from info_nce.checks import ArgumentError, DTypeError, ShapeError, check_number, check_whole, fail
from info_nce.losses.nce import NCE
from info_nce.losses.options import Tensors
from info_nce.queue import KeyQueue
from info_nce.similarity import Bilinear

__all__ = ["Matryoshka"]


_NOT_EMBEDDINGS = frozenset(Tensors.__annotations__)


class Matryoshka(nn.Module):
    r"""How good are the embeddings when only their first features are kept?

    $$ L = \sum_{w} c_w\, L(\text{first } w \text{ features}) $$

    Args:
        loss: any loss of this package, as a module.
        widths: which leading widths, such as (64, 128, 256).
        weights: one per width; 1 each by default, as in the paper.

    Every floating-point tensor of the call is cut; labels, masks and what is no embedding are passed on. A
    cut vector is normalised again by the loss. Maps of a fixed width (`Bilinear`, `CPC`) cannot be cut and are refused.

    Example:
        >>> from info_nce import InfoNCE
        >>> loss = Matryoshka(InfoNCE(), widths=(2, 4))
        >>> q = torch.randn(8, 4)
        >>> bool(torch.isclose(loss(q, q), InfoNCE()(q[:, :2], q[:, :2]) + InfoNCE()(q, q)))
        True

    Source:
        Kusupati et al. 2022, "Matryoshka Representation Learning", arXiv:2205.13147, eq. 1.
    """

    source = "Kusupati et al. 2022, arXiv:2205.13147, eq. 1"

    def __init__(self, loss: nn.Module, widths: Sequence[int], weights: Sequence[float] | None = None) -> None:
        super().__init__()
        if not isinstance(loss, nn.Module):
            fail(
                DTypeError,
                "loss must be a module.",
                got=repr(loss),
                expected="a face such as InfoNCE()",
                hint="the function has a module of the same meaning",
            )
        if not isinstance(widths, Sequence) or isinstance(widths, str) or not widths:
            fail(
                ArgumentError,
                "widths must be numbers of leading features.",
                got=f"widths={widths!r}",
                expected="one or more integers >= 1",
                hint="widths=(64, 128, 256)",
            )
        for width in widths:
            check_whole("widths", width, hint="widths=(64, 128, 256)")
        weights = [1.0] * len(widths) if weights is None else list(weights)
        if len(weights) != len(widths):
            fail(
                ArgumentError,
                "There must be one weight per width.",
                got=f"{len(weights)} weights, {len(widths)} widths",
                expected=f"{len(widths)} weights",
                hint="leave weights out for 1 each",
            )
        for weight in weights:
            check_number("weight", weight, low=0, high_open=True, hint="1 for each width, as in the paper")
        if not any(weights):
            fail(
                ArgumentError,
                "No width has a weight, so there is nothing to learn.",
                got=f"weights={tuple(weights)}",
                expected="at least one weight above 0",
                hint="leave weights out for 1 each",
            )
        fixed = [type(module).__name__ for module in loss.modules() if isinstance(module, Bilinear)]
        if fixed or hasattr(loss, "weight") or isinstance(loss, NCE):
            fail(
                ArgumentError,
                "This loss has no embeddings that could be cut: a map of a fixed width, or scores.",
                got=", ".join(fixed) or type(loss).__name__,
                expected="a loss without a bilinear map",
                hint="Cosine(), or one such loss per width",
            )
        self.loss, self.widths, self.weights = loss, tuple(widths), tuple(weights)
        self._terms = list(zip(self.widths, self.weights, strict=True))

    def forward(self, *inputs: Any, **settings: Any) -> Float[Tensor, "..."]:
        """Sum the weighted losses of all widths."""
        losses = []
        for width, weight in self._terms:
            named = {k: v if k in _NOT_EMBEDDINGS else self._cut(v, width) for k, v in settings.items()}
            losses.append(weight * self.loss(*(self._cut(value, width) for value in inputs), **named))
        return torch.stack(losses).sum(0)

    def _cut(self, value: Any, width: int) -> Any:
        value = value.keys() if isinstance(value, KeyQueue) else value
        if not isinstance(value, Tensor) or not value.is_floating_point() or not value.dim():
            return value
        if value.shape[-1] < width:
            fail(
                ShapeError,
                "The embeddings are narrower than a width.",
                got=f"{value.shape[-1]} features",
                expected=f"at least {max(self.widths)}",
                hint="leave the larger widths out",
            )
        return value[..., :width]

    @property
    def global_statistics(self) -> tuple[str, ...]:
        """Those of the wrapped loss."""
        found: tuple[str, ...] = getattr(self.loss, "global_statistics", ())
        return found

    def clamp_temperature(self) -> None:
        """Clamp the wrapped loss's temperature, where it learns one."""
        clamp = getattr(self.loss, "clamp_temperature", None)
        if clamp is not None:
            clamp()

    def extra_repr(self) -> str:
        """Every setting, for `print`."""
        return f"widths={self.widths}, weights={self.weights}"
