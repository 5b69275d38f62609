"""Estimates of critics: against loops over cells, in exact expectation, and what they refuse."""

# N pairs of a batch, D features

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from info_nce import InfoNCE, SymmetricInfoNCE
from info_nce.checks import ArgumentError, DTypeError, ShapeError
from info_nce.diagnostics import (
    CorrelatedGaussian,
    Labels,
    donsker_varadhan,
    estimate,
    jensen_shannon,
    mutual_information_bound,
    nwj,
    smile,
)
from info_nce.distributed import Ranks
from info_nce.engines import Auto, Dense, Engine, Gathered, Tiled
from info_nce.similarity import DotProduct
from tests.reference.arithmetic import Matrix, log_sigmoid, log_sum_exp, mean
from tests.strategies import law, normal, seeds, some_sizes
from tests.test_checks import refuses
from tests.test_memory import Largest

Estimator = Callable[..., Tensor]

NAN, INF = float("nan"), float("inf")
ENGINES: list[Engine | None] = [None, Dense(), Tiled(2, 3), Tiled(100, 100)]
each_engine = pytest.mark.parametrize("engine", ENGINES, ids=str)
ESTIMATORS: dict[str, Estimator] = {
    "donsker_varadhan": donsker_varadhan,
    "nwj": nwj,
    "jensen_shannon": jensen_shannon,
    "smile": smile,
}
each_estimator = pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


close = partial(assert_close, rtol=1e-11, atol=1e-11)


# ---- loops over the cells of f(x_i, y_j)


def pairs_of(f: Matrix) -> list[float]:
    return [row[i] for i, row in enumerate(f)]


def strangers_of(f: Matrix) -> list[float]:
    return [value for i, row in enumerate(f) for j, value in enumerate(row) if i != j]


def donsker_varadhan_loop(f: Matrix) -> float:
    """Belghazi et al. 2018, arXiv:1801.04062: E_p f - log E_q e^f."""
    others = strangers_of(f)
    return mean(pairs_of(f)) - (log_sum_exp(others) - math.log(len(others)))


def nwj_loop(f: Matrix) -> float:
    """Poole et al. 2019, arXiv:1905.06922, I_NWJ: E_p g - E_q e^g / e, where g = f + 1."""
    return mean(x + 1 for x in pairs_of(f)) - mean(math.exp(x + 1) for x in strangers_of(f)) / math.e


def classifier_loop(f: Matrix) -> float:
    """Nowozin et al. 2016, arXiv:1606.00709: E_p log s(f) + E_q log(1 - s(f)) with the logistic function s."""
    return mean(map(log_sigmoid, pairs_of(f))) + mean(log_sigmoid(-x) for x in strangers_of(f))


def smile_loop(f: Matrix, clip: float = 5.0) -> float:
    """Song and Ermon 2020, arXiv:1910.06222: E_p f - log E_q clip(e^f, e^-c, e^c)."""
    return mean(pairs_of(f)) - math.log(
        mean(min(max(math.exp(x), math.exp(-clip)), math.exp(clip)) for x in strangers_of(f))
    )


LOOPS: dict[str, Callable[[Matrix], float]] = {
    "donsker_varadhan": donsker_varadhan_loop,
    "nwj": nwj_loop,
    "jensen_shannon": nwj_loop,
    "smile": smile_loop,
}


@each_engine
@pytest.mark.parametrize("name", ESTIMATORS)
@law
@given(n=some_sizes, d=some_sizes, seed=seeds)
def test_an_estimate_is_its_formula(name: str, engine: Engine | None, n: int, d: int, seed: int) -> None:
    query, key = 2 * normal(n, d, seed=seed), 2 * normal(n, d, seed=seed + 1)
    f = query @ key.T
    expected = number(LOOPS[name](f.tolist()))
    size = max(1.0, abs(float(expected)))  # e^f may be large
    close(ESTIMATORS[name](query, key, engine=engine) / size, expected / size)
    close(ESTIMATORS[name](f, engine=engine) / size, expected / size)


@pytest.mark.parametrize("clip", [0.5, 1.0, 20.0])
def test_smile_clips_where_it_is_told_to(clip: float) -> None:
    f = 15 * normal(6, 6, seed=1)
    close(smile(f, clip=clip), number(smile_loop(f.tolist(), clip)))
    with pytest.raises(AssertionError):
        close(smile(f, clip=clip * 0.9), number(smile_loop(f.tolist(), clip)))
    close(smile(f, clip=100.0), donsker_varadhan(f))  # nothing is clipped


def test_the_usual_mistakes_are_other_numbers() -> None:
    f = normal(6, 6, seed=2)
    rows = [f[i][torch.arange(6) != i] for i in range(6)]
    joint = f.diagonal().mean()
    with_pairs = joint - (f.logsumexp((0, 1)) - math.log(36))
    row_by_row = joint - torch.stack([row.logsumexp(0) for row in rows]).mean() + math.log(5)
    not_shifted = joint - f.masked_fill(torch.eye(6, dtype=torch.bool), -INF).exp().sum() / 30 / math.e
    clipped = f.clamp(-0.5, 0.5)
    wrong = [
        (donsker_varadhan(f), with_pairs),
        (donsker_varadhan(f), row_by_row),
        (nwj(f), not_shifted),
        (nwj(f), 1 + joint - f.exp().mean()),
        (smile(f, clip=0.5), donsker_varadhan(clipped)),
        (smile(f, clip=0.5), donsker_varadhan(f)),
    ]
    for right, mistake in wrong:
        with pytest.raises(AssertionError):
            assert_close(right, mistake, rtol=1e-3, atol=1e-3)


# ---- gradients


@each_engine
@pytest.mark.parametrize("estimator", [donsker_varadhan, nwj])
def test_the_gradient_is_that_of_the_value(estimator: Estimator, engine: Engine | None) -> None:
    of = partial(estimator, engine=engine)
    query, key = (normal(4, 3, seed=i).requires_grad_() for i in (1, 2))
    assert torch.autograd.gradcheck(of, (query, key))
    assert torch.autograd.gradcheck(of, normal(4, 4, seed=3).requires_grad_())


@each_engine
@pytest.mark.parametrize("estimator", [jensen_shannon, partial(smile, clip=0.7)])
def test_the_gradient_is_that_of_a_classifier(estimator: Estimator, engine: Engine | None) -> None:
    f = normal(5, 5, seed=4).requires_grad_()
    others = ~torch.eye(5, dtype=torch.bool)
    likelihood = F.logsigmoid(f.diagonal()).mean() + F.logsigmoid(-f[others]).mean()
    close(likelihood.detach(), number(classifier_loop(f.tolist())))
    (expected,) = torch.autograd.grad(likelihood, f)
    (found,) = torch.autograd.grad(estimator(f, engine=engine), f)
    close(found, expected)
    (of_value,) = torch.autograd.grad(nwj(f), f)
    with pytest.raises(AssertionError):
        close(found, of_value)


# ---- in exact expectation, over all batches of a few symbols


def batches(joint: Tensor, count: int) -> Iterator[tuple[float, Tensor, Tensor]]:
    """Every batch of so many independent pairs of symbols: its probability, and both sides."""
    symbols = list(itertools.product(range(joint.shape[0]), range(joint.shape[1])))
    for chosen in itertools.product(symbols, repeat=count):
        x, y = torch.tensor(chosen).T
        yield float(joint[x, y].prod()), x, y


def expectation(estimator: Estimator, joint: Tensor, critic: Tensor, count: int) -> float:
    return math.fsum(p * float(estimator(critic[x][:, y])) for p, x, y in batches(joint, count))


def information(joint: Tensor) -> float:
    return float(torch.special.xlogy(joint, density_ratio(joint)).sum())


def density_ratio(joint: Tensor) -> Tensor:
    return joint / (joint.sum(1, keepdim=True) * joint.sum(0))


def info_nce_of(f: Tensor, face: Any = InfoNCE) -> Tensor:
    """The bound of the library's own loss: queries are axes, keys the columns of the critic."""
    axes = torch.eye(len(f), dtype=f.dtype)
    return mutual_information_bound(face(1.0, similarity=DotProduct()), axes, f.T.contiguous())


def joints(seed: int) -> Tensor:
    """Some distribution of 2 x 2 symbols, skewed or not."""
    return torch.softmax(2 * normal(4, seed=seed), 0).reshape(2, 2)


BOUNDS: dict[str, Estimator] = {
    "InfoNCE": info_nce_of,
    "SymmetricInfoNCE": partial(info_nce_of, face=SymmetricInfoNCE),
    "nwj": nwj,
    "jensen_shannon": jensen_shannon,
}


@pytest.mark.parametrize("bound", BOUNDS.values(), ids=BOUNDS)
@law
@given(seed=seeds, best=st.booleans())
def test_the_expectation_of_a_bound_is_never_above_the_information(bound: Estimator, seed: int, *, best: bool) -> None:
    joint = joints(seed)
    critic = density_ratio(joint).log() if best else 2 * normal(2, 2, seed=seed + 1)
    assert expectation(bound, joint, critic, 2) <= information(joint) + 1e-12


@law
@given(seed=seeds)
def test_nwj_is_exact_at_the_best_critic_and_donsker_varadhan_is_above(seed: int) -> None:
    joint = joints(seed)
    critic, truth = density_ratio(joint).log(), information(joint)
    for exact in (nwj, jensen_shannon):
        assert expectation(exact, joint, critic, 2) == pytest.approx(truth, abs=1e-12)
    assert expectation(donsker_varadhan, joint, critic, 2) >= truth - 1e-12
    assert expectation(info_nce_of, joint, critic, 2) < truth or truth < 1e-9


TWINS = torch.eye(2, dtype=torch.float64) * 0.48 + 0.01
"""Nearly always x = y."""


def test_donsker_varadhan_and_smile_are_no_bounds() -> None:
    critic, truth = density_ratio(TWINS).log(), information(TWINS)
    assert expectation(donsker_varadhan, TWINS, critic, 2) > truth + 0.2
    assert expectation(nwj, TWINS, critic, 3) == pytest.approx(truth, abs=1e-12)
    # all of the second mean lies in few pairs, which are clipped
    data, numbers = Labels(100), torch.Generator().manual_seed(0)
    x, y = data.sample(256, generator=numbers)
    best = torch.where(x[:, None] == y, data.information, -50.0)
    assert smile(best, clip=2.0) > data.information + 1


def test_more_candidates_show_more() -> None:
    critic, truth = density_ratio(TWINS).log(), information(TWINS)
    two, three = (expectation(info_nce_of, TWINS, critic, count) for count in (2, 3))
    assert two < three < truth
    assert two < math.log(2)


# ---- sampled Gaussians


def test_estimates_of_gaussians_at_the_best_critic() -> None:
    data, numbers = CorrelatedGaussian(20, 2.0), torch.Generator().manual_seed(0)
    sampled = [data.critic(*data.sample(128, generator=numbers)) for _ in range(300)]
    for exact in (nwj, jensen_shannon):
        found = estimate(exact, sampled)
        assert abs(found.value - 2.0) < 4 * found.standard_error < 0.3
    above = estimate(donsker_varadhan, sampled)
    assert above.value > 2.0 - 4 * above.standard_error
    without_others = estimate(lambda q, k: (q * k).sum(1).mean() - math.log(127), sampled)
    assert abs(without_others.value - 2.0) > 4 * without_others.standard_error  # a wrong estimate is rejected


def test_much_information_shows_what_is_biased_and_what_is_wild() -> None:
    data, numbers = CorrelatedGaussian(20, 6.0), torch.Generator().manual_seed(0)
    sampled = [data.critic(*data.sample(32, generator=numbers)) for _ in range(200)]
    found = {name: estimate(estimator, sampled) for name, estimator in ESTIMATORS.items()}
    bound = estimate(partial(mutual_information_bound, InfoNCE(1.0, similarity=DotProduct())), sampled)
    assert found["donsker_varadhan"].value > 6.0 + 4 * found["donsker_varadhan"].standard_error
    assert found["smile"].value > 6.0 + 4 * found["smile"].standard_error
    assert found["nwj"].standard_error > 5 * bound.standard_error
    assert bound.value < 6.0 - 4 * bound.standard_error


# ---- invariances


@law
@given(n=some_sizes, seed=seeds)
def test_what_a_constant_changes(n: int, seed: int) -> None:
    f, shift = normal(n, n, seed=seed), float(1 + normal(1, seed=seed + 1).abs())
    close(donsker_varadhan(f + shift), donsker_varadhan(f))
    close(nwj(f + shift) - shift, nwj(f) + (1 - math.exp(shift)) * (1 + f.diagonal().mean() - nwj(f)))
    with pytest.raises(AssertionError):
        close(nwj(f + shift), nwj(f))


@each_estimator
@law
@given(n=some_sizes, seed=seeds)
def test_the_order_and_the_sides_of_pairs_do_not_matter(estimator: Estimator, n: int, seed: int) -> None:
    f = normal(n, n, seed=seed)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    close(estimator(f[order][:, order]), estimator(f))
    close(estimator(f.T), estimator(f))


# ---- hostile inputs


@each_estimator
def test_what_is_no_critic_is_refused(estimator: Estimator) -> None:
    q = torch.randn(4, 3)
    refuses(ShapeError, lambda: estimator(q[:1], q[:1]), "no negatives")
    refuses(ShapeError, lambda: estimator(q[:1, :1]), "no negatives")
    refuses(ShapeError, lambda: estimator(q), "critic (4, 3)", "(4, 4)")
    refuses(ShapeError, lambda: estimator(torch.empty(0, 0)))
    refuses(ShapeError, lambda: estimator(q, q[:3]), "query", "key")
    refuses(ShapeError, lambda: estimator(q, q[:, :2]), "components")
    refuses(DTypeError, lambda: estimator(q, q.double()), "dtype")
    refuses(DTypeError, lambda: estimator([[1.0]]), "tensor")
    refuses(ArgumentError, lambda: estimator(q, q, q), "3 tensors")
    refuses(ArgumentError, estimator, "0 tensors")
    refuses(ArgumentError, lambda: estimator(q, q, engine="tiled"), "engine")


class _OfTwo(Dense):
    """An engine of two ranks, as far as it says."""

    ranks = Ranks(0, 2)


@each_estimator
def test_an_engine_across_ranks_is_refused(estimator: Estimator) -> None:
    q = torch.randn(4, 3)
    refuses(ArgumentError, lambda: estimator(q, q, engine=_OfTwo()), "one process")
    close(estimator(q, q, engine=Gathered()), estimator(q, q))  # alone, it is one of one process


@pytest.mark.parametrize("clip", [0, -1, NAN, INF])
def test_a_clip_that_leaves_nothing_is_refused(clip: float) -> None:
    refuses(ArgumentError, lambda: smile(torch.eye(3), clip=clip), "clip")


@each_estimator
@pytest.mark.parametrize("place", [(1, 1), (0, 2)])
@pytest.mark.parametrize("engine", [Dense(), Tiled(2, 2)], ids=str)
def test_what_is_not_finite_stays_visible(estimator: Estimator, place: tuple[int, int], engine: Engine) -> None:
    f = torch.randn(4, 4)
    f[place] = NAN
    assert estimator(f, engine=engine).isnan()
    q = torch.randn(4, 3)
    q[place] = NAN
    assert estimator(q, q.clone(), engine=engine).isnan()


@pytest.mark.parametrize(("place", "sign"), [((0, 1), 1), ((1, 1), 1), ((1, 1), -1)])
def test_a_value_without_limit_is_that_of_its_formula(place: tuple[int, int], sign: int) -> None:
    f = normal(4, 4, seed=1)
    f[place] = sign * INF
    f.requires_grad_()
    value = jensen_shannon(f)
    assert_close(value, nwj(f))
    assert torch.autograd.grad(value, f)[0].isfinite().all()
    close(smile(f).detach(), number(smile_loop(f.tolist())))


@each_estimator
def test_half_precision_is_computed_in_single(estimator: Estimator) -> None:
    q, k = torch.randn(2, 6, 4)
    for dtype in (torch.float16, torch.bfloat16):
        found = estimator(q.to(dtype), k.to(dtype))
        assert found.dtype == torch.float32
        assert_close(found, estimator(q.to(dtype).float(), k.to(dtype).float()))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_close(estimator(q, k), estimator(q.double(), k.double()).float())
    assert_close(estimator(q.T.contiguous().T, k), estimator(q, k))


def test_extreme_critics() -> None:
    f = 1000 * torch.eye(3) - 500
    close(donsker_varadhan(f), torch.tensor(1000.0))
    close(nwj(f), torch.tensor(501.0))
    close(nwj(-f), torch.tensor(-INF))  # e^500 is beyond single precision
    close(smile(-f), torch.tensor(-505.0))
    slope = torch.autograd.grad(jensen_shannon(-f.requires_grad_()), f)[0]
    assert slope.isfinite().all()


def test_no_estimate_holds_the_values_of_all_pairs() -> None:
    q, k = (torch.randn(3000, 3, requires_grad=True) for _ in range(2))
    for estimator in ESTIMATORS.values():
        for engine, held in ((Tiled(128, 128), False), (Auto(), False), (Dense(), True)):
            with Largest() as seen:
                torch.autograd.backward(estimator(q, k, engine=engine))
            assert (seen.bytes >= 3000 * 3000 * 4) is held, (estimator, engine, seen.operation)


# ---- from batches to an estimate


def test_the_standard_error_is_that_of_batches() -> None:
    values = [1.0, 2.0, 4.0, 5.0]
    found = estimate(lambda v: v, [[torch.tensor(v)] for v in values])
    spread = math.sqrt(sum((v - 3) ** 2 for v in values) / 3)
    assert (found.value, found.batches) == (3.0, 4)
    assert found.standard_error == pytest.approx(spread / 2)
    with pytest.raises(AssertionError):  # the spread around the batches' own mean is too small
        assert_close(found.standard_error, math.sqrt(sum((v - 3) ** 2 for v in values) / 4) / 2)
    assert str(found) == "3.0000 ± 0.9129 (4 batches)"


def test_one_batch_says_nothing_of_its_spread_and_none_says_nothing() -> None:
    one = estimate(nwj, [[torch.eye(3)]])
    assert one.batches == 1
    assert math.isnan(one.standard_error)
    refuses(ArgumentError, lambda: estimate(nwj, []), "no batch")
    refuses(ArgumentError, lambda: estimate(nwj, iter([])), "no batch")


def test_a_number_for_each_row_is_refused() -> None:
    def by_row(critic: Tensor) -> Tensor:
        return critic.diagonal()

    refuses(ShapeError, lambda: estimate(by_row, [[torch.eye(3)]]), "(3,)", "depend on each other")


def test_what_gives_no_estimate_is_refused() -> None:
    wrong: Any
    for wrong in (None, "2", [2.0], 1j, True):
        refuses(DTypeError, lambda wrong=wrong: estimate(lambda _: wrong, [[torch.eye(3)]]), "must give a number")
    for wrong in (None, 3):
        refuses(DTypeError, lambda wrong=wrong: estimate(nwj, wrong), "batches", type(wrong).__name__)
        refuses(DTypeError, lambda wrong=wrong: estimate(nwj, [wrong]), "a batch", type(wrong).__name__)
        refuses(DTypeError, lambda wrong=wrong: estimate(wrong, [[torch.eye(3)]]), "estimator")


def test_an_estimate_takes_no_gradient_and_shows_what_is_not_finite() -> None:
    seen: list[bool] = []

    def watched(critic: Tensor) -> Tensor:
        value = nwj(critic)
        seen.append(value.requires_grad)
        return value

    f = torch.randn(3, 3, requires_grad=True)
    batches: Sequence[Sequence[Tensor]] = [[f], [f * NAN]]
    assert math.isnan(estimate(watched, batches).value)
    assert seen == [False, False]
