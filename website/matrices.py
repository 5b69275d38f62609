"""Pictures of who is who: the cells of a loss's score matrices, as the library itself sees them."""

# N queries, M keys

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape

import torch
from torch import Tensor

from info_nce.engines import Dense
from info_nce.engines.base import Problem
from info_nce.scores import ROWS, ScoreMatrix

__all__ = ["Recorder", "Sketch", "drawn", "roles"]

CELL, LABEL, HEAD, GAP = 22, 62, 54, 26
POSITIVE, NEGATIVE, OUT = "positive", "negative", "left out"


@dataclass(frozen=True, repr=False)
class Recorder(Dense):
    """An engine that keeps what it was asked."""

    seen: list[Problem] = field(default_factory=list)

    def loss(self, problem: Problem) -> Tensor:
        """Keep it, and compute."""
        self.seen.append(problem)
        return super().loss(problem)


@dataclass(frozen=True)
class Sketch:
    """What is drawn.

    Args:
        call: calls a loss with an engine.
        rows: what the queries are called.
        columns: what the candidates are called, for each matrix that the loss makes.
        titles: what the candidates of each matrix are.
    """

    call: Callable[[Dense], Tensor]
    rows: Sequence[str]
    columns: Sequence[Sequence[str]]
    titles: Sequence[str]


def roles(matrix: ScoreMatrix) -> list[list[str]]:
    """The role of each cell, row by row."""
    rows, columns = matrix.shape
    tile = matrix.tile(slice(0, rows), slice(0, columns))
    nowhere = torch.zeros(rows, columns, dtype=torch.bool)
    positive = nowhere if tile.positive is None else tile.positive
    out = tile.out[ROWS]
    left_out = nowhere if out is None else out
    return [
        [POSITIVE if positive[i, j] else OUT if left_out[i, j] else NEGATIVE for j in range(columns)]
        for i in range(rows)
    ]


def drawn(sketch: Sketch) -> str:
    """The matrices of a loss as a figure of HTML, with the numbers in words below.

    Raises:
        ValueError: there is not one label for each row and column.
    """
    recorder = Recorder()
    sketch.call(recorder)
    problem = recorder.seen[0]
    tables = [roles(matrix) for matrix in problem.matrices]
    if [len(table[0]) for table in tables] != [len(names) for names in sketch.columns]:
        raise ValueError(f"labels for {[len(c) for c in sketch.columns]} columns, {[len(t[0]) for t in tables]} drawn")
    if any(len(table) != len(sketch.rows) for table in tables):
        raise ValueError(f"{len(sketch.rows)} labels for {len(tables[0])} rows")
    words = _counted(tables)
    both = " Each key looks for its query, too: the same matrix, column by column." if problem.symmetric else ""
    parts, left = [], LABEL
    for table, names, title in zip(tables, sketch.columns, sketch.titles, strict=True):
        parts.append(_matrix(table, names, title, left))
        left += CELL * len(names) + GAP
    labels = "".join(
        f'<text x="{LABEL - 6}" y="{HEAD + CELL * i + 15}" text-anchor="end">{escape(name)}</text>'
        for i, name in enumerate(sketch.rows)
    )
    width, height = left - GAP + 12, HEAD + CELL * len(sketch.rows) + 6
    picture = (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{words}">'
        f"{labels}{''.join(parts)}</svg>"
    )
    return f'<figure class="matrix"><div>{picture}</div><figcaption>{_legend()} {words}{both}</figcaption></figure>'


def _matrix(table: list[list[str]], names: Sequence[str], title: str, left: int) -> str:
    cells = "".join(
        _cell(role, left + CELL * j, HEAD + CELL * i) for i, row in enumerate(table) for j, role in enumerate(row)
    )
    heads = "".join(
        f'<text x="{left + CELL * j + CELL / 2}" y="{HEAD - 8}" text-anchor="middle">{escape(name)}</text>'
        for j, name in enumerate(names)
    )
    return f'<text class="title" x="{left}" y="16">{escape(title)}</text>{heads}{cells}'


def _cell(role: str, x: float, y: float) -> str:
    """A disc for a positive, a dash for a negative, a stroke across for who is left out: told apart without colour."""
    frame = f'<rect x="{x}" y="{y}" width="{CELL}" height="{CELL}"/>'
    middle = x + CELL / 2, y + CELL / 2
    mark = {
        POSITIVE: f'<circle cx="{middle[0]}" cy="{middle[1]}" r="6"/>',
        NEGATIVE: f'<path d="M{middle[0] - 4} {middle[1]}h8"/>',
        OUT: f'<path d="M{x} {y + CELL}L{x + CELL} {y}"/>',
    }[role]
    return f'<g class="{role.replace(" ", "-")}">{frame}{mark}</g>'


def _legend() -> str:
    marks = "".join(
        f'<span><svg viewBox="-1 -1 {CELL + 2} {CELL + 2}" width="16" height="16" aria-hidden="true">'
        f"{_cell(role, 0, 0)}</svg> {role}</span>"
        for role in (POSITIVE, NEGATIVE, OUT)
    )
    return f'<span class="legend">{marks}</span>'


def _counted(tables: Sequence[list[list[str]]]) -> str:
    """How many of each a query has, over all matrices."""
    rows = [[role for table in tables for role in table[i]] for i in range(len(tables[0]))]
    said = [f"{_range([row.count(role) for row in rows])} {role}" for role in (POSITIVE, NEGATIVE, OUT)]
    return f"{len(rows)} rows; cells in a row: {', '.join(said)}."


def _range(numbers: list[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"
