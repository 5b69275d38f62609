"""Real trainings at several temperatures, for the reader to scrub through: python -m tutorial.record.runs [--seeds 0].

The library's own `simclr` recipe on its digits, and once the same with nothing but alignment, which collapses. Writes
tutorial/data/runs.json; takes a quarter of an hour.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from rich.console import Console
from torch import Tensor, nn

from info_nce.data import ImageSet
from info_nce.diagnostics import uniformity
from info_nce.evaluation.neighbours import nearest_neighbour_classes
from info_nce.recipes.encoders import ContrastiveModel
from info_nce.recipes.pictures import encode
from info_nce.recipes.simclr import SimCLR
from info_nce.recipes.train import train

FILE = Path(__file__).parents[1] / "data" / "runs.json"
TEMPERATURES = (0.02, 0.07, 0.2, 0.5, 1.0, 5.0)
SEEDS = (0, 1, 2)
STEPS = (0, 10, 20, 30, 45, 60, 80, 100, 130, 160, 200, 240, 280, 330, 390, 450, 520, 600, 700, 800)
"""After which steps a look is taken."""
DRAWN_PER_CLASS, NEIGHBOURS, GRID, THREADS = 5, 5, 99, 1
"""Places are whole numbers of 99ths, which a drawing cannot tell from the places themselves."""


class AlignmentOnly(nn.Module):
    """Pull partners together, and push nothing away: what InfoNCE is without its negatives."""

    def forward(self, z1: Float[Tensor, "n d"], z2: Float[Tensor, "n d"]) -> Tensor:
        """One minus the cosine of partners."""
        return 1 - nn.functional.cosine_similarity(z1, z2).mean()


class Watched(ContrastiveModel):
    """A model that is looked at on the way; looking changes nothing about its training.

    Args:
        model: with its fresh weights.
        look: takes the number of steps that are done, and the model.
    """

    def __init__(self, model: ContrastiveModel, look: "Looks") -> None:
        super().__init__(model.encoder, model.projector)
        self._look, self._done = look, 0

    def forward(self, view1: Tensor, view2: Tensor) -> tuple[Tensor, Tensor]:
        """Look once before the first step."""
        if self.training and self._done == 0:
            self._look.take(0, self)
        return super().forward(view1, view2)

    def after_step(self, *_: Tensor) -> None:
        """Look after those steps that were chosen; the loop calls this."""
        self._done += 1
        self._look.take(self._done, self)


class Looks:
    """What is seen of a model on the way.

    Args:
        train: pictures whose classes are known to the neighbours' vote.
        held_out: pictures that are asked about.
    """

    def __init__(self, train: ImageSet, held_out: ImageSet) -> None:
        self.train, self.held_out = train, held_out
        labels = _labels(held_out)
        self.drawn = [i for c in range(10) for i in labels.eq(c).nonzero().flatten()[:DRAWN_PER_CLASS].tolist()]
        self._drawn_vectors: list[Tensor] = []
        self.found: dict[str, list[Any]] = {"places": [], "knn": [], "uniformity": []}

    def take(self, step: int, model: Watched) -> None:
        """Take a look, if it is time for one."""
        if step not in STEPS or len(self.found["knn"]) > STEPS.index(step):
            return
        model.eval()
        whole = nn.Sequential(model.encoder, model.projector)
        self.found["knn"].append(self.share_right(whole))
        asked = _on_the_sphere(whole, self.held_out)
        model.train()
        self.found["uniformity"].append(round(uniformity(asked).item(), 4))
        self._drawn_vectors.append(asked[self.drawn])
        # Its shadow falls along the two directions in which the vectors differ most in the end.
        directions = torch.linalg.svd(asked - asked.mean(0), full_matrices=False).Vh[:2]
        shadows = [(vectors @ directions.T * GRID).round().int().flatten().tolist() for vectors in self._drawn_vectors]
        self.found["places"] = shadows

    def share_right(self, model: nn.Module) -> float:
        """Which share of the held-out pictures do their nearest neighbours name rightly?"""
        known, asked = _on_the_sphere(model, self.train), _on_the_sphere(model, self.held_out)
        votes = nearest_neighbour_classes(known, _labels(self.train), asked, NEIGHBOURS, classes=10)
        return round(votes.eq(_labels(self.held_out)).double().mean().item(), 4)


def _labels(part: ImageSet) -> Tensor:
    if part.labels is None:
        raise ValueError("digits have labels")
    return part.labels


def _on_the_sphere(model: nn.Module, part: ImageSet) -> Float[Tensor, "n d"]:
    return nn.functional.normalize(encode(model, part.images), dim=1)


@dataclass(frozen=True, kw_only=True)
class WatchedSimCLR(SimCLR):
    """SimCLR, watched.

    Args:
        only_align: leave the negatives out.
    """

    looks: ClassVar[Looks]  # of this run; no setting, which config.json would keep
    only_align: bool = False

    def model(self, about: Mapping[str, Any]) -> nn.Module:
        """The recipe's own encoder."""
        return Watched(self.pictures_model(about), self.looks)

    def criterion(self, about: Mapping[str, Any]) -> nn.Module:
        """The recipe's own loss, or alignment alone."""
        return AlignmentOnly() if self.only_align else super().criterion(about)


def record(temperature: float, seed: int, *, only_align: bool = False) -> dict[str, list[Any]]:
    """Train once, and give what was seen."""
    parts = SimCLR(data="digits").splits()
    WatchedSimCLR.looks = looks = Looks(parts.train, parts.validation)
    recipe = WatchedSimCLR(
        data="digits", steps=STEPS[-1], temperature=temperature, seed=seed, only_align=only_align, threads=THREADS
    )
    with tempfile.TemporaryDirectory() as folder:
        train(recipe, Path(folder) / "run", Console(quiet=True))
    return looks.found


def main(seeds: tuple[int, ...]) -> None:
    """Record everything and write it."""
    parts = SimCLR(data="digits").splits()
    looks = Looks(parts.train, parts.validation)
    raw = looks.share_right(nn.Flatten())
    runs: dict[str, list[dict[str, list[Any]]]] = {}
    for name, temperature, only_align in (*((str(t), t, False) for t in TEMPERATURES), ("alignment", 0.5, True)):
        runs[name] = [record(temperature, seed, only_align=only_align) for seed in seeds]
        for again in runs[name][1:]:
            del again["places"]  # the first seed is drawn; all are counted
        print(name, [run["knn"][-1] for run in runs[name]], flush=True)
    found = {
        "command": f"info-nce train simclr --data digits --steps {STEPS[-1]} --temperature",
        "seeds": len(seeds),
        "steps": STEPS,
        "labels": _labels(parts.validation)[looks.drawn].tolist(),
        "held_out": len(parts.validation),
        "raw_knn": raw,
        "runs": runs,
    }
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(found, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    main(tuple(parser.parse_args().seeds))
