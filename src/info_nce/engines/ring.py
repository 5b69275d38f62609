"""The keys travel from rank to rank, so that none ever holds those of all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from info_nce.distributed import Ranks, differentiated_once, visits
from info_nce.engines.across import Across, Shards, moving, on, rows_of, spread
from info_nce.engines.base import Engine, Lines, Statistics, Totals, merged
from info_nce.precision import without_autocast
from info_nce.scores import COLUMNS, ROWS, Operand, ScoreMatrix

__all__ = ["Ring"]


@dataclass(frozen=True, repr=False)
class Ring(Across):
    """Passes keys on from rank to rank, with the totals of their columns and, backward, with their gradients.

    Memory grows with the rows of one rank. Where the keys are the queries (NT-Xent, SupCon), no gradient travels.

    Convention: a mean or a sum is that of all ranks' queries, the same number on every rank; under a reducer that
    averages over ranks (DDP, FSDP), every parameter's gradient, the temperature's too, equals one process's. Nobody
    multiplies by the number of ranks.

    Args:
        local: computes what one rank has to compute.
        process_group: whose batches are one; None is the default group. A group of the loss's own keeps its collectives
            apart from those of DDP and FSDP.
        reducer: "mean" if gradients are averaged over these ranks afterwards, "sum" if they are added up.
    """

    def _shared_totals(
        self, matrices: Sequence[ScoreMatrix], statistics: Statistics, directions: tuple[int, ...], shards: Shards
    ) -> tuple[Totals, ...]:
        journey = _Journey(self.local, tuple(matrices), statistics, directions, shards)
        tensors = journey.tensors()
        flat = _Travelled.apply(journey.of([tensor.detach() for tensor in tensors]), *tensors)  # type: ignore[no-untyped-call]  # torch leaves `apply` untyped
        return journey.named(flat)


@dataclass(frozen=True)
class _Journey:
    """What travels around the ring, and what is asked on the way."""

    local: Engine
    matrices: tuple[ScoreMatrix, ...]
    statistics: Statistics
    directions: tuple[int, ...]
    shards: Shards

    @cached_property
    def operands(self) -> list[dict[str, Operand]]:
        """What the logits of each matrix depend on, by name."""
        return [matrix.operands() for matrix in self.matrices]

    def tensors(self) -> list[Tensor]:
        """All of it."""
        return [operand.tensor for of in self.operands for operand in of.values()]

    def of(self, tensors: Sequence[Tensor]) -> "_Journey":
        """The same with other tensors."""
        supply = iter(tensors)
        pairs = zip(self.matrices, self.operands, strict=True)
        return replace(self, matrices=tuple(m.with_tensors({name: next(supply) for name in of}) for m, of in pairs))

    def named(self, flat: Sequence[Tensor]) -> tuple[Totals, ...]:
        """Totals by direction and name."""
        supply = iter(flat)
        return tuple({name: next(supply) for name in self.statistics} for _ in self.directions)

    def stops(self, beside: Sequence[tuple[Tensor, list[int]]] = ()) -> Iterator["_Stop"]:
        """First this rank's own keys, then those of each other rank as they come by, and what travels beside them."""
        spread_ = [i for i, matrix in enumerate(self.matrices) if spread(matrix)]
        columns = [(column, self.shards.columns[i]) for i in spread_ for column in self.matrices[i].columns]
        tensors, sizes = zip(*columns, *beside, strict=True) if columns or beside else ((), ())
        for origin, held in visits(self.shards.ranks, tensors, sizes):
            supply = iter(held)
            if origin == self.shards.ranks.rank:
                yield _Stop(origin, dict(enumerate(self.matrices)), list(held[len(columns) :]))
            else:
                blocks = {i: self.matrices[i].elsewhere(supply) for i in spread_}
                yield _Stop(origin, blocks, list(supply))


@dataclass(frozen=True)
class _Stop:
    """The blocks of this rank's queries with the keys of one rank, by the number of the matrix."""

    origin: int
    blocks: dict[int, ScoreMatrix]
    beside: list[Tensor]


class _Travelled(torch.autograd.Function):
    """One round for the totals; backward, one more for the gradients."""

    @staticmethod
    def forward(ctx: Any, journey: _Journey, *tensors: Tensor) -> tuple[Tensor, ...]:
        totals = _totals(journey)
        flat = [side[name] for side in totals for name in journey.statistics]
        fixed = [not s.differentiable for _ in journey.directions for s in journey.statistics.values()]
        ctx.mark_non_differentiable(*[total for total, is_fixed in zip(flat, fixed, strict=True) if is_fixed])
        ctx.journey, ctx.count = journey.of([tensor.new_empty(0) for tensor in tensors]), len(tensors)
        ctx.save_for_backward(*tensors, *flat)
        return tuple(flat)

    @staticmethod
    @differentiated_once
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        tensors, flat = ctx.saved_tensors[: ctx.count], ctx.saved_tensors[ctx.count :]
        journey: _Journey = ctx.journey.of(tensors)
        flags = iter(ctx.needs_input_grad[1:])
        wanted = [{name for name in of if next(flags)} for of in journey.operands]
        with without_autocast(tensors[0].device.type):  # a caller may run backward inside of it
            found = _gradients(journey, journey.named(flat), journey.named(slopes), wanted)
        return None, *(of.get(name) for of, names in zip(found, journey.operands, strict=True) for name in names)


def _totals(journey: _Journey) -> tuple[Totals, ...]:
    """The totals of this rank's lines over all ranks' cells."""
    statistics, ranks = journey.statistics, journey.shards.ranks
    rows: Totals = {}
    if journey.directions == (ROWS,):
        for stop in journey.stops():
            if stop.blocks:
                rows = merged(statistics, rows, rows_of(journey.local, list(stop.blocks.values()), statistics))
        return (rows,)
    columns: Totals = {}
    sizes = journey.shards.columns[0]
    for stop in journey.stops():
        row, column = on(journey.local, stop.blocks[0]).totals_both(stop.blocks[0], statistics)
        rows = merged(statistics, rows, row)
        if columns:  # what the ranks before have found for these keys
            columns = _passed(ranks, columns, sizes[stop.origin])
        columns = merged(statistics, columns, column)
    return rows, _passed(ranks, columns, sizes[ranks.rank])


def _gradients(
    journey: _Journey, totals: tuple[Totals, ...], slopes: tuple[Totals, ...], wanted: list[set[str]]
) -> list[Totals]:
    """The gradients of this rank's operands, from the totals of its lines and what the loss changes by with them."""
    shards, ranks = journey.shards, journey.shards.ranks
    found = [
        {name: torch.zeros_like(o.tensor) for name, o in of.items() if name in names}
        for of, names in zip(journey.operands, wanted, strict=True)
    ]
    # those of keys travel with the keys, from home to home
    travelling = [
        (i, name)
        for i, matrix in enumerate(journey.matrices)
        for name in matrix.operands()
        if name in {"key", "offset"} and name in wanted[i] and spread(matrix) and not matrix.mirrored
    ]
    away = [found[i].pop(name) for i, name in travelling]

    def hand_on(to: int) -> None:
        away[:] = ranks.passed(away, [shards.columns[i][to] for i, _ in travelling]).wait()

    statistics = moving(journey.statistics)
    own = [Lines(*side).of(statistics) for side in zip(totals, slopes, strict=True)]
    # the lines that cross those of the other ranks: their columns, or, where keys are queries, their rows
    mirrored = any(matrix.mirrored for matrix in journey.matrices)
    crossing = list(zip(own, (shards.rows, *shards.columns), strict=False))[0 if mirrored else 1 :]
    beside = [(of.stacked(), sizes) for of, sizes in crossing]
    for stop in journey.stops(beside):
        home = stop.origin == ranks.rank
        if not home:
            hand_on(stop.origin)
        theirs = [own[0].unstacked(numbers) for numbers in stop.beside]
        for i, block in stop.blocks.items():
            crossed = not home and (journey.matrices[i].mirrored or len(journey.directions) > 1)
            sides = own if home else [own[0], theirs[0]] if crossed else own[:1]
            names = wanted[i] & {"query"} if crossed and journey.matrices[i].mirrored else wanted[i]
            if not names or not all(block.shape):
                continue
            lines = dict(zip((ROWS, COLUMNS), sides, strict=False))
            pulled = journey.local.pulled(block, statistics, lines, names)
            for name, gradient in pulled.items():
                sum_ = away[travelling.index((i, name))] if (i, name) in travelling else found[i][name]
                sum_ += gradient
    hand_on(ranks.rank)
    for (i, name), gradient in zip(travelling, away, strict=True):
        found[i][name] = gradient
    return found


def _passed(ranks: Ranks, totals: Totals, size: int) -> Totals:
    """The totals of the keys that come next, as the rank before has left them."""
    (numbers,) = ranks.passed([torch.stack(list(totals.values()), 1)], [size]).wait()
    return dict(zip(totals, numbers.unbind(1), strict=True))
