"""Pictures at their places on a map, each in a frame of its class's colour."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor

from info_nce.errors import needs_extra
from info_nce.plots.maps import Label
from info_nce.plots.palette import class_colour

with needs_extra("images"):
    from PIL import Image

_SMALLEST, _LARGEST, _FRAME, _GAP = 36, 60, 4, 2


def map_of(
    images: UInt8[Tensor, "n c h w"],
    places: Float[np.ndarray, "n 2"],
    kinds: NDArray[np.int64],
    *,
    labels: Sequence[Label] = (),
    size: tuple[int, int] = (1440, 990),
) -> UInt8[np.ndarray, "h w 4"]:
    """Draw pictures at their places, each in a frame of its class's colour, as many as fit without overlap.

    A few pictures are drawn larger than many.

    Args:
        images: the pictures; those that come first are drawn first.
        places: from 0 to 1, the second coordinate upwards.
        kinds: the class of each picture.
        labels: words that no picture may cover.
        size: width and height of the map in pixels.

    Returns:
        Red, green, blue and opacity; transparent where there is no picture.
    """
    width, height = size
    tile = min(_LARGEST, max(_SMALLEST, round(math.sqrt(width * height / 3 / len(images)))))
    side = tile + 2 * _FRAME
    canvas = np.zeros((height, width, 4), dtype=np.uint8)
    corners = np.round(places * (width, -height) + (0, height) - side / 2).astype(int)
    corners = corners.clip(0, (width - side, height - side))
    taken = [_corners(label, width, height) for label in labels]
    for i, (x, y) in enumerate(corners.tolist()):
        if all(x >= right or x + side <= left or y >= low or y + side <= top for left, top, right, low in taken):
            taken.append((x - _GAP, y - _GAP, x + side + _GAP, y + side + _GAP))
            canvas[y : y + side, x : x + side] = _framed(images[i], int(kinds[i]), tile)
    return canvas


def _corners(label: Label, width: int, height: int) -> tuple[int, int, int, int]:
    across, down = label.half_width * width, label.half_height * height
    x, y = label.x * width, (1 - label.y) * height
    return round(x - across), round(y - down), round(x + across), round(y + down)


def _framed(image: UInt8[Tensor, "c h w"], kind: int, side: int) -> UInt8[np.ndarray, "s s 4"]:
    colour = class_colour(kind)
    framed = np.zeros((side + 2 * _FRAME, side + 2 * _FRAME, 4), dtype=np.uint8)
    framed[:] = [int(colour[i : i + 2], 16) for i in (1, 3, 5)] + [255]
    picture = Image.fromarray(rows_of(image)).convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
    framed[_FRAME:-_FRAME, _FRAME:-_FRAME, :3] = np.asarray(picture)
    return framed


def rows_of(image: UInt8[Tensor, "c h w"]) -> NDArray[np.uint8]:
    """Turn a picture's channels to where Pillow expects them: (h w) for grey, (h w 3) for colour."""
    found: NDArray[np.uint8] = (image[0] if len(image) == 1 else image.permute(1, 2, 0)).contiguous().numpy()
    return found
