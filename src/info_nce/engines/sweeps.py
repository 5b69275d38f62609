"""Sweeps over the parts of score matrices, as functions that autograd can differentiate."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from info_nce.engines.base import Divisor, Reduction, Statistics, Totals, at_least_one, averaged, merged
from info_nce.engines.blocks import Spot
from info_nce.engines.dense import Dense
from info_nce.engines.parts import Part, Work
from info_nce.precision import without_autocast
from info_nce.scores import COLUMNS, ROWS, Operand, ScoreMatrix

__all__ = ["Job", "complete_loss", "swept_gradients", "swept_totals"]

Priced = Callable[[Sequence[Totals], Totals, Totals], tuple[Tensor, Tensor | None]]
"""From the swept totals of each matrix, known totals and given values of the same queries to losses, and who counts."""


@dataclass(frozen=True)
class Job:
    """What is to be swept: matrices, the statistics of each, along which directions, in which parts.

    `half`: the one matrix is mirrored, and only its parts on and above the diagonal are visited: their columns are
    rows, too.
    """

    matrices: tuple[ScoreMatrix, ...]
    statistics: tuple[Statistics, ...]
    directions: tuple[int, ...]
    half: bool
    spots: tuple[tuple[Spot, ...], ...]
    reaches: tuple[float, ...] = ()
    """How far from 0 a logit of each matrix can lie."""

    @property
    def complete(self) -> bool:
        """Whether every line lies within one part, so that its totals are complete when the part is."""
        if not self.matrices:
            return False
        if self.half or len(self.directions) > 1:
            return len(self.spots[0]) == 1
        return all(
            spot.columns == slice(0, m.shape[1]) for m, s in zip(self.matrices, self.spots, strict=True) for spot in s
        )

    @property
    def dims(self) -> tuple[int, ...]:
        """Along which directions a part's gradient is formed."""
        return (ROWS, COLUMNS) if self.half else self.directions

    @cached_property
    def operands(self) -> list[dict[str, Operand]]:
        """What the logits of each matrix depend on, by name."""
        return [matrix.operands() for matrix in self.matrices]

    def tensors(self) -> list[Tensor]:
        """All of it."""
        return [operand.tensor for operands in self.operands for operand in operands.values()]

    def differentiable(self) -> bool:
        """Whether a gradient is wanted."""
        return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in self.tensors())

    def of(self, tensors: Sequence[Tensor]) -> "Job":
        """The same job on other tensors."""
        supply = iter(tensors)
        pairs = zip(self.matrices, self.operands, strict=True)
        return replace(
            self, matrices=tuple(m.with_tensors({name: next(supply) for name in names}) for m, names in pairs)
        )

    def detached(self) -> "Job":
        """The same job without history, measured."""
        job = self.of([tensor.detach() for tensor in self.tensors()])
        return replace(job, reaches=tuple(matrix.reach() for matrix in job.matrices))

    def bare(self) -> "Job":
        """The same job without its tensors, to be kept beside them: autograd frees only what is saved."""
        return self.of([tensor.new_empty(0) for tensor in self.tensors()])

    def wanted(self, flags: Sequence[bool]) -> list[set[str]]:
        """Which operands of each matrix need a gradient."""
        supply = iter(flags)
        return [{name for name in operands if next(supply)} for operands in self.operands]

    @cached_property
    def names(self) -> list[str]:
        """All statistics."""
        return list(dict.fromkeys(name for statistics in self.statistics for name in statistics))

    def works(self, dims: Sequence[int], wanted: Sequence[set[str]]) -> list[Work]:
        """What is done to the parts of each matrix, with memory for one of them."""
        sizes = [max(_size(spot) for spot in spots) for spots in self.spots]
        return [
            Work(m, statistics, dims, names, m.query.new_empty(size if m.product else 0), reach)
            for m, statistics, names, size, reach in zip(
                self.matrices, self.statistics, wanted, sizes, self.reaches, strict=True
            )
        ]

    def parts(self, dims: Sequence[int], wanted: Sequence[set[str]]) -> Iterator[tuple[int, Part]]:
        """Visit the parts of all matrices, one after the other."""
        for i, work in enumerate(self.works(dims, wanted)):
            for spot in self.spots[i]:
                yield i, Part(work, spot)


def _size(spot: Spot) -> int:
    size: int = (spot.rows.stop - spot.rows.start) * (spot.columns.stop - spot.columns.start)
    return size


def _cut(totals: Totals, lines: slice) -> Totals:
    return {name: total[lines] for name, total in totals.items()}


def _zeros(job: Job, wanted: Sequence[set[str]]) -> list[Totals]:
    return [
        {name: torch.zeros_like(operand.tensor) for name, operand in operands.items() if name in names}
        for operands, names in zip(job.operands, wanted, strict=True)
    ]


def _in_order(job: Job, sums: Sequence[Totals]) -> list[Tensor | None]:
    return [found.get(name) for operands, found in zip(job.operands, sums, strict=True) for name in operands]


def swept_totals(job: Job) -> tuple[Totals, ...]:
    """The statistics of all parts merged: by direction, {name: (N) or (M)}."""
    if not job.matrices:
        return tuple({} for _ in job.directions)
    flat: tuple[Tensor, ...] = _SweptTotals.apply(job.detached(), *job.tensors())  # type: ignore[no-untyped-call]  # torch leaves `apply` untyped
    return _named(job, flat)


def _named(job: Job, flat: Sequence[Tensor]) -> tuple[Totals, ...]:
    supply = iter(flat)
    return tuple({name: next(supply) for name in job.names} for _ in job.directions)


class _SweptTotals(torch.autograd.Function):
    """One sweep forward; backward, one more, in which each cell gets its share of the totals' gradients."""

    @staticmethod
    def forward(ctx: Any, job: Job, *tensors: Tensor) -> tuple[Tensor, ...]:
        flat = [total[name] for total in _sweep(job) for name in job.names]
        all_statistics = {name: s for statistics in job.statistics for name, s in statistics.items()}
        fixed = [not all_statistics[name].differentiable for _ in job.directions for name in job.names]
        ctx.mark_non_differentiable(*[total for total, is_fixed in zip(flat, fixed, strict=True) if is_fixed])
        ctx.job, ctx.count = job.bare(), len(tensors)
        ctx.save_for_backward(*tensors, *flat)
        return tuple(flat)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        tensors, flat = ctx.saved_tensors[: ctx.count], ctx.saved_tensors[ctx.count :]
        flags = ctx.needs_input_grad[1:]
        with without_autocast(tensors[0].device.type):  # a caller may run backward inside of it
            if torch.is_grad_enabled():
                return None, *_again(ctx.job, tensors, flags, slopes, _dense_totals)
            job = ctx.job.of(tensors)
            sums = swept_gradients(job, _named(job, flat), _named(job, slopes), job.wanted(flags))
            return None, *_in_order(job, sums)


def _sweep(job: Job) -> tuple[Totals, ...]:
    """Visit every part once and merge its totals into those of its lines.

    The totals are allocated once and filled in place: a small tensor kept from each part would sit in the middle of the
    memory that the part leaves behind, and the next one would need new memory.
    """
    first = job.matrices[0]
    all_statistics = {name: s for statistics in job.statistics for name, s in statistics.items()}
    found = tuple(
        {name: first.query.new_full((first.shape[1 - dim],), s.identity) for name, s in all_statistics.items()}
        for dim in job.directions
    )
    lines = (found[0], found[0]) if job.half else found
    for _, part in job.parts(job.dims, [set()] * len(job.matrices)):
        spot = part.spot
        for dim, total, new in zip(job.dims, lines, part.totals(), strict=True):
            where, start = (spot.rows, 0) if dim == ROWS else (spot.fresh, spot.stale)
            for name, value in new.items():
                total[name][where] = all_statistics[name].merge(total[name][where], value[start:])
    return found


def swept_gradients(
    job: Job, totals: tuple[Totals, ...], slopes: tuple[Totals, ...], wanted: Sequence[set[str]]
) -> list[Totals]:
    """Visit every part once more and add its share of the gradient, for which no other part is needed."""
    sums = _zeros(job, wanted)
    if job.half:
        totals, slopes = totals * 2, slopes * 2
    for i, part in job.parts(job.dims, wanted):
        if wanted[i]:
            where = [part.spot.rows if dim == ROWS else part.spot.columns for dim in job.dims]
            part.back(
                [_cut(total, lines) for total, lines in zip(totals, where, strict=True)],
                [_cut(slope, lines) for slope, lines in zip(slopes, where, strict=True)],
                sums[i],
            )
    return sums


def complete_loss(
    job: Job,
    priced: Priced,
    known: Sequence[Totals],
    given: Mapping[str, Tensor],
    reduction: Reduction,
    divisor: Divisor | None,
) -> Tensor:
    """The reduced loss of parts that are complete in themselves: each is computed once, value and gradient."""
    extras = [*known, dict(given)]
    flat = [tensor for extra in extras for tensor in extra.values()]
    plan = _Plan(job.detached(), priced, [list(extra) for extra in extras], reduction, divisor)
    loss: Tensor = _CompleteLoss.apply(plan, *job.tensors(), *flat)  # type: ignore[no-untyped-call]  # torch leaves `apply` untyped
    return loss


@dataclass(frozen=True)
class _Plan:
    """A job, and what becomes of its totals."""

    job: Job
    priced: Priced
    names: list[list[str]]
    """Of the known totals by direction, and at the end of the given values."""
    reduction: Reduction
    divisor: Divisor | None

    def losses(self, found: Sequence[Sequence[Totals]], extras: Sequence[Tensor]) -> list[tuple[Tensor, Tensor | None]]:
        """What the queries pay and which of them count, by direction."""
        supply = iter(extras)
        *known, given = [{name: next(supply) for name in names} for names in self.names]
        return [self.priced([sides[d] for sides in found], known[d], given) for d in range(len(known))]

    def loss(self, found: Sequence[Sequence[Totals]], extras: Sequence[Tensor]) -> Tensor:
        """The reduced loss of all queries, averaged over the directions."""
        return averaged(self.losses(found, extras), self.reduction, self.divisor)


class _CompleteLoss(torch.autograd.Function):
    """The gradient is formed with the value, while the parts are at hand; backward only hands it on."""

    @staticmethod
    def forward(ctx: Any, plan: _Plan, *tensors: Tensor) -> Tensor:
        loss, gradients = _complete(plan, tensors, ctx.needs_input_grad[1:])
        ctx.plan = replace(plan, job=plan.job.bare())
        ctx.save_for_backward(*tensors, *gradients)
        return loss

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        saved, flags = ctx.saved_tensors, ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():
            with without_autocast(slope.device.type):
                return None, *_again(ctx.plan, saved[: len(flags)], flags, (slope,), _dense_loss)
        # looking at a number is free on the CPU, and spares a copy of every gradient
        as_is = slope.device.type == "cpu" and slope.item() == 1
        return None, *(g if g is None or as_is else g * slope for g in saved[len(flags) :])


def _complete(plan: _Plan, tensors: Sequence[Tensor], flags: Sequence[bool]) -> tuple[Tensor, list[Tensor | None]]:
    """Visit every part once: totals, formula, gradient."""
    job, first = plan.job, len(plan.job.tensors())
    wanted = job.wanted(flags[:first])
    sums, works = _zeros(job, wanted), job.works(job.dims, wanted)
    extras = list(zip(tensors[first:], flags[first:], strict=True))
    pushed = [torch.zeros_like(t) if flag else None for t, flag in extras]
    steps = list(zip(*job.spots, strict=True))
    every = len(steps) == 1
    loss, count = tensors[0].new_zeros(()), tensors[0].new_zeros(())
    for spots in steps:
        lines = ... if every else spots[0].rows
        here = [t[lines if t.dim() else ...].detach().requires_grad_(flag) for t, flag in extras]
        parts = [Part(work, spot) for work, spot in zip(works, spots, strict=True)]
        with torch.enable_grad():
            found = [part.totals()[: len(job.directions)] for part in parts]
            leaves = [total.requires_grad_() for sides in found for side in sides for total in side.values()]
            if every:
                value = plan.loss(found, here)
            else:  # one direction
                losses, counted = plan.losses(found, here)[0]
                value = losses.sum()
                count += len(losses) if counted is None else counted.sum()
        leaves += [t for t in here if t.requires_grad]
        slopes = iter(torch.autograd.grad(value, leaves, allow_unused=True, materialize_grads=True))
        loss += value.detach()
        for i, part in enumerate(parts):
            pulls = tuple({name: next(slopes) for name in side} for side in found[i])
            if wanted[i]:
                part.back(found[i] * (2 if job.half else 1), pulls * (2 if job.half else 1), sums[i])
        for place in pushed:
            if place is not None:
                place[lines if place.dim() else ...] += next(slopes)
    gradients = [*_in_order(job, sums), *pushed]
    if not every and plan.reduction == "mean":
        divisor = (plan.divisor or at_least_one)(count)
        loss = loss / divisor
        gradients = [g if g is None else g.div_(divisor) for g in gradients]
    return loss, gradients


def _again(
    what: Any,
    tensors: Sequence[Tensor],
    flags: Sequence[bool],
    slopes: Sequence[Tensor],
    dense: Callable[[Any, Sequence[Tensor]], Sequence[Tensor]],
) -> list[Tensor | None]:
    """Form gradients that can be differentiated again: recompute densely, with history."""
    # each operand on its own, even where one tensor plays several parts or is made from another
    parts = [tensor.view_as(tensor) for tensor in tensors]
    wanted = [part for part, flag in zip(parts, flags, strict=True) if flag]
    pairs = [(o, s) for o, s in zip(dense(what, parts), slopes, strict=True) if o.requires_grad and s is not None]
    outputs, pulls = [output for output, _ in pairs], [slope for _, slope in pairs]
    supply = iter(torch.autograd.grad(outputs, wanted, pulls, create_graph=True, allow_unused=True))
    return [next(supply) if flag else None for flag in flags]


def _dense(job: Job) -> list[tuple[Totals, ...]]:
    """The totals of each matrix, by direction."""
    return [
        Dense().totals_along([matrix], statistics, job.directions)
        for matrix, statistics in zip(job.matrices, job.statistics, strict=True)
    ]


def _dense_totals(job: Job, tensors: Sequence[Tensor]) -> list[Tensor]:
    found = _dense(job.of(tensors))
    merged_sides: list[Totals] = [{} for _ in job.directions]
    for statistics, sides in zip(job.statistics, found, strict=True):
        merged_sides = [merged(statistics, one, new) for one, new in zip(merged_sides, sides, strict=True)]
    return [side[name] for side in merged_sides for name in job.names]


def _dense_loss(plan: _Plan, tensors: Sequence[Tensor]) -> list[Tensor]:
    first = len(plan.job.tensors())
    return [plan.loss(_dense(plan.job.of(tensors[:first])), tensors[first:])]
