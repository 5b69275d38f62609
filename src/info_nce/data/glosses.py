"""Glosses: what a word means, and a sentence in which it is used; WordNet's own pairs."""

from pathlib import Path

import numpy as np

from info_nce.data import wordnet
from info_nce.data.pairs import TextPairSet, grouped, split_by_group
from info_nce.data.splits import SPLIT_SEED, Facts, Splits

HELD_OUT = 1000


def load_glosses(*, data_file: str | Path | None = None, cache: Path | None = None) -> Splits[TextPairSet]:
    """Load WordNet's glosses with their example sentences, in three fixed parts.

    Synsets that share a gloss or an example are one group, and no group is in two parts. Validation and test hold one
    pair of each of 1,000 groups, so that to find the example of a gloss is a choice of one in 1,000.

    Args:
        data_file: the wheel, if it is at hand already.
        cache: where the fetched wheel is kept.

    Raises:
        DataError: the wheel cannot be fetched or is not the pinned one.
    """
    synsets = wordnet.load_synsets(data_file=data_file, cache=cache)
    found = dict.fromkeys((s.gloss, example, s.id) for s in synsets for example in s.examples)
    glosses, examples, ids = zip(*found, strict=True)
    groups = grouped(ids, glosses, examples)
    whole = TextPairSet("glosses", glosses, examples, tuple(groups), ids)
    shuffled = np.random.default_rng(SPLIT_SEED).permutation(max(groups) + 1).tolist()
    held_out = {"validation": shuffled[:HELD_OUT], "test": shuffled[HELD_OUT : 2 * HELD_OUT]}
    splits = split_by_group(whole, held_out, facts())
    first = {name: _first_of_each(part) for name, part in splits.parts().items() if name in held_out}
    return Splits(train=splits.train, **first, facts=facts(), source="glosses")


def _first_of_each(part: TextPairSet) -> TextPairSet:
    first: dict[int, int] = {}
    for row, group in enumerate(part.groups):
        first.setdefault(group, row)
    return part.take(list(first.values()))


def facts() -> Facts:
    """What there is to know, without loading anything."""
    return Facts(
        what="WordNet 3.0: the gloss of a meaning, and a sentence in which a word has it (English)",
        licence=wordnet.LICENCE,
        credit=wordnet.CREDIT,
        origin=f"PyPI {wordnet.WHEEL.requirement}, sha256 {wordnet.WHEEL.sha256}",
        used_for="text",
        counts="45,267 pairs to train on; 1,000 to choose on and 1,000 to report on, each of a meaning of its own",
        notes=(
            "Glosses and examples share few words: word TF-IDF finds one example in ten among the first ten of 1,000.",
            "Meanings that share a gloss or an example are kept together.",
        ),
    )
