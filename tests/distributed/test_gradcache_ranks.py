"""A cached step on several ranks equals a plain one in a single process, whatever the rows of each."""

from functools import cache
from typing import Any

import pytest

from tests import needs
from tests.distributed import gradcache_work as work
from tests.distributed.gradcache_work import Case, LocalRows
from tests.distributed.spawn import RankError, run

TOLERANCE = 1e-12

EXACT: dict[str, Case] = {
    "DDP, equal rows": Case((6, 6)),
    "DDP, several buckets": Case((6, 6), work.ddp_buckets),
    "DDP, one chunk on a rank and three on the other": Case((2, 6), towers="one"),
    "DDP, one chunk on a rank and a buffer": Case((2, 6), make=work.Drift, towers="one"),
    "DDP, two towers of one chunk on a rank": Case((2, 6), towers="two"),
    "DDP, no rows on the first rank": Case((0, 5)),
    "DDP, layers without use": Case((3, 6), work.ddp_unused, work.PartlyUsed),
    "DDP inside of a module": Case((3, 5), work.around_ddp, towers="two"),
    "DDP, a buffer that the output depends on": Case((3, 6), make=work.Drift),
    "DDP around the loss, too": Case((3, 5), wrapped_loss=True),
    "FSDP, uneven rows": Case((6, 5), work.fsdp),
    "FSDP, other numbers of chunks": Case((6, 1), work.fsdp, towers="two"),
    "FSDP, another number of chunks in the last tower": Case((6, 2), work.fsdp, towers="hard"),
    "FSDP, one chunk everywhere": Case((2, 2), work.fsdp, towers="one"),
    "FSDP, a buffer that the output depends on": Case((5, 2), work.hsdp, make=work.Drift, steps=1),
    "DDP, three ranks": Case((6, 4, 5), towers="hard"),
    "DDP, no rows in the middle": Case((4, 0, 3), towers="hard"),
    "DDP, no rows in the middle, one tower": Case((4, 0, 3), towers="one"),
    "FSDP, three ranks": Case((4, 4, 3), work.fsdp),
    "FSDP, no rows in the middle": Case((4, 0, 3), work.fsdp, towers="hard"),
    "HSDP, two by two": Case((4, 3, 5, 1), work.hsdp, towers="hard"),
}
OTHERS: dict[str, tuple[int, Any, tuple[Any, ...], dict[str, Any]]] = {
    "gathered without a gradient": (2, work.difference, (Case((3, 6), gather=LocalRows),), {}),
    "buffers of each rank's own": (2, work.without, ("share_buffers", Case((3, 6), make=work.Drift, steps=1)), {}),
    "reductions": (2, work.reductions, (), {"held": True}),
    "reductions at each chunk": (2, work.reductions, (), {"held": False}),
    "reductions of shards": (2, work.reductions_of_shards, (), {}),
    "accumulated": (2, work.accumulated, (), {}),
    "a function around": (2, work.a_function_with_more_than_embeddings, (), {}),
    "unused on a rank": (2, work.unused_on_a_rank, (), {}),
    "evaluated before": (2, work.after_a_look_without_gradient, (), {}),
    "refusals": (2, work.refusals, (), {}),
}
"""The world's size, and what its ranks do."""


SHARDED = {name for name, case in EXACT.items() if case.wrap in (work.fsdp, work.hsdp)}
SHARDED |= {"a function around", "evaluated before", "reductions of shards"}


@cache
def results(world_size: int) -> list[dict[str, Any]] | RankError:
    """All that is asked of one number of ranks, in one start of its processes."""
    tasks: dict[str, Any] = {n: (work.difference, (c,), {}) for n, c in EXACT.items() if len(c.sizes) == world_size}
    tasks |= {name: rest for name, (size, *rest) in OTHERS.items() if size == world_size}
    tasks = {name: rest for name, rest in tasks.items() if name not in SHARDED or needs.SHARDS}
    try:
        return run(world_size, work.perform, tasks)
    except RankError as error:  # kept, so that only the first of the tests waits for it
        return error


def of_all(name: str) -> list[Any]:
    if name in SHARDED and not needs.SHARDS:
        pytest.skip(needs.shards.kwargs["reason"])
    world_size = len(EXACT[name].sizes) if name in EXACT else OTHERS[name][0]
    found = results(world_size)
    if isinstance(found, RankError):
        raise found
    return [of_rank[name] for of_rank in found]


@pytest.mark.parametrize("name", EXACT)
def test_a_cached_step_on_ranks_equals_a_plain_step_in_one_process(name: str) -> None:
    assert max(of_all(name)) <= TOLERANCE


@pytest.mark.parametrize("name", ["gathered without a gradient", "buffers of each rank's own"])
def test_a_wrong_gradient_on_ranks_would_be_noticed(name: str) -> None:
    assert max(of_all(name)) > 1e-3


def test_a_step_reduces_each_bucket_once() -> None:
    for plain, cached in of_all("reductions"):
        assert plain > 1
        assert cached == plain


def test_a_reduction_at_each_chunk_would_be_noticed() -> None:
    for plain, cached in of_all("reductions at each chunk"):
        assert cached == 6 * plain


def test_a_step_within_no_sync_reduces_nothing_and_is_added() -> None:
    assert max(of_all("accumulated")) <= TOLERANCE


def test_a_sharded_module_behind_a_function_is_found_and_its_other_outputs_are_let_be() -> None:
    assert max(of_all("a function around")) <= TOLERANCE


def test_a_tower_that_the_loss_of_one_rank_does_not_use_is_reduced_all_the_same() -> None:
    assert max(of_all("unused on a rank")) <= TOLERANCE


def test_ranks_agree_on_the_number_of_passes_even_after_an_evaluation() -> None:
    assert max(of_all("evaluated before")) <= TOLERANCE


@needs.shards
def test_ranks_that_did_not_agree_would_get_into_each_others_way() -> None:
    case = Case((6, 2), work.fsdp, towers="one", steps=1)
    with pytest.raises(RankError, match=r"rank \d"):
        run(2, work.perform, {"": (work.without, ("agreed", case), {})}, timeout_seconds=3)


def test_a_replica_that_cannot_wait_is_refused() -> None:
    for static, sharded in of_all("refusals"):
        assert "static_graph=True" in static
        assert "FullyShardedDataParallel" in sharded
        assert "fully_shard(model)" in sharded


def test_a_step_of_a_sharded_module_reduces_each_part_once() -> None:
    for plain, cached in of_all("reductions of shards"):
        assert plain == 3
        assert cached == plain


def test_an_error_of_a_rank_is_raised_with_its_traceback() -> None:
    with pytest.raises(RankError, match=r"(?s)rank \d: Traceback.*difference"):
        run(1, work.perform, {"": (work.difference, (None,), {})})
