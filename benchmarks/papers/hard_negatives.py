"""Some negatives are positives in disguise, and some teach more than others: corrected, weighted, or known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from torch import nn

from benchmarks.papers.digits import Digits, Loss, Training, embedded, encoder_of, evenness, knn, load, probe, stages
from benchmarks.papers.pictures import COLOURS, panels
from benchmarks.papers.study import Claim, Part, Row, Run, Spread, Study, over_seeds
from benchmarks.text import aligned
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
        steps: of training, at which an encoder is looked at.
        batch: pictures in a batch.
    """

    temperature: float = 0.5
    priors: tuple[float, ...] = (0.05, 0.1)
    betas: tuple[float, ...] = (1.0,)
    steps: tuple[int, ...] = (300, 600)
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
    """One row per loss and number of steps, after those that no loss has touched."""
    digits, training = load(seed), Training(seed, max(settings.steps), settings.batch)
    for name, encoder in ((RAW, nn.Identity()), (UNTRAINED, encoder_of(training))):
        yield {"negatives": name, "steps": 0, **_measured(encoder, digits)}
    for name, loss in arms(settings).items():
        for steps, encoder in zip(settings.steps, stages(training, loss, settings.steps), strict=True):
            yield {"negatives": name, "steps": steps, **_measured(encoder, digits)}


def _measured(encoder: nn.Module, digits: Digits) -> Row:
    spread = evenness(embedded(encoder, digits.test))
    return {"kNN": knn(encoder, digits), "probe": probe(encoder, digits), "uniformity": spread}


def claims(settings: Settings, runs: Sequence[Run]) -> list[Claim]:
    """Debiased, oracle, hard."""
    debiased = [_debiased(prior) for prior in settings.priors]
    hard = [_hard(beta) for beta in settings.betas]
    rows: tuple[tuple[str, str, list[str], str], ...] = (
        ("Correcting for false negatives, of which only their share is known, makes", CHUANG, debiased, PLAIN),
        ("Leaving the false negatives out, with labels, makes", CHUANG, [KNOWN], PLAIN),
        ("Giving weight to hard negatives makes", ROBINSON, hard, PLAIN),
        ("Giving weight to hard negatives makes", ROBINSON, hard, debiased[-1]),
    )
    return [
        _better(settings, runs, f"{what} better features than '{base}'.", source, names, base)
        for what, source, names, base in rows
    ]


def _gain(runs: Sequence[Run], measure: str, name: str, base: str, steps: int) -> Spread:
    with_it, without = (over_seeds(runs, measure, negatives=one, steps=steps) for one in (name, base))
    return with_it - without


def _better(settings: Settings, runs: Sequence[Run], says: str, source: str, names: Sequence[str], base: str) -> Claim:
    gains = {
        f"{name}, {measure} at {steps} steps": _gain(runs, measure, name, base, steps)
        for name in names
        for measure in MEASURES
        for steps in settings.steps
    }
    texts = [f"{what}: {gain.text(1, scale=100, sign=True)}" for what, gain in gains.items()]
    parts = [Part(f"{what}: clearly better", gain.above()) for what, gain in gains.items()]
    return Claim(says, source, f"gain in points. {'; '.join(texts)}", parts)


def tables(settings: Settings, runs: Sequence[Run]) -> list[str]:
    """All losses."""
    shown = [(RAW, 0), (UNTRAINED, 0), *((name, steps) for steps in settings.steps for name in arms(settings))]
    rows = [
        (
            name,
            f"{steps}",
            *(over_seeds(runs, measure, negatives=name, steps=steps).text(1, scale=100) for measure in MEASURES),
            over_seeds(runs, "uniformity", negatives=name, steps=steps).text(2),
        )
        for name, steps in shown
    ]
    return [aligned(("negatives", "steps", "kNN, %", "linear probe, %", "uniformity"), rows)]


def picture(settings: Settings, runs: Sequence[Run]) -> Figure:
    """Gains over plain InfoNCE, with intervals."""
    figure, many = panels(len(MEASURES))
    names = [name for name in arms(settings) if name != PLAIN]
    looks = zip(settings.steps, COLOURS, "os", (-0.1, 0.1), strict=False)
    for steps, colour, marker, aside in looks:
        for axes, measure in zip(many, MEASURES, strict=True):
            gains = [_gain(runs, measure, name, PLAIN, steps) for name in names]
            axes.errorbar(
                [100 * gain.mean for gain in gains],
                [place + aside for place in range(len(names))],
                xerr=[100 * gain.margin if len(runs) > 1 else 0 for gain in gains],
                fmt=marker,
                color=colour,
                label=f"{steps} steps",
                capsize=3,
            )
    for axes, title in zip(many, ("kNN", "linear probe"), strict=True):
        axes.axvline(0, color=COLOURS[2], linestyle="--")
        axes.set_yticks(range(len(names)), names if axes is many[0] else [""] * len(names))
        axes.set(xlabel="points above all others", ylim=(len(names) - 0.5, -0.5), title=f"{title}, 95 % intervals")
    many[0].legend(frameon=False)
    return figure


STUDY = Study(
    name="hard_negatives",
    title="Debiased, hard and known negatives",
    about=(
        "NT-Xent with all views of other pictures as negatives, with the debiased correction, with weights for hard "
        "negatives (and the correction for a tenth of false ones), and with the labels used to leave the query's class "
        "out; after 300 and 600 steps. Temperature 0.5, as in both papers. kNN: share of the test digits that 5 "
        "neighbours name rightly; linear probe: that a linear classifier does, whose penalty was chosen on a fifth of "
        "the training digits."
    ),
    settings=Settings(),
    tiny=Settings(steps=(1, 2), batch=16),
    seeds=(0, 1, 2, 3, 4),
    run=run,
    claims=claims,
    tables=tables,
    picture=picture,
    shown="Differences from plain InfoNCE in points of accuracy, with intervals, one line per kind of negatives",
)
