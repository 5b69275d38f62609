"""A folder of the user's own pictures, brought to one square size as bytes in memory.

Every file is opened as what its kind may be and nothing else, so a file with a misleading name starts no other decoder.
"""

import struct
import warnings
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from info_nce.data.images import ImageSet, first_of_each, split
from info_nce.data.own_files import FEWEST, find_files, labels_of, listing, notes_on
from info_nce.data.splits import Facts, Splits
from info_nce.errors import DataError, needs_extra

with needs_extra("images"):
    from PIL import Image, ImageOps, UnidentifiedImageError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif"})
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
# What Pillow raises for damaged files, by format; MemoryError and the like are not among them on purpose.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def load_folder(folder: str | Path, *, image_size: int = 64, skip_bad: bool = False) -> Splits[ImageSet]:
    """Load every picture under a folder, without exact duplicates, in three fixed parts.

    Args:
        folder: with png, jpg, jpeg, webp, bmp or gif files, at any depth.
        image_size: side in pixels; the shorter side is brought to it and the middle is kept.
        skip_bad: leave out and name files that cannot be read, instead of stopping.

    Returns:
        The parts, 60 / 20 / 20 within each sub-folder; without sub-folders 80 / 20 and an empty test part. Folders
        at the top that are called like parts (train, val, test) are not labels, the next ones are; the parts are still
        made anew. One channel if every picture is grey, else three.

    Raises:
        DataError: no such folder, too few pictures in it, or a file that cannot be read; the message names it.
    """
    root = Path(folder).expanduser().resolve()
    files = find_files(root, SUFFIXES, what="pictures", built_in='"animals" or "digits"')
    pixels, bad = decode_all(files, image_size)
    if bad and not skip_bad:
        raise DataError(
            f"{len(bad):,} of {len(files):,} files in {root} cannot be read as pictures.",
            got=listing(bad),
            expected="whole png, jpg, webp, bmp or gif files",
            advice="repair or remove them, or --skip-bad to leave them out",
        )
    names = [str(file.relative_to(root)) for file in files if file not in bad]
    whole = _image_set(root.name, pixels, names)
    kept = first_of_each(whole.images)
    if len(kept) < FEWEST:
        raise DataError(
            f"{root} holds too few pictures.",
            got=f"{len(kept)} different pictures" + (f", {len(bad)} that cannot be read" if bad else ""),
            expected=f"at least {FEWEST}; some thousands are needed to learn something useful",
            advice="add pictures, or start with the built-in set: --data animals",
        )
    return _split(whole.take(kept), root, duplicates=len(whole) - len(kept), bad=bad)


def decode_all(files: list[Path], size: int) -> tuple[np.ndarray, dict[Path, str]]:
    """Decode files to bytes (n 3 h w), and collect those that cannot be, each with the reason."""
    pixels = np.empty((len(files), 3, size, size), dtype=np.uint8)
    bad: dict[Path, str] = {}
    # Pillow decodes outside the interpreter lock, so threads are enough.
    with _strict_about_bombs(), ThreadPoolExecutor() as pool:
        for row, (file, result) in enumerate(zip(files, pool.map(lambda f: _try(f, size), files), strict=True)):
            if isinstance(result, str):
                bad[file] = result
            else:
                pixels[row - len(bad)] = result.transpose(2, 0, 1)
    return pixels[: len(files) - len(bad)], bad


def decode(file: Path | BinaryIO, size: int) -> np.ndarray:
    """Decode one picture to bytes (h w 3): upright, on white where it is transparent, first frame of an animation."""
    with Image.open(file, formats=FORMATS) as opened:
        opened.draft(None, (2 * size, 2 * size))  # a JPEG is decoded at a fraction of its size, many times faster
        picture = ImageOps.exif_transpose(opened)
        if picture.mode.startswith(("I", "F")):  # 16 bits: Pillow's own conversion would cut off instead of scaling
            deep = np.asarray(picture, dtype=np.float32)
            picture = Image.fromarray((deep / 257).clip(0, 255).astype(np.uint8))
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        return np.asarray(ImageOps.fit(picture.convert("RGB"), (size, size), Image.Resampling.BICUBIC))


def _try(file: Path, size: int) -> np.ndarray | str:
    try:
        return decode(file, size)
    except UnidentifiedImageError:
        return "no picture of a known kind"
    except _DAMAGE as error:
        reason = str(error).replace(repr(str(file)), "it").replace(str(file), "it")
        return reason or type(error).__name__
    except Image.DecompressionBombWarning as error:
        return str(error)


@contextmanager
def _strict_about_bombs() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # remarks on odd palettes and metadata, which change no pixel
        # A small file that unfolds to gigabytes is refused like a broken one.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _image_set(name: str, pixels: np.ndarray, names: list[str]) -> ImageSet:
    grey = bool(len(pixels)) and all(bool((p[0] == p[1]).all() and (p[1] == p[2]).all()) for p in pixels)
    images = torch.from_numpy(pixels[:, :1].copy() if grey else pixels)
    folders = labels_of(names)
    classes = tuple(sorted(set(folders)))
    if len(classes) < 2:
        return ImageSet(name, images, paths=tuple(names))
    labels = torch.tensor([classes.index(folder) for folder in folders], dtype=torch.int64)
    return ImageSet(name, images, labels, classes, tuple(names))


def _split(whole: ImageSet, root: Path, *, duplicates: int, bad: dict[Path, str]) -> Splits[ImageSet]:
    notes = notes_on(whole.paths or (), what="pictures", duplicates=duplicates, bad=bad)
    facts = Facts(
        what=f"your pictures, {whole.images.shape[-1]} pixels square, {_channels(whole)}",
        licence="yours",
        credit="yours",
        origin=str(root),
        used_for="simclr, moco",
        counts=f"{len(whole):,} pictures, {whole.images.numel() / 1e6:,.1f} MB in memory",
        notes=tuple(notes),
    )
    parts = split(whole, facts, str(root))
    if whole.labels is None:
        note = "No sub-folder for each kind, so no labels: split 80 / 20, and what needs labels is not scored."
    elif len(parts.test):
        return parts
    else:
        note = "Too few pictures in each sub-folder to score them: split 80 / 20, and labels are not used."
        parts = split(replace(whole, labels=None, class_names=()), facts, str(root))
    return replace(parts, facts=replace(facts, notes=(*notes, note)))


def _channels(whole: ImageSet) -> str:
    return "grey" if whole.images.shape[1] == 1 else "colour"
