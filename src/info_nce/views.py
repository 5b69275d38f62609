"""From the layouts that people have to views: mixing the two up silently is a classic way to learn nothing."""

import torch
from jaxtyping import Float
from torch import Tensor

from info_nce.checks import ArgumentError, ShapeError, check_embeddings, check_not_empty, fail, shapes
from info_nce.similarity import unit

__all__ = ["cut", "recognised", "views_from_interleaved", "views_from_stacked"]

_ENOUGH_ITEMS = 16
_CLEAR_MAJORITY = 0.9
_LIKE_STRANGERS = 0.75


def views_from_interleaved(
    features: Float[Tensor, "rows d"], views: int = 2, *, check: bool = True
) -> tuple[Float[Tensor, "n d"], ...]:
    """Which rows show the same item, when the views of an item follow each other: a1 a2 b1 b2 ...?

    Args:
        features: (V * N, D), item by item.
        views: V.
        check: look at the values, and refuse a batch that is clearly in the other layout. Looking makes a GPU wait.

    Returns:
        V tensors (N, D) for `nt_xent` and its like.

    Raises:
        ShapeError: the rows cannot be divided by the number of views.
        ArgumentError: partners are no closer than strangers, while in the other layout nearly all are.

    Example:
        >>> views_from_interleaved(torch.tensor([[1.0], [2.0], [3.0], [4.0]]))[0].flatten().tolist()
        [1.0, 3.0]
    """
    _divisible(features, views)
    found = cut(features, views, interleaved=True)
    if check:
        _refuse_other_layout(found, cut(features, views, interleaved=False), "interleaved", "stacked")
    return found


def views_from_stacked(
    features: Float[Tensor, "rows d"], views: int = 2, *, check: bool = True
) -> tuple[Float[Tensor, "n d"], ...]:
    """Which rows show the same item, when all first views come first: a1 b1 ... a2 b2 ...?

    Args:
        features: (V * N, D), view by view, as `torch.cat([view1, view2])` makes it.
        views: V.
        check: look at the values, and refuse a batch that is clearly in the other layout. Looking makes a GPU wait.

    Returns:
        V tensors (N, D) for `nt_xent` and its like.

    Raises:
        ShapeError: the rows cannot be divided by the number of views.
        ArgumentError: partners are no closer than strangers, while in the other layout nearly all are.

    Example:
        >>> views_from_stacked(torch.tensor([[1.0], [2.0], [3.0], [4.0]]))[0].flatten().tolist()
        [1.0, 2.0]
    """
    _divisible(features, views)
    found = cut(features, views, interleaved=False)
    if check:
        _refuse_other_layout(found, cut(features, views, interleaved=True), "stacked", "interleaved")
    return found


def cut(features: Tensor, views: int, *, interleaved: bool) -> tuple[Tensor, ...]:
    """The views of a batch in one layout or the other."""
    width = features.shape[1]
    return features.reshape(-1, views, width).unbind(1) if interleaved else features.reshape(views, -1, width).unbind(0)


def _divisible(features: Tensor, views: int) -> None:
    check_embeddings({"features": features})
    check_not_empty(features=features)
    if not isinstance(views, int) or isinstance(views, bool) or views < 2 or len(features) % views:
        fail(
            ShapeError,
            "The rows cannot be cut into views.",
            got=f"{shapes(features=features)} for views={views!r}",
            expected="views >= 2, and a multiple of it in rows",
            hint="views=2 for the usual pair",
        )


@torch.no_grad()
def _refuse_other_layout(claimed: tuple[Tensor, ...], other: tuple[Tensor, ...], name: str, other_name: str) -> None:
    """Partners that know each other no better than strangers, while in the other layout nearly all do, are no partners.

    Strangers are taken from the partner's own view, near and far in the batch, so that a gap between two encoders'
    outputs does not count.
    """
    if len(claimed[0]) < _ENOUGH_ITEMS or torch.compiler.is_compiling():
        return
    here, there = recognised(claimed), recognised(other)
    if here < _LIKE_STRANGERS and there > _CLEAR_MAJORITY:
        fail(
            ArgumentError,
            f"This batch does not look {name}.",
            got=f"closer to the partner than to a stranger: {here:.0%} of items as {name}, {there:.0%} as {other_name}",
            expected=f"the views of an item to be closer than strangers, paired as {name}",
            hint=f"views_from_{other_name}(features, {len(claimed)}), or check=False",
        )


def recognised(views: tuple[Tensor, ...]) -> float:
    """The share of items whose first view is closer to their second than to those of two others, near and far."""
    first, second = unit(views[0].double()), unit(views[1].double())
    own, *strangers = ((first * second.roll(shift, 0)).sum(-1) for shift in (0, 1, len(first) // 2))
    return float((own > torch.maximum(*strangers)).double().mean())
