"""A video file as frames of one size at an even rate, whatever its format, rate and orientation.

What a file is, its first bytes say; it is opened as that and nothing else, so a file with a misleading name starts no
other decoder, and a playlist that names other files is none of the four kinds.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from info_nce.errors import needs_extra

with needs_extra("video"):
    import av
    from av.video.reformatter import Interpolation

SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif"})
# A small file can unfold to frames that no memory holds; 8K is half of this.
MOST_PIXELS = 1 << 26
# Where a file does not say when its frames are shown.
_USUAL_RATE = 25.0
_MOV_ATOMS = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")


class BadVideoError(ValueError):
    """A file that cannot be used; the text says why."""


def kind_of(head: bytes) -> str:
    """Which demuxer do the first 12 bytes of a file ask for?

    Raises:
        ValueError: a BadVideoError: of none that we know.

    Example:
        >>> kind_of(b"GIF89a......")
        'gif'
    """
    if head[4:8] in _MOV_ATOMS:
        return "mov"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[:6] in {b"GIF87a", b"GIF89a"}:
        return "gif"
    raise BadVideoError("no video of a known kind" if head else "an empty file")


def seconds_of(file: Path) -> float:
    """How long does the file say it is? 0 where it does not say, or cannot be read."""
    try:
        with _opened(file) as container:
            return (container.duration or 0) / av.time_base
    except (BadVideoError, av.FFmpegError, OSError, ValueError, LookupError):
        return 0.0


def decode_video(file: Path, size: int, rate: float) -> np.ndarray:
    """Decode a file: what is on the screen every 1 / rate seconds, as bytes (t 3 h w).

    Args:
        file: of any of the four kinds.
        size: side in pixels; the shorter side is brought to it and the middle is kept.
        rate: frames per second; those of a slower video come several times.

    Raises:
        ValueError: a BadVideoError: it is damaged, or not a video.
    """
    try:
        with _opened(file) as container:
            if not container.streams.video:
                raise BadVideoError("no pictures in it, perhaps only sound")
            return np.stack([_square(frame, size) for frame in _evenly(container, rate)])
    except (av.FFmpegError, OSError, ValueError, LookupError) as error:
        if isinstance(error, BadVideoError):
            raise
        raise BadVideoError(str(getattr(error, "strerror", "") or error)) from error


@contextmanager
def _opened(file: Path) -> "Iterator[av.container.InputContainer]":
    with file.open("rb") as opened:
        kind = kind_of(opened.read(12))
        opened.seek(0)
        with av.open(opened, mode="r", format=kind) as container:
            yield container


def _evenly(container: "av.container.InputContainer", rate: float) -> Iterator[av.VideoFrame]:
    """The frame that is on the screen at 0, 1 / rate, 2 / rate, ... seconds after the first one."""
    stream = container.streams.video[0]
    spacing = 1 / float(stream.average_rate or _USUAL_RATE)
    taken, begin, shown, until = 0, 0.0, None, 0.0
    for index, frame in enumerate(container.decode(stream)):
        if frame.width * frame.height > MOST_PIXELS:
            raise BadVideoError(f"frames of {frame.width} x {frame.height} pixels")
        time = index * spacing if frame.time is None else frame.time
        begin = time if shown is None else begin
        while shown is not None and taken / rate < time - begin:
            yield shown
            taken += 1
        length = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else spacing
        shown, until = frame, time - begin + length
    if shown is None:
        raise BadVideoError("not one frame in it")
    # A hundredth of a frame of tolerance: times are rounded, and 2 seconds at 8 per second are 16 frames.
    while taken / rate < until - 0.01 / rate:
        yield shown
        taken += 1


def _square(frame: av.VideoFrame, size: int) -> np.ndarray:
    scale = size / min(frame.width, frame.height)
    width, height = (max(size, round(side * scale)) for side in (frame.width, frame.height))
    small = frame.reformat(width=width, height=height, format="rgb24", interpolation=Interpolation.AREA)
    top, left = (height - size) // 2, (width - size) // 2
    middle = small.to_ndarray()[top : top + size, left : left + size]
    # A telephone held upright films lying frames and writes down how to turn them.
    upright: np.ndarray = np.rot90(middle, round(frame.rotation / 90) % 4).transpose(2, 0, 1)
    return upright
