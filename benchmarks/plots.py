"""The pictures of a page: numbers to a matplotlib figure, in the colours of the project's reports."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from benchmarks.goals import Figure as Spread
from benchmarks.problems import LOSSES, PLAIN
from benchmarks.results import Results, goals_of
from benchmarks.rows import Row, compared, entry_of, measured
from info_nce.plots.palette import INK, LINE, MUTED, PAPER

__all__ = ["INK", "PAPER", "SHOWN_WIDTH", "Figure", "memory", "others", "styled", "times"]

_TITLES = {"InfoNCE": "one direction", "SymmetricInfoNCE": "symmetric", "NTXent": "NT-Xent"}
_WIDTH, _SIZE = 10.0, 10
SHOWN_WIDTH = 128
_LEAST_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Look:
    """How a system is drawn: never by colour alone."""

    label: str
    colour: str
    marker: str


# colours that stay apart for colour-blind eyes: Okabe and Ito 2008
LOOKS = {
    "ours": Look("info-nce-kit", "#0072b2", "o"),
    "dense": Look("dense, by hand", "#6e6e73", "D"),
    "info-nce-pytorch": Look("info-nce-pytorch", "#d55e00", "s"),
    "torch-chunked": Look("F.linear_cross_entropy", "#009e73", "v"),
    "sentence-transformers": Look("sentence-transformers", "#cc79a7", "P"),
    "metric-learning": Look("pytorch-metric-learning", "#b3a100", "X"),
    "lightly": Look("lightly", "#e69f00", "^"),
    "open_clip": Look("open_clip", "#56b4e9", "h"),
}

Points = dict[str, dict[int, float]]


def times(results: Results) -> Figure:
    """How far from the limit is each system? Time over the floor, forward and backward."""
    figure, panels = _panels(3.7)
    highest = 10.0
    for axes, loss in zip(panels, PLAIN, strict=True):
        points = _over_floor(results, loss)
        highest = max([highest, *(y for line in points.values() for y in line.values())])
        axes.axhline(1, color=INK, linewidth=1.2)
        goal = _floor_goal(results, loss)
        if goal:
            axes.axhline(goal, **_GOAL_LINE)
        _lines(axes, points)
        _title(axes, loss)
    panels[0].set(yscale="log", ylim=(0.85, highest * 1.15), ylabel="time / floor")
    _ticks(panels[0].yaxis, (1, 2, 5, 10, 20, 50), lambda value: f"{value:g} x")
    _legend(figure, panels)
    return figure


def _over_floor(results: Results, loss: str) -> Points:
    points: Points = {}
    for case in (case for table in ("time", "small", "growth") for case in results.of_table(table)):
        for row in case["entries"].values():
            if (row["loss"], row["what"], row["width"]) == (loss, "loss", SHOWN_WIDTH) and row["rows"] >= _LEAST_ROWS:
                over = compared(case, row, entry_of(case, "ours", "floor", loss, row["rows"]))
                if over:
                    points.setdefault(row["system"], {}).setdefault(row["rows"], over.middle)
    return points


def _floor_goal(results: Results, loss: str) -> float | None:
    goals = ((case["entries"][goal.of.key], goal) for case in results.of_table("time") for goal in goals_of(case))
    wanted = (loss, SHOWN_WIDTH, "time / floor")
    return next((goal.at_most for row, goal in goals if (row["loss"], row["width"], goal.text) == wanted), None)


def memory(results: Results) -> Figure:
    """How much memory does each system take, and where does it stop? Crosses are estimates of what was not run."""
    figure, panels = _panels(3.9)
    total = results.head["machine"]["memory_bytes"]
    for axes, loss in zip(panels, PLAIN, strict=True):
        points, refused = _of_memory(results, loss)
        axes.axhline(total, color=INK, linewidth=1.2)
        _lines(axes, points)
        _stops(axes, points, refused)
        _title(axes, loss)
    text = f"this machine: {total / 1e9:.0f} GB"
    style: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "color": INK}
    panels[0].annotate(text, (0.02, total), (0, 4), fontsize=_SIZE, **style)
    panels[0].set(yscale="log", ylabel="peak memory")
    _ticks(panels[0].yaxis, [10.0**k for k in range(6, 20)], _bytes_text)
    _legend(figure, panels)
    return figure


def _of_memory(results: Results, loss: str) -> tuple[Points, Points]:
    """What was measured, and what was not run as it would need so much."""
    points: Points = {}
    refused: Points = {}
    for row in results.entries("memory"):
        if (row["loss"], row["width"], row["backward"]) == (loss, SHOWN_WIDTH, True):
            if measured(row):
                points.setdefault(row["system"], {})[row["rows"]] = row["bytes"]
            elif "needed_bytes" in row:
                refused.setdefault(row["system"], {})[row["rows"]] = row["needed_bytes"]
    return points, refused


def others(results: Results) -> Figure:
    """What do the other objectives cost? Time over that of plain InfoNCE of the same shape."""
    found = {case["name"]: _over_plain(case) for case in results.of_table("others")}
    names = [name for name in LOSSES if any(name in ratios for ratios in found.values())]
    figure = Figure(figsize=(_WIDTH * 0.75, 1.5 + 0.34 * len(names)), facecolor=PAPER, layout="constrained")
    axes = styled(figure.add_subplot())
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x", color=LINE, linewidth=0.8)
    axes.axvline(1, color=INK, linewidth=1.2)
    goal = next((goal.at_most for case in results.of_table("others") for goal in goals_of(case)), None)
    if goal:
        axes.axvline(goal, **_GOAL_LINE)
        axes.annotate("goal", (goal, 1), (4, 2), xycoords=("data", "axes fraction"), **_SMALL)
    colours = [LOOKS[name].colour for name in ("ours", "info-nce-pytorch", "torch-chunked", "lightly")]
    steps = [0.13 * (2 * i - len(found) + 1) for i in range(len(found))]
    for (shape, ratios), marker, colour, step in zip(found.items(), "oDs^", colours, steps, strict=False):
        places = [names.index(name) + step for name in ratios]
        for place, over in zip(places, ratios.values(), strict=True):
            axes.plot((over.low, over.high), (place, place), color=colour, linewidth=1.6, alpha=0.5)
        axes.plot([over.middle for over in ratios.values()], places, marker, color=colour, markersize=6, label=shape)
    axes.set_yticks(range(len(names)), names)
    axes.set(ylim=(len(names) - 0.4, -0.6), xlabel="time / plain InfoNCE of the same rows x width")
    axes.tick_params(axis="x", length=3)
    figure.legend(loc="outside lower center", ncols=len(found), frameon=False, labelcolor=INK, fontsize=_SIZE)
    return figure


def _over_plain(case: Row) -> dict[str, Spread]:
    plain = entry_of(case, "ours", "loss", "InfoNCE")
    ratios = {loss: compared(case, entry_of(case, "ours", "loss", loss), plain) for loss in LOSSES if loss != "InfoNCE"}
    return {loss: over for loss, over in ratios.items() if over}


# ---- parts

_GOAL_LINE: dict[str, Any] = {"color": MUTED, "linewidth": 1.2, "linestyle": (0, (5, 3))}
_SMALL: dict[str, Any] = {"textcoords": "offset points", "color": MUTED, "fontsize": _SIZE}


def _panels(height: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(_WIDTH, height), facecolor=PAPER, layout="constrained")
    panels = [styled(axes) for axes in figure.subplots(1, len(PLAIN), sharey=True)]
    for axes in panels:
        axes.set_xscale("log")
        axes.set_xlabel("rows")
        _ticks(axes.xaxis, [2**k for k in range(10, 18)], lambda value: f"{value / 1024:.0f}k")
    return figure, panels


def styled(axes: Axes) -> Axes:
    """In the project's colours, with nothing but what is read."""
    axes.set_facecolor("none")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(MUTED)
    axes.tick_params(color=MUTED, labelcolor=MUTED, labelsize=_SIZE)
    axes.tick_params(axis="y", length=0)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=MUTED, fontsize=_SIZE)
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def _title(axes: Axes, loss: str) -> None:
    axes.set_title(_TITLES[loss], color=INK, fontsize=_SIZE + 1, fontweight="bold")


def _ticks(axis: Axis, places: Sequence[float], text: Callable[[float], str]) -> None:
    axis.set_major_locator(FixedLocator(places))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))


def _lines(axes: Axes, points: Points) -> None:
    for name, look in reversed(LOOKS.items()):
        line = sorted(points.get(name, {}).items())
        if line:
            width = 2.4 if name == "ours" else 1.4
            axes.plot(*zip(*line, strict=True), look.marker, ls="-", color=look.colour, linewidth=width, markersize=6)


def _stops(axes: Axes, points: Points, refused: Points) -> None:
    """From the last figure of a system to the first that it would not fit: dotted, with a cross."""
    for name, wanted in refused.items():
        line = sorted(points.get(name, {}).items())[-1:] + sorted(wanted.items())[:1]
        colour = LOOKS[name].colour
        axes.plot(*zip(*line, strict=True), ls=":", color=colour, linewidth=1.4)
        axes.plot(*line[-1], "x", color=colour, markersize=8, markeredgewidth=2)


def _legend(figure: Figure, panels: Sequence[Axes]) -> None:
    shown = {line.get_color() for axes in panels for line in axes.get_lines()}
    handles = [
        panels[0].plot([], [], look.marker, ls="-", color=look.colour, label=look.label)[0]
        for look in LOOKS.values()
        if look.colour in shown
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, labelcolor=INK, fontsize=_SIZE)


def _bytes_text(value: float) -> str:
    unit, each = next((u, e) for u, e in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 0.0)) if value >= e)
    return f"{value / (each or 1e6):g} {unit}"
