"""CPC on speech, as a user runs it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from info_nce.errors import DataError, RunError, SettingError
from info_nce.recipes import loop
from info_nce.recipes.checkpoints import load_tensors
from info_nce.recipes.cpc import CPC
from info_nce.recipes.interruption import Interruption
from info_nce.recipes.log_mel import latents_in
from info_nce.recipes.runs import load_run, recipe_of
from info_nce.recipes.train import train
from tests.recordings import folder_of_speech, listener

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of_speech(tmp_path_factory.mktemp("recordings"))


@pytest.fixture
def config(recordings: Path) -> CPC:
    return CPC(data=str(recordings), steps=3, batch_size=4, features=16, context=16, threads=1)


class StopAfterTwo(Interruption):
    """As if Ctrl-C came at a step."""

    @property
    def asked(self) -> bool:
        self.seen = getattr(self, "seen", -1) + 1
        return self.seen >= 2

    @asked.setter
    def asked(self, value: bool) -> None:
        pass


def test_a_run_that_was_stopped_ends_in_the_same_bits_and_is_scored(
    tmp_path: Path, config: CPC, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train(config, tmp_path / "whole", QUIET)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "Interruption", StopAfterTwo)
        assert not train(config, tmp_path / "stopped", QUIET)
    assert train(recipe_of(tmp_path / "stopped"), tmp_path / "stopped", QUIET, resume=True)
    whole, stopped = (load_tensors(tmp_path / name / "encoder.safetensors")[0] for name in ("whole", "stopped"))
    torch.testing.assert_close(whole, stopped, rtol=0, atol=0)
    run = load_run(tmp_path / "whole")
    card = run.recipe.evaluate(run)
    assert card.headline == "voice, linear probe"
    assert card.systems() == ["chance", "log-mel, mean and deviation", "untrained", "trained"]
    assert any("phones are not scored" in note for note in card.notes)
    assert run.embed("sound", run.splits().test.items("sound")).shape == (4, 16)


def test_recordings_without_labels_say_what_cannot_be_measured(tmp_path: Path, config: CPC) -> None:
    folder = folder_of_speech(tmp_path / "data", sub_folders=False)
    assert train(replace(config, data=str(folder)), tmp_path / "run", QUIET)
    run = load_run(tmp_path / "run")
    card = run.recipe.evaluate(run)
    assert card.systems() == ["chance", "trained"]
    assert "nobody can say" in card.verdict
    assert run.embed("sound", run.splits().validation.items("sound")).shape == (4, 16)


@pytest.mark.parametrize("negatives", ["same", "both"])
def test_guessing_costs_the_logarithm_of_the_candidates(config: CPC, negatives: str) -> None:
    config = replace(config, negatives=negatives)  # type: ignore[arg-type]  # one of two words
    part = config.splits().train
    outputs = config.model({})(*config.inputs(part, torch.device("cpu"))(torch.arange(4)))
    criterion = config.criterion({})
    with torch.no_grad():
        criterion.weight.zero_()  # type: ignore[operator]  # CPC's maps
    expected = torch.tensor(float(config.candidates(4))).log()
    torch.testing.assert_close(criterion(*outputs), expected)
    query, key = config.positives(criterion, outputs)
    assert query.shape == key.shape == (4 * (latents_in(config.crop, 2) - 2), 16)


def test_the_context_knows_nothing_of_what_comes_later() -> None:
    model = listener(8, 8)
    frames = torch.randn(1, 30, 40, requires_grad=True)
    model.memory(model.encoder(frames))[0][0, 6].sum().backward()
    assert frames.grad is not None
    assert torch.nonzero(frames.grad[0].abs().sum(1))[:, 0].max() == 13  # a frame of the convolution's own


@pytest.mark.parametrize(
    "wrong",
    [{"first_step": 6}, {"last_step": 64}, {"crop_seconds": 0.1}, {"features": 0}, {"first_step": 0}],
    ids=str,
)
def test_a_setting_that_means_nothing_is_named(tmp_path: Path, config: CPC, wrong: dict[str, float]) -> None:
    option = f"--{next(iter(wrong)).replace('_', '-')}"
    with pytest.raises(SettingError, match=option):
        train(replace(config, **wrong), tmp_path / "run", QUIET)  # type: ignore[arg-type]  # wrong on purpose
    assert not (tmp_path / "run").exists()


def test_a_crop_that_no_recording_holds_is_refused(tmp_path: Path, config: CPC) -> None:
    with pytest.raises(SettingError, match="longer than some utterances"):
        train(replace(config, data="speech", crop_seconds=2.0), tmp_path / "run", QUIET)
    with pytest.raises(DataError, match="20 of 20 files") as caught:
        train(replace(config, crop_seconds=9.0), tmp_path / "run", QUIET)
    assert "--crop-seconds" in caught.value.advice


def test_recordings_that_changed_since_are_refused(tmp_path: Path, config: CPC) -> None:
    folder = folder_of_speech(tmp_path / "data")
    assert train(replace(config, data=str(folder)), tmp_path / "run", QUIET)
    (folder / "f1" / "f1-0.wav").unlink()
    with pytest.raises(RunError, match="are not those that this run was trained on"):
        load_run(tmp_path / "run").splits()
