"""The limit: the matrix products that a loss cannot avoid, and nothing else.

Tiles are row chunks of the score matrix, as high as products are fast; every buffer is allocated beforehand.
"""

import time
from collections.abc import Callable

import torch

from benchmarks.problems import Problem, Sweep

__all__ = ["floor_of"]

_CHUNKS = (512, 1024)
_PROBED_ROWS = 4096


def floor_of(problem: Problem, *, backward: bool) -> Callable[[], None]:
    """Prepare the products of a problem, in the height of chunk that is the faster one here."""
    sweeps = problem.kind.sweeps if backward else (("score",),)
    floors = [_Floor(problem, chunk) for chunk in _CHUNKS if chunk <= max(problem.rows, _CHUNKS[0])]
    best = floors[0] if len(floors) == 1 else min(floors, key=lambda floor: floor.probe(sweeps))
    return lambda: best.run(sweeps)


class _Floor:
    def __init__(self, problem: Problem, chunk: int) -> None:
        rows, width = problem.rows, problem.width
        self.chunk = min(chunk, rows)
        self.symmetric = problem.kind.symmetric
        self.query = torch.randn(rows, width)
        self.key = self.query if self.symmetric else torch.randn(rows, width)
        # filled, as the first use of a new page costs time that is no product's
        self.tile = torch.zeros(self.chunk * rows)
        self.to_query, self.to_key = torch.zeros(self.chunk, width), torch.zeros(rows, width)

    def probe(self, sweeps: tuple[Sweep, ...]) -> float:
        self.run(sweeps, self.chunk)
        start = time.perf_counter()
        self.run(sweeps, _PROBED_ROWS)
        return time.perf_counter() - start

    def run(self, sweeps: tuple[Sweep, ...], most: int | None = None) -> None:
        rows = len(self.query) if most is None else min(most, len(self.query))
        for sweep in sweeps:
            for top in range(0, rows, self.chunk):
                self._chunk(sweep, top)

    def _chunk(self, sweep: Sweep, top: int) -> None:
        query = self.query[top : top + self.chunk]
        # of a symmetric matrix only the tiles on and above the diagonal
        key = self.key[top:] if self.symmetric else self.key
        tile = self.tile[: len(query) * len(key)].view(len(query), len(key))
        torch.mm(query, key.T, out=tile)
        if "to_query" in sweep:
            torch.mm(tile, key, out=self.to_query[: len(query)])
        if "to_key" in sweep:
            # the diagonal tile holds both of its directions already
            new = tile[:, len(query) :] if self.symmetric else tile
            if new.shape[1]:
                torch.mm(new.T, query, out=self.to_key[: new.shape[1]])
