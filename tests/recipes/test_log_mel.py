"""The front end and what recipes on sound share."""

import math

import numpy as np
import pytest
import torch

from info_nce.data.audio import SAMPLE_RATE
from info_nce.recipes.log_mel import (
    BANDS,
    FFT,
    HOP,
    WINDOW,
    Convolutions,
    LogMel,
    factors,
    frames_in,
    pooled,
    stretched,
)
from tests.recordings import listener


def by_hand(
    wave: "np.ndarray[tuple[int], np.dtype[np.float64]]",
) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    """Log-mel by loops: one window, one bin and one triangle after the other."""

    def mel(hertz: float) -> float:
        return 2595 * math.log10(1 + hertz / 700)

    corners = [700 * (10 ** (k * mel(8_000) / (BANDS + 1) / 2595) - 1) for k in range(BANDS + 2)]
    rows = []
    for start in range(0, len(wave) - WINDOW + 1, HOP):
        hann = [0.5 - 0.5 * math.cos(2 * math.pi * i / WINDOW) for i in range(WINDOW)]
        power = np.abs(np.fft.rfft(wave[start : start + WINDOW] * hann, FFT)) ** 2
        row = []
        for low, top, high in zip(corners, corners[1:], corners[2:], strict=False):
            total = 0.0
            for k, value in enumerate(power):
                hertz = k * SAMPLE_RATE / FFT
                if low < hertz < high:
                    total += value * ((hertz - low) / (top - low) if hertz <= top else (high - hertz) / (high - top))
            row.append(math.log(total + 1e-4))
        rows.append(row)
    return np.array(rows)


def test_log_mel_is_that_of_loops() -> None:
    wave = np.random.default_rng(0).normal(0, 0.1, 1_000)
    expected = by_hand(wave)
    front, given = LogMel(), torch.from_numpy(wave).float()[None]
    np.testing.assert_allclose(front.levels(given)[0].numpy(), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(front(given)[0].numpy(), expected - expected.mean(0), rtol=1e-3, atol=1e-4)
    assert len(expected) == frames_in(1_000) == 4
    assert (frames_in(WINDOW - 1), frames_in(WINDOW)) == (0, 1)
    assert list(front.state_dict()) == []


def test_a_microphones_colour_does_not_matter() -> None:
    wave = torch.randn(1, 8_000) * 0.1
    torch.testing.assert_close(LogMel()(wave), LogMel()(wave * 0.5), rtol=0, atol=0.05)  # but for the floor


def test_latents_three_frames_apart_share_no_frame() -> None:
    encoder = Convolutions(BANDS, 8)
    frames = torch.randn(1, 20, BANDS, requires_grad=True)
    encoder(frames)[0, 10].sum().backward()
    assert frames.grad is not None
    assert torch.nonzero(frames.grad[0].abs().sum(1))[:, 0].tolist() == [9, 10, 11]
    strided = torch.randn(1, 20, BANDS, requires_grad=True)
    Convolutions(BANDS, 8, stride=2)(strided)[0, 5].sum().backward()
    assert strided.grad is not None
    assert torch.nonzero(strided.grad[0].abs().sum(1))[:, 0].tolist() == [9, 10, 11]


def test_a_recording_of_any_length_becomes_one_row() -> None:
    model = listener(8, 6)
    waves = [torch.randint(-9_000, 9_000, (length,)).short() for length in (99, 20_000, 640_300)]
    rows = pooled(model, waves)
    assert rows.shape == (3, 6)
    assert pooled(model, []).shape == (0, 6)
    assert bool(rows.isfinite().all())
    with torch.inference_mode():
        torch.testing.assert_close(rows[1], model.context(waves[1].float()[None] / 32_768)[0].mean(0))


def test_a_throat_that_is_shorter_moves_what_is_heard_up_by_its_factor() -> None:
    time = torch.arange(SAMPLE_RATE) / SAMPLE_RATE
    tones = torch.stack([torch.sin(2 * torch.pi * hertz * time) for hertz in (1_000, 1_150, 870)])
    heard = LogMel().levels(tones)
    moved = stretched(heard[:1].expand(3, -1, -1), torch.tensor([1.0, 1.15, 0.87]))
    torch.testing.assert_close(moved[0], heard[0], rtol=1e-4, atol=1e-4)
    assert moved.argmax(-1).float().mean(1).tolist() == pytest.approx(
        heard.argmax(-1).float().mean(1).tolist(), abs=0.5
    )
    assert not torch.allclose(moved[1], heard[0], atol=1.0)


def test_throats_are_drawn_evenly_around_one_and_none_changes_nothing() -> None:
    drawn = factors(10_000, 0.15)
    assert 0.85 <= float(drawn.min()) < 0.86
    assert 1.14 < float(drawn.max()) <= 1.15
    assert float(drawn.mean()) == pytest.approx(1, abs=0.005)
    assert factors(5, 0.0).tolist() == [1] * 5
