"""What goes over the wire and what is multiplied is what `benchmarks/ranks_on_paper.py` says."""

# W ranks, n rows of each, d features

from typing import Any

import pytest
import torch
from torch import Tensor
from torch import distributed as dist
from torch.utils._python_dispatch import TorchDispatchMode

import info_nce
from benchmarks.ranks_on_paper import Engine, Face, cost
from info_nce.distributed import Ranks
from info_nce.engines import Gathered, Ring, Tiled, TwoSided
from tests.distributed.spawn import run

N, D, TILE = 64, 16, 4
FACES: tuple[Face, ...] = ("SymmetricInfoNCE", "InfoNCE", "NTXent")
ENGINES: dict[Engine, Any] = {"Gathered": Gathered, "TwoSided": TwoSided, "Ring": Ring}
Counted = tuple[int, float, int, float]


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has no types for it
    """How many operations the matrix products take."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch has no types for it
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in ("mm", "addmm", "addmm_"):
            one, other = args[-2:]
            self.count += 2 * one.numel() * other.shape[1]
        return func(*args, **(kwargs or {}))


class Received:
    """How many bytes come from other ranks, if gathers and scatters of sums go around a ring."""

    def __init__(self) -> None:
        self.bytes, self.others = 0, dist.get_world_size() - 1
        gather = "all_gather_single" if hasattr(dist, "all_gather_single") else "all_gather_into_tensor"
        scatter = "reduce_scatter_single" if hasattr(dist, "reduce_scatter_single") else "reduce_scatter_tensor"
        self.watch(gather, lambda _, own, **__: self.others * own.nbytes)
        self.watch(scatter, lambda own, *_, **__: self.others * own.nbytes)
        self.watch("all_to_all_single", lambda taken, *_, **__: taken.nbytes // dist.get_world_size() * self.others)
        self.watch("batch_isend_irecv", lambda calls: sum(c.tensor.nbytes for c in calls if c.op is dist.irecv))

    def watch(self, name: str, bytes_of: Any) -> None:
        call = getattr(dist, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            self.bytes += bytes_of(*args, **kwargs)
            return call(*args, **kwargs)

        setattr(dist, name, watched)


def counted(cases: list[tuple[Face, Engine]]) -> list[Counted]:
    """Bytes and operations, with the value and afterwards."""
    received = Received()
    found = []
    for face, engine in cases:
        query, key = (torch.randn(N, D, requires_grad=True) for _ in range(2))
        loss = getattr(info_nce, face)(engine=ENGINES[engine](Tiled(TILE)))
        with Operations() as forward:
            received.bytes = 0
            value: Tensor = loss(query, key)
            there = received.bytes
        with Operations() as backward:
            received.bytes = 0
            value.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        found.append((there, forward.count, received.bytes, backward.count))
    return found


@pytest.mark.parametrize("world_size", [2, 3])
def test_bytes_and_products_are_those_on_paper(world_size: int) -> None:
    cases: list[tuple[Face, Engine]] = [(face, engine) for face in FACES for engine in ENGINES]
    for of_rank in run(world_size, counted, cases):
        for (face, engine), (there, forward, back, backward) in zip(cases, of_rank, strict=True):
            on_paper = cost(face, engine, world_size, N, D)
            assert (there, back) == (on_paper.forward, on_paper.backward), (face, engine)
            rows = 2 * N if face == "NTXent" else N
            products = (forward + backward) / (2 * rows * rows * world_size * D)
            # tiles on the diagonal of a mirrored matrix are whole, and some sums are thin products
            assert on_paper.products <= products <= on_paper.products + 0.05, (face, engine, products)


def gathered_twice() -> list[Counted]:
    gather = Ranks.gathered
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ranks, "gathered", lambda *args: (gather(*args), gather(*args))[0])
        return counted([("InfoNCE", "Gathered")])


def test_a_gather_too_many_is_noticed() -> None:
    for ((there, *_),) in run(2, gathered_twice):
        assert there != cost("InfoNCE", "Gathered", 2, N, D).forward


def test_another_engines_costs_are_noticed() -> None:
    for face in ("SymmetricInfoNCE", "InfoNCE"):
        assert len({cost(face, engine, 3, N, D) for engine in ENGINES}) == len(ENGINES)
