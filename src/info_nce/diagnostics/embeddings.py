"""How embeddings lie in their space: partners together, all of them spread out, every direction in use, no hub, no gap.

Every measure is exact, in memory that grows with the embeddings and not with their pairs. Where ranks hold a part of
them each, it is that of `gathered` embeddings; `uniformity` takes an engine across ranks, too.
"""

# N embeddings or queries, M keys, D features, K neighbours

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor
from torch.nn import functional

from info_nce.checks import (
    ShapeError,
    check_embeddings,
    check_ids,
    check_not_empty,
    check_number,
    check_rows,
    check_same_features,
    check_whole,
    fail,
    shapes,
)
from info_nce.contrast import contrast
from info_nce.engines import Engine
from info_nce.losses.compose import self_matrix
from info_nce.losses.options import Options
from info_nce.neighbours import CELLS
from info_nce.objectives import Objective
from info_nce.pairing import Nowhere, Shifted
from info_nce.precision import compute_dtype, without_autocast
from info_nce.similarity import DotProduct, unit
from info_nce.statistics import Count, LogSumExp, Statistic

__all__ = [
    "Hubness",
    "ModalityGap",
    "Norms",
    "alignment",
    "effective_rank",
    "hubness",
    "modality_gap",
    "norms",
    "singular_spectrum",
    "tolerance",
    "uniformity",
]

_ROWS = 8192
"""So many rows are brought to double precision at once."""


def alignment(query: Float[Tensor, "n d"], positive_key: Float[Tensor, "n d"], alpha: float = 2.0) -> Float[Tensor, ""]:
    r"""How close are partners?

    $$ \frac1N \sum_i \Big| \frac{q_i}{|q_i|} - \frac{k_i}{|k_i|} \Big|^\alpha $$

    Args:
        query: one row per pair.
        positive_key: row i belongs with query i.
        alpha: power of the distance, at least 1: below, two that have met would be parted by an infinite slope.

    Returns:
        Mean over the pairs, differentiable. With alpha = 2: 0 = together, 2 = unrelated, 4 = opposite.

    Raises:
        ShapeError: the tensors do not pair up, or are empty.
        ArgumentError: alpha is below 1.

    Example:
        >>> corners = torch.eye(2)
        >>> alignment(corners, corners).item(), round(alignment(corners, corners.flip(0)).item(), 5)
        (0.0, 2.0)

    Source:
        Wang and Isola 2020, arXiv:2005.10242, section 4.1.1, with their alpha = 2.
    """
    query, positive_key = _checked({"query": query, "positive_key": positive_key})
    check_rows("positive_key", positive_key, len(query), "query", hint="row i of both must belong together")
    check_number("alpha", alpha, low=1, high_open=True, hint="2 as in the paper")
    apart = unit(query) - unit(positive_key)
    # no root where none is needed: its slope at 0 is infinite
    return (apart.square().sum(1) if alpha == 2 else torch.linalg.vector_norm(apart, dim=1) ** alpha).mean()


def uniformity(embeddings: Float[Tensor, "n d"], t: float = 2.0, *, engine: Engine | None = None) -> Float[Tensor, ""]:
    r"""How evenly do the embeddings fill the sphere?

    $$ \log \frac{1}{N (N - 1)} \sum_{i \ne j} e^{-t |u_i - u_j|^2}, \quad u_i = \frac{x_i}{|x_i|} $$

    Args:
        embeddings: one per row. Zero vectors have no direction: they count as one point far from all others.
        t: how near is near, in (0, 20].
        engine: how the sum over all pairs is computed; `Auto()` chooses. With `Gathered()`, `TwoSided()` or `Ring()`
            the embeddings of all ranks count as one set.

    Returns:
        Log of the mean Gaussian kernel of distinct pairs, differentiable, so that it can be trained with. With t = 2:
        0 = all in one point, -4 = spread evenly, -4 N / (N - 1) = the corners of a simplex, which is the least. NaN
        for a single embedding, which has no pair.

    Raises:
        ShapeError: there are no embeddings.
        ArgumentError: t is out of range.

    Example:
        >>> round(uniformity(torch.tensor([[1.0, 0.0], [-3.0, 0.0]])).item(), 5)  # -t 2^2
        -8.0

    Source:
        Wang and Isola 2020, arXiv:2005.10242, section 4.1.2, with their t = 2.
    """
    options = Options(similarity=DotProduct(), engine=engine)
    (embeddings,) = _checked({"embeddings": embeddings}, alone=options.alone)
    # far beyond any use, and what the exponentials of any row and their sum stay finite for in single precision
    check_number("t", t, low=0, high=20, low_open=True, hint="2 as in the paper")
    itself = Shifted(len(embeddings), 0, embeddings.device)
    matrix = self_matrix(_points(embeddings), 2 * t, options, Nowhere(), itself)
    return contrast(matrix, _Kernel(t), engine=engine).log() - t


@dataclass(frozen=True)
class _Kernel(Objective):
    """The mean of exp(logit - shift) over all others."""

    shift: float

    def statistics(self) -> dict[str, Statistic]:
        return {"others": LogSumExp("candidates"), "count": Count("candidates")}

    def per_query(self, total: Mapping[str, Tensor]) -> Tensor:
        return torch.exp(total["others"] - torch.log(total["count"]) - self.shift)


def _points(embeddings: Tensor) -> Tensor:
    """Points of the sphere; those without a direction share an axis of their own, for they are one point."""
    directions = unit(embeddings)
    lost = (directions == 0).all(1, keepdim=True)
    return torch.cat([directions, lost.to(directions.dtype)], 1)


def tolerance(embeddings: Float[Tensor, "n d"], labels: Int[Tensor, " n"]) -> Float[Tensor, ""]:
    r"""How alike may embeddings of one class stay, though the loss pushes them apart?

    The mean cosine of all pairs of distinct rows with one label. Exact without looking at any pair, since the cosines
    of a class sum up to the square of its sum.

    Args:
        embeddings: one per row.
        labels: one integer per row.

    Returns:
        The mean over pairs, differentiable: a class counts with the square of its size. 1 = each class is one point,
        0 = classmates are unrelated. NaN where no two rows share a label.

    Raises:
        ShapeError: not one label per row, or no rows.
        DTypeError: labels are no integers.

    Example:
        >>> corners = torch.eye(2).repeat(2, 1)
        >>> tolerance(corners, torch.tensor([0, 1, 0, 1])).item(), tolerance(corners, torch.tensor([0, 0, 1, 1])).item()
        (1.0, 0.0)

    Source:
        Wang and Liu 2021, "Understanding the Behaviour of Contrastive Loss", arXiv:2012.09740. Differs from their
        formula, an expectation over all pairs that counts those of two classes as 0: a mean over pairs of one class.
    """
    (embeddings,) = _checked({"embeddings": embeddings})
    check_ids("labels", labels, (len(embeddings),), embeddings.device)
    directions = unit(embeddings)
    _, group, count = torch.unique(labels, return_inverse=True, return_counts=True)
    sums = torch.zeros_like(directions[: len(count)]).index_add(0, group, directions)
    alike = sums.square().sum() - directions.square().sum()
    pairs = (count * (count - 1)).sum()
    return torch.where(pairs > 0, alike / pairs.clamp(min=1), math.nan)


@torch.no_grad()
def singular_spectrum(embeddings: Float[Tensor, "n d"]) -> Float[Tensor, " d"]:
    r"""How far do the embeddings spread along each of their principal directions?

    $$ \sigma_1 \ge \dots \ge \sigma_D \text{ of } \frac{1}{\sqrt N} (X - \bar x) $$

    Args:
        embeddings: one per row, as they are: lengths count. `unit` embeddings show what a cosine sees.

    Returns:
        Standard deviations in double precision, the largest first, in the unit of the embeddings. A direction with 0
        is not used: on a logarithmic axis, dimensional collapse is a cliff. 0 from the N-th on, for N points span no
        more than N - 1 directions.

    Raises:
        ShapeError: there are no embeddings.

    Example:
        >>> [round(sigma, 5) for sigma in singular_spectrum(torch.tensor([[3.0, 1.0], [-3.0, 1.0]])).tolist()]
        [3.0, 0.0]

    Source:
        Jing et al. 2022, "Understanding Dimensional Collapse in Contrastive Self-supervised Learning",
        arXiv:2110.09348. They show the eigenvalues of the covariance, which are the squares of these.
    """
    (embeddings,) = _checked({"embeddings": embeddings})
    # Row after row is turned into the triangle of a QR decomposition. The leading ones take the mean off; the first
    # row is taken off before, so that nothing at all is left of embeddings that are one point.
    triangle = embeddings.new_zeros(0, 1 + embeddings.shape[1], dtype=torch.float64)
    first = embeddings[0].double()
    for chunk in torch.split(embeddings, _ROWS):
        rows = functional.pad(chunk.double() - first, (1, 0), value=1.0)
        triangle = torch.linalg.qr(torch.cat([triangle, rows]), mode="r").R
    found = torch.zeros_like(first)
    centred = triangle[1:, 1:]
    if not centred.isfinite().all():  # the decomposition would raise
        return found.fill_(math.nan)
    strengths = torch.linalg.svdvals(centred)
    found[: len(strengths)] = strengths
    return found / math.sqrt(len(embeddings))


def effective_rank(embeddings: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """How many directions do the embeddings really use?

    Args:
        embeddings: one per row, as they are: lengths count.

    Returns:
        Exponential of the entropy of `singular_spectrum`, divided by its sum: 1 = all on a line, D = every direction
        alike; NaN where all embeddings are one point.

    Raises:
        ShapeError: there are no embeddings.

    Example:
        >>> round(effective_rank(torch.eye(4)).item(), 5)  # four points span three directions
        3.0

    Source:
        Roy and Vetterli 2007, "The Effective Rank: A Measure of Effective Dimensionality". Differs from the paper: the
        mean is taken off first, which after a ReLU would be counted as the largest direction.
    """
    strengths = singular_spectrum(embeddings)
    rank: Tensor = torch.special.entr(strengths / strengths.sum()).sum().exp()
    return rank


@dataclass(frozen=True, slots=True)
class Norms:
    """How long are the embeddings? A cosine does not see it, a dot product does.

    Args:
        mean: of the lengths.
        spread: their standard deviation. 0 = all on a sphere.
        shortest: the least of them.
        longest: the largest of them.
        zeros: how many are 0 exactly, and so have no direction and similarity 0 to everything.
    """

    mean: float
    spread: float
    shortest: float
    longest: float
    zeros: int


@torch.no_grad()
def norms(embeddings: Float[Tensor, "n d"]) -> Norms:
    """How long are the embeddings?

    Raises:
        ShapeError: there are no embeddings.

    Example:
        >>> norms(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        Norms(mean=2.5, spread=2.5, shortest=0.0, longest=5.0, zeros=1)
    """
    (embeddings,) = _checked({"embeddings": embeddings})
    lengths = torch.cat([_length(chunk.double()) for chunk in torch.split(embeddings, _ROWS)])
    return Norms(
        lengths.mean().item(),
        _length(lengths - lengths.mean()).item() / math.sqrt(len(lengths)),
        lengths.amin().item(),
        lengths.amax().item(),
        int((embeddings == 0).all(1).sum()),
    )


def _length(vectors: Tensor) -> Tensor:
    """Of each, in parts of its largest component: a plain norm under- or overflows."""
    limits = torch.finfo(vectors.dtype)
    largest = vectors.abs().amax(-1, keepdim=True).clamp(limits.tiny, limits.max)
    length: Tensor = torch.linalg.vector_norm(vectors / largest, dim=-1) * largest[..., 0]
    return length


@dataclass(frozen=True, slots=True, eq=False)
class Hubness:
    """Are a few embeddings everybody's neighbours, and many nobody's?

    Args:
        skewness: of how often each is found, divided by the cube of the standard deviation: 0 = nobody is preferred,
            as in few dimensions; above 1 = there are hubs.
        never: share that nobody finds; e^-k where chance decides.
        most: how often the one that is found most is found; on the average it is k.
        occurrences: how often each is found.
    """

    skewness: float
    never: float
    most: float
    occurrences: Float64[Tensor, " m"]


@torch.no_grad()
def hubness(
    embeddings: Float[Tensor, "m d"], k: int = 10, *, query: Float[Tensor, "n d"] | None = None, cells: int = CELLS
) -> Hubness:
    r"""Are a few embeddings everybody's neighbours, and many nobody's?

    $$ S = \frac{\mathrm{E} (N_k - \mu)^3}{\sigma^3}, \quad N_k(x) = \text{how many have } x \text{ among their } k
       \text{ nearest} $$

    Compared in double precision. Of those that are equally near, up to its rounding, and for which there is no room
    among the k, each counts with the same share: copies of one point are no hubs, in whatever order they come.

    Args:
        embeddings: what is found, by the cosine.
        k: how many neighbours are looked at.
        query: who searches; without, the embeddings themselves, each among the others.
        cells: how many similarities are held at once, at least those of one row; changes the memory and not the result.

    Returns:
        What was found; NaN where an embedding is.

    Raises:
        ShapeError: there are no embeddings, or queries of another width, or no k others.
        ArgumentError: k or cells is no whole number above 0.

    Example:
        >>> star = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        >>> hubness(star, k=1).occurrences.round(decimals=4).tolist()  # the middle is everybody's neighbour
        [3.0, 0.3333, 0.3333, 0.3333]

    Source:
        Radovanovic, Nanopoulos, Ivanovic 2010, "Hubs in Space", JMLR 11; those that are never found are its antihubs.
    """
    named = {"embeddings": embeddings} | ({} if query is None else {"query": query})
    found, *asking = _checked(named)
    check_whole("k", k, hint="10 as is usual")
    check_whole("cells", cells, hint=f"{CELLS}, or fewer where memory is short")
    if k > len(found) - (query is None):
        fail(
            ShapeError,
            "There are not so many neighbours to find.",
            got=f"k={k}, {shapes(**named)}",
            expected=f"at least {k + (query is None)} embeddings",
            hint="a smaller k, or more embeddings",
        )
    with without_autocast(found.device.type):
        occurrences = _occurrences(found, asking[0] if asking else None, k, cells)
    apart = occurrences - occurrences.mean()
    spread = apart.square().mean().sqrt()
    even = spread < 1e-9  # nothing but the rounding of the mean
    skewness = torch.where(even, 0, (apart**3).mean() / torch.where(even, 1, spread) ** 3)
    never = (occurrences == 0).double().mean() + 0 * spread  # NaN stays NaN
    return Hubness(skewness.item(), never.item(), occurrences.amax().item(), occurrences)


def _occurrences(found: Tensor, asking: Tensor | None, k: int, cells: int) -> Tensor:
    """How often is each among the k nearest of those who ask, or of each other?"""
    keys = unit(found.double())
    lost = (keys == 0).all(1)
    queries = keys if asking is None else unit(asking.double())
    # Seen from their middle, directions that nearly agree keep their digits. There the largest cosine is the least
    # distance, but for zero vectors, whose cosine of 0 lies 1/2 below what their distance says.
    middle = keys.mean(0)
    queries, keys = queries - middle, keys - middle
    taken_off = keys.square().sum(1).add(lost).div(2)
    # what the rounding of a direction may change, and more than that of a product of thousands of components
    slack = 1e-14 * (torch.linalg.vector_norm(queries, dim=1) + torch.linalg.vector_norm(keys, dim=1).amax())[:, None]
    occurrences = 0 * (queries.sum() + keys.sum(1))  # NaN stays NaN
    rows = max(1, cells // len(keys))
    for start in range(0, len(queries), rows):
        near = torch.addmm(taken_off, queries[start : start + rows], keys.mT, beta=-1)
        if asking is None:
            near.diagonal(start).fill_(-math.inf)
        best, index = near.topk(min(k + 1, len(keys)), dim=1)
        last, rounding = best[:, k - 1 : k], slack[start : start + rows]
        tied = (last - best[:, -1:] <= rounding)[:, 0]
        occurrences += torch.bincount(index[~tied, :k].flatten(), minlength=len(keys))
        above = near[tied] - last[tied]
        nearer, equal = (above > rounding[tied]).double(), (above.abs() <= rounding[tied]).double()
        share = (k - nearer.sum(1)) / equal.sum(1)
        occurrences += nearer.sum(0) + share @ equal
    return occurrences.round(decimals=9)  # a sum of thirds may be whole


@dataclass(frozen=True, slots=True)
class ModalityGap:
    """Do the two sides of a pair lie in two different places?

    Args:
        distance: between the means of the two sides, at unit length: 0 = one place, 2 = two opposite points. Means of
            N independent directions lie sqrt(2 / N) apart by chance.
        share: of the mean squared distance between a query and any key, how much is due to the gap: 0 = none, 1 = each
            side is one point; NaN where both are the same point.
        separated: share of all embeddings that lie nearer to the mean of their own side: 0.5 = as by chance, 1 = a
            plane parts queries from keys.
    """

    distance: float
    share: float
    separated: float


@torch.no_grad()
def modality_gap(query: Float[Tensor, "n d"], key: Float[Tensor, "m d"]) -> ModalityGap:
    r"""Do queries and keys, such as images and texts, lie in two different places of the sphere?

    $$ \Delta = \frac1N \sum_i \frac{q_i}{|q_i|} - \frac1M \sum_j \frac{k_j}{|k_j|} $$

    Args:
        query: one side.
        key: the other one; they need not pair up.

    Returns:
        Its size, how much of all distance it makes up, and whether it parts the two sides.

    Raises:
        ShapeError: a side is empty, or their widths differ.

    Example:
        >>> gap = modality_gap(torch.eye(2), -torch.eye(2))
        >>> round(gap.distance, 4), round(gap.share, 4), gap.separated
        (1.4142, 0.6667, 1.0)

    Source:
        Liang et al. 2022, "Mind the Gap", arXiv:2203.02053; `share` and `separated` are ours.
    """
    sides = [unit(side) for side in _checked({"query": query, "key": key})]
    one, other = (side.mean(0) for side in sides)
    gap = one - other
    square = gap.square().sum()
    # a query and any key: the gap, and how far each side spreads around its mean
    every = square + sum((side - side.mean(0)).square().sum(1).mean() for side in sides)
    middle = (one + other) / 2
    beyond = torch.cat([((sides[0] - middle) * gap).sum(1), ((middle - sides[1]) * gap).sum(1)])
    separated = (beyond > 0).double().mean() + (beyond == 0).double().mean() / 2 + 0 * square  # NaN stays NaN
    return ModalityGap(square.sqrt().item(), (square / every).item(), separated.item())


def _checked(named: Mapping[str, Tensor], *, alone: bool = True) -> list[Tensor]:
    """The tensors in the precision that is computed in, if they are embeddings of one width."""
    check_embeddings(named)
    check_not_empty(alone=alone, **named)
    check_same_features(named)
    return [tensor.to(compute_dtype(tensor.dtype)) for tensor in named.values()]
