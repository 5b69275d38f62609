"""What only a group of processes needs. No other part of the package knows `torch.distributed`."""

from info_nce.distributed.collectives import averaged_over, differentiated_once, exchange, others, visits
from info_nce.distributed.ranks import ALONE, Group, Passing, Ranks, ranks_of

__all__ = [
    "ALONE",
    "Group",
    "Passing",
    "Ranks",
    "averaged_over",
    "differentiated_once",
    "exchange",
    "others",
    "ranks_of",
    "visits",
]
