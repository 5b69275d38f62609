"""The keys of past batches, and the slowly moving encoder that made them."""

from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from info_nce.checks import DTypeError, ShapeError, check_ids, check_number, check_whole, fail, shapes
from info_nce.distributed import ALONE, Group, ranks_of

__all__ = ["KeyQueue", "MomentumEncoder"]

NO_ID = torch.iinfo(torch.int64).min
"""Stands for "nobody said"; no tag of a user's equals it."""


class KeyQueue(nn.Module):
    """Which keys of past batches can serve as negatives now?

    First in, first out: a new batch replaces the oldest keys. It starts empty and grows until it is full, so that no
    random vector ever serves as a negative. All of it is in `state_dict`.

    Args:
        features: D, the width of a key.
        size: how many keys it holds; 65,536 in the paper.
        dtype: of the keys in it.
        across_ranks: enqueue the keys of all ranks, so that every rank holds the same queue, as an engine across ranks
            asks of `MoCo`. Every rank then calls `enqueue`, with as many keys as it has, or none.
        process_group: which ranks; None is the default group.

    Example:
        >>> queue = KeyQueue(features=2, size=3)
        >>> queue.enqueue(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        >>> queue.filled, queue.full
        (2, False)

    Source:
        He et al. 2020, "Momentum Contrast", arXiv:1911.05722, section 3.2. Differs from the authors' code: any batch
        size (it wraps over the end), and no random keys at the start.
    """

    keys_: Tensor
    ids_: Tensor
    progress: Tensor

    def __init__(
        self,
        features: int,
        size: int = 65_536,
        *,
        dtype: torch.dtype = torch.float32,
        across_ranks: bool = False,
        process_group: "Group | None" = None,
    ) -> None:
        super().__init__()
        for name, value in (("features", features), ("size", size)):
            check_whole(name, value, hint="KeyQueue(features=128, size=65_536)")
        if not dtype.is_floating_point:
            fail(
                DTypeError,
                "A queue holds floating-point keys.",
                got=f"dtype={dtype}",
                expected="torch.float32, or the dtype of the keys",
                hint="leave dtype out",
            )
        self.register_buffer("keys_", torch.zeros(size, features, dtype=dtype))
        self.register_buffer("ids_", torch.full((size,), NO_ID))
        self.register_buffer("progress", torch.zeros(2, dtype=torch.int64))
        self._place, self._filled = 0, 0
        self.across_ranks, self.process_group = across_ranks, process_group
        self.register_load_state_dict_post_hook(self._restore)  # type: ignore[no-untyped-call]  # torch has no types for it

    @staticmethod
    def _restore(queue: nn.Module, _: Any) -> None:
        # kept as plain integers beside the buffer, so that reading them never waits for a GPU
        if isinstance(queue, KeyQueue):
            queue._place, queue._filled = (int(value) for value in queue.progress)  # noqa: SLF001 - its own

    @property
    def size(self) -> int:
        """How many keys it can hold."""
        return len(self.keys_)

    @property
    def filled(self) -> int:
        """How many keys it holds."""
        return self._filled

    @property
    def full(self) -> bool:
        """Whether the next key replaces an old one."""
        return self._filled == self.size

    def keys(self) -> Float[Tensor, "m d"]:
        """The keys it holds, without gradient; the order has no meaning."""
        return self.keys_[: self._filled]

    def ids(self) -> Int[Tensor, " m"]:
        """The identity of each key; the smallest int64 where none was given."""
        return self.ids_[: self._filled]

    def ages(self) -> Int[Tensor, " m"]:
        """How many keys came after each of those that it holds? 0 for the newest; in the order of `keys()`.

        A loss that trusts old keys less takes it from here: `log_q=-queue.ages() * math.log(0.99999)` multiplies each
        key's part of the sum by 0.99999 to the power of its age (Pan et al. 2021, "VideoMoCo", arXiv:2103.05905).

        Example:
            >>> queue = KeyQueue(features=1, size=2)
            >>> queue.enqueue(torch.ones(3, 1))
            >>> queue.ages().tolist()
            [0, 1]
        """
        return (self._place - 1 - torch.arange(self._filled, device=self.keys_.device)) % self.size

    @torch.no_grad()
    def enqueue(self, keys: Float[Tensor, "n d"], ids: Int[Tensor, " n"] | None = None) -> None:
        """Add a batch of keys; call it after the optimizer's step, or the batch would meet its own keys as negatives.

        Raises:
            ShapeError: keys are not (N, features).
            DTypeError: keys are no floating-point tensor.
        """
        ranks = ranks_of(self.process_group) if self.across_ranks else ALONE
        with ranks.together():
            self._check(keys, ids)
            # in the queue's own dtype, as they will be kept
            kind = f"keys for the queue, {'without' if ids is None else 'with'} ids"
            keys = ranks.shared(keys.to(self.keys_.dtype), kind)
            ids = None if ids is None else ranks.shared(ids.to(self.ids_.dtype), "their ids")
        kept = keys[-self.size :]
        place = torch.arange(self._place + len(keys) - len(kept), self._place + len(keys), device=self.keys_.device)
        self.keys_[place % self.size] = kept.to(self.keys_)
        self.ids_[place % self.size] = NO_ID if ids is None else ids[-self.size :].to(self.ids_)
        self._place = (self._place + len(keys)) % self.size
        self._filled = min(self.size, self._filled + len(keys))
        self.progress.copy_(torch.tensor([self._place, self._filled]))

    def _check(self, keys: object, ids: Tensor | None) -> None:
        if not isinstance(keys, Tensor) or not keys.is_floating_point():
            fail(
                DTypeError,
                "keys must be a floating-point tensor.",
                got=str(keys.dtype) if isinstance(keys, Tensor) else type(keys).__name__,
                expected="the momentum encoder's output",
                hint="queue.enqueue(key)",
            )
        if keys.dim() != 2 or keys.shape[1] != self.keys_.shape[1]:
            fail(
                ShapeError,
                "keys do not fit this queue.",
                got=shapes(keys=keys),
                expected=f"keys (n, {self.keys_.shape[1]})",
                hint="one row per key; KeyQueue(features=...) sets the width",
            )
        if ids is not None:
            check_ids("ids", ids, (len(keys),), keys.device)

    def extra_repr(self) -> str:
        """Settings, and how full it is, for `print`."""
        return f"features={self.keys_.shape[1]}, size={self.size}, filled={self._filled}"


def _follow(momentum: float, slow: Any, fast: Any, count: Any) -> None:
    """Torch's moving average, made anew at each call, since the function that it makes cannot be pickled."""
    get_ema_multi_avg_fn(momentum)(slow, fast, count)  # type: ignore[no-untyped-call]  # torch has no types for it


class MomentumEncoder(AveragedModel):
    """A copy of an encoder that follows it slowly and has no gradient.

    Call it on the batch for the keys, and `update(encoder)` after the optimizer's step.

    Args:
        encoder: the encoder to follow; copied.
        momentum: m in `copy = m * copy + (1 - m) * encoder`; 0.999 in the paper. Buffers, such as batch norm's running
            statistics, are taken over as they are.

    Example:
        >>> encoder = nn.Linear(2, 2)
        >>> slow = MomentumEncoder(encoder, momentum=0.5)
        >>> _ = encoder.weight.data.add_(1)
        >>> slow.update(encoder)
        >>> torch.allclose(slow.module.weight, encoder.weight - 0.5)
        True

    Source:
        He et al. 2020, arXiv:1911.05722, eq. 2.
    """

    def __init__(self, encoder: nn.Module, momentum: float = 0.999) -> None:
        check_number("momentum", momentum, low=0, high=1, hint="0.999; closer to 1 is slower")
        super().__init__(encoder, multi_avg_fn=partial(_follow, momentum))
        self.momentum = momentum
        self.requires_grad_(requires_grad=False)
        # AveragedModel's first update is a plain copy; the copy was made here already
        self.n_averaged.fill_(1)

    @torch.no_grad()
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Encode, without gradient."""
        return self.module(*args, **kwargs)

    def update(self, encoder: nn.Module) -> None:
        """Move a little towards the encoder."""
        self.update_parameters(encoder)

    def extra_repr(self) -> str:
        """Settings for `print`."""
        return f"momentum={self.momentum}"
