"""Two towers on many ranks with Accelerate, and one loss over the batches of all ranks.

    torchrun --nproc-per-node 2 examples/ranks_accelerate.py    # or: accelerate launch --cpu --num_processes 2 ...
    python examples/ranks_accelerate.py                         # one process: the same weights

Accelerate wraps the model with DistributedDataParallel, which averages gradients, and so the loss needs nothing but its
engine. Where a data loader is prepared, `even_batches=False` keeps Accelerate from repeating rows to fill the last
batch: ranks may have as many rows as they have.
Needs `pip install -e ".[train]"`.
"""

import argparse

import torch
from accelerate import Accelerator
from torch import Tensor, nn

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
    accelerator = Accelerator(cpu=True)
    rank, world_size = accelerator.process_index, accelerator.num_processes
    torch.manual_seed(0)
    model = TwoTowers()
    trained, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))

    for images, texts in batches(steps, batch_size):
        loss = trained(images[rank::world_size], texts[rank::world_size])  # this rank's rows
        optimizer.zero_grad()
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(trained.parameters(), 1.0)
        optimizer.step()
        model.loss.clamp_temperature()

    temperature = 1 / model.loss.log_scale.exp().item()
    print(f"rank {rank} of {world_size}: loss {loss.item():.6f}, temperature {temperature:.6f}")
    if save:
        accelerator.save(accelerator.unwrap_model(trained).state_dict(), save)
    trained, optimizer = accelerator.free_memory(trained, optimizer)  # before the group: else torch can wait for itself
    accelerator.end_training()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=33)
    parser.add_argument("--save", help="where the final weights go")
    main(**vars(parser.parse_args()))
