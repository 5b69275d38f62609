"""A slow copy of an encoder that makes keys, and a queue in which they wait: what MoCo and its kin are made of."""

from jaxtyping import Float
from torch import Tensor, nn

from info_nce import InfoNCE, KeyQueue, MoCo, MomentumEncoder
from info_nce.engines import Gathered, Tiled


class Followed(nn.Module):
    """Queries of an encoder, and keys of a slow copy that follows it.

    Args:
        encoder: items to h.
        projector: h to what is compared.
        momentum: of the copy; see `MomentumEncoder`.

    Source:
        He et al. 2020, arXiv:1911.05722, algorithm 1.
    """

    def __init__(self, encoder: nn.Module, projector: nn.Module, momentum: float) -> None:
        super().__init__()
        self.fast = nn.Sequential(encoder, projector)
        self.slow = MomentumEncoder(self.fast, momentum)

    @property
    def encoder(self) -> nn.Module:
        """What is kept for use after training."""
        return self.fast[0]

    @property
    def projector(self) -> nn.Module:
        """What only the loss sees."""
        return self.fast[1]

    def forward(self, first: Tensor, second: Tensor) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]:
        """Queries of the first views, keys of the second ones."""
        key: Tensor = self.slow(second)
        return self.fast(first), key

    def after_step(self, *_: Tensor) -> None:
        """Let the copy follow."""
        # Its weights lag behind, so the statistics of its batch norm are its own, as in the authors' code: those of the
        # encoder would not fit them, and held-out losses would tell of that and nothing else.
        own = {name: buffer.clone() for name, buffer in self.slow.module.named_buffers()}
        self.slow.update(self.fast)
        for name, buffer in self.slow.module.named_buffers():
            buffer.copy_(own[name])


class Queued(nn.Module):
    """MoCo's loss with its queue, which takes up a batch's keys after the step.

    The very first batch, which finds it empty, is told apart from the other keys of its own.

    Args:
        features: of a key.
        size: how many keys wait.
        temperature: smaller compares harder.
    """

    def __init__(self, features: int, size: int, temperature: float) -> None:
        super().__init__()
        engine = Gathered(Tiled())
        self.queue = KeyQueue(features, size, across_ranks=True)
        self.against_queue = MoCo(temperature, engine=engine)
        self.within_batch = InfoNCE(temperature, engine=engine)

    @property
    def temperature(self) -> float | Tensor:
        """Smaller compares harder."""
        return self.against_queue.temperature

    def forward(self, query: Float[Tensor, "n d"], key: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """Compare queries with their keys and the queue."""
        loss: Tensor = (
            self.against_queue(query, key, self.queue) if self.queue.filled else self.within_batch(query, key.detach())
        )
        return loss

    def after_step(self, _query: Tensor, key: Float[Tensor, "n d"]) -> None:
        """Take up the keys."""
        self.queue.enqueue(key)
