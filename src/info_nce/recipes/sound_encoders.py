"""Log-mel frames to latents: the small encoder of recipes on sound, or one of the user's own."""

import torch
from torch import Tensor, nn

from info_nce.errors import SettingError
from info_nce.recipes.log_mel import BANDS, Convolutions, frames_in, latents_in
from info_nce.recipes.towers import own_tower

STRIDE = 2
"""Frames of 10 ms for each latent."""


def sound_encoder(spec: str, features: int, crop: int, far: int) -> nn.Module:
    """Which encoder of sound does this word stand for?

    Args:
        spec: `module:factory`, which is told `bands` if it takes it and gives a module from log-mel frames (n u b) of
            10 ms to latents of 20 ms, (n t d) with t half of u, rounded up; "" for three convolutions.
        features: of a latent; an encoder of the user's own gets a projection to them.
        crop: samples of a piece.
        far: how many frames before and after its own a latent must not look at, for its task would be none.

    Raises:
        SettingError: there is no such encoder, or it gives something else, or it looks too far.
    """
    if not spec:
        return Convolutions(BANDS, features, STRIDE)
    frames = frames_in(crop)
    tower = own_tower(spec, torch.randn(1, frames, BANDS), {"bands": BANDS}, steps=latents_in(crop, STRIDE))
    seen = reach(tower, frames)
    if seen >= far:
        raise SettingError(
            f"the encoder {spec} sees what is to be told without seeing it.",
            got=f"latents that depend on frames {seen} before or after their own",
            expected=f"fewer than {far}, or a harder task",
            advice="no attention, norm or recurrence over time inside of it: the recipe adds its own context; or a "
            "larger --first-step, --mask-span",
        )
    return nn.Sequential(tower, nn.Linear(tower.features, features))


def reach(encoder: nn.Module, frames: int) -> int:
    """How many frames before or after its own does a latent in the middle depend on, at the most?"""
    given = torch.randn(1, frames, BANDS, requires_grad=True)
    mode = encoder.training
    encoder.eval()  # batch norm would tie all frames together, and count these among its statistics
    latents: Tensor = encoder(given)
    encoder.train(mode)
    middle = latents.shape[1] // 2
    (gradient,) = torch.autograd.grad(latents[0, middle].square().sum(), given)
    places = gradient[0].abs().sum(1).nonzero()[:, 0] - STRIDE * middle
    return int(places.abs().max()) if len(places) else 0
