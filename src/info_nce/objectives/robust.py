"""RINCE: a loss that a wrong positive cannot dominate."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor

from info_nce.checks import check_number
from info_nce.objectives.base import Objective
from info_nce.statistics import LogSumExp, Statistic

__all__ = ["Robust"]


@dataclass(frozen=True)
class Robust(Objective):
    r"""Between InfoNCE (q to 0, plus log lambda) and a symmetric loss that noisy positives cannot mislead (q = 1).

    $$ \ell_i = -\frac{e^{q s_+}}{q} + \frac{\big(\lambda (e^{s_+} + \sum_j e^{s_j})\big)^q}{q} $$

    The loss grows like e^(q s). Above q s = 88 (for the cosine: at a temperature below q / 88) float32 has no number
    for it, and the query pays plus or minus infinity. From the square root of the largest number on, q s = 44, the
    query's gradient keeps its direction and grows no more, so that it stays finite.

    Source: Chuang et al. 2022, arXiv:2201.04309, eq. 5. Differs: the powers are taken in log space.
    """

    q: float = 0.1
    lam: float = 0.01

    def __post_init__(self) -> None:
        """Refuse powers and weights that the formula has no meaning for."""
        check_number("q", self.q, low=0, high=1, low_open=True, hint="0.1 to 0.5")
        check_number("lam", self.lam, low=0, high=1, low_open=True, hint="0.01")

    def statistics(self) -> dict[str, Statistic]:
        """The positive and its rivals; apart, since with lambda = 1 only what the rivals add is left of the loss."""
        return {"positive": LogSumExp("positives"), "rivals": LogSumExp("negatives")}

    def per_query(self, total: Mapping[str, Tensor]) -> Tensor:
        """What the rivals add to the power q, minus what lambda takes from the positive's."""
        positive, rivals = total["positive"], total["rivals"]
        taken = -math.expm1(self.q * math.log(self.lam)) / self.q
        pull = self.q * positive + (math.log(taken) if taken else float("-inf"))
        push = self.q * (positive + math.log(self.lam)) + _log_growth(rivals - positive, self.q)
        # Both exponents less what would overflow; the gradient of the loss is then that of the exponentials times a
        # constant, which is left out of it.
        limit = math.log(torch.finfo(positive.dtype).max) / 2
        excess = F.relu(torch.maximum(push, pull) - limit).detach()
        loss = torch.exp(push - excess) - torch.exp(pull - excess)
        small = loss.detach()
        full = torch.where(excess > 0, small.sign() * torch.exp(small.abs().log() + excess), small)
        return loss + (full - small)


def _log_growth(gap: Tensor, q: float) -> Tensor:
    """log(((1 + e^gap)^q - 1) / q), to which 1 is no addend where the gap is far below 0."""
    far = gap < math.log(torch.finfo(gap.dtype).eps)  # there log(1 + e^gap) is e^gap
    grown = -F.logsigmoid(-torch.where(far, 0, gap)) * q
    return torch.where(far, gap, grown + torch.log(-torch.expm1(-grown) / q))
