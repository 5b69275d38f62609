"""How alike people find two words: two published lists, to compare with and never to train on."""

from dataclasses import dataclass
from pathlib import Path

from info_nce.data.wheels import Wheel, locate, read_member
from info_nce.errors import DataError

WHEEL = Wheel(
    package="gensim",
    version="4.4.0",
    file_name="gensim-4.4.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    sha256="91a7fa5e814e7b1bad4b2dffa8d62c1e55410d5cbdf930714c1997ffb4404db8",
)
CREDIT = (
    "SimLex-999: Hill, Reichart, Korhonen 2015, Computational Linguistics 41(4); "
    "WordSim-353: Finkelstein et al. 2002, ACM TOIS 20(1); both as the tests of gensim ship them"
)
_FILES = {
    "SimLex-999": "gensim/test/test_data/simlex999.txt",
    "WordSim-353": "gensim/test/test_data/wordsim353.tsv",
}


@dataclass(frozen=True, slots=True)
class WordPairs:
    """Pairs of words, and how alike people found them.

    Args:
        name: of the list. SimLex counts what is alike, WordSim what belongs together, too (coffee and cup).
        first: one word of each pair.
        second: the other one.
        rated: the mean of what people said, from 0 to 10.
    """

    name: str
    first: tuple[str, ...]
    second: tuple[str, ...]
    rated: tuple[float, ...]


def load_word_similarity(*, data_file: str | Path | None = None, cache: Path | None = None) -> list[WordPairs]:
    """Load SimLex-999 and WordSim-353.

    Args:
        data_file: the wheel, if it is at hand already.
        cache: where the fetched wheel is kept.

    Raises:
        DataError: the wheel cannot be fetched or is not the pinned one.

    Source:
        PyPI `gensim` 4.4.0, whose tests use them; see `CREDIT`.
    """
    path = locate(WHEEL, data_file=data_file, cache=cache)
    return [parse(name, read_member(path, member).decode()) for name, member in _FILES.items()]


def parse(name: str, content: str) -> WordPairs:
    """Read lines of two words and a number, apart by tabs; those that begin with # are comments.

    Raises:
        DataError: a line is something else.
    """
    rows: list[tuple[str, str, float]] = []
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            first, second, rated = line.split("\t")
            rows.append((first, second, float(rated)))
        except ValueError as error:
            raise DataError(
                f"line {number} of {name} is no pair of words.",
                got=line,
                expected="two words and a number, apart by tabs",
                advice=f"fetch {WHEEL.requirement} anew",
            ) from error
    one, other, ratings = zip(*rows, strict=True)
    return WordPairs(name, one, other, ratings)
