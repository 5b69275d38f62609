"""One figure of a file of results: finding it, and what it is of."""

from collections.abc import Mapping
from typing import Any

from benchmarks.goals import Figure, Term, figure_of
from benchmarks.problems import Problem

__all__ = ["Row", "compared", "entry_of", "measured", "problem_of", "shape_of", "size_of"]

Row = Mapping[str, Any]


def entry_of(case: Row, system: str, what: str, loss: str, rows: int | None = None) -> Row:
    """The figure of a case; an empty one if it has none."""
    found = (
        e
        for e in case["entries"].values()
        if (e["system"], e["what"], e["loss"]) == (system, what, loss) and rows in (None, e["rows"])
    )
    return next(found, {})


def measured(entry: Row) -> bool:
    """Whether it is a figure, and not the reason why there is none."""
    return bool(entry) and "reason" not in entry


def problem_of(entry: Row) -> Problem:
    """What was computed."""
    return Problem(entry["loss"], entry["rows"], entry["width"], entry["temperature"], entry["dtype"])


def shape_of(entry: Row) -> str:
    """What was computed, in a few words."""
    precise = f", {entry['dtype']}, T = {entry['temperature']:g}" if entry["what"] == "precision" else ""
    return f"{problem_of(entry).shape}{precise}"


def size_of(entry: Row) -> tuple[int, int]:
    """For sorting."""
    return entry["rows"], entry["width"]


def compared(case: Row, of: Row, per: Row) -> Figure | None:
    """How many times one figure is another one of its case."""
    if not measured(of) or not measured(per):
        return None
    keys = {id(value): key for key, value in case["entries"].items()}
    return figure_of(case["entries"], Term(keys[id(of)]), Term(keys[id(per)]))
