"""Losses that are not a softmax over a batch of pairs: binary ones, and those along a sequence. Nats per query."""

import math
from collections.abc import Mapping, Sequence

from .arithmetic import Matrix, Similarity, Vector, log_sigmoid, log_sum_exp
from .candidates import Ids, info_nce_rows
from .similarities import bilinear, cosine


def sigmoid_loss(
    query: Matrix,
    key: Matrix,
    *,
    temperature: float = 0.1,
    bias: float = -10.0,
    similarity: Similarity = cosine,
    ids: Ids | None = None,
    same_id: str = "out",
    margin: float | None = None,
) -> Vector:
    """ℓ_i = -Σ_j log σ( z_ij (sim_ij / τ + bias) ), z = +1 for a positive, -1 for a negative. A sum over j, not a mean.

    Source: Zhai et al. 2023 (SigLIP), arXiv:2303.15343, algorithm 1: the sum over all pairs, divided by N.
    (The displayed formula of the paper has the bias with the other sign; the algorithm is what was trained.)
    """
    rows = info_nce_rows(query, key, similarity=similarity, ids=ids, same_id=same_id, margin=margin)
    return [
        -math.fsum(log_sigmoid((1.0 if c.positive else -1.0) * (c.similarity / temperature + bias)) for c in row)
        for row in rows
    ]


def nce(
    data_scores: Sequence[float],
    noise_scores: Sequence[Sequence[float]],
    data_log_density: Sequence[float],
    noise_log_density: Sequence[Sequence[float]],
    num_noise: int,
) -> Vector:
    """ℓ_i = -log h(x_i) - Σ_{j=1..ν} log(1 - h(y_ij)), h(u) = σ( log p_m(u) - log p_n(u) - log ν ).

    The scores are log p_m; the densities are log p_n, at the datum (N) and at its noise samples (N, ν).

    Source: Gutmann & Hyvärinen 2010, AISTATS, eqs. 2 to 4; ν noise samples per datum: JMLR 13 (2012), section 2.
    """
    losses = []
    for i in range(len(data_scores)):
        of_data = log_sigmoid(data_scores[i] - data_log_density[i] - math.log(num_noise))
        of_noise = [
            log_sigmoid(-(score - density - math.log(num_noise)))
            for score, density in zip(noise_scores[i], noise_log_density[i], strict=True)
        ]
        losses.append(-of_data - math.fsum(of_noise))
    return losses


def cpc(
    context: Sequence[Matrix],
    latents: Sequence[Matrix],
    weights: Sequence[Matrix],
    *,
    steps: Sequence[int],
    negatives: str = "both",
) -> Vector:
    """ℓ = -log( f_k(z_{t+k}, c_t) / Σ_{candidates} f_k(z, c_t) ), f_k(z, c) = exp(c^T W_k z).

    No temperature, no unit length. Candidates: all latents of the same sequence ("same"); the positive and all latents
    of the other sequences ("others"); all latents ("both"). The positive is one of them, once.
    `weights[m]` (C rows, D columns) belongs to `steps[m]`. Order: sequence, step, time (t with t + k < T).

    Source: van den Oord et al. 2018, arXiv:1807.03748, eqs. 3 and 4 (the paper writes z^T W c).
    """
    losses = []
    for n in range(len(latents)):
        for k, weight in zip(steps, weights, strict=True):
            log_f = bilinear(weight)
            for t in range(len(latents[n]) - k):
                positive = latents[n][t + k]
                others = [z for m, sequence in enumerate(latents) if m != n for z in sequence]
                candidates = {"same": [*latents[n]], "others": [positive, *others], "both": [*latents[n], *others]}
                scores = [log_f(context[n][t], z) for z in candidates[negatives]]
                losses.append(log_sum_exp(scores) - log_f(context[n][t], positive))
    return losses


def wav2vec2_contrastive(
    context: Sequence[Matrix],
    targets: Sequence[Matrix],
    mask: Sequence[Sequence[bool]],
    distractors: Sequence[Mapping[int, Sequence[int]]],
    *,
    temperature: float = 0.1,
) -> Vector:
    """ℓ_t = -log( e^{cos(c_t,q_t)/κ} / Σ_{q ∈ {q_t} ∪ distractors} e^{cos(c_t,q)/κ} ), for each masked step t.

    `distractors[n][t]` lists time indices of the same sequence; one that is drawn twice counts twice.
    A distractor whose target equals q_t in value is left out.

    Source: Baevski et al. 2020 (wav2vec 2.0), arXiv:2006.11477, eq. 3; equal distractors: the authors' code (fairseq).
    """
    losses = []
    for n in range(len(context)):
        for t in range(len(context[n])):
            if not mask[n][t]:
                continue
            target = targets[n][t]
            drawn = [targets[n][d] for d in distractors[n][t] if targets[n][d] != target]
            scores = [cosine(context[n][t], q) / temperature for q in [target, *drawn]]
            losses.append(log_sum_exp(scores) - scores[0])
    return losses
