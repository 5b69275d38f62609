"""Which negatives does the loss push away? The smaller the temperature, the more only the hardest ones."""

# N queries, K candidates: the positive first

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor, nn

from benchmarks.papers import temperature
from benchmarks.papers.digits import WEAK, Digits, embedded, load
from benchmarks.papers.gradients import pushes, shares
from benchmarks.papers.pictures import COLOURS, panels
from benchmarks.papers.study import Claim, Part, Row, Run, Study, over_seeds, rising
from benchmarks.text import aligned
from info_nce.objectives import Softmax

__all__ = ["STUDY", "Settings", "cosines", "entropy"]

WANG = temperature.WANG


@dataclass(frozen=True, slots=True)
class Settings:
    """Of the study.

    Args:
        temperatures: of the loss that looks at the same similarities each time.
        similarities_of: at which temperature the encoder was trained that they come from.
        queries: N, test digits; all other views are their negatives.
        training: of the encoders.
    """

    temperatures: tuple[float, ...] = (0.001, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 1000.0)
    similarities_of: float = 0.2
    queries: int = 256
    training: temperature.Settings = temperature.STUDY.settings


def cosines(encoder: nn.Module, digits: Digits, count: int, seed: int) -> Float[Tensor, "n k"]:
    """Of test digits with the other view of themselves, first, and with that of every other, in float64."""
    numbers = torch.Generator().manual_seed(seed)
    one, other = (embedded(encoder, WEAK(digits.test[:count], numbers)).double() for _ in range(2))
    all_pairs = one @ other.T
    rest = all_pairs[~torch.eye(len(one), dtype=torch.bool)].view(len(one), -1)
    return torch.cat([all_pairs.diagonal()[:, None], rest], 1)


def entropy(share: Float[Tensor, "n j"]) -> Float[Tensor, " n"]:
    """Among how many negatives is the push divided? In nats: 0 = one takes all, log j = all alike."""
    entropies: Tensor = torch.special.entr(share).sum(1)
    return entropies


def run(settings: Settings, seed: int) -> Iterator[Row]:
    """One row per temperature at fixed similarities, one per trained encoder."""
    digits, known = load(seed), settings.training
    fixed = cosines(temperature.net_of(known, seed, WEAK, settings.similarities_of), digits, settings.queries, seed)
    before = torch.full((len(fixed),), -1.0)
    for tau in settings.temperatures:
        push = pushes(fixed / tau, Softmax())
        share = shares(push)
        spread = entropy(share)
        # the formula of the paper, beside what the loss's own gradient says
        formula = torch.softmax(fixed[:, 1:] / tau, 1)
        yield {
            "at": tau,
            "entropy": float(spread.mean()),
            "largest share": float(share.amax(1).mean()),
            "queries whose entropy rose": float((spread > before).double().mean()),
            "formula error": float((share - formula).abs().max()),
            "balance error": float((push[:, 0] + push[:, 1:].sum(1)).abs().max()),
        }
        before = spread
    for tau in known.temperatures:
        trained = cosines(temperature.net_of(known, seed, WEAK, tau), digits, settings.queries, seed)
        share = shares(pushes(trained / tau, Softmax()))
        yield {
            "trained at": tau,
            "entropy": float(entropy(share).mean()),
            "largest share": float(share.amax(1).mean()),
        }


def claims(settings: Settings, runs: Sequence[Run]) -> list[Claim]:
    """An exact one, and one about trained encoders."""
    taus, negatives = settings.temperatures, settings.queries - 1
    fixed = {tau: over_seeds(runs, "entropy", at=tau) for tau in taus}
    errors = [max(over_seeds(runs, m, at=tau).values) for tau in taus for m in ("formula error", "balance error")]
    all_rose = [min(over_seeds(runs, "queries whose entropy rose", at=tau).values) == 1 for tau in taus]
    of_trained = {tau: over_seeds(runs, "entropy", **{"trained at": tau}) for tau in settings.training.temperatures}
    largest = over_seeds(runs, "largest share", at=taus[0])
    return [
        Claim(
            "The share of a negative in the gradient is its softmax among the negatives, and all shares together equal "
            "the pull of the positive. So the smaller the temperature, the fewer negatives are pushed.",
            WANG,
            "entropy of the shares in nats at "
            + ", ".join(f"{tau:g}: {spread.mean:.2f}" for tau, spread in fixed.items())
            + f"; largest error of a share {max(errors):.0e}",
            [
                Part("gradient and formula agree to 1e-12", max(errors) < 1e-12),
                Part("at fixed similarities the entropy rises with the temperature, for every query", all(all_rose)),
                Part(f"at {taus[0]:g} the hardest negative has nine tenths", largest.mean > 0.9),
                Part(
                    f"at {taus[-1]:g} all {negatives} are alike, within 1e-3 nats",
                    abs(fixed[taus[-1]].mean - math.log(negatives)) < 1e-3,
                ),
            ],
        ),
        Claim(
            "So it is in encoders that were trained at different temperatures.",
            WANG,
            "entropy at " + ", ".join(f"{tau:g}: {spread.text(2)}" for tau, spread in of_trained.items()),
            [Part("rises with each temperature", rising([spread.mean for spread in of_trained.values()]))],
        ),
    ]


def tables(settings: Settings, runs: Sequence[Run]) -> list[str]:
    """Fixed similarities, and trained encoders."""
    found = []
    for where, taus in (("at", settings.temperatures), ("trained at", settings.training.temperatures)):
        rows = [
            (
                f"{tau:g}",
                over_seeds(runs, "entropy", **{where: tau}).text(3),
                over_seeds(runs, "largest share", **{where: tau}).text(3),
            )
            for tau in taus
        ]
        title = "temperature, same similarities" if where == "at" else "temperature, trained with it"
        found.append(aligned((title, "entropy of the shares (nats)", "share of the hardest"), rows, left=0))
    return found


def picture(settings: Settings, runs: Sequence[Run]) -> Figure:
    """Entropy over the temperature."""
    figure, (axes,) = panels(1)
    taus = settings.temperatures[1:-1]
    axes.plot(taus, [over_seeds(runs, "entropy", at=t).mean for t in taus], "o-", color=COLOURS[0], label="same net")
    taus = settings.training.temperatures
    trained = [over_seeds(runs, "entropy", **{"trained at": t}).mean for t in taus]
    axes.plot(taus, trained, "s-", color=COLOURS[1], label="trained with it")
    axes.axhline(math.log(settings.queries - 1), color=COLOURS[2], linestyle="--", label="all alike")
    axes.set(xscale="log", xlabel="temperature", ylabel="entropy of the shares (nats)")
    axes.legend(frameon=False)
    return figure


STUDY = Study(
    name="hardness",
    title="Temperature: how many negatives are pushed",
    about=(
        "The derivative of the loss by each logit, for 256 test digits in two weak views each. First the similarities "
        "of one encoder are held fixed while the temperature of the loss changes, from one that sees only the hardest "
        "negative to one that sees no difference; then each encoder of the study above is looked at with its own "
        "temperature."
    ),
    settings=Settings(),
    tiny=Settings(queries=16, training=temperature.Settings(steps=2, batch=16)),
    seeds=temperature.STUDY.seeds,
    run=run,
    claims=claims,
    tables=tables,
    picture=picture,
    shown="The entropy of the shares rises with the temperature up to the log of the number of negatives",
)
