"""Own recordings: any rate, any channels, any depth; what cannot be used is named, and left out only when asked."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from info_nce.data.audio import SAMPLE_RATE, SoundSet
from info_nce.data.sounds import decode, load_sounds
from info_nce.data.splits import Splits
from info_nce.errors import DataError
from tests.recordings import noise


def folder_of_noise(root: Path, count: int = 12, *, folders: tuple[str, ...] = ("",), first: int = 0) -> Path:
    for i in range(first, first + count):
        parent = root / folders[i % len(folders)]
        parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(parent / f"{i:03}.wav", noise(0.5, seed=i), SAMPLE_RATE)
    return root


def load(folder: Path, *, shortest: float = 0.4, skip_bad: bool = False) -> Splits[SoundSet]:
    return load_sounds(folder, shortest=shortest, skip_bad=skip_bad)


def tone(hertz: float, rate: int, channels: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    wave = 0.4 * np.sin(2 * np.pi * hertz * np.arange(rate) / rate)
    return np.stack([wave] * channels, axis=1)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.opus", "a.mp3"])
@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (48_000, 2)])
def test_a_tone_is_the_same_tone_whatever_its_file(tmp_path: Path, name: str, rate: int, channels: int) -> None:
    kind = {"opus": ("OGG", "OPUS"), "ogg": ("OGG", "VORBIS")}.get(name.split(".")[1], (None, None))
    soundfile.write(tmp_path / name, tone(440, rate, channels), rate, format=kind[0], subtype=kind[1])
    samples, loudest = decode(tmp_path / name)
    assert abs(len(samples) - SAMPLE_RATE) < 0.1 * SAMPLE_RATE  # mp3 adds silence at both ends
    spectrum = np.abs(np.fft.rfft(samples[2_000:14_000] * np.hanning(12_000)))
    assert np.argmax(spectrum) == round(440 * 12_000 / SAMPLE_RATE)
    assert 0.35 < loudest < 0.5
    assert abs(np.abs(samples).max() / 32_768 - loudest) < 0.01


def test_files_at_any_depth_are_split_without_labels(tmp_path: Path) -> None:
    splits = load(folder_of_noise(tmp_path, folders=("", "deep/deeper")))
    assert [len(part) for part in splits.parts().values()] == [10, 2, 0]
    assert splits.train.voices is None
    assert any("so no labels" in note for note in splits.facts.notes)
    names = [name for part in splits.parts().values() for name in part.ids()]
    assert len(set(names)) == 12
    assert str(Path("deep/deeper/001.wav")) in names
    assert load(tmp_path).fingerprint() == splits.fingerprint()


def test_sub_folders_are_voices_and_those_called_like_parts_are_not(tmp_path: Path) -> None:
    splits = load(folder_of_noise(tmp_path / "one", 20, folders=("ann", "bob")))
    assert splits.train.voice_names == ("ann", "bob")
    assert [len(part) for part in splits.parts().values()] == [12, 4, 4]
    assert splits.test.voices is not None
    assert splits.test.voices.tolist() == [int("bob" in name) for name in splits.test.ids()]
    parted = load(folder_of_noise(tmp_path / "two", 20, folders=("train/ann", "test/bob")))
    assert parted.train.voice_names == ("ann", "bob")
    assert any("are taken for parts of the data" in note for note in parted.facts.notes)


def test_copies_are_left_out_and_counted(tmp_path: Path) -> None:
    folder_of_noise(tmp_path)
    for i in (3, 4):
        (tmp_path / f"copy{i}.wav").write_bytes((tmp_path / f"{i:03}.wav").read_bytes())
    splits = load(tmp_path)
    assert sum(map(len, splits.parts().values())) == 12
    assert "Left out as exact duplicates: 2." in splits.facts.notes


BAD = {
    "truncated": "cut short: 6,000 bytes are missing",
    "text": "Format not recognised",
    "short": "0.30 s, shorter than 0.4 s",
    "nan": "1 samples are no finite numbers",
    "silent": "silent",
    "empty": "empty",
    "nothing": "Format not recognised",
}


def make_bad(file: Path, kind: str) -> None:
    samples = noise(0.3 if kind == "short" else 0.5, seed=99)
    if kind == "nan":
        samples[100] = np.nan
    samples = samples[: 0 if kind == "empty" else None] * (kind != "silent")
    soundfile.write(file, samples, SAMPLE_RATE, subtype="FLOAT" if kind == "nan" else "PCM_16")
    if kind == "truncated":
        file.write_bytes(file.read_bytes()[:-6_000])
    elif kind in {"text", "nothing"}:
        file.write_text("no recording\n" * 100 if kind == "text" else "")


@pytest.mark.parametrize("kind", BAD)
def test_a_file_that_cannot_be_used_is_named_with_its_reason(tmp_path: Path, kind: str) -> None:
    folder_of_noise(tmp_path)
    make_bad(tmp_path / "bad.wav", kind)
    with pytest.raises(DataError, match=r"1 of 13 files in .* cannot be used as recordings") as caught:
        load(tmp_path)
    assert "bad.wav" in caught.value.got
    assert BAD[kind] in caught.value.got
    assert ("--crop-seconds" in caught.value.advice) == (kind == "short")
    splits = load(tmp_path, skip_bad=True)
    assert sum(map(len, splits.parts().values())) == 12
    assert any("Left out because they cannot be used: 1, bad.wav" in note for note in splits.facts.notes)


def test_a_wav_file_of_unknown_size_is_whole(tmp_path: Path) -> None:
    folder_of_noise(tmp_path)
    piped = tmp_path / "piped.wav"
    soundfile.write(piped, noise(0.5, seed=50), SAMPLE_RATE)
    content = bytearray(piped.read_bytes())
    place = content.index(b"data")
    content[place + 4 : place + 8] = b"\xff\xff\xff\xff"
    piped.write_bytes(content)
    assert len(decode(piped)[0]) == SAMPLE_RATE // 2


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no recordings"):
        load(tmp_path)
    (tmp_path / ".hidden.wav").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("nothing to hear")
    with pytest.raises(DataError, match="holds no recordings"):
        load(tmp_path)
    with pytest.raises(DataError, match="there is no folder"):
        load(tmp_path / "nowhere")


def test_too_few_recordings_are_refused(tmp_path: Path) -> None:
    folder_of_noise(tmp_path, 9)
    make_bad(tmp_path / "bad.wav", "text")
    with pytest.raises(DataError, match="holds too few recordings") as caught:
        load(tmp_path, skip_bad=True)
    assert caught.value.got == "9 different recordings, 1 that cannot be used"
