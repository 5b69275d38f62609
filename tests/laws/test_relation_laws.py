"""How the losses are related: which is another one's limit, mean or special case."""

# N items or queries, D features

import math
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from info_nce import InfoNCE, Matryoshka, contrast, views_from_stacked
from info_nce import functional as f
from info_nce.assemble import given_logits
from info_nce.objectives import Debiased
from info_nce.pairing import Listed
from info_nce.similarity import Bilinear, NegativeSquaredDistance
from tests.laws.losses import Loss, close, gradients, labelled_views, two
from tests.strategies import law, normal, seeds, some_sizes, temperatures


@law
@given(n=some_sizes, d=some_sizes, seed=seeds, temperature=temperatures)
def test_symmetric_is_the_mean_of_both_directions(n: int, d: int, seed: int, temperature: float) -> None:
    query, key = two(n, d, seed)
    there, back = (
        f.info_nce(*pair, temperature=temperature, reduction="none") for pair in ((query, key), (key, query))
    )
    close(f.symmetric_info_nce(query, key, temperature, "none"), (there + back) / 2)
    # one temperature per pair takes another way to the same number
    same = torch.full((n,), temperature, dtype=torch.float64)
    close(f.symmetric_info_nce(query, key, same, "none"), (there + back) / 2)
    close(f.symmetric_info_nce(key, query, temperature), f.symmetric_info_nce(query, key, temperature))


@law
@given(n=some_sizes, d=some_sizes, seed=seeds)
def test_symmetric_is_the_mean_of_both_directions_whatever_belongs_to_a_pair(n: int, d: int, seed: int) -> None:
    """A temperature, a correction, a guide: each direction has its own matrix, or its own limits."""
    query, key = two(n, d, seed)
    guide = two(n, 3, seed + 20)
    each = torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.1
    settings: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"temperature": each}, {"temperature": each}),
        ({"log_q": -each}, {"log_q": -each}),
        ({"margin": -0.2}, {"margin": -0.2}),
        ({"guide": guide}, {"guide": guide[::-1]}),
        ({"guide": guide, "log_q": -each}, {"guide": guide[::-1], "log_q": -each}),
    ]
    for forth, back in settings:
        one = f.info_nce(query, key, reduction="none", **{"temperature": 0.07, **forth})
        other = f.info_nce(key, query, reduction="none", **{"temperature": 0.07, **back})
        close(f.symmetric_info_nce(query, key, reduction="none", **forth), (one + other) / 2)


@law
@given(n=some_sizes, d=some_sizes, e=some_sizes, seed=seeds)
def test_symmetric_gives_the_query_first_to_a_bilinear_map(n: int, d: int, e: int, seed: int) -> None:
    query, key = normal(n, d, seed=seed), normal(n, e, seed=seed + 1)
    forth, back = Bilinear(d, e).double(), Bilinear(e, d).double()
    forth.load_state_dict({"weight": normal(d, e, seed=seed + 2)})
    back.load_state_dict({"weight": forth.weight.detach().mT})
    each = torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.5
    for temperature in (torch.ones((), dtype=torch.float64), each):
        one = f.info_nce(query, key, temperature=temperature, similarity=forth, reduction="none")
        other = f.info_nce(key, query, temperature=temperature, similarity=back, reduction="none")
        close(f.symmetric_info_nce(query, key, temperature, "none", similarity=forth), (one + other) / 2)


@law
@given(n=some_sizes, d=some_sizes, seed=seeds)
def test_a_guide_of_the_same_vectors_is_a_margin_of_zero(n: int, d: int, seed: int) -> None:
    query, key = two(n, d, seed)
    for loss in (f.info_nce, f.symmetric_info_nce, f.nt_xent, f.dcl, f.sigmoid_loss, f.robust_info_nce):
        by_guide = loss(query, key, guide=(query, key), reduction="none")
        close(by_guide, loss(query, key, margin=0.0, reduction="none"))
    for keep_in_batch in (False, True):
        strangers = normal(n + 1, d, seed=seed + 9)
        loss_of = partial(f.info_nce, query, key, strangers, keep_in_batch=keep_in_batch, reduction="none")
        close(loss_of(guide=(query, key, strangers)), loss_of(margin=0.0))


@law
@given(n=some_sizes, d=some_sizes, seed=seeds)
def test_a_temperature_per_item_serves_all_its_views(n: int, d: int, seed: int) -> None:
    pair = two(n, d, seed)
    each = torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.1
    for loss in (f.nt_xent, f.dcl, f.debiased_info_nce):
        per_item = loss(*pair, temperature=each, reduction="none")
        close(per_item, loss(*pair, temperature=each.repeat(2), reduction="none"))
        with pytest.raises(AssertionError):
            close(per_item, loss(*pair, temperature=each.repeat_interleave(2), reduction="none"))


def test_no_gradient_flows_into_the_keys_of_moco() -> None:
    query, key = two(5, 4, 10)
    queue = normal(3, 4, seed=11).requires_grad_()
    key.requires_grad_()
    assert not f.moco(query, key, queue).requires_grad
    of_query, of_key = gradients(lambda q, k: f.moco(q, k, queue.detach()), query, key.detach())
    close(of_key, torch.zeros_like(of_key))
    assert float(of_query.abs().max()) > 0
    with pytest.raises(AssertionError):
        close(gradients(lambda q, k: f.info_nce(q, k, queue), query, key.detach())[1], of_key)


@law
@given(n=some_sizes, d=some_sizes, seed=seeds, temperature=temperatures)
def test_sigmoid_loss_is_symmetric_under_exchange(n: int, d: int, seed: int, temperature: float) -> None:
    query, key = two(n, d, seed)
    close(f.sigmoid_loss(key, query, temperature, -2.0), f.sigmoid_loss(query, key, temperature, -2.0))


def test_info_nce_in_one_direction_is_not_symmetric_under_exchange() -> None:
    query, key = two(5, 4, 8)
    with pytest.raises(AssertionError):
        close(f.info_nce(key, query), f.info_nce(query, key))


@law
@given(n=some_sizes, d=some_sizes, seed=seeds, temperature=temperatures)
def test_debiased_without_a_prior_is_nt_xent(n: int, d: int, seed: int, temperature: float) -> None:
    pair = two(n, d, seed)
    plain = f.nt_xent(*pair, temperature=temperature, reduction="none")
    close(f.debiased_info_nce(*pair, temperature, "none", positive_prior=0.0), plain)
    close(f.hard_negative_info_nce(*pair, temperature, "none", beta=0.0, positive_prior=0.0), plain)
    close(f.hard_negative_info_nce(*pair, temperature, "none", top_k=2 * n - 2), plain)


@law
@given(n=some_sizes, d=some_sizes, seed=seeds)
def test_all_of_the_hardest_are_nt_xent_with_every_option(n: int, d: int, seed: int) -> None:
    pair, guide = two(n, d, seed), two(n, 3, seed + 20)
    numbers = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, (n,), generator=numbers)
    each = torch.rand(2 * n, generator=numbers, dtype=torch.float64) + 0.1
    options: list[dict[str, Any]] = [
        {"ids": ids},
        {"log_q": -each},
        {"label_smoothing": 0.2},
        {"margin": -0.1},
        {"guide": guide},
        {"temperature": each},
        {"similarity": NegativeSquaredDistance()},
        {"ids": ids, "log_q": -each, "label_smoothing": 0.2, "guide": guide, "temperature": each},
    ]
    for some in options:
        settings = {"temperature": 0.5, "reduction": "none", **some}
        close(f.hard_negative_info_nce(*pair, top_k=2 * n - 2, **settings), f.nt_xent(*pair, **settings))


@law
@given(n=some_sizes, d=some_sizes, seed=seeds, prior=st.floats(0, 0.9))
def test_hard_negatives_with_beta_zero_are_debiased(n: int, d: int, seed: int, prior: float) -> None:
    pair = two(n, d, seed)
    debiased = f.debiased_info_nce(*pair, reduction="none", positive_prior=prior)
    close(f.hard_negative_info_nce(*pair, reduction="none", beta=0.0, positive_prior=prior), debiased)


def test_a_prior_a_beta_and_a_smaller_k_all_matter() -> None:
    pair = two(5, 4, 9)
    plain = f.nt_xent(*pair, temperature=0.5)
    for other in (
        f.debiased_info_nce(*pair, positive_prior=0.05),
        f.hard_negative_info_nce(*pair, beta=0.5, positive_prior=0.0),
        f.hard_negative_info_nce(*pair, top_k=7),
    ):
        with pytest.raises(AssertionError):
            close(other, plain)


@law
@given(n=some_sizes, d=some_sizes, seed=seeds)
def test_a_larger_beta_and_a_larger_k_never_cost_less(n: int, d: int, seed: int) -> None:
    """More weight on the hard negatives, or more negatives, and no correction."""
    pair = two(n, d, seed)
    by_beta = [f.hard_negative_info_nce(*pair, beta=b, positive_prior=0.0, reduction="none") for b in (0.0, 0.5, 2.0)]
    by_k = [f.hard_negative_info_nce(*pair, top_k=k, reduction="none") for k in range(1, 2 * n - 1)]
    for grown in (by_beta, by_k):
        for less, more in pairwise(grown):
            assert_close(torch.maximum(less, more), more, rtol=0, atol=1e-12)


@law
@given(n=some_sizes, d=some_sizes, seed=seeds, temperature=temperatures)
def test_sup_con_with_one_label_per_item_is_nt_xent(n: int, d: int, seed: int, temperature: float) -> None:
    pair = two(n, d, seed)
    plain = f.nt_xent(*pair, temperature=temperature, reduction="none")
    for inside in (False, True):
        close(labelled_views(*pair, temperature=temperature, reduction="none", inside=inside), plain)


@law
@given(n=some_sizes, d=some_sizes, seed=seeds, v=st.integers(2, 4))
def test_positives_by_ids_are_positives_by_labels(n: int, d: int, seed: int, v: int) -> None:
    views = [normal(n, d, seed=seed + i) for i in range(v)]
    ids = torch.randint(3, (n,), generator=torch.Generator().manual_seed(seed))
    by_ids = f.nt_xent(*views, ids=ids, same_id="positive", reduction="none")
    close(by_ids, f.sup_con(torch.cat(views), ids.repeat(v), reduction="none"))


@law
@given(n=some_sizes, d=some_sizes, seed=seeds)
def test_nt_xent_of_a_stacked_batch_is_info_nce_built_by_hand(n: int, d: int, seed: int) -> None:
    stacked = torch.cat(two(n, d, seed))
    partner = torch.arange(2 * n).roll(n)
    others = [[k for k in range(2 * n) if k not in (i, int(partner[i]))] for i in range(2 * n)]
    by_hand = f.info_nce(
        stacked, stacked[partner], stacked[torch.tensor(others)], negative_mode="paired", reduction="none"
    )
    close(f.nt_xent(*views_from_stacked(stacked, check=False), reduction="none"), by_hand)
    if n > 2:
        with pytest.raises(AssertionError):
            close(f.nt_xent(*views_from_stacked(stacked.flip(1).roll(1, 0), check=False), reduction="none"), by_hand)


@law
@given(n=some_sizes, d=some_sizes, h=some_sizes, seed=seeds)
def test_the_ways_to_give_negatives_agree(n: int, d: int, h: int, seed: int) -> None:
    query, key = two(n, d, seed)
    negatives = normal(h, d, seed=seed + 7)
    shared = f.info_nce(query, key, negatives, reduction="none")
    close(f.info_nce(query, key, negatives.expand(n, h, d), negative_mode="paired", reduction="none"), shared)
    close(f.moco(query, key, negatives, 0.1, "none"), shared)
    others = torch.tensor([[j for j in range(n) if j != i] for i in range(n)])
    in_batch = f.info_nce(query, key, reduction="none")
    close(f.info_nce(query, key, key[others], negative_mode="paired", reduction="none"), in_batch)
    documents_alone = partial(f.retrieval_info_nce, query_query=False, document_document=False, margin=None)
    close(documents_alone(query, key, temperature=0.1, reduction="none"), in_batch)
    close(Matryoshka(InfoNCE(reduction="none"), widths=(d,))(query, key), in_batch)


@pytest.mark.parametrize(
    "loss",
    [f.info_nce, f.symmetric_info_nce, f.nt_xent, f.dcl, f.debiased_info_nce, f.robust_info_nce, f.sigmoid_loss],
)
@law
@given(n=some_sizes, d=some_sizes, seed=seeds)
def test_options_that_say_nothing_change_nothing(loss: Loss, n: int, d: int, seed: int) -> None:
    query, key = two(n, d, seed)
    plain = loss(query, key, reduction="none")
    close(loss(query, key, reduction="none", ids=torch.arange(n) * 7 - 3), plain)
    close(loss(query, key, reduction="none", margin=10.0), plain)
    close(loss(query, key, reduction="none", guide=(query, key), margin=10.0), plain)
    close(loss(query, key, reduction="none", label_smoothing=0.0), plain)
    own = {"temperature": torch.full((), 0.5 if loss is f.debiased_info_nce else 0.1, dtype=torch.float64)}
    if loss is not f.symmetric_info_nce:  # whose temperature is 0.07
        close(loss(query, key, reduction="none", **own), plain)
        each = {"temperature": own["temperature"].expand(n)}
        close(loss(query, key, reduction="none", **each), plain)


@law
@given(n=some_sizes, d=some_sizes, seed=seeds, lam=st.floats(0.001, 1))
def test_robust_tends_to_info_nce_plus_log_lambda(n: int, d: int, seed: int, lam: float) -> None:
    query, key = two(n, d, seed)
    limit = f.info_nce(query, key, reduction="none") + math.log(lam)
    found = f.robust_info_nce(query, key, reduction="none", q=1e-9, lam=lam)
    # the next term of the series is q/2 (x^2 - y^2) with logits x, y of at most 10 + log 7: below 1e-7
    assert_close(found, limit, rtol=0, atol=2e-7)
    if lam < 0.99:
        with pytest.raises(AssertionError):
            assert_close(found, limit - math.log(lam), rtol=0, atol=2e-7)


@law
@given(n=some_sizes, d=some_sizes, seed=seeds)
def test_robust_at_q_one_is_linear_in_exponentials(n: int, d: int, seed: int) -> None:
    query, key = two(n, d, seed)
    e = torch.exp(F.normalize(query) @ F.normalize(key).T / 0.5)
    found = f.robust_info_nce(query, key, 0.5, "none", q=1.0, lam=0.3)
    close(found, 0.3 * e.sum(1) - e.diagonal())


@law
@given(n=some_sizes, m=some_sizes, seed=seeds, prior=st.floats(0.01, 0.9))
def test_a_lower_floor_never_costs_more(n: int, m: int, seed: int, prior: float) -> None:
    logits = normal(n, m, seed=seed)
    first = Listed(torch.arange(m).expand(n, m) == 0)
    low, high = (
        contrast(
            given_logits(logits, first),
            Debiased(prior),
            given={"floor": torch.tensor(floor, dtype=torch.float64)},
            reduction="none",
        )
        for floor in (-20.0, -1.0)
    )
    assert_close(torch.maximum(low, high), high, rtol=0, atol=1e-12)
