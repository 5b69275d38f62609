"""The laws in the docstring of `Statistic`, which let a row be totalled and differentiated in any parts."""

from dataclasses import replace
from functools import reduce

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from info_nce.scores import COLUMNS, ROWS, Marks, Role, Tile
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
from tests.strategies import chance, cut, cuts, dims, law, marks, normal, seeds, sizes, tiles

ROLES: tuple[Role, ...] = ("candidates", "positives", "negatives")
STATISTICS: list[Statistic] = [
    statistic
    for role in ROLES
    for statistic in (
        LogSumExp(role),
        LogSumExp(role, power=0.5),
        LogSumExp(role, power=2.5),
        ClippedLogSumExp(role, limit=4.0),
        Sum(role),
        Count(role),
        Maximum(role),
        Softplus(role, sign=1),
        Softplus(role, sign=-1),
        Reaching(role),
        Tied(role),
        Squares(role),
        Tilted(role, side=1),
        Tilted(role, side=-1),
    )
]
every_statistic = pytest.mark.parametrize("statistic", STATISTICS, ids=str)
every_slope = pytest.mark.parametrize("statistic", [s for s in STATISTICS if s.differentiable], ids=str)


@st.composite
def totals(draw: st.DrawFn, count: int) -> list[Tensor]:
    """`count` totals of the same lines, of which some are -inf."""
    n = draw(sizes)
    made = [10 * normal(n, seed=draw(seeds)) for _ in range(count)]
    return [t.masked_fill(chance(n, seed=draw(seeds), probability=0.3), float("-inf")) for t in made]


def part_of(tile: Tile, dim: int, part: slice) -> Tile:
    """The part of each line."""
    return cut(tile, slice(None), part) if dim == ROWS else cut(tile, part, slice(None))


def merged_parts(statistic: Statistic, tile: Tile, dim: int, parts: list[slice]) -> Tensor:
    return reduce(statistic.merge, [statistic.of(part_of(tile, dim, part), dim) for part in parts])


def derivative(statistic: Statistic, tile: Tile, dim: int) -> Tensor:
    """What autograd says, cell by cell."""
    logits = tile.logits.clone().requires_grad_()
    total = statistic.of(Tile(logits, tile.positive, tile.out), dim)
    (found,) = torch.autograd.grad(total, logits, torch.ones_like(total))
    return found


# ---- merge


@every_statistic
@law
@given(three=totals(3))
def test_merge_is_associative(statistic: Statistic, three: list[Tensor]) -> None:
    a, b, c = three
    one, other = statistic.merge(statistic.merge(a, b), c), statistic.merge(a, statistic.merge(b, c))
    assert_close(one, other, rtol=1e-14, atol=1e-14)


@every_statistic
@law
@given(two=totals(2))
def test_merge_is_commutative(statistic: Statistic, two: list[Tensor]) -> None:
    assert_close(statistic.merge(*two), statistic.merge(*reversed(two)), rtol=0, atol=0)


@every_statistic
@law
@given(one=totals(1))
def test_identity_changes_nothing(statistic: Statistic, one: list[Tensor]) -> None:
    nothing = torch.full_like(one[0], statistic.identity)
    assert_close(statistic.merge(one[0], nothing), one[0], rtol=0, atol=0)


@every_statistic
def test_a_line_without_a_cell_of_the_role_has_the_identity_for_its_total(statistic: Statistic) -> None:
    logits = normal(3, 4, seed=1)
    every = torch.ones(3, 4, dtype=torch.bool)
    positive = None if statistic.over == "positives" else every if statistic.over == "negatives" else ~every
    out = every if statistic.over == "candidates" else None
    for dim in (ROWS, COLUMNS):
        total = statistic.of(Tile(logits, positive, (out, out), marks(3, 4, seed=2)), dim)
        assert_close(total, torch.full_like(total, statistic.identity), rtol=0, atol=0)


@every_statistic
@law
@given(tile=tiles(), dim=dims, data=st.data())
def test_the_total_of_a_row_is_the_merge_of_its_parts_totals(
    statistic: Statistic, tile: Tile, dim: int, data: st.DataObject
) -> None:
    parts = data.draw(cuts(tile.logits.shape[dim]))
    assert_close(merged_parts(statistic, tile, dim, parts), statistic.of(tile, dim), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("statistic", [s for s in STATISTICS if not isinstance(s, Maximum)], ids=str)
@pytest.mark.parametrize("wrong", [torch.maximum, lambda one, other: (one + other) / 2, lambda one, _: one])
def test_a_wrong_merge_breaks_the_law_of_parts(statistic: Statistic, wrong: object) -> None:
    half = torch.tensor([[True, False, True, False, True, False]]).expand(3, 6)
    # below all logits, within them, above all of them; and within the slack of all
    compared = Marks(torch.tensor([0.0, 1.5, 9.0], dtype=torch.float64), None, torch.full((3,), 9.0), torch.ones(6))
    tile = Tile(1 + normal(3, 6, seed=2).abs(), half, (None, None), compared)
    parts = [slice(0, 2), slice(2, 6)]
    assert_close(merged_parts(statistic, tile, ROWS, parts), statistic.of(tile, ROWS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(statistic), "merge", lambda _, one, other: wrong(one, other))  # type: ignore[operator]  # `wrong` is a parameter of the test
        found = merged_parts(statistic, tile, ROWS, parts)
    with pytest.raises(AssertionError):
        assert_close(found, statistic.of(tile, ROWS))


@every_statistic
def test_a_wrong_identity_changes_something(statistic: Statistic) -> None:
    wrong = 1.0 if statistic.identity == 0 else 0.0
    one = torch.tensor([-3.0, 0.5, float("-inf")], dtype=torch.float64)
    with pytest.raises(AssertionError):
        assert_close(statistic.merge(one, torch.full_like(one, wrong)), one)


def test_a_statistic_of_another_role_is_another_statistic() -> None:
    tile = Tile(normal(3, 4, seed=3), torch.eye(3, 4, dtype=torch.bool), (None, None), marks(3, 4, seed=1))
    for kind in (LogSumExp, Sum, Count, Maximum, Softplus, Reaching, Tied, Squares, Tilted):
        of_role = [kind(role).of(tile, ROWS) for role in ROLES]
        for one, other in ((0, 1), (0, 2), (1, 2)):
            with pytest.raises(AssertionError):
                assert_close(of_role[one], of_role[other])


# ---- one cell alone


@every_slope
@law
@given(n=sizes, seed=seeds)
def test_a_cell_alone_is_a_tile_of_one_column(statistic: Statistic, n: int, seed: int) -> None:
    logit = normal(n, seed=seed)
    if statistic.ignores_buried:
        logit = logit.masked_fill(chance(n, seed=seed + 1, probability=0.2), float("-inf"))
    tile, every = Tile(logit[:, None]), replace(statistic, over="candidates")
    lone = every.of(tile, ROWS)
    assert_close(statistic.alone(logit), lone)
    for total in (lone, every.merge(lone, torch.ones_like(lone))):
        assert_close(statistic.pull_alone(logit, total), every.pull(tile, ROWS, total)[:, 0])


def test_two_parts_without_cells_have_a_gradient_of_0() -> None:
    one, other = (torch.tensor([-torch.inf, -torch.inf, 1.0], requires_grad=True) for _ in range(2))
    merged = LogSumExp("candidates").merge(one, other)
    assert_close(merged.detach(), LogSumExp("candidates").merge(one.detach(), other.detach()))
    for slope in torch.autograd.grad(merged.sum(), [one, other]):
        assert_close(slope, torch.tensor([0.0, 0.0, 0.5]))


# ---- pull


@every_slope
@law
@given(tile=tiles(), dim=dims)
def test_pull_is_the_derivative_of_the_total(statistic: Statistic, tile: Tile, dim: int) -> None:
    found = statistic.pull(tile, dim, statistic.of(tile, dim))
    assert_close(found, derivative(statistic, tile, dim), rtol=1e-12, atol=1e-14)


@every_slope
@law
@given(tile=tiles(), dim=dims, data=st.data())
def test_pull_needs_only_the_cell_and_the_total(
    statistic: Statistic, tile: Tile, dim: int, data: st.DataObject
) -> None:
    total = statistic.of(tile, dim)
    whole = statistic.pull(tile, dim, total)
    for rows in data.draw(cuts(tile.logits.shape[0])):
        for columns in data.draw(cuts(tile.logits.shape[1])):
            lines = rows if dim == ROWS else columns
            part = statistic.pull(cut(tile, rows, columns), dim, total[lines])
            assert_close(part, whole[rows, columns], rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.5])
def test_a_share_of_the_parts_total_is_not_the_derivative(power: float) -> None:
    """The wrong sibling: the softmax of a tile by itself, where the row goes on beyond the tile."""
    statistic, tile = LogSumExp("candidates", power), Tile(normal(3, 5, seed=4), None, (None, None))
    left = cut(tile, slice(None), slice(0, 2))
    right_share = statistic.pull(left, ROWS, statistic.of(tile, ROWS))
    wrong_share = statistic.pull(left, ROWS, statistic.of(left, ROWS))
    expected = derivative(statistic, tile, ROWS)[:, :2]
    assert_close(right_share, expected)
    with pytest.raises(AssertionError):
        assert_close(wrong_share, expected)


@every_slope
def test_a_pull_of_the_other_direction_is_not_the_derivative(statistic: Statistic) -> None:
    positive = torch.tensor([[True, False, False], [True, True, False], [False, True, True]])
    rows_out = torch.tensor([[False, False, True], [False, False, False], [True, False, False]])
    tile = Tile(normal(3, 3, seed=5), positive, (torch.zeros_like(rows_out), rows_out))
    found = statistic.pull(tile, ROWS, statistic.of(tile, ROWS))
    assert_close(found, derivative(statistic, tile, ROWS))
    if isinstance(statistic, LogSumExp) or statistic.over != "positives":  # positives are never out, in no direction
        with pytest.raises(AssertionError):
            assert_close(found, derivative(statistic, tile, COLUMNS))


def test_what_has_no_derivative_says_so() -> None:
    tile = Tile(normal(2, 2, seed=6).requires_grad_(), None, (None, None))
    for statistic in (Count("candidates"), Maximum("candidates")):
        total = statistic.of(tile, ROWS)
        assert not statistic.differentiable
        assert not total.requires_grad
        with pytest.raises(NotImplementedError):
            statistic.pull(tile, ROWS, total)


def test_a_role_that_no_cell_plays_is_refused() -> None:
    for kind in (LogSumExp, Sum, Count, Maximum, Softplus):
        with pytest.raises(ValueError, match="over is unknown"):
            kind("negative")  # type: ignore[arg-type]  # the mistake
