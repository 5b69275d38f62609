"""Two views: of the same size, in range, different from each other, and the same again from the same seed."""

import pytest
import torch
from torch import nn

from info_nce.recipes.augment import (
    AtOnce,
    Augmentation,
    augmentation,
    colour_pictures,
    digits_in_noise,
    grey_pictures,
    silhouettes,
)

CASES: list[tuple[Augmentation, int, int]] = [
    (silhouettes(), 1, 28),
    (grey_pictures(32), 1, 32),
    (colour_pictures(32), 3, 32),
    (colour_pictures(16), 3, 16),
]
CASES_OUT_OF_RANGE: list[tuple[Augmentation, int, int]] = [(digits_in_noise(), 1, 14)]


@pytest.mark.parametrize(("augment", "channels", "size"), CASES + CASES_OUT_OF_RANGE)
def test_views_differ_and_follow_the_seed(augment: Augmentation, channels: int, size: int) -> None:
    torch.manual_seed(0)
    pictures = torch.rand(8, channels, size, size)
    state = torch.get_rng_state()
    first, second = augment(pictures), augment(pictures)
    assert first.shape == pictures.shape
    if (augment, channels, size) in CASES:  # noise is not cut off
        assert first.min() >= -1e-5
        assert first.max() <= 1 + 1e-5
    assert (first - second).abs().mean() > 0.01
    torch.set_rng_state(state)
    torch.testing.assert_close(augment(pictures), first, rtol=0, atol=0)


def test_a_folder_of_the_users_is_no_silhouette_whatever_its_name() -> None:
    for source in ("/home/animals", "animals/"):
        assert "RandomAffine" not in str(augmentation(source, 1, 28))
    assert "RandomAffine" in str(augmentation("animals", 1, 28))
    assert "Noise" in str(augmentation("digits", 1, 14))
    assert "Jitter" in str(augmentation("/home/animals", 3, 28))


def test_grey_pictures_stay_grey_and_colours_change() -> None:
    torch.manual_seed(0)
    red = torch.zeros(64, 3, 16, 16)
    red[:, 0] = 0.8
    changed = colour_pictures(16)(red).mean(dim=(2, 3))
    assert (changed[:, 1] > 0.05).any()  # another hue, or grey
    assert changed.std(dim=0).max() > 0.05


def test_changes_at_once_are_those_one_after_the_other() -> None:
    changes = list(silhouettes())  # type: ignore[call-overload]  # a sequence of modules
    pictures = torch.zeros(64, 1, 24, 32)
    pictures[:, :, 6:15, 10:24] = torch.rand(64, 1, 9, 14)  # away from the edges, over which nothing comes back
    pictures = nn.functional.avg_pool2d(pictures, 5, stride=1, padding=2)
    results = []
    for made in (nn.Sequential(*changes), AtOnce(*changes), AtOnce(*reversed(changes))):
        torch.manual_seed(0)
        results.append(made(pictures))
    one_by_one, at_once, reversed_ = results
    # Resampled once instead of twice or three times, it is sharper; by how much depends on the picture.
    assert (at_once - one_by_one).abs().mean() < 0.005
    assert (reversed_ - one_by_one).abs().mean() > 0.05
