"""The one function that every loss is: an objective, of statistics, of a score matrix, by an engine."""

from collections.abc import Mapping, Sequence
from typing import Literal

from torch import Tensor

from info_nce.checks import ArgumentError, DTypeError, check_choice, fail
from info_nce.engines import Auto, Engine
from info_nce.engines.base import check_engine
from info_nce.objectives import Objective
from info_nce.precision import without_autocast
from info_nce.scores import ScoreMatrix

__all__ = ["Reduction", "contrast", "reduced"]

Reduction = Literal["mean", "sum", "none"]


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
    check_choice("reduction", reduction, ("mean", "sum", "none"))
    _check(matrices, objective, symmetric=symmetric)
    with without_autocast(matrices[0].query.device.type):
        if symmetric:
            both = engine.totals_both(matrices[0], objective.statistics())
            sides = [{**total, **(given or {})} for total in both]
        else:
            sides = [{**engine.totals(matrices, objective.statistics()), **(given or {})}]
        losses = [reduced(objective.per_query(t), objective.counted(t), reduction) for t in sides]
        return losses[0] if len(losses) == 1 else (losses[0] + losses[1]) / 2


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


def reduced(losses: Tensor, counted: Tensor | None, reduction: Reduction) -> Tensor:
    """Reduce losses per query (N), leaving out of the mean those that do not count."""
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    return losses.mean() if counted is None else losses.sum() / counted.sum().clamp(min=1)
