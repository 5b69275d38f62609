"""When log K - loss bounds the information, what it is then, and why it is none otherwise."""

# K candidates of a query

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from torch import Tensor, nn
from torch import distributed as dist
from torch.testing import assert_close

import info_nce
from info_nce import CLIPLoss, InfoNCE, SymmetricInfoNCE, contrast
from info_nce.assemble import assemble
from info_nce.checks import ArgumentError, DTypeError, ShapeError
from info_nce.diagnostics import CorrelatedGaussian, Labels, estimate, info_nce_bound, mutual_information_bound
from info_nce.engines import Dense, Gathered, Tiled
from info_nce.losses import Face
from info_nce.objectives import Decoupled
from info_nce.pairing import pairs
from info_nce.queue import KeyQueue
from info_nce.similarity import Bilinear, DotProduct
from tests.distributed.spawn import run
from tests.strategies import law, normal, seeds, some_sizes, temperatures
from tests.test_checks import refuses
from tests.test_closed_forms import expected
from tests.test_faces import EVERY

BOUNDED = ("InfoNCE", "SymmetricInfoNCE", "CLIPLoss")
bound_of: Any = mutual_information_bound  # types would refuse half of what is refused here


# ---- the plain function


def test_the_bound_is_the_log_of_the_candidates_minus_the_loss() -> None:
    assert info_nce_bound(0.5, 8) == pytest.approx(math.log(8) - 0.5)
    rows = torch.tensor([0.0, 1.0, math.log(8)])
    assert_close(info_nce_bound(rows, 8), math.log(8) - rows)
    with pytest.raises(AssertionError):  # the negatives are not all candidates
        assert_close(info_nce_bound(rows, 8), info_nce_bound(rows, 7))


def test_a_negative_loss_and_no_candidates_are_refused() -> None:
    view = torch.eye(4)
    refuses(ArgumentError, lambda: info_nce_bound(info_nce.DCL()(view, view), 6), "negative", "DCL")
    refuses(ArgumentError, lambda: info_nce_bound(-0.1, 6), "-0.1")
    refuses(ArgumentError, lambda: info_nce_bound(torch.tensor([1.0, -0.1]), 6), "-0.1")
    for candidates in (0, -1, 2.0, True):
        refuses(ArgumentError, lambda k=candidates: info_nce_bound(1.0, k), "candidates")
    # of a rounded 0, nothing above log K
    assert info_nce_bound(-1e-7, 8) == math.log(8)
    assert_close(info_nce_bound(torch.tensor([-1e-4]), 8), torch.tensor([math.log(8)]))
    assert math.isnan(info_nce_bound(math.nan, 2))
    assert info_nce_bound(torch.tensor([math.nan, 1.0]), 2)[0].isnan()


@pytest.mark.parametrize("loss", ["3", None, [1.0], 1j, True, torch.tensor(1j), torch.tensor(1)])
def test_a_loss_that_is_no_number_is_refused(loss: Any) -> None:
    refuses(DTypeError, lambda: info_nce_bound(loss, 8), "loss")


def test_numbers_of_other_kinds_are_numbers() -> None:
    kinds: tuple[Any, ...] = (Fraction(1, 2), np.float32(0.5))
    for loss in kinds:
        assert info_nce_bound(loss, np.int64(8)) == math.log(8) - 0.5


# ---- the bound of a loss


@pytest.mark.parametrize("face", [InfoNCE, SymmetricInfoNCE, CLIPLoss])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("engine", [None, Dense(), Tiled(4, 3)], ids=str)
def test_the_bound_of_a_loss_is_that_of_its_mean(face: type[Face], reduction: Any, engine: Any) -> None:
    query, key = torch.randn(2, 9, 4)
    criterion = face(0.2, reduction, engine=engine)
    found = mutual_information_bound(criterion, query, key)
    assert_close(found, math.log(9) - face(0.2)(query, key))
    assert criterion.reduction == reduction
    assert found < math.log(9)


def test_the_bound_teaches_what_the_loss_teaches() -> None:
    query, key = normal(5, 3, seed=1).requires_grad_(), normal(5, 4, seed=2)
    criterion = InfoNCE(0.3, similarity=Bilinear(3, 4).double(), learnable=True).double()
    wanted = [query, *criterion.parameters()]
    found = torch.autograd.grad(mutual_information_bound(criterion, query, key), wanted)
    for one, other in zip(found, torch.autograd.grad(criterion(query, key), wanted), strict=True):
        assert_close(one, -other)


def _bound_on_this_rank(sizes: list[int]) -> float:
    query, key = (torch.split(normal(sum(sizes), 3, seed=seed), sizes)[dist.get_rank()] for seed in (1, 2))
    return mutual_information_bound(InfoNCE(engine=Gathered()), query, key).item()


def test_across_ranks_the_candidates_of_all_of_them_count() -> None:
    query, key = normal(7, 3, seed=1), normal(7, 3, seed=2)
    whole, part = (bound_of(InfoNCE(), *pairs) for pairs in ((query, key), (query[:4], key[:4])))
    for found in run(2, _bound_on_this_rank, [4, 3]):
        assert found == pytest.approx(whole.item(), rel=1e-9)
        assert found != pytest.approx(part.item(), rel=1e-3)


def test_one_pair_shows_nothing_and_wrong_pairs_are_refused() -> None:
    q = torch.randn(3, 2)
    assert_close(mutual_information_bound(InfoNCE(), q[:1], q[:1]), torch.tensor(0.0))
    refuses(ShapeError, lambda: bound_of(InfoNCE(), q, q[:2]), "query", "positive_key")
    refuses(ShapeError, lambda: bound_of(InfoNCE(), q[:0], q[:0]), "empty")
    assert bound_of(InfoNCE(), q * math.nan, q).isnan()
    assert bound_of(InfoNCE(), q.half(), q.half()).dtype == torch.float32


# batches, information, bound, and the value without the positive in the denominator: theory of 128 candidates
TABLE = [(200, 2.0, 1.8887, 2.096), (200, 6.0, 4.2090, 7.372)]


def without_positive(query: Tensor, key: Tensor) -> Tensor:
    positives, out = pairs(len(query), None, "out", query.device)
    scores = assemble(query, key, DotProduct(), 1.0, positives=positives, out=out)
    return math.log(len(query) - 1) - contrast(scores, Decoupled())


@pytest.mark.parametrize(("count", "information", "bound", "no_bound"), TABLE)
def test_the_bound_of_gaussians_is_that_of_the_table(
    count: int, information: float, bound: float, no_bound: float
) -> None:
    data, numbers = CorrelatedGaussian(20, information), torch.Generator().manual_seed(0)
    batches = [data.critic(*data.sample(128, generator=numbers)) for _ in range(count)]
    for face in (InfoNCE, SymmetricInfoNCE):
        criterion = face(1.0, similarity=DotProduct())
        found = estimate(partial(mutual_information_bound, criterion), batches)
        assert abs(found.value - bound) < 4 * found.standard_error < 0.05
        assert abs(found.value - no_bound) > 4 * found.standard_error
    over = estimate(without_positive, batches)
    assert abs(over.value - bound) > 4 * over.standard_error  # the same test rejects it
    assert over.value > information + 4 * over.standard_error  # and it bounds nothing


@law
@given(n=some_sizes, seed=seeds, temperature=temperatures)
def test_what_is_added_for_each_query_changes_nothing(n: int, seed: int, temperature: float) -> None:
    query, key = normal(n, 3, seed=seed), normal(n, 3, seed=seed + 1)
    more = torch.cat([query, 3 * normal(n, 1, seed=seed + 2)], 1), torch.cat([key, torch.ones_like(key[:, :1])], 1)
    criterion = InfoNCE(temperature, similarity=DotProduct())
    assert_close(mutual_information_bound(criterion, *more), mutual_information_bound(criterion, query, key))
    symmetric = SymmetricInfoNCE(temperature, similarity=DotProduct())
    with pytest.raises(AssertionError):
        assert_close(mutual_information_bound(symmetric, *more), mutual_information_bound(symmetric, query, key))


# ---- what is no bound


@pytest.mark.parametrize("name", EVERY)
def test_every_loss_is_a_bound_or_says_why_not(name: str) -> None:
    face, batch = EVERY[name].face(), EVERY[name].batch()
    if name in BOUNDED:
        assert bound_of(face, *batch) <= math.log(len(batch[0]))
        return
    # a third tensor makes another quantity of InfoNCE, the type of every other loss says it
    words = ["negative_keys", "cannot be seen"] if type(face) is InfoNCE else [type(face).__name__, "no bound on the"]
    refuses(ArgumentError, lambda: bound_of(face, *batch), *words)
    with pytest.raises(ArgumentError) as caught:
        bound_of(face, *batch)
    assert "nothing is known" not in str(caught.value)


REASONS: dict[str, tuple[Callable[[], nn.Module], str, str]] = {
    "DCL": (info_nce.DCL, "positive is left out of the denominator", "nwj"),
    "DCLW": (info_nce.DCLW, "positive is left out of the denominator", "nwj"),
    "DebiasedInfoNCE": (info_nce.DebiasedInfoNCE, "weighted or corrected", "InfoNCE"),
    "HardNegativeInfoNCE": (info_nce.HardNegativeInfoNCE, "mined", "InfoNCE"),
    "NTXent": (info_nce.NTXent, "come in twos", "SymmetricInfoNCE()(view1, view2)"),
    "MoCo": (info_nce.MoCo, "older encoders", "large batch"),
    "SigLIP": (info_nce.SigLIP, "each pair by itself", "jensen_shannon"),
    "SupCon": (info_nce.SupCon, "items of a label", "SymmetricInfoNCE"),
    "RobustInfoNCE": (info_nce.RobustInfoNCE, "no log-likelihood", "InfoNCE"),
    "RetrievalInfoNCE": (info_nce.RetrievalInfoNCE, "mined or masked", "InfoNCE()(query, document)"),
    "Matryoshka": (lambda: info_nce.Matryoshka(InfoNCE(), (2,)), "several widths", "cut to one width"),
    "CPC": (lambda: info_nce.CPC(3, 3, 1), "same sequences", "from each sequence"),
    "Wav2Vec2Contrastive": (info_nce.Wav2Vec2Contrastive, "same utterance", "from each utterance"),
    "NCE": (info_nce.NCE, "each sample by itself", "pairs"),
    "another module": (lambda: nn.Linear(3, 3), "nothing is known", "info_nce_bound"),
}


@pytest.mark.parametrize("name", REASONS)
def test_the_reason_is_the_losss_own(name: str) -> None:
    face, why, instead = REASONS[name]
    view = torch.randn(4, 3)
    refuses(ArgumentError, lambda: bound_of(face(), view, view), why, instead)


def test_there_is_a_reason_for_each_loss_of_the_library() -> None:
    losses = {name for name, kind in vars(info_nce).items() if hasattr(kind, "source")}
    assert losses == {*BOUNDED, *REASONS} - {"another module"}


SETTINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "margin": ({"margin": 0.1}, {}),
    "label_smoothing": ({"label_smoothing": 0.1}, {}),
    "temperature": ({"temperature": torch.ones(4)}, {}),
    "ids": ({}, {"ids": torch.arange(4)}),
    "guide": ({}, {"guide": (torch.randn(4, 2), torch.randn(4, 2))}),
    "log_q": ({}, {"log_q": torch.zeros(4)}),
}


@pytest.mark.parametrize("face", [InfoNCE, SymmetricInfoNCE, CLIPLoss])
@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_that_makes_another_quantity_is_refused(name: str, face: type[Face]) -> None:
    settings, tensors = SETTINGS[name]
    options = {"learnable": False} | settings
    q = torch.randn(4, 3)
    refuses(ArgumentError, lambda: bound_of(face(**options), q, q, **tensors), f"With {name}", "no bound", "without")
    assert bound_of(face(), q, q, **dict.fromkeys(tensors)).isfinite()


def test_negatives_of_ones_own_and_other_arguments_are_refused() -> None:
    q = torch.randn(4, 3)
    for more in ((q,), (None, q)):
        refuses(ArgumentError, lambda more=more: bound_of(InfoNCE(), q, q, *more), "negative_keys")
    refuses(ArgumentError, lambda: bound_of(InfoNCE(), q, q, negative_keys=q), "negative_keys")
    refuses(ArgumentError, lambda: bound_of(InfoNCE(), q, q, negative_ids=torch.arange(4)), "negative_ids")
    refuses(ArgumentError, lambda: bound_of(info_nce.MoCo(), q, q, KeyQueue(3, 4)), "MoCo")
    with pytest.raises(TypeError, match="tau"):
        bound_of(InfoNCE(), q, q, tau=1)


def test_a_loss_of_ones_own_is_not_taken_for_the_one_that_it_is_made_from() -> None:
    class Mine(InfoNCE):
        def forward(self, *args: Any, **kwargs: Any) -> Tensor:
            return super().forward(*args, **kwargs) - 1

    class Renamed(InfoNCE):
        """The same loss."""

    q = torch.randn(4, 3)
    refuses(ArgumentError, lambda: bound_of(Mine(), q, q), "Mine", "nothing is known")
    assert_close(bound_of(Renamed(), q, q), bound_of(InfoNCE(), q, q))


def test_the_counterexample_of_the_text_is_true() -> None:
    """Both views are copies of a label, so that they say log 3 of each other; NT-Xent would say more."""
    loss = float(expected(info_nce.NTXent(1e-3), 3, 10))
    value = math.log(19) - loss
    assert value == pytest.approx(1.101751, abs=6e-7)
    assert value > math.log(3)
    with pytest.raises(ArgumentError, match=rf"{value:.4f} where log 3 = {math.log(3):.4f}"):
        bound_of(info_nce.NTXent(), torch.eye(3), torch.eye(3))
    instead = math.log(10) - float(expected(SymmetricInfoNCE(1e-3), 3, 10))
    assert instead < math.log(3)


def test_the_bound_of_all_labellings_is_exact() -> None:
    data = Labels(3)
    every = [torch.tensor(labels) for labels in itertools.product(range(3), repeat=4)]
    for temperature in (0.1, 0.5):
        criterion = InfoNCE(temperature)
        found = estimate(lambda x: bound_of(criterion, *data.critic(x, x, torch.float64)), [[x] for x in every])  # noqa: B023 - called at once
        assert found.value == pytest.approx(data.expected_bound(4, temperature), abs=1e-12)
        assert found.value != pytest.approx(data.expected_bound(5, temperature), abs=1e-3)
