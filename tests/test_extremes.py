"""Where float32 has little room: every engine against float64, at the edges of temperature, size, length and role."""

# N queries, M keys, D features

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor
from torch.testing import assert_close

from info_nce import functional as f
from info_nce.assemble import assemble
from info_nce.contrast import contrast
from info_nce.engines import Auto, Dense, Engine, Tiled, exponentials
from info_nce.engines.base import Totals
from info_nce.engines.exponentials import _RANGES, Force, Term
from info_nce.engines.parts import Part
from info_nce.objectives import Decoupled, Objective, Robust, Sigmoid, Softmax, SoftmaxInside
from info_nce.pairing import Cells, Partner, SameTag, Shifted
from info_nce.similarity import DotProduct
from info_nce.statistics import Softplus, Statistic
from tests.strategies import normal

ENGINES: list[Engine] = [Dense(), Tiled(), Tiled(4), Tiled(4, 3), Auto()]
every_engine = pytest.mark.parametrize("engine", ENGINES, ids=str)
every_way = pytest.mark.parametrize("engine", ENGINES[:-1], ids=str)  # Auto takes one of these
EPS = torch.finfo(torch.float32).eps

Loss = Callable[..., Tensor]


def sup_con(query: Tensor, key: Tensor, **options: Any) -> Tensor:
    every = torch.cat([query, key])
    labels = torch.arange(len(every)) % max(1, len(query) // 2)
    return f.sup_con(every, labels, **options)


LOSSES: dict[str, Loss] = {
    "InfoNCE": f.info_nce,
    "symmetric": f.symmetric_info_nce,
    "NT-Xent": f.nt_xent,
    "SupCon": sup_con,
    "SupCon inside": lambda q, k, **options: sup_con(q, k, inside=True, **options),
    "DCL": f.dcl,
    "debiased": f.debiased_info_nce,
    "hard": lambda q, k, **options: f.hard_negative_info_nce(q, k, positive_prior=0.01, **options),
    "hard, little": lambda q, k, **o: f.hard_negative_info_nce(q, k, beta=0.05, positive_prior=0.01, **o),
    "robust": lambda q, k, **options: f.robust_info_nce(q, k, q=0.01, **options),
    "SigLIP": f.sigmoid_loss,
    "retrieval": f.retrieval_info_nce,
}
SOFT = ["InfoNCE", "symmetric", "NT-Xent", "SupCon", "SupCon inside", "DCL", "retrieval"]


def slopes(loss: Loss, tensors: Sequence[Tensor], dtype: torch.dtype, **options: Any) -> tuple[Tensor, list[Tensor]]:
    """The loss, and the gradient of its sum, weighted if it is one number per query."""
    leaves = [tensor.detach().to(dtype).requires_grad_() for tensor in tensors]
    value = loss(*leaves, **options)
    weight = torch.linspace(0.5, 1.5, len(value), dtype=value.dtype) if value.dim() else torch.ones_like(value)
    return value.detach(), list(torch.autograd.grad((value * weight).sum(), leaves))


def assert_single_is_double(
    loss: Loss, tensors: Sequence[Tensor], engine: Engine, *, reach: float, steep: float, **options: Any
) -> None:
    """Single precision agrees with double within the rounding of logits, which is what single precision is.

    A logit of `reach` is known to eps * reach. The loss can change by as much, the share of a cell by that factor, and
    what the cells of a line hand to an embedding, which is `steep` at most, by that times `steep`.
    """
    value, found = slopes(loss, tensors, torch.float32, engine=engine, **options)
    expected, right = slopes(loss, tensors, torch.float64, engine=Dense(), **options)
    rounding = 8 * EPS * (1 + reach)
    assert_close(value.double(), expected, rtol=rounding, atol=rounding)
    for one, other in zip(found, right, strict=True):
        assert_close(one.double(), other, rtol=rounding, atol=rounding * steep)


def pair(n: int, d: int, *, noise: float, seed: int = 1) -> list[Tensor]:
    """Queries and keys of unit length; with little noise, as a trained encoder gives them."""
    query = F.normalize(normal(n, d, seed=seed).float(), dim=1)
    return [query, F.normalize(query + noise * normal(n, d, seed=seed + 1).float(), dim=1)]


# ---- temperatures


@every_engine
@pytest.mark.parametrize("name", LOSSES)
def test_very_small_and_very_large_temperatures(name: str, engine: Engine) -> None:
    for temperature, noise, reduction in itertools.product((0.005, 10.0), (0.05, 1.0), ("mean", "none")):
        options = {"temperature": temperature, "reduction": reduction}
        reach = 1 / temperature
        assert_single_is_double(LOSSES[name], pair(9, 6, noise=noise), engine, reach=reach, steep=reach, **options)


def test_a_wrong_shift_would_be_noticed_there() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(_RANGES, torch.float32, replace(_RANGES[torch.float32], room=1e9))
        with pytest.raises(AssertionError):
            test_very_small_and_very_large_temperatures("NT-Xent", Tiled(4, 3))


# ---- logits of several hundred


@every_engine
@pytest.mark.parametrize("name", ["InfoNCE", "symmetric", "NT-Xent", "SupCon", "SupCon inside", "DCL", "SigLIP"])
def test_dot_products_of_several_hundred(name: str, engine: Engine) -> None:
    query, key = (12 * tensor for tensor in pair(13, 6, noise=1.0))
    key[::2] *= 2
    for reduction in ("mean", "none"):
        options = {"similarity": DotProduct(), "temperature": 1.0, "reduction": reduction}
        assert_single_is_double(LOSSES[name], [query, key], engine, reach=600, steep=30, **options)


# ---- a column far below every row's maximum


def far_below(n: int = 9) -> list[Tensor]:
    """Keys that lie along a direction, but for one that lies against it: 150 below and more for every query."""
    query, key = normal(n, 5, seed=1).float(), normal(n, 5, seed=2).float()
    query[:, 0], key[:, 0], key[2, 0] = 10, 10, -10
    return [query, key]


@every_engine
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_a_key_that_is_far_from_every_query_still_looks_for_its_own(engine: Engine, reduction: str) -> None:
    query, key = far_below()
    logits = query @ key.mT
    assert (logits.amax(1) - logits[:, 2].amax()).min() > 150
    options: dict[str, Any] = {"similarity": DotProduct(), "temperature": 1.0, "reduction": reduction}
    assert_single_is_double(f.symmetric_info_nce, [query, key], engine, reach=120, steep=12, **options)


@every_engine
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_a_view_that_is_far_from_every_other_still_looks_for_its_own(engine: Engine, reduction: str) -> None:
    """Half of a mirrored matrix: its row is the others' column."""
    options: dict[str, Any] = {"similarity": DotProduct(), "temperature": 1.0, "reduction": reduction}
    losses: list[Loss] = [f.nt_xent, f.dcl, sup_con]
    for loss in losses:
        assert_single_is_double(loss, far_below(), engine, reach=120, steep=12, **options)


def test_a_shift_of_rows_alone_would_be_noticed() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(_RANGES, torch.float32, replace(_RANGES[torch.float32], clear=1e9))
        for test in (
            test_a_key_that_is_far_from_every_query_still_looks_for_its_own,
            test_a_view_that_is_far_from_every_other_still_looks_for_its_own,
        ):
            for engine in (Tiled(), Tiled(4)):
                with pytest.raises(AssertionError):
                    test(engine, "mean")


# ---- sizes


OBJECTIVES: list[Objective] = [Softmax(), Softmax(0.1), SoftmaxInside(), Decoupled(), Robust(), Sigmoid()]


@pytest.mark.parametrize("engine", [Tiled(), Tiled(4, 3), Tiled(1, 1), Tiled(64), Tiled(64, 64)], ids=str)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (3, 5), (65, 65), (2, 65)])
def test_odd_sizes(size: tuple[int, int], engine: Engine) -> None:
    n, m = size
    if n * m > 100 and engine in (Tiled(1, 1), Tiled(4, 3)):
        pytest.skip("so many tiles say nothing that fewer do not")
    sets: list[Cells] = [Partner(torch.arange(n) % m), SameTag(torch.arange(n) % 3, torch.arange(m) % 3)]
    if n == m:
        sets.append(Shifted(n, 1 % n, torch.device("cpu")))
    tensors = [normal(n, 4, seed=1), normal(m, 4, seed=2)]
    for positives, objective, symmetric in itertools.product(sets, OBJECTIVES, (False, True)):
        if isinstance(objective, Robust) and (m > n or not isinstance(positives, Partner)):
            continue  # it has no answer to a query without a positive, and no face asks
        for reduction in ("mean", "none") if not symmetric or n == m else ("mean",):

            def loss(query: Tensor, key: Tensor, engine: Engine, **options: Any) -> Tensor:
                matrix = assemble(query, key, DotProduct(), 1.0, positives=positives)  # noqa: B023 - called at once
                return contrast(matrix, objective, engine=engine, **options)  # noqa: B023 - called at once

            options = {"symmetric": symmetric, "reduction": reduction}
            value, found = slopes(loss, tensors, torch.float64, engine=engine, **options)
            expected, right = slopes(loss, tensors, torch.float64, engine=Dense(), **options)
            assert_close(value, expected, rtol=1e-11, atol=1e-11)
            assert_close(found, right, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("rows", [2, 3, 64, 65, 130])
@pytest.mark.parametrize(
    "size", [(None, None), (1, 1), (2, None), (64, None), (64, 64), (3, 64), (64, 3), (65, 65)], ids=str
)
def test_half_of_a_mirrored_matrix_is_all_of_it_however_it_is_cut(
    rows: int, size: tuple[int | None, int | None]
) -> None:
    if rows > 3 and 1 in size:
        pytest.skip("so many tiles say nothing that fewer do not")
    features, labels = normal(rows, 4, seed=1), torch.arange(rows) // 2 % 2

    def loss(every: Tensor, engine: Engine, **options: Any) -> Tensor:
        return f.sup_con(every, labels, engine=engine, **options)

    for reduction in ("mean", "none"):
        value, found = slopes(loss, [features], torch.float64, engine=Tiled(*size), reduction=reduction)
        expected, right = slopes(loss, [features], torch.float64, engine=Dense(), reduction=reduction)
        assert_close(value, expected, rtol=1e-11, atol=1e-11)
        assert_close(found, right, rtol=1e-11, atol=1e-11)


# ---- lines that have nothing left


NOTHING: dict[str, tuple[Loss, dict[str, Any]]] = {
    "InfoNCE, ids": (f.info_nce, {"ids": torch.zeros(9, dtype=torch.long)}),
    "InfoNCE, margin": (f.info_nce, {"margin": -2.0}),
    "symmetric, ids": (f.symmetric_info_nce, {"ids": torch.zeros(9, dtype=torch.long)}),
    "symmetric, margin": (f.symmetric_info_nce, {"margin": -2.0}),
    "NT-Xent, ids": (f.nt_xent, {"ids": torch.zeros(9, dtype=torch.long)}),
    "NT-Xent, margin": (f.nt_xent, {"margin": -2.0}),
    "DCL, ids": (f.dcl, {"ids": torch.zeros(9, dtype=torch.long)}),
    "DCL, margin": (f.dcl, {"margin": -2.0}),
    "debiased, ids": (f.debiased_info_nce, {"ids": torch.zeros(9, dtype=torch.long)}),
    "retrieval, margin": (f.retrieval_info_nce, {"margin": -2.0}),
}


@every_way
@pytest.mark.parametrize("temperature", [0.005, 0.1])
@pytest.mark.parametrize("name", NOTHING)
def test_a_line_without_a_rival_pays_nothing_and_moves_nothing(name: str, temperature: float, engine: Engine) -> None:
    """Wherever its positive lies, and if that is 200 below 0."""
    loss, options = NOTHING[name]
    query = pair(9, 6, noise=0.3)[0]
    for key in (query.clone(), -query):
        for reduction in ("mean", "none"):
            value, found = slopes(
                loss,
                [query, key],
                torch.float32,
                temperature=temperature,
                reduction=reduction,
                engine=engine,
                **options,
            )
            assert_close(value, torch.zeros_like(value), rtol=0, atol=0)
            for gradient in found:
                assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=4 * EPS / temperature)


@every_way
def test_only_some_lines_without_a_rival(engine: Engine) -> None:
    """Of a few queries everything is left out, and their positives lie far below 0."""
    query, key = pair(11, 6, noise=0.3)
    key[:4] = -query[:4]
    ids = torch.arange(11)
    ids[8:] = 8
    losses: list[Loss] = [f.info_nce, f.symmetric_info_nce, f.nt_xent, f.dcl]
    for loss, temperature in itertools.product(losses, (0.005, 0.02)):
        for options in ({"margin": 0.05}, {"ids": ids}, {"ids": ids, "margin": 0.05}):
            for reduction in ("mean", "none"):
                assert_single_is_double(
                    loss,
                    [query, key],
                    engine,
                    reach=1 / temperature,
                    steep=1 / temperature,
                    temperature=temperature,
                    reduction=reduction,
                    **options,
                )


# ---- options


@every_way
@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize(
    "name", ["InfoNCE", "symmetric", "NT-Xent", "SupCon", "SupCon inside", "DCL", "retrieval", "SigLIP"]
)
def test_a_margin_at_a_small_temperature(name: str, reduction: str, engine: Engine) -> None:
    for margin, noise in itertools.product((-0.1, 0.1), (0.3, 1.0)):
        assert_single_is_double(
            LOSSES[name],
            pair(9, 6, noise=noise),
            engine,
            reach=200,
            steep=200,
            temperature=0.005,
            margin=margin,
            reduction=reduction,
        )


@every_way
@pytest.mark.parametrize("same_id", ["out", "positive"])
@pytest.mark.parametrize("name", ["InfoNCE", "symmetric", "NT-Xent"])
def test_label_smoothing_with_ids(name: str, same_id: str, engine: Engine) -> None:
    for temperature, reduction in itertools.product((0.005, 0.1), ("mean", "none")):
        for ids in (torch.arange(9) // 2, torch.zeros(9, dtype=torch.long)):
            assert_single_is_double(
                LOSSES[name],
                pair(9, 6, noise=0.3),
                engine,
                reach=1 / temperature,
                steep=1 / temperature,
                temperature=temperature,
                reduction=reduction,
                ids=ids,
                same_id=same_id,
                label_smoothing=0.1,
            )


# ---- what a caller does with a loss


def leaves_of(dtype: torch.dtype = torch.float64) -> list[Tensor]:
    return [tensor.to(dtype).requires_grad_() for tensor in pair(9, 6, noise=0.5)]


def grads(leaves: Sequence[Tensor]) -> list[Tensor]:
    found = [leaf.grad for leaf in leaves if leaf.grad is not None]
    assert len(found) == len(leaves)
    return found


@every_way
@pytest.mark.parametrize("name", LOSSES)
def test_backward_again_gives_the_same_gradient_again(name: str, engine: Engine) -> None:
    leaves = leaves_of()
    loss = LOSSES[name](*leaves, temperature=0.1, engine=engine)
    right = torch.autograd.grad(LOSSES[name](*leaves, temperature=0.1, engine=Dense()), leaves)
    for times in (1, 2, 3):
        loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
        assert_close(grads(leaves), [times * gradient for gradient in right])
    for gradient in grads(leaves):
        gradient.zero_()
    loss.backward()  # type: ignore[no-untyped-call]
    assert_close(grads(leaves), list(right))


@every_way
@pytest.mark.parametrize("name", LOSSES)
def test_a_multiple_of_the_loss_has_that_multiple_of_the_gradient(name: str, engine: Engine) -> None:
    for reduction, factor in itertools.product(("mean", "none"), (3.0, 0.0, 1e-20)):
        leaves = leaves_of()
        loss = LOSSES[name](*leaves, temperature=0.1, engine=engine, reduction=reduction).sum()
        right = torch.autograd.grad(loss, leaves, retain_graph=True)
        found = torch.autograd.grad(loss * factor, leaves, retain_graph=True)
        assert_close(list(found), [factor * gradient for gradient in right], rtol=1e-9, atol=1e-12 * abs(factor))
        assert_close(torch.autograd.grad(loss, leaves), right)


@every_way
@pytest.mark.parametrize("name", LOSSES)
def test_only_who_wants_a_gradient_gets_one_and_it_is_the_same(name: str, engine: Engine) -> None:
    for reduction in ("mean", "none"):
        right = torch.autograd.grad(
            LOSSES[name](*(both := leaves_of()), temperature=0.1, engine=Dense(), reduction=reduction).sum(), both
        )
        for place in (0, 1):
            leaves = leaves_of()
            leaves[1 - place].requires_grad_(False)
            LOSSES[name](*leaves, temperature=0.1, engine=engine, reduction=reduction).sum().backward()  # type: ignore[no-untyped-call]
            assert_close(leaves[place].grad, right[place], rtol=1e-11, atol=1e-12)
            assert leaves[1 - place].grad is None


@every_way
@pytest.mark.parametrize("name", LOSSES)
def test_only_the_temperature_is_learned(name: str, engine: Engine) -> None:
    for reduction, start in itertools.product(("mean", "none"), (0.02, 0.5)):
        found = []
        for other in (engine, Dense()):
            temperature = torch.tensor(start, dtype=torch.float64, requires_grad=True)
            tensors = [leaf.detach() for leaf in leaves_of()]
            loss = LOSSES[name](*tensors, temperature=temperature, engine=other, reduction=reduction).sum()
            found.append(torch.autograd.grad(loss, temperature)[0])
        assert_close(found[0], found[1], rtol=1e-10, atol=1e-11)


PLAIN = ["InfoNCE", "symmetric", "NT-Xent", "SupCon", "SigLIP"]


@every_way
@pytest.mark.parametrize("name", PLAIN)
def test_leaves_that_are_the_operands_themselves(name: str, engine: Engine) -> None:
    """A dot product at temperature 1 needs no copy of its inputs; what backward gives must be nobody else's memory."""
    leaves = leaves_of(torch.float32)
    options: dict[str, Any] = {"similarity": DotProduct(), "temperature": 1.0, "engine": engine}
    loss = LOSSES[name](*leaves, **options)
    _, right = slopes(LOSSES[name], leaves, torch.float64, **{**options, "engine": Dense()})
    expected = [gradient.float() for gradient in right]
    loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
    first = grads(leaves)
    assert_close(first, expected)
    memory = {tensor.data_ptr() for tensor in [*leaves, *first]}
    assert len(memory) == 2 * len(leaves)
    for leaf in leaves:
        leaf.grad = None
    loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
    assert_close(grads(leaves), expected)
    assert_close(first, expected)  # a second backward has not changed what the first gave
    for gradient in first:
        gradient.fill_(1e9)  # as clipping and unscaling do, in place
    for leaf in leaves:
        leaf.grad = None
    loss.backward()  # type: ignore[no-untyped-call]
    assert_close(grads(leaves), expected)


@every_way
@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("name", PLAIN)
def test_autocast_changes_no_gradient(name: str, reduction: str, engine: Engine) -> None:
    def gradient(*, forward: bool, backward: bool) -> tuple[Tensor, ...]:
        leaves = leaves_of(torch.float32)
        with torch.autocast("cpu", enabled=forward, dtype=torch.bfloat16):
            loss = LOSSES[name](*leaves, temperature=0.01, engine=engine, reduction=reduction).sum()
        with torch.autocast("cpu", enabled=backward, dtype=torch.bfloat16):
            return torch.autograd.grad(loss, leaves)

    plain = gradient(forward=False, backward=False)
    # autograd's own backward of a matrix product, which is Dense's, follows whoever calls it
    inside = isinstance(engine, Tiled)
    for forward, backward in ((True, False), (False, inside), (True, inside)):
        assert_close(gradient(forward=forward, backward=backward), plain, rtol=0, atol=0)


# ---- half precision


@pytest.mark.parametrize("engine", [Dense(), Tiled(), Tiled(16), Tiled(16, 24)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("temperature", [0.07, 0.01])
def test_half_precision_costs_what_rounding_the_inputs_costs(
    temperature: float, dtype: torch.dtype, engine: Engine
) -> None:
    """At most twice. Rounding moves a logit by about eps / temperature, and with it each share by that factor. What
    follows is computed in single precision; only the gradient is rounded once more, by a factor of eps.
    """
    for name in PLAIN:
        options: dict[str, Any] = {"temperature": temperature, "reduction": "sum"}
        exact = [tensor.double() for tensor in pair(48, 64, noise=0.7)]
        rounded = [tensor.to(dtype) for tensor in exact]
        _, truth = slopes(LOSSES[name], exact, torch.float64, engine=Dense(), **options)
        _, given = slopes(LOSSES[name], rounded, torch.float64, engine=Dense(), **options)
        _, found = slopes(LOSSES[name], rounded, dtype, engine=engine, **options)
        for right, at_best, got in zip(truth, given, found, strict=True):
            assert got.dtype == dtype
            assert (got.double() - right).norm() <= 2 * (at_best - right).norm()


def test_logits_of_half_precision_would_cost_more_than_that() -> None:
    """What autocast makes of a matrix product."""
    exact = [tensor.double() for tensor in pair(48, 64, noise=0.7)]
    rounded = [tensor.bfloat16() for tensor in exact]

    def naive(query: Tensor, key: Tensor) -> Tensor:
        logits = F.normalize(query, dim=1) @ F.normalize(key, dim=1).mT / 0.01
        return F.cross_entropy(logits, torch.arange(len(logits)), reduction="sum")

    _, truth = slopes(naive, exact, torch.float64)
    _, given = slopes(naive, rounded, torch.float64)
    _, found = slopes(naive, rounded, torch.bfloat16)
    for right, at_best, got in zip(truth, given, found, strict=True):
        assert (got.double() - right).norm() > 2 * (at_best - right).norm()


# ---- numbers that a processor works out in steps


def denormal_numbers(name: str, engine: Engine, tensors: Sequence[Tensor], **options: Any) -> tuple[int, int]:
    """How many cells and weights of forces lie below what a matrix product takes at full speed, and how many there are.

    One of them among a thousand makes the product several times as slow.
    """
    few, all_of_them = 0, 0
    init = Part.__init__

    def watched(part: Part, *args: Any) -> None:
        init(part, *args)
        give = part.give

        def look(force: Force, sums: Totals) -> None:
            nonlocal few, all_of_them
            for numbers in (force.cells, force.weight):
                if numbers is not None:
                    few += int(((numbers != 0) & (numbers.abs() < 1e-37)).sum())
                    all_of_them += numbers.numel()
            give(force, sums)

        part.give = look

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Part, "__init__", watched)
        slopes(LOSSES[name], tensors, torch.float32, engine=engine, **options)
    return few, all_of_them


SHARP = [0.005, 0.01, 0.02, 0.03, 0.1, 1.0]


@pytest.mark.parametrize("noise", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("name", LOSSES)
def test_no_product_is_slowed_down_by_numbers_that_are_nearly_0(name: str, noise: float) -> None:
    """Of random embeddings, and of trained ones, whose positives are far above all negatives."""
    for temperature, d in itertools.product(SHARP, (2, 16) if noise == 1 else (16,)):
        tensors = pair(64, d, noise=noise)
        for engine, reduction in ((Tiled(), "mean"), (Tiled(40, 50), "none")):
            few, all_of_them = denormal_numbers(name, engine, tensors, temperature=temperature, reduction=reduction)
            assert few == 0, (temperature, d, engine)
            assert all_of_them >= 64 * 64


def product_of_all(cells: Tensor, shift: Tensor | None, unit: float, terms: Sequence[Term]) -> Force:
    """Every cell times its factor, however small both are."""
    force = torch.zeros_like(cells)
    for term in terms:
        log_factor = term.power / unit * (0 if shift is None else shift) - term.total.unsqueeze(term.dim)
        force += term.slope.unsqueeze(term.dim) * term.power * torch.exp(log_factor) * cells.pow(term.power / unit)
    return Force(force)


@pytest.mark.parametrize("name", ["InfoNCE", "symmetric", "NT-Xent", "retrieval"])
def test_such_numbers_would_be_noticed(name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exponentials, "_weighed", product_of_all)
        assert denormal_numbers(name, Tiled(), pair(64, 16, noise=0.3), temperature=0.01)[0] > 0


class TwoClassifiers(Objective):
    """Two binary totals, over cells that differ by the positives alone, and one of them twice."""

    def statistics(self) -> dict[str, Statistic]:
        """Two over the candidates, one over the negatives."""
        return {"all": Softplus("candidates"), "again": Softplus("candidates"), "others": Softplus("negatives")}

    def per_query(self, total: Mapping[str, Tensor]) -> Tensor:
        """Anything in which each has a weight of its own."""
        return total["all"] + 2 * total["again"] ** 2 + 3 * total["others"].sqrt()


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "none"])
@every_engine
def test_binary_totals_of_one_role_do_not_share_their_memory(engine: Engine, reduction: Any, symmetric: bool) -> None:
    def loss(query: Tensor, key: Tensor, engine: Engine) -> Tensor:
        matrix = assemble(query, key, DotProduct(), 1.0, positives=Shifted(len(query), 2, query.device))
        return contrast(matrix, TwoClassifiers(), engine=engine, symmetric=symmetric, reduction=reduction)

    pair = [normal(11, 5, seed=seed) for seed in (0, 1)]
    found, expected = (slopes(loss, pair, torch.float64, engine=e) for e in (engine, Dense()))
    assert_close(found, expected)


@every_engine
@pytest.mark.parametrize("factor", [float("nan"), 1e6])
def test_a_margin_leaves_out_the_same_whatever_another_query_is(factor: float, engine: Engine) -> None:
    query = normal(64, 16, seed=1)
    key = query + 1.3 * normal(64, 16, seed=2)

    def losses() -> Tensor:
        options = {"temperature": 1.0, "similarity": DotProduct(), "margin": 0.0, "reduction": "none", "engine": engine}
        found: Tensor = loss(query.float(), key.float(), **options)
        return found[torch.arange(64) != 5]

    loss: Loss = f.info_nce
    plain = losses()
    query[5] *= factor
    assert_close(losses(), plain, rtol=1e-5, atol=1e-5)
