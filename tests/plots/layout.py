"""What is wrong with how a figure is set: read from what is really drawn, not from what was asked for."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

SMALLEST, CONTRAST = 8.0, 4.5
# Of the ground below a text, what may be a line that only grazes it.
_GRAZED = 0.04
_SLACK = 1.0


@contextmanager
def drawn_texts() -> Iterator[list[Text]]:
    """Note every text that a renderer draws; tick labels outside of the axes never are."""
    found: list[Text] = []
    draw: Any = RendererAgg.draw_text

    def noted(
        self: Any, gc: Any, x: Any, y: Any, s: Any, prop: Any, angle: Any, ismath: Any = False, mtext: Any = None
    ) -> None:
        if mtext is not None and mtext not in found:
            found.append(mtext)
        draw(self, gc, x, y, s, prop, angle, ismath, mtext)

    RendererAgg.draw_text = noted  # type: ignore[method-assign]  # for this block
    try:
        yield found
    finally:
        RendererAgg.draw_text = draw  # type: ignore[method-assign]  # as it was


def rendered(figure: Figure) -> NDArray[np.float64]:
    canvas: Any = FigureCanvasAgg(figure)  # which has no types
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3] / 255


def texts(figure: Figure) -> list[Text]:
    with drawn_texts() as found:
        rendered(figure)
    return [text for text in found if text.get_text().strip()]


def problems(figure: Figure) -> tuple[list[Text], list[str]]:
    """The texts, and which of them overlap, are cut off, too small or too pale."""
    shown = texts(figure)
    whole = figure.bbox
    boxes = [text.get_window_extent() for text in shown]
    found = [
        f"{a.get_text()!r} overlaps {b.get_text()!r}"
        for (a, left), (b, right) in itertools.combinations(zip(shown, boxes, strict=True), 2)
        if min(left.x1, right.x1) - max(left.x0, right.x0) > _SLACK
        and min(left.y1, right.y1) - max(left.y0, right.y0) > _SLACK
    ]
    found += [
        f"{text.get_text()!r} is cut off"
        for text, box in zip(shown, boxes, strict=True)
        if box.x0 < whole.x0 - _SLACK
        or box.y0 < whole.y0 - _SLACK
        or box.x1 > whole.x1 + _SLACK
        or box.y1 > whole.y1 + _SLACK
    ]
    found += [
        f"{text.get_text()!r} has {text.get_fontsize()} points"
        for text in shown
        if float(text.get_fontsize()) < SMALLEST
    ]
    colours = [text.get_color() for text in shown]
    for text in shown:
        text.set_color((0, 0, 0, 0))
    figure.set_layout_engine("none")  # it has done its work
    ground = rendered(figure)
    for text, box, colour in zip(shown, boxes, colours, strict=True):
        height = ground.shape[0]
        below = ground[max(0, int(height - box.y1)) : int(height - box.y0), max(0, int(box.x0)) : int(box.x1)]
        pale = float((contrast(below, np.array(to_rgb(colour))) < CONTRAST).mean())
        if pale > _GRAZED:
            found.append(f"{text.get_text()!r} is too pale on {pale:.0%} of its ground")
        text.set_color(colour)
    return shown, found


def contrast(ground: NDArray[np.float64], colour: NDArray[np.float64]) -> NDArray[np.float64]:
    """The contrast ratio of WCAG 2.2."""
    light, other = luminance(ground), luminance(colour)
    return (np.maximum(light, other) + 0.05) / (np.minimum(light, other) + 0.05)


def luminance(colour: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    found: NDArray[np.float64] = linear @ np.array([0.2126, 0.7152, 0.0722])
    return found
