"""Every rank holds the keys of all ranks, and compares its own queries with them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from info_nce.engines.across import Across, Shards, blocks, gathered_totals, on, parted
from info_nce.engines.base import Problem, Statistics, Totals
from info_nce.engines.two_sided import without_way_back
from info_nce.scores import ScoreMatrix

__all__ = ["Gathered"]


@dataclass(frozen=True, repr=False)
class Gathered(Across):
    """Gathers the keys of all ranks; backward, each rank is sent the gradient of its own.

    Of columns, the ranks exchange totals, one number per key. Where the keys are the queries (NT-Xent, SupCon), the
    gradient is formed with the value and nothing is sent backward.

    Convention: a mean or a sum is that of all ranks' queries, the same number on every rank; under a reducer that
    averages over ranks (DDP, FSDP), every parameter's gradient, the temperature's too, equals one process's. Nobody
    multiplies by the number of ranks.

    Args:
        local: computes what one rank has to compute.
        process_group: whose batches are one; None is the default group. A group of the loss's own keeps its collectives
            apart from those of DDP and FSDP.
        reducer: "mean" if gradients are averaged over these ranks afterwards, "sum" if they are added up.
    """

    def _shared_loss(self, problem: Problem, shards: Shards) -> Tensor:
        matrices = problem.matrices
        if len(matrices) == 1 and matrices[0].mirrored and problem.reduction != "none":
            return without_way_back(self.local, problem, shards)
        if problem.symmetric:
            return super()._shared_loss(problem, shards)
        # all candidates of a row are here: the local engine may form the gradient with the value
        parts = [p for m, sizes in zip(matrices, shards.columns, strict=True) for p in blocks(m, sizes, shards.ranks)]
        full, empty = parted(parts)
        loss = on(self.local, *full).loss(replace(problem, matrices=full))
        return loss if empty is None else loss + empty

    def _shared_totals(
        self, matrices: Sequence[ScoreMatrix], statistics: Statistics, directions: tuple[int, ...], shards: Shards
    ) -> tuple[Totals, ...]:
        return gathered_totals(self.local, matrices, statistics, directions, shards)

    def hardest_lists(self, matrix: ScoreMatrix, count: int) -> ScoreMatrix:
        """The hardest of all ranks' negatives."""
        if self.ranks.size == 1:
            return self.local.hardest_lists(matrix, count)
        shards = self._agreed([matrix], {}, f"the {count} hardest")
        parts = blocks(matrix, shards.columns[0], shards.ranks)
        found, start = [], 0
        for part in parts:
            if part.shape[1]:
                values, columns = on(self.local, part).hardest(part, count)
                found.append((values, columns + start))
            start += part.shape[1]
        values, columns = (torch.cat(sides, 1) for sides in zip(*found, strict=True))
        values, where = values.topk(min(count, start), dim=1)
        key = torch.cat([part.key for part in parts])
        offset = None if matrix.offset is None else torch.cat([p.offset for p in parts if p.offset is not None])
        every = replace(matrix, key=key, offset=offset, mirrored=False)
        return every.listed(columns.gather(1, where), values == float("-inf"))
