"""The laws of batches: a function of the step, every item once per epoch, and who never meets whom."""

from collections import Counter
from collections.abc import Callable
from itertools import count

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset

from info_nce.checks import ArgumentError
from info_nce.samplers import BalancedByClass, BatchSampler, Shuffled, WithoutDuplicates

tags = st.lists(st.integers(-3, 6), min_size=1, max_size=40)
seeds = st.integers(0, 2**63 - 1)
KINDS: dict[str, Callable[[int], BatchSampler]] = {
    "shuffled": lambda seed: Shuffled(50, 8, seed),
    "without duplicates": lambda seed: WithoutDuplicates([i // 3 for i in range(50)], 8, seed),
    "balanced": lambda seed: BalancedByClass([i % 7 for i in range(50)], 3, 2, seed),
}


def most_batches_by_search(sizes: list[int], batch_size: int) -> int:
    """Fill batches one after the other, always from the largest groups that are left: known to be the best order."""
    for batches in count():
        left, filled = sorted(sizes, reverse=True), True
        for _ in range(batches + 1):
            left = sorted(left, reverse=True)
            filled = filled and len(left) >= batch_size and left[batch_size - 1] > 0
            left = [size - (i < batch_size) for i, size in enumerate(left)]
        if not filled:
            return batches
    raise AssertionError


@given(tags, st.integers(1, 9), seeds, st.integers(0, 3))
def test_no_two_of_a_group_meet_and_nothing_comes_twice(groups: list[int], size: int, seed: int, epoch: int) -> None:
    sampler = WithoutDuplicates(groups, size, seed)
    batches = [batch.tolist() for batch in sampler.epoch(epoch)]
    size = min(size, len(set(groups)))
    assert all(len({groups[i] for i in batch}) == len(batch) == size for batch in batches)
    dealt = Counter(i for batch in batches for i in batch)
    assert set(dealt.values()) <= {1}
    assert len(dealt) + sampler.left_out == len(groups)
    assert len(batches) == len(sampler) == most_batches_by_search([*Counter(groups).values()], size)


@given(tags, st.integers(1, 4), st.integers(1, 4), seeds)
def test_every_batch_has_so_many_of_so_many_classes(labels: list[int], classes: int, items: int, seed: int) -> None:
    if sum(size >= items for size in Counter(labels).values()) < classes:
        with pytest.raises(ArgumentError, match="Too few classes"):
            BalancedByClass(labels, classes, items, seed)
        return
    sampler = BalancedByClass(labels, classes, items, seed)
    batches = [batch.tolist() for batch in sampler.epoch(1)]
    assert all(sorted(Counter(labels[i] for i in batch).values()) == [items] * classes for batch in batches)
    dealt = [i for batch in batches for i in batch]
    assert len(set(dealt)) == len(dealt) == len(labels) - sampler.left_out
    assert len(batches) == len(sampler) >= 1


def test_a_random_order_does_put_two_of_a_group_in_a_batch() -> None:
    groups = [i // 5 for i in range(100)]
    batches = Shuffled(100, 20, 0).epoch(0)
    assert any(len({groups[i] for i in batch.tolist()}) < 20 for batch in batches)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_a_function_of_the_seed_and_the_step(kind: str) -> None:
    one, other = KINDS[kind](3), KINDS[kind](3)
    steps = range(2 * len(one) + 1)
    forward = [one.batch(step).tolist() for step in steps]
    assert [other.batch(step).tolist() for step in reversed(steps)] == forward[::-1]
    assert forward[: len(one)] != forward[len(one) : 2 * len(one)]  # another epoch
    assert KINDS[kind](4).batch(0).tolist() != forward[0]


@pytest.mark.parametrize("kind", KINDS)
def test_torchs_loader_takes_it_epoch_by_epoch(kind: str) -> None:
    sampler = KINDS[kind](0)
    data = TensorDataset(torch.arange(50))
    for epoch in (0, 2):
        sampler.set_epoch(epoch)
        loaded = [batch.tolist() for (batch,) in DataLoader(data, batch_sampler=sampler)]
        assert loaded == [batch.tolist() for batch in sampler.epoch(epoch)]
        assert len(loaded) == len(sampler)


def test_all_items_are_seen_over_the_epochs_where_a_group_is_too_large() -> None:
    sampler = WithoutDuplicates([0] * 30 + [*range(1, 9)], 4)
    assert (len(sampler), sampler.left_out) == (2, 30)
    seen = {int(i) for epoch in range(200) for batch in sampler.epoch(epoch) for i in batch}
    assert seen == set(range(38))


def test_a_million_items_take_a_moment() -> None:
    groups = np.random.default_rng(0).integers(0, 300_000, 1_000_000)
    sampler = WithoutDuplicates(torch.from_numpy(groups), 256)
    batches = torch.stack(list(sampler.epoch(0)))
    assert batches.shape == (3906, 256)
    assert len(np.unique(batches.numpy())) == batches.numel()
    of = torch.from_numpy(groups)[batches[::20]].sort(1).values
    assert not bool((of[:, 1:] == of[:, :-1]).any())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: WithoutDuplicates([], 2), "one integer for each item"),
        (lambda: WithoutDuplicates(torch.rand(3), 2), "one integer for each item"),
        (lambda: WithoutDuplicates([1, 2], 0), "batch_size must be a whole number"),
        (lambda: BalancedByClass([[1, 2]], 1, 1), "labels must hold"),  # type: ignore[list-item]  # what the test is about
        (lambda: BalancedByClass([1, 2], 1, 0), "items_per_class must be a whole number"),
        (lambda: BalancedByClass([1, 2], 0, 1), "classes_per_batch must be a whole number"),
    ],
)
def test_what_cannot_be_dealt_out_is_refused(make: Callable[[], BatchSampler], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        make()
