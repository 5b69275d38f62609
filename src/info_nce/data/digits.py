"""Handwritten digits on a noisy canvas: so small that an encoder is trained while one watches."""

import numpy as np
import torch

from info_nce.data.images import ImageSet, split
from info_nce.data.splits import Facts, Splits
from info_nce.errors import needs_extra

with needs_extra("train"):
    import sklearn
    from sklearn.datasets import load_digits as from_scikit_learn

SIDE, CANVAS = 8, 14
# In units of the digits' 16 grey levels. Without noise and without a place to look for them, their raw pixels say all.
NOISE = 3.0
_SEED = 20_100_901


def load_digits() -> Splits[ImageSet]:
    """Load 1,797 digits of 8 x 8 pixels, each at a random place of a noisy canvas of 14 x 14, in three fixed parts.

    Returns:
        The parts, the same at every call.

    Source:
        scikit-learn's `load_digits`: the test part of the UCI set "Optical Recognition of Handwritten Digits", Alpaydin
        and Kaynak 1998. Differs: the canvas and its noise are ours.
    """
    digits = from_scikit_learn()
    chance = np.random.default_rng(_SEED)
    canvases = chance.normal(0.0, NOISE, (len(digits.images), CANVAS, CANVAS))
    for canvas, digit in zip(canvases, digits.images, strict=True):
        top, left = chance.integers(0, CANVAS - SIDE + 1, 2)
        canvas[top : top + SIDE, left : left + SIDE] += digit
    images = torch.from_numpy((canvases.clip(0, 16) * (255 / 16)).round().astype(np.uint8))[:, None]
    labels = torch.from_numpy(digits.target.astype(np.int64))
    whole = ImageSet("digits", images, labels, tuple("0123456789"))
    return split(whole, facts(), "digits")


def facts() -> Facts:
    """What there is to know, without loading anything."""
    return Facts(
        what=f"handwritten digits of {SIDE} x {SIDE} pixels at a random place of a noisy {CANVAS} x {CANVAS} canvas",
        licence="BSD-3-Clause (scikit-learn); the digits themselves CC BY 4.0 (UCI Machine Learning Repository)",
        credit="E. Alpaydin and C. Kaynak, Bogazici University; scikit-learn's authors",
        origin=f"scikit-learn {sklearn.__version__}, which is installed already",
        used_for="simclr, moco",
        counts="1,797 pictures; split 60 / 20 / 20 by class",
    )
