"""The one function that every loss is: an objective, of statistics, of a score matrix, by an engine."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from info_nce.checks import ArgumentError, check_choice, fail
from info_nce.engines import Auto, Engine
from info_nce.objectives import Objective
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
    engine = Auto() if engine is None else engine
    check_choice("reduction", reduction, ("mean", "sum", "none"))
    if not isinstance(engine, Engine):
        fail(
            ArgumentError,
            "engine must be an Engine.",
            got=f"engine={engine!r}",
            expected="Auto(), Dense() or Tiled()",
            hint="from info_nce.engines import Tiled; engine=Tiled()",
        )
    with torch.autocast(matrices[0].query.device.type, enabled=False):
        if symmetric:
            both = engine.totals_both(matrices[0], objective.statistics())
            sides = [{**total, **(given or {})} for total in both]
        else:
            sides = [{**engine.totals(matrices, objective.statistics()), **(given or {})}]
        losses = [reduced(objective.per_query(t), objective.counted(t), reduction) for t in sides]
        return losses[0] if len(losses) == 1 else (losses[0] + losses[1]) / 2


def reduced(losses: Tensor, counted: Tensor | None, reduction: Reduction) -> Tensor:
    """Reduce losses per query (N), leaving out of the mean those that do not count."""
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    return losses.mean() if counted is None else losses.sum() / counted.sum().clamp(min=1)
