"""A folder of the user's own video files, cut into videos of one length and one square size, as bytes in memory."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from info_nce.data.decode_video import SUFFIXES, BadVideoError, decode_video, seconds_of
from info_nce.data.images import first_of_each
from info_nce.data.own_files import FEWEST, find_files, labels_of, listing, notes_on
from info_nce.data.splits import Facts, Splits, cut
from info_nce.data.video_set import VideoSet
from info_nce.errors import DataError, needs_extra

with needs_extra("train"):
    import psutil  # type: ignore[import-untyped]  # comes with accelerate; it ships no types

# The whole set is there beside its parts while it is cut into them.
_COPIES = 2
# With fewer, a fifth of the files is none or too little to look at.
_FEW_FILES = 5


@dataclass(frozen=True, slots=True)
class Cutting:
    """How files become videos of one shape.

    Args:
        size: side in pixels; the shorter side is brought to it and the middle is kept.
        frames: of each video.
        rate: frames per second.
        most: videos from one file, spread evenly over it; 0 takes all that follow one another.
    """

    size: int = 64
    frames: int = 16
    rate: float = 8.0
    most: int = 0

    @property
    def seconds(self) -> float:
        """The length of each video."""
        return self.frames / self.rate

    @property
    def megabytes(self) -> float:
        """The memory that each video in colour takes, with its copy while the parts are cut."""
        return _COPIES * self.frames * 3 * self.size**2 / 1e6

    def cut(self, file: Path) -> np.ndarray:
        """Cut a file into videos (n t 3 h w).

        Raises:
            ValueError: a BadVideoError: it is no video, damaged, or too short for one.
        """
        shown = decode_video(file, self.size, self.rate)
        count = len(shown) // self.frames
        if count == 0:
            raise BadVideoError(
                f"too short: {len(shown)} frames at {self.rate:g} per second, and a video takes {self.frames}"
            )
        videos = shown[: count * self.frames].reshape(count, self.frames, *shown.shape[1:])
        # Half of the time between two that are taken lies before the first and after the last.
        wanted = count if self.most == 0 else min(count, self.most)
        return videos[(2 * np.arange(wanted) + 1) * count // (2 * wanted)]


def load_videos(folder: str | Path, cutting: Cutting | None = None, *, skip_bad: bool = False) -> Splits[VideoSet]:
    """Load every video file under a folder, without exact duplicates, in three fixed parts.

    Args:
        folder: with mp4, m4v, mov, mkv, webm, avi or gif files, at any depth.
        cutting: how they become videos of one shape; two seconds of 8 frames each, 64 pixels square, by default.
        skip_bad: leave out and name files that cannot be read or are too short, instead of stopping.

    Returns:
        The parts, 60 / 20 / 20 of the files within each sub-folder; without sub-folders 80 / 20 and an empty test part.
        All videos of a file are in the same part. One channel if every video is grey, else three.

    Raises:
        DataError: no such folder, too few videos in it, more than fits in memory, or a file that cannot be read; the
            message names it.
    """
    cutting = cutting or Cutting()
    root = Path(folder).expanduser().resolve()
    files = find_files(root, SUFFIXES, what="videos", built_in='"moving-digits"')
    refuse_too_much(files, cutting, root)
    videos, bad = cut_all(files, cutting)
    if bad and not skip_bad:
        raise DataError(
            f"{len(bad):,} of {len(files):,} files in {root} cannot be used as videos.",
            got=listing(bad),
            expected=f"whole mp4, mov, mkv, webm, avi or gif files of at least {cutting.seconds:g} seconds",
            advice="repair or remove them, or --skip-bad to leave them out; --frames or --rate for shorter files",
        )
    names = [str(file.relative_to(root)) for file in videos]
    by_file = [videos.pop(file) for file in list(videos)]  # held by nobody else, so that each can be let go
    whole, origins = _video_set(root.name, names, by_file, cutting)
    kept = first_of_each(whole.videos)
    if len(kept) < FEWEST:
        raise DataError(
            f"{root} holds too few videos.",
            got=f"{len(kept)} different videos of {cutting.seconds:g} seconds in {len(names)} files"
            + (f", {len(bad)} files that cannot be used" if bad else ""),
            expected=f"at least {FEWEST}; some thousands are needed to learn something useful",
            advice="add videos, cut them shorter with --frames or --rate, or start with --data moving-digits",
        )
    notes = notes_on(names, what="videos", duplicates=len(whole) - len(kept), bad=bad)
    return _split(whole.take(kept), origins[kept.numpy()], labels_of(names), root, notes, cutting)


def refuse_too_much(files: Sequence[Path], cutting: Cutting, root: Path) -> None:
    """Ask files how long they are, before any is decoded.

    Raises:
        DataError: together they need more memory than is free.
    """
    free = psutil.virtual_memory().available / 1e6
    counts = (int(seconds_of(file) / cutting.seconds) for file in files)
    count = sum(min(n, cutting.most or n) for n in counts)
    needed = count * cutting.megabytes
    if needed > free:
        raise DataError(
            f"the videos in {root} do not fit into memory.",
            got=f"about {count:,} videos of {cutting.seconds:g} seconds, which need {needed:,.0f} MB",
            expected=f"at most {free:,.0f} MB, what is free now",
            advice="a smaller --image-size, a lower --rate, or --videos-per-file to take some of each file",
        )


def cut_all(files: Sequence[Path], cutting: Cutting) -> tuple[dict[Path, np.ndarray], dict[Path, str]]:
    """Cut files into videos, and collect those that cannot be, each with the reason."""
    videos: dict[Path, np.ndarray] = {}
    bad: dict[Path, str] = {}
    # FFmpeg decodes outside the interpreter lock, so threads are enough.
    with ThreadPoolExecutor() as pool:
        for file, result in zip(files, pool.map(lambda f: _try(f, cutting), files), strict=True):
            if isinstance(result, str):
                bad[file] = result
            else:
                videos[file] = result
    return videos, bad


def _try(file: Path, cutting: Cutting) -> np.ndarray | str:
    try:
        return cutting.cut(file)
    except BadVideoError as error:
        return str(error)


def _video_set(
    name: str, names: Sequence[str], by_file: list[np.ndarray], cutting: Cutting
) -> tuple[VideoSet, np.ndarray]:
    """Put the videos of all files together, and say for each from which file it is."""
    counts = [len(videos) for videos in by_file]
    grey = all(bool((videos == videos[:, :, :1]).all()) for videos in by_file)
    every = np.empty((sum(counts), cutting.frames, 1 if grey else 3, cutting.size, cutting.size), dtype=np.uint8)
    end = len(every)
    while by_file:  # from the last, so that a file's own are let go when they are in
        videos = by_file.pop()
        every[end - len(videos) : end] = videos[:, :, :1] if grey else videos
        end -= len(videos)
    origins = np.repeat(np.arange(len(names)), counts)
    called = (f"{file}:{i}" for file, count in zip(names, counts, strict=True) for i in range(count))
    return VideoSet(name, torch.from_numpy(every), tuple(called)), origins


def _split(
    whole: VideoSet, origins: np.ndarray, folders: Sequence[str], root: Path, notes: list[str], cutting: Cutting
) -> Splits[VideoSet]:
    """Cut by file: two videos of one file look alike, so they must not be in different parts."""
    files, places = np.unique(origins, return_inverse=True)
    classes = sorted({folders[file] for file in files})
    labels = np.array([classes.index(folders[file]) for file in files])
    parts = cut(labels.tolist())
    if len(classes) > 1 and parts["test"]:
        labelled = {"folder": torch.from_numpy(labels[places])}
        whole = replace(whole, labels=labelled, class_names={"folder": tuple(classes)})
    elif len(files) < _FEW_FILES:
        notes.append(
            f"Only {len(files)} files, so videos of one file are in both parts, split 80 / 20: those held out look "
            "like those trained on, and numbers flatter. Labels are not used."
        )
        places, parts = np.arange(len(whole)), cut([0] * len(whole), test=False)
    else:
        few = "Too few files in each sub-folder to score them" if len(classes) > 1 else "No sub-folder for each kind"
        notes.append(f"{few}, so no labels: files are split 80 / 20, and what needs labels is not scored.")
        parts = cut([0] * len(files), test=False)
    facts = Facts(
        what=f"your videos, {cutting.frames} frames at {cutting.rate:g} per second, {cutting.size} pixels square, "
        + ("grey" if whole.videos.shape[2] == 1 else "colour"),
        licence="yours",
        credit="yours",
        origin=str(root),
        used_for="videomoco",
        counts=f"{len(whole):,} videos from {len(files):,} files, {whole.videos.numel() / 1e6:,.1f} MB in memory",
        notes=tuple(notes),
    )
    chosen = {
        name: whole.take(torch.from_numpy(np.flatnonzero(np.isin(places, members))), f"{whole.name}/{name}")
        for name, members in parts.items()
    }
    return Splits(**chosen, facts=facts, source=str(root))
