"""Are views paired with the views that they were made with?"""

# R rows: all views of all items

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from info_nce.diagnostics.examined import Examined, Finding
from info_nce.losses import SupCon

__all__ = ["wrong_layout"]

_MOSTLY = 0.7
"""So many rows have to be nearer to other partners than to their own."""
_SIGNIFICANT = 4.0
"""And more than half of them by so many standard errors."""
_LEAST = 8
"""Of fewer rows, nothing can be said."""
_INTERLEAVED, _STACKED = "interleaved (a1 a2 b1 b2 ...)", "stacked (a1 b1 ... a2 b2 ...)"
_REMEDIES = {
    _INTERLEAVED: "cut an interleaved batch with views_from_interleaved, not in two halves; its labels are "
    "labels.repeat_interleave(2)",
    _STACKED: "cut a stacked batch with views_from_stacked, or torch.chunk(batch, 2); its labels are labels.repeat(2)",
}


def wrong_layout(seen: Examined) -> Iterator[Finding]:
    """Are rows nearer to those that another layout of the views would make their partners?

    Not by how much, for a training with wrong partners draws all rows together, but how many of them. Where one side is
    narrow, or rows are sorted, they are near to their neighbours, too: but then to their neighbours' partners as well.
    """
    placed = _declared(seen)
    if placed is None or len(placed[0]) < _LEAST or not torch.isfinite(placed[0]).all():
        return
    rows, partner = placed
    own = (rows * rows[partner]).sum(1)
    for name, others in _layouts(len(rows)).items():
        neighbours = others.roll(2)
        differs = (others != partner) & (neighbours != torch.arange(len(rows)))
        if differs.sum() < len(rows) / 2:
            continue
        found, nearby = ((rows * rows[chosen]).sum(1) for chosen in (others, neighbours))
        nearer = (found > own)[differs]
        if _mostly(nearer) and _mostly((found > nearby)[differs]):
            yield Finding(
                "wrong layout",
                "error",
                f"rows have a mean cosine of {own.mean():.3f} with their partners, and of {found[differs].mean():.3f} with "
                f"those that they had if the batch was {name}: {nearer.double().mean():.0%} are nearer to these.",
                _REMEDIES[name],
            )
            return


def _mostly(yes: Tensor) -> bool:
    """More often than `_MOSTLY`, and than chance could explain."""
    return float(yes.double().mean()) > max(_MOSTLY, 0.5 + _SIGNIFICANT / 2 / math.sqrt(len(yes)))


def _declared(seen: Examined) -> tuple[Tensor, Tensor] | None:
    """All rows (R, D) and the place of each one's partner (R), where each has one; None where it has not."""
    if any(isinstance(face, SupCon) for face in seen.faces):
        return None if seen.labels is None else _labelled(seen.directions[0], seen.labels.cpu())
    if len(seen.sides) < 2 or seen.sides[0].shape != seen.sides[1].shape:
        return None
    rows = torch.cat(seen.directions[:2])
    return rows, torch.arange(len(rows)).roll(len(rows) // 2)


def _labelled(rows: Tensor, labels: Tensor) -> tuple[Tensor, Tensor] | None:
    """Rows of which every label has two."""
    _, counts = torch.unique(labels, return_counts=True)
    if len(labels) != len(rows) or (counts != 2).any():
        return None
    one, other = labels.argsort(stable=True).view(-1, 2).T
    partner = torch.empty_like(labels)
    partner[one], partner[other] = other, one
    return rows, partner


def _layouts(count: int) -> dict[str, Tensor]:
    """Of rows in two halves, the place of each one's partner if the halves had been cut out of another layout."""
    places = torch.arange(count)
    neighbour = torch.where(places % 2 == 0, places + 1, places - 1).clamp(max=count - 1)
    # row p of a batch that is cut as if it were interleaved goes to half p % 2, place p // 2
    went = places % 2 * (count // 2) + places // 2
    stacked = torch.empty_like(places)
    stacked[went] = went[places.roll(-(count // 2))]
    return {_INTERLEAVED: neighbour, _STACKED: stacked}
