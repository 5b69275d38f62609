"""Rows of a CSV, TSV, JSON Lines or Parquet file, one after the other, each with its number; no bad one unnamed."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from info_nce.errors import DataError, needs_extra

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_SHOWN = 5
# JSON has no header: its columns are what the first rows name.
_HEADER_ROWS = 1000
_ROWS_AT_ONCE = 1024

# A raw row: its number and its cells by column, or the reason why it has none.
Raw = tuple[int, dict[str, Any] | str]


@dataclass(frozen=True, slots=True)
class Row:
    """What one row says.

    Args:
        number: where a person finds it: the line of a text file at which it starts, the header being line 1; in a
            Parquet file, counted from 1.
        cells: by column, stripped; "" where an optional one is empty.
        lists: of the columns that may hold several texts; without empty ones.
    """

    number: int
    cells: dict[str, str]
    lists: dict[str, tuple[str, ...]]

    def __getitem__(self, column: str) -> str:
        """Look up one cell."""
        return self.cells[column]


class BadRows:
    """Rows that cannot be used: all are counted, the first few are named.

    Example:
        >>> bad = BadRows()
        >>> bad.add(3, "empty cell: query")
        >>> str(bad)
        'row 3 (empty cell: query)'
    """

    def __init__(self) -> None:
        self.count = 0
        self._shown: list[str] = []

    def add(self, number: int, reason: str) -> None:
        """Take down one row."""
        self.count += 1
        if self.count <= _SHOWN:
            self._shown.append(f"row {number:,} ({reason})")

    def __str__(self) -> str:
        """List the first few, and count the others."""
        more = self.count - len(self._shown)
        return "; ".join(self._shown) + (f"; and {more:,} more" if more else "")


class Table:
    """A file of rows with named columns. Names of columns are compared without regard to case.

    Args:
        file: .csv or .tsv with a header, .jsonl (an object per line), or .parquet; texts are UTF-8.
        skip_bad: leave out, count and name bad rows, instead of stopping after the last row.

    Raises:
        DataError: there is no such file, it is of another kind, or its header cannot be read.
    """

    def __init__(self, file: str | Path, *, skip_bad: bool = False) -> None:
        self.file, self.skip_bad, self.bad, self.count = Path(file).expanduser(), skip_bad, BadRows(), 0
        self._kind = _kind(self.file)
        self.columns = self._header()

    def choose(self, alternatives: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
        """Find the columns to read: the first of several sets of names that are all there.

        Raises:
            DataError: none is; the message lists what is there and what was looked for.
        """
        for names in alternatives:
            if set(names) <= set(self.columns):
                return names
        raise DataError(
            f"{self.file} lacks the columns to read.",
            got=f"the columns {', '.join(self.columns) or '(none)'}",
            expected=", or ".join(" and ".join(names) for names in alternatives),
            advice="rename the columns in the first row"
            if self._kind in _DELIMITERS
            else "rename the keys or the columns",
        )

    def rows(
        self, required: Sequence[str], *, optional: Sequence[str] = (), lists: Sequence[str] = ()
    ) -> Iterator[Row]:
        """Go through the good rows.

        A reader that finds a row bad itself (a file it names is missing) says so with `table.bad.add(row.number, why)`.

        Args:
            required: columns whose cells hold one text each; a row with an empty one is bad.
            optional: columns whose cells may be empty, or that may be missing.
            lists: columns whose cells may hold any number of texts: one in CSV, a list in JSON and Parquet.

        Raises:
            DataError: after the last row, if there were bad ones and `skip_bad` is not set; or at once, if the file
                cannot be read on.
        """
        self.choose([tuple(required)])
        self.bad, self.count = BadRows(), 0
        for number, found in self._raw((*required, *optional, *lists)):
            self.count += 1
            row = _row(number, found, required, optional, lists)
            if isinstance(row, Row):
                yield row
            else:
                self.bad.add(number, row)
        if self.bad.count and not self.skip_bad:
            raise DataError(
                f"{self.bad.count:,} of {self.count:,} rows of {self.file} cannot be used.",
                got=self.bad,
                expected=f"in every row, {' and '.join(required)} as text",
                advice="repair or remove them, or --skip-bad to leave them out",
            )

    def _header(self) -> tuple[str, ...]:
        if self._kind in _DELIMITERS:
            with self._open() as file:
                try:
                    names = next(csv.reader(file, delimiter=_DELIMITERS[self._kind], strict=True), [])
                except csv.Error as error:
                    raise self._unreadable(error) from error
        elif self._kind == ".parquet":
            with self._parquet() as parquet:
                names = list(parquet.schema_arrow.names)
        else:
            cells = (found for _, found in islice(self._json(), _HEADER_ROWS) if isinstance(found, dict))
            return tuple(dict.fromkeys(name for row in cells for name in row))
        names = [_name(name) for name in names]
        if wrong := next((name for name in names if not _is_text(name)), None):
            raise self._unreadable(f"the header holds {wrong!r}, which is not UTF-8")
        if twice := {name for name in names if names.count(name) > 1}:
            raise self._unreadable(f"two columns are called {', '.join(sorted(twice))!r}")
        return tuple(names)

    def _raw(self, wanted: Sequence[str]) -> Iterator[Raw]:
        if self._kind in _DELIMITERS:
            return self._separated()
        return self._arrow(wanted) if self._kind == ".parquet" else self._json()

    def _separated(self) -> Iterator[Raw]:
        with self._open() as file:
            reader = csv.reader(file, delimiter=_DELIMITERS[self._kind], strict=True)
            next(reader)
            while True:
                number = reader.line_num + 1
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:  # the reader goes on with the line after it
                    yield number, f"{error}; a quotation mark in a quoted cell is written twice"
                    continue
                if not cells:
                    continue
                if len(cells) == len(self.columns):
                    yield number, dict(zip(self.columns, cells, strict=True))
                else:
                    yield number, f"{len(cells)} cells, and the header has {len(self.columns)}"

    def _json(self) -> Iterator[Raw]:
        with self._open() as file:
            for number, line in enumerate(file, 1):
                if not line.strip():  # an empty line is no row
                    continue
                try:
                    found = json.loads(line)
                except json.JSONDecodeError as error:
                    yield number, f"not JSON: {error.msg}, at character {error.pos + 1}"
                except (ValueError, RecursionError) as error:
                    yield number, f"not JSON: {error}"
                else:
                    yield number, _object(found)

    def _arrow(self, wanted: Sequence[str]) -> Iterator[Raw]:
        number = 0
        with self._parquet() as parquet:
            names = [name for name in parquet.schema_arrow.names if _name(name) in wanted]
            batches = parquet.iter_batches(_ROWS_AT_ONCE, columns=names)
            while True:
                try:
                    batch = next(batches, None)
                except (OSError, ValueError) as error:  # what pyarrow raises for a damaged page
                    raise self._unreadable(f"{error}, after row {number:,}") from error
                if batch is None:
                    return
                for place in range(batch.num_rows):
                    number += 1
                    try:
                        yield number, {_name(name): batch.column(name)[place].as_py() for name in names}
                    except UnicodeDecodeError as error:
                        yield number, f"not UTF-8: {error}"

    def _open(self) -> Any:
        # Bytes that are not UTF-8 become lone surrogates, which name their row later; utf-8-sig drops Excel's mark.
        return self.file.open(encoding="utf-8-sig", errors="surrogateescape", newline="")

    def _parquet(self) -> Any:
        with needs_extra("text"):
            import pyarrow.parquet as pq  # noqa: PLC0415 (an extra, which the other kinds of file do without)
        try:
            return pq.ParquetFile(self.file)
        except (OSError, ValueError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, reason: object) -> DataError:
        return DataError(
            f"{self.file} cannot be read.",
            got=reason,
            expected=f"a whole {self._kind} file" + ("" if self._kind == ".parquet" else ", in UTF-8"),
            advice="write it anew, or in another of the known kinds: " + ", ".join(SUFFIXES),
        )


def _kind(file: Path) -> str:
    kind = file.suffix.lower()
    if not file.is_file() or kind not in SUFFIXES:
        raise DataError(
            f"there is no file {file}." if not file.is_file() else f"{file} is of no known kind.",
            got="a folder" if file.is_dir() else f"a file called {file.name}" if file.exists() else "nothing there",
            expected="a file of rows: " + ", ".join(SUFFIXES),
            advice="check the path; relative paths start at the current folder",
        )
    if kind != ".parquet":
        with file.open("rb") as opened:
            start = opened.read(4096)
        # every second byte of most texts is NUL there
        if start.startswith((b"\xff\xfe", b"\xfe\xff")) or 3 * start.count(b"\0") > len(start):
            raise DataError(
                f"{file} is not in UTF-8.",
                got="UTF-16, as some programs save text in",
                expected="text in UTF-8",
                advice=f"iconv -f UTF-16 -t UTF-8 {file.name} > utf8{kind}, or save it as UTF-8",
            )
    return kind


def _row(
    number: int, found: dict[str, Any] | str, required: Sequence[str], optional: Sequence[str], lists: Sequence[str]
) -> Row | str:
    if isinstance(found, str):
        return found
    cells: dict[str, str] = {}
    several: dict[str, tuple[str, ...]] = {}
    try:
        for name in required:
            cells[name] = _text(found.get(name))
        for name in optional:
            cells[name] = _text(found.get(name))
        for name in lists:
            value = found.get(name)
            texts = (_text(item) for item in (value if isinstance(value, list) else [value]))
            several[name] = tuple(text for text in texts if text)
    except ValueError as error:
        return f"{name}: {error}"
    empty = [name for name in required if not cells[name]]
    return f"empty cell: {', '.join(empty)}" if empty else Row(number, cells, several)


def _object(found: object) -> dict[str, Any] | str:
    if isinstance(found, dict):
        return {_name(name): value for name, value in found.items()}
    return "not a JSON object, such as {...}"


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"{type(value).__name__} in place of text")  # noqa: TRY004 (all bad cells are ValueErrors here)
    text = str(value).strip()
    if not _is_text(text):
        raise ValueError("not UTF-8")
    return text


def _is_text(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _name(name: str) -> str:
    return name.strip().casefold()
