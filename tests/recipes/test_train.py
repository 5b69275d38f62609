"""Training as a user runs it: trained, stopped, resumed to the same bits, and refused with a reason."""

import importlib.metadata
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
from info_nce.recipes import batches as batches_module
from info_nce.recipes import loop
from info_nce.recipes.batches import Batches
from info_nce.recipes.checkpoints import load_tensors, save_tensors
from info_nce.recipes.interruption import Interruption
from info_nce.recipes.runs import load_run, recipe_of
from info_nce.recipes.simclr import SimCLR
from info_nce.recipes.train import train
from info_nce.samplers import Shuffled
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
        assert train(replace(config, seed=seed), tmp_path / name, QUIET)
    same_bits(weights(tmp_path / "one"), weights(tmp_path / "two"))
    with pytest.raises(AssertionError):
        same_bits(weights(tmp_path / "one"), weights(tmp_path / "three"))


@pytest.mark.parametrize("chunk_size", [0, 3])
def test_a_run_stopped_at_any_step_ends_in_the_same_bits(
    tmp_path: Path, config: SimCLR, monkeypatch: pytest.MonkeyPatch, chunk_size: int
) -> None:
    config = replace(config, chunk_size=chunk_size)
    assert train(config, tmp_path / "whole", QUIET)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "Interruption", StopAfter)
        assert not train(config, tmp_path / "stopped", QUIET)
        assert not (tmp_path / "stopped" / "encoder.safetensors").exists()
        torch.manual_seed(99)
        assert not train(config, tmp_path / "stopped", QUIET, resume=True)
    assert train(recipe_of(tmp_path / "stopped"), tmp_path / "stopped", QUIET, resume=True)
    same_bits(weights(tmp_path / "whole"), weights(tmp_path / "stopped"))
    losses = [[line["loss"] for line in load_run(tmp_path / name).metrics()] for name in ("whole", "stopped")]
    assert losses[0] == losses[1]


LONGER = 40
"""Steps enough for a signal to arrive in the middle."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Path:
    run = tmp_path_factory.mktemp("whole") / "run"
    settings = SimCLR(data=str(pictures), image_size=16, steps=LONGER, batch_size=8, width=4, threads=1)
    assert train(settings, run, QUIET)
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
    assert train(recipe_of(run), run, QUIET, resume=True)
    same_bits(weights(whole), weights(run))


def test_a_truncated_checkpoint_is_refused_and_the_run_still_ends_in_the_same_bits(
    tmp_path: Path, config: SimCLR, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train(config, tmp_path / "whole", QUIET)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "Interruption", StopAfter)
        train(replace(config, checkpoint_seconds=0.0), tmp_path / "cut", QUIET)
    newest = max((tmp_path / "cut" / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:-100])
    said = Console(record=True, file=None, quiet=False, width=200)
    with said.capture() as captured:
        assert train(recipe_of(tmp_path / "cut"), tmp_path / "cut", said, resume=True)
    assert f"refused {newest.name}" in captured.get()
    same_bits(weights(tmp_path / "whole"), weights(tmp_path / "cut"))


def test_a_run_can_be_read_again(tmp_path: Path, config: SimCLR) -> None:
    assert train(config, tmp_path / "run", QUIET, command=["info-nce", "train"])
    run = load_run(tmp_path / "run")
    assert (run.recipe.name, run.finished, run.note) == ("simclr", True, "")
    assert run.recipe == replace(config, data=config.data, threads=1)
    record = json.loads((tmp_path / "run" / "config.json").read_text())
    assert record["command"] == ["info-nce", "train"]
    assert record["versions"]["torch"] == importlib.metadata.version("torch")
    splits = run.splits()
    assert len(splits.train) == run.data["train"] == 24
    state = torch.get_rng_state()
    h = run.embed("image", splits.test.images)
    assert h.shape == (8, 32)
    pixels = splits.test.images.float() / 255
    with torch.inference_mode():
        torch.testing.assert_close(run.model().get_submodule("encoder")(pixels), h)
    untrained = run.embedders(trained=False)["image"](splits.test.images)
    assert (untrained - h).abs().max() > 1e-3
    assert run.embed("image", splits.test.images[:0]).shape == (0, 32)
    with pytest.raises(RunError, match="no encoder for the kind 'text'"):
        run.embed("text", ["a cat"])
    torch.testing.assert_close(torch.get_rng_state(), state)


def test_the_untrained_encoder_is_where_training_began(tmp_path: Path, config: SimCLR) -> None:
    assert train(replace(config, learning_rate=0.0), tmp_path / "run", QUIET)
    run = load_run(tmp_path / "run")
    torch.testing.assert_close(
        dict(run.untrained().named_parameters()), dict(run.model().named_parameters()), rtol=0, atol=0
    )


def test_an_unfinished_run_speaks_through_its_last_checkpoint(
    tmp_path: Path, config: SimCLR, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "Interruption", StopAfter)
    assert not train(config, tmp_path / "run", QUIET)
    run = load_run(tmp_path / "run")
    assert (run.finished, run.note) == (False, "unfinished: step 5 of 12")
    assert run.embed("image", run.splits().train.images).shape == (24, 32)
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


def test_a_run_of_an_unknown_recipe_or_setting_is_not_resumed(tmp_path: Path, config: SimCLR) -> None:
    train(config, tmp_path / "run", QUIET)
    file = tmp_path / "run" / "config.json"
    file.write_text(file.read_text().replace('"recipe": "simclr"', '"recipe": "other"'))
    with pytest.raises(RunError, match="there is no recipe 'other'"):
        recipe_of(tmp_path / "run")
    file.write_text(file.read_text().replace('"recipe": "other"', '"recipe": "simclr"').replace('"steps"', '"stepz"'))
    with pytest.raises(RunError, match="another version of simclr") as caught:
        recipe_of(tmp_path / "run")
    assert "stepz" in caught.value.got


def test_a_run_from_before_chunks_and_processes_is_resumed(
    tmp_path: Path, config: SimCLR, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(loop, "Interruption", StopAfter)
        assert not train(config, run, QUIET)
    record = json.loads((run / "config.json").read_text())
    del record["processes"], record["config"]["chunk_size"]
    (run / "config.json").write_text(json.dumps(record))
    (newest,) = (run / "checkpoints").iterdir()
    tensors, header = load_tensors(newest)
    tensors["random.cpu"] = tensors["random.cpu"][0]
    save_tensors(newest, tensors, header)
    assert train(recipe_of(run), run, QUIET, resume=True)
    assert train(config, tmp_path / "whole", QUIET)
    same_bits(weights(tmp_path / "whole"), weights(run))


def test_a_run_of_two_processes_is_not_resumed_by_one(tmp_path: Path, config: SimCLR) -> None:
    train(config, tmp_path / "run", QUIET)
    file = tmp_path / "run" / "config.json"
    file.write_text(file.read_text().replace('"processes": 1', '"processes": 2'))
    with pytest.raises(RunError, match="begun with another number of processes") as caught:
        train(config, tmp_path / "run", QUIET, resume=True)
    assert (caught.value.got, caught.value.expected) == ("1", "2")
    assert caught.value.advice.startswith("torchrun --nproc-per-node 2 -m -- info_nce train simclr --resume")


def test_a_folder_in_use_is_left_alone(tmp_path: Path, config: SimCLR) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="is in use"):
        train(config, tmp_path, QUIET)
    with pytest.raises(RunError, match="is in use"):
        train(config, tmp_path / "thesis.txt", QUIET)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_pictures_that_changed_since_are_refused(tmp_path: Path, config: SimCLR) -> None:
    folder = folder_of(tmp_path / "pictures", 40, classes=("a", "b"))
    train(replace(config, data=str(folder)), tmp_path / "run", QUIET)
    (folder / "a" / "000.png").unlink()
    with pytest.raises(RunError, match="are not those that this run was trained on"):
        load_run(tmp_path / "run").splits()


def test_bad_data_leaves_no_run_folder(tmp_path: Path, config: SimCLR) -> None:
    with pytest.raises(DataError):
        train(replace(config, data=str(tmp_path / "nowhere")), tmp_path / "run", QUIET)
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
        train(replace(config, **wrong), tmp_path / "run", QUIET)  # type: ignore[arg-type]  # wrong on purpose
    assert not (tmp_path / "run").exists()


NUMBERED = torch.arange(20)


def dealt(size: int, place: tuple[int, int] = (0, 1)) -> Batches:
    return Batches(Shuffled(20, size), lambda chosen: (NUMBERED[chosen], NUMBERED[chosen] + 100), 2 * size - 1, place)


def numbers(batches: Batches, step: int) -> list[int]:
    first, second = batches(step)
    torch.testing.assert_close(first + 100, second)
    return first.tolist()


def test_every_item_is_seen_once_in_an_epoch() -> None:
    batches = dealt(5)
    epochs = [[n for step in range(first, first + 4) for n in numbers(batches, step)] for first in (0, 4)]
    assert len(batches) == 4
    assert [sorted(epoch) for epoch in epochs] == [list(range(20))] * 2
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_the_parts_of_all_processes_are_the_batch(parts: int) -> None:
    each = [numbers(dealt(7, (place, parts)), 3) for place in range(parts)]
    assert [number for part in each for number in part] == numbers(dealt(7), 3)
    assert max(map(len, each)) - min(map(len, each)) <= 1


def test_more_processes_than_items_are_refused() -> None:
    with pytest.raises(SettingError, match="more of them than items"):
        dealt(5, (0, 6))


def test_a_large_batch_is_made_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def noted(chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        sizes.append(len(chosen))
        return NUMBERED[chosen], NUMBERED[chosen] + 100

    batches = Batches(Shuffled(20, 11), noted, 21)
    whole = numbers(batches, 0)
    monkeypatch.setattr(batches_module, "AT_ONCE", 4)
    assert numbers(batches, 0) == whole
    assert sizes == [11, 4, 4, 3]


def test_the_real_silhouettes_are_told_apart_better_after_a_few_steps(tmp_path: Path) -> None:
    config = SimCLR(data_file=str(animals_wheel()), steps=80, batch_size=32, width=8, threads=1)
    assert train(config, tmp_path / "run", QUIET)
    lines = load_run(tmp_path / "run").metrics()
    assert lines[-1]["loss"] < lines[0]["loss"] < lines[0]["log_candidates"]
