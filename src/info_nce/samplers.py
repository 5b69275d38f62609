"""In which order and which company items are trained on: batches as a function of a seed and a step's number alone."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import Sampler

__all__ = ["BatchSampler", "Shuffled"]


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
