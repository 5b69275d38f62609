"""InfoNCE itself: which of the candidates is the positive?"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from info_nce.checks import check_number
from info_nce.objectives.base import Objective
from info_nce.statistics import Count, LogSumExp, Statistic, Sum

__all__ = ["Softmax", "SoftmaxInside"]


@dataclass(frozen=True)
class Softmax(Objective):
    r"""Cross-entropy of the softmax over all candidates; several positives share the target evenly.

    $$ \ell_i = \log \sum_{c} e^{s_{ic}} - \frac{1}{|P(i)|} \sum_{p \in P(i)} s_{ip} $$

    With label smoothing, a share of the target goes to all candidates evenly. A query without a positive pays nothing
    and does not count.

    Source: van den Oord et al. 2018, arXiv:1807.03748, eq. 4; several positives: Khosla et al. 2020,
    arXiv:2004.11362, eq. 2 (outside the log).
    """

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a share of the target that is none."""
        check_number(
            "label_smoothing", self.label_smoothing, low=0, high=1, high_open=True, hint="0.1 is usual, 0 is off"
        )

    def statistics(self) -> dict[str, Statistic]:
        """Everything below the fraction, and the positives."""
        needed: dict[str, Statistic] = {
            "candidates": LogSumExp("candidates"),
            "positive": Sum("positives"),
            "positives": Count("positives"),
        }
        if self.label_smoothing:
            needed |= {"all": Sum("candidates"), "count": Count("candidates")}
        return needed

    def per_query(self, total: Mapping[str, Tensor]) -> Tensor:
        """The log of the sum minus the mean positive logit."""
        target = total["positive"] / total["positives"].clamp(min=1)
        if self.label_smoothing:
            everywhere = total["all"] / total["count"].clamp(min=1)
            # in this order, so that the positive alone is its own target exactly
            target = target + self.label_smoothing * (everywhere - target)
        return torch.where(total["positives"] > 0, total["candidates"] - target, 0)

    def counted(self, total: Mapping[str, Tensor]) -> Tensor:
        """Only a query with a positive has an answer."""
        return total["positives"] > 0


@dataclass(frozen=True)
class SoftmaxInside(Objective):
    r"""SupCon's other form: the positives are averaged inside the log. Never above `Softmax` (Jensen).

    $$ \ell_i = -\log \Big[ \frac{1}{|P(i)|} \sum_{p \in P(i)} \frac{e^{s_{ip}}}{\sum_{c} e^{s_{ic}}} \Big] $$

    Source: Khosla et al. 2020, arXiv:2004.11362, eq. 3.
    """

    def statistics(self) -> dict[str, Statistic]:
        """Two sums of exponentials."""
        return {
            "candidates": LogSumExp("candidates"),
            "positive": LogSumExp("positives"),
            "positives": Count("positives"),
        }

    def per_query(self, total: Mapping[str, Tensor]) -> Tensor:
        """The log of the sum minus the log of the mean positive exponential."""
        has = total["positives"] > 0
        # the inner `where` keeps the -inf of a query without a positive out of the gradient
        mean = torch.where(has, total["positive"], 0) - torch.log(total["positives"].clamp(min=1))
        return torch.where(has, total["candidates"] - mean, 0)

    def counted(self, total: Mapping[str, Tensor]) -> Tensor:
        """Only a query with a positive has an answer."""
        return total["positives"] > 0
