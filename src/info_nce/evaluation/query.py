"""What somebody looks for: a file, an item of the run's own data, or a text."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from info_nce.data.decoding import Decoder, decoder_of
from info_nce.data.reading import TEXTS
from info_nce.data.splits import Splits
from info_nce.errors import DataError, SettingError
from info_nce.evaluation.embedding import read_like
from info_nce.evaluation.matches import PLURAL
from info_nce.recipes.runs import Run

_OWN = re.compile(r"(train|validation|test):(\d+)")


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """One item, or one file in several pieces.

    Args:
        name: as the user wrote it.
        kind: "image", "text", "sound" or "video".
        content: as an encoder of the kind takes it.
    """

    name: str
    kind: str
    content: Any


def query_of(run: Run[Any], text: str, kinds: Collection[str], *, kind: str = "", avoid: str = "") -> Query:
    """What is meant by these words?

    Args:
        run: whose data and settings.
        text: "test:7" and the like; the name of a file of a kind that the run knows; or else a text.
        kinds: of which the run has an encoder.
        kind: of the query, where it can be more than one.
        avoid: the kind that will be searched: an item that is a picture and a text looks for the other one.

    Raises:
        DataError: there is no such item or file, or it cannot be read.
        SettingError: the run has no encoder of texts, or not of this kind.
    """
    if kind and kind not in kinds:
        raise _no_encoder(text, kind, kinds)
    path = Path(text).expanduser()
    own = None if path.exists() else _OWN.fullmatch(text)
    if own is not None:
        kind = kind or next((known for known in kinds if known != avoid), next(iter(kinds)))
        return Query(text, kind, _own_item(run.splits(), own[1], int(own[2]), kind))
    decoders = {known: decoder_of(known, read_like(run)) for known in kinds if known != "text"}
    named = next((k for k, decoder in decoders.items() if path.suffix.lower() in decoder.suffixes), None)
    if named and kind in {"", named}:
        return Query(text, named, _from_file(path, decoders[named]))
    if "text" in kinds and kind in {"", "text"}:
        return Query(text, "text", [_text_of(path, text)])
    if decoders and (path.exists() or path.suffix or kind):
        only = kind or next(iter(decoders))
        return Query(text, only, _from_file(path, decoders[only]))
    raise _no_encoder(text, "text", kinds)


def _from_file(path: Path, decoder: Decoder) -> Any:
    one = decoder.what.removesuffix("s")
    if not path.is_file():
        raise DataError(
            f"there is no {one} {path}.",
            got="a folder" if path.is_dir() else "no such file",
            expected=f"a file: {', '.join(sorted(decoder.suffixes))}; or an item of the run's own data, such as test:7",
            advice="check the path; relative paths start at the current folder",
        )
    content, _, bad = decoder.read([path])
    if bad:
        raise DataError(
            f"{path} cannot be read as a {one}.",
            got=bad[path],
            expected=f"a whole file: {', '.join(sorted(decoder.suffixes))}",
            advice="open it in another program, and save it anew",
        )
    return content


def _text_of(path: Path, text: str) -> str:
    if path.suffix.lower() in TEXTS and not any(map(str.isspace, text)):
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"{path} cannot be read as a text.",
                got=error,
                expected="a text in UTF-8, or the words themselves",
                advice="check the path; relative paths start at the current folder",
            ) from error
    if not text.strip():
        raise DataError("there is nothing to look for.", got=repr(text), expected="a text", advice="a word or two")
    return text.strip()


def _own_item(splits: Splits[Any], part_name: str, number: int, kind: str) -> Any:
    part = splits.parts()[part_name]
    if number < len(part):
        return part.items(kind)[number : number + 1]
    raise DataError(
        f"there is no item {part_name}:{number}.",
        got=f"number {number} of {len(part)} in the {part_name} part",
        expected=f"{part_name}:0 to {part_name}:{len(part) - 1}" if len(part) else "a part with items in it",
        advice="or give the path of a file",
    )


def _no_encoder(text: str, kind: str, kinds: Collection[str]) -> SettingError:
    return SettingError(
        f"this run has no encoder of {PLURAL.get(kind, kind)}.",
        got=text,
        expected=f"what it can take: files of {' or '.join(PLURAL[known] for known in kinds)}, "
        "or an item of its own data, such as test:7",
        advice="to search by text: a run of info-nce train clip, or of info-nce train text",
    )
