"""Does an objective of yours keep the laws, so that every engine computes it?"""

# N queries, M candidates

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import reduce

import torch
from torch import Tensor

from info_nce.assemble import given_logits
from info_nce.checks import check_number
from info_nce.contrast import contrast
from info_nce.engines import Dense, Engine, Tiled
from info_nce.objectives import Objective
from info_nce.pairing import Listed, Partner
from info_nce.scores import ROWS, Tile
from info_nce.statistics import Statistic
from info_nce.testing.laws import broken, compare, guarded
from info_nce.testing.matrices import Trial, numbers, trials

__all__ = ["check_objective"]

Reference = Callable[[list[float], list[float]], float]
"""From the logits of one query's positives and of its negatives to what it pays."""

_ENGINES: tuple[Engine, ...] = (Tiled(3, 2), Tiled(rows=4))
"""Tiles that are parts of rows, and tiles that are whole ones: of those the formula is differentiated at once."""
_LARGEST = "100.0, of a cosine at a temperature of 0.01"
_MERGE = "a total that merges by +, logaddexp or max; a mean is a Sum and a Count, divided in per_query"


@torch.inference_mode(False)  # which ends no_grad, too
def check_objective(
    objective: Objective,
    reference: Reference | None = None,
    *,
    given: Mapping[str, float] | None = None,
    largest: float = 100.0,
) -> str:
    """Does this objective keep the laws that let every engine compute it, and is it the formula that it should be?

    In this order: its parts are what they must be; its statistics merge however a row is cut, and `pull` is their
    derivative; engines and tile sizes give one value and one gradient; `gradcheck` agrees in float64; extreme logits
    stay finite in float32; and the reference says the same, if there is one.

    Args:
        objective: of yours.
        reference: the formula once more, as a loop over floats, written from the paper: from the logits of a query's
            positives and of its negatives (there may be none) to the loss. Without one, a formula that is wrong but
            well-behaved passes.
        given: what the formula is given for each query beside totals; the same number for all.
        largest: how far from 0 a logit may lie, 100 for a cosine at a temperature of 0.01.

    Returns:
        A sentence that says so, if it does.

    Raises:
        BrokenLawError: it does not. `error.law` is "form", "merge", "identity", "pull", "engines", "gradient",
            "extremes" or "reference".
        ArgumentError: `largest` or what is given is out of range; a `DTypeError` if it is no number.

    Example:
        >>> from info_nce.objectives import Softmax
        >>> def by_hand(positives, negatives):
        ...     mean = sum(positives) / len(positives)
        ...     return math.log(sum(math.exp(s) for s in positives + negatives)) - mean
        >>> check_objective(Softmax(), by_hand)
        'Softmax(label_smoothing=0.0) keeps the laws, and agrees with the reference.'
    """
    check_number("largest", largest, low=0, low_open=True, high=torch.finfo(torch.float32).max, hint=_LARGEST)
    for name, value in (given or {}).items():
        check_number(f"given[{name!r}]", value, hint='given={"floor": -5.0}')
    _form(objective, given)
    for name, statistic in objective.statistics().items():
        _merge(name, statistic)
        if statistic.differentiable:
            _pull(name, statistic)
    _engines(objective, given)
    _gradient(objective, given)
    _extremes(objective, given, largest)
    if reference is None:
        return f"{objective!r} keeps the laws. Whether it is the right formula, only a reference can tell."
    _reference(objective, reference, given)
    return f"{objective!r} keeps the laws, and agrees with the reference."


def _given(given: Mapping[str, float] | None, count: int, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    return {name: torch.full((count,), value, dtype=dtype) for name, value in (given or {}).items()}


def _form(objective: Objective, given: Mapping[str, float] | None) -> None:
    """Named statistics, and one loss per query."""
    if not isinstance(objective, Objective):
        broken(
            "form",
            "An objective must be an Objective.",
            got=repr(objective),
            expected="an instance of a frozen dataclass derived from Objective",
            hint="check_objective(Mine()), not check_objective(Mine)",
        )
    statistics = objective.statistics()
    named = isinstance(statistics, Mapping) and statistics
    if not named or not all(isinstance(one, Statistic) for one in statistics.values()):
        broken(
            "form",
            "statistics() must name the totals that the formula needs.",
            got=repr(statistics),
            expected="a dictionary of at least one Statistic",
            hint='{"rivals": LogSumExp("negatives")}',
        )
    trial = next(iter(trials()))
    totals = Dense().totals(trial.matrices, statistics) | _given(given, 7)
    before, shown = {name: total.clone() for name, total in totals.items()}, dict(totals)
    hint = "use the totals by the names that statistics() gives them, and what is given to the formula"
    with guarded("form", "per_query must be computed from the totals.", hint=hint):
        losses = objective.per_query(shown)
        counted = objective.counted(shown)
    for name, total in totals.items():
        if not torch.equal(total, before[name]):
            broken(
                "form",
                "The formula must leave the totals as they are: the gradient needs them.",
                got=f"{name!r} changed in place",
                expected="a new tensor",
                hint="total = total + 1, not total += 1 or total.add_(1)",
            )
    hint = "no .mean() and no .float() in it; dtype=total[...].dtype for tensors that it makes"
    _one_each("per_query must give one loss per query, in the dtype of the totals.", losses, torch.float64, hint=hint)
    if counted is not None:
        _one_each("counted must say which queries count.", counted, torch.bool, hint="or None: all")


def _one_each(what: str, value: object, dtype: torch.dtype, *, hint: str) -> None:
    """Refuse what is not one number for each of seven queries."""
    got = f"shape {tuple(value.shape)} of {value.dtype}" if isinstance(value, Tensor) else repr(value)
    wanted = f"shape (7,) of {dtype}"
    if got != wanted:
        broken("form", what, got=got, expected=wanted, hint=hint)


def _tile() -> Tile:
    """Rows with several positives, one, none; with everything left out; nine candidates each."""
    positive = torch.zeros(5, 9, dtype=torch.bool)
    positive[0, [0, 4, 8]], positive[1, 3], positive[3, :] = True, True, True
    out = torch.zeros(5, 9, dtype=torch.bool)
    out[0, [1, 2]], out[1, :3], out[4, :] = True, True, True
    return Tile(3 * numbers(5, 9, seed=31), positive, (out, out))


def _cut(tile: Tile, columns: slice) -> Tile:
    out = tile.out[ROWS]
    positive = tile.positive
    return Tile(
        tile.logits[:, columns],
        None if positive is None else positive[:, columns],
        (None, None) if out is None else (out[:, columns], out[:, columns]),
    )


def _merge(name: str, statistic: Statistic) -> None:
    """The total of a row is the merge of its parts' totals, in any order and grouping."""
    tile = _tile()
    whole = statistic.of(tile, ROWS)
    parts = [statistic.of(_cut(tile, columns), ROWS) for columns in (slice(0, 1), slice(1, 4), slice(4, 9))]
    merge = statistic.merge
    ways = {
        "parts from left to right": reduce(merge, parts),
        "parts from right to left": reduce(merge, parts[::-1]),
        "the last two parts first": merge(parts[0], merge(parts[1], parts[2])),
    }
    what = f"The statistic {name!r}, {statistic!r}, must be the same however a row is cut"
    for way, merged in ways.items():
        compare(
            "merge", f"{what} ({way})", {"total": merged}, {"total": whole}, than="the whole row has it", hint=_MERGE
        )
    nothing = torch.full_like(whole, statistic.identity)
    what = f"The identity of the statistic {name!r} must change nothing"
    for way, merged in {"after": merge(whole, nothing), "before": merge(nothing, whole)}.items():
        compare("identity", f"{what} ({way})", {"total": merged}, {"total": whole}, than="without it", hint=_MERGE)


def _pull(name: str, statistic: Statistic) -> None:
    """`pull` is the derivative, and needs the cell and the whole row's total."""
    tile = _tile()
    logits = tile.logits.clone().requires_grad_()
    total = statistic.of(Tile(logits, tile.positive, tile.out), ROWS)
    (wanted,) = torch.autograd.grad(total, logits, torch.ones_like(total))
    what = f"pull of the statistic {name!r} must be its derivative"
    hint = "what the total changes by with each cell, from its logit and the total: exp(logit - total) for LogSumExp"
    with guarded("pull", what + ".", hint=hint):
        found = torch.cat(
            [statistic.pull(_cut(tile, columns), ROWS, total.detach()) for columns in (slice(0, 2), slice(2, 9))], 1
        )
    compare("pull", what, {"slope": found}, {"slope": wanted}, than="autograd has it", hint=hint)


def _measured(
    objective: Objective, engine: Engine, trial: Trial, given: Mapping[str, float] | None
) -> dict[str, Tensor]:
    """Losses of the queries, and the gradients of a weighted mean."""
    found: dict[str, Tensor] = {}
    for reduction in ("none", "mean"):
        matrices, leaves = trial.leaves()
        settings = {"given": _given(given, len(matrices[0].query)), "symmetric": trial.symmetric}
        value = contrast(matrices, objective, engine=engine, reduction=reduction, **settings)  # type: ignore[arg-type]  # keywords of contrast
        weight = torch.linspace(0.5, 1.5, value.numel(), dtype=value.dtype).reshape(value.shape)
        slopes = torch.autograd.grad(
            (value * weight).sum(), list(leaves.values()), allow_unused=True, materialize_grads=True
        )
        found[f"loss, reduction={reduction!r}"] = value.detach()
        found |= {f"gradient by {name}, reduction={reduction!r}": s for name, s in zip(leaves, slopes, strict=True)}
    return found


def _engines(objective: Objective, given: Mapping[str, float] | None) -> None:
    """Engines and tile sizes are nobody's business."""
    hint = (
        "per_query sees totals of whole rows, one number per query: nothing in it may depend on the batch or its "
        "order, nor be rounded (.float())"
    )
    way = "no .detach(), no torch.no_grad() and nothing in place (+=, add_) in per_query"
    for trial in trials():
        if not trial.finite or not len(trial.matrices[0].query):
            continue  # what a formula makes of no number is its own business
        with guarded("gradient", f"The loss must be differentiable ({trial.what}).", hint=way):
            right = _measured(objective, Dense(), trial, given)
        for engine in _ENGINES:
            what = f"{engine!r} and Dense() must agree ({trial.what})"
            with guarded("engines", what + ".", hint=hint):
                found = _measured(objective, engine, trial, given)
            compare("engines", what, found, right, than="Dense has it", hint=hint)


def _gradient(objective: Objective, given: Mapping[str, float] | None) -> None:
    """Finite differences in float64."""
    logits = numbers(5, 4, seed=32)
    partner = Partner(torch.tensor([0, 3, 1, 2, 2]))
    for engine in (Dense(), Tiled(2, 3)):

        def loss(logits: Tensor, engine: Engine = engine) -> Tensor:
            matrix = given_logits(logits, partner)
            return contrast(matrix, objective, engine=engine, given=_given(given, 5), reduction="none")

        hint = "no .detach(), no rounding and no .item() in per_query; constants belong into `given`"
        with guarded("gradient", "The gradient must be that of finite differences.", hint=hint):
            torch.autograd.gradcheck(loss, (logits.clone().requires_grad_(),), eps=1e-6, atol=1e-5, rtol=1e-4)


def _extremes(objective: Objective, given: Mapping[str, float] | None, largest: float) -> None:
    """The best and the worst that can happen, in float32."""
    rows = {
        "the positive at the top, the others at the bottom": [largest, -largest, -largest, -largest],
        "the positive at the bottom, the others at the top": [-largest, largest, largest, largest],
        "all at the top": [largest] * 4,
        "all at the bottom": [-largest] * 4,
        "all negatives left out": [largest] * 4,
    }
    out = torch.zeros(5, 4, dtype=torch.bool)
    out[4, 1:] = True
    hint = "stay in log space: logsigmoid and logaddexp, not log(exp); torch.where with a safe number inside, too"
    for engine in (Dense(), Tiled(2, 3)):
        logits = torch.tensor(list(rows.values()), dtype=torch.float32, requires_grad=True)
        matrix = replace(given_logits(logits, Partner(torch.zeros(5, dtype=torch.int64))), out=Listed(out))
        with guarded("extremes", "The loss must be computed in float32, too.", hint="tensors of total[...].dtype"):
            values = contrast(matrix, objective, engine=engine, given=_given(given, 5, torch.float32), reduction="none")
            (slopes,) = torch.autograd.grad(values.sum(), logits)
        for what, value, slope in zip(rows, values, slopes, strict=True):
            if not (value.isfinite() and slope.isfinite().all()):
                broken(
                    "extremes",
                    f"Loss and gradient must stay finite: {what}, logits of +-{largest:g}.",
                    got=f"loss {value.item():g}, gradient {[round(s, 4) for s in slope.tolist()]}",
                    expected="finite numbers",
                    hint=hint,
                )


def _reference(objective: Objective, reference: Reference, given: Mapping[str, float] | None) -> None:
    """The formula by hand, query by query."""
    for trial in trials():
        if len(trial.matrices) > 1 or trial.symmetric or not trial.finite:
            continue
        matrix = trial.matrices[0]
        n, m = matrix.shape
        losses = contrast(matrix, objective, engine=Dense(), given=_given(given, n), reduction="none").tolist()
        tile = matrix.tile(slice(0, n), slice(0, m))
        for row in range(n):
            positives, negatives = (_played(tile, role, row) for role in ("positives", "negatives"))
            if not positives:
                continue  # the formulas of papers have one at least
            what = f"The reference must say the same ({trial.what}, query {row})"
            with guarded("reference", what + ".", hint="the reference takes two lists of floats and returns one"):
                wanted = float(reference(positives, negatives))
            if not math.isclose(losses[row], wanted, rel_tol=1e-9, abs_tol=1e-9):
                broken(
                    "reference",
                    what + ".",
                    got=f"{losses[row]:.9g} for {len(positives)} positives and {len(negatives)} negatives",
                    expected=f"{wanted:.9g}",
                    hint="do several positives need their Count? are the positives among the candidates?",
                )


def _played(tile: Tile, role: str, row: int) -> list[float]:
    logits = tile.logits.detach()
    unfit = tile.unfit(role, ROWS)  # type: ignore[arg-type]  # both are roles
    kept = logits[row] if unfit is None else logits[row][~unfit[row]]
    return [float(value) for value in kept]
