"""Losses that are the cross-entropy of a softmax over candidates. One value in nats per query; callers average."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from .arithmetic import Matrix, Similarity, Vector, log_sum_exp, mean, per_query
from .candidates import (
    Candidate,
    Ids,
    cross_entropy,
    info_nce_rows,
    margin_rule,
    nt_xent_rows,
    split,
    sup_con_rows,
)
from .similarities import cosine


def info_nce(
    query: Matrix,
    positive_key: Matrix,
    negative_keys: Any = None,
    *,
    temperature: float | Sequence[float] = 0.1,
    negative_mode: str = "unpaired",
    keep_in_batch: bool = False,
    similarity: Similarity = cosine,
    ids: Ids | None = None,
    negative_ids: Any = None,
    same_id: str = "out",
    margin: float | None = None,
    guide: Sequence[Any] | None = None,
    log_q: Any = None,
    label_smoothing: float = 0.0,
) -> Vector:
    """ℓ_i = -log( e^{s_ii} / Σ_j e^{s_ij} ), s = sim / τ - log q; several positives: the mean of such terms.

    Source: van den Oord et al. 2018 (CPC), arXiv:1807.03748, eq. 4, with a temperature;
    positives outside the log: Khosla et al. 2020 (SupCon), arXiv:2004.11362, eq. 2.
    `log_q`: in-batch (N); explicit negatives instead (M), or (N, H) if paired: then the positive is not corrected;
    both kept (N+M), or the pair (N, (N, H)) if paired.
    """
    rows = info_nce_rows(
        query,
        positive_key,
        negative_keys,
        negative_mode=negative_mode,
        keep_in_batch=keep_in_batch,
        similarity=similarity,
        ids=ids,
        negative_ids=negative_ids,
        same_id=same_id,
        margin=margin,
        guide=guide,
        log_q=log_q,
    )
    temperatures = per_query(temperature, len(query))
    return [cross_entropy(row, t, label_smoothing) for row, t in zip(rows, temperatures, strict=True)]


def symmetric_info_nce(
    query: Matrix,
    key: Matrix,
    *,
    temperature: float | Sequence[float] = 0.07,
    similarity: Similarity = cosine,
    ids: Ids | None = None,
    same_id: str = "out",
    margin: float | None = None,
    guide: Sequence[Matrix] | None = None,
    log_q: Vector | None = None,
    label_smoothing: float = 0.0,
) -> Vector:
    """ℓ_i = (row_i + column_i) / 2: pair i seen from its query and from its key.

    Source: Radford et al. 2021 (CLIP), arXiv:2103.00020, figure 3.
    Row i and column i have the temperature of pair i. The similarity gets the query first in both directions.
    """

    def turned(u: Vector, v: Vector) -> float:
        return similarity(v, u)

    def one_direction(a: Matrix, b: Matrix, measure: Similarity, judges: Sequence[Matrix] | None) -> Vector:
        return info_nce(
            a,
            b,
            temperature=temperature,
            similarity=measure,
            ids=ids,
            same_id=same_id,
            margin=margin,
            guide=judges,
            log_q=log_q,
            label_smoothing=label_smoothing,
        )

    rows = one_direction(query, key, similarity, guide)
    columns = one_direction(key, query, turned, None if guide is None else (guide[1], guide[0]))
    return [(row + column) / 2.0 for row, column in zip(rows, columns, strict=True)]


def nt_xent(
    views: Sequence[Matrix],
    *,
    temperature: float | Sequence[float] = 0.1,
    similarity: Similarity = cosine,
    ids: Ids | None = None,
    same_id: str = "out",
    margin: float | None = None,
    guide: Sequence[Matrix] | None = None,
    log_q: Vector | None = None,
    label_smoothing: float = 0.0,
) -> Vector:
    """ℓ(a, p) = -log( e^{s_ap} / Σ_{b≠a} e^{s_ab} ) over all V·N vectors, the mean over the other views p of a's item.

    The order is view 0 items 0..N-1, then view 1, ...; so are `temperature` and `log_q` if they are lists.

    Source: Chen et al. 2020 (SimCLR), arXiv:2002.05709, eq. 1 (V = 2); more views: Khosla et al. 2020,
    arXiv:2004.11362, eq. 2.
    """
    rows = nt_xent_rows(views, similarity=similarity, ids=ids, same_id=same_id, margin=margin, guide=guide, log_q=log_q)
    temperatures = per_query(temperature, len(rows))
    return [cross_entropy(row, t, label_smoothing) for row, t in zip(rows, temperatures, strict=True)]


def sup_con(
    features: Matrix,
    labels: Ids,
    *,
    temperature: float | Sequence[float] = 0.1,
    inside: bool = False,
    similarity: Similarity = cosine,
    margin: float | None = None,
    log_q: Vector | None = None,
    label_smoothing: float = 0.0,
) -> list[float | None]:
    """L_out,i = -(1/|P|) Σ_{p∈P} log( e^{s_ip} / Z_i ); L_in,i = -log( (1/|P|) Σ_{p∈P} e^{s_ip} / Z_i ).

    Z_i = Σ_{a≠i} e^{s_ia}; P are the others with the label of i.
    None for a query without a positive. `label_smoothing` is for L_out only.

    Source: Khosla et al. 2020, arXiv:2004.11362, eq. 2 (outside the log) and eq. 3 (inside).
    """
    rows = sup_con_rows(features, labels, similarity=similarity, margin=margin, log_q=log_q)
    losses: list[float | None] = []
    for row, t in zip(rows, per_query(temperature, len(rows)), strict=True):
        positives, negatives = split(row, t)
        if not positives:
            losses.append(None)
        elif inside:
            in_log = log_sum_exp(positives) - math.log(len(positives))
            losses.append(log_sum_exp(positives + negatives) - in_log)
        else:
            losses.append(cross_entropy(row, t, label_smoothing))
    return losses


def moco(
    query: Matrix,
    key: Matrix,
    queue: Matrix,
    *,
    temperature: float = 0.07,
    similarity: Similarity = cosine,
    ids: Ids | None = None,
    queue_ids: Ids | None = None,
) -> Vector:
    """ℓ_i = -log( e^{s(q_i,k_i)} / ( e^{s(q_i,k_i)} + Σ_{queue} e^{s(q_i,k)} ) ).

    A queue entry with the query's id is left out.

    Source: He et al. 2019 (MoCo), arXiv:1911.05722, eq. 1. The paper's vectors have unit length: its dot is the cosine.
    """
    losses = []
    for i in range(len(query)):
        positive = similarity(query[i], key[i]) / temperature
        negatives = [
            similarity(query[i], old) / temperature
            for m, old in enumerate(queue)
            if ids is None or queue_ids is None or queue_ids[m] != ids[i]
        ]
        losses.append(log_sum_exp([positive, *negatives]) - positive)
    return losses


def retrieval_info_nce(
    query: Matrix,
    document: Matrix,
    negatives: Sequence[Matrix] | None = None,
    *,
    temperature: float = 0.05,
    margin: float | None = 0.1,
    query_query: bool = True,
    document_document: bool = True,
    ids: Ids | None = None,
) -> Vector:
    """ℓ_i = -log( e^{s(q_i,d_i)} / Z_i ).

    Z_i = e^{s(q_i,d_i)} + Σ_h m e^{s(q_i,n_ih)} + Σ_{j≠i} m ( e^{s(q_i,d_j)} + e^{s(q_i,q_j)} + e^{s(d_i,d_j)} )

    m = 0 where the term's own cosine exceeds cos(q_i, d_i) + margin, and in the terms of the batch where j has i's id.

    Source: Zhang et al. 2025 (Qwen3-Embedding), arXiv:2506.05176, the loss of the training section. There m is written
    with s(q_i, d_j) or s(q_i, q_j); which similarity judges a document-document term is not said: here its own.
    """
    losses = []
    for i in range(len(query)):
        own = cosine(query[i], document[i])
        row = [Candidate(own, positive=True, judged=own)]
        similarities = [] if negatives is None else [cosine(query[i], negative) for negative in negatives[i]]
        for j in range(len(query)):
            if j == i or (ids is not None and ids[j] == ids[i]):
                continue
            similarities.append(cosine(query[i], document[j]))
            if query_query:
                similarities.append(cosine(query[i], query[j]))
            if document_document:
                similarities.append(cosine(document[i], document[j]))
        row += [Candidate(s, positive=False, judged=s) for s in similarities]
        losses.append(cross_entropy(margin_rule(row, margin), temperature))
    return losses


def matryoshka(
    loss: Callable[[Matrix, Matrix], Sequence[float]], widths: Sequence[int], weights: Sequence[float] | None = None
) -> Callable[[Matrix, Matrix], float]:
    """Σ_w weight_w · mean( loss(first w coordinates of a, first w coordinates of b) ). Weights are 1 if not given.

    Source: Kusupati et al. 2022, arXiv:2205.13147, eq. 1.
    """
    listed = per_query(1.0 if weights is None else weights, len(widths))

    def nested(a: Matrix, b: Matrix) -> float:
        return math.fsum(
            weight * mean(loss([row[:width] for row in a], [row[:width] for row in b]))
            for width, weight in zip(widths, listed, strict=True)
        )

    return nested
