"""A complete training script in plain torch: digits somewhere on a noisy canvas, two views, an MLP, NT-Xent.

    python examples/plain.py            # about half a minute on two cores

Where a digit lies and which noise it has says nothing about which digit it is. Nobody tells the encoder so: it only
sees two placements of the same digit and must find the pair again among all others. At the end a nearest-neighbour vote
tells what it learned, beside the raw canvas and the untrained encoder.
Needs `pip install -e ".[train]"` for the digits (scikit-learn).
"""

import argparse
import math

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from info_nce import NTXent

CANVAS = 12


def place(digits: Tensor) -> Tensor:
    """Put each 8 x 8 digit at a random place of a noisy canvas."""
    canvas = 0.1 * torch.randn(len(digits), CANVAS, CANVAS)
    corner = torch.randint(CANVAS - 8 + 1, (len(digits), 2, 1))
    rows, columns = corner[:, 0] + torch.arange(8), corner[:, 1] + torch.arange(8)
    canvas[torch.arange(len(digits))[:, None, None], rows[:, :, None], columns[:, None, :]] += digits
    return canvas.flatten(1)


def neighbours_accuracy(train: Tensor, train_labels: Tensor, test: Tensor, test_labels: Tensor, k: int = 5) -> float:
    """Share of test pictures whose k nearest training pictures, by cosine, vote for the right digit."""
    cosine = nn.functional.normalize(test, dim=1) @ nn.functional.normalize(train, dim=1).T
    votes = train_labels[cosine.topk(k, dim=1).indices]
    return (votes.mode(1).values == test_labels).double().mean().item()


def main(steps: int = 1000, batch_size: int = 256, seed: int = 0) -> dict[str, float]:
    """Train, evaluate, and return the figures."""
    torch.manual_seed(seed)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32) / 16
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(images))
    train, test = order[:1300], order[1300:]
    canvas = place(images)  # one placement of each picture, for the evaluation

    encoder = nn.Sequential(nn.Linear(CANVAS**2, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 128))
    projector = nn.Sequential(nn.ReLU(), nn.Linear(128, 64))
    model = nn.Sequential(encoder, projector)

    @torch.no_grad()
    def evaluate(features: nn.Module) -> float:
        found = features(canvas)
        return neighbours_accuracy(found[train], labels[train], found[test], labels[test])

    loss_fn = NTXent(temperature=0.2)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)

    before = evaluate(encoder)
    loss = torch.tensor(math.nan)
    for step in range(steps):
        batch = images[train[torch.randint(len(train), (batch_size,))]]
        loss = loss_fn(model(place(batch)), model(place(batch)))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            print(f"step {step:4d}  loss {loss.item():.3f}  guessing {math.log(2 * batch_size - 1):.3f}")

    after, raw = evaluate(encoder), evaluate(nn.Identity())
    print(f"5 nearest neighbours: raw canvas {raw:.3f}, untrained {before:.3f}, trained {after:.3f}")
    return {"loss": loss.item(), "untrained": before, "trained": after, "raw": raw}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
