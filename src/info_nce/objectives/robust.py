"""RINCE: a loss that a wrong positive cannot dominate."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from info_nce.objectives.base import Objective
from info_nce.statistics import LogSumExp, Statistic

__all__ = ["Robust"]


@dataclass(frozen=True)
class Robust(Objective):
    r"""Between InfoNCE (q to 0, plus log lambda) and a symmetric loss that noisy positives cannot mislead (q = 1).

    $$ \ell_i = -\frac{e^{q s_+}}{q} + \frac{\big(\lambda (e^{s_+} + \sum_j e^{s_j})\big)^q}{q} $$

    Source: Chuang et al. 2022, arXiv:2201.04309, eq. 5. Differs: the power is taken in log space.
    """

    q: float = 0.1
    lam: float = 0.01

    def statistics(self) -> dict[str, Statistic]:
        """The positive and everything."""
        return {"positive": LogSumExp("positives"), "candidates": LogSumExp("candidates")}

    def per_query(self, total: Mapping[str, Tensor]) -> Tensor:
        """Pull of the positive against all candidates, both to the power q."""
        everything, positive = self.q * (math.log(self.lam) + total["candidates"]), self.q * total["positive"]
        # e^a - e^b as one product: as q goes to 0 both go to 1, and where both overflow their difference has a sign
        return torch.exp(positive) * torch.expm1(everything - positive) / self.q
