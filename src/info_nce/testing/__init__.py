"""Is a loss, an objective or an engine of yours right? Checks that name what is not."""

from info_nce.testing.engine import check_engine
from info_nce.testing.loss import check_loss
from info_nce.testing.objective import check_objective

__all__ = ["check_engine", "check_loss", "check_objective"]
