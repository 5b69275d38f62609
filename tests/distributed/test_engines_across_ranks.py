"""Ranks that each pass their own rows get the value and the gradients of one process with all rows."""

import pytest

from info_nce.engines import Dense, Engine, Gathered, Ring, Tiled, TwoSided
from tests.distributed.spawn import run
from tests.distributed.work import Findings, all_cases

SIZES = {
    1: [[5]],
    2: [[5, 3], [1, 1], [3, 2]],
    3: [[4, 1, 3], [4, 0, 3], [2, 2, 2]],
    4: [[6, 2, 3, 1], [0, 3, 0, 2]],
}
ENGINES: list[Engine] = [
    Gathered(),
    Gathered(Tiled(2, 2)),
    TwoSided(),
    TwoSided(Tiled(2, 2)),
    Ring(),
    Ring(Tiled(2, 2)),
]


def assert_equal(of_ranks: list[Findings], tolerance: float = 1e-12) -> None:
    """Value and gradients are those of one process, and the value is the same to the last bit on every rank."""
    for name, (value, *_) in of_ranks[0].items():
        found = [of[name] for of in of_ranks]
        assert {v for v, _, _ in found} == {value}, f"{name}: the values differ between ranks: {found}"
        assert all(e <= tolerance and g <= tolerance for _, e, g in found), f"{name}: {found}"


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("world_size", SIZES)
def test_every_face_equals_one_process(world_size: int, engine: Engine) -> None:
    assert_equal(run(world_size, all_cases, engine, SIZES[world_size]))
