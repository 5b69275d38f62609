"""What a diagnosis says of one query, as plain loops over the candidates that take part."""

import math

from .arithmetic import log_sum_exp, mean, softmax
from .candidates import Row, split

Numbers = dict[str, float]


def seen(row: Row, temperature: float) -> Numbers:
    """Of one query: who its candidates are, how it ranks them, and how the softmax shares its gradient out.

    The gradient of the softmax's cross-entropy by a negative's logit is its probability, by the positive's that
    minus 1: Wang and Liu 2021, arXiv:2012.09740, eq. 4 and 5. Entropy: of the probabilities among the negatives alone.
    """
    nan = math.nan
    positives, negatives = split(row, temperature)
    own = [c.similarity for c in row if c.positive]
    others = [c.similarity for c in row if not c.positive]
    shares = softmax(negatives)
    total = log_sum_exp(positives + negatives)
    both = bool(positives) and bool(negatives)
    return {
        "candidates": float(len(row)),
        "positives": float(len(positives)),
        "rank": 1.0 + sum(s >= max(positives) for s in negatives) if positives else nan,
        "positive_logit": mean(positives) if positives else nan,
        "negative_logit": mean(negatives) if negatives else nan,
        "negative_logit_spread": _deviation(negatives),
        "positive_similarity": mean(own) if own else nan,
        "negative_similarity": mean(others) if others else nan,
        "negative_similarity_spread": _deviation(others),
        "surprise": total - log_sum_exp(positives) if positives else nan,
        "push": (math.exp(log_sum_exp(negatives) - total) if both else 0.0) if positives else nan,
        "hardest_share": max(shares) if shares else nan,
        "effective_negatives": math.exp(-sum(p * math.log(p) for p in shares if p)) if shares else nan,
        "ties": float(sum(s == max(positives) for s in negatives)) if positives else nan,
    }


def _deviation(values: list[float]) -> float:
    if not values:
        return math.nan
    middle = mean(values)
    return math.sqrt(mean((value - middle) ** 2 for value in values))
