"""The user's own pictures with captions: a file of rows, each with the path of a picture and a text."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from info_nce.data.captioned import CaptionedSet, split_groups
from info_nce.data.folder import decode_all
from info_nce.data.pairs import grouped
from info_nce.data.splits import Facts, Splits
from info_nce.data.tables import Row, Table
from info_nce.errors import DataError

# Fewer leave nothing to split: one for each tenth.
FEWEST = 10


def load_captioned(file: str | Path, *, image_size: int = 64, skip_bad: bool = False) -> Splits[CaptionedSet]:
    """Load the user's own pictures with captions, without duplicates, in three fixed parts.

    Args:
        file: .csv, .tsv, .jsonl or .parquet with the columns image, a path relative to the file, and text; optional are
            id (rows with the same id belong together) and category (which only the evaluation sees).
        image_size: side in pixels; the shorter side is brought to it and the middle is kept.
        skip_bad: leave out, count and name bad rows, instead of stopping.

    Returns:
        80 / 10 / 10 of the things shown. Rows that share an id, a picture or a text show one thing: they are no
        negatives of each other, and in one part.

    Raises:
        DataError: no such file, columns missing, bad rows, or too few rows.
    """
    table = Table(file, skip_bad=skip_bad)
    pictures = _decode(table, image_size)
    found: dict[tuple[bytes, str], Row] = {}
    duplicates = 0
    for row in table.rows(("image", "text"), optional=("id", "category")):
        reason = pictures.why_not(table, row["image"])
        if reason:
            table.bad.add(row.number, reason)
            continue
        pair = pictures.digest(row["image"]), row["text"]
        duplicates += pair in found
        found.setdefault(pair, row)
    rows = list(found.values())
    tags = (
        [f"\0{row['id'] or f'row {row.number}'}" for row in rows],
        [f"\1{digest.hex()}" for digest, _ in found],
        [text for _, text in found],
    )
    groups = grouped(*tags)
    _check_enough(table, len(rows), len(set(groups)))
    whole = CaptionedSet(
        name=table.file.stem,
        images=torch.from_numpy(pictures.pixels[[pictures.places[row["image"]] for row in rows]]),
        captions=tuple((row["text"],) for row in rows),
        groups=tuple(map(str, groups)),
        rows=tuple(f"row {row.number}: {row['image']}" for row in rows),
        categories=tuple(row["category"] for row in rows),
    )
    notes = (
        f"Left out as duplicates: {duplicates:,}." if duplicates else "",
        f"Left out because they cannot be used: {table.bad.count:,}, {table.bad}." if table.bad.count else "",
    )
    count = len(set(groups))
    facts = Facts(
        what=f"your pictures with captions, {image_size} pixels square",
        licence="yours",
        credit="yours",
        origin=str(table.file.resolve()),
        used_for="clip",
        counts=f"{len(whole):,} pairs about {count:,} things; split 80 / 10 / 10 by thing",
        notes=tuple(note for note in notes if note),
    )
    tenth = max(1, round(count / 10))
    return split_groups(whole, {group: group for group in whole.groups}, (tenth, tenth), facts, facts.origin)


@dataclass(frozen=True, slots=True, eq=False)
class _Pictures:
    """The pictures that a table names, each decoded once."""

    pixels: np.ndarray
    places: dict[str, int]  # of the good ones, by what the row says
    bad: dict[Path, str]
    digests: dict[int, bytes] = field(default_factory=dict)

    def why_not(self, table: Table, name: str) -> str:
        if name in self.places:
            return ""
        path = _path(table, name)
        if path in self.bad:
            return f"{name}: {self.bad[path]}"
        return f"{name}: {'a folder' if path.is_dir() else 'no such file'}"

    def digest(self, name: str) -> bytes:
        place = self.places[name]
        if place not in self.digests:
            self.digests[place] = hashlib.sha256(self.pixels[place].tobytes()).digest()
        return self.digests[place]


def _decode(table: Table, size: int) -> _Pictures:
    # A pass of its own, because pictures are decoded side by side, and all bad rows belong into one message.
    first = Table(table.file, skip_bad=True)
    names = list(dict.fromkeys(row["image"] for row in first.rows(("image", "text"))))
    files = list(dict.fromkeys(path for name in names if (path := _path(table, name)).is_file()))
    pixels, bad = decode_all(files, size)
    place = {path: number for number, path in enumerate(path for path in files if path not in bad)}
    return _Pictures(pixels, {name: place[path] for name in names if (path := _path(table, name)) in place}, bad)


def _path(table: Table, name: str) -> Path:
    return table.file.parent / Path(name).expanduser()


def _check_enough(table: Table, rows: int, things: int) -> None:
    if things >= FEWEST:
        return
    bad = f", {table.bad.count:,} that cannot be used" if table.bad.count else ""
    one = f" about {things}: rows with one id, one picture or one text are one" if rows >= FEWEST else ""
    raise DataError(
        f"{table.file} holds too little to tell apart.",
        got=f"{rows:,} different pairs{one}{bad}",
        expected=f"at least {FEWEST} things; some thousands of pairs are needed to learn something useful",
        advice="add rows, or start with the built-in set: --data emoji",
    )
