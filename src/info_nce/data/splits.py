"""A data set's three fixed parts, whatever they hold, and what there is to know about the whole."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from info_nce.errors import DataError

# The split has a seed of its own: it must not move when the training seed does.
SPLIT_SEED = 20_200_213


class Part(Protocol):
    """Items of a data set, in a fixed order: pictures, pairs, utterances or clips."""

    @property
    def name(self) -> str:
        """Of the data set and the part, such as "animals/train"."""

    def __len__(self) -> int:
        """Count the items."""

    def content(self) -> Iterator[bytes]:
        """All that training and evaluation read, labels too, in the order of the items."""

    def about(self) -> dict[str, Any]:
        """What a model has to know in order to be built, as JSON can hold it: channels, image_size, ..."""

    def items(self, kind: str) -> Any:
        """All items of one kind, "image", "text", "sound" or "video", as an encoder of that kind takes them."""

    def ids(self) -> Sequence[str]:
        """What to call each item, so that a person finds it again: its file, its row, its number."""


P = TypeVar("P", bound=Part)
T = TypeVar("T")


def only(has: str, wanted: str, items: T) -> T:
    """Hand out the items of the one kind that there is.

    Raises:
        DataError: another kind was asked for.
    """
    if wanted != has:
        raise DataError(
            f"these data hold no items of the kind {wanted!r}.",
            got=f"--kind {wanted}",
            expected=f"--kind {has}",
            advice="leave --kind out",
        )
    return items


@dataclass(frozen=True, slots=True)
class Facts:
    """What a reader should know before trusting a number: what the data are, whose they are, and how they came.

    Args:
        what: one sentence.
        licence: as the package states it.
        credit: whom to name.
        origin: where it comes from, with the version.
        used_for: the recipes that use it.
        counts: how many items are where, in words.
        notes: traps, one sentence each.
    """

    what: str
    licence: str
    credit: str
    origin: str
    used_for: str
    counts: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Splits(Generic[P]):
    """The parts of a data set: to train on, to choose settings on, and to report on, each item in one of them.

    Args:
        train: what is trained on, without labels.
        validation: where settings are chosen.
        test: where the result is reported, once; empty where there is nothing to compare answers with.
        facts: about the whole.
        source: what to give to the loader to have it again.
    """

    train: P
    validation: P
    test: P
    facts: Facts
    source: str

    def parts(self) -> dict[str, P]:
        """Name the three of them."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def fingerprint(self) -> str:
        """Tell data sets apart: the sha256 of all that is read of them, in order."""
        digest = hashlib.sha256()
        for part in self.parts().values():
            digest.update(f"{len(part)}".encode())
            for piece in part.content():
                digest.update(piece)
        return digest.hexdigest()


def cut(groups: Sequence[int], *, test: bool = True) -> dict[str, list[int]]:
    """Which items go into which part? Always the same ones, 60 / 20 / 20 within each group.

    Args:
        groups: of each item: its class, or one number for all.
        test: without, 80 / 20 and nothing to test on.

    Returns:
        For "train", "validation" and "test" the places of their items, in order.
    """
    shuffle = np.random.default_rng(SPLIT_SEED)
    parts: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    tags = np.asarray(groups)
    for group in sorted(set(groups)):
        members = shuffle.permutation(np.flatnonzero(tags == group)).tolist()
        held_out = round(0.2 * len(members))
        tested = held_out if test else 0
        parts["validation"] += members[:held_out]
        parts["test"] += members[held_out : held_out + tested]
        parts["train"] += members[held_out + tested :]
    return {name: sorted(members) for name, members in parts.items()}
