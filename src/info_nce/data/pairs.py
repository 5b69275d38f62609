"""Pairs of a query and a document that answers it: a set of them, and the user's own file of them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from info_nce.data.splits import SPLIT_SEED, Facts, Splits
from info_nce.data.tables import Table
from info_nce.errors import DataError

COLUMNS = (("query", "document"), ("anchor", "positive"), ("text1", "text2"), ("question", "answer"))
_NEGATIVE = re.compile(r"(hard[_ ]?)?neg(ative)?s?[_ ]?\d*")
# Fewer leave nothing to split: one for each tenth.
FEWEST = 10


@dataclass(frozen=True, slots=True, eq=False)
class TextPairSet:
    """Pairs of texts, in a fixed order.

    Args:
        name: of the data set and the part.
        queries: what is asked for.
        documents: document i answers query i.
        groups: what pair i is about; the documents of a group answer all of its queries. Numbers mean the same in all
            parts of a data set, and no group is in two parts.
        names: what to call each pair.
        negatives: hard negatives of each query that came with the data; () where there are none.
    """

    name: str
    queries: tuple[str, ...]
    documents: tuple[str, ...]
    groups: tuple[int, ...]
    names: tuple[str, ...]
    negatives: tuple[tuple[str, ...], ...] = ()

    def __len__(self) -> int:
        """Count the pairs."""
        return len(self.queries)

    def content(self) -> Iterator[bytes]:
        """Pair after pair; texts cannot hold the separators."""
        for i, pair in enumerate(zip(self.queries, self.documents, strict=True)):
            yield "\0".join([*pair, str(self.groups[i]), *(self.negatives[i] if self.negatives else ()), ""]).encode()

    def about(self) -> dict[str, Any]:
        """How many pairs there are: as many lists of hard negatives may be found."""
        return {"pairs": len(self)}

    def items(self, kind: str) -> tuple[str, ...]:
        """The documents, which are what is searched."""
        if kind != "text":
            raise DataError(
                f"{self.name} has no items of the kind {kind!r}.", got=kind, expected="text", advice="ask for text"
            )
        return self.documents

    def ids(self) -> tuple[str, ...]:
        """What the pairs are called."""
        return self.names

    def take(self, index: Sequence[int], name: str | None = None) -> "TextPairSet":
        """Choose pairs, with everything that belongs to them."""
        return replace(
            self,
            name=self.name if name is None else name,
            queries=tuple(self.queries[i] for i in index),
            documents=tuple(self.documents[i] for i in index),
            groups=tuple(self.groups[i] for i in index),
            names=tuple(self.names[i] for i in index),
            negatives=tuple(self.negatives[i] for i in index) if self.negatives else (),
        )


def grouped(*tags: Sequence[str]) -> list[int]:
    """Number the groups of rows that share a tag, directly or through others; in the order of their first rows.

    Args:
        tags: sequences of one tag per row: ids, queries, documents. Equal tags join their rows, in whichever sequences
            they are; ids are told from texts by a mark before them.

    Example:
        >>> grouped(["a", "b", "c", "d"], ["x", "y", "x", "z"])
        [0, 1, 0, 2]
        >>> grouped(["a", "b"], ["b", "c"])
        [0, 0]
    """
    count = len(tags[0])
    parent = list(range(count))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = row = parent[parent[row]]
        return row

    first: dict[str, int] = {}
    for sequence in tags:
        for row, tag in enumerate(sequence):
            one, other = sorted((root(row), root(first.setdefault(tag, row))))
            parent[other] = one
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root(row), len(numbers)) for row in range(count)]


def load_pairs(file: str | Path, *, skip_bad: bool = False) -> Splits[TextPairSet]:
    """Load the user's own pairs, without duplicates, in three fixed parts.

    Args:
        file: .csv, .tsv, .jsonl or .parquet with the columns query and document, or another pair of `COLUMNS`;
            optional are id (rows with the same id answer each other's queries) and any number of columns called
            negative, negative_1 and so on: texts that do not answer the query.
        skip_bad: leave out, count and name bad rows, instead of stopping.

    Returns:
        80 / 10 / 10 of the groups: rows that share an id, a query or a document are in one part.

    Raises:
        DataError: no such file, columns missing, bad rows, too few rows, or nothing to tell apart.
    """
    table = Table(file, skip_bad=skip_bad)
    query, document = table.choose(COLUMNS)
    negative_columns = [name for name in table.columns if _NEGATIVE.fullmatch(name)]
    found: dict[tuple[str, str], tuple[str, int, tuple[str, ...]]] = {}
    duplicates = 0
    for row in table.rows((query, document), optional=("id",), lists=negative_columns):
        pair = row[query], row[document]
        negatives = tuple(dict.fromkeys(text for name in negative_columns for text in row.lists[name]))
        if pair[1] in negatives:
            table.bad.add(row.number, "a negative is the row's own document")
        elif pair in found:
            duplicates += 1
        else:
            found[pair] = row["id"] or f"row {row.number}", row.number, negatives
    whole, known = _whole(table.file.stem, found)
    _check_enough(table, whole)
    notes = [
        f"Left out as duplicates: {duplicates:,}." if duplicates else "",
        f"Left out because they cannot be used: {table.bad.count:,}, {table.bad}." if table.bad.count else "",
        f"Not used as negatives, for they answer a query of the same group: {known:,}." if known else "",
    ]
    groups = len(set(whole.groups))
    facts = Facts(
        what=f"your pairs of {query} and {document}"
        + (f", with hard negatives in {', '.join(negative_columns)}" if negative_columns else ""),
        licence="yours",
        credit="yours",
        origin=str(table.file.resolve()),
        used_for="text",
        counts=f"{len(whole):,} pairs about {groups:,} things; split 80 / 10 / 10 by thing",
        notes=tuple(note for note in notes if note),
    )
    shuffled = np.random.default_rng(SPLIT_SEED).permutation(groups).tolist()
    tenth = max(1, round(groups / 10))
    return split_by_group(whole, {"validation": shuffled[:tenth], "test": shuffled[tenth : 2 * tenth]}, facts)


def split_by_group(whole: TextPairSet, held_out: dict[str, list[int]], facts: Facts) -> Splits[TextPairSet]:
    """Cut a set into validation, test, and the rest to train on, by the numbers of groups."""
    part_of = {group: name for name, groups in held_out.items() for group in groups}
    index: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for row, group in enumerate(whole.groups):
        index[part_of.get(group, "train")].append(row)
    parts = {name: whole.take(rows, f"{whole.name}/{name}") for name, rows in index.items()}
    return Splits(**parts, facts=facts, source=facts.origin)


def _whole(name: str, found: dict[tuple[str, str], tuple[str, int, tuple[str, ...]]]) -> tuple[TextPairSet, int]:
    queries, documents = tuple(query for query, _ in found), tuple(document for _, document in found)
    ids = [f"\0{about}" for about, _, _ in found.values()]
    groups = grouped(ids, queries, documents) if found else []
    answers: dict[int, set[str]] = {}
    for group, document in zip(groups, documents, strict=True):
        answers.setdefault(group, set()).add(document)
    listed = [negatives for _, _, negatives in found.values()]
    kept = [tuple(t for t in texts if t not in answers[g]) for g, texts in zip(groups, listed, strict=True)]
    names = tuple(f"row {number}" for _, number, _ in found.values())
    whole = TextPairSet(name, queries, documents, tuple(groups), names, tuple(kept) if any(kept) else ())
    return whole, sum(map(len, listed)) - sum(map(len, kept))


def _check_enough(table: Table, whole: TextPairSet) -> None:
    groups = len(set(whole.groups))
    if groups >= FEWEST:
        return
    if len(whole) >= FEWEST:
        got = f"{len(whole):,} different pairs about {groups}: rows with one id, one query or one document are one"
        advice = "leave the column id out, or give each thing an id of its own"
    else:
        got = f"{len(whole):,} different pairs" + (
            f", {table.bad.count:,} that cannot be used" if table.bad.count else ""
        )
        advice = "add rows, or start with the built-in set: --data glosses"
    raise DataError(
        f"{table.file} holds too little to tell apart.",
        got=got,
        expected=f"at least {FEWEST} things; some thousands of pairs are needed to learn something useful",
        advice=advice,
    )
