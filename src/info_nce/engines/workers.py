"""What a part's cells are turned into: totals, and then the gradient of the logits."""

from collections.abc import Collection, Mapping, Sequence
from functools import reduce
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from info_nce.engines.base import Statistics, Totals
from info_nce.engines.blocks import Spot, blocks
from info_nce.engines.exponentials import BURIED, Binary, Exponentials, Force, Term, without_faint
from info_nce.pairing import Run
from info_nce.scores import COLUMNS, ROWS, Role, ScoreMatrix, Tile
from info_nce.statistics import Statistic

__all__ = ["Alone", "ByDefinition", "Chances", "Excluded", "InPlace", "Shared", "Worker"]


@runtime_checkable
class Worker(Protocol):
    """Some statistics of a part, along some directions.

    `moves`: whether a gradient comes from any of them.
    """

    way: Sequence[int]
    moves: bool

    def totals(self) -> Sequence[Totals]:
        """Of each line, by direction."""

    def force(self, totals: Sequence[Totals], slopes: Sequence[Totals]) -> Force:
        """The gradient of the logits, from the totals of whole lines and what the loss changes by with them."""


class Excluded:
    """The cells of a part that do not play a role."""

    def __init__(self, matrix: ScoreMatrix, spot: Spot, similarity: Tensor, role: Role, dim: int) -> None:
        self.matrix, self.spot, self.role = matrix, spot, role
        self.suspects: list[tuple[slice, Tensor]] = []
        if matrix.suspects is not None and role != "positives":
            # now, for the similarity is about to be overwritten
            self.suspects = [(block, self._over(similarity, block, dim)) for block in blocks(similarity)]

    def _over(self, similarity: Tensor, block: slice, dim: int) -> Tensor:
        """1 for a suspect, 0 for all others, in a few rows."""
        matrix, rows, columns = self.matrix, self.spot.rows, self.spot.columns
        some = slice(rows.start + block.start, rows.start + block.stop)
        if matrix.suspects is None:
            raise NotImplementedError  # asked of suspects only
        over = matrix.suspects.weights(similarity[block], some, columns, dim)
        matrix.positives.fill(over, some, columns, 0.0)
        return over

    def bury(self, logits: Tensor) -> None:
        """Make their logits so low that no maximum is theirs."""
        for block, over in self.suspects:
            logits[block].add_(over, alpha=BURIED)
        self._fill(logits, float("-inf"))

    def erase(self, exponentials: Tensor) -> None:
        """Set their exponentials to 0."""
        for block, over in self.suspects:
            exponentials[block].addcmul_(over, exponentials[block], value=-1)
        self._fill(exponentials, 0.0)

    def _fill(self, cells: Tensor, value: float) -> None:
        matrix, rows, columns = self.matrix, self.spot.rows, self.spot.columns
        if self.role == "positives":
            mask = matrix.positives.mask(rows, columns)
            cells.masked_fill_(torch.ones_like(cells, dtype=torch.bool) if mask is None else ~mask, value)
            return
        matrix.out.fill(cells, rows, columns, value)
        if self.role == "negatives":
            matrix.positives.fill(cells, rows, columns, value)


class Shared:
    """Log-sum-exps over the same cells, from one exponential."""

    moves = True

    def __init__(self, exponentials: Exponentials, powers: Mapping[str, float], way: Sequence[int]) -> None:
        self.exponentials, self.powers, self.way = exponentials, powers, way

    def totals(self) -> Sequence[Totals]:
        """Of each line, by direction."""
        return self.exponentials.totals(self.way, self.powers)

    def force(self, totals: Sequence[Totals], slopes: Sequence[Totals]) -> Force:
        """A weighted sum of softmaxes."""
        return self.exponentials.force(
            [
                Term(dim, power, total[name], slope[name])
                for dim, total, slope in zip(self.way, totals, slopes, strict=True)
                for name, power in self.powers.items()
            ]
        )


class Chances:
    """What a binary classifier pays for each cell, and its gradient, from one exponential."""

    moves = True

    def __init__(self, binary: Binary, names: Collection[str], way: Sequence[int]) -> None:
        self.binary, self.names, self.way = binary, names, way

    def totals(self) -> Sequence[Totals]:
        """Of each line, by direction."""
        # a tensor for each name: the lone positives of one are merged into it in place
        return [{name: total.clone() for name in self.names} for total in self.binary.totals(self.way)]

    def force(self, totals: Sequence[Totals], slopes: Sequence[Totals]) -> Force:  # noqa: ARG002 - the totals do not matter
        """The probability of the wrong answer."""
        return self.binary.force(
            {
                dim: torch.stack([slope[name] for name in self.names]).sum(0)
                for dim, slope in zip(self.way, slopes, strict=True)
            }
        )


class InPlace:
    """Statistics to which a logit of -inf adds nothing, a few rows at a time and in the memory of the logits.

    They run over all candidates: those that do not play a role are excluded.
    """

    def __init__(self, cells: Tensor, excluded: Excluded, statistics: Statistics, way: Sequence[int]) -> None:
        excluded.bury(cells)
        if excluded.suspects:
            torch.threshold_(cells, BURIED / 2, float("-inf"))
        self.marks = excluded.matrix.marks_of(excluded.spot.rows, excluded.spot.columns)
        self.cells, self.statistics, self.way = cells, statistics, way
        self.moves = any(statistic.differentiable for statistic in statistics.values())

    def totals(self) -> Sequence[Totals]:
        """Of each line, by direction."""
        return [{name: self._total(statistic, dim) for name, statistic in self.statistics.items()} for dim in self.way]

    def _total(self, statistic: Statistic, dim: int) -> Tensor:
        parts = [statistic.of(self._tile(block), dim) for block in blocks(self.cells)]
        return torch.cat(parts) if dim == ROWS else reduce(statistic.merge, parts)

    def _tile(self, block: slice) -> Tile:
        return Tile(self.cells[block], marks=self.marks and self.marks.of(block, slice(None)))

    def force(self, totals: Sequence[Totals], slopes: Sequence[Totals]) -> Force:
        """What each cell pulls, times what the loss changes by."""
        for block in blocks(self.cells):
            tile = self._tile(block)
            lines = [block if dim == ROWS else slice(None) for dim in self.way]
            cut = [
                [{name: of[name][part] for name in self.statistics} for of, part in zip(sides, lines, strict=True)]
                for sides in (totals, slopes)
            ]
            self.cells[block] = pulled(tile, self.statistics, self.way, *cut)
            without_faint(self.cells[block])
        return Force(self.cells)


class ByDefinition:
    """Any other statistic, by comparing every cell."""

    def __init__(self, tile: Tile, statistics: Statistics, way: Sequence[int]) -> None:
        self.tile, self.statistics, self.way = tile, statistics, way
        self.moves = any(statistic.differentiable for statistic in statistics.values())

    def totals(self) -> Sequence[Totals]:
        """Of each line, by direction."""
        return [{name: s.of(self.tile, dim) for name, s in self.statistics.items()} for dim in self.way]

    def force(self, totals: Sequence[Totals], slopes: Sequence[Totals]) -> Force:
        """What each cell pulls, times what the loss changes by."""
        return Force(pulled(self.tile, self.statistics, self.way, totals, slopes))


def pulled(
    tile: Tile, statistics: Statistics, way: Sequence[int], totals: Sequence[Totals], slopes: Sequence[Totals]
) -> Tensor:
    """The gradient of a tile's logits, by the statistics' definitions."""
    force = torch.zeros_like(tile.logits)
    for dim, total, slope in zip(way, totals, slopes, strict=True):
        for name, statistic in statistics.items():
            if statistic.differentiable:
                force.addcmul_(statistic.pull(tile, dim, total[name]), slope[name].unsqueeze(dim))
    return force


class Alone:
    """Positives, one per line, of one run: read from the part, so that a lone candidate cancels exactly.

    Args:
        matrix: who is who.
        spot: where the part lies.
        logits: of the part.
        statistics: in which the positives play a role.
        run: where in the matrix. Their columns are fresh, or none is.
        left_out: which of the matrix's rows have a positive that is no candidate; None says: none.
    """

    def __init__(
        self,
        matrix: ScoreMatrix,
        spot: Spot,
        logits: Tensor,
        statistics: Statistics,
        run: Run,
        left_out: Tensor | None,
    ) -> None:
        self.matrix, self.spot, self.statistics, self.shape = matrix, spot, statistics, logits.shape
        self.row: slice | Tensor = run[0]
        self.column: slice | Tensor = run[1]
        self.lines = {ROWS: _moved(self.row, -spot.rows.start), COLUMNS: _moved(self.column, -spot.columns.start)}
        cells = logits[self.lines[ROWS], self.lines[COLUMNS]]
        # a copy, for the logits are about to be overwritten
        self.logit = cells.diagonal().clone() if cells.dim() == 2 else cells
        self.out = None if left_out is None else left_out[self.row]

    def _inside(self, statistic: Statistic, values: Tensor, otherwise: float) -> Tensor:
        """The values where the positive plays the role."""
        left_out = self.out is not None and statistic.over == "candidates"
        return values.masked_fill(self.out, otherwise) if left_out and self.out is not None else values

    def totals(self) -> Totals:
        """The statistics of each line that has its positive here."""
        return {
            name: self._inside(statistic, statistic.alone(self.logit), statistic.identity)
            for name, statistic in self.statistics.items()
        }

    def join(self, dims: Sequence[int], totals: Sequence[Totals]) -> None:
        """Merge them into the totals of the part's other cells."""
        found = self.totals()
        for dim, total in zip(dims, totals, strict=True):
            line, lines = self.lines[dim], self.shape[1 - dim]
            for name, statistic in self.statistics.items():
                new = found[name]
                if len(new) == lines:  # all of them, in order: then nothing need be looked up
                    total[name] = statistic.merge(total[name], new) if name in total else new.detach()
                    continue
                if name not in total:
                    total[name] = new.new_full((lines,), statistic.identity)
                total[name][line] = statistic.merge(total[name][line], new)

    def back(
        self,
        dims: Sequence[int],
        totals: Sequence[Totals],
        slopes: Sequence[Totals],
        sums: Totals,
        wanted: Collection[str],
    ) -> None:
        """Add the operands' gradient: each cell's factor, times the other side."""
        force = torch.zeros_like(self.logit)
        for dim, total, slope in zip(dims, totals, slopes, strict=True):
            line = self.lines[dim]
            for name, statistic in self.statistics.items():
                if statistic.differentiable:
                    pull = statistic.pull_alone(self.logit, total[name][line])
                    force += self._inside(statistic, pull * slope[name][line], 0.0)
        matrix = self.matrix
        if "query" in wanted:
            _add(sums["query"], self.row, matrix.key[self.column], force)
        into = "query" if matrix.mirrored else "key"
        stale = isinstance(self.column, slice) and self.column.start < self.spot.fresh.start
        if into in wanted and not stale:
            _add(sums[into], self.column, matrix.query[self.row], force)
        if "offset" in wanted:
            _add(sums["offset"], self.column, torch.ones_like(force), force)


def _moved(line: slice | Tensor, by: int) -> slice | Tensor:
    return slice(line.start + by, line.stop + by) if isinstance(line, slice) else line + by


def _add(total: Tensor, where: slice | Tensor, values: Tensor, factor: Tensor) -> None:
    """Add each value, times its factor, to its line of the total."""
    # rounded before it is added, as a product's is: or what cancels would leave a rest
    product = values * (factor if values.dim() == 1 else factor[:, None])
    if isinstance(where, slice):
        total[where].add_(product)
    else:
        total.index_add_(0, where, product)
