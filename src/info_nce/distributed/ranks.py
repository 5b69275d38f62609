"""Which processes compute one loss together, what they must agree on, and what they tell each other."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import torch
import torch.distributed as dist
from torch import Tensor

from info_nce.checks import ArgumentError, DTypeError, RanksDisagreeError, fail

__all__ = ["ALONE", "Group", "Passing", "Ranks", "ranks_of"]

if TYPE_CHECKING:
    Group: TypeAlias = dist.ProcessGroup
else:
    Group = getattr(dist, "ProcessGroup", object)  # not every torch has it

_WHAT: ContextVar[str] = ContextVar("what is computed", default="")
_NUMBERS = 16
"""So many sizes fit in what ranks tell each other before they compute."""


@dataclass(frozen=True)
class Ranks:
    """The members of a process group, this one among them; by default this process alone.

    Law: what is done in common begins with an agreement. Whoever has found an error sends it there instead of leaving
    the others to wait, so that all of them raise it; and nothing that follows an agreement can fail on one rank only.

    Args:
        rank: of this process within the group.
        size: how many processes there are.
        group: as torch knows it; None is the default group.
    """

    rank: int = 0
    size: int = 1
    group: "Group | None" = None

    def agree(self, text: str, numbers: Sequence[int] = (), error: Exception | None = None) -> list[list[int]]:
        """Say what is about to be computed, and hear the numbers of all ranks: one small collective.

        Args:
            text: the same on every rank.
            numbers: of this rank, at most 16.
            error: what went wrong here already.

        Raises:
            RanksDisagreeError: the texts differ, or another rank has sent an error. The same on every rank.
        """
        if self.size == 1:
            return [list(numbers)]
        if len(numbers) > _NUMBERS:
            raise NotImplementedError  # asked by engines, which have one for each matrix
        what = _WHAT.get()
        message = f"{type(error).__name__}: {error}" if error else f"{what}: {text}" if what else text
        said = message.encode()
        digest = int.from_bytes(hashlib.blake2b(said, digest_size=7).digest(), "big")
        head = [int(error is not None), digest, len(said), *numbers, *[0] * (_NUMBERS - len(numbers))]
        heads: list[list[int]] = torch.cat(
            self.gathered(torch.tensor([head], device=self.device()), [1] * self.size)
        ).tolist()
        failed = [rank for rank, (wrong, *_) in enumerate(heads) if wrong]
        alike = len({digest for _, digest, *_ in heads}) == 1
        if failed or not alike:
            texts = self._texts(said, [length for _, _, length, *_ in heads])
            if not (failed and alike):  # an error that all ranks have is no disagreement
                _disagree(texts, failed)
        return [numbers for _, _, _, *numbers in heads]

    def _texts(self, said: bytes, lengths: Sequence[int]) -> list[str]:
        """What every rank has said."""
        mine = torch.tensor(list(said), dtype=torch.uint8, device=self.device())
        return [bytes(text.tolist()).decode() for text in self.gathered(mine, lengths)]

    @contextmanager
    def together(self, what: str = "") -> Iterator[None]:
        """An error of an argument in here is told to the other ranks, which wait for this one.

        Args:
            what: is computed in here: must be the same on every rank, as whatever is agreed on must.
        """
        token = _WHAT.set(what)
        try:
            yield
        except RanksDisagreeError:
            raise  # everybody knows
        except (ArgumentError, DTypeError, TypeError) as error:
            self.agree("", error=error)
            raise
        finally:
            _WHAT.reset(token)

    def total(self, number: int, of: str) -> int:
        """The sum of a number over all ranks."""
        return sum(numbers[0] for numbers in self.agree(f"how many {of} there are", [number]))

    def mean(self, vectors: Tensor) -> Tensor:
        """The mean of the vectors (n, d) of all ranks, (d), without gradient."""
        sums = torch.cat([vectors.sum(0), vectors.new_tensor([float(len(vectors))])])
        every = self.shared(sums[None], "vectors to be averaged").sum(0)
        return every[:-1] / every[-1]

    def same(self, values: Tensor, of: str) -> None:
        """Refuse values that are not the same on every rank; their order does not matter."""
        if self.size > 1:
            whole = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[values.element_size()]
            sums = values.detach().contiguous().view(whole).sum(0, dtype=torch.int64).tolist()
            digest = hashlib.blake2b(str(sums).encode(), digest_size=7).hexdigest()
            self.agree(f"{of}: {tuple(values.shape)} of {values.dtype}, with check sum {digest}")

    def shared(self, values: Tensor, of: str) -> Tensor:
        """The values (n, ...) of all ranks, one after the other, without gradient."""
        if self.size == 1:
            return values.detach()
        kind = f"{of}: {tuple(values.shape[1:])} of {values.dtype} on {values.device.type}"
        sizes = [numbers[0] for numbers in self.agree(kind, [len(values)])]
        return torch.cat(self.gathered(values.detach(), sizes))

    # What follows an agreement.

    def gathered(self, values: Tensor, sizes: Sequence[int]) -> list[Tensor]:
        """The values (n, ...) of each rank, of which there are so many."""
        most = max(sizes)
        mine = _padded(values, most)
        every = mine.new_empty(self.size * most, *mine.shape[1:])
        # the older name warns in newer versions
        collect = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
        collect(every, mine, group=self.group)
        return [every[i * most : i * most + size] for i, size in enumerate(sizes)]

    def scattered(self, parts: Sequence[Tensor]) -> Tensor:
        """Of one tensor for each rank, the sum over all ranks of those for this one."""
        most = max(len(part) for part in parts)
        given = torch.cat([_padded(part, most) for part in parts])
        own = given.new_empty(most, *given.shape[1:])
        add = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor
        add(own, given, group=self.group)
        return own[: len(parts[self.rank])]

    def exchanged(self, values: Tensor, give: Sequence[int], take: Sequence[int]) -> Tensor:
        """Hand out the rows (n, ...), so many to each rank, and get from each so many."""
        taken = values.new_empty(sum(take), *values.shape[1:])
        dist.all_to_all_single(taken, values.contiguous(), list(take), list(give), group=self.group)
        return taken

    def summed(self, value: Tensor) -> Tensor:
        """The sum of one number over all ranks: added up in one order everywhere, and so the same to the last bit."""
        return torch.cat(self.gathered(value.detach().reshape(1), [1] * self.size)).sum().reshape(value.shape)

    def passed(self, values: Sequence[Tensor], sizes: Sequence[int]) -> "Passing":
        """Send tensors to the next rank, and begin to receive those of the one before, with so many rows each."""
        taken = [value.new_empty(size, *value.shape[1:]) for value, size in zip(values, sizes, strict=True)]
        given = [value.contiguous() for value in values]
        after, before = ((self.rank + step) % self.size for step in (1, -1))
        # all in one call, for NCCL matches messages by their order and knows no tags
        calls = [dist.P2POp(dist.isend, value, self._peer(after), self.group) for value in given]
        calls += [dist.P2POp(dist.irecv, value, self._peer(before), self.group) for value in taken]
        return Passing(taken, given, dist.batch_isend_irecv(calls) if calls else [])

    def _peer(self, rank: int) -> int:
        return rank if self.group is None else dist.get_global_rank(self.group, rank)

    def device(self) -> torch.device:
        """Where small numbers travel: on the CPU if the group can, for nobody has to wait for a GPU then."""
        kinds = [part.partition(":")[0] for part in str(dist.get_backend_config(self.group)).split(",")]
        if "cpu" in kinds:
            return torch.device("cpu")
        return torch.device(kinds[0], torch.get_device_module(kinds[0]).current_device())


ALONE = Ranks()
"""This process, whatever process group is up."""


@dataclass(frozen=True)
class Passing:
    """Tensors on their way around the ring."""

    taken: list[Tensor]
    given: list[Tensor]
    """Kept alive until they are sent."""
    works: "list[dist.Work]"

    def wait(self) -> list[Tensor]:
        """What has arrived."""
        for work in self.works:
            work.wait()
        return self.taken


def ranks_of(group: "Group | None") -> Ranks:
    """The members of this process group, or of the default one; without any, this process alone."""
    if not (dist.is_available() and dist.is_initialized()):
        return ALONE
    rank = dist.get_rank(group)
    if rank < 0:
        fail(
            ArgumentError,
            "This process is no member of the process group.",
            got=f"process_group={group!r} on global rank {dist.get_rank()}",
            expected="a group that this rank belongs to",
            hint="each rank passes the group that it is in: groups, mine = dist.new_subgroups(...)",
        )
    return Ranks(rank, dist.get_world_size(group), group)


def _padded(values: Tensor, rows: int) -> Tensor:
    values = values.contiguous()
    missing = rows - len(values)
    return torch.cat([values, values.new_zeros(missing, *values.shape[1:])]) if missing else values


def _disagree(texts: Sequence[str], failed: Sequence[int]) -> None:
    if failed:
        first = texts[failed[0]]
        named = ", ".join(str(rank) for rank in failed if texts[rank] == first)
        raise RanksDisagreeError(f"On rank {named} of {len(texts)}, {first}")
    same: dict[str, list[int]] = {}
    for rank, text in enumerate(texts):
        same.setdefault(text, []).append(rank)
    got = "\n            ".join(f"rank {', '.join(map(str, ranks))}: {text}" for text, ranks in same.items())
    fail(
        RanksDisagreeError,
        "The ranks do not compute the same loss.",
        got=got,
        expected="the same on every rank, but for the number of rows",
        hint="the same model, dtype and settings on every rank; embeddings that need a gradient on one need it on all",
    )
