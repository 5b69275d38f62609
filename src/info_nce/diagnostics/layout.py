"""Are views paired with the views that they were made with?"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from info_nce.diagnostics.examined import Examined, Finding
from info_nce.losses import SupCon
from info_nce.views import cut, recognised

__all__ = ["wrong_layout"]

_LEAST = 16
"""Of fewer items, nothing can be said."""
_LIKE_STRANGERS, _MOST = 0.5, 0.7
"""One item in three is nearer to its partner than to two strangers by chance, nearly all are by their own views."""
_THE_SAME = 1 - 1e-6
"""Two embeddings with a higher cosine are one, up to rounding."""
_REMEDIES = {
    "interleaved (a1 a2 b1 b2 ...)": "cut an interleaved batch with views_from_interleaved, not in two halves; "
    "its labels are labels.repeat_interleave(2)",
    "stacked (a1 b1 ... a2 b2 ...)": "cut a stacked batch with views_from_stacked, or torch.chunk(batch, 2); "
    "its labels are labels.repeat(2)",
}
_MOVED: dict[str, Callable[[Tensor], Tensor]] = {
    "one row up": lambda side: side.roll(-1, 0),
    "one row down": lambda side: side.roll(1, 0),
    "back to front": lambda side: side.flip(0),
}


def wrong_layout(seen: Examined) -> Iterator[Finding]:
    """Are items recognised by the partners that another layout would give them, and not by their own?

    How many, not how much nearer: a training with wrong partners draws all rows together.
    """
    told = _told(seen)
    if told is None:
        return
    views, in_halves, in_turns = told
    if len(views[0]) < _LEAST or not torch.isfinite(in_halves).all():
        return
    here = recognised(views)
    others = cut(in_halves, 2, interleaved=True), cut(in_turns, 2, interleaved=False)
    for (name, remedy), other in zip(_REMEDIES.items(), others, strict=True):
        if ((other[0] * other[1]).sum(1) > _THE_SAME).double().mean() > _LIKE_STRANGERS:
            continue  # these are one view twice, and no two views
        there = recognised(other)
        if here < _LIKE_STRANGERS and there > _MOST:
            yield Finding(
                "wrong layout",
                "error",
                f"{here:.0%} of the items are nearer to their partner than to two strangers; {there:.0%} would be, "
                f"if the batch was {name}.",
                remedy,
            )
    for how, moved in _MOVED.items():
        if here < _LIKE_STRANGERS and (there := recognised((views[0], moved(views[1])))) > _MOST:
            yield Finding(
                "wrong layout",
                "error",
                f"{here:.0%} of the items are nearer to their partner than to two strangers; {there:.0%} would be, "
                f"if the second side was moved {how}.",
                "see whether row i of both sides shows the same item: an index may be off by one, or one side sorted",
            )


def _told(seen: Examined) -> tuple[tuple[Tensor, Tensor], Tensor, Tensor] | None:
    """Two views as the loss was told, the batch that they are the halves of, and the one that they alternate in.

    None where there are not two views of each item.
    """
    if not any(isinstance(face, SupCon) for face in seen.faces):
        if len(seen.sides) < 2 or seen.sides[0].shape != seen.sides[1].shape:
            return None
        one, other = seen.directions[:2]
        return (one, other), torch.cat([one, other]), torch.stack([one, other], 1).flatten(0, 1)
    if seen.labels is None:
        return None
    rows, labels = seen.directions[0], seen.labels.cpu()
    _, counts = torch.unique(labels, return_counts=True)
    if (counts != 2).any():
        return None
    first, second = labels.argsort(stable=True).view(-1, 2).T
    return (rows[first], rows[second]), rows, rows
