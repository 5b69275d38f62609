"""What the classifiers and the search see of each picture: raw pixels, or what an encoder makes of them."""

from collections.abc import Callable

from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from info_nce.data import ImageSet
from info_nce.evaluation.results import RAW
from info_nce.evaluation.scorecard import TRAINED, UNTRAINED
from info_nce.recipes.runs import Run

# More numbers per picture make a linear probe slow and no better.
MOST_PIXELS = 1024

Features = Callable[[UInt8[Tensor, "n c h w"]], Float[Tensor, "n d"]]


def raw_pixels(images: UInt8[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
    """Take the pixels themselves as features, in [0, 1]; large pictures are averaged down to a few hundred squares."""
    pixels = images.float() / 255
    side = images.shape[-1]
    while images.shape[1] * side * side > MOST_PIXELS:
        side -= 1
    return functional.adaptive_avg_pool2d(pixels, side).flatten(1) if side < images.shape[-1] else pixels.flatten(1)


def feature_kinds(run: Run[ImageSet]) -> dict[str, Features]:
    """List the three kinds of features that are compared, worst expected first; both encoders give pooled h."""
    untrained, trained = run.embedders(trained=False)["image"], run.embedders()["image"]
    return {RAW: raw_pixels, UNTRAINED: untrained, TRAINED: trained}
