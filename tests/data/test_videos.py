"""A folder of the user's own videos: every kind is read at an even rate, and every bad file is named."""

import struct
from pathlib import Path

import av
import numpy as np
import psutil  # type: ignore[import-untyped]  # it ships no types
import pytest
import torch

from info_nce.data.decode_video import BadVideoError, decode_video, kind_of, seconds_of
from info_nce.data.videos import Cutting, load_videos
from info_nce.errors import DataError
from tests.videos import frames_of, video, videos_in, written

SMALL = Cutting(size=16, frames=8, rate=8)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".avi", ".gif"])
def test_every_kind_is_read_at_the_rate_that_is_asked_for(tmp_path: Path, suffix: str) -> None:
    file = video(tmp_path / f"a{suffix}", 3, count=20, rate=10, size=(32, 24))
    found = decode_video(file, 24, rate=10)
    assert found.shape == (20, 3, 24, 24)
    middle = frames_of(3, 20, (32, 24))[:, :, 4:28].transpose(0, 3, 1, 2)
    assert np.abs(found.astype(float) - middle).mean() < 25  # what a codec and 8-bit colours of a gif may change
    assert np.abs(found.astype(float) - middle[::-1]).mean() > np.abs(found.astype(float) - middle).mean()
    assert decode_video(file, 24, rate=5).shape[0] == 10
    np.testing.assert_array_equal(decode_video(file, 24, rate=5), found[::2])
    np.testing.assert_array_equal(decode_video(file, 24, rate=20), found.repeat(2, axis=0))
    assert seconds_of(file) == pytest.approx(2, abs=0.11)


def test_a_video_whose_frames_come_unevenly_is_read_at_an_even_rate(tmp_path: Path) -> None:
    frames = frames_of(0, 4, (32, 32))
    with av.open(str(tmp_path / "uneven.mkv"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for place, frame in zip((0, 1, 5, 9), frames, strict=True):  # tenths of a second
            made = av.VideoFrame.from_ndarray(frame, format="rgb24")
            made.pts = place
            container.mux(stream.encode(made))
        container.mux(stream.encode())
    found = decode_video(tmp_path / "uneven.mkv", 32, rate=10)
    new = [t for t in range(1, len(found)) if (found[t] != found[t - 1]).any()]
    assert (len(found), new) == (10, [1, 5, 9])


def test_a_lying_recording_of_an_upright_telephone_is_turned(tmp_path: Path) -> None:
    frames = np.zeros((4, 32, 48, 3), dtype=np.uint8)
    frames[:, :, :24] = 255  # the left half is bright
    file = written(tmp_path / "a.mp4", frames, rate=4)
    lying = decode_video(file, 32, rate=4)
    content = file.read_bytes()
    upright = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)  # by 90 degrees, clockwise
    at = content.index(struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30), content.index(b"tkhd"))
    file.write_bytes(content[:at] + upright + content[at + len(upright) :])
    turned = decode_video(file, 32, rate=4)
    assert lying[0, 0, :, :12].mean() > 200 + lying[0, 0, :, 20:].mean()
    assert turned[0, 0, :12].mean() > 200 + turned[0, 0, 20:].mean()  # what was left is now above


def test_sub_folders_are_labels_and_a_file_is_in_one_part(tmp_path: Path) -> None:
    for i in range(20):
        video(tmp_path / ("run", "walk")[i % 2] / f"{i}.mp4", i, count=24)  # three seconds: three videos each
    splits = load_videos(tmp_path, SMALL)
    assert [len(part) for part in splits.parts().values()] == [36, 12, 12]
    assert splits.train.class_names == {"folder": ("run", "walk")}
    for part in splits.parts().values():
        assert part.labels["folder"].bincount().tolist() == [len(part) // 2] * 2
        assert all(
            ("run", "walk")[label] in name for label, name in zip(part.labels["folder"], part.names, strict=True)
        )
    files = [{name.rpartition(":")[0] for name in part.names} for part in splits.parts().values()]
    assert sum(map(len, files)) == len(set.union(*files)) == 20
    assert load_videos(tmp_path, SMALL).fingerprint() == splits.fingerprint()


def test_without_sub_folders_files_are_split_80_20_and_nothing_is_tested_on(tmp_path: Path) -> None:
    splits = load_videos(videos_in(tmp_path), SMALL)
    assert [len(part) for part in splits.parts().values()] == [20, 4, 0]
    assert splits.train.labels == {}
    assert "no labels" in splits.facts.notes[-1]


def test_one_long_file_is_cut_into_videos_and_some_are_held_out(tmp_path: Path) -> None:
    written(tmp_path / "long.mp4", np.concatenate([frames_of(i, 8, (32, 24)) for i in range(12)]))
    splits = load_videos(tmp_path, SMALL)
    assert [len(part) for part in splits.parts().values()] == [10, 2, 0]
    assert "numbers flatter" in splits.facts.notes[-1]
    few = Cutting(size=16, frames=8, rate=8, most=3).cut(tmp_path / "long.mp4")
    every = SMALL.cut(tmp_path / "long.mp4")
    np.testing.assert_array_equal(few, every[[2, 6, 10]])


def test_grey_videos_have_one_channel(tmp_path: Path) -> None:
    for i in range(12):
        grey = frames_of(i, 8, (32, 24)).mean(3, keepdims=True).astype(np.uint8).repeat(3, axis=3)
        written(tmp_path / f"{i}.mp4", grey)
    assert load_videos(tmp_path, SMALL).train.videos.shape[2] == 1


def test_exact_duplicates_are_left_out_and_counted(tmp_path: Path) -> None:
    videos_in(tmp_path)
    (tmp_path / "copy").mkdir()
    for file in list(tmp_path.glob("00*.mp4")):
        (tmp_path / "copy" / file.name).write_bytes(file.read_bytes())
    splits = load_videos(tmp_path, SMALL)
    assert sum(len(part) for part in splits.parts().values()) == 24
    assert "exact duplicates: 20" in splits.facts.notes[0]


def bad_files(root: Path) -> dict[str, str]:
    """Everything that can be wrong with a file, and a word of what is said of it."""
    good = video(root / "good.mp4", 99).read_bytes()
    (root / "good.mp4").unlink()
    (root / "cut.mp4").write_bytes(good[: len(good) // 3])
    (root / "text.mp4").write_text("This is no video, whatever its name says.")
    (root / "empty.mov").touch()
    (root / "list.mkv").write_text("#EXTM3U\n#EXTINF:10,\n/etc/passwd\n")
    video(root / "one-frame.avi", 98, count=1)
    with av.open(str(root / "sound.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        container.mux(stream.encode(_silence()))
        container.mux(stream.encode())
    return {
        "cut.mp4": "Invalid data",
        "text.mp4": "no video of a known kind",
        "empty.mov": "an empty file",
        "list.mkv": "no video of a known kind",
        "one-frame.avi": "too short: 1 frames",
        "sound.mkv": "only sound",
    }


def _silence() -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), dtype=np.int16), format="s16", layout="mono")
    frame.sample_rate = 8000
    return frame


def test_every_bad_file_is_named_and_skipped_only_when_asked(tmp_path: Path) -> None:
    videos_in(tmp_path)
    expected = bad_files(tmp_path)
    with pytest.raises(DataError, match="6 of 18 files") as caught:
        load_videos(tmp_path, SMALL)
    for name in sorted(expected)[:5]:
        assert f"{name} (" in caught.value.got
    splits = load_videos(tmp_path, SMALL, skip_bad=True)
    assert sum(len(part) for part in splits.parts().values()) == 24
    assert "cannot be used: 6" in splits.facts.notes[0]
    for name, reason in expected.items():
        with pytest.raises(BadVideoError, match=reason):
            SMALL.cut(tmp_path / name)


def test_a_video_that_ends_in_damage_is_named(tmp_path: Path) -> None:
    file = video(tmp_path / "a.avi", 0, count=40, size=(64, 64))
    content = file.read_bytes()
    file.write_bytes(content[:2048])  # the head is whole, nearly all of the rest is missing
    with pytest.raises(BadVideoError):
        SMALL.cut(file)


@pytest.mark.parametrize(("count", "what"), [(0, "holds no videos"), (2, "too few videos")])
def test_a_folder_with_too_little_in_it_is_refused(tmp_path: Path, count: int, what: str) -> None:
    for i in range(count):
        video(tmp_path / f"{i}.mp4", i, count=8)
    with pytest.raises(DataError, match=what):
        load_videos(tmp_path, SMALL)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        load_videos(tmp_path / "nowhere", SMALL)


def test_what_does_not_fit_into_memory_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos_in(tmp_path)
    memory = psutil.virtual_memory()
    needed = 24 * SMALL.megabytes * 1e6  # 24 videos of a second
    assert needed == 2 * 24 * 8 * 3 * 16 * 16
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory._replace(available=needed - 1))
    with pytest.raises(DataError, match="do not fit into memory"):
        load_videos(tmp_path, SMALL)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory._replace(available=needed))
    assert len(load_videos(tmp_path, SMALL).train) == 20


@pytest.mark.parametrize("head", [b"", b"#EXTM3U", b"mp4 mp4 mp4 ", b"RIFF....WAVE", b"ffconcat version"])
def test_no_first_bytes_but_those_of_a_known_kind_open_a_file(head: bytes) -> None:
    with pytest.raises(BadVideoError):
        kind_of(head)


def test_a_set_hands_out_its_videos_and_no_other_kind(tmp_path: Path) -> None:
    part = load_videos(videos_in(tmp_path), SMALL).train
    assert torch.equal(part.items("video"), part.videos)
    assert part.about() == {"frames": 8, "channels": 3, "image_size": 16, "class_names": {}}
    assert part.ids()[0] == "000.mp4:0"
    with pytest.raises(DataError, match="no items of the kind 'image'"):
        part.items("image")
