"""Draws trainings from a seed, and trains them up to the batch that is looked at."""

# N items, M keys in a queue, D features

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.survey.data import SOURCES, WITH_CLASSES, Source
from benchmarks.survey.faults import FAULTS, HEALTHY, Fault, Sides
from benchmarks.survey.settings import CHOICES, LOSSES, TOWERS, Training
from info_nce import MomentumEncoder
from info_nce.losses import Face
from info_nce.similarity import DotProduct

__all__ = ["HEALTHY_PER_SEED", "Seen", "draw", "drawn", "fault_of", "shrunk", "trained"]

HEALTHY_PER_SEED = 40
MOMENTUM = 0.95
"""Of MoCo's slow encoder: a fast one, for trainings of so few steps."""


def drawn(seed: int, *, tiny: bool = False) -> list[Training]:
    """All trainings of a seed: the healthy ones, and each fault once."""
    found = [draw(seed, HEALTHY, place) for place in range(2 if tiny else HEALTHY_PER_SEED)]
    found += [draw(seed, fault) for fault in FAULTS.values()]
    return [shrunk(training) for training in found] if tiny else found


def fault_of(training: Training) -> Fault:
    """What is wrong with it."""
    return HEALTHY if training.fault == HEALTHY.name else FAULTS[training.fault]


def draw(seed: int, fault: Fault, place: int = 0) -> Training:
    """Draw a training: the same for the same seed, fault and place, whatever else is drawn."""
    chance = random.Random(f"{seed} {fault.name} {place}")  # noqa: S311 - no secret
    of: dict[str, Any] = {part: chance.choice(fault.among.get(part, choices)) for part, choices in CHOICES.items()}
    with_classes = of["loss"] == "SupCon" and not of["own_labels"]
    # a batch of 1,024 is most of the digits
    large = of["batch"] >= 1024
    fitting = [name for name in (WITH_CLASSES if with_classes else SOURCES) if not (large and "digits" in name)]
    of["source"] = chance.choice(fitting)
    if "digits" in of["source"] and of["batch"] == 512:
        of["held_out"] = False
    if of["batch"] >= 512:
        of["steps"] = min(of["steps"], 60 if large else 150)
    # two encoders learn little of glosses in so few steps
    if of["loss"] not in TOWERS or (of["source"] == "glosses" and chance.random() < 0.7):
        of["encoders"] = 1
    of["learnable"] = of["learnable"] and of["loss"] in {"CLIPLoss", "SigLIP"}
    if of["loss"] == "SigLIP":
        # its bias of -10 goes with its temperature of 0.1
        of["temperature"] = min(of["temperature"], 0.1)
    return Training(seed=seed, fault=fault.name, place=place, numbers=chance.getrandbits(32), **of)


def shrunk(training: Training) -> Training:
    """The same in a moment; what is found in it says nothing."""
    return replace(
        training,
        batch=min(training.batch, 32),
        features=min(training.features, 32),
        queue=64,
        steps=min(training.steps, 2),
    )


@dataclass(frozen=True, slots=True)
class Seen:
    """What is shown to `diagnose`.

    Args:
        criterion: the loss.
        inputs: of the last batch, with their history.
        ids: which item each row shows, if that is said.
        start: whether nothing has been learned.
    """

    criterion: nn.Module
    inputs: tuple[Tensor, ...]
    ids: Tensor | None
    start: bool


def trained(training: Training, fault: Fault) -> Seen:
    """Train, and encode one more batch."""
    course = _Course(training, fault)
    for _ in range(training.steps):
        course.step()
    inputs, ids = course.batch(last=True)
    return Seen(course.criterion, inputs, ids if training.ids else None, start=training.steps == 0)


class _Course:
    """A training on its way."""

    def __init__(self, training: Training, fault: Fault) -> None:
        self.training, self.fault = training, fault
        self.numbers = torch.Generator().manual_seed(training.numbers)
        self.source: Source = fault.source(SOURCES[training.source](), training, self.numbers)
        with torch.random.fork_rng():
            torch.manual_seed(training.numbers)
            encoders = [fault.encoder(_encoder(training, self.source.width)) for _ in range(training.encoders)]
        self.first, self.second = encoders[0], encoders[-1]
        self.face = _face(training)
        fault.after_step(self.face)
        self.criterion = fault.criterion(self.face)
        self.slow = MomentumEncoder(self.first, MOMENTUM) if training.loss == "MoCo" else None
        self.queue = functional.normalize(torch.randn(training.queue, training.features, generator=self.numbers))
        trainable = nn.ModuleList([*encoders, self.face]).parameters()
        self.optimizer = torch.optim.AdamW(trainable, training.learning_rate, weight_decay=training.weight_decay)

    def step(self) -> None:
        """One step of training, if there is anything to train."""
        inputs, _ = self.batch()
        value: Tensor = self.criterion(*inputs)
        if not value.requires_grad:
            return
        self.optimizer.zero_grad()
        torch.autograd.backward(value)
        self.optimizer.step()
        self.face.clamp_temperature()
        self.fault.after_step(self.face)
        if self.slow is not None:
            self.slow.update(self.first)
            self.queue = torch.cat([functional.normalize(inputs[1].detach()), self.queue])[: self.training.queue]

    def batch(self, *, last: bool = False) -> tuple[tuple[Tensor, ...], Tensor]:
        """What the loss is given of a batch, and which item each of its rows shows."""
        training, fault = self.training, self.fault
        found = self.source.items(training.batch, self.numbers, held_out=last and training.held_out)
        items = fault.items(found, self.numbers)
        views = fault.views(self._views(items.contents), self.numbers)
        in_pairs = training.loss != "SupCon"
        sides = fault.embeddings(self._encoded(fault.pairs(views) if in_pairs else views))
        if last:
            sides = fault.last(sides)
        if in_pairs:
            return (sides if self.slow is None else (*sides, self.queue)), items.ids
        labels = items.ids if training.own_labels else items.classes
        if not training.two_views:
            return fault.labelled((sides[0], labels)), items.ids
        return fault.labelled((torch.cat(sides), labels.repeat(2))), items.ids.repeat(2)

    def _views(self, contents: Tensor) -> Sides:
        two = self.training.encoders == 2
        first = self.source.view(contents, self.numbers, second=False)
        return first, self.source.view(contents, self.numbers, second=two)

    def _encoded(self, views: Sides) -> Sides:
        second = self.second if self.slow is None else self.slow
        return self.first(views[0]), second(views[1])


def _face(training: Training) -> Face:
    settings: dict[str, Any] = {"similarity": DotProduct()} if training.dot_product else {}
    return LOSSES[training.loss](training.temperature, learnable=training.learnable, **settings)


def _encoder(training: Training, width: int) -> nn.Module:
    return nn.Sequential(*_layers(training.encoder, width, training.features))


def _layers(kind: str, width: int, features: int) -> Iterator[nn.Module]:
    if kind == "linear":
        yield nn.Linear(width, features)
        return
    yield nn.Linear(width, 256)
    if kind == "batch norm":
        yield nn.BatchNorm1d(256)
    yield nn.ReLU()
    if kind == "three layers":
        yield nn.Linear(256, 256)
        yield nn.ReLU()
    yield nn.Linear(256, features)
