"""Encoders: one vector per picture, whatever the size, and the same ones from the same seed."""

import pytest
import torch

from info_nce.recipes.encoders import contrastive_model


@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 16), (3, 64), (3, 128), (1, 200)])
def test_one_vector_per_picture(channels: int, size: int) -> None:
    model = contrastive_model(channels, size, width=4, projection=6)
    views = torch.rand(2, 5, channels, size, size)
    assert model.encoder(views[0]).shape == (5, 32)
    assert [z.shape for z in model(*views)] == [(5, 6), (5, 6)]


def test_the_seed_gives_the_weights() -> None:
    def fresh(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        return contrastive_model(1, 28).state_dict()

    torch.testing.assert_close(fresh(3), fresh(3), rtol=0, atol=0)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(fresh(3), fresh(4), rtol=0, atol=0)


def test_a_picture_costs_what_a_cpu_can_afford() -> None:
    # 10 M multiply-adds at 28 pixels, 20 M at 64: a minute on one core sees some ten thousand views.
    for size, channels, most in ((28, 1, 10e6), (64, 3, 20e6)):
        model = contrastive_model(channels, size).eval()
        with torch.profiler.profile(with_flops=True) as profile:
            model.encoder(torch.rand(1, channels, size, size))
        assert sum(event.flops for event in profile.key_averages()) / 2 <= most
