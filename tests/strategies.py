"""What the laws are tried on: sizes with 1 and the primes, tags that repeat or not, roles that nobody plays, -inf."""

# N queries, M keys, D features

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor

from info_nce.pairing import Cells, Nowhere, SameTag, Without
from info_nce.scores import COLUMNS, ROWS, Marks, ScoreMatrix, Suspects, Tile

__all__ = [
    "Problem",
    "cut",
    "cuts",
    "dims",
    "law",
    "lists",
    "marks",
    "masks",
    "normal",
    "problems",
    "seeds",
    "sizes",
    "some_sizes",
    "temperatures",
    "tile_sizes",
    "tiles",
]

law = settings(max_examples=12, deadline=None, derandomize=True, database=None)
"""Few examples, the same ones each time: a law fails for everybody or for nobody."""

seeds = st.integers(0, 2**31 - 1)
sizes = st.sampled_from([1, 2, 3, 5, 7, 11, 4, 6])
some_sizes = st.sampled_from([2, 3, 5, 7, 4, 6])
dims = st.sampled_from([ROWS, COLUMNS])
temperatures = st.sampled_from([0.05, 0.1, 0.5, 1.0, 3.0])
tile_sizes = st.one_of(st.none(), st.sampled_from([1, 2, 3, 5, 7, 13]))


def normal(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Normal numbers, in float64: a law is about the formula, not about rounding."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def chance(*shape: int, seed: int, probability: float) -> Tensor:
    """True with this probability."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < probability


@st.composite
def cuts(draw: st.DrawFn, length: int) -> list[slice]:
    """Any way to cut 0 ... length into parts, in any order."""
    inner = draw(st.sets(st.integers(1, length - 1), max_size=4)) if length > 1 else set()
    edges = [0, *sorted(inner), length]
    return draw(st.permutations([slice(a, b) for a, b in pairwise(edges)]))


# ---- tiles, for the laws of statistics


@st.composite
def masks(draw: st.DrawFn, rows: int, columns: int) -> Tensor | None:
    """Some cells; none of them, said by None or cell by cell; all of them; or whole rows of them."""
    kind = draw(st.sampled_from(["some", "None", "nowhere", "everywhere", "rows"]))
    some = chance(rows, columns, seed=draw(seeds), probability=0.4)
    made: dict[str, Tensor | None] = {
        "some": some,
        "None": None,
        "nowhere": torch.zeros_like(some),
        "everywhere": torch.ones_like(some),
        "rows": some[:, :1].expand(rows, columns),
    }
    return made[kind]


@st.composite
def tiles(draw: st.DrawFn) -> Tile:
    """A tile with logits of which some may be -inf, cells left out by direction, but never a positive, and marks."""
    n, m = draw(sizes), draw(sizes)
    logits = 10 * normal(n, m, seed=draw(seeds))
    if draw(st.booleans()):
        logits = logits.masked_fill(chance(n, m, seed=draw(seeds), probability=0.3), float("-inf"))
    positive = draw(masks(n, m))
    outs = [draw(masks(n, m)) for _ in (COLUMNS, ROWS)]
    kept = [out if out is None or positive is None else out & ~positive for out in outs]
    return Tile(logits, positive, (kept[COLUMNS], kept[ROWS]), marks(n, m, seed=draw(seeds)))


def marks(rows: int, columns: int, seed: int) -> Marks:
    """Marks in the middle of the logits, with a slack that some of these lie within."""
    row, column = (2 * normal(size, seed=seed + place) for place, size in enumerate((rows, columns)))
    return Marks(row, column, *slack(row, column))


def slack(row: Tensor, column: Tensor) -> tuple[Tensor, Tensor]:
    """About 0.5 in every cell, another one in each, and the same wherever its lines are."""
    return 0.7 + 0.1 * row.tanh(), 0.7 + 0.1 * column.tanh()


def cut(tile: Tile, rows: slice, columns: slice) -> Tile:
    """A part of a tile."""
    positive = None if tile.positive is None else tile.positive[rows, columns]
    columns_out, rows_out = (None if out is None else out[rows, columns] for out in tile.out)
    marks = tile._marks and tile._marks.of(rows, columns)
    return Tile(tile.logits[rows, columns], positive, (columns_out, rows_out), marks)


# ---- score matrices, for the laws of engines


@dataclass(frozen=True)
class Problem:
    """Queries against shared keys, as plain tensors: so it can be reordered, cut and turned without the package.

    Cells with equal `positive` tags are positives; those with equal `out` tags, or above a limit, are left out.
    """

    query: Tensor
    key: Tensor
    positive: tuple[Tensor, Tensor]
    out: tuple[Tensor, Tensor] | None = None
    offset: Tensor | None = None
    limits: tuple[Tensor, Tensor] | None = None
    guide: tuple[Tensor, Tensor] | None = None
    marks: tuple[Tensor, Tensor] | None = None

    @property
    def leaves(self) -> list[Tensor]:
        """The tensors that have a gradient."""
        return [self.query, self.key] + ([] if self.offset is None else [self.offset])

    def matrix(self) -> ScoreMatrix:
        """What the package makes of it."""
        positives: Cells = SameTag(*self.positive)
        out = Nowhere() if self.out is None else Without(SameTag(*self.out), positives)
        suspects = None
        if self.limits is not None:
            guide = None if self.guide is None else ScoreMatrix(*self.guide, positives=Nowhere(), out=Nowhere())
            suspects = Suspects(*self.limits, guide)
        marks = None if self.marks is None else Marks(*self.marks, *slack(*self.marks))
        return ScoreMatrix(
            self.query, self.key, positives=positives, out=out, offset=self.offset, suspects=suspects, marks=marks
        )

    def taken(self, rows: Tensor | None = None, columns: Tensor | None = None) -> "Problem":
        """These queries and these keys, in this order."""
        at = [slice(None) if rows is None else rows, slice(None) if columns is None else columns]

        def both(pair: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor] | None:
            return None if pair is None else (pair[0][at[0]], pair[1][at[1]])

        return replace(
            self,
            query=self.query[at[0]],
            key=self.key[at[1]],
            positive=(self.positive[0][at[0]], self.positive[1][at[1]]),
            out=both(self.out),
            offset=None if self.offset is None else self.offset[at[1]],
            limits=both(self.limits),
            guide=both(self.guide),
            marks=both(self.marks),
        )

    def turned(self) -> "Problem":
        """Keys as queries. An offset belongs to a key and has no place there."""

        def exchanged(pair: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor] | None:
            return None if pair is None else (pair[1], pair[0])

        return Problem(
            self.key,
            self.query,
            (self.positive[1], self.positive[0]),
            exchanged(self.out),
            limits=exchanged(self.limits),
            guide=exchanged(self.guide),
            marks=exchanged(self.marks),
        )


@st.composite
def problems(draw: st.DrawFn, *, offset: bool | None = None) -> Problem:
    """With and without positives, cells left out, offsets, suspects, a guide's suspects."""
    n, m, d, seed = draw(sizes), draw(sizes), draw(sizes), draw(seeds)

    def tags(classes: int, shift: int) -> tuple[Tensor, Tensor]:
        made = torch.randint(classes, (n + m,), generator=torch.Generator().manual_seed(seed + shift))
        return made[:n], made[n:]

    with_limits = draw(st.booleans())
    return Problem(
        (2 * normal(n, d, seed=seed + 1)).requires_grad_(),
        normal(m, d, seed=seed + 2).requires_grad_(),
        tags(draw(st.sampled_from([1, 3, 1000])), 3),
        tags(3, 4) if draw(st.booleans()) else None,
        normal(m, seed=seed + 5).requires_grad_() if (draw(st.booleans()) if offset is None else offset) else None,
        (normal(n, seed=seed + 6) + 0.5, normal(m, seed=seed + 7) + 0.5) if with_limits else None,
        (normal(n, 3, seed=seed + 8), normal(m, 3, seed=seed + 9)) if with_limits and draw(st.booleans()) else None,
        (normal(n, seed=seed + 10), normal(m, seed=seed + 11)),
    )


@st.composite
def lists(draw: st.DrawFn) -> tuple[ScoreMatrix, Sequence[Tensor]]:
    """Candidates that are not shared: a list for each run of queries, or rows looked up in a table (often twice).

    Returns:
        the matrix, and the tensors that have a gradient.
    """
    groups, per_group, h, d, seed = draw(sizes), draw(st.integers(1, 3)), draw(sizes), draw(sizes), draw(seeds)
    n = groups * per_group
    query = normal(n, d, seed=seed).requires_grad_()
    offset = normal(n, h, seed=seed + 1).requires_grad_()
    tag = torch.randint(3, (n + h,), generator=torch.Generator().manual_seed(seed + 2))
    positives = SameTag(tag[:n], tag[n:])
    compared = replace(marks(n, h, seed + 5), column=None, column_slack=0.7 + 0.1 * normal(n, h, seed=seed + 6).tanh())
    if draw(st.booleans()):
        key = normal(groups, h, d, seed=seed + 3).requires_grad_()
        matrix = ScoreMatrix(query, key, positives=positives, out=Nowhere(), offset=offset, marks=compared)
        return matrix, [query, key, offset]
    table = normal(draw(sizes), d, seed=seed + 3).requires_grad_()
    lookup = torch.randint(len(table), (n, h), generator=torch.Generator().manual_seed(seed + 4))
    matrix = ScoreMatrix(query, table, positives=positives, out=Nowhere(), offset=offset, lookup=lookup, marks=compared)
    return matrix, [query, table, offset]
