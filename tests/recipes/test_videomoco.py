"""VideoMoCo through the whole trainer, on real digits and on a person's own videos; and its parts by hand."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import nn
from torch.nn import functional

from info_nce.errors import DataError, SettingError
from info_nce.evaluation import load_scorecard
from info_nce.recipes import loop, recipe_class
from info_nce.recipes.augment import clip_augmentation
from info_nce.recipes.frame_drop import FrameDrop
from info_nce.recipes.runs import load_run, recipe_of
from info_nce.recipes.streams import Apart, TwoStreams
from info_nce.recipes.train import train
from info_nce.recipes.videomoco import FadingQueue, VideoMoCo
from tests.own_encoders import own_module
from tests.recipes.test_train import StopAfter, same_bits, weights
from tests.videos import digits_wheel, videos_in

QUIET = Console(quiet=True)

OWN = """
from torch import nn

def eye(channels, image_size, frames):
    return nn.Sequential(nn.Flatten(), nn.Linear(frames * channels * image_size ** 2, 5))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return videos_in(tmp_path_factory.mktemp("videos"), 20, classes=("a", "b"))


@pytest.fixture
def tiny(folder: Path) -> VideoMoCo:
    return VideoMoCo(
        data=str(folder), image_size=16, frames=8, clip_frames=4, steps=8, batch_size=8, width=4, queue=20, threads=1
    )


def test_a_stopped_run_ends_in_the_same_bits_with_its_adversary(
    tmp_path: Path, tiny: VideoMoCo, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = replace(tiny, drop="adversarial", drop_share=0.25)
    assert train(tiny, tmp_path / "whole", QUIET)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "Interruption", StopAfter)
        assert not train(tiny, tmp_path / "stopped", QUIET)
    assert train(recipe_of(tmp_path / "stopped"), tmp_path / "stopped", QUIET, resume=True)
    same_bits(weights(tmp_path / "whole"), weights(tmp_path / "stopped"))


def test_ones_own_videos_are_trained_on_evaluated_and_embedded(tmp_path: Path, tiny: VideoMoCo) -> None:
    assert recipe_class("videomoco") is VideoMoCo
    assert train(replace(tiny, steps=3, chunk_size=3), tmp_path / "run", QUIET)
    run = load_run(tmp_path / "run")
    card = run.recipe.evaluate(run)
    assert card.headline == "folder, linear probe"
    assert card.find("trained", "folder, linear probe") is not None
    assert load_scorecard(tmp_path / "run").systems() == card.systems()
    videos = run.splits().test.items("video")
    h = run.embed("video", videos)
    assert h.shape == (len(videos), 32)
    torch.testing.assert_close(run.embed("video", videos[:, 2:6]), h)  # the middle of eight frames


def test_an_encoder_of_ones_own_takes_the_place_of_both_streams(
    tmp_path: Path, tiny: VideoMoCo, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(tiny, steps=2, encoder=f"{own_module(tmp_path, OWN, monkeypatch)}:eye")
    with pytest.raises(SettingError, match="--appearance 0"):
        train(recipe, tmp_path / "run", QUIET)
    recipe = replace(recipe, appearance=0.0, drop="adversarial", drop_share=0.5)
    assert train(recipe, tmp_path / "run", QUIET)
    run = load_run(tmp_path / "run")
    videos = run.splits().test.items("video")
    h = run.embed("video", videos)
    pixels = videos[:, 2:6].float() / 255
    layer = next(part for part in run.model().modules() if isinstance(part, nn.Linear))  # as `eye` made it
    torch.testing.assert_close(h, layer(pixels.flatten(1)).detach())
    assert run.recipe.evaluate(run).find("trained", "folder, linear probe") is not None


def test_without_labels_a_clip_is_found_by_the_other_one_of_its_video(tmp_path: Path, tiny: VideoMoCo) -> None:
    recipe = replace(tiny, data=str(videos_in(tmp_path / "videos", 20)), frames=16, steps=2)
    assert train(recipe, tmp_path / "run", QUIET)
    card = recipe.evaluate(load_run(tmp_path / "run"))
    assert card.measures() == ["finds the other clip of its video, R@1"]
    raw, chance = (card.find(system, card.headline) for system in ("raw pixels", "chance"))
    assert raw is not None
    assert chance is not None
    assert 0 <= raw.value <= 1
    assert chance.value == 1 / 4  # four of twenty files are held out
    assert "the 4 videos asked about are the validation part" in card.notes[0]
    assert "Accuracy needs labels" in card.notes[1]


def test_real_digits_are_trained_on_and_a_frame_does_not_tell_their_motion(tmp_path: Path) -> None:
    recipe = VideoMoCo(data_file=str(digits_wheel()), steps=3, batch_size=16, width=4, queue=40, threads=1)
    assert train(recipe, tmp_path / "run", QUIET)
    run = load_run(tmp_path / "run")
    splits = run.splits()
    part = splits.test.take(torch.arange(64))
    first, second = recipe.inputs(part, torch.device("cpu"))(torch.arange(64))
    assert first.shape == second.shape == (64, 8, 1, 32, 32)
    assert not torch.equal(first, second)
    still = part.videos[:, 8:9].expand_as(part.videos)
    reversed_ = part.videos.flip(1)
    embed = run.embedders()["video"]
    torch.testing.assert_close(embed(still), embed(still.flip(1)))
    assert not torch.allclose(embed(part.videos), embed(reversed_), atol=1e-3)


@pytest.mark.slow
def test_real_digits_are_evaluated_beside_one_frame_and_no_training(tmp_path: Path) -> None:
    recipe = VideoMoCo(data_file=str(digits_wheel()), steps=60, batch_size=64, width=16, queue=256, threads=1)
    assert train(recipe, tmp_path / "run", QUIET)
    card = recipe.evaluate(load_run(tmp_path / "run"))
    assert card.headline == "direction, linear probe"
    assert {m.split(",")[0] for m in card.measures()} == {
        "direction", "digit", "speed", "finds the other clip of its video",
    }  # fmt: skip
    value = {(score.system, score.measure): score.value for score in card.scores}
    assert value["trained", card.headline] > 0.6
    for system in ("one frame, raw pixels", "one frame, trained", "chance"):
        assert value[system, card.headline] < 0.17
        assert 0.44 < value[system, "speed, linear probe"] < 0.56
    assert value["trained", "digit, linear probe"] > value["raw pixels", "digit, linear probe"] + 0.1


def test_a_fading_queue_weighs_each_key_by_its_age() -> None:
    torch.manual_seed(0)
    loss = FadingQueue(3, 5, 0.5, decay=0.75, weights=(1.0, 2.0))
    old, new = torch.randn(4, 6), torch.randn(3, 6)
    query, key = torch.randn(2, 6), torch.randn(2, 6)
    loss.after_step(query, old)
    loss.after_step(query, new)
    waiting = torch.cat([old[2:], new])  # five places: the two oldest are gone
    ages = torch.tensor([4.0, 3.0, 2.0, 1.0, 0.0])
    torch.testing.assert_close(loss(query, key), _of_streams(query, key, waiting, 0.75**ages))
    with pytest.raises(AssertionError):  # the newest weighs most, not the oldest
        torch.testing.assert_close(loss(query, key), _of_streams(query, key, waiting, 0.75 ** ages.flip(0)))


def _of_streams(query: torch.Tensor, key: torch.Tensor, waiting: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    first, second = (_by_hand(query[:, s], key[:, s], waiting[:, s], weights) for s in (slice(3), slice(3, 6)))
    return (first + 2 * second) / 3


def _by_hand(query: torch.Tensor, key: torch.Tensor, waiting: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    positive = (functional.cosine_similarity(query, key) / 0.5).exp()
    others = (functional.cosine_similarity(query[:, None], waiting[None], dim=2) / 0.5).exp() * weights
    return -(positive / (positive + others.sum(1))).log().mean()


def test_dropped_frames_are_grey_as_many_as_asked_for_and_never_the_spared_one() -> None:
    torch.manual_seed(0)
    clips = torch.rand(500, 6, 1, 4, 4)
    drop = FrameDrop("random", 2, spared=3, channels=1)
    out = drop(clips)
    blank = (out.flatten(2).std(2) < 1e-6).float()
    assert (blank.sum(1) == 2).all()
    assert blank[:, 3].sum() == 0
    torch.testing.assert_close(out.mean((2, 3, 4)), clips.mean((2, 3, 4)))
    kept = blank == 0
    assert torch.equal(out[kept], clips[kept])
    assert blank.mean(0)[[0, 1, 2, 4, 5]].sub(0.4).abs().max() < 0.1  # none more often than another
    assert torch.equal(drop.eval()(clips), clips)
    assert torch.equal(FrameDrop("none", 2, spared=3, channels=1)(clips), clips)


def test_the_adversary_learns_to_leave_out_the_frame_that_hurts() -> None:
    torch.manual_seed(0)
    drop = FrameDrop("adversarial", 1, spared=0, channels=1)
    optimizer = torch.optim.Adam(drop.parameters(), lr=0.02)
    clips = torch.rand(64, 5, 1, 8, 8) * 0.1
    clips[:, 2, :, :4] += 0.8  # the only frame with something in it, which the loss asks for
    before = _share_of(drop, clips)
    for _ in range(60):
        optimizer.zero_grad()
        (1 - drop(clips)[:, 2].var((1, 2, 3))).mean().backward()  # grows where the frame is missing
        optimizer.step()
    assert before < 0.5 < 0.9 < _share_of(drop, clips)  # noqa: PLR0133 (a chain reads best)


def _share_of(drop: FrameDrop, clips: torch.Tensor) -> float:
    with torch.no_grad():
        return float((drop(clips)[:, 2].flatten(1).std(1) < 0.01).float().mean())


def test_the_appearance_stream_sees_one_frame_while_training_and_no_order_in_use() -> None:
    torch.manual_seed(0)
    encoder = TwoStreams(4, 1, 16, 4).eval()
    clips = torch.rand(3, 4, 1, 16, 16)
    swapped = clips[:, [2, 1, 0, 3]]  # frames 0 and 2 are those that are looked at
    h, other = encoder(clips), encoder(swapped)
    torch.testing.assert_close(h[:, 16:], other[:, 16:])
    assert not torch.allclose(h[:, :16], other[:, :16], atol=1e-4)
    assert TwoStreams(4, 1, 16, 4, appearance=False)(clips).shape == (3, 16)
    encoder.train()
    noise = clips.clone()
    noise[:, [0, 1, 3]] = torch.rand(3, 3, 1, 16, 16)
    torch.testing.assert_close(encoder(clips)[:, 16:], encoder(noise)[:, 16:])


def test_each_stream_is_projected_for_itself() -> None:
    torch.manual_seed(0)
    projector = Apart([4, 4], 3).eval()
    h = torch.rand(5, 8)
    other = torch.cat([h[:, :4], torch.rand(5, 4)], 1)
    torch.testing.assert_close(projector(h)[:, :3], projector(other)[:, :3])
    assert not torch.allclose(projector(h)[:, 3:], projector(other)[:, 3:])
    torch.testing.assert_close(projector(h).view(5, 2, 3).norm(dim=2), torch.ones(5, 2))


@pytest.mark.parametrize(("source", "channels"), [("moving-digits", 1), ("mine", 1), ("mine", 3)])
def test_all_frames_of_a_clip_are_changed_alike(source: str, channels: int) -> None:
    torch.manual_seed(0)
    clips = torch.rand(6, 1, channels, 24, 24).expand(6, 5, channels, 24, 24)
    views = clip_augmentation(source, channels, 24)(clips)
    assert views.shape == clips.shape
    torch.testing.assert_close(views, views[:, :1].expand_as(views))
    assert not torch.allclose(views[0], clips[0], atol=0.01)


def test_what_cannot_be_trained_with_is_refused(tmp_path: Path, tiny: VideoMoCo) -> None:
    with pytest.raises(SettingError, match="a clip cannot be longer"):
        train(replace(tiny, clip_frames=9), tmp_path / "run", QUIET)
    with pytest.raises(SettingError, match="a clip cannot be longer"):
        VideoMoCo(clip_frames=20, frames=40).model({"frames": 16, "channels": 1, "image_size": 32})
    with pytest.raises(SettingError, match="--decay"):
        train(replace(tiny, decay=1.5), tmp_path / "run", QUIET)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no videos"):
        train(replace(tiny, data=str(tmp_path / "empty")), tmp_path / "run", QUIET)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("appearance", [0.0, 1.0])
def test_every_weight_of_the_encoder_and_the_adversary_is_reached(tiny: VideoMoCo, appearance: float) -> None:
    torch.manual_seed(0)
    recipe = replace(tiny, appearance=appearance, drop="adversarial", drop_share=0.25)
    about = {"frames": 8, "channels": 3, "image_size": 16}
    model, loss = recipe.model(about), recipe.criterion(about)
    first, second = torch.rand(2, 8, 4, 3, 16, 16)
    outputs = model(first, second)
    loss(*outputs).backward()
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert {name for name, weight in model.named_parameters() if weight.grad is not None} == trained
    assert any(name.startswith("drop.") for name in trained)
    slow: nn.Module = model.slow  # type: ignore[assignment]  # it has one
    before = [weight.clone() for weight in slow.parameters()]
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1)
    model.after_step(*outputs)  # type: ignore[operator]  # it has one
    assert all(not torch.equal(weight, old) for weight, old in zip(slow.parameters(), before, strict=True))
