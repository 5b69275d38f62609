"""The little arithmetic that the oracles share: pure Python, float64, one number at a time."""

import math
from collections.abc import Callable, Iterable, Sequence

Vector = list[float]
Matrix = list[Vector]
Similarity = Callable[[Vector, Vector], float]


def mean(values: Iterable[float]) -> float:
    """Arithmetic mean, summed without rounding (`math.fsum`)."""
    listed = list(values)
    return math.fsum(listed) / len(listed)


def log_sum_exp(logits: Sequence[float]) -> float:
    """log Σ_j e^{x_j}, shifted by the largest; the empty sum is 0, its log -inf."""
    if not logits:
        return -math.inf
    largest = max(logits)
    return largest + math.log(math.fsum(math.exp(x - largest) for x in logits))


def softmax(logits: Sequence[float]) -> Vector:
    """p_j = e^{x_j} / Σ_k e^{x_k}."""
    total = log_sum_exp(logits)
    return [math.exp(x - total) for x in logits]


def log_sigmoid(x: float) -> float:
    """log(1 / (1 + e^{-x})), without overflow on either side."""
    return min(x, 0.0) - math.log1p(math.exp(-abs(x)))


def per_query(value: float | Sequence[float], count: int) -> Vector:
    """One value for each query: a number is repeated, a list must have the right length."""
    if isinstance(value, (int, float)):
        return [float(value)] * count
    values = list(value)
    if len(values) != count:
        raise ValueError(f"{len(values)} values for {count} queries")
    return values
