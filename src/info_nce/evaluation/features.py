"""What the classifiers and the search see of each picture: raw pixels, or what an encoder makes of them."""

from collections.abc import Callable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from info_nce.evaluation.results import RAW, TRAINED, UNTRAINED
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


def encode(encoder: nn.Module, images: UInt8[Tensor, "n c h w"], batch_size: int = 512) -> Float[Tensor, "n d"]:
    """Send pictures through an encoder, a batch at a time."""
    if len(images) == 0:
        return torch.empty(0, encoder(images.new_zeros(1, *images.shape[1:]).float()).shape[1])
    with torch.inference_mode():
        return torch.cat([encoder(batch.float() / 255) for batch in torch.split(images, batch_size)])


def feature_kinds(run: Run) -> dict[str, Features]:
    """List the three kinds of features that are compared, worst expected first; both encoders give pooled h."""
    untrained, trained = run.untrained_encoder(), run.encoder()
    return {
        RAW: raw_pixels,
        UNTRAINED: lambda images: encode(untrained, images),
        TRAINED: lambda images: encode(trained, images),
    }
