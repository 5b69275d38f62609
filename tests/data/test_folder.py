"""A folder of pictures: every kind is read, and every bad one is named."""

import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from info_nce.data import load_pictures
from info_nce.data.folder import decode, load_folder
from info_nce.errors import DataError
from tests.pictures import folder_of, picture


def test_sub_folders_are_labels_and_the_split_is_fixed_and_even(tmp_path: Path) -> None:
    folder_of(tmp_path, 40, classes=("cat", "dog"))
    splits = load_pictures(str(tmp_path), image_size=16)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [24, 8, 8]
    assert splits.train.class_names == ("cat", "dog")
    assert splits.test.labels is not None
    assert splits.test.labels.bincount().tolist() == [4, 4]
    assert splits.train.images.shape[1:] == (3, 16, 16)
    assert splits.train.paths is not None
    assert all(
        path.startswith(splits.train.class_names[label])
        for path, label in zip(splits.train.paths, splits.train.labels.tolist(), strict=True)  # type: ignore[union-attr]  # there are labels
    )
    assert load_pictures(str(tmp_path), image_size=16).fingerprint() == splits.fingerprint()


def test_without_sub_folders_there_are_no_labels_and_nothing_to_test_on(tmp_path: Path) -> None:
    splits = load_folder(folder_of(tmp_path, 20), image_size=16)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [16, 4, 0]
    assert splits.train.labels is None
    assert "no labels" in splits.facts.notes[-1]


def test_one_folder_around_all_pictures_is_no_label(tmp_path: Path) -> None:
    folder_of(tmp_path / "photos", 20)
    assert load_folder(tmp_path, image_size=16).train.labels is None
    folder_of(tmp_path / "more" / "a", 10)
    assert load_folder(tmp_path, image_size=16).train.class_names == ("more", "photos")


def test_folders_called_like_splits_are_no_labels_but_those_below_are(tmp_path: Path) -> None:
    for number, part in enumerate(("Train", "val")):
        folder_of(tmp_path / "photos" / part, 20, classes=("cat", "dog"), first=20 * number)
    splits = load_folder(tmp_path, image_size=16)
    assert splits.train.class_names == ("cat", "dog")
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [24, 8, 8]
    assert "The folders Train, val are taken for parts" in splits.facts.notes[-1]


def test_folders_called_like_splits_without_any_below_are_no_labels(tmp_path: Path) -> None:
    for number, part in enumerate(("train", "validation", "test")):
        folder_of(tmp_path / part, 10, first=10 * number)
    splits = load_folder(tmp_path, image_size=16)
    assert splits.train.labels is None
    assert "train, validation" in splits.facts.notes[0]
    assert "no labels" in splits.facts.notes[-1]


def test_a_folder_called_like_a_split_beside_one_that_is_not_is_a_label(tmp_path: Path) -> None:
    folder_of(tmp_path, 20, classes=("train", "bus"))  # vehicles
    splits = load_folder(tmp_path, image_size=16)
    assert splits.train.class_names == ("bus", "train")
    assert splits.facts.notes == ()


def test_sub_folders_too_small_to_score_are_no_labels(tmp_path: Path) -> None:
    splits = load_folder(folder_of(tmp_path, 12, classes=tuple("abcdef")), image_size=16)
    assert splits.train.labels is None
    assert "Too few" in splits.facts.notes[-1]


def test_exact_duplicates_are_left_out_and_counted(tmp_path: Path) -> None:
    folder_of(tmp_path, 20)
    picture(3).save(tmp_path / "again.bmp")
    splits = load_folder(tmp_path, image_size=16)
    assert len(splits.train) + len(splits.validation) == 20
    assert splits.facts.notes[0] == "Left out as exact duplicates: 1."


def test_grey_pictures_have_one_channel(tmp_path: Path) -> None:
    assert load_folder(folder_of(tmp_path, 10, mode="L"), image_size=16).train.images.shape[1] == 1
    picture(99).save(tmp_path / "one in colour.png")
    assert load_folder(tmp_path, image_size=16).train.images.shape[1] == 3


@pytest.mark.parametrize(
    ("mode", "suffix"), [("P", "gif"), ("P", "png"), ("1", "png"), ("RGBA", "webp"), ("LA", "png")]
)
@pytest.mark.parametrize("size", [(1, 1), (7, 300), (300, 7)])
def test_any_mode_and_size_becomes_a_square_in_colour(
    tmp_path: Path, mode: str, suffix: str, size: tuple[int, int]
) -> None:
    file = tmp_path / f"it.{suffix}"
    picture(0, "RGBA" if mode == "LA" else mode, size).convert(mode).save(file)
    pixels = decode(file, 16)
    assert pixels.shape == (16, 16, 3)
    assert pixels.dtype == np.uint8


def test_cmyk_keeps_its_colours(tmp_path: Path) -> None:
    Image.new("CMYK", (20, 20), (0, 255, 255, 0)).save(tmp_path / "red.jpg")
    red, green, blue = decode(tmp_path / "red.jpg", 8)[4, 4].tolist()
    assert red > 200
    assert max(green, blue) < 60


def test_sixteen_bits_are_scaled_not_cut_off(tmp_path: Path) -> None:
    Image.fromarray(np.full((20, 20), 257 * 100, dtype=np.uint16)).save(tmp_path / "deep.png")
    assert decode(tmp_path / "deep.png", 8)[4, 4].tolist() == [100, 100, 100]


def test_transparent_is_white(tmp_path: Path) -> None:
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(tmp_path / "nothing.png")
    assert (decode(tmp_path / "nothing.png", 8) == 255).all()


def test_a_camera_held_sideways_is_turned_upright(tmp_path: Path) -> None:
    lying = Image.new("RGB", (40, 20))
    lying.paste("white", (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    lying.save(tmp_path / "turned.png", exif=exif)
    upright = decode(tmp_path / "turned.png", 8)
    assert upright[0].min() > 200
    assert upright[-1].max() < 50


def test_the_middle_is_kept(tmp_path: Path) -> None:
    wide = Image.new("RGB", (60, 20))
    wide.paste("white", (20, 0, 40, 20))
    wide.save(tmp_path / "wide.png")
    assert (decode(tmp_path / "wide.png", 20) == 255).all()


def png_claiming(side: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    header = side.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def whole_png() -> bytes:
    import io

    content = io.BytesIO()
    picture(7, size=(100, 100)).save(content, "PNG")
    return content.getvalue()


BAD = {
    "empty.png": b"",
    "text.jpg": b"hello",
    "truncated.png": whole_png()[:2000],
    "bomb.png": png_claiming(60_000),
    "half a bomb.png": png_claiming(11_000),
    "postscript.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    "header only.gif": b"GIF89a",
    "header only.bmp": b"BM\x00\x00",
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_named(tmp_path: Path, name: str) -> None:
    folder_of(tmp_path, 10)
    (tmp_path / name).write_bytes(BAD[name])
    with pytest.raises(DataError, match="1 of 11 files") as caught:
        load_folder(tmp_path, image_size=16)
    assert name in caught.value.got
    assert "--skip-bad" in caught.value.advice


def test_bad_files_are_left_out_counted_and_named_when_asked(tmp_path: Path) -> None:
    folder_of(tmp_path, 10)
    for name, content in BAD.items():
        (tmp_path / name).write_bytes(content)
    splits = load_folder(tmp_path, image_size=16, skip_bad=True)
    assert len(splits.train) + len(splits.validation) == 10
    assert splits.facts.notes[0].startswith("Left out because they cannot be used: 8, bomb.png")
    assert "and 3 more" in splits.facts.notes[0]


def test_damaged_bytes_anywhere_end_in_a_picture_or_a_named_file(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    for suffix in ("png", "jpg", "webp", "bmp", "gif"):
        file = tmp_path / f"it.{suffix}"
        picture(1, size=(60, 60)).save(file)
        whole = bytearray(file.read_bytes())
        for i in range(40):
            damaged = whole.copy()
            for at in chance.integers(0, min(len(whole), 400), 8):
                damaged[at] = chance.integers(0, 256)
            (tmp_path / f"{i}.{suffix}").write_bytes(damaged)
    load_folder(folder_of(tmp_path / "whole", 10).parent, image_size=16, skip_bad=True)


def test_warnings_are_as_before_afterwards(tmp_path: Path) -> None:
    before = list(warnings.filters)
    load_folder(folder_of(tmp_path, 10), image_size=16)
    assert list(warnings.filters) == before


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda root: root / "missing", "there is no folder"),
        (lambda root: folder_of(root, 1) / "000.png", "there is no folder"),
        (lambda root: root, "holds no pictures"),
        (lambda root: folder_of(root, 1), "holds too few pictures"),
        (lambda root: folder_of(root / ".hidden", 20).parent, "holds no pictures"),
    ],
    ids=["missing", "a file", "empty", "one picture", "hidden"],
)
def test_a_folder_without_enough_pictures_is_refused(tmp_path: Path, make: object, says: str) -> None:
    with pytest.raises(DataError, match=says):
        load_folder(make(tmp_path), image_size=16)  # type: ignore[operator]  # a parameter of the test


def test_the_same_picture_many_times_is_one_picture(tmp_path: Path) -> None:
    for i in range(20):
        picture(0).save(tmp_path / f"{i}.png")
    with pytest.raises(DataError, match="1 different pictures"):
        load_folder(tmp_path, image_size=16)


def test_taking_pictures_takes_all_that_belongs_to_them(tmp_path: Path) -> None:
    train = load_folder(folder_of(tmp_path, 40, classes=("a", "b")), image_size=16).train
    some = train.take(torch.tensor([2, 0]), "some")
    assert some.name == "some"
    torch.testing.assert_close(some.images, train.images[[2, 0]])
    assert train.paths is not None
    assert some.paths == (train.paths[2], train.paths[0])
