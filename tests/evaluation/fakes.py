"""Runs that need no training: a real encoder with given weights, on pictures made up here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from info_nce.data.images import ImageSet, split
from info_nce.data.splits import Facts, Splits
from info_nce.recipes.runs import Run
from info_nce.recipes.simclr import SimCLR

SIZE = 16
FACTS = Facts(
    what="squares in noise",
    licence="none needed",
    credit="nobody",
    origin="made up",
    used_for="tests",
    counts="a few",
    notes=("A note about the data.",),
)


@dataclass(frozen=True, slots=True)
class FakeRun(Run[ImageSet]):
    """A run whose data is at hand."""

    parts: Splits[ImageSet]
    lines: tuple[dict[str, float], ...]

    def splits(self) -> Splits[ImageSet]:
        return self.parts

    def metrics(self) -> list[dict[str, float]]:
        return list(self.lines)


def squares(counts: Sequence[int], *, channels: int = 1, noise: int = 90, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Make pictures with a bright square, whose place is the class, in noise."""
    chance = torch.Generator().manual_seed(seed)
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    images = torch.randint(0, noise, (len(labels), channels, SIZE, SIZE), generator=chance, dtype=torch.uint8)
    for image, label in zip(images, labels.tolist(), strict=True):
        top, left = 2 + 4 * (label // 3), 1 + 5 * (label % 3)
        image[:, top : top + 4, left : left + 4] = 255
    return images, labels


def labelled(
    counts: Sequence[int], names: tuple[str, ...] | None = None, *, channels: int = 1, paths: bool = False
) -> Splits[ImageSet]:
    """Split made-up pictures of as many classes as there are counts."""
    images, labels = squares(counts, channels=channels)
    files = tuple(f"{i}.png" for i in range(len(images))) if paths else None
    names = names or tuple(f"class {i}" for i in range(len(counts)))
    return split(ImageSet("squares", images, labels, names, files), FACTS, "squares")


def unlabelled(count: int) -> Splits[ImageSet]:
    """Split made-up pictures that nobody labelled."""
    images, _ = squares([count])
    return split(ImageSet("squares", images), FACTS, "squares")


def part(name: str, counts: Sequence[int], names: tuple[str, ...], seed: int) -> ImageSet:
    """Make one part alone, to put splits together that no loader would make."""
    images, labels = squares(counts, seed=seed)
    return ImageSet(f"squares/{name}", images, labels, names)


def logged(count: int = 5) -> tuple[dict[str, float], ...]:
    """Make lines of metrics."""
    return tuple(
        {
            "step": 10.0 * (i + 1),
            "epoch": float(i),
            "loss": 4.0 / (i + 1),
            "log_candidates": math.log(31),
            "alignment": 1.0 / (i + 1),
            "uniformity": -1.0 - i / 4,
            "learning_rate": 1e-3 * (count - i) / count,
            "seconds": float(i),
        }
        for i in range(count)
    )


def run_on(
    splits: Splits[ImageSet], folder: Path, *, note: str = "", lines: tuple[dict[str, float], ...] | None = None
) -> FakeRun:
    """Make a run folder that says it was trained on these pictures; its weights are another seed's."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    recipe, about = SimCLR(width=4, steps=50, data="squares"), splits.train.about()
    return FakeRun(
        path=folder,
        recipe=recipe,
        data={"name": "squares", "about": about},
        finished=not note,
        note=note,
        weights=recipe.model(about).state_dict(),
        parts=splits,
        lines=logged() if lines is None else lines,
    )
