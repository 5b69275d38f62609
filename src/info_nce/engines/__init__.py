"""Ways to compute the statistics of a score matrix. They agree in every number; they differ in memory and time.

`Auto`, `Dense` and `Tiled` compute what one process has. `Gathered`, `TwoSided` and `Ring` take the batches of several
for one, with any of those three inside.
"""

from info_nce.engines.auto import Auto
from info_nce.engines.base import Engine
from info_nce.engines.dense import Dense
from info_nce.engines.gathered import Gathered
from info_nce.engines.ring import Ring
from info_nce.engines.tiled import Tiled
from info_nce.engines.two_sided import TwoSided

__all__ = ["Auto", "Dense", "Engine", "Gathered", "Ring", "Tiled", "TwoSided"]
