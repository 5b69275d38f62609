"""Two towers on many ranks, their weights cut into shards: `fully_shard`, and one loss over the batches of all ranks.

    torchrun --nproc-per-node 2 examples/ranks_fsdp.py      # two processes on this machine

As `ranks_ddp.py`, with weights, gradients and the optimizer's state spread over the ranks. FSDP averages gradients as
DDP does, so that the loss, inside of the sharded module with its temperature, is the same.
"""

import argparse
from datetime import timedelta

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

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
    # the timeout says how long a rank waits for one that hangs
    dist.init_process_group("gloo", timeout=timedelta(minutes=2))
    rank, world_size = dist.get_rank(), dist.get_world_size()
    mesh = init_device_mesh("cpu", (world_size,))
    torch.manual_seed(0)
    model = TwoTowers()
    for part in (model.image, model.text, model):  # the temperature goes with the last
        fully_shard(part, mesh=mesh)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    for images, texts in batches(steps, batch_size):
        loss = model(images[rank::world_size], texts[rank::world_size])  # this rank's rows
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        model.loss.clamp_temperature()

    temperature = 1 / model.loss.log_scale.full_tensor().exp().item()  # all ranks take part
    print(f"rank {rank} of {world_size}: loss {loss.item():.6f}, temperature {temperature:.6f}")
    state = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    if save and rank == 0:
        torch.save(state, save)
    dist.destroy_process_group()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=33)
    parser.add_argument("--save", help="where the final weights go")
    main(**vars(parser.parse_args()))
