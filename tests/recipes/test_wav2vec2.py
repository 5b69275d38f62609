"""wav2vec 2.0 on speech, as a user runs it."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from info_nce.errors import SettingError
from info_nce.recipes import loop
from info_nce.recipes.checkpoints import load_tensors
from info_nce.recipes.log_mel import BANDS
from info_nce.recipes.quantizers import disuse
from info_nce.recipes.runs import load_run, recipe_of
from info_nce.recipes.train import train
from info_nce.recipes.wav2vec2 import Diverse, Hider, Wav2Vec2, spans
from tests.recipes.test_cpc import StopAfterTwo
from tests.recordings import folder_of_speech

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of_speech(tmp_path_factory.mktemp("recordings"))


@pytest.fixture
def config(recordings: Path) -> Wav2Vec2:
    return Wav2Vec2(
        data=str(recordings), steps=3, batch_size=4, features=16, context=16, targets=8, entries=32, threads=1
    )


@pytest.mark.parametrize("quantizer", ["gumbel", "k-means"])
def test_a_run_that_was_stopped_ends_in_the_same_bits_and_is_scored(
    tmp_path: Path, config: Wav2Vec2, quantizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(config, quantizer=quantizer, chunk_size=3)  # type: ignore[arg-type]  # one of two words
    assert train(config, tmp_path / "whole", QUIET)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "Interruption", StopAfterTwo)
        assert not train(config, tmp_path / "stopped", QUIET)
    assert train(recipe_of(tmp_path / "stopped"), tmp_path / "stopped", QUIET, resume=True)
    whole, stopped = (load_tensors(tmp_path / name / "encoder.safetensors")[0] for name in ("whole", "stopped"))
    torch.testing.assert_close(whole, stopped, rtol=0, atol=0)
    if quantizer == "gumbel":
        assert float(whole["quantizer.temperature"]) == pytest.approx(0.5)
    else:
        run = load_run(tmp_path / "whole")
        card = run.recipe.evaluate(run)
        assert card.find("trained", "voice, linear probe") is not None
        assert run.embed("sound", run.splits().test.items("sound")).shape == (4, 16)


def test_spans_are_hidden_whole_and_never_all() -> None:
    for share, length in ((0.1, 5), (0.01, 2), (1.0, 3)):
        mask = spans(50, 64, share, length)
        assert mask.shape == (50, 64)
        for row in mask.int().tolist():
            runs = [len(run) for run in "".join(map(str, row)).split("0") if run]
            assert min(runs) >= length
        if share == 1.0:
            assert bool(mask.all())
    assert {int(count) for count in spans(50, 64, 0.1, 5).sum(1)} <= set(range(10, 31))
    assert not torch.equal(*(spans(50, 64, 0.1, 5) for _ in range(2)))


def test_a_guess_knows_nothing_of_what_was_hidden(config: Wav2Vec2) -> None:
    model = config.model({})
    assert isinstance(model, Hider)
    wave, mask = torch.randn(1, config.crop) * 0.1, spans(1, config.latents, 0.1, 5)
    known: list[torch.Tensor] = []
    model.encoder.register_forward_hook(lambda _, __, latents: known.append(latents))
    (gradient,) = torch.autograd.grad(model(wave, torch.ones(1), mask)[0].sum(), known)
    reached = gradient[0].abs().sum(1) > 0
    torch.testing.assert_close(reached, ~mask[0])


def test_guessing_costs_the_logarithm_of_the_candidates_and_an_idle_codebook_a_little_more(config: Wav2Vec2) -> None:
    criterion = config.criterion({})
    assert isinstance(criterion, Diverse)
    mask = spans(4, config.latents, 0.1, 5)
    # All targets differ, and are equally far from a guess that is orthogonal to all of them.
    targets = torch.cat([torch.randn(4, config.latents, 8), torch.zeros(4, config.latents, 8)], dim=2)
    guesses = torch.zeros_like(targets)
    guesses[..., 12] = 1
    usage = torch.rand(4, 2, 64).softmax(-1)
    expected = math.log(config.candidates(4))
    assert float(criterion.eval()(guesses, targets, mask, usage)) == pytest.approx(expected, rel=1e-5)
    more = expected + 0.1 * float(disuse(usage))
    assert float(criterion.train()(guesses, targets, mask, usage)) == pytest.approx(more, rel=1e-5)
    fixed = replace(config, quantizer="k-means").criterion({}).train()  # the centres of k-means stay where they are
    assert float(fixed(guesses, targets, mask, usage)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mask_span": 64},
        {"targets": 9},
        {"groups": 16, "targets": 16, "quantizer": "k-means"},
        {"entries": 99_999, "quantizer": "k-means"},
        {"temperature": 0.0},
        {"distractors": 0},
        {"mask_share": float("nan")},
        {"entries": 1},
    ],
    ids=str,
)
def test_a_setting_that_means_nothing_is_named(tmp_path: Path, config: Wav2Vec2, wrong: dict[str, Any]) -> None:
    option = f"--{next(iter(wrong)).replace('_', '-')}"
    with pytest.raises(SettingError, match=option):
        train(replace(config, **wrong), tmp_path / "run", QUIET)
    assert (tmp_path / "run").exists() == ("entries" in wrong and wrong["entries"] > 1)  # the data must be read first


def test_what_a_latent_stands_for_is_what_it_looks_at(config: Wav2Vec2) -> None:
    model = config.model({})
    assert isinstance(model, Hider)
    for count in (1, 2, 7, 8):
        frames = torch.randn(1, count, BANDS)
        beneath = model.under(frames)[0].reshape(-1, BANDS, 3)
        assert len(beneath) == model.encoder(frames).shape[1]
        for t, row in enumerate(beneath):
            for k, frame in enumerate(row.T):
                place = 2 * t - 1 + k
                expected = frames[0, place] if 0 <= place < count else torch.zeros(BANDS)
                torch.testing.assert_close(frame, expected)
