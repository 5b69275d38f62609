"""Losses that treat the negatives of the softmax in their own way. One value in nats per query; callers average.

Two views in, 2N queries: view 1 first. All vectors but the query's own other view are its negatives.
A query whose negatives are all left out has loss 0 in `dcl`, `dclw`, `debiased_info_nce` and `hard_negative_info_nce`.
"""

import math

from .arithmetic import Matrix, Similarity, Vector, log_sum_exp, mean
from .candidates import Ids, info_nce_rows, nt_xent_rows, split
from .similarities import cosine


def dcl(
    view1: Matrix,
    view2: Matrix,
    *,
    temperature: float = 0.1,
    similarity: Similarity = cosine,
    ids: Ids | None = None,
    margin: float | None = None,
    log_q: Vector | None = None,
) -> Vector:
    """ℓ = -s_pos + log Σ_{negatives} e^{s}: the positive is not in the sum. Can be negative.

    Source: Yeh et al. 2022 (DCL), arXiv:2110.06848, eq. 6: negatives are both views of all other items.
    """
    losses = []
    for row in nt_xent_rows([view1, view2], similarity=similarity, ids=ids, margin=margin, log_q=log_q):
        (positive,), negatives = split(row, temperature)
        losses.append(log_sum_exp(negatives) - positive if negatives else 0.0)
    return losses


def dclw_weights(view1: Matrix, view2: Matrix, *, sigma: float = 0.5, similarity: Similarity = cosine) -> Vector:
    """w_i = 2 - e^{<z1_i,z2_i>/σ} / mean_j e^{<z1_j,z2_j>/σ}, for the queries of view 1, then those of view 2.

    Their mean is 1. The similarity has no temperature, and no gradient flows through w.

    Source: Yeh et al. 2022, arXiv:2110.06848, the negative von Mises-Fisher weighting of L_DCW.
    """
    weights: Vector = []
    for queries, keys in ((view1, view2), (view2, view1)):
        raw = [math.exp(similarity(q, k) / sigma) for q, k in zip(queries, keys, strict=True)]
        weights += [2.0 - r / mean(raw) for r in raw]
    return weights


def dclw(
    view1: Matrix,
    view2: Matrix,
    *,
    temperature: float = 0.1,
    sigma: float = 0.5,
    similarity: Similarity = cosine,
    ids: Ids | None = None,
    margin: float | None = None,
    log_q: Vector | None = None,
) -> Vector:
    """ℓ_i = -w_i s_pos + log Σ_{negatives} e^{s}. With `log_q` the weight multiplies the corrected s_pos.

    Source: Yeh et al. 2022, arXiv:2110.06848, the definition of L_DCW.
    """
    rows = nt_xent_rows([view1, view2], similarity=similarity, ids=ids, margin=margin, log_q=log_q)
    weights = dclw_weights(view1, view2, sigma=sigma, similarity=similarity)
    losses = []
    for row, weight in zip(rows, weights, strict=True):
        (positive,), negatives = split(row, temperature)
        losses.append(log_sum_exp(negatives) - weight * positive if negatives else 0.0)
    return losses


def debiased_info_nce(
    view1: Matrix,
    view2: Matrix,
    *,
    temperature: float = 0.5,
    positive_prior: float = 0.1,
    ids: Ids | None = None,
    margin: float | None = None,
    log_q: Vector | None = None,
) -> Vector:
    """ℓ = -log( e^{s+} / (e^{s+} + N g) ), g = max{ (mean_{neg} e^{s} - τ⁺ e^{s+}) / (1 - τ⁺), e^{-1/t} }.

    N = how many negatives the query has. Cosine only: the floor e^{-1/t} is the least value that e^{cos/t} can take.
    With `log_q` every s in the formula is a corrected one; the floor stays.

    Source: Chuang et al. 2020, arXiv:2007.00224, the estimator g and the loss with it, for one positive (M = 1).
    """
    losses = []
    for row in nt_xent_rows([view1, view2], ids=ids, margin=margin, log_q=log_q):
        (s,), negatives = split(row, temperature)
        if not negatives:
            losses.append(0.0)
            continue
        positive = math.exp(s)
        estimate = (mean(math.exp(x) for x in negatives) - positive_prior * positive) / (1.0 - positive_prior)
        g = max(estimate, math.exp(-1.0 / temperature))
        losses.append(-math.log(positive / (positive + len(negatives) * g)))
    return losses


def hard_negative_info_nce(
    view1: Matrix,
    view2: Matrix,
    *,
    temperature: float = 0.5,
    beta: float = 1.0,
    positive_prior: float = 0.1,
    top_k: int | None = None,
    ids: Ids | None = None,
    margin: float | None = None,
) -> Vector:
    """The debiased loss with Σ_j w_j e^{s_j} for the mean of the negatives, w_j = e^{β s_j} / Σ_k e^{β s_k}.

    β multiplies s = cos / t, after the temperature. With `top_k` instead: the plain softmax over the positive and the
    k most similar negatives (β and the prior play no part).

    Source: Robinson et al. 2021, arXiv:2010.04592, section 3, and the authors' code (estimator "hard").
    """
    losses = []
    for row in nt_xent_rows([view1, view2], ids=ids, margin=margin):
        (s,), negatives = split(row, temperature)
        if not negatives:
            losses.append(0.0)
            continue
        if top_k is not None:
            hardest = sorted(negatives, reverse=True)[:top_k]
            losses.append(log_sum_exp([s, *hardest]) - s)
            continue
        positive = math.exp(s)
        importance = [math.exp(beta * x) for x in negatives]
        reweighted = math.fsum(w * math.exp(x) for w, x in zip(importance, negatives, strict=True))
        reweighted /= math.fsum(importance)
        estimate = (reweighted - positive_prior * positive) / (1.0 - positive_prior)
        g = max(estimate, math.exp(-1.0 / temperature))
        losses.append(-math.log(positive / (positive + len(negatives) * g)))
    return losses


def robust_info_nce(
    query: Matrix,
    positive_key: Matrix,
    *,
    temperature: float = 0.1,
    q: float = 0.1,
    lam: float = 0.01,
    similarity: Similarity = cosine,
    ids: Ids | None = None,
    margin: float | None = None,
) -> Vector:
    """ℓ_i = -e^{q s+} / q + (λ (e^{s+} + Σ_{neg} e^{s}))^q / q. Can be negative; q → 0 gives InfoNCE + log λ.

    Source: Chuang et al. 2022 (RINCE), arXiv:2201.04309, the definition of L_RINCE.
    """
    losses = []
    for row in info_nce_rows(query, positive_key, similarity=similarity, ids=ids, margin=margin):
        (positive,), negatives = split(row, temperature)
        log_z = math.log(lam) + log_sum_exp([positive, *negatives])
        losses.append((math.exp(q * log_z) - math.exp(q * positive)) / q)
    return losses
