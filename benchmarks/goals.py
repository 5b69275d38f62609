"""What was aimed at, as data: a figure, or one over another, and its bound."""

from dataclasses import dataclass
from statistics import median
from typing import Any

__all__ = ["Figure", "Goal", "Term", "figure_of"]

Entries = dict[str, dict[str, Any]]
"""The figures of a case by their keys, as they stand in a file of results."""


@dataclass(frozen=True, slots=True)
class Term:
    """A measured number: an entry's key, and which of its fields."""

    key: str
    field: str = "seconds"


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its spread over the rounds."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound for `scale * of / per`.

    Args:
        text: what it is, for people.
        of: the numerator.
        per: the denominator, of the same case; None for 1.
        scale: a factor, for a unit.
        at_most: the figure may be as large as this, or
        at_least: as small as this.
    """

    text: str
    of: Term
    per: Term | None = None
    scale: float = 1.0
    at_most: float | None = None
    at_least: float | None = None

    def figure(self, entries: Entries) -> Figure | None:
        """The figure, if both of its terms were measured."""
        return figure_of(entries, self.of, self.per, self.scale)

    def met(self, figure: Figure) -> bool:
        """Whether the middle of the figure is within the bound."""
        return (self.at_most is None or figure.middle <= self.at_most) and (
            self.at_least is None or figure.middle >= self.at_least
        )


def figure_of(entries: Entries, of: Term, per: Term | None = None, scale: float = 1.0) -> Figure | None:
    """A number, or one over another, with its spread.

    Ratios are taken within a round, as both were measured seconds apart there; then the median over the rounds is
    taken, so that a machine that slows down for a while moves neither.
    """
    above, below = _values(entries, of), [1.0] if per is None else _values(entries, per)
    if not above or not below:
        return None
    if len(above) == len(below):
        found = [scale * a / b for a, b in zip(above, below, strict=True)]
    else:
        found = [scale * a / median(below) for a in above]
    return Figure(median(found), min(found), max(found))


def _values(entries: Entries, term: Term) -> list[float]:
    value = entries.get(term.key, {}).get(term.field)
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]
