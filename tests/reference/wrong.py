"""The usual mistakes, one small function each. The package must NOT agree with any of them.

`WRONG[name]` are mistakes that show on generic data with the default options of `name`.
`WRONG_WHERE[name][situation]` show only in that situation: an option, or data of a special kind.

A wrong sibling is called exactly like the right function; options that it does not touch are passed on.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from . import closed_forms, others, reweighted, softmax_family
from .arithmetic import Matrix, Similarity, Vector, log_sigmoid, log_sum_exp, mean, per_query, softmax
from .candidates import (
    Candidate,
    Ids,
    Row,
    cross_entropy,
    info_nce_rows,
    logits_of,
    nt_xent_rows,
    soft_cross_entropy,
    split,
    sup_con_rows,
)
from .similarities import bilinear, cosine, dot, negative_squared_distance

Wrong = Callable[..., Any]


# ---- similarities


def cosine_half_normalised(u: Vector, v: Vector) -> float:
    """Only the query is brought to unit length."""
    return dot(u, v) / math.hypot(*u)


def dot_over_root_of_width(u: Vector, v: Vector) -> float:
    """Scaled as in attention."""
    return dot(u, v) / math.sqrt(len(u))


def negative_distance(u: Vector, v: Vector) -> float:
    """Not squared."""
    return -math.sqrt(-negative_squared_distance(u, v))


def negative_squared_distance_of_unit_vectors(u: Vector, v: Vector) -> float:
    """Normalised before, though the raw vectors were asked for."""
    return 2.0 * cosine(u, v) - 2.0


def bilinear_transposed(weight: Matrix) -> Similarity:
    """v^T W u. Shows if W is square and not symmetric."""
    right = bilinear(weight)
    return lambda u, v: right(v, u)


# ---- info_nce


def _info_nce_rows(args: tuple[Any, ...], temperature: Any, options: dict[str, Any]) -> list[tuple[Row, float]]:
    rows = info_nce_rows(*args, **options)
    return list(zip(rows, per_query(temperature, len(rows)), strict=True))


def info_nce_positive_without_temperature(*args: Any, temperature: Any = 0.1, **options: Any) -> Vector:
    """The positive's similarity is not divided by the temperature."""
    eps = options.pop("label_smoothing", 0.0)
    losses = []
    for row, t in _info_nce_rows(args, temperature, options):
        logits = [c.similarity / (1.0 if c.positive else t) - c.log_q for c in row]
        losses.append(soft_cross_entropy(logits, [c.positive for c in row], eps))
    return losses


def info_nce_without_positive_in_denominator(*args: Any, temperature: Any = 0.1, **options: Any) -> Vector:
    """Σ over the negatives alone."""
    options.pop("label_smoothing", None)
    losses = []
    for row, t in _info_nce_rows(args, temperature, options):
        positives, negatives = split(row, t)
        losses.append(log_sum_exp(negatives) - mean(positives))
    return losses


def info_nce_multiplied_by_temperature(*args: Any, temperature: Any = 0.1, **options: Any) -> Vector:
    """The temperature taken for its inverse."""
    inverse = 1.0 / temperature if isinstance(temperature, (int, float)) else [1.0 / t for t in temperature]
    return softmax_family.info_nce(*args, temperature=inverse, **options)


def info_nce_in_batch_flipped(*args: Any, **options: Any) -> Vector:
    """Explicit negatives beside the in-batch ones where they should replace them, and the other way round."""
    options["keep_in_batch"] = not options.get("keep_in_batch", False)
    return softmax_family.info_nce(*args, **options)


def info_nce_log_q_added(*args: Any, temperature: Any = 0.1, **options: Any) -> Vector:
    """+ log q."""
    eps = options.pop("label_smoothing", 0.0)
    losses = []
    for row, t in _info_nce_rows(args, temperature, options):
        logits = [c.similarity / t + c.log_q for c in row]
        losses.append(soft_cross_entropy(logits, [c.positive for c in row], eps))
    return losses


def info_nce_log_q_on_negatives_only(*args: Any, temperature: Any = 0.1, **options: Any) -> Vector:
    """The positive is not corrected (right only where explicit negatives replace the in-batch ones)."""
    eps = options.pop("label_smoothing", 0.0)
    losses = []
    for row, t in _info_nce_rows(args, temperature, options):
        logits = [c.similarity / t - (0.0 if c.positive else c.log_q) for c in row]
        losses.append(soft_cross_entropy(logits, [c.positive for c in row], eps))
    return losses


def info_nce_log_q_before_temperature(*args: Any, temperature: Any = 0.1, **options: Any) -> Vector:
    """(sim - log q) / τ."""
    eps = options.pop("label_smoothing", 0.0)
    losses = []
    for row, t in _info_nce_rows(args, temperature, options):
        logits = [(c.similarity - c.log_q) / t for c in row]
        losses.append(soft_cross_entropy(logits, [c.positive for c in row], eps))
    return losses


def info_nce_margin_subtracted(*args: Any, **options: Any) -> Vector:
    """The threshold is best - margin."""
    options["margin"] = -options["margin"]
    return softmax_family.info_nce(*args, **options)


def info_nce_margin_after_temperature(*args: Any, temperature: Any = 0.1, **options: Any) -> Vector:
    """The margin compared with logits. For one temperature."""
    options["margin"] *= temperature
    return softmax_family.info_nce(*args, temperature=temperature, **options)


def info_nce_guide_ignored(*args: Any, **options: Any) -> Vector:
    """The trained similarities judge, not the guide's."""
    options.pop("guide")
    options.setdefault("margin", 0.0)
    return softmax_family.info_nce(*args, **options)


def info_nce_positives_inside_the_log(*args: Any, temperature: Any = 0.1, **options: Any) -> Vector:
    """-log of the sum of the positives' shares."""
    options.pop("label_smoothing", None)
    losses = []
    for row, t in _info_nce_rows(args, temperature, options):
        positives, negatives = split(row, t)
        losses.append(log_sum_exp(positives + negatives) - log_sum_exp(positives))
    return losses


def info_nce_each_positive_without_the_others(*args: Any, temperature: Any = 0.1, **options: Any) -> Vector:
    """The other positives are not in the denominator."""
    options.pop("label_smoothing", None)
    losses = []
    for row, t in _info_nce_rows(args, temperature, options):
        positives, negatives = split(row, t)
        losses.append(mean(log_sum_exp([p, *negatives]) - p for p in positives))
    return losses


def info_nce_ids_ignored(*args: Any, **options: Any) -> Vector:
    """A key with the query's id stays a negative."""
    options.pop("ids")
    options.pop("negative_ids", None)
    options.pop("same_id", None)
    return softmax_family.info_nce(*args, **options)


def info_nce_smoothing_on_negatives_only(*args: Any, temperature: Any = 0.1, **options: Any) -> Vector:
    """ε is shared by the others, not by all."""
    eps = options.pop("label_smoothing")
    losses = []
    for row, t in _info_nce_rows(args, temperature, options):
        total = log_sum_exp(logits_of(row, t))
        positives, negatives = split(row, t)
        losses.append(total - (1.0 - eps) * mean(positives) - eps * mean(negatives))
    return losses


# ---- symmetric_info_nce


def symmetric_info_nce_rows_only(query: Matrix, key: Matrix, *, temperature: Any = 0.07, **options: Any) -> Vector:
    """One direction, query to key."""
    return softmax_family.info_nce(query, key, temperature=temperature, **options)


def symmetric_info_nce_columns_only(query: Matrix, key: Matrix, **options: Any) -> Vector:
    """One direction, key to query."""
    both = softmax_family.symmetric_info_nce(query, key, **options)
    rows = symmetric_info_nce_rows_only(query, key, **options)
    return [2.0 * b - r for b, r in zip(both, rows, strict=True)]


def symmetric_info_nce_summed(*args: Any, **options: Any) -> Vector:
    """row + column, not their mean."""
    return [2.0 * loss for loss in softmax_family.symmetric_info_nce(*args, **options)]


# ---- nt_xent


def _nt_xent_rows(views: Sequence[Matrix], temperature: Any, options: dict[str, Any]) -> list[tuple[Row, float]]:
    rows = nt_xent_rows(views, **options)
    return list(zip(rows, per_query(temperature, len(rows)), strict=True))


def nt_xent_with_self(views: Sequence[Matrix], *, temperature: Any = 0.1, **options: Any) -> Vector:
    """The vector itself is one of its negatives."""
    eps = options.pop("label_smoothing", 0.0)
    measure = options.get("similarity", cosine)
    stacked = [vector for view in views for vector in view]
    return [
        cross_entropy([*row, Candidate(measure(own, own), positive=False)], t, eps)
        for own, (row, t) in zip(stacked, _nt_xent_rows(views, temperature, options), strict=True)
    ]


def nt_xent_divided_by_n(views: Sequence[Matrix], **options: Any) -> Vector:
    """The sum over V·N queries divided by N: V times too large."""
    return [len(views) * loss for loss in softmax_family.nt_xent(views, **options)]


def nt_xent_interleaved(views: Sequence[Matrix], **options: Any) -> Vector:
    """Stacked views (a1 a2 a3 b1 b2 b3) read as interleaved ones (a1 b1 a2 b2 a3 b3)."""
    V, N = len(views), len(views[0])
    stacked = [vector for view in views for vector in view]
    misread = softmax_family.nt_xent([[stacked[i * V + v] for i in range(N)] for v in range(V)], **options)
    return [misread[(a % V) * N + a // V] for a in range(V * N)]


def nt_xent_negatives_of_own_view(views: Sequence[Matrix], *, temperature: Any = 0.1, **options: Any) -> Vector:
    """The other views of the other items are dropped. Needs no option that drops candidates."""
    options.pop("label_smoothing", None)
    V, N = len(views), len(views[0])
    losses = []
    for a, (row, t) in enumerate(_nt_xent_rows(views, temperature, options)):
        places = [b for b in range(V * N) if b != a]
        kept = [c for b, c in zip(places, row, strict=True) if c.positive or b // N == a // N]
        losses.append(cross_entropy(kept, t))
    return losses


def nt_xent_negatives_of_other_views(views: Sequence[Matrix], *, temperature: Any = 0.1, **options: Any) -> Vector:
    """The own view's other items are dropped (that is symmetric InfoNCE). Needs no option that drops candidates."""
    options.pop("label_smoothing", None)
    V, N = len(views), len(views[0])
    losses = []
    for a, (row, t) in enumerate(_nt_xent_rows(views, temperature, options)):
        places = [b for b in range(V * N) if b != a]
        losses.append(cross_entropy([c for b, c in zip(places, row, strict=True) if b // N != a // N], t))
    return losses


def nt_xent_positives_inside_the_log(views: Sequence[Matrix], *, temperature: Any = 0.1, **options: Any) -> Vector:
    """-log of the sum of the positives' shares."""
    options.pop("label_smoothing", None)
    losses = []
    for row, t in _nt_xent_rows(views, temperature, options):
        positives, negatives = split(row, t)
        losses.append(log_sum_exp(positives + negatives) - log_sum_exp(positives))
    return losses


# ---- sup_con


def _sup_con_rows(
    features: Matrix, labels: Ids, temperature: Any, options: dict[str, Any]
) -> list[tuple[Vector, Vector]]:
    rows = sup_con_rows(features, labels, **options)
    return [split(row, t) for row, t in zip(rows, per_query(temperature, len(rows)), strict=True)]


def sup_con_divided_by_count_with_self(features: Matrix, labels: Ids, **options: Any) -> list[float | None]:
    """Σ over the positives divided by the size of the class, the query included."""
    losses = softmax_family.sup_con(features, labels, **options)
    sizes = [sum(other == label for other in labels) for label in labels]
    return [None if loss is None else loss * (size - 1) / size for loss, size in zip(losses, sizes, strict=True)]


def sup_con_each_positive_without_the_others(
    features: Matrix, labels: Ids, *, temperature: Any = 0.1, **options: Any
) -> list[float | None]:
    """The other positives are not in the denominator. Shows for a query with two positives."""
    options.pop("label_smoothing", None)
    options.pop("inside", None)
    return [
        mean(log_sum_exp([p, *negatives]) - p for p in positives) if positives else None
        for positives, negatives in _sup_con_rows(features, labels, temperature, options)
    ]


def sup_con_with_base_temperature(
    features: Matrix, labels: Ids, *, temperature: float = 0.1, **options: Any
) -> list[float | None]:
    """Multiplied by τ / 0.07, as in the authors' code but not in the paper."""
    losses = softmax_family.sup_con(features, labels, temperature=temperature, **options)
    return [None if loss is None else loss * temperature / 0.07 for loss in losses]


def sup_con_inside_for_outside(features: Matrix, labels: Ids, **options: Any) -> list[float | None]:
    """The other one of the two losses. Shows for a query with two positives."""
    options["inside"] = not options.get("inside", False)
    return softmax_family.sup_con(features, labels, **options)


def sup_con_inside_without_count(features: Matrix, labels: Ids, **options: Any) -> list[float | None]:
    """-log Σ_p without 1/|P|."""
    options.pop("label_smoothing", None)
    options.pop("inside", None)
    temperature = options.pop("temperature", 0.1)
    return [
        log_sum_exp(positives + negatives) - log_sum_exp(positives) if positives else None
        for positives, negatives in _sup_con_rows(features, labels, temperature, options)
    ]


# ---- moco


def moco_positive_without_temperature(
    query: Matrix, key: Matrix, queue: Matrix, *, temperature: float = 0.07, **options: Any
) -> Vector:
    """Only the queue's similarities are divided by the temperature."""
    queue_ids = options.pop("queue_ids", None)
    return info_nce_positive_without_temperature(
        query, key, queue, temperature=temperature, negative_ids=queue_ids, **options
    )


def moco_without_positive_in_denominator(
    query: Matrix, key: Matrix, queue: Matrix, *, temperature: float = 0.07, **options: Any
) -> Vector:
    """Σ over the queue alone."""
    queue_ids = options.pop("queue_ids", None)
    return info_nce_without_positive_in_denominator(
        query, key, queue, temperature=temperature, negative_ids=queue_ids, **options
    )


def moco_times_two_temperatures(*args: Any, temperature: float = 0.07, **options: Any) -> Vector:
    """Multiplied by 2τ, as in MoCo v3."""
    return [2.0 * temperature * loss for loss in softmax_family.moco(*args, temperature=temperature, **options)]


def moco_ids_ignored(*args: Any, **options: Any) -> Vector:
    """A queue entry of the query's own item is a negative."""
    options.pop("ids")
    options.pop("queue_ids")
    return softmax_family.moco(*args, **options)


# ---- retrieval_info_nce


def retrieval_info_nce_without_extra_terms(*args: Any, **options: Any) -> Vector:
    """Only the documents: no query-query and no document-document terms."""
    return softmax_family.retrieval_info_nce(*args, **options | {"query_query": False, "document_document": False})


def retrieval_info_nce_with_self(query: Matrix, document: Matrix, *args: Any, **options: Any) -> Vector:
    """The query is compared with itself too: one more candidate of similarity 1, where no rule leaves it out."""
    temperature = options.get("temperature", 0.05)
    losses = softmax_family.retrieval_info_nce(query, document, *args, **options)
    pairs = zip(query, document, losses, strict=True)
    return [log_sum_exp([loss, (cosine(q, q) - cosine(q, d)) / temperature]) for q, d, loss in pairs]


def retrieval_info_nce_margin_subtracted(*args: Any, **options: Any) -> Vector:
    """The threshold is s(q_i, d_i) - margin, as in other papers."""
    return softmax_family.retrieval_info_nce(*args, **options | {"margin": -options.get("margin", 0.1)})


def retrieval_info_nce_without_rule(*args: Any, **options: Any) -> Vector:
    """No candidate is ever left out."""
    return softmax_family.retrieval_info_nce(*args, **options | {"margin": None})


# ---- matryoshka


def matryoshka_trailing_coordinates(
    loss: Callable[[Matrix, Matrix], Sequence[float]], widths: Sequence[int], weights: Sequence[float] | None = None
) -> Callable[[Matrix, Matrix], float]:
    """The last coordinates, not the first."""
    right = softmax_family.matryoshka(loss, widths, weights)
    return lambda a, b: right([row[::-1] for row in a], [row[::-1] for row in b])


def matryoshka_averaged(
    loss: Callable[[Matrix, Matrix], Sequence[float]], widths: Sequence[int], weights: Sequence[float] | None = None
) -> Callable[[Matrix, Matrix], float]:
    """Divided by the number of widths."""
    right = softmax_family.matryoshka(loss, widths, weights)
    return lambda a, b: right(a, b) / len(widths)


# ---- dcl, dclw


def dcl_with_positive_in_denominator(view1: Matrix, view2: Matrix, **options: Any) -> Vector:
    """The coupled loss: NT-Xent."""
    return softmax_family.nt_xent([view1, view2], **options)


def dcl_negatives_of_other_view(view1: Matrix, view2: Matrix, *, temperature: float = 0.1, **options: Any) -> Vector:
    """N-1 negatives, not 2N-2."""
    losses: Vector = []
    for queries, keys in ((view1, view2), (view2, view1)):
        losses += info_nce_without_positive_in_denominator(queries, keys, temperature=temperature, **options)
    return losses


def dclw_without_factor_n(
    view1: Matrix, view2: Matrix, *, temperature: float = 0.1, sigma: float = 0.5, **options: Any
) -> Vector:
    """w = 2 - softmax, about 2 - 1/N."""
    measure = options.get("similarity", cosine)
    right = reweighted.dclw_weights(view1, view2, sigma=sigma, similarity=measure)
    return _dclw_with([2.0 - (2.0 - w) / len(view1) for w in right], view1, view2, temperature, options)


def dclw_weights_with_temperature(
    view1: Matrix, view2: Matrix, *, temperature: float = 0.1, sigma: float = 0.5, **options: Any
) -> Vector:
    """e^{s/σ} of the similarity that was divided by the temperature already."""
    measure = options.get("similarity", cosine)
    weights = reweighted.dclw_weights(view1, view2, sigma=sigma * temperature, similarity=measure)
    return _dclw_with(weights, view1, view2, temperature, options)


def dclw_unweighted(view1: Matrix, view2: Matrix, **options: Any) -> Vector:
    """DCL."""
    options.pop("sigma", None)
    return reweighted.dcl(view1, view2, **options)


def _dclw_with(weights: Vector, view1: Matrix, view2: Matrix, temperature: float, options: dict[str, Any]) -> Vector:
    losses = []
    for weight, row in zip(weights, nt_xent_rows([view1, view2], **options), strict=True):
        (positive,), negatives = split(row, temperature)
        losses.append(log_sum_exp(negatives) - weight * positive)
    return losses


# ---- debiased and hard negatives


def _debiased(  # one place for all ways to get it wrong
    view1: Matrix,
    view2: Matrix,
    *,
    temperature: float = 0.5,
    positive_prior: float = 0.1,
    beta: float = 0.0,
    more_negatives: int = 0,
    factor: bool = True,
    floor: Callable[[float, int], float] = lambda t, n: n * math.exp(-1.0 / t),
    mean_one: bool = True,
    options: dict[str, Any],
) -> Vector:
    losses = []
    for row in nt_xent_rows([view1, view2], **options):
        (s,), negatives = split(row, temperature)
        N = len(negatives) + more_negatives if factor else 1
        importance = [math.exp(beta * x) for x in negatives]
        total = math.fsum(importance) if mean_one else float(len(importance))
        reweighted_mean = math.fsum(w * math.exp(x) for w, x in zip(importance, negatives, strict=True)) / total
        estimate = N * (reweighted_mean - positive_prior * math.exp(s)) / (1.0 - positive_prior)
        losses.append(math.log1p(max(estimate, floor(temperature, N)) / math.exp(s)))
    return losses


def debiased_with_too_many_negatives(*args: Any, **options: Any) -> Vector:
    """N = 2N, not 2N-2."""
    return _debiased(*args, **_own(options), more_negatives=2, options=options)


def debiased_without_factor_n(*args: Any, **options: Any) -> Vector:
    """e^{s+} + g, not e^{s+} + N g."""
    return _debiased(*args, **_own(options), factor=False, options=options)


def debiased_not_divided_by_one_minus_prior(*args: Any, **options: Any) -> Vector:
    """The correction is subtracted, and the rest not divided by 1 - τ⁺."""
    right = reweighted.debiased_info_nce(*args, **options)
    prior = options.get("positive_prior", 0.1)
    return [math.log1p((1.0 - prior) * math.expm1(loss)) for loss in right]


def debiased_clamped_without_factor_n(*args: Any, **options: Any) -> Vector:
    """N_neg · estimate is clamped at e^{-1/t}, not at N_neg e^{-1/t}."""
    return _debiased(*args, **_own(options), floor=lambda t, _: math.exp(-1.0 / t), options=options)


def debiased_clamped_at_zero(*args: Any, **options: Any) -> Vector:
    """max(estimate, 0)."""
    return _debiased(*args, **_own(options), floor=lambda _t, _n: 0.0, options=options)


def hard_negative_beta_before_temperature(*args: Any, **options: Any) -> Vector:
    """e^{β cos}, not e^{β cos / t}."""
    own = _own(options)
    own["beta"] = own.get("beta", 1.0) * own.get("temperature", 0.5)
    return _debiased(*args, **own, options=options)


def hard_negative_weights_not_normalised(*args: Any, **options: Any) -> Vector:
    """The mean of e^{(1+β) s}, without Σ_k e^{β s_k}."""
    return _debiased(*args, **{"beta": 1.0} | _own(options), mean_one=False, options=options)


def hard_negative_unweighted(*args: Any, **options: Any) -> Vector:
    """β forgotten: the debiased loss."""
    options.pop("top_k", None)
    options.pop("beta", None)
    return reweighted.debiased_info_nce(*args, **options)


def hard_negative_clamped_without_factor_n(*args: Any, **options: Any) -> Vector:
    """N_neg · estimate is clamped at e^{-1/t}, not at N_neg e^{-1/t}."""
    return _debiased(*args, **{"beta": 1.0} | _own(options), floor=lambda t, _: math.exp(-1.0 / t), options=options)


def hard_negative_easiest(view1: Matrix, view2: Matrix, **options: Any) -> Vector:
    """The k least similar negatives."""
    temperature, k = options.pop("temperature", 0.5), options.pop("top_k")
    options.pop("beta", None)
    options.pop("positive_prior", None)
    losses = []
    for row in nt_xent_rows([view1, view2], **options):
        (s,), negatives = split(row, temperature)
        losses.append(log_sum_exp([s, *sorted(negatives)[:k]]) - s)
    return losses


def hard_negative_positive_among_top_k(view1: Matrix, view2: Matrix, **options: Any) -> Vector:
    """The positive is one of the k: one negative too few."""
    return reweighted.hard_negative_info_nce(view1, view2, **options | {"top_k": options["top_k"] - 1})


def _own(options: dict[str, Any]) -> dict[str, Any]:
    """The options of the estimator, taken out of those that choose the candidates."""
    options.pop("top_k", None)
    return {name: options.pop(name) for name in ("temperature", "positive_prior", "beta") if name in options}


# ---- robust_info_nce


def robust_info_nce_lambda_outside_the_power(
    query: Matrix,
    positive_key: Matrix,
    *,
    temperature: float = 0.1,
    q: float = 0.1,
    lam: float = 0.01,
    **options: Any,
) -> Vector:
    """λ Z^q / q, not (λ Z)^q / q. Shows unless q = 1."""
    losses = []
    for row in info_nce_rows(query, positive_key, **options):
        (positive,), negatives = split(row, temperature)
        log_z = log_sum_exp([positive, *negatives])
        losses.append((lam * math.exp(q * log_z) - math.exp(q * positive)) / q)
    return losses


def robust_info_nce_without_lambda(*args: Any, **options: Any) -> Vector:
    """λ = 1."""
    return reweighted.robust_info_nce(*args, **options | {"lam": 1.0})


def robust_info_nce_without_positive_in_sum(
    query: Matrix,
    positive_key: Matrix,
    *,
    temperature: float = 0.1,
    q: float = 0.1,
    lam: float = 0.01,
    **options: Any,
) -> Vector:
    """λ weighs the negatives alone."""
    losses = []
    for row in info_nce_rows(query, positive_key, **options):
        (positive,), negatives = split(row, temperature)
        losses.append((math.exp(q * (math.log(lam) + log_sum_exp(negatives))) - math.exp(q * positive)) / q)
    return losses


# ---- sigmoid_loss


def sigmoid_loss_mean_over_all_pairs(*args: Any, **options: Any) -> Vector:
    """Divided by N once more: the mean over N² pairs."""
    losses = others.sigmoid_loss(*args, **options)
    return [loss / len(losses) for loss in losses]


def sigmoid_loss_bias_subtracted(*args: Any, bias: float = -10.0, **options: Any) -> Vector:
    """The sign of the displayed formula."""
    return others.sigmoid_loss(*args, bias=-bias, **options)


def sigmoid_loss_bias_before_temperature(
    *args: Any, temperature: float = 0.1, bias: float = -10.0, **options: Any
) -> Vector:
    """(sim + bias) / τ."""
    return others.sigmoid_loss(*args, temperature=temperature, bias=bias / temperature, **options)


# ---- nce


def nce_without_log_nu(
    data_scores: Sequence[float],
    noise_scores: Sequence[Sequence[float]],
    data_log_density: Sequence[float],
    noise_log_density: Sequence[Sequence[float]],
    num_noise: int,
) -> Vector:
    """h = σ(log p_m - log p_n). Shows for ν > 1."""
    del num_noise
    return others.nce(data_scores, noise_scores, data_log_density, noise_log_density, 1)


def nce_mean_over_noise(
    data_scores: Sequence[float],
    noise_scores: Sequence[Sequence[float]],
    data_log_density: Sequence[float],
    noise_log_density: Sequence[Sequence[float]],
    num_noise: int,
) -> Vector:
    """The noise terms averaged, not summed. Shows for ν > 1."""
    summed = others.nce(data_scores, noise_scores, data_log_density, noise_log_density, num_noise)
    log_nu = math.log(num_noise)
    of_data = [-log_sigmoid(s - d - log_nu) for s, d in zip(data_scores, data_log_density, strict=True)]
    return [data + (both - data) / num_noise for data, both in zip(of_data, summed, strict=True)]


def nce_without_noise_density(
    data_scores: Sequence[float],
    noise_scores: Sequence[Sequence[float]],
    data_log_density: Sequence[float],
    noise_log_density: Sequence[Sequence[float]],
    num_noise: int,
) -> Vector:
    """h = σ(log p_m - log ν): the classifier of the scores alone."""
    return others.nce(
        data_scores,
        noise_scores,
        [0.0 for _ in data_log_density],
        [[0.0 for _ in row] for row in noise_log_density],
        num_noise,
    )


# ---- cpc, wav2vec2


def cpc_without_positive(
    context: Sequence[Matrix],
    latents: Sequence[Matrix],
    weights: Sequence[Matrix],
    *,
    steps: Sequence[int],
    negatives: str = "both",
) -> Vector:
    """The positive is not among the candidates."""
    losses = others.cpc(context, latents, weights, steps=steps, negatives=negatives)
    return [math.log(math.expm1(loss)) for loss in losses]


def cpc_one_step_early(
    context: Sequence[Matrix], latents: Sequence[Matrix], weights: Sequence[Matrix], **options: Any
) -> Vector:
    """z_{t+k-1} is taken for the positive of step k (and the same number of times t)."""
    early = [[sequence[-1], *sequence[:-1]] for sequence in latents]
    return others.cpc(context, early, weights, **options)


def cpc_one_weight_for_all_steps(
    context: Sequence[Matrix], latents: Sequence[Matrix], weights: Sequence[Matrix], **options: Any
) -> Vector:
    """W of the first step everywhere. Shows with two steps."""
    return others.cpc(context, latents, [weights[0] for _ in weights], **options)


def wav2vec2_without_target(*args: Any, **options: Any) -> Vector:
    """Σ over the distractors alone. Needs a distractor that counts at each masked step."""
    return [math.log(math.expm1(loss)) for loss in others.wav2vec2_contrastive(*args, **options)]


def wav2vec2_multiplied_by_temperature(*args: Any, temperature: float = 0.1, **options: Any) -> Vector:
    """κ taken for its inverse."""
    return others.wav2vec2_contrastive(*args, temperature=1.0 / temperature, **options)


def wav2vec2_equal_distractors_kept(
    context: Sequence[Matrix],
    targets: Sequence[Matrix],
    mask: Sequence[Sequence[bool]],
    distractors: Sequence[Any],
    *,
    temperature: float = 0.1,
) -> Vector:
    """A distractor equal to the target is a negative."""
    losses = []
    for n in range(len(context)):
        for t in (t for t in range(len(context[n])) if mask[n][t]):
            candidates = [targets[n][t], *(targets[n][d] for d in distractors[n][t])]
            scores = [cosine(context[n][t], q) / temperature for q in candidates]
            losses.append(log_sum_exp(scores) - scores[0])
    return losses


# ---- closed forms


def info_nce_gradients_of_the_sum(query: Matrix, key: Matrix, *args: Any, **options: Any) -> tuple[Matrix, Matrix]:
    """Without 1/N."""
    of_query, of_key = closed_forms.info_nce_gradients(query, key, *args, **options)
    return [[len(query) * g for g in row] for row in of_query], [[len(query) * g for g in row] for row in of_key]


def info_nce_gradients_stop_keys(query: Matrix, key: Matrix, *args: Any, **options: Any) -> tuple[Matrix, Matrix]:
    """Keys detached."""
    of_query, of_key = closed_forms.info_nce_gradients(query, key, *args, **options)
    return of_query, [[0.0 for _ in row] for row in of_key]


def info_nce_gradients_of_columns(
    query: Matrix, key: Matrix, temperature: float, *, similarity: Similarity = cosine
) -> tuple[Matrix, Matrix]:
    """The softmax runs over the queries."""
    of_key, of_query = closed_forms.info_nce_gradients(key, query, temperature, similarity=similarity)
    return of_query, of_key


def info_nce_temperature_gradient_of_log_scale(
    query: Matrix, key: Matrix, temperature: float, *, similarity: Similarity = cosine
) -> float:
    """dL / dlog(1/τ)."""
    return -temperature * closed_forms.info_nce_temperature_gradient(query, key, temperature, similarity=similarity)


def label_toy_expected_loss_with_k_trials(classes: int, batch: int, temperature: float) -> float:
    """n ~ Bin(K, 1/C)."""
    return closed_forms.label_toy_expected_loss(classes, batch + 1, temperature)


def dclw_weights_softmax(
    view1: Matrix, view2: Matrix, *, sigma: float = 0.5, similarity: Similarity = cosine
) -> Vector:
    """2 - softmax, without the factor N."""
    weights: Vector = []
    for queries, keys in ((view1, view2), (view2, view1)):
        shares = softmax([similarity(q, k) / sigma for q, k in zip(queries, keys, strict=True)])
        weights += [2.0 - share for share in shares]
    return weights


WRONG: dict[str, list[Wrong]] = {
    "cosine": [cosine_half_normalised],
    "dot": [dot_over_root_of_width],
    "negative_squared_distance": [negative_distance, negative_squared_distance_of_unit_vectors],
    "bilinear": [bilinear_transposed],
    "info_nce": [
        info_nce_positive_without_temperature,
        info_nce_without_positive_in_denominator,
        info_nce_multiplied_by_temperature,
    ],
    "symmetric_info_nce": [
        symmetric_info_nce_rows_only,
        symmetric_info_nce_columns_only,
        symmetric_info_nce_summed,
    ],
    "nt_xent": [
        nt_xent_with_self,
        nt_xent_divided_by_n,
        nt_xent_interleaved,
        nt_xent_negatives_of_own_view,
        nt_xent_negatives_of_other_views,
    ],
    "sup_con": [
        sup_con_divided_by_count_with_self,
        sup_con_each_positive_without_the_others,
        sup_con_with_base_temperature,
        sup_con_inside_for_outside,
    ],
    "moco": [
        moco_positive_without_temperature,
        moco_without_positive_in_denominator,
        moco_times_two_temperatures,
    ],
    "retrieval_info_nce": [retrieval_info_nce_without_extra_terms, retrieval_info_nce_with_self],
    "matryoshka": [matryoshka_trailing_coordinates, matryoshka_averaged],
    "dcl": [dcl_with_positive_in_denominator, dcl_negatives_of_other_view],
    "dclw": [dclw_without_factor_n, dclw_weights_with_temperature, dclw_unweighted],
    "dclw_weights": [dclw_weights_softmax],
    "debiased_info_nce": [
        debiased_with_too_many_negatives,
        debiased_without_factor_n,
        debiased_not_divided_by_one_minus_prior,
    ],
    "hard_negative_info_nce": [
        hard_negative_beta_before_temperature,
        hard_negative_weights_not_normalised,
        hard_negative_unweighted,
    ],
    "robust_info_nce": [
        robust_info_nce_lambda_outside_the_power,
        robust_info_nce_without_lambda,
        robust_info_nce_without_positive_in_sum,
    ],
    "sigmoid_loss": [
        sigmoid_loss_mean_over_all_pairs,
        sigmoid_loss_bias_subtracted,
        sigmoid_loss_bias_before_temperature,
    ],
    "nce": [nce_without_log_nu, nce_mean_over_noise, nce_without_noise_density],
    "cpc": [cpc_without_positive, cpc_one_step_early, cpc_one_weight_for_all_steps],
    "wav2vec2_contrastive": [wav2vec2_without_target, wav2vec2_multiplied_by_temperature],
    "info_nce_gradients": [
        info_nce_gradients_of_the_sum,
        info_nce_gradients_stop_keys,
        info_nce_gradients_of_columns,
    ],
    "info_nce_temperature_gradient": [info_nce_temperature_gradient_of_log_scale],
    "label_toy_expected_loss": [label_toy_expected_loss_with_k_trials],
}

WRONG_WHERE: dict[str, dict[str, list[Wrong]]] = {
    "info_nce": {
        "negative_keys": [info_nce_in_batch_flipped],
        "log_q": [
            info_nce_log_q_added,
            info_nce_log_q_on_negatives_only,
            info_nce_log_q_before_temperature,
        ],
        "margin": [info_nce_margin_subtracted, info_nce_margin_after_temperature],
        "guide": [info_nce_guide_ignored],
        "same_id='out'": [info_nce_ids_ignored],
        "same_id='positive'": [
            info_nce_ids_ignored,
            info_nce_positives_inside_the_log,
            info_nce_each_positive_without_the_others,
        ],
        "label_smoothing": [info_nce_smoothing_on_negatives_only],
    },
    "nt_xent": {"three views": [nt_xent_positives_inside_the_log]},
    "sup_con": {"inside": [sup_con_inside_for_outside, sup_con_inside_without_count]},
    "moco": {"queue_ids": [moco_ids_ignored]},
    "retrieval_info_nce": {
        "a negative just below the threshold": [retrieval_info_nce_margin_subtracted],
        "a negative above the threshold": [retrieval_info_nce_without_rule],
    },
    "debiased_info_nce": {"floor": [debiased_clamped_without_factor_n, debiased_clamped_at_zero]},
    "hard_negative_info_nce": {
        "floor": [hard_negative_clamped_without_factor_n],
        "top_k": [hard_negative_easiest, hard_negative_positive_among_top_k],
    },
    "wav2vec2_contrastive": {"equal distractors": [wav2vec2_equal_distractors_kept]},
}
