"""Ranks that each pass their own rows get the value and the gradients of one process with all rows."""

from collections.abc import Sequence

import pytest

from info_nce.engines import Engine, Gathered, Ring, Tiled, TwoSided
from tests import needs
from tests.distributed.spawn import run
from tests.distributed.work import Findings, added_up, dealt_at_random, every_case, in_halves, with_ddp, with_fsdp

ENGINES: list[Engine] = [Gathered(), TwoSided(), Ring()]
IN_TILES: list[Engine] = [Gathered(Tiled(2, 2)), TwoSided(Tiled(2, 3)), Ring(Tiled(3, 2))]


def assert_equal(of_ranks: list[Findings], tolerance: float = 1e-12) -> None:
    """Value and gradients are those of one process, and the value is the same to the last bit on every rank."""
    wrong = []
    for name in of_ranks[0]:
        found = [of[name] for of in of_ranks]
        same = len({value for value, _, _ in found}) == 1
        if not (same and all(error <= tolerance for _, *errors in found for error in errors)):
            wrong.append(f"{name}: {found}")
    assert not wrong


@pytest.mark.parametrize("sizes", [[5], [5, 3], [1, 1], [4, 1, 3], [4, 0, 3], [6, 2, 3, 1]], ids=str)
def test_every_face_equals_one_process(sizes: Sequence[int]) -> None:
    assert_equal(run(len(sizes), every_case, ENGINES, sizes))


@pytest.mark.parametrize("sizes", [[5, 3], [0, 4]], ids=str)
def test_every_face_equals_one_process_in_tiles(sizes: Sequence[int]) -> None:
    assert_equal(run(len(sizes), every_case, IN_TILES, sizes))


def test_however_the_rows_are_dealt() -> None:
    of_ranks = run(4, dealt_at_random, ENGINES, 8)
    assert len(of_ranks[0]) == 8 * 3 * 9
    assert_equal(of_ranks)


@pytest.mark.parametrize("sizes", [[5, 3], [4, 0, 3]], ids=str)
def test_gradients_that_are_added_up(sizes: Sequence[int]) -> None:
    assert_equal(run(len(sizes), added_up, [kind(reducer="sum") for kind in (Gathered, TwoSided, Ring)], sizes))


@pytest.mark.parametrize("sizes", [[5, 3], [4, 0, 3]], ids=str)
def test_under_ddp(sizes: Sequence[int]) -> None:
    assert_equal(run(len(sizes), with_ddp, ENGINES, sizes))


@needs.shards
@pytest.mark.parametrize(("sizes", "mesh"), [([5, 3], [2]), ([4, 0, 3], [3]), ([6, 2, 3, 1], [2, 2])], ids=str)
def test_under_fsdp(sizes: Sequence[int], mesh: Sequence[int]) -> None:
    assert_equal(run(len(sizes), with_fsdp, ENGINES, sizes, mesh))


def test_in_a_part_of_the_world() -> None:
    of_ranks = run(4, in_halves, (Gathered, TwoSided, Ring), [5, 3])
    assert_equal(of_ranks[::2])
    assert_equal(of_ranks[1::2])
