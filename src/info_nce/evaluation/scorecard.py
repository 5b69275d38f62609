"""What was measured about a run, as one table of systems and measures."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from info_nce.errors import RunError
from info_nce.recipes.files import write_safely

FILE = "evaluation.json"
TRAINED, UNTRAINED, CHANCE = "trained", "untrained", "chance"

Unit = Literal["share", "rank", "correlation"]


@dataclass(frozen=True, slots=True)
class Score:
    """What one system reaches by one measure.

    Args:
        system: "trained", "untrained", "chance", or a baseline such as "char TF-IDF".
        measure: with its unit's sense, such as "R@10 picture to text" or "direction of motion, linear probe".
        value: shares from 0 to 1; ranks and correlations as they are.
        standard_error: over the test items; NaN where there is none, as for chance.
        setting: what was chosen on the validation part, in words; "" if nothing was.
        unit: what the value is: a "share" from 0 to 1, more being better; a "rank", less being better; or a
            "correlation" from -1 to 1.
    """

    system: str
    measure: str
    value: float
    standard_error: float = math.nan
    setting: str = ""
    unit: Unit = "share"


@dataclass(frozen=True, slots=True)
class Scorecard:
    """Everything that was measured about one run.

    Args:
        run: the folder's name.
        recipe: by name.
        weights: sha256 of the weights that were measured.
        counts: items by part.
        headline: the measure that the recipe is judged by.
        scores: one for each system and measure.
        verdict: what was found, in plain words; told from the headline's scores if left out.
        notes: what a reader must know to read the numbers rightly, one sentence each.
    """

    run: str
    recipe: str
    weights: str
    counts: Mapping[str, int]
    headline: str
    scores: tuple[Score, ...]
    verdict: str = ""
    notes: tuple[str, ...] = ()

    def systems(self) -> list[str]:
        """In the order in which they were measured."""
        return list(dict.fromkeys(score.system for score in self.scores))

    def measures(self) -> list[str]:
        """In the order in which they were measured."""
        return list(dict.fromkeys(score.measure for score in self.scores))

    def find(self, system: str, measure: str) -> Score | None:
        """One cell of the table; None where that was not measured."""
        return next((s for s in self.scores if (s.system, s.measure) == (system, measure)), None)

    def plain(self) -> dict[str, Any]:
        """What JSON can hold of it: all, with null for NaN; `scorecard_from` makes it whole again."""
        plain = asdict(self)
        for score in plain["scores"]:
            for name in ("value", "standard_error"):
                score[name] = score[name] if math.isfinite(score[name]) else None
        return plain

    def save(self, folder: Path) -> Path:
        """Write evaluation.json, whole or not at all; NaN becomes null.

        Raises:
            RunError: the disk is full or cannot be written to.
        """
        text = json.dumps(self.plain(), indent=1, ensure_ascii=False, allow_nan=False)
        write_safely(folder / FILE, f"{text}\n".encode())
        return folder / FILE


def load_scorecard(folder: Path) -> Scorecard:
    """Read evaluation.json of a run folder.

    Raises:
        RunError: it is not there, or it is not what `Scorecard.save` writes.
    """
    file = folder / FILE
    try:
        return scorecard_from(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{file} cannot be read.",
            got=f"{type(error).__name__}: {error}",
            expected="the numbers of an evaluation of this run",
            advice=f"info-nce evaluate {folder}",
        ) from error


def scorecard_from(plain: Mapping[str, Any]) -> Scorecard:
    """Make a scorecard of what `Scorecard.plain` gave."""
    scores = tuple(_score(score) for score in plain["scores"])
    return Scorecard(**{**plain, "scores": scores, "notes": tuple(plain["notes"])})


def _score(found: dict[str, Any]) -> Score:
    numbers: dict[str, Any] = {name: math.nan if value is None else value for name, value in found.items()}
    return Score(**numbers)
