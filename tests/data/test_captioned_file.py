"""The user's own pictures with captions: what belongs together stays together, and every bad row is named."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from info_nce.data.captioned_file import load_captioned
from info_nce.errors import DataError
from tests.pictures import folder_of, picture

Rows = list[dict[str, str]]


def rows_of(root: Path, count: int = 20) -> Rows:
    folder_of(root / "pictures", count)
    return [{"image": f"pictures/{i:03}.png", "text": f"thing number {i}"} for i in range(count)]


def write(root: Path, rows: Rows, name: str = "pairs.csv", columns: Sequence[str] = ()) -> Path:
    file = root / name
    if file.suffix == ".jsonl":
        file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    elif file.suffix == ".parquet":
        pa = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pa.Table.from_pylist(rows), file)
    else:
        mark = {".csv": ",", ".tsv": "\t"}[file.suffix]
        columns = columns or list(rows[0])
        lines = [columns, *([row[column] for column in columns] for row in rows)]
        file.write_text("\n".join(map(mark.join, lines)), encoding="utf-8")
    return file


@pytest.mark.parametrize("name", ["pairs.csv", "pairs.tsv", "pairs.jsonl", "pairs.parquet"])
def test_every_kind_of_file_gives_the_same_pairs(tmp_path: Path, name: str) -> None:
    splits = load_captioned(write(tmp_path, rows_of(tmp_path), name), image_size=16)
    assert {part: len(of) for part, of in splits.parts().items()} == {"train": 16, "validation": 2, "test": 2}
    said = {
        caption[0]: image
        for of in splits.parts().values()
        for caption, image in zip(of.captions, of.images, strict=True)
    }
    assert set(said) == {f"thing number {i}" for i in range(20)}
    # A picture of 20 x 20 is brought to 16: the mean colour of noise is its signature.
    for i in (0, 7, 19):
        mean = torch.tensor(list(picture(i).resize((1, 1)).getpixel((0, 0)) or ())).float()  # type: ignore[arg-type]  # it is RGB
        torch.testing.assert_close(said[f"thing number {i}"].float().mean(dim=(1, 2)), mean, rtol=0, atol=25)


def test_rows_with_one_id_one_picture_or_one_text_are_one_thing_on_one_side(tmp_path: Path) -> None:
    rows = [{**row, "id": f"{i // 2}", "category": "ab"[i % 2]} for i, row in enumerate(rows_of(tmp_path, 40))]
    rows[2]["image"] = rows[5]["image"]  # joins the ids 1 and 2
    rows[9]["text"] = rows[30]["text"]  # joins the ids 4 and 15
    splits = load_captioned(write(tmp_path, rows), image_size=16)
    where: dict[str, set[str]] = {}
    for name, part in splits.parts().items():
        for group in part.groups:
            where.setdefault(group, set()).add(name)
    assert len(where) == 18
    assert all(len(parts) == 1 for parts in where.values())
    groups = {row: g for part in splits.parts().values() for row, g in zip(part.rows, part.groups, strict=True)}
    of_row = [next(g for row, g in groups.items() if row.startswith(f"row {i + 2}:")) for i in range(40)]
    assert of_row[2] == of_row[3] == of_row[4] == of_row[5] != of_row[6]
    assert of_row[8] == of_row[9] == of_row[30] == of_row[31]
    assert {c for part in splits.parts().values() for c in part.categories} == {"a", "b"}


def test_a_row_that_comes_twice_is_left_out_and_counted(tmp_path: Path) -> None:
    rows = rows_of(tmp_path)
    splits = load_captioned(write(tmp_path, [*rows, rows[3]]), image_size=16)
    assert sum(map(len, splits.parts().values())) == 20
    assert splits.facts.notes == ("Left out as duplicates: 1.",)


@pytest.fixture
def bad_file(tmp_path: Path) -> Path:
    rows = rows_of(tmp_path)
    (tmp_path / "pictures" / "broken.png").write_bytes(b"no picture")
    rows[3]["image"], rows[5]["text"], rows[7]["image"] = "pictures/gone.png", " ", "pictures/broken.png"
    return write(tmp_path, rows)


def test_every_bad_row_is_named_with_its_number_and_the_reason(bad_file: Path) -> None:
    with pytest.raises(DataError, match="3 of 20 rows") as caught:
        load_captioned(bad_file, image_size=16)
    for said in (
        "row 5 (pictures/gone.png: no such file)",
        "row 7 (empty cell: text)",
        "row 9 (pictures/broken.png: no picture of a known kind)",
    ):
        assert said in caught.value.got


def test_bad_rows_can_be_skipped_and_are_counted(bad_file: Path) -> None:
    splits = load_captioned(bad_file, image_size=16, skip_bad=True)
    assert sum(map(len, splits.parts().values())) == 17
    assert "Left out because they cannot be used: 3" in splits.facts.notes[0]


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    rows = [{"image": row["image"], "caption": row["text"]} for row in rows_of(tmp_path)]
    with pytest.raises(DataError, match="lacks the columns") as caught:
        load_captioned(write(tmp_path, rows), image_size=16)
    assert (caught.value.got, caught.value.expected) == ("the columns image, caption", "image and text")


def test_a_file_that_is_not_in_utf_8_is_refused_with_the_row(tmp_path: Path) -> None:
    file = write(tmp_path, rows_of(tmp_path))
    file.write_bytes(file.read_bytes().replace(b"thing number 4", "Käse".encode("latin-1")))
    with pytest.raises(DataError, match="UTF-8") as caught:
        load_captioned(file, image_size=16)
    assert "row 6" in caught.value.got


def test_too_few_things_are_refused(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, 12)
    with pytest.raises(DataError, match="holds too little") as caught:
        load_captioned(write(tmp_path, rows[:9]), image_size=16)
    assert caught.value.got == "9 different pairs"
    one_thing = [{**row, "id": "all"} for row in rows]
    with pytest.raises(DataError, match="12 different pairs about 1"):
        load_captioned(write(tmp_path, one_thing), image_size=16)
