"""Checks of how the embeddings of a batch lie, beside what the loss makes of them."""

from collections.abc import Iterator

from info_nce.diagnostics.embeddings import effective_rank, modality_gap
from info_nce.diagnostics.examined import Examined, Finding
from info_nce.losses import InfoNCE, SigLIP, SymmetricInfoNCE

__all__ = ["few_directions", "two_places"]

_LEAST = 16
"""Of fewer features or rows, no rank is small."""
_FLAT = 0.1
"""Embeddings that use a smaller share of the directions that they could use are flat."""
_LINE, _PLANE = 1.5, 4
"""Of as many directions as this or more, embeddings that use fewer than that lie on a line: healthy ones of 8 features
use 5 and more."""
_PARTED, _GAP = 0.99, 0.25
"""A plane that parts so many queries from keys, and a gap that makes up so much of all distance, are no accident: of N
independent pairs, a gap by chance makes up 1 / N."""


def few_directions(seen: Examined) -> Iterator[Finding]:
    """Do the embeddings use but a few of their directions? Not asked where labels say that there are but a few."""
    if not seen.cosine or seen.labels is not None:
        return
    for place, side in enumerate(seen.directions, start=1):
        most = min(side.shape[1], len(side) - 1)
        used = float(effective_rank(side))
        if (most >= _LEAST and used < _FLAT * most) or (most >= _PLANE and used < _LINE):
            yield Finding(
                "few directions",
                "note",
                f"rows of input {place} use {used:.1f} of {most} directions (effective rank).",
                "if the items differ in more than that: a projection head of two layers, batch norm in it, stronger "
                "augmentation; singular_spectrum shows whether there is a cliff",
            )


def two_places(seen: Examined) -> Iterator[Finding]:
    """Do queries and keys lie in two places, as pictures and texts often do?"""
    # keys of a slow copy lag behind, and before training, two encoders are in two places anyway
    pairs = all(isinstance(face, InfoNCE | SymmetricInfoNCE | SigLIP) for face in seen.faces) and not seen.start
    if not pairs or not seen.cosine or len(seen.sides) < 2 or min(map(len, seen.sides[:2])) < _LEAST:
        return
    if seen.sides[0].shape[1] != seen.sides[1].shape[1]:
        return
    gap = modality_gap(*seen.directions[:2])
    if gap.separated > _PARTED and gap.share > _GAP:
        yield Finding(
            "modality gap",
            "note",
            f"the means of queries and keys lie {gap.distance:.2f} apart, and {gap.share:.0%} of the mean squared "
            "distance between a query and a key is due to it.",
            "no harm to a search of one side in the other; where both are searched together, take the mean of each "
            "side off first. A larger temperature makes it smaller",
        )
