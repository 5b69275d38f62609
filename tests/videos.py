"""Small videos on the disk, of every kind that a person may have, and the wheel with the digits."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from info_nce.data.moving_digits import WHEEL
from tests.wheels import fetched

CODECS = {".webm": ("libvpx", "yuv420p"), ".gif": ("gif", "rgb8")}


def frames_of(seed: int, count: int, size: tuple[int, int]) -> np.ndarray:
    """Make a bright square that moves over noise: (t h w 3), different for each seed."""
    width, height = size
    chance = np.random.default_rng(seed)
    still = chance.integers(0, 120, (height, width, 3), dtype=np.uint8)
    frames: np.ndarray = np.broadcast_to(still, (count, height, width, 3)).copy()
    for t, frame in enumerate(frames):
        left = (seed + t) % (width - 8)
        frame[4:12, left : left + 8] = 255
    return frames


def video(path: Path, seed: int, *, count: int = 16, rate: float = 8, size: tuple[int, int] = (32, 24)) -> Path:
    """Write a video file of the kind that its name says."""
    return written(path, frames_of(seed, count, size), rate=rate)


def written(path: Path, frames: np.ndarray, *, rate: float = 8) -> Path:
    """Write frames (t h w 3) to a video file of the kind that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec, pixels = CODECS.get(path.suffix, ("mpeg4", "yuv420p"))
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(rate).limit_denominator(1000))
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], pixels
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def videos_in(root: Path, count: int = 12, *, classes: tuple[str, ...] = ()) -> Path:
    """Fill a folder with videos of two seconds, in sub-folders where there are classes."""
    for i in range(count):
        video((root / classes[i % len(classes)] if classes else root) / f"{i:03}.mp4", i)
    return root


def digits_wheel() -> Path:
    """The real digits."""
    return fetched(WHEEL)
