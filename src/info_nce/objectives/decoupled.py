"""DCL: the positive does not compete with itself."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from info_nce.objectives.base import Objective
from info_nce.statistics import Count, LogSumExp, Statistic, Sum

__all__ = ["Decoupled"]


@dataclass(frozen=True)
class Decoupled(Objective):
    r"""The positive is left out of the denominator; may be negative.

    $$ \ell_i = \log \sum_{n \in N(i)} e^{s_{in}} - w_i\, s_{i,+} $$

    A query whose negatives are all left out pays nothing. `weight` is given per query for DCLW, 1 otherwise.

    Source: Yeh et al. 2022, arXiv:2110.06848, eq. 6 (DCL) and eq. 7 (weighted).
    """

    def statistics(self) -> dict[str, Statistic]:
        """The positives and their rivals."""
        return {"positive": Sum("positives"), "positives": Count("positives"), "rivals": LogSumExp("negatives")}

    def per_query(self, total: Mapping[str, Tensor]) -> Tensor:
        """Push of the rivals minus pull of the positive."""
        pull = total["positive"] / total["positives"].clamp(min=1)
        if "weight" in total:
            pull = total["weight"] * pull
        any_rival = total["rivals"] != float("-inf")
        return torch.where(any_rival, torch.where(any_rival, total["rivals"], 0) - pull, 0)
