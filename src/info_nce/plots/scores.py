"""How good is it? The scores of an evaluation: points with intervals, and bars."""

import math
from collections.abc import Mapping
from textwrap import wrap

import numpy as np

from info_nce.errors import needs_extra
from info_nce.evaluation.results import ALL, FAR, RAW, Accuracy, Evaluation
from info_nce.evaluation.scorecard import CHANCE, TRAINED, UNTRAINED, Scorecard
from info_nce.plots.canvas import MOST_CLASSES, SIZE, canvas
from info_nce.plots.given import shortened
from info_nce.plots.palette import BLUE, GREY, INK, LINE, MUTED, VERMILION, class_colour

with needs_extra("plots"):
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

OF_FEATURES = {TRAINED: BLUE, UNTRAINED: GREY, RAW: VERMILION, CHANCE: MUTED}
MARKERS = {TRAINED: "o", UNTRAINED: "D", RAW: "s", CHANCE: "x"}


def accuracies(evaluation: Evaluation) -> Figure:
    """How often is each classifier right on each kind of feature? Points with 95 % intervals."""
    probes = list(dict.fromkeys(score.probe for score in evaluation.scores))
    counts = evaluation.counts
    parts = {ALL: f"all {counts['test']:,} test pictures"}
    if counts[FAR]:
        parts[FAR] = f"the {counts[FAR]:,} without a look-alike in training"
    figure, axes = canvas(0.55 + len(parts) * (0.3 + 0.42 * len(probes)))
    rows: list[str] = []
    y = 0.0
    ticks: list[float] = []
    for part, title in parts.items():
        axes.text(0, y, title, transform=axes.get_yaxis_transform(), color=MUTED, va="center", fontstyle="italic")
        for probe in probes:
            y -= 1
            for features, shift in ((RAW, -0.25), (UNTRAINED, 0), (TRAINED, 0.25)):
                _interval(axes, getattr(evaluation.score(features, probe), part), y + shift, features)
            rows.append(probe)
            ticks.append(y)
        y -= 1
    axes.set_yticks(ticks, rows)
    axes.set(ylim=(y + 0.4, 0.5))
    axes.tick_params(axis="y", length=0)
    _percent_axis(axes)
    _legend(axes)
    return figure


def shares(card: Scorecard) -> Figure:
    """How much does each system reach by each measure that is a share? Points with two standard errors."""
    found = [score for score in card.scores if score.unit == "share" and math.isfinite(score.value)]
    systems, measures = (list(dict.fromkeys(getattr(score, name) for score in found)) for name in ("system", "measure"))
    others = [system for system in systems if system not in OF_FEATURES]
    looks = {
        system: (MARKERS[system], OF_FEATURES[system])
        if system in OF_FEATURES
        else ("s^vP*Xhp"[others.index(system) % 8], class_colour(1 + others.index(system)))
        for system in systems
    }
    figure, axes = canvas(0.8 + 0.25 * -(-len(systems) // 2) + len(measures) * (0.2 + 0.11 * len(systems)))
    for score in found:
        marker, colour = looks[score.system]
        y = -measures.index(score.measure) + 0.35 - 0.7 * (systems.index(score.system) + 0.5) / len(systems)
        if math.isfinite(score.standard_error):
            reach = 2 * score.standard_error
            ends = max(0, score.value - reach), min(1, score.value + reach)
            axes.plot(ends, (y, y), color=colour, linewidth=1.6, solid_capstyle="butt")
        axes.plot(score.value, y, marker, color=colour, markersize=6)
    axes.set_yticks(range(0, -len(measures), -1), ["\n".join(wrap(name, 24)) for name in measures], parse_math=False)
    axes.set(ylim=(-len(measures) + 0.5, 0.5))
    axes.tick_params(axis="y", length=0)
    _percent_axis(axes)
    _legend(axes, looks, columns=2)
    return figure


def by_class(evaluation: Evaluation, probe: str, most: int = MOST_CLASSES) -> Figure:
    """Which classes are easy, and which gain by training? Bars for the trained encoder, marks for the baselines."""
    trained = evaluation.score(TRAINED, probe).by_class
    known = [i for i in range(len(trained)) if trained[i].total]
    order = sorted(known, key=lambda i: trained[i].share)[:most]
    figure, axes = canvas(0.75 + 0.29 * len(order))
    places = np.arange(len(order))
    axes.barh(places, [trained[i].share for i in order], height=0.66, color=OF_FEATURES[TRAINED], alpha=0.28)
    for place, i in zip(places, order, strict=True):
        for features in (RAW, UNTRAINED):
            share = evaluation.score(features, probe).by_class[i].share
            axes.plot(share, place, MARKERS[features], color=OF_FEATURES[features], markersize=5)
        _interval(axes, trained[i], float(place), TRAINED)
    axes.set_yticks(places, [shortened(evaluation.classes[i]) for i in order], parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(0, 1.02), ylim=(-0.6, len(order) - 0.4))
    _percent_axis(axes)
    _legend(axes)
    return figure


def _percent_axis(axes: Axes) -> None:
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x", color=LINE, linewidth=0.8)


def _interval(axes: Axes, accuracy: Accuracy, y: float, features: str) -> None:
    colour = OF_FEATURES[features]
    axes.plot(accuracy.interval, (y, y), color=colour, linewidth=1.6, solid_capstyle="butt")
    axes.plot(accuracy.share, y, MARKERS[features], color=colour, markersize=6)


_PICTURES = {features: (MARKERS[features], OF_FEATURES[features]) for features in (RAW, UNTRAINED, TRAINED)}


def _legend(axes: Axes, looks: Mapping[str, tuple[str, str]] = _PICTURES, columns: int = 3) -> None:
    for name, (marker, colour) in looks.items():
        axes.plot([], [], marker, color=colour, label=name, markersize=6)
    axes.get_figure().legend(  # type: ignore[union-attr]  # these axes are in one
        loc="outside upper center",  # of the whole figure: beside long names of measures, the axes have no room for it
        ncols=columns,
        frameon=False,
        labelcolor=INK,
        fontsize=SIZE,
        handletextpad=0.1,
        columnspacing=1.2,
    )
