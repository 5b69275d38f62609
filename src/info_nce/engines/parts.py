"""A part of the score matrix while an engine works on it: its statistics, and the way back for their gradient."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor

from info_nce.engines.base import Statistics, Totals, merged
from info_nce.engines.blocks import blocks
from info_nce.engines.exponentials import BURIED, Exponentials, Force, Term
from info_nce.pairing import Partner, Shifted
from info_nce.scores import COLUMNS, ROWS, Role, ScoreMatrix, Tile
from info_nce.statistics import LogSumExp, Statistic

__all__ = ["Part", "Spot"]


@dataclass(frozen=True)
class Spot:
    """Where a part lies.

    `fresh` are the columns that count as columns, too: in a mirrored matrix, those that are not among the rows so far.
    """

    rows: slice
    columns: slice
    fresh: slice

    @property
    def stale(self) -> int:
        """How many of the columns are not fresh."""
        return self.fresh.start - self.columns.start


class _Excluded:
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


class Part:
    """The logits of a part and what becomes of them: first totals, unless they are known, then a gradient.

    Args:
        matrix: without history.
        spot: where in the matrix.
        statistics: of these; log-sum-exps share exponentials, which overwrite the logits.
        dims: along rows, columns, or both.
        wanted: names of the operands that get a gradient.
        buffer: memory for the logits.
        reach: no logit is farther from 0 than this.
    """

    def __init__(
        self,
        matrix: ScoreMatrix,
        spot: Spot,
        statistics: Statistics,
        dims: Sequence[int],
        wanted: Collection[str],
        buffer: Tensor,
        reach: float,
    ) -> None:
        self.matrix, self.spot, self.dims, self.wanted = matrix, spot, dims, wanted
        similarity, logits, self.give = (_product if matrix.product else _general)(matrix, spot, wanted, buffer)
        # one positive per line is read from the part, so that it cancels exactly where it is the only candidate
        single = matrix.product and isinstance(matrix.positives, Shifted if COLUMNS in dims else Partner)
        alone: dict[str, Statistic] = {}
        roles: dict[Role, dict[str, LogSumExp]] = {}
        self.rest: dict[str, Statistic] = {}
        for name, statistic in statistics.items():
            if single and statistic.over == "positives":
                alone[name] = statistic
            elif not isinstance(statistic, LogSumExp):
                self.rest[name] = statistic
            elif single and statistic.over == "candidates":
                alone[name] = statistic
                roles.setdefault("negatives", {})[name] = statistic
            else:
                roles.setdefault(statistic.over, {})[name] = statistic
        self.alone = _Alone(matrix, spot, logits, alone) if alone else None
        self.tile = matrix.judged(similarity, logits, spot.rows, spot.columns) if self.rest else None
        # a limit belongs to a query, so that suspects differ by direction
        ways = [dims] if matrix.suspects is None else [[dim] for dim in dims]
        jobs = list(product(roles, ways))
        self.exponentials: list[tuple[Sequence[int], dict[str, LogSumExp], Exponentials]] = []
        for place, (role, way) in enumerate(jobs):
            last = place == len(jobs) - 1 and not self.rest and similarity is logits
            cells = logits if last else logits.clone()
            powers = [statistic.power for statistic in roles[role].values()]
            exclusion = _Excluded(matrix, spot, similarity, role, way[0])
            self.exponentials.append((way, roles[role], Exponentials(cells, exclusion, powers, reach)))

    def totals(self) -> tuple[Totals, ...]:
        """The statistics along each direction."""
        found: tuple[Totals, ...] = tuple({} for _ in self.dims)
        for way, statistics, exponentials in self.exponentials:
            powers = {name: statistic.power for name, statistic in statistics.items()}
            for dim, total in zip(way, exponentials.totals(way, powers), strict=True):
                found[self.dims.index(dim)].update(total)
        if self.alone is not None:
            for i, dim in enumerate(self.dims):
                found[i].update(merged(self.alone.statistics, found[i], self.alone.totals(dim)))
        if self.tile is not None:
            for dim, total in zip(self.dims, found, strict=True):
                total.update({name: statistic.of(self.tile, dim) for name, statistic in self.rest.items()})
        return found

    def back(self, totals: Sequence[Totals], slopes: Sequence[Totals], sums: Totals) -> None:
        """Add the operands' gradient, from all totals of this part's lines and what the loss changes by with them."""
        forces = [
            exponentials.force(
                [
                    Term(dim, statistic.power, totals[i][name], slopes[i][name])
                    for dim in way
                    for i in [self.dims.index(dim)]
                    for name, statistic in statistics.items()
                ]
            )
            for way, statistics, exponentials in self.exponentials
        ]
        if self.tile is not None:
            forces.append(Force(self._pull(self.tile, totals, slopes)))
        if forces:
            force = forces[0]
            for other in forces[1:]:
                force = Force(force.plain() + other.plain())
            self.give(force, sums)
        if self.alone is not None:
            self.alone.back(self.dims, totals, slopes, sums, self.wanted)

    def _pull(self, tile: Tile, totals: Sequence[Totals], slopes: Sequence[Totals]) -> Tensor:
        force = torch.zeros_like(tile.logits)
        for dim, total, slope in zip(self.dims, totals, slopes, strict=True):
            for name, statistic in self.rest.items():
                if statistic.differentiable:
                    force.addcmul_(statistic.pull(tile, dim, total[name]), slope[name].unsqueeze(dim))
        return force


class _Alone:
    """The positives, one per query: read from the part, so that a lone candidate cancels exactly."""

    def __init__(self, matrix: ScoreMatrix, spot: Spot, logits: Tensor, statistics: Statistics) -> None:
        places = matrix.positives.listed(spot.rows, spot.columns)
        if places is None:
            raise NotImplementedError  # asked for partners only
        self.matrix, self.spot, self.statistics, self.shape = matrix, spot, statistics, logits.shape
        self.row, self.column = places
        self.logit = logits[places]
        # what a role that the positive does not play makes of it
        row, column = self.row + spot.rows.start, self.column + spot.columns.start
        self.absent = matrix.out.contains(row, column)

    def totals(self, dim: int) -> Totals:
        """The statistics of each line; of lines whose positive lies elsewhere, what changes nothing."""
        line = self.row if dim == ROWS else self.column
        found = {}
        for name, statistic in self.statistics.items():
            found[name] = self.logit.new_full((self.shape[1 - dim],), statistic.identity)
            total = statistic.alone(self.logit)
            out = statistic.over == "candidates"
            found[name][line] = total.masked_fill(self.absent, statistic.identity) if out else total
        return found

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
        tile = Tile(self.logit[:, None])
        for dim, total, slope in zip(dims, totals, slopes, strict=True):
            line = self.row if dim == ROWS else self.column
            for name, statistic in self.statistics.items():
                if statistic.differentiable:
                    pull = replace(statistic, over="candidates").pull(tile, ROWS, total[name][line])
                    share = pull[:, 0] * slope[name][line]
                    force += share.masked_fill(self.absent, 0) if statistic.over == "candidates" else share
        row, column = self.row + self.spot.rows.start, self.column + self.spot.columns.start
        matrix = self.matrix
        if "query" in wanted:
            sums["query"].index_add_(0, row, matrix.key[column] * force[:, None])
        fresh = column >= self.spot.fresh.start
        into = "query" if matrix.mirrored else "key"
        if into in wanted:
            weighted = matrix.query[row] * torch.where(fresh, force, 0)[:, None]
            sums[into].index_add_(0, column, weighted)
        if "offset" in wanted:
            sums["offset"].index_add_(0, column, force)


Give = Callable[[Force, Totals], None]


def _product(matrix: ScoreMatrix, spot: Spot, wanted: Collection[str], buffer: Tensor) -> tuple[Tensor, Tensor, Give]:
    """One matrix product there, two back; none for what needs no gradient."""
    rows, columns, fresh = spot.rows, spot.columns, spot.fresh
    query, key = matrix.query[rows], matrix.key[columns]
    shape = len(query), len(key)
    similarity = torch.mm(query, key.mT, out=buffer[: shape[0] * shape[1]].view(shape))
    logits = similarity
    if matrix.offset is not None:
        offset = matrix.offset[columns]
        logits = similarity.add_(offset) if matrix.suspects is None else similarity + offset

    def give(force: Force, sums: Totals) -> None:
        cells, weight = force.cells, force.weight
        if "query" in wanted:
            found = cells @ key
            sums["query"][rows] += found if weight is None else found.mul_(weight[:, None])
        into = "query" if matrix.mirrored else "key"
        if into in wanted and fresh.start < fresh.stop:
            weighted = query if weight is None else query * weight[:, None]
            sums[into][fresh].addmm_(cells[:, spot.stale :].mT, weighted)
        if "offset" in wanted:
            sums["offset"][columns] += cells.sum(0) if weight is None else weight @ cells

    return similarity, logits, give


def _general(matrix: ScoreMatrix, spot: Spot, wanted: Collection[str], _: Tensor) -> tuple[Tensor, Tensor, Give]:
    """Whatever the similarity or the lists are: autograd inside the part."""
    rows, columns = spot.rows, spot.columns
    operands = matrix.operands()
    pieces = {name: piece.detach() for name, piece in matrix.pieces(rows, columns).items()}
    leaves = {name: pieces[name].requires_grad_() for name in operands if name in wanted}
    with torch.enable_grad():
        similarity = matrix.logits(pieces)
        logits = similarity + pieces["offset"] if "offset" in pieces else similarity

    def give(force: Force, sums: Totals) -> None:
        found = torch.autograd.grad(logits, list(leaves.values()), force.plain())
        for name, gradient in zip(leaves, found, strict=True):
            operands[name].give(sums[name], rows, columns, gradient)

    free = logits.detach()
    if leaves and free.data_ptr() == logits.data_ptr():
        free = free.clone()  # autograd may need what the similarity gave
    return similarity.detach() if similarity is not logits else free, free, give
