"""Small handwritten digits, an encoder of three layers, and what can be measured of it: seconds on one core.

Every number here is about these digits and this encoder. scikit-learn's digits are easy: raw pixels name more of them
than most of these encoders do. So accuracies say whether one loss differs from another, and nothing more.
"""

# N pictures, D features

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from info_nce.diagnostics import uniformity
from info_nce.evaluation.neighbours import nearest_neighbour_classes
from info_nce.evaluation.probes import linear_probe

__all__ = [
    "LEARNING_RATE",
    "STRONG",
    "TRAINING_DIGITS",
    "WEAK",
    "Augmentation",
    "Digits",
    "Loss",
    "Training",
    "batches",
    "embedded",
    "encoder_of",
    "evenness",
    "knn",
    "load",
    "probe",
    "stages",
    "trained",
]

SIDE, CLASSES, TEST, TRAINING_DIGITS = 8, 10, 500, 1297
NEIGHBOURS = 5
LEARNING_RATE = 1e-3

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Of two views of each picture, and of the pictures' classes, which only an oracle looks at."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How different two views of a digit are.

    Args:
        noise: standard deviation of what is added to a pixel, of pixels between 0 and 1.
        drop: probability that a pixel is set to 0.
        shift: by how many pixels a view is moved at most, up or down and left or right.
    """

    noise: float
    drop: float
    shift: int

    def __call__(self, pictures: Float[Tensor, "n 64"], numbers: torch.Generator) -> Float[Tensor, "n 64"]:
        """Make a view of each picture."""
        grid = pictures.view(-1, SIDE, SIDE)
        if self.shift:
            around = functional.pad(grid, (self.shift,) * 4)
            left, top = torch.randint(2 * self.shift + 1, (2, len(grid), 1), generator=numbers)
            steps = torch.arange(SIDE)
            rows, columns = (top + steps)[:, :, None], (left + steps)[:, None, :]
            grid = around[torch.arange(len(grid))[:, None, None], rows, columns]
        view = grid.flatten(1)
        view = view + self.noise * torch.randn(view.shape, generator=numbers)
        return view * (torch.rand(view.shape, generator=numbers) >= self.drop)


WEAK, STRONG = Augmentation(0.05, 0.05, 0), Augmentation(0.2, 0.25, 1)


@dataclass(frozen=True, slots=True)
class Digits:
    """The digits, pixels between 0 and 1, in two parts."""

    train: Float[Tensor, "m 64"]
    train_labels: Int64[Tensor, " m"]
    test: Float[Tensor, "n 64"]
    test_labels: Int64[Tensor, " n"]


def load(seed: int) -> Digits:
    """Load 1,797 digits and put 500 of them aside; which ones, the seed says."""
    found = load_digits()
    pictures = torch.from_numpy(found.data).float() / 16
    labels = torch.from_numpy(found.target).long()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    test, train = order[:TEST], order[TEST:]
    return Digits(pictures[train], labels[train], pictures[test], labels[test])


@dataclass(frozen=True, slots=True)
class Training:
    """How an encoder is trained; with equal ones, everything but the loss is the same.

    Args:
        seed: of the parts, the initial weights, the batches and the views.
        steps: of Adam.
        batch: pictures in a batch, each in two views.
        width: D, of an embedding.
        augmentation: what makes the views.
    """

    seed: int
    steps: int
    batch: int = 256
    width: int = 64
    augmentation: Augmentation = STRONG


def encoder_of(training: Training) -> nn.Module:
    """The encoder before training: an MLP of 64, 256, 256 and `width`."""
    with torch.random.fork_rng():
        torch.manual_seed(training.seed)
        return nn.Sequential(
            nn.Linear(SIDE**2, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, training.width)
        )


def batches(training: Training, digits: Digits) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Two views of each picture of a batch, and their classes, once per step; the rest of an epoch is left out."""
    numbers = torch.Generator().manual_seed(1000 + training.seed)
    order, place = torch.empty(0, dtype=torch.int64), 0
    for _ in range(training.steps):
        if place + training.batch > len(order):
            order, place = torch.randperm(len(digits.train), generator=numbers), 0
        chosen = order[place : place + training.batch]
        place += training.batch
        one, other = (training.augmentation(digits.train[chosen], numbers) for _ in range(2))
        yield one, other, digits.train_labels[chosen]


def trained(training: Training, loss: Loss) -> nn.Module:
    """Train an encoder with a loss."""
    *_, encoder = stages(training, loss, (training.steps,))
    return encoder


def stages(training: Training, loss: Loss, at: Sequence[int]) -> Iterator[nn.Module]:
    """Train an encoder with a loss, and take a copy of it after each of these numbers of steps."""
    encoder = encoder_of(training)
    optimizer = torch.optim.Adam(encoder.parameters(), LEARNING_RATE)
    if 0 in at:
        yield deepcopy(encoder)
    for step, (view1, view2, labels) in enumerate(batches(training, load(training.seed)), 1):
        z1, z2 = encoder(torch.cat([view1, view2])).chunk(2)
        optimizer.zero_grad()
        torch.autograd.backward(loss(z1, z2, labels))
        optimizer.step()
        if step in at:
            yield deepcopy(encoder)


@torch.no_grad()
def embedded(encoder: nn.Module, pictures: Float[Tensor, "n 64"]) -> Float[Tensor, "n d"]:
    """Embeddings of pictures as they are, of unit length."""
    return functional.normalize(encoder(pictures))


def knn(encoder: nn.Module, digits: Digits) -> float:
    """Which share of the test digits do their nearest neighbours among the training digits name rightly?"""
    train, test = embedded(encoder, digits.train), embedded(encoder, digits.test)
    said = nearest_neighbour_classes(train, digits.train_labels, test, NEIGHBOURS, classes=CLASSES)
    return float((said == digits.test_labels).double().mean())


def probe(encoder: nn.Module, digits: Digits) -> float:
    """Which share of the test digits does a linear classifier name rightly, its penalty chosen on training digits?"""
    train, test = embedded(encoder, digits.train), embedded(encoder, digits.test)
    held_out = len(train) // 5
    labels = digits.train_labels
    found = linear_probe(train[held_out:], labels[held_out:], train[:held_out], labels[:held_out], test)
    return float((found.classes == digits.test_labels).double().mean())


def evenness(embeddings: Float[Tensor, "n d"]) -> float:
    """Uniformity, as a number: 0 = all in one point, near -4 = as even as the sphere allows."""
    return float(uniformity(embeddings))
