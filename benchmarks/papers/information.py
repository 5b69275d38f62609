"""The bound on mutual information: how near does it come, and where does it stop?"""

# N pairs of a batch, so K = N candidates of a query

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from benchmarks.papers.pictures import COLOURS, panels
from benchmarks.papers.study import Claim, Part, Row, Run, Study, over_seeds, rising
from benchmarks.text import aligned
from info_nce import contrast, info_nce
from info_nce.assemble import assemble
from info_nce.diagnostics import CorrelatedGaussian, Labels
from info_nce.objectives import Decoupled
from info_nce.pairing import pairs
from info_nce.similarity import DotProduct

__all__ = ["STUDY", "Settings"]

OORD = "van den Oord, Li, Vinyals 2018, arXiv:1807.03748, section 2.3 and appendix"
POOLE = "Poole et al. 2019, arXiv:1905.06922, the bound I_NCE"


@dataclass(frozen=True, slots=True)
class Settings:
    """Of the study.

    Args:
        informations: mutual information of the Gaussian pairs, in nats.
        candidates: K, for all of these.
        growth: information at which K is varied.
        grown: the values of K.
        width: of x and of y.
        batches: whose losses are averaged, per seed.
        classes: of the label model.
        label_candidates: its values of K.
        label_temperature: its temperature.
    """

    informations: tuple[float, ...] = (2.0, 4.0, 6.0, 8.0, 10.0)
    candidates: int = 128
    growth: float = 6.0
    grown: tuple[int, ...] = (8, 32, 128, 512)
    width: int = 20
    batches: int = 100
    classes: tuple[int, ...] = (2, 10, 100)
    label_candidates: tuple[int, ...] = (64, 128, 512)
    label_temperature: float = 0.1


def without_positive(query: Float[Tensor, "n d"], key: Float[Tensor, "n d"]) -> Tensor:
    """The loss with the positive left out of the denominator: of its value nothing is promised."""
    positives, out = pairs(len(query), None, "out", query.device)
    return contrast(assemble(query, key, DotProduct(), 1.0, positives=positives, out=out), Decoupled())


def run(settings: Settings, seed: int) -> Iterator[Row]:
    """One row per information, one per K, one per label model."""
    cells = {(information, settings.candidates) for information in settings.informations}
    cells |= {(settings.growth, candidates) for candidates in settings.grown}
    for information, candidates in sorted(cells):
        gaussian, numbers = CorrelatedGaussian(settings.width, information), torch.Generator().manual_seed(seed)
        losses, decoupled = [], []
        for _ in range(settings.batches):
            query, key = gaussian.critic(*gaussian.sample(candidates, generator=numbers, dtype=torch.float64))
            losses.append(info_nce(query, key, temperature=1.0, similarity=DotProduct()))
            decoupled.append(without_positive(query, key))
        estimates = [math.log(candidates) - float(torch.stack(found).mean()) for found in (losses, decoupled)]
        yield {
            "information": information,
            "candidates": candidates,
            "estimate": estimates[0],
            "without positive": estimates[1],
        }
    for classes in settings.classes:
        for candidates in settings.label_candidates:
            labels, numbers = Labels(classes), torch.Generator().manual_seed(seed)
            losses = []
            for _ in range(settings.batches):
                query, key = labels.critic(*labels.sample(candidates, generator=numbers), torch.float64)
                losses.append(info_nce(query, key, temperature=settings.label_temperature))
            found = torch.stack(losses)
            error = float(found.std()) / math.sqrt(len(found))
            yield {"classes": classes, "candidates": candidates, "label loss": float(found.mean()), "error": error}


def claims(settings: Settings, runs: Sequence[Run]) -> list[Claim]:
    """Saturation at log K, growth with K, and an exact expectation."""
    return [_saturation(settings, runs), _growth(settings, runs), _expectation(settings, runs)]


def _saturation(settings: Settings, runs: Sequence[Run]) -> Claim:
    informations, candidates = settings.informations, settings.candidates
    found = {i: over_seeds(runs, "estimate", information=i, candidates=candidates) for i in informations}
    wrong = {i: over_seeds(runs, "without positive", information=i, candidates=candidates) for i in informations}
    most, ceiling = max(informations), math.log(candidates)
    return Claim(
        f"log K - InfoNCE cannot exceed log K, whatever the information: {ceiling:.3f} nats for K = {candidates}.",
        f"{OORD}; {POOLE}",
        ", ".join(f"{spread.text(3)} of {i:g} nats" for i, spread in found.items()),
        [
            Part("below log K at every information", all(s.mean < ceiling for s in found.values())),
            Part("below the information", all(s.mean < i for i, s in found.items())),
            Part(f"within 2 % of log K for {most:g} nats", found[most].mean > 0.98 * ceiling),
            Part("without the positive in the denominator it is no bound", all(s.above(i) for i, s in wrong.items())),
        ],
    )


def _growth(settings: Settings, runs: Sequence[Run]) -> Claim:
    information = settings.growth
    found = {k: over_seeds(runs, "estimate", information=information, candidates=k) for k in settings.grown}
    per_seed = zip(*(spread.values for spread in found.values()), strict=True)
    return Claim(
        "The more negatives, the tighter the bound.",
        OORD,
        f"of {information:g} nats: " + ", ".join(f"{s.text(3)} with K = {k:,}" for k, s in found.items()),
        [
            Part("rises with each K, for each seed", all(rising(values) for values in per_seed)),
            Part("and stays below the information", not any(s.above(information) for s in found.values())),
        ],
    )


def _expectation(settings: Settings, runs: Sequence[Run]) -> Claim:
    far = [abs(found - exact) / error for _, _, found, error, exact in _labels(settings, runs)]
    return Claim(
        "Of a fixed critic, the loss of a batch estimates its expectation without bias, though the rows share their "
        "negatives.",
        "follows from the definition; the expectation is a sum over a binomial count",
        f"largest distance from the sum: {max(far):.1f} standard errors, of {len(far)} label models",
        [Part("all within 4 standard errors", max(far) < 4)],
    )


def _labels(settings: Settings, runs: Sequence[Run]) -> Iterator[tuple[int, int, float, float, float]]:
    """Classes, candidates, the mean loss over all seeds, its standard error over all batches, its expectation."""
    for classes in settings.classes:
        for k in settings.label_candidates:
            found, errors = (
                over_seeds(runs, measure, classes=classes, candidates=k) for measure in ("label loss", "error")
            )
            error = math.hypot(*errors.values) / len(runs)
            yield classes, k, found.mean, error, Labels(classes).expected_loss(k, settings.label_temperature)


def tables(settings: Settings, runs: Sequence[Run]) -> list[str]:
    """Gaussian pairs, and labels."""
    cells = dict.fromkeys(
        (float(row["information"]), int(row["candidates"])) for row in runs[0].rows if "information" in row
    )
    gaussians = [
        (
            f"{information:g}",
            f"{candidates:,}",
            f"{math.log(candidates):.3f}",
            *(
                over_seeds(runs, measure, information=information, candidates=candidates).text(3)
                for measure in ("estimate", "without positive")
            ),
        )
        for information, candidates in cells
    ]
    labels = [
        (f"{classes}", f"{k}", f"{found:.4f} ± {error:.4f}", f"{exact:.4f}", f"{math.log(k) - found:.4f}")
        for classes, k, found, error, exact in _labels(settings, runs)
    ]
    return [
        aligned(("information (nats)", "K", "log K", "log K - InfoNCE", "without positive"), gaussians, left=0),
        aligned(("classes", "K", "InfoNCE", "its expectation", "log K - InfoNCE"), labels, left=0),
    ]


def picture(settings: Settings, runs: Sequence[Run]) -> Figure:
    """Saturation on the left, growth on the right."""
    figure, (left, right) = panels(2)
    for measure, colour, marker in (("estimate", COLOURS[0], "o"), ("without positive", COLOURS[1], "s")):
        of_many = [
            over_seeds(runs, measure, information=i, candidates=settings.candidates) for i in settings.informations
        ]
        left.plot(settings.informations, [s.mean for s in of_many], marker=marker, color=colour, label=measure)
    left.plot(settings.informations, settings.informations, color=COLOURS[2], linestyle=":", label="information")
    left.axhline(math.log(settings.candidates), color=COLOURS[2], linestyle="--", label=f"log {settings.candidates}")
    left.set(xlabel="information (nats)", ylabel="nats", title=f"K = {settings.candidates}")
    grown = [over_seeds(runs, "estimate", information=settings.growth, candidates=k) for k in settings.grown]
    right.plot(settings.grown, [s.mean for s in grown], marker="o", color=COLOURS[0], label="estimate")
    right.plot(settings.grown, [math.log(k) for k in settings.grown], color=COLOURS[2], linestyle="--", label="log K")
    right.axhline(settings.growth, color=COLOURS[2], linestyle=":", label="information")
    right.set(xlabel="K", xscale="log", title=f"{settings.growth:g} nats")
    for axes in (left, right):
        axes.legend(frameon=False)
    return figure


STUDY = Study(
    name="information",
    title="The bound on mutual information stops at log K",
    about=(
        "Pairs of correlated normal vectors have a known mutual information, and their exact critic is a dot product "
        "of augmented vectors, so nothing is trained: the loss is called with these. Where x = y is a class, the "
        "expectation of the loss is a short sum. ± is a standard error, over the seeds for Gaussians, over all batches "
        "for labels."
    ),
    settings=Settings(),
    tiny=Settings(batches=2, grown=(8, 32, 64), candidates=32, label_candidates=(16,)),
    seeds=(0, 1, 2),
    run=run,
    claims=claims,
    tables=tables,
    picture=picture,
    shown="The estimate levels off at log K as the information grows, and comes nearer to the information as K grows",
)
