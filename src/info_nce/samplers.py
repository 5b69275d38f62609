"""In which order and which company items are trained on: batches as a function of a seed and a step's number alone."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import Sampler

from info_nce.checks import ArgumentError, check_whole, fail

__all__ = ["BalancedByClass", "BatchSampler", "Shuffled", "WithoutDuplicates"]


class BatchSampler(Sampler[list[int]], ABC):
    """Which items go into which batch?

    Law: the batch of a step depends on the arguments and the step's number, and on nothing that happened before. So
    training goes on after a stop where it was, with no more kept than the step.

    It is torch's `Sampler`, too: `DataLoader(dataset, batch_sampler=sampler)` goes through one epoch, and
    `set_epoch` chooses which.

    Args:
        seed: of the order.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._epoch = 0
        self._batches = lru_cache(maxsize=1)(self.epoch)

    @abstractmethod
    def epoch(self, number: int) -> Sequence[Int64[Tensor, " b"]]:
        """The batches of one epoch; every epoch has `len(self)` of them."""

    @abstractmethod
    def __len__(self) -> int:
        """Count the batches of an epoch."""

    def batch(self, step: int) -> Int64[Tensor, " b"]:
        """The items of a step, counted from 0 over all epochs."""
        epoch, place = divmod(step, len(self))
        return self._batches(epoch)[place]

    def set_epoch(self, number: int) -> None:
        """Choose the epoch that iteration goes through."""
        self._epoch = number

    def __iter__(self) -> Iterator[list[int]]:
        """Go through the batches of the epoch."""
        return (batch.tolist() for batch in self._batches(self._epoch))

    def generator(self, epoch: int) -> np.random.Generator:
        """The randomness of an epoch."""
        return np.random.default_rng((self.seed, epoch))


class Shuffled(BatchSampler):
    """Every item once per epoch, in random order; what does not fill a batch is left out.

    Args:
        count: how many items there are.
        batch_size: items per batch; all of them where there are fewer.
        seed: of the order.

    Example:
        >>> sorted(Shuffled(4, 4).batch(0).tolist())
        [0, 1, 2, 3]
    """

    def __init__(self, count: int, batch_size: int, seed: int = 0) -> None:
        super().__init__(seed)
        self.count, self.batch_size = count, min(batch_size, count)

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return self.count // self.batch_size

    def epoch(self, number: int) -> Sequence[Int64[Tensor, " b"]]:
        """Shuffle, and cut."""
        order = torch.from_numpy(self.generator(number).permutation(self.count))
        return torch.split(order[: len(self) * self.batch_size], self.batch_size)


class WithoutDuplicates(BatchSampler):
    """No two items of one group in a batch: nothing that answers a query is taken for its negative.

    Every item once per epoch, in random order and company, as far as possible: a group with more items than there are
    batches cannot be placed whole, and what does not fill a batch is left out. Which items that are changes from epoch
    to epoch, how many they are does not: `left_out` counts them.

    Args:
        groups: of each item, as any integers.
        batch_size: items per batch; one of each group where there are fewer groups.
        seed: of the order.

    Raises:
        ArgumentError: there is no item, or the batch size is no whole number of at least 1.

    Example:
        >>> sampler = WithoutDuplicates([7, 7, 8, 9], batch_size=2)
        >>> len(sampler), sampler.left_out
        (2, 0)
    """

    def __init__(self, groups: Sequence[int] | Int64[Tensor, " n"], batch_size: int, seed: int = 0) -> None:
        super().__init__(seed)
        self._groups = _numbered("groups", groups)
        check_whole("batch_size", batch_size, hint="batch_size=128")
        self._sizes = np.bincount(self._groups)
        self.batch_size = min(batch_size, len(self._sizes))
        self._count = _most_batches(self._sizes, self.batch_size)

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return self._count

    @property
    def left_out(self) -> int:
        """How many items an epoch leaves out."""
        return len(self._groups) - self._count * self.batch_size

    def epoch(self, number: int) -> Sequence[Int64[Tensor, " b"]]:
        """Shuffle, bring groups together, and deal out: neighbours go to different batches."""
        random = self.generator(number)
        order = random.permutation(len(self._groups))
        place = random.permutation(len(self._sizes))[self._groups[order]]
        order = order[np.argsort(place, kind="stable")]
        # the items of a group are now side by side; more than one for each batch are too many
        dealt = order[_place_within(self._groups[order]) < self._count][: self._count * self.batch_size]
        batches = dealt.reshape(self.batch_size, self._count).T[random.permutation(self._count)]
        return list(torch.from_numpy(np.ascontiguousarray(batches)))


class BalancedByClass(BatchSampler):
    """So many classes in a batch, and so many items of each: positives for a loss that finds them by label.

    Every item once per epoch, as far as possible: the items of a class are dealt out by so many, and what is left over
    waits for another epoch. A class with too few items never takes part; `left_out` counts all that is left out.

    Args:
        labels: of each item, as any integers.
        classes_per_batch: how many classes come together.
        items_per_class: how many items of each of them.
        seed: of the order.

    Raises:
        ArgumentError: fewer classes have that many items, or a number is no whole one of at least 1.

    Example:
        >>> sampler = BalancedByClass([0, 0, 1, 1, 2, 2], classes_per_batch=3, items_per_class=2)
        >>> sorted(sampler.batch(0).tolist())
        [0, 1, 2, 3, 4, 5]
    """

    def __init__(
        self, labels: Sequence[int] | Int64[Tensor, " n"], classes_per_batch: int, items_per_class: int, seed: int = 0
    ) -> None:
        super().__init__(seed)
        self._labels = _numbered("labels", labels)
        check_whole("classes_per_batch", classes_per_batch, hint="classes_per_batch=32")
        check_whole("items_per_class", items_per_class, hint="items_per_class=4")
        self.classes_per_batch, self.items_per_class = classes_per_batch, items_per_class
        hands = np.bincount(self._labels) // items_per_class
        if (enough := int((hands > 0).sum())) < classes_per_batch:
            fail(
                ArgumentError,
                "Too few classes have enough items for a batch.",
                got=f"{enough} classes with at least {items_per_class} items",
                expected=f"at least classes_per_batch={classes_per_batch}",
                hint="a smaller classes_per_batch or items_per_class",
            )
        # a hand is so many items of a class; no two hands of a class come into one batch
        self._hands = WithoutDuplicates(np.repeat(np.arange(len(hands)), hands).tolist(), classes_per_batch, seed)

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return len(self._hands)

    @property
    def left_out(self) -> int:
        """How many items an epoch leaves out."""
        return len(self._labels) - len(self) * self.classes_per_batch * self.items_per_class

    def epoch(self, number: int) -> Sequence[Int64[Tensor, " b"]]:
        """Deal out the items of each class anew, then the hands."""
        order = self.generator(number).permutation(len(self._labels))
        order = order[np.argsort(self._labels[order], kind="stable")]
        labels = self._labels[order]
        whole = np.bincount(labels) // self.items_per_class * self.items_per_class
        hands = torch.from_numpy(order[_place_within(labels) < whole[labels]]).reshape(-1, self.items_per_class)
        return [hands[chosen].reshape(-1) for chosen in self._hands.epoch(number)]


def _numbered(name: str, tags: Sequence[int] | Tensor) -> Int64[np.ndarray, " n"]:
    """Tags as 0, 1, 2, ... in the order of their values."""
    found = np.asarray(tags)
    if found.ndim != 1 or not len(found) or found.dtype.kind not in "iu":
        fail(
            ArgumentError,
            f"{name} must hold one integer for each item.",
            got=f"{found.dtype} of shape {found.shape}",
            expected="integers of shape (items,), at least one",
            hint=f"{name}=torch.tensor([...])",
        )
    return np.unique(found, return_inverse=True)[1].reshape(-1)


def _place_within(groups: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Which of its group each item is, counted from 0; groups stand side by side."""
    place = np.arange(len(groups))
    first = np.concatenate([[True], np.diff(groups) != 0])
    return place - np.maximum.accumulate(np.where(first, place, 0))


def _most_batches(sizes: Int64[np.ndarray, " g"], batch_size: int) -> int:
    """The most batches that groups of these sizes fill, with no group twice in one.

    So many batches can be filled if the groups, each with one item for each batch at most, have items enough. That is
    also enough: dealt out in turn, group after group, no batch gets two of a group.
    """
    low, high = 0, int(sizes.sum()) // batch_size
    while low < high:
        middle = (low + high + 1) // 2
        enough = int(np.minimum(sizes, middle).sum()) >= middle * batch_size
        low, high = (middle, high) if enough else (low, middle - 1)
    return low
