"""Files of the user's own in a folder: which there are, what their sub-folders say, and which are bad.

Sub-folders are labels, which only the evaluation sees; where those at the top are called train, val and the like, the
ones below are.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from itertools import takewhile
from pathlib import Path

from info_nce.errors import DataError

# Fewer leave a contrast nothing to compare with, and a split nothing to report on.
FEWEST = 10
_SHOWN = 5
_SPLIT_NAMES = frozenset(
    {"train", "training", "val", "valid", "validation", "dev", "test", "testing", "eval", "evaluation"}
)


def find_files(root: Path, suffixes: Collection[str], *, what: str, built_in: str) -> list[Path]:
    """List the files of some kinds under a folder, in a fixed order; hidden files and folders are left alone.

    Args:
        root: the folder.
        suffixes: in small letters, with the dot.
        what: "pictures", "videos", as messages call them.
        built_in: the names of data sets that could have been meant.

    Raises:
        DataError: there is no such folder, or no such file in it.
    """
    if not root.is_dir():
        raise DataError(
            f"there is no folder {root}.",
            got="a file" if root.exists() else "nothing there",
            expected=f"a folder of {what}, or the name of a built-in set: {built_in}",
            advice="check the path; relative paths start at the current folder",
        )
    files: list[Path] = []
    for parent, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        found = (Path(parent) / name for name in names if not name.startswith("."))
        files += [file for file in found if file.suffix.lower() in suffixes]
    if not files:
        raise DataError(
            f"{root} holds no {what}.",
            got="no file of a known kind",
            expected=", ".join(sorted(suffixes)),
            advice=f"convert other kinds first, or point --data at the folder above the {what}",
        )
    return sorted(files)


def labels_of(names: Sequence[str]) -> list[str]:
    """Take the first folder of each path as its label, below what all paths share; "" for all if one has none."""
    folders = _folders(names)
    if splits_at_the_top(names):
        folders = _below_shared([path[1:] for path in folders])
    labels = [path[0] if path else "" for path in folders]
    return [""] * len(names) if "" in labels else labels


def splits_at_the_top(names: Sequence[str]) -> list[str]:
    """The folders at the top, if they are all called like parts of a data set: such names are no labels."""
    top = {path[0] if path else "" for path in _folders(names)}
    return sorted(top) if {name.lower() for name in top} <= _SPLIT_NAMES else []


def notes_on(names: Sequence[str], *, what: str, duplicates: int, bad: Mapping[Path, str]) -> list[str]:
    """Say what was left out of a folder and why, and which of its sub-folders are no labels, one sentence each."""
    notes = []
    if duplicates:
        notes.append(f"Left out as exact duplicates: {duplicates:,}.")
    if bad:
        notes.append(f"Left out because they cannot be used: {len(bad):,}, {listing(bad)}.")
    if splits := splits_at_the_top(names):
        notes.append(
            f"The folders {', '.join(splits)} are taken for parts of the data, not for labels: labels are the folders "
            f"below them, and the {what} of all are split anew."
        )
    return notes


def listing(bad: Mapping[Path, str]) -> str:
    """Name files with the reason for each; the first few, and how many more there are."""
    shown = [f"{file.name} ({reason})" for file, reason in list(bad.items())[:_SHOWN]]
    return "; ".join(shown) + (f"; and {len(bad) - _SHOWN:,} more" if len(bad) > _SHOWN else "")


def _folders(names: Sequence[str]) -> list[tuple[str, ...]]:
    return _below_shared([Path(name).parts[:-1] for name in names])


def _below_shared(folders: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    shared = len(list(takewhile(lambda level: len(set(level)) == 1, zip(*folders, strict=False))))
    return [path[shared:] for path in folders]
