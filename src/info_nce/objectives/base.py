"""An objective is a cheap formula of a few statistics of each query's row."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from info_nce.coded import Coded
from info_nce.statistics import Statistic

__all__ = ["Objective"]


@dataclass(frozen=True)
class Objective(Coded, ABC):
    """What a query pays, in nats, given its totals. Knows no engine, no device, no rank."""

    @abstractmethod
    def statistics(self) -> dict[str, Statistic]:
        """Which totals the formula needs."""

    @abstractmethod
    def per_query(self, total: Mapping[str, Tensor]) -> Tensor:
        """The formula: totals (N) to losses (N). `total` also holds what `contrast` was `given` per query."""

    def counted(self, total: Mapping[str, Tensor]) -> Tensor | None:  # noqa: ARG002 - for those that leave some out
        """Which queries count in the mean; None says: all."""
        return None
