"""Codebooks: what is chosen, what keeps all of it in use, and what a resumed run has to know."""

import math

import pytest
import torch

from info_nce.recipes.quantizers import Gumbel, KMeans, disuse


def test_without_noise_each_group_gives_its_likeliest_entry() -> None:
    quantizer = Gumbel(6, 4, 2, 5, updates=10).eval()
    latents = torch.randn(3, 7, 6)
    quantized, usage = quantizer(latents)
    logits = latents @ quantizer.logits.weight.T
    for row in range(3):
        for time in range(7):
            parts = [logits[row, time, :5], logits[row, time, 5:]]
            expected = torch.cat([quantizer.codebook[g, int(part.argmax())] for g, part in enumerate(parts)])
            torch.testing.assert_close(quantized[row, time], expected)
    torch.testing.assert_close(usage.sum(-1), torch.ones(3, 2))
    assert usage.shape == (3, 2, 5)


def test_noise_makes_other_choices_and_gradients_reach_logits_and_entries() -> None:
    quantizer = Gumbel(6, 4, 2, 5, updates=10)
    latents = torch.randn(1, 50, 6, requires_grad=True) * 0.1
    first, second = quantizer(latents)[0], quantizer(latents)[0]
    assert not torch.equal(first, second)
    entries = {tuple(entry.tolist()) for entry in quantizer.codebook[0]}
    assert {tuple(part.tolist()) for part in first[0, :, :2]} <= entries  # hard: an entry, and no mixture
    first.square().sum().backward()
    for tensor in (quantizer.logits.weight, quantizer.codebook):
        assert tensor.grad is not None
        assert float(tensor.grad.abs().sum()) > 0


def test_the_noise_shrinks_to_its_floor_and_is_part_of_the_state() -> None:
    quantizer = Gumbel(4, 4, 2, 3, updates=8)
    seen = [float(quantizer.temperature)]
    for _ in range(10):
        quantizer.cool()
        seen.append(float(quantizer.temperature))
    assert seen[0] == 2.0
    assert seen[4] == pytest.approx(1.0)
    assert seen[8:] == pytest.approx([0.5] * 3)
    assert float(quantizer.state_dict()["temperature"]) == pytest.approx(0.5)


def test_k_means_takes_the_nearest_centre_of_each_group_and_gives_its_entry() -> None:
    quantizer = KMeans(6, 4, 2, 5)
    frames = torch.randn(2, 3, 6, requires_grad=True)
    quantized, usage = quantizer(frames)
    for row in range(2):
        counts = torch.zeros(2, 5)
        for time in range(3):
            for group in range(2):
                part = frames.detach()[row, time, 3 * group : 3 * group + 3]
                squares = [float((part - centre).square().sum()) for centre in quantizer.centres[group]]
                nearest = squares.index(min(squares))
                counts[group, nearest] += 1 / 3
                given = quantized[row, time, 2 * group : 2 * group + 2]
                torch.testing.assert_close(given, quantizer.codebook[group, nearest])
        torch.testing.assert_close(usage[row], counts)
    quantized.sum().backward()
    assert frames.grad is None  # what is heard is no guess that could be made easier
    assert quantizer.codebook.grad is not None


def test_k_means_finds_the_middles_of_heaps_and_the_same_seed_finds_the_same() -> None:
    middles = torch.tensor([[0.0, 9.0], [9.0, 0.0], [-9.0, -9.0]])
    frames = torch.cat([middles.repeat_interleave(50, 0), middles.repeat(50, 1)], dim=1) + 0.1 * torch.randn(150, 4)
    quantizer, again = KMeans(4, 4, 2, 3), KMeans(4, 4, 2, 3)
    quantizer.fit(frames, seed=2**40)
    again.fit(frames, seed=2**40)
    torch.testing.assert_close(quantizer.centres, again.centres, rtol=0, atol=0)
    torch.testing.assert_close(quantizer(frames[None])[1], torch.full((1, 2, 3), 1 / 3))
    for centres in quantizer.centres:
        assert float(torch.cdist(centres, middles).amin(1).max()) < 0.1
    assert set(quantizer.state_dict()) == {"centres", "codebook"}  # a resumed run needs both


def test_an_even_codebook_has_nothing_idle_and_one_entry_leaves_the_rest_so() -> None:
    even = torch.full((3, 2, 8), 1 / 8)
    assert float(disuse(even)) == pytest.approx(0, abs=1e-6)
    one = torch.zeros(3, 2, 8)
    one[:, :, 3] = 1
    assert float(disuse(one)) == pytest.approx(7 / 8)
    # each recording uses one entry alone, and all together use two: the average counts
    two = torch.zeros(2, 1, 4)
    two[0, 0, 0] = two[1, 0, 1] = 1
    assert float(disuse(two)) == pytest.approx(1 - math.exp(math.log(2)) / 4)
