"""Who is who: which cells of a score matrix are positives, and which are left out."""

# N queries, M keys, V views

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from info_nce.checks import check_choice

__all__ = [
    "AllOf",
    "AnyOf",
    "Cells",
    "Everywhere",
    "Listed",
    "Nowhere",
    "Partner",
    "SameTag",
    "Transposed",
    "Without",
    "labelled",
    "pairs",
    "views",
]

SameId = Literal["out", "positive"]


class Cells(ABC):
    """A set of cells of the score matrix, known without storing a matrix.

    Law: the mask of a part is the part of the mask, whatever the part.
    """

    @abstractmethod
    def mask(self, rows: slice, columns: slice) -> Tensor | None:
        """Which cells of this part belong to the set; None says: none of them."""

    @property
    def T(self) -> "Cells":  # noqa: N802 - as in torch
        """The same set with queries and keys exchanged."""
        return Transposed(self)

    def __and__(self, other: "Cells") -> "Cells":
        return AllOf(self, other)

    def __or__(self, other: "Cells") -> "Cells":
        return AnyOf(self, other)


@dataclass(frozen=True)
class Nowhere(Cells):
    """No cell."""

    def mask(self, rows: slice, columns: slice) -> None:
        """Say that none belongs."""


@dataclass(frozen=True, eq=False)
class Everywhere(Cells):
    """Every cell, as in a private list that holds nothing but positives."""

    device: torch.device

    def mask(self, rows: slice, columns: slice) -> Tensor:
        """Say that all belong."""
        return torch.ones((), dtype=torch.bool, device=self.device).expand(
            rows.stop - rows.start, columns.stop - columns.start
        )


@dataclass(frozen=True, eq=False)
class Partner(Cells):
    """One cell in each row: `column[i]` is the key that row i belongs with."""

    column: Tensor

    def mask(self, rows: slice, columns: slice) -> Tensor:
        """Mark the partner where it lies within these columns."""
        here = torch.arange(columns.start, columns.stop, device=self.column.device)
        return self.column[rows, None] == here


@dataclass(frozen=True, eq=False)
class SameTag(Cells):
    """The cells whose query and key carry equal tags."""

    query: Tensor
    key: Tensor

    def mask(self, rows: slice, columns: slice) -> Tensor:
        """Compare the tags."""
        return self.query[rows, None] == self.key[columns]


@dataclass(frozen=True, eq=False)
class Listed(Cells):
    """Cells marked one by one, for lists of candidates that are private to a query (N, H)."""

    marked: Tensor

    def mask(self, rows: slice, columns: slice) -> Tensor:
        """Cut out the part."""
        return self.marked[rows, columns]


@dataclass(frozen=True, eq=False)
class AnyOf(Cells):
    """The union of two sets."""

    one: Cells
    other: Cells

    def mask(self, rows: slice, columns: slice) -> Tensor | None:
        """Join the masks."""
        one, other = self.one.mask(rows, columns), self.other.mask(rows, columns)
        return other if one is None else one if other is None else one | other


@dataclass(frozen=True, eq=False)
class AllOf(Cells):
    """The intersection of two sets."""

    one: Cells
    other: Cells

    def mask(self, rows: slice, columns: slice) -> Tensor | None:
        """Intersect the masks."""
        one, other = self.one.mask(rows, columns), self.other.mask(rows, columns)
        return None if one is None or other is None else one & other


@dataclass(frozen=True, eq=False)
class Without(Cells):
    """The first set without the second."""

    one: Cells
    other: Cells

    def mask(self, rows: slice, columns: slice) -> Tensor | None:
        """Subtract the second mask."""
        one, other = self.one.mask(rows, columns), self.other.mask(rows, columns)
        return one if one is None or other is None else one & ~other


@dataclass(frozen=True, eq=False)
class Transposed(Cells):
    """A set with queries and keys exchanged."""

    cells: Cells

    def mask(self, rows: slice, columns: slice) -> Tensor | None:
        """Transpose the mask of the mirrored part."""
        mask = self.cells.mask(columns, rows)
        return None if mask is None else mask.mT

    @property
    def T(self) -> Cells:  # noqa: N802 - as in torch
        """The set itself."""
        return self.cells


def pairs(count: int, ids: Tensor | None, same_id: SameId, device: torch.device) -> tuple[Cells, Cells]:
    """Row i belongs with key i. Equal ids mean the same thing: left out, or a further positive; never a negative.

    Returns:
        the positives, and the cells that are left out.
    """
    check_choice("same_id", same_id, ("out", "positive"))
    own: Cells = Partner(torch.arange(count, device=device))
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
    rows = torch.arange(count * items, device=device)
    self_ = Partner(rows)
    item = rows % items
    kin: Cells = Partner((rows + items) % (2 * items)) if count == 2 else Without(SameTag(item, item), self_)
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
    self_ = Partner(torch.arange(len(labels), device=labels.device))
    return Without(SameTag(labels, labels), self_), self_
