"""What a study is: what is run, what is claimed, and when a claim counts as reproduced."""

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

from matplotlib.figure import Figure
from scipy.stats import t as student

__all__ = ["Claim", "Part", "Row", "Run", "Spread", "Study", "over_seeds", "rising"]

Row = Mapping[str, float | str]
S = TypeVar("S")

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Run:
    """What one seed found: rows of settings and measures."""

    seed: int
    seconds: float
    rows: Sequence[Row]

    def of(self, measure: str, **where: float | str) -> float:
        """The measure of the one row that fits.

        Raises:
            ValueError: no row fits, or several.
        """
        fitting = [row for row in self.rows if measure in row and all(row.get(k) == v for k, v in where.items())]
        if len(fitting) != 1:
            raise ValueError(f"{len(fitting)} rows of seed {self.seed} have {measure!r} and fit {where}.")
        return float(fitting[0][measure])


@dataclass(frozen=True, slots=True)
class Spread:
    """One measure, once per seed."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return statistics.fmean(self.values)

    @property
    def standard_error(self) -> float:
        """Of the mean; infinite for a single seed, of which nothing is known."""
        count = len(self.values)
        return statistics.stdev(self.values) / math.sqrt(count) if count > 1 else math.inf

    @property
    def margin(self) -> float:
        """Half of the width of Student's 95 % interval around the mean."""
        if len(self.values) < 2:
            return math.inf
        return float(student.ppf((1 + CONFIDENCE) / 2, len(self.values) - 1)) * self.standard_error

    def above(self, value: float = 0.0) -> bool:
        """Whether the whole interval lies above a value."""
        return self.mean - self.margin > value

    def __sub__(self, other: "Spread") -> "Spread":
        """Seed by seed, as equal seeds share parts, weights, batches and views."""
        return Spread(tuple(a - b for a, b in zip(self.values, other.values, strict=True)))

    def text(self, digits: int = 2, *, scale: float = 1.0, sign: bool = False) -> str:
        """The mean and its standard error."""
        plus = "+" if sign else ""
        mean = f"{self.mean * scale:{plus}.{digits}f}"
        return f"{mean} ± {self.standard_error * scale:.{digits}f}" if len(self.values) > 1 else mean


def over_seeds(runs: Sequence[Run], measure: str, **where: float | str) -> Spread:
    """One measure of all seeds."""
    return Spread(tuple(run.of(measure, **where) for run in runs))


def rising(values: Sequence[float]) -> bool:
    """Whether each value is above the one before it."""
    return all(a < b for a, b in pairwise(values))


@dataclass(frozen=True, slots=True)
class Part:
    """Something that a claim says, in a form that can fail."""

    says: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """What was published, and what came out here.

    Args:
        says: the claim, in our words.
        source: who published it, and where.
        found: the numbers that came out here.
        parts: what would have to hold here.
    """

    says: str
    source: str
    found: str
    parts: Sequence[Part]

    @property
    def verdict(self) -> str:
        """Reproduced if every part holds."""
        held = sum(part.holds for part in self.parts)
        if held == len(self.parts):
            return "reproduced"
        return "reproduced in part" if held else "did not reproduce at this size"


@dataclass(frozen=True, slots=True)
class Study(Generic[S]):
    """An experiment, and how its numbers are told.

    Args:
        name: by which it is run.
        title: of its part of the page.
        about: what was done, in a paragraph.
        settings: of the experiment.
        tiny: settings with which it takes a moment and says nothing.
        seeds: one run each.
        run: the experiment.
        claims: what it says about which claim.
        tables: all that it found, in Markdown.
        picture: of what it found.
        shown: the picture in words, for those who cannot see it.
    """

    name: str
    title: str
    about: str
    settings: S
    tiny: S
    seeds: tuple[int, ...]
    run: Callable[[S, int], Iterator[Row]]
    claims: Callable[[S, Sequence[Run]], list[Claim]]
    tables: Callable[[S, Sequence[Run]], list[str]]
    picture: Callable[[S, Sequence[Run]], Figure]
    shown: str
