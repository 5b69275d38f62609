"""What no loss may go beyond, and what it is where the answer is known: alone, all alike, at extreme temperatures."""

# N items or queries, D features

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from info_nce import InfoNCE, Matryoshka
from info_nce import functional as f
from info_nce.engines import Dense, Tiled
from tests.laws.losses import DECOUPLED, SOFTMAX, Loss, close, every_softmax, gradients, labelled_views, two
from tests.strategies import law, normal, seeds, some_sizes, temperatures


@pytest.mark.parametrize("loss", [loss for loss, _ in SOFTMAX.values()], ids=SOFTMAX.keys())
@law
@given(n=some_sizes, d=some_sizes, seed=seeds, temperature=temperatures)
def test_a_loss_is_not_negative_where_the_positive_is_a_candidate(
    loss: Loss, n: int, d: int, seed: int, temperature: float
) -> None:
    values = loss(*two(n, d, seed), temperature=temperature, reduction="none")
    assert_close(values.clamp(min=0), values, rtol=0, atol=1e-12)


@pytest.mark.parametrize("loss", DECOUPLED.values(), ids=DECOUPLED.keys())
def test_a_loss_may_be_negative_where_the_positive_is_no_candidate(loss: Loss) -> None:
    view = torch.eye(4, dtype=torch.float64)
    values = loss(view, view, reduction="none")
    with pytest.raises(AssertionError):
        assert_close(values.clamp(min=0), values)


@law
@given(d=some_sizes, seed=seeds, temperature=temperatures)
def test_one_candidate_costs_nothing(d: int, seed: int, temperature: float) -> None:
    query, key = two(1, d, seed)
    nothing = torch.zeros((), dtype=torch.float64)
    for loss in (f.info_nce, f.symmetric_info_nce, f.nt_xent, labelled_views, f.retrieval_info_nce):
        close(loss(query, key, temperature=temperature), nothing)
        for slope in gradients(partial(loss, temperature=temperature), query, key):
            close(slope, torch.zeros_like(slope))
    with pytest.raises(AssertionError):
        close(f.info_nce(query, key, -key, temperature=3.0), nothing)


@pytest.mark.parametrize("options", ["ids", "margin"])
@pytest.mark.parametrize(
    "loss",
    [
        f.info_nce,
        f.symmetric_info_nce,
        f.nt_xent,
        f.dcl,
        f.dclw,
        f.debiased_info_nce,
        f.hard_negative_info_nce,
        partial(f.hard_negative_info_nce, top_k=2),
        f.retrieval_info_nce,
    ],
)
def test_a_query_whose_negatives_are_all_left_out_pays_nothing_and_has_no_gradient(loss: Loss, options: str) -> None:
    query, key = two(5, 4, 12)
    no_negatives = {"ids": torch.zeros(5, dtype=torch.int64)} if options == "ids" else {"margin": -10.0}
    for engine in (Dense(), Tiled(3, 2)):
        without = partial(loss, engine=engine, reduction="none", **no_negatives)
        found = without(query, key)
        close(found, torch.zeros_like(found))
        for slope in gradients(without, query, key):
            close(slope, torch.zeros_like(slope))
    with pytest.raises(AssertionError):
        close(loss(query, key, reduction="none"), found)


@every_softmax
@law
@given(n=some_sizes, d=some_sizes, seed=seeds, temperature=temperatures)
def test_equal_embeddings_cost_the_log_of_the_number_of_candidates(
    loss: Loss, candidates: Callable[[int], int], n: int, d: int, seed: int, temperature: float
) -> None:
    equal = normal(1, d, seed=seed).expand(n, d)
    value = loss(equal, equal, temperature=temperature)
    close(value, torch.tensor(math.log(candidates(n)), dtype=torch.float64))
    with pytest.raises(AssertionError):
        close(value, torch.tensor(math.log(candidates(n) + 1), dtype=torch.float64))


@law
@given(n=some_sizes, d=some_sizes, seed=seeds, temperature=temperatures)
def test_equal_embeddings_of_the_other_losses(n: int, d: int, seed: int, temperature: float) -> None:
    equal = normal(1, d, seed=seed).expand(n, d)
    s = 1 / temperature
    dcl = math.log(2 * n - 2)
    q, lam = 0.1, 0.01
    robust = ((lam * n * math.exp(s)) ** q - math.exp(q * s)) / q
    sigmoid = math.log1p(math.exp(-(s - 2))) + (n - 1) * math.log1p(math.exp(s - 2))
    for value, expected in (
        (f.dcl(equal, equal, temperature), dcl),
        (f.dclw(equal, equal, temperature), dcl),
        (f.robust_info_nce(equal, equal, temperature), robust),
        (f.sigmoid_loss(equal, equal, temperature, -2.0), sigmoid),
        (Matryoshka(InfoNCE(temperature), widths=(1, d))(equal, equal), 2 * math.log(n)),
    ):
        close(value, torch.tensor(expected, dtype=torch.float64))


@law
@given(n=some_sizes, t=st.sampled_from([4, 5, 7]), d=some_sizes, seed=seeds)
def test_equal_latents_cost_the_log_of_the_number_of_candidates(n: int, t: int, d: int, seed: int) -> None:
    context, equal = normal(n, t, d, seed=seed), normal(1, 1, d, seed=seed + 1).expand(n, t, d)
    weight = normal(2, d, d, seed=seed + 2)
    counts: dict[Literal["both", "same", "others"], int] = {"both": n * t, "same": t, "others": (n - 1) * t + 1}
    for negatives, candidates in counts.items():
        value = f.cpc(context, equal, weight, steps=(1, 3), negatives=negatives)
        close(value, torch.tensor(math.log(candidates), dtype=torch.float64))
    mask = torch.ones(n, t, dtype=torch.bool)
    # a distractor equal to the target is no distractor
    close(f.wav2vec2_contrastive(context, equal, mask), torch.zeros((), dtype=torch.float64))


@law
@given(nu=st.integers(1, 6), seed=seeds)
def test_a_model_equal_to_the_noise_pays_what_cannot_be_told_apart(nu: int, seed: int) -> None:
    data, noise = normal(3, seed=seed), normal(3, nu, seed=seed + 1)
    expected = (1 + nu) * math.log(1 + nu) - nu * math.log(nu)
    close(f.nce(data, noise, data, noise), torch.tensor(expected, dtype=torch.float64))


@every_softmax
@law
@given(n=some_sizes, d=some_sizes, seed=seeds)
def test_at_high_temperature_a_loss_tends_to_the_log_of_the_number_of_candidates(
    loss: Loss, candidates: Callable[[int], int], n: int, d: int, seed: int
) -> None:
    options = {"margin": None} if loss is f.retrieval_info_nce else {}
    value = loss(*two(n, d, seed), temperature=1e9, **options)
    # the logits are 1e-9 at most: the loss is off by a few of those
    assert_close(value, torch.tensor(math.log(candidates(n)), dtype=torch.float64), rtol=0, atol=1e-8)


@law
@given(n=some_sizes, d=some_sizes, seed=seeds)
def test_at_high_scale_a_loss_tends_to_what_the_hardest_exceeds_the_positive_by(n: int, d: int, seed: int) -> None:
    query, key = two(n, d, seed)
    scale = 1e9
    similarity = F.normalize(query) @ F.normalize(key).T
    positive = similarity.diagonal()
    hardest = similarity.masked_fill(torch.eye(n, dtype=torch.bool), float("-inf")).amax(1)
    values = f.info_nce(query, key, temperature=1 / scale, reduction="none")
    # between the limit and the limit plus log N, and cosines of about 1 are exact to 1e-15 of the scale
    assert_close(values / scale, (hardest - positive).clamp(min=0), rtol=0, atol=1e-8)
    every = F.normalize(torch.cat([query, key]))
    similarity = every @ every.T
    partner = torch.arange(2 * n).roll(n)
    out = torch.eye(2 * n, dtype=torch.bool) | (torch.arange(2 * n) == partner[:, None])
    excess = similarity.masked_fill(out, float("-inf")).amax(1) - similarity[torch.arange(2 * n), partner]
    coupled = f.nt_xent(query, key, temperature=1 / scale, reduction="none") / scale
    decoupled = f.dcl(query, key, 1 / scale, reduction="none") / scale
    assert_close(coupled, excess.clamp(min=0), rtol=0, atol=1e-8)
    assert_close(decoupled, excess, rtol=0, atol=1e-8)


def test_at_high_scale_the_decoupled_loss_is_not_clamped() -> None:
    view = torch.eye(4, dtype=torch.float64)
    with pytest.raises(AssertionError):
        assert_close(f.dcl(view, view, 1e-9) * 1e-9, f.nt_xent(view, view, temperature=1e-9) * 1e-9)
