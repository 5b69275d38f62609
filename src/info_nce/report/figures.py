"""The figures of a report: one function each, from numbers to a matplotlib figure, without any global state."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from info_nce.errors import needs_extra
from info_nce.evaluation.results import ALL, FAR, RAW, Accuracy, Evaluation
from info_nce.evaluation.scorecard import TRAINED, UNTRAINED, Scorecard
from info_nce.report.palette import INK, LINE, MARKERS, MUTED, OF_CLASSES, OF_FEATURES, PAPER

with needs_extra("plots"):
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

# Inches of 72 units: a figure is as wide as a phone, so that its text stays legible there.
WIDTH = 5.0
MOST_CLASSES = 20
_SIZE, _DOTS = 10, 600


def loss_curve(metrics: Sequence[Mapping[str, float]]) -> Figure:
    """How far below guessing is the loss? In nats, over the steps of training."""
    figure, axes = _canvas(3.1)
    steps, loss, guessing = (_column(metrics, name) for name in ("step", "loss", "log_candidates"))
    axes.plot(steps, guessing, color=MUTED, linestyle=(0, (5, 3)), linewidth=1.3)
    axes.plot(steps, loss, color=OF_FEATURES[TRAINED], linewidth=2)
    held_out = [(line["step"], line["validation_loss"]) for line in metrics if "validation_loss" in line]
    if held_out:
        axes.plot(*zip(*held_out, strict=True), "o", color=OF_FEATURES[RAW], markersize=4, label="on held-out items")
        axes.legend(loc="lower left", frameon=False, labelcolor=MUTED, fontsize=_SIZE)
    candidates = round(math.exp(guessing[-1]))
    label, over = f"guessing: log {candidates:,} = {guessing[-1]:.2f}", loss[-1] > guessing[-1]
    style: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "color": MUTED}
    axes.annotate(label, (steps[-1], guessing[-1]), (0, -14 if over else 5), **style)
    _mark_end(axes, steps, loss, f"{loss[-1]:.2f}", below=0.7 * guessing[-1] < loss[-1] <= guessing[-1])
    highest = max(guessing.max(), loss.max(), *(value for _, value in held_out))
    axes.set(ylim=(0, highest * 1.13), ylabel="loss (nats)", xlabel="step")
    return figure


def alignment_and_uniformity(metrics: Sequence[Mapping[str, float]]) -> Figure:
    """Do views of one picture come together while all pictures spread out? Both over the steps; lower is better."""
    figure, (top, bottom) = _panels(4.4, rows=2)
    steps = _column(metrics, "step")
    for axes, name in ((top, "alignment"), (bottom, "uniformity")):
        values = _column(metrics, name)
        axes.plot(steps, values, color=OF_FEATURES[TRAINED], linewidth=2)
        _mark_end(axes, steps, values, f"{values[-1]:.2f}".replace("-", "−"))
        axes.set_ylabel(name)
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.margins(y=0.18)
    top.tick_params(labelbottom=False)
    bottom.set_xlabel("step")
    return figure


def learning_rate(metrics: Sequence[Mapping[str, float]]) -> Figure:
    """How large were the steps? The learning rate over the steps of training."""
    figure, axes = _canvas(1.9)
    steps, rate = _column(metrics, "step"), _column(metrics, "learning_rate")
    axes.plot(steps, rate, color=OF_FEATURES[TRAINED], linewidth=2)
    axes.set(ylim=(0, rate.max() * 1.1), ylabel="learning rate", xlabel="step")
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2), useMathText=True)
    return figure


def accuracies(evaluation: Evaluation) -> Figure:
    """How often is each classifier right on each kind of feature? Points with 95 % intervals."""
    probes = list(dict.fromkeys(score.probe for score in evaluation.scores))
    counts = evaluation.counts
    parts = {ALL: f"all {counts['test']:,} test pictures"}
    if counts[FAR]:
        parts[FAR] = f"the {counts[FAR]:,} without a look-alike in training"
    figure, axes = _canvas(0.55 + len(parts) * (0.3 + 0.42 * len(probes)))
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
    figure, axes = _canvas(0.8 + 0.25 * -(-len(systems) // 2) + len(measures) * (0.2 + 0.11 * len(systems)))
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
    figure, axes = _canvas(0.75 + 0.29 * len(order))
    places = np.arange(len(order))
    axes.barh(places, [trained[i].share for i in order], height=0.66, color=OF_FEATURES[TRAINED], alpha=0.28)
    for place, i in zip(places, order, strict=True):
        for features in (RAW, UNTRAINED):
            share = evaluation.score(features, probe).by_class[i].share
            axes.plot(share, place, MARKERS[features], color=OF_FEATURES[features], markersize=5)
        _interval(axes, trained[i], float(place), TRAINED)
    axes.set_yticks(places, [_shortened(evaluation.classes[i]) for i in order], parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(0, 1.02), ylim=(-0.6, len(order) - 0.4))
    _percent_axis(axes)
    _legend(axes)
    return figure


def similarity_matrix(similarity: Float[NDArray[np.float32], "n n"], sizes: Mapping[str, int]) -> Figure:
    """Are pictures of one class alike? Cosine similarity of every pair, the pictures in the order of their classes.

    Args:
        similarity: of every pair.
        sizes: how many pictures each class has here, in that order.
    """
    figure, axes = _canvas(4.25)
    off_diagonal = similarity[~np.eye(len(similarity), dtype=bool)]
    low, high = np.quantile(off_diagonal, (0.02, 0.98))
    axes.grid(visible=False)
    # A browser smooths what it enlarges, so each pair of a few pictures becomes several dots.
    dots = np.kron(similarity, np.ones((max(1, _DOTS // len(similarity)),) * 2))
    extent = (-0.5, len(similarity) - 0.5, len(similarity) - 0.5, -0.5)
    picture = axes.imshow(dots, cmap="cividis", vmin=low, vmax=high, interpolation="none", extent=extent)
    edges = np.cumsum([0, *sizes.values()])
    for edge in edges[1:-1]:
        axes.axhline(edge - 0.5, color="white", linewidth=0.6)
        axes.axvline(edge - 0.5, color="white", linewidth=0.6)
    middles = (edges[:-1] + edges[1:] - 1) / 2
    names = [_shortened(name) if len(sizes) <= MOST_CLASSES else "" for name in sizes]
    axes.set_yticks(middles, names, parse_math=False)
    axes.set_xticks(middles, names, rotation=90, parse_math=False)
    axes.tick_params(length=0)
    bar = figure.colorbar(picture, ax=axes, shrink=0.8, pad=0.03, aspect=24)
    bar.outline.set_visible(False)
    bar.ax.tick_params(color=LINE, labelcolor=MUTED, labelsize=_SIZE - 1)
    return figure


@dataclass(frozen=True, slots=True)
class Label:
    """A word on the map, with the room that it needs, all as shares of the map's width and height."""

    text: str
    x: float
    y: float
    half_width: float
    half_height: float


def labels_on_map(
    places: Float[NDArray[np.float64], "n 2"], kinds: Int[NDArray[np.int64], " n"], names: Sequence[str]
) -> list[Label]:
    """Where to write the names of the classes: at the most central picture of each; nowhere if there are too many."""
    labels = []
    for kind in np.unique(kinds) if len(names) <= 2 * len(OF_CLASSES) else ():
        mine, text = places[kinds == kind], _shortened(names[kind])
        x, y = mine[np.median(np.linalg.norm(mine[:, None] - mine, axis=2), axis=1).argmin()]
        labels.append(Label(text, x, y, half_width=0.004 + 0.0065 * len(text), half_height=0.024))
    return labels


def projection(
    places: Float[NDArray[np.float64], "n 2"],
    canvas: NDArray[np.uint8],
    kinds: Int[NDArray[np.int64], " n"],
    labels: Sequence[Label],
) -> Figure:
    """Which pictures does the encoder put together? Every picture is a point, and as many as fit are shown.

    Args:
        places: of the pictures, from 0 to 1 in both directions.
        canvas: the pictures that fit, drawn at their places.
        kinds: the class of each picture.
        labels: the names of the classes.
    """
    figure = Figure(figsize=(10, 10 * canvas.shape[0] / canvas.shape[1]), facecolor="none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_axis_off()
    for kind in np.unique(kinds):
        mine = places[kinds == kind]
        axes.plot(*mine.T, ls="", marker=class_marker(kind), color=class_colour(kind), markersize=4.5, alpha=0.8)
    axes.imshow(canvas, extent=(0, 1, 0, 1), aspect="auto", interpolation="none", zorder=3)
    box = {"boxstyle": "round,pad=0.2", "facecolor": PAPER, "edgecolor": "none", "alpha": 0.85}
    style: dict[str, Any] = {"fontsize": 14, "fontweight": "bold", "color": INK, "bbox": box, "parse_math": False}
    for label in labels:
        axes.text(label.x, label.y, label.text, ha="center", va="center", zorder=4, **style)
    return figure


def class_colour(kind: int) -> str:
    """Choose the colour of a class; they come round again, then with another marker."""
    return OF_CLASSES[kind % len(OF_CLASSES)]


def class_marker(kind: int) -> str:
    """Choose the marker of a class."""
    return "osD^"[kind // len(OF_CLASSES) % 4]


def _canvas(height: float) -> tuple[Figure, Axes]:
    figure, (axes,) = _panels(height, rows=1)
    return figure, axes


def _panels(height: float, rows: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(WIDTH, height), facecolor="none", layout="constrained")
    panels = [figure.add_subplot(rows, 1, row + 1, facecolor="none") for row in range(rows)]
    for axes in panels:
        axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
        axes.spines["bottom"].set(visible=True, color=MUTED)
        axes.tick_params(color=MUTED, labelcolor=MUTED, labelsize=_SIZE)
        axes.xaxis.label.set(color=MUTED, fontsize=_SIZE)
        axes.yaxis.label.set(color=MUTED, fontsize=_SIZE)
        axes.grid(axis="y", color=LINE, linewidth=0.8)
        axes.set_axisbelow(True)
    return figure, panels


def _percent_axis(axes: Axes) -> None:
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x", color=LINE, linewidth=0.8)


def _column(metrics: Sequence[Mapping[str, float]], name: str) -> NDArray[np.float64]:
    return np.array([line[name] for line in metrics], dtype=np.float64)


def _mark_end(
    axes: Axes, steps: NDArray[np.float64], values: NDArray[np.float64], text: str, *, below: bool = False
) -> None:
    axes.plot(steps[-1], values[-1], "o", color=OF_FEATURES[TRAINED], markersize=5)
    style: dict[str, Any] = {"color": INK, "fontweight": "bold", "fontsize": _SIZE, "ha": "right"}
    axes.annotate(text, (steps[-1], values[-1]), (0, -16 if below else 8), textcoords="offset points", **style)


def _interval(axes: Axes, accuracy: Accuracy, y: float, features: str) -> None:
    colour = OF_FEATURES[features]
    axes.plot(accuracy.interval, (y, y), color=colour, linewidth=1.6, solid_capstyle="butt")
    axes.plot(accuracy.share, y, MARKERS[features], color=colour, markersize=6)


_PICTURES = {features: (MARKERS[features], OF_FEATURES[features]) for features in (RAW, UNTRAINED, TRAINED)}


def _legend(axes: Axes, looks: Mapping[str, tuple[str, str]] = _PICTURES, columns: int = 3) -> None:
    for name, (marker, colour) in looks.items():
        axes.plot([], [], marker, color=colour, label=name, markersize=6)
    axes.get_figure(root=True).legend(  # type: ignore[union-attr]  # these axes are in one
        loc="outside upper center",  # of the whole figure: beside long names of measures, the axes have no room for it
        ncols=columns,
        frameon=False,
        labelcolor=INK,
        fontsize=_SIZE,
        handletextpad=0.1,
        columnspacing=1.2,
    )


def _shortened(name: str, most: int = 16) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
