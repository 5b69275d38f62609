"""The law in the docstring of `Engine`, and what it means: tiles, order and cuts are nobody's business."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from info_nce.engines import Auto, Dense, Engine, Tiled, auto, tiled
from info_nce.engines.blocks import Spot
from info_nce.pairing import Shifted
from info_nce.scores import COLUMNS, ROWS, Marks, Role, ScoreMatrix
from info_nce.statistics import (
    ClippedLogSumExp,
    Count,
    LogSumExp,
    Maximum,
    Reaching,
    Softplus,
    Squares,
    Statistic,
    Sum,
    Tied,
    Tilted,
)
from tests.strategies import Problem, cuts, law, lists, normal, problems, seeds, tile_sizes

ROLES: tuple[Role, ...] = ("candidates", "positives", "negatives")
MAKERS: dict[str, Callable[[Role], Statistic]] = {
    "log-sum-exp": LogSumExp,
    "sharp": lambda role: LogSumExp(role, power=2.5),
    "clipped": lambda role: ClippedLogSumExp(role, limit=1.5),
    "sum": Sum,
    "count": Count,
    "maximum": Maximum,
    "softplus": Softplus,
    "softplus of minus": lambda role: Softplus(role, sign=-1),
    "reaching": Reaching,
    "tied": Tied,
    "squares": Squares,
    "tilted": Tilted,
    "tilted down": lambda role: Tilted(role, side=-1),
}
STATISTICS: dict[str, Statistic] = {f"{name} {role}": make(role) for role in ROLES for name, make in MAKERS.items()}
engines = st.one_of(st.just(Dense()), st.builds(Tiled, tile_sizes, tile_sizes))
law = settings(law, max_examples=30)  # each example is cheap, and there are many kinds of matrices

Found = tuple[list[dict[str, Tensor]], list[Tensor]]
Totals = Callable[[], Sequence[Mapping[str, Tensor]]]


def rows_of(engine: Engine, *matrices: ScoreMatrix) -> Totals:
    return lambda: [engine.totals(matrices, STATISTICS)]


def both_of(engine: Engine, matrix: ScoreMatrix) -> Totals:
    return lambda: engine.totals_both(matrix, STATISTICS)


def found(totals: Totals, leaves: Sequence[Tensor], orders: Sequence[Tensor | None] = (None, None)) -> Found:
    """The totals, and the gradients of a weighted sum of them, in which no two lines weigh the same.

    Args:
        totals: computes them.
        leaves: the tensors that have a gradient.
        orders: where the totals are in another order: the line of the original that each belongs to.
    """
    made = [dict(total) for total in totals()]
    outputs, weights = [], []
    for total, order in zip(made, orders, strict=False):
        for place, (name, statistic) in enumerate(STATISTICS.items()):
            if statistic.differentiable:
                weight = torch.linspace(0.5, 1.5, len(total[name]), dtype=torch.float64) + 0.01 * place
                outputs.append(total[name])
                weights.append(weight if order is None else weight[order])
    gradients = torch.autograd.grad(outputs, leaves, weights)
    return [{name: t.detach() for name, t in total.items()} for total in made], list(gradients)


def assert_same(one: Found, other: Found) -> None:
    """Totals may be sums of dozens of numbers of about 10, and gradients of as many terms: hence 1e-11, not 1e-13."""
    assert_close(one[0], other[0], rtol=1e-11, atol=1e-11)
    assert_close(one[1], other[1], rtol=1e-11, atol=1e-11)


# ---- the size of a tile


@law
@given(problem=problems(), rows=tile_sizes, columns=tile_sizes)
def test_tile_size_changes_nothing(problem: Problem, rows: int | None, columns: int | None) -> None:
    matrix = problem.matrix()
    dense = found(rows_of(Dense(), matrix), problem.leaves)
    assert_same(found(rows_of(Tiled(rows, columns), matrix), problem.leaves), dense)


@law
@given(problem=problems(), rows=tile_sizes, columns=tile_sizes)
def test_tile_size_changes_nothing_in_either_direction(problem: Problem, rows: int | None, columns: int | None) -> None:
    matrix = problem.matrix()
    dense = found(both_of(Dense(), matrix), problem.leaves)
    assert_same(found(both_of(Tiled(rows, columns), matrix), problem.leaves), dense)


@law
@given(given_lists=lists(), rows=tile_sizes, columns=tile_sizes)
def test_tile_size_changes_nothing_where_each_query_has_a_list(
    given_lists: tuple[ScoreMatrix, Sequence[Tensor]], rows: int | None, columns: int | None
) -> None:
    matrix, leaves = given_lists
    dense = found(rows_of(Dense(), matrix), leaves)
    assert_same(found(rows_of(Tiled(rows, columns), matrix), leaves), dense)


@law
@given(problem=problems())
def test_auto_is_dense_for_small_and_tiled_for_large_matrices_and_both_agree(problem: Problem) -> None:
    matrix = problem.matrix()
    dense = found(both_of(Dense(), matrix), problem.leaves)
    assert_same(found(both_of(Auto(), matrix), problem.leaves), dense)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auto, "_DENSE_BYTES", 0)
        assert Auto().choose(*matrix.shape)[0] == Tiled()
        assert_same(found(both_of(Auto(), matrix), problem.leaves), dense)


PROBLEM = Problem(
    normal(5, 3, seed=1).requires_grad_(),
    normal(7, 3, seed=2).requires_grad_(),
    (torch.tensor([0, 1, 2, 0, 9]), torch.tensor([0, 1, 0, 2, 1, 0, 5])),
    (torch.tensor([3, 4, 4, 3, 3]), torch.tensor([5, 4, 3, 3, 5, 5, 4])),
    normal(7, seed=3).requires_grad_(),
    (normal(5, seed=4), normal(7, seed=5)),
    marks=(normal(5, seed=6), normal(7, seed=7)),
)


spots = tiled._spots


def hasty(matrix: ScoreMatrix, *size: int, half: bool) -> Iterator[Spot]:
    """The wrong sibling: it leaves the last tile of each row of tiles out."""
    for spot in spots(matrix, *size, half=half):
        if spot.columns.stop < matrix.shape[1]:
            yield spot


def test_a_forgotten_tile_changes_something() -> None:
    matrix = PROBLEM.matrix()
    dense = found(rows_of(Dense(), matrix), PROBLEM.leaves)
    assert_same(found(rows_of(Tiled(2, 3), matrix), PROBLEM.leaves), dense)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiled, "_spots", hasty)
        wrong = found(rows_of(Tiled(2, 3), matrix), PROBLEM.leaves)
    with pytest.raises(AssertionError):
        assert_same(wrong, dense)


# ---- order and cuts


@law
@given(problem=problems(), engine=engines, data=st.data())
def test_key_order_changes_nothing(problem: Problem, engine: Engine, data: st.DataObject) -> None:
    order = torch.tensor(data.draw(st.permutations(range(len(problem.key)))))
    plain = found(rows_of(engine, problem.matrix()), problem.leaves)
    assert_same(found(rows_of(engine, problem.taken(columns=order).matrix()), problem.leaves), plain)


@law
@given(problem=problems(), engine=engines, data=st.data())
def test_query_order_only_permutes(problem: Problem, engine: Engine, data: st.DataObject) -> None:
    order = torch.tensor(data.draw(st.permutations(range(len(problem.query)))))
    totals, gradients = found(rows_of(engine, problem.matrix()), problem.leaves)
    permuted = [{name: total[order] for name, total in totals[0].items()}], gradients
    assert_same(found(rows_of(engine, problem.taken(order).matrix()), problem.leaves, [order]), permuted)


@law
@given(problem=problems(), engine=engines, data=st.data())
def test_splitting_the_keys_into_matrices_changes_nothing(
    problem: Problem, engine: Engine, data: st.DataObject
) -> None:
    parts = data.draw(cuts(len(problem.key)))
    places = [torch.arange(part.start, part.stop) for part in parts]
    matrices = [problem.taken(columns=place).matrix() for place in places]
    whole = found(rows_of(engine, problem.matrix()), problem.leaves)
    assert_same(found(rows_of(engine, *matrices), problem.leaves), whole)


@law
@given(problem=problems(), engine=engines, data=st.data())
def test_splitting_the_queries_only_cuts_the_totals(problem: Problem, engine: Engine, data: st.DataObject) -> None:
    totals = engine.totals([problem.matrix()], STATISTICS)
    for part in data.draw(cuts(len(problem.query))):
        place = torch.arange(part.start, part.stop)
        of_part = engine.totals([problem.taken(place).matrix()], STATISTICS)
        assert_close(of_part, {name: total[part] for name, total in totals.items()}, rtol=1e-11, atol=1e-11)


def test_what_moves_without_its_tag_changes_something() -> None:
    order = torch.tensor([6, 2, 0, 1, 3, 4, 5])
    plain = found(rows_of(Dense(), PROBLEM.matrix()), PROBLEM.leaves)
    assert PROBLEM.limits is not None
    for left_behind in (
        {"positive": PROBLEM.positive},
        {"out": PROBLEM.out},
        {"offset": PROBLEM.offset},
        {"limits": (PROBLEM.limits[0].flip(0), PROBLEM.limits[1])},
    ):
        wrong = replace(PROBLEM.taken(columns=order), **left_behind)
        with pytest.raises(AssertionError):
            assert_same(found(rows_of(Dense(), wrong.matrix()), PROBLEM.leaves), plain)


def test_an_overlap_of_parts_counts_twice() -> None:
    parts = [PROBLEM.taken(columns=torch.arange(*ends)).matrix() for ends in ((0, 4), (3, 7))]
    whole = found(rows_of(Dense(), PROBLEM.matrix()), PROBLEM.leaves)
    with pytest.raises(AssertionError):
        assert_same(found(rows_of(Dense(), *parts), PROBLEM.leaves), whole)


# ---- both directions


@law
@given(problem=problems(offset=False), engine=engines)
def test_columns_are_the_rows_of_the_transposed_matrix(problem: Problem, engine: Engine) -> None:
    rows, columns = engine.totals_both(problem.matrix(), STATISTICS)
    turned = found(rows_of(engine, problem.turned().matrix()), problem.leaves)
    assert_same(found(lambda: [columns], problem.leaves), turned)
    assert_close(rows, engine.totals([problem.matrix()], STATISTICS), rtol=1e-11, atol=1e-11)


@law
@given(problem=problems(), engine=engines)
def test_an_offset_belongs_to_its_key_in_both_directions(problem: Problem, engine: Engine) -> None:
    """Columns over an offset are the columns without it, each shifted by its own."""
    plain = replace(problem, offset=None, limits=None, guide=None)
    shift = normal(len(problem.key), seed=9)
    _, shifted = engine.totals_both(replace(plain, offset=shift).matrix(), STATISTICS)
    _, without = engine.totals_both(plain.matrix(), STATISTICS)
    for role in ROLES:
        assert_close(shifted[f"log-sum-exp {role}"], without[f"log-sum-exp {role}"] + shift, rtol=1e-11, atol=1e-11)
        assert_close(shifted[f"sharp {role}"], without[f"sharp {role}"] + 2.5 * shift, rtol=1e-11, atol=1e-11)
        moved = without[f"sum {role}"] + without[f"count {role}"] * shift
        assert_close(shifted[f"sum {role}"], moved, rtol=1e-11, atol=1e-11)


def test_rows_are_not_columns() -> None:
    square = replace(PROBLEM.taken(columns=torch.arange(5)), offset=None)
    for engine in (Dense(), Tiled(2, 3)):
        rows, columns = engine.totals_both(square.matrix(), STATISTICS)
        turned = engine.totals([square.turned().matrix()], STATISTICS)
        assert_close(columns, turned)
        with pytest.raises(AssertionError):
            assert_close(rows, turned)


# ---- the hardest


@law
@given(problem=problems(), rows=tile_sizes, columns=tile_sizes, share=st.floats(0, 1))
def test_hardest_is_a_full_sort_for_any_tile_size(
    problem: Problem, rows: int | None, columns: int | None, share: float
) -> None:
    matrix = problem.matrix()
    n, m = matrix.shape
    count = 1 + round(share * (m - 1))
    every = matrix.tile(slice(0, n), slice(0, m)).of("negatives", ROWS, float("-inf")).detach()
    values, places = Tiled(rows, columns).hardest(matrix, count)
    assert_close(values, every.sort(dim=1, descending=True).values[:, :count], rtol=1e-12, atol=1e-12)
    assert_close(every.gather(1, places), values, rtol=1e-12, atol=1e-12)
    for row in places.tolist():
        assert len(set(row)) == count  # no candidate is chosen twice
    assert not values.requires_grad


def test_hardest_of_the_candidates_is_not_that_of_the_negatives() -> None:
    matrix = PROBLEM.matrix()
    values, _ = Tiled(2, 3).hardest(matrix, 3)
    logits = matrix.tile(slice(0, 5), slice(0, 7)).logits.detach()
    with pytest.raises(AssertionError):
        assert_close(values, logits.topk(3).values)
    with pytest.raises(AssertionError):
        assert_close(values, -(-logits).topk(3).values)


@law
@given(problem=problems(), seed=seeds)
def test_dense_and_tiled_agree_on_the_gradient_of_the_gradient(problem: Problem, seed: int) -> None:
    """Queries without a candidate are left out: their total is -inf."""

    def curvature(engine: Engine) -> list[Tensor]:
        totals = engine.totals([problem.matrix()], {"sum": LogSumExp("candidates")})["sum"]
        some = totals[totals.isfinite()]
        if not len(some):
            return []
        slopes = torch.autograd.grad(some.sum(), problem.leaves, create_graph=True)
        directions = [normal(*leaf.shape, seed=seed) for leaf in problem.leaves]
        along = sum(((s * d).sum() for s, d in zip(slopes, directions, strict=True)), torch.zeros(()))
        return list(torch.autograd.grad(along, problem.leaves, allow_unused=True, materialize_grads=True))

    assert_close(curvature(Tiled(2, 3)), curvature(Dense()), rtol=1e-11, atol=1e-11)


def test_directions_are_rows_and_columns() -> None:
    tile = PROBLEM.matrix().tile(slice(0, 5), slice(0, 7))
    assert Count("candidates").of(tile, ROWS).shape == (5,)
    assert Count("candidates").of(tile, COLUMNS).shape == (7,)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("engine", [Tiled(2, 3), Tiled(3), Tiled(1, 1)], ids=str)
def test_marks_of_any_role_are_compared_where_each_line_has_one_partner(engine: Engine, mirrored: bool) -> None:
    query = normal(6, 3, seed=1)
    marks = Marks(normal(6, seed=2), normal(6, seed=3), *[torch.full((6,), 0.7)] * 2)
    partners, out = (Shifted(6, by, query.device) for by in (3, 0))
    key = query if mirrored else normal(6, 3, seed=4)
    matrix = ScoreMatrix(query, key, positives=partners, out=out, mirrored=mirrored, marks=marks)
    assert_close(engine.totals([matrix], STATISTICS), Dense().totals([matrix], STATISTICS))
    assert_close(engine.totals_both(matrix, STATISTICS), Dense().totals_both(matrix, STATISTICS))
    moved = replace(matrix, marks=replace(marks, row=marks.row + 1))
    with pytest.raises(AssertionError):
        assert_close(engine.totals([moved], STATISTICS), Dense().totals([matrix], STATISTICS))
