"""One row = the candidates of one query that take part. Who is a positive, who is left out, who is corrected."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from .arithmetic import Matrix, Similarity, Vector, log_sum_exp, mean
from .similarities import cosine

Ids = Sequence[Hashable]


@dataclass(frozen=True)
class Candidate:
    """What a loss needs to know of one candidate key."""

    similarity: float  # before the temperature
    positive: bool
    log_q: float = 0.0  # log of the probability with which it was sampled
    judged: float = 0.0  # the similarity that the margin rule looks at: the guide's, where there is a guide


Row = list[Candidate]


def role(*, own: bool, same: bool, same_id: str) -> str:
    """What is a candidate to a query: "positive", "negative" or "out"?

    Its own key is a positive; another key is a negative; another key with the query's id is what `same_id` says.
    """
    if same_id not in {"out", "positive"}:
        raise ValueError(same_id)
    if own:
        return "positive"
    return same_id if same else "negative"


def margin_rule(row: Row, margin: float | None) -> Row:
    """Leave out each negative that is more similar than the best positive by more than `margin`.

    Strictly more: a negative exactly at the threshold stays. `None`: no rule.

    Source: Solatorio 2024 (GISTEmbed), arXiv:2402.16829, is margin 0 with a guide's similarities;
    Zhang et al. 2025 (Qwen3-Embedding), arXiv:2506.05176, is margin 0.1 with the trained similarities.
    """
    if margin is None:
        return row
    best = max((c.judged for c in row if c.positive), default=float("inf"))
    return [c for c in row if c.positive or c.judged <= best + margin]


def logits_of(row: Row, temperature: float) -> Vector:
    """sim / τ - log q.

    Source of the correction: Yi et al. 2019, "Sampling-bias-corrected neural modeling for large corpus item
    recommendations", RecSys 2019: every candidate of the batch softmax, the positive too.
    """
    return [c.similarity / temperature - c.log_q for c in row]


def soft_cross_entropy(logits: Vector, positives: Sequence[bool], label_smoothing: float = 0.0) -> float:
    """-Σ_j T_j log p_j with T = (1-ε) spread evenly on the positives + ε spread evenly on all candidates."""
    total = log_sum_exp(logits)
    surprise = [total - logit for logit in logits]
    of_positives = mean(s for s, positive in zip(surprise, positives, strict=True) if positive)
    return (1.0 - label_smoothing) * of_positives + label_smoothing * mean(surprise)


def cross_entropy(row: Row, temperature: float, label_smoothing: float = 0.0) -> float:
    """Mean over the positives p of -log(e^{s_p} / Σ over all candidates e^{s}): positives outside the log."""
    return soft_cross_entropy(logits_of(row, temperature), [c.positive for c in row], label_smoothing)


def split(row: Row, temperature: float) -> tuple[Vector, Vector]:
    """The logits of the positives and those of the negatives."""
    logits = logits_of(row, temperature)
    positives = [s for s, c in zip(logits, row, strict=True) if c.positive]
    negatives = [s for s, c in zip(logits, row, strict=True) if not c.positive]
    return positives, negatives


def _explicit(values: Any, i: int, negative_mode: str) -> Any:
    """What query i sees of something given for explicit negatives: all of it, or only its own."""
    if negative_mode not in {"unpaired", "paired"}:
        raise ValueError(negative_mode)
    return values if negative_mode == "unpaired" else values[i]


def _split_log_q(log_q: Any, count: int, *, explicit: bool, in_batch: bool, negative_mode: str) -> tuple[Any, Any]:
    """(log q of the in-batch keys, log q of the explicit negatives) from the forms that `info_nce` takes."""
    if not explicit:
        return log_q, None
    if not in_batch:
        return None, log_q
    if negative_mode == "paired":
        return log_q[0], log_q[1]
    return log_q[:count], log_q[count:]


def info_nce_rows(
    query: Matrix,
    positive_key: Matrix,
    negative_keys: Any = None,
    *,
    negative_mode: str = "unpaired",
    keep_in_batch: bool = False,
    similarity: Similarity = cosine,
    ids: Ids | None = None,
    negative_ids: Any = None,
    same_id: str = "out",
    margin: float | None = None,
    guide: Sequence[Any] | None = None,
    log_q: Any = None,
) -> list[Row]:
    """The candidates of each query: its own key; the other queries' keys; the explicit negatives.

    With explicit negatives the other queries' keys take part only if `keep_in_batch`.
    `guide` is (query, positive_key[, negative_keys]) of another model; it is compared by cosine.
    """
    count = len(query)
    explicit = negative_keys is not None
    in_batch = keep_in_batch or not explicit
    key_log_q: Any = None
    negative_log_q: Any = None
    if log_q is not None:
        key_log_q, negative_log_q = _split_log_q(
            log_q, count, explicit=explicit, in_batch=in_batch, negative_mode=negative_mode
        )
    if guide is not None and margin is None:
        margin = 0.0

    rows = []
    for i in range(count):
        row = []
        for j in range(count) if in_batch else [i]:
            what = role(own=i == j, same=ids is not None and ids[i] == ids[j], same_id=same_id)
            if what == "out":
                continue
            s = similarity(query[i], positive_key[j])
            judged = s if guide is None else cosine(guide[0][i], guide[1][j])
            row.append(Candidate(s, what == "positive", 0.0 if key_log_q is None else key_log_q[j], judged))
        for h, key in enumerate(_explicit(negative_keys, i, negative_mode) if explicit else []):
            same = False
            if ids is not None and negative_ids is not None:
                same = ids[i] == _explicit(negative_ids, i, negative_mode)[h]
            what = role(own=False, same=same, same_id=same_id)
            if what == "out":
                continue
            s = similarity(query[i], key)
            judged = s if guide is None else cosine(guide[0][i], _explicit(guide[2], i, negative_mode)[h])
            q = 0.0 if negative_log_q is None else _explicit(negative_log_q, i, negative_mode)[h]
            row.append(Candidate(s, what == "positive", q, judged))
        rows.append(margin_rule(row, margin))
    return rows


def nt_xent_rows(
    views: Sequence[Matrix],
    *,
    similarity: Similarity = cosine,
    ids: Ids | None = None,
    same_id: str = "out",
    margin: float | None = None,
    guide: Sequence[Matrix] | None = None,
    log_q: Vector | None = None,
) -> list[Row]:
    """The candidates of each of the V·N vectors, view 0 first: all the other vectors, never itself.

    Positive: another view of the same item. Negative: any view of another item.
    """
    count = len(views[0])
    places = [(v, i) for v in range(len(views)) for i in range(count)]
    if guide is not None and margin is None:
        margin = 0.0
    rows = []
    for v, i in places:
        row = []
        for place, (w, j) in enumerate(places):
            if (w, j) == (v, i):
                continue
            what = role(own=i == j, same=ids is not None and ids[i] == ids[j], same_id=same_id)
            if what == "out":
                continue
            s = similarity(views[v][i], views[w][j])
            judged = s if guide is None else cosine(guide[v][i], guide[w][j])
            row.append(Candidate(s, what == "positive", 0.0 if log_q is None else log_q[place], judged))
        rows.append(margin_rule(row, margin))
    return rows


def sup_con_rows(
    features: Matrix,
    labels: Ids,
    *,
    similarity: Similarity = cosine,
    margin: float | None = None,
    log_q: Vector | None = None,
) -> list[Row]:
    """The candidates of each vector: all others; those with its label are the positives."""
    rows = []
    for i, anchor in enumerate(features):
        row = []
        for a, other in enumerate(features):
            if a == i:
                continue
            s = similarity(anchor, other)
            row.append(Candidate(s, labels[a] == labels[i], 0.0 if log_q is None else log_q[a], s))
        rows.append(margin_rule(row, margin))
    return rows
