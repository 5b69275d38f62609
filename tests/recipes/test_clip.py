"""CLIP through the whole trainer: on the user's own file and on emoji, with its towers, its losses and its scores."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from info_nce.data.emoji import WHEELS
from info_nce.errors import RunError, SettingError
from info_nce.evaluation.captions import HEADLINE, RIDGE, SUM, evaluate_captions
from info_nce.evaluation.scorecard import CHANCE, TRAINED, UNTRAINED
from info_nce.recipes import loop
from info_nce.recipes.clip import CLIP, SameThing, some_of
from info_nce.recipes.runs import load_run, recipe_of
from info_nce.recipes.train import train
from tests.data.test_captioned_file import rows_of, write
from tests.pictures import wheels_folder
from tests.recipes.test_train import StopAfter, same_bits, weights

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pairs")
    rows = [{**row, "id": f"{i // 2}", "category": "ab"[i % 2]} for i, row in enumerate(rows_of(root, 60))]
    return write(root, rows)


@pytest.fixture
def tiny(file: Path) -> CLIP:
    return CLIP(data=str(file), image_size=16, steps=8, batch_size=12, width=4, features=16, threads=1)


@pytest.fixture(scope="module")
def trained(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "trained"
    assert train(CLIP(data=str(file), image_size=16, steps=3, width=4, features=16, threads=1), folder, QUIET)
    return folder


@pytest.mark.parametrize("changes", [{}, {"loss": "siglip", "chunk_size": 5}], ids=["clip", "siglip in chunks"])
def test_a_stopped_run_ends_in_the_same_bits(
    tmp_path: Path, tiny: CLIP, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    tiny = replace(tiny, **changes)
    assert train(tiny, tmp_path / "whole", QUIET)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "Interruption", StopAfter)
        assert not train(tiny, tmp_path / "stopped", QUIET)
    torch.manual_seed(99)
    assert train(recipe_of(tmp_path / "stopped"), tmp_path / "stopped", QUIET, resume=True)
    same_bits(weights(tmp_path / "whole"), weights(tmp_path / "stopped"))


def cosines(one: Tensor, other: Tensor) -> Tensor:
    return nn.functional.cosine_similarity(one[:, None], other[None], dim=2)


def test_the_same_thing_is_no_negative_of_itself(tiny: CLIP) -> None:
    image, text, ids = torch.randn(4, 6), torch.randn(4, 6), torch.tensor([7, 3, 7, 5])
    logits = cosines(image, text) / tiny.temperature
    logits[0, 2] = logits[2, 0] = -math.inf
    there, back = (nn.functional.cross_entropy(side, torch.arange(4)) for side in (logits, logits.T))
    found = tiny.criterion({})(image, text, ids)
    torch.testing.assert_close(found, (there + back) / 2)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(tiny.criterion({})(image, text, torch.arange(4)), (there + back) / 2)


def test_the_temperature_is_learned_and_kept_in_its_range(tiny: CLIP) -> None:
    loss = tiny.criterion({})
    assert isinstance(loss, SameThing)
    assert [parameter.requires_grad for parameter in loss.parameters()] == [True]
    with torch.no_grad():
        next(loss.parameters()).fill_(50)
    loss.clamp_temperature()
    assert loss.temperature.item() == pytest.approx(0.01)


@pytest.mark.parametrize("batch_size", [2, 12, 128])
def test_guessing_costs_the_logarithm_of_the_candidates(tiny: CLIP, batch_size: int) -> None:
    assert tiny.candidates(batch_size) == batch_size
    # SigLIP's least loss with one answer for all pairs: p = 1 / n for each.
    p = 1 / batch_size
    least = -math.log(p) - (batch_size - 1) * math.log(1 - p)
    found = math.log(replace(tiny, loss="siglip").candidates(batch_size))
    assert found == pytest.approx(least, abs=0.5 / batch_size)


def test_parts_of_a_caption_are_drawn_in_their_order_and_never_none() -> None:
    caption = ("red heart", "love", "like")
    torch.manual_seed(0)
    drawn = {some_of(caption, 0.5) for _ in range(200)}
    assert drawn == {
        "red heart", "love", "like", "red heart, love", "red heart, like", "love, like", "red heart, love, like",
    }  # fmt: skip
    assert some_of(caption, 1) == "red heart, love, like"
    assert {some_of(caption, 0) for _ in range(50)} == set(caption)
    torch.manual_seed(1)
    kept = sum(some_of(("a", "b", "c", "d"), 0.3).count("a") for _ in range(1000)) / 1000
    assert kept == pytest.approx(0.3 + 0.7**4 / 4, abs=0.05)


def test_pictures_and_texts_come_into_one_space(trained: Path) -> None:
    run = load_run(trained)
    part = run.splits().test
    images, texts = run.embed("image", part.images), run.embed("text", part.texts())
    assert images.shape == texts.shape == (len(part), 16)
    one_by_one = torch.cat([run.embed("text", [text]) for text in part.texts()])
    torch.testing.assert_close(one_by_one, texts, rtol=1e-4, atol=1e-5)
    assert run.embed("text", []).shape == (0, 16)
    with pytest.raises(RunError, match="no encoder for the kind 'sound'"):
        run.embed("sound", [])


def test_the_scores_stand_beside_chance_no_training_and_the_closed_form(trained: Path) -> None:
    card = evaluate_captions(load_run(trained))
    assert card.systems() == [CHANCE, UNTRAINED, RIDGE, TRAINED, SUM]
    assert card.headline == HEADLINE
    assert card.find(CHANCE, "category of a picture, zero-shot").value == 0.5  # type: ignore[union-attr]  # it is there
    for score in card.scores:
        assert math.isfinite(score.value)
        assert score.unit == "rank" or 0 <= score.value <= 1
    assert any("Only 3 things in the test part" in note for note in card.notes)


def test_with_one_category_there_is_nothing_to_tell_apart(tmp_path: Path) -> None:
    rows = [{**row, "category": "all"} for row in rows_of(tmp_path)]
    config = CLIP(data=str(write(tmp_path, rows)), image_size=16, steps=1, width=4, features=8, threads=1)
    assert train(config, tmp_path / "run", QUIET)
    card = evaluate_captions(load_run(tmp_path / "run"))
    assert not any("category" in measure for measure in card.measures())


OWN = """
import torch
from torch import nn

class Lengths(nn.Module):
    def __init__(self):
        super().__init__()
        self.line = nn.Linear(2, 5)
    def prepare(self, texts):
        return torch.tensor([[float(len(text)), float(text.count(" "))] for text in texts])
    def forward(self, rows):
        return self.line(rows)

def pixels(channels, image_size):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * image_size**2, 7))
"""


def test_towers_of_ones_own_are_trained_or_frozen(tmp_path: Path, tiny: CLIP, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_towers_of_clip.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    config = replace(
        tiny,
        image_tower="own_towers_of_clip:pixels",
        text_tower="own_towers_of_clip:Lengths",
        freeze_text_tower=True,
        weight_decay=0.0,
    )
    assert train(config, tmp_path / "run", QUIET)
    run = load_run(tmp_path / "run")
    before, after = run.untrained().state_dict(), run.model().state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"image", "image_head", "text_head"}
    assert run.embed("text", ["a text"]).shape == (1, 16)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"keep": 1.5}, "--keep"),
        ({"temperature": 0.0}, "--temperature"),
        ({"features": 0}, "--features"),
        ({"image_size": 8}, "--image-size"),
        ({"freeze_text_tower": True}, "--freeze-text-tower without"),
        ({"freeze_image_tower": True, "text_tower": "a:b"}, "--freeze-image-tower without"),
    ],
)
def test_a_setting_out_of_range_is_named(tmp_path: Path, tiny: CLIP, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        train(replace(tiny, **changes), tmp_path / "run", QUIET)
    assert not (tmp_path / "run").exists()


def test_real_emoji_are_trained_on_and_found_by_a_text(tmp_path: Path) -> None:
    config = CLIP(
        data_file=str(wheels_folder(WHEELS)), image_size=16, steps=3, batch_size=32, width=4, features=32, threads=1
    )
    assert train(config, tmp_path / "run", QUIET)
    run = load_run(tmp_path / "run")
    assert {part: run.data[part] for part in ("train", "validation", "test")} == {
        "train": 1058,
        "validation": 200,
        "test": 300,
    }
    assert run.embed("text", ["a red heart"]).isfinite().all()


@pytest.mark.slow
def test_real_emoji_are_told_apart_better_after_some_steps(tmp_path: Path) -> None:
    config = CLIP(
        data_file=str(wheels_folder(WHEELS)), image_size=16, steps=40, batch_size=64, width=4, features=32, threads=1
    )
    assert train(config, tmp_path / "run", QUIET)
    losses = [line["loss"] for line in load_run(tmp_path / "run").metrics()]
    assert losses[-1] < losses[0] - 0.05
