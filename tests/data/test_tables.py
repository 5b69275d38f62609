"""Rows of files as people have them: every bad one is named, and none of the good ones is lost."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from info_nce.data.tables import Row, Table
from info_nce.errors import DataError


def write(folder: Path, name: str, content: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def read(file: Path, *columns: str, skip_bad: bool = False) -> tuple[list[tuple[int, list[str]]], str]:
    table = Table(file, skip_bad=skip_bad)
    return [(row.number, [row[c] for c in columns]) for row in table.rows(columns)], str(table.bad)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_the_same_rows_come_out_of_every_kind_of_file(tmp_path: Path, suffix: str) -> None:
    a, b = ['one, "two"', "三"], ["x", "y\nz"]
    if suffix == ".parquet":
        pq.write_table(pa.table({"a": a, "B": b}), tmp_path / "t.parquet")
    content = {
        ".csv": '\ufeffa,B\r\n"one, ""two""",x\r\n三,"y\nz"\r\n',
        ".tsv": 'a\tB \n"one, ""two"""\tx\n三\t"y\nz"\n',
        ".jsonl": '{"a": "one, \\"two\\"", "B": "x"}\n\n{"B": "y\\nz", "a": "三", "c": 1}\n',
    }
    file = tmp_path / "t.parquet" if suffix == ".parquet" else write(tmp_path, f"t{suffix}", content[suffix])
    rows, bad = read(file, "a", "b")
    assert [cells for _, cells in rows] == [list(pair) for pair in zip(a, b, strict=True)]
    assert bad == ""
    numbers = {".csv": [2, 3], ".tsv": [2, 3], ".jsonl": [1, 3], ".parquet": [1, 2]}
    assert [number for number, _ in rows] == numbers[suffix]


def test_every_bad_row_of_a_csv_is_named_with_its_line_and_its_reason(tmp_path: Path) -> None:
    lines = [b"a,b", b"1,2", b"3, ", b"4", b"5,6,7", b'"8"8,9', b"gr\xfc\xdf,10", b"", b"11,12", b'"open,13', b"14,15"]
    file = write(tmp_path, "t.csv", b"\n".join(lines))
    rows, bad = read(file, "a", "b", skip_bad=True)
    assert rows == [(2, ["1", "2"]), (9, ["11", "12"])]
    for line, reason in ((3, "empty cell: b"), (4, "1 cells"), (5, "3 cells"), (6, "expected after"), (7, "not UTF-8")):
        assert f"row {line} (" in bad
        assert reason in bad
    assert bad.endswith("and 1 more")  # the one that is never closed
    with pytest.raises(DataError, match=r"6 of 8 rows.*t\.csv") as error:
        read(file, "a", "b")
    assert "row 3 (empty cell: b)" in error.value.got
    assert "--skip-bad" in str(error.value)


def test_every_bad_line_of_json_is_named(tmp_path: Path) -> None:
    good = '{"a": 1, "b": 2.5}'
    lines = ['{"a": "x"', "[1]", '{"a": true, "b": "x"}', '{"a": "\\ud83d", "b": "x"}', '{"a": ["x"], "b": "y"}', good]
    file = write(tmp_path, "t.jsonl", "\n".join(lines))
    rows, bad = read(file, "a", "b", skip_bad=True)
    assert rows == [(6, ["1", "2.5"])]
    reasons = ["not JSON: Expecting ',' delimiter", "not a JSON object", "bool in", "not UTF-8", "list in"]
    for line, reason in enumerate(reasons, 1):
        assert reason in bad.split("; row")[line - 1]


def test_empty_cells_of_parquet_are_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": ["x", None, "z"], "n": [["u", ""], None, []]}), tmp_path / "t.parquet")
    table = Table(tmp_path / "t.parquet", skip_bad=True)
    assert list(table.rows(["a"], optional=["gone"], lists=["n"])) == [
        Row(1, {"a": "x", "gone": ""}, {"n": ("u",)}),
        Row(3, {"a": "z", "gone": ""}, {"n": ()}),
    ]
    assert (table.count, table.bad.count, str(table.bad)) == (3, 1, "row 2 (empty cell: a)")


def test_a_reader_may_name_bad_rows_itself(tmp_path: Path) -> None:
    table = Table(write(tmp_path, "t.csv", "a\n1\n2\n"))
    with pytest.raises(DataError, match=r"row 3 \(no picture there\)"):  # noqa: PT012 (it is raised after the last row)
        for row in table.rows(["a"]):
            if row["a"] == "2":
                table.bad.add(row.number, "no picture there")


def test_rows_are_read_one_after_the_other(tmp_path: Path) -> None:
    file = write(tmp_path, "t.csv", "a\n" + "good\n" * 5 + "bad,bad\n")
    rows = Table(file).rows(["a"])
    assert [next(rows)["a"] for _ in range(5)] == ["good"] * 5  # the bad one is not seen yet
    with pytest.raises(DataError):
        next(rows)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.csv", None, "there is no file"),
        ("t.xlsx", "a,b\n", "of no known kind"),
        ("t.csv", "a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        ("t.csv", "a,b\n1,2\n".encode("utf-16-le"), "UTF-16"),
        ("t.csv", b"gr\xfc\xdf,b\n1,2\n", "not UTF-8"),
        ("t.csv", "a,A\n1,2\n", "two columns are called 'a'"),
        ("t.csv", "", r"columns \(none\)"),
        ("t.csv", "x,y\n1,2\n", "columns x, y\n.*a and b"),
        ("t.jsonl", '{"x": 1}\n', "columns x"),
        ("t.parquet", b"PAR1 and nothing else", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_name(
    tmp_path: Path, name: str, content: str | bytes | None, words: str
) -> None:
    file = tmp_path / name if content is None else write(tmp_path, name, content)
    with pytest.raises(DataError, match=words) as error:
        read(file, "a", "b")
    assert name in error.value.what


def test_the_first_set_of_columns_that_is_there_is_taken(tmp_path: Path) -> None:
    table = Table(write(tmp_path, "t.csv", "Answer,Question,id\n"))
    sets = [("query", "document"), ("question", "answer")]
    assert table.choose(sets) == ("question", "answer")
    with pytest.raises(DataError, match="query and document, or q"):
        table.choose([sets[0], ("q",)])
