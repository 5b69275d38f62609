"""MoCo through the whole trainer: its queue and its slow encoder outlive a stop."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import nn

from info_nce.recipes import loop
from info_nce.recipes.checkpoints import load_tensors
from info_nce.recipes.moco import MoCo
from info_nce.recipes.momentum import Followed, Queued
from info_nce.recipes.runs import load_run, recipe_of
from info_nce.recipes.simclr import LOSSES, SimCLR
from info_nce.recipes.train import train
from tests.recipes.test_train import StopAfter, same_bits, weights

QUIET = Console(quiet=True)
TINY = MoCo(data="digits", steps=12, batch_size=8, width=4, queue=20, threads=1)


def test_a_stopped_run_ends_in_the_same_bits_with_the_same_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train(TINY, tmp_path / "whole", QUIET)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "Interruption", StopAfter)
        assert not train(TINY, tmp_path / "stopped", QUIET)
    assert train(recipe_of(tmp_path / "stopped"), tmp_path / "stopped", QUIET, resume=True)
    same_bits(weights(tmp_path / "whole"), weights(tmp_path / "stopped"))
    whole, stopped = (
        load_tensors(max((tmp_path / name / "checkpoints").iterdir()))[0] for name in ("whole", "stopped")
    )
    same_bits(whole, stopped)
    assert whole["loss.queue.progress"].tolist() == [12 * 8 % 20, 20]


def test_the_slow_encoder_follows_and_the_queue_holds_its_keys() -> None:
    torch.manual_seed(0)
    encoder, projector = nn.Linear(3, 4), nn.Linear(4, 2)
    model, loss = Followed(encoder, projector, momentum=0.75), Queued(2, 6, 0.5)
    first, second = torch.rand(4, 3), torch.rand(4, 3)
    before = encoder.weight.clone()
    query, key = model(first, second)
    assert not key.requires_grad
    torch.testing.assert_close(loss(query, key), nn.functional.cross_entropy(cosines(query, key), torch.arange(4)))
    with torch.no_grad():
        encoder.weight.add_(1)
    model.after_step(query, key)
    loss.after_step(query, key)
    torch.testing.assert_close(model.slow.module.get_parameter("0.weight"), before + 0.25)
    torch.testing.assert_close(loss.queue.keys(), key)
    other = torch.rand(4, 2)
    logits = torch.cat([nn.functional.cosine_similarity(query, other)[:, None] / 0.5, cosines(query, key)], 1)
    torch.testing.assert_close(loss(query, other), first_of(logits))
    with pytest.raises(AssertionError):  # with the batch's own keys as further negatives
        torch.testing.assert_close(loss(query, other), first_of(torch.cat([logits, cosines(query, other)], 1)))


def first_of(logits: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.int64))


def test_the_slow_encoder_keeps_the_statistics_of_what_it_has_seen_itself() -> None:
    torch.manual_seed(0)
    model = Followed(nn.BatchNorm1d(3), nn.Linear(3, 2), momentum=0.9)
    for _ in range(200):
        first, second = torch.randn(64, 3), torch.randn(64, 3) + 5
        model.after_step(*model(first, second))
    torch.testing.assert_close(model.slow.module.get_buffer("0.running_mean"), torch.full((3,), 5.0), rtol=0, atol=0.3)
    torch.testing.assert_close(model.fast.get_buffer("0.running_mean"), torch.zeros(3), rtol=0, atol=0.3)


def cosines(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    return nn.functional.cosine_similarity(query[:, None], key[None], dim=2) / 0.5


def test_real_silhouettes_are_told_apart_better_after_some_steps(tmp_path: Path) -> None:
    recipe = replace(TINY, steps=40, batch_size=32, width=8, queue=64)
    assert train(recipe, tmp_path / "run", QUIET)
    run = load_run(tmp_path / "run")
    lines = run.metrics()
    assert lines[-1]["loss"] < lines[0]["loss"] < lines[0]["log_candidates"] + 0.3
    card = recipe.evaluate(run)
    assert {"chance", "raw pixels", "untrained", "trained"} <= set(card.systems())
    assert all(0 <= score.value <= 1 for score in card.scores)


@pytest.mark.parametrize("recipe", [SimCLR, MoCo])
def test_an_encoder_of_the_users_own_is_trained(
    tmp_path: Path, recipe: type[SimCLR | MoCo], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "from torch import nn\ndef make(channels, image_size):\n"
    module += "    return nn.Sequential(nn.Flatten(), nn.Linear(channels * image_size ** 2, 6))\n"
    (tmp_path / "my_encoder.py").write_text(module)
    monkeypatch.chdir(tmp_path)
    settings = recipe(data="digits", steps=2, batch_size=8, threads=1, encoder="my_encoder:make")
    assert train(settings, tmp_path / "run", QUIET)
    run = load_run(tmp_path / "run")
    assert run.embed("image", run.splits().test.images[:5]).shape == (5, 6)


@pytest.mark.parametrize("loss", LOSSES)
def test_any_loss_of_a_batch_with_itself_trains_simclr(tmp_path: Path, loss: str) -> None:
    recipe = SimCLR(data="digits", steps=2, batch_size=8, width=4, threads=1, loss=loss)  # type: ignore[arg-type]  # one of them
    assert train(recipe, tmp_path / "run", QUIET)
    assert len(load_run(tmp_path / "run").metrics()) == 1
