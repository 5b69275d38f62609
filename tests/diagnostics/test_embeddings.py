"""How embeddings lie: against loops over pairs, in memory without the pairs, and where there is nothing to measure."""

# N embeddings or queries, M keys, D features

import math
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch import distributed as dist
from torch.testing import assert_close

from info_nce.checks import ArgumentError, DTypeError, ShapeError
from info_nce.diagnostics import (
    Norms,
    alignment,
    effective_rank,
    embeddings,
    gathered,
    hubness,
    modality_gap,
    norms,
    singular_spectrum,
    tolerance,
    uniformity,
)
from info_nce.engines import Dense, Engine, Gathered, Tiled
from tests import reference as ref
from tests.distributed.spawn import RankError, run
from tests.reference.arithmetic import Matrix, Vector, mean
from tests.strategies import law, normal, seeds, sizes, some_sizes
from tests.test_checks import refuses
from tests.test_closed_forms import least
from tests.test_memory import Largest

NAN = float("nan")
ENGINES: list[Engine | None] = [None, Dense(), Tiled(4, 3), Tiled(100, 100)]
each_engine = pytest.mark.parametrize("engine", ENGINES, ids=str)


def close(found: Tensor | float, expected: float, tolerance: float = 1e-12) -> None:
    value = found.item() if isinstance(found, Tensor) else found
    assert_close(value, expected, rtol=tolerance, atol=tolerance)


def directions(rows: Tensor) -> Matrix:
    return [[x / math.hypot(*row) for x in row] for row in rows.tolist()]


def distance(one: Vector, other: Vector) -> float:
    return math.dist(one, other)


# ---- alignment


def mean_distance(query: Tensor, key: Tensor, alpha: float) -> float:
    """Wang and Isola 2020, arXiv:2005.10242, section 4.1.1: E |f(x) - f(y)|^alpha."""
    return mean(distance(a, b) ** alpha for a, b in zip(directions(query), directions(key), strict=True))


@law
@given(n=sizes, d=sizes, alpha=st.sampled_from([1.0, 2.0, 3.5]), seed=seeds)
def test_alignment_is_the_mean_distance_of_partners(n: int, d: int, alpha: float, seed: int) -> None:
    query, key = normal(n, d, seed=seed), normal(n, d, seed=seed + 1)
    close(alignment(query, key, alpha), mean_distance(query, key, alpha))


def test_the_distance_of_vectors_that_are_no_directions_is_no_alignment() -> None:
    query, key = normal(5, 3, seed=1), normal(5, 3, seed=2)
    for wrong in ((query - key).square().sum(1).mean(), alignment(query, key, 1.0), alignment(query, key.flip(0))):
        with pytest.raises(AssertionError):
            close(wrong, mean_distance(query, key, 2.0))


@pytest.mark.parametrize("alpha", [1.0, 2.0, 3.0])
def test_partners_that_have_met_are_aligned_without_a_slope(alpha: float) -> None:
    query = normal(4, 3, seed=3).requires_grad_()
    value = alignment(query, query.detach().clone(), alpha)
    (slope,) = torch.autograd.grad(value, query)
    close(value, 0.0)
    assert_close(slope, torch.zeros_like(slope))


def test_an_alignment_below_the_first_power_is_refused() -> None:
    q = normal(3, 2, seed=4)
    for alpha in (0.5, 0, NAN, float("inf")):
        refuses(ArgumentError, lambda alpha=alpha: alignment(q, q, alpha), "alpha")
    refuses(ShapeError, lambda: alignment(q, q[:2]), "positive_key", "query")
    refuses(ShapeError, lambda: alignment(q, q[:, :1]), "components")


# ---- uniformity


def log_mean_kernel(rows: Matrix, t: float) -> float:
    """Wang and Isola 2020, arXiv:2005.10242, section 4.1.2: log E exp(-t |f(x) - f(y)|^2), of distinct pairs."""
    kernels = [
        math.exp(-t * distance(one, other) ** 2) for i, one in enumerate(rows) for j, other in enumerate(rows) if i < j
    ]
    return math.log(mean(kernels))


@each_engine
@law
@given(n=some_sizes, d=sizes, t=st.sampled_from([0.5, 2.0, 8.0]), seed=seeds)
def test_uniformity_is_the_mean_kernel_of_distinct_pairs(
    engine: Engine | None, n: int, d: int, t: float, seed: int
) -> None:
    x = normal(n, d, seed=seed)
    close(uniformity(x, t, engine=engine), log_mean_kernel(directions(x), t), 1e-11)


def test_a_mean_with_the_diagonal_or_of_raw_vectors_is_no_uniformity() -> None:
    x = normal(6, 3, seed=1)
    rows = directions(x)
    with_itself = math.log(mean(math.exp(-2 * distance(a, b) ** 2) for a in rows for b in rows))
    for wrong in (with_itself, log_mean_kernel(x.tolist(), 2.0), log_mean_kernel(rows, 1.0)):
        with pytest.raises(AssertionError):
            close(uniformity(x), wrong, 1e-3)


def test_uniformity_is_0_in_one_point_and_least_on_a_simplex() -> None:
    # the cosine of a vector with itself is 1 but for the rounding of float32, times 2 t
    close(uniformity(torch.ones(5, 3)), 0.0, 1e-6)
    for n in (2, 3, 6):
        close(uniformity(torch.tensor(ref.simplex(n), dtype=torch.float64)), -4 * n / (n - 1))


@each_engine
def test_trained_with_uniformity_alone_free_points_end_on_a_simplex(engine: Engine | None) -> None:
    found, where = least(lambda z: uniformity(z, engine=engine), (6, 5))
    close(found, -4.8, 1e-9)
    corner = torch.where(torch.eye(6, dtype=torch.bool), 1.0, -1 / 5).double()
    assert_close(where[0] @ where[0].T, corner, rtol=0, atol=1e-4)  # the root of the error of the value


def test_zero_vectors_are_one_point_far_from_all_others() -> None:
    close(uniformity(torch.zeros(4, 3)), 0.0, 1e-6)
    x = torch.tensor([[0.0, 0.0], [0.0, 0.0], [3.0, 0.0]], dtype=torch.float64)
    close(uniformity(x), math.log((1 + 2 * math.exp(-4)) / 3))
    assert torch.autograd.grad(uniformity(x.requires_grad_()), x)[0].isfinite().all()


@pytest.mark.parametrize("t", [0, -1, 21, NAN])
def test_a_kernel_that_is_too_sharp_or_none_is_refused(t: float) -> None:
    refuses(ArgumentError, lambda: uniformity(torch.eye(3), t), "t")


@pytest.mark.parametrize("collapsed", [False, True])
def test_the_sharpest_kernel_stays_finite_in_single_precision(collapsed: bool) -> None:
    x = torch.ones(3000, 2) if collapsed else torch.eye(2).repeat(2, 1) * torch.tensor([[1], [1], [-1], [-1]])
    close(uniformity(x, 20.0), log_mean_kernel(directions(x[:4]), 20.0), 1e-5)


# ---- tolerance


def mean_cosine_of_a_class(x: Tensor, labels: Tensor) -> float:
    """Wang and Liu 2021, arXiv:2012.09740: the mean of f(x)^T f(y) over pairs with one label."""
    rows, tags = directions(x), labels.tolist()
    pairs = [(i, j) for i in range(len(rows)) for j in range(len(rows)) if i != j and tags[i] == tags[j]]
    return mean(math.fsum(a * b for a, b in zip(rows[i], rows[j], strict=True)) for i, j in pairs) if pairs else NAN


@law
@given(n=sizes, d=sizes, classes=st.sampled_from([1, 2, 4, 1000]), seed=seeds)
def test_tolerance_is_the_mean_cosine_of_classmates(n: int, d: int, classes: int, seed: int) -> None:
    x = normal(n, d, seed=seed)
    labels = torch.randint(-classes, classes, (n,), generator=torch.Generator().manual_seed(seed))
    expected = mean_cosine_of_a_class(x, labels)
    assert_close(float(tolerance(x, labels)), expected, rtol=1e-11, atol=1e-11, equal_nan=True)


def test_a_mean_over_all_pairs_or_over_classes_is_no_tolerance() -> None:
    x, labels = normal(7, 3, seed=5), torch.tensor([0, 0, 0, 0, 1, 1, 2])
    u = torch.tensor(directions(x), dtype=torch.float64)
    same = labels[:, None] == labels
    cosines = u @ u.T
    by_class = torch.stack([tolerance(x[labels == c], labels[labels == c]) for c in (0, 1)]).mean()
    others = same & ~torch.eye(7, dtype=torch.bool)
    for wrong in (cosines[same].mean(), (cosines * others).sum() / 42, by_class):
        with pytest.raises(AssertionError):
            close(tolerance(x, labels), float(wrong), 1e-3)


def test_wrong_labels_are_refused() -> None:
    x = normal(4, 3, seed=6)
    refuses(ShapeError, lambda: tolerance(x, torch.arange(3)), "labels")
    refuses(DTypeError, lambda: tolerance(x, torch.ones(4)), "labels")


# ---- what can be differentiated


MEASURES: dict[str, Callable[[Tensor], Tensor]] = {
    "alignment": lambda x: alignment(x, x.flip(1)),
    "alignment of power 3": lambda x: alignment(x, x.flip(1), 3.0),
    "uniformity": uniformity,
    "uniformity in tiles": lambda x: uniformity(x, engine=Tiled(2, 3)),
    "tolerance": lambda x: tolerance(x, torch.arange(len(x)) % 2),
}
EVERY: dict[str, Callable[[Tensor], Tensor]] = MEASURES | {
    "spectrum": singular_spectrum,
    "effective rank": effective_rank,
    "mean norm": lambda x: torch.tensor(norms(x).mean),
    "spread of norms": lambda x: torch.tensor(norms(x).spread),
    "longest": lambda x: torch.tensor(norms(x).longest),
    "hubness": lambda x: torch.tensor(hubness(x, 2).skewness),
    "antihubs": lambda x: torch.tensor(hubness(x, 2).never),
    "gap": lambda x: torch.tensor(modality_gap(x, x.flip(1)).distance),
    "share": lambda x: torch.tensor(modality_gap(x, x.flip(1)).share),
    "separated": lambda x: torch.tensor(modality_gap(x, x.flip(1)).separated),
}
each_measure = pytest.mark.parametrize("measure", EVERY.values(), ids=EVERY.keys())


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES.keys())
def test_the_gradient_is_that_of_the_value(measure: Callable[[Tensor], Tensor]) -> None:
    assert torch.autograd.gradcheck(measure, normal(5, 3, seed=7).requires_grad_())


# ---- hostile inputs


@each_measure
@pytest.mark.parametrize("bad", [NAN, float("inf")])
def test_what_is_not_finite_stays_visible(measure: Callable[[Tensor], Tensor], bad: float) -> None:
    x = torch.randn(6, 3)
    x[4, 1] = bad
    assert not measure(x).isfinite().any()


@each_measure
def test_nothing_is_refused_and_text_is_named(measure: Callable[[Tensor], Tensor]) -> None:
    refuses(ShapeError, lambda: measure(torch.empty(0, 3)), "empty")
    refuses(ShapeError, lambda: measure(torch.empty(3, 0)), "empty")
    refuses(ShapeError, lambda: measure(torch.ones(2, 3, 3)), "2 dimensions")
    refuses(DTypeError, lambda: measure(torch.ones(3, 3, dtype=torch.int64)), "floating-point")


@each_measure
def test_half_precision_is_measured_in_single(measure: Callable[[Tensor], Tensor]) -> None:
    x = torch.randn(8, 4)
    for dtype in (torch.float16, torch.bfloat16):
        found = measure(x.to(dtype))
        assert found.dtype in (torch.float32, torch.float64)
        assert_close(found, measure(x.to(dtype).float()), rtol=0, atol=0)


@each_measure
def test_memory_in_another_order_and_autocast_change_nothing(measure: Callable[[Tensor], Tensor]) -> None:
    x = torch.randn(8, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        # sums in another order
        assert_close(measure(x.T.contiguous().T), measure(x), rtol=1e-5, atol=1e-6)


def test_one_embedding_has_no_pair_and_no_direction() -> None:
    one = torch.ones(1, 3)
    assert uniformity(one).isnan()
    assert uniformity(one, engine=Tiled(1, 1)).isnan()
    assert tolerance(one, torch.zeros(1, dtype=torch.int64)).isnan()
    assert effective_rank(one).isnan()
    assert_close(singular_spectrum(one), torch.zeros(3, dtype=torch.float64))
    assert norms(one).spread == 0
    refuses(ShapeError, lambda: hubness(one, 1), "at least 2 embeddings")


# ---- spectrum and effective rank


@pytest.mark.parametrize("rows", [1, 3, 8192])
@law
@given(n=sizes, d=sizes, seed=seeds)
def test_the_spectrum_is_the_root_of_the_covariance(rows: int, n: int, d: int, seed: int) -> None:
    """Whatever is brought to double precision at once."""
    x = 5 + normal(n, d, seed=seed)
    expected = np.sqrt(np.linalg.eigvalsh(np.cov(x.numpy().T, bias=True).reshape(d, d)).clip(0))[::-1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embeddings, "_ROWS", rows)
        found = singular_spectrum(x)
    # the root of what the covariance is rounded by
    assert_close(found, torch.tensor(expected.copy()), rtol=1e-9, atol=2e-7)


def test_an_uncentred_spectrum_is_another() -> None:
    x = 5 + normal(6, 3, seed=1)
    uncentred = torch.linalg.svdvals(x) / math.sqrt(6)
    with pytest.raises(AssertionError):
        assert_close(singular_spectrum(x), uncentred, rtol=0.1, atol=0.1)


def test_collapsed_dimensions_are_a_cliff() -> None:
    flat = normal(50, 2, seed=2) @ normal(2, 6, seed=3) + normal(6, seed=4)
    found = singular_spectrum(flat)
    assert (found[:2] > 0.1).all()
    assert (found[2:] < 1e-14).all()
    assert 1 < effective_rank(flat) < 2.0001
    assert_close(singular_spectrum(flat[:3])[2:], torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-14)


def test_effective_rank_counts_directions() -> None:
    close(effective_rank(torch.eye(4).repeat(3, 1)), 3.0)  # the mean is taken off
    close(effective_rank(torch.arange(5.0)[:, None] * torch.ones(1, 7)), 1.0)
    assert effective_rank(torch.ones(5, 3)).isnan()
    # nothing but rounding would be left of the mean of such numbers
    assert effective_rank(torch.full((7, 3), 0.1, dtype=torch.float64)).isnan()


@law
@given(n=some_sizes, d=some_sizes, seed=seeds)
def test_effective_rank_is_that_of_the_singular_values(n: int, d: int, seed: int) -> None:
    x = normal(n, d, seed=seed)
    values = np.linalg.svd(x.numpy() - x.numpy().mean(0), compute_uv=False)
    shares = [float(v) for v in values / values.sum() if v > 0]
    close(effective_rank(x), math.exp(-math.fsum(p * math.log(p) for p in shares)), 1e-9)


def test_the_rank_of_variances_is_another() -> None:
    x = normal(9, 3, seed=5)
    shares = singular_spectrum(x).square()
    shares /= shares.sum()
    with pytest.raises(AssertionError):
        close(effective_rank(x), float(torch.special.entr(shares).sum().exp()), 1e-2)


# ---- norms


def test_norms_of_known_vectors() -> None:
    x = torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, -1.0], [1e-30, 0.0]])
    found = norms(x)
    assert found == Norms(mean=1.5, spread=found.spread, shortest=0.0, longest=5.0, zeros=1)
    close(found.spread, math.sqrt(17 / 4), 1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e19, 1e30])
def test_tiny_and_huge_vectors_have_lengths_and_neighbours(scale: float) -> None:
    x = torch.randn(16, 6)
    found, expected = norms(x * scale), norms(x)
    for name in ("mean", "spread", "shortest", "longest"):
        close(getattr(found, name) / scale, getattr(expected, name), 1e-6)
    assert found.zeros == 0
    assert norms(x / 0).longest == math.inf
    assert norms(x.double() * 1e200).spread == pytest.approx(expected.spread * 1e200)
    assert_close(hubness(x * scale, 3).occurrences, hubness(x, 3).occurrences, rtol=0, atol=0)


# ---- hubness


def occurrences(found: Tensor, k: int, query: Tensor | None = None) -> list[int]:
    """How often each is among the k with the largest cosine: of others, or of queries."""
    rows = directions(found)
    asking = rows if query is None else directions(query)
    counts: Counter[int] = Counter()
    for i, one in enumerate(asking):
        near = sorted(
            (j for j in range(len(rows)) if query is not None or j != i),
            key=lambda j: -math.fsum(a * b for a, b in zip(one, rows[j], strict=True)),
        )
        counts.update(near[:k])
    return [counts[j] for j in range(len(rows))]


@law
@given(n=st.sampled_from([4, 7, 11]), m=sizes, d=some_sizes, k=st.integers(1, 3), seed=seeds, alone=st.booleans())
def test_hubness_is_the_skewness_of_how_often_each_is_found(
    n: int, m: int, d: int, k: int, seed: int, *, alone: bool
) -> None:
    x = normal(n, d, seed=seed)
    query = None if alone else normal(m, d, seed=seed + 1)
    found = hubness(x, k, query=query, cells=8)
    expected = occurrences(x, k, query)
    assert found.occurrences.tolist() == expected
    assert found.most == max(expected)
    close(found.never, expected.count(0) / n)
    centre = mean(expected)
    spread = math.sqrt(mean((c - centre) ** 2 for c in expected))
    skewness = mean((c - centre) ** 3 for c in expected) / spread**3 if spread else 0.0
    close(found.skewness, skewness, 1e-9)


def test_a_hub_is_found_and_an_even_ring_has_none() -> None:
    star = torch.cat([torch.ones(1, 5), torch.eye(5)])
    found = hubness(star, 1)
    assert found.occurrences[0] == 5
    assert found.skewness > 1
    assert_close(found.occurrences[1:], torch.full((5,), 0.2).double())  # the middle finds them all alike
    assert found.never == 0
    angles = torch.arange(8) * 2 * math.pi / 8
    even = hubness(torch.stack([angles.cos(), angles.sin()], 1).double() + 0, 2)
    assert (even.skewness, even.never, even.most) == (0.0, 0.0, 2)


def test_nobody_is_a_neighbour_of_its_own_among_duplicates() -> None:
    same = torch.ones(6, 3)
    for k in (2, 5):
        found = hubness(same, k)
        assert (found.skewness, found.never, found.most) == (0.0, 0.0, k)
        assert found.occurrences.tolist() == [k] * 6


@pytest.mark.parametrize("k", [1, 3, 9, 10])
def test_copies_are_found_alike_in_whatever_order_and_chunks(k: int) -> None:
    lengths = 0.1 + torch.rand(60, 1, dtype=torch.float64)
    x = torch.randn(6, 5, dtype=torch.float64).repeat(10, 1) * lengths
    expected, order = hubness(x, k), torch.randperm(60)
    if k < 10:  # each has 9 copies
        assert expected.occurrences.tolist() == [k] * 60
    for cells in (1, 60, 150):
        assert_close(hubness(x, k, cells=cells).occurrences, expected.occurrences, rtol=0, atol=0)
        assert_close(hubness(x[order], k, cells=cells).occurrences, expected.occurrences[order], rtol=0, atol=0)


def test_who_is_found_by_a_share_is_found() -> None:
    corners = torch.eye(3)
    found = hubness(corners, 2, query=torch.tensor([[3.0, 2.0, 2.0], [1.0, 0.0, 0.0]]))
    assert found.occurrences.tolist() == [2, 1, 1]
    assert hubness(corners, 1, query=torch.ones(1, 3)).skewness == 0


@pytest.mark.parametrize("spread", [1e-3, 1e-4, 1e-6])
def test_neighbours_in_a_narrow_cone_are_told_apart(spread: float) -> None:
    x = torch.randn(1, 8) + spread * torch.randn(200, 8)
    found = hubness(x, 5)
    exact = x.numpy().astype(np.longdouble)
    exact /= np.sqrt((exact**2).sum(1, keepdims=True))
    apart = ((exact[:, None] - exact) ** 2).sum(2)
    np.fill_diagonal(apart, np.inf)
    expected = np.bincount(apart.argsort(1)[:, :5].ravel(), minlength=200)
    assert found.occurrences.tolist() == expected.tolist()


def test_zero_vectors_are_neither_near_nor_opposite() -> None:
    x = torch.tensor([[0.0, 0.0], [1.0, 0.1], [-1.0, 0.1]])
    found = hubness(x, 1, query=torch.tensor([[1.0, 0.0], [0.0, -1.0], [0.0, 0.0]]))
    assert_close(found.occurrences, torch.tensor([4 / 3, 4 / 3, 1 / 3], dtype=torch.float64))
    close(hubness(x[:1].repeat(4, 1), 2).most, 2.0)


@pytest.mark.parametrize("alone", [True, False])
def test_of_what_is_no_number_nobody_is_a_neighbour(*, alone: bool) -> None:
    x = torch.randn(6, 3)
    x[4, 1] = NAN
    found = hubness(x, 2) if alone else hubness(torch.eye(3), 2, query=x)
    assert [math.isnan(value) for value in (found.skewness, found.never, found.most)] == [True] * 3
    assert found.occurrences.isnan().all()


def test_autocast_confuses_no_neighbours() -> None:
    x = torch.randn(300, 3)
    rough = hubness(x.bfloat16(), 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = hubness(x, 3)
    assert_close(found.occurrences, hubness(x, 3).occurrences)
    with pytest.raises(AssertionError):
        assert_close(found.occurrences, rough.occurrences)


@pytest.mark.parametrize("cells", [0, -1, 2.5, "3", None, 1e18, True, NAN])
def test_chunks_of_no_whole_size_are_refused(cells: Any) -> None:
    refuses(ArgumentError, lambda: hubness(torch.eye(6), 2, cells=cells), "cells")


@pytest.mark.parametrize("k", [0, 6, 1.5, True])
def test_so_many_neighbours_that_are_not_there_are_refused(k: Any) -> None:
    refuses(ShapeError if k == 6 else ArgumentError, lambda: hubness(torch.eye(6), k), "k=")
    assert hubness(torch.eye(6), 6, query=torch.eye(6)).most == 6
    assert hubness(torch.eye(6), np.int64(5)).most == 5
    refuses(ShapeError, lambda: hubness(torch.eye(6), 1, query=torch.eye(5)), "components")


# ---- modality gap


@law
@given(n=sizes, m=sizes, d=some_sizes, seed=seeds)
def test_the_gap_is_between_the_means_and_part_of_all_distance(n: int, m: int, d: int, seed: int) -> None:
    query, key = normal(n, d, seed=seed), 1 + normal(m, d, seed=seed + 1)
    found = modality_gap(query, key)
    one, other = directions(query), directions(key)
    middle, far = ([mean(column) for column in zip(*rows, strict=True)] for rows in (one, other))
    close(found.distance, distance(middle, far))
    every = mean(distance(a, b) ** 2 for a in one for b in other)
    close(found.share, distance(middle, far) ** 2 / every, 1e-9)
    near = [distance(a, middle) < distance(a, far) for a in one] + [
        distance(b, far) < distance(b, middle) for b in other
    ]
    close(found.separated, mean(map(float, near)), 1e-9)
    assert -1e-12 <= found.share <= 1 + 1e-12


def test_one_place_has_no_gap_and_two_points_are_all_gap() -> None:
    x = normal(9, 4, seed=1)
    none = modality_gap(x, x.clone())
    assert (none.distance, none.share, none.separated) == (0.0, 0.0, 0.5)
    two = modality_gap(torch.tensor([[2.0, 0.0]] * 3), torch.tensor([[0.0, 1.0]] * 2))
    assert two.separated == 1.0
    close(two.distance, math.sqrt(2), 1e-6)
    close(two.share, 1.0, 1e-6)
    refuses(ShapeError, lambda: modality_gap(x, x[:, :2]), "components")


# ---- without the pairs


def test_no_measure_ever_holds_the_pairs() -> None:
    n, d = 3000, 4
    x, labels = torch.randn(n, d, requires_grad=True), torch.arange(n) % 7
    tile, rows = 1 << 20, 4 * n * (d + 1) * 8

    def measured(call: Callable[[], Any]) -> int:
        with Largest() as seen:
            value = call()
            if isinstance(value, Tensor) and value.requires_grad:
                torch.autograd.backward(value)
        largest: int = seen.bytes
        return largest

    assert measured(lambda: uniformity(x, engine=Tiled(256, 256))) <= tile
    assert measured(lambda: uniformity(x)) <= 16 << 20 < n * n * 4 / 2
    assert measured(lambda: hubness(x, 5, cells=tile // 8)) <= tile
    for light in (
        lambda: alignment(x, x.flip(0)),
        lambda: tolerance(x, labels),
        lambda: singular_spectrum(x),
        lambda: norms(x),
        lambda: modality_gap(x, x.flip(0)),
    ):
        assert measured(light) <= rows
    assert measured(lambda: uniformity(x, engine=Dense())) >= n * n * 4  # it would be noticed


# ---- across ranks


def _on_this_rank(engine: Engine, sizes: list[int]) -> tuple[float, Matrix]:
    rank = engine.ranks.rank
    rows = torch.split(normal(sum(sizes), 3, seed=1), sizes)[rank].clone().requires_grad_()
    value = uniformity(rows, engine=engine)
    (slope,) = torch.autograd.grad(value, rows)
    return value.item(), slope.tolist()


def test_uniformity_across_ranks_is_that_of_all_rows() -> None:
    sizes = [4, 1]
    every = normal(5, 3, seed=1).requires_grad_()
    expected = uniformity(every)
    (slope,) = torch.autograd.grad(expected, every)
    found = run(2, _on_this_rank, Gathered(), sizes)
    for (value, part), rows in zip(found, torch.split(slope, sizes), strict=True):
        close(value, expected.item())
        # each rank's gradient is reduced by a mean of ranks afterwards, see `Gathered`
        assert_close(torch.tensor(part, dtype=torch.float64), 2 * rows)
    with pytest.raises(AssertionError):
        close(found[0][0], uniformity(every[:4]).item())


def _put_together(sizes: list[int]) -> tuple[Matrix, list[int], bool, float]:
    rank = dist.get_rank()
    rows, labels = (torch.split(of, sizes)[rank] for of in (normal(sum(sizes), 3, seed=1), torch.arange(sum(sizes))))
    every, every_label = gathered(rows.requires_grad_(), labels)
    return every.tolist(), every_label.tolist(), every.requires_grad, effective_rank(every).item()


def test_gathered_are_the_rows_of_all_ranks_in_their_order() -> None:
    every = normal(5, 3, seed=1)
    for rows, labels, has_history, measured in run(3, _put_together, [3, 0, 2]):
        assert rows == every.tolist()
        assert labels == [0, 1, 2, 3, 4]
        assert not has_history
        close(measured, effective_rank(every).item())
    with pytest.raises(AssertionError):
        close(measured, effective_rank(every[:3]).item())


def _other_tensors(kind: str) -> None:
    first = dist.get_rank() == 0
    one = torch.ones(2, 3)
    given = {
        "number": [one] if first else [one, one],
        "shape": [one if first else torch.ones(2, 4)],
        "dtype": [one if first else one.double()],
        "no rows": [one if first else torch.ones(())],
    }
    gathered(*given[kind])


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("number", "rank 0: .*1 tensors"),
        ("shape", r"rank 1: .*tensor 1: \(4,\)"),
        ("dtype", "rank 1: .*float64"),
        ("no rows", "On rank 1 of 2, ArgumentError: What is put together needs rows"),
    ],
)
def test_ranks_that_bring_something_else_are_told_so(kind: str, says: str) -> None:
    with pytest.raises(RankError, match="RanksDisagreeError") as caught:
        run(2, _other_tensors, kind)
    assert re.search(says, str(caught.value))


def test_one_process_alone_gathers_what_it_has() -> None:
    x = normal(3, 2, seed=1).requires_grad_()
    (every,) = gathered(x)
    assert torch.equal(every, x)
    assert not every.requires_grad
    every.zero_()
    assert x.all()  # a copy, as of several
    assert gathered() == ()
    wrong: Any = "a"
    refuses(DTypeError, lambda: gathered(wrong), "tensors")
    with pytest.raises(ArgumentError, match="needs rows"):
        gathered(torch.ones(()))
