"""The built-in speech: no voice and no sentence in two parts, and the same samples at every call."""

import shutil
from pathlib import Path

import pytest
import torch

from info_nce.data import speech, wordnet
from info_nce.data.audio import SAMPLE_RATE, Phones, SoundSet
from info_nce.data.espeak import open_espeak, wheel_of_this_platform
from info_nce.data.speech import load_speech, spoken_lines
from info_nce.data.wheels import locate
from info_nce.errors import DataError
from tests.recordings import SENTENCES, espeak_wheel

SMALL = {"train": (2, 2), "validation": (1, 1), "test": (1, 2)}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "PARTS", SMALL)


@pytest.mark.usefixtures("small")
def test_no_voice_and_no_sentence_is_in_two_parts_and_none_is_too_short() -> None:
    with open_espeak(data_file=espeak_wheel()) as espeak:
        lines = list(spoken_lines(espeak, ["too short", "No. 7 is no plain sentence, is it?", *SENTENCES]))
    assert [line.part for line in lines] == ["train"] * 4 + ["validation"] + ["test"] * 2
    for part, (voices, _) in SMALL.items():
        own = {line.voice for line in lines if line.part == part}
        assert len(own) == voices
        assert not own & {line.voice for line in lines if line.part != part}
    assert len({line.text for line in lines}) == len(lines)
    assert {line.text for line in lines} <= set(SENTENCES)
    assert min(len(line.spoken.samples) for line in lines) >= speech.SHORTEST * SAMPLE_RATE


def test_voices_that_are_none_are_left_out() -> None:
    with open_espeak(data_file=espeak_wheel()) as espeak:
        kept = [name for name in espeak.variants() if not speech.LEFT_OUT.fullmatch(name)]
    assert len(kept) == sum(voices for voices, _ in speech.PARTS.values())
    assert not {"whisper", "robosoft3", "Reed"} & set(kept)
    assert {"f1", "Robert".lower()} <= set(kept)


def test_a_phone_is_found_by_its_time_and_a_pause_is_none() -> None:
    phones = Phones((torch.tensor([10, 20, 30]),), (torch.tensor([1, 0, 2]),), ("_:", "a", "b"))
    times = torch.tensor([0, 9, 10, 19, 20, 29, 30, 99])
    assert phones.at(0, times).tolist() == [-1, -1, 1, 1, -1, -1, 2, 2]


def test_crops_lie_within_their_recording_and_reach_both_ends() -> None:
    waves = (torch.arange(100, 110, dtype=torch.int16), torch.arange(6, dtype=torch.int16))
    part = SoundSet("x", waves, ("a", "b"))
    drawn = torch.stack([part.crops(torch.tensor([0, 1]), 6) for _ in range(200)]).mul(32_768).round().int()
    firsts, seconds = sorted(set(drawn[:, 0, 0].tolist())), drawn[:, 1]
    assert firsts == [100, 101, 102, 103, 104]
    assert bool((drawn[:, 0].diff(dim=1) == 1).all())
    assert bool((seconds == torch.arange(6)).all())


@pytest.mark.usefixtures("small")
def test_a_wheel_that_is_not_in_the_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file") as caught:
        load_speech(data_file=tmp_path / "some.whl", cache=tmp_path / "cache")
    assert caught.value.expected == wordnet.WHEEL.file_name


@pytest.mark.slow
def test_the_whole_set_is_the_same_whether_kept_or_made_anew(tmp_path: Path) -> None:
    wheels = tmp_path / "at hand"
    wheels.mkdir()
    for wheel in (wheel_of_this_platform(), wordnet.WHEEL):
        shutil.copy(locate(wheel), wheels)
    made = load_speech(data_file=wheels, cache=tmp_path / "cache")
    (kept,) = (tmp_path / "cache" / "speech").iterdir()
    first = made.fingerprint()
    assert [len(part) for part in made.parts().values()] == [1500, 160, 340]
    assert min(len(w) for part in made.parts().values() for w in part.waves) >= 1.28 * SAMPLE_RATE
    assert load_speech(cache=tmp_path / "cache").fingerprint() == first
    kept.write_bytes(kept.read_bytes()[:-1000])
    assert load_speech(data_file=wheels, cache=tmp_path / "cache").fingerprint() == first
