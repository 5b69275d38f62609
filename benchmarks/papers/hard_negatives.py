"""Some negatives are positives in disguise, and some teach more than others: corrected, weighted, or known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from torch import nn

from benchmarks.papers.digits import Loss, Training, embedded, encoder_of, knn, load, probe, trained
from benchmarks.papers.pictures import COLOURS, panels
from benchmarks.papers.study import Claim, Part, Row, Run, Spread, Study, over_seeds
from benchmarks.text import aligned
from info_nce.evaluation.geometry import uniformity
from info_nce.functional import debiased_info_nce, hard_negative_info_nce, nt_xent

__all__ = ["STUDY", "Settings", "arms"]

CHUANG = "Chuang et al. 2020, arXiv:2007.00224"
ROBINSON = "Robinson et al. 2021, arXiv:2010.04592"
MEASURES = ("kNN", "probe")
PLAIN, KNOWN = "all others", "other classes only"
RAW, UNTRAINED = "(raw pixels)", "(untrained)"


@dataclass(frozen=True, slots=True)
class Settings:
    """Of the study.

    Args:
        temperature: of every loss; 0.5 in both papers.
        priors: tau+, probability that a negative is of the query's class; 0.1 is the truth for ten digits.
        betas: how much hard negatives count, with the last of the priors.
        steps: of training.
        batch: pictures in a batch.
    """

    temperature: float = 0.5
    priors: tuple[float, ...] = (0.05, 0.1)
    betas: tuple[float, ...] = (1.0,)
    steps: int = 300
    batch: int = 128


def arms(settings: Settings) -> dict[str, Loss]:
    """The losses, by what their negatives are."""
    tau, prior = settings.temperature, settings.priors[-1]

    def debiased(prior: float) -> Loss:
        return lambda one, other, _: debiased_info_nce(one, other, temperature=tau, positive_prior=prior)

    def hard(beta: float) -> Loss:
        return lambda one, other, _: hard_negative_info_nce(
            one, other, temperature=tau, beta=beta, positive_prior=prior
        )

    return {
        PLAIN: lambda one, other, _: nt_xent(one, other, temperature=tau),
        **{_debiased(prior): debiased(prior) for prior in settings.priors},
        **{_hard(beta): hard(beta) for beta in settings.betas},
        # equal ids are never negatives of each other
        KNOWN: lambda one, other, labels: nt_xent(one, other, temperature=tau, ids=labels),
    }


def _debiased(prior: float) -> str:
    return f"debiased, {prior:g}"


def _hard(beta: float) -> str:
    return f"hard, beta {beta:g}"


def run(settings: Settings, seed: int) -> Iterator[Row]:
    """One row per loss, after those that no loss has touched."""
    digits, training = load(seed), Training(seed, settings.steps, settings.batch)
    encoders = {RAW: nn.Identity(), UNTRAINED: encoder_of(training)}
    encoders |= {name: trained(training, loss) for name, loss in arms(settings).items()}
    for name, encoder in encoders.items():
        test = embedded(encoder, digits.test)
        found = {"kNN": knn(encoder, digits), "probe": probe(encoder, digits), "uniformity": uniformity(test)}
        yield {"negatives": name, **found}


def claims(settings: Settings, runs: Sequence[Run]) -> list[Claim]:
    """Debiased, oracle, hard."""
    debiased = [_debiased(prior) for prior in settings.priors]
    hard = [_hard(beta) for beta in settings.betas]
    return [
        _better(
            runs,
            "Correcting for negatives of the query's own class makes better features, without knowing which these are.",
            CHUANG,
            debiased,
            PLAIN,
        ),
        _better(
            runs,
            "Knowing them, and leaving them out, makes better features.",
            CHUANG,
            [KNOWN],
            PLAIN,
        ),
        _better(
            runs,
            "Giving weight to hard negatives makes better features than plain InfoNCE.",
            ROBINSON,
            hard,
            PLAIN,
        ),
        _better(
            runs,
            "And better ones than debiasing alone.",
            ROBINSON,
            hard,
            debiased[-1],
        ),
    ]


def _gain(runs: Sequence[Run], measure: str, name: str, base: str) -> Spread:
    return over_seeds(runs, measure, negatives=name) - over_seeds(runs, measure, negatives=base)


def _better(runs: Sequence[Run], says: str, source: str, names: Sequence[str], base: str) -> Claim:
    gains = {(name, measure): _gain(runs, measure, name, base) for name in names for measure in MEASURES}
    texts = [f"{name}, {measure}: {gain.text(1, scale=100, sign=True)}" for (name, measure), gain in gains.items()]
    parts = [Part(f"{name}: {measure} clearly better", gain.above()) for (name, measure), gain in gains.items()]
    return Claim(says, source, f"points above {base}: {'; '.join(texts)}", parts)


def tables(settings: Settings, runs: Sequence[Run]) -> list[str]:
    """All losses."""
    rows = [
        (
            name,
            *(over_seeds(runs, measure, negatives=name).text(1, scale=100) for measure in MEASURES),
            over_seeds(runs, "uniformity", negatives=name).text(2),
        )
        for name in (RAW, UNTRAINED, *arms(settings))
    ]
    return [aligned(("negatives", "kNN, %", "linear probe, %", "uniformity"), rows)]


def picture(settings: Settings, runs: Sequence[Run]) -> Figure:
    """Gains over plain InfoNCE, with intervals."""
    figure, (axes,) = panels(1)
    names = [name for name in arms(settings) if name != PLAIN]
    for measure, colour, marker, step in zip(MEASURES, COLOURS, "os", (-0.1, 0.1), strict=False):
        gains = [_gain(runs, measure, name, PLAIN) for name in names]
        axes.errorbar(
            [100 * gain.mean for gain in gains],
            [place + step for place in range(len(names))],
            xerr=[100 * gain.margin if len(runs) > 1 else 0 for gain in gains],
            fmt=marker,
            color=colour,
            label="linear probe" if measure == "probe" else measure,
            capsize=3,
        )
    axes.axvline(0, color=COLOURS[2], linestyle="--")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel=f"points above '{PLAIN}', 95 % intervals", ylim=(len(names) - 0.5, -0.5))
    axes.legend(frameon=False)
    return figure


STUDY = Study(
    name="hard_negatives",
    title="Debiased, hard and known negatives",
    about=(
        "NT-Xent with all views of other pictures as negatives, with the debiased correction, with weights for hard "
        "negatives (and the correction for a tenth of false ones), and with the labels used to leave the query's class "
        "out. Temperature 0.5, as in both papers. kNN: share of the test digits that 5 neighbours name rightly; linear "
        "probe: that a linear classifier does, whose penalty was chosen on a fifth of the training digits."
    ),
    settings=Settings(),
    tiny=Settings(steps=1, batch=16),
    seeds=(0, 1, 2),
    run=run,
    claims=claims,
    tables=tables,
    picture=picture,
    shown="Differences from plain InfoNCE in points of accuracy, with intervals, one line per kind of negatives",
)
