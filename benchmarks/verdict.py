"""Which goals are met?"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.goals import Figure, Goal
from benchmarks.results import Results, goals_of
from benchmarks.rows import shape_of
from benchmarks.text import aligned, number, spread

__all__ = ["goals", "missed", "summary", "verdict"]

Judged = tuple[Mapping[str, Any], Goal, "Figure | None"]


def judged(results: Results, table: str | None = None) -> Iterator[Judged]:
    """Every goal with its figure, and the figure's numerator."""
    for case in results.cases.values():
        if table in (None, case["table"]):
            for goal in goals_of(case):
                yield {**case["entries"][goal.of.key], "table": case["table"]}, goal, goal.figure(case["entries"])


def verdict(results: Results) -> tuple[int, int]:
    """How many goals are met, of how many that were measured."""
    found = [goal.met(figure) for _, goal, figure in judged(results) if figure]
    return sum(found), len(found)


def missed(results: Results) -> list[str]:
    """Each goal that is not met, in a line."""
    return [
        f"{row['loss']} {shape_of(row)}: {goal.text} {number(figure.middle)}, goal {_bounds([(row, goal, figure)])}"
        for row, goal, figure in judged(results)
        if figure and not goal.met(figure)
    ]


def summary(results: Results) -> str:
    """One line for each kind of goal."""
    groups: dict[tuple[str, str], list[Judged]] = {}
    for row, goal, figure in judged(results):
        loss = "other objectives" if row["table"] == "others" else row["loss"]
        loss += ", small batches" if row["table"] == "small" else ""
        groups.setdefault((loss, goal.text), []).append((row, goal, figure))
    return aligned(
        ("loss", "what", "goal", "measured", "met"),
        ((loss, what, _bounds(group), _range(group), _count(group)) for (loss, what), group in groups.items()),
        left=2,
    )


def goals(results: Results, table: str) -> str:
    """Each goal of a table, folded away."""
    lines = [
        (row["loss"], shape_of(row), goal.text, spread(figure), _bounds([(row, goal, figure)]), _met(goal, figure))
        for row, goal, figure in judged(results, table)
        if figure
    ]
    if not lines:
        return ""
    body = aligned(("loss", "inputs", "what", "measured", "goal", ""), lines, left=3)
    return f"<details><summary>Each goal</summary>\n\n{body}\n\n</details>"


def _met(goal: Goal, figure: Figure) -> str:
    return "met" if goal.met(figure) else "**missed**"


def _bounds(group: Sequence[Judged]) -> str:
    bounds = sorted({bound for _, goal, _ in group if (bound := goal.at_most or goal.at_least) is not None})
    sign = "≤" if group[0][1].at_most is not None else "≥"
    return f"{sign} {number(bounds[0])}" + (f" to {number(bounds[-1])}" if len(bounds) > 1 else "")


def _range(group: Sequence[Judged]) -> str:
    middles = sorted(figure.middle for _, _, figure in group if figure)
    if not middles:
        return "not measured"
    return " to ".join(dict.fromkeys(number(middle) for middle in (middles[0], middles[-1])))


def _count(group: Sequence[Judged]) -> str:
    found = [goal.met(figure) for _, goal, figure in group if figure]
    text = f"{sum(found)} of {len(found)}"
    return text if all(found) else f"**{text}**"
