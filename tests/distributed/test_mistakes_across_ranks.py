"""The mistakes that libraries make across ranks, put into the engines one at a time: each must be noticed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from info_nce.distributed import ALONE, Ranks, others
from info_nce.engines import Engine, Gathered, Ring, TwoSided, across, two_sided
from info_nce.engines.base import Lines
from info_nce.losses import decoupled
from info_nce.pairing import Cells, Nowhere, Partner, SameItem, SameTag
from info_nce.scores import ScoreMatrix
from info_nce.similarity import NegativeSquaredDistance
from tests.distributed.cases import CASES, batch
from tests.distributed.spawn import run
from tests.distributed.test_engines_across_ranks import assert_equal
from tests.distributed.work import Findings, alone, compared

SIZES = [5, 3]
EVEN = [4, 4]
Patch = pytest.MonkeyPatch


def no_factor(patch: Patch) -> None:
    """Gradients of the mean, left to a reducer that divides them by the number of ranks again."""
    patch.setattr(across.Across, "loss", _with_reducer("sum", across.Across.loss))


def factor_for_a_sum(patch: Patch) -> None:
    """The loss times the number of ranks, where nobody divides."""
    patch.setattr(across.Across, "loss", _with_reducer("mean", across.Across.loss))


def _with_reducer(reducer: str, loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def changed(engine: Any, problem: Any) -> Tensor:
        return loss(type(engine)(engine.local, engine.process_group, reducer), problem)

    return changed


def detached_keys(patch: Patch) -> None:
    """Gathered without a gradient: other ranks' terms are missing."""
    patch.setattr(across, "others", lambda *args: tuple(side.detach() for side in others(*args)))


def scattered_mean(patch: Patch) -> None:
    """The gradients of keys are averaged, not added up."""
    scattered = Ranks.scattered
    patch.setattr(Ranks, "scattered", lambda ranks, parts: scattered(ranks, parts) / ranks.size)


def equal_shards(patch: Patch) -> None:
    """The mean of means: right where every rank has as many rows."""
    patch.setattr(Ranks, "summed", _as_if_equal(Ranks.summed))


def _as_if_equal(summed: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def changed(ranks: Ranks, value: Tensor) -> Tensor:
        return (
            value * ranks.size if value.dtype == torch.float64 and float(value) == int(value) else summed(ranks, value)
        )

    return changed


def places_everywhere(patch: Patch) -> None:
    """Row i belongs with key i of every rank: labels without the offset of the rank."""
    patch.setattr(Partner, "elsewhere", lambda cells, _: Places(cells))


@dataclass(frozen=True, eq=False)
class Places(Cells):
    """The partners' cells, wherever the keys are."""

    partner: Partner

    def mask(self, rows: slice, columns: slice) -> Tensor | None:
        return self.partner.mask(rows, columns)

    def contains(self, row: Tensor, column: Tensor) -> Tensor:
        return self.partner.contains(row, column)


def items_everywhere(patch: Patch) -> None:
    """Item i of this rank is taken for item i of the others."""
    patch.setattr(SameItem, "elsewhere", lambda cells, _: SameTag(cells.query, cells.key))


def no_tags(patch: Patch) -> None:
    """Equal ids on other ranks are negatives."""
    patch.setattr(SameTag, "elsewhere", lambda _, tags: (next(tags), Nowhere())[1])


def own_columns(patch: Patch) -> None:
    """The totals of a column over this rank's queries alone."""
    patch.setattr(across, "merged_parts", lambda _, parts: parts[0])


def own_weights(patch: Patch) -> None:
    """DCLW's weights over this rank's pairs alone."""
    weights: Any = decoupled._weights
    patch.setattr(decoupled, "_weights", lambda *args: weights(*args[:4], ALONE))


def own_centre(patch: Patch) -> None:
    """Distances from the mean of this rank's keys, on each side of a comparison."""
    patch.setattr(NegativeSquaredDistance, "shifted", lambda similarity, _: similarity)


def every_queue(patch: Patch) -> None:
    """One queue for each rank, all with the same keys."""
    patch.setattr(ScoreMatrix, "replicated", property(lambda _: False, lambda *_: None))


def deaf(patch: Patch) -> None:
    """What other ranks' losses change by is taken for 0."""
    of_others: Any = two_sided._of_others

    def changed(*args: Any) -> list[Lines]:
        return [Lines(of.totals, {n: s * 0 for n, s in of.slopes.items()}) for of in of_others(*args)]

    patch.setattr(two_sided, "_of_others", changed)


def kept_gradients(patch: Patch) -> None:
    """Gradients of keys stay with the rank that has them last."""
    passed = Ranks.passed

    def changed(ranks: Ranks, values: Sequence[Tensor], sizes: Sequence[int]) -> Any:
        return passed(ranks, [v * 0 if v.shape[1:] == (4,) and not v.requires_grad else v for v in values], sizes)

    patch.setattr(Ranks, "passed", changed)


class Mistake(NamedTuple):
    """How to make it, and where it must show."""

    make: Callable[[Patch], None]
    engines: list[Engine]
    case: str
    sizes: list[int]


ALL: list[Engine] = [Gathered(), TwoSided(), Ring()]
ADDING: list[Engine] = [Gathered(reducer="sum"), TwoSided(reducer="sum")]
MISTAKES = [
    Mistake(no_factor, ALL, "symmetric", SIZES),
    Mistake(factor_for_a_sum, ADDING, "nt_xent", SIZES),
    Mistake(detached_keys, ALL[:1], "symmetric", EVEN),
    Mistake(scattered_mean, ALL[:1], "info_nce", EVEN),
    Mistake(equal_shards, ALL, "info_nce", SIZES),
    Mistake(places_everywhere, ALL, "symmetric", EVEN),
    Mistake(items_everywhere, [Gathered(), Ring()], "nt_xent 3 views", EVEN),
    Mistake(no_tags, ALL, "sup_con", EVEN),
    Mistake(own_columns, ALL[:1], "symmetric", EVEN),
    Mistake(own_weights, ALL, "dclw", EVEN),
    Mistake(own_centre, ALL, "info_nce distance", EVEN),
    Mistake(every_queue, ALL, "moco", EVEN),
    Mistake(deaf, ALL[:2], "nt_xent", EVEN),
    Mistake(kept_gradients, ALL[2:], "info_nce", EVEN),
]
Pairs = list[tuple[Findings, Findings]]


def with_and_without() -> list[Pairs]:
    """For each mistake and engine, what comes out with it and without it."""
    return [[_both(mistake, engine) for engine in mistake.engines] for mistake in MISTAKES]


def _both(mistake: Mistake, engine: Engine) -> tuple[Findings, Findings]:
    case = next(case for case in CASES if case.name == mistake.case)
    expected = alone(case, batch(sum(mistake.sizes)))
    right = compared(engine, mistake.sizes, case, expected)
    with Patch.context() as patch:
        mistake.make(patch)
        wrong = compared(engine, mistake.sizes, case, expected)
    return {case.name: wrong}, {case.name: right}


def right(of_ranks: list[Findings]) -> bool:
    try:
        assert_equal(of_ranks)
    except AssertionError:
        return False
    return True


def test_every_mistake_is_noticed_on_every_engine() -> None:
    of_ranks: list[list[Pairs]] = run(2, with_and_without)
    for i, mistake in enumerate(MISTAKES):
        for j, engine in enumerate(mistake.engines):
            pairs = [of[i][j] for of in of_ranks]
            assert right([found for _, found in pairs]), f"{engine} is wrong without any mistake"
            assert not right([found for found, _ in pairs]), f"{mistake.make.__name__} on {engine} is not noticed"
