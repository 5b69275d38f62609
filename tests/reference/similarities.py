"""How alike are two vectors? The four measures, each before the division by the temperature."""

import math

from .arithmetic import Matrix, Similarity, Vector


def dot(u: Vector, v: Vector) -> float:
    """Σ_d u_d v_d."""
    return math.fsum(a * b for a, b in zip(u, v, strict=True))


def cosine(u: Vector, v: Vector) -> float:
    """Σ_d u_d v_d / (|u| |v|); 0 if either is the zero vector.

    Source: Chen et al. 2020 (SimCLR), arXiv:2002.05709, section 2.1. The value at the zero vector is a convention.
    """
    lengths = math.hypot(*u) * math.hypot(*v)
    return dot(u, v) / lengths if lengths > 0.0 else 0.0


def negative_squared_distance(u: Vector, v: Vector) -> float:
    """-|u - v|^2 of the vectors as they are (not of the unit vectors)."""
    return -math.fsum((a - b) ** 2 for a, b in zip(u, v, strict=True))


def bilinear(weight: Matrix) -> Similarity:
    """u^T W v with W of len(u) rows and len(v) columns.

    Source: van den Oord et al. 2018 (CPC), arXiv:1807.03748, eq. 3: f_k = exp(z^T W_k c).
    """

    def similarity(u: Vector, v: Vector) -> float:
        return math.fsum(u[a] * weight[a][b] * v[b] for a in range(len(u)) for b in range(len(v)))

    return similarity
