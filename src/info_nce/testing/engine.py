"""Does an engine of yours compute what `Dense` computes?"""

from collections.abc import Sequence

import torch
from torch import Tensor

from info_nce.contrast import contrast
from info_nce.engines import Dense, Engine
from info_nce.engines.base import Lines, Reduction, Statistics, gradients
from info_nce.engines.base import check_engine as refuse_others
from info_nce.objectives import Decoupled, Objective, Sigmoid, Softmax
from info_nce.scores import COLUMNS, ROWS, ScoreMatrix
from info_nce.statistics import Count, LogSumExp, Maximum, Softplus, Sum
from info_nce.testing.laws import broken, compare, guarded
from info_nce.testing.matrices import Trial, trials

__all__ = ["check_engine"]

_SLOPES: Statistics = {
    f"{type(one).__name__} of {one.over}": one
    for role in ("candidates", "positives", "negatives")
    for one in (LogSumExp(role), Sum(role), Softplus(role))
}
_WAYS = {ROWS: "rows", COLUMNS: "columns"}
_STATISTICS: Statistics = {
    **_SLOPES,
    "LogSumExp with a power of negatives": LogSumExp("negatives", power=1.5),
    "Count of candidates": Count("candidates"),
    "Count of negatives": Count("negatives"),
    "Maximum of positives": Maximum("positives"),
}
_TOTALS = "compare what totals_along does with Dense's, tile by tile: is each tile counted once, in its own place?"
_DIFFERENTIABLE = "autograd must see through totals_along: no .detach(), no no_grad, each total its own gradient"
_GRADIENTS = "what a cell gets depends on it and on the totals of its whole line, not on those of its tile"


@torch.inference_mode(False)  # which ends no_grad, too: nothing is right or wrong where nothing is differentiated
def check_engine(engine: Engine) -> str:
    """Does this engine give the totals, losses and gradients of both that `Dense` gives?

    It is tried in float64 on every kind of matrix that a loss of this package builds: pairs, equal ids, offsets,
    mirrored views and labels, private lists, lists looked up in a table, a similarity of the user's own, suspects
    left out by a margin or a guide, both directions, several matrices, one row, no row, logits of -inf.

    Args:
        engine: of yours; one across ranks is checked on this process alone.

    Returns:
        A sentence that says so, if it does.

    Raises:
        BrokenLawError: it does not. The text names the matrix, the number that differs and where; `error.law` is
            "tiles", "totals", "value", "gradient", "pulled" or "hardest".
        ArgumentError: it is no engine.

    Example:
        >>> from info_nce.engines import Tiled
        >>> check_engine(Tiled(rows=3, columns=2))
        'Tiled(rows=3, columns=2) computes what Dense() computes, on 23 kinds of score matrices.'
    """
    refuse_others(engine)
    if engine is None:
        broken("tiles", "engine must be an Engine.", got="None", expected="an instance", hint="Tiled(rows=3)")
    count = 0
    for trial in trials():
        for law in (_tiles, _totals, _slopes, _values, _pulled, _hardest):
            law(engine, trial)
        count += 1
    return f"{engine!r} computes what Dense() computes, on {count} kinds of score matrices."


def _tiles(engine: Engine, trial: Trial) -> None:
    """The tiles cover each cell once."""
    what = f"The tiles must cover each cell once ({trial.what})"
    for matrix in trial.matrices:
        times = torch.zeros(matrix.shape, dtype=torch.int64)
        with guarded("tiles", what + ".", hint="yield (rows, columns) as slices within matrix.shape"):
            for rows, columns in engine.tiles(matrix):
                times[rows, columns] += 1
        if (times != 1).any():
            row, column = (times != 1).nonzero()[0].tolist()
            broken(
                "tiles",
                what + ".",
                got=f"cell ({row}, {column}) of {tuple(matrix.shape)} in {int(times[row, column])} tiles",
                expected="in 1 tile",
                hint="range(0, length, step), with min(start + step, length) for the end",
            )


def _totals(engine: Engine, trial: Trial) -> None:
    """Every statistic, along rows, and along columns where the keys are shared."""
    what = f"The totals must be Dense's ({trial.what})"
    directions = _directions(trial)
    with guarded("totals", what + ".", hint=_TOTALS):
        found = engine.totals_along(trial.matrices, _STATISTICS, directions)
    wanted = Dense().totals_along(trial.matrices, _STATISTICS, directions)
    for dim, mine, right in zip(directions, found, wanted, strict=True):
        compare("totals", f"{what}, along {_WAYS[dim]}", mine, right, than="Dense has it", hint=_TOTALS)


def _directions(trial: Trial) -> tuple[int, ...]:
    alone = trial.matrices[0] if len(trial.matrices) == 1 and trial.matrices[0].shared else None
    turned = alone is not None and (trial.symmetric or alone.suspects is None)  # a limit may be for rows alone
    return (ROWS, COLUMNS) if turned else (ROWS,)


def _slopes(engine: Engine, trial: Trial) -> None:
    """The gradient of each total by all operands: a loss of totals is not always computed by `loss`."""
    statistics = _sloped(trial)
    for dim in _directions(trial):
        what = f"The gradient of the totals must be Dense's ({trial.what}), along {_WAYS[dim]}, by"
        found, wanted = (_differentiated(one, trial, statistics, dim) for one in (engine, Dense()))
        compare("gradient", what, found, wanted, than="Dense has it", hint=_DIFFERENTIABLE)


def _sloped(trial: Trial) -> Statistics:
    """The statistics that have a gradient there."""
    return {name: s for name, s in _SLOPES.items() if trial.finite or isinstance(s, LogSumExp)}


def _differentiated(engine: Engine, trial: Trial, statistics: Statistics, dim: int) -> dict[str, Tensor]:
    """The gradients of a weighted sum of all totals; 0 where none flows."""
    matrices, leaves = trial.leaves()
    with guarded("gradient", f"The totals must be differentiable ({trial.what}).", hint=_DIFFERENTIABLE):
        (totals,) = engine.totals_along(matrices, statistics, (dim,))
        ends = [
            (totals[name], torch.linspace(0.5, 1.5, len(totals[name]), dtype=torch.float64) / place)
            for place, name in enumerate(statistics, start=1)
            if totals[name].requires_grad
        ]
        return gradients(ends, leaves)


def _asked(trial: Trial) -> Sequence[tuple[Objective, Reduction]]:
    softmax = Softmax(0.1 if trial.finite else 0.0)
    return ((softmax, "none"), (softmax, "mean"), (Decoupled(), "sum"), (Sigmoid(), "mean"))


def _measured(
    engine: Engine, trial: Trial, objective: Objective, reduction: Reduction
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss, and the gradients of a weighted sum of it, in which no two rows weigh the same."""
    matrices, leaves = trial.leaves()
    value = contrast(matrices, objective, engine=engine, symmetric=trial.symmetric, reduction=reduction)
    weight = torch.linspace(0.5, 1.5, value.numel(), dtype=value.dtype).reshape(value.shape)
    found = torch.autograd.grad(
        (value * weight).sum(), list(leaves.values()), allow_unused=True, materialize_grads=True
    )
    return value.detach(), dict(zip(leaves, found, strict=True))


def _values(engine: Engine, trial: Trial) -> None:
    """Losses and gradients, reduced or not: a reduced loss may take a shorter way."""
    for objective, reduction in _asked(trial):
        said = f"({trial.what}; {type(objective).__name__}, reduction={reduction!r})"
        with guarded("value", f"The loss must be Dense's {said}.", hint=_TOTALS):
            value, slopes = _measured(engine, trial, objective, reduction)
        right, wanted = _measured(Dense(), trial, objective, reduction)
        what = f"The loss must be Dense's {said}"
        compare("value", what, {"loss": value}, {"loss": right}, than="Dense has it", hint=_TOTALS)
        what = f"The gradient of the loss must be Dense's {said}, by"
        compare("gradient", what, slopes, wanted, than="Dense has it", hint=_GRADIENTS)


def _pulled(engine: Engine, trial: Trial) -> None:
    """What a block pulls on its operands, given whole lines."""
    what = f"pulled must be Dense's ({trial.what})"
    statistics = _sloped(trial)
    matrix = trial.matrices[0]
    lines = _lines(matrix, statistics)
    wanted = list(matrix.operands())
    with guarded("pulled", what + ".", hint=_GRADIENTS):
        found = engine.pulled(matrix, statistics, lines, wanted)
    right = Dense().pulled(matrix, statistics, lines, wanted)
    compare("pulled", what, found, right, than="Dense has it", hint=_GRADIENTS)


def _lines(matrix: ScoreMatrix, statistics: Statistics) -> dict[int, Lines]:
    directions = [ROWS, COLUMNS] if matrix.shared and not matrix.mirrored and matrix.suspects is None else [ROWS]
    with torch.no_grad():
        sides = Dense().totals_along([matrix], statistics, tuple(directions))
    return {
        dim: Lines(totals, {name: torch.linspace(0.5, 1.5, len(t), dtype=t.dtype) for name, t in totals.items()})
        for dim, totals in zip(directions, sides, strict=True)
    }


def _hardest(engine: Engine, trial: Trial) -> None:
    """The largest negatives, and where they are."""
    what = f"hardest must be Dense's ({trial.what})"
    hint = "leave it to the base class, which looks at the tiles one by one"
    for matrix in trial.matrices:
        if not len(matrix.query):
            continue
        with guarded("hardest", what + ".", hint=hint):
            values, places = engine.hardest(matrix, 2)
        right, _ = Dense().hardest(matrix, 2)
        compare("hardest", what, {"values": values}, {"values": right}, than="Dense has it", hint=hint)
        rows, columns = matrix.shape
        every = matrix.tile(slice(0, rows), slice(0, columns)).of("negatives", ROWS, float("-inf"))
        there = every.gather(1, places)
        compare(
            "hardest",
            what,
            {"logits at the columns": there},
            {"logits at the columns": right},
            than="the values say",
            hint=hint,
        )
