"""What the encoders see: digits, glosses, Gaussians and clusters, and views of them."""

# N items, C numbers that are known of an item, W numbers that an encoder sees of it

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Protocol

import torch
from jaxtyping import Float, Int64
from sklearn.feature_extraction.text import HashingVectorizer
from torch import Tensor
from torch.nn import functional

from benchmarks.papers import digits
from info_nce.data.wordnet import load_synsets

__all__ = ["SOURCES", "WITH_CLASSES", "Items", "Repeated", "Source"]

WORDS, TRAINING_GLOSSES = 1024, 4400


@dataclass(frozen=True, slots=True)
class Items:
    """Some items.

    Args:
        contents: what views are made of.
        classes: of each item.
        ids: which item it is.
    """

    contents: Float[Tensor, "n c"]
    classes: Int64[Tensor, " n"]
    ids: Int64[Tensor, " n"]

    def __len__(self) -> int:
        """How many."""
        return len(self.ids)

    def at(self, places: Int64[Tensor, " m"]) -> "Items":
        """Those at some places."""
        return Items(self.contents[places], self.classes[places], self.ids[places])


class Source(Protocol):
    """Where items come from, and how views of them are made."""

    @property
    def width(self) -> int:
        """W, of a view."""

    def items(self, count: int, numbers: torch.Generator, *, held_out: bool) -> Items:
        """Different items, of those to train with or of others."""

    def view(self, contents: Float[Tensor, "n c"], numbers: torch.Generator, *, second: bool) -> Float[Tensor, "n w"]:
        """A view of each, as the first or the second of two encoders sees it."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Items that somebody collected.

    Args:
        train: to train with.
        others: that are held out.
        augment: makes a view of contents.
    """

    train: Items
    others: Items
    augment: Callable[[Tensor, torch.Generator], Tensor]

    @property
    def width(self) -> int:
        """As many numbers as are known of an item."""
        return self.train.contents.shape[1]

    def items(self, count: int, numbers: torch.Generator, *, held_out: bool) -> Items:
        """Draw without replacement."""
        part = self.others if held_out else self.train
        if count > len(part):
            raise ValueError(f"{count} different items are asked for, of {len(part)}.")
        return part.at(torch.randperm(len(part), generator=numbers)[:count])

    def view(self, contents: Float[Tensor, "n c"], numbers: torch.Generator, *, second: bool) -> Float[Tensor, "n w"]:  # noqa: ARG002 - both encoders see the same kind
        """An augmentation."""
        return self.augment(contents, numbers)


@dataclass(frozen=True, slots=True)
class Gaussian:
    """Items that nobody has seen before: hidden vectors, of which each encoder sees other mixtures, bent and noisy.

    Args:
        noise: by which the hidden vectors of two views of an item differ, where items differ by 1.
        hidden: C, the length of such a vector.
        clusters: that items lie in; none: all are of one class.
    """

    noise: float
    hidden: int = 16
    clusters: int = 0
    width: int = 64

    def items(self, count: int, numbers: torch.Generator, *, held_out: bool) -> Items:  # noqa: ARG002 - all are new
        """Draw new ones."""
        contents = torch.randn(count, self.hidden, generator=numbers)
        classes = torch.zeros(count, dtype=torch.int64)
        if self.clusters:
            classes = torch.randint(self.clusters, (count,), generator=numbers)
            contents = contents + self._parts()[2][classes]
        return Items(contents, classes, torch.randperm(3 * count, generator=numbers)[:count])

    def view(self, contents: Float[Tensor, "n c"], numbers: torch.Generator, *, second: bool) -> Float[Tensor, "n w"]:
        """Mix what is hidden, in one way or the other."""
        moved = contents + self.noise * torch.randn(contents.shape, generator=numbers)
        seen = torch.tanh(moved @ self._parts()[int(second)])
        return seen + 0.05 * torch.randn(seen.shape, generator=numbers)

    def _parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Both mixtures, and the middles of the clusters: the same for every training."""
        numbers = torch.Generator().manual_seed(5)
        mixtures = torch.randn(2, self.hidden, self.width, generator=numbers) * 2 / self.hidden**0.5
        return mixtures[0], mixtures[1], 2 * torch.randn(self.clusters, self.hidden, generator=numbers)


@dataclass(frozen=True, slots=True)
class Repeated:
    """A few items of a source, again and again, so that a batch has most of them several times.

    Args:
        source: that makes the views.
        few: the items.
    """

    source: Source
    few: Items

    @property
    def width(self) -> int:
        """That of the source."""
        return self.source.width

    def items(self, count: int, numbers: torch.Generator, *, held_out: bool) -> Items:  # noqa: ARG002 - there are no others
        """Draw with replacement."""
        return self.few.at(torch.randint(len(self.few), (count,), generator=numbers))

    def view(self, contents: Float[Tensor, "n c"], numbers: torch.Generator, *, second: bool) -> Float[Tensor, "n w"]:
        """As the source does."""
        return self.source.view(contents, numbers, second=second)


@cache
def _digits(drop: float) -> Pool:
    found = digits.load(seed=0)
    count = len(found.train)
    return Pool(
        Items(found.train, found.train_labels, torch.arange(count)),
        Items(found.test, found.test_labels, torch.arange(count, count + len(found.test))),
        digits.Augmentation(noise=0.05, drop=drop, shift=0),
    )


@cache
def _glosses() -> Pool:
    """What WordNet says of words, as counts of hashed words; a class for each of its files."""
    synsets = [synset for synset in load_synsets() if len(synset.gloss.split()) > 8][::9]
    hashing = HashingVectorizer(n_features=WORDS, alternate_sign=False, norm=None)
    counts = torch.from_numpy(hashing.transform([synset.gloss for synset in synsets]).toarray()).float()
    names = sorted({synset.lexicographer for synset in synsets})
    classes = torch.tensor([names.index(synset.lexicographer) for synset in synsets])
    # the files have nouns before verbs: mixed, so that both parts have all of them
    order = torch.randperm(len(synsets), generator=torch.Generator().manual_seed(1))
    every = Items(counts, classes, torch.arange(len(synsets)))
    return Pool(every.at(order[:TRAINING_GLOSSES]), every.at(order[TRAINING_GLOSSES:]), _some_words)


def _some_words(counts: Tensor, numbers: torch.Generator) -> Tensor:
    kept = torch.rand(counts.shape, generator=numbers) < 0.6
    return 4 * functional.normalize(counts * kept)


SOURCES: Mapping[str, Callable[[], Source]] = {
    "digits": partial(_digits, 0.15),
    "hard digits": partial(_digits, 0.4),
    "glosses": _glosses,
    "Gaussians": partial(Gaussian, 0.3),
    "hard Gaussians": partial(Gaussian, 0.8, hidden=24),
    "clusters": partial(Gaussian, 0.4, clusters=20),
}
WITH_CLASSES = ("digits", "hard digits", "clusters")
"""Those with so few classes that a batch has several items of each."""
