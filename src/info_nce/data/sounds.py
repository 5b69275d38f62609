"""A folder of the user's own recordings, brought to 16 kHz and one channel in memory.

Sub-folders are voices, which only the evaluation sees; where those at the top are called train, val and the like, the
ones below are.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from info_nce.data.audio import SAMPLE_RATE, SoundSet
from info_nce.data.own_files import FEWEST, find_files, labels_of, listing, notes_on
from info_nce.data.splits import Facts, Splits, cut
from info_nce.errors import DataError, needs_extra

with needs_extra("audio"):
    import soundfile
    from scipy.signal import resample_poly

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3"})
# A few minutes at 192 kHz; rates beyond are a broken header, and would ask for a filter of millions of taps.
_RATES = (1_000, 768_000)
# 16 bits round anything below to nothing.
_QUIETEST = 1 / 32_768

Samples = np.ndarray[tuple[int], np.dtype[np.int16]]


def load_sounds(folder: str | Path, *, shortest: float, skip_bad: bool = False) -> Splits[SoundSet]:
    """Load every recording under a folder, without exact duplicates, in three fixed parts.

    Args:
        folder: with wav, flac, ogg, opus or mp3 files, at any depth, of any rate and number of channels.
        shortest: seconds; a shorter recording cannot be trained on, and counts as one that cannot be used.
        skip_bad: leave out and name files that cannot be used, instead of stopping.

    Returns:
        The parts, 60 / 20 / 20 within each sub-folder; without sub-folders 80 / 20 and an empty test part. Folders at
        the top that are called like parts (train, val, test) are not voices, the next ones are; the parts are still
        made anew.

    Raises:
        DataError: no such folder, too few recordings in it, or a file that cannot be used; the message names it.
    """
    root = Path(folder).expanduser().resolve()
    files = find_files(root, SUFFIXES, what="recordings", built_in='"speech"')
    # libsndfile decodes, and SciPy filters, outside the interpreter lock, so threads are enough.
    with ThreadPoolExecutor() as pool:
        read = dict(zip(files, pool.map(lambda file: _try(file, shortest), files), strict=True))
    bad = {file: found for file, found in read.items() if isinstance(found, str)}
    if bad and not skip_bad:
        short = any("shorter" in reason for reason in bad.values())
        raise DataError(
            f"{len(bad):,} of {len(files):,} files in {root} cannot be used as recordings.",
            got=listing(bad),
            expected=f"whole wav, flac, ogg, opus or mp3 files with sound in them, of {shortest:g} seconds and more",
            advice=("a smaller --crop-seconds, " if short else "repair or remove them, ")
            + "or --skip-bad to leave them out",
        )
    waves, duplicates = _different({file: found for file, found in read.items() if not isinstance(found, str)})
    if len(waves) < FEWEST:
        raise DataError(
            f"{root} holds too few recordings.",
            got=f"{len(waves)} different recordings" + (f", {len(bad)} that cannot be used" if bad else ""),
            expected=f"at least {FEWEST}; an hour of speech or more is needed to learn something useful",
            advice="add recordings, or start with the built-in set: --data speech",
        )
    return _split(_sound_set(root, waves), root, duplicates=duplicates, bad=bad)


def decode(file: Path) -> tuple[Samples, float]:
    """Read a recording as 16 kHz, one channel, 16 bits; and the loudest of its samples, where 1 is full scale.

    Raises:
        ValueError: it has no samples, some are missing or no numbers, or its rate is none.
    """
    with soundfile.SoundFile(file) as opened:
        rate, promised = opened.samplerate, opened.frames
        samples = opened.read(dtype="float32", always_2d=True)
    missing = _missing_bytes(file)
    if missing or len(samples) < promised:
        raise ValueError("cut short: " + (f"{missing:,} bytes are missing" if missing else "samples are missing"))
    if not len(samples):
        raise ValueError("empty")
    if not np.isfinite(samples).all():
        raise ValueError(f"{int((~np.isfinite(samples)).any(1).sum()):,} samples are no finite numbers")
    if not _RATES[0] <= rate <= _RATES[1]:
        raise ValueError(f"a sample rate of {rate} Hz")
    mono = samples.mean(1)
    if rate != SAMPLE_RATE:
        common = np.gcd(rate, SAMPLE_RATE)
        mono = resample_poly(mono, SAMPLE_RATE // common, rate // common)
    return (mono * 32_768).round().clip(-32_768, 32_767).astype(np.int16), float(np.abs(mono).max())


def _missing_bytes(file: Path) -> int:
    # libsndfile reads what there is of a wav file that was cut short, and says nothing.
    with file.open("rb") as opened:
        if opened.read(4) != b"RIFF" or opened.seek(12) != 12:
            return 0
        while len(head := opened.read(8)) == 8:
            size = int.from_bytes(head[4:], "little")
            if head[:4] == b"data":
                # Who writes to a pipe does not know the size, and says 0 or the largest number.
                there = file.stat().st_size - opened.tell()
                return max(0, size - there) if size < 0xFFFF_0000 else 0
            opened.seek(size + size % 2, 1)
    return 0


def _try(file: Path, shortest: float) -> Samples | str:
    try:
        samples, loudest = decode(file)
    except soundfile.LibsndfileError as error:
        return str(error.error_string).rstrip(".")
    except (ValueError, OSError, RuntimeError) as error:
        return str(error) or type(error).__name__
    if loudest < _QUIETEST:
        return "silent"
    seconds = len(samples) / SAMPLE_RATE
    return f"{seconds:.2f} s, shorter than {shortest:g} s" if seconds < shortest else samples


def _different(read: dict[Path, Samples]) -> tuple[dict[Path, Samples], int]:
    # A copy on both sides of a split would be recognised by memory alone.
    first: dict[bytes, Path] = {}
    for file, samples in read.items():
        first.setdefault(hashlib.sha256(samples.tobytes()).digest(), file)
    return {file: read[file] for file in first.values()}, len(read) - len(first)


def _sound_set(root: Path, waves: dict[Path, Samples]) -> SoundSet:
    names = tuple(str(file.relative_to(root)) for file in waves)
    whole = SoundSet(root.name, tuple(torch.from_numpy(wave) for wave in waves.values()), names)
    folders = labels_of(names)
    voices = tuple(sorted(set(folders)))
    if len(voices) < 2:
        return whole
    return replace(whole, voices=torch.tensor([voices.index(folder) for folder in folders]), voice_names=voices)


def _split(whole: SoundSet, root: Path, *, duplicates: int, bad: dict[Path, str]) -> Splits[SoundSet]:
    notes = notes_on(whole.names, what="recordings", duplicates=duplicates, bad=bad)
    index = _cut(whole)
    if whole.voices is None:
        notes.append("No sub-folder for each voice, so no labels: split 80 / 20, and what needs labels is not scored.")
    elif not len(index["test"]):
        notes.append("Too few recordings in each sub-folder to score them: split 80 / 20, and voices are not used.")
        whole = replace(whole, voices=None, voice_names=())
        index = _cut(whole)
    facts = Facts(
        what="your recordings, 16 kHz, one channel",
        licence="yours",
        credit="yours",
        origin=str(root),
        used_for="cpc, wav2vec2",
        counts=f"{len(whole):,} recordings, {whole.seconds / 60:,.1f} minutes, "
        f"{whole.seconds * SAMPLE_RATE * 2 / 1e6:,.1f} MB in memory",
        notes=tuple(notes),
    )
    return Splits(**{n: whole.take(i, f"{whole.name}/{n}") for n, i in index.items()}, facts=facts, source=str(root))


def _cut(whole: SoundSet) -> dict[str, Tensor]:
    voices = [0] * len(whole) if whole.voices is None else whole.voices.tolist()
    parts = cut(voices, test=whole.voices is not None)
    return {name: torch.tensor(items, dtype=torch.int64) for name, items in parts.items()}
