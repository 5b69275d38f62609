"""Who is alike? Matrices of similarities, and what the softmax of the loss makes of them."""

# N queries, M keys, D features

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from info_nce import info_nce
from info_nce.engines import Dense
from info_nce.errors import SettingError, needs_extra
from info_nce.plots.canvas import MOST_CLASSES, SIZE, SMALL, canvas, panels, plain_bar, titled
from info_nce.plots.given import described, shortened
from info_nce.plots.palette import INK, POSITIVE
from info_nce.similarity import Cosine, Similarity

with needs_extra("plots"):
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.ticker import MaxNLocator

_DOTS = 600


def similarity_matrix(
    query: Float[Tensor, "n d"],
    key: Float[Tensor, "m d"],
    *,
    temperature: float = 0.1,
    positives: Bool[Tensor, "n m"] | None = None,
    similarity: Similarity = Cosine(),  # noqa: B008 (it has no state)
) -> Figure:
    """Which key does each query take for its own, and which query does each key?

    Similarities, the softmax of their rows, which is what InfoNCE looks at, and the softmax of their columns, which the
    symmetric loss looks at as well.

    Args:
        query: one row for each query.
        key: row i belongs to query i; rows beyond the last query are nobody's.
        temperature: τ > 0 of the softmax. Typical 0.01 to 0.5.
        positives: which keys belong to which query, if others do.
        similarity: of a query and a key; cosine by default.

    Returns:
        Three matrices with the positives outlined. Probability 1 = certain, 1 / number of candidates = guessing. A
        query has found its own if a positive has a larger probability than every other key; a tie is none.

    Raises:
        ShapeError: these are no two sets of embeddings of one width, or a query has no key and `positives` says none.
        DTypeError: they are no tensors of floating-point numbers.
        ArgumentError: the temperature is not positive.
        SettingError: `positives` is no mask of the matrix's shape.

    Source:
        van den Oord, Li, Vinyals 2018, arXiv:1807.03748, eq. 4; Radford et al. 2021, arXiv:2103.00020, figure 3.
    """
    sides = (query, key)
    if all(isinstance(side, Tensor) and side.dim() for side in sides):
        sides = (query if positives is None else query[: len(key)], key[: len(query)])
    with torch.no_grad():
        # what cannot be compared is refused by the loss itself
        info_nce(*sides, temperature=temperature, similarity=similarity, engine=Dense())
        alike = similarity(query, key).double().cpu()
        by_row, by_column = ((alike / temperature).softmax(dim) for dim in (1, 0))
        own = _own(positives, alike)
    figure, axes = panels(3.15, columns=3)
    drawn = (
        ("similarity", alike, "cividis"),
        ("softmax by row", by_row, "Blues"),
        ("softmax by column", by_column, "Blues"),
    )
    likely = (0.0, max(_range(by_row)[1], _range(by_column)[1]))
    for panel, (name, matrix, colours) in zip(axes, drawn, strict=True):
        picture = _cells(panel, matrix.numpy(), colours, _range(alike) if matrix is alike else likely)
        panel.add_collection(_outlines(own))
        panel.set_title(name, fontsize=SMALL, color=INK)
        panel.set_xlabel("key", fontsize=SMALL)
        panel.tick_params(labelleft=panel is axes[0])
        bar = figure.colorbar(picture, ax=panel, location="bottom", aspect=12, pad=0.03)
        bar.locator = MaxNLocator(3)
        plain_bar(bar, "similarity" if matrix is alike else "probability")
    axes[0].set_ylabel("query", fontsize=SMALL)
    title = (
        f"{_found(by_row, own, 1)} of {int(own.any(1).sum())} queries find their own key, "
        f"{_found(by_column, own, 0)} of {int(own.any(0).sum())} keys their query."
    )
    return titled(figure, title, f"Outlined: who belongs together. Temperature {temperature:.3g}.")


def class_similarity(similarity: Float[np.ndarray, "n n"], sizes: Mapping[str, int]) -> Figure:
    """Are pictures of one class alike? Cosine similarity of every pair, the pictures in the order of their classes.

    Args:
        similarity: of every pair.
        sizes: how many pictures each class has here, in that order.
    """
    figure, axes = canvas(4.25)
    off_diagonal = similarity[~np.eye(len(similarity), dtype=bool)]
    low, high = np.quantile(off_diagonal, (0.02, 0.98)).tolist()
    # A browser smooths what it enlarges, so each pair of a few pictures becomes several dots.
    dots = np.kron(similarity, np.ones((max(1, _DOTS // len(similarity)),) * 2))
    extent = (-0.5, len(similarity) - 0.5, len(similarity) - 0.5, -0.5)
    picture = _cells(axes, dots, "cividis", (low, high), extent)
    edges = np.cumsum([0, *sizes.values()])
    for edge in edges[1:-1]:
        axes.axhline(edge - 0.5, color="white", linewidth=0.6)
        axes.axvline(edge - 0.5, color="white", linewidth=0.6)
    middles = (edges[:-1] + edges[1:] - 1) / 2
    names = [shortened(name) if len(sizes) <= MOST_CLASSES else "" for name in sizes]
    axes.set_yticks(middles, names, parse_math=False)
    axes.set_xticks(middles, names, rotation=90, parse_math=False)
    axes.tick_params(labelsize=SIZE)
    plain_bar(figure.colorbar(picture, ax=axes, shrink=0.8, pad=0.03, aspect=24))
    return figure


def _cells(
    axes: Axes,
    matrix: NDArray[Any],
    colours: str,
    between: tuple[float, float],
    extent: tuple[float, float, float, float] | None = None,
) -> AxesImage:
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(length=0, labelsize=SMALL)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(3, integer=True))
    low, high = between
    return axes.imshow(matrix, cmap=colours, vmin=low, vmax=high, interpolation="none", extent=extent)


def _outlines(cells: Bool[Tensor, "n m"]) -> LineCollection:
    corners = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5)])
    squares = [corners + np.array([column, row]) for row, column in cells.nonzero().tolist()]
    return LineCollection(squares, colors=POSITIVE, linewidths=min(1.4, 24 / max(cells.shape)))


def _own(positives: Tensor | None, alike: Tensor) -> Bool[Tensor, "n m"]:
    if positives is None:
        return torch.eye(*alike.shape, dtype=torch.bool)
    if not isinstance(positives, Tensor) or positives.dtype != torch.bool or positives.shape != alike.shape:
        raise SettingError(
            "positives must say of every query and key whether they belong together.",
            got=f"positives: {described(positives)}",
            expected=f"positives {tuple(alike.shape)} of torch.bool",
            advice="positives=query_labels[:, None] == key_labels",
        )
    return positives.cpu()


def _found(probabilities: Tensor, own: Tensor, dim: int) -> int:
    # NaN is larger than nothing, and so found by nobody
    nothing = torch.tensor(-1.0, dtype=probabilities.dtype)
    best, rival = (torch.where(cells, probabilities, nothing).amax(dim) for cells in (own, ~own))
    return int((best > rival).sum())


def _range(values: Float[Tensor, "n m"]) -> tuple[float, float]:
    finite = values[values.isfinite()]
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
