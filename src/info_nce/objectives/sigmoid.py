"""Every cell on its own: is this pair a match?"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from info_nce.objectives.base import Objective
from info_nce.statistics import Softplus, Statistic

__all__ = ["Sigmoid"]


@dataclass(frozen=True)
class Sigmoid(Objective):
    r"""A binary classifier for each cell, no softmax.

    $$ \ell_i = -\sum_j \log \sigma(z_{ij}\, s_{ij}), \quad z_{ij} = +1 \text{ for a positive, } -1 \text{ else} $$

    Source: Zhai et al. 2023, arXiv:2303.15343, eq. 1 (SigLIP); Gutmann and Hyvarinen 2010, eq. 3 (NCE), where the
    logits are log-density ratios.
    """

    def statistics(self) -> dict[str, Statistic]:
        """What the matches and the others cost."""
        return {"matches": Softplus("positives", sign=-1), "others": Softplus("negatives", sign=1)}

    def per_query(self, total: Mapping[str, Tensor]) -> Tensor:
        """Their sum."""
        return total["matches"] + total["others"]
