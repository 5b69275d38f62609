"""Who lies beside whom? Embeddings on a flat map, as points and as pictures."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy.typing import NDArray
from torch import Tensor

from info_nce.errors import SettingError, needs_extra
from info_nce.plots.canvas import SMALL, WIDTH, canvas, titled
from info_nce.plots.given import check_images, check_items, check_labels, described, shortened
from info_nce.plots.palette import INK, MUTED, OF_CLASSES, PAPER, class_colour, class_marker
from info_nce.similarity import unit

with needs_extra("plots"):
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Fewer items have no neighbourhoods to keep.
_FEWEST_FOR_TSNE = 30
_PERPLEXITY = 30.0
# Room for half a picture at each edge of the map.
_MARGIN = 0.03
# Of a map in a figure of its own: pixels of its pictures, and how high it is for its width.
_PIXELS, _SHAPE = (1000, 720), 0.72
_WIDE, _WIDE_SIZE = 10.0, 14.0


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where embeddings lie on a flat map.

    Args:
        at: from 0 to 1 in both directions.
        method: by which they came there.
        shares: of the variance that the two directions have, where they mean that.
    """

    at: Float[np.ndarray, "n 2"]
    method: str
    shares: tuple[float, float] | None = None


def pca(embeddings: Float[Tensor, "n d"]) -> Places:
    """Where do embeddings lie in the plane that has most of their variance? At unit length, as the cosine sees them.

    Raises:
        SettingError: these are no embeddings.
        ArgumentError: a number is not finite.
    """
    points = _around_their_mean(embeddings)
    left, strengths, _ = np.linalg.svd(points, full_matrices=False)
    strengths[strengths < _rounding(points)] = 0
    flat = np.zeros((len(points), 2))
    flat[:, : len(strengths)] = (left * strengths)[:, :2]
    total = np.square(strengths).sum()
    first, second = (float(strengths[i] ** 2 / total) if i < len(strengths) and total else 0.0 for i in (0, 1))
    return Places(_fitted(flat), "PCA", (first, second))


def tsne(embeddings: Float[Tensor, "n d"]) -> Places:
    """Where do embeddings lie on a map that keeps neighbours together? Distances between far groups mean nothing.

    Those that lie on a line or in a point have no such map: theirs is that of `pca`.

    Raises:
        SettingError: these are no embeddings.
        ArgumentError: a number is not finite.

    Source:
        van der Maaten and Hinton 2008, "Visualizing Data using t-SNE".
    """
    with needs_extra("train"):
        from sklearn.manifold import TSNE  # noqa: PLC0415 (the other figures need none of these)
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415 - it ships no types

    points = _around_their_mean(embeddings)
    if np.linalg.matrix_rank(points, tol=_rounding(points)) < 2:  # of a point, scikit-learn kills the interpreter
        return pca(embeddings)
    points /= np.abs(points).max()
    perplexity = min(_PERPLEXITY, (len(points) - 1) / 3)
    with threadpool_limits(1):
        flat = TSNE(perplexity=perplexity, init="pca", random_state=0, n_jobs=1).fit_transform(points)
    return Places(_fitted(flat), "t-SNE")


def places_on_a_map(embeddings: Float[Tensor, "n d"]) -> Places:
    """Where do embeddings lie on a flat map that keeps neighbours together?

    Returns:
        Places that are the same at every call: by t-SNE; by PCA for a handful of items and for embeddings that lie on a
        line.
    """
    return (pca if len(embeddings) < _FEWEST_FOR_TSNE else tsne)(embeddings)


def projection(
    embeddings: Float[Tensor, "n d"],
    *,
    labels: Int[Tensor, " n"] | None = None,
    names: Sequence[str] = (),
    images: UInt8[Tensor, "n c h w"] | None = None,
    layout: Callable[[Float[Tensor, "n d"]], Places] | None = None,
) -> Figure:
    """Which items does the encoder put together?

    Args:
        embeddings: one row for each item.
        labels: the class of each, from 0 on; its colour and marker.
        names: of the classes, written where each has its middle; of more than 14 classes, none is.
        images: drawn at their places, as many as fit without overlap; those that come first are drawn first.
        layout: `pca`, `tsne`, or a function of yours to `Places`; by default t-SNE, and PCA for fewer than 30 items.

    Returns:
        A map. Near items are alike; on a t-SNE map distances between far groups mean nothing.

    Raises:
        SettingError: these are no embeddings, there is not one label and one picture of bytes for each, or the layout
            does not give each a place.
        ArgumentError: a number is not finite.

    Source:
        van der Maaten and Hinton 2008, "Visualizing Data using t-SNE".
    """
    check_items("embeddings", embeddings)
    if labels is not None:
        check_labels(labels, len(embeddings), names)
    if images is not None:
        check_images(images, len(embeddings))
    if layout is not None and not callable(layout):
        raise SettingError(
            "layout must be a function.",
            got=f"layout={layout!r}",
            expected="pca, tsne, or a function of embeddings that returns Places",
            advice="layout=info_nce.plots.pca",
        )
    found = (layout or places_on_a_map)(embeddings)
    _check_places(found, len(embeddings))
    kinds = np.zeros(len(embeddings), dtype=np.int64) if labels is None else labels.cpu().long().numpy()
    figure, axes = canvas(WIDTH * _SHAPE + 0.6)
    words = labels_on_map(found.at, kinds, () if labels is None else names, size=SMALL, inches=(WIDTH, WIDTH * _SHAPE))
    pictures = None
    if images is not None:
        from info_nce.plots.thumbnails import map_of  # noqa: PLC0415 (points need no pictures)

        pictures = map_of(images.cpu(), found.at, kinds, labels=words, size=_PIXELS)
    _draw(axes, found.at, kinds, words, pictures, size=SMALL)
    axes.set_box_aspect(_SHAPE)
    axes.grid(visible=False)
    axes.set(xticks=[], yticks=[])
    axes.spines[["top", "right", "left", "bottom"]].set(visible=True, color=MUTED, linewidth=0.6)
    classes = "" if labels is None else f" in {len(np.unique(kinds))} classes"
    note = "Near items are alike; distances between far groups mean little."
    if found.shares is not None:
        axes.set_xlabel(f"first direction: {100 * found.shares[0]:.0f} % of the variance", fontsize=SMALL)
        axes.set_ylabel(f"second: {100 * found.shares[1]:.0f} %", fontsize=SMALL)
        note = "The plane in which the embeddings vary most."
    note += "" if labels is None else " Colours: classes."
    return titled(figure, f"A {found.method} map of {len(embeddings):,} embeddings{classes}.", note)


def _check_places(found: object, count: int) -> None:
    at = found.at if isinstance(found, Places) and isinstance(found.at, np.ndarray) else np.empty(0)
    if at.shape != (count, 2) or not ((at >= 0) & (at <= 1)).all():
        raise SettingError(
            "a layout must give each embedding a place from 0 to 1 in both directions.",
            got=f"at {at.shape} from {at.min():.3g} to {at.max():.3g}" if at.size else described(found),
            expected=f"Places with at ({count}, 2), from 0 to 1",
            advice="Places((at - at.min(0)) / (at.max(0) - at.min(0)), 'my method')",
        )


@dataclass(frozen=True, slots=True)
class Label:
    """A word on the map, with the room that it needs, all as shares of the map's width and height."""

    text: str
    x: float
    y: float
    half_width: float
    half_height: float
    colour: str

    def touches(self, other: "Label") -> bool:
        """Whether the two need the same room."""
        return (
            abs(self.x - other.x) < self.half_width + other.half_width
            and abs(self.y - other.y) < self.half_height + other.half_height
        )


def labels_on_map(
    places: Float[np.ndarray, "n 2"],
    kinds: Int[np.ndarray, " n"],
    names: Sequence[str],
    *,
    size: float = _WIDE_SIZE,
    inches: tuple[float, float] = (_WIDE, 0.6875 * _WIDE),
) -> list[Label]:
    """Where to write the names of the classes: at a central item of each; nowhere if there are too many.

    Args:
        places: of the items.
        kinds: their classes.
        names: of the classes.
        size: of the letters, in points.
        inches: width and height of the map.
    """
    written: list[Label] = []
    for kind in np.unique(kinds).tolist() if 0 < len(names) <= 2 * len(OF_CLASSES) else ():
        mine, text = places[kinds == kind], shortened(names[kind])
        half_width = (0.5 + 0.335 * len(text)) * size / (72 * inches[0])
        half_height = 0.85 * size / (72 * inches[1])
        # the most central item whose place is still free; its words stay inside of the map
        central = mine[np.median(np.linalg.norm(mine[:, None] - mine, axis=2), axis=1).argsort(kind="stable")]
        low = np.array([half_width, half_height])
        found = [
            Label(text, x, y, half_width, half_height, class_colour(kind))
            for x, y in central.clip(low, 1 - low).tolist()
        ]
        written.append(next((word for word in found if not any(map(word.touches, written))), found[0]))
    return written


def wide_map(
    places: Float[np.ndarray, "n 2"],
    pictures: UInt8[np.ndarray, "h w 4"],
    kinds: Int[np.ndarray, " n"],
    labels: Sequence[Label],
) -> Figure:
    """Which pictures does the encoder put together? Every picture is a point, and as many as fit are shown.

    Args:
        places: of the pictures, from 0 to 1 in both directions.
        pictures: those that fit, drawn at their places.
        kinds: the class of each picture.
        labels: the names of the classes.
    """
    figure = Figure(figsize=(_WIDE, _WIDE * pictures.shape[0] / pictures.shape[1]), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    _draw(axes, places, kinds, labels, pictures, size=_WIDE_SIZE)
    return figure


def _draw(
    axes: Axes,
    places: NDArray[np.float64],
    kinds: NDArray[np.int64],
    labels: Sequence[Label],
    pictures: NDArray[np.uint8] | None,
    size: float,
) -> None:
    for kind in np.unique(kinds).tolist():
        mine = places[kinds == kind]
        axes.plot(*mine.T, ls="", marker=class_marker(kind), color=class_colour(kind), markersize=4.5, alpha=0.8)
    if pictures is not None:
        axes.imshow(pictures, extent=(0, 1, 0, 1), aspect="auto", interpolation="none", zorder=3)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    box = {"boxstyle": "round,pad=0.2", "facecolor": PAPER, "linewidth": 1.2, "alpha": 0.9}
    style: dict[str, Any] = {"fontsize": size, "fontweight": "bold", "color": INK, "parse_math": False}
    for label in labels:
        axes.text(
            label.x,
            label.y,
            label.text,
            ha="center",
            va="center",
            zorder=4,
            bbox=box | {"edgecolor": label.colour},
            **style,
        )


def _around_their_mean(embeddings: Float[Tensor, "n d"]) -> NDArray[np.float64]:
    check_items("embeddings", embeddings)
    points = unit(embeddings.detach().cpu().double())
    centred: NDArray[np.float64] = (points - points.mean(0)).numpy()
    return centred


def _rounding(points: NDArray[np.float64]) -> float:
    """How strong a direction becomes in which items of unit length differ by nothing but rounding."""
    return 1e-14 * math.sqrt(len(points))


def _fitted(flat: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    low, high = flat.min(0), flat.max(0)
    span = np.where(high > low, high - low, 1)
    fitted: NDArray[np.float64] = _MARGIN + (1 - 2 * _MARGIN) * (flat - low) / span
    return fitted
