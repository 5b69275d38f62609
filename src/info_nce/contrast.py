"""The one function that every loss is: an objective, of statistics, of a score matrix, by an engine."""

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass

import torch
from torch import Tensor

from info_nce.checks import ArgumentError, DTypeError, check_choice, fail
from info_nce.coded import Coded
from info_nce.compiler import compiled_where_followed
from info_nce.engines import Auto, Engine
from info_nce.engines.base import Problem, Reduction, check_engine
from info_nce.objectives import Objective
from info_nce.precision import without_autocast
from info_nce.scores import ScoreMatrix

__all__ = ["AROUND", "Reduction", "contrast"]

AROUND: ContextVar[Callable[[Engine], Engine] | None] = ContextVar("AROUND", default=None)
"""What somebody who looks on puts around the engine of each loss; of this thread alone, and no loss knows of it."""


@compiled_where_followed
def contrast(
    scores: ScoreMatrix | Sequence[ScoreMatrix],
    objective: Objective,
    *,
    engine: Engine | None = None,
    symmetric: bool = False,
    given: Mapping[str, Tensor] | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    """What do the queries of these score matrices pay, under this objective?

    Args:
        scores: one matrix, or several whose rows are the same queries and whose candidates add up (shared keys, a
            queue, lists of hard negatives): their statistics merge.
        objective: the formula.
        engine: how the statistics are computed; `Auto()` by default. The result does not depend on it.
        symmetric: also let each key look for its query, and average both directions. One matrix of shared keys.
        given: further values per query that the formula needs and that no sweep is needed for.
        reduction: "mean" over the queries that count, "sum", or "none" for one value per query.

    Returns:
        The loss in nats.
    """
    matrices = [scores] if isinstance(scores, ScoreMatrix) else list(scores)
    check_engine(engine)
    engine = Auto() if engine is None else engine
    if not torch.compiler.is_compiling() and (put_around := AROUND.get()) is not None:
        engine = put_around(engine)
    check_choice("reduction", reduction, ("mean", "sum", "none"))
    _check(matrices, objective, symmetric=symmetric)

    problem = Problem(matrices, objective.statistics(), _Formula(objective), given or {}, reduction, symmetric)
    with without_autocast(matrices[0].query.device.type):
        return engine.loss(problem)


@dataclass(frozen=True)
class _Formula(Coded):
    """The objective, as engines see it: something to differentiate."""

    objective: Objective

    def __call__(self, total: Mapping[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        return self.objective.per_query(total), self.objective.counted(total)


def _check(matrices: Sequence[ScoreMatrix], objective: object, *, symmetric: bool) -> None:
    if not isinstance(objective, Objective):
        fail(
            DTypeError,
            "objective must be an Objective.",
            got=repr(objective),
            expected="an instance, such as Softmax()",
            hint="from info_nce.objectives import Softmax; contrast(scores, Softmax())",
        )
    if not matrices:
        fail(
            ArgumentError,
            "There is no score matrix to contrast.",
            got="no score matrix",
            expected="one or more",
            hint="info_nce.assemble.assemble(query, key, similarity, scale, positives=...)",
        )
    if symmetric and (len(matrices) > 1 or not matrices[0].shared):
        fail(
            ArgumentError,
            "A symmetric loss needs one matrix of shared keys, since only they can look for their queries.",
            got=f"{len(matrices)} matrices, {'shared' if matrices[0].shared else 'private'} keys",
            expected="one matrix of shared keys",
            hint="symmetric=False",
        )
