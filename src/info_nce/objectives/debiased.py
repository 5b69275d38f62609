"""Some of the negatives are positives in disguise: subtract their share, weight the hard ones up."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor

from info_nce.checks import check_number
from info_nce.objectives.base import Objective
from info_nce.statistics import Count, LogSumExp, Statistic, Sum

__all__ = ["Debiased"]


@dataclass(frozen=True)
class Debiased(Objective):
    r"""Estimates the sum over true negatives from the biased sample, with the hard ones weighted up.

    $$ \ell_i = -\log \frac{e^{s_+}}{e^{s_+} + N g}, \quad
       g = \max\Big\{ \frac{1}{1-\tau^+} \Big( \sum_j w_j e^{s_j} - \tau^+ e^{s_+} \Big),\ e^{s_{\min}} \Big\}, \quad
       w_j = \frac{e^{\beta s_j}}{\sum_k e^{\beta s_k}} $$

    N counts the query's negatives; `floor` = s_min, the smallest logit there can be, is given per query. beta = 0
    weights all alike. Where the floor holds, the negatives have no gradient.

    Source: Chuang et al. 2020, arXiv:2007.00224, eq. 8 (debiased, one positive); Robinson et al. 2021,
    arXiv:2010.04592, section 4 (hard negatives). Differs from their code: everything in log space.
    """

    positive_prior: float = 0.1
    beta: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no probability, and what would weight the easy negatives up."""
        check_number("positive_prior", self.positive_prior, low=0, high=1, high_open=True, hint="1 / number of classes")
        check_number("beta", self.beta, low=0, high_open=True, hint="1 in the paper's code; 0 weights all alike")

    def statistics(self) -> dict[str, Statistic]:
        """The positive, and the importance-weighted sum of the negatives as two sums."""
        needed: dict[str, Statistic] = {
            "positive": Sum("positives"),
            "negatives": Count("negatives"),
            "weighted": LogSumExp("negatives", power=1 + self.beta),
        }
        return needed | ({"weights": LogSumExp("negatives", power=self.beta)} if self.beta else {})

    def per_query(self, total: Mapping[str, Tensor]) -> Tensor:
        """The softmax of the positive against N times the corrected mean."""
        positive, count = total["positive"], total["negatives"]
        some = count > 0
        log_count = torch.log(count.clamp(min=1))
        weighted = torch.where(some, total["weighted"], 0)
        mean = weighted - (torch.where(some, total["weights"], 0) if self.beta else log_count)
        estimate = mean
        if self.positive_prior:
            estimate = _log_difference(mean, positive + math.log(self.positive_prior)) - math.log1p(
                -self.positive_prior
            )
        estimate = torch.maximum(estimate, total["floor"].expand_as(estimate))
        rivals = log_count + estimate
        return torch.where(some, -F.logsigmoid(positive - rivals), 0)


def _log_difference(large: Tensor, small: Tensor) -> Tensor:
    """log(e^large - e^small); -inf, without a gradient, where that is not positive."""
    gap = small - large
    positive = ~(gap >= 0)  # so that NaN stays on the side that shows it
    return torch.where(positive, large + torch.log(-torch.expm1(torch.where(positive, gap, -1.0))), float("-inf"))
