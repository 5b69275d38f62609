"""Synthetic speech: sentences out of WordNet, spoken by voices of eSpeak NG, with the moment of every phone.

No person is heard here. What makes it worth having is that the voice and each phone are known exactly, so that what an
encoder has learned without them can be measured, on voices and sentences that it never met.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from info_nce.data import espeak, wordnet
from info_nce.data.audio import SAMPLE_RATE, Phones, SoundSet
from info_nce.data.espeak import Espeak, Utterance, open_espeak, wheel_of_this_platform
from info_nce.data.splits import SPLIT_SEED, Facts, Splits
from info_nce.errors import RunError, needs_extra
from info_nce.recipes.checkpoints import load_tensors, save_tensors

with needs_extra("train"):
    from platformdirs import user_cache_path

LANGUAGE = "en-us"
PARTS = {"train": (60, 25), "validation": (8, 20), "test": (20, 17)}
"""How many voices a part has, and how many sentences each of them says; no voice and no sentence is in two parts."""
SHORTEST = 1.28
"""Seconds that every utterance lasts at least: the length of a crop."""
# Whispers and robots are no voices; two take their noise from the C library, which no seed of ours reaches; and "fast"
# calls itself unstable.
LEFT_OUT = re.compile(r"whisperf?|robosoft\d?|UniRobot|anikaRobot|Demonic|Reed|caleb|fast")
# Plain sentences, so that what is spoken is what is written.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z ,']*")
# A number that changes whenever what is made here changes, so that an older file in the cache is not taken for it.
_EDITION = 2


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """Who said what.

    Args:
        part: of the data set.
        voice: a variant of eSpeak NG.
        text: the sentence.
        spoken: at 16 kHz.
    """

    part: str
    voice: str
    text: str
    spoken: Utterance


def load_speech(*, data_file: str | Path | None = None, cache: Path | None = None) -> Splits[SoundSet]:
    """Load 2,000 synthetic utterances at 16 kHz in three fixed parts, no two of which share a voice or a sentence.

    They are spoken once, which takes half a minute, and kept in the user's cache.

    Args:
        data_file: the folder with both wheels (eSpeak NG's for this machine, and WordNet's), if they are at hand
            already, or one of the two.
        cache: where fetched wheels and the speech are kept.

    Returns:
        The parts, the same at every call.

    Raises:
        DataError: a wheel cannot be fetched or is not the pinned one, or there is no eSpeak NG for this machine.
    """
    made_of = f"{_EDITION} {wheel_of_this_platform().sha256} {wordnet.WHEEL.sha256} {PARTS} {LANGUAGE} {SPLIT_SEED}"
    kept = user_cache_path("info-nce", appauthor=False) if cache is None else cache
    file = kept / "speech" / f"{hashlib.sha256(made_of.encode()).hexdigest()[:16]}.safetensors"
    try:
        tensors, header = load_tensors(file)
    except RunError:  # not made yet, or damaged
        tensors, header = _speak(data_file, cache)
        save_tensors(file, tensors, header)
    parts = {part: _part(part, tensors, header) for part in PARTS}
    return Splits(**parts, facts=facts(), source="speech")


def facts() -> Facts:
    """What there is to know, without loading anything."""
    voices = " / ".join(str(voices) for voices, _ in PARTS.values())
    utterances = " / ".join(f"{voices * each:,}" for voices, each in PARTS.values())
    return Facts(
        what="synthetic speech, English sentences spoken by eSpeak NG, 16 kHz, with the time of every phone",
        licence="eSpeak NG is GPL-3.0-or-later (the wheel states no licence); sentences: " + wordnet.LICENCE,
        credit="eSpeak NG by Jonathan Duddington, Reece H. Dunn and others; " + wordnet.CREDIT,
        origin=f"PyPI espeakng-loader==0.2.4 and {wordnet.WHEEL.requirement}, pinned by sha256; spoken on this machine",
        used_for="cpc, wav2vec2",
        counts=f"{utterances} utterances of {voices} voices for training / validation / test; "
        "no voice and no sentence is in two parts",
        notes=(
            "No person is heard: what is learned here says little about human speech.",
            "The samples may differ in their last bits between kinds of processors, and the fingerprint with them.",
        ),
    )


def spoken_lines(speaker: Espeak, sentences: Sequence[str]) -> Iterator[Line]:
    """Deal out voices and sentences to the parts, and have them spoken.

    Args:
        speaker: fresh from `open_espeak`.
        sentences: all that there are; a voice whose sentence is over too soon says another one.

    Returns:
        The lines, part after part; within each, the voices take turns.
    """
    shuffle = np.random.default_rng(SPLIT_SEED)
    voices = iter(shuffle.permutation([v for v in speaker.variants() if not LEFT_OUT.fullmatch(v)]).tolist())
    texts = iter(shuffle.permutation([text for text in sentences if _PLAIN.fullmatch(text)]).tolist())
    for part, (count, each) in PARTS.items():
        own = [next(voices) for _ in range(count)]
        for voice in own * each:
            for text in texts:
                spoken = at_16_khz(speaker.speak(text, language=LANGUAGE, variant=voice))
                if len(spoken.samples) >= SHORTEST * SAMPLE_RATE:
                    yield Line(part, voice, text, spoken)
                    break


def at_16_khz(spoken: Utterance) -> Utterance:
    """Bring an utterance to the rate of all recordings here, and the times of its phones with it."""
    with needs_extra("audio"):
        from scipy.signal import resample_poly  # noqa: PLC0415 (a second, and `info-nce data` speaks nothing)
    common = np.gcd(SAMPLE_RATE, espeak.SAMPLE_RATE)
    samples = resample_poly(spoken.samples.astype(np.float64), SAMPLE_RATE // common, espeak.SAMPLE_RATE // common)
    starts = tuple(round(start * SAMPLE_RATE / espeak.SAMPLE_RATE) for start in spoken.starts)
    return Utterance(samples.round().clip(-32_768, 32_767).astype(np.int16), spoken.phones, starts)


def _speak(data_file: str | Path | None, cache: Path | None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    folder = Path(data_file).expanduser() if data_file else None
    if folder is not None and not folder.is_dir():
        folder = folder.parent
    voice, words = (folder and folder / wheel.file_name for wheel in (wheel_of_this_platform(), wordnet.WHEEL))
    sentences = wordnet.examples(data_file=words, cache=cache)
    with open_espeak(data_file=voice, cache=cache) as speaker:
        lines = list(spoken_lines(speaker, sentences))
    spoken = [line.spoken for line in lines]
    names = sorted({phone for utterance in spoken for phone in utterance.phones})
    place = {name: i for i, name in enumerate(names)}
    tensors = {
        "samples": torch.from_numpy(np.concatenate([u.samples for u in spoken])),
        "lengths": torch.tensor([len(u.samples) for u in spoken]),
        "starts": torch.tensor([start for u in spoken for start in u.starts]),
        "phones": torch.tensor([place[phone] for u in spoken for phone in u.phones]),
        "counts": torch.tensor([len(u.phones) for u in spoken]),
    }
    said = {name: [getattr(line, name) for line in lines] for name in ("part", "voice", "text")}
    return tensors, {"phones": names, **said}


def _part(part: str, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> SoundSet:
    waves = torch.split(tensors["samples"], tensors["lengths"].tolist())
    starts, phones = (torch.split(tensors[name], tensors["counts"].tolist()) for name in ("starts", "phones"))
    voices = sorted(set(header["voice"]))
    whole = SoundSet(
        "speech",
        waves,
        tuple(f"{voice}: {text}" for voice, text in zip(header["voice"], header["text"], strict=True)),
        torch.tensor([voices.index(voice) for voice in header["voice"]]),
        tuple(voices),
        Phones(starts, phones, tuple(header["phones"])),
    )
    own = [i for i, name in enumerate(header["part"]) if name == part]
    return whole.take(torch.tensor(own), f"speech/{part}")
