"""The processes that compute together: the only place that speaks with `torch.distributed`."""

from info_nce.distributed.collectives import averaged_over, exchange, others, visits
from info_nce.distributed.ranks import ALONE, Passing, Ranks, ranks_of

__all__ = ["ALONE", "Passing", "Ranks", "averaged_over", "exchange", "others", "ranks_of", "visits"]
