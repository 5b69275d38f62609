"""What must come out where the answer is known exactly: gradients, expectations, minima, collapsed embeddings."""

import math

from .arithmetic import Matrix, Similarity, Vector, softmax
from .similarities import cosine, dot


def _through_unit_length(raw: Vector, gradient: Vector) -> Vector:
    """dL/dr = (1/|r|) (I - u u^T) dL/du with u = r / |r|."""
    length = math.hypot(*raw)
    u = [x / length for x in raw]
    along = dot(u, gradient)
    return [(g - along * x) / length for g, x in zip(gradient, u, strict=True)]


def info_nce_gradients(
    query: Matrix, key: Matrix, temperature: float, *, similarity: Similarity = cosine
) -> tuple[Matrix, Matrix]:
    """Gradients of the mean over N of the in-batch InfoNCE loss, for `similarity` cosine or dot.

    dL/dq_i = 1/(Nτ) (Σ_j p_ij k_j - k_i),   dL/dk_j = 1/(Nτ) (Σ_i p_ij q_i - q_j),   p_i = softmax_j(<q_i, k_j> / τ)

    Cosine: q and k there are the unit vectors; each gradient then passes through the normalisation.
    """
    if similarity not in {cosine, dot}:
        raise ValueError("only cosine and dot have this closed form")
    unit = similarity is cosine
    N = len(query)
    D = len(query[0])
    q = [[x / math.hypot(*row) for x in row] for row in query] if unit else query
    k = [[x / math.hypot(*row) for x in row] for row in key] if unit else key
    p = [softmax([dot(q[i], k[j]) / temperature for j in range(N)]) for i in range(N)]
    scale = 1.0 / (N * temperature)
    of_query = [[scale * (sum(p[i][j] * k[j][d] for j in range(N)) - k[i][d]) for d in range(D)] for i in range(N)]
    of_key = [[scale * (sum(p[i][j] * q[i][d] for i in range(N)) - q[j][d]) for d in range(D)] for j in range(N)]
    if unit:
        of_query = [_through_unit_length(raw, g) for raw, g in zip(query, of_query, strict=True)]
        of_key = [_through_unit_length(raw, g) for raw, g in zip(key, of_key, strict=True)]
    return of_query, of_key


def info_nce_temperature_gradient(
    query: Matrix, key: Matrix, temperature: float, *, similarity: Similarity = cosine
) -> float:
    """dL/dτ = -(1/τ) mean_i( Σ_j p_ij s_ij - s_ii ) with s = sim / τ, of the mean in-batch InfoNCE loss."""
    total = 0.0
    for i, anchor in enumerate(query):
        s = [similarity(anchor, other) / temperature for other in key]
        total += dot(softmax(s), s) - s[i]
    return -total / (len(query) * temperature)


def _binomial(trials: int, successes: int, probability: float) -> float:
    """P(n = successes) for n ~ Bin(trials, probability)."""
    if probability == 1.0:
        return 1.0 if successes == trials else 0.0
    log_ways = math.log(math.comb(trials, successes))
    failures = trials - successes
    return math.exp(log_ways + successes * math.log(probability) + failures * math.log1p(-probability))


def label_toy_expected_loss(classes: int, batch: int, temperature: float) -> float:
    """E log( (1+n) + (K-1-n) e^{-1/τ} ), n ~ Bin(K-1, 1/C): the expected InfoNCE loss of one-hot labels.

    K pairs whose two sides are the same label, uniform on C classes, one-hot. Temperature 0 is the limit.
    """
    apart = math.exp(-1.0 / temperature) if temperature > 0.0 else 0.0
    return math.fsum(
        _binomial(batch - 1, n, 1.0 / classes) * math.log((1 + n) + (batch - 1 - n) * apart) for n in range(batch)
    )


def label_toy_bound(classes: int, batch: int) -> float:
    """I_K = log K - E log(1+n): the bound on the mutual information log C, at temperature 0. Never above log C."""
    return math.log(batch) - label_toy_expected_loss(classes, batch, 0.0)


def label_toy_nt_xent_excess(classes: int, items: int) -> float:
    """log(2N-1) - E L_NT-Xent of the label toy = E log( (2N-1) / (1+2n) ), n ~ Bin(N-1, 1/C). CAN exceed log C."""
    return math.fsum(
        _binomial(items - 1, n, 1.0 / classes) * math.log((2 * items - 1) / (1 + 2 * n)) for n in range(items)
    )


def simplex(count: int) -> Matrix:
    """`count` unit vectors in `count` dimensions with cosine -1/(count-1) to each other."""
    shift = 1.0 / count
    length = math.sqrt(1.0 - shift)
    return [[((1.0 if a == b else 0.0) - shift) / length for b in range(count)] for a in range(count)]


def minimum_info_nce(n: int, temperature: float) -> float:
    """log(1 + (N-1) e^{-N/((N-1)τ)}): the least InfoNCE, one-directional or symmetric: aligned pairs on a simplex."""
    return math.log1p((n - 1) * math.exp(-n / ((n - 1) * temperature)))


def minimum_nt_xent(n: int, temperature: float) -> float:
    """log(1 + (2N-2) e^{-N/((N-1)τ)})."""
    return math.log1p((2 * n - 2) * math.exp(-n / ((n - 1) * temperature)))


def minimum_dcl(n: int, temperature: float) -> float:
    """log(2N-2) - N/((N-1)τ)."""
    return math.log(2 * n - 2) - n / ((n - 1) * temperature)


def minimum_sup_con(rows: int, classes: int, temperature: float) -> float:
    """log((m-1) + (M-m) e^{-C/((C-1)τ)}), M rows in C classes of m = M/C rows each, positives outside the log.

    Source: Graf et al. 2021, arXiv:2102.08817, theorem 2.
    """
    m, rest = divmod(rows, classes)
    if rest:
        raise ValueError("classes must have the same size")
    return math.log((m - 1) + (rows - m) * math.exp(-classes / ((classes - 1) * temperature)))


def collapsed_info_nce(n: int) -> float:
    """log N: all embeddings equal."""
    return math.log(n)


def collapsed_nt_xent(n: int) -> float:
    """log(2N-1)."""
    return math.log(2 * n - 1)


def collapsed_dcl(n: int) -> float:
    """log(2N-2)."""
    return math.log(2 * n - 2)


def collapsed_sup_con(rows: int) -> float:
    """log(M-1) with M rows, whatever the labels."""
    return math.log(rows - 1)


def orthonormal_info_nce(n: int, temperature: float) -> float:
    """log(1 + (N-1) e^{-1/τ}): aligned pairs, orthogonal to each other."""
    return math.log1p((n - 1) * math.exp(-1.0 / temperature))


def orthonormal_nt_xent(n: int, temperature: float) -> float:
    """log(1 + (2N-2) e^{-1/τ})."""
    return math.log1p((2 * n - 2) * math.exp(-1.0 / temperature))
