"""What the totals of a batch's queries say of its loss."""

# N lines: queries, and of a symmetric loss the keys that look for their queries, too

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from info_nce.checks import check_whole
from info_nce.distributed import Group, ranks_of

__all__ = ["SATURATED", "BatchDiagnostics", "Rows"]

SATURATED = 0.99
"""A positive that has more of the candidates' probability than this gives next to no gradient."""


@dataclass(frozen=True, eq=False)
class Rows:
    """What is known of each query (n); of a symmetric loss, then of each key that looks for its query (2 n in all).

    NaN where a value means nothing: of positives, where a query has none; of negatives, where all are left out.

    Args:
        loss: what the query pays, in nats.
        counted: whether it counts in the mean.
        candidates: how many there are: its positives and its negatives, those that are left out not among them.
        positives: how many of them.
        rank: of its best positive among its negatives: 1 = found; a negative that is equal up to rounding is before it.
        positive_logit: the mean over its positives.
        negative_logit: the mean over its negatives.
        negative_logit_spread: their standard deviation.
        positive_similarity, negative_similarity, negative_similarity_spread: the same, divided by 1 / temperature; NaN
            where candidates are shifted against each other (`log_q`).
        surprise: of a softmax over the candidates, minus the log of the share that its positives have, in nats: what
            InfoNCE would charge for one positive, whatever the loss is. log(candidates) = guessing.
        push: the share of the softmax's probability that its negatives have. That is how strongly it is pushed away
            from them, and pulled towards its positive: the softmax's gradient by the logits, added up over either. 0 =
            nothing left to learn, (candidates - 1) / candidates = all are alike.
        hardest_share: of that push, the share of one negative, the nearest: 1 = of it alone.
        effective_negatives: between how many negatives the push is shared: the exponential of the entropy of the
            softmax over them. 1 = one negative has all, their number = all have the same.
        ties: how many negatives are as similar as its best positive, up to rounding: most likely the same item again.
    """

    loss: Float[Tensor, " n"]
    counted: Bool[Tensor, " n"]
    candidates: Float[Tensor, " n"]
    positives: Float[Tensor, " n"]
    rank: Float[Tensor, " n"]
    positive_logit: Float[Tensor, " n"]
    negative_logit: Float[Tensor, " n"]
    negative_logit_spread: Float[Tensor, " n"]
    positive_similarity: Float[Tensor, " n"]
    negative_similarity: Float[Tensor, " n"]
    negative_similarity_spread: Float[Tensor, " n"]
    surprise: Float[Tensor, " n"]
    push: Float[Tensor, " n"]
    hardest_share: Float[Tensor, " n"]
    effective_negatives: Float[Tensor, " n"]
    ties: Float[Tensor, " n"]


@dataclass(frozen=True, eq=False)
class BatchDiagnostics:
    """How does the loss of a batch come about? Means over its queries, or over all pairs of them with a negative.

    Across ranks: of this rank's queries, among the candidates of all ranks; `across_ranks` is of all queries.

    Args:
        queries: how many looked for their positive; of a symmetric loss, the keys among them.
        without_positive: how many of them have none, and so nothing to look for.
        loss: the mean, in nats. 0 = always right and certain; `log_candidates` = guessing.
        log_candidates: the mean of the logarithm of how many candidates a query has.
        top1: how many find their positive before all negatives. 0 to 1; guessing is 1 / candidates.
        mean_rank, median_rank: of the best positive, see `Rows`. 1 = always found; guessing is half the candidates.
        positive_similarity, positive_similarity_spread: mean and standard deviation over queries. Of cosines, 1 =
            together, 0 = unrelated.
        negative_similarity, negative_similarity_spread: over all pairs of a query and a negative. Of cosines, 0 is
            typical; 1 with a spread of 0 = collapsed.
        positive_logit, positive_logit_spread, negative_logit, negative_logit_spread: the same in nats.
        surprise: the mean, see `Rows`: of any loss, what may be compared with `log_candidates`.
        push: the mean, see `Rows`. 0 = nothing left to learn, nearly 1 = nothing learned.
        hardest_share: the mean over queries of the share of the push that the nearest negative has.
        effective_negatives: the mean over queries of the number of negatives that share the push.
        saturated: how many queries give their positive more than 99 % of the probability; they learn next to nothing.
        reaching: how many negatives, on average, are at least as similar as the positive: hard negatives while training
            begins, likely false negatives later.
        ties: how many of those are equal to it up to rounding: most likely the same item again.
        rows: all that for each query.
    """

    queries: int
    without_positive: int
    loss: float
    log_candidates: float
    top1: float
    mean_rank: float
    median_rank: float
    positive_similarity: float
    positive_similarity_spread: float
    negative_similarity: float
    negative_similarity_spread: float
    positive_logit: float
    positive_logit_spread: float
    negative_logit: float
    negative_logit_spread: float
    surprise: float
    push: float
    hardest_share: float
    effective_negatives: float
    saturated: float
    reaching: float
    ties: float
    rows: Rows

    def top(self, count: int) -> float:
        """How many queries have their positive among the first `count`? 0 to 1; NaN where no query has one.

        Raises:
            ArgumentError: count is no whole number of at least 1.
        """
        check_whole("count", count, hint="5")
        rank = self.rows.rank[self.rows.positives > 0]
        return _share(rank, rank <= count)

    @property
    def chance(self) -> float:
        """What guessing costs in `surprise`: log(candidates), and less where a query has several positives to find."""
        has = self.rows.positives > 0
        return _mean((self.rows.candidates / self.rows.positives)[has].log())

    def across_ranks(self, process_group: "Group | None" = None) -> "BatchDiagnostics":
        """How does the loss of all ranks come about? Every rank has to call it, and all get the same.

        Args:
            process_group: whose ranks; the default group, or this process alone where there is none.

        Returns:
            Means over the queries of all ranks, whose rows follow each other rank by rank.
        """
        ranks, names = ranks_of(process_group), [field.name for field in fields(Rows)]
        if ranks.size == 1:
            return self
        mine = torch.stack([getattr(self.rows, name).double() for name in names], 1)
        every = ranks.shared(mine.to(ranks.device()), "rows of a watched loss").cpu()
        rows = dict(zip(names, every.unbind(1), strict=True))
        return reduced(Rows(**rows | {"counted": rows["counted"] > 0}))

    def numbers(self) -> dict[str, float]:
        """All of it but the rows, to be logged."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "rows"}

    def __str__(self) -> str:
        """Every number with its name."""
        return "\n".join(f"{name.replace('_', ' '):<28}{value:.5g}" for name, value in self.numbers().items())


def reduced(rows: Rows) -> BatchDiagnostics:
    """The means over the rows."""
    has, rivals = rows.positives > 0, rows.candidates > rows.positives
    weights = (rows.candidates - rows.positives)[rivals]
    pulled, pushed = (has & side for side in (has, rivals))
    negatives = {
        kind: _pooled(
            getattr(rows, f"negative_{kind}")[rivals], getattr(rows, f"negative_{kind}_spread")[rivals], weights
        )
        for kind in ("similarity", "logit")
    }
    return BatchDiagnostics(
        queries=len(has),
        without_positive=int((~has).sum()),
        loss=_mean(rows.loss[rows.counted]),
        log_candidates=_mean(rows.candidates[has].log()),
        top1=_share(rows.rank[has], rows.rank[has] <= 1),
        mean_rank=_mean(rows.rank[has]),
        median_rank=_median(rows.rank[has]),
        positive_similarity=_mean(rows.positive_similarity[pulled]),
        positive_similarity_spread=_spread(rows.positive_similarity[pulled]),
        negative_similarity=negatives["similarity"][0],
        negative_similarity_spread=negatives["similarity"][1],
        positive_logit=_mean(rows.positive_logit[pulled]),
        positive_logit_spread=_spread(rows.positive_logit[pulled]),
        negative_logit=negatives["logit"][0],
        negative_logit_spread=negatives["logit"][1],
        surprise=_mean(rows.surprise[pulled]),
        push=_mean(rows.push[pulled]),
        hardest_share=_mean(rows.hardest_share[pushed]),
        effective_negatives=_mean(rows.effective_negatives[pushed]),
        saturated=_share(rows.push[has], rows.push[has] < 1 - SATURATED),
        reaching=_mean(rows.rank[has] - 1),
        ties=_mean(rows.ties[has]),
        rows=rows,
    )


def _mean(values: Tensor) -> float:
    return float(values.double().mean())


def _spread(values: Tensor) -> float:
    return float(values.double().std(correction=0)) if len(values) else float("nan")


def _median(values: Tensor) -> float:
    return float(values.double().quantile(0.5)) if len(values) else float("nan")


def _share(values: Tensor, chosen: Tensor) -> float:
    """How many of the values are chosen; of one that is no number, nobody knows."""
    return _mean(chosen.double().masked_fill(values.isnan(), float("nan")))


def _pooled(means: Tensor, spreads: Tensor, weights: Tensor) -> tuple[float, float]:
    """Mean and standard deviation over the cells of all rows, from those of each row and its number of cells."""
    means, spreads, weights = means.double(), spreads.double(), weights.double()
    mean = (weights * means).sum() / weights.sum()
    square = (weights * (spreads.square() + (means - mean).square())).sum() / weights.sum()
    return float(mean), float(square.sqrt())
