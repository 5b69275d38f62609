"""Ways to compute the statistics of a score matrix. They agree in every number; they differ in memory and time."""

from info_nce.engines.auto import Auto
from info_nce.engines.base import Engine
from info_nce.engines.dense import Dense
from info_nce.engines.tiled import Tiled

__all__ = ["Auto", "Dense", "Engine", "Tiled"]
