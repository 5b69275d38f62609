"""Small numbers to feed the oracles, the same on every machine and in every version of Python and torch."""

import math
from collections.abc import Iterator

from .arithmetic import Matrix, Vector


def uniform(seed: int) -> Iterator[float]:
    """Endless numbers in (0, 1): the 48-bit linear congruential generator of POSIX drand48."""
    state = (seed << 16) + 0x330E
    while True:
        state = (0x5DEECE66D * state + 0xB) % 2**48
        yield (state + 0.5) / 2**48


def gauss(seed: int) -> Iterator[float]:
    """Endless standard normal numbers (Box and Muller), rounded to 4 decimals so that they print exactly."""
    numbers = uniform(seed)
    while True:
        radius = math.sqrt(-2.0 * math.log(next(numbers)))
        yield round(radius * math.cos(2.0 * math.pi * next(numbers)), 4)


def vectors(count: int, width: int, seed: int = 0) -> Matrix:
    """`count` normal vectors, of no particular length."""
    numbers = gauss(seed + 1)
    return [[next(numbers) for _ in range(width)] for _ in range(count)]


def sequences(count: int, length: int, width: int, seed: int = 0) -> list[Matrix]:
    """`count` sequences of `length` vectors."""
    flat = vectors(count * length, width, seed)
    return [flat[n * length : (n + 1) * length] for n in range(count)]


def views(count: int, width: int, seed: int = 0, *, number: int = 2, noise: float = 0.7) -> list[Matrix]:
    """Noisy views of the same `count` vectors: other views of an item are more alike than other items, mostly."""
    items = vectors(count, width, seed)
    drifts = [vectors(count, width, seed + 1000 * (v + 1)) for v in range(number)]
    return [[_sum(item, drift, noise) for item, drift in zip(items, view, strict=True)] for view in drifts]


def _sum(item: Vector, drift: Vector, noise: float) -> Vector:
    return [round(x + noise * e, 4) for x, e in zip(item, drift, strict=True)]
