"""Data whose information is known: against tables, against densities of torch, and by simulation."""

# K candidates of a query, C classes

import dataclasses
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import MultivariateNormal
from torch.testing import assert_close

from info_nce import InfoNCE
from info_nce.checks import ArgumentError, DTypeError, ShapeError
from info_nce.diagnostics import CorrelatedGaussian, Labels, estimate, nwj
from tests import reference as ref
from tests.strategies import law, normal, seeds, temperatures
from tests.test_checks import refuses

# classes, candidates, bound at temperature 0, loss at temperature 0, 0.1 and 0.5
TABLE = [
    (2, 64, 0.6852723181, 3.4736107653, 3.4736561641, 3.6000792182),
    (2, 128, 0.6892255095, 4.1628047545, 4.1628501533, 4.2895069593),
    (2, 512, 0.6921696619, 5.5461549632, 5.5462003620, 5.6730272365),
    (10, 64, 2.2297932638, 1.9290898195, 1.9294977792, 2.6968611790),
    (10, 128, 2.2668829707, 2.5851472932, 2.5855557998, 3.3680834598),
    (10, 512, 2.2937639798, 3.9445606452, 3.9449691593, 4.7378676921),
    (100, 64, 3.7722758100, 0.3866072734, 0.3887131097, 2.3074559010),
    (100, 128, 4.1554188925, 0.6966113714, 0.6998451776, 2.9581320381),
    (100, 512, 4.5041025855, 1.7342220395, 1.7386773391, 4.3114643696),
]


# ---- labels


@pytest.mark.parametrize(("classes", "candidates", "bound", "loss", "at_a_tenth", "at_half"), TABLE)
def test_labels_cost_what_the_table_says(
    classes: int, candidates: int, bound: float, loss: float, at_a_tenth: float, at_half: float
) -> None:
    data = Labels(classes)
    assert data.expected_bound(candidates) == pytest.approx(bound, abs=1e-9)
    for temperature, value in ((0.0, loss), (0.1, at_a_tenth), (0.5, at_half)):
        assert data.expected_loss(candidates, temperature) == pytest.approx(value, abs=1e-9)
        assert data.expected_loss(candidates + 1, temperature) != pytest.approx(value, abs=1e-4)
    assert data.expected_bound(candidates) < data.information == math.log(classes)


@law
@given(classes=st.integers(1, 20), candidates=st.integers(1, 60), temperature=temperatures)
def test_labels_cost_what_a_sum_of_binomials_says(classes: int, candidates: int, temperature: float) -> None:
    expected = ref.label_toy_expected_loss(classes, candidates, temperature)
    assert Labels(classes).expected_loss(candidates, temperature) == pytest.approx(expected, abs=1e-11)


def test_extreme_labels() -> None:
    assert Labels(1).expected_loss(7, 0.1) == pytest.approx(math.log(7), abs=1e-12)
    assert Labels(1).information == Labels(1).expected_bound(1) == 0
    # for a query that is alone in its class, nearly always
    assert Labels(10**9).expected_bound(100) == pytest.approx(math.log(100), abs=1e-6)
    many = Labels(10).expected_bound(1_000_000)
    assert many == pytest.approx(math.log(10), abs=1e-4)
    assert many < math.log(10)


@pytest.mark.parametrize(("classes", "temperature"), [(10, 0.1), (10, 0.5), (3, 0.5)])
def test_sampled_labels_cost_what_is_expected(classes: int, temperature: float) -> None:
    data, numbers, criterion = Labels(classes), torch.Generator().manual_seed(0), InfoNCE(temperature)
    found = estimate(criterion, [data.critic(*data.sample(64, generator=numbers)) for _ in range(200)])
    assert abs(found.value - data.expected_loss(64, temperature)) < 4 * found.standard_error < 0.1
    assert abs(found.value - data.expected_loss(80, temperature)) > 4 * found.standard_error


# ---- Gaussians


@pytest.mark.parametrize(
    ("information", "rho"), [(2, 0.4257572629), (4, 0.5741776328), (6, 0.6717055634), (10, 0.7950600976)]
)
def test_the_correlation_of_the_table(information: float, rho: float) -> None:
    data = CorrelatedGaussian(20, information)
    assert data.rho == pytest.approx(rho, abs=1e-10)
    assert -10 * math.log(1 - data.rho**2) == pytest.approx(information, abs=1e-12)


@law
@given(d=st.sampled_from([1, 2, 5]), information=st.sampled_from([0.0, 0.5, 3.0]), seed=seeds)
def test_the_critic_is_the_log_density_ratio(d: int, information: float, seed: int) -> None:
    data = CorrelatedGaussian(d, information)
    x, y = normal(4, d, seed=seed), normal(3, d, seed=seed + 1)
    eye = torch.eye(d, dtype=torch.float64)
    joint: Any = MultivariateNormal(
        torch.zeros(2 * d, dtype=torch.float64),
        torch.cat([torch.cat([eye, data.rho * eye], 1), torch.cat([data.rho * eye, eye], 1)]),
    )
    alone: Any = MultivariateNormal(torch.zeros(d, dtype=torch.float64), eye)
    both = torch.cat([x[:, None].expand(4, 3, d), y.expand(4, 3, d)], 2)
    expected = joint.log_prob(both) - alone.log_prob(x)[:, None] - alone.log_prob(y)
    query, key = data.critic(x, y)
    assert_close(query @ key.T, expected, rtol=1e-9, atol=1e-9)
    if information:  # a critic without the squares is another
        with pytest.raises(AssertionError):
            assert_close(query[:, :d] @ key[:, :d].T, expected, rtol=1e-3, atol=1e-3)


def test_samples_are_standard_normal_and_correlated_component_by_component() -> None:
    data = CorrelatedGaussian(3, 2.0)
    x, y = data.sample(20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    eye = torch.eye(3, dtype=torch.float64)
    # a mean of 20,000 products has a standard error of at most 0.01
    for found, expected in ((x.T @ x, eye), (y.T @ y, eye), (x.T @ y, data.rho * eye)):
        assert_close(found / 20_000, expected, rtol=0, atol=0.05)
    with pytest.raises(AssertionError):
        assert_close(x.T @ y / 20_000, eye, rtol=0, atol=0.05)


def test_the_mean_of_the_critic_over_pairs_is_the_information() -> None:
    data, numbers = CorrelatedGaussian(4, 3.0), torch.Generator().manual_seed(0)
    values = []
    for _ in range(100):
        query, key = data.critic(*data.sample(100, generator=numbers))
        values.append([(query * key).sum(1).mean()])
    found = estimate(lambda value: value, values)
    assert abs(found.value - 3.0) < 4 * found.standard_error < 0.2


def test_independent_sides_say_nothing() -> None:
    data = CorrelatedGaussian(5, 0.0)
    x, y = data.sample(6)
    assert data.rho == 0
    assert math.copysign(1, CorrelatedGaussian(5, 0).rho) == 1
    query, key = data.critic(x, y)
    assert_close(query @ key.T, torch.zeros(6, 6))
    assert nwj(query, key) == 0


def test_a_critic_of_other_pairs_is_refused() -> None:
    critic: Any = CorrelatedGaussian(3, 2.0).critic
    x = torch.randn(4, 3)
    for other in (x[:, :2], torch.randn(4, 5)):
        refuses(ShapeError, lambda other=other: critic(other, x), "x", "(..., 3)")
        refuses(ShapeError, lambda other=other: critic(x, other), "y", "(..., 3)")
    refuses(ShapeError, lambda: critic(x, x[0]), "y", "2 dimensions")
    wrong: Any
    for wrong in (x.long(), x + 1j, x.tolist(), x.double()):
        refuses(DTypeError, lambda wrong=wrong: critic(x, wrong), "y")


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64, "float32", None])
def test_a_dtype_without_fractions_is_refused(dtype: Any) -> None:
    refuses(DTypeError, lambda: CorrelatedGaussian(3, 2.0).sample(4, dtype=dtype), "dtype")
    refuses(DTypeError, lambda: Labels(3).critic(*Labels(3).sample(4), dtype), "dtype")


def test_labels_of_other_classes_are_refused() -> None:
    critic: Any = Labels(3).critic
    x: Any = torch.tensor([0, 1, 2])
    assert_close(critic(x.int(), x)[0], torch.eye(3))
    for wrong in (x + 1, x - 1):
        refuses(ArgumentError, lambda wrong=wrong: critic(x, wrong), "y", "none of the classes")
    for wrong in (x.float(), x.tolist(), x > 0):
        refuses(DTypeError, lambda wrong=wrong: critic(wrong, x), "x", "integers")
    for wrong in (x[0], x[:, None]):
        refuses(ShapeError, lambda wrong=wrong: critic(x, wrong), "y")


# ---- both


@pytest.mark.parametrize("data", [CorrelatedGaussian(3, 1.0), Labels(5)], ids=str)
def test_draws_are_repeatable_and_their_size_is_checked(data: Any) -> None:
    one, other = (data.sample(7, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    for mine, yours in zip(one, other, strict=True):
        assert len(mine) == 7
        assert_close(mine, yours, rtol=0, atol=0)
    refuses(ArgumentError, lambda: data.sample(0), "count")
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(data, dataclasses.fields(data)[0].name, 2)


@pytest.mark.parametrize("information", [-0.1, math.nan, math.inf, 15.1])
def test_information_that_no_pairs_have_is_refused(information: float) -> None:
    refuses(ArgumentError, lambda: CorrelatedGaussian(3, information), "information")
    refuses(ArgumentError, lambda: CorrelatedGaussian(0, 1.0), "dimension")


def test_labels_of_no_class_and_unknown_expectations_are_refused() -> None:
    refuses(ArgumentError, lambda: Labels(0), "classes")
    refuses(ArgumentError, lambda: Labels(2).expected_loss(0, 0.1), "candidates")
    refuses(ArgumentError, lambda: Labels(2).expected_bound(0), "candidates")
    refuses(ArgumentError, lambda: Labels(2).expected_loss(3, -0.1), "temperature")
    wrong: Any = "0.1"
    refuses(DTypeError, lambda: Labels(2).expected_loss(3, wrong), "temperature")
