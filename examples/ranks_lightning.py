"""Two towers on many ranks with Lightning, and one loss over the batches of all ranks.

    torchrun --nproc-per-node 2 examples/ranks_lightning.py     # two processes on this machine
    python examples/ranks_lightning.py                          # one process: the same weights

Lightning's strategy "ddp" averages gradients, and so the loss needs nothing but its engine. The value is that of all
ranks' pairs already: logging it with `sync_dist=True` would only average equal numbers.
Needs `pip install lightning`, or `pip install --group examples`.
"""

import argparse
import os
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from info_nce import SymmetricInfoNCE
from info_nce.engines import Gathered


class TwoTowers(lightning.LightningModule):
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

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Take this rank's rows."""
        rank, world_size = self.global_rank, self.trainer.world_size
        images, texts = (side[rank::world_size] for side in batch)
        loss: Tensor = self(images, texts)
        self.log("loss", loss)
        return loss

    def on_train_batch_end(self, *_: Any) -> None:
        """Come after the optimizer's step."""
        self.loss.clamp_temperature()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Say what steps."""
        return torch.optim.SGD(self.parameters(), lr=0.1)


def batches(steps: int, size: int) -> list[tuple[Tensor, Tensor]]:
    """Pairs that have something in common."""
    generator = torch.Generator().manual_seed(1)
    common = torch.randn(steps, size, 8, generator=generator)
    to_image, to_text = torch.randn(8, 32, generator=generator), torch.randn(8, 24, generator=generator)
    return list(zip(common @ to_image, common @ to_text, strict=True))


def main(steps: int = 5, batch_size: int = 33, save: str | None = None) -> None:
    """Train for a few steps."""
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    torch.manual_seed(0)
    model = TwoTowers()
    trainer = lightning.Trainer(
        accelerator="cpu",
        strategy="ddp" if world_size > 1 else "auto",
        devices=world_size,
        max_epochs=1,
        gradient_clip_val=1.0,
        use_distributed_sampler=False,  # `training_step` takes the rank's rows of whole batches
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, DataLoader(batches(steps, batch_size), batch_size=None))

    rank, temperature = trainer.global_rank, 1 / model.loss.log_scale.exp().item()
    loss = trainer.callback_metrics["loss"].item()
    print(f"rank {rank} of {world_size}: loss {loss:.6f}, temperature {temperature:.6f}")
    if save and rank == 0:
        torch.save(model.state_dict(), save)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=33)
    parser.add_argument("--save", help="where the final weights go")
    main(**vars(parser.parse_args()))
