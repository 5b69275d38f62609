"""The result of a search as a picture: the query, and beside it what was found."""

import io
import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from info_nce.errors import needs_extra
from info_nce.evaluation.matches import Match
from info_nce.plots.palette import BLUE as QUERY
from info_nce.plots.palette import INK, MUTED
from info_nce.recipes.files import write_safely

with needs_extra("plots"):
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PER_ROW = 10
# A longer list is for the table; a picture of it would take minutes and help nobody.
MOST_DRAWN = 50
_LONGEST = 14
_LINES = 8


def draw_matches(
    target: Path,
    name: str,
    query: UInt8[Tensor, "c h w"] | None,
    images: Sequence[UInt8[Tensor, "c h w"]],
    found: Sequence[Match],
) -> Path:
    """Draw the query and its first 50 matches, ten in a row, each with label and similarity, and write it as PNG.

    Args:
        target: the file to write.
        name: of the query.
        query: its pixels; None if it is a text, which is its name.
        images: of the matches, most similar first.
        found: what is known about them.

    Returns:
        The file.

    Raises:
        RunError: it cannot be written.
    """
    found = found[:MOST_DRAWN]
    columns = min(_PER_ROW, len(found))
    rows = -(-len(found) // columns)
    figure = Figure(figsize=(1.15 * (columns + 1.3), 1.62 * rows), facecolor="white", layout="constrained")
    grid = figure.add_gridspec(rows, columns + 1, width_ratios=[1.3, *[1] * columns])
    first = figure.add_subplot(grid[:, 0])
    if query is None:
        first.axis("off")
        first.set_title("you looked for", fontsize=8.5, color=INK)
        words = "\n".join(textwrap.wrap(name, 2 * _LONGEST)[:_LINES])
        first.text(0.5, 0.5, words, ha="center", va="center", fontsize=8, color=QUERY, parse_math=False)
    else:
        _tile(first, query, "you looked for", _shortened(name), frame=QUERY)
    for i, match in enumerate(found):
        axes = figure.add_subplot(grid[i // columns, 1 + i % columns])
        below = f"{match.similarity:.3f}" + (" (same)" if match.same else "")
        _tile(axes, images[i], _shortened(match.label or match.part), below)
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(content, format="png", dpi=200)
    write_safely(target, content.getvalue())
    return target


def _tile(axes: Axes, image: UInt8[Tensor, "c h w"], above: str, below: str, *, frame: str = "#c9ccd1") -> None:
    axes.imshow(as_picture(image), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_title(above, fontsize=8.5, color=INK, parse_math=False)
    axes.set_xlabel(below, fontsize=8, color=MUTED, parse_math=False)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set(color=frame, linewidth=2.2 if frame == QUERY else 1)


def as_picture(image: UInt8[Tensor, "c h w"]) -> np.ndarray:
    """Turn a picture's channels to where a plotting library expects them: (h w) for grey, (h w 3) for colour."""
    return image[0].numpy() if len(image) == 1 else image.permute(1, 2, 0).numpy()


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
