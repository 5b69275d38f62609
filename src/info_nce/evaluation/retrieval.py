"""How far up does the right answer come when items look for others? Exact, whatever the number of items."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

from info_nce.errors import RunError

# n queries, m candidates, d features

_ROWS, _COLUMNS = 1024, 8192
"""Of a block of the matrix of all similarities, which is never whole in memory: 32 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranks:
    """Where each query found its first right answer.

    Args:
        ranks: from 1, the top. Of candidates with the very same similarity none comes first: such a rank is what a
            draw would give on average, so that a model that says the same of all does not look good.
        right: how many right answers each query has.
        candidates: how many there are to choose from.
    """

    ranks: Float[Tensor, " n"]
    right: Int64[Tensor, " n"]
    candidates: int

    def hits(self, k: int) -> Bool[Tensor, " n"]:
        """Which queries have a right answer among their first k?"""
        return self.ranks <= k

    def recall(self, k: int) -> tuple[float, float]:
        """The share of queries with a right answer among their first k, R@k, and its standard error."""
        share = self.hits(k).double().mean().item()
        return share, math.sqrt(share * (1 - share) / len(self.ranks))

    def median(self) -> tuple[float, float]:
        """The median rank, and its standard error.

        Source:
            The distribution-free interval of a median between order statistics (David and Nagaraja 2003, "Order
            Statistics", section 7.1), one standard deviation of the binomial to each side.
        """
        ordered, n = self.ranks.sort().values, len(self.ranks)
        low, high = math.floor((n - math.sqrt(n)) / 2), math.ceil((n + math.sqrt(n)) / 2) - 1
        error = (ordered[min(high, n - 1)] - ordered[max(low, 0)]).item() / 2
        middle = (ordered[(n - 1) // 2] + ordered[n // 2]).item() / 2
        return middle, error

    def chance(self, k: int) -> float:
        """What R@k guessing would reach: one minus the probability that all of k draws are wrong.

        Example:
            >>> Ranks(torch.ones(1), torch.ones(1, dtype=torch.int64), 300).chance(10)  # doctest: +ELLIPSIS
            0.0333...
        """
        wrong = (self.candidates - self.right).double()
        missed = torch.ones(len(self.right), dtype=torch.float64)
        for drawn in range(min(k, self.candidates)):
            missed *= (wrong - drawn).clamp(min=0) / (self.candidates - drawn)
        return 1 - missed.mean().item()

    def chance_median(self) -> float:
        """What median rank guessing would reach: the median of the expected ranks of the first right answer."""
        return ((self.candidates + 1) / (self.right.double() + 1)).median().item()


def ranks_of(
    queries: Float[Tensor, "n d"],
    candidates: Float[Tensor, "m d"],
    query_ids: Int64[Tensor, " n"] | None = None,
    candidate_ids: Int64[Tensor, " m"] | None = None,
) -> Ranks:
    """At which rank does each query find its first right answer, by cosine similarity?

    Args:
        queries: one row per query; brought to unit length here.
        candidates: what they choose from.
        query_ids: a candidate with the query's id is right; without ids, candidate i is right for query i.
        candidate_ids: of the candidates; those of the queries if left out.

    Raises:
        RunError: an embedding is not finite, or a query has no right answer.

    Example:
        >>> ranks_of(torch.eye(3), torch.eye(3)).ranks.tolist()
        [1.0, 1.0, 1.0]
        >>> ranks_of(torch.ones(3, 2), torch.ones(3, 2)).ranks.tolist()  # all alike: in the middle
        [2.0, 2.0, 2.0]
    """
    if not (queries.isfinite().all() and candidates.isfinite().all()):
        raise RunError(
            "a ranking needs finite embeddings.",
            got="infinity or NaN",
            expected="numbers",
            advice="look at the curves of the training: info-nce report RUN",
        )
    ids = torch.arange(len(queries)) if query_ids is None else query_ids
    others = ids if candidate_ids is None else candidate_ids
    queries, candidates = (functional.normalize(side.float(), dim=1) for side in (queries, candidates))
    rows = [
        _ranks(*block, candidates, others)
        for block in zip(torch.split(queries, _ROWS), torch.split(ids, _ROWS), strict=True)
    ]
    ranks, right = (torch.cat(column) for column in zip(*rows, strict=True))
    if len(right) and not right.all():
        raise RunError(
            "a query has no right answer among the candidates.",
            got=f"{int((right == 0).sum()):,} of {len(right):,} queries without one",
            expected="an id that a candidate has, too",
            advice="evaluate both sides of the same pairs",
        )
    return Ranks(ranks, right, len(candidates))


def _ranks(
    queries: Tensor, ids: Tensor, candidates: Tensor, candidate_ids: Tensor
) -> tuple[Float[Tensor, " r"], Int64[Tensor, " r"]]:
    blocks = list(zip(torch.split(candidates, _COLUMNS), torch.split(candidate_ids, _COLUMNS), strict=True))
    best = torch.full((len(queries),), -math.inf)
    for block, of in blocks:
        similarity = (queries @ block.T).masked_fill(ids[:, None] != of, -math.inf)
        best = torch.maximum(best, similarity.amax(dim=1))
    ahead, tied, equal, right = (torch.zeros(len(queries), dtype=torch.int64) for _ in range(4))
    for block, of in blocks:  # the same products again, to the bit, so that what is equal is found equal
        similarity, is_right = queries @ block.T, ids[:, None] == of
        same = similarity == best[:, None]
        ahead += (similarity > best[:, None]).sum(dim=1)
        tied += (same & ~is_right).sum(dim=1)
        equal += (same & is_right).sum(dim=1)
        right += is_right.sum(dim=1)
    # Of t wrong ones and e right ones in any order, t / (e + 1) wrong ones come before the first right one on average.
    return 1 + ahead + tied / (equal + 1), right


def ranks_among(similarity: Float[Tensor, "n m"], is_right: Bool[Tensor, "n m"]) -> Ranks:
    """The same of similarities that are there already, such as a sum of two systems'; see `ranks_of`.

    Raises:
        RunError: a similarity is not finite, or a query has no right answer.

    Example:
        >>> ranks_among(torch.tensor([[0.5, 0.1, 0.5]]), torch.tensor([[True, False, False]])).ranks.tolist()
        [1.5]
    """
    if not similarity.isfinite().all() or not is_right.any(dim=1).all():
        raise RunError(
            "a ranking needs finite similarities, and a right answer for each query.",
            got="infinity or NaN" if is_right.any(dim=1).all() else "a query without a right answer",
            expected="numbers, and both sides of the same pairs",
            advice="look at the curves of the training: info-nce report RUN",
        )
    best = similarity.masked_fill(~is_right, -math.inf).amax(dim=1, keepdim=True)
    same, right = similarity == best, is_right.sum(dim=1)
    ahead, tied, equal = (similarity > best).sum(dim=1), (same & ~is_right).sum(dim=1), (same & is_right).sum(dim=1)
    return Ranks(1 + ahead + tied / (equal + 1), right, similarity.shape[1])
