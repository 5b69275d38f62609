"""What is asked about clips, and of whom: on features of which the right answers are known."""

import torch

from info_nce.data.splits import Facts, Splits
from info_nce.data.video_set import VideoSet
from info_nce.evaluation.clips import ask, find_other_clips
from info_nce.evaluation.features import raw_pixels

FACTS = Facts("noise", "none needed", "nobody", "made up", "tests", "a few")


def noise(count: int, seed: int) -> VideoSet:
    chance = torch.Generator().manual_seed(seed)
    videos = torch.randint(0, 256, (count, 6, 1, 4, 4), generator=chance, dtype=torch.uint8)
    labels = torch.arange(count) % 3
    names = tuple(f"{i}" for i in range(count))
    return VideoSet("noise/part", videos, names, {"kind": labels}, {"kind": ("a", "b", "c")})


def test_features_that_tell_are_right_and_those_that_do_not_are_at_chance() -> None:
    parts = {name: noise(300, seed) for seed, name in enumerate(("train", "validation", "test"))}
    splits = Splits(**parts, facts=FACTS, source="noise")
    told = {name: torch.eye(3)[part.labels["kind"]] for name, part in parts.items()}
    untold = {name: raw_pixels(part.videos.flatten(1, 2)) for name, part in parts.items()}
    scores = {score.system: score for score in ask("kind", splits, {"told": told, "untold": untold})}
    assert {score.measure for score in scores.values()} == {"kind, linear probe"}
    assert (scores["chance"].value, scores["told"].value) == (1 / 3, 1)
    assert abs(scores["untold"].value - 1 / 3) < 4 * scores["untold"].standard_error < 0.12
    assert scores["told"].setting.startswith("C = ")


def test_the_other_clip_is_found_where_it_looks_like_the_first() -> None:
    videos = noise(50, 0).videos
    videos[:, 3:] = videos[:, :3]
    found = {score.system: score.value for score in find_other_clips(videos, 3, {"all": of_all, "none": of_none})}
    assert found == {"chance": 1 / 50, "all": 1, "none": 1 / 50}
    different = {score.system: score.value for score in find_other_clips(noise(50, 1).videos, 3, {"all": of_all})}
    assert different["all"] < 0.2


def of_all(clips: torch.Tensor) -> torch.Tensor:
    return raw_pixels(clips.flatten(1, 2)) - 0.5


def of_none(clips: torch.Tensor) -> torch.Tensor:
    return torch.ones(len(clips), 2)
