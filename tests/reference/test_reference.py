"""Do the oracles agree with each other, with closed forms, with other libraries, and differ from the usual mistakes?"""

import itertools
import json
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from . import (
    WRONG,
    WRONG_WHERE,
    Matrix,
    Vector,
    bilinear,
    collapsed_dcl,
    collapsed_info_nce,
    collapsed_nt_xent,
    collapsed_sup_con,
    cosine,
    cpc,
    dcl,
    dclw,
    dclw_weights,
    debiased_info_nce,
    dot,
    hard_negative_info_nce,
    info_nce,
    info_nce_gradients,
    info_nce_temperature_gradient,
    label_toy_bound,
    label_toy_expected_loss,
    label_toy_nt_xent_excess,
    log_sigmoid,
    log_sum_exp,
    matryoshka,
    mean,
    minimum_dcl,
    minimum_info_nce,
    minimum_nt_xent,
    minimum_sup_con,
    moco,
    nce,
    negative_squared_distance,
    nt_xent,
    orthonormal_info_nce,
    orthonormal_nt_xent,
    retrieval_info_nce,
    robust_info_nce,
    sequences,
    sigmoid_loss,
    simplex,
    softmax,
    sup_con,
    symmetric_info_nce,
    vectors,
    views,
    wav2vec2_contrastive,
)

same = partial(assert_close, rtol=1e-12, atol=1e-12)

QUERY, KEY = views(6, 4, seed=1)
NEGATIVES = vectors(5, 4, seed=2)
OWN_NEGATIVES = sequences(6, 3, 4, seed=3)
VIEW1, VIEW2 = views(5, 4, seed=4)
THREE_VIEWS = views(4, 5, seed=5, number=3)
FEATURES = vectors(9, 4, seed=6)
LABELS = [0, 1, 2, 0, 1, 2, 0, 1, 3]  # label 3 occurs once
LOG_Q = [math.log((1 + i) / 60.0) for i in range(12)]
CONTEXT = sequences(3, 5, 3, seed=7)
LATENTS = sequences(3, 5, 3, seed=8)
WEIGHTS = sequences(2, 3, 3, seed=9)
MASK = [[True, False, True, True, False]] * 3
DISTRACTORS = [{0: [2, 3, 3], 2: [0, 3], 3: [0, 2]}] * 3
DATA_SCORES, DATA_DENSITY = vectors(2, 4, seed=10)
NOISE_SCORES, NOISE_DENSITY = sequences(2, 4, 3, seed=11)
ORTHONORMAL = [[1.0 if a == b else 0.0 for b in range(6)] for a in range(6)]
EQUAL = [[0.3, -0.4]] * 6


def numbers(values: Any) -> Vector:
    """All numbers of a nested result, None left out."""
    if values is None:
        return []
    if isinstance(values, (int, float)):
        return [float(values)]
    return [x for value in values for x in numbers(value)]


# ---- similarities and arithmetic


def test_similarities_by_hand() -> None:
    same(dot([1.0, 2.0], [3.0, -4.0]), -5.0)
    same(cosine([3.0, 0.0], [1.0, 1.0]), math.sqrt(0.5))
    assert cosine([0.0, 0.0], [1.0, 1.0]) == 0.0
    same(negative_squared_distance([1.0, 2.0], [3.0, -4.0]), -40.0)
    same(bilinear([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0]])([1.0, 3.0], [1.0, 1.0, 2.0]), 0.0)
    same(bilinear([[0.0, 2.0], [0.0, 0.0]])([5.0, 0.0], [0.0, 7.0]), 70.0)


def test_log_sum_exp_has_no_overflow_and_an_empty_sum() -> None:
    same(log_sum_exp([1000.0, 1000.0]), 1000.0 + math.log(2.0))
    assert log_sum_exp([]) == -math.inf
    same(sum(softmax([5.0, -3.0, 0.5])), 1.0)
    same(log_sigmoid(-800.0), -800.0)
    same(log_sigmoid(0.3) - log_sigmoid(-0.3), 0.3)


# ---- InfoNCE and its options


def test_info_nce_is_torch_cross_entropy_of_cosines() -> None:
    for eps in (0.0, 0.15):
        q, k = (torch.nn.functional.normalize(torch.tensor(x, dtype=torch.float64)) for x in (QUERY, KEY))
        right = torch.nn.functional.cross_entropy(
            q @ k.T / 0.2, torch.arange(6), reduction="none", label_smoothing=eps
        ).tolist()
        same(info_nce(QUERY, KEY, temperature=0.2, label_smoothing=eps), right)


def test_info_nce_literally() -> None:
    s = [[cosine(q, k) / 0.3 for k in KEY] for q in QUERY]
    right = [-math.log(math.exp(row[i]) / sum(math.exp(x) for x in row)) for i, row in enumerate(s)]
    same(info_nce(QUERY, KEY, temperature=0.3), right)


def test_explicit_negatives_replace_the_batch_unless_both_are_kept() -> None:
    for i in range(6):
        alone = info_nce(QUERY[i : i + 1], KEY[i : i + 1], NEGATIVES)
        same(info_nce(QUERY, KEY, NEGATIVES)[i], alone[0])
        every = [KEY[i], *(k for j, k in enumerate(KEY) if j != i), *NEGATIVES]
        literal = log_sum_exp([cosine(QUERY[i], k) / 0.1 for k in every]) - cosine(QUERY[i], KEY[i]) / 0.1
        same(info_nce(QUERY, KEY, NEGATIVES, keep_in_batch=True)[i], literal)
    same(info_nce(QUERY, KEY, [NEGATIVES] * 6, negative_mode="paired"), info_nce(QUERY, KEY, NEGATIVES))
    same(
        info_nce(QUERY, KEY, [NEGATIVES] * 6, negative_mode="paired", keep_in_batch=True),
        info_nce(QUERY, KEY, NEGATIVES, keep_in_batch=True),
    )
    same(info_nce(QUERY, KEY, []), [0.0] * 6)


def test_one_temperature_for_each_query() -> None:
    temperatures = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    right = [info_nce(QUERY, KEY, temperature=t)[i] for i, t in enumerate(temperatures)]
    same(info_nce(QUERY, KEY, temperature=temperatures), right)
    both = [symmetric_info_nce(QUERY, KEY, temperature=t)[i] for i, t in enumerate(temperatures)]
    same(symmetric_info_nce(QUERY, KEY, temperature=temperatures), both)
    with pytest.raises(ValueError, match="2 values for 6"):
        info_nce(QUERY, KEY, temperature=[0.1, 0.2])


def test_unique_ids_change_nothing() -> None:
    ids = list("abcdef")
    for same_id in ("out", "positive"):
        same(info_nce(QUERY, KEY, ids=ids, same_id=same_id), info_nce(QUERY, KEY))
        same(symmetric_info_nce(QUERY, KEY, ids=ids, same_id=same_id), symmetric_info_nce(QUERY, KEY))
        same(nt_xent(THREE_VIEWS, ids=ids[:4], same_id=same_id), nt_xent(THREE_VIEWS))
        same(sigmoid_loss(QUERY, KEY, ids=ids, same_id=same_id), sigmoid_loss(QUERY, KEY))


def test_a_key_with_the_querys_id_is_out() -> None:
    ids = [0, 1, 0, 2, 3, 4]
    kept = [0, 1, 3, 4, 5]  # without pair 2, query 0 sees what it sees in the whole batch
    shorter = info_nce([QUERY[i] for i in kept], [KEY[i] for i in kept])
    same(info_nce(QUERY, KEY, ids=ids)[0], shorter[0])
    same(info_nce(QUERY, KEY, ids=ids)[1], info_nce(QUERY, KEY)[1])
    same(
        info_nce(QUERY, KEY, NEGATIVES, ids=list(range(6)), negative_ids=[3, 9, 9, 9, 9])[3],
        info_nce(QUERY, KEY, NEGATIVES[1:])[3],
    )
    paired = info_nce(
        QUERY, KEY, OWN_NEGATIVES, negative_mode="paired", ids=[0] * 6, negative_ids=[[0, 1, 1]] * 6, same_id="out"
    )
    same(paired, info_nce(QUERY, KEY, [own[1:] for own in OWN_NEGATIVES], negative_mode="paired"))


def test_a_key_with_the_querys_id_is_a_positive() -> None:
    ids = [0, 1, 0, 2, 3, 4]
    s = [cosine(QUERY[0], k) / 0.1 for k in KEY]
    same(info_nce(QUERY, KEY, ids=ids, same_id="positive")[0], log_sum_exp(s) - (s[0] + s[2]) / 2)
    n = [cosine(QUERY[3], k) / 0.1 for k in [KEY[3], *NEGATIVES]]
    found = info_nce(QUERY, KEY, NEGATIVES, ids=list(range(6)), negative_ids=[9, 3, 9, 3, 9], same_id="positive")
    same(found[3], log_sum_exp(n) - (n[0] + n[2] + n[4]) / 3)


def test_margin_leaves_out_what_is_too_similar() -> None:
    same(info_nce(QUERY, KEY, margin=10.0), info_nce(QUERY, KEY))
    same(info_nce(QUERY, KEY, margin=-10.0), [0.0] * 6)
    for i in range(6):
        own = cosine(QUERY[i], KEY[i])
        kept = [k for j, k in enumerate(KEY) if j != i and cosine(QUERY[i], k) <= own - 0.5]
        same(info_nce(QUERY, KEY, margin=-0.5)[i], info_nce([QUERY[i]], [KEY[i]], kept)[0])
    twins = [[1.0, 0.0], [1.0, 0.0]]  # exactly at the threshold: stays
    same(info_nce(twins, twins, margin=0.0), [math.log(2.0)] * 2)


def test_margin_looks_at_the_best_of_several_positives() -> None:
    q, keys = [[1.0, 0.0]] * 3, [[0.0, 1.0], [1.0, 0.1], [1.0, 0.5]]
    with_best = info_nce(q, keys, ids=[0, 0, 1], same_id="positive", margin=0.0)
    s = [cosine(q[0], k) / 0.1 for k in keys]
    same(with_best[0], log_sum_exp(s) - (s[0] + s[1]) / 2)  # key 2 is below the best positive, above the other


def test_guide_of_the_same_vectors_is_margin_zero() -> None:
    same(info_nce(QUERY, KEY, guide=(QUERY, KEY)), info_nce(QUERY, KEY, margin=0.0))
    same(
        info_nce(QUERY, KEY, NEGATIVES, guide=(QUERY, KEY, NEGATIVES), margin=-0.3),
        info_nce(QUERY, KEY, NEGATIVES, margin=-0.3),
    )
    other = vectors(6, 3, seed=20), vectors(6, 3, seed=21)
    for i, loss in enumerate(info_nce(QUERY, KEY, guide=other)):
        limit = cosine(other[0][i], other[1][i])
        kept = [k for j, k in enumerate(KEY) if j != i and cosine(other[0][i], other[1][j]) <= limit]
        same(loss, info_nce([QUERY[i]], [KEY[i]], kept)[0])
    same(nt_xent([VIEW1, VIEW2], guide=[VIEW1, VIEW2]), nt_xent([VIEW1, VIEW2], margin=0.0))
    same(symmetric_info_nce(QUERY, KEY, guide=(QUERY, KEY)), symmetric_info_nce(QUERY, KEY, margin=0.0))


def test_log_q_counts_candidates() -> None:
    flat = [-1.5] * 6
    same(info_nce(QUERY, KEY, log_q=flat), info_nce(QUERY, KEY))  # a constant cancels: the positive is corrected too
    # A candidate with log q = -log 2 weighs as much as the same candidate twice.
    half = [-math.log(2.0)] * 5
    same(info_nce(QUERY, KEY, NEGATIVES, log_q=half), info_nce(QUERY, KEY, NEGATIVES * 2))
    # The three layouts.
    q = LOG_Q[:11]
    right = [
        log_sum_exp([cosine(x, k) / 0.1 - w for k, w in zip(KEY + NEGATIVES, q, strict=True)])
        - (cosine(x, KEY[i]) / 0.1 - q[i])
        for i, x in enumerate(QUERY)
    ]
    same(info_nce(QUERY, KEY, NEGATIVES, keep_in_batch=True, log_q=q), right)
    paired = {"negative_mode": "paired", "keep_in_batch": True}
    same(info_nce(QUERY, KEY, [NEGATIVES] * 6, log_q=(q[:6], [q[6:]] * 6), **paired), right)  # type: ignore[arg-type]  # nested lists
    same(
        info_nce(QUERY, KEY, [NEGATIVES] * 6, negative_mode="paired", log_q=[q[6:]] * 6),
        info_nce(QUERY, KEY, NEGATIVES, log_q=q[6:]),
    )


# ---- symmetric, NT-Xent, SupCon, MoCo, retrieval, matryoshka


def test_symmetric_is_the_mean_of_both_directions() -> None:
    rows, columns = info_nce(QUERY, KEY), info_nce(KEY, QUERY)
    right = [(r + c) / 2 for r, c in zip(rows, columns, strict=True)]
    same(symmetric_info_nce(QUERY, KEY, temperature=0.1), right)
    same(symmetric_info_nce(KEY, QUERY, temperature=0.1), right)
    options: dict[str, Any] = {"log_q": LOG_Q[:6], "ids": [0, 1, 0, 2, 3, 4], "label_smoothing": 0.1, "margin": -0.2}
    rows, columns = info_nce(QUERY, KEY, **options), info_nce(KEY, QUERY, **options)
    right = [(r + c) / 2 for r, c in zip(rows, columns, strict=True)]
    same(symmetric_info_nce(QUERY, KEY, temperature=0.1, **options), right)


def test_symmetric_gives_the_query_first_to_an_unsymmetric_similarity() -> None:
    weight = vectors(4, 4, seed=30)
    s = [[bilinear(weight)(q, k) for k in KEY] for q in QUERY]
    right = [(log_sum_exp(s[i]) + log_sum_exp([row[i] for row in s])) / 2 - s[i][i] for i in range(6)]
    same(symmetric_info_nce(QUERY, KEY, temperature=1.0, similarity=bilinear(weight)), right)


def test_nt_xent_literally() -> None:
    z = VIEW1 + VIEW2
    right = []
    for a in range(10):
        e = [math.exp(cosine(z[a], z[b]) / 0.5) for b in range(10)]
        right.append(-math.log(e[(a + 5) % 10] / (sum(e) - e[a])))
    same(nt_xent([VIEW1, VIEW2], temperature=0.5), right)
    temperatures = [0.1 * (1 + a) for a in range(10)]
    each = [nt_xent([VIEW1, VIEW2], temperature=t)[a] for a, t in enumerate(temperatures)]
    same(nt_xent([VIEW1, VIEW2], temperature=temperatures), each)


def test_nt_xent_of_items_with_one_id_is_sup_con() -> None:
    stacked = [z for view in THREE_VIEWS for z in view]
    ids = [0, 1, 0, 2]
    options: dict[str, Any] = {"label_smoothing": 0.2, "log_q": LOG_Q, "margin": -0.1}
    same(nt_xent(THREE_VIEWS, ids=ids, same_id="positive", **options), sup_con(stacked, ids * 3, **options))
    out = nt_xent(THREE_VIEWS, ids=ids)
    kept = [[z for i, z in enumerate(view) if i != 2] for view in THREE_VIEWS]
    same([out[0], out[4], out[8]], nt_xent(kept)[0::3])


def test_sup_con_with_distinct_labels_is_nt_xent() -> None:
    same(sup_con(VIEW1 + VIEW2, list(range(5)) * 2), nt_xent([VIEW1, VIEW2]))
    same(sup_con(VIEW1 + VIEW2, list(range(5)) * 2, inside=True), nt_xent([VIEW1, VIEW2]))


def test_sup_con_inside_is_never_above_outside_and_knows_no_positive() -> None:
    outside, inside = sup_con(FEATURES, LABELS), sup_con(FEATURES, LABELS, inside=True)
    assert outside[8] is None
    assert inside[8] is None
    assert all(b <= a for a, b in zip(numbers(outside), numbers(inside), strict=True))
    s = [cosine(FEATURES[0], f) / 0.1 for f in FEATURES]
    total = sum(math.exp(x) for x in s[1:])
    same(outside[0], -(math.log(math.exp(s[3]) / total) + math.log(math.exp(s[6]) / total)) / 2)
    same(inside[0], -math.log((math.exp(s[3]) + math.exp(s[6])) / 2 / total))


def test_moco_is_info_nce_with_the_queue_for_negatives() -> None:
    same(moco(QUERY, KEY, NEGATIVES), info_nce(QUERY, KEY, NEGATIVES, temperature=0.07))
    ids, queue_ids = list(range(6)), [4, 9, 9, 2, 9]
    same(
        moco(QUERY, KEY, NEGATIVES, ids=ids, queue_ids=queue_ids),
        info_nce(QUERY, KEY, NEGATIVES, temperature=0.07, ids=ids, negative_ids=queue_ids),
    )


def test_retrieval_without_its_extra_terms_is_info_nce() -> None:
    plain: dict[str, Any] = {"query_query": False, "document_document": False}
    same(retrieval_info_nce(QUERY, KEY, margin=None, **plain), info_nce(QUERY, KEY, temperature=0.05))
    same(retrieval_info_nce(QUERY, KEY, margin=-0.4, **plain), info_nce(QUERY, KEY, temperature=0.05, margin=-0.4))
    same(
        retrieval_info_nce(QUERY, KEY, OWN_NEGATIVES, ids=[0, 1, 0, 2, 3, 4], **plain),
        info_nce(
            QUERY,
            KEY,
            OWN_NEGATIVES,
            temperature=0.05,
            margin=0.1,
            ids=[0, 1, 0, 2, 3, 4],
            negative_mode="paired",
            keep_in_batch=True,
        ),
    )


def test_retrieval_has_query_query_and_document_document_terms() -> None:
    for i, loss in enumerate(retrieval_info_nce(QUERY, KEY, OWN_NEGATIVES, temperature=0.2)):
        others = [j for j in range(6) if j != i]
        own = cosine(QUERY[i], KEY[i])
        terms = [cosine(QUERY[i], n) for n in OWN_NEGATIVES[i]]
        terms += [cosine(QUERY[i], KEY[j]) for j in others]
        terms += [cosine(QUERY[i], QUERY[j]) for j in others]
        terms += [cosine(KEY[i], KEY[j]) for j in others]
        kept = [s for s in terms if not s > own + 0.1]
        same(loss, math.log(1.0 + sum(math.exp((s - own) / 0.2) for s in kept)))


def test_matryoshka_sums_over_leading_coordinates() -> None:
    nested = matryoshka(info_nce, [2, 4], [0.5, 2.0])
    first = mean(info_nce([row[:2] for row in QUERY], [row[:2] for row in KEY]))
    same(nested(QUERY, KEY), 0.5 * first + 2.0 * mean(info_nce(QUERY, KEY)))
    same(matryoshka(info_nce, [4])(QUERY, KEY), mean(info_nce(QUERY, KEY)))


# ---- decoupled, debiased, hard negatives, robust


def test_nt_xent_is_softplus_of_dcl() -> None:
    for options in ({}, {"log_q": LOG_Q[:10]}, {"ids": [0, 0, 1, 2, 3]}, {"margin": -0.2}):
        coupled = nt_xent([VIEW1, VIEW2], **options)
        decoupled = dcl(VIEW1, VIEW2, **options)
        for a, b in zip(coupled, decoupled, strict=True):
            if b != 0.0:
                same(a, -log_sigmoid(-b))


def test_dclw_weights_have_mean_one_and_equal_pairs_make_it_dcl() -> None:
    weights = dclw_weights(VIEW1, VIEW2)
    same(mean(weights), 1.0)
    same(weights[:5], weights[5:])
    assert max(weights) - min(weights) > 0.1
    same(dclw(VIEW1, VIEW1), dcl(VIEW1, VIEW1))
    shifts = zip(dclw(VIEW1, VIEW2), dcl(VIEW1, VIEW2), weights, VIEW1 + VIEW2, VIEW2 + VIEW1, strict=True)
    for weighted, plain, w, z, other in shifts:
        same(weighted - plain, (1.0 - w) * cosine(z, other) / 0.1)


def test_debiased_without_a_prior_is_nt_xent() -> None:
    same(debiased_info_nce(VIEW1, VIEW2, positive_prior=0.0), nt_xent([VIEW1, VIEW2], temperature=0.5))
    same(
        debiased_info_nce(VIEW1, VIEW2, positive_prior=0.0, ids=[0, 0, 1, 2, 3]),
        nt_xent([VIEW1, VIEW2], temperature=0.5, ids=[0, 0, 1, 2, 3]),
    )


def test_debiased_stops_at_its_floor() -> None:
    # Orthogonal items, equal views: mean e^s = 1, e^{s+} = e^2, floor e^{-2}. Prior 0.2: 1 - 0.2 e^2 is negative.
    found = debiased_info_nce(ORTHONORMAL, ORTHONORMAL, positive_prior=0.2)
    same(found, [math.log(1.0 + 10 * math.exp(-2.0) / math.exp(2.0))] * 12)
    found = debiased_info_nce(ORTHONORMAL, ORTHONORMAL, positive_prior=0.1)
    same(found, [math.log(1.0 + 10 * (1.0 - 0.1 * math.exp(2.0)) / 0.9 / math.exp(2.0))] * 12)


def test_hard_negative_at_beta_zero_is_debiased() -> None:
    same(hard_negative_info_nce(VIEW1, VIEW2, beta=0.0), debiased_info_nce(VIEW1, VIEW2))
    plain = nt_xent([VIEW1, VIEW2], temperature=0.5)
    same(hard_negative_info_nce(VIEW1, VIEW2, beta=0.0, positive_prior=0.0), plain)
    same(hard_negative_info_nce(VIEW1, VIEW2, top_k=8), plain)
    same(hard_negative_info_nce(VIEW1, VIEW2, top_k=0), [0.0] * 10)


def test_hard_negative_at_large_beta_sees_only_the_hardest() -> None:
    found = hard_negative_info_nce(VIEW1, VIEW2, beta=300.0, positive_prior=0.0)
    for loss, hardest in zip(found, hard_negative_info_nce(VIEW1, VIEW2, top_k=1), strict=True):
        same(loss, math.log1p(8 * math.expm1(hardest)), rtol=1e-6)


def test_a_query_without_negatives_has_loss_zero() -> None:
    for loss in (dcl, dclw, debiased_info_nce, hard_negative_info_nce, partial(hard_negative_info_nce, top_k=3)):
        assert loss(VIEW1, VIEW2, ids=[7] * 5) == [0.0] * 10
        assert loss(VIEW1, VIEW2, margin=-10.0) == [0.0] * 10
    assert nt_xent([VIEW1, VIEW2], ids=[7] * 5) == [0.0] * 10


def test_robust_tends_to_info_nce_plus_log_lambda() -> None:
    limit = [loss + math.log(0.01) for loss in info_nce(QUERY, KEY)]
    same(robust_info_nce(QUERY, KEY, q=1e-6), limit, rtol=0.0, atol=1e-3)
    with pytest.raises(AssertionError):
        same(robust_info_nce(QUERY, KEY, q=1e-6), info_nce(QUERY, KEY), rtol=0.0, atol=1e-3)


def test_robust_at_q_one_is_linear_in_exponentials() -> None:
    right = []
    for i, q in enumerate(QUERY):
        e = [math.exp(cosine(q, k) / 0.5) for k in KEY]
        right.append(-e[i] + 0.3 * sum(e))
    same(robust_info_nce(QUERY, KEY, temperature=0.5, q=1.0, lam=0.3), right)


# ---- sigmoid, NCE, CPC, wav2vec 2.0


def test_sigmoid_loss_literally() -> None:
    right = []
    for i, q in enumerate(QUERY):
        logits = [10.0 * cosine(q, k) - 10.0 for k in KEY]
        right.append(sum(math.log(1.0 + math.exp(-x if i == j else x)) for j, x in enumerate(logits)))
    same(sigmoid_loss(QUERY, KEY), right)
    ids = [0, 1, 0, 2, 3, 4]
    moved = 10.0 * cosine(QUERY[0], KEY[2]) - 10.0
    same(sigmoid_loss(QUERY, KEY, ids=ids)[0], right[0] - math.log(1.0 + math.exp(moved)))
    same(sigmoid_loss(QUERY, KEY, ids=ids, same_id="positive")[0], right[0] - moved)
    same(sigmoid_loss(QUERY, KEY, margin=-10.0)[1], -log_sigmoid(10.0 * cosine(QUERY[1], KEY[1]) - 10.0))


def test_nce_of_a_model_equal_to_the_noise() -> None:
    # p_m = p_n: h = 1 / (1 + ν) everywhere.
    found = nce(DATA_SCORES, NOISE_SCORES, DATA_SCORES, NOISE_SCORES, 3)
    same(found, [math.log(4.0) + 3 * math.log(4.0 / 3.0)] * 4)
    same(nce([0.4], [[1.0]], [0.1], [[0.3]], 1), [math.log1p(math.exp(-0.3)) + math.log1p(math.exp(0.7))])


def test_cpc_candidates() -> None:
    options: dict[str, Any] = {"steps": [1, 3]}
    both = cpc(CONTEXT, LATENTS, WEIGHTS, **options)
    assert len(both) == 3 * (4 + 2)
    alone = [cpc([c], [z], WEIGHTS, negatives="same", **options) for c, z in zip(CONTEXT, LATENTS, strict=True)]
    inside = cpc(CONTEXT, LATENTS, WEIGHTS, negatives="same", **options)
    same(inside, [x for losses in alone for x in losses])
    same(cpc(CONTEXT[:1], LATENTS[:1], WEIGHTS, **options), alone[0])
    same(cpc(CONTEXT[:1], LATENTS[:1], WEIGHTS, negatives="others", **options), [0.0] * 6)
    # e^both = Σ all / positive = Σ same / positive + Σ others / positive, and "others" counts the positive once more.
    outside = cpc(CONTEXT, LATENTS, WEIGHTS, negatives="others", **options)
    same([math.exp(b) for b in both], [math.exp(i) + math.exp(o) - 1 for i, o in zip(inside, outside, strict=True)])


def test_cpc_literally() -> None:
    # Sequence 1, second step (k = 3), t = 1: the sixth loss of that sequence.
    c, w = CONTEXT[1][1], WEIGHTS[1]
    f = [sum(c[a] * w[a][b] * z[b] for a in range(3) for b in range(3)) for z in LATENTS[1]]
    found = cpc(CONTEXT, LATENTS, WEIGHTS, steps=[1, 3], negatives="same")
    same(found[6 + 5], -math.log(math.exp(f[4]) / sum(math.exp(x) for x in f)))


def test_wav2vec2_leaves_out_distractors_equal_to_the_target() -> None:
    losses = wav2vec2_contrastive(CONTEXT, LATENTS, MASK, DISTRACTORS)
    assert len(losses) == 9
    first = [cosine(CONTEXT[0][0], LATENTS[0][t]) / 0.1 for t in (0, 2, 3, 3)]
    same(losses[0], log_sum_exp(first) - first[0])
    nothing: dict[int, list[int]] = {0: [], 2: [], 3: []}
    same(wav2vec2_contrastive(CONTEXT, LATENTS, MASK, [nothing] * 3), [0.0] * 9)
    themselves = [{t: [t, t] for t in range(5)}] * 3
    same(wav2vec2_contrastive(CONTEXT, LATENTS, MASK, themselves), [0.0] * 9)
    twins = [[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]]
    one = wav2vec2_contrastive(twins, twins, [[True, False, False]], [{0: [1, 2]}], temperature=1.0)
    same(one, [math.log1p(math.exp(-1.0))])


# ---- closed forms


@pytest.mark.parametrize(
    ("classes", "batch", "values"),  # values: I_K at τ → 0, expected loss at τ → 0, 0.1, 0.5
    [
        (2, 64, (0.6852723181, 3.4736107653, 3.4736561641, 3.6000792182)),
        (2, 128, (0.6892255095, 4.1628047545, 4.1628501533, 4.2895069593)),
        (2, 512, (0.6921696619, 5.5461549632, 5.5462003620, 5.6730272365)),
        (10, 64, (2.2297932638, 1.9290898195, 1.9294977792, 2.6968611790)),
        (10, 128, (2.2668829707, 2.5851472932, 2.5855557998, 3.3680834598)),
        (10, 512, (2.2937639798, 3.9445606452, 3.9449691593, 4.7378676921)),
        (100, 64, (3.7722758100, 0.3866072734, 0.3887131097, 2.3074559010)),
        (100, 128, (4.1554188925, 0.6966113714, 0.6998451776, 2.9581320381)),
        (100, 512, (4.5041025855, 1.7342220395, 1.7386773391, 4.3114643696)),
    ],
)
def test_label_toy_table(classes: int, batch: int, values: tuple[float, ...]) -> None:
    found = [label_toy_bound(classes, batch), *(label_toy_expected_loss(classes, batch, t) for t in (0.0, 0.1, 0.5))]
    same(found, list(values), rtol=0.0, atol=6e-11)
    assert label_toy_bound(classes, batch) < math.log(classes)


def test_label_toy_is_the_mean_of_info_nce_over_all_labellings() -> None:
    classes, batch = 3, 4
    losses = []
    for labels in itertools.product(range(classes), repeat=batch):
        one_hot = [[1.0 if c == label else 0.0 for c in range(classes)] for label in labels]
        losses += info_nce(one_hot, one_hot, temperature=0.5)
    same(mean(losses), label_toy_expected_loss(classes, batch, 0.5))


def test_nt_xent_is_no_bound_on_the_mutual_information() -> None:
    for classes, items, value in ((3, 10, 1.101751), (2, 5, 0.695228), (5, 20, 1.612257), (2, 6, 0.696940)):
        same(label_toy_nt_xent_excess(classes, items), value, rtol=0.0, atol=6e-7)
        assert value > math.log(classes)


def test_minima_of_the_table() -> None:
    same(minimum_info_nce(6, 0.5), 0.374036197931, rtol=0.0, atol=1e-12)
    same(minimum_nt_xent(6, 0.5), 0.645625466337, rtol=0.0, atol=1e-12)
    same(minimum_dcl(6, 0.5), -0.097414907006, rtol=0.0, atol=1e-12)
    same(minimum_sup_con(12, 3, 0.5), 1.223274290467, rtol=0.0, atol=1e-12)


def test_a_simplex_reaches_the_minima_and_no_neighbour_does() -> None:
    corners = simplex(6)
    same(cosine(corners[0], corners[3]), -1 / 5)
    classes = simplex(3)
    labels = [0, 1, 2] * 4
    rows: list[tuple[Callable[[Matrix], Sequence[float | None]], Matrix, float]] = [
        (lambda z: info_nce(z, corners, temperature=0.5), corners, minimum_info_nce(6, 0.5)),
        (lambda z: symmetric_info_nce(z, corners, temperature=0.5), corners, minimum_info_nce(6, 0.5)),
        (lambda z: nt_xent([z, corners], temperature=0.5), corners, minimum_nt_xent(6, 0.5)),
        (lambda z: dcl(z, corners, temperature=0.5), corners, minimum_dcl(6, 0.5)),
        (lambda z: sup_con(z, labels, temperature=0.5), [classes[c] for c in labels], minimum_sup_con(12, 3, 0.5)),
    ]
    for loss, at_minimum, value in rows:
        same(numbers(loss(at_minimum)), [value] * len(loss(at_minimum)))
        drift = vectors(len(at_minimum), len(at_minimum[0]), seed=40)
        near = [[x + 0.05 * e for x, e in zip(a, b, strict=True)] for a, b in zip(at_minimum, drift, strict=True)]
        assert mean(numbers(loss(near))) > value + 1e-4


def test_collapsed_embeddings() -> None:
    same(info_nce(EQUAL, EQUAL), [collapsed_info_nce(6)] * 6)
    same(symmetric_info_nce(EQUAL, EQUAL), [collapsed_info_nce(6)] * 6)
    same(nt_xent([EQUAL, EQUAL]), [collapsed_nt_xent(6)] * 12)
    same(dcl(EQUAL, EQUAL), [collapsed_dcl(6)] * 12)
    same(dclw(EQUAL, EQUAL), [collapsed_dcl(6)] * 12)
    same(sup_con(EQUAL * 2, [0, 1] * 6), [collapsed_sup_con(12)] * 12)
    assert collapsed_sup_con(12) == collapsed_nt_xent(6)


def test_orthonormal_pairs() -> None:
    same(info_nce(ORTHONORMAL, ORTHONORMAL, temperature=0.3), [orthonormal_info_nce(6, 0.3)] * 6)
    same(nt_xent([ORTHONORMAL, ORTHONORMAL], temperature=0.3), [orthonormal_nt_xent(6, 0.3)] * 12)


@pytest.mark.parametrize("similarity", [cosine, dot])
def test_gradients_are_those_of_finite_differences(similarity: Callable[[Vector, Vector], float]) -> None:
    def loss(query: Matrix, key: Matrix, temperature: float = 0.4) -> float:
        return mean(info_nce(query, key, temperature=temperature, similarity=similarity))

    def moved(rows: Matrix, i: int, d: int, by: float) -> Matrix:
        return [[x + by * (a == i and b == d) for b, x in enumerate(row)] for a, row in enumerate(rows)]

    step = 1e-5
    of_query, of_key = info_nce_gradients(QUERY, KEY, 0.4, similarity=similarity)
    for i, d in itertools.product(range(6), range(4)):
        rise = loss(moved(QUERY, i, d, step), KEY) - loss(moved(QUERY, i, d, -step), KEY)
        same(of_query[i][d], rise / (2 * step), rtol=0.0, atol=1e-8)
        rise = loss(QUERY, moved(KEY, i, d, step)) - loss(QUERY, moved(KEY, i, d, -step))
        same(of_key[i][d], rise / (2 * step), rtol=0.0, atol=1e-8)
    rise = loss(QUERY, KEY, 0.4 + step) - loss(QUERY, KEY, 0.4 - step)
    found = info_nce_temperature_gradient(QUERY, KEY, 0.4, similarity=similarity)
    same(found, rise / (2 * step), rtol=0.0, atol=1e-7)


def test_gradients_are_orthogonal_to_normalised_inputs() -> None:
    of_query, of_key = info_nce_gradients(QUERY, KEY, 0.1)
    for row, gradient in zip(QUERY + KEY, of_query + of_key, strict=True):
        same(dot(row, gradient), 0.0)


# ---- other libraries


GOLDENS = Path(__file__).parents[1] / "published" / "goldens.json"
CASES: list[dict[str, Any]] = json.loads(GOLDENS.read_text(encoding="utf-8"))
ORACLES: dict[str, Callable[..., Any]] = {
    "info_nce": info_nce,
    "nt_xent": nt_xent,
    "sup_con": sup_con,
    "symmetric_info_nce": symmetric_info_nce,
    "retrieval_info_nce": retrieval_info_nce,
    "dcl": dcl,
    "dclw": dclw,
    "sigmoid_loss": sigmoid_loss,
}


def values_of_oracle(case: dict[str, Any], inputs: dict[str, Any]) -> Vector:
    """What the oracle that the case names says, one number for each query that has a loss."""
    reference = case["reference"]

    def resolved(argument: Any) -> Any:
        if isinstance(argument, str):
            return inputs[argument]
        return [inputs[name] if isinstance(name, str) else name for name in argument]

    options = reference["options"] | ({"similarity": dot} if reference["options"].get("similarity") == "dot" else {})
    return numbers(ORACLES[reference["function"]](*map(resolved, reference["arguments"]), **options))


@pytest.mark.parametrize("case", [c for c in CASES if c["reference"]], ids=lambda c: c["name"])
def test_oracles_agree_with_other_libraries(case: dict[str, Any]) -> None:
    values = values_of_oracle(case, case["inputs"])
    if case["reference"]["reduction"] == "none":
        same(values, case["values"])
    else:
        same(mean(values) if case["reference"]["reduction"] == "mean" else math.fsum(values), case["value"])


@pytest.mark.parametrize("case", [c for c in CASES if not c["reference"]], ids=lambda c: c["name"])
def test_four_directions_joint_has_the_positive_twice(case: dict[str, Any]) -> None:
    query, document, scale = case["inputs"]["query"], case["inputs"]["document"], case["options"]["scale"]
    losses = []
    for i in range(len(query)):
        terms = [cosine(query[i], d) for d in document] + [cosine(q, document[i]) for q in query]
        terms += [cosine(query[i], q) for j, q in enumerate(query) if j != i]
        terms += [cosine(document[i], d) for j, d in enumerate(document) if j != i]
        losses.append(log_sum_exp([scale * s for s in terms]) - scale * cosine(query[i], document[i]))
    same(mean(losses), case["value"])


@pytest.mark.parametrize("case", [c for c in CASES if c["reference"]], ids=lambda c: c["name"])
def test_gradients_of_other_libraries_are_slopes_of_the_oracles(case: dict[str, Any]) -> None:
    # Along one direction for all inputs together: a cheap check of every stored number.
    def nudged(value: Any, direction: Any, by: float) -> Any:
        if isinstance(value, float):
            return value + by * direction
        return [nudged(v, d, by) for v, d in zip(value, direction, strict=True)]

    def loss(by: float) -> float:
        inputs = {name: nudged(value, directions[name], by) for name, value in case["inputs"].items()}
        values = values_of_oracle(case, inputs)
        return mean(values) if case["reference"]["reduction"] == "mean" else math.fsum(values)

    def random_like(value: Any, draws: Any) -> Any:
        return next(draws) if isinstance(value, float) else [random_like(v, draws) for v in value]

    draws = iter(vectors(1, 500, seed=50)[0])
    directions = {name: random_like(value, draws) for name, value in case["inputs"].items()}
    stored = dot(numbers(list(case["gradients"].values())), numbers(list(directions.values())))
    step = 1e-6
    slope = (loss(step) - loss(-step)) / (2 * step)
    if case["reference"]["function"] == "dclw":
        slope -= slope_of_dclw_weights(case, nudged, directions, step)
    same(slope, stored, rtol=1e-5, atol=1e-6)


def slope_of_dclw_weights(case: dict[str, Any], nudged: Any, directions: dict[str, Any], step: float) -> float:
    """What the weights alone would add: other libraries, like the paper, let no gradient through them."""
    view1, view2 = case["inputs"]["view1"], case["inputs"]["view2"]
    sigma, temperature = case["options"]["sigma"], case["options"]["temperature"]

    def weights(by: float) -> Vector:
        return dclw_weights(nudged(view1, directions["view1"], by), nudged(view2, directions["view2"], by), sigma=sigma)

    rises = [(a - b) / (2 * step) for a, b in zip(weights(step), weights(-step), strict=True)]
    positives = [cosine(a, b) / temperature for a, b in zip(view1 + view2, view2 + view1, strict=True)]
    return -mean(rise * s for rise, s in zip(rises, positives, strict=True))


# ---- the usual mistakes


# name: how the tests call it on generic data
GENERIC: dict[str, Callable[[Callable[..., Any]], Any]] = {
    "cosine": lambda f: f(QUERY[0], KEY[1]),
    "dot": lambda f: f(QUERY[0], KEY[1]),
    "negative_squared_distance": lambda f: f(QUERY[0], KEY[1]),
    "bilinear": lambda f: f(vectors(4, 4, seed=30))(QUERY[0], KEY[1]),
    "info_nce": lambda f: f(QUERY, KEY),
    "symmetric_info_nce": lambda f: f(QUERY, KEY),
    "nt_xent": lambda f: f([VIEW1, VIEW2]),
    "sup_con": lambda f: f(FEATURES, LABELS),
    "moco": lambda f: f(QUERY, KEY, NEGATIVES),
    "retrieval_info_nce": lambda f: f(QUERY, KEY),
    "matryoshka": lambda f: f(info_nce, [2, 3])(QUERY, KEY),
    "dcl": lambda f: f(VIEW1, VIEW2),
    "dclw": lambda f: f(VIEW1, VIEW2),
    "dclw_weights": lambda f: f(VIEW1, VIEW2),
    "debiased_info_nce": lambda f: f(VIEW1, VIEW2),
    "hard_negative_info_nce": lambda f: f(VIEW1, VIEW2),
    "robust_info_nce": lambda f: f(QUERY, KEY),
    "sigmoid_loss": lambda f: f(QUERY, KEY),
    "nce": lambda f: f(DATA_SCORES, NOISE_SCORES, DATA_DENSITY, NOISE_DENSITY, 3),
    "cpc": lambda f: f(CONTEXT, LATENTS, WEIGHTS, steps=[1, 2]),
    "wav2vec2_contrastive": lambda f: f(CONTEXT, LATENTS, MASK, DISTRACTORS),
    "info_nce_gradients": lambda f: f(QUERY, KEY, 0.1),
    "info_nce_temperature_gradient": lambda f: f(QUERY, KEY, 0.1),
    "label_toy_expected_loss": lambda f: f(3, 10, 0.5),
}
IDS = [0, 1, 0, 2, 0, 4]
TWINS = [[[1.0, 0.0, 0.5], [0.0, 1.0, 0.0], [1.0, 0.0, 0.5]]]
SITUATIONS: dict[tuple[str, str], Callable[[Callable[..., Any]], Any]] = {
    ("info_nce", "negative_keys"): lambda f: f(QUERY, KEY, NEGATIVES),
    ("info_nce", "log_q"): lambda f: f(QUERY, KEY, log_q=LOG_Q[:6]),
    ("info_nce", "margin"): lambda f: f(QUERY, KEY, margin=-0.3),
    ("info_nce", "guide"): lambda f: f(QUERY, KEY, guide=(vectors(6, 3, seed=20), vectors(6, 3, seed=21))),
    ("info_nce", "same_id='out'"): lambda f: f(QUERY, KEY, ids=IDS),
    ("info_nce", "same_id='positive'"): lambda f: f(QUERY, KEY, ids=IDS, same_id="positive"),
    ("info_nce", "label_smoothing"): lambda f: f(QUERY, KEY, label_smoothing=0.1),
    ("nt_xent", "three views"): lambda f: f(THREE_VIEWS),
    ("sup_con", "inside"): lambda f: f(FEATURES, LABELS, inside=True),
    ("moco", "queue_ids"): lambda f: f(
        QUERY, KEY, NEGATIVES, temperature=0.5, ids=list(range(6)), queue_ids=[0, 1, 2, 3, 4]
    ),
    ("retrieval_info_nce", "a negative just below the threshold"): lambda f: f(QUERY, KEY, OWN_NEGATIVES, margin=0.5),
    ("retrieval_info_nce", "a negative above the threshold"): lambda f: f(QUERY, KEY, OWN_NEGATIVES, margin=-0.5),
    ("debiased_info_nce", "floor"): lambda f: f(ORTHONORMAL, ORTHONORMAL, positive_prior=0.2),
    ("hard_negative_info_nce", "floor"): lambda f: f(ORTHONORMAL, ORTHONORMAL, positive_prior=0.2),
    ("hard_negative_info_nce", "top_k"): lambda f: f(VIEW1, VIEW2, top_k=2),
    ("wav2vec2_contrastive", "equal distractors"): lambda f: f(TWINS, TWINS, [[True, False, False]], [{0: [1, 2]}]),
}


def oracle(name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = globals()[name]
    return found


def differs(right: Any, wrong: Any) -> bool:
    """Is the mean of the values off by more than any rounding could explain? Gradients: any number."""
    a, b = numbers(right), numbers(wrong)
    assert len(a) == len(b)
    return max(abs(x - y) for x, y in zip(a, b, strict=True)) > 1e-3


def test_every_loss_has_a_wrong_sibling() -> None:
    assert set(GENERIC) == set(WRONG)
    assert set(SITUATIONS) == {(name, where) for name, wheres in WRONG_WHERE.items() for where in wheres}


@pytest.mark.parametrize(("name", "wrong"), [(n, w) for n, ws in WRONG.items() for w in ws])
def test_wrong_sibling_differs_on_generic_data(name: str, wrong: Callable[..., Any]) -> None:
    call = GENERIC[name]
    assert differs(call(oracle(name)), call(wrong))


@pytest.mark.parametrize(
    ("name", "where", "wrong"),
    [(name, where, w) for name, wheres in WRONG_WHERE.items() for where, ws in wheres.items() for w in ws],
)
def test_wrong_sibling_differs_where_it_should(name: str, where: str, wrong: Callable[..., Any]) -> None:
    call = SITUATIONS[name, where]
    assert differs(call(oracle(name)), call(wrong))


def test_wrong_siblings_of_losses_differ_in_the_mean() -> None:
    # A test that compares only means must see the mistake too.
    for name, call in GENERIC.items():
        right = numbers(call(oracle(name)))
        if len(right) in {1, 48}:  # one number, or gradients
            continue
        for wrong in WRONG[name]:
            assert abs(mean(right) - mean(numbers(call(wrong)))) > 1e-4, wrong.__name__
