"""How totals are computed: the problem is a score matrix, the way to solve it is an engine."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from torch import Tensor

from info_nce.checks import ArgumentError, fail
from info_nce.coded import Coded
from info_nce.distributed import ALONE, Ranks
from info_nce.scores import COLUMNS, ROWS, ScoreMatrix
from info_nce.statistics import Statistic

__all__ = [
    "Divisor",
    "Engine",
    "Formula",
    "Lines",
    "Problem",
    "Reduction",
    "Statistics",
    "Totals",
    "at_least_one",
    "averaged",
    "check_engine",
    "gradients",
    "merged",
    "reduced",
]

Key = TypeVar("Key", bound=Hashable)
Statistics = Mapping[str, Statistic]
Totals = dict[str, Tensor]
Reduction = Literal["mean", "sum", "none"]
Formula = Callable[[Mapping[str, Tensor]], tuple[Tensor, Tensor | None]]
"""From totals (N) to losses (N), and to which of them count in the mean (None: all). Engines only differentiate it."""


Divisor = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Lines:
    """All queries, or all keys, of a matrix: their totals, and what the loss changes by with each, {name: (N)}."""

    totals: Totals
    slopes: Totals

    def of(self, statistics: Statistics) -> "Lines":
        """With these statistics alone."""
        return Lines(*({name: side[name] for name in statistics} for side in (self.totals, self.slopes)))

    def stacked(self) -> Tensor:
        """As numbers (N, 2 S): totals, then slopes."""
        return torch.stack([*self.totals.values(), *self.slopes.values()], 1)

    def unstacked(self, numbers: Tensor) -> "Lines":
        """Other lines of the same statistics, from their numbers."""
        return Lines(*(dict(zip(self.totals, half.unbind(1), strict=True)) for half in numbers.chunk(2, 1)))


@dataclass(frozen=True)
class Problem(Coded):
    """A loss to be computed.

    Args:
        matrices: the same queries in each; their candidates add up.
        statistics: that the formula needs.
        formula: what each query pays, given its totals.
        given: further values per query that the formula is given.
        reduction: of what the queries pay.
        symmetric: let each key look for its query, too, and average both directions.
        divisor: from how many queries count here to what a mean divides their sum by; None: that very number.
    """

    matrices: Sequence[ScoreMatrix]
    statistics: Statistics
    formula: Formula
    given: Mapping[str, Tensor]
    reduction: Reduction
    symmetric: bool
    divisor: Divisor | None = None

    @property
    def directions(self) -> tuple[int, ...]:
        """Along which the totals are taken."""
        return (ROWS, COLUMNS) if self.symmetric else (ROWS,)

    def reduced(self, sides: Sequence[Totals]) -> Tensor:
        """Apply the formula to the totals of each direction, reduce, and average the directions."""
        return averaged([self.formula({**totals, **self.given}) for totals in sides], self.reduction, self.divisor)


def check_engine(engine: object) -> None:
    """Refuse what is no engine; None stands for `Auto()`."""
    if engine is not None and not isinstance(engine, Engine):
        fail(
            ArgumentError,
            "engine must be an Engine.",
            got=f"engine={engine!r}",
            expected="Auto(), Dense() or Tiled(); across ranks Gathered(), TwoSided() or Ring()",
            hint="from info_nce.engines import Tiled; engine=Tiled()",
        )


class Engine(Coded, ABC):
    """Computes statistics of score matrices. Law: every engine gives the totals and gradients that `Dense` gives."""

    @abstractmethod
    def tiles(self, matrix: ScoreMatrix) -> Iterator[tuple[slice, slice]]:
        """In which parts to compute the matrix, row by row of tiles."""

    @abstractmethod
    def totals_along(
        self, matrices: Sequence[ScoreMatrix], statistics: Statistics, directions: tuple[int, ...]
    ) -> tuple[Totals, ...]:
        """The statistics over all matrices together, by direction (`ROWS`, `COLUMNS`)."""

    @abstractmethod
    def pulled(
        self, matrix: ScoreMatrix, statistics: Statistics, lines: Mapping[int, Lines], wanted: Collection[str]
    ) -> Totals:
        """The gradients of some operands, from whole lines that run through the matrix.

        What a cell gets depends on itself and on the totals of its lines, whoever computed those: of a line that goes
        on in other matrices, these are the totals over all of them.

        Args:
            matrix: one of those that the lines run through.
            statistics: of the lines, those that have a gradient.
            lines: by direction.
            wanted: names of operands of the matrix.
        """

    def totals(self, matrices: Sequence[ScoreMatrix], statistics: Statistics) -> Totals:
        """The statistics of each query over its candidates in all matrices together: {name: (N)}."""
        return self.totals_along(matrices, statistics, (ROWS,))[0]

    def totals_both(self, matrix: ScoreMatrix, statistics: Statistics) -> tuple[Totals, Totals]:
        """The statistics of each query over the keys, and of each key over the queries, in one sweep."""
        rows, columns = self.totals_along([matrix], statistics, (ROWS, COLUMNS))
        return rows, columns

    def loss(self, problem: Problem) -> Tensor:
        """Apply the formula to the totals, and reduce."""
        return problem.reduced(self.totals_along(problem.matrices, problem.statistics, problem.directions))

    def hardest(self, matrix: ScoreMatrix, count: int) -> tuple[Tensor, Tensor]:
        """The `count` negatives of each query with the largest logits: (values, columns), each (N, at most count).

        Where a query has fewer negatives, the values left over are -inf.
        """
        with torch.no_grad():
            chunks: dict[int, tuple[Tensor, Tensor]] = {}
            for rows, columns in self.tiles(matrix):
                values = matrix.tile(rows, columns).of("negatives", ROWS, float("-inf"))
                index = torch.arange(columns.start, columns.stop, device=values.device).expand_as(values)
                if rows.start in chunks:
                    before = chunks[rows.start]
                    values, index = torch.cat([before[0], values], 1), torch.cat([before[1], index], 1)
                top, where = values.topk(min(count, values.shape[1]), dim=1)
                chunks[rows.start] = top, index.gather(1, where)
            return torch.cat([v for v, _ in chunks.values()]), torch.cat([i for _, i in chunks.values()])

    def hardest_lists(self, matrix: ScoreMatrix, count: int) -> ScoreMatrix:
        """The `count` hardest negatives of each query, as a matrix of their own."""
        values, columns = self.hardest(matrix, count)
        return matrix.listed(columns, values == float("-inf"))

    @property
    def ranks(self) -> Ranks:
        """The processes whose batches it takes for one; this process alone, whatever process group is up."""
        return ALONE

    def together(self, what: str = "") -> AbstractContextManager[None]:  # noqa: ARG002 - for those across ranks
        """Within, an error of an argument is told to the other ranks, and what is computed is compared with theirs."""
        return nullcontext()

    def __repr__(self) -> str:
        """The settings that are not left to the engine."""
        settings = [f"{name}={value!r}" for name, value in vars(self).items() if value is not None]
        return f"{type(self).__name__}({', '.join(settings)})"

    def explain(self, rows: int, columns: int, dtype: torch.dtype = torch.float32) -> str:  # noqa: ARG002 - for Auto
        """Say in one line what this engine would do with a matrix of this size, and why."""
        return f"{self!r}: chosen by the caller"


def reduced(losses: Tensor, counted: Tensor | None, reduction: Reduction, divisor: Divisor | None = None) -> Tensor:
    """Reduce losses per query (N), leaving out of the mean those that do not count."""
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    if counted is None and divisor is None:
        return losses.mean()
    count = losses.new_tensor(len(losses)) if counted is None else counted.sum().to(losses.dtype)
    return losses.sum() / (divisor or at_least_one)(count)


def at_least_one(count: Tensor) -> Tensor:
    """The count that a mean divides by: of no queries, it is 0."""
    return count.clamp(min=1)


def averaged(
    sides: Sequence[tuple[Tensor, Tensor | None]], reduction: Reduction, divisor: Divisor | None = None
) -> Tensor:
    """Reduce the losses of each direction, and average the directions."""
    losses = [reduced(*side, reduction, divisor) for side in sides]
    return losses[0] if len(losses) == 1 else (losses[0] + losses[1]) / 2


def merged(statistics: Statistics, one: Totals, other: Totals) -> Totals:
    """The totals over two parts; of a statistic that one of them lacks, the other's."""
    both = {name: s.merge(one[name], other[name]) for name, s in statistics.items() if name in one and name in other}
    return {**one, **other, **both}


def gradients(ends: Sequence[tuple[Tensor, Tensor]], leaves: Mapping[Key, Tensor]) -> dict[Key, Tensor]:
    """The gradients of some leaves, from ends and what the loss changes by with each; 0 where none depends on one."""
    if not ends or not leaves:
        return {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
    outputs, slopes = zip(*ends, strict=True)
    found = torch.autograd.grad(outputs, list(leaves.values()), slopes, allow_unused=True, materialize_grads=True)
    return dict(zip(leaves, found, strict=True))
