"""check_objective and check_engine agree with right ones, and name the law that a wrong sibling breaks."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from info_nce.checks import ArgumentError, BrokenLawError, DTypeError
from info_nce.engines import Dense, Engine, Gathered, Ring, Tiled
from info_nce.engines.base import Lines, Statistics, Totals
from info_nce.objectives import Debiased, Decoupled, Objective, Robust, Sigmoid, Softmax, SoftmaxInside
from info_nce.scores import ScoreMatrix, Tile
from info_nce.statistics import Count, LogSumExp, Statistic, Sum
from info_nce.testing import check_engine, check_objective
from info_nce.testing.matrices import trials

# ---- the references, from the papers, as loops over floats


def total(logits: list[float]) -> float:
    return sum(math.exp(s) for s in logits)


def softmax(positives: list[float], negatives: list[float]) -> float:
    everything = math.log(total(positives) + total(negatives))
    return sum(everything - s for s in positives) / len(positives)


def inside(positives: list[float], negatives: list[float]) -> float:
    return -math.log(total(positives) / len(positives) / (total(positives) + total(negatives)))


def decoupled(positives: list[float], negatives: list[float]) -> float:
    return math.log(total(negatives)) - sum(positives) / len(positives) if negatives else 0.0


def sigmoid(positives: list[float], negatives: list[float]) -> float:
    return sum(math.log(1 + math.exp(-s)) for s in positives) + sum(math.log(1 + math.exp(s)) for s in negatives)


def robust(positives: list[float], negatives: list[float]) -> float:
    up, everything = total(positives), total(positives) + total(negatives)
    return float(-(up**0.1) / 0.1 + (0.01 * everything) ** 0.1 / 0.1)


def debiased(positives: list[float], negatives: list[float]) -> float:
    if not negatives:
        return 0.0
    count, up = len(negatives), math.exp(sum(positives))
    mean = max((total(negatives) / count - 0.1 * up) / 0.9, math.exp(-5))
    return -math.log(up / (up + count * mean))


RIGHT: list[tuple[Objective, Any, dict[str, float]]] = [
    (Softmax(), softmax, {}),
    (SoftmaxInside(), inside, {}),
    (Decoupled(), decoupled, {}),
    (Sigmoid(), sigmoid, {}),
    (Robust(), robust, {}),
    (Debiased(), debiased, {"floor": -5.0}),
]


@pytest.mark.parametrize(("objective", "reference", "given"), RIGHT, ids=lambda it: getattr(it, "__name__", repr(it)))
def test_every_objective_keeps_the_laws(objective: Objective, reference: Any, given: dict[str, float]) -> None:
    assert check_objective(objective, reference, given=given).endswith("agrees with the reference.")


def test_what_is_right_of_one_is_wrong_of_another() -> None:
    with pytest.raises(BrokenLawError, match="The reference must say the same") as found:
        check_objective(Softmax(), decoupled)
    assert found.value.law == "reference"


# ---- objectives that break a law


@dataclass(frozen=True)
class Mean(Sum):
    """A mean is no total: two means do not merge."""

    def of(self, tile: Tile, dim: int) -> Tensor:
        return super().of(tile, dim) / Count(self.over).of(tile, dim).clamp(min=1)

    def merge(self, one: Tensor, other: Tensor) -> Tensor:
        return (one + other) / 2


@dataclass(frozen=True)
class Sideways(Sum):
    def merge(self, one: Tensor, other: Tensor) -> Tensor:
        return one + 2 * other


@dataclass(frozen=True)
class FromOne(Sum):
    identity = 1.0


@dataclass(frozen=True)
class OwnShare(LogSumExp):
    """The softmax of the tile, not of the row."""

    def pull(self, tile: Tile, dim: int, total: Tensor) -> Tensor:  # noqa: ARG002 - it forgets the total
        return super().pull(tile, dim, self.of(tile, dim))


@dataclass(frozen=True)
class Other(Softmax):
    """Softmax with another statistic, or another formula."""

    statistic: type[Sum] = Sum
    sum: type[LogSumExp] = LogSumExp

    def statistics(self) -> dict[str, Statistic]:
        return super().statistics() | {"positive": self.statistic("positives"), "candidates": self.sum("candidates")}


class Uncounted(Softmax):
    def per_query(self, total: Mapping[str, Tensor]) -> Tensor:
        return torch.where(total["positives"] > 0, total["candidates"] - total["positive"], 0)


class Averaged(Softmax):
    def per_query(self, total: Mapping[str, Tensor]) -> Tensor:
        return super().per_query(total).mean()


class Unnamed(Softmax):
    def per_query(self, total: Mapping[str, Tensor]) -> Tensor:
        return total["rivals"]


class Nothing(Softmax):
    def statistics(self) -> dict[str, Statistic]:
        return {}


class Comparing(Softmax):
    """What a query pays depends on the others of its tile."""

    def per_query(self, total: Mapping[str, Tensor]) -> Tensor:
        losses = super().per_query(total)
        return losses * losses.detach().mean()


class Detached(Softmax):
    def per_query(self, total: Mapping[str, Tensor]) -> Tensor:
        return total["candidates"] - (total["positive"] / total["positives"].clamp(min=1)).detach()


class Exponentials(Softmax):
    def per_query(self, total: Mapping[str, Tensor]) -> Tensor:
        positive = total["positive"] / total["positives"].clamp(min=1)
        return torch.where(total["positives"] > 0, -torch.log(torch.exp(positive) / torch.exp(total["candidates"])), 0)


class Numbers(Softmax):
    def counted(self, total: Mapping[str, Tensor]) -> Tensor:
        return total["positives"]


class Listed(Softmax):
    def statistics(self) -> Any:
        return list(super().statistics().values())


class Single(Softmax):
    def per_query(self, total: Mapping[str, Tensor]) -> Tensor:
        return super().per_query(total).float()


class Rounded(Softmax):
    def per_query(self, total: Mapping[str, Tensor]) -> Tensor:
        return super().per_query(total).float().double()


class InPlace(Softmax):
    def per_query(self, total: Mapping[str, Tensor]) -> Tensor:
        losses = total["candidates"]
        losses -= total["positive"] / total["positives"].clamp(min=1)
        return losses


class Overwritten(Softmax):
    """What a derivative needs, changed in place after its use."""

    def per_query(self, total: Mapping[str, Tensor]) -> Tensor:
        chance = super().per_query(total).neg().exp()
        losses = -chance.log()
        chance += 1
        return losses


class OnlyDouble(Softmax):
    def per_query(self, total: Mapping[str, Tensor]) -> Tensor:
        losses = super().per_query(total)
        return losses @ torch.eye(len(losses), dtype=torch.float64)


class Renaming(Softmax):
    """Not wrong: the dictionary is its own, only the tensors are not."""

    def per_query(self, total: Mapping[str, Tensor]) -> Tensor:
        mine: Any = total
        mine["positive"] = mine.pop("positive") / 1
        return super().per_query(mine)


WRONG: list[tuple[str, Any]] = [
    ("merge", Other(statistic=Mean)),
    ("merge", Other(statistic=Sideways)),
    ("identity", Other(statistic=FromOne)),
    ("pull", Other(sum=OwnShare)),
    ("reference", Uncounted()),
    ("form", Averaged()),
    ("form", Unnamed()),
    ("form", Nothing()),
    ("form", Numbers()),
    ("form", Softmax),
    ("engines", Comparing()),
    ("gradient", Detached()),
    ("extremes", Exponentials()),
    ("form", Listed()),
    ("form", Single()),
    ("engines", Rounded()),
    ("form", InPlace()),
    ("gradient", Overwritten()),
    ("extremes", OnlyDouble()),
]


@pytest.mark.parametrize(("law", "objective"), WRONG, ids=str)
def test_a_wrong_objective_is_told_which_law_it_breaks(law: str, objective: Any) -> None:
    with pytest.raises(BrokenLawError) as found:
        check_objective(objective, softmax)
    assert found.value.law == law
    lines = str(found.value).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["got", "expected", "try"]


def test_an_objective_may_change_its_dictionary() -> None:
    assert check_objective(Renaming(), softmax).endswith("agrees with the reference.")


@pytest.mark.parametrize("largest", ["a", None, True, -1, 0, math.nan, math.inf, 1e39])
def test_a_largest_logit_that_is_none_is_refused(largest: Any) -> None:
    with pytest.raises((ArgumentError, DTypeError), match="largest"):
        check_objective(Softmax(), largest=largest)


@pytest.mark.parametrize("floor", ["a", math.nan])
def test_what_is_given_must_be_numbers(floor: Any) -> None:
    with pytest.raises((ArgumentError, DTypeError), match="given"):
        check_objective(Debiased(), given={"floor": floor})


def test_without_a_reference_nobody_claims_that_the_formula_is_right() -> None:
    assert check_objective(Uncounted()).endswith("only a reference can tell.")


def test_what_no_float32_can_hold_is_asked_for_only_so_far() -> None:
    assert check_objective(Robust(q=1.0, lam=0.5), largest=80.0).startswith("Robust")
    with pytest.raises(BrokenLawError, match=r"logits of \+-100"):
        check_objective(Robust(q=1.0, lam=0.5))


# ---- engines


@pytest.mark.parametrize("engine", [Tiled(3, 2), Tiled(), Gathered(), Ring()], ids=repr)
def test_every_engine_computes_what_dense_computes(engine: Engine) -> None:
    assert check_engine(engine).startswith(f"{engine!r} computes what Dense() computes")


@dataclass(frozen=True, repr=False)
class Hasty(Tiled):
    """It forgets the last tile."""

    def tiles(self, matrix: ScoreMatrix) -> Iterator[tuple[slice, slice]]:
        yield from list(super().tiles(matrix))[:-1]


@dataclass(frozen=True, repr=False)
class Changed(Dense):
    """It computes another matrix."""

    def changed(self, matrix: ScoreMatrix) -> ScoreMatrix:
        return matrix

    def totals_along(
        self, matrices: Sequence[ScoreMatrix], statistics: Statistics, directions: tuple[int, ...]
    ) -> tuple[Totals, ...]:
        return super().totals_along([self.changed(matrix) for matrix in matrices], statistics, directions)


class WithoutOffset(Changed):
    def changed(self, matrix: ScoreMatrix) -> ScoreMatrix:
        return replace(matrix, offset=None)


class WithoutSuspects(Changed):
    def changed(self, matrix: ScoreMatrix) -> ScoreMatrix:
        return replace(matrix, suspects=None)


class WithoutMirror(Changed):
    """It takes the keys of a mirrored matrix for constants."""

    def changed(self, matrix: ScoreMatrix) -> ScoreMatrix:
        return replace(matrix, key=matrix.key.detach(), mirrored=False) if matrix.mirrored else matrix


class FirstMatrix(Dense):
    def totals_along(
        self, matrices: Sequence[ScoreMatrix], statistics: Statistics, directions: tuple[int, ...]
    ) -> tuple[Totals, ...]:
        return super().totals_along(matrices[:1], statistics, directions)


class RowsTwice(Dense):
    def totals_along(
        self, matrices: Sequence[ScoreMatrix], statistics: Statistics, directions: tuple[int, ...]
    ) -> tuple[Totals, ...]:
        return super().totals_along(matrices, statistics, directions[:1] * len(directions))


@dataclass(frozen=True, repr=False)
class Frozen(Tiled):
    """Its totals lose a share of their gradient; its losses, which are formed on the way, do not."""

    share: float = 0.0

    def totals_along(
        self, matrices: Sequence[ScoreMatrix], statistics: Statistics, directions: tuple[int, ...]
    ) -> tuple[Totals, ...]:
        sides = super().totals_along(matrices, statistics, directions)
        return tuple({name: t.detach().lerp(t, self.share) for name, t in side.items()} for side in sides)


class Untracked(Frozen):
    def totals_along(
        self, matrices: Sequence[ScoreMatrix], statistics: Statistics, directions: tuple[int, ...]
    ) -> tuple[Totals, ...]:
        with torch.no_grad():
            return super().totals_along(matrices, statistics, directions)


class NoColumns(Dense):
    def totals_along(
        self, matrices: Sequence[ScoreMatrix], statistics: Statistics, directions: tuple[int, ...]
    ) -> tuple[Totals, ...]:
        if len(directions) > 1:
            raise NotImplementedError("columns")
        return super().totals_along(matrices, statistics, directions)


class MeanIsSum(Dense):
    def loss(self, problem: Any) -> Tensor:
        return super().loss(replace(problem, reduction="sum" if problem.reduction == "mean" else problem.reduction))


class Halved(Dense):
    def pulled(
        self, matrix: ScoreMatrix, statistics: Statistics, lines: Mapping[int, Lines], wanted: Collection[str]
    ) -> Totals:
        return {name: slope / 2 for name, slope in super().pulled(matrix, statistics, lines, wanted).items()}


class Shuffled(Dense):
    def hardest(self, matrix: ScoreMatrix, count: int) -> tuple[Tensor, Tensor]:
        values, places = super().hardest(matrix, count)
        return values, places.roll(1, 0)


BROKEN: list[tuple[str, str, Engine]] = [
    ("tiles", "pairs", Hasty(3, 2)),
    ("totals", "an offset for each key", WithoutOffset()),
    ("totals", "suspects left out by a margin", WithoutSuspects()),
    ("gradient", "2 views, mirrored", WithoutMirror()),
    ("totals", "three matrices", FirstMatrix()),
    ("totals", "along columns", RowsTwice()),
    ("gradient", "The gradient of the totals must be Dense's (pairs), along rows", Frozen(3, 2, share=0.5)),
    ("gradient", "The gradient of the totals must be Dense's (pairs), along rows", Frozen(3, 2)),
    ("gradient", "The gradient of the totals must be Dense's (pairs), along rows", Untracked(3, 2)),
    ("totals", "pairs", NoColumns()),
    ("value", "pairs; Softmax, reduction='mean'", MeanIsSum()),
    ("pulled", "pairs", Halved()),
    ("hardest", "pairs", Shuffled()),
]


@pytest.mark.parametrize(("law", "where", "engine"), BROKEN, ids=lambda one: type(one).__name__)
def test_a_wrong_engine_is_told_where_it_differs(law: str, where: str, engine: Engine) -> None:
    with pytest.raises(BrokenLawError) as found:
        check_engine(engine)
    assert found.value.law == law
    lines = str(found.value).splitlines()
    assert where in lines[0]
    assert [line.split()[0] for line in lines[1:]] == ["got", "expected", "try"]


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_gradients_are_switched_on_for_the_checks(off: Callable[[], AbstractContextManager[None]]) -> None:
    with off():
        assert check_engine(Dense()).startswith("Dense() computes")
        assert check_objective(Softmax(), softmax).endswith("agrees with the reference.")
        with pytest.raises(BrokenLawError, match="The gradient must be"):
            check_objective(Detached())
        assert not torch.is_grad_enabled()


def test_what_is_no_engine_is_refused() -> None:
    for other in ("tiled", None):
        with pytest.raises((ArgumentError, BrokenLawError), match="engine must be an Engine"):
            check_engine(other)  # type: ignore[arg-type]  # on purpose


def test_the_matrices_are_of_every_kind() -> None:
    every = [matrix for trial in trials() for matrix in trial.matrices]
    for kind in ("mirrored", "suspects", "lookup", "offset", "similarity", "shared"):
        assert any(getattr(m, kind) is not None and getattr(m, kind) is not False for m in every), kind
    assert {True, False} == {trial.symmetric for trial in trials()}
    assert {1, 2, 3} == {len(trial.matrices) for trial in trials()}
    assert {0, 1} <= {len(m.query) for m in every}
    assert any(m.row_unit > 1 for m in every)


def test_asking_leaves_the_random_numbers_alone() -> None:
    before = torch.get_rng_state()
    check_objective(Softmax())
    assert torch.equal(before, torch.get_rng_state())
