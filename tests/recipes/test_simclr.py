"""SimCLR as a user runs it: trained, stopped, resumed to the same bits, and refused with a reason."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from info_nce.errors import DataError, RunError, SettingError
from info_nce.recipes import loop, simclr
from info_nce.recipes.checkpoints import load_tensors, save_tensors
from info_nce.recipes.interruption import Interruption
from info_nce.recipes.runs import load_run
from info_nce.recipes.simclr import SimCLR, TwoViews
from tests.pictures import animals_wheel, folder_of

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of(tmp_path_factory.mktemp("pictures"), 40, classes=("a", "b"))


@pytest.fixture
def config(pictures: Path) -> SimCLR:
    return SimCLR(data=str(pictures), image_size=16, steps=12, batch_size=8, width=4, threads=1)


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_tensors(run / "encoder.safetensors")[0]


def same_bits(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    torch.testing.assert_close(first, second, rtol=0, atol=0)


class StopAfter(Interruption):
    """As if Ctrl-C came at a step."""

    steps = 5

    @property
    def asked(self) -> bool:
        self.seen = getattr(self, "seen", -1) + 1
        return self.seen >= self.steps

    @asked.setter
    def asked(self, value: bool) -> None:
        pass


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(tmp_path: Path, config: SimCLR) -> None:
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        assert simclr.train(replace(config, seed=seed), tmp_path / name, QUIET)
    same_bits(weights(tmp_path / "one"), weights(tmp_path / "two"))
    with pytest.raises(AssertionError):
        same_bits(weights(tmp_path / "one"), weights(tmp_path / "three"))


@pytest.mark.parametrize("chunk_size", [0, 3])
def test_a_run_stopped_at_any_step_ends_in_the_same_bits(
    tmp_path: Path, config: SimCLR, monkeypatch: pytest.MonkeyPatch, chunk_size: int
) -> None:
    config = replace(config, chunk_size=chunk_size)
    assert simclr.train(config, tmp_path / "whole", QUIET)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "Interruption", StopAfter)
        assert not simclr.train(config, tmp_path / "stopped", QUIET)
        assert not (tmp_path / "stopped" / "encoder.safetensors").exists()
        torch.manual_seed(99)
        assert not simclr.train(config, tmp_path / "stopped", QUIET, resume=True)
    assert simclr.train(simclr.settings_of(tmp_path / "stopped"), tmp_path / "stopped", QUIET, resume=True)
    same_bits(weights(tmp_path / "whole"), weights(tmp_path / "stopped"))
    losses = [[line["loss"] for line in load_run(tmp_path / name).metrics()] for name in ("whole", "stopped")]
    assert losses[0] == losses[1]


LONGER = 40
"""Steps enough for a signal to arrive in the middle."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Path:
    run = tmp_path_factory.mktemp("whole") / "run"
    settings = SimCLR(data=str(pictures), image_size=16, steps=LONGER, batch_size=8, width=4, threads=1)
    assert simclr.train(settings, run, QUIET)
    return run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_real_process_that_is_stopped_goes_on_to_the_same_bits(
    tmp_path: Path, config: SimCLR, number: signal.Signals, whole: Path
) -> None:
    run = tmp_path / "stopped"
    command = [sys.executable, "-m", "info_nce", "train", "simclr", "--run", str(run), "--data", config.data]
    command += ["--image-size", "16", "--steps", str(LONGER), "--batch-size", "8", "--width", "4", "--threads", "1"]
    with subprocess.Popen([*command, "--checkpoint-seconds", "0"], stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not list((run / "checkpoints").glob("step-*")):
            time.sleep(0.01)
        process.send_signal(number)
        said, _ = process.communicate(timeout=60)
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 130
        assert f"info-nce train simclr --resume {run}" in " ".join(said.split())
    stopped_at = load_run(run)
    assert not stopped_at.finished
    assert simclr.train(simclr.settings_of(run), run, QUIET, resume=True)
    same_bits(weights(whole), weights(run))


def test_a_truncated_checkpoint_is_refused_and_the_run_still_ends_in_the_same_bits(
    tmp_path: Path, config: SimCLR, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert simclr.train(config, tmp_path / "whole", QUIET)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "Interruption", StopAfter)
        simclr.train(replace(config, checkpoint_seconds=0.0), tmp_path / "cut", QUIET)
    newest = max((tmp_path / "cut" / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:-100])
    said = Console(record=True, file=None, quiet=False, width=200)
    with said.capture() as captured:
        assert simclr.train(simclr.settings_of(tmp_path / "cut"), tmp_path / "cut", said, resume=True)
    assert f"refused {newest.name}" in captured.get()
    same_bits(weights(tmp_path / "whole"), weights(tmp_path / "cut"))


def test_a_run_can_be_read_again(tmp_path: Path, config: SimCLR) -> None:
    assert simclr.train(config, tmp_path / "run", QUIET, command=["info-nce", "train"])
    run = load_run(tmp_path / "run")
    assert (run.recipe, run.finished, run.note) == ("simclr", True, "")
    assert run.config["steps"] == 12
    record = json.loads((tmp_path / "run" / "config.json").read_text())
    assert record["command"] == ["info-nce", "train"]
    assert record["versions"]["torch"] == torch.__version__
    splits = run.splits()
    assert len(splits.train) == run.data["train"] == 24
    state = torch.get_rng_state()
    h, z = run.embed(splits.test.images, batch_size=3)
    assert (h.shape, z.shape) == ((8, 32), (8, 128))
    pixels = splits.test.images.float() / 255
    with torch.inference_mode():
        torch.testing.assert_close(run.encoder()(pixels), h)
        untrained = run.untrained_encoder()(pixels)
    assert (untrained - h).abs().max() > 1e-3
    torch.testing.assert_close(torch.get_rng_state(), state)


def test_the_untrained_encoder_is_where_training_began(tmp_path: Path, config: SimCLR) -> None:
    assert simclr.train(replace(config, learning_rate=0.0), tmp_path / "run", QUIET)
    run = load_run(tmp_path / "run")
    torch.testing.assert_close(
        dict(run.untrained_encoder().named_parameters()), dict(run.encoder().named_parameters()), rtol=0, atol=0
    )


def test_an_unfinished_run_speaks_through_its_last_checkpoint(
    tmp_path: Path, config: SimCLR, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "Interruption", StopAfter)
    assert not simclr.train(config, tmp_path / "run", QUIET)
    run = load_run(tmp_path / "run")
    assert (run.finished, run.note) == (False, "unfinished: step 5 of 12")
    assert run.embed(run.splits().train.images)[0].shape == (24, 32)
    for file in (tmp_path / "run" / "checkpoints").iterdir():
        file.unlink()
    with pytest.raises(RunError, match="holds no trained encoder yet"):
        load_run(tmp_path / "run")


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"id": 1, "recipe": 2, "config": 3, "data": 4}', "\udcff"])
def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "config.json").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(RunError, match="is not a run folder"):
        load_run(tmp_path)
    with pytest.raises(RunError, match="is not a run folder"):
        load_run(tmp_path / "nowhere")


def test_a_run_of_another_recipe_is_not_resumed(tmp_path: Path, config: SimCLR) -> None:
    simclr.train(config, tmp_path / "run", QUIET)
    file = tmp_path / "run" / "config.json"
    file.write_text(file.read_text().replace('"recipe": "simclr"', '"recipe": "other"'))
    with pytest.raises(RunError, match="cannot be resumed as a SimCLR run"):
        simclr.settings_of(tmp_path / "run")


def test_a_run_from_before_chunks_and_processes_is_resumed(
    tmp_path: Path, config: SimCLR, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(loop, "Interruption", StopAfter)
        assert not simclr.train(config, run, QUIET)
    record = json.loads((run / "config.json").read_text())
    del record["processes"], record["config"]["chunk_size"]
    (run / "config.json").write_text(json.dumps(record))
    (newest,) = (run / "checkpoints").iterdir()
    tensors, header = load_tensors(newest)
    tensors["random.cpu"] = tensors["random.cpu"][0]
    save_tensors(newest, tensors, header)
    assert simclr.train(simclr.settings_of(run), run, QUIET, resume=True)
    assert simclr.train(config, tmp_path / "whole", QUIET)
    same_bits(weights(tmp_path / "whole"), weights(run))


def test_a_run_of_two_processes_is_not_resumed_by_one(tmp_path: Path, config: SimCLR) -> None:
    simclr.train(config, tmp_path / "run", QUIET)
    file = tmp_path / "run" / "config.json"
    file.write_text(file.read_text().replace('"processes": 1', '"processes": 2'))
    with pytest.raises(RunError, match="begun with another number of processes") as caught:
        simclr.train(config, tmp_path / "run", QUIET, resume=True)
    assert (caught.value.got, caught.value.expected) == ("1", "2")
    assert caught.value.advice.startswith("torchrun --nproc-per-node 2 -m -- info_nce train simclr --resume")


def test_a_folder_in_use_is_left_alone(tmp_path: Path, config: SimCLR) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="is in use"):
        simclr.train(config, tmp_path, QUIET)
    with pytest.raises(RunError, match="is in use"):
        simclr.train(config, tmp_path / "thesis.txt", QUIET)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_pictures_that_changed_since_are_refused(tmp_path: Path, config: SimCLR) -> None:
    folder = folder_of(tmp_path / "pictures", 40, classes=("a", "b"))
    simclr.train(replace(config, data=str(folder)), tmp_path / "run", QUIET)
    (folder / "a" / "000.png").unlink()
    with pytest.raises(RunError, match="are not those that this run was trained on"):
        load_run(tmp_path / "run").splits()


def test_bad_data_leaves_no_run_folder(tmp_path: Path, config: SimCLR) -> None:
    with pytest.raises(DataError):
        simclr.train(replace(config, data=str(tmp_path / "nowhere")), tmp_path / "run", QUIET)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"batch_size": 1},
        {"chunk_size": -1},
        {"temperature": 0.0},
        {"learning_rate": float("nan")},
        {"image_size": 4},
    ],
    ids=str,
)
def test_a_setting_out_of_range_is_named(tmp_path: Path, config: SimCLR, wrong: dict[str, float]) -> None:
    option = f"--{next(iter(wrong)).replace('_', '-')}"
    with pytest.raises(SettingError, match=option):
        simclr.train(replace(config, **wrong), tmp_path / "run", QUIET)  # type: ignore[arg-type]  # wrong on purpose
    assert not (tmp_path / "run").exists()


def test_every_picture_is_seen_once_in_an_epoch() -> None:
    images = torch.arange(20, dtype=torch.uint8).reshape(20, 1, 1, 1).expand(20, 1, 28, 28)
    batches = TwoViews(images, lambda pictures: pictures, batch_size=5, seed=0)
    epochs = [
        torch.cat([batches(step)[0][:, 0, 0, 0] for step in range(first, first + 4)]).mul(255).round().int()
        for first in (0, 4)
    ]
    assert len(batches) == 4
    assert [epoch.sort().values.tolist() for epoch in epochs] == [list(range(20))] * 2
    assert epochs[0].tolist() != epochs[1].tolist()
    assert batches.candidates == 9


NUMBERED = torch.arange(20, dtype=torch.uint8).reshape(20, 1, 1, 1).expand(20, 1, 28, 28)


def numbers(batches: TwoViews, step: int) -> list[int]:
    first, second = ([*view[:, 0, 0, 0].mul(255).round().int().tolist()] for view in batches(step))
    assert first == second
    return first


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_the_parts_of_all_processes_are_the_batch(parts: int) -> None:
    whole = TwoViews(NUMBERED, lambda pictures: pictures, batch_size=7, seed=0)
    dealt = [
        TwoViews(NUMBERED, lambda pictures: pictures, batch_size=7, seed=0, part=(place, parts))
        for place in range(parts)
    ]
    each = [numbers(batches, 3) for batches in dealt]
    assert [number for part in each for number in part] == numbers(whole, 3)
    assert max(map(len, each)) - min(map(len, each)) <= 1
    assert {batches.candidates for batches in dealt} == {13}


def test_a_large_batch_is_augmented_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def noted(pictures: torch.Tensor) -> torch.Tensor:
        sizes.append(len(pictures))
        return pictures

    batches = TwoViews(NUMBERED, noted, batch_size=11, seed=0)
    whole = numbers(batches, 0)
    monkeypatch.setattr(TwoViews, "AT_ONCE", 4)
    assert numbers(batches, 0) == whole
    assert sizes == [11, 11, 4, 4, 4, 4, 3, 3]


def test_the_real_silhouettes_are_told_apart_better_after_a_few_steps(tmp_path: Path) -> None:
    config = SimCLR(data_file=str(animals_wheel()), steps=30, batch_size=32, width=8, threads=1)
    assert simclr.train(config, tmp_path / "run", QUIET)
    lines = load_run(tmp_path / "run").metrics()
    assert lines[-1]["loss"] < lines[0]["loss"] < lines[0]["log_candidates"]
