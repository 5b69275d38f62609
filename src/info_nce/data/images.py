"""A set of pictures in memory, and its three fixed parts."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

# The split has a seed of its own: it must not move when the training seed does.
SPLIT_SEED = 20_200_213


@dataclass(frozen=True, slots=True)
class Facts:
    """What a reader should know before trusting a number: what the pictures are, whose they are, and how they came.

    Args:
        what: one sentence.
        licence: as the package states it.
        credit: whom to name.
        origin: where it comes from, with the version.
        used_for: the recipes that use it.
        counts: how many pictures are where, in words.
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
class ImageSet:
    """Pictures of one size as bytes, with labels that only the evaluation may see.

    Args:
        name: of this part, such as "animals/train".
        images: one picture per row.
        labels: an index into `class_names`, or None where nobody said.
        class_names: in the order of the labels; empty without labels.
        paths: the file of each picture, where there is one.
    """

    name: str
    images: UInt8[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"] | None = None
    class_names: tuple[str, ...] = ()
    paths: tuple[str, ...] | None = None

    def __len__(self) -> int:
        """Count the pictures."""
        return len(self.images)

    def take(self, index: Int64[Tensor, " k"], name: str | None = None) -> "ImageSet":
        """Choose pictures, with everything that belongs to them."""
        return replace(
            self,
            name=self.name if name is None else name,
            images=self.images[index],
            labels=None if self.labels is None else self.labels[index],
            paths=None if self.paths is None else tuple(self.paths[i] for i in index.tolist()),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Splits:
    """The parts of a data set: to train on, to choose settings on, and to report on, each picture in one of them.

    Args:
        train: what the encoder sees, without labels.
        validation: where settings are chosen.
        test: where the result is reported, once; empty for a data set without labels.
        facts: about the whole.
        source: what to give to `load_splits` to have it again.
    """

    train: ImageSet
    validation: ImageSet
    test: ImageSet
    facts: Facts
    source: str

    def fingerprint(self) -> str:
        """Tell data sets apart: the sha256 of all pictures and labels, in their order."""
        digest = hashlib.sha256()
        for part in (self.train, self.validation, self.test):
            digest.update(f"{tuple(part.images.shape)}".encode())
            digest.update(part.images.contiguous().numpy().tobytes())
            if part.labels is not None:
                digest.update(part.labels.numpy().tobytes())
        return digest.hexdigest()


def first_of_each(images: UInt8[Tensor, "n c h w"]) -> Int64[Tensor, " k"]:
    """Find the exact duplicates: the index of the first of each group of identical pictures, in order.

    Duplicates on both sides of a split would let a test picture be recognised by memory alone.
    """
    seen: dict[bytes, int] = {}
    for i, row in enumerate(images.flatten(1).numpy()):
        seen.setdefault(hashlib.sha256(row.tobytes()).digest(), i)
    return torch.tensor(list(seen.values()), dtype=torch.int64)


def split(whole: ImageSet, facts: Facts, source: str) -> Splits:
    """Cut a set into fixed parts: 60 / 20 / 20 within each class; without labels 80 / 20 and nothing to test on."""
    shuffle = np.random.default_rng(SPLIT_SEED)
    shares = (0.2, 0.2) if whole.labels is not None else (0.2, 0.0)
    groups = torch.zeros(len(whole), dtype=torch.int64) if whole.labels is None else whole.labels
    parts: dict[str, list[int]] = {"validation": [], "test": [], "train": []}
    for group in sorted(set(groups.tolist())):
        members = shuffle.permutation(torch.nonzero(groups == group)[:, 0].numpy()).tolist()
        validation, test = (round(share * len(members)) for share in shares)
        parts["validation"] += members[:validation]
        parts["test"] += members[validation : validation + test]
        parts["train"] += members[validation + test :]
    chosen = {
        name: whole.take(torch.tensor(sorted(index), dtype=torch.int64), f"{whole.name}/{name}")
        for name, index in parts.items()
    }
    return Splits(**chosen, facts=facts, source=source)
