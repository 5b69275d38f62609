"""Every rank forms the whole gradient of its own rows, so that nothing is sent backward."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from info_nce.checks import ArgumentError, fail
from info_nce.distributed import Ranks, differentiated_once, others
from info_nce.engines.across import Across, Shards, blocks, gathered_totals, moving, rows_of, spread
from info_nce.engines.base import Engine, Lines, Problem, Statistics, Totals, gradients
from info_nce.scores import COLUMNS, ROWS, ScoreMatrix

__all__ = ["TwoSided", "without_way_back"]


@dataclass(frozen=True, repr=False)
class TwoSided(Across):
    """Gathers queries and keys of all ranks, so that each forms the whole gradient of its own rows with the value.

    Backward, no rank waits for another. It compares its queries with all keys and its keys with all queries: two matrix
    products more than `Gathered` needs.

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
        if problem.reduction == "none":
            return super()._shared_loss(problem, shards)
        for matrix in problem.matrices:
            if spread(matrix) and matrix.similarity is not None:
                fail(
                    ArgumentError,
                    "TwoSided compares keys with queries, too, for which a similarity must be an inner product.",
                    got=f"similarity={matrix.similarity!r}",
                    expected="Cosine(), DotProduct(), NegativeSquaredDistance() or Bilinear(d, e)",
                    hint="engine=Gathered() or Ring()",
                )
        return without_way_back(self.local, problem, shards)

    def _shared_totals(
        self, matrices: Sequence[ScoreMatrix], statistics: Statistics, directions: tuple[int, ...], shards: Shards
    ) -> tuple[Totals, ...]:
        if torch.is_grad_enabled() and any(o.tensor.requires_grad for m in matrices for o in m.operands().values()):
            fail(
                ArgumentError,
                "TwoSided forms the gradient with the value, and so needs to know what becomes of the losses.",
                got='one loss per query, with a gradient (reduction="none")',
                expected='reduction="mean" or "sum"',
                hint="engine=Gathered() or Ring(); or compute under torch.no_grad()",
            )
        return gathered_totals(self.local, matrices, statistics, directions, shards)


def without_way_back(local: Engine, problem: Problem, shards: Shards) -> Tensor:
    """This rank's share of a reduced loss; its gradient holds all that the loss changes by with this rank's rows."""
    tensors = [o.tensor for matrix in problem.matrices for o in matrix.operands().values()]
    formed = _formed(local, problem, shards)
    value: Tensor = _Formed.apply(*formed, *tensors, *problem.given.values())  # type: ignore[no-untyped-call]  # torch leaves `apply` untyped
    return value


class _Formed(torch.autograd.Function):
    """A value whose gradients are known already."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: Sequence[Tensor | None], *tensors: Tensor) -> Tensor:  # noqa: ARG004 - autograd follows the tensors
        ctx.save_for_backward(*gradients)
        return value

    @staticmethod
    @differentiated_once
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *(None if g is None else g * slope for g in ctx.saved_tensors)


def _of_others(lines: Lines, sizes: Sequence[int], ranks: Ranks) -> list[Lines]:
    """The same lines of the ranks before this one, and of the ranks after it: a few numbers each."""
    return [lines.unstacked(numbers) for numbers in others(ranks, lines.stacked(), sizes)]


def _formed(local: Engine, problem: Problem, shards: Shards) -> tuple[Tensor, list[Tensor | None]]:
    """The value, and the gradient of every operand and every given value that needs one."""
    tracked, statistics, ranks = torch.is_grad_enabled(), problem.statistics, shards.ranks
    operands = [matrix.operands() for matrix in problem.matrices]
    wanted = [{name for name, o in of.items() if tracked and o.tensor.requires_grad} for of in operands]
    with torch.no_grad():
        matrices = [
            matrix.with_tensors({name: o.tensor.detach() for name, o in of.items()})
            for matrix, of in zip(problem.matrices, operands, strict=True)
        ]
        straight = [blocks(m, sizes, ranks) for m, sizes in zip(matrices, shards.columns, strict=True)]
        turned = [
            # the keys looking for queries: for their gradient, or for totals of their own
            blocks(m.T, shards.rows, ranks) if spread(m) and not m.mirrored and (problem.symmetric or of_keys) else []
            for m, of_keys in zip(matrices, [names & {"key", "offset"} for names in wanted], strict=True)
        ]
        lines = [[part for parts in straight for part in parts], *(turned[:1] if problem.symmetric else [])]
        totals = [rows_of(local, parts, statistics) for parts in lines]
    value, slopes, of_given = _priced(problem, totals, tracked=tracked)
    if not any(wanted):
        return value, [None for of in operands for _ in of] + of_given
    with torch.no_grad():
        statistics = moving(statistics)
        near = [Lines(*side).of(statistics) for side in zip(totals, slopes, strict=True)]
        far = [_of_others(of, sizes, ranks) for of, sizes in zip(near, (shards.rows, *shards.columns), strict=False)]
        found = [
            _gradients(local, statistics, s, t, near, far, names)
            for s, t, names in zip(straight, turned, wanted, strict=True)
        ]
    return value, [of.get(name) for of, names in zip(found, operands, strict=True) for name in names] + of_given


def _priced(
    problem: Problem, totals: Sequence[Totals], *, tracked: bool
) -> tuple[Tensor, list[Totals], list[Tensor | None]]:
    """The reduced loss, and what it changes by with each total and each given value."""
    leaves = [{name: total.requires_grad_(tracked) for name, total in side.items()} for side in totals]
    given = {n: value.detach().requires_grad_(tracked and value.requires_grad) for n, value in problem.given.items()}
    value = replace(problem, given=given).reduced(leaves)
    needed = {name: tensor for name, tensor in given.items() if tensor.requires_grad}
    flat = {(i, name): tensor for i, side in enumerate([*leaves, needed]) for name, tensor in side.items()}
    found = gradients([(value, torch.ones_like(value))] if tracked else [], flat)
    slopes = [{name: found[i, name] for name in side} for i, side in enumerate(leaves)]
    return value.detach(), slopes, [found.get((len(leaves), name)) for name in given]


def _gradients(
    local: Engine,
    statistics: Statistics,
    straight: Sequence[ScoreMatrix],
    turned: Sequence[ScoreMatrix],
    near: Sequence[Lines],
    far: Sequence[Sequence[Lines]],
    wanted: set[str],
) -> Totals:
    """The gradients by this rank's part of one matrix, in all blocks that it takes part in.

    Args:
        local, statistics: see `Engine.pulled`.
        straight: the blocks of its queries: with the keys of the ranks before, its own, and those of the ranks after.
        turned: the blocks of its keys with all queries, likewise.
        near: its lines: of its queries and, in a symmetric loss, of its keys.
        far: the same lines of the ranks before, and of those after.
        wanted: names of operands.
    """
    own = straight[len(straight) // 2]
    tensors = {name: operand.tensor for name, operand in own.operands().items() if name in wanted}
    found = {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}

    def pull(block: ScoreMatrix, rows: Lines | None, columns: Lines | None, names: set[str]) -> Totals:
        lines = {dim: of for dim, of in ((ROWS, rows), (COLUMNS, columns)) if of is not None}
        if not all(block.shape) or not names:
            return {}
        return local.pulled(block, statistics, lines, names)

    def add(gradients: Totals) -> None:
        for name, gradient in gradients.items():
            found[name] += gradient

    rows, columns = near[0], near[1] if len(near) > 1 else None
    add(pull(own, rows, columns, wanted))
    for at, end in enumerate((0, 2)[: len(straight) - 1]):
        if own.mirrored:  # other ranks' queries are its columns
            add(pull(straight[end], rows, far[0][at], wanted))
            continue
        add(pull(straight[end], rows, far[1][at] if columns else None, wanted - {"key", "offset"}))
        if turned:
            of_keys = pull(turned[end], columns, far[0][at], {"query"}).get("query")
            if of_keys is not None:  # an offset is the last feature there
                parts = {"key": of_keys} if own.offset is None else {"key": of_keys[:, :-1], "offset": of_keys[:, -1]}
                add({name: part for name, part in parts.items() if name in wanted})
    return found
