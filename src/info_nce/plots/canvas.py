"""What all figures share: their size, their axes, a title that says what is seen, and how one becomes a file."""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from info_nce.errors import SettingError, needs_extra
from info_nce.plots.given import check_least
from info_nce.plots.palette import BLUE, INK, LINE, MUTED
from info_nce.recipes.files import write_safely

with needs_extra("plots"):
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path
    from matplotlib.ticker import FuncFormatter

# Inches of 72 points: a figure is as wide as a phone or the column of a paper, so that its text stays legible there.
WIDTH: Final = 5.0
SIZE: Final = 10.0
SMALL: Final = 9.0
# The names of more classes than these cannot be read beside each other.
MOST_CLASSES: Final = 20
SUFFIXES: Final = (".png", ".svg", ".pdf")
_EDGE = 0.06
# Settings of matplotlib are everybody's, and so are its filters of warnings.
_SAVING = Lock()


def canvas(height: float) -> tuple[Figure, Axes]:
    """Begin a figure of one panel, so many inches high."""
    figure, (axes,) = panels(height, rows=1)
    return figure, axes


def panels(
    height: float, *, rows: int = 1, columns: int = 1, heights: Sequence[float] = ()
) -> tuple[Figure, list[Axes]]:
    """Begin a figure of several panels, row by row.

    Args:
        height: of the whole, in inches.
        rows: of panels.
        columns: of panels.
        heights: of the rows, relative to each other; all alike by default.
    """
    figure = Figure(figsize=(WIDTH, height), facecolor="white", layout="constrained")
    grid = figure.add_gridspec(rows, columns, height_ratios=list(heights) or None)
    found = [figure.add_subplot(grid[i], facecolor="none") for i in range(rows * columns)]
    for axes in found:
        axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
        axes.spines["bottom"].set(visible=True, color=MUTED)
        axes.tick_params(which="both", color=MUTED, labelcolor=MUTED, labelsize=SIZE)
        axes.xaxis.label.set(color=MUTED, fontsize=SIZE)
        axes.yaxis.label.set(color=MUTED, fontsize=SIZE)
        axes.grid(axis="y", color=LINE, linewidth=0.8)
        axes.set_axisbelow(True)
    return figure, found


def titled(figure: Figure, title: str, note: str = "") -> Figure:
    """Write above a figure what it shows, and below it what to know to read it."""
    left = _EDGE / WIDTH
    style: dict[str, Any] = {"x": left, "ha": "left", "parse_math": False}
    figure.suptitle(_wrapped(title, bold=True), fontsize=SIZE, fontweight="bold", color=INK, **style)
    if note:
        figure.supxlabel(_wrapped(note, bold=False), fontsize=SMALL, color=MUTED, **style)
    return figure


def _wrapped(text: str, *, bold: bool) -> str:
    font = FontProperties(size=SIZE, weight="bold") if bold else FontProperties(size=SMALL)
    room = 0.98 * 72 * (WIDTH - 2 * _EDGE)  # letters are set to whole pixels, and so a little wider than they are
    lines = narrower = _lines(text, font, room)
    # as few lines as there can be, and then as even as they can be: no last line of one word
    while room > 72 and len(narrower) == len(lines):
        lines, room = narrower, 0.97 * room
        narrower = _lines(text, font, room)
    return "\n".join(lines)


def _lines(text: str, font: FontProperties, room: float) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if text_to_path.get_text_width_height_descent(longer, font, ismath=False)[0] <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def legend(axes: Axes, columns: int) -> None:
    """Name the lines of a panel above it, in so many columns; a note in the panel itself would lie on the lines."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=columns,
        frameon=False,
        labelcolor=INK,
        fontsize=SMALL,
        borderaxespad=0.2,
        handlelength=2.1,
        handletextpad=0.5,
        columnspacing=1.0,
    )


def plain_numbers(axis: Axis) -> None:
    """Write the numbers of an axis without powers, whose exponents are too small to be read."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}".replace("-", "−")))


def plain_bar(bar: Colorbar, name: str = "") -> None:
    """Leave a bar of colours without a frame, and say what it measures."""
    bar.outline.set_visible(False)
    bar.ax.tick_params(color=LINE, labelcolor=MUTED, labelsize=SMALL)
    bar.set_label(name, fontsize=SMALL, color=MUTED)


def mark_end(axes: Axes, steps: NDArray[np.float64], values: NDArray[np.float64], text: str) -> None:
    """Mark the last point of a curve, with its value in words to the right of it, where there is no curve."""
    axes.plot(steps[-1], values[-1], "o", color=BLUE, markersize=5)
    style: dict[str, Any] = {"color": INK, "fontweight": "bold", "fontsize": SIZE, "va": "center"}
    axes.annotate(text, (steps[-1], values[-1]), (6, 0), textcoords="offset points", annotation_clip=False, **style)


def number(value: float) -> str:
    """Write a number with the minus of mathematics."""
    return f"{value:.2f}".replace("-", "−")


def figure_path(path: str | Path) -> Path:
    """Which file is meant?

    Raises:
        SettingError: its suffix is none that a figure can be written as.
    """
    file = Path(path).expanduser()
    if file.suffix.lower() not in SUFFIXES:
        raise SettingError(
            "a figure is written as a picture or as a drawing, by the suffix of its name.",
            got=file,
            expected=f"a name that ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}",
            advice=str(file.with_suffix(".png") if file.name else "figure.png"),
        )
    return file


def save(figure: Figure, path: str | Path, *, dots_per_inch: int = 200) -> Path:
    """Write a figure into a file, in one step: an old file is there until the new one is whole.

    Args:
        figure: any of matplotlib's.
        path: ends in .png, .svg or .pdf, which says what is written.
        dots_per_inch: of a PNG, and of what is a picture inside of the others.

    Returns:
        The file. The same figure gives the same bytes; one of yours in a tight layout may move on a little.

    Raises:
        SettingError: the suffix is another one, or there are no dots.
        RunError: the file cannot be written.
    """
    check_least(dots_per_inch=(dots_per_inch, 1))
    file = figure_path(path)
    kind = file.suffix.lower().removeprefix(".")
    undated: dict[str, Any] = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
    content = io.BytesIO()
    # the same ids each time, and letters that can be searched for
    same = mpl.rc_context({"svg.hashsalt": "info-nce", "pdf.fonttype": 42})
    with _SAVING, _left_in_place(figure), same, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(content, format=kind, dpi=dots_per_inch, metadata=undated)
    write_safely(file, content.getvalue())
    return file


@contextmanager
def _left_in_place(figure: Figure) -> Iterator[None]:
    """Put all axes back where they were: a constrained layout begins where the last one ended, and moves on."""
    before = [
        (axes, axes.get_in_layout(), axes.get_position(original=True), axes.get_position()) for axes in figure.axes
    ]
    try:
        yield
    finally:
        for axes, in_layout, original, active in before:
            axes.set_position(original, "original")
            axes.set_position(active, "active")
            axes.set_in_layout(in_layout)  # setting a position takes axes out of it
