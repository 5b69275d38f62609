"""Encoders of sound, the small one and the user's own: what they give, and how far they may look."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import nn

from info_nce.errors import SettingError
from info_nce.recipes.audio import SoundRecipe
from info_nce.recipes.cpc import CPC
from info_nce.recipes.log_mel import BANDS, Convolutions
from info_nce.recipes.runs import load_run
from info_nce.recipes.sound_encoders import reach, sound_encoder
from info_nce.recipes.train import train
from info_nce.recipes.wav2vec2 import Wav2Vec2
from tests.own_encoders import own_module
from tests.recordings import folder_of_speech

CROP = 16_000

OWN = """
from torch import nn

class Over(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer
    def forward(self, frames):
        return self.layer(frames.transpose(1, 2)).transpose(1, 2)

def small(bands):
    return Over(nn.Conv1d(bands, 6, 3, 2, padding=1))

def every_frame(bands):
    return Over(nn.Conv1d(bands, 6, 3, padding=1))

def wide(bands):
    return Over(nn.Conv1d(bands, 6, 13, 2, padding=6))

def normed(bands):
    return nn.Sequential(small(bands), Over(nn.GroupNorm(1, 6)))

def batch_normed(bands):
    return nn.Sequential(small(bands), Over(nn.BatchNorm1d(6)))

def pooled(bands):
    return Over(nn.Flatten())
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return own_module(tmp_path, OWN, monkeypatch)


def test_the_small_encoder_looks_at_one_frame_on_each_side() -> None:
    encoder = sound_encoder("", 8, CROP, far=2)
    assert isinstance(encoder, Convolutions)
    assert reach(encoder, 99) == reach(encoder, 98) == 1


def test_how_far_an_encoder_looks_is_measured(own: str) -> None:
    assert reach(sound_encoder(f"{own}:wide", 8, CROP, far=7), 99) == 6
    latents = sound_encoder(f"{own}:small", 8, CROP, far=4)(torch.randn(3, 98, BANDS))
    assert latents.shape == (3, 49, 8)


def test_batch_norm_is_no_look_at_other_frames_and_its_statistics_are_left_alone(own: str) -> None:
    encoder = sound_encoder(f"{own}:batch_normed", 8, CROP, far=2)
    assert encoder.training
    (norm,) = (part for part in encoder.modules() if isinstance(part, nn.BatchNorm1d))
    assert norm.num_batches_tracked == 0
    torch.testing.assert_close(norm.running_mean, torch.zeros(6))


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        ("wide", "6 before or after"),
        ("normed", "without seeing it"),
        ("every_frame", r"floats \(2, 49, d\)"),
        ("pooled", "cannot encode"),
        ("absent", "no absent in"),
    ],
)
def test_what_sees_too_much_or_gives_something_else_is_refused_by_name(own: str, factory: str, words: str) -> None:
    with pytest.raises(SettingError, match=words) as caught:
        sound_encoder(f"{own}:{factory}", 8, CROP, far=6)
    assert f"{own}:{factory}" in str(caught.value)


@pytest.mark.parametrize("recipe", [CPC, Wav2Vec2])
def test_a_run_with_an_encoder_of_ones_own_is_trained_and_opened_again(
    tmp_path: Path, own: str, recipe: type[SoundRecipe]
) -> None:
    data = folder_of_speech(tmp_path / "data")
    small = recipe(data=str(data), steps=2, batch_size=4, threads=1, features=16, context=16)
    config = replace(small, encoder=f"{own}:small")
    assert train(config, tmp_path / "run", Console(quiet=True))
    run = load_run(tmp_path / "run")
    encoder = run.model().encoder
    assert isinstance(encoder, nn.Sequential)
    assert run.embed("sound", run.splits().test.items("sound")).shape == (4, 16)
    with pytest.raises(SettingError, match="without seeing it"):  # the context of cpc would hear what it predicts
        train(replace(config, encoder=f"{own}:normed"), tmp_path / "other", Console(quiet=True))
