"""How many negatives? As many as a queue of past keys holds."""

# K keys in the queue

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from matplotlib.figure import Figure
from torch import nn
from torch.nn import functional

from benchmarks.papers.digits import (
    LEARNING_RATE,
    STRONG,
    TRAINING_DIGITS,
    Digits,
    Training,
    batches,
    embedded,
    encoder_of,
    evenness,
    knn,
    load,
    probe,
)
from benchmarks.papers.gradients import pushes
from benchmarks.papers.pictures import COLOURS, panels
from benchmarks.papers.study import Claim, Part, Row, Run, Spread, Study, over_seeds, rising
from benchmarks.text import aligned
from info_nce import KeyQueue, MomentumEncoder
from info_nce.functional import moco
from info_nce.objectives import Softmax

__all__ = ["STUDY", "Settings", "trained_with_queue"]

HE = "He et al. 2020, arXiv:1911.05722"


@dataclass(frozen=True, slots=True)
class Settings:
    """Of the study.

    Args:
        queues: K, from small to large.
        steps: of training.
        batch: queries in a batch.
        temperature: of the loss.
        momentum: of the encoder of the keys; the paper's 0.999 would stand still in so few steps.
        queries: whose gradients are looked at.
    """

    queues: tuple[int, ...] = (16, 64, 256, 1024)
    steps: int = 600
    batch: int = 64
    temperature: float = 0.1
    momentum: float = 0.99
    queries: int = 256


def trained_with_queue(settings: Settings, seed: int, size: int) -> nn.Module:
    """MoCo with a queue of this many keys."""
    training = Training(seed, settings.steps, settings.batch)
    encoder = encoder_of(training)
    slow, queue = MomentumEncoder(encoder, settings.momentum), KeyQueue(training.width, size)
    optimizer = torch.optim.Adam(encoder.parameters(), LEARNING_RATE)
    for view1, view2, _ in batches(training, load(seed)):
        key = functional.normalize(slow(view2))
        if queue.filled:
            optimizer.zero_grad()
            loss = moco(functional.normalize(encoder(view1)), key, queue, temperature=settings.temperature)
            torch.autograd.backward(loss)
            optimizer.step()
            slow.update(encoder)
        queue.enqueue(key)
    return encoder


def run(settings: Settings, seed: int) -> Iterator[Row]:
    """One row per queue, and one per number of negatives of the same encoder."""
    digits = load(seed)
    encoders = {size: trained_with_queue(settings, seed, size) for size in settings.queues}
    for size, encoder in encoders.items():
        found = {"kNN": knn(encoder, digits), "probe": probe(encoder, digits)}
        yield {"queue": size, **found, "uniformity": evenness(embedded(encoder, digits.test))}
    yield from _looks(settings, seed, encoders[max(settings.queues)], digits)


def _looks(settings: Settings, seed: int, encoder: nn.Module, digits: Digits) -> Iterator[Row]:
    """How hard do K negatives, drawn from other training digits, push a query together, and each of them alone?"""
    numbers = torch.Generator().manual_seed(seed)
    order = torch.randperm(TRAINING_DIGITS, generator=numbers)
    queries, rest = order[: settings.queries], order[settings.queries :]
    one, other, keys = (
        embedded(encoder, STRONG(digits.train[chosen], numbers)).double() for chosen in (queries, queries, rest)
    )
    for size in settings.queues:
        logits = torch.cat([(one * other).sum(1, keepdim=True), one @ keys[:size].T], 1) / settings.temperature
        push = pushes(logits, Softmax())[:, 1:]
        yield {
            "negatives": size,
            "push of all": float(push.sum(1).mean()),
            "push of one": float(push.mean()),
            "push of the hardest": float(push.amax(1).mean()),
        }


def claims(settings: Settings, runs: Sequence[Run]) -> list[Claim]:
    """Quality, and gradient."""
    return [_quality(settings, runs), _gradient(settings, runs)]


def _quality(settings: Settings, runs: Sequence[Run]) -> Claim:
    small, large = settings.queues[0], settings.queues[-1]
    parts, texts = [], []
    for measure in ("kNN", "probe"):
        found = [over_seeds(runs, measure, queue=size) for size in settings.queues]
        texts.append(f"{measure} " + ", ".join(spread.text(1, scale=100) for spread in found))
        parts += [
            Part(f"{measure} clearly better with {large:,} than with {small}", (found[-1] - found[0]).above()),
            Part(f"{measure} rises with each K", rising([spread.mean for spread in found])),
        ]
    sizes = ", ".join(f"{size:,}" for size in settings.queues)
    return Claim(
        "The more negatives in the queue, the better the features.",
        f"{HE}, figure 3",
        f"in % at K = {sizes}: {'; '.join(texts)}",
        parts,
    )


def _pushes(settings: Settings, runs: Sequence[Run], whose: str) -> list[Spread]:
    return [over_seeds(runs, f"push of {whose}", negatives=size) for size in settings.queues]


def _gradient(settings: Settings, runs: Sequence[Run]) -> Claim:
    of_all, of_one = (_pushes(settings, runs, whose) for whose in ("all", "one"))
    # the slope between the two largest, on logarithmic scales: -1 where each negative's part is 1 / K
    steps = [math.log(size) for size in settings.queues]
    slope = (math.log(of_one[-1].mean) - math.log(of_one[-2].mean)) / (steps[-1] - steps[-2])
    return Claim(
        "All negatives together push as hard as the positive pulls, at most 1; so what more of them add grows less and "
        "less, and the push of each falls towards 1 / K.",
        f"follows from {HE}, equation 1",
        "push of all at K = "
        + ", ".join(f"{size:,}: {spread.text(3)}" for size, spread in zip(settings.queues, of_all, strict=True))
        + f"; that of one falls as K to the power of {slope:.2f}",
        [
            Part(
                "the push of all rises with each K, below 1", rising([s.mean for s in of_all]) and of_all[-1].mean < 1
            ),
            Part("that of one falls with each K", rising([s.mean for s in of_one[::-1]])),
            Part("at the end as K to the power of -1, within 0.2", abs(slope + 1) < 0.2),
        ],
    )


def tables(settings: Settings, runs: Sequence[Run]) -> list[str]:
    """Queues, and pushes."""
    queues = [
        (
            f"{size:,}",
            over_seeds(runs, "kNN", queue=size).text(1, scale=100),
            over_seeds(runs, "probe", queue=size).text(1, scale=100),
            over_seeds(runs, "uniformity", queue=size).text(2),
            over_seeds(runs, "push of all", negatives=size).text(3),
            over_seeds(runs, "push of one", negatives=size).text(5),
            over_seeds(runs, "push of the hardest", negatives=size).text(3),
        )
        for size in settings.queues
    ]
    head = ("K", "kNN, %", "linear probe, %", "uniformity", "push of all", "push of one", "push of the hardest")
    return [aligned(head, queues, left=0)]


def picture(settings: Settings, runs: Sequence[Run]) -> Figure:
    """Quality on the left, pushes on the right."""
    figure, (left, right) = panels(2)
    for measure, label, colour, marker in (("kNN", "kNN", COLOURS[0], "o"), ("probe", "linear probe", COLOURS[1], "s")):
        found = [over_seeds(runs, measure, queue=size) for size in settings.queues]
        errors = [spread.margin if len(runs) > 1 else 0 for spread in found]
        values = [spread.mean for spread in found]
        left.errorbar(settings.queues, values, errors, marker=marker, color=colour, label=label, capsize=3)
    left.set(xscale="log", xlabel="keys in the queue", title="share named rightly, 95 % intervals")
    for whose, colour, marker in (("all", COLOURS[0], "o"), ("the hardest", COLOURS[1], "s"), ("one", COLOURS[2], "D")):
        values = [spread.mean for spread in _pushes(settings, runs, whose)]
        right.plot(settings.queues, values, marker=marker, color=colour, label=f"of {whose}")
    right.set(xscale="log", yscale="log", xlabel="negatives", title="push on a query")
    for axes in (left, right):
        axes.legend(frameon=False)
    return figure


STUDY = Study(
    name="negatives",
    title="How many negatives",
    about=(
        "MoCo with queues of 16 to 1,024 keys, 64 queries in a batch, temperature 0.1. There are 1,297 training "
        "digits, so the longest queue goes back nearly an epoch, and often holds an older key of the query's own "
        "picture, which pushes it away. That may be why more is not better here. The columns on the right look at one "
        "encoder, that of the longest queue, with K negatives from other training digits: how hard they push a query "
        "together, on average alone, and the hardest of them. 1 is the most that all can."
    ),
    settings=Settings(),
    tiny=Settings(queues=(4, 16), steps=3, batch=8, queries=8),
    seeds=(0, 1, 2, 3, 4),
    run=run,
    claims=claims,
    tables=tables,
    picture=picture,
    shown="Accuracy over the length of the queue; all negatives together push the harder the more they are, each less",
)
