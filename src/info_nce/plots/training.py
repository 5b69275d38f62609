"""How did training go? The metrics of a run over its steps, and in the plane of alignment and uniformity."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from info_nce.errors import SettingError, needs_extra
from info_nce.plots.canvas import SIZE, canvas, legend, mark_end, number, panels, plain_numbers, titled
from info_nce.plots.given import as_number, shortened
from info_nce.plots.palette import BLUE, LINE, MUTED, VERMILION

with needs_extra("plots"):
    from matplotlib.axes import Axes
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

Metrics: TypeAlias = Sequence[Mapping[str, float]]
"""One mapping for each logged step, as a run's metrics.jsonl holds them."""

# What is drawn of a line of metrics.
_DRAWN = (
    "step",
    "loss",
    "log_candidates",
    "validation_loss",
    "temperature",
    "learning_rate",
    "alignment",
    "uniformity",
)
# the later, the darker
_LATER = LinearSegmentedColormap.from_list("later", ["#c3ddf0", BLUE])


def training_curves(run: Metrics | str | Path) -> Figure:
    """How did training go? Loss, temperature and learning rate, over the steps.

    Args:
        run: the folder of a run; or what you logged yourself: one mapping for each logged step, with "step" and "loss"
            in nats, and any of "log_candidates" (the loss of guessing), "validation_loss", "temperature" and
            "learning_rate".

    Returns:
        A panel for each of them. A loss at the dashed line = no better than guessing; 0 = always right and certain.

    Raises:
        SettingError: nothing was logged, "step" or "loss" is missing, or what is logged is no number.
        RunError: it is no run folder.
    """
    metrics = logged(run)
    drawn = [(_loss, 3.0)]
    if _has(metrics, "temperature"):
        drawn.append((_temperature, 1.1))
    if _has(metrics, "learning_rate"):
        drawn.append((_learning_rate, 1.1))
    heights = [height for _, height in drawn]
    figure, found = panels(0.7 + sum(heights), rows=len(drawn), heights=heights)
    for axes, (draw, _) in zip(found, drawn, strict=True):
        draw(axes, metrics)
        axes.sharex(found[0])
        if axes is not found[-1]:
            axes.tick_params(labelbottom=False)
            axes.set_xlabel("")
    figure.align_ylabels()
    return titled(figure, f"{loss_in_words(metrics)}.")


def alignment_uniformity(run: Metrics | str | Path) -> Figure:
    """Do positives come together while everything spreads out? The way of training through the plane of both.

    Alignment is the mean squared distance of positives: 0 = together, 2 = unrelated. Uniformity is the log of the mean
    Gaussian kernel of pairs: 0 = all in one point, near -4 = evenly spread. Both should fall: towards the lower left.

    Args:
        run: the folder of a run; or one mapping for each point, in the order of training, with "alignment" and
            "uniformity", and "step" if there is one.

    Returns:
        A path from a hollow mark (the first logged step) to a full one (the last).

    Raises:
        SettingError: nothing was logged, one of the two is missing, or what is logged is no number.
        RunError: it is no run folder.

    Source:
        Wang and Isola 2020, arXiv:2005.10242, section 4.1, with their exponents 2 and 2.
    """
    metrics = logged(run, "alignment", "uniformity")
    uniformity, alignment = _column(metrics, "uniformity"), _column(metrics, "alignment")
    figure, axes = canvas(4.0)
    axes.plot(uniformity, alignment, color=MUTED, linewidth=0.8, alpha=0.6)
    axes.scatter(uniformity, alignment, c=np.linspace(0, 1, len(metrics)), cmap=_LATER, s=22, zorder=3)
    for place, face, name in ((0, "white", "first"), (-1, BLUE, "last")):
        step = f" (step {metrics[place]['step']:,.0f})" if "step" in metrics[place] else ""
        axes.plot(
            uniformity[place], alignment[place], "o", ls="", markersize=9, markerfacecolor=face, markeredgecolor=BLUE,
            markeredgewidth=1.8, zorder=4, label=f"{name}{step}",
        )  # fmt: skip
    axes.margins(0.12)
    axes.grid(axis="x", color=LINE, linewidth=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.set(xlabel="uniformity (0: one point; near −4: evenly spread)", ylabel="alignment (0: positives together)")
    legend(axes, 2)
    return titled(
        figure,
        f"{spread_in_words(metrics)}.",
        "The later, the darker. Both fall where training goes well: to the lower left.",
    )


def loss_curve(metrics: Metrics) -> Figure:
    """How far below guessing is the loss? In nats, over the steps of training."""
    figure, axes = canvas(3.1)
    _loss(axes, metrics)
    return figure


def spread_curves(metrics: Metrics) -> Figure:
    """Do views of one picture come together while all pictures spread out? Both over the steps; lower is better."""
    figure, found = panels(4.4, rows=2)
    steps = _column(metrics, "step")
    for axes, name in zip(found, ("alignment", "uniformity"), strict=True):
        values = _column(metrics, name)
        _curve(axes, steps, values, color=BLUE, linewidth=2)
        mark_end(axes, steps, values, number(values[-1]))
        axes.set_ylabel(name)
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.margins(y=0.18)
        _over_steps(axes)
    found[0].tick_params(labelbottom=False)
    found[0].set_xlabel("")
    return figure


def learning_rate(metrics: Metrics) -> Figure:
    """How large were the steps? The learning rate over the steps of training."""
    figure, axes = canvas(1.9)
    _learning_rate(axes, metrics)
    return figure


def loss_in_words(metrics: Metrics) -> str:
    """Say where the loss came from and went to, and what guessing is."""
    first, last = metrics[0], metrics[-1]
    guessing = f"; guessing is {last['log_candidates']:.2f}" if "log_candidates" in last else ""
    if len(metrics) == 1:
        return f"The loss is {last['loss']:.2f} nats{guessing}"
    return f"The loss went from {first['loss']:.2f} to {last['loss']:.2f} nats{guessing}"


def spread_in_words(metrics: Metrics) -> str:
    """Say where alignment and uniformity came from and went to."""
    first, last = metrics[0], metrics[-1]
    ways = [f"from {number(first[name])} to {number(last[name])}" for name in ("alignment", "uniformity")]
    return f"Alignment went {ways[0]}, uniformity {ways[1]}"


def logged(run: Metrics | str | Path, *needed: str) -> Metrics:
    """Read the metrics of a run, or take those at hand; in the order of their steps, if they say them.

    Args:
        run: a folder, or metrics.
        needed: what every line has to have; step and loss by default.

    Raises:
        SettingError: nothing was logged, something needed is missing, or what is logged is no number.
        RunError: it is no run folder.
    """
    if isinstance(run, (str, Path)):
        from info_nce.recipes.progress import Metrics as Logged  # noqa: PLC0415 (metrics at hand need no such packages)
        from info_nce.recipes.runs import read_config  # noqa: PLC0415 (as above)

        folder = Path(run).expanduser()
        read_config(folder)
        run = Logged(folder / "metrics.jsonl").read()
    metrics = [{name: as_number(name, line[name]) for name in _DRAWN if name in line} for line in _lines(run)]
    for name in needed or ("step", "loss"):
        if not metrics or any(name not in line for line in metrics):
            raise SettingError(
                f"{name} has to be known at every logged step." if metrics else "nothing was logged.",
                got=f"{len(metrics)} lines of metrics" + (f" with {', '.join(metrics[0])}" if metrics else ""),
                expected=f"lines with {', '.join(needed or ('step', 'loss'))}",
                advice="the folder of a run that has come to its first line, or [{'step': 10, 'loss': 4.2}, ...]",
            )
    steps = [line["step"] for line in metrics if "step" in line]
    if not all(map(math.isfinite, steps)):
        raise SettingError(
            "a step must be a finite number.",
            got=f"steps {shortened(str(steps), 60)}",
            expected="how many steps were taken before the line was logged",
            advice="leave out lines without a step",
        )
    return sorted(metrics, key=lambda line: line["step"]) if len(steps) == len(metrics) else metrics


def _lines(run: object) -> list[Mapping[str, object]]:
    lines: list[Any] = list(run) if isinstance(run, Iterable) else [run]
    for line in lines:
        if not isinstance(line, Mapping):
            raise SettingError(
                "each line of metrics must be a mapping of names to numbers.",
                got=f"a line {shortened(repr(line), 60)}",
                expected="the folder of a run, or one mapping for each logged step",
                advice="[{'step': 10, 'loss': 4.2}, ...]",
            )
    return lines


def _loss(axes: Axes, metrics: Metrics) -> None:
    steps, loss = _column(metrics, "step"), _column(metrics, "loss")
    highest = loss
    if _has(metrics, "log_candidates"):
        guessing = _column(metrics, "log_candidates")
        _curve(axes, steps, guessing, color=MUTED, linestyle=(0, (5, 3)), linewidth=1.3)
        end = float(guessing[np.isfinite(guessing)][-1])
        label = f"guessing: log {round(math.exp(end)):,} = {end:.2f}"
        style: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "color": MUTED, "fontsize": SIZE}
        axes.annotate(label, (steps[-1], end), (0, -14 if loss[-1] > end else 5), **style)
        highest = np.append(highest, guessing)
    _curve(axes, steps, loss, color=BLUE, linewidth=2, label="in training")
    held_out = [(line["step"], line["validation_loss"]) for line in metrics if "validation_loss" in line]
    if held_out:
        axes.plot(*zip(*held_out, strict=True), "o", color=VERMILION, markersize=4, label="on held-out items")
        legend(axes, 2)
        highest = np.append(highest, [value for _, value in held_out])
    mark_end(axes, steps, loss, f"{loss[-1]:.2f}")
    axes.set(ylim=(0, _top(highest, 1.13)), ylabel="loss (nats)")
    _over_steps(axes)


def _temperature(axes: Axes, metrics: Metrics) -> None:
    steps, values = _column(metrics, "step"), _column(metrics, "temperature")
    _curve(axes, steps, values, color=BLUE, linewidth=2)
    axes.set(ylim=(0, _top(values, 1.25)), ylabel="temperature")
    _over_steps(axes)
    axes.yaxis.set_major_locator(MaxNLocator(3))


def _learning_rate(axes: Axes, metrics: Metrics) -> None:
    steps, rate = _column(metrics, "step"), _column(metrics, "learning_rate")
    _curve(axes, steps, rate, color=BLUE, linewidth=2)
    axes.set(ylim=(0, _top(rate, 1.1)), ylabel="learning rate")
    _over_steps(axes)
    axes.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    plain_numbers(axes.yaxis)


def _curve(axes: Axes, steps: NDArray[np.float64], values: NDArray[np.float64], **look: Any) -> None:
    """Draw a line, with a mark where a number stands alone: a line of one point is not seen."""
    known = np.pad(np.isfinite(values), 1)
    alone = known[1:-1] & ~known[:-2] & ~known[2:]
    axes.plot(steps, values, marker="o" if alone.any() else "None", markevery=alone, markersize=4, **look)


def _over_steps(axes: Axes) -> None:
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    plain_numbers(axes.xaxis)


def _has(metrics: Metrics, name: str) -> bool:
    return any(math.isfinite(line.get(name, math.nan)) for line in metrics)


def _column(metrics: Metrics, name: str) -> NDArray[np.float64]:
    return np.array([line.get(name, math.nan) for line in metrics], dtype=np.float64)


def _top(values: NDArray[np.float64], room: float) -> float | None:
    finite = values[np.isfinite(values)]
    return room * float(finite.max()) if finite.size and finite.max() > 0 else None
