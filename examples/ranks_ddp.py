"""Two towers on many ranks in plain torch: DistributedDataParallel, and one loss over the batches of all ranks.

    torchrun --nproc-per-node 2 examples/ranks_ddp.py       # two processes on this machine
    python examples/ranks_ddp.py                            # one process: the same weights

Three lines are all that many ranks need: the engine `Gathered()`, the loss inside of the wrapped module, so that its
temperature is averaged like every other parameter, and each rank's own rows. The batch does not divide evenly; nothing
is dropped or padded.
"""

import argparse
import os
from datetime import timedelta

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from info_nce import SymmetricInfoNCE
from info_nce.engines import Gathered


class TwoTowers(nn.Module):
    """An encoder for each side, and the loss between them."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 16))
        self.text = nn.Sequential(nn.Linear(24, 64), nn.GELU(), nn.Linear(64, 16))
        self.loss = SymmetricInfoNCE(0.07, learnable=True, engine=Gathered())

    def forward(self, images: Tensor, texts: Tensor) -> Tensor:
        """Return the loss of all ranks' pairs; each rank passes its own."""
        loss: Tensor = self.loss(self.image(images), self.text(texts))
        return loss


def batches(steps: int, size: int) -> list[tuple[Tensor, Tensor]]:
    """Pairs that have something in common."""
    generator = torch.Generator().manual_seed(1)
    common = torch.randn(steps, size, 8, generator=generator)
    to_image, to_text = torch.randn(8, 32, generator=generator), torch.randn(8, 24, generator=generator)
    return list(zip(common @ to_image, common @ to_text, strict=True))


def main(steps: int = 5, batch_size: int = 33, save: str | None = None) -> None:
    """Train for a few steps."""
    rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if world_size > 1:  # under torchrun; the timeout says how long a rank waits for one that hangs
        dist.init_process_group("gloo", timeout=timedelta(minutes=2))
    torch.manual_seed(0)
    model = TwoTowers()
    trained = DistributedDataParallel(model) if world_size > 1 else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    for images, texts in batches(steps, batch_size):
        loss = trained(images[rank::world_size], texts[rank::world_size])  # this rank's rows
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        model.loss.clamp_temperature()

    temperature = 1 / model.loss.log_scale.exp().item()
    print(f"rank {rank} of {world_size}: loss {loss.item():.6f}, temperature {temperature:.6f}")
    if save and rank == 0:
        torch.save(model.state_dict(), save)
    if world_size > 1:
        del trained  # DDP goes before its group does: the other way round, torch can wait for itself
        dist.destroy_process_group()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=33)
    parser.add_argument("--save", help="where the final weights go")
    main(**vars(parser.parse_args()))
