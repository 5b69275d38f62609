"""Collectives that autograd can differentiate: a gradient adds up over ranks, for each depends on what was sent."""

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from info_nce.checks import ArgumentError, fail
from info_nce.distributed.ranks import Ranks

__all__ = ["averaged_over", "differentiated_once", "exchange", "others", "visits"]

Backward = Callable[..., Any]


def differentiated_once(backward: Backward) -> Backward:
    """Refuse a gradient that is to be differentiated again, of which a part would be missing without a word."""

    @wraps(backward)
    def refusing(ctx: Any, *slopes: Tensor | None) -> Any:
        if torch.is_grad_enabled():
            fail(
                ArgumentError,
                "A loss across ranks has no gradient of its gradient.",
                got="create_graph=True",
                expected="a first derivative",
                hint="create_graph=False, or a loss of one process: engine=None",
            )
        return backward(ctx, *slopes)

    return refusing


def others(ranks: Ranks, values: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The values (n, ...) of the ranks before this one, and of those after it; backward, their gradients go home."""
    before, after = _Others.apply(ranks, list(sizes), values)  # type: ignore[no-untyped-call]  # torch leaves `apply` untyped
    return before, after


class _Others(torch.autograd.Function):
    """A gather, and a scatter of sums."""

    @staticmethod
    def forward(ctx: Any, ranks: Ranks, sizes: list[int], values: Tensor) -> tuple[Tensor, Tensor]:
        ctx.ranks, ctx.sizes, ctx.dtype = ranks, sizes, values.dtype
        every, rank, even = ranks.gathered(values, sizes), ranks.rank, len(set(sizes)) == 1
        return _joined(every[:rank], values, even=even), _joined(every[rank + 1 :], values, even=even)

    @staticmethod
    @differentiated_once
    def backward(ctx: Any, before: Tensor, after: Tensor) -> tuple[None, None, Tensor]:
        sizes, rank = ctx.sizes, ctx.ranks.rank
        own = before.new_zeros(sizes[rank], *before.shape[1:])
        parts = [*torch.split(before, sizes[:rank]), own, *torch.split(after, sizes[rank + 1 :])]
        return None, None, ctx.ranks.scattered(parts).to(ctx.dtype)


def _joined(parts: Sequence[Tensor], like: Tensor, *, even: bool) -> Tensor:
    """One tensor after the other; of even parts, that is how they were gathered."""
    if not parts:
        return like.new_empty(0, *like.shape[1:])
    if not even:
        return torch.cat(list(parts))
    first = parts[0]
    return first.as_strided((len(parts) * len(first), *first.shape[1:]), first.stride())


def exchange(ranks: Ranks, values: Tensor, sizes: Sequence[int]) -> Tensor:
    """Of values for the keys of all ranks, each rank gets what every rank has for its own keys.

    Args:
        ranks: who takes part.
        values: (M, ...), in the order of the ranks.
        sizes: how many keys each rank has.

    Returns:
        (W, m, ...): from every rank, those of the m keys of this one.
    """
    exchanged: Tensor = _Exchange.apply(ranks, list(sizes), values)  # type: ignore[no-untyped-call]  # torch leaves `apply` untyped
    return exchanged


class _Exchange(torch.autograd.Function):
    """There, and the gradients back."""

    @staticmethod
    def forward(ctx: Any, ranks: Ranks, sizes: list[int], values: Tensor) -> Tensor:
        ctx.ranks, ctx.sizes = ranks, sizes
        own = sizes[ranks.rank]
        taken = ranks.exchanged(values, give=sizes, take=[own] * ranks.size)
        return taken.view(ranks.size, own, *values.shape[1:])

    @staticmethod
    @differentiated_once
    def backward(ctx: Any, slopes: Tensor) -> tuple[None, None, Tensor]:
        ranks, sizes = ctx.ranks, ctx.sizes
        own = [sizes[ranks.rank]] * ranks.size
        return None, None, ranks.exchanged(slopes.flatten(0, 1), give=own, take=sizes)


def averaged_over(ranks: Ranks, value: Tensor, parts: int) -> Tensor:
    """The sum of one number over the ranks divided by a number; each rank differentiates its own share, undivided.

    So the gradients that the ranks hold together are `parts` times that of the sum: what a reducer makes right that
    divides by their number.
    """
    averaged: Tensor = _AveragedOver.apply(ranks, parts, value)  # type: ignore[no-untyped-call]  # torch leaves `apply` untyped
    return averaged


class _AveragedOver(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, ranks: Ranks, parts: int, value: Tensor) -> Tensor:  # noqa: ARG004 - as torch calls it
        return ranks.summed(value) / parts

    @staticmethod
    @differentiated_once
    def backward(ctx: Any, slope: Tensor) -> tuple[None, None, Tensor]:  # noqa: ARG004 - as torch calls it
        return None, None, slope


def visits(
    ranks: Ranks, values: Sequence[Tensor], sizes: Sequence[Sequence[int]]
) -> Iterator[tuple[int, Sequence[Tensor]]]:
    """This rank's values first, then those of each other rank as they come around the ring.

    Args:
        ranks: who takes part.
        values: (n, ...) each.
        sizes: of each, how many rows every rank has.
    """
    for hop in range(ranks.size):
        coming = None
        if hop + 1 < ranks.size:  # on the way already, while the caller works on these
            coming = ranks.passed(values, [of[(ranks.rank - hop - 1) % ranks.size] for of in sizes])
        yield (ranks.rank - hop) % ranks.size, values
        values = coming.wait() if coming else values
