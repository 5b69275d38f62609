"""The checks that people make by hand when a loss does not fall: each looks at one batch and names one fault."""

# N rows of a side, D features

import math
from collections.abc import Iterator

import torch

from info_nce.diagnostics.examine_space import few_directions, two_places
from info_nce.diagnostics.examined import Check, Examined, Finding
from info_nce.diagnostics.layout import wrong_layout
from info_nce.losses import MoCo
from info_nce.similarity import DotProduct

__all__ = ["STAGES"]

_LENGTH = 0.02
"""A length may differ from 1 by so much: bfloat16 rounds a component by 0.4 %, and float32 by far less."""
_SHARP = 0.5
"""Below this temperature, an inner product is meant to be one of unit vectors."""
_ONE_POINT = 0.98
"""From this mean cosine on, all rows of a side are one point, as far as a loss or a search is concerned."""
_ALONE = 0.8
"""Where one negative has more of the push than this, on average, the others are not learned from."""
_SEVERAL = math.log(8)
"""Of fewer candidates than this, one is the nearest by far anyway."""
_CONE = 0.5
"""Negatives with a higher mean cosine than this lie in a narrow cone, although they are told apart."""
_FLOOR = 0.8
"""A loss that even the best embeddings leave at this share of guessing has next to nothing to fall to."""
_GUESSING = 0.02
"""So near to the loss of guessing, relative to it, nothing has been learned."""
_BY_CHANCE = 0.4
"""The mean rank of the positive, as a share of all ranks, is 0.5 by chance."""
_FEW = 0.02
"""Up to this share of rows, duplicates are an accident that changes little."""
_NEAR = 0.9
"""Positives with a higher cosine than this are learned already."""


def not_finite(seen: Examined) -> Iterator[Finding]:
    """Is every embedding a number?"""
    for place, side in enumerate(seen.sides, start=1):
        bad = ~torch.isfinite(side).all(1)
        if bad.any():
            yield Finding(
                "not finite",
                "error",
                f"{int(bad.sum())} of {len(side)} rows of input {place} hold NaN or infinity, the first is row "
                f"{int(bad.nonzero()[0])}.",
                "find the first step where it happens; a smaller learning rate, clipped gradients, bfloat16 in place "
                "of float16; info_nce.checks.finite() names where",
            )


def gradient_not_finite(seen: Examined) -> Iterator[Finding]:
    """Is the gradient a number, where the embeddings are?"""
    for place, slope in enumerate(seen.slopes, start=1):
        if slope is not None and not torch.isfinite(slope).all():
            yield Finding(
                "gradient not finite",
                "error",
                f"the gradient of the loss by the embeddings of input {place} holds NaN or infinity.",
                "a larger temperature; float16 overflows without a gradient scaler: use one, or bfloat16",
            )


def zero_vectors(seen: Examined) -> Iterator[Finding]:
    """Has every embedding a direction?"""
    for place, side in enumerate(seen.sides, start=1):
        zero = int((side == 0).all(1).sum())
        if zero and seen.cosine:
            yield Finding(
                "zero vectors",
                "error" if zero > len(side) / 2 else "warning",
                f"{zero} of {len(side)} rows of input {place} are zero, and as similar to everything as to nothing.",
                "no ReLU as the last layer before the loss; a smaller learning rate, if units have died",
            )


def without_gradient(seen: Examined) -> Iterator[Finding]:
    """Does a gradient flow to both sides? Asked only where one of them came with its history."""
    if not any(seen.tracked) or any(isinstance(face, MoCo) for face in seen.faces):  # whose keys have none by design
        return
    for place, (tracked, slope) in enumerate(zip(seen.tracked, seen.slopes, strict=True), start=1):
        if not tracked:
            yield Finding(
                "no gradient on one side",
                "warning",
                f"input {place} came without its history, so that its encoder does not learn.",
                "leave out .detach() and torch.no_grad(); meant so, as with a frozen encoder, it is no fault",
            )
        elif slope is None or (slope == 0).all():
            yield Finding(
                "no gradient",
                "error",
                f"the gradient of the loss by input {place} is 0 everywhere.",
                "see whether the loss is 0 already, and whether its arguments are in the right order",
            )


def not_normalised(seen: Examined) -> Iterator[Finding]:
    """Are inner products at a small temperature those of unit vectors? Rounding of a length near 1 is none of it."""
    if not any(isinstance(face.similarity, DotProduct) for face in seen.faces) or seen.temperature >= _SHARP:
        return
    for place, side in enumerate(seen.sides, start=1):
        low, high = (float(end) for end in torch.linalg.vector_norm(side.cpu().double(), dim=1).aminmax())
        if high - 1 > _LENGTH or 1 - low > _LENGTH:
            yield Finding(
                "not normalised",
                "warning",
                f"rows of input {place} have lengths from {low:.3g} to {high:.3g}, and inner products are divided by a "
                f"temperature of {seen.temperature:.3g}: positive logits are about {seen.batch.positive_logit:.3g}.",
                "similarity=Cosine(), the default, which normalises; or a temperature of 1",
            )


def collapsed(seen: Examined) -> Iterator[Finding]:
    """Do embeddings differ from each other at all?"""
    found = {}
    for place, side in enumerate(seen.directions, start=1):
        count = len(side)
        if count > 1 and side.any():
            # the mean over pairs of different rows, from the length of the sum; NaN is found elsewhere
            cosine = float((side.sum(0).square().sum() - side.square().sum()) / (count * (count - 1)))
            if cosine > _ONE_POINT:
                found[place] = cosine
    if found:
        shown = " and ".join(f"{cosine:.4f} in input {place}" for place, cosine in found.items())
        yield Finding(
            "collapsed",
            "error",
            f"all rows are one point, as far as the loss can tell: two of them have a mean cosine of {shown}.",
            "a smaller learning rate or weight decay, a longer warm-up; batch norm in the projection head; see whether "
            "the encoder's output differs between items at all",
        )


def temperature_at_its_end(seen: Examined) -> Iterator[Finding]:
    """Has a learned temperature come to where it is clamped?"""
    for face in seen.faces:
        least = face.minimum_temperature
        if face.learnable and least > 0 and seen.temperature <= least * 1.001:
            yield Finding(
                "temperature at its clamp",
                "warning",
                f"the learned temperature is {seen.temperature:.4g}, and {least:g} is the least that it may be.",
                "a smaller learning rate for the temperature, or a fixed one; or harder pairs, if these are too easy",
            )
            return


def temperature_too_small(seen: Examined) -> Iterator[Finding]:
    """Does the nearest negative get all of the push, or is the loss content with tiny differences?"""
    batch = seen.batch
    if not batch.log_candidates > _SEVERAL:
        return
    what = ""
    if batch.hardest_share > _ALONE:
        what = (
            f"{batch.hardest_share:.0%} of what pushes a query away from its negatives comes from the nearest one, and "
            f"{batch.effective_negatives:.1f} negatives share it"
        )
    elif seen.cosine and batch.negative_similarity > _CONE and batch.surprise < batch.log_candidates / 2:
        what = (
            f"negatives have a mean cosine of {batch.negative_similarity:.2f}, and yet the loss has fallen to "
            f"{batch.surprise:.2f} of {batch.log_candidates:.2f} nats: nothing spreads the embeddings out any further"
        )
    if what:
        yield Finding(
            "temperature too small",
            "warning",
            f"{what}, at a temperature of {seen.temperature:.3g}.",
            "a larger temperature: 0.05 to 0.2; or learnable=True",
        )


def temperature_too_large(seen: Examined) -> Iterator[Finding]:
    """How low could the loss fall, if positives were together and all others as far apart as can be?"""
    candidates = math.exp(seen.batch.log_candidates)
    if not seen.cosine or not candidates > 2 or not seen.temperature > 0:
        return
    # cosines of 1 and of -1 / (candidates - 1), a regular simplex: Graf et al. 2021, arXiv:2102.08817
    best = math.log1p((candidates - 1) * math.exp(-candidates / ((candidates - 1) * seen.temperature)))
    if best > _FLOOR * seen.batch.log_candidates:
        yield Finding(
            "temperature too large",
            "warning",
            f"at a temperature of {seen.temperature:.3g}, perfect embeddings would still pay {best:.2f} nats among "
            f"{candidates:.0f} candidates, and guessing pays {seen.batch.log_candidates:.2f}.",
            "a smaller temperature: 0.05 to 0.2",
        )


def duplicates(seen: Examined) -> Iterator[Finding]:
    """Is the same thing there twice, and its own negative?"""
    what, rows = "", seen.batch.rows
    if seen.ids is not None and not seen.told:
        _, place, counts = torch.unique(seen.ids, return_inverse=True, return_counts=True)
        again = int((counts[place] > 1).sum())
        if again > _FEW * len(seen.ids):
            what = (
                f"{again} of {len(seen.ids)} rows show an item that another one shows, too: {len(counts)} items in all"
            )
    # where all embeddings are nearly alike, many are so within rounding; and zero is alike to everything
    told_apart = seen.batch.negative_similarity_spread > _FEW and all(side.any(1).all() for side in seen.sides)
    if not what and seen.cosine and told_apart:
        tied = float((rows.ties > 0).double().mean())
        if tied > _FEW:
            what = f"{tied:.0%} of the queries have a negative that is their positive again, up to rounding"
    if what:
        yield Finding(
            "duplicates",
            "warning",
            f"{what}. Each is pushed away from itself.",
            "ids=... to the loss, which then leaves such candidates out; or the sampler WithoutDuplicates",
        )


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


def at_the_start(seen: Examined) -> Iterator[Finding]:
    """Before anything is learned, is the loss what unrelated features pay?

    That is not the logarithm of the candidates, but 1 / (2 d temperature^2) more: their logits are nearly normal with a
    variance of 1 / (d temperature^2). Where the deviation is above sqrt(2 log candidates), the largest logit alone is
    the sum (the random energy model, Derrida 1981).
    """
    if not seen.start or not seen.cosine or not seen.sides:
        return
    batch = seen.batch
    deviation, edge = 1 / (seen.temperature * math.sqrt(seen.sides[0].shape[1])), math.sqrt(2 * batch.log_candidates)
    expected = batch.log_candidates + deviation**2 / 2 if deviation < edge else deviation * edge
    if batch.surprise > expected + max(0.5, 0.1 * expected):
        yield Finding(
            "loss too high at the start",
            "warning",
            f"the loss is {batch.surprise:.2f} nats, and unrelated features pay about {expected:.2f}: positives are "
            "less similar than negatives.",
            "see whether row i of both sides shows the same item",
        )
    elif batch.surprise < 0.05 * batch.log_candidates:
        yield Finding(
            "loss too low at the start",
            "warning",
            f"before training, the loss is {batch.surprise:.3f} of {batch.log_candidates:.2f} nats: pairs are told "
            "apart without an encoder.",
            "see whether both views are the same tensor, or share something that gives them away",
        )


def guessing(seen: Examined) -> Iterator[Finding]:
    """Is the loss where it would be without having learned anything, or above, although the ranks are better?"""
    batch = seen.batch
    if seen.start or not 0 < (1 - _GUESSING) * batch.log_candidates < batch.surprise:
        return
    candidates = math.exp(batch.log_candidates)
    if batch.mean_rank - 1 < _BY_CHANCE * (candidates - 1):
        yield Finding(
            "too sure",
            "warning",
            f"the loss is {batch.surprise:.3f} nats, and guessing costs {batch.log_candidates:.3f}; yet the positive "
            f"has rank {batch.mean_rank:.0f} of {candidates:.0f} on average: similarities are told apart more sharply "
            f"than they deserve, at a temperature of {seen.temperature:.3g}.",
            "of items that were not trained on: earlier weights (--weights best), more data or augmentation, a larger "
            "temperature or clamp; a search, which only ranks, does not suffer from it",
        )
    else:
        yield Finding(
            "guessing",
            "error",
            f"the loss is {batch.surprise:.3f} nats, and guessing costs {batch.log_candidates:.3f}: "
            f"the positive has rank {batch.median_rank:.0f} (median).",
            "see whether row i of both sides shows the same item; a larger learning rate; more steps, if "
            "training has only begun",
        )


def saturated(seen: Examined) -> Iterator[Finding]:
    """Is there anything left to learn from this batch?"""
    share = seen.batch.saturated
    if share > 1 - _FEW and not seen.start:
        yield Finding(
            "saturated",
            "note",
            f"{share:.0%} of the queries give their positive more than 99 % of the probability.",
            "a larger batch or a queue, hard negatives, stronger augmentation; a larger temperature",
        )


def false_negatives(seen: Examined) -> Iterator[Finding]:
    """Are there negatives nearer than a positive that is very near itself?"""
    rows = seen.batch.rows
    share = float(((rows.positive_similarity > _NEAR) & (rows.rank > 1)).double().mean()) if seen.cosine else 0.0
    if share > 0.25:
        yield Finding(
            "likely false negatives",
            "note",
            f"{share:.0%} of the queries have a positive with a cosine above {_NEAR}, and a negative nearer still.",
            "ids=... or labels, if items repeat; margin=0.1 leaves out negatives that are nearer than the positive",
        )


STAGES: tuple[tuple[Check, ...], ...] = (
    (not_finite,),
    (gradient_not_finite, zero_vectors, without_gradient, not_normalised, wrong_layout, collapsed),
    (temperature_at_its_end, temperature_too_small, temperature_too_large, duplicates, without_positive),
    (at_the_start, guessing, saturated, false_negatives, few_directions, two_places),
)
"""One after the other: an error explains whatever later checks would find; the last only say that something is wrong,
and are asked where nothing was found."""
