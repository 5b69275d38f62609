"""What the studies' pictures have in common."""

from io import StringIO

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.plots import INK, PAPER, styled

__all__ = ["COLOURS", "panels", "svg"]

COLOURS = "#0072b2", "#d55e00", "#6e6e73"
"""Of what is looked at, of what it is compared with, and of limits: Okabe and Ito 2008."""


def panels(count: int) -> tuple[Figure, list[Axes]]:
    """A row of pictures."""
    figure = Figure(figsize=(3.6 * count, 3.2), facecolor=PAPER, layout="constrained")
    found = [styled(axes) for axes in figure.subplots(1, count, squeeze=False)[0]]
    for axes in found:
        axes.title.set(color=INK, fontsize=10)
    return figure, found


def svg(figure: Figure) -> str:
    """As text, the same whenever it is drawn."""
    drawn = StringIO()
    with mpl.rc_context({"svg.hashsalt": "papers", "svg.fonttype": "path"}):
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in drawn.getvalue().splitlines()) + "\n"
