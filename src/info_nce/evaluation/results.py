"""The numbers of an evaluation, as values that can be saved, read back and shown."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from info_nce.errors import RunError
from info_nce.evaluation.scorecard import CHANCE, TRAINED, Scorecard
from info_nce.evaluation.scorecard import Score as Row
from info_nce.recipes.files import write_safely

FILE = "pictures.json"
RAW, MAJORITY = "raw pixels", "most frequent"
LINEAR = "linear probe"
ALL, FAR = "all", "far"
# From so many pictures on, the part without look-alikes speaks for the encoder; fewer say too little.
ENOUGH = 30


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How many of the pictures were named rightly?

    Args:
        correct: pictures named rightly.
        total: pictures asked about.
    """

    correct: int
    total: int

    @property
    def share(self) -> float:
        """Correct / total, from 0 to 1; NaN of nothing."""
        return self.correct / self.total if self.total else math.nan

    @property
    def standard_error(self) -> float:
        """How far would the share move on other pictures of the same kind?

        Binomial, sqrt(p (1 - p) / n), with two right and two wrong answers added, so that 4 of 4 is not called certain.

        Source:
            Agresti and Coull 1998, "Approximate Is Better than 'Exact' for Interval Estimation of Binomial
            Proportions".
        """
        if not self.total:
            return math.nan
        share = (self.correct + 2) / (self.total + 4)
        return math.sqrt(share * (1 - share) / (self.total + 4))

    @property
    def interval(self) -> tuple[float, float]:
        """Which true shares fit these counts, at 95 %? Stays inside [0, 1], also for 0 or all correct.

        Source:
            Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference".
        """
        if not self.total:
            return math.nan, math.nan
        z2 = 1.959964**2 / self.total
        middle = (self.share + z2 / 2) / (1 + z2)
        half = math.sqrt(z2 * (self.share * (1 - self.share) + z2 / 4)) / (1 + z2)
        low, high = middle - half, middle + half
        return low if self.correct else 0.0, high if self.correct < self.total else 1.0


@dataclass(frozen=True, slots=True)
class Score:
    """What one classifier makes of one kind of feature.

    Args:
        features: "raw pixels", "untrained" or "trained".
        probe: "linear probe", "5 neighbours" or "20 neighbours".
        setting: what was chosen for it, in words; "" if nothing was.
        all: on every test picture.
        far: on the test pictures without a look-alike in training.
        by_class: on every test picture, class by class.
    """

    features: str
    probe: str
    setting: str
    all: Accuracy
    far: Accuracy
    by_class: tuple[Accuracy, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better is the trained encoder than a baseline, with the same classifier on the same pictures?

    Args:
        baseline: "raw pixels" or "untrained".
        probe: as in `Score`.
        part: "all" or "far".
        gain: share of the trained encoder minus share of the baseline, from -1 to 1; 0 = no better.
        standard_error: of the gain, paired: only pictures on which the two disagree count.
    """

    baseline: str
    probe: str
    part: str
    gain: float
    standard_error: float

    @property
    def verdict(self) -> str:
        """Is it "better", "worse" or "no different", beyond two standard errors?"""
        if abs(self.gain) <= 2 * self.standard_error or self.gain == 0:
            return "no different"
        return "better" if self.gain > 0 else "worse"


@dataclass(frozen=True, slots=True)
class Confusion:
    """Which class does the linear probe on the trained encoder take for which other?"""

    true: str
    said: str
    count: int


@dataclass(frozen=True, slots=True)
class Geometry:
    """How do the embeddings of held-out pictures lie in their space? Needs no labels.

    Args:
        alignment: mean squared distance of two views of one picture, from the last logged step; 0 = the same point,
            2 = unrelated directions. NaN where nothing was logged.
        uniformity: of z; 0 = one point, about -3.9 = as even as the sphere allows.
        effective_rank: of h: how many directions it uses.
        dimensions: of h: how many it has.
    """

    alignment: float
    uniformity: float
    effective_rank: float
    dimensions: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that was measured about one run.

    Args:
        run: the folder's name.
        recipe: by name.
        weights: sha256 of the weights that were measured.
        counts: pictures by part: train, validation, test, far.
        classes: names, in the order of the labels.
        chance: share that guessing among the classes would get.
        majority: the answer "always the most frequent training class".
        scores: by features and classifier; empty without labels.
        differences: the trained encoder against each baseline.
        confusions: the most frequent ones, most frequent first.
        geometry: of the held-out embeddings.
        notes: what a reader must know to read the numbers rightly, one sentence each.
    """

    run: str
    recipe: str
    weights: str
    counts: Mapping[str, int]
    classes: tuple[str, ...]
    chance: float
    majority: Accuracy
    scores: tuple[Score, ...]
    differences: tuple[Difference, ...]
    confusions: tuple[Confusion, ...]
    geometry: Geometry
    notes: tuple[str, ...]

    @property
    def main_part(self) -> str:
        """Which test pictures does the verdict rest on? Those far from training, where there are enough of them."""
        return FAR if self.counts[FAR] >= ENOUGH else ALL

    def score(self, features: str, probe: str) -> Score:
        """Find one row of the table."""
        return next(score for score in self.scores if (score.features, score.probe) == (features, probe))

    def difference(self, baseline: str, probe: str, part: str) -> Difference:
        """Find one comparison."""
        wanted = (baseline, probe, part)
        return next(found for found in self.differences if (found.baseline, found.probe, found.part) == wanted)

    def scorecard(self, verdict: str) -> Scorecard:
        """The accuracies alone, as every recipe shows its own, with what they mean in words."""
        found = []
        for score in self.scores:
            for part, accuracy in ((ALL, score.all), (FAR, score.far)):
                if accuracy.total:
                    measure = f"{score.probe}, {part}"
                    found.append(Row(score.features, measure, accuracy.share, accuracy.standard_error, score.setting))
        guesses = [
            Row(system, row.measure, value)
            for system, value in ((CHANCE, self.chance), (MAJORITY, self.majority.share))
            for row in found
            if row.system == TRAINED
        ]
        return Scorecard(
            run=self.run,
            recipe=self.recipe,
            weights=self.weights,
            counts=self.counts,
            headline=f"{LINEAR}, {self.main_part}",
            scores=(*guesses, *found),
            verdict=verdict,
            notes=self.notes,
        )

    def save(self, folder: Path) -> Path:
        """Write pictures.json, whole or not at all; NaN becomes null.

        Raises:
            RunError: the disk is full or cannot be written to.
        """
        text = json.dumps(_plain(asdict(self)), indent=1, ensure_ascii=False, allow_nan=False)
        write_safely(folder / FILE, f"{text}\n".encode())
        return folder / FILE


def load_evaluation(folder: Path) -> Evaluation:
    """Read pictures.json of a run folder.

    Raises:
        RunError: it is not there, or it is not what `Evaluation.save` writes.
    """
    file = folder / FILE
    try:
        found: Evaluation = _built(Evaluation, json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{file} cannot be read.",
            got=f"{type(error).__name__}: {error}",
            expected="the numbers of an evaluation of this run",
            advice=f"info-nce evaluate {folder}",
        ) from error
    return found


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _built(kind: Any, value: Any) -> Any:
    if isinstance(kind, type) and is_dataclass(kind):
        return kind(**{name: _built(hint, value[name]) for name, hint in get_type_hints(kind).items()})
    if get_origin(kind) is tuple:
        return tuple(_built(get_args(kind)[0], item) for item in value)
    return math.nan if kind is float and value is None else value
