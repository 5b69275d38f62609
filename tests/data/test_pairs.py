"""The user's own pairs: who belongs together stays together, and nothing is lost without a word."""

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from info_nce.data.pairs import COLUMNS, grouped, load_pairs
from info_nce.data.tables import Table
from info_nce.errors import DataError
from tests.texts import pairs, write_csv, write_jsonl


def joined_by_a_loop(tags: list[list[str]]) -> list[set[int]]:
    groups = [{row} for row in range(len(tags[0]))]
    for one in range(len(tags[0])):
        for other in range(one):
            if {column[one] for column in tags} & {column[other] for column in tags}:
                first, second = (next(g for g in groups if row in g) for row in (one, other))
                if first is not second:
                    groups.remove(second)
                    first |= second
    return groups


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("efghijkl")), min_size=1, max_size=12))
def test_rows_are_grouped_as_a_loop_over_all_pairs_of_rows_groups_them(rows: list[tuple[str, str]]) -> None:
    tags = [list(column) for column in zip(*rows, strict=True)]
    numbers = grouped(*tags)
    found = {number: {i for i, n in enumerate(numbers) if n == number} for number in numbers}
    assert sorted(map(sorted, found.values())) == sorted(map(sorted, joined_by_a_loop(tags)))
    assert list(dict.fromkeys(numbers)) == list(range(len(found)))  # in the order of their first rows


@pytest.mark.parametrize("names", COLUMNS)
def test_each_pair_is_in_one_part_under_any_of_the_names(tmp_path: Path, names: tuple[str, str]) -> None:
    splits = load_pairs(write_csv(tmp_path / "pairs.csv", names, pairs(40)))
    parts = splits.parts()
    assert {name: len(part) for name, part in parts.items()} == {"train": 32, "validation": 4, "test": 4}
    found = [pair for part in parts.values() for pair in zip(part.queries, part.documents, strict=True)]
    assert sorted(found) == sorted(pairs(40))
    assert not {*parts["train"].groups} & {*parts["test"].groups}
    assert splits.train.name == "pairs/train"
    assert splits.train.ids()[0].startswith("row ")
    assert splits.fingerprint() == load_pairs(tmp_path / "pairs.csv").fingerprint()


def test_csv_json_and_parquet_hold_the_same_pairs(tmp_path: Path) -> None:
    rows = [
        {"query": q, "document": d, "id": i % 15, "negatives": [f"no {i}", "no"]} for i, (q, d) in enumerate(pairs(40))
    ]
    write_jsonl(tmp_path / "p.jsonl", rows)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "p.parquet")
    columns = ("query", "document", "id", "negative_1", "negative_2")
    write_csv(tmp_path / "p.csv", columns, [[r["query"], r["document"], str(r["id"]), *r["negatives"]] for r in rows])  # type: ignore[misc, list-item]  # the rows hold several kinds
    csv, json, parquet = (load_pairs(tmp_path / f"p.{kind}") for kind in ("csv", "jsonl", "parquet"))
    for one, other in ((csv.train, json.train), (csv.train, parquet.train)):
        assert [*zip(one.queries, one.documents, one.groups, one.negatives, strict=True)] == [
            *zip(other.queries, other.documents, other.groups, other.negatives, strict=True)
        ]
    assert len(set(csv.train.groups)) == 11  # of 15, 2 and 2 are held out
    assert csv.train.negatives[0][1] == "no"


def test_rows_that_share_an_id_a_query_or_a_document_are_in_one_part(tmp_path: Path) -> None:
    rows = [[q, d, ""] for q, d in pairs(40)]
    rows += [["another query", rows[0][1], ""], [rows[1][0], "another document", ""], ["q", "d", "7"], ["r", "e", "7"]]
    rows += [[rows[2][1], "a document of what is a document elsewhere", ""]]
    random.Random(0).shuffle(rows)  # noqa: S311 (the order of a test)
    splits = load_pairs(write_csv(tmp_path / "p.csv", ("query", "document", "id"), rows))
    group = {
        text: number
        for part in splits.parts().values()
        for row in zip(part.queries, part.documents, part.groups, strict=True)
        for text, number in ((row[0], row[2]), (row[1], row[2]))
    }
    first = pairs(40)
    assert group["another query"] == group[first[0][0]]
    assert group["another document"] == group[first[1][0]]
    assert group["a document of what is a document elsewhere"] == group[first[2][0]]
    assert group["q"] == group["e"] != group["another query"]
    assert len(set(group.values())) == 41


def test_duplicates_and_bad_rows_and_useless_negatives_are_counted(tmp_path: Path) -> None:
    rows = [[q, d, "7" if i < 2 else "", ""] for i, (q, d) in enumerate(pairs(40))]
    rows[0][3] = rows[1][1]  # answers a query of the same id
    rows[2][3] = "hard"
    rows += [rows[3], ["", "no query", "", ""], ["q", "its own", "", "its own"]]
    file = write_csv(tmp_path / "p.csv", ("query", "document", "id", "negative"), rows)
    with pytest.raises(DataError, match=r"2 of 43 rows") as error:
        load_pairs(file)
    assert "row 43 (empty cell: query); row 44 (a negative is the row's own document)" in error.value.got
    splits = load_pairs(file, skip_bad=True)
    assert splits.facts.notes == (
        "Left out as duplicates: 1.",
        f"Left out because they cannot be used: 2, {error.value.got}.",
        "Not used as negatives, for they answer a query of the same group: 1.",
    )
    assert sum(len(part) for part in splits.parts().values()) == 40
    assert [n for part in splits.parts().values() for n in part.negatives if n] == [("hard",)]


def test_too_little_to_tell_apart_is_refused_with_the_reason(tmp_path: Path) -> None:
    one = write_csv(tmp_path / "one.csv", ("query", "document"), pairs(40)[:1])
    with pytest.raises(DataError, match=r"one\.csv holds too little.*\n.*1 different pairs"):
        load_pairs(one)
    same = write_csv(tmp_path / "same.csv", ("query", "document", "id"), [[*pair, "7"] for pair in pairs(40)])
    with pytest.raises(DataError, match=r"40 different pairs about 1: rows with one id"):
        load_pairs(same)
    with pytest.raises(DataError, match="query and document, or anchor and positive, or text1 and text2, or question"):
        load_pairs(write_csv(tmp_path / "other.csv", ("a", "b"), pairs(40)))
    with pytest.raises(DataError, match="kind 'image'"):
        load_pairs(write_csv(tmp_path / "p.csv", ("query", "document"), pairs(40))).train.items("image")
    assert Table(one).columns == ("query", "document")
