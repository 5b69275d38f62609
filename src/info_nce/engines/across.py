"""What engines across ranks do alike: agree, hand the keys of all ranks to an engine of one, reduce together."""

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from info_nce.checks import ArgumentError, DTypeError, ShapeError, check_choice, fail
from info_nce.coded import encode
from info_nce.distributed import Group, Ranks, averaged_over, exchange, others, ranks_of
from info_nce.engines.auto import Auto
from info_nce.engines.base import Engine, Lines, Problem, Statistics, Totals, merged
from info_nce.engines.dense import Dense
from info_nce.scores import ROWS, ScoreMatrix
from info_nce.statistics import Statistic

__all__ = ["Across", "Shards", "blocks", "gathered_totals", "moving", "on", "parted", "rows_of", "spread"]

Reducer = Literal["mean", "sum"]


@dataclass(frozen=True)
class Shards:
    """How the lines of some matrices are spread over the ranks, who have agreed on it.

    Args:
        ranks: who takes part.
        rows: how many queries each rank has.
        columns: of each matrix, how many keys each rank has.
    """

    ranks: Ranks
    rows: list[int]
    columns: list[list[int]]


@dataclass(frozen=True, repr=False)
class Across(Engine):
    """An engine that takes the batches of all ranks for one. Each rank passes its own rows, as many as it has.

    Convention: a mean or a sum is that of all ranks' queries, the same number on every rank; under a reducer that
    averages over ranks (DDP, FSDP), every parameter's gradient, the temperature's too, equals one process's. Nobody
    multiplies by the number of ranks. With reduction "none", each rank gets the losses of its own queries, and the
    gradients of what all ranks make of them add up.
    """

    local: Engine = field(default_factory=Auto)
    process_group: "Group | None" = None
    reducer: Reducer = "mean"

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        check_choice("reducer", self.reducer, ("mean", "sum"))
        if not isinstance(self.local, Engine) or isinstance(self.local, Across):
            fail(
                ArgumentError,
                "local must be an engine of one process.",
                got=f"local={self.local!r}",
                expected="Auto(), Dense() or Tiled()",
                hint=f"{type(self).__name__}(Tiled())",
            )

    def __repr__(self) -> str:
        """The settings; a process group has nothing to show but an address, which differs between ranks."""
        group = "" if self.process_group is None else ", process_group=..."
        return f"{type(self).__name__}(local={self.local!r}, reducer={self.reducer!r}{group})"

    def __deepcopy__(self, memo: dict[int, object]) -> "Across":
        """Itself: nothing can change it, and a process group cannot be copied."""
        return self

    @property
    def ranks(self) -> Ranks:
        """The processes whose batches it takes for one."""
        return ranks_of(self.process_group)

    def together(self, what: str = "") -> AbstractContextManager[None]:
        """Tell the other ranks of an error in here, and make sure that all of them compute the same."""
        return self.ranks.together(what)

    def tiles(self, matrix: ScoreMatrix) -> Iterator[tuple[slice, slice]]:
        """Those of the local engine."""
        return self.local.tiles(matrix)

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # torch leaves it untyped; collectives stay outside of a graph
    def loss(self, problem: Problem) -> Tensor:
        """The loss of all ranks' queries."""
        if self.ranks.size == 1:
            return self.local.loss(problem)
        matrices = [_settled(matrix) for matrix in problem.matrices]
        # where the keys are the queries, both directions are one
        problem = replace(problem, matrices=matrices, symmetric=problem.symmetric and not matrices[0].mirrored)
        kind = f"{problem.reduction} along {len(problem.directions)} direction(s) of {_spelled(problem)}"
        shards = self._agreed(matrices, problem.statistics, kind)
        parts = shards.ranks.size if self.reducer == "mean" else 1

        def divisor(count: Tensor) -> Tensor:
            return shards.ranks.summed(count).clamp(min=1) / parts

        value = self._shared_loss(replace(problem, divisor=divisor), shards)
        if problem.reduction == "none":
            return value
        return averaged_over(shards.ranks, value if problem.reduction == "mean" else value * parts, parts)

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # torch leaves it untyped; collectives stay outside of a graph
    def totals_along(
        self, matrices: Sequence[ScoreMatrix], statistics: Statistics, directions: tuple[int, ...]
    ) -> tuple[Totals, ...]:
        """The statistics of this rank's lines over all ranks' cells."""
        if self.ranks.size == 1:
            return self.local.totals_along(matrices, statistics, directions)
        matrices = [_settled(matrix) for matrix in matrices]
        once = (ROWS,) if matrices[0].mirrored else directions
        shards = self._agreed(matrices, statistics, f"totals along {len(once)} direction(s)")
        return self._shared_totals(matrices, statistics, once, shards) * (len(directions) // len(once))

    @abstractmethod
    def _shared_totals(
        self, matrices: Sequence[ScoreMatrix], statistics: Statistics, directions: tuple[int, ...], shards: Shards
    ) -> tuple[Totals, ...]:
        """The same, after the ranks have agreed."""

    def _shared_loss(self, problem: Problem, shards: Shards) -> Tensor:
        """This rank's share of the loss: of the reduced one, the sum over its own queries, divided by the divisor."""
        totals = self._shared_totals(problem.matrices, problem.statistics, problem.directions, shards)
        return problem.reduced(totals)

    def pulled(
        self, matrix: ScoreMatrix, statistics: Statistics, lines: Mapping[int, Lines], wanted: Collection[str]
    ) -> Totals:
        """Those of the local engine: of this rank's matrix."""
        return self.local.pulled(matrix, statistics, lines, wanted)

    def hardest(self, matrix: ScoreMatrix, count: int) -> tuple[Tensor, Tensor]:
        """Those among this rank's own keys, by the local engine; `hardest_lists` finds those of all ranks."""
        return self.local.hardest(matrix, count)

    def hardest_lists(self, matrix: ScoreMatrix, count: int) -> ScoreMatrix:
        """The hardest negatives of all ranks, for those engines that can."""
        if self.ranks.size == 1:
            return self.local.hardest_lists(matrix, count)
        return fail(
            ArgumentError,
            f"{type(self).__name__} cannot look up the hardest negatives: their keys are on other ranks.",
            got=repr(self),
            expected="an engine that holds the keys of all ranks",
            hint="engine=Gathered()",
        )

    def explain(self, rows: int, columns: int, dtype: torch.dtype = torch.float32) -> str:
        """Say in one line what a rank would do with its part of a matrix of this size, and how."""
        size = self.ranks.size
        own = -(-rows // size)
        how = self.local.explain(own, columns, dtype)
        return (
            f"{self!r}: the batches of all ranks of its group, now {size}, are one; "
            f"of {rows:,} x {columns:,} each computes {own:,} x {columns:,} by {how}"
        )

    def _agreed(self, matrices: Sequence[ScoreMatrix], statistics: Statistics, kind: str) -> Shards:
        """Make sure that all ranks compute the same of matrices that fit together."""
        ranks = self.ranks
        by = f"{type(self).__name__}(reducer={self.reducer!r})"
        text = "; ".join([by, *(_described(matrix) for matrix in matrices), kind, str(dict(statistics))])
        shared = [spread(matrix) for matrix in matrices]
        sizes = [len(matrices[0].query)] + [m.shape[1] if s else 0 for m, s in zip(matrices, shared, strict=True)]
        heads = ranks.agree(text, sizes)
        rows, *columns = (list(numbers) for numbers in list(zip(*heads, strict=True))[: len(sizes)])
        if not all(sum(of) for of, s in zip([rows, *columns], [True, *shared], strict=True) if s):
            fail(
                ShapeError,
                "The batch is empty on every rank.",
                got=f"{sum(rows)} queries, {', '.join(str(sum(of)) for of in columns)} keys on {ranks.size} ranks",
                expected="at least one of each",
                hint="skip empty batches: drop_last=True, or `if len(batch)`",
            )
        return Shards(ranks, rows, columns)


def on(local: Engine, *matrices: ScoreMatrix) -> Engine:
    """The local engine, unless there is nothing that it could cut into tiles."""
    return local if all(all(matrix.shape) for matrix in matrices) else Dense()


def spread(matrix: ScoreMatrix) -> bool:
    """Whether other ranks have further candidates for its queries."""
    return matrix.shared and not matrix.replicated


def blocks(matrix: ScoreMatrix, sizes: Sequence[int], ranks: Ranks) -> list[ScoreMatrix]:
    """The queries of this rank against the keys of the ranks before it, its own, and those of the ranks after it.

    A matrix that is not spread is a block of its own.
    """
    if not spread(matrix):
        return [matrix]
    gathered = {id(column): others(ranks, column, sizes) for column in matrix.columns}
    before, after = (matrix.elsewhere(iter([gathered[id(c)][side] for c in matrix.columns])) for side in (0, 1))
    return [before, matrix, after]


def _settled(matrix: ScoreMatrix) -> ScoreMatrix:
    """An offset belongs to a key, so that with one the keys are more than the queries again."""
    return matrix if matrix.offset is None else replace(matrix, mirrored=False)


def _spelled(problem: Problem) -> str:
    """The formula with its numbers."""
    try:
        spelled = encode(problem.formula)
    except DTypeError:  # a user's own objective, which holds something that has no spelling
        return type(problem.formula).__name__
    return f"{spelled.text} {spelled.whole} {spelled.real}"


def _described(matrix: ScoreMatrix) -> str:
    """What must be the same on every rank."""
    keys = "shared" if spread(matrix) else "replicated" if matrix.replicated else "listed"
    tracked = torch.is_grad_enabled()
    parts = [
        f"{name} {tuple(o.tensor.shape[1:])} {o.tensor.dtype} on {o.tensor.device.type}"
        f"{' with gradient' if tracked and o.tensor.requires_grad else ''}"
        for name, o in matrix.operands().items()
        if name != "scale"
    ]
    others = [f"{c.dtype} {tuple(c.shape[1:])}" for c in matrix.columns] if spread(matrix) else []
    return f"{keys} keys: {', '.join(parts)}; columns {', '.join(others)}"


def rows_of(local: Engine, parts: Sequence[ScoreMatrix], statistics: Statistics) -> Totals:
    """The totals of the same queries over several matrices, of which some may hold nothing."""
    full, empty = parted(parts)
    found = on(local, *full).totals(full, statistics)
    if empty is None:
        return found
    return {name: total + empty if statistics[name].differentiable else total for name, total in found.items()}


def parted(parts: Sequence[ScoreMatrix]) -> tuple[list[ScoreMatrix], Tensor | None]:
    """The blocks that hold something, and a 0 that depends on those that do not, if any has a gradient.

    Where no other rank has a key, nothing else depends on what was gathered; and yet its way back waits for all ranks.
    """
    full = [part for part in parts if part.shape[1]] or list(parts[:1])
    gathered = [column for part in parts if not part.shape[1] for column in part.columns if column.requires_grad]
    return full, torch.stack([column.sum() for column in gathered]).sum() if gathered else None


def gathered_totals(
    local: Engine,
    matrices: Sequence[ScoreMatrix],
    statistics: Statistics,
    directions: tuple[int, ...],
    shards: Shards,
) -> tuple[Totals, ...]:
    """The totals of this rank's lines over all ranks' cells, from the keys of all ranks."""
    parts = [blocks(m, sizes, shards.ranks) for m, sizes in zip(matrices, shards.columns, strict=True)]
    if directions == (ROWS,):
        return (rows_of(local, [part for of in parts for part in of], statistics),)
    rows: Totals = {}
    columns: list[Tensor] = []
    for part in parts[0]:
        row, column = on(local, part).totals_both(part, statistics)
        rows = merged(statistics, rows, row)
        columns.append(torch.stack([column[name] for name in statistics], 1))
    # of each key, every rank has what its own queries make of it
    shares = exchange(shards.ranks, torch.cat(columns), shards.columns[0])
    return rows, {name: merged_parts(s, shares[..., i]) for i, (name, s) in enumerate(statistics.items())}


def moving(statistics: Statistics) -> Statistics:
    """Those that a gradient comes from."""
    return {name: statistic for name, statistic in statistics.items() if statistic.differentiable}


def merged_parts(statistic: Statistic, parts: Tensor) -> Tensor:
    """The totals (m) over the parts (W, m), merged by pairs: W parts cost log W steps."""
    while len(parts) > 1:
        half = len(parts) // 2
        parts = torch.cat([statistic.merge(parts[:half], parts[half : 2 * half]), parts[2 * half :]])
    return parts[0]
