"""How files of each kind become what an encoder of that kind takes."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from info_nce.data.audio import SAMPLE_RATE
from info_nce.errors import SettingError

# Integer weights of ITU-R BT.601, as Pillow has them: a grey picture in three channels comes out as it was.
_LUMA = (19595, 38470, 7471)

# Less is a click, and no encoder of speech has a frame for it.
_SHORTEST = SAMPLE_RATE // 10

Read = tuple[Any, list[tuple[Path, str]], dict[Path, str]]
"""The items; for each its file, and which one of that file it is (":2", or "" if there is one); and the bad files."""


@dataclass(frozen=True, slots=True)
class Decoder:
    """A kind of file.

    Args:
        what: as messages call several of them.
        suffixes: of such files.
        read: files to items.
    """

    what: str
    suffixes: frozenset[str]
    read: Callable[[Sequence[Path]], Read]


def decoder_of(kind: str, about: Mapping[str, Any]) -> Decoder:
    """How are files of this kind read, for a model that was trained on such items?

    Args:
        kind: "image", "sound" or "video".
        about: channels and image_size of pictures; for videos, frames and rate, too.

    Raises:
        SettingError: the kind has no files.
    """
    # Imported here, so that each kind asks only for the extra that it needs itself.
    if kind == "image":
        from info_nce.data.folder import SUFFIXES, decode_all  # noqa: PLC0415 (see above)

        def pictures(files: Sequence[Path]) -> Read:
            pixels, bad = decode_all(list(files), int(about["image_size"]))
            content = torch.from_numpy(to_channels(pixels, int(about["channels"])))
            return content, [(file, "") for file in files if file not in bad], bad

        return Decoder("pictures", SUFFIXES, pictures)
    if kind == "video":
        from info_nce.data.decode_video import SUFFIXES as VIDEOS  # noqa: PLC0415 (see above)
        from info_nce.data.videos import Cutting, cut_all  # noqa: PLC0415 (see above)

        cutting = Cutting(int(about["image_size"]), int(about["frames"]), float(about["rate"]))

        def videos(files: Sequence[Path]) -> Read:
            cut, bad = cut_all(files, cutting)
            whole = [to_channels(of, int(about["channels"])) for of in cut.values()]
            places = [(file, f":{i}" if len(of) > 1 else "") for file, of in cut.items() for i in range(len(of))]
            return torch.from_numpy(np.concatenate(whole)) if whole else None, places, bad

        return Decoder("videos", VIDEOS, videos)
    if kind == "sound":
        from info_nce.data.sounds import SUFFIXES as SOUNDS  # noqa: PLC0415 (see above)
        from info_nce.data.sounds import decode  # noqa: PLC0415 (see above)

        def recordings(files: Sequence[Path]) -> Read:
            with ThreadPoolExecutor() as pool:
                results = dict(
                    zip(
                        files,
                        pool.map(lambda file: _or_reason(lambda f: _audible(decode(f)), file), files),
                        strict=True,
                    )
                )
            good = {file: found for file, found in results.items() if not isinstance(found, str)}
            bad = {file: found for file, found in results.items() if isinstance(found, str)}
            return tuple(torch.from_numpy(wave) for wave in good.values()), [(file, "") for file in good], bad

        return Decoder("recordings", SOUNDS, recordings)
    raise SettingError("there are no files of this kind.", got=kind, expected="image, sound or video", advice="--kind")


def to_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """Colour (... 3 h w) as the model takes it: the same, or grey (... 1 h w)."""
    if channels != 1:
        return pixels
    red, green, blue = (pixels[..., i, :, :].astype(np.uint32) * weight for i, weight in enumerate(_LUMA))
    return ((red + green + blue + 0x8000) >> 16).astype(np.uint8)[..., None, :, :]


def _audible(found: tuple[np.ndarray, float]) -> np.ndarray:
    samples, loudest = found
    if len(samples) < _SHORTEST:
        raise ValueError(f"{len(samples) / SAMPLE_RATE:.3f} s, shorter than {_SHORTEST / SAMPLE_RATE:g} s")
    if not loudest * 32_768 >= 1:
        raise ValueError("silent")
    return samples


def _or_reason(decode: Callable[[Path], Any], file: Path) -> Any:
    try:
        return decode(file)
    except (ValueError, OSError, RuntimeError) as error:  # soundfile's own are RuntimeErrors
        return str(error) or type(error).__name__
