"""A folder of the user's own files: which there are, what its sub-folders say, and which cannot be used."""

import os
from collections.abc import Collection, Mapping, Sequence
from itertools import takewhile
from pathlib import Path

from info_nce.errors import DataError

_SHOWN = 5
_SPLIT_NAMES = frozenset(
    {"train", "training", "val", "valid", "validation", "dev", "test", "testing", "eval", "evaluation"}
)


def find_files(root: Path, suffixes: Collection[str], *, kind: str, built_in: str) -> list[Path]:
    """List the files of a kind under a folder, in a fixed order; hidden files and folders are left alone.

    Args:
        root: the folder, searched at any depth.
        suffixes: of the kind, in lower case.
        kind: in words, such as "pictures".
        built_in: the name of the set that can be had instead.

    Raises:
        DataError: there is no such folder, or no such file in it.
    """
    if not root.is_dir():
        raise DataError(
            f"there is no folder {root}.",
            got="a file" if root.exists() else "nothing there",
            expected=f'a folder of {kind}, or the name of a built-in set: "{built_in}"',
            advice="check the path; relative paths start at the current folder",
        )
    files: list[Path] = []
    for parent, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        found = (Path(parent) / name for name in names if not name.startswith("."))
        files += [file for file in found if file.suffix.lower() in suffixes]
    if not files:
        raise DataError(
            f"{root} holds no {kind}.",
            got="no file of a known kind",
            expected=", ".join(sorted(suffixes)),
            advice=f"convert other kinds first, or point --data at the folder above the {kind}",
        )
    return sorted(files)


def folder_labels(names: Sequence[str]) -> list[str]:
    """Take the first folder of each path as its label, below what all paths share; "" for all if one has none."""
    folders = _folders(names)
    if folders_of_parts(names):
        folders = _below_shared([path[1:] for path in folders])
    labels = [path[0] if path else "" for path in folders]
    return [""] * len(names) if "" in labels else labels


def folders_of_parts(names: Sequence[str]) -> list[str]:
    """The folders at the top, if they are all called like parts of a data set: such names are no labels."""
    top = {path[0] if path else "" for path in _folders(names)}
    return sorted(top) if {name.lower() for name in top} <= _SPLIT_NAMES else []


def listing(bad: Mapping[Path, str]) -> str:
    """Name the first files that cannot be used, each with its reason, and count the rest."""
    shown = [f"{file.name} ({reason})" for file, reason in list(bad.items())[:_SHOWN]]
    return "; ".join(shown) + (f"; and {len(bad) - _SHOWN:,} more" if len(bad) > _SHOWN else "")


def _folders(names: Sequence[str]) -> list[tuple[str, ...]]:
    return _below_shared([Path(name).parts[:-1] for name in names])


def _below_shared(folders: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    shared = len(list(takewhile(lambda level: len(set(level)) == 1, zip(*folders, strict=False))))
    return [path[shared:] for path in folders]
