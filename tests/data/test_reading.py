"""The user's own files of any kind, every bad one named, read as the model's own were."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from info_nce.data.decoding import decoder_of, to_channels
from info_nce.data.folder import decode
from info_nce.data.reading import Reading
from info_nce.errors import DataError, SettingError
from tests.pictures import folder_of, picture

PICTURES = {"channels": 1, "image_size": 16}


def read(source: Path, kind: str, about: dict[str, Any] | None = None, **options: Any) -> tuple[list[Any], list[str]]:
    batches = list(Reading(source, kind, about or PICTURES, **options))
    return [item for batch in batches for item in batch.content], [name for batch in batches for name in batch.ids]


def test_a_folder_of_pictures_is_read_as_the_models_own_were(tmp_path: Path) -> None:
    root = folder_of(tmp_path, 5, classes=("a", "b"))
    items, ids = read(root, "image", {"channels": 3, "image_size": 16})
    assert ids == ["a/000.png", "a/002.png", "a/004.png", "b/001.png", "b/003.png"]
    torch.testing.assert_close(items[0], torch.from_numpy(decode(root / "a/000.png", 16).copy()).permute(2, 0, 1))


def test_grey_is_what_pillow_calls_grey(tmp_path: Path) -> None:
    picture(3, size=(16, 16)).save(tmp_path / "noise.png")
    (item,), _ = read(tmp_path / "noise.png", "image")
    expected = np.asarray(picture(3, size=(16, 16)).convert("L"))
    torch.testing.assert_close(item, torch.from_numpy(expected.copy())[None])
    video = np.random.default_rng(0).integers(0, 256, (2, 3, 3, 4, 4), dtype=np.uint8)
    np.testing.assert_array_equal(to_channels(video, 1)[1, 2], to_channels(video[1, 2], 1))


def test_every_bad_picture_is_named_and_no_good_one_is_handed_on_after_it(tmp_path: Path) -> None:
    root = folder_of(tmp_path, 4)
    for name in ("zbad.png", "zworse.jpg"):
        (root / name).write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"2 of what .* cannot be read") as caught:
        read(root, "image")
    assert "zbad.png" in str(caught.value)
    assert "zworse.jpg" in str(caught.value)
    reading = Reading(root, "image", PICTURES, skip_bad=True)
    assert sum(len(batch.ids) for batch in reading) == 4
    assert "2, zbad.png (no picture of a known kind); zworse.jpg" in reading.notes()[0]


def test_a_table_names_files_and_missing_ones_are_named_by_row(tmp_path: Path) -> None:
    folder_of(tmp_path / "p", 2)
    with (tmp_path / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image", "what"], ["p/001.png", "a"], ["p/000.png", "b"], ["p/001.png", "c"]])
    assert read(tmp_path / "list.csv", "image")[1] == ["p/001.png", "p/000.png"]
    with (tmp_path / "list.csv").open("a") as opened:
        opened.write("p/gone.png,d\n")
    with pytest.raises(DataError, match=r"row 5 \(no file p/gone\.png\)"):
        read(tmp_path / "list.csv", "image")


def test_texts_are_lines_or_a_column_or_files(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("one\n\n  two words \r\nthree", encoding="utf-8")
    assert read(tmp_path / "lines.txt", "text") == (
        ["one", "two words", "three"],
        ["lines.txt:1", "lines.txt:3", "lines.txt:4"],
    )
    (tmp_path / "rows.jsonl").write_text('{"id": 1, "Text": "one"}\n{"id": 2, "Text": "日本"}\n', encoding="utf-8")
    assert read(tmp_path / "rows.jsonl", "text") == (["one", "日本"], ["rows.jsonl:1", "rows.jsonl:2"])
    assert read(tmp_path / "rows.jsonl", "text", column="ID")[0] == ["1", "2"]
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("whole\nfile")
    assert read(tmp_path / "notes", "text") == (["whole\nfile"], ["a.md"])


def test_texts_that_are_none_are_named(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_bytes(b"good\ncaf\xe9\nnul\0\n")
    with pytest.raises(DataError, match=r"lines\.txt:2 \(not UTF-8.*lines\.txt:3 \(holds a NUL"):
        read(tmp_path / "lines.txt", "text")
    assert read(tmp_path / "lines.txt", "text", skip_bad=True) == (["good"], ["lines.txt:1"])
    (tmp_path / "rows.csv").write_text("text,other\n,1\na,2\n,3\n")
    with pytest.raises(DataError, match=r"2 of what (.|\n)*row 2 .*row 4"):
        read(tmp_path / "rows.csv", "text")


def test_it_has_to_be_said_which_of_several_columns(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="--column a"):
        read(tmp_path / "rows.csv", "text")
    with pytest.raises(DataError, match="lacks the columns"):
        read(tmp_path / "rows.csv", "text", column="c")


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        Reading(tmp_path / "nowhere", "image", PICTURES)
    with pytest.raises(DataError, match="holds no pictures"):
        read(tmp_path, "image")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(DataError, match="nothing that could be read"):
        read(tmp_path / "empty.txt", "text")
    with pytest.raises(SettingError, match="--kind smell"):
        Reading(tmp_path, "smell", PICTURES)


def test_a_video_is_cut_as_the_models_own_were(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="the extra video is not installed")
    frames = [Image.new("RGB", (20, 20), (20 * i, 0, 0)) for i in range(8)]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:], duration=125)
    items, ids = read(tmp_path / "film.gif", "video", {**PICTURES, "frames": 4, "rate": 8.0})
    assert [tuple(item.shape) for item in items] == [(4, 1, 16, 16)] * 2
    assert ids == [f"{tmp_path / 'film.gif'}:{i}" for i in range(2)]
    with pytest.raises(DataError, match="too short"):
        read(tmp_path / "film.gif", "video", {**PICTURES, "frames": 40, "rate": 8.0})


def test_recordings_that_say_nothing_are_named(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile", reason="the extra audio is not installed")
    tone = np.sin(np.arange(8000) / 5).astype(np.float32)
    soundfile.write(tmp_path / "tone.wav", tone, 8000)
    soundfile.write(tmp_path / "silent.wav", 0 * tone, 8000)
    soundfile.write(tmp_path / "click.wav", tone[:100], 8000)
    (tmp_path / "broken.wav").write_bytes(b"RIFF and no more")
    reading = Reading(tmp_path, "sound", {}, skip_bad=True)
    (batch,) = list(reading)
    assert batch.ids == ("tone.wav",)
    assert [tuple(wave.shape) for wave in batch.content] == [(16000,)]
    assert [bad.partition(" ")[0] for bad in reading.bad] == ["broken.wav", "click.wav", "silent.wav"]


def test_texts_have_no_decoder() -> None:
    with pytest.raises(SettingError, match="image, sound or video"):
        decoder_of("text", {})
