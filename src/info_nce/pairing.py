"""Who is who: which cells of a score matrix are positives, and which are left out."""

# N queries, M keys, V views

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from info_nce.checks import ArgumentError, check_choice, fail
from info_nce.coded import Coded

__all__ = [
    "AllOf",
    "AnyOf",
    "Cells",
    "Everywhere",
    "Listed",
    "Nowhere",
    "Partner",
    "SameItem",
    "SameTag",
    "Shifted",
    "Transposed",
    "Without",
    "labelled",
    "pairs",
    "views",
]

SameId = Literal["out", "positive"]
Run = tuple[slice, slice] | tuple[Tensor, Tensor]
"""Cells by their rows and columns: a piece of a diagonal, or one by one."""
_FEW = 64
"""Up to one cell in this many, touching the cells one by one is cheaper than comparing all of them."""


class Cells(Coded, ABC):
    """A set of cells of the score matrix, known without storing a matrix.

    Law: the mask of a part is the part of the mask, whatever the part; all other methods agree with the mask.
    """

    @abstractmethod
    def mask(self, rows: slice, columns: slice) -> Tensor | None:
        """Which cells of this part belong to the set; None says: none of them."""

    @abstractmethod
    def contains(self, row: Tensor, column: Tensor) -> Tensor:
        """Whether the cells at these places belong, one by one."""

    def listed(self, rows: slice, columns: slice) -> tuple[Tensor, Tensor] | None:  # noqa: ARG002 - for those that can
        """The places within this part, where the cells are few; None says: ask for the mask."""
        return None

    def fill(self, tile: Tensor, rows: slice, columns: slice, value: float) -> None:
        """Set the cells of the set in this part of a matrix to a value, in place."""
        places = self.listed(rows, columns)
        if places is not None:
            tile[places] = value
            return
        mask = self.mask(rows, columns)
        if mask is not None:
            tile.masked_fill_(mask, value)

    def sums(self, values: Tensor) -> Tensor | None:  # noqa: ARG002 - for those that can
        """The sum of the values (M, D) of each row's cells, (N, D), without a sweep; None where that is not possible.

        A sum of inner products is an inner product with such a sum.
        """
        return None

    @property
    def symmetric(self) -> bool:
        """Whether (i, j) surely belongs where (j, i) does."""
        return False

    @property
    def T(self) -> "Cells":  # noqa: N802 - as in torch
        """The same set with queries and keys exchanged."""
        return Transposed(self)

    @property
    def tags(self) -> tuple[Tensor, ...]:
        """What is known of each key (M) wherever the keys are, as in another batch's matrix."""
        return ()

    def elsewhere(self, tags: Iterator[Tensor]) -> "Cells":  # noqa: ARG002 - for those that have some
        """The set among the same queries and other keys, which have these tags: a place means nothing there."""
        return fail(
            ArgumentError,
            f"{type(self).__name__} says nothing of keys of other ranks.",
            got=f"cells of type {type(self).__name__} in a matrix that is shared by ranks",
            expected="cells with the methods `tags` and `elsewhere`",
            hint="SameTag(tags of the queries, tags of the keys), or an engine of one process",
        )

    def __and__(self, other: "Cells") -> "Cells":
        return AllOf(self, other)

    def __or__(self, other: "Cells") -> "Cells":
        if isinstance(self, Nowhere):
            return other
        return self if isinstance(other, Nowhere) else AnyOf(self, other)


@dataclass(frozen=True)
class Nowhere(Cells):
    """No cell."""

    def mask(self, rows: slice, columns: slice) -> None:
        """Say that none belongs."""

    def contains(self, row: Tensor, column: Tensor) -> Tensor:
        """Say that none belongs."""
        return torch.zeros_like(row * column, dtype=torch.bool)

    symmetric = True

    @property
    def T(self) -> Cells:  # noqa: N802 - as in torch
        """Nowhere either."""
        return self

    def elsewhere(self, tags: Iterator[Tensor]) -> Cells:  # noqa: ARG002 - it asks for none
        """Nowhere either."""
        return self


@dataclass(frozen=True, eq=False)
class Everywhere(Cells):
    """Every cell, as in a private list that holds nothing but positives."""

    device: torch.device

    def mask(self, rows: slice, columns: slice) -> Tensor:
        """Say that all belong."""
        return torch.ones((), dtype=torch.bool, device=self.device).expand(
            rows.stop - rows.start, columns.stop - columns.start
        )

    def contains(self, row: Tensor, column: Tensor) -> Tensor:
        """Say that all belong."""
        return torch.ones_like(row * column, dtype=torch.bool)

    def elsewhere(self, tags: Iterator[Tensor]) -> Cells:  # noqa: ARG002 - it asks for none
        """Everywhere, too."""
        return self


@dataclass(frozen=True, eq=False)
class Partner(Cells):
    """One cell in each row: `column[i]` is the key that row i belongs with."""

    column: Tensor

    def mask(self, rows: slice, columns: slice) -> Tensor:
        """Mark the partner where it lies within these columns."""
        here = torch.arange(columns.start, columns.stop, device=self.column.device)
        return self.column[rows, None] == here

    def contains(self, row: Tensor, column: Tensor) -> Tensor:
        """Compare with the partner."""
        return self.column[row] == column

    def listed(self, rows: slice, columns: slice) -> tuple[Tensor, Tensor]:
        """The partners that lie within these columns."""
        column = self.column[rows] - columns.start
        row = ((column >= 0) & (column < columns.stop - columns.start)).nonzero()[:, 0]
        return row, column[row]

    def runs(self, rows: slice, columns: slice) -> list[Run]:
        """The partners that lie within these columns, by their places in the matrix."""
        row, column = self.listed(rows, columns)
        return [(row + rows.start, column + columns.start)]

    def of(self, values: Tensor) -> Tensor:
        """The value (M, ...) of each row's partner, (N, ...)."""
        return values.index_select(0, self.column)

    def read(self, matrix: Tensor, dim: int) -> Tensor | None:
        """The partner's cell of each row (dim 1) of a whole matrix; of each column (dim 0) where that is one, too."""
        return matrix.gather(1, self.column[:, None])[:, 0] if dim == 1 else None

    def sums(self, values: Tensor) -> Tensor:
        """The partner's value."""
        return self.of(values)

    def elsewhere(self, tags: Iterator[Tensor]) -> Cells:  # noqa: ARG002 - it asks for none
        """Nowhere: the partner is here."""
        return Nowhere()


@dataclass(frozen=True, eq=False)
class Shifted(Partner):
    """Row i belongs with key i + by, counted around the end: the diagonal, or the other view."""

    column: Tensor = field(init=False, repr=False)
    count: int
    by: int
    device: torch.device

    def __post_init__(self) -> None:
        """Say it one by one, too."""
        every = torch.arange(self.count, device=self.device)
        object.__setattr__(self, "column", (every + self.by) % self.count if self.by else every)

    def fill(self, tile: Tensor, rows: slice, columns: slice, value: float) -> None:
        """Set two diagonals of the matrix, without looking for anything."""
        height, width = tile.shape
        for by in {self.by, self.by - self.count}:
            offset = rows.start + by - columns.start
            if -height < offset < width:
                tile.diagonal(offset).fill_(value)

    def runs(self, rows: slice, columns: slice) -> list[Run]:
        """Pieces of two diagonals."""
        found: list[Run] = []
        for by in sorted({self.by, self.by - self.count}):
            first, last = max(rows.start, columns.start - by), min(rows.stop, columns.stop - by)
            if first < last:
                found.append((slice(first, last), slice(first + by, last + by)))
        return found

    def read(self, matrix: Tensor, dim: int) -> Tensor:
        """The diagonal, or the cell of each line."""
        if not self.by:
            return matrix.diagonal()
        if dim == 1:
            return matrix.gather(1, self.column[:, None])[:, 0]
        return matrix.gather(0, ((self.column - 2 * self.by) % self.count)[None])[0]

    def of(self, values: Tensor) -> Tensor:
        """The values, moved up by so many rows."""
        return values.roll(-self.by, 0) if self.by else values

    @property
    def symmetric(self) -> bool:
        """Only where twice the step leads back."""
        return not self.by or 2 * self.by % self.count == 0

    @property
    def T(self) -> Cells:  # noqa: N802 - as in torch
        """Moved the other way."""
        return Shifted(self.count, self.by and self.count - self.by, self.device)


@dataclass(frozen=True, eq=False)
class SameTag(Cells):
    """The cells whose query and key carry equal tags."""

    query: Tensor
    key: Tensor

    def mask(self, rows: slice, columns: slice) -> Tensor:
        """Compare the tags."""
        return self.query[rows, None] == self.key[columns]

    def contains(self, row: Tensor, column: Tensor) -> Tensor:
        """Compare the tags."""
        return self.query[row] == self.key[column]

    @cached_property
    def _runs(self) -> tuple[Tensor, Tensor, Tensor]:
        """Keys in the order of their tags, and where in it each query's begin and how many they are."""
        tags, order = self.key.sort(stable=True)
        query = self.query.contiguous()
        first = torch.searchsorted(tags, query)
        return order, first, torch.searchsorted(tags, query, right=True) - first

    @cached_property
    def _few(self) -> bool:
        return int(self._runs[2].sum()) * _FEW <= len(self.query) * len(self.key)

    def listed(self, rows: slice, columns: slice) -> tuple[Tensor, Tensor] | None:
        """Look the equal tags up in the sorted keys."""
        if not self._few:
            return None
        order, first, count = self._runs[0], self._runs[1][rows], self._runs[2][rows]
        row = torch.arange(len(count), device=count.device).repeat_interleave(count)
        step = torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[row]
        column = order[first[row] + step] - columns.start
        inside = (column >= 0) & (column < columns.stop - columns.start)
        return row[inside], column[inside]

    def sums(self, values: Tensor) -> Tensor:
        """Sum over each tag once, and look up each query's."""
        tags, group = torch.unique(self.key, return_inverse=True)
        total = torch.zeros(len(tags) + 1, values.shape[1], dtype=values.dtype, device=values.device)
        total = total.index_add(0, group, values)  # the last line stays 0, for tags that no key carries
        place = torch.searchsorted(tags, self.query.contiguous())
        known = tags[place.clamp(max=len(tags) - 1)] == self.query
        return total[torch.where(known, place, len(tags))]

    @property
    def symmetric(self) -> bool:
        """Where queries and keys carry the same tags."""
        return self.query is self.key

    @property
    def T(self) -> Cells:  # noqa: N802 - as in torch
        """Compared the other way."""
        return type(self)(self.key, self.query)

    @property
    def tags(self) -> tuple[Tensor, ...]:
        """The keys' tags."""
        return (self.key,)

    def elsewhere(self, tags: Iterator[Tensor]) -> Cells:
        """Compared with other keys' tags."""
        return SameTag(self.query, next(tags))


@dataclass(frozen=True, eq=False)
class SameItem(SameTag):
    """The same, where the tags number the items of this batch: no other batch's key has any of them."""

    @property
    def tags(self) -> tuple[Tensor, ...]:
        """None that would mean anything elsewhere."""
        return ()

    def elsewhere(self, tags: Iterator[Tensor]) -> Cells:  # noqa: ARG002 - there are none
        """Nothing."""
        return Nowhere()


@dataclass(frozen=True, eq=False)
class Listed(Cells):
    """Cells marked one by one, for lists of candidates that are private to a query (N, H)."""

    marked: Tensor

    def mask(self, rows: slice, columns: slice) -> Tensor:
        """Cut out the part."""
        return self.marked[rows, columns]

    def contains(self, row: Tensor, column: Tensor) -> Tensor:
        """Look it up."""
        return self.marked[row, column]


@dataclass(frozen=True, eq=False)
class AnyOf(Cells):
    """The union of two sets."""

    one: Cells
    other: Cells

    def mask(self, rows: slice, columns: slice) -> Tensor | None:
        """Join the masks."""
        one, other = self.one.mask(rows, columns), self.other.mask(rows, columns)
        return other if one is None else one if other is None else one | other

    def contains(self, row: Tensor, column: Tensor) -> Tensor:
        """Ask both."""
        return self.one.contains(row, column) | self.other.contains(row, column)

    def fill(self, tile: Tensor, rows: slice, columns: slice, value: float) -> None:
        """Fill one after the other."""
        self.one.fill(tile, rows, columns, value)
        self.other.fill(tile, rows, columns, value)

    def sums(self, values: Tensor) -> Tensor | None:
        """Add both, less what both have."""
        one, other, both = self.one.sums(values), self.other.sums(values), (self.one & self.other).sums(values)
        return None if one is None or other is None or both is None else one + other - both

    @property
    def symmetric(self) -> bool:
        """Where both sets are."""
        return self.one.symmetric and self.other.symmetric

    @property
    def T(self) -> Cells:  # noqa: N802 - as in torch
        """The union of the exchanged sets."""
        return AnyOf(self.one.T, self.other.T)

    @property
    def tags(self) -> tuple[Tensor, ...]:
        """Those of both sets."""
        return self.one.tags + self.other.tags

    def elsewhere(self, tags: Iterator[Tensor]) -> Cells:
        """The union there."""
        one, other = self.one.elsewhere(tags), self.other.elsewhere(tags)
        return one | other


@dataclass(frozen=True, eq=False)
class AllOf(Cells):
    """The intersection of two sets."""

    one: Cells
    other: Cells

    def mask(self, rows: slice, columns: slice) -> Tensor | None:
        """Intersect the masks."""
        one, other = self.one.mask(rows, columns), self.other.mask(rows, columns)
        return None if one is None or other is None else one & other

    def contains(self, row: Tensor, column: Tensor) -> Tensor:
        """Ask both."""
        return self.one.contains(row, column) & self.other.contains(row, column)

    def listed(self, rows: slice, columns: slice) -> tuple[Tensor, Tensor] | None:
        """Those of the first that the second has."""
        return _kept(self.one.listed(rows, columns), self.other, rows, columns, inside=True)

    def sums(self, values: Tensor) -> Tensor | None:
        """The partner's value, where the other set has it."""
        one, other = (self.one, self.other) if isinstance(self.one, Partner) else (self.other, self.one)
        if not isinstance(one, Partner):
            return None
        has = other.contains(torch.arange(len(one.column), device=values.device), one.column)
        return torch.where(has[:, None], one.of(values), 0)

    @property
    def symmetric(self) -> bool:
        """Where both sets are."""
        return self.one.symmetric and self.other.symmetric

    @property
    def T(self) -> Cells:  # noqa: N802 - as in torch
        """The intersection of the exchanged sets."""
        return AllOf(self.one.T, self.other.T)

    @property
    def tags(self) -> tuple[Tensor, ...]:
        """Those of both sets."""
        return self.one.tags + self.other.tags

    def elsewhere(self, tags: Iterator[Tensor]) -> Cells:
        """The intersection there."""
        one, other = self.one.elsewhere(tags), self.other.elsewhere(tags)
        return Nowhere() if isinstance(one, Nowhere) or isinstance(other, Nowhere) else AllOf(one, other)


@dataclass(frozen=True, eq=False)
class Without(Cells):
    """The first set without the second."""

    one: Cells
    other: Cells

    def mask(self, rows: slice, columns: slice) -> Tensor | None:
        """Subtract the second mask."""
        one, other = self.one.mask(rows, columns), self.other.mask(rows, columns)
        return one if one is None or other is None else one & ~other

    def contains(self, row: Tensor, column: Tensor) -> Tensor:
        """Ask both."""
        return self.one.contains(row, column) & ~self.other.contains(row, column)

    def listed(self, rows: slice, columns: slice) -> tuple[Tensor, Tensor] | None:
        """Those of the first that the second has not."""
        return _kept(self.one.listed(rows, columns), self.other, rows, columns, inside=False)

    def sums(self, values: Tensor) -> Tensor | None:
        """The first, less what both have."""
        one, both = self.one.sums(values), (self.one & self.other).sums(values)
        return None if one is None or both is None else one - both

    @property
    def symmetric(self) -> bool:
        """Where both sets are."""
        return self.one.symmetric and self.other.symmetric

    @property
    def T(self) -> Cells:  # noqa: N802 - as in torch
        """The difference of the exchanged sets."""
        return Without(self.one.T, self.other.T)

    @property
    def tags(self) -> tuple[Tensor, ...]:
        """Those of both sets."""
        return self.one.tags + self.other.tags

    def elsewhere(self, tags: Iterator[Tensor]) -> Cells:
        """The difference there."""
        one, other = self.one.elsewhere(tags), self.other.elsewhere(tags)
        return one if isinstance(one, Nowhere) or isinstance(other, Nowhere) else Without(one, other)


def _kept(
    places: tuple[Tensor, Tensor] | None, other: Cells, rows: slice, columns: slice, *, inside: bool
) -> tuple[Tensor, Tensor] | None:
    """Of some places, those that another set has, or those that it has not."""
    if places is None:
        return None
    row, column = places
    keep = other.contains(row + rows.start, column + columns.start) == inside
    return row[keep], column[keep]


@dataclass(frozen=True, eq=False)
class Transposed(Cells):
    """A set with queries and keys exchanged."""

    cells: Cells

    def mask(self, rows: slice, columns: slice) -> Tensor | None:
        """Transpose the mask of the mirrored part."""
        mask = self.cells.mask(columns, rows)
        return None if mask is None else mask.mT

    def contains(self, row: Tensor, column: Tensor) -> Tensor:
        """Ask with the places exchanged."""
        return self.cells.contains(column, row)

    @property
    def T(self) -> Cells:  # noqa: N802 - as in torch
        """The set itself."""
        return self.cells

    def elsewhere(self, tags: Iterator[Tensor]) -> Cells:
        """Nowhere, if it is places that the set knows."""
        return Nowhere() if isinstance(self.cells, Partner) else super().elsewhere(tags)


def pairs(count: int, ids: Tensor | None, same_id: SameId, device: torch.device) -> tuple[Cells, Cells]:
    """Row i belongs with key i. Equal ids mean the same thing: left out, or a further positive; never a negative.

    Returns:
        the positives, and the cells that are left out.
    """
    check_choice("same_id", same_id, ("out", "positive"))
    own: Cells = Shifted(count, 0, device)
    if ids is None:
        return own, Nowhere()
    alike = SameTag(ids, ids)
    return (alike, Nowhere()) if same_id == "positive" else (own, Without(alike, own))


def views(count: int, items: int, ids: Tensor | None, same_id: SameId, device: torch.device) -> tuple[Cells, Cells]:
    """Row v*items + i is view v of item i: its positives are the other views of i, and it never meets itself.

    Returns:
        the positives, and the cells that are left out.
    """
    check_choice("same_id", same_id, ("out", "positive"))
    self_ = Shifted(count * items, 0, device)
    item = self_.column % items
    kin: Cells = Shifted(2 * items, items, device) if count == 2 else Without(SameItem(item, item), self_)
    if ids is None:
        return kin, self_
    tags = ids.repeat(count)
    alike = Without(SameTag(tags, tags), self_)
    return (alike, self_) if same_id == "positive" else (kin, AnyOf(self_, Without(alike, kin)))


def labelled(labels: Tensor) -> tuple[Cells, Cells]:
    """Rows with equal labels are positives of each other; no row meets itself.

    Returns:
        the positives, and the cells that are left out.
    """
    self_ = Shifted(len(labels), 0, labels.device)
    return Without(SameTag(labels, labels), self_), self_
