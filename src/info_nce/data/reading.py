"""The user's own files as items of a kind for a trained model: a file, a folder, or a column of a table.

Nothing is trained on here, so nothing is split, and nothing but the bad ones is left out: each is named.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from info_nce.data.decoding import Decoder, decoder_of
from info_nce.data.own_files import find_files
from info_nce.data.tables import SUFFIXES as TABLES
from info_nce.data.tables import Table
from info_nce.errors import DataError, SettingError

KINDS = ("image", "text", "sound", "video")
TEXTS = frozenset({".txt", ".md", ".text"})
"""Files of a folder that are a text each; outside of a folder, a text file is one text per line."""
AT_ONCE = 256
_SHOWN = 5


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """Some items.

    Args:
        content: as an encoder of their kind takes them; see `Part.items`.
        ids: what to call each: its file, or its row.
        shown: what a person is shown of each: a text itself, else "".
    """

    content: Any
    ids: tuple[str, ...]
    shown: tuple[str, ...]


class Reading:
    """The items of a path, some at a time.

    Args:
        source: a file of the kind; a folder of such files, at any depth; a table (.csv, .tsv, .jsonl, .parquet) with a
            column of texts, or of paths, which start at the table's folder; a file that several rows name is one item.
            For texts, any other file is one text per line, and a folder's .txt and .md files are one text each.
        kind: "image", "text", "sound" or "video".
        about: what the model was trained on, as `Part.about` says it, and the settings of its run.
        column: of the table; without, the one that is called like the kind, or the only one.
        skip_bad: leave out, count and name what cannot be read, instead of stopping.

    Attributes:
        bad: what could not be read, with the reason; complete after the last items.

    Raises:
        DataError: there is nothing there, or nothing of this kind; while going through, what cannot be read.
        SettingError: there is no such kind.
    """

    def __init__(
        self, source: str | Path, kind: str, about: Mapping[str, Any], *, column: str = "", skip_bad: bool = False
    ) -> None:
        if kind not in KINDS:
            raise SettingError("there is no such kind.", got=f"--kind {kind}", expected=", ".join(KINDS), advice="")
        self.source, self.kind, self.column, self.skip_bad = Path(source).expanduser(), kind, column, skip_bad
        self._about = about
        self.bad: list[str] = []
        if not self.source.exists():
            raise DataError(
                f"there is no file {source}.",
                got="nothing there",
                expected=f"a file or a folder of the kind {kind}, or a table: {', '.join(TABLES)}",
                advice="check the path; relative paths start at the current folder",
            )

    def __iter__(self) -> Iterator[Items]:
        """Go through them."""
        self.bad = []
        found = self._texts() if self.kind == "text" else self._files(decoder_of(self.kind, self._about))
        some = False
        for items in found:
            some = some or bool(items.ids)
            if items.ids:
                yield items
        if self.bad and not self.skip_bad:
            raise DataError(
                f"{len(self.bad):,} of what {self.source} holds cannot be read.",
                got=listed(self.bad),
                expected=f"whole items of the kind {self.kind}",
                advice="repair or remove them, or --skip-bad to leave them out",
            )
        if not some:
            raise DataError(
                f"{self.source} holds nothing that could be read.",
                got=listed(self.bad) or "an empty file",
                expected=f"items of the kind {self.kind}",
                advice="check the path and --kind",
            )

    def notes(self) -> list[str]:
        """Say what was left out, in a sentence; nothing if nothing was."""
        return [f"Left out because they cannot be read: {len(self.bad):,}, {listed(self.bad)}."] if self.bad else []

    def _texts(self) -> Iterator[Items]:
        pairs = list(self._named_texts())
        if self.bad and not self.skip_bad:
            return
        for start in range(0, len(pairs), AT_ONCE):
            ids, texts = zip(*pairs[start : start + AT_ONCE], strict=True)
            yield Items(list(texts), ids, texts)

    def _named_texts(self) -> Iterator[tuple[str, str]]:
        if self.source.is_dir():
            for file in self._below(TEXTS, "texts"):
                name = str(file.relative_to(self.source))
                yield from self._good(name, file.read_bytes())
        elif self.source.suffix.lower() in TABLES:
            for row, text in self._rows():
                yield f"{self.source.name}:{row}", text
        else:
            for number, line in enumerate(self.source.read_bytes().split(b"\n"), start=1):
                yield from self._good(f"{self.source.name}:{number}", line, blank=True)

    def _good(self, name: str, content: bytes, *, blank: bool = False) -> Iterator[tuple[str, str]]:
        try:
            text = content.decode("utf-8-sig").strip()
        except UnicodeDecodeError as error:
            self.bad.append(f"{name} (not UTF-8: {error.reason})")
            return
        if "\0" in text:
            self.bad.append(f"{name} (holds a NUL: no text, or UTF-16)")
        elif text:
            yield name, text
        elif not blank:  # between lines, a blank one is no text
            self.bad.append(f"{name} (empty)")

    def _rows(self) -> Iterator[tuple[int, str]]:
        table = Table(self.source, skip_bad=True)
        column = self.column.strip().casefold() or (self.kind if self.kind in table.columns else "")
        if not column and len(table.columns) == 1:
            column = table.columns[0]
        if not column:
            raise DataError(
                f"{self.source} has several columns.",
                got=", ".join(table.columns),
                expected=f"a column called {self.kind}, or to be told which",
                advice=f"--column {table.columns[0] if table.columns else self.kind}",
            )
        for row in table.rows([column]):
            yield row.number, row[column]
        if table.bad.count:
            self.bad += [str(table.bad), *[""] * (table.bad.count - 1)]

    def _files(self, decoder: Decoder) -> Iterator[Items]:
        named = dict(self._named_files(decoder))
        files, stopped = list(named), bool(self.bad) and not self.skip_bad
        for start in range(0, len(files), AT_ONCE):
            content, places, bad = decoder.read(files[start : start + AT_ONCE])
            self.bad += [f"{named[file]} ({reason})" for file, reason in bad.items()]
            stopped = stopped or (bool(bad) and not self.skip_bad)
            if not stopped:  # else they are read on, to name all bad ones
                ids = tuple(f"{named[file]}{which}" for file, which in places)
                yield Items(content, ids, ("",) * len(ids))

    def _named_files(self, decoder: Decoder) -> Iterator[tuple[Path, str]]:
        if self.source.is_dir():
            for file in self._below(decoder.suffixes, decoder.what):
                yield file, str(file.relative_to(self.source))
        elif self.source.suffix.lower() in TABLES:
            for row, cell in self._rows():
                file = self.source.parent / Path(cell).expanduser()
                if file.is_file():
                    yield file, cell
                else:
                    self.bad.append(f"row {row:,} (no file {cell})")
        else:
            yield self.source, str(self.source)

    def _below(self, suffixes: frozenset[str], what: str) -> Sequence[Path]:
        try:
            return find_files(self.source, suffixes, what=what, built_in="")
        except DataError as error:
            raise DataError(
                f"{self.source} holds no {what}.",
                got=error.got,
                expected=", ".join(sorted(suffixes)),
                advice="another --kind, or the folder above",
            ) from error


def listed(bad: Sequence[str]) -> str:
    """Name the first few, and how many more there are."""
    shown = [name for name in bad[:_SHOWN] if name]
    return "; ".join(shown) + (f"; and {len(bad) - _SHOWN:,} more" if len(bad) > _SHOWN else "")
