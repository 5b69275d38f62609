"""A few real recordings on the disk: synthetic speech, spoken by the real library."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile

from info_nce.data.audio import SAMPLE_RATE
from info_nce.data.espeak import Utterance, open_espeak, wheel_of_this_platform
from info_nce.data.speech import LANGUAGE, at_16_khz
from info_nce.recipes.cpc import Listener
from info_nce.recipes.log_mel import BANDS, Convolutions
from tests.wheels import fetched

VOICES = ("f1", "m3")
SENTENCES = (
    "the quick brown fox jumps over the lazy dog",
    "she sells sea shells by the sea shore",
    "how much wood would a woodchuck chuck today",
    "a large size in stockings is hard to sell",
    "the birch canoe slid on the smooth planks",
    "glue the sheet to the dark blue background",
    "it is easy to tell the depth of a well",
    "these days a chicken leg is a rare dish",
    "rice is often served in round bowls here",
    "the juice of lemons makes fine punch indeed",
)


def espeak_wheel() -> Path:
    """The real eSpeak NG for this machine."""
    return fetched(wheel_of_this_platform())


@lru_cache(maxsize=1)
def spoken() -> dict[tuple[str, int], Utterance]:
    """Every sentence by every voice, at 16 kHz."""
    with open_espeak(data_file=espeak_wheel()) as espeak:
        return {
            (voice, i): at_16_khz(espeak.speak(text, language=LANGUAGE, variant=voice))
            for voice in VOICES
            for i, text in enumerate(SENTENCES)
        }


def folder_of_speech(root: Path, *, voices: Sequence[str] = VOICES, sub_folders: bool = True) -> Path:
    """Fill a folder with wav files, one sub-folder for each voice."""
    for (voice, i), utterance in spoken().items():
        if voice in voices:
            parent = root / voice if sub_folders else root
            parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(parent / f"{voice}-{i}.wav", utterance.samples, SAMPLE_RATE)
    return root


def noise(
    seconds: float, *, rate: int = SAMPLE_RATE, channels: int = 1, seed: int = 0
) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    """Loud enough to count as a recording."""
    shape = (round(seconds * rate), channels)
    return np.random.default_rng(seed).uniform(-0.5, 0.5, shape).astype(np.float32)


def listener(features: int, context: int) -> Listener:
    """The small model of CPC, in use."""
    return Listener(Convolutions(BANDS, features, Listener.stride), features, context).eval()
