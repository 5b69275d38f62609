"""The positive in the denominator: what it costs small batches, and what leaving it out brings."""

# B pictures of a batch, in two views each

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from benchmarks.papers.digits import STRONG, TRAINING_DIGITS, Loss, Training, embedded, evenness, knn, load, trained
from benchmarks.papers.gradients import pushes
from benchmarks.papers.pictures import COLOURS, panels
from benchmarks.papers.study import Claim, Part, Row, Run, Spread, Study, over_seeds, rising
from benchmarks.text import aligned
from info_nce.functional import dcl, nt_xent
from info_nce.objectives import Decoupled, Softmax

__all__ = ["STUDY", "Settings", "of_views"]

YEH = "Yeh et al. 2022, arXiv:2110.06848"


@dataclass(frozen=True, slots=True)
class Settings:
    """Of the study.

    Args:
        batches: B, of the trainings.
        looks: B, of the batches in which a trained encoder is looked at.
        views: how many views are looked at for each B, at least.
        epochs: of training; so a small batch has many steps.
        temperature: of both losses; 0.1 in the paper's code.
    """

    batches: tuple[int, ...] = (8, 32, 256)
    looks: tuple[int, ...] = (2, 8, 32, 128, 512)
    views: int = 2048
    epochs: int = 8
    temperature: float = 0.1


LOSSES: dict[str, Callable[..., Tensor]] = {"InfoNCE": nt_xent, "DCL": dcl}


def of_views(view1: Float[Tensor, "n d"], view2: Float[Tensor, "n d"]) -> Float[Tensor, "2*n k"]:
    """Cosines of each view with the other view of its picture, first, and with all views of the other pictures."""
    both = torch.cat([view1, view2])
    count, n = len(both), len(view1)
    partner = torch.arange(count).roll(n)
    everyone = torch.arange(count).expand(count, -1)
    others = everyone[(everyone != torch.arange(count)[:, None]) & (everyone != partner[:, None])].view(count, -1)
    return (both @ both.T).gather(1, torch.cat([partner[:, None], others], 1))


def run(settings: Settings, seed: int) -> Iterator[Row]:
    """One row per loss and batch, and one per batch in which a trained encoder is looked at."""
    digits = load(seed)
    encoders = {}
    for batch in settings.batches:
        steps = settings.epochs * (TRAINING_DIGITS // batch)
        for name, loss in LOSSES.items():
            encoder = trained(Training(seed, steps, batch), _at(loss, settings.temperature))
            encoders[name, batch] = encoder
            test = embedded(encoder, digits.test)
            yield {"loss": name, "batch": batch, "kNN": knn(encoder, digits), "uniformity": evenness(test)}
    numbers = torch.Generator().manual_seed(seed)
    encoder = encoders["InfoNCE", max(settings.batches)]
    for look in settings.looks:
        factors, errors = [], []
        for _ in range(max(1, settings.views // (2 * look))):
            chosen = digits.train[torch.randperm(TRAINING_DIGITS, generator=numbers)[:look]]
            view1, view2 = (embedded(encoder, STRONG(chosen, numbers)).double() for _ in range(2))
            logits = of_views(view1, view2) / settings.temperature
            coupled, decoupled = pushes(logits, Softmax()), pushes(logits, Decoupled())
            factor = -coupled[:, :1]  # 1 - p+: the pull of the positive, and the push of all negatives
            factors.append(factor.flatten())
            errors.append(float((coupled - factor * decoupled).abs().max()))
        factor = torch.cat(factors)
        yield {
            "look": look,
            "factor": float(factor.mean()),
            "variation": float(factor.std() / factor.mean()),
            "identity error": max(errors),
        }


def _at(loss: Callable[..., Tensor], temperature: float) -> Loss:
    return lambda view1, view2, _: loss(view1, view2, temperature=temperature)


def claims(settings: Settings, runs: Sequence[Run]) -> list[Claim]:
    """The identity, the factor, and the accuracy."""
    return [_identity(settings, runs), _factor(settings, runs), _gain(settings, runs)]


def _identity(settings: Settings, runs: Sequence[Run]) -> Claim:
    error = max(max(over_seeds(runs, "identity error", look=look).values) for look in settings.looks)
    return Claim(
        "The gradient of InfoNCE is that of DCL times 1 - p, where p is the probability that the query gives its "
        "positive.",
        f"{YEH}, proposition 1",
        f"largest difference over all logits of all batches: {error:.0e}",
        [Part("equal to 1e-12", error < 1e-12)],
    )


def _factor(settings: Settings, runs: Sequence[Run]) -> Claim:
    factors = [over_seeds(runs, "factor", look=look) for look in settings.looks]
    variations = [over_seeds(runs, "variation", look=look) for look in settings.looks]
    return Claim(
        "In small batches this factor is smaller, and differs more from query to query: there InfoNCE learns less from "
        "what it sees.",
        YEH,
        "mean factor, of pictures per batch: "
        + ", ".join(f"{look}: {spread.text(3)}" for look, spread in zip(settings.looks, factors, strict=True)),
        [
            Part("it grows with the batch, for each seed", all(map(rising, _by_seed(factors)))),
            Part(
                "its standard deviation over its mean falls, for each seed",
                all(rising(values[::-1]) for values in _by_seed(variations)),
            ),
        ],
    )


def _by_seed(spreads: Sequence[Spread]) -> list[tuple[float, ...]]:
    return list(zip(*(spread.values for spread in spreads), strict=True))


def _gain(settings: Settings, runs: Sequence[Run]) -> Claim:
    gains = {
        batch: over_seeds(runs, "kNN", loss="DCL", batch=batch) - over_seeds(runs, "kNN", loss="InfoNCE", batch=batch)
        for batch in settings.batches
    }
    small, large = min(gains), max(gains)
    return Claim(
        "DCL learns better features than InfoNCE, the more so the smaller the batch.",
        f"{YEH}; the abstract says 68.2 % for SimCLR with DCL on ImageNet, at 256 pictures a batch and 200 epochs, 6.4 "
        "points above SimCLR",
        "DCL's kNN less InfoNCE's, in points, at pictures per batch: "
        + ", ".join(f"{batch}: {gain.text(1, scale=100, sign=True)}" for batch, gain in gains.items()),
        [
            *(Part(f"clearly better at {batch}", gain.above()) for batch, gain in gains.items()),
            Part(f"by clearly more at {small} than at {large}", (gains[small] - gains[large]).above()),
        ],
    )


def tables(settings: Settings, runs: Sequence[Run]) -> list[str]:
    """Both losses at each batch; the factor."""
    trainings = [
        (
            f"{batch}",
            *(over_seeds(runs, "kNN", loss=name, batch=batch).text(1, scale=100) for name in LOSSES),
            *(over_seeds(runs, "uniformity", loss=name, batch=batch).text(2) for name in LOSSES),
        )
        for batch in settings.batches
    ]
    looks = [
        (
            f"{look}",
            over_seeds(runs, "factor", look=look).text(3),
            over_seeds(runs, "variation", look=look).text(3),
            f"{max(over_seeds(runs, 'identity error', look=look).values):.0e}",
        )
        for look in settings.looks
    ]
    head = ("pictures per batch", "InfoNCE, kNN %", "DCL, kNN %", "InfoNCE, uniformity", "DCL, uniformity")
    return [
        aligned(head, trainings, left=0),
        aligned(("pictures per batch", "mean of 1 - p", "deviation / mean", "error of the identity"), looks, left=0),
    ]


def picture(settings: Settings, runs: Sequence[Run]) -> Figure:
    """The factor over the batch, and both losses' accuracy."""
    figure, (left, right) = panels(2)
    factors = [over_seeds(runs, "factor", look=look).mean for look in settings.looks]
    left.plot(settings.looks, factors, "o-", color=COLOURS[0])
    left.set(xscale="log", xlabel="pictures per batch", title="mean of 1 - p", ylim=(0, 1))
    for name, colour, marker in (("InfoNCE", COLOURS[1], "s"), ("DCL", COLOURS[0], "o")):
        found = [over_seeds(runs, "kNN", loss=name, batch=batch) for batch in settings.batches]
        errors = [spread.margin if len(runs) > 1 else 0 for spread in found]
        values = [spread.mean for spread in found]
        right.errorbar(settings.batches, values, errors, marker=marker, color=colour, label=name, capsize=3)
    right.set(xscale="log", xlabel="pictures per batch", title="kNN, 95 % intervals")
    right.legend(frameon=False)
    return figure


STUDY = Study(
    name="decoupled",
    title="Decoupled: the positive out of the denominator",
    about=(
        "InfoNCE over two views (NT-Xent) and DCL at temperature 0.1, eight epochs each with 8, 32 and 256 pictures in "
        "a batch. The factor 1 - p is looked at in the encoder that InfoNCE trained with the largest batch, with "
        "batches of training digits, and read from the gradients of both losses."
    ),
    settings=Settings(),
    tiny=Settings(batches=(8, 32), looks=(2, 8), views=32, epochs=0),
    seeds=(0, 1, 2, 3, 4),
    run=run,
    claims=claims,
    tables=tables,
    picture=picture,
    shown="The factor grows towards 1 with the batch; the accuracies of both losses beside each other",
)
