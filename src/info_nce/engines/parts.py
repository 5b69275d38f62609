"""A part of the score matrix while an engine works on it: its statistics, and the way back for their gradient."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from info_nce.engines.base import Statistics, Totals
from info_nce.engines.blocks import Spot
from info_nce.engines.exponentials import Binary, Exponentials, Force
from info_nce.engines.workers import Alone, ByDefinition, Chances, Excluded, InPlace, Shared, Worker
from info_nce.pairing import Nowhere, Partner, Run, Shifted
from info_nce.scores import COLUMNS, Role, ScoreMatrix
from info_nce.statistics import LogSumExp, Softplus, Statistic

__all__ = ["Part", "Work"]


class Work:
    """What is done to every part of a matrix, decided once.

    Args:
        matrix: without history.
        statistics: of these; those over the same cells share the work, and the memory of the logits.
        dims: along rows, columns, or both.
        wanted: names of the operands that get a gradient.
        buffer: memory for the logits.
        reach: no logit is farther from 0 than this.
    """

    def __init__(
        self,
        matrix: ScoreMatrix,
        statistics: Statistics,
        dims: Sequence[int],
        wanted: Collection[str],
        buffer: Tensor,
        reach: float,
    ) -> None:
        self.matrix, self.dims, self.wanted, self.buffer, self.reach = matrix, dims, wanted, buffer, reach
        # one positive per line is read from the part, so that it cancels exactly where it is the only candidate
        self.partners: Partner | None = None
        if matrix.product and isinstance(matrix.positives, Shifted if COLUMNS in dims else Partner):
            self.partners = matrix.positives
        self.alone, groups, self.rest = _sorted(statistics, single=self.partners is not None)
        # a limit belongs to a query, so that suspects differ by direction
        ways = [dims] if matrix.suspects is None else [[dim] for dim in dims]
        self.jobs = [(role, group, way) for (role, _), group in groups.items() for way in ways]
        self.left_out: Tensor | None = None
        if self.alone and self.partners is not None and not isinstance(matrix.out, Nowhere):
            column = self.partners.column
            left_out = matrix.out.contains(torch.arange(len(column), device=column.device), column)
            self.left_out = left_out if left_out.any() else None

    def runs(self, spot: Spot) -> list[Run]:
        """The positives that are read from a part, parted where the fresh columns begin."""
        if not self.alone or self.partners is None:
            return []
        stale, fresh = slice(spot.columns.start, spot.fresh.start), spot.fresh
        return [
            run
            for columns in (stale, fresh)
            if columns.start < columns.stop
            for run in self.partners.runs(spot.rows, columns)
        ]


class Part:
    """The logits of a part and what becomes of them: first totals, unless they are known, then a gradient."""

    def __init__(self, work: Work, spot: Spot) -> None:
        matrix = work.matrix
        self.spot, self.dims, self.wanted = spot, work.dims, work.wanted
        form = _product if matrix.product else _general
        similarity, logits, self.give = form(matrix, spot, work.wanted, work.buffer)
        self.alone = [Alone(matrix, spot, logits, work.alone, run, work.left_out) for run in work.runs(spot)]
        self.workers: list[Worker] = []
        if work.rest:
            tile = matrix.judged(similarity, logits, spot.rows, spot.columns)
            self.workers.append(ByDefinition(tile, work.rest, work.dims))
        free = similarity is logits and not work.rest
        for i, (role, group, way) in enumerate(work.jobs, start=1):
            cells = logits if free and i == len(work.jobs) else logits.clone()
            self.workers.append(
                _worker(cells, Excluded(matrix, spot, similarity, role, way[0]), group, way, work.reach)
            )

    def totals(self) -> tuple[Totals, ...]:
        """The statistics along each direction."""
        found: tuple[Totals, ...] = tuple({} for _ in self.dims)
        for worker in self.workers:
            for dim, total in zip(worker.way, worker.totals(), strict=True):
                found[self.dims.index(dim)].update(total)
        for one in self.alone:
            one.join(self.dims, found)
        return found

    def back(self, totals: Sequence[Totals], slopes: Sequence[Totals], sums: Totals) -> None:
        """Add the operands' gradient, from all totals of this part's lines and what the loss changes by with them."""
        forces = []
        for worker in self.workers:
            if not worker.moves:
                continue
            places = [self.dims.index(dim) for dim in worker.way]
            forces.append(worker.force([totals[i] for i in places], [slopes[i] for i in places]))
        if forces:
            force = forces[0]
            for other in forces[1:]:
                force = Force(force.plain() + other.plain())
            self.give(force, sums)
        for one in self.alone:
            one.back(self.dims, totals, slopes, sums, self.wanted)


def _worker(cells: Tensor, excluded: Excluded, group: Statistics, way: Sequence[int], reach: float) -> Worker:
    """Whoever knows how to work on a group."""
    powers = {name: statistic.power for name, statistic in group.items() if isinstance(statistic, LogSumExp)}
    if powers:
        return Shared(Exponentials(cells, excluded, list(powers.values()), reach), powers, way)
    if Binary.fits(reach, cells.dtype) and all(isinstance(statistic, Softplus) for statistic in group.values()):
        return Chances(Binary(cells, excluded), list(group), way)
    return InPlace(cells, excluded, group, way)


Groups = dict[tuple[Role, float], dict[str, Statistic]]
"""By role, and by how far exponentials may be too small to count: powers below 1 are no powers of those above."""


def _sorted(statistics: Statistics, *, single: bool) -> tuple[dict[str, Statistic], Groups, dict[str, Statistic]]:
    """Who does what: statistics of a lone positive, groups that see the same cells, and those that compare each cell.

    Args:
        single: each line has one positive. A total over candidates is then one over negatives and that one merged.
    """
    alone: dict[str, Statistic] = {}
    groups: Groups = {}
    rest: dict[str, Statistic] = {}
    for name, statistic in statistics.items():
        role = statistic.over
        if single and statistic.known_alone and role in ("positives", "candidates"):
            alone[name] = statistic
            role = "negatives"
            if statistic.over == "positives":
                continue
        if isinstance(statistic, LogSumExp):
            groups.setdefault((role, min(statistic.power, 1.0)), {})[name] = statistic
        elif statistic.ignores_buried:
            groups.setdefault((role, 0.0), {})[name] = replace(statistic, over="candidates")
        else:
            alone.pop(name, None)
            rest[name] = statistic
    return alone, groups, rest


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
            if weight is None:
                sums["query"][rows].addmm_(cells, key)
            else:
                sums["query"][rows].addcmul_(cells @ key, weight[:, None])
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
