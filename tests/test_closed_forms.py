"""Where the answer is known exactly: minima, collapse, expectations, bounds on information, gradients."""

# N queries, K candidates of a query, C classes, D features

import itertools
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor
from torch.testing import assert_close

from info_nce import InfoNCE, contrast
from info_nce import functional as f
from info_nce.assemble import assemble, given_logits
from info_nce.engines import Dense, Engine, Tiled
from info_nce.objectives import Debiased, Decoupled, Robust
from info_nce.pairing import Listed, pairs
from info_nce.similarity import Cosine, DotProduct
from tests import reference as ref
from tests.strategies import normal

Loss = Callable[..., Tensor]

close = partial(assert_close, rtol=1e-11, atol=1e-11)
ENGINES: list[Engine] = [Dense(), Tiled(4, 5)]
every_engine = pytest.mark.parametrize("engine", ENGINES, ids=str)


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


# ---- minima of free unit vectors: a simplex


def least(loss: Callable[..., Tensor], *shapes: tuple[int, int]) -> tuple[Tensor, list[Tensor]]:
    """The least value that L-BFGS finds, and where."""
    leaves = [normal(*shape, seed=5 + i).requires_grad_() for i, shape in enumerate(shapes)]
    optimizer = torch.optim.LBFGS(
        leaves, max_iter=300, tolerance_grad=1e-12, tolerance_change=1e-16, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(*leaves)
        torch.autograd.backward(value)
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]  # torch has no types for it
    with torch.no_grad():
        return loss(*leaves), [F.normalize(leaf) for leaf in leaves]


N, D, TAU = 6, 5, 0.5
LABELS = torch.arange(3).repeat(4)  # 12 rows of 3 classes
PAIR = (N, D), (N, D)
MINIMA: dict[str, tuple[Loss, tuple[tuple[int, int], ...], float, float]] = {
    "info_nce": (f.info_nce, PAIR, ref.minimum_info_nce(N, TAU), 0.374036197931),
    "symmetric_info_nce": (f.symmetric_info_nce, PAIR, ref.minimum_info_nce(N, TAU), 0.374036197931),
    "nt_xent": (f.nt_xent, PAIR, ref.minimum_nt_xent(N, TAU), 0.645625466337),
    "dcl": (f.dcl, PAIR, ref.minimum_dcl(N, TAU), -0.097414907006),
    "sup_con": (
        lambda z, **settings: f.sup_con(z, LABELS, **settings),
        ((12, D),),
        ref.minimum_sup_con(12, 3, TAU),
        1.223274290467,
    ),
}


@every_engine
@pytest.mark.parametrize("name", MINIMA)
def test_the_least_loss_is_that_of_a_simplex(name: str, engine: Engine) -> None:
    loss, shapes, minimum, in_the_table = MINIMA[name]
    found, where = least(partial(loss, temperature=TAU, engine=engine), *shapes)
    assert_close(number(in_the_table), number(minimum), rtol=0, atol=1e-12)
    assert_close(found, number(minimum), rtol=0, atol=1e-9)
    cosines = where[0] @ where[-1].T
    if name == "sup_con":
        corner = torch.where(LABELS[:, None] == LABELS, 1.0, -1 / 2).double()
    else:
        corner = torch.where(torch.eye(N, dtype=torch.bool), 1.0, -1 / (N - 1)).double()
    # at a minimum an error of 1e-9 in the value is one of its square root in the place
    assert_close(cosines, corner, rtol=0, atol=1e-4)


def test_the_minimum_of_another_loss_is_refused() -> None:
    for name, (loss, shapes, _, _) in MINIMA.items():
        found, _ = least(partial(loss, temperature=TAU), *shapes)
        for other, (_, _, minimum, _) in MINIMA.items():
            if other != name and {name, other} != {"info_nce", "symmetric_info_nce"}:
                with pytest.raises(AssertionError):
                    assert_close(found, number(minimum), rtol=0, atol=1e-9)


@every_engine
@pytest.mark.parametrize("n", [2, 3, 7])
def test_a_simplex_has_its_loss_at_any_size_and_temperature(n: int, engine: Engine) -> None:
    corners = torch.tensor(ref.simplex(n), dtype=torch.float64)
    for tau in (0.05, 0.3, 2.0):
        settings: dict[str, Any] = {"temperature": tau, "engine": engine}
        close(f.info_nce(corners, corners, **settings), number(ref.minimum_info_nce(n, tau)))
        close(f.nt_xent(corners, corners, **settings), number(ref.minimum_nt_xent(n, tau)))
        close(f.dcl(corners, corners, **settings), number(ref.minimum_dcl(n, tau)))
        classes, labels = corners.repeat(3, 1), torch.arange(n).repeat(3)
        value = f.sup_con(classes, labels, **settings)
        close(value, number(ref.minimum_sup_con(3 * n, n, tau)))


@every_engine
def test_orthonormal_pairs(engine: Engine) -> None:
    axes = torch.eye(7, dtype=torch.float64)
    value = f.info_nce(axes, axes, temperature=0.3, engine=engine)
    close(value, number(ref.orthonormal_info_nce(7, 0.3)))
    with pytest.raises(AssertionError):
        close(value, number(ref.orthonormal_nt_xent(7, 0.3)))
    close(f.nt_xent(axes, axes, temperature=0.3, engine=engine), number(ref.orthonormal_nt_xent(7, 0.3)))


@every_engine
@pytest.mark.parametrize("n", [2, 5, 8])
def test_collapsed_embeddings(n: int, engine: Engine) -> None:
    equal = torch.tensor([[0.3, -0.4, 7.0]], dtype=torch.float64).expand(n, 3)
    labels = torch.arange(n) // 2 * 2 % n
    rows: list[tuple[Loss, float]] = [
        (f.info_nce, ref.collapsed_info_nce(n)),
        (f.symmetric_info_nce, ref.collapsed_info_nce(n)),
        (f.nt_xent, ref.collapsed_nt_xent(n)),
        (f.dcl, ref.collapsed_dcl(n)),
        (f.dclw, ref.collapsed_dcl(n)),
        (lambda a, b, **s: f.sup_con(torch.cat([a, b]), labels.repeat(2), **s), ref.collapsed_sup_con(2 * n)),
    ]
    for loss, expected in rows:
        for tau in (0.1, 1.0):
            value = loss(equal, equal, temperature=tau, engine=engine)
            close(value, number(expected))
            with pytest.raises(AssertionError):
                close(value, number(math.log(2 * n + 1)))  # nothing is compared with itself


# ---- expectations over labels, without sampling


def counts(classes: int, batch: int) -> Iterator[tuple[list[int], float]]:
    """How often each class may occur in a batch, and how probable that is for uniform labels."""
    for places in itertools.combinations(range(batch + classes - 1), classes - 1):
        edges = [-1, *places, batch + classes - 1]
        found = [b - a - 1 for a, b in itertools.pairwise(edges)]
        ways = math.factorial(batch) // math.prod(math.factorial(n) for n in found)
        yield found, ways / classes**batch


def expected(loss: Loss, classes: int, batch: int) -> Tensor:
    """The exact expectation of a loss of one-hot labels: all counts, each with its probability."""
    total = number(0)
    for found, probability in counts(classes, batch):
        labels = torch.repeat_interleave(torch.arange(classes), torch.tensor(found))
        one_hot = F.one_hot(labels, classes).double()
        total += probability * loss(one_hot, one_hot)
    return total


@every_engine
@pytest.mark.parametrize(("classes", "batch"), [(2, 8), (3, 5), (4, 4), (5, 2), (2, 13)])
def test_the_expected_loss_of_labels(classes: int, batch: int, engine: Engine) -> None:
    for tau in (0.1, 0.5):
        found = expected(partial(f.info_nce, temperature=tau, engine=engine), classes, batch)
        close(found, number(ref.label_toy_expected_loss(classes, batch, tau)))
        close(expected(partial(f.symmetric_info_nce, temperature=tau, engine=engine), classes, batch), found)
        with pytest.raises(AssertionError):
            close(found, number(ref.label_toy_expected_loss(classes, batch + 1, tau)))


@pytest.mark.parametrize(("classes", "batch"), [(2, 8), (3, 5), (4, 4)])
def test_the_bound_is_the_log_of_the_candidates_minus_the_loss(classes: int, batch: int) -> None:
    loss = expected(partial(f.info_nce, temperature=1e-3), classes, batch)
    bound = number(ref.label_toy_bound(classes, batch))
    close(math.log(batch) - loss, bound)
    assert float(bound) < math.log(classes)
    with pytest.raises(AssertionError):  # the number of negatives is not the number of candidates
        close(math.log(batch - 1) - loss, bound)


@pytest.mark.parametrize(("classes", "items", "excess"), [(2, 5, 0.695228), (2, 6, 0.696940), (3, 10, 1.101751)])
def test_nt_xent_is_no_bound_on_the_mutual_information(classes: int, items: int, excess: float) -> None:
    """Its negatives come in pairs: deterministic views of labels exceed log C, which they can carry at most."""
    loss = expected(partial(f.nt_xent, temperature=1e-3), classes, items)
    found = math.log(2 * items - 1) - loss
    close(found, number(ref.label_toy_nt_xent_excess(classes, items)))
    assert_close(found, number(excess), rtol=0, atol=6e-7)
    assert float(found) > math.log(classes)
    with pytest.raises(AssertionError):
        close(math.log(2 * items) - loss, number(ref.label_toy_nt_xent_excess(classes, items)))


# classes, batch, temperature, the expectation in the table
SAMPLED = [(10, 64, 0.1, 1.9294977792), (10, 64, 0.5, 2.6968611790), (2, 128, 0.5, 4.2895069593)]


@pytest.mark.parametrize(("classes", "batch", "tau", "value"), SAMPLED)
def test_sampled_labels_agree_with_their_expectation(classes: int, batch: int, tau: float, value: float) -> None:
    numbers = torch.Generator().manual_seed(1)
    losses = []
    for _ in range(200):
        z = F.one_hot(torch.randint(classes, (batch,), generator=numbers), classes).double()
        losses.append(f.info_nce(z, z, temperature=tau))
    found = torch.stack(losses)
    tolerance = 4 * float(found.std()) / math.sqrt(len(found))
    assert_close(number(value), number(ref.label_toy_expected_loss(classes, batch, tau)), rtol=0, atol=6e-11)
    assert_close(found.mean(), number(value), rtol=0, atol=tolerance)
    with pytest.raises(AssertionError):  # log(K - 1) - loss for log K - loss
        assert_close(found.mean() + math.log(batch / (batch - 1)), number(value), rtol=0, atol=tolerance)


# ---- correlated Gaussians: the bound of the optimal critic


def gaussian_batch(information: float, count: int, numbers: torch.Generator, width: int = 20) -> tuple[Tensor, Tensor]:
    """Pairs with this mutual information, embedded so that a dot product is log p(y|x) / p(y) up to a constant."""
    rho = math.sqrt(-math.expm1(-2 * information / width))
    v = 1 - rho**2
    x, noise = torch.randn(2, count, width, generator=numbers, dtype=torch.float64)
    y = rho * x + math.sqrt(v) * noise
    ones = torch.ones(count, 1, dtype=torch.float64)
    half_x, half_y = (-(rho**2) * z.square().sum(1, keepdim=True) / (2 * v) for z in (x, y))
    return torch.cat([rho * x / v, ones, half_x], 1), torch.cat([y, half_y, ones], 1)


def without_positive(query: Tensor, key: Tensor) -> Tensor:
    """The positive left out of the denominator: no bound."""
    positives, out = pairs(len(query), None, "out", query.device)
    return contrast(assemble(query, key, DotProduct(), 1.0, positives=positives, out=out), Decoupled())


K = 128
# information in nats, bound at 128 candidates, standard deviation of a batch, the value without the positive
GAUSSIANS = [
    (2.0, 1.8887, 0.149, 2.096),
    (4.0, 3.3391, 0.148, 4.503),
    (6.0, 4.2090, 0.110, 7.372),
    (8.0, 4.6262, 0.067, 10.840),
    (10.0, 4.7859, 0.036, 15.059),
]


@pytest.mark.parametrize(("information", "bound", "deviation", "no_bound"), GAUSSIANS)
def test_the_bound_of_the_optimal_critic(information: float, bound: float, deviation: float, no_bound: float) -> None:
    batches = 400 if information == 6.0 else 100
    numbers = torch.Generator().manual_seed(0)
    one_way, both_ways, decoupled = [], [], []
    for _ in range(batches):
        query, key = gaussian_batch(information, K, numbers)
        one_way.append(f.info_nce(query, key, temperature=1.0, similarity=DotProduct()))
        both_ways.append(f.symmetric_info_nce(query, key, temperature=1.0, similarity=DotProduct()))
        decoupled.append(without_positive(query, key))
    tolerance = 4 * deviation / math.sqrt(batches)
    for losses in (one_way, both_ways):
        value = math.log(K) - torch.stack(losses).mean()
        assert_close(value, number(bound), rtol=0, atol=tolerance)
        assert float(value) < min(information, math.log(K))
    values = math.log(K) - torch.stack(decoupled)
    overestimate = values.mean()
    # its batches scatter more, and the table knows it to 0.003
    scatter = 4 * (float(values.std()) / math.sqrt(batches) + 0.003)
    assert_close(overestimate, number(no_bound), rtol=0, atol=scatter)
    assert float(overestimate) > information
    with pytest.raises(AssertionError):
        assert_close(overestimate, number(bound), rtol=0, atol=tolerance)


# ---- gradients


def slopes(loss: Callable[..., Tensor], *tensors: Tensor) -> list[Tensor]:
    leaves = [tensor.detach().clone().requires_grad_() for tensor in tensors]
    return list(torch.autograd.grad(loss(*leaves), leaves))


Q, Y = normal(7, 4, seed=1), normal(7, 4, seed=2)
EYE = torch.eye(7, dtype=torch.float64)
SCALE = 1 / 0.7
S = SCALE * Q @ Y.T
P_ROW, P_COLUMN = torch.softmax(S, 1), torch.softmax(S, 0)
DOT: dict[str, Any] = {"temperature": 0.7, "similarity": DotProduct()}


@every_engine
def test_gradient_of_info_nce(engine: Engine) -> None:
    of_query, of_key = slopes(partial(f.info_nce, engine=engine, **DOT), Q, Y)
    close(of_query, SCALE / 7 * (P_ROW @ Y - Y))
    close(of_key, SCALE / 7 * (P_ROW.T @ Q - Q))
    for wrong in (SCALE * (P_ROW @ Y - Y), SCALE / 7 * (P_COLUMN @ Y - Y), 1 / 7 * (P_ROW @ Y - Y)):
        with pytest.raises(AssertionError):
            close(of_query, wrong)


@every_engine
def test_gradient_of_symmetric_info_nce(engine: Engine) -> None:
    of_query, of_key = slopes(partial(f.symmetric_info_nce, engine=engine, **DOT), Q, Y)
    force = (P_ROW + P_COLUMN) / 2 - EYE
    close(of_query, SCALE / 7 * force @ Y)
    close(of_key, SCALE / 7 * force.T @ Q)
    with pytest.raises(AssertionError):
        close(of_key, SCALE / 7 * force @ Q)


@every_engine
def test_gradient_of_nt_xent(engine: Engine) -> None:
    z = torch.cat([Q, Y])
    partner = z.roll(7, 0)
    p = torch.softmax((SCALE * z @ z.T).fill_diagonal_(float("-inf")), 1)
    found = torch.cat(slopes(partial(f.nt_xent, engine=engine, **DOT), Q, Y))
    close(found, SCALE / 14 * (p + p.T) @ z - SCALE / 7 * partner)
    with pytest.raises(AssertionError):  # both anchors pull, and both push
        close(found, SCALE / 14 * p @ z - SCALE / 14 * partner)


@every_engine
@pytest.mark.parametrize("inside", [False, True])
def test_gradient_of_sup_con(engine: Engine, *, inside: bool) -> None:
    labels = torch.tensor([0, 1, 0, 2, 1, 0, 3])  # labels 2 and 3 occur once
    s = (SCALE * Q @ Q.T).fill_diagonal_(float("-inf"))
    positive = (labels[:, None] == labels) & ~EYE.bool()
    some = positive.any(1, keepdim=True)
    even = positive / positive.sum(1, keepdim=True).clamp(min=1)
    among_positives = torch.softmax(s.masked_fill(~positive, float("-inf")), 1).nan_to_num(0)
    force = torch.where(some, torch.softmax(s, 1) - (among_positives if inside else even), 0) / some.sum()
    (found,) = slopes(lambda z: f.sup_con(z, labels, inside=inside, engine=engine, **DOT), Q)
    close(found, SCALE * (force + force.T) @ Q)
    other = torch.where(some, torch.softmax(s, 1) - (even if inside else among_positives), 0) / some.sum()
    with pytest.raises(AssertionError):
        close(found, SCALE * (other + other.T) @ Q)


@every_engine
def test_gradient_of_dcl(engine: Engine) -> None:
    z = torch.cat([Q, Y])
    partner = torch.eye(14, dtype=torch.float64).roll(7, 1)
    s = SCALE * z @ z.T
    negatives = s.masked_fill((torch.eye(14) + partner).bool(), float("-inf"))
    force = (torch.softmax(negatives, 1) - partner) / 14
    found = torch.cat(slopes(partial(f.dcl, engine=engine, **DOT), Q, Y))
    close(found, SCALE * (force + force.T) @ z)
    coupled = torch.cat(slopes(partial(f.nt_xent, engine=engine, **DOT), Q, Y))
    with pytest.raises(AssertionError):
        close(coupled, SCALE * (force + force.T) @ z)


@every_engine
def test_gradient_of_sigmoid_loss(engine: Engine) -> None:
    z = 2 * EYE - 1
    temperature, bias = number(0.7), number(-1.5)
    force = -z * torch.sigmoid(-z * (S + bias)) / 7

    loss = partial(f.sigmoid_loss, similarity=DotProduct(), engine=engine)
    of_query, of_key, of_temperature, of_bias = slopes(loss, Q, Y, temperature, bias)
    close(of_query, SCALE * force @ Y)
    close(of_key, SCALE * force.T @ Q)
    close(of_bias, force.sum())
    close(of_temperature, -SCALE * (force * S).sum())
    with pytest.raises(AssertionError):  # the mean over all pairs
        close(of_bias, force.mean())


@every_engine
@pytest.mark.parametrize(("q", "lam"), [(0.1, 0.01), (0.5, 0.2), (1.0, 1.0)])
def test_gradient_of_robust_info_nce(q: float, lam: float, engine: Engine) -> None:
    total = torch.exp(S).sum(1, keepdim=True)
    push = lam**q * total ** (q - 1) * torch.exp(S)
    force = (push - EYE * torch.exp(q * S)) / 7
    of_query, of_key = slopes(partial(f.robust_info_nce, q=q, lam=lam, engine=engine, **DOT), Q, Y)
    close(of_query, SCALE * force @ Y)
    close(of_key, SCALE * force.T @ Q)
    without_positive_in_sum = (push * (1 - EYE) - EYE * torch.exp(q * S)) / 7
    with pytest.raises(AssertionError):
        close(of_query, SCALE * without_positive_in_sum @ Y)


def on_logits(objective: Debiased | Robust | Decoupled, logits: Tensor, floor: float, engine: Engine) -> Tensor:
    """The gradient of the sum by the logits; the first candidate of each row is its positive."""
    leaf = logits.detach().clone().requires_grad_()
    first = Listed(torch.arange(logits.shape[1]).expand(logits.shape) == 0)
    given = {"floor": number(floor)}
    loss = contrast(given_logits(leaf, first), objective, given=given, reduction="sum", engine=engine)
    return torch.autograd.grad(loss, leaf)[0]


@every_engine
def test_gradient_of_the_debiased_loss_above_its_floor(engine: Engine) -> None:
    prior, count = 0.05, 6
    logits = normal(5, 1 + count, seed=3)
    positive, negatives = torch.exp(logits[:, :1]), torch.exp(logits[:, 1:])
    g = (negatives.mean(1, keepdim=True) - prior * positive) / (1 - prior)
    assert bool((g > math.exp(-9.0)).all())
    found = on_logits(Debiased(prior), logits, -9.0, engine)
    close(found[:, 1:], negatives / ((1 - prior) * (positive + count * g)))
    close(found[:, :1], -1 + positive * (1 - prior * count / (1 - prior)) / (positive + count * g))
    with pytest.raises(AssertionError):  # the correction pulls too
        close(found[:, :1], -1 + positive / (positive + count * g))


@every_engine
@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_gradient_of_the_debiased_loss_at_its_floor_leaves_the_negatives_alone(beta: float, engine: Engine) -> None:
    prior, count, floor = 0.6, 6, -1.0
    logits = normal(5, 1 + count, seed=4)
    logits[:, 0] += 3  # so much closer that the estimate is negative
    positive, g = torch.exp(logits[:, :1]), math.exp(floor)
    found = on_logits(Debiased(prior, beta), logits, floor, engine)
    assert_close(found[:, 1:], torch.zeros_like(found[:, 1:]), rtol=0, atol=0)
    close(found[:, :1], -count * g / (positive + count * g))
    with pytest.raises(AssertionError):
        assert_close(on_logits(Debiased(0.0, beta), logits, floor, engine), found)


@every_engine
@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_the_debiased_loss_of_a_single_negative(beta: float, engine: Engine) -> None:
    """One negative alone has all the weight, whatever beta is."""
    prior, logits = 0.1, torch.tensor([[0.3, 0.8], [1.0, -0.2]], dtype=torch.float64)
    first = Listed(torch.tensor([[True, False]] * 2))
    given, settings = {"floor": number(-9.0)}, {"reduction": "none", "engine": engine}
    found = contrast(given_logits(logits, first), Debiased(prior, beta), given=given, **settings)  # type: ignore[arg-type]  # settings by name
    positive, negative = torch.exp(logits).unbind(1)
    close(found, torch.log1p((negative - prior * positive) / (1 - prior) / positive))


@every_engine
def test_where_debiasing_leaves_exactly_nothing_the_floor_holds_and_the_gradient_is_a_number(engine: Engine) -> None:
    prior, floor = 0.25, -3.0
    logits = torch.tensor([[0.0, math.log(prior)]], dtype=torch.float64)
    found = on_logits(Debiased(prior), logits, floor, engine)
    close(found, torch.tensor([[-math.exp(floor) / (1 + math.exp(floor)), 0.0]], dtype=torch.float64))


@every_engine
@pytest.mark.parametrize("inside", [False, True])
def test_a_row_without_a_positive_pays_nothing(inside: bool, engine: Engine) -> None:
    found = f.sup_con(Q[:3], torch.tensor([0, 0, 1]), reduction="none", inside=inside, engine=engine)
    assert (found > 0).tolist() == [True, True, False]
    assert found[2] == 0


@every_engine
def test_the_face_of_the_debiased_loss_leaves_orthogonal_negatives_alone_at_its_floor(engine: Engine) -> None:
    """Orthonormal items, views that are equal: 1 - 0.2 e^2 < 0, so the floor holds and only the positives pull."""

    class Bounded(DotProduct):
        minimum = -1.0

    axes = torch.eye(6, dtype=torch.float64)
    loss = partial(f.debiased_info_nce, positive_prior=0.2, similarity=Bounded(), engine=engine)
    for slope in slopes(loss, axes, axes):
        assert_close(slope, slope.diagonal().diag(), rtol=0, atol=0)
        share = 10 * math.exp(-2) / (math.exp(2) + 10 * math.exp(-2))
        close(slope.diagonal(), torch.full((6,), -2 * 2 * share / 12, dtype=torch.float64))


# ---- gradients of temperature, bias and length


@every_engine
def test_gradient_of_the_temperature(engine: Engine) -> None:
    expected_excess = ((P_ROW * S).sum(1) - S.diagonal()).mean()
    settings: dict[str, Any] = {"similarity": DotProduct(), "engine": engine}
    (found,) = slopes(lambda t: f.info_nce(Q, Y, temperature=t, **settings), number(0.7))
    close(found, -SCALE * expected_excess)
    loss = InfoNCE(0.7, learnable=True, **settings).double()
    torch.autograd.backward(loss(Q, Y))
    # the scale is learned from a parameter in single precision
    assert loss.log_scale.grad is not None
    assert_close(loss.log_scale.grad.squeeze(), expected_excess, rtol=1e-6, atol=1e-7)
    with pytest.raises(AssertionError):
        close(found, expected_excess)
    each = torch.full((7,), 0.7, dtype=torch.float64)
    (of_each,) = slopes(lambda t: f.info_nce(Q, Y, temperature=t, **settings), each)
    close(of_each, -SCALE / 7 * ((P_ROW * S).sum(1) - S.diagonal()))


@every_engine
def test_gradient_of_the_temperature_by_the_oracle(engine: Engine) -> None:
    query, key = ref.views(6, 4, seed=1)
    tensors = [torch.tensor(x, dtype=torch.float64) for x in (query, key)]
    loss: Loss = f.info_nce
    (found,) = slopes(lambda t: loss(*tensors, temperature=t, engine=engine), number(0.1))
    close(found, number(ref.info_nce_temperature_gradient(query, key, 0.1)))
    for one, other in zip(
        slopes(partial(f.info_nce, engine=engine), *tensors), ref.info_nce_gradients(query, key, 0.1), strict=True
    ):
        close(one, torch.tensor(other, dtype=torch.float64))


def test_a_bias_that_all_candidates_share_is_useless_in_a_softmax() -> None:
    def biased(bias: Tensor) -> Tensor:
        return f.info_nce(Q, Y, log_q=-bias.expand(7), **DOT)

    close(slopes(biased, number(0.3))[0], number(0))
    with pytest.raises(AssertionError):
        close(slopes(lambda b: f.sigmoid_loss(Q, Y, 0.7, b), number(0.3))[0], number(0))


@every_engine
def test_gradient_through_unit_length(engine: Engine) -> None:
    raw = 3 * Q
    length = raw.norm(dim=1, keepdim=True)
    unit_query, unit_key = raw / length, F.normalize(Y)
    (of_unit, _) = slopes(partial(f.info_nce, similarity=DotProduct(), engine=engine), unit_query, unit_key)
    (of_raw, _) = slopes(partial(f.info_nce, similarity=Cosine(), engine=engine), raw, Y)
    close(of_raw, (of_unit - (of_unit * unit_query).sum(1, keepdim=True) * unit_query) / length)
    with pytest.raises(AssertionError):
        close(of_raw, of_unit / length)
