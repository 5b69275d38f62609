"""What does the temperature decide? How evenly the embeddings spread, and how near to each other a class may stay."""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from matplotlib.figure import Figure
from torch import nn

from benchmarks.papers.digits import (
    STRONG,
    WEAK,
    Augmentation,
    Training,
    embedded,
    evenness,
    knn,
    load,
    trained,
)
from benchmarks.papers.pictures import COLOURS, panels
from benchmarks.papers.study import Claim, Part, Row, Run, Spread, Study, over_seeds, rising
from benchmarks.text import aligned
from info_nce.diagnostics import tolerance
from info_nce.functional import nt_xent

__all__ = ["STUDY", "VIEWS", "Settings", "net_of"]

WANG = "Wang and Liu 2021, arXiv:2012.09740"
VIEWS = {"weak": WEAK, "strong": STRONG}
MEASURES = ("uniformity", "tolerance", "kNN")


@dataclass(frozen=True, slots=True)
class Settings:
    """Of the study.

    Args:
        temperatures: of NT-Xent, from small to large.
        steps: of training.
        batch: pictures in a batch.
    """

    temperatures: tuple[float, ...] = (0.05, 0.1, 0.2, 0.5, 1.0)
    steps: int = 600
    batch: int = 128


@cache
def net_of(settings: Settings, seed: int, augmentation: Augmentation, temperature: float) -> nn.Module:
    """An encoder trained with NT-Xent at this temperature; another study looks at the same ones."""
    training = Training(seed, settings.steps, settings.batch, augmentation=augmentation)
    return trained(training, lambda view1, view2, _: nt_xent(view1, view2, temperature=temperature))


def run(settings: Settings, seed: int) -> Iterator[Row]:
    """One row per augmentation and temperature."""
    digits = load(seed)
    for views, augmentation in VIEWS.items():
        for temperature in settings.temperatures:
            encoder = net_of(settings, seed, augmentation, temperature)
            test = embedded(encoder, digits.test)
            found = (evenness(test), float(tolerance(test, digits.test_labels)), knn(encoder, digits))
            yield {"views": views, "temperature": temperature, **dict(zip(MEASURES, found, strict=True))}


def _found(settings: Settings, runs: Sequence[Run], views: str, measure: str) -> list[Spread]:
    return [over_seeds(runs, measure, views=views, temperature=t) for t in settings.temperatures]


def claims(settings: Settings, runs: Sequence[Run]) -> list[Claim]:
    """Uniformity, tolerance, and accuracy, each with weak and with strong views."""
    even = "the more evenly are the embeddings spread"
    strict = "the less may pictures of a class be close to each other"
    return [
        *(_trend(settings, runs, views, "uniformity", even) for views in VIEWS),
        *(_trend(settings, runs, views, "tolerance", strict) for views in VIEWS),
        *(_peak(settings, runs, views) for views in VIEWS),
    ]


def _trend(settings: Settings, runs: Sequence[Run], views: str, measure: str, what: str) -> Claim:
    found = _found(settings, runs, views, measure)
    values = [spread.mean for spread in found]
    return Claim(
        f"The smaller the temperature, {what}; with {views} views.",
        WANG,
        f"{measure} {_at(settings, [spread.text(2) for spread in found])}",
        [
            Part(f"{measure} rises with each temperature from {start:g} on", rising(values[place:]))
            for place, start in enumerate(settings.temperatures[:2])
        ],
    )


def _peak(settings: Settings, runs: Sequence[Run], views: str) -> Claim:
    found = _found(settings, runs, views, "kNN")
    between = Spread(tuple(statistics.fmean(values) for values in zip(*(s.values for s in found[1:-1]), strict=True)))
    return Claim(
        f"Neither the smallest nor the largest temperature gives the best features; with {views} views.",
        WANG,
        f"kNN in % {_at(settings, [spread.text(1, scale=100) for spread in found])}",
        [
            Part(f"those between are clearly better than the {end}", (between - found[place]).above())
            for end, place in (("smallest", 0), ("largest", -1))
        ],
    )


def _at(settings: Settings, texts: Sequence[str]) -> str:
    return "at " + ", ".join(f"{tau:g}: {text}" for tau, text in zip(settings.temperatures, texts, strict=True))


def tables(settings: Settings, runs: Sequence[Run]) -> list[str]:
    """Both augmentations."""
    rows = [
        (views, f"{t:g}", u.text(2), o.text(3), a.text(1, scale=100))
        for views in VIEWS
        for t, u, o, a in zip(
            settings.temperatures, *(_found(settings, runs, views, measure) for measure in MEASURES), strict=True
        )
    ]
    return [aligned(("views", "temperature", "uniformity", "tolerance", "kNN, %"), rows)]


def picture(settings: Settings, runs: Sequence[Run]) -> Figure:
    """The three measures over the temperature."""
    figure, many = panels(3)
    for axes, measure in zip(many, MEASURES, strict=True):
        for views, colour, marker in (("weak", COLOURS[0], "o"), ("strong", COLOURS[1], "s")):
            found = _found(settings, runs, views, measure)
            axes.errorbar(
                settings.temperatures,
                [spread.mean for spread in found],
                [spread.standard_error if math.isfinite(spread.standard_error) else 0 for spread in found],
                marker=marker,
                color=colour,
                label=f"{views} views",
            )
        axes.set(xscale="log", xlabel="temperature", title=measure)
    many[0].legend(frameon=False)
    return figure


STUDY = Study(
    name="temperature",
    title="Temperature: evenly spread or tolerant",
    about=(
        "NT-Xent at five temperatures, on digits whose two views differ little (noise 0.05, 5 % of the pixels dropped) "
        "or much (noise 0.2, 25 % dropped, moved by a pixel); all else is equal, the number of steps too. Uniformity: "
        "0 = one point, near -4 = as even as the sphere allows. Tolerance: mean cosine of different test digits of one "
        "class. kNN: share of the test digits that 5 neighbours name rightly. Our reading of what goes the other "
        "way: at a small temperature small angles already tell pictures apart, so that an encoder which has not yet "
        "brought strong views together need not spread."
    ),
    settings=Settings(),
    tiny=Settings(steps=2, batch=16),
    seeds=(0, 1, 2),
    run=run,
    claims=claims,
    tables=tables,
    picture=picture,
    shown=(
        "With weak views uniformity and tolerance rise with the temperature from 0.1 on; with strong views they are "
        "highest at the smallest temperature"
    ),
)
