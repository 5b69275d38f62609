"""Checks of who is compared with whom: duplicates, false negatives, views that are no two, queries that have nobody."""

# N rows of a side, D features

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from info_nce.diagnostics.embeddings import effective_rank
from info_nce.diagnostics.examined import Examined, Finding
from info_nce.losses import DCL, DCLW, DebiasedInfoNCE, HardNegativeInfoNCE, MoCo, NTXent

__all__ = ["at_the_start", "duplicates", "false_negatives", "views_alike", "without_negative", "without_positive"]

_FEW = 0.02
"""Up to this share of rows, duplicates are an accident that changes little."""
_SAME = 1e-4
"""Unit vectors that are nearer than this are one, up to rounding; the nearest of 2,048 in 8 dimensions are not."""
_PLANE = 2
"""On a line or in a point, rows are equal although their items are not."""
_OUTSTANDING = 3.0
"""So many standard deviations above the mean negative, one in a thousand is: no negative is equal to that by chance."""
_EXCESS = 3.0
"""So many times as many negatives are nearer than the positive as of normally distributed ones would be, and half a one
more: they fit the query as well as its positive does."""
_ALIKE = 1e-3
"""A distance of partners, relative to that of strangers, which no augmentation leaves: of well trained encoders it is
0.02 and more."""
_NOTHING = 0.02
"""A loss of such a share of guessing is next to nothing: of easy pairs, an untrained encoder may leave 0.04."""
_BY_CHANCE = 0.8
"""The mean rank of a positive, as a share of that by chance: of two views, an untrained encoder has 0.6 or less."""


def duplicates(seen: Examined) -> Iterator[Finding]:
    """Is the same thing there twice, and its own negative? Not asked of labels, which make it a positive."""
    if seen.labels is not None:
        return
    what = _by_ids(seen) or _by_embeddings(seen)
    if what:
        yield Finding(
            "duplicates",
            "warning",
            f"{what}. Each is pushed away from itself.",
            "ids=... to the loss, which then leaves such candidates out; or the sampler WithoutDuplicates",
        )


def _by_ids(seen: Examined) -> str:
    if seen.ids is None or seen.told:
        return ""
    _, place, counts = torch.unique(seen.ids, return_inverse=True, return_counts=True)
    again = int((counts[place] > 1).sum())
    if again <= _FEW * len(seen.ids):
        return ""
    return f"{again} of {len(seen.ids)} rows show an item that another one shows, too: {len(counts)} items in all"


def _by_embeddings(seen: Examined) -> str:
    # where all embeddings are nearly alike, many are so within rounding; and zero is alike to everything
    told_apart = seen.batch.negative_similarity_spread > _FEW and all(side.any(1).all() for side in seen.sides)
    if not seen.cosine or not told_apart or seen.told:
        return ""
    for place, side in enumerate(seen.directions[:2], start=1):
        again = _copies(side)
        if again > _FEW * len(side):
            return f"{again} of {len(side)} rows of input {place} are there twice, up to rounding"
    rows = seen.batch.rows
    spread = rows.negative_similarity_spread
    outstanding = (rows.positive_similarity - rows.negative_similarity > _OUTSTANDING * spread) & (spread > _FEW)
    tied = float(((rows.ties > 0) & outstanding).double().mean())
    if tied > _FEW:
        return f"{tied:.0%} of the queries have a negative that is their positive again, up to rounding"
    return ""


def _copies(side: Float[Tensor, "n d"]) -> int:
    """How many rows another row equals? Along any direction, equal rows are neighbours."""
    apart = (side - side.mean(0)).norm(dim=1).mean()
    if len(side) < _PLANE or apart < _FEW or effective_rank(side) < _PLANE:
        return 0
    along = torch.randn(side.shape[1], generator=torch.Generator().manual_seed(0), dtype=side.dtype)
    ordered = side[(side @ along).argsort()]
    same = (ordered[1:] - ordered[:-1]).norm(dim=1) < _SAME
    none = same.new_zeros(1)
    return int((torch.cat([same, none]) | torch.cat([none, same])).sum())


def without_positive(seen: Examined) -> Iterator[Finding]:
    """Has every query something to look for?"""
    batch = seen.batch
    if batch.without_positive > batch.queries / 4:
        yield Finding(
            "without a positive",
            "warning",
            f"{batch.without_positive} of {batch.queries} queries have no positive in the batch, and learn nothing.",
            "several items of each label in a batch: the sampler BalancedByClass; or two views of each item",
        )


def without_negative(seen: Examined) -> Iterator[Finding]:
    """Has every query something to be told apart from?"""
    rows = seen.batch.rows
    alone = int((rows.candidates == rows.positives).sum())
    if alone > seen.batch.queries / 4:
        yield Finding(
            "without a negative",
            "error" if alone == seen.batch.queries else "warning",
            f"{alone} of {seen.batch.queries} queries have no negative in the batch: nothing is told apart.",
            "a larger batch; several labels in it; see whether labels or ids are those of the rows",
        )


def views_alike(seen: Examined) -> Iterator[Finding]:
    """Are the two sides one tensor, or all but one? Not asked of labels, whose rows may well come together."""
    batch = seen.batch
    if not _alike(seen):
        return
    yield Finding(
        "views alike",
        "warning",
        f"positives have a mean cosine of {batch.positive_similarity:.5f}, and negatives one of "
        f"{batch.negative_similarity:.2f}: the sides are all but the same, and it takes no encoder to tell pairs "
        "apart.",
        "see whether both views are one tensor, or one random state; a stronger augmentation",
    )


def _alike(seen: Examined) -> bool:
    batch = seen.batch
    if not seen.cosine or seen.labels is not None:
        return False
    return 1 - batch.positive_similarity < _ALIKE * (1 - batch.negative_similarity)


def at_the_start(seen: Examined) -> Iterator[Finding]:
    """Before anything is learned, are partners as similar as an untrained encoder makes them?

    Two encoders know nothing of each other; one that sees two views of an item makes them more alike than strangers.
    """
    batch = seen.batch
    if not seen.start or not seen.cosine:
        return
    views = all(isinstance(face, NTXent | DCL | DCLW | DebiasedInfoNCE | HardNegativeInfoNCE) for face in seen.faces)
    one_encoder = views and batch.reaching > _BY_CHANCE / 2 * (batch.rows.candidates - 1).mean()
    if one_encoder or batch.positive_similarity < batch.negative_similarity - batch.negative_similarity_spread:
        yield Finding(
            "loss too high at the start",
            "warning",
            f"positives have a mean cosine of {batch.positive_similarity:.3f}, and negatives one of "
            f"{batch.negative_similarity:.3f}; {batch.reaching:.0f} negatives are nearer than the positive.",
            "see whether row i of both sides shows the same item; whether augmentation leaves anything to recognise",
        )
    elif batch.surprise < _NOTHING * batch.log_candidates and not _alike(seen) and not _queued(seen):
        yield Finding(
            "loss too low at the start",
            "warning",
            f"before training, the loss is {batch.surprise:.3f} of {batch.log_candidates:.2f} nats: pairs are told "
            "apart without an encoder.",
            "see whether both views are the same tensor, or share something that gives them away",
        )


def _queued(seen: Examined) -> bool:
    """Whether negatives wait in a queue, which may be random at the start, and then is easy to tell apart."""
    return any(isinstance(face, MoCo) for face in seen.faces)


def false_negatives(seen: Examined) -> Iterator[Finding]:
    """Are more negatives nearer than the positive than there would be, were they no more than strangers?"""
    rows = seen.batch.rows
    beyond = torch.special.ndtr((rows.negative_logit - rows.positive_logit) / rows.negative_logit_spread)
    expected = float(((rows.candidates - rows.positives) * beyond).nanmean())
    if seen.cosine and not seen.start and seen.batch.reaching > _EXCESS * expected + 0.5:
        yield Finding(
            "likely false negatives",
            "note",
            f"{seen.batch.reaching:.1f} negatives are nearer to a query than its positive, where {expected:.1f} would "
            "be, were they strangers: some show what the query shows.",
            "ids=... or labels, if items repeat; margin=0.1 leaves out negatives that are nearer than the positive",
        )
