"""What is computed without a sweep is what the whole matrix gives, or is left to a sweep."""

# N queries, M keys, V views

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from info_nce.engines import Dense
from info_nce.engines.apart import _Side, apart
from info_nce.pairing import AnyOf, Cells, Nowhere, Partner, SameTag, Without, labelled, pairs, views
from info_nce.scores import COLUMNS, ROWS, Role, ScoreMatrix
from info_nce.statistics import Count, LogSumExp, Maximum, Softplus, Statistic, Sum
from tests.strategies import Problem, law, normal, problems, seeds, sizes

CPU = torch.device("cpu")
ROLES: tuple[Role, ...] = ("candidates", "positives", "negatives")
MAKERS: dict[str, Callable[[Role], Statistic]] = {
    "count": Count,
    "sum": Sum,
    "log-sum-exp": LogSumExp,
    "maximum": Maximum,
    "softplus": Softplus,
}
STATISTICS: dict[str, Statistic] = {f"{name} {role}": make(role) for role in ROLES for name, make in MAKERS.items()}
SOME = {name: statistic for name, statistic in STATISTICS.items() if isinstance(statistic, (Count, Sum))}
law = settings(law, max_examples=30)  # each example is cheap
DIRECTIONS = st.sampled_from([(ROWS,), (ROWS, COLUMNS)])


def slopes(totals: Mapping[str, Tensor], leaves: list[Tensor]) -> list[Tensor]:
    """Gradients of a weighted sum, in which no two lines weigh the same."""
    moved = [total for _, total in sorted(totals.items()) if total.requires_grad]
    weights = [torch.linspace(0.5, 1.5, len(t), dtype=t.dtype) + 0.1 * place for place, t in enumerate(moved)]
    if not moved:
        return [torch.zeros_like(leaf) for leaf in leaves]
    # one tile has many totals
    return list(
        torch.autograd.grad(moved, leaves, weights, retain_graph=True, allow_unused=True, materialize_grads=True)
    )


def assert_apart_is_dense(matrix: ScoreMatrix, leaves: list[Tensor], directions: tuple[int, ...]) -> set[str]:
    """What is found equals the whole matrix's, with its gradient; no statistic is lost.

    Returns:
        what was found.
    """
    found, left = apart(matrix, STATISTICS, directions)
    whole = Dense().totals_along([matrix], STATISTICS, directions)
    for side, right in zip(found, whole, strict=True):
        names = set(side)
        assert names | set(left) == set(STATISTICS)
        assert not names & set(left)
        assert_close(side, {name: right[name] for name in side}, rtol=1e-11, atol=1e-11)
        assert_close(slopes(side, leaves), slopes({n: right[n] for n in side}, leaves), rtol=1e-11, atol=1e-11)
    return set(found[0])


@law
@given(problem=problems(), directions=DIRECTIONS)
def test_what_is_found_apart_is_what_the_whole_matrix_gives(problem: Problem, directions: tuple[int, ...]) -> None:
    found = assert_apart_is_dense(problem.matrix(), problem.leaves, directions)
    if problem.offset is None or directions == (ROWS,):
        assert {"sum positives", "count positives"} <= found


@law
@given(
    n=sizes,
    v=st.integers(2, 3),
    seed=seeds,
    ids=st.booleans(),
    offset=st.booleans(),
    mirrored=st.booleans(),
    same_id=st.sampled_from(["out", "positive"]),
    directions=DIRECTIONS,
)
def test_of_pairs_views_and_labels_too(
    n: int, v: int, seed: int, ids: bool, offset: bool, mirrored: bool, same_id: Any, directions: tuple[int, ...]
) -> None:
    tags = torch.randint(3, (n,), generator=torch.Generator().manual_seed(seed))
    for (positives, out), rows in (
        (pairs(n, tags if ids else None, same_id, CPU), n),
        (views(v, n, tags if ids else None, same_id, CPU), v * n),
        (labelled(tags), n),
    ):
        query = normal(rows, 3, seed=seed).requires_grad_()
        key = query if mirrored else normal(rows, 3, seed=seed + 1).requires_grad_()
        added = normal(rows, seed=seed + 2).requires_grad_() if offset and not mirrored else None
        matrix = ScoreMatrix(query, key, positives, out, added, mirrored=mirrored)
        leaves = [query] + [leaf for leaf in (key, added) if leaf is not None and leaf is not query]
        found = assert_apart_is_dense(matrix, leaves, directions)
        if added is None:
            assert {f"count {role}" for role in ROLES} <= found


def test_what_takes_a_sweep_is_left_to_it() -> None:
    query, key = normal(5, 3, seed=1), normal(7, 3, seed=2)
    tagged = SameTag(torch.arange(5) % 3, torch.arange(7) % 3)
    plain = ScoreMatrix(query, key, tagged, Nowhere())
    other = {name for name in STATISTICS if name.split()[0] not in ("count", "sum")}
    assert set(apart(plain, STATISTICS, (ROWS, COLUMNS))[1]) == other
    lists = ScoreMatrix(query, key[None].expand(5, 7, 3), tagged, Nowhere())
    assert apart(lists, STATISTICS, (ROWS,)) == (({},), STATISTICS)
    # one positive per line is read from a tile, so that it cancels exactly
    partner = ScoreMatrix(query, key, Partner(torch.arange(5)), Nowhere())
    assert set(apart(partner, STATISTICS, (ROWS,))[1]) == other | {"sum positives"}
    # of a sum over a million cells less nearly all of them, the rounding would be left
    few = ScoreMatrix(query, key, Partner(torch.arange(5)), Without(tagged, Partner(torch.arange(5))))
    assert {"sum candidates", "sum negatives"} <= set(apart(few, STATISTICS, (ROWS,))[1])


def test_sums_of_suspects_are_left_to_a_sweep() -> None:
    problem = Problem(
        normal(5, 3, seed=1),
        normal(7, 3, seed=2),
        (torch.arange(5), torch.arange(7)),
        limits=(normal(5, seed=3), normal(7, seed=4)),
    )
    assert set(apart(problem.matrix(), STATISTICS, (ROWS, COLUMNS))[0][0]) == {"count positives", "sum positives"}


TAGGED = SameTag(torch.tensor([1, 0, 1, 7, 2]), torch.tensor([0, 1, 1, 5, 0]))
DIAGONAL, FIFTH = Partner(torch.arange(5)), Partner(torch.tensor([4, 0, 4, 2, 1]))
products, sums = _Side._products, _Side._sums


def without_offset(side: _Side, statistic: Sum) -> Tensor | None:
    side.offset = None
    return products(side, statistic)


def without_out(side: _Side, role: str, values: Tensor) -> Tensor | None:
    side.out = Nowhere()
    return sums(side, role, values)


def positives_too(side: _Side, role: str, values: Tensor) -> Tensor | None:
    return sums(side, "candidates" if role == "negatives" else role, values)


def of_rows(side: _Side, matrix: ScoreMatrix, dim: int) -> None:
    init(side, matrix, dim)
    side.positives, side.out = matrix.positives, matrix.out


def of_all_columns(side: _Side, matrix: ScoreMatrix, dim: int) -> None:
    init(side, matrix, dim)
    side.known = True


def both_twice(cells: AnyOf, values: Tensor) -> Tensor | None:
    one, other = cells.one.sums(values), cells.other.sums(values)
    return None if one is None or other is None else one + other


init = _Side.__init__


@pytest.mark.parametrize(
    ("owner", "method", "wrong"),
    [
        (_Side, "_products", without_offset),
        (_Side, "_sums", without_out),
        (_Side, "_sums", positives_too),
        (_Side, "__init__", of_rows),
        (_Side, "__init__", of_all_columns),
        (AnyOf, "sums", both_twice),
        (SameTag, "sums", lambda cells, values: (cells.query[:, None] <= cells.key).to(values.dtype) @ values),
    ],
)
def test_a_mistake_is_noticed(owner: type, method: str, wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    query, key, offset = (
        normal(*shape, seed=seed).requires_grad_() for seed, shape in enumerate(((5, 3), (5, 3), (5,)))
    )
    sets: list[tuple[Cells, Cells, Tensor | None]] = [
        (TAGGED, DIAGONAL, None),
        (TAGGED, DIAGONAL, offset),
        (FIFTH, TAGGED | DIAGONAL, None),
    ]

    def agree() -> None:
        for positives, out, added in sets:
            matrix = ScoreMatrix(query, key, positives, out, added)
            assert_apart_is_dense(matrix, [query, key, offset], (ROWS, COLUMNS) if added is None else (ROWS,))
        assert_apart_is_dense(ScoreMatrix(query, key, TAGGED, Nowhere(), offset), [query, key, offset], (ROWS, COLUMNS))

    agree()
    monkeypatch.setattr(owner, method, wrong)
    with pytest.raises(AssertionError):
        agree()
