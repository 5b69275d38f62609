"""What must hold of every loss, whatever the numbers: invariances, limits, bounds, and how the losses are related."""

# N items or queries, D features

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from info_nce import InfoNCE, Matryoshka, contrast, views_from_stacked
from info_nce import functional as f
from info_nce.assemble import given_logits
from info_nce.engines import Dense, Tiled
from info_nce.objectives import Debiased, Decoupled, Objective, Robust, Sigmoid, Softmax, SoftmaxInside
from info_nce.pairing import Cells, Listed
from info_nce.similarity import Bilinear, Cosine, DotProduct, NegativeSquaredDistance, Similarity
from tests.strategies import chance, law, normal, seeds, some_sizes, temperatures

Loss = Callable[..., Tensor]

close = partial(assert_close, rtol=1e-11, atol=1e-11)


def labelled_views(view1: Tensor, view2: Tensor, **settings: Any) -> Tensor:
    """Each item is a label of its own."""
    return f.sup_con(torch.cat([view1, view2]), torch.arange(len(view1)).repeat(2), **settings)


def one_label(view1: Tensor, view2: Tensor, **settings: Any) -> Tensor:
    """All items have one label."""
    return f.sup_con(torch.cat([view1, view2]), torch.zeros(2 * len(view1), dtype=torch.int64), **settings)


def two_positives(view1: Tensor, view2: Tensor, **settings: Any) -> Tensor:
    """Each item is a label of its own, and one of its views is there twice."""
    return f.sup_con(torch.cat([view1, view2, view1]), torch.arange(len(view1)).repeat(3), **settings)


def own_queue(query: Tensor, key: Tensor, **settings: Any) -> Tensor:
    """A queue that holds one key more than the batch."""
    return f.moco(query, key, torch.cat([key, key[:1]]), **settings)


def explicit(query: Tensor, key: Tensor, **settings: Any) -> Tensor:
    return f.info_nce(query, key, key.roll(1, 0), keep_in_batch=True, **settings)


# loss of two tensors: how many candidates, the positive included, a query has in a batch of N
SOFTMAX: dict[str, tuple[Loss, Callable[[int], int]]] = {
    "info_nce": (f.info_nce, lambda n: n),
    "explicit negatives": (explicit, lambda n: 2 * n),
    "symmetric_info_nce": (f.symmetric_info_nce, lambda n: n),
    "nt_xent": (f.nt_xent, lambda n: 2 * n - 1),
    "nt_xent of three views": (lambda a, b, **s: f.nt_xent(a, b, a, **s), lambda n: 3 * n - 1),
    "sup_con": (labelled_views, lambda n: 2 * n - 1),
    "sup_con, one label": (one_label, lambda n: 2 * n - 1),
    "sup_con inside": (partial(two_positives, inside=True), lambda n: 3 * n - 1),
    "moco": (own_queue, lambda n: n + 2),
    "retrieval": (f.retrieval_info_nce, lambda n: 3 * n - 2),
    "debiased": (f.debiased_info_nce, lambda n: 2 * n - 1),
    "hard negatives": (f.hard_negative_info_nce, lambda n: 2 * n - 1),
    "the 2 hardest": (partial(f.hard_negative_info_nce, top_k=2), lambda _: 3),
}
DECOUPLED: dict[str, Loss] = {"dcl": f.dcl, "dclw": f.dclw}
OTHERS: dict[str, Loss] = {"robust": f.robust_info_nce, "sigmoid": f.sigmoid_loss}
LOSSES: dict[str, Loss] = {name: loss for name, (loss, _) in SOFTMAX.items()} | DECOUPLED | OTHERS

every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
every_softmax = pytest.mark.parametrize(("loss", "candidates"), SOFTMAX.values(), ids=SOFTMAX.keys())


def two(n: int, d: int, seed: int) -> tuple[Tensor, Tensor]:
    """Two views that are more alike than chance."""
    item = normal(n, d, seed=seed)
    return item + 0.7 * normal(n, d, seed=seed + 1), item + 0.7 * normal(n, d, seed=seed + 2)


def gradients(loss: Callable[[Tensor, Tensor], Tensor], *given_tensors: Tensor) -> list[Tensor]:
    leaves = [tensor.detach().clone().requires_grad_() for tensor in given_tensors]
    # MoCo's keys have no gradient
    return list(torch.autograd.grad(loss(*leaves).sum(), leaves, allow_unused=True, materialize_grads=True))


# ---- logits of a row


def rows(n: int, m: int, seed: int) -> tuple[Tensor, Cells]:
    """Logits, and positives of which each row has one at least, and has a negative."""
    positive = chance(n, m, seed=seed, probability=0.3)
    positive[:, 0], positive[:, -1] = True, False
    return 3 * normal(n, m, seed=seed + 1), Listed(positive)


SHIFT_INVARIANT = [Softmax(), Softmax(label_smoothing=0.3), SoftmaxInside(), Decoupled()]


@pytest.mark.parametrize("objective", SHIFT_INVARIANT, ids=str)
@law
@given(n=some_sizes, m=some_sizes, seed=seeds)
def test_adding_a_constant_to_all_logits_of_a_row_changes_no_softmax_loss(
    objective: Objective, n: int, m: int, seed: int
) -> None:
    logits, positives = rows(n, m, seed)
    constant = 10 * normal(n, 1, seed=seed + 2)
    plain = contrast(given_logits(logits, positives), objective, reduction="none")
    close(contrast(given_logits(logits + constant, positives), objective, reduction="none"), plain)


@pytest.mark.parametrize("objective", [Sigmoid(), Robust()], ids=str)
def test_adding_a_constant_changes_what_is_no_softmax(objective: Objective) -> None:
    logits, positives = rows(3, 5, 1)
    plain = contrast(given_logits(logits, positives), objective, reduction="none")
    with pytest.raises(AssertionError):
        close(contrast(given_logits(logits + 1, positives), objective, reduction="none"), plain)


@pytest.mark.parametrize("objective", SHIFT_INVARIANT, ids=str)
@law
@given(n=some_sizes, m=some_sizes, seed=seeds)
def test_the_pushes_and_pulls_on_a_row_add_up_to_zero(objective: Objective, n: int, m: int, seed: int) -> None:
    logits, positives = rows(n, m, seed)
    logits.requires_grad_()
    (slope,) = torch.autograd.grad(contrast(given_logits(logits, positives), objective, reduction="sum"), logits)
    close(slope.sum(1), torch.zeros(n, dtype=torch.float64))
    assert float(slope.abs().max()) > 0


@law
@given(n=some_sizes, m=some_sizes, seed=seeds)
def test_the_row_gradient_of_info_nce_is_one_minus_p_times_that_of_dcl(n: int, m: int, seed: int) -> None:
    logits = 3 * normal(n, m, seed=seed).requires_grad_()
    first = Listed(torch.arange(m).expand(n, m) == 0)
    (softmax,), (decoupled,) = (
        torch.autograd.grad(contrast(given_logits(logits, first), objective, reduction="sum"), logits)
        for objective in (Softmax(), Decoupled())
    )
    p = torch.softmax(logits.detach(), 1)[:, :1]
    close(softmax, (1 - p) * decoupled)
    with pytest.raises(AssertionError):
        close(softmax, decoupled)


@law
@given(n=some_sizes, m=some_sizes, seed=seeds)
def test_the_softmax_loss_is_the_softplus_of_the_decoupled_one(n: int, m: int, seed: int) -> None:
    view1, view2 = two(n, m, seed)
    close(f.nt_xent(view1, view2, reduction="none"), F.softplus(f.dcl(view1, view2, reduction="none"), threshold=1000))


@law
@given(n=some_sizes, m=some_sizes, seed=seeds)
def test_positives_inside_the_log_never_cost_more_than_outside(n: int, m: int, seed: int) -> None:
    logits, positives = rows(n, m, seed)
    inside = contrast(given_logits(logits, positives), SoftmaxInside(), reduction="none")
    outside = contrast(given_logits(logits, positives), Softmax(), reduction="none")
    assert_close(torch.maximum(inside, outside), outside, rtol=0, atol=1e-12)


def test_sup_con_inside_differs_from_outside_for_two_positives_and_agrees_for_one() -> None:
    view1, view2 = two(5, 4, 2)
    close(labelled_views(view1, view2, inside=True), labelled_views(view1, view2))
    assert float(two_positives(view1, view2, inside=True)) < float(two_positives(view1, view2)) - 1e-3


# ---- more of the same


@every_loss
@law
@given(n=some_sizes, d=some_sizes, seed=seeds, data=st.data())
def test_the_order_of_the_pairs_only_permutes(loss: Loss, n: int, d: int, seed: int, data: st.DataObject) -> None:
    query, key = two(n, d, seed)
    order = torch.tensor(data.draw(st.permutations(range(n))))
    if loss is own_queue:  # its queue repeats the first key
        order = torch.cat([torch.zeros(1, dtype=torch.int64), order[order != 0]])
    if loss is explicit:  # its negatives are a rotation of the keys
        order = torch.arange(n).roll(int(order[0]))
    plain = loss(query, key, reduction="none")
    permuted = loss(query[order], key[order], reduction="none")
    lines = torch.cat([order + start for start in range(0, len(plain), n)])
    close(permuted, plain[lines])
    close(loss(query[order], key[order]), loss(query, key))


def test_permuting_one_side_alone_changes_every_loss() -> None:
    query, key = two(5, 4, 3)
    for name, loss in LOSSES.items():
        if name == "sup_con, one label":
            continue  # there it does not matter who is whose view
        with pytest.raises(AssertionError):
            close(loss(query, key.roll(1, 0)), loss(query, key))


@law
@given(n=some_sizes, d=some_sizes, m=some_sizes, seed=seeds)
def test_duplicating_the_queries_leaves_the_mean(n: int, d: int, m: int, seed: int) -> None:
    query, key = two(n, d, seed)
    negatives = normal(m, d, seed=seed + 9)
    for loss in (f.info_nce, f.moco):
        once = loss(query, key, negatives)
        close(loss(query.repeat(3, 1), key.repeat(3, 1), negatives), once)
        with pytest.raises(AssertionError):
            close(loss(query.repeat(3, 1), key.repeat(3, 1), negatives, reduction="sum"), 1.5 * once)


@law
@given(n=some_sizes, d=some_sizes, seed=seeds)
def test_pairs_given_twice_with_their_ids_meet_each_stranger_twice_and_themselves_never(
    n: int, d: int, seed: int
) -> None:
    query, key = two(n, d, seed)
    for loss in (f.info_nce, f.nt_xent, partial(f.retrieval_info_nce, margin=None)):
        twice, without_ids = (
            loss(query.repeat(2, 1), key.repeat(2, 1), temperature=1.0, ids=ids, reduction="none").view(-1, 2, n)
            for ids in (torch.arange(n).repeat(2), None)
        )
        once = loss(query, key, temperature=1.0, reduction="none").view(-1, 1, n)
        # e^loss - 1 is the sum over the strangers, relative to the positive
        close(torch.expm1(twice), 2 * torch.expm1(once).expand_as(twice))
        with pytest.raises(AssertionError):
            close(without_ids, twice)
    once = f.dcl(query, key, reduction="none").view(2, 1, n)
    twice = f.dcl(query.repeat(2, 1), key.repeat(2, 1), ids=torch.arange(n).repeat(2), reduction="none")
    close(twice.view(2, 2, n), (once + math.log(2)).expand(2, 2, n))


# ---- bounds and special points


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


# ---- geometry


def rotation(d: int, seed: int) -> Tensor:
    turned: Tensor = torch.linalg.qr(normal(d, d, seed=seed)).Q
    return turned


@every_loss
@law
@given(n=some_sizes, d=some_sizes, seed=seeds)
def test_rotating_everything_changes_nothing(loss: Loss, n: int, d: int, seed: int) -> None:
    query, key = two(n, d, seed)
    turn = rotation(d, seed + 5)
    close(loss(query @ turn, key @ turn, reduction="none"), loss(query, key, reduction="none"))


@law
@given(n=some_sizes, d=some_sizes, seed=seeds)
def test_rotating_changes_no_dot_product_and_no_distance_and_shifting_no_distance(n: int, d: int, seed: int) -> None:
    query, key = two(n, d, seed)
    turn, shift = rotation(d, seed + 5), normal(d, seed=seed + 6)
    for similarity in (DotProduct(), NegativeSquaredDistance()):
        plain = f.info_nce(query, key, temperature=1.0, similarity=similarity, reduction="none")
        turned = f.info_nce(query @ turn, key @ turn, temperature=1.0, similarity=similarity, reduction="none")
        close(turned, plain)
    shifted = f.info_nce(query + shift, key + shift, temperature=1.0, similarity=similarity, reduction="none")
    close(shifted, plain)


def test_stretching_one_axis_changes_every_loss() -> None:
    query, key = two(5, 4, 6)
    stretch = torch.diag(torch.tensor([2.0, 1, 1, 1], dtype=torch.float64))
    for loss in LOSSES.values():
        with pytest.raises(AssertionError):
            close(loss(query @ stretch, key @ stretch), loss(query, key))


@every_loss
@law
@given(n=some_sizes, d=some_sizes, seed=seeds, temperature=temperatures)
def test_the_gradient_of_an_embedding_is_orthogonal_to_it_and_shrinks_with_its_length(
    loss: Loss, n: int, d: int, seed: int, temperature: float
) -> None:
    embeddings = two(n, d, seed)
    at_temperature = partial(loss, temperature=temperature)
    slopes = gradients(at_temperature, *embeddings)
    # RINCE's powers of e^{s} are in the hundreds at a temperature of 0.05, and so is their rounding
    size = max(1.0, *(float(slope.abs().max()) for slope in slopes))
    for embedding, slope in zip(embeddings, slopes, strict=True):
        along = (embedding * slope).sum(1) / size
        close(along, torch.zeros_like(along))
    lengths = 0.1 + 10 * torch.rand(n, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    longer = gradients(at_temperature, *(embedding * lengths for embedding in embeddings))
    for slope, of_longer in zip(slopes, longer, strict=True):
        close(of_longer * lengths / size, slope / size)


def test_the_gradient_of_a_dot_product_is_not_orthogonal() -> None:
    query, key = two(5, 4, 7)
    slope, _ = gradients(partial(f.info_nce, similarity=DotProduct()), query, key)
    with pytest.raises(AssertionError):
        close((query * slope).sum(1), torch.zeros(5, dtype=torch.float64))


# ---- how the losses are related


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


class Nearness(Similarity):
    """A user's own, no inner product: minus the sum of weighted absolute differences."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.linspace(0.5, 1.5, d, dtype=torch.float64))

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        return -((query[:, None] - key[None]).abs() * self.weight).sum(-1)


@law
@given(n=some_sizes, d=some_sizes, seed=seeds, margin=st.sampled_from([-0.5, 0.0, 0.3]))
def test_a_margin_leaves_out_what_is_nearer_than_the_positive_by_more_than_it(
    n: int, d: int, seed: int, margin: float
) -> None:
    query, key = two(n, d, seed)
    for similarity in (Cosine(), DotProduct(), NegativeSquaredDistance(), Nearness(d)):
        values = similarity(query, key).detach()
        own = values.diagonal()[:, None]
        kept = (values <= own + margin) | torch.eye(n, dtype=torch.bool)
        for engine in (Dense(), Tiled(2, 3)):
            settings: dict[str, Any] = {"similarity": similarity, "temperature": 0.5, "engine": engine}
            found = f.info_nce(query, key, margin=margin, reduction="none", **settings)
            logits = (values / 0.5).masked_fill(~kept, float("-inf"))
            close(found.detach(), torch.logsumexp(logits, 1) - logits.diagonal())


def test_a_negative_exactly_at_the_limit_stays() -> None:
    axes = torch.eye(4, dtype=torch.float64)
    keys = axes[[0, 0, 2, 2]]  # the cosines are 0 and 1, exactly
    for loss in (f.info_nce, f.symmetric_info_nce, f.nt_xent):
        for engine in (Dense(), Tiled(2, 3)):
            close(loss(keys, keys, margin=0.0, engine=engine), loss(keys, keys))
            with pytest.raises(AssertionError):
                close(loss(keys, keys, margin=-0.5, engine=engine), loss(keys, keys))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("d", [3, 64, 257])
@pytest.mark.parametrize("options", ["alone", "guide", "log_q"])
def test_a_duplicate_of_the_positive_stays_however_its_similarity_was_rounded(
    dtype: torch.dtype, d: int, options: str
) -> None:
    """Two computations of one inner product differ in the last digits: no engine may take that for more alike."""
    numbers = torch.Generator().manual_seed(d)
    # each key occurs twice, and each is the positive of one query and a negative of another
    query, key, of_query, of_key = (torch.randn(16, d, generator=numbers, dtype=dtype) / d**0.5 for _ in range(4))
    key, of_key = key[:8].repeat(2, 1), of_key[:8].repeat(2, 1)
    given: dict[str, Any] = {"temperature": 0.5, "reduction": "none"}
    extra: dict[str, dict[str, Any]] = {
        "guide": {"guide": (of_query, of_key)},
        "log_q": {"log_q": -torch.arange(16.0)},
        "alone": {},
    }
    given |= extra[options]
    close_to_the_digits = partial(assert_close, rtol=0, atol=2e-5 if dtype == torch.float32 else 1e-11)
    for loss in (f.info_nce, f.symmetric_info_nce):
        for similarity in (Cosine(), DotProduct()):
            # beyond any rounding of inner products of about 1, below the distance of different ones
            little = 1e-4 if dtype == torch.float32 else 1e-9
            stays = loss(query, key, margin=little, similarity=similarity, engine=Dense(), **given)
            goes = loss(query, key, margin=-little, similarity=similarity, engine=Dense(), **given)
            with pytest.raises(AssertionError):
                close_to_the_digits(goes, stays)
            for engine in (Dense(), Tiled(3, 3), Tiled(1, 5)):
                found = loss(query, key, margin=0.0, similarity=similarity, engine=engine, **given)
                close_to_the_digits(found, stays)


@pytest.mark.parametrize("loss", [f.info_nce, f.symmetric_info_nce, f.nt_xent, f.dcl])
@law
@given(n=some_sizes, d=some_sizes, seed=seeds)
def test_candidates_sampled_evenly_need_no_correction(loss: Loss, n: int, d: int, seed: int) -> None:
    query, key = two(n, d, seed)
    lines = 2 * n if loss in (f.nt_xent, f.dcl) else n
    even = torch.full((lines,), math.log(1 / 50), dtype=torch.float64)
    plain = loss(query, key, reduction="none")
    close(loss(query, key, reduction="none", log_q=even), plain)
    uneven = even + torch.linspace(-1, 1, lines, dtype=torch.float64)
    with pytest.raises(AssertionError):
        close(loss(query, key, reduction="none", log_q=uneven), plain)


@law
@given(n=some_sizes, d=some_sizes, seed=seeds, eps=st.floats(0, 0.99))
def test_label_smoothing_mixes_the_target_with_the_even_one(n: int, d: int, seed: int, eps: float) -> None:
    query, key = two(n, d, seed)
    similarity = F.normalize(query) @ F.normalize(key).T / 0.1
    even = torch.logsumexp(similarity, 1) - similarity.mean(1)
    plain = f.info_nce(query, key, reduction="none")
    close(f.info_nce(query, key, label_smoothing=eps, reduction="none"), (1 - eps) * plain + eps * even)


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
