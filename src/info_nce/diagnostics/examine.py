"""The checks that people make by hand when a loss does not fall: each looks at one batch and names one fault."""

# N rows of a side, D features

import math
from collections.abc import Iterator

import torch

from info_nce.diagnostics.examine_pairs import (
    at_the_start,
    duplicates,
    false_negatives,
    views_alike,
    without_negative,
    without_positive,
)
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
_ONE_POINT = 0.02
"""Rows of a side whose mean cosine is nearer to 1 than this are one point, unless the temperature is smaller still: an
untrained encoder may put all rows at 0.97. Logits differ by (1 - cosine) / temperature: by 1, and the loss can tell."""
_ROUNDING = 1e-6
"""Nearer to 1, a cosine is 1 up to rounding at any temperature."""
_ALONE = 0.8
"""Where one negative has more of the push than this, on average, the others are not learned from."""
_SEVERAL = math.log(8)
"""Of fewer candidates than this, one is the nearest by far anyway."""
_SMALL = 0.05
"""From this temperature on, trainings go well; the nearest negative of well trained pairs may have 70 % of the push."""
_CONE = 0.5
"""Negatives with a higher mean cosine than this lie in a narrow cone, although they are told apart."""
_FALLEN = 0.95
"""A loss below this share of guessing tells embeddings apart."""
_LARGE = 0.5
"""Up to this temperature, trainings go well, with however many candidates."""
_FLOOR = 0.8
"""A loss that even the best embeddings leave at this share of guessing has next to nothing to fall to."""
_GUESSING = 0.02
"""So near to the loss of guessing, relative to it, nothing has been learned."""
_BY_CHANCE = 0.8
"""The mean rank of the best positive, as a share of what it is by chance, where nothing has been learned."""
_DONE = 0.98
"""Where so many queries are done, the batch has nothing left to teach."""


def not_finite(seen: Examined) -> Iterator[Finding]:
    """Is every embedding a number, and what the loss makes of them?"""
    broken = False
    for place, side in enumerate(seen.inputs, start=1):
        bad = ~torch.isfinite(side).flatten(1).all(1)
        if bad.any():
            broken = True
            yield Finding(
                "not finite",
                "error",
                f"{int(bad.sum())} of {len(side)} rows of input {place} hold NaN or infinity, the first is row "
                f"{int(bad.nonzero()[0])}.",
                "find the first step where it happens; a smaller learning rate, clipped gradients, bfloat16 in place "
                "of float16; info_nce.checks.finite() names where",
            )
    if not broken and not torch.isfinite(seen.loss).all():
        names = [name for name, parameter in seen.parameters.items() if not torch.isfinite(parameter).all()]
        yield Finding(
            "not finite",
            "error",
            "the loss is NaN or infinity, although the embeddings that it was given are numbers: "
            + (f"parameter {names[0]} holds NaN or infinity." if names else "it becomes so within criterion."),
            "find the first step where it happens; a smaller learning rate, also of a learned temperature, whose "
            "clamp_temperature() belongs after each step; info_nce.checks.finite() names where",
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
            if 1 - cosine < min(_ONE_POINT, seen.temperature) or 1 - cosine < _ROUNDING:
                found[place] = cosine
    if found:
        shown = " and ".join(f"{cosine:.4f} in input {place}" for place, cosine in found.items())
        yield Finding(
            "collapsed",
            "warning" if seen.start else "error",
            f"all rows are one point, as far as the loss can tell: two of them have a mean cosine of {shown}.",
            "batch norm in the encoder or its projection head; many encoders begin so, and leave that point in the "
            "first hundred steps"
            if seen.start
            else "see whether row i of both sides shows the same item (wrong pairs draw all rows together); a "
            "smaller learning rate or weight decay, a longer warm-up; batch norm in the projection head; see whether "
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
    if not batch.log_candidates > _SEVERAL or (seen.cosine and seen.temperature >= _SMALL):
        return
    what = ""
    if batch.hardest_share > _ALONE:
        what = (
            f"{batch.hardest_share:.0%} of what pushes a query away from its negatives comes from the nearest one, and "
            f"{batch.effective_negatives:.1f} negatives share it"
        )
    elif seen.cosine and batch.negative_similarity > _CONE and batch.surprise < _FALLEN * batch.chance:
        what = (
            f"negatives have a mean cosine of {batch.negative_similarity:.2f}, and yet the loss has fallen to "
            f"{batch.surprise:.2f} of {batch.chance:.2f} nats: nothing spreads the embeddings out any further"
        )
    if what:
        yield Finding(
            "temperature too small",
            "warning",
            f"{what}, at a temperature of {seen.temperature:.3g}.",
            "a larger temperature: 0.05 to 0.2; or learnable=True"
            if seen.cosine
            else "similarity=Cosine(), the default, which normalises; or a larger temperature",
        )


def temperature_too_large(seen: Examined) -> Iterator[Finding]:
    """How low could the loss fall, if positives were together and all others as far apart as can be?"""
    candidates = math.exp(seen.batch.log_candidates)
    if not seen.cosine or not candidates > 2 or not seen.temperature > _LARGE:
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


def guessing(seen: Examined) -> Iterator[Finding]:
    """Is the loss where it would be without having learned anything, or above, although the ranks are better?"""
    batch, rows = seen.batch, seen.batch.rows
    if seen.start or not 0 < (1 - _GUESSING) * batch.chance < batch.surprise:
        return
    # of p positives among m negatives, m / (p + 1) negatives are before the best by chance
    negatives = rows.candidates - rows.positives
    before = float((negatives / (rows.positives + 1))[rows.positives > 0].mean())
    if batch.mean_rank - 1 < _BY_CHANCE * before:
        yield Finding(
            "too sure",
            "warning",
            f"the loss is {batch.surprise:.3f} nats, and guessing costs {batch.chance:.3f}; yet the positive has rank "
            f"{batch.mean_rank:.0f} on average, and {1 + before:.0f} by chance: similarities are told apart more "
            f"sharply than they deserve, at a temperature of {seen.temperature:.3g}.",
            "more steps, if training has only begun; of items that were not trained on: earlier weights, more data or "
            "augmentation, a larger temperature or clamp; a search, which only ranks, does not suffer from it",
        )
    else:
        yield Finding(
            "guessing",
            "error",
            f"the loss is {batch.surprise:.3f} nats, and guessing costs {batch.chance:.3f}: the positive has rank "
            f"{batch.mean_rank:.0f} on average, and {1 + before:.0f} by chance.",
            "see whether row i of both sides shows the same item; a larger learning rate; more steps, if "
            "training has only begun",
        )


def saturated(seen: Examined) -> Iterator[Finding]:
    """Is there anything left to learn from this batch?"""
    share = seen.batch.saturated
    if share > _DONE and not seen.start:
        yield Finding(
            "saturated",
            "note",
            f"{share:.0%} of the queries give their positive more than 99 % of the probability.",
            "a larger batch or a queue, hard negatives, stronger augmentation; a larger temperature",
        )


STAGES: tuple[tuple[Check, ...], ...] = (
    (not_finite,),
    (gradient_not_finite, zero_vectors, without_gradient, without_negative, not_normalised, wrong_layout, collapsed),
    (temperature_at_its_end, temperature_too_small, temperature_too_large, duplicates, without_positive),
    (at_the_start, guessing, views_alike),
    (saturated, false_negatives, few_directions, two_places),
)
"""One after the other: an error explains whatever later checks would find; the last are notes, and are taken where
nothing was found."""
